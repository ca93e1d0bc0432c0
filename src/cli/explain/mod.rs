//! `barewire explain`: the catalogue and the remedies, for people.

mod markdown;
mod setting;
mod text;

use super::Failure;
use crate::finding::remedies::all_remedies;
use crate::finding::{CATALOGUE, FindingId};
use crate::ops::console;
use clap::Args;
use std::fmt::Write as _;

/// Say what a finding means, what it needs as proof and how to mend it.
#[derive(Args)]
pub(super) struct Explain {
    /// The finding, such as cleartext-password; without it, all are listed.
    #[arg(value_name = "FINDING-ID")]
    id: Option<String>,

    /// Print the whole catalogue as one page of Markdown.
    #[arg(long, conflicts_with = "id")]
    markdown: bool,

    /// Print every remedy on a line: topic, software, setting, test; for programs.
    #[arg(long, hide = true, conflicts_with_all = ["id", "markdown"])]
    remedies: bool,
}

impl Explain {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let text = match &self.id {
            _ if self.markdown => markdown::page(),
            _ if self.remedies => remedies(),
            None => text::list(),
            Some(name) => {
                let id = FindingId::parse(name).ok_or_else(|| Failure::usage(unknown(name)))?;
                text::one(id.entry())
            }
        };
        console::data(&text).map(|()| 0)
    }
}

/// Names as alike as this are taken for misspelt: from 0, nothing in common, to 1, the same.
const ALIKE: f64 = 0.7;

fn unknown(name: &str) -> String {
    let likeness = |known: &str| strsim::jaro_winkler(name, known);
    let nearest = CATALOGUE.iter().map(|entry| entry.name).max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest.filter(|known| likeness(known) > ALIKE) {
        Some(known) => format!("no finding '{name}'; did you mean '{known}'? 'barewire explain' lists them"),
        None => format!("no finding '{name}'; 'barewire explain' lists them"),
    }
}

/// Columns between tabs; line feeds in a column are written `\n`.
fn remedies() -> String {
    let mut text = String::new();
    for (topic, remedy) in all_remedies() {
        let [setting, test] =
            [remedy.setting, remedy.test].map(|lines| lines.replace('\\', "\\\\").replace('\n', "\\n"));
        let _ = writeln!(text, "{}\t{}\t{setting}\t{test}", topic.name(), remedy.software);
    }
    text
}
