//! The three kinds of records, as facts; how they are written is the output's affair.

use super::catalogue::FindingId;
use crate::mail::{Confidence, Outcome, Protocol, Reason, SecretClass, StarttlsReply, Text, Variant};
use crate::secret::Fingerprint;
use crate::wire::{Endpoint, PacketRef};

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
    /// Whom the user wants to act as, where that differs.
    pub authzid: Option<Text>,
    /// Keyed fingerprint of password or token.
    pub fingerprint: Option<Fingerprint>,
    /// What became of it.
    pub outcome: Outcome,
    /// The outcome was concluded from what followed.
    pub is_inferred: bool,
    /// The server's code.
    pub code: Option<Text>,
    /// How sure the exposure is.
    pub confidence: Confidence,
    /// STARTTLS as it stood then.
    pub starttls: Starttls,
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
    /// The version the ServerHello chose.
    pub tls_version: Option<u16>,
    /// The name the ClientHello asked for.
    pub server_name: Option<Text>,
    /// TLS came first.
    pub is_implicit_tls: bool,
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
    /// By which mechanism.
    pub mechanism: Option<Text>,
    /// What became of the login.
    pub outcome: Option<Outcome>,
    /// Keyed fingerprint of the secret.
    pub fingerprint: Option<Fingerprint>,
    /// STARTTLS on that connection.
    pub starttls: Option<Starttls>,
    /// For [`FindingId::CoverageGap`]: what is missing.
    pub missing: Option<Reason>,
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
