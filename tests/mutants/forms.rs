//! Captures to spoil, and every form in which a capture may lie in a file: pcap of both byte orders and both units of time,
//! pcapng of both byte orders, snoop, each plain, by gzip or by zstd.

#[allow(dead_code, reason = "what must be found is looked at elsewhere")]
#[path = "../golden/script.rs"]
mod script;

use barewire::testing::{Link, Random, frames, snapped};
use script::Script;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Larger ones take time and show nothing more.
const LARGEST: usize = 96 * 1024;

/// A frame as it was captured.
#[derive(Clone)]
pub(crate) struct Frame {
    seconds: u32,
    nanos: u32,
    original: u32,
    pub(crate) octets: Vec<u8>,
}

/// A file that is spoiled, and its frames where it is one that the tests can read.
pub(crate) struct Source {
    pub(crate) octets: Vec<u8>,
    pub(crate) frames: Vec<Frame>,
    link_type: u32,
}

/// The bundled captures, those of the cases' dialogues, and those of the corpus where there is one.
pub(crate) fn sources(corpus: Option<&Path>) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut files = vec![root.join("office.pcap")];
    let mut sources = Vec::new();
    for case in listed(&root.join("cases")).into_iter().filter(|path| path.is_dir()) {
        let inside = listed(&case);
        files.extend(inside.iter().filter(|path| path.extension().is_some_and(|kind| kind == "pcap")).cloned());
        for dialogue in inside.iter().filter(|path| path.ends_with("dialogue.txt")) {
            let script = Script::read(dialogue);
            sources.push(Source::new(snapped(&frames(&script.packets(1460), Link::Ethernet), script.snap)));
        }
    }
    let folders = ["cases", "public/mail", "public/negative"];
    files.extend(corpus.into_iter().flat_map(|corpus| folders.map(|folder| listed(&corpus.join(folder))).concat()));
    files.retain(|path| path.extension().is_none_or(|kind| kind != "tsv"));
    files.retain(|path| fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() <= LARGEST as u64));
    sources.extend(files.iter().map(|path| Source::new(fs::read(path).expect("a capture"))));
    sources
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    // The order must be the same on every machine, for a seed names a place in it.
    paths.sort();
    paths
}

impl Source {
    fn new(octets: Vec<u8>) -> Self {
        let (link_type, frames) = classic(&octets).unwrap_or_default();
        Self { octets, frames, link_type }
    }

    /// Some of its frames, anew as a file of any form; `None` where it is none that can be read here.
    pub(crate) fn rewritten(&self, frames: &[Frame], random: &mut Random) -> Option<Vec<u8>> {
        if self.frames.is_empty() {
            return None;
        }
        let is_big = random.chance(50);
        Some(match random.below(4) {
            0 if self.link_type == 1 => snoop(frames),
            0 | 1 => pcapng(frames, self.link_type, is_big, random),
            _ => pcap(frames, self.link_type, is_big, random.chance(50)),
        })
    }
}

/// Link type and frames of a classic capture file.
fn classic(file: &[u8]) -> Option<(u32, Vec<Frame>)> {
    let magic: [u8; 4] = file.get(..4)?.try_into().ok()?;
    let (is_big, unit) = match magic {
        [0xd4, 0xc3, 0xb2, 0xa1] => (false, 1000),
        [0xa1, 0xb2, 0xc3, 0xd4] => (true, 1000),
        [0x4d, 0x3c, 0xb2, 0xa1] => (false, 1),
        [0xa1, 0xb2, 0x3c, 0x4d] => (true, 1),
        _ => return None,
    };
    let word = |at: usize| {
        let octets: [u8; 4] = file.get(at..at + 4)?.try_into().ok()?;
        Some(if is_big { u32::from_be_bytes(octets) } else { u32::from_le_bytes(octets) })
    };
    let mut frames = Vec::new();
    let mut at = 24;
    while let (Some(seconds), Some(part), Some(len), Some(original)) =
        (word(at), word(at + 4), word(at + 8), word(at + 12))
    {
        let Some(octets) = file.get(at + 16..at + 16 + len as usize) else { break };
        frames.push(Frame { seconds, nanos: part.wrapping_mul(unit), original, octets: octets.to_vec() });
        at += 16 + len as usize;
    }
    Some((word(20)? & 0xffff, frames))
}

/// Writes numbers in one byte order.
struct Writer {
    file: Vec<u8>,
    is_big: bool,
}

impl Writer {
    fn new(is_big: bool) -> Self {
        Self { file: Vec::new(), is_big }
    }

    fn words(&mut self, words: &[u32]) {
        for word in words {
            self.file.extend(if self.is_big { word.to_be_bytes() } else { word.to_le_bytes() });
        }
    }

    fn halves(&mut self, halves: &[u16]) {
        for half in halves {
            self.file.extend(if self.is_big { half.to_be_bytes() } else { half.to_le_bytes() });
        }
    }

    fn padded(&mut self, octets: &[u8]) {
        self.file.extend_from_slice(octets);
        self.file.resize(self.file.len().next_multiple_of(4), 0);
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        self.halves(&[code, value.len() as u16]);
        self.padded(value);
    }

    /// A block of pcapng: kind, length, body, length.
    fn block(&mut self, kind: u32, body: impl FnOnce(&mut Self)) {
        let mut inner = Self::new(self.is_big);
        body(&mut inner);
        let len = inner.file.len() as u32 + 12;
        self.words(&[kind, len]);
        self.file.extend(inner.file);
        self.words(&[len]);
    }
}

fn pcap(frames: &[Frame], link_type: u32, is_big: bool, is_nano: bool) -> Vec<u8> {
    let mut out = Writer::new(is_big);
    out.words(&[if is_nano { 0xa1b2_3c4d } else { 0xa1b2_c3d4 }]);
    out.halves(&[2, 4]);
    out.words(&[0, 0, 262_144, link_type]);
    for frame in frames {
        let part = if is_nano { frame.nanos } else { frame.nanos / 1000 };
        out.words(&[frame.seconds, part, frame.octets.len() as u32, frame.original]);
        out.file.extend_from_slice(&frame.octets);
    }
    out.file
}

/// A section or two, with the blocks and options that tools write.
fn pcapng(frames: &[Frame], link_type: u32, is_big: bool, random: &mut Random) -> Vec<u8> {
    let mut out = Writer::new(is_big);
    let is_nano = random.chance(50);
    let sections = 1 + usize::from(random.chance(20));
    for part in frames.chunks(frames.len().div_ceil(sections).max(1)) {
        out.block(0x0a0d_0d0a, |section| {
            section.words(&[0x1a2b_3c4d]);
            section.halves(&[1, 0]);
            section.words(&[u32::MAX, u32::MAX]);
            section.option(3, b"made for a test");
            section.option(0, b"");
        });
        out.block(1, |interface| {
            interface.halves(&[link_type as u16, 0]);
            interface.words(&[262_144]);
            interface.option(2, b"eth0");
            interface.option(9, &[if is_nano { 9 } else { 6 }]);
            interface.option(0, b"");
        });
        for frame in part {
            let nanos = u64::from(frame.seconds) * 1_000_000_000 + u64::from(frame.nanos);
            let time = if is_nano { nanos } else { nanos / 1000 };
            out.block(6, |packet| {
                packet.words(&[0, (time >> 32) as u32, time as u32, frame.octets.len() as u32, frame.original]);
                packet.padded(&frame.octets);
                if random.chance(10) {
                    packet.option(2, &[0, 0, 0, 1]);
                    packet.option(0, b"");
                }
            });
        }
        // Names, and statistics of the interface.
        out.block(4, |names| names.words(&[0]));
        out.block(5, |statistics| statistics.words(&[0, 0, 0]));
    }
    out.file
}

fn snoop(frames: &[Frame]) -> Vec<u8> {
    let mut out = Writer::new(true);
    out.file.extend_from_slice(b"snoop\0\0\0");
    out.words(&[2, 4]);
    for frame in frames {
        let len = frame.octets.len() as u32;
        out.words(&[frame.original, len, 24 + len.next_multiple_of(4), 0, frame.seconds, frame.nanos / 1000]);
        out.padded(&frame.octets);
    }
    out.file
}

/// As it is, by gzip in one member or two, or by zstd.
pub(crate) fn compressed(file: Vec<u8>, random: &mut Random) -> Vec<u8> {
    let gzip = |octets: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(octets).expect("compressed");
        out.finish().expect("compressed")
    };
    match random.below(6) {
        0 => {
            let (one, other) = file.split_at(random.below(file.len() + 1));
            [gzip(one), gzip(other)].concat()
        }
        1 => zstd::encode_all(&file[..], 1).expect("compressed"),
        _ => file,
    }
}
