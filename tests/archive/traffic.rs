//! An archive of captures, made from a seed: mail on its ports and on others, much else that looks like it, in tunnels,
//! VLANs and fragments, with pauses around every time after which a connection is forgotten.

use barewire::testing::wrap::{WRAPPINGS, fragments};
use barewire::testing::{Captured, Link, Packet, Random, Speaker, Transcript, pcap};
use barewire::wire::{Endpoint, LinkType, Timestamp};
use std::fs;
use std::path::Path;

/// How much is in an archive.
#[derive(Clone, Copy)]
pub(crate) struct World {
    /// Seconds.
    pub(crate) seconds: u64,
    /// Clients, and as many servers.
    pub(crate) hosts: usize,
    /// Of each client; of few, they are used again and again.
    pub(crate) ports: usize,
}

/// Half an hour of a network in which hardly any ports are used twice.
pub(crate) const NETWORK: World = World { seconds: 1800, hosts: 60, ports: 45_000 };

const SECOND: u64 = 1_000_000_000;

/// Writes captures into a folder that is made anew; their paths, in their order.
pub(crate) fn laid_out(folder: &Path, captures: &[Vec<u8>]) -> Vec<String> {
    drop(fs::remove_dir_all(folder));
    fs::create_dir_all(folder).expect("a folder");
    let write = |(at, octets): (usize, &Vec<u8>)| {
        let path = folder.join(format!("capture-{at:03}.pcap"));
        fs::write(&path, octets).expect("a capture");
        path.display().to_string()
    };
    captures.iter().enumerate().map(write).collect()
}

/// How captures follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One after the other.
    Rotated,
    /// The two directions of a link, each rotated.
    Tap,
    /// Two taps of the same link, whose clocks differ, each rotated.
    Twice,
}

/// What is said; `{}` is the user's number.
const MAIL: [(u16, &str); 6] = [
    (110, "S: +OK ready\nC: USER u{}\nS: +OK\nC: PASS made-up-{}\nS: +OK in\nC: STAT\nS: +OK 1 9\nC: QUIT\nS: +OK bye"),
    (
        143,
        "S: * OK [CAPABILITY IMAP4rev1 STARTTLS] ready\nC: a LOGIN u{} made-up-{}\nS: a OK in\nC: b IDLE\nS: + idling\nC: DONE\nS: b OK\nC: c LOGIN u{} wrong\nS: c NO [AUTHENTICATIONFAILED] no\nC: d LOGOUT\nS: * BYE\nS: d OK",
    ),
    (
        587,
        "S: 220 mail.example ESMTP\nC: EHLO here.example\nS: 250-mail.example\nS: 250-STARTTLS\nS: 250 AUTH PLAIN LOGIN\nC: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: dXNlcg==\nS: 334 UGFzc3dvcmQ6\nC: bWFkZS11cA==\nS: 235 in\nC: MAIL FROM:<a@example>\nS: 250 ok\nC: RCPT TO:<b@example>\nS: 250 ok\nC: DATA\nS: 354 go\nC: Subject: {}\nC: USER mallory\nC: .\nS: 250 ok\nC: QUIT\nS: 221 bye",
    ),
    (
        25,
        "S: 220 mx.example ESMTP\nC: EHLO there.example\nS: 250-mx.example\nS: 250 SIZE 1000\nC: MAIL FROM:<a{}@example>\nS: 250 ok\nC: RCPT TO:<b@example>\nS: 250 ok\nC: DATA\nS: 354 go\nC: Hello\nC: .\nS: 250 ok\nC: QUIT\nS: 221 bye",
    ),
    (
        4190,
        "S: \"IMPLEMENTATION\" \"made up\"\nS: \"SASL\" \"PLAIN\"\nS: OK\nC: AUTHENTICATE \"PLAIN\" \"AHVzZXIAbWFkZS11cA==\"\nS: OK\nC: LOGOUT\nS: OK",
    ),
    (
        119,
        "S: 200 news.example ready\nC: AUTHINFO USER u{}\nS: 381 go on\nC: AUTHINFO PASS made-up-{}\nS: 281 in\nC: QUIT\nS: 205 bye",
    ),
];

/// What is no mail, and much like it.
const OTHER: [(u16, &str); 7] = [
    (
        80,
        "C: GET /{} HTTP/1.1\nS: HTTP/1.1 200 OK\nS: 220 mail.example ESMTP\nC: EHLO decoy.example\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AGRlY295AGRlY295\nS: 235 in\nS: +OK\nC: USER decoy\nS: +OK\nC: PASS decoy-{}\nS: +OK in",
    ),
    (
        443,
        "C: \u{16}\u{3}\u{1}\u{2}\u{0}\u{1}hello\nS: \u{16}\u{3}\u{3}\u{0}\u{9}\nC: \u{17}\u{3}\u{3}\nS: \u{17}\u{3}\u{3}\nC: \u{17}\nS: \u{17}\nC: \u{17}\nS: \u{17}",
    ),
    (
        8080,
        "C: POST /form HTTP/1.1\nC: USER decoy\nC: PASS decoy-{}\nS: HTTP/1.1 404 no\nC: a1 LOGIN decoy decoy\nS: a1 OK in\nC: a2 LOGOUT\nS: a2 OK",
    ),
    (21, "S: 220 ftp.example\nC: USER ftp{}\nS: 331 go on\nC: PASS made-up\nS: 230 in\nC: QUIT\nS: 221 bye"),
    (6379, "C: *1\nC: $4\nC: PING\nS: +PONG\nC: *1\nS: +OK\nC: *1\nS: +OK"),
    (22, "S: SSH-2.0-made-up\nC: SSH-2.0-made-up\nC: \u{0}\u{0}\u{1}\nS: \u{0}\u{0}\u{1}\nC: \u{2}\nS: \u{3}"),
    (
        5222,
        "C: <?xml version='1.0'?>\nS: <?xml version='1.0'?>\nC: <auth mechanism='PLAIN'>\nS: <success/>\nC: USER decoy\nS: +OK",
    ),
];

/// The captures of an archive in the order of their names, as octets of files.
pub(crate) fn archive(seed: u64, flows: usize, files: usize, shape: Shape) -> Vec<Vec<u8>> {
    in_files(&captures(seed, NETWORK, flows, files, shape))
}

/// Frames of captures as octets of files.
pub(crate) fn in_files(captures: &[Vec<Captured>]) -> Vec<Vec<u8>> {
    captures.iter().map(|frames| pcap(frames)).collect()
}

/// The same as frames.
pub(crate) fn captures(seed: u64, world: World, flows: usize, files: usize, shape: Shape) -> Vec<Vec<Captured>> {
    let mut random = Random::new(seed);
    let mut all: Vec<(bool, Captured)> = Vec::new();
    for number in 0..flows {
        all.extend(flow(number as u64, world, &mut random));
    }
    all.sort_by_key(|(_, frame)| frame.time);
    // The clock of a capture is set back now and then.
    for (_, frame) in &mut all {
        if random.chance(1) {
            frame.time = Timestamp(frame.time.0 - random.draw() % (2 * SECOND));
        }
    }
    let lanes: Vec<Vec<Captured>> = match shape {
        Shape::Rotated => vec![all.into_iter().map(|(_, frame)| frame).collect()],
        Shape::Tap => {
            let (there, back): (Vec<_>, Vec<_>) = all.into_iter().partition(|(is_there, _)| *is_there);
            [there, back].map(|lane| lane.into_iter().map(|(_, frame)| frame).collect()).into()
        }
        Shape::Twice => {
            let skew = random.draw() % [SECOND / 100, 20 * SECOND][random.below(2)];
            let here: Vec<Captured> = all.into_iter().map(|(_, frame)| frame).collect();
            let later = |frame: &Captured| Captured { time: Timestamp(frame.time.0 + skew), ..frame.clone() };
            let there = here.iter().map(later).collect();
            vec![here, there]
        }
    };
    let each = files / lanes.len();
    lanes.iter().flat_map(|lane| lane.chunks(lane.len().div_ceil(each).max(1))).map(<[_]>::to_vec).collect()
}

/// A connection, and of each packet whether the client sent it.
fn flow(number: u64, world: World, random: &mut Random) -> Vec<(bool, Captured)> {
    let is_mail = random.chance(30);
    let (usual_port, text) = if is_mail { MAIL[random.below(MAIL.len())] } else { OTHER[random.below(OTHER.len())] };
    // The same few secrets and users in many places.
    let text = text.replace("{}", &random.below(40).to_string());
    let port = if is_mail && random.chance(40) { 10_000 + random.below(5) as u16 } else { usual_port };
    let host = |random: &mut Random, net: u32| Endpoint::v4(net + random.below(world.hosts) as u32);
    let client = Endpoint { address: host(random, 0x0a00_0000), port: 20_000 + random.below(world.ports) as u16 };
    let server = Endpoint { address: host(random, 0xc633_6400), port };
    let start = Timestamp(1_700_000_000 * SECOND + random.draw() % (world.seconds * SECOND));
    let mut transcript = Transcript::parse(port, &text).between(client, server).at(start);
    if random.chance(15) {
        transcript = transcript.midstream();
    }
    if random.chance(15) {
        transcript = transcript.unfinished();
    }
    if random.chance(10) {
        // A long one: more than what is kept of what nobody knows.
        for _ in 0..60 {
            transcript = transcript.say(Speaker::Server, &vec![b'x'; 1400]).say(Speaker::Client, b"+OK\r\n");
        }
    }
    let packets = transcript.play();
    let mut time = start.0;
    let pace = random.below(4);
    let wrapping = random.below(10);
    let (tunnel, tag) = (random.below(WRAPPINGS.len()), random.below(50) as u16);
    let mut out = Vec::new();
    for mut packet in packets {
        time += pause(pace, random);
        packet.time = Timestamp(time);
        if random.chance(1) {
            continue; // Lost.
        }
        let is_there = packet.source == client;
        out.extend(wrapped(&packet, wrapping, tunnel, tag, number, random).into_iter().map(|frame| (is_there, frame)));
    }
    out
}

fn pause(pace: usize, random: &mut Random) -> u64 {
    // Around the times after which connections are forgotten.
    const EDGES: [u64; 8] = [1, 14, 16, 100, 119, 120, 121, 240];
    match pace {
        0 => random.draw() % (SECOND / 100),
        1 => random.draw() % (3 * SECOND),
        _ if random.chance(85) => random.draw() % (SECOND / 2),
        2 => random.draw() % (60 * SECOND),
        _ => EDGES[random.below(EDGES.len())] * SECOND + random.draw() % 3,
    }
}

/// A packet as it is on Ethernet.
pub(crate) fn captured(packet: &Packet) -> Captured {
    Captured { time: packet.time, link_type: LinkType::ETHERNET, octets: packet.octets(Link::Ethernet) }
}

fn wrapped(
    packet: &Packet,
    wrapping: usize,
    tunnel: usize,
    tag: u16,
    number: u64,
    random: &mut Random,
) -> Vec<Captured> {
    let holding = |octets| Captured { time: packet.time, link_type: LinkType::ETHERNET, octets };
    let ethernet = |ip: &[u8]| [&[2; 12][..], &[8, 0], ip].concat();
    let raw = packet.octets(Link::Raw);
    let id = (number as u16).wrapping_mul(31).wrapping_add(packet.seq as u16 ^ packet.ack as u16);
    let is_cut = packet.payload.len() > 20 && random.chance(70);
    match wrapping {
        0 => vec![holding(packet.octets(Link::Vlan(tag)))],
        1 | 2 if WRAPPINGS[tunnel].link_type == LinkType::ETHERNET && !WRAPPINGS[tunnel].is_v6 => {
            // Some in fragments inside the tunnel.
            let parts = if is_cut && wrapping == 2 { fragments(&raw, 24, id) } else { vec![raw] };
            parts.iter().map(|part| holding(WRAPPINGS[tunnel].wrap(part))).collect()
        }
        3 if is_cut => fragments(&raw, 32, id).iter().map(|part| holding(ethernet(part))).collect(),
        4 => {
            // A tunnel in fragments: whose they are shows when they are whole.
            let gre = [&[0_u8, 0, 8, 0][..], &raw].concat();
            let mut outer = vec![0x45, 0, 0, 0, 0, 1, 0, 0, 64, 47, 0, 0, 203, 0, 113, 1, 203, 0, 113, 2];
            outer[2..4].copy_from_slice(&(20 + gre.len() as u16).to_be_bytes());
            outer.extend(gre);
            let parts = if is_cut { fragments(&outer, 40, id) } else { vec![outer] };
            parts.iter().map(|part| holding(ethernet(part))).collect()
        }
        _ => vec![captured(packet)],
    }
}
