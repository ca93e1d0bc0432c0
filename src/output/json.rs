//! JSON in printable ASCII, compact: what syslog relays, terminals and old parsers all agree on.
//!
//! A serializer of our own, for records are most of the work where there is much to tell: text is looked at once, many
//! octets at a time, where the general one goes octet by octet. It knows the shapes that lines have and no others.

use super::event::PLAIN;
use serde::ser::{Error as _, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};
use std::fmt;

/// Appends `value` to `out`.
pub(super) fn append(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    value.serialize(Json { out }).expect("lines have the shapes that are written here");
}

/// The members of an object, without what encloses them.
pub(super) fn members(value: &impl Serialize) -> Vec<u8> {
    let mut json = Vec::new();
    append(value, &mut json);
    json[1..json.len() - 1].to_vec()
}

/// JSON by itself.
pub(super) fn of(value: &(impl Serialize + ?Sized)) -> Vec<u8> {
    let mut json = Vec::new();
    append(value, &mut json);
    json
}

/// Any JSON value: other forms than our own have shapes of their own.
pub(super) fn of_value(value: &serde_json::Value) -> Vec<u8> {
    let text = value.to_string();
    let mut out = Vec::with_capacity(text.len());
    // The general serializer escapes all that is not plain but these, which stand in strings only.
    for c in text.chars() {
        if matches!(c, ' '..='~') { out.push(c as u8) } else { append_char(c, &mut out) }
    }
    out
}

/// A shape that no line has.
#[derive(Debug)]
struct Unknown(String);

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unknown {}

impl serde::ser::Error for Unknown {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

struct Json<'a> {
    out: &'a mut Vec<u8>,
}

/// An object or a list under way.
struct Compound<'a> {
    out: &'a mut Vec<u8>,
    begin: usize,
    end: u8,
}

impl Compound<'_> {
    fn begin(out: &mut Vec<u8>, [begin, end]: [u8; 2]) -> Compound<'_> {
        out.push(begin);
        Compound { begin: out.len(), out, end }
    }

    fn separate(&mut self) {
        if self.out.len() > self.begin {
            self.out.push(b',');
        }
    }

    fn close(self) {
        self.out.push(self.end);
    }
}

const OBJECT: [u8; 2] = *b"{}";
const LIST: [u8; 2] = *b"[]";

/// Octets that are looked at together.
const TOGETHER: usize = 16;

/// Whether each octet stands for itself in a string.
fn are_plain(octets: &[u8; TOGETHER]) -> bool {
    // No early end: that is what lets them be compared at once.
    let is_plain = |octet: u8| matches!(octet, b' '..=b'~') & (octet != b'"') & (octet != b'\\');
    octets.iter().fold(true, |all, &octet| all & is_plain(octet))
}

/// Appends a string with its quotes.
fn append_text(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let (whole, rest) = text.as_bytes().as_chunks();
    let mut last = [b' '; TOGETHER];
    last[..rest.len()].copy_from_slice(rest);
    if whole.iter().chain([&last]).all(are_plain) {
        out.extend_from_slice(text.as_bytes());
    } else {
        text.chars().for_each(|c| append_char(c, out));
    }
    out.push(b'"');
}

/// RFC 8259 §7: what is not plain by its short form or as UTF-16.
fn append_char(c: char, out: &mut Vec<u8>) {
    let short = match c {
        '"' | '\\' => c as u8,
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        '\u{8}' => b'b',
        '\u{c}' => b'f',
        ' '..='~' => return out.push(c as u8),
        _ => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(b"\\u");
                let digits = [12, 8, 4, 0].map(|shift| b"0123456789abcdef"[usize::from(*unit >> shift & 15)]);
                out.extend_from_slice(&digits);
            }
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

fn append_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return out.extend_from_slice(&digits[at..]);
        }
    }
}

type Done = Result<(), Unknown>;
type Never = Impossible<(), Unknown>;

/// What no line holds.
macro_rules! unknown {
    ($($name:ident($($kind:ty),*) -> $result:ty;)*) => {
        $(fn $name(self, $(_: $kind),*) -> Result<$result, Unknown> {
            Err(Unknown::custom(concat!("lines have no ", stringify!($name))))
        })*
    };
}

impl<'a> Serializer for Json<'a> {
    type Ok = ();
    type Error = Unknown;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Compound<'a>;
    type SerializeStructVariant = Never;

    fn serialize_str(self, text: &str) -> Done {
        append_text(text, self.out);
        Ok(())
    }

    /// What is JSON already.
    fn serialize_bytes(self, json: &[u8]) -> Done {
        self.out.extend_from_slice(json);
        Ok(())
    }

    fn serialize_bool(self, is: bool) -> Done {
        self.out.extend_from_slice(if is { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_u8(self, number: u8) -> Done {
        self.serialize_u64(number.into())
    }

    fn serialize_u16(self, number: u16) -> Done {
        self.serialize_u64(number.into())
    }

    fn serialize_u32(self, number: u32) -> Done {
        self.serialize_u64(number.into())
    }

    fn serialize_u64(self, number: u64) -> Done {
        append_number(number, self.out);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Done {
        if name != PLAIN {
            return value.serialize(self);
        }
        self.out.push(b'"');
        value.serialize(Json { out: self.out })?;
        self.out.push(b'"');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'a>, Unknown> {
        Ok(Compound::begin(self.out, LIST))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Compound<'a>, Unknown> {
        Ok(Compound::begin(self.out, OBJECT))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Compound<'a>, Unknown> {
        Ok(Compound::begin(self.out, OBJECT))
    }

    unknown! {
        serialize_i8(i8) -> ();
        serialize_i16(i16) -> ();
        serialize_i32(i32) -> ();
        serialize_i64(i64) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_char(char) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_unit_variant(&'static str, u32, &'static str) -> ();
        serialize_tuple(usize) -> Never;
        serialize_tuple_struct(&'static str, usize) -> Never;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never;
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(self, _: &'static str, _: u32, _: &'static str, _: &T) -> Done {
        Err(Unknown::custom("lines have no variants"))
    }
}

impl SerializeSeq for Compound<'_> {
    type Ok = ();
    type Error = Unknown;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.separate();
        value.serialize(Json { out: self.out })
    }

    fn end(self) -> Done {
        self.close();
        Ok(())
    }
}

impl SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = Unknown;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        self.separate();
        key.serialize(Json { out: self.out })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.out.push(b':');
        value.serialize(Json { out: self.out })
    }

    fn end(self) -> Done {
        self.close();
        Ok(())
    }
}

impl SerializeStruct for Compound<'_> {
    type Ok = ();
    type Error = Unknown;

    /// Names of fields are plain. What has none brings its members with it.
    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Done {
        self.separate();
        if !name.is_empty() {
            self.out.push(b'"');
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"\":");
        }
        value.serialize(Json { out: self.out })
    }

    fn end(self) -> Done {
        self.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::append;
    use std::collections::BTreeMap;

    fn json(value: &impl serde::Serialize) -> String {
        let mut json = Vec::new();
        append(value, &mut json);
        String::from_utf8(json).expect("ASCII")
    }

    fn check(text: &str, wanted: &str) {
        assert_eq!(json(&text), wanted);
        assert_eq!(serde_json::from_str::<String>(wanted).expect("JSON"), text);
    }

    #[test]
    fn every_character_comes_back_from_ascii() {
        check("plain", r#""plain""#);
        check("a\"b\\c", r#""a\"b\\c""#);
        check("\u{0}\n\r\t\u{8}\u{c}\u{1b}\u{7f}~", r#""\u0000\n\r\t\b\f\u001b\u007f~""#);
        check("m\u{fc}ller\u{2028}", r#""m\u00fcller\u2028""#);
        check("\u{1f511}\u{10ffff}x", r#""\ud83d\udd11\udbff\udfffx""#);
    }

    #[test]
    fn what_is_odd_is_found_at_every_place() {
        for len in 0..100 {
            let text = "x".repeat(len);
            check(&text, &format!("\"{text}\""));
            for at in 0..len {
                let (before, after) = text.split_at(at);
                check(&format!("{before}\"{after}"), &format!("\"{before}\\\"{after}\""));
            }
        }
    }

    #[test]
    fn lists_objects_and_numbers_are_those_of_the_general_serializer() {
        let value: BTreeMap<&str, (Vec<u64>, bool)> = BTreeMap::new();
        assert_eq!(json(&value), "{}");
        let value = BTreeMap::from([("a", vec![0_u64, 7, 10, u64::MAX]), ("b", vec![]), ("\u{e9}", vec![1])]);
        assert_eq!(
            serde_json::from_str::<BTreeMap<&str, Vec<u64>>>(&json(&value).replace("\\u00e9", "\u{e9}")).ok(),
            Some(value)
        );
    }
}
