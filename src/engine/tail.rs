//! The last octets of a connection as they were handed on, both ends in their order: what a later copy is compared with,
//! and what the story is told from anew when one differs. Bounded, and wiped, for it may hold a password.

use crate::limits::{TAIL_OCTETS, TAIL_PIECES};
use crate::stream::{Mark, Side};
use std::collections::VecDeque;
use zeroize::{Zeroize as _, Zeroizing};

/// Where a segment was caught, as far as that tells one copy from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) ttl: u8,
    pub(super) vlan: Option<u16>,
    /// TSval (RFC 7323 §3).
    pub(super) stamp: Option<u32>,
    /// The checksum is right, where the whole segment was captured.
    pub(super) is_sound: Option<bool>,
}

#[derive(Clone, Copy)]
pub(super) struct Piece {
    pub(super) side: Side,
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) is_gap: bool,
    pub(super) mark: Mark,
    pub(super) origin: Option<Origin>,
}

/// The octets of one side from `begin` on.
#[derive(Default)]
struct Octets {
    begin: u64,
    kept: Zeroizing<Vec<u8>>,
}

impl Octets {
    /// Other octets in place of all; those of the same length, as in the middle of a message, over the old ones.
    fn replace(&mut self, fresh: &[u8]) {
        let common = self.kept.len().min(fresh.len());
        self.kept[..common].copy_from_slice(&fresh[..common]);
        self.kept[common..].zeroize();
        self.kept.truncate(common);
        self.append(&fresh[common..]);
    }

    fn append(&mut self, fresh: &[u8]) {
        let len = self.kept.len() + fresh.len();
        // Grown by hand: a buffer that grows by itself leaves its old copy behind.
        if self.kept.capacity() < len {
            let mut grown = Zeroizing::new(Vec::with_capacity((2 * self.kept.len()).max(len).max(SHORT)));
            grown.extend_from_slice(&self.kept);
            self.kept = grown;
        }
        self.kept.extend_from_slice(fresh);
    }

    fn drop_first(&mut self, count: usize) {
        let rest = self.kept.len() - count;
        self.kept.copy_within(count.., 0);
        self.kept[rest..].zeroize();
        self.kept.truncate(rest);
        self.begin += count as u64;
    }
}

#[derive(Default)]
pub(super) struct Tail {
    pieces: VecDeque<Piece>,
    octets: [Octets; 2],
    /// Something was let go: it does not begin where the connection does.
    pub(super) is_cut: bool,
    /// A login was accepted: what is said from now on is worth less.
    pub(super) is_short: bool,
}

/// Of a connection that is logged in.
const SHORT: usize = 128;
/// Pieces of it.
const SHORT_PIECES: usize = 4;

impl Tail {
    fn limit(&self) -> usize {
        if self.is_short { SHORT } else { TAIL_OCTETS }
    }

    /// Octets that are handed on.
    #[inline]
    pub(super) fn push(&mut self, side: Side, offset: u64, octets: &[u8], mark: Mark, origin: Option<Origin>) {
        let limit = self.limit();
        let own = &mut self.octets[side.index()];
        let fresh = &octets[octets.len().saturating_sub(limit)..];
        let begins_anew = fresh.len() < octets.len() || own.begin + own.kept.len() as u64 != offset;
        self.is_cut |= fresh.len() < octets.len();
        if begins_anew {
            self.is_cut |= !own.kept.is_empty();
            own.begin = offset + (octets.len() - fresh.len()) as u64;
            own.replace(fresh);
        } else {
            if own.kept.len() + fresh.len() > 2 * limit {
                own.drop_first(own.kept.len() - (limit - fresh.len()));
                self.is_cut = true;
            }
            own.append(fresh);
        }
        if let Some(last) = self.pieces.back_mut()
            && (last.side, last.is_gap, last.mark.seen, last.origin) == (side, false, mark.seen, origin)
            && last.offset + last.len == offset
        {
            last.len += octets.len() as u64;
            return;
        }
        self.add(Piece { side, offset, len: octets.len() as u64, is_gap: false, mark, origin });
    }

    pub(super) fn push_gap(&mut self, side: Side, offset: u64, len: u64, mark: Mark) {
        self.octets[side.index()] = Octets { begin: offset + len, kept: Zeroizing::default() };
        self.is_cut |= offset > 0;
        self.add(Piece { side, offset, len, is_gap: true, mark, origin: None });
    }

    fn add(&mut self, piece: Piece) {
        let limit = if self.is_short { SHORT_PIECES } else { TAIL_PIECES };
        while self.pieces.len() >= limit {
            self.pieces.pop_front();
            self.is_cut = true;
        }
        self.pieces.push_back(piece);
    }

    /// Octets that are kept.
    pub(super) fn len(&self) -> u64 {
        self.octets.iter().map(|own| own.kept.len() as u64).sum()
    }

    /// Octets of memory besides its own.
    pub(super) fn held(&self) -> usize {
        let kept: usize = self.octets.iter().map(|own| own.kept.capacity()).sum();
        kept + self.pieces.capacity() * size_of::<Piece>()
    }

    /// A login was accepted.
    pub(super) fn shorten(&mut self) {
        if std::mem::replace(&mut self.is_short, true) {
            return;
        }
        for own in &mut self.octets {
            let dropped = own.kept.len().saturating_sub(SHORT);
            own.begin += dropped as u64;
            self.is_cut |= dropped > 0;
            if own.kept.capacity() > SHORT {
                own.kept = Zeroizing::new(own.kept[dropped..].to_vec());
            }
        }
        let dropped = self.pieces.len().saturating_sub(SHORT_PIECES);
        self.is_cut |= dropped > 0;
        self.pieces.drain(..dropped);
        self.pieces.shrink_to(SHORT_PIECES);
    }

    /// What of `len` octets from `offset` on is kept: where it begins, and the octets.
    pub(super) fn part(&self, side: Side, offset: u64, len: usize) -> (u64, &[u8]) {
        let own = &self.octets[side.index()];
        let end = (offset + len as u64).min(own.begin + own.kept.len() as u64);
        let from = offset.max(own.begin);
        if from >= end {
            return (from, &[]);
        }
        (from, &own.kept[(from - own.begin) as usize..(end - own.begin) as usize])
    }

    /// Where the octet at `offset` was caught.
    pub(super) fn origin(&self, side: Side, offset: u64) -> Option<&Piece> {
        let holds = |piece: &&Piece| {
            piece.side == side && !piece.is_gap && (piece.offset..piece.offset + piece.len).contains(&offset)
        };
        self.pieces.iter().rev().find(holds)
    }

    /// All pieces, with the octets of them that are kept.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (&Piece, u64, &[u8])> {
        self.pieces.iter().filter_map(|piece| {
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
}
