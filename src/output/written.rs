//! Records read back from their lines, for receivers that take other forms or need parts of them.

use super::{cef, ocsf};
use serde_json::Value;

/// Forms in which records can be delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Elastic Common Schema, as records are written.
    #[default]
    Ecs,
    /// Open Cybersecurity Schema Framework 1.8, in JSON.
    Ocsf,
    /// Common Event Format, version 0, of ArcSight.
    Cef,
}

impl Form {
    /// A record's line in this form; `None` if it is no record.
    #[must_use]
    pub fn render(self, line: &[u8]) -> Option<Vec<u8>> {
        Written::parse(line).map(|written| written.render(self))
    }

    /// The same in the place of a line that [`super::Encoder`] has appended at `start`, line feed included.
    pub fn change(self, line: &mut Vec<u8>, start: usize) {
        // A line of our own can be read back, always.
        if let Some(changed) = (self != Self::Ecs).then(|| self.render(&line[start..])).flatten() {
            line.truncate(start);
            line.extend(changed);
            line.push(b'\n');
        }
    }
}

fn show(value: &mut Value) {
    match value {
        Value::String(text) if text.chars().any(is_odd) || text.contains(COMMAND) => {
            let shown = text.replace(COMMAND, "#\\u{23}[");
            *text = shown.chars().fold(String::with_capacity(shown.len()), |mut text, c| {
                match is_odd(c) {
                    true => text.extend(c.escape_unicode()),
                    false => text.push(c),
                }
                text
            });
        }
        Value::Array(items) => items.iter_mut().for_each(show),
        Value::Object(fields) => fields.values_mut().for_each(show),
        _ => {}
    }
}

/// GitHub's runner takes what follows for a command, wherever in a line it stands.
const COMMAND: &str = "##[";

fn is_odd(c: char) -> bool {
    c.is_control()
        // Nothing to see, or another direction.
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
        // No characters, and two of them not of XML (XML 1.0 §2.2).
        || matches!(c, '\u{fdd0}'..='\u{fdef}')
        || u32::from(c) & 0xfffe == 0xfffe
}

/// A record read back from its line.
pub struct Written {
    line: Box<[u8]>,
    record: Value,
}

impl Written {
    /// Of a line with or without its line feed; `None` if it is no record.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let record: Value = serde_json::from_slice(line).ok()?;
        let is_record = record.pointer("/event/id").is_some_and(Value::is_string);
        is_record.then(|| Self { line: line.into(), record })
    }

    /// The same with every text fit for pages, documents and logs of others: what XML cannot hold, what cannot be seen and
    /// what turns lines round is escaped, and so is the beginning of a command of a build's log.
    #[must_use]
    pub(super) fn shown(line: &[u8]) -> Option<Self> {
        let mut written = Self::parse(line)?;
        show(&mut written.record);
        Some(written)
    }

    /// The record in a form: one line of printable ASCII without its line feed, shorter than [`super::LINE_OCTETS`].
    #[must_use]
    pub fn render(&self, form: Form) -> Vec<u8> {
        match form {
            Form::Ecs => self.line.to_vec(),
            Form::Ocsf => ocsf::render(self),
            Form::Cef => cef::render(self),
        }
    }

    /// The whole of it.
    pub(super) fn record(&self) -> &Value {
        &self.record
    }

    /// The text at a place, such as `/event/action`; empty where there is none.
    #[must_use]
    pub fn text(&self, place: &str) -> &str {
        self.record.pointer(place).and_then(Value::as_str).unwrap_or_default()
    }

    /// The number at a place.
    #[must_use]
    pub fn number(&self, place: &str) -> Option<u64> {
        self.record.pointer(place).and_then(Value::as_u64)
    }

    /// Address and port of the server that it is about; empty where there is none.
    #[must_use]
    pub fn server(&self) -> String {
        match (self.text("/server/ip"), self.number("/server/port")) {
            (ip, Some(port)) if ip.contains(':') => format!("[{ip}]:{port}"),
            (ip, Some(port)) => format!("{ip}:{port}"),
            (ip, None) => ip.to_owned(),
        }
    }

    /// The time of the record's packet, in nanoseconds since 1970.
    #[must_use]
    pub fn time(&self) -> Option<u64> {
        super::time::parsed(self.text("/@timestamp"))
    }

    /// What the record is about: the name of a finding, or the kind of record.
    #[must_use]
    pub fn action(&self) -> &str {
        self.text("/event/action")
    }

    /// What tells this record from all others in a store: `event.id`, and for a finding that is told again with its count
    /// also the second of its last occurrence. The same record sent twice has the same.
    #[must_use]
    pub fn document_id(&self) -> String {
        let id = self.text("/event/id");
        if self.number("/barewire/count").unwrap_or(1) == 1 {
            return id.to_owned();
        }
        let last = self.text("/barewire/last_seen");
        let second: String = last.chars().take(19).filter(char::is_ascii_alphanumeric).collect();
        format!("{id}-{second}")
    }
}
