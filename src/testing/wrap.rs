//! What a span port wraps packets in: tunnels of every kind, radio, and fragments.

use crate::wire::{LinkType, TunnelKind};

/// One way to wrap an IP packet.
pub struct Wrapping {
    /// Its name.
    pub name: &'static str,
    /// What kind of tunnel that is; `None` for a mere link layer.
    pub kind: Option<TunnelKind>,
    /// What the first octet is.
    pub link_type: LinkType,
    /// It holds IPv6 only.
    pub is_v6: bool,
    wrap: fn(&[u8]) -> Vec<u8>,
}

impl Wrapping {
    /// An IP packet, or a fragment of one, in it.
    #[must_use]
    pub fn wrap(&self, ip: &[u8]) -> Vec<u8> {
        (self.wrap)(ip)
    }
}

fn ether_type(ip: &[u8]) -> [u8; 2] {
    if ip[0] >> 4 == 6 { [0x86, 0xdd] } else { [8, 0] }
}

fn ethernet(ip: &[u8]) -> Vec<u8> {
    of_ethernet(ether_type(ip), &[], ip)
}

fn of_ethernet(ether_type: [u8; 2], header: &[u8], inner: &[u8]) -> Vec<u8> {
    [&[2; 12][..], &ether_type, header, inner].concat()
}

/// In an IPv4 packet of that protocol.
fn of_ip(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = [0x45, 0, 0, 0, 0, 1, 0, 0, 64, 0, 0, 0, 203, 0, 113, 1, 203, 0, 113, 2];
    header[2..4].copy_from_slice(&(20 + payload.len() as u16).to_be_bytes());
    header[9] = protocol;
    [&header[..], payload].concat()
}

fn of_udp(port: u16, header: &[u8], inner: &[u8]) -> Vec<u8> {
    let len = (8 + header.len() + inner.len()) as u16;
    of_ip(17, &[&[0xc0, 1][..], &port.to_be_bytes(), &len.to_be_bytes(), &[0, 0], header, inner].concat())
}

fn of_gre(header: &[u8], inner: &[u8]) -> Vec<u8> {
    of_ip(47, &[header, inner].concat())
}

/// GRE's protocol field says what an IP packet is.
fn gre_ip(flags: [u8; 2], fields: &[u8], ip: &[u8]) -> Vec<u8> {
    of_gre(&[&flags[..], &ether_type(ip), fields].concat(), ip)
}

/// A data frame of 802.11 with LLC and SNAP.
fn radio(header: &[u8], ip: &[u8]) -> Vec<u8> {
    [header, &[0xaa, 0xaa, 3, 0, 0, 0], &ether_type(ip), ip].concat()
}

const fn tunnel(name: &'static str, kind: TunnelKind, wrap: fn(&[u8]) -> Vec<u8>) -> Wrapping {
    Wrapping { name, kind: Some(kind), link_type: LinkType::RAW, is_v6: false, wrap }
}

const fn link(name: &'static str, link_type: LinkType, wrap: fn(&[u8]) -> Vec<u8>) -> Wrapping {
    Wrapping { name, kind: None, link_type, is_v6: false, wrap }
}

const fn of_frames(wrapping: Wrapping) -> Wrapping {
    Wrapping { link_type: LinkType::ETHERNET, ..wrapping }
}

const fn of_v6(wrapping: Wrapping) -> Wrapping {
    Wrapping { is_v6: true, ..wrapping }
}

/// All of them.
pub static WRAPPINGS: [Wrapping; 28] = [
    of_frames(tunnel("mpls", TunnelKind::Mpls, |ip| of_ethernet([0x88, 0x47], &[0, 1, 0, 9, 0, 2, 1, 9], ip))),
    of_frames(tunnel("mpls, control word", TunnelKind::Mpls, |ip| {
        of_ethernet([0x88, 0x47], &[0, 1, 1, 9, 0, 0, 0, 7], &ethernet(ip))
    })),
    of_frames(tunnel("mpls, ethernet", TunnelKind::Mpls, |ip| of_ethernet([0x88, 0x47], &[0, 1, 1, 9], &ethernet(ip)))),
    of_frames(tunnel("pppoe", TunnelKind::Pppoe, |ip| {
        let protocol = if ip[0] >> 4 == 6 { 0x57 } else { 0x21 };
        let len = (2 + ip.len() as u16).to_be_bytes();
        of_ethernet([0x88, 0x64], &[0x11, 0, 0, 1, len[0], len[1], 0, protocol], ip)
    })),
    tunnel("gre", TunnelKind::Gre, |ip| gre_ip([0, 0], &[], ip)),
    tunnel("gre with all fields", TunnelKind::Gre, |ip| gre_ip([0xb0, 0], &[7; 12], ip)),
    tunnel("gre, ethernet", TunnelKind::Gre, |ip| of_gre(&[0x20, 0, 0x65, 0x58, 1, 2, 3, 4], &ethernet(ip))),
    tunnel("pptp", TunnelKind::Gre, |ip| {
        let protocol = if ip[0] >> 4 == 6 { 0x57 } else { 0x21 };
        of_gre(&[&[0x30, 0x81, 0x88, 0x0b][..], &[9; 12], &[0xff, 3, 0, protocol]].concat(), ip)
    }),
    tunnel("erspan i", TunnelKind::Erspan, |ip| of_gre(&[0, 0, 0x88, 0xbe], &ethernet(ip))),
    tunnel("erspan ii", TunnelKind::Erspan, |ip| {
        of_gre(&[&[0x10, 0, 0x88, 0xbe][..], &[3; 12]].concat(), &ethernet(ip))
    }),
    tunnel("erspan iii", TunnelKind::Erspan, |ip| {
        of_gre(&[&[0x10, 0, 0x22, 0xeb][..], &[4; 16]].concat(), &ethernet(ip))
    }),
    tunnel("erspan iii, platform", TunnelKind::Erspan, |ip| {
        let header = [&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1][..], &[0x20; 11], &[1], &[0; 8]].concat();
        of_gre(&header, &ethernet(ip))
    }),
    tunnel("vxlan", TunnelKind::Vxlan, |ip| of_udp(4789, &[8, 0, 0, 0, 0, 0, 7, 0], &ethernet(ip))),
    tunnel("vxlan, linux", TunnelKind::Vxlan, |ip| of_udp(8472, &[8, 0, 0, 0, 0, 0, 7, 0], &ethernet(ip))),
    tunnel("geneve", TunnelKind::Geneve, |ip| {
        of_udp(6081, &[&[1, 0, 0x65, 0x58, 0, 0, 7, 0][..], &[5; 4]].concat(), &ethernet(ip))
    }),
    tunnel("geneve, ip", TunnelKind::Geneve, |ip| {
        let [high, low] = ether_type(ip);
        of_udp(6081, &[0, 0, high, low, 0, 0, 7, 0], ip)
    }),
    tunnel("ip in ip", TunnelKind::IpInIp, |ip| of_ip(if ip[0] >> 4 == 6 { 41 } else { 4 }, ip)),
    of_v6(tunnel("6in4", TunnelKind::SixInFour, |ip| of_ip(41, ip))),
    tunnel("gtp-u", TunnelKind::GtpU, |ip| {
        let len = (ip.len() as u16).to_be_bytes();
        of_udp(2152, &[0x30, 0xff, len[0], len[1], 0, 0, 0, 1], ip)
    }),
    tunnel("gtp-u, extension", TunnelKind::GtpU, |ip| {
        let len = (8 + ip.len() as u16).to_be_bytes();
        of_udp(2152, &[0x34, 0xff, len[0], len[1], 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 9, 0], ip)
    }),
    of_v6(tunnel("teredo", TunnelKind::Teredo, |ip| of_udp(3544, &[], ip))),
    of_v6(tunnel("teredo, both indications", TunnelKind::Teredo, |ip| {
        of_udp(3544, &[&[0, 1, 0, 0][..], &[6; 9], &[0, 0, 1, 2, 3, 4, 5, 6]].concat(), ip)
    })),
    link("ppp", LinkType::PPP, |ip| {
        let protocol = if ip[0] >> 4 == 6 { 0x57 } else { 0x21 };
        [&[0xff, 3, 0, protocol], ip].concat()
    }),
    link("802.11, four addresses", LinkType::IEEE802_11, |ip| radio(&[&[8, 3][..], &[0; 28]].concat(), ip)),
    link("802.11 with QoS, padded", LinkType::RADIOTAP, |ip| {
        radio(&[&[0, 0, 9, 0, 0, 0, 0, 0, 0x20, 0x88, 1][..], &[0; 26]].concat(), ip)
    }),
    link("802.11 by PPI", LinkType::PPI, |ip| radio(&[&[0, 0, 8, 0, 105, 0, 0, 0, 8, 2][..], &[0; 22]].concat(), ip)),
    link("nflog", LinkType::NFLOG, |ip| {
        let len = (4 + ip.len() as u16).to_le_bytes();
        [&[2, 0, 0, 5, 8, 0, 1, 0, 8, 0, 3, 0, 5, 0, 10, 0, 65, 0, 0, 0, len[0], len[1], 9, 0], ip].concat()
    }),
    link("nflog, big-endian", LinkType::NFLOG, |ip| {
        let len = (4 + ip.len() as u16).to_be_bytes();
        [&[10, 0, 0, 5, 0, 5, 0, 10, 65, 0, 0, 0, len[0], len[1], 0, 9], ip].concat()
    }),
];

/// The fragments of an IP packet without extension headers, each with `size` octets of its payload: a multiple of 8.
#[must_use]
pub fn fragments(ip: &[u8], size: usize, id: u16) -> Vec<Vec<u8>> {
    let is_v6 = ip[0] >> 4 == 6;
    let header_len = if is_v6 { 40 } else { 20 };
    let (header, payload) = ip.split_at(header_len);
    let parts: Vec<&[u8]> = payload.chunks(size).collect();
    let last = parts.len().saturating_sub(1);
    let fragment = |(at, part): (usize, &&[u8])| {
        let offset = (at * size) as u16;
        let mut header = header.to_vec();
        if is_v6 {
            header[4..6].copy_from_slice(&(8 + part.len() as u16).to_be_bytes());
            let place = (offset | u16::from(at < last)).to_be_bytes();
            let own = [std::mem::replace(&mut header[6], 44), 0, place[0], place[1], 0, 0];
            [&header[..], &own, &id.to_be_bytes(), part].concat()
        } else {
            header[2..4].copy_from_slice(&(20 + part.len() as u16).to_be_bytes());
            header[4..6].copy_from_slice(&id.to_be_bytes());
            let place = (offset / 8 + (u16::from(at < last) << 13)).to_be_bytes();
            header[6..8].copy_from_slice(&place);
            [&header[..], part].concat()
        }
    };
    parts.iter().enumerate().map(fragment).collect()
}
