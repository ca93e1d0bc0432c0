//! The program as it is typed: exit status, messages, formats, the same bytes for any number of workers.

#[path = "bed/program.rs"]
mod program;

use barewire::testing::{Link, Transcript, frames, pcap};
use program::barewire;
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn root(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string()
}

fn sample() -> String {
    root("testdata/office.pcap")
}

fn scratch(name: &str, content: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).expect("a scratch file");
    path
}

fn status(output: &Output) -> i32 {
    output.status.code().expect("an exit status")
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn records(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
}

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn key_file(name: &str, mode: u32) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = scratch(name, KEY.as_bytes());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    path
}

#[test]
fn findings_are_the_default_and_reach_no_failure() {
    let output = barewire(&["replay", &sample()]);
    assert_eq!(status(&output), 0, "{}", told(&output));
    let records = records(&output);
    assert!(records.len() > 10);
    assert!(records.iter().all(|record| record["event"]["dataset"] == "barewire.finding"));
    assert!(told(&output).contains("logins crossed the wire in clear"), "{}", told(&output));
}

#[test]
fn every_record_obeys_the_schema() {
    let output = barewire(&["replay", "-q", "--records", "findings,logins,sessions", &sample()]);
    let schema: Value = serde_json::from_slice(&barewire(&["schema"]).stdout).expect("the schema");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for record in records(&output) {
        let errors: Vec<String> = validator.iter_errors(&record).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{record}: {errors:?}");
    }
    assert!(output.stdout.is_ascii());
    assert!(output.stdout.split(|&octet| octet == b'\n').all(|line| line.len() <= 6000));
    assert!(output.stderr.is_empty(), "quiet is quiet");
}

#[test]
fn records_are_the_same_bytes_for_any_number_of_workers_and_in_time_order() {
    let key = key_file("workers.key", 0o600);
    let run = |jobs: &str| {
        let key = key.display().to_string();
        let all = "findings,logins,sessions";
        barewire(&["replay", "-q", "-j", jobs, "--fingerprint-key", &key, "--records", all, &sample()])
    };
    let inline = run("0");
    for jobs in ["1", "2", "3", "7"] {
        assert!(run(jobs).stdout == inline.stdout, "-j {jobs} differs from -j 0");
    }
    let times: Vec<String> = records(&inline).iter().map(|record| record["@timestamp"].to_string()).collect();
    assert!(times.is_sorted());
}

#[test]
fn one_key_gives_one_fingerprint_and_the_fingerprint_command_agrees() {
    let key = key_file("agree.key", 0o600).display().to_string();
    let output = barewire(&["replay", "-q", "--fingerprint-key", &key, "--records", "logins", &sample()]);
    let alice = records(&output).into_iter().find(|record| record["user"]["name"] == "alice").expect("alice");
    let secret = std::fs::read_to_string(root("tests/bed/users.tsv")).expect("users.tsv");
    let secret = secret.lines().find_map(|row| row.strip_prefix("alice\t")).expect("alice's made-up password");
    let mut child = Command::new(env!("CARGO_BIN_EXE_barewire"))
        .args(["fingerprint", "--key", &key])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    writeln!(child.stdin.take().expect("standard input"), "{secret}").expect("written");
    let printed = child.wait_with_output().expect("an end").stdout;
    assert_eq!(alice["barewire"]["login"]["fingerprint"], String::from_utf8(printed).expect("text").trim_end());
}

#[test]
fn a_key_that_others_can_read_is_refused_with_the_remedy() {
    let key = key_file("open.key", 0o644).display().to_string();
    let output = barewire(&["replay", "--fingerprint-key", &key, &sample()]);
    assert_eq!(status(&output), 2);
    assert!(told(&output).contains("chmod 600") && told(&output).lines().count() == 1, "{}", told(&output));
    let short = scratch("short.key", b"too short");
    let _ = std::fs::set_permissions(&short, std::os::unix::fs::PermissionsExt::from_mode(0o600));
    let output = barewire(&["replay", "--fingerprint-key", &short.display().to_string(), &sample()]);
    assert_eq!(status(&output), 2);
    assert!(told(&output).contains("32 octets or 64 hexadecimal digits"), "{}", told(&output));
}

#[test]
fn findings_at_the_bound_make_status_1() {
    assert_eq!(status(&barewire(&["replay", "-q", "--fail-on", "high", &sample()])), 1);
    assert_eq!(status(&barewire(&["replay", "-q", "--fail-on", "critical", &sample()])), 0);
}

#[test]
fn wrong_usage_is_status_2() {
    assert_eq!(status(&barewire(&["replay"])), 2);
    assert_eq!(status(&barewire(&["replay", "--no-such-option", &sample()])), 2);
    let ports = barewire(&["replay", "--ports", "gopher=70", &sample()]);
    assert_eq!(status(&ports), 2);
    assert!(told(&ports).contains("pop3, imap, smtp"), "{}", told(&ports));
    let explain = barewire(&["explain", "no-such-finding"]);
    assert_eq!(status(&explain), 2);
    assert!(told(&explain).contains("'barewire explain' lists them"), "{}", told(&explain));
}

#[test]
fn a_file_that_is_not_there_is_status_3_and_named_while_the_others_are_judged() {
    let output = barewire(&["replay", "no-such-file.pcap", &sample()]);
    assert_eq!(status(&output), 3);
    assert!(told(&output).contains("no-such-file.pcap"), "{}", told(&output));
    assert!(!records(&output).is_empty());
}

#[test]
fn a_capture_without_mail_is_status_3_unless_allowed() {
    let header = [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    let empty = scratch("empty.pcap", &header).display().to_string();
    assert_eq!(status(&barewire(&["replay", "-q", &empty])), 3);
    assert_eq!(status(&barewire(&["replay", "-q", "--allow-empty", &empty])), 0);
}

#[test]
fn a_cut_file_is_judged_to_its_last_packet_and_is_status_4() {
    let whole = std::fs::read(sample()).expect("the sample");
    let cut = scratch("cut.pcap", &whole[..whole.len() - 7]).display().to_string();
    let output = barewire(&["replay", &cut]);
    assert_eq!(status(&output), 4);
    assert!(told(&output).contains("cut.pcap: at octet "), "{}", told(&output));
    assert!(records(&output).len() > 10);
}

#[test]
fn a_record_of_4_gib_is_told_in_one_line_and_not_believed() {
    let whole = std::fs::read(sample()).expect("the sample");
    let lying = [&whole[..], &[0; 8], &[0xff; 8]].concat();
    let path = scratch("lying.pcap", &lying).display().to_string();
    let output = barewire(&["replay", "-q", &path]);
    assert_eq!(status(&output), 4);
    let problem = told(&output);
    assert_eq!(problem.lines().count(), 1, "{problem}");
    assert!(
        problem.contains("4294967295 octets") && problem.contains(&format!("at octet {}", whole.len())),
        "{problem}"
    );
}

#[test]
fn a_link_type_that_is_not_read_is_named() {
    let mut capture = std::fs::read(sample()).expect("the sample");
    capture[20..24].copy_from_slice(&249_u32.to_le_bytes());
    let path = scratch("usb.pcap", &capture).display().to_string();
    let output = barewire(&["replay", &path]);
    assert_eq!(status(&output), 3);
    let summary = told(&output);
    assert!(summary.contains("link type 249 (USBPcap) is not read: 428 frames"), "{summary}");
}

#[test]
fn standard_input_and_compressed_files_give_the_same_records() {
    let key = key_file("forms.key", 0o600).display().to_string();
    let plain = std::fs::read(sample()).expect("the sample");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).expect("compressed");
    let names = |output: &Output| {
        let ids = records(output).into_iter().map(|record| record["event"]["id"].to_string());
        ids.collect::<Vec<_>>()
    };
    let whole =
        barewire(&["replay", "-q", "--fingerprint-key", &key, "--records", "findings,logins,sessions", &sample()]);
    let forms = [
        ("any-name.bin", gzip.finish().expect("compressed")),
        ("any-other.bin", zstd::encode_all(&plain[..], 1).expect("compressed")),
    ];
    for (name, octets) in forms {
        let path = scratch(name, &octets).display().to_string();
        let output =
            barewire(&["replay", "-q", "--fingerprint-key", &key, "--records", "findings,logins,sessions", &path]);
        assert_eq!(names(&output), names(&whole), "{name}");
    }
    let child = Command::new(env!("CARGO_BIN_EXE_barewire"))
        .args(["replay", "-q", "--records", "findings,logins,sessions", "-"])
        .stdin(std::fs::File::open(sample()).expect("the sample"))
        .output()
        .expect("the program runs");
    assert_eq!(names(&child), names(&whole));
}

#[test]
fn a_connection_goes_on_from_one_file_to_the_next() {
    let whole = std::fs::read(sample()).expect("the sample");
    let mut at = 24;
    for _ in 0..200 {
        at += 16 + u32::from_le_bytes(whole[at + 8..at + 12].try_into().expect("four octets")) as usize;
    }
    let first = scratch("first.pcap", &whole[..at]).display().to_string();
    let second = scratch("second.pcap", &[&whole[..24], &whole[at..]].concat()).display().to_string();
    let ids = |output: &Output| {
        records(output).into_iter().map(|record| record["event"]["id"].to_string()).collect::<Vec<_>>()
    };
    let all = "findings,logins,sessions";
    let one = barewire(&["replay", "-q", "--records", all, &sample()]);
    for order in [[&first, &second], [&second, &first]] {
        let two = barewire(&["replay", "-q", "--records", all, order[0], order[1]]);
        assert_eq!(ids(&two), ids(&one), "identities depend on content, not on the split");
    }
}

#[test]
fn records_go_to_a_file_when_asked() {
    let path = scratch("out.ndjson", b"left from an earlier run");
    let output = barewire(&["replay", "-q", "-o", &path.display().to_string(), &sample()]);
    assert!(output.stdout.is_empty());
    let written = std::fs::read_to_string(&path).expect("records");
    assert!(written.lines().count() > 10 && !written.contains("earlier run"));
    let output = barewire(&["replay", "-q", "-o", "no/such/folder/out.ndjson", &sample()]);
    assert_eq!(status(&output), 5);
    assert!(told(&output).contains("no/such/folder/out.ndjson"), "{}", told(&output));
}

#[test]
fn a_closed_pipe_is_success() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_barewire"))
        .args(["replay", "--records", "findings,logins,sessions", &sample()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program runs");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}

#[test]
fn help_and_generated_files_are_there() {
    let help = barewire(&["replay", "--help"]);
    assert_eq!(status(&help), 0);
    let text = String::from_utf8(help.stdout).expect("text");
    assert!(["--records", "--fail-on", "--fingerprint-key"].iter().all(|option| text.contains(option)), "{text}");
    for what in ["bash", "zsh", "fish", "man"] {
        assert!(barewire(&["--generate", what]).stdout.len() > 500, "{what}");
    }
}

#[test]
fn every_finding_is_explained() {
    let list = String::from_utf8(barewire(&["explain"]).stdout).expect("text");
    for entry in &barewire::finding::CATALOGUE {
        assert!(list.contains(entry.name));
        let text = String::from_utf8(barewire(&["explain", entry.name]).stdout).expect("text");
        assert!(text.contains("Proof it needs") && text.lines().all(|line| line.len() <= 140), "{text}");
    }
}

#[test]
fn an_output_that_is_an_input_is_refused_and_untouched() {
    let copy = scratch("evidence.pcap", &std::fs::read(sample()).expect("the sample")).display().to_string();
    let output = barewire(&["replay", &copy, "-o", &copy]);
    assert_eq!(status(&output), 2, "{}", told(&output));
    assert!(std::fs::read(&copy).expect("the copy") == std::fs::read(sample()).expect("the sample"));
    let kept = scratch("kept.ndjson", b"an earlier run").display().to_string();
    assert_eq!(status(&barewire(&["replay", "no-such-file.pcap", "-o", &kept])), 3);
    assert_eq!(std::fs::read(&kept).expect("the file"), b"an earlier run");
}

#[test]
fn the_page_of_findings_is_what_explain_prints() {
    let page = root("docs/findings.md");
    let printed = String::from_utf8(barewire(&["explain", "--markdown"]).stdout).expect("text");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&page, &printed).expect("written");
    }
    assert!(std::fs::read_to_string(&page).unwrap_or_default() == printed, "UPDATE=1 writes docs/findings.md anew");
}

#[test]
fn the_page_of_metrics_is_made_from_their_list() {
    let page = root("docs/metrics.md");
    let made = barewire::ops::metrics::markdown();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&page, &made).expect("written");
    }
    assert!(std::fs::read_to_string(&page).unwrap_or_default() == made, "UPDATE=1 writes docs/metrics.md anew");
}

#[test]
fn what_the_operator_says_wrong_is_one_line_that_names_it() {
    let list = scratch("not-digests.txt", b"\nhunter2\n");
    let list = format!("--weak-secrets={}", list.display());
    for (option, hint) in [
        ("--trusted-segments=10.0.0.0/33", "ADDRESS/BITS"),
        ("--tls-ports=imap=x", "no port"),
        (&list, "line 2"),
        ("--weak-secrets=/nonexistent/list", "/nonexistent/list"),
    ] {
        let output = barewire(&["replay", option, &sample()]);
        assert_eq!(status(&output), 2, "{option}");
        assert!(told(&output).contains(hint), "{option}: {}", told(&output));
        assert!(!told(&output).contains("hunter2"), "what a list holds may be a password");
    }
}

#[test]
fn other_ports_are_looked_at_unless_asked_not_to() {
    let text = "S: +OK ready\nC: USER bob\nS: +OK\nC: PASS made-up\nS: +OK in";
    let file = scratch("elsewhere.pcap", &pcap(&frames(&Transcript::parse(4711, text).play(), Link::Ethernet)));
    let file = file.display().to_string();
    assert_eq!(records(&barewire(&["replay", "--records=logins", &file])).len(), 1);
    let only = barewire(&["replay", "--records=logins", "--mail-ports-only", &file]);
    assert_eq!((status(&only), records(&only).len()), (3, 0));
    assert!(told(&only).contains("packets on other ports were not looked at"), "{}", told(&only));
    let named = ["replay", "--records=logins", "--mail-ports-only", "--ports=pop3=4711", &file];
    assert_eq!(records(&barewire(&named)).len(), 1);
}

#[test]
fn a_listed_password_is_weak_and_stays_unwritten() {
    // SHA-256 of a password in the sample; made up, as all of them.
    let secrets = std::fs::read_to_string(root("tests/bed/users.tsv")).expect("the made-up accounts");
    let password =
        secrets.lines().filter_map(|line| line.split('\t').nth(1)).next_back().expect("a password").to_owned();
    use sha2::{Digest as _, Sha256};
    let digest: String = Sha256::digest(&password).iter().map(|octet| format!("{octet:02x}")).collect();
    let list = scratch("digests.txt", format!("{digest} in a list\n").as_bytes());
    let output = barewire(&["replay", &format!("--weak-secrets={}", list.display()), &sample()]);
    let weak: Vec<Value> =
        records(&output).into_iter().filter(|line| line["event"]["action"] == "weak-secret").collect();
    assert!(!weak.is_empty() && weak.iter().all(|line| line["barewire"]["evidence"]["kind"] == "listed"), "{weak:?}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains(&password));
}

#[test]
fn colours_are_used_when_they_are_wanted() {
    let escapes = |colour: &str| {
        let output = barewire(&["replay", "--color", colour, &root("testdata/office.pcap")]);
        told(&output).contains("\u{1b}[1m")
    };
    assert!(escapes("always"));
    assert!(!escapes("never") && !escapes("auto"), "no terminal");
}

/// The first thing that anybody sees of the program is what it prints.
#[test]
fn the_sample_of_the_readme_is_what_the_program_prints() {
    let readme = std::fs::read_to_string(root("README.md")).expect("the README");
    let (_, sample) =
        readme.split_once("$ barewire replay testdata/office.pcap > findings.ndjson\n").expect("the sample");
    let (sample, _) = sample.split_once("```").expect("its end");
    let printed = told(&barewire(&["replay", &root("testdata/office.pcap")]));
    assert!(printed.starts_with(sample), "{printed}");
}
