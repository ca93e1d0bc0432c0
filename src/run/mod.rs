//! Wires sources, engines and outputs for a command. Alone starts threads for them and reads clocks.

mod archive;
mod book;
mod confine;
mod correlate;
mod delivery;
mod documents;
mod evidence;
#[cfg(feature = "live")]
mod file;
mod follow;
#[cfg(feature = "live")]
mod gauges;
#[cfg(feature = "live")]
mod health;
mod listener;
#[cfg(feature = "live")]
mod live_book;
#[cfg(feature = "live")]
mod look;
mod metrics;
#[cfg(feature = "live")]
mod pages;
mod post;
mod replay;
mod report;
#[cfg(feature = "live")]
mod reporter;
#[cfg(feature = "live")]
mod rotate;
mod scores;
mod sink;
mod telling;
mod ui;
mod waiting;
#[cfg(feature = "live")]
mod watch;

pub use archive::{FinishJob, MapJob, PlanJob, Planned, ReduceJob, finish, map, plan, reduce};
pub use correlate::{CorrelateJob, correlate};
pub use documents::Documents;
#[cfg(feature = "live")]
pub use health::Alarms;
pub use replay::{ReplayJob, replay};
pub use report::{ReportJob, report};
#[cfg(feature = "live")]
pub use reporter::MetricsOptions;
#[cfg(feature = "live")]
pub use rotate::Rotation;
pub use ui::{UiJob, UiOptions, ui};
#[cfg(feature = "live")]
pub use watch::{Reloaded, WatchJob, watch};

use crate::engine::Counters;
use crate::ops::{Summary, counted, one_line};
use crate::wire::{Skip, Timestamp};
use book::Tally;
use std::fmt;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A failure that ends the program: its exit status and one line.
#[derive(Debug)]
pub struct Failure {
    /// The exit status.
    pub status: u8,
    /// What was being done and why it failed.
    pub message: String,
}

impl Failure {
    /// Whatever a file or a name in the message holds, it is told in one line.
    fn new(status: u8, message: impl Into<String>) -> Self {
        Self { status, message: one_line(&message.into()) }
    }

    /// Wrong usage or configuration: status 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(2, message)
    }

    /// An input could not be read: status 3.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(3, message)
    }

    /// The output could not be written: status 5.
    pub fn output(message: impl Into<String>) -> Self {
        Self::new(5, message)
    }

    /// A thread ended by a fault of this program: status 2, and which.
    fn fault(thread: &str) -> Self {
        Self {
            status: 2,
            message: format!("the thread {thread} ended by a fault in this program; its records are lost"),
        }
    }
}

fn spawn<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>, Failure> {
    let failed = |error| Failure::usage(format!("starting a thread: {error}"));
    Builder::new().name(name.to_owned()).spawn(work).map_err(failed)
}

/// A thread that held it and ended by a fault ends the run; what it had noted is true all the same.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What tells a file from others, whatever its name.
fn identity(metadata: &std::fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Whether an input can be read a second time: not standard input, pipes and devices. What is not there is told elsewhere.
fn can_be_read_again(path: &Path) -> bool {
    path.as_os_str() != "-" && std::fs::metadata(path).map_or(true, |file| file.is_file() || file.is_dir())
}

/// No output must be a file that is read, or another output: opening it would destroy what is there.
fn refuse_overwriting<'a>(
    read: impl IntoIterator<Item = &'a PathBuf>,
    outputs: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<(), Failure> {
    let read: Vec<&PathBuf> = read.into_iter().collect();
    let mut places: Vec<PathBuf> = Vec::new();
    for output in outputs {
        let found = std::fs::metadata(output).ok();
        if found.as_ref().is_some_and(|found| !found.is_file()) {
            continue;
        }
        let wanted = found.as_ref().map(identity);
        let is_same = |input: &&&PathBuf| std::fs::metadata(input).ok().as_ref().map(identity) == wanted;
        if let Some(input) = read.iter().filter(|_| wanted.is_some()).find(is_same) {
            return Err(Failure::usage(format!(
                "{} is an input, and writing to it would destroy it; name another file",
                input.display()
            )));
        }
        let place = place(output);
        if places.contains(&place) {
            return Err(Failure::usage(format!("two outputs go to {}; name another file", output.display())));
        }
        places.push(place);
    }
    Ok(())
}

/// Writes FILE anew, or standard output, whose reader may have seen enough.
fn write_out(path: Option<&Path>, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let to = |out: &mut dyn Write| {
        let mut out = BufWriter::new(out);
        write(&mut out).and_then(|()| out.flush())
    };
    let Some(path) = path else {
        return match to(&mut io::stdout().lock()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::output(format!("writing standard output: {error}")))
            }
            _ => Ok(()),
        };
    };
    let written = std::fs::File::create(path).and_then(|mut file| to(&mut file));
    written.map_err(|error| Failure::output(format!("{}: {error}", path.display())))
}

/// Where a path leads, whether there is a file yet or not.
fn place(path: &Path) -> PathBuf {
    let in_folder = || {
        let folder = crate::ops::folder_of(path).canonicalize().ok()?;
        Some(folder.join(path.file_name()?))
    };
    path.canonicalize().ok().or_else(in_folder).unwrap_or_else(|| path.to_owned())
}

/// The time of day, as packets are stamped.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64))
}

/// Kinds of records to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds {
    /// Distinct findings.
    pub findings: bool,
    /// Login attempts.
    pub logins: bool,
    /// Connections.
    pub sessions: bool,
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [(self.findings, "findings"), (self.logins, "logins"), (self.sessions, "sessions")];
        let names: Vec<&str> = all.into_iter().filter_map(|(is_wanted, name)| is_wanted.then_some(name)).collect();
        f.write_str(&names.join(", "))
    }
}

/// What the exit status depends on.
#[derive(Clone, Copy, Debug)]
pub struct Judging {
    /// Severity, 1 to 5, from which findings make status 1.
    pub fail_on: Option<u8>,
    /// No mail is no error.
    pub allow_empty: bool,
    /// Per cent of connections with gaps or of frames dropped that is still complete.
    pub max_loss_percent: f64,
}

/// What came in, for the exit status and the summary.
struct Intake {
    counters: Counters,
    /// Frames the capture handed over.
    captured: u64,
    /// Frames dropped on the way to a worker.
    dropped: u64,
    /// Frames the kernel dropped.
    dropped_by_kernel: u64,
    /// Inputs that were cut or damaged, one line each.
    damaged: Vec<String>,
    /// Inputs of which nothing could be read.
    unreadable: Vec<String>,
    /// Connections of which an archive does not hold what would have been looked at.
    missed: Vec<String>,
    elapsed: Duration,
}

impl Intake {
    /// Frames captured = segments + skipped + dropped. Anything else is a fault of this program.
    fn check(&self) -> Result<(), Failure> {
        let accounted = self.counters.frames + self.dropped;
        if self.counters.is_balanced() && accounted == self.captured {
            return Ok(());
        }
        Err(Failure {
            status: 4,
            message: format!(
                "{} frames were captured but {accounted} accounted for; please report this",
                self.captured
            ),
        })
    }
}

/// The highest status that applies, and why.
fn status(judging: &Judging, tally: &Tally, intake: &Intake) -> (u8, String) {
    if let Some(why) = incomplete(judging, tally, intake) {
        return (4, why);
    }
    if !intake.unreadable.is_empty() {
        return (3, "an input could not be read".to_owned());
    }
    if tally.sessions() == 0 && !judging.allow_empty {
        return (3, "no mail connection was seen (--allow-empty makes that no error)".to_owned());
    }
    match judging.fail_on {
        Some(bound) if tally.worst_severity >= bound => (1, "findings at or above --fail-on".to_owned()),
        _ => (0, String::new()),
    }
}

fn incomplete(judging: &Judging, tally: &Tally, intake: &Intake) -> Option<String> {
    // Gaps may come of that.
    if !intake.missed.is_empty() {
        return Some("packets that would have been looked at are not in the archive".to_owned());
    }
    let per_cent = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 };
    let gaps = per_cent(tally.incomplete_sessions, tally.sessions());
    if gaps > judging.max_loss_percent {
        return Some(format!(
            "{gaps:.1}% of the mail connections have gaps (--max-loss allows {}%)",
            judging.max_loss_percent
        ));
    }
    let drops = intake.dropped + intake.dropped_by_kernel;
    let lost = per_cent(drops, intake.captured + intake.dropped_by_kernel);
    if lost > judging.max_loss_percent {
        return Some(format!(
            "{lost:.1}% of the frames were dropped (--max-loss allows {}%)",
            judging.max_loss_percent
        ));
    }
    (!intake.damaged.is_empty() && judging.max_loss_percent < 100.0)
        .then(|| "an input is cut off or damaged".to_owned())
}

/// The summary for people.
fn summary(tally: &Tally, intake: &Intake, status: (u8, String)) -> Summary {
    let counters = &intake.counters;
    let uncompared = (tally.uncompared > 0).then(|| {
        format!(
            "{} logins or connections were not compared with others: there were too many to remember",
            tally.uncompared
        )
    });
    let mut unread: Vec<_> = counters.unread.iter().collect();
    // Whichever engine has met one first.
    unread.sort_by_key(|(link_type, _)| link_type.0);
    let unread = unread.into_iter().map(|(link_type, frames)| {
        let name = link_type.name().map(|name| format!(" ({name})")).unwrap_or_default();
        format!("link type {}{name} is not read: {}; capture Ethernet or IP", link_type.0, counted(frames, "frame"))
    });
    let other_ports = (counters.other_ports > 0).then(|| {
        format!("{} on other ports were not looked at (--mail-ports-only)", counted(counters.other_ports, "packet"))
    });
    let on_one_host = (tally.on_one_host > 0).then(|| {
        let findings = counted(tally.on_one_host, "finding");
        format!("{findings} within one host weigh nothing; --judge-loopback judges them as on a network")
    });
    let others = (counters.unread.others > 0)
        .then(|| format!("other link types are not read: {}", counted(counters.unread.others, "frame")));
    let skipped = Skip::ALL.iter().map(|(skip, name)| (*name, counters.skipped[*skip as usize]));
    Summary {
        packets: intake.captured,
        octets: counters.octets,
        seconds: intake.elapsed.as_secs_f64(),
        skipped: skipped.filter(|(_, count)| *count > 0).collect(),
        dropped: intake.dropped + intake.dropped_by_kernel,
        gaps: counters.stream.gaps_proved + counters.stream.gaps_presumed,
        gap_octets: counters.stream.gap_octets,
        sessions: tally.session_lines(),
        logins: tally.login_lines(),
        findings: tally.finding_lines(),
        problems: intake
            .unreadable
            .iter()
            .chain(&intake.damaged)
            .chain(&intake.missed)
            .cloned()
            .chain(unread)
            .chain(others)
            .chain(other_ports)
            .chain(uncompared)
            .chain(on_one_host)
            .collect(),
        accepted: tally.accepted,
        evicted: counters.evicted,
        odd: odd(counters),
        status: Some(status).filter(|(status, _)| *status != 0),
    }
}

/// What hosts in order do not send, or what the sensor had no room for.
fn odd(counters: &Counters) -> Vec<(&'static str, u64)> {
    let stream = &counters.stream;
    vec![
        ("copies that differ", stream.conflicts),
        ("resets ignored", stream.rst_ignored),
        ("SYN in a connection", stream.syn_ignored),
        ("far from the stream", stream.wild),
        ("wrong checksum", stream.unsound),
        ("no room to reorder", stream.reorder_full),
        ("SYN forgotten", counters.embryos_dropped),
        ("fragments that do not fit", counters.fragments.refused),
        ("datagrams never whole", counters.fragments.given_up),
    ]
}
