//! The words that numbers, times, servers and reasons have on the page.

use super::model::Service;
use crate::ops::grouped;
use crate::output::time_text;
use crate::wire::Timestamp;

/// `2026-11-24 23:02:05`, in UTC.
pub(super) fn moment(nanoseconds: u64) -> String {
    let text = time_text(Timestamp(nanoseconds));
    format!("{} {}", &text[..10], &text[11..19])
}

/// `2026-11-24 23:02:05 UTC`.
pub(super) fn time(nanoseconds: u64) -> String {
    moment(nanoseconds) + " UTC"
}

/// `2026-11-24`.
pub(super) fn day(nanoseconds: u64) -> String {
    time_text(Timestamp(nanoseconds))[..10].to_owned()
}

/// Of a step of `step` seconds: as much of its beginning as tells it from the next.
pub(super) fn step(seconds: u64, step: u64) -> String {
    let text = time_text(Timestamp(seconds.saturating_mul(1_000_000_000)));
    let (date, clock) = (&text[..10], &text[11..19]);
    match step {
        0..60 => format!("{date} {clock}"),
        60..86_400 => format!("{date} {}", &clock[..5]),
        _ => date.to_owned(),
    }
}

/// Seconds in the unit that fits: `10 minutes`.
pub(super) fn length(seconds: u64) -> String {
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit)).unwrap_or((1, "second"));
    crate::ops::counted(seconds / unit, name)
}

/// A part of a whole in per cent, rounded so that only nothing is 0 and only all is 100.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let exact = 100.0 * part as f64 / whole as f64;
    match exact.round() as u64 {
        0 if part > 0 => "<1 %".to_owned(),
        100.. if part < whole => ">99 %".to_owned(),
        rounded => format!("{rounded} %"),
    }
}

/// `10.0.0.1:143`.
pub(super) fn server(service: &Service) -> String {
    service.address.to_string()
}

/// `IMAP`.
pub(super) fn protocol(service: &Service) -> &'static str {
    service.protocol.map_or("not known", |protocol| protocol.info().title)
}

/// `10.0.0.1:143 IMAP`, in one piece.
pub(super) fn named(service: &Service) -> String {
    format!("{}\u{a0}{}", server(service), protocol(service).replace(' ', "\u{a0}"))
}

/// Some of several with the number of the others.
pub(super) fn some(names: impl Iterator<Item = String>, all: u64) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    let more = all.saturating_sub(names.len() as u64);
    if more > 0 {
        names.push(format!("and {} more", grouped(more)));
    }
    names
}

/// Why something is not known, from the word of records.
pub(super) fn reason(word: &str) -> &str {
    match word {
        "complete" => "complete",
        "no-reply" => "the other end said nothing more",
        "gap" => "packets were not captured",
        "asymmetric" => "one direction was not captured",
        "midstream" => "the connection began before the capture",
        "desync" => "the dialogue could not be followed",
        "evicted" => "given up for want of memory",
        "capture-ended" => "the capture stops first",
        "compressed" => "the dialogue went on compressed",
        "not-asked" => "it was never asked for",
        "temporary" => "the server had a temporary trouble",
        "ambiguous" => "two copies of the octets differ",
        "" => "no reason given",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nothing_is_none_and_only_all_is_all() {
        let all = [(0, 9), (1, 1000), (1, 2), (999, 1000), (9, 9), (0, 0)].map(|(part, whole)| percent(part, whole));
        assert_eq!(all, ["0 %", "<1 %", "50 %", ">99 %", "100 %", "–"]);
    }

    #[test]
    fn times_and_lengths_read_well() {
        assert_eq!(time(1_700_000_000_130_000_000), "2023-11-14 22:13:20 UTC");
        assert_eq!(step(1_700_000_000, 10), "2023-11-14 22:13:20");
        assert_eq!(step(1_700_000_000, 3600), "2023-11-14 22:13");
        assert_eq!([1, 600, 21_600, 604_800].map(length), ["1 second", "10 minutes", "6 hours", "7 days"]);
        assert_eq!(some(["a".to_owned()].into_iter(), 1201), ["a", "and 1,200 more"]);
    }
}
