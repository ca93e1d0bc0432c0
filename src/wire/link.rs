//! Link layers: from the first captured octet to the network header, and what stands between Ethernet and IP.

use super::decode::Skip;
use super::{Path, TunnelKind};

/// A `LINKTYPE_` value of the capture file formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: address family in host order of the capturing machine.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// PPP in HDLC-like framing (RFC 1662), with or without the address and control octets.
    pub const PPP: Self = Self(9);
    /// Raw IP, by first nibble. 12 and 14 are older numbers for the same.
    pub const RAW: Self = Self(101);
    /// 802.11 without what the radio says of it.
    pub const IEEE802_11: Self = Self(105);
    /// OpenBSD loopback: address family in network order.
    pub const LOOP: Self = Self(108);
    /// Linux cooked capture v1.
    pub const LINUX_SLL: Self = Self(113);
    /// 802.11 with radiotap's header before it.
    pub const RADIOTAP: Self = Self(127);
    /// Packets with a header that names their link type, mostly 802.11.
    pub const PPI: Self = Self(192);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// What Linux's netfilter logs: attributes, one of which is the IP packet.
    pub const NFLOG: Self = Self(239);
    /// Linux cooked capture v2.
    pub const LINUX_SLL2: Self = Self(276);

    /// What those who capture call it, of the types that are met now and then and not read.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        const NAMES: [(u16, &str); 16] = [
            (6, "token ring"),
            (10, "FDDI"),
            (50, "PPP over HDLC"),
            (51, "PPPoE without Ethernet"),
            (100, "ATM"),
            (104, "Cisco HDLC"),
            (107, "frame relay"),
            (117, "OpenBSD pflog"),
            (119, "802.11 with Prism header"),
            (138, "IP over FireWire"),
            (143, "DOCSIS"),
            (163, "802.11 with AVS header"),
            (189, "USB"),
            (197, "ERF"),
            (220, "USB"),
            (249, "USBPcap"),
        ];
        NAMES.iter().find(|(number, _)| *number == self.0).map(|(_, name)| *name)
    }
}

/// Link types that are not read, each with its frames. Captures have one or two such types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    types: [Option<(LinkType, u64)>; 4],
    /// Frames of yet other types.
    pub others: u64,
}

impl Unread {
    /// Counts frames.
    pub(crate) fn note(&mut self, link_type: LinkType, frames: u64) {
        match self.types.iter_mut().find(|known| known.is_none_or(|(known, _)| known == link_type)) {
            Some(place) => place.get_or_insert((link_type, 0)).1 += frames,
            None => self.others += frames,
        }
    }

    /// Adds another engine's.
    pub(crate) fn add(&mut self, other: &Self) {
        other.iter().for_each(|(link_type, frames)| self.note(link_type, frames));
        self.others += other.others;
    }

    /// Each with its frames.
    pub fn iter(&self) -> impl Iterator<Item = (LinkType, u64)> + '_ {
        self.types.iter().flatten().copied()
    }
}

/// EtherTypes that matter here (IANA "IEEE 802 numbers").
mod ether_type {
    pub(super) const IPV4: u16 = 0x0800;
    pub(super) const IPV6: u16 = 0x86dd;
    pub(super) const VLAN: u16 = 0x8100;
    pub(super) const QINQ: u16 = 0x88a8;
    pub(super) const QINQ_OLD: u16 = 0x9100;
    pub(super) const MPLS: u16 = 0x8847;
    pub(super) const MPLS_UPSTREAM: u16 = 0x8848;
    pub(super) const PPPOE_SESSION: u16 = 0x8864;
    /// Ethernet in GRE (RFC 1701).
    pub(super) const TRANSPARENT: u16 = 0x6558;
}

/// How the octets at hand are to be read.
#[derive(Clone, Copy)]
pub(super) enum Layer<'a> {
    /// As an Ethernet frame.
    Ethernet(&'a [u8]),
    /// As the EtherType says.
    Typed(u16, &'a [u8]),
    /// As PPP.
    Ppp(&'a [u8]),
    /// As an IP packet.
    Ip(&'a [u8]),
}

/// The first layer of a frame.
pub(super) fn first(link_type: LinkType, octets: &[u8]) -> Result<Layer<'_>, Skip> {
    match link_type {
        LinkType::ETHERNET => Ok(Layer::Ethernet(octets)),
        LinkType::RAW | LinkType(12 | 14) | LinkType::IPV4 | LinkType::IPV6 => Ok(Layer::Ip(octets)),
        // The protocol family differs between systems (AF_INET6 is 10, 24, 28 or 30) and its octet order with the
        // machine, so the IP header's own version nibble decides.
        LinkType::NULL | LinkType::LOOP => octets.get(4..).map(Layer::Ip).ok_or(Skip::Truncated),
        LinkType::LINUX_SLL => cooked(octets, 14, 16),
        LinkType::LINUX_SLL2 => cooked(octets, 0, 20),
        LinkType::PPP => Ok(Layer::Ppp(octets)),
        LinkType::IEEE802_11 => radio(octets),
        LinkType::RADIOTAP => radio(after_length(octets)?),
        LinkType::PPI => {
            let rest = after_length(octets)?;
            match octets.get(4..8) {
                Some(&[low, high, 0, 0]) if [low, high] != LinkType::PPI.0.to_le_bytes() => {
                    first(LinkType(u16::from_le_bytes([low, high])), rest)
                }
                _ => Err(Skip::Malformed),
            }
        }
        LinkType::NFLOG => logged(octets),
        _ => Err(Skip::LinkType),
    }
}

/// What stands within a layer that is no IP packet. Tags and labels count as layers, so that no stack of them is endless.
pub(super) fn next<'a>(layer: Layer<'a>, path: &mut Path) -> Result<Layer<'a>, Skip> {
    match layer {
        Layer::Ethernet(octets) => {
            let ether_type = be16(octets, 12).ok_or(Skip::Truncated)?;
            Ok(Layer::Typed(ether_type, &octets[14..]))
        }
        Layer::Typed(ether_type, rest) => typed(ether_type, rest, path),
        Layer::Ppp(octets) => ppp(octets, path),
        Layer::Ip(_) => Ok(layer),
    }
}

fn typed<'a>(ether_type: u16, rest: &'a [u8], path: &mut Path) -> Result<Layer<'a>, Skip> {
    match ether_type {
        ether_type::IPV4 | ether_type::IPV6 => Ok(Layer::Ip(rest)),
        ether_type::VLAN | ether_type::QINQ | ether_type::QINQ_OLD => {
            let tag = be16(rest, 0).ok_or(Skip::Truncated)?;
            let inner = be16(rest, 2).ok_or(Skip::Truncated)?;
            path.tag(tag & 0x0fff);
            Ok(Layer::Typed(inner, &rest[4..]))
        }
        ether_type::MPLS | ether_type::MPLS_UPSTREAM => {
            path.enter(TunnelKind::Mpls, None);
            mpls(rest)
        }
        ether_type::PPPOE_SESSION => {
            // RFC 2516 §4: version and type 1, code 0, session, length.
            let payload = rest.get(6..).ok_or(Skip::Truncated)?;
            path.enter(TunnelKind::Pppoe, None);
            if rest[..2] == [0x11, 0] { Ok(Layer::Ppp(payload)) } else { Err(Skip::Malformed) }
        }
        ether_type::TRANSPARENT => Ok(Layer::Ethernet(rest)),
        _ => Err(Skip::NotIp),
    }
}

/// RFC 3032 §2.1: labels up to the one at the bottom; nothing says what they carry. RFC 4448 §4.6: before an Ethernet
/// frame may stand a control word, whose first nibble is 0.
fn mpls(octets: &[u8]) -> Result<Layer<'_>, Skip> {
    let (labels, _) = octets.as_chunks::<4>();
    let bottom = labels.iter().take(LABELS).position(|label| label[2] & 1 == 1);
    let at = bottom.ok_or(if labels.len() < LABELS { Skip::Truncated } else { Skip::TooDeep })?;
    let payload = &octets[4 * (at + 1)..];
    match payload.first().map(|octet| octet >> 4) {
        Some(4 | 6) => Ok(Layer::Ip(payload)),
        Some(0) if !is_ethernet(payload) => payload.get(4..).map(Layer::Ethernet).ok_or(Skip::Truncated),
        Some(_) => Ok(Layer::Ethernet(payload)),
        None => Err(Skip::Truncated),
    }
}

/// Whether an EtherType that is opened stands where it does in a frame.
fn is_ethernet(octets: &[u8]) -> bool {
    const KNOWN: [u16; 5] =
        [ether_type::IPV4, ether_type::IPV6, ether_type::VLAN, ether_type::QINQ, ether_type::PPPOE_SESSION];
    be16(octets, 12).is_some_and(|ether_type| KNOWN.contains(&ether_type))
}

/// MPLS labels that are followed.
const LABELS: usize = 16;

fn cooked(octets: &[u8], protocol_at: usize, header_len: usize) -> Result<Layer<'_>, Skip> {
    let protocol = be16(octets, protocol_at).ok_or(Skip::Truncated)?;
    Ok(Layer::Typed(protocol, octets.get(header_len..).ok_or(Skip::Truncated)?))
}

/// What stands behind a header whose third and fourth octets are its length (radiotap, PPI).
fn after_length(octets: &[u8]) -> Result<&[u8], Skip> {
    let len = octets.get(2..4).ok_or(Skip::Truncated)?;
    let len = usize::from(u16::from_le_bytes([len[0], len[1]]));
    if len < 8 { Err(Skip::Malformed) } else { octets.get(len..).ok_or(Skip::Truncated) }
}

/// IEEE 802.11 §9.2 and §9.3.2: a data frame that is not encrypted, with LLC and SNAP (RFC 1042).
fn radio(octets: &[u8]) -> Result<Layer<'_>, Skip> {
    const SNAP: [u8; 6] = [0xaa, 0xaa, 3, 0, 0, 0];
    let &[kind, flags, ..] = octets else { return Err(Skip::Truncated) };
    let (is_data, has_none, has_qos) = (kind & 0x0c == 0x08, kind & 0x40 != 0, kind & 0x80 != 0);
    if !is_data || has_none {
        return Err(Skip::NotIp);
    }
    // Protected by WEP or WPA.
    if flags & 0x40 != 0 {
        return Err(Skip::Tunnel);
    }
    let four_addresses = if flags & 3 == 3 { 6 } else { 0 };
    let header = 24 + four_addresses + if has_qos { 2 + 2 * usize::from(flags >> 6 & 2) } else { 0 };
    // Some cards pad the header to four octets.
    let is_llc = |at: &usize| octets.get(*at..*at + SNAP.len()).is_some_and(|llc| llc == SNAP);
    let Some(at) = [header, header.next_multiple_of(4)].into_iter().find(is_llc) else {
        return Err(if octets.len() < header + SNAP.len() { Skip::Truncated } else { Skip::NotIp });
    };
    cooked(octets, at + SNAP.len(), at + SNAP.len() + 2)
}

/// Attributes of netfilter's log, in the octet order of the machine that wrote them, each at a multiple of four.
fn logged(octets: &[u8]) -> Result<Layer<'_>, Skip> {
    let attributes = octets.get(4..).ok_or(Skip::Truncated)?;
    let read = [u16::from_le_bytes, u16::from_be_bytes].into_iter().find_map(|number| payload_of(attributes, number));
    read.map(Layer::Ip).ok_or(Skip::Malformed)
}

/// The attribute that is the packet. In the wrong order lengths and kinds soon make no sense.
fn payload_of(attributes: &[u8], number: fn([u8; 2]) -> u16) -> Option<&[u8]> {
    const PAYLOAD: u16 = 9;
    const KINDS: u16 = 32;
    let mut rest = attributes;
    // No attribute is shorter than its header, so this ends.
    while let &[a, b, c, d, ..] = rest {
        let (len, kind) = (usize::from(number([a, b])), number([c, d]) & 0x7fff);
        if len < 4 || kind > KINDS {
            return None;
        }
        if kind == PAYLOAD {
            return Some(&rest[4..len.min(rest.len())]);
        }
        rest = rest.get(len.next_multiple_of(4)..)?;
    }
    None
}

/// RFC 1661 §2 and RFC 1662 §3: address and control may be left out, the protocol field shortened.
fn ppp<'a>(octets: &'a [u8], path: &mut Path) -> Result<Layer<'a>, Skip> {
    let rest = octets.strip_prefix(&[0xff, 0x03]).unwrap_or(octets);
    let (protocol, rest) = match rest {
        [short, rest @ ..] if short & 1 == 1 => (u16::from(*short), rest),
        [high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
        _ => return Err(Skip::Truncated),
    };
    match protocol {
        0x0021 | 0x0057 => Ok(Layer::Ip(rest)),
        // RFC 3032 §4.1.
        0x0281 | 0x0283 => {
            path.enter(TunnelKind::Mpls, None);
            mpls(rest)
        }
        // Compressed or encrypted.
        0x002d | 0x002f | 0x0053 | 0x00fd => Err(Skip::Tunnel),
        _ => Err(Skip::NotIp),
    }
}

#[inline]
pub(super) fn be16(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..at + 2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_of_any_length_are_read_in_either_order() {
        for len in 1..2000_u16 {
            for number in [u16::to_le_bytes, u16::to_be_bytes] {
                let packet = vec![0x45; usize::from(len)];
                let header = [number(5), number(10), [65, 0], [0, 0], number(4 + len), number(9)].concat();
                let octets = [&[2, 0, 0, 5][..], &header, &packet].concat();
                let Ok(Layer::Ip(read)) = logged(&octets) else { panic!("{len} octets were not read") };
                assert_eq!(read, packet);
            }
        }
    }
}
