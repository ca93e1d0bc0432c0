//! Which software speaks: what servers and clients say of themselves, and the habits that only one of them has.
//!
//! A name may lie or be changed by an operator: it is a hint for people, and says whose settings to look up.
//! Software that is not known for sure is not named; what several have in common is no sign of any.

mod clients;
mod recogniser;
mod servers;
#[cfg(test)]
mod tests;

use crate::mail::contains_ignoring_case;
pub use clients::{CLIENTS, ClientSigns, client};
pub use recogniser::Recogniser;
pub use servers::{SERVERS, ServerSigns, server};

/// A product, as its makers call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Software {
    /// Its name in records and explanations.
    pub name: &'static str,
}

/// One product with what tells it from all others.
pub struct Known<S: 'static> {
    /// The product.
    pub software: Software,
    signs: &'static [S],
}

const fn known<S>(name: &'static str, signs: &'static [S]) -> Known<S> {
    Known { software: Software { name }, signs }
}

/// Whether `text` begins with these words, and does not end in the middle of one.
fn starts_with_words(text: &str, words: &str) -> bool {
    text.strip_prefix(words).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// Whether these words stand next to each other in `text`.
fn holds_words(text: &str, words: &str) -> bool {
    // Where words begin is looked for by hand: to prepare a search costs more than the few words of a list.
    let mut begins = std::iter::once(0).chain(memchr::memchr_iter(b' ', text.as_bytes()).map(|at| at + 1));
    begins.any(|at| text.get(at..).is_some_and(|rest| starts_with_words(rest, words)))
}

/// Whether `text` holds `part`, in capitals or not.
fn holds(text: &str, part: &str) -> bool {
    contains_ignoring_case(text.as_bytes(), part.as_bytes())
}
