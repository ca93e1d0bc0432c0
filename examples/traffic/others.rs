//! Traffic that is no mail, some of it so alike that it must not be taken for a login.

use crate::bench;
use crate::sessions::{Dialogue, decoy, message, said};
use barewire::testing::Speaker::{Client, Server};
use barewire::testing::{Captured, Random, Transcript, checksum};
use barewire::wire::{Endpoint, LinkType, Timestamp};

/// Other protocols that log in with words of mail.
const ALIKE: [(u16, &str); 4] = [
    (
        21,
        "S: 220 ftp ready\nC: USER <user>\nS: 331 password\nC: PASS made-up\nS: 230 in\nC: SYST\nS: 215 UNIX\nC: PWD\n\
         S: 257 \"/\"\nC: QUIT\nS: 221 bye",
    ),
    (6379, "C: AUTH <user> made-up\nS: +OK\nC: PING\nS: +PONG\nC: QUIT\nS: +OK"),
    (
        6667,
        "C: PASS made-up\nC: NICK <user>\nC: USER <user> 0 * :me\nS: :irc.example 001 <user> :hi\nC: QUIT :bye\n\
         S: ERROR :bye",
    ),
    (
        80,
        "C: POST /login HTTP/1.1\nC: Host: www.example\nC: Content-Length: 100\nC: \nC: USER <user>\nC: PASS made-up\n\
         C: a1 LOGIN <user> made-up\nS: HTTP/1.1 204 No Content\nS: \nS: +OK\nS: a1 OK in",
    ),
];

pub(crate) fn web_tls(random: &mut Random) -> Dialogue {
    Dialogue { port: 443, transcript: tls(Transcript::new(443), random) }
}

/// Adds TLS 1.3 as far as it is visible: hellos, then sealed records.
pub(crate) fn tls(transcript: Transcript, random: &mut Random) -> Transcript {
    const CHANGE_CIPHER_SPEC: [u8; 6] = [20, 3, 3, 0, 1, 1];
    let mut sealed = |least: usize, most: usize| bench::record(least + random.below(most - least), random);
    let answer = [hello(2), CHANGE_CIPHER_SPEC.to_vec(), sealed(2000, 4000)].concat();
    let finished = [&CHANGE_CIPHER_SPEC[..], &sealed(53, 54)].concat();
    let mut transcript = transcript.say(Client, &hello(1)).say(Server, &answer).say(Client, &finished);
    for _ in 0..4 {
        transcript = transcript.say(Client, &sealed(100, 500)).say(Server, &sealed(4000, 16_000));
    }
    transcript
}

/// The record of a client's hello, 1, or of a server's, 2 (RFC 8446 §4.1).
fn hello(kind: u8) -> Vec<u8> {
    let suite: &[u8] = if kind == 1 { &[0, 2, 0x13, 1, 1, 0] } else { &[0x13, 1, 0] };
    // supported_versions, which is a list where a client says it, and a key share on X25519.
    let version: &[u8] = if kind == 1 { &[0, 43, 0, 3, 2, 3, 4] } else { &[0, 43, 0, 2, 3, 4] };
    let share: &[u8] = if kind == 1 { &[0, 51, 0, 38, 0, 36, 0, 29, 0, 32] } else { &[0, 51, 0, 36, 0, 29, 0, 32] };
    let extensions = [version, share, &[9; 32]].concat();
    let body = [&[3, 3][..], &[7; 32], &[0], suite, &long(&extensions)].concat();
    let message = [&[kind, 0][..], &long(&body)].concat();
    [&[22, 3, 1][..], &long(&message)].concat()
}

/// Behind their count in two octets.
fn long(octets: &[u8]) -> Vec<u8> {
    [&(octets.len() as u16).to_be_bytes(), octets].concat()
}

pub(crate) fn web(number: u32, random: &mut Random) -> Dialogue {
    Dialogue { port: 80, transcript: bench::page(message(number, random)) }
}

pub(crate) fn alike(number: u32, random: &mut Random) -> Dialogue {
    let (port, lines) = ALIKE[random.below(ALIKE.len())];
    Dialogue { port, transcript: said(Transcript::new(port), &lines.replace("<user>", &decoy(number))) }
}

/// A name that is looked up, then datagrams as QUIC sends them.
pub(crate) fn datagrams(client: Endpoint, server: Endpoint, random: &mut Random) -> Vec<Captured> {
    let resolver = Endpoint { address: Endpoint::v4(0x0a00_0001), port: 53 };
    let mut question = vec![random.draw() as u8, random.draw() as u8, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    question.extend_from_slice(b"\x03www\x07example\x00\x00\x01\x00\x01");
    let mut answer = question.clone();
    (answer[2], answer[3], answer[7]) = (0x81, 0x80, 1);
    answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    answer.extend_from_slice(&(server.address as u32).to_be_bytes());
    let mut frames = vec![datagram(client, resolver, &question), datagram(resolver, client, &answer)];
    for _ in 0..20 + random.below(200) {
        let mut payload = vec![0x40];
        while payload.len() < 1200 {
            payload.extend_from_slice(&random.draw().to_be_bytes());
        }
        let (source, destination) = if random.chance(20) { (client, server) } else { (server, client) };
        frames.push(datagram(source, destination, &payload));
    }
    frames
}

fn datagram(source: Endpoint, destination: Endpoint, payload: &[u8]) -> Captured {
    let len = 8 + payload.len() as u16;
    let addresses = [source, destination].map(|end| (end.address as u32).to_be_bytes()).concat();
    let mut ip = [&[0x45, 0][..], &(20 + len).to_be_bytes(), &[0, 0, 0x40, 0, 64, 17, 0, 0], &addresses].concat();
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum);
    // No checksum, which UDP over IPv4 may leave out (RFC 768).
    let udp = [source.port.to_be_bytes(), destination.port.to_be_bytes(), len.to_be_bytes(), [0, 0]].concat();
    let octets = [&[2; 12][..], &[8, 0], &ip, &udp, payload].concat();
    Captured { time: Timestamp(0), link_type: LinkType::ETHERNET, octets }
}
