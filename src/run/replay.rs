//! Saved captures through the engines: on one thread, or over a pipeline to several.

use super::confine::confine;
use super::documents::Documents;
use super::evidence;
use super::post::Posts;
use super::telling::{Read, Telling};
use super::{Failure, Judging, Kinds, now, refuse_overwriting};
use crate::capture::{Access, FileSet};
use crate::engine::{Counters, Engine, Settings};
use crate::finding::Record;
use crate::ops::Progress;
use crate::ops::console::{self, Level};
use crate::ops::sandbox::Needs;
use crate::output::Form;
use crate::pipeline::{self, Overflow};
use crate::sink::Receiver;
use crate::wire::Timestamp;
use crossbeam_channel::bounded;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::thread;
use std::time::Instant;

/// What `replay` is asked to do.
pub struct ReplayJob {
    /// Capture files; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// Files that the options name and that are read, beside the captures.
    pub read: Vec<PathBuf>,
    /// For the engines.
    pub settings: Settings,
    /// Records to write.
    pub kinds: Kinds,
    /// What the exit status depends on.
    pub judging: Judging,
    /// Worker threads; 0: everything on this one.
    pub workers: usize,
    /// Where records go instead of standard output.
    pub output: Option<PathBuf>,
    /// Where records go besides; only there, where there is no output.
    pub receivers: Vec<Receiver>,
    /// What records call this sensor.
    pub sensor: Option<String>,
    /// How records are written; `None`: only documents are.
    pub form: Option<Form>,
    /// Made of all findings in the end.
    pub documents: Documents,
    /// Where a page of metrics goes in the end.
    pub metrics_file: Option<PathBuf>,
    /// Where a file of packets goes for each finding.
    pub evidence: Option<PathBuf>,
    /// Rights are given up before the first octet is looked at.
    pub is_sandboxed: bool,
}

/// Frames between two looks at the clock.
const PROGRESS_EVERY: u64 = 16 * 1024;

/// Record batches between workers and the writer.
const RECORD_BATCHES: usize = 64;

/// None of the captures could be read; why not, of each. The output stays as it is.
pub(super) fn nothing_read(job: &ReplayJob, inputs: &[String], why: Vec<String>) -> Failure {
    why.iter().for_each(|problem| console::error(problem));
    let told = "no input could be read; no records were written";
    let verdict = job.documents.verdict(&job.judging, inputs);
    let written = verdict.map_or(Ok(()), |verdict| job.documents.write(verdict, (3, told.to_owned()), why));
    written.err().unwrap_or_else(|| Failure::input(told))
}

/// Reads the captures to their end and writes what they show. Gives the exit status.
///
/// # Errors
///
/// The output cannot be written, or a thread ended by a fault.
pub fn replay(mut job: ReplayJob) -> Result<u8, Failure> {
    let (began, started) = (Instant::now(), now());
    // Before the files are opened: one of them may start a thread, and all are looked into.
    let receivers = std::mem::take(&mut job.receivers);
    let job = &job;
    let sinks: Vec<PathBuf> = receivers.iter().flat_map(|receiver| receiver.reach.files.clone()).collect();
    let outputs = job.output.iter().chain(job.documents.files()).chain(&sinks);
    refuse_overwriting(job.files.iter().chain(&job.read), outputs)?;
    job.documents.check()?;
    if let Some(folder) = &job.evidence {
        evidence::prepare(folder, &job.files)?;
    }
    let posts = Posts::open(receivers)?;
    confine(job.is_sandboxed.then(|| needs(job, &posts)).as_ref(), Level::Debug)?;
    let access = if job.workers == 0 { Access::Read } else { Access::Map };
    let mut files = FileSet::open(&job.files, access);
    let inputs = files.names().to_vec();
    let unread: Vec<String> =
        files.problems().iter().filter(|problem| !problem.opened).map(ToString::to_string).collect();
    if unread.len() == job.files.len() {
        return Err(nothing_read(job, &inputs, unread));
    }
    let mut telling = Telling::open(job, posts, inputs, (began, started))?;
    let mut watcher = Watcher::new(began, console::tells(Level::Info));
    let run = || match job.workers {
        0 => inline(job, &mut files, &mut telling, &mut watcher),
        workers => threaded(job, workers, &mut files, &mut telling, &mut watcher),
    };
    let (counters, captured) =
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(Failure::fault("capture-0")))?;
    watcher.progress.finish();
    let (damaged, unreadable) = files.problems().iter().partition(|problem| problem.opened);
    let lines = |problems: Vec<&crate::capture::Problem>| problems.iter().map(ToString::to_string).collect();
    let (damaged, unreadable) = (lines(damaged), lines(unreadable));
    telling.conclude(job, Read { counters, captured, damaged, unreadable, missed: Vec::new(), clock: files.clock() })
}

/// What the sandbox must leave: the captures, which are opened when their time comes, and the output.
pub(super) fn needs(job: &ReplayJob, posts: &Posts) -> Needs {
    // Of a folder given by mistake nothing is read.
    let read = job.files.iter().filter(|path| !path.is_dir()).cloned().collect();
    let mut needs = Needs { opens_files_of_others: true, read, ..Needs::default() };
    if let Some(output) = &job.output {
        needs.write_once(output);
    }
    job.documents.add_to(&mut needs);
    if let Some(page) = &job.metrics_file {
        needs.keep_writing(page);
    }
    needs.folders.extend(job.evidence.clone());
    posts.add_to(&mut needs);
    needs
}

/// Draws progress now and then.
struct Watcher {
    began: Instant,
    progress: Progress<std::io::Stderr>,
    /// Packets from which on the clock is looked at again.
    due: u64,
}

impl Watcher {
    fn new(began: Instant, wanted: bool) -> Self {
        Self { began, progress: Progress::new(std::io::stderr(), wanted && console::is_terminal()), due: 0 }
    }

    #[inline]
    fn tick(&mut self, files: &FileSet, packets: u64) {
        if packets >= self.due {
            self.due = packets + PROGRESS_EVERY;
            let (done, total) = files.position();
            self.progress.tick(done, total, packets, self.began.elapsed());
        }
    }
}

fn inline(
    job: &ReplayJob,
    files: &mut FileSet,
    telling: &mut Telling,
    watcher: &mut Watcher,
) -> Result<(Counters, u64), Failure> {
    let mut engine = Engine::new(job.settings.clone());
    let mut records = Vec::new();
    let mut captured = 0;
    while let Some(frames) = files.next_frames() {
        captured += frames.count();
        engine.push_all(frames.iter(), &mut records);
        telling.add(&mut records)?;
        watcher.tick(files, captured);
    }
    engine.finish(&mut records);
    telling.add(&mut records)?;
    Ok((*engine.counters(), captured))
}

fn threaded(
    job: &ReplayJob,
    workers: usize,
    files: &mut FileSet,
    telling: &mut Telling,
    watcher: &mut Watcher,
) -> Result<(Counters, u64), Failure> {
    let (mut dispatchers, feeds) = pipeline::channels(1, workers, Overflow::Wait);
    let mut dispatcher = dispatchers.remove(0);
    let (send, receive) = bounded::<Vec<Record>>(RECORD_BATCHES);
    thread::scope(|scope| {
        let mut handles = Vec::new();
        for (at, feed) in feeds.into_iter().enumerate() {
            let send = send.clone();
            let settings = Settings { limits: job.settings.limits.shared_by(workers), ..job.settings.clone() };
            let name = format!("worker-{at}");
            let work = move || {
                let mut engine = Engine::new(settings);
                // One capture: nothing waits for others.
                feed.run(
                    || Timestamp(0),
                    &mut engine,
                    |_, records, _| {
                        // The writer outlives the workers unless it failed; then its error is the one to tell.
                        if !records.is_empty() {
                            drop(send.send(std::mem::take(records)));
                        }
                    },
                );
                *engine.counters()
            };
            let handle = thread::Builder::new().name(name.clone()).spawn_scoped(scope, work);
            handles.push((name, handle.map_err(|error| Failure::usage(format!("starting a thread: {error}")))?));
        }
        drop(send);
        let writer = thread::Builder::new()
            .name("output".to_owned())
            .spawn_scoped(scope, move || receive.iter().try_for_each(|mut records| telling.add(&mut records)));
        let writer = writer.map_err(|error| Failure::usage(format!("starting a thread: {error}")))?;
        let mut captured = 0;
        while let Some((frame, map)) = files.next_with_map() {
            captured += 1;
            dispatcher.push(&frame, map);
            watcher.tick(files, captured);
        }
        dispatcher.finish();
        let mut counters = *dispatcher.counters();
        drop(dispatcher);
        for (name, handle) in handles {
            counters.add(&handle.join().map_err(|_| Failure::fault(&name))?);
        }
        writer.join().map_err(|_| Failure::fault("output"))??;
        Ok((counters, captured))
    })
}
