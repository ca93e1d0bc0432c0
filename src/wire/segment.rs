//! One TCP segment as the core takes it.

use super::{Endpoint, SeqNumber, Tunnel};

/// TCP flags (RFC 9293 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// The acknowledgement field is significant.
    pub const ACK: u8 = 0x10;

    /// Whether any of `mask` is set.
    #[must_use]
    #[inline]
    pub fn has(self, mask: u8) -> bool {
        self.0 & mask != 0
    }
}

/// One TCP segment, payload borrowed from the frame.
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    /// Who sent it.
    pub source: Endpoint,
    /// To whom.
    pub destination: Endpoint,
    /// Sequence number of the first payload octet (of the SYN itself when that is set).
    pub seq: SeqNumber,
    /// Acknowledgement, when its flag is set.
    pub ack: Option<SeqNumber>,
    /// The flags.
    pub flags: Flags,
    /// Time to live or hop limit of the innermost IP header.
    pub ttl: u8,
    /// The octets that were captured.
    pub payload: &'a [u8],
    /// Payload octets on the wire; larger than `payload` when the capture cut the frame.
    pub payload_len: u32,
    /// Header, options and payload, as far as they were captured.
    pub tcp: &'a [u8],
    /// The two outermost VLAN identifiers, the outermost first.
    pub vlans: [Option<u16>; 2],
    /// The outermost tunnel.
    pub tunnel: Option<Tunnel>,
}

/// Octets of a TCP header without options.
const HEADER: usize = 20;

impl Segment<'_> {
    /// TSval of the timestamps option (RFC 7323 §3.2), in the sender's own ticks.
    #[must_use]
    pub fn timestamp(&self) -> Option<u32> {
        let mut options = self.tcp.get(HEADER..self.tcp.len() - self.payload.len())?;
        // At most 40 octets, and each turn takes one of them at least.
        loop {
            options = match *options {
                [8, 10, a, b, c, d, _, _, _, _, ..] => return Some(u32::from_be_bytes([a, b, c, d])),
                [1, ref rest @ ..] => rest,
                [kind, len, ..] if kind > 1 && len > 1 => options.get(usize::from(len)..)?,
                _ => return None,
            };
        }
    }

    /// Whether the checksum over pseudo header, header and payload is right (RFC 9293 §3.1, RFC 8200 §8.1); `None` when
    /// the capture cut the segment. A sender's own capture shows wrong ones where its network card fills them in.
    #[must_use]
    pub fn checksum_is_right(&self) -> Option<bool> {
        if self.payload.len() < self.payload_len as usize {
            return None;
        }
        // Both pseudo headers come to one: of what IPv4 addresses are mapped with, 0xffff is the zero of this sum.
        let of_address = |end: Endpoint| sum(&end.address.to_be_bytes());
        let total = of_address(self.source) + of_address(self.destination) + 6 + self.tcp.len() as u64 + sum(self.tcp);
        Some(fold(total) == 0xffff)
    }
}

/// The sum of 16-bit words (RFC 1071), not folded: 2^47 octets would be needed to overflow it.
fn sum(octets: &[u8]) -> u64 {
    let (words, rest) = octets.as_chunks::<2>();
    let last = rest.first().map_or(0, |&octet| u64::from(octet) << 8);
    words.iter().map(|word| u64::from(u16::from_be_bytes(*word))).sum::<u64>() + last
}

fn fold(mut sum: u64) -> u64 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Link, Transcript, frames};
    use crate::wire::decode;
    use proptest::prelude::*;

    fn with_options(options: &[u8]) -> Option<u32> {
        let tcp = [&[0; HEADER], options].concat();
        let (end, flags) = (Endpoint { address: 0, port: 0 }, Flags::default());
        let (seq, vlans) = (SeqNumber(0), [None; 2]);
        let none = Segment {
            source: end,
            destination: end,
            seq,
            ack: None,
            flags,
            ttl: 0,
            payload: &[],
            payload_len: 0,
            tcp: &tcp,
            vlans,
            tunnel: None,
        };
        none.timestamp()
    }

    #[test]
    fn the_timestamp_is_found_among_other_options() {
        assert_eq!(with_options(&[1, 1, 8, 10, 0, 0, 1, 2, 0, 0, 0, 9]), Some(0x102));
        assert_eq!(with_options(&[2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0]), Some(0x0102_0304));
        for none in
            [&[][..], &[0, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0], &[8, 10, 1, 2, 3], &[5, 0, 0], &[5, 1], &[3], &[3, 200]]
        {
            assert_eq!(with_options(none), None, "{none:?}");
        }
    }

    proptest! {
        #[test]
        fn any_options_are_read_to_an_end(options in proptest::collection::vec(any::<u8>(), 0..40)) {
            with_options(&options);
        }

        #[test]
        fn a_checksum_is_right_until_an_octet_changes(
            said in proptest::collection::vec(any::<u8>(), 1..50), at in any::<usize>(), change in 1..=255_u8, is_v6 in any::<bool>(),
        ) {
            let mut packet = Transcript::new(25).say(crate::testing::Speaker::Client, &said).play().swap_remove(3);
            if is_v6 {
                packet.source.address |= 1 << 127;
            }
            let mut captured = frames(&[packet], Link::Raw).remove(0);
            let decoded = |captured: &crate::testing::Captured| {
                decode(&captured.frame(1, captured.time)).ok().and_then(|segment| segment.checksum_is_right())
            };
            prop_assert_eq!(decoded(&captured), Some(true));
            let at = captured.octets.len() - 1 - at % said.len();
            captured.octets[at] ^= change;
            prop_assert_eq!(decoded(&captured), Some(false));
            let cut = captured.octets.len() - 1;
            let frame = captured.frame(1, captured.time);
            let frame = crate::wire::Frame { octets: &captured.octets[..cut], ..frame };
            prop_assert_eq!(decode(&frame).ok().map(|segment| segment.checksum_is_right()), Some(None));
        }
    }
}
