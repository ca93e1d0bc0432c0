//! What of a client's line may be kept: the verb of a known command and arguments that no secret stands in. Everything
//! else of it is overwritten; a line that is no known command, wholly.

use super::is_plain;
use crate::mail::{Protocol, is_listed_mechanism};

/// What stands after a verb.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Argument {
    /// Nothing of it is kept.
    Any,
    /// The name of a host.
    Host,
    /// The name of an account.
    Account,
    /// A mechanism of SASL, and then perhaps a response.
    Mechanism,
    /// One of these words, in any case; nothing of what follows it.
    Words(&'static [&'static str]),
}

/// What a command does to what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing.
    None,
    /// Its reply is a list where it is good news, ended by a dot.
    List,
    /// The same where the command has no argument.
    ListIfBare,
    /// Until its last reply the client's octets are a secret, or content.
    Shut,
    /// TLS follows a good reply.
    Tls,
}

type Verb = (&'static str, Argument, Effect);

const SMTP: &[Verb] = &[
    ("AUTH", Argument::Mechanism, Effect::Shut),
    ("BDAT", Argument::Any, Effect::Shut),
    ("DATA", Argument::Any, Effect::Shut),
    ("EHLO", Argument::Host, Effect::None),
    ("ETRN", Argument::Any, Effect::None),
    ("EXPN", Argument::Any, Effect::None),
    ("HELO", Argument::Host, Effect::None),
    ("HELP", Argument::Any, Effect::None),
    ("LHLO", Argument::Host, Effect::None),
    ("MAIL", Argument::Words(&["FROM:"]), Effect::None),
    ("NOOP", Argument::Any, Effect::None),
    ("QUIT", Argument::Any, Effect::None),
    ("RCPT", Argument::Words(&["TO:"]), Effect::None),
    ("RSET", Argument::Any, Effect::None),
    ("STARTTLS", Argument::Any, Effect::Tls),
    ("VRFY", Argument::Any, Effect::None),
];

const POP3: &[Verb] = &[
    ("APOP", Argument::Any, Effect::Shut),
    ("AUTH", Argument::Mechanism, Effect::Shut),
    ("CAPA", Argument::Any, Effect::List),
    ("DELE", Argument::Any, Effect::None),
    ("LAST", Argument::Any, Effect::None),
    ("LIST", Argument::Any, Effect::ListIfBare),
    ("NOOP", Argument::Any, Effect::None),
    ("PASS", Argument::Any, Effect::Shut),
    ("QUIT", Argument::Any, Effect::None),
    ("RETR", Argument::Any, Effect::List),
    ("RSET", Argument::Any, Effect::None),
    ("STAT", Argument::Any, Effect::None),
    ("STLS", Argument::Any, Effect::Tls),
    ("TOP", Argument::Any, Effect::List),
    ("UIDL", Argument::Any, Effect::ListIfBare),
    ("USER", Argument::Account, Effect::None),
    ("UTF8", Argument::Any, Effect::None),
];

const IMAP: &[Verb] = &[
    ("APPEND", Argument::Any, Effect::Shut),
    ("AUTHENTICATE", Argument::Mechanism, Effect::Shut),
    ("CAPABILITY", Argument::Any, Effect::None),
    ("CHECK", Argument::Any, Effect::None),
    ("CLOSE", Argument::Any, Effect::None),
    ("COPY", Argument::Any, Effect::None),
    ("CREATE", Argument::Any, Effect::None),
    ("DELETE", Argument::Any, Effect::None),
    ("ENABLE", Argument::Any, Effect::None),
    ("EXAMINE", Argument::Any, Effect::None),
    ("EXPUNGE", Argument::Any, Effect::None),
    ("FETCH", Argument::Any, Effect::None),
    ("ID", Argument::Any, Effect::None),
    ("IDLE", Argument::Any, Effect::Shut),
    ("LIST", Argument::Any, Effect::None),
    ("LOGIN", Argument::Any, Effect::Shut),
    ("LOGOUT", Argument::Any, Effect::None),
    ("LSUB", Argument::Any, Effect::None),
    ("MOVE", Argument::Any, Effect::None),
    ("NAMESPACE", Argument::Any, Effect::None),
    ("NOOP", Argument::Any, Effect::None),
    ("RENAME", Argument::Any, Effect::None),
    ("SEARCH", Argument::Any, Effect::None),
    ("SELECT", Argument::Any, Effect::None),
    ("STARTTLS", Argument::Any, Effect::Tls),
    ("STATUS", Argument::Any, Effect::None),
    ("STORE", Argument::Any, Effect::None),
    ("SUBSCRIBE", Argument::Any, Effect::None),
    ("UID", Argument::Any, Effect::None),
    ("UNSELECT", Argument::Any, Effect::None),
    ("UNSUBSCRIBE", Argument::Any, Effect::None),
];

const NNTP: &[Verb] = &[
    ("ARTICLE", Argument::Any, Effect::None),
    ("AUTHINFO", Argument::Words(&["USER", "PASS", "SASL", "SIMPLE", "GENERIC"]), Effect::Shut),
    ("BODY", Argument::Any, Effect::None),
    ("CAPABILITIES", Argument::Any, Effect::None),
    ("DATE", Argument::Any, Effect::None),
    ("GROUP", Argument::Any, Effect::None),
    ("HEAD", Argument::Any, Effect::None),
    ("HELP", Argument::Any, Effect::None),
    ("LIST", Argument::Any, Effect::None),
    ("MODE", Argument::Words(&["READER"]), Effect::None),
    ("OVER", Argument::Any, Effect::None),
    ("POST", Argument::Any, Effect::Shut),
    ("QUIT", Argument::Any, Effect::None),
    ("STARTTLS", Argument::Any, Effect::Tls),
    ("STAT", Argument::Any, Effect::None),
    ("XOVER", Argument::Any, Effect::None),
];

const SIEVE: &[Verb] = &[
    ("AUTHENTICATE", Argument::Mechanism, Effect::Shut),
    ("CAPABILITY", Argument::Any, Effect::None),
    ("LOGOUT", Argument::Any, Effect::None),
    ("NOOP", Argument::Any, Effect::Shut),
    ("STARTTLS", Argument::Any, Effect::Tls),
];

/// The commands of a protocol; none where it is not read here.
fn verbs(protocol: Protocol) -> &'static [Verb] {
    match protocol {
        Protocol::Smtp | Protocol::Lmtp => SMTP,
        Protocol::Pop3 => POP3,
        Protocol::Imap => IMAP,
        Protocol::Nntp => NNTP,
        Protocol::ManageSieve => SIEVE,
        Protocol::Acap => &[],
    }
}

/// A line of the client that is a known command.
pub(super) struct Command {
    /// The verb, as the tables have it.
    pub(super) verb: &'static str,
    /// What it does.
    pub(super) effect: Effect,
    /// Its tag, where the protocol has tags.
    pub(super) tag: Vec<u8>,
    /// Octets at the beginning of the line that may be kept.
    pub(super) kept: usize,
}

/// Octets of a tag: clients count, with a letter or two before it.
const TAG_OCTETS: usize = 16;

/// Octets of a name that is kept: RFC 1035 §2.3.4 for hosts, RFC 5321 §4.5.3.1.1 for accounts.
const HOST_OCTETS: usize = 255;
const ACCOUNT_OCTETS: usize = 64;

/// Reads a line, without its CR LF. `None`: nothing of it may be kept, and nobody knows what follows it.
pub(super) fn read(protocol: Protocol, line: &[u8]) -> Option<Command> {
    let (mut tag, mut begin) = (Vec::new(), 0);
    if protocol == Protocol::Imap {
        let end = line.iter().position(|&octet| octet == b' ')?;
        let is_tag = (1..=TAG_OCTETS).contains(&end) && is_plain(&line[..end], b".-_");
        if !is_tag {
            return None;
        }
        (tag, begin) = (line[..end].to_vec(), end + 1);
    }
    let rest = line.get(begin..)?;
    let end = rest.iter().position(|&octet| octet == b' ').unwrap_or(rest.len());
    let known = verbs(protocol).iter().find(|(verb, ..)| verb.as_bytes().eq_ignore_ascii_case(&rest[..end]));
    let &(verb, argument, mut effect) = known?;
    let mut kept = begin + end;
    let argument_at = begin + end + 1;
    let words = line.get(argument_at..).unwrap_or_default();
    if let Some(len) = kept_of(argument, words).filter(|len| *len > 0) {
        kept = argument_at + len;
    }
    // The space behind it is part of no argument.
    kept += usize::from(line.get(kept) == Some(&b' '));
    let is_bare = words.iter().all(|&octet| octet == b' ');
    effect = match effect {
        Effect::ListIfBare if is_bare => Effect::List,
        Effect::ListIfBare => Effect::None,
        // It asks which mechanisms there are.
        Effect::Shut if protocol == Protocol::Pop3 && verb == "AUTH" && is_bare => Effect::List,
        other => other,
    };
    // A literal follows, whatever the command is.
    if line.ends_with(b"}") && matches!(protocol, Protocol::Imap | Protocol::ManageSieve) {
        effect = Effect::Shut;
    }
    Some(Command { verb, effect, tag, kept })
}

/// How much of the beginning of the arguments may be kept.
fn kept_of(argument: Argument, words: &[u8]) -> Option<usize> {
    match argument {
        Argument::Any => None,
        Argument::Host => Some(words.len()).filter(|len| *len <= HOST_OCTETS && is_plain(words, b".-_:[]")),
        Argument::Account => Some(words.len()).filter(|len| *len <= ACCOUNT_OCTETS && is_plain(words, b".-_@+")),
        Argument::Words(known) => {
            let is_there = |word: &&str| {
                let begin = words.get(..word.len());
                let is_whole = word.ends_with(':') || words.get(word.len()).is_none_or(|&next| next == b' ');
                is_whole && begin.is_some_and(|begin| begin.eq_ignore_ascii_case(word.as_bytes()))
            };
            known.iter().copied().find(is_there).map(str::len)
        }
        Argument::Mechanism => {
            let is_quoted = words.first() == Some(&b'"');
            let name = &words[usize::from(is_quoted)..];
            let end = name.iter().position(|&octet| matches!(octet, b' ' | b'"')).unwrap_or(name.len());
            is_listed_mechanism(&name[..end]).then_some(end + usize::from(is_quoted))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(protocol: Protocol, line: &str) -> Option<String> {
        let Command { kept, effect, .. } = read(protocol, line.as_bytes())?;
        Some(format!("{}{} {effect:?}", &line[..kept], "X".repeat(line.len() - kept)))
    }

    #[test]
    fn verbs_stay_and_what_may_be_secret_goes() {
        for (protocol, line, expected) in [
            (Protocol::Smtp, "ehlo client.example", Some("ehlo client.example None")),
            (Protocol::Smtp, "EHLO a b", Some("EHLO XXX None")),
            (Protocol::Smtp, "MAIL FROM:<a@b> SIZE=3", Some("MAIL FROM:XXXXXXXXXXXX None")),
            (Protocol::Smtp, "AUTH PLAIN AGEAYg==", Some("AUTH PLAIN XXXXXXXX Shut")),
            (Protocol::Smtp, "AUTH scram-sha-256 bg", Some("AUTH scram-sha-256 XX Shut")),
            (Protocol::Smtp, "AUTH SCRAM-hunter2", Some("AUTH XXXXXXXXXXXXX Shut")),
            (Protocol::Smtp, "AUTH hunter2", Some("AUTH XXXXXXX Shut")),
            (Protocol::Smtp, "hunter2", None),
            (Protocol::Smtp, "AUTHhunter2", None),
            (Protocol::Pop3, "USER amy@example.org", Some("USER amy@example.org None")),
            (Protocol::Pop3, "USER amy hunter2", Some("USER XXXXXXXXXXX None")),
            (Protocol::Pop3, "PASS hunter2", Some("PASS XXXXXXX Shut")),
            (Protocol::Pop3, "LIST", Some("LIST List")),
            (Protocol::Pop3, "LIST 3", Some("LIST X None")),
            (Protocol::Imap, "a1 LOGIN amy hunter2", Some("a1 LOGIN XXXXXXXXXXX Shut")),
            (Protocol::Imap, "a1 SELECT {5+}", Some("a1 SELECT XXXX Shut")),
            (Protocol::Imap, "hunter2 secret", None),
            (Protocol::Imap, "a1 AUTHENTICATE PLAIN", Some("a1 AUTHENTICATE PLAIN Shut")),
            (Protocol::Nntp, "AUTHINFO PASS hunter2", Some("AUTHINFO PASS XXXXXXX Shut")),
            (Protocol::Nntp, "AUTHINFO PASShunter2", Some("AUTHINFO XXXXXXXXXXX Shut")),
            (
                Protocol::ManageSieve,
                "AUTHENTICATE \"PLAIN\" \"AGEAYg==\"",
                Some("AUTHENTICATE \"PLAINXXXXXXXXXXXX Shut"),
            ),
            (Protocol::Acap, "a1 NOOP", None),
        ] {
            assert_eq!(kept(protocol, line).as_deref(), expected, "{line}");
        }
    }
}
