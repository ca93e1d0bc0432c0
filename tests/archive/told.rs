//! Captures in which what a map leaves out would have mattered, packet by packet: each must be told, or change nothing.

use crate::inside::in_steps_and_at_once;
use crate::traffic::captured;
use barewire::testing::{Captured, Packet};
use barewire::wire::{Endpoint, Timestamp};

const SYN: u8 = 2;
const ACK: u8 = 16;
/// So many octets are kept of what nobody knows the beginning of.
const ROOM: u32 = 1024;

/// A packet at so many milliseconds, of the client or of the server.
fn packet(at: u64, is_clients: bool, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Captured {
    let client = Endpoint { address: Endpoint::v4(0x0a00_0001), port: 20_001 };
    let server = Endpoint { address: Endpoint::v4(0xc633_6401), port: 10_001 };
    let (source, destination) = if is_clients { (client, server) } else { (server, client) };
    let time = Timestamp(1_700_000_000_000_000_000 + at * 1_000_000);
    captured(&Packet { time, source, destination, seq, ack, flags, urgent: 0, payload: payload.to_vec() })
}

fn client(at: u64, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Captured {
    packet(at, true, flags, seq, ack, payload)
}

fn server(at: u64, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Captured {
    packet(at, false, flags, seq, ack, payload)
}

fn handshake(at: u64, client_first: u32, server_first: u32) -> Vec<Captured> {
    vec![
        client(at, SYN, client_first - 1, 0, b""),
        server(at + 1, SYN | ACK, server_first - 1, client_first, b""),
        client(at + 2, ACK, client_first, server_first, b""),
    ]
}

/// A login of POP3 from these sequence numbers on, without the greeting where that came before.
fn login(at: u64, mut client_next: u32, mut server_next: u32, has_greeting: bool) -> Vec<Captured> {
    let words: [(bool, &[u8]); 5] = [
        (false, b"+OK ready\r\n"),
        (true, b"USER bob\r\n"),
        (false, b"+OK\r\n"),
        (true, b"PASS made-up\r\n"),
        (false, b"+OK in\r\n"),
    ];
    let mut packets = Vec::new();
    for (turn, (is_clients, words)) in words.into_iter().enumerate() {
        let (seq, ack) = if is_clients { (client_next, server_next) } else { (server_next, client_next) };
        if has_greeting || turn > 0 {
            packets.push(packet(at + 10 * turn as u64, is_clients, ACK, seq, ack, words));
        }
        *(if is_clients { &mut client_next } else { &mut server_next }) += words.len() as u32;
    }
    packets
}

/// Whether something is missed and told; if not, all is as it was at once.
fn is_told(captures: &[Vec<Captured>], room: u32) -> bool {
    let (got, want, missed) = in_steps_and_at_once(captures, Some(room));
    assert!(missed > 0 || got == want, "{got:#?}\n{want:#?}");
    missed > 0
}

#[test]
fn another_handshake_with_the_same_ends_is_in_another_capture() {
    let mut mail = handshake(0, 100, 500);
    let other = [handshake(10, 9000, 7777), vec![client(13, ACK, 9000, 7777, b"GET / HTTP/1.1\r\n")]].concat();
    let rest = login(1000, 100, 500, true);
    assert!(is_told(&[mail.clone(), other.clone(), rest.clone()], ROOM), "one after the other");
    mail.extend(rest);
    assert!(is_told(&[other, mail], ROOM), "at once");
}

#[test]
fn an_answer_that_was_forged_comes_before_its_syn() {
    let mut capture = vec![
        client(0, ACK, 9, 9, b"GET / HTTP/1.1\r\n"),
        server(1000, SYN | ACK, 504, 100, b""),
        client(1001, SYN, 99, 0, b""),
        server(1002, SYN | ACK, 499, 100, b""),
        server(1003, ACK, 505, 100, b"ready\r\n"),
        server(1004, ACK, 500, 100, b"+OK  "),
    ];
    capture.extend(login(1100, 100, 501, false));
    is_told(&[capture], ROOM);
}

#[test]
fn what_was_left_out_of_one_that_another_capture_had_ended_is_not_silent() {
    let first = vec![client(500, ACK, 100, 500, b"\x16\x03\x01aaa")];
    let second = vec![
        client(0, SYN, 99, 0, b""),
        client(1000, ACK, 107, 506, b"\x17"),
        server(123_000, ACK, 517, 120, b""),
        client(123_100, ACK, 120, 522, b"PASS made-up\r\n"),
        server(123_200, ACK, 522, 134, b"+OK\r\n"),
    ];
    assert!(is_told(&[first, second], ROOM));
}

#[test]
fn what_the_server_said_before_is_in_another_capture() {
    let first = vec![
        client(0, SYN, 99, 0, b""),
        server(1, SYN | ACK, 499, 100, b""),
        client(100, ACK, 100, 511, b"\x16\x03\x01x"),
    ];
    let second = vec![server(50, ACK, 500, 100, b"hello there\r\n"), server(60, ACK, 513, 100, b"x\r\n")];
    assert!(is_told(&[first, second], ROOM));
}

#[test]
fn a_connection_begins_at_the_very_time_of_what_another_capture_left_out() {
    let mut first = handshake(50, 100, 500);
    first.extend(login(50, 100, 500, false));
    let second = vec![
        client(0, ACK, 100, 500, b"\x17\x03\x03aaaa"),
        server(1, ACK, 500, 107, b"\x17\x03\x03aaaa"),
        server(50, ACK, 500, 100, b"+OK ready\r\n"),
    ];
    assert!(is_told(&[first, second], 0));
}

#[test]
fn silence_that_two_captures_left_out_lasts_as_long_as_the_longer() {
    let silent = |times: &[u64]| times.iter().map(|at| client(*at, ACK, 100, 500, b"")).collect::<Vec<_>>();
    let captures = [silent(&[0, 100, 14_000, 20_000]), silent(&[1000, 1100]), login(13_000, 100, 500, true)];
    assert!(is_told(&captures, 0));
}

#[test]
fn silence_that_was_left_out_keeps_what_is_no_mail_alive() {
    let silent = (0..=30).map(|number| client(number * 10_000, ACK, 100, 500, b"")).collect();
    let mut other = vec![server(5000, ACK, 500, 100, b"\x17\x03\x03aaaa")];
    other.extend(login(310_000, 100, 507, true));
    is_told(&[silent, other], 0);
}

/// What is said after a login, in a capture of its own: each time a word of the client and one of the server.
fn goes_on(times: u64, asked: &[u8], answered: &[u8]) -> [Vec<Captured>; 2] {
    let mut first = handshake(0, 1000, 5000);
    first.extend(login(100, 1000, 5000, true));
    let (mut client_next, mut server_next) = (1000 + 24, 5000 + 24);
    let mut second = Vec::new();
    for turn in 0..times {
        second.push(client(1000 + 2 * turn, ACK, client_next, server_next, asked));
        client_next += asked.len() as u32;
        second.push(server(1001 + 2 * turn, ACK, server_next, client_next, answered));
        server_next += answered.len() as u32;
    }
    [first, second]
}

#[test]
fn text_that_goes_on_is_kept_in_short_packets_and_in_any_character_set() {
    assert!(!is_told(&goes_on(2500, b"NOOP\r\n", b"+OK\r\n"), ROOM));
    let cyrillic = "Здравствуйте, пароль придуман.\r\n".repeat(20);
    assert!(!is_told(&goes_on(60, b"RETR 1\r\n", cyrillic.as_bytes()), ROOM));
    assert!(is_told(&goes_on(60, b"RETR 1\r\n", &[0x17; 1000]), ROOM), "what is no text has its bound");
}
