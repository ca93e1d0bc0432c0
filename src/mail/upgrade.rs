//! From STARTTLS to TLS: nothing may stand between the request and the ClientHello, nor between the reply and the
//! server's first record (RFC 3207 §4, RFC 2920 §3.1). What does stand there was put there by somebody.
//!
//! Both beginnings are found by content, so a reply that was lost makes no difference. What stands there is counted
//! and classed, never kept.

use super::dialogue::Unit;
use super::framing::Input;
use super::observe::{Injection, InjectionClass, Observation, Out, Timing};
use super::{tls, verbs};
use crate::stream::{Direction, Mark};

/// A request for TLS on its way; most connections have none.
#[derive(Default)]
pub(super) struct Upgrade(Option<Box<Request>>);

#[derive(Default)]
struct Request {
    /// Client stream offset after the request.
    requested: Option<u64>,
    is_accepted: bool,
    /// Server stream offset after the reply, once it came.
    replied: Option<u64>,
    /// Octets of the client were lost since: what stands before TLS is not known.
    is_unsure: bool,
    /// The same of the server.
    is_server_unsure: bool,
    /// The client went on in clear, and that was told.
    told_plain: bool,
    client: Extra,
    server: Extra,
}

/// What one end said where it should have begun TLS.
#[derive(Default)]
struct Extra {
    octets: u64,
    lines: bool,
    junk: bool,
    /// What its sender had seen when it sent the first of it.
    seen: Option<u64>,
}

impl Extra {
    fn count(&mut self, read: u64, mark: Mark) {
        if self.octets == 0 {
            self.seen = mark.seen;
        }
        self.octets += read;
    }

    fn class(&mut self, line: &[u8], is_known: bool) {
        match line.trim_ascii().is_empty() {
            true => {}
            false if is_known => self.lines = true,
            false => self.junk = true,
        }
    }

    fn injection(&self, direction: Direction, begin: u64, has_rest: bool, timing: Timing) -> Option<Injection> {
        let class = match self {
            Self { lines: true, .. } => InjectionClass::Commands,
            _ if has_rest => InjectionClass::Partial,
            Self { junk: true, .. } => InjectionClass::Junk,
            _ => InjectionClass::Whitespace,
        };
        let octets = self.octets;
        (octets > 0).then_some(Injection { direction, class, timing, begin, octets })
    }
}

impl Upgrade {
    /// The client asked, by octets up to `end`.
    pub(super) fn request(&mut self, end: u64) {
        self.0 = Some(Box::new(Request { requested: Some(end), ..Request::default() }));
    }

    /// The server answered, by octets up to `end`. A refusal ends the request.
    pub(super) fn answer(&mut self, is_accepted: bool, end: u64) {
        if is_accepted {
            let request = self.0.get_or_insert_default();
            (request.is_accepted, request.replied) = (true, Some(end));
        } else {
            *self = Self::default();
        }
    }

    /// Octets of the client were lost.
    pub(super) fn lose(&mut self) {
        if let Some(request) = &mut self.0 {
            request.is_unsure = request.requested.is_some();
        }
    }

    /// Octets of the server were lost.
    pub(super) fn lose_server(&mut self) {
        if let Some(request) = &mut self.0 {
            request.is_server_unsure |= request.requested.is_some();
        }
    }

    pub(super) fn is_unsure(&self) -> bool {
        self.0.as_ref().is_some_and(|request| request.is_unsure)
    }

    pub(super) fn is_requested(&self) -> bool {
        self.0.as_ref().is_some_and(|request| request.requested.is_some())
    }

    pub(super) fn is_accepted(&self) -> bool {
        self.0.as_ref().is_some_and(|request| request.is_accepted)
    }

    /// The octets before a ClientHello in them, when one may come.
    pub(super) fn before_client_hello<'i>(&self, input: &Input<'i>) -> Input<'i> {
        let end = self.is_requested().then(|| find(input.octets, tls::looks_like_client_hello)).flatten();
        input.first(end.unwrap_or(input.octets.len()))
    }

    /// The octets before a record in them, when one may come.
    pub(super) fn before_server_record<'i>(&self, input: &Input<'i>) -> Input<'i> {
        let end = self.is_accepted().then(|| find(input.octets, tls::looks_like_record)).flatten();
        input.first(end.unwrap_or(input.octets.len()))
    }

    /// Octets of the client were read, and maybe a unit is whole. The request itself is before all of it.
    pub(super) fn client_read(&mut self, read: u64, unit: Option<&Unit<'_>>, mark: Mark, out: &mut Out) {
        let Some(request) = self.0.as_mut().filter(|request| request.requested.is_some()) else { return };
        request.client.count(read, mark);
        let Some(Unit::Line(line)) = unit else { return };
        let is_command = verbs::begins_with_command(line.octets);
        request.client.class(line.octets, is_command);
        let had_seen = request.replied.is_some_and(|replied| line.last.seen.is_none_or(|seen| seen >= replied));
        let is_goodbye = line.octets.trim_ascii().eq_ignore_ascii_case(b"QUIT");
        if request.is_accepted && had_seen && is_command && !is_goodbye && !request.is_unsure && !request.told_plain {
            request.told_plain = true;
            out.push(line.last, Observation::PlainAfterAccept);
        }
    }

    /// The same for the server, after its reply.
    pub(super) fn server_read(&mut self, read: u64, unit: Option<&Unit<'_>>, mark: Mark) {
        let Some(request) = self.0.as_mut().filter(|request| request.is_accepted) else { return };
        request.server.count(read, mark);
        if let Some(Unit::Line(line)) = unit {
            request.server.class(line.octets, is_reply(line.octets));
        }
    }

    /// A ClientHello begins. `has_rest`: before it stands the beginning of a line.
    pub(super) fn client_begins(&mut self, has_rest: bool, mark: Mark, out: &mut Out) {
        let Some(request) = &mut self.0 else { return };
        let begin = request.requested.unwrap_or(0);
        let timing = match (request.replied, request.client.seen) {
            (Some(replied), Some(seen)) if seen < replied => Timing::BeforeReply,
            (Some(_), Some(_)) => Timing::AfterReply,
            _ => Timing::Unknown,
        };
        let injection = request.client.injection(Direction::ToServer, begin, has_rest, timing);
        if let Some(injection) = injection.filter(|_| !request.is_unsure) {
            out.push(mark, Observation::Injected(injection));
        }
        request.client = Extra::default();
    }

    /// The server's first record begins.
    pub(super) fn server_begins(&mut self, has_rest: bool, mark: Mark, out: &mut Out) {
        let Some(request) = &mut self.0 else { return };
        let begin = request.replied.unwrap_or(0);
        let injection = request.server.injection(Direction::ToClient, begin, has_rest, Timing::Unknown);
        if let Some(injection) = injection.filter(|_| !request.is_server_unsure) {
            out.push(mark, Observation::Injected(injection));
        }
        request.server = Extra::default();
    }
}

/// Where octets that look like the beginning of TLS stand after others. What begins so is the dialogue's to see; to cut
/// before it would be to read nothing for ever.
fn find(octets: &[u8], looks_right: fn(&[u8]) -> bool) -> Option<usize> {
    memchr::memchr_iter(tls::HANDSHAKE, octets).find(|&at| at > 0 && looks_right(&octets[at..]))
}

/// A line as servers send them, in any of the protocols.
fn is_reply(line: &[u8]) -> bool {
    const WORDS: [&[u8]; 6] = [b"+OK", b"-ERR", b"OK", b"NO", b"BAD", b"BYE"];
    let mut words = line.split(|&c| matches!(c, b' ' | b'-'));
    let first = words.next().unwrap_or_default();
    let second = words.next().unwrap_or_default();
    let is_code = first.len() == 3 && first.iter().all(u8::is_ascii_digit);
    let is_word = |word: &[u8]| WORDS.iter().any(|known| known.eq_ignore_ascii_case(word));
    is_code || line.starts_with(b"* ") || line.starts_with(b"-ERR") || is_word(first) || is_word(second)
}
