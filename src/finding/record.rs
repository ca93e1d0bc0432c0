//! The three kinds of records, as facts; how they are written is the output's affair.

use super::catalogue::FindingId;
use super::software::Software;
use super::uid::Uid;
use crate::limits::{CERTIFICATE_NAMES, TEXT_CHARS};
use crate::mail::{
    CapabilitySource, CertificateFacts, ClientHello, Confidence, Outcome, Protocol, Reason, SecretClass, StarttlsReply,
    Strength, Text, Timing, Validity, Variant,
};
use crate::secret::Fingerprint;
use crate::stream::Overlap;
use crate::wire::{Endpoint, PacketRef, Tunnel};
use std::sync::Arc;

/// A connection as records name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    /// Who opened it.
    pub client: Endpoint,
    /// Whom to.
    pub server: Endpoint,
    /// Its first captured packet.
    pub start: PacketRef,
    /// What it speaks.
    pub protocol: Protocol,
    /// Outermost VLAN identifier.
    pub vlan: Option<u16>,
    /// The outermost tunnel that it was seen in.
    pub tunnel: Option<Tunnel>,
    /// Sequence numbers of the first octets of client and server, when both handshakes were captured. Address
    /// translation keeps them: they join what two sensors saw of one connection.
    pub isns: Option<[u32; 2]>,
}

impl Flow {
    /// Nothing of it was on a network.
    #[must_use]
    pub fn is_on_one_host(&self) -> bool {
        let (client, server) = (self.client.ip(), self.server.ip());
        client.is_loopback() || server.is_loopback() || client == server
    }

    /// The same with the ends exchanged.
    #[must_use]
    pub fn turned(self) -> Self {
        Self {
            client: self.server,
            server: self.client,
            isns: self.isns.map(|[client, server]| [server, client]),
            ..self
        }
    }
}

/// Whether the server offered STARTTLS before it mattered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offer {
    /// In a list the client had seen.
    Offered,
    /// A complete list did not hold it.
    NotOffered,
    /// Not known, and why.
    Unknown(Reason),
}

impl Offer {
    /// The word for records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::NotOffered => "not-offered",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Why it is unknown.
    #[must_use]
    pub fn reason(self) -> Option<Reason> {
        match self {
            Self::Unknown(reason) => Some(reason),
            Self::Offered | Self::NotOffered => None,
        }
    }
}

/// What happened to STARTTLS on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Starttls {
    /// Whether the server offered it.
    pub offer: Offer,
    /// Whether the client asked for it.
    pub is_requested: bool,
    /// What the server answered.
    pub reply: Option<StarttlsReply>,
    /// Its code: `220`, `-ERR`, `NO`.
    pub reply_code: Option<Text>,
}

/// How much of a connection the capture holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Coverage {
    /// Both directions, from the first octet, without a hole.
    Complete,
    /// Not all, and what is missing.
    Partial(Reason),
}

impl Coverage {
    /// The word for records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial(reason) => reason.name(),
        }
    }
}

/// A login attempt seen in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// On which connection.
    pub flow: Flow,
    /// 1-based number of the attempt on its connection.
    pub ordinal: u32,
    /// The packet that completed the secret.
    pub at: PacketRef,
    /// `USER-PASS`, `IMAP-LOGIN`, `PLAIN`, ...
    pub mechanism: Text,
    /// How it was written.
    pub variant: Variant,
    /// What the mechanism discloses.
    pub class: SecretClass,
    /// The account claimed.
    pub user: Option<Text>,
    /// The domain it is in, where the mechanism names one.
    pub domain: Option<Text>,
    /// Whom the user wants to act as, where that differs.
    pub authzid: Option<Text>,
    /// Keyed fingerprint of password or token.
    pub fingerprint: Option<Fingerprint>,
    /// Copies of its octets differ.
    pub is_ambiguous: bool,
    /// Fingerprint of the secret in the other copy.
    pub other_fingerprint: Option<Fingerprint>,
    /// What became of it.
    pub outcome: Outcome,
    /// What the outcome says of the secret.
    pub validity: Validity,
    /// The secret is empty.
    pub is_empty: bool,
    /// For challenge mechanisms.
    pub strength: Strength,
    /// It stands between STARTTLS and TLS, where somebody else than the client may have put it.
    pub is_injected: bool,
    /// The outcome was concluded from what followed.
    pub is_inferred: bool,
    /// The server's code.
    pub code: Option<Text>,
    /// How sure the exposure is.
    pub confidence: Confidence,
    /// STARTTLS as it stood then.
    pub starttls: Starttls,
}

/// What was visible of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// The version the ServerHello chose.
    pub version: Option<u16>,
    /// The cipher suite it chose.
    pub cipher: Option<u16>,
    /// What the ClientHello said.
    pub hello: Option<Box<ClientHello>>,
    /// The server's certificate; TLS 1.3 and resumption hide it.
    pub certificate: Option<Box<CertificateFacts>>,
}

impl TlsFacts {
    /// Octets of memory besides its own: of hello and certificate at most what their bounds allow.
    pub(super) fn octets(&self) -> usize {
        const HELLO: usize = size_of::<ClientHello>() + 2 * TEXT_CHARS;
        const CERTIFICATE: usize = size_of::<CertificateFacts>() + (CERTIFICATE_NAMES + 4) * TEXT_CHARS;
        self.hello.as_ref().map_or(0, |_| HELLO) + self.certificate.as_ref().map_or(0, |_| CERTIFICATE)
    }
}

/// A mail connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The connection.
    pub flow: Flow,
    /// Its last captured packet.
    pub end: PacketRef,
    /// Captured packets.
    pub packets: u64,
    /// Octets of payload from the client and from the server.
    pub octets: [u64; 2],
    /// STARTTLS as it stood at the end.
    pub starttls: Starttls,
    /// Whether TLS came about; `None` when that is not known.
    pub is_tls: Option<bool>,
    /// What was visible of it.
    pub tls: TlsFacts,
    /// TLS came first.
    pub is_implicit_tls: bool,
    /// Why TLS did not come about.
    pub tls_failure: Option<Text>,
    /// The offer of STARTTLS stood masked.
    pub is_masked: bool,
    /// The first credential or message in clear.
    pub exposed: Option<PacketRef>,
    /// Login attempts in clear.
    pub logins: u32,
    /// Messages whose content passed in clear.
    pub messages: u32,
    /// What is missing.
    pub coverage: Coverage,
    /// How sure the protocol is.
    pub confidence: Confidence,
    /// The server's greeting.
    pub banner: Option<Text>,
    /// The client's own name.
    pub client_name: Option<Text>,
    /// The client that a proxy said it speaks for: address and port.
    pub proxied_client: Option<Text>,
    /// The server's software, as far as it shows itself.
    pub server_software: Option<&'static Software>,
    /// The client's.
    pub client_software: Option<&'static Software>,
}

/// What shows a finding, beyond who, where and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Which kind of it: `self-signed`, `commands`, `referral`, ...
    pub kind: Option<&'static str>,
    /// Lesser kinds that it is as well.
    pub also: Vec<&'static str>,
    /// When octets were sent that should not have been.
    pub timing: Option<Timing>,
    /// How many they were.
    pub octets: Option<u64>,
    /// The server spoke first under TLS: a weak sign that it has run what was injected.
    pub server_reacted: Option<bool>,
    /// Why TLS failed.
    pub cause: Option<Text>,
    /// What the exposure stands in: `pre-tls-injected`.
    pub context: Option<&'static str>,
    /// Where the capability list stood.
    pub offer_source: Option<CapabilitySource>,
    /// The list.
    pub capabilities: Option<Text>,
    /// The states the connection went through.
    pub path: Option<String>,
    /// For challenge mechanisms.
    pub strength: Strength,
    /// For findings about TLS.
    pub tls: TlsFacts,
    /// Servers, protocols and users where one secret was used.
    pub places: Vec<String>,
    /// Distinct secrets, distinct users among several attempts.
    pub attempts: Option<[u32; 2]>,
    /// Seconds between the two connections that make it up.
    pub seconds: Option<u64>,
    /// Copies of octets that differ.
    pub overlap: Option<Overlap>,
}

/// One occurrence of a finding, before equal ones are counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub id: FindingId,
    /// 1 info to 5 critical.
    pub severity: u8,
    /// How sure.
    pub confidence: Confidence,
    /// Where: absent for findings about the input itself.
    pub flow: Option<Flow>,
    /// The packet that shows it.
    pub at: PacketRef,
    /// Whose account.
    pub user: Option<Text>,
    /// Whom the user wants to act as, where that differs.
    pub authzid: Option<Text>,
    /// By which mechanism.
    pub mechanism: Option<Text>,
    /// What became of the login.
    pub outcome: Option<Outcome>,
    /// What that says of the secret.
    pub validity: Validity,
    /// Keyed fingerprint of the secret.
    pub fingerprint: Option<Fingerprint>,
    /// STARTTLS on that connection.
    pub starttls: Option<Starttls>,
    /// For [`FindingId::CoverageGap`]: what is missing.
    pub missing: Option<Reason>,
    /// What else shows it; many findings may share it.
    pub evidence: Option<Arc<Evidence>>,
    /// Its identity, when it is known already.
    pub uid: Option<Uid>,
    /// Exposures on the same connection.
    pub related: Vec<Uid>,
    /// The server's software, as far as it shows itself.
    pub server_software: Option<&'static Software>,
    /// The client's.
    pub client_software: Option<&'static Software>,
}

impl Finding {
    /// Some of the mail traffic is not in the capture: known at `at`, by its input.
    #[must_use]
    pub fn coverage_gap(at: PacketRef, missing: Reason) -> Self {
        Self { missing: Some(missing), ..Self::new(FindingId::CoverageGap, None, at, Confidence::Confirmed) }
    }

    /// A finding about a connection, as grave as its kind and without anything particular.
    #[must_use]
    pub(super) fn new(id: FindingId, flow: Option<Flow>, at: PacketRef, confidence: Confidence) -> Self {
        Self {
            id,
            severity: id.entry().severity,
            confidence,
            flow,
            at,
            user: None,
            authzid: None,
            mechanism: None,
            outcome: None,
            validity: Validity::Unknown,
            fingerprint: None,
            starttls: None,
            missing: None,
            evidence: None,
            uid: None,
            related: Vec::new(),
            server_software: None,
            client_software: None,
        }
    }

    /// Where one secret was used.
    #[must_use]
    pub fn places(&self) -> &[String] {
        self.evidence.as_ref().map_or(&[], |evidence| &evidence.places)
    }

    /// Its evidence, to be filled in.
    pub(super) fn evidence_mut(&mut self) -> &mut Evidence {
        Arc::make_mut(self.evidence.get_or_insert_default())
    }
}

/// What the engine hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A finding.
    Finding(Box<Finding>),
    /// A login attempt.
    Login(Box<Login>),
    /// A connection that ended.
    Session(Box<Session>),
}

impl Record {
    /// The packet a record is about, which orders records.
    #[must_use]
    pub fn at(&self) -> PacketRef {
        match self {
            Self::Finding(finding) => finding.at,
            Self::Login(login) => login.at,
            Self::Session(session) => session.end,
        }
    }
}
