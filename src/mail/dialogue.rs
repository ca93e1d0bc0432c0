//! The frame all line protocols share: two directions cut into units, client octets held while a reply decides
//! how to read them, STARTTLS and TLS, losses. What the units mean is the [`Machine`]'s.

use super::framing::{DotBody, Framer, Input, Line, extend_wiped};
use super::observe::{Observation, Out, Reason, StarttlsReply};
use super::text::Text;
use super::tls::{self, Progress, Watch};
use super::upgrade::Upgrade;
use super::verbs;
use super::{Detector, End, Interest, Load, Start};
use crate::limits::{BLOCK_OCTETS, HELD_OCTETS, LITERAL_OCTETS};
use crate::stream::{Direction, Mark};
use std::collections::VecDeque;
use std::num::NonZero;
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
    /// Where the unit being read ended.
    pub(super) mark: Mark,
    /// Some of the connection is in a gap, so what is missing may have been sent.
    pub(super) has_gap: bool,
    shared: &'a mut Shared,
}

/// What the machine and its dialogue both keep.
#[derive(Default)]
struct Shared {
    /// Client octets captured so far, those held included; or lost, once that is known. A reply to more shows that
    /// some were lost.
    client_received: u64,
    /// The server is done with the body or would not have the literal: commands begin with what the client sent
    /// having seen that much.
    resumes_at: Option<NonZero<u64>>,
    upgrade: Upgrade,
    /// Commands told so far.
    commands: u8,
    /// The ends are to change roles.
    swaps: bool,
}

/// Octets of a client's next line that decide how it is to be read when no reply does.
const LOOK_AHEAD: usize = 256;

/// Commands that tell a client's style.
const STYLE_COMMANDS: u8 = 6;

impl Context<'_> {
    pub(super) fn note(&mut self, mark: Mark, observation: Observation) {
        self.out.push(mark, observation);
    }

    /// Tells a command as it was typed, if it is one that is known: anything else may be a secret in the wrong place.
    pub(super) fn command(&mut self, typed: &[u8], mark: Mark) {
        if self.shared.commands < STYLE_COMMANDS
            && let Some(verb) = verbs::known(typed)
        {
            self.shared.commands += 1;
            let is_lower = typed.first().is_some_and(u8::is_ascii_lowercase);
            self.note(mark, Observation::Command { verb, is_lower });
        }
    }

    /// Whether no command was told yet.
    pub(super) fn is_first_command(&self) -> bool {
        self.shared.commands == 0
    }

    /// The server answered before the client's body seemed over: it is over for what the client sends having seen
    /// the server's octets up to `end` (RFC 5321 leaves the end of data to the server's reading).
    pub(super) fn end_body_at(&mut self, end: u64) {
        self.shared.resumes_at = NonZero::new(end);
    }

    /// Whether the server answers client octets that were not captured.
    pub(super) fn answers_unseen(&self, line: &Line<'_>) -> bool {
        line.last.seen.is_some_and(|seen| seen > self.shared.client_received)
    }

    /// The client asked for TLS by the command that ends at `mark`.
    pub(super) fn starttls_requested(&mut self, mark: Mark) {
        self.shared.upgrade.request(mark.end);
        self.note(mark, Observation::StarttlsRequested);
    }

    /// The server answered a request for TLS.
    pub(super) fn starttls_replied(&mut self, mark: Mark, reply: StarttlsReply, code: &[u8]) {
        self.shared.upgrade.answer(reply == StarttlsReply::Accepted, self.server_end);
        let end = self.server_end;
        self.note(mark, Observation::StarttlsReplied { reply, code: Text::new(code), end });
    }

    /// From here on each end plays the other's part.
    pub(super) fn swap_roles(&mut self, mark: Mark) {
        self.shared.swaps = true;
        self.note(mark, Observation::RolesSwapped);
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
    /// Whether the beginning of a client's line, whose end was lost, discloses something by itself.
    fn discloses(&self, _line: &[u8]) -> bool {
        false
    }
    /// Octets of `direction` between units were lost, up to the offset `cx.mark.end`.
    fn lost(&mut self, direction: Direction, cx: &mut Context<'_>);
    /// What it holds, besides its own size.
    fn load(&self) -> Load;
    /// The connection ended; `why` is what an open question is answered with.
    fn end(&mut self, why: Reason, cx: &mut Context<'_>);
    /// The ends changed roles: the dialogue begins anew, with a greeting.
    fn restart(&mut self) {}
}

enum Held {
    Octets(Zeroizing<Vec<u8>>, u64, Mark),
    Gap(u64, Mark),
}

/// What of the client waits for a reply, in its order; mostly nothing, which takes no memory.
#[derive(Default)]
struct Backlog(Option<Box<Waiting>>);

#[derive(Default)]
struct Waiting {
    held: VecDeque<Held>,
    /// Of all that is held.
    octets: usize,
}

impl Backlog {
    fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn front(&self) -> Option<&Held> {
        self.0.as_ref()?.held.front()
    }

    fn iter(&self) -> impl Iterator<Item = &Held> {
        self.0.iter().flat_map(|waiting| &waiting.held)
    }

    /// Octets that are held.
    fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |waiting| waiting.octets)
    }

    /// Octets of memory besides its own.
    fn octets(&self) -> usize {
        let of = |waiting: &Waiting| {
            size_of::<Waiting>()
                + waiting.octets
                + waiting.held.len() * BLOCK_OCTETS
                + waiting.held.capacity() * size_of::<Held>()
        };
        self.0.as_deref().map_or(0, of)
    }

    fn push_back(&mut self, held: Held) {
        let waiting = self.0.get_or_insert_default();
        waiting.octets += held.len();
        waiting.held.push_back(held);
    }

    fn push_front(&mut self, held: Held) {
        let waiting = self.0.get_or_insert_default();
        waiting.octets += held.len();
        waiting.held.push_front(held);
    }

    fn pop_front(&mut self) -> Option<Held> {
        let waiting = self.0.as_mut()?;
        let held = waiting.held.pop_front();
        waiting.octets -= held.as_ref().map_or(0, Held::len);
        if waiting.held.is_empty() {
            self.0 = None;
        }
        held
    }
}

impl Held {
    fn len(&self) -> usize {
        match self {
            Self::Octets(octets, ..) => octets.len(),
            Self::Gap(..) => 0,
        }
    }

    fn mark(&self) -> Mark {
        match self {
            Self::Octets(_, _, mark) | Self::Gap(_, mark) => *mark,
        }
    }
}

#[derive(Default)]
struct Channel {
    framer: Framer,
    mode: Mode,
    /// Of a literal under way.
    kept: Option<Box<Zeroizing<Vec<u8>>>>,
    kept_lost: bool,
    /// Part of a body was lost, its terminator maybe.
    body_lost: bool,
    is_tls: bool,
    offset: u64,
}

/// A [`Detector`] for a line protocol.
pub(super) struct Dialogue<M> {
    machine: M,
    client: Channel,
    server: Channel,
    held: Backlog,
    /// What is held is read with whatever there is of it.
    is_forced: bool,
    server_captured: bool,
    /// A gap is the last that was read of the server.
    reply_lost: bool,
    any_gap: bool,
    /// Octets of the server were lost after STARTTLS or the ClientHello: its answer may have been among them.
    answer_lost: bool,
    /// The server had received more than was captured by then, which was told.
    misses_client: bool,
    /// The beginning was not captured, which is to be told.
    is_midstream: bool,
    shared: Shared,
    /// The ends have changed roles since the connection began.
    is_swapped: bool,
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
            held: Backlog::default(),
            is_forced: false,
            server_captured: start.server_captured,
            reply_lost: false,
            any_gap: false,
            answer_lost: false,
            misses_client: false,
            is_midstream: start.is_midstream,
            shared: Shared::default(),
            is_swapped: false,
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
            mark: self.mark,
            has_gap: self.any_gap && (self.server_captured || self.is_forced),
            shared: &mut self.shared,
        };
        act(&mut self.machine, &mut cx);
    }

    fn read_client(&mut self, input: &mut Input<'_>, out: &mut Out) {
        while !input.octets.is_empty() && !self.closed {
            let begins_tls = !self.client.is_tls && self.client_begins_tls(input);
            if !self.client.is_tls && self.machine.is_waiting() {
                // All that the client had seen of the server ends in a gap: the reply was in it.
                let reply_lost = self.reply_lost && input.mark.seen.is_none_or(|seen| seen >= self.server.offset);
                let is_due = self.server_captured && !reply_lost;
                // Once STARTTLS is accepted, or nothing tells, a ClientHello answers whatever else was asked.
                let upgrade = &self.shared.upgrade;
                let is_hello = begins_tls && upgrade.is_requested() && (upgrade.is_accepted() || !is_due);
                if is_due && !is_hello {
                    return;
                }
                if is_hello {
                    self.with_machine(out, |machine, cx| machine.assume(&[], cx));
                } else {
                    let next = self.look_ahead(input.octets);
                    if !self.is_forced && next.len() < LOOK_AHEAD && memchr::memchr(b'\n', &next).is_none() {
                        return;
                    }
                    self.with_machine(out, |machine, cx| machine.assume(&next, cx));
                    continue;
                }
            }
            if begins_tls {
                self.client.is_tls = true;
                self.watch.get_or_insert_default();
                let has_rest = !self.client.framer.is_at_boundary();
                self.shared.upgrade.client_begins(has_rest, input.mark, out);
                self.client.framer.reset();
            }
            if self.client.is_tls {
                self.read_tls(Direction::ToServer, input, out);
                continue;
            }
            self.end_lost_server_body(input);
            self.resume_after_body(input);
            self.read_client_unit(input, out);
        }
    }

    /// The client's next line, as far as it is there: how it begins decides how it is to be read.
    fn look_ahead(&self, octets: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut next = Zeroizing::new(Vec::with_capacity(2 * LOOK_AHEAD));
        let held = self.held.iter().map_while(|held| match held {
            Held::Octets(octets, ..) => Some(&octets[..]),
            Held::Gap(..) => None,
        });
        for piece in std::iter::once(octets).chain(held) {
            let room = LOOK_AHEAD.saturating_sub(next.len());
            let end = memchr::memchr(b'\n', piece).map_or(piece.len(), |at| at + 1);
            next.extend_from_slice(&piece[..end.min(room)]);
            if end < piece.len() || piece.ends_with(b"\n") || room == 0 {
                break;
            }
        }
        next
    }

    /// Whether a ClientHello stands here. After a request it may follow on octets that are no whole line.
    fn client_begins_tls(&self, input: &Input<'_>) -> bool {
        let may_begin = self.client.is_at_line_start()
            || self.shared.upgrade.is_requested() && matches!(self.client.mode, Mode::Lines);
        let goes_on = self.watch.as_ref().is_some_and(|watch| watch.may_go_on(input.octets));
        // The ClientHello itself may be lost; what follows it is no text.
        let hello_lost = self.shared.upgrade.is_unsure() && tls::looks_like_any_record(input.octets);
        may_begin && (goes_on || hello_lost || tls::looks_like_client_hello(input.octets))
    }

    fn read_client_unit(&mut self, input: &mut Input<'_>, out: &mut Out) {
        let cap = self.machine.line_cap(Direction::ToServer);
        let Self { client, server, machine, any_gap, shared, .. } = self;
        let Channel { framer, mode, kept, kept_lost, offset, .. } = client;
        let is_text = matches!(mode, Mode::Lines);
        let mut part =
            if is_text { shared.upgrade.before_client_hello(input) } else { input.first(input.octets.len()) };
        let unit = next_unit(framer, mode, kept, kept_lost, &mut part, cap);
        let read = part.offset - input.offset;
        input.take(read as usize);
        *offset = input.offset;
        shared.upgrade.client_read(read, unit.as_ref(), input.mark, out);
        let Some(unit) = unit else { return };
        let mut next = std::mem::take(mode);
        let mut cx = Context {
            out,
            client: &mut next,
            server: &mut server.mode,
            server_end: server.offset,
            mark: Mark { end: input.offset, ..input.mark },
            has_gap: *any_gap,
            shared,
        };
        machine.client(unit, &mut cx);
        *mode = next;
    }

    fn read_server(&mut self, input: &mut Input<'_>, out: &mut Out) {
        self.reply_lost = false;
        while !input.octets.is_empty() && !self.closed {
            if !self.server.is_tls && self.server_begins_tls(input) {
                self.server.is_tls = true;
                self.watch.get_or_insert_default();
                let has_rest = !self.server.framer.is_at_boundary();
                self.shared.upgrade.server_begins(has_rest, input.mark, out);
                self.server.framer.reset();
            }
            if self.server.is_tls {
                self.read_tls(Direction::ToClient, input, out);
                continue;
            }
            if self.answer_lost && is_binary(input.octets) {
                return self.lose_track(input, out);
            }
            self.judge_answer(input, out);
            self.read_server_unit(input, out);
            if std::mem::take(&mut self.shared.swaps) {
                self.swap();
                self.read_client(input, out);
                return self.hold(input, out);
            }
            if !self.held.is_empty() {
                self.read_held(out);
            }
        }
    }

    fn server_begins_tls(&self, input: &Input<'_>) -> bool {
        let is_text = matches!(self.server.mode, Mode::Lines);
        let may_begin =
            self.server.is_at_line_start() || self.answer_lost || self.shared.upgrade.is_accepted() && is_text;
        may_begin
            && match &self.watch {
                Some(_) if self.answer_lost && tls::looks_like_any_record(input.octets) => true,
                Some(watch) => watch.may_be_answer(input.octets),
                None => self.shared.upgrade.is_accepted() && tls::looks_like_record(input.octets),
            }
    }

    /// Somewhere within TLS: where its next record begins nobody knows.
    fn lose_track(&mut self, input: &mut Input<'_>, out: &mut Out) {
        input.take(input.octets.len());
        self.close(input.mark, out);
    }

    /// TLS covers the rest: what is still open will not be answered in clear any more.
    fn close(&mut self, mark: Mark, out: &mut Out) {
        let why = self.why_unanswered(End::Closed);
        self.with_machine(out, |machine, cx| machine.end(why, cx));
        self.closed = true;
        out.push(mark, Observation::TlsSettled);
    }

    /// The server may answer the ClientHello in clear; then the client may go on so, too.
    fn judge_answer(&mut self, input: &Input<'_>, out: &mut Out) {
        if self.server.is_at_line_start()
            && let Some(watch) = &mut self.watch
            && watch.answer_in_clear(input.mark, self.answer_lost, out)
        {
            self.client.is_tls = false;
            self.client.framer.reset();
            self.shared.upgrade = Upgrade::default();
        }
    }

    fn read_server_unit(&mut self, input: &mut Input<'_>, out: &mut Out) {
        let cap = self.machine.line_cap(Direction::ToClient);
        let Self { client, server, machine, any_gap, shared, .. } = self;
        let Channel { framer, mode, kept, kept_lost, offset, .. } = server;
        let is_text = matches!(mode, Mode::Lines);
        let mut part =
            if is_text { shared.upgrade.before_server_record(input) } else { input.first(input.octets.len()) };
        let unit = next_unit(framer, mode, kept, kept_lost, &mut part, cap);
        let read = part.offset - input.offset;
        input.take(read as usize);
        *offset = input.offset;
        shared.upgrade.server_read(read, unit.as_ref(), input.mark);
        let Some(unit) = unit else { return };
        let mut next = std::mem::take(mode);
        let mut cx = Context {
            out,
            client: &mut client.mode,
            server: &mut next,
            server_end: *offset,
            mark: Mark { end: input.offset, ..input.mark },
            has_gap: *any_gap,
            shared,
        };
        machine.server(unit, &mut cx);
        *mode = next;
    }

    /// What was said by one end is from now on read as the other's.
    fn swap(&mut self) {
        std::mem::swap(&mut self.client, &mut self.server);
        self.is_swapped = !self.is_swapped;
        self.shared = Shared { client_received: self.client.offset, commands: STYLE_COMMANDS, ..Shared::default() };
        self.machine.restart();
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
        if let Some(end) = self.shared.resumes_at
            && input.mark.seen.is_none_or(|seen| seen >= end.get())
        {
            self.shared.resumes_at = None;
            if matches!(self.client.mode, Mode::Body(_) | Mode::Skip(_)) {
                self.client.mode = Mode::Lines;
            }
        }
    }

    fn read_tls(&mut self, direction: Direction, input: &mut Input<'_>, out: &mut Out) {
        let Some(watch) = self.watch.as_mut() else { return };
        match watch.read(direction, input, out) {
            Progress::Open => {}
            Progress::Closed => self.close(input.mark, out),
            Progress::Failed => self.leave_tls(),
        }
    }

    /// After a failed handshake either end may go on in clear (and sometimes does).
    fn leave_tls(&mut self) {
        self.watch = None;
        self.shared.upgrade = Upgrade::default();
        for channel in [&mut self.client, &mut self.server] {
            channel.is_tls = false;
            channel.framer.reset();
        }
    }

    /// A literal that the end cut off was a secret as far as it came.
    fn end_kept(&mut self, out: &mut Out) {
        if !matches!(self.client.mode, Mode::Keep(_)) {
            return;
        }
        let Some(kept) = self.client.kept.take().filter(|kept| !kept.is_empty()) else { return };
        self.client.mode = Mode::Lines;
        self.with_machine(out, |machine, cx| machine.client(Unit::Literal { octets: &kept, whole: false }, cx));
    }

    fn why_unanswered(&self, end: End) -> Reason {
        match end {
            End::Evicted => Reason::Evicted,
            _ if !self.server_captured => Reason::Asymmetric,
            _ if self.any_gap => Reason::Gap,
            End::CaptureEnded => Reason::CaptureEnded,
            End::Closed | End::Idle => Reason::NoReply,
        }
    }

    fn turned(&self, direction: Direction) -> Direction {
        if self.is_swapped { direction.other() } else { direction }
    }

    /// What waited for the rest of its line may have it now.
    fn retry_held(&mut self, out: &mut Out) {
        if self.server_captured && !self.reply_lost {
            return;
        }
        if let Some(next) = self.held.pop_front() {
            self.replay_held(next, out);
            self.read_held(out);
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
                let mut input = Input { octets: &octets, offset, mark };
                self.read_client(&mut input, out);
                if !input.octets.is_empty() {
                    let rest = Zeroizing::new(input.octets.to_vec());
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
        self.held.push_back(Held::Octets(Zeroizing::new(input.octets.to_vec()), input.offset, input.mark));
        if self.held.len() > HELD_OCTETS {
            self.give_up(out);
        }
    }

    /// Reads all that is held without the replies it waits for.
    fn give_up(&mut self, out: &mut Out) {
        let captured = std::mem::replace(&mut self.server_captured, false);
        self.is_forced = true;
        while !self.closed
            && let Some(next) = self.held.pop_front()
        {
            self.replay_held(next, out);
        }
        if self.closed {
            self.held = Backlog::default();
        }
        self.server_captured = captured;
        self.is_forced = false;
    }

    /// A line whose end is in a gap: a secret in it has crossed the wire as far as it came.
    fn end_line(&mut self, out: &mut Out) {
        if !matches!(self.client.mode, Mode::Lines) || self.client.is_tls || self.closed || self.machine.is_waiting() {
            return;
        }
        let Self { client, server, machine, mark, any_gap, shared, reply_lost, .. } = self;
        let Channel { framer, mode, offset, .. } = client;
        if let Some(line) = framer.remainder(*offset)
            && !line.follows_loss
            && machine.discloses(line.octets)
        {
            let mark = Mark { end: *offset, ..*mark };
            let (server, server_end) = (&mut server.mode, server.offset);
            let mut cx = Context { out, client: mode, server, server_end, mark, has_gap: *any_gap, shared };
            machine.client(Unit::Line(line), &mut cx);
            // Its reply may have been among what was lost of the server just before.
            if *reply_lost {
                machine.lost(Direction::ToClient, &mut cx);
            }
        }
    }

    fn client_gap(&mut self, len: u64, out: &mut Out) {
        self.end_line(out);
        self.shared.upgrade.lose();
        self.client.offset += len;
        self.mark.end = self.client.offset;
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

    /// Octets of memory besides its own.
    fn octets(&self) -> usize {
        let kept = self.kept.as_ref().map_or(0, |kept| size_of::<Vec<u8>>() + kept.capacity());
        self.framer.octets() + kept
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
                self.kept = None;
                self.framer.lose();
                true
            }
        }
    }
}

/// What only a server that was not spoken to yet says, short of an answer to STARTTLS.
fn is_greeting(octets: &[u8]) -> bool {
    [&b"220 "[..], b"220-", b"200 ", b"201 "].iter().any(|begin| octets.starts_with(begin))
}

/// Whether octets are no text of a mail server's: replies are printable ASCII, or UTF-8 (RFC 6531 §3.5, RFC 6855).
fn is_binary(octets: &[u8]) -> bool {
    let line = &octets[..memchr::memchr(b'\n', octets).unwrap_or(octets.len())];
    line.iter().any(|&c| c < b' ' && !matches!(c, b'\r' | b'\t')) || std::str::from_utf8(line).is_err()
}

/// Cuts the next unit, if what is there completes one.
fn next_unit<'u, 'i: 'u>(
    framer: &'u mut Framer,
    mode: &mut Mode,
    kept: &'u mut Option<Box<Zeroizing<Vec<u8>>>>,
    kept_lost: &mut bool,
    input: &mut Input<'i>,
    cap: usize,
) -> Option<Unit<'u>> {
    match mode {
        Mode::Lines => {
            *kept = None;
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
            let kept = kept.get_or_insert_default();
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
        if std::mem::take(&mut self.is_midstream) && !(direction == Direction::ToClient && is_greeting(octets)) {
            out.push(mark, Observation::Lost);
        }
        let mut input = Input { octets, offset, mark };
        match self.turned(direction) {
            Direction::ToServer => {
                self.shared.client_received = offset + octets.len() as u64;
                if self.held.is_empty() {
                    self.read_client(&mut input, out);
                    self.hold(&input, out);
                } else {
                    self.hold(&input, out);
                    self.retry_held(out);
                }
            }
            Direction::ToClient => {
                self.server_captured = true;
                if mark.seen.is_some_and(|seen| seen > self.shared.client_received) && !self.misses_client {
                    self.misses_client = true;
                    out.push(mark, Observation::Lost);
                }
                self.read_server(&mut input, out);
            }
        }
        if self.closed { Interest::Closed } else { Interest::Open }
    }

    fn on_gap(&mut self, direction: Direction, len: u64, mark: Mark, out: &mut Out) {
        self.any_gap = true;
        self.mark = mark;
        out.push(mark, Observation::Lost);
        let direction = self.turned(direction);
        if direction == Direction::ToServer {
            self.shared.client_received += len;
        }
        match direction {
            Direction::ToServer if self.held.is_empty() => self.client_gap(len, out),
            Direction::ToServer => self.held.push_back(Held::Gap(len, mark)),
            Direction::ToClient => {
                self.server_captured = true;
                self.server.offset += len;
                self.mark.end = self.server.offset;
                let may_be_tls = self.watch.is_some() || self.shared.upgrade.is_requested();
                self.answer_lost |= may_be_tls && !self.server.is_tls;
                self.shared.upgrade.lose_server();
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

    fn load(&self) -> Load {
        let machine = self.machine.load();
        let channels = [&self.client, &self.server].map(Channel::octets);
        let watch = self.watch.as_ref().map_or(0, |watch| watch.octets());
        let octets = size_of::<Self>() + channels.iter().sum::<usize>() + watch + self.held.octets() + machine.octets;
        let waiting_since = self.held.front().map(Held::mark);
        Load { octets, waiting_since, ..machine }
    }

    fn on_reply_overdue(&mut self, out: &mut Out) {
        self.give_up(out);
    }

    fn on_end(&mut self, end: End, out: &mut Out) {
        self.give_up(out);
        self.end_kept(out);
        if matches!(self.client.mode, Mode::Lines) && !self.client.is_tls && !self.closed {
            let waiting = self.machine.is_waiting();
            if waiting {
                self.with_machine(out, |machine, cx| machine.assume(&[], cx));
            }
            let Self { client, server, machine, mark, any_gap, shared, .. } = self;
            let Channel { framer, mode, offset, .. } = client;
            if let Some(line) = framer.remainder(*offset) {
                let server_end = server.offset;
                let mut cx = Context {
                    out,
                    client: mode,
                    server: &mut server.mode,
                    server_end,
                    mark: Mark { end: *offset, ..*mark },
                    has_gap: *any_gap,
                    shared,
                };
                machine.client(Unit::Line(line), &mut cx);
            }
        }
        let why = self.why_unanswered(end);
        self.with_machine(out, |machine, cx| machine.end(why, cx));
    }
}
