//! How to mend it: the setting of each software, and a command that shows whether it took.
//!
//! In settings and tests, `HOST` is the server's name. Lines that end in a colon say where the lines below them
//! belong. A test is a command, and below it what its output must, or must not, show.
//!
//! What [`checked_with`] gives a version for was tried with that version as it ran: a login in clear that was taken
//! before is refused after, STARTTLS works, old versions are turned away. `tests/remedies/remedies.sh` does it again, from
//! this list. The others say what their makers' documentation says.

mod clients;
mod commands;
mod fronts;
mod servers;
#[cfg(test)]
mod tests;

use super::catalogue::FindingId;
use super::software::Software;
use clients::CLIENTS;
use fronts::{DEVICES, FRONTED};
use servers::SERVERS;

/// What to set in one software, and how to see that it took.
#[derive(Debug)]
pub struct Remedy {
    /// The software's name.
    pub software: &'static str,
    /// Its exact setting, in lines.
    pub setting: &'static str,
    /// A command, and what its output must or must not show.
    pub test: &'static str,
}

/// What a setting is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Refuse authentication without TLS.
    RefuseClear,
    /// Offer STARTTLS.
    OfferStarttls,
    /// TLS from the first octet, on its own port.
    ImplicitTls,
    /// TLS 1.2 and 1.3 only, with suites that keep secrets.
    TlsVersions,
    /// A certificate that clients can check.
    Certificate,
    /// Discard what came before TLS.
    DiscardBeforeTls,
    /// Leave mail alone on the way.
    Inspection,
    /// TLS from server to server.
    Transfer,
    /// Require TLS, in a client.
    RequireTls,
}

impl Topic {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RefuseClear => "refuse-clear",
            Self::OfferStarttls => "offer-starttls",
            Self::ImplicitTls => "implicit-tls",
            Self::TlsVersions => "tls-versions",
            Self::Certificate => "certificate",
            Self::DiscardBeforeTls => "discard-before-tls",
            Self::Inspection => "inspection",
            Self::Transfer => "transfer",
            Self::RequireTls => "require-tls",
        }
    }
}

/// One row of the tables.
struct Row {
    topic: Topic,
    remedy: Remedy,
}

const fn row(topic: Topic, software: &'static str, setting: &'static str, test: &'static str) -> Row {
    Row { topic, remedy: Remedy { software, setting, test } }
}

/// The name in rows for software that is not known, or has no row of its own.
const ANY_SERVER: &str = "any server";
const ANY_CLIENT: &str = "any client";

/// Software whose settings were tried, and in which versions.
const CHECKED: [(&str, &str); 22] = [
    ("Dovecot", "2.3.19.1 and 2.4.1"),
    ("Courier", "5.0.13"),
    ("Cyrus", "3.6.1"),
    ("GNU Mailutils", "3.15"),
    ("Postfix", "3.7.11"),
    ("Exim", "4.96"),
    ("Sendmail", "8.17.1.9"),
    ("OpenSMTPD", "7.6.0"),
    ("nginx", "1.22.1"),
    ("Perdition", "2.2"),
    ("stunnel", "5.68"),
    ("popa3d", "1.0.3"),
    ("fetchmail", "6.4.37"),
    ("getmail", "6.18.11"),
    ("curl", "7.88.1"),
    ("Python", "3.11.2"),
    ("Mutt", "2.2.12"),
    ("msmtp", "1.8.23"),
    ("mpop", "1.4.18"),
    ("swaks", "20201014.0"),
    ("mbsync", "1.4.4"),
    ("OfflineIMAP", "8.0.0"),
];

/// The versions that a software's setting was tried with; `None` for what is told after its documentation only.
#[must_use]
pub fn checked_with(topic: Topic, software: &str) -> Option<&'static str> {
    // What depends on an update or on other people's servers cannot be tried alone.
    let is_tried = !matches!(topic, Topic::DiscardBeforeTls | Topic::Inspection | Topic::Transfer);
    CHECKED.iter().find(|(name, _)| is_tried && *name == software).map(|(_, versions)| *versions)
}

/// What to set in the server; `None` where the server is not to blame.
///
/// Without a software, or with one whose setting is not known, it says what any server should do.
#[must_use]
pub fn server_remedy(id: FindingId, software: Option<&Software>) -> Option<&'static Remedy> {
    let topic = server_topic(id)?;
    let find = |name: &str| server_rows(topic).find(|remedy| remedy.software == name);
    software.and_then(|software| find(software.name)).or_else(|| find(ANY_SERVER))
}

/// What to set in the client; `None` where the client is not to blame.
#[must_use]
pub fn client_remedy(id: FindingId, software: Option<&Software>) -> Option<&'static Remedy> {
    let topic = client_topic(id)?;
    let find = |name: &str| client_rows(topic).find(|remedy| remedy.software == name);
    software.and_then(|software| find(software.name)).or_else(|| find(ANY_CLIENT))
}

/// What to set in each server, those of any server first.
pub fn server_remedies(id: FindingId) -> impl Iterator<Item = &'static Remedy> {
    server_topic(id).into_iter().flat_map(server_rows)
}

/// What to set in each client, those of any client first.
pub fn client_remedies(id: FindingId) -> impl Iterator<Item = &'static Remedy> {
    client_topic(id).into_iter().flat_map(client_rows)
}

/// Every remedy with its topic.
pub fn all_remedies() -> impl Iterator<Item = (Topic, &'static Remedy)> {
    all_rows().map(|row| (row.topic, &row.remedy))
}

fn all_rows() -> impl Iterator<Item = &'static Row> {
    SERVERS.iter().chain(&FRONTED).chain(&DEVICES).chain(&CLIENTS)
}

fn server_rows(topic: Topic) -> impl Iterator<Item = &'static Remedy> {
    let rows = SERVERS.iter().chain(&FRONTED).chain(&DEVICES);
    rows.filter(move |row| row.topic == topic).map(|row| &row.remedy)
}

fn client_rows(topic: Topic) -> impl Iterator<Item = &'static Remedy> {
    CLIENTS.iter().filter(move |row| row.topic == topic).map(|row| &row.remedy)
}

/// What a server, or a device before it, can do against a finding.
#[must_use]
pub fn server_topic(id: FindingId) -> Option<Topic> {
    use FindingId as Id;
    Some(match id {
        Id::CleartextPassword
        | Id::CleartextBearerToken
        | Id::CrackableAuthExchange
        | Id::CleartextUnknownMechanism
        | Id::CleartextUsername
        | Id::CredentialReuse
        | Id::ServerAcceptsCleartextAuth
        | Id::PlaintextAuthAdvertised
        | Id::AuthMechanismDowngrade
        | Id::StarttlsOfferedUnused
        | Id::TlsFallbackToCleartext
        | Id::CleartextMessageContent => Topic::RefuseClear,
        Id::StarttlsNotOffered
        | Id::StarttlsRefused
        | Id::CleartextAfterStarttlsRefused
        | Id::StarttlsOfferRegressed => Topic::OfferStarttls,
        Id::ImplicitTlsPortCleartext | Id::ImapPreauthCleartext | Id::ServerInstructionInClear => Topic::ImplicitTls,
        Id::TlsDeprecatedVersion | Id::TlsWeakCipher | Id::TlsHandshakeFailed => Topic::TlsVersions,
        Id::TlsCertificateProblem => Topic::Certificate,
        Id::StarttlsCommandInjection => Topic::DiscardBeforeTls,
        Id::StarttlsStripped | Id::EsmtpDowngradeToHelo => Topic::Inspection,
        Id::MtaCleartextTransfer | Id::RequiretlsViolated => Topic::Transfer,
        // The server did right, the client is to blame, or it is not about TLS.
        Id::AnonymousLogin
        | Id::LoginDespiteLogindisabled
        | Id::RepeatedAuthFailure
        | Id::WeakSecret
        | Id::StarttlsAcceptedNoTls
        | Id::StarttlsResponseInjection
        | Id::ProtocolDesync
        | Id::StreamAmbiguousOverlap
        | Id::CoverageGap => return None,
    })
}

/// What a client can do against a finding: to require TLS, or nothing.
#[must_use]
pub fn client_topic(id: FindingId) -> Option<Topic> {
    use FindingId as Id;
    match id {
        Id::AnonymousLogin
        | Id::RepeatedAuthFailure
        | Id::WeakSecret
        | Id::PlaintextAuthAdvertised
        | Id::MtaCleartextTransfer
        | Id::RequiretlsViolated
        | Id::TlsDeprecatedVersion
        | Id::TlsWeakCipher
        | Id::TlsCertificateProblem
        | Id::TlsHandshakeFailed
        | Id::ProtocolDesync
        | Id::StreamAmbiguousOverlap
        | Id::CoverageGap => None,
        _ => Some(Topic::RequireTls),
    }
}
