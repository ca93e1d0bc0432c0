//! What of a server's line may be kept: its status always, its text only while no octet of the client was overwritten, for
//! servers repeat what they were told.

use super::is_plain;
use crate::mail::Protocol;
use std::ops::Range;

/// What a line of the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// The last line of a reply.
    Last {
        /// What was asked is done.
        is_good: bool,
        /// A list ended by a dot follows, as the code says.
        has_list: bool,
    },
    /// More lines of it, or what nobody asked for.
    More,
    /// The client is to go on.
    Continue,
    /// Of no form that is known.
    Nonsense,
}

/// A line of the server.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: Status,
    /// The tag of the command that it answers.
    pub(super) tag: Range<usize>,
    /// Octets at its beginning that are kept whatever was said before.
    pub(super) kept: usize,
    /// Where its text begins; a challenge of an exchange is none.
    pub(super) text: Option<usize>,
}

/// Response codes that say why (RFC 5530, RFC 2449 §8, RFC 3206): fixed words only, for a server may put anything there.
const CODES: [&str; 12] = [
    "[ALERT]",
    "[AUTHENTICATIONFAILED]",
    "[AUTHORIZATIONFAILED]",
    "[EXPIRED]",
    "[PRIVACYREQUIRED]",
    "[CONTACTADMIN]",
    "[UNAVAILABLE]",
    "[AUTH]",
    "[IN-USE]",
    "[LOGIN-DELAY]",
    "[SYS/TEMP]",
    "[SYS/PERM]",
];

/// Reads a line, without its CR LF. `verb`: of the command that is answered, if any is.
pub(super) fn read(protocol: Protocol, verb: Option<&str>, line: &[u8]) -> Reply {
    let mut reply = match protocol {
        Protocol::Smtp | Protocol::Lmtp | Protocol::Nntp => numbered(protocol, verb, line),
        Protocol::Pop3 => pop3(verb, line),
        Protocol::Imap => imap(line),
        Protocol::ManageSieve => sieve(line),
        Protocol::Acap => nonsense(),
    };
    // The space behind the status is no part of what follows it.
    if reply.kept > 0 && line.get(reply.kept) == Some(&b' ') {
        reply.kept += 1;
    }
    reply
}

fn nonsense() -> Reply {
    Reply { status: Status::Nonsense, tag: 0..0, kept: 0, text: None }
}

/// Whether the line begins with a word, in any case, and nothing follows it in the same word.
fn begins(line: &[u8], word: &str) -> bool {
    line.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word.as_bytes()))
        && line.get(word.len()).is_none_or(|&next| next == b' ')
}

/// Where the status word at `at` ends, and a response code of the list behind it.
fn end_of(line: &[u8], at: usize, word: &str) -> usize {
    let end = at + word.len();
    let code = CODES.iter().find(|code| line.get(end + 1..).is_some_and(|rest| begins(rest, code)));
    code.map_or(end, |code| end + 1 + code.len())
}

/// Octets of ` 633 octets`, as RFC 1939 §5 has it behind `+OK`: programs that read POP3 complain where it is overwritten.
fn size_of_message(text: &[u8]) -> usize {
    const UNIT: &[u8] = b" octets";
    let digits = text.iter().skip(1).take_while(|octet| octet.is_ascii_digit()).count();
    let is_size = text.first() == Some(&b' ') && (1..=10).contains(&digits) && text[1 + digits..].starts_with(UNIT);
    if is_size { 1 + digits + UNIT.len() } else { 0 }
}

fn pop3(verb: Option<&str>, line: &[u8]) -> Reply {
    for (word, is_good) in [("+OK", true), ("-ERR", false)] {
        if begins(line, word) {
            let status = Status::Last { is_good, has_list: false };
            let size = if verb == Some("RETR") { size_of_message(&line[word.len()..]) } else { 0 };
            let kept = end_of(line, 0, word).max(word.len() + size);
            return Reply { status, tag: 0..0, kept, text: Some(word.len()) };
        }
    }
    if line.first() == Some(&b'+') && line.get(1).is_none_or(|&next| next == b' ') {
        return Reply { status: Status::Continue, tag: 0..0, kept: 1, text: None };
    }
    nonsense()
}

/// Codes of NNTP behind which a list follows (RFC 3977 §3.2, RFC 2980); 211 only after LISTGROUP, which is not read here.
const LISTS: [&[u8]; 11] = [b"100", b"101", b"215", b"220", b"221", b"222", b"224", b"225", b"230", b"231", b"282"];

fn numbered(protocol: Protocol, verb: Option<&str>, line: &[u8]) -> Reply {
    let Some(code) = line.get(..3).filter(|code| code.iter().all(u8::is_ascii_digit)) else { return nonsense() };
    if !(b'1'..=b'5').contains(&code[0]) {
        return nonsense();
    }
    let is_nntp = protocol == Protocol::Nntp;
    let status = match line.get(3) {
        Some(b'-') if !is_nntp => Status::More,
        // 381 answers AUTHINFO USER, and a command of its own follows.
        None | Some(b' ') if code[0] == b'3' && code != b"381" => Status::Continue,
        None | Some(b' ') => {
            // An article has STAT's reply as well, which is 223.
            let has_list = is_nntp && LISTS.contains(&code);
            Status::Last { is_good: matches!(code[0], b'1' | b'2') || code == b"382", has_list }
        }
        Some(_) => return nonsense(),
    };
    let mut kept = line.len().min(4);
    let enhanced = line.get(4..).and_then(|rest| rest.split(|&octet| octet == b' ').next()).unwrap_or_default();
    if !is_nntp && is_enhanced(enhanced) {
        kept += enhanced.len();
    }
    let text = (status != Status::Continue && verb != Some("AUTH")).then_some(kept);
    Reply { status, tag: 0..0, kept, text }
}

/// RFC 3463 §2: class, subject and detail.
fn is_enhanced(word: &[u8]) -> bool {
    let mut parts = word.split(|&octet| octet == b'.');
    let mut next = |most: usize| {
        parts.next().is_some_and(|part| (1..=most).contains(&part.len()) && part.iter().all(u8::is_ascii_digit))
    };
    next(1) && next(3) && next(3) && parts.next().is_none()
}

fn imap(line: &[u8]) -> Reply {
    if line.first() == Some(&b'+') {
        return Reply { status: Status::Continue, tag: 0..0, kept: 1, text: None };
    }
    if line.starts_with(b"* ") {
        let word = ["OK", "NO", "BAD", "BYE", "PREAUTH"].into_iter().find(|word| begins(&line[2..], word));
        let kept = word.map_or(2, |word| end_of(line, 2, word));
        let is_list = begins(&line[2..], "CAPABILITY");
        return Reply { status: Status::More, tag: 0..0, kept, text: (word.is_some() || is_list).then_some(2) };
    }
    let end = line.iter().position(|&octet| octet == b' ').unwrap_or(line.len());
    for (word, is_good) in [("OK", true), ("NO", false), ("BAD", false)] {
        if end > 0 && line.get(end + 1..).is_some_and(|rest| begins(rest, word)) && is_plain(&line[..end], b".-_") {
            let kept = end_of(line, end + 1, word);
            let status = Status::Last { is_good, has_list: false };
            return Reply { status, tag: 0..end, kept, text: Some(end + 1 + word.len()) };
        }
    }
    nonsense()
}

fn sieve(line: &[u8]) -> Reply {
    for (word, is_good) in [("OK", true), ("NO", false), ("BYE", false)] {
        if begins(line, word) {
            let status = Status::Last { is_good, has_list: false };
            return Reply { status, tag: 0..0, kept: word.len(), text: Some(word.len()) };
        }
    }
    match line.first() {
        Some(b'"') => Reply { status: Status::More, tag: 0..0, kept: 0, text: Some(0) },
        Some(b'{') => Reply { status: Status::Continue, tag: 0..0, kept: 0, text: None },
        _ => nonsense(),
    }
}

/// Octets of the literal that a line announces at its end: `{12}` or `{12+}`.
pub(super) fn literal(line: &[u8]) -> Option<u64> {
    let inside = line.strip_suffix(b"}")?;
    let inside = inside.strip_suffix(b"+").unwrap_or(inside);
    let at = inside.iter().rposition(|&octet| octet == b'{')?;
    std::str::from_utf8(&inside[at + 1..]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(protocol: Protocol, verb: Option<&str>, line: &str) -> String {
        let reply = read(protocol, verb, line.as_bytes());
        format!("{}{} {:?}", &line[..reply.kept], "X".repeat(line.len() - reply.kept), reply.status)
    }

    #[test]
    fn the_status_stays() {
        let last = |is_good| format!("{:?}", Status::Last { is_good, has_list: false });
        for (protocol, line, expected, status) in [
            (Protocol::Pop3, "+OK hello", "+OK XXXXX", last(true)),
            (Protocol::Pop3, "-ERR [AUTH] no hunter2", "-ERR [AUTH] XXXXXXXXXX", last(false)),
            (Protocol::Pop3, "+OKhunter2", "XXXXXXXXXX", "Nonsense".into()),
            (Protocol::Pop3, "+ PDEyMz4=", "+ XXXXXXXX", "Continue".into()),
            (Protocol::Smtp, "535 5.7.8 no hunter2", "535 5.7.8 XXXXXXXXXX", last(false)),
            (Protocol::Smtp, "535 5.7.hunter2", "535 XXXXXXXXXXX", last(false)),
            (Protocol::Smtp, "334 VXNlcm5hbWU6", "334 XXXXXXXXXXXX", "Continue".into()),
            (Protocol::Smtp, "250-AUTH PLAIN", "250-XXXXXXXXXX", "More".into()),
            (Protocol::Smtp, "250hunter2", "XXXXXXXXXX", "Nonsense".into()),
            (Protocol::Nntp, "381 go on", "381 XXXXX", last(false)),
            (Protocol::Imap, "a1 NO [AUTHENTICATIONFAILED] x", "a1 NO [AUTHENTICATIONFAILED] X", last(false)),
            (Protocol::Imap, "a1 NO [HUNTER2] x", "a1 NO XXXXXXXXXXX", last(false)),
            (Protocol::Imap, "* 3 EXISTS", "* XXXXXXXX", "More".into()),
            (Protocol::Imap, "* BYE x", "* BYE X", "More".into()),
            (Protocol::ManageSieve, "OK \"x\"", "OK XXX", last(true)),
            (Protocol::ManageSieve, "\"SASL\" \"PLAIN\"", "XXXXXXXXXXXXXX", "More".into()),
        ] {
            assert_eq!(kept(protocol, None, line), format!("{expected} {status}"), "{line}");
        }
    }

    #[test]
    fn of_a_message_the_size_stays_and_of_nothing_else_a_number() {
        for (verb, line, expected) in [
            ("RETR", "+OK 633 octets hunter2", "+OK 633 octets XXXXXXX"),
            ("RETR", "+OK 633", "+OK XXX"),
            ("RETR", "+OK 12345678901 octets", "+OK XXXXXXXXXXXXXXXXXX"),
            ("PASS", "+OK 633 octets", "+OK XXXXXXXXXX"),
        ] {
            assert!(kept(Protocol::Pop3, Some(verb), line).starts_with(expected), "{line}");
        }
    }

    #[test]
    fn a_literal_is_announced_at_the_end() {
        for (line, octets) in [("x {12}", Some(12)), ("{0+}", Some(0)), ("{a}", None), ("{3} ", None), ("3}", None)] {
            assert_eq!(literal(line.as_bytes()), octets, "{line}");
        }
    }
}
