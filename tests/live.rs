//! Live capture against real servers: what `watch` reports must be what `replay` reports from a
//! recording of the same wire, and both must be what the script of logins did.
//!
//! The mail servers and their clients are `tests/bed`; its head says what it needs. Where something is
//! missing the tests say so on standard error and pass, unless `BAREWIRE_REQUIRE_ALL` is set.
#![cfg(all(feature = "live", target_os = "linux"))]

#[path = "bed/net.rs"]
mod net;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use barewire::testing::wrap::{WRAPPINGS, fragments};
use barewire::testing::{Captured, Link, Speaker, Transcript, frames, pcap};
use barewire::wire::{Endpoint, Timestamp};
use net::{PATIENCE, QuietNet, Scratch, Watched, search_path, skipped};
use serde_json::Value;

const BAREWIRE: &str = env!("CARGO_BIN_EXE_barewire");
const BED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bed/bed.sh");
const EXPECTED: &str = include_str!("bed/expected.tsv");
const USERS: &str = include_str!("bed/users.tsv");

fn scripted() -> impl Iterator<Item = &'static str> {
    EXPECTED.lines().skip(1)
}

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
    crowd_from(2000, logins, kinds)
}

/// The same from another port of each client.
fn crowd_from(port: u16, logins: u32, kinds: u32) -> Vec<Captured> {
    let vxlan = WRAPPINGS.iter().find(|wrapping| wrapping.name == "vxlan").expect("it is there");
    let text = "S: +OK ready\nC: USER bob\nS: +OK\nC: PASS made-up\nS: +OK in\nC: QUIT\nS: +OK";
    let mut frames = Vec::new();
    for number in 0..logins {
        let client = Endpoint { address: Endpoint::v4(0x0a00_0000 + number), port };
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
    // Nobody gave the sensor a name.
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("the host's name");
    assert!(records.logins.iter().all(|login| at(login, "/observer/name") == host.trim()), "{host}");
    let outcomes: Vec<String> = records.logins.iter().map(|login| at(login, "/barewire/login/outcome")).collect();
    let accepted = outcomes.iter().filter(|outcome| *outcome == "accepted").count();
    // Threads that the machine keeps from running for long may hand over commands after their replies.
    assert!(accepted >= LOGINS as usize * 9 / 10, "{accepted}: {}", sensor.said());
    assert!(sensor.said().contains("records written after their packets: p50 "), "{}", sensor.said());
}

/// What `/proc` says of every thread of a process, the values of one key.
fn of_threads(process: u32, key: &str) -> BTreeSet<String> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("the process runs").flatten();
    let statuses = threads.map(|thread| fs::read_to_string(thread.path().join("status")).expect("its status"));
    statuses
        .map(|status| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("no {key}"));
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        })
        .collect()
}

#[test]
fn every_frame_is_captured_after_all_rights_were_given_up() {
    if skipped(&["ip", "python3"]) {
        return;
    }
    let scratch = Scratch::new("sandbox");
    let net = QuietNet::new("sandbox");
    let sent = scratch.path("sent.pcap");
    fs::write(&sent, pcap(&crowd(600, 3))).expect("the capture");
    let folder = scratch.path("records");
    fs::create_dir(&folder).expect("a folder");
    std::os::unix::fs::chown(&folder, Some(65_534), Some(65_534)).expect("nobody's folder");
    let watch = |more: &[&str]| {
        let mut sensor = Watched::start(
            net.program(BAREWIRE)
                .args(["watch", "-i", "quiet0", "--bpf", "", "--records", "logins", "-j", "2"])
                .args(more)
                .arg("-o")
                .arg(folder.join("out.ndjson")),
        );
        sensor.wait_for_line("listening on");
        sensor
    };
    let one = |value: &str| BTreeSet::from([value.to_owned()]);

    let mut sensor = watch(&[]);
    let process = sensor.id();
    for (key, value) in [
        ("Uid:", "65534 65534 65534 65534"),
        ("Gid:", "65534 65534 65534 65534"),
        ("Groups:", ""),
        ("CapInh:", "0000000000000000"),
        ("CapPrm:", "0000000000000000"),
        ("CapEff:", "0000000000000000"),
        ("NoNewPrivs:", "1"),
        ("Seccomp:", "2"),
    ] {
        assert_eq!(of_threads(process, key), one(value), "{key} {}", sensor.said());
    }
    let count = net.send(&sent);
    assert_eq!(sensor.stop("TERM").code(), Some(0), "{}", sensor.said());
    let said = sensor.said();
    assert!(said.contains("barewire: sandbox: user nobody, no capabilities, "), "{said}");
    assert!(!said.contains("--no-sandbox: what"), "{said}");
    // What root had begun in nobody's folder is nobody's, so nothing keeps it from being rotated.
    assert!(!said.contains("cannot be rotated"), "{said}");
    let out = folder.join("out.ndjson");
    assert_eq!(fs::metadata(&out).expect("the output").uid(), 65_534);
    assert_eq!(number_before(&said, " packets captured"), count, "{said}");
    assert_eq!(number_before(&said, " dropped by the kernel"), 0, "{said}");
    assert_eq!(Records::read(&folder.join("out.ndjson")).logins.len(), 600, "{said}");

    let user = 4_000_000_321_u32.to_string();
    let mut sensor = watch(&["--user", &user]);
    assert_eq!(of_threads(sensor.id(), "Uid:"), one(&[user.as_str(); 4].join(" ")));
    assert_eq!(sensor.stop("TERM").code(), Some(3), "{}", sensor.said());
    let remedy = format!("and: chown {user} {} {}\n", folder.display(), out.display());
    assert!(sensor.said().contains(&remedy), "{}", sensor.said());
    // Attack: a link in the output's place is not given away, nor what it points to.
    let secret = scratch.path("secret");
    fs::write(&secret, "").expect("root's file");
    for (attack, link) in [("soft", std::os::unix::fs::symlink as fn(_, _) -> _), ("hard", fs::hard_link)] {
        fs::remove_file(&out).expect("the output");
        link(&secret, &out).expect(attack);
        let mut sensor = watch(&[]);
        sensor.stop("TERM");
        assert_eq!(fs::metadata(&secret).expect("root's file").uid(), 0, "{attack}");
        assert!(sensor.said().contains("cannot be rotated"), "{attack} {}", sensor.said());
    }

    let mut sensor = watch(&["--no-sandbox"]);
    assert_eq!(of_threads(sensor.id(), "Uid:"), one("0 0 0 0"));
    assert_eq!(of_threads(sensor.id(), "Seccomp:"), one("0"));
    assert_eq!(sensor.stop("TERM").code(), Some(3), "{}", sensor.said());
    assert!(sensor.said().contains("barewire: warning: --no-sandbox: "), "{}", sensor.said());
}

#[test]
fn a_user_who_is_none_is_named_before_anything_is_captured() {
    if skipped(&["ip"]) {
        return;
    }
    let net = QuietNet::new("user");
    for user in ["no-such-user", "4294967295"] {
        let output = net.program(BAREWIRE).args(["watch", "-i", "quiet0", "--user", user]).output().expect("barewire");
        assert_eq!(output.status.code(), Some(2));
        assert!(only_line_of_failure(&output).contains(&format!("--user {user}: there is no such user")));
    }
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
    set("max-memory = 64\nquiet = true");
    sensor.signal("HUP");
    sensor.wait_for_line("the configuration was read anew");
    sensor.wait_for_line("after a restart only: max-memory");
    // The capture takes the filter up when it is woken.
    thread::sleep(Duration::from_secs(1));
    net.send(&sent);
    assert_eq!(sensor.stop("TERM").code(), Some(0), "{}", sensor.said());
    assert_eq!(sensor.said().matches("the configuration stays as it is: ").count(), 2, "{}", sensor.said());
    assert!(sensor.said().contains("barewire: error: the configuration stays"), "{}", sensor.said());
    assert!(!sensor.said().contains("packets captured"), "it is quiet by now:\n{}", sensor.said());
    assert_eq!(Records::read(&output).logins.len(), 30, "sent twice, watched once:\n{}", sensor.said());
}

#[test]
fn certificates_are_read_anew_within_the_sandbox_and_other_receivers_take_a_restart() {
    if skipped(&["ip", "openssl"]) {
        return;
    }
    let (scratch, net) = (Scratch::new("papers"), QuietNet::new("papers"));
    let room = scratch.folder("room");
    let (config, ca) = (scratch.path("barewire.toml"), room.join("ca.pem"));
    let set = |more: &str| {
        let text = format!(
            "spool = '{}'\n[watch]\ninterface = 'quiet0'\n[sinks.hook]\ntype = 'webhook'\nurl = 'https://127.0.0.1:1/'\nca = '{}'\n{more}",
            room.join("spool").display(),
            ca.display()
        );
        fs::write(&config, text).expect("the configuration");
    };
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ca", "-keyout"])
        .arg(room.join("ca.key"))
        .arg("-out")
        .arg(&ca)
        .output()
        .expect("openssl");
    assert!(made.status.success());
    let good = fs::read(&ca).expect("it");
    set("");
    let mut sensor = Watched::start(net.program(BAREWIRE).args(["watch", "-c"]).arg(&config));
    sensor.wait_for_line("listening on");
    fs::write(&ca, "nothing").expect("written");
    sensor.signal("HUP");
    sensor.wait_for_line("sink hook: its certificates stay as they were read: ");
    // Another file in its place, as tools for certificates put it there.
    fs::write(room.join("new"), good).expect("written");
    fs::rename(room.join("new"), &ca).expect("moved");
    set("gzip = true\n");
    sensor.signal("HUP");
    sensor.wait_for_line("after a restart only: sinks");
    assert!(sensor.stop("TERM").code().is_some());
    assert_eq!(sensor.said().matches("stay as they were read").count(), 1, "{}", sensor.said());
    assert!(!sensor.said().contains("denied"), "{}", sensor.said());
}

/// Started by root, delivered by whoever it becomes: through a spool in a folder that it made itself.
#[test]
fn what_is_in_a_spool_is_delivered_once_rights_are_given_up() {
    if skipped(&["ip", "python3"]) {
        return;
    }
    let (scratch, net) = (Scratch::new("posts"), QuietNet::new("posts"));
    let room = scratch.folder("room");
    let (config, copy) = (scratch.path("barewire.toml"), room.join("copy.ndjson"));
    let text = format!(
        "spool = '{}'\n[watch]\ninterface = 'quiet0'\n[sinks.copy]\ntype = 'file'\npath = '{}'\n",
        scratch.path("a/new/spool").display(),
        copy.display()
    );
    fs::write(&config, text).expect("the configuration");
    let sent = scratch.path("sent.pcap");
    fs::write(&sent, pcap(&crowd(30, 1))).expect("the capture");
    let mut sensor = Watched::start(net.program(BAREWIRE).args(["watch", "-c"]).arg(&config));
    sensor.wait_for_line("listening on");
    net.send(&sent);
    let asked = Instant::now();
    while fs::read_to_string(&copy).unwrap_or_default().lines().count() < 30 {
        assert!(asked.elapsed() < PATIENCE, "nothing is delivered:\n{}", sensor.said());
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(sensor.stop("TERM").code(), Some(0), "{}", sensor.said());
}

#[test]
fn a_finding_that_occurs_again_is_told_again_with_its_count() {
    if skipped(&["ip", "python3"]) {
        return;
    }
    let scratch = Scratch::new("again");
    let net = QuietNet::new("again");
    let (sent, output) = (scratch.path("sent.pcap"), scratch.path("out.ndjson"));
    let mut sensor =
        Watched::start(net.program(BAREWIRE).args(["watch", "-i", "quiet0", "--roll-up", "1", "-o"]).arg(&output));
    sensor.wait_for_line("listening on");
    let counts = || -> Vec<u64> {
        let records = Records::read(&output);
        let passwords = records.findings.iter().filter(|finding| at(finding, "/event/action") == "cleartext-password");
        passwords.map(|finding| finding.pointer("/barewire/count").and_then(Value::as_u64).unwrap_or(0)).collect()
    };
    for told in [&[1][..], &[1, 2], &[1, 2, 3]] {
        fs::write(&sent, pcap(&crowd_from(3000 + told.len() as u16, 1, 1))).expect("the capture");
        net.send(&sent);
        let asked = Instant::now();
        while counts() != told {
            assert!(asked.elapsed() < net::PATIENCE, "{:?}\n{}", counts(), sensor.said());
            thread::sleep(Duration::from_millis(50));
        }
    }
    assert_eq!(sensor.stop("TERM").code(), Some(0), "{}", sensor.said());
    assert_eq!(counts(), [1, 2, 3], "nothing is told again at the end");
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
    net.switch("down");
    sensor.wait_for_line("quiet0 is down");
    net.switch("up");
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
fn a_service_manager_hears_that_it_is_ready_alive_and_stopping() {
    if skipped(&["ip"]) {
        return;
    }
    let scratch = Scratch::new("notify");
    let net = QuietNet::new("ntfy");
    let path = scratch.path("notify");
    let manager = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    // As a manager's is, that all users may speak to.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("its mode");
    manager.set_read_timeout(Some(Duration::from_secs(20))).expect("a bound");
    let hear = || {
        let mut heard = [0; 4096];
        let count = manager.recv(&mut heard).expect("a word");
        String::from_utf8_lossy(&heard[..count]).into_owned()
    };
    let until = |wanted: &str| {
        let heard: Vec<String> =
            std::iter::repeat_with(hear).take(50).take_while(|word| !word.contains(wanted)).collect();
        assert!(heard.len() < 50, "{wanted} is not in {heard:?}");
        heard
    };
    let mut sensor = Watched::start(
        net.program(BAREWIRE)
            .args(["watch", "-i", "quiet0"])
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "1000000"),
    );
    let ready = hear();
    assert!(ready.starts_with("READY=1\nSTATUS=listening on quiet0: mail ports and fragments; "), "{ready}");
    until("WATCHDOG=1");
    until("WATCHDOG=1");
    sensor.signal("HUP");
    until("RELOADING=1\nMONOTONIC_USEC=");
    until("READY=1");
    net.switch("down");
    until("STATUS=quiet0 is down");
    sensor.stop("TERM");
    until("STOPPING=1");
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

// --- what must be put away again --------------------------------------------------------------

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
