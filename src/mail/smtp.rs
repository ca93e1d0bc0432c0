//! SMTP, submission and LMTP (RFC 2033): RFC 5321, 2920 (pipelining), 3030 (BDAT), 3207 (STARTTLS), 4954 (AUTH), 6409.
//!
//! A reply is taken for the oldest command (RFC 2920 §3.1); after a loss only codes that fit no other command are.
//! What follows AUTH, DATA and STARTTLS is read when the server's reply says how.

use super::Start;
use super::dialogue::{Context, Machine, Mode, Unit};
use super::framing::{DotBody, Line};
use super::observe::{Capabilities, CapabilitySource, Observation, Outcome, Reason, StarttlsReply};
use super::pending::Queue;
use super::pop3::split_verb;
use super::sasl::{self, Exchange};
use super::text::Text;
use crate::limits::{LINE_OCTETS, PENDING_COMMANDS, SASL_LINE_OCTETS};
use crate::stream::{Direction, Mark};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    Greeting,
    Ehlo,
    Helo,
    Auth,
    Starttls,
    Data,
    /// The end of a message, by dot or BDAT.
    Message,
    Quit,
    Recipient,
    Other,
}

/// What the client's next octets depend on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Nothing: commands.
    Commands,
    /// The reply to AUTH or to a response.
    AuthReply,
    /// The client owes a response.
    AuthResponse,
    /// The reply to DATA.
    DataReply,
    /// The reply to STARTTLS.
    StarttlsReply,
}

pub(super) struct Smtp {
    /// One reply to a message for each accepted recipient (RFC 2033 §4.2).
    is_lmtp: bool,
    /// Recipients accepted of the message under way.
    recipients: usize,
    pending: Queue<Command>,
    turn: Turn,
    auth: Option<(Exchange, Mark)>,
    reply: Reply,
    in_body: bool,
    /// Client octets were lost, and no reply since shows that it is not in the middle of a message.
    in_doubt: bool,
    /// The AUTH under way was read in doubt: only an answer to it proves it one.
    auth_in_doubt: bool,
    /// Client octets were lost since AUTH: an answer may be to another one.
    another_auth_may_be_lost: bool,
}

/// A reply being read, line by line.
#[derive(Default)]
struct Reply {
    lines: u32,
    has_starttls: bool,
    /// The beginning was lost: what is missing may have been a capability.
    is_partial: bool,
}

impl Smtp {
    pub(super) fn new(start: Start) -> Self {
        let mut pending = Queue::default();
        if !start.is_midstream {
            pending.push(Command::Greeting, 0);
        }
        Self {
            is_lmtp: false,
            recipients: 0,
            pending,
            turn: Turn::Commands,
            auth: None,
            reply: Reply::default(),
            in_body: false,
            in_doubt: false,
            auth_in_doubt: false,
            another_auth_may_be_lost: false,
        }
    }

    pub(super) fn lmtp(start: Start) -> Self {
        Self { is_lmtp: true, ..Self::new(start) }
    }

    fn command(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        let (verb, argument) = split_verb(line.octets);
        let command = match verb.to_ascii_uppercase().as_slice() {
            b"EHLO" | b"LHLO" => {
                note_client(argument, line, cx);
                Command::Ehlo
            }
            b"HELO" => {
                note_client(argument, line, cx);
                Command::Helo
            }
            b"AUTH" => self.begin_auth(argument, line),
            // X-ANONYMOUSTLS is Exchange's second verb for the same.
            b"STARTTLS" | b"X-ANONYMOUSTLS" => {
                cx.note(line.last, Observation::StarttlsRequested);
                self.turn = Turn::StarttlsReply;
                Command::Starttls
            }
            b"DATA" => {
                self.turn = Turn::DataReply;
                Command::Data
            }
            b"BDAT" => self.bdat(argument, line, cx),
            b"QUIT" => {
                cx.note(line.last, Observation::Goodbye);
                Command::Quit
            }
            b"RCPT" => Command::Recipient,
            b"RSET" | b"MAIL" => {
                self.recipients = 0;
                Command::Other
            }
            _ => Command::Other,
        };
        self.pending.push(command, line.end);
    }

    fn begin_auth(&mut self, argument: &[u8], line: &Line<'_>) -> Command {
        let (name, initial) = split_verb(argument.trim_ascii_start());
        if !sasl::is_mechanism_name(name) {
            return Command::Other;
        }
        let mut exchange = Exchange::new(name);
        if !initial.trim_ascii().is_empty() {
            exchange.initial(initial, line.last);
            if line.is_cut {
                exchange.cut();
            }
        }
        self.auth = Some((exchange, line.last));
        self.auth_in_doubt = self.in_doubt;
        self.another_auth_may_be_lost = false;
        self.turn = Turn::AuthReply;
        Command::Auth
    }

    /// RFC 3030 §2: `BDAT octets [LAST]`; the octets follow at once.
    fn bdat(&mut self, argument: &[u8], line: &Line<'_>, cx: &mut Context<'_>) -> Command {
        let (size, last) = split_verb(argument.trim_ascii());
        let Some(size) = std::str::from_utf8(size).ok().and_then(|size| size.parse::<u64>().ok()) else {
            cx.note(line.last, Observation::Desync);
            return Command::Other;
        };
        if size > 0 {
            *cx.client = Mode::Skip(size);
        }
        if last.trim_ascii().eq_ignore_ascii_case(b"LAST") {
            cx.note(line.last, Observation::Content);
        }
        Command::Other
    }

    fn reply_line(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        let Some((code, is_last, text)) = parse_reply(line.octets) else {
            // Free text inside a reply; outside, a loss. Either way the next numbered line is in step.
            return;
        };
        // A reply that no greeting has: the greeting came before the capture did.
        if self.pending.front(line) == Some(&Command::Greeting) && !matches!(code, 220 | 421 | 521 | 554) {
            self.pending.pop();
        }
        let is_ehlo = matches!(self.pending.front(line), Some(Command::Ehlo));
        if is_ehlo && self.reply.lines > 0 && code == 250 {
            self.capability(text);
        }
        self.reply.lines += 1;
        if !is_last {
            return;
        }
        let reply = std::mem::take(&mut self.reply);
        self.in_doubt = false;
        let was_unsure = self.pending.is_unsure();
        self.another_auth_may_be_lost |= cx.answers_unseen(line);
        let Some(command) = self.match_reply(code, line) else {
            // 354 answers DATA only: its command was lost, and a message follows all the same.
            if code == 354 && !self.in_body {
                self.begin_body(cx);
            }
            return;
        };
        if command == Command::Auth && was_unsure && self.another_auth_may_be_lost {
            return self.end_auth(Outcome::Unknown(Reason::Gap), None, cx);
        }
        self.replied(command, code, text, &reply, line, cx);
    }

    fn capability(&mut self, text: &[u8]) {
        let word = text.split(|&c| c == b' ' || c == b'=').next().unwrap_or_default();
        self.reply.has_starttls |=
            word.eq_ignore_ascii_case(b"STARTTLS") || word.eq_ignore_ascii_case(b"X-ANONYMOUSTLS");
    }

    fn match_reply(&mut self, code: u16, line: &Line<'_>) -> Option<Command> {
        self.pending.front(line)?;
        if !self.pending.is_unsure() {
            // A challenge answers the command without ending it.
            return if code == 334 { Some(Command::Auth) } else { self.pending.pop() };
        }
        let wanted = match code {
            334 if self.auth.is_some() => return Some(Command::Auth),
            235 | 432 | 454 | 534 | 535 | 538 if self.auth.is_some() => Command::Auth,
            354 => Command::Data,
            221 => Command::Quit,
            _ => return None,
        };
        let found = self.pending.pop_through(|command| *command == wanted);
        self.pending.settle();
        found
    }

    fn replied(
        &mut self,
        command: Command,
        code: u16,
        text: &[u8],
        reply: &Reply,
        line: &Line<'_>,
        cx: &mut Context<'_>,
    ) {
        match command {
            Command::Greeting => cx.note(line.last, Observation::Greeting(Text::new(text))),
            Command::Ehlo if code / 100 == 2 && reply.is_partial => {
                cx.note(line.last, Observation::NoCapabilities(Reason::Gap));
            }
            Command::Ehlo if code / 100 == 2 => {
                let has_starttls = reply.has_starttls;
                let list = Capabilities { source: CapabilitySource::Ehlo, has_starttls, end: line.end };
                cx.note(line.last, Observation::Capabilities(list));
            }
            Command::Helo => cx.note(line.last, Observation::NoCapabilities(Reason::NotAsked)),
            Command::Auth => self.auth_replied(code, text, cx),
            Command::Starttls => {
                self.leave(Turn::StarttlsReply);
                let class = match code {
                    220 => StarttlsReply::Accepted,
                    400..500 => StarttlsReply::RefusedTemporarily,
                    500..600 => StarttlsReply::Refused,
                    _ => StarttlsReply::Odd,
                };
                cx.starttls_replied(line.last, class, code.to_string().as_bytes());
            }
            Command::Data => {
                self.leave(Turn::DataReply);
                if code == 354 {
                    self.begin_body(cx);
                }
            }
            Command::Recipient => self.recipients += usize::from(code / 100 == 2),
            // The server is done with the message, whatever its end looked like to us.
            Command::Message if self.in_body => self.end_body(line.end, cx),
            _ => {}
        }
    }

    fn leave(&mut self, turn: Turn) {
        if self.turn == turn {
            self.turn = Turn::Commands;
        }
    }

    fn begin_body(&mut self, cx: &mut Context<'_>) {
        self.in_body = true;
        *cx.client = Mode::Body(DotBody::new(false));
        // The reply to the message may come before its end is recognised.
        let replies = if self.is_lmtp { self.recipients.clamp(1, PENDING_COMMANDS) } else { 1 };
        for _ in 0..replies {
            self.pending.push(Command::Message, 0);
        }
    }

    fn end_body(&mut self, end: u64, cx: &mut Context<'_>) {
        self.in_body = false;
        cx.end_body_at(end);
        cx.note(cx.mark, Observation::Content);
    }

    fn auth_replied(&mut self, code: u16, text: &[u8], cx: &mut Context<'_>) {
        if code == 334 {
            self.auth_in_doubt = false;
            if let Some((exchange, _)) = &mut self.auth {
                exchange.challenge(text);
                self.turn = Turn::AuthResponse;
            }
            return;
        }
        let outcome = match code {
            235 => Outcome::Accepted,
            454 | 421 => Outcome::Unknown(Reason::Temporary),
            501 => Outcome::Cancelled,
            534 | 538 | 530 => Outcome::RefusedByPolicy,
            // RFC 4954 §4: the command was not taken; the secret, if any, is exposed all the same.
            500 | 502..=504 => Outcome::RefusedByPolicy,
            200..300 => Outcome::Unknown(Reason::Desync),
            _ => Outcome::Rejected,
        };
        self.end_auth(outcome, Some(Text::new(code.to_string().as_bytes())), cx);
    }

    fn end_auth(&mut self, outcome: Outcome, code: Option<Text>, cx: &mut Context<'_>) {
        if matches!(self.turn, Turn::AuthReply | Turn::AuthResponse) {
            self.turn = Turn::Commands;
        }
        let Some((exchange, mark)) = self.auth.take() else { return };
        let is_text = std::mem::take(&mut self.auth_in_doubt) && matches!(outcome, Outcome::Unknown(_));
        if let Some(attempt) = exchange.conclude(outcome, code, mark).filter(|_| !is_text) {
            cx.note(attempt.mark, Observation::Login(Box::new(attempt)));
        }
    }

    fn give_up_pending(&mut self, cx: &mut Context<'_>) {
        let lost: Vec<Command> = self.pending.drain().collect();
        if lost.contains(&Command::Auth) {
            self.end_auth(Outcome::Unknown(Reason::Gap), None, cx);
        }
        if lost.contains(&Command::Ehlo) {
            cx.note(cx.mark, Observation::NoCapabilities(Reason::Gap));
        }
        self.turn = Turn::Commands;
    }
}

fn note_client(name: &[u8], line: &Line<'_>, cx: &mut Context<'_>) {
    if let Some(name) = Text::host(name.trim_ascii()) {
        cx.note(line.last, Observation::Client(name));
    }
}

/// RFC 5321 §4.2: `code SP|- text`, or the code alone.
pub(super) fn parse_reply(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = line else { return None };
    let code = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
    match rest {
        [] => Some((code, true, rest)),
        [b' ', text @ ..] => Some((code, true, text)),
        [b'-', text @ ..] => Some((code, false, text)),
        _ => None,
    }
}

/// Verbs that leave an exchange, and that begin a line after a loss.
const VERBS: [&[u8]; 11] =
    [b"QUIT", b"RSET", b"NOOP", b"MAIL", b"RCPT", b"DATA", b"BDAT", b"EHLO", b"HELO", b"AUTH", b"STARTTLS"];

impl Machine for Smtp {
    fn line_cap(&self, _: Direction) -> usize {
        if self.auth.is_some() { SASL_LINE_OCTETS } else { LINE_OCTETS }
    }

    fn client(&mut self, unit: Unit<'_>, cx: &mut Context<'_>) {
        let line = match unit {
            Unit::Line(line) => line,
            Unit::BodyEnd => {
                // When the server was done first, it counted as one then.
                if std::mem::take(&mut self.in_body) {
                    cx.note(cx.mark, Observation::Content);
                }
                return;
            }
            Unit::Literal { .. } | Unit::Skipped => return,
        };
        let is_due = self.turn == Turn::AuthResponse && sasl::next_is_response(line.octets);
        if line.follows_loss
            && !is_due
            && !VERBS.iter().any(|verb| verb.eq_ignore_ascii_case(split_verb(line.octets).0))
        {
            return;
        }
        if self.pending.is_unsure() && line.first.seen.is_none_or(|seen| seen >= cx.server_end) {
            let auth_goes_on = self.turn == Turn::AuthResponse;
            if !auth_goes_on {
                self.give_up_pending(cx);
            }
        }
        if self.turn != Turn::AuthResponse {
            return self.command(&line, cx);
        }
        if sasl::gives_up(line.octets, &VERBS) {
            self.pending.pop_through(|command| *command == Command::Auth);
            self.end_auth(Outcome::Cancelled, None, cx);
            return self.command(&line, cx);
        }
        if let Some((exchange, mark)) = &mut self.auth {
            exchange.respond(line.octets, line.last);
            if line.is_cut {
                exchange.cut();
            }
            *mark = line.last;
        }
        self.turn = Turn::AuthReply;
    }

    fn server(&mut self, unit: Unit<'_>, cx: &mut Context<'_>) {
        if let Unit::Line(line) = unit {
            self.reply_line(&line, cx);
        }
    }

    fn is_waiting(&self) -> bool {
        matches!(self.turn, Turn::AuthReply | Turn::DataReply | Turn::StarttlsReply)
    }

    fn assume(&mut self, next: &[u8], cx: &mut Context<'_>) {
        let turn = std::mem::replace(&mut self.turn, Turn::Commands);
        match turn {
            Turn::DataReply => {
                self.pending.pop_through(|command| *command == Command::Data);
                self.in_doubt = begins_with_command(next);
                if !next.is_empty() && !self.in_doubt {
                    self.begin_body(cx);
                }
            }
            Turn::AuthReply => {
                let goes_on = self.auth.as_ref().is_some_and(|(exchange, _)| exchange.may_continue());
                if goes_on && sasl::next_is_response(next) {
                    self.turn = Turn::AuthResponse;
                } else {
                    self.pending.pop_through(|command| *command == Command::Auth);
                    self.end_auth(Outcome::Unknown(Reason::NoReply), None, cx);
                }
            }
            _ => {}
        }
    }

    fn lost(&mut self, direction: Direction, _: &mut Context<'_>) {
        if direction == Direction::ToClient {
            self.reply.is_partial = true;
            self.pending.lose();
        } else {
            self.in_doubt = true;
            self.another_auth_may_be_lost = true;
        }
    }

    fn end(&mut self, why: Reason, cx: &mut Context<'_>) {
        self.end_auth(Outcome::Unknown(why), None, cx);
        if std::mem::take(&mut self.in_body) {
            cx.note(cx.mark, Observation::Content);
        }
    }
}

/// Whether what follows DATA is a command after all: the server refused.
fn begins_with_command(next: &[u8]) -> bool {
    const AFTER_REFUSAL: [&[u8]; 6] = [b"QUIT", b"RSET", b"MAIL", b"RCPT", b"NOOP", b"AUTH"];
    let line = next.split(|&c| c == b'\n').next().unwrap_or_default().trim_ascii();
    let (verb, _) = split_verb(line);
    AFTER_REFUSAL.iter().any(|known| known.eq_ignore_ascii_case(verb))
}
