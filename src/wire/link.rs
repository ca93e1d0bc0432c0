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
    /// OpenBSD loopback: address family in network order.
    pub const LOOP: Self = Self(108);
    /// Linux cooked capture v1.
    pub const LINUX_SLL: Self = Self(113);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux cooked capture v2.
    pub const LINUX_SLL2: Self = Self(276);
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
