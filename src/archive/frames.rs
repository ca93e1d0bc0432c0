//! Octets as frames of zstd (RFC 8878 §3.1.1), each of 128 KiB of content but the last and with a checksum of it, which whoever
//! reads it compares. So no frame needs another, and each is made from memory into memory: a stream of zstd's own would
//! copy all of it twice more, and most of what a map does beside reading is to copy.

use super::{damaged, mixed};
use std::io::{self, BufRead, Read, Write};
use zeroize::Zeroizing;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{CParameter, compress_bound, find_frame_compressed_size};

/// Octets of content in a frame: as many as a block may have (RFC 8878 §3.1.1.2.4).
const CONTENT: usize = 128 * 1024;

/// Frames that are read at once, or else what is left of them would be moved to the front too often.
const TOGETHER: usize = 3;

/// Speed before size: what a map writes is read once, and most of it is encrypted or mail. At this level long repetitions
/// alone are found; one of -8 takes a fifth more time for map and reduce, and leaves a third less.
const LEVEL: i32 = -1000;

/// Octets of the checksum at the end of a frame.
const CHECKSUM: usize = 4;

/// What tells a file from another: how many octets it has, and the checksums of all its frames, in their order, as one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Octets of the file.
    pub octets: u64,
    checksums: u64,
}

impl Sum {
    fn add(&mut self, frame: &[u8]) {
        self.octets += frame.len() as u64;
        let checksum = frame.last_chunk::<CHECKSUM>().map_or(0, |octets| u32::from_le_bytes(*octets));
        self.checksums = mixed(self.checksums, checksum.into());
    }

    /// The checksums, in hexadecimal digits.
    #[must_use]
    pub fn checksum(&self) -> String {
        format!("{:016x}", self.checksums)
    }
}

/// Writes content.
pub(super) struct FrameWriter<W> {
    out: W,
    sum: Sum,
    compressor: Compressor<'static>,
    content: Zeroizing<Vec<u8>>,
    frame: Zeroizing<Vec<u8>>,
    is_begun: bool,
}

impl<W: Write> FrameWriter<W> {
    /// To `out`.
    pub(super) fn new(out: W) -> io::Result<Self> {
        let mut compressor = Compressor::new(LEVEL)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        let content = Zeroizing::new(Vec::with_capacity(CONTENT));
        let frame = Zeroizing::new(Vec::with_capacity(compress_bound(CONTENT)));
        Ok(Self { out, sum: Sum::default(), compressor, content, frame, is_begun: false })
    }

    /// Writes what is left; at least a frame of nothing. Gives back where to, and what came of it.
    pub(super) fn finish(mut self) -> io::Result<(W, Sum)> {
        if !self.content.is_empty() || !self.is_begun {
            self.send()?;
        }
        Ok((self.out, self.sum))
    }

    fn send(&mut self) -> io::Result<()> {
        self.is_begun = true;
        self.frame.clear();
        self.compressor.compress_to_buffer(&self.content, &mut *self.frame)?;
        self.content.clear();
        self.sum.add(&self.frame);
        self.out.write_all(&self.frame)
    }
}

impl<W: Write> Write for FrameWriter<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.content.len() == CONTENT {
            self.send()?;
        }
        let taken = octets.len().min(CONTENT - self.content.len());
        self.content.extend_from_slice(&octets[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads content. A frame with more of it than are written here is refused.
pub(super) struct FrameReader {
    input: Box<dyn Read + Send>,
    decompressor: Decompressor<'static>,
    frames: Zeroizing<Vec<u8>>,
    begin: usize,
    end: usize,
    content: Zeroizing<Vec<u8>>,
    at: usize,
    sum: Sum,
}

impl FrameReader {
    /// What `input` holds.
    pub(super) fn new(input: Box<dyn Read + Send>) -> io::Result<Self> {
        Ok(Self {
            input,
            decompressor: Decompressor::new()?,
            frames: Zeroizing::new(vec![0; TOGETHER * compress_bound(CONTENT)]),
            begin: 0,
            end: 0,
            content: Zeroizing::new(Vec::with_capacity(CONTENT)),
            at: 0,
            sum: Sum::default(),
        })
    }

    /// The octets that were consumed last. None, if they are not of one frame, or another was read since.
    pub(super) fn behind(&self, octets: usize) -> &[u8] {
        let from = self.at.checked_sub(octets);
        from.and_then(|from| self.content.get(from..self.at)).unwrap_or_default()
    }

    /// What was read so far.
    pub(super) fn sum(&self) -> Sum {
        self.sum
    }

    /// So much of it as `out` has room for.
    pub(super) fn fill(&mut self, out: &mut [u8]) -> io::Result<()> {
        self.read_exact(out).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged("it is cut off"),
            _ => error,
        })
    }

    /// `false` at the end.
    fn next_frame(&mut self) -> io::Result<bool> {
        loop {
            let there = &self.frames[self.begin..self.end];
            if let Ok(len) = find_frame_compressed_size(there) {
                self.at = 0;
                self.content.clear();
                let content = self.decompressor.decompress_to_buffer(&there[..len], &mut *self.content);
                content.map_err(|error| damaged(&error.to_string()))?;
                self.sum.add(&there[..len]);
                self.begin += len;
                return Ok(true);
            }
            self.frames.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
            if self.end == self.frames.len() {
                return Err(damaged("a frame of zstd that is too large"));
            }
            match self.input.read(&mut self.frames[self.end..]) {
                Ok(0) if self.end == 0 => return Ok(false),
                Ok(0) => return Err(damaged("it is cut off")),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl BufRead for FrameReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.content.len() && self.next_frame()? {}
        Ok(&self.content[self.at..])
    }

    fn consume(&mut self, octets: usize) {
        self.at += octets;
    }
}

impl Read for FrameReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test says where")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives a few octets at a time, as a connection may.
    struct Slowly(io::Cursor<Vec<u8>>);

    impl Read for Slowly {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let some = out.len().min(7001);
            self.0.read(&mut out[..some])
        }
    }

    fn written(content: &[u8]) -> Vec<u8> {
        let mut writer = FrameWriter::new(Vec::new()).unwrap();
        writer.write_all(content).unwrap();
        writer.finish().unwrap().0
    }

    fn read(octets: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        FrameReader::new(Box::new(Slowly(io::Cursor::new(octets))))?.read_to_end(&mut content)?;
        Ok(content)
    }

    fn made(len: usize) -> Vec<u8> {
        (0..len).map(|at| ((at * at) >> 7) as u8).collect()
    }

    #[test]
    fn content_of_any_length_comes_out_again_and_zstd_reads_it_too() {
        for len in [0, 1, CONTENT - 1, CONTENT, CONTENT + 1, 5 * CONTENT + 77] {
            let octets = written(&made(len));
            assert!(!octets.is_empty());
            assert_eq!(zstd::decode_all(&octets[..]).unwrap(), made(len));
            assert!(read(octets).unwrap() == made(len), "{len}");
        }
    }

    #[test]
    fn another_octet_anywhere_is_another_sum() {
        let sums = |content: &[u8]| {
            let mut writer = FrameWriter::new(Vec::new()).unwrap();
            writer.write_all(content).unwrap();
            let (octets, written) = writer.finish().unwrap();
            let mut reader = FrameReader::new(Box::new(io::Cursor::new(octets))).unwrap();
            io::copy(&mut reader, &mut io::sink()).unwrap();
            assert_eq!(reader.sum(), written);
            written
        };
        let mut content = made(3 * CONTENT);
        content[7] = 7;
        let whole = sums(&content);
        for at in [0, CONTENT, 2 * CONTENT + 5] {
            let mut other = content.clone();
            other[at] ^= 1;
            assert_ne!(sums(&other).checksum(), whole.checksum(), "{at}");
        }
        // The same frames in another order.
        let turned: Vec<u8> = content.rchunks(CONTENT).flatten().copied().collect();
        assert_ne!(sums(&turned).checksum(), whole.checksum());
    }

    #[test]
    fn what_is_cut_off_or_changed_is_told() {
        let octets = written(&made(2 * CONTENT));
        let first = find_frame_compressed_size(&octets).unwrap();
        for cut in [1, 5, first - 1, first + 1, octets.len() - 1] {
            assert!(read(octets[..cut].to_vec()).is_err(), "{cut}");
        }
        // At the end of a frame zstd sees nothing wrong: what is inside has its own end.
        assert_eq!(read(octets[..first].to_vec()).unwrap(), made(CONTENT));
        for at in [0, 10, first / 2, first - 2, first + 3, octets.len() - 1] {
            let mut changed = octets.clone();
            changed[at] ^= 0x10;
            assert!(read(changed).is_err(), "{at}");
        }
    }

    #[test]
    fn no_frame_takes_more_memory_than_those_that_are_written() {
        // Of nothing but zeros, which take hardly any room until they are read.
        let bomb = zstd::encode_all(&vec![0; 64 * CONTENT][..], 19).unwrap();
        assert!(bomb.len() < 4096);
        assert!(read(bomb).unwrap_err().to_string().contains("Destination buffer is too small"));
        let large = zstd::encode_all(&made(8 * CONTENT)[..], LEVEL).unwrap();
        assert!(read(large).is_err());
    }

    proptest! {
        #[test]
        fn no_octets_bring_it_down(mut octets: Vec<u8>, at: prop::sample::Index, other: Vec<u8>) {
            drop(read(octets.clone()));
            let mut whole = written(&octets);
            let place = at.index(whole.len());
            whole.splice(place..place, other);
            drop(read(whole));
            octets.splice(0..0, [0x28, 0xb5, 0x2f, 0xfd]);
            drop(read(octets));
        }
    }
}
