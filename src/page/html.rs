//! Parts of a page as HTML.
//!
//! Whatever stands between tags goes through maud, which escapes it.

use super::document::{Block, Cell, Column, Figure, Remedy, Table, Tone};
use super::svg;
use super::words::percent;
use crate::finding::severity_name;
use crate::ops::grouped;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};
use sha2::{Digest as _, Sha256};

/// What all pages look like.
pub(crate) const STYLE: &str = include_str!("style.css");

/// What a policy names a style or a script of a page by.
pub(crate) fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

/// `id` tells it from all others on the page.
pub(crate) fn block(block: &Block, id: &str) -> Markup {
    match block {
        Block::Heading(title) => html! { h3 { (title) } },
        Block::Text(text) => html! { p { (text) } },
        Block::Notice(tone, text) => html! {
            p class={ "notice " (tone_class(*tone)) } {
                @match tone {
                    Tone::Good | Tone::Plain => {},
                    Tone::Warning => strong { "Note: " },
                    Tone::Bad => strong { "Warning: " },
                }
                (text)
            }
        },
        Block::List(items) => html! { ul { @for item in items { li { (item) } } } },
        Block::Figures(all) => figures(all),
        Block::Table(one) => table(one, id),
        Block::Bars(bars) => svg::bars(bars, id),
        Block::Flow(flow) => svg::flow(flow, id),
        Block::Remedy(one) => remedy(one),
    }
}

fn tone_class(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Plain => "plain",
        Tone::Warning => "warning",
        Tone::Bad => "bad",
    }
}

fn figures(figures: &[Figure]) -> Markup {
    html! {
        dl.figures {
            @for figure in figures {
                div class=(tone_class(figure.tone)) {
                    dt { (figure.label) }
                    dd { (figure.value) }
                    dd.note { (figure.note) }
                }
            }
        }
    }
}

/// Wide tables scroll by themselves, by keyboard as well.
fn table(table: &Table, id: &str) -> Markup {
    html! {
        div.scroll role="group" tabindex="0" aria-labelledby=(id) {
            table {
                caption { span id=(id) { (table.caption) } }
                thead {
                    tr {
                        @for column in &table.columns {
                            th scope="col" class=[class(column)] { (column.title) }
                        }
                    }
                }
                tbody {
                    @for row in &table.rows {
                        tr { @for (column, one) in table.columns.iter().zip(row) { (cell(column, one)) } }
                    }
                }
            }
        }
        @if !table.note.is_empty() { p.note { (table.note) } }
    }
}

fn cell(column: &Column, cell: &Cell) -> Markup {
    let inner = content(cell);
    html! {
        @if column.is_name { th scope="row" class=[class(column)] { (inner) } } @else { td class=[class(column)] { (inner) } }
    }
}

fn class(column: &Column) -> Option<&'static str> {
    column.is_number.then_some("number").or(column.is_wide.then_some("wide"))
}

pub(crate) fn content(cell: &Cell) -> Markup {
    match cell {
        Cell::Empty => html! {},
        Cell::Text(text) => html! { (text) },
        Cell::Path(text) => html! { @for part in text.split_inclusive('/') { (part) wbr; } },
        Cell::Time(text) => html! { span.time { (text) } },
        Cell::Lines(lines) => html! { @if !lines.is_empty() { ul { @for line in lines { li { (line) } } } } },
        Cell::Code(text) => html! { code { (text) } },
        Cell::Link(text, to) => html! { a href=(to) { (text) } },
        Cell::Number(number) => html! { (grouped(*number)) },
        Cell::Share(part, whole) => html! { (percent(*part, *whole)) },
        Cell::State(tone, text) => html! { span class={ "state " (tone_class(*tone)) } { (text) } },
        Cell::Severity(0) => html! {},
        Cell::Severity(severity) => {
            let word = severity_name(*severity);
            // By the number, so that it sorts by it.
            html! { span class={ "severity " (word) } data-order=(severity) { (word) } }
        }
        Cell::Remedies(remedies) => html! {
            ul { @for (at, what) in remedies { li { (what) " (" a href={ "#R" (at) } { "R" (at) } ")" } } }
        },
    }
}

fn remedy(remedy: &Remedy) -> Markup {
    html! {
        article.remedy #{ "R" (remedy.number) } {
            h3 { "R" (remedy.number) " " (remedy.title) }
            p { (remedy.concerns) }
            pre tabindex="0" { code { (remedy.setting) } }
            @if !remedy.test.is_empty() {
                p { "To test:" }
                pre tabindex="0" { code { (remedy.test) } }
            }
            @if !remedy.checked.is_empty() { p.note { "Tried with " (remedy.checked) "." } }
        }
    }
}
