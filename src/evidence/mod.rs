//! The packets of one connection, without what is secret in them, as a file that shows a finding to others.
//!
//! A [`Trail`] takes the segments of a connection in the order of the capture and writes each as a packet of pcapng: fresh
//! headers, the time of the capture, the payload at its length, of which only what is known to be no secret is kept
//! (`redact`). Nothing is searched for: what is not understood is overwritten. It leaves out which connections are wanted
//! and where files are, which is [`crate::run`]'s affair; no clock, no threads, no files.

mod commands;
mod packet;
mod pcapng;
mod redact;
mod replies;

use crate::finding::Flow;
use crate::stream::Direction;
use crate::wire::{Flags, PacketRef, Segment, SeqNumber};
use packet::{Headers, MOST_OCTETS};
use redact::Redactor;
use std::collections::VecDeque;
use std::sync::Arc;

/// What stands in place of every octet that is not kept.
pub const OVERWRITTEN: u8 = b'X';

/// Octets of packets that wait for the end of a line, of one connection. What is longer in coming is overwritten: a line in
/// pieces of one octet has room for eight hundred of them.
const HELD_OCTETS: usize = 128 * 1024;

/// What a packet takes besides its payload.
const PACKET_OCTETS: usize = 160;

/// The beginning of a file.
#[must_use]
pub fn begin(comment: &str) -> Vec<u8> {
    let mut out = Vec::new();
    pcapng::begin(comment, concat!("barewire ", env!("CARGO_PKG_VERSION")), &mut out);
    out
}

/// One connection on its way into a file.
pub struct Trail {
    flow: Flow,
    /// The name of its capture, by the input of a packet.
    names: Arc<[String]>,
    redactor: Redactor,
    /// Where each direction begins, and its next octet.
    begins: [Option<SeqNumber>; 2],
    next: [Option<SeqNumber>; 2],
    held: VecDeque<Held>,
    held_octets: usize,
    /// The number of the first that is held.
    first: u64,
}

/// A packet that waits.
struct Held {
    at: PacketRef,
    headers: Headers,
    payload: Vec<u8>,
    /// Octets on the wire that no octet here stands for.
    missing: usize,
}

impl Trail {
    /// At the beginning of a connection; `names` are those of the inputs.
    #[must_use]
    pub fn new(flow: Flow, names: Arc<[String]>) -> Self {
        Self {
            redactor: Redactor::new(flow.protocol),
            flow,
            names,
            begins: [None; 2],
            next: [None; 2],
            held: VecDeque::new(),
            held_octets: 0,
            first: 0,
        }
    }

    /// Takes the next segment of the connection; packets of which every octet is decided go to `out`.
    pub fn push(&mut self, segment: &Segment<'_>, at: PacketRef, out: &mut Vec<u8>) {
        let direction = if segment.source == self.flow.client { Direction::ToServer } else { Direction::ToClient };
        // What the capture cut stands there as well, overwritten: lengths and checksums are right then.
        let len = (segment.payload_len as usize).max(segment.payload.len());
        let payload = vec![OVERWRITTEN; len.min(MOST_OCTETS)];
        self.held_octets += payload.len() + PACKET_OCTETS;
        let missing = len - payload.len();
        self.held.push_back(Held { at, headers: Headers::of(segment), payload, missing });
        if self.is_next(direction, segment) {
            let packet = self.first + self.held.len() as u64 - 1;
            let Self { redactor, held, first, .. } = self;
            redactor.push(direction, segment.payload, packet, &mut |packet, at, octets| {
                let held = usize::try_from(packet - *first).ok().and_then(|packet| held.get_mut(packet));
                if let Some(place) = held.and_then(|held| held.payload.get_mut(at..at + octets.len())) {
                    place.copy_from_slice(octets);
                }
            });
        }
        self.write(out);
        if self.held_octets > HELD_OCTETS {
            self.redactor.lose();
            self.write(out);
        }
    }

    /// The connection is over: the rest goes to `out`.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.redactor.lose();
        self.write(out);
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        let undecided = self.redactor.undecided().unwrap_or(u64::MAX);
        while self.first < undecided
            && let Some(held) = self.held.pop_front()
        {
            self.first += 1;
            self.held_octets -= held.payload.len() + PACKET_OCTETS;
            let name = self.names.get(held.at.input as usize).map_or("", String::as_str);
            let mut comment = format!("packet {} of {name}", held.at.number);
            if held.missing > 0 {
                comment.push_str(&format!("; {} more octets of it do not fit into a packet", held.missing));
            }
            let mut octets = Vec::with_capacity(held.payload.len() + PACKET_OCTETS);
            held.headers.write(&held.payload, &mut octets);
            pcapng::packet(held.at.time, &octets, &comment, out);
        }
    }

    /// Whether the payload continues its direction, so that it may be read. Whatever shows that the reading is not that of
    /// the ends loses the thread; what was there before is only overwritten.
    fn is_next(&mut self, direction: Direction, segment: &Segment<'_>) -> bool {
        let (own, other) = (direction.index(), direction.other().index());
        if segment.flags.has(Flags::SYN) {
            let begin = segment.seq.advance(1);
            let known = *self.begins[own].get_or_insert(begin);
            self.next[own].get_or_insert(begin);
            if known != begin || segment.payload_len > 0 {
                self.redactor.lose();
            }
            return false;
        }
        let len = segment.payload_len;
        // It acknowledges what was not seen: octets are missing, or come later, and this answers them.
        let acks_unseen = |ack: SeqNumber| self.next[other].is_none_or(|next| ack.offset_from(next) > 0);
        let is_reset = segment.flags.has(Flags::RST);
        if !is_reset && segment.ack.is_some_and(acks_unseen) {
            self.redactor.lose();
        }
        let Some(next) = self.next[own] else {
            if len > 0 {
                self.redactor.lose();
            }
            return false;
        };
        let has_fin = segment.flags.has(Flags::FIN);
        let offset = segment.seq.offset_from(next);
        if offset != 0 {
            let end = segment.seq.advance(len).offset_from(next);
            if len > 0 && (offset > 0 || end > 0) {
                self.redactor.lose();
            }
            return false;
        }
        let is_whole = len as usize == segment.payload.len() && len as usize <= MOST_OCTETS;
        if len > 0 && (!is_whole || segment.flags.has(URG) || is_reset) {
            self.redactor.lose();
        }
        self.next[own] = Some(next.advance(len).advance(u32::from(has_fin)));
        true
    }
}

/// The urgent pointer is significant: receivers differ in what they do with such octets.
const URG: u8 = 0x20;

/// Letters, digits and `others`.
fn is_plain(octets: &[u8], others: &[u8]) -> bool {
    octets.iter().all(|octet| octet.is_ascii_alphanumeric() || others.contains(octet))
}

#[cfg(test)]
mod tests;
