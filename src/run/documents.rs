//! Documents that are made when a replay is over, each in a file or on standard output.

use super::{Failure, Judging};
use crate::ops::sandbox::Needs;
use crate::ops::{console, folder_of};
use crate::output::verdict::{About, Document, Verdict};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Documents that were asked for, and what they are told besides findings.
#[derive(Debug, Default)]
pub struct Documents {
    /// Each with its file; without one it goes to standard output.
    pub wanted: Vec<(Document, Option<PathBuf>)>,
    /// See [`About::sarif_base`].
    pub sarif_base: Option<String>,
    /// The page of a job of GitHub Actions, which Markdown is appended to.
    pub github_summary: Option<PathBuf>,
    /// There are findings that are accepted.
    pub has_baseline: bool,
}

impl Documents {
    /// What collects them, if there are any.
    pub(super) fn verdict(&self, judging: &Judging, inputs: &[String]) -> Option<Verdict> {
        let about = About {
            inputs: inputs.iter().map(|name| (name.clone(), octets(name))).collect(),
            fail_on: judging.fail_on,
            has_baseline: self.has_baseline,
            sarif_base: self.sarif_base.clone(),
        };
        (!self.wanted.is_empty()).then(|| Verdict::new(about))
    }

    /// All files that are written.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.wanted.iter().filter_map(|(_, file)| file.as_ref()).chain(&self.github_summary)
    }

    pub(super) fn add_to(&self, needs: &mut Needs) {
        self.files().for_each(|file| needs.write_once(file));
    }

    /// Whether each can be written, as far as can be seen before it is.
    ///
    /// # Errors
    ///
    /// A folder is not there.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match self.files().find(|file| !folder_of(file).is_dir()) {
            Some(file) => Err(Failure::usage(format!("{}: its folder does not exist; make it first", file.display()))),
            None => Ok(()),
        }
    }

    /// Writes them all; one that cannot be written keeps no other from being so.
    ///
    /// # Errors
    ///
    /// That of the last that cannot; those before it are told.
    pub(super) fn write(
        &self,
        mut verdict: Verdict,
        status: (u8, String),
        problems: Vec<String>,
    ) -> Result<(), Failure> {
        verdict.conclude(status, problems);
        let mut failed: Option<Failure> = None;
        let mut note = |written: Result<(), Failure>| {
            if let Err(failure) = written
                && let Some(before) = failed.replace(failure)
            {
                console::error(&before.message);
            }
        };
        for (document, file) in &self.wanted {
            let name = file.as_deref().unwrap_or(Path::new("standard output"));
            let out = match file {
                Some(file) => File::create(file).map(|file| Box::new(file) as Box<dyn Write>),
                None => Ok(Box::new(io::stdout()) as Box<dyn Write>),
            };
            note(written(name, out, |out| verdict.write(*document, out)));
        }
        if let Some(file) = &self.github_summary {
            let out = OpenOptions::new().create(true).append(true).open(file);
            note(written(file, out.map(|file| Box::new(file) as Box<dyn Write>), |out| verdict.write_summary(out)));
        }
        failed.map_or(Ok(()), Err)
    }
}

/// The octets of a file; a pipe has none that are known.
fn octets(name: &str) -> Option<u64> {
    std::fs::metadata(name).ok().filter(std::fs::Metadata::is_file).map(|file| file.len())
}

fn written(
    name: &Path,
    out: io::Result<Box<dyn Write>>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let done = out.and_then(|out| {
        let mut out = BufWriter::new(out);
        write(&mut out).and_then(|()| out.flush())
    });
    match done {
        // Whoever reads has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::output(format!("writing {}: {error}", name.display())))
        }
        _ => Ok(()),
    }
}
