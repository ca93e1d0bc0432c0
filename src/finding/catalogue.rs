//! The one list of findings: what each means, how grave it is, what makes two of them one, how to mend it.

/// A finding's identity. The numbers index [`CATALOGUE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FindingId {
    /// A password crossed the wire in clear.
    CleartextPassword,
    /// A server let a clear password in.
    ServerAcceptsCleartextAuth,
    /// A server did not offer STARTTLS.
    StarttlsNotOffered,
    /// A client did not use the STARTTLS it was offered.
    StarttlsOfferedUnused,
    /// A client went on in clear after STARTTLS was refused.
    CleartextAfterStarttlsRefused,
    /// The capture does not hold all.
    CoverageGap,
}

/// Which fields make two occurrences the same finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Server address, port and protocol.
    Server,
    /// And client address.
    ServerClient,
    /// And user and mechanism.
    ServerClientUserMechanism,
    /// The input.
    Input,
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

/// How to mend it with one server software.
pub struct Remedy {
    /// The software.
    pub server: &'static str,
    /// What to set.
    pub setting: &'static str,
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
    /// What to do, in one sentence.
    pub remediation: &'static str,
    /// What to do, by software.
    pub remedies: &'static [Remedy],
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
    /// ATT&CK techniques.
    pub techniques: &'static [Technique],
}

const SNIFFING: Technique =
    Technique { id: "T1040", name: "Network Sniffing", tactic_id: "TA0006", tactic: "Credential Access" };
const IN_THE_MIDDLE: Technique =
    Technique { id: "T1557", name: "Adversary-in-the-Middle", tactic_id: "TA0006", tactic: "Credential Access" };
const DOWNGRADE: Technique =
    Technique { id: "T1562.010", name: "Downgrade Attack", tactic_id: "TA0005", tactic: "Defense Evasion" };

const REFUSE_CLEAR: [Remedy; 5] = [
    Remedy { server: "Dovecot 2.4", setting: "auth_allow_cleartext = no; ssl = required" },
    Remedy { server: "Dovecot 2.3", setting: "disable_plaintext_auth = yes; ssl = required" },
    Remedy {
        server: "Postfix",
        setting: "smtpd_tls_auth_only = yes; on the submission service smtpd_tls_security_level = encrypt",
    },
    Remedy { server: "Exim", setting: "auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}" },
    Remedy { server: "Cyrus IMAP", setting: "allowplaintext: 0" },
];

const OFFER_TLS: [Remedy; 4] = [
    Remedy {
        server: "Dovecot",
        setting: "ssl = required, ssl_cert and ssl_key set (2.4: ssl_server_cert_file, ssl_server_key_file)",
    },
    Remedy {
        server: "Postfix",
        setting: "smtpd_tls_chain_files set; smtpd_tls_security_level = may, on submission encrypt",
    },
    Remedy { server: "Exim", setting: "tls_advertise_hosts = *; tls_certificate and tls_privatekey set" },
    Remedy { server: "Cyrus IMAP", setting: "tls_server_cert and tls_server_key set" },
];

/// The one list, in the order of [`FindingId`].
pub static CATALOGUE: [Entry; 6] = [
    Entry {
        id: FindingId::CleartextPassword,
        name: "cleartext-password",
        title: "Password sent in clear",
        description: "A client sent a password over a connection without TLS. Anyone on the path could read it and \
                      log in with it, whether or not the server accepted it.",
        proof: "The octets of the password were captured in a login position of the dialogue, outside TLS. The \
                server's answer is not needed.",
        remediation: "Have the client use TLS (implicit TLS on 993, 995 or 465, or require STARTTLS), have the \
                      server refuse passwords without TLS, then change the password.",
        remedies: &REFUSE_CLEAR,
        severity: 4,
        category: Category::Exposure,
        key: Key::ServerClientUserMechanism,
        rfcs: &["RFC 8314 section 3", "RFC 1939 section 7", "RFC 3501 section 6.2.3", "RFC 4616", "RFC 4954"],
        cwes: &["CWE-319", "CWE-522", "CWE-523"],
        techniques: &[SNIFFING],
    },
    Entry {
        id: FindingId::ServerAcceptsCleartextAuth,
        name: "server-accepts-cleartext-auth",
        title: "Server accepts passwords without TLS",
        description: "The server let a user in whose password came over a connection without TLS. Every account on \
                      it can be exposed by one misconfigured client.",
        proof: "A login with a password or bearer token outside TLS was answered with success.",
        remediation: "Set the server to refuse authentication until TLS is established.",
        remedies: &REFUSE_CLEAR,
        severity: 4,
        category: Category::Exposure,
        key: Key::Server,
        rfcs: &["RFC 8314 section 4.1", "RFC 4954 section 4"],
        cwes: &["CWE-319", "CWE-523"],
        techniques: &[SNIFFING],
    },
    Entry {
        id: FindingId::StarttlsNotOffered,
        name: "starttls-not-offered",
        title: "STARTTLS not offered",
        description: "The server's complete list of capabilities did not hold STARTTLS, so a client on this port \
                      cannot protect itself. The capture cannot tell whether the server or a device on the path left \
                      it out.",
        proof: "A complete capability list without STARTTLS, no gap in it, before the login or message. A POP3 \
                client that never asked CAPA and an SMTP client that said HELO prove nothing.",
        remediation: "Give the server a certificate and enable STARTTLS, or close the port in favour of implicit TLS.",
        remedies: &OFFER_TLS,
        severity: 3,
        category: Category::Transport,
        key: Key::Server,
        rfcs: &["RFC 8314 section 4.1", "RFC 3207", "RFC 2595"],
        cwes: &["CWE-319", "CWE-311"],
        techniques: &[SNIFFING],
    },
    Entry {
        id: FindingId::StarttlsOfferedUnused,
        name: "starttls-offered-unused",
        title: "STARTTLS offered and not used",
        description: "The server offered STARTTLS, the client had seen the offer and went on in clear until the end.",
        proof: "The offer was acknowledged by the client before what it sent in clear; no request for TLS until the \
                connection ended.",
        remediation: "Set the client to require STARTTLS or implicit TLS; have the server refuse logins without it.",
        remedies: &REFUSE_CLEAR,
        severity: 3,
        category: Category::Transport,
        key: Key::ServerClient,
        rfcs: &["RFC 3207", "RFC 2595", "RFC 8314 section 5.2"],
        cwes: &["CWE-319"],
        techniques: &[SNIFFING],
    },
    Entry {
        id: FindingId::CleartextAfterStarttlsRefused,
        name: "cleartext-after-starttls-refused",
        title: "Login or message in clear after STARTTLS was refused",
        description: "The client asked for TLS, was refused, and sent a credential or message in clear all the same. \
                      Whoever can make the server's answer look like a refusal gets what this client sends.",
        proof: "A request for STARTTLS, its refusal, and after it a credential or message on the same connection.",
        remediation: "Set the client to give up when TLS cannot be had; find out why the server, or a device before \
                      it, refuses.",
        remedies: &OFFER_TLS,
        severity: 4,
        category: Category::Transport,
        key: Key::ServerClient,
        rfcs: &["RFC 3207 section 6", "RFC 8314 section 5"],
        cwes: &["CWE-757", "CWE-319"],
        techniques: &[IN_THE_MIDDLE, DOWNGRADE],
    },
    Entry {
        id: FindingId::CoverageGap,
        name: "coverage-gap",
        title: "The capture does not hold all of the mail traffic",
        description: "Packets of mail connections are missing from the input, so something may have been said that \
                      nobody judged. Findings that need proof of absence are left out for those connections.",
        proof: "A gap in a mail connection, one direction missing, frames cut by the snap length, or packets dropped.",
        remediation: "Check the span port for both directions and drops, raise the ring size, capture whole frames.",
        remedies: &[],
        severity: 1,
        category: Category::Quality,
        key: Key::Input,
        rfcs: &[],
        cwes: &[],
        techniques: &[],
    },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_in_the_order_of_its_ids() {
        for (at, entry) in CATALOGUE.iter().enumerate() {
            assert_eq!(entry.id as usize, at, "{}", entry.name);
            assert_eq!(FindingId::parse(entry.name), Some(entry.id));
            assert!((1..=5).contains(&entry.severity));
        }
    }
}
