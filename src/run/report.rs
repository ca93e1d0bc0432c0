//! Runs `report`: records in, a page out. One thread, no clock.

use super::confine::confine;
use super::{Failure, refuse_overwriting, write_out};
use crate::ops::console::{self, Level};
use crate::ops::sandbox::Needs;
use crate::report::{Format, Report};
use std::path::PathBuf;

/// What to do.
pub struct ReportJob {
    /// Files of records, or `-` for standard input.
    pub files: Vec<PathBuf>,
    /// Where the page goes; `None`: standard output.
    pub output: Option<PathBuf>,
    /// What it is written as.
    pub format: Format,
    /// Gives up what it does not need.
    pub is_sandboxed: bool,
}

/// Makes the page.
///
/// # Errors
///
/// One line: an input cannot be read or none has a record, or the output cannot be written.
pub fn report(job: &ReportJob) -> Result<u8, Failure> {
    refuse_overwriting(&job.files, &job.output)?;
    confine(job.is_sandboxed.then(|| needs_of(&job.files, job.output.as_ref())).as_ref(), Level::Debug)?;
    let mut report = Report::default();
    for path in &job.files {
        let complaint = report.read(path).map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
        if let Some(complaint) = complaint {
            console::warning(&complaint);
        }
    }
    if report.is_empty() {
        return Err(nothing(&job.files));
    }
    write_out(job.output.as_deref(), |out| report.write(job.format, out)).map(|()| 0)
}

/// What the sandbox must leave. The output is opened after the last input was read.
pub(super) fn needs_of(files: &[PathBuf], output: Option<&PathBuf>) -> Needs {
    // Of a folder given by mistake nothing is read.
    let read = files.iter().filter(|path| !path.is_dir()).cloned().collect();
    let mut needs = Needs { opens_files_of_others: true, read, ..Needs::default() };
    if let Some(output) = output {
        needs.write_once(output);
    }
    needs
}

/// No file has a record.
pub(super) fn nothing(files: &[PathBuf]) -> Failure {
    let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
    Failure::input(format!(
        "{}: no record in it; 'barewire replay --records findings,logins,sessions -o RECORDS.ndjson CAPTURE' writes records, \
         which must be in the form ecs",
        names.join(", ")
    ))
}
