//! Output files that one can rely on: the program killed at any moment, disks that are full, files that are put away
//! under load or moved by others.
//!
//! What needs a network of its own says so on standard error and passes where that cannot be had, unless
//! `BAREWIRE_REQUIRE_ALL` is set. `BAREWIRE_KILLS` is the number of moments at which the program is killed.
#![cfg(target_os = "linux")]

#[path = "bed/net.rs"]
mod net;

use barewire::testing::{Captured, Link, Random, Transcript, frames, pcap};
use barewire::wire::{Endpoint, Timestamp};
use net::Scratch;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

const BAREWIRE: &str = env!("CARGO_BIN_EXE_barewire");

/// Moments at which the program is killed: a debug build is slow.
fn kills() -> usize {
    let wanted = std::env::var("BAREWIRE_KILLS").ok().map(|text| text.parse().expect("BAREWIRE_KILLS is a number"));
    wanted.unwrap_or(if cfg!(debug_assertions) { 20 } else { 200 })
}

/// One at a time: they kill at measured moments, and a sensor that is kept from its packets loses some.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Logins of clients with these numbers, one after the other.
fn logins(numbers: std::ops::Range<u32>) -> Vec<Captured> {
    let text = "S: +OK ready\nC: USER bob\nS: +OK\nC: PASS made-up\nS: +OK in\nC: QUIT\nS: +OK";
    let server = Endpoint { address: Endpoint::v4(0xc633_6401), port: 110 };
    let mut all = Vec::new();
    for number in numbers {
        let client = Endpoint { address: client(number), port: 2000 };
        let start = Timestamp(1_700_000_000_000_000_000 + u64::from(number) * 50_000_000);
        all.extend(frames(&Transcript::parse(110, text).between(client, server).at(start).play(), Link::Ethernet));
    }
    all
}

fn client(number: u32) -> u128 {
    Endpoint::v4(0x0a00_0000 + number)
}

/// The records in a text of whole lines.
fn records(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is torn: {:?}", text.lines().last());
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The lines that are whole, and what follows them.
fn split_torn(text: &str) -> (&str, &str) {
    text.split_at(text.rfind('\n').map_or(0, |at| at + 1))
}

fn replay(capture: &Path, key: &Path, output: &Path) -> Command {
    let mut command = Command::new(BAREWIRE);
    command.args(["replay", "-q", "--records", "findings,logins,sessions", "--fingerprint-key"]).arg(key);
    command.arg("-o").arg(output).arg(capture).stdin(Stdio::null());
    command
}

#[test]
fn a_replay_that_is_killed_leaves_whole_lines() {
    let _alone = alone();
    let scratch = Scratch::new("killed");
    let (capture, key, output) = (scratch.path("in.pcap"), scratch.key_file(), scratch.path("out.ndjson"));
    fs::write(&capture, pcap(&logins(0..1500))).expect("the capture");
    let began = Instant::now();
    assert!(replay(&capture, &key, &output).status().expect("barewire").success());
    let took = began.elapsed();
    let whole = fs::read_to_string(&output).expect("the records");
    assert!(records(&whole).len() >= 4500);

    let mut random = Random::new(1);
    let (mut in_the_middle, mut torn_ones) = (0, 0);
    for _ in 0..kills() {
        // Records are written at the end: most of the moments are there.
        let moment = took.mul_f64(if random.chance(80) { 0.5 } else { 0.0 } + random.below(1000) as f64 / 1800.0);
        let mut child = replay(&capture, &key, &output).spawn().expect("barewire");
        thread::sleep(moment);
        // SIGKILL.
        child.kill().expect("killed");
        child.wait().expect("its end");
        let left = fs::read_to_string(&output).unwrap_or_default();
        assert!(whole.starts_with(&left), "what is written is the beginning of the whole, killed after {moment:?}");
        let (lines, torn) = split_torn(&left);
        records(lines);
        in_the_middle += usize::from(!left.is_empty() && left.len() < whole.len());
        torn_ones += usize::from(!torn.is_empty());
    }
    println!("{} kills, {in_the_middle} while writing, {torn_ones} with a last line cut", kills());
}

#[test]
fn a_replay_whose_file_may_not_grow_ends_with_status_5_and_whole_lines() {
    let scratch = Scratch::new("limit");
    let (capture, key, output) = (scratch.path("in.pcap"), scratch.key_file(), scratch.path("out.ndjson"));
    fs::write(&capture, pcap(&logins(0..200))).expect("the capture");
    // 512 octets each.
    let mut limited = Command::new("sh");
    let inner = replay(&capture, &key, &output);
    limited.args(["-c", "ulimit -f 201; exec \"$@\"", "sh"]).arg(inner.get_program()).args(inner.get_args());
    let ended = limited.stdin(Stdio::null()).output().expect("sh");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(5), "{said}");
    assert!(said.lines().count() == 1 && said.contains(&output.display().to_string()), "{said}");
    let left = fs::read_to_string(&output).expect("the records");
    assert!(records(&left).len() > 50, "as much as there was room for");
}

#[test]
fn options_of_rotation_say_what_they_need() {
    if cfg!(not(feature = "live")) {
        return;
    }
    let scratch = Scratch::new("options");
    let file = scratch.path("out.ndjson").display().to_string();
    for (arguments, part) in [
        (vec!["--rotate-size", "1"], "--output"),
        (vec!["--rotate-daily"], "--output"),
        (vec!["--rotate-size", "0", "-o", &file], "--rotate-size"),
        (vec!["--rotate-keep", "3", "-o", &file], "--rotate-keep needs --rotate-size or --rotate-daily"),
        (vec!["--rotate-compress", "-o", &file], "--rotate-compress needs --rotate-size or --rotate-daily"),
    ] {
        let ended = Command::new(BAREWIRE).args(["watch", "-i", "lo"]).args(&arguments).output().expect("barewire");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
}

/// Watching a network of its own.
#[cfg(feature = "live")]
mod live {
    use super::*;
    use crate::net::{QuietNet, Watched, search_path, skipped};
    use std::fs::OpenOptions;
    use std::net::IpAddr;
    use std::os::unix::fs::MetadataExt;
    use std::path::PathBuf;
    use std::time::{Duration, SystemTime};

    /// Watches with one thread that judges, so that records come in the order of the logins.
    fn sensor(net: &QuietNet, output: &Path, more: &[&str]) -> Watched {
        let mut sensor = Watched::start(
            net.program(BAREWIRE)
                .args(["watch", "-i", "quiet0", "-q", "-j", "1", "--records", "logins"])
                .args(more)
                .arg("-o")
                .arg(output),
        );
        wait_until_it_watches(&mut sensor, output);
        sensor
    }

    /// What it says of that is told to be quiet. The file is opened after the interface, signals are heeded after both.
    fn wait_until_it_watches(sensor: &mut Watched, output: &Path) {
        let status = format!("/proc/{}/status", sensor.id());
        let heeds_sigterm = || {
            let status = read(Path::new(&status));
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or_default();
            u64::from_str_radix(caught.trim(), 16).is_ok_and(|signals| signals & 1 << (15 - 1) != 0)
        };
        wait_until(sensor, "it watches", |_| output.exists() && heeds_sigterm());
    }

    fn wait_until(sensor: &mut Watched, what: &str, is_so: impl Fn(&str) -> bool) {
        let began = Instant::now();
        while !is_so(&sensor.said()) {
            assert!(began.elapsed() < net::PATIENCE, "not so: {what}; it said:\n{}", sensor.said());
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn send(net: &QuietNet, scratch: &Scratch, numbers: std::ops::Range<u32>) {
        let path = scratch.path("sent.pcap");
        fs::write(&path, pcap(&logins(numbers))).expect("the capture");
        net.send(&path);
    }

    /// Numbers of the clients in the order of their records.
    fn clients(text: &str) -> Vec<u32> {
        let number = |record: &Value| match record["source"]["ip"].as_str().expect("a client").parse() {
            Ok(IpAddr::V4(address)) => u32::from(address) - 0x0a00_0000,
            other => panic!("{other:?} in {record}"),
        };
        records(text).iter().map(number).collect()
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_default()
    }

    /// What stands in a file and in those that were put away, in the order in which it was written.
    fn everything(output: &Path) -> String {
        let folder = fs::read_dir(output.parent().expect("a folder")).expect("the folder");
        let mut paths: Vec<PathBuf> = folder.map(|entry| entry.expect("an entry").path()).collect();
        paths.retain(|path| path != output && path.extension().is_some_and(|form| form != "tmp"));
        // Killed between the two, the plain file is there as well.
        let both = paths.clone();
        paths.retain(|path| !both.contains(&PathBuf::from(format!("{}.zst", path.display()))));
        paths.sort();
        let content = |path: &PathBuf| match path.extension().is_some_and(|form| form == "zst") {
            true => zstd::decode_all(fs::File::open(path).expect("a file")).expect("compressed"),
            false => fs::read(path).expect("a file"),
        };
        let old: Vec<u8> = paths.iter().flat_map(content).collect();
        String::from_utf8(old).expect("text") + &read(output)
    }

    #[test]
    fn a_sensor_that_is_killed_leaves_whole_lines_and_mends_the_last() {
        if skipped(&["ip", "python3"]) {
            return;
        }
        let _alone = alone();
        let (scratch, net) = (Scratch::new("live"), QuietNet::new("kill"));
        let folder = scratch.folder("out");
        let (sent, output) = (scratch.path("sent.pcap"), folder.join("out.ndjson"));
        fs::write(&sent, pcap(&logins(0..5000))).expect("the capture");
        let mut random = Random::new(2);
        let (mut cut, mut by_kill, mut before) = (0, 0, String::new());
        for _ in 0..kills() {
            let mut sender = net.program("python3");
            sender.arg(net::SEND).arg("quiet1").arg(&sent).arg("4000");
            let mut sender = sender.env("PATH", search_path()).stdout(Stdio::null()).spawn().expect("python3");
            let mut sensor = Watched::start(
                net.program(BAREWIRE)
                    .args(["watch", "-i", "quiet0", "-j", "1", "--records", "logins"])
                    .args(["--rotate-daily", "--rotate-compress", "-o"])
                    .arg(&output),
            );
            sensor.wait_for_line("listening on");
            if random.chance(75) {
                // Not before the first record, which puts the file away where it is of yesterday.
                let found = || fs::metadata(&output).ok().map(|file| (file.ino(), file.len()));
                let (at_first, began) = (found(), Instant::now());
                while found() == at_first && began.elapsed() < net::PATIENCE {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            thread::sleep(Duration::from_millis(random.below(200) as u64));
            sensor.stop("KILL");
            sender.kill().expect("it is there");
            sender.wait().expect("its end");
            assert_eq!(sensor.said().matches("cut away").count(), cut, "{}", sensor.said());

            let left = everything(&output);
            assert!(left.starts_with(&before), "nothing that was written is lost or written twice");
            let (lines, torn) = split_torn(&left);
            records(&lines[before.len()..]);
            by_kill += usize::from(!torn.is_empty());
            before = lines.to_owned();
            if let Ok(file) = OpenOptions::new().append(true).open(&output) {
                // A kill hardly ever comes within a write: a power cut does.
                if random.chance(50) && torn.is_empty() {
                    let record = lines.lines().next().unwrap_or("{\"@timestamp\":\"2026-");
                    let part = 1 + random.below(record.len() - 1);
                    std::io::Write::write_all(&mut &file, &record.as_bytes()[..part]).expect("torn");
                }
                // Of yesterday: the first record puts it away.
                if random.chance(50) {
                    file.set_modified(SystemTime::now() - Duration::from_secs(86_400)).expect("its time");
                }
            }
            cut = usize::from(!read(&output).is_empty() && !read(&output).ends_with('\n'));
        }
        // Nothing is sent; what was sent before may be in the ring.
        let mut sensor =
            sensor(&net, &output, &["--allow-empty", "--max-loss", "100", "--rotate-daily", "--rotate-compress"]);
        assert_eq!(sensor.stop("TERM").code(), Some(0), "{}", sensor.said());
        assert!(everything(&output) == before, "the end is whole");
        let (records, files) = (records(&before).len(), fs::read_dir(&folder).expect("the folder").count());
        println!("{} kills, {by_kill} with a last line cut, {records} records in {files} files", kills());
        assert!(records > kills(), "they were written while it ran");
        let plain = fs::read_dir(&folder).expect("the folder").flatten();
        let plain = plain.filter(|entry| entry.path().extension().is_none_or(|form| form != "zst")).count();
        assert_eq!(plain, 1, "what was left half done is done");
    }

    #[test]
    fn a_sensor_whose_output_is_gone_for_good_ends() {
        if skipped(&["ip", "python3"]) {
            return;
        }
        let _alone = alone();
        let (scratch, net) = (Scratch::new("gone"), QuietNet::new("gone"));
        let mut sensor = Watched::start(net.program(BAREWIRE).args(["watch", "-i", "quiet0", "-o", "/dev/full"]));
        sensor.wait_for_line("listening on");
        send(&net, &scratch, 0..10);
        wait_until(&mut sensor, "told", |said| said.contains("writing /dev/full: No space left on device"));
        assert_eq!(sensor.ended().code(), Some(5), "{}", sensor.said());
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_written_when_there_is_room() {
        if skipped(&["ip", "python3", "unshare", "mount"]) {
            return;
        }
        let _alone = alone();
        let (scratch, net) = (Scratch::new("full"), QuietNet::new("full"));
        let disk = scratch.folder("disk");
        let output = disk.join("out.ndjson");
        let watch = |more: &[&str]| {
            // Seen by the sensor alone, and gone with it.
            let script = "mount -t tmpfs -o size=64k,uid=65534 tmpfs \"$1\" && shift && exec \"$@\"";
            let mut command = Command::new("unshare");
            command.args(["-m", "sh", "-c", script, "sh"]).arg(&disk);
            let inner = net.program(BAREWIRE);
            command.arg(inner.get_program()).args(inner.get_args());
            command.args(["watch", "-i", "quiet0", "-q", "-j", "1", "--records", "logins"]).args(more);
            let mut sensor = Watched::start(command.arg("-o").arg(&output));
            let seen = seen_by(&sensor, &output);
            wait_until_it_watches(&mut sensor, &seen);
            (sensor, seen)
        };
        let (mut sensor, seen) = watch(&[]);
        let filler = seen_by(&sensor, &disk.join("filler"));
        send(&net, &scratch, 0..5);
        wait_until(&mut sensor, "five records", |_| read(&seen).lines().count() == 5);
        fs::write(&filler, vec![0; 40_000]).expect("most of the room");
        send(&net, &scratch, 5..90);
        wait_until(&mut sensor, "told once", |said| said.matches("wait in memory").count() == 1);
        thread::sleep(Duration::from_millis(1500));
        let before = clients(&read(&seen)).len();
        assert!((5..30).contains(&before), "{before} records in the room that was left");
        fs::remove_file(&filler).expect("room");
        // 90 records are more than the disk takes at once: what it took is taken away when it is full again.
        let seconds_without_more = |seen: &Path| {
            let before = read(seen);
            thread::sleep(Duration::from_millis(2500));
            read(seen) == before
        };
        wait_until(&mut sensor, "full again", |_| {
            read(&seen).lines().count() > before + 10 && seconds_without_more(&seen)
        });
        let first = read(&seen);
        assert!(clients(&first).len() < 60, "{} records on 64 KiB", clients(&first).len());
        fs::write(&seen, "").expect("emptied");
        wait_until(&mut sensor, "all records", |_| (first.clone() + &read(&seen)).lines().count() >= 90);
        assert_eq!(clients(&(first + &read(&seen))), (0..90).collect::<Vec<_>>(), "{}", sensor.said());
        wait_until(&mut sensor, "told that it is over", |said| said.contains("works again"));
        assert_eq!(sensor.stop("TERM").code(), Some(0), "{}", sensor.said());
        assert_eq!(sensor.said().lines().count(), 2, "one line at the first failure, one when it is over");

        // And where there never is room.
        let (mut sensor, seen) = watch(&[]);
        fs::write(seen_by(&sensor, &disk.join("filler")), vec![0; 56_000]).expect("most of the room");
        send(&net, &scratch, 0..30);
        wait_until(&mut sensor, "told once", |said| said.contains("wait in memory"));
        let there = clients(&read(&seen));
        assert_eq!(sensor.stop("TERM").code(), Some(5), "{}", sensor.said());
        let said = sensor.said();
        assert_eq!(said.lines().count(), 2, "{said}");
        assert_eq!(net_number(&said, " records could not be written"), 30 - there.len(), "{said}");
    }

    /// A path as that process sees it.
    fn seen_by(sensor: &Watched, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", sensor.id()));
        root.join(path.strip_prefix("/").expect("from the root"))
    }

    fn net_number(said: &str, words: &str) -> usize {
        let before = said.split_once(words).unwrap_or_else(|| panic!("no {words:?} in:\n{said}")).0;
        before.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("a number")
    }

    #[test]
    fn rotation_under_load_loses_doubles_and_tears_nothing() {
        if skipped(&["ip", "python3"]) {
            return;
        }
        let _alone = alone();
        const LOGINS: u32 = 4000;
        let (scratch, net) = (Scratch::new("rotate"), QuietNet::new("rotate"));
        let folder = scratch.folder("out");
        let output = folder.join("out.ndjson");
        let mut sensor = sensor(&net, &output, &["--rotate-size", "1", "--rotate-daily", "--rotate-compress"]);
        let sent = scratch.path("sent.pcap");
        fs::write(&sent, pcap(&logins(0..LOGINS))).expect("the capture");
        thread::scope(|scope| {
            let sending = scope.spawn(|| net.send_at(&sent, 8000));
            while !sending.is_finished() {
                sensor.signal("HUP");
                thread::sleep(Duration::from_millis(20));
            }
        });
        assert_eq!(sensor.stop("TERM").code(), Some(0), "{}", sensor.said());
        assert_eq!(sensor.said(), "", "nothing to tell");
        let mut old: Vec<PathBuf> = fs::read_dir(&folder)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| *path != output)
            .collect();
        old.sort();
        assert!(old.len() >= 3, "{old:?}");
        let mut all = String::new();
        for path in &old {
            let file = fs::File::open(path).expect("a file");
            let text = String::from_utf8(zstd::decode_all(file).expect("compressed")).expect("text");
            assert!(text.len() <= 1024 * 1024 && text.len() > 1_040_000, "{} octets", text.len());
            let packed = fs::metadata(path).expect("a file").len();
            println!("{}: {} octets of {}", path.display(), packed, text.len());
            records(&text);
            all += &text;
        }
        all += &read(&output);
        assert_eq!(clients(&all), (0..LOGINS).collect::<Vec<_>>());
    }

    #[test]
    fn a_file_that_another_program_moves_is_opened_anew() {
        if skipped(&["ip", "python3"]) {
            return;
        }
        let _alone = alone();
        let (scratch, net) = (Scratch::new("moved"), QuietNet::new("moved"));
        let (output, moved) = (scratch.path("out.ndjson"), scratch.path("moved"));
        let mut sensor = sensor(&net, &output, &[]);
        send(&net, &scratch, 0..20);
        wait_until(&mut sensor, "twenty records", |_| read(&output).lines().count() == 20);
        for (round, is_asked) in [(1, false), (2, true)] {
            fs::rename(&output, &moved).expect("moved");
            let began = Instant::now();
            if is_asked {
                sensor.signal("HUP");
            }
            wait_until(&mut sensor, "opened anew", |_| output.exists());
            assert!(began.elapsed() < Duration::from_millis(2500), "took {:?}", began.elapsed());
            assert_ne!(fs::metadata(&output).expect("a file").ino(), fs::metadata(&moved).expect("a file").ino());
            send(&net, &scratch, round * 20..round * 20 + 20);
            wait_until(&mut sensor, "twenty records", |_| read(&output).lines().count() == 20);
            assert_eq!(clients(&read(&output)), (round * 20..round * 20 + 20).collect::<Vec<_>>());
        }
        assert_eq!(sensor.stop("TERM").code(), Some(0), "{}", sensor.said());
        assert_eq!(sensor.said(), "", "nothing to tell");
    }
}
