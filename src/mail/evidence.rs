//! What speaks for each protocol in the first octets of a connection. A greeting alone is not enough where others greet
//! alike (`+OK`: Redis, NATS; `220`: FTP); without one it takes two independent signs.

use super::imap_text::{argument, is_tag};
use super::observe::Confidence;
use super::pop3::split_verb;
use super::smtp::parse_reply;
use super::{Protocol, mechanisms, nntp, other, sasl, verbs};

/// The first octets of both ends, and what is known besides.
pub(super) struct Evidence<'a> {
    pub(super) client: &'a [u8],
    pub(super) server: &'a [u8],
    /// Of [`client_lines`].
    pub(super) client_lines: Vec<&'a [u8]>,
    /// Of [`lines`].
    pub(super) server_lines: Vec<&'a [u8]>,
    /// The protocol usual on the server's port.
    pub(super) hint: Option<Protocol>,
    /// FTP is usual there.
    pub(super) is_ftp_port: bool,
    /// The server's first octets are the first it sent.
    pub(super) has_start: bool,
    /// The client's came before any of the server's.
    pub(super) spoke_first: bool,
}

impl Evidence<'_> {
    /// The protocol, if it shows. `is_final`: no more will come, or no more is waited for.
    pub(super) fn decide(&self, is_final: bool) -> Option<(Protocol, Confidence)> {
        if !is_final && self.client.is_empty() {
            // Only a greeting that no other protocol has says enough by itself.
            return self.greeting();
        }
        self.sieve(is_final)
            .or_else(|| self.acap(is_final))
            .or_else(|| self.imap(is_final))
            .or_else(|| self.nntp(is_final))
            .or_else(|| self.smtp(is_final))
            .or_else(|| self.pop3(is_final))
    }

    /// What a greeting alone shows.
    fn greeting(&self) -> Option<(Protocol, Confidence)> {
        self.sieve_greeting().or_else(|| self.acap_greeting()).or_else(|| self.imap_greeting())
    }

    /// Another protocol shows itself.
    pub(super) fn is_other(&self) -> bool {
        let is_wrong_greeting =
            self.has_start && !self.spoke_first && !self.server.is_empty() && !may_be_greeting(self.server);
        is_wrong_greeting || other::is_other(self.client, self.server)
    }

    /// Octets of the direction that has more of them.
    pub(super) fn octets(&self) -> usize {
        self.client.len().max(self.server.len())
    }

    fn client_lines(&self) -> impl Iterator<Item = &[u8]> {
        self.client_lines.iter().copied()
    }

    fn server_lines(&self) -> impl Iterator<Item = &[u8]> {
        self.server_lines.iter().copied()
    }

    /// RFC 2244 §6.1: `* ACAP` and the capabilities, or the same BYE as IMAP's, which only the port tells apart.
    fn acap(&self, is_final: bool) -> Option<(Protocol, Confidence)> {
        if let Some(known) = self.acap_greeting() {
            return Some(known);
        }
        let hinted = self.hint == Some(Protocol::Acap);
        let commands = self.client_lines().filter(|line| is_acap_command(line, hinted)).count();
        let replies = self.server_lines().filter(|line| self.is_acap_reply(line)).count();
        if self.has_server_text() && replies == 0 {
            return None;
        }
        self.weigh(Protocol::Acap, commands, replies, is_final)
    }

    fn acap_greeting(&self) -> Option<(Protocol, Confidence)> {
        let greets = |word: &[u8]| self.has_start && begins(self.server, word);
        match () {
            () if greets(b"* ACAP ") || greets(b"* ACAP\r") || greets(b"* ACAP\n") => {
                Some((Protocol::Acap, Confidence::Confirmed))
            }
            () if self.hint == Some(Protocol::Acap) && greets(b"* BYE ") => {
                Some((Protocol::Acap, Confidence::Probable))
            }
            () => None,
        }
    }

    /// Where IMAP has free text, ACAP has a code in parentheses or a string; a challenge is a string too.
    fn is_acap_reply(&self, line: &[u8]) -> bool {
        let (tag, rest) = split_verb(line);
        let (status, text) = split_verb(rest);
        let is_status = [&b"OK"[..], b"NO", b"BAD"].iter().any(|known| status.eq_ignore_ascii_case(known));
        match tag {
            b"+" => matches!(rest.first(), Some(b'"' | b'{')),
            b"*" => status.eq_ignore_ascii_case(b"ACAP"),
            _ if !is_status || !matches!(text.first(), Some(b'"' | b'(')) => false,
            _ => self.client_lines().any(|command| split_verb(command).0 == tag),
        }
    }

    fn imap_greeting(&self) -> Option<(Protocol, Confidence)> {
        const GREETINGS: [&[u8]; 5] = [b"* OK ", b"* PREAUTH ", b"* BYE ", b"* OK\r", b"* OK["];
        let greets = self.has_start && GREETINGS.iter().any(|greeting| begins(self.server, greeting));
        greets.then_some((Protocol::Imap, Confidence::Confirmed))
    }

    fn imap(&self, is_final: bool) -> Option<(Protocol, Confidence)> {
        if let Some(known) = self.imap_greeting() {
            return Some(known);
        }
        let commands = self.client_lines().filter(|line| is_imap_command(line)).count();
        let replies = self.server_lines().filter(|line| self.is_imap_reply(line)).count();
        if self.has_server_text() && replies == 0 {
            return None;
        }
        self.weigh(Protocol::Imap, commands, replies, is_final)
    }

    /// A reply with the tag of one of the client's commands, or an untagged one that no other protocol has.
    fn is_imap_reply(&self, line: &[u8]) -> bool {
        let (tag, rest) = split_verb(line);
        let (status, _) = split_verb(rest);
        if tag == b"*" {
            return is_imap_response(status);
        }
        let is_status = [&b"OK"[..], b"NO", b"BAD"].iter().any(|known| status.eq_ignore_ascii_case(known));
        is_status && self.client_lines().any(|command| split_verb(command).0 == tag)
    }

    /// RFC 5804 §1.8: the server begins with its capabilities, IMPLEMENTATION among them.
    fn sieve_greeting(&self) -> Option<(Protocol, Confidence)> {
        let greets = self.has_start && begins(self.server, b"\"IMPLEMENTATION\"");
        greets.then_some((Protocol::ManageSieve, Confidence::Confirmed))
    }

    fn sieve(&self, is_final: bool) -> Option<(Protocol, Confidence)> {
        if let Some(known) = self.sieve_greeting() {
            return Some(known);
        }
        let commands = self.client_lines().filter(|line| is_sieve_command(line)).count();
        let is_status = |line: &&[u8]| matches!(split_verb(line).0, b"OK" | b"NO" | b"BYE");
        let replies = self.server_lines().filter(is_status).count();
        if self.has_server_text() && replies == 0 {
            return None;
        }
        self.weigh(Protocol::ManageSieve, commands, replies, is_final)
    }

    /// RFC 3977 §5.1: a greeting 200 or 201, which other protocols have too, so a command of its own is needed.
    fn nntp(&self, is_final: bool) -> Option<(Protocol, Confidence)> {
        let greets = self.has_start && (self.server.starts_with(b"200") || self.server.starts_with(b"201"));
        let starts_tls = greets || self.starts_tls_as_nntp();
        let is_command = |line: &&[u8]| is_nntp_command(line) || starts_tls && line.eq_ignore_ascii_case(b"STARTTLS");
        let commands = self.client_lines().filter(is_command).count();
        let replies = self.server_lines().filter(|line| nntp::parse_reply(line).is_some()).count();
        if self.has_server_text() && replies == 0 {
            return None;
        }
        if greets && self.hint == Some(Protocol::Nntp) && is_final {
            return Some((Protocol::Nntp, Confidence::Probable));
        }
        if self.has_start && !greets && self.has_server_text() || self.answers_as_smtp() {
            return None;
        }
        self.weigh(Protocol::Nntp, commands, replies, is_final)
    }

    /// STARTTLS is SMTP's too; behind a greeting of NNTP's, on its port, or answered by 382 (RFC 4642 §2.2.1) it is not.
    fn starts_tls_as_nntp(&self) -> bool {
        self.hint == Some(Protocol::Nntp)
            || self.server_lines().any(|line| parse_reply(line).is_some_and(|(code, ..)| code == 382))
    }

    /// The server's first reply is one that SMTP has and NNTP has not: 250, 354, or a 220 that names SMTP.
    fn answers_as_smtp(&self) -> bool {
        let is_name = |word: &[u8]| [&b"SMTP"[..], b"ESMTP"].iter().any(|name| word.eq_ignore_ascii_case(name));
        match self.server_lines().find_map(parse_reply) {
            Some((250 | 354, ..)) => true,
            Some((220, _, text)) => text.split(|&c| c == b' ').any(is_name),
            _ => false,
        }
    }

    fn smtp(&self, is_final: bool) -> Option<(Protocol, Confidence)> {
        let is_lmtp = self.client_lines().any(|line| begins(line, b"LHLO "));
        let protocol = if is_lmtp { Protocol::Lmtp } else { Protocol::Smtp };
        // AUTH is POP3's too, and there the port decides.
        let is_alike = |line: &[u8]| {
            self.hint == Some(Protocol::Pop3) && is_pop3_command(line)
                || line.eq_ignore_ascii_case(b"STARTTLS") && self.starts_tls_as_nntp()
        };
        let strong = self.client_lines().filter(|line| is_smtp_command(line) && !is_alike(line)).count();
        let replies = self.server_lines().filter(|line| parse_reply(line).is_some()).count();
        if self.has_server_text() && replies == 0 {
            return None;
        }
        let greets = self.has_start && self.server.starts_with(b"220");
        if greets && strong > 0 {
            return Some((protocol, Confidence::Confirmed));
        }
        let greeting = self.server_lines().next().unwrap_or_default().to_ascii_uppercase();
        let names_itself = memchr::memmem::find(&greeting, b"SMTP").is_some();
        let refuses = [&b"421"[..], b"521", b"554"].iter().any(|code| greeting.starts_with(code));
        let is_mail_greeting = self.has_start
            && (greets && (names_itself || self.hint == Some(Protocol::Smtp))
                || refuses && self.hint == Some(Protocol::Smtp));
        if is_mail_greeting && (is_final || self.has_client_line()) {
            return Some((Protocol::Smtp, Confidence::Probable));
        }
        self.weigh(protocol, strong, replies, is_final)
    }

    fn pop3(&self, is_final: bool) -> Option<(Protocol, Confidence)> {
        if self.is_ftp_port && !self.has_server_text() {
            return None;
        }
        let strong = self.client_lines().filter(|line| is_pop3_command(line)).count();
        let is_status = |line: &&[u8]| line.starts_with(b"+OK") || line.starts_with(b"-ERR");
        let replies = self.server_lines().filter(is_status).count();
        if self.has_server_text() && replies == 0 {
            return None;
        }
        let greets =
            self.has_start && !self.spoke_first && self.server_lines().next().is_some_and(|line| is_status(&line));
        if greets && strong > 0 {
            return Some((Protocol::Pop3, Confidence::Confirmed));
        }
        if greets && self.hint == Some(Protocol::Pop3) && (is_final || self.has_client_line()) {
            return Some((Protocol::Pop3, Confidence::Probable));
        }
        if self.has_start && self.spoke_first && self.has_server_text() && self.hint != Some(Protocol::Pop3) {
            return None;
        }
        if replies == 0 && (self.speaks_smtp() || self.may_be_ftp() && !is_final) {
            return None;
        }
        self.weigh(Protocol::Pop3, strong, replies, is_final)
    }

    /// Commands of SMTP that POP3 has not.
    fn speaks_smtp(&self) -> bool {
        self.client_lines().any(|line| is_smtp_command(line) && !is_pop3_command(line))
    }

    /// FTP logs in as POP3 does; what the client says next tells them apart.
    fn may_be_ftp(&self) -> bool {
        let is_login = |line: &[u8]| begins(line, b"USER ") || begins(line, b"PASS ");
        let only_logs_in = self.client_lines().all(|line| is_login(line) || !is_pop3_command(line));
        only_logs_in && memchr::memchr_iter(b'\n', self.client).count() < 3
    }

    /// A whole line: the beginning of one may still turn out to be another protocol's.
    fn has_client_line(&self) -> bool {
        memchr::memchr(b'\n', self.client).is_some()
    }

    fn has_server_text(&self) -> bool {
        memchr::memchr(b'\n', self.server).is_some()
    }

    /// Without a greeting: two independent signs. A port that fits is one, but what is said counts more, so it is
    /// waited for.
    fn weigh(
        &self,
        protocol: Protocol,
        commands: usize,
        replies: usize,
        is_final: bool,
    ) -> Option<(Protocol, Confidence)> {
        let hinted = self.hint == Some(protocol);
        // Only the port tells whose a response is, whose command was not captured.
        let is_response = |line: &[u8]| {
            let quoted = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\""));
            sasl::is_response(quoted.unwrap_or(line))
        };
        let commands = commands + usize::from(commands == 0 && hinted && self.client_lines().any(is_response));
        if commands >= 1 && replies >= 1 {
            return Some((protocol, Confidence::Confirmed));
        }
        let enough = commands >= 2 && !self.has_start || is_final && (commands >= 2 || hinted && commands >= 1);
        let confidence = if hinted || protocol != Protocol::Pop3 { Confidence::Probable } else { Confidence::Possible };
        enough.then_some((protocol, confidence))
    }
}

/// Whether the first octets of a server may begin a greeting of mail.
pub(super) fn may_be_greeting(octets: &[u8]) -> bool {
    let begins = |word: &[u8]| octets.starts_with(word) || word.starts_with(octets);
    // ManageSieve's strings begin with a quote.
    octets.starts_with(b"\"")
        || begins(b"+OK")
        || begins(b"-ERR")
        || begins(b"* ")
        || octets.iter().take(3).all(u8::is_ascii_digit)
}

/// Whole lines and, last, what has no end yet.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    let lines = std::iter::from_fn(move || {
        let text = rest.take()?;
        let end = memchr::memchr(b'\n', text);
        rest = end.map(|end| &text[end + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    });
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| !line.is_empty()).take(LINES)
}

/// The client's lines, without a message that SMTP carries: that may hold any protocol's commands.
pub(super) fn client_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut is_smtp, mut has_mail, mut in_message) = (None, false, false);
    lines(text).take_while(move |line| {
        if is_smtp.is_none() && is_any_command(line) {
            is_smtp = Some(is_smtp_command(line));
        }
        has_mail |= begins(line, b"MAIL FROM:");
        let is_before = !in_message;
        in_message |= is_smtp == Some(true) && has_mail && line.eq_ignore_ascii_case(b"DATA");
        is_before
    })
}

/// Lines looked at: replies are compared with all commands, so their number must not be the sender's to choose.
const LINES: usize = 48;

/// Whether a text begins with a word, in capitals or not.
pub(super) fn begins(text: &[u8], word: &[u8]) -> bool {
    text.len() >= word.len() && text[..word.len()].eq_ignore_ascii_case(word)
}

/// Verbs with the arguments their grammar demands; those that other protocols share (QUIT, NOOP) say nothing.
fn is_smtp_command(line: &[u8]) -> bool {
    let (verb, rest) = split_verb(line);
    match &*verbs::upper(verb) {
        b"EHLO" | b"HELO" | b"LHLO" => !rest.trim_ascii().is_empty(),
        b"MAIL" => begins(rest.trim_ascii_start(), b"FROM:"),
        b"RCPT" => begins(rest.trim_ascii_start(), b"TO:"),
        b"AUTH" => mechanisms::is_known(split_verb(rest.trim_ascii()).0),
        b"STARTTLS" => rest.trim_ascii().is_empty(),
        _ => false,
    }
}

/// Whether it is one of the protocols that a message may quote.
fn is_any_command(line: &[u8]) -> bool {
    is_smtp_command(line) || is_imap_command(line) || is_nntp_command(line) || is_pop3_command(line)
}

fn is_pop3_command(line: &[u8]) -> bool {
    let (verb, rest) = split_verb(line);
    match &*verbs::upper(verb) {
        b"USER" | b"PASS" => !rest.is_empty(),
        b"APOP" => rest.len() > 33,
        b"CAPA" | b"STLS" => rest.trim_ascii().is_empty(),
        b"AUTH" => rest.trim_ascii().is_empty() || mechanisms::is_known(split_verb(rest.trim_ascii()).0),
        // FTP has some of these, with names for arguments.
        b"UIDL" => is_numbers(rest),
        b"RETR" | b"DELE" | b"TOP" => !rest.is_empty() && is_numbers(rest),
        _ => false,
    }
}

fn is_numbers(text: &[u8]) -> bool {
    text.iter().all(|c| c.is_ascii_digit() || *c == b' ')
}

/// `AUTHENTICATE "MECH"`: the quotes tell it from IMAP's, which also has a tag.
fn is_sieve_command(line: &[u8]) -> bool {
    let (verb, rest) = split_verb(line);
    verb.eq_ignore_ascii_case(b"AUTHENTICATE")
        && argument(rest).is_some_and(|name| name.is_quoted && mechanisms::is_known(&name.value))
}

fn is_nntp_command(line: &[u8]) -> bool {
    let (verb, rest) = split_verb(line);
    match &*verbs::upper(verb) {
        b"AUTHINFO" => {
            let kind = split_verb(rest).0;
            [&b"USER"[..], b"PASS", b"SASL"].iter().any(|known| kind.eq_ignore_ascii_case(known))
        }
        b"MODE" => begins(rest, b"READER") || begins(rest, b"STREAM"),
        b"GROUP" | b"LISTGROUP" | b"XOVER" => !rest.is_empty(),
        b"CAPABILITIES" => true,
        _ => false,
    }
}

/// A tag as in IMAP, but strings where IMAP has atoms and numbers. What IMAP has alike counts on ACAP's port only.
fn is_acap_command(line: &[u8], is_acap_port: bool) -> bool {
    let (tag, rest) = split_verb(line);
    let (verb, arguments) = split_verb(rest);
    if !is_tag(tag) {
        return false;
    }
    match &*verbs::upper(verb) {
        b"AUTHENTICATE" => argument(arguments).is_some_and(|name| name.is_quoted && mechanisms::is_known(&name.value)),
        b"SEARCH" => arguments.starts_with(b"\"/"),
        b"STORE" | b"SETACL" | b"DELETEACL" | b"MYRIGHTS" | b"LISTRIGHTS" => arguments.starts_with(b"(\"/"),
        b"DELETEDSINCE" => arguments.starts_with(b"\"/"),
        b"FREECONTEXT" | b"UPDATECONTEXT" => arguments.starts_with(b"\""),
        b"STARTTLS" | b"NOOP" | b"LOGOUT" => is_acap_port && arguments.trim_ascii().is_empty(),
        _ => false,
    }
}

/// What stands behind `*` in IMAP: a number, or one of the words of RFC 3501 §7 and RFC 9051 §7.
fn is_imap_response(word: &[u8]) -> bool {
    const WORDS: [&[u8]; 16] = [
        b"OK",
        b"NO",
        b"BAD",
        b"BYE",
        b"PREAUTH",
        b"CAPABILITY",
        b"ENABLED",
        b"ID",
        b"LIST",
        b"LSUB",
        b"STATUS",
        b"SEARCH",
        b"ESEARCH",
        b"FLAGS",
        b"NAMESPACE",
        b"VANISHED",
    ];
    let is_number = !word.is_empty() && word.iter().all(u8::is_ascii_digit);
    is_number || WORDS.iter().any(|known| known.eq_ignore_ascii_case(word))
}

fn is_imap_command(line: &[u8]) -> bool {
    let (tag, rest) = split_verb(line);
    let (verb, arguments) = split_verb(rest);
    if !is_tag(tag) {
        return false;
    }
    match &*verbs::upper(verb) {
        b"LOGIN" => argument(arguments).is_some(),
        b"AUTHENTICATE" => mechanisms::is_known(split_verb(arguments.trim_ascii()).0),
        b"SELECT" | b"EXAMINE" | b"FETCH" | b"UID" | b"STATUS" | b"LIST" | b"LSUB" => !arguments.is_empty(),
        b"CAPABILITY" | b"STARTTLS" | b"LOGOUT" | b"IDLE" => arguments.trim_ascii().is_empty(),
        b"ID" => arguments.starts_with(b"(") || begins(arguments, b"NIL"),
        _ => false,
    }
}
