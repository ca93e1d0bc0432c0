//! The words that numbers and times have on a page.

use crate::ops::grouped;
use crate::output::time_text;
use crate::wire::Timestamp;

/// Seconds of a step of a drawing over time, each a whole number of those before. 64 bits of nanoseconds are six steps of
/// the last kind.
pub(crate) const STEPS: [u64; 12] =
    [1, 10, 60, 600, 3600, 6 * 3600, 86_400, 7 * 86_400, 28 * 86_400, 364 * 86_400, 3640 * 86_400, 36_400 * 86_400];

/// `2026-11-24 23:02:05`, in UTC.
pub(crate) fn moment(nanoseconds: u64) -> String {
    let text = time_text(Timestamp(nanoseconds));
    format!("{} {}", &text[..10], &text[11..19])
}

/// `2026-11-24 23:02:05 UTC`.
pub(crate) fn time(nanoseconds: u64) -> String {
    moment(nanoseconds) + " UTC"
}

/// `2026-11-24`.
pub(crate) fn day(nanoseconds: u64) -> String {
    time_text(Timestamp(nanoseconds))[..10].to_owned()
}

/// Of a step of `step` seconds: as much of its beginning as tells it from the next.
pub(crate) fn step(seconds: u64, step: u64) -> String {
    let text = time_text(Timestamp(seconds.saturating_mul(1_000_000_000)));
    let (date, clock) = (&text[..10], &text[11..19]);
    match step {
        0..60 => format!("{date} {clock}"),
        60..86_400 => format!("{date} {}", &clock[..5]),
        _ => date.to_owned(),
    }
}

/// Seconds in the unit that fits: `10 minutes`.
pub(crate) fn length(seconds: u64) -> String {
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit)).unwrap_or((1, "second"));
    crate::ops::counted(seconds / unit, name)
}

/// Seconds to the unit below which nobody asks: `90 seconds`, `3 hours`.
pub(crate) fn roughly(seconds: u64) -> String {
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute")];
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds >= 2 * unit).unwrap_or((1, "second"));
    crate::ops::counted(seconds / unit, name)
}

/// A part of a whole in per cent, rounded so that only nothing is 0 and only all is 100.
pub(crate) fn percent(part: u64, whole: u64) -> String {
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

/// Some of several with the number of the others.
pub(crate) fn some(names: impl Iterator<Item = String>, all: u64) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    let more = all.saturating_sub(names.len() as u64);
    if more > 0 {
        names.push(format!("and {} more", grouped(more)));
    }
    names
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
        assert_eq!(
            [1, 119, 7199, 7200, 172_801].map(roughly),
            ["1 second", "119 seconds", "119 minutes", "2 hours", "2 days"]
        );
        assert_eq!(some(["a".to_owned()].into_iter(), 1201), ["a", "and 1,200 more"]);
    }
}
