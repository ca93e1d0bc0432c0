//! ManageSieve: RFC 5804. Strings are quoted or literal; every reply ends in a line that begins OK, NO or BYE.
//!
//! The capability block is the server's greeting too, and comes again, inside TLS, after STARTTLS. Scripts are
//! literals and are skipped, whatever they look like.

use super::capabilities::Builder;
use super::dialogue::{Context, Machine, Mode, Unit};
use super::framing::Line;
use super::imap_text::{argument, literal_marker};
use super::mechanisms;
use super::observe::{CapabilitySource, Instruction, Observation, Outcome, Reason, StarttlsReply};
use super::pending::Queue;
use super::pop3::split_verb;
use super::sasl::{self, Exchange};
use super::text::Text;
use super::{Load, Start, verbs};
use crate::limits::{LITERAL_OCTETS, SASL_LINE_OCTETS};
use crate::stream::{Direction, Mark};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    /// The greeting, or the reply to CAPABILITY.
    Capabilities,
    Auth,
    Starttls,
    Other,
}

/// What the client's next octets depend on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Commands,
    AuthReply,
    AuthResponse,
    StarttlsReply,
}

pub(super) struct Sieve {
    pending: Queue<Command>,
    turn: Turn,
    auth: Option<Box<(Exchange, Mark)>>,
    /// The capability block being read.
    list: Builder,
    is_partial: bool,
    greeted: bool,
    /// A client line went on into a literal: the verb it began with.
    open: Option<Vec<u8>>,
    /// A server line went on into a literal.
    in_reply: bool,
    /// Commands may have been lost that had no reply yet.
    in_doubt: bool,
    /// AUTHENTICATE was read when they may have been: it may be a line of a script.
    auth_in_doubt: bool,
}

impl Sieve {
    pub(super) fn new(start: Start) -> Self {
        let mut pending = Queue::default();
        if !start.is_midstream {
            pending.push(Command::Capabilities, 0);
        }
        Self {
            pending,
            turn: Turn::Commands,
            auth: None,
            list: Builder::default(),
            is_partial: false,
            greeted: start.is_midstream,
            open: None,
            in_reply: false,
            in_doubt: start.is_midstream,
            auth_in_doubt: false,
        }
    }

    fn command(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        let (verb, rest) = split_verb(line.octets);
        let verb = verbs::upper(verb.trim_ascii());
        let marker = literal_marker(line.octets);
        cx.command(split_verb(line.octets).0, line.last);
        match &verb[..] {
            b"AUTHENTICATE" => self.begin_auth(rest, line),
            b"STARTTLS" => {
                cx.starttls_requested(line.last);
                self.turn = Turn::StarttlsReply;
                self.pending.push(Command::Starttls, line.end);
            }
            b"CAPABILITY" => drop(self.pending.push(Command::Capabilities, line.end)),
            b"LOGOUT" => {
                cx.note(line.last, Observation::Goodbye);
                self.pending.push(Command::Other, line.end);
            }
            b"" => return,
            _ if marker.is_none() => drop(self.pending.push(Command::Other, line.end)),
            _ => {}
        }
        if let Some(marker) = marker {
            let keeps = verb == b"AUTHENTICATE" && marker.octets <= LITERAL_OCTETS as u64;
            match marker.octets {
                0 => {}
                octets if keeps => *cx.client = Mode::Keep(octets),
                octets => *cx.client = Mode::Skip(octets),
            }
            self.open = Some(verb.to_vec());
        }
    }

    /// `AUTHENTICATE "MECH" ["response" | {n+}]`.
    fn begin_auth(&mut self, rest: &[u8], line: &Line<'_>) {
        self.auth_in_doubt = self.in_doubt;
        let marker = literal_marker(rest);
        let text = marker.map_or(rest, |marker| &rest[..marker.at]);
        let Some(name) = argument(text).filter(|name| mechanisms::is_mechanism_name(&name.value)) else { return };
        let mut exchange = Exchange::new(&name.value);
        if let Some(initial) = argument(name.rest) {
            exchange.initial(&initial.value, line.last);
        }
        self.auth = Some(Box::new((exchange, line.last)));
        if marker.is_none() {
            self.turn = Turn::AuthReply;
        }
        self.pending.push(Command::Auth, line.end);
    }

    /// A response is a string on a line of its own.
    fn response(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        if let Some(marker) = literal_marker(line.octets) {
            *cx.client = if marker.octets <= LITERAL_OCTETS as u64 {
                Mode::Keep(marker.octets)
            } else {
                Mode::Skip(marker.octets)
            };
            self.open = Some(Vec::new());
            return;
        }
        if let Some((exchange, mark)) = self.auth.as_deref_mut() {
            match argument(line.octets) {
                Some(answer) => exchange.respond(&answer.value, line.last),
                None if line.is_cut => exchange.respond_unread(line.last),
                None => {}
            }
            if line.is_cut {
                exchange.cut();
            }
            *mark = line.last;
        }
        self.await_reply();
    }

    fn await_reply(&mut self) {
        let is_asked_again = self.auth.as_deref().is_some_and(|(exchange, _)| exchange.is_asked_again());
        self.turn = if is_asked_again { Turn::AuthResponse } else { Turn::AuthReply };
    }

    /// A literal of the client is whole.
    fn literal(&mut self, octets: &[u8], whole: bool, mark: Mark) {
        let is_initial = self.open.as_ref().is_some_and(|verb| !verb.is_empty());
        if let Some((exchange, last)) = self.auth.as_deref_mut().filter(|_| whole) {
            if is_initial {
                exchange.initial(octets, mark)
            } else {
                exchange.respond(octets, mark)
            }
            *last = mark;
        }
    }

    /// The rest of the line after a literal; empty as a rule.
    fn after_literal(&mut self, verb: &[u8], line: &Line<'_>) {
        if verb.is_empty() || verb == b"AUTHENTICATE" {
            self.await_reply();
        } else {
            self.pending.push(Command::Other, line.end);
        }
    }

    fn reply(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        let text = line.octets;
        let (status, rest) = split_verb(text);
        let known = [&b"OK"[..], b"NO", b"BYE"].into_iter().find(|known| status.eq_ignore_ascii_case(known));
        match known {
            Some(status) => self.concluded(status, rest, line, cx),
            None => self.string(text, line, cx),
        }
        if let Some(marker) = literal_marker(text) {
            self.in_reply = true;
            let may_be = self.auth.is_some() || self.misses_command(line, cx);
            let is_challenge = may_be && marker.at == 0 && marker.octets <= LITERAL_OCTETS as u64;
            match marker.octets {
                0 if is_challenge => self.challenged(b"", cx),
                0 => {}
                octets if is_challenge => *cx.server = Mode::Keep(octets),
                octets => *cx.server = Mode::Skip(octets),
            }
        }
    }

    /// A string on a line: a capability, or a challenge.
    fn string(&mut self, text: &[u8], line: &Line<'_>, cx: &mut Context<'_>) {
        let Some(word) = argument(text).filter(|word| word.is_quoted) else { return };
        if self.auth.is_some() || word.rest.is_empty() && self.misses_command(line, cx) {
            return self.challenged(&word.value, cx);
        }
        let parameters = argument(word.rest).map(|parameters| parameters.value).unwrap_or_default();
        self.list.add(&word.value, &parameters);
        if word.value.eq_ignore_ascii_case(b"IMPLEMENTATION")
            && !std::mem::replace(&mut self.greeted, true)
            && let Some(name) = argument(word.rest)
        {
            cx.note(cx.mark, Observation::Greeting(Text::new(&name.value)));
        }
    }

    /// Whether the server may be answering a command that was lost.
    fn misses_command(&self, line: &Line<'_>, cx: &Context<'_>) -> bool {
        self.pending.is_empty() && (self.in_doubt || cx.answers_unseen(line))
    }

    fn challenged(&mut self, text: &[u8], cx: &mut Context<'_>) {
        if self.auth.is_none() && sasl::is_challenge(text) {
            self.resume_auth(Exchange::unnamed(), cx.mark);
        }
        if let Some((exchange, _)) = self.auth.as_deref_mut() {
            exchange.challenge(text, cx.mark);
            self.turn = Turn::AuthResponse;
        }
    }

    /// AUTHENTICATE was lost; what it brought about goes on.
    fn resume_auth(&mut self, exchange: Exchange, mark: Mark) {
        self.auth = Some(Box::new((exchange, mark)));
        self.turn = Turn::AuthReply;
        self.pending.push(Command::Auth, 0);
    }

    fn concluded(&mut self, status: &[u8], rest: &[u8], line: &Line<'_>, cx: &mut Context<'_>) {
        let list = std::mem::take(&mut self.list);
        let is_partial = std::mem::take(&mut self.is_partial);
        if begins_with_code(rest, b"REFERRAL") {
            cx.note(line.last.as_known_to_client(), Observation::Instruction(Instruction::Referral));
        }
        // A script is answered when all of it was sent: what comes behind this reply is none of it.
        self.in_doubt = false;
        if self.pending.front(line).is_none() {
            return;
        }
        if self.pending.is_unsure() && !self.pending.is_single() {
            return self.give_up_pending(cx);
        }
        self.pending.settle();
        let is_ok = status == b"OK";
        match self.pending.pop() {
            Some(Command::Capabilities) if is_ok && !is_partial => {
                cx.note(line.last, Observation::Capabilities(list.finish(CapabilitySource::Capability, line.end)));
            }
            Some(Command::Capabilities) if is_partial => {
                cx.note(line.last, Observation::NoCapabilities(Reason::Gap));
            }
            Some(Command::Auth) => {
                // Whoever logs in awaits the reply; a script goes on.
                let goes_on =
                    line.last.seen.is_some_and(|seen| self.auth.as_deref().is_some_and(|(_, mark)| seen > mark.end));
                if self.auth_in_doubt && goes_on {
                    self.auth = None;
                }
                let (outcome, code) = judge_reply(is_ok, status, rest);
                self.end_auth(outcome, code, cx);
            }
            Some(Command::Starttls) => {
                self.turn = Turn::Commands;
                let reply = if is_ok { StarttlsReply::Accepted } else { StarttlsReply::Refused };
                cx.starttls_replied(line.last, reply, status);
            }
            _ => {}
        }
    }

    /// Replies were lost, and whose is not known.
    fn give_up_pending(&mut self, cx: &mut Context<'_>) {
        let lost: Vec<Command> = self.pending.drain().collect();
        if lost.contains(&Command::Capabilities) {
            cx.note(cx.mark, Observation::NoCapabilities(Reason::Gap));
        }
        self.end_auth(Outcome::Unknown(Reason::Gap), None, cx);
    }

    fn end_auth(&mut self, outcome: Outcome, code: Option<Text>, cx: &mut Context<'_>) {
        self.turn = Turn::Commands;
        let Some((exchange, mark)) = self.auth.take().map(|auth| *auth) else { return };
        let is_text = std::mem::take(&mut self.auth_in_doubt) && matches!(outcome, Outcome::Unknown(_));
        if exchange.is_orphan() && outcome != Outcome::Accepted || is_text {
            return;
        }
        if let Some(attempt) = exchange.conclude(outcome, code, mark).attempt(cx.out) {
            cx.note(attempt.mark, Observation::Login(attempt));
        }
    }
}

/// Whether a response begins with this code in parentheses.
fn begins_with_code(rest: &[u8], code: &[u8]) -> bool {
    let inner = rest.trim_ascii_start().strip_prefix(b"(").unwrap_or_default();
    inner.len() >= code.len() && inner[..code.len()].eq_ignore_ascii_case(code)
}

/// RFC 5804 §1.3: what a code in parentheses says.
fn judge_reply(is_ok: bool, status: &[u8], rest: &[u8]) -> (Outcome, Option<Text>) {
    let code = rest.trim_ascii().strip_prefix(b"(").unwrap_or_default();
    let code = code.split(|c| matches!(c, b')' | b' ' | b'/')).next().unwrap_or_default().to_ascii_uppercase();
    let outcome = match code.as_slice() {
        _ if is_ok => Outcome::Accepted,
        b"ENCRYPT-NEEDED" | b"AUTH-TOO-WEAK" => Outcome::RefusedByPolicy,
        b"TRYLATER" => Outcome::Unknown(Reason::Temporary),
        _ if status == b"BYE" => Outcome::Unknown(Reason::Temporary),
        _ => Outcome::Rejected,
    };
    let tells = !is_ok && !code.is_empty();
    (outcome, Text::code(&code).filter(|_| tells))
}

impl Machine for Sieve {
    fn line_cap(&self, _: Direction) -> usize {
        SASL_LINE_OCTETS
    }

    fn client(&mut self, unit: Unit<'_>, cx: &mut Context<'_>) {
        match unit {
            Unit::Line(line) => {
                let is_command = verbs::known(split_verb(line.octets).0).is_some();
                let mut was_asked = false;
                if let Some(verb) = self.open.take() {
                    self.after_literal(&verb, &line);
                } else if self.turn == Turn::AuthResponse {
                    if !is_command {
                        return self.response(&line, cx);
                    }
                    was_asked = true;
                    // Its reply was lost, and what was taken for a challenge belongs to what comes now.
                    self.pending.pop_through(|command| *command == Command::Auth);
                    self.end_auth(Outcome::Unknown(Reason::Gap), None, cx);
                }
                // The client has read all replies, those that were lost, too.
                if self.pending.is_unsure() && line.first.seen.is_none_or(|seen| seen >= cx.server_end) {
                    self.give_up_pending(cx);
                }
                if !is_command
                    && self.in_doubt
                    && self.auth.is_none()
                    && let Some(answer) = argument(line.octets).filter(|answer| answer.is_quoted && !line.is_cut)
                    && let Some(exchange) = Exchange::beginning_with_response(&answer.value, line.last)
                {
                    self.resume_auth(exchange, line.last);
                } else if !line.follows_loss || is_command {
                    self.command(&line, cx);
                }
                if let Some((exchange, _)) = self.auth.as_deref_mut()
                    && was_asked
                    && self.turn == Turn::AuthReply
                    && exchange.may_continue()
                {
                    exchange.lose_prompt();
                    self.turn = Turn::AuthResponse;
                }
            }
            Unit::Literal { octets, whole } => self.literal(octets, whole, cx.mark),
            Unit::Skipped | Unit::BodyEnd => {}
        }
    }

    fn server(&mut self, unit: Unit<'_>, cx: &mut Context<'_>) {
        match unit {
            Unit::Line(_) if std::mem::take(&mut self.in_reply) => {}
            Unit::Line(line) => self.reply(&line, cx),
            Unit::Literal { octets, .. } => self.challenged(octets, cx),
            Unit::Skipped | Unit::BodyEnd => {}
        }
    }

    fn discloses(&self, _: &[u8]) -> bool {
        self.turn == Turn::AuthResponse
    }

    fn is_waiting(&self) -> bool {
        matches!(self.turn, Turn::AuthReply | Turn::StarttlsReply)
    }

    fn assume(&mut self, next: &[u8], cx: &mut Context<'_>) {
        let turn = std::mem::replace(&mut self.turn, Turn::Commands);
        if turn != Turn::AuthReply {
            return;
        }
        let goes_on = self.auth.as_deref().is_some_and(|(exchange, _)| exchange.may_continue());
        if goes_on && matches!(next.first(), Some(b'"' | b'{')) {
            if let Some((exchange, _)) = self.auth.as_deref_mut() {
                exchange.lose_challenge(cx.has_gap);
            }
            self.turn = Turn::AuthResponse;
        } else {
            self.pending.pop_through(|command| *command == Command::Auth);
            self.end_auth(Outcome::Unknown(Reason::NoReply), None, cx);
        }
    }

    fn lost(&mut self, direction: Direction, cx: &mut Context<'_>) {
        match direction {
            Direction::ToServer => {
                self.open = None;
                self.in_doubt = true;
                if let Some((exchange, _)) = self.auth.as_deref_mut() {
                    exchange.lose_answer(cx.mark.end);
                }
            }
            Direction::ToClient => {
                self.is_partial = true;
                self.in_reply = false;
                self.pending.lose();
                if let Some((exchange, _)) = self.auth.as_deref_mut() {
                    exchange.lose_prompt();
                }
            }
        }
    }

    fn load(&self) -> Load {
        let exchange = self.auth.as_deref().map_or(0, |auth| size_of_val(auth) + auth.0.octets());
        Load {
            octets: self.pending.octets(|_| 0)
                + self.list.octets()
                + exchange
                + self.open.as_ref().map_or(0, Vec::capacity),
            has_open_login: self.auth.is_some(),
            ..Load::default()
        }
    }

    fn end(&mut self, why: Reason, cx: &mut Context<'_>) {
        self.end_auth(Outcome::Unknown(why), None, cx);
    }
}
