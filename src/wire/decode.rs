//! IP and TCP headers. A fast path by hand for the common shapes; etherparse, whose care is the oracle of
//! the property test below, for IPv6 extension headers and everything odd.

use super::link::{self, be16};
use super::{Endpoint, Frame, LinkType, SeqNumber};
use etherparse::{IpNumber, LaxIpSlice};

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
    /// The octets that were captured.
    pub payload: &'a [u8],
    /// Payload octets on the wire; larger than `payload` when the capture cut the frame.
    pub payload_len: u32,
    /// Outermost VLAN identifier.
    pub vlan: Option<u16>,
}

/// Why a frame is no segment. Each is counted; together with the segments they are all frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Skip {
    /// No decoder for this link type.
    LinkType,
    /// ARP, spanning tree and the like.
    NotIp,
    /// UDP, ICMP and the like.
    NotTcp,
    /// A part of an IP datagram.
    Fragment,
    /// MPLS, PPPoE, GRE, IP in IP: not opened.
    Tunnel,
    /// The capture ends inside the headers.
    Truncated,
    /// Lengths or versions that contradict each other.
    Malformed,
}

impl Skip {
    /// All reasons with their names, in the order of their numbers.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::LinkType, "link type"),
        (Self::NotIp, "not IP"),
        (Self::NotTcp, "not TCP"),
        (Self::Fragment, "IP fragment"),
        (Self::Tunnel, "tunnel"),
        (Self::Truncated, "cut in the headers"),
        (Self::Malformed, "malformed"),
    ];
}

const TCP: u8 = 6;

/// Reads the headers of a frame.
///
/// # Errors
///
/// The reason why the frame holds no TCP segment that can be read.
#[inline]
pub fn decode<'a>(frame: &Frame<'a>) -> Result<Segment<'a>, Skip> {
    let octets = frame.octets;
    // Plain Ethernet with IPv4 is nine frames in ten: no call, no loop.
    let network = if frame.link_type == LinkType::ETHERNET && be16(octets, 12) == Some(0x0800) {
        link::Network { octets: &octets[14..], vlan: None }
    } else {
        link::strip(frame.link_type, octets)?
    };
    let cut = u32::try_from(octets.len()).is_ok_and(|len| len < frame.original_len);
    let mut segment = match network.octets.first().map(|octet| octet >> 4) {
        Some(4) => ipv4(network.octets, cut)?,
        Some(6) => ipv6(network.octets, cut)?,
        Some(_) => return Err(Skip::Malformed),
        None => return Err(Skip::Truncated),
    };
    segment.vlan = network.vlan;
    Ok(segment)
}

#[inline]
fn ipv4(octets: &[u8], cut: bool) -> Result<Segment<'_>, Skip> {
    let Some(header) = octets.first_chunk::<20>() else { return Err(Skip::Truncated) };
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
    if fragment != 0 {
        return Err(Skip::Fragment);
    }
    if header[9] != TCP {
        return Err(not_tcp(header[9]));
    }
    // Segmentation offload leaves the total length 0: then the frame's end is the datagram's end.
    let total_len = if total_len == 0 { octets.len() } else { total_len };
    if header_len < 20 || total_len < header_len {
        return Err(Skip::Malformed);
    }
    let source = u32::from_be_bytes([header[12], header[13], header[14], header[15]]);
    let destination = u32::from_be_bytes([header[16], header[17], header[18], header[19]]);
    let datagram = octets.get(header_len..total_len.min(octets.len())).ok_or(Skip::Truncated)?;
    let addresses = (Endpoint::v4(source), Endpoint::v4(destination));
    tcp(datagram, total_len - header_len, addresses, cut)
}

#[inline]
fn ipv6(octets: &[u8], cut: bool) -> Result<Segment<'_>, Skip> {
    let Some(header) = octets.first_chunk::<40>() else { return Err(Skip::Truncated) };
    let payload_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    if header[6] != TCP || payload_len == 0 {
        return ipv6_with_extensions(octets, cut);
    }
    let datagram = &octets[40..octets.len().min(40 + payload_len)];
    tcp(datagram, payload_len, ipv6_addresses(header), cut)
}

fn ipv6_addresses(header: &[u8; 40]) -> (u128, u128) {
    let (mut source, mut destination) = ([0; 16], [0; 16]);
    source.copy_from_slice(&header[8..24]);
    destination.copy_from_slice(&header[24..40]);
    (u128::from_be_bytes(source), u128::from_be_bytes(destination))
}

fn ipv6_with_extensions(octets: &[u8], cut: bool) -> Result<Segment<'_>, Skip> {
    let Some(header) = octets.first_chunk::<40>() else { return Err(Skip::Truncated) };
    let (packet, stopped) = LaxIpSlice::from_slice(octets).map_err(|_| Skip::Malformed)?;
    let payload = packet.payload();
    if payload.fragmented {
        return Err(Skip::Fragment);
    }
    if payload.ip_number != IpNumber::TCP {
        return Err(if stopped.is_some() { Skip::Truncated } else { not_tcp(payload.ip_number.0) });
    }
    let declared = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let before = payload.payload.as_ptr() as usize - octets.as_ptr() as usize - 40;
    let wire_len = if declared == 0 { payload.payload.len() } else { declared.saturating_sub(before) };
    tcp(payload.payload, wire_len, ipv6_addresses(header), cut)
}

/// Names what the datagram holds instead of TCP; 4, 41 and 47 are IP in IP and GRE.
fn not_tcp(protocol: u8) -> Skip {
    if matches!(protocol, 4 | 41 | 47) { Skip::Tunnel } else { Skip::NotTcp }
}

#[inline]
fn tcp(octets: &[u8], wire_len: usize, addresses: (u128, u128), cut: bool) -> Result<Segment<'_>, Skip> {
    let Some(header) = octets.first_chunk::<20>() else { return Err(Skip::Truncated) };
    let header_len = usize::from(header[12] >> 4) * 4;
    if header_len < 20 || header_len > wire_len {
        return Err(Skip::Malformed);
    }
    let payload = octets.get(header_len..).ok_or(Skip::Truncated)?;
    // A datagram that claims more than an uncut frame holds lies; what was captured is what there is.
    let payload_len = if cut { wire_len - header_len } else { payload.len() };
    let flags = Flags(header[13]);
    let ack = SeqNumber(u32::from_be_bytes([header[8], header[9], header[10], header[11]]));
    Ok(Segment {
        source: Endpoint { address: addresses.0, port: u16::from_be_bytes([header[0], header[1]]) },
        destination: Endpoint { address: addresses.1, port: u16::from_be_bytes([header[2], header[3]]) },
        seq: SeqNumber(u32::from_be_bytes([header[4], header[5], header[6], header[7]])),
        ack: flags.has(Flags::ACK).then_some(ack),
        flags,
        payload,
        payload_len: u32::try_from(payload_len).unwrap_or(u32::MAX),
        vlan: None,
    })
}
