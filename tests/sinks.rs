//! Receivers behind spools, through the program: what the configuration names gets every record, whoever is killed when.
//!
//! `BAREWIRE_KILLS=100 cargo test --release --test sinks` kills it that often; by default a few times.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use barewire::testing::{Link, Transcript, frames, pcap};
use barewire::wire::Endpoint;
use serde_json::Value;

const BAREWIRE: &str = env!("CARGO_BIN_EXE_barewire");

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bw-sinks-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a scratch folder");
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A configuration with these sinks.
    fn config(&self, sinks: &str) -> PathBuf {
        let path = self.path("barewire.toml");
        let head = format!(
            "spool = '{}'\nfingerprint-key = '{}'\nrecords = ['findings', 'logins']\nallow-empty = true\n",
            self.path("spool").display(),
            self.key().display()
        );
        fs::write(&path, format!("{head}{sinks}")).expect("the configuration");
        path
    }

    fn key(&self) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path("key");
        fs::write(&path, "thirty-two octets made for tests").expect("the key");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        path
    }

    /// So many logins, each by another client.
    fn capture(&self, logins: u32) -> PathBuf {
        self.capture_over(0, logins)
    }

    /// The same over so many seconds.
    fn capture_over(&self, seconds: u64, logins: u32) -> PathBuf {
        let text = "S: +OK ready\nC: USER bob\nS: +OK\nC: PASS made-up\nS: +OK in\nC: QUIT\nS: +OK";
        let packets: Vec<_> = (0..logins)
            .flat_map(|number| {
                let client = Endpoint { address: Endpoint::v4(0x0a00_0000 + number), port: 2000 };
                let server = Endpoint { address: Endpoint::v4(0xc633_6401), port: 110 };
                let mut packets = Transcript::parse(110, text).between(client, server).play();
                let after = seconds * 1_000_000_000 / u64::from(logins) * u64::from(number);
                packets.iter_mut().for_each(|packet| packet.time.0 += after);
                packets
            })
            .collect();
        let path = self.path("sent.pcap");
        fs::write(&path, pcap(&frames(&packets, Link::Ethernet))).expect("the capture");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn replay(config: &Path, capture: &Path) -> Command {
    let mut command = Command::new(BAREWIRE);
    command.arg("replay").arg("-q").arg("-c").arg(config).arg(capture).stdin(Stdio::null());
    command
}

fn run(config: &Path, capture: &Path) -> Output {
    replay(config, capture).output().expect("barewire")
}

/// How often each record is there; every line must be whole, but for the last where a kill has cut it off.
fn ids(path: &Path) -> BTreeMap<String, u32> {
    ids_of(&fs::read(path).unwrap_or_default())
}

fn ids_of(lines: &[u8]) -> BTreeMap<String, u32> {
    let mut ids = BTreeMap::new();
    for line in lines.split_inclusive(|octet| *octet == b'\n').filter(|line| line.ends_with(b"\n")) {
        let record: Value = serde_json::from_slice(line).expect("a whole line");
        *ids.entry(record["event"]["id"].as_str().expect("an identity").to_owned()).or_default() += 1;
    }
    ids
}

#[test]
fn each_receiver_gets_every_record_as_the_output_would() {
    let scratch = Scratch::new("all");
    let sample = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/office.pcap"));
    let (copy, other) = (scratch.path("copy.ndjson"), scratch.path("other.ndjson"));
    let tables = format!(
        "[sinks.copy]\ntype = 'file'\npath = '{}'\n[sinks.other]\ntype = 'file'\npath = '{}'\n[sinks.out]\ntype = 'stdout'\n",
        copy.display(),
        other.display()
    );
    let direct = run(&scratch.config(""), sample);
    let through = run(&scratch.config(&tables), sample);
    assert_eq!(through.status.code(), Some(0), "{}", String::from_utf8_lossy(&through.stderr));
    assert!(direct.stdout.len() > 10_000);
    for (name, octets) in [("stdout", through.stdout), ("copy", fs::read(copy).expect("it"))] {
        assert!(octets == direct.stdout, "{name}");
    }
    assert!(fs::read(other).expect("it") == direct.stdout);
    // Only what the sinks name is written.
    let quiet = run(&scratch.config("[sinks.copy]\ntype = 'file'\npath = '/dev/full'\n"), sample);
    assert_eq!(quiet.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&quiet.stderr).contains("sink copy: opening /dev/full"), "a device is no file");
}

/// A record is acknowledged once it is in the spool: what was put there arrives, whenever the program is killed, and at
/// least once.
#[test]
fn killed_at_any_moment_nothing_in_the_spool_is_lost() {
    let kills: u64 = std::env::var("BAREWIRE_KILLS").map_or(6, |kills| kills.parse().expect("a number"));
    let scratch = Scratch::new("kill");
    let copy = scratch.path("copy.ndjson");
    let config = scratch.config(&format!("[sinks.copy]\ntype = 'file'\npath = '{}'\n", copy.display()));
    let capture = scratch.capture(2000);
    let wanted = {
        let direct = run(&scratch.config(""), &capture);
        fs::write(scratch.path("direct"), direct.stdout).expect("written");
        ids(&scratch.path("direct"))
    };
    assert!(wanted.len() > 4000);
    scratch.config(&format!("[sinks.copy]\ntype = 'file'\npath = '{}'\n", copy.display()));
    let mut arrived = 0;
    for kill in 0..kills {
        let mut child = replay(&config, &capture).stderr(Stdio::null()).spawn().expect("barewire");
        thread::sleep(Duration::from_micros(kill * 7919 % 100 * 3000));
        let _ = child.kill();
        let _ = child.wait();
        // What stood in the file stays there.
        let there = ids(&copy).len();
        assert!(there >= arrived, "{there} of {arrived}");
        arrived = there;
    }
    let last = run(&config, &capture);
    assert_eq!(last.status.code(), Some(0), "{}", String::from_utf8_lossy(&last.stderr));
    assert!(fs::read(&copy).expect("the copy").ends_with(b"}\n"), "what a kill has cut off was cut away");
    let ids = ids(&copy);
    assert_eq!(ids.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    println!(
        "{kills} kills: {} records, {} sent twice or more",
        ids.len(),
        ids.values().filter(|times| **times > 1).count()
    );
}

/// A webhook that takes everything, by the identities of what came.
fn hook(listener: TcpListener, came: Arc<Mutex<BTreeMap<String, u32>>>) {
    for client in listener.incoming() {
        let Ok(client) = client else { return };
        let came = Arc::clone(&came);
        thread::spawn(move || {
            let mut reader = BufReader::new(client.try_clone().expect("a client"));
            loop {
                let (mut octets, mut line) = (0, String::new());
                loop {
                    line.clear();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 {
                        return;
                    }
                    let head = line.trim_end().to_ascii_lowercase();
                    if let Some(length) = head.strip_prefix("content-length: ") {
                        octets = length.parse().expect("a length");
                    }
                    if head.is_empty() {
                        break;
                    }
                }
                let mut body = vec![0; octets];
                reader.read_exact(&mut body).expect("a body");
                for line in body.split(|octet| *octet == b'\n').filter(|line| !line.is_empty()) {
                    let record: Value = serde_json::from_slice(line).expect("a record");
                    let id = record["event"]["id"].as_str().expect("an identity").to_owned();
                    *came.lock().expect("no panic").entry(id).or_default() += 1;
                }
                let answered = (&client).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                if answered.is_err() {
                    return;
                }
            }
        });
    }
}

/// An hour of traffic, as its packets say, while one receiver is dead: the others have all of it before anybody waits for the
/// dead one, its spool stays within its bound, and what is in it is delivered by the next run.
#[test]
fn one_that_is_dead_for_an_hour_holds_up_no_other_and_gets_everything_in_the_end() {
    let scratch = Scratch::new("dead");
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it");
    let copy = scratch.path("copy.ndjson");
    let tables = format!(
        "[sinks.copy]\ntype = 'file'\npath = '{}'\n[sinks.out]\ntype = 'stdout'\n\
         [sinks.hook]\ntype = 'webhook'\nurl = 'http://{free}/'\nspool-size = 64\n",
        copy.display()
    );
    let config = scratch.config(&tables);
    let capture = scratch.capture_over(3600, 3000);
    let wanted = ids_of(&run(&scratch.config(""), &capture).stdout);
    assert!(wanted.len() > 6000);
    scratch.config(&tables);
    let began = Instant::now();
    let mut child = replay(&config, &capture).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("barewire");
    let mut out = child.stdout.take().expect("piped");
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        out.read_to_end(&mut all).expect("its output");
        all
    });
    // Long before the run gives the dead one up.
    while ids(&copy).len() < wanted.len() {
        assert!(began.elapsed() < Duration::from_secs(25), "{} of {}", ids(&copy).len(), wanted.len());
        thread::sleep(Duration::from_millis(50));
    }
    assert!(child.try_wait().expect("it").is_none(), "it waits for the dead one");
    let size = |folder: &Path| -> u64 {
        let files = fs::read_dir(folder).expect("a spool").flatten();
        files.map(|file| file.metadata().map_or(0, |file| file.len())).sum()
    };
    let spooled = size(&scratch.path("spool/hook"));
    assert!((1 << 20..64 << 20).contains(&spooled), "{spooled} octets wait");
    let first = child.wait_with_output().expect("barewire");
    assert_eq!(first.status.code(), Some(5), "{}", String::from_utf8_lossy(&first.stderr));
    assert_eq!(ids_of(&reader.join().expect("the reader")).len(), wanted.len());
    // It is back: a run without anything new delivers what waits.
    let came = Arc::new(Mutex::new(BTreeMap::new()));
    let listener = TcpListener::bind(free).expect("its port again");
    let shared = Arc::clone(&came);
    thread::spawn(move || hook(listener, shared));
    let empty = scratch.path("empty.pcap");
    fs::write(&empty, &fs::read(&capture).expect("it")[..24]).expect("a capture of nothing");
    let second = run(&config, &empty);
    assert_eq!(second.status.code(), Some(0), "{}", String::from_utf8_lossy(&second.stderr));
    let came = came.lock().expect("no panic");
    assert_eq!(came.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>(), "all is there");
    assert!(came.values().all(|times| *times == 1), "and nothing twice");
}
