//! What of a part of a capture an engine that sees all parts must have: what a [`Sieve`] leaves out changes nothing that
//! the other would have told, and what it cannot be sure of is told.
//!
//! The sieve looks at one file; an engine of its own says which connections are of no interest. Of these it leaves out what
//! follows that verdict, and notes until when they were seen ([`LeftOut`]), for the other engine would have remembered
//! them so long. Where the first octets are enough for the verdict, all but the SYN is left out ([`Held`]). Of connections
//! without a beginning in the file nobody knows what an earlier file has shown of them: so much of them as the bound allows
//! is kept all the same. The other engine holds each such note against what it knows itself, by [`Tombstones`].

use super::held::{Held, Waiting};
use super::{Counters, Engine, SWEEP_EVERY, Settings, State, Watched, idle_ns, is_opening, look_up, of_datagram};
use crate::finding::Record;
use crate::limits::{EMBRYO_NS, IDLE_OTHER_NS, LEFT_OUT_NOTES, UNKNOWN_OCTETS};
use crate::stream::{Candidate, Class, FlowKey, FlowTable, Slot};
use crate::wire::{Defragmenter, Flags, Frame, Refusal, Segment, Skip, Timestamp, open};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sifted {
    /// It says nothing, to no engine.
    Nothing,
    /// A fragment: whose it is, shows when its datagram is whole.
    Fragment,
    /// Of this connection, and wanted.
    Wanted(FlowKey),
    /// Of this connection, and perhaps wanted: an earlier file knows.
    Unknown(FlowKey),
    /// Of a connection that has said nothing yet: if it is wanted, it comes by [`Sieve::due`].
    Held,
    /// Of a connection of no interest.
    LeftOut,
}

/// Packets of a connection that were left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Of which.
    pub key: FlowKey,
    /// How much of it.
    pub extent: Extent,
    /// The number of its last packet before them, or of the first of them where that is all it said; and the clock then.
    pub after: u64,
    /// See `after`.
    pub since: Timestamp,
    /// The clock of the last of them.
    pub until: Timestamp,
}

/// How much of a connection was left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// It has said nothing so far, and neither has what was left out.
    Silent,
    /// What came after it was no mail, which what was kept shows.
    #[default]
    Rest,
    /// All that it said: its first octets show that it is no mail, and what was kept has none.
    Whole,
}

/// Where a connection is known.
#[derive(Clone, Copy)]
enum Place {
    /// Among those of no interest.
    Rest(Slot),
    /// To the engine.
    Engine(Slot),
}

/// A connection of no interest.
#[derive(Clone, Copy, Default)]
struct Rest {
    /// Its last packet that was kept.
    after: u64,
    since: Timestamp,
    /// What may be kept yet of one without a beginning, in [`SHARES`] of an octet.
    room: u32,
    /// Of a silent one, what it says will be looked at.
    extent: Extent,
    /// Something was left out.
    is_left_out: bool,
}

/// Sifts one file.
pub struct Sieve {
    engine: Engine,
    /// `None`: all ports are looked at.
    watched: Option<Watched>,
    hinted: Watched,
    fragments: Defragmenter,
    rest: FlowTable<Rest>,
    waiting: Waiting,
    counters: Counters,
    left_out: Vec<LeftOut>,
    /// So many more notes there may be: beyond that all is kept.
    notes: usize,
    since_sweep: u32,
    /// Octets of one connection without a beginning that are kept. `None`: nothing is left out.
    room: Option<u32>,
    /// Of all of them, those that may be kept yet.
    room_of_all: u64,
    records: Vec<Record>,
}

/// Parts of an octet in which room is counted, so that short packets of text take no more than their share.
const SHARES: u32 = 16;
/// What may be mail in clear takes so much less of the room: a session with messages is long, and nearly all that is not
/// mail is encrypted.
const TEXT_SHARE: u64 = 1024;

/// Whether octets begin as text does, in whatever character set; none are as good as text.
fn is_text(octets: &[u8]) -> bool {
    octets.iter().take(64).all(|octet| matches!(octet, b' '..=b'~' | b'\t' | b'\r' | b'\n' | 0x80..))
}

impl Sieve {
    /// A sieve that keeps of each connection without a beginning `room` octets, 256 MiB at most; `None`: all of all.
    #[must_use]
    pub fn new(settings: Settings, room: Option<u32>) -> Self {
        Self {
            watched: Watched::of(&settings.ports),
            hinted: Watched::hinted(&settings.ports),
            fragments: Defragmenter::default(),
            rest: FlowTable::new(settings.limits.flows),
            waiting: Waiting::default(),
            counters: Counters::default(),
            left_out: Vec::new(),
            notes: LEFT_OUT_NOTES,
            since_sweep: 0,
            room,
            room_of_all: UNKNOWN_OCTETS,
            records: Vec::new(),
            engine: Engine::new(settings),
        }
    }

    /// Frames so far, and what they were; nothing of connections, and of datagrams nothing.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Takes the next frames in their order, and tells of each what becomes of it. Several are looked up at once, as by
    /// [`Engine::push_all`].
    ///
    /// # Errors
    ///
    /// The first of `tell`, at which it stops.
    pub fn push_all<'a, E>(
        &mut self,
        mut frames: impl Iterator<Item = Frame<'a>> + Clone,
        mut tell: impl FnMut(Sifted, &Frame<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        while frames.clone().next().is_some() {
            let find = |key: &FlowKey| {
                let rest = self.rest.find(key).map(Place::Rest);
                rest.or_else(|| self.engine.table.find(key).map(Place::Engine))
            };
            for found in look_up(frames.clone(), find) {
                let Some(frame) = frames.next() else { break };
                tell(self.push(&frame, found), &frame)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, frame: &Frame<'_>, found: Option<Place>) -> Sifted {
        self.counters.note(frame);
        match open(frame) {
            Ok(segment) => {
                self.counters.segments += 1;
                if self.watched.as_ref().is_some_and(|watched| !watched.has(&segment)) {
                    self.counters.other_ports += 1;
                    return Sifted::Nothing;
                }
                self.segment(&segment, found, frame, true)
            }
            Err(Refusal::Skip(skip)) => {
                self.counters.skipped[skip as usize] += 1;
                if skip == Skip::LinkType {
                    self.counters.unread.note(frame.link_type, 1);
                }
                Sifted::Nothing
            }
            Err(Refusal::Fragment(fragment)) => {
                self.counters.skipped[Skip::Fragment as usize] += 1;
                for datagram in &self.fragments.push(&fragment, frame.clock) {
                    self.see(&of_datagram(frame, datagram));
                }
                Sifted::Fragment
            }
        }
    }

    /// A packet that was held back and may be wanted. They come in their order, some time after they were pushed.
    #[inline]
    pub fn due(&mut self) -> Option<Held> {
        self.waiting.due()
    }

    /// The file has ended: all that is held back is due.
    pub fn end(&mut self) {
        self.waiting.keep_all();
    }

    /// All that was left out, by connection: the packets after which it was in their order.
    #[must_use]
    pub fn finish(mut self) -> Vec<LeftOut> {
        while let Some(slot) = self.rest.oldest(Class::Embryo) {
            self.bury(slot);
        }
        self.left_out.sort_unstable_by_key(|left_out| (left_out.after, left_out.until));
        self.left_out
    }

    /// A datagram, whose fragments are kept anyway.
    fn see(&mut self, frame: &Frame<'_>) {
        match open(frame) {
            Ok(segment) if self.watched.as_ref().is_none_or(|watched| watched.has(&segment)) => {
                self.segment(&segment, None, frame, false);
            }
            Ok(_) | Err(Refusal::Skip(_)) => {}
            Err(Refusal::Fragment(fragment)) => {
                for datagram in &self.fragments.push(&fragment, frame.clock) {
                    self.see(&of_datagram(frame, datagram));
                }
            }
        }
    }

    /// `may_hold`: nothing else brings the frame to the other engine.
    fn segment(&mut self, segment: &Segment<'_>, found: Option<Place>, frame: &Frame<'_>, may_hold: bool) -> Sifted {
        let (key, _) = FlowKey::between(segment.source, segment.destination);
        if self.room.is_none() || self.hinted.has(segment) {
            return Sifted::Wanted(key);
        }
        self.since_sweep += 1;
        if self.since_sweep >= SWEEP_EVERY {
            self.since_sweep = 0;
            self.sweep(frame.clock);
        }
        let (in_rest, in_engine) = match found {
            Some(Place::Rest(slot)) => (Some(slot), None),
            Some(Place::Engine(slot)) => (None, Some(slot)),
            None => (None, None),
        };
        if let Some(slot) = self.rest.find_from(&key, in_rest) {
            let is_idle = frame.clock.since(self.rest.last_seen(slot)) > IDLE_OTHER_NS;
            let speaks = self.rest.value(slot).extent == Extent::Silent && !segment.payload.is_empty();
            // To the other engine a SYN with ACK is nothing here, unless another file has the SYN: what comes is kept for it.
            if !is_idle && !speaks && !segment.flags.has(Flags::SYN) {
                return self.of_rest(slot, key, segment, frame);
            }
            self.bury(slot);
        }
        let in_engine = self.engine.table.find_from(&key, in_engine);
        let (has_beginning, mute) = self.engine.before(in_engine, segment, frame.clock);
        let mute = mute.filter(|_| may_hold && !is_opening(segment));
        let counted = self.engine.counters().stream;
        self.engine.clock = frame.clock;
        self.engine.segment(segment, in_engine, frame, &mut self.records);
        self.records.clear();
        // What was followed, if only for a packet, is counted.
        let mute = mute.filter(|_| self.engine.counters().stream == counted);
        let state = self.engine.state(&key, in_engine);
        let is_mute = matches!(state, Some(State::Embryo(_)));
        let extent = match state {
            Some(State::New) => Some(Extent::Silent),
            Some(State::Other) => Some(Extent::Rest),
            None | Some(State::Embryo(_) | State::Live(_)) => None,
        };
        if let Some(Mute { since, is_whole }) = mute {
            // Not where the other direction may be in another file, and may have said something before.
            let is_prompt = frame.clock.since(self.waiting.since(&key).unwrap_or(since)) <= EMBRYO_NS;
            if extent == Some(Extent::Rest) && is_whole && is_prompt && self.may_note() {
                self.waiting.drop_of(&key);
                let rest = self.rest_after(frame, true);
                self.put_to_rest(&key, frame, Rest { is_left_out: true, extent: Extent::Whole, ..rest });
                return Sifted::LeftOut;
            }
            if is_mute && self.waiting.hold(&key, since, frame) {
                return Sifted::Held;
            }
        }
        self.waiting.keep_of(&key);
        if let Some(extent) = extent {
            self.put_to_rest(&key, frame, Rest { extent, ..self.rest_after(frame, has_beginning) });
        }
        if has_beginning { Sifted::Wanted(key) } else { Sifted::Unknown(key) }
    }

    fn rest_after(&self, frame: &Frame<'_>, has_beginning: bool) -> Rest {
        let room = self.room.filter(|_| !has_beginning).unwrap_or_default().saturating_mul(SHARES);
        Rest { after: frame.at.number, since: frame.clock, room, ..Rest::default() }
    }

    /// One more packet of a connection of no interest.
    fn of_rest(&mut self, slot: Slot, key: FlowKey, segment: &Segment<'_>, frame: &Frame<'_>) -> Sifted {
        self.rest.touch(&key, Some(slot), frame.clock);
        // Most are: their octets are not looked at, which would be the wait for memory.
        let rest = *self.rest.value(slot);
        if rest.is_left_out {
            return Sifted::LeftOut;
        }
        let octets = frame.octets.len() as u64;
        let shares = octets * u64::from(SHARES);
        let taken = if rest.room > 0 && is_text(segment.payload) { shares.div_ceil(TEXT_SHARE) } else { shares };
        let fits = u64::from(rest.room) >= taken && self.room_of_all >= octets;
        if !fits && self.may_note() {
            self.rest.value(slot).is_left_out = true;
            return Sifted::LeftOut;
        }
        let rest = self.rest.value(slot);
        (rest.after, rest.since) = (frame.at.number, frame.clock);
        if !fits {
            return Sifted::Wanted(key);
        }
        // Less than there was room for.
        rest.room -= taken as u32;
        self.room_of_all -= octets;
        Sifted::Unknown(key)
    }

    /// Takes one of the notes that there may be.
    fn may_note(&mut self) -> bool {
        let left = self.notes.checked_sub(1);
        self.notes = left.unwrap_or_default();
        left.is_some()
    }

    fn put_to_rest(&mut self, key: &FlowKey, frame: &Frame<'_>, rest: Rest) {
        self.engine.forget(key);
        if self.rest.is_full()
            && let Some(oldest) = self.rest.oldest(Class::Embryo)
        {
            self.bury(oldest);
        }
        let (slot, _) = self.rest.touch(key, None, frame.clock);
        *self.rest.value(slot) = rest;
    }

    fn sweep(&mut self, clock: Timestamp) {
        while let Some(slot) = self.rest.oldest(Class::Embryo)
            && clock.since(self.rest.last_seen(slot)) > IDLE_OTHER_NS
        {
            self.bury(slot);
        }
    }

    /// It is forgotten, or begins anew.
    fn bury(&mut self, slot: Slot) {
        let (key, until) = (self.rest.key(slot), self.rest.last_seen(slot));
        let Rest { after, since, is_left_out, extent, .. } = self.rest.remove(slot);
        if is_left_out {
            self.left_out.push(LeftOut { key, extent, after, since, until });
        }
    }
}

/// A connection of which a SYN is known and that has said nothing.
struct Mute {
    /// When it was seen last.
    since: Timestamp,
    /// There is one handshake only, and both ends were seen.
    is_whole: bool,
}

/// What a sieve asks its engine.
impl Engine {
    /// Whether a connection to which this segment belongs is known from its beginning, and if nothing more is, what. The
    /// answer to a SYN is no beginning: another file has that, and perhaps what the client said.
    fn before(&mut self, found: Option<Slot>, segment: &Segment<'_>, clock: Timestamp) -> (bool, Option<Mute>) {
        let begins = is_opening(segment);
        // What has been silent for too long begins anew.
        let is_known = |slot: &Slot| clock.since(self.table.last_seen(*slot)) <= idle_ns(self.table.class(*slot));
        let Some(slot) = found.filter(is_known) else { return (begins, None) };
        let since = self.table.last_seen(slot);
        match self.table.value(slot) {
            State::New | State::Other => (begins, None),
            State::Embryo(handshake) => (
                handshake.has_syn(),
                Some(Mute { since, is_whole: handshake.only().is_some_and(Candidate::is_complete) }),
            ),
            State::Live(live) => (live.talk.has_syn, None),
        }
    }

    /// `found`: where it may be.
    fn state(&mut self, key: &FlowKey, found: Option<Slot>) -> Option<&State> {
        let slot = self.table.find_from(key, found)?;
        Some(self.table.value(slot))
    }

    fn rule_out(&mut self, key: &FlowKey) {
        if let Some(slot) = self.table.find(key) {
            self.put(slot, State::Other);
            self.table.set_class(slot, Class::Other);
        }
    }

    /// Of a connection of which nothing more is told.
    fn forget(&mut self, key: &FlowKey) {
        if let Some(slot) = self.table.find(key) {
            self.table.remove(slot);
        }
    }
}

/// Connections of which packets were left out, beside the engine that did not get these.
pub struct Tombstones {
    hinted: Watched,
    gone: HashMap<FlowKey, Gone, RandomState>,
    /// So many there may be.
    limit: usize,
    /// So many of them are looked through for what is over.
    due: usize,
    /// By the index of the capture: notes that the engine does not agree with.
    missed: BTreeMap<u32, u64>,
}

/// What is known of such a connection.
#[derive(Clone, Copy)]
struct Gone {
    /// When it was seen last, in the capture with that index or here.
    seen: Timestamp,
    input: u32,
    /// Silent: to the engine it has said nothing, and what was left out has not either. Else it is no mail.
    extent: Extent,
}

impl Tombstones {
    /// None yet. On the ports of mail nothing is left out.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            hinted: Watched::hinted(&settings.ports),
            gone: HashMap::default(),
            limit: settings.limits.flows,
            due: 0,
            missed: BTreeMap::new(),
        }
    }

    /// By the index of a capture, how many notes the engine did not agree with: it would have looked at what was left out.
    #[must_use]
    pub fn missed(&self) -> &BTreeMap<u32, u64> {
        &self.missed
    }

    /// What the capture with that index left out, in its turn.
    pub fn add(&mut self, input: u32, left_out: &LeftOut, engine: &mut Engine) {
        let LeftOut { key, extent, since, until, .. } = left_out;
        let before = self.gone.get(key).copied().filter(|gone| since.since(gone.seen) <= IDLE_OTHER_NS);
        let extent = match (before, engine.state(key, None), *extent) {
            // What nothing was kept of may not be what the engine saw.
            (Some(Gone { extent: Extent::Rest, .. }), _, Extent::Whole) => {
                self.miss(input);
                Extent::Whole
            }
            (Some(gone), ..) if gone.extent != Extent::Silent => gone.extent,
            (_, Some(State::Other), Extent::Rest | Extent::Silent) => Extent::Rest,
            // Its SYN was kept, and no other is known: then its first octets show to the engine what they have shown to
            // that of the sieve. With what another capture knows, they might be those of another connection.
            (_, Some(State::Embryo(handshake)), Extent::Whole) if handshake.only().is_some() => {
                engine.rule_out(key);
                Extent::Whole
            }
            (_, None | Some(State::New), Extent::Silent) => Extent::Silent,
            _ => return self.miss(input),
        };
        let new = Gone { seen: *until, input, extent };
        let new = before.filter(|gone| gone.seen > new.seen).map_or(new, |longer| Gone { extent, ..longer });
        self.tidy(*since);
        if self.gone.len() >= self.limit && !self.gone.contains_key(key) {
            return self.miss(input);
        }
        self.gone.insert(*key, new);
    }

    /// Gives a frame to the engine, unless it is of a connection of no interest, as the engine would have remembered.
    pub fn push(&mut self, frame: &Frame<'_>, engine: &mut Engine, records: &mut Vec<Record>) {
        let Some((key, gone)) = self.of(frame) else { return engine.push(frame, records) };
        if gone.extent != Extent::Silent {
            gone.seen = gone.seen.max(frame.clock);
            return;
        }
        let Gone { seen, input, .. } = *gone;
        engine.push(frame, records);
        if frame.clock > seen {
            return;
        }
        // Another capture has the other direction.
        match engine.state(&key, None) {
            // What was left out is of a connection that is followed.
            Some(State::Live(_) | State::Embryo(_)) => {
                self.gone.remove(&key);
                self.miss(input);
            }
            // What was left out makes it last.
            Some(State::Other) => drop(self.gone.insert(key, Gone { seen, input, extent: Extent::Rest })),
            None | Some(State::New) => {}
        }
    }

    /// What is known of a frame's connection.
    fn of(&mut self, frame: &Frame<'_>) -> Option<(FlowKey, &mut Gone)> {
        if self.gone.is_empty() {
            return None;
        }
        let segment = open(frame).ok().filter(|segment| !self.hinted.has(segment))?;
        let (key, _) = FlowKey::between(segment.source, segment.destination);
        let Gone { seen, input, .. } = *self.gone.get(&key)?;
        if frame.clock.since(seen) > IDLE_OTHER_NS || is_opening(&segment) {
            self.gone.remove(&key);
            if (frame.clock, frame.at.input) < (seen, input) {
                // What another capture left out goes on where a connection begins anew that it has not seen begin.
                self.miss(input);
            }
            return None;
        }
        self.gone.get_mut(&key).map(|gone| (key, gone))
    }

    fn miss(&mut self, input: u32) {
        *self.missed.entry(input).or_default() += 1;
    }

    /// Forgets what is over; each looking through is paid for by as many that came.
    fn tidy(&mut self, clock: Timestamp) {
        if self.gone.len() > self.due {
            self.gone.retain(|_, gone| clock.since(gone.seen) <= IDLE_OTHER_NS);
            self.due = 2 * self.gone.len() + 1024;
        }
    }
}
