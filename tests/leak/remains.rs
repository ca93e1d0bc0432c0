//! Where secrets remain in the memory of a program that has used them.

use super::image::{Held, Place, found, skipped};
use super::scratch;
use barewire::testing::shake;
use barewire::testing::wrap::fragments;
use barewire::testing::{Captured, Link, Random, Transcript, pcap};
use barewire::wire::Endpoint;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Made up; the ninth is the key of the fingerprints.
const SECRETS: [&str; 9] = [
    "Kestrel-Harbor-91",
    "Kestrel-Meadow-92",
    "Kestrel-Tunnel-93",
    "Kestrel-Orchard-94",
    "Kestrel-Lantern-95",
    "Kestrel-Anchor-96",
    "Kestrel-Copper-97",
    "Kestrel-Window-98",
    "thirty-two octets of a test's key",
];

/// One login in each way in which a secret is taken apart.
fn dialogues() -> Vec<(u16, String)> {
    use base64::Engine as _;
    let encoded = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
    let plain = |secret: &str| encoded(format!("\0alice\0{secret}"));
    let bearer = encoded(format!("user=alice\u{1}auth=Bearer {}\u{1}\u{1}", SECRETS[5]));
    let imap = "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready";
    let smtp = "S: 220 mx.example ESMTP\nC: EHLO me.example\nS: 250-mx.example\nS: 250 AUTH PLAIN LOGIN XOAUTH2";
    vec![
        (110, format!("S: +OK ready\nC: USER alice\nS: +OK\nC: PASS {}\nS: +OK in\nC: QUIT\nS: +OK bye", SECRETS[0])),
        (143, format!("{imap}\nC: a1 LOGIN alice \"{}\"\nS: a1 OK in\nC: a2 LOGOUT\nS: * BYE\nS: a2 OK", SECRETS[1])),
        (
            143,
            format!(
                "{imap}\nC: a1 LOGIN alice {{17}}\nS: + go on\nC: {}\nS: a1 OK in\nC: a2 LOGOUT\nS: * BYE\nS: a2 OK",
                SECRETS[2]
            ),
        ),
        (587, format!("{smtp}\nC: AUTH PLAIN {}\nS: 235 in\nC: QUIT\nS: 221 bye", plain(SECRETS[3]))),
        (
            587,
            format!(
                "{smtp}\nC: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: YWxpY2U=\nS: 334 UGFzc3dvcmQ6\nC: {}\nS: 235 in\nC: QUIT\nS: 221 bye",
                encoded(SECRETS[4].to_owned())
            ),
        ),
        (587, format!("{smtp}\nC: AUTH XOAUTH2 {bearer}\nS: 235 in\nC: QUIT\nS: 221 bye")),
        (
            119,
            format!(
                "S: 200 ready\nC: AUTHINFO USER alice\nS: 381 more\nC: AUTHINFO PASS {}\nS: 281 in\nC: QUIT\nS: 205 bye",
                SECRETS[6]
            ),
        ),
        (
            143,
            format!(
                "{imap}\nC: a1 AUTHENTICATE PLAIN\nS: +\nC: {}\nS: a1 NO no\nC: a2 LOGOUT\nS: * BYE\nS: a2 OK",
                plain(SECRETS[7])
            ),
        ),
    ]
}

/// The ways in which a dialogue is sent.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    AsItIs,
    InDisorder,
    Repeated,
    InPieces,
    InFragments,
    WithoutEnd,
}

const CLOSED: [Shape; 5] = [Shape::AsItIs, Shape::InDisorder, Shape::Repeated, Shape::InPieces, Shape::InFragments];

/// A capture file of all dialogues in these shapes, and the octets of their frames, those that came in fragments whole.
fn capture(shapes: &[Shape]) -> (Vec<u8>, Vec<u8>) {
    let (mut frames, mut whole) = (Vec::new(), Vec::new());
    let mut random = Random::new(7);
    for (at, (port, text)) in dialogues().into_iter().enumerate() {
        for shape in shapes {
            let client =
                Endpoint { address: Endpoint::v4(0x0a09_0000 + at as u32 * 256 + *shape as u32), port: 40_000 };
            let server = Endpoint { address: Endpoint::v4(0x0a09_6301), port };
            let packets = Transcript::parse(port, &text).between(client, server).play();
            let packets = match shape {
                Shape::AsItIs | Shape::InFragments => packets,
                Shape::InDisorder => shake::reorder(&packets, 3, &mut random),
                Shape::Repeated => shake::duplicate(&packets, 60, &mut random),
                Shape::InPieces => shake::resegment(&packets, 3, &mut random),
                // The login's reply is there, or is not; the farewell is not.
                Shape::WithoutEnd => packets[..packets.len() - 6].to_vec(),
            };
            for (number, packet) in packets.iter().enumerate() {
                let octets = packet.octets(Link::Raw);
                whole.extend_from_slice(&octets);
                let parts = match shape {
                    Shape::InFragments => fragments(&octets, 24, (at * 64 + number) as u16),
                    _ => vec![octets],
                };
                let captured = |octets| Captured { time: packet.time, link_type: Link::Raw.link_type(), octets };
                frames.extend(parts.into_iter().map(captured));
            }
        }
    }
    // So much of no interest that no worker waits for its batch to be full.
    for at in 0..600 {
        let client = Endpoint { address: Endpoint::v4(0x0a0a_0000 + at), port: 40_000 };
        let packets =
            Transcript::new(80).between(client, Endpoint { address: Endpoint::v4(0x0a09_6301), port: 80 }).play();
        frames.extend(barewire::testing::frames(&packets, Link::Raw));
    }
    let file = pcap(&frames);
    (file.clone(), [file, whole].concat())
}

/// What was found in a place.
fn those(found: &[(Place, String)], wanted: Place) -> Vec<&str> {
    found.iter().filter(|(place, _)| *place == wanted).map(|(_, what)| what.as_str()).collect()
}

/// The key's file, and a file of the capture in each form.
fn written(name: &str, capture: &[u8]) -> (PathBuf, Vec<(PathBuf, Vec<u8>)>) {
    let folder = scratch(name);
    let key = folder.join("key");
    let _ = fs::remove_file(&key);
    fs::write(&key, &SECRETS[8].as_bytes()[..32]).expect("a key");
    fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).expect("its mode");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(capture).expect("compressed");
    let files = [
        ("plain.pcap", capture.to_vec()),
        ("capture.gz", gzip.finish().expect("compressed")),
        ("capture.zst", zstd::encode_all(capture, 1).expect("compressed")),
    ];
    for (name, octets) in &files {
        fs::write(folder.join(name), octets).expect("a capture");
    }
    (key, files.map(|(name, octets)| (folder.join(name), octets)).into())
}

fn replay(jobs: &str, key: &Path, file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barewire"));
    command.args(["replay", "-q", "--records", "logins", "-j", jobs]).arg("--fingerprint-key").arg(key).arg(file);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    command
}

fn secrets() -> Vec<&'static [u8]> {
    SECRETS.iter().map(|secret| &secret.as_bytes()[..secret.len().min(32)]).collect()
}

/// All that is left is the capture itself, where it is mapped.
#[test]
fn after_the_last_frame_no_secret_is_left() {
    if skipped() {
        return;
    }
    let (capture, frames) = capture(&[&CLOSED[..], &[Shape::WithoutEnd]].concat());
    let (key, files) = written("remains", &capture);
    for (file, _) in &files {
        for jobs in ["0", "2"] {
            let held = Held::at_its_end(&mut replay(jobs, &key, file));
            let found = found(held.id(), &frames, &secrets());
            assert_eq!(those(&found, Place::Apart), [""; 0], "{} -j {jobs}", file.display());
            assert_eq!(those(&found, Place::Frame), [""; 0], "{} -j {jobs}", file.display());
        }
    }
}

/// While it runs they stand in the frames that were read last, and nowhere else once their connection is over. What zstd
/// keeps of a block has lost its frames.
#[test]
fn while_it_runs_secrets_of_closed_connections_are_in_frames_only() {
    if skipped() {
        return;
    }
    let (capture, frames) = capture(&CLOSED);
    let (key, files) = written("remains-running", &capture);
    let mut in_frames = 0;
    for (file, octets) in &files {
        for jobs in ["0", "2"] {
            let held = Held::before_its_end(&mut replay(jobs, &key, Path::new("-")), octets);
            let found = found(held.id(), &frames, &secrets());
            let is_of_zstd = file.ends_with("capture.zst");
            let apart = those(&found, Place::Apart);
            assert!(is_of_zstd || apart.is_empty(), "{} -j {jobs}: {apart:#?}", file.display());
            in_frames += those(&found, Place::Frame).len();
        }
    }
    assert!(in_frames > 0, "the search finds what is there");
}

/// The search would find a copy: of a connection that is not over some are needed.
#[test]
fn while_a_connection_is_open_its_last_octets_are_held() {
    if skipped() {
        return;
    }
    let (capture, frames) = capture(&[Shape::WithoutEnd]);
    let (key, _) = written("remains-open", &capture);
    let held = Held::before_its_end(&mut replay("0", &key, Path::new("-")), &capture);
    assert!(!those(&found(held.id(), &frames, &secrets()), Place::Apart).is_empty());
}
