//! Handshakes recorded from OpenSSL and made by hand: what each shows, however the octets are cut.

mod dialogue;

use super::hello::testing::{client_hello, uint16s, vector};
use super::{
    CertificateFacts, ClientHello, NO_SUITE, Progress, Watch, looks_like_client_hello, looks_like_record, version_name,
};
use crate::limits::{CERTIFICATE_OCTETS, HELLO_OCTETS, TLS_TAIL_OCTETS};
use crate::mail::framing::Input;
use crate::mail::{Observation, Out, Text, TlsFailure, TlsStep};
use crate::stream::{Direction, Mark};
use Direction::{ToClient, ToServer};
use proptest::prelude::*;

/// Flights in the order in which they were sent.
type Flights = Vec<(Direction, Vec<u8>)>;

macro_rules! recorded {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../testdata/tls/", $name, ".hex")))),*]
    };
}

const RECORDED: &[(&str, &str)] = recorded![
    "tls10",
    "tls11",
    "tls12-rsa",
    "tls12-server-first",
    "tls12-chain",
    "tls12-resumed",
    "tls12-ecdsa",
    "tls12-anon",
    "tls12-null",
    "tls13",
    "tls13-hello-retry",
    "tls12-unknown-ca",
    "tls13-unknown-ca",
    "protocol-version",
    "handshake-failure",
    "sslv2-hello",
];

fn text(name: &str) -> &'static str {
    RECORDED.iter().find(|(its_name, _)| *its_name == name).expect(name).1
}

fn recorded(name: &str) -> Flights {
    let mut flights = Flights::new();
    for line in text(name).lines().filter(|line| !line.starts_with('#')) {
        let (side, digits) = line.split_at(2);
        match side {
            "C " => flights.push((ToServer, Vec::new())),
            "S " => flights.push((ToClient, Vec::new())),
            _ => {}
        }
        let octet = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal");
        flights.last_mut().expect("a side").1.extend((0..digits.len()).step_by(2).map(octet));
    }
    flights
}

fn steps_of(out: &mut Out) -> Vec<TlsStep> {
    let steps = out.drain().map(|(_, observation)| match observation {
        Observation::Tls(step) => step,
        _ => panic!("TLS shows nothing but TLS"),
    });
    steps.collect()
}

/// Each flight cut into pieces of that size. Every octet is sent with all before it seen.
fn play(flights: &[(Direction, Vec<u8>)], size: usize, mut watch: Watch) -> (Vec<TlsStep>, Progress) {
    let mut out = Out::default();
    let mut ends = [0, 0];
    let mut progress = Progress::Open;
    for (direction, octets) in flights {
        for piece in octets.chunks(size) {
            if progress != Progress::Open {
                break;
            }
            let mark = Mark { seen: Some(ends[direction.other().index()]), ..Mark::default() };
            let mut input = Input { octets: piece, offset: ends[direction.index()], mark };
            progress = watch.read(*direction, &mut input, &mut out);
            ends[direction.index()] += piece.len() as u64;
        }
    }
    (steps_of(&mut out), progress)
}

/// The steps without what is said of hello and certificate: `begins hello 0303:c02f certificate established`.
fn told(steps: &[TlsStep]) -> String {
    let words = steps.iter().map(|step| match step {
        TlsStep::ClientHelloBegins => "begins".to_owned(),
        TlsStep::ClientHello(_) => "hello".to_owned(),
        TlsStep::ServerHello { version, cipher } => format!("{version:04x}:{cipher:04x}"),
        TlsStep::Certificate(_) => "certificate".to_owned(),
        TlsStep::Established => "established".to_owned(),
        TlsStep::ServerSpokeFirst => "server-first".to_owned(),
        TlsStep::Failed { by, cause } => {
            let by = if *by == ToServer { "client" } else { "server" };
            match cause {
                TlsFailure::Alert(name) => format!("{by}:{name}"),
                TlsFailure::NonTlsResponse => format!("{by}:non-tls-response"),
            }
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn check_flights(flights: &[(Direction, Vec<u8>)], expected: &str, ends: Progress) {
    for size in (1..=8).chain([1 << 20]) {
        let (steps, progress) = play(flights, size, Watch::default());
        assert_eq!((told(&steps).as_str(), progress), (expected, ends), "in pieces of {size}");
    }
}

fn check(name: &str, expected: &str, ends: Progress) {
    check_flights(&recorded(name), expected, ends);
}

#[test]
fn handshakes_that_come_about() {
    check("tls10", "begins hello 0301:c014 certificate established", Progress::Closed);
    check("tls11", "begins hello 0302:002f certificate established", Progress::Closed);
    check("tls12-rsa", "begins hello 0303:c02f certificate established", Progress::Closed);
    check("tls12-chain", "begins hello 0303:c02f certificate established", Progress::Closed);
    check("tls12-resumed", "begins hello 0303:c02f established", Progress::Closed);
    check("tls12-ecdsa", "begins hello 0303:cca9 certificate established", Progress::Closed);
    check("tls12-anon", "begins hello 0303:c018 established", Progress::Closed);
    check("tls12-null", "begins hello 0303:003b certificate established", Progress::Closed);
    check("tls13", "begins hello 0304:1302 established", Progress::Closed);
    check("tls13-hello-retry", "begins hello 0304:1302 established", Progress::Closed);
}

#[test]
fn handshakes_that_fail() {
    check("tls12-unknown-ca", "begins hello 0303:c030 certificate client:unknown_ca", Progress::Failed);
    check("tls13-unknown-ca", "begins hello 0304:1302 client:unknown_ca", Progress::Failed);
    check("protocol-version", "begins hello server:protocol_version", Progress::Failed);
    check("handshake-failure", "begins hello server:handshake_failure", Progress::Failed);
}

#[test]
fn a_server_that_speaks_first_is_told_after_starttls_only() {
    check("tls12-server-first", "begins hello 0303:c02f certificate established server-first", Progress::Closed);
    let (steps, progress) = play(&recorded("tls12-server-first"), 7, Watch::implicit());
    assert_eq!((told(&steps).as_str(), progress), ("begins hello 0303:c02f certificate established", Progress::Closed));
}

#[test]
fn a_server_that_answers_has_not_spoken_first() {
    let mut flights = recorded("tls12-rsa");
    let answer = flights.len() - 1;
    let mut watch = Watch::default();
    let mut out = Out::default();
    let client: u64 = flights.iter().filter(|(side, _)| *side == ToServer).map(|(_, octets)| octets.len() as u64).sum();
    flights.swap(answer - 1, answer);
    for (direction, octets) in flights {
        // The capture has the answer before what it answers, which its sender had seen all the same.
        let mark = Mark { seen: Some(client), ..Mark::default() };
        watch.read(direction, &mut Input { octets: &octets, offset: 0, mark }, &mut out);
    }
    assert_eq!(told(&steps_of(&mut out)), "begins hello 0303:c02f certificate established");
}

fn hello_of(name: &str) -> ClientHello {
    let (steps, _) = play(&recorded(name), 1, Watch::default());
    let hello = steps.into_iter().find_map(|step| match step {
        TlsStep::ClientHello(hello) => Some(*hello),
        _ => None,
    });
    hello.expect("a hello")
}

/// What the script that recorded the handshake found out by itself.
fn noted(name: &str, what: &str) -> Option<&'static str> {
    text(name).lines().find_map(|line| line.strip_prefix("# ")?.strip_prefix(what)?.strip_prefix(' '))
}

#[test]
fn hellos_are_read() {
    for (name, _) in RECORDED {
        assert_eq!(hello_of(name).ja4.as_deref(), noted(name, "ja4"), "{name}");
    }
    let shown = |name| {
        let hello = hello_of(name);
        (hello.version, hello.server_name.map(|name| name.as_str().to_owned()), hello.is_sslv2)
    };
    let asked = Some("mail.example".to_owned());
    assert_eq!(shown("tls13"), (0x0304, asked.clone(), false));
    assert_eq!(shown("tls13-hello-retry"), (0x0304, asked.clone(), false));
    assert_eq!(shown("tls12-ecdsa"), (0x0303, None, false));
    assert_eq!(shown("protocol-version"), (0x0302, asked, false));
    assert_eq!(shown("sslv2-hello"), (0x0303, None, true));
}

#[test]
fn a_server_answers_a_hello_of_sslv2s_form_in_tls() {
    check("sslv2-hello", "begins hello 0303:009c certificate", Progress::Open);
}

fn certificate_of(name: &str) -> Option<CertificateFacts> {
    let (steps, _) = play(&recorded(name), 1, Watch::default());
    steps.into_iter().find_map(|step| match step {
        TlsStep::Certificate(facts) => Some(*facts),
        _ => None,
    })
}

#[test]
fn certificates_are_read() {
    for (name, _) in RECORDED {
        let digits =
            |facts: CertificateFacts| facts.sha256.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
        assert_eq!(certificate_of(name).map(digits).as_deref(), noted(name, "leaf"), "{name}");
    }
    let facts = certificate_of("tls12-rsa").expect("a certificate");
    assert_eq!(facts.subject.as_str(), "CN=mail.example,O=Example Mail,C=DE");
    assert_eq!((facts.not_before, facts.not_after), (1_767_225_600, 2_082_758_400));
    let names: Vec<_> = facts.names.iter().map(Text::as_str).collect();
    assert_eq!(names, ["mail.example", "imap.example", "192.0.2.25", "2001:db8::25"]);
    assert_eq!((facts.key, facts.key_bits, facts.signature), ("rsa", 2048, "sha256WithRSA"));
    assert_eq!((facts.is_self_signed, facts.chain_len), (true, 1));
    let facts = certificate_of("tls12-ecdsa").expect("a certificate");
    assert_eq!((facts.key, facts.key_bits, facts.signature), ("ec", 256, "ecdsa-with-SHA256"));
    let facts = certificate_of("tls12-chain").expect("a certificate");
    assert_eq!(
        (facts.subject.as_str(), facts.issuer.as_str()),
        ("CN=old.example", "CN=Example Issuing CA,O=Example Mail")
    );
    assert_eq!((facts.key, facts.key_bits, facts.signature), ("rsa", 1024, "sha1WithRSA"));
    assert_eq!((facts.is_self_signed, facts.chain_len, facts.not_after), (false, 2, 1_583_064_000));
}

#[test]
fn a_certificate_is_read_however_the_server_cuts_its_records() {
    let mut flights = recorded("tls12-rsa");
    let mut messages = Vec::new();
    let mut rest = &flights[1].1[..];
    while let [_, _, _, high, low, content @ ..] = rest {
        let (content, after) = content.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        messages.extend_from_slice(content);
        rest = after;
    }
    // All messages in one record, and each over many.
    for size in [1 << 14, 300, 7, 1] {
        flights[1].1 = messages.chunks(size).flat_map(|part| record(22, part)).collect();
        check_flights(&flights, "begins hello 0303:c02f certificate established", Progress::Closed);
    }
}

#[test]
fn a_certificate_message_that_is_too_long_is_left_out() {
    let message = [&[11][..], &vector(3, &vec![0; CERTIFICATE_OCTETS + 1])].concat();
    let records: Vec<u8> = message.chunks(16384).flat_map(|part| record(22, part)).collect();
    let done = record(22, &[14, 0, 0, 0]);
    let server = [server_hello(0xc02f, None), records, done].concat();
    check_flights(&[(ToServer, hello()), (ToClient, server)], "begins hello 0303:c02f", Progress::Open);
}

/// A record of TLS 1.2.
fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &vector(2, content)].concat()
}

fn alert(level: u8, description: u8) -> Vec<u8> {
    record(21, &[level, description])
}

fn hello() -> Vec<u8> {
    record(22, &[&[1][..], &vector(3, &client_hello(&[0xc02f], &[]))].concat())
}

/// A ServerHello of the version that the extension names, or 1.2.
fn server_hello(suite: u16, version: Option<u16>) -> Vec<u8> {
    let extension = version.map(|version| [vec![0, 43], vector(2, &uint16s(&[version]))].concat());
    let extensions = vector(2, &extension.unwrap_or_default());
    let body = [vec![3, 3], vec![9; 32], vec![0], uint16s(&[suite]), vec![0], extensions].concat();
    record(22, &[&[2][..], &vector(3, &body)].concat())
}

#[test]
fn only_fatal_alerts_in_clear_end_a_handshake() {
    for harmless in [alert(1, 112), alert(1, 0), alert(2, 0), alert(1, 100), record(21, &[7; 26])] {
        let flights = [(ToServer, hello()), (ToClient, harmless), (ToClient, server_hello(0xc02f, None))];
        check_flights(&flights, "begins hello 0303:c02f", Progress::Open);
    }
    let refused = |octets| [(ToServer, hello()), (ToClient, octets)];
    check_flights(&refused(alert(2, 112)), "begins hello server:unrecognized_name", Progress::Failed);
    check_flights(&refused(alert(2, 201)), "begins hello server:unknown", Progress::Failed);
    // Older versions allow an alert in two records.
    let halves = [record(21, &[2]), record(21, &[40])].concat();
    check_flights(&refused(halves), "begins hello server:handshake_failure", Progress::Failed);
    // Without any hello: a listener that missed it.
    check_flights(&[(ToClient, alert(2, 80))], "server:internal_error", Progress::Failed);
}

#[test]
fn an_alert_in_clear_is_one_after_the_keys_changed_too() {
    let mut flights = recorded("tls12-unknown-ca");
    flights.pop();
    let changed = [record(20, &[1]), record(22, &[5; 40])].concat();
    flights.push((ToServer, [changed.clone(), record(21, &[2; 26])].concat()));
    flights.push((ToClient, alert(2, 20)));
    check_flights(&flights, "begins hello 0303:c030 certificate server:bad_record_mac", Progress::Failed);
    flights.pop();
    flights.push((ToClient, [changed, alert(2, 20)].concat()));
    check_flights(&flights, "begins hello 0303:c030 certificate established server:bad_record_mac", Progress::Closed);
}

#[test]
fn a_client_of_tls13_that_gives_up_under_encryption_is_told_by_the_length() {
    for (suite, len) in [(0x1301, 19), (0x1305, 11)] {
        let server = [server_hello(suite, Some(0x0304)), record(23, &[8; 700])].concat();
        let mut flights = vec![(ToServer, hello()), (ToClient, server)];
        flights.push((ToServer, [record(20, &[1]), record(23, &vec![6; len])].concat()));
        let expected = format!("begins hello 0304:{suite:04x} client:encrypted");
        check_flights(&flights, &expected, Progress::Closed);
        flights[2].1 = record(23, &vec![6; len + 34]);
        check_flights(&flights, &format!("begins hello 0304:{suite:04x} established"), Progress::Closed);
    }
}

#[test]
fn a_server_that_answers_in_clear_refuses() {
    for answer in [&b"* OK ready\r\n"[..], b"5", b"-ERR", b"\x00", b"\x80\x03\x00\x00\x01"] {
        let flights = [(ToServer, hello()), (ToClient, answer.to_vec())];
        check_flights(&flights, "begins hello server:non-tls-response", Progress::Failed);
        let crossing = [(ToClient, answer.to_vec()), (ToServer, hello())];
        check_flights(&crossing, "begins hello server:non-tls-response", Progress::Failed);
    }
    let server = [server_hello(0xc02f, None), b"oops".to_vec()].concat();
    check_flights(&[(ToServer, hello()), (ToClient, server)], "begins hello 0303:c02f", Progress::Closed);
    check_flights(&[(ToServer, [hello(), b"oops".to_vec()].concat())], "begins hello", Progress::Closed);
}

#[test]
fn a_hello_that_cannot_be_read_is_given_up_once() {
    let silent = |flights: &[(Direction, Vec<u8>)]| {
        check_flights(flights, "begins hello 0303:c02f", Progress::Open);
        let (steps, _) = play(flights, 5, Watch::default());
        assert!(steps.contains(&TlsStep::ClientHello(Box::default())));
    };
    let answer = (ToClient, server_hello(0xc02f, None));
    let too_long = [&[1][..], &vector(3, &vec![0; HELLO_OCTETS + 1])].concat();
    let records: Vec<u8> = too_long.chunks(16384).flat_map(|part| record(22, part)).collect();
    silent(&[(ToServer, records), answer.clone()]);
    silent(&[(ToServer, record(22, &[16, 0, 0, 1, 7])), answer.clone()]);
    silent(&[(ToServer, record(22, &[1, 0, 0, 3, 3, 3, 0])), answer]);
}

#[test]
fn a_hello_over_many_records_is_read() {
    let whole = [&[1][..], &vector(3, &client_hello(&[0xc02f, 0x1301], &[]))].concat();
    for size in [1, 2, 40] {
        let records = whole.chunks(size).flat_map(|part| record(22, part)).collect();
        let (steps, _) = play(&[(ToServer, records)], 3, Watch::default());
        assert!(matches!(&steps[1], TlsStep::ClientHello(hello) if hello.version == 0x0303), "records of {size}");
    }
}

/// The same handshake, where `lost` octets of a flight from `at` on were not captured.
fn play_with_loss(name: &str, flight: usize, at: usize, lost: usize) -> (String, Progress) {
    let mut watch = Watch::default();
    let mut out = Out::default();
    let mut progress = Progress::Open;
    for (index, (direction, octets)) in recorded(name).iter().enumerate() {
        let (before, after) =
            if index == flight { (&octets[..at], &octets[at + lost..]) } else { (&octets[..], &[][..]) };
        for piece in [before, after] {
            let mut input = Input { octets: piece, offset: 0, mark: Mark::default() };
            progress = watch.read(*direction, &mut input, &mut out);
            if index == flight && std::ptr::eq(piece, before) {
                watch.lose(*direction, lost as u64);
            }
        }
    }
    (told(&steps_of(&mut out)), progress)
}

#[test]
fn what_is_lost_inside_a_record_is_left_out() {
    let whole = "begins hello 0303:c02f certificate established";
    assert_eq!(play_with_loss("tls12-rsa", 0, 40, 20), (whole.to_owned(), Progress::Closed));
    let hidden = "begins hello 0303:c02f established";
    assert_eq!(play_with_loss("tls12-rsa", 1, 300, 200), (hidden.to_owned(), Progress::Closed));
    assert_eq!(play_with_loss("tls12-rsa", 1, 20, 10), ("begins hello".to_owned(), Progress::Open));
    assert_eq!(play_with_loss("tls12-rsa", 1, 3, 10), ("begins hello".to_owned(), Progress::Closed));
}

#[test]
fn sslv2_is_followed() {
    let client = [&[0x80, 28, 1, 0, 2, 0, 3, 0, 0, 0, 16, 1, 0, 128][..], &[7; 16]].concat();
    let server = [0x80, 17, 4, 0, 1, 0, 2, 0, 2, 0, 3, 0, 1, 8, 9, 1, 0, 128, 5].to_vec();
    let flights = [
        (ToServer, client.clone()),
        (ToClient, server),
        (ToServer, [&[0x80, 3, 2, 1, 2][..], &[0, 4, 1, 9, 9, 9, 9]].concat()),
        (ToClient, vec![0x00, 3, 0, 7, 7, 7]),
    ];
    let expected = format!("begins hello 0002:{NO_SUITE:04x} established");
    check_flights(&flights, &expected, Progress::Closed);
    let error = [(ToServer, client.clone()), (ToClient, vec![0x80, 3, 0, 0, 1])];
    check_flights(&error, "begins hello server:handshake_failure", Progress::Failed);
    let other = [(ToServer, client), (ToClient, vec![0x80, 3, 9, 0, 1])];
    check_flights(&other, "begins hello server:non-tls-response", Progress::Failed);
}

#[test]
fn the_wait_for_application_data_is_bounded() {
    let mut flights = recorded("tls12-rsa");
    flights.truncate(flights.len() - 2);
    let (_, progress) = play(&flights, 1 << 20, Watch::default());
    assert_eq!(progress, Progress::Open);
    let heartbeats = record(24, &[0; 16000]).repeat(TLS_TAIL_OCTETS as usize / 16000 + 1);
    flights.push((ToClient, heartbeats));
    check_flights(&flights, "begins hello 0303:c02f certificate established", Progress::Closed);
}

#[test]
fn the_first_octets_tell_a_hello_from_text() {
    for (name, _) in RECORDED {
        let flights = recorded(name);
        assert!((1..flights[0].1.len()).all(|len| looks_like_client_hello(&flights[0].1[..len])), "{name}");
        assert!((1..flights[1].1.len()).all(|len| looks_like_record(&flights[1].1[..len])), "{name}");
    }
    let no_hellos: [&[u8]; 10] = [
        b"EHLO me",
        b"\x16\x02",
        b"\x16\x03\x01\x02\x00\x02",
        b"\x80 text",
        b"\xc3\xa4rger",
        b"\x80\x2e\x01\x02",
        b"\x80\x2e\x01\x03\x01\x00\x10",
        b"\x80\x2e\x01\x03\x01\x00\x15\x00\x01",
        b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x0f",
        b"\x80\x2f\x01\x03\x01\x00\x15\x00\x00\x00\x10",
    ];
    for octets in no_hellos {
        assert!(!looks_like_client_hello(octets), "{octets:?}");
    }
}

#[test]
fn versions_have_names() {
    let names = [0x0002, 0x0300, 0x0301, 0x0302, 0x0303, 0x0304, 0x7f1c].map(version_name);
    assert_eq!(names, ["SSL 2.0", "SSL 3.0", "TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3", "unknown"]);
}

/// A recorded handshake with some octets changed, cut out or put in.
fn mutated() -> impl Strategy<Value = Flights> {
    let change = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4u8, any::<u8>());
    (0..RECORDED.len(), prop::collection::vec(change, 1..6)).prop_map(|(which, changes)| {
        let mut flights = recorded(RECORDED[which].0);
        for (flight, at, what, octet) in changes {
            let (_, octets) = flight.get_mut(&mut flights);
            let at = at.index(octets.len().max(1));
            match what {
                0 if at < octets.len() => octets[at] = octet,
                1 if at < octets.len() => octets[at] ^= 1 << (octet % 8),
                2 => octets.truncate(at),
                _ => octets.insert(at.min(octets.len()), octet),
            }
        }
        flights
    })
}

proptest! {
    #[test]
    fn mutated_handshakes_are_the_same_wherever_cut(flights in mutated(), size in 1..9usize) {
        let whole = play(&flights, 1 << 20, Watch::default());
        prop_assert_eq!(play(&flights, size, Watch::default()), whole);
    }

    #[test]
    fn any_octets_can_be_looked_at(octets in any::<Vec<u8>>(), first in 0x7f..0x86u8) {
        let hello = [&[first, 0x2e, 1, 3, 1], &octets[..]].concat();
        prop_assert!(!looks_like_client_hello(&hello) || looks_like_client_hello(&hello[..1 + octets.len() % 11]));
        let _ = (looks_like_client_hello(&octets), looks_like_record(&octets));
    }

    #[test]
    fn no_octets_do_harm(turns in prop::collection::vec((any::<bool>(), any::<Vec<u8>>(), 0..9u64), 0..12)) {
        let mut watch = Watch::default();
        let mut out = Out::default();
        for (is_client, octets, lost) in turns {
            let direction = if is_client { ToServer } else { ToClient };
            watch.read(direction, &mut Input { octets: &octets, offset: 0, mark: Mark::default() }, &mut out);
            if lost < 4 {
                watch.lose(direction, lost);
            }
        }
    }
}
