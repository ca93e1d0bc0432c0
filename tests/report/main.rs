//! `barewire report`: pages say what the records say, hold what strangers wrote as text only, and take bounded memory.
//!
//! `UPDATE=1` writes the pages of the bundled capture anew. A million records, all different, and what they took:
//!
//! ```text
//! BAREWIRE_REPORT_RECORDS=1000000 cargo test --release --test report -- --nocapture
//! ```
//!
//! The page in a browser needs node, Chromium and two packages, and says so on standard error where they are missing:
//!
//! ```text
//! npm install --no-package-lock --prefix tests/report
//! BAREWIRE_REQUIRE_BROWSER=1 cargo test --test report
//! ```

#![allow(clippy::print_stderr, reason = "what is left out, and what was measured, is told")]

#[path = "../bed/browser.rs"]
mod bed;
mod browser;
mod made;
mod memory;
mod page;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn scratch(name: &str, content: &[u8]) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).expect("a scratch file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    path
}

/// Runs the program where the repository is, with `input` on standard input.
fn barewire(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_barewire"))
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut to = child.stdin.take().expect("standard input");
    let input = input.to_vec();
    // A program that refuses does not read.
    let writer = std::thread::spawn(move || drop(to.write_all(&input)));
    let output = child.wait_with_output().expect("an end");
    writer.join().expect("written");
    output
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// A page of records on standard input, which had nothing to complain of.
fn report(format: &str, records: &[u8]) -> String {
    let output = barewire(&["report", "--format", format, "-"], records);
    assert_eq!((output.status.code(), told(&output).as_str()), (Some(0), ""));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// All records of the bundled capture.
fn office() -> Vec<u8> {
    let key = scratch("report.key", KEY.as_bytes());
    let key = key.to_str().expect("UTF-8");
    let all = "findings,logins,sessions";
    let output = barewire(&["replay", "-q", "--fingerprint-key", key, "--records", all, "testdata/office.pcap"], b"");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    output.stdout
}

fn values(records: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(records).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
}

#[test]
fn the_pages_of_the_bundled_capture_are_as_they_were() {
    let records = office();
    for format in ["md", "csv"] {
        let page = report(format, &records);
        let golden = root().join(format!("tests/report/office.{format}"));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&golden, &page).expect("written");
        }
        let kept = std::fs::read_to_string(&golden).unwrap_or_default();
        assert!(kept == page, "UPDATE=1 writes {} anew", golden.display());
    }
}

/// The tables of a page in Markdown, by their captions; cells as they stand there.
fn tables(page: &str) -> BTreeMap<String, Vec<Vec<String>>> {
    let mut tables = BTreeMap::new();
    let mut caption = String::new();
    for line in page.lines() {
        if let Some(text) = line.strip_prefix("**").and_then(|text| text.strip_suffix("**")) {
            caption = text.to_owned();
        } else if let Some(row) = line.strip_prefix("| ") {
            let cells = row.trim_end_matches(" |").split(" | ").map(str::to_owned).collect();
            tables.entry(caption.clone()).or_insert_with(Vec::<Vec<String>>::new).push(cells);
        }
    }
    // The head and the rule below it.
    tables.values_mut().for_each(|rows| drop(rows.drain(..2)));
    tables
}

fn number(text: &str) -> u64 {
    text.replace(',', "").parse().unwrap_or_else(|_| panic!("a number: {text}"))
}

/// What the numbers of a page must be, counted from the records by other means.
struct Truth {
    /// Distinct and times by the name of a finding.
    findings: BTreeMap<String, (u64, u64)>,
    outcomes: BTreeMap<String, u64>,
    /// In clear, STARTTLS, implicit TLS by protocol.
    sessions: BTreeMap<String, [u64; 3]>,
    accounts: BTreeSet<String>,
    disclosures: u64,
    servers: BTreeSet<String>,
}

impl Truth {
    fn of(records: &[u8]) -> Self {
        let mut truth = Self {
            findings: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            sessions: BTreeMap::new(),
            accounts: BTreeSet::new(),
            disclosures: 0,
            servers: BTreeSet::new(),
        };
        for value in values(records) {
            let text = |place: &str| value.pointer(place).and_then(Value::as_str).unwrap_or_default().to_owned();
            match text("/event/dataset").as_str() {
                "barewire.finding" => {
                    let counts = truth.findings.entry(text("/event/action")).or_default();
                    counts.0 += 1;
                    counts.1 += value["barewire"]["count"].as_u64().expect("a count");
                    if text("/event/action") != "credential-reuse" && !text("/server/ip").is_empty() {
                        truth.servers.insert(format!("{}:{}", text("/server/ip"), value["server"]["port"]));
                    }
                }
                "barewire.login" => {
                    *truth.outcomes.entry(text("/barewire/login/outcome")).or_default() += 1;
                    truth.disclosures += 1;
                    truth.accounts.insert(text("/user/name"));
                }
                _ => {
                    let kind = match (&value["tls"]["established"], &value["barewire"]["implicit_tls"]) {
                        (Value::Bool(true), Value::Bool(true)) => 2,
                        (Value::Bool(true), _) => 1,
                        _ => 0,
                    };
                    truth.sessions.entry(text("/network/protocol")).or_default()[kind] += 1;
                }
            }
        }
        truth
    }
}

#[test]
fn the_numbers_of_a_page_are_those_of_the_records() {
    let records = office();
    let truth = Truth::of(&records);
    let page = report("md", &records);
    let tables = tables(&page);
    let kinds = &tables["Findings by kind"];
    let findings: BTreeMap<String, (u64, u64)> =
        kinds.iter().map(|row| (row[1].trim_matches('`').to_owned(), (number(&row[3]), number(&row[4])))).collect();
    assert_eq!(findings, truth.findings);
    let outcomes = &tables["Logins in clear, by what the server made of them"];
    assert_eq!(
        outcomes.iter().map(|row| (row[0].clone(), number(&row[1]))).collect::<BTreeMap<_, _>>(),
        truth.outcomes
    );
    let sessions = &tables["Sessions by protocol"];
    let counts = |row: &Vec<String>| [number(&row[1]), number(&row[2]), number(&row[3])];
    let shown: BTreeMap<String, [u64; 3]> =
        sessions.iter().filter(|row| row[0] != "All").map(|row| (row[0].to_lowercase(), counts(row))).collect();
    assert_eq!(shown, truth.sessions);
    let accounts = &tables["Accounts whose secret passed in clear"];
    assert_eq!(accounts.iter().map(|row| row[0].clone()).collect::<BTreeSet<_>>(), truth.accounts);
    assert_eq!(accounts.iter().map(|row| number(&row[1])).sum::<u64>(), truth.disclosures);
    let servers = &tables["Servers to change, those first whose change ends most of what was seen"];
    let named = |row: &Vec<String>| row[1].split("<br>").next().expect("an address").to_owned();
    assert_eq!(servers.iter().map(named).collect::<BTreeSet<_>>(), truth.servers);
    assert_eq!(servers.iter().map(|row| number(&row[4])).sum::<u64>(), truth.disclosures);
    assert!(page.contains(&format!("- **{}** credentials sent in clear", truth.disclosures)));
    assert!(page.contains(&format!("- **{}** accounts exposed", truth.accounts.len())));
    let flow = &tables["Sessions that began in clear, by what became of STARTTLS"];
    let began: u64 = truth.sessions.values().map(|of| of[0] + of[1]).sum();
    assert_eq!(flow.iter().map(|row| number(&row[4])).sum::<u64>(), began);
}

#[test]
fn order_and_repetition_of_records_change_nothing() {
    let records = office();
    let page = report("md", &records);
    let mut lines: Vec<&[u8]> = records.split_inclusive(|octet| *octet == b'\n').collect();
    lines.reverse();
    assert!(report("md", &lines.concat()) == page);
    lines.swap(3, 40);
    lines.swap(0, 60);
    assert!(report("md", &lines.concat()) == page);
    let twice = report("md", &[records.clone(), lines.concat()].concat());
    let without_inputs = |page: &str| {
        let is_of_input =
            |line: &&str| line.starts_with("| standard input") || line.contains("under the same event.id");
        page.lines().filter(|line| !is_of_input(line) && !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(twice.contains("- 71 records: there before under the same event.id"));
    assert!(without_inputs(&twice) == without_inputs(&page), "{twice}");
}

#[test]
fn a_finding_told_again_counts_by_its_highest_count() {
    let finding = |count: u64, severity: &str, last: &str| {
        let time = format!("2026-11-24T23:0{last}:00.000000Z");
        serde_json::json!({
            "@timestamp": time,
            "event": { "id": "AAAA", "dataset": "barewire.finding", "action": "cleartext-password" },
            "server": { "ip": "10.0.0.1", "port": 143 }, "client": { "ip": "10.0.0.2" }, "user": { "name": "alice" },
            "network": { "protocol": "imap" },
            "barewire": { "count": count, "severity": severity, "last_seen": time },
        })
        .to_string()
            + "\n"
    };
    let [one, five, three] = [finding(1, "high", "1"), finding(5, "critical", "5"), finding(3, "high", "3")];
    for order in [[&one, &five, &three], [&five, &three, &one], [&three, &one, &five]] {
        let page = report("md", order.map(String::as_str).concat().as_bytes());
        let tables = tables(&page);
        assert!(page.contains("- **5** credentials sent in clear"), "{page}");
        assert_eq!(tables["Findings by kind"][0][2..], ["critical", "1", "5"]);
        let severities: Vec<&str> = tables["Distinct findings by severity"].iter().map(|row| row[1].as_str()).collect();
        assert_eq!(severities, ["1", "0", "0", "0", "0"]);
        assert!(page.contains("2026-11-24 23:05:00 UTC"));
    }
}

#[test]
fn what_was_not_given_is_said_first() {
    let records = office();
    let of = |dataset: &str| {
        let lines = records.split_inclusive(|octet| *octet == b'\n');
        let name = format!("\"dataset\":\"barewire.{dataset}\"");
        let named = |line: &&[u8]| std::str::from_utf8(line).expect("text").contains(&name);
        lines.filter(named).collect::<Vec<_>>().concat()
    };
    let first = |page: &str| page.split("## Headline numbers").next().expect("a chapter").to_owned();
    for (given, missing) in [("finding", ["logins", "sessions"]), ("login", ["findings", "sessions"])] {
        let page = report("md", &of(given));
        let coverage = first(&page);
        for kind in missing {
            assert!(coverage.contains(&format!("No {kind} are in the input")), "{coverage}");
        }
        assert!(coverage.contains("is not known from these records alone"));
        assert!(page.contains("- **13** credentials sent in clear"), "each of them tells how many");
        assert!(page.contains("- **–** sessions under TLS"), "not 100 %");
        assert!(page.contains("| 1 | 10.77.0.1:143<br>IMAP |"), "{given} alone make a worklist");
    }
    let page = report("html", &of("session"));
    assert!(!page.contains("<div class=\"good\">"), "nothing that was not asked for is good news");
    let coverage = first(&report("md", &of("session")));
    assert!(coverage.contains("No findings are in the input"), "{coverage}");
    assert!(!first(&report("md", &records)).contains("are in the input"));
}

#[test]
fn lines_that_are_no_records_are_counted_and_told_in_one_line() {
    let mut lines = office();
    lines.extend(b"\n\n{\"event\":{\"dataset\":\"zeek.conn\"}}\nnot json\n\xff\xfe\x00\n");
    lines.extend([vec![b'['; 300_000], b"\n".to_vec()].concat());
    lines.extend(br#"{"@timestamp":"2026-11-24T23"#);
    let output = barewire(&["report", "--format", "md", "-"], &lines);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        told(&output),
        "barewire: warning: standard input: 5 of 76 lines left out: 3 damaged or no JSON, 1 no records of barewire in \
         ECS form, 1 too long\n"
    );
    let page = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(page.contains("| standard input | 76 | 41 | 13 | 17 | 5 |"), "{page}");
}

#[test]
fn what_cannot_be_done_is_told_with_its_remedy() {
    let refused = |arguments: &[&str], input: &[u8]| {
        let output = barewire(&[&["report"], arguments].concat(), input);
        assert!(output.stdout.is_empty());
        let told = told(&output);
        let errors: Vec<&str> = told.lines().filter(|line| line.starts_with("barewire: error: ")).collect();
        assert_eq!(errors.len(), 1, "{told}");
        (output.status.code().expect("a status"), errors[0].to_owned())
    };
    for garbage in [b"".as_slice(), b"{}\n", b"\0\0\0\n\xff"] {
        let (status, line) = refused(&["-"], garbage);
        assert_eq!(status, 3);
        assert!(line.contains("barewire replay --records findings,logins,sessions"), "{line}");
    }
    let (status, line) = refused(&["/nowhere/findings.ndjson"], b"");
    assert!(status == 3 && line.contains("/nowhere/findings.ndjson"), "{line}");
    let (status, line) = refused(&["testdata/office.pcap"], b"");
    assert!(status == 3 && line.contains("testdata/office.pcap"), "a capture is no file of records: {line}");
    let records = scratch("report-own.ndjson", &office());
    let own = records.to_str().expect("UTF-8");
    let (status, line) = refused(&[own, "-o", own], b"");
    assert!(status == 2 && line.contains("name another file"), "{line}");
    assert_eq!(std::fs::read(&records).expect("still there"), office());
    let (status, line) = refused(&[own, "-o", "/nowhere/page.html"], b"");
    assert!((2..=5).contains(&status) && line.contains("/nowhere"), "{line}");
}

#[test]
fn compressed_records_are_read_and_half_a_file_counts_as_far_as_it_goes() {
    let records = office();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&records).expect("memory");
    let gzip = gzip.finish().expect("memory");
    let zstd = zstd::encode_all(records.as_slice(), 1).expect("memory");
    let page = report("csv", &records);
    for (name, octets) in [("report.ndjson.gz", &gzip), ("report.ndjson.zst", &zstd)] {
        let path = scratch(name, octets);
        let output = barewire(&["report", "--format", "csv", path.to_str().expect("UTF-8")], b"");
        assert_eq!(
            (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()),
            (Some(0), page.clone())
        );
    }
    // Ten times as much, so that some is whole before the end.
    let many = zstd::encode_all(records.repeat(40).as_slice(), 1).expect("memory");
    let half = scratch("report-half.ndjson.zst", &many[..many.len() - 8]);
    let output = barewire(&["report", "--format", "md", half.to_str().expect("UTF-8")], b"");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(told(&output).contains("read in part only"), "{}", told(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("read in part only"));
}
