//! Files of evidence hold the packets of their connection and none of its secrets: searched, octet by octet and direction by
//! direction, for every form of every secret of the bundled sample and of the cases, as they are, in pieces of one octet,
//! repeated and out of order; and opened by tshark, if it is there, without a complaint.
//!
//! The folder of the cases is named by `BAREWIRE_CORPUS`; what is missing is skipped, loudly, and fails where
//! `BAREWIRE_REQUIRE_ALL` is set.

#![allow(clippy::print_stderr, reason = "a skipped test must be loud")]

#[path = "../leak/forms.rs"]
mod forms;

use barewire::capture::{Access, FileSet};
use barewire::finding::Record;
use barewire::testing::{Link, Packet, Random, Transcript, frames, pcap, replay, shake};
use barewire::wire::decode;
use forms::{SHORTEST, contains, forms};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/office.pcap")
}

/// An empty folder's name: it is not there.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("evidence-{name}"));
    let _ = fs::remove_dir_all(&folder);
    folder
}

fn run(folder: &Path, captures: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barewire"));
    command.args(["replay", "--max-loss", "100", "--allow-empty", "--evidence"]).arg(folder).args(captures);
    command.output().expect("the program runs")
}

/// The files that the program writes for a capture.
fn evidence(folder: &Path, capture: &Path) -> Vec<PathBuf> {
    let output = run(folder, &[capture]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("it was made").flatten().map(|file| file.path()).collect();
    files.sort();
    files
}

/// All packets of a file that hold a segment.
fn packets(file: &Path) -> Vec<Packet> {
    let mut files = FileSet::open(&[file.to_owned()], Access::Read);
    let mut packets = Vec::new();
    while let Some(frame) = files.next_frame() {
        packets.extend(decode(&frame).map(|segment| Packet::from_segment(&segment, frame.at.time)));
    }
    assert_eq!(files.problems(), []);
    packets
}

/// What each end said, in the order of the capture, and all octets of the file.
fn texts(file: &Path) -> Vec<Vec<u8>> {
    let mut directions: BTreeMap<_, Vec<u8>> = BTreeMap::new();
    for packet in packets(file) {
        directions.entry((packet.source, packet.destination)).or_default().extend(&packet.payload);
    }
    directions.into_values().chain([fs::read(file).expect("a file")]).collect()
}

/// Whether any form of a secret stands in any of the texts.
fn holds(texts: &[Vec<u8>], secrets: &BTreeSet<Vec<u8>>) -> bool {
    secrets.iter().flat_map(|secret| forms(secret)).any(|form| texts.iter().any(|text| contains(text, &form)))
}

fn nothing_of(secrets: &BTreeSet<Vec<u8>>, files: &[PathBuf]) {
    for file in files {
        assert!(!holds(&texts(file), secrets), "a secret is in {}", file.display());
    }
}

/// The made-up passwords of the bundled sample.
fn secrets_of_the_sample() -> BTreeSet<Vec<u8>> {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bed/users.tsv");
    let table = fs::read_to_string(table).expect("users.tsv");
    let rows = table.lines().filter(|row| !row.starts_with('#'));
    rows.filter_map(|row| row.split('\t').nth(1)).map(|secret| secret.as_bytes().to_vec()).collect()
}

fn skipped(missing: &str) {
    assert!(std::env::var_os("BAREWIRE_REQUIRE_ALL").is_none(), "BAREWIRE_REQUIRE_ALL is set, but: {missing}");
    eprintln!("SKIPPED evidence: {missing}");
}

/// Each capture of the cases with its secrets.
fn cases() -> Vec<(PathBuf, BTreeSet<Vec<u8>>)> {
    let Some(corpus) = std::env::var_os("BAREWIRE_CORPUS").map(PathBuf::from) else {
        skipped("BAREWIRE_CORPUS does not name the folder");
        return Vec::new();
    };
    let table = fs::read_to_string(corpus.join("cases/cases.tsv")).expect("cases.tsv");
    let mut cases = Vec::new();
    for row in table.lines() {
        let mut columns = row.split('\t');
        let name = columns.next().unwrap_or_default();
        let secrets = columns.nth(1).unwrap_or_default().split('|').filter(|secret| secret.len() >= SHORTEST);
        let capture = corpus.join(format!("cases/{name}.pcap"));
        if capture.is_file() {
            cases.push((capture, secrets.map(|secret| secret.as_bytes().to_vec()).collect()));
        }
    }
    assert!(cases.len() >= 70, "the cases: {}", cases.len());
    cases
}

#[test]
fn each_finding_has_the_packets_of_its_connection_and_no_secret() {
    let (folder, secrets) = (scratch("sample"), secrets_of_the_sample());
    let files = evidence(&folder, &sample());
    assert!(secrets.len() >= 3 && files.len() >= 20, "{} files", files.len());
    nothing_of(&secrets, &files);
    // This test can fail: the same search finds them in the capture.
    assert!(holds(&texts(&sample()), &secrets));
    let (records, _) = replay(&[sample()]);
    let sessions: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            Record::Session(session) => Some((session.flow.start.time, session.flow.client, session.packets)),
            _ => None,
        })
        .collect();
    for file in &files {
        let packets = packets(file);
        let first = packets.first().expect("a packet");
        let is_own = |(time, client, _): &&(_, _, u64)| {
            *time == first.time && [first.source, first.destination].contains(client)
        };
        let (.., count) = sessions.iter().find(is_own).expect("its connection");
        assert_eq!(packets.len() as u64, *count, "{}", file.display());
    }
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&files[0])), (0o700, 0o600));
    // Once more: the same files with the same octets, and nothing beside them.
    let before = fs::read(&files[0]).expect("a file");
    fs::write(&files[0], "other").expect("written");
    assert_eq!(evidence(&folder, &sample()), files);
    assert_eq!(fs::read(&files[0]).expect("a file"), before);
}

#[test]
fn no_secret_of_the_cases_is_in_a_file() {
    let (mut written, mut shown) = (0, 0);
    for (capture, secrets) in cases() {
        let files = evidence(&scratch("cases"), &capture);
        nothing_of(&secrets, &files);
        written += files.len();
        shown += usize::from(holds(&texts(&capture), &secrets));
    }
    assert!(written == 0 || written > 100 && shown > 40, "{written} files; {shown} captures hold their secret");
}

#[test]
fn no_secret_is_in_a_file_however_its_packets_came() {
    let folder = scratch("shaken");
    let sample = (sample(), secrets_of_the_sample());
    for (number, (capture, secrets)) in cases().into_iter().step_by(4).chain([sample]).enumerate() {
        let mut random = Random::new(number as u64);
        let packets = packets(&capture);
        let pieces = shake::resegment(&packets, 1, &mut random);
        let repeated = shake::duplicate(&packets, 30, &mut random);
        let disordered = shake::reorder(&shake::resegment(&packets, 9, &mut random), 4, &mut random);
        for shaken in [pieces, repeated, disordered] {
            let file = folder.with_extension("pcap");
            fs::write(&file, pcap(&frames(&shaken, Link::Ethernet))).expect("a capture");
            let _ = fs::remove_dir_all(&folder);
            nothing_of(&secrets, &evidence(&folder, &file));
        }
    }
}

#[test]
fn tshark_opens_the_files_without_a_complaint() {
    if Command::new("tshark").arg("-v").output().is_err() {
        return skipped("there is no tshark");
    }
    // Of the cases some are not whole, some out of order, which is told as a warning; connections that were reset are, too.
    let wrong = "_ws.malformed or tcp.checksum.status == 0 or ip.checksum.status == 0";
    let complaint = format!("{wrong} or (_ws.expert.severity >= 0x600000 and not tcp.flags.reset == 1)");
    let complaints = |file: &Path, filter: &str| {
        let mut command = Command::new("tshark");
        // What is overwritten in base64 is base64 still.
        for preference in ["tcp.check_checksum:TRUE", "ip.check_checksum:TRUE", "smtp.decryption:TRUE"] {
            command.args(["-o", preference]);
        }
        command.args(["-Y", filter, "-r"]).arg(file);
        let output = command.output().expect("tshark runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    for file in evidence(&scratch("tshark"), &sample()) {
        let said = complaints(&file, &complaint);
        assert!(said.is_empty(), "{}: {}", file.display(), String::from_utf8_lossy(&said));
        assert!(!complaints(&file, "tcp").is_empty(), "there are packets, and it reads them");
    }
    for (capture, _) in cases().into_iter().step_by(4) {
        for file in evidence(&scratch("tshark-cases"), &capture) {
            let said = complaints(&file, wrong);
            assert!(said.is_empty(), "{}: {}", capture.display(), String::from_utf8_lossy(&said));
        }
    }
}

#[test]
fn what_cannot_be_read_twice_or_would_be_overwritten_is_refused() {
    let folder = scratch("refused");
    let output = run(&folder, &[Path::new("-")]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("--evidence reads the captures a second time, which standard input does not allow"),
        "{said}"
    );
    assert!(!folder.exists() && said.lines().count() == 1);
    fs::create_dir_all(&folder).expect("a folder");
    let capture = folder.join("own.pcap");
    fs::copy(sample(), &capture).expect("a copy");
    let output = run(&folder, &[&capture]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("is in that folder, whose files are replaced; name another folder"), "{said}");
    let output = run(&capture, &[&sample()]);
    assert_eq!(output.status.code(), Some(2), "a file is no folder");
    assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 1);
}

#[test]
fn a_long_connection_is_cut_and_that_is_told() {
    let login = "S: 220 ready\nC: EHLO a\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AGFteQBodW50ZXIy\nS: 235 ok\n".to_owned();
    let packets = Transcript::parse(25, &(login + &"C: NOOP\nS: 250 ok\n".repeat(6000))).play();
    let folder = scratch("long");
    let file = folder.with_extension("pcap");
    fs::write(&file, pcap(&frames(&packets, Link::Ethernet))).expect("a capture");
    let output = run(&folder, &[&file]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("are about connections of more than 10,000 packets"), "{said}");
    let files: Vec<_> = fs::read_dir(&folder).expect("a folder").flatten().map(|file| file.path()).collect();
    assert!(!files.is_empty() && files.iter().all(|file| self::packets(file).len() == 10_000));
}
