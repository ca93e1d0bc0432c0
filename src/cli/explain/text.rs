//! The catalogue as text for a terminal.

use super::setting::{Line, Shared, lines, shared};
use crate::finding::remedies::{client_remedies, client_topic, server_remedies, server_topic};
use crate::finding::{ATTACK_VERSION, CATALOGUE, Category, Entry, Technique, severity_name};
use std::fmt::Write as _;

/// Columns of running text.
const WIDTH: usize = 88;

/// All findings by category, a line each.
pub(super) fn list() -> String {
    let mut text = String::new();
    for category in [Category::Exposure, Category::Transport, Category::Quality] {
        let _ = writeln!(text, "{}", heading(category));
        for entry in CATALOGUE.iter().filter(|entry| entry.category == category) {
            let _ = writeln!(text, "  {:<33} {:<7} {}", entry.name, severity_name(entry.severity), entry.title);
        }
        text.push('\n');
    }
    text.push_str("barewire explain NAME says what one means, what it needs as proof and how to mend it.\n");
    text
}

/// What a category is about.
pub(super) fn heading(category: Category) -> &'static str {
    match category {
        Category::Exposure => "What was disclosed",
        Category::Transport => "How connections were protected",
        Category::Quality => "How good the evidence is",
    }
}

/// All about one finding.
pub(super) fn one(entry: &Entry) -> String {
    let mut text = format!("{}\n{}\n", entry.name, entry.title);
    for (heading, body) in
        [("What it means", entry.description), ("Proof it needs", entry.proof), ("What to do", entry.remediation)]
    {
        section(&mut text, heading, body);
    }
    section(&mut text, "Severity", &severity(entry));
    if let Some(topic) = server_topic(entry.id) {
        settings(&mut text, "In the server or before it, by software", &shared(topic, server_remedies(entry.id)));
    }
    if let Some(topic) = client_topic(entry.id) {
        settings(&mut text, "In the client, by software", &shared(topic, client_remedies(entry.id)));
    }
    references(&mut text, entry);
    text
}

/// The severity and what changes it.
pub(super) fn severity(entry: &Entry) -> String {
    let mut text = format!("{} ({} of 5).", severity_name(entry.severity), entry.severity);
    for sentence in entry.modifiers {
        text.push(' ');
        text.push_str(sentence);
    }
    text
}

/// Techniques with their tactics, as people look them up.
pub(super) fn techniques(entry: &Entry) -> String {
    let mut all: Vec<String> = Vec::new();
    let mut before = "";
    for Technique { id, name, tactic_id, tactic } in entry.techniques {
        match all.last_mut() {
            Some(last) if *id == before => {
                let _ = write!(last, ", {tactic_id} {tactic}");
            }
            _ => all.push(format!("{id} {name} ({tactic_id} {tactic}")),
        }
        before = id;
    }
    all.iter().map(|technique| format!("{technique})")).collect::<Vec<_>>().join(", ")
}

fn section(text: &mut String, heading: &str, body: &str) {
    let _ = write!(text, "\n{heading}\n{}", wrapped(body, 2));
}

fn settings(text: &mut String, heading: &str, all: &[Shared]) {
    let _ = writeln!(text, "\n{heading}");
    for (at, Shared { names, remedy }) in all.iter().enumerate() {
        text.push_str(&wrapped(names, 2));
        setting(text, remedy.setting);
        // One test for all above it that are tested in the same way.
        if all.get(at + 1).is_none_or(|next| next.remedy.test != remedy.test) {
            for (label, line) in ["test", ""].into_iter().zip(remedy.test.lines()) {
                let _ = writeln!(text, "    {label:<5} {line}");
            }
        }
    }
}

fn setting(text: &mut String, setting: &str) {
    let mut indent = 4;
    for line in lines(setting) {
        match line {
            Line::Place(line) => {
                let _ = writeln!(text, "    {line}");
                indent = 6;
            }
            Line::Prose(line) => {
                text.push_str(&wrapped(line, 4));
                indent = 4;
            }
            Line::Exact(line) => {
                let _ = writeln!(text, "{:indent$}{line}", "");
            }
        }
    }
}

fn references(text: &mut String, entry: &Entry) {
    let mut lists = [entry.rfcs, entry.cwes, entry.cves].map(|list| list.join(", ")).to_vec();
    lists.extend(entry.papers.iter().map(|paper| (*paper).to_owned()));
    if !entry.techniques.is_empty() {
        lists.push(format!("MITRE ATT&CK {ATTACK_VERSION}, what it enables: {}", techniques(entry)));
    }
    lists.retain(|list| !list.is_empty());
    if !lists.is_empty() {
        text.push_str("\nReferences\n");
    }
    for list in lists {
        text.push_str(&wrapped(&list, 2));
    }
}

/// Lines of at most [`WIDTH`] columns, each behind `indent` spaces.
fn wrapped(body: &str, indent: usize) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in body.split_whitespace() {
        if column > 0 && column + 1 + word.len() > WIDTH {
            text.push('\n');
            column = 0;
        }
        let gap = if column == 0 { indent } else { 1 };
        let _ = write!(text, "{:gap$}{word}", "");
        column += gap + word.len();
    }
    text.push('\n');
    text
}
