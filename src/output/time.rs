//! Times of packets as RFC 3339 text. Reads no clock and knows no time zone.

use super::event::{Letters, Time};
use crate::wire::Timestamp;

const DAY: u64 = 86_400;

/// RFC 3339, UTC, microseconds, `Z`. 64 bits of nanoseconds end in the year 2554: four digits always do.
pub(super) fn rfc3339(time: Timestamp) -> Time {
    let (seconds, micros) = (time.0 / 1_000_000_000, time.0 / 1000 % 1_000_000);
    let (year, month, day) = civil(seconds / DAY);
    let (hour, minute, second) = (seconds % DAY / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    for (at, number) in [
        (0, year / 100),
        (2, year % 100),
        (5, month),
        (8, day),
        (11, hour),
        (14, minute),
        (17, second),
        (20, micros / 10_000),
        (22, micros / 100 % 100),
        (24, micros % 100),
    ] {
        text[at] += (number / 10) as u8;
        text[at + 1] += (number % 10) as u8;
    }
    Letters(text)
}

/// Nanoseconds since 1970 of a text that [`rfc3339`] made; `None` of any other.
pub(super) fn parsed(text: &str) -> Option<u64> {
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (26, b'Z')];
    let shape = text.as_bytes();
    if shape.len() != 27 || marks.iter().any(|&(at, mark)| shape[at] != mark) {
        return None;
    }
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))?;
        digits.parse::<u64>().ok()
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // As `civil` counts: from 1 March of the year 0.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let seconds = days.checked_sub(719_468)? * DAY + number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(number(20, 26)? * 1000)
}

/// Year, month, day of a day since 1970-01-01, by counting from 1 March: the leap day is then the last of its year
/// and 400 years are always 146097 days.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next_year, month, day)
}

/// Milliseconds since 1970 of such a text.
pub(super) fn millis(text: &str) -> Option<u64> {
    parsed(text).map(|nanoseconds| nanoseconds / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(time: Timestamp) -> String {
        String::from_utf8(rfc3339(time).0.to_vec()).expect("ASCII")
    }

    #[test]
    fn known_times() {
        let check = |seconds: u64, nanos: u64, wanted: &str| {
            assert_eq!(text(Timestamp(seconds * 1_000_000_000 + nanos)), wanted);
            assert_eq!(parsed(wanted), Some(seconds * 1_000_000_000 + nanos / 1000 * 1000));
        };
        check(0, 0, "1970-01-01T00:00:00.000000Z");
        check(951_782_399, 999_999_999, "2000-02-28T23:59:59.999999Z");
        check(951_782_400, 0, "2000-02-29T00:00:00.000000Z");
        check(951_868_800, 1_000, "2000-03-01T00:00:00.000001Z");
        check(1_700_000_000, 130_000_000, "2023-11-14T22:13:20.130000Z");
        check(1_709_164_800, 0, "2024-02-29T00:00:00.000000Z");
        check(1_735_689_599, 0, "2024-12-31T23:59:59.000000Z");
        check(4_107_542_399, 0, "2100-02-28T23:59:59.000000Z");
        check(4_107_542_400, 0, "2100-03-01T00:00:00.000000Z");
    }

    #[test]
    fn the_last_time_still_has_four_digits_of_year() {
        assert_eq!(text(Timestamp(u64::MAX)), "2554-07-21T23:34:33.709551Z");
        for wrong in ["", "1970-01-01T00:00:00.000000+", "1969-12-31T23:59:59.000000Z", "9999-01-01T00:00:00.000000Z"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn days_follow_each_other_as_a_calendar_says() {
        let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let mut at = (1970, 1, 1);
        for days in 0..(400 * 366) {
            assert_eq!(civil(days), at);
            let (year, month, day) = at;
            let last = match month {
                2 => 28 + u64::from(is_leap(year)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            at = match (month, day == last) {
                (_, false) => (year, month, day + 1),
                (12, true) => (year + 1, 1, 1),
                (_, true) => (year, month + 1, 1),
            };
        }
    }

    #[test]
    fn times_are_read_back() {
        for seconds in [0, 951_782_399, 951_782_400, 1_709_164_800, 4_107_542_399, 18_446_744_072] {
            let time = Timestamp(seconds * 1_000_000_000 + 987_654_321);
            assert_eq!(millis(&text(time)), Some(seconds * 1000 + 987));
        }
        for odd in ["", "2023-11-14T22:13:20Z", "2023-13-14T22:13:20.005000Z", "0000-00-00T00:00:00.000000Z"] {
            assert_eq!(millis(odd), None, "{odd}");
        }
        assert_eq!(millis("+023-11-14T22:13:20.005000Z"), None);
        assert_eq!(millis("1969-12-31T23:59:59.000000Z"), None);
    }
}
