//! The file that a live capture writes to: one line, one `write`, at the file's end, so that no crash tears a line but
//! the one it interrupts, which the next start cuts away.
//!
//! Nothing here ends the run. What the disk does not take waits in memory up to a bound and is tried again with every
//! record and every second; a line that was written in part is cut away first. A file that was moved or removed is
//! opened anew. Time comes in as an argument. Older files are in `rotate`.

use super::gauges::OutputGauge;
use super::identity;
use super::rotate::{Archivist, Rotation, archive_name, day_of, take_after};
use super::waiting::{Rank, WAITING_OCTETS, Waiting};
use crate::ops::console::Level;
use crate::sink::torn::repair;
use crate::wire::Timestamp;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Between two looks at what became of the file, and two attempts to write what waits.
const SECOND_NS: u64 = 1_000_000_000;

/// Tells people a line of the log.
pub(super) type Tell = Arc<dyn Fn(Level, &str) + Send + Sync>;

/// How octets get into the file; tests have full disks.
type Put = Box<dyn FnMut(&File, &[u8]) -> io::Result<usize> + Send>;

/// A file that records are appended to while a capture goes on.
pub(super) struct LiveFile {
    path: PathBuf,
    /// Nothing while it cannot be opened.
    handle: Option<Handle>,
    rotation: Rotation,
    archivist: Option<Archivist>,
    waiting: Waiting,
    /// Octets at the file's end that begin a line which could not be finished and could not yet be cut away.
    torn: Vec<u8>,
    /// Writing fails: why it did the first time.
    trouble: Option<String>,
    /// Putting away fails: when it did last.
    not_rotated: Option<Timestamp>,
    /// When it was looked whether the path still leads to the file.
    looked: Timestamp,
    /// When what waits was tried.
    tried: Timestamp,
    gauge: Arc<OutputGauge>,
    tell: Tell,
    put: Put,
}

/// An open file.
struct Handle {
    file: File,
    identity: (u64, u64),
    /// As far as is known here; others may have cut it.
    octets: u64,
    /// On which it was written to last.
    day: u64,
}

impl LiveFile {
    /// Opens the file for appending, and makes its end the end of a line.
    ///
    /// # Errors
    ///
    /// It cannot be opened, another process writes to it, or its end is of no record: then it is some other file, which
    /// must not be cut.
    pub(super) fn open(path: &Path, rotation: Rotation, now: Timestamp, tell: Tell) -> io::Result<Self> {
        let mut file = Self {
            path: path.to_owned(),
            handle: None,
            rotation,
            archivist: None,
            waiting: Waiting::new(WAITING_OCTETS),
            torn: Vec::new(),
            trouble: None,
            not_rotated: None,
            looked: now,
            tried: now,
            gauge: Arc::default(),
            tell,
            put: Box::new(|mut file, octets| file.write(octets)),
        };
        file.handle = Some(file.opened(path)?);
        if rotation.is_compressed || rotation.keep.is_some() {
            let archivist = Archivist::start(rotation, Arc::clone(&file.tell))?;
            // What the run before could not finish.
            archivist.call(fs::canonicalize(path)?);
            file.archivist = Some(archivist);
        }
        Ok(file)
    }

    /// What is counted.
    pub(super) fn gauge(&self) -> Arc<OutputGauge> {
        Arc::clone(&self.gauge)
    }

    /// Takes a record, a whole line. Whether it is in the file now; if not, it waits.
    pub(super) fn write(&mut self, rank: Rank, line: &[u8], now: Timestamp) -> bool {
        self.look_each_second(now);
        if self.waiting.is_empty() {
            match self.append(line, now) {
                Ok(()) => return true,
                Err(error) => self.failed(&error),
            }
            self.waiting.push(rank, line);
        } else {
            self.waiting.push(rank, line);
            self.drain(now);
        }
        self.note_waiting();
        self.waiting.is_empty()
    }

    /// Does what is due: to be called each second or so, whether there are records or not.
    pub(super) fn tick(&mut self, now: Timestamp) {
        self.look_each_second(now);
        if !self.waiting.is_empty() && is_past(now, self.tried) {
            self.drain(now);
        }
        self.rotate_if_due(0, now);
    }

    /// Opens the path anew if it leads to another file by now, as after a move by another program.
    pub(super) fn reopen(&mut self, now: Timestamp) {
        self.looked = now;
        if let Some(handle) = &mut self.handle {
            match fs::metadata(&self.path) {
                Ok(found) if identity(&found) == handle.identity => {
                    handle.octets = found.len();
                    return;
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return,
                _ => {}
            }
        }
        // The former file is whole lines when it is left.
        let _ = self.mend();
        self.torn.clear();
        self.handle = None;
        match self.opened(&self.path) {
            Ok(handle) => {
                self.handle = Some(handle);
                OutputGauge::add(&self.gauge.reopened, 1);
                (self.tell)(Level::Debug, &format!("{} was opened anew", self.path.display()));
            }
            Err(error) => self.failed(&error),
        }
    }

    /// The capture is over. Says what could not be written.
    pub(super) fn finish(&mut self, now: Timestamp) -> Option<String> {
        self.look_each_second(now);
        self.drain(now);
        self.archivist = None;
        let (waiting, lost) = (self.waiting.len() as u64, self.waiting.lost().iter().sum::<u64>());
        (waiting + lost > 0).then(|| {
            let why = self.trouble.as_deref().unwrap_or("there was no room for a while");
            let records = crate::ops::counted(waiting + lost, "record");
            format!("writing {}: {records} could not be written ({why})", self.path.display())
        })
    }

    fn look_each_second(&mut self, now: Timestamp) {
        if is_past(now, self.looked) {
            self.reopen(now);
        }
    }

    /// Writes what waits, oldest first, as far as the disk takes it.
    fn drain(&mut self, now: Timestamp) {
        self.tried = now;
        while let Some(waiter) = self.waiting.pop() {
            if let Err(error) = self.append(&waiter.line, now) {
                self.waiting.put_back(waiter);
                self.failed(&error);
                break;
            }
        }
        self.note_waiting();
    }

    /// Appends a line whole, or leaves nothing of it behind.
    fn append(&mut self, line: &[u8], now: Timestamp) -> io::Result<()> {
        self.mend()?;
        self.rotate_if_due(line.len(), now);
        if self.handle.is_none() {
            self.handle = Some(self.opened(&self.path)?);
            OutputGauge::add(&self.gauge.reopened, 1);
        }
        let Some(handle) = &mut self.handle else { return Err(io::ErrorKind::NotFound.into()) };
        let mut done = 0;
        while done < line.len() {
            match (self.put)(&handle.file, &line[done..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(more) if more > 0 => done += more,
                failed => {
                    self.torn = line[..done].to_vec();
                    // Where that fails it is tried again before anything else is written.
                    let _ = self.mend();
                    return Err(failed.err().unwrap_or_else(|| io::ErrorKind::WriteZero.into()));
                }
            }
        }
        handle.octets += line.len() as u64;
        handle.day = day_of(now);
        OutputGauge::add(&self.gauge.written, 1);
        self.succeeded();
        Ok(())
    }

    /// Cuts away a line that was written in part.
    fn mend(&mut self) -> io::Result<()> {
        if let Some(handle) = self.handle.as_ref().filter(|_| !self.torn.is_empty()) {
            let octets = handle.file.metadata()?.len();
            // Only if it still stands at the end: others may have cut the file, or written to it.
            if let Some(whole) = octets.checked_sub(self.torn.len() as u64) {
                let mut end = vec![0; self.torn.len()];
                handle.file.read_exact_at(&mut end, whole)?;
                if end == self.torn {
                    handle.file.set_len(whole)?;
                }
            }
        }
        self.torn.clear();
        Ok(())
    }

    fn failed(&mut self, error: &io::Error) {
        OutputGauge::add(&self.gauge.failures, 1);
        if self.trouble.is_none() {
            let why = error.to_string();
            (self.tell)(
                Level::Warning,
                &format!(
                    "writing {}: {why}; records wait in memory, up to {} MiB, and are tried again each second",
                    self.path.display(),
                    WAITING_OCTETS / (1024 * 1024)
                ),
            );
            self.trouble = Some(why);
        }
    }

    /// A line was written. The trouble is over when none waits for it any more.
    fn succeeded(&mut self) {
        if self.trouble.is_none() || !self.waiting.is_empty() {
            return;
        }
        self.trouble = None;
        let lost = self.waiting.lost().iter().sum::<u64>();
        let said = if lost == 0 { "none lost".to_owned() } else { format!("{lost} lost since the start") };
        (self.tell)(
            Level::Notice,
            &format!("writing {} works again; records that waited are in it, {said}", self.path.display()),
        );
    }

    fn note_waiting(&self) {
        self.gauge.note_waiting(self.waiting.len() as u64, self.waiting.octets() as u64, self.waiting.lost());
    }

    fn rotate_if_due(&mut self, more: usize, now: Timestamp) {
        let Some(handle) = &mut self.handle else { return };
        let today = day_of(now);
        // The clock went back: the day that is to end is this one.
        handle.day = handle.day.min(today);
        let is_due = self.rotation.is_due(handle.octets, more, handle.day, today);
        if !is_due || self.not_rotated.is_some_and(|before| !is_past(now, before)) {
            return;
        }
        match self.mend().and_then(|()| self.rotate(now)) {
            Ok(()) => self.not_rotated = None,
            Err(error) => {
                OutputGauge::add(&self.gauge.failures, 1);
                if self.not_rotated.replace(now).is_none() {
                    let path = self.path.display();
                    (self.tell)(
                        Level::Warning,
                        &format!("putting {path} away: {error}; it grows on, and that is tried again"),
                    );
                }
            }
        }
    }

    /// Puts the file away under a name of its own and begins a new one.
    fn rotate(&mut self, now: Timestamp) -> io::Result<()> {
        // What a symbolic link leads to is put away, not the link.
        let target = fs::canonicalize(&self.path)?;
        let found = fs::metadata(&target)?;
        let Some(handle) = self.handle.as_ref().filter(|handle| handle.identity == identity(&found)) else {
            // Somebody else has put it away.
            self.reopen(now);
            return Ok(());
        };
        let archive = archive_name(&target, now)?;
        let former = handle.file.metadata()?;
        fs::rename(&target, &archive)?;
        match self.opened(&target) {
            Ok(fresh) => {
                take_after(&fresh.file, &former);
                self.handle = Some(fresh);
                OutputGauge::add(&self.gauge.rotations, 1);
                (self.tell)(Level::Debug, &format!("{} was put away", archive.display()));
                if let Some(archivist) = &self.archivist {
                    archivist.call(target);
                }
                Ok(())
            }
            Err(error) => {
                // Nothing was written meanwhile: back to where it was. If that fails as well the file is open still,
                // and is looked for within a second.
                if fs::symlink_metadata(&target).is_err() {
                    let _ = fs::rename(&archive, &target);
                }
                Err(error)
            }
        }
    }

    /// Opens a file of records, new or old, for this process alone.
    fn opened(&self, path: &Path) -> io::Result<Handle> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        // Where a file system has no locks, nothing is known of others.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(io::Error::other("another process writes to it; name another file with -o"));
        }
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no regular file any more"));
        }
        let cut = repair(&file, metadata.len())?;
        if cut > 0 {
            OutputGauge::add(&self.gauge.repaired_octets, cut);
            (self.tell)(
                Level::Warning,
                &format!(
                    "{}: the last line was not whole, as after a crash; its {} were cut away",
                    path.display(),
                    crate::ops::counted(cut, "octet")
                ),
            );
        }
        let written = u64::try_from(metadata.mtime()).unwrap_or_default().saturating_mul(SECOND_NS);
        Ok(Handle {
            identity: identity(&metadata),
            octets: metadata.len() - cut,
            day: day_of(Timestamp(written)),
            file,
        })
    }
}

/// A second has passed, or the clock went back.
fn is_past(now: Timestamp, before: Timestamp) -> bool {
    now < before || now.since(before) >= SECOND_NS
}

#[cfg(test)]
#[path = "file/tests.rs"]
pub(super) mod tests;
