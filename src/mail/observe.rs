//! What a dialogue shows: the facts that detectors hand to the judge. Octets and meaning, no addresses, no time.

use super::text::Text;
use crate::secret::Secret;
use crate::stream::Mark;

/// Why a fact is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The other end said nothing more.
    NoReply,
    /// The octets that would tell were not captured.
    Gap,
    /// One direction is not in the capture.
    Asymmetric,
    /// The connection began before the capture.
    Midstream,
    /// The dialogue could not be followed.
    Desync,
    /// The flow was given up for want of memory.
    Evicted,
    /// The capture ends before the reply.
    CaptureEnded,
    /// The question was never asked.
    NotAsked,
    /// The server had a temporary trouble.
    Temporary,
}

impl Reason {
    /// The word for records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoReply => "no-reply",
            Self::Gap => "gap",
            Self::Asymmetric => "asymmetric",
            Self::Midstream => "midstream",
            Self::Desync => "desync",
            Self::Evicted => "evicted",
            Self::CaptureEnded => "capture-ended",
            Self::NotAsked => "not-asked",
            Self::Temporary => "temporary",
        }
    }
}

/// What became of a login attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The server let the user in.
    Accepted,
    /// The server refused the credential.
    Rejected,
    /// The credential was right, something else stood against it (RFC 2449 `[IN-USE]`, RFC 5530 `[AUTHORIZATIONFAILED]`).
    RejectedAfterAuth,
    /// The server would not look at it: encryption required, mechanism not allowed.
    RefusedByPolicy,
    /// The client gave up, or the command was malformed.
    Cancelled,
    /// Not known, and why.
    Unknown(Reason),
}

impl Outcome {
    /// The word for records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::RejectedAfterAuth => "rejected-after-auth",
            Self::RefusedByPolicy => "refused-by-policy",
            Self::Cancelled => "cancelled",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Whether the outcome proves that the secret works.
    #[must_use]
    pub fn proves_valid(self) -> bool {
        matches!(self, Self::Accepted | Self::RejectedAfterAuth)
    }
}

/// What kind of secret a mechanism lets an observer have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretClass {
    /// The password itself.
    Password,
    /// A bearer token.
    Bearer,
    /// Challenge and response, to be tried offline.
    Crackable,
    /// Nothing reusable.
    None,
}

impl SecretClass {
    /// The word for records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Bearer => "bearer",
            Self::Crackable => "crackable",
            Self::None => "none",
        }
    }
}

/// How the client wrote the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variant {
    /// Plain command arguments.
    Command,
    /// IMAP quoted strings.
    Quoted,
    /// IMAP synchronising literals.
    Literal,
    /// IMAP non-synchronising literals.
    LiteralPlus,
    /// SASL with an initial response.
    InitialResponse,
    /// SASL line by line.
    Continuation,
}

impl Variant {
    /// The word for records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Quoted => "quoted",
            Self::Literal => "literal",
            Self::LiteralPlus => "literal-plus",
            Self::InitialResponse => "initial-response",
            Self::Continuation => "continuation",
        }
    }
}

/// How sure a fact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// A heuristic only.
    Possible,
    /// One inference.
    Probable,
    /// All preconditions, on unambiguous octets.
    Confirmed,
}

impl Confidence {
    /// The word for records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Probable => "probable",
            Self::Confirmed => "confirmed",
        }
    }
}

/// A login attempt seen in clear.
pub struct Attempt {
    /// Its name in records: `USER-PASS`, `PLAIN`, ...
    pub mechanism: Text,
    /// What the mechanism discloses.
    pub class: SecretClass,
    /// How it was written.
    pub variant: Variant,
    /// Who claims to log in.
    pub user: Option<Text>,
    /// Whom the user wants to act as, where that differs.
    pub authzid: Option<Text>,
    /// The secret, when it could be read.
    pub secret: Option<Secret>,
    /// Where the secret was complete.
    pub mark: Mark,
    /// What became of it.
    pub outcome: Outcome,
    /// The server's code: `235`, `AUTHENTICATIONFAILED`, ...
    pub code: Option<Text>,
    /// How sure the exposure is.
    pub confidence: Confidence,
    /// The outcome was concluded from what the server did later.
    pub is_inferred: bool,
}

/// Where a capability list stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapabilitySource {
    /// IMAP greeting code.
    Greeting,
    /// EHLO or LHLO reply.
    Ehlo,
    /// POP3 CAPA.
    Capa,
    /// IMAP untagged CAPABILITY.
    Capability,
    /// IMAP code in a tagged OK.
    TaggedOk,
}

impl CapabilitySource {
    /// The word for records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Ehlo => "ehlo",
            Self::Capa => "capa",
            Self::Capability => "capability",
            Self::TaggedOk => "tagged-ok",
        }
    }
}

/// A complete capability list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Where it stood.
    pub source: CapabilitySource,
    /// STARTTLS or STLS is in it.
    pub has_starttls: bool,
    /// Server stream offset after it.
    pub end: u64,
}

/// How the server answered a request for TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StarttlsReply {
    /// Go ahead.
    Accepted,
    /// No, with a permanent code.
    Refused,
    /// Not now.
    RefusedTemporarily,
    /// A reply that is neither (250, 354, a continuation).
    Odd,
}

/// What was seen of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsStep {
    /// A ClientHello began.
    ClientHello,
    /// A ServerHello chose this version (0x0303 and so on).
    ServerHello(u16),
    /// Encrypted records went both ways as the version demands.
    Established,
    /// A fatal alert in clear.
    Failed,
}

/// One fact of a dialogue.
pub enum Observation {
    /// The server's greeting text.
    Greeting(Text),
    /// The client's own name for itself (EHLO argument, IMAP ID).
    Client(Text),
    /// A complete list of what the server offers.
    Capabilities(Capabilities),
    /// The client asked for capabilities in a way that has no list (HELO), or the list is not whole.
    NoCapabilities(Reason),
    /// STARTTLS or STLS was sent.
    StarttlsRequested,
    /// The server's answer to it.
    StarttlsReplied {
        /// What it amounts to.
        reply: StarttlsReply,
        /// `220`, `-ERR`, `NO`.
        code: Text,
        /// Server stream offset after it.
        end: u64,
    },
    /// Progress of TLS.
    Tls(TlsStep),
    /// The server name the ClientHello asked for.
    ServerName(Text),
    /// A login attempt, when its outcome is known or will not be.
    Login(Box<Attempt>),
    /// One message's content passed in clear.
    Content,
    /// The client said goodbye (QUIT, LOGOUT).
    Goodbye,
    /// The dialogue could not be followed at this point.
    Desync,
}

/// Collects observations with their places.
#[derive(Default)]
pub struct Out {
    seen: Vec<(Mark, Observation)>,
}

impl Out {
    /// Notes a fact.
    pub fn push(&mut self, mark: Mark, observation: Observation) {
        self.seen.push((mark, observation));
    }

    /// Whether the latest fact is one that `wanted` holds for.
    pub(super) fn last_is(&self, wanted: impl FnOnce(&Observation) -> bool) -> bool {
        self.seen.last().is_some_and(|(_, observation)| wanted(observation))
    }

    /// Takes all facts noted so far.
    pub fn drain(&mut self) -> std::vec::Drain<'_, (Mark, Observation)> {
        self.seen.drain(..)
    }

    /// Whether nothing was noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}
