//! Segments of a known stream in any order, with copies that differ, FIN, RST and acknowledgements, against a model: an
//! array of the first copy of every octet. What is handed over equals it, each octet once; what is missing is a gap.

#![no_main]

use arbitrary::Arbitrary;
use barewire::stream::Side;
use barewire::testing::{Captured, Link, Packet, Reassembly, Transcript};
use barewire::wire::{Flags, Timestamp, decode};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    first: [u32; 2],
    is_midstream: bool,
    segments: Vec<Piece>,
}

#[derive(Arbitrary, Debug)]
struct Piece {
    is_client: bool,
    from: u16,
    len: u8,
    /// What the sender has seen of the other side.
    seen: u16,
    /// Copies of one number are alike.
    copy: bool,
    kind: Kind,
    later_ms: u16,
}

#[derive(Arbitrary, Debug, PartialEq)]
enum Kind {
    Data,
    Fin,
    Rst,
    Syn,
    /// Too far off to belong to the stream.
    Wild(u32),
}

/// Octets of each side: few enough that no more pieces can wait than a buffer takes.
const LEN: usize = 480;

/// Segments before the bounds on waiting may declare a gap.
const PATIENCE: usize = 15;

fn octet(side: Side, offset: usize, copy: bool) -> u8 {
    (offset * 31 + side.index() * 7 + usize::from(copy) * 101) as u8
}

#[derive(Default)]
struct Model {
    octets: [Vec<Option<u8>>; 2],
    acked: [usize; 2],
    has_fin: [bool; 2],
    is_captured: [bool; 2],
    differs: bool,
}

impl Model {
    fn take(&mut self, side: Side, from: usize, octets: &[u8]) {
        if octets.is_empty() {
            return;
        }
        let known = &mut self.octets[side.index()];
        known.resize(known.len().max(from + octets.len()), None);
        for (place, &octet) in octets.iter().enumerate() {
            self.differs |= known[from + place].is_some_and(|known| known != octet);
            known[from + place].get_or_insert(octet);
        }
    }

    /// With the octets that only an acknowledgement or a FIN tells of; the last number may be the FIN's.
    fn whole(&self, side: Side) -> Vec<Option<u8>> {
        let index = side.index();
        let mut octets = self.octets[index].clone();
        if self.is_captured[index] {
            let end = if self.has_fin[index] { LEN } else { self.acked[index].saturating_sub(1) };
            octets.resize(octets.len().max(end), None);
        }
        octets
    }
}

fuzz_target!(|input: Input| {
    let template = Transcript::new(25).play();
    let mut reassembly = if input.is_midstream { Reassembly::default() } else { Reassembly::begun(input.first) };
    let mut model = Model { is_captured: [!input.is_midstream; 2], ..Model::default() };
    let is_short = input.segments.len() <= PATIENCE;
    let mut time = template[0].time;
    for piece in &input.segments {
        let side = if piece.is_client { Side::A } else { Side::B };
        let from = usize::from(piece.from) % LEN;
        let len = usize::from(piece.len).min(LEN - from);
        let is_data = matches!(piece.kind, Kind::Data | Kind::Fin);
        // A FIN is where the stream ends.
        let len = if piece.kind == Kind::Fin { LEN - from } else { len };
        let seen = usize::from(piece.seen) % (LEN + 1);
        let octets: Vec<u8> = (from..from + len).map(|offset| octet(side, offset, piece.copy)).collect();
        if is_data {
            model.take(side, from, &octets);
            model.has_fin[side.index()] |= piece.kind == Kind::Fin;
            let acked = &mut model.acked[side.other().index()];
            *acked = seen.max(*acked);
        }
        if !is_short {
            time = Timestamp(time.0 + u64::from(piece.later_ms) * 1_000_000);
        }
        let flags = match piece.kind {
            Kind::Fin => Flags::FIN | Flags::ACK,
            Kind::Rst => Flags::RST | Flags::ACK,
            Kind::Syn => Flags::SYN,
            Kind::Data | Kind::Wild(_) => Flags::ACK,
        };
        let far = match piece.kind {
            Kind::Wild(far) => (1 << 25) + far % (1 << 30),
            _ => 0,
        };
        let number = |side: Side, offset: usize| input.first[side.index()].wrapping_add(offset as u32);
        let packet = Packet {
            time,
            seq: number(side, from).wrapping_add(far),
            ack: number(side.other(), seen),
            flags,
            payload: octets,
            ..template[usize::from(!piece.is_client)].clone()
        };
        let captured = Captured { time, link_type: Link::Raw.link_type(), octets: packet.octets(Link::Raw) };
        let frame = captured.frame(1, time);
        reassembly.push(side, &decode(&frame).expect("a segment"), time);
    }
    // Asserts order and bounds in any case.
    let (found, counts) = reassembly.finish();
    if input.is_midstream {
        return;
    }
    assert!(counts.conflicts == 0 || model.differs, "{counts:?}");
    for side in [Side::A, Side::B] {
        let (found, meant) = (&found[side.index()], model.whole(side));
        if is_short {
            assert_eq!(found, &meant, "{side:?}");
        }
        // The bounds may give up what comes later, but never put it elsewhere.
        for (offset, octet) in found.iter().enumerate() {
            assert!(octet.is_none() || meant.get(offset) == Some(octet), "{side:?} at {offset}");
        }
    }
});
