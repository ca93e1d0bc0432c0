//! Reassembly as a whole: whatever order, cut and copies the segments of a connection come in, its octets come out,
//! once, in causal order; what is lost becomes a gap; what is forged moves nothing.

use barewire::finding::Record;
use barewire::stream::{Connection, Counts, Env, Mark, Pool, Receiver, Side};
use barewire::testing::{Link, Packet, Random, Speaker, Transcript, run, shake};
use barewire::wire::{Flags, PacketRef, Segment, SeqNumber, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

/// What a connection handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Data(Side, u64, Vec<u8>, Mark),
    Gap(Side, u64, u64),
}

/// Takes the pieces and insists that each begins where the last of its side ended.
#[derive(Default)]
struct Log {
    events: Vec<Event>,
    position: [u64; 2],
    /// Pieces that came before what their sender had acknowledged.
    uncaused: usize,
}

impl Log {
    fn advance(&mut self, side: Side, offset: u64, len: u64) {
        let position = &mut self.position[side.index()];
        assert_eq!(offset, *position, "octets of {side:?} in their order, each once");
        assert!(len > 0, "nothing is handed over as something");
        *position += len;
    }

    /// The octets of a side; `None` where they are in a gap.
    fn octets(&self, side: Side) -> Vec<Option<u8>> {
        let mut all = Vec::new();
        for event in &self.events {
            match event {
                Event::Data(of, _, octets, _) if *of == side => all.extend(octets.iter().copied().map(Some)),
                Event::Gap(of, _, len) if *of == side => all.resize(all.len() + *len as usize, None),
                _ => {}
            }
        }
        all
    }

    fn text(&self, side: Side) -> String {
        let of_side = |event: &Event| match event {
            Event::Data(of, _, octets, _) if *of == side => String::from_utf8_lossy(octets).into_owned(),
            Event::Gap(of, _, len) if *of == side => "?".repeat(*len as usize),
            _ => String::new(),
        };
        self.events.iter().map(of_side).collect()
    }
}

impl Receiver for Log {
    fn data(&mut self, side: Side, offset: u64, octets: &[u8], mark: Mark) {
        self.uncaused += usize::from(mark.seen.is_some_and(|seen| seen > self.position[side.other().index()]));
        self.advance(side, offset, octets.len() as u64);
        self.events.push(Event::Data(side, offset, octets.to_vec(), mark));
    }

    fn gap(&mut self, side: Side, offset: u64, len: u64, _: PacketRef) {
        self.advance(side, offset, len);
        self.events.push(Event::Gap(side, offset, len));
    }
}

/// A connection with all that it needs. The client is side A.
struct Tap {
    connection: Connection,
    pool: Pool,
    counts: Counts,
    log: Log,
    at: PacketRef,
}

const ISN: [u32; 2] = [1000, 5000];

impl Tap {
    /// Before anything was captured.
    fn midstream() -> Self {
        let connection = Connection::default();
        Self {
            connection,
            pool: Pool::new(2),
            counts: Counts::default(),
            log: Log::default(),
            at: PacketRef::default(),
        }
    }

    /// After the handshake.
    fn open(isn: [u32; 2]) -> Self {
        let mut tap = Self::midstream();
        for (side, isn) in [Side::A, Side::B].into_iter().zip(isn) {
            tap.connection.place(side, SeqNumber(isn).advance(1));
            tap.connection.mark_captured(side);
        }
        tap
    }

    fn push(&mut self, packet: &Packet) {
        self.at.number += 1;
        self.at.time = packet.time;
        let segment = Segment {
            source: packet.source,
            destination: packet.destination,
            seq: SeqNumber(packet.seq),
            ack: (packet.flags & Flags::ACK != 0).then_some(SeqNumber(packet.ack)),
            flags: Flags(packet.flags),
            payload: &packet.payload,
            payload_len: packet.payload.len() as u32,
            ttl: 64,
            tcp: &[],
            vlans: [None; 2],
            tunnel: None,
        };
        if segment.flags.has(Flags::SYN) {
            return;
        }
        let side = if packet.source.port == CLIENT_PORT { Side::A } else { Side::B };
        let mut env = Env { pool: &mut self.pool, counts: &mut self.counts };
        self.connection.push(side, &segment, self.at, packet.time, &mut env, &mut self.log);
        assert!(self.pool.open() <= 2, "one buffer a direction");
    }

    fn finish(&mut self) {
        let mut env = Env { pool: &mut self.pool, counts: &mut self.counts };
        self.connection.finish(self.at, &mut env, &mut self.log);
        assert_eq!(self.pool.open(), 0, "all buffers are given back");
    }

    fn all(mut self, packets: &[Packet]) -> Self {
        packets.iter().for_each(|packet| self.push(packet));
        self.finish();
        self
    }
}

const CLIENT_PORT: u16 = 40_001;

fn known(octets: &[u8]) -> Vec<Option<u8>> {
    octets.iter().copied().map(Some).collect()
}

/// A dialogue of random octets.
fn dialogue() -> impl Strategy<Value = Transcript> {
    let turn = (any::<bool>(), vec(any::<u8>(), 1..120));
    (vec(turn, 1..14), any::<[u32; 2]>(), prop_oneof![Just(1460_usize), 1..40_usize]).prop_map(
        |(turns, isn, segment)| {
            let silent = Transcript::new(25).isn(isn[0], isn[1]).segment(segment);
            turns.into_iter().fold(silent, |transcript, (is_client, said)| {
                transcript.say(if is_client { Speaker::Client } else { Speaker::Server }, &said)
            })
        },
    )
}

/// The same with initial sequence numbers that wrap within it.
fn wrapping() -> impl Strategy<Value = Transcript> {
    (dialogue(), 0..300_u32, 0..300_u32).prop_map(|(transcript, a, b)| transcript.isn(u32::MAX - a, u32::MAX - b))
}

fn isn(packets: &[Packet]) -> [u32; 2] {
    [packets[0].seq, packets[1].seq]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Within the bounds of reordering: a segment stays behind at most six others, and those may come twice.
    #[test]
    fn any_order_cut_and_copies_give_the_octets_in_causal_order(
        transcript in prop_oneof![dialogue(), wrapping()], seed in any::<u64>(), most in 1..200_usize,
    ) {
        let mut random = Random::new(seed);
        let packets = transcript.play();
        let isn = isn(&packets);
        let cut = shake::resegment(&packets, most, &mut random);
        let shaken = shake::duplicate(&shake::reorder(&cut, 6, &mut random), 20, &mut random);
        let tap = Tap::open(isn).all(&shaken);
        prop_assert_eq!(tap.log.octets(Side::A), known(&transcript.octets(Speaker::Client)));
        prop_assert_eq!(tap.log.octets(Side::B), known(&transcript.octets(Speaker::Server)));
        prop_assert_eq!(tap.log.uncaused, 0, "{:?}", tap.log.events);
        prop_assert!(tap.connection.is_finished());
        prop_assert_eq!((tap.counts.conflicts, tap.counts.wild, tap.counts.gap_octets), (0, 0, 0));
    }

    #[test]
    fn any_loss_gives_data_and_gaps_that_are_every_octet(
        transcript in prop_oneof![dialogue(), wrapping()], seed in any::<u64>(), percent in 1..70_usize, places in 0..6_usize,
    ) {
        let mut random = Random::new(seed);
        let packets = transcript.play();
        let isn = isn(&packets);
        let cut = shake::resegment(&packets, 60, &mut random);
        let lossy: Vec<Packet> =
            cut.into_iter().filter(|packet| packet.flags & Flags::FIN != 0 || !random.chance(percent)).collect();
        let tap = Tap::open(isn).all(&shake::reorder(&lossy, places, &mut random));
        for (side, speaker) in [(Side::A, Speaker::Client), (Side::B, Speaker::Server)] {
            let (found, said) = (tap.log.octets(side), transcript.octets(speaker));
            prop_assert_eq!(found.len(), said.len(), "{:?}", tap.log.events);
            let differs = found.iter().zip(&said).any(|(found, said)| found.is_some_and(|found| found != *said));
            prop_assert!(!differs, "octets in a wrong place");
        }
    }

    /// Without the other direction nothing proves a loss; the octets come all the same.
    #[test]
    fn one_direction_alone_gives_all_its_octets(transcript in dialogue(), seed in any::<u64>(), is_client in any::<bool>()) {
        let speaker = if is_client { Speaker::Client } else { Speaker::Server };
        let side = if is_client { Side::A } else { Side::B };
        let packets = transcript.clone().midstream().only(speaker).play();
        let first: Vec<Packet> = packets.into_iter().filter(|packet| !packet.payload.is_empty()).collect();
        // Where the stream is picked up, what comes late from before that place is lost: the first stays first.
        let mut shaken = shake::reorder(first.get(1..).unwrap_or_default(), 6, &mut Random::new(seed));
        shaken.splice(0..0, first.first().cloned());
        let tap = Tap::midstream().all(&shaken);
        prop_assert_eq!(tap.log.octets(side), known(&transcript.octets(speaker)));
        prop_assert!(tap.log.events.iter().all(|event| matches!(event, Event::Data(of, ..) if *of == side)));
    }

    #[test]
    fn a_stream_picked_up_in_the_middle_keeps_its_places(
        said in vec(any::<u8>(), 20..200), picks in vec((0..180_usize, 1..30_usize), 1..30),
    ) {
        let whole = Transcript::new(25).isn(7, 9).say(Speaker::Client, &said).play().remove(3);
        let mut tap = Tap::midstream();
        let begin = picks[0].0.min(said.len() - 1);
        for (from, len) in picks {
            let from = from.min(said.len() - 1);
            let mut part = whole.clone();
            part.seq = part.seq.wrapping_add(from as u32);
            part.payload = said[from..said.len().min(from + len)].to_vec();
            tap.push(&part);
        }
        tap.finish();
        let found = tap.log.octets(Side::A);
        for (octet, truth) in found.iter().zip(&said[begin..]) {
            prop_assert!(octet.is_none_or(|octet| octet == *truth), "{:?}", tap.log.events);
        }
    }

    #[test]
    // One octet alone may be a keep-alive's, which is garbage.
    fn the_first_copy_wins_and_conflicts_are_counted(parts in vec((1..400_usize, 2..90_usize, any::<u8>()), 1..30)) {
        let mut tap = Tap::open(ISN);
        let mut first = vec![None; 512];
        let mut differs = false;
        let silent = Transcript::new(25).isn(ISN[0], ISN[1]).say(Speaker::Client, b"\0").play().remove(3);
        for (from, len, fill) in parts {
            let mut packet = silent.clone();
            packet.seq = packet.seq.wrapping_add(from as u32);
            packet.payload = vec![fill; len];
            tap.push(&packet);
            for octet in &mut first[from..from + len] {
                differs |= octet.is_some_and(|known| known != fill);
                octet.get_or_insert(fill);
            }
        }
        // Octet 0 opens the way.
        tap.push(&silent);
        tap.finish();
        first[0] = Some(0);
        while first.last() == Some(&None) {
            first.pop();
        }
        prop_assert_eq!(tap.log.octets(Side::A), first);
        prop_assert_eq!(tap.counts.conflicts > 0, differs);
    }

    #[test]
    fn garbage_never_panics_nor_takes_more_than_its_buffers(
        transcript in dialogue(), garbage in vec(garbage(), 1..120), seed in any::<u64>(), is_open in any::<bool>(),
    ) {
        let mut random = Random::new(seed);
        let packets = transcript.play();
        let mut tap = if is_open { Tap::open(isn(&packets)) } else { Tap::midstream() };
        let mut mixed = packets.clone();
        for forged in garbage {
            let near = &packets[random.below(packets.len())];
            mixed.insert(random.below(mixed.len()), forged.near(near));
        }
        // `Log` and `Tap` assert that offsets are in order and buffers bounded.
        tap = tap.all(&mixed);
        let _ = tap.connection.is_finished();
    }

    #[test]
    fn forged_segments_outside_the_window_do_not_stop_the_stream(
        transcript in dialogue(), forged in vec((garbage(), 300_000..i32::MAX, any::<bool>()), 1..8), seed in any::<u64>(),
    ) {
        let mut random = Random::new(seed);
        let packets = transcript.play();
        let mut mixed = packets.clone();
        for (forged, distance, is_ahead) in forged {
            let near = &packets[random.below(packets.len())];
            let mut packet = Garbage { seq: if is_ahead { distance } else { -distance }, ..forged }.near(near);
            packet.flags &= !Flags::SYN;
            mixed.insert(random.below(mixed.len() + 1), packet);
        }
        let tap = Tap::open(isn(&packets)).all(&mixed);
        for (side, speaker) in [(Side::A, Speaker::Client), (Side::B, Speaker::Server)] {
            let (found, said) = (tap.log.octets(side), known(&transcript.octets(speaker)));
            prop_assert!(found.starts_with(&said), "{side:?}: {:?}", tap.log.events);
        }
    }
}

/// A segment that nobody meant, relative to one that somebody did.
#[derive(Clone, Debug)]
struct Garbage {
    seq: i32,
    ack: i32,
    flags: u8,
    len: usize,
    is_other_side: bool,
    later_s: u64,
}

fn garbage() -> impl Strategy<Value = Garbage> {
    let distance = || prop_oneof![-3..3_i32, -3000..3000_i32, -300_000..300_000_i32, any::<i32>()];
    let len = prop_oneof![0..3_usize, 0..2000_usize];
    (distance(), distance(), any::<u8>(), len, any::<bool>(), prop_oneof![Just(0_u64), 0..60_u64]).prop_map(
        |(seq, ack, flags, len, is_other_side, later_s)| Garbage { seq, ack, flags, len, is_other_side, later_s },
    )
}

impl Garbage {
    fn near(&self, packet: &Packet) -> Packet {
        let mut forged = packet.clone();
        if self.is_other_side {
            std::mem::swap(&mut forged.source, &mut forged.destination);
            std::mem::swap(&mut forged.seq, &mut forged.ack);
        }
        forged.seq = forged.seq.wrapping_add_signed(self.seq);
        forged.ack = forged.ack.wrapping_add_signed(self.ack);
        forged.flags = self.flags;
        forged.payload = vec![b'!'; self.len];
        forged.time = Timestamp(forged.time.0 + self.later_s * 1_000_000_000);
        forged
    }
}

const A: u8 = Flags::ACK;
const FA: u8 = Flags::FIN | Flags::ACK;
const R: u8 = Flags::RST;
const RA: u8 = Flags::RST | Flags::ACK;

/// One segment: who, offset, acknowledged offset, flags, octets, seconds since the last.
type Step<'a> = (Speaker, i64, i64, u8, &'a str, u64);

fn played(steps: &[Step<'_>]) -> Tap {
    let template = Transcript::new(25).isn(ISN[0], ISN[1]).play();
    let mut tap = Tap::open(ISN);
    let mut time = template[0].time;
    let at = |isn: u32, offset: i64| (i64::from(isn) + 1 + offset) as u32;
    for &(speaker, offset, acked, flags, said, wait_s) in steps {
        let mut packet = template[if speaker == C { 0 } else { 1 }].clone();
        time = Timestamp(time.0 + wait_s * 1_000_000_000 + 1_000_000);
        let (here, there) = (ISN[speaker as usize], ISN[speaker.other() as usize]);
        (packet.seq, packet.ack) = (at(here, offset), at(there, acked));
        (packet.flags, packet.time, packet.payload) = (flags, time, said.as_bytes().to_vec());
        tap.push(&packet);
    }
    tap
}

const C: Speaker = Speaker::Client;
const S: Speaker = Speaker::Server;

/// Client's octets, server's octets, whether it is finished, whether it was reset.
fn check(why: &str, steps: &[Step<'_>], expected: (&str, &str, bool, bool)) {
    let mut tap = played(steps);
    let state = (tap.connection.is_finished(), tap.connection.was_reset());
    tap.finish();
    let found = (tap.log.text(Side::A), tap.log.text(Side::B), state.0, state.1);
    assert_eq!((&found.0[..], &found.1[..], found.2, found.3), expected, "{why}");
}

#[test]
fn keep_alives_and_window_probes_are_told_apart() {
    check(
        "no octet at next-1",
        &[(C, 0, 0, A, "ab", 0), (C, 1, 0, A, "", 9), (C, 2, 0, A, "c", 0)],
        ("abc", "", false, false),
    );
    check(
        "a garbage octet at next-1",
        &[(C, 0, 0, A, "ab", 0), (C, 1, 0, A, "\0", 9), (C, 2, 0, A, "c", 0)],
        ("abc", "", false, false),
    );
    check("before anything was said", &[(C, -1, 0, A, "\0", 9), (C, 0, 0, A, "c", 0)], ("c", "", false, false));
    check(
        "a probe is data",
        &[(C, 0, 0, A, "a", 0), (C, 1, 0, A, "b", 9), (C, 1, 0, A, "bc", 0)],
        ("abc", "", false, false),
    );
    check(
        "a garbage octet after the FIN",
        &[
            (C, 0, 0, A, "ab", 0),
            (C, 2, 0, FA, "", 0),
            (S, 0, 3, A, "", 0),
            (C, 2, 0, A, "\0", 9),
            (S, 0, 3, FA, "", 0),
        ],
        ("ab", "", true, false),
    );
}

#[test]
fn a_fin_ends_its_side_after_its_octets() {
    check("with data", &[(C, 0, 0, FA, "bye", 0), (S, 0, 4, FA, "", 0)], ("bye", "", true, false));
    check(
        "repeated",
        &[(C, 0, 0, FA, "bye", 0), (C, 0, 0, FA, "bye", 0), (S, 0, 4, FA, "x", 0)],
        ("bye", "x", true, false),
    );
    check(
        "before its octets",
        &[(C, 3, 0, FA, "", 0), (S, 0, 4, FA, "", 0), (C, 0, 0, A, "bye", 0)],
        ("bye", "", true, false),
    );
    check("with lost octets before it", &[(C, 3, 0, FA, "", 0)], ("???", "", false, false));
    check(
        "of one side only",
        &[(C, 0, 0, FA, "bye", 0), (S, 0, 4, A, "abc", 0), (S, 3, 4, A, "def", 0)],
        ("bye", "abcdef", false, false),
    );
    check(
        "a reply that acknowledges the FIN before it is captured",
        &[(C, 0, 0, A, "q", 0), (S, 0, 2, A, "r", 0), (C, 1, 0, FA, "", 0), (S, 1, 2, FA, "", 0)],
        ("q", "r", true, false),
    );
    check(
        "forged, and the stream goes on",
        &[(C, 0, 0, A, "a", 0), (C, 1, 0, FA, "", 0), (C, 1, 0, A, "bc", 0), (C, 3, 0, A, "d", 0)],
        ("abcd", "", false, false),
    );
    check(
        "forged far ahead, then the true one",
        &[(C, 0, 0, A, "a", 0), (C, 9000, 0, FA, "", 0), (C, 1, 0, FA, "b", 0), (S, 0, 3, FA, "", 0)],
        ("ab", "", true, false),
    );
}

#[test]
fn only_an_exact_reset_that_is_the_last_word_resets() {
    check("exact", &[(C, 0, 0, A, "a", 0), (S, 0, 1, RA, "", 0)], ("a", "", false, true));
    check("after the FIN", &[(C, 0, 0, FA, "a", 0), (C, 2, 0, R, "", 0)], ("a", "", false, true));
    check(
        "in the window",
        &[(C, 0, 0, A, "a", 0), (C, 100, 0, R, "", 0), (C, 1, 0, A, "b", 0)],
        ("ab", "", false, false),
    );
    check(
        "far off",
        &[(C, 0, 0, A, "a", 0), (C, 9_000_000, 0, R, "", 0), (C, 1, 0, A, "b", 0)],
        ("ab", "", false, false),
    );
    check("its payload is no data", &[(C, 0, 0, A, "a", 0), (C, 1, 0, R, "why", 0)], ("a", "", false, true));
    check(
        "ignored by its sender",
        &[(C, 0, 0, A, "a", 0), (C, 1, 0, R, "", 0), (C, 1, 0, A, "b", 0)],
        ("ab", "", false, false),
    );
    check(
        "ignored, as the other side's acknowledgements show",
        &[(C, 0, 0, A, "a", 0), (C, 1, 0, R, "", 0), (S, 0, 5, A, "", 0)],
        ("a???", "", false, false),
    );
    check(
        "obeyed, with octets of the other side still under way",
        &[(C, 0, 0, A, "a", 0), (C, 1, 0, R, "", 0), (S, 0, 1, A, "xyz", 0), (S, 3, 1, A, "", 0)],
        ("a", "xyz", false, true),
    );
    check(
        "obeyed after the FIN, which is acknowledged late",
        &[(C, 0, 0, FA, "a", 0), (C, 2, 0, R, "", 0), (S, 0, 2, A, "xyz", 0)],
        ("a", "xyz", false, true),
    );
}

#[test]
fn a_forged_octet_inside_the_window_does_not_deafen_an_idle_stream() {
    let steps = [
        (C, 0, 0, A, "a", 0),
        (S, 0, 1, A, "b", 0),
        (C, 100_000, 1, A, "!", 0),
        (S, 1, 1, A, "c", 60),
        (S, 2, 1, A, "d", 60),
        (C, 1, 3, A, "e", 60),
        (S, 3, 2, A, "f", 0),
    ];
    let tap = played(&steps);
    assert!(tap.log.position[0] < 100, "a gap of {}", tap.log.position[0]);
    assert_eq!((&tap.log.text(Side::A)[..], &tap.log.text(Side::B)[..]), ("ae", "bcdf"));
}

#[test]
fn a_hole_of_one_side_waits_as_long_whatever_the_other_says() {
    let mut steps = vec![(C, 0, 0, A, "a", 0), (C, 5, 0, A, "z", 0)];
    // The server goes on with what it was about to say and acknowledges nothing: its direction of a one-way loss.
    steps.extend((0..80).map(|n| (S, n, 0, A, "x", 0)));
    let tap = played(&steps);
    assert_eq!(tap.log.text(Side::A), "a????z");
}

#[test]
fn many_octets_seen_by_acknowledgement_only_do_not_stop_one_direction() {
    let mut tap = Tap::midstream();
    let mut packet = Transcript::new(25).say(C, b"ab").play().remove(3);
    for _ in 0..40 {
        tap.push(&packet);
        packet.seq = packet.end();
        packet.ack = packet.ack.wrapping_add(1_000_000);
    }
    assert_eq!(tap.log.octets(Side::A).len(), 80);
}

#[test]
fn a_wild_segment_does_not_show_that_a_direction_is_captured() {
    let mut tap = Tap::midstream();
    let packets = Transcript::new(25).say(C, b"ab").say(S, b"hello").say(C, b"cd").midstream().play();
    tap.push(&packets[0]);
    let mut wild = packets[1].clone();
    wild.seq = wild.seq.wrapping_add(1 << 30);
    tap.push(&wild);
    assert!(!tap.connection.is_captured(Side::B));
}

/// Logins as `user:outcome`, in order.
fn logins(packets: &[Packet]) -> Vec<String> {
    let (records, _) = run(packets, Link::Ethernet);
    let login = |record: &Record| match record {
        Record::Login(login) => {
            Some(format!("{}:{}", login.user.as_ref().map_or("?", |user| user.as_str()), login.outcome.name()))
        }
        _ => None,
    };
    let mut logins: Vec<_> = records.iter().filter_map(|record| Some((record.at(), login(record)?))).collect();
    logins.sort();
    logins.into_iter().map(|(_, login)| login).collect()
}

fn pop3(user: &str) -> Transcript {
    Transcript::parse(
        110,
        &format!("S: +OK ready\nC: USER {user}\nS: +OK\nC: PASS made-up\nS: +OK in\nC: QUIT\nS: +OK bye"),
    )
}

/// Two connections on the same ports, the second one `pause_s` after the first.
fn twice(first: &[Packet], second: &Transcript, pause_s: u64) -> Vec<Packet> {
    let end = first.last().map_or(0, |last| last.time.0);
    let second = second.clone().at(Timestamp(end + pause_s * 1_000_000_000));
    [first.to_vec(), second.play()].concat()
}

#[test]
fn ports_that_are_used_again_are_another_connection() {
    let (first, second) = (pop3("ann").play(), pop3("bob").isn(77_000_000, 99_000_000));
    assert_eq!(logins(&twice(&first, &second, 1)), ["ann:accepted", "bob:accepted"], "after both FINs");
    let mut reset = pop3("ann").unfinished().play();
    let mut last = reset[reset.len() - 2].clone();
    std::mem::swap(&mut last.source, &mut last.destination);
    (last.seq, last.ack, last.flags, last.payload) = (reset[reset.len() - 1].seq, 0, Flags::RST, Vec::new());
    reset.push(last);
    assert_eq!(logins(&twice(&reset, &second, 20)), ["ann:accepted", "bob:accepted"], "after an RST");
}

#[test]
fn ports_that_are_used_again_are_another_connection_though_the_end_of_the_first_was_lost() {
    let second = pop3("bob").isn(2_000_000_000, 3_000_000_000);
    let lost = pop3("ann").unfinished().play();
    assert_eq!(logins(&twice(&lost, &second, 20)), ["ann:accepted", "bob:accepted"]);
}

#[test]
fn a_syn_inside_the_connection_moves_nothing() {
    for at in 4..pop3("ann").play().len() {
        assert_eq!(logins(&with_forged_syn(at)), ["ann:accepted"; 2], "before packet {at}");
    }
}

#[test]
fn a_syn_between_the_handshake_and_the_first_octets_moves_nothing() {
    assert_eq!(logins(&with_forged_syn(3)), ["ann:accepted"; 2]);
}

/// Two connections: one with a SYN of other numbers before packet `at`, one with a SYN-ACK.
fn with_forged_syn(at: usize) -> Vec<Packet> {
    let forge = |index: usize| {
        let mut packets = pop3("ann").play();
        let mut forged = packets[index].clone();
        (forged.seq, forged.time) = (forged.seq.wrapping_add(123_456), packets[at].time);
        packets.insert(at, forged);
        packets.iter_mut().for_each(|packet| packet.time.0 += index as u64 * 60_000_000_000);
        packets
    };
    [forge(0), forge(1)].concat()
}

#[test]
fn a_forged_syn_ack_does_not_choose_where_the_server_begins() {
    let mut packets = pop3("ann").play();
    let mut forged = packets[1].clone();
    (forged.seq, forged.ack) = (forged.seq.wrapping_add(123_456), forged.ack.wrapping_add(99));
    packets.insert(1, forged);
    assert_eq!(logins(&packets), ["ann:accepted"]);
}
