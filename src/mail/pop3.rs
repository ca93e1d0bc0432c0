//! POP3: RFC 1939, 2449 (CAPA, response codes), 2595 (STLS), 5034 (AUTH), 3206.
//!
//! Replies are matched to commands in order; whether a reply has more lines is decided by the command, never by
//! its text (RFC 1939 §3). The argument of PASS is all after the first space (§7).

use super::capabilities::Builder;
use super::dialogue::{Context, Machine, Mode, Unit};
use super::framing::{DotBody, Line};
use super::mechanisms;
use super::observe::{
    Attempt, CapabilitySource, Confidence, ContentStep, Observation, Outcome, Reason, SecretClass, StarttlsReply,
    Strength, Username, Variant,
};
use super::pending::Queue;
use super::sasl::{self, Exchange};
use super::text::Text;
use super::{Load, Start, verbs};
use crate::limits::{LINE_OCTETS, SASL_LINE_OCTETS};
use crate::secret::Secret;
use crate::stream::{Direction, Mark};

/// A command that waits for its reply.
enum Command {
    Capa,
    Stls,
    Login(Box<Attempt>),
    /// `AUTH mechanism`: the exchange itself is in [`Pop3::auth`].
    Auth,
    /// The reply has more lines: a message or a listing.
    Block {
        is_message: bool,
        /// Given only after a login (RFC 1939 §5).
        after_login: bool,
    },
    User,
    /// Answered `+OK` only after a login (RFC 1939 §5).
    Transaction,
    Quit,
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Server,
    Client,
}

pub(super) struct Pop3 {
    pending: Queue<Command>,
    greeting_due: bool,
    user: Option<Text>,
    /// USER was sent and no PASS since: where.
    user_alone: Option<Box<Mark>>,
    /// A password was sent for the user.
    is_user_spent: bool,
    auth: Option<Box<(Exchange, Turn, Mark)>>,
    stls_waits: bool,
    /// Lines of a CAPA reply are coming in.
    capa: Option<Builder>,
    /// Client octets were lost since the last login: what succeeds later may owe to another one.
    may_not_infer: bool,
    /// A login whose reply was lost: what the server does next may tell.
    unresolved: Option<Box<Attempt>>,
}

/// Name of the login by commands.
const USER_PASS: &str = "USER-PASS";

const TRANSACTION: [&[u8]; 7] = [b"STAT", b"LIST", b"UIDL", b"DELE", b"RSET", b"RETR", b"TOP"];

impl Pop3 {
    pub(super) fn new(start: Start) -> Self {
        Self {
            pending: Queue::default(),
            greeting_due: !start.is_midstream,
            user: None,
            user_alone: None,
            is_user_spent: false,
            auth: None,
            stls_waits: false,
            capa: None,
            may_not_infer: start.is_midstream,
            unresolved: None,
        }
    }

    fn command(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        let (verb, argument) = split_verb(line.octets);
        cx.command(verb, line.last);
        let verb = verbs::upper(verb);
        let has_argument = !argument.trim_ascii().is_empty();
        let command = match &verb[..] {
            b"USER" => {
                self.forget_unresolved(cx);
                self.tell_user_alone(cx);
                self.user_alone = Some(Box::new(line.last));
                self.is_user_spent = false;
                // The first word: what else was typed may be the password.
                self.user = Some(Text::new(argument.trim_ascii().split(|&c| c == b' ').next().unwrap_or_default()));
                Command::User
            }
            b"PASS" => {
                self.may_not_infer = false;
                self.user_alone = None;
                self.is_user_spent = true;
                Command::Login(Box::new(self.pass(argument, line)))
            }
            b"APOP" => match apop(argument, line) {
                Some(attempt) => Command::Login(Box::new(attempt)),
                None => Command::Other,
            },
            b"AUTH" if has_argument => return self.begin_auth(argument, line, cx),
            b"AUTH" | b"LANG" if !has_argument => Command::Block { is_message: false, after_login: false },
            b"LIST" | b"UIDL" if !has_argument => Command::Block { is_message: false, after_login: true },
            b"XTND" => Command::Block { is_message: false, after_login: true },
            b"CAPA" => Command::Capa,
            b"RETR" | b"TOP" => Command::Block { is_message: true, after_login: true },
            b"STLS" => {
                cx.starttls_requested(line.last);
                self.stls_waits = true;
                Command::Stls
            }
            b"QUIT" => {
                cx.note(line.last, Observation::Goodbye);
                Command::Quit
            }
            verb if TRANSACTION.contains(&verb) => Command::Transaction,
            _ => Command::Other,
        };
        self.queue(command, line, cx);
    }

    fn queue(&mut self, command: Command, line: &Line<'_>, cx: &mut Context<'_>) {
        if let Some(Command::Login(attempt)) = self.pending.push(command, line.end) {
            emit(*attempt, Outcome::Unknown(Reason::NoReply), cx);
        }
    }

    fn pass(&mut self, secret: &[u8], line: &Line<'_>) -> Attempt {
        let mut attempt = sasl::direct(USER_PASS, Variant::Command, self.user.clone(), line.last);
        attempt.secret = (!line.is_cut).then(|| Secret::new(secret));
        if line.is_cut {
            attempt.confidence = Confidence::Probable;
        }
        attempt
    }

    fn begin_auth(&mut self, argument: &[u8], line: &Line<'_>, cx: &mut Context<'_>) {
        let (name, initial) = split_verb(argument.trim_ascii_start());
        if !mechanisms::is_mechanism_name(name) {
            return self.queue(Command::Other, line, cx);
        }
        let exchange = Exchange::begun(name, initial, line);
        self.forget_unresolved(cx);
        self.may_not_infer = false;
        self.auth = Some(Box::new((exchange, Turn::Server, line.last)));
        self.queue(Command::Auth, line, cx);
    }

    fn end_auth(&mut self, outcome: Outcome, code: Option<Text>, cx: &mut Context<'_>) -> Option<Box<Attempt>> {
        let (exchange, _, mark) = *self.auth.take()?;
        if exchange.is_orphan() && outcome != Outcome::Accepted {
            return None;
        }
        exchange.conclude(outcome, code, mark).attempt(cx.out)
    }

    /// A user was named, and no secret followed.
    fn tell_user_alone(&mut self, cx: &mut Context<'_>) {
        if let (Some(mark), Some(user)) = (self.user_alone.take().map(|mark| *mark), self.user.clone()) {
            let username = Username { user, mechanism: Text::new(USER_PASS.as_bytes()), mark };
            cx.note(mark, Observation::Username(Box::new(username)));
        }
    }

    /// A single-line reply, or the first line of one with more.
    fn reply(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        let is_ok = line.octets.starts_with(b"+OK");
        let is_err = line.octets.starts_with(b"-ERR");
        if !is_ok && !is_err {
            return self.continuation(line, cx);
        }
        let text = line.octets[if is_ok { 3 } else { 4 }..].trim_ascii();
        if std::mem::take(&mut self.greeting_due) {
            return cx.note(line.last, Observation::Greeting(Text::new(text)));
        }
        self.may_not_infer |= cx.answers_unseen(line);
        if self.pending.front(line).is_none() {
            return;
        }
        if self.pending.is_unsure() {
            return self.give_up_pending(cx);
        }
        match self.pending.pop() {
            Some(Command::Login(mut attempt)) => {
                self.forget_unresolved(cx);
                let (outcome, code) = judge_reply(is_ok, text);
                attempt.code = code;
                emit(*attempt, outcome, cx);
                // After a refusal the user is named again (RFC 1939 §7); if that is lost, the next password is another's.
                if !is_ok && self.is_user_spent {
                    self.user = None;
                }
            }
            Some(Command::Auth) => {
                self.forget_unresolved(cx);
                let (outcome, code) = judge_reply(is_ok, text);
                if let Some(attempt) = self.end_auth(outcome, code, cx) {
                    emit(*attempt, outcome, cx);
                }
            }
            Some(Command::Stls) => {
                self.stls_waits = false;
                let (reply, code) =
                    if is_ok { (StarttlsReply::Accepted, &b"+OK"[..]) } else { (StarttlsReply::Refused, &b"-ERR"[..]) };
                cx.starttls_replied(line.last, reply, code);
            }
            Some(Command::Capa) if is_ok => self.capa = Some(Builder::default()),
            Some(Command::Capa) => cx.note(line.last, Observation::NoCapabilities(Reason::NotAsked)),
            Some(Command::Block { is_message, after_login }) if is_ok => {
                if is_message {
                    cx.note(line.last.as_known_to_client(), Observation::Content(ContentStep::Passed));
                }
                if after_login {
                    self.resolve(cx);
                }
                *cx.server = Mode::Body(DotBody::new(true));
            }
            Some(Command::Transaction) if is_ok => self.resolve(cx),
            _ => {}
        }
    }

    /// The server does what it does only after a login.
    fn resolve(&mut self, cx: &mut Context<'_>) {
        if self.may_not_infer {
            return self.forget_unresolved(cx);
        }
        if let Some(mut attempt) = self.unresolved.take() {
            attempt.is_inferred = true;
            attempt.confidence = attempt.confidence.min(Confidence::Probable);
            emit(*attempt, Outcome::Accepted, cx);
        }
    }

    /// RFC 5034 §4: `+ ` and base64. `+OK` is none.
    fn continuation(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        if line.octets.first() != Some(&b'+') {
            return;
        }
        if let Some((exchange, turn, _)) = self.auth.as_deref_mut() {
            exchange.challenge(line.octets[1..].trim_ascii(), line.last);
            *turn = Turn::Client;
        } else if self.stls_waits {
            self.stls_waits = false;
            self.pending.pop_through(|command| matches!(command, Command::Stls));
            cx.starttls_replied(line.last, StarttlsReply::Odd, b"+");
        } else if self.may_not_infer || cx.answers_unseen(line) {
            let mut exchange = Exchange::unnamed();
            exchange.challenge(line.octets[1..].trim_ascii(), line.last);
            self.resume_auth(exchange, Turn::Client, line, cx);
        }
    }

    /// AUTH was lost; what it brought about goes on: nothing else is answered by `+ ` or takes base64.
    fn resume_auth(&mut self, exchange: Exchange, turn: Turn, line: &Line<'_>, cx: &mut Context<'_>) {
        self.give_up_pending(cx);
        self.forget_unresolved(cx);
        self.auth = Some(Box::new((exchange, turn, line.last)));
        self.pending.push(Command::Auth, 0);
    }

    fn capability(&mut self, mut list: Builder, line: &Line<'_>, cx: &mut Context<'_>) {
        if line.octets != b"." {
            list.add_line(line.octets);
            self.capa = Some(list);
            return;
        }
        if let Some(name) = list.implementation() {
            cx.note(line.last, Observation::Id(Direction::ToClient, name.clone()));
        }
        cx.note(line.last, Observation::Capabilities(list.listing(CapabilitySource::Capa, line.end)));
    }

    /// The replies of all that is pending are not to be had.
    fn give_up_pending(&mut self, cx: &mut Context<'_>) {
        let lost: Vec<Command> = self.pending.drain().collect();
        for command in lost {
            match command {
                Command::Login(attempt) => self.hold_unresolved(attempt, cx),
                Command::Auth => {
                    if let Some(attempt) = self.end_auth(Outcome::Unknown(Reason::Gap), None, cx) {
                        self.hold_unresolved(attempt, cx);
                    }
                }
                Command::Capa => cx.note(cx.mark, Observation::NoCapabilities(Reason::Gap)),
                Command::Stls => self.stls_waits = false,
                _ => {}
            }
        }
    }

    fn hold_unresolved(&mut self, attempt: Box<Attempt>, cx: &mut Context<'_>) {
        self.forget_unresolved(cx);
        self.unresolved = Some(attempt);
    }

    /// Another login was tried, or may have been: what follows tells nothing of the earlier one.
    fn forget_unresolved(&mut self, cx: &mut Context<'_>) {
        if let Some(earlier) = self.unresolved.take() {
            emit(*earlier, Outcome::Unknown(Reason::Gap), cx);
        }
    }
}

fn emit(mut attempt: Attempt, outcome: Outcome, cx: &mut Context<'_>) {
    attempt.outcome = outcome;
    cx.note(attempt.mark, Observation::Login(Box::new(attempt)));
}

/// `APOP name digest`: 32 hexadecimal digits (RFC 1939 §7).
fn apop(argument: &[u8], line: &Line<'_>) -> Option<Attempt> {
    let argument = argument.trim_ascii();
    let at = argument.iter().rposition(|&c| c == b' ')?;
    let digest = &argument[at + 1..];
    if digest.len() != 32 || !digest.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let user = Some(Text::new(argument[..at].trim_ascii()));
    let mut attempt = sasl::direct("APOP", Variant::Command, user, line.last);
    attempt.class = SecretClass::Crackable;
    attempt.strength = Strength { hash: Some("MD5"), ..Strength::default() };
    Some(attempt)
}

/// RFC 2449 §8 and RFC 3206: what a login's reply says by its response code.
fn judge_reply(is_ok: bool, text: &[u8]) -> (Outcome, Option<Text>) {
    if is_ok {
        return (Outcome::Accepted, None);
    }
    let end = memchr::memchr(b']', text);
    let code = end.and_then(|end| text[..end].strip_prefix(b"[")).unwrap_or_default();
    let outcome = match &*verbs::upper(code) {
        // RFC 2449 §8.1.1: given after successful authentication.
        b"IN-USE" => Outcome::RejectedAfterAuth,
        b"SYS/TEMP" | b"LOGIN-DELAY" => Outcome::Unknown(Reason::Temporary),
        _ => Outcome::Rejected,
    };
    (outcome, Text::code(code))
}

const VERBS: [&[u8]; 17] = [
    b"USER", b"PASS", b"APOP", b"AUTH", b"CAPA", b"STLS", b"STAT", b"LIST", b"UIDL", b"RETR", b"TOP", b"DELE", b"RSET",
    b"NOOP", b"QUIT", b"LANG", b"UTF8",
];

/// A whole command, not the rest of a line.
fn is_command(line: &[u8]) -> bool {
    VERBS.iter().any(|verb| verb.eq_ignore_ascii_case(split_verb(line).0))
}

fn is_status(line: &[u8]) -> bool {
    line.starts_with(b"+OK") || line.starts_with(b"-ERR")
}

/// The word before the first space and all after that space, spaces included.
pub(super) fn split_verb(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', line) {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, &[]),
    }
}

impl Machine for Pop3 {
    fn line_cap(&self, _: Direction) -> usize {
        if self.auth.is_some() { SASL_LINE_OCTETS } else { LINE_OCTETS }
    }

    fn client(&mut self, unit: Unit<'_>, cx: &mut Context<'_>) {
        let Unit::Line(line) = unit else { return };
        let is_due = matches!(self.auth.as_deref(), Some((_, Turn::Client, _))) && sasl::next_is_response(line.octets);
        let is_odd = !is_command(line.octets) && !is_due;
        if is_odd
            && self.may_not_infer
            && self.auth.is_none()
            && let Some(exchange) = Exchange::beginning_with(&line)
        {
            return self.resume_auth(exchange, Turn::Server, &line, cx);
        }
        if line.follows_loss && is_odd {
            return;
        }
        // The client goes on and has seen all there is: what was pending had its replies, in the gap.
        if self.pending.is_unsure() && line.first.seen.is_none_or(|seen| seen >= cx.server_end) {
            // Within an exchange its command alone is open, and stays so.
            if self.auth.is_some() { self.pending.settle() } else { self.give_up_pending(cx) }
        }
        match self.auth.as_deref_mut() {
            Some((exchange, turn, mark)) if !sasl::gives_up(line.octets, &VERBS) => {
                exchange.respond_line(&line);
                *turn = if exchange.is_asked_again() { Turn::Client } else { Turn::Server };
                *mark = line.last;
            }
            Some(_) => {
                self.pending.pop_through(|command| matches!(command, Command::Auth));
                let is_missing = self.auth.as_deref().is_some_and(|(exchange, ..)| exchange.is_lossy());
                let outcome = if is_missing { Outcome::Unknown(Reason::Gap) } else { Outcome::Cancelled };
                if let Some(attempt) = self.end_auth(outcome, None, cx) {
                    emit(*attempt, outcome, cx);
                }
                self.command(&line, cx);
            }
            None => self.command(&line, cx),
        }
    }

    fn server(&mut self, unit: Unit<'_>, cx: &mut Context<'_>) {
        let Unit::Line(line) = unit else { return };
        let answers_auth = line.octets.starts_with(b"+ ");
        if line.follows_loss && !is_status(line.octets) && !answers_auth {
            return;
        }
        match self.capa.take() {
            Some(list) => self.capability(list, &line, cx),
            None => self.reply(&line, cx),
        }
    }

    fn discloses(&self, line: &[u8]) -> bool {
        let is_due = matches!(self.auth.as_deref(), Some((_, Turn::Client, _))) && !sasl::gives_up(line, &VERBS);
        is_due || line.get(..5).is_some_and(|word| word.eq_ignore_ascii_case(b"PASS ")) && line.len() > 5
    }

    fn is_waiting(&self) -> bool {
        self.stls_waits || matches!(self.auth.as_deref(), Some((_, Turn::Server, _)))
    }

    fn assume(&mut self, next: &[u8], cx: &mut Context<'_>) {
        self.stls_waits = false;
        let Some((exchange, turn, _)) = self.auth.as_deref_mut() else { return };
        if exchange.may_continue() && sasl::next_is_response(next) {
            exchange.lose_challenge(cx.has_gap);
            *turn = Turn::Client;
            return;
        }
        self.pending.pop_through(|command| matches!(command, Command::Auth));
        if let Some(attempt) = self.end_auth(Outcome::Unknown(Reason::NoReply), None, cx) {
            self.hold_unresolved(attempt, cx);
        }
    }

    fn lost(&mut self, direction: Direction, cx: &mut Context<'_>) {
        if direction == Direction::ToServer {
            (self.user, self.user_alone) = (None, None);
            self.may_not_infer = true;
            if let Some((exchange, ..)) = self.auth.as_deref_mut() {
                exchange.lose_answer(cx.mark.end);
            }
            return self.forget_unresolved(cx);
        }
        self.greeting_due = false;
        if self.capa.take().is_some() {
            cx.note(cx.mark, Observation::NoCapabilities(Reason::Gap));
        }
        if let Some((exchange, ..)) = self.auth.as_deref_mut() {
            exchange.lose_prompt();
        }
        self.pending.lose();
    }

    fn load(&self) -> Load {
        let is_login = |command: &Command| matches!(command, Command::Login(_) | Command::Auth);
        let of = |command: &Command| if let Command::Login(attempt) = command { attempt.octets() } else { 0 };
        let exchange = self.auth.as_deref().map_or(0, |auth| size_of_val(auth) + auth.0.octets());
        let unresolved = self.unresolved.as_ref().map_or(0, |attempt| attempt.octets());
        let user = self.user.as_ref().map_or(0, Text::octets);
        let list = self.capa.as_ref().map_or(0, Builder::octets);
        Load {
            octets: self.pending.octets(of) + exchange + unresolved + user + list,
            has_open_login: self.user_alone.is_some()
                || self.auth.is_some()
                || self.unresolved.is_some()
                || self.pending.any(is_login),
            ..Load::default()
        }
    }

    fn end(&mut self, why: Reason, cx: &mut Context<'_>) {
        self.tell_user_alone(cx);
        if let Some(attempt) = self.unresolved.take() {
            emit(*attempt, Outcome::Unknown(why), cx);
        }
        let left: Vec<Command> = self.pending.drain().collect();
        for command in left {
            match command {
                Command::Login(attempt) => emit(*attempt, Outcome::Unknown(why), cx),
                Command::Auth => {
                    if let Some(attempt) = self.end_auth(Outcome::Unknown(why), None, cx) {
                        emit(*attempt, Outcome::Unknown(why), cx);
                    }
                }
                _ => {}
            }
        }
    }
}
