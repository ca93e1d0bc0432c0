//! What a server offers, from its capability list in whichever protocol: STARTTLS, ways to log in, and words that
//! something on the path has blanked out.

use super::mechanisms;
use super::observe::CapabilitySource;
use super::text::Text;
use super::verbs;
use crate::limits::TEXT_CHARS;

/// Octets of most lists.
const USUAL_OCTETS: usize = 96;

/// A complete capability list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Where it stood.
    pub source: CapabilitySource,
    /// Server stream offset after it.
    pub end: u64,
    /// STARTTLS or STLS is in it.
    pub has_starttls: bool,
    /// STARTTLS stands in the first line of an EHLO reply, which is the server's name and no offer (RFC 5321 §4.1.1.1).
    pub is_in_first_line: bool,
    /// A word is blanked out as devices on the path do it, and STARTTLS is missing.
    pub has_filler: bool,
    /// Ways to log in.
    pub logins: LoginOffer,
    /// The words, made safe.
    pub words: Text,
}

/// Ways to log in that a list offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoginOffer {
    /// The protocol's own command: USER and PASS, IMAP LOGIN, AUTHINFO USER.
    pub command: bool,
    /// A SASL mechanism that sends the password itself.
    pub password: bool,
    /// One that does not.
    pub challenge: bool,
    /// Any SASL mechanism.
    pub any: bool,
    /// The list says of the protocol's command that it is not to be used, by a word or by leaving it out.
    pub forbids_command: bool,
}

/// A list as it comes in: hardly ever is one on its way, so it takes memory from its first word on.
#[derive(Default)]
pub(super) struct Builder(Option<Box<List>>);

#[derive(Default)]
struct List {
    has_starttls: bool,
    is_in_first_line: bool,
    has_filler: bool,
    logins: LoginOffer,
    words: Vec<u8>,
    implementation: Option<Text>,
}

impl Builder {
    /// A keyword with its parameters.
    pub(super) fn add(&mut self, keyword: &[u8], parameters: &[u8]) {
        self.0.get_or_insert_default().add(keyword, parameters);
    }

    /// A line `keyword SP parameters`, or the old `AUTH=mechanisms`.
    pub(super) fn add_line(&mut self, line: &[u8]) {
        let line = line.trim_ascii();
        let at = line.iter().position(|&c| c == b' ' || c == b'=').unwrap_or(line.len());
        self.add(&line[..at], line.get(at + 1..).unwrap_or_default());
    }

    /// IMAP's one line of words.
    pub(super) fn add_words(&mut self, list: &[u8]) {
        list.split(|&c| c == b' ').filter(|word| !word.is_empty()).for_each(|word| self.add_line(word));
    }

    /// The first line of an EHLO reply.
    pub(super) fn first_line(&mut self, text: &[u8]) {
        if text.trim_ascii().eq_ignore_ascii_case(b"STARTTLS") {
            self.0.get_or_insert_default().is_in_first_line = true;
        }
    }

    /// What the server calls itself.
    pub(super) fn implementation(&self) -> Option<&Text> {
        self.0.as_ref()?.implementation.as_ref()
    }

    /// The list of a protocol where the login command is allowed unless it is forbidden (IMAP).
    pub(super) fn allowing(self, source: CapabilitySource, end: u64) -> Box<Capabilities> {
        let mut list = self.finish(source, end);
        list.logins.command = !list.logins.forbids_command;
        list
    }

    /// The list of a protocol where the login command is allowed when it is listed (POP3, NNTP).
    pub(super) fn listing(self, source: CapabilitySource, end: u64) -> Box<Capabilities> {
        let mut list = self.finish(source, end);
        list.logins.forbids_command = !list.logins.command;
        list
    }

    /// The whole list.
    pub(super) fn finish(self, source: CapabilitySource, end: u64) -> Box<Capabilities> {
        let List { has_starttls, is_in_first_line, has_filler, logins, words, .. } = *self.0.unwrap_or_default();
        let has_filler = has_filler && !has_starttls;
        Box::new(Capabilities {
            source,
            end,
            has_starttls,
            is_in_first_line,
            has_filler,
            logins,
            words: Text::new(&words),
        })
    }

    /// Octets of memory besides its own.
    pub(super) fn octets(&self) -> usize {
        let of = |list: &List| {
            size_of::<List>() + list.words.capacity() + list.implementation.as_ref().map_or(0, Text::octets)
        };
        self.0.as_deref().map_or(0, of)
    }
}

impl List {
    fn add(&mut self, keyword: &[u8], parameters: &[u8]) {
        self.note(keyword, parameters);
        let keyword = verbs::upper(keyword);
        match &*keyword {
            // X-ANONYMOUSTLS is Exchange's second verb for the same.
            b"STARTTLS" | b"STLS" | b"X-ANONYMOUSTLS" => self.has_starttls = true,
            b"AUTH" | b"SASL" | b"X-EXPS" => parameters.split(|&c| c == b' ').for_each(|name| self.mechanism(name)),
            b"USER" => self.logins.command = true,
            b"AUTHINFO" => {
                self.logins.command |= parameters.split(|&c| c == b' ').any(|kind| kind.eq_ignore_ascii_case(b"USER"));
            }
            b"LOGINDISABLED" => self.logins.forbids_command = true,
            b"IMPLEMENTATION" => self.implementation = Some(Text::new(parameters)),
            word => self.has_filler |= is_filler(word),
        }
    }

    fn mechanism(&mut self, name: &[u8]) {
        if name.is_empty() {
            return;
        }
        self.logins.any = true;
        match mechanisms::class_of(name) {
            Some(mechanisms::Disclosure::Password) => self.logins.password = true,
            Some(mechanisms::Disclosure::Challenge) => self.logins.challenge = true,
            Some(mechanisms::Disclosure::Other) | None => {}
        }
    }

    fn note(&mut self, keyword: &[u8], parameters: &[u8]) {
        if self.words.len() > TEXT_CHARS {
            return;
        }
        match self.words.is_empty() {
            true => self.words.reserve(USUAL_OCTETS),
            false => self.words.push(b' '),
        }
        self.words.extend_from_slice(keyword);
        if !parameters.is_empty() {
            self.words.push(b'=');
            self.words.extend(parameters.iter().take(TEXT_CHARS).map(|&c| if c == b' ' { b',' } else { c }));
        }
    }
}

/// A keyword that stands where another was: rows of one letter. PIX and ASA firewalls write `XXXXXXXA` for STARTTLS,
/// others keep the length and most of it equal.
fn is_filler(word: &[u8]) -> bool {
    let all = |letter: u8| word.iter().all(|&c| c == letter);
    let (body, _) = word.split_at(word.len().saturating_sub(usize::from(word.last().is_some_and(|&c| c != b'X'))));
    let is_crossed_out = body.len() >= 6 && body.iter().all(|&c| c == b'X');
    is_crossed_out || word.len() >= 4 && (all(b'X') || all(b'*')) || word.len() == 8 && most(word) >= 6
}

/// How often the most frequent of the printable octets stands there.
fn most(word: &[u8]) -> usize {
    let count = |c: u8| word.iter().filter(|&&d| d == c).count();
    word.iter().filter(|c| c.is_ascii_graphic()).map(|&c| count(c)).max().unwrap_or(0)
}

/// A command that something on the path has blanked out: rows of X in place of its verb.
pub(super) fn is_masked_command(verb: &[u8]) -> bool {
    verb.len() >= 4 && verb.iter().all(|&c| c == b'X')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fillers_are_told_from_words() {
        for filler in [&b"XXXXXXXA"[..], b"XXXXXXXX", b"********", b"XXXXXX", b"XXXX", b"AAAAAAAB"] {
            assert!(is_filler(filler), "{}", String::from_utf8_lossy(filler));
        }
        for word in [&b"XCLIENT"[..], b"XXX", b"PIPELINING", b"8BITMIME", b"X-EXPS", b"XFORWARD", b"", b"SMTPUTF8"] {
            assert!(!is_filler(word), "{}", String::from_utf8_lossy(word));
        }
    }

    #[test]
    fn logins_of_each_protocol() {
        let mut smtp = Builder::default();
        for line in [&b"PIPELINING"[..], b"AUTH LOGIN CRAM-MD5 PLAIN", b"AUTH=LOGIN CRAM-MD5 PLAIN", b"STARTTLS"] {
            smtp.add_line(line);
        }
        let list = smtp.finish(CapabilitySource::Ehlo, 9);
        assert!(list.has_starttls && list.logins.any && list.logins.password && list.logins.challenge);
        assert_eq!(list.words.as_str(), "PIPELINING AUTH=LOGIN,CRAM-MD5,PLAIN AUTH=LOGIN,CRAM-MD5,PLAIN STARTTLS");
        let mut imap = Builder::default();
        imap.add_words(b"IMAP4rev1 LOGINDISABLED AUTH=PLAIN");
        let list = imap.allowing(CapabilitySource::Greeting, 9);
        assert!(list.logins.forbids_command && !list.logins.command && list.logins.password && !list.has_starttls);
        let mut pop = Builder::default();
        pop.add_line(b"USER");
        assert!(pop.listing(CapabilitySource::Capa, 9).logins.command);
    }
}
