//! The page around its parts: one file of HTML with styles and script in it, which fetches nothing but its own news.
//!
//! All that it tells is there without the script, and its filters are links. The script puts new parts in place of old
//! ones as they come, and no more.

use super::query::{ALL, DIMENSIONS, Dimension, Filter, Query, SPANS, named};
use super::view::{self, Look};
use super::{Board, Source, trend};
use crate::page::html::{STYLE, hash};
use crate::page::text::{SENTENCE_CHARS, shown};
use crate::page::words::time;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const OWN_STYLE: &str = include_str!("ui.css");
const SCRIPT: &str = include_str!("ui.js");

/// The parts of a page by their names in it, and their headings.
const PARTS: [(&str, &str); 6] = [
    ("seeing", "Is the sensor seeing?"),
    ("exposed", "What is exposed now?"),
    ("who", "Who and where?"),
    ("trend", "Is it getting better?"),
    ("log", "Findings"),
    ("logins", "Logins"),
];

/// A header that says what a page may do: its own styles and script, its own news, and nothing else.
pub static SCRIPT_POLICY: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
    format!(
        "default-src 'none'; style-src {} {}; script-src {}; connect-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'",
        hash(STYLE),
        hash(OWN_STYLE),
        hash(SCRIPT)
    )
});

/// The parts of the page that a query asks for, each with its name.
#[must_use]
pub fn parts(board: &Board, query: &Query, source: &Source) -> Vec<(&'static str, String)> {
    made(board, query, source).into_iter().map(|(id, part)| (id, part.into_string())).collect()
}

/// The part that says whether the sensor sees, which changes when nothing is found, too.
#[must_use]
pub fn seeing(board: &Board, source: &Source) -> (&'static str, String) {
    (PARTS[0].0, view::seeing(board, source).into_string())
}

fn made(board: &Board, query: &Query, source: &Source) -> [(&'static str, Markup); PARTS.len()] {
    let filter = Filter::new(query, &board.words, newest(board, source));
    let look = Look::new(board, query, &filter);
    [
        ("seeing", view::seeing(board, source)),
        ("exposed", view::exposed(&look)),
        ("who", view::who(&look)),
        ("trend", trend::trend(&look)),
        ("log", view::log(&look)),
        ("logins", view::logins(&look)),
    ]
}

/// What spans are counted back from. Packets may be stamped by another clock than the one here.
fn newest(board: &Board, source: &Source) -> u64 {
    source.now.map_or(board.newest, |now| now.0.max(board.newest))
}

/// The whole page.
#[must_use]
pub fn sheet(board: &Board, query: &Query, source: &Source) -> String {
    let parts = made(board, query, source);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "barewire: mail credentials in clear" }
                style { (PreEscaped(STYLE)) }
                style { (PreEscaped(OWN_STYLE)) }
                noscript { meta http-equiv="refresh" content="30"; }
            }
            body {
                a.skip href="#main" { "Skip to the first question" }
                header {
                    h1 { a href="/" { "barewire" } }
                    p { "Mail credentials in clear, as seen by " strong { (shown(&source.name, SENTENCE_CHARS)) } }
                    p #state role="status" {
                        @match newest(board, source) {
                            0 => "No record yet",
                            newest => { "As of " (time(newest)) }
                        }
                    }
                }
                (controls(query))
                main #main tabindex="-1" {
                    @for ((id, part), (_, title)) in parts.iter().zip(&PARTS) {
                        section aria-labelledby={ (id) "-title" } {
                            h2 id={ (id) "-title" } { (title) }
                            div #(id) { (part) }
                        }
                    }
                }
                footer {
                    p {
                        "barewire " (env!("CARGO_PKG_VERSION"))
                        ". It shows names and addresses of people and machines, and no secrets. Times are in UTC."
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// What is left out, links that let it in again, and a field to look for something.
fn controls(query: &Query) -> Markup {
    let chosen =
        DIMENSIONS.iter().filter_map(|(dimension, _, title)| Some((*dimension, *title, query.value(*dimension)?)));
    html! {
        nav.controls aria-label="What is shown" {
            ul.spans {
                @for (at, (_, title, _)) in SPANS.iter().enumerate() {
                    @let is_current = query.span.unwrap_or(ALL) == at;
                    li { a href=(query.since(at).link()) aria-current=[is_current.then_some("true")] { (title) } }
                }
            }
            form method="get" action="/" role="search" {
                @for ((dimension, name, _), value) in DIMENSIONS.iter().zip(&query.values) {
                    @if let Some(value) = value.as_ref().filter(|_| *dimension != Dimension::Text) {
                        input type="hidden" name=(name) value=(value);
                    }
                }
                @if let Some(at) = query.span { input type="hidden" name="since" value=(SPANS[at].0); }
                label for="text" { "Account, server, client or finding" }
                input #text type="search" name="text" maxlength="200" value=[query.value(Dimension::Text)];
                button type="submit" { "Show" }
            }
            @if !query.is_open() {
                ul.chosen aria-label="Only" {
                    @for (dimension, title, value) in chosen {
                        li {
                            (title) ": " strong { (shown(&named(dimension, value), SENTENCE_CHARS)) } " "
                            a href=(query.without(dimension).link()) aria-label={ "Show every " (title) } { "show all" }
                        }
                    }
                    li { a href="/" { "Show everything" } }
                }
            }
        }
    }
}
