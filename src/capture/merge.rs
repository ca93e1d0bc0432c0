//! Many inputs read as one capture: the frame with the earliest time stamp comes next.
//!
//! Inputs of the same time stamp come in the order given. An input whose own time stamps go backwards is
//! still read in its own order: only the next frame of each is ever compared. It leaves out sorting
//! within a file, which would need memory without a bound.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use memmap2::Mmap;

use super::input::{Access, Input, Wanted};
use super::{Problem, Record, Stop};
use crate::wire::{Frame, LinkType, PacketRef, Timestamp};

/// Capture files, pipes and standard input, read as one capture.
///
/// Memory is bounded for each input: a map takes address space and, while it is walked over, two
/// windows of 16 MiB; what is read, half a megabyte; a compressed file takes a thread, two megabytes and its
/// decoder's state. Only from its first frame to its last.
pub struct FileSet {
    names: Vec<String>,
    inputs: Vec<Lane>,
    /// The input that delivered last.
    current: Option<usize>,
    /// Time and index of the next record of every other input that still has one.
    waiting: BinaryHeap<Reverse<(u64, usize)>>,
    problems: Vec<Problem>,
    clock: u64,
    /// What [`Self::next_frames`] delivers.
    together: Vec<Placed>,
}

/// A record that lies still.
struct Placed {
    record: Record,
    number: u64,
    clock: u64,
}

/// Frames that are delivered together: enough that what is done for them at once is nothing for each.
const TOGETHER: usize = 256;

/// Frames of one input that lie in memory together.
pub struct Frames<'a> {
    input: &'a Input,
    index: u32,
    placed: &'a [Placed],
}

impl<'a> Frames<'a> {
    /// The frames, in their order.
    pub fn iter(&self) -> impl Iterator<Item = Frame<'a>> + Clone {
        let Self { input, index, placed } = *self;
        placed.iter().map(move |Placed { record, number, clock }| frame(input, record, index, *number, *clock))
    }

    /// How many. Never none.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.placed.len() as u64
    }
}

#[inline]
fn frame<'a>(input: &'a Input, record: &Record, index: u32, number: u64, clock: u64) -> Frame<'a> {
    Frame {
        at: PacketRef { time: Timestamp(record.time), input: index, number },
        clock: Timestamp(clock),
        link_type: LinkType(record.link_type),
        octets: input.octets(record),
        original_len: record.original_len,
        datagram: None,
    }
}

/// An input and how far it has been delivered.
struct Lane {
    input: Input,
    /// The record that was stepped to last: delivered last, or next while others come first.
    record: Record,
    /// Only glanced at: that record has to be stepped to once more.
    asleep: bool,
    /// Frames delivered.
    number: u64,
    /// Why there is no next record, when that was found while others were still to be delivered.
    stop: Option<Stop>,
}

impl Lane {
    /// Steps to the next record.
    #[inline]
    fn next(&mut self) -> Result<(), Stop> {
        match self.stop.take() {
            None => self.input.next(&mut self.record),
            Some(stop) => Err(stop),
        }
    }
}

impl FileSet {
    /// Opens everything and never fails: what can't be read is told by [`Self::problems`]. `-` is standard
    /// input. Opening a named pipe waits for its writer.
    #[must_use]
    pub fn open(paths: &[PathBuf], access: Access) -> Self {
        let several = paths.len() > 1;
        let wanted = if several { Wanted::Glance } else { Wanted::Everything };
        let mut set = Self {
            names: Vec::with_capacity(paths.len()),
            inputs: Vec::with_capacity(paths.len()),
            current: None,
            waiting: BinaryHeap::new(),
            problems: Vec::new(),
            clock: 0,
            together: Vec::new(),
        };
        for (index, path) in paths.iter().enumerate() {
            let (input, problem) = Input::open(path, wanted, access);
            set.names.push(input.name().to_owned());
            set.problems.extend(problem);
            set.inputs.push(Lane { input, record: Record::default(), asleep: false, number: 0, stop: None });
            if several {
                set.line_up(index);
            }
        }
        // A lone file is not looked into before it is asked for.
        set.current = if several { None } else { set.inputs.first().map(|_| 0) };
        set
    }

    /// One capture of that name, which lies wherever `reader` reads it.
    #[must_use]
    pub fn of_reader(name: &str, reader: Box<dyn Read + Send>) -> Self {
        let (input, problem) = Input::of_reader(name, reader);
        let lane = Lane { input, record: Record::default(), asleep: false, number: 0, stop: None };
        Self {
            names: vec![name.to_owned()],
            inputs: vec![lane],
            current: Some(0),
            waiting: BinaryHeap::new(),
            problems: problem.into_iter().collect(),
            clock: 0,
            together: Vec::new(),
        }
    }

    /// The paths as given, by the `input` of a frame.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The next frame over all inputs, or `None` when all have ended. Its octets stay where they are until
    /// the next call; those of a mapped file, as long as its map.
    #[inline]
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        self.next_with_map().map(|(frame, _)| frame)
    }

    /// The same, with the map its octets are a slice of if its input is a plain regular file: a thread that
    /// holds the map can be handed an offset instead of a copy.
    #[inline]
    pub fn next_with_map(&mut self) -> Option<(Frame<'_>, Option<&Arc<Mmap>>)> {
        let index = self.step()?;
        let lane = self.inputs.get_mut(index)?;
        lane.number += 1;
        self.clock = self.clock.max(lane.record.time);
        let frame = frame(&lane.input, &lane.record, index as u32, lane.number, self.clock);
        Some((frame, lane.input.map()))
    }

    /// The next frames over all inputs, as many as lie in memory together, or `None` when all have ended.
    pub fn next_frames(&mut self) -> Option<Frames<'_>> {
        let index = self.step()?;
        self.together.clear();
        let due = self.waiting.peek().map(|Reverse(head)| *head);
        let lane = self.inputs.get_mut(index)?;
        lane.input.pin(true);
        loop {
            lane.number += 1;
            self.clock = self.clock.max(lane.record.time);
            self.together.push(Placed { record: lane.record, number: lane.number, clock: self.clock });
            if self.together.len() >= TOGETHER {
                break;
            }
            match lane.next() {
                Ok(()) => {}
                Err(Stop::Later) => break,
                Err(stop) => {
                    lane.stop = Some(stop);
                    break;
                }
            }
            if due.is_some_and(|due| due < (lane.record.time, index)) {
                self.waiting.push(Reverse((lane.record.time, index)));
                self.current = None;
                break;
            }
        }
        lane.input.pin(false);
        let lane = self.inputs.get(index)?;
        Some(Frames { input: &lane.input, index: index as u32, placed: &self.together })
    }

    /// What could not be read so far: cut tails, lying lengths, files of another kind, failing
    /// decompression. At most one for each input.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The latest time stamp of what was handed over; 0 before the first frame.
    #[must_use]
    pub fn clock(&self) -> Timestamp {
        Timestamp(self.clock)
    }

    /// Octets consumed, and of how many if that is known: not for pipes. Compressed files count as they lie
    /// on disk.
    #[must_use]
    pub fn position(&self) -> (u64, Option<u64>) {
        let positions = self.inputs.iter().map(|lane| lane.input.position());
        positions.fold((0, Some(0)), |(consumed, total), (input_consumed, size)| {
            (consumed + input_consumed, total.zip(size).map(|(total, size)| total + size))
        })
    }

    /// The map of an input, if it is a plain regular file.
    #[cfg(test)]
    pub(super) fn map(&self, input: u32) -> Option<Arc<Mmap>> {
        self.inputs.get(input as usize)?.input.map().map(Arc::clone)
    }

    /// Steps the current input on; it stays the current one as long as no other is due. Gives the index of
    /// the input whose record comes next.
    #[inline]
    fn step(&mut self) -> Option<usize> {
        let Some(index) = self.current else { return self.change_over() };
        let lane = self.inputs.get_mut(index)?;
        if let Err(stop) = lane.next() {
            self.close(index, stop);
            return self.change_over();
        }
        match self.waiting.peek() {
            Some(Reverse(head)) if *head < (lane.record.time, index) => {
                self.park(index);
                self.change_over()
            }
            _ => Some(index),
        }
    }

    /// The earliest of the waiting inputs becomes the current one.
    #[cold]
    fn change_over(&mut self) -> Option<usize> {
        self.current = None;
        while let Some(Reverse((_, index))) = self.waiting.pop() {
            if self.is_awake(index) {
                self.current = Some(index);
                break;
            }
        }
        self.current
    }

    /// Steps once more to the first record of an input that was only glanced at. `false`: it can't be read
    /// a second time.
    fn is_awake(&mut self, index: usize) -> bool {
        let Some(lane) = self.inputs.get_mut(index) else { return false };
        if !std::mem::take(&mut lane.asleep) {
            return true;
        }
        match lane.input.wake().and_then(|()| lane.input.next(&mut lane.record)) {
            Ok(()) => true,
            Err(stop) => {
                self.close(index, stop);
                false
            }
        }
    }

    /// Looks at the first record of an input to know its turn.
    fn line_up(&mut self, index: usize) {
        let Some(lane) = self.inputs.get_mut(index) else { return };
        match lane.input.next(&mut lane.record) {
            Ok(()) => {
                lane.asleep = lane.input.sleep();
                self.park(index);
            }
            Err(stop) => self.close(index, stop),
        }
    }

    fn park(&mut self, index: usize) {
        if let Some(lane) = self.inputs.get(index) {
            self.waiting.push(Reverse((lane.record.time, index)));
        }
    }

    #[cold]
    fn close(&mut self, index: usize, stop: Stop) {
        if let Some(lane) = self.inputs.get_mut(index) {
            self.problems.extend(lane.input.finish(stop));
        }
    }
}
