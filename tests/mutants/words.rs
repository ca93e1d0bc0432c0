//! How configuration files are spoiled: typing errors, values of another type, and what no editor writes.

use super::octets::spoil;
use barewire::testing::Random;

/// Values of every type, right for some key and wrong for the others.
const VALUES: [&str; 40] = [
    "true",
    "false",
    "0",
    "1",
    "-1",
    "256",
    "65536",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999999999",
    "1e400",
    "0.5",
    "-0.0",
    "inf",
    "nan",
    "0x7fffffff",
    "1979-05-27",
    "1979-05-27T07:32:00Z",
    "07:32:00",
    "\"\"",
    "\"x\"",
    "\"a\\nb\\u001b[2J\"",
    "\"\\u0000\"",
    "\"--help\"",
    "\"-\"",
    "'''\nseveral\nlines'''",
    "[]",
    "[[]]",
    "[1, \"x\", true]",
    "[\"findings\", \"logins\", \"sessions\"]",
    "[\"findings\", \"findings\"]",
    "{}",
    "{ imap = [143] }",
    "{ imap = 0, pop3 = 65535 }",
    "{ \"a\\nb\" = [1] }",
    "[\"10.0.0.0/8\", \"::/0\"]",
    "\"10.0.0.0/-1\"",
    "\"/\"",
    "\"/dev/null\"",
];

/// A configuration file made from the text of a valid one.
pub(crate) fn mutant(texts: &[String], random: &mut Random) -> Vec<u8> {
    let text = &texts[random.below(texts.len())];
    let mut lines: Vec<Vec<u8>> = text.lines().map(|line| uncommented(line, random)).collect();
    // What nothing stands in is not read at all.
    let is_told = |line: &Vec<u8>| !line.is_empty() && !line.starts_with(b"#");
    for _ in 0..=random.below(2) {
        let told: Vec<usize> = (0..lines.len()).filter(|at| is_told(&lines[*at])).collect();
        if !told.is_empty() {
            let at = told[random.below(told.len())];
            spoil_line(&mut lines, at, random);
        }
    }
    let line_end: &[u8] = if random.chance(10) { b"\r\n" } else { b"\n" };
    let mut file = lines.join(line_end);
    if random.chance(15) {
        spoil(&mut file, texts[random.below(texts.len())].as_bytes(), random);
    }
    file
}

/// The keys of the examples are commented out; some of them are set.
fn uncommented(line: &str, random: &mut Random) -> Vec<u8> {
    let is_key = line.starts_with('#') && line.split(' ').nth(1) == Some("=");
    let line = if is_key && random.chance(25) { &line[1..] } else { line };
    line.as_bytes().to_vec()
}

fn spoil_line(lines: &mut Vec<Vec<u8>>, at: usize, random: &mut Random) {
    let other = random.below(lines.len());
    let place = random.below(lines[at].len() + 1);
    match random.below(16) {
        0 => lines.swap(at, other),
        1 => lines.insert(other, lines[at].clone()),
        2 => drop(lines.remove(at)),
        3 | 4 => misspell(&mut lines[at], random),
        5..=7 => {
            let key = key_of(&lines[at]);
            lines[at] = [&key[..], b" = ", VALUES[random.below(VALUES.len())].as_bytes()].concat();
        }
        8 => lines[at].truncate(place),
        9 => {
            let bad: [&[u8]; 4] = [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\0"];
            drop(lines[at].splice(place..place, bad[random.below(4)].iter().copied()));
        }
        10 => long(&mut lines[at], random),
        11 => lines[at] = deep(&key_of(&lines[at]), random),
        12 => {
            let headers =
                ["[watch]", "[replay]", "[[watch]]", "[watch.x]", "[]", "[wach]", "[\"\\u001b\"]", "[watch", "]"];
            lines.insert(at, headers[random.below(headers.len())].as_bytes().to_vec());
        }
        13 => {
            let keys = [
                "\"a\\nb\"",
                "\"\\u001b[31m\"",
                "\"\\u202e\"",
                "''",
                "a.b.c",
                "watch.stats",
                "replay",
                "\u{feff}quiet",
            ];
            let value = VALUES[random.below(VALUES.len())];
            lines.insert(at, format!("{} = {value}", keys[random.below(keys.len())]).into_bytes());
        }
        14 => {
            let other = lines[other].clone();
            lines[at].extend(other);
        }
        _ => spoil(&mut lines[at], b"= [\"'{}]#.,", random),
    }
}

fn key_of(line: &[u8]) -> Vec<u8> {
    line.split(|octet| *octet == b'=').next().unwrap_or_default().trim_ascii().to_vec()
}

/// One letter is missing, twice there, another one, or changes places.
fn misspell(line: &mut Vec<u8>, random: &mut Random) {
    let len = key_of(line).len();
    if len < 2 || line.len() < len {
        return;
    }
    let at = random.below(len - 1);
    match random.below(4) {
        0 => drop(line.remove(at)),
        1 => line.insert(at, line[at]),
        2 => line[at] = b"etaoin-_ABC"[random.below(11)],
        _ => line.swap(at, at + 1),
    }
}

/// A key, a value or a comment of up to 256 KiB.
fn long(line: &mut Vec<u8>, random: &mut Random) {
    let much = vec![b"x \"#"[random.below(4)]; 1 << random.below(19)];
    match random.below(4) {
        0 => drop(line.splice(0..0, much)),
        1 => line.extend(much),
        2 => *line = [&key_of(line)[..], b" = \"", &much, b"\""].concat(),
        _ => *line = [&key_of(line)[..], b" = [", &b"\"x\",".repeat(1 << random.below(14)), b"]"].concat(),
    }
}

/// Up to 32,768 levels.
fn deep(key: &[u8], random: &mut Random) -> Vec<u8> {
    let levels = 1 << random.below(16);
    match random.below(4) {
        0 => [key, b" = ", &b"[".repeat(levels), &b"]".repeat(levels)].concat(),
        1 => [key, b" = ", &b"{ a = ".repeat(levels), b"1", &b" }".repeat(levels)].concat(),
        2 => [&b"a.".repeat(levels), key, b" = 1"].concat(),
        _ => [key, b" = ", &b"[".repeat(levels)].concat(),
    }
}
