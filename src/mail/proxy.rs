//! The PROXY protocol, versions 1 and 2: what a proxy tells the server of the client it speaks for, before the first
//! octet of that client's own (HAProxy's proxy-protocol.txt). Mail servers behind balancers are set up so, and TLS may
//! come right after it.
//!
//! A preamble that is not exactly of its form is none: it is left where it stands.

use super::text::Text;
use crate::limits::PROXY_OCTETS;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The two ends as the proxy saw them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    client: SocketAddr,
    server: SocketAddr,
}

impl Ends {
    /// Client and server, as `192.0.2.1:5000` or `[2001:db8::1]:5000`.
    pub(super) fn texts(self) -> (Text, Text) {
        let text = |end: SocketAddr| Text::new(end.to_string().as_bytes());
        (text(self.client), text(self.server))
    }
}

/// What octets at the very beginning of a stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preamble {
    /// No preamble.
    Absent,
    /// Perhaps the beginning of one.
    Partial,
    /// One of `len` octets; without ends when the proxy speaks for itself or does not tell.
    Whole { len: usize, ends: Option<Ends> },
}

const V1: &[u8] = b"PROXY ";
/// Octets of the longest line of version 1, its CR LF included (§2.1).
const V1_OCTETS: usize = 107;
const SSLPROXY: &[u8] = b"SSLproxy: ";
/// Octets of its longest line: three IPv6 addresses with ports.
const SSLPROXY_OCTETS: usize = 160;
/// §2.2. Chosen so that no text protocol takes it for a line of its own.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_HEADER: usize = V2.len() + 4;

/// Whether octets may begin with a preamble: a look at the first one spares most connections the search.
pub(super) fn may_begin(octets: &[u8]) -> bool {
    octets.first().is_some_and(|first| *first == V1[0] || *first == V2[0])
}

/// Looks for a preamble at the beginning of `octets`.
pub(super) fn preamble(octets: &[u8]) -> Preamble {
    let common = |word: &[u8]| octets.iter().zip(word).all(|(a, b)| a == b);
    if octets.is_empty() {
        Preamble::Absent
    } else if common(V1) {
        version_1(octets)
    } else if common(SSLPROXY) {
        sslproxy(octets)
    } else if common(V2) {
        version_2(octets)
    } else {
        Preamble::Absent
    }
}

/// `PROXY TCP4 source destination source-port destination-port`, or `PROXY UNKNOWN` and anything.
fn version_1(octets: &[u8]) -> Preamble {
    let looked_at = &octets[..octets.len().min(V1_OCTETS)];
    let Some(end) = memchr::memchr(b'\n', looked_at) else {
        return if looked_at.len() < V1_OCTETS { Preamble::Partial } else { Preamble::Absent };
    };
    let len = end + 1;
    let line = octets[..end].strip_suffix(b"\r").and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
    let fields: Vec<&str> = line.split(' ').collect();
    match fields[..] {
        ["PROXY", "UNKNOWN", ..] => Preamble::Whole { len, ends: None },
        ["PROXY", family, client, server, client_port, server_port] => {
            let ends = end_of(family, client, client_port).zip(end_of(family, server, server_port));
            let whole = |(client, server)| Preamble::Whole { len, ends: Some(Ends { client, server }) };
            ends.map_or(Preamble::Absent, whole)
        }
        _ => Preamble::Absent,
    }
}

fn end_of(family: &str, address: &str, port: &str) -> Option<SocketAddr> {
    let address = match family {
        "TCP4" => IpAddr::V4(address.parse().ok()?),
        "TCP6" => IpAddr::V6(address.parse().ok()?),
        _ => return None,
    };
    // `parse` would take a sign.
    let is_number = port.bytes().all(|c| c.is_ascii_digit());
    port.parse().ok().filter(|_| is_number).map(|port| SocketAddr::new(address, port))
}

/// `SSLproxy: [return]:port,[client]:port,[server]:port,s`, which SSLproxy puts before what it has decrypted. It is
/// the first line of the client's own octets there.
fn sslproxy(octets: &[u8]) -> Preamble {
    let looked_at = &octets[..octets.len().min(SSLPROXY_OCTETS)];
    let Some(end) = memchr::memchr(b'\n', looked_at) else {
        return if looked_at.len() < SSLPROXY_OCTETS { Preamble::Partial } else { Preamble::Absent };
    };
    let line =
        std::str::from_utf8(octets[SSLPROXY.len()..end.max(SSLPROXY.len())].trim_ascii_end()).unwrap_or_default();
    let end_of = |field: &str| -> Option<SocketAddr> {
        let (address, port) = field.strip_prefix('[')?.split_once("]:")?;
        Some(SocketAddr::new(address.parse().ok()?, port.parse().ok()?))
    };
    let fields: Vec<Option<SocketAddr>> = line.split(',').take(3).map(end_of).collect();
    match fields[..] {
        [Some(_), Some(client), Some(server)] => Preamble::Whole { len: end + 1, ends: Some(Ends { client, server }) },
        _ => Preamble::Absent,
    }
}

/// Version and command, family, length; addresses, then values of no interest here. Addresses that are not IP ones over
/// TCP (Unix sockets, datagrams) are stepped over.
fn version_2(octets: &[u8]) -> Preamble {
    const LOCAL: u8 = 0x20;
    const PROXY: u8 = 0x21;
    let Some(&[command, family, high, low]) = octets.get(V2.len()..).and_then(|rest| rest.first_chunk()) else {
        return Preamble::Partial;
    };
    let len = V2_HEADER + usize::from(u16::from_be_bytes([high, low]));
    let is_known = matches!(command, LOCAL | PROXY) && family >> 4 <= 3 && family & 15 <= 2;
    if !is_known || len > PROXY_OCTETS {
        return Preamble::Absent;
    }
    let Some(content) = octets.get(V2_HEADER..len) else { return Preamble::Partial };
    let ends = match (command, family) {
        (PROXY, 0x11) => binary_ends(content, |octets: [u8; 4]| Ipv4Addr::from(octets).into()),
        (PROXY, 0x21) => binary_ends(content, |octets: [u8; 16]| Ipv6Addr::from(octets).into()),
        _ => return Preamble::Whole { len, ends: None },
    };
    ends.map_or(Preamble::Absent, |ends| Preamble::Whole { len, ends: Some(ends) })
}

/// Both addresses, then both ports.
fn binary_ends<const N: usize>(content: &[u8], address: impl Fn([u8; N]) -> IpAddr) -> Option<Ends> {
    let (client, rest) = content.split_first_chunk::<N>()?;
    let (server, rest) = rest.split_first_chunk::<N>()?;
    let [a, b, c, d] = *rest.first_chunk()?;
    Some(Ends {
        client: SocketAddr::new(address(*client), u16::from_be_bytes([a, b])),
        server: SocketAddr::new(address(*server), u16::from_be_bytes([c, d])),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Length and ends of a preamble before other octets, which all shorter beginnings leave open.
    fn whole(preamble_octets: &[u8]) -> (usize, String) {
        for len in 1..preamble_octets.len() {
            assert_eq!(preamble(&preamble_octets[..len]), Preamble::Partial, "{len} octets");
        }
        let Preamble::Whole { len, ends } = preamble(&[preamble_octets, b"\x16\x03\x01\n"].concat()) else {
            panic!("no preamble: {preamble_octets:?}")
        };
        let texts = ends.map(Ends::texts);
        (len, texts.map_or(String::new(), |(client, server)| format!("{} {}", client.as_str(), server.as_str())))
    }

    fn v2(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
        [V2, &[command, family], &(content.len() as u16).to_be_bytes(), content].concat()
    }

    #[test]
    fn version_1_in_every_form() {
        let decrypted = b"SSLproxy: [127.0.0.1]:12345,[192.0.2.1]:5555,[2001:db8::2]:993,s\r\n";
        assert_eq!(whole(decrypted).0, decrypted.len());
        assert_eq!(preamble(b"SSLproxy: [127.0.0.1]:12345,[192.0.2.1]:x,s\r\n"), Preamble::Absent);
        let tcp4 = b"PROXY TCP4 192.0.2.1 198.51.100.25 5000 143\r\n";
        assert_eq!(whole(tcp4), (tcp4.len(), "192.0.2.1:5000 198.51.100.25:143".to_owned()));
        let tcp6 = b"PROXY TCP6 2001:db8::1 2001:db8::25 65535 25\r\n";
        assert_eq!(whole(tcp6), (tcp6.len(), "[2001:db8::1]:65535 [2001:db8::25]:25".to_owned()));
        let longest = [&b"PROXY UNKNOWN "[..], &[b'f'; 91], b"\r\n"].concat();
        assert_eq!((whole(b"PROXY UNKNOWN\r\n").0, whole(&longest).0), (15, V1_OCTETS));
    }

    #[test]
    fn version_2_in_every_form() {
        let tcp4 = v2(0x21, 0x11, &[192, 0, 2, 1, 198, 51, 100, 25, 0x13, 0x88, 0, 143]);
        assert_eq!(whole(&tcp4), (28, "192.0.2.1:5000 198.51.100.25:143".to_owned()));
        let values = [&[192, 0, 2, 1, 198, 51, 100, 25, 0x13, 0x88, 0, 143, 0x02, 0, 4][..], b"host"].concat();
        assert_eq!(whole(&v2(0x21, 0x11, &values)), (35, "192.0.2.1:5000 198.51.100.25:143".to_owned()));
        let mut tcp6 = [0; 36];
        (tcp6[15], tcp6[31], tcp6[33], tcp6[35]) = (1, 2, 9, 25);
        assert_eq!(whole(&v2(0x21, 0x21, &tcp6)), (52, "[::1]:9 [::2]:25".to_owned()));
        assert_eq!(whole(&v2(0x20, 0x00, b"")), (16, String::new()));
        assert_eq!(whole(&v2(0x21, 0x31, &[b'/'; 216])), (232, String::new()));
    }

    #[test]
    fn what_is_not_of_the_form_is_none() {
        for line in [
            &b""[..],
            b"PASS made-up\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.25 5000 143\n",
            b"PROXY TCP4  192.0.2.1 198.51.100.25 5000 143\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.25 5000\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.25 5000 143 1\r\n",
            b"PROXY TCP4 192.0.2.256 198.51.100.25 5000 143\r\n",
            b"PROXY TCP4 2001:db8::1 2001:db8::25 5000 143\r\n",
            b"PROXY TCP6 192.0.2.1 198.51.100.25 5000 143\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.25 65536 143\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.25 +5 143\r\n",
            b"PROXY LOGIN ann made-up\r\n",
            &[b"PROXY UNKNOWN ", &[b'f'; 100][..]].concat(),
            &v2(0x31, 0x11, &[0; 12]),
            &v2(0x22, 0x11, &[0; 12]),
            &v2(0x21, 0x41, &[0; 12]),
            &v2(0x21, 0x11, &[0; 11]),
            &v2(0x21, 0x21, &[0; 35]),
            &v2(0x21, 0x11, &[0; PROXY_OCTETS]),
            b"\r\n\r\n\0\r\nQUIT\r\n",
        ] {
            assert_eq!(preamble(line), Preamble::Absent, "{:?}", String::from_utf8_lossy(line));
        }
    }
}
