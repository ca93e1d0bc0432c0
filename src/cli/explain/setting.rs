//! A remedy's setting by the kinds of its lines, and software with the same remedy put together.

use crate::finding::remedies::{Remedy, Topic, checked_with};

/// A line of a setting.
pub(super) enum Line<'a> {
    /// Where the lines below belong.
    Place(&'a str),
    /// A sentence.
    Prose(&'a str),
    /// To be typed as it stands.
    Exact(&'a str),
}

/// The lines of a setting: places end in a colon, sentences begin with a capital and end in a full stop.
pub(super) fn lines(setting: &str) -> impl Iterator<Item = Line<'_>> {
    setting.lines().map(|line| match line.as_bytes() {
        [.., b':'] => Line::Place(line),
        [b'A'..=b'Z', .., b'.'] => Line::Prose(line),
        _ => Line::Exact(line),
    })
}

/// Remedies that differ in their software only.
pub(super) struct Shared {
    /// The software, comma between.
    pub(super) names: String,
    /// What they share.
    pub(super) remedy: &'static Remedy,
}

/// Puts equal remedies together, in the order of the first.
pub(super) fn shared(topic: Topic, remedies: impl Iterator<Item = &'static Remedy>) -> Vec<Shared> {
    let mut all: Vec<Shared> = Vec::new();
    for remedy in remedies {
        let name = match checked_with(topic, remedy.software) {
            Some(versions) => format!("{} (checked with {versions})", remedy.software),
            None => remedy.software.to_owned(),
        };
        match all.iter_mut().find(|known| known.remedy.setting == remedy.setting) {
            Some(known) => {
                known.names.push_str(", ");
                known.names.push_str(&name);
            }
            None => all.push(Shared { names: name, remedy }),
        }
    }
    all
}
