//! Spoiled files through the program itself: captures of every form and configuration files, thousands of each. Whatever
//! they hold it ends by itself, in time and within its memory, with an exit status that is documented, whole lines of
//! JSON on standard output and words without control characters on standard error; what is wrong with a configuration
//! is one line that names it.
//!
//! A file is its number: the same number, the same file and the same options, as long as the corpus that
//! `BAREWIRE_CORPUS` names is the same. `BAREWIRE_MUTANTS` is how many files are made. A hundred thousand, and one alone,
//! which is kept:
//!
//! ```text
//! BAREWIRE_MUTANTS=100000 cargo test --release --test mutants -- --nocapture
//! BAREWIRE_SEED=4711 cargo test --test mutants
//! ```

#![allow(clippy::print_stderr, reason = "what became of them is told")]

mod forms;
mod octets;
mod words;

use barewire::testing::Random;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Files that are made unless told otherwise; enough for a debug build.
const FILES: u64 = 1200;

/// Whoever takes longer does not end. The largest capture takes a debug build a quarter of a second.
const HANG: Duration = Duration::from_secs(30);

/// Octets of address space: reserved by the allocator for each thread, and the 128 MiB that the largest window of zstd takes.
const ADDRESS_SPACE: u64 = 1536 << 20;

/// Resident octets. A file of a few KiB that takes more has made somebody believe a length.
const RESIDENT: u64 = 320 << 20;

/// Octets of a line that people are told.
const LONGEST_LINE: usize = 1000;

/// What one run came to.
struct Ran {
    status: i32,
    out: Vec<u8>,
    err: Vec<u8>,
}

/// What became of all runs.
#[derive(Default)]
struct Score {
    files: u64,
    runs: u64,
    statuses: BTreeMap<i32, u64>,
    slowest: Duration,
    faults: Vec<String>,
}

impl Score {
    fn add(&mut self, other: Score) {
        self.files += other.files;
        self.runs += other.runs;
        other.statuses.into_iter().for_each(|(status, runs)| *self.statuses.entry(status).or_default() += runs);
        self.slowest = self.slowest.max(other.slowest);
        self.faults.extend(other.faults);
    }
}

/// One thread's place to work in.
struct Bench {
    folder: PathBuf,
    score: Score,
}

impl Bench {
    fn new(name: &str, thread: u64) -> Self {
        let own = format!("{name}-{thread}-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants").join(own);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a scratch folder");
        fs::write(folder.join("key"), b"thirty-two octets made for tests").expect("a key");
        fs::set_permissions(folder.join("key"), fs::Permissions::from_mode(0o600)).expect("its mode");
        Self { folder, score: Score::default() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Runs the program to its end. What is wrong with every run, whatever it was given, is an error.
    fn run(&mut self, arguments: &[String], input: Option<&str>) -> Result<Ran, String> {
        let file = |name: &str| File::create(self.folder.join(name)).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_barewire"));
        command.args(arguments).env_clear().stdout(file("stdout")).stderr(file("stderr"));
        command.stdin(input.map_or_else(Stdio::null, |path| File::open(path).expect("the input").into()));
        let began = Instant::now();
        let mut child = command.spawn().expect("the program runs");
        let mut pause = Duration::from_micros(100);
        let status = loop {
            if let Some(status) = child.try_wait().expect("the child's status") {
                break status;
            }
            if began.elapsed() > HANG {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it did not end within {HANG:?}"));
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(2));
        };
        let read = |name: &str| fs::read(self.folder.join(name)).expect("what was written");
        let (out, err) = (read("stdout"), read("stderr"));
        self.score.runs += 1;
        self.score.slowest = self.score.slowest.max(began.elapsed());
        let said = String::from_utf8_lossy(&err).into_owned();
        let Some(code) = status.code() else { return Err(format!("signal {:?}: {said}", status.signal())) };
        *self.score.statuses.entry(code).or_default() += 1;
        if !(0..=5).contains(&code)
            || ["panicked", "fault in this program", "report"].iter().any(|word| said.contains(word))
        {
            return Err(format!("status {code}: {said}"));
        }
        told_plainly(&err)?;
        Ok(Ran { status: code, out, err })
    }

    /// Keeps the file, so that it can be looked at.
    fn fault(&mut self, seed: u64, file: &str, arguments: &[String], what: &str) {
        let kept = self.folder.with_file_name(format!("fault-{seed}"));
        fs::copy(self.folder.join(file), &kept).expect("the file is kept");
        let what: String = what.chars().take(2000).collect();
        self.score.faults.push(format!("BAREWIRE_SEED={seed} ({}): {arguments:?}: {what}", kept.display()));
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Captures and configurations hold what strangers wrote; terminals must not obey it.
fn told_plainly(said: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(said).map_err(|error| format!("standard error is no text: {error}"))?;
    let is_free = text.chars().all(|c| c == '\n' || !c.is_control() && !('\u{202a}'..='\u{202e}').contains(&c));
    if !is_free || !(text.is_empty() || text.ends_with('\n')) {
        return Err(format!("standard error has control characters or no end: {text:?}"));
    }
    match text.lines().find(|line| line.len() > LONGEST_LINE) {
        Some(line) => Err(format!("a line of {} octets: {:.200}", line.len(), line)),
        None => Ok(()),
    }
}

/// Whole lines, each a record.
fn whole_records(out: &[u8]) -> Result<(), String> {
    if !(out.is_empty() || out.ends_with(b"\n")) {
        return Err("the last line is torn".to_owned());
    }
    for line in out.split_inclusive(|octet| *octet == b'\n') {
        let is_record = line.first() == Some(&b'{') && serde_json::from_slice::<IgnoredAny>(line).is_ok();
        if !is_record || line.len() > 6000 || !line.is_ascii() {
            return Err(format!("no record: {}", String::from_utf8_lossy(line)));
        }
    }
    Ok(())
}

/// One line for what is wrong, and it names what.
fn one_line(ran: &Ran, names: &[&str]) -> Result<(), String> {
    let said = String::from_utf8_lossy(&ran.err);
    let is_one = said.lines().count() == 1 && said.starts_with("barewire: ") && ran.out.is_empty();
    if is_one && names.iter().any(|name| said.contains(name)) {
        return Ok(());
    }
    Err(format!(
        "status {} with {} octets on standard output, and not one line with a name: {said}",
        ran.status,
        ran.out.len()
    ))
}

// --- captures ---------------------------------------------------------------------------------

/// Options that any replay takes.
const OPTIONS: [&[&str]; 13] = [
    &["-q"],
    &["-v"],
    &["-vvv"],
    &["--allow-empty"],
    &["--fail-on", "info"],
    &["--fail-on", "critical"],
    &["--max-loss", "100"],
    &["--max-memory", "16"],
    &["--mail-ports-only"],
    &["--ports", "imap=25,110,143"],
    &["--tls-ports", "smtp=25,587"],
    &["--trusted-segments", "0.0.0.0/0,::/0"],
    &["--weak-secrets"],
];

fn capture(bench: &mut Bench, sources: &[forms::Source], seed: u64) {
    let mut random = Random::new(seed);
    fs::write(bench.folder.join("capture"), octets::mutant(sources, &mut random)).expect("the capture");
    let path = bench.path("capture");
    let mut arguments = vec!["replay".to_owned(), "--fingerprint-key".to_owned(), bench.path("key")];
    let mut names = Vec::new();
    for option in OPTIONS.into_iter().filter(|_| random.chance(15)) {
        if !names.contains(&option[0]) {
            names.push(option[0]);
            arguments.extend(option.iter().map(|word| (*word).to_owned()));
        }
    }
    let kinds = ["findings", "logins", "sessions", "findings,logins,sessions"][random.below(4)];
    arguments.extend(["--records".to_owned(), kinds.to_owned(), "-j".to_owned(), random.below(4).to_string()]);
    let (is_piped, is_twice, is_to_file) = (random.chance(15), random.chance(10), random.chance(10));
    if is_to_file {
        arguments.extend(
            ["-o", "records", "--metrics-file", "page"]
                .map(|word| if word.starts_with('-') { word.to_owned() } else { bench.path(word) }),
        );
    }
    arguments.push(if is_piped { "-".to_owned() } else { path.clone() });
    if is_twice && !is_piped {
        fs::write(bench.folder.join("second"), octets::mutant(sources, &mut random)).expect("the capture");
        arguments.push(bench.path("second"));
    }
    let judged = bench.run(&arguments, is_piped.then_some(path.as_str())).and_then(|ran| {
        whole_records(&ran.out)?;
        if is_to_file && ran.status != 3 {
            whole_records(&fs::read(bench.folder.join("records")).map_err(|error| format!("no records: {error}"))?)?;
        }
        if [2, 5].contains(&ran.status) {
            return Err(format!("status {}: {}", ran.status, String::from_utf8_lossy(&ran.err)));
        }
        if random.chance(20) && !is_to_file {
            same_for_other_workers(bench, &arguments, &ran, is_piped.then_some(&path))
        } else {
            Ok(())
        }
    });
    bench.score.files += 1 + u64::from(is_twice && !is_piped);
    if let Err(what) = judged {
        bench.fault(seed, "capture", &arguments, &what);
    }
}

/// The same octets from another number of workers.
fn same_for_other_workers(
    bench: &mut Bench,
    arguments: &[String],
    first: &Ran,
    input: Option<&String>,
) -> Result<(), String> {
    let mut arguments = arguments.to_vec();
    let jobs = arguments.iter().position(|argument| argument == "-j").expect("an option") + 1;
    let before = std::mem::take(&mut arguments[jobs]);
    arguments[jobs] = if before == "0" { "3" } else { "0" }.to_owned();
    let second = bench.run(&arguments, input.map(String::as_str))?;
    if (first.status, &first.out) == (second.status, &second.out) {
        return Ok(());
    }
    Err(format!(
        "-j {before} has status {}, -j {} {}, or they wrote other records",
        first.status, arguments[jobs], second.status
    ))
}

// --- configurations ---------------------------------------------------------------------------

fn configuration(bench: &mut Bench, texts: &[String], seed: u64) {
    let mut random = Random::new(seed);
    fs::write(bench.folder.join("config"), words::mutant(texts, &mut random)).expect("the configuration");
    let config = bench.path("config");
    // What the file names is read, and told by its own name.
    let names = [config.as_str(), "fingerprint key", "list of weak passwords ", "output ", "baseline ", "--"];
    let check = vec!["check-config".to_owned(), config.clone()];
    let judged = bench.run(&check, None).and_then(|ran| match ran.status {
        0 if ran.err.is_empty() && ran.out.starts_with(format!("{config} is valid.\n").as_bytes()) => {
            told_plainly(&ran.out)
        }
        2 => one_line(&ran, &names),
        status => Err(format!("status {status}: {}", String::from_utf8_lossy(&ran.err))),
    });
    if let Err(what) = judged {
        bench.fault(seed, "config", &check, &what);
    }
    // What is typed comes before the file, which might name any place to write to.
    let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/cases/lab-mailutils-pop3/input.pcap");
    let mut replay: Vec<String> =
        ["replay", "-j", "1", "-c", &config, "-o", &bench.path("records")].map(str::to_owned).into();
    replay.extend(["--metrics-file", &bench.path("page"), "--max-memory", "64", capture].map(str::to_owned));
    let judged = bench.run(&replay, None).and_then(|ran| match ran.status {
        2 => one_line(&ran, &names),
        5 => Err(format!("status 5: {}", String::from_utf8_lossy(&ran.err))),
        _ => whole_records(&fs::read(bench.folder.join("records")).map_err(|error| format!("no records: {error}"))?),
    });
    bench.score.files += 1;
    if let Err(what) = judged {
        bench.fault(seed, "config", &replay, &what);
    }
    if cfg!(feature = "live") && random.chance(25) {
        watch(bench, &config, seed);
    }
}

/// An interface that is none: what else is wrong is told before or after that.
fn watch(bench: &mut Bench, config: &str, seed: u64) {
    let (records, page) = (bench.path("records"), bench.path("page"));
    let watch = ["watch", "-i", "nosuch0", "-c", config, "-o", &records, "--metrics-file", &page].map(str::to_owned);
    let judged = bench.run(&watch, None).and_then(|ran| match ran.status {
        2 | 3 => {
            let read = ["fingerprint key", "list of weak passwords ", "baseline ", "/etc/barewire/ui", "token"];
            one_line(&ran, &[&read[..], &[config, "--", "nosuch0", "libpcap"]].concat())
        }
        status => Err(format!("status {status}: {}", String::from_utf8_lossy(&ran.err))),
    });
    if let Err(what) = judged {
        bench.fault(seed, "config", &watch, &what);
    }
}

// --- all of them ------------------------------------------------------------------------------

/// Tries so many files, on as many threads as half the cores.
fn try_all(name: &str, files: u64, one: impl Fn(&mut Bench, u64) + Sync) {
    static LIMIT: Once = Once::new();
    LIMIT.call_once(limit_address_space);
    let alone: Option<u64> = std::env::var("BAREWIRE_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let began = Instant::now();
    let threads = thread::available_parallelism().map_or(1, usize::from).div_ceil(2) as u64;
    let total = Mutex::new(Score::default());
    thread::scope(|scope| {
        for thread in 0..threads {
            let (one, total) = (&one, &total);
            scope.spawn(move || {
                let mut bench = Bench::new(name, thread);
                let seeds = alone.map_or(0..files, |seed| seed..seed + 1);
                for seed in seeds.filter(|seed| alone.is_some() || seed % threads == thread) {
                    one(&mut bench, seed);
                    // A dozen tell enough.
                    if bench.score.faults.len() >= 12 || alone.is_some_and(|_| thread > 0) {
                        break;
                    }
                }
                total.lock().unwrap_or_else(PoisonError::into_inner).add(std::mem::take(&mut bench.score));
            });
        }
    });
    let score = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    let statuses: Vec<String> = score.statuses.iter().map(|(status, runs)| format!("{status}: {runs}")).collect();
    let largest = largest_child();
    eprintln!(
        "{name}: {} files, {} runs in {} s, the slowest {} ms, the largest {} MiB, {} faults; exit status {}",
        score.files,
        score.runs,
        began.elapsed().as_secs(),
        score.slowest.as_millis(),
        largest >> 20,
        score.faults.len(),
        statuses.join(", ")
    );
    assert!(score.faults.is_empty(), "{}", score.faults.join("\n"));
    assert!(largest < RESIDENT, "{largest} octets");
}

/// Of this process, and so of all that it starts.
fn limit_address_space() {
    let limit = libc::rlimit { rlim_cur: ADDRESS_SPACE, rlim_max: ADDRESS_SPACE };
    // SAFETY: a plain system call on this process.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0, "the limit is set");
}

/// Resident octets of the largest program that was waited for.
fn largest_child() -> u64 {
    // SAFETY: rusage is plain data; all zeroes is one of its values.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` outlives the call.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    // Linux counts KiB, others octets.
    usage.ru_maxrss as u64 * if cfg!(target_os = "linux") { 1024 } else { 1 }
}

fn files() -> u64 {
    std::env::var("BAREWIRE_MUTANTS").map_or(FILES, |files| files.parse().expect("BAREWIRE_MUTANTS is a number"))
}

#[test]
fn spoiled_captures_are_judged_as_far_as_they_go() {
    let corpus = std::env::var_os("BAREWIRE_CORPUS").map(PathBuf::from);
    if corpus.is_none() {
        assert!(std::env::var_os("BAREWIRE_REQUIRE_ALL").is_none(), "BAREWIRE_CORPUS must name the corpus here");
        eprintln!("SKIPPED mutants of the corpus: BAREWIRE_CORPUS does not name the folder");
    }
    let sources = forms::sources(corpus.as_deref());
    assert!(sources.len() > 100, "the captures moved");
    try_all("captures", files() * 7 / 10, |bench, seed| capture(bench, &sources, seed));
}

#[test]
fn spoiled_configurations_are_taken_whole_or_refused_by_line_and_key() {
    // What the files name is there, so that something is wrong only where something was spoiled.
    let named = Bench::new("named", 0);
    let text = |path: &str| {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a text");
        let text = text.replace("/etc/barewire/fingerprint-key", &named.path("key"));
        text.replace("/var/log/barewire/findings.ndjson", &named.path("records"))
    };
    let texts = ["docs/barewire.toml", "packaging/barewire.toml"].map(text);
    try_all("configurations", files() * 3 / 10, |bench, seed| configuration(bench, &texts, seed));
}
