//! SASL mechanisms as a passive listener sees them: who logs in, and what the exchange discloses.
//!
//! Responses are decoded into wiped buffers; nothing of a challenge, response, token or
//! their lengths leaves but the user names and the [`Secret`] itself.

use super::framing::Line;
use super::mechanisms::{
    Disclosure, Scheme, UNKNOWN_MECHANISM, class_of, contains_ignoring_case, cram_user, hash_of, is_known,
    is_name_prompt, is_password_prompt, is_secret_prompt, mechanism_of_challenge, mechanism_of_response,
    scram_iterations, traits_of,
};
use super::observe::{
    Attempt, Confidence, Observation, Out, Outcome, Reason, SecretClass, Strength, Username, Variant,
};
use super::text::Text;
use crate::limits::SASL_LINE_OCTETS;
use crate::secret::Secret;
use crate::stream::Mark;
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Decodes a line of an exchange: padding may be missing, spaces stand around it, `=` is the empty string.
pub(super) fn decode(line: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let line = line.trim_ascii();
    if line == b"=" {
        return Some(Zeroizing::default());
    }
    // Sized once: a buffer that grows leaves its old copy behind.
    let mut decoded = Zeroizing::new(vec![0; base64::decoded_len_estimate(line.len().min(SASL_LINE_OCTETS))]);
    let len = BASE64.decode_slice(line, &mut decoded).ok()?;
    decoded.truncate(len);
    Some(decoded)
}

/// Whether a line can be a SASL response: base64, `*` (cancel), `=` or nothing.
fn is_response_shaped(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line == b"*" || line.is_empty() || decode(line).is_some()
}

/// Whether a line where a response is due is one of the `verbs` instead: the client gave up. Some verbs are base64
/// too; those then decode to octets that no text mechanism sends.
pub(super) fn gives_up(line: &[u8], verbs: &[&[u8]]) -> bool {
    let word = line.split(|&c| c == b' ').next().unwrap_or_default();
    verbs.iter().any(|verb| word.eq_ignore_ascii_case(verb))
        && decode(line).is_none_or(|octets| octets.iter().any(|c| c.is_ascii_control() || !c.is_ascii()))
}

/// Whether a line is a response, and hardly anything else.
pub(super) fn is_response(line: &[u8]) -> bool {
    decode(line).is_some_and(|message| mechanism_of_response(&message).is_some())
}

/// Whether a server asks so in an exchange, and hardly anywhere else.
pub(super) fn is_challenge(text: &[u8]) -> bool {
    text.is_empty() || decode(text).is_some_and(|text| !text.is_empty() && is_challenge_raw(&text))
}

/// The same where the protocol does not encode it.
pub(super) fn is_challenge_raw(text: &[u8]) -> bool {
    text.is_empty() || mechanism_of_challenge(text).is_some()
}

/// Whether the line that `next` begins with can be a response.
pub(super) fn next_is_response(next: &[u8]) -> bool {
    let line = next.split(|&c| c == b'\n').next().unwrap_or_default();
    !next.is_empty() && is_response_shaped(line)
}

/// Challenges whose places are kept: no mechanism has more.
const CHALLENGES: usize = 8;

/// An exchange on its way.
pub(super) struct Exchange {
    name: Text,
    scheme: Scheme,
    class: SecretClass,
    responses: u32,
    had_initial: bool,
    prompted_for_password: bool,
    /// The password was prompted for first.
    prompted_first: bool,
    has_challenge: bool,
    /// Server stream offset after the last challenge.
    challenge_end: u64,
    /// What of the client each of them answers.
    asked: Vec<Option<u64>>,
    /// Those of them that ask for the password alone, as bits.
    asked_password: u8,
    /// Client stream offset after the last response.
    response_end: u64,
    /// The mechanism was never named: it is told by its messages.
    is_guessed: bool,
    /// Of such a one, the first answer: a name only when the prompts before and behind it leave no doubt, and another
    /// answer followed. A server that prompts as it likes, or prompts anew, must not have a password written.
    first_answer: Option<Zeroizing<Vec<u8>>>,
    /// None was due before it, and nothing was lost since it was asked for.
    is_first: bool,
    first_mark: Mark,
    /// The first prompt asked for a name, in the usual words.
    asks_name: bool,
    /// Something is in a gap: the next answer may not be what its place says.
    is_unsure: bool,
    /// Nor be whole.
    is_torn: bool,
    /// Octets of either end were lost since it began.
    has_loss: bool,
    /// Client stream offset after the last octets that were lost.
    lost_end: u64,
    /// That answer, until the second prompt tells which of the two it was.
    unsure: Option<(Zeroizing<Vec<u8>>, Mark)>,
    challenges: u32,
    /// A line of the client was cut off.
    is_cut: bool,
    is_cancelled: bool,
    user: Option<Text>,
    domain: Option<Text>,
    authzid: Option<Text>,
    secret: Option<Secret>,
    /// Where the disclosing line was, once it was sent.
    disclosed: Option<Mark>,
    undecodable: bool,
    strength: Strength,
}

impl Exchange {
    /// An exchange by `AUTH name` or `AUTHENTICATE name`.
    pub(super) fn new(name: &[u8]) -> Self {
        let mut exchange = Self::unnamed();
        exchange.is_guessed = false;
        exchange.become_mechanism(name);
        exchange
    }

    /// The exchange that a command line begins, with its initial response if it has one (RFC 4422 §4).
    pub(super) fn begun(name: &[u8], initial: &[u8], line: &Line<'_>) -> Self {
        let mut exchange = Self::new(name);
        if !initial.trim_ascii().is_empty() {
            exchange.initial(initial, line.last);
            exchange.is_cut |= line.is_cut;
        }
        exchange
    }

    /// An exchange whose command was not captured.
    pub(super) fn unnamed() -> Self {
        Self {
            name: Text::new(UNKNOWN_MECHANISM.as_bytes()),
            scheme: Scheme::Guess,
            class: SecretClass::None,
            responses: 0,
            had_initial: false,
            prompted_for_password: false,
            prompted_first: false,
            has_challenge: false,
            challenge_end: 0,
            asked: Vec::new(),
            asked_password: 0,
            response_end: 0,
            is_guessed: true,
            first_answer: None,
            is_first: false,
            first_mark: Mark::default(),
            asks_name: false,
            is_unsure: false,
            is_torn: false,
            has_loss: false,
            lost_end: 0,
            unsure: None,
            challenges: 0,
            is_cut: false,
            is_cancelled: false,
            user: None,
            domain: None,
            authzid: None,
            secret: None,
            disclosed: None,
            undecodable: false,
            strength: Strength::default(),
        }
    }

    /// An exchange of which this line, a response, is the first that was captured; `None` when other text may have
    /// its form.
    pub(super) fn beginning_with(line: &Line<'_>) -> Option<Self> {
        if line.is_cut { None } else { Self::beginning_with_response(line.octets, line.last) }
    }

    /// The same of a response that is not all of its line.
    pub(super) fn beginning_with_response(response: &[u8], mark: Mark) -> Option<Self> {
        let mut exchange = Self::unnamed();
        exchange.become_mechanism(mechanism_of_response(&decode(response)?)?);
        exchange.respond(response, mark);
        Some(exchange)
    }

    fn become_mechanism(&mut self, name: &[u8]) {
        (self.scheme, self.class) = traits_of(name);
        if is_known(name) {
            self.name = Text::new(&name.to_ascii_uppercase());
        }
        self.strength.hash = hash_of(name);
    }

    /// The initial response of the command itself.
    pub(super) fn initial(&mut self, response: &[u8], mark: Mark) {
        // `=` says that there is none (RFC 4954 §4); then the first prompt is still to come.
        if self.scheme == Scheme::Login && decode(response).is_some_and(|octets| octets.is_empty()) {
            return;
        }
        self.had_initial = true;
        self.respond(response, mark);
    }

    /// The same where the protocol does not encode it (RFC 2244 §6.3.1).
    pub(super) fn initial_raw(&mut self, response: &[u8], mark: Mark) {
        if self.scheme == Scheme::Login && response.is_empty() {
            return;
        }
        self.had_initial = true;
        self.respond_raw(response, mark);
    }

    /// A challenge of the server, still encoded; `mark` tells what of the client it answers.
    pub(super) fn challenge(&mut self, challenge: &[u8], mark: Mark) {
        self.count_challenge(mark);
        self.has_challenge |= !challenge.trim_ascii().is_empty();
        if matches!(self.scheme, Scheme::Login | Scheme::Scram | Scheme::Guess) {
            self.read_challenge(&decode(challenge).unwrap_or_default(), mark);
        }
    }

    /// The same where the protocol does not encode it.
    pub(super) fn challenge_raw(&mut self, challenge: &[u8], mark: Mark) {
        self.count_challenge(mark);
        self.has_challenge |= !challenge.is_empty();
        self.read_challenge(challenge, mark);
    }

    /// A challenge that answers nothing new is the same one still: only one answer is due.
    fn count_challenge(&mut self, mark: Mark) {
        let last = self.asked.last().copied().flatten();
        if self.challenges == 0 || mark.seen.is_none() || mark.seen > last {
            self.challenges += 1;
            if self.asked.len() < CHALLENGES {
                self.asked.push(mark.seen);
            }
        }
        self.challenge_end = mark.end;
    }

    /// What LOGIN asks for, and how many rounds SCRAM wants.
    fn read_challenge(&mut self, text: &[u8], mark: Mark) {
        if self.scheme == Scheme::Guess
            && let Some(name) = mechanism_of_challenge(text)
        {
            self.become_mechanism(name);
        }
        if self.scheme == Scheme::Scram {
            self.strength.iterations = scram_iterations(text).or(self.strength.iterations);
        }
        self.prompted_for_password = is_secret_prompt(text);
        let names_user = !self.prompted_for_password
            && (contains_ignoring_case(text, b"user") || contains_ignoring_case(text, b"name"));
        if let Some(at) = self.asked.len().checked_sub(1) {
            self.asked_password |= u8::from(self.prompted_for_password) << at;
        }
        self.asks_name |= self.challenges == 1 && is_name_prompt(text);
        self.settle_first_answer(names_user, is_password_prompt(text), mark);
    }

    /// Octets of memory besides its own.
    pub(super) fn octets(&self) -> usize {
        let held = [self.first_answer.as_ref(), self.unsure.as_ref().map(|(answer, _)| answer)];
        let texts = [&self.user, &self.domain, &self.authzid];
        held.into_iter().flatten().map(|answer| answer.capacity()).sum::<usize>()
            + texts.into_iter().flatten().map(Text::octets).sum::<usize>()
            + self.secret.as_ref().map_or(0, Secret::octets)
    }

    /// Nothing but the form of its one message says that it is an exchange.
    pub(super) fn is_orphan(&self) -> bool {
        self.is_guessed && self.challenges == 0
    }

    /// The next challenge is not to be had; `has_gap`: it may have been sent.
    pub(super) fn lose_challenge(&mut self, has_gap: bool) {
        self.is_unsure |= has_gap && self.challenges == 0 && !self.had_initial && self.responses == 0;
    }

    /// Octets of the client up to `end` were lost: what comes next may be the second answer, or the rest of a line.
    pub(super) fn lose_answer(&mut self, end: u64) {
        // They came before what was asked last, and nothing of its answer was among them.
        if self.asked.last().copied().flatten().is_some_and(|seen| seen >= end) {
            return;
        }
        self.lost_end = end;
        self.lose_prompt();
        self.is_torn |= self.is_unsure;
    }

    /// Octets of the server were lost: of the prompt maybe.
    pub(super) fn lose_prompt(&mut self) {
        self.has_loss = true;
        self.is_unsure |= self.user.is_none() && self.disclosed.is_none();
    }

    /// A response line of the client, still encoded. `*` cancels and discloses nothing.
    pub(super) fn respond(&mut self, line: &[u8], mark: Mark) {
        let step = self.step(mark);
        if line.trim_ascii() == b"*" {
            self.is_cancelled = true;
            return;
        }
        match decode(line) {
            Some(decoded) => self.answer(step, &decoded, mark),
            None => self.unreadable(mark),
        }
    }

    /// The same of a response that is all of its line.
    pub(super) fn respond_line(&mut self, line: &Line<'_>) {
        self.respond(line.octets, line.last);
        self.is_cut |= line.is_cut;
    }

    /// The same where the protocol does not encode it; what cancels there never comes here.
    pub(super) fn respond_raw(&mut self, response: &[u8], mark: Mark) {
        let step = self.step(mark);
        self.answer(step, response, mark);
    }

    /// A response that was not captured whole or not kept.
    pub(super) fn respond_unread(&mut self, mark: Mark) {
        self.step(mark);
        self.unreadable(mark);
    }

    /// Whether anything of it is known to be lost, of either end.
    pub(super) fn is_lossy(&self) -> bool {
        self.has_loss
    }

    /// Whether the answer to the last challenge may have been among octets that were lost.
    pub(super) fn may_miss_answer(&self) -> bool {
        let last = self.asked.last().copied().flatten();
        self.lost_end > 0 && last.is_none_or(|seen| seen < self.lost_end)
    }

    /// Whether a challenge at `mark` answers more than the last one did and the responses that were read.
    pub(super) fn misses_answer(&self, mark: Mark) -> bool {
        let last = self.asked.last().copied().flatten();
        mark.seen.is_some_and(|seen| seen > self.response_end && last.is_some_and(|last| seen > last))
    }

    /// Whether a challenge that answers the last response was read before that response.
    pub(super) fn is_asked_again(&self) -> bool {
        let last = self.asked.last().copied().flatten();
        self.challenges + u32::from(self.had_initial) > self.responses
            && last.is_some_and(|seen| seen >= self.response_end)
    }

    /// Counts a response that ends at `mark`: which one it is. Challenges count the answers due, also those that were
    /// lost; one that answers this response counts for the next.
    fn step(&mut self, mark: Mark) -> u32 {
        let ahead = self.asked.iter().filter(|seen| seen.is_some_and(|seen| seen >= mark.end)).count() as u32;
        self.response_end = mark.end;
        // The prompt that this response answers, where a later one was read before it.
        if ahead > 0 {
            let at = (self.asked.len() as u32).checked_sub(ahead + 1);
            self.prompted_for_password = at.is_some_and(|at| self.asked_password >> at & 1 == 1);
        }
        let due = (self.challenges + u32::from(self.had_initial)).saturating_sub(1 + ahead);
        let step = self.responses.max(due);
        self.responses = step + 1;
        step
    }

    fn unreadable(&mut self, mark: Mark) {
        if matches!(self.scheme, Scheme::Plain | Scheme::Login) && self.disclosed.is_none() {
            self.undecodable = true;
            self.disclosed = Some(mark);
        }
    }

    fn answer(&mut self, step: u32, decoded: &[u8], mark: Mark) {
        // Its beginning may be among what was lost, unless the challenge came after that.
        self.is_cut |= self.may_miss_answer();
        if self.scheme == Scheme::Guess {
            match mechanism_of_response(decoded) {
                Some(name) => self.become_mechanism(name),
                // A later prompt may tell.
                None if self.first_answer.is_none() => {
                    self.is_first = step == 0 && !self.is_unsure;
                    self.first_answer = Some(Zeroizing::new(decoded.to_vec()));
                }
                None => {}
            }
        }
        match self.scheme {
            Scheme::Plain => self.plain(decoded, mark),
            Scheme::Login => self.login(step, decoded, mark),
            Scheme::CramMd5 => {
                if let Some(user) = cram_user(decoded) {
                    self.name_user(user);
                }
                self.disclose(mark);
            }
            Scheme::DigestMd5 => self.digest(decoded, mark),
            Scheme::Scram => self.scram(decoded, mark),
            Scheme::Ntlm => self.ntlm(decoded, mark),
            Scheme::XOauth2 | Scheme::OauthBearer => self.bearer(decoded, mark),
            Scheme::External => self.name_typed(decoded),
            Scheme::OneTime if step == 0 => self.one_time(decoded),
            Scheme::Anonymous | Scheme::OneTime | Scheme::Opaque | Scheme::Guess => {}
        }
    }

    /// Ends the exchange.
    pub(super) fn conclude(mut self, outcome: Outcome, code: Option<Text>, last: Mark) -> Ended {
        if let Some((_, mark)) = self.unsure.take() {
            // A name or a password: nobody can tell any more.
            self.undecodable = true;
            self.disclosed.get_or_insert(mark);
        }
        // Where the prompts tell that it was the name, nothing was disclosed; otherwise it may have been the password.
        let was_name = self.asks_name && (self.is_first || self.prompted_for_password && self.challenges == 2);
        let is_held = self.first_answer.take().is_some() && self.scheme == Scheme::Login;
        if is_held && !was_name && self.disclosed.is_none() {
            self.undecodable = true;
            self.disclosed = Some(self.first_mark);
        }
        let has_said_something = self.responses > u32::from(self.is_cancelled);
        // GSS-SPNEGO carries Kerberos too, which discloses nothing.
        if self.disclosed.is_none() && self.name.as_str() == "GSS-SPNEGO" {
            (self.scheme, self.class) = (Scheme::Opaque, SecretClass::None);
        }
        if self.is_guessed && matches!(self.scheme, Scheme::Opaque | Scheme::Guess) {
            // It may have been any mechanism, and disclosed nothing.
            return Ended::Nothing;
        }
        let is_opaque = matches!(self.scheme, Scheme::Opaque | Scheme::External | Scheme::Anonymous | Scheme::OneTime);
        if self.disclosed.is_none() && !(is_opaque && has_said_something) {
            let is_refused = matches!(outcome, Outcome::Rejected | Outcome::RefusedByPolicy);
            return match self.user {
                _ if is_refused && class_of(self.name.as_str().as_bytes()) == Some(Disclosure::Challenge) => {
                    Ended::Refused(last)
                }
                Some(user) => Ended::Username(Username { user, mechanism: self.name, mark: last }),
                None => Ended::Nothing,
            };
        }
        let both_halves = self.has_challenge || self.class != SecretClass::Crackable;
        let confidence = match () {
            () if self.undecodable || !both_halves => Confidence::Possible,
            () if self.is_cut || self.is_guessed => Confidence::Probable,
            () => Confidence::Confirmed,
        };
        let variant = if self.had_initial { Variant::InitialResponse } else { Variant::Continuation };
        Ended::Attempt(Box::new(Attempt {
            mechanism: self.name,
            class: self.class,
            variant,
            user: self.user,
            domain: self.domain,
            authzid: self.authzid,
            secret: self.secret.filter(|_| !self.is_cut),
            mark: self.disclosed.unwrap_or(last),
            outcome,
            code,
            confidence,
            is_inferred: false,
            strength: self.strength,
            is_ambiguous: false,
            other_fingerprint: None,
        }))
    }

    /// Whether the exchange can want another response: without replies, the next line may be one.
    pub(super) fn may_continue(&self) -> bool {
        match self.scheme {
            Scheme::Plain => self.responses < 1,
            Scheme::Login => self.responses < 2,
            _ => self.responses < 4,
        }
    }

    /// The last line of the client is not whole: it discloses, but what it holds is not the secret.
    pub(super) fn cut(&mut self) {
        self.is_cut = true;
    }

    fn disclose(&mut self, mark: Mark) {
        self.disclosed = Some(mark);
    }

    fn name_user(&mut self, user: &[u8]) {
        // A control octet shows that this is no name but a message in the wrong place, secret and all.
        if !user.is_empty() && !user.iter().any(u8::is_ascii_control) {
            self.user = Some(Text::new(user));
        }
    }

    /// A name where nothing but its end tells it from what was typed after it: the first word, for the next may be
    /// the password.
    fn name_typed(&mut self, user: &[u8]) {
        self.name_user(user.split(|&c| c == b' ').next().unwrap_or_default());
    }

    /// `[authzid] NUL authcid NUL passwd`; some clients leave the first NUL out or add one at the end.
    fn plain(&mut self, message: &[u8], mark: Mark) {
        let message = message.strip_suffix(b"\r\n").unwrap_or(message);
        if self.is_torn {
            // The rest of a line may begin anywhere, with the password too.
            self.is_cut = true;
            return self.disclose(mark);
        }
        let mut parts = message.splitn(3, |&c| c == 0);
        let (first, second, third) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        match (second, third) {
            // Neither a first NUL nor an end at the password: a NUL too few and one too many.
            (Some(password), Some(b"")) if !first.is_empty() => {
                self.name_user(first);
                self.secret = Some(Secret::new(password));
                self.disclose(mark);
            }
            (Some(user), Some(password)) => {
                let password = password.strip_suffix(&[0]).unwrap_or(password);
                self.name_user(user);
                if !first.is_empty() && first != user {
                    self.authzid = Some(Text::new(first));
                }
                self.secret = Some(Secret::new(password));
                self.disclose(mark);
            }
            (Some(password), None) if !first.is_empty() => {
                self.name_user(first);
                self.secret = Some(Secret::new(password));
                self.disclose(mark);
            }
            // Not the form of the RFC, yet what was meant as a credential has crossed the wire.
            _ if !message.is_empty() => {
                self.undecodable = true;
                self.disclose(mark);
            }
            _ => {}
        }
    }

    /// Position decides; prompts are free text. When the password alone is prompted for first, that answer is it.
    fn login(&mut self, step: u32, answer: &[u8], mark: Mark) {
        if self.is_guessed {
            return self.guessed_login(step, answer, mark);
        }
        // Sent before this prompt was: it answers another, which is lost or was read with an earlier exchange.
        let is_ahead = mark.seen.is_some_and(|seen| seen < self.challenge_end);
        if (self.is_unsure || is_ahead) && step == 0 && !self.prompted_for_password {
            // What it was answered with is there already.
            let next = self.asked.iter().position(|seen| seen.is_some_and(|seen| seen >= mark.end));
            if !self.is_torn && next.is_some_and(|next| self.asked_password >> next & 1 == 1) {
                return self.name_typed(answer);
            }
            self.unsure = Some((Zeroizing::new(answer.to_vec()), mark));
            return;
        }
        // Only the first answer is ever named: a server may prompt for what it likes, clients answer in order.
        if step == 0 && !self.prompted_for_password {
            self.name_typed(answer);
        } else if step == 0 || !self.prompted_first {
            self.secret = Some(Secret::new(answer));
            self.disclose(mark);
        }
        self.prompted_first |= step == 0 && self.prompted_for_password;
    }

    /// The same where nobody knows which answers came before.
    fn guessed_login(&mut self, step: u32, answer: &[u8], mark: Mark) {
        let first = self.first_answer.take();
        if self.prompted_for_password || first.is_some() || step > 0 {
            let is_name = self.is_first && self.asks_name && self.prompted_for_password && self.challenges == 2;
            if let Some(first) = first.filter(|first| is_name && first[..] != *answer) {
                self.name_typed(&first);
            }
            self.secret = Some(Secret::new(answer));
            return self.disclose(mark);
        }
        (self.first_answer, self.is_first) = (Some(Zeroizing::new(answer.to_vec())), !self.is_unsure);
        self.first_mark = mark;
    }

    /// What the first answer was when its prompt was lost or is read late, by the next prompt that is read. A password is
    /// never written as a name, so without a clear word there is none.
    fn settle_first_answer(&mut self, asks_for_name: bool, is_usual: bool, prompt: Mark) {
        let Some((first, mark)) = self.unsure.take() else { return };
        // A prompt that acknowledges the answer is the second, another the first.
        let is_second = prompt.seen.map(|seen| seen >= mark.end);
        match (self.prompted_for_password, asks_for_name, is_second) {
            // A server that asks for the password in its own words may have asked for another one before.
            (true, _, Some(true)) if !is_usual => self.is_cut = true,
            (true, _, Some(true)) | (_, true, Some(false)) if !self.is_torn => self.name_user(&first),
            (true, _, Some(false)) | (_, true, Some(true)) => {
                (self.secret, self.prompted_first) = (Some(Secret::new(&first)), true);
                self.disclose(mark);
            }
            _ => self.is_cut = true,
        }
    }

    fn digest(&mut self, message: &[u8], mark: Mark) {
        if let Some(user) = quoted_value(message, b"username=") {
            self.name_user(user);
            if let Some(authzid) = quoted_value(message, b"authzid=").filter(|authzid| *authzid != user) {
                self.authzid = Some(Text::new(authzid));
            }
            self.disclose(mark);
        }
    }

    /// `gs2-header n=user,r=nonce`, later `c=...,r=...,p=proof`.
    fn scram(&mut self, message: &[u8], mark: Mark) {
        for field in message.split(|&c| c == b',') {
            match field {
                [b'n', b'=', user @ ..] => self.name_user(user),
                [b'a', b'=', authzid @ ..] => self.authzid = Some(Text::new(authzid)),
                [b'p', b'=', ..] if self.responses > 1 => self.disclose(mark),
                _ => {}
            }
        }
    }

    /// MS-NLMP §2.2.1.3: an AUTHENTICATE message holds user and domain as counted fields.
    fn ntlm(&mut self, message: &[u8], mark: Mark) {
        let Some(at) = memchr::memmem::find(message, b"NTLMSSP\0\x03\0\0\0") else { return };
        let message = &message[at..];
        let is_unicode = message.get(60).is_some_and(|flags| flags & 1 == 1);
        let field = |at: usize| -> Option<Vec<u8>> {
            let len = usize::from(u16::from_le_bytes([*message.get(at)?, *message.get(at + 1)?]));
            let offset = u32::from_le_bytes(message.get(at + 4..at + 8)?.try_into().ok()?) as usize;
            let raw = message.get(offset..offset.checked_add(len)?)?;
            if !is_unicode {
                return Some(raw.to_vec());
            }
            let units = raw.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
            Some(char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect::<String>().into_bytes())
        };
        let user = field(36).unwrap_or_default();
        self.name_user(&user);
        let is_name = |domain: &Vec<u8>| !domain.is_empty() && !domain.iter().any(u8::is_ascii_control);
        self.domain = field(28).filter(is_name).map(|domain| Text::new(&domain));
        // MS-NLMP §2.2.2.6 and §2.2.2.8: 24 octets in version 1, a blob follows them in version 2.
        self.strength.ntlm = match message.get(20..22).map_or(0, |len| u16::from_le_bytes([len[0], len[1]])) {
            0 => None,
            24 => Some(1),
            _ => Some(2),
        };
        self.has_challenge = true;
        self.disclose(mark);
    }

    /// RFC 2444 §3: who acts, who logs in.
    fn one_time(&mut self, message: &[u8]) {
        let mut parts = message.split(|&c| c == 0);
        if let (Some(_), Some(user)) = (parts.next(), parts.next()) {
            self.name_user(user);
        }
    }

    fn bearer(&mut self, message: &[u8], mark: Mark) {
        for field in message.split(|&c| c == 1) {
            if let Some(user) = field.strip_prefix(b"user=") {
                // Where a program wrote something else for the separator, the token stands in the same field.
                let end = memchr::memmem::find(user, b"auth=").unwrap_or(user.len());
                self.name_typed(user[..end].strip_suffix(b"^A").unwrap_or(&user[..end]));
            } else if let Some(at) = memchr::memmem::find(field, b"a=").filter(|_| field.starts_with(b"n,")) {
                let end = field[at..].iter().position(|&c| c == b',').unwrap_or(field.len() - at);
                self.name_user(&field[at + 2..at + end]);
            } else if field.len() > 12 && field[..12].eq_ignore_ascii_case(b"auth=Bearer ") {
                self.secret = Some(Secret::new(field[12..].trim_ascii()));
                self.disclose(mark);
            }
        }
        if self.secret.is_none()
            && let Some(at) = message.windows(7).position(|word| word.eq_ignore_ascii_case(b"bearer "))
        {
            let token = message[at + 7..].split(|&c| c <= b' ').find(|word| !word.is_empty()).unwrap_or_default();
            let end = memchr::memmem::find(token, b"^A").unwrap_or(token.len());
            self.secret = Some(Secret::new(&token[..end]));
            self.disclose(mark);
        }
    }
}

/// What came of an exchange.
pub(super) enum Ended {
    /// A login attempt.
    Attempt(Box<Attempt>),
    /// Somebody was named, and no secret disclosed.
    Username(Username),
    /// The server would not have a mechanism that spares the password.
    Refused(Mark),
    /// Nothing was said.
    Nothing,
}

impl Ended {
    /// The attempt, if there was one; a name without a secret is noted at once.
    pub(super) fn attempt(self, out: &mut Out) -> Option<Box<Attempt>> {
        match self {
            Self::Attempt(attempt) => Some(attempt),
            Self::Username(username) => {
                out.push(username.mark, Observation::Username(Box::new(username)));
                None
            }
            Self::Refused(mark) => {
                out.push(mark, Observation::MechanismRefused);
                None
            }
            Self::Nothing => None,
        }
    }
}

/// An attempt by a command that carries user and password themselves.
pub(super) fn direct(mechanism: &'static str, variant: Variant, user: Option<Text>, mark: Mark) -> Attempt {
    Attempt {
        mechanism: Text::new(mechanism.as_bytes()),
        class: SecretClass::Password,
        variant,
        user,
        domain: None,
        authzid: None,
        secret: None,
        mark,
        outcome: Outcome::Unknown(Reason::NoReply),
        code: None,
        confidence: Confidence::Confirmed,
        is_inferred: false,
        strength: Strength::default(),
        is_ambiguous: false,
        other_fingerprint: None,
    }
}

fn quoted_value<'a>(message: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let at = memchr::memmem::find(message, key)? + key.len();
    let rest = &message[at..];
    match rest.strip_prefix(b"\"") {
        Some(quoted) => quoted.split(|&c| c == b'"').next(),
        None => rest.split(|&c| c == b',').next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{FingerprintClass, FingerprintKey};

    fn attempted(exchange: Exchange) -> Box<Attempt> {
        let ended = exchange.conclude(Outcome::Accepted, None, Mark::default());
        ended.attempt(&mut Out::default()).expect("an attempt")
    }

    /// The attempt that a mechanism's lines make: user, authzid, whether the secret is `expect`.
    fn check(name: &str, lines: &[&[u8]], user: &str, secret: Option<&[u8]>) {
        let mut exchange = Exchange::new(name.as_bytes());
        for line in lines {
            exchange.respond(base64::engine::general_purpose::STANDARD.encode(line).as_bytes(), Mark::default());
        }
        let attempt = attempted(exchange);
        assert_eq!(attempt.user.as_ref().map_or("", Text::as_str), user, "{name}");
        let key = FingerprintKey::new(&[1; 32]);
        let print = |secret: &Secret| key.fingerprint(FingerprintClass::Password, secret);
        assert_eq!(attempt.secret.as_ref().map(print), secret.map(|secret| print(&Secret::new(secret))), "{name}");
    }

    #[test]
    fn every_form_of_plain() {
        check("PLAIN", &[b"\0tim\0tanstaaftanstaaf"], "tim", Some(b"tanstaaftanstaaf"));
        check("plain", &[b"Ursel\0Kurt\0xipj3plmq"], "Kurt", Some(b"xipj3plmq"));
        check("PLAIN", &[b"tim\0no-first-nul"], "tim", Some(b"no-first-nul"));
        check("PLAIN", &[b"\0tim\0nul-at-the-end\0"], "tim", Some(b"nul-at-the-end"));
    }

    #[test]
    fn login_goes_by_position() {
        check("LOGIN", &[b"anna", b"not-a-secret"], "anna", Some(b"not-a-secret"));
    }

    #[test]
    fn a_prompt_for_the_password_first_swaps() {
        let mut exchange = Exchange::new(b"LOGIN");
        exchange.challenge(b"UGFzc3dvcmQ6", Mark::default());
        exchange.respond(b"cHc=", Mark::default());
        exchange.challenge(b"VXNlcm5hbWU6", Mark::default());
        exchange.respond(b"YW5uYQ==", Mark::default());
        let attempt = attempted(exchange);
        assert!(attempt.user.is_none(), "a server that chooses its prompts must not choose what is written");
        assert!(attempt.secret.is_some());
    }

    #[test]
    fn the_users_of_the_other_mechanisms() {
        check("CRAM-MD5", &[b"tim b913a602c7eda7a495b4e6e7334d3890"], "tim", None);
        check("DIGEST-MD5", &[b"charset=utf-8,username=\"chris\",realm=\"r\",response=d388"], "chris", None);
        check("SCRAM-SHA-1", &[b"n,,n=user,r=fyko", b"c=biws,r=fyko,p=v0X8"], "user", None);
        check("XOAUTH2", &[b"user=a@example.net\x01auth=Bearer tok\x01\x01"], "a@example.net", Some(b"tok"));
        check(
            "OAUTHBEARER",
            &[b"n,a=u@example.com,\x01host=h\x01auth=Bearer tok\x01\x01"],
            "u@example.com",
            Some(b"tok"),
        );
    }

    #[test]
    fn what_may_be_a_secret_in_the_wrong_place_is_no_name() {
        check("PLAIN", &[b"alice\0S3CRET\0"], "alice", Some(b"S3CRET"));
        check("LOGIN", &[b"\0alice\0S3CRET", b"x"], "", Some(b"x"));
        check("LOGIN", &[b"", b"alice", b"S3CRET"], "", Some(b"S3CRET"));
        check("CRAM-MD5", &[b"\0alice\0S3CRET"], "", None);
        check("CRAM-MD5", &[b"S3CRET"], "", None);
        let mut exchange = Exchange::new(b"LOGIN");
        exchange.initial(b"=", Mark::default());
        exchange.respond(b"YW5uYQ==", Mark::default());
        exchange.respond(b"cHc=", Mark::default());
        let attempt = attempted(exchange);
        assert_eq!(attempt.user.expect("a user").as_str(), "anna");
        let mut unknown = Exchange::new(b"S3CRETPW");
        unknown.initial(b"YW5uYQ==", Mark::default());
        let attempt = attempted(unknown);
        assert_eq!(attempt.mechanism.as_str(), "OTHER");
    }

    #[test]
    fn octets_that_are_not_encoded_say_the_same() {
        let mut exchange = Exchange::new(b"PLAIN");
        exchange.initial_raw(b"\0tim\0tanstaaf", Mark::default());
        let attempt = attempted(exchange);
        assert_eq!((attempt.user.expect("a user").as_str(), attempt.variant), ("tim", Variant::InitialResponse));
        let mut exchange = Exchange::new(b"LOGIN");
        exchange.initial_raw(b"", Mark::default());
        for (challenge, response) in [("Username:", b"YW5u"), ("Password:", b"cHcx")] {
            exchange.challenge_raw(challenge.as_bytes(), Mark::default());
            exchange.respond_raw(response, Mark::default());
        }
        let attempt = attempted(exchange);
        assert_eq!((attempt.user.expect("a user").as_str(), attempt.variant), ("YW5u", Variant::Continuation));
        assert!(attempt.secret.is_some());
    }

    #[test]
    fn a_response_that_was_not_read_discloses_all_the_same() {
        let mut exchange = Exchange::new(b"PLAIN");
        exchange.respond_unread(Mark::default());
        let attempt = attempted(exchange);
        assert!(attempt.secret.is_none() && attempt.confidence == Confidence::Possible);
    }

    #[test]
    fn a_cancelled_exchange_is_no_attempt() {
        let mut exchange = Exchange::new(b"PLAIN");
        exchange.respond(b"*", Mark::default());
        assert!(matches!(exchange.conclude(Outcome::Cancelled, None, Mark::default()), Ended::Nothing));
    }
}
