//! Both directions of one flow: sequence numbers to stream offsets, the causal order, gaps, FIN and RST.
//!
//! Invariants. `next` of a direction only grows. Octets are handed over once, first copy first. A segment that
//! acknowledges octets of the other direction which were captured later is handed over after them; if they were
//! never captured, after a bound. A RST or SYN that the ends ignored moves nothing (RFC 9293 §3.10.7.4).

use super::half::{ENDLESS, Half};
use super::reorder::{Pool, Run};
use super::{Mark, Side};
use crate::limits::{
    LINGER_NS, PRESUMED_LOST_NS, PRESUMED_LOST_OCTETS, PRESUMED_LOST_SEGMENTS, PROVED_LOST_NS, PROVED_LOST_SEGMENTS,
    REORDER_OCTETS, RESYNC_SEGMENTS,
};
use crate::wire::{Flags, PacketRef, Segment, SeqNumber, Timestamp};

/// What a [`Connection`] hands its pieces to.
pub trait Receiver {
    /// Octets of one side in their turn; `offset` counts from the first octet of that side.
    fn data(&mut self, side: Side, offset: u64, octets: &[u8], mark: Mark);
    /// `len` octets of one side that the capture does not hold.
    fn gap(&mut self, side: Side, offset: u64, len: u64, at: PacketRef);
    /// Octets of one side once more, all of them at places that were handed over; the other end had acknowledged what
    /// lies before `_acked`. Says whether they are known to differ from what was.
    fn again(&mut self, _side: Side, _offset: u64, _octets: &[u8], _acked: u64, _mark: Mark) -> bool {
        false
    }
    /// The octet at this place, yet to come, is marked urgent.
    fn urgent(&mut self, _side: Side, _offset: u64, _mark: Mark) {}
    /// Octets that differ from others which wait at their place: those are handed over in their turn.
    fn differs(&mut self, _side: Side, _offset: u64, _octets: &[u8], _mark: Mark) {}
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
    /// Octets in gaps that the receiver's acknowledgement proves.
    pub octets_lost: u64,
    /// Octets of the streams that were followed, those in gaps included.
    pub octets: u64,
    /// RST that the ends ignored or that fell outside the window.
    pub rst_ignored: u64,
    /// SYN inside a connection, ignored.
    pub syn_ignored: u64,
    /// Segments too far from the stream to belong to it.
    pub wild: u64,
    /// Segments dropped because no reorder buffer was free.
    pub reorder_full: u64,
    /// Wrong TCP checksums among the short segments of possible mail: those of the capturing host itself, or forged.
    pub unsound: u64,
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
        self.octets_lost += other.octets_lost;
        self.octets += other.octets;
        self.rst_ignored += other.rst_ignored;
        self.syn_ignored += other.syn_ignored;
        self.wild += other.wild;
        self.reorder_full += other.reorder_full;
        self.unsound += other.unsound;
    }
}

/// Since when the same octets are missing: those of `side` from `next` on. That the other side goes on does not help.
#[derive(Clone, Copy)]
struct Stuck {
    side: Side,
    next: u64,
    segments: u32,
    since: Timestamp,
}

/// A RST that the ends may have obeyed.
#[derive(Clone, Copy)]
struct Reset {
    by: Side,
    /// Where its sender stood: more than this and a FIN was never sent if the RST was meant.
    end: u64,
    since: Timestamp,
}

/// Both directions of a flow.
#[derive(Default)]
pub struct Connection {
    halves: [Half; 2],
    stuck: Option<Box<Stuck>>,
    /// Set by an exact RST; cleared when the stream goes on.
    reset: Option<Box<Reset>>,
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
        self.halves[side.index()].place(first);
    }

    /// Whether where a side begins is only presumed, from what the other acknowledged.
    #[must_use]
    pub fn is_presumed(&self, side: Side) -> bool {
        self.halves[side.index()].may_begin_earlier()
    }

    /// Where a side begins, once that is known.
    #[must_use]
    pub fn begins_at(&self, side: Side) -> Option<SeqNumber> {
        let half = &self.halves[side.index()];
        half.placed.then(|| SeqNumber(half.seq.0.wrapping_sub(half.next as u32)))
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

    /// Octets of both sides handed over or skipped so far.
    #[inline]
    fn octets(&self) -> u64 {
        self.halves[0].next + self.halves[1].next
    }

    /// Whether both sides said all they had to say.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.halves.iter().all(Half::is_finished)
    }

    /// Whether any side sent its FIN and all before it was handed over.
    #[must_use]
    pub fn has_fin(&self) -> bool {
        self.halves.iter().any(Half::is_finished)
    }

    /// Whether the flow ended, so that a SYN on the same ports begins another one.
    #[must_use]
    pub fn is_over(&self, clock: Timestamp) -> bool {
        self.is_finished() || self.reset.as_ref().is_some_and(|reset| clock.since(reset.since) > LINGER_NS)
    }

    /// Whether a RST that the ends may have obeyed was the last word.
    #[must_use]
    pub fn was_reset(&self) -> bool {
        self.reset.is_some()
    }

    /// Whether octets wait for their turn.
    #[must_use]
    #[inline]
    pub fn has_waiting(&self) -> bool {
        self.halves.iter().any(|half| half.reorder.is_some())
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
        let before = self.octets();
        self.take(side, segment, at, clock, env, receiver);
        env.counts.octets += self.octets() - before;
        if let Some(reset) = &self.reset {
            // The hosts ignored it: its sender goes on, or the other end has seen that it went on.
            let half = &self.halves[reset.by.index()];
            if half.next > reset.end || half.acked > reset.end + 1 {
                self.reset = None;
            }
        }
    }

    #[inline]
    fn take(
        &mut self,
        side: Side,
        segment: &Segment<'_>,
        at: PacketRef,
        clock: Timestamp,
        env: &mut Env<'_>,
        receiver: &mut impl Receiver,
    ) {
        let Some((place, seen)) = self.locate(side, segment) else {
            env.counts.wild += 1;
            return;
        };
        let mark = Mark { at, seen, end: 0 };
        let half = &self.halves[side.index()];
        let Some((offset, payload)) = half.trim(place, segment) else {
            env.counts.repeated += 1;
            if let Some((offset, payload)) = half.known_part(place, segment) {
                env.counts.conflicts += u64::from(receiver.again(side, offset, payload, half.acked, mark));
            }
            return;
        };
        if offset < half.next {
            let known = payload.len().min((half.next - offset) as usize);
            env.counts.conflicts += u64::from(receiver.again(side, offset, &payload[..known], half.acked, mark));
        }
        let half = &self.halves[side.index()];
        if let Some(at) = urgent_octet(segment)
            && let Ok(urgent) = u64::try_from(place + i64::from(at))
            && urgent >= half.next
        {
            receiver.urgent(side, urgent, mark);
        }
        // What fills a hole shows that the sender does not think it filled.
        let filled = half.is_next(offset, payload).then_some(side);
        self.release_overdue(filled, clock, env, receiver);
        if payload.is_empty() {
            if !segment.flags.has(Flags::FIN) {
                return;
            }
        } else if self.is_in_turn(side, offset, seen) {
            self.deliver(side, offset, payload, mark, receiver);
        } else {
            self.keep(side, offset, payload, mark, env, receiver);
        }
        if self.has_waiting() {
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
            let end = match half.end {
                // The last acknowledged number may be the FIN's own, which was not captured.
                ENDLESS => half.acked.saturating_sub(1),
                fin if fin - half.next <= REORDER_OCTETS as u64 => fin,
                // So far off that only an acknowledgement makes it believable.
                fin => half.acked.min(fin),
            };
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

    /// The offset of the segment in its stream (negative before the start of one that was picked up) and of its
    /// acknowledgement in the other. `None`: one of them is too far off to belong to this connection.
    fn locate(&mut self, side: Side, segment: &Segment<'_>) -> Option<(i64, Option<u64>)> {
        let half = &mut self.halves[side.index()];
        if half.may_begin_earlier() && !segment.payload.is_empty() {
            half.begin_earlier(segment.seq);
        }
        let place = half.offset_of(segment.seq)?;
        // Nothing of the other side was captured, and this one's SYN was.
        let is_first = half.placed;
        let peer = &mut self.halves[side.other().index()];
        let seen = match segment.ack {
            None => None,
            Some(ack) => {
                let acked = u64::try_from(peer.offset_of(ack)?).unwrap_or(0);
                peer.is_presumed |= is_first && !peer.placed;
                peer.note_ack(ack, acked);
                Some(acked)
            }
        };
        let half = &mut self.halves[side.index()];
        half.captured = true;
        if !half.placed {
            half.place(segment.seq);
        }
        if segment.flags.has(Flags::FIN) {
            half.note_fin(place + i64::from(segment.payload_len));
        }
        Some((place, seen))
    }

    fn is_in_turn(&self, side: Side, offset: u64, seen: Option<u64>) -> bool {
        let half = &self.halves[side.index()];
        offset <= half.next && half.reorder.is_none() && self.is_caused(side, seen)
    }

    /// Whether all that the sender had acknowledged was handed over already.
    fn is_caused(&self, side: Side, seen: Option<u64>) -> bool {
        let peer = &self.halves[side.other().index()];
        let Some(seen) = seen.filter(|_| peer.captured) else { return true };
        // A FIN takes a number and has no octet.
        let octets = if seen.checked_sub(1) == Some(peer.end) { peer.end } else { seen };
        octets <= peer.next
    }

    fn deliver(&mut self, side: Side, offset: u64, octets: &[u8], mark: Mark, receiver: &mut impl Receiver) {
        let half = &mut self.halves[side.index()];
        let known = usize::try_from(half.next - offset).unwrap_or(usize::MAX);
        let Some(fresh) = octets.get(known..).filter(|fresh| !fresh.is_empty()) else { return };
        let at = half.next;
        half.advance(fresh.len() as u64);
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
        let counts = &mut *env.counts;
        let stored = reorder.insert(offset, fresh, mark, |at, octets| {
            counts.conflicts += 1;
            receiver.differs(side, at, octets, mark);
        });
        match stored {
            Ok(()) => {
                env.counts.reordered += 1;
                reorder.ahead = None;
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
        let Some(reorder) = half.reorder.as_mut() else { return };
        let end = offset + octets.len() as u64;
        let (begin, segments) = match reorder.ahead {
            Some(run) if run.end.abs_diff(offset) <= PRESUMED_LOST_OCTETS as u64 => (run.begin, run.segments + 1),
            _ => (offset, 1),
        };
        reorder.ahead = Some(Run { begin, end, segments });
        env.counts.wild += 1;
        // What is forged the other end does not acknowledge.
        let is_heard = half.acked > begin || !self.halves[side.other().index()].captured;
        if segments < RESYNC_SEGMENTS || !is_heard {
            return;
        }
        if let Some(reorder) = &mut self.halves[side.index()].reorder {
            reorder.ahead = None;
        }
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
        half.reorder = Some(reorder);
        half.advance(taken);
    }

    /// What the earliest captured of the waiting octets wait for.
    fn obstacle(&self) -> Option<Obstacle> {
        let waiting = [Side::A, Side::B].into_iter().filter_map(|side| {
            let (offset, mark) = self.halves[side.index()].reorder.as_ref()?.first()?;
            Some((side, offset, mark))
        });
        let (side, offset, mark) = waiting.min_by(|(.., one), (.., other)| one.at.order(&other.at))?;
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
                    // All of it, or what the other side had seen of it when it spoke.
                    Some((first, mark)) => self.declare_gap(side, first.min(to), mark.at, env, receiver),
                    // Nothing beyond was captured. The acknowledgement alone may be forged, so the missing side is
                    // not moved: a gap shows when its next octets come, or at the end.
                    None => self.pop(side.other(), receiver),
                }
            }
        }
    }

    fn declare_gap(&mut self, side: Side, to: u64, at: PacketRef, env: &mut Env<'_>, receiver: &mut impl Receiver) {
        let half = &mut self.halves[side.index()];
        let mut to = to;
        if let Some(reorder) = half.reorder.as_mut() {
            reorder.skip_hole(to);
            to = to.max(reorder.front());
        }
        let (from, len) = (half.next, to - half.next);
        if half.acked >= to {
            env.counts.gaps_proved += 1;
            env.counts.octets_lost += len;
        } else {
            env.counts.gaps_presumed += 1;
        }
        env.counts.gap_octets += len;
        half.advance(len);
        receiver.gap(side, from, len, at);
    }

    fn note_stuck(&mut self, clock: Timestamp) {
        let missing = self.obstacle().map(|obstacle| match obstacle {
            Obstacle::Hole(side, _) | Obstacle::Cycle(side) => (side, self.halves[side.index()].next),
        });
        match (missing, &mut self.stuck) {
            (None, stuck) => *stuck = None,
            (Some(missing), Some(stuck)) if missing == (stuck.side, stuck.next) => stuck.segments += 1,
            (Some((side, next)), stuck) => *stuck = Some(Box::new(Stuck { side, next, segments: 1, since: clock })),
        }
    }

    /// Gives up waiting when a bound is reached; called before new octets are looked at, except that a hole is not
    /// given up for the very octets that begin to fill it: those of the side `filled`.
    fn release_overdue(
        &mut self,
        filled: Option<Side>,
        clock: Timestamp,
        env: &mut Env<'_>,
        receiver: &mut impl Receiver,
    ) {
        while let Some(stuck) = self.stuck.as_deref().copied() {
            let Some(obstacle) = self.obstacle() else { return };
            if !self.is_overdue(&obstacle, stuck, clock) || filled.is_some_and(|side| obstacle.is_hole_of(side)) {
                return;
            }
            self.overcome(&obstacle, env, receiver);
            self.drain(env, receiver);
            // A new hole starts its own clock.
            self.note_stuck(clock);
        }
    }

    fn is_overdue(&self, obstacle: &Obstacle, stuck: Stuck, clock: Timestamp) -> bool {
        let stored = self.halves.iter().flat_map(|half| &half.reorder).map(|reorder| reorder.stored()).max();
        if stored.unwrap_or(0) > PRESUMED_LOST_OCTETS {
            return true;
        }
        let waited = clock.since(stuck.since);
        match *obstacle {
            Obstacle::Hole(side, _) if self.halves[side.index()].denied => false,
            Obstacle::Hole(side, to) if self.halves[side.index()].acked < to => {
                stuck.segments >= PRESUMED_LOST_SEGMENTS || waited > PRESUMED_LOST_NS
            }
            Obstacle::Hole(..) | Obstacle::Cycle(_) => {
                stuck.segments >= PROVED_LOST_SEGMENTS || waited > PROVED_LOST_NS
            }
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
            let end = end.max(half.acked);
            self.reset.get_or_insert_with(|| Box::new(Reset { by: side, end, since: clock }));
        } else {
            env.counts.rst_ignored += 1;
        }
    }
}

impl Obstacle {
    fn is_hole_of(&self, wanted: Side) -> bool {
        matches!(self, Self::Hole(side, _) if *side == wanted)
    }
}

/// Place in the payload of the octet that the urgent pointer marks, as receivers read it (RFC 6093 §3.2).
fn urgent_octet(segment: &Segment<'_>) -> Option<u16> {
    const URG: u8 = 0x20;
    if !segment.flags.has(URG) {
        return None;
    }
    let pointer = u16::from_be_bytes([*segment.tcp.get(18)?, *segment.tcp.get(19)?]);
    pointer.checked_sub(1).filter(|at| usize::from(*at) < segment.payload.len())
}

/// What connections of one engine share.
pub struct Env<'a> {
    /// Reorder buffers.
    pub pool: &'a mut Pool,
    /// Counters.
    pub counts: &'a mut Counts,
}
