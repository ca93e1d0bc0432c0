//! A window onto the octets of one input: a memory map, or a buffer that a reader fills.
//!
//! The formats ask for `need(n)` octets and look at them in place; on a map, and in a buffer that holds
//! them already, that is one comparison. It leaves out formats and decompression.
//!
//! Honest gap: a mapped file that another process truncates while it is read ends this process with
//! SIGBUS. Input that may shrink is better read, as one thread does, or piped in.

use std::io::{self, Read};
use std::sync::Arc;

use memmap2::{Mmap, UncheckedAdvice};
use zeroize::Zeroizing;

use super::{MAX_RECORD, Stop};

/// One refill from a pipe or a decompressor, in octets: small enough to stay in the second-level cache.
pub(super) const BUFFER_OCTETS: usize = 256 * 1024;

/// The most that may be asked for at once: the largest frame behind the longest header of a record. The
/// buffer grows to the next power of two at most.
pub(super) const MAX_NEED: usize = MAX_RECORD + 64;

/// Of a map, what is kept in this process behind the walk, for those who were handed places there; and how
/// much is let go at a time.
const WINDOW_OCTETS: usize = 16 * 1024 * 1024;

/// How far ahead of the walk memory is fetched, and how many lines of it for each record. The next record
/// is found only through the last, so the walk waits for memory at every step unless something asked
/// early. A line for each record is worth nothing, more than eight not more than these.
#[cfg(target_arch = "x86_64")]
const PREFETCH_OCTETS: usize = 1536;
#[cfg(target_arch = "x86_64")]
const PREFETCH_LINES: usize = 6;

enum Store {
    Map {
        map: Arc<Mmap>,
        released: usize,
    },
    /// Wiped in the end, for it holds what clients sent.
    Buffer {
        buffer: Zeroizing<Vec<u8>>,
        reader: Box<dyn Read + Send>,
        doing: &'static str,
    },
}

/// Invariant: `pos <= limit <= window.len()`; what lies in `pos..limit` can be looked at without waiting.
pub(super) struct Source {
    store: Store,
    pos: usize,
    limit: usize,
    /// Where in the input the window begins, in octets.
    base: u64,
    /// What lies in the window must stay there for now.
    is_pinned: bool,
}

impl Source {
    pub(super) fn mapped(map: Arc<Mmap>) -> Self {
        Self { store: Store::Map { map, released: 0 }, pos: 0, limit: 0, base: 0, is_pinned: false }
    }

    /// `doing` says in a problem what failed, such as "reading" or "gzip decompression".
    pub(super) fn reading(reader: Box<dyn Read + Send>, doing: &'static str) -> Self {
        let buffer = Zeroizing::new(vec![0; BUFFER_OCTETS]);
        Self { store: Store::Buffer { buffer, reader, doing }, pos: 0, limit: 0, base: 0, is_pinned: false }
    }

    /// Keeps the window where it is: what would move it is told to come later. A map never moves.
    pub(super) fn pin(&mut self, is_pinned: bool) {
        self.is_pinned = is_pinned && matches!(self.store, Store::Buffer { .. });
    }

    /// Octets from the start of the input to the next unread one.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.pos as u64
    }

    /// The place in the window of the next unread octet.
    pub(super) fn pos(&self) -> usize {
        self.pos
    }

    #[inline]
    pub(super) fn window(&self) -> &[u8] {
        match &self.store {
            Store::Map { map, .. } => map,
            Store::Buffer { buffer, .. } => buffer,
        }
    }

    /// The unread octets at hand; at least `n` of them after `need(n)`.
    #[inline]
    pub(super) fn unread(&self) -> &[u8] {
        self.window().get(self.pos..self.limit).unwrap_or(&[])
    }

    /// The first `N` unread octets; zeros in place of what was not asked for with [`Self::need`].
    #[inline]
    pub(super) fn peek<const N: usize>(&self) -> [u8; N] {
        self.unread().first_chunk().copied().unwrap_or([0; N])
    }

    /// Makes `n` octets available, the first of a record or block that begins at the unread octet.
    #[inline]
    pub(super) fn begin(&mut self, n: usize) -> Result<(), Stop> {
        if self.limit - self.pos >= n { Ok(()) } else { self.begin_slowly(n) }
    }

    /// Makes `n` octets available inside a record that began at the unread octet.
    #[inline]
    pub(super) fn need(&mut self, n: usize) -> Result<(), Stop> {
        if self.limit - self.pos >= n { Ok(()) } else { self.need_slowly(n) }
    }

    /// Steps over octets that are at hand.
    #[inline]
    pub(super) fn consume(&mut self, n: usize) {
        self.pos = (self.pos + n).min(self.limit);
    }

    /// Asks the memory for what will be walked over soon. Nothing on a processor without a stable way.
    #[inline]
    pub(super) fn prefetch(&self) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let ahead = self.window().as_ptr().wrapping_add(self.pos + PREFETCH_OCTETS);
            for line in 0..PREFETCH_LINES {
                // SAFETY: a prefetch gives the program nothing and never faults, whatever the address.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(64 * line).cast()) };
            }
        }
    }

    /// Steps over `n` octets without holding them; a fault at `record` if the input ends before.
    pub(super) fn skip(&mut self, n: u64, record: u64) -> Result<(), Stop> {
        if self.is_pinned && n > (self.limit - self.pos) as u64 {
            return Err(Stop::Later);
        }
        let mut left = n;
        loop {
            let at_hand = ((self.limit - self.pos) as u64).min(left);
            self.pos += at_hand as usize;
            left -= at_hand;
            if left == 0 {
                return Ok(());
            }
            if let Store::Map { map, .. } = &self.store {
                let rest = (map.len() - self.pos) as u64;
                self.pos += rest.min(left) as usize;
                self.limit = self.limit.max(self.pos);
                return if rest < left { Err(cut(record)) } else { Ok(()) };
            }
            if self.fill(1).map_err(|what| Stop::fault(self.offset(), what))? == 0 {
                return Err(cut(record));
            }
        }
    }

    /// Of a finished map, only the address space stays: a thousand files one after the other must not add up.
    pub(super) fn let_go(self) {
        if let Store::Map { map, mut released } = self.store {
            release(&map, &mut released, map.len());
        }
    }

    #[cold]
    fn begin_slowly(&mut self, n: usize) -> Result<(), Stop> {
        if self.is_pinned {
            return Err(Stop::Later);
        }
        match self.fill(n) {
            Ok(0) => Err(Stop::End),
            Ok(have) if have < n => Err(cut(self.offset())),
            Ok(_) => Ok(()),
            Err(what) => Err(Stop::fault(self.offset(), what)),
        }
    }

    #[cold]
    fn need_slowly(&mut self, n: usize) -> Result<(), Stop> {
        match self.begin_slowly(n) {
            Err(Stop::End) => Err(cut(self.offset())),
            other => other,
        }
    }

    /// Tries to have `n` octets at hand; says how many there are, fewer only at the end of the input.
    fn fill(&mut self, n: usize) -> Result<usize, String> {
        debug_assert!(n <= MAX_NEED);
        match &mut self.store {
            Store::Map { map, released } => {
                release(map, released, self.pos.saturating_sub(WINDOW_OCTETS));
                self.limit = self.pos.saturating_add(n.max(WINDOW_OCTETS)).min(map.len());
            }
            Store::Buffer { buffer, reader, doing } => {
                buffer.copy_within(self.pos..self.limit, 0);
                self.base += self.pos as u64;
                self.limit -= self.pos;
                self.pos = 0;
                if n > buffer.len() {
                    let mut larger = Zeroizing::new(vec![0; n.next_power_of_two()]);
                    larger[..self.limit].copy_from_slice(&buffer[..self.limit]);
                    *buffer = larger;
                }
                while self.limit < n {
                    match reader.read(&mut buffer[self.limit..]) {
                        Ok(0) => break,
                        Ok(read) => self.limit += read,
                        Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                        Err(e) => return Err(format!("{doing} failed: {e}")),
                    }
                }
            }
        }
        Ok(self.limit - self.pos)
    }
}

/// `record`: where it begins, in octets from the start of the input.
#[cold]
fn cut(record: u64) -> Stop {
    let place = if record == 0 { "the file header" } else { "a record" };
    Stop::fault(record, format!("cut off in the middle of {place}"))
}

/// Takes the pages in `released..to` out of this process, so that its size does not grow with the file.
fn release(map: &Mmap, released: &mut usize, to: usize) {
    if to > *released {
        // SAFETY: the map is shared and only read: a page that is touched again comes back from the file
        // with the same octets.
        let _ = unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, *released, to - *released) };
        *released = to;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test says where")]
mod tests {
    use super::*;

    /// Gives one octet at a time, then an error if `fails`.
    struct Drip(Vec<u8>, bool);

    impl Read for Drip {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return if self.1 { Err(io::Error::other("gone")) } else { Ok(0) };
            }
            out[0] = self.0.remove(0);
            Ok(1)
        }
    }

    fn drip(octets: &[u8], fails: bool) -> Source {
        Source::reading(Box::new(Drip(octets.to_vec(), fails)), "reading")
    }

    #[test]
    fn a_trickling_reader_gives_the_same_octets() {
        let mut source = drip(b"abcdefgh", false);
        source.begin(3).unwrap();
        assert_eq!(&source.peek::<3>(), b"abc");
        source.consume(3);
        source.skip(2, 0).unwrap();
        source.need(3).unwrap();
        assert_eq!((source.unread(), source.offset()), (&b"fgh"[..], 5));
        source.consume(3);
        assert!(matches!(source.begin(1), Err(Stop::End)));
    }

    #[test]
    fn an_end_inside_a_record_is_a_fault_at_its_start() {
        let mut source = drip(b"abc", false);
        source.skip(1, 0).unwrap();
        assert!(matches!(source.begin(9), Err(Stop::Fault(f)) if f.offset == Some(1)));
        assert!(matches!(source.skip(9, 1), Err(Stop::Fault(f)) if f.offset == Some(1)));
    }

    #[test]
    fn an_error_of_the_reader_comes_through() {
        let mut source = drip(b"abc", true);
        match source.begin(9) {
            Err(Stop::Fault(fault)) => assert_eq!((fault.offset, &fault.what[..]), (Some(0), "reading failed: gone")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_buffer_grows_to_one_record_and_no_further() {
        let mut source = Source::reading(Box::new(io::repeat(7)), "reading");
        for _ in 0..5 {
            source.need(MAX_NEED).unwrap();
            source.consume(MAX_NEED - 1);
        }
        assert_eq!(source.window().len(), 2 * BUFFER_OCTETS);
    }
}
