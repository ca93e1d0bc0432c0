//! JSON in printable ASCII: what syslog relays, terminals and old parsers all agree on. Line layout is not its affair.

use serde_json::ser::Formatter;
use std::io::{self, Write};

/// serde_json's compact form with everything outside printable ASCII as `\uXXXX`.
pub(super) struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        // Nearly every fragment is plain, and octets are looked at many at a time.
        if fragment.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some(at) = rest.find(|c: char| !matches!(c, ' '..='~')) {
            let (plain, odd) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut chars = odd.chars();
            for unit in chars.next().into_iter().flat_map(|c| c.encode_utf16(&mut [0; 2]).to_vec()) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = chars.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::Ascii;
    use serde::Serialize as _;

    fn check(text: &str, wanted: &str) {
        let mut json = Vec::new();
        text.serialize(&mut serde_json::Serializer::with_formatter(&mut json, Ascii)).expect("memory");
        assert_eq!(String::from_utf8(json.clone()).expect("ASCII"), wanted);
        assert_eq!(serde_json::from_slice::<String>(&json).expect("JSON"), text);
    }

    #[test]
    fn every_character_comes_back_from_ascii() {
        check("plain", r#""plain""#);
        check("a\"b\\c", r#""a\"b\\c""#);
        check("\u{0}\n\u{1b}\u{7f}~", r#""\u0000\n\u001b\u007f~""#);
        check("m\u{fc}ller\u{2028}", r#""m\u00fcller\u2028""#);
        check("\u{1f511}\u{10ffff}x", r#""\ud83d\udd11\udbff\udfffx""#);
    }
}
