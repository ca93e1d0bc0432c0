//! TLS of both directions, from the first octet and after STARTTLS: no panic whatever records, messages and certificates
//! hold; and from the first octet the same steps however the octets are cut.

#![no_main]

use arbitrary::Arbitrary;
use barewire::mail::{Detector, End, Observation, Out, Probe, Protocol, Start, TlsStep};
use barewire::stream::{Direction, Mark};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

#[derive(Arbitrary, Debug)]
struct Input {
    cut: u8,
    turns: Vec<(bool, Turn)>,
}

/// What a side does next. Lengths are right unless the octets are its own, so that the fuzzer need not find them.
#[derive(Arbitrary, Debug)]
enum Turn {
    Octets(Vec<u8>),
    Record(u8, Vec<u8>),
    Message(u8, Vec<u8>),
    ClientHello {
        suites: Vec<u16>,
        extensions: Vec<(u16, Vec<u8>)>,
    },
    ServerHello {
        suite: u16,
        is_tls13: bool,
        is_retry: bool,
    },
    Certificates(Vec<Vec<u8>>),
    /// A server's recorded hello and certificate, some octets changed.
    Recorded(Vec<(u16, u8)>),
    Lost(u8),
}

const RETRY: [u8; 32] = *b"\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c";

static RECORDED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let text = include_str!("../../testdata/tls/tls12-rsa.hex");
    let flights = text.split("\nS ").nth(1).expect("a flight of the server").split("\nC ").next().unwrap_or_default();
    let digits: Vec<u8> = flights.bytes().filter_map(|digit| char::from(digit).to_digit(16)).map(|d| d as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
});

fn vector(octets: usize, content: &[u8]) -> Vec<u8> {
    [&content.len().to_be_bytes()[8 - octets..], content].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let message = [&[kind][..], &vector(3, body)].concat();
    message.chunks(1 << 14).flat_map(|part| record(22, part)).collect()
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[20 + kind % 5, 3, 3][..], &vector(2, content)].concat()
}

impl Turn {
    fn octets(&self) -> Vec<u8> {
        match self {
            Self::Octets(octets) => octets.clone(),
            Self::Record(kind, content) => record(*kind, &content[..content.len().min(1 << 14)]),
            Self::Message(kind, body) => message(*kind, body),
            Self::ClientHello { suites, extensions } => {
                let suites: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
                let one = |(kind, content): &(u16, Vec<u8>)| [kind.to_be_bytes().to_vec(), vector(2, content)].concat();
                let extensions: Vec<u8> = extensions.iter().flat_map(one).collect();
                let parts = [vec![3, 3], vec![7; 32], vec![0], vector(2, &suites), vec![1, 0], vector(2, &extensions)];
                message(1, &parts.concat())
            }
            Self::ServerHello { suite, is_tls13, is_retry } => {
                let random = if *is_retry { RETRY } else { [9; 32] };
                let extensions = if *is_tls13 { vec![0, 6, 0, 43, 0, 2, 3, 4] } else { Vec::new() };
                message(2, &[&[3, 3][..], &random, &[0], &suite.to_be_bytes(), &[0], &extensions].concat())
            }
            Self::Certificates(list) => {
                let list: Vec<u8> = list.iter().flat_map(|certificate| vector(3, certificate)).collect();
                message(11, &vector(3, &list))
            }
            Self::Recorded(changes) => {
                let mut octets = RECORDED.clone();
                for (at, octet) in changes {
                    let at = usize::from(*at) % octets.len();
                    octets[at] = *octet;
                }
                octets
            }
            Self::Lost(_) => Vec::new(),
        }
    }
}

/// Everything that is seen, in pieces of that size.
fn play(mut detector: Box<dyn Detector>, turns: &[(bool, Turn)], size: usize, mut out: Out) -> Vec<TlsStep> {
    let mut ends = [0, 0];
    for (is_client, turn) in turns {
        let direction = if *is_client { Direction::ToServer } else { Direction::ToClient };
        if let Turn::Lost(len) = turn {
            detector.on_gap(direction, u64::from(*len), Mark::default(), &mut out);
        }
        for piece in turn.octets().chunks(size) {
            let end: &mut u64 = &mut ends[direction.index()];
            detector.on_data(direction, *end, piece, Mark::default(), &mut out);
            *end += piece.len() as u64;
        }
    }
    detector.on_end(End::Closed, &mut out);
    let steps = out.drain().filter_map(|(_, observation)| match observation {
        Observation::Tls(step) => Some(step),
        _ => None,
    });
    steps.collect()
}

fn implicit(turns: &[(bool, Turn)], size: usize) -> Vec<TlsStep> {
    let mut out = Out::default();
    play(Probe::default().release_tls(&mut out).detector, turns, size, out)
}

fn after_starttls(turns: &[(bool, Turn)], size: usize) -> Vec<TlsStep> {
    let mut out = Out::default();
    let start = Start { is_midstream: false, server_captured: true };
    let mut detector = Probe::default().release(Protocol::Smtp, start, false, &mut out).detector;
    for (direction, line) in [
        (Direction::ToClient, &b"220 mx ESMTP\r\n"[..]),
        (Direction::ToServer, b"STARTTLS\r\n"),
        (Direction::ToClient, b"220 go\r\n"),
    ] {
        detector.on_data(direction, 0, line, Mark::default(), &mut out);
    }
    play(detector, turns, size, out)
}

fuzz_target!(|input: Input| {
    let size = 1 + usize::from(input.cut % 16);
    assert_eq!(implicit(&input.turns, size), implicit(&input.turns, usize::MAX));
    after_starttls(&input.turns, size);
});
