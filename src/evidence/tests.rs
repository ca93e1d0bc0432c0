//! What is left of dialogues, and that no secret ever is.

use super::*;
use crate::mail::Protocol;
use crate::testing::{Link, Packet, Random, Speaker, Transcript, frames, shake};
use crate::wire::{Endpoint, decode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

/// What a file holds of the packets: each with the octets of its payload.
fn redacted(protocol: Protocol, packets: &[Packet]) -> Vec<Packet> {
    let client = Endpoint { address: Endpoint::v4(0xc000_0207), port: 40_001 };
    let server = Endpoint { address: Endpoint::v4(0xc633_6419), port: 25 };
    let start = PacketRef::default();
    let flow = Flow { client, server, start, protocol, vlan: None, tunnel: None, isns: None };
    let mut trail = Trail::new(flow, Arc::from(["a.pcap".to_owned()]));
    let mut out = begin("made up");
    for (index, captured) in frames(packets, Link::Ethernet).iter().enumerate() {
        let frame = captured.frame(index as u64 + 1, captured.time);
        trail.push(&decode(&frame).expect("a segment"), frame.at, &mut out);
    }
    trail.finish(&mut out);
    let (mut rest, mut blocks) = (&out[..], Vec::new());
    while let [kind, len, ..] = rest.as_chunks::<4>().0 {
        let len = u32::from_le_bytes(*len) as usize;
        assert_eq!(rest[len - 4..len], rest[4..8], "both lengths of a block");
        blocks.push((u32::from_le_bytes(*kind), &rest[8..len - 4]));
        rest = &rest[len..];
    }
    assert_eq!(blocks.iter().take(2).map(|(kind, _)| *kind).collect::<Vec<_>>(), [0x0a0d_0d0a, 1]);
    let word = |octets: &[u8], at: usize| u32::from_le_bytes(octets[at..at + 4].try_into().expect("four"));
    let packet = |(kind, body): &(u32, &[u8])| {
        assert_eq!(*kind, 6);
        let time = u64::from(word(body, 4)) << 32 | u64::from(word(body, 8));
        let octets = body[20..20 + word(body, 12) as usize].to_vec();
        let captured = crate::testing::Captured {
            time: crate::wire::Timestamp(time),
            link_type: crate::wire::LinkType::RAW,
            octets,
        };
        let segment = decode(&captured.frame(1, captured.time)).map(|segment| {
            assert_eq!(segment.checksum_is_right(), Some(true));
            Packet::from_segment(&segment, captured.time)
        });
        segment.expect("a segment")
    };
    blocks[2..].iter().map(packet).collect()
}

fn text(packets: &[Packet], of_client: bool) -> String {
    let own = packets.iter().filter(|packet| (packet.source.port == 40_001) == of_client);
    own.map(|packet| String::from_utf8_lossy(&packet.payload).into_owned()).collect()
}

fn played(text: &str) -> Vec<Packet> {
    Transcript::parse(25, text).play()
}

/// What is left of a dialogue: the client's lines, the server's.
fn check(protocol: Protocol, said: &str, client: &str, server: &str) {
    let packets = played(said);
    let kept = redacted(protocol, &packets);
    let lines = |text: &str| text.lines().map(|line| format!("{}\r\n", line.trim_start())).collect::<String>();
    assert_eq!(text(&kept, true), lines(client));
    assert_eq!(text(&kept, false), lines(server));
    let shape = |packet: &Packet| {
        let Packet { time, source, destination, seq, ack, flags, payload, .. } = packet;
        (*time, *source, *destination, *seq, *ack, *flags, payload.len())
    };
    assert_eq!(kept.iter().map(shape).collect::<Vec<_>>(), packets.iter().map(shape).collect::<Vec<_>>());
    // However it is cut, the same is kept.
    for most in [1, 2, 7] {
        let cut = redacted(protocol, &shake::resegment(&packets, most, &mut Random::new(most as u64)));
        assert_eq!((text(&cut, true), text(&cut, false)), (text(&kept, true), text(&kept, false)));
    }
}

#[test]
fn a_login_by_smtp_is_read_without_its_secret() {
    check(
        Protocol::Smtp,
        "S: 220 mx.example ready
         C: EHLO client.example
         S: 250-mx.example
         S: 250 AUTH PLAIN
         C: AUTH LOGIN
         S: 334 VXNlcm5hbWU6
         C: YW15
         S: 334 UGFzc3dvcmQ6
         C: aHVudGVyMg==
         S: 235 2.7.0 fine, hunter2
         C: MAIL FROM:<amy@example.org>
         S: 250 2.1.0 ok
         C: DATA
         S: 354 go on
         C: EHLO hunter2
         C: .
         S: 250 ok
         C: QUIT
         S: 221 bye",
        "EHLO client.example
         AUTH LOGIN
         XXXX
         XXXXXXXXXXXX
         MAIL FROM:XXXXXXXXXXXXXXXXX
         DATA
         XXXXXXXXXXXX
         X
         QUIT",
        "220 mx.example ready
         250-mx.example
         250 AUTH PLAIN
         334 XXXXXXXXXXXX
         334 XXXXXXXXXXXX
         235 2.7.0 XXXXXXXXXXXXX
         250 2.1.0 XX
         354 XXXXX
         250 XX
         221 XXX",
    );
}

#[test]
fn logins_of_the_others_are_read_without_their_secrets() {
    check(
        Protocol::Pop3,
        "S: +OK ready
         C: CAPA
         S: +OK
         S: SASL PLAIN
         S: .
         C: USER amy
         S: +OK amy
         C: PASS hunter2
         S: -ERR [AUTH] not hunter2
         C: RETR 1
         S: -ERR no",
        "CAPA
         USER amy
         PASS XXXXXXX
         RETR X",
        "+OK ready
         +OK
         SASL PLAIN
         .
         +OK amy
         -ERR [AUTH] XXXXXXXXXXX
         -ERR XX",
    );
    check(
        Protocol::Imap,
        "S: * OK ready
         C: a LOGIN amy {7}
         S: + go on
         C: hunter2
         S: * CAPABILITY hunter2
         S: a OK [ALERT] hunter2
         C: b FETCH 1 BODY[]
         S: * 1 FETCH (BODY[] {10}
         S: b OK two
         S: )
         S: b OK done
         C: c LOGOUT
         S: c OK",
        "a LOGIN X XXXXX
         XXXXXXX
         b FETCH XXXXXXXX
         c LOGOUT",
        "* OK ready
         + XXXXX
         * XXXXXXXXXXXXXXXXXX
         a OK [ALERT] XXXXXXX
         * XXXXXXXXXXXXXXXXXXXX
         XXXXXXXXXXX
         b OK XXXX
         c OK",
    );
    check(
        Protocol::Nntp,
        "S: 200 ready
         C: AUTHINFO USER amy
         S: 381 go on
         C: AUTHINFO PASS hunter2
         S: 281 hunter2",
        "AUTHINFO USER XXX
         AUTHINFO PASS XXXXXXX",
        "200 ready
         381 XXXXX
         281 XXXXXXX",
    );
    check(
        Protocol::ManageSieve,
        "S: \"SASL\" \"PLAIN\"
         S: OK
         C: AUTHENTICATE \"PLAIN\" {12+}
         C: AGEAaHVudGVy
         S: NO \"hunter\"
         C: LOGOUT
         S: OK",
        "AUTHENTICATE \"PLAINXXXXXXX
         XXXXXXXXXXXX
         LOGOUT",
        "\"SASL\" \"PLAIN\"
         OK
         NO XXXXXXXX
         OK",
    );
}

#[test]
fn what_is_not_understood_is_overwritten_to_the_end() {
    let begin = "S: 220 ready\nC: EHLO a\nS: 250 ok\n";
    for rest in ["C: hunter2\nS: 500 what", "S: 421 bye\nC: NOOP", "C: XFOO hunter2\nS: 250 ok\nC: NOOP"] {
        let kept = redacted(Protocol::Smtp, &played(&format!("{begin}{rest}")));
        assert!(text(&kept, true).starts_with("EHLO a\r\n"));
        assert_eq!(text(&kept, true)[8..].trim_matches(['X', '\r', '\n']), "");
        assert_eq!(text(&kept, false)[21..].trim_matches(['X', '\r', '\n']), "", "{rest}");
    }
    let kept = redacted(Protocol::Acap, &played("S: * ACAP ready\nC: a NOOP"));
    assert_eq!((text(&kept, true).as_str(), text(&kept, false).as_str()), ("XXXXXXXX", "XXXXXXXXXXXXXX"));
}

#[test]
fn what_comes_twice_or_after_a_hole_is_overwritten() {
    let packets = played("S: 220 ready\nC: EHLO a\nS: 250 ok\nC: NOOP\nS: 250 ok\nC: QUIT\nS: 221 bye");
    let said = |speaker_port: u16, text: &str| {
        packets
            .iter()
            .position(|packet| packet.source.port == speaker_port && packet.payload.starts_with(text.as_bytes()))
    };
    let ehlo = said(40_001, "EHLO").expect("it is there");
    let mut again = packets.clone();
    again.insert(ehlo + 1, packets[ehlo].clone());
    let kept = redacted(Protocol::Smtp, &again);
    assert_eq!(text(&kept, true), "EHLO a\r\nXXXXXXXXNOOP\r\nQUIT\r\n");
    let kept = redacted(Protocol::Smtp, &shake::without(&packets, said(40_001, "NOOP").expect("it is there")));
    assert_eq!(
        (text(&kept, true).as_str(), text(&kept, false).as_str()),
        ("EHLO a\r\nXXXXXX", "220 ready\r\n250 ok\r\nXXXXXXXXXXXXXXXXX")
    );
    // In its middle: nobody knows what it is.
    let kept = redacted(Protocol::Smtp, &packets[3..]);
    assert_eq!(text(&kept, true).trim_matches('X'), "");
}

#[test]
fn of_tls_handshakes_are_kept_and_data_are_not() {
    let transcript = Transcript::parse(25, "S: 220 ready\nC: EHLO a\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go on");
    let record = |kind: u8, text: &[u8]| [&[kind, 3, 3, 0, text.len() as u8][..], text].concat();
    let packets = transcript
        .say(Speaker::Client, &record(22, b"hello"))
        .say(Speaker::Server, &record(22, b"hello, you"))
        .say(Speaker::Client, &record(23, b"hunter2"))
        .say(Speaker::Client, b"PASS hunter2\r\n")
        .play();
    let kept = redacted(Protocol::Smtp, &packets);
    let (client, server) = (text(&kept, true), text(&kept, false));
    assert!(client.contains("hello") && server.contains("hello, you") && server.contains("220 go on\r\n"));
    assert!(client.ends_with(&format!("\u{17}\u{3}\u{3}\0\u{7}XXXXXXX{}", "X".repeat(14))), "{client:?}");
}

/// Dialogues with a secret in every mechanism that there is.
fn with_secret(which: usize, secret: &str) -> (Protocol, String) {
    let plain = STANDARD.encode(format!("\0amy\0{secret}"));
    let alone = STANDARD.encode(secret);
    let smtp = |rest: String| (Protocol::Smtp, format!("S: 220 ready\nC: EHLO a\nS: 250 ok\n{rest}"));
    let imap = |rest: String| (Protocol::Imap, format!("S: * OK ready\n{rest}"));
    let pop3 = |rest: String| (Protocol::Pop3, format!("S: +OK ready\n{rest}"));
    match which {
        0 => smtp(format!("C: AUTH PLAIN {plain}\nS: 535 5.7.8 {plain} {secret}")),
        1 => smtp(format!("C: AUTH PLAIN\nS: 334 \nC: {plain}\nS: 235 {secret}")),
        2 => smtp(format!(
            "C: AUTH LOGIN\nS: 334 x\nC: YQ==\nS: 334 {alone}\nC: {alone}\nS: 500-{secret}\nS: 500 {secret}"
        )),
        3 => smtp(format!("C: {secret}\nS: 500 {secret}\nC: {secret}\nS: 500 {secret}")),
        4 => smtp(format!("C: AUTH {secret}\nS: 504 {secret}\nC: NOOP {secret}\nS: 250 {secret}")),
        5 => smtp(format!("C: DATA\nS: 354 {secret}\nC: {secret}\nC: EHLO a\nC: {secret}\nC: .\nS: 250 {secret}")),
        6 => imap(format!(
            "C: a LOGIN amy \"{secret}\"\nS: * NO {secret}\nS: a NO {secret}\nC: b NOOP\nS: b OK {secret}"
        )),
        7 => imap(format!("C: a LOGIN amy {{{}}}\nS: + {secret}\nC: {secret}\nS: a OK {secret}", secret.len())),
        8 => {
            imap(format!("C: a AUTHENTICATE PLAIN\nS: +\nC: {plain}\nS: a OK {secret}\nC: {secret}\nS: b BAD {secret}"))
        }
        9 => pop3(format!(
            "C: USER amy\nS: +OK\nC: PASS {secret}\nS: -ERR {secret}\nC: USER {secret} x\nS: +OK {secret}"
        )),
        10 => pop3(format!("C: APOP amy {secret}\nS: +OK {secret}\nC: RETR 1\nS: +OK\nS: {secret}\nS: .\nC: QUIT")),
        11 => pop3(format!("C: AUTH PLAIN {plain}\nS: +OK {secret}\nC: CAPA\nS: +OK {secret}\nS: {secret}\nS: .")),
        12 => (
            Protocol::Nntp,
            format!("S: 200 ready\nC: AUTHINFO USER a\nS: 381 x\nC: AUTHINFO PASS {secret}\nS: 281 {secret}"),
        ),
        13 => (
            Protocol::ManageSieve,
            format!("S: OK\nC: AUTHENTICATE \"PLAIN\" \"{plain}\"\nS: {{3}}\nS: abc\nS: NO \"{secret}\"\nC: {secret}"),
        ),
        _ => (Protocol::Acap, format!("S: * ACAP ready\nC: a LOGIN amy \"{secret}\"\nS: a NO \"{secret}\"")),
    }
}

const MECHANISMS: usize = 15;

/// A part of a secret that nothing else in these dialogues holds.
fn holds_a_part(text: &str, secret: &str) -> bool {
    let forms = [secret.to_owned(), STANDARD.encode(secret), STANDARD.encode(format!("\0amy\0{secret}"))];
    // The last begins with what is no secret.
    let from = [0, 0, 7];
    forms.iter().zip(from).any(|(form, from)| {
        let octets: Vec<char> = form.chars().skip(from).collect();
        octets.windows(6).any(|part| text.contains(&part.iter().collect::<String>()))
    })
}

proptest! {
    #[test]
    fn no_part_of_a_secret_survives_in_any_mechanism(
        which in 0..MECHANISMS, secret in "[a-zA-Z0-9!#-&(-/:;=?@^_`|~ ]{8,24}", most in 1..40_usize, seed: u64, disorder in 0..3_usize, is_lossy: bool,
    ) {
        // Neither a text of its own nor what stands for it.
        prop_assume!(!secret.contains("XXXXXX") && !secret.starts_with(' ') && !secret.ends_with(' '));
        let (protocol, said) = with_secret(which, &secret);
        let packets = Transcript::parse(25, &said).play();
        prop_assert!(holds_a_part(&(text(&packets, true) + &text(&packets, false)), &secret), "it is there before");
        let mut random = Random::new(seed);
        let mut shaken = shake::resegment(&packets, most, &mut random);
        shaken = shake::duplicate(&shaken, 10 * disorder, &mut random);
        shaken = shake::reorder(&shaken, disorder, &mut random);
        if is_lossy {
            shaken = shake::without(&shaken, random.below(shaken.len()));
        }
        for packets in [packets, shaken] {
            let kept = redacted(protocol, &packets);
            prop_assert_eq!(kept.len(), packets.len());
            for of_client in [true, false] {
                prop_assert!(!holds_a_part(&text(&kept, of_client), &secret), "a part of {secret:?} is left by {which}");
            }
        }
    }

    #[test]
    fn any_octets_of_both_ends_are_taken(
        turns in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..60)), 0..12), protocol in 0..7_usize,
    ) {
        let protocol = crate::mail::PROTOCOLS[protocol].protocol;
        let speaker = |of_client| if of_client { Speaker::Client } else { Speaker::Server };
        let said = turns.iter().fold(Transcript::new(25), |transcript, (of_client, octets)| transcript.say(speaker(*of_client), octets));
        let packets = said.play();
        prop_assert_eq!(redacted(protocol, &packets).len(), packets.len());
    }
}
