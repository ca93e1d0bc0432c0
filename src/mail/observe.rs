//! What a dialogue shows: the facts that detectors hand to the judge. Octets and meaning, no addresses, no time.

use super::capabilities::Capabilities;
use super::text::Text;
use super::tls::{CertificateFacts, ClientHello};
use crate::limits::BLOCK_OCTETS;
use crate::secret::{Fingerprint, FingerprintClass, FingerprintKey, Secret};
use crate::stream::{Direction, Mark, Overlap};

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
    /// What was said is compressed.
    Compressed,
    /// The question was never asked.
    NotAsked,
    /// The server had a temporary trouble.
    Temporary,
    /// Two copies of the octets that tell were captured, and they differ.
    Ambiguous,
}

impl Reason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::NoReply,
        Self::Gap,
        Self::Asymmetric,
        Self::Midstream,
        Self::Desync,
        Self::Evicted,
        Self::CaptureEnded,
        Self::Compressed,
        Self::NotAsked,
        Self::Temporary,
        Self::Ambiguous,
    ];

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
            Self::Compressed => "compressed",
            Self::NotAsked => "not-asked",
            Self::Temporary => "temporary",
            Self::Ambiguous => "ambiguous",
        }
    }
}

/// The last of them has the last place.
const _: () = assert!(Reason::Ambiguous as usize + 1 == Reason::ALL.len());

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

/// How sure it is that a secret is the account's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Validity {
    /// Not known: a refusal may be of the secret or of the way it came (RFC 8314 §4.1).
    Unknown,
    /// The server's code speaks of a secret that is or was right: expired, in need of a transition.
    Likely,
    /// The server has checked it and found it right.
    Valid,
    /// The server has judged one of two: copies of the octets differ.
    Ambiguous,
}

impl Validity {
    /// What such a word means; a word that is none means that it is not known.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        let known = [Self::Likely, Self::Valid, Self::Ambiguous].into_iter().find(|known| known.name() == word);
        known.unwrap_or(Self::Unknown)
    }

    /// The word for records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Likely => "likely",
            Self::Valid => "valid",
            Self::Ambiguous => "ambiguous",
        }
    }
}

/// What a challenge exchange shows besides the user: how hard it is to guess the password from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Strength {
    /// Hash of the mechanism: `MD5`, `SHA-1`, `SHA-256`, ...
    pub hash: Option<&'static str>,
    /// Rounds that the server asked for (RFC 5802 §5.1).
    pub iterations: Option<u32>,
    /// Version of the NTLM response: 1 or 2.
    pub ntlm: Option<u8>,
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
    /// The domain the account is in, where the mechanism names one (NTLM).
    pub domain: Option<Text>,
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
    /// For challenge mechanisms.
    pub strength: Strength,
    /// Copies of its octets differ, and nobody can tell which one the server took.
    pub is_ambiguous: bool,
    /// Of the secret in the other copy.
    pub other_fingerprint: Option<Fingerprint>,
}

impl Attempt {
    /// Octets of memory it takes.
    pub(super) fn octets(&self) -> usize {
        let texts = [&self.user, &self.domain, &self.authzid, &self.code];
        let text: usize = texts.into_iter().flatten().map(Text::octets).sum();
        // Its own block and the secret's.
        size_of::<Self>() + text + self.secret.as_ref().map_or(0, Secret::octets) + 2 * BLOCK_OCTETS
    }

    /// The fingerprint of a secret that can be used again.
    #[must_use]
    pub fn fingerprint(&self, key: &FingerprintKey) -> Option<Fingerprint> {
        let class = match self.class {
            SecretClass::Password => FingerprintClass::Password,
            SecretClass::Bearer => FingerprintClass::Bearer,
            SecretClass::Crackable | SecretClass::None => return None,
        };
        self.secret.as_ref().map(|secret| key.fingerprint(class, secret))
    }

    /// What the outcome says of the secret.
    #[must_use]
    pub fn validity(&self) -> Validity {
        const RIGHT_ONCE: [&str; 3] = ["EXPIRED", "432", "TRANSITION-NEEDED"];
        if self.outcome.proves_valid() {
            return if self.is_ambiguous { Validity::Ambiguous } else { Validity::Valid };
        }
        let is_right_once = self.code.as_ref().is_some_and(|code| RIGHT_ONCE.contains(&code.as_str()));
        if is_right_once { Validity::Likely } else { Validity::Unknown }
    }
}

/// A user's name that was sent without a secret.
pub struct Username {
    /// The name.
    pub user: Text,
    /// The mechanism it was sent for.
    pub mechanism: Text,
    /// Where.
    pub mark: Mark,
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

/// What octets are that stand between the end of STARTTLS and the beginning of TLS, where none may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InjectionClass {
    /// Line ends and spaces only.
    Whitespace,
    /// No line of the protocol.
    Junk,
    /// The beginning of a line: it would be glued to the first one under TLS.
    Partial,
    /// Whole commands or replies.
    Commands,
}

impl InjectionClass {
    /// The word for records; `direction` tells commands from responses.
    #[must_use]
    pub fn name(self, direction: Direction) -> &'static str {
        match (self, direction) {
            (Self::Whitespace, _) => "whitespace",
            (Self::Junk, _) => "junk",
            (Self::Partial, _) => "partial",
            (Self::Commands, Direction::ToServer) => "commands",
            (Self::Commands, Direction::ToClient) => "responses",
        }
    }
}

/// Whether octets were sent before their sender had the reply they should have waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timing {
    /// The sender had not acknowledged the reply.
    BeforeReply,
    /// It had.
    AfterReply,
    /// Not known.
    Unknown,
}

impl Timing {
    /// The word for records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeReply => "before-reply",
            Self::AfterReply => "after-reply",
            Self::Unknown => "unknown",
        }
    }
}

/// Octets in clear after STARTTLS (its reply) and before TLS. The octets themselves are not kept: they may hold a
/// credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injection {
    /// Whose stream they stand in.
    pub direction: Direction,
    /// What they are.
    pub class: InjectionClass,
    /// When they were sent.
    pub timing: Timing,
    /// Offset of the first in its direction.
    pub begin: u64,
    /// How many.
    pub octets: u64,
}

/// Content of a message in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentStep {
    /// It passed: what is said of it is known from here on.
    Passed,
    /// The server took responsibility for it (RFC 5321 §4.2.5).
    Accepted,
}

/// An instruction of the server that a client in clear should not heed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Instruction {
    /// To a server of its choice (RFC 2221, RFC 2193, RFC 5804 §1.3).
    Referral,
    /// Text that a client must show its user (RFC 3501 §7.1).
    Alert,
}

impl Instruction {
    /// The word for records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Referral => "referral",
            Self::Alert => "alert",
        }
    }
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

impl StarttlsReply {
    /// The word for the states of a connection.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::RefusedTemporarily => "refused-temporarily",
            Self::Odd => "odd",
        }
    }
}

/// Why TLS did not come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFailure {
    /// A fatal alert of this name (RFC 8446 §6), `encrypted` where only its length shows what it is.
    Alert(&'static str),
    /// The server's answer to the ClientHello was no TLS.
    NonTlsResponse,
}

/// What was seen of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsStep {
    /// A ClientHello began; the mark is its first octet's.
    ClientHelloBegins,
    /// The ClientHello is read, or given up and says nothing. Once on a connection: what a client says again after
    /// a HelloRetryRequest is the same.
    ClientHello(Box<ClientHello>),
    /// What the server chose of it.
    ServerHello {
        /// 0x0303 is TLS 1.2, 0x0002 is SSL 2.0.
        version: u16,
        /// The cipher suite; [`NO_SUITE`](super::NO_SUITE) with SSL 2.0.
        cipher: u16,
    },
    /// The server's certificate, before TLS 1.3 and where the session is not resumed. One that cannot be read is not
    /// told.
    Certificate(Box<CertificateFacts>),
    /// Encrypted records went both ways as the version demands.
    Established,
    /// After STARTTLS, before TLS 1.3: the server's application data came before any of the client's.
    ServerSpokeFirst,
    /// It is over, or will not be. After [`NonTlsResponse`](TlsFailure::NonTlsResponse) the client may still send an
    /// alert of its own.
    Failed {
        /// Who would not go on: `ToServer` is the client.
        by: Direction,
        /// Why.
        cause: TlsFailure,
    },
}

/// One fact of a dialogue.
pub enum Observation {
    /// A proxy told for whom it speaks: the ends as it saw them, such as `192.0.2.1:5000`.
    Proxied {
        /// Who connected to the proxy.
        client: Text,
        /// Where to.
        server: Text,
    },
    /// The server's greeting text.
    Greeting(Text),
    /// IMAP's greeting says that nobody has to log in.
    Preauth,
    /// The client's own name for itself (EHLO argument).
    Client(Text),
    /// Name and version from IMAP's ID, by the client or the server; IMPLEMENTATION of POP3.
    Id(Direction, Text),
    /// The client's next command, one that is known, and whether it was written in lower case.
    Command {
        /// Upper case.
        verb: &'static str,
        /// As typed.
        is_lower: bool,
    },
    /// Tag of the client's first command.
    Tag(Text),
    /// A complete list of what the server offers.
    Capabilities(Box<Capabilities>),
    /// The client asked for capabilities in a way that has no list (HELO), or the list is not whole.
    NoCapabilities(Reason),
    /// EHLO was refused, HELO taken, and MAIL follows.
    DowngradedToHelo,
    /// A command stands blanked out (`XXXX`) and was refused as unknown: devices on the path do that.
    MaskedCommand,
    /// STARTTLS or STLS was sent; the mark ends where TLS may begin.
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
    /// After a reply that accepted STARTTLS, the client goes on with a command in clear.
    PlainAfterAccept,
    /// Octets in clear where TLS should have begun, now that it has.
    Injected(Injection),
    /// Progress of TLS.
    Tls(TlsStep),
    /// TLS is followed no further.
    TlsSettled,
    /// A user's name without a secret.
    Username(Box<Username>),
    /// The server refused a mechanism that does not disclose the password, before it could.
    MechanismRefused,
    /// A login attempt, when its outcome is known or will not be.
    Login(Box<Attempt>),
    /// One message's content in clear.
    Content(ContentStep),
    /// MAIL demands TLS on every hop (RFC 8689) and was sent without it.
    RequireTls,
    /// The server tells the client what to do.
    Instruction(Instruction),
    /// The ends have changed roles (RFC 821 TURN, RFC 2645 ATRN).
    RolesSwapped,
    /// What follows is compressed (RFC 4978) and not read.
    Compressed,
    /// The client said goodbye (QUIT, LOGOUT).
    Goodbye,
    /// The dialogue could not be followed at this point.
    Desync,
    /// Copies of octets that differ.
    Ambiguous(Overlap),
    /// They were caught at two places on the path, and STARTTLS is offered in one of them only.
    Rewritten,
    /// From here on something may be missing before what is seen: octets of either end were lost.
    Lost,
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
