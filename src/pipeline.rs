//! From the capture threads to the workers: recycled batches over bounded channels, each flow to one worker.
//!
//! A batch holds frames that lie in a mapped file by their offset, and copies of all others. Full batches go one
//! way, empty ones come back, so nothing is allocated once the pipeline is filled. It starts no threads itself.

mod span;

use crate::engine::{Counters, Engine, of_datagram};
use crate::finding::Record;
use crate::stream::{FlowKey, Side};
use crate::wire::{Datagram, Defragmenter, Frame, LinkType, PacketRef, Path, Refusal, Skip, Timestamp, open};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use foldhash::fast::RandomState;
use memmap2::Mmap;
use span::Span;
use std::hash::BuildHasher as _;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Frames in a batch: enough that the channel's cost vanishes, few enough to stay in the cache.
const BATCH_FRAMES: usize = 256;
/// Octets copied into a batch; frames of a span port average below 1 KiB.
const BATCH_OCTETS: usize = 256 * 1024;
/// Batches per worker. Few, for each that goes round is cold memory.
const BATCHES: usize = 16;
/// Between two looks at what waits for frames of other captures.
const LOOK: Duration = Duration::from_millis(10);
/// After so long without frames it is looked whether connections are over.
const SILENCE: Duration = Duration::from_secs(1);

/// What happens when a worker does not keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// The frame is dropped and counted: the kernel's ring must never wait.
    Drop,
    /// Reading waits: files lose nothing.
    Wait,
}

/// One frame of a batch.
struct Item {
    at: PacketRef,
    clock: Timestamp,
    link_type: LinkType,
    original_len: u32,
    /// In the map or in the arena.
    start: usize,
    len: usize,
    is_mapped: bool,
    /// Of a datagram made of fragments: what these were wrapped in.
    path: Option<usize>,
}

/// Frames on their way to an engine.
#[derive(Default)]
struct Batch {
    items: Vec<Item>,
    /// Wiped in the end only: to wipe it for each batch would cost as much as to fill it.
    arena: Zeroizing<Vec<u8>>,
    paths: Vec<Path>,
    /// Index of the capture that fills it.
    capture: usize,
    /// How far the capture had come when it was sent.
    clock: Timestamp,
    /// The file its mapped frames lie in.
    map: Option<(u32, Arc<Mmap>)>,
}

impl Batch {
    /// Takes a frame in. `map`: the mapped file that its octets may lie in. `false`: it is full, or of another file.
    #[must_use]
    fn push(&mut self, frame: &Frame<'_>, map: Option<&Arc<Mmap>>) -> bool {
        let place = map.and_then(|map| place_in(map, frame.octets));
        if !self.fits(frame, place.is_some()) {
            return false;
        }
        let start = place.unwrap_or(self.arena.len());
        match (place, map) {
            (Some(_), Some(map)) if self.map.is_none() => self.map = Some((frame.at.input, Arc::clone(map))),
            (Some(_), _) => {}
            (None, _) => self.copy(frame.octets),
        }
        self.items.push(Item {
            at: frame.at,
            clock: frame.clock,
            link_type: frame.link_type,
            original_len: frame.original_len,
            start,
            len: frame.octets.len(),
            is_mapped: place.is_some(),
            path: frame.datagram.map(|path| {
                self.paths.push(*path);
                self.paths.len() - 1
            }),
        });
        true
    }

    /// An arena that grows by itself would leave copies.
    fn copy(&mut self, octets: &[u8]) {
        let needed = self.arena.len() + octets.len();
        if needed > self.arena.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.next_power_of_two()));
            larger.extend_from_slice(&self.arena);
            self.arena = larger;
        }
        self.arena.extend_from_slice(octets);
    }

    fn fits(&self, frame: &Frame<'_>, is_mapped: bool) -> bool {
        let other_file = is_mapped && self.map.as_ref().is_some_and(|(input, _)| *input != frame.at.input);
        self.items.len() < BATCH_FRAMES
            && !other_file
            && (self.items.is_empty() || self.arena.len() + frame.octets.len() <= BATCH_OCTETS)
    }

    fn clear(&mut self) {
        self.items.clear();
        self.arena.clear();
        self.paths.clear();
        self.map = None;
    }

    fn frames(&self, of: Range<usize>) -> impl Iterator<Item = Frame<'_>> + Clone {
        self.items[of].iter().map(|item| {
            let home: &[u8] = match &self.map {
                Some((_, map)) if item.is_mapped => map,
                _ => &self.arena,
            };
            let octets = &home[item.start..item.start + item.len];
            let Item { at, clock, link_type, original_len, .. } = *item;
            let datagram = item.path.map(|path| &self.paths[path]);
            Frame { at, clock, link_type, octets, original_len, datagram }
        })
    }
}

/// The capture thread's end.
pub struct Dispatcher {
    /// Its index.
    capture: usize,
    lanes: Vec<Lane>,
    overflow: Overflow,
    hasher: RandomState,
    dropped: u64,
    clock: Timestamp,
    /// What ports and inner addresses a datagram has shows when it is whole: before it is known whose it is.
    fragments: Defragmenter,
    /// Of the fragments, which no worker sees.
    counters: Counters,
}

struct Lane {
    full: Sender<Batch>,
    empty: Receiver<Batch>,
    filling: Option<Batch>,
}

/// A worker's end.
pub struct Feed {
    full: Receiver<Batch>,
    empty: Sender<Batch>,
    captures: usize,
}

/// Joins as many dispatchers as there are captures to `workers` feeds. Whichever of them sees the frames of a flow, the
/// same worker gets them: an interface whose frames several threads take may well split what is in a tunnel.
#[must_use]
pub fn channels(captures: usize, workers: usize, overflow: Overflow) -> (Vec<Dispatcher>, Vec<Feed>) {
    let mut lanes = Vec::new();
    let mut feeds = Vec::new();
    let batches = captures * BATCHES;
    for _ in 0..workers {
        let (full, take_full) = bounded(batches);
        let (give_back, empty) = bounded(batches);
        for _ in 0..batches {
            // The channel holds that many: none of these can fail or wait.
            let _ = give_back.try_send(Batch::default());
        }
        lanes.push((full, empty));
        feeds.push(Feed { full: take_full, empty: give_back, captures });
    }
    let hasher = RandomState::default();
    let dispatcher = |capture| Dispatcher {
        capture,
        lanes: lanes
            .iter()
            .map(|(full, empty)| Lane { full: full.clone(), empty: empty.clone(), filling: None })
            .collect(),
        overflow,
        hasher: hasher.clone(),
        dropped: 0,
        clock: Timestamp(0),
        fragments: Defragmenter::default(),
        counters: Counters::default(),
    };
    ((0..captures).map(dispatcher).collect(), feeds)
}

impl Dispatcher {
    /// Hands a frame to the worker of its flow. `map`: the mapped file that its octets may lie in.
    pub fn push(&mut self, frame: &Frame<'_>, map: Option<&Arc<Mmap>>) {
        self.clock = frame.clock;
        match self.lane_of(frame) {
            Ok(lane) => self.put(lane, frame, map),
            Err(whole) => {
                for datagram in &whole {
                    // Each layer of fragments in fragments has its number, so this ends.
                    self.push(&of_datagram(frame, datagram), None);
                }
            }
        }
    }

    /// No more frames will come: sends what is waiting, and to all workers how far the capture came.
    pub fn finish(&mut self) {
        self.fragments.finish();
        self.counters.fragments = *self.fragments.counts();
        for lane in &mut self.lanes {
            if lane.filling.is_none() {
                lane.filling = lane.next_empty(self.overflow).map(|batch| Batch { capture: self.capture, ..batch });
            }
            lane.send(self.clock, self.overflow, &mut self.dropped);
        }
    }

    /// What was counted of fragments here; the workers count the rest.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn put(&mut self, lane: usize, frame: &Frame<'_>, map: Option<&Arc<Mmap>>) {
        let lane = &mut self.lanes[lane];
        if lane.filling.as_mut().is_some_and(|batch| batch.push(frame, map)) {
            return;
        }
        lane.send(self.clock, self.overflow, &mut self.dropped);
        lane.filling = lane.next_empty(self.overflow).map(|batch| Batch { capture: self.capture, ..batch });
        let is_taken = lane.filling.as_mut().is_some_and(|batch| batch.push(frame, map));
        self.dropped += u64::from(!is_taken);
    }

    /// Sends what is waiting, so that a quiet link's last frames are judged.
    pub fn flush(&mut self) {
        for lane in &mut self.lanes {
            if lane.filling.as_ref().is_some_and(|batch| !batch.items.is_empty()) {
                lane.send(self.clock, self.overflow, &mut self.dropped);
            }
        }
    }

    /// Frames dropped because a worker did not keep up.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Both directions of a flow share their addresses. What is no segment is only counted, by any worker. Of a fragment:
    /// the datagrams that it makes whole.
    fn lane_of(&mut self, frame: &Frame<'_>) -> Result<usize, Vec<Datagram>> {
        if self.lanes.len() == 1 {
            return Ok(0);
        }
        let segment = match open(frame) {
            Ok(segment) => segment,
            Err(Refusal::Skip(_)) => return Ok(0),
            Err(Refusal::Fragment(fragment)) => {
                self.counters.note(frame);
                self.counters.skipped[Skip::Fragment as usize] += 1;
                let whole = self.fragments.push(&fragment, frame.clock);
                self.counters.fragments = *self.fragments.counts();
                return Err(whole);
            }
        };
        let (key, _) = FlowKey::between(segment.source, segment.destination);
        let addresses = (key.endpoint(Side::A).address, key.endpoint(Side::B).address);
        Ok((self.hasher.hash_one(addresses) >> 32) as usize % self.lanes.len())
    }
}

impl Lane {
    fn next_empty(&self, overflow: Overflow) -> Option<Batch> {
        match overflow {
            Overflow::Wait => self.empty.recv().ok(),
            Overflow::Drop => self.empty.try_recv().ok(),
        }
    }

    fn send(&mut self, clock: Timestamp, overflow: Overflow, dropped: &mut u64) {
        let Some(mut batch) = self.filling.take() else { return };
        batch.clock = clock;
        let lost = match overflow {
            Overflow::Wait => self.full.send(batch).map_err(|error| error.into_inner()),
            // There are as many places as batches, so this waits for nobody.
            Overflow::Drop => self.full.try_send(batch).map_err(|error| error.into_inner()),
        };
        // Only a worker that is gone takes none; the run then fails and says which.
        if let Err(batch) = lost {
            *dropped += batch.items.len() as u64;
        }
    }
}

/// The offset of `octets` in the map, when they lie in it.
fn place_in(map: &Mmap, octets: &[u8]) -> Option<usize> {
    let start = octets.as_ptr().addr().checked_sub(map.as_ptr().addr())?;
    (start + octets.len() <= map.len()).then_some(start)
}

impl Feed {
    /// Runs an engine until the dispatchers are gone and all is read. After each batch `emit` gets the engine, and the
    /// records that the batch brought to light with the clock of the first frame that did. `now`: the time of day,
    /// for what waits until other captures have handed over theirs, and for connections that are over while nothing comes;
    /// where it stands still nothing is over before the next frame.
    pub fn run(
        &self,
        now: impl Fn() -> Timestamp,
        engine: &mut Engine,
        mut emit: impl FnMut(&mut Engine, &mut Vec<Record>, Option<Timestamp>),
    ) {
        let mut records = Vec::new();
        if self.captures > 1 {
            self.run_several(now, engine, &mut records, &mut emit);
        } else {
            let mut silence = Silence::default();
            loop {
                match self.full.recv_timeout(SILENCE) {
                    Ok(mut batch) => {
                        let brought = engine.push_all(batch.frames(0..batch.items.len()), &mut records);
                        engine.advance(batch.clock);
                        silence = Silence { since: now(), clock: batch.clock };
                        batch.clear();
                        self.give_back(batch);
                        emit(engine, &mut records, brought);
                    }
                    Err(RecvTimeoutError::Timeout) => silence.pass(now(), engine, &mut records, &mut emit),
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
        }
        engine.finish(&mut records);
        emit(engine, &mut records, None);
    }

    fn run_several(
        &self,
        now: impl Fn() -> Timestamp,
        engine: &mut Engine,
        records: &mut Vec<Record>,
        mut emit: impl FnMut(&mut Engine, &mut Vec<Record>, Option<Timestamp>),
    ) {
        let mut span = Span::new(self.captures, self.captures * BATCHES / 2);
        let mut is_last = false;
        let mut silence = Silence::default();
        while !is_last {
            let next = self.full.recv_timeout(if span.is_empty() { SILENCE } else { LOOK });
            is_last = matches!(next, Err(RecvTimeoutError::Disconnected));
            if span.is_empty() && next.is_err() {
                silence.pass(now(), engine, records, &mut emit);
            } else {
                silence = Silence { since: now(), clock: span.clock() };
            }
            for batch in next.into_iter().chain(self.full.try_iter()) {
                span.add(batch, now()).into_iter().for_each(|empty| self.give_back(empty));
            }
            span.read(now(), is_last, engine, records, &mut emit, |batch| self.give_back(batch));
        }
        engine.advance(span.clock());
    }

    fn give_back(&self, batch: Batch) {
        // The dispatchers may be gone already; then nobody wants it back.
        let _ = self.empty.try_send(batch);
    }
}

/// Nothing comes.
#[derive(Default)]
struct Silence {
    /// By the time of day.
    since: Timestamp,
    /// Of the captures, when it began.
    clock: Timestamp,
}

impl Silence {
    /// Tells what has come to its end meanwhile. Captures hand over within [`SILENCE`] what they have, so that much of it may
    /// be none; and by what the time of day went on, for frames may be stamped by another clock.
    fn pass(
        &self,
        now: Timestamp,
        engine: &mut Engine,
        records: &mut Vec<Record>,
        mut emit: impl FnMut(&mut Engine, &mut Vec<Record>, Option<Timestamp>),
    ) {
        let passed = now.since(self.since).saturating_sub(SILENCE.as_nanos() as u64);
        if passed > 0 && self.clock.0 > 0 {
            engine.expire(Timestamp(self.clock.0.saturating_add(passed)), records);
            if !records.is_empty() {
                emit(engine, records, None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(octets: &[u8], number: u64) -> Frame<'_> {
        let at = PacketRef { time: Timestamp(number), input: 0, number };
        let original_len = octets.len() as u32;
        Frame { at, clock: at.time, link_type: LinkType::ETHERNET, octets, original_len, datagram: None }
    }

    #[test]
    fn frames_come_out_as_they_went_in() {
        let (mut dispatchers, feeds) = channels(1, 1, Overflow::Wait);
        let mut dispatcher = dispatchers.remove(0);
        let octets: Vec<Vec<u8>> = (0..600_usize).map(|len| vec![len as u8; len]).collect();
        for (number, octets) in octets.iter().enumerate() {
            dispatcher.push(&frame(octets, number as u64), None);
        }
        dispatcher.flush();
        drop(dispatcher);
        let mut seen = Vec::new();
        for batch in &feeds[0].full {
            seen.extend(batch.frames(0..batch.items.len()).map(|frame| (frame.at.number, frame.octets.to_vec())));
        }
        assert_eq!(seen.len(), 600);
        assert!(seen.iter().enumerate().all(|(at, (number, copy))| *number == at as u64 && *copy == octets[at]));
    }

    #[test]
    fn a_live_capture_drops_and_counts_when_the_worker_stands_still() {
        let (mut dispatchers, feeds) = channels(1, 1, Overflow::Drop);
        let mut dispatcher = dispatchers.remove(0);
        let pushed = (BATCHES * BATCH_FRAMES + 1000) as u64;
        for number in 0..pushed {
            dispatcher.push(&frame(&[0; 60], number), None);
        }
        dispatcher.flush();
        let dropped = dispatcher.dropped();
        drop(dispatcher);
        let kept: usize = feeds[0].full.iter().map(|batch| batch.items.len()).sum();
        assert_eq!(dropped + kept as u64, pushed);
        assert!(dropped > 0);
    }
}
