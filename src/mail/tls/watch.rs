//! Both directions of a TLS connection, from the ClientHello to the point from which nothing can be learnt.

use super::alert;
use super::certificate::CertificateFacts;
use super::hello::{self, ClientHello, Offer, ServerHello};
use super::messages::{Message, Messages};
use super::records::{Content, Piece, Records};
use super::{NO_SUITE, SSL2, TLS13, looks_like_record};
use crate::limits::{CERTIFICATE_OCTETS, HELLO_OCTETS, TLS_TAIL_OCTETS};
use crate::mail::framing::Input;
use crate::mail::observe::{Observation, Out, TlsFailure, TlsStep};
use crate::stream::{Direction, Mark};

/// Handshake types (RFC 8446 §4).
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;

/// The suite of TLS 1.3 whose tag is of 8 octets, not 16.
const AES_128_CCM_8: u16 = 0x1305;

/// What is left to be done after some octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mail) enum Progress {
    /// More octets are wanted.
    Open,
    /// All that can be learnt is learnt.
    Closed,
    /// TLS did not come about; the ends may go on in clear.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Handshake,
    /// TLS came about, before version 1.3: who speaks first? So many octets are looked at for that.
    Established {
        left: u64,
    },
    Closed,
    Failed,
}

/// How far the ClientHello is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Hello {
    #[default]
    Awaited,
    Begun,
    /// Read, and where the client's stream was then; `None` when it was given up.
    Done(Option<u64>),
}

/// One direction.
#[derive(Default)]
struct Half {
    records: Records,
    messages: Messages,
    /// Messages of SSLv2 that began.
    sslv2_messages: u32,
    /// The first of them: at most the 32,767 octets that its length can say.
    sslv2_hello: Vec<u8>,
    /// ChangeCipherSpec was sent.
    has_changed: bool,
    /// A record was sent that only a finished handshake explains.
    is_finished: bool,
    /// Application data were sent.
    has_spoken: bool,
    /// An alert's level, when its description is still to come.
    alert_level: Option<u8>,
    /// What comes is no TLS.
    is_clear: bool,
    /// Stream offset after what was read.
    end: u64,
}

/// Both directions of a TLS connection.
#[derive(Default)]
pub(in crate::mail) struct Watch {
    halves: [Half; 2],
    phase: Phase,
    hello: Hello,
    /// Where the ClientHello's first octet came from.
    hello_mark: Mark,
    /// The hello is of SSLv2's form.
    is_sslv2_hello: bool,
    offers_early_data: bool,
    chosen: Option<ServerHello>,
    /// The server's Certificate came, readable or not.
    has_certificate: bool,
    /// A HelloRetryRequest: version 1.3 for sure.
    is_retried: bool,
    /// TLS was there from the first octet: the server greets in it and speaks first.
    is_implicit: bool,
    /// The server answered the ClientHello with lines.
    is_answered_in_clear: bool,
}

impl Watch {
    /// For a connection that begins with TLS.
    pub(in crate::mail) fn implicit() -> Self {
        Self { is_implicit: true, ..Self::default() }
    }

    /// Octets of memory it takes.
    pub(in crate::mail) fn octets(&self) -> usize {
        let held = |half: &Half| half.messages.octets() + half.sslv2_hello.capacity();
        size_of::<Self>() + self.halves.iter().map(held).sum::<usize>()
    }

    /// Reads octets of one direction. Some may be left when nothing more is wanted of them.
    pub(in crate::mail) fn read(&mut self, direction: Direction, input: &mut Input<'_>, out: &mut Out) -> Progress {
        if self.hello == Hello::Begun && self.half(Direction::ToServer).messages.is_broken() {
            self.hello_done(ClientHello::default(), None, input.mark, out);
        }
        while !input.octets.is_empty() && matches!(self.phase, Phase::Handshake | Phase::Established { .. }) {
            let before = input.offset;
            self.step(direction, input, out);
            self.half(direction).end = input.offset;
            self.count(input.offset - before);
        }
        match self.phase {
            Phase::Handshake | Phase::Established { .. } => Progress::Open,
            Phase::Closed => Progress::Closed,
            Phase::Failed => Progress::Failed,
        }
    }

    /// Octets were lost: the record in progress may still cover them.
    pub(in crate::mail) fn lose(&mut self, direction: Direction, len: u64) {
        if len == 0 {
            return;
        }
        let half = self.half(direction);
        half.messages.lose();
        half.sslv2_hello = Vec::new();
        half.alert_level = None;
        if !half.records.lose(len) {
            self.phase = Phase::Closed;
        }
    }

    /// Whether what the server sends may be its part of this connection, as far as the octets go.
    pub(in crate::mail) fn may_be_answer(&self, octets: &[u8]) -> bool {
        looks_like_record(octets) || self.is_sslv2_hello && octets.first().is_some_and(|first| first & 0x80 != 0)
    }

    /// Whether the client goes on with TLS after all, or sends its alert, when the server had answered in clear.
    pub(in crate::mail) fn may_go_on(&self, octets: &[u8]) -> bool {
        self.is_answered_in_clear && matches!(octets, [20..=23] | [20..=23, 3, ..])
    }

    /// The server sent octets at `mark` that are no record. `true` when that is its answer to the ClientHello: then
    /// the client, too, may go on in clear. Replies that were on their way before it are none.
    /// `is_lossy`: what came before was lost, so that it may be a reply to something else.
    pub(in crate::mail) fn answer_in_clear(&mut self, mark: Mark, is_lossy: bool, out: &mut Out) -> bool {
        let Hello::Done(Some(end)) = self.hello else { return false };
        let [client, server] = &self.halves;
        let is_answer = mark.seen.is_none_or(|seen| seen >= end);
        if !is_answer || self.is_answered_in_clear || server.records.began() || !client.records.is_at_boundary() {
            return false;
        }
        self.is_answered_in_clear = true;
        if !is_lossy {
            fail(Direction::ToClient, TlsFailure::NonTlsResponse, mark, out);
        }
        true
    }

    fn half(&mut self, direction: Direction) -> &mut Half {
        &mut self.halves[direction.index()]
    }

    /// For version 1.3 a change of keys does not show, and ChangeCipherSpec means nothing (RFC 8446 appendix D.4).
    fn is_tls13(&self) -> bool {
        self.is_retried || self.chosen.is_some_and(|chosen| chosen.version == TLS13)
    }

    /// Handshake and alert records of this direction are encrypted.
    fn is_encrypted(&self, direction: Direction) -> bool {
        self.halves[direction.index()].has_changed && !self.is_tls13()
    }

    fn count(&mut self, octets: u64) {
        if let Phase::Established { left } = &mut self.phase {
            *left = left.saturating_sub(octets);
            if *left == 0 {
                self.phase = Phase::Closed;
            }
        }
    }

    fn step(&mut self, direction: Direction, input: &mut Input<'_>, out: &mut Out) {
        let half = &mut self.halves[direction.index()];
        if half.is_clear {
            input.take(input.octets.len());
            return;
        }
        if direction == Direction::ToServer && self.hello == Hello::Awaited && half.records.is_at_boundary() {
            self.hello_mark = input.mark;
        }
        match half.records.next(input) {
            None => {}
            Some(Piece::Begins(Content::Sslv2, len)) => self.sslv2_begins(direction, len, input.mark, out),
            Some(Piece::Begins(content, len)) => self.record_begins(direction, content, len, input.mark, out),
            Some(Piece::Part(content, octets)) => self.part(direction, content, octets, input, out),
            Some(Piece::Alien) => self.alien(direction, input.mark, out),
        }
    }

    fn record_begins(&mut self, direction: Direction, content: Content, len: usize, mark: Mark, out: &mut Out) {
        match content {
            Content::Handshake if self.is_encrypted(direction) => {
                self.half(direction).is_finished |= self.chosen.is_some();
            }
            Content::Handshake if direction == Direction::ToServer => self.hello_begins(out),
            Content::ChangeCipherSpec => self.half(direction).has_changed = true,
            Content::ApplicationData => self.application_data(direction, len, mark, out),
            _ => {}
        }
        self.establish(mark, out);
    }

    fn hello_begins(&mut self, out: &mut Out) {
        if self.hello == Hello::Awaited {
            self.hello = Hello::Begun;
            out.push(self.hello_mark, Observation::Tls(TlsStep::ClientHelloBegins));
        }
    }

    /// What a record of application data proves depends on the version; before the server chose one, nothing.
    fn application_data(&mut self, direction: Direction, len: usize, mark: Mark, out: &mut Out) {
        let Some(chosen) = self.chosen else { return };
        if chosen.version != TLS13 {
            let half = self.half(direction);
            half.is_finished |= half.has_changed;
            return self.speak(direction, mark, out);
        }
        let is_first = !self.half(direction).is_finished;
        let is_alert =
            direction == Direction::ToServer && !self.offers_early_data && len == alert_record(chosen.cipher);
        if is_first && is_alert {
            self.phase = Phase::Closed;
            return fail(direction, TlsFailure::Alert(alert::ENCRYPTED), mark, out);
        }
        self.half(direction).is_finished = true;
    }

    /// Application data before version 1.3. Mail servers wait for a command after STARTTLS: one that speaks first
    /// may be answering commands that were injected before TLS.
    fn speak(&mut self, direction: Direction, mark: Mark, out: &mut Out) {
        let is_established = matches!(self.phase, Phase::Established { .. });
        let [client, _] = &mut self.halves;
        if direction == Direction::ToServer {
            client.has_spoken = true;
        } else if is_established && mark.seen.is_none_or(|seen| seen <= client.end) {
            out.push(mark, Observation::Tls(TlsStep::ServerSpokeFirst));
        }
        if is_established {
            self.phase = Phase::Closed;
        }
    }

    /// ServerHello, then for TLS 1.3 an encrypted record each way; before, ChangeCipherSpec and one.
    fn establish(&mut self, mark: Mark, out: &mut Out) {
        let Some(chosen) = self.chosen else { return };
        let is_finished = self.halves.iter().all(|half| half.is_finished);
        if self.phase != Phase::Handshake || !is_finished {
            return;
        }
        out.push(mark, Observation::Tls(TlsStep::Established));
        let is_over = self.is_implicit || chosen.version == TLS13 || chosen.version == SSL2;
        let has_spoken = self.half(Direction::ToServer).has_spoken;
        self.phase = if is_over || has_spoken { Phase::Closed } else { Phase::Established { left: TLS_TAIL_OCTETS } };
    }

    fn part(&mut self, direction: Direction, content: Content, octets: &[u8], input: &Input<'_>, out: &mut Out) {
        match content {
            Content::Handshake if !self.is_encrypted(direction) => self.handshake(direction, octets, input, out),
            Content::Alert => self.alert(direction, octets, input.mark, out),
            Content::Sslv2 => self.sslv2_part(direction, octets, input, out),
            _ => {}
        }
    }

    fn handshake(&mut self, direction: Direction, mut octets: &[u8], input: &Input<'_>, out: &mut Out) {
        loop {
            let wanted = self.wanted(direction);
            let Some(message) = self.half(direction).messages.next(&mut octets, wanted) else { return };
            match direction {
                Direction::ToServer => self.client_message(&message, input, out),
                Direction::ToClient => self.server_message(&message, input, out),
            }
        }
    }

    /// The message to be read next, and the octets it may have.
    fn wanted(&self, direction: Direction) -> Option<(u8, usize)> {
        match direction {
            Direction::ToServer => (self.hello == Hello::Begun).then_some((CLIENT_HELLO, HELLO_OCTETS)),
            Direction::ToClient if self.chosen.is_none() => Some((SERVER_HELLO, HELLO_OCTETS)),
            Direction::ToClient => {
                let is_visible = !self.is_tls13() && !self.has_certificate;
                is_visible.then_some((CERTIFICATE, CERTIFICATE_OCTETS))
            }
        }
    }

    fn client_message(&mut self, message: &Message, input: &Input<'_>, out: &mut Out) {
        if self.hello != Hello::Begun {
            return;
        }
        match &message.body {
            Some(body) => {
                self.offers_early_data = Offer::read(body).is_some_and(|offer| offer.has_early_data());
                self.hello_done(ClientHello::read(body), Some(input.offset), input.mark, out);
            }
            None => self.hello_done(ClientHello::default(), None, input.mark, out),
        }
    }

    /// The client's hello is read or given up.
    fn hello_done(&mut self, hello: ClientHello, end: Option<u64>, mark: Mark, out: &mut Out) {
        self.hello = Hello::Done(end);
        out.push(mark, Observation::Tls(TlsStep::ClientHello(Box::new(hello))));
        self.refuse(mark, out);
    }

    fn server_message(&mut self, message: &Message, input: &Input<'_>, out: &mut Out) {
        match (message.kind, &message.body) {
            (SERVER_HELLO, Some(body)) => self.server_hello(ServerHello::read(body), input.mark, out),
            (CERTIFICATE, Some(body)) => self.certificate(CertificateFacts::read(body), input.mark, out),
            _ => {}
        }
    }

    fn server_hello(&mut self, hello: Option<ServerHello>, mark: Mark, out: &mut Out) {
        match hello {
            Some(retry) if retry.is_retry => self.is_retried = true,
            Some(chosen) => {
                self.chosen = hello;
                let ServerHello { version, cipher, .. } = chosen;
                out.push(mark, Observation::Tls(TlsStep::ServerHello { version, cipher }));
            }
            None => {}
        }
    }

    fn certificate(&mut self, facts: Option<CertificateFacts>, mark: Mark, out: &mut Out) {
        self.has_certificate = true;
        if let Some(facts) = facts {
            out.push(mark, Observation::Tls(TlsStep::Certificate(Box::new(facts))));
        }
    }

    /// RFC 8446 §6: level and description. What is encrypted is longer than the two octets.
    fn alert(&mut self, direction: Direction, octets: &[u8], mark: Mark, out: &mut Out) {
        if self.is_encrypted(direction) && self.half(direction).records.len() != 2 {
            return;
        }
        for &octet in octets {
            let half = self.half(direction);
            let Some(level) = half.alert_level.take() else {
                half.alert_level = Some(octet);
                continue;
            };
            if level == alert::FATAL && octet != alert::CLOSE_NOTIFY {
                self.phase = if self.phase == Phase::Handshake { Phase::Failed } else { Phase::Closed };
                return fail(direction, TlsFailure::Alert(alert::name(octet)), mark, out);
            }
        }
    }

    /// What came is no record.
    fn alien(&mut self, direction: Direction, mark: Mark, out: &mut Out) {
        let half = self.half(direction);
        if direction == Direction::ToServer || half.records.began() {
            self.phase = Phase::Closed;
            return;
        }
        half.is_clear = true;
        self.refuse(mark, out);
    }

    /// The server speaks in clear where TLS should begin, and there is a ClientHello that it should have answered.
    fn refuse(&mut self, mark: Mark, out: &mut Out) {
        if self.half(Direction::ToClient).is_clear && matches!(self.hello, Hello::Done(_)) {
            self.phase = Phase::Failed;
            fail(Direction::ToClient, TlsFailure::NonTlsResponse, mark, out);
        }
    }

    /// A message of SSLv2: a client's hello, whatever comes after it; a server's hello or error; then in clear only
    /// the client's master key. Its third message is encrypted and so is the server's second.
    fn sslv2_begins(&mut self, direction: Direction, len: usize, mark: Mark, out: &mut Out) {
        const ENCRYPTED: [u32; 2] = [3, 2];
        if len == 0 || direction == Direction::ToClient && !self.is_sslv2_hello {
            return self.alien_sslv2(direction, mark, out);
        }
        if direction == Direction::ToServer {
            self.hello_begins(out);
        }
        let half = self.half(direction);
        half.sslv2_messages = half.sslv2_messages.saturating_add(1);
        half.is_finished |= half.sslv2_messages >= ENCRYPTED[direction.index()];
        self.establish(mark, out);
    }

    fn sslv2_part(&mut self, direction: Direction, octets: &[u8], input: &Input<'_>, out: &mut Out) {
        let half = self.half(direction);
        if half.sslv2_messages != 1 || half.messages.is_broken() {
            return;
        }
        half.sslv2_hello.extend_from_slice(octets);
        if half.records.is_whole() {
            let message = std::mem::take(&mut half.sslv2_hello);
            match direction {
                Direction::ToServer => self.sslv2_client_hello(&message, input, out),
                Direction::ToClient => self.sslv2_answer(&message, input.mark, out),
            }
        }
    }

    fn sslv2_client_hello(&mut self, message: &[u8], input: &Input<'_>, out: &mut Out) {
        match ClientHello::read_sslv2(message) {
            Some(hello) => {
                self.is_sslv2_hello = true;
                self.hello_done(hello, Some(input.offset), input.mark, out);
            }
            None => self.phase = Phase::Closed,
        }
    }

    fn sslv2_answer(&mut self, message: &[u8], mark: Mark, out: &mut Out) {
        if let [0, high, low, ..] = *message {
            self.phase = Phase::Failed;
            let name = alert::sslv2_name(u16::from_be_bytes([high, low]));
            return fail(Direction::ToClient, TlsFailure::Alert(name), mark, out);
        }
        let Some(certificate) = hello::read_sslv2_server_hello(message) else {
            return self.alien_sslv2(Direction::ToClient, mark, out);
        };
        for half in &mut self.halves {
            half.records.speak_sslv2();
        }
        self.server_hello(Some(ServerHello { version: SSL2, cipher: NO_SUITE, is_retry: false }), mark, out);
        self.certificate(CertificateFacts::of(certificate, 1), mark, out);
    }

    /// What looked like a message of SSLv2 is none.
    fn alien_sslv2(&mut self, direction: Direction, mark: Mark, out: &mut Out) {
        if direction == Direction::ToServer {
            self.phase = Phase::Closed;
            return;
        }
        self.half(direction).is_clear = true;
        self.refuse(mark, out);
    }
}

fn fail(by: Direction, cause: TlsFailure, mark: Mark, out: &mut Out) {
    out.push(mark, Observation::Tls(TlsStep::Failed { by, cause }));
}

/// Octets of a TLS 1.3 record with nothing but an alert: its two octets, the content type and the tag (RFC 8446 §5.2).
/// A Finished is longer: where a client's is due, such a record says that it gave up.
fn alert_record(cipher: u16) -> usize {
    2 + 1 + if cipher == AES_128_CCM_8 { 8 } else { 16 }
}
