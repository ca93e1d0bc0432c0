//! Text from the wire, made safe to show: an attacker chooses user names and banners.

use crate::limits::{BLOCK_OCTETS, TEXT_CHARS};
use std::cmp::Ordering;
use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};

/// Printable text of at most 256 characters. Control and bidirectional characters, line ends included, stand as
/// `\u{..}`; an octet that is no UTF-8 as `\u{dcXX}`, the lone surrogate that no valid text can hold.
#[derive(Clone)]
pub struct Text(Form);

/// Octets of a text that takes no memory of its own: names, codes and mechanisms mostly have no more, and each stands in
/// several records.
const SHORT: usize = 21;

#[derive(Clone)]
enum Form {
    Short {
        is_lossy: bool,
        len: u8,
        octets: [u8; SHORT],
    },
    Long {
        /// Something was escaped for not being UTF-8, or cut.
        is_lossy: bool,
        text: Box<str>,
    },
}

const _: () = assert!(size_of::<Option<Text>>() == 24);

/// The most octets of a text: each character escaped, `\u{e0001}`.
const ESCAPED_OCTETS: usize = 9 * TEXT_CHARS;

impl Text {
    /// Makes octets from the wire safe.
    #[must_use]
    pub fn new(octets: &[u8]) -> Self {
        // Nearly every text.
        let are_plain = |octets: &[u8]| octets.iter().fold(true, |all, octet| all & matches!(octet, b' '..=b'~'));
        if octets.len() <= TEXT_CHARS && are_plain(octets) {
            if octets.len() <= SHORT {
                return Self::short(octets, false);
            }
            if let Ok(plain) = std::str::from_utf8(octets) {
                return Self(Form::Long { is_lossy: false, text: plain.into() });
            }
        }
        let mut text = String::with_capacity(octets.len().min(TEXT_CHARS));
        let mut chars = 0;
        let mut is_lossy = false;
        // Four octets a character at most: more need not be looked at.
        let looked_at = &octets[..octets.len().min(4 * TEXT_CHARS)];
        'all: for chunk in looked_at.utf8_chunks() {
            let bad = chunk.invalid().iter().map(|&octet| Err(octet));
            for unit in chunk.valid().chars().map(Ok).chain(bad) {
                if chars == TEXT_CHARS {
                    is_lossy = true;
                    break 'all;
                }
                chars += 1;
                match unit {
                    Ok(plain) if is_safe(plain) => text.push(plain),
                    Ok(odd) => {
                        let _ = write!(text, "\\u{{{:x}}}", u32::from(odd));
                    }
                    Err(octet) => {
                        is_lossy = true;
                        let _ = write!(text, "\\u{{dc{octet:02x}}}");
                    }
                }
            }
        }
        is_lossy |= looked_at.len() < octets.len();
        Self::restored(text.as_bytes(), is_lossy)
    }

    /// What was safe before, as it was.
    #[must_use]
    pub(crate) fn restored(text: &[u8], is_lossy: bool) -> Self {
        if text.len() <= SHORT {
            return Self::short(text, is_lossy);
        }
        Self(Form::Long { is_lossy, text: std::str::from_utf8(text).unwrap_or_default().into() })
    }

    /// What another run has written, if it is safe to show.
    #[must_use]
    pub(crate) fn reread(text: &[u8], is_lossy: bool) -> Option<Self> {
        let safe = std::str::from_utf8(text).ok().filter(|text| text.chars().all(is_safe))?;
        (safe.len() <= ESCAPED_OCTETS).then(|| Self::restored(text, is_lossy))
    }

    /// Of octets that are valid text.
    fn short(text: &[u8], is_lossy: bool) -> Self {
        let mut octets = [0; SHORT];
        octets[..text.len()].copy_from_slice(text);
        Self(Form::Short { is_lossy, len: text.len() as u8, octets })
    }

    /// Octets of memory it takes besides its own.
    pub(crate) fn octets(&self) -> usize {
        match &self.0 {
            Form::Short { .. } => 0,
            Form::Long { text, .. } => text.len() + BLOCK_OCTETS,
        }
    }

    /// A server's code: capitals, digits, `/` and `-`, at most 32. Free text where a code should stand is none.
    #[must_use]
    pub(super) fn code(octets: &[u8]) -> Option<Self> {
        let is_code = |c: &u8| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, b'/' | b'-');
        ((1..=32).contains(&octets.len()) && octets.iter().all(is_code)).then(|| Self::new(octets))
    }

    /// A host's name for itself (RFC 5321 §4.1.3): with a dot, hyphen or bracket, or short. Longer words without may
    /// be base64 of something else.
    #[must_use]
    pub(super) fn host(octets: &[u8]) -> Option<Self> {
        let is_host = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_' | b'[' | b']' | b':');
        let is_marked = octets.iter().any(|c| matches!(c, b'.' | b'-' | b'[' | b'_'));
        (octets.iter().all(is_host) && (is_marked || octets.len() <= 15)).then(|| Self::new(octets))
    }

    /// The safe text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Form::Short { len, octets, .. } => std::str::from_utf8(&octets[..usize::from(*len)]).unwrap_or_default(),
            Form::Long { text, .. } => text,
        }
    }

    /// Its octets.
    #[must_use]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.key().0
    }

    /// Whether the octets held more than the text shows.
    #[must_use]
    pub fn is_lossy(&self) -> bool {
        match self.0 {
            Form::Short { is_lossy, .. } | Form::Long { is_lossy, .. } => is_lossy,
        }
    }

    /// What tells texts apart. Each has one form only.
    fn key(&self) -> (&[u8], bool) {
        match &self.0 {
            Form::Short { len, octets, is_lossy } => (&octets[..usize::from(*len)], *is_lossy),
            Form::Long { text, is_lossy } => (text.as_bytes(), *is_lossy),
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// Not a control, format, bidirectional or separator character (Unicode TR 36 §3; line and paragraph separators
/// break lines in viewers).
fn is_safe(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn what_could_forge_a_line_is_escaped() {
        let text = Text::new(b"eve\r\n{\"forged\":1}\x1b[2J\xe2\x80\xae");
        assert_eq!(text.as_str(), "eve\\u{d}\\u{a}{\"forged\":1}\\u{1b}[2J\\u{202e}");
        assert!(!text.is_lossy());
    }

    #[test]
    fn octets_that_are_no_utf8_are_marked() {
        let text = Text::new(b"m\xfcller");
        assert_eq!(text.as_str(), "m\\u{dcfc}ller");
        assert!(text.is_lossy());
    }

    #[test]
    fn long_and_short_texts_are_ordered_as_their_letters_are() {
        let letters: Vec<String> =
            (0..60).map(|len| "ab".repeat(len)).chain((0..40).map(|len| "a".repeat(len))).collect();
        for a in &letters {
            for b in &letters {
                let (text, other) = (Text::new(a.as_bytes()), Text::new(b.as_bytes()));
                assert_eq!((text.as_str(), text.cmp(&other), text == other), (&**a, a.cmp(b), a == b));
            }
        }
    }

    #[test]
    fn length_is_bounded() {
        let text = Text::new(&[b'a'; 1000]);
        assert_eq!(text.as_str().len(), 256);
        assert!(text.is_lossy());
    }
}
