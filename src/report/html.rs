//! The page as one file of HTML: styles and script stand in it, named by their hashes; nothing is fetched and nothing
//! else may run. All that it tells is there without the script, which sorts tables and no more.
//!
//! Whatever stands between tags goes through maud, which escapes it; what is not escaped is a constant of this file.

use super::document::{Block, Cell, Chapter, Column, Document, Figure, Remedy, Table, Tone};
use super::svg;
use super::words::percent;
use crate::finding::severity_name;
use crate::ops::grouped;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/sort.js");

pub(super) fn render(document: &Document) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (document.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the report" }
                header {
                    h1 { (document.title) }
                    p { (document.subtitle) }
                }
                (contents(document))
                main #main tabindex="-1" {
                    @for one in &document.chapters { (chapter(one)) }
                }
                footer {
                    p {
                        "Made by barewire " (env!("CARGO_PKG_VERSION"))
                        ". It holds names and addresses of people and machines, and no secrets: hand it on to those who need it."
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// Nothing is loaded, sent or framed; what may run or style is what stands here.
fn policy() -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

fn contents(document: &Document) -> Markup {
    html! {
        nav aria-label="Contents" {
            ol {
                @for chapter in &document.chapters {
                    li { a href={ "#" (chapter.id) } { (chapter.title) } }
                }
            }
        }
    }
}

fn chapter(chapter: &Chapter) -> Markup {
    html! {
        section #(chapter.id) aria-labelledby={ (chapter.id) "-title" } {
            h2 id={ (chapter.id) "-title" } { (chapter.title) }
            @for (at, one) in chapter.blocks.iter().enumerate() {
                (block(one, &format!("{}-{at}", chapter.id)))
            }
        }
    }
}

/// `id` tells it from all others on the page.
fn block(block: &Block, id: &str) -> Markup {
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

fn content(cell: &Cell) -> Markup {
    match cell {
        Cell::Empty => html! {},
        Cell::Text(text) => html! { (text) },
        Cell::Path(text) => html! { @for part in text.split_inclusive('/') { (part) wbr; } },
        Cell::Time(text) => html! { span.time { (text) } },
        Cell::Lines(lines) => html! { @if !lines.is_empty() { ul { @for line in lines { li { (line) } } } } },
        Cell::Code(text) => html! { code { (text) } },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_and_script_end_where_they_end() {
        for (text, end) in [(STYLE, "</style"), (SCRIPT, "</script"), (SCRIPT, "<!--")] {
            assert!(!text.to_ascii_lowercase().contains(end));
        }
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import"), "nothing is fetched");
    }

    #[test]
    fn text_of_strangers_is_text_wherever_it_stands() {
        let hostile = "<script>alert(1)</script>\"'&><img src=x onerror=alert(1)>";
        let text = || hostile.to_owned();
        let table = Table {
            caption: text(),
            columns: vec![super::super::document::name("A")],
            rows: vec![
                vec![Cell::Text(text())],
                vec![Cell::Code(text())],
                vec![Cell::Path(text())],
                vec![Cell::Lines(vec![text()])],
                vec![Cell::Time(text())],
                vec![Cell::State(Tone::Bad, text())],
                vec![Cell::Remedies(vec![(1, text())])],
            ],
            note: text(),
        };
        let remedy =
            Remedy { number: 1, title: text(), concerns: text(), setting: text(), test: text(), checked: text() };
        let figure = Figure { value: text(), label: text(), note: text(), tone: Tone::Bad };
        let bars = super::super::document::Bars {
            is_time: true,
            title: text(),
            description: text(),
            parts: vec![("a", "good")],
            bars: vec![(text(), vec![1])],
        };
        let blocks = vec![
            Block::Text(text()),
            Block::Notice(Tone::Bad, text()),
            Block::List(vec![text()]),
            Block::Figures(vec![figure]),
            Block::Table(table),
            Block::Remedy(remedy),
            Block::Bars(bars),
        ];
        let chapters = vec![Chapter { id: "x", title: "X", blocks }];
        let page = render(&Document { title: text(), subtitle: text(), chapters });
        assert!(!page.contains("<img"));
        assert_eq!(page.matches("<script").count(), 1, "the page's own");
        let told = page.matches("&lt;script&gt;alert(1)").count();
        assert!(told >= 18, "{told}");
    }
}
