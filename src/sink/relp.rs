//! Records over RELP, syslog that is confirmed, as librelp speaks it: numbered transactions, each answered.
//!
//! Delivered means that the receiver has answered 200, which rsyslog does once it is in its queue. What was not answered
//! when a connection broke is sent again: at least once, and a few twice.

use super::net::{Address, SLICES, printable};
use super::rfc5424::{self, Messages};
use super::tls::{Dialer, Papers, Stream};
use super::{Bounds, Fate, PATIENCE, Parcel, Report, TlsOptions, Transport, Trouble};
use crate::output::Form;
use std::io::{self, Read as _, Write as _};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Numbers of transactions have nine digits at most; after the last comes 1. 0 is a hint of the server's.
const LAST: u32 = 999_999_999;
/// An answer is a code and a line; that to `open` has a few more.
const LONGEST_ANSWER: usize = 4096;
/// The port where the address names none: there is no registered one, this is that of rsyslog's examples.
pub const DEFAULT_PORT: u16 = 2514;

/// A RELP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `host:port`, or `host` with [`DEFAULT_PORT`].
    pub address: String,
    /// With it over TLS, without it in clear.
    pub tls: Option<TlsOptions>,
    /// Messages on their way at most that are not answered, 1 to 1000: as many may come twice.
    pub window: usize,
    /// What stands in their headers.
    pub message: rfc5424::Options,
    /// How long the receiver may take for anything; for a batch, from each answer to the next.
    pub patience: Duration,
}

impl Options {
    /// For a server, in clear.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            tls: None,
            window: 128,
            message: rfc5424::Options::default(),
            patience: PATIENCE,
        }
    }
}

/// A way to a RELP server.
pub struct Relp {
    messages: Messages,
    dialer: Dialer,
    window: usize,
    session: Option<Session>,
    /// Of the first transaction; tests begin near the last.
    first: u32,
}

impl Relp {
    /// Looks the address up and reads the files that the options name; connects when it is first used.
    ///
    /// # Errors
    ///
    /// One of them is not good: one line that names it.
    pub fn new(options: &Options, form: Form) -> Result<Self, String> {
        let messages = Messages::new(&options.message, form)?;
        let address = Address::resolve(&options.address, DEFAULT_PORT)?;
        let dialer = Dialer::new(address, options.tls.as_ref(), options.patience)?;
        Ok(Self { messages, dialer, window: options.window.clamp(1, 1000), session: None, first: 1 })
    }

    /// Where it leads.
    #[must_use]
    pub fn address(&self) -> &Address {
        self.dialer.address()
    }

    /// Sends one window of records and waits for the answers to all.
    fn exchange(&mut self, parcels: &[Parcel], fates: &mut [Fate]) -> Result<(), String> {
        // Taken out: what is not whole at the end is dropped.
        let mut session = match self.session.take().and_then(Session::while_quiet) {
            Some(session) => session,
            None => Session::open(&self.dialer, self.first)?,
        };
        let first = session.next;
        let (mut frames, mut message) = (Vec::new(), Vec::new());
        let mut sent = Vec::with_capacity(parcels.len());
        for (parcel, (at, fate)) in parcels.iter().zip(fates.iter_mut().enumerate()) {
            message.clear();
            match self.messages.append(&parcel.line, &mut message) {
                Ok(()) => {
                    write_frame(&mut frames, session.number(), "syslog", &message);
                    sent.push(at);
                }
                Err(why) => *fate = Fate::Refused(why),
            }
        }
        session.send(&frames, &self.dialer)?;
        for _ in 0..sent.len() {
            let answer = session.answer(&self.dialer)?;
            // Any order is good; librelp's own keeps it. 0 is nobody's number, and must not be taken for the last.
            let place = (answer.number + LAST - first) % LAST;
            let at = sent.get(place as usize).filter(|_| answer.number != 0);
            let fate = at.map(|at| &mut fates[*at]).filter(|fate| **fate == Fate::Waits);
            let Some(fate) = fate else { return Err(format!("it answers {}, which was not open", answer.number)) };
            *fate = match answer.code {
                200 => Fate::Delivered,
                _ => Fate::Refused(answer.text),
            };
        }
        self.session = Some(session);
        Ok(())
    }
}

impl Transport for Relp {
    fn papers(&self) -> Option<Arc<Papers>> {
        self.dialer.papers()
    }

    fn bounds(&self) -> Bounds {
        Bounds { records: self.window, octets: 512 << 10 }
    }

    fn deliver(&mut self, parcels: &[Parcel]) -> Report {
        let mut fates = vec![Fate::Waits; parcels.len()];
        let windows = parcels.chunks(self.window).zip(fates.chunks_mut(self.window));
        let mut exchanged = Ok(());
        for (parcels, fates) in windows {
            exchanged = self.exchange(parcels, fates);
            if exchanged.is_err() {
                break;
            }
        }
        let trouble = exchanged.err().map(|why| Trouble::new(format!("{}: {why}", self.address())));
        Report { fates, trouble }
    }
}

impl Drop for Relp {
    /// In order, so that the server does not take it for a broken connection.
    fn drop(&mut self) {
        let Some(mut session) = self.session.take() else { return };
        let mut frame = Vec::new();
        write_frame(&mut frame, session.number(), "close", b"");
        // It has a tenth of the patience: whatever was sent is answered already.
        let _ = session.send(&frame, &self.dialer).and_then(|()| session.answer_within(SLICES / 10, &self.dialer));
    }
}

/// A connection on which `open` was answered.
struct Session {
    stream: Stream,
    /// Of the next transaction.
    next: u32,
    received: Vec<u8>,
    /// Octets of what was received that are done with.
    done: usize,
}

/// What a server made of a transaction.
struct Answer {
    number: u32,
    code: u32,
    /// Code and text, for people.
    text: String,
    /// What comes after the first line.
    more: Vec<u8>,
}

impl Session {
    fn open(dialer: &Dialer, first: u32) -> Result<Self, String> {
        let stream = dialer.connect()?;
        let mut session = Self { stream, next: first, received: Vec::new(), done: 0 };
        let version = env!("CARGO_PKG_VERSION");
        let offer = format!("relp_version=0\nrelp_software=barewire,{version}\ncommands=syslog");
        let mut frame = Vec::new();
        write_frame(&mut frame, session.number(), "open", offer.as_bytes());
        session.send(&frame, dialer)?;
        let answer = session.answer(dialer)?;
        if (answer.number, answer.code) != (first, 200) {
            return Err(format!("it does not open a session: {}", answer.text));
        }
        let mut offers = answer.more.split(|octet| *octet == b'\n').filter_map(|line| line.strip_prefix(b"commands="));
        let takes_syslog = offers.any(|commands| commands.split(|octet| *octet == b',').any(|one| one == b"syslog"));
        if takes_syslog { Ok(session) } else { Err("it does not take syslog".to_owned()) }
    }

    /// Numbers a transaction.
    fn number(&mut self) -> u32 {
        let number = self.next;
        self.next = number % LAST + 1;
        number
    }

    /// Between batches a server has nothing to say but that it closes, and nothing is lost by beginning anew.
    fn while_quiet(mut self) -> Option<Self> {
        let is_quiet = self.done == self.received.len() && matches!(self.stream.poll(&mut [0; 64]), Ok(None));
        is_quiet.then_some(self)
    }

    fn send(&mut self, frames: &[u8], dialer: &Dialer) -> Result<(), String> {
        self.stream.allow(SLICES);
        self.stream.send(frames).map_err(|error| dialer.words(&error))
    }

    /// The next answer, for which the server has all of the patience.
    fn answer(&mut self, dialer: &Dialer) -> Result<Answer, String> {
        self.answer_within(SLICES, dialer)
    }

    fn answer_within(&mut self, slices: u32, dialer: &Dialer) -> Result<Answer, String> {
        self.stream.allow(slices);
        loop {
            let waiting = &self.received[self.done..];
            if let Some(frame) = parse(waiting)? {
                let answer = answer(&frame, &waiting[frame.data.clone()]);
                self.done += frame.octets;
                return answer;
            }
            self.received.drain(..std::mem::take(&mut self.done));
            let mut more = [0; 4096];
            match self.stream.read(&mut more).map_err(|error| dialer.words(&error))? {
                0 => return Err(dialer.words(&io::ErrorKind::UnexpectedEof.into())),
                octets => self.received.extend_from_slice(&more[..octets]),
            }
        }
    }
}

fn answer(frame: &Frame, data: &[u8]) -> Result<Answer, String> {
    match &frame.command[..] {
        b"rsp" => {}
        b"serverclose" => return Err("it closed the session".to_owned()),
        other => return Err(format!("it says {} where it should answer", printable(other))),
    }
    let (first, more) = match data.iter().position(|octet| *octet == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[][..]),
    };
    let code = first.split(|octet| *octet == b' ').next().and_then(number).unwrap_or(0);
    Ok(Answer { number: frame.number, code, text: printable(first), more: more.to_vec() })
}

/// `TXNR SP COMMAND SP DATALEN [SP DATA] LF`.
fn write_frame(frames: &mut Vec<u8>, number: u32, command: &str, data: &[u8]) {
    let _ = write!(frames, "{number} {command} {}", data.len());
    if !data.is_empty() {
        frames.push(b' ');
        frames.extend_from_slice(data);
    }
    frames.push(b'\n');
}

/// Where things stand in a frame that was received.
struct Frame {
    number: u32,
    command: Vec<u8>,
    data: Range<usize>,
    /// All of it.
    octets: usize,
}

/// The frame that stands first, once it is whole.
fn parse(received: &[u8]) -> Result<Option<Frame>, String> {
    const NO_FRAME: &str = "it does not speak RELP";
    let mut at = 0;
    // The parts before the data, each with the octet after it.
    let mut part = |longest: usize, ends: &[u8]| {
        let rest = &received[at..];
        let end = rest.iter().take(longest + 1).position(|octet| ends.contains(octet));
        match end {
            Some(end) => {
                at += end + 1;
                Ok(Some((&rest[..end], rest[end])))
            }
            None if rest.len() > longest => Err(NO_FRAME.to_owned()),
            None => Ok(None),
        }
    };
    let Some((txnr, _)) = part(9, b" ")? else { return Ok(None) };
    let Some((command, _)) = part(32, b" ")? else { return Ok(None) };
    let Some((datalen, after)) = part(9, b" \n")? else { return Ok(None) };
    let (Some(number), Some(len)) = (number(txnr), number(datalen)) else { return Err(NO_FRAME.to_owned()) };
    let len = len as usize;
    if len > LONGEST_ANSWER {
        return Err("its answer is too long".to_owned());
    }
    // Without data the line feed may follow at once.
    let (data, end) = match (len, after) {
        (0, b'\n') => (at..at, at - 1),
        (_, b' ') => (at..at + len, at + len),
        _ => return Err(NO_FRAME.to_owned()),
    };
    match received.get(end) {
        None => Ok(None),
        Some(b'\n') => Ok(Some(Frame { number, command: command.to_vec(), data, octets: end + 1 })),
        Some(_) => Err(NO_FRAME.to_owned()),
    }
}

/// A number of nine digits at most.
fn number(digits: &[u8]) -> Option<u32> {
    let is_one = matches!(digits.len(), 1..=9) && digits.iter().all(u8::is_ascii_digit);
    is_one.then(|| digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
}

#[cfg(test)]
#[path = "relp/tests.rs"]
mod tests;
