//! Decompression beside the reading thread: gzip with many members, zstd with many frames.
//!
//! Chunks travel over a bounded channel and come back empty, so memory is fixed: four chunks of 256 KiB
//! and the decoder's own state, for each compressed input that is being read. It leaves out other
//! compressions, dictionaries, and zstd windows above 128 MiB, which the decoder refuses.

use std::io::{self, BufRead, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use zeroize::Zeroizing;

use super::source::BUFFER_OCTETS;

/// Enough that neither side waits for the other's next step.
const CHUNKS: usize = 4;

/// Compressed octets read at once.
const COMPRESSED_OCTETS: usize = 128 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    /// RFC 1952 2.3.1; RFC 8878 3.1.1 and 3.1.2 (a zstd file may begin with a skippable frame).
    pub(crate) fn detect(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    /// For a problem: what was being done when reading failed.
    pub(super) fn doing(self) -> &'static str {
        match self {
            Self::Gzip => "gzip decompression",
            Self::Zstd => "zstd decompression",
        }
    }

    /// What `compressed` holds, decompressed here or on a thread of its own.
    ///
    /// # Errors
    /// When the system gives no thread or the decoder no memory.
    pub(crate) fn open(self, compressed: Box<dyn Read + Send>, thread: bool) -> io::Result<Box<dyn Read + Send>> {
        let compressed =
            Compressed { inner: compressed, buffer: Zeroizing::new(vec![0; COMPRESSED_OCTETS]), at: 0, end: 0 };
        let decoder: Box<dyn Read + Send> = match self {
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(compressed)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(compressed)?),
        };
        let decoder = Box::new(Wiped(Some(decoder)));
        if thread { on_own_thread(decoder) } else { Ok(decoder) }
    }
}

/// A decoder whose memory is wiped when it is dropped: zlib and zstd keep the literals of the last blocks and free them
/// as they are. Only the allocator can wipe what is not ours; glibc's does when asked, and another's does not.
struct Wiped(Option<Box<dyn Read + Send>>);

impl Read for Wiped {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.as_mut().map_or(Ok(0), |decoder| decoder.read(out))
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        /// Of two decoders that end at once, the first would end the other's wiping.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        fill_what_is_freed(true);
        self.0 = None;
        fill_what_is_freed(false);
    }
}

/// Whether the allocator overwrites each piece that is freed, in all threads. It passes over pieces below about 1 KiB,
/// which neither decoder has for octets of the capture.
fn fill_what_is_freed(fill: bool) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes numbers only, and holds the allocator's own lock; a piece's content has no meaning once it is freed.
    unsafe {
        libc::mallopt(libc::M_PERTURB, i32::from(fill));
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = fill;
}

/// What a `BufReader` does, with a buffer that is wiped: in what hardly can be compressed a password stands as it is.
struct Compressed {
    inner: Box<dyn Read + Send>,
    buffer: Zeroizing<Vec<u8>>,
    /// What was read and not yet taken.
    at: usize,
    end: usize,
}

impl BufRead for Compressed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.end {
            (self.at, self.end) = (0, self.inner.read(&mut self.buffer)?);
        }
        Ok(&self.buffer[self.at..self.end])
    }

    fn consume(&mut self, octets: usize) {
        self.at = (self.at + octets).min(self.end);
    }
}

impl Read for Compressed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}

/// Counts what is read through it, for a progress bar on another thread.
pub(super) struct Counted<R> {
    pub(super) inner: R,
    pub(super) octets: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.octets.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Octets that were decompressed; wiped when the input is at its end.
type Chunk = Zeroizing<Vec<u8>>;

/// The reading end of a decoder that runs on a thread of its own.
struct Chunks {
    full: Receiver<io::Result<Chunk>>,
    empty: Sender<Chunk>,
    chunk: Chunk,
    pos: usize,
    ended: bool,
}

/// Moves `decoder` to a thread of its own, which ends when the input does or the reader is dropped.
///
/// # Errors
/// When the system gives no thread.
fn on_own_thread(decoder: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let (full_in, full) = bounded(CHUNKS);
    let (empty, empty_out) = bounded(CHUNKS);
    for _ in 0..CHUNKS {
        let _ = empty.send(Zeroizing::new(vec![0; BUFFER_OCTETS]));
    }
    thread::Builder::new().name("inflate".into()).spawn(move || decode(decoder, &empty_out, &full_in))?;
    Ok(Box::new(Chunks { full, empty, chunk: Chunk::default(), pos: 0, ended: false }))
}

/// One read of the decoder is one chunk: a slow pipe is not held back until a chunk is full.
fn decode(mut decoder: Box<dyn Read + Send>, empty: &Receiver<Chunk>, full: &Sender<io::Result<Chunk>>) {
    for mut chunk in empty {
        chunk.resize(BUFFER_OCTETS, 0);
        let result = loop {
            match decoder.read(&mut chunk) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        let last = !matches!(result, Ok(1..));
        let message = result.map(|read| {
            chunk.truncate(read);
            chunk
        });
        if full.send(message).is_err() || last {
            return;
        }
    }
}

impl Read for Chunks {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.pos == self.chunk.len() && !self.ended {
            self.next_chunk()?;
        }
        let rest = self.chunk.get(self.pos..).unwrap_or(&[]);
        let n = rest.len().min(out.len());
        out[..n].copy_from_slice(&rest[..n]);
        self.pos += n;
        Ok(n)
    }
}

impl Chunks {
    /// An empty chunk is the end. A channel that closes without one is a decoder that panicked, which
    /// must not pass for the end of the input.
    fn next_chunk(&mut self) -> io::Result<()> {
        let gone = || io::Error::other("the decoder ended without a word");
        let chunk = self.full.recv().unwrap_or_else(|_| Err(gone()))?;
        self.ended = chunk.is_empty();
        self.pos = 0;
        let used = std::mem::replace(&mut self.chunk, chunk);
        if used.capacity() > 0 {
            let _ = self.empty.try_send(used);
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test says where")]
mod tests {
    use super::*;

    #[test]
    fn a_megabyte_comes_through_in_order() {
        let octets: Vec<u8> = (0..3_000_000u32).map(|i| (i ^ (i >> 8)) as u8).collect();
        let mut reader = on_own_thread(Box::new(io::Cursor::new(octets.clone()))).unwrap();
        let mut got = Vec::new();
        reader.read_to_end(&mut got).unwrap();
        assert!(got == octets);
        assert_eq!(reader.read(&mut [0; 9]).unwrap(), 0, "the end stays the end");
    }

    #[test]
    fn a_decoder_that_panics_is_an_error_and_no_end() {
        struct Bad;
        impl Read for Bad {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                panic!("expected in this test")
            }
        }
        let mut reader = on_own_thread(Box::new(Bad)).unwrap();
        assert!(reader.read(&mut [0; 9]).is_err());
    }

    #[test]
    fn dropping_the_reader_ends_the_thread() {
        struct Endless(Arc<AtomicU64>);
        impl Read for Endless {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                Ok(out.len())
            }
        }
        impl Drop for Endless {
            fn drop(&mut self) {
                self.0.store(1, Ordering::SeqCst);
            }
        }
        let dropped = Arc::new(AtomicU64::new(0));
        drop(on_own_thread(Box::new(Endless(Arc::clone(&dropped)))).unwrap());
        for _ in 0..500 {
            if dropped.load(Ordering::SeqCst) == 1 {
                return;
            }
            thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("the decoder still runs");
    }
}
