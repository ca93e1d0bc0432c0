//! The only door into the core: frames in, records out, everything counted.
//!
//! One engine holds the flows of one worker. It fails never and logs nothing; what it could not follow it counts.

mod counters;
mod doubt;
mod feed;
mod held;
mod ports;
mod sieve;
mod tail;

use crate::finding::software::Recogniser;
use crate::finding::{Case, Court, Ending, Flow, Policy, Record};
use crate::limits::{
    BLOCK_OCTETS, CLOSED_NS, EMBRYO_NS, EMBRYO_SHARE, IDLE_MAIL_NS, IDLE_OTHER_NS, IN_USE_FOR_ONE_FREE, LINGER_NS,
    Limits, REORDER_OCTETS, REPLY_WAIT_NS, REREAD_OCTETS, REREAD_TIMES,
};
use crate::mail::{Detector, End, Load, Out, Probe, Protocol, is_hopeless};
use crate::secret::FingerprintKey;
use crate::stream::{
    Candidate, Class, Connection, Counts, Direction, Env, FlowKey, FlowTable, Handshake, Pool, Side, Slot,
};
use crate::wire::{
    Datagram, Defragmenter, Flags, Frame, LinkType, PacketRef, Refusal, Segment, SeqNumber, Skip, Timestamp, Tunnel,
    glance, open,
};
pub use counters::Counters;
use doubt::Doubt;
use feed::Feed;
pub use held::Held;
pub use ports::Ports;
use ports::Watched;
pub use sieve::{Extent, LeftOut, Sieve, Sifted, Tombstones};
use std::sync::Arc;
use tail::{Origin, Tail};

/// What the engine is told once.
#[derive(Clone)]
pub struct Settings {
    /// Bounds.
    pub limits: Limits,
    /// Port hints.
    pub ports: Ports,
    /// Key of all fingerprints.
    pub key: FingerprintKey,
    /// What the operator says of networks and accounts.
    pub policy: Arc<Policy>,
}

/// Frames that are looked up at once: about as many waits for memory as a processor has under way.
const TOGETHER: usize = 16;

/// Where `find` says that the flows of the next frames may be.
#[inline]
fn look_up<'a, T: Copy>(
    frames: impl Iterator<Item = Frame<'a>>,
    find: impl Fn(&FlowKey) -> Option<T>,
) -> [Option<T>; TOGETHER] {
    let mut found = [None; TOGETHER];
    for (found, frame) in found.iter_mut().zip(frames) {
        let key = glance(&frame).map(|(source, destination)| FlowKey::between(source, destination).0);
        *found = key.and_then(|key| find(&key));
    }
    found
}

/// Follows the flows of one worker.
pub struct Engine {
    table: FlowTable<State>,
    fragments: Defragmenter,
    /// Flows of which only a SYN was seen that the table may hold: a flood of them must not push out the others. What
    /// comes of one that had to go is followed as if the capture began there.
    embryos: usize,
    shared: Shared,
    since_sweep: u32,
    /// The latest of the capture.
    clock: Timestamp,
    /// `None`: all ports.
    watched: Option<Watched>,
}

/// What all flows use.
struct Shared {
    settings: Settings,
    pool: Pool,
    counters: Counters,
    out: Out,
    recogniser: Recogniser,
    /// Connections that are read twice.
    doubts: usize,
    /// Octets that flows take besides their places in the table.
    octets: usize,
}

#[derive(Default)]
enum State {
    /// Nothing is known yet.
    #[default]
    New,
    /// SYNs, no data.
    Embryo(Box<Handshake>),
    /// No mail: followed no further.
    Other,
    /// May be mail, or is.
    Live(Box<Live>),
}

struct Live {
    connection: Connection,
    talk: Talk,
    /// SYNs seen meanwhile: forged, or the ports are used again. The data that follow show which.
    rival: Option<Box<Handshake>>,
    /// Octets of memory it took when it was last counted: bounds of all that it holds keep them far below 4 GiB.
    counted: u32,
    has_open_login: bool,
    /// When the oldest client octets came that wait for a reply; [`NEVER`] where none do.
    waiting_since: Timestamp,
}

/// A time that never comes.
const NEVER: Timestamp = Timestamp(u64::MAX);

/// What is said on a connection, and by whom.
struct Talk {
    client: Side,
    /// A SYN told who the client is.
    is_sure_of_ends: bool,
    is_midstream: bool,
    /// The client's SYN was seen, not its answer alone.
    has_syn: bool,
    /// Octets of the client, of the server are missing.
    has_gap: [bool; 2],
    has_fin: bool,
    vlan: Option<u16>,
    tunnel: Option<Box<Tunnel>>,
    /// Sequence numbers of the first octets, client and server.
    isns: Option<[u32; 2]>,
    start: PacketRef,
    last: PacketRef,
    packets: u64,
    octets: [u64; 2],
    server_captured: bool,
    app: App,
    /// Octets of memory that the case takes.
    case_octets: u32,
    /// What was handed on last.
    tail: Tail,
    /// Copies of octets differ.
    doubt: Option<Box<Doubt>>,
    /// Octets that were read again for that: 4 GiB at most.
    reread: u32,
    /// By side: whether checksums tell anything.
    soundness: [Soundness; 2],
    /// Octets of a SYN that the server did not take.
    syn_refused: u32,
}

/// Right and wrong checksums among those that were looked at; of very many the share.
#[derive(Clone, Copy, Default)]
struct Soundness {
    right: u16,
    wrong: u16,
}

impl Soundness {
    fn note(&mut self, is_right: bool) {
        if self.right.max(self.wrong) == u16::MAX {
            (self.right, self.wrong) = (self.right / 2, self.wrong / 2);
        }
        *(if is_right { &mut self.right } else { &mut self.wrong }) += 1;
    }

    /// Where the capturing host sends, the network card fills them in later.
    fn is_offloaded(self) -> bool {
        u32::from(self.wrong) * 20 > u32::from(self.right) + u32::from(self.wrong) && self.wrong > 1
    }
}

enum App {
    Probing(Box<Probe>),
    Mail(Box<dyn Detector>, Box<Case>),
    /// Nothing more to learn; the session is still to be told.
    Done(Box<Case>),
    NotMail,
}

/// Segments up to this length have their checksum looked at: commands, replies and logins are short.
const CHECKED_OCTETS: usize = 512;

/// How often idle flows are looked for. What is idle is decided by the flow's own clock, not by this.
const SWEEP_EVERY: u32 = 256;

impl Engine {
    /// A new engine.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            watched: Watched::of(&settings.ports),
            table: FlowTable::new(settings.limits.flows),
            fragments: Defragmenter::default(),
            embryos: (settings.limits.flows / EMBRYO_SHARE).max(1),
            shared: Shared {
                pool: Pool::new(settings.limits.reorder_buffers),
                counters: Counters::default(),
                out: Out::default(),
                recogniser: Recogniser::default(),
                doubts: 0,
                octets: 0,
                settings,
            },
            since_sweep: 0,
            clock: Timestamp(0),
        }
    }

    /// What the operator says of ports, networks and accounts, for all that is judged from now on.
    pub fn reconfigure(&mut self, ports: Ports, policy: Arc<Policy>) {
        self.watched = Watched::of(&ports);
        let settings = &mut self.shared.settings;
        (settings.ports, settings.policy) = (ports, policy);
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Takes the next frame; what it brings to light goes to `records`.
    #[inline]
    pub fn push(&mut self, frame: &Frame<'_>, records: &mut Vec<Record>) {
        self.take(frame, None, records);
    }

    /// Takes frames in their order, as [`Self::push`] does one after the other, but looks several of them up at once:
    /// most of what a packet takes is the wait for memory, and these waits can be one. Gives the clock of the first frame
    /// that brought a record to light, or of one looked up together with it.
    pub fn push_all<'a>(
        &mut self,
        mut frames: impl Iterator<Item = Frame<'a>> + Clone,
        records: &mut Vec<Record>,
    ) -> Option<Timestamp> {
        let before = records.len();
        let mut brought = None;
        while let Some(first) = frames.clone().next() {
            for found in look_up(frames.clone(), |key| self.table.find(key)) {
                let Some(frame) = frames.next() else { break };
                self.take(&frame, found, records);
            }
            if brought.is_none() && records.len() > before {
                brought = Some(first.clock);
            }
        }
        brought
    }

    /// `found`: its flow, as it was when the frames around it were looked at.
    #[inline]
    fn take(&mut self, frame: &Frame<'_>, found: Option<Slot>, records: &mut Vec<Record>) {
        self.clock = frame.clock;
        let counters = &mut self.shared.counters;
        counters.note(frame);
        match open(frame) {
            Ok(segment) => {
                counters.segments += 1;
                self.segment(&segment, found, frame, records);
            }
            Err(Refusal::Skip(skip)) => {
                counters.skipped[skip as usize] += 1;
                if skip == Skip::LinkType {
                    counters.unread.note(frame.link_type, 1);
                }
            }
            Err(Refusal::Fragment(fragment)) => {
                counters.skipped[Skip::Fragment as usize] += 1;
                let whole = self.fragments.push(&fragment, frame.clock);
                counters.fragments = *self.fragments.counts();
                // A datagram may be a fragment again, of what is in a tunnel; each layer has its number.
                for datagram in &whole {
                    self.push(&of_datagram(frame, datagram), records);
                }
            }
        }
    }

    /// The capture has come as far as this, with frames that were another engine's.
    pub fn advance(&mut self, clock: Timestamp) {
        self.clock = self.clock.max(clock);
    }

    /// The capture is over: every flow is concluded.
    pub fn finish(&mut self, records: &mut Vec<Record>) {
        self.fragments.finish();
        self.shared.counters.fragments = *self.fragments.counts();
        for class in Class::ALL {
            while let Some(slot) = self.table.oldest(class) {
                // Whether it was looked for before depends on the frames of others.
                let is_idle = self.clock.since(self.table.last_seen(slot)) > idle_ns(class);
                self.conclude(slot, if is_idle { End::Idle } else { End::CaptureEnded }, records);
            }
        }
        debug_assert_eq!(self.shared.octets(), 0, "what was counted is given back");
    }

    fn segment(&mut self, segment: &Segment<'_>, found: Option<Slot>, frame: &Frame<'_>, records: &mut Vec<Record>) {
        if self.watched.as_ref().is_some_and(|watched| !watched.has(segment)) {
            self.shared.counters.other_ports += 1;
            return;
        }
        let (key, side) = FlowKey::between(segment.source, segment.destination);
        let clock = frame.clock;
        self.since_sweep += 1;
        if self.since_sweep >= SWEEP_EVERY {
            self.since_sweep = 0;
            self.expire(clock, records);
        }
        if self.is_full() {
            self.make_room(records);
        }
        let (slot, before) = self.table.touch(&key, found, clock);
        if clock.since(before) > idle_ns(self.table.class(slot)) {
            self.conclude(slot, End::Idle, records);
            let (slot, _) = self.table.touch(&key, None, clock);
            return self.dispatch(slot, &key, side, segment, frame, records);
        }
        self.dispatch(slot, &key, side, segment, frame, records);
    }

    #[inline]
    fn dispatch(
        &mut self,
        slot: Slot,
        key: &FlowKey,
        side: Side,
        segment: &Segment<'_>,
        frame: &Frame<'_>,
        records: &mut Vec<Record>,
    ) {
        match self.table.value(slot) {
            State::Other if !is_opening(segment) => {}
            State::Live(live) if segment.flags.has(Flags::SYN) => {
                let is_own = live.syn(side, segment, frame.at, &mut self.shared);
                live.count(&mut self.shared);
                if is_own && !segment.payload.is_empty() {
                    live.talk.packets -= 1;
                    let class = live.push(key, side, &without_syn(segment), frame, &mut self.shared, records);
                    self.settle(slot, class);
                }
            }
            State::Live(live) if live.is_succeeded(side, segment, frame.clock) => {
                let handshake = live.rival.take().unwrap_or_default();
                self.conclude(slot, End::Closed, records);
                let (slot, _) = self.table.touch(key, None, frame.clock);
                self.put(slot, State::Embryo(handshake));
                self.begin(slot, key, side, segment, frame, records);
            }
            State::Live(live) => {
                let class = live.push(key, side, segment, frame, &mut self.shared, records);
                self.settle(slot, class);
            }
            State::New | State::Embryo(_) | State::Other => self.begin(slot, key, side, segment, frame, records),
        }
    }

    /// A flow without data so far.
    fn begin(
        &mut self,
        slot: Slot,
        key: &FlowKey,
        side: Side,
        segment: &Segment<'_>,
        frame: &Frame<'_>,
        records: &mut Vec<Record>,
    ) {
        let speaks = !segment.payload.is_empty() && !segment.flags.has(Flags::RST);
        if segment.flags.has(Flags::SYN) {
            if !matches!(self.table.value(slot), State::Embryo(_)) {
                self.put(slot, State::Embryo(Box::default()));
            }
            if let State::Embryo(handshake) = self.table.value(slot) {
                handshake.greet(side, segment, frame.at);
            }
            self.table.set_class(slot, Class::Embryo);
            if self.table.count(Class::Embryo) > self.embryos
                && let Some(oldest) = self.table.oldest(Class::Embryo).filter(|oldest| *oldest != slot)
            {
                self.shared.counters.embryos_dropped += 1;
                self.conclude(oldest, End::Evicted, records);
            }
            // Data may come with it (RFC 7413). Whether they are taken or sent again, they crossed the wire.
            if speaks {
                let mut handshake = self.handshake(slot);
                handshake.packets -= 1;
                self.follow((slot, key, side), &without_syn(segment), frame, &handshake, records);
                if matches!(self.table.value(slot), State::Live(_)) {
                    self.table.set_class(slot, Class::Embryo);
                }
            }
            return;
        }
        if speaks {
            let handshake = self.handshake(slot);
            return self.follow((slot, key, side), segment, frame, &handshake, records);
        }
        if let State::Embryo(handshake) = self.table.value(slot) {
            handshake.packets += 1;
            if !segment.flags.has(Flags::RST) {
                handshake.confirm(side, segment);
                // Connected, and nobody has spoken yet: some servers greet late.
                if handshake.is_confirmed() {
                    self.table.set_class(slot, Class::Other);
                }
            }
        }
    }

    /// What is known of the handshakes of a flow that has not spoken.
    fn handshake(&mut self, slot: Slot) -> Handshake {
        match self.table.value(slot) {
            State::Embryo(handshake) => **handshake,
            State::New | State::Other | State::Live(_) => Handshake::default(),
        }
    }

    /// The first data after a handshake.
    fn follow(
        &mut self,
        (slot, key, side): (Slot, &FlowKey, Side),
        segment: &Segment<'_>,
        frame: &Frame<'_>,
        handshake: &Handshake,
        records: &mut Vec<Record>,
    ) {
        let chosen = handshake.choose(side, segment);
        if self.is_hopeless(key, side, segment, chosen) {
            self.put(slot, State::Other);
            return self.table.set_class(slot, Class::Other);
        }
        let mut live = Box::new(Live::new(key, side, segment, frame, chosen, &self.shared.settings.ports));
        live.talk.packets = u64::from(handshake.packets);
        // What the other end acknowledges of it is to be had, so that is waited for.
        for heard in [Side::A, Side::B].into_iter().filter(|side| chosen.is_some() && handshake.heard[side.index()]) {
            live.connection.mark_captured(heard);
        }
        let class = live.push(key, side, segment, frame, &mut self.shared, records);
        self.put(slot, State::Live(live));
        self.settle(slot, class);
    }

    /// Whether the first data show at once that this is no mail; most flows end here.
    fn is_hopeless(&self, key: &FlowKey, side: Side, segment: &Segment<'_>, chosen: Option<Candidate>) -> bool {
        let ports = &self.shared.settings.ports;
        if [Side::A, Side::B].into_iter().any(|side| ports.hint(key.endpoint(side).port).is_some()) {
            return false;
        }
        let Some(chosen) = chosen else { return is_hopeless(segment.payload, None, false) };
        let is_start = chosen.first[side.index()] == Some(segment.seq);
        is_start && is_hopeless(segment.payload, Some(side != chosen.client), true)
    }

    fn settle(&mut self, slot: Slot, class: Class) {
        if class == Class::Other
            && let State::Live(live) = self.table.value(slot)
        {
            live.connection.release_buffers(&mut self.shared.pool);
            self.put(slot, State::Other);
        }
        self.table.set_class(slot, class);
    }

    /// Concludes the flows that have been silent for too long by then; no frame came meanwhile.
    pub fn expire(&mut self, clock: Timestamp, records: &mut Vec<Record>) {
        for class in Class::ALL {
            while let Some(slot) = self.table.oldest(class) {
                if clock.since(self.table.last_seen(slot)) <= idle_ns(class) {
                    break;
                }
                self.conclude(slot, End::Idle, records);
            }
        }
    }

    /// Whether a new flow, or what the next segment adds to one, may be too much.
    #[inline]
    fn is_full(&self) -> bool {
        let in_use = self.shared.octets() + self.table.places() * PLACE_OCTETS;
        let octets = in_use + in_use / IN_USE_FOR_ONE_FREE;
        self.table.is_full() || octets > self.shared.settings.limits.octets
    }

    /// Who has least to tell leaves first.
    fn make_room(&mut self, records: &mut Vec<Record>) {
        while self.is_full()
            && let Some(slot) = Class::ALL.into_iter().find_map(|class| self.table.oldest(class))
        {
            self.shared.counters.evicted += 1;
            self.conclude(slot, End::Evicted, records);
        }
    }

    /// Sets what a flow is. One that is followed has counted itself.
    fn put(&mut self, slot: Slot, state: State) {
        if let State::Embryo(_) = state {
            self.shared.octets += state.counted();
        }
        self.shared.octets -= std::mem::replace(self.table.value(slot), state).counted();
    }

    fn conclude(&mut self, slot: Slot, end: End, records: &mut Vec<Record>) {
        let key = self.table.key(slot);
        let state = self.table.remove(slot);
        self.shared.octets -= state.counted();
        if let State::Live(live) = state {
            live.conclude(&key, end, &mut self.shared, records);
        }
    }
}

/// Octets of a flow's place in the table and of its share of the index.
const PLACE_OCTETS: usize = 88;

impl State {
    /// Octets besides the place in the table, as last counted.
    fn counted(&self) -> usize {
        match self {
            Self::New | Self::Other => 0,
            Self::Embryo(_) => size_of::<Handshake>() + BLOCK_OCTETS,
            Self::Live(live) => live.counted as usize,
        }
    }
}

impl Shared {
    /// Octets that flows take, reorder buffers included.
    fn octets(&self) -> usize {
        self.octets + self.pool.open() * REORDER_OCTETS
    }
}

fn idle_ns(class: Class) -> u64 {
    match class {
        Class::Embryo => EMBRYO_NS,
        Class::Closed => CLOSED_NS,
        Class::Reset => LINGER_NS,
        Class::Other => IDLE_OTHER_NS,
        Class::Settled | Class::Mail | Class::Login => IDLE_MAIL_NS,
    }
}

/// The data of a SYN, which stand one further than the SYN itself.
fn without_syn<'a>(segment: &Segment<'a>) -> Segment<'a> {
    Segment { seq: segment.seq.advance(1), flags: Flags(segment.flags.0 & !Flags::SYN), ..*segment }
}

/// A datagram in the place of its last fragment.
#[must_use]
pub fn of_datagram<'a>(frame: &Frame<'_>, datagram: &'a Datagram) -> Frame<'a> {
    Frame {
        at: frame.at,
        clock: frame.clock,
        link_type: LinkType::RAW,
        octets: &datagram.octets,
        original_len: u32::try_from(datagram.octets.len()).unwrap_or(u32::MAX),
        datagram: Some(&datagram.path),
    }
}

/// A SYN without ACK: the beginning of a connection.
fn is_opening(segment: &Segment<'_>) -> bool {
    segment.flags.has(Flags::SYN) && !segment.flags.has(Flags::ACK | Flags::RST)
}

impl Live {
    fn new(
        key: &FlowKey,
        side: Side,
        segment: &Segment<'_>,
        frame: &Frame<'_>,
        chosen: Option<Candidate>,
        ports: &Ports,
    ) -> Self {
        let mut connection = Connection::default();
        let mut server_captured = false;
        let client = chosen.map_or_else(|| guess_client(key, side, ports), |chosen| chosen.client);
        for known in [Side::A, Side::B] {
            if let Some(first) = chosen.and_then(|chosen| chosen.first[known.index()]) {
                connection.place(known, first);
                connection.mark_captured(known);
                server_captured |= known != client;
            }
        }
        let talk = Talk {
            client,
            is_sure_of_ends: chosen.is_some(),
            is_midstream: chosen.is_none(),
            has_syn: chosen.is_some_and(|chosen| chosen.has_syn()),
            has_gap: [false; 2],
            has_fin: false,
            vlan: segment.vlans[0],
            tunnel: segment.tunnel.map(Box::new),
            isns: chosen
                .and_then(|chosen| Some([chosen.first[client.index()]?.0, chosen.first[client.other().index()]?.0])),
            start: chosen.map_or(frame.at, |chosen| chosen.start),
            last: frame.at,
            packets: 0,
            octets: [0; 2],
            server_captured,
            app: App::Probing(Box::default()),
            case_octets: 0,
            tail: Tail::default(),
            doubt: None,
            reread: 0,
            soundness: [Soundness::default(); 2],
            syn_refused: 0,
        };
        Self { connection, talk, rival: None, counted: 0, has_open_login: false, waiting_since: NEVER }
    }

    fn push(
        &mut self,
        key: &FlowKey,
        side: Side,
        segment: &Segment<'_>,
        frame: &Frame<'_>,
        shared: &mut Shared,
        records: &mut Vec<Record>,
    ) -> Class {
        let talk = &mut self.talk;
        talk.last = talk.last.max(frame.at);
        talk.packets += 1;
        talk.octets[usize::from(side != talk.client)] += u64::from(segment.payload_len);
        talk.has_fin |= segment.flags.has(Flags::FIN);
        if talk.is_over() {
            return if segment.flags.has(Flags::FIN | Flags::RST) { Class::Reset } else { Class::Settled };
        }
        // Client octets have waited too long for the reply that explains them.
        let is_overdue = frame.clock.since(self.waiting_since) > REPLY_WAIT_NS;
        // What neither has octets nor sets any free adds none.
        let may_add = !segment.payload.is_empty() || is_overdue || self.connection.has_waiting();
        let origin = talk.origin(side, segment, &mut shared.counters.stream);
        let Shared { settings, pool, counters, out, doubts, recogniser, .. } = shared;
        let mut env = Env { pool, counts: &mut counters.stream };
        let mut feed = Feed { talk, key, settings, out, recogniser, records, doubts, at: frame.at, origin };
        if is_overdue {
            feed.give_up_waiting();
        }
        self.connection.push(side, segment, frame.at, frame.clock, &mut env, &mut feed);
        if may_add {
            self.count(shared);
        }
        match self.talk.app {
            App::NotMail => Class::Other,
            App::Done(_) if self.talk.doubt.is_none() => {
                self.connection.release_buffers(&mut shared.pool);
                Class::Settled
            }
            _ if self.connection.is_finished() => {
                if self.talk.doubt.is_none() {
                    // What comes after both ends have closed nobody takes any more.
                    self.talk.tail = Tail::default();
                }
                Class::Closed
            }
            _ if self.connection.was_reset() => Class::Reset,
            _ if self.has_open_login => Class::Login,
            _ => Class::Mail,
        }
    }

    /// Counts what it takes anew.
    fn count(&mut self, shared: &mut Shared) {
        shared.octets -= self.counted as usize;
        let load = self.load();
        self.counted = u32::try_from(load.octets).unwrap_or(u32::MAX);
        self.has_open_login = load.has_open_login;
        self.waiting_since = load.waiting_since.map_or(NEVER, |mark| mark.at.time);
        shared.octets += self.counted as usize;
    }

    /// What it holds, all of it included.
    fn load(&self) -> Load {
        let Talk { app, tail, doubt, case_octets, tunnel, .. } = &self.talk;
        let app = match app {
            App::Probing(probe) => Load { octets: probe.octets(), ..Load::default() },
            App::Mail(detector, _) => detector.load(),
            App::Done(_) | App::NotMail => Load::default(),
        };
        let doubt = doubt.as_ref().map_or(0, |doubt| doubt.octets());
        let rival = self.rival.as_ref().map_or(0, |_| size_of::<Handshake>());
        let tunnel = tunnel.as_ref().map_or(0, |_| size_of::<Tunnel>());
        let case = *case_octets as usize;
        // What the allocator adds to these, to detector and case, and to their texts and lists.
        const BLOCKS: usize = 12 * BLOCK_OCTETS;
        Load { octets: size_of::<Self>() + BLOCKS + case + tail.held() + doubt + rival + tunnel + app.octets, ..app }
    }

    /// A SYN inside the connection moves nothing (RFC 5961 §4), but a late SYN-ACK tells that the server is captured,
    /// and where it begins if it has said nothing yet. Says whether the SYN is the connection's own.
    fn syn(&mut self, side: Side, segment: &Segment<'_>, at: PacketRef, shared: &mut Shared) -> bool {
        self.talk.packets += 1;
        let first = segment.seq.advance(1);
        let peer = self.connection.begins_at(side.other());
        let sent = self.connection.position(side.other());
        let answers =
            |begin: SeqNumber| segment.ack.is_some_and(|ack| (0..=sent as i32).contains(&ack.offset_from(begin)));
        let is_unknown = self.connection.begins_at(side).is_none() || self.connection.is_presumed(side);
        if is_unknown && peer.is_some_and(answers) {
            self.connection.place(side, first);
            if segment.ack == peer {
                self.talk.syn_refused = u32::try_from(sent).unwrap_or(u32::MAX);
            }
            // Records name a flow alike from the first to the last.
            let may_tell = side != self.talk.client && matches!(self.talk.app, App::Probing(_));
            if let (Some(peer), true) = (peer, may_tell) {
                self.talk.isns = Some([peer.0, first.0]);
            }
        }
        let is_own = self.connection.begins_at(side) == Some(first);
        if is_own {
            self.connection.mark_captured(side);
            self.talk.server_captured |= side != self.talk.client;
        } else {
            self.rival.get_or_insert_default().greet(side, segment, at);
            shared.counters.stream.syn_ignored += 1;
        }
        is_own
    }

    /// Whether a segment with data goes on from a handshake that came after this connection's own.
    fn is_succeeded(&self, side: Side, segment: &Segment<'_>, clock: Timestamp) -> bool {
        let is_over = self.connection.is_over(clock);
        let rival = self.rival.as_ref().filter(|_| !segment.payload.is_empty());
        rival.is_some_and(|rival| rival.continued_by(side, segment, is_over))
    }

    fn conclude(mut self: Box<Self>, key: &FlowKey, end: End, shared: &mut Shared, records: &mut Vec<Record>) {
        let end = match end {
            End::CaptureEnded | End::Idle if self.connection.is_finished() || self.connection.was_reset() => {
                End::Closed
            }
            other => other,
        };
        let last = self.talk.last;
        let Shared { settings, pool, counters, out, doubts, recogniser, .. } = shared;
        let mut env = Env { pool, counts: &mut counters.stream };
        let mut feed =
            Feed { talk: &mut self.talk, key, settings, out, recogniser, records, doubts, at: last, origin: None };
        if !matches!(feed.talk.app, App::Done(_)) || feed.talk.doubt.is_some() {
            self.connection.finish(last, &mut env, &mut feed);
        }
        feed.probe(true);
        feed.end(end);
        let captured = [self.talk.client, self.talk.client.other()].map(|side| self.connection.is_captured(side));
        let talk = self.talk;
        let flow = talk.protocol().map(|protocol| talk.flow(key, protocol));
        let ending = Ending {
            end,
            at: talk.last,
            packets: talk.packets,
            octets: talk.octets,
            captured,
            is_midstream: talk.is_midstream,
            has_gap: talk.has_gap,
            has_fin: talk.has_fin,
        };
        if let (App::Mail(_, case) | App::Done(case), Some(flow)) = (talk.app, flow) {
            counters.mail_flows += 1;
            let mut court = Court { flow, key: &settings.key, policy: &settings.policy, recogniser, records };
            case.conclude(&ending, &mut court);
        }
    }
}

/// Without a SYN: the side with a mail port is the server, else the one with the lower port.
fn guess_client(key: &FlowKey, side: Side, ports: &Ports) -> Side {
    let (here, there) = (key.endpoint(side).port, key.endpoint(side.other()).port);
    match (ports.hint(here), ports.hint(there)) {
        (None, Some(_)) => side,
        (Some(_), None) => side.other(),
        _ if there < here => side,
        _ => side.other(),
    }
}

impl Talk {
    fn direction(&self, side: Side) -> Direction {
        if side == self.client { Direction::ToServer } else { Direction::ToClient }
    }

    /// What is spoken, once that is known.
    fn protocol(&self) -> Option<Protocol> {
        match &self.app {
            App::Mail(_, case) | App::Done(case) => Some(case.protocol()),
            App::Probing(_) | App::NotMail => None,
        }
    }

    fn flow(&self, key: &FlowKey, protocol: Protocol) -> Flow {
        Flow {
            client: key.endpoint(self.client),
            server: key.endpoint(self.client.other()),
            start: self.start,
            protocol,
            vlan: self.vlan,
            tunnel: self.tunnel.as_deref().copied(),
            isns: self.isns,
        }
    }

    /// Whether what is kept may be read so many times more. What an attacker sends must not cost many times what it is.
    fn may_reread(&mut self, readings: u64) -> bool {
        let reread = u64::from(self.reread) + readings * self.tail.len();
        let most = REREAD_OCTETS + REREAD_TIMES * self.octets.iter().sum::<u64>();
        match u32::try_from(reread) {
            Ok(fits) if reread <= most => self.reread = fits,
            _ => return false,
        }
        true
    }

    /// Nothing more is read, in no reading.
    fn is_over(&self) -> bool {
        match self.app {
            App::Probing(_) | App::Mail(..) => false,
            App::Done(_) => self.doubt.is_none(),
            App::NotMail => true,
        }
    }

    /// What tells a segment from another copy of it, as long as such a copy would be noticed.
    // For every segment with octets, from one place: called, it takes half as many instructions again.
    #[inline(always)]
    fn origin(&mut self, side: Side, segment: &Segment<'_>, counts: &mut Counts) -> Option<Origin> {
        if segment.payload.is_empty() || self.is_over() {
            return None;
        }
        let is_short = !self.tail.is_short && segment.payload.len() <= CHECKED_OCTETS;
        let is_sound = if is_short { self.check(side, segment, counts) } else { None };
        Some(Origin::new(segment.ttl, segment.vlans[0], segment.timestamp(), is_sound))
    }

    fn check(&mut self, side: Side, segment: &Segment<'_>, counts: &mut Counts) -> Option<bool> {
        let is_right = segment.checksum_is_right()?;
        self.soundness[side.index()].note(is_right);
        counts.unsound += u64::from(!is_right);
        Some(is_right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A million flows of no interest are what a span port shows in a minute.
    #[test]
    fn a_flow_without_interest_is_small() {
        assert!(size_of::<State>() <= 16);
    }
}
