//! Records made into a page for people: what crossed the wire in clear, and what to change in which order.
//!
//! [`Report::read`] adds records up in bounded memory (see `model`), [`Report::write`] writes the page. It knows no JSON
//! but what [`crate::output`] reads, reads no clock — what is about to expire is so as of the newest record — and fetches
//! nothing: the page is one file. Memory: about 200 MiB for a million records that all differ, a few MiB for
//! those of a usual day; a compressed input takes its decoder's window besides.

mod bounded;
mod chapters;
mod csv;
mod evidence;
mod html;
mod markdown;
mod model;
mod read;
mod timeline;
mod words;
mod worklist;

use model::Model;
pub(crate) use read::LINE_OCTETS;

use read::Given;
pub(crate) use read::read;
use std::io::{self, Write};
use std::path::Path;
use worklist::Worklist;

/// What the page is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One file that needs no other.
    Html,
    /// With tables as GitHub has them.
    Markdown,
    /// What is to be done, a row each.
    Csv,
}

/// Findings that are shown by themselves.
const EVIDENCE: usize = 200;

/// What records add up to.
pub struct Report {
    model: Model,
    given: Given,
}

impl Default for Report {
    fn default() -> Self {
        Self { model: Model::new(EVIDENCE), given: Given::default() }
    }
}

impl Report {
    /// Adds the records of a file, or of standard input for `-`; what was left out is told in the line that is given
    /// back.
    ///
    /// # Errors
    ///
    /// Nothing of it could be read.
    pub fn read(&mut self, path: &Path) -> io::Result<Option<String>> {
        let tally = read::read(path, |fact| self.model.add(fact))?;
        let complaint = tally.complaint();
        self.given.files.push(tally);
        Ok(complaint)
    }

    /// There was no record in what was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.model.records.iter().all(|count| *count == 0)
    }

    /// Writes the page. Equal records give equal pages.
    ///
    /// # Errors
    ///
    /// `out` could not be written.
    pub fn write(&self, format: Format, out: &mut dyn Write) -> io::Result<()> {
        let list = Worklist::new(&self.model);
        let document = || chapters::document(&self.given, &self.model, &list);
        match format {
            Format::Html => out.write_all(html::render(&document()).as_bytes()),
            Format::Markdown => out.write_all(markdown::render(&document()).as_bytes()),
            Format::Csv => csv::write(&self.model, &list, out),
        }
    }
}
