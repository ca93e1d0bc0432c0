//! Decides, octet by octet of both directions, what may be kept of a connection. All else is overwritten: what is not
//! known is a secret.
//!
//! A client's line is kept as far as [`commands`] allows; after a command that a secret or content follows nothing of the
//! client is, until the last reply to it. A server's line is kept as far as [`replies`] allows. Whatever does not fit,
//! a line of no known form, a reply to nothing, octets that are missing, loses the thread: then all is overwritten to the
//! end. So a sender that lies gets less kept, never more.

use super::{commands, replies};
use crate::mail::Protocol;
use crate::stream::Direction;
use commands::{Command, Effect};
use replies::Status;
use std::collections::VecDeque;
use std::ops::Range;
use zeroize::Zeroizing;

/// A line longer than this is not read: capability lists of the field are shorter.
const LINE_OCTETS: usize = 4096;

/// Commands without reply; a client that sends more is not reading replies.
const PENDING: usize = 64;

/// Octets of a TLS record (RFC 8446 §5.2, and what TLS 1.2 allows more).
const RECORD_OCTETS: usize = 16_384 + 2048;

/// Octets of a packet that may be kept: its number, where they begin in its payload, the octets.
pub(super) type Keep<'a> = dyn FnMut(u64, usize, &[u8]) + 'a;

/// The beginning of a line, and in which packets its octets stand.
struct Line {
    octets: Zeroizing<Vec<u8>>,
    /// Where in the line a piece begins, of which packet it is, where in that it begins.
    pieces: Vec<(usize, u64, usize)>,
}

impl Line {
    fn new() -> Self {
        // Of the largest size at once: growing would leave copies behind.
        Self { octets: Zeroizing::new(Vec::with_capacity(LINE_OCTETS)), pieces: Vec::new() }
    }

    /// `false`: it is too long.
    fn push(&mut self, octets: &[u8], packet: u64, at: usize) -> bool {
        if self.octets.len() + octets.len() > LINE_OCTETS {
            return false;
        }
        self.pieces.push((self.octets.len(), packet, at));
        self.octets.extend_from_slice(octets);
        true
    }

    /// Without its CR LF.
    fn text(&self) -> &[u8] {
        let line = self.octets.strip_suffix(b"\n").unwrap_or(&self.octets);
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    fn keep(&self, range: Range<usize>, keep: &mut Keep<'_>) {
        let ends = self.pieces.iter().skip(1).map(|(begin, ..)| *begin).chain([self.octets.len()]);
        for (&(begin, packet, at), end) in self.pieces.iter().zip(ends) {
            let (from, to) = (range.start.max(begin), range.end.min(end));
            if from < to {
                keep(packet, at + from - begin, &self.octets[from..to]);
            }
        }
    }

    /// Puts a space at a place of the line.
    fn put_space(&self, place: usize, keep: &mut Keep<'_>) {
        if let Some(&(begin, packet, at)) = self.pieces.iter().rfind(|(begin, ..)| *begin <= place) {
            keep(packet, at + place - begin, b" ");
        }
    }

    fn clear(&mut self) {
        self.octets.clear();
        self.pieces.clear();
    }
}

/// A TLS record of one direction, as far as it has come.
#[derive(Clone, Copy, Default)]
struct Record {
    header: [u8; 5],
    /// Octets of the header that have come.
    have: usize,
    /// Octets of the content that are still to come.
    left: usize,
}

impl Record {
    /// How many of the octets belong together, and whether they may be kept; `None` where this is no TLS.
    fn next(&mut self, octets: &[u8]) -> Option<(usize, bool)> {
        if self.left > 0 {
            let len = self.left.min(octets.len());
            self.left -= len;
            // Handshakes, alerts and what goes between them. Data may be under a suite without encryption.
            return Some((len, matches!(self.header[0], 20..=22)));
        }
        let octet = *octets.first()?;
        let fits = match self.have {
            0 => matches!(octet, 20..=24),
            1 => octet == 3,
            2 => octet <= 4,
            _ => true,
        };
        if !fits {
            return None;
        }
        self.header[self.have] = octet;
        self.have += 1;
        if self.have == self.header.len() {
            self.have = 0;
            self.left = usize::from(u16::from_be_bytes([self.header[3], self.header[4]]));
            if self.left > RECORD_OCTETS {
                return None;
            }
        }
        Some((1, true))
    }
}

/// How the octets are to be read.
enum Phase {
    /// Nothing of the server's greeting is complete.
    Greeting,
    Talk,
    Tls([Record; 2]),
    /// Nobody knows.
    Lost,
}

/// What the server's next octets are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Server {
    Lines,
    /// Until a lone dot.
    List {
        is_kept: bool,
    },
    /// So many octets, and then the rest of their line.
    Literal(u64),
    /// What stands in the line behind a literal.
    Rest,
}

/// A command that has no reply yet.
struct Pending {
    verb: &'static str,
    tag: Vec<u8>,
    effect: Effect,
}

/// What is known of a connection.
pub(super) struct Redactor {
    protocol: Protocol,
    phase: Phase,
    lines: [Line; 2],
    pending: VecDeque<Pending>,
    /// The client's octets are a secret, or content.
    is_shut: bool,
    /// Those end within a line.
    is_in_line: bool,
    /// Octets of the client were overwritten.
    has_overwritten: bool,
    server: Server,
}

impl Redactor {
    /// At the first octet of both directions.
    pub(super) fn new(protocol: Protocol) -> Self {
        let phase = if protocol == Protocol::Acap { Phase::Lost } else { Phase::Greeting };
        Self {
            protocol,
            phase,
            lines: [Line::new(), Line::new()],
            pending: VecDeque::new(),
            is_shut: false,
            is_in_line: false,
            has_overwritten: false,
            server: Server::Lines,
        }
    }

    /// From here on everything is overwritten.
    pub(super) fn lose(&mut self) {
        self.phase = Phase::Lost;
        self.lines.iter_mut().for_each(Line::clear);
        self.pending.clear();
    }

    /// The first packet of which octets may still be kept.
    pub(super) fn undecided(&self) -> Option<u64> {
        self.lines.iter().filter_map(|line| line.pieces.first().map(|(_, packet, _)| *packet)).min()
    }

    /// The next octets of a direction, which are the payload of a packet, each once and in order.
    pub(super) fn push(&mut self, direction: Direction, octets: &[u8], packet: u64, keep: &mut Keep<'_>) {
        let mut at = 0;
        while let Some(rest) = octets.get(at..).filter(|rest| !rest.is_empty()) {
            at += match (&mut self.phase, direction) {
                (Phase::Lost, _) => return,
                (Phase::Tls(records), _) => match records[direction.index()].next(rest) {
                    Some((len, is_kept)) => {
                        if is_kept {
                            keep(packet, at, &rest[..len]);
                        }
                        len
                    }
                    None => return self.lose(),
                },
                // The client speaks first only under TLS: handshake, version 3.
                (Phase::Greeting, Direction::ToServer) => {
                    if rest[0] != 22 || !self.lines[Direction::ToClient.index()].octets.is_empty() {
                        return self.lose();
                    }
                    self.phase = Phase::Tls(Default::default());
                    0
                }
                (_, Direction::ToServer) if self.is_shut => {
                    keep_line_ends(rest, packet, at, keep);
                    self.is_in_line = rest.last() != Some(&b'\n');
                    rest.len()
                }
                (_, Direction::ToClient) if matches!(self.server, Server::Literal(_)) => self.skip(rest.len()),
                _ => self.take_line(direction, rest, packet, at, keep),
            };
        }
    }

    /// Steps over octets of a literal.
    fn skip(&mut self, most: usize) -> usize {
        let Server::Literal(left) = self.server else { return 0 };
        let len = usize::try_from(left).map_or(most, |left| left.min(most));
        let left = left - len as u64;
        self.server = if left == 0 { Server::Rest } else { Server::Literal(left) };
        len
    }

    /// Takes octets up to the end of the line. How many.
    fn take_line(&mut self, direction: Direction, rest: &[u8], packet: u64, at: usize, keep: &mut Keep<'_>) -> usize {
        let end = memchr::memchr(b'\n', rest).map(|end| end + 1);
        let octets = &rest[..end.unwrap_or(rest.len())];
        let line = &mut self.lines[direction.index()];
        if !line.push(octets, packet, at) {
            self.lose();
            return rest.len();
        }
        if end.is_some() {
            let mut line = std::mem::replace(line, Line { octets: Zeroizing::new(Vec::new()), pieces: Vec::new() });
            line.keep(line.text().len()..line.octets.len(), keep);
            match direction {
                Direction::ToServer => self.client_line(&line, keep),
                Direction::ToClient => self.server_line(&line, keep),
            }
            line.clear();
            self.lines[direction.index()] = line;
        }
        octets.len()
    }

    fn client_line(&mut self, line: &Line, keep: &mut Keep<'_>) {
        let text = line.text();
        let Some(Command { verb, effect, tag, kept }) = commands::read(self.protocol, text) else {
            return self.lose();
        };
        if self.pending.len() >= PENDING {
            return self.lose();
        }
        // Of what follows such a command nothing is kept, and the reply to it may be captured first.
        self.has_overwritten |= effect == Effect::Shut || kept < text.len();
        line.keep(0..kept, keep);
        // Two arguments, or programs that read IMAP take the packet for malformed. Not where they are: that would tell
        // how long the secret is.
        if verb == "LOGIN" && kept + 3 <= text.len() {
            line.put_space(kept + 1, keep);
        }
        // What stands between STARTTLS and its reply may be anything.
        self.is_shut = matches!(effect, Effect::Shut | Effect::Tls);
        self.is_in_line = false;
        self.pending.push_back(Pending { verb, tag, effect });
    }

    fn server_line(&mut self, line: &Line, keep: &mut Keep<'_>) {
        let text = line.text();
        match self.server {
            Server::Lines => self.reply(line, keep),
            Server::List { is_kept } => {
                if is_kept && self.is_text_kept() || text == b"." {
                    keep_text(line, 0..text.len(), keep);
                }
                if text == b"." {
                    self.server = Server::Lines;
                }
            }
            Server::Rest | Server::Literal(_) => self.server = Server::Lines,
        }
        let has_literals = matches!(self.protocol, Protocol::Imap | Protocol::ManageSieve);
        if self.server == Server::Lines
            && has_literals
            && matches!(self.phase, Phase::Talk | Phase::Greeting)
            && let Some(octets) = replies::literal(text)
        {
            self.server = if octets == 0 { Server::Rest } else { Server::Literal(octets) };
        }
    }

    /// Nothing that the server could repeat was overwritten, and nothing is on its way that could be.
    fn is_text_kept(&self) -> bool {
        !self.has_overwritten && self.lines[Direction::ToServer.index()].octets.is_empty()
    }

    fn reply(&mut self, line: &Line, keep: &mut Keep<'_>) {
        let text = line.text();
        let reply = replies::read(self.protocol, self.pending.front().map(|pending| pending.verb), text);
        let answered = match reply.status {
            Status::Nonsense => return self.lose(),
            Status::Last { .. } => self.answered(&text[reply.tag]),
            Status::More | Status::Continue => None,
        };
        // A greeting answers nothing.
        let is_greeting = matches!(self.phase, Phase::Greeting);
        if answered.is_none() && !is_greeting && matches!(reply.status, Status::Last { .. }) {
            return self.lose();
        }
        line.keep(0..reply.kept, keep);
        if let Some(from) = reply.text.filter(|_| self.is_text_kept()) {
            keep_text(line, from..text.len(), keep);
        }
        match reply.status {
            Status::Last { is_good, has_list } => self.conclude(answered, is_good, has_list),
            // The greeting of IMAP is a line of its own.
            Status::More if is_greeting && self.protocol == Protocol::Imap => self.phase = Phase::Talk,
            _ => {}
        }
    }

    /// The command that a last reply answers.
    fn answered(&mut self, tag: &[u8]) -> Option<Pending> {
        match self.protocol {
            // Commands of IMAP may be concluded in another order.
            Protocol::Imap => {
                let at = self.pending.iter().position(|pending| pending.tag == tag)?;
                self.pending.remove(at)
            }
            _ => self.pending.pop_front(),
        }
    }

    fn conclude(&mut self, answered: Option<Pending>, is_good: bool, has_list: bool) {
        if matches!(self.phase, Phase::Greeting) {
            self.phase = Phase::Talk;
        }
        let (verb, effect) = answered.map_or(("", Effect::None), |pending| (pending.verb, pending.effect));
        if effect == Effect::Tls && is_good {
            // What was sent ahead of it is not under TLS; what is under TLS begins with a record on each side.
            return if self.pending.is_empty() { self.phase = Phase::Tls(Default::default()) } else { self.lose() };
        }
        if has_list || is_good && effect == Effect::List {
            self.server = Server::List { is_kept: matches!(verb, "CAPA" | "CAPABILITIES") };
        }
        if self.is_shut && self.pending.is_empty() {
            self.is_shut = false;
            // The rest of a secret must not be taken for a line.
            if self.is_in_line {
                self.lose();
            }
        }
    }
}

/// Keeps CR and LF: where lines end is no secret.
fn keep_line_ends(octets: &[u8], packet: u64, at: usize, keep: &mut Keep<'_>) {
    for end in memchr::memchr2_iter(b'\r', b'\n', octets) {
        keep(packet, at + end, &octets[end..=end]);
    }
}

/// Keeps what people can read of a part of a line.
fn keep_text(line: &Line, range: Range<usize>, keep: &mut Keep<'_>) {
    let is_readable = |octet: &u8| matches!(octet, b' '..=b'~');
    let mut at = range.start;
    for run in line.octets[range].chunk_by(|a, b| is_readable(a) == is_readable(b)) {
        if run.first().is_some_and(is_readable) {
            line.keep(at..at + run.len(), keep);
        }
        at += run.len();
    }
}
