//! Metrics as a monitoring system reads them: the same numbers as records and summary, the same series whatever
//! happened, nothing of the traffic but numbers, and a sensor that goes on whatever its port is sent.
//!
//! Where promtool, root or namespaces are missing the tests say so on standard error and pass, unless
//! `BAREWIRE_REQUIRE_ALL` is set.

#[allow(dead_code, reason = "what must be found is looked at elsewhere")]
#[path = "golden/script.rs"]
mod script;

#[cfg(all(feature = "live", target_os = "linux"))]
#[path = "bed/net.rs"]
mod net;

use barewire::testing::{Link, frames, snapped};
use script::Script;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const BAREWIRE: &str = env!("CARGO_BIN_EXE_barewire");
const ALL: [&str; 2] = ["--records", "findings,logins,sessions"];

type Series = BTreeMap<String, f64>;

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("metrics").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a scratch folder");
    folder
}

fn run(arguments: &[&str], files: &[&Path]) -> Output {
    let mut command = Command::new(BAREWIRE);
    command.args(arguments).args(files).stdin(Stdio::null()).output().expect("the program runs")
}

/// Records, summary and page of a replay.
fn replay(captures: &[PathBuf], name: &str, options: &[&str]) -> (Vec<Value>, String, String) {
    let page = scratch(name).join("page.prom");
    let place = page.display().to_string();
    let captures: Vec<&Path> = captures.iter().map(PathBuf::as_path).collect();
    let output = run(&[&["replay", "--metrics-file", &place], &ALL[..], options].concat(), &captures);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{captures:?}: {error}\n{said}"));
    (records(&output.stdout), said, text)
}

fn records(text: &[u8]) -> Vec<Value> {
    let lines = text.split(|&octet| octet == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).expect("a record")).collect()
}

fn series(page: &str) -> Series {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').expect("a value"))
        .map(|(name, value)| (name.to_owned(), value.parse().expect("a number")))
        .collect()
}

fn names(page: &str) -> BTreeSet<String> {
    series(page).into_keys().collect()
}

/// What the page of no mail at all has.
fn empty_page() -> String {
    let header = [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    let capture = scratch("empty").join("empty.pcap");
    fs::write(&capture, header).expect("a capture");
    replay(&[capture], "empty-page", &["--allow-empty"]).2
}

fn text(record: &Value, pointer: &str) -> String {
    match record.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        None => "none".to_owned(),
        Some(other) => other.to_string(),
    }
}

/// How the records say a connection was protected.
fn transport(session: &Value) -> &'static str {
    match (text(session, "/tls/established").as_str(), text(session, "/barewire/implicit_tls").as_str()) {
        ("true", "true") => "implicit_tls",
        ("true", _) => "starttls",
        ("false", "false" | "none") => "clear",
        _ => "unknown",
    }
}

/// What the page must say after these records: all series of three metrics that are not 0, findings without outcomes,
/// for a record tells one outcome of all.
fn expected(records: &[Value]) -> Series {
    let mut sums = Series::new();
    // Of a finding that was told several times the last line counts.
    let mut findings: BTreeMap<String, &Value> = BTreeMap::new();
    for record in records {
        let protocol = text(record, "/network/protocol");
        let mut add = |name: String| *sums.entry(name).or_default() += 1.0;
        match text(record, "/event/dataset").as_str() {
            "barewire.finding" => drop(findings.insert(text(record, "/event/id"), record)),
            "barewire.login" => {
                let outcome = text(record, "/barewire/login/outcome");
                add(format!("barewire_logins_total{{protocol=\"{protocol}\",outcome=\"{outcome}\"}}"));
            }
            _ => {
                let transport = transport(record);
                add(format!("barewire_sessions_total{{protocol=\"{protocol}\",transport=\"{transport}\"}}"));
                let coverage = text(record, "/barewire/coverage");
                if coverage != "complete" {
                    add(format!("barewire_unjudged_sessions_total{{reason=\"{coverage}\"}}"));
                }
            }
        }
    }
    for finding in findings.into_values() {
        let (rule, protocol) = (text(finding, "/event/action"), text(finding, "/network/protocol"));
        let count = finding.pointer("/barewire/count").and_then(Value::as_f64).expect("a count");
        *sums.entry(format!("findings {rule} {protocol}")).or_default() += count;
    }
    sums
}

fn told(page: &str) -> Series {
    let mut sums = Series::new();
    for (name, value) in series(page).into_iter().filter(|(_, value)| *value > 0.0) {
        if let Some(labels) = name.strip_prefix("barewire_findings_total{") {
            let values: Vec<&str> = labels.split('"').skip(1).step_by(2).collect();
            *sums.entry(format!("findings {} {}", values[0], values[1])).or_default() += value;
        } else if ["barewire_logins_", "barewire_sessions_", "barewire_unjudged_"]
            .iter()
            .any(|stem| name.starts_with(stem))
        {
            sums.insert(name, value);
        }
    }
    sums
}

/// The sum of a metric's series that have all these labels.
fn sum(page: &str, metric: &str, labels: &[&str]) -> f64 {
    let all = series(page).into_iter();
    let is_asked =
        |name: &str| name.split('{').next() == Some(metric) && labels.iter().all(|label| name.contains(label));
    all.filter(|(name, _)| is_asked(name)).map(|(_, value)| value).sum()
}

/// Of what the traffic named, nothing stands on the page.
fn nothing_captured_is_on(page: &str, records: &[Value]) {
    let mut words = BTreeSet::new();
    for record in records {
        for pointer in ["/user/name", "/source/ip", "/destination/ip", "/server/ip", "/client/ip", "/source/address"] {
            words.insert(text(record, pointer));
        }
    }
    words.remove("none");
    assert!(words.len() > 5, "{words:?}");
    let secrets = fs::read_to_string(root("tests/bed/users.tsv")).expect("the made-up accounts");
    words.extend(secrets.lines().flat_map(|row| row.split('\t').map(str::to_owned)).filter(|word| word.len() > 2));
    let values: BTreeSet<&str> = page.split(['"', ' ', '\n']).collect();
    for word in &words {
        assert!(!values.contains(word.as_str()), "{word}");
        assert!(!word.contains(['.', ':']) || !page.contains(word.as_str()), "{word}");
    }
}

/// What promtool has to say of a page; nothing is right. Where it is missing: loudly nothing.
fn linted(page: &str) {
    let path = format!("{}:/usr/local/bin:/usr/bin", std::env::var("PATH").unwrap_or_default());
    let is_there = path.split(':').any(|folder| Path::new(folder).join("promtool").is_file());
    if !is_there {
        let line = "SKIPPED metrics: promtool is not installed (Debian: prometheus)";
        assert!(std::env::var_os("BAREWIRE_REQUIRE_ALL").is_none(), "BAREWIRE_REQUIRE_ALL is set, but: {line}");
        writeln!(std::io::stderr(), "{line}").expect("standard error");
        return;
    }
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).env("PATH", path);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("promtool");
    child.stdin.take().expect("piped").write_all(page.as_bytes()).expect("the page is read");
    let output = child.wait_with_output().expect("an end");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn the_page_of_a_replay_says_what_records_and_summary_say() {
    let sample = root("testdata/office.pcap");
    for jobs in ["0", "3"] {
        let (records, summary, page) = replay(std::slice::from_ref(&sample), &format!("office-{jobs}"), &["-j", jobs]);
        assert_eq!(told(&page), expected(&records));
        let logins = sum(&page, "barewire_logins_total", &[]);
        let accepted = sum(&page, "barewire_logins_total", &["outcome=\"accepted\""]);
        let verdict = format!("{logins} logins crossed the wire in clear, {accepted} of them accepted.");
        assert!(summary.starts_with(&verdict), "{verdict}\n{summary}");
        let row = |name: &str| {
            let row = summary.lines().find_map(|line| line.trim().strip_prefix(name)).expect("a row");
            row.split_whitespace().map(|cell| cell.parse().expect("a number")).collect::<Vec<f64>>()
        };
        let of = |transport: &str| sum(&page, "barewire_sessions_total", &[&format!("transport=\"{transport}\"")]);
        let all = ["clear", "starttls", "implicit_tls", "unknown"].map(of);
        assert_eq!(row("all "), [&all[..], &[all.iter().sum()]].concat());
        assert_eq!(sum(&page, "barewire_sink_events_total", &["result=\"written\""]), records.len() as f64);
        assert_eq!(sum(&page, "barewire_capture_packets_total", &[]), 428.0);
        let times: Vec<f64> = records
            .iter()
            .filter(|record| text(record, "/event/action") == "cleartext-password")
            .filter_map(|record| record.pointer("/barewire/count")?.as_f64())
            .collect();
        // One finding may have several outcomes; each occurrence has its own.
        assert_eq!(sum(&page, "barewire_findings_total", &["rule=\"cleartext-password\""]), times.iter().sum::<f64>());
        assert_eq!(sum(&page, "barewire_findings_total", &["rule=\"cleartext-password\"", "\"accepted\""]), accepted);
        nothing_captured_is_on(&page, &records);
        linted(&page);
    }
}

#[test]
fn records_that_nobody_takes_are_not_counted_as_written() {
    let page = scratch("closed").join("page.prom");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = Command::new(BAREWIRE);
    command.args(["replay", "-q"]).args(ALL).arg("--metrics-file").arg(&page).arg(root("testdata/office.pcap"));
    assert_eq!(command.stdin(Stdio::null()).stdout(writer).status().expect("the program runs").code(), Some(0));
    let page = fs::read_to_string(&page).expect("a page");
    let (records, ..) = replay(&[root("testdata/office.pcap")], "taken", &[]);
    let became = |result: &str| sum(&page, "barewire_sink_events_total", &["sink=\"stdout\"", result]);
    assert_eq!(["written", "discarded", "failed"].map(became), [0.0, records.len() as f64, 0.0]);
}

#[test]
fn every_case_has_the_numbers_of_its_records_and_the_series_of_nothing() {
    let nothing = empty_page();
    linted(&nothing);
    assert!(nothing.len() < 100 * 1024, "{}", nothing.len());
    let mut cases = 0;
    for case in fs::read_dir(root("testdata/cases")).expect("the cases").flatten().map(|entry| entry.path()) {
        let listed = fs::read_dir(&case).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut captures: Vec<PathBuf> =
            listed.filter(|path| path.extension().is_some_and(|extension| extension == "pcap")).collect();
        let dialogue = [case.join("dialogue.txt"), case.join("expect.txt")].into_iter().find(|path| path.exists());
        let Some(dialogue) = dialogue else { continue };
        let script = Script::read(&dialogue);
        if captures.is_empty() {
            captures.push(scratch("case-capture").join("input.pcap"));
            let octets = snapped(&frames(&script.packets(1460), Link::Ethernet), script.snap);
            fs::write(&captures[0], octets).expect("a capture");
        }
        captures.sort();
        cases += 1;
        let mut options = vec!["-q", "-j", "0", "--allow-empty"];
        options.extend(script.options.iter().map(String::as_str));
        let (records, _, page) = replay(&captures, "case", &options);
        assert_eq!(told(&page), expected(&records), "{}", case.display());
        assert_eq!(names(&page), names(&nothing), "{}", case.display());
    }
    assert!(cases > 200, "the cases moved: {cases}");
}

#[test]
fn a_place_where_no_page_can_be_is_told_before_the_work() {
    let folder = scratch("refused");
    let capture = folder.join("copy.pcap");
    fs::copy(root("testdata/office.pcap"), &capture).expect("a copy");
    let place = |path: &str| folder.join(path).display().to_string();
    let [missing, itself, out] = ["no/such/page.prom", "copy.pcap", "out.ndjson"].map(place);
    for (options, status, hint) in [
        (vec!["--metrics-file", &missing], 5, "must be there and writable"),
        (vec!["--metrics-file", &itself], 2, "is an input or the output"),
        (vec!["--metrics-file", &out, "-o", &out], 2, "is an input or the output"),
        (vec!["--metrics-file", "/dev/null"], 2, "no regular file"),
    ] {
        let output = run(&[&["replay"], &options[..]].concat(), &[&capture]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), said.lines().count()), (Some(status), 1), "{options:?}: {said}");
        assert!(said.contains(hint) && said.contains("--metrics-file") && output.stdout.is_empty(), "{said}");
    }
    assert!(fs::read(&capture).expect("the copy") == fs::read(root("testdata/office.pcap")).expect("the sample"));
    let left: Vec<_> = fs::read_dir(&folder).expect("the folder").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["copy.pcap"], "nothing is left beside");
}

#[cfg(all(feature = "live", target_os = "linux"))]
#[path = "metrics/live.rs"]
mod live;
