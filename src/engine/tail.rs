//! The last octets of a connection as they were handed on, both ends in their order: what a later copy is compared with,
//! and what the story is told from anew when one differs. Bounded, and wiped, for it may hold a password.

use crate::limits::{TAIL_OCTETS, TAIL_PIECES};
use crate::stream::{Mark, Side};
use crate::wire::{PacketRef, Timestamp};
use std::collections::VecDeque;
use std::ops::Range;
use zeroize::{Zeroize as _, Zeroizing};

/// Where a segment was caught, as far as that tells one copy from another; packed, for each open flow keeps some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Origin {
    stamp: u32,
    vlan: u16,
    pub(super) ttl: u8,
    has: u8,
}

/// What an origin has, and what a piece is.
mod has {
    pub(super) const ORIGIN: u8 = 1;
    pub(super) const VLAN: u8 = 2;
    pub(super) const STAMP: u8 = 4;
    pub(super) const CHECKED: u8 = 8;
    pub(super) const SOUND: u8 = 16;
    pub(super) const SIDE_B: u8 = 32;
    pub(super) const GAP: u8 = 64;
}

impl Origin {
    /// `stamp`: TSval (RFC 7323 §3). `is_sound`: the checksum is right, where the whole segment was captured.
    #[inline]
    pub(super) fn new(ttl: u8, vlan: Option<u16>, stamp: Option<u32>, is_sound: Option<bool>) -> Self {
        let bit = |is: bool, bit: u8| u8::from(is) * bit;
        let has = has::ORIGIN
            | bit(vlan.is_some(), has::VLAN)
            | bit(stamp.is_some(), has::STAMP)
            | bit(is_sound.is_some(), has::CHECKED)
            | bit(is_sound == Some(true), has::SOUND);
        Self { stamp: stamp.unwrap_or(0), vlan: vlan.unwrap_or(0), ttl, has }
    }

    pub(super) fn vlan(self) -> Option<u16> {
        self.has(has::VLAN).then_some(self.vlan)
    }

    pub(super) fn stamp(self) -> Option<u32> {
        self.has(has::STAMP).then_some(self.stamp)
    }

    pub(super) fn is_sound(self) -> Option<bool> {
        self.has(has::CHECKED).then(|| self.has(has::SOUND))
    }

    fn has(self, bit: u8) -> bool {
        self.has & bit != 0
    }

    /// With what its piece is.
    #[inline]
    fn with(self, side: Side, is_gap: bool) -> Self {
        let side = if side == Side::B { has::SIDE_B } else { 0 };
        Self { has: self.has | side | if is_gap { has::GAP } else { 0 }, ..self }
    }

    fn without_piece(self) -> Option<Self> {
        let has = self.has & !(has::SIDE_B | has::GAP);
        self.has(has::ORIGIN).then_some(Self { has, ..self })
    }

    fn side(self) -> Side {
        if self.has(has::SIDE_B) { Side::B } else { Side::A }
    }
}

/// What came in one piece.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    pub(super) side: Side,
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) is_gap: bool,
    pub(super) mark: Mark,
    pub(super) origin: Option<Origin>,
}

/// A piece as it is kept: half its size.
#[derive(Clone, Copy)]
struct Packed {
    offset: u64,
    /// [`UNSEEN`] where that is not known.
    seen: u64,
    time: Timestamp,
    number: u64,
    input: u32,
    len: u32,
    /// And side, and whether it is a gap.
    origin: Origin,
}

/// No place that a stream comes to.
const UNSEEN: u64 = u64::MAX;

const _: () = assert!(size_of::<Packed>() == 48);

impl Packed {
    fn end(&self) -> u64 {
        self.offset + u64::from(self.len)
    }

    fn unpacked(&self) -> Piece {
        let Self { offset, seen, time, number, input, len, origin } = *self;
        let at = PacketRef { time, input, number };
        Piece {
            side: origin.side(),
            offset,
            len: len.into(),
            is_gap: origin.has(has::GAP),
            mark: Mark { at, seen: (seen != UNSEEN).then_some(seen), end: 0 },
            origin: origin.without_piece(),
        }
    }
}

/// Invariant: of each side the octets are kept that were handed on last, without a hole.
#[derive(Default)]
pub(super) struct Tail {
    pieces: VecDeque<Packed>,
    /// Of side A, then of side B: one buffer for both.
    kept: Zeroizing<Vec<u8>>,
    /// How many of them are of side A.
    of_a: usize,
    /// By side: where its octets begin.
    begin: [u64; 2],
    /// Something was let go: it does not begin where the connection does.
    pub(super) is_cut: bool,
    /// A login was accepted: what is said from now on is worth less.
    pub(super) is_short: bool,
}

/// Octets of each side of a connection that is logged in.
const SHORT: usize = 128;
/// Pieces of it.
const SHORT_PIECES: usize = 4;
/// Octets that there is room for at first: a short login.
const ROOM: usize = 64;

impl Tail {
    fn limit(&self) -> usize {
        if self.is_short { SHORT } else { TAIL_OCTETS }
    }

    /// Where the octets of a side lie.
    #[inline]
    fn range(&self, side: Side) -> Range<usize> {
        match side {
            Side::A => 0..self.of_a,
            Side::B => self.of_a..self.kept.len(),
        }
    }

    /// Octets that are handed on.
    #[inline]
    pub(super) fn push(&mut self, side: Side, offset: u64, octets: &[u8], mark: Mark, origin: Option<Origin>) {
        let limit = self.limit();
        let kept = self.range(side).len();
        let fresh = &octets[octets.len().saturating_sub(limit)..];
        let begins_anew = fresh.len() < octets.len() || self.begin[side.index()] + kept as u64 != offset;
        self.is_cut |= fresh.len() < octets.len();
        if begins_anew {
            self.is_cut |= kept > 0;
            if kept == fresh.len() {
                // As in the middle of a message: over the old ones.
                let old = self.range(side);
                self.kept[old].copy_from_slice(fresh);
            } else {
                self.drop_first(side, kept);
                self.append(side, fresh);
            }
            self.begin[side.index()] = offset + (octets.len() - fresh.len()) as u64;
        } else {
            if kept + fresh.len() > 2 * limit {
                self.drop_first(side, kept - (limit - fresh.len()));
                self.is_cut = true;
            }
            self.append(side, fresh);
        }
        let (seen, origin) = (mark.seen.unwrap_or(UNSEEN), origin.unwrap_or_default().with(side, false));
        if let Some(last) = self.pieces.back_mut()
            && (last.origin, last.seen, last.end()) == (origin, seen, offset)
            && let Some(len) = u32::try_from(octets.len()).ok().and_then(|len| last.len.checked_add(len))
        {
            last.len = len;
            return;
        }
        self.add(offset, octets.len() as u64, mark, origin);
    }

    pub(super) fn push_gap(&mut self, side: Side, offset: u64, len: u64, mark: Mark) {
        self.drop_first(side, self.range(side).len());
        self.begin[side.index()] = offset + len;
        self.is_cut |= offset > 0;
        self.add(offset, len, mark, Origin::default().with(side, true));
    }

    fn add(&mut self, offset: u64, len: u64, mark: Mark, origin: Origin) {
        let limit = if self.is_short { SHORT_PIECES } else { TAIL_PIECES };
        while self.pieces.len() >= limit {
            self.pieces.pop_front();
            self.is_cut = true;
        }
        let PacketRef { time, input, number } = mark.at;
        // No gap is longer than sequence numbers reach.
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        let seen = mark.seen.unwrap_or(UNSEEN);
        self.pieces.push_back(Packed { offset, seen, time, number, input, len, origin });
    }

    fn append(&mut self, side: Side, fresh: &[u8]) {
        let (at, before) = (self.range(side).end, self.kept.len());
        let len = before + fresh.len();
        // Grown by hand: a buffer that grows by itself leaves its old copy behind. A long one in great steps, for each old
        // copy has to be wiped.
        if self.kept.capacity() < len {
            let room = before * if before < 4 * SHORT { 2 } else { 4 };
            let mut grown = Zeroizing::new(Vec::with_capacity(room.min(4 * self.limit()).max(len).max(ROOM)));
            grown.extend_from_slice(&self.kept);
            self.kept = grown;
        }
        // What of the other side's lies in the place of the fresh ones goes behind them, each octet moved once.
        let moved = fresh.len().min(before - at);
        self.kept.extend_from_slice(&fresh[moved..]);
        if moved > 0 {
            self.kept.extend_from_within(before - moved..before);
            self.kept.copy_within(at..before - moved, at + fresh.len());
            self.kept[at..at + moved].copy_from_slice(&fresh[..moved]);
        }
        self.of_a += if side == Side::A { fresh.len() } else { 0 };
    }

    fn drop_first(&mut self, side: Side, count: usize) {
        if count == 0 {
            return;
        }
        let from = self.range(side).start;
        let rest = self.kept.len() - count;
        self.kept.copy_within(from + count.., from);
        self.kept[rest..].zeroize();
        self.kept.truncate(rest);
        self.begin[side.index()] += count as u64;
        self.of_a -= if side == Side::A { count } else { 0 };
    }

    /// Octets that are kept.
    pub(super) fn len(&self) -> u64 {
        self.kept.len() as u64
    }

    /// Octets of memory besides its own.
    pub(super) fn held(&self) -> usize {
        self.kept.capacity() + self.pieces.capacity() * size_of::<Packed>()
    }

    /// A login was accepted.
    pub(super) fn shorten(&mut self) {
        if std::mem::replace(&mut self.is_short, true) {
            return;
        }
        for side in [Side::A, Side::B] {
            let dropped = self.range(side).len().saturating_sub(SHORT);
            self.drop_first(side, dropped);
            self.is_cut |= dropped > 0;
        }
        if self.kept.capacity() > 2 * SHORT {
            self.kept = Zeroizing::new(self.kept.to_vec());
        }
        let dropped = self.pieces.len().saturating_sub(SHORT_PIECES);
        self.is_cut |= dropped > 0;
        self.pieces.drain(..dropped);
        self.pieces.shrink_to(SHORT_PIECES);
    }

    /// What of `len` octets from `offset` on is kept: where it begins, and the octets.
    pub(super) fn part(&self, side: Side, offset: u64, len: usize) -> (u64, &[u8]) {
        let (begin, kept) = (self.begin[side.index()], &self.kept[self.range(side)]);
        let end = (offset + len as u64).min(begin + kept.len() as u64);
        let from = offset.max(begin);
        if from >= end {
            return (from, &[]);
        }
        (from, &kept[(from - begin) as usize..(end - begin) as usize])
    }

    /// The piece that brought the octet at `offset`.
    pub(super) fn origin(&self, side: Side, offset: u64) -> Option<Piece> {
        let holds = |piece: &&Packed| {
            piece.origin.side() == side && !piece.origin.has(has::GAP) && (piece.offset..piece.end()).contains(&offset)
        };
        self.pieces.iter().rev().find(holds).map(Packed::unpacked)
    }

    /// All pieces, with the octets of them that are kept.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (Piece, u64, &[u8])> {
        self.pieces.iter().map(Packed::unpacked).filter_map(|piece| {
            if piece.is_gap {
                return Some((piece, piece.offset, &[][..]));
            }
            let (from, octets) = self.part(piece.side, piece.offset, piece.len as usize);
            (!octets.is_empty()).then_some((piece, from, octets))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(tail: &mut Tail, offset: u64, octets: &[u8]) {
        tail.push(Side::A, offset, octets, Mark { seen: Some(offset), ..Mark::default() }, None);
    }

    #[test]
    fn what_is_kept_is_the_end_of_what_was_pushed() {
        let mut tail = Tail::default();
        let all: Vec<u8> = (0..20 * TAIL_OCTETS).map(|at| at as u8).collect();
        let mut offset = 0;
        for len in (1..700).cycle() {
            let Some(next) = all.get(offset..offset + len) else { break };
            pushed(&mut tail, offset as u64, next);
            offset += len;
            let (from, kept) = tail.part(Side::A, 0, offset);
            assert_eq!(kept, &all[from as usize..offset]);
            assert!(kept.len() >= TAIL_OCTETS.min(offset) && kept.len() <= 2 * TAIL_OCTETS);
            assert!(tail.pieces.len() <= TAIL_PIECES);
        }
        assert!(tail.is_cut);
        tail.shorten();
        let (from, kept) = tail.part(Side::A, 0, offset);
        assert_eq!((from as usize + kept.len(), kept.len()), (offset, SHORT));
    }

    #[test]
    fn a_piece_longer_than_all_that_is_kept_leaves_its_end() {
        let mut tail = Tail::default();
        pushed(&mut tail, 0, b"abc");
        let long = vec![7; TAIL_OCTETS + 10];
        pushed(&mut tail, 3, &long);
        assert_eq!(tail.part(Side::A, 0, 5), (13, &[][..]));
        assert_eq!(tail.part(Side::A, 0, usize::MAX / 2).1.len(), TAIL_OCTETS);
    }

    #[test]
    fn pieces_are_told_with_their_gaps() {
        let mut tail = Tail::default();
        pushed(&mut tail, 0, b"abc");
        tail.push_gap(Side::A, 3, 4, Mark::default());
        pushed(&mut tail, 7, b"hij");
        let told: Vec<(u64, bool, &[u8])> =
            tail.pieces().map(|(piece, from, octets)| (from, piece.is_gap, octets)).collect();
        assert_eq!(told, [(3, true, &b""[..]), (7, false, b"hij")], "what lies before a hole is not kept");
    }

    #[test]
    fn what_was_packed_is_unpacked_as_it_was() {
        for vlan in [None, Some(0), Some(4095)] {
            for stamp in [None, Some(0), Some(u32::MAX)] {
                for is_sound in [None, Some(false), Some(true)] {
                    let origin = Origin::new(64, vlan, stamp, is_sound);
                    assert_eq!((origin.vlan(), origin.stamp(), origin.is_sound()), (vlan, stamp, is_sound));
                    for (side, is_gap) in [(Side::A, true), (Side::A, false), (Side::B, true), (Side::B, false)] {
                        let kept = origin.with(side, is_gap);
                        assert_eq!((kept.side(), kept.has(has::GAP)), (side, is_gap));
                        assert_eq!(kept.without_piece(), Some(origin));
                        assert_eq!(Origin::default().with(side, is_gap).without_piece(), None);
                    }
                }
            }
        }
    }

    /// Both sides share a buffer, and neither touches the other's octets.
    #[test]
    fn each_side_keeps_its_own() {
        let mut tail = Tail::default();
        let mut said = [Vec::new(), Vec::new()];
        for turn in 0_usize..4000 {
            let side = if turn * turn % 7 < 3 { Side::A } else { Side::B };
            let all = &mut said[side.index()];
            let fresh: Vec<u8> = (0..turn * 31 % 400).map(|at| (turn + at) as u8).collect();
            match turn % 501 {
                0 => {
                    tail.push_gap(side, all.len() as u64, 9, Mark::default());
                    all.extend([0; 9]);
                }
                400 => tail.shorten(),
                _ => {}
            }
            tail.push(side, all.len() as u64, &fresh, Mark::default(), None);
            all.extend(fresh);
            for side in [Side::A, Side::B] {
                let all = &said[side.index()];
                let (from, kept) = tail.part(side, 0, all.len());
                assert_eq!(kept, &all[from as usize..from as usize + kept.len()], "turn {turn}");
                assert!(kept.is_empty() || from as usize + kept.len() == all.len());
            }
        }
    }
}
