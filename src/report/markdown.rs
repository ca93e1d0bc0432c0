//! The page in Markdown, with tables as GitHub has them. Drawings are left out: each stands beside its table.

use crate::finding::severity_name;
use crate::ops::grouped;
use crate::page::document::{Block, Cell, Document, Table, Tone};
use crate::page::words::percent;
use std::fmt::Write as _;

pub(super) fn render(document: &Document) -> String {
    // Nothing fails that is written to a text, here and below.
    let mut page = format!("# {}\n\n{}\n", plain(&document.title), plain(&document.subtitle));
    for chapter in &document.chapters {
        let _ = write!(page, "\n## {}\n", plain(chapter.title));
        chapter.blocks.iter().for_each(|one| block(one, &mut page));
    }
    page
}

fn block(block: &Block, page: &mut String) {
    let _ = match block {
        Block::Heading(title) => write!(page, "\n### {}\n", plain(title)),
        Block::Text(text) => write!(page, "\n{}\n", plain(text)),
        Block::Notice(tone, text) => {
            let mark = match tone {
                Tone::Good | Tone::Plain => "",
                Tone::Warning => "**Note:** ",
                Tone::Bad => "**Warning:** ",
            };
            write!(page, "\n{mark}{}\n", plain(text))
        }
        Block::List(items) => {
            page.push('\n');
            for item in items {
                let _ = writeln!(page, "- {}", plain(item));
            }
            Ok(())
        }
        Block::Figures(figures) => {
            page.push('\n');
            for figure in figures {
                let [value, label, note] = [&figure.value, &figure.label, &figure.note].map(|text| plain(text));
                let _ = writeln!(page, "- **{value}** {label} ({note})");
            }
            Ok(())
        }
        Block::Table(one) => {
            table(one, page);
            Ok(())
        }
        Block::Bars(_) | Block::Flow(_) => Ok(()),
        Block::Remedy(remedy) => {
            let _ = write!(page, "\n### R{} {}\n\n{}\n", remedy.number, plain(&remedy.title), plain(&remedy.concerns));
            fenced(&remedy.setting, page);
            if !remedy.test.is_empty() {
                page.push_str("\nTo test:\n");
                fenced(&remedy.test, page);
            }
            if !remedy.checked.is_empty() {
                let _ = write!(page, "\nTried with {}.\n", plain(&remedy.checked));
            }
            Ok(())
        }
    };
}

fn table(table: &Table, page: &mut String) {
    let _ = write!(page, "\n**{}**\n\n|", plain(&table.caption));
    for column in &table.columns {
        let _ = write!(page, " {} |", plain(column.title));
    }
    page.push_str("\n|");
    table.columns.iter().for_each(|column| page.push_str(if column.is_number { " ---: |" } else { " --- |" }));
    for row in &table.rows {
        page.push_str("\n|");
        for one in row {
            let _ = write!(page, " {} |", cell(one));
        }
    }
    page.push('\n');
    if !table.note.is_empty() {
        let _ = write!(page, "\n{}\n", plain(&table.note));
    }
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) | Cell::Path(text) | Cell::Time(text) | Cell::Link(text, _) => plain(text),
        Cell::Lines(lines) => lines.iter().map(|line| plain(line)).collect::<Vec<_>>().join("<br>"),
        Cell::Code(text) => code(text),
        Cell::Number(number) => grouped(*number),
        Cell::Share(part, whole) => plain(&percent(*part, *whole)),
        Cell::State(Tone::Bad | Tone::Warning, text) => format!("**{}**", plain(text)),
        Cell::State(_, text) => plain(text),
        Cell::Severity(0) => String::new(),
        Cell::Severity(severity) => severity_name(*severity).to_owned(),
        Cell::Remedies(remedies) => {
            remedies.iter().map(|(at, what)| format!("R{at} {}", plain(what))).collect::<Vec<_>>().join("<br>")
        }
    }
}

/// Text that is nothing but text: what Markdown or GitHub would take for more is escaped.
fn plain(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let is_mark = match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '&' | '!' | '$' | '@' => true,
            // Addresses become links by themselves.
            ':' => text[at + 1..].starts_with("//"),
            '.' => text[..at].get(at.saturating_sub(3)..).is_some_and(|before| before.eq_ignore_ascii_case("www")),
            '-' | '+' | '=' => at == 0,
            _ => false,
        };
        match c {
            '\n' | '\r' => escaped.push(' '),
            _ if is_mark => escaped.extend(['\\', c]),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// The longest run of backticks.
fn backticks(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}

fn code(text: &str) -> String {
    let fence = "`".repeat(backticks(text) + 1);
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    // A table is cut at these before code is looked for.
    format!("{fence}{space}{}{space}{fence}", text.replace('|', "\\|").replace(['\n', '\r'], " "))
}

fn fenced(text: &str, page: &mut String) {
    let fence = "`".repeat(backticks(text).max(2) + 1);
    let _ = write!(page, "\n{fence}\n{text}\n{fence}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_nothing_but_text() {
        for (text, wanted) in [
            ("<script>|x", "\\<script\\>\\|x"),
            ("[a](http://b)", "\\[a\\](http\\://b)"),
            ("www.evil.example", "www\\.evil.example"),
            ("alice@office.example", "alice\\@office.example"),
            ("10.77.0.1:143 IMAP", "10.77.0.1:143 IMAP"),
            ("- no list", "\\- no list"),
            ("a\n# b", "a \\# b"),
            ("ww.w", "ww.w"),
            ("üwww.x", "üwww\\.x"),
        ] {
            assert_eq!(plain(text), wanted);
        }
    }

    #[test]
    fn code_ends_where_it_ends() {
        assert_eq!(code("a|b"), "`a\\|b`");
        assert_eq!(code("`a``b`"), "``` `a``b` ```");
        let mut page = String::new();
        fenced("a\n```\nb", &mut page);
        assert_eq!(page, "\n````\na\n```\nb\n````\n");
    }
}
