//! The file of accepted findings, which people keep beside their captures and change by hand: JSON, sorted, one finding an
//! object, so that a review shows what was accepted. It holds no account: a finding's identity says enough.

use super::time::parsed;
use super::{Written, time_text};
use crate::finding::{Acceptance, FindingId, SEVERITIES, Uid, severity_name, severity_of};
use crate::wire::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A finding that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its name.
    pub rule: String,
    /// Server and client that it is about, for people.
    pub about: String,
    /// Occurrences when it was accepted.
    pub count: u64,
    /// Why, by whom, until when.
    pub acceptance: Acceptance,
}

/// All of them, by identity.
pub type AcceptedFindings = BTreeMap<Uid, Accepted>;

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Version of this form.
    barewire_baseline: u32,
    accepted: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    rule: String,
    #[serde(default)]
    about: String,
    #[serde(default)]
    count: u64,
    /// The gravest that is accepted; without it any is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    severity: Option<String>,
    reason: String,
    owner: String,
    /// A day, on which it does not hold any more, or `never`.
    expires: String,
}

const VERSION: u32 = 1;
/// Characters of what people say.
const LONGEST: usize = 300;

/// Reads the file.
///
/// # Errors
///
/// One line that says where it is wrong.
pub fn read(text: &str) -> Result<AcceptedFindings, String> {
    let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if file.barewire_baseline != VERSION {
        return Err(format!("barewire_baseline is {}; this program reads {VERSION}", file.barewire_baseline));
    }
    let mut all = AcceptedFindings::new();
    for entry in file.accepted {
        let wrong = |what: String| format!("{}: {what}", entry.id.escape_default());
        let uid =
            Uid::parse(&entry.id).ok_or_else(|| wrong("no event.id of a finding: 16 of A-Z and 2-7".to_owned()))?;
        FindingId::parse(&entry.rule)
            .ok_or_else(|| wrong(format!("no finding is called {}", entry.rule.escape_default())))?;
        let expires = expiry(&entry.expires).map_err(&wrong)?;
        for (name, text) in [("reason", &entry.reason), ("owner", &entry.owner), ("about", &entry.about)] {
            said(text).map_err(|what| wrong(format!("{name}: {what}")))?;
        }
        if entry.reason.is_empty() || entry.owner.is_empty() {
            return Err(wrong("reason and owner must be told".to_owned()));
        }
        let severity = entry.severity.as_deref().map(|word| {
            let what = || wrong(format!("severity is one of {}", SEVERITIES.join(", ")));
            severity_of(word).ok_or_else(what)
        });
        let severity = severity.transpose()?;
        let id = entry.id.clone();
        let acceptance = Acceptance { reason: entry.reason, owner: entry.owner, expires, severity };
        let accepted = Accepted { rule: entry.rule, about: entry.about, count: entry.count, acceptance };
        if all.insert(uid, accepted).is_some() {
            return Err(format!("{id}: it stands there twice"));
        }
    }
    Ok(all)
}

/// The file's text.
#[must_use]
pub fn write(all: &AcceptedFindings) -> String {
    let entry = |(uid, accepted): (&Uid, &Accepted)| Entry {
        id: uid.to_string(),
        rule: accepted.rule.clone(),
        about: accepted.about.clone(),
        count: accepted.count,
        severity: accepted.acceptance.severity.map(|severity| severity_name(severity).to_owned()),
        reason: accepted.acceptance.reason.clone(),
        owner: accepted.acceptance.owner.clone(),
        expires: accepted.acceptance.expires.map_or_else(|| "never".to_owned(), day_of),
    };
    let file = File { barewire_baseline: VERSION, accepted: all.iter().map(entry).collect() };
    // Texts and numbers only: nothing in it can fail to be written.
    serde_json::to_string_pretty(&file).unwrap_or_default() + "\n"
}

/// `YYYY-MM-DD`, from whose beginning in UTC on it does not hold, or `never`.
///
/// # Errors
///
/// It is neither.
pub fn expiry(text: &str) -> Result<Option<Timestamp>, String> {
    if text == "never" {
        return Ok(None);
    }
    let time = (text.len() == 10).then(|| parsed(&format!("{text}T00:00:00.000000Z"))).flatten();
    match time.map(Timestamp).filter(|time| day_of(*time) == text) {
        Some(time) => Ok(Some(time)),
        None => Err(format!("expires: '{}' is no day up to 2554; write YYYY-MM-DD or never", text.escape_default())),
    }
}

/// The day of a time, in UTC.
#[must_use]
pub fn day_of(time: Timestamp) -> String {
    time_text(time).chars().take(10).collect()
}

/// Whether people can have said it so.
///
/// # Errors
///
/// It is too long, or cannot be shown.
pub fn said(text: &str) -> Result<(), String> {
    if text.chars().count() > LONGEST {
        return Err(format!("more than {LONGEST} characters"));
    }
    // What turns lines round or clears screens has no place in a file that people review.
    let is_shown = |c: char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    if text.chars().all(is_shown) { Ok(()) } else { Err("it holds characters that cannot be shown".to_owned()) }
}

impl Accepted {
    /// A finding of a record as it is to be accepted; `None` if the record is none.
    #[must_use]
    pub fn of(written: &Written, acceptance: Acceptance) -> Option<(Uid, Self)> {
        let (uid, rule) = (Uid::parse(written.text("/event/id"))?, written.action());
        if written.text("/event/dataset") != "barewire.finding" || FindingId::parse(rule).is_none() {
            return None;
        }
        let server = [written.text("/network/protocol"), &written.server()].join(" ");
        let client = written.text("/client/ip");
        let about = if client.is_empty() { server } else { format!("{server} from {client}") };
        let about = if said(about.trim()).is_ok() { about } else { String::new() };
        let count = written.number("/barewire/count").unwrap_or(1);
        let acceptance = Acceptance { severity: severity_of(written.text("/barewire/severity")), ..acceptance };
        Some((uid, Self { rule: rule.to_owned(), about: about.trim().to_owned(), count, acceptance }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(entry: &str) -> String {
        format!("{{\"barewire_baseline\":1,\"accepted\":[{entry}]}}")
    }

    const GOOD: &str = "{\"id\":\"MZXW6YTBMZXW6YTB\",\"rule\":\"cleartext-password\",\"about\":\"imap 10.0.0.1:143\",\
                        \"count\":3,\"reason\":\"the old printer\",\"owner\":\"ops\",\"expires\":\"2027-02-28\"}";

    #[test]
    fn what_was_written_is_read_back() {
        let all = read(&file(GOOD)).expect("good");
        assert_eq!(read(&write(&all)).as_ref(), Ok(&all));
        let accepted = all.values().next().expect("one");
        assert_eq!(accepted.acceptance.expires.map(day_of).as_deref(), Some("2027-02-28"));
        let never = read(&file(&GOOD.replace("2027-02-28", "never"))).expect("good");
        assert_eq!(never.values().next().expect("one").acceptance.expires, None);
        assert_eq!(read(&write(&never)), Ok(never));
    }

    #[test]
    fn what_is_wrong_is_told_in_one_line() {
        for (from, to, told) in [
            ("MZXW6YTBMZXW6YTB", "short", "short: no event.id"),
            ("cleartext-password", "cleartext-pasword", "no finding is called cleartext-pasword"),
            ("2027-02-28", "2027-02-30", "is no day"),
            ("2027-02-28", "tomorrow", "is no day"),
            ("2027-02-28", "+027-02-28", "is no day"),
            ("\"owner\":\"ops\"", "\"owner\":\"\"", "must be told"),
            ("the old printer", "a\\u001b[2J", "cannot be shown"),
            ("the old printer", "a\\u202eb", "cannot be shown"),
            ("\"count\":3", "\"count\":-3", "invalid value"),
            ("\"count\"", "\"number\"", "unknown field `number`"),
            ("\"count\":3", "\"severity\":\"grave\"", "severity is one of info, low"),
            ("\"owner\":\"ops\",", "", "missing field `owner`"),
        ] {
            let why = read(&file(&GOOD.replace(from, to))).expect_err(to);
            assert!(why.contains(told) && !why.contains('\n'), "{to}: {why}");
        }
        assert!(read(&file(&format!("{GOOD},{GOOD}"))).expect_err("twice").contains("twice"));
        assert!(read(&file(GOOD).replace(":1,", ":2,")).expect_err("another form").contains("reads 1"));
        let long = GOOD.replace("the old printer", &"x".repeat(301));
        assert!(read(&file(&long)).expect_err("long").contains("more than 300"));
        assert!(read("").is_err() && read("[]").is_err());
    }
}
