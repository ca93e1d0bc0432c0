//! Live interfaces through the engines until a signal ends it.
//!
//! A capture thread copies frames into batches and never waits: when the workers do not keep up it drops and
//! counts. Stopping empties the kernel's ring first, then each stage ends because its input did.

use super::confine::confine;
use super::gauges::{CaptureGauge, Gauges, Outlets, Taken};
use super::health::{Alarms, Health};
use super::live_book::LiveBook;
use super::look::{Feed, Look};
use super::post::Posts;
use super::reporter::{MetricsOptions, Reporter};
use super::sink::Sink;
use super::ui::{Page, UiOptions};
use super::{Failure, Intake, Judging, Kinds, Rotation, locked, now, spawn, status, summary};
use crate::capture::live::{Live, LiveError, LiveOptions, Waker, try_filter};
use crate::engine::{Counters, Engine, Ports, Settings};
use crate::finding::{Finding, Policy, Record};
use crate::mail::PROTOCOLS;
use crate::mail::Reason;
use crate::ops::SessionLine;
use crate::ops::console::{self, Level};
use crate::ops::counted;
use crate::ops::glance::Glance;
use crate::ops::metrics::OUTCOMES;
use crate::ops::notify::Notifier;
use crate::ops::sandbox::{Needs, User};
use crate::output::{Form, Inputs};
use crate::pipeline::{self, Dispatcher, Overflow};
use crate::sink;
use crate::wire::{PacketRef, Timestamp};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What `watch` is asked to do.
pub struct WatchJob {
    /// What to listen to.
    pub live: Vec<LiveOptions>,
    /// Capture threads for each of them, at least one.
    pub fanout: usize,
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
    /// Where they go besides; only there, where there is no output.
    pub receivers: Vec<sink::Receiver>,
    /// How records are written.
    pub form: Form,
    /// What records call this sensor.
    pub sensor: Option<String>,
    /// When that file is put away and a new one begun.
    pub rotation: Rotation,
    /// Between two looks at the statistics; zero: only at the end.
    pub statistics: Duration,
    /// Between two tellings of findings that occur again; zero: only at the end.
    pub roll_up: Duration,
    /// What the filter lets through, in a few words.
    pub watches: String,
    /// The key of fingerprints is one that is kept.
    pub has_key: bool,
    /// What is told as a trouble.
    pub alarms: Alarms,
    /// Files, and folders of files, that reading the configuration anew takes.
    pub reads: Vec<PathBuf>,
    /// Reads the configuration anew.
    pub reload: Box<dyn FnMut() -> Result<Reloaded, Failure>>,
    /// Where metrics can be read.
    pub metrics: MetricsOptions,
    /// Where the page for people is.
    pub ui: Option<UiOptions>,
    /// Rights are given up before the first packet is looked at.
    pub is_sandboxed: bool,
    /// How things stand is drawn on a terminal.
    pub is_glanced_at: bool,
    /// Whom to become then, by name or number; `None`: nobody, if root started the program.
    pub user: Option<String>,
}

/// What may change while the program runs.
pub struct Reloaded {
    /// Capture filter of each interface.
    pub filters: Vec<(String, String)>,
    /// Between two looks at the statistics.
    pub statistics: Duration,
    /// Which ports suggest which protocol.
    pub ports: Ports,
    /// What the operator says of networks and accounts.
    pub policy: Arc<Policy>,
    /// The least that is told.
    pub level: Level,
    /// Options that have other values, which take a restart.
    pub unheeded: Vec<String>,
}

/// A batch of records, and the clock of the packet that brought the first of them to light.
type Brought = (Vec<Record>, Option<Timestamp>);

/// How often a quiet link's frames are sent on.
const TICK: Duration = Duration::from_millis(500);
/// Between two wakes of the capture while its ring is emptied.
const DRAIN_TICK: Duration = Duration::from_millis(50);
/// The kernel hands over a block that is not full after 50 ms; five times that with nothing new, and the ring is empty.
const DRAIN_QUIET: Duration = Duration::from_millis(250);
/// A link that never falls silent is left in the middle.
const DRAIN_AT_MOST: Duration = Duration::from_secs(3);
/// So often the writer looks after its file, and at what is to be written besides, when there are no records.
const FILE_TICK: Duration = Duration::from_secs(1);
/// How long the end waits for receivers of which none confirms anything; what is left waits in the spools.
const SHUTDOWN: Duration = Duration::from_secs(10);
/// Record batches between workers and the writer.
const RECORD_BATCHES: usize = 256;

/// What the main thread waits for.
enum Event {
    Stop,
    /// SIGHUP: the configuration is to be read, the output file to be opened anew.
    Reload,
    CaptureEnded,
    /// Nothing can be written any more: who watched on would look healthy.
    OutputFailed,
}

/// Listens until SIGINT or SIGTERM; at SIGHUP the configuration is read and the output file opened anew. Gives the exit
/// status.
///
/// # Errors
///
/// The interface cannot be opened or went away, the output cannot be opened, standard output cannot be written, or a
/// thread ended by a fault. What an output file did not take is no error but status 5, with the summary all the same.
pub fn watch(mut job: WatchJob) -> Result<u8, Failure> {
    let began = Instant::now();
    let lives = open(&job)?;
    // What stands in records is the interface, whichever of its threads saw the packet.
    let inputs: Vec<String> =
        job.live.iter().flat_map(|live| std::iter::repeat_n(live.interface.clone(), job.fanout)).collect();
    let input = Inputs { names: inputs.clone(), is_live: true, sensor: job.sensor.clone() };
    let receivers = std::mem::take(&mut job.receivers);
    let mut sink = Sink::open_live(job.output.as_deref(), input, job.form, job.rotation, Posts::open(receivers)?)?;
    let mut reporter = Reporter::open(&job.metrics, job.output.as_deref())?;
    let page = job.ui.take().map(Page::open).transpose()?;
    let (feed, shown) = page.as_ref().map(|_| Feed::new()).unzip();
    sink.page.clone_from(&feed);
    let notifier = Notifier::from_environment();
    confine(needs(&job, &lives, &sink, page.is_some())?.as_ref(), Level::Info)?;
    sink.start()?;
    let book = LiveBook::new(job.kinds, &job.settings, inputs.clone());
    let outlets = Outlets {
        scores: Arc::clone(&book.tally.scores),
        sink: Arc::clone(&sink.score),
        file: sink.gauge(),
        posts: sink.posts(),
        has_no_output: sink.has_no_output(),
    };
    let gauges = Arc::new(Gauges::new(&inputs, job.workers, outlets));
    let (events, ended) = bounded(16);
    let signals = listen_for_signals(events.clone())?;
    let wakers: Vec<Waker> = lives.iter().map(Live::waker).collect();

    let (dispatchers, feeds) = pipeline::channels(lives.len(), job.workers, Overflow::Drop);
    let (send, receive) = bounded(RECORD_BATCHES);
    let writer = {
        let roll_up = job.roll_up;
        let (gauges, events) = (Arc::clone(&gauges), events.clone());
        spawn("output", move || {
            let written = write(receive, book, sink, &gauges, roll_up);
            if written.is_err() {
                gauges.health.set(Some("records cannot be written; standard error says why".to_owned()));
                let _ = events.try_send(Event::OutputFailed);
            }
            written
        })?
    };
    let mut workers = Vec::new();
    for (at, feed) in feeds.into_iter().enumerate() {
        let (send, gauges) = (send.clone(), Arc::clone(&gauges));
        let settings = Settings { limits: job.settings.limits.shared_by(job.workers), ..job.settings.clone() };
        workers.push(spawn(&format!("worker-{at}"), move || work(&feed, settings, &gauges, at, &send))?);
    }
    drop(send);
    let mut captures = Vec::new();
    for (at, (live, dispatcher)) in lives.into_iter().zip(dispatchers).enumerate() {
        let (gauges, events) = (Arc::clone(&gauges), events.clone());
        captures.push(spawn(&format!("capture-{at}"), move || capture(live, dispatcher, &gauges, at, &events))?);
    }
    reporter.start(&gauges)?;
    if let (Some(page), Some(feed), Some(shown)) = (page, feed, shown) {
        console::info(&format!("page at {}", page.address()));
        let mut look = Look::new(Arc::clone(&gauges), feed, began);
        spawn("ui", move || page.serve(shown, move || look.source()))?;
    }
    let started = start_line(&job, &gauges);
    console::info(&started);
    notifier.ready(&started);
    wait(&mut job, &ended, &wakers, &gauges, &notifier);
    console::set_footer(Vec::new());
    notifier.stopping();
    stop(&wakers, &gauges, &captures);
    signals.close();

    let mut counters = Counters::default();
    let mut results = Vec::new();
    for (at, capture) in captures.into_iter().enumerate() {
        let (result, own) = join(capture, &format!("capture-{at}"))?;
        results.push(result);
        counters.add(&own);
    }
    for (at, worker) in workers.into_iter().enumerate() {
        counters.add(&join(worker, &format!("worker-{at}"))?);
    }
    let (book, unwritten) = join(writer, "output")??;
    unwritten.iter().for_each(|why| console::error(why));
    results.into_iter().collect::<Result<(), _>>().map_err(|error| Failure::input(error.to_string()))?;
    let Taken { captured, dropped, dropped_by_kernel, .. } = Gauges::taken(&gauges.captures);
    let intake = Intake {
        counters,
        captured,
        dropped,
        dropped_by_kernel,
        damaged: Vec::new(),
        unreadable: Vec::new(),
        missed: Vec::new(),
        elapsed: began.elapsed(),
    };
    intake.check()?;
    let unwritten = unwritten.first().map(|_| (5, "not every record could be written".to_owned()));
    let status = unwritten.unwrap_or_else(|| status(&job.judging, &book.tally, &intake));
    let code = status.0;
    gauges.lines().iter().for_each(|line| console::info(line));
    if console::tells(Level::Info) {
        console::block(&summary(&book.tally, &intake, status).render(console::is_coloured()));
    }
    reporter.finish()?;
    Ok(code)
}

/// What is at work, in one line.
fn start_line(job: &WatchJob, gauges: &Gauges) -> String {
    let interfaces: Vec<&str> = job.live.iter().map(|live| live.interface.as_str()).collect();
    let output = match &job.output {
        Some(path) => vec![path.display().to_string()],
        None if gauges.outlets.has_no_output => Vec::new(),
        None => vec!["standard output".to_owned()],
    };
    let sinks = gauges.outlets.posts.iter().map(|post| format!("{} ({})", post.name, post.kind));
    let output = output.into_iter().chain(sinks).collect::<Vec<_>>().join(", ");
    let of_run = if job.has_key { "" } else { ", of this run only" };
    format!(
        "listening on {}: {}; {}, {}; {} to {output}; fingerprints under key {}{of_run}",
        interfaces.join(", "),
        job.watches,
        counted((job.live.len() * job.fanout) as u64, "capture thread"),
        counted(job.workers as u64, "worker"),
        job.kinds,
        job.settings.key.id(),
    )
}

/// Opens each interface as often as it has capture threads.
fn open(job: &WatchJob) -> Result<Vec<Live>, Failure> {
    let failed = |error: LiveError| Failure::input(error.to_string());
    let mut lives = Vec::new();
    for options in &job.live {
        let mut group = None;
        for _ in 0..job.fanout {
            let live = Live::open(options, lives.len() as u32).map_err(failed)?;
            if job.fanout > 1 {
                group = Some(live.share(group).map_err(failed)?);
            }
            lives.push(live);
        }
    }
    Ok(lives)
}

/// What the sandbox must leave: the output's folder, and the statistics of the interfaces, which libpcap opens anew for
/// every look. The captures are open; they could send as well.
fn needs(job: &WatchJob, lives: &[Live], sink: &Sink, has_page: bool) -> Result<Option<Needs>, Failure> {
    if !job.is_sandboxed {
        return Ok(None);
    }
    let statistics = |live: &LiveOptions| format!("/sys/class/net/{}/statistics", live.interface).into();
    let mut needs = Needs {
        user: User::choose(job.user.as_deref()).map_err(Failure::usage)?,
        read: job.live.iter().map(statistics).collect(),
        accepts: job.metrics.listen.is_some() || has_page,
        receive_only: lives.iter().map(Live::descriptor).collect(),
        ..Needs::default()
    };
    needs.read.extend(job.reads.iter().cloned());
    job.output.iter().chain(&job.metrics.file).for_each(|path| needs.keep_writing(path));
    sink.add_to(&mut needs);
    Ok(Some(needs))
}

fn join<T>(handle: JoinHandle<T>, name: &str) -> Result<T, Failure> {
    handle.join().map_err(|_| Failure::fault(name))
}

fn listen_for_signals(events: Sender<Event>) -> Result<signal_hook::iterator::Handle, Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(|error| Failure::usage(format!("listening for signals: {error}")))?;
    let handle = signals.handle();
    spawn("signals", move || {
        for signal in signals.forever() {
            let event = if signal == SIGHUP { Event::Reload } else { Event::Stop };
            if events.send(event).is_err() {
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
    at: usize,
    events: &Sender<Event>,
) -> (Result<(), LiveError>, Counters) {
    let own: &CaptureGauge = &gauges.captures[at];
    // The dispatcher is used by both closures, one at a time.
    let dispatcher = std::cell::RefCell::new(&mut dispatcher);
    let captured = std::cell::Cell::new(0_u64);
    let clock = std::cell::Cell::new(Timestamp(0));
    let mut quiet = Quiet::default();
    let result = live.run(
        |frame| {
            captured.set(captured.get() + 1);
            clock.set(frame.clock);
            dispatcher.borrow_mut().push(&frame, None);
        },
        |stats| {
            let mut dispatcher = dispatcher.borrow_mut();
            dispatcher.flush();
            own.note(captured.get(), clock.get(), &dispatcher, stats);
            let is_over = gauges.is_stopping.load(Ordering::Acquire) && quiet.is_drained(captured.get());
            if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(own.filter.take()) }
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

fn work(feed: &pipeline::Feed, settings: Settings, gauges: &Gauges, at: usize, send: &Sender<Brought>) -> Counters {
    let gauge = &gauges.workers[at];
    let mut engine = Engine::new(settings);
    feed.run(now, &mut engine, |engine, records, brought| {
        *locked(&gauge.counters) = *engine.counters();
        if let Some((ports, policy)) = gauge.news.take() {
            engine.reconfigure(ports, policy);
        }
        // Records are few and precious: this waits. If the writer failed, its error is the one to tell.
        if !records.is_empty() {
            gauges.brought.fetch_add(1, Ordering::Relaxed);
            drop(send.send((std::mem::take(records), brought)));
        }
    });
    *engine.counters()
}

/// Writes records until there are no more. Gives also what could not be written or delivered, a line each.
fn write(
    receive: Receiver<Brought>,
    mut book: LiveBook,
    mut sink: Sink,
    gauges: &Gauges,
    roll_up: Duration,
) -> Result<(LiveBook, Vec<String>), Failure> {
    let mut rolled_up = Instant::now();
    loop {
        let received = receive.recv_timeout(FILE_TICK);
        if gauges.is_reopening.swap(false, Ordering::AcqRel) {
            sink.reopen();
        }
        sink.tick();
        if let Some(policy) = gauges.policy.take() {
            book.set_policy(policy);
        }
        let missed = std::mem::take(&mut *locked(&gauges.missed));
        if !missed.is_empty() {
            book.add(missed.into_iter().map(|capture| missing(gauges, capture)).collect(), &mut sink)?;
        }
        if !roll_up.is_zero() && rolled_up.elapsed() >= roll_up {
            rolled_up = Instant::now();
            book.roll_up(&mut sink)?;
        }
        let (records, brought) = match received {
            Ok(received) => received,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let before = sink.lines();
        book.add(records, &mut sink)?;
        let written = sink.lines() - before;
        gauges.written.fetch_add(1, Ordering::Relaxed);
        if let Some(brought) = brought.filter(|_| written > 0) {
            locked(&gauges.latency).note(written, brought);
        }
    }
    book.finish(&mut sink)?;
    let unwritten = sink.finish(SHUTDOWN)?;
    Ok((book, unwritten))
}

/// What a capture missed, told by the last packet that it saw.
fn missing(gauges: &Gauges, capture: usize) -> Record {
    let number = Gauges::taken([&gauges.captures[capture]]).captured.max(1);
    let at = PacketRef { time: now(), input: capture as u32, number };
    Record::Finding(Box::new(Finding::coverage_gap(at, Reason::Gap)))
}

/// Until a signal says so or a capture ends by itself.
fn wait(job: &mut WatchJob, events: &Receiver<Event>, wakers: &[Waker], gauges: &Gauges, notifier: &Notifier) {
    let mut told = Instant::now();
    let (began, mut alive, mut glanced) = (told, told, (told, 0));
    let tick = notifier.interval().map_or(TICK, |interval| interval.min(TICK));
    let mut health = Health::new(job.alarms, gauges, told);
    loop {
        match events.recv_timeout(tick) {
            Err(RecvTimeoutError::Timeout) => wakers.iter().for_each(Waker::wake),
            Ok(Event::Reload) => {
                notifier.reloading();
                gauges.is_reopening.store(true, Ordering::Release);
                reload(job, gauges);
                notifier.ready(&start_line(job, gauges));
            }
            Ok(Event::Stop | Event::CaptureEnded | Event::OutputFailed) | Err(RecvTimeoutError::Disconnected) => {
                return;
            }
        }
        let looked = health.look(gauges, Instant::now());
        looked.over.iter().for_each(|line| console::notice(line));
        looked.troubles.iter().for_each(|line| console::warning(line));
        if !(looked.over.is_empty() && looked.troubles.is_empty()) {
            notifier.status(&health.troubles().unwrap_or_else(|| start_line(job, gauges)));
        }
        gauges.health.set(health.troubles().or_else(|| gauges.outlets.trouble()));
        if notifier.interval().is_some_and(|interval| alive.elapsed() >= interval.saturating_sub(tick)) {
            alive = Instant::now();
            if !health.is_stuck() {
                notifier.alive();
            }
        }
        let of = |name: &String| gauges.captures.iter().position(|capture| capture.interface == *name);
        locked(&gauges.missed).extend(looked.missed.iter().filter_map(of));
        if job.is_glanced_at && console::tells(Level::Info) {
            let taken = Gauges::taken(&gauges.captures).captured;
            let glance = glance(job, gauges, (began.elapsed(), glanced.0.elapsed()), taken - glanced.1);
            console::set_footer(glance.lines(console::columns()));
            glanced = (Instant::now(), taken);
        } else if !job.statistics.is_zero() && told.elapsed() >= job.statistics {
            told = Instant::now();
            gauges.lines().iter().for_each(|line| console::info(line));
            console::debug(&gauges.detail());
        }
    }
}

/// How things stand, for people; packets that came meanwhile.
fn glance(job: &WatchJob, gauges: &Gauges, (elapsed, since): (Duration, Duration), packets: u64) -> Glance {
    let interfaces: Vec<&str> = job.live.iter().map(|live| live.interface.as_str()).collect();
    let taken = Gauges::taken(&gauges.captures);
    let counts = gauges.outlets.scores.counts();
    let sessions = PROTOCOLS.iter().zip(&counts.sessions).map(|(info, &[clear, starttls, implicit_tls, unknown])| {
        SessionLine { protocol: info.title, clear, starttls, implicit_tls, unknown }
    });
    let logins = OUTCOMES
        .iter()
        .enumerate()
        .map(|(at, outcome)| (outcome.name(), counts.logins.iter().map(|row| row[at]).sum()));
    Glance {
        interfaces: interfaces.join(", "),
        elapsed,
        packets: taken.captured,
        rate: (packets as f64 / since.as_secs_f64().max(0.001)) as u64,
        dropped: taken.dropped + taken.dropped_by_kernel,
        missing: gauges.counters().stream.gap_octets,
        sessions: sessions.collect(),
        logins: logins.collect(),
        latest: gauges.outlets.scores.latest_lines(),
        trouble: gauges.health.reason(),
    }
}

/// All of the new configuration or nothing of it.
fn reload(job: &mut WatchJob, gauges: &Gauges) {
    let tried = (job.reload)().and_then(|new| {
        let tried = new.filters.iter().try_for_each(|(_, filter)| try_filter(filter));
        tried.map_err(|error| Failure::usage(error.to_string())).map(|()| new)
    });
    let new = match tried {
        Ok(new) => new,
        Err(failure) => return console::error(&format!("the configuration stays as it is: {}", failure.message)),
    };
    // Only one that is another: libpcap throws away what waits in the ring.
    for (interface, filter) in new.filters {
        let same = |live: &&mut LiveOptions| live.interface == interface && live.filter != filter;
        let Some(live) = job.live.iter_mut().find(same) else { continue };
        console::debug(&format!("{interface}: another filter: {filter}"));
        live.filter.clone_from(&filter);
        let captures = gauges.captures.iter().filter(|capture| capture.interface == interface);
        captures.for_each(|capture| capture.filter.put(filter.clone()));
    }
    for worker in &gauges.workers {
        worker.news.put((new.ports.clone(), Arc::clone(&new.policy)));
    }
    gauges.policy.put(new.policy);
    gauges.outlets.posts.iter().for_each(|post| post.renew_papers());
    job.statistics = new.statistics;
    // Whoever is told more or less from now on is told so by both.
    let before = console::tells(Level::Info);
    console::set_level(new.level);
    if before || console::tells(Level::Info) {
        console::notice("the configuration was read anew");
    }
    if !new.unheeded.is_empty() {
        console::warning(&format!("after a restart only: {}", new.unheeded.join(", ")));
    }
}

fn stop<T>(wakers: &[Waker], gauges: &Gauges, captures: &[JoinHandle<T>]) {
    gauges.is_stopping.store(true, Ordering::Release);
    while !captures.iter().all(JoinHandle::is_finished) {
        wakers.iter().for_each(Waker::wake);
        thread::sleep(DRAIN_TICK);
    }
}
