//! What a program that was at work holds in its memory: everything that a core dump would have, and the mapped files.
//!
//! The program is stopped where it waits for somebody else: for more of its input, or for whoever reads its output. It lets
//! nobody look at its memory but root; without root this skips, loudly.

use super::forms::{contains, forms};
use std::fs::{self, File};
use std::io::{PipeReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsRawFd as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long the program may take to get there.
const PATIENCE: Duration = Duration::from_secs(30);

/// Octets before a secret that tell a frame from a copy of what was in it: they reach into the headers of the packet.
const BEFORE: usize = 28;

/// Where a secret was found.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
pub(crate) enum Place {
    /// Within the capture file, as the kernel holds it for everybody.
    MappedFile,
    /// Within a frame as it was captured: a buffer that was read into and not yet overwritten.
    Frame,
    /// A copy of its own.
    Apart,
}

/// A program that never outlives the test.
pub(crate) struct Held {
    child: Child,
    /// Full, and nobody reads it.
    _output: Option<PipeReader>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Held {
    /// Runs it until it has judged everything and waits for its records to be taken.
    pub(crate) fn at_its_end(command: &mut Command) -> Self {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        // SAFETY: a plain system call on a descriptor that is open.
        let octets = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, 4096) };
        writer.write_all(&vec![b'\n'; usize::try_from(octets).expect("the pipe's size")]).expect("the pipe is filled");
        let child = command.stdout(writer).spawn().expect("the program runs");
        let held = Self { child, _output: Some(reader) };
        held.wait_until_idle();
        held
    }

    /// Hands it its input, keeps that open and waits until it has read all of it.
    pub(crate) fn before_its_end(command: &mut Command, input: &[u8]) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the program runs");
        child.stdin.as_mut().expect("piped").write_all(input).expect("the input is taken");
        let held = Self { child, _output: None };
        held.wait_until_idle();
        held
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it by a signal.
    pub(crate) fn end_by(&mut self, signal: i32) -> ExitStatus {
        // SAFETY: a plain system call; the child was not waited for, so its number is its own.
        assert_eq!(unsafe { libc::kill(self.id().cast_signed(), signal) }, 0, "it is there");
        self.child.wait().expect("an end")
    }

    /// All threads sleep, and none has taken time since the last looks.
    fn wait_until_idle(&self) {
        let began = Instant::now();
        let (mut before, mut same) = (String::new(), 0);
        while same < 6 {
            assert!(began.elapsed() < PATIENCE, "it does not come to rest");
            thread::sleep(Duration::from_millis(25));
            let now = threads(self.id());
            same = if now == before && now.split('\n').all(|line| line.starts_with('S')) { same + 1 } else { 0 };
            before = now;
        }
    }
}

/// State and time taken of each thread, one a line.
fn threads(process: u32) -> String {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let mut lines: Vec<String> = tasks
        .filter_map(|task| fs::read_to_string(task.path().join("stat")).ok())
        .map(|stat| {
            // proc(5): the name, in parentheses, may hold anything; after it state, and eleven fields on the times.
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            format!("{} {} {}", fields[0], fields[11], fields[12])
        })
        .collect();
    lines.sort();
    lines.join("\n")
}

/// Whether the test must be left out, which is said loudly, or fails where that isn't allowed.
pub(crate) fn skipped() -> bool {
    // SAFETY: a plain system call.
    if unsafe { libc::geteuid() } == 0 {
        return false;
    }
    let line = "SKIPPED leak: only root can look at the program's memory";
    assert!(std::env::var_os("BAREWIRE_REQUIRE_ALL").is_none(), "BAREWIRE_REQUIRE_ALL is set, but: {line}");
    writeln!(std::io::stderr(), "{line}").expect("standard error");
    true
}

/// Every place where one of the secrets stands in the memory of a process. `frames`: the octets of all frames.
pub(crate) fn found(process: u32, frames: &[u8], secrets: &[&[u8]]) -> Vec<(Place, String)> {
    let wanted: Vec<(usize, Vec<u8>)> = secrets
        .iter()
        .enumerate()
        .flat_map(|(at, secret)| forms(secret).into_iter().map(move |form| (at, form)))
        .collect();
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).expect("its maps");
    let mut memory = File::open(format!("/proc/{process}/mem")).expect("its memory");
    let mut found = Vec::new();
    let mut looked_at = 0;
    for line in maps.lines() {
        // proc(5): begin-end rights offset device inode path
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (begin, end) = fields[0].split_once('-').expect("a range");
        let [begin, end] = [begin, end].map(|at| u64::from_str_radix(at, 16).expect("an address"));
        let name = fields.get(5).copied().unwrap_or("anonymous");
        // What can't be written to is code, or a file that is mapped.
        let is_capture = fields[1].starts_with("r--s");
        if !fields[1].starts_with("rw") && !is_capture || name.starts_with("[v") {
            continue;
        }
        let mut octets = vec![0; (end - begin) as usize];
        memory.seek(SeekFrom::Start(begin)).expect("an address");
        // A map may be longer than its file.
        if memory.read_exact(&mut octets).is_err() {
            continue;
        }
        looked_at += octets.len();
        for (from, part) in written_to(&octets) {
            for (secret, form) in &wanted {
                for at in memchr::memmem::find_iter(part, form) {
                    let with_headers = &part[at.saturating_sub(BEFORE)..at + form.len()];
                    let is_frame = at >= BEFORE && contains(frames, with_headers);
                    let place = match () {
                        () if is_capture => Place::MappedFile,
                        () if is_frame => Place::Frame,
                        () => Place::Apart,
                    };
                    let around = &part[at.saturating_sub(24)..(at + form.len() + 8).min(part.len())];
                    let address = begin as usize + from + at;
                    found.push((place, format!("secret {secret} in {name} at {address:x}: {}", around.escape_ascii())));
                }
            }
        }
    }
    assert!(looked_at > 1 << 16, "the memory was read");
    found
}

/// Runs of pages that do not hold zeros only, and where they begin: most of what is reserved was never touched.
fn written_to(octets: &[u8]) -> Vec<(usize, &[u8])> {
    const PAGE: usize = 4096;
    let is_empty = |at: usize| octets[at..(at + PAGE).min(octets.len())] == [0; PAGE][..PAGE.min(octets.len() - at)];
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for at in (0..octets.len()).step_by(PAGE).filter(|at| !is_empty(*at)) {
        match runs.last_mut().filter(|(_, end)| *end == at) {
            Some((_, end)) => *end = at + PAGE,
            None => runs.push((at, at + PAGE)),
        }
    }
    runs.into_iter().map(|(from, to)| (from, &octets[from..to.min(octets.len())])).collect()
}
