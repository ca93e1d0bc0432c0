//! The receiver's side of a spool: sends what waits, waits itself after every trouble, longer each time, and takes out what
//! was confirmed or refused for good.

use super::{locked, now};
use crate::ops::console;
use crate::ops::metrics::{Delay, SinkCounts, SpoolCounts};
use crate::output::{Written, time_text};
use crate::sink::spool::{Counts, Spool};
#[cfg(feature = "live")]
use crate::sink::tls::Papers;
use crate::sink::{Fate, Parcel, Receiver, Transport};
use crate::wire::Timestamp;
use std::fs::OpenOptions;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a thread waits for records before it looks whether it is to end.
const TICK: Duration = Duration::from_millis(500);

/// The first wait after a trouble is up to so long, each further one up to twice as long as the one before,
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A receiver that wants to be left alone for longer is asked again all the same.
const LONGEST_HEEDED: Duration = Duration::from_secs(600);

/// Records that a receiver will never take, beside the spool's segments.
const DEAD_LETTERS: &str = "dead-letter.ndjson";
/// Octets of them after which no more are kept: a receiver that refuses everything must not fill the disk.
const DEAD_LETTERS_OCTETS: u64 = 64 << 20;

/// What became of the records of one receiver, for those who look while it goes on.
pub(super) struct Score {
    pub(super) name: String,
    #[cfg(feature = "live")]
    pub(super) kind: &'static str,
    limit: u64,
    delivered: AtomicU64,
    duplicates: AtomicU64,
    refused: AtomicU64,
    troubles: AtomicU64,
    /// Somebody was told that records are given up.
    has_told_drops: AtomicBool,
    /// Where records wait.
    pub(super) folder: PathBuf,
    /// What is shown to the receiver.
    #[cfg(feature = "live")]
    papers: Option<Arc<Papers>>,
    /// In memory because the disk does not take them, and lost from there.
    outside: [AtomicU64; 2],
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    counts: Counts,
    /// Time of the packet of the oldest record that waits, in nanoseconds.
    oldest: Option<u64>,
    delay: Delay,
    /// Why nothing is delivered now.
    trouble: Option<String>,
}

impl Score {
    pub(super) fn new(receiver: &Receiver) -> Self {
        Self {
            name: receiver.name.clone(),
            #[cfg(feature = "live")]
            kind: receiver.kind,
            limit: receiver.spool.limit,
            delivered: AtomicU64::default(),
            duplicates: AtomicU64::default(),
            refused: AtomicU64::default(),
            troubles: AtomicU64::default(),
            has_told_drops: AtomicBool::default(),
            folder: receiver.spool.folder.clone(),
            #[cfg(feature = "live")]
            papers: receiver.transport.papers(),
            outside: Default::default(),
            state: Mutex::default(),
        }
    }

    /// Reads certificates and keys anew. What cannot be read stays as it is, and is told.
    #[cfg(feature = "live")]
    pub(super) fn renew_papers(&self) {
        if let Some(Err(why)) = self.papers.as_ref().map(|papers| papers.renew()) {
            console::warning(&format!("sink {}: its certificates stay as they were read: {why}", self.name));
        }
    }

    /// Records that are done with.
    pub(super) fn settled(&self) -> u64 {
        [&self.delivered, &self.duplicates, &self.refused].map(|count| count.load(Ordering::Relaxed)).iter().sum()
    }

    pub(super) fn note(&self, counts: Counts) {
        locked(&self.state).counts = counts;
    }

    pub(super) fn note_dropped(&self) {
        if !self.has_told_drops.swap(true, Ordering::Relaxed) {
            console::warning(&format!("sink {}: the spool is full; records are given up and counted", self.name));
        }
    }

    pub(super) fn note_outside(&self, waiting: u64, lost: u64) {
        self.outside.iter().zip([waiting, lost]).for_each(|(count, now)| count.store(now, Ordering::Relaxed));
    }

    /// Records that the receiver will never take.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Records that were given up, with what is known of the spool.
    pub(super) fn lost(&self, counts: Counts) -> u64 {
        counts.dropped + counts.damaged + self.outside[1].load(Ordering::Relaxed)
    }

    /// Why nothing is delivered, for people.
    pub(super) fn why(&self) -> String {
        locked(&self.state).trouble.clone().unwrap_or_else(|| "there was no time".to_owned())
    }

    /// What keeps records from being delivered now.
    #[cfg(feature = "live")]
    pub(super) fn present_trouble(&self) -> Option<String> {
        locked(&self.state).trouble.as_ref().map(|why| format!("sink {}: {why}", self.name))
    }

    /// Tells a trouble once.
    pub(super) fn trouble(&self, why: &str) {
        self.troubles.fetch_add(1, Ordering::Relaxed);
        let mut state = locked(&self.state);
        if state.trouble.as_deref() != Some(why) {
            let records = crate::ops::counted(state.counts.records, "record");
            console::warning(&format!("sink {}: {why}; {records} wait and are tried again", self.name));
            state.trouble = Some(why.to_owned());
        }
    }

    fn works(&self) {
        if locked(&self.state).trouble.take().is_some() {
            console::notice(&format!("sink {}: records are delivered again", self.name));
        }
    }

    pub(super) fn counts(&self) -> SinkCounts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let state = locked(&self.state);
        SinkCounts {
            name: self.name.clone(),
            written: of(&self.delivered),
            duplicates: of(&self.duplicates),
            refused: of(&self.refused),
            discarded: 0,
            failed: self.lost(state.counts),
            spool: Some(SpoolCounts {
                octets: state.counts.octets,
                limit: self.limit,
                records: state.counts.records + of(&self.outside[0]),
                oldest: Timestamp(state.oldest.unwrap_or_else(|| now().0)),
                troubles: of(&self.troubles),
                delay: state.delay,
            }),
        }
    }
}

/// Delivers the records of one spool.
pub(super) struct Delivery {
    spool: Spool,
    transport: Box<dyn Transport>,
    dead_letters: PathBuf,
    score: Arc<Score>,
}

impl Delivery {
    pub(super) fn new(receiver: Receiver, spool: Spool, score: Arc<Score>) -> Self {
        let dead_letters = score.folder.join(DEAD_LETTERS);
        Self { spool, transport: receiver.transport, dead_letters, score }
    }

    pub(super) fn name(&self) -> &str {
        &self.score.name
    }

    /// Until the spool is closed and empty.
    pub(super) fn run(mut self) {
        let mut wait = Wait::default();
        loop {
            let parcels = self.spool.take(self.transport.bounds(), TICK);
            if let Some(error) = self.spool.trouble().filter(|_| parcels.is_empty()) {
                let folder = self.score.folder.display();
                self.score.trouble(&format!("reading the spool {folder}: {error}"));
                std::thread::sleep(wait.next(None, random()));
                continue;
            }
            if parcels.is_empty() {
                locked(&self.score.state).oldest = None;
                if self.spool.is_finished() {
                    return;
                }
                continue;
            }
            self.deliver(parcels, &mut wait);
        }
    }

    /// Sends a batch until nothing of it waits.
    fn deliver(&mut self, mut left: Vec<Parcel>, wait: &mut Wait) {
        let Some(end) = left.last().map(|last| last.number + 1) else { return };
        loop {
            locked(&self.score.state).oldest = left.first().and_then(time_of);
            let began = Instant::now();
            let mut report = self.transport.deliver(&left);
            let took = began.elapsed();
            let delivered = self.settle(&mut left, &mut report.fates);
            if delivered > 0 {
                let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                locked(&self.score.state).delay.note(delivered, us);
            }
            let before = left.first().map_or(end, |first| first.number);
            if let Err(error) = self.spool.settle(before) {
                self.score.trouble(&format!("noting in the spool what was delivered: {error}"));
            }
            self.score.note(self.spool.counts());
            match report.trouble {
                Some(trouble) => {
                    self.score.trouble(&trouble.why);
                    // Something got through: it is not down, whatever else it is.
                    if delivered > 0 {
                        *wait = Wait::default();
                    }
                    std::thread::sleep(wait.next(trouble.retry_after, random()));
                }
                None if left.is_empty() => {
                    self.score.works();
                    *wait = Wait::default();
                }
                None => std::thread::sleep(wait.next(None, random())),
            }
            if left.is_empty() {
                return;
            }
        }
    }

    /// Counts fates, puts aside what is refused, keeps what waits. Gives how many were delivered.
    fn settle(&mut self, left: &mut Vec<Parcel>, fates: &mut Vec<Fate>) -> u64 {
        // A transport that is at fault does not lose records.
        fates.resize(left.len(), Fate::Waits);
        let mut delivered = 0;
        let mut fates = fates.drain(..);
        left.retain(|parcel| {
            let add = |count: &AtomicU64| count.fetch_add(1, Ordering::Relaxed);
            match fates.next().unwrap_or(Fate::Waits) {
                Fate::Waits => return true,
                Fate::Delivered => add(&self.score.delivered),
                Fate::Duplicate => add(&self.score.duplicates),
                Fate::Refused(why) => {
                    if let Err(error) = bury(&self.dead_letters, parcel, &self.score, &why) {
                        self.score.trouble(&format!("keeping a record that was refused: {error}"));
                        return true;
                    }
                    return false;
                }
            };
            delivered += 1;
            false
        });
        delivered
    }
}

/// Keeps a record that its receiver will never take, with the reason.
fn bury(path: &std::path::Path, parcel: &Parcel, score: &Score, why: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    if score.refused.fetch_add(1, Ordering::Relaxed) == 0 {
        console::warning(&format!(
            "sink {}: records are refused ({why}); they are kept in {}",
            score.name,
            path.display()
        ));
    }
    if file.metadata()?.len() > DEAD_LETTERS_OCTETS {
        return Ok(());
    }
    let why: String = why.chars().filter(|c| (' '..='~').contains(c) && !matches!(c, '"' | '\\')).take(500).collect();
    let head =
        format!("{{\"refused\":\"{why}\",\"sink\":\"{}\",\"at\":\"{}\",\"record\":", score.name, time_text(now()));
    file.write_all(&[head.as_bytes(), &parcel.line, b"}\n"].concat())
}

/// The time of a record's packet.
fn time_of(parcel: &Parcel) -> Option<u64> {
    Written::parse(&parcel.line)?.time()
}

/// A number that nobody can foretell: sensors that lost one receiver at the same time must not come back together.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}

/// How long to wait after a trouble: anything up to a bound that doubles each time ("full jitter").
#[derive(Default)]
struct Wait {
    troubles: u32,
}

impl Wait {
    fn next(&mut self, asked: Option<Duration>, random: u64) -> Duration {
        let bound = FIRST_WAIT.saturating_mul(1 << self.troubles.min(16)).min(LONGEST_WAIT);
        self.troubles += 1;
        let jittered = bound.mul_f64((random >> 11) as f64 / (1_u64 << 53) as f64);
        asked.map_or(jittered, |asked| asked.min(LONGEST_HEEDED) + jittered.min(FIRST_WAIT))
    }
}

#[cfg(test)]
#[path = "delivery/tests.rs"]
mod tests;
