//! The frame all line protocols share: two directions cut into units, client octets held while a reply decides
//! how to read them, STARTTLS and TLS, losses. What the units mean is the [`Machine`]'s.

use super::framing::{DotBody, Framer, Input, Line, extend_wiped};
use super::observe::{Observation, Out, Reason, StarttlsReply, TlsStep};
use super::text::Text;
use super::tls::{self, Watch};
use super::{Detector, End, Interest, Start};
use crate::limits::{HELD_OCTETS, LITERAL_OCTETS};
use crate::stream::{Direction, Mark};
use std::collections::VecDeque;
use zeroize::Zeroizing;

/// How the next octets of a direction are to be read.
#[derive(Default)]
pub(super) enum Mode {
    /// As lines.
    #[default]
    Lines,
    /// As that many octets to be kept: a literal that may be a credential.
    Keep(u64),
    /// As that many octets of no interest.
    Skip(u64),
    /// As a block that ends at a line ".".
    Body(DotBody),
    /// Not at all: compressed, or beyond understanding.
    Opaque,
}

/// What was cut out of a direction.
pub(super) enum Unit<'a> {
    Line(Line<'a>),
    /// The octets of [`Mode::Keep`]; not `whole` when some were lost or they were too many to keep.
    Literal {
        octets: &'a [u8],
        whole: bool,
    },
    /// [`Mode::Skip`] is over.
    Skipped,
    /// [`Mode::Body`] met its terminator.
    BodyEnd,
}

/// What a machine may look at and change while it reads a unit.
pub(super) struct Context<'a> {
    pub(super) out: &'a mut Out,
    /// How to go on reading the client.
    pub(super) client: &'a mut Mode,
    /// How to go on reading the server.
    pub(super) server: &'a mut Mode,
    /// Server octets read so far.
    pub(super) server_end: u64,
    /// Client octets captured so far. A reply to more shows that some were lost.
    pub(super) client_end: u64,
    /// Where the unit being read ended.
    pub(super) mark: Mark,
    resumes_at: &'a mut Option<u64>,
    accepted: &'a mut bool,
}

impl Context<'_> {
    pub(super) fn note(&mut self, mark: Mark, observation: Observation) {
        self.out.push(mark, observation);
    }

    /// The server answered before the client's body seemed over: it is over for what the client sends having seen
    /// the server's octets up to `end` (RFC 5321 leaves the end of data to the server's reading).
    pub(super) fn end_body_at(&mut self, end: u64) {
        *self.resumes_at = Some(end);
    }

    /// Whether the server answers client octets that were not captured.
    pub(super) fn answers_unseen(&self, line: &Line<'_>) -> bool {
        line.last.seen.is_some_and(|seen| seen > self.client_end)
    }

    /// The server answered a request for TLS.
    pub(super) fn starttls_replied(&mut self, mark: Mark, reply: StarttlsReply, code: &[u8]) {
        *self.accepted |= reply == StarttlsReply::Accepted;
        let end = self.server_end;
        self.note(mark, Observation::StarttlsReplied { reply, code: Text::new(code), end });
    }
}

/// The meaning of units: one per protocol.
pub(super) trait Machine: Send {
    /// Octets a line of this direction may have.
    fn line_cap(&self, direction: Direction) -> usize;
    fn client(&mut self, unit: Unit<'_>, cx: &mut Context<'_>);
    fn server(&mut self, unit: Unit<'_>, cx: &mut Context<'_>);
    /// Whether the next client octets can be read only when a reply is known.
    fn is_waiting(&self) -> bool;
    /// That reply will not be known: choose by what the client sent next (empty at the end).
    fn assume(&mut self, next: &[u8], cx: &mut Context<'_>);
    /// Octets of `direction` between units were lost.
    fn lost(&mut self, direction: Direction, cx: &mut Context<'_>);
    /// The connection ended; `why` is what an open question is answered with.
    fn end(&mut self, why: Reason, cx: &mut Context<'_>);
}

enum Held {
    Octets(Zeroizing<Vec<u8>>, u64, Mark),
    Gap(u64, Mark),
}

#[derive(Default)]
struct Channel {
    framer: Framer,
    mode: Mode,
    kept: Zeroizing<Vec<u8>>,
    kept_lost: bool,
    /// Part of a body was lost, its terminator maybe.
    body_lost: bool,
    /// The server is done with the body or would not have the literal: commands begin with what the client sent having seen that much.
    resumes_at: Option<u64>,
    is_tls: bool,
    offset: u64,
}

/// A [`Detector`] for a line protocol.
pub(super) struct Dialogue<M> {
    machine: M,
    client: Channel,
    server: Channel,
    held: VecDeque<Held>,
    held_octets: usize,
    server_captured: bool,
    /// A gap is the last that was read of the server.
    reply_lost: bool,
    /// Client octets captured so far, those held included; or lost, once that is known.
    client_received: u64,
    any_gap: bool,
    starttls_accepted: bool,
    watch: Option<Box<Watch>>,
    closed: bool,
    /// Where the latest octets came from.
    mark: Mark,
}

impl<M: Machine> Dialogue<M> {
    pub(super) fn new(machine: M, start: Start) -> Self {
        Self {
            machine,
            client: Channel::default(),
            server: Channel::default(),
            held: VecDeque::new(),
            held_octets: 0,
            server_captured: start.server_captured,
            reply_lost: false,
            client_received: 0,
            any_gap: false,
            starttls_accepted: false,
            watch: None,
            closed: false,
            mark: Mark::default(),
        }
    }

    fn with_machine(&mut self, out: &mut Out, act: impl FnOnce(&mut M, &mut Context<'_>)) {
        let mut cx = Context {
            out,
            client: &mut self.client.mode,
            server: &mut self.server.mode,
            server_end: self.server.offset,
            client_end: self.client_received,
            mark: self.mark,
            resumes_at: &mut self.client.resumes_at,
            accepted: &mut self.starttls_accepted,
        };
        act(&mut self.machine, &mut cx);
    }

    fn read_client(&mut self, input: &mut Input<'_>, out: &mut Out) {
        while !input.octets.is_empty() && !self.closed {
            if !self.client.is_tls && self.machine.is_waiting() {
                // All that the client had seen of the server ends in a gap: the reply was in it.
                let reply_lost = self.reply_lost && input.mark.seen.is_none_or(|seen| seen >= self.server.offset);
                if self.server_captured && !reply_lost {
                    return;
                }
                let next = input.octets;
                self.with_machine(out, |machine, cx| machine.assume(next, cx));
                continue;
            }
            if !self.client.is_tls && self.client.is_at_line_start() && tls::looks_like_client_hello(input.octets) {
                self.client.is_tls = true;
                self.watch.get_or_insert_default();
            }
            if self.client.is_tls {
                self.read_tls(Direction::ToServer, input, out);
                continue;
            }
            self.end_lost_server_body(input);
            self.resume_after_body(input);
            let cap = self.machine.line_cap(Direction::ToServer);
            let Self { client, server, machine, starttls_accepted, client_received, .. } = self;
            let Channel { framer, mode, kept, kept_lost, offset, resumes_at, .. } = client;
            let unit = next_unit(framer, mode, kept, kept_lost, input, cap);
            *offset = input.offset;
            let Some(unit) = unit else { continue };
            let mut next = std::mem::take(mode);
            let mut cx = Context {
                out,
                client: &mut next,
                server: &mut server.mode,
                server_end: server.offset,
                client_end: *client_received,
                mark: input.mark,
                resumes_at,
                accepted: starttls_accepted,
            };
            machine.client(unit, &mut cx);
            *mode = next;
        }
    }

    fn read_server(&mut self, input: &mut Input<'_>, out: &mut Out) {
        self.reply_lost = false;
        while !input.octets.is_empty() && !self.closed {
            let may_be_tls = self.watch.is_some() || self.starttls_accepted;
            if !self.server.is_tls
                && may_be_tls
                && self.server.is_at_line_start()
                && tls::looks_like_record(input.octets)
            {
                self.server.is_tls = true;
                self.watch.get_or_insert_default();
            }
            if self.server.is_tls {
                self.read_tls(Direction::ToClient, input, out);
                continue;
            }
            let cap = self.machine.line_cap(Direction::ToClient);
            let Self { client, server, machine, starttls_accepted, client_received, .. } = self;
            let Channel { framer, mode, kept, kept_lost, offset, .. } = server;
            let unit = next_unit(framer, mode, kept, kept_lost, input, cap);
            *offset = input.offset;
            if let Some(unit) = unit {
                let mut next = std::mem::take(mode);
                let server_end = *offset;
                let mut cx = Context {
                    out,
                    client: &mut client.mode,
                    server: &mut next,
                    server_end,
                    client_end: *client_received,
                    mark: input.mark,
                    resumes_at: &mut client.resumes_at,
                    accepted: starttls_accepted,
                };
                machine.server(unit, &mut cx);
                *mode = next;
            }
            self.read_held(out);
        }
    }

    /// A body whose terminator may be lost is over when the client, having seen all of it, goes on.
    fn end_lost_server_body(&mut self, input: &Input<'_>) {
        let all_seen = input.mark.seen.is_none_or(|seen| seen >= self.server.offset);
        if self.server.body_lost && all_seen && matches!(self.server.mode, Mode::Body(_)) {
            self.server.mode = Mode::Lines;
            self.server.body_lost = false;
        }
    }

    fn resume_after_body(&mut self, input: &Input<'_>) {
        if let Some(end) = self.client.resumes_at
            && input.mark.seen.is_none_or(|seen| seen >= end)
        {
            self.client.resumes_at = None;
            if matches!(self.client.mode, Mode::Body(_) | Mode::Skip(_)) {
                self.client.mode = Mode::Lines;
            }
        }
    }

    fn read_tls(&mut self, direction: Direction, input: &mut Input<'_>, out: &mut Out) {
        let Some(watch) = self.watch.as_mut() else { return };
        if !watch.read(direction, input, out) {
            return;
        }
        let failed = out.last_is(|seen| matches!(seen, Observation::Tls(TlsStep::Failed)));
        if !failed {
            self.closed = true;
            return;
        }
        // After a failed handshake either end may go on in clear (and sometimes does).
        self.watch = None;
        for channel in [&mut self.client, &mut self.server] {
            channel.is_tls = false;
            channel.framer.reset();
        }
    }

    fn read_held(&mut self, out: &mut Out) {
        while !self.machine.is_waiting() && !self.closed {
            let Some(next) = self.held.pop_front() else { return };
            self.replay_held(next, out);
        }
    }

    fn replay_held(&mut self, next: Held, out: &mut Out) {
        match next {
            Held::Octets(octets, offset, mark) => {
                self.held_octets -= octets.len();
                let mut input = Input { octets: &octets, offset, mark };
                self.read_client(&mut input, out);
                if !input.octets.is_empty() {
                    let rest = Zeroizing::new(input.octets.to_vec());
                    self.held_octets += rest.len();
                    self.held.push_front(Held::Octets(rest, input.offset, mark));
                }
            }
            Held::Gap(len, _) => self.client_gap(len, out),
        }
    }

    fn hold(&mut self, input: &Input<'_>, out: &mut Out) {
        if input.octets.is_empty() || self.closed {
            return;
        }
        self.held_octets += input.octets.len();
        self.held.push_back(Held::Octets(Zeroizing::new(input.octets.to_vec()), input.offset, input.mark));
        if self.held_octets > HELD_OCTETS {
            self.give_up(out);
        }
    }

    /// Reads all that is held without the replies it waits for.
    fn give_up(&mut self, out: &mut Out) {
        let captured = std::mem::replace(&mut self.server_captured, false);
        while !self.closed
            && let Some(next) = self.held.pop_front()
        {
            self.replay_held(next, out);
        }
        if self.closed {
            self.held.clear();
            self.held_octets = 0;
        }
        self.server_captured = captured;
    }

    fn client_gap(&mut self, len: u64, out: &mut Out) {
        self.client.offset += len;
        if self.client.is_tls {
            self.lose_tls(Direction::ToServer, len);
        } else if self.client.lose(len) {
            self.with_machine(out, |machine, cx| machine.lost(Direction::ToServer, cx));
        }
    }

    fn lose_tls(&mut self, direction: Direction, len: u64) {
        if let Some(watch) = self.watch.as_mut() {
            watch.lose(direction, len);
        }
    }
}

impl Channel {
    fn is_at_line_start(&self) -> bool {
        matches!(self.mode, Mode::Lines) && self.framer.is_at_boundary()
    }

    /// Accounts for lost octets; `true` when they were not inside counted content or a body.
    fn lose(&mut self, len: u64) -> bool {
        match &mut self.mode {
            Mode::Skip(left) if len < *left => {
                *left -= len;
                false
            }
            Mode::Keep(left) if len < *left => {
                *left -= len;
                self.kept_lost = true;
                false
            }
            Mode::Body(body) => {
                body.lose(len);
                self.body_lost = true;
                false
            }
            Mode::Opaque => false,
            Mode::Lines | Mode::Skip(_) | Mode::Keep(_) => {
                self.mode = Mode::Lines;
                self.kept = Zeroizing::default();
                self.framer.lose();
                true
            }
        }
    }
}

/// Cuts the next unit, if what is there completes one.
fn next_unit<'u, 'i: 'u>(
    framer: &'u mut Framer,
    mode: &mut Mode,
    kept: &'u mut Zeroizing<Vec<u8>>,
    kept_lost: &mut bool,
    input: &mut Input<'i>,
    cap: usize,
) -> Option<Unit<'u>> {
    match mode {
        Mode::Lines => {
            if kept.capacity() > 0 {
                *kept = Zeroizing::default();
            }
            framer.line(input, cap).map(Unit::Line)
        }
        Mode::Skip(left) => {
            *left -= input.take(usize::try_from(*left).unwrap_or(usize::MAX)).len() as u64;
            (*left == 0).then(|| {
                *mode = Mode::Lines;
                Unit::Skipped
            })
        }
        Mode::Keep(left) => {
            let part = input.take(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= part.len() as u64;
            let is_over = *left == 0;
            if kept.len() + part.len() <= LITERAL_OCTETS {
                extend_wiped(kept, part);
            } else {
                *kept_lost = true;
            }
            is_over.then(|| {
                *mode = Mode::Lines;
                Unit::Literal { octets: kept, whole: !std::mem::take(kept_lost) }
            })
        }
        Mode::Body(body) => body.read(input).then(|| {
            *mode = Mode::Lines;
            Unit::BodyEnd
        }),
        Mode::Opaque => {
            input.take(input.octets.len());
            None
        }
    }
}

impl<M: Machine> Detector for Dialogue<M> {
    fn on_data(&mut self, direction: Direction, offset: u64, octets: &[u8], mark: Mark, out: &mut Out) -> Interest {
        self.mark = mark;
        let mut input = Input { octets, offset, mark };
        match direction {
            Direction::ToServer => {
                self.client_received = offset + octets.len() as u64;
                if self.held.is_empty() {
                    self.read_client(&mut input, out);
                }
                self.hold(&input, out);
            }
            Direction::ToClient => {
                self.server_captured = true;
                self.read_server(&mut input, out);
            }
        }
        if self.closed { Interest::Closed } else { Interest::Open }
    }

    fn on_gap(&mut self, direction: Direction, len: u64, mark: Mark, out: &mut Out) {
        self.any_gap = true;
        self.mark = mark;
        if direction == Direction::ToServer {
            self.client_received += len;
        }
        match direction {
            Direction::ToServer if self.held.is_empty() => self.client_gap(len, out),
            Direction::ToServer => self.held.push_back(Held::Gap(len, mark)),
            Direction::ToClient => {
                self.server_captured = true;
                self.server.offset += len;
                if self.server.is_tls {
                    self.lose_tls(direction, len);
                } else if self.server.lose(len) {
                    self.with_machine(out, |machine, cx| machine.lost(direction, cx));
                }
                self.reply_lost = true;
                if self.machine.is_waiting() {
                    self.give_up(out);
                }
            }
        }
    }

    fn waiting_since(&self) -> Option<Mark> {
        self.held.front().map(|held| match held {
            Held::Octets(_, _, mark) | Held::Gap(_, mark) => *mark,
        })
    }

    fn on_reply_overdue(&mut self, out: &mut Out) {
        self.give_up(out);
    }

    fn on_end(&mut self, end: End, out: &mut Out) {
        self.give_up(out);
        if matches!(self.client.mode, Mode::Lines) && !self.client.is_tls && !self.closed {
            let waiting = self.machine.is_waiting();
            if waiting {
                self.with_machine(out, |machine, cx| machine.assume(&[], cx));
            }
            let Self { client, server, machine, starttls_accepted, mark, client_received, .. } = self;
            let Channel { framer, mode, offset, resumes_at, .. } = client;
            if let Some(line) = framer.remainder(*offset) {
                let server_end = server.offset;
                let mut cx = Context {
                    out,
                    client: mode,
                    server: &mut server.mode,
                    server_end,
                    client_end: *client_received,
                    mark: *mark,
                    resumes_at,
                    accepted: starttls_accepted,
                };
                machine.client(Unit::Line(line), &mut cx);
            }
        }
        let why = match end {
            End::Evicted => Reason::Evicted,
            _ if !self.server_captured => Reason::Asymmetric,
            _ if self.any_gap => Reason::Gap,
            End::CaptureEnded => Reason::CaptureEnded,
            End::Closed | End::Idle => Reason::NoReply,
        };
        self.with_machine(out, |machine, cx| machine.end(why, cx));
    }
}
