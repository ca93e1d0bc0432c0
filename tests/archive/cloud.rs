//! The steps over an object store: moto's server, a stand-in for S3 of other authors, on loopback.
//!
//! It judges requests and keeps objects; it does not ask who somebody is, so nothing is proved of that. `python3 -m venv
//! target/moto && target/moto/bin/pip install 'moto[server]==5.1.*'` installs it, which the test does itself where
//! `BAREWIRE_REQUIRE_ALL` is set.

use crate::traffic::{Shape, archive};
use crate::{Bed, RECORDS, done, flows, told};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A server that ends with the test.
struct Moto {
    process: Child,
    address: SocketAddr,
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Moto {
    /// Nothing where it is not installed, which is said loudly, or fails where that isn't allowed.
    fn start() -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/moto");
        let program = folder.join("bin/moto_server");
        let is_required = std::env::var_os("BAREWIRE_REQUIRE_ALL").is_some();
        if is_required && !program.is_file() {
            let made = Command::new("python3").args(["-m", "venv"]).arg(&folder).status();
            assert!(made.is_ok_and(|made| made.success()), "python3 -m venv {}", folder.display());
            let pip = Command::new(folder.join("bin/pip")).args(["install", "-q", "moto[server]==5.1.*"]).status();
            assert!(pip.is_ok_and(|pip| pip.success()), "pip install moto[server]");
        }
        if !program.is_file() {
            let line = "SKIPPED: python3 -m venv target/moto, and pip install 'moto[server]==5.1.*' there";
            writeln!(std::io::stderr(), "{line}").expect("standard error");
            return None;
        }
        // A port that is free now; nobody else here takes ports by number.
        let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
        let process = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto's server starts");
        let moto = Self { process, address };
        while TcpStream::connect(moto.address).is_err() {
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(moto)
    }

    /// Asks it; gives the whole answer.
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

    /// Names of objects that begin so.
    fn names(&self, prefix: &str) -> Vec<String> {
        let answer = self.ask("GET", &format!("/bucket?list-type=2&prefix={prefix}"), b"");
        let keys = answer.split("<Key>").skip(1);
        keys.filter_map(|rest| rest.split("</Key>").next()).map(str::to_owned).collect()
    }
}

/// Between a step and the store: ends each connection once so many octets have gone to the store.
fn cutting(to: SocketAddr, after: usize) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let cuts = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&cuts);
    std::thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(to) else { return };
            let cuts = Arc::clone(&counted);
            let (mut from_store, mut to_step) =
                (far.try_clone().expect("a socket"), near.try_clone().expect("a socket"));
            std::thread::spawn(move || drop(std::io::copy(&mut from_store, &mut to_step)));
            std::thread::spawn(move || {
                let (mut near, mut far) = (near, far);
                let mut sent = 0;
                let mut octets = [0; 4096];
                while let Ok(read @ 1..) = near.read(&mut octets) {
                    if sent + read > after {
                        cuts.fetch_add(1, Ordering::SeqCst);
                        break;
                    }
                    sent += read;
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

fn step(store: SocketAddr, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barewire"));
    command
        .args(arguments)
        .env("AWS_ENDPOINT", format!("http://{store}"))
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_ACCESS_KEY_ID", "made-up")
        .env("AWS_SECRET_ACCESS_KEY", "made-up")
        .env("AWS_REGION", "us-east-1")
        .stdin(Stdio::null());
    command
}

fn run(store: SocketAddr, arguments: &[&str]) -> Output {
    step(store, arguments).output().expect("the program runs")
}

#[test]
fn an_archive_in_a_bucket() {
    let Some(moto) = Moto::start() else { return };
    let bed = Bed::of("cloud", &archive(11, flows(300), 6, Shape::Rotated), vec![]);
    moto.ask("PUT", "/bucket", b"");
    let put = |(at, path): (usize, &String)| {
        let octets = std::fs::read(path).expect("a capture");
        moto.ask("PUT", &format!("/bucket/captures/{at}.pcap"), &octets);
        format!("s3://bucket/captures/{at}.pcap")
    };
    let captures: Vec<String> = bed.captures.iter().enumerate().map(put).collect();
    let key = bed.path("key");
    let out = "s3://bucket/archive/one";
    let plan = ["archive", "plan", "-q", "-p", "3", "--out", out, "--fingerprint-key", &key];
    let store = moto.address;
    done(&run(store, &[&plan[..], &captures.iter().map(String::as_str).collect::<Vec<_>>()].concat()));
    let manifest = "s3://bucket/archive/one/manifest.json";
    let map = ["archive", "map", "-q", "--manifest", manifest, "--file"];
    // Ended while it writes: nothing of it can be seen.
    let (cutter, cuts) = cutting(store, 3000);
    let mut child = step(cutter, &[&map[..], &["0"]].concat()).stderr(Stdio::null()).spawn().expect("it runs");
    while cuts.load(Ordering::SeqCst) < 2 {
        assert!(child.try_wait().expect("it was started").is_none(), "it ended before a request was cut");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().and_then(|()| child.wait()).expect("it was started");
    assert_eq!(moto.names("archive/one/map/"), Vec::<String>::new());
    for index in 0..captures.len() {
        done(&run(store, &[&map[..], &[&index.to_string()]].concat()));
    }
    for partition in 0..3 {
        let partition = partition.to_string();
        done(&run(store, &["archive", "reduce", &partition, "-q", "--manifest", manifest, "--fingerprint-key", &key]));
    }
    let finish = ["archive", "finish", "-q", "--manifest", manifest, "--records", RECORDS];
    let got = run(store, &finish);
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
    let plan = plan.map(|word| if word == "3" { "4" } else { word });
    done(&run(store, &[&plan[..], &captures.iter().map(String::as_str).collect::<Vec<_>>()].concat()));
    let refused = run(store, &finish);
    assert_eq!(refused.status.code(), Some(4), "{}", told(&refused));
    let named = "s3://bucket/archive/one/map/1/map.json: it was made by another plan";
    assert!(told(&refused).contains(named), "{}", told(&refused));
    let missing = run(store, &["archive", "finish", "--manifest", "s3://bucket/no/manifest.json"]);
    assert_eq!(missing.status.code(), Some(3), "{}", told(&missing));
    assert!(told(&missing).contains("there is no such object"), "{}", told(&missing));
}
