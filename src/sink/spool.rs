//! Records on disk until a receiver has confirmed them: segments that are only appended to, each record with its length and
//! checksum, and a file that says up to where all are settled.
//!
//! A crash leaves at most a torn record at the end, which the next start cuts away. A damaged record ends its segment:
//! what follows in it is given up and counted, and the next segment goes on. Only records are in it, so no secrets are;
//! it is readable for its owner alone all the same.

use super::{Bounds, Parcel};
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What stands first in a segment; another version will have another.
const MAGIC: &[u8; 8] = b"bwspool1";
/// Length and checksum before each record, both 32 bits, the least octet first.
const HEAD: usize = 8;
/// No record is longer; a length beyond it is damage.
const LONGEST: usize = 64 * 1024;
/// Octets of a segment after which the next is begun, at most.
const SEGMENT: u64 = 64 << 20;
/// A spool is so many segments at least: giving up the oldest is not giving up all.
const SEGMENTS: u64 = 8;

/// What is done when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest segment is given up.
    DropOldest,
    /// What comes is given up.
    DropNewest,
    /// Whoever puts it in waits.
    Block,
}

/// What a record is worth when room runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    /// Given up from three quarters on: a connection.
    Least,
    /// Given up from seven eighths on: a login attempt, whose finding tells of it.
    Less,
    /// A finding.
    Most,
}

/// How a spool is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its folder; made if it is not there.
    pub folder: PathBuf,
    /// Octets on disk at most.
    pub limit: u64,
    /// What is done beyond them.
    pub when_full: WhenFull,
}

/// What is in a spool, and what became of what was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that wait.
    pub records: u64,
    /// Octets on disk.
    pub octets: u64,
    /// Records given up because there was no room.
    pub dropped: u64,
    /// Records given up because the disk had damaged them.
    pub damaged: u64,
    /// Octets of torn records that were cut away when it was opened.
    pub torn: u64,
}

/// Whether a record is in the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is.
    Kept,
    /// It was given up, and counted.
    Dropped,
}

/// A spool, for whoever puts records in and for whoever takes them out.
#[derive(Clone)]
pub struct Spool {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Something came, or nothing will any more.
    came: Condvar,
    /// Room came.
    went: Condvar,
}

struct State {
    options: Options,
    /// Oldest first; the last is appended to.
    segments: VecDeque<Segment>,
    tail: Arc<File>,
    /// Of the next record.
    next: u64,
    /// All before it are settled.
    settled: u64,
    cursor: Cursor,
    counts: Counts,
    /// Records from and to which damage has taken, not settled yet.
    holes: Vec<(u64, u64)>,
    /// Why a segment could not be read.
    trouble: Option<io::Error>,
    has_unsynced: bool,
    is_closed: bool,
    /// Held as long as the spool is.
    _lock: File,
}

struct Segment {
    /// The number of its first record.
    first: u64,
    octets: u64,
}

/// Where is read next.
struct Cursor {
    /// The record's number.
    number: u64,
    /// The segment that is open, by its first record, and where in it.
    open: Option<(u64, File, u64)>,
}

impl Spool {
    /// Opens a spool, new or old.
    ///
    /// # Errors
    ///
    /// The folder cannot be made or read, or another process has it. Damage in it is no error.
    pub fn open(options: Options) -> io::Result<Self> {
        // Whoever it is given to must be able to pass through folders that are made on the way.
        if let Some(above) = options.folder.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o711).create(above)?;
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&options.folder)?;
        let lock = private().create(true).truncate(false).open(options.folder.join("lock"))?;
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            return Err(io::Error::other("another process uses this spool"));
        }
        let mut segments = segments(&options.folder)?;
        let settled = read_settled(&options.folder);
        let mut counts = Counts::default();
        let (next, tail) = match segments.back_mut() {
            None => begin(&options.folder, settled.unwrap_or(0), &mut segments)?,
            Some(last) => {
                let file = private().read(true).append(true).open(segment_path(&options.folder, last.first))?;
                let (records, whole) = scan(&file, last.octets)?;
                counts.torn = last.octets - whole;
                file.set_len(whole)?;
                (&file).seek(SeekFrom::End(0))?;
                last.octets = whole;
                (last.first + records, file)
            }
        };
        let oldest = segments.front().map_or(next, |segment| segment.first);
        // Without its file, or with one that is of another spool: sent twice rather than not at all.
        let settled = settled.filter(|settled| *settled <= next).unwrap_or(oldest).max(oldest);
        counts.octets = segments.iter().map(|segment| segment.octets).sum();
        counts.records = next - settled;
        let mut state = State {
            cursor: Cursor { number: settled, open: None },
            options,
            segments,
            tail: Arc::new(tail),
            next,
            settled,
            counts,
            holes: Vec::new(),
            has_unsynced: false,
            trouble: None,
            is_closed: false,
            _lock: lock,
        };
        if state.tail.metadata()?.len() < MAGIC.len() as u64 {
            state.tail.set_len(0)?;
            (&*state.tail).write_all(MAGIC)?;
            let octets = MAGIC.len() as u64;
            state.segments.back_mut().into_iter().for_each(|last| last.octets = octets);
        }
        state.remove_settled();
        let shared = Shared { state: Mutex::new(state), came: Condvar::new(), went: Condvar::new() };
        Ok(Self { shared: Arc::new(shared) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a record in: a line without its line feed. With [`WhenFull::Block`] waits until there is room.
    ///
    /// # Errors
    ///
    /// The disk does not take it; nothing of it is left behind.
    pub fn put(&self, worth: Worth, line: &[u8]) -> io::Result<Put> {
        let mut state = self.state();
        let octets = (HEAD + line.len()) as u64;
        loop {
            match state.room_for(worth, octets) {
                Room::Enough => break,
                Room::None => {
                    state.counts.dropped += 1;
                    return Ok(Put::Dropped);
                }
                Room::Wait => {
                    state = self.shared.went.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
        state.append(line)?;
        self.shared.came.notify_all();
        Ok(Put::Kept)
    }

    /// Makes what was put in outlast a power cut.
    ///
    /// # Errors
    ///
    /// The disk says that it cannot.
    pub fn sync(&self) -> io::Result<()> {
        let file = {
            let mut state = self.state();
            if !std::mem::take(&mut state.has_unsynced) {
                return Ok(());
            }
            Arc::clone(&state.tail)
        };
        file.sync_data()
    }

    /// Nothing will be put in any more: who waits for more need not.
    pub fn close(&self) {
        self.state().is_closed = true;
        self.shared.came.notify_all();
        self.shared.went.notify_all();
    }

    /// The oldest records that wait, as many as fit; where there is none, waits for one so long. They stay in until they
    /// are settled; what was taken is not given again.
    #[must_use]
    pub fn take(&self, bounds: Bounds, wait: Duration) -> Vec<Parcel> {
        let mut state = self.state();
        if state.cursor.number >= state.next && !state.is_closed {
            let is_idle = |state: &mut State| state.cursor.number >= state.next && !state.is_closed;
            state = match self.shared.came.wait_timeout_while(state, wait, is_idle) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        let mut parcels: Vec<Parcel> = Vec::new();
        let mut octets = 0;
        while parcels.len() < bounds.records {
            let Some(parcel) = state.read(bounds.octets.saturating_sub(octets), parcels.is_empty()) else { break };
            octets += parcel.line.len();
            parcels.push(parcel);
        }
        parcels
    }

    /// Why nothing could be taken although there is something; told once.
    #[must_use]
    pub fn trouble(&self) -> Option<io::Error> {
        self.state().trouble.take()
    }

    /// All records before this number are done with.
    ///
    /// # Errors
    ///
    /// That could not be noted: they would be given again after a new start.
    pub fn settle(&self, before: u64) -> io::Result<()> {
        let mut state = self.state();
        state.settled = state.settled.max(before.min(state.next));
        state.settle_holes();
        let written = write_settled(&state.options.folder, state.settled);
        state.remove_settled();
        self.shared.went.notify_all();
        written
    }

    /// What is in it now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Octets on disk at most.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.state().options.limit
    }

    /// Nothing waits, and nothing will come.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let state = self.state();
        state.is_closed && state.settled >= state.next
    }

    /// Nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts().records == 0
    }
}

enum Room {
    Enough,
    None,
    Wait,
}

impl State {
    /// Makes room where that may be done.
    fn room_for(&mut self, worth: Worth, octets: u64) -> Room {
        let limit = self.options.limit;
        let bound = match worth {
            Worth::Least => limit / 4 * 3,
            Worth::Less => limit / 8 * 7,
            Worth::Most => limit,
        };
        // Only what is given up for want of room has to stand back.
        let bound = if self.options.when_full == WhenFull::Block { limit } else { bound };
        loop {
            if self.counts.octets + octets <= bound {
                return Room::Enough;
            }
            match self.options.when_full {
                // Once nothing more is taken out, waiting has no end.
                WhenFull::Block if !self.is_closed => return Room::Wait,
                WhenFull::DropOldest if worth == Worth::Most && self.segments.len() > 1 => self.drop_oldest(),
                _ => return Room::None,
            }
        }
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.segments.pop_front() else { return };
        let end = self.segments.front().map_or(self.next, |next| next.first);
        self.counts.dropped += end.saturating_sub(self.settled.max(oldest.first));
        self.counts.octets -= oldest.octets;
        self.settled = self.settled.max(end);
        self.cursor.number = self.cursor.number.max(end);
        self.counts.records = self.next - self.settled;
        let _ = fs::remove_file(segment_path(&self.options.folder, oldest.first));
        let _ = write_settled(&self.options.folder, self.settled);
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if line.len() > LONGEST {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut record = Vec::with_capacity(HEAD + line.len());
        record.extend_from_slice(&(line.len() as u32).to_le_bytes());
        record.extend_from_slice(&crc32c(line).to_le_bytes());
        record.extend_from_slice(line);
        let whole = self.segments.back().map_or(0, |last| last.octets);
        if whole + record.len() as u64 > self.segment_octets() && whole > MAGIC.len() as u64 {
            self.tail.sync_data()?;
            let before = self.segments.len();
            let (_, tail) = begin(&self.options.folder, self.next, &mut self.segments)?;
            self.tail = Arc::new(tail);
            self.counts.octets += self.segments.iter().skip(before).map(|new| new.octets).sum::<u64>();
        }
        let whole = self.segments.back().map_or(0, |last| last.octets);
        if let Err(error) = (&*self.tail).write_all(&record) {
            // Where that fails as well the next record is written behind what is torn, which ends the segment for readers:
            // so a new one is begun.
            if self.tail.set_len(whole).is_err()
                && let Ok((_, tail)) = begin(&self.options.folder, self.next, &mut self.segments)
            {
                self.tail = Arc::new(tail);
            }
            return Err(error);
        }
        self.next += 1;
        self.has_unsynced = true;
        self.segments.back_mut().into_iter().for_each(|last| last.octets += record.len() as u64);
        self.counts.octets += record.len() as u64;
        self.counts.records = self.next - self.settled;
        Ok(())
    }

    fn segment_octets(&self) -> u64 {
        SEGMENT.min(self.options.limit / SEGMENTS)
    }

    /// The next record, if its line has no more than so many octets or must come anyway.
    fn read(&mut self, octets: usize, must_come: bool) -> Option<Parcel> {
        while self.cursor.number < self.next {
            let number = self.cursor.number;
            let at = self.segments.partition_point(|segment| segment.first <= number).checked_sub(1)?;
            let first = self.segments[at].first;
            let end = self.segments.get(at + 1).map_or(self.next, |next| next.first);
            match self.read_in(first, number, octets, must_come) {
                Ok(Some(line)) => {
                    self.cursor.number += 1;
                    return Some(Parcel { number, line });
                }
                Ok(None) => return None,
                // It is there, and cannot be had now: no right, no descriptor, a disk that is away.
                Err(error) if !is_damage(&error) => {
                    self.trouble = Some(error);
                    return None;
                }
                Err(_) => {
                    // The rest of the segment cannot be told from damage.
                    self.counts.damaged += end - number;
                    self.cursor = Cursor { number: end, open: None };
                    self.holes.push((number, end));
                    self.settle_holes();
                }
            }
        }
        None
    }

    fn read_in(&mut self, first: u64, number: u64, octets: usize, must_come: bool) -> io::Result<Option<Box<[u8]>>> {
        if self.cursor.open.as_ref().is_none_or(|(open, ..)| *open != first) {
            let file = File::open(segment_path(&self.options.folder, first))?;
            let mut at = MAGIC.len() as u64;
            let mut magic = [0; MAGIC.len()];
            file.read_exact_at(&mut magic, 0)?;
            if magic != *MAGIC {
                return Err(io::ErrorKind::InvalidData.into());
            }
            for _ in first..number {
                at += HEAD as u64 + read_head(&file, at)?.0 as u64;
            }
            self.cursor.open = Some((first, file, at));
        }
        let Some((_, file, at)) = &mut self.cursor.open else { return Ok(None) };
        let (len, crc) = read_head(file, *at)?;
        if len > octets && !must_come {
            return Ok(None);
        }
        let mut line = vec![0; len];
        file.read_exact_at(&mut line, *at + HEAD as u64)?;
        if crc32c(&line) != crc {
            return Err(io::ErrorKind::InvalidData.into());
        }
        *at += (HEAD + len) as u64;
        Ok(Some(line.into()))
    }

    /// What damage has taken is settled once all before it is.
    fn settle_holes(&mut self) {
        while let Some(at) = self.holes.iter().position(|(from, _)| *from <= self.settled) {
            let (_, end) = self.holes.swap_remove(at);
            self.settled = self.settled.max(end);
        }
        self.counts.records = self.next - self.settled;
    }

    /// Removes segments all of whose records are settled, but never the one that is written.
    fn remove_settled(&mut self) {
        while self.segments.get(1).is_some_and(|second| second.first <= self.settled) {
            let Some(done) = self.segments.pop_front() else { return };
            self.counts.octets -= done.octets;
            let _ = fs::remove_file(segment_path(&self.options.folder, done.first));
        }
    }
}

/// Whether the disk has other octets than were written, or none.
fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

fn segment_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.spool"))
}

/// The segments of a folder, oldest first.
fn segments(folder: &Path) -> io::Result<VecDeque<Segment>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let first = name.to_str().and_then(|name| name.strip_suffix(".spool")).and_then(|name| name.parse().ok());
        if let Some(first) = first {
            found.push(Segment { first, octets: entry.metadata()?.len() });
        }
    }
    found.sort_by_key(|segment| segment.first);
    Ok(found.into())
}

/// Begins a segment with that record.
fn begin(folder: &Path, first: u64, segments: &mut VecDeque<Segment>) -> io::Result<(u64, File)> {
    let path = segment_path(folder, first);
    let mut file = private().create_new(true).read(true).append(true).open(&path)?;
    if let Err(error) = file.write_all(MAGIC) {
        let _ = fs::remove_file(path);
        return Err(error);
    }
    sync_folder(folder);
    segments.push_back(Segment { first, octets: MAGIC.len() as u64 });
    Ok((first, file))
}

/// Where that is not possible nothing is lost but the certainty.
fn sync_folder(folder: &Path) {
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
}

/// Whole records of a segment, and the octets up to the end of the last.
fn scan(mut file: &File, octets: u64) -> io::Result<(u64, u64)> {
    let mut content = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(octets).read_to_end(&mut content)?;
    if !content.starts_with(MAGIC) {
        return Ok((0, 0));
    }
    let (mut records, mut at) = (0, MAGIC.len());
    while let Some((head, rest)) = content[at..].split_at_checked(HEAD) {
        let (len, crc) = parse_head(head);
        match rest.get(..len) {
            Some(line) if len <= LONGEST && crc32c(line) == crc => at += HEAD + len,
            _ => break,
        }
        records += 1;
    }
    Ok((records, at as u64))
}

fn read_head(file: &File, at: u64) -> io::Result<(usize, u32)> {
    let mut head = [0; HEAD];
    file.read_exact_at(&mut head, at)?;
    let (len, crc) = parse_head(&head);
    if len > LONGEST { Err(io::ErrorKind::InvalidData.into()) } else { Ok((len, crc)) }
}

fn parse_head(head: &[u8]) -> (usize, u32) {
    let word = |at: usize| head[at..at + 4].iter().rev().fold(0, |word, octet| word << 8 | u32::from(*octet));
    (word(0) as usize, word(4))
}

const SETTLED: &str = "settled";

fn read_settled(folder: &Path) -> Option<u64> {
    fs::read_to_string(folder.join(SETTLED)).ok()?.trim().parse().ok()
}

/// Replaces the file whole: whoever reads it reads one number or the other.
fn write_settled(folder: &Path, settled: u64) -> io::Result<()> {
    let new = folder.join("settled.new");
    let mut file = private().create(true).truncate(true).open(&new)?;
    file.write_all(format!("{settled}\n").as_bytes())?;
    file.sync_data()?;
    fs::rename(new, folder.join(SETTLED))?;
    sync_folder(folder);
    Ok(())
}

/// The remainders of all octets: RFC 3720 §12.1's polynomial, its bits from the least.
const CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut rest = at as u32;
        let mut bit = 0;
        while bit < 8 {
            rest = if rest & 1 == 1 { rest >> 1 ^ 0x82f6_3b78 } else { rest >> 1 };
            bit += 1;
        }
        table[at] = rest;
        at += 1;
    }
    table
};

fn crc32c(octets: &[u8]) -> u32 {
    !octets.iter().fold(!0, |rest, octet| rest >> 8 ^ CRC[usize::from(rest as u8 ^ octet)])
}

#[cfg(test)]
#[path = "spool/tests.rs"]
mod tests;
