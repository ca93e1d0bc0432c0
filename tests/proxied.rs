//! Connections that begin with a PROXY preamble: what follows it is judged as if it stood alone, however the octets are
//! cut, and the client that the proxy names is kept. Credentials are made up.

use barewire::finding::{Record, Session};
use barewire::testing::Speaker::{self, Client, Server};
use barewire::testing::{Link, Transcript, judged, run, shake};

const V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.25 5000 143\r\n";
/// Addresses whose octets include line feeds and letters, and values after them.
const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13\x0a\x0a\x0d\x0a\xc6\x33\x64\x19\x0d\x0a\0\x8f\x03\0\x04\x0a\x0d\x0a\0";

fn preambles() -> [(&'static [u8], Option<&'static str>); 4] {
    [
        (V1, Some("192.0.2.1:5000")),
        (V2, Some("10.10.13.10:3338")),
        (b"PROXY UNKNOWN\r\n", None),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0", None),
    ]
}

/// A dialogue of each protocol, with STARTTLS refused where that is quickly said.
const DIALOGUES: [(u16, &str, &str); 8] = [
    (
        110,
        "S: +OK hi\nC: STLS\nS: -ERR no\nC: USER ann\nS: +OK\nC: PASS made-up\nS: +OK\nC: RETR 1\nS: +OK\nS: x\nS: .\nC: QUIT\nS: +OK",
        "ann USER-PASS accepted",
    ),
    (
        143,
        "S: * OK hi\nC: a STARTTLS\nS: a NO\nC: b LOGIN ann {7}\nS: + go\nC: made-up\nS: b OK\nC: c LOGOUT\nS: * BYE\nS: c OK",
        "ann IMAP-LOGIN accepted",
    ),
    (
        587,
        "S: 220 mx ESMTP\nC: EHLO me\nS: 250-mx\nS: 250 STARTTLS\nC: AUTH PLAIN\nS: 334 \nC: AGFubgBtYWRlLXVw\nS: 535 no\nC: QUIT\nS: 221",
        "ann PLAIN rejected",
    ),
    (
        24,
        "S: 220 store\nC: LHLO mx\nS: 250 store\nC: AUTH PLAIN AGFubgBtYWRlLXVw\nS: 235 in\nC: QUIT\nS: 221",
        "ann PLAIN accepted",
    ),
    (
        4190,
        "S: \"IMPLEMENTATION\" \"x\"\nS: OK\nC: AUTHENTICATE \"PLAIN\" \"AGFubgBtYWRlLXVw\"\nS: OK\nC: LOGOUT\nS: OK",
        "ann PLAIN accepted",
    ),
    (
        119,
        "S: 200 news\nC: AUTHINFO USER ann\nS: 381\nC: AUTHINFO PASS made-up\nS: 281\nC: QUIT\nS: 205",
        "ann AUTHINFO accepted",
    ),
    (
        674,
        "S: * ACAP (STARTTLS)\nC: A AUTHENTICATE \"LOGIN\"\nS: + \"user\"\nC: \"ann\"\nS: + \"pass\"\nC: \"made-up\"\nS: A OK \"in\"\nC: B LOGOUT\nS: B OK \"bye\"",
        "ann LOGIN accepted",
    ),
    (4242, "S: * OK hi\nC: a LOGIN ann made-up\nS: a OK\nC: c LOGOUT\nS: * BYE\nS: c OK", "ann IMAP-LOGIN accepted"),
];

/// The dialogue after a preamble.
fn after(preamble: &[u8], port: u16, text: &str) -> Transcript {
    let mut transcript = Transcript::new(port).say(Client, preamble);
    for line in text.lines() {
        let speaker = if line.starts_with("C:") { Client } else { Server };
        transcript = transcript.say(speaker, format!("{}\r\n", &line[2..].trim_start()).as_bytes());
    }
    transcript
}

fn facts(session: Option<Session>) -> impl PartialEq + std::fmt::Debug {
    session.map(|it| (it.flow.protocol, it.starttls, it.messages, it.logins, it.banner, it.coverage, it.is_tls))
}

fn findings(transcript: &Transcript) -> Vec<(&'static str, u8)> {
    let (records, _) = run(&transcript.play(), Link::Ethernet);
    let finding = |record| match record {
        Record::Finding(finding) => Some((finding.id.name(), finding.severity)),
        _ => None,
    };
    records.into_iter().filter_map(finding).collect()
}

#[test]
fn what_follows_is_judged_as_if_it_stood_alone() {
    for (port, text, login) in DIALOGUES {
        let bare = Transcript::parse(port, text);
        let (_, expected) = judged(&bare);
        let expected = facts(expected);
        for (preamble, client) in preambles() {
            let whole = after(preamble, port, text);
            assert_eq!(findings(&whole), findings(&bare), "port {port}");
            for octets in [1, 2, 3, 5, 7, 16, 1460] {
                let (logins, session) = judged(&whole.clone().segment(octets));
                assert_eq!(logins, [login], "port {port}, segments of {octets}");
                let named = session.as_ref().and_then(|session| session.proxied_client.clone());
                assert_eq!(named.as_ref().map(|client| client.as_str()), client, "port {port}, segments of {octets}");
                assert_eq!(facts(session), expected, "port {port}, segments of {octets}");
            }
        }
    }
}

#[test]
fn the_ends_need_not_be_known() {
    for (port, text, login) in DIALOGUES {
        for (preamble, client) in preambles() {
            let (logins, session) = judged(&after(preamble, port, text).midstream());
            assert_eq!(logins, [login], "port {port}");
            let named = session.and_then(|session| session.proxied_client);
            assert_eq!(named.as_ref().map(|client| client.as_str()), client, "port {port}");
        }
    }
    // The server on the higher port: the guess is wrong, and turned round with the preamble.
    let ends = |transcript: Transcript| {
        let end = |address, port| barewire::wire::Endpoint { address: barewire::wire::Endpoint::v4(address), port };
        transcript.between(end(0xc000_0207, 1025), end(0xc633_6419, 50_143))
    };
    let text = "S: * OK hi\nC: a LOGIN ann made-up\nS: a OK\nC: c LOGOUT\nS: * BYE\nS: c OK";
    for octets in 1..=8 {
        let (logins, session) = judged(&ends(after(V1, 1, text)).midstream().segment(octets));
        assert_eq!(logins, ["ann IMAP-LOGIN accepted"], "segments of {octets}");
        assert!(session.is_some_and(|it| it.flow.server.port == 50_143 && it.proxied_client.is_some()));
    }
}

#[test]
fn only_one_direction_will_do() {
    let (_, text, _) = DIALOGUES[0];
    let whole = after(V1, 110, text);
    for octets in 1..=8 {
        let (logins, session) = judged(&whole.clone().only(Speaker::Client).segment(octets));
        assert_eq!(logins, ["ann USER-PASS asymmetric"], "segments of {octets}");
        assert!(session.is_some_and(|session| session.proxied_client.is_some()));
        let (logins, session) = judged(&whole.clone().only(Speaker::Server).segment(octets));
        assert!(logins.is_empty() && session.is_some_and(|session| session.proxied_client.is_none()));
    }
}

#[test]
fn tls_may_come_right_after_it() {
    let hello =
        b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03................................\x00\x00\x02\x13\x01\x01\x00";
    for (preamble, client) in preambles() {
        for octets in 1..=8 {
            let transcript = Transcript::new(993).say(Client, preamble).say(Client, hello).segment(octets);
            let (logins, session) = judged(&transcript);
            let session = session.expect("a session");
            assert!(logins.is_empty() && session.is_implicit_tls, "segments of {octets}");
            assert_eq!(session.proxied_client.as_ref().map(|client| client.as_str()), client);
            // The same on a port that is none of mail is nothing of interest.
            let other = Transcript::new(8443).say(Client, preamble).say(Client, hello).segment(octets);
            assert!(judged(&other).1.is_none());
        }
    }
}

#[test]
fn what_only_looks_like_it_stays_where_it_is() {
    let text = "S: * OK hi\nC: PROXY LOGIN ann made-up\nS: PROXY OK\nC: c LOGOUT\nS: * BYE\nS: c OK";
    let reply = "S: * OK hi\nC: a NOOP\nS: a OK\nC: PROXY TCP4 192.0.2.1 198.51.100.25 5000 143\nS: PROXY BAD\nC: b LOGIN ann made-up\nS: b OK";
    for octets in 1..=8 {
        for text in [text, reply] {
            let (logins, session) = judged(&Transcript::parse(143, text).segment(octets));
            assert_eq!(logins, ["ann IMAP-LOGIN accepted"], "segments of {octets}");
            assert!(session.is_some_and(|session| session.proxied_client.is_none()));
        }
        let (_, text, _) = DIALOGUES[7];
        let malformed = after(b"PROXY TCP4 192.0.2.1 5000\r\n", 143, text).segment(octets);
        let (logins, session) = judged(&malformed);
        assert_eq!(logins, ["ann IMAP-LOGIN accepted"], "segments of {octets}");
        assert!(session.is_some_and(|session| session.proxied_client.is_none()));
    }
}

/// Pieces of a binary one are no mail, but proxies send it in one. ManageSieve takes no command that follows a loss.
#[test]
fn a_packet_of_it_may_be_lost() {
    for (port, text, login) in DIALOGUES.into_iter().filter(|(port, ..)| *port != 4190) {
        for (preamble, size) in [(V1, 9), (V1, 64), (V2, 64)] {
            let packets = after(preamble, port, text).segment(size).play();
            for index in 3..3 + preamble.len().div_ceil(size) {
                let (records, _) = run(&shake::without(&packets, index), Link::Ethernet);
                let user = records.iter().find_map(|record| match record {
                    Record::Login(login) => login.user.as_ref().map(|user| user.as_str()),
                    _ => None,
                });
                assert_eq!(user, login.split(' ').next(), "port {port}, packet {index}");
            }
        }
    }
}
