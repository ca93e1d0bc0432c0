//! Records as syslog messages (RFC 5424), for every way that carries them.
//!
//! The message is the record in pure ASCII, which is MSG-ANY: RFC 5424 §6.4 asks for a byte order mark before UTF-8, and
//! rsyslog's JSON parser fails on one.

use super::host_name;
use super::net::printable;
use crate::output::{Form, Written};
use std::io::Write as _;

/// What stands in the headers of messages besides what the record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// RFC 5424 §6.2.1's number of a facility, 0 to 23; see [`facility`].
    pub facility: u8,
    /// HOSTNAME; without it the machine's.
    pub hostname: Option<String>,
    /// APP-NAME.
    pub app_name: String,
    /// The enterprise number of the structured data. The default, 32473, is set aside for documentation (RFC 5612): who has
    /// one of their own puts it here.
    pub enterprise: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { facility: 10, hostname: None, app_name: "barewire".to_owned(), enterprise: 32473 }
    }
}

/// Facilities by their names as most write them, in the order of their numbers.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

/// The number of a facility, from its name or number.
#[must_use]
pub fn facility(text: &str) -> Option<u8> {
    let number = text.parse().ok().filter(|number| usize::from(*number) < FACILITIES.len());
    number.or_else(|| u8::try_from(FACILITIES.iter().position(|name| *name == text)?).ok())
}

/// RFC 5424 §6: none is longer.
const LONGEST_HOSTNAME: usize = 255;
const LONGEST_APP_NAME: usize = 48;
const LONGEST_MSGID: usize = 32;

/// Makes messages of records.
pub(super) struct Messages {
    facility: u8,
    hostname: String,
    app_name: String,
    enterprise: u32,
    form: Form,
}

impl Messages {
    /// With these headers.
    ///
    /// # Errors
    ///
    /// The facility is none: one line.
    pub(super) fn new(options: &Options, form: Form) -> Result<Self, String> {
        if usize::from(options.facility) >= FACILITIES.len() {
            return Err(format!("facility {}: there are 0 to 23", options.facility));
        }
        let hostname = options.hostname.clone().unwrap_or_else(host_name);
        Ok(Self {
            facility: options.facility,
            hostname: header(hostname.trim(), LONGEST_HOSTNAME),
            app_name: header(&options.app_name, LONGEST_APP_NAME),
            enterprise: options.enterprise,
            form,
        })
    }

    /// Appends the message for a line, without anything that would frame it.
    ///
    /// # Errors
    ///
    /// The line is no record, or not in a form that every receiver takes; nothing is appended.
    pub(super) fn append(&self, line: &[u8], message: &mut Vec<u8>) -> Result<(), String> {
        let record = Written::parse(line).ok_or("no record")?;
        if !line.iter().all(|octet| matches!(octet, b' '..=b'~')) {
            return Err("not a line of printable ASCII".to_owned());
        }
        let priority = self.facility * 8 + severity(&record);
        let time = header(timestamp(&record), 32);
        let action = header(record.action(), LONGEST_MSGID);
        let Self { hostname, app_name, enterprise, .. } = self;
        let _ = write!(message, "<{priority}>1 {time} {hostname} {app_name} - {action} [barewire@{enterprise}");
        for (name, place) in [("rule", "/rule/id"), ("proto", "/network/protocol")] {
            let value = record.text(place);
            if !value.is_empty() {
                let _ = write!(message, " {name}=\"");
                escape(value, message);
                message.push(b'"');
            }
        }
        message.extend_from_slice(b"] ");
        message.extend_from_slice(&record.render(self.form));
        Ok(())
    }
}

/// RFC 5424 §6.2.1's severity: 2 critical, 3 error, 4 warning, 5 notice, 6 informational. The record's runs to 100.
fn severity(record: &Written) -> u8 {
    match record.number("/event/severity").unwrap_or(0) {
        90.. => 2,
        70.. => 3,
        40.. => 4,
        20.. => 5,
        _ => 6,
    }
}

/// RFC 5424 §6.2.3's form is the one that records have; anything else is nothing rather than a message nobody can parse.
fn timestamp(record: &Written) -> &str {
    let text = record.text("/@timestamp");
    let is_one = text.len() >= "2026-01-01T00:00:00Z".len()
        && text.bytes().all(|octet| matches!(octet, b'0'..=b'9' | b'-' | b':' | b'.' | b'T' | b'Z'));
    if is_one { text } else { "" }
}

/// A field of the header: printable ASCII without spaces, or a hyphen for nothing.
fn header(text: &str, longest: usize) -> String {
    let kept: String =
        text.chars().take(longest).map(|char| if char.is_ascii_graphic() { char } else { '_' }).collect();
    if kept.is_empty() { "-".to_owned() } else { kept }
}

/// RFC 5424 §6.3.3: a quote, a backslash and a closing bracket stand behind a backslash.
fn escape(value: &str, message: &mut Vec<u8>) {
    for octet in printable(value.as_bytes()).bytes() {
        if matches!(octet, b'"' | b'\\' | b']') {
            message.push(b'\\');
        }
        message.push(octet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(line: &str) -> Result<String, String> {
        let options = Options { hostname: Some("sensor one\n".to_owned()), ..Options::default() };
        let mut message = Vec::new();
        Messages::new(&options, Form::Ecs).expect("good options").append(line.as_bytes(), &mut message)?;
        Ok(String::from_utf8(message).expect("ASCII"))
    }

    #[test]
    fn a_finding_has_its_place_in_every_field() {
        let line = r#"{"@timestamp":"2026-01-02T03:04:05.678901Z","event":{"id":"A","action":"cleartext-login","severity":73},"rule":{"id":"cleartext-login"},"network":{"protocol":"imap"}}"#;
        let head = "<83>1 2026-01-02T03:04:05.678901Z sensor_one barewire - cleartext-login \
                    [barewire@32473 rule=\"cleartext-login\" proto=\"imap\"] ";
        assert_eq!(message(line), Ok(format!("{head}{line}")));
    }

    #[test]
    fn what_is_hostile_or_missing_makes_no_other_message() {
        let line = r#"{"@timestamp":"now] ","event":{"id":"A","action":"a b\u0000\u2603xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},"rule":{"id":"\"]\\ x\n<1>\u2603"}}"#;
        let head = "<86>1 - sensor_one barewire - a_b__xxxxxxxxxxxxxxxxxxxxxxxxxxx [barewire@32473 rule=\"\\\"\\]\\\\ x?<1>???\"] ";
        assert_eq!(message(line), Ok(format!("{head}{line}")));
        assert_eq!(
            message(r#"{"event":{"id":"A"}}"#).as_deref(),
            Ok(r#"<86>1 - sensor_one barewire - - [barewire@32473] {"event":{"id":"A"}}"#)
        );
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for line in ["", "{}", "x", "{\"event\":{\"id\":\"A\"},\"x\":\"\u{2603}\"}", "{\"event\":\n{\"id\":\"A\"}}"] {
            assert!(message(line).is_err(), "{line}");
        }
    }

    #[test]
    fn facilities_have_names_and_numbers() {
        assert_eq!(["authpriv", "local7", "0", "23"].map(facility), [Some(10), Some(23), Some(0), Some(23)]);
        assert_eq!(["24", "-1", "AUTH", ""].map(facility), [None; 4]);
        assert!(Messages::new(&Options { facility: 24, ..Options::default() }, Form::Ecs).is_err());
    }

    #[test]
    fn severities_follow_the_record() {
        for (given, priority) in [(99, 82), (73, 83), (47, 84), (21, 85), (10, 86)] {
            let line = format!("{{\"event\":{{\"id\":\"A\",\"severity\":{given}}}}}");
            assert!(message(&line).expect("a record").starts_with(&format!("<{priority}>1 ")));
        }
    }
}
