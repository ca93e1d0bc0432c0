//! Which protocol a connection speaks, by its first octets. Ports are hints, never proof; a greeting alone is not
//! enough where others greet alike (`+OK`: Redis, NATS; `220`: FTP).
//!
//! Octets are kept until the decision and then handed to the detector in the order in which they came.

use super::imap_text::{argument, is_tag};
use super::observe::{Confidence, Out};
use super::pop3::split_verb;
use super::sasl;
use super::smtp::parse_reply;
use super::{Detector, Interest, Protocol, Start, implicit};
use super::{nntp, tls};
use crate::limits::PROBE_OCTETS;
use crate::stream::{Direction, Mark};
use zeroize::Zeroizing;

/// What the ports suggest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The protocol usual on the server's port.
    pub protocol: Protocol,
    /// On this port TLS comes first.
    pub is_implicit_tls: bool,
}

/// What is known of the connection besides its octets.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// What the server's port suggests.
    pub hint: Option<Hint>,
    /// Ports of client and server, as assumed.
    pub ports: [u16; 2],
    /// The beginning was not captured.
    pub is_midstream: bool,
    /// A SYN told who the client is.
    pub is_sure_of_ends: bool,
}

/// FTP logs in with USER and PASS too. Without a reply only its ports tell it from POP3.
const FTP_PORTS: [u16; 2] = [21, 2121];

/// What the probe says so far.
pub enum Verdict {
    /// More octets are needed.
    Undecided,
    /// Mail in clear.
    Mail {
        /// Which.
        protocol: Protocol,
        /// How sure.
        confidence: Confidence,
        /// The ends are the other way round than assumed.
        is_swapped: bool,
    },
    /// TLS from the first octet, on a port for mail.
    Tls,
    /// Nothing of interest.
    NotMail,
}

enum Entry {
    Octets { direction: Direction, offset: u64, len: usize, mark: Mark },
    Gap { direction: Direction, len: u64, mark: Mark },
}

/// Line ends at which what was kept is judged.
const OCCASIONS: u32 = 64;
/// Octets within which TLS and binary protocols show themselves.
const BEGINNING: usize = 16;

/// The first octets of a connection.
#[derive(Default)]
pub struct Probe {
    text: [Zeroizing<Vec<u8>>; 2],
    log: Vec<Entry>,
    has_gap: [bool; 2],
    /// Times that all was judged.
    judged: u32,
    /// Octets from which on it is judged again, come what may.
    due_at: usize,
}

/// Whether the first octets of a flow rule mail out at once, so that it need not be followed. `from_server` is
/// `None` when it is not known who the server is; `is_start`: nothing of this direction came before.
#[must_use]
pub fn is_hopeless(octets: &[u8], from_server: Option<bool>, is_start: bool) -> bool {
    const OTHERS: [&[u8]; 9] =
        [b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ", b"CONNECT ", b"HTTP/", b"SSH-", b"\x16\x03"];
    let first = octets.first().copied().unwrap_or(b' ');
    let is_text = first.is_ascii_graphic() || matches!(first, b' ' | b'\r' | b'\n' | b'\t');
    if !is_text || OTHERS.iter().any(|other| octets.starts_with(other)) {
        return true;
    }
    is_start && from_server == Some(true) && !may_be_greeting(octets)
}

fn may_be_greeting(octets: &[u8]) -> bool {
    let begins = |word: &[u8]| octets.starts_with(word) || word.starts_with(octets);
    // ManageSieve's strings begin with a quote.
    octets.starts_with(b"\"")
        || begins(b"+OK")
        || begins(b"-ERR")
        || begins(b"* ")
        || octets.iter().take(3).all(u8::is_ascii_digit)
}

impl Probe {
    /// The next octets of a direction. Says whether it is worth judging anew: each time looks at all there is, so an
    /// attacker's single octets must not each be an occasion.
    pub fn push(&mut self, direction: Direction, offset: u64, octets: &[u8], mark: Mark) -> bool {
        super::framing::extend_wiped(&mut self.text[direction.index()], octets);
        self.log.push(Entry::Octets { direction, offset, len: octets.len(), mark });
        let total: usize = self.text.iter().map(|text| text.len()).sum();
        let ends_line = self.judged < OCCASIONS && octets.contains(&b'\n');
        let is_due = ends_line || total <= BEGINNING || total >= self.due_at;
        if is_due {
            self.judged += 1;
            self.due_at = 2 * total;
        }
        is_due
    }

    /// Octets that were not captured.
    pub fn push_gap(&mut self, direction: Direction, len: u64, mark: Mark) {
        self.has_gap[direction.index()] = true;
        self.log.push(Entry::Gap { direction, len, mark });
    }

    /// Judges what is there. `is_final`: no more will come.
    #[must_use]
    pub fn judge(&self, known: &Known, is_final: bool) -> Verdict {
        let Known { hint, is_sure_of_ends, .. } = *known;
        let evidence = self.evidence(known, false);
        if self.text.iter().any(|text| tls::looks_like_client_hello(text)) {
            let begun = self.text.iter().any(|text| text.len() > 5 && tls::looks_like_client_hello(text));
            return match (hint, begun) {
                (None, _) => Verdict::NotMail,
                (Some(_), true) => Verdict::Tls,
                (Some(_), false) => Verdict::Undecided,
            };
        }
        if let Some((protocol, confidence)) = evidence.decide(is_final) {
            return Verdict::Mail { protocol, confidence, is_swapped: false };
        }
        if !is_sure_of_ends && let Some((protocol, confidence)) = self.evidence(known, true).decide(is_final) {
            return Verdict::Mail { protocol, confidence, is_swapped: true };
        }
        let room = if hint.is_some() { 4 * PROBE_OCTETS } else { PROBE_OCTETS };
        if evidence.is_other() || self.text.iter().any(|text| text.len() > room) || self.log.len() > room {
            return Verdict::NotMail;
        }
        Verdict::Undecided
    }

    fn evidence(&self, known: &Known, is_swapped: bool) -> Evidence<'_> {
        let (client, server) = if is_swapped { (1, 0) } else { (0, 1) };
        Evidence {
            client: &self.text[client],
            server: &self.text[server],
            hint: known.hint.map(|hint| hint.protocol),
            is_ftp_port: FTP_PORTS.contains(&known.ports[server]),
            has_start: !known.is_midstream && !self.has_gap[server],
            spoke_first: !self.text[client].is_empty()
                && matches!(self.log.first(), Some(Entry::Octets { direction, .. }) if direction.index() == client),
        }
    }

    /// Starts the detector and hands it all that was kept.
    #[must_use]
    pub fn release(self, protocol: Protocol, start: Start, is_swapped: bool, out: &mut Out) -> Released {
        self.replay(protocol.start(start), is_swapped, out)
    }

    /// The same for TLS from the first octet.
    #[must_use]
    pub fn release_tls(self, out: &mut Out) -> Released {
        self.replay(Box::new(implicit::ImplicitTls::default()), false, out)
    }

    fn replay(self, mut detector: Box<dyn Detector>, is_swapped: bool, out: &mut Out) -> Released {
        let turn = |direction: Direction| if is_swapped { direction.other() } else { direction };
        let mut read = [0, 0];
        let mut interest = Interest::Open;
        for entry in &self.log {
            match *entry {
                Entry::Octets { direction, offset, len, mark } => {
                    let at = &mut read[direction.index()];
                    let octets = &self.text[direction.index()][*at..*at + len];
                    *at += len;
                    interest = detector.on_data(turn(direction), offset, octets, mark, out);
                }
                Entry::Gap { direction, len, mark } => detector.on_gap(turn(direction), len, mark, out),
            }
            if interest == Interest::Closed {
                break;
            }
        }
        Released { detector, interest }
    }
}

/// A started detector.
pub struct Released {
    /// The detector, which has read all that the probe kept.
    pub detector: Box<dyn Detector>,
    /// Whether it wants more.
    pub interest: Interest,
}

/// What speaks for each protocol.
struct Evidence<'a> {
    client: &'a [u8],
    server: &'a [u8],
    hint: Option<Protocol>,
    is_ftp_port: bool,
    /// The server's first octets are the first it sent.
    has_start: bool,
    spoke_first: bool,
}

impl Evidence<'_> {
    fn decide(&self, is_final: bool) -> Option<(Protocol, Confidence)> {
        if self.is_other() {
            return None;
        }
        self.sieve(is_final)
            .or_else(|| self.imap(is_final))
            .or_else(|| self.nntp(is_final))
            .or_else(|| self.smtp(is_final))
            .or_else(|| self.pop3(is_final))
    }

    fn client_lines(&self) -> impl Iterator<Item = &[u8]> {
        lines(self.client)
    }

    fn server_lines(&self) -> impl Iterator<Item = &[u8]> {
        lines(self.server)
    }

    /// Another protocol shows itself.
    fn is_other(&self) -> bool {
        let begins_binary = |text: &[u8]| text.iter().take(8).any(|c| c.is_ascii_control() && !c.is_ascii_whitespace());
        let first = self.client_lines().next().unwrap_or_default();
        let is_ftp = self.server.starts_with(b"220")
            && [&b"USER "[..], b"FEAT", b"SYST", b"AUTH TLS", b"AUTH SSL"].iter().any(|verb| begins(first, verb));
        let is_wrong_greeting =
            self.has_start && !self.spoke_first && !self.server.is_empty() && !may_be_greeting(self.server);
        let is_irc = self.client_lines().any(|line| begins(line, b"NICK "));
        let is_redis = matches!(self.client, [b'*' | b'$', b'0'..=b'9', ..]);
        is_ftp || is_irc || is_redis || is_wrong_greeting || begins_binary(self.client) || begins_binary(self.server)
    }

    fn imap(&self, is_final: bool) -> Option<(Protocol, Confidence)> {
        const GREETINGS: [&[u8]; 5] = [b"* OK ", b"* PREAUTH ", b"* BYE ", b"* OK\r", b"* OK["];
        if self.has_start && GREETINGS.iter().any(|greeting| begins(self.server, greeting)) {
            return Some((Protocol::Imap, Confidence::Confirmed));
        }
        let commands = self.client_lines().filter(|line| is_imap_command(line)).count();
        let replies = self.server_lines().filter(|line| self.is_imap_reply(line)).count();
        if self.has_server_text() && replies == 0 {
            return None;
        }
        self.weigh(Protocol::Imap, commands, replies, is_final)
    }

    /// A reply with the tag of one of the client's commands, or an untagged one that no other protocol has.
    fn is_imap_reply(&self, line: &[u8]) -> bool {
        let (tag, rest) = split_verb(line);
        if tag == b"*" {
            return true;
        }
        let (status, _) = split_verb(rest);
        let is_status = [&b"OK"[..], b"NO", b"BAD"].iter().any(|known| status.eq_ignore_ascii_case(known));
        is_status && self.client_lines().any(|command| split_verb(command).0 == tag)
    }

    /// RFC 5804 §1.8: the server begins with its capabilities, IMPLEMENTATION among them.
    fn sieve(&self, is_final: bool) -> Option<(Protocol, Confidence)> {
        if self.has_start && begins(self.server, b"\"IMPLEMENTATION\"") {
            return Some((Protocol::ManageSieve, Confidence::Confirmed));
        }
        let commands = self.client_lines().filter(|line| is_sieve_command(line)).count();
        let is_status = |line: &&[u8]| matches!(split_verb(line).0, b"OK" | b"NO" | b"BYE");
        let replies = self.server_lines().filter(is_status).count();
        if self.has_server_text() && replies == 0 {
            return None;
        }
        self.weigh(Protocol::ManageSieve, commands, replies, is_final)
    }

    /// RFC 3977 §5.1: a greeting 200 or 201, which other protocols have too, so a command of its own is needed.
    fn nntp(&self, is_final: bool) -> Option<(Protocol, Confidence)> {
        let commands = self.client_lines().filter(|line| is_nntp_command(line)).count();
        let replies = self.server_lines().filter(|line| nntp::parse_reply(line).is_some()).count();
        if self.has_server_text() && replies == 0 {
            return None;
        }
        let greets = self.has_start && (self.server.starts_with(b"200") || self.server.starts_with(b"201"));
        if greets && self.hint == Some(Protocol::Nntp) && is_final {
            return Some((Protocol::Nntp, Confidence::Probable));
        }
        if self.has_start && !greets && self.has_server_text() {
            return None;
        }
        self.weigh(Protocol::Nntp, commands, replies, is_final)
    }

    fn smtp(&self, is_final: bool) -> Option<(Protocol, Confidence)> {
        let is_lmtp = self.client_lines().any(|line| begins(line, b"LHLO "));
        let protocol = if is_lmtp { Protocol::Lmtp } else { Protocol::Smtp };
        let strong = self.client_lines().filter(|line| is_smtp_command(line)).count();
        let replies = self.server_lines().filter(|line| parse_reply(line).is_some()).count();
        if self.has_server_text() && replies == 0 {
            return None;
        }
        let greets = self.has_start && self.server.starts_with(b"220");
        if greets && strong > 0 {
            return Some((protocol, Confidence::Confirmed));
        }
        let greeting = self.server_lines().next().unwrap_or_default().to_ascii_uppercase();
        let names_itself = memchr::memmem::find(&greeting, b"SMTP").is_some();
        let refuses = [&b"421"[..], b"521", b"554"].iter().any(|code| greeting.starts_with(code));
        let is_mail_greeting = self.has_start
            && (greets && (names_itself || self.hint == Some(Protocol::Smtp))
                || refuses && self.hint == Some(Protocol::Smtp));
        let has_client_line = self.client_lines().next().is_some();
        if is_mail_greeting && (is_final || has_client_line) {
            return Some((Protocol::Smtp, Confidence::Probable));
        }
        self.weigh(protocol, strong, replies, is_final)
    }

    fn pop3(&self, is_final: bool) -> Option<(Protocol, Confidence)> {
        if self.is_ftp_port && !self.has_server_text() {
            return None;
        }
        let strong = self.client_lines().filter(|line| is_pop3_command(line)).count();
        let is_status = |line: &&[u8]| line.starts_with(b"+OK") || line.starts_with(b"-ERR");
        let replies = self.server_lines().filter(is_status).count();
        if self.has_server_text() && replies == 0 {
            return None;
        }
        let greets =
            self.has_start && !self.spoke_first && self.server_lines().next().is_some_and(|line| is_status(&line));
        if greets && strong > 0 {
            return Some((Protocol::Pop3, Confidence::Confirmed));
        }
        let has_client_line = self.client_lines().next().is_some();
        if greets && self.hint == Some(Protocol::Pop3) && (is_final || has_client_line) {
            return Some((Protocol::Pop3, Confidence::Probable));
        }
        if self.has_start && self.spoke_first && self.has_server_text() && self.hint != Some(Protocol::Pop3) {
            return None;
        }
        self.weigh(Protocol::Pop3, strong, replies, is_final)
    }

    fn has_server_text(&self) -> bool {
        memchr::memchr(b'\n', self.server).is_some()
    }

    /// Without a greeting: two independent signs, a port that fits counting as one.
    fn weigh(
        &self,
        protocol: Protocol,
        commands: usize,
        replies: usize,
        is_final: bool,
    ) -> Option<(Protocol, Confidence)> {
        let hinted = self.hint == Some(protocol);
        if commands >= 1 && replies >= 1 {
            return Some((protocol, Confidence::Confirmed));
        }
        let wait_for_server = self.has_start && !is_final;
        let enough = commands >= 2 || hinted && commands >= 1;
        let confidence = if hinted || protocol != Protocol::Pop3 { Confidence::Probable } else { Confidence::Possible };
        (enough && !wait_for_server).then_some((protocol, confidence))
    }
}

/// Whole lines and, last, what has no end yet.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = text.split(|&c| c == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| !line.is_empty()).take(LINES)
}

/// Lines looked at: replies are compared with all commands, so their number must not be the sender's to choose.
const LINES: usize = 48;

fn begins(text: &[u8], word: &[u8]) -> bool {
    text.len() >= word.len() && text[..word.len()].eq_ignore_ascii_case(word)
}

/// Verbs with the arguments their grammar demands; those that other protocols share (QUIT, NOOP) say nothing.
fn is_smtp_command(line: &[u8]) -> bool {
    let (verb, rest) = split_verb(line);
    match verb.to_ascii_uppercase().as_slice() {
        b"EHLO" | b"HELO" | b"LHLO" => !rest.trim_ascii().is_empty(),
        b"MAIL" => begins(rest.trim_ascii_start(), b"FROM:"),
        b"RCPT" => begins(rest.trim_ascii_start(), b"TO:"),
        b"AUTH" => sasl::is_known(split_verb(rest.trim_ascii()).0),
        b"STARTTLS" => rest.trim_ascii().is_empty(),
        _ => false,
    }
}

fn is_pop3_command(line: &[u8]) -> bool {
    let (verb, rest) = split_verb(line);
    match verb.to_ascii_uppercase().as_slice() {
        b"USER" | b"PASS" => !rest.is_empty(),
        b"APOP" => rest.len() > 33,
        b"CAPA" | b"STLS" => rest.trim_ascii().is_empty(),
        b"AUTH" => rest.trim_ascii().is_empty() || sasl::is_known(split_verb(rest.trim_ascii()).0),
        _ => false,
    }
}

/// `AUTHENTICATE "MECH"`: the quotes tell it from IMAP's, which also has a tag.
fn is_sieve_command(line: &[u8]) -> bool {
    let (verb, rest) = split_verb(line);
    verb.eq_ignore_ascii_case(b"AUTHENTICATE")
        && argument(rest).is_some_and(|name| name.is_quoted && sasl::is_known(&name.value))
}

fn is_nntp_command(line: &[u8]) -> bool {
    let (verb, rest) = split_verb(line);
    match verb.to_ascii_uppercase().as_slice() {
        b"AUTHINFO" => {
            let kind = split_verb(rest).0;
            [&b"USER"[..], b"PASS", b"SASL"].iter().any(|known| kind.eq_ignore_ascii_case(known))
        }
        b"MODE" => begins(rest, b"READER") || begins(rest, b"STREAM"),
        b"GROUP" | b"LISTGROUP" | b"XOVER" => !rest.is_empty(),
        b"CAPABILITIES" => true,
        _ => false,
    }
}

fn is_imap_command(line: &[u8]) -> bool {
    let (tag, rest) = split_verb(line);
    let (verb, arguments) = split_verb(rest);
    if !is_tag(tag) {
        return false;
    }
    match verb.to_ascii_uppercase().as_slice() {
        b"LOGIN" => argument(arguments).is_some(),
        b"AUTHENTICATE" => sasl::is_known(split_verb(arguments.trim_ascii()).0),
        b"SELECT" | b"EXAMINE" | b"FETCH" | b"UID" | b"STATUS" | b"LIST" | b"LSUB" => !arguments.is_empty(),
        b"CAPABILITY" | b"STARTTLS" | b"LOGOUT" | b"IDLE" => arguments.trim_ascii().is_empty(),
        b"ID" => arguments.starts_with(b"(") || begins(arguments, b"NIL"),
        _ => false,
    }
}
