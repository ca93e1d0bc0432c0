//! `barewire report`: a page for people, made from records.

use super::Failure;
use crate::report;
use crate::run::{self, ReportJob};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// What the page is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A web page in one file, which fetches nothing.
    Html,
    /// Markdown.
    Md,
    /// What is to be done, a row each, for spreadsheets and tickets.
    Csv,
}

/// Make a page of what to change, in which order, from records.
///
/// Records are what replay and watch write, best with --records findings,logins,sessions; files may be plain or
/// compressed with gzip or zstd, and `-` is standard input. Several files are one: a record that stands in several of
/// them counts once. Lines that are no records are counted and left out.
#[derive(Args)]
pub(super) struct ReportOf {
    /// Files of records, or - for standard input.
    #[arg(required = true, value_name = "RECORDS")]
    files: Vec<PathBuf>,

    /// Form of the page.
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "html")]
    format: Format,

    /// Write the page to FILE instead of standard output. A page that is there is replaced.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Keep all rights that the program was started with.
    #[arg(long)]
    no_sandbox: bool,
}

impl ReportOf {
    pub(super) fn run(self) -> Result<u8, Failure> {
        run::report(&ReportJob {
            files: self.files,
            output: self.output,
            format: match self.format {
                Format::Html => report::Format::Html,
                Format::Md => report::Format::Markdown,
                Format::Csv => report::Format::Csv,
            },
            is_sandboxed: !self.no_sandbox,
        })
    }
}
