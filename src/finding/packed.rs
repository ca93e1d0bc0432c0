//! Facts as octets: of what may be held by the million, each takes no more room than what it says.
//!
//! What is written here is read here, in the order in which it was written, and never leaves the program.

use super::record::Flow;
use super::software::Software;
use super::varint;
use crate::mail::{PROTOCOLS, Protocol, Text};
use crate::wire::{Endpoint, PacketRef, Timestamp, Tunnel, TunnelKind};

/// Octets of a block: many facts, and far from what an archive's findings take.
const BLOCK: usize = 256 * 1024;

/// Octets that a number takes at most.
const LONGEST_NUMBER: usize = 10;

/// Writes facts.
#[derive(Default)]
pub(super) struct Packer {
    octets: Vec<u8>,
}

/// Reads facts as they were written. What ends too early is read as nothing.
pub(super) struct Unpacker<'a> {
    rest: &'a [u8],
}

/// What a flow has of what most have not.
mod has {
    pub(super) const CLIENT_V4: u8 = 1;
    pub(super) const SERVER_V4: u8 = 2;
    pub(super) const VLAN: u8 = 4;
    pub(super) const TUNNEL: u8 = 8;
    pub(super) const TUNNEL_ENDS: u8 = 16;
    pub(super) const ISNS: u8 = 32;
}

impl Packer {
    /// Forgets what was written before.
    pub(super) fn begin(&mut self) -> &mut Self {
        self.octets.clear();
        self
    }

    /// What was written.
    pub(super) fn written(&self) -> &[u8] {
        &self.octets
    }

    /// Seven bits an octet, the least first.
    pub(super) fn number(&mut self, number: u64) {
        varint::append(number, &mut self.octets);
    }

    pub(super) fn octets(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    pub(super) fn text(&mut self, text: Option<&Text>) {
        let Some(text) = text else { return self.number(0) };
        self.number(1 + u64::from(text.is_lossy()) + 2 * text.as_bytes().len() as u64);
        self.octets(text.as_bytes());
    }

    pub(super) fn word(&mut self, word: &str) {
        self.number(word.len() as u64);
        self.octets(word.as_bytes());
    }

    /// A packet, by its distance from another.
    pub(super) fn packet(&mut self, at: PacketRef, base: PacketRef) {
        self.distance(at.time.0, base.time.0);
        self.distance(at.number, base.number);
        self.number(at.input.into());
    }

    /// Near numbers are short, be they before or behind.
    fn distance(&mut self, number: u64, base: u64) {
        let distance = number.wrapping_sub(base).cast_signed();
        self.number((distance << 1 ^ distance >> 63).cast_unsigned());
    }

    pub(super) fn endpoint(&mut self, endpoint: Endpoint) {
        let is_v4 = is_v4(endpoint);
        self.octets.push(is_v4.into());
        self.end(endpoint, is_v4);
    }

    fn end(&mut self, endpoint: Endpoint, is_v4: bool) {
        let octets = endpoint.address.to_be_bytes();
        self.octets(if is_v4 { &octets[12..] } else { &octets });
        self.octets(&{ endpoint.port }.to_be_bytes());
    }

    pub(super) fn protocol(&mut self, protocol: Protocol) {
        self.octets.push(protocol as u8);
    }

    /// A flow that began near a packet.
    pub(super) fn flow(&mut self, flow: &Flow, base: PacketRef) {
        let (client_v4, server_v4) = (is_v4(flow.client), is_v4(flow.server));
        let ends = flow.tunnel.and_then(Tunnel::ends);
        let marks = [
            (client_v4, has::CLIENT_V4),
            (server_v4, has::SERVER_V4),
            (flow.vlan.is_some(), has::VLAN),
            (flow.tunnel.is_some(), has::TUNNEL),
            (ends.is_some(), has::TUNNEL_ENDS),
            (flow.isns.is_some(), has::ISNS),
        ];
        let marks = marks.iter().filter(|(is, _)| *is).fold(0, |all, (_, mark)| all | mark);
        self.octets.push(marks);
        self.protocol(flow.protocol);
        self.end(flow.client, client_v4);
        self.end(flow.server, server_v4);
        self.packet(flow.start, base);
        flow.vlan.iter().for_each(|vlan| self.number((*vlan).into()));
        flow.tunnel.iter().for_each(|tunnel| self.number(tunnel.kind as u64));
        ends.iter().flatten().for_each(|end| self.octets(&end.to_be_bytes()));
        flow.isns.iter().flatten().for_each(|isn| self.octets(&isn.to_be_bytes()));
    }
}

impl<'a> Unpacker<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    pub(super) fn number(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let [octet] = self.octets();
            number |= u64::from(octet & 0x7f) << shift;
            if octet < 0x80 {
                break;
            }
        }
        number
    }

    pub(super) fn octets<const N: usize>(&mut self) -> [u8; N] {
        self.rest.split_off(..N).and_then(|octets| octets.try_into().ok()).unwrap_or([0; N])
    }

    fn part(&mut self, len: u64) -> &'a [u8] {
        self.rest.split_off(..len as usize).unwrap_or_default()
    }

    pub(super) fn text(&mut self) -> Option<Text> {
        let shape = self.number().checked_sub(1)?;
        Some(Text::restored(self.part(shape / 2), shape % 2 == 1))
    }

    pub(super) fn word(&mut self) -> &'a str {
        let len = self.number();
        std::str::from_utf8(self.part(len)).unwrap_or_default()
    }

    pub(super) fn packet(&mut self, base: PacketRef) -> PacketRef {
        let (time, number) = (self.distance(base.time.0), self.distance(base.number));
        PacketRef { time: Timestamp(time), number, input: self.number() as u32 }
    }

    fn distance(&mut self, base: u64) -> u64 {
        let shape = self.number();
        base.wrapping_add(shape >> 1 ^ (shape & 1).wrapping_neg())
    }

    pub(super) fn endpoint(&mut self) -> Endpoint {
        let [is_v4] = self.octets();
        self.end(is_v4 == 1)
    }

    fn end(&mut self, is_v4: bool) -> Endpoint {
        let address = match is_v4 {
            true => Endpoint::v4(u32::from_be_bytes(self.octets())),
            false => u128::from_be_bytes(self.octets()),
        };
        Endpoint { address, port: u16::from_be_bytes(self.octets()) }
    }

    pub(super) fn protocol(&mut self) -> Protocol {
        let [number] = self.octets();
        PROTOCOLS.get(usize::from(number)).unwrap_or(&PROTOCOLS[0]).protocol
    }

    pub(super) fn flow(&mut self, base: PacketRef) -> Flow {
        let [marks] = self.octets();
        let has = |mark: u8| marks & mark != 0;
        let protocol = self.protocol();
        let client = self.end(has(has::CLIENT_V4));
        let server = self.end(has(has::SERVER_V4));
        let start = self.packet(base);
        let vlan = has(has::VLAN).then(|| self.number() as u16);
        let tunnel = has(has::TUNNEL).then(|| {
            let kind = TunnelKind::ALL.get(self.number() as usize).unwrap_or(&TunnelKind::ALL[0]).0;
            let ends = has(has::TUNNEL_ENDS).then(|| [(); 2].map(|()| u128::from_be_bytes(self.octets())));
            Tunnel::new(kind, ends)
        });
        let isns = has(has::ISNS).then(|| [(); 2].map(|()| u32::from_be_bytes(self.octets())));
        Flow { client, server, start, protocol, vlan, tunnel, isns }
    }
}

fn is_v4(endpoint: Endpoint) -> bool {
    Endpoint::v4(endpoint.address as u32) == { endpoint.address }
}

/// Numbers for software: there are as many as are known, few in one place.
#[derive(Default)]
pub(super) struct Softwares {
    seen: Vec<&'static Software>,
}

impl Softwares {
    /// Its number; 0 for none.
    pub(super) fn number(&mut self, software: Option<&'static Software>) -> u64 {
        let Some(software) = software else { return 0 };
        let at = self.seen.iter().position(|seen| std::ptr::eq(*seen, software)).unwrap_or_else(|| {
            self.seen.push(software);
            self.seen.len() - 1
        });
        at as u64 + 1
    }

    pub(super) fn of(&self, number: u64) -> Option<&'static Software> {
        self.seen.get(number.checked_sub(1)? as usize).copied()
    }
}

/// Where something lies in an [`Arena`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    block: u32,
    at: u32,
}

/// Packed facts side by side, without what an allocation each would cost. Its blocks never move, so that to grow takes
/// no more memory than what comes in.
#[derive(Default)]
pub(super) struct Arena {
    blocks: Vec<Vec<u8>>,
    /// Octets of what was put in,
    held: usize,
    /// and of that what is no longer wanted.
    wasted: usize,
}

impl Arena {
    pub(super) fn put(&mut self, octets: &[u8]) -> Place {
        let room = LONGEST_NUMBER + octets.len();
        if self.blocks.last().is_none_or(|block| block.capacity() - block.len() < room) {
            self.blocks.push(Vec::with_capacity(BLOCK.max(room)));
        }
        let number = self.blocks.len() - 1;
        let block = &mut self.blocks[number];
        let at = block.len();
        varint::append(octets.len() as u64, block);
        block.extend_from_slice(octets);
        self.held += block.len() - at;
        Place { block: number as u32, at: at as u32 }
    }

    pub(super) fn get(&self, place: Place) -> Unpacker<'_> {
        let (at, len) = self.bounds(place);
        Unpacker::new(&self.blocks[place.block as usize][at..at + len])
    }

    /// Puts something in the place of another, or elsewhere where it does not fit.
    pub(super) fn replace(&mut self, place: Place, octets: &[u8]) -> Place {
        let (at, len) = self.bounds(place);
        if octets.len() > len {
            self.waste(place);
            return self.put(octets);
        }
        // What is read knows its end.
        self.blocks[place.block as usize][at..at + octets.len()].copy_from_slice(octets);
        place
    }

    /// What lies there is no longer wanted.
    pub(super) fn waste(&mut self, place: Place) {
        let (at, len) = self.bounds(place);
        self.wasted += at + len - place.at as usize;
    }

    /// Gives the room of what is no longer wanted back when it is most of all; `places` are those of all that is.
    pub(super) fn tidy<'p>(&mut self, places: impl Iterator<Item = &'p mut Place>) {
        if self.wasted <= BLOCK || self.wasted * 2 <= self.held {
            return;
        }
        let old = std::mem::take(self);
        for place in places {
            *place = self.put(old.get(*place).rest);
        }
    }

    /// Where the octets begin, and how many they are.
    fn bounds(&self, place: Place) -> (usize, usize) {
        let block = &self.blocks[place.block as usize];
        let mut read = Unpacker::new(&block[place.at as usize..]);
        let len = read.number() as usize;
        (block.len() - read.rest.len(), len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn endpoints() -> impl Strategy<Value = Endpoint> {
        let address = prop_oneof![any::<u128>(), any::<u32>().prop_map(Endpoint::v4)];
        (address, any::<u16>()).prop_map(|(address, port)| Endpoint { address, port })
    }

    fn packets() -> impl Strategy<Value = PacketRef> {
        (any::<u64>(), any::<u32>(), any::<u64>()).prop_map(|(time, input, number)| PacketRef {
            time: Timestamp(time),
            input,
            number,
        })
    }

    fn flows() -> impl Strategy<Value = Flow> {
        let tunnel = (0..TunnelKind::ALL.len(), any::<Option<[u128; 2]>>())
            .prop_map(|(kind, ends)| Tunnel::new(TunnelKind::ALL[kind].0, ends));
        let ends = (endpoints(), endpoints(), packets(), 0..PROTOCOLS.len());
        (ends, any::<Option<u16>>(), proptest::option::of(tunnel), any::<Option<[u32; 2]>>()).prop_map(
            |((client, server, start, protocol), vlan, tunnel, isns)| Flow {
                client,
                server,
                start,
                protocol: PROTOCOLS[protocol].protocol,
                vlan,
                tunnel,
                isns,
            },
        )
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            flow in flows(), base in packets(), endpoint in endpoints(), number: u64, octets: Vec<u8>,
        ) {
            let text = Text::new(&octets);
            let mut packer = Packer::default();
            packer.flow(&flow, base);
            packer.number(number);
            packer.text(Some(&text));
            packer.text(None);
            packer.endpoint(endpoint);
            packer.word(text.as_str());
            let mut arena = Arena::default();
            let place = arena.put(packer.written());
            let mut read = arena.get(place);
            prop_assert_eq!(read.flow(base), flow);
            prop_assert_eq!(read.number(), number);
            prop_assert_eq!(read.text(), Some(text.clone()));
            prop_assert_eq!(read.text(), None);
            prop_assert_eq!(read.endpoint(), endpoint);
            prop_assert_eq!(read.word(), text.as_str());
            prop_assert!(read.rest.is_empty());
        }
    }

    #[test]
    fn what_is_no_longer_wanted_is_given_back() {
        let mut arena = Arena::default();
        let mut places: Vec<Place> = (0..1000_u32).map(|number| arena.put(&number.to_be_bytes())).collect();
        for round in 5..200 {
            for (number, place) in (0..1000_u32).zip(&mut places) {
                *place = arena.replace(*place, &[&number.to_be_bytes()[..], &vec![0; round]].concat());
            }
            arena.tidy(places.iter_mut());
        }
        assert!(arena.blocks.len() <= 4, "{}", arena.blocks.len());
        for (number, place) in (0..1000_u32).zip(places) {
            assert_eq!(u32::from_be_bytes(arena.get(place).octets()), number);
        }
    }
}
