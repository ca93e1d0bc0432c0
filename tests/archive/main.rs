//! An archive in steps against a replay of all of it: the same octets, whatever the partitions, the scheduler and what
//! happened on the way; and whatever is missing is named.
//!
//! `BAREWIRE_ARCHIVE_FLOWS` is the number of connections; by default few, for a debug build.

#![allow(clippy::print_stderr, reason = "a skipped test must be loud")]

#[cfg(feature = "cloud")]
mod cloud;
mod inside;
#[path = "../bed/program.rs"]
mod program;
mod told;
mod traffic;

use barewire::testing::{Random, Speaker, Transcript};
use barewire::wire::Timestamp;
use program::barewire;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use traffic::{NETWORK, Shape, World, archive, captured, captures, in_files, laid_out};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// Of a connection that a map has left out and that the engine of the whole would have looked at.
const NOT_KEPT: &str = "not all packets were kept";
const RECORDS: &str = "findings,logins,sessions";

/// A folder with captures, a key, and what a replay of the captures says.
struct Bed {
    folder: PathBuf,
    captures: Vec<String>,
    options: Vec<&'static str>,
    want: Output,
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn flows(default: usize) -> usize {
    std::env::var("BAREWIRE_ARCHIVE_FLOWS").map_or(default, |count| count.parse().expect("a number"))
}

impl Bed {
    fn of(name: &str, captures: &[Vec<u8>], options: Vec<&'static str>) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("archive-{name}"));
        let captures = laid_out(&folder, captures);
        Self::over(folder, captures, options)
    }

    fn over(folder: PathBuf, captures: Vec<String>, options: Vec<&'static str>) -> Self {
        let key = folder.join("key");
        fs::write(&key, KEY).expect("a key");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("a mode");
        let key = key.display().to_string();
        let mut arguments = vec!["replay", "-q", "-j", "0", "--records", RECORDS, "--fingerprint-key", &key];
        arguments.extend(&options);
        arguments.extend(captures.iter().map(String::as_str));
        let want = barewire(&arguments);
        Self { folder, captures, options, want }
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn manifest(&self) -> String {
        self.path("out/manifest.json")
    }

    fn plan(&self, partitions: u32) {
        self.plan_with(partitions, &[]);
    }

    fn plan_with(&self, partitions: u32, more: &[&str]) {
        let (key, out, partitions) = (self.path("key"), self.path("out"), partitions.to_string());
        drop(fs::remove_dir_all(&out));
        let mut arguments = vec!["archive", "plan", "-q", "-p", &partitions, "--out", &out, "--fingerprint-key", &key];
        arguments.extend(self.options.iter().filter(|option| !option.starts_with("--max-loss")));
        arguments.extend(more);
        arguments.extend(self.captures.iter().map(String::as_str));
        done(&barewire(&arguments));
    }

    fn map(&self, index: usize) -> Output {
        barewire(&["archive", "map", "-q", "--manifest", &self.manifest(), "--file", &index.to_string()])
    }

    fn reduce(&self, partition: u32) -> Output {
        let (manifest, key, partition) = (self.manifest(), self.path("key"), partition.to_string());
        barewire(&["archive", "reduce", &partition, "-q", "--manifest", &manifest, "--fingerprint-key", &key])
    }

    fn finish(&self) -> Output {
        let manifest = self.manifest();
        let mut arguments = vec!["archive", "finish", "-q", "--manifest", &manifest, "--records", RECORDS];
        arguments.extend(self.options.iter().filter(|option| option.starts_with("--max-loss")));
        barewire(&arguments)
    }

    /// All steps, one after the other.
    fn run(&self, partitions: u32) -> Output {
        self.run_with(partitions, &[])
    }

    fn run_with(&self, partitions: u32, of_plan: &[&str]) -> Output {
        self.plan_with(partitions, of_plan);
        (0..self.captures.len()).for_each(|index| done(&self.map(index)));
        (0..partitions).for_each(|partition| done(&self.reduce(partition)));
        self.finish()
    }

    fn check(&self, got: &Output) {
        assert!(self.want.stdout.len() > 1000, "the replay found next to nothing: {}", told(&self.want));
        assert_eq!(got.status.code(), self.want.status.code(), "{}\n{}", told(got), told(&self.want));
        self.check_records(got);
        assert_eq!(told(got), told(&self.want));
    }

    fn check_records(&self, got: &Output) {
        if got.stdout == self.want.stdout {
            return;
        }
        let lines = |output: &Output| -> Vec<String> {
            String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
        };
        let (got, want) = (lines(got), lines(&self.want));
        let first = got.iter().zip(&want).position(|(got, want)| got != want).unwrap_or(got.len().min(want.len()));
        panic!("{} and {} lines; at {first}:\n{:?}\n{:?}", got.len(), want.len(), got.get(first), want.get(first));
    }
}

fn done(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", told(output));
}

#[test]
fn the_records_are_those_of_a_replay_whatever_the_partitions() {
    for seed in 0..3 {
        let captures = archive(seed, flows(400), 64, Shape::Rotated);
        assert_eq!(captures.len(), 64);
        let bed = Bed::of(&format!("rotated-{seed}"), &captures, vec![]);
        for partitions in if seed == 0 { vec![1, 4, 8] } else { vec![5] } {
            bed.check(&bed.run(partitions));
        }
    }
}

/// Fragments and tunnels in fragments among them, whose ports a map does not know.
#[test]
fn two_hosts_with_all_the_traffic_between_them_are_in_all_partitions() {
    let pair = World { hosts: 1, ..NETWORK };
    let frames = captures(5, pair, flows(400), 8, Shape::Rotated);
    let bed = Bed::of("pair", &in_files(&frames), vec![]);
    bed.check(&bed.run(4));
    let records = |partition: u32| {
        let done = fs::read(bed.path(&format!("out/reduce/{partition}/reduce.json"))).expect("what the reduce did");
        serde_json::from_slice::<serde_json::Value>(&done).expect("JSON")["records"].as_u64().expect("a number")
    };
    let records: Vec<u64> = (0..4).map(records).collect();
    let all: u64 = records.iter().sum();
    assert!(records.iter().all(|records| (all / 8..all / 2).contains(records)), "{records:?}");
}

#[test]
fn the_directions_of_a_link_in_files_of_their_own() {
    let bed = Bed::of("tap", &archive(9, flows(400), 16, Shape::Tap), vec![]);
    bed.check(&bed.run(3));
}

#[test]
fn the_plan_says_from_when_to_when_each_capture_goes() {
    let frames = captures(6, NETWORK, 60, 4, Shape::Rotated);
    let bed = Bed::of("times", &in_files(&frames), vec![]);
    bed.plan(2);
    let manifest = fs::read(bed.manifest()).expect("a plan");
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("JSON");
    for (at, frames) in frames.iter().enumerate() {
        let ends = [frames.first(), frames.last()].map(|frame| frame.map(|frame| frame.time.0));
        let planned = ["first", "last"].map(|end| manifest["captures"][at][end].as_u64());
        assert!(planned == ends && ends[0].is_some(), "{planned:?} {ends:?}");
    }
}

#[test]
fn two_taps_of_a_link_are_told_unless_all_is_kept() {
    let bed = Bed::of("taps", &archive(9, flows(400), 16, Shape::Twice), vec![]);
    let got = bed.run(3);
    assert!(got.status.code() == Some(4) && told(&got).contains(NOT_KEPT), "{}", told(&got));
    bed.check(&bed.run_with(3, &["--keep-all"]));
}

#[test]
fn captures_may_be_listed() {
    let bed = Bed::of("listed", &archive(2, 40, 3, Shape::Rotated), vec![]);
    bed.plan(2);
    let typed = fs::read(bed.manifest()).expect("a plan");
    let (list, key, out) = (bed.path("list"), bed.path("key"), bed.path("out"));
    fs::write(&list, format!("{}\r\n\n{}", bed.captures[0], bed.captures[1..].join("\n"))).expect("a list");
    done(&barewire(&["archive", "plan", "-q", "-p", "2", "--out", &out, "--fingerprint-key", &key, "--list", &list]));
    assert_eq!(fs::read(bed.manifest()).expect("a plan"), typed);
}

#[test]
fn the_options_of_the_plan_hold_for_all_steps() {
    let options = vec![
        "--mail-ports-only",
        "--ports=imap=143,10001,10002",
        "--trusted-segments=10.0.0.0/27,198.51.100.0/24",
        "--privileged-users=u1,u2",
        "--weak-secrets",
    ];
    let bed = Bed::of("options", &archive(4, flows(300), 12, Shape::Rotated), options);
    bed.check(&bed.run(4));
}

/// What is kept of connections that nobody knows has a bound, and what it costs is told.
#[test]
fn packets_that_were_wanted_and_not_kept_are_told() {
    let bed = Bed::of("bound", &archive(3, flows(300), 8, Shape::Rotated), vec!["--max-loss=100"]);
    let got = bed.run_with(2, &["--unknown=0"]);
    assert_eq!((bed.want.status.code(), got.status.code()), (Some(0), Some(4)), "{}", told(&got));
    assert!(told(&got).contains("not all packets were kept; plan with --keep-all"), "{}", told(&got));
}

/// A step that is ended at a moment that nobody chose, and begun again.
fn interrupted(arguments: &[&str], after: std::time::Duration) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_barewire"))
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program runs");
    std::thread::sleep(after);
    // SIGKILL: it has no chance to tidy up.
    drop(child.kill());
    child.wait().expect("it was started");
}

/// The files of a folder and below with their octets, but for those left behind unfinished.
fn files(folder: &Path, all: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, all);
        } else if path.extension().is_none_or(|extension| extension != "unfinished") {
            let octets = fs::read(&path).expect("a file");
            all.push((path, octets));
        }
    }
    all.sort();
}

#[test]
fn steps_that_are_killed_and_run_again_or_twice_at_once_write_the_same_files() {
    let bed = Bed::of("killed", &archive(5, flows(300), 6, Shape::Rotated), vec![]);
    bed.check(&bed.run(3));
    let (mut want, mut got) = (Vec::new(), Vec::new());
    files(&bed.folder.join("out"), &mut want);
    bed.plan(3);
    let manifest = bed.manifest();
    let key = bed.path("key");
    for round in 0..40 {
        let after = std::time::Duration::from_micros(round * 1700 % 41_000);
        let index = (round % 6).to_string();
        interrupted(&["archive", "map", "-q", "--manifest", &manifest, "--file", &index], after);
    }
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..bed.captures.len()).for_each(|index| done(&bed.map(index))));
        }
    });
    for round in 0..24 {
        let after = std::time::Duration::from_micros(round * 1700 % 41_000);
        let partition = (round % 3).to_string();
        interrupted(
            &["archive", "reduce", &partition, "-q", "--manifest", &manifest, "--fingerprint-key", &key],
            after,
        );
    }
    (0..3).for_each(|partition| done(&bed.reduce(partition)));
    files(&bed.folder.join("out"), &mut got);
    let names = |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
    assert_eq!(names(&got), names(&want));
    assert!(got == want, "a file differs");
    bed.check(&bed.finish());
}

/// What is done to an archive, and what is told of it: by finish, or by the reduce that reads it.
#[test]
fn whatever_is_missing_or_unequal_is_named() {
    let bed = Bed::of("damaged", &archive(6, flows(200), 4, Shape::Rotated), vec![]);
    bed.check(&bed.run(2));
    let out = bed.folder.join("out");
    let refused = |output: Output, named: &str| {
        assert_eq!(output.status.code(), Some(4), "{named}: {}", told(&output));
        assert!(told(&output).contains(named), "{named}: {}", told(&output));
        assert!(output.stdout.is_empty(), "{named}");
    };
    // Each is put back afterwards.
    let with = |name: &str, change: &dyn Fn(&Path), named: &str| {
        let path = out.join(name);
        let kept = fs::read(&path).expect("a file of the archive");
        change(&path);
        refused(bed.finish(), named);
        fs::write(&path, kept).expect("put back");
    };
    let remove = |path: &Path| fs::remove_file(path).expect("a file");
    let cut = |path: &Path| {
        let octets = fs::read(path).expect("a file");
        fs::write(path, &octets[..octets.len() / 2]).expect("a file");
    };
    let of_another = |path: &Path| {
        let other = path.display().to_string().replace("/map/1/", "/map/2/");
        fs::copy(other, path).expect("a file");
    };
    for name in ["map/1/part-0.pcapng.zst", "map/2/part-1.pcapng.zst", "map/1/fragments.pcapng.zst"] {
        with(name, &remove, name);
        with(name, &cut, name);
    }
    with("map/1/part-0.pcapng.zst", &of_another, "map/1/part-0.pcapng.zst");
    with("map/1/map.json", &remove, "the map of");
    with("map/1/map.json", &cut, "map/1/map.json");
    with("map/1/map.json", &of_another, "map of another capture");
    let elsewhere = |path: &Path| {
        let text = fs::read_to_string(path).expect("what a map has done");
        fs::write(path, text.replace("part-0.pcapng.zst", "../../../part-0.pcapng.zst")).expect("a file");
    };
    with("map/1/map.json", &elsewhere, "no map writes a file ../../../part-0.pcapng.zst");
    with("reduce/1/reduce.json", &remove, "reduce 1 is missing");
    with("reduce/1/records.zst", &remove, "reduce/1/records.zst");
    with("reduce/1/records.zst", &cut, "reduce/1/records.zst");
    // Of the same size, and other records.
    let turned = |path: &Path| {
        let mut octets = fs::read(path).expect("a file");
        let middle = octets.len() / 2;
        octets[middle] ^= 1;
        fs::write(path, octets).expect("a file");
    };
    with("reduce/0/records.zst", &turned, "run reduce 0 again");
    let odd = |path: &Path| {
        let text = fs::read_to_string(path).expect("what a step has done");
        fs::write(path, text.replace("\"mail connections\"", "\"mail connection\"")).expect("a file");
    };
    with("reduce/1/reduce.json", &odd, "reduce/1/reduce.json: counters that no step has");
    let manifest = |path: &Path| {
        let text = fs::read_to_string(path).expect("a plan");
        fs::write(path, text.replace("\"--max-memory=512\"", "\"--max-memory=511\"")).expect("a plan");
    };
    with("manifest.json", &manifest, "it was made by another plan");
    // A reduce reads no part but the one that the map has written.
    for (change, name) in [
        (&turned as &dyn Fn(&Path), "map/1/part-0.pcapng.zst"),
        (&cut, "map/1/part-0.pcapng.zst"),
        (&of_another, "map/1/part-0.pcapng.zst"),
        (&remove, "map/1/part-0.pcapng.zst"),
        (&turned, "map/1/left-out-0.zst"),
        (&remove, "map/1/map.json"),
    ] {
        let path = out.join(name);
        let kept = fs::read(&path).expect("a file of the archive");
        change(&path);
        refused(bed.reduce(0), name);
        fs::write(&path, kept).expect("put back");
    }
    bed.check(&bed.finish());
}

/// Two captures of one time and length, of which a password near the beginning is all that differs.
#[test]
fn what_differs_far_from_the_end_is_other() {
    let capture = |secret: &str| {
        let text = format!("S: +OK ready\nC: USER u\nS: +OK\nC: PASS {secret}\nS: +OK in\nC: RETR 1\nS: +OK");
        let talk = Transcript::parse(110, &text).at(Timestamp(1_700_000_000_000_000_000));
        let mut random = Random::new(1);
        let line = |random: &mut Random| -> Vec<u8> { (0..1200).map(|_| b'0' + random.below(64) as u8).collect() };
        let talk = (0..400).fold(talk, |talk, _| talk.say(Speaker::Server, &line(&mut random)));
        talk.play().iter().map(captured).collect::<Vec<_>>()
    };
    let bed = Bed::of("early", &in_files(&[capture("made-up-1"), capture("made-up-2")]), vec![]);
    bed.plan(1);
    (0..2).for_each(|index| done(&bed.map(index)));
    let [one, two] = [0, 1].map(|index| bed.folder.join(format!("out/map/{index}/part-0.pcapng.zst")));
    let [first, second] = [&one, &two].map(|path| fs::read(path).expect("a part"));
    assert!(first != second && first.len() == second.len() && first.ends_with(&second[second.len() - 100_000..]));
    fs::write(&one, &second).and_then(|()| fs::write(&two, &first)).expect("parts");
    let refused = bed.reduce(0);
    assert_eq!(refused.status.code(), Some(4), "{}", told(&refused));
    assert!(told(&refused).contains("it is not what the map has written"), "{}", told(&refused));
}

#[test]
fn of_captures_that_cannot_be_read_nothing_is_said() {
    let bed = Bed::of("junk", &[b"no capture".to_vec(), Vec::new()], vec![]);
    let output = bed.path("records.ndjson");
    fs::write(&output, "kept").expect("a file");
    bed.run(1);
    let finish = barewire(&["archive", "finish", "--manifest", &bed.manifest(), "-o", &output]);
    assert_eq!((finish.status.code(), bed.want.status.code()), (Some(3), Some(3)), "{}", told(&finish));
    let replay = barewire(
        &[&["replay", "-o", &output][..], &bed.captures.iter().map(String::as_str).collect::<Vec<_>>()].concat(),
    );
    assert_eq!(told(&finish), told(&replay));
    assert_eq!(fs::read_to_string(&output).expect("a file"), "kept");
}

#[test]
fn what_cannot_be_meant_is_told_in_one_line() {
    let bed = Bed::of("usage", &archive(7, 60, 2, Shape::Rotated), vec![]);
    bed.plan(2);
    let manifest = bed.manifest();
    let other = bed.path("other-key");
    fs::write(&other, KEY.replace("00", "11")).expect("a key");
    fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).expect("a mode");
    let out = bed.path("out");
    let capture = &bed.captures[0];
    let missing = bed.path("no-such.pcap");
    let key = bed.path("key");
    let empty = bed.path("empty");
    fs::write(&empty, "\r\n\n").expect("a list");
    for (arguments, status, words) in [
        (vec!["plan", "--out", &out, capture], 2, "--fingerprint-key: name one"),
        (vec!["plan", "--out", &out, "--fingerprint-key", &key, &missing], 3, "no-such.pcap"),
        (vec!["plan", "--out", &out, "--fingerprint-key", &key, "-"], 3, "name the files"),
        (vec!["plan", "--out", &out, "--fingerprint-key", &key, "-p", "0", capture], 2, "--partitions 0"),
        (vec!["plan", "--out", &out, "--fingerprint-key", &key], 2, "<URI>"),
        (vec!["plan", "--out", "https://x/y", "--fingerprint-key", &key, capture], 2, "https:// is not known"),
        (vec!["plan", "--out", &out, "--fingerprint-key", &key, "--list", &missing], 2, "--list"),
        (vec!["plan", "--out", &out, "--fingerprint-key", &key, "--list", &empty], 2, "it names no capture"),
        (vec!["plan", "--out", &out, "--fingerprint-key", &key, "--list", &empty, capture], 2, "cannot be used with"),
        (vec!["map", "--manifest", &manifest], 2, "name one, or its index"),
        (vec!["map", "--manifest", &manifest, "--file", "2"], 2, "no such capture"),
        (vec!["map", "--manifest", &key, "--file", "0"], 3, "it is no plan"),
        (vec!["reduce", "2", "--manifest", &manifest, "--fingerprint-key", &key], 2, "partition 2"),
        (vec!["reduce", "0", "--manifest", &manifest, "--fingerprint-key", &other], 2, "and the plan's is"),
        (vec!["reduce", "0", "--manifest", &manifest, "--fingerprint-key", &key], 4, "the map of"),
        (vec!["finish", "--manifest", &manifest], 4, "missing"),
        (
            vec!["finish", "--manifest", &manifest, "-o", &manifest],
            2,
            "is an input, and writing to it would destroy it",
        ),
    ] {
        let output = barewire(&[&["archive"], &arguments[..]].concat());
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", told(&output));
        assert!(told(&output).contains(words), "{arguments:?}: {}", told(&output));
    }
    // A capture that has grown since it was planned.
    bed.plan(2);
    let grown = [fs::read(capture).expect("a capture"), vec![0; 9]].concat();
    fs::write(capture, grown).expect("a capture");
    let output = bed.map(0);
    assert_eq!(output.status.code(), Some(3), "{}", told(&output));
    assert!(told(&output).contains("when it was planned"), "{}", told(&output));
}

/// The captures of the corpus as one archive; many are damaged, or no captures at all.
#[test]
fn the_corpus_as_an_archive() {
    let Some(corpus) = std::env::var_os("BAREWIRE_CORPUS").map(PathBuf::from) else {
        assert!(std::env::var_os("BAREWIRE_REQUIRE_ALL").is_none(), "BAREWIRE_CORPUS must name the corpus here");
        return eprintln!("SKIPPED archive: BAREWIRE_CORPUS does not name the folder");
    };
    let mut captures = Vec::new();
    let mut folders = vec![corpus];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains(".pcap") || path.to_string_lossy().contains(".cap") {
                captures.push(path.display().to_string());
            }
        }
    }
    captures.sort();
    assert!(captures.len() >= 200, "the corpus has {}", captures.len());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("archive-corpus");
    fs::create_dir_all(&folder).expect("a folder");
    let bed = Bed::over(folder, captures, vec![]);
    let got = bed.run(4);
    assert_eq!(got.status.code(), bed.want.status.code(), "{}", told(&got));
    bed.check_records(&got);
}

/// A scheduler that everybody has.
#[test]
fn xargs_runs_the_steps() {
    let bed = Bed::of("xargs", &archive(8, flows(300), 16, Shape::Rotated), vec![]);
    bed.plan(8);
    let (program, manifest, key) = (env!("CARGO_BIN_EXE_barewire"), bed.manifest(), bed.path("key"));
    let script = format!(
        "seq 0 15 | xargs -P2 -I@ '{program}' archive map -q --manifest '{manifest}' --file @ &&
         seq 0 7 | xargs -P2 -I@ '{program}' archive reduce @ -q --manifest '{manifest}' --fingerprint-key '{key}'"
    );
    done(&Command::new("sh").arg("-c").arg(script).output().expect("a shell"));
    bed.check(&bed.finish());
}
