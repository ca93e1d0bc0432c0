//! `barewire correlate`: what sensors that each see a part say together is what one says that saw everything.

#[path = "bed/records.rs"]
mod records;

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

/// A folder for one test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("bw-correlate-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("a file");
        path
    }

    /// A key that only its owner can read.
    fn key(&self, letter: char) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.write(&format!("key-{letter}"), letter.to_string().repeat(64));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn barewire(arguments: &[&str], files: &[PathBuf]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barewire"));
    command.args(arguments).args(files).stdin(Stdio::null()).output().expect("barewire")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn parsed(lines: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(lines).expect("ASCII");
    text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
}

fn replay(capture: &Path, key: &Path, sensor: &str, kinds: &str) -> Vec<u8> {
    let arguments = ["replay", "-q", "--sensor", sensor, "--records", kinds, "--fingerprint-key"];
    let output = barewire(&arguments, &[key.to_owned(), capture.to_owned()]);
    assert!(output.status.success(), "{}", said(&output));
    output.stdout
}

const ALL: &str = "findings,logins,sessions";

/// A capture (little endian, Ethernet, IPv4) in parts: one for each server of these, and the rest.
fn by_server(capture: &Path, servers: &[[u8; 4]]) -> Vec<Vec<u8>> {
    let octets = std::fs::read(capture).expect("a capture");
    let mut parts = vec![octets[..24].to_vec(); servers.len() + 1];
    let mut at = 24;
    while at < octets.len() {
        let length: [u8; 4] = octets[at + 8..at + 12].try_into().expect("a length");
        let end = at + 16 + u32::from_le_bytes(length) as usize;
        let frame = &octets[at + 16..end];
        let is_of = |server: &[u8; 4]| frame[26..30] == *server || frame[30..34] == *server;
        let part = servers.iter().position(is_of).unwrap_or(servers.len());
        parts[part].extend_from_slice(&octets[at..end]);
        at = end;
    }
    parts
}

/// What of a finding does not depend on which packet of which sensor stands for it.
fn essence(finding: &Value) -> Value {
    json!({
        "id": finding["event"]["id"], "severity": finding["event"]["severity"], "message": finding["message"],
        "server": finding["server"], "evidence": finding["barewire"]["evidence"], "time": finding["@timestamp"],
        "confidence": finding["barewire"]["confidence"], "count": finding["barewire"]["count"],
    })
}

fn reuse(lines: &[u8]) -> BTreeMap<String, Value> {
    let is_reuse = |record: &Value| record["event"]["action"] == "credential-reuse";
    let pair = |record: Value| (record["event"]["id"].as_str().expect("an identity").to_owned(), essence(&record));
    parsed(lines).into_iter().filter(is_reuse).map(pair).collect()
}

#[test]
fn sensors_that_see_one_server_each_say_together_what_one_says_that_sees_all() {
    let (folder, capture) = (Folder::new("parts"), records::root("testdata/office.pcap"));
    let key = folder.key('a');
    let whole = reuse(&replay(&capture, &key, "all", ALL));
    let servers = [[10, 77, 0, 11], [10, 77, 0, 12]];
    let mut files = Vec::new();
    let mut told = BTreeMap::new();
    for (at, part) in by_server(&capture, &servers).into_iter().enumerate() {
        let part = folder.write(&format!("{at}.pcap"), part);
        let lines = replay(&part, &key, &format!("tap-{at}"), ALL);
        told.extend(reuse(&lines));
        files.push(folder.write(&format!("{at}.ndjson"), lines));
    }
    let output = barewire(&["correlate"], &files);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let found = reuse(&output.stdout);
    let wanted: BTreeMap<_, _> = whole.clone().into_iter().filter(|(id, one)| told.get(id) != Some(one)).collect();
    assert!(!wanted.is_empty() && wanted.len() < whole.len(), "some is known to one sensor, and not all: {whole:#?}");
    assert_eq!(found, wanted);
    assert_eq!(parsed(&output.stdout).len(), found.len(), "nothing else is told");
    assert!(said(&output).contains("of 3 sensors"), "{}", said(&output));

    files.reverse();
    let again = barewire(&["correlate"], &files);
    assert_eq!(again.stdout, output.stdout, "the order of the files does not matter");
    let twice: Vec<PathBuf> = files.iter().chain(&files).cloned().collect();
    assert_eq!(barewire(&["correlate"], &twice).stdout, output.stdout, "nor how often they come");
    let with_own = folder.write("own.ndjson", &output.stdout);
    files.push(with_own);
    let none = barewire(&["correlate", "--fail-on", "info"], &files);
    assert_eq!((none.stdout.len(), none.status.code()), (0, Some(0)), "what was told is not told again");
}

#[test]
fn compressed_files_and_standard_input_are_read_alike() {
    let (folder, capture) = (Folder::new("forms"), records::root("testdata/office.pcap"));
    let lines = replay(&capture, &folder.key('a'), "tap", "logins,sessions");
    let plain = folder.write("a.ndjson", &lines);
    let wanted = barewire(&["correlate", "-q"], &[plain]).stdout;
    assert!(!wanted.is_empty());
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&lines).expect("memory");
    let gz = folder.write("a.gz", gz.finish().expect("memory"));
    let zst = folder.write("a.zst", zstd::bulk::compress(&lines, 1).expect("memory"));
    for file in [gz.clone(), zst] {
        // Where a sensor has no name its file stands for it, which shows in nothing else.
        assert_eq!(barewire(&["correlate", "-q"], &[file]).stdout, wanted);
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_barewire"));
    let input = std::fs::File::open(&gz).expect("it");
    let output = command.args(["correlate", "-q", "-"]).stdin(input).output().expect("barewire");
    assert_eq!(output.stdout, wanted);
    let to = folder.0.join("found.ndjson");
    let arguments = ["correlate", "-q", "-o", to.to_str().expect("a path"), "--fail-on", "high"];
    assert_eq!(barewire(&arguments, std::slice::from_ref(&gz)).status.code(), Some(1));
    assert_eq!(std::fs::read(&to).expect("findings"), wanted);
    let ocsf = barewire(&["correlate", "-q", "--format", "ocsf"], std::slice::from_ref(&gz)).stdout;
    assert!(parsed(&ocsf).iter().all(|event| event["class_uid"] == 2004), "in another form");
    let baseline = folder.0.join("baseline.json");
    let baseline = baseline.to_str().expect("a path");
    let accept = ["baseline", "write", "--reason", "known", "--owner", "tests", "-f", baseline];
    assert!(barewire(&accept, std::slice::from_ref(&to)).status.success());
    let accepted = barewire(&["correlate", "-q", "--fail-on", "info", "--baseline", baseline], &[gz]);
    assert_eq!(accepted.status.code(), Some(0), "{}", said(&accepted));
    assert_eq!(parsed(&accepted.stdout).len(), parsed(&wanted).len(), "it is told all the same");
}

#[test]
fn an_offer_that_one_sensor_sees_and_another_does_not_is_what_a_sensor_on_both_sides_tells() {
    let case = std::fs::read(records::root("testdata/cases/stripped-two-views/expected.ndjson")).expect("records");
    let folder = Folder::new("views");
    let (mut here, mut there, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
    for mut record in parsed(&case) {
        if record["event"]["action"] == "starttls-stripped" {
            wanted.push(essence(&record));
        } else if record["event"]["dataset"] == "barewire.session" {
            let is_here = record["client"]["ip"] == "10.0.0.7";
            record["observer"]["name"] = json!(if is_here { "inside" } else { "outside" });
            writeln!(if is_here { &mut here } else { &mut there }, "{record}").expect("memory");
        }
    }
    assert_eq!(wanted.len(), 1);
    let files = [folder.write("a", here), folder.write("b", there)];
    let output = barewire(&["correlate"], &files);
    let found: Vec<Value> = parsed(&output.stdout);
    assert_eq!(found.iter().map(essence).collect::<Vec<_>>(), wanted, "{}", said(&output));
    assert_eq!(found[0]["observer"]["name"], "inside", "the sensor that did not see it");
    let alone = barewire(&["correlate"], &files[..1]);
    assert!(alone.stdout.is_empty(), "one view shows nothing");
}

#[test]
fn secrets_under_different_keys_are_counted_and_not_compared() {
    let (folder, capture) = (Folder::new("keys"), records::root("testdata/office.pcap"));
    let servers = [[10, 77, 0, 11], [10, 77, 0, 12]];
    let mut files = Vec::new();
    for (at, part) in by_server(&capture, &servers).into_iter().enumerate() {
        let part = folder.write(&format!("{at}.pcap"), part);
        let key = folder.key(if at == 2 { 'b' } else { 'a' });
        files.push(folder.write(&format!("{at}.ndjson"), replay(&part, &key, &format!("tap-{at}"), ALL)));
    }
    let output = barewire(&["correlate"], &files);
    assert!(said(&output).contains("fingerprints under 2 keys"), "{}", said(&output));
    let places = |record: &Value| record["barewire"]["evidence"]["places"].as_array().cloned().unwrap_or_default();
    for place in parsed(&output.stdout).iter().flat_map(places) {
        let place = place.as_str().expect("text");
        assert!(!place.starts_with("10.77.0.1:"), "{place} was compared with what is under another key");
    }
}

#[test]
fn a_secret_that_may_be_anybodys_guess_is_not_compared() {
    let (folder, capture) = (Folder::new("guess"), records::root("testdata/office.pcap"));
    let logins = parsed(&replay(&capture, &folder.key('a'), "tap", "logins"));
    let is_whole = |login: &&Value| login["barewire"]["login"]["outcome"] == "accepted";
    let one = logins.iter().find(is_whole).expect("an accepted login");
    let mut other = one.clone();
    other["server"]["ip"] = json!("10.99.0.1");
    other["event"]["id"] = json!("AAAAAAAAAAAAAAAA");
    let found = |other: &Value| {
        let file = folder.write("two", format!("{one}\n{other}\n"));
        parsed(&barewire(&["correlate", "-q"], &[file]).stdout).len()
    };
    assert_eq!(found(&other), 1);
    for (place, value) in [
        ("outcome", json!("rejected")),
        ("ambiguous", json!(true)),
        ("context", json!("pre-tls-injected")),
        ("fingerprint", json!("fp1:ffff:00000000000000000000000000000000")),
    ] {
        let mut other = other.clone();
        other["barewire"]["login"][place] = value;
        assert_eq!(found(&other), 0, "{place}");
    }
    other.as_object_mut().expect("a record").remove("user");
    assert_eq!(found(&other), 0, "nobody's");
}

#[test]
fn what_keeps_it_from_comparing_is_told_in_one_line_each() {
    let (folder, capture) = (Folder::new("told"), records::root("testdata/office.pcap"));
    let findings = folder.write("f", replay(&capture, &folder.key('a'), "tap", "findings"));
    let output = barewire(&["correlate"], std::slice::from_ref(&findings));
    for part in ["no logins among the records", "no sessions among the records", "--records findings,logins,sessions"] {
        assert!(said(&output).contains(part), "{part}: {}", said(&output));
    }
    let empty = folder.write("empty", "{\"no\":\"record\"}\n");
    let output = barewire(&["correlate"], &[empty]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(said(&output).lines().filter(|line| line.contains("error")).count(), 1, "{}", said(&output));
    assert_eq!(barewire(&["correlate"], &[folder.0.join("none")]).status.code(), Some(3));
    let own = ["correlate", "-o", findings.to_str().expect("a path")];
    assert_eq!(barewire(&own, std::slice::from_ref(&findings)).status.code(), Some(2), "the input is not overwritten");
    let lines = std::fs::read(&findings).expect("it is still there");
    let mut cut = zstd::bulk::compress(&lines, 1).expect("memory");
    cut.truncate(cut.len() - 20);
    let output = barewire(&["correlate"], &[folder.write("cut.zst", cut)]);
    assert!(matches!(output.status.code(), Some(3 | 4)), "{:?}: {}", output.status.code(), said(&output));
}

#[test]
fn records_of_strangers_are_read_without_harm() {
    let folder = Folder::new("hostile");
    let key = folder.key('a');
    let capture = records::root("testdata/office.pcap");
    let good: Vec<Value> = parsed(&replay(&capture, &key, "tap", "logins,sessions"));
    let mut lines = Vec::new();
    let odd: [Value; 12] = [
        json!(null),
        json!(-1),
        json!(u64::MAX),
        json!(""),
        json!("\u{0}\u{1b}[31m\u{202e}"),
        json!("x".repeat(70_000)),
        json!([]),
        json!({}),
        json!(true),
        json!("fp1:0000:ffffffffffffffffffffffffffffffff"),
        json!("::"),
        json!("9999-99-99T99:99:99.999999Z"),
    ];
    let places = [
        "/@timestamp",
        "/event/id",
        "/event/start",
        "/client/ip",
        "/client/port",
        "/server/ip",
        "/server/port",
        "/user/name",
        "/network/protocol",
        "/observer/name",
        "/log/file/path",
        "/barewire/packet",
        "/barewire/conversation",
        "/barewire/login/fingerprint",
        "/barewire/login/outcome",
        "/barewire/starttls/offer",
        "/barewire/server/banner",
    ];
    for (at, place) in places.iter().enumerate() {
        for value in &odd {
            let mut record = good[at % good.len()].clone();
            if let Some(field) = record.pointer_mut(place) {
                *field = value.clone();
            }
            writeln!(lines, "{record}").expect("memory");
        }
    }
    lines.extend(b"\xff\xfe{\n[[[[[[\n");
    lines.extend(std::iter::repeat_n(b'[', 300_000));
    lines.push(b'\n');
    for record in &good {
        writeln!(lines, "{record}").expect("memory");
    }
    let output = barewire(&["correlate"], &[folder.write("all", &lines)]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let ids = |lines: &[u8]| -> BTreeSet<String> { reuse(lines).into_keys().collect() };
    let clean: String = good.iter().map(|record| format!("{record}\n")).collect();
    let wanted = barewire(&["correlate", "-q"], &[folder.write("good", clean)]);
    assert!(ids(&output.stdout).is_superset(&ids(&wanted.stdout)));
    for line in output.stdout.split(|octet| *octet == b'\n') {
        assert!(line.len() < 6000 && line.iter().all(|octet| matches!(octet, b' '..=b'~')), "a line of ours");
    }
    let schema: Value = serde_json::from_str(barewire::output::SCHEMA).expect("a schema");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    for record in parsed(&output.stdout) {
        assert!(schema.is_valid(&record), "{record}");
    }
}

#[test]
fn a_sensor_is_called_by_a_name_that_fits_everywhere() {
    let capture = records::root("testdata/office.pcap");
    let named = |name: &str| barewire(&["replay", "-q", "--sensor", name], std::slice::from_ref(&capture));
    let longest = "n".repeat(64);
    for name in ["tap-1", "berlin.example:2", &longest] {
        let findings = parsed(&named(name).stdout);
        assert!(!findings.is_empty() && findings.iter().all(|finding| finding["observer"]["name"] == *name), "{name}");
    }
    for name in ["", "tap 1", "t\u{e4}p", "tap\n", &format!("{longest}n")] {
        let output = named(name);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{name:?}");
        assert!(said(&output).contains("1 to 64 printable ASCII characters"), "{}", said(&output));
    }
    let unnamed = parsed(&barewire(&["replay", "-q"], &[capture]).stdout);
    assert!(unnamed.iter().all(|finding| finding["observer"].get("name").is_none()), "a replay has no name");
}

/// The most memory that a process has held, in MiB.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

/// Of a million records of which no two are alike; see `Fleet`.
const MOST_MIB: u64 = 640;
const FIXED_MIB: u64 = 64;

#[test]
fn many_records_that_all_differ_fit_into_memory() {
    let count: u64 =
        std::env::var("BAREWIRE_CORRELATE_RECORDS").map_or(30_000, |count| count.parse().expect("a number"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_barewire"))
        .args(["correlate", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut to = std::io::BufWriter::new(child.stdin.take().expect("standard input"));
    let began = Instant::now();
    for at in 0..count {
        let [a, b, c] = [at >> 16 & 255, at >> 8 & 255, at & 255];
        let second = at / 20;
        let time = format!(
            "2026-11-{:02}T{:02}:{:02}:{:02}.000000Z",
            second / 86_400 + 1,
            second / 3600 % 24,
            second / 60 % 60,
            second % 60
        );
        let (dataset, own) = match at % 2 {
            0 => (
                "login",
                format!(
                    r#""login":{{"outcome":"accepted","secret_validity":"valid","fingerprint":"fp1:00aa:{:032x}"}}"#,
                    at / 4
                ),
            ),
            _ => ("session", r#""starttls":{"offer":"offered"},"server":{"banner":"mx.example ESMTP"}"#.to_owned()),
        };
        let id = base32(at);
        writeln!(
            to,
            r#"{{"@timestamp":"{time}","message":"one of many","event":{{"id":"{id}","dataset":"barewire.{dataset}","start":"{time}"}},"client":{{"ip":"10.{a}.{b}.{c}","port":40000}},"server":{{"ip":"172.{a}.{b}.{c}","port":143}},"network":{{"protocol":"imap"}},"user":{{"name":"user-{at}"}},"observer":{{"name":"tap-{}"}},"log":{{"file":{{"path":"day.pcap"}}}},"barewire":{{"packet":{at},"conversation":"{id}",{own}}}}}"#,
            at % 3
        )
        .expect("taken");
    }
    to.flush().expect("taken");
    drop(to);
    let mut first = [0];
    // The findings are longer than a pipe: when they begin the process is still there, with all that it needs.
    child.stdout.as_mut().expect("standard output").read_exact(&mut first).expect("a finding");
    let peak = peak(child.id());
    let mut output = child.wait_with_output().expect("an end");
    output.stdout.insert(0, first[0]);
    println!(
        "{count} records: {peak} MiB, {:.1} s with their making; {}",
        began.elapsed().as_secs_f32(),
        said(&output)
    );
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(parsed(&output.stdout).len() as u64, count / 4, "every secret stands at two servers");
    assert!(peak <= FIXED_MIB + (MOST_MIB - FIXED_MIB) * count / 1_000_000, "{peak} MiB");
}

fn base32(number: u64) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    (0..16).map(|at| char::from(letters[(number >> (at * 5).min(60) & 31) as usize])).collect()
}
