//! Octets that arrived before their turn: smoltcp's `Assembler` says which are there, its `RingBuffer` holds
//! them. The first copy is handed on; of a later one that differs the caller is told.
//!
//! Buffers are pooled and wiped as they drain, for they may hold a password.

use super::Mark;
use crate::limits::{REORDER_OCTETS, REORDER_PIECES};
use smoltcp::storage::{Assembler, RingBuffer};
use zeroize::Zeroize;

/// One stored run of octets from one segment.
#[derive(Clone, Copy)]
struct Piece {
    offset: u64,
    len: usize,
    mark: Mark,
}

/// The waiting octets of one direction. Offsets are of the stream; `front` is the first octet not yet delivered.
pub(super) struct Reorder {
    /// Ready octets from `front` on are "allocated" in the ring; those above a hole lie in its free part.
    ring: RingBuffer<'static, u8>,
    /// Relative to `front + ring.len()`.
    holes: Assembler,
    /// Sorted by offset, disjoint.
    pieces: Vec<Piece>,
    front: u64,
    /// Since octets were last stored or handed over.
    pub(super) ahead: Option<Run>,
}

/// A run of segments beyond the window.
#[derive(Clone, Copy)]
pub(super) struct Run {
    /// Where it began.
    pub(super) begin: u64,
    /// Where it stands.
    pub(super) end: u64,
    /// Its length.
    pub(super) segments: u32,
}

/// Why octets could not be stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Reorder {
    fn new() -> Self {
        let (ring, holes) = (RingBuffer::new(vec![0; REORDER_OCTETS]), Assembler::new());
        Self { ring, holes, pieces: Vec::new(), front: 0, ahead: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Offset of the first octet not yet handed over.
    pub(super) fn front(&self) -> u64 {
        self.front
    }

    /// Octets stored.
    pub(super) fn stored(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len).sum()
    }

    /// Offset and mark of the first stored piece.
    pub(super) fn first(&self) -> Option<(u64, Mark)> {
        self.pieces.first().map(|piece| (piece.offset, piece.mark))
    }

    /// Offset after the last stored octet.
    pub(super) fn end(&self) -> u64 {
        self.pieces.last().map_or(self.front, |piece| piece.offset + piece.len as u64)
    }

    /// Whether the octet at `front` is there.
    pub(super) fn is_ready(&self) -> bool {
        self.pieces.first().is_some_and(|piece| piece.offset == self.front)
    }

    /// Stores what is new in `octets` at stream `offset` (not below `front`). Tells `on_conflict` the parts that
    /// differ from what is stored.
    pub(super) fn insert(
        &mut self,
        offset: u64,
        octets: &[u8],
        mark: Mark,
        mut on_conflict: impl FnMut(u64, &[u8]),
    ) -> Result<(), Full> {
        let relative = usize::try_from(offset - self.front).map_err(|_| Full)?;
        if relative + octets.len() > REORDER_OCTETS || self.pieces.len() >= REORDER_PIECES - 2 {
            return Err(Full);
        }
        let end = offset + octets.len() as u64;
        let part = |from: u64, to: u64| &octets[(from - offset) as usize..(to - offset) as usize];
        let mut at = offset;
        // Walk the stored pieces that touch the range; what lies between them is new.
        let mut index = self.pieces.partition_point(|piece| piece.offset + piece.len as u64 <= offset);
        while let Some(piece) = self.pieces.get(index).filter(|piece| piece.offset < end).copied() {
            let piece_end = piece.offset + piece.len as u64;
            if at < piece.offset {
                self.store(at, part(at, piece.offset), mark)?;
                index += 1;
            }
            let (from, to) = (offset.max(piece.offset), end.min(piece_end));
            if !self.holds(from, part(from, to)) {
                let is_at_end = index + 1 == self.pieces.len() && from + 1 == piece_end;
                // A keep-alive's octet is garbage (RFC 9293 §3.8.4).
                if octets.len() > 1 || !is_at_end {
                    on_conflict(from, part(from, to));
                }
            }
            at = piece_end;
            index += 1;
        }
        if at < end {
            self.store(at, part(at, end), mark)?;
        }
        Ok(())
    }

    /// Stores octets none of which is there yet.
    fn store(&mut self, offset: u64, octets: &[u8], mark: Mark) -> Result<(), Full> {
        let relative = (offset - self.front) as usize - self.ring.len();
        self.holes.add(relative, octets.len()).map_err(|_| Full)?;
        let written = self.ring.write_unallocated(relative, octets);
        debug_assert_eq!(written, octets.len(), "the window was checked");
        let ready = self.holes.remove_front();
        self.ring.enqueue_unallocated(ready);
        let place = self.pieces.partition_point(|piece| piece.offset < offset);
        self.pieces.insert(place, Piece { offset, len: octets.len(), mark });
        Ok(())
    }

    /// Whether the stored octets from `offset` on equal `copy`.
    fn holds(&mut self, offset: u64, mut copy: &[u8]) -> bool {
        let mut relative = (offset - self.front) as usize;
        while !copy.is_empty() {
            let ready = self.ring.len();
            let stored: &[u8] = if relative < ready {
                self.ring.get_allocated(relative, copy.len())
            } else {
                self.ring.get_unallocated(relative - ready, copy.len())
            };
            if stored.is_empty() || copy[..stored.len()] != *stored {
                return false;
            }
            relative += stored.len();
            copy = &copy[stored.len()..];
        }
        true
    }

    /// Hands the first ready piece to `deliver` and wipes it. The ring may wrap inside it: then in two calls.
    pub(super) fn pop(&mut self, mut deliver: impl FnMut(u64, &[u8], Mark)) {
        let Some(piece) = self.pieces.first().copied().filter(|piece| piece.offset == self.front) else { return };
        let mut left = piece.len;
        while left > 0 {
            let front = self.front;
            let (taken, ()) = self.ring.dequeue_many_with(|ready| {
                let len = left.min(ready.len());
                let octets = &mut ready[..len];
                deliver(front, octets, piece.mark);
                octets.zeroize();
                (octets.len(), ())
            });
            debug_assert!(taken > 0, "a piece at the front is in the ready part");
            self.front += taken as u64;
            left -= taken;
        }
        self.pieces.remove(0);
    }

    /// Moves `front` up to `to`, at most to the first stored piece: the octets between were lost. The ready part must be
    /// empty. Where so many ranges are stored that part of a hole is one too many, all of the hole goes.
    pub(super) fn skip_hole(&mut self, to: u64) {
        let Some((first, _)) = self.first() else { return };
        let whole = (first - self.front) as usize;
        let mut hole = whole.min(to.saturating_sub(self.front) as usize);
        if hole == 0 {
            return;
        }
        // Filling the hole with what the ring holds there makes what follows ready; then the filling goes.
        if self.holes.add(0, hole).is_err() {
            hole = whole;
            let filled = self.holes.add(0, hole).is_ok();
            debug_assert!(filled, "filling the first hole merges ranges, it adds none");
        }
        let ready = self.holes.remove_front();
        self.ring.enqueue_unallocated(ready);
        self.ring.dequeue_allocated(hole);
        self.front += hole as u64;
    }

    fn wipe(&mut self) {
        while !self.pieces.is_empty() {
            if self.is_ready() { self.pop(|_, _, _| {}) } else { self.skip_hole(u64::MAX) }
        }
        self.ring.clear();
        self.holes.clear();
        self.ahead = None;
    }
}

/// Spare buffers and how many may be open at once.
pub struct Pool {
    spare: Vec<Box<Reorder>>,
    open: usize,
    limit: usize,
}

impl Pool {
    /// Spare buffers kept; more are given back to the system.
    const SPARE: usize = 16;

    /// A pool that opens at most `limit` buffers.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { spare: Vec::new(), open: 0, limit }
    }

    /// Buffers that are open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open
    }

    pub(super) fn take(&mut self, front: u64) -> Option<Box<Reorder>> {
        if self.open >= self.limit {
            return None;
        }
        self.open += 1;
        let mut reorder = self.spare.pop().unwrap_or_else(|| Box::new(Reorder::new()));
        reorder.front = front;
        Some(reorder)
    }

    pub(super) fn give_back(&mut self, mut reorder: Box<Reorder>) {
        self.open -= 1;
        reorder.wipe();
        if self.spare.len() < Self::SPARE {
            self.spare.push(reorder);
        }
    }
}
