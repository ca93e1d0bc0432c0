//! A page of text for a terminal: aligned, bounded in width, printable ASCII whatever it is given.

use super::words::{ascii, fitted, wrapped};
use std::fmt::Write as _;

/// Columns of the page.
pub(super) const COLUMNS: usize = 100;

/// Rows with their cells under each other: the first to the left, numbers to the right.
pub(super) fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let row = |cells: &Vec<String>| {
        let mut text = String::from("  ");
        for (at, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            let _ = if at == 0 { write!(text, "{cell:<width$}") } else { write!(text, "   {cell:>width$}") };
        }
        text
    };
    rows.iter().map(row).collect()
}

/// The text as it grows.
pub(super) struct Page {
    /// All lines so far.
    pub(super) text: String,
    /// With ANSI colours.
    pub(super) colour: bool,
}

impl Page {
    /// A line, cut where the page ends.
    pub(super) fn line(&mut self, line: &str) {
        self.text.push_str(fitted(line, COLUMNS).trim_end());
        self.text.push('\n');
    }

    /// A line that stands out.
    pub(super) fn strong(&mut self, line: &str) {
        let line = self.painted(&fitted(line, COLUMNS), "1");
        self.text.extend([&line, "\n"]);
    }

    /// What the following lines are about.
    pub(super) fn heading(&mut self, heading: &str) {
        self.text.push('\n');
        self.strong(heading);
    }

    /// A row with a note beside it that goes on underneath itself.
    pub(super) fn noted(&mut self, row: &str, note: &str) {
        let row = ascii(row);
        let indent = row.len() + 1 + usize::from(row.starts_with("  ") && !row.ends_with('-'));
        for (at, part) in wrapped(note, COLUMNS.saturating_sub(indent)).iter().enumerate() {
            let lead = if at == 0 { row.as_str() } else { "" };
            self.line(&format!("{lead:<indent$}{part}"));
        }
    }

    /// The text in a colour by its ANSI code, on a page that has colours.
    pub(super) fn painted(&self, text: &str, code: &str) -> String {
        if self.colour && !text.trim().is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
