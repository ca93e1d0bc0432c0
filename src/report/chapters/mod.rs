//! What the page says, chapter by chapter, from what records add up to.
//!
//! What the records cannot tell stands first: a page of small numbers from a blind sensor must not look like good news.

mod coverage;
mod evidence;
mod headline;
mod sessions;
mod work;

use super::document::{Document, Table};
use super::model::Model;
use super::read::Given;
use super::words;
use super::worklist::Worklist;
use crate::ops::{counted, grouped};

/// Rows of a table of servers, accounts, clients or the like. A page that nobody can load helps nobody.
const ROWS: usize = 250;

/// The whole page.
pub(super) fn document(given: &Given, model: &Model, list: &Worklist<'_>) -> Document {
    let span = model.span.map_or_else(String::new, |[first, last]| {
        format!(" Packets from {} to {}.", words::time(first), words::time(last))
    });
    let files = counted(given.files.len() as u64, "input");
    let records: u64 = model.records.iter().sum();
    Document {
        title: "Mail credentials in clear: what to move".to_owned(),
        subtitle: format!("From {} in {files}.{span}", counted(records, "record")),
        chapters: vec![
            coverage::chapter(given, model),
            headline::chapter(model, list),
            work::servers(model, list),
            work::accounts(model),
            work::clients(model, list),
            work::remedies(list),
            sessions::protection(model),
            sessions::starttls(model),
            sessions::reuse(model),
            sessions::tls(model),
            evidence::chapter(model),
        ],
    }
}

/// Cuts a table to its rows and says what that leaves out; `others` had no room before.
fn cut(mut table: Table, noun: &str, others: u64) -> Table {
    let left = table.rows.len().saturating_sub(ROWS);
    table.rows.truncate(ROWS);
    let mut notes: Vec<String> = Vec::new();
    if left > 0 {
        notes.push(format!("{} more {noun} are not shown; --format csv lists them.", grouped(left as u64)));
    }
    if others > 0 {
        notes.push(format!(
            "There were more {noun} than are kept by name: {} of them told of others, and count in the totals only.",
            counted(others, "record")
        ));
    }
    if !table.note.is_empty() {
        notes.push(std::mem::take(&mut table.note));
    }
    table.note = notes.join(" ");
    table
}
