//! Helpers for this crate's own tests, benches and fuzz targets; not part of its interface.
//!
//! Three steps from words to records: [`Transcript`] turns `C:` and `S:` lines into TCP [`Packet`]s, [`shake`] does
//! to them what networks and span ports do, [`run`] puts them into frames and these through the engine.

use crate::capture::{Access, FileSet};
use crate::engine::{Counters, Engine, Ports, Settings};
use crate::finding::{Collected, Collector, Correlator, Policy, Record, Session};
use crate::limits::Limits;
use crate::mail::Outcome;
use crate::secret::FingerprintKey;
use crate::stream::{Connection, Counts, Env, Mark, Pool, Receiver, Side};
use crate::wire::{Endpoint, Flags, Frame, LinkType, PacketRef, Segment, SeqNumber, Timestamp};
use std::path::PathBuf;
use std::sync::Arc;

/// Settings with a fixed fingerprint key.
#[must_use]
pub fn settings() -> Settings {
    Settings {
        limits: Limits::default(),
        ports: Ports::default(),
        key: FingerprintKey::new(&[7; 32]),
        policy: Arc::default(),
    }
}

/// All records of the files, read as one capture, and what was counted.
#[must_use]
pub fn replay(paths: &[PathBuf]) -> (Vec<Record>, Counters) {
    let mut files = FileSet::open(paths, Access::Read);
    let mut engine = Engine::new(settings());
    let mut records = Vec::new();
    while let Some(frames) = files.next_frames() {
        engine.push_all(frames.iter(), &mut records);
    }
    engine.finish(&mut records);
    assert!(engine.counters().is_balanced(), "every frame is a segment or skipped for a reason");
    (records, *engine.counters())
}

/// The distinct findings that records come to: counted together and judged against each other.
#[must_use]
pub fn collect(records: &[Record]) -> Vec<Collected> {
    let mut collector = Collector::new(Limits::default().findings, vec!["input".to_owned()]);
    let mut correlator = Correlator::default();
    for record in records {
        match record {
            Record::Finding(finding) => drop(collector.add((**finding).clone())),
            Record::Login(login) => correlator.login(login),
            Record::Session(session) => correlator.session(session),
        }
    }
    for finding in correlator.conclude(&Policy::default()) {
        collector.add(finding);
    }
    collector.drain().collect()
}

/// All records of the packets, each in a frame of its own, and what was counted.
#[must_use]
pub fn run(packets: &[Packet], link: Link) -> (Vec<Record>, Counters) {
    run_frames(&frames(packets, link))
}

/// Logins as `user mechanism outcome`, and the session.
#[must_use]
pub fn judged(transcript: &Transcript) -> (Vec<String>, Option<Session>) {
    let (records, _) = run(&transcript.play(), Link::Ethernet);
    let mut logins = Vec::new();
    let mut session = None;
    for record in records {
        match record {
            Record::Login(login) => {
                let outcome = match login.outcome {
                    Outcome::Unknown(reason) => reason.name(),
                    known => known.name(),
                };
                let user = login.user.as_ref().map_or("?", |user| user.as_str());
                logins.push((login.ordinal, format!("{user} {} {outcome}", login.mechanism.as_str())));
            }
            Record::Session(found) => session = Some(*found),
            Record::Finding(_) => {}
        }
    }
    logins.sort();
    (logins.into_iter().map(|(_, login)| login).collect(), session)
}

/// All records of the frames, and what was counted.
#[must_use]
pub fn run_frames(frames: &[Captured]) -> (Vec<Record>, Counters) {
    let mut engine = Engine::new(settings());
    let mut records = Vec::new();
    let mut clock = Timestamp(0);
    for (index, captured) in frames.iter().enumerate() {
        clock = clock.max(captured.time);
        engine.push(&captured.frame(index as u64 + 1, clock), &mut records);
    }
    engine.finish(&mut records);
    assert!(engine.counters().is_balanced(), "every frame is a segment or skipped for a reason");
    (records, *engine.counters())
}

/// How many random streams a test tries: `BAREWIRE_STREAMS`, or so many.
///
/// # Panics
///
/// When the variable holds no number.
#[must_use]
pub fn streams(default: u64) -> u64 {
    std::env::var("BAREWIRE_STREAMS").map_or(default, |count| count.parse().expect("BAREWIRE_STREAMS is a number"))
}

/// A frame that owns its octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// When it was captured.
    pub time: Timestamp,
    /// What its first octet is.
    pub link_type: LinkType,
    /// Its octets.
    pub octets: Vec<u8>,
}

impl Captured {
    /// As the engine takes it: the `number`-th packet of the only input.
    #[must_use]
    pub fn frame(&self, number: u64, clock: Timestamp) -> Frame<'_> {
        Frame {
            at: PacketRef { time: self.time, input: 0, number },
            clock,
            link_type: self.link_type,
            octets: &self.octets,
            original_len: self.octets.len() as u32,
            datagram: None,
        }
    }
}

/// Puts each packet into a frame.
#[must_use]
pub fn frames(packets: &[Packet], link: Link) -> Vec<Captured> {
    let capture =
        |packet: &Packet| Captured { time: packet.time, link_type: link.link_type(), octets: packet.octets(link) };
    packets.iter().map(capture).collect()
}

/// A classic capture file of the frames; all must be of the first one's link type.
#[must_use]
pub fn pcap(frames: &[Captured]) -> Vec<u8> {
    snapped(frames, 262_144)
}

/// The same of a capture that kept `snap` octets of each frame.
#[must_use]
pub fn snapped(frames: &[Captured], snap: usize) -> Vec<u8> {
    let mut file = pcap_header(frames.first().map_or(LinkType::ETHERNET, |frame| frame.link_type));
    for frame in frames {
        pcap_record(frame, snap, &mut file);
    }
    file
}

/// What a classic capture file begins with.
#[must_use]
pub fn pcap_header(link_type: LinkType) -> Vec<u8> {
    let words = [0xa1b2_3c4d, 0x0004_0002, 0, 0, 262_144, u32::from(link_type.0)];
    words.map(u32::to_le_bytes).concat()
}

/// Adds a frame to a classic capture file that keeps `snap` octets of it.
pub fn pcap_record(frame: &Captured, snap: usize, file: &mut Vec<u8>) {
    let kept = &frame.octets[..frame.octets.len().min(snap)];
    let (len, kept_len) = (frame.octets.len() as u32, kept.len() as u32);
    let time = frame.time.0;
    for word in [(time / 1_000_000_000) as u32, (time % 1_000_000_000) as u32, kept_len, len] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.extend_from_slice(kept);
}

/// The octets of both sides of one connection, as reassembly hands them over; `None` where they are in a gap.
pub struct Reassembly {
    connection: Connection,
    pool: Pool,
    counts: Counts,
    sides: Sides,
    at: PacketRef,
}

#[derive(Default)]
struct Sides([Vec<Option<u8>>; 2]);

impl Receiver for Sides {
    fn data(&mut self, side: Side, offset: u64, octets: &[u8], _: Mark) {
        let known = &mut self.0[side.index()];
        assert_eq!(offset, known.len() as u64, "octets of {side:?} in their order, each once");
        known.extend(octets.iter().copied().map(Some));
    }

    fn gap(&mut self, side: Side, offset: u64, len: u64, _: PacketRef) {
        let known = &mut self.0[side.index()];
        assert_eq!(offset, known.len() as u64, "gaps of {side:?} in their order");
        known.resize(known.len() + len as usize, None);
    }
}

impl Default for Reassembly {
    /// Before anything was captured.
    fn default() -> Self {
        Self {
            connection: Connection::default(),
            pool: Pool::new(2),
            counts: Counts::default(),
            sides: Sides::default(),
            at: PacketRef::default(),
        }
    }
}

impl Reassembly {
    /// After both SYNs: where each side begins.
    #[must_use]
    pub fn begun(first: [u32; 2]) -> Self {
        let mut reassembly = Self::default();
        for (side, first) in [Side::A, Side::B].into_iter().zip(first) {
            reassembly.connection.place(side, SeqNumber(first));
            reassembly.connection.mark_captured(side);
        }
        reassembly
    }

    /// Takes the next segment. The first SYN of a side says where it begins; others say nothing.
    pub fn push(&mut self, side: Side, segment: &Segment<'_>, time: Timestamp) {
        if segment.flags.has(Flags::SYN) {
            if self.connection.begins_at(side).is_none() {
                self.connection.place(side, segment.seq.advance(1));
                self.connection.mark_captured(side);
            }
            let is_own = self.connection.begins_at(side) == Some(segment.seq.advance(1));
            if is_own && !segment.payload.is_empty() {
                let flags = Flags(segment.flags.0 & !Flags::SYN);
                self.push(side, &Segment { seq: segment.seq.advance(1), flags, ..*segment }, time);
            }
            return;
        }
        self.at = PacketRef { time, number: self.at.number + 1, ..self.at };
        let mut env = Env { pool: &mut self.pool, counts: &mut self.counts };
        self.connection.push(side, segment, self.at, time, &mut env, &mut self.sides);
        assert!(self.pool.open() <= 2, "one buffer a direction");
    }

    /// All octets, and what was counted.
    #[must_use]
    pub fn finish(mut self) -> ([Vec<Option<u8>>; 2], Counts) {
        let mut env = Env { pool: &mut self.pool, counts: &mut self.counts };
        self.connection.finish(self.at, &mut env, &mut self.sides);
        assert_eq!(self.pool.open(), 0, "all buffers are given back");
        (self.sides.0, self.counts)
    }
}

/// How a packet is put into a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Ethernet II.
    Ethernet,
    /// With one 802.1Q tag.
    Vlan(u16),
    /// With an 802.1ad tag and an 802.1Q tag in it.
    QinQ(u16, u16),
    /// Linux cooked capture, version 1.
    Sll,
    /// Linux cooked capture, version 2.
    Sll2,
    /// No link header.
    Raw,
    /// BSD loopback.
    Null,
}

impl Link {
    /// All kinds, with some tags.
    pub const ALL: [Self; 7] =
        [Self::Ethernet, Self::Vlan(7), Self::QinQ(7, 9), Self::Sll, Self::Sll2, Self::Raw, Self::Null];

    /// The number that capture files use.
    #[must_use]
    pub fn link_type(self) -> LinkType {
        match self {
            Self::Ethernet | Self::Vlan(_) | Self::QinQ(..) => LinkType::ETHERNET,
            Self::Sll => LinkType::LINUX_SLL,
            Self::Sll2 => LinkType::LINUX_SLL2,
            Self::Raw => LinkType::RAW,
            Self::Null => LinkType::NULL,
        }
    }

    fn header(self, is_v6: bool) -> Vec<u8> {
        let ether_type = if is_v6 { 0x86dd } else { 0x0800_u16 }.to_be_bytes();
        let family = if is_v6 { 30_u32 } else { 2 }.to_le_bytes();
        match self {
            Self::Ethernet => [&[2; 12][..], &ether_type].concat(),
            Self::Vlan(tag) => [&[2; 12][..], &[0x81, 0], &tag.to_be_bytes(), &ether_type].concat(),
            Self::QinQ(outer, inner) => {
                let tags = [&[0x88, 0xa8][..], &outer.to_be_bytes(), &[0x81, 0], &inner.to_be_bytes()].concat();
                [&[2; 12][..], &tags, &ether_type].concat()
            }
            Self::Sll => [&[0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0][..], &ether_type].concat(),
            Self::Sll2 => [&ether_type[..], &[0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0]].concat(),
            Self::Raw => Vec::new(),
            Self::Null => family.to_vec(),
        }
    }
}

/// One TCP segment with all that a frame needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When it is captured.
    pub time: Timestamp,
    /// Who sends it.
    pub source: Endpoint,
    /// To whom.
    pub destination: Endpoint,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number; meaningless without [`Flags::ACK`].
    pub ack: u32,
    /// The flags.
    pub flags: u8,
    /// Where its urgent octets end; meaningless without [`URGENT`].
    pub urgent: u16,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Packet {
    /// The packet that a segment came from.
    #[must_use]
    pub fn from_segment(segment: &Segment<'_>, time: Timestamp) -> Self {
        Self {
            time,
            source: segment.source,
            destination: segment.destination,
            seq: segment.seq.0,
            ack: segment.ack.map_or(0, |ack| ack.0),
            flags: segment.flags.0,
            urgent: 0,
            payload: segment.payload.to_vec(),
        }
    }

    /// The frame's octets: IPv4 when both addresses are, else IPv6, with right checksums.
    #[must_use]
    pub fn octets(&self, link: Link) -> Vec<u8> {
        let v4 = [self.source, self.destination].map(|end| u32::try_from(end.address ^ Endpoint::v4(0)));
        let tcp = self.tcp();
        let len = tcp.len() as u16;
        let (ip, pseudo) = if let [Ok(source), Ok(destination)] = v4 {
            let addresses = [source.to_be_bytes(), destination.to_be_bytes()].concat();
            let total = (20 + len).to_be_bytes();
            let mut ip = [&[0x45, 0][..], &total, &[0, 0, 0x40, 0, 64, 6, 0, 0], &addresses].concat();
            let sum = checksum(&ip);
            ip[10..12].copy_from_slice(&sum);
            (ip, [&addresses[..], &[0, 6], &len.to_be_bytes()].concat())
        } else {
            let addresses = [self.source.address.to_be_bytes(), self.destination.address.to_be_bytes()].concat();
            let ip = [&[0x60, 0, 0, 0][..], &len.to_be_bytes(), &[6, 64], &addresses].concat();
            (ip, [&addresses[..], &u32::from(len).to_be_bytes(), &[0, 0, 0, 6]].concat())
        };
        let sum = checksum(&[pseudo, tcp.clone()].concat());
        let mut octets = [link.header(ip[0] == 0x60), ip].concat();
        let sum_at = octets.len() + 16;
        octets.extend_from_slice(&tcp);
        octets[sum_at..sum_at + 2].copy_from_slice(&sum);
        octets
    }

    fn tcp(&self) -> Vec<u8> {
        let ports = [self.source.port.to_be_bytes(), self.destination.port.to_be_bytes()].concat();
        let numbers = [self.seq.to_be_bytes(), self.ack.to_be_bytes()].concat();
        let rest = [&[0x50, self.flags, 0xff, 0xff, 0, 0][..], &self.urgent.to_be_bytes()].concat();
        [ports, numbers, rest, self.payload.clone()].concat()
    }

    /// Sequence number after it.
    #[must_use]
    pub fn end(&self) -> u32 {
        let is_counted = |flag: u8| u32::from(self.flags & flag != 0);
        let counted = is_counted(Flags::SYN) + is_counted(Flags::FIN);
        self.seq.wrapping_add(self.payload.len() as u32).wrapping_add(counted)
    }
}

/// RFC 1071.
#[must_use]
pub fn checksum(octets: &[u8]) -> [u8; 2] {
    let words = octets.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

/// Which end speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// `C:`
    Client = 0,
    /// `S:`
    Server = 1,
}

impl Speaker {
    /// The opposite end.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// A dialogue that becomes a TCP connection.
#[derive(Clone, Debug)]
pub struct Transcript {
    turns: Vec<(Speaker, Vec<u8>)>,
    ends: [Endpoint; 2],
    isn: [u32; 2],
    segment: usize,
    has_handshake: bool,
    has_fins: bool,
    only: Option<Speaker>,
    start: Timestamp,
    /// Turns that were said and not captured.
    lost: Vec<usize>,
    /// Who resets the connection in place of the FINs.
    reset: Option<Speaker>,
    /// Packets that are put before the turn of that number.
    strays: Vec<(usize, Stray)>,
    /// Before which turn the clock of the capture is set by so many seconds.
    clock: Vec<(usize, i64)>,
}

/// A packet that is put among those of a dialogue and moves nothing in it: forged, repeated, or odd.
#[derive(Clone, Debug)]
pub struct Stray {
    /// Whose packet it is, or claims to be.
    pub speaker: Speaker,
    /// The flags.
    pub flags: u8,
    /// Sequence number, from the next of that end.
    pub seq: i32,
    /// Acknowledgement number, from the next of the other end.
    pub ack: i32,
    /// Where its urgent octets end.
    pub urgent: u16,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Transcript {
    /// An empty dialogue with a server on `port`.
    #[must_use]
    pub fn new(port: u16) -> Self {
        let client = Endpoint { address: Endpoint::v4(0xc000_0207), port: 40_001 };
        let server = Endpoint { address: Endpoint::v4(0xc633_6419), port };
        Self {
            turns: Vec::new(),
            ends: [client, server],
            isn: [1000, 5000],
            segment: 1460,
            has_handshake: true,
            has_fins: true,
            only: None,
            start: Timestamp(1_700_000_000_000_000_000),
            lost: Vec::new(),
            reset: None,
            strays: Vec::new(),
            clock: Vec::new(),
        }
    }

    /// Reads `C: ...` and `S: ...` lines; each gets a CR LF.
    ///
    /// # Panics
    ///
    /// On a line of neither.
    #[must_use]
    pub fn parse(port: u16, text: &str) -> Self {
        text.lines().map(str::trim_start).filter(|line| !line.is_empty()).fold(Self::new(port), |transcript, line| {
            let (speaker, said) = match line.split_at_checked(2) {
                Some(("C:", said)) => (Speaker::Client, said),
                Some(("S:", said)) => (Speaker::Server, said),
                _ => panic!("neither C: nor S: {line}"),
            };
            transcript.say(speaker, format!("{}\r\n", said.strip_prefix(' ').unwrap_or(said)).as_bytes())
        })
    }

    /// Adds octets of one end, sent when it has seen all that was said before.
    #[must_use]
    pub fn say(mut self, speaker: Speaker, octets: &[u8]) -> Self {
        self.turns.push((speaker, octets.to_vec()));
        self
    }

    /// Adds octets to the last turn, in its segment.
    #[must_use]
    pub fn say_more(mut self, octets: &[u8]) -> Self {
        if let Some((_, said)) = self.turns.last_mut() {
            said.extend_from_slice(octets);
        }
        self
    }

    /// Puts a packet here.
    #[must_use]
    pub fn stray(mut self, stray: Stray) -> Self {
        self.strays.push((self.turns.len(), stray));
        self
    }

    /// From here on the times of the capture are `seconds` later, or earlier.
    #[must_use]
    pub fn set_clock(mut self, seconds: i64) -> Self {
        self.clock.push((self.turns.len(), seconds));
        self
    }

    /// The last turn was said and not captured.
    #[must_use]
    pub fn lose_last(mut self) -> Self {
        self.lost.push(self.turns.len() - 1);
        self
    }

    /// That end resets the connection in place of the FINs.
    #[must_use]
    pub fn reset_by(mut self, speaker: Speaker) -> Self {
        (self.reset, self.has_fins) = (Some(speaker), false);
        self
    }

    /// With these ends: client, server.
    #[must_use]
    pub fn between(mut self, client: Endpoint, server: Endpoint) -> Self {
        self.ends = [client, server];
        self
    }

    /// With these initial sequence numbers: client, server.
    #[must_use]
    pub fn isn(mut self, client: u32, server: u32) -> Self {
        self.isn = [client, server];
        self
    }

    /// With at most so many octets a segment.
    #[must_use]
    pub fn segment(mut self, octets: usize) -> Self {
        self.segment = octets.max(1);
        self
    }

    /// Without SYNs.
    #[must_use]
    pub fn midstream(mut self) -> Self {
        self.has_handshake = false;
        self
    }

    /// Without FINs.
    #[must_use]
    pub fn unfinished(mut self) -> Self {
        self.has_fins = false;
        self
    }

    /// With the packets of one end only.
    #[must_use]
    pub fn only(mut self, speaker: Speaker) -> Self {
        self.only = Some(speaker);
        self
    }

    /// Beginning at that time.
    #[must_use]
    pub fn at(mut self, start: Timestamp) -> Self {
        self.start = start;
        self
    }

    /// All octets that `speaker` says.
    #[must_use]
    pub fn octets(&self, speaker: Speaker) -> Vec<u8> {
        self.turns.iter().filter(|(who, _)| *who == speaker).flat_map(|(_, said)| said).copied().collect()
    }

    /// The packets of the connection, a millisecond apart. The end that did not speak acknowledges each turn.
    #[must_use]
    pub fn play(&self) -> Vec<Packet> {
        let mut stage = Stage { next: self.isn, packets: Vec::new(), clock_ns: 0, transcript: self };
        if self.has_handshake {
            stage.send(Speaker::Client, Flags::SYN, &[]);
            stage.send(Speaker::Server, Flags::SYN | Flags::ACK, &[]);
            stage.send(Speaker::Client, Flags::ACK, &[]);
        } else {
            stage.next = self.isn.map(|isn| isn.wrapping_add(1));
        }
        for (at, (speaker, said)) in self.turns.iter().enumerate() {
            stage.put(at);
            let captured = stage.packets.len();
            for part in said.chunks(self.segment) {
                stage.send(*speaker, Flags::ACK | PUSH, part);
            }
            if self.lost.contains(&at) {
                stage.packets.truncate(captured);
            }
            stage.send(speaker.other(), Flags::ACK, &[]);
        }
        stage.put(self.turns.len());
        if let Some(speaker) = self.reset {
            stage.send(speaker, Flags::RST | Flags::ACK, &[]);
        }
        if self.has_fins {
            stage.send(Speaker::Client, Flags::FIN | Flags::ACK, &[]);
            stage.send(Speaker::Server, Flags::FIN | Flags::ACK, &[]);
            stage.send(Speaker::Client, Flags::ACK, &[]);
        }
        stage.packets
    }
}

/// The flag that asks to hand data over.
pub const PUSH: u8 = 0x08;

/// The flag that some of the octets are urgent.
pub const URGENT: u8 = 0x20;

struct Stage<'a> {
    next: [u32; 2],
    packets: Vec<Packet>,
    /// By how much the clock of the capture was set.
    clock_ns: i64,
    transcript: &'a Transcript,
}

impl Stage<'_> {
    fn send(&mut self, speaker: Speaker, flags: u8, payload: &[u8]) {
        let stray = Stray { speaker, flags, seq: 0, ack: 0, urgent: 0, payload: payload.to_vec() };
        let packet = self.packet(&stray);
        self.next[speaker as usize] = packet.end();
        self.capture(speaker, packet);
    }

    /// What stands before a turn besides the dialogue.
    fn put(&mut self, turn: usize) {
        for (_, stray) in self.transcript.strays.iter().filter(|(at, _)| *at == turn) {
            self.capture(stray.speaker, self.packet(stray));
        }
        for (_, seconds) in self.transcript.clock.iter().filter(|(at, _)| *at == turn) {
            self.clock_ns = self.clock_ns.saturating_add(seconds.saturating_mul(1_000_000_000));
        }
    }

    fn packet(&self, stray: &Stray) -> Packet {
        let (here, there) = (stray.speaker as usize, stray.speaker.other() as usize);
        let ends = &self.transcript.ends;
        let has_ack = stray.flags & Flags::ACK != 0;
        Packet {
            time: self.transcript.start,
            source: ends[here],
            destination: ends[there],
            seq: self.next[here].wrapping_add_signed(stray.seq),
            ack: if has_ack { self.next[there].wrapping_add_signed(stray.ack) } else { 0 },
            flags: stray.flags,
            urgent: stray.urgent,
            payload: stray.payload.clone(),
        }
    }

    fn capture(&mut self, speaker: Speaker, mut packet: Packet) {
        if self.transcript.only.is_none_or(|only| only == speaker) {
            let elapsed = self.packets.len() as u64 * 1_000_000;
            packet.time = Timestamp((self.transcript.start.0 + elapsed).saturating_add_signed(self.clock_ns));
            self.packets.push(packet);
        }
    }
}

/// Numbers from a seed (SplitMix64): the same seed, the same numbers, on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Begins at `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, or 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.draw() % limit.max(1) as u64) as usize
    }

    /// `true` in `percent` of a hundred calls.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

pub mod wrap;

/// What networks and span ports do to packets. Times stay in order: they are those of the capture.
pub mod shake {
    use super::{Flags, Packet, Random};

    /// Moves packets by at most `places`.
    #[must_use]
    pub fn reorder(packets: &[Packet], places: usize, random: &mut Random) -> Vec<Packet> {
        let mut keyed: Vec<_> = packets.iter().enumerate().map(|(i, p)| (i + random.below(places + 1), p)).collect();
        keyed.sort_by_key(|(key, _)| *key);
        let mut moved: Vec<Packet> = keyed.into_iter().map(|(_, packet)| packet.clone()).collect();
        for (packet, original) in moved.iter_mut().zip(packets) {
            packet.time = original.time;
        }
        moved
    }

    /// Captures some packets twice, one after the other.
    #[must_use]
    pub fn duplicate(packets: &[Packet], percent: usize, random: &mut Random) -> Vec<Packet> {
        let copies = |packet: &Packet| vec![packet.clone(); 1 + usize::from(random.chance(percent))];
        packets.iter().flat_map(copies).collect()
    }

    /// Joins packets that continue each other, then cuts them anew into pieces of up to `most` octets.
    #[must_use]
    pub fn resegment(packets: &[Packet], most: usize, random: &mut Random) -> Vec<Packet> {
        let mut cut = Vec::new();
        for packet in join(packets) {
            let mut rest = packet;
            while rest.payload.len() > 1 {
                let len = 1 + random.below(most.min(rest.payload.len()));
                if len == rest.payload.len() {
                    break;
                }
                let mut part = rest.clone();
                rest.payload = part.payload.split_off(len);
                rest.seq = part.end().wrapping_sub(u32::from(part.flags & Flags::FIN));
                part.flags &= !Flags::FIN;
                cut.push(part);
            }
            cut.push(rest);
        }
        cut
    }

    fn join(packets: &[Packet]) -> Vec<Packet> {
        let mut joined: Vec<Packet> = Vec::new();
        let odd = Flags::SYN | Flags::RST | Flags::FIN;
        for packet in packets {
            match joined.last_mut() {
                Some(last)
                    if (last.source, last.destination, last.ack) == (packet.source, packet.destination, packet.ack)
                        && last.end() == packet.seq
                        && (last.flags | packet.flags) & odd == 0
                        && last.payload.len() + packet.payload.len() < 16_000 =>
                {
                    last.payload.extend_from_slice(&packet.payload);
                }
                _ => joined.push(packet.clone()),
            }
        }
        joined
    }

    /// Leaves one packet out.
    #[must_use]
    pub fn without(packets: &[Packet], index: usize) -> Vec<Packet> {
        let mut rest = packets.to_vec();
        rest.remove(index);
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::decode;

    #[test]
    fn every_link_carries_the_packet_it_was_given() {
        let v6 = |low: u128| Endpoint { address: 0x2001_0db8 << 96 | low, port: 25 };
        let v4 = Transcript::parse(25, "S: 220 hello\nC: QUIT").play();
        let v6 = Transcript::parse(25, "S: 220 hello\nC: QUIT").between(v6(1), v6(2)).play();
        for packet in v4.iter().chain(&v6) {
            for link in Link::ALL {
                let captured = frames(std::slice::from_ref(packet), link).remove(0);
                let frame = captured.frame(1, packet.time);
                let segment = decode(&frame).unwrap_or_else(|skip| panic!("{link:?}: {skip:?}"));
                assert_eq!(Packet::from_segment(&segment, packet.time), *packet, "{link:?}");
            }
        }
    }

    #[test]
    fn shaking_keeps_the_octets_of_each_end() {
        let packets = Transcript::parse(25, "S: 220 hello\nC: EHLO me\nS: 250 you\nC: QUIT").segment(3).play();
        let shaken = shake::resegment(&packets, 5, &mut Random::new(1));
        let said = |packets: &[Packet]| -> Vec<u8> {
            packets.iter().filter(|packet| packet.destination.port == 25).flat_map(|p| p.payload.clone()).collect()
        };
        assert_eq!(said(&shaken), said(&packets));
        assert_eq!(shaken.last().map(Packet::end), packets.last().map(Packet::end));
        assert_eq!(shake::reorder(&packets, 3, &mut Random::new(1)).len(), packets.len());
    }
}
