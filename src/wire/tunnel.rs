//! What a segment was wrapped in, and how to open it.

use super::decode::Skip;
use super::link::{Layer, be16};

/// How packets are carried in others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TunnelKind {
    /// MPLS labels (RFC 3032), also with an Ethernet pseudowire (RFC 4448) under them.
    Mpls,
    /// PPPoE session (RFC 2516).
    Pppoe,
    /// GRE (RFC 2784, RFC 2890), also with Ethernet in it, and PPTP's version of it (RFC 2637).
    Gre,
    /// A switch's mirror port over GRE, types I, II and III.
    Erspan,
    /// VXLAN (RFC 7348).
    Vxlan,
    /// Geneve (RFC 8926).
    Geneve,
    /// IPv4 in IPv4 (RFC 2003), IPv4 or IPv6 in IPv6 (RFC 2473).
    IpInIp,
    /// IPv6 in IPv4 (RFC 4213).
    SixInFour,
    /// GTP-U, the user plane of mobile networks (3GPP TS 29.281).
    GtpU,
    /// Teredo (RFC 4380).
    Teredo,
}

impl TunnelKind {
    /// All kinds with the words for records, in the order of their numbers.
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::Mpls, "mpls"),
        (Self::Pppoe, "pppoe"),
        (Self::Gre, "gre"),
        (Self::Erspan, "erspan"),
        (Self::Vxlan, "vxlan"),
        (Self::Geneve, "geneve"),
        (Self::IpInIp, "ip-in-ip"),
        (Self::SixInFour, "6in4"),
        (Self::GtpU, "gtp-u"),
        (Self::Teredo, "teredo"),
    ];

    /// The word for records.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// The outermost tunnel of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
// Packed as an `Endpoint` is.
#[repr(Rust, packed(8))]
pub struct Tunnel {
    /// Which kind.
    pub kind: TunnelKind,
    has_ends: bool,
    ends: [u128; 2],
}

impl Tunnel {
    /// A tunnel between two addresses as in [`Endpoint::address`](super::Endpoint).
    #[must_use]
    pub fn new(kind: TunnelKind, ends: Option<[u128; 2]>) -> Self {
        let [a, b] = ends.unwrap_or_default();
        Self { kind, has_ends: ends.is_some(), ends: [a.min(b), a.max(b)] }
    }

    /// Addresses of the outer packet, the lower first: a mirror port sends both directions of a connection the same way.
    /// MPLS and PPPoE have none.
    #[must_use]
    pub fn ends(self) -> Option<[u128; 2]> {
        self.has_ends.then_some(self.ends)
    }
}

/// What a packet is wrapped in, from the outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path {
    /// The two outermost VLAN identifiers.
    pub vlans: [Option<u16>; 2],
    /// The outermost tunnel.
    pub tunnel: Option<Tunnel>,
    /// Headers so far, each of which may hold another.
    pub(super) layers: u8,
}

impl Path {
    /// One more tag. Only those around all else tell where the packet was caught.
    pub(super) fn tag(&mut self, vlan: u16) {
        self.layers += 1;
        if self.tunnel.is_none()
            && let Some(free) = self.vlans.iter_mut().find(|vlan| vlan.is_none())
        {
            *free = Some(vlan);
        }
    }

    /// One more tunnel.
    pub(super) fn enter(&mut self, kind: TunnelKind, ends: Option<[u128; 2]>) {
        if ends.is_none() {
            self.layers += 1;
        }
        self.tunnel.get_or_insert(Tunnel::new(kind, ends));
    }
}

/// What an IP packet of `version` holds that is no TCP, and of which kind of tunnel that makes it.
pub(super) fn next(protocol: u8, payload: &[u8], version: u8) -> Result<(TunnelKind, Layer<'_>), Skip> {
    match protocol {
        4 => Ok((TunnelKind::IpInIp, Layer::Ip(payload))),
        41 if version == 4 => Ok((TunnelKind::SixInFour, Layer::Ip(payload))),
        41 => Ok((TunnelKind::IpInIp, Layer::Ip(payload))),
        // RFC 4023.
        137 => Ok((TunnelKind::Mpls, Layer::Typed(0x8847, payload))),
        47 => gre(payload),
        17 => udp(payload),
        _ => Err(Skip::NotTcp),
    }
}

/// RFC 2784, RFC 2890; version 1: RFC 2637 §4.1.
fn gre(octets: &[u8]) -> Result<(TunnelKind, Layer<'_>), Skip> {
    let flags = be16(octets, 0).ok_or(Skip::Truncated)?;
    let protocol = be16(octets, 2).ok_or(Skip::Truncated)?;
    let has = |bit: u16| flags & bit != 0;
    let words = match flags & 7 {
        0 if has(0x4000) => return Err(Skip::Tunnel),
        0 => usize::from(has(0x8000)) + usize::from(has(0x2000)) + usize::from(has(0x1000)),
        1 => 1 + usize::from(has(0x1000)) + usize::from(has(0x0080)),
        _ => return Err(Skip::Malformed),
    };
    let rest = octets.get(4 + 4 * words..).ok_or(Skip::Truncated)?;
    let ethernet_after = |len: usize| rest.get(len..).map(Layer::Ethernet).ok_or(Skip::Truncated);
    match protocol {
        0x880b => Ok((TunnelKind::Gre, Layer::Ppp(rest))),
        // Type I has no header of its own and no sequence number, type II has both.
        0x88be => Ok((TunnelKind::Erspan, ethernet_after(if has(0x1000) { 8 } else { 0 })?)),
        // Type III: 12 octets, and 8 more when the last bit of them says so.
        0x22eb => {
            let has_platform = rest.get(11).ok_or(Skip::Truncated)? & 1 == 1;
            Ok((TunnelKind::Erspan, ethernet_after(if has_platform { 20 } else { 12 })?))
        }
        protocol => Ok((TunnelKind::Gre, Layer::Typed(protocol, rest))),
    }
}

/// Tunnels over UDP are known by their ports, and by headers that fit: others use these ports, too.
fn udp(octets: &[u8]) -> Result<(TunnelKind, Layer<'_>), Skip> {
    let (Some(source), Some(destination)) = (be16(octets, 0), be16(octets, 2)) else { return Err(Skip::Truncated) };
    let Some(payload) = octets.get(8..) else { return Err(Skip::Truncated) };
    let is = |port: u16| source == port || destination == port;
    let opened = if is(4789) || is(8472) {
        vxlan(payload).map(|layer| (TunnelKind::Vxlan, layer))
    } else if is(6081) {
        geneve(payload).map(|layer| (TunnelKind::Geneve, layer))
    } else if is(2152) {
        gtp(payload).map(|layer| (TunnelKind::GtpU, layer))
    } else if is(3544) {
        teredo(payload).map(|layer| (TunnelKind::Teredo, layer))
    } else {
        None
    };
    opened.ok_or(Skip::NotTcp)
}

/// RFC 7348 §5: the I flag, reserved octets, the network's number.
fn vxlan(octets: &[u8]) -> Option<Layer<'_>> {
    (octets.first()? & 0x08 != 0).then(|| octets.get(8..).map(Layer::Ethernet))?
}

/// RFC 8926 §3.4: version 0, options in words of 4 octets.
fn geneve(octets: &[u8]) -> Option<Layer<'_>> {
    let options = 4 * usize::from(octets.first()? & 0x3f);
    let protocol = be16(octets, 2)?;
    (octets[0] >> 6 == 0).then(|| octets.get(8 + options..).map(|rest| Layer::Typed(protocol, rest)))?
}

/// 3GPP TS 29.281 §5.1: version 1, a G-PDU; extension headers of 4 octets and more, each of which names the next.
fn gtp(octets: &[u8]) -> Option<Layer<'_>> {
    let flags = *octets.first()?;
    if flags & 0xf0 != 0x30 || *octets.get(1)? != 0xff {
        return None;
    }
    let mut at = if flags & 7 == 0 { 8 } else { 12 };
    let mut next = if flags & 4 == 0 { 0 } else { *octets.get(11)? };
    for _ in 0..EXTENSIONS {
        if next == 0 {
            let rest = octets.get(at..)?;
            return matches!(rest.first()? >> 4, 4 | 6).then_some(Layer::Ip(rest));
        }
        let len = 4 * usize::from(*octets.get(at)?);
        next = *octets.get((at + len).checked_sub(1).filter(|_| len > 0)?)?;
        at += len;
    }
    None
}

/// GTP extension headers that are followed.
const EXTENSIONS: usize = 8;

/// RFC 4380 §5.1.1: authentication and the origin's address may stand before the packet.
fn teredo(octets: &[u8]) -> Option<Layer<'_>> {
    let mut rest = octets;
    if let [0, 1, id_len, value_len, ..] = *rest {
        rest = rest.get(13 + usize::from(id_len) + usize::from(value_len)..)?;
    }
    if let [0, 0, ..] = *rest {
        rest = rest.get(8..)?;
    }
    (rest.first()? >> 4 == 6).then_some(Layer::Ip(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::wrap::{WRAPPINGS, Wrapping};
    use crate::testing::{Link, Transcript};
    use crate::wire::{Frame, LinkType, PacketRef, Timestamp, decode};

    #[test]
    fn kinds_stand_in_the_order_of_their_numbers() {
        assert!(TunnelKind::ALL.iter().enumerate().all(|(at, (kind, _))| *kind as usize == at));
    }

    #[test]
    fn each_is_opened_down_to_the_segment() {
        let packets = Transcript::parse(110, "S: +OK hello").play();
        let packet = packets.iter().find(|packet| !packet.payload.is_empty()).expect("a packet with octets");
        let mut in_v6 = packet.clone();
        for end in [&mut in_v6.source, &mut in_v6.destination] {
            end.address |= 0x2001_0db8 << 96;
        }
        for wrapping in &WRAPPINGS {
            let Wrapping { name, kind, link_type, .. } = *wrapping;
            let frame = |octets: &'_ [u8]| -> Option<(Option<Tunnel>, Vec<u8>, u16)> {
                let original_len = octets.len() as u32;
                let (at, clock) = (PacketRef::default(), Timestamp(0));
                let frame = Frame { at, clock, link_type, octets, original_len, datagram: None };
                let segment = decode(&frame).ok()?;
                Some((segment.tunnel, segment.payload.to_vec(), segment.source.port))
            };
            for inner in if wrapping.is_v6 { vec![&in_v6] } else { vec![packet, &in_v6] } {
                let octets = wrapping.wrap(&inner.octets(Link::Raw));
                let (tunnel, payload, port) = frame(&octets).unwrap_or_else(|| panic!("{name} was not opened"));
                assert_eq!((payload.as_slice(), port), (packet.payload.as_slice(), 110), "{name}");
                // IPv6 in IPv4 has a name of its own.
                let kind = if name == "ip in ip" && inner == &in_v6 { Some(TunnelKind::SixInFour) } else { kind };
                assert_eq!(tunnel.map(|tunnel| tunnel.kind), kind, "{name}");
                if let Some(tunnel) = tunnel {
                    assert_eq!(tunnel.ends().is_some(), link_type == LinkType::RAW, "{name}");
                }
                for len in 0..octets.len() {
                    frame(&octets[..len]);
                }
            }
        }
        let of_ip = WRAPPINGS.iter().find(|wrapping| wrapping.name == "ip in ip").expect("it is there");
        let deep = (0..20).fold(packet.octets(Link::Raw), |inner, _| of_ip.wrap(&inner));
        let original_len = deep.len() as u32;
        let (at, clock) = (PacketRef::default(), Timestamp(0));
        let frame = Frame { at, clock, link_type: LinkType::RAW, octets: &deep, original_len, datagram: None };
        assert_eq!(decode(&frame).map(|_| ()), Err(Skip::TooDeep));
    }
}
