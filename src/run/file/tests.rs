//! The file of a live capture against full disks, other programs and crashes, without waiting.

use super::*;
use crate::output::LINE_OCTETS;
use crate::testing::Random;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A folder for one test, removed at its end.
pub(in crate::run) struct Folder(PathBuf);

impl Folder {
    pub(in crate::run) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bw-file-{name}-{}", std::process::id()));
        // Of a former process with the same number.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a scratch folder");
        Self(fs::canonicalize(path).expect("its path"))
    }

    pub(in crate::run) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Sorted.
    pub(in crate::run) fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(&self.0).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        files
    }

    /// What stands in all files: those that were put away, then the one that is written to.
    fn content(&self, base: &str) -> String {
        let (current, old): (Vec<PathBuf>, Vec<PathBuf>) =
            self.files().into_iter().partition(|path| *path == self.path(base));
        let read = |path: &PathBuf| match path.extension().is_some_and(|extension| extension == "zst") {
            true => zstd::decode_all(File::open(path).expect("a file")).expect("zstd"),
            false => fs::read(path).expect("a file"),
        };
        String::from_utf8(old.iter().chain(&current).flat_map(read).collect()).expect("text")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Seconds after 1970-01-01.
pub(in crate::run) fn time(seconds: u64) -> Timestamp {
    Timestamp(seconds * SECOND_NS)
}

/// A file of records on a disk with so much room, and what it told people.
struct Bench {
    folder: Folder,
    rotation: Rotation,
    room: Arc<AtomicUsize>,
    calls: Arc<AtomicUsize>,
    said: Arc<Mutex<Vec<String>>>,
}

const NAME: &str = "out.ndjson";

impl Bench {
    fn new(name: &str) -> Self {
        let room = Arc::new(AtomicUsize::new(usize::MAX / 2));
        let (calls, said) = Default::default();
        Self { folder: Folder::new(name), rotation: Rotation::default(), room, calls, said }
    }

    fn path(&self) -> PathBuf {
        self.folder.path(NAME)
    }

    fn try_open(&self, now: Timestamp) -> io::Result<LiveFile> {
        let said = Arc::clone(&self.said);
        let tell = Arc::new(move |level, line: &str| {
            if level < Level::Debug {
                said.lock().expect("no panic").push(line.to_owned());
            }
        });
        let mut file = LiveFile::open(&self.path(), self.rotation, now, tell)?;
        let (room, calls) = (Arc::clone(&self.room), Arc::clone(&self.calls));
        file.put = Box::new(move |mut file, octets| {
            calls.fetch_add(1, Ordering::Relaxed);
            let taken = octets.len().min(room.load(Ordering::Relaxed));
            room.fetch_sub(taken, Ordering::Relaxed);
            if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { file.write(&octets[..taken]) }
        });
        Ok(file)
    }

    fn open(&self, seconds: u64) -> LiveFile {
        self.try_open(time(seconds)).expect("an output file")
    }

    fn content(&self) -> String {
        self.folder.content(NAME)
    }

    fn said(&self) -> Vec<String> {
        self.said.lock().expect("no panic").clone()
    }
}

fn line(number: usize) -> String {
    format!("{{\"record\":{number}}}\n")
}

fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.map(line).collect()
}

fn write(file: &mut LiveFile, number: usize, now: Timestamp) -> bool {
    file.write(Rank::Finding, line(number).as_bytes(), now)
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[test]
fn each_line_is_one_write_behind_what_there_was() {
    let bench = Bench::new("append");
    fs::write(bench.path(), lines(0..3)).expect("a file");
    let mut file = bench.open(0);
    assert!((3..50).all(|number| write(&mut file, number, time(0))));
    assert_eq!(bench.content(), lines(0..50));
    assert_eq!(bench.calls.load(Ordering::Relaxed), 47);
    assert_eq!(count(&file.gauge().written), 47);
    assert_eq!((file.finish(time(1)), bench.said()), (None, Vec::new()));
}

#[test]
fn a_torn_last_line_is_cut_away_and_told() {
    let zeroes = "\0".repeat(200_000);
    for (torn, cut) in [
        ("", 0),
        ("{", 1),
        ("{\"record\":7", 11),
        ("CEF:0|barew", 11),
        ("{\"record\":\0\0\0", 13),
        (zeroes.as_str(), 200_000),
        (&("{\"record\":".to_owned() + &zeroes), 200_010),
    ] {
        for before in ["".to_owned(), lines(0..1), lines(0..9000)] {
            let bench = Bench::new("torn");
            fs::write(bench.path(), before.clone() + torn).expect("a file");
            let mut file = bench.open(0);
            write(&mut file, 9, time(0));
            assert_eq!(bench.content(), before + &line(9));
            assert_eq!(count(&file.gauge().repaired_octets), cut);
            assert_eq!(bench.said().len(), usize::from(cut > 0), "{:?}", bench.said());
        }
    }
}

#[test]
fn a_file_that_is_not_of_records_stays_as_it_is() {
    let long = format!("{{{}", "x".repeat(LINE_OCTETS));
    for other in ["root:x:0:0", "{}\nlast line", "{\u{fc}", long.as_str()] {
        let bench = Bench::new("other");
        fs::write(bench.path(), other).expect("a file");
        let error = bench.try_open(time(0)).err().expect("refused").to_string();
        assert!(error.contains("name another file"), "{error}");
        assert_eq!(fs::read_to_string(bench.path()).expect("the file"), other);
    }
}

#[test]
fn only_one_process_writes_to_a_file() {
    let bench = Bench::new("two");
    let first = bench.open(0);
    let error = bench.try_open(time(0)).err().expect("refused").to_string();
    assert!(error.contains("another process writes to it"), "{error}");
    drop(first);
    bench.open(0);
}

#[test]
fn what_a_full_disk_does_not_take_waits_and_no_line_is_torn() {
    for room in 0..60 {
        let bench = Bench::new("full");
        let mut file = bench.open(0);
        bench.room.store(room, Ordering::Relaxed);
        let whole = lines(0..20);
        for number in 0..20 {
            write(&mut file, number, time(0));
            let content = bench.content();
            assert!(content.is_empty() || content.ends_with('\n') && whole.starts_with(&content), "{content}");
            // What was cut away is room again.
            let used = content.len();
            bench.room.store(room - used, Ordering::Relaxed);
        }
        let gauge = file.gauge();
        assert!(count(&gauge.waiting) > 0 && count(&gauge.failures) > 0);
        assert_eq!(count(&gauge.waiting) + count(&gauge.written), 20);
        bench.room.store(usize::MAX / 2, Ordering::Relaxed);
        file.tick(time(0));
        assert_ne!(bench.content(), whole, "not before a second has passed");
        file.tick(time(1));
        assert_eq!(bench.content(), whole);
        assert_eq!((count(&gauge.waiting), count(&gauge.written)), (0, 20));
        let said = bench.said();
        assert!(said.len() == 2 && said[0].contains("wait in memory") && said[1].contains("works again"), "{said:?}");
        assert_eq!(file.finish(time(1)), None);
    }
}

#[test]
fn the_next_record_takes_those_that_wait_along() {
    let bench = Bench::new("along");
    let mut file = bench.open(0);
    bench.room.store(5, Ordering::Relaxed);
    assert!(!write(&mut file, 0, time(0)));
    bench.room.store(1000, Ordering::Relaxed);
    assert!(write(&mut file, 1, time(0)));
    assert_eq!(bench.content(), lines(0..2));
}

#[test]
fn beyond_the_bound_records_are_lost_by_rank_and_the_end_says_so() {
    let bench = Bench::new("bound");
    let mut file = bench.open(0);
    file.waiting = Waiting::new(600);
    bench.room.store(0, Ordering::Relaxed);
    for number in 0..50 {
        let rank = [Rank::Session, Rank::Login, Rank::Finding][number % 3];
        file.write(rank, line(number).as_bytes(), time(0));
    }
    let gauge = file.gauge();
    let lost: Vec<u64> = gauge.lost.iter().map(count).collect();
    assert_eq!(lost[..2], [17, 17], "sessions and logins before findings");
    assert_eq!(lost.iter().sum::<u64>() + count(&gauge.waiting), 50);
    assert!(count(&gauge.waiting_octets) <= 600);
    let said = file.finish(time(5)).expect("not all was written");
    assert!(said.contains("50 records could not be written"), "{said}");

    bench.room.store(usize::MAX / 2, Ordering::Relaxed);
    let said = file.finish(time(6)).expect("not all was written");
    assert!(said.contains(&format!("{} records could not be written", lost.iter().sum::<u64>())), "{said}");
    assert!(bench.content().ends_with(&line(47)), "{}", bench.content());
}

#[test]
fn what_cannot_be_cut_away_at_once_is_cut_before_the_next_line() {
    let bench = Bench::new("later");
    let mut file = bench.open(0);
    write(&mut file, 0, time(0));
    // As if cutting had failed.
    fs::write(bench.path(), line(0) + "{\"rec").expect("written");
    file.torn = b"{\"rec".to_vec();
    write(&mut file, 1, time(0));
    assert_eq!(bench.content(), lines(0..2));
    // Somebody else has emptied the file meanwhile.
    file.torn = b"{\"rec".to_vec();
    fs::write(bench.path(), "").expect("written");
    write(&mut file, 2, time(0));
    assert_eq!(bench.content(), line(2));
}

#[test]
fn a_file_that_was_moved_or_removed_is_opened_anew_within_a_second() {
    let bench = Bench::new("moved");
    let moved = bench.folder.path("moved");
    let mut file = bench.open(0);
    write(&mut file, 0, time(0));
    fs::rename(bench.path(), &moved).expect("moved");
    write(&mut file, 1, Timestamp(SECOND_NS - 1));
    write(&mut file, 2, time(1));
    assert_eq!(fs::read_to_string(&moved).expect("moved"), lines(0..2));
    assert_eq!(fs::read_to_string(bench.path()).expect("anew"), line(2));

    fs::remove_file(bench.path()).expect("removed");
    file.tick(time(2));
    assert_eq!(fs::read_to_string(bench.path()).expect("without a record"), "");

    // Another file in its place, with a torn line of its own.
    fs::rename(bench.path(), &moved).expect("moved");
    fs::write(bench.path(), line(6) + "{").expect("a file");
    file.reopen(time(2));
    write(&mut file, 7, time(2));
    assert_eq!(fs::read_to_string(bench.path()).expect("anew"), lines(6..8));
    assert_eq!(count(&file.gauge().reopened), 3);
}

#[test]
fn records_wait_while_there_is_no_folder() {
    let bench = Bench::new("folder");
    let away = bench.folder.0.with_extension("away");
    let mut file = bench.open(0);
    write(&mut file, 0, time(0));
    fs::rename(&bench.folder.0, &away).expect("moved");
    assert!(!write(&mut file, 1, time(1)));
    assert!(!write(&mut file, 2, time(2)));
    fs::rename(&away, &bench.folder.0).expect("moved back");
    file.tick(time(3));
    assert_eq!(bench.content(), lines(0..3));
    assert_eq!(bench.said().len(), 2, "{:?}", bench.said());
}

#[test]
fn no_record_is_lost_or_doubled_by_rotation() {
    let mut bench = Bench::new("rotation");
    bench.rotation = Rotation { size: Some(100), is_compressed: true, ..Rotation::default() };
    let mut file = bench.open(0);
    // Several in the same microsecond.
    (0..200).for_each(|number| assert!(write(&mut file, number, time(number as u64 / 50))));
    let rotations = count(&file.gauge().rotations);
    assert_eq!(file.finish(time(9)), None);
    assert_eq!(bench.content(), lines(0..200));
    let old: Vec<PathBuf> = bench.folder.files().into_iter().filter(|path| *path != bench.path()).collect();
    assert_eq!((old.len() as u64, rotations), (30, 30), "six or seven records a file");
    assert!(old.iter().all(|path| path.extension().is_some_and(|extension| extension == "zst")), "{old:?}");
    assert_eq!(bench.said(), Vec::<String>::new());
}

#[test]
fn a_day_ends_a_file_without_a_record_and_only_the_latest_are_kept() {
    let mut bench = Bench::new("daily");
    bench.rotation = Rotation { is_daily: true, keep: Some(2), ..Rotation::default() };
    let day = 86_400;
    let mut file = bench.open(100 * day);
    // A file of an earlier day, as found at the start.
    write(&mut file, 0, time(100 * day));
    for number in 1..5 {
        file.tick(time((100 + number as u64) * day - 1));
        let before = count(&file.gauge().rotations);
        file.tick(time((100 + number as u64) * day));
        assert_eq!(count(&file.gauge().rotations), before + 1);
        file.tick(time((100 + number as u64) * day + 5));
        write(&mut file, number, time((100 + number as u64) * day + 9));
    }
    file.tick(time(101 * day));
    assert_eq!(count(&file.gauge().rotations), 4, "the clock went back");
    assert_eq!(file.finish(time(105 * day - 1)), None);
    assert_eq!(bench.content(), lines(2..5));
    let names = ["out.ndjson", "out.ndjson.19700414T000000.000000Z", "out.ndjson.19700415T000000.000000Z"];
    assert_eq!(bench.folder.files(), names.map(|name| bench.folder.path(name)));
}

#[test]
fn a_file_that_stays_is_written_to_when_it_cannot_be_put_away() {
    let mut bench = Bench::new("stays");
    bench.rotation.size = Some(30);
    let away = bench.folder.0.with_extension("away");
    let mut file = bench.open(0);
    write(&mut file, 0, time(0));
    write(&mut file, 1, time(0));
    // The path leads nowhere for a moment, which is not looked for yet.
    fs::rename(&bench.folder.0, &away).expect("moved");
    assert!(write(&mut file, 2, time(0)));
    fs::rename(&away, &bench.folder.0).expect("moved back");
    assert!(write(&mut file, 3, time(0)), "not tried again at once");
    assert_eq!(fs::read_to_string(bench.path()).expect("the file"), lines(0..4));
    assert!(write(&mut file, 4, time(1)));
    assert_eq!((bench.content(), bench.folder.files().len()), (lines(0..5), 2));
    assert!(bench.said().len() == 1 && bench.said()[0].contains("it grows on"), "{:?}", bench.said());
}

#[test]
fn a_mode_and_a_link_outlive_rotation() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut bench = Bench::new("mode");
    bench.rotation.size = Some(20);
    let real = bench.folder.path("real.ndjson");
    fs::write(&real, "").expect("a file");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).expect("its mode");
    std::os::unix::fs::symlink(&real, bench.path()).expect("a link");
    let mut file = bench.open(0);
    (0..3).for_each(|number| assert!(write(&mut file, number, time(0))));
    assert!(fs::symlink_metadata(bench.path()).expect("a link").is_symlink());
    assert_eq!(fs::read_to_string(&real).expect("the file"), line(2));
    let files = bench.folder.files();
    assert_eq!(files.len(), 4, "{files:?}");
    for path in files.iter().filter(|path| **path != bench.path()) {
        assert_eq!(fs::metadata(path).expect("a file").permissions().mode() & 0o777, 0o640, "{}", path.display());
    }
}

/// Whatever happens to the disk, the file and the program: every record is in the files once, in order.
#[test]
fn records_come_to_the_disk_in_order_whatever_happens() {
    for seed in 0..crate::testing::streams(200) {
        let mut random = Random::new(seed);
        let mut bench = Bench::new("any");
        bench.rotation = Rotation {
            size: random.chance(70).then(|| 30 + random.below(300) as u64),
            is_daily: random.chance(50),
            is_compressed: random.chance(20),
            keep: None,
        };
        let mut now = time(1_000_000);
        let mut file = bench.try_open(now).expect("an output file");
        let (mut written, mut moved) = (0, String::new());
        for _ in 0..100 {
            now.0 += random.below(3) as u64 * SECOND_NS / 2;
            match random.below(20) {
                0 => bench.room.store(random.below(200), Ordering::Relaxed),
                1 | 2 => bench.room.store(usize::MAX / 2, Ordering::Relaxed),
                3 => now.0 += random.below(2 * 86_400) as u64 * SECOND_NS,
                4 => now.0 -= SECOND_NS * 2,
                5 => file.tick(now),
                6 => file.reopen(now),
                7 => {
                    // A crash in the middle of a write, and what it would have lost is written first.
                    bench.room.store(usize::MAX / 2, Ordering::Relaxed);
                    assert_eq!(file.finish(now), None);
                    drop(file);
                    let mut torn = OpenOptions::new().append(true).open(bench.path()).expect("the file");
                    let part = random.below(10);
                    torn.write_all(&line(written).as_bytes()[..part]).expect("torn");
                    drop(torn);
                    file = bench.try_open(now).expect("an output file");
                }
                8 if moved.is_empty() && !bench.rotation.is_compressed => {
                    // Another program takes all there is, as a shipper does.
                    moved = bench.content();
                    bench.folder.files().iter().for_each(|path| fs::remove_file(path).expect("removed"));
                    file.reopen(now);
                }
                _ => {
                    write(&mut file, written, now);
                    written += 1;
                }
            }
        }
        bench.room.store(usize::MAX / 2, Ordering::Relaxed);
        now.0 += SECOND_NS;
        assert_eq!(file.finish(now), None, "seed {seed}");
        assert_eq!(moved + &bench.content(), lines(0..written), "seed {seed}");
        let told = bench.said();
        let of = |part: &str| told.iter().filter(|line| line.contains(part)).count();
        assert_eq!(of("wait in memory"), of("works again"), "seed {seed}: {told:?}");
    }
}
