//! What a live run lets be seen while it goes on.

use super::delivery::Score;
use super::health::Verdict;
use super::scores::{Scores, SinkScore};
use super::waiting::Rank;
use super::{locked, now};
use crate::capture::live::Stats;
use crate::engine::{Counters, Ports};
use crate::finding::Policy;
use crate::ops::metrics::{Delay, InterfaceCounts, SinkCounts, Snapshot, render};
use crate::ops::{counted, grouped};
use crate::pipeline::Dispatcher;
use crate::wire::Timestamp;
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Of all threads of a run.
pub(super) struct Gauges {
    /// The captures are to end once their rings are empty.
    pub(super) is_stopping: AtomicBool,
    /// One for each capture.
    pub(super) captures: Vec<CaptureGauge>,
    /// One for each worker.
    pub(super) workers: Vec<WorkerGauge>,
    /// For the writer.
    pub(super) policy: News<Arc<Policy>>,
    /// Captures that missed something, for the writer to tell.
    pub(super) missed: Mutex<Vec<usize>>,
    pub(super) latency: Mutex<Latency>,
    /// Batches of records that workers brought, and those that are written.
    pub(super) brought: AtomicU64,
    pub(super) written: AtomicU64,
    /// Somebody asks for the output file to be opened anew.
    pub(super) is_reopening: AtomicBool,
    pub(super) outlets: Outlets,
    /// Whether all goes on as it should.
    pub(super) health: Verdict,
    started: Timestamp,
}

/// What was found, and what became of it.
#[derive(Clone, Default)]
pub(super) struct Outlets {
    pub(super) scores: Arc<Scores>,
    /// All zero where records go to the file of a live capture.
    pub(super) sink: Arc<SinkScore>,
    /// All zero where they do not.
    pub(super) file: Arc<OutputGauge>,
    /// Of the receivers behind spools.
    pub(super) posts: Vec<Arc<Score>>,
    /// Records go to spools only.
    pub(super) has_no_output: bool,
}

impl Outlets {
    pub(super) fn counts(&self) -> Vec<SinkCounts> {
        let output = (!self.has_no_output).then(|| self.of_output());
        output.into_iter().chain(self.posts.iter().map(|post| post.counts())).collect()
    }

    /// What keeps records from their receivers now.
    pub(super) fn trouble(&self) -> Option<String> {
        let troubles: Vec<String> = self.posts.iter().filter_map(|post| post.present_trouble()).collect();
        (!troubles.is_empty()).then(|| troubles.join("; "))
    }

    fn of_output(&self) -> SinkCounts {
        let mut counts = self.sink.counts();
        counts.written += self.file.written.load(Ordering::Relaxed);
        counts.failed += self.file.lost.iter().map(|lost| lost.load(Ordering::Relaxed)).sum::<u64>();
        counts
    }
}

/// What was read anew, for threads that take it up between two batches.
pub(super) struct News<T> {
    latest: Mutex<Option<T>>,
    has_any: AtomicBool,
}

impl<T> Default for News<T> {
    fn default() -> Self {
        Self { latest: Mutex::new(None), has_any: AtomicBool::new(false) }
    }
}

impl<T> News<T> {
    pub(super) fn put(&self, news: T) {
        *locked(&self.latest) = Some(news);
        self.has_any.store(true, Ordering::Release);
    }

    /// What has come since the last time.
    pub(super) fn take(&self) -> Option<T> {
        let has_any = self.has_any.load(Ordering::Relaxed) && self.has_any.swap(false, Ordering::Acquire);
        has_any.then(|| locked(&self.latest).take()).flatten()
    }
}

/// Of one worker.
#[derive(Default)]
pub(super) struct WorkerGauge {
    /// Its engine's counters after its latest batch.
    pub(super) counters: Mutex<Counters>,
    pub(super) news: News<(Ports, Arc<Policy>)>,
}

/// What became of records on their way to a file.
#[derive(Default)]
pub(super) struct OutputGauge {
    /// Records that are in the file.
    pub(super) written: AtomicU64,
    /// Records in memory that the disk did not take yet.
    pub(super) waiting: AtomicU64,
    /// Memory that they take.
    pub(super) waiting_octets: AtomicU64,
    /// Records given up when too many waited, by [`Rank`].
    pub(super) lost: [AtomicU64; Rank::COUNT],
    /// Times that the file was put away and a new one begun.
    pub(super) rotations: AtomicU64,
    /// Times that it was opened anew because its path led elsewhere.
    pub(super) reopened: AtomicU64,
    /// Attempts to write, to open or to put away that failed.
    pub(super) failures: AtomicU64,
    /// Octets of torn last lines that were cut away.
    pub(super) repaired_octets: AtomicU64,
}

impl OutputGauge {
    /// Only one thread writes; others look.
    pub(super) fn add(counter: &AtomicU64, more: u64) {
        counter.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn note_waiting(&self, records: u64, octets: u64, lost: [u64; Rank::COUNT]) {
        self.waiting.store(records, Ordering::Relaxed);
        self.waiting_octets.store(octets, Ordering::Relaxed);
        self.lost.iter().zip(lost).for_each(|(counter, lost)| counter.store(lost, Ordering::Relaxed));
    }

    /// For people; nothing as long as every record went where it should.
    fn line(&self) -> Option<String> {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let lost: u64 = self.lost.iter().map(of).sum();
        (of(&self.failures) > 0).then(|| {
            format!(
                "output file: {} written, {} waiting ({} octets), {} lost, {}, {}, {}, {} cut from torn lines",
                counted(of(&self.written), "record"),
                grouped(of(&self.waiting)),
                grouped(of(&self.waiting_octets)),
                grouped(lost),
                counted(of(&self.failures), "failure"),
                counted(of(&self.rotations), "rotation"),
                counted(of(&self.reopened), "reopening"),
                counted(of(&self.repaired_octets), "octet"),
            )
        })
    }
}

/// Frames of one capture.
#[derive(Default)]
pub(super) struct CaptureGauge {
    pub(super) interface: String,
    pub(super) filter: News<String>,
    pub(super) is_up: AtomicBool,
    captured: AtomicU64,
    received: AtomicU64,
    dropped_by_kernel: AtomicU64,
    dropped: AtomicU64,
    /// Nanoseconds; 0 before the first packet.
    last_packet: AtomicU64,
    /// Of the fragments, which no worker sees.
    counters: Mutex<Counters>,
}

/// Frames of captures, summed.
#[derive(Clone, Copy, Default)]
pub(super) struct Taken {
    pub(super) captured: u64,
    pub(super) received: u64,
    pub(super) dropped_by_kernel: u64,
    pub(super) dropped: u64,
}

impl Gauges {
    pub(super) fn new(interfaces: &[String], workers: usize, outlets: Outlets) -> Self {
        let capture = |interface: &String| CaptureGauge {
            interface: interface.clone(),
            is_up: AtomicBool::new(true),
            ..CaptureGauge::default()
        };
        Self {
            is_stopping: AtomicBool::new(false),
            captures: interfaces.iter().map(capture).collect(),
            workers: (0..workers).map(|_| WorkerGauge::default()).collect(),
            policy: News::default(),
            missed: Mutex::default(),
            latency: Mutex::new(Latency::new()),
            brought: AtomicU64::new(0),
            written: AtomicU64::new(0),
            is_reopening: AtomicBool::new(false),
            outlets,
            health: Verdict::default(),
            started: now(),
        }
    }

    /// Of all engines and captures.
    pub(super) fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        let of_captures = self.captures.iter().map(|capture| &capture.counters);
        let of_workers = self.workers.iter().map(|worker| &worker.counters);
        of_workers.chain(of_captures).for_each(|counters| sum.add(&locked(counters)));
        sum
    }

    /// Packets by interface, whichever of its threads had them.
    pub(super) fn interfaces(&self) -> Vec<InterfaceCounts> {
        let mut interfaces: Vec<InterfaceCounts> = Vec::new();
        for capture in &self.captures {
            let Taken { captured, received, dropped_by_kernel, dropped } = Self::taken([capture]);
            let at = interfaces.iter().position(|known| known.name == capture.interface).unwrap_or_else(|| {
                interfaces.push(InterfaceCounts { name: capture.interface.clone(), ..InterfaceCounts::default() });
                interfaces.len() - 1
            });
            let sum = &mut interfaces[at];
            sum.captured += captured;
            sum.received += received;
            sum.dropped_by_kernel += dropped_by_kernel;
            sum.dropped += dropped;
        }
        interfaces
    }

    /// When the last packet came; 0 before the first.
    pub(super) fn last_packet(&self) -> Timestamp {
        let times = self.captures.iter().map(|capture| capture.last_packet.load(Ordering::Relaxed));
        Timestamp(times.max().unwrap_or(0))
    }

    /// The page of metrics as it is now. Each lock is held for a copy only.
    pub(super) fn page(&self) -> String {
        render(&Snapshot {
            started: self.started,
            last_packet: self.last_packet(),
            interfaces: self.interfaces(),
            counters: self.counters(),
            records: self.outlets.scores.counts(),
            sinks: self.outlets.counts(),
            delay: locked(&self.latency).delay,
        })
    }

    /// Every counter of the engines.
    pub(super) fn detail(&self) -> String {
        format!("{:?}", self.counters())
    }

    pub(super) fn taken<'a>(captures: impl IntoIterator<Item = &'a CaptureGauge>) -> Taken {
        captures.into_iter().fold(Taken::default(), |sum, gauge| Taken {
            captured: sum.captured + gauge.captured.load(Ordering::Relaxed),
            received: sum.received + gauge.received.load(Ordering::Relaxed),
            dropped_by_kernel: sum.dropped_by_kernel + gauge.dropped_by_kernel.load(Ordering::Relaxed),
            dropped: sum.dropped + gauge.dropped.load(Ordering::Relaxed),
        })
    }

    /// A line for each interface, one on what the connections show to be missing, one on the time that records took,
    /// one on the output file if something went wrong with it.
    pub(super) fn lines(&self) -> Vec<String> {
        let same = |one: &CaptureGauge, other: &CaptureGauge| one.interface == other.interface;
        let mut lines: Vec<String> = self.captures.chunk_by(same).map(line_of).collect();
        let counters = self.counters();
        if counters.stream.octets > 0 {
            lines.push(format!(
                "{:.2}% of the octets of mail connections are missing although their receivers have them",
                counters.loss_percent()
            ));
        }
        lines.extend(locked(&self.latency).line());
        lines.extend(self.outlets.file.line());
        lines
    }
}

impl CaptureGauge {
    pub(super) fn note(&self, captured: u64, last_packet: Timestamp, dispatcher: &Dispatcher, stats: Stats) {
        self.last_packet.store(last_packet.0, Ordering::Relaxed);
        *locked(&self.counters) = *dispatcher.counters();
        self.count(captured, dispatcher.dropped(), stats);
    }

    pub(super) fn count(&self, captured: u64, dropped: u64, stats: Stats) {
        self.captured.store(captured, Ordering::Relaxed);
        self.dropped.store(dropped, Ordering::Relaxed);
        self.is_up.store(stats.is_up, Ordering::Relaxed);
        self.received.store(stats.received, Ordering::Relaxed);
        self.dropped_by_kernel.store(stats.dropped + stats.if_dropped, Ordering::Relaxed);
    }
}

fn line_of(captures: &[CaptureGauge]) -> String {
    let Taken { captured, received, dropped_by_kernel, dropped } = Gauges::taken(captures);
    let interface = captures.first().map_or("", |gauge| &gauge.interface);
    format!(
        "{interface}: {} captured, {} received by the kernel, {} dropped by the kernel, {} dropped by barewire",
        counted(captured, "packet"),
        grouped(received),
        grouped(dropped_by_kernel),
        grouped(dropped)
    )
}

/// How long after its packet a record was written, in microseconds.
pub(super) struct Latency {
    /// For quantiles.
    histogram: Histogram<u64>,
    /// For others that make quantiles of it themselves: exact at its bounds, where the histogram has three digits.
    delay: Delay,
}

/// A packet stamped by another clock may be any time ago; longer is as bad.
const LONGEST_US: u64 = 3600 * 1_000_000;

impl Latency {
    fn new() -> Self {
        // Three digits; these bounds are always valid.
        let bounded = Histogram::new_with_bounds(1, LONGEST_US, 3);
        Self { histogram: bounded.unwrap_or_else(|_| unreachable!("constant bounds")), delay: Delay::default() }
    }

    /// So many records were written just now that a packet stamped `at` brought to light.
    pub(super) fn note(&mut self, records: u64, at: Timestamp) {
        let us = (now().since(at) / 1000).min(LONGEST_US);
        self.histogram.saturating_record_n(us, records);
        self.delay.note(records, us);
    }

    /// For people; nothing as long as no record was written.
    pub(super) fn line(&self) -> Option<String> {
        let at = |quantile: f64| format!("{:.1} ms", self.histogram.value_at_quantile(quantile) as f64 / 1000.0);
        (!self.histogram.is_empty()).then(|| {
            format!(
                "{} written after their packets: p50 {}, p99 {}, p99.9 {}, at most {}",
                counted(self.histogram.len(), "record"),
                at(0.5),
                at(0.99),
                at(0.999),
                at(1.0)
            )
        })
    }
}
