//! Clients: by IMAP ID, by their name in EHLO, by the form of their tags and the way they type their first commands.
//!
//! Signs marked "seen" were taken from that software as it ran, or from a published capture of it.

use self::ClientSign::{Begins, Id, Name, Tag};
use super::{Known, Software, holds, known, starts_with_words};
use crate::mail::Protocol;

/// What a client told of itself on one connection.
#[derive(Clone, Copy, Debug)]
pub struct ClientSigns<'a> {
    /// What it speaks.
    pub protocol: Protocol,
    /// The argument of EHLO, HELO or LHLO.
    pub name: Option<&'a str>,
    /// Name and version from its IMAP ID.
    pub id: Option<&'a str>,
    /// The tag of its first IMAP command.
    pub tag: Option<&'a str>,
    /// Its first commands as it typed them, with one space between them: `ehlo AUTH`, `CAPA AUTH STAT`.
    pub verbs: &'a str,
}

/// What tells a client.
pub enum ClientSign {
    /// What its ID holds, in lower case.
    Id(&'static str),
    /// Its name in EHLO, whatever the host's.
    Name(&'static str),
    /// The form of its first IMAP tag, and how its commands begin.
    Tag(fn(&str) -> bool, &'static str),
    /// How its commands begin.
    Begins(Protocol, &'static str),
}

/// All clients that are known. What calls itself by a name is that; habits come after.
///
/// Where the list of signs is empty, there are settings to tell and no sign that others do not share: getmail types
/// as Python's library does, mpop as Mutt does, mbsync as many do that count from 1.
pub static CLIENTS: [Known<ClientSign>; 24] = [
    known(
        "Apple Mail",
        &[Id("mac os x mail"), Id("iphone mail"), Id("ipad mail"), Name("smtpclient.apple"), Tag(is_apple, "")],
    ),
    // Seen, 153 and a capture of 2012: Mozilla alone types in lower case after a tag that is a number.
    known("Thunderbird", &[Id("thunderbird"), Tag(is_number, "capability"), Begins(Protocol::Pop3, "AUTH CAPA")]),
    // The names it gives itself, by those who saw them in their logs.
    known("Outlook", &[Id("microsoft outlook"), Id("microsoft office 365")]),
    known("Outlook Express", &[Id("outlook express")]),
    known("Netscape Messenger", &[Id("netscape")]),
    known("Eudora", &[Id("eudora")]),
    known("K-9 Mail", &[Id("k-9")]),
    known("Roundcube", &[Id("roundcube")]),
    // Seen, 2.26.
    known("Alpine", &[Id("alpine")]),
    // Seen with Alpine 2.26: the toolkit counts in eight hexadecimal digits, also under PHP.
    known("c-client", &[Tag(|tag| tag == "00000000", "")]),
    // Seen, 8.0.0.
    known("OfflineIMAP", &[Id("offlineimap")]),
    // Seen in captures: a letter for the connection and five digits.
    known("Evolution", &[Id("evolution"), Tag(|tag| is_letter_and(tag, "00000"), "CAPABILITY")]),
    // The same with eight, from its source.
    known("MailKit", &[Tag(|tag| is_letter_and(tag, "00000000"), "")]),
    // From its source.
    known("Ruby", &[Tag(|tag| tag == "RUBY0001", "")]),
    // Seen, 2.2.12 and NeoMutt 20220429: as before, in lower case and with four.
    known("Mutt", &[Tag(|tag| is_small_letter_and(tag, "0000"), "CAPABILITY")]),
    // Seen, 7.88: people who follow the RFC's examples do not begin with CAPABILITY, and type in lower case.
    known(
        "curl",
        &[
            Tag(|tag| is_letter_and(tag, "001"), "CAPABILITY AUTHENTICATE"),
            Tag(|tag| is_letter_and(tag, "001"), "CAPABILITY LOGIN"),
            Tag(|tag| is_letter_and(tag, "001"), "CAPABILITY STARTTLS"),
        ],
    ),
    // Seen, 6.4.37: others count from A0001 too, but do not expunge first; and nobody else asks for LAST any more.
    known(
        "fetchmail",
        &[
            Tag(|tag| tag == "A0001", "CAPABILITY LOGIN SELECT EXPUNGE"),
            Begins(Protocol::Pop3, "CAPA USER PASS STAT LAST"),
        ],
    ),
    // Seen, 3.11: imaplib makes up four letters from A to P; smtplib types EHLO in lower case and AUTH in upper.
    known(
        "Python",
        &[Tag(is_imaplib, ""), Begins(Protocol::Smtp, "ehlo AUTH"), Begins(Protocol::Smtp, "ehlo STARTTLS")],
    ),
    known("getmail", &[]),
    known("mbsync", &[]),
    known("mpop", &[]),
    known("msmtp", &[]),
    known("swaks", &[]),
    known("s-nail", &[]),
];

/// The software of a client, by what it calls itself before what it does.
#[must_use]
pub fn client(signs: ClientSigns<'_>) -> Option<&'static Software> {
    let by_name = signs.id.and_then(|id| {
        let is_named = |sign: &ClientSign| matches!(sign, Id(name) if holds(id, name));
        CLIENTS.iter().find(|known| known.signs.iter().any(is_named))
    });
    let known = by_name.or_else(|| CLIENTS.iter().find(|known| known.signs.iter().any(|sign| shows(sign, signs))));
    known.map(|known| &known.software)
}

/// Whether it behaves as the sign says.
fn shows(sign: &ClientSign, signs: ClientSigns<'_>) -> bool {
    let begins = |verbs: &str| verbs.is_empty() || starts_with_words(signs.verbs, verbs);
    match sign {
        Id(_) => false,
        Name(name) => signs.name.is_some_and(|seen| seen.eq_ignore_ascii_case(name)),
        Tag(fits, verbs) => signs.tag.is_some_and(fits) && begins(verbs),
        Begins(protocol, verbs) => signs.protocol == *protocol && begins(verbs),
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())
}

/// `1`, `99`.
fn is_number(tag: &str) -> bool {
    is_digits(tag)
}

/// `1.3`: connection and command.
fn is_apple(tag: &str) -> bool {
    tag.split_once('.').is_some_and(|(connection, command)| is_digits(connection) && is_digits(command))
}

/// `A001`, `B00000`.
fn is_letter_and(tag: &str, digits: &str) -> bool {
    tag.strip_prefix(|c: char| c.is_ascii_uppercase()) == Some(digits)
}

/// `a0000`.
fn is_small_letter_and(tag: &str, digits: &str) -> bool {
    tag.strip_prefix(|c: char| c.is_ascii_lowercase()) == Some(digits)
}

/// `DPIE0`, and `NBHI1` of its offspring.
fn is_imaplib(tag: &str) -> bool {
    let Some((letters, number)) = tag.split_at_checked(4) else { return false };
    letters.bytes().all(|octet| (b'A'..=b'P').contains(&octet)) && matches!(number, "0" | "1")
}
