//! A live interface through the engines until a signal ends it.
//!
//! The capture thread copies frames into batches and never waits: when the workers do not keep up it drops and
//! counts. Stopping empties the kernel's ring first, then each stage ends because its input did.

use super::live_book::LiveBook;
use super::sink::Sink;
use super::{Failure, Intake, Judging, Kinds, status, summary};
use crate::capture::live::{Live, LiveError, LiveOptions, Stats, Waker};
use crate::engine::{Counters, Engine, Settings};
use crate::finding::Record;
use crate::ops::console;
use crate::output::Inputs;
use crate::pipeline::{self, Dispatcher, Overflow};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Builder, JoinHandle};
use std::time::{Duration, Instant};

/// What `watch` is asked to do.
pub struct WatchJob {
    /// What to listen to.
    pub live: LiveOptions,
    /// For the engines.
    pub settings: Settings,
    /// Records to write.
    pub kinds: Kinds,
    /// What the exit status depends on.
    pub judging: Judging,
    /// Worker threads, at least one.
    pub workers: usize,
    /// Where records go instead of standard output.
    pub output: Option<PathBuf>,
    /// No statistics, no summary.
    pub is_quiet: bool,
}

/// How often a quiet link's frames are sent on.
const TICK: Duration = Duration::from_millis(500);
/// Between two wakes of the capture while its ring is emptied.
const DRAIN_TICK: Duration = Duration::from_millis(50);
/// The kernel hands over a block that is not full after 100 ms; twice that with nothing new, and the ring is empty.
const DRAIN_QUIET: Duration = Duration::from_millis(250);
/// A link that never falls silent is left in the middle.
const DRAIN_AT_MOST: Duration = Duration::from_secs(3);
/// Between two lines of statistics.
const STATISTICS: Duration = Duration::from_secs(60);
/// Record batches between workers and the writer.
const RECORD_BATCHES: usize = 256;

/// What the capture thread lets others see.
#[derive(Default)]
struct Gauges {
    is_stopping: AtomicBool,
    captured: AtomicU64,
    received: AtomicU64,
    dropped_by_kernel: AtomicU64,
    dropped: AtomicU64,
}

impl Gauges {
    fn note(&self, captured: u64, dropped: u64, stats: Stats) {
        self.captured.store(captured, Ordering::Relaxed);
        self.dropped.store(dropped, Ordering::Relaxed);
        self.received.store(stats.received, Ordering::Relaxed);
        self.dropped_by_kernel.store(stats.dropped + stats.if_dropped, Ordering::Relaxed);
    }

    fn line(&self) -> String {
        let [captured, received, kernel, own] =
            [&self.captured, &self.received, &self.dropped_by_kernel, &self.dropped].map(|n| n.load(Ordering::Relaxed));
        format!(
            "barewire: {captured} packets captured, {received} received by the kernel, {kernel} dropped by the \
             kernel, {own} dropped by barewire"
        )
    }
}

/// What ends the watch.
enum Event {
    Signal,
    CaptureEnded,
}

/// Listens until SIGINT or SIGTERM. Gives the exit status.
///
/// # Errors
///
/// The interface cannot be opened or went away, the output cannot be written, or a thread ended by a fault.
pub fn watch(job: WatchJob) -> Result<u8, Failure> {
    let began = Instant::now();
    let interface = job.live.interface.clone();
    let live = Live::open(&job.live, 0).map_err(|error| Failure::input(error.to_string()))?;
    let inputs = vec![interface.clone()];
    let sink = Sink::open(job.output.as_deref(), Inputs { names: inputs.clone(), is_live: true }, true)?;
    let book = LiveBook::new(job.kinds, &job.settings, inputs);
    let (events, ended) = bounded(16);
    let signals = listen_for_signals(events.clone())?;
    let gauges = Arc::new(Gauges::default());
    let waker = live.waker();

    let (dispatcher, feeds) = pipeline::channels(job.workers, Overflow::Drop);
    let (send, receive) = bounded(RECORD_BATCHES);
    let writer = spawn("output", move || write(receive, book, sink))?;
    let mut workers = Vec::new();
    for (at, feed) in feeds.into_iter().enumerate() {
        let send = send.clone();
        let settings = Settings { limits: job.settings.limits.shared_by(job.workers), ..job.settings.clone() };
        workers.push(spawn(&format!("worker-{at}"), move || work(&feed, settings, &send))?);
    }
    drop(send);
    let capture = {
        let gauges = Arc::clone(&gauges);
        spawn("capture-0", move || capture(live, dispatcher, &gauges, &events))?
    };
    if !job.is_quiet {
        console::line(&format!("barewire: listening on {interface}"));
    }
    wait(&ended, &waker, &gauges, job.is_quiet);
    stop(&waker, &gauges, &capture);
    signals.close();

    let (result, mut counters) = join(capture, "capture-0")?;
    for (at, worker) in workers.into_iter().enumerate() {
        counters.add(&join(worker, &format!("worker-{at}"))?);
    }
    let book = join(writer, "output")??;
    result.map_err(|error| Failure::input(error.to_string()))?;
    let intake = Intake {
        counters,
        captured: gauges.captured.load(Ordering::Relaxed),
        dropped: gauges.dropped.load(Ordering::Relaxed),
        dropped_by_kernel: gauges.dropped_by_kernel.load(Ordering::Relaxed),
        damaged: Vec::new(),
        unreadable: Vec::new(),
        elapsed: began.elapsed(),
    };
    intake.check()?;
    let status = status(&job.judging, &book.tally, &intake);
    let code = status.0;
    if !job.is_quiet {
        console::line(&gauges.line());
        console::block(&summary(&book.tally, &intake, status).render(console::is_coloured()));
    }
    Ok(code)
}

fn spawn<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>, Failure> {
    Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|error| Failure::usage(format!("starting a thread: {error}")))
}

fn join<T>(handle: JoinHandle<T>, name: &str) -> Result<T, Failure> {
    handle.join().map_err(|_| Failure::fault(name))
}

fn listen_for_signals(events: Sender<Event>) -> Result<signal_hook::iterator::Handle, Failure> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM]).map_err(|error| Failure::usage(format!("listening for signals: {error}")))?;
    let handle = signals.handle();
    spawn("signals", move || {
        for _ in signals.forever() {
            if events.send(Event::Signal).is_err() {
                return;
            }
        }
    })?;
    Ok(handle)
}

fn capture(
    mut live: Live,
    mut dispatcher: Dispatcher,
    gauges: &Gauges,
    events: &Sender<Event>,
) -> (Result<(), LiveError>, Counters) {
    // The dispatcher is used by both closures, one at a time.
    let dispatcher = std::cell::RefCell::new(&mut dispatcher);
    let captured = std::cell::Cell::new(0_u64);
    let mut quiet = Quiet::default();
    let result = live.run(
        |frame| {
            captured.set(captured.get() + 1);
            dispatcher.borrow_mut().push(&frame, None);
        },
        |stats| {
            let mut dispatcher = dispatcher.borrow_mut();
            dispatcher.flush();
            gauges.note(captured.get(), dispatcher.dropped(), stats);
            let is_over = gauges.is_stopping.load(Ordering::Acquire) && quiet.is_drained(captured.get());
            if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        },
    );
    // Nobody may be listening any more, for a signal came first.
    let _ = events.try_send(Event::CaptureEnded);
    dispatcher.borrow_mut().finish();
    let counters = *dispatcher.borrow().counters();
    (result, counters)
}

/// Whether the kernel's ring is empty after a stop.
#[derive(Default)]
struct Quiet {
    since: Option<(Instant, Instant, u64)>,
}

impl Quiet {
    fn is_drained(&mut self, captured: u64) -> bool {
        let now = Instant::now();
        let (began, since, before) = *self.since.get_or_insert((now, now, captured));
        if captured != before {
            self.since = Some((began, now, captured));
        }
        now - began > DRAIN_AT_MOST || captured == before && now - since > DRAIN_QUIET
    }
}

fn work(feed: &pipeline::Feed, settings: Settings, send: &Sender<Vec<Record>>) -> Counters {
    let mut engine = Engine::new(settings);
    // Records are few and precious: this waits. If the writer failed, its error is the one to tell.
    feed.run(&mut engine, |records| drop(send.send(std::mem::take(records))));
    *engine.counters()
}

fn write(receive: Receiver<Vec<Record>>, mut book: LiveBook, mut sink: Sink) -> Result<LiveBook, Failure> {
    for records in &receive {
        book.add(records, &mut sink)?;
    }
    book.finish(&mut sink)?;
    Ok(book)
}

/// Until a signal comes or the capture ends by itself.
fn wait(ended: &Receiver<Event>, waker: &Waker, gauges: &Gauges, is_quiet: bool) {
    let mut told = Instant::now();
    loop {
        match ended.recv_timeout(TICK) {
            Err(RecvTimeoutError::Timeout) => waker.wake(),
            Ok(Event::Signal | Event::CaptureEnded) | Err(RecvTimeoutError::Disconnected) => return,
        }
        if !is_quiet && told.elapsed() >= STATISTICS {
            told = Instant::now();
            console::line(&gauges.line());
        }
    }
}

fn stop<T>(waker: &Waker, gauges: &Gauges, capture: &JoinHandle<T>) {
    gauges.is_stopping.store(true, Ordering::Release);
    while !capture.is_finished() {
        waker.wake();
        thread::sleep(DRAIN_TICK);
    }
}
