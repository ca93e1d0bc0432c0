//! IMAP: RFC 3501 and 9051, 2595 (STARTTLS), 4959 (SASL-IR), 4978 (COMPRESS), 5530 (codes), 7888 (literals).
//!
//! Replies are matched by tag. A literal counts only as the last token of a client line or of a data response,
//! never in free text, so that no server text and no message can pose as a command.

use super::capabilities::Builder;
use super::dialogue::{Context, Machine, Mode, Unit};
use super::framing::Line;
use super::imap_text::{LiteralMarker, argument, is_tag, literal_marker, response_code};
use super::mechanisms;
use super::observe::{
    Attempt, CapabilitySource, Confidence, ContentStep, Instruction, Observation, Outcome, Reason, SecretClass,
    StarttlsReply, Variant,
};
use super::pop3::split_verb;
use super::sasl::{self, Exchange};
use super::text::Text;
use super::{Load, Start, verbs};
use crate::limits::{BLOCK_OCTETS, IMAP_LINE_OCTETS, LITERAL_OCTETS, PENDING_COMMANDS};
use crate::secret::Secret;
use crate::stream::{Direction, Mark};
use std::collections::VecDeque;

enum Command {
    Login(Box<Attempt>),
    /// The exchange itself is in [`Imap::auth`].
    Auth,
    Starttls,
    Capability {
        listed: bool,
    },
    Compress,
    /// Answered OK only after a login.
    Selected,
    Other,
}

struct Pending {
    tag: Box<[u8]>,
    command: Command,
    /// Client stream offset after it.
    end: u64,
    /// Read when client octets had been lost and no tagged reply had come since: it may be a line of a message.
    in_doubt: bool,
    /// A login after it was answered: what succeeds later owes to that one.
    is_superseded: bool,
}

/// A command whose line ended in a literal: more of it follows.
struct Open {
    tag: Box<[u8]>,
    verb: Vec<u8>,
    login: Option<LoginArguments>,
    literal: u64,
    /// The server's `+` has not come yet.
    waits: bool,
}

impl Open {
    /// Octets of memory besides its own.
    fn octets(&self) -> usize {
        let secret = self.login.as_ref().and_then(|login| login.secret.as_ref());
        self.tag.len() + self.verb.capacity() + secret.map_or(0, Secret::octets)
    }

    /// A LOGIN whose line was lost.
    fn unnamed_login() -> Self {
        Self { tag: Box::default(), verb: b"LOGIN".to_vec(), login: None, literal: 0, waits: false }
    }
}

/// Arguments of LOGIN as they come in.
#[derive(Default)]
struct LoginArguments {
    user: Option<Text>,
    secret: Option<Secret>,
    count: u32,
    quoted: bool,
    literal: bool,
    literal_plus: bool,
    /// Some of an argument was not captured or not kept.
    is_partial: bool,
}

impl LoginArguments {
    fn add(&mut self, value: &[u8], whole: bool) {
        self.is_partial |= !whole;
        match self.count {
            // A part of a name is another name.
            0 => self.user = whole.then(|| Text::new(value)),
            1 if whole => self.secret = Some(Secret::new(value)),
            _ => {}
        }
        self.count += 1;
    }

    fn variant(&self) -> Variant {
        if self.literal {
            Variant::Literal
        } else if self.literal_plus {
            Variant::LiteralPlus
        } else if self.quoted {
            Variant::Quoted
        } else {
            Variant::Command
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Server,
    Client,
}

pub(super) struct Imap {
    pending: VecDeque<Pending>,
    greeting_due: bool,
    is_midstream: bool,
    open: Option<Box<Open>>,
    auth: Option<Box<(Exchange, Turn, Mark)>>,
    starttls_waits: bool,
    /// A server line went on into a literal; the rest of the response follows it.
    in_response: bool,
    said_bye: bool,
    in_doubt: bool,
    /// Octets of the server were lost and no answer to a command has come since: a line may be one of a message.
    server_in_doubt: bool,
    /// The same of the AUTHENTICATE under way, until a challenge or reply proves it one.
    auth_in_doubt: bool,
    /// Client octets were lost after a login: what succeeds later may owe to another one.
    may_not_infer: bool,
    /// The server told the client to go on with a command that was lost.
    prompted: Option<Box<(Text, Mark)>>,
    /// What was lost was another command than a login: what else it is told to go on with is its.
    other_is_open: bool,
    /// No command before a login may be under way any more.
    may_be_logged_in: bool,
}

/// Commands valid only in the authenticated states (RFC 3501 §6.3, §6.4).
const SELECTED: [&[u8]; 12] = [
    b"SELECT", b"EXAMINE", b"LIST", b"LSUB", b"STATUS", b"FETCH", b"STORE", b"SEARCH", b"UID", b"APPEND", b"IDLE",
    b"CLOSE",
];

impl Imap {
    pub(super) fn new(start: Start) -> Self {
        Self {
            pending: VecDeque::new(),
            greeting_due: !start.is_midstream,
            is_midstream: start.is_midstream,
            open: None,
            auth: None,
            starttls_waits: false,
            in_response: false,
            said_bye: false,
            in_doubt: false,
            server_in_doubt: false,
            auth_in_doubt: false,
            may_not_infer: false,
            prompted: None,
            other_is_open: false,
            may_be_logged_in: start.is_midstream,
        }
    }

    fn command_line(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        let (tag, rest) = split_verb(line.octets);
        let rest = rest.trim_ascii_start();
        if !is_tag(tag) || rest.is_empty() {
            return;
        }
        let (verb, arguments) = split_verb(rest);
        if cx.is_first_command() && tag.len() <= TAG_OCTETS && verbs::known(verb).is_some() {
            cx.note(line.last, Observation::Tag(Text::new(tag)));
        }
        cx.command(verb, line.last);
        let verb = verbs::upper(verb);
        if verb == b"AUTHENTICATE" && literal_marker(line.octets).is_none() {
            return self.begin_auth(tag, arguments, line, cx);
        }
        if verb == b"ID"
            && let Some(name) = id_name(arguments)
        {
            cx.note(line.last, Observation::Id(Direction::ToServer, name));
        }
        let login = (verb == b"LOGIN").then(LoginArguments::default);
        let open = Open { tag: tag.into(), verb: verb.to_vec(), login, literal: 0, waits: false };
        self.go_on(open, arguments, line, cx);
    }

    /// Reads the part of a command that stands on this line.
    fn go_on(&mut self, mut open: Open, text: &[u8], line: &Line<'_>, cx: &mut Context<'_>) {
        let marker = literal_marker(text).filter(|_| !line.is_cut);
        if let Some(login) = &mut open.login {
            let mut left = marker.map_or(text, |marker| &text[..marker.at]);
            while login.count < 2
                && let Some(next) = argument(left)
            {
                login.quoted |= next.is_quoted;
                login.add(&next.value, !line.is_cut);
                left = next.rest;
            }
        }
        match marker {
            Some(marker) => self.await_literal(open, &marker, cx),
            None => self.complete(open, line, cx),
        }
    }

    fn await_literal(&mut self, mut open: Open, marker: &LiteralMarker, cx: &mut Context<'_>) {
        open.literal = marker.octets;
        open.waits = marker.is_synchronising;
        if let Some(login) = &mut open.login {
            login.literal |= marker.is_synchronising;
            login.literal_plus |= !marker.is_synchronising;
        }
        if !open.waits {
            begin_literal(&mut open, cx);
        }
        self.open = Some(Box::new(open));
    }

    /// The command is whole.
    fn complete(&mut self, open: Open, line: &Line<'_>, cx: &mut Context<'_>) {
        let command = match &open.verb[..] {
            b"LOGIN" => match open.login.filter(|login| login.count >= 2) {
                Some(login) => Command::Login(Box::new(attempt(login, line))),
                None => Command::Other,
            },
            b"STARTTLS" => {
                cx.starttls_requested(line.last);
                self.starttls_waits = true;
                Command::Starttls
            }
            b"CAPABILITY" => Command::Capability { listed: false },
            b"COMPRESS" => Command::Compress,
            b"LOGOUT" => {
                cx.note(line.last, Observation::Goodbye);
                Command::Other
            }
            verb if SELECTED.contains(&verb) => Command::Selected,
            _ => Command::Other,
        };
        self.queue(open.tag, command, cx);
    }

    fn queue(&mut self, tag: Box<[u8]>, command: Command, cx: &mut Context<'_>) {
        if self.pending.len() >= PENDING_COMMANDS
            && let Some(Pending { command: Command::Login(attempt), .. }) = self.pending.pop_front()
        {
            emit(*attempt, Outcome::Unknown(Reason::NoReply), cx);
        }
        // A line of a message may look like a login.
        self.may_not_infer &= self.in_doubt || !matches!(command, Command::Login(_) | Command::Auth);
        let (end, in_doubt) = (cx.mark.end, self.in_doubt);
        if self.pending.capacity() == 0 {
            // Mostly one waits at most, and IDLE for long.
            self.pending.reserve_exact(1);
        }
        self.pending.push_back(Pending { tag, command, end, in_doubt, is_superseded: false });
    }

    fn begin_auth(&mut self, tag: &[u8], arguments: &[u8], line: &Line<'_>, cx: &mut Context<'_>) {
        let (name, initial) = split_verb(arguments.trim_ascii_start());
        // Some clients quote the mechanism.
        let name = name.trim_ascii();
        let name = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(name);
        if !mechanisms::is_mechanism_name(name) {
            return self.queue(tag.into(), Command::Other, cx);
        }
        let exchange = Exchange::begun(name, initial, line);
        self.auth = Some(Box::new((exchange, Turn::Server, line.last)));
        self.auth_in_doubt = self.in_doubt;
        self.queue(tag.into(), Command::Auth, cx);
    }

    fn end_auth(&mut self, outcome: Outcome, code: Option<Text>, cx: &mut Context<'_>) {
        let Some((exchange, _, mark)) = self.auth.take().map(|auth| *auth) else { return };
        if std::mem::take(&mut self.auth_in_doubt) && matches!(outcome, Outcome::Unknown(_)) {
            return;
        }
        if let Some(attempt) = exchange.conclude(outcome, code, mark).attempt(cx.out) {
            emit(*attempt, outcome, cx);
        }
    }

    fn server_line(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        let text = line.octets;
        if self.in_response {
            self.in_response = false;
            return self.maybe_literal(line, cx);
        }
        if text.first() == Some(&b'+') {
            return self.continuation(&text[1..], line, cx);
        }
        match text.strip_prefix(b"* ") {
            Some(rest) => self.untagged(rest, line, cx),
            None => self.tagged(line, cx),
        }
    }

    fn continuation(&mut self, text: &[u8], line: &Line<'_>, cx: &mut Context<'_>) {
        // Whatever the client answered to the one before, if it was lost.
        if let Some((exchange, turn, _)) = self.auth.as_deref_mut() {
            self.auth_in_doubt = false;
            exchange.challenge(text.trim_ascii(), line.last);
            *turn = Turn::Client;
        } else if let Some(open) = self.open.as_mut().filter(|open| open.waits) {
            begin_literal(open, cx);
        } else if std::mem::take(&mut self.starttls_waits) {
            cx.starttls_replied(line.last, StarttlsReply::Odd, b"+");
        } else if self.pending.is_empty()
            && !self.other_is_open
            && (self.in_doubt || self.is_midstream || cx.answers_unseen(line))
        {
            self.prompted = Some(Box::new((Text::new(text.trim_ascii()), line.last)));
        }
    }

    /// The client goes on with a command that was lost: AUTHENTICATE, or LOGIN with literals. Nothing else is gone on
    /// with before a login (RFC 3501 §6.1, §6.2). `false`: with neither.
    fn go_on_unnamed(&mut self, prompt: &Text, asked: Mark, line: &Line<'_>, cx: &mut Context<'_>) -> bool {
        let challenge = prompt.as_str().as_bytes();
        let marker = literal_marker(line.octets).filter(|_| !line.is_cut);
        let is_response = sasl::next_is_response(line.octets)
            && (sasl::is_challenge(challenge) || !line.is_cut && sasl::is_response(line.octets));
        if marker.is_none() && is_response {
            let mut exchange = Exchange::unnamed();
            exchange.challenge(challenge, asked);
            exchange.respond(line.octets, line.last);
            self.auth = Some(Box::new((exchange, Turn::Server, line.last)));
            self.queue(Box::default(), Command::Auth, cx);
            return true;
        }
        // Servers say what to go on with in words; anything else is a challenge that nobody knows. The arguments of ID
        // may be literals too, and stand among quotes and parentheses (RFC 2971 §3.3).
        let is_word = (1..=8).contains(&challenge.len()) && challenge.iter().all(u8::is_ascii_alphabetic);
        let is_said = is_word || sasl::decode(challenge).is_none();
        let is_name = marker.is_none_or(|marker| is_astring(&line.octets[..marker.at]));
        if self.may_be_logged_in || is_command(line.octets) || !is_said || !is_name {
            self.other_is_open = !is_command(line.octets);
            return false;
        }
        let mut open = Open::unnamed_login();
        match marker {
            Some(marker) => self.go_on_to_password(open, &marker, line, true, cx),
            // A password, and perhaps a user name before it: nobody can tell.
            None => {
                let mut login = LoginArguments { literal: true, ..LoginArguments::default() };
                login.add(b"", false);
                login.add(line.octets, !line.is_cut && memchr::memchr(b' ', line.octets).is_none());
                open.login = Some(login);
                self.complete(open, line, cx);
            }
        }
        true
    }

    /// LOGIN was lost: here are a literal's octets, the user name, and those of the password are announced.
    /// `is_whole`: so is the name.
    fn go_on_to_password(
        &mut self,
        mut open: Open,
        marker: &LiteralMarker,
        line: &Line<'_>,
        is_whole: bool,
        cx: &mut Context<'_>,
    ) {
        let mut login = LoginArguments { is_partial: true, ..LoginArguments::default() };
        let name = if is_whole { line.octets[..marker.at].trim_ascii_end() } else { b"" };
        login.add(name, is_whole);
        open.login = Some(login);
        self.await_literal(open, marker, cx);
    }

    fn untagged(&mut self, rest: &[u8], line: &Line<'_>, cx: &mut Context<'_>) {
        let (word, text) = split_verb(rest);
        let status = verbs::upper(word);
        let is_greeting = std::mem::take(&mut self.greeting_due);
        match &status[..] {
            b"OK" | b"NO" | b"BAD" | b"BYE" | b"PREAUTH" => {
                self.said_bye |= status == b"BYE";
                if is_greeting {
                    cx.note(line.last, Observation::Greeting(Text::new(text)));
                }
                if is_greeting && status == b"PREAUTH" {
                    self.may_be_logged_in = true;
                    cx.note(line.last.as_known_to_client(), Observation::Preauth);
                }
                if !self.server_in_doubt {
                    instruction(text, line.last.as_known_to_client(), cx);
                }
                if status == b"BYE" && memchr::memmem::find(text, b"://").is_some() {
                    cx.note(line.last.as_known_to_client(), Observation::Instruction(Instruction::Referral));
                }
                self.code_capabilities(text, CapabilitySource::Greeting, line, cx);
            }
            b"CAPABILITY" if !line.is_cut => {
                self.list_capabilities(text, CapabilitySource::Capability, line, cx);
            }
            b"ID" => {
                if let Some(name) = id_name(text) {
                    cx.note(line.last, Observation::Id(Direction::ToClient, name));
                }
            }
            _ => self.maybe_literal(line, cx),
        }
    }

    fn code_capabilities(&mut self, text: &[u8], source: CapabilitySource, line: &Line<'_>, cx: &mut Context<'_>) {
        if let Some((name, list)) = response_code(text)
            && name.eq_ignore_ascii_case(b"CAPABILITY")
        {
            self.list_capabilities(list, source, line, cx);
        }
    }

    fn list_capabilities(&mut self, list: &[u8], source: CapabilitySource, line: &Line<'_>, cx: &mut Context<'_>) {
        for pending in &mut self.pending {
            if let Command::Capability { listed } = &mut pending.command {
                *listed = true;
            }
        }
        // What comes unasked while a login is under way is what a user that is let in may do.
        let asked = self.pending.iter().any(|pending| matches!(pending.command, Command::Capability { .. }));
        let logging_in =
            self.pending.iter().any(|pending| matches!(pending.command, Command::Login(_) | Command::Auth));
        if source == CapabilitySource::Capability && logging_in && !asked {
            return;
        }
        let mut words = Builder::default();
        words.add_words(list);
        cx.note(line.last, Observation::Capabilities(words.allowing(source, line.end)));
    }

    /// Data responses may hold literals; their octets are skipped, whatever they look like.
    fn maybe_literal(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        let marker = literal_marker(line.octets).filter(|_| !line.is_cut);
        if holds_body(line.octets, marker.is_some()) {
            cx.note(line.last.as_known_to_client(), Observation::Content(ContentStep::Passed));
        }
        let Some(marker) = marker else { return };
        self.in_response = true;
        if marker.octets > 0 {
            *cx.server = Mode::Skip(marker.octets);
        }
    }

    fn tagged(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        let (tag, rest) = split_verb(line.octets);
        let (status, text) = split_verb(rest);
        let is_ok = status.eq_ignore_ascii_case(b"OK");
        if !is_ok && !status.eq_ignore_ascii_case(b"NO") && !status.eq_ignore_ascii_case(b"BAD") {
            return;
        }
        (self.in_doubt, self.other_is_open) = (false, false);
        self.may_not_infer |= cx.answers_unseen(line);
        // A refused literal ends its command: what follows is a new line, but for octets of the literal that the
        // client sent before it had seen the refusal.
        if let Some(open) = self.open.take_if(|open| open.waits && *open.tag == *tag) {
            *cx.client = Mode::Skip(open.literal);
            cx.end_body_at(line.end);
            return;
        }
        // A reply to what its sender had not seen is none.
        let is_answered =
            |pending: &Pending| *pending.tag == *tag && line.last.seen.is_none_or(|seen| seen >= pending.end);
        let is_unnamed =
            |pending: &Pending| pending.tag.is_empty() && line.last.seen.is_none_or(|seen| seen >= pending.end);
        let at = self.pending.iter().position(is_answered);
        let Some(at) = at.or_else(|| self.pending.iter().position(is_unnamed)) else {
            self.may_be_logged_in |= is_ok;
            return;
        };
        let Some(Pending { command, .. }) = self.pending.remove(at) else { return };
        self.server_in_doubt = false;
        self.may_be_logged_in |= is_ok && matches!(command, Command::Login(_) | Command::Auth | Command::Selected);
        instruction(text, line.last.as_known_to_client(), cx);
        match command {
            Command::Login(mut attempt) => {
                self.close_earlier(at, cx);
                let (outcome, code) = judge_reply(status, text);
                attempt.code = code;
                emit(*attempt, outcome, cx);
                self.code_capabilities(text, CapabilitySource::TaggedOk, line, cx);
            }
            Command::Auth => {
                self.close_earlier(at, cx);
                let (outcome, code) = judge_reply(status, text);
                self.end_auth(outcome, code, cx);
                self.code_capabilities(text, CapabilitySource::TaggedOk, line, cx);
            }
            Command::Starttls => {
                self.starttls_waits = false;
                let reply = if is_ok { StarttlsReply::Accepted } else { StarttlsReply::Refused };
                cx.starttls_replied(line.last, reply, &status.to_ascii_uppercase());
            }
            Command::Capability { listed: false } => cx.note(line.last, Observation::NoCapabilities(Reason::Gap)),
            Command::Compress if is_ok => {
                (*cx.client, *cx.server) = (Mode::Opaque, Mode::Opaque);
                cx.note(line.last, Observation::Compressed);
            }
            Command::Selected if is_ok => self.infer(at, cx),
            _ => {}
        }
    }

    /// A later login was answered: the replies to those before it were lost, if any was, and are no longer to be
    /// concluded. A server may answer in another order (RFC 3501 §5.5).
    fn close_earlier(&mut self, before: usize, cx: &mut Context<'_>) {
        if !cx.has_gap {
            return self.pending.iter_mut().take(before).for_each(|pending| pending.is_superseded = true);
        }
        for at in (0..before).rev() {
            if matches!(self.pending[at].command, Command::Login(_))
                && let Some(Pending { command: Command::Login(attempt), in_doubt: false, .. }) = self.pending.remove(at)
            {
                emit(*attempt, Outcome::Unknown(Reason::Gap), cx);
            }
        }
    }

    /// A command that needs a login succeeded: a login before it whose reply was lost was accepted.
    fn infer(&mut self, before: usize, cx: &mut Context<'_>) {
        if self.may_not_infer {
            return;
        }
        let logins: Vec<usize> = (0..before.min(self.pending.len()))
            .filter(|&at| !self.pending[at].in_doubt && !self.pending[at].is_superseded)
            .filter(|&at| matches!(self.pending[at].command, Command::Login(_) | Command::Auth))
            .collect();
        let Some(&last) = logins.last() else { return };
        let earlier: Vec<Pending> = self.pending.drain(..=last).collect();
        let count = earlier.len();
        for (at, pending) in earlier.into_iter().enumerate() {
            let outcome = if at + 1 == count { Outcome::Accepted } else { Outcome::Unknown(Reason::Gap) };
            match pending.command {
                Command::Login(_) if pending.in_doubt => {}
                Command::Login(mut attempt) => {
                    attempt.is_inferred = true;
                    attempt.confidence = attempt.confidence.min(Confidence::Probable);
                    emit(*attempt, outcome, cx);
                }
                Command::Auth => self.infer_auth(outcome, cx),
                _ => {}
            }
        }
    }

    fn infer_auth(&mut self, outcome: Outcome, cx: &mut Context<'_>) {
        let Some((exchange, _, mark)) = self.auth.take().map(|auth| *auth) else { return };
        self.auth_in_doubt = false;
        if let Some(mut attempt) = exchange.conclude(outcome, None, mark).attempt(cx.out) {
            attempt.is_inferred = true;
            attempt.confidence = attempt.confidence.min(Confidence::Probable);
            emit(*attempt, outcome, cx);
        }
    }
}

/// Octets of a tag that is told: it is the client's choice, and its form tells which client.
const TAG_OCTETS: usize = 12;

/// Name and version in an ID command or response (RFC 2971 §3.3).
fn id_name(arguments: &[u8]) -> Option<Text> {
    let mut left = arguments.strip_prefix(b"(")?;
    let (mut name, mut version) = (None, None);
    while let Some(key) = argument(left) {
        let Some(value) = argument(key.rest) else { break };
        let is_given = value.is_quoted;
        if key.value.eq_ignore_ascii_case(b"name") && is_given {
            name = Some(value.value);
        } else if key.value.eq_ignore_ascii_case(b"version") && is_given {
            version = Some(value.value);
        }
        left = value.rest;
    }
    let name = name?;
    Some(match version {
        Some(version) => Text::new(&[&name[..], b" ", &version[..]].concat()),
        None => Text::new(&name),
    })
}

/// Whether a data response holds (part of) a message's text, in a literal that follows or a quoted string; headers
/// alone are none.
fn holds_body(line: &[u8], has_literal: bool) -> bool {
    const ITEMS: [&[u8]; 4] = [b"BODY[", b"BINARY[", b"RFC822.TEXT", b"RFC822 "];
    if !has_literal && memchr::memchr(b'"', line).is_none() {
        return false;
    }
    let upper = line.to_ascii_uppercase();
    let items = ITEMS.into_iter().flat_map(|item| memchr::memmem::find_iter(&upper, item).map(|at| at + item.len()));
    let mut of_text = items.filter(|&at| !upper[at..].starts_with(b"HEADER") && !upper[at..].starts_with(b"MIME"));
    of_text.any(|at| has_literal || memchr::memmem::find(&upper[at..], b"] \"").is_some())
}

/// What the server tells the client to do: a client in clear should do none of it.
fn instruction(text: &[u8], mark: Mark, cx: &mut Context<'_>) {
    let code = response_code(text).map(|(name, _)| name.to_ascii_uppercase()).unwrap_or_default();
    match code.as_slice() {
        b"REFERRAL" => cx.note(mark, Observation::Instruction(Instruction::Referral)),
        b"ALERT" => cx.note(mark, Observation::Instruction(Instruction::Alert)),
        _ => {}
    }
}

/// Octets that may be a name in a literal: nothing of what arguments of other commands stand in.
fn is_astring(octets: &[u8]) -> bool {
    !octets.iter().any(|octet| matches!(octet, b'"' | b'(' | b')' | b'{' | b'\\'))
}

/// A whole command, not the rest of a line.
fn is_command(line: &[u8]) -> bool {
    const VERBS: [&[u8]; 8] =
        [b"LOGIN", b"AUTHENTICATE", b"STARTTLS", b"CAPABILITY", b"LOGOUT", b"NOOP", b"ID", b"ENABLE"];
    let (tag, rest) = split_verb(line);
    let verb = split_verb(rest).0;
    is_tag(tag) && VERBS.iter().chain(&SELECTED).any(|known| known.eq_ignore_ascii_case(verb))
}

fn begin_literal(open: &mut Open, cx: &mut Context<'_>) {
    open.waits = false;
    let keep = open.login.as_ref().is_some_and(|login| login.count < 2) && open.literal <= LITERAL_OCTETS as u64;
    match open.literal {
        0 => {
            if let Some(login) = &mut open.login {
                login.add(b"", true);
            }
        }
        octets if keep => *cx.client = Mode::Keep(octets),
        octets => *cx.client = Mode::Skip(octets),
    }
}

fn attempt(login: LoginArguments, line: &Line<'_>) -> Attempt {
    let mut attempt = sasl::direct("IMAP-LOGIN", login.variant(), login.user, line.last);
    attempt.secret = login.secret;
    // RFC 4505 stands for what servers took as LOGIN before: any secret, or none.
    if attempt.user.as_ref().is_some_and(|user| user.as_str().eq_ignore_ascii_case("anonymous")) {
        (attempt.class, attempt.secret) = (SecretClass::None, None);
    }
    if login.is_partial {
        attempt.confidence = Confidence::Probable;
    }
    attempt
}

fn emit(mut attempt: Attempt, outcome: Outcome, cx: &mut Context<'_>) {
    attempt.outcome = outcome;
    cx.note(attempt.mark, Observation::Login(Box::new(attempt)));
}

/// RFC 3501 §7.1 and RFC 5530 §3.
fn judge_reply(status: &[u8], text: &[u8]) -> (Outcome, Option<Text>) {
    let code = response_code(text).map(|(name, _)| name.to_ascii_uppercase()).unwrap_or_default();
    let outcome = match (status.to_ascii_uppercase().as_slice(), code.as_slice()) {
        (b"OK", _) => Outcome::Accepted,
        (b"BAD", _) => Outcome::Cancelled,
        // Authentication succeeded, authorisation did not.
        (_, b"AUTHORIZATIONFAILED") => Outcome::RejectedAfterAuth,
        (_, b"PRIVACYREQUIRED") => Outcome::RefusedByPolicy,
        (_, b"UNAVAILABLE") => Outcome::Unknown(Reason::Temporary),
        _ => Outcome::Rejected,
    };
    let is_about_login = !code.is_empty() && code != b"CAPABILITY";
    (outcome, Text::code(&code).filter(|_| is_about_login))
}

impl Machine for Imap {
    fn line_cap(&self, _: Direction) -> usize {
        IMAP_LINE_OCTETS
    }

    fn client(&mut self, unit: Unit<'_>, cx: &mut Context<'_>) {
        let line = match unit {
            Unit::Line(line) => line,
            Unit::Literal { octets, whole } => {
                if let Some(login) = self.open.as_mut().and_then(|open| open.login.as_mut()) {
                    login.add(octets, whole);
                }
                return;
            }
            Unit::Skipped => {
                if let Some(open) = &mut self.open {
                    match &mut open.login {
                        Some(login) => login.add(b"", false),
                        None if open.verb == b"APPEND" => {
                            cx.note(cx.mark, Observation::Content(ContentStep::Passed));
                        }
                        None => {}
                    }
                }
                return;
            }
            Unit::BodyEnd => return,
        };
        let is_due = matches!(self.auth.as_deref(), Some((_, Turn::Client, _))) && sasl::next_is_response(line.octets);
        if let Some(prompted) = self.prompted.take()
            && self.go_on_unnamed(&prompted.0, prompted.1, &line, cx)
        {
            return;
        }
        let is_odd = !is_command(line.octets) && !is_due;
        if is_odd
            && self.in_doubt
            && !self.may_be_logged_in
            && self.auth.is_none()
            && let Some(exchange) = Exchange::beginning_with(&line)
        {
            self.auth = Some(Box::new((exchange, Turn::Server, line.last)));
            self.auth_in_doubt = true;
            return self.queue(Box::default(), Command::Auth, cx);
        }
        if line.follows_loss && is_odd {
            let marker = literal_marker(line.octets).filter(|marker| !marker.is_synchronising && !line.is_cut);
            let may_be_name = |marker: &LiteralMarker| is_astring(&line.octets[..marker.at]);
            if let Some(marker) =
                marker.filter(|marker| !self.may_be_logged_in && self.auth.is_none() && may_be_name(marker))
            {
                return self.go_on_to_password(Open::unnamed_login(), &marker, &line, false, cx);
            }
            return;
        }
        if let Some(open) = self.open.take() {
            return self.go_on(*open, line.octets, &line, cx);
        }
        match self.auth.as_deref_mut() {
            Some((exchange, turn @ Turn::Client, mark)) => {
                exchange.respond_line(&line);
                *turn = if exchange.is_asked_again() { Turn::Client } else { Turn::Server };
                *mark = line.last;
            }
            _ => self.command_line(&line, cx),
        }
    }

    fn server(&mut self, unit: Unit<'_>, cx: &mut Context<'_>) {
        let Unit::Line(line) = unit else { return };
        let begins_reply = |text: &[u8]| {
            let tag = split_verb(text).0;
            matches!(tag, b"*" | b"+") || self.pending.iter().any(|pending| *pending.tag == *tag)
        };
        if !line.follows_loss || begins_reply(line.octets) {
            self.server_line(&line, cx);
        }
    }

    fn discloses(&self, line: &[u8]) -> bool {
        // LOGIN with both its arguments, the second perhaps not to its end.
        let (tag, rest) = split_verb(line);
        let (verb, arguments) = split_verb(rest);
        let is_login = is_tag(tag)
            && verb.eq_ignore_ascii_case(b"LOGIN")
            && argument(arguments).and_then(|user| argument(user.rest)).is_some();
        is_login || self.open.is_none() && matches!(self.auth.as_deref(), Some((_, Turn::Client, _)))
    }

    fn is_waiting(&self) -> bool {
        self.starttls_waits
            || matches!(self.auth.as_deref(), Some((_, Turn::Server, _)))
            || self.open.as_ref().is_some_and(|open| open.waits)
    }

    fn assume(&mut self, next: &[u8], cx: &mut Context<'_>) {
        if std::mem::take(&mut self.starttls_waits) && self.said_bye {
            cx.starttls_replied(cx.mark, StarttlsReply::Odd, b"BYE");
        }
        if let Some((exchange, turn @ Turn::Server, _)) = self.auth.as_deref_mut() {
            if exchange.may_continue() && sasl::next_is_response(next) {
                exchange.lose_challenge(cx.has_gap);
                *turn = Turn::Client;
            } else if let Some(at) = self.pending.iter().position(|pending| matches!(pending.command, Command::Auth)) {
                self.pending.remove(at);
                self.end_auth(Outcome::Unknown(Reason::NoReply), None, cx);
            } else {
                self.end_auth(Outcome::Unknown(Reason::NoReply), None, cx);
            }
        }
        let Some(open) = self.open.as_mut().filter(|open| open.waits) else { return };
        // After the literal's octets the line goes on or ends; if not so, the server refused and a command stands here.
        let after = usize::try_from(open.literal).ok().and_then(|len| next.get(len));
        let fits = next.is_empty() || after.is_none_or(|octet| matches!(octet, b' ' | b'\r' | b'\n' | b')'));
        if fits {
            begin_literal(open, cx);
        } else {
            self.open = None;
        }
    }

    fn lost(&mut self, direction: Direction, cx: &mut Context<'_>) {
        match direction {
            Direction::ToServer => {
                // The line's end may be all that was lost.
                let whole = self.open.take_if(|open| open.login.as_ref().is_some_and(|login| login.count >= 2));
                if let Some(Open { tag, login: Some(login), .. }) = whole.map(|open| *open) {
                    let line =
                        Line { octets: &[], first: cx.mark, last: cx.mark, end: 0, is_cut: true, follows_loss: false };
                    self.queue(tag, Command::Login(Box::new(attempt(login, &line))), cx);
                }
                self.open = None;
                self.in_doubt = true;
                self.may_not_infer = true;
                let end = cx.mark.end;
                self.prompted.take_if(|prompted| prompted.1.seen.is_none_or(|seen| seen < end));
                if let Some((exchange, ..)) = self.auth.as_deref_mut() {
                    exchange.lose_answer(cx.mark.end);
                }
            }
            Direction::ToClient => {
                self.may_be_logged_in |= std::mem::take(&mut self.greeting_due);
                self.in_response = false;
                self.server_in_doubt = true;
                if let Some((exchange, ..)) = self.auth.as_deref_mut() {
                    exchange.lose_prompt();
                }
            }
        }
    }

    fn load(&self) -> Load {
        let of = |pending: &Pending| {
            let login = if let Command::Login(attempt) = &pending.command { attempt.octets() } else { 0 };
            pending.tag.len() + BLOCK_OCTETS + login
        };
        let is_login = |pending: &Pending| matches!(pending.command, Command::Login(_) | Command::Auth);
        let exchange = self.auth.as_deref().map_or(0, |auth| size_of_val(auth) + auth.0.octets());
        let commands: usize = self.pending.iter().map(of).sum();
        Load {
            octets: self.pending.capacity() * size_of::<Pending>()
                + commands
                + exchange
                + self.open.as_ref().map_or(0, |open| size_of::<Open>() + open.octets())
                + self.prompted.as_ref().map_or(0, |prompted| size_of::<(Text, Mark)>() + prompted.0.octets()),
            has_open_login: self.auth.is_some()
                || self.open.as_ref().is_some_and(|open| open.login.is_some())
                || self.pending.iter().any(is_login),
            ..Load::default()
        }
    }

    fn end(&mut self, why: Reason, cx: &mut Context<'_>) {
        let why = if self.said_bye && why == Reason::NoReply { Reason::Temporary } else { why };
        for pending in std::mem::take(&mut self.pending) {
            if let Command::Login(attempt) = pending.command
                && !pending.in_doubt
            {
                emit(*attempt, Outcome::Unknown(why), cx);
            }
        }
        self.end_auth(Outcome::Unknown(why), None, cx);
        // A LOGIN cut off after its second argument has exposed it all the same.
        let cut_off = self.open.take().and_then(|open| open.login).filter(|login| login.count >= 2);
        if let Some(login) = cut_off {
            let mark = cx.mark;
            let line = Line { octets: &[], first: mark, last: mark, end: 0, is_cut: true, follows_loss: false };
            emit(attempt(login, &line), Outcome::Unknown(why), cx);
        }
    }
}
