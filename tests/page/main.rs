//! The page for people: `barewire ui` over records, and `watch --ui` over real packets. Who may see it, what it says, and
//! what it does in a browser.
//!
//! The page in a browser needs node, Chromium and two packages, and says so on standard error where they are missing:
//!
//! ```text
//! npm install --no-package-lock --prefix tests/report
//! BAREWIRE_REQUIRE_BROWSER=1 cargo test --test page
//! ```

#![allow(clippy::print_stderr, reason = "what is left out, and what was measured, is told")]

#[path = "../bed/browser.rs"]
mod browser;
#[path = "../report/made.rs"]
#[allow(dead_code, reason = "not all of it is needed here")]
mod made;
#[path = "../bed/net.rs"]
mod net;

mod door;
mod looks;
#[cfg(feature = "live")]
mod watch;

use net::Watched;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_barewire");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn scratch(name: &str, content: &[u8]) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(name);
    std::fs::write(&path, content).expect("a scratch file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    path
}

/// All records of the bundled capture.
fn office() -> Vec<u8> {
    let output = Command::new(PROGRAM)
        .args(["replay", "--records", "findings,logins,sessions", "testdata/office.pcap"])
        .current_dir(root())
        .output()
        .expect("the program runs");
    assert!(output.stdout.len() > 10_000, "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A running `barewire ui`, on a port that the system chose.
struct Ui {
    watched: Watched,
    address: SocketAddr,
}

impl Ui {
    fn start(arguments: &[&str]) -> Self {
        let mut watched = Watched::start(Command::new(PROGRAM).arg("ui").args(arguments).current_dir(root()));
        let line = watched.wait_for_line("page at ");
        let address = line.split("://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address");
        let address: SocketAddr = address.parse().expect("an address and port");
        assert!(!address.ip().is_unspecified(), "no visit may name it: {line}");
        Self { watched, address }
    }

    fn over(records: &Path, more: &[&str]) -> Self {
        let records = records.to_str().expect("a name");
        Self::start(&[&[records, "--listen", "0"], more].concat())
    }

    /// The answer to a request, with `HOST` in it for where the page is.
    fn ask(&self, request: &str) -> String {
        let mut socket = TcpStream::connect(self.address).expect("a connection");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        socket.write_all(request.replace("HOST", &self.address.to_string()).as_bytes()).expect("sent");
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        String::from_utf8(answer).expect("text")
    }

    fn page(&self, target: &str) -> String {
        let answer = self.ask(&format!("GET {target} HTTP/1.1\r\nHost: HOST\r\n\r\n"));
        let (head, page) = answer.split_once("\r\n\r\n").expect("an answer");
        assert!(head.starts_with("HTTP/1.1 200 "), "{target}: {head}");
        page.to_owned()
    }

    /// The page once it says what it must: records are read while it is served.
    fn page_with(&self, target: &str, text: &str) -> String {
        for _ in 0..600 {
            let page = self.page(target);
            if page.contains(text) {
                return page;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{text} is never on {target}: {}", self.page(target));
    }

    fn stop(mut self) {
        assert!(self.watched.stop("TERM").success(), "{}", self.watched.said());
    }
}
