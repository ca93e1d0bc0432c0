//! The page as one file of HTML: styles and script stand in it, named by their hashes; nothing is fetched and nothing
//! else may run. All that it tells is there without the script, which sorts tables and no more.
//!
//! Whatever stands between tags goes through maud, which escapes it; what is not escaped is a constant of this file.

use crate::page::document::{Chapter, Document};
use crate::page::html::{STYLE, block, hash};
use maud::{DOCTYPE, Markup, PreEscaped, html};

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
    format!(
        "default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::document::{Bars, Block, Cell, Figure, Remedy, Table, Tone, name};

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
            columns: vec![name("A")],
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
        let bars = Bars {
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
