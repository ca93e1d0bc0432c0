//! IP and TCP headers. A fast path by hand for the common shapes; etherparse, whose care is the oracle of
//! the property test below, for IPv6 extension headers and everything odd. What wraps the packet is opened layer by layer.

use super::link::{self, Layer, be16};
use super::{Endpoint, Flags, Frame, LinkType, Path, Segment, SeqNumber, tunnel};
use crate::limits::LAYERS;
use etherparse::{IpNumber, LaxIpSlice};

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
    /// A part of an IP datagram, which is counted when it is whole.
    Fragment,
    /// A tunnel of a form that is not known: GRE with routing, encrypted or compressed PPP.
    Tunnel,
    /// More headers around the packet than any network has.
    TooDeep,
    /// The capture ends inside the headers.
    Truncated,
    /// Lengths or versions that contradict each other.
    Malformed,
}

impl Skip {
    /// All reasons with their names, in the order of their numbers.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::LinkType, "link type"),
        (Self::NotIp, "not IP"),
        (Self::NotTcp, "not TCP"),
        (Self::Fragment, "IP fragment"),
        (Self::Tunnel, "tunnel"),
        (Self::TooDeep, "too many layers"),
        (Self::Truncated, "cut in the headers"),
        (Self::Malformed, "malformed"),
    ];
}

/// A part of an IP datagram.
pub struct Fragment<'a> {
    /// The IP header that the datagram will have: of IPv6 without the headers up to the fragment's own.
    pub header: &'a [u8],
    /// Address of the sender.
    pub source: u128,
    /// Address of the receiver.
    pub destination: u128,
    /// Identification.
    pub id: u32,
    /// What the datagram carries.
    pub protocol: u8,
    /// Where the payload belongs, in units of 8 octets.
    pub offset: u16,
    /// It is not the last.
    pub has_more: bool,
    /// The octets.
    pub payload: &'a [u8],
    /// What it was wrapped in.
    pub path: Path,
}

/// What is no segment.
pub enum Refusal<'a> {
    /// And never will be.
    Skip(Skip),
    /// But a part of one perhaps.
    Fragment(Box<Fragment<'a>>),
}

impl From<Skip> for Refusal<'_> {
    fn from(skip: Skip) -> Self {
        Self::Skip(skip)
    }
}

const TCP: u8 = 6;

/// Reads the headers of a frame.
///
/// # Errors
///
/// The reason why the frame holds no TCP segment that can be read; a fragment is one.
#[inline]
pub fn decode<'a>(frame: &Frame<'a>) -> Result<Segment<'a>, Skip> {
    open(frame).map_err(|refusal| match refusal {
        Refusal::Skip(skip) => skip,
        Refusal::Fragment(_) => Skip::Fragment,
    })
}

/// Reads the headers of a frame, whatever it is wrapped in.
///
/// # Errors
///
/// The reason why the frame holds no TCP segment that can be read, or the fragment that it holds.
#[inline]
pub fn open<'a>(frame: &Frame<'a>) -> Result<Segment<'a>, Refusal<'a>> {
    let octets = frame.octets;
    // Plain Ethernet with IPv4 is nine frames in ten: no call, no loop.
    if frame.link_type == LinkType::ETHERNET && be16(octets, 12) == Some(0x0800) && frame.datagram.is_none() {
        let datagram = &octets[14..];
        if datagram.len() >= 20
            && datagram[9] == TCP
            && datagram[0] >> 4 == 4
            && be16(datagram, 6).is_some_and(|word| word & 0x3fff == 0)
        {
            return Ok(tcp_in_ipv4(datagram, is_cut(frame))?);
        }
    }
    open_layers(frame)
}

/// Who seems to send to whom, in a frame of the common shapes: what [`open`] will most likely say, for a fraction of
/// its work.
#[inline]
#[must_use]
pub fn glance(frame: &Frame<'_>) -> Option<(Endpoint, Endpoint)> {
    if frame.link_type != LinkType::ETHERNET || frame.datagram.is_some() {
        return None;
    }
    let mut at = 12;
    while at < 20 && matches!(be16(frame.octets, at), Some(0x8100 | 0x88a8)) {
        at += 4;
    }
    let packet = frame.octets.get(at + 2..)?;
    let (ends, ports) = match be16(frame.octets, at)? {
        0x0800 => {
            let header = packet.first_chunk::<20>().filter(|header| header[9] == TCP)?;
            let of = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
            ([of(12), of(16)].map(Endpoint::v4), usize::from(header[0] & 0x0f) * 4)
        }
        0x86dd => (ipv6_addresses(packet.first_chunk::<40>().filter(|header| header[6] == TCP)?), 40),
        _ => return None,
    };
    let [source, destination] = [(ends[0], ports), (ends[1], ports + 2)]
        .map(|(address, at)| be16(packet, at).map(|port| Endpoint { address, port }));
    source.zip(destination)
}

fn is_cut(frame: &Frame<'_>) -> bool {
    u32::try_from(frame.octets.len()).is_ok_and(|len| len < frame.original_len)
}

fn open_layers<'a>(frame: &Frame<'a>) -> Result<Segment<'a>, Refusal<'a>> {
    let (mut layer, mut path) = match frame.datagram {
        Some(path) => (Layer::Ip(frame.octets), *path),
        None => (link::first(frame.link_type, frame.octets)?, Path::default()),
    };
    let cut = is_cut(frame);
    while usize::from(path.layers) <= LAYERS {
        let packet = match layer {
            Layer::Ip(packet) => packet,
            other => {
                layer = link::next(other, &mut path)?;
                continue;
            }
        };
        path.layers += 1;
        let content = match packet.first().map(|octet| octet >> 4) {
            Some(4) => in_ipv4(packet, cut, path)?,
            Some(6) => in_ipv6(packet, cut, path)?,
            Some(_) => return Err(Skip::Malformed.into()),
            None => return Err(Skip::Truncated.into()),
        };
        let Inner { protocol, payload, ends } = match content {
            Content::Tcp(mut segment) => {
                (segment.vlans, segment.tunnel) = (path.vlans, path.tunnel);
                return Ok(segment);
            }
            Content::Other(inner) => inner,
        };
        let (kind, next) = tunnel::next(protocol, payload, packet[0] >> 4)?;
        path.enter(kind, Some(ends));
        layer = next;
    }
    Err(Skip::TooDeep.into())
}

/// What an IP packet holds.
enum Content<'a> {
    Tcp(Segment<'a>),
    Other(Inner<'a>),
}

struct Inner<'a> {
    protocol: u8,
    payload: &'a [u8],
    ends: [u128; 2],
}

/// An IPv4 header, and what it says of the rest.
struct Ipv4<'a> {
    header: &'a [u8],
    payload: &'a [u8],
    /// Octets of the payload on the wire.
    wire_len: usize,
    ends: [u128; 2],
}

#[inline(always)]
fn ipv4(octets: &[u8]) -> Result<Ipv4<'_>, Skip> {
    let Some(header) = octets.first_chunk::<20>() else { return Err(Skip::Truncated) };
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    // Segmentation offload leaves the total length 0: then the frame's end is the datagram's end.
    let total_len = if total_len == 0 { octets.len() } else { total_len };
    if header_len < 20 || total_len < header_len {
        return Err(Skip::Malformed);
    }
    let source = u32::from_be_bytes([header[12], header[13], header[14], header[15]]);
    let destination = u32::from_be_bytes([header[16], header[17], header[18], header[19]]);
    let payload = octets.get(header_len..total_len.min(octets.len())).ok_or(Skip::Truncated)?;
    let ends = [Endpoint::v4(source), Endpoint::v4(destination)];
    Ok(Ipv4 { header: &octets[..header_len], payload, wire_len: total_len - header_len, ends })
}

#[inline(always)]
fn tcp_in_ipv4(octets: &[u8], cut: bool) -> Result<Segment<'_>, Skip> {
    let Ipv4 { header, payload, wire_len, ends } = ipv4(octets)?;
    tcp(payload, wire_len, ends, header[8], cut)
}

fn in_ipv4(octets: &[u8], cut: bool, path: Path) -> Result<Content<'_>, Refusal<'_>> {
    let Ipv4 { header, payload, wire_len, ends } = ipv4(octets)?;
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    if fragment & 0x3fff != 0 {
        if payload.len() < wire_len {
            return Err(Skip::Fragment.into());
        }
        return Err(Refusal::Fragment(Box::new(Fragment {
            header,
            source: ends[0],
            destination: ends[1],
            id: u32::from(u16::from_be_bytes([header[4], header[5]])),
            protocol: header[9],
            offset: fragment & 0x1fff,
            has_more: fragment & 0x2000 != 0,
            payload,
            path,
        })));
    }
    if header[9] == TCP {
        return Ok(Content::Tcp(tcp(payload, wire_len, ends, header[8], cut)?));
    }
    Ok(Content::Other(Inner { protocol: header[9], payload, ends }))
}

fn in_ipv6(octets: &[u8], cut: bool, path: Path) -> Result<Content<'_>, Refusal<'_>> {
    let Some(header) = octets.first_chunk::<40>() else { return Err(Skip::Truncated.into()) };
    let ends = ipv6_addresses(header);
    let declared = usize::from(u16::from_be_bytes([header[4], header[5]]));
    if header[6] == TCP && declared > 0 {
        let datagram = &octets[40..octets.len().min(40 + declared)];
        return Ok(Content::Tcp(tcp(datagram, declared, ends, header[7], cut)?));
    }
    let (packet, stopped) = LaxIpSlice::from_slice(octets).map_err(|_| Skip::Malformed)?;
    let payload = packet.payload();
    if payload.fragmented {
        let fragment = packet.ipv6().and_then(|packet| fragment_header(packet.extensions()));
        let Some((id, offset, has_more)) = fragment.filter(|_| !cut) else { return Err(Skip::Fragment.into()) };
        return Err(Refusal::Fragment(Box::new(Fragment {
            header: &octets[..40],
            source: ends[0],
            destination: ends[1],
            id,
            protocol: payload.ip_number.0,
            offset,
            has_more,
            payload: payload.payload,
            path,
        })));
    }
    if payload.ip_number == IpNumber::TCP {
        let before = payload.payload.as_ptr() as usize - octets.as_ptr() as usize - 40;
        let wire_len = if declared == 0 { payload.payload.len() } else { declared.saturating_sub(before) };
        return Ok(Content::Tcp(tcp(payload.payload, wire_len, ends, header[7], cut)?));
    }
    if stopped.is_some() {
        return Err(Skip::Truncated.into());
    }
    Ok(Content::Other(Inner { protocol: payload.ip_number.0, payload: payload.payload, ends }))
}

fn ipv6_addresses(header: &[u8; 40]) -> [u128; 2] {
    let (mut source, mut destination) = ([0; 16], [0; 16]);
    source.copy_from_slice(&header[8..24]);
    destination.copy_from_slice(&header[24..40]);
    [u128::from_be_bytes(source), u128::from_be_bytes(destination)]
}

/// Identification, offset and whether more follow (RFC 8200 §4.5).
fn fragment_header(extensions: &etherparse::Ipv6ExtensionsSlice<'_>) -> Option<(u32, u16, bool)> {
    extensions.clone().into_iter().find_map(|extension| match extension {
        etherparse::Ipv6ExtensionSlice::Fragment(fragment) => {
            Some((fragment.identification(), fragment.fragment_offset().value(), fragment.more_fragments()))
        }
        _ => None,
    })
}

#[inline(always)]
fn tcp(octets: &[u8], wire_len: usize, ends: [u128; 2], ttl: u8, cut: bool) -> Result<Segment<'_>, Skip> {
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
        source: Endpoint { address: ends[0], port: u16::from_be_bytes([header[0], header[1]]) },
        destination: Endpoint { address: ends[1], port: u16::from_be_bytes([header[2], header[3]]) },
        seq: SeqNumber(u32::from_be_bytes([header[4], header[5], header[6], header[7]])),
        ack: flags.has(Flags::ACK).then_some(ack),
        flags,
        payload,
        payload_len: u32::try_from(payload_len).unwrap_or(u32::MAX),
        vlans: [None; 2],
        tunnel: None,
        ttl,
        tcp: octets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Link, Packet, Random, Transcript};
    use crate::wire::{PacketRef, Timestamp};
    use etherparse::{Ethernet2Slice, LinkSlice, SingleVlanSlice, TcpSlice};
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn frame(octets: &[u8], link_type: LinkType, original_len: usize) -> Frame<'_> {
        let original_len = original_len as u32;
        Frame { at: PacketRef::default(), clock: Timestamp(0), link_type, octets, original_len, datagram: None }
    }

    /// Ports, sequence number, acknowledgement, flags and payload.
    type Read = (u16, u16, u32, Option<u32>, u8, Vec<u8>);

    /// What etherparse, taken step by step, reads in an Ethernet frame: ports, numbers, flags, payload.
    fn oracle(octets: &[u8]) -> Option<Read> {
        let link = LinkSlice::Ethernet2(Ethernet2Slice::from_slice_without_fcs(octets).ok()?);
        let payload = link.ether_payload()?;
        let (mut ether_type, mut rest) = (payload.ether_type.0, payload.payload);
        while matches!(ether_type, 0x8100 | 0x88a8 | 0x9100) {
            let tag = SingleVlanSlice::from_slice(rest).ok()?;
            (ether_type, rest) = (tag.ether_type().0, tag.payload_slice());
        }
        let (packet, _) = LaxIpSlice::from_slice(rest).ok()?;
        let payload = packet.payload();
        if payload.fragmented || payload.ip_number != IpNumber::TCP {
            return None;
        }
        let tcp = TcpSlice::from_slice(payload.payload).ok()?;
        let ack = tcp.ack().then(|| tcp.acknowledgment_number());
        let flags = tcp.slice()[13];
        Some((tcp.source_port(), tcp.destination_port(), tcp.sequence_number(), ack, flags, tcp.payload().to_vec()))
    }

    fn read(octets: &[u8], original_len: usize) -> Option<Read> {
        let segment = decode(&frame(octets, LinkType::ETHERNET, original_len)).ok()?;
        let ack = segment.ack.map(|ack| ack.0);
        let (source, destination) = (segment.source.port, segment.destination.port);
        Some((source, destination, segment.seq.0, ack, segment.flags.0, segment.payload.to_vec()))
    }

    /// A valid frame of any shape: tags, IP options or extension headers, TCP options, padding after the datagram.
    fn shaped() -> impl Strategy<Value = Vec<u8>> {
        let sizes = (0..=3_usize, 0..=10_usize, 0..=10_usize, 0..3_usize, 0..20_usize);
        let numbers = (any::<u32>(), any::<u32>(), any::<u8>(), any::<[u16; 2]>());
        (any::<bool>(), sizes, numbers, vec(any::<u8>(), 0..80)).prop_map(
            |(is_v6, (tags, ip_words, tcp_words, extensions, padding), (seq, ack, flags, ports), payload)| {
                let tcp_len = [(5 + tcp_words as u8) << 4, flags];
                let tcp = [
                    &ports[0].to_be_bytes()[..],
                    &ports[1].to_be_bytes(),
                    &seq.to_be_bytes(),
                    &ack.to_be_bytes(),
                    &tcp_len,
                    &[0xff; 6],
                    &vec![1; tcp_words * 4],
                    &payload,
                ]
                .concat();
                let ip = if is_v6 { v6(extensions, &tcp) } else { v4(ip_words, &tcp) };
                let mut link = vec![2; 12];
                for tag in 0..tags {
                    link.extend_from_slice(&[[0x88, 0xa8, 0, 7], [0x81, 0, 0, 9]][usize::from(tag > 0)]);
                }
                link.extend_from_slice(if is_v6 { &[0x86, 0xdd] } else { &[8, 0] });
                [link, ip, vec![0; padding]].concat()
            },
        )
    }

    fn v4(words: usize, tcp: &[u8]) -> Vec<u8> {
        let total = (20 + words * 4 + tcp.len()) as u16;
        let start = [0x45 + words as u8, 0, (total >> 8) as u8, total as u8, 0, 1, 0x40, 0, 64, TCP, 0, 0];
        [&start[..], &[192, 0, 2, 1, 192, 0, 2, 2], &vec![1; words * 4], tcp].concat()
    }

    fn v6(extensions: usize, tcp: &[u8]) -> Vec<u8> {
        let kinds: Vec<u8> = [0, 60, 43][..extensions].iter().copied().chain([TCP]).collect();
        let headers: Vec<u8> = kinds[1..].iter().flat_map(|&next| [next, 0, 1, 4, 0, 0, 0, 0]).collect();
        let len = ((headers.len() + tcp.len()) as u16).to_be_bytes();
        [&[0x60, 0, 0, 0][..], &len, &[kinds[0], 64], &[0x20; 32], &headers, tcp].concat()
    }

    #[test]
    fn a_glance_is_enough_for_the_common_shapes() {
        let tcp = [&[0, 25, 1, 0][..], &[0; 8], &[0x50, 0x10], &[0; 6]].concat();
        for tags in 0..3 {
            for (kind, packet) in [([8, 0], v4(0, &tcp)), ([8, 0], v4(2, &tcp)), ([0x86, 0xdd], v6(0, &tcp))] {
                let octets = [&[2; 12][..], &[0x81, 0, 0, 9].repeat(tags), &kind, &packet].concat();
                let frame = frame(&octets, LinkType::ETHERNET, octets.len());
                let segment = open(&frame).ok().expect("a segment");
                assert_eq!(glance(&frame), Some((segment.source, segment.destination)));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_fast_path_reads_what_etherparse_reads(octets in shaped(), cut in prop_oneof![Just(0_usize), 0..200_usize]) {
            let whole = octets.len();
            let octets = &octets[..whole - cut.min(whole)];
            let expected = oracle(octets);
            prop_assert!(cut > 0 || expected.is_some(), "the frame was to be valid");
            prop_assert_eq!(read(octets, whole), expected);
        }

        /// A glance may see more than is there, but never another's packet.
        #[test]
        fn a_glance_sees_who_it_is(octets in shaped(), is_cut in any::<bool>()) {
            let octets = &octets[..octets.len() - usize::from(is_cut)];
            let frame = frame(octets, LinkType::ETHERNET, octets.len());
            if let (Some(seen), Ok(segment)) = (glance(&frame), open(&frame)) {
                prop_assert_eq!(seen, (segment.source, segment.destination));
            }
        }

        /// The wire length is what the headers say, however much was captured.
        #[test]
        fn a_cut_frame_tells_how_much_is_missing(octets in shaped(), cut in 1..60_usize) {
            let whole = decode(&frame(&octets, LinkType::ETHERNET, octets.len())).map(|segment| segment.payload_len).ok();
            let kept = &octets[..octets.len() - cut.min(octets.len())];
            if let Ok(segment) = decode(&frame(kept, LinkType::ETHERNET, octets.len())) {
                prop_assert_eq!(Some(segment.payload_len), whole);
                prop_assert!(segment.payload.len() as u32 <= segment.payload_len);
            }
        }

        #[test]
        fn nothing_that_is_captured_panics(
            octets in vec(any::<u8>(), 0..120), link_type in 0..300_u16, original_len in any::<u32>(),
        ) {
            for link_type in [link_type, 0, 1, 9, 12, 101, 108, 113, 228, 229, 276] {
                let captured = Frame { original_len, ..frame(&octets, LinkType(link_type), 0) };
                if let Ok(segment) = decode(&captured) {
                    prop_assert!(segment.payload.len() as u32 <= segment.payload_len);
                }
            }
        }

        #[test]
        fn nothing_that_was_changed_on_the_way_panics(
            seed in any::<u64>(), changes in vec((any::<u16>(), any::<u8>()), 1..6), cut in any::<u16>(), is_v6 in any::<bool>(),
        ) {
            let mut random = Random::new(seed);
            let packets = Transcript::parse(25, "S: 220 hello\nC: EHLO me").play();
            let mut packet: Packet = packets[random.below(packets.len())].clone();
            if is_v6 {
                packet.source.address |= 1 << 127;
            }
            for link in Link::ALL {
                let mut octets = packet.octets(link);
                for (place, value) in &changes {
                    let place = usize::from(*place) % octets.len();
                    octets[place] = *value;
                }
                octets.truncate(octets.len() - usize::from(cut) % octets.len());
                if let Ok(segment) = decode(&frame(&octets, link.link_type(), octets.len() + usize::from(cut % 9))) {
                    prop_assert!(segment.payload.len() as u32 <= segment.payload_len);
                }
            }
        }
    }
}
