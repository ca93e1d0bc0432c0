//! The pieces of IMAP text: tags, strings, literal markers, response codes (RFC 3501 §9, RFC 9051 §9).

use zeroize::Zeroizing;

/// `{n}`, `{n+}`, `~{n}`, `~{n+}` or `{n-}` at the very end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LiteralMarker {
    pub(super) octets: u64,
    /// The client sends on without being asked (RFC 7888).
    pub(super) is_synchronising: bool,
    /// Octets of the line before the marker.
    pub(super) at: usize,
}

/// The literal marker a line ends with. Only the last token is one, so a `{n}` inside text is not.
pub(super) fn literal_marker(line: &[u8]) -> Option<LiteralMarker> {
    let inner = line.strip_suffix(b"}")?;
    let open = memchr::memrchr(b'{', inner)?;
    let number = &inner[open + 1..];
    let (digits, is_synchronising) = match number.split_last() {
        Some((b'+' | b'-', digits)) => (digits, false),
        _ => (number, true),
    };
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let octets = digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    let at = if open > 0 && line[open - 1] == b'~' { open - 1 } else { open };
    let follows_separator = at == 0 || matches!(line[at - 1], b' ' | b'(' | b'[');
    (follows_separator && !is_inside_quotes(&line[..at])).then_some(LiteralMarker { octets, is_synchronising, at })
}

fn is_inside_quotes(text: &[u8]) -> bool {
    let mut inside = false;
    let mut octets = text.iter();
    while let Some(octet) = octets.next() {
        match octet {
            b'\\' if inside => drop(octets.next()),
            b'"' => inside = !inside,
            _ => {}
        }
    }
    inside
}

/// The next argument of a client line that is no literal, and what follows it.
pub(super) struct Argument<'a> {
    pub(super) value: Zeroizing<Vec<u8>>,
    pub(super) is_quoted: bool,
    pub(super) rest: &'a [u8],
}

/// Reads an atom or quoted string. `\"` and `\\` are the only escapes; another backslash stands for itself.
pub(super) fn argument(text: &[u8]) -> Option<Argument<'_>> {
    let start = text.iter().position(|&c| c != b' ')?;
    let text = &text[start..];
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = memchr::memchr(b' ', text).unwrap_or(text.len());
        let value = Zeroizing::new(text[..end].to_vec());
        return Some(Argument { value, is_quoted: false, rest: &text[end..] });
    };
    let mut value = Zeroizing::new(Vec::with_capacity(quoted.len()));
    let mut at = 0;
    while let Some(&octet) = quoted.get(at) {
        match (octet, quoted.get(at + 1)) {
            (b'"', _) => return Some(Argument { value, is_quoted: true, rest: &quoted[at + 1..] }),
            (b'\\', Some(&escaped @ (b'"' | b'\\'))) => {
                value.push(escaped);
                at += 2;
            }
            _ => {
                value.push(octet);
                at += 1;
            }
        }
    }
    // The closing quote is missing: what there is was meant.
    Some(Argument { value, is_quoted: true, rest: &[] })
}

/// A tag: any ASTRING-CHAR except `+`.
pub(super) fn is_tag(tag: &[u8]) -> bool {
    !tag.is_empty()
        && tag
            .iter()
            .all(|&c| c.is_ascii_graphic() && !matches!(c, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b'+'))
}

/// The response code of resp-text: what stands between `[` and `]`, name and rest apart.
pub(super) fn response_code(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = text.strip_prefix(b"[")?;
    let inner = &inner[..memchr::memchr(b']', inner)?];
    let end = memchr::memchr(b' ', inner).unwrap_or(inner.len());
    Some((&inner[..end], inner[end..].trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_token_is_a_literal_marker() {
        let octets = |line: &[u8]| literal_marker(line).map(|marker| (marker.octets, marker.is_synchronising));
        assert_eq!(octets(b"a LOGIN {5}"), Some((5, true)));
        assert_eq!(octets(b"a LOGIN {5+}"), Some((5, false)));
        assert_eq!(octets(b"a APPEND x ~{310}"), Some((310, true)));
        assert_eq!(octets(b"* 1 FETCH (BODY[] {12}"), Some((12, true)));
        assert_eq!(octets(b"a LOGIN \"x {5}"), None, "inside quotes");
        assert_eq!(octets(b"a LOGIN {5} more"), None);
        assert_eq!(octets(b"a LOGIN {}"), None);
        assert_eq!(octets(b"a LOGIN {99999999999999999999}"), None);
        assert_eq!(octets(b"a LOGIN pass{5}"), None, "part of an atom");
    }

    #[test]
    fn arguments_in_every_form() {
        let first = argument(b" \"a \\\"b\\\\ \\c\" next").expect("an argument");
        assert_eq!(&first.value[..], b"a \"b\\ \\c");
        assert_eq!(first.rest, b" next");
        let second = argument(first.rest).expect("an argument");
        assert_eq!((&second.value[..], second.is_quoted), (&b"next"[..], false));
        assert!(argument(second.rest).is_none());
        assert_eq!(&argument(b"\"\"").expect("empty").value[..], b"");
    }

    #[test]
    fn response_codes() {
        assert_eq!(response_code(b"[CAPABILITY IMAP4rev1 ID] ready"), Some((&b"CAPABILITY"[..], &b"IMAP4rev1 ID"[..])));
        assert_eq!(response_code(b"[AUTHENTICATIONFAILED] no"), Some((&b"AUTHENTICATIONFAILED"[..], &b""[..])));
        assert_eq!(response_code(b"no code"), None);
    }
}
