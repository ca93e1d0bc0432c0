//! The door that records leave by: standard output or a file, one line each. A closed pipe ends the writing, not the
//! run.
//!
//! Lines that are written together begin and end with a line, so that whoever ends the program leaves whole lines
//! behind. What a live capture writes to a file is in `file`.

use super::Failure;
use super::post::Posts;
use super::scores::SinkScore;
use super::waiting::Rank;
#[cfg(feature = "live")]
use super::{Rotation, delivery::Score, file::LiveFile, gauges::OutputGauge, look::Feed, now};
use crate::ops::metrics::SinkCounts;
#[cfg(feature = "live")]
use crate::ops::{console, sandbox::Needs};
use crate::output::verdict::Verdict;
use crate::output::{Encoder, Event, Form, Inputs};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// An open output, and the spools besides.
pub(super) struct Sink {
    /// `None`: there are only the spools, or documents.
    out: Option<Out>,
    posts: Posts,
    name: String,
    encoder: Encoder,
    /// Of the output; the spools hold records as they are encoded.
    form: Form,
    line: Vec<u8>,
    /// Lines written so far.
    lines: u64,
    /// Collects what documents are made from.
    pub(super) verdict: Option<Verdict>,
    /// The page of a live capture.
    #[cfg(feature = "live")]
    pub(super) page: Option<Feed>,
    is_closed: bool,
    /// Lines of which it is not known yet whether they can be written.
    waiting: u64,
    /// What became of the others; the file of a live capture has a gauge of its own.
    pub(super) score: Arc<SinkScore>,
}

enum Out {
    Batch(Batch),
    #[cfg(feature = "live")]
    Live(Box<LiveFile>),
}

/// As a `BufWriter` would hold: a pipe takes as much at once.
const BATCH_OCTETS: usize = 64 * 1024;

/// Whole lines that are written together.
struct Batch {
    out: Box<dyn Write + Send>,
    /// The same, where it is a file that can be cut.
    file: Option<Arc<File>>,
    lines: Vec<u8>,
}

impl Batch {
    fn new(out: Box<dyn Write + Send>, file: Option<Arc<File>>) -> Self {
        Self { out, file, lines: Vec::with_capacity(BATCH_OCTETS) }
    }

    fn add(&mut self, line: &[u8]) -> io::Result<()> {
        if self.lines.len() + line.len() > BATCH_OCTETS {
            self.write()?;
        }
        self.lines.extend_from_slice(line);
        Ok(())
    }

    /// Writes what is held. A line that the disk took in part is cut away.
    fn write(&mut self) -> io::Result<()> {
        let mut done = 0;
        while done < self.lines.len() {
            match self.out.write(&self.lines[done..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(more) if more > 0 => done += more,
                failed => {
                    let whole = memchr::memrchr(b'\n', &self.lines[..done]).map_or(0, |at| at + 1);
                    if let Some(file) = self.file.as_ref().filter(|_| whole < done) {
                        let octets = file.metadata()?.len();
                        file.set_len(octets.saturating_sub((done - whole) as u64))?;
                    }
                    self.lines.clear();
                    return Err(failed.err().unwrap_or_else(|| io::ErrorKind::WriteZero.into()));
                }
            }
        }
        self.lines.clear();
        self.out.flush()
    }
}

impl Sink {
    /// Opens FILE, which is emptied, or standard output, unless there are other receivers or records have no form.
    pub(super) fn open(path: Option<&Path>, inputs: Inputs, form: Option<Form>, posts: Posts) -> Result<Self, Failure> {
        let Some(form) = form.filter(|_| path.is_some() || posts.is_empty()) else {
            return Ok(Self::new(None, path, inputs, Form::default(), posts));
        };
        let batch = match path {
            None => Batch::new(Box::new(io::stdout()), None),
            Some(path) => emptied(path).map_err(|error| opening(path, &error))?,
        };
        Ok(Self::new(Some(Out::Batch(batch)), path, inputs, form, posts))
    }

    /// Opens FILE for a live capture, which appends to it, or standard output.
    #[cfg(feature = "live")]
    pub(super) fn open_live(
        path: Option<&Path>,
        inputs: Inputs,
        form: Form,
        rotation: Rotation,
        posts: Posts,
    ) -> Result<Self, Failure> {
        let Some(path) = path else { return Self::open(None, inputs, Some(form), posts) };
        let is_special = std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
        if is_special && rotation.is_wanted() {
            return Err(Failure::usage(format!("{} is no regular file and cannot be rotated", path.display())));
        }
        if is_special {
            return Self::open(Some(path), inputs, Some(form), posts);
        }
        let tell = Arc::new(console::log);
        let file = LiveFile::open(path, rotation, now(), tell).map_err(|error| opening(path, &error))?;
        Ok(Self::new(Some(Out::Live(Box::new(file))), Some(path), inputs, form, posts))
    }

    fn new(out: Option<Out>, path: Option<&Path>, inputs: Inputs, form: Form, posts: Posts) -> Self {
        let name = path.map_or_else(|| "standard output".to_owned(), |path| path.display().to_string());
        Self {
            out,
            posts,
            name,
            encoder: Encoder::new(inputs),
            form,
            line: Vec::new(),
            lines: 0,
            verdict: None,
            #[cfg(feature = "live")]
            page: None,
            is_closed: false,
            waiting: 0,
            score: Arc::new(SinkScore::new(if path.is_some() { "file" } else { "stdout" })),
        }
    }

    pub(super) fn write(&mut self, event: &Event<'_>) -> Result<(), Failure> {
        if self.is_closed {
            self.score.discarded(1);
            if self.posts.is_empty() && self.verdict.is_none() {
                return Ok(());
            }
        }
        self.line.clear();
        self.encoder.encode(event, &mut self.line);
        if let (Some(verdict), Event::Finding(collected)) = (&mut self.verdict, event) {
            verdict.finding(collected.finding.severity, &self.line);
        }
        #[cfg(feature = "live")]
        if let Some(page) = &self.page {
            page.put(&self.line);
        }
        self.posts.put(rank(event), &self.line);
        if self.out.is_some() {
            self.form.change(&mut self.line, 0);
        }
        match &mut self.out {
            Some(Out::Batch(batch)) if !self.is_closed => {
                self.lines += 1;
                self.waiting += 1;
                let written = batch.add(&self.line);
                self.heed(written)
            }
            #[cfg(feature = "live")]
            Some(Out::Live(file)) => {
                self.lines += u64::from(file.write(rank(event), &self.line, now()));
                Ok(())
            }
            _ => {
                self.lines += 1;
                Ok(())
            }
        }
    }

    /// Puts a record on the page only, which no receiver wants.
    #[cfg(feature = "live")]
    pub(super) fn show(&mut self, event: &Event<'_>) {
        if let Some(page) = &self.page {
            self.line.clear();
            self.encoder.encode(event, &mut self.line);
            page.put(&self.line);
        }
    }

    /// Lines written so far; to a file of a live capture those that were not late.
    #[cfg(feature = "live")]
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.posts.flush();
        match &mut self.out {
            Some(Out::Batch(batch)) if !self.is_closed => {
                let flushed = batch.write();
                if flushed.is_ok() {
                    self.score.written(std::mem::take(&mut self.waiting));
                }
                self.heed(flushed)
            }
            _ => Ok(()),
        }
    }

    /// Does what is due to the file: to be called each second or so.
    #[cfg(feature = "live")]
    pub(super) fn tick(&mut self) {
        self.posts.tick();
        if let Some(Out::Live(file)) = &mut self.out {
            file.tick(now());
        }
    }

    /// Opens the file anew if its path leads to another by now.
    #[cfg(feature = "live")]
    pub(super) fn reopen(&mut self) {
        if let Some(Out::Live(file)) = &mut self.out {
            file.reopen(now());
        }
    }

    /// What the sandbox must leave the receivers behind spools.
    #[cfg(feature = "live")]
    pub(super) fn add_to(&self, needs: &mut Needs) {
        self.posts.add_to(needs);
    }

    /// Begins to deliver what is in the spools, once nothing more has to be opened.
    pub(super) fn start(&mut self) -> Result<(), Failure> {
        self.posts.start()
    }

    /// No more records come. Waits until they are delivered, or none was for so long; gives a line for each place where
    /// not all of them are.
    pub(super) fn finish(&mut self, patience: Duration) -> Result<Vec<String>, Failure> {
        let mut missing = Vec::new();
        #[cfg(feature = "live")]
        if let Some(Out::Live(file)) = &mut self.out {
            missing.extend(file.finish(now()));
        }
        missing.extend(self.posts.finish(patience)?);
        Ok(missing)
    }

    /// What became of the records so far.
    pub(super) fn counts(&self) -> Vec<SinkCounts> {
        let output = self.out.is_some().then(|| self.score.counts());
        output.into_iter().chain(self.posts.scores().iter().map(|post| post.counts())).collect()
    }

    /// Of each receiver behind a spool.
    #[cfg(feature = "live")]
    pub(super) fn posts(&self) -> Vec<Arc<Score>> {
        self.posts.scores()
    }

    /// There are only the spools.
    #[cfg(feature = "live")]
    pub(super) fn has_no_output(&self) -> bool {
        self.out.is_none()
    }

    /// What is counted of a file.
    #[cfg(feature = "live")]
    pub(super) fn gauge(&self) -> Arc<OutputGauge> {
        match &self.out {
            Some(Out::Live(file)) => file.gauge(),
            _ => Arc::default(),
        }
    }

    fn heed(&mut self, result: io::Result<()>) -> Result<(), Failure> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.is_closed = true;
                self.score.discarded(std::mem::take(&mut self.waiting));
                Ok(())
            }
            Err(error) => {
                self.score.failed(std::mem::take(&mut self.waiting));
                Err(Failure::output(format!("writing {}: {error}", self.name)))
            }
            Ok(()) => Ok(()),
        }
    }
}

fn opening(path: &Path, error: &io::Error) -> Failure {
    Failure::output(format!("opening {}: {error}", path.display()))
}

/// Opens a file and empties it, unless a live capture writes to it.
fn emptied(path: &Path) -> io::Result<Batch> {
    let file = OpenOptions::new().create(true).write(true).truncate(false).open(path)?;
    if !file.metadata()?.is_file() {
        return Ok(Batch::new(Box::new(file), None));
    }
    // Where a file system has no locks, nothing is known of others.
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        return Err(io::Error::other("another process writes to it; name another file with -o"));
    }
    file.set_len(0)?;
    let file = Arc::new(file);
    Ok(Batch::new(Box::new(Arc::clone(&file)), Some(file)))
}

fn rank(event: &Event<'_>) -> Rank {
    match event {
        Event::Finding(_) => Rank::Finding,
        Event::Login(_) => Rank::Login,
        Event::Session(_) => Rank::Session,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, PoisonError};

    /// Keeps what each call wrote, and takes so many octets at most.
    #[derive(Clone, Default)]
    struct Calls(std::sync::Arc<Mutex<Vec<Vec<u8>>>>);

    impl Write for Calls {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(octets.to_vec());
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_line_is_split_between_two_writes() {
        let calls = Calls::default();
        let mut batch = Batch::new(Box::new(calls.clone()), None);
        let mut whole = Vec::new();
        for number in 0..2000_usize {
            let mut line = vec![b'x'; 1 + number * 7 % 5999];
            *line.last_mut().expect("an octet") = b'\n';
            whole.extend_from_slice(&line);
            batch.add(&line).expect("written");
        }
        batch.write().expect("written");
        let calls = calls.0.lock().expect("no panic").clone();
        assert!(calls.iter().all(|call| call.ends_with(b"\n") && call.len() <= BATCH_OCTETS));
        assert!(calls.len() < 110, "{} calls", calls.len());
        assert!(calls.concat() == whole);
    }

    #[test]
    fn a_full_disk_leaves_whole_lines() {
        struct Full(File, usize);
        impl Write for Full {
            fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
                let taken = octets.len().min(self.1);
                self.1 -= taken;
                if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { self.0.write(&octets[..taken]) }
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let path = std::env::temp_dir().join(format!("bw-sink-{}", std::process::id()));
        let file = File::create(&path).expect("a file");
        let mut batch = Batch::new(Box::new(Full(file.try_clone().expect("a file"), 25)), Some(Arc::new(file)));
        (0..5).for_each(|_| batch.add(b"123456789\n").expect("held"));
        assert_eq!(batch.write().expect_err("it is full").kind(), io::ErrorKind::StorageFull);
        let left = std::fs::read(&path).expect("the file");
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(left, b"123456789\n123456789\n");
    }
}
