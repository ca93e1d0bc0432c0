//! NNTP: RFC 3977, 4642 (STARTTLS), 4643 (AUTHINFO). Codes say whether a reply has more lines.

use super::capabilities::Builder;
use super::dialogue::{Context, Machine, Mode, Unit};
use super::framing::{DotBody, Line};
use super::mechanisms;
use super::observe::{
    Attempt, CapabilitySource, ContentStep, Observation, Outcome, Reason, StarttlsReply, Username, Variant,
};
use super::pending::Queue;
use super::pop3::split_verb;
use super::sasl::{self, Exchange};
use super::text::Text;
use super::{Load, Start, verbs};
use crate::limits::{LINE_OCTETS, SASL_LINE_OCTETS};
use crate::secret::Secret;
use crate::stream::{Direction, Mark};

enum Command {
    Greeting,
    Capabilities,
    Login(Box<Attempt>),
    /// `AUTHINFO SASL`: the exchange itself is in [`Nntp::auth`].
    Auth,
    Starttls,
    /// POST or IHAVE: an article follows when the server says so.
    Post,
    /// LISTGROUP: 211 has more lines for it alone.
    ListGroup,
    Quit,
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Commands,
    AuthReply,
    AuthResponse,
    PostReply,
    StarttlsReply,
}

/// Name of the login by commands.
const AUTHINFO: &str = "AUTHINFO";

pub(super) struct Nntp {
    pending: Queue<Command>,
    turn: Turn,
    user: Option<Text>,
    /// A user was named and no password sent since: where.
    user_alone: Option<Box<Mark>>,
    auth: Option<Box<(Exchange, Mark)>>,
    /// Lines of CAPABILITIES are coming in.
    list: Option<Builder>,
    /// Octets of the client were not captured: its lines may be an article's until a reply shows that they are commands.
    in_doubt: bool,
}

impl Nntp {
    pub(super) fn new(start: Start) -> Self {
        let mut pending = Queue::default();
        if !start.is_midstream {
            pending.push(Command::Greeting, 0);
        }
        let in_doubt = start.is_midstream;
        Self { pending, turn: Turn::Commands, user: None, user_alone: None, auth: None, list: None, in_doubt }
    }

    fn command(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        let (verb, argument) = split_word(line.octets);
        cx.command(verb, line.last);
        let command = match &*verbs::upper(verb) {
            b"AUTHINFO" => self.authinfo(argument, line, cx),
            b"CAPABILITIES" => Command::Capabilities,
            b"STARTTLS" => {
                cx.starttls_requested(line.last);
                self.turn = Turn::StarttlsReply;
                Command::Starttls
            }
            b"POST" | b"IHAVE" => {
                self.turn = Turn::PostReply;
                Command::Post
            }
            b"LISTGROUP" => Command::ListGroup,
            b"QUIT" => {
                cx.note(line.last, Observation::Goodbye);
                Command::Quit
            }
            _ => Command::Other,
        };
        if let Some(Command::Login(attempt)) = self.pending.push(command, line.end) {
            emit(*attempt, Outcome::Unknown(Reason::NoReply), cx);
        }
    }

    /// RFC 4643 §2.3: the password is the rest of the line as it stands.
    fn authinfo(&mut self, argument: &[u8], line: &Line<'_>, cx: &mut Context<'_>) -> Command {
        let (kind, value) = split_word(argument);
        match &*verbs::upper(kind) {
            b"USER" => {
                self.tell_user_alone(cx);
                // The first word: what else was typed may be the password.
                self.user =
                    Some(Text::new(value.trim_ascii().split(u8::is_ascii_whitespace).next().unwrap_or_default()));
                self.user_alone = Some(Box::new(line.last));
                Command::Other
            }
            b"PASS" => {
                self.user_alone = None;
                let mut attempt = sasl::direct(AUTHINFO, Variant::Command, self.user.clone(), line.last);
                attempt.secret = (!line.is_cut).then(|| Secret::new(value));
                Command::Login(Box::new(attempt))
            }
            b"SASL" => {
                let (name, initial) = split_verb(value.trim_ascii_start());
                if !mechanisms::is_mechanism_name(name) {
                    return Command::Other;
                }
                let exchange = Exchange::begun(name, initial, line);
                self.auth = Some(Box::new((exchange, line.last)));
                self.turn = Turn::AuthReply;
                Command::Auth
            }
            _ => Command::Other,
        }
    }

    /// AUTHINFO SASL was lost; what it brought about goes on.
    fn resume_auth(&mut self, exchange: Exchange, line: &Line<'_>, cx: &mut Context<'_>) {
        self.pending.lose();
        self.give_up_pending(cx);
        self.pending.push(Command::Auth, 0);
        self.auth = Some(Box::new((exchange, line.last)));
        self.turn = Turn::AuthReply;
    }

    fn tell_user_alone(&mut self, cx: &mut Context<'_>) {
        if let (Some(mark), Some(user)) = (self.user_alone.take().map(|mark| *mark), self.user.clone()) {
            let username = Username { user, mechanism: Text::new(AUTHINFO.as_bytes()), mark };
            cx.note(mark, Observation::Username(Box::new(username)));
        }
    }

    fn reply(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        let Some((code, text)) = parse_reply(line.octets) else { return };
        if code == 383 {
            if self.auth.is_none() && (self.in_doubt || cx.answers_unseen(line)) {
                self.resume_auth(Exchange::unnamed(), line, cx);
            }
            if let Some((exchange, _)) = self.auth.as_deref_mut() {
                exchange.challenge(text, line.last);
                self.turn = Turn::AuthResponse;
            }
            return;
        }
        if self.pending.front(line).is_none() || self.pending.is_unsure() {
            self.give_up_pending(cx);
            // These answer POST and IHAVE only: the command was lost, and an article follows all the same.
            if matches!(code, 335 | 340) {
                self.begin_article(cx);
            }
            return;
        }
        let Some(command) = self.pending.pop() else { return };
        let in_doubt = self.in_doubt;
        self.in_doubt &= code != 381 && matches!(command, Command::Login(_) | Command::Other);
        let has_lines = matches!(code, 100 | 101 | 215 | 220 | 221 | 222 | 224 | 225 | 230 | 231)
            || code == 211 && matches!(command, Command::ListGroup);
        match command {
            Command::Greeting => cx.note(line.last, Observation::Greeting(Text::new(text))),
            Command::Capabilities if code == 101 => {
                self.list = Some(Builder::default());
                return;
            }
            Command::Login(_) if in_doubt && !answers_login(code) => {}
            Command::Login(mut attempt) => {
                attempt.code = Some(Text::new(code.to_string().as_bytes()));
                emit(*attempt, judge_code(code), cx);
            }
            Command::Auth if in_doubt && !answers_auth(code) => self.auth = None,
            Command::Auth => self.end_auth(judge_code(code), Some(Text::new(code.to_string().as_bytes())), cx),
            Command::Starttls => {
                self.turn = Turn::Commands;
                let reply = match code {
                    382 => StarttlsReply::Accepted,
                    400..600 => StarttlsReply::Refused,
                    _ => StarttlsReply::Odd,
                };
                cx.starttls_replied(line.last, reply, code.to_string().as_bytes());
            }
            Command::Post => {
                self.turn = Turn::Commands;
                if matches!(code, 335 | 340) {
                    self.begin_article(cx);
                }
            }
            _ => {}
        }
        if has_lines {
            *cx.server = Mode::Body(DotBody::new(true));
        }
    }

    fn begin_article(&mut self, cx: &mut Context<'_>) {
        *cx.client = Mode::Body(DotBody::new(false));
        self.pending.push(Command::Other, 0);
    }

    fn capability(&mut self, mut list: Builder, line: &Line<'_>, cx: &mut Context<'_>) {
        if line.octets != b"." {
            list.add_line(line.octets);
            self.list = Some(list);
            return;
        }
        cx.note(line.last, Observation::Capabilities(list.listing(CapabilitySource::Capability, line.end)));
    }

    fn end_auth(&mut self, outcome: Outcome, code: Option<Text>, cx: &mut Context<'_>) {
        if matches!(self.turn, Turn::AuthReply | Turn::AuthResponse) {
            self.turn = Turn::Commands;
        }
        let Some((exchange, mark)) = self.auth.take().map(|auth| *auth) else { return };
        if exchange.is_orphan() && matches!(outcome, Outcome::Unknown(_)) {
            return;
        }
        if let Some(attempt) = exchange.conclude(outcome, code, mark).attempt(cx.out) {
            cx.note(attempt.mark, Observation::Login(attempt));
        }
    }

    fn give_up_pending(&mut self, cx: &mut Context<'_>) {
        if !self.pending.is_unsure() {
            return;
        }
        let lost: Vec<Command> = self.pending.drain().collect();
        for command in lost {
            match command {
                Command::Login(attempt) if !self.in_doubt => emit(*attempt, Outcome::Unknown(Reason::Gap), cx),
                Command::Auth => self.end_auth(Outcome::Unknown(Reason::Gap), None, cx),
                _ => {}
            }
        }
        if self.turn != Turn::AuthResponse {
            self.turn = Turn::Commands;
        }
    }
}

/// The first word and the rest. Any number of blanks and tabs may stand between (RFC 3977 §3.1); what stands after
/// the last of a login's words is part of its value.
fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(|c| matches!(c, b' ' | b'\t')).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    (word, rest.trim_ascii_start())
}

/// Whether nothing but a login is answered so.
fn answers_auth(code: u16) -> bool {
    matches!(code, 281 | 283 | 481 | 482)
}

/// Whether a login is answered so.
fn answers_login(code: u16) -> bool {
    matches!(code, 281 | 283 | 480..=483 | 500..=502)
}

/// RFC 4643 §2.3.1 and §2.4.1.
fn judge_code(code: u16) -> Outcome {
    match code {
        281 | 283 => Outcome::Accepted,
        483 => Outcome::RefusedByPolicy,
        482 | 501 => Outcome::Cancelled,
        400 | 403 => Outcome::Unknown(Reason::Temporary),
        _ => Outcome::Rejected,
    }
}

fn emit(mut attempt: Attempt, outcome: Outcome, cx: &mut Context<'_>) {
    attempt.outcome = outcome;
    cx.note(attempt.mark, Observation::Login(Box::new(attempt)));
}

/// RFC 3977 §3.2: three digits and a space or the end.
pub(super) fn parse_reply(line: &[u8]) -> Option<(u16, &[u8])> {
    let [a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = line else { return None };
    let code = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
    matches!(rest.first(), None | Some(b' ')).then(|| (code, rest.trim_ascii()))
}

impl Machine for Nntp {
    fn line_cap(&self, _: Direction) -> usize {
        if self.auth.is_some() { SASL_LINE_OCTETS } else { LINE_OCTETS }
    }

    fn client(&mut self, unit: Unit<'_>, cx: &mut Context<'_>) {
        let line = match unit {
            Unit::Line(line) => line,
            Unit::BodyEnd => return cx.note(cx.mark, Observation::Content(ContentStep::Passed)),
            Unit::Literal { .. } | Unit::Skipped => return,
        };
        if self.pending.is_unsure() && line.first.seen.is_none_or(|seen| seen >= cx.server_end) {
            if self.auth.is_some() { self.pending.settle() } else { self.give_up_pending(cx) }
        }
        if self.turn != Turn::AuthResponse {
            if self.in_doubt
                && self.auth.is_none()
                && let Some(exchange) = Exchange::beginning_with(&line)
            {
                self.resume_auth(exchange, &line, cx);
            } else if !line.follows_loss || split_verb(line.octets).0.eq_ignore_ascii_case(b"AUTHINFO") {
                self.command(&line, cx);
            }
            return;
        }
        if let Some((exchange, mark)) = self.auth.as_deref_mut() {
            exchange.respond_line(&line);
            *mark = line.last;
            if exchange.is_asked_again() {
                return;
            }
        }
        self.turn = Turn::AuthReply;
    }

    fn server(&mut self, unit: Unit<'_>, cx: &mut Context<'_>) {
        let Unit::Line(line) = unit else { return };
        match self.list.take() {
            Some(list) => self.capability(list, &line, cx),
            None => self.reply(&line, cx),
        }
    }

    fn discloses(&self, line: &[u8]) -> bool {
        let (verb, argument) = split_word(line);
        let is_pass = verb.eq_ignore_ascii_case(b"AUTHINFO")
            && argument.get(..5).is_some_and(|word| word.eq_ignore_ascii_case(b"PASS "));
        self.turn == Turn::AuthResponse || is_pass
    }

    fn is_waiting(&self) -> bool {
        matches!(self.turn, Turn::AuthReply | Turn::PostReply | Turn::StarttlsReply)
    }

    fn assume(&mut self, next: &[u8], cx: &mut Context<'_>) {
        let turn = std::mem::replace(&mut self.turn, Turn::Commands);
        match turn {
            Turn::AuthReply => {
                let goes_on = self.auth.as_deref().is_some_and(|(exchange, _)| exchange.may_continue());
                if goes_on && sasl::next_is_response(next) {
                    if let Some((exchange, _)) = self.auth.as_deref_mut() {
                        exchange.lose_challenge(cx.has_gap);
                    }
                    self.turn = Turn::AuthResponse;
                } else {
                    self.pending.pop_through(|command| matches!(command, Command::Auth));
                    self.end_auth(Outcome::Unknown(Reason::NoReply), None, cx);
                }
            }
            // An article has headers; a command has no colon after its first word.
            Turn::PostReply => {
                let word = split_verb(next.split(|&c| c == b'\n').next().unwrap_or_default()).0;
                if word.ends_with(b":") {
                    *cx.client = Mode::Body(DotBody::new(false));
                }
            }
            _ => {}
        }
    }

    fn lost(&mut self, direction: Direction, cx: &mut Context<'_>) {
        if direction == Direction::ToServer {
            (self.user, self.user_alone) = (None, None);
            self.in_doubt = true;
            if let Some((exchange, _)) = self.auth.as_deref_mut() {
                exchange.lose_answer(cx.mark.end);
            }
            return;
        }
        if self.list.take().is_some() {
            cx.note(cx.mark, Observation::NoCapabilities(Reason::Gap));
        }
        if let Some((exchange, _)) = self.auth.as_deref_mut() {
            exchange.lose_prompt();
        }
        self.pending.lose();
    }

    fn load(&self) -> Load {
        let is_login = |command: &Command| matches!(command, Command::Login(_) | Command::Auth);
        let of = |command: &Command| if let Command::Login(attempt) = command { attempt.octets() } else { 0 };
        let exchange = self.auth.as_deref().map_or(0, |auth| size_of_val(auth) + auth.0.octets());
        let user = self.user.as_ref().map_or(0, Text::octets);
        let list = self.list.as_ref().map_or(0, Builder::octets);
        Load {
            octets: self.pending.octets(of) + exchange + user + list,
            has_open_login: self.user_alone.is_some() || self.auth.is_some() || self.pending.any(is_login),
            ..Load::default()
        }
    }

    fn end(&mut self, why: Reason, cx: &mut Context<'_>) {
        self.tell_user_alone(cx);
        let left: Vec<Command> = self.pending.drain().collect();
        for command in left {
            if let Command::Login(attempt) = command
                && (!self.in_doubt || why == Reason::Asymmetric)
            {
                emit(*attempt, Outcome::Unknown(why), cx);
            }
        }
        self.end_auth(Outcome::Unknown(why), None, cx);
    }
}
