//! Records read back for who adds them up: what a report and a comparison need of a line, as plain values.
//!
//! Lines may have been through other people's systems, so whatever does not have the type that the schema gives it makes
//! the line one that cannot be read, and says nothing else. Fields that are not needed are passed over unread.

use super::time;
use crate::finding::{Uid, severity_of};
use crate::mail::{PROTOCOLS, Protocol, Validity};
use serde::Deserialize;
use std::borrow::Cow;
use std::net::IpAddr;

/// Which of the three kinds of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactKind {
    /// A distinct finding with its count.
    Finding,
    /// A login attempt in clear.
    Login,
    /// A mail connection.
    Session,
}

/// Why a line is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoFact {
    /// It is no JSON, or a field has another type than in the schema.
    Unreadable,
    /// It is JSON, of another program or in another form.
    Foreign,
}

/// A certificate that a server showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFact<'a> {
    /// SHA-256 in hexadecimal.
    pub sha256: Cow<'a, str>,
    /// Whom it is for.
    pub subject: Cow<'a, str>,
    /// Who signed it.
    pub issuer: Cow<'a, str>,
    /// Valid until, in nanoseconds since 1970.
    pub not_after: Option<u64>,
}

/// What a record says. Text that is not there is empty; all of it may have been chosen by a stranger.
#[derive(Clone, Debug)]
pub struct Fact<'a> {
    /// Which kind of record.
    pub kind: FactKind,
    /// `event.id`.
    pub id: Cow<'a, str>,
    /// `@timestamp`, in nanoseconds since 1970.
    pub time: u64,
    /// Of a finding that occurred several times, the first.
    pub first: u64,
    /// The identifier of a finding.
    pub action: Cow<'a, str>,
    /// The title of a finding.
    pub title: Cow<'a, str>,
    /// One sentence.
    pub message: Cow<'a, str>,
    /// 1 to 5; 0 where it has none.
    pub severity: u8,
    /// Occurrences; 1 of what is no finding.
    pub count: u64,
    /// What `confidence` says.
    pub confidence: Cow<'a, str>,
    /// `None`: not given, or one that this version does not know.
    pub protocol: Option<Protocol>,
    /// Address and port.
    pub server: Option<(IpAddr, u16)>,
    /// Address.
    pub client: Option<IpAddr>,
    /// Port.
    pub client_port: Option<u16>,
    /// The account.
    pub user: Option<Cow<'a, str>>,
    /// The capture file or interface.
    pub input: Cow<'a, str>,
    /// That input is an interface.
    pub is_live: bool,
    /// Number of the packet in it.
    pub packet: Option<u64>,
    /// What the sensor is called.
    pub sensor: Cow<'a, str>,
    /// Of a session, its first packet.
    pub start: Option<u64>,
    /// What all views of one connection have in common.
    pub conversation: Option<Uid>,
    /// What became of a login.
    pub outcome: Cow<'a, str>,
    /// Why that is not known.
    pub outcome_reason: Cow<'a, str>,
    /// What that says of the secret.
    pub validity: Validity,
    /// It may be somebody else's than the client's, or copies of its octets differ.
    pub is_doubtful: bool,
    /// SASL mechanism or command of a login.
    pub mechanism: Cow<'a, str>,
    /// Community ID of the connection.
    pub connection: Cow<'a, str>,
    /// Keyed fingerprint of the secret.
    pub fingerprint: Cow<'a, str>,
    /// `password`, `bearer`, `crackable`, `none`.
    pub secret_class: Cow<'a, str>,
    /// Whether STARTTLS was offered: `offered`, `not-offered`, `unknown`.
    pub offer: Cow<'a, str>,
    /// Why that is not known.
    pub offer_reason: Cow<'a, str>,
    /// The client asked for it.
    pub is_requested: bool,
    /// `accepted`, `refused`, `none`.
    pub reply: Cow<'a, str>,
    /// Encrypted records passed both ways.
    pub is_tls: Option<bool>,
    /// TLS came first.
    pub is_implicit_tls: bool,
    /// `ssl` or `tls`, and the version.
    pub tls_version: [Cow<'a, str>; 2],
    /// What the server showed.
    pub certificate: Option<CertificateFact<'a>>,
    /// What the server greets with.
    pub banner: Cow<'a, str>,
    /// The software that the server shows itself to be.
    pub server_software: Cow<'a, str>,
    /// The software that the client shows itself to be.
    pub client_software: Cow<'a, str>,
    /// `complete`, or what is missing.
    pub coverage: Cow<'a, str>,
    /// Messages whose content passed in clear.
    pub messages_in_clear: u64,
    /// Where one secret was used.
    pub places: Vec<Cow<'a, str>>,
    /// What to do.
    pub remediation: Cow<'a, str>,
    /// Somebody lets it stand for a while.
    pub is_accepted: bool,
    /// Fields were left out of the line.
    pub is_truncated: bool,
}

impl<'a> Fact<'a> {
    /// Of a line with or without its line feed.
    ///
    /// # Errors
    ///
    /// It is no record.
    pub fn parse(line: &'a [u8]) -> Result<Self, NoFact> {
        let raw: Raw<'a> = match serde_json::from_slice(line) {
            Ok(raw) => raw,
            Err(error) if error.is_data() => {
                // Another program's JSON has other types in the same places, too.
                let is_ours = memchr::memmem::find(line, b"barewire.").is_some();
                return Err(if is_ours { NoFact::Unreadable } else { NoFact::Foreign });
            }
            Err(_) => return Err(NoFact::Unreadable),
        };
        let kind = match &*raw.event.dataset {
            "barewire.finding" => FactKind::Finding,
            "barewire.login" => FactKind::Login,
            "barewire.session" => FactKind::Session,
            _ => return Err(NoFact::Foreign),
        };
        let time = time::parsed(&raw.timestamp).ok_or(NoFact::Unreadable)?;
        if raw.event.id.is_empty() {
            return Err(NoFact::Unreadable);
        }
        Ok(raw.fact(kind, time))
    }

    /// How the connection was protected.
    #[must_use]
    pub fn protection(&self) -> Protection {
        Protection::of(self.is_tls, self.is_implicit_tls)
    }
}

/// How a connection was protected, in the order of [`crate::ops::metrics::TRANSPORTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Not at all.
    Clear,
    /// By TLS after STARTTLS.
    Starttls,
    /// By TLS from the start.
    ImplicitTls,
    /// Not known.
    Unknown,
}

impl Protection {
    /// Of a connection over which encrypted records passed both ways, and which began with TLS.
    #[must_use]
    pub fn of(is_tls: Option<bool>, is_implicit_tls: bool) -> Self {
        match is_tls {
            Some(true) if is_implicit_tls => Self::ImplicitTls,
            Some(true) => Self::Starttls,
            Some(false) if !is_implicit_tls => Self::Clear,
            _ => Self::Unknown,
        }
    }
}

/// The fields as they stand in a line.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Raw<'a> {
    #[serde(rename = "@timestamp", borrow)]
    timestamp: Cow<'a, str>,
    #[serde(borrow)]
    message: Cow<'a, str>,
    #[serde(borrow)]
    event: RawEvent<'a>,
    #[serde(borrow)]
    rule: RawRule<'a>,
    client: RawSide,
    server: RawSide,
    #[serde(borrow)]
    network: RawNetwork<'a>,
    #[serde(borrow)]
    user: RawUser<'a>,
    #[serde(borrow)]
    tls: RawTls<'a>,
    #[serde(borrow)]
    observer: RawObserver<'a>,
    #[serde(borrow)]
    log: RawLog<'a>,
    #[serde(borrow)]
    barewire: RawOwn<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawEvent<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    dataset: Cow<'a, str>,
    #[serde(borrow)]
    start: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawRule<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawSide {
    ip: Option<IpAddr>,
    port: Option<u16>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawNetwork<'a> {
    #[serde(borrow)]
    protocol: Cow<'a, str>,
    #[serde(borrow)]
    community_id: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawUser<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawTls<'a> {
    established: Option<bool>,
    #[serde(borrow)]
    version: Cow<'a, str>,
    #[serde(borrow)]
    version_protocol: Cow<'a, str>,
    #[serde(borrow)]
    server: RawCertificate<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawCertificate<'a> {
    #[serde(borrow)]
    subject: Cow<'a, str>,
    #[serde(borrow)]
    issuer: Cow<'a, str>,
    #[serde(borrow)]
    not_after: Cow<'a, str>,
    #[serde(borrow)]
    hash: RawHash<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawHash<'a> {
    #[serde(borrow)]
    sha256: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawObserver<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    ingress: RawIngress<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawIngress<'a> {
    #[serde(borrow)]
    interface: RawInterface<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawInterface<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawLog<'a> {
    #[serde(borrow)]
    file: RawFile<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawFile<'a> {
    #[serde(borrow)]
    path: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawOwn<'a> {
    packet: Option<u64>,
    #[serde(borrow)]
    confidence: Cow<'a, str>,
    #[serde(borrow)]
    severity: Cow<'a, str>,
    count: Option<u64>,
    #[serde(borrow)]
    first_seen: Cow<'a, str>,
    #[serde(borrow)]
    login: RawLogin<'a>,
    #[serde(borrow)]
    starttls: RawStarttls<'a>,
    implicit_tls: bool,
    messages_in_clear: u64,
    #[serde(borrow)]
    coverage: Cow<'a, str>,
    #[serde(borrow)]
    conversation: Cow<'a, str>,
    #[serde(borrow)]
    server: RawSoftware<'a>,
    #[serde(borrow)]
    client: RawSoftware<'a>,
    #[serde(borrow)]
    evidence: RawEvidence<'a>,
    #[serde(borrow)]
    remediation: Cow<'a, str>,
    accepted: Option<serde::de::IgnoredAny>,
    truncated: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawLogin<'a> {
    #[serde(borrow)]
    mechanism: Cow<'a, str>,
    #[serde(borrow)]
    outcome: Cow<'a, str>,
    #[serde(borrow)]
    outcome_reason: Cow<'a, str>,
    #[serde(borrow)]
    secret_validity: Cow<'a, str>,
    #[serde(borrow)]
    fingerprint: Cow<'a, str>,
    #[serde(borrow)]
    secret_class: Cow<'a, str>,
    #[serde(borrow)]
    context: Cow<'a, str>,
    ambiguous: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawStarttls<'a> {
    #[serde(borrow)]
    offer: Cow<'a, str>,
    #[serde(borrow)]
    offer_reason: Cow<'a, str>,
    requested: bool,
    #[serde(borrow)]
    reply: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawSoftware<'a> {
    #[serde(borrow)]
    banner: Cow<'a, str>,
    #[serde(borrow)]
    software: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawEvidence<'a> {
    #[serde(borrow)]
    places: Vec<Cow<'a, str>>,
}

impl<'a> Raw<'a> {
    fn fact(self, kind: FactKind, time: u64) -> Fact<'a> {
        let own = self.barewire;
        let is_live = self.log.file.path.is_empty();
        let input = if is_live { self.observer.ingress.interface.name } else { self.log.file.path };
        let severity = severity_of(&own.severity).unwrap_or(0);
        let shown = self.tls.server;
        let certificate = (!shown.hash.sha256.is_empty()).then(|| CertificateFact {
            sha256: shown.hash.sha256,
            subject: shown.subject,
            issuer: shown.issuer,
            not_after: time::parsed(&shown.not_after),
        });
        Fact {
            kind,
            id: self.event.id,
            time,
            first: time::parsed(&own.first_seen).unwrap_or(time).min(time),
            action: self.event.action,
            title: self.rule.name,
            message: self.message,
            severity,
            count: own.count.unwrap_or(1).max(1),
            confidence: own.confidence,
            protocol: PROTOCOLS.iter().find(|info| info.name == self.network.protocol).map(|info| info.protocol),
            server: self.server.ip.zip(self.server.port),
            client: self.client.ip,
            client_port: self.client.port,
            user: self.user.name,
            input,
            is_live,
            packet: own.packet,
            sensor: self.observer.name,
            start: time::parsed(&self.event.start),
            conversation: Uid::parse(&own.conversation),
            outcome: own.login.outcome,
            outcome_reason: own.login.outcome_reason,
            mechanism: own.login.mechanism,
            connection: self.network.community_id,
            validity: Validity::parse(&own.login.secret_validity),
            is_doubtful: own.login.ambiguous || !own.login.context.is_empty(),
            fingerprint: own.login.fingerprint,
            secret_class: own.login.secret_class,
            offer: own.starttls.offer,
            offer_reason: own.starttls.offer_reason,
            is_requested: own.starttls.requested,
            reply: own.starttls.reply,
            is_tls: self.tls.established,
            is_implicit_tls: own.implicit_tls,
            tls_version: [self.tls.version_protocol, self.tls.version],
            certificate,
            banner: own.server.banner,
            server_software: own.server.software,
            client_software: own.client.software,
            coverage: own.coverage,
            messages_in_clear: own.messages_in_clear,
            places: own.evidence.places,
            remediation: own.remediation,
            is_accepted: own.accepted.is_some(),
            is_truncated: own.truncated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_record_of_ours_or_says_why_not() {
        let ours =
            br#"{"@timestamp":"2026-11-24T23:02:05.168939Z","event":{"id":"A","dataset":"barewire.login"},"x":[{}]}"#;
        assert_eq!(Fact::parse(ours).expect("a record").kind, FactKind::Login);
        for (line, wanted) in [
            ("", NoFact::Unreadable),
            ("CEF:0|barewire|", NoFact::Unreadable),
            ("{\"@timestamp\":\"2026-11-24T23:02:05", NoFact::Unreadable),
            ("[1]", NoFact::Foreign),
            (r#"{"event":"x"}"#, NoFact::Foreign),
            (r#"{"event":{"dataset":"zeek.conn"}}"#, NoFact::Foreign),
            (r#"{"class_uid":2004,"message":"x"}"#, NoFact::Foreign),
            (r#"{"event":{"dataset":"barewire.login","id":"A"},"@timestamp":"yesterday"}"#, NoFact::Unreadable),
            (r#"{"event":{"dataset":"barewire.login","id":7}}"#, NoFact::Unreadable),
            (
                r#"{"@timestamp":"2026-11-24T23:02:05.168939Z","event":{"dataset":"barewire.login"}}"#,
                NoFact::Unreadable,
            ),
        ] {
            assert_eq!(Fact::parse(line.as_bytes()).expect_err(line), wanted, "{line}");
        }
    }
}
