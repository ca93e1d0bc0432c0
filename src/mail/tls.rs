//! TLS as far as a passive listener needs it: records walked by their length, both hellos read, and the point
//! from which everything is encrypted. Nothing after that is looked at.

use super::framing::Input;
use super::observe::{Observation, Out, TlsStep};
use super::text::Text;
use crate::limits::HELLO_OCTETS;
use crate::stream::Direction;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// RFC 8446 §5.1 allows 2^14 octets, older versions 2048 more; the version's first octet is 3 for all of them.
const MAX_RECORD: usize = (1 << 14) + 2048;

/// Whether octets at the beginning of a flight look like a TLS handshake or alert record, as far as they go.
#[must_use]
pub(super) fn looks_like_record(octets: &[u8]) -> bool {
    match octets {
        [HANDSHAKE | ALERT] => true,
        [HANDSHAKE | ALERT, 3, rest @ ..] => {
            rest.first().is_none_or(|&minor| minor <= 4)
                && (rest.len() < 3 || usize::from(u16::from_be_bytes([rest[1], rest[2]])) <= MAX_RECORD)
        }
        _ => false,
    }
}

/// Whether octets begin a TLS ClientHello.
#[must_use]
pub(super) fn looks_like_client_hello(octets: &[u8]) -> bool {
    looks_like_record(octets) && octets[0] == HANDSHAKE && octets.get(5).is_none_or(|&kind| kind == 1)
}

/// The records of one direction.
#[derive(Default)]
struct Records {
    header: [u8; 5],
    header_len: usize,
    left: usize,
    /// The handshake message being collected, until its hello is read.
    hello: Vec<u8>,
    hello_read: bool,
    began: bool,
    change_cipher_spec: bool,
    /// Records of encrypted content.
    encrypted: u32,
    alert: Vec<u8>,
}

/// Both directions of a TLS connection.
#[derive(Default)]
pub(super) struct Watch {
    halves: [Records; 2],
    version: Option<u16>,
    settled: bool,
}

impl Watch {
    /// Reads octets of one direction; `true` once nothing more can be learnt.
    pub(super) fn read(&mut self, direction: Direction, input: &mut Input<'_>, out: &mut Out) -> bool {
        while !input.octets.is_empty() && !self.settled {
            self.step(direction, input, out);
        }
        self.settled
    }

    fn step(&mut self, direction: Direction, input: &mut Input<'_>, out: &mut Out) {
        let half = &mut self.halves[direction.index()];
        if half.left == 0 {
            let part = input.take(5 - half.header_len);
            half.header[half.header_len..half.header_len + part.len()].copy_from_slice(part);
            half.header_len += part.len();
            if half.header_len == 5 {
                half.header_len = 0;
                half.left = usize::from(u16::from_be_bytes([half.header[3], half.header[4]]));
                self.record_begins(direction, input, out);
            }
            return;
        }
        let part = input.take(half.left);
        half.left -= part.len();
        match half.header[0] {
            HANDSHAKE if !half.hello_read && half.hello.len() < HELLO_OCTETS => {
                half.hello.extend_from_slice(part);
                self.hello(direction, input, out);
            }
            ALERT if !half.change_cipher_spec && half.alert.len() < 2 => {
                half.alert.extend_from_slice(part);
                // RFC 8446 §6: level 2 is fatal. Encrypted alerts are longer than two octets.
                if half.alert.first() == Some(&2) && half.header[3..] == [0, 2] {
                    self.settled = true;
                    out.push(input.mark, Observation::Tls(TlsStep::Failed));
                }
            }
            _ => {}
        }
    }

    fn record_begins(&mut self, direction: Direction, input: &Input<'_>, out: &mut Out) {
        let half = &mut self.halves[direction.index()];
        let kind = half.header[0];
        let is_tls = (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&kind) && half.header[1] == 3;
        if !is_tls || half.left > MAX_RECORD {
            self.settled = true;
            return;
        }
        if kind == HANDSHAKE && !half.began && direction == Direction::ToServer {
            out.push(input.mark, Observation::Tls(TlsStep::ClientHello));
        }
        half.began = true;
        let after_change = half.change_cipher_spec;
        half.change_cipher_spec |= kind == CHANGE_CIPHER_SPEC;
        half.encrypted += u32::from(kind == APPLICATION_DATA || after_change && kind == HANDSHAKE);
        if self.is_established() {
            self.settled = true;
            out.push(input.mark, Observation::Tls(TlsStep::Established));
        }
    }

    /// ServerHello, then for TLS 1.3 an encrypted record of the client; before, ChangeCipherSpec and an encrypted
    /// record each way.
    fn is_established(&self) -> bool {
        let [client, server] = &self.halves;
        match self.version {
            Some(0x0304) => client.encrypted > 0 && server.encrypted > 0,
            Some(_) => {
                client.change_cipher_spec && server.change_cipher_spec && client.encrypted > 0 && server.encrypted > 0
            }
            None => false,
        }
    }

    fn hello(&mut self, direction: Direction, input: &Input<'_>, out: &mut Out) {
        let half = &mut self.halves[direction.index()];
        let Some(message) = whole_message(&half.hello) else { return };
        match (direction, message.first()) {
            (Direction::ToServer, Some(1)) => {
                if let Some(name) = client_hello_name(&message[4..]) {
                    out.push(input.mark, Observation::ServerName(Text::new(name)));
                }
            }
            (Direction::ToClient, Some(2)) => {
                if let Some(version) = server_hello_version(&message[4..]) {
                    self.version = Some(version);
                    out.push(input.mark, Observation::Tls(TlsStep::ServerHello(version)));
                }
            }
            _ => {}
        }
        half.hello_read = true;
        half.hello = Vec::new();
    }

    /// Octets were lost: the record in progress may still cover them.
    pub(super) fn lose(&mut self, direction: Direction, len: u64) {
        let half = &mut self.halves[direction.index()];
        match usize::try_from(len).ok().filter(|len| *len <= half.left) {
            Some(len) => half.left -= len,
            None => self.settled = true,
        }
        half.hello_read = true;
    }
}

/// The first handshake message, when all of it is there.
fn whole_message(octets: &[u8]) -> Option<&[u8]> {
    let header = octets.first_chunk::<4>()?;
    let len = u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
    octets.get(..4 + len)
}

/// Reads fields from the front; `None` when they are not there.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, octets: usize) -> Option<usize> {
        Some(self.take(octets)?.iter().fold(0, |number, &octet| number << 8 | usize::from(octet)))
    }

    /// A vector with a length of `octets` octets before it.
    fn vector(&mut self, octets: usize) -> Option<Fields<'a>> {
        let len = self.number(octets)?;
        self.take(len).map(Fields)
    }

    fn extension(mut self, wanted: usize) -> Option<Fields<'a>> {
        while !self.0.is_empty() {
            let kind = self.number(2)?;
            let content = self.vector(2)?;
            if kind == wanted {
                return Some(content);
            }
        }
        None
    }
}

/// RFC 6066 §3.
fn client_hello_name(body: &[u8]) -> Option<&[u8]> {
    let mut fields = Fields(body);
    fields.take(2 + 32)?;
    fields.vector(1)?;
    fields.vector(2)?;
    fields.vector(1)?;
    let mut names = fields.vector(2)?.extension(0)?.vector(2)?;
    (names.number(1)? == 0).then_some(())?;
    Some(names.vector(2)?.0)
}

/// The negotiated version: RFC 8446 §4.2.1 hides 1.3 in an extension.
fn server_hello_version(body: &[u8]) -> Option<u16> {
    let mut fields = Fields(body);
    let legacy = fields.number(2)?;
    fields.take(32)?;
    fields.vector(1)?;
    fields.take(3)?;
    let chosen = fields.vector(2).and_then(|extensions| extensions.extension(43)).and_then(|mut v| v.number(2));
    u16::try_from(chosen.unwrap_or(legacy)).ok()
}
