//! What a spool must hold through crashes, full disks and damage.

use super::*;
use crate::testing::Random;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bw-spool-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn open(&self, limit: u64, when_full: WhenFull) -> Spool {
        Spool::open(Options { folder: self.0.clone(), limit, when_full }).expect("a spool")
    }

    fn segments(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> =
            fs::read_dir(&self.0).expect("the folder").flatten().map(|entry| entry.path()).collect();
        found.retain(|path| path.extension().is_some_and(|extension| extension == "spool"));
        found.sort();
        found
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const MIB: u64 = 1 << 20;
const ALL: Bounds = Bounds { records: 1_000_000, octets: 1 << 30 };

fn put(spool: &Spool, line: &str) -> Put {
    spool.put(Worth::Most, line.as_bytes()).expect("room on disk")
}

fn taken(spool: &Spool, bounds: Bounds) -> Vec<String> {
    let parcels = spool.take(bounds, Duration::ZERO);
    parcels.into_iter().map(|parcel| String::from_utf8(parcel.line.into()).expect("text")).collect()
}

#[test]
fn the_checksum_is_crc32c() {
    // RFC 3720, appendix B.4, and the check value of the catalogues.
    assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}

#[test]
fn records_come_out_in_order_and_stay_until_they_are_settled() {
    let folder = Folder::new("order");
    let spool = folder.open(MIB, WhenFull::DropOldest);
    for line in ["a", "bb", "", "dddd"] {
        assert_eq!(put(&spool, line), Put::Kept);
    }
    assert_eq!(taken(&spool, Bounds { records: 2, octets: 100 }), ["a", "bb"]);
    assert_eq!(taken(&spool, Bounds { records: 2, octets: 1 }), [""], "what is too long waits for the next");
    assert_eq!(taken(&spool, Bounds { records: 2, octets: 1 }), ["dddd"], "unless it is the first");
    assert_eq!(taken(&spool, ALL), Vec::<String>::new());
    assert_eq!(spool.counts().records, 4);
    spool.settle(2).expect("noted");
    drop(spool);
    let spool = folder.open(MIB, WhenFull::DropOldest);
    assert_eq!((spool.counts().records, spool.counts().torn), (2, 0));
    assert_eq!(taken(&spool, ALL), ["", "dddd"]);
    put(&spool, "e");
    assert_eq!(taken(&spool, ALL), ["e"]);
    spool.settle(5).expect("noted");
    assert!(spool.is_empty());
}

#[test]
fn whoever_waits_is_woken() {
    let folder = Folder::new("wake");
    let spool = folder.open(MIB, WhenFull::DropOldest);
    let other = spool.clone();
    let waiter = std::thread::spawn(move || other.take(ALL, Duration::from_secs(60)).len());
    put(&spool, "a");
    assert_eq!(waiter.join().expect("it ends"), 1);
    let other = spool.clone();
    let waiter = std::thread::spawn(move || other.take(ALL, Duration::from_secs(60)).len());
    spool.close();
    assert_eq!(waiter.join().expect("it ends"), 0);
}

/// Records of all lengths, through many segments, with settling, crashes and cuts at random.
#[test]
fn nothing_whole_is_lost_whenever_it_is_cut() {
    for seed in 0..30 {
        let folder = Folder::new(&format!("cut-{seed}"));
        let mut random = Random::new(seed);
        let mut spool = folder.open(MIB, WhenFull::DropNewest);
        let (mut all, mut settled) = (Vec::new(), 0);
        for round in 0..20 {
            for _ in 0..random.below(60) {
                let line = format!("{} {}", all.len(), "x".repeat(random.below(800)));
                assert_eq!(put(&spool, &line), Put::Kept);
                all.push(line);
            }
            let bounds = Bounds { records: 1 + random.below(100), octets: 1 + random.below(20_000) };
            let got = taken(&spool, bounds);
            assert_eq!(got, all[settled..settled + got.len()], "seed {seed}, round {round}");
            if random.below(3) > 0 {
                settled += got.len();
                spool.settle(settled as u64).expect("noted");
            }
            drop(spool);
            // A crash within a write: the last record is cut anywhere.
            let last = folder.segments().pop().expect("a segment");
            let octets = fs::metadata(&last).expect("it").len();
            if random.below(2) == 0 && all.len() > settled && octets > MAGIC.len() as u64 {
                let torn = 1 + random.below(HEAD + all[all.len() - 1].len() - 1) as u64;
                let file = OpenOptions::new().write(true).open(&last).expect("it");
                file.set_len(octets - torn).expect("cut");
                all.pop();
            }
            spool = folder.open(MIB, WhenFull::DropNewest);
            assert_eq!(spool.counts().records as usize, all.len() - settled, "seed {seed}, round {round}");
            assert!(spool.counts().octets <= MIB);
        }
        assert_eq!(taken(&spool, ALL), all[settled..]);
        assert_eq!(spool.counts().damaged, 0);
    }
}

#[test]
fn beyond_the_limit_the_least_worth_goes_first_and_all_is_counted() {
    let line = [b'x'; 1000];
    let folder = Folder::new("full");
    let spool = folder.open(MIB, WhenFull::DropOldest);
    let fill = |worth: Worth| {
        let mut kept = 0;
        while kept < 2000 && spool.put(worth, &line).expect("room on disk") == Put::Kept {
            kept += 1;
        }
        kept
    };
    let (least, less) = (fill(Worth::Least), fill(Worth::Less));
    assert!((700..790).contains(&least) && (120..140).contains(&less), "{least} {less}");
    assert_eq!(spool.counts().dropped, 2);
    assert_eq!(fill(Worth::Most), 2000, "findings make room for themselves");
    let counts = spool.counts();
    assert!(counts.octets <= MIB && counts.octets > MIB / 4 * 3, "{counts:?}");
    assert_eq!(counts.records + counts.dropped, least + less + 2 + 2000);
    assert_eq!(spool.take(ALL, Duration::ZERO).len() as u64, counts.records);
    drop(spool);
    let spool = folder.open(MIB, WhenFull::DropNewest);
    assert_eq!(spool.counts().records, counts.records);
    while put(&spool, "y").eq(&Put::Kept) {}
    assert_eq!(spool.counts().dropped, 1);
}

#[test]
fn whoever_may_wait_waits_for_room() {
    let folder = Folder::new("block");
    let spool = folder.open(64 * 1024, WhenFull::Block);
    let other = spool.clone();
    let writer = std::thread::spawn(move || {
        (0..1000).for_each(|number| assert_eq!(put(&other, &format!("{number:0500}")), Put::Kept));
        other.close();
    });
    let mut got = Vec::new();
    while got.len() < 1000 {
        let parcels = spool.take(Bounds { records: 7, octets: 1 << 20 }, Duration::from_secs(60));
        got.extend(parcels.iter().map(|parcel| parcel.number));
        spool.settle(got.len() as u64).expect("noted");
    }
    writer.join().expect("it ends");
    assert!(got.into_iter().eq(0..1000));
    assert_eq!(spool.counts().dropped, 0);
}

#[test]
fn damage_ends_a_segment_and_not_the_spool() {
    let folder = Folder::new("damage");
    let spool = folder.open(64 * 1024, WhenFull::DropNewest);
    for number in 0..100 {
        put(&spool, &format!("{number} {}", "x".repeat(400)));
    }
    drop(spool);
    let segments = folder.segments();
    assert!(segments.len() > 4);
    let file = OpenOptions::new().read(true).write(true).open(&segments[1]).expect("it");
    file.write_at(b"!", 2000).expect("damaged");
    let spool = folder.open(64 * 1024, WhenFull::DropNewest);
    let got = taken(&spool, ALL);
    let counts = spool.counts();
    assert!((10..20).contains(&counts.damaged), "{counts:?}");
    assert_eq!(got.len() as u64 + counts.damaged, 100);
    assert!(got[got.len() - 1].starts_with("99 "));
    spool.settle(20).expect("noted");
    assert!(!spool.is_empty());
    spool.settle(100).expect("noted");
    assert!(spool.is_empty());
    // The last of all: nothing after it can settle it.
    put(&spool, "good");
    put(&spool, "bad");
    let last = folder.segments().pop().expect("a segment");
    let file = OpenOptions::new().read(true).write(true).open(&last).expect("it");
    file.write_at(b"B", file.metadata().expect("it").len() - 3).expect("damaged");
    assert_eq!(taken(&spool, ALL), ["good"]);
    spool.settle(101).expect("noted");
    spool.close();
    assert!(spool.is_finished());
    // A number that cannot be: what is there is sent again.
    drop(spool);
    fs::write(folder.0.join(SETTLED), "999999").expect("written");
    assert_eq!(taken(&folder.open(64 * 1024, WhenFull::DropNewest), ALL).last().map(String::as_str), Some("good"));
}

#[test]
fn one_process_has_it_and_nobody_else_reads_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new("lock");
    let spool = folder.open(MIB, WhenFull::DropNewest);
    let second = Spool::open(Options { folder: folder.0.clone(), limit: MIB, when_full: WhenFull::DropNewest });
    assert!(second.err().expect("it is refused").to_string().contains("another process"));
    put(&spool, "a");
    spool.settle(1).expect("noted");
    let mode = |path: &Path| fs::metadata(path).expect("it").permissions().mode() & 0o777;
    assert_eq!(mode(&folder.0), 0o700);
    for entry in fs::read_dir(&folder.0).expect("the folder").flatten() {
        assert_eq!(mode(&entry.path()), 0o600, "{:?}", entry.path());
    }
}

#[test]
fn what_cannot_be_read_now_is_not_given_up() {
    let folder = std::env::temp_dir().join(format!("bw-spool-away-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    let options = Options { folder: folder.join("above/own"), limit: 1 << 20, when_full: WhenFull::Block };
    let spool = Spool::open(options.clone()).expect("a spool");
    let mode = |path: &std::path::Path| {
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).expect("it").permissions()) & 0o777
    };
    assert_eq!(mode(&options.folder), 0o700);
    assert_eq!(mode(&folder.join("above")) & 0o011, 0o011, "whoever it is given to gets in");
    assert_eq!(spool.put(Worth::Most, b"a record").expect("kept"), Put::Kept);
    let segment = fs::read_dir(&options.folder)
        .expect("it")
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|ending| ending == "spool"))
        .expect("a segment");
    // Another thing in its place, as somebody without the right to it would find.
    fs::rename(&segment, folder.join("aside")).expect("moved");
    fs::create_dir(&segment).expect("a folder");
    assert!(spool.take(Bounds { records: 9, octets: 1000 }, Duration::ZERO).is_empty());
    assert!(spool.trouble().is_some() && spool.trouble().is_none(), "told once");
    assert_eq!((spool.counts().damaged, spool.counts().records), (0, 1));
    fs::remove_dir(&segment).expect("removed");
    fs::rename(folder.join("aside"), &segment).expect("back");
    let taken = spool.take(Bounds { records: 9, octets: 1000 }, Duration::ZERO);
    assert_eq!(taken.iter().map(|parcel| &*parcel.line).collect::<Vec<_>>(), [b"a record"]);
    let _ = fs::remove_dir_all(&folder);
}
