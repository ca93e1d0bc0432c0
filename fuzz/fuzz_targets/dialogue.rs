//! What two ends may say to each other, as a proper connection through the engine: no panic, every frame accounted
//! for; the same dialogue cut octet by octet, after a PROXY preamble, or with a packet lost, neither.

#![no_main]

use arbitrary::Arbitrary;
use barewire::mail::PROTOCOLS;
use barewire::testing::{Link, Random, Speaker, Transcript, run, shake};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    port: u8,
    isn: [u32; 2],
    segment: u8,
    is_midstream: bool,
    only: Option<bool>,
    /// What a proxy says first, nothing when absent.
    preamble: Option<Preamble>,
    turns: Vec<(bool, Vec<u8>)>,
    /// What the network does, none when 0.
    shaking: u16,
}

#[derive(Arbitrary, Debug)]
enum Preamble {
    V1 {
        addresses: [[u8; 4]; 2],
        ports: [u16; 2],
    },
    /// Command, family and content as they come; the length is right.
    V2 {
        command: u8,
        family: u8,
        content: Vec<u8>,
    },
    /// Any octets after the signature.
    Broken(Vec<u8>),
}

impl Preamble {
    fn octets(&self) -> Vec<u8> {
        const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
        match self {
            Self::V1 { addresses, ports } => {
                let [client, server] = addresses.map(std::net::Ipv4Addr::from);
                format!("PROXY TCP4 {client} {server} {} {}\r\n", ports[0], ports[1]).into_bytes()
            }
            Self::V2 { command, family, content } => {
                let len = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
                [SIGNATURE, &[*command, *family], &len, content].concat()
            }
            Self::Broken(rest) => [SIGNATURE, rest].concat(),
        }
    }
}

/// The ports of all protocols and one that is of none.
fn port(number: u8) -> u16 {
    let all = PROTOCOLS.iter().flat_map(|info| info.ports.iter().chain(info.implicit_tls_ports)).copied();
    let all: Vec<u16> = all.chain([4242]).collect();
    all[usize::from(number) % all.len()]
}

fuzz_target!(|input: Input| {
    let speaker = |is_client: bool| if is_client { Speaker::Client } else { Speaker::Server };
    let silent =
        Transcript::new(port(input.port)).isn(input.isn[0], input.isn[1]).segment(usize::from(input.segment) * 6);
    let silent = match &input.preamble {
        Some(preamble) => silent.say(Speaker::Client, &preamble.octets()),
        None => silent,
    };
    let mut transcript =
        input.turns.iter().fold(silent, |transcript, (is_client, said)| transcript.say(speaker(*is_client), said));
    if input.is_midstream {
        transcript = transcript.midstream();
    }
    if let Some(is_client) = input.only {
        transcript = transcript.only(speaker(is_client));
    }
    let mut packets = transcript.play();
    if input.shaking > 0 {
        let mut random = Random::new(u64::from(input.shaking));
        packets = shake::duplicate(&shake::reorder(&packets, 5, &mut random), 10, &mut random);
        if packets.len() > 4 && random.chance(50) {
            packets.remove(random.below(packets.len()));
        }
    }
    let (_, counters) = run(&packets, Link::Raw);
    assert_eq!(counters.segments, packets.len() as u64);
});
