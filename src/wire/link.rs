//! Link layers: from the first captured octet to the network header. Tunnels are only recognised.

use super::decode::Skip;

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
}

/// 802.1Q tags that are followed; deeper stacks are malformed, not a reason to loop.
const VLAN_DEPTH: usize = 8;

/// What the link header said: the network header's octets and the outermost VLANs, if any.
pub(super) struct Network<'a> {
    pub(super) octets: &'a [u8],
    pub(super) vlans: [Option<u16>; 2],
}

/// Strips the link header.
pub(super) fn strip(link_type: LinkType, octets: &[u8]) -> Result<Network<'_>, Skip> {
    match link_type {
        LinkType::ETHERNET => ethernet(octets),
        LinkType::RAW | LinkType(12 | 14) | LinkType::IPV4 | LinkType::IPV6 => Ok(Network { octets, vlans: [None; 2] }),
        LinkType::NULL | LinkType::LOOP => loopback(octets),
        LinkType::LINUX_SLL => cooked(octets, 14, 16),
        LinkType::LINUX_SLL2 => cooked(octets, 0, 20),
        LinkType::PPP => ppp(octets),
        _ => Err(Skip::LinkType),
    }
}

#[inline]
fn ethernet(octets: &[u8]) -> Result<Network<'_>, Skip> {
    let ether_type = be16(octets, 12).ok_or(Skip::Truncated)?;
    by_ether_type(ether_type, &octets[14..])
}

fn by_ether_type(mut ether_type: u16, mut rest: &[u8]) -> Result<Network<'_>, Skip> {
    let mut vlans = [None; 2];
    for _ in 0..=VLAN_DEPTH {
        match ether_type {
            ether_type::IPV4 | ether_type::IPV6 => return Ok(Network { octets: rest, vlans }),
            ether_type::VLAN | ether_type::QINQ | ether_type::QINQ_OLD => {
                let tag = be16(rest, 0).ok_or(Skip::Truncated)?;
                ether_type = be16(rest, 2).ok_or(Skip::Truncated)?;
                if let Some(free) = vlans.iter_mut().find(|vlan| vlan.is_none()) {
                    *free = Some(tag & 0x0fff);
                }
                rest = &rest[4..];
            }
            ether_type::MPLS | ether_type::MPLS_UPSTREAM | ether_type::PPPOE_SESSION => return Err(Skip::Tunnel),
            _ => return Err(Skip::NotIp),
        }
    }
    Err(Skip::Malformed)
}

/// The protocol family differs between systems (AF_INET6 is 10, 24, 28 or 30) and its octet order with
/// the machine, so the IP header's own version nibble decides.
fn loopback(octets: &[u8]) -> Result<Network<'_>, Skip> {
    octets.get(4..).map(|octets| Network { octets, vlans: [None; 2] }).ok_or(Skip::Truncated)
}

fn cooked(octets: &[u8], protocol_at: usize, header_len: usize) -> Result<Network<'_>, Skip> {
    let protocol = be16(octets, protocol_at).ok_or(Skip::Truncated)?;
    by_ether_type(protocol, octets.get(header_len..).ok_or(Skip::Truncated)?)
}

/// RFC 1661 §2 and RFC 1662 §3: address and control may be left out, the protocol field shortened.
fn ppp(octets: &[u8]) -> Result<Network<'_>, Skip> {
    let rest = octets.strip_prefix(&[0xff, 0x03]).unwrap_or(octets);
    let (protocol, rest) = match rest {
        [short, rest @ ..] if short & 1 == 1 => (u16::from(*short), rest),
        [high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
        _ => return Err(Skip::Truncated),
    };
    match protocol {
        0x0021 | 0x0057 => Ok(Network { octets: rest, vlans: [None; 2] }),
        _ => Err(Skip::NotIp),
    }
}

#[inline]
pub(super) fn be16(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..at + 2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}
