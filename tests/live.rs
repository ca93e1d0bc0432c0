//! Live capture against real servers: what `watch` reports must be what `replay` reports from a
//! recording of the same wire, and both must be what the script of logins did.
//!
//! The mail servers and their clients are `tests/bed`; its head says what it needs. Where something is
//! missing the tests say so on standard error and pass, unless `BAREWIRE_REQUIRE_ALL` is set.
#![cfg(all(feature = "live", target_os = "linux"))]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use barewire::testing::wrap::{WRAPPINGS, fragments};
use barewire::testing::{Captured, Link, Speaker, Transcript, frames, pcap};
use barewire::wire::{Endpoint, Timestamp};
use serde_json::Value;

const BAREWIRE: &str = env!("CARGO_BIN_EXE_barewire");
const BED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bed/bed.sh");
const SEND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bed/send.py");
const EXPECTED: &str = include_str!("bed/expected.tsv");
const USERS: &str = include_str!("bed/users.tsv");

fn scripted() -> impl Iterator<Item = &'static str> {
    EXPECTED.lines().skip(1)
}

/// How long a program may take to begin listening, or to end once told to.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn watching_the_wire_reports_what_replaying_its_recording_reports() {
    let needs = ["ip", "dovecot", "postfix", "curl", "openssl", "python3", "tcpdump"];
    if skipped(&needs) {
        return;
    }
    let scratch = Scratch::new("agree");
    let key = scratch.key_file();
    let live_path = scratch.path("live.ndjson");
    let pcap = scratch.path("all.pcap");
    let bed = Bed::up(&scratch);

    let mut recorder = Watched::start(
        bed.in_server("tcpdump")
            .args(["-i", &bed.interface, "-Z", "root"])
            // Without immediate mode the packets of the last block would be lost when it is stopped.
            .args(["--immediate-mode", "-U", "-B", "8192", "-w"])
            .arg(&pcap),
    );
    let mut sensor = Watched::start(
        bed.in_server(BAREWIRE)
            .args(["watch", "-i", &bed.interface])
            .args(["--records", "findings,logins,sessions"])
            .arg("--fingerprint-key")
            .arg(&key)
            .arg("-o")
            .arg(&live_path),
    );
    recorder.wait_for_line("listening on");
    sensor.wait_for_line("listening on");

    bed.traffic();
    // At once: what the kernel has captured by now must still be read and reported.
    let sensor_status = sensor.stop("TERM");
    thread::sleep(Duration::from_millis(300));
    recorder.stop("INT");
    assert!(
        recorder.said().contains("\n0 packets dropped by kernel"),
        "the recording itself has losses, so nothing can be said:\n{}",
        recorder.said()
    );
    assert_eq!(sensor_status.code(), Some(0), "watch said:\n{}", sensor.said());

    let live = Records::read(&live_path);
    let replayed = replay(&pcap, &key, &scratch.path("replay.ndjson"));

    assert_eq!(logins_of_the_script(), live.logins_as_scripted());
    assert_eq!(live.logins(), replayed.logins());
    assert_eq!(live.findings(), replayed.findings());
    assert!(!live.sessions.is_empty() && !replayed.sessions.is_empty());
    every_exposed_user_has_a_finding(&live);
    one_password_has_one_fingerprint(&live);
    for text in [&live.text, &replayed.text, &sensor.said()] {
        no_secret_is_in(text);
    }
}

#[test]
fn the_bundled_sample_holds_the_logins_of_the_script() {
    let scratch = Scratch::new("sample");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/office.pcap");
    let records = replay(&sample, &scratch.key_file(), &scratch.path("sample.ndjson"));
    assert_eq!(logins_of_the_script(), records.logins_as_scripted());
    every_exposed_user_has_a_finding(&records);
    one_password_has_one_fingerprint(&records);
    no_secret_is_in(&records.text);
}

#[test]
fn a_quiet_interface_does_not_delay_the_end() {
    if skipped(&["ip"]) {
        return;
    }
    let quiet = QuietNet::new("quiet");
    let mut sensor = Watched::start(quiet.program(BAREWIRE).args(["watch", "-i", "quiet0"]));
    sensor.wait_for_line("listening on");
    let asked = Instant::now();
    let status = sensor.stop("TERM");
    let said = sensor.said();
    assert!(asked.elapsed() < Duration::from_secs(5), "took {:?}", asked.elapsed());
    // 3: no mail session was judged, which must not look like a clean network.
    assert!(matches!(status.code(), Some(0 | 3)), "{status}:\n{said}");
    assert!(said.lines().any(is_statistics), "no statistics in:\n{said}");
}

/// Logins by different clients; of three kinds, one in three is in fragments and one in a tunnel whose outer ports tell
/// nothing of the connection.
fn crowd(logins: u32, kinds: u32) -> Vec<Captured> {
    let vxlan = WRAPPINGS.iter().find(|wrapping| wrapping.name == "vxlan").expect("it is there");
    let text = "S: +OK ready\nC: USER bob\nS: +OK\nC: PASS made-up\nS: +OK in\nC: QUIT\nS: +OK";
    let mut frames = Vec::new();
    for number in 0..logins {
        let client = Endpoint { address: Endpoint::v4(0x0a00_0000 + number), port: 2000 };
        let server = Endpoint { address: Endpoint::v4(0xc633_6401), port: 110 };
        for packet in Transcript::parse(110, text).between(client, server).play() {
            let ip = packet.octets(Link::Raw);
            let parts = if number % kinds == 1 { fragments(&ip, 8, number as u16) } else { vec![ip] };
            for (at, part) in parts.iter().enumerate() {
                let mut octets = ethernet(part);
                if number % kinds == 2 {
                    octets = ethernet(&vxlan.wrap(part));
                    // As real ones: from another port in each direction.
                    octets[34..36].copy_from_slice(&(20_000 + 7 * number as u16 + packet.source.port).to_be_bytes());
                }
                let time = Timestamp(packet.time.0 + u64::from(number) * 1000 + at as u64);
                frames.push(Captured { time, link_type: Link::Ethernet.link_type(), octets });
            }
        }
    }
    frames
}

fn ethernet(ip: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0][..], ip].concat()
}

/// The number before `words` in what a program said.
fn number_before(said: &str, words: &str) -> u64 {
    let before = said.rsplit_once(words).unwrap_or_else(|| panic!("no {words:?} in:\n{said}")).0;
    let digits: String = before.rsplit([' ', '\n']).next().expect("a word").replace(',', "");
    digits.parse().unwrap_or_else(|_| panic!("no number before {words:?} in:\n{said}"))
}

#[test]
fn an_interface_shared_by_several_threads_splits_no_connection() {
    if skipped(&["ip", "python3"]) {
        return;
    }
    const LOGINS: u32 = 300;
    let scratch = Scratch::new("fanout");
    let net = QuietNet::new("fan");
    let sent = scratch.path("sent.pcap");
    fs::write(&sent, pcap(&crowd(LOGINS, 3))).expect("the capture");
    let output = scratch.path("out.ndjson");
    let mut sensor = Watched::start(
        net.program(BAREWIRE)
            .args(["watch", "-i", "quiet0", "--fanout", "2", "-j", "2", "--records", "logins"])
            // What is in a tunnel is no mail port to the kernel.
            .args(["--bpf", "", "-o"])
            .arg(&output),
    );
    sensor.wait_for_line("listening on");
    net.send(&sent);
    assert_eq!(sensor.stop("TERM").code(), Some(0), "{}", sensor.said());
    let records = Records::read(&output);
    let clients: BTreeSet<String> = records.logins.iter().map(|login| at(login, "/source/ip")).collect();
    assert_eq!((records.logins.len(), clients.len()), (LOGINS as usize, LOGINS as usize), "{}", sensor.said());
    let outcomes: BTreeSet<String> = records.logins.iter().map(|login| at(login, "/barewire/login/outcome")).collect();
    assert_eq!(outcomes, ["accepted".to_owned()].into(), "{}", sensor.said());
    assert!(sensor.said().contains("records written after their packets: p50 "), "{}", sensor.said());
}

#[test]
fn what_the_kernel_drops_and_what_was_lost_before_is_told() {
    if skipped(&["ip", "python3"]) {
        return;
    }
    let scratch = Scratch::new("drops");
    let net = QuietNet::new("drop");
    // One in ten of the server's packets, which the client acknowledges all the same.
    let login = "S: +OK ready\nC: USER bob\nS: +OK\nC: PASS made-up\nS: +OK in\nC: RETR 1\nS: +OK";
    let body = (0..150).fold(Transcript::parse(110, login), |body, _| body.say(Speaker::Server, &[b'x'; 2000]));
    let transcript = body.say(Speaker::Server, b"\r\n.\r\n").say(Speaker::Client, b"QUIT\r\n").segment(1000);
    let whole = frames(&transcript.play(), Link::Ethernet);
    let kept: Vec<Captured> =
        whole.into_iter().enumerate().filter_map(|(at, frame)| (at < 30 || at % 10 > 0).then_some(frame)).collect();
    let sent = scratch.path("sent.pcap");
    fs::write(&sent, pcap(&kept)).expect("the capture");
    let crowded = scratch.path("crowded.pcap");
    fs::write(&crowded, pcap(&crowd(800, 3))).expect("the capture");

    let mut sensor = Watched::start(net.program(BAREWIRE).args([
        "watch",
        "-i",
        "quiet0",
        "--bpf",
        "",
        "--ring-size",
        "1",
        "--max-loss",
        "100",
    ]));
    sensor.wait_for_line("listening on");
    let mut count = net.send(&sent);
    // Its own frames are in before the ring is made to overflow.
    thread::sleep(Duration::from_secs(1));
    sensor.signal("STOP");
    count += net.send(&crowded);
    sensor.signal("CONT");
    assert_eq!(sensor.stop("TERM").code(), Some(0), "{}", sensor.said());
    let said = sensor.said();
    let [captured, received, dropped] =
        [" packets captured", " received by the kernel", " dropped by the kernel"].map(|at| number_before(&said, at));
    assert!(dropped > 0, "{said}");
    assert_eq!((captured + dropped, received), (count, count), "{said}");
    let lost = number_before(&said.replace('.', ""), "% of the octets of mail connections");
    // Of the others most are lost.
    assert!((800..1500).contains(&lost), "one in ten was left out:\n{said}");
}

#[test]
fn a_configuration_is_read_anew_while_it_runs_or_stays_as_it_is() {
    if skipped(&["ip", "python3"]) {
        return;
    }
    let scratch = Scratch::new("reload");
    let net = QuietNet::new("load");
    let sent = scratch.path("sent.pcap");
    fs::write(&sent, pcap(&crowd(30, 1))).expect("the capture");
    let (config, output) = (scratch.path("barewire.toml"), scratch.path("out.ndjson"));
    let set = |text: &str| {
        let text = format!("records = ['logins']\n{text}\n[watch]\ninterface = 'quiet0'\nring-size = 2\n");
        fs::write(&config, text).expect("the configuration");
    };
    set("trusted-segments = []\n[ports]\npop3 = [1]");
    let mut sensor = Watched::start(net.program(BAREWIRE).args(["watch", "-c"]).arg(&config).arg("-o").arg(&output));
    sensor.wait_for_line("listening on");
    net.send(&sent);
    fs::write(&config, "\nport = 1").expect("the configuration");
    sensor.signal("HUP");
    sensor.wait_for_line("line 2: there is no key 'port'; did you mean 'ports'?");
    set("bpf = 'tcp port nowhere'");
    sensor.signal("HUP");
    sensor.wait_for_line("filter 'tcp port nowhere'");
    set("max-memory = 64");
    sensor.signal("HUP");
    sensor.wait_for_line("the configuration was read anew");
    sensor.wait_for_line("after a restart only: max-memory");
    // The capture takes the filter up when it is woken.
    thread::sleep(Duration::from_secs(1));
    net.send(&sent);
    assert_eq!(sensor.stop("TERM").code(), Some(0), "{}", sensor.said());
    assert_eq!(sensor.said().matches("the configuration stays as it is: ").count(), 2, "{}", sensor.said());
    assert_eq!(Records::read(&output).logins.len(), 30, "sent twice, watched once:\n{}", sensor.said());
}

#[test]
fn an_interface_that_is_down_is_told_and_comes_back_by_itself() {
    if skipped(&["ip", "python3"]) {
        return;
    }
    let scratch = Scratch::new("flap");
    let net = QuietNet::new("flap");
    let output = scratch.path("out.ndjson");
    let sent = scratch.path("sent.pcap");
    fs::write(&sent, pcap(&crowd(20, 1))).expect("the capture");
    let mut sensor = Watched::start(
        net.program(BAREWIRE)
            .args(["watch", "-i", "quiet0", "--silent-after", "1", "--records", "findings,logins", "-o"])
            .arg(&output),
    );
    sensor.wait_for_line("listening on");
    sensor.wait_for_line("quiet0: no packet for 1 second");
    let switch = |state: &str| {
        let arguments = ["-n", &net.namespace, "link", "set", "quiet0", state];
        assert!(quietly("ip", &arguments), "ip {}", arguments.join(" "));
    };
    switch("down");
    sensor.wait_for_line("quiet0 is down");
    switch("up");
    sensor.wait_for_line("quiet0 is up again");
    net.send(&sent);
    sensor.wait_for_line("quiet0: packets come again");
    assert_eq!(sensor.stop("TERM").code(), Some(0), "{}", sensor.said());
    let records = Records::read(&output);
    assert_eq!(records.logins.len(), 20, "{}", sensor.said());
    let gaps: Vec<_> = records.findings.iter().filter(|gap| at(gap, "/event/action") == "coverage-gap").collect();
    assert_eq!(gaps.len(), 1, "{}", records.text);
    assert_eq!(at(gaps[0], "/observer/ingress/interface/name"), "quiet0");
}

#[test]
fn without_permission_the_missing_capability_is_named() {
    if skipped(&["setpriv"]) {
        return;
    }
    // A copy: the folder of the build may be closed to other users.
    let scratch = Scratch::new("nobody");
    let program = scratch.path("barewire");
    fs::copy(BAREWIRE, &program).expect("copy of the program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("its mode");

    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args(["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"])
        .arg(&program)
        .args(["watch", "-i", "lo"])
        .stdin(Stdio::null())
        .output()
        .expect("setpriv");
    let line = only_line_of_failure(&output);
    assert!(line.to_lowercase().contains("cap_net_raw"), "{line}");
}

#[test]
fn an_unknown_interface_is_answered_with_the_known_ones() {
    if skipped(&[]) {
        return;
    }
    let output =
        Command::new(BAREWIRE).args(["watch", "-i", "nosuch0"]).stdin(Stdio::null()).output().expect("barewire");
    let line = only_line_of_failure(&output);
    assert!(line.contains("nosuch0"), "{line}");
    let words: Vec<&str> = line.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    assert!(words.contains(&"lo"), "{line}");
}

// --- what the records say ---------------------------------------------------------------------

/// The records of one run, by kind.
struct Records {
    text: String,
    findings: Vec<Value>,
    logins: Vec<Value>,
    sessions: Vec<Value>,
}

impl Records {
    fn read(path: &Path) -> Records {
        let text = fs::read_to_string(path).expect("the file of records");
        let mut records = Records { findings: Vec::new(), logins: Vec::new(), sessions: Vec::new(), text };
        for line in records.text.lines() {
            let record: Value = serde_json::from_str(line).expect("a record is one line of JSON");
            match at(&record, "/event/dataset").as_str() {
                "barewire.finding" => records.findings.push(record),
                "barewire.login" => records.logins.push(record),
                "barewire.session" => records.sessions.push(record),
                other => panic!("unknown dataset {other:?} in {line}"),
            }
        }
        records
    }

    /// Every login with its connection, sorted. Times are left out: the two captures stamp packets on
    /// their own.
    fn logins(&self) -> Vec<String> {
        sorted(self.logins.iter().map(|login| {
            columns(
                login,
                &[
                    "/network/protocol",
                    "/source/ip",
                    "/source/port",
                    "/destination/ip",
                    "/destination/port",
                    "/barewire/login/mechanism",
                    "/user/name",
                    "/barewire/login/outcome",
                    "/event/outcome",
                    "/barewire/login/fingerprint",
                ],
            )
        }))
    }

    /// Every login as a row of `expected.tsv`, sorted.
    fn logins_as_scripted(&self) -> Vec<String> {
        sorted(self.logins.iter().map(|login| {
            columns(
                login,
                &[
                    "/source/ip",
                    "/destination/ip",
                    "/destination/port",
                    "/barewire/login/mechanism",
                    "/user/name",
                    "/barewire/login/outcome",
                ],
            )
        }))
    }

    /// Every finding by its id, as last told: `watch` speaks early and may add to it later.
    fn findings(&self) -> BTreeMap<String, String> {
        self.findings
            .iter()
            .map(|finding| {
                let told = columns(finding, &["/event/action", "/user/name", "/barewire/count"]);
                (at(finding, "/event/id"), told)
            })
            .collect()
    }
}

/// The value at a JSON pointer as text; empty where there is none.
fn at(record: &Value, pointer: &str) -> String {
    match record.pointer(pointer) {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn columns(record: &Value, pointers: &[&str]) -> String {
    let cells: Vec<String> = pointers.iter().map(|pointer| at(record, pointer)).collect();
    cells.join("\t")
}

fn sorted(rows: impl Iterator<Item = String>) -> Vec<String> {
    let mut rows: Vec<String> = rows.collect();
    rows.sort();
    rows
}

fn logins_of_the_script() -> Vec<String> {
    sorted(scripted().map(str::to_owned))
}

fn every_exposed_user_has_a_finding(records: &Records) {
    let exposed: BTreeSet<String> = records
        .findings
        .iter()
        .filter(|finding| at(finding, "/event/action") == "cleartext-password")
        .map(|finding| at(finding, "/user/name"))
        .collect();
    let scripted: BTreeSet<String> = scripted().filter_map(|row| row.split('\t').nth(4).map(str::to_owned)).collect();
    // Equal, not only contained: `decoy` never logged in and `dave` never did so in clear.
    assert_eq!(exposed, scripted);
}

/// Whatever the protocol and however quoted or encoded, the same password is the same fingerprint.
fn one_password_has_one_fingerprint(records: &Records) {
    let mut of_user: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for login in &records.logins {
        let fingerprint = at(login, "/barewire/login/fingerprint");
        assert!(fingerprint.starts_with("fp1:"), "{login}");
        if at(login, "/barewire/login/outcome") != "rejected" {
            of_user.entry(at(login, "/user/name")).or_default().insert(fingerprint);
        }
    }
    for (user, fingerprints) in of_user {
        assert_eq!(fingerprints.len(), 1, "{user}: {fingerprints:?}");
    }
}

fn no_secret_is_in(text: &str) {
    let of_users = USERS.lines().filter_map(|row| row.split('\t').nth(1));
    let rejected = ["last-years-password", "factory-default", "9 emaseS:nepo", "decoy-pw"];
    // In base64, alone and as AUTH PLAIN and AUTH LOGIN sent them.
    let encoded = ["V2ludGVyLVRlYS03MQ", "AFdpbnRlci1UZWEtNzE", "AEtpb3NrIkxhbXBcNA", "Mm5kRmxvb3I9Q29waWVy"];
    for secret in of_users.chain(rejected).chain(encoded) {
        assert!(!text.contains(secret), "a secret was written: {secret}");
        let escaped = Value::from(secret).to_string();
        assert!(!text.contains(escaped.trim_matches('"')), "a secret was written in JSON: {secret}");
    }
}

fn is_statistics(line: &str) -> bool {
    let line = line.to_lowercase();
    let counts = ["packet", "frame"].iter().any(|word| line.contains(word));
    counts && line.chars().any(|c| c.is_ascii_digit())
}

/// What a run that could not begin said: one line and nothing else.
fn only_line_of_failure(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "it should have failed:\n{said}");
    assert!(output.stdout.is_empty(), "data without a capture");
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(lines.len(), 1, "one line expected:\n{said}");
    lines[0].to_owned()
}

fn replay(pcap: &Path, key: &Path, output: &Path) -> Records {
    let run = Command::new(BAREWIRE)
        .arg("replay")
        .arg(pcap)
        .args(["--records", "findings,logins,sessions"])
        .arg("--fingerprint-key")
        .arg(key)
        .arg("-o")
        .arg(output)
        .stdin(Stdio::null())
        .output()
        .expect("barewire");
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(0), "replay said:\n{said}");
    no_secret_is_in(&said);
    Records::read(output)
}

// --- what the machine has ---------------------------------------------------------------------

/// Whether the test must be left out, which is said loudly, or fails where that isn't allowed.
fn skipped(programs: &[&str]) -> bool {
    let missing = missing(programs);
    if missing.is_empty() {
        return false;
    }
    let line = format!("SKIPPED live: {}", missing.join(", "));
    assert!(std::env::var_os("BAREWIRE_REQUIRE_ALL").is_none(), "BAREWIRE_REQUIRE_ALL is set, but: {line}");
    // Not `eprintln!`: the harness would keep that to itself.
    writeln!(std::io::stderr(), "{line}").expect("standard error");
    true
}

fn missing(programs: &[&str]) -> Vec<String> {
    let mut missing: Vec<String> = programs
        .iter()
        .filter(|program| !is_installed(program))
        .map(|program| format!("{program} is not installed"))
        .collect();
    if !has_libpcap() {
        missing.push("libpcap is not installed".to_owned());
    }
    if !is_root() {
        missing.push("not run as root".to_owned());
    } else if programs.contains(&"ip") && is_installed("ip") && !can_make_namespaces() {
        missing.push("network namespaces are not allowed here".to_owned());
    }
    missing
}

/// Root's PATH, also where the tests were started with a user's.
fn search_path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/local/sbin:/usr/sbin:/sbin")
}

fn is_installed(program: &str) -> bool {
    search_path().split(':').any(|folder| Path::new(folder).join(program).is_file())
}

fn has_libpcap() -> bool {
    let multiarch = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    ["/usr/lib", "/usr/lib64", "/lib", "/usr/local/lib"]
        .into_iter()
        .map(PathBuf::from)
        .chain(multiarch.map(|entry| entry.path()))
        .any(|folder| ["libpcap.so.0.8", "libpcap.so.1", "libpcap.so"].iter().any(|name| folder.join(name).exists()))
}

fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("Uid:")).and_then(|ids| ids.split_whitespace().nth(1)) == Some("0")
}

fn can_make_namespaces() -> bool {
    let name = format!("bw-probe-{}-{:?}", std::process::id(), thread::current().id()).replace(['(', ')'], "");
    let made = quietly("ip", &["netns", "add", &name]);
    if made {
        quietly("ip", &["netns", "delete", &name]);
    }
    made
}

fn quietly(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .env("PATH", search_path())
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success())
}

// --- what must be put away again --------------------------------------------------------------

/// A folder for one test. Not the build's own: the servers of the bed drop root and must get in.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let folder = format!("bw-live-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(folder);
        // Of a former process with the same number.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a scratch folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o711)).expect("its mode");
        Scratch(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn key_file(&self) -> PathBuf {
        let path = self.path("key");
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).expect("the key file");
        file.write_all(b"thirty-two octets made for tests").expect("the key");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The office of `tests/bed`, running.
struct Bed {
    folder: PathBuf,
    namespace: String,
    interface: String,
}

impl Bed {
    fn up(scratch: &Scratch) -> Bed {
        let mut bed = Bed { folder: scratch.path("bed"), namespace: String::new(), interface: String::new() };
        // Before reading what it says: from here on dropping the value takes the bed down.
        bed.call("up");
        let named = fs::read_to_string(bed.folder.join("bed.env")).expect("bed.env");
        for line in named.lines() {
            match line.split_once('=') {
                Some(("SERVER_NS", name)) => bed.namespace = name.to_owned(),
                Some(("SERVER_IF", name)) => bed.interface = name.to_owned(),
                _ => {}
            }
        }
        bed
    }

    fn traffic(&self) {
        self.call("traffic");
    }

    fn in_server(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        // `ip` becomes the program, so a signal to the child reaches it.
        command.args(["netns", "exec", &self.namespace, program]);
        command
    }

    fn call(&self, verb: &str) {
        let output = self.command(verb).output().expect("bash");
        assert!(
            output.status.success(),
            "bed.sh {verb}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new("bash");
        command
            .args([BED, verb])
            .arg(&self.folder)
            .env("BED_OWNER", std::process::id().to_string())
            .env("PATH", search_path())
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = self.command("down").output();
    }
}

/// A namespace with an interface on which nothing is said.
struct QuietNet {
    namespace: String,
}

impl QuietNet {
    fn new(name: &str) -> QuietNet {
        let net = QuietNet { namespace: format!("bw-{name}-{}", std::process::id()) };
        let ns = net.namespace.as_str();
        for arguments in [
            vec!["netns", "add", ns],
            vec!["-n", ns, "link", "add", "quiet0", "type", "veth", "peer", "name", "quiet1"],
            // No link-local address, so nothing asks for neighbours.
            vec!["-n", ns, "link", "set", "quiet0", "addrgenmode", "none"],
            vec!["-n", ns, "link", "set", "quiet1", "addrgenmode", "none"],
            vec!["-n", ns, "link", "set", "quiet1", "up"],
            vec!["-n", ns, "link", "set", "quiet0", "up"],
        ] {
            assert!(quietly("ip", &arguments), "ip {}", arguments.join(" "));
        }
        net
    }

    fn program(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace, program]);
        command
    }

    /// Sends a capture's frames from the far end; how many they are.
    fn send(&self, capture: &Path) -> u64 {
        let sent = self.program("python3").arg(SEND).arg("quiet1").arg(capture).env("PATH", search_path()).output();
        let sent = sent.expect("python3");
        let said = String::from_utf8_lossy(&sent.stdout);
        said.trim().parse().unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&sent.stderr)))
    }
}

impl Drop for QuietNet {
    fn drop(&mut self) {
        quietly("ip", &["netns", "delete", &self.namespace]);
    }
}

/// A program whose standard error is followed, and that never outlives the test.
struct Watched {
    child: Child,
    said: Arc<(Mutex<String>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

impl Watched {
    fn start(command: &mut Command) -> Watched {
        let mut child = command
            .env("PATH", search_path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = child.stderr.take().expect("it was piped");
        let said = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let shared = Arc::clone(&said);
        let reader = thread::spawn(move || {
            // A progress line may end in a carriage return: octets, until the end of a line or file.
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                let (text, news) = &*shared;
                let mut text = text.lock().expect("no panic while locked");
                text.push_str(&String::from_utf8_lossy(&line));
                text.push('\n');
                news.notify_all();
            }
        });
        Watched { child, said, reader: Some(reader) }
    }

    fn said(&self) -> String {
        self.said.0.lock().expect("no panic while locked").clone()
    }

    fn wait_for_line(&mut self, part: &str) {
        let (text, news) = &*self.said;
        let text = text.lock().expect("no panic while locked");
        let (text, waited) =
            news.wait_timeout_while(text, PATIENCE, |text| !text.contains(part)).expect("no panic while locked");
        assert!(!waited.timed_out(), "no {part:?} within {PATIENCE:?}:\n{text}");
    }

    fn signal(&self, signal: &str) {
        let number = self.child.id().to_string();
        // The shell's own kill: there is one wherever there is a bed.
        let told = quietly("sh", &["-c", "kill -s \"$1\" \"$2\"", "sh", signal, &number]);
        assert!(told, "it ended before it was told to:\n{}", self.said());
    }

    /// Sends the signal and waits for the end.
    fn stop(&mut self, signal: &str) -> ExitStatus {
        self.signal(signal);
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the child's status") {
                if let Some(reader) = self.reader.take() {
                    reader.join().expect("the reader of its standard error");
                }
                return status;
            }
            assert!(asked.elapsed() < PATIENCE, "SIG{signal} does not end it:\n{}", self.said());
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
