//! Text of strangers made fit to stand on a page: bounded, and without what moves other text about.
//!
//! What HTML, Markdown or a spreadsheet would take for more than text is the business of each of these.

use std::fmt::Write as _;

/// Characters of a name, such as a user's.
pub(crate) const NAME_CHARS: usize = 64;
/// Characters of a sentence or a path.
pub(crate) const SENTENCE_CHARS: usize = 300;

/// Characters that are not seen, or that change the order of those around them.
fn is_odd(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// At most `chars` characters with `…` for the rest; odd ones as `\u{..}`, each counted as what it becomes.
pub(crate) fn shown(text: &str, chars: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(chars));
    let mut room = chars;
    for c in text.chars() {
        let start = shown.len();
        if is_odd(c) {
            // Nothing fails that is written to a text.
            let _ = write!(shown, "{}", c.escape_unicode());
        } else {
            shown.push(c);
        }
        let taken = shown[start..].chars().count();
        if taken > room {
            shown.truncate(start);
            shown.push('…');
            break;
        }
        room -= taken;
    }
    shown
}

/// The end of a path tells more than its beginning.
pub(crate) fn shown_path(path: &str, chars: usize) -> String {
    let skipped = path.chars().count().saturating_sub(chars);
    if skipped == 0 {
        return shown(path, 4 * chars);
    }
    let end: String = path.chars().skip(skipped).collect();
    format!("…{}", shown(&end, 4 * chars))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_harmless() {
        assert_eq!(shown("müller", 6), "müller");
        assert_eq!(shown("müllers", 6), "müller…");
        assert_eq!(shown("a\u{202e}b\u{0}\n", 40), "a\\u{202e}b\\u{0}\\u{a}");
        assert_eq!(shown("ab\u{202e}", 9), "ab…", "no half an escape");
        assert_eq!(shown(&"<".repeat(10_000), NAME_CHARS).chars().count(), NAME_CHARS + 1);
        assert_eq!(shown_path("/a/very/long/path/day1.pcap", 9), "…day1.pcap");
    }
}
