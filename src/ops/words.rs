//! Numbers and names as people read them, in printable ASCII.

/// With thousands separators: `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with its noun: `1 packet`, `2,000 packets`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Octets with three digits that count, in powers of ten: `999 B`, `1.23 GB`.
pub(crate) fn octets(number: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    if number < 1000 {
        return format!("{number} B");
    }
    let mut scaled = number as f64;
    let mut unit = 0;
    // 999.5 would be shown as 1000.
    while scaled >= 999.5 && unit + 1 < UNITS.len() {
        scaled /= 1000.0;
        unit += 1;
    }
    let decimals = if scaled < 9.995 { 2 } else { usize::from(scaled < 99.95) };
    format!("{scaled:.decimals$} {}", UNITS[unit])
}

/// Minutes and seconds, hours before them where there are any: `0:07`, `1:02:03`.
pub(super) fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// At most `width` characters; what was cut ends in `...`. Everything outside printable ASCII is escaped.
pub(super) fn fitted(text: &str, width: usize) -> String {
    let mut safe = ascii(text);
    if safe.len() > width {
        safe.truncate(width.saturating_sub(3));
        safe.push_str(&"..."[..width.min(3)]);
    }
    safe
}

/// Lines of at most `width` characters, broken at spaces, and within a word only where the word alone is too long.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in ascii(text).split(' ') {
        let room = width.saturating_sub(lines.last().map_or(0, |line| line.len() + 1));
        match lines.last_mut().filter(|line| line.is_empty() || word.len() <= room) {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => line.extend([" ", word]),
            None => lines.push(word.to_owned()),
        }
        while let Some(rest) = lines.last_mut().filter(|line| line.len() > width).map(|line| line.split_off(width)) {
            lines.push(rest);
        }
    }
    lines
}

/// Printable ASCII, everything else as `\u{..}`: a terminal obeys what it is sent.
pub(super) fn ascii(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' '..='~' => safe.push(c),
            odd => safe.extend(odd.escape_unicode()),
        }
    }
    safe
}

/// Characters of one line; more than the longest path with what is said of it has by custom.
const LINE_CHARS: usize = 800;

/// One line: line ends, other control characters and what turns the direction of writing are escaped, for a value of a
/// configuration may hold them; of a line that is too long the middle is left out, since both what is meant and what is
/// wrong with it must be told.
pub(crate) fn one_line(text: &str) -> String {
    let is_odd = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let chars = text.chars().count();
    let left_out = if chars > LINE_CHARS { LINE_CHARS * 2 / 3..chars - LINE_CHARS / 3 } else { 0..0 };
    let mut line = String::with_capacity(text.len().min(2 * LINE_CHARS));
    for (at, c) in text.chars().enumerate() {
        match c {
            _ if left_out.contains(&at) => line.push_str(if at == left_out.start { "[...]" } else { "" }),
            odd if is_odd(odd) => line.extend(odd.escape_default()),
            plain => line.push(plain),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_whatever_stands_in_it() {
        assert_eq!(one_line("a\nb\u{1b}[2J\u{202e}\u{85}ü"), "a\\nb\\u{1b}[2J\\u{202e}\\u{85}ü");
        let long = one_line(&format!("file: {}: no number", "x".repeat(100_000)));
        assert!(long.len() < 900 && long.starts_with("file: xx") && long.ends_with("xx: no number"), "{long}");
        assert_eq!(one_line(&"x".repeat(LINE_CHARS)), "x".repeat(LINE_CHARS));
    }

    #[test]
    fn numbers_are_grouped_and_their_nouns_agree() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1,000");
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(counted(1, "packet"), "1 packet");
        assert_eq!(counted(0, "packet"), "0 packets");
        assert_eq!(counted(12_345, "packet"), "12,345 packets");
    }

    #[test]
    fn octets_keep_three_digits() {
        let all = [0, 999, 1000, 9_994, 9_996, 99_960, 999_499, 999_500, 1_234_567_890, u64::MAX].map(octets);
        let wanted =
            ["0 B", "999 B", "1.00 kB", "9.99 kB", "10.0 kB", "100 kB", "999 kB", "1.00 MB", "1.23 GB", "18.4 EB"];
        assert_eq!(all, wanted);
    }

    #[test]
    fn text_wraps_at_spaces() {
        assert_eq!(wrapped("the quick brown fox", 10), ["the quick", "brown fox"]);
        assert_eq!(wrapped("a /long/path/without/spaces b", 10), ["a", "/long/path", "/without/s", "paces b"]);
        assert_eq!(wrapped("", 10), [""]);
    }

    #[test]
    fn times_and_names_fit() {
        assert_eq!([0, 67, 3723].map(clock), ["0:00", "1:07", "1:02:03"]);
        assert_eq!(fitted("alice", 5), "alice");
        assert_eq!(fitted("alice.b", 6), "ali...");
        assert_eq!(fitted("\u{1b}[2J\u{fc}", 40), "\\u{1b}[2J\\u{fc}");
    }
}
