//! `barewire explain`: the catalogue, for people.

use super::Failure;
use crate::finding::{CATALOGUE, Entry, FindingId, severity_name};
use crate::ops::console;
use clap::Args;
use std::fmt::Write as _;

/// Say what a finding means, what it needs as proof and how to mend it.
#[derive(Args)]
pub(super) struct Explain {
    /// The finding, such as cleartext-password; without it, all are listed.
    #[arg(value_name = "FINDING-ID")]
    id: Option<String>,
}

impl Explain {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let text = match &self.id {
            None => list(),
            Some(name) => {
                let id = FindingId::parse(name)
                    .ok_or_else(|| Failure::usage(format!("no finding '{name}'; 'barewire explain' lists them")))?;
                explain(id.entry())
            }
        };
        console::data(&text).map(|()| 0)
    }
}

fn list() -> String {
    let mut text = String::new();
    for entry in &CATALOGUE {
        let _ = writeln!(text, "{:<34} {:<9} {}", entry.name, severity_name(entry.severity), entry.title);
    }
    text
}

/// Columns of running text.
const WIDTH: usize = 88;

fn explain(entry: &Entry) -> String {
    let mut text =
        format!("{}\n{}, severity {} ({})\n", entry.name, entry.title, entry.severity, severity_name(entry.severity));
    for (heading, body) in
        [("What it means", entry.description), ("Proof it needs", entry.proof), ("What to do", entry.remediation)]
    {
        let _ = write!(text, "\n{heading}\n{}", wrap(body));
    }
    if !entry.remedies.is_empty() {
        text.push_str("\nBy server software\n");
        for remedy in entry.remedies {
            let _ = writeln!(text, "  {:<12} {}", remedy.server, remedy.setting);
        }
    }
    let references: Vec<&str> =
        entry.rfcs.iter().chain(entry.cwes).copied().chain(entry.techniques.iter().map(|t| t.id)).collect();
    if !references.is_empty() {
        let _ = write!(text, "\nReferences\n{}", wrap(&references.join(", ")));
    }
    text
}

fn wrap(body: &str) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in body.split_whitespace() {
        if column + word.len() >= WIDTH {
            text.push('\n');
            column = 0;
        }
        text.push_str(if column == 0 { "  " } else { " " });
        text.push_str(word);
        column += word.len() + if column == 0 { 2 } else { 1 };
    }
    text.push('\n');
    text
}
