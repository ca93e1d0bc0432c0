//! Old output files: when a file is put away, how it is called then, which are compressed and which removed.
//!
//! `FILE` becomes `FILE.20261129T014500.123456Z`, the time (UTC) at which it was put away. Names sort as the files came
//! to be, also when the clock went back, and no name is given twice. Compressed, `.zst` follows.
//!
//! What is to be done is read from the folder each time, never remembered: whatever a crash left half done is done
//! when the program runs again.

use super::file::Tell;
use crate::ops::console::Level;
use crate::ops::folder_of;
use crate::output::time_text;
use crate::wire::Timestamp;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread::{Builder, JoinHandle};

/// When an output file is put away, and what becomes of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Before it would grow beyond so many octets.
    pub size: Option<u64>,
    /// When a day (UTC) begins.
    pub is_daily: bool,
    /// Compressed with zstd once it was put away.
    pub is_compressed: bool,
    /// Of the files that were put away only the latest so many stay.
    pub keep: Option<usize>,
}

impl Rotation {
    /// Whether files are put away at all.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.size.is_some() || self.is_daily
    }

    /// Whether a file of `octets`, written to on `day` last, is put away before `more` octets are written `today`.
    pub(super) fn is_due(&self, octets: u64, more: usize, day: u64, today: u64) -> bool {
        let is_full = self.size.is_some_and(|size| octets.saturating_add(more as u64) > size);
        octets > 0 && (is_full || self.is_daily && today > day)
    }
}

const NANOS_A_SECOND: u64 = 1_000_000_000;
const SECONDS_A_DAY: u64 = 86_400;

/// The day, UTC, since 1970-01-01.
pub(super) fn day_of(time: Timestamp) -> u64 {
    time.0 / (SECONDS_A_DAY * NANOS_A_SECOND)
}

/// Letters of `20261129T014500.123456Z`.
const STAMP_LETTERS: usize = 23;
const COMPRESSED: &[u8] = b".zst";
/// Being compressed, or left over from that.
const HALF_COMPRESSED: &[u8] = b".zst.tmp";

/// The stamp in the name of a file put away at `time`.
fn stamp(time: Timestamp) -> String {
    time_text(time).replace(['-', ':'], "")
}

/// The time of a stamp; nothing where there is none.
fn time_of(stamp: &[u8]) -> Option<Timestamp> {
    let is_digit = |at: usize| !matches!(at, 8 | 15 | 22);
    let has_form = stamp.len() == STAMP_LETTERS
        && stamp.iter().enumerate().all(|(at, letter)| !is_digit(at) || letter.is_ascii_digit())
        && (stamp[8], stamp[15], stamp[22]) == (b'T', b'.', b'Z');
    if !has_form {
        return None;
    }
    let number =
        |from: usize, to: usize| stamp[from..to].iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    // Counted from 1 March, so that the leap day is the last of its year.
    let (year, month) = (number(0, 4), number(4, 6));
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + number(6, 8);
    let seconds =
        days.checked_sub(719_469)? * SECONDS_A_DAY + number(9, 11) * 3600 + number(11, 13) * 60 + number(13, 15);
    seconds.checked_mul(NANOS_A_SECOND)?.checked_add(number(16, 22) * 1000).map(Timestamp)
}

/// A name with letters after it.
fn with_suffix(path: &Path, suffix: &[u8]) -> PathBuf {
    let mut name = path.as_os_str().as_bytes().to_vec();
    name.extend_from_slice(suffix);
    PathBuf::from(OsString::from_vec(name))
}

/// Under which name `target` is put away at `now`: one that sorts behind all that there are.
///
/// # Errors
///
/// The folder cannot be read.
pub(super) fn archive_name(target: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let latest = archives(target)?.last_key_value().map(|(latest, _)| latest.0.saturating_add(1000));
    let name = with_suffix(target, format!(".{}", stamp(Timestamp(now.0.max(latest.unwrap_or_default())))).as_bytes());
    match fs::symlink_metadata(&name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(name),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} exists", name.display()))),
    }
}

/// The forms in which a file that was put away exists.
#[derive(Debug, Default)]
struct Forms {
    plain: Option<PathBuf>,
    compressed: Option<PathBuf>,
    half: Option<PathBuf>,
}

/// What was put away of `target`, by time.
fn archives(target: &Path) -> io::Result<BTreeMap<Timestamp, Forms>> {
    let base = target.file_name().unwrap_or_default();
    let mut found: BTreeMap<Timestamp, Forms> = BTreeMap::new();
    for entry in fs::read_dir(folder_of(target))? {
        let entry = entry?;
        let Some((time, rest)) = parse_name(&entry.file_name(), base) else { continue };
        let forms = found.entry(time);
        match rest.as_slice() {
            b"" => forms.or_default().plain = Some(entry.path()),
            COMPRESSED => forms.or_default().compressed = Some(entry.path()),
            HALF_COMPRESSED => forms.or_default().half = Some(entry.path()),
            _ => {}
        }
    }
    Ok(found)
}

/// The time in the name of a file that was put away, and what follows it.
fn parse_name(name: &OsStr, base: &OsStr) -> Option<(Timestamp, Vec<u8>)> {
    let rest = name.as_bytes().strip_prefix(base.as_bytes())?.strip_prefix(b".")?;
    let (stamp, rest) = rest.split_at_checked(STAMP_LETTERS)?;
    Some((time_of(stamp)?, rest.to_vec()))
}

/// Brings what was put away of `target` into the form that is wanted: removes what is too old, compresses the rest.
/// Gives what went wrong, one line each.
fn tidy(target: &Path, rotation: &Rotation) -> Vec<String> {
    let mut problems = Vec::new();
    let mut note = |what: &str, path: &Path, result: io::Result<()>| {
        if let Err(error) = result {
            problems.push(format!("{what} {}: {error}", path.display()));
        }
    };
    let found = match archives(target) {
        Ok(found) => found,
        Err(error) => return vec![format!("looking for older files of {}: {error}", target.display())],
    };
    let too_many = found.len().saturating_sub(rotation.keep.unwrap_or(usize::MAX));
    for (at, forms) in found.into_values().enumerate() {
        let Forms { plain, compressed, half } = forms;
        if let Some(half) = half {
            // Only ever left by a crash: compressing is done on one thread, by the one program that has the file.
            note("removing", &half, fs::remove_file(&half));
        }
        if at < too_many {
            plain.iter().chain(&compressed).for_each(|path| note("removing", path, fs::remove_file(path)));
        } else if let Some(plain) = plain.filter(|_| rotation.is_compressed) {
            let done = match compressed {
                None => compress(&plain),
                Some(compressed) => remove_if_said_twice(&plain, &compressed),
            };
            note("compressing", &plain, done);
        }
    }
    problems
}

/// A crash came between the compressed file and the removal of the plain one. The compressed one may be somebody
/// else's work, too, and not finished.
fn remove_if_said_twice(plain: &Path, compressed: &Path) -> io::Result<()> {
    // The decoder compares the checksum.
    let mut decoder = zstd::stream::read::Decoder::new(File::open(compressed)?)?;
    let octets = io::copy(&mut decoder, &mut io::sink())?;
    if octets != fs::metadata(plain)?.len() {
        return Err(io::Error::other(format!("{} is there and holds something else", compressed.display())));
    }
    fs::remove_file(plain)
}

/// zstd's own default: it leaves a twentieth of a file of login records.
const LEVEL: i32 = 3;

/// Replaces a file by its compressed form, which has its name only when it is whole and on the disk.
fn compress(plain: &Path) -> io::Result<()> {
    let (half, whole) = (with_suffix(plain, HALF_COMPRESSED), with_suffix(plain, COMPRESSED));
    let written = write_compressed(plain, &half).and_then(|()| fs::rename(&half, &whole));
    if written.is_err() {
        // The disk may be full: nothing half done stays there.
        let _ = fs::remove_file(&half);
    }
    written?;
    // Not before the new name is on the disk: after a power cut there would be neither.
    File::open(folder_of(plain))?.sync_all()?;
    fs::remove_file(plain)
}

fn write_compressed(plain: &Path, half: &Path) -> io::Result<()> {
    let mut from = File::open(plain)?;
    let metadata = from.metadata()?;
    let to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(half)?;
    take_after(&to, &metadata);
    let mut encoder = zstd::stream::write::Encoder::new(to, LEVEL)?;
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(Some(metadata.len()))?;
    io::copy(&mut from, &mut encoder)?;
    encoder.finish()?.sync_all()
}

/// Gives a new file the mode and, where that is allowed, the owner of the one in whose place it comes.
pub(super) fn take_after(file: &File, former: &fs::Metadata) {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    // The owner first, for a change of it takes bits of the mode away. Not allowed: it is this user's file, as any.
    let _ = fchown(file, Some(former.uid()), Some(former.gid()));
    let _ = file.set_permissions(former.permissions());
}

/// A thread that tidies what was put away.
pub(super) struct Archivist {
    /// One place: a call that finds it taken is answered by the one that waits there.
    calls: Option<Sender<PathBuf>>,
    thread: Option<JoinHandle<()>>,
}

impl Archivist {
    /// # Errors
    ///
    /// The system gives no thread.
    pub(super) fn start(rotation: Rotation, tell: Tell) -> io::Result<Self> {
        let (calls, called) = bounded(1);
        let work = move || tidy_when_called(&called, &rotation, &tell);
        let thread = Builder::new().name("archive".to_owned()).spawn(work)?;
        Ok(Self { calls: Some(calls), thread: Some(thread) })
    }

    /// There may be something to do about older files of `target`.
    pub(super) fn call(&self, target: PathBuf) {
        if let Some(calls) = &self.calls {
            // Ended by a fault, of which the fault's own line tells: the files stay as they are.
            let (Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) = calls.try_send(target);
        }
    }
}

impl Drop for Archivist {
    /// Waits until what it was called for is done.
    fn drop(&mut self) {
        drop(self.calls.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn tidy_when_called(called: &Receiver<PathBuf>, rotation: &Rotation, tell: &Tell) {
    yield_to_others();
    let mut told: Vec<String> = Vec::new();
    for target in called {
        let problems = tidy(&target, rotation);
        // The same trouble is told once, not at each call.
        problems.iter().filter(|problem| !told.contains(problem)).for_each(|problem| tell(Level::Warning, problem));
        told = problems;
    }
}

/// Packets come first: they are lost when they wait, a file is not.
fn yield_to_others() {
    #[cfg(target_os = "linux")]
    // SAFETY: a plain system call; 0 is the calling thread on Linux. Refused, the thread runs as the others do.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, 10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::file::tests::{Folder, time};

    #[test]
    fn a_stamp_says_its_time() {
        for nanos in [0, 951_782_400_000_000_000, 1_709_164_800_000_001_000, u64::MAX / 1000 * 1000] {
            let text = stamp(Timestamp(nanos));
            assert_eq!(text.len(), STAMP_LETTERS);
            assert_eq!(time_of(text.as_bytes()), Some(Timestamp(nanos)), "{text}");
        }
        for days in 0..(400 * 366) {
            let at = Timestamp(days % 200_000 * SECONDS_A_DAY * NANOS_A_SECOND);
            assert_eq!(time_of(stamp(at).as_bytes()), Some(at));
        }
        for not_one in ["", "20261129T014500.123456", "2026-1-29T014500.12345Z", "00000000T000000.000000Z"] {
            assert_eq!(time_of(not_one.as_bytes()), None, "{not_one}");
        }
    }

    #[test]
    fn a_file_is_put_away_before_it_grows_too_large_and_when_a_day_begins() {
        let rotation = Rotation { size: Some(100), is_daily: true, ..Rotation::default() };
        assert!(!rotation.is_due(90, 10, 5, 5));
        assert!(rotation.is_due(90, 11, 5, 5));
        assert!(!rotation.is_due(0, 200, 5, 5), "a line larger than that has a file of its own");
        assert!(rotation.is_due(1, 1, 5, 6));
        assert!(!rotation.is_due(0, 1, 5, 6), "no empty files");
        assert!(!rotation.is_due(1, 1, 6, 5), "the clock went back");
    }

    #[test]
    fn names_sort_as_the_files_came_to_be_whatever_the_clock_says() {
        let folder = Folder::new("names");
        let target = folder.path("out.ndjson");
        let mut names = Vec::new();
        for seconds in [100, 100, 90, 200, 200, 10] {
            let name = archive_name(&target, time(seconds)).expect("a name");
            fs::write(&name, "").expect("a file");
            names.push(name);
        }
        assert!(names.is_sorted());
        assert_eq!(names[0], folder.path("out.ndjson.19700101T000140.000000Z"));
        assert_eq!(names[2], folder.path("out.ndjson.19700101T000140.000002Z"));
    }

    #[test]
    fn what_a_crash_left_is_finished_and_what_is_too_old_removed() {
        let folder = Folder::new("tidy");
        let target = folder.path("out.ndjson");
        let archive =
            |second: u64, form: &str| with_suffix(&target, format!(".{}{form}", stamp(time(second))).as_bytes());
        let text = |second: u64| format!("{{\"second\":{second}}}\n").repeat(1000);
        for second in 1..=5 {
            fs::write(archive(second, ""), text(second)).expect("a file");
        }
        fs::write(archive(4, ".zst.tmp"), "half").expect("a file");
        compress(&archive(5, "")).expect("compressed");
        fs::write(archive(5, ""), text(5)).expect("a file");
        let others = ["out.ndjson", "out.ndjson.1", "out.ndjson.old", "out.ndjson.19700101T000140.000000Z.bak", "out"];
        others.iter().for_each(|name| fs::write(folder.path(name), "mine").expect("a file"));

        let rotation = Rotation { keep: Some(3), is_compressed: true, ..Rotation::default() };
        assert_eq!(tidy(&target, &rotation), Vec::<String>::new());
        let mut wanted: Vec<PathBuf> = (3..=5).map(|second| archive(second, ".zst")).collect();
        wanted.extend(others.map(|name| folder.path(name)));
        wanted.sort();
        assert_eq!(folder.files(), wanted);
        for second in 3..=5 {
            let whole = zstd::decode_all(File::open(archive(second, ".zst")).expect("a file")).expect("zstd");
            assert!(whole == text(second).into_bytes());
        }
    }

    #[test]
    fn a_compressed_file_of_somebody_else_is_no_reason_to_remove_the_plain_one() {
        let folder = Folder::new("else");
        let target = folder.path("out.ndjson");
        let plain = with_suffix(&target, format!(".{}", stamp(time(1))).as_bytes());
        fs::write(&plain, "{}\n").expect("a file");
        let rotation = Rotation { is_compressed: true, ..Rotation::default() };
        let other = zstd::encode_all(&b"{}"[..], 1).expect("compressed");
        for content in [&other[..], &other[..other.len() - 3], b"", b"text"] {
            fs::write(with_suffix(&plain, COMPRESSED), content).expect("a file");
            let problems = tidy(&target, &rotation);
            assert!(problems.len() == 1 && problems[0].contains(&plain.display().to_string()), "{problems:?}");
            assert_eq!(fs::read_to_string(&plain).expect("it is there"), "{}\n");
        }
    }
}
