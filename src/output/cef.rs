//! Records in the Common Event Format, version 0: a header of seven fields and an extension of keys that ArcSight knows.
//!
//! CEF has no place for most of what a record holds: who, whom, what, how grave, and what it takes to find the record
//! again. It may be UTF-8; here it is ASCII, what is not stands as `\u{..}`, the way that names from the wire are escaped
//! in records. An address of IPv6 has a key of its own, for `src` and `dst` of version 0 are those of IPv4.

use super::time::millis;
use super::{LINE_OCTETS, Written};
use serde_json::Value;
use std::fmt::Write as _;

/// Characters that remain of a user's name when nothing else helps, as in records.
const SHORT_CHARS: usize = 64;

/// What an event may say, the weightiest first: where it is too long, what stands last is left out first. The third of each
/// is what one of the numbered keys means.
pub(super) const KEYS: [(&str, &str, Option<&str>); 37] = [
    ("rt", "/@timestamp", None),
    ("externalId", "/event/id", None),
    ("cat", "/event/dataset", None),
    ("act", "/event/action", None),
    ("outcome", "/event/outcome", None),
    ("src", "/source/ip", None),
    ("c6a2", "/source/ip", Some("Source IPv6 Address")),
    ("spt", "/source/port", None),
    ("dst", "/destination/ip", None),
    ("c6a3", "/destination/ip", Some("Destination IPv6 Address")),
    ("dpt", "/destination/port", None),
    ("proto", "/network/transport", None),
    ("app", "/network/protocol", None),
    ("suser", "/user/name", None),
    ("sntdom", "/user/domain", None),
    ("cnt", "/barewire/count", None),
    ("start", "/event/start", None),
    ("end", "/event/end", None),
    ("flexString2", "/barewire/truncated", Some("truncated")),
    ("reason", "/barewire/login/outcome", None),
    ("cs1", "/barewire/login/mechanism", Some("mechanism")),
    ("cs2", "/barewire/login/fingerprint", Some("fingerprint")),
    ("cs3", "/network/community_id", Some("communityId")),
    ("cs4", "/barewire/confidence", Some("confidence")),
    ("cs5", "/barewire/starttls/offer", Some("starttlsOffer")),
    ("cs6", "/threat/technique/id", Some("attackTechniques")),
    ("cn1", "/barewire/packet", Some("packet")),
    ("cn2", "/barewire/login/ordinal", Some("loginOrdinal")),
    ("cn2", "/barewire/login/attempts", Some("loginAttempts")),
    ("cn3", "/barewire/messages_in_clear", Some("messagesInClear")),
    ("in", "/source/bytes", None),
    ("out", "/destination/bytes", None),
    ("dvchost", "/observer/name", None),
    ("deviceInboundInterface", "/observer/ingress/interface/name", None),
    ("flexString1", "/barewire/conversation", Some("conversation")),
    ("filePath", "/log/file/path", None),
    ("msg", "/message", None),
];

/// So many keys are never left out: all have bounds of their own but the names, which are shortened.
const KEPT: usize = 19;

/// The event of a record.
pub(super) fn render(written: &Written) -> Vec<u8> {
    let mut event = event(written, KEYS.len(), usize::MAX);
    for keys in (KEPT..KEYS.len()).rev() {
        if event.len() < LINE_OCTETS {
            return event.into_bytes();
        }
        event = self::event(written, keys, usize::MAX);
    }
    if event.len() >= LINE_OCTETS {
        event = self::event(written, KEPT, SHORT_CHARS);
    }
    event.into_bytes()
}

/// With so many of the keys, and so many characters of each value.
fn event(written: &Written, keys: usize, chars: usize) -> String {
    let mut event = String::with_capacity(1024);
    header(written, chars, &mut event);
    let mut space = "";
    for (key, place, label) in &KEYS[..keys] {
        let is_cut = keys < KEYS.len() && *place == "/barewire/truncated";
        let value = if is_cut { Some("true".to_owned()) } else { value(written, key, place) };
        let Some(value) = value else { continue };
        event.push_str(space);
        space = " ";
        event.push_str(key);
        event.push('=');
        value.chars().take(chars).for_each(|c| escape(c, '=', &mut event));
        if let Some(label) = label {
            // Nothing fails that is written to a text, here and below.
            let _ = write!(event, " {key}Label={label}");
        }
    }
    event
}

/// Version, vendor, product, its version, what it is by name and by title, how grave it is.
fn header(written: &Written, chars: usize, event: &mut String) {
    let title = match written.text("/event/dataset") {
        "barewire.login" => "Login in clear",
        "barewire.session" => "Mail session",
        _ => written.text("/rule/name"),
    };
    event.push_str("CEF:0|");
    let fields =
        ["/observer/vendor", "/observer/product", "/observer/version", "/event/action"].map(|at| written.text(at));
    for field in fields.into_iter().chain([title]) {
        field.chars().take(chars).for_each(|c| escape(c, '|', event));
        event.push('|');
    }
    let _ = write!(event, "{}|", severity(written.text("/barewire/severity")));
}

/// 0 to 3 are low there, 4 to 6 medium, 7 and 8 high, 9 and 10 very high. Logins and sessions have no severity of their
/// own: the finding has it.
fn severity(word: &str) -> u8 {
    match word {
        "critical" => 10,
        "high" => 8,
        "medium" => 5,
        "low" => 3,
        "info" => 1,
        _ => 0,
    }
}

/// What stands at a place, as the key takes it; `None` where there is nothing, or nothing that the key is for.
fn value(written: &Written, key: &str, place: &str) -> Option<String> {
    let value = written.record().pointer(place)?;
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        Value::Object(_) | Value::Null => return None,
    };
    let is_v6 = text.contains(':');
    match key {
        "rt" | "start" | "end" => millis(&text).map(|millis| millis.to_string()),
        "src" | "dst" if is_v6 => None,
        "c6a2" | "c6a3" if !is_v6 => None,
        _ => Some(text).filter(|text| !text.is_empty()),
    }
}

/// A line end would end the event, so it is shown like all that is not printable.
fn escape(c: char, special: char, event: &mut String) {
    match c {
        _ if c == '\\' || c == special => event.extend(['\\', c]),
        ' '..='~' => event.push(c),
        _ => {
            let _ = write!(event, "\\\\u{{{:x}}}", u32::from(c));
        }
    }
}
