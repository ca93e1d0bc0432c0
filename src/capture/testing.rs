//! For the tests of this module: builders of capture files, and their frames as owned values.

#![allow(clippy::unwrap_used, reason = "a failing test says where")]

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Access, FileSet, Problem};
use crate::wire::Frame;

/// A frame that has left its window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) time: u64,
    pub(super) clock: u64,
    pub(super) input: u32,
    pub(super) number: u64,
    pub(super) link_type: u16,
    pub(super) original_len: u32,
    pub(super) octets: Vec<u8>,
}

/// A file that is removed with its handle.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn path() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("barewire-capture-{}-{number}", std::process::id())))
    }

    pub(super) fn file(octets: &[u8]) -> Self {
        let scratch = Self::path();
        fs::write(&scratch.0, octets).unwrap();
        scratch
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Everything that comes out of a set of files, whichever way they are read.
pub(super) fn read(files: &[PathBuf]) -> (Vec<Owned>, Vec<Problem>) {
    let [mapped, others @ ..] = [
        (Access::Map, drain as fn(&mut FileSet) -> Vec<Owned>),
        (Access::Map, drain_together),
        (Access::Read, drain),
        (Access::Read, drain_together),
    ]
    .map(|(access, drain)| {
        let mut set = FileSet::open(files, access);
        let frames = drain(&mut set);
        (frames, set.problems().to_vec())
    });
    for other in others {
        assert_eq!(other, mapped, "each way of reading gives the same");
    }
    mapped
}

pub(super) fn drain(set: &mut FileSet) -> Vec<Owned> {
    let mut frames = Vec::new();
    while let Some(frame) = set.next_frame() {
        frames.push(owned(&frame));
    }
    frames
}

fn drain_together(set: &mut FileSet) -> Vec<Owned> {
    let mut all = Vec::new();
    while let Some(frames) = set.next_frames() {
        let before = all.len();
        all.extend(frames.iter().map(|frame| owned(&frame)));
        assert!(frames.count() > 0 && all.len() as u64 == before as u64 + frames.count());
    }
    all
}

fn owned(frame: &Frame<'_>) -> Owned {
    Owned {
        time: frame.at.time.0,
        clock: frame.clock.0,
        input: frame.at.input,
        number: frame.at.number,
        link_type: frame.link_type.0,
        original_len: frame.original_len,
        octets: frame.octets.to_vec(),
    }
}

pub(super) fn read_octets(octets: &[u8]) -> (Vec<Owned>, Vec<Problem>) {
    let file = Scratch::file(octets);
    let (frames, mut problems) = read(std::slice::from_ref(&file.0));
    for problem in &mut problems {
        problem.path = "file".into();
    }
    (frames, problems)
}

pub(super) fn frames_of(octets: &[u8]) -> Vec<Owned> {
    read_octets(octets).0
}

pub(super) fn problem_of(octets: &[u8]) -> Option<Problem> {
    let mut problems = read_octets(octets).1;
    assert!(problems.len() <= 1, "{problems:?}");
    problems.pop()
}

/// What a classic file is like.
pub(super) struct Pcap {
    pub(super) big_endian: bool,
    pub(super) magic: u32,
    pub(super) network: u32,
}

impl Default for Pcap {
    fn default() -> Self {
        Self { big_endian: false, magic: 0xa1b2_c3d4, network: 1 }
    }
}

impl Pcap {
    /// Records of seconds, fraction and octets.
    pub(super) fn write(&self, records: &[(u32, u32, &[u8])]) -> Vec<u8> {
        let word = |w: u32| if self.big_endian { w.to_be_bytes() } else { w.to_le_bytes() };
        let version = if self.big_endian { [0, 2, 0, 4] } else { [2, 0, 4, 0] };
        let mut octets = [word(self.magic), version].concat();
        octets.extend([0, 0, 262_144, self.network].iter().flat_map(|w| word(*w)));
        for (seconds, fraction, data) in records {
            let len = data.len() as u32;
            octets.extend([*seconds, *fraction, len, len].iter().flat_map(|w| word(*w)));
            if self.magic == 0xa1b2_cd34 {
                octets.extend([0xee; 8]);
            }
            octets.extend(*data);
        }
        octets
    }
}

/// A classic file with one record for each time, in seconds, whose octets are `name`.
pub(super) fn at_seconds(name: &[u8], seconds: &[u32]) -> Vec<u8> {
    let records: Vec<_> = seconds.iter().map(|s| (*s, 0, name)).collect();
    Pcap::default().write(&records)
}

/// A pcapng file, block by block; the first section is there from the start.
pub(super) struct Ng {
    pub(super) octets: Vec<u8>,
    big_endian: bool,
}

impl Ng {
    pub(super) fn new(big_endian: bool) -> Self {
        let mut file = Self { octets: Vec::new(), big_endian };
        file.section(big_endian);
        file
    }

    fn word(&self, word: u32) -> [u8; 4] {
        if self.big_endian { word.to_be_bytes() } else { word.to_le_bytes() }
    }

    fn half(&self, half: u16) -> [u8; 2] {
        if self.big_endian { half.to_be_bytes() } else { half.to_le_bytes() }
    }

    pub(super) fn long(&self, long: i64) -> [u8; 8] {
        if self.big_endian { long.to_be_bytes() } else { long.to_le_bytes() }
    }

    /// A block of any type; the body is padded to four octets.
    pub(super) fn block(&mut self, kind: u32, body: &[u8]) -> &mut Self {
        let length = self.word(12 + body.len().next_multiple_of(4) as u32);
        let kind = self.word(kind);
        self.octets.extend([kind, length].concat());
        self.octets.extend(body);
        self.octets.resize(self.octets.len().next_multiple_of(4), 0);
        self.octets.extend(length);
        self
    }

    pub(super) fn section(&mut self, big_endian: bool) -> &mut Self {
        self.big_endian = big_endian;
        let mut body = self.word(0x1a2b_3c4d).to_vec();
        body.extend([self.half(1), self.half(0)].concat());
        body.extend([0xff; 8]);
        self.block(0x0a0d_0d0a, &body)
    }

    pub(super) fn interface(&mut self, link_type: u16, snaplen: u32, options: &[(u16, &[u8])]) -> &mut Self {
        let mut body = [self.half(link_type), [0, 0]].concat();
        body.extend(self.word(snaplen));
        for (code, value) in options {
            body.extend([self.half(*code), self.half(value.len() as u16)].concat());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        if !options.is_empty() {
            body.extend([0; 4]);
        }
        self.block(1, &body)
    }

    pub(super) fn packet(&mut self, interface: u32, units: u64, data: &[u8]) -> &mut Self {
        let interface = self.word(interface);
        self.any_packet(6, interface, units, data)
    }

    pub(super) fn obsolete(&mut self, interface: u16, units: u64, data: &[u8]) -> &mut Self {
        let [a, b] = self.half(interface);
        self.any_packet(2, [a, b, 0xff, 0xff], units, data)
    }

    pub(super) fn simple(&mut self, original_len: u32, data: &[u8]) -> &mut Self {
        let body = [&self.word(original_len), data].concat();
        self.block(3, &body)
    }

    fn any_packet(&mut self, kind: u32, interface: [u8; 4], units: u64, data: &[u8]) -> &mut Self {
        let len = self.word(data.len() as u32);
        let mut body = interface.to_vec();
        body.extend([self.word((units >> 32) as u32), self.word(units as u32), len, len].concat());
        body.extend(data);
        self.block(kind, &body)
    }
}
