//! Batches of several captures as one: frames in the order of their time stamps, as far as that can be waited for.
//!
//! The kernel hands frames over in blocks, so what one capture has of a connection may come a moment after what
//! another has: the replies before the commands, when each direction has its own interface.

use super::Batch;
use crate::engine::Engine;
use crate::finding::Record;
use crate::wire::{Frame, Timestamp};
use std::collections::VecDeque;

/// Nanoseconds after which the other captures have handed over whatever they have of a moment: the kernel holds a block
/// back for 50 ms.
const HOLD_NS: u64 = 70_000_000;

/// Batches that wait for frames of other captures.
pub(super) struct Span {
    queues: Vec<VecDeque<Waiting>>,
    /// The latest clock of all that was read or told.
    clock: Timestamp,
    /// Batches that may wait; with more, capturing would soon have none to fill.
    most: usize,
}

struct Waiting {
    batch: Batch,
    /// Frames of it that were read.
    read: usize,
    /// When it came.
    since: Timestamp,
}

impl Waiting {
    fn time(&self) -> Timestamp {
        self.batch.items.get(self.read).map_or(Timestamp(0), |item| item.at.time)
    }
}

impl Span {
    pub(super) fn new(captures: usize, most: usize) -> Self {
        Self { queues: (0..captures).map(|_| VecDeque::new()).collect(), clock: Timestamp(0), most }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }

    /// The latest clock of all that was read or told.
    pub(super) fn clock(&self) -> Timestamp {
        self.clock
    }

    /// Takes a batch that came at `now`, or gives it back: one without frames tells how far its capture came.
    pub(super) fn add(&mut self, batch: Batch, now: Timestamp) -> Option<Batch> {
        if batch.items.is_empty() {
            self.clock = self.clock.max(batch.clock);
            return Some(batch);
        }
        self.queues[batch.capture].push_back(Waiting { batch, read: 0, since: now });
        None
    }

    /// The capture whose frame is next, and how many of that batch are before all others, those to come included.
    /// `None`: other captures may still have earlier ones. `is_last`: no more will come.
    fn next(&self, now: Timestamp, is_last: bool) -> Option<(usize, usize)> {
        let waiting = self.queues.iter().enumerate().filter_map(|(at, queue)| Some((at, queue.front()?)));
        let (capture, first) = waiting.min_by_key(|(at, first)| (first.time(), *at))?;
        let is_crowded = self.queues.iter().map(VecDeque::len).sum::<usize>() > self.most;
        let is_due = is_last || is_crowded || now.since(first.since) >= HOLD_NS;
        let others = self.queues.iter().enumerate().filter(|(at, _)| *at != capture);
        let until = others.map(|(_, queue)| match queue.front() {
            Some(other) => other.time(),
            None if is_due => Timestamp(u64::MAX),
            None => Timestamp(now.0.saturating_sub(HOLD_NS)),
        });
        let until = until.min().unwrap_or(Timestamp(u64::MAX));
        let count = first.batch.items[first.read..].iter().take_while(|item| item.at.time <= until).count();
        (count > 0).then_some((capture, count))
    }

    /// Has the engine read what need not wait any longer at the time `now`; gives back the batches that are read.
    pub(super) fn read(
        &mut self,
        now: Timestamp,
        is_last: bool,
        engine: &mut Engine,
        records: &mut Vec<Record>,
        mut emit: impl FnMut(&mut Engine, &mut Vec<Record>, Option<Timestamp>),
        mut give_back: impl FnMut(Batch),
    ) {
        while let Some((capture, count)) = self.next(now, is_last) {
            let Some(first) = self.queues[capture].front_mut() else { return };
            let clock = self.clock;
            let frames = first.batch.frames(first.read..first.read + count);
            let frames = frames.map(move |frame| Frame { clock: clock.max(frame.clock), ..frame });
            let brought = engine.push_all(frames, records);
            first.read += count;
            self.clock = clock.max(first.batch.items[first.read - 1].clock);
            if first.read == first.batch.items.len()
                && let Some(mut done) = self.queues[capture].pop_front()
            {
                done.batch.clear();
                give_back(done.batch);
            }
            emit(engine, records, brought);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{LinkType, PacketRef};

    fn batch(capture: usize, times: &[u64]) -> Batch {
        let mut batch = Batch { capture, ..Batch::default() };
        for &time in times {
            let at = PacketRef { time: Timestamp(time), input: 0, number: time };
            let link_type = LinkType::ETHERNET;
            let frame = Frame { at, clock: at.time, link_type, octets: &[0], original_len: 1, datagram: None };
            assert!(batch.push(&frame, None));
        }
        batch
    }

    /// Which captures are read at that time, and how far.
    fn read(span: &mut Span, now: u64, is_last: bool) -> Vec<(usize, usize)> {
        let mut order = Vec::new();
        while let Some((capture, count)) = span.next(Timestamp(now), is_last) {
            order.push((capture, count));
            let first = span.queues[capture].front_mut().expect("it is there");
            first.read += count;
            if first.read == first.batch.items.len() {
                span.queues[capture].pop_front();
            }
        }
        order
    }

    const MS: u64 = 1_000_000;

    #[test]
    fn frames_are_read_in_the_order_of_their_times() {
        let mut span = Span::new(2, 8);
        let now = 1000 * MS;
        assert!(span.add(batch(1, &[now + 2, now + 4, now + 9]), Timestamp(now + MS)).is_none());
        assert_eq!(read(&mut span, now + MS, false), [], "the other may have earlier ones");
        assert!(span.add(batch(0, &[now + 1, now + 3, now + 4]), Timestamp(now + MS)).is_none());
        assert_eq!(read(&mut span, now + MS, false), [(0, 1), (1, 1), (0, 2)]);
        assert_eq!(read(&mut span, now + 72 * MS, false), [(1, 2)], "waited long enough");
        assert!(span.is_empty());
    }

    #[test]
    fn nothing_waits_for_a_capture_that_is_silent_or_a_clock_that_is_wrong() {
        let mut span = Span::new(2, 8);
        assert!(span.add(batch(0, &[900 * MS, 2000 * MS]), Timestamp(1000 * MS)).is_none());
        assert_eq!(read(&mut span, 1010 * MS, false), [(0, 1)], "its time is long past");
        assert_eq!(read(&mut span, 1069 * MS, false), []);
        assert_eq!(read(&mut span, 1070 * MS, false), [(0, 1)], "its time is yet to come, but it has waited");
        assert!(span.add(batch(1, &[3000 * MS]), Timestamp(1500 * MS)).is_none());
        assert_eq!(read(&mut span, 1500 * MS, true), [(1, 1)], "no more will come");
        let crowd = 9;
        (0..crowd).for_each(|at| drop(span.add(batch(0, &[5000 * MS + at]), Timestamp(5000 * MS))));
        assert_eq!(read(&mut span, 5000 * MS, false).len(), 1, "capturing needs batches");
    }
}
