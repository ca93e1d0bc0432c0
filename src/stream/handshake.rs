//! What SYNs and SYN-ACKs tell before there are data. Several candidates are kept: a forged handshake, or ports that are
//! used again, must not take the place of the one that the data then fit.

use super::Side;
use crate::limits::WILD_OFFSET;
use crate::wire::{Flags, PacketRef, Segment, SeqNumber};

/// One handshake, as far as it was captured.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Sequence number of the first octet of each side.
    pub first: [Option<SeqNumber>; 2],
    /// Who sent the SYN.
    pub client: Side,
    /// Its first packet.
    pub start: PacketRef,
    /// What the SYN-ACK acknowledged, which is where the client begins.
    expected: Option<SeqNumber>,
    /// The third packet of the handshake is its.
    is_confirmed: bool,
}

impl Candidate {
    /// Whether both sides were heard.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.first.iter().all(Option::is_some)
    }

    /// Whether the SYN was captured, and not its answer alone.
    #[must_use]
    pub fn has_syn(&self) -> bool {
        self.first[self.client.index()].is_some()
    }

    /// How well a segment with data continues it.
    fn fit(&self, side: Side, segment: &Segment<'_>) -> u8 {
        let begins = self.first[side.index()] == Some(segment.seq);
        let answers = segment.ack.is_some() && self.first[side.other().index()] == segment.ack;
        2 * u8::from(begins) + u8::from(answers)
    }

    /// How likely it is the one that a segment with data, perhaps not the first, continues.
    fn likelihood(&self, side: Side, segment: &Segment<'_>) -> u8 {
        let is_near = |first: SeqNumber| (0..WILD_OFFSET).contains(&i64::from(segment.seq.offset_from(first)));
        let is_near = self.first[side.index()].is_some_and(is_near);
        8 * u8::from(self.is_confirmed) + 2 * self.fit(side, segment) + u8::from(is_near)
    }
}

/// Handshakes kept of one flow.
const CANDIDATES: usize = 5;

/// The handshakes of a flow without data.
#[derive(Clone, Copy, Debug, Default)]
pub struct Handshake {
    candidates: [Option<Candidate>; CANDIDATES],
    /// By side: something of it was captured, if not its SYN.
    pub heard: [bool; 2],
    /// Packets so far.
    pub packets: u32,
}

impl Handshake {
    /// Takes a SYN or SYN-ACK of `side` into account.
    pub fn greet(&mut self, side: Side, segment: &Segment<'_>, at: PacketRef) {
        self.packets = self.packets.saturating_add(1);
        let first = segment.seq.advance(1);
        if segment.flags.has(Flags::ACK) {
            self.answer(side, first, segment.ack, at);
        } else {
            self.open(side, first, at);
        }
    }

    fn open(&mut self, side: Side, first: SeqNumber, at: PacketRef) {
        for candidate in self.candidates.iter_mut().flatten().filter(|candidate| candidate.client == side) {
            let own = &mut candidate.first[side.index()];
            if *own == Some(first) {
                return;
            }
            // The SYN-ACK was captured before its SYN.
            if own.is_none() && candidate.expected == Some(first) {
                *own = Some(first);
                candidate.start = candidate.start.min(at);
                return;
            }
        }
        // Or both ends open at once, or the answer comes in two parts (RFC 9293 §3.5): who was first is the client. It may
        // be a forged one that was, so this stands for itself as well.
        for other in self.candidates.iter_mut().flatten().filter(|other| other.client != side) {
            other.first[side.index()].get_or_insert(first);
        }
        let mut candidate =
            Candidate { first: [None; 2], client: side, start: at, expected: None, is_confirmed: false };
        candidate.first[side.index()] = Some(first);
        self.add(candidate);
    }

    fn answer(&mut self, side: Side, first: SeqNumber, ack: Option<SeqNumber>, at: PacketRef) {
        let client = side.other();
        let mut asked = None;
        for candidate in self.candidates.iter_mut().flatten().filter(|candidate| candidate.client == client) {
            if candidate.first[client.index()] != ack {
                continue;
            }
            let own = &mut candidate.first[side.index()];
            if own.is_none_or(|known| known == first) {
                *own = Some(first);
                return;
            }
            asked = Some(*candidate);
        }
        let mut candidate =
            asked.unwrap_or(Candidate { first: [None; 2], client, start: at, expected: ack, is_confirmed: false });
        candidate.first[side.index()] = Some(first);
        // An answer to a SYN that was not sent says nothing when there is a SYN.
        let has_syn = self.candidates.iter().flatten().any(|known| known.first[client.index()].is_some());
        if asked.is_some() || !has_syn {
            self.add(candidate);
        }
    }

    /// The first keep their places; when there is none left the latest takes that of the last.
    fn add(&mut self, candidate: Candidate) {
        let place = self.candidates.iter().position(Option::is_none).unwrap_or(CANDIDATES - 1);
        self.candidates[place] = Some(candidate);
    }

    /// Whether one of them is complete, the third packet included.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.candidates.iter().flatten().any(|candidate| candidate.is_confirmed)
    }

    /// The only one there is, if it began with its SYN: any other may be the one that the data then fit.
    #[must_use]
    pub fn only(&self) -> Option<&Candidate> {
        let mut known = self.candidates.iter().flatten();
        known.next().filter(|one| one.expected.is_none() && known.next().is_none())
    }

    /// Whether the SYN of one of them was captured.
    #[must_use]
    pub fn has_syn(&self) -> bool {
        self.candidates.iter().flatten().any(Candidate::has_syn)
    }

    /// The handshake that the first data fit best.
    #[must_use]
    pub fn choose(&self, side: Side, segment: &Segment<'_>) -> Option<Candidate> {
        let known = self.candidates.into_iter().flatten();
        // Of those alike the first.
        known.rev().max_by_key(|candidate| candidate.likelihood(side, segment))
    }

    /// A segment without data before any with: its side is heard, and of the handshakes the one whose numbers it has is
    /// confirmed.
    pub fn confirm(&mut self, side: Side, segment: &Segment<'_>) {
        self.heard[side.index()] = true;
        for candidate in self.candidates.iter_mut().flatten() {
            candidate.is_confirmed |= candidate.fit(side, segment) == 3;
        }
    }

    /// Whether a segment with data begins what one of the handshakes announced, for a flow that had another before:
    /// a whole one, unless that flow `is_over`.
    #[must_use]
    pub fn continued_by(&self, side: Side, segment: &Segment<'_>, is_over: bool) -> bool {
        let fits = |candidate: &Candidate| (is_over || candidate.is_complete()) && candidate.fit(side, segment) >= 2;
        self.candidates.iter().flatten().any(fits)
    }
}
