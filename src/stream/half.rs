//! One side of a connection: where its stream stands, and what a sequence number means there.
//!
//! Invariants: `next` only grows; `seq` is the number of `next`; a FIN is never before `next`.

use super::reorder::Reorder;
use crate::limits::{GREETING_OCTETS, WILD_OFFSET};
use crate::wire::{Flags, Segment, SeqNumber};

/// One side's octets.
pub(super) struct Half {
    /// A segment of this side was captured.
    pub(super) captured: bool,
    /// Sequence number of `next`; meaningless until `placed`.
    pub(super) seq: SeqNumber,
    pub(super) placed: bool,
    /// It was placed by what the other side acknowledged with its first octets, which is where it stands, not where it
    /// begins: what it had said by then may be captured yet.
    pub(super) is_presumed: bool,
    /// Offset of the next octet to hand over.
    pub(super) next: u64,
    /// Highest offset the other side acknowledged.
    pub(super) acked: u64,
    /// Offset after the last octet, once a FIN said so; until then [`ENDLESS`].
    pub(super) end: u64,
    pub(super) reorder: Option<Box<Reorder>>,
    /// The other side acknowledged all up to `next` and no more while octets were waiting above: it does not have
    /// what is missing either, so that will be sent again, or what waits is forged.
    pub(super) denied: bool,
}

/// An end that no stream comes to.
pub(super) const ENDLESS: u64 = u64::MAX;

impl Default for Half {
    fn default() -> Self {
        Self {
            captured: false,
            seq: SeqNumber::default(),
            placed: false,
            is_presumed: false,
            next: 0,
            acked: 0,
            end: ENDLESS,
            reorder: None,
            denied: false,
        }
    }
}

impl Half {
    /// Whether it has said all it had to say.
    pub(super) fn is_finished(&self) -> bool {
        self.next >= self.end
    }

    /// The offset that a sequence number means; `None` when it is too far off. A side of which nothing is captured
    /// stands where it was last acknowledged.
    pub(super) fn offset_of(&self, number: SeqNumber) -> Option<i64> {
        if !self.placed {
            return Some(0);
        }
        let ahead = if self.captured { 0 } else { self.acked.saturating_sub(self.next) };
        let distance = i64::from(number.offset_from(self.seq.advance(ahead as u32)));
        let base = i64::try_from(self.next + ahead).ok()?;
        (distance.abs() <= WILD_OFFSET).then(|| base + distance)
    }

    /// Sets where it begins: at its SYN, or its first octets.
    pub(super) fn place(&mut self, first: SeqNumber) {
        if self.is_presumed {
            self.acked += u64::try_from(self.seq.offset_from(first)).unwrap_or(0);
        }
        (self.seq, self.placed, self.is_presumed) = (first, true, false);
    }

    /// Where it begins is only presumed, and nothing of it was handed over.
    pub(super) fn may_begin_earlier(&self) -> bool {
        self.is_presumed && self.next == 0
    }

    /// Octets before those that the other side acknowledged: a greeting that was captured after the answer to it.
    pub(super) fn begin_earlier(&mut self, first: SeqNumber) {
        if (1..=GREETING_OCTETS).contains(&self.seq.offset_from(first)) {
            self.place(first);
            // Others before these may be captured yet.
            self.is_presumed = true;
        }
    }

    pub(super) fn note_ack(&mut self, ack: SeqNumber, acked: u64) {
        if !self.placed {
            (self.seq, self.placed) = (ack, true);
        }
        self.acked = self.acked.max(acked);
        if self.reorder.is_some() {
            self.denied = self.acked == self.next;
        }
    }

    /// The first end counts, since what is forged may lie anywhere ahead; one that octets went beyond was none.
    pub(super) fn note_fin(&mut self, end: i64) {
        let Some(end) = u64::try_from(end).ok().filter(|end| *end >= self.next) else { return };
        self.end = self.end.min(end);
    }

    /// Cuts off what lies before the start of the stream. `None`: nothing in it is new.
    pub(super) fn trim<'a>(&self, place: i64, segment: &Segment<'a>) -> Option<(u64, &'a [u8])> {
        let len = i64::from(segment.payload_len);
        let next = i64::try_from(self.next).ok()?;
        // A keep-alive's one octet (RFC 9293 §3.8.4) stands before `next`, or in the place of an acknowledged FIN.
        let is_after_fin = len == 1 && self.end == self.next && self.next + 1 == self.acked;
        if len > 0 && (place + len <= next || is_after_fin) && !segment.flags.has(Flags::FIN) {
            return None;
        }
        let before = usize::try_from(-place).unwrap_or(0);
        Some((u64::try_from(place).unwrap_or(0), segment.payload.get(before..).unwrap_or_default()))
    }

    /// Of a segment with nothing new: what it says again. A keep-alive's octet is garbage.
    pub(super) fn known_part<'a>(&self, place: i64, segment: &Segment<'a>) -> Option<(u64, &'a [u8])> {
        let is_keep_alive = segment.payload_len == 1 && place + 1 >= self.next.cast_signed();
        let before = usize::try_from(-place).unwrap_or(0);
        let payload = segment.payload.get(before..).filter(|payload| !payload.is_empty() && !is_keep_alive)?;
        Some((u64::try_from(place).unwrap_or(0), payload))
    }

    pub(super) fn is_next(&self, offset: u64, payload: &[u8]) -> bool {
        offset <= self.next && self.next < offset + payload.len() as u64
    }

    pub(super) fn advance(&mut self, len: u64) {
        self.next += len;
        self.denied = false;
        if let Some(reorder) = &mut self.reorder {
            reorder.ahead = None;
        }
        if self.end < self.next {
            self.end = ENDLESS;
        }
        // Wrapping is the arithmetic of sequence numbers; lengths above 4 GiB wrap with it.
        self.seq = self.seq.advance(len as u32);
    }
}
