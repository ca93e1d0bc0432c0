//! Golden cases: a folder of `testdata/cases` each, with its story in README.md, the dialogue and what must be found in
//! `dialogue.txt` (by hand) or a capture in `input.pcap` with `expect.txt`, and every record in `expected.ndjson`
//! (`UPDATE=1` writes it anew).
//!
//! The program itself is run, inline and on one and three workers: the same octets. Through the library each dialogue is
//! also played in segments of 1 to 8 octets: the same findings and logins.

mod script;

use barewire::finding::{CATALOGUE, Record, severity_name};
use barewire::mail::Outcome;
use barewire::testing::{Link, Packet, collect, frames, run, shake, snapped};
use script::Script;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/cases")
}

fn cases() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).expect("the cases").flatten().map(|entry| entry.path());
    let mut cases: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    cases.sort();
    assert!(cases.len() >= 40, "only {} cases", cases.len());
    cases
}

fn name(case: &Path) -> String {
    case.file_name().expect("a name").to_string_lossy().into_owned()
}

fn script(case: &Path) -> Script {
    let dialogue = case.join("dialogue.txt");
    Script::read(&if dialogue.exists() { dialogue } else { case.join("expect.txt") })
}

/// What the program writes about the capture in `folder`.
fn program(folder: &Path, script: &Script, workers: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_barewire"))
        .current_dir(folder)
        .args(["replay", "-q", "--allow-empty", "--records", "findings,logins,sessions", "--max-loss", "100"])
        .args(["--fingerprint-key", "key", "-j", workers])
        .args(&script.options)
        .args(captures(folder).iter().map(|capture| capture.file_name().expect("a name")))
        .output()
        .expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("ASCII")
}

/// A folder with the case's capture and a key.
fn stage(case: &Path, script: &Script) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("golden").join(name(case));
    std::fs::create_dir_all(&folder).expect("a folder");
    let key = folder.join("key");
    std::fs::write(&key, "0b".repeat(32)).expect("a key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("a key of one's own");
    for capture in captures(case) {
        std::fs::copy(&capture, folder.join(capture.file_name().expect("a name"))).expect("a copy");
    }
    if case.join("dialogue.txt").exists() {
        let octets = snapped(&frames(&script.packets(1460), Link::Ethernet), script.snap);
        std::fs::write(folder.join("input.pcap"), octets).expect("a capture");
    }
    folder
}

/// The captures in a folder, by name.
fn captures(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path());
    let mut captures: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "pcap")).collect();
    captures.sort();
    captures
}

/// The words that a finding's line may be held to.
fn words(line: &Value) -> BTreeSet<String> {
    let own = &line["barewire"];
    let evidence = &own["evidence"];
    let single = [
        &own["severity"],
        &own["confidence"],
        &own["coverage"],
        &own["login"]["context"],
        &own["login"]["outcome"],
        &own["server"]["software"],
        &own["client"]["software"],
        &evidence["kind"],
        &evidence["timing"],
        &evidence["cause"],
        &evidence["path"],
    ];
    let also = evidence["also"].as_array().into_iter().flatten();
    let mut words: BTreeSet<String> =
        single.into_iter().chain(also).filter_map(Value::as_str).map(str::to_owned).collect();
    if evidence["server_reacted"] == true {
        words.insert("server-reacted".to_owned());
    }
    words.extend(own["count"].as_u64().map(|count| format!("x{count}")));
    words
}

fn fits(line: &Value, expected: &str) -> bool {
    let (id, wanted) = expected.split_once('{').unwrap_or((expected, ""));
    let words = words(line);
    line["event"]["action"] == id
        && wanted.trim_end_matches('}').split(',').filter(|word| !word.is_empty()).all(|word| words.contains(word))
}

fn judge(script: &Script, text: &str) -> Vec<String> {
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |dataset: &'static str| lines.iter().filter(move |line| line["event"]["dataset"] == dataset);
    let mut wrong = Vec::new();
    for expected in &script.findings {
        if !of("barewire.finding").any(|line| fits(line, expected)) {
            wrong.push(format!("missing {expected}"));
        }
    }
    for line in of("barewire.finding") {
        let is_listed = script.findings.iter().any(|expected| fits(line, expected));
        if !is_listed && line["barewire"]["severity"] != "info" {
            wrong.push(format!("not wanted {} {:?}", line["event"]["action"], words(line)));
        }
    }
    let login = |line: &Value| {
        let login = &line["barewire"]["login"];
        let outcome = login["outcome_reason"].as_str().or(login["outcome"].as_str()).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or("?").replace(' ', "_");
        format!(
            "{} {} {outcome} {}",
            text(&line["user"]["name"]),
            text(&login["mechanism"]),
            text(&login["secret_validity"])
        )
    };
    let logins: Vec<String> = of("barewire.login").map(login).collect();
    if logins != script.logins {
        wrong.push(format!("logins {logins:?}, expected {:?}", script.logins));
    }
    wrong
}

#[test]
fn every_case_is_judged_as_its_story_says() {
    let mut wrong = Vec::new();
    for case in cases() {
        let script = script(&case);
        let folder = stage(&case, &script);
        let text = program(&folder, &script, "0");
        for workers in ["1", "3"] {
            if program(&folder, &script, workers) != text {
                wrong.push(format!("{}: other octets on {workers} workers", name(&case)));
            }
        }
        wrong.extend(judge(&script, &text).into_iter().map(|what| format!("{}: {what}", name(&case))));
        let golden = case.join("expected.ndjson");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&golden, &text).expect("written");
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != text {
            wrong.push(format!("{}: other records than in expected.ndjson; UPDATE=1 writes it anew", name(&case)));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Findings and logins, told by what does not depend on where packets begin.
fn told(script: &Script, segment: usize) -> (BTreeSet<String>, Vec<String>) {
    let (records, _) = run(&script.packets(segment), Link::Ethernet);
    let findings = collect(&records).into_iter().map(|collected| {
        let finding = collected.finding;
        let evidence = finding.evidence.unwrap_or_default();
        let user = finding.user.as_ref().map_or("", |user| user.as_str());
        format!(
            "{} {} {} {:?} {:?} {user}",
            finding.id.name(),
            severity_name(finding.severity),
            finding.confidence.name(),
            evidence.kind,
            evidence.timing
        )
    });
    let mut logins: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            Record::Login(login) => Some(login),
            _ => None,
        })
        .map(|login| {
            let outcome = match login.outcome {
                Outcome::Unknown(reason) => reason.name(),
                known => known.name(),
            };
            let user = login.user.as_ref().map_or("?", |user| user.as_str());
            (login.flow.start, login.ordinal, format!("{user} {} {outcome}", login.mechanism.as_str()))
        })
        .collect();
    logins.sort();
    (findings.collect(), logins.into_iter().map(|(.., login)| login).collect())
}

#[test]
fn every_dialogue_says_the_same_however_it_is_cut() {
    let mut wrong = Vec::new();
    for case in cases().into_iter().filter(|case| case.join("dialogue.txt").exists()) {
        let script = script(&case);
        let whole = told(&script, 1460);
        for segment in 1..=8 {
            let cut = told(&script, segment);
            if cut != whole {
                wrong.push(format!("{} in segments of {segment}:\n  {cut:?}\n  {whole:?}", name(&case)));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Findings that stand where another does not, because something was lost that it rests on.
const WEAKER: [(&str, &[&str]); 7] = [
    ("starttls-not-offered", &["starttls-stripped"]),
    // What is listed after a login is no offer.
    ("starttls-offered-unused", &["starttls-stripped", "cleartext-password"]),
    // Without the request, 354 is known as the answer to DATA alone.
    ("cleartext-message-content", &["cleartext-after-starttls-refused"]),
    ("starttls-refused", &["cleartext-after-starttls-refused"]),
    ("tls-handshake-failed", &["tls-fallback-to-cleartext"]),
    ("starttls-offer-regressed", &["starttls-stripped"]),
    ("cleartext-username", &["cleartext-password", "crackable-auth-exchange"]),
];

/// The findings of packets above info, by name.
fn grave(packets: &[Packet]) -> BTreeSet<&'static str> {
    let (records, _) = run(packets, Link::Ethernet);
    let graver = collect(&records).into_iter().filter(|collected| collected.finding.severity > 1);
    graver.map(|collected| collected.finding.id.name()).collect()
}

#[test]
fn a_lost_packet_makes_nothing_up() {
    let mut wrong = Vec::new();
    for case in cases().into_iter().filter(|case| case.join("dialogue.txt").exists()) {
        let packets = script(&case).packets(1460);
        let mut whole = grave(&packets);
        for (weaker, stronger) in WEAKER {
            if stronger.iter().any(|id| whole.contains(id)) {
                whole.insert(weaker);
            }
        }
        for index in 0..packets.len() {
            for invented in grave(&shake::without(&packets, index)).difference(&whole) {
                wrong.push(format!("{} without packet {index}: {invented}", name(&case)));
            }
            // The capture begins there.
            for invented in grave(&packets[index..]).difference(&whole) {
                wrong.push(format!("{} from packet {index}: {invented}", name(&case)));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Passwords in the cases hold this word, so that it can be looked for.
const MARKS: [&str; 4] = ["Kestrel", "S2VzdHJlb", "tlc3RyZW", "LZXN0cmVs"];

#[test]
fn no_case_lets_its_passwords_out() {
    for case in cases() {
        let text = std::fs::read_to_string(case.join("expected.ndjson")).unwrap_or_default();
        for mark in MARKS {
            assert!(!text.contains(mark), "{}: {mark}", name(&case));
        }
    }
}

#[test]
fn every_finding_has_a_case_and_every_case_a_story() {
    let mut told = BTreeSet::new();
    for case in cases() {
        let story = std::fs::read_to_string(case.join("README.md")).unwrap_or_default();
        assert!(story.starts_with("# ") && story.len() > 100, "{} has no story", name(&case));
        told.extend(script(&case).findings.iter().map(|id| id.split('{').next().unwrap_or(id).to_owned()));
    }
    let missing: Vec<&str> = CATALOGUE.iter().map(|entry| entry.name).filter(|name| !told.contains(*name)).collect();
    assert!(missing.is_empty(), "no case shows {missing:?}");
}
