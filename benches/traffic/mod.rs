//! Traffic by named scenario: frames made in memory from a fixed seed, the same on every machine.

#![allow(dead_code, reason = "each bench and the example use a part of it")]

use barewire::testing::{Captured, Link, Packet, Random, Speaker, Transcript, frames};
use barewire::wire::{Endpoint, Flags, Frame, LinkType, Timestamp};

/// `mix` is what a span port of an office shows: nineteen octets in twenty are no mail; `other` is the same without
/// any mail. `mail` is mail sessions with messages, `logins` is tiny sessions that log in and leave, `syns` is a flood
/// of SYNs around such sessions, `idle` is many connections of no interest that send a packet now and then.
pub(crate) const SCENARIOS: [&str; 6] = ["other", "mix", "mail", "logins", "syns", "idle"];

/// The protocols that have sessions here.
pub(crate) const PROTOCOLS: [&str; 3] = ["smtp", "pop3", "imap"];

/// Octets of frames of each scenario.
const SIZE: usize = 8 << 20;

/// Connections that are open at once.
const OPEN: usize = 24;

/// SYNs of the flood, and connections that are idle.
const CROWD: u32 = 100_000;

/// The frames of a scenario, if there is one of that name.
pub(crate) fn scenario(name: &str) -> Option<Vec<Captured>> {
    match name {
        "other" => Some(office(0)),
        "mix" => Some(office(20)),
        "mail" => Some(until(SIZE, mail)),
        "logins" => Some(until(SIZE, logins)),
        "syns" => Some(syns()),
        "idle" => Some(idle()),
        _ => None,
    }
}

/// As the engine takes them.
pub(crate) fn numbered(frames: &[Captured]) -> impl Iterator<Item = Frame<'_>> + Clone {
    (1..).zip(frames).map(|(number, captured)| captured.frame(number, captured.time))
}

/// Connections of one kind, mingled, until there is enough.
pub(crate) fn until(least: usize, kind: impl Fn(u32, &mut Random) -> Transcript) -> Vec<Captured> {
    let mut random = Random::new(7);
    let mut done = Vec::new();
    let mut size = 0;
    let mut number = 0;
    while size < least {
        let mut connections = Vec::new();
        for _ in 0..OPEN {
            connections.push(frames(&between(kind(number, &mut random), number).play(), Link::Ethernet));
            number += 1;
        }
        let mingled = mingle(connections, &mut random);
        size += octets(&mingled);
        done.extend(mingled);
    }
    stamp(done)
}

pub(crate) fn octets(frames: &[Captured]) -> usize {
    frames.iter().map(|frame| frame.octets.len()).sum()
}

/// Each connection has its own client and one of a few hundred servers.
fn between(transcript: Transcript, number: u32) -> Transcript {
    let port = transcript.play()[0].destination.port;
    let client = Endpoint { address: Endpoint::v4(0x0a00_0000 + number % 5000), port: 1024 + (number % 60_000) as u16 };
    transcript.between(client, Endpoint { address: Endpoint::v4(0xc633_6400 + number % 250), port })
}

/// Takes the next frame from a random one of the connections.
fn mingle(connections: Vec<Vec<Captured>>, random: &mut Random) -> Vec<Captured> {
    let mut rest: Vec<_> = connections.into_iter().map(Vec::into_iter).collect();
    let mut mingled = Vec::new();
    while !rest.is_empty() {
        let pick = random.below(rest.len());
        match rest[pick].next() {
            Some(frame) => mingled.push(frame),
            None => drop(rest.swap_remove(pick)),
        }
    }
    mingled
}

/// A frame every ten microseconds.
fn stamp(mut frames: Vec<Captured>) -> Vec<Captured> {
    for (index, frame) in frames.iter_mut().enumerate() {
        frame.time = Timestamp(1_700_000_000_000_000_000 + index as u64 * 10_000);
    }
    frames
}

fn said(transcript: Transcript, lines: &str) -> Transcript {
    lines.lines().fold(transcript, |transcript, line| {
        let speaker = if line.starts_with("C:") { Speaker::Client } else { Speaker::Server };
        transcript.say(speaker, format!("{}\r\n", &line[3..]).as_bytes())
    })
}

/// A message of `size` octets or a few more.
pub(crate) fn message(size: usize, random: &mut Random) -> Vec<u8> {
    let mut text = b"Subject: figures\r\n\r\n".to_vec();
    while text.len() < size {
        text.extend_from_slice(format!("{:060x} and so on\r\n", random.draw()).as_bytes());
    }
    text
}

fn mail(number: u32, random: &mut Random) -> Transcript {
    let size = 2000 + random.below(198_000);
    session(PROTOCOLS[number as usize % 3], &message(size, random))
}

/// A session of the protocol in which a message is sent or fetched.
pub(crate) fn session(protocol: &str, text: &[u8]) -> Transcript {
    match protocol {
        "smtp" => {
            let hello = "S: 220 mx ESMTP\nC: EHLO me\nS: 250-mx\nS: 250 SIZE\nC: MAIL FROM:<a@example.com>\nS: 250 ok\n\
                         C: RCPT TO:<b@example.org>\nS: 250 ok\nC: DATA\nS: 354 go on";
            let sent = said(Transcript::new(25), hello).say(Speaker::Client, text);
            said(sent, "C: .\nS: 250 queued\nC: QUIT\nS: 221 bye")
        }
        "pop3" => {
            let hello = "S: +OK ready\nC: USER ann\nS: +OK\nC: PASS made-up\nS: +OK in\nC: RETR 1\nS: +OK follows";
            let fetched = said(Transcript::new(110), hello).say(Speaker::Server, text);
            said(fetched, "S: .\nC: QUIT\nS: +OK bye")
        }
        _ => {
            let hello = "S: * OK ready\nC: a1 LOGIN ann made-up\nS: a1 OK in\nC: a2 SELECT INBOX\nS: a2 OK done";
            let fetch = format!("C: a3 FETCH 1 BODY[]\nS: * 1 FETCH (BODY[] {{{}}}", text.len());
            let fetched = said(said(Transcript::new(143), hello), &fetch).say(Speaker::Server, text);
            said(fetched, "S: )\nS: a3 OK done\nC: a4 LOGOUT\nS: * BYE\nS: a4 OK done")
        }
    }
}

fn logins(number: u32, _: &mut Random) -> Transcript {
    login(PROTOCOLS[number as usize % 3])
}

/// A session of the protocol that logs in and leaves.
pub(crate) fn login(protocol: &str) -> Transcript {
    let (port, lines) = match protocol {
        "smtp" => (
            587,
            "S: 220 mx ESMTP\nC: EHLO me\nS: 250-mx\nS: 250-STARTTLS\nS: 250 AUTH PLAIN\n\
             C: AUTH PLAIN AGFubgBtYWRlLXVw\nS: 235 in\nC: QUIT\nS: 221 bye",
        ),
        "pop3" => (110, "S: +OK ready\nC: USER ann\nS: +OK\nC: PASS made-up\nS: +OK in\nC: QUIT\nS: +OK bye"),
        _ => (143, "S: * OK ready\nC: a1 LOGIN ann made-up\nS: a1 OK in\nC: a2 LOGOUT\nS: * BYE\nS: a2 OK done"),
    };
    said(Transcript::new(port), lines)
}

/// TLS on 443: hellos, then records.
fn web_tls(_: u32, random: &mut Random) -> Transcript {
    let hello = |kind: u8| [&[0x16, 3, 1, 2, 0, kind, 0, 1, 0xfc, 3, 3][..], &[7; 506]].concat();
    let mut transcript = Transcript::new(443).say(Speaker::Client, &hello(1)).say(Speaker::Server, &hello(2));
    for _ in 0..4 {
        let request = record(300, random);
        transcript = transcript.say(Speaker::Client, &request);
        let size = 4000 + random.below(12_000);
        let response = record(size, random);
        transcript = transcript.say(Speaker::Server, &response);
    }
    transcript
}

/// A record of TLS with application data.
pub(crate) fn record(len: usize, random: &mut Random) -> Vec<u8> {
    let mut octets = vec![0x17, 3, 3, (len >> 8) as u8, len as u8];
    octets.extend((0..len).map(|_| random.draw() as u8));
    octets
}

fn web(_: u32, random: &mut Random) -> Transcript {
    let size = 2000 + random.below(198_000);
    page(message(size, random))
}

/// HTTP on 80.
pub(crate) fn page(body: Vec<u8>) -> Transcript {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    Transcript::new(80)
        .say(Speaker::Client, b"GET /a/page HTTP/1.1\r\nHost: www.example\r\n\r\n")
        .say(Speaker::Server, &[head, body].concat())
}

/// Datagrams to port 443, as QUIC sends them.
fn datagrams(random: &mut Random) -> Vec<Captured> {
    let template = Transcript::new(443).say(Speaker::Client, &[0x40; 1200]).play().swap_remove(3);
    let frame = |octets: Vec<u8>| Captured { time: template.time, link_type: LinkType::ETHERNET, octets };
    let datagram = |packet: &Packet| {
        let mut octets = packet.octets(Link::Ethernet);
        // The protocol field of the IPv4 header: UDP.
        octets[14 + 9] = 17;
        frame(octets)
    };
    (0..20 + random.below(200)).map(|_| datagram(&template)).collect()
}

/// Traffic of which one octet in `mail_in` is mail; 0: none is.
fn office(mail_in: usize) -> Vec<Captured> {
    let mut random = Random::new(11);
    let mut done = Vec::new();
    let mut sizes = [0, 0];
    let mut number = 0;
    while sizes[0] + sizes[1] < SIZE {
        let mut connections = Vec::new();
        for _ in 0..OPEN {
            number += 1;
            let is_mail = mail_in > 0 && sizes[1] * (mail_in - 1) <= sizes[0];
            let frames_of = |transcript| frames(&between(transcript, number).play(), Link::Ethernet);
            let connection = match number % 3 {
                _ if is_mail => {
                    frames_of(if number % 2 == 0 { mail(number, &mut random) } else { logins(number, &mut random) })
                }
                0 => frames_of(web_tls(number, &mut random)),
                1 => frames_of(web(number, &mut random)),
                _ => datagrams(&mut random),
            };
            sizes[usize::from(is_mail)] += octets(&connection);
            connections.push(connection);
        }
        done.extend(mingle(connections, &mut random));
    }
    stamp(done)
}

/// SYNs to a mail server from as many clients, and sessions with it among them.
fn syns() -> Vec<Captured> {
    let mut random = Random::new(13);
    let sessions = until(1 << 16, logins);
    let every = CROWD as usize / sessions.len();
    let mut sessions = sessions.into_iter();
    let mut done = Vec::new();
    for number in 0..CROWD {
        let client = Endpoint { address: Endpoint::v4(random.draw() as u32), port: random.draw() as u16 };
        let server = Endpoint { address: Endpoint::v4(0xc633_6400), port: 143 };
        let syn = Packet {
            time: Timestamp(0),
            source: client,
            destination: server,
            seq: random.draw() as u32,
            ack: 0,
            flags: Flags::SYN,
            urgent: 0,
            payload: Vec::new(),
        };
        done.extend(frames(&[syn], Link::Ethernet));
        if (number as usize).is_multiple_of(every) {
            done.extend(sessions.next());
        }
    }
    done.extend(sessions);
    stamp(done)
}

/// Connections that say a little and stay open, then acknowledge twice, each time in another order.
fn idle() -> Vec<Captured> {
    let mut random = Random::new(17);
    let mut done = Vec::new();
    let mut last = Vec::new();
    for number in 0..CROWD {
        let client = Endpoint { address: Endpoint::v4(0x0a00_0000 + number), port: 1024 + (number % 60_000) as u16 };
        let server = Endpoint { address: Endpoint::v4(0xc633_6400 + number % 250), port: 80 };
        let said = said(Transcript::new(80), "C: GET / HTTP/1.1\nS: HTTP/1.1 204 No Content");
        let connection = frames(&said.between(client, server).unfinished().play(), Link::Ethernet);
        last.extend(connection.last().cloned());
        done.extend(connection);
    }
    for _ in 0..2 {
        shuffle(&mut last, &mut random);
        done.extend_from_slice(&last);
    }
    stamp(done)
}

/// Puts things into another order.
pub(crate) fn shuffle<T>(things: &mut [T], random: &mut Random) {
    for at in (1..things.len()).rev() {
        things.swap(at, random.below(at + 1));
    }
}
