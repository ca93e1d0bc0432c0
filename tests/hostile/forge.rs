//! What is put among the packets of a real connection, and how its segments are copied with other octets.

use barewire::testing::{PUSH, Packet, Random, shake};
use barewire::wire::{Endpoint, Flags, SeqNumber, Timestamp};
use std::ops::Range;

/// Packets a millisecond apart, in the order they stand in.
pub(crate) fn stamp(packets: &mut [Packet]) {
    let start = packets.iter().map(|packet| packet.time.0).min().unwrap_or_default();
    for (place, packet) in packets.iter_mut().enumerate() {
        packet.time = Timestamp(start + place as u64 * 1_000_000);
    }
}

/// A connection under attack.
pub(crate) struct Stream {
    pub(crate) packets: Vec<Packet>,
    pub(crate) client: Endpoint,
    pub(crate) random: Random,
    /// What was done to it.
    pub(crate) done: Vec<&'static str>,
    /// What its hosts sent, in their order.
    honest: Vec<Packet>,
    /// Packets of the handshake that were captured.
    handshake: usize,
}

type Attack = (&'static str, fn(&mut Stream));

const ATTACKS: [Attack; 14] = [
    ("RST outside the window", Stream::rst_outside),
    ("RST in the window", Stream::rst_inside),
    ("exact RST, ignored", Stream::rst_exact),
    ("SYN", Stream::syn),
    ("SYN-ACK", Stream::syn_ack),
    ("SYN-ACK before the true one", Stream::early_syn_ack),
    ("FIN outside the window", Stream::fin_outside),
    ("FIN in the window", Stream::fin_inside),
    ("ACK", Stream::ack),
    ("keep-alive", Stream::keep_alive),
    ("probe of a window", Stream::probe),
    ("old packet again", Stream::again),
    ("octets outside the window", Stream::data_outside),
    ("flags of nothing", Stream::odd_flags),
];

impl Stream {
    pub(crate) fn new(packets: Vec<Packet>, random: Random) -> Self {
        let handshake = if packets[0].flags & Flags::SYN == 0 { 0 } else { 3 };
        let is_from_client = |packet: &&Packet| packet.destination.port < 1024;
        let client = packets.iter().find(is_from_client).expect("a packet of the client").source;
        Self { honest: packets.clone(), packets, client, random, done: Vec::new(), handshake }
    }

    /// Everything that must not matter, some of it.
    pub(crate) fn disturb(&mut self) {
        if self.random.chance(40) {
            self.done.push("cut anew");
            let most = 1 + self.random.below(60);
            self.packets = shake::resegment(&self.packets, most, &mut self.random);
        }
        if self.random.chance(40) {
            self.done.push("disorder");
            // A handshake is two round trips: nothing mixes it up.
            let rest = self.packets.split_off(self.first());
            self.packets.extend(shake::reorder(&rest, 5, &mut self.random));
        }
        if self.random.chance(30) {
            self.done.push("copies");
            self.packets = shake::duplicate(&self.packets, 20, &mut self.random);
        }
        for _ in 0..1 + self.random.below(6) {
            let (name, attack) = ATTACKS[self.random.below(ATTACKS.len())];
            self.done.push(name);
            attack(self);
        }
        stamp(&mut self.packets);
    }

    /// Some packets with octets were not captured. Garbage of keep-alives goes with them: it would fill their place.
    pub(crate) fn lose(&mut self) {
        let percent = [2, 10, 30][self.random.below(3)];
        let random = &mut self.random;
        let honest = &self.honest;
        let is_garbage =
            |packet: &Packet| packet.payload.len() == 1 && !honest.iter().any(|honest| within(packet, honest));
        let mut is_lost = |packet: &Packet| is_garbage(packet) || random.chance(percent);
        self.packets.retain(|packet| packet.payload.is_empty() || !is_lost(packet));
    }

    /// The packets that show where both sides stand: the handshake, or the first of each side.
    fn first(&self) -> usize {
        let Some(first) = self.packets.first() else { return 0 };
        let other = self.packets.iter().position(|packet| packet.source != first.source);
        self.handshake.max(other.map_or(1, |at| at + 1))
    }

    fn place(&mut self) -> usize {
        let first = self.first();
        first + self.random.below(self.packets.len() - first + 1)
    }

    /// A segment without octets that continues what was captured of a random side before `place`.
    fn next_at(&mut self, place: usize) -> Packet {
        let is_client = self.random.chance(50);
        self.next_of(is_client, place)
    }

    fn next_of(&self, is_client: bool, place: usize) -> Packet {
        let of_side = |packet: &&Packet| (packet.source == self.client) == is_client;
        let mut template = self.honest.iter().find(of_side).expect("a packet of each side").clone();
        (template.seq, template.ack) = (self.stands_at(is_client, place), self.stands_at(!is_client, place));
        (template.flags, template.payload) = (Flags::ACK, Vec::new());
        template
    }

    /// The number of the next octet of a side, as far as was captured without a hole.
    fn stands_at(&self, is_client: bool, place: usize) -> u32 {
        let of_side = |packet: &&Packet| (packet.source == self.client) == is_client;
        let first = self.honest.iter().find(of_side).expect("a packet of each side");
        let mut next = first.seq.wrapping_add(u32::from(first.flags & Flags::SYN != 0));
        // Each round takes what continues the stream; captures are out of order by a few places only.
        for _ in 0..8 {
            for packet in self.packets[..place].iter().filter(of_side) {
                let is_true = self.honest.iter().any(|honest| within(packet, honest));
                if is_true && distance(packet.seq, next) <= 0 && distance(packet.end(), next) > 0 {
                    next = packet.end();
                }
            }
        }
        next
    }

    /// The number after all that a side ever says.
    fn end_of(&self, is_client: bool) -> u32 {
        let of_side = |packet: &&Packet| (packet.source == self.client) == is_client;
        self.honest.iter().rfind(of_side).expect("a packet of each side").end()
    }

    fn insert(&mut self, place: usize, forged: Packet) {
        self.packets.insert(place, forged);
    }

    /// Further off than any window: behind or ahead.
    fn far(&mut self) -> u32 {
        let distance = 300_000 + self.random.below((1 << 31) - 600_000) as u32;
        if self.random.chance(50) { distance } else { distance.wrapping_neg() }
    }

    fn near(&mut self) -> u32 {
        2 + self.random.below(60_000) as u32
    }

    fn rst_outside(&mut self) {
        let place = self.place();
        let mut forged = self.next_at(place);
        (forged.seq, forged.flags) = (forged.seq.wrapping_add(self.far()), Flags::RST);
        self.insert(place, forged);
    }

    fn rst_inside(&mut self) {
        let place = self.place();
        let mut forged = self.next_at(place);
        forged.seq = forged.seq.wrapping_add(self.near());
        forged.flags = if self.random.chance(50) { Flags::RST } else { Flags::RST | Flags::ACK };
        if self.random.chance(30) {
            forged.payload = b"USER mallory\r\n".to_vec();
        }
        self.insert(place, forged);
    }

    /// One that both hosts ignore: its sender says more.
    fn rst_exact(&mut self) {
        let place = self.place();
        let mut forged = self.next_at(place);
        forged.flags = if self.random.chance(50) { Flags::RST } else { Flags::RST | Flags::ACK };
        let goes_on = |packet: &Packet| packet.source == forged.source && !packet.payload.is_empty();
        if self.packets[place..].iter().any(|packet| goes_on(packet) && distance(packet.end(), forged.seq) > 0) {
            self.insert(place, forged);
        }
    }

    fn syn(&mut self) {
        // Without its handshake a connection on the same ports may well be another one.
        if self.handshake == 0 {
            return;
        }
        let place = self.place();
        let mut forged = self.next_at(place);
        let distance = if self.random.chance(50) { self.near() } else { self.far() };
        (forged.seq, forged.flags, forged.ack) = (forged.seq.wrapping_add(distance), Flags::SYN, 0);
        if self.random.chance(30) {
            forged.payload = b"USER mallory\r\n".to_vec();
        }
        self.insert(place, forged);
    }

    fn syn_ack(&mut self) {
        if self.handshake == 0 {
            return;
        }
        let place = self.place();
        let mut forged = self.next_at(place);
        let distance = if self.random.chance(50) { self.near() } else { self.far() };
        (forged.seq, forged.flags) = (forged.seq.wrapping_add(distance), Flags::SYN | Flags::ACK);
        self.insert(place, forged);
    }

    fn early_syn_ack(&mut self) {
        if self.handshake == 0 {
            return;
        }
        let mut forged = self.honest[1].clone();
        forged.seq = forged.seq.wrapping_add(if self.random.chance(50) { self.near() } else { self.far() });
        if self.random.chance(30) {
            forged.ack = forged.ack.wrapping_add(self.near());
        }
        let place = 1 + self.random.below(2);
        self.insert(place, forged);
    }

    fn fin_outside(&mut self) {
        let place = self.place();
        let mut forged = self.next_at(place);
        (forged.seq, forged.flags) = (forged.seq.wrapping_add(self.far()), Flags::FIN | Flags::ACK);
        self.insert(place, forged);
    }

    fn fin_inside(&mut self) {
        let place = self.place();
        let mut forged = self.next_at(place);
        // One that stands exactly where the stream does the hosts would take.
        let ahead = 1 + self.near();
        (forged.seq, forged.flags) = (forged.seq.wrapping_add(ahead), Flags::FIN | Flags::ACK);
        self.insert(place, forged);
    }

    fn ack(&mut self) {
        let place = self.place();
        let mut forged = self.next_at(place);
        let distance = match self.random.below(3) {
            0 => self.far(),
            1 => self.near(),
            _ => self.near().wrapping_neg(),
        };
        forged.ack = forged.ack.wrapping_add(distance);
        self.insert(place, forged);
    }

    /// RFC 9293 §3.8.4: a number before the next, and no octet or one of garbage.
    fn keep_alive(&mut self) {
        let place = self.place();
        let mut forged = self.next_at(place);
        forged.seq = forged.seq.wrapping_sub(1);
        if self.random.chance(70) {
            forged.payload = vec![b"\0\xff!"[self.random.below(3)]];
        }
        self.insert(place, forged);
    }

    /// The first octet of what comes next, alone and before it.
    fn probe(&mut self) {
        let place = self.place();
        let is_whole = |packet: &Packet| packet.payload.len() > 1 && packet.flags & (Flags::SYN | Flags::FIN) == 0;
        let Some(at) = (place..self.packets.len()).find(|&at| is_whole(&self.packets[at])) else { return };
        let mut probe = self.packets[at].clone();
        if !self.honest.iter().any(|honest| within(&probe, honest)) {
            return;
        }
        probe.payload.truncate(1);
        self.insert(at, probe);
    }

    fn again(&mut self) {
        let place = self.place();
        let old = self.packets[self.random.below(place)].clone();
        let is_honest = self.honest.iter().any(|honest| within(&old, honest));
        if is_honest {
            self.insert(place, old);
        }
    }

    /// Before all, far ahead of all, or in the window and beyond all that is ever said: there it may be told, so it is
    /// nothing that could be.
    fn data_outside(&mut self) {
        let place = self.place();
        let is_client = self.random.chance(50);
        let mut forged = self.next_of(is_client, place);
        (forged.seq, forged.payload) = if self.random.chance(30) {
            (self.end_of(is_client).wrapping_add(self.near()), b"zz\r\nzz\r\n".to_vec())
        } else {
            (forged.seq.wrapping_add(self.far()), b"\r\nUSER mallory\r\nPASS Kestrel-not\r\n".to_vec())
        };
        forged.flags = Flags::ACK | PUSH;
        self.insert(place, forged);
    }

    fn odd_flags(&mut self) {
        let place = self.place();
        let mut forged = self.next_at(place);
        // None at all, those that mean nothing alone, and the bits of RFC 3168.
        forged.flags = [0, PUSH, 0x20, 0x40, 0x80, 0xc0 | Flags::ACK][self.random.below(6)];
        self.insert(place, forged);
    }
}

/// Whether the octets of `part` are those that `whole` has there.
fn within(part: &Packet, whole: &Packet) -> bool {
    let skip = part.seq.wrapping_sub(whole.seq) as usize;
    let rest = whole.payload.get(skip..).unwrap_or_default();
    let is_control = part.flags & (Flags::SYN | Flags::RST) == whole.flags & (Flags::SYN | Flags::RST);
    let is_empty = part.payload.is_empty() && (part.seq, part.end()) == (whole.seq, whole.end());
    // Cut anew, a segment may hold octets of several.
    let is_same = |len: usize| len > 0 && rest[..len] == part.payload[..len];
    part.source == whole.source && is_control && (is_empty || is_same(rest.len().min(part.payload.len())))
}

/// How a second segment lies on the first.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    /// Where it begins and ends: before, at, or after the first one's own place.
    start: i32,
    end: i32,
}

/// The rows of the table that tells what hosts do with overlaps.
const SHAPES: [Shape; 9] = [
    Shape { name: "same start, shorter", start: 0, end: -1 },
    Shape { name: "same start, same end", start: 0, end: 0 },
    Shape { name: "same start, longer", start: 0, end: 1 },
    Shape { name: "starts before, ends inside", start: -1, end: -1 },
    Shape { name: "starts before, same end", start: -1, end: 0 },
    Shape { name: "starts before, covers", start: -1, end: 1 },
    Shape { name: "starts inside, ends inside", start: 1, end: -1 },
    Shape { name: "starts inside, same end", start: 1, end: 0 },
    Shape { name: "starts inside, ends after", start: 1, end: 1 },
];

pub(crate) fn shapes() -> impl Iterator<Item = &'static str> {
    SHAPES.iter().map(|shape| shape.name)
}

/// A connection where the segment with the secret stands next to others that claim its place.
pub(crate) struct Copies {
    pub(crate) packets: Vec<Packet>,
    pub(crate) client: Endpoint,
    pub(crate) how: String,
    /// No copy came before the true one, or none after it.
    pub(crate) is_true_at_an_end: bool,
    random: Random,
    /// The packet with the secret, and which of its octets those are.
    at: usize,
    secret: Range<usize>,
}

impl Copies {
    pub(crate) fn new(packets: Vec<Packet>, secret: &str, random: Random) -> Self {
        let place =
            |packet: &Packet| packet.payload.windows(secret.len()).position(|octets| octets == secret.as_bytes());
        let (at, from) =
            packets.iter().enumerate().rev().find_map(|(at, packet)| Some((at, place(packet)?))).expect("it is said");
        let secret = from..from + secret.len();
        let client = packets[at].source;
        Self { packets, client, how: String::new(), is_true_at_an_end: true, random, at, secret }
    }

    /// Puts `count` copies that differ next to the true one.
    pub(crate) fn forge(&mut self, count: usize) {
        let has_hole = self.random.chance(25);
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let shape = SHAPES[self.random.below(SHAPES.len())];
            let is_first = self.random.chance(50);
            // What was said before may differ only where the first copies are the true ones throughout: else neither
            // the first nor the last copies have the true line after the true command.
            let forged = self.copy(shape, !is_first && !has_hole);
            let order = if is_first { "before the true one" } else { "after the true one" };
            self.how += &format!("{} {order}; ", shape.name);
            if is_first { before.push(forged) } else { after.push(forged) }
        }
        self.is_true_at_an_end = before.is_empty() || after.is_empty();
        let true_one = self.packets.remove(self.at);
        let mut place = self.at;
        let all: Vec<Packet> = before.into_iter().chain(self.cut(true_one)).chain(after).collect();
        let is_said = |packet: &Packet| packet.source == self.client && !packet.payload.is_empty();
        if let Some(before) = self.packets[..place].iter().rposition(is_said).filter(|_| has_hole) {
            // They wait together for what was said before them.
            let late = self.packets.remove(before);
            self.packets.insert(place - 1, late);
            place -= 1;
            self.how += "above a hole";
        }
        self.packets.splice(place..place, all);
        stamp(&mut self.packets);
    }

    /// The true segment, now and then in two. One octet alone could be that of a keep-alive.
    fn cut(&mut self, whole: Packet) -> Vec<Packet> {
        let len = whole.payload.len();
        if len < 8 || self.random.chance(60) {
            return vec![whole];
        }
        let at = 2 + self.random.below(len - 4);
        let (mut first, mut second) = (whole.clone(), whole);
        second.payload = first.payload.split_off(at);
        second.seq = first.end();
        vec![first, second]
    }

    /// A segment of that shape, which differs wherever it lies on the secret.
    fn copy(&mut self, shape: Shape, may_differ_before: bool) -> Packet {
        let true_one = &self.packets[self.at];
        let len = true_one.payload.len();
        // It must lie on two octets of the secret at least.
        let Range { start, end } = self.secret.clone();
        let said_before = self.said_before();
        let random = &mut self.random;
        let before = if shape.start < 0 { 1 + random.below(said_before.len().min(20)) } else { 0 };
        let from = if shape.start > 0 { 1 + random.below(end - 3) } else { 0 };
        let to = match shape.end {
            -1 => start.max(from) + 2 + random.below(len - (start.max(from) + 2)),
            _ => len,
        };
        let beyond = if shape.end > 0 { 1 + random.below(20) } else { 0 };
        let is_wild = random.chance(30);
        let mut octets = said_before[said_before.len() - before..].to_vec();
        if is_wild && may_differ_before {
            octets.iter_mut().for_each(|octet| *octet = other(*octet));
        }
        for (place, &octet) in true_one.payload.iter().enumerate().take(to).skip(from) {
            octets.push(if is_wild || (start..end).contains(&place) { other(octet) } else { octet });
        }
        octets.extend(std::iter::repeat_n(b'z', beyond));
        let seq = true_one.seq.wrapping_add(from as u32).wrapping_sub(before as u32);
        Packet { seq, payload: octets, ..true_one.clone() }
    }

    /// All that the client said before the secret's line.
    fn said_before(&self) -> Vec<u8> {
        let of_client = self.packets[..self.at].iter().filter(|packet| packet.source == self.client);
        of_client.flat_map(|packet| packet.payload.clone()).collect()
    }
}

/// Another octet of the same kind: a letter, so that base64 and lines stay what they are.
fn other(octet: u8) -> u8 {
    match octet {
        b'a'..=b'y' | b'A'..=b'Y' => octet + 1,
        _ => b'k',
    }
}

fn distance(number: u32, earlier: u32) -> i32 {
    SeqNumber(number).offset_from(SeqNumber(earlier))
}
