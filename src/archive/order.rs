//! Packets of many captures as one, in the order in which a replay of all of them reads them: by time, those of one time in
//! the order of the captures, and of one capture in its own order, whatever its clock says.
//!
//! A replay compares the next frames of the captures. That comes to the same as to compare the clock of each, the latest
//! time in it so far: a frame behind the clock of its capture comes at once after the frame that had set it. So the order
//! is known from the clocks of those packets that were kept. Files are opened when their time comes, so that of each capture
//! of one time up to four are open.

use super::facts::LeftOutReader;
use super::frames::Sum;
use super::parts::PartReader;
use crate::engine::LeftOut;
use crate::wire::{Frame, Timestamp};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Read};

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Packets of the partition.
    Packets,
    /// More of them, which were held back for a while.
    Handshakes,
    /// Fragments, of all partitions.
    Fragments,
    /// What was left out after a packet.
    LeftOut,
}

/// Where something stands in the order of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Of its capture.
    pub clock: Timestamp,
    /// Index of the capture.
    pub input: u32,
    /// The packet's number.
    pub number: u64,
    /// What was left out comes after the packet.
    pub kind: Kind,
}

/// A file that is read when its time comes.
pub struct Source {
    /// Where it begins.
    pub first: Place,
    /// Its name, for an error.
    pub name: String,
    /// Packets, or what was left out, that were read of it; and octets of packets.
    pub read: [u64; 2],
    /// What it was, once it was read to its end.
    pub sum: Sum,
    reader: Option<Reader>,
    left_out: Option<LeftOut>,
}

enum Reader {
    Part(Box<PartReader>),
    LeftOut(Box<LeftOutReader>),
}

/// One thing in its turn.
pub enum Next<'a> {
    /// A packet from a file of that kind: a fragment is perhaps of another partition.
    Packet(Kind, Frame<'a>),
    /// What was left out of the capture with that index.
    LeftOut(u32, LeftOut),
}

impl Source {
    /// A file that begins there.
    #[must_use]
    pub fn new(first: Place, name: String) -> Self {
        Self { first, name, read: [0; 2], sum: Sum::default(), reader: None, left_out: None }
    }
}

/// Many files as one.
pub struct Order<F> {
    sources: Vec<Source>,
    heap: BinaryHeap<Reverse<(Place, usize)>>,
    /// The source that was read last.
    current: Option<usize>,
    open: F,
}

impl<F: FnMut(&str) -> io::Result<Box<dyn Read + Send>>> Order<F> {
    /// Of these files, which `open` opens by their names.
    #[must_use]
    pub fn new(sources: Vec<Source>, open: F) -> Self {
        let heap = sources.iter().enumerate().map(|(at, source)| Reverse((source.first, at))).collect();
        Self { sources, heap, current: None, open }
    }

    /// All files, with what was read of them so far.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The next thing over all files; `None` when all have ended.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or is not what it should be: its name and why.
    pub fn next_one(&mut self) -> Result<Option<Next<'_>>, (String, io::Error)> {
        let Some(at) = self.advance()? else { return Ok(None) };
        let source = &mut self.sources[at];
        source.read[0] += 1;
        if let Some(Reader::Part(part)) = &source.reader {
            source.read[1] += part.frame().octets.len() as u64;
        }
        Ok(match (&source.reader, source.left_out) {
            (Some(Reader::Part(part)), _) => Some(Next::Packet(source.first.kind, part.frame())),
            (_, Some(left_out)) => Some(Next::LeftOut(source.first.input, left_out)),
            (_, None) => None,
        })
    }

    /// The source whose turn it is, stepped to what it has next.
    fn advance(&mut self) -> Result<Option<usize>, (String, io::Error)> {
        if let Some(at) = self.current {
            match self.step(at)? {
                // As long as no other is due, it stays.
                Some(place) if self.heap.peek().is_none_or(|Reverse(head)| (place, at) < *head) => return Ok(Some(at)),
                Some(place) => self.heap.push(Reverse((place, at))),
                None => {}
            }
            self.current = None;
        }
        let Some(Reverse((place, at))) = self.heap.pop() else { return Ok(None) };
        if self.sources[at].reader.is_none() && self.wake(at)? != Some(place) {
            let name = self.sources[at].name.clone();
            return Err((name, super::damaged("it does not begin where it should")));
        }
        self.current = Some(at);
        Ok(Some(at))
    }

    fn wake(&mut self, at: usize) -> Result<Option<Place>, (String, io::Error)> {
        let Source { name, first, .. } = &self.sources[at];
        let open = |input| -> io::Result<Reader> {
            Ok(match first.kind {
                Kind::LeftOut => Reader::LeftOut(Box::new(LeftOutReader::new(input)?)),
                Kind::Packets | Kind::Handshakes | Kind::Fragments => {
                    Reader::Part(Box::new(PartReader::new(input, first.input)?))
                }
            })
        };
        let reader = (self.open)(name).and_then(open).map_err(|error| (name.clone(), error))?;
        self.sources[at].reader = Some(reader);
        self.step(at)
    }

    /// Steps to what comes next; at the end, lets go of the file.
    fn step(&mut self, at: usize) -> Result<Option<Place>, (String, io::Error)> {
        let source = &mut self.sources[at];
        let Source { first: Place { input, kind, .. }, left_out, .. } = source;
        let (input, kind) = (*input, *kind);
        let stepped = match &mut source.reader {
            Some(Reader::Part(part)) => part.step().map(|is_there| {
                let frame = part.frame();
                is_there.then_some(Place { clock: frame.clock, input, number: frame.at.number, kind })
            }),
            Some(Reader::LeftOut(reader)) => reader.next_one().map(|next| {
                *left_out = next;
                next.map(|next| Place { clock: next.since, input, number: next.after, kind })
            }),
            None => Ok(None),
        };
        match stepped {
            Ok(None) => {
                source.sum = match source.reader.take() {
                    Some(Reader::Part(part)) => part.sum(),
                    Some(Reader::LeftOut(reader)) => reader.sum(),
                    None => source.sum,
                };
                Ok(None)
            }
            Ok(place) => Ok(place),
            Err(error) => Err((source.name.clone(), error)),
        }
    }
}
