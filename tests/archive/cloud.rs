//! The steps over object stores: stand-ins of other authors on loopback, for S3 moto's server, for Azure its makers' own
//! Azurite. Google's XML interface is S3's but for who asks, so moto's server stands in for that as well.
//!
//! moto judges requests and keeps objects; it does not ask who somebody is, so nothing is proved of that. Azurite does. Where
//! `BAREWIRE_REQUIRE_ALL` is set, what is not installed is installed:
//!
//! ```text
//! python3 -m venv target/moto && target/moto/bin/pip install 'moto[server]==5.1.*'
//! npm install --prefix target/azurite azurite@3.35.0
//! ```

use crate::traffic::{Shape, archive, captured};
use crate::{Bed, RECORDS, done, flows, told};
use barewire::testing::{Random, Speaker, Transcript, pcap};
use barewire::wire::Timestamp;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A server that ends with the test.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// What of Azure stands in the environment there.
const ACCOUNT: &str = "barewire";
const ACCOUNT_KEY: &str = "bWFkZS11cA==";

fn target(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(name)
}

/// Whether it is there, after these commands if need be; else that is said loudly, or fails where that isn't allowed.
fn installed(program: &Path, by: &[&[&str]]) -> bool {
    // Tests run at once, and two of them need the same.
    static ONE: Mutex<()> = Mutex::new(());
    let _alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    if !program.is_file() && std::env::var_os("BAREWIRE_REQUIRE_ALL").is_some() {
        for command in by {
            let folder = env!("CARGO_MANIFEST_DIR");
            let status = Command::new(command[0]).args(&command[1..]).current_dir(folder).status();
            assert!(status.is_ok_and(|status| status.success()), "{}", command.join(" "));
        }
    }
    if !program.is_file() {
        let by: Vec<_> = by.iter().map(|command| command.join(" ")).collect();
        writeln!(std::io::stderr(), "SKIPPED: {}", by.join(" && ")).expect("standard error");
    }
    program.is_file()
}

impl Server {
    /// S3, and Google's store, with a bucket. Nothing where it is not installed.
    fn moto() -> Option<Self> {
        let program = target("moto/bin/moto_server");
        let pip = ["target/moto/bin/pip", "install", "-q", "moto[server]==5.1.*"];
        if !installed(&program, &[&["python3", "-m", "venv", "target/moto"], &pip]) {
            return None;
        }
        let moto = Self::start(|port| {
            let mut command = Command::new(&program);
            command.args(["-H", "127.0.0.1", "-p", port]);
            command
        });
        moto.ask("PUT", "/bucket", b"");
        Some(moto)
    }

    /// Azure's blobs, with a container. Nothing where it is not installed.
    fn azurite() -> Option<Self> {
        let program = target("azurite/node_modules/.bin/azurite-blob");
        let npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"];
        if !installed(&program, &[&[&npm[..], &["--prefix", "target/azurite", "azurite@3.35.0"]].concat()]) {
            return None;
        }
        let azurite = Self::start(|port| {
            let mut command = Command::new(&program);
            command.args(["--blobHost", "127.0.0.1", "--blobPort", port]);
            command.args(["--inMemoryPersistence", "--silent", "--disableTelemetry"]);
            command.env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{ACCOUNT_KEY}"));
            command
        });
        azurite.signed("bucket", &[]);
        Some(azurite)
    }

    fn start(command: impl FnOnce(&str) -> Command) -> Self {
        // A port that is free now; nobody else here takes ports by number.
        let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
        let process = command(&address.port().to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir(env!("CARGO_TARGET_TMPDIR"))
            .spawn()
            .expect("the server starts");
        let server = Self { process, address };
        while TcpStream::connect(server.address).is_err() {
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// Asks one that does not ask who asks; gives the whole answer.
    fn ask(&self, method: &str, path: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        let len = body.len();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: s3\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n");
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).expect("it listens");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("HTTP/1.1 200"), "{method} {path}: {answer}");
        answer
    }

    /// Asks Azurite; gives what it says.
    fn signed(&self, name: &str, more: &[&str]) -> String {
        let account = format!("http://{}/{ACCOUNT}", self.address);
        let mut command = Command::new("node");
        command.arg("tests/archive/azure.mjs").args([&account, ACCOUNT_KEY, name]).args(more);
        let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("node");
        assert!(output.status.success(), "{}", told(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// A store as the steps see it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    S3,
    Google,
    Azure,
}

/// One of them, by its server.
struct Store<'a> {
    kind: Kind,
    server: &'a Server,
}

impl Store<'_> {
    fn uri(&self, name: &str) -> String {
        let scheme = match self.kind {
            Kind::S3 => "s3",
            Kind::Google => "gs",
            Kind::Azure => "az",
        };
        format!("{scheme}://bucket/{name}")
    }

    /// The program, to which the store is at that address.
    fn step(&self, at: SocketAddr, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_barewire"));
        command.args(arguments).stdin(Stdio::null());
        let url = format!("http://{at}");
        match self.kind {
            Kind::S3 => {
                command.env("AWS_ENDPOINT", url).env("AWS_ALLOW_HTTP", "true").env("AWS_REGION", "us-east-1");
                command.env("AWS_ACCESS_KEY_ID", "made-up").env("AWS_SECRET_ACCESS_KEY", "made-up");
            }
            Kind::Google => {
                command.env("GOOGLE_BASE_URL", url).env("GOOGLE_ALLOW_HTTP", "true");
                command.env("GOOGLE_BEARER_TOKEN", "made-up");
            }
            Kind::Azure => {
                command.env("AZURE_STORAGE_USE_EMULATOR", "true").env("AZURITE_BLOB_STORAGE_URL", url);
                command.env("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT).env("AZURE_STORAGE_ACCOUNT_KEY", ACCOUNT_KEY);
            }
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.step(self.server.address, arguments).output().expect("the program runs")
    }

    fn put(&self, name: &str, path: &str) -> String {
        match self.kind {
            Kind::S3 | Kind::Google => {
                let octets = std::fs::read(path).expect("a capture");
                self.server.ask("PUT", &format!("/bucket/{name}"), &octets);
            }
            Kind::Azure => drop(self.server.signed(&format!("bucket/{name}"), &[path])),
        }
        self.uri(name)
    }

    /// Names of objects that begin so.
    fn names(&self, prefix: &str) -> Vec<String> {
        let names: Vec<String> = match self.kind {
            Kind::S3 | Kind::Google => {
                let answer = self.server.ask("GET", "/bucket?list-type=2", b"");
                let keys = answer.split("<Key>").skip(1);
                keys.filter_map(|rest| rest.split("</Key>").next()).map(str::to_owned).collect()
            }
            Kind::Azure => self.server.signed("bucket", &["--list"]).lines().map(str::to_owned).collect(),
        };
        assert!(!names.is_empty(), "there is a manifest at least");
        names.into_iter().filter(|name| name.starts_with(prefix)).collect()
    }
}

/// Between a step and the store: once so many octets have gone to the store, it ends each connection on which there are more.
fn cutting(to: SocketAddr, after: u64) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let cuts = Arc::new(AtomicU64::new(0));
    let (counted, sent) = (Arc::clone(&cuts), Arc::new(AtomicU64::new(0)));
    std::thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(to) else { return };
            let (cuts, sent) = (Arc::clone(&counted), Arc::clone(&sent));
            let (mut from_store, mut to_step) =
                (far.try_clone().expect("a socket"), near.try_clone().expect("a socket"));
            std::thread::spawn(move || drop(std::io::copy(&mut from_store, &mut to_step)));
            std::thread::spawn(move || {
                let (mut near, mut far) = (near, far);
                let mut octets = [0; 4096];
                while let Ok(read @ 1..) = near.read(&mut octets) {
                    if sent.fetch_add(read as u64, Ordering::SeqCst) > after {
                        cuts.fetch_add(1, Ordering::SeqCst);
                        break;
                    }
                    if far.write_all(&octets[..read]).is_err() {
                        break;
                    }
                }
                drop((near.shutdown(std::net::Shutdown::Both), far.shutdown(std::net::Shutdown::Both)));
            });
        }
    });
    (address, cuts)
}

#[test]
fn an_archive_in_a_bucket() {
    let Some(moto) = Server::moto() else { return };
    an_archive(&Store { kind: Kind::S3, server: &moto });
}

#[test]
fn an_archive_in_a_bucket_of_google() {
    let Some(moto) = Server::moto() else { return };
    an_archive(&Store { kind: Kind::Google, server: &moto });
}

#[test]
fn an_archive_in_a_container_of_azure() {
    let Some(azurite) = Server::azurite() else { return };
    let store = Store { kind: Kind::Azure, server: &azurite };
    an_archive(&store);
    let mut finish = store.step(azurite.address, &["archive", "finish", "--manifest", &store.uri("a/manifest.json")]);
    let refused = finish.env("AZURE_STORAGE_ACCOUNT_KEY", "bm90IGl0").output().expect("the program runs");
    assert_eq!(refused.status.code(), Some(3), "{}", told(&refused));
    assert_eq!(told(&refused).lines().count(), 1, "{}", told(&refused));
    assert!(told(&refused).contains("403"), "{}", told(&refused));
    assert!(!told(&refused).contains("bm90IGl0"), "{}", told(&refused));
}

/// A mail of 10 MiB and more that no level of compression makes shorter by much: what is kept of it takes several requests.
fn large() -> Vec<u8> {
    let said = "S: 220 mail.example ESMTP\nC: EHLO here.example\nS: 250-mail.example\nS: 250 AUTH PLAIN\n\
                C: AUTH PLAIN AHUxAG1hZGUtdXA=\nS: 235 in\nC: MAIL FROM:<a@example>\nS: 250 ok\n\
                C: RCPT TO:<b@example>\nS: 250 ok\nC: DATA\nS: 354 go";
    let mut random = Random::new(5);
    let mut talk = Transcript::parse(25, said).at(Timestamp(1_700_000_900_000_000_000));
    for _ in 0..8000 {
        let line: Vec<u8> = (0..1300).map(|_| b'0' + (random.draw() % 64) as u8).chain(*b"\r\n").collect();
        talk = talk.say(Speaker::Client, &line);
    }
    let talk = talk.say(Speaker::Client, b".\r\n").say(Speaker::Server, b"250 ok\r\n");
    pcap(&talk.play().iter().map(captured).collect::<Vec<_>>())
}

/// Captures in the store, steps that write there, one of them ended while it writes; the records are those of a replay.
fn an_archive(store: &Store<'_>) {
    let mut files = archive(11, flows(300), 6, Shape::Rotated);
    files.push(large());
    let bed = Bed::of(&store.uri("").replace(['/', ':'], ""), &files, vec![]);
    let captures: Vec<String> =
        bed.captures.iter().enumerate().map(|(at, path)| store.put(&format!("captures/{at}.pcap"), path)).collect();
    let key = bed.path("key");
    let (out, manifest) = (store.uri("archive/one"), store.uri("archive/one/manifest.json"));
    let plan = |partitions| {
        let plan = ["archive", "plan", "-q", "-p", partitions, "--out", &out, "--fingerprint-key", &key];
        done(&store.run(&[&plan[..], &captures.iter().map(String::as_str).collect::<Vec<_>>()].concat()));
    };
    plan("3");
    let map = ["archive", "map", "-q", "--manifest", &manifest, "--file"];
    // Ended while it writes, a request or one of several: nothing of it can be seen.
    for (index, after) in [(0, 3000), (6, 9_000_000)] {
        let (cutter, cuts) = cutting(store.server.address, after);
        let mut command = store.step(cutter, &map);
        let mut child = command.arg(index.to_string()).stderr(Stdio::null()).spawn().expect("it runs");
        while cuts.load(Ordering::SeqCst) < 2 {
            assert!(child.try_wait().expect("it was started").is_none(), "it ended before a request was cut");
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().and_then(|()| child.wait()).expect("it was started");
        assert_eq!(store.names("archive/one/map/"), Vec::<String>::new());
    }
    for index in 0..captures.len() {
        done(&store.run(&[&map[..], &[&index.to_string()]].concat()));
    }
    for partition in 0..3 {
        let partition = partition.to_string();
        done(&store.run(&["archive", "reduce", &partition, "-q", "--manifest", &manifest, "--fingerprint-key", &key]));
    }
    let finish = ["archive", "finish", "-q", "--manifest", &manifest, "--records", RECORDS];
    let got = store.run(&finish);
    assert_eq!(got.status.code(), bed.want.status.code(), "{}", told(&got));
    // The captures have other names there; what is said of a capture itself has an identity that its name is in.
    let lines = |output: &[u8]| -> Vec<String> {
        let text = String::from_utf8_lossy(output).into_owned();
        let named = (0..captures.len()).fold(text, |text, at| text.replace(&captures[at], &bed.captures[at]));
        named.lines().filter(|line| !line.contains("\"code\":\"coverage-gap\"")).map(str::to_owned).collect()
    };
    let (got, want) = (lines(&got.stdout), lines(&bed.want.stdout));
    assert!(want.len() > 300, "{}", want.len());
    assert!(got == want, "{} and {} lines", got.len(), want.len());
    // Another plan in the place of this one.
    plan("4");
    let refused = store.run(&finish);
    assert_eq!(refused.status.code(), Some(4), "{}", told(&refused));
    let named = format!("{}: it was made by another plan", store.uri("archive/one/map/1/map.json"));
    assert!(told(&refused).contains(&named), "{}", told(&refused));
    let missing = store.run(&["archive", "finish", "--manifest", &store.uri("no/manifest.json")]);
    assert_eq!(missing.status.code(), Some(3), "{}", told(&missing));
    assert!(told(&missing).contains("there is no such object"), "{}", told(&missing));
}
