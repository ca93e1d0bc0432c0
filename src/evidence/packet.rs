//! A packet made anew around a payload: IP and TCP headers with right lengths and checksums, and of the options of TCP
//! only those that tell how numbers are to be read.

use crate::wire::{Endpoint, Flags, Segment};
use etherparse::{IpNumber, Ipv4Header, Ipv6Header, TcpHeader, TcpOptionElement};

/// Octets of payload that an IP packet holds with the largest TCP header; what offload captured longer is cut.
pub(super) const MOST_OCTETS: usize = 65_535 - 20 - 60;

/// What a packet is made of besides its payload.
pub(super) struct Headers {
    source: Endpoint,
    destination: Endpoint,
    ttl: u8,
    tcp: TcpHeader,
}

impl Headers {
    /// Those of a segment.
    pub(super) fn of(segment: &Segment<'_>) -> Self {
        let word = |at: usize| {
            let octets = segment.tcp.get(at..at + 2);
            octets.map_or(0, |octets| u16::from_be_bytes([octets[0], octets[1]]))
        };
        let mut tcp = TcpHeader::new(segment.source.port, segment.destination.port, segment.seq.0, word(14));
        tcp.acknowledgment_number = segment.ack.map_or(0, |ack| ack.0);
        let has = |flag| segment.flags.has(flag);
        (tcp.fin, tcp.syn, tcp.rst, tcp.ack) = (has(Flags::FIN), has(Flags::SYN), has(Flags::RST), has(Flags::ACK));
        (tcp.psh, tcp.urg, tcp.ece, tcp.cwr) = (has(0x08), has(0x20), has(0x40), has(0x80));
        tcp.urgent_pointer = if tcp.urg { word(18) } else { 0 };
        // Three options of ten octets in all: there is room.
        let _ = tcp.set_options(&options(segment));
        Self { source: segment.source, destination: segment.destination, ttl: segment.ttl, tcp }
    }

    /// Adds the packet, from its IP header on.
    pub(super) fn write(mut self, payload: &[u8], out: &mut Vec<u8>) {
        let payload = &payload[..payload.len().min(MOST_OCTETS)];
        let len = (self.tcp.header_len() + payload.len()) as u16;
        let mapped = |end: Endpoint| u32::try_from(end.address ^ Endpoint::v4(0)).ok().map(u32::to_be_bytes);
        // Writing to memory does not fail, and the lengths were bounded above.
        if let Some((source, destination)) = mapped(self.source).zip(mapped(self.destination)) {
            if let Ok(mut ip) = Ipv4Header::new(len, self.ttl, IpNumber::TCP, source, destination) {
                ip.dont_fragment = true;
                self.tcp.checksum = self.tcp.calc_checksum_ipv4(&ip, payload).unwrap_or_default();
                let _ = ip.write(out);
            }
        } else {
            let ip = Ipv6Header {
                payload_length: len,
                next_header: IpNumber::TCP,
                hop_limit: self.ttl,
                source: self.source.address.to_be_bytes(),
                destination: self.destination.address.to_be_bytes(),
                ..Ipv6Header::default()
            };
            self.tcp.checksum = self.tcp.calc_checksum_ipv6(&ip, payload).unwrap_or_default();
            let _ = ip.write(out);
        }
        let _ = self.tcp.write(out);
        out.extend_from_slice(payload);
    }
}

/// The largest segment, the scale of the window, and that acknowledgements may be selective: without them whoever reads
/// the file would take windows for full.
fn options(segment: &Segment<'_>) -> Vec<TcpOptionElement> {
    let mut found = Vec::new();
    if !segment.flags.has(Flags::SYN) {
        return found;
    }
    let end = segment.tcp.len() - segment.payload.len();
    let mut rest = segment.tcp.get(20..end).unwrap_or_default();
    // At most 40 octets, each turn takes one of them at least, and each kind is taken once.
    let mut seen = [false; 5];
    loop {
        let (option, next) = match *rest {
            [1, ref next @ ..] => (None, next),
            [2, 4, a, b, ref next @ ..] => {
                (Some((2, TcpOptionElement::MaximumSegmentSize(u16::from_be_bytes([a, b])))), next)
            }
            [3, 3, shift, ref next @ ..] => (Some((3, TcpOptionElement::WindowScale(shift))), next),
            [4, 2, ref next @ ..] => (Some((4, TcpOptionElement::SelectiveAcknowledgementPermitted)), next),
            [kind, len, ..] if kind > 1 && len > 1 => match rest.get(usize::from(len)..) {
                Some(next) => (None, next),
                None => return found,
            },
            _ => return found,
        };
        if let Some((kind, option)) = option
            && !std::mem::replace(&mut seen[kind], true)
        {
            found.push(option);
        }
        rest = next;
    }
}
