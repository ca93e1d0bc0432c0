//! Both directions of one flow: sequence numbers to stream offsets, the causal order, gaps, FIN and RST.
//!
//! Invariants. `next` of a direction only grows. Octets are handed over once, first copy first. A segment that
//! acknowledges octets of the other direction which were captured later is handed over after them; if they were
//! never captured, after a bound. A RST or SYN that the ends ignored moves nothing (RFC 9293 §3.10.7.4).

use super::reorder::{Pool, Reorder};
use super::{Mark, Side};
use crate::limits::{
    LINGER_NS, PRESUMED_LOST_NS, PRESUMED_LOST_OCTETS, PRESUMED_LOST_SEGMENTS, PROVED_LOST_NS, PROVED_LOST_SEGMENTS,
    RESYNC_SEGMENTS, WILD_OFFSET,
};
use crate::wire::{Flags, PacketRef, Segment, SeqNumber, Timestamp};

/// What a [`Connection`] hands its pieces to.
pub trait Receiver {
    /// Octets of one side in their turn; `offset` counts from the first octet of that side.
    fn data(&mut self, side: Side, offset: u64, octets: &[u8], mark: Mark);
    /// `len` octets of one side that the capture does not hold.
    fn gap(&mut self, side: Side, offset: u64, len: u64, at: PacketRef);
}

/// What happened in reassembly, counted over all connections of an engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Segments wholly before the next octet: retransmissions and packets captured twice.
    pub repeated: u64,
    /// Segments that were stored until their turn.
    pub reordered: u64,
    /// Second copies that differed from the first.
    pub conflicts: u64,
    /// Gaps that the receiver's acknowledgement proves.
    pub gaps_proved: u64,
    /// Gaps that only bounds declare.
    pub gaps_presumed: u64,
    /// Octets in gaps.
    pub gap_octets: u64,
    /// RST that the ends ignored or that fell outside the window.
    pub rst_ignored: u64,
    /// SYN inside a connection, ignored.
    pub syn_ignored: u64,
    /// Segments too far from the stream to belong to it.
    pub wild: u64,
    /// Segments dropped because no reorder buffer was free.
    pub reorder_full: u64,
}

impl Counts {
    /// Adds another engine's.
    pub fn add(&mut self, other: &Self) {
        self.repeated += other.repeated;
        self.reordered += other.reordered;
        self.conflicts += other.conflicts;
        self.gaps_proved += other.gaps_proved;
        self.gaps_presumed += other.gaps_presumed;
        self.gap_octets += other.gap_octets;
        self.rst_ignored += other.rst_ignored;
        self.syn_ignored += other.syn_ignored;
        self.wild += other.wild;
        self.reorder_full += other.reorder_full;
    }
}

/// One side's octets.
#[derive(Default)]
struct Half {
    /// A segment of this side was captured.
    captured: bool,
    /// Sequence number of `next`; meaningless until `placed`.
    seq: SeqNumber,
    placed: bool,
    /// Offset of the next octet to hand over.
    next: u64,
    /// Highest offset the other side acknowledged.
    acked: u64,
    /// Offset after the last octet, once a FIN said so.
    fin: Option<u64>,
    reorder: Option<Box<Reorder>>,
    /// Where a run of segments beyond the window stands: its next offset and its length in segments.
    ahead: Option<(u64, u32)>,
}

/// Since when nothing of the waiting octets could be handed over.
#[derive(Clone, Copy)]
struct Stuck {
    segments: u32,
    since: Timestamp,
}

/// Both directions of a flow.
#[derive(Default)]
pub struct Connection {
    halves: [Half; 2],
    stuck: Option<Stuck>,
    /// Set by an exact RST; cleared when the stream goes on.
    reset: Option<Timestamp>,
}

/// What stands in the way of waiting octets.
enum Obstacle {
    /// Octets of `Side` up to the offset were not captured (yet).
    Hole(Side, u64),
    /// Each side's first octets acknowledge octets of the other that are not there: an ACK is forged.
    Cycle(Side),
}

impl Connection {
    /// Sets where a side begins: its SYN's sequence number plus one.
    pub fn place(&mut self, side: Side, first: SeqNumber) {
        let half = &mut self.halves[side.index()];
        (half.seq, half.placed) = (first, true);
    }

    /// Notes that packets of `side` are in the capture at all.
    pub fn mark_captured(&mut self, side: Side) {
        self.halves[side.index()].captured = true;
    }

    /// Whether packets of `side` were captured.
    #[must_use]
    pub fn is_captured(&self, side: Side) -> bool {
        self.halves[side.index()].captured
    }

    /// Octets of `side` handed over or skipped so far.
    #[must_use]
    pub fn position(&self, side: Side) -> u64 {
        self.halves[side.index()].next
    }

    /// Whether both sides said all they had to say.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.halves.iter().all(|half| half.fin.is_some_and(|fin| half.next >= fin))
    }

    /// Whether any side sent its FIN and all before it was handed over.
    #[must_use]
    pub fn has_fin(&self) -> bool {
        self.halves.iter().any(|half| half.fin.is_some_and(|fin| half.next >= fin))
    }

    /// Whether the flow ended, so that a SYN on the same ports begins another one.
    #[must_use]
    pub fn is_over(&self, clock: Timestamp) -> bool {
        self.is_finished() || self.reset.is_some_and(|since| clock.since(since) > LINGER_NS)
    }

    /// Whether a RST that the ends may have obeyed was the last word.
    #[must_use]
    pub fn was_reset(&self) -> bool {
        self.reset.is_some()
    }

    /// Takes the next segment of `side`. SYNs are the caller's.
    #[inline]
    pub fn push(
        &mut self,
        side: Side,
        segment: &Segment<'_>,
        at: PacketRef,
        clock: Timestamp,
        env: &mut Env<'_>,
        receiver: &mut impl Receiver,
    ) {
        if segment.flags.has(Flags::RST) {
            return self.reset_by(side, segment, clock, env);
        }
        let Some(seen) = self.acknowledge(side, segment, env) else { return };
        let Some(offset) = self.locate(side, segment, env) else { return };
        self.release_overdue(clock, env, receiver);
        if segment.flags.has(Flags::FIN) {
            let half = &mut self.halves[side.index()];
            half.fin.get_or_insert(offset + u64::from(segment.payload_len));
        }
        if segment.payload.is_empty() && segment.payload_len == 0 {
            return;
        }
        let mark = Mark { at, seen };
        if self.is_in_turn(side, offset, seen) {
            self.reset = None;
            self.deliver(side, offset, segment.payload, mark, receiver);
        } else {
            self.keep(side, offset, segment.payload, mark, env, receiver);
        }
        if self.halves.iter().any(|half| half.reorder.is_some()) {
            self.drain(env, receiver);
            self.note_stuck(clock);
        }
    }

    /// Hands over all that waits; what is missing becomes a gap.
    pub fn finish(&mut self, at: PacketRef, env: &mut Env<'_>, receiver: &mut impl Receiver) {
        while let Some(obstacle) = self.obstacle() {
            self.overcome(&obstacle, env, receiver);
            self.drain(env, receiver);
        }
        for side in [Side::A, Side::B] {
            let half = &self.halves[side.index()];
            // Without a FIN in the capture the last acknowledged number may be the FIN's own.
            let end = half.fin.map_or(half.acked.saturating_sub(1), |fin| half.acked.min(fin));
            if half.captured && end > half.next {
                self.declare_gap(side, end, at, env, receiver);
            }
        }
        self.release_buffers(env.pool);
    }

    /// Gives the buffers back, contents wiped. The connection hands over nothing more of what they held.
    pub fn release_buffers(&mut self, pool: &mut Pool) {
        for half in &mut self.halves {
            if let Some(reorder) = half.reorder.take() {
                pool.give_back(reorder);
            }
        }
    }

    /// Reads the acknowledgement. `None`: it is too far off to belong to this connection.
    fn acknowledge(&mut self, side: Side, segment: &Segment<'_>, env: &mut Env<'_>) -> Option<Option<u64>> {
        let Some(ack) = segment.ack else { return Some(None) };
        let peer = &mut self.halves[side.other().index()];
        if !peer.placed {
            (peer.seq, peer.placed) = (ack, true);
        }
        let ahead = i64::from(ack.offset_from(peer.seq));
        if ahead.abs() > WILD_OFFSET {
            env.counts.wild += 1;
            return None;
        }
        let acked = peer.next.saturating_add_signed(ahead);
        peer.acked = peer.acked.max(acked);
        Some(Some(acked))
    }

    /// The stream offset of the segment. A segment before the start of a picked-up stream has none.
    fn locate(&mut self, side: Side, segment: &Segment<'_>, env: &mut Env<'_>) -> Option<u64> {
        let half = &mut self.halves[side.index()];
        half.captured = true;
        if !half.placed {
            (half.seq, half.placed) = (segment.seq, true);
        }
        let delta = i64::from(segment.seq.offset_from(half.seq));
        if delta.abs() > WILD_OFFSET {
            env.counts.wild += 1;
            return None;
        }
        let len = i64::from(segment.payload_len);
        let end = half.next.checked_add_signed(delta + len);
        if len > 0 && delta + len <= 0 {
            // A keep-alive's one octet (RFC 9293 §3.8.4) lands here too and is no anomaly.
            env.counts.repeated += 1;
            return None;
        }
        match half.next.checked_add_signed(delta) {
            Some(offset) => Some(offset),
            // The first segment captured began later than this one, which overlaps it.
            None => end.map(|_| 0).filter(|_| len > 0),
        }
    }

    fn is_in_turn(&self, side: Side, offset: u64, seen: Option<u64>) -> bool {
        let half = &self.halves[side.index()];
        offset <= half.next && half.reorder.is_none() && self.is_caused(side, seen)
    }

    /// Whether all that the sender had acknowledged was handed over already.
    fn is_caused(&self, side: Side, seen: Option<u64>) -> bool {
        let peer = &self.halves[side.other().index()];
        let Some(seen) = seen.filter(|_| peer.captured) else { return true };
        seen.min(peer.fin.unwrap_or(u64::MAX)) <= peer.next
    }

    fn deliver(&mut self, side: Side, offset: u64, octets: &[u8], mark: Mark, receiver: &mut impl Receiver) {
        let half = &mut self.halves[side.index()];
        let known = usize::try_from(half.next - offset).unwrap_or(usize::MAX);
        let Some(fresh) = octets.get(known..).filter(|fresh| !fresh.is_empty()) else { return };
        let at = half.next;
        half.advance(fresh.len() as u64);
        self.stuck = None;
        receiver.data(side, at, fresh, mark);
    }

    fn keep(
        &mut self,
        side: Side,
        offset: u64,
        octets: &[u8],
        mark: Mark,
        env: &mut Env<'_>,
        receiver: &mut impl Receiver,
    ) {
        let half = &mut self.halves[side.index()];
        let known = usize::try_from(half.next.saturating_sub(offset)).unwrap_or(usize::MAX);
        let Some(fresh) = octets.get(known..).filter(|fresh| !fresh.is_empty()) else { return };
        let offset = offset.max(half.next);
        if half.reorder.is_none() {
            half.reorder = env.pool.take(half.next);
        }
        let Some(reorder) = half.reorder.as_mut() else {
            env.counts.reorder_full += 1;
            return self.jump(side, offset, fresh, mark, env, receiver);
        };
        match reorder.insert(offset, fresh, mark) {
            Ok(conflicts) => {
                env.counts.reordered += 1;
                env.counts.conflicts += conflicts;
                half.ahead = None;
            }
            Err(_) => self.overflow(side, offset, fresh, mark, env, receiver),
        }
    }

    /// The octets do not fit. One segment far ahead may be forged and moves nothing; a run of them is the stream
    /// going on after a large loss.
    fn overflow(
        &mut self,
        side: Side,
        offset: u64,
        octets: &[u8],
        mark: Mark,
        env: &mut Env<'_>,
        receiver: &mut impl Receiver,
    ) {
        let half = &mut self.halves[side.index()];
        let end = offset + octets.len() as u64;
        let run = match half.ahead {
            Some((at, run)) if at.abs_diff(offset) <= PRESUMED_LOST_OCTETS as u64 => run + 1,
            _ => 1,
        };
        half.ahead = Some((end, run));
        env.counts.wild += 1;
        if run < RESYNC_SEGMENTS {
            return;
        }
        half.ahead = None;
        while let Some(obstacle) = self.obstacle() {
            self.overcome(&obstacle, env, receiver);
            self.drain(env, receiver);
        }
        self.jump(side, offset, octets, mark, env, receiver);
    }

    /// Goes on at `offset`, whatever lies before it. Nothing may be waiting on this side.
    fn jump(
        &mut self,
        side: Side,
        offset: u64,
        octets: &[u8],
        mark: Mark,
        env: &mut Env<'_>,
        receiver: &mut impl Receiver,
    ) {
        if offset > self.halves[side.index()].next {
            self.declare_gap(side, offset, mark.at, env, receiver);
        }
        self.deliver(side, offset, octets, mark, receiver);
    }

    /// Hands over what is ready and caused, alternating between the sides until neither moves.
    fn drain(&mut self, env: &mut Env<'_>, receiver: &mut impl Receiver) {
        let mut moved = true;
        while moved {
            moved = false;
            for side in [Side::A, Side::B] {
                while self.ready(side) {
                    self.pop(side, receiver);
                    moved = true;
                }
                let half = &mut self.halves[side.index()];
                if half.reorder.as_ref().is_some_and(|reorder| reorder.is_empty())
                    && let Some(reorder) = half.reorder.take()
                {
                    env.pool.give_back(reorder);
                }
            }
        }
    }

    fn ready(&self, side: Side) -> bool {
        let Some(reorder) = &self.halves[side.index()].reorder else { return false };
        reorder.is_ready() && reorder.first().is_some_and(|(_, mark)| self.is_caused(side, mark.seen))
    }

    fn pop(&mut self, side: Side, receiver: &mut impl Receiver) {
        let half = &mut self.halves[side.index()];
        let Some(mut reorder) = half.reorder.take() else { return };
        let from = half.next;
        reorder.pop(|offset, octets, mark| receiver.data(side, offset, octets, mark));
        let taken = reorder.front() - from;
        half.advance(taken);
        half.reorder = Some(reorder);
        self.stuck = None;
        self.reset = None;
    }

    /// What the earliest captured of the waiting octets wait for.
    fn obstacle(&self) -> Option<Obstacle> {
        let waiting = [Side::A, Side::B].into_iter().filter_map(|side| {
            let (offset, mark) = self.halves[side.index()].reorder.as_ref()?.first()?;
            Some((mark.at.input, mark.at.number, side, offset, mark))
        });
        let (.., side, offset, mark) = waiting.min_by_key(|(input, number, ..)| (*input, *number))?;
        if offset > self.halves[side.index()].next {
            return Some(Obstacle::Hole(side, offset));
        }
        let peer = &self.halves[side.other().index()];
        match peer.reorder.as_ref().and_then(|reorder| reorder.first()) {
            Some((first, _)) if first > peer.next => Some(Obstacle::Hole(side.other(), first.min(mark.seen?))),
            Some(_) => Some(Obstacle::Cycle(side)),
            None => Some(Obstacle::Hole(side.other(), mark.seen?)),
        }
    }

    fn overcome(&mut self, obstacle: &Obstacle, env: &mut Env<'_>, receiver: &mut impl Receiver) {
        match *obstacle {
            Obstacle::Cycle(side) => self.pop(side, receiver),
            Obstacle::Hole(side, to) => {
                let half = &self.halves[side.index()];
                match half.reorder.as_ref().and_then(|reorder| reorder.first()) {
                    Some((first, mark)) if first <= to => self.declare_gap(side, first, mark.at, env, receiver),
                    // Nothing beyond was captured. The acknowledgement alone may be forged, so the missing side is
                    // not moved: a gap shows when its next octets come, or at the end.
                    _ => self.pop(side.other(), receiver),
                }
            }
        }
    }

    fn declare_gap(&mut self, side: Side, to: u64, at: PacketRef, env: &mut Env<'_>, receiver: &mut impl Receiver) {
        let half = &mut self.halves[side.index()];
        let (from, len) = (half.next, to - half.next);
        if half.acked >= to {
            env.counts.gaps_proved += 1;
        } else {
            env.counts.gaps_presumed += 1;
        }
        env.counts.gap_octets += len;
        if let Some(reorder) = half.reorder.as_mut() {
            reorder.skip_hole();
        }
        half.advance(len);
        self.stuck = None;
        receiver.gap(side, from, len, at);
    }

    fn note_stuck(&mut self, clock: Timestamp) {
        if self.halves.iter().all(|half| half.reorder.is_none()) {
            self.stuck = None;
        } else if let Some(stuck) = &mut self.stuck {
            stuck.segments += 1;
        } else {
            self.stuck = Some(Stuck { segments: 1, since: clock });
        }
    }

    /// Gives up waiting when a bound is reached; called before new octets are looked at, so that the result does
    /// not depend on when anybody else looked.
    pub fn release_overdue(&mut self, clock: Timestamp, env: &mut Env<'_>, receiver: &mut impl Receiver) {
        while let Some(stuck) = self.stuck {
            let Some(obstacle) = self.obstacle() else { return };
            let waited = clock.since(stuck.since);
            let proved = match obstacle {
                Obstacle::Hole(side, to) => self.halves[side.index()].acked >= to,
                Obstacle::Cycle(_) => true,
            };
            let stored = self.halves.iter().flat_map(|half| &half.reorder).map(|reorder| reorder.stored()).max();
            let overdue = if proved {
                stuck.segments >= PROVED_LOST_SEGMENTS || waited > PROVED_LOST_NS
            } else {
                stuck.segments >= PRESUMED_LOST_SEGMENTS || waited > PRESUMED_LOST_NS
            };
            if !overdue && stored.unwrap_or(0) <= PRESUMED_LOST_OCTETS {
                return;
            }
            self.overcome(&obstacle, env, receiver);
            self.drain(env, receiver);
            // What still waits has waited as long; a new hole starts its own clock.
            self.stuck = None;
            self.note_stuck(clock);
        }
    }

    fn reset_by(&mut self, side: Side, segment: &Segment<'_>, clock: Timestamp, env: &mut Env<'_>) {
        let half = &self.halves[side.index()];
        // RFC 9293 §3.10.7.4 and RFC 5961 §3: only the exact next number resets. An RST's payload is no data.
        let end = half.reorder.as_ref().map_or(half.next, |reorder| reorder.end());
        let delta = segment.seq.offset_from(half.seq);
        // One further when the FIN before it took a number.
        let is_next = matches!(delta, 0 | 1) || u64::try_from(delta).is_ok_and(|delta| half.next + delta == end);
        if is_next || !half.placed {
            self.reset.get_or_insert(clock);
        } else {
            env.counts.rst_ignored += 1;
        }
    }
}

impl Half {
    fn advance(&mut self, len: u64) {
        self.next += len;
        // Wrapping is the arithmetic of sequence numbers; lengths above 4 GiB wrap with it.
        self.seq = self.seq.advance(len as u32);
    }
}

/// What connections of one engine share.
pub struct Env<'a> {
    /// Reorder buffers.
    pub pool: &'a mut Pool,
    /// Counters.
    pub counts: &'a mut Counts,
}
