//! The one list of findings: what each means, how grave it is, what makes two of them one, how to mend it.

mod applies;
mod exposure;
mod quality;
mod transport;

pub use applies::Needs;

/// A finding's identity. The numbers index [`CATALOGUE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FindingId {
    /// Password sent in clear.
    CleartextPassword,
    /// Access token sent in clear.
    CleartextBearerToken,
    /// Login that can be guessed offline sent in clear.
    CrackableAuthExchange,
    /// Login by an unknown mechanism in clear.
    CleartextUnknownMechanism,
    /// User name sent in clear.
    CleartextUsername,
    /// Anonymous login.
    AnonymousLogin,
    /// One secret used in several places.
    CredentialReuse,
    /// Server accepts passwords without TLS.
    ServerAcceptsCleartextAuth,
    /// Login in clear although the server had forbidden it.
    LoginDespiteLogindisabled,
    /// Server offers password logins without TLS.
    PlaintextAuthAdvertised,
    /// Password sent although a stronger mechanism was at hand.
    AuthMechanismDowngrade,
    /// Many rejected logins in a short time.
    RepeatedAuthFailure,
    /// Weak password.
    WeakSecret,
    /// STARTTLS not offered.
    StarttlsNotOffered,
    /// STARTTLS offered and not used.
    StarttlsOfferedUnused,
    /// STARTTLS refused.
    StarttlsRefused,
    /// Login or message in clear after STARTTLS was refused.
    CleartextAfterStarttlsRefused,
    /// STARTTLS accepted and no TLS followed.
    StarttlsAcceptedNoTls,
    /// Offer of STARTTLS removed or masked on the path.
    StarttlsStripped,
    /// STARTTLS no longer offered.
    StarttlsOfferRegressed,
    /// Octets between STARTTLS and TLS from the client.
    StarttlsCommandInjection,
    /// Octets between the answer to STARTTLS and TLS from the server.
    StarttlsResponseInjection,
    /// IMAP session opened as already logged in, in clear.
    ImapPreauthCleartext,
    /// Referral or alert from the server in clear.
    ServerInstructionInClear,
    /// EHLO refused, HELO used.
    EsmtpDowngradeToHelo,
    /// TLS handshake failed.
    TlsHandshakeFailed,
    /// Client went on in clear after TLS failed.
    TlsFallbackToCleartext,
    /// Mail in clear on a port for TLS.
    ImplicitTlsPortCleartext,
    /// Message that requires TLS sent without it.
    RequiretlsViolated,
    /// Mail between servers in clear.
    MtaCleartextTransfer,
    /// Message content in clear.
    CleartextMessageContent,
    /// Outdated version of TLS.
    TlsDeprecatedVersion,
    /// Weak cipher suite.
    TlsWeakCipher,
    /// Certificate that a client should not take.
    TlsCertificateProblem,
    /// Copies of octets differ.
    StreamAmbiguousOverlap,
    /// The dialogue could not be followed.
    ProtocolDesync,
    /// The capture does not hold all of the mail traffic.
    CoverageGap,
}

/// Which fields make two occurrences the same finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Server address, port and protocol.
    Server,
    /// And client address.
    ServerClient,
    /// And mechanism.
    ServerClientMechanism,
    /// Server, client and user.
    ServerClientUser,
    /// Server and user, whatever the client.
    ServerUser,
    /// Server, client, user and mechanism.
    ServerClientUserMechanism,
    /// The secret's keyed fingerprint, wherever it was used.
    Fingerprint,
    /// The input.
    Input,
}

impl Key {
    /// Whether it holds the server.
    #[must_use]
    pub fn holds_server(self) -> bool {
        !matches!(self, Self::Fingerprint | Self::Input)
    }

    /// Whether it holds the client.
    #[must_use]
    pub fn holds_client(self) -> bool {
        use Key::{ServerClient, ServerClientMechanism, ServerClientUser, ServerClientUserMechanism};
        matches!(self, ServerClient | ServerClientMechanism | ServerClientUser | ServerClientUserMechanism)
    }

    /// Whether it holds the user.
    #[must_use]
    pub fn holds_user(self) -> bool {
        matches!(self, Self::ServerClientUser | Self::ServerUser | Self::ServerClientUserMechanism)
    }

    /// Whether it holds the mechanism.
    #[must_use]
    pub fn holds_mechanism(self) -> bool {
        matches!(self, Self::ServerClientMechanism | Self::ServerClientUserMechanism)
    }

    /// Whether client and user are the same in all occurrences, so that there is nothing to count.
    #[must_use]
    pub fn fixes_client_and_user(self) -> bool {
        self == Self::Input || self.holds_client() && self.holds_user()
    }
}

/// What a finding is about (the `rule.category` of records).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// A credential was disclosed.
    Exposure,
    /// The protection of the connection.
    Transport,
    /// How good the evidence is.
    Quality,
}

impl Category {
    /// The word for records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exposure => "exposure",
            Self::Transport => "transport",
            Self::Quality => "quality",
        }
    }
}

/// A technique of MITRE ATT&CK that the weakness enables.
pub struct Technique {
    /// `T1040`.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// `TA0006`.
    pub tactic_id: &'static str,
    /// The tactic's name.
    pub tactic: &'static str,
}

/// What is fixed about a finding.
pub struct Entry {
    /// Which.
    pub id: FindingId,
    /// Its name in records and options.
    pub name: &'static str,
    /// One line.
    pub title: &'static str,
    /// What was seen and why it matters.
    pub description: &'static str,
    /// What must have been seen for it to be reported.
    pub proof: &'static str,
    /// What to do, whatever the software; see [`crate::finding::remedies`] for the settings of each.
    pub remediation: &'static str,
    /// What makes it graver or milder than its severity here, in sentences.
    pub modifiers: &'static [&'static str],
    /// 1 to 5, before modifiers.
    pub severity: u8,
    /// What it is about.
    pub category: Category,
    /// What makes two the same.
    pub key: Key,
    /// RFC sections.
    pub rfcs: &'static [&'static str],
    /// Weaknesses (CWE).
    pub cwes: &'static [&'static str],
    /// Vulnerabilities of this kind (CVE), as examples.
    pub cves: &'static [&'static str],
    /// What to read about it.
    pub papers: &'static [&'static str],
    /// ATT&CK techniques.
    pub techniques: &'static [Technique],
}

/// The version of MITRE ATT&CK whose numbers and names stand here.
///
/// 18.1 of October 2025 is the last with the tactic Defense Evasion. Version 19 of April 2026 splits that in two and
/// calls T1562.010 T1689; the systems that read our records still hold 18. All of a version, or none of it.
pub const ATTACK_VERSION: &str = "18.1";

const fn technique(
    id: &'static str,
    name: &'static str,
    (tactic_id, tactic): (&'static str, &'static str),
) -> Technique {
    Technique { id, name, tactic_id, tactic }
}

const INITIAL_ACCESS: (&str, &str) = ("TA0001", "Initial Access");
const DEFENSE_EVASION: (&str, &str) = ("TA0005", "Defense Evasion");
const CREDENTIAL_ACCESS: (&str, &str) = ("TA0006", "Credential Access");
const DISCOVERY: (&str, &str) = ("TA0007", "Discovery");
const COLLECTION: (&str, &str) = ("TA0009", "Collection");

// A technique that serves two tactics is listed once with each.
const SNIFFING: Technique = technique("T1040", "Network Sniffing", CREDENTIAL_ACCESS);
const SNIFFING_DISCOVERY: Technique = technique("T1040", "Network Sniffing", DISCOVERY);
const VALID_ACCOUNTS: Technique = technique("T1078", "Valid Accounts", INITIAL_ACCESS);
const BRUTE_FORCE: Technique = technique("T1110", "Brute Force", CREDENTIAL_ACCESS);
const CRACKING: Technique = technique("T1110.002", "Password Cracking", CREDENTIAL_ACCESS);
const EMAIL_COLLECTION: Technique = technique("T1114", "Email Collection", COLLECTION);
const STEAL_TOKEN: Technique = technique("T1528", "Steal Application Access Token", CREDENTIAL_ACCESS);
const IN_THE_MIDDLE: Technique = technique("T1557", "Adversary-in-the-Middle", CREDENTIAL_ACCESS);
const IN_THE_MIDDLE_COLLECTION: Technique = technique("T1557", "Adversary-in-the-Middle", COLLECTION);
const DOWNGRADE: Technique = technique("T1562.010", "Downgrade Attack", DEFENSE_EVASION);

const NO_STARTTLS: &str = "Poddebniak et al.: Why TLS Is Better Without STARTTLS, USENIX Security 2021";
const NEITHER_SNOW: &str = "Durumeric et al.: Neither Snow Nor Rain Nor MITM, IMC 2015";

/// What makes an exposure graver or milder.
const EXPOSED: &str = "One step graver when the secret works and the path crosses a public address, when another \
                       identity than the user's own or a privileged one is claimed, or when the same connection shows \
                       an interference with TLS. One step milder when both ends are private and the segment is marked \
                       as trusted; info on one host.";
/// What makes a state of the connection graver or milder.
const STATE: &str = "One step graver when the same connection shows an interference with TLS; one step milder when \
                     both ends are private and the segment is marked as trusted; info on one host. Never above low \
                     while only possible.";

/// The one list, in the order of [`FindingId`].
pub static CATALOGUE: [Entry; 37] = [
    exposure::CLEARTEXT_PASSWORD,
    exposure::CLEARTEXT_BEARER_TOKEN,
    exposure::CRACKABLE_AUTH_EXCHANGE,
    exposure::CLEARTEXT_UNKNOWN_MECHANISM,
    exposure::CLEARTEXT_USERNAME,
    exposure::ANONYMOUS_LOGIN,
    exposure::CREDENTIAL_REUSE,
    exposure::SERVER_ACCEPTS_CLEARTEXT_AUTH,
    exposure::LOGIN_DESPITE_LOGINDISABLED,
    exposure::PLAINTEXT_AUTH_ADVERTISED,
    exposure::AUTH_MECHANISM_DOWNGRADE,
    exposure::REPEATED_AUTH_FAILURE,
    exposure::WEAK_SECRET,
    transport::STARTTLS_NOT_OFFERED,
    transport::STARTTLS_OFFERED_UNUSED,
    transport::STARTTLS_REFUSED,
    transport::CLEARTEXT_AFTER_STARTTLS_REFUSED,
    transport::STARTTLS_ACCEPTED_NO_TLS,
    transport::STARTTLS_STRIPPED,
    transport::STARTTLS_OFFER_REGRESSED,
    transport::STARTTLS_COMMAND_INJECTION,
    transport::STARTTLS_RESPONSE_INJECTION,
    transport::IMAP_PREAUTH_CLEARTEXT,
    transport::SERVER_INSTRUCTION_IN_CLEAR,
    transport::ESMTP_DOWNGRADE_TO_HELO,
    transport::TLS_HANDSHAKE_FAILED,
    transport::TLS_FALLBACK_TO_CLEARTEXT,
    transport::IMPLICIT_TLS_PORT_CLEARTEXT,
    transport::REQUIRETLS_VIOLATED,
    transport::MTA_CLEARTEXT_TRANSFER,
    transport::CLEARTEXT_MESSAGE_CONTENT,
    transport::TLS_DEPRECATED_VERSION,
    transport::TLS_WEAK_CIPHER,
    transport::TLS_CERTIFICATE_PROBLEM,
    quality::STREAM_AMBIGUOUS_OVERLAP,
    quality::PROTOCOL_DESYNC,
    quality::COVERAGE_GAP,
];

impl FindingId {
    /// What is fixed about it.
    #[must_use]
    pub fn entry(self) -> &'static Entry {
        &CATALOGUE[self as usize]
    }

    /// Its name in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// Whether each of its occurrences is a credential in clear.
    #[must_use]
    pub fn is_disclosure(self) -> bool {
        matches!(
            self,
            Self::CleartextPassword
                | Self::CleartextBearerToken
                | Self::CrackableAuthExchange
                | Self::CleartextUnknownMechanism
        )
    }

    /// The finding of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        CATALOGUE.iter().find(|entry| entry.name == name).map(|entry| entry.id)
    }
}

/// The words for severities 1 to 5.
pub const SEVERITIES: [&str; 5] = ["info", "low", "medium", "high", "critical"];

/// The word for a severity.
#[must_use]
pub fn severity_name(severity: u8) -> &'static str {
    SEVERITIES[usize::from(severity.clamp(1, 5)) - 1]
}

/// The severity of a word, 1 to 5.
#[must_use]
pub fn severity_of(word: &str) -> Option<u8> {
    SEVERITIES.iter().position(|known| *known == word).map(|at| at as u8 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_in_the_order_of_its_ids() {
        for (at, entry) in CATALOGUE.iter().enumerate() {
            assert_eq!(entry.id as usize, at, "{}", entry.name);
            assert_eq!(FindingId::parse(entry.name), Some(entry.id));
        }
    }

    #[test]
    fn a_name_is_its_variant_in_kebab_case() {
        for entry in &CATALOGUE {
            let mut name = String::new();
            for c in format!("{:?}", entry.id).chars() {
                if c.is_ascii_uppercase() && !name.is_empty() {
                    name.push('-');
                }
                name.push(c.to_ascii_lowercase());
            }
            assert_eq!(entry.name, name);
        }
    }

    #[test]
    fn every_entry_says_enough_and_not_too_much() {
        for entry in &CATALOGUE {
            assert!((8..=70).contains(&entry.title.len()) && !entry.title.ends_with('.'), "{}", entry.name);
            for text in [entry.description, entry.proof, entry.remediation] {
                assert!((40..=480).contains(&text.len()) && text.ends_with('.'), "{}: {text}", entry.name);
            }
            assert!(entry.modifiers.iter().all(|text| text.ends_with('.')), "{}", entry.name);
        }
    }

    #[test]
    fn every_entry_has_its_references() {
        for entry in &CATALOGUE {
            assert_eq!(entry.rfcs.is_empty(), entry.category == Category::Quality, "{}", entry.name);
            assert!(entry.rfcs.iter().all(|rfc| rfc.starts_with("RFC ")), "{}", entry.name);
            assert!(entry.cwes.iter().all(|cwe| cwe.starts_with("CWE-")), "{}", entry.name);
            assert!(entry.cves.iter().all(|cve| cve.starts_with("CVE-")), "{}", entry.name);
            for technique in entry.techniques {
                assert!(technique.id.starts_with('T') && technique.tactic_id.starts_with("TA"), "{}", entry.name);
            }
        }
    }

    #[test]
    fn critical_is_never_a_finding_s_own() {
        assert!(CATALOGUE.iter().all(|entry| (1..=4).contains(&entry.severity)));
    }
}
