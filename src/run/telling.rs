//! What a replay says in the end, whichever way the records came: records in their order, documents, the summary, the page
//! of metrics and the exit status.

use super::book::Book;
use super::evidence;
use super::metrics::{PageFile, page_of_replay};
use super::post::Posts;
use super::replay::ReplayJob;
use super::sink::Sink;
use super::{Failure, Intake, status, summary};
use crate::engine::Counters;
use crate::finding::Record;
use crate::ops::console::{self, Level};
use crate::output::Inputs;
use crate::wire::Timestamp;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a replay waits for receivers of which none confirms anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was read.
pub(super) struct Read {
    pub(super) counters: Counters,
    /// Frames of the captures.
    pub(super) captured: u64,
    /// Captures that were cut or damaged, one line each.
    pub(super) damaged: Vec<String>,
    /// Captures of which nothing could be read.
    pub(super) unreadable: Vec<String>,
    /// Connections of which an archive does not hold what would have been looked at, one line for each capture.
    pub(super) missed: Vec<String>,
    /// The latest time in them.
    pub(super) clock: Timestamp,
}

/// The open outputs of a replay, and what is held until it is written.
pub(super) struct Telling {
    book: Book,
    sink: Sink,
    metrics_file: Option<PageFile>,
    began: Instant,
    started: Timestamp,
}

impl Telling {
    /// Opens what the job names. `inputs`: the captures by their names; `since`: when the run began.
    pub(super) fn open(
        job: &ReplayJob,
        posts: Posts,
        inputs: Vec<String>,
        (began, started): (Instant, Timestamp),
    ) -> Result<Self, Failure> {
        let kept = job.files.iter().chain(&job.output).chain(&job.read).map(PathBuf::as_path);
        let metrics_file = job.metrics_file.as_deref().map(|path| PageFile::open(path, kept)).transpose()?;
        let names = Inputs { names: inputs.clone(), is_live: false, sensor: job.sensor.clone() };
        let mut sink = Sink::open(job.output.as_deref(), names, job.form, posts)?;
        sink.verdict = job.documents.verdict(&job.judging, &inputs);
        sink.start()?;
        let mut book = Book::new(job.kinds, &job.settings, inputs);
        book.evidence = job.evidence.as_ref().map(|_| evidence::Wanted::default());
        Ok(Self { book, sink, metrics_file, began, started })
    }

    /// Takes records.
    pub(super) fn add(&mut self, records: &mut Vec<Record>) -> Result<(), Failure> {
        self.book.add(records, &mut self.sink)
    }

    /// Writes all there is to say. Gives the exit status.
    pub(super) fn conclude(self, job: &ReplayJob, read: Read) -> Result<u8, Failure> {
        let Self { mut book, mut sink, metrics_file, began, started } = self;
        let Read { counters, captured, damaged, unreadable, missed, clock } = read;
        book.finish(&mut sink)?;
        let undelivered = sink.finish(PATIENCE)?;
        let elapsed = began.elapsed();
        let intake =
            Intake { counters, captured, dropped: 0, dropped_by_kernel: 0, damaged, unreadable, missed, elapsed };
        intake.check()?;
        undelivered.iter().for_each(|line| console::error(line));
        let undelivered = undelivered.first().map(|_| (5, "not every record could be delivered".to_owned()));
        let status = undelivered.unwrap_or_else(|| status(&job.judging, &book.tally, &intake));
        let code = status.0;
        let told = || intake.unreadable.iter().chain(&intake.damaged).chain(&intake.missed);
        let problems = || told().cloned().collect();
        let verdict = sink.verdict.take();
        let mut unwritten = verdict.and_then(|verdict| job.documents.write(verdict, status.clone(), problems()).err());
        if let Some((wanted, folder)) = book.evidence.take().zip(job.evidence.as_deref()) {
            unwritten = wanted.write(folder, &job.files).err().or(unwritten);
        }
        if console::tells(Level::Info) {
            console::block(&summary(&book.tally, &intake, status).render(console::is_coloured()));
        } else {
            told().for_each(|problem| console::error(problem));
        }
        console::debug(&format!("{:?}", intake.counters));
        if let Some(file) = metrics_file {
            let Intake { counters, captured, .. } = intake;
            let scores = &book.tally.scores;
            file.write(&page_of_replay(started, clock, captured, counters, scores, sink.counts()))?;
        }
        unwritten.map_or(Ok(code), Err)
    }
}
