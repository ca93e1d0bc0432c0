//! Detection: from the octets of a connection to what its two ends said. Knows octets, directions and what each
//! end had seen; no addresses, no time.
//!
//! [`Probe`] finds the protocol by content, [`PROTOCOLS`] is the one list of those that are followed, a
//! [`Detector`] follows one connection and notes [`Observation`]s.

mod acap;
mod capabilities;
mod dialogue;
mod evidence;
mod framing;
mod guard;
mod imap;
mod imap_text;
mod implicit;
mod mechanisms;
mod nntp;
mod observe;
mod other;
mod pending;
mod pop3;
mod probe;
mod proxy;
mod sasl;
mod sieve;
mod smtp;
mod text;
mod tls;
mod upgrade;
mod verbs;

pub use capabilities::{Capabilities, LoginOffer};

pub use mechanisms::UNKNOWN_MECHANISM;
pub(crate) use mechanisms::{contains_ignoring_case, is_listed_mechanism};
pub use observe::{
    Attempt, CapabilitySource, Confidence, ContentStep, Injection, InjectionClass, Instruction, Observation, Out,
    Outcome, Reason, SecretClass, StarttlsReply, Strength, Timing, TlsFailure, TlsStep, Username, Validity, Variant,
};
pub use probe::{Hint, Known, Probe, Released, Verdict, is_hopeless};
pub use text::Text;
pub use tls::cipher::{self, CipherWeakness};
pub use tls::{CertificateFacts, ClientHello, NO_SUITE, version_name};

use crate::stream::{Direction, Mark};

/// A mail protocol, as records name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// RFC 1939.
    Pop3,
    /// RFC 3501 and 9051.
    Imap,
    /// RFC 5321 and 6409.
    Smtp,
    /// RFC 2033.
    Lmtp,
    /// RFC 5804.
    ManageSieve,
    /// RFC 3977.
    Nntp,
    /// RFC 2244.
    Acap,
}

/// What is fixed about a protocol.
pub struct ProtocolInfo {
    /// Which one.
    pub protocol: Protocol,
    /// Its name in records and options.
    pub name: &'static str,
    /// The name people read.
    pub title: &'static str,
    /// Ports where it speaks clear text, STARTTLS or not.
    pub ports: &'static [u16],
    /// Ports where TLS comes first (RFC 8314 §3).
    pub implicit_tls_ports: &'static [u16],
    start: fn(Protocol, Start) -> Box<dyn Detector>,
}

/// The one list of protocols that are followed.
pub static PROTOCOLS: [ProtocolInfo; 7] = [
    ProtocolInfo {
        protocol: Protocol::Pop3,
        name: "pop3",
        title: "POP3",
        ports: &[110],
        implicit_tls_ports: &[995],
        start: |protocol, start| guarded(protocol, pop3::Pop3::new(start), start),
    },
    ProtocolInfo {
        protocol: Protocol::Imap,
        name: "imap",
        title: "IMAP",
        ports: &[143],
        implicit_tls_ports: &[993],
        start: |protocol, start| guarded(protocol, imap::Imap::new(start), start),
    },
    ProtocolInfo {
        protocol: Protocol::Smtp,
        name: "smtp",
        title: "SMTP",
        ports: &[25, 587, 2525],
        implicit_tls_ports: &[465],
        start: |protocol, start| guarded(protocol, smtp::Smtp::new(start), start),
    },
    ProtocolInfo {
        protocol: Protocol::Lmtp,
        name: "lmtp",
        title: "LMTP",
        ports: &[24],
        implicit_tls_ports: &[],
        start: |protocol, start| guarded(protocol, smtp::Smtp::lmtp(start), start),
    },
    ProtocolInfo {
        protocol: Protocol::ManageSieve,
        name: "managesieve",
        title: "ManageSieve",
        ports: &[4190],
        implicit_tls_ports: &[],
        start: |protocol, start| guarded(protocol, sieve::Sieve::new(start), start),
    },
    ProtocolInfo {
        protocol: Protocol::Nntp,
        name: "nntp",
        title: "NNTP",
        ports: &[119],
        implicit_tls_ports: &[563],
        start: |protocol, start| guarded(protocol, nntp::Nntp::new(start), start),
    },
    ProtocolInfo {
        protocol: Protocol::Acap,
        name: "acap",
        title: "ACAP",
        ports: &[674],
        implicit_tls_ports: &[],
        start: |protocol, start| guarded(protocol, acap::Acap::new(start), start),
    },
];

impl Protocol {
    /// What is fixed about it.
    #[must_use]
    pub fn info(self) -> &'static ProtocolInfo {
        &PROTOCOLS[self as usize]
    }

    /// Its name in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.info().name
    }

    fn start(self, start: Start) -> Box<dyn Detector> {
        (self.info().start)(self, start)
    }
}

fn guarded<M: dialogue::Machine + 'static>(protocol: Protocol, machine: M, start: Start) -> Box<dyn Detector> {
    Box::new(guard::Guarded::new(protocol, dialogue::Dialogue::new(machine, start)))
}

/// What is known when a detector starts.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The beginning of the connection was not captured: no greeting is due.
    pub is_midstream: bool,
    /// Packets of the server are in the capture.
    pub server_captured: bool,
}

/// Whether more octets of the connection are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Yes.
    Open,
    /// No: all that can be learnt is learnt.
    Closed,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By FIN or RST.
    Closed,
    /// Nothing was said for so long that it is given up.
    Idle,
    /// The capture stops here.
    CaptureEnded,
    /// Its place was needed.
    Evicted,
}

/// What a detector holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Octets of memory.
    pub octets: usize,
    /// A login is under way: its outcome, or its secret, is still to come.
    pub has_open_login: bool,
    /// Where the oldest client octets stand that wait for a reply.
    pub waiting_since: Option<Mark>,
}

/// Follows one connection.
pub trait Detector: Send {
    /// The next octets of a direction.
    fn on_data(&mut self, direction: Direction, offset: u64, octets: &[u8], mark: Mark, out: &mut Out) -> Interest;
    /// The next `len` octets of a direction were not captured.
    fn on_gap(&mut self, direction: Direction, len: u64, mark: Mark, out: &mut Out);
    /// What it holds; asked after every segment with octets.
    fn load(&self) -> Load;
    /// Client octets have waited long enough for their reply.
    fn on_reply_overdue(&mut self, out: &mut Out);
    /// The connection is over: what is still open stays unknown.
    fn on_end(&mut self, end: End, out: &mut Out);
}
