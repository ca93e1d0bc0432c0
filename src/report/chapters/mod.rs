//! What the page says, chapter by chapter, from what records add up to.
//!
//! What the records cannot tell stands first: a page of small numbers from a blind sensor must not look like good news.

mod coverage;
mod evidence;
mod headline;
mod sessions;
mod work;

use super::model::Model;
use super::read::Given;
use super::worklist::Worklist;
use crate::ops::{counted, grouped};
use crate::page::document::{Block, Cell, Document, Table};
use crate::page::words;

/// Rows of a table of servers, accounts, clients or the like. A page that nobody can load helps nobody.
const ROWS: usize = 100;

/// The whole page.
pub(super) fn document(given: &Given, model: &Model, list: &Worklist<'_>) -> Document {
    let span = model.span.map_or_else(String::new, |[first, last]| {
        format!(" Packets from {} to {}.", words::time(first), words::time(last))
    });
    let files = counted(given.files.len() as u64, "input");
    let records: u64 = model.records.iter().sum();
    let mut document = Document {
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
    };
    for block in document.chapters.iter_mut().flat_map(|chapter| &mut chapter.blocks) {
        if let Block::Table(table) = block {
            table.prune();
        }
    }
    document
}

/// A row of a table.
type Row = Vec<Cell>;

/// Fills a table with as many rows as it may have and says what that leaves out; `others` had no room before.
fn fill(table: Table, rows: impl ExactSizeIterator<Item = Row>, noun: &str, others: u64) -> Block {
    fill_to(ROWS, table, rows, noun, others)
}

/// The same with at most `most` rows. Those that are left out are not made: there may be a hundred thousand.
fn fill_to(most: usize, mut table: Table, rows: impl ExactSizeIterator<Item = Row>, noun: &str, others: u64) -> Block {
    let left = rows.len().saturating_sub(most);
    table.rows = rows.take(most).collect();
    let mut notes: Vec<String> = Vec::new();
    if left > 0 {
        notes.push(format!("{} more {noun} are not shown.", grouped(left as u64)));
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
    Block::Table(table)
}
