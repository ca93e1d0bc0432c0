//! SMTP, submission and LMTP (RFC 2033): RFC 5321, 2920 (pipelining), 3030 (BDAT), 3207 (STARTTLS), 4954 (AUTH), 6409.
//!
//! A reply is taken for the oldest command (RFC 2920 §3.1); after a loss only codes that fit no other command are.
//! What follows AUTH, DATA and STARTTLS is read when the server's reply says how.

use super::capabilities::{self, Builder};
use super::dialogue::{Context, Machine, Mode, Unit};
use super::framing::{DotBody, Line};
use super::mechanisms;
use super::observe::{CapabilitySource, ContentStep, Observation, Outcome, Reason, StarttlsReply};
use super::pending::Queue;
use super::pop3::split_verb;
use super::sasl::{self, Exchange};
use super::text::Text;
use super::{Load, Start, verbs};
use crate::limits::{CHUNK_OCTETS, LINE_OCTETS, PENDING_COMMANDS, SASL_LINE_OCTETS};
use crate::stream::{Direction, Mark};
use zeroize::Zeroizing;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    Greeting,
    Ehlo,
    Helo,
    Auth,
    Starttls,
    Data,
    /// The end of a message by a dot.
    Message,
    /// BDAT with more to come.
    Chunk,
    /// The end of a message by BDAT.
    LastChunk,
    Mail,
    /// The roles are to change (RFC 2645 §4).
    Turn,
    /// Postfix's XCLIENT, which the server greets anew.
    Xclient,
    /// Something on the path has blanked it out.
    Masked,
    Quit,
    Recipient,
    Other,
}

impl Command {
    /// The client may send no other before its reply (RFC 2920 §3.1).
    fn ends_group(self) -> bool {
        matches!(self, Self::Greeting | Self::Ehlo | Self::Auth | Self::Starttls | Self::Data | Self::Quit)
    }
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
    auth: Option<Box<(Exchange, Mark)>>,
    /// The server asked for the response that the client owes.
    is_asked: bool,
    /// Such a response that looks like a verb: what the server answers tells which it is.
    verb_like: Option<Box<VerbLike>>,
    reply: Reply,
    /// Commands were lost, or came before the capture: what replies answer is not known by their order.
    out_of_step: bool,
    /// A reply came since the client's last line.
    has_replied: bool,
    in_body: bool,
    /// Client octets were lost, and no reply since shows that it is not in the middle of a message.
    in_doubt: bool,
    /// The AUTH under way was read in doubt: only an answer to it proves it one.
    auth_in_doubt: bool,
    /// Client octets were lost since AUTH: an answer may be to another one.
    another_auth_may_be_lost: bool,
    hello: Hello,
    /// The message under way demands TLS on every hop (RFC 8689 §2), and that was not told.
    requires_tls: bool,
    /// A chunk of the message under way held octets.
    chunked: bool,
    /// The octets of its last one are coming in.
    in_last_chunk: bool,
}

/// A line kept until it is known what it is.
struct VerbLike {
    octets: Zeroizing<Vec<u8>>,
    first: Mark,
    last: Mark,
    end: u64,
}

impl VerbLike {
    fn new(line: &Line<'_>) -> Self {
        Self { octets: Zeroizing::new(line.octets.to_vec()), first: line.first, last: line.last, end: line.end }
    }

    fn line(&self) -> Line<'_> {
        let Self { ref octets, first, last, end } = *self;
        Line { octets, first, last, end, is_cut: false, follows_loss: false }
    }
}

/// How the two ends greeted each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hello {
    Any,
    /// EHLO was refused.
    EhloRefused,
    /// And HELO taken.
    OnlyHelo,
    /// And that was told.
    Told,
}

/// A reply being read, line by line.
#[derive(Default)]
struct Reply {
    lines: u32,
    list: Builder,
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
            is_asked: false,
            verb_like: None,
            reply: Reply::default(),
            out_of_step: start.is_midstream,
            has_replied: false,
            in_body: false,
            in_doubt: start.is_midstream && start.server_captured,
            auth_in_doubt: false,
            another_auth_may_be_lost: false,
            hello: Hello::Any,
            requires_tls: false,
            chunked: false,
            in_last_chunk: false,
        }
    }

    pub(super) fn lmtp(start: Start) -> Self {
        Self { is_lmtp: true, ..Self::new(start) }
    }

    fn command(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        let (verb, argument) = split_verb(line.octets);
        cx.command(verb, line.last);
        let command = match &*verbs::upper(verb) {
            b"EHLO" | b"LHLO" => {
                note_client(argument, line, cx);
                Command::Ehlo
            }
            b"HELO" => {
                note_client(argument, line, cx);
                Command::Helo
            }
            // X-EXPS is Exchange's older verb for AUTH.
            b"AUTH" | b"X-EXPS" => self.begin_auth(argument, line),
            // X-ANONYMOUSTLS is Exchange's second verb for the same.
            b"STARTTLS" | b"X-ANONYMOUSTLS" => {
                cx.starttls_requested(line.last);
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
            b"RSET" => {
                (self.recipients, self.chunked, self.requires_tls) = (0, false, false);
                Command::Other
            }
            b"MAIL" => self.mail(argument, line, cx),
            b"TURN" | b"ATRN" => Command::Turn,
            b"XCLIENT" => Command::Xclient,
            verb if capabilities::is_masked_command(verb) => Command::Masked,
            _ => Command::Other,
        };
        self.pending.push(command, line.end);
    }

    fn mail(&mut self, argument: &[u8], line: &Line<'_>, cx: &mut Context<'_>) -> Command {
        self.recipients = 0;
        if self.hello == Hello::OnlyHelo {
            self.hello = Hello::Told;
            cx.note(line.last, Observation::DowngradedToHelo);
        }
        // Parameters follow the path, which may hold any word.
        let parameters = memchr::memrchr(b'>', argument).map_or(&[][..], |at| &argument[at + 1..]);
        let mut words = parameters.split(|&c| c == b' ');
        self.requires_tls = words.any(|word| word.eq_ignore_ascii_case(b"REQUIRETLS"));
        Command::Mail
    }

    /// Whether a line has the form of a response, whose AUTH and challenge were lost; the answer tells if it is one.
    fn is_orphan(&mut self, line: &Line<'_>, cx: &mut Context<'_>) -> bool {
        let Some(exchange) = Exchange::beginning_with(line) else { return false };
        self.resume_auth(exchange, line, cx);
        self.auth_in_doubt = true;
        true
    }

    fn begin_auth(&mut self, argument: &[u8], line: &Line<'_>) -> Command {
        let (name, initial) = split_verb(argument.trim_ascii_start());
        if !mechanisms::is_mechanism_name(name) {
            return Command::Other;
        }
        let exchange = Exchange::begun(name, initial, line);
        self.auth = Some(Box::new((exchange, line.last)));
        self.is_asked = false;
        self.auth_in_doubt = self.in_doubt;
        self.another_auth_may_be_lost = false;
        self.turn = Turn::AuthReply;
        Command::Auth
    }

    /// AUTH was lost; what it brought about goes on. Nothing else is answered by 334 or 235 (RFC 4954 §4).
    fn resume_auth(&mut self, exchange: Exchange, line: &Line<'_>, cx: &mut Context<'_>) {
        self.give_up_pending(cx);
        self.pending.push(Command::Auth, 0);
        self.auth = Some(Box::new((exchange, line.last)));
        self.turn = Turn::AuthReply;
    }

    /// RFC 3030 §2: `BDAT octets [LAST]`; the octets follow at once.
    fn bdat(&mut self, argument: &[u8], line: &Line<'_>, cx: &mut Context<'_>) -> Command {
        let (size, last) = split_verb(argument.trim_ascii());
        let is_last = last.trim_ascii().eq_ignore_ascii_case(b"LAST");
        let size = std::str::from_utf8(size).ok().and_then(|size| size.parse::<u64>().ok());
        let size = size.filter(|&size| size <= CHUNK_OCTETS);
        // What is no BDAT command the server refuses, and reads no octets for it.
        let Some(size) = size.filter(|_| is_last || last.trim_ascii().is_empty()) else { return Command::Other };
        if size > 0 {
            *cx.client = Mode::Skip(size);
        }
        self.chunked |= size > 0;
        if !is_last || !std::mem::take(&mut self.chunked) {
            return Command::Chunk;
        }
        match size {
            0 => cx.note(line.last, Observation::Content(ContentStep::Passed)),
            _ => self.in_last_chunk = true,
        }
        Command::LastChunk
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
        if code == 250 {
            match self.reply.lines {
                0 => self.reply.list.first_line(text),
                _ => self.reply.list.add_line(text),
            }
        }
        self.reply.lines = self.reply.lines.saturating_add(1);
        if !is_last {
            return;
        }
        let reply = std::mem::take(&mut self.reply);
        self.has_replied = true;
        self.in_doubt = false;
        let was_unsure = self.pending.is_unsure();
        self.another_auth_may_be_lost |= cx.answers_unseen(line);
        if self.auth_in_doubt && self.auth.as_deref().is_some_and(|(exchange, _)| exchange.is_orphan()) {
            // What a message's end is answered by, and no response.
            if !matches!(code, 235 | 535) {
                self.pending.pop_through(|command| *command == Command::Auth);
                self.auth = None;
                self.turn = Turn::Commands;
            }
        }
        if let Some(kept) = self.verb_like.take() {
            // Nothing in an exchange is answered so (RFC 4954 §4): the client left it.
            match code {
                200..300 | 354 if code != 235 => self.leave_auth(&kept.line(), cx),
                _ => self.respond(&kept.line()),
            }
        }
        if code == 334 && self.auth.is_none() && !self.in_body && (self.out_of_step || cx.answers_unseen(line)) {
            self.resume_auth(Exchange::unnamed(), line, cx);
        }
        let Some(command) = self.match_reply(code, reply.lines > 1, line) else {
            // 354 answers DATA only: its command was lost, and a message follows all the same.
            if code == 354 && !self.in_body {
                self.mail_taken(line, cx);
                self.begin_body(cx);
            }
            return;
        };
        if command == Command::Auth && was_unsure && self.another_auth_may_be_lost {
            return self.end_auth(Outcome::Unknown(Reason::Gap), None, cx);
        }
        self.replied(command, code, text, reply, line, cx);
    }

    /// The command that a reply answers. Some codes answer one command only (RFC 5321 §4.3.2, RFC 4954 §4), whatever
    /// is ahead of it in the queue: that was no command, or has had its answer. Others go by the order.
    fn match_reply(&mut self, code: u16, has_list: bool, line: &Line<'_>) -> Option<Command> {
        let front = *self.pending.front(line)?;
        let is_sure = !self.pending.is_unsure() && !self.out_of_step;
        let is_wanted: fn(&Command) -> bool = match code {
            // A challenge answers the command without ending it.
            334 if self.auth.is_some() => return Some(Command::Auth),
            235 | 334 => |command| *command == Command::Auth,
            432 | 454 | 534 | 535 | 538 if !is_sure && self.auth.is_some() => |command| *command == Command::Auth,
            354 => |command| *command == Command::Data,
            221 => |command| *command == Command::Quit,
            220 => |command| matches!(command, Command::Greeting | Command::Starttls | Command::Xclient),
            250 if has_list => |command| *command == Command::Ehlo,
            _ if is_sure => return self.pending.pop(),
            // Nothing is behind a command that ends a group, and here nothing is ahead of it: the refusal is its own.
            400.. if !self.pending.is_unsure() && front.ends_group() => return self.pending.pop(),
            _ => return None,
        };
        let found = self.pending.pop_through(is_wanted);
        match code {
            250 if found.is_none() => return if is_sure { self.pending.pop() } else { None },
            // AUTH and DATA end a group of commands (RFC 2920 §3.1): with one lost, all before it was answered.
            235 | 334 | 354 if found.is_none() => {
                while self.pending.front(line).is_some_and(|command| !command.ends_group()) {
                    self.pending.pop();
                }
                // Whoever is on the path may answer STARTTLS with any code at all.
                if is_sure && self.pending.front(line) == Some(&Command::Starttls) {
                    return self.pending.pop();
                }
            }
            _ => {}
        }
        self.pending.settle();
        self.out_of_step &= found.is_none();
        found
    }

    fn replied(
        &mut self,
        command: Command,
        code: u16,
        text: &[u8],
        reply: Reply,
        line: &Line<'_>,
        cx: &mut Context<'_>,
    ) {
        match command {
            Command::Greeting => cx.note(line.last, Observation::Greeting(Text::new(text))),
            Command::Ehlo if code == 250 && reply.is_partial => {
                cx.note(line.last, Observation::NoCapabilities(Reason::Gap));
            }
            Command::Ehlo if code == 250 => {
                let list = reply.list.finish(CapabilitySource::Ehlo, line.end);
                cx.note(line.last, Observation::Capabilities(list));
            }
            Command::Ehlo if code / 100 == 5 => self.hello = Hello::EhloRefused,
            Command::Helo => {
                if code / 100 == 2 && self.hello == Hello::EhloRefused {
                    self.hello = Hello::OnlyHelo;
                }
                cx.note(line.last, Observation::NoCapabilities(Reason::NotAsked));
            }
            Command::Mail if code / 100 == 2 => self.mail_taken(line, cx),
            Command::Mail if code / 100 == 5 => self.requires_tls = false,
            Command::Turn if code / 100 == 2 => cx.swap_roles(line.last),
            Command::Masked if matches!(code, 500 | 502) => cx.note(line.last, Observation::MaskedCommand),
            // A server reads the octets of a chunk that it refuses (RFC 3030 §2), but not of what it takes for none.
            Command::Chunk | Command::LastChunk if (500..=502).contains(&code) => cx.end_body_at(line.end),
            Command::LastChunk if code / 100 == 2 => {
                self.mail_taken(line, cx);
                cx.note(line.last.as_known_to_client(), Observation::Content(ContentStep::Accepted));
            }
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
                    self.mail_taken(line, cx);
                    self.begin_body(cx);
                }
            }
            Command::Recipient => self.recipients += usize::from(code / 100 == 2),
            // The server is done with the message, whatever its end looked like to us.
            Command::Message => {
                if self.in_body {
                    self.end_body(line.end, cx);
                }
                if code / 100 == 2 {
                    cx.note(line.last.as_known_to_client(), Observation::Content(ContentStep::Accepted));
                }
            }
            _ => {}
        }
    }

    /// The reply to MAIL may be lost; that its message goes on tells as much.
    fn mail_taken(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        if std::mem::take(&mut self.requires_tls) {
            cx.note(line.last.as_known_to_client(), Observation::RequireTls);
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
        cx.note(cx.mark, Observation::Content(ContentStep::Passed));
    }

    fn auth_replied(&mut self, code: u16, text: &[u8], cx: &mut Context<'_>) {
        if code == 334 {
            self.auth_in_doubt = false;
            if let Some((exchange, _)) = self.auth.as_deref_mut() {
                exchange.challenge(text, cx.mark);
                self.turn = Turn::AuthResponse;
                self.is_asked = true;
            }
            return;
        }
        let outcome = match code {
            235 => Outcome::Accepted,
            454 | 421 => Outcome::Unknown(Reason::Temporary),
            501 => Outcome::Cancelled,
            // 523 stands for 5.7.10 and 5.7.11 too (RFC 5248 §2.4): encryption is needed.
            523 | 530 | 534 | 538 => Outcome::RefusedByPolicy,
            _ if text.starts_with(b"5.7.10 ") || text.starts_with(b"5.7.11 ") => Outcome::RefusedByPolicy,
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
        let Some((exchange, mark)) = self.auth.take().map(|auth| *auth) else { return };
        let is_text = std::mem::take(&mut self.auth_in_doubt) && matches!(outcome, Outcome::Unknown(_));
        if is_text {
            return;
        }
        if let Some(attempt) = exchange.conclude(outcome, code, mark).attempt(cx.out) {
            cx.note(attempt.mark, Observation::Login(attempt));
        }
    }

    fn respond(&mut self, line: &Line<'_>) {
        if let Some((exchange, mark)) = self.auth.as_deref_mut() {
            exchange.respond_line(line);
            *mark = line.last;
        }
        self.is_asked = false;
        let is_asked_again = self.auth.as_deref().is_some_and(|(exchange, _)| exchange.is_asked_again());
        self.turn = if is_asked_again { Turn::AuthResponse } else { Turn::AuthReply };
    }

    /// The client says a command where a response is due.
    fn leave_auth(&mut self, line: &Line<'_>, cx: &mut Context<'_>) {
        self.pending.pop_through(|command| *command == Command::Auth);
        let is_missing = self.auth.as_deref().is_some_and(|(exchange, _)| exchange.is_lossy());
        let outcome = if is_missing { Outcome::Unknown(Reason::Gap) } else { Outcome::Cancelled };
        self.end_auth(outcome, None, cx);
        self.command(line, cx);
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
                    cx.note(cx.mark, Observation::Content(ContentStep::Passed));
                }
                return;
            }
            Unit::Skipped => {
                if std::mem::take(&mut self.in_last_chunk) {
                    cx.note(cx.mark, Observation::Content(ContentStep::Passed));
                }
                return;
            }
            Unit::Literal { .. } => return,
        };
        self.in_last_chunk = false;
        if (line.follows_loss || self.out_of_step) && self.turn == Turn::Commands && self.is_orphan(&line, cx) {
            return;
        }
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
        // What it says once it has read an answer begins a new group: the two ends are in step.
        let has_read_reply =
            std::mem::take(&mut self.has_replied) && line.first.seen.is_none_or(|seen| seen >= cx.server_end);
        if self.out_of_step && has_read_reply && self.turn != Turn::AuthResponse {
            self.give_up_pending(cx);
            self.out_of_step = false;
        }
        if self.turn != Turn::AuthResponse {
            return self.command(&line, cx);
        }
        if !sasl::gives_up(line.octets, &VERBS) {
            return self.respond(&line);
        }
        if std::mem::take(&mut self.is_asked) && sasl::next_is_response(line.octets) {
            self.verb_like = Some(Box::new(VerbLike::new(&line)));
            self.turn = Turn::AuthReply;
            return;
        }
        self.leave_auth(&line, cx);
    }

    fn server(&mut self, unit: Unit<'_>, cx: &mut Context<'_>) {
        if let Unit::Line(line) = unit {
            self.reply_line(&line, cx);
        }
    }

    fn discloses(&self, line: &[u8]) -> bool {
        self.turn == Turn::AuthResponse && !sasl::gives_up(line, &VERBS)
    }

    fn is_waiting(&self) -> bool {
        matches!(self.turn, Turn::AuthReply | Turn::DataReply | Turn::StarttlsReply)
    }

    fn assume(&mut self, next: &[u8], cx: &mut Context<'_>) {
        if let Some(kept) = self.verb_like.take() {
            return self.leave_auth(&kept.line(), cx);
        }
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
                let goes_on = self.auth.as_deref().is_some_and(|(exchange, _)| exchange.may_continue());
                if goes_on && sasl::next_is_response(next) {
                    if let Some((exchange, _)) = self.auth.as_deref_mut() {
                        exchange.lose_challenge(cx.has_gap);
                    }
                    self.turn = Turn::AuthResponse;
                } else {
                    self.pending.pop_through(|command| *command == Command::Auth);
                    self.end_auth(Outcome::Unknown(Reason::NoReply), None, cx);
                }
            }
            _ => {}
        }
    }

    fn lost(&mut self, direction: Direction, cx: &mut Context<'_>) {
        if direction == Direction::ToClient {
            self.reply.is_partial = true;
            self.pending.lose();
            if let Some((exchange, _)) = self.auth.as_deref_mut() {
                exchange.lose_prompt();
            }
        } else {
            self.in_doubt = true;
            self.out_of_step = true;
            self.another_auth_may_be_lost = true;
            if let Some((exchange, _)) = self.auth.as_deref_mut() {
                exchange.lose_answer(cx.mark.end);
            }
        }
    }

    fn load(&self) -> Load {
        let exchange = self.auth.as_deref().map_or(0, |auth| size_of_val(auth) + auth.0.octets());
        let verb_like = self.verb_like.as_ref().map_or(0, |line| size_of::<VerbLike>() + line.octets.capacity());
        Load {
            octets: self.pending.octets(|_| 0) + self.reply.list.octets() + exchange + verb_like,
            has_open_login: self.auth.is_some() || self.verb_like.is_some(),
            ..Load::default()
        }
    }

    fn end(&mut self, why: Reason, cx: &mut Context<'_>) {
        if let Some(kept) = self.verb_like.take() {
            self.leave_auth(&kept.line(), cx);
        }
        self.end_auth(Outcome::Unknown(why), None, cx);
        if std::mem::take(&mut self.in_body) {
            cx.note(cx.mark, Observation::Content(ContentStep::Passed));
        }
    }

    fn restart(&mut self) {
        *self = Self { is_lmtp: self.is_lmtp, ..Self::new(Start { is_midstream: false, server_captured: true }) };
    }
}

/// Whether what follows DATA is a command after all: the server refused.
fn begins_with_command(next: &[u8]) -> bool {
    const AFTER_REFUSAL: [&[u8]; 6] = [b"QUIT", b"RSET", b"MAIL", b"RCPT", b"NOOP", b"AUTH"];
    let line = next.split(|&c| c == b'\n').next().unwrap_or_default().trim_ascii();
    let (verb, _) = split_verb(line);
    AFTER_REFUSAL.iter().any(|known| known.eq_ignore_ascii_case(verb))
}
