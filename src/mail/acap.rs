//! ACAP: RFC 2244, and STARTTLS as RFC 2595 §5 gives it.
//!
//! Built as IMAP is: tags, literals, untagged responses. What differs: the greeting is the capability list, the strings
//! of an exchange are the octets themselves and not base64 of them (RFC 2244 §6.3.1), codes stand in parentheses, text
//! for people in quotes. AUTHENTICATE is the only login there is (§6.3).

use super::capabilities::Builder;
use super::dialogue::{Context, Machine, Mode, Unit};
use super::framing::Line;
use super::imap_text::{argument, is_tag, literal_marker};
use super::mechanisms;
use super::observe::{CapabilitySource, Confidence, Observation, Outcome, Reason, StarttlsReply};
use super::pop3::split_verb;
use super::sasl::{self, Exchange};
use super::text::Text;
use super::{Load, Start, verbs};
use crate::limits::{BLOCK_OCTETS, IMAP_LINE_OCTETS, PENDING_COMMANDS};
use crate::stream::{Direction, Mark};
use std::collections::VecDeque;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    /// The exchange itself is in [`Acap::auth`].
    Auth,
    Starttls,
    /// Answered OK only after a login (§6.4 to §6.8).
    Authenticated,
    Other,
}

struct Pending {
    tag: Box<[u8]>,
    command: Command,
}

/// What a literal of the client belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// AUTHENTICATE, which has its place among the pending already.
    Initial,
    /// A line of the exchange.
    Response,
    /// Any other command: an attribute's value, a name.
    Argument(Command),
}

/// A client line that ended in a literal: more of it follows.
struct Open {
    tag: Box<[u8]>,
    purpose: Purpose,
    literal: u64,
    /// The server's `+` has not come yet.
    waits: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Server,
    Client,
    /// The reply was not to be had; what succeeds later may tell.
    Over,
}

struct Auth {
    tag: Box<[u8]>,
    exchange: Exchange,
    turn: Turn,
    /// Where the client's latest line of it was.
    mark: Mark,
    /// Read when client octets had been lost and no tagged reply had come since: it may be a line of some value.
    in_doubt: bool,
    /// The server answered while the client was still sending a literal.
    answer: Option<(Outcome, Option<Text>)>,
}

/// What a server line that ended in a literal goes on with after it.
#[derive(Default)]
enum Rest {
    #[default]
    Nothing,
    /// A challenge: the line holds nothing else.
    Challenge,
    /// The capability list, as far as it came.
    Capabilities(Builder),
    /// Data.
    Response,
}

pub(super) struct Acap {
    pending: VecDeque<Pending>,
    greeting_due: bool,
    open: Option<Box<Open>>,
    auth: Option<Box<Auth>>,
    starttls_waits: bool,
    rest: Rest,
    said_bye: bool,
    in_doubt: bool,
    /// Client octets were lost after a login: what succeeds later may owe to another one.
    may_not_infer: bool,
}

/// How a command's last response begins, behind the tag (RFC 2244 §2.2.1).
const STATUSES: [&[u8]; 3] = [b"OK", b"NO", b"BAD"];

/// Commands valid only in the authenticated state (RFC 2244 §8, command-auth).
const AUTHENTICATED: [&[u8]; 10] = [
    b"SEARCH",
    b"STORE",
    b"FREECONTEXT",
    b"UPDATECONTEXT",
    b"DELETEDSINCE",
    b"SETACL",
    b"DELETEACL",
    b"MYRIGHTS",
    b"LISTRIGHTS",
    b"GETQUOTA",
];

impl Acap {
    pub(super) fn new(start: Start) -> Self {
        Self {
            pending: VecDeque::new(),
            greeting_due: !start.is_midstream,
            open: None,
            auth: None,
            starttls_waits: false,
            rest: Rest::Nothing,
            said_bye: false,
            in_doubt: false,
            may_not_infer: false,
        }
    }

    fn command_line(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        let (tag, rest) = split_verb(line.octets);
        let (verb, arguments) = split_verb(rest.trim_ascii_start());
        if !is_tag(tag) || verb.is_empty() {
            return;
        }
        cx.command(verb, line.last);
        let command = match &*verbs::upper(verb) {
            b"AUTHENTICATE" => return self.begin_auth(tag, arguments, line, cx),
            b"STARTTLS" => Command::Starttls,
            b"LOGOUT" => {
                cx.note(line.last, Observation::Goodbye);
                Command::Other
            }
            verb if AUTHENTICATED.contains(&verb) => Command::Authenticated,
            _ => Command::Other,
        };
        let open = Open { tag: tag.into(), purpose: Purpose::Argument(command), literal: 0, waits: false };
        self.go_on(open, arguments, line, cx);
    }

    /// The rest of a client line, up to its end or the next literal.
    fn go_on(&mut self, mut open: Open, text: &[u8], line: &Line<'_>, cx: &mut Context<'_>) {
        let Some(marker) = literal_marker(text).filter(|_| !line.is_cut) else { return self.complete(open, line, cx) };
        open.literal = marker.octets;
        open.waits = marker.is_synchronising;
        let waits = open.waits;
        self.open = Some(Box::new(open));
        if !waits {
            self.begin_literal(cx);
        }
    }

    fn begin_literal(&mut self, cx: &mut Context<'_>) {
        let Some(open) = &mut self.open else { return };
        open.waits = false;
        let is_argument = matches!(open.purpose, Purpose::Argument(_));
        match open.literal {
            0 => self.literal(b"", true, cx.mark),
            octets if is_argument => *cx.client = Mode::Skip(octets),
            octets => *cx.client = Mode::Keep(octets),
        }
    }

    /// A literal of the client is over.
    fn literal(&mut self, octets: &[u8], whole: bool, mark: Mark) {
        let Some(open) = &self.open else { return };
        let Some(auth) = &mut self.auth else { return };
        match open.purpose {
            Purpose::Argument(_) => return,
            _ if !whole => auth.exchange.respond_unread(mark),
            Purpose::Initial => auth.exchange.initial_raw(octets, mark),
            Purpose::Response => auth.exchange.respond_raw(octets, mark),
        }
        auth.mark = mark;
    }

    /// A client line and all its literals are whole.
    fn complete(&mut self, open: Open, line: &Line<'_>, cx: &mut Context<'_>) {
        let Purpose::Argument(command) = open.purpose else { return self.await_reply(cx) };
        if command == Command::Starttls {
            cx.starttls_requested(line.last);
            self.starttls_waits = true;
        }
        self.queue(open.tag, command);
    }

    fn queue(&mut self, tag: Box<[u8]>, command: Command) {
        if self.pending.len() >= PENDING_COMMANDS {
            self.pending.pop_front();
        }
        self.may_not_infer &= command != Command::Auth || self.in_doubt;
        self.pending.push_back(Pending { tag, command });
    }

    /// `AUTHENTICATE "MECH" ["response" | {n} | {n+}]`.
    fn begin_auth(&mut self, tag: &[u8], arguments: &[u8], line: &Line<'_>, cx: &mut Context<'_>) {
        let marker = literal_marker(arguments).filter(|_| !line.is_cut);
        let text = marker.map_or(arguments, |marker| &arguments[..marker.at]);
        let Some(name) = argument(text).filter(|name| mechanisms::is_mechanism_name(&name.value)) else {
            let purpose = Purpose::Argument(Command::Other);
            return self.go_on(Open { tag: tag.into(), purpose, literal: 0, waits: false }, arguments, line, cx);
        };
        self.drop_auth(Outcome::Unknown(Reason::NoReply), cx);
        let mut exchange = Exchange::new(&name.value);
        if let Some(initial) = argument(name.rest) {
            exchange.initial_raw(&initial.value, line.last);
            if line.is_cut {
                exchange.cut();
            }
        }
        let in_doubt = self.in_doubt;
        let turn = Turn::Client;
        let mark = line.last;
        self.auth = Some(Box::new(Auth { tag: tag.into(), exchange, turn, mark, in_doubt, answer: None }));
        self.queue(tag.into(), Command::Auth);
        self.go_on(Open { tag: tag.into(), purpose: Purpose::Initial, literal: 0, waits: false }, arguments, line, cx);
    }

    /// The client has said what it had to: the server's answer decides what follows.
    fn await_reply(&mut self, cx: &mut Context<'_>) {
        let Some(auth) = &mut self.auth else { return };
        auth.turn = Turn::Server;
        if let Some((outcome, code)) = auth.answer.take() {
            self.end_auth(outcome, code, false, cx);
        }
    }

    /// A line where a response is due: a string, or `*` without quotes, which cancels (§6.3.1).
    fn response(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        let Some(auth) = &mut self.auth else { return };
        if let Some(marker) = literal_marker(line.octets).filter(|marker| marker.at == 0 && !line.is_cut) {
            let tag = auth.tag.clone();
            let open = Open { tag, purpose: Purpose::Response, literal: marker.octets, waits: false };
            return self.go_on(open, line.octets, line, cx);
        }
        if is_command(line.octets) {
            let is_gap = auth.exchange.is_lossy();
            self.drop_auth(if is_gap { Outcome::Unknown(Reason::Gap) } else { Outcome::Cancelled }, cx);
            return self.command_line(line, cx);
        }
        if line.octets.trim_ascii() != b"*" {
            let said = argument(line.octets).map(|said| said.value).unwrap_or_default();
            auth.exchange.respond_raw(&said, line.last);
            if line.is_cut {
                auth.exchange.cut();
            }
        }
        auth.mark = line.last;
        self.await_reply(cx);
    }

    fn is_response_due(&self) -> bool {
        self.auth.as_ref().is_some_and(|auth| auth.turn == Turn::Client)
    }

    /// The exchange is over and its reply no longer waited for.
    fn drop_auth(&mut self, outcome: Outcome, cx: &mut Context<'_>) {
        if self.auth.is_some() {
            self.pending.retain(|pending| pending.command != Command::Auth);
            self.end_auth(outcome, None, false, cx);
        }
    }

    fn end_auth(&mut self, outcome: Outcome, code: Option<Text>, is_inferred: bool, cx: &mut Context<'_>) {
        let Some(auth) = self.auth.take() else { return };
        let is_text = auth.in_doubt && matches!(outcome, Outcome::Unknown(_));
        if is_text {
            return;
        }
        let Some(mut attempt) = auth.exchange.conclude(outcome, code, auth.mark).attempt(cx.out) else { return };
        if is_inferred {
            attempt.is_inferred = true;
            attempt.confidence = attempt.confidence.min(Confidence::Probable);
        }
        cx.note(attempt.mark, Observation::Login(attempt));
    }

    fn server_line(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        let text = line.octets;
        match std::mem::take(&mut self.rest) {
            Rest::Challenge => return,
            Rest::Capabilities(list) => {
                // The literal was inside an item: the list goes on after that item.
                let left = text.get(list_end(text) + 1..).unwrap_or_default();
                return self.capabilities(left, list, false, line, cx);
            }
            Rest::Response => return self.maybe_literal(line, cx),
            Rest::Nothing => {}
        }
        match text {
            [b'+', challenge @ ..] => self.continuation(challenge.trim_ascii(), line, cx),
            [b'*', b' ', rest @ ..] => self.untagged(rest, line, cx),
            _ => self.tagged(line, cx),
        }
    }

    /// `+` and a string: go on with the literal, or a challenge (§2.5).
    fn continuation(&mut self, text: &[u8], line: &Line<'_>, cx: &mut Context<'_>) {
        self.resume_auth(text, line, cx);
        let literal = literal_marker(text).filter(|marker| marker.at == 0 && !line.is_cut);
        // Another one where a response is due: that was lost.
        let is_due = |auth: &Auth| auth.turn != Turn::Client || auth.exchange.misses_answer(line.last);
        let is_challenge = self.open.is_none() && self.auth.as_deref().is_some_and(is_due);
        if let Some(marker) = literal {
            self.rest = Rest::Challenge;
            match marker.octets {
                0 if is_challenge => self.challenge(b"", line.last),
                0 => {}
                octets if is_challenge => *cx.server = Mode::Keep(octets),
                octets => *cx.server = Mode::Skip(octets),
            }
        }
        if self.open.as_ref().is_some_and(|open| open.waits) {
            self.begin_literal(cx);
        } else if is_challenge && literal.is_none() {
            self.challenge(&argument(text).map(|said| said.value).unwrap_or_default(), line.last);
        } else if !is_challenge && std::mem::take(&mut self.starttls_waits) {
            cx.starttls_replied(line.last, StarttlsReply::Odd, b"+");
        }
    }

    /// A challenge that no AUTHENTICATE was seen for: it was lost, and what it brought about goes on. Its tag is not
    /// known; an empty one stands for it.
    fn resume_auth(&mut self, text: &[u8], line: &Line<'_>, cx: &Context<'_>) {
        let misses_command = self.pending.is_empty() && (self.in_doubt || cx.answers_unseen(line));
        let asks = || argument(text).is_some_and(|said| said.is_quoted && sasl::is_challenge_raw(&said.value));
        if misses_command && self.open.is_none() && self.auth.is_none() && !line.is_cut && asks() {
            let (tag, exchange, mark) = (Box::default(), Exchange::unnamed(), line.last);
            self.auth = Some(Box::new(Auth { tag, exchange, turn: Turn::Server, mark, in_doubt: false, answer: None }));
            self.queue(Box::default(), Command::Auth);
        }
    }

    fn awaits_challenge(&self) -> bool {
        self.open.is_none() && self.auth.as_ref().is_some_and(|auth| auth.turn == Turn::Server)
    }

    fn challenge(&mut self, octets: &[u8], mark: Mark) {
        if let Some(auth) = &mut self.auth {
            auth.in_doubt = false;
            auth.exchange.challenge_raw(octets, mark);
            auth.turn = Turn::Client;
        }
    }

    fn untagged(&mut self, rest: &[u8], line: &Line<'_>, cx: &mut Context<'_>) {
        let (word, text) = split_verb(rest);
        let is_greeting = std::mem::take(&mut self.greeting_due);
        match &*verbs::upper(word) {
            b"ACAP" => self.capabilities(text, Builder::default(), is_greeting, line, cx),
            b"OK" | b"NO" | b"BAD" | b"ALERT" => self.maybe_code_literal(text, line, cx),
            b"BYE" => {
                self.said_bye = true;
                if is_greeting {
                    cx.note(line.last, Observation::Greeting(Text::new(text.trim_ascii())));
                }
                self.maybe_code_literal(text, line, cx);
            }
            _ => self.maybe_literal(line, cx),
        }
    }

    /// §6.1.1: each capability is a list that begins with its name.
    fn capabilities(
        &mut self,
        text: &[u8],
        mut list: Builder,
        is_greeting: bool,
        line: &Line<'_>,
        cx: &mut Context<'_>,
    ) {
        for item in Items(text) {
            let (name, value) = split_verb(item);
            let parameters: Vec<u8> = value.iter().copied().filter(|&c| c != b'"').collect();
            list.add(name, &parameters);
            if is_greeting
                && name.eq_ignore_ascii_case(b"IMPLEMENTATION")
                && let Some(value) = argument(value).filter(|value| value.is_quoted)
            {
                cx.note(line.last, Observation::Greeting(Text::new(&value.value)));
            }
        }
        if line.is_cut {
            return cx.note(line.last, Observation::NoCapabilities(Reason::Desync));
        }
        self.maybe_literal(line, cx);
        if matches!(self.rest, Rest::Response) {
            self.rest = Rest::Capabilities(list);
            return;
        }
        cx.note(line.last, Observation::Capabilities(list.finish(CapabilitySource::Greeting, line.end)));
    }

    /// Data may hold literals; their octets are skipped, whatever they look like.
    fn maybe_literal(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        let Some(marker) = literal_marker(line.octets).filter(|_| !line.is_cut) else { return };
        self.rest = Rest::Response;
        if marker.octets > 0 {
            *cx.server = Mode::Skip(marker.octets);
        }
    }

    /// The text of a status is quoted (§8, resp-body): a literal can stand inside its code only.
    fn maybe_code_literal(&mut self, text: &[u8], line: &Line<'_>, cx: &mut Context<'_>) {
        if let Some(code) = text.trim_ascii_start().strip_prefix(b"(")
            && list_end(code) == code.len()
        {
            self.maybe_literal(line, cx);
        }
    }

    fn tagged(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        let (tag, rest) = split_verb(line.octets);
        let (status, text) = split_verb(rest);
        let status = verbs::upper(status);
        if !STATUSES.contains(&&status[..]) {
            // §2.2.2: an intermediate response.
            return self.maybe_literal(line, cx);
        }
        self.maybe_code_literal(text, line, cx);
        self.in_doubt = false;
        self.may_not_infer |= cx.answers_unseen(line);
        self.refuse_literal(tag, line, cx);
        let tagged = |wanted: &[u8]| self.pending.iter().position(|pending| *pending.tag == *wanted);
        let Some(at) = tagged(tag).or_else(|| tagged(b"")) else { return };
        let Some(Pending { command, tag }) = self.pending.remove(at) else { return };
        let is_unnamed = tag.is_empty();
        match command {
            // Of an exchange without a name it may be the answer to another one, where its own was lost.
            Command::Auth if is_unnamed && self.auth.as_ref().is_some_and(|auth| auth.exchange.may_miss_answer()) => {
                self.end_auth(Outcome::Unknown(Reason::Gap), None, false, cx);
            }
            Command::Auth => self.auth_replied(&status, text, cx),
            Command::Starttls => {
                self.starttls_waits = false;
                cx.starttls_replied(line.last, judge_starttls(&status, text), &status);
            }
            Command::Authenticated if status == b"OK" => self.infer(at, cx),
            Command::Authenticated | Command::Other => {}
        }
    }

    /// A refused literal ends its command: what follows is a new line, but for octets of the literal that the client
    /// sent before it had seen the refusal.
    fn refuse_literal(&mut self, tag: &[u8], line: &Line<'_>, cx: &mut Context<'_>) {
        if let Some(open) = self.open.take_if(|open| open.waits && *open.tag == *tag) {
            *cx.client = Mode::Skip(open.literal);
            cx.end_body_at(line.end);
        }
    }

    fn auth_replied(&mut self, status: &[u8], text: &[u8], cx: &mut Context<'_>) {
        let (outcome, code) = judge_reply(status, text);
        let is_sending = self.open.as_ref().is_some_and(|open| !matches!(open.purpose, Purpose::Argument(_)));
        match &mut self.auth {
            // The client sends what it has announced all the same, and with it the secret.
            Some(auth) if is_sending => auth.answer = Some((outcome, code)),
            _ => self.end_auth(outcome, code, false, cx),
        }
    }

    /// A command that needs a login succeeded: the one before it, whose reply was lost, was accepted.
    fn infer(&mut self, before: usize, cx: &mut Context<'_>) {
        let Some(at) = self.pending.iter().position(|pending| pending.command == Command::Auth) else { return };
        let in_doubt = self.auth.as_ref().is_some_and(|auth| auth.in_doubt);
        if at < before && !self.may_not_infer && !in_doubt {
            self.pending.remove(at);
            self.end_auth(Outcome::Accepted, None, true, cx);
        }
    }
}

/// The name of a status's code: `(AUTH-TOO-WEAK)`, `(SASL "...")`, `(QUOTA/MORE)`.
fn code_name(text: &[u8]) -> Vec<u8> {
    let code = text.trim_ascii_start().strip_prefix(b"(").unwrap_or_default();
    code.split(|c| matches!(c, b')' | b' ' | b'/')).next().unwrap_or_default().to_ascii_uppercase()
}

/// RFC 2244 §6.3.1 and §3.6.
fn judge_reply(status: &[u8], text: &[u8]) -> (Outcome, Option<Text>) {
    let code = code_name(text);
    let outcome = match (status, code.as_slice()) {
        (b"OK", _) => Outcome::Accepted,
        (b"BAD", _) => Outcome::Cancelled,
        (_, b"AUTH-TOO-WEAK" | b"ENCRYPT-NEEDED") => Outcome::RefusedByPolicy,
        (_, b"TRYLATER") => Outcome::Unknown(Reason::Temporary),
        // TRANSITION-NEEDED among them: the name is valid, the entry not fit for the mechanism.
        _ => Outcome::Rejected,
    };
    (outcome, Text::code(&code).filter(|_| outcome != Outcome::Accepted))
}

fn judge_starttls(status: &[u8], text: &[u8]) -> StarttlsReply {
    match status {
        b"OK" => StarttlsReply::Accepted,
        _ if code_name(text) == b"TRYLATER" => StarttlsReply::RefusedTemporarily,
        _ => StarttlsReply::Refused,
    }
}

/// The lists that stand side by side in a text, without their parentheses. One without an end goes on in a literal.
struct Items<'a>(&'a [u8]);

impl<'a> Iterator for Items<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = memchr::memchr(b'(', self.0)? + 1;
        let text = &self.0[start..];
        let end = list_end(text);
        self.0 = text.get(end + 1..).unwrap_or_default();
        Some(&text[..end])
    }
}

/// Where the list ends in which the text begins: at its closing parenthesis outside quotes, or at the text's end.
fn list_end(text: &[u8]) -> usize {
    let mut depth = 1;
    let mut is_quoted = false;
    let mut octets = text.iter().enumerate();
    while let Some((at, octet)) = octets.next() {
        match octet {
            b'\\' if is_quoted => drop(octets.next()),
            b'"' => is_quoted = !is_quoted,
            b'(' if !is_quoted => depth += 1,
            b')' if !is_quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// A whole command, not the rest of a line.
fn is_command(line: &[u8]) -> bool {
    const VERBS: [&[u8]; 5] = [b"AUTHENTICATE", b"STARTTLS", b"LOGOUT", b"NOOP", b"LANG"];
    let (tag, rest) = split_verb(line);
    let verb = split_verb(rest).0;
    is_tag(tag) && VERBS.iter().chain(&AUTHENTICATED).any(|known| known.eq_ignore_ascii_case(verb))
}

fn begins_string(line: &[u8]) -> bool {
    matches!(line.first(), Some(b'"' | b'{' | b'*'))
}

impl Machine for Acap {
    fn line_cap(&self, _: Direction) -> usize {
        IMAP_LINE_OCTETS
    }

    fn client(&mut self, unit: Unit<'_>, cx: &mut Context<'_>) {
        let line = match unit {
            Unit::Line(line) => line,
            Unit::Literal { octets, whole } => return self.literal(octets, whole, cx.mark),
            Unit::Skipped | Unit::BodyEnd => return,
        };
        let is_due = self.is_response_due() && begins_string(line.octets);
        if line.follows_loss && !is_command(line.octets) && !is_due {
            return;
        }
        if let Some(open) = self.open.take() {
            self.go_on(*open, line.octets, &line, cx);
        } else if self.is_response_due() {
            self.response(&line, cx);
        } else {
            self.command_line(&line, cx);
        }
    }

    fn server(&mut self, unit: Unit<'_>, cx: &mut Context<'_>) {
        let line = match unit {
            Unit::Line(line) => line,
            Unit::Literal { octets, .. } => return self.challenge(octets, cx.mark),
            Unit::Skipped | Unit::BodyEnd => return,
        };
        let (tag, rest) = split_verb(line.octets);
        let is_status = |word: &[u8]| STATUSES.iter().any(|status| status.eq_ignore_ascii_case(word));
        let may_answer = |pending: &Pending| {
            *pending.tag == *tag || pending.tag.is_empty() && is_tag(tag) && is_status(split_verb(rest).0)
        };
        let begins_reply = matches!(tag, b"*" | b"+") || self.pending.iter().any(may_answer);
        if !line.follows_loss || begins_reply {
            self.server_line(&line, cx);
        }
    }

    fn is_waiting(&self) -> bool {
        self.starttls_waits || self.awaits_challenge() || self.open.as_ref().is_some_and(|open| open.waits)
    }

    fn assume(&mut self, next: &[u8], cx: &mut Context<'_>) {
        self.starttls_waits = false;
        if let Some(open) = self.open.take_if(|open| open.waits) {
            // After the literal's octets the line goes on or ends; if not so, the server refused and a command stands here.
            let after = usize::try_from(open.literal).ok().and_then(|len| next.get(len));
            if next.is_empty() || after.is_none_or(|octet| matches!(octet, b' ' | b'\r' | b'\n' | b')')) {
                self.open = Some(open);
                return self.begin_literal(cx);
            }
            if !matches!(open.purpose, Purpose::Argument(_)) {
                self.drop_auth(Outcome::Unknown(Reason::NoReply), cx);
            }
            return;
        }
        if self.awaits_challenge()
            && let Some(auth) = &mut self.auth
        {
            let goes_on = auth.exchange.may_continue() && begins_string(next);
            auth.exchange.lose_challenge(cx.has_gap);
            auth.turn = if goes_on { Turn::Client } else { Turn::Over };
        }
    }

    fn lost(&mut self, direction: Direction, cx: &mut Context<'_>) {
        if direction == Direction::ToClient {
            self.greeting_due = false;
            if matches!(std::mem::take(&mut self.rest), Rest::Capabilities(_)) {
                cx.note(cx.mark, Observation::NoCapabilities(Reason::Gap));
            }
            if let Some(auth) = &mut self.auth {
                auth.exchange.lose_prompt();
            }
            return;
        }
        self.in_doubt = true;
        self.may_not_infer = true;
        if let Some(auth) = &mut self.auth {
            auth.exchange.lose_answer(cx.mark.end);
        }
        let Some(open) = self.open.take() else { return };
        if let Some(auth) = self.auth.as_mut().filter(|_| !matches!(open.purpose, Purpose::Argument(_))) {
            if !open.waits {
                auth.exchange.respond_unread(cx.mark);
            }
            self.await_reply(cx);
        }
    }

    fn load(&self) -> Load {
        let tags: usize = self.pending.iter().map(|pending| pending.tag.len() + BLOCK_OCTETS).sum();
        let open = self.open.as_ref().map_or(0, |open| size_of::<Open>() + open.tag.len());
        let of = |auth: &Auth| size_of::<Auth>() + auth.tag.len() + auth.exchange.octets();
        let exchange = self.auth.as_deref().map_or(0, of);
        Load {
            octets: self.pending.capacity() * size_of::<Pending>() + tags + open + exchange,
            has_open_login: self.auth.is_some(),
            ..Load::default()
        }
    }

    fn end(&mut self, why: Reason, cx: &mut Context<'_>) {
        let why = if self.said_bye && why == Reason::NoReply { Reason::Temporary } else { why };
        let answer = self.auth.as_mut().and_then(|auth| auth.answer.take());
        let (outcome, code) = answer.unwrap_or((Outcome::Unknown(why), None));
        self.end_auth(outcome, code, false, cx);
    }
}
