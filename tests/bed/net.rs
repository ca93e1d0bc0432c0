//! What tests that need a network of their own have in common: whether the machine has all it takes, an interface on which
//! nothing is said, and programs that are followed and never outlive their test.
// Not every test needs all of it.
#![allow(dead_code)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Sends the frames of a capture; its head says how.
pub(crate) const SEND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bed/send.py");

/// How long a program may take to begin listening, or to end once told to.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

// --- what the machine has ---------------------------------------------------------------------

/// Whether the test must be left out, which is said loudly, or fails where that isn't allowed.
pub(crate) fn skipped(programs: &[&str]) -> bool {
    let missing = missing(programs);
    if missing.is_empty() {
        return false;
    }
    let line = format!("SKIPPED: {}", missing.join(", "));
    assert!(std::env::var_os("BAREWIRE_REQUIRE_ALL").is_none(), "BAREWIRE_REQUIRE_ALL is set, but: {line}");
    // Not `eprintln!`: the harness would keep that to itself.
    writeln!(std::io::stderr(), "{line}").expect("standard error");
    true
}

pub(crate) fn missing(programs: &[&str]) -> Vec<String> {
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
pub(crate) fn search_path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/local/sbin:/usr/sbin:/sbin")
}

pub(crate) fn is_installed(program: &str) -> bool {
    search_path().split(':').any(|folder| Path::new(folder).join(program).is_file())
}

pub(crate) fn has_libpcap() -> bool {
    let multiarch = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    ["/usr/lib", "/usr/lib64", "/lib", "/usr/local/lib"]
        .into_iter()
        .map(PathBuf::from)
        .chain(multiarch.map(|entry| entry.path()))
        .any(|folder| ["libpcap.so.0.8", "libpcap.so.1", "libpcap.so"].iter().any(|name| folder.join(name).exists()))
}

pub(crate) fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("Uid:")).and_then(|ids| ids.split_whitespace().nth(1)) == Some("0")
}

pub(crate) fn can_make_namespaces() -> bool {
    let name = format!("bw-probe-{}-{:?}", std::process::id(), thread::current().id()).replace(['(', ')'], "");
    let made = quietly("ip", &["netns", "add", &name]);
    if made {
        quietly("ip", &["netns", "delete", &name]);
    }
    made
}

pub(crate) fn quietly(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .env("PATH", search_path())
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success())
}

/// A folder for one test. Not the build's own: the servers of the bed drop root and must get in.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Scratch {
        let folder = format!("bw-live-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(folder);
        // Of a former process with the same number.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a scratch folder");
        let scratch = Scratch(path);
        give_away(&scratch.0);
        scratch
    }

    /// A folder in it.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path).expect("a folder");
        give_away(&path);
        path
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        let path = self.path("key");
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).expect("the key file");
        file.write_all(b"thirty-two octets made for tests").expect("the key");
        path
    }
}

/// To whom a sensor that root starts becomes; others get in as well.
fn give_away(path: &Path) {
    const NOBODY: u32 = 65_534;
    fs::set_permissions(path, fs::Permissions::from_mode(0o711)).expect("its mode");
    if is_root() {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).expect("its owner");
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A namespace with an interface on which nothing is said.
pub(crate) struct QuietNet {
    namespace: String,
}

impl QuietNet {
    pub(crate) fn new(name: &str) -> QuietNet {
        let net = QuietNet { namespace: format!("bw-{name}-{}", std::process::id()) };
        let ns = net.namespace.as_str();
        for arguments in [
            vec!["netns", "add", ns],
            vec!["-n", ns, "link", "add", "quiet0", "type", "veth", "peer", "name", "quiet1"],
            // No link-local address, so nothing asks for neighbours.
            vec!["-n", ns, "link", "set", "quiet0", "addrgenmode", "none"],
            vec!["-n", ns, "link", "set", "quiet1", "addrgenmode", "none"],
            vec!["-n", ns, "link", "set", "lo", "up"],
            vec!["-n", ns, "link", "set", "quiet1", "up"],
            vec!["-n", ns, "link", "set", "quiet0", "up"],
        ] {
            assert!(quietly("ip", &arguments), "ip {}", arguments.join(" "));
        }
        net
    }

    /// What `ip netns exec` knows it by.
    pub(crate) fn name(&self) -> &str {
        &self.namespace
    }

    pub(crate) fn program(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        // `ip` becomes the program, so a signal to the child reaches it.
        command.args(["netns", "exec", &self.namespace, program]).env("PATH", search_path()).stdin(Stdio::null());
        command
    }

    /// Switches the near end on (`up`) or off (`down`).
    pub(crate) fn switch(&self, state: &str) {
        let arguments = ["-n", &self.namespace, "link", "set", "quiet0", state];
        assert!(quietly("ip", &arguments), "ip {}", arguments.join(" "));
    }

    /// Sends a capture's frames from the far end; how many they are.
    pub(crate) fn send(&self, capture: &Path) -> u64 {
        self.send_at(capture, 20_000)
    }

    /// The same, so many frames a second.
    pub(crate) fn send_at(&self, capture: &Path, rate: u32) -> u64 {
        let mut sender = self.program("python3");
        sender.arg(SEND).arg("quiet1").arg(capture).arg(rate.to_string());
        let sent = sender.output().expect("python3");
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
pub(crate) struct Watched {
    child: Child,
    said: Arc<(Mutex<String>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

impl Watched {
    pub(crate) fn start(command: &mut Command) -> Watched {
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

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it said so far on standard error.
    pub(crate) fn said(&self) -> String {
        self.said.0.lock().expect("no panic while locked").clone()
    }

    /// The first line with this in it.
    pub(crate) fn wait_for_line(&mut self, part: &str) -> String {
        let (text, news) = &*self.said;
        let text = text.lock().expect("no panic while locked");
        let (text, waited) =
            news.wait_timeout_while(text, PATIENCE, |text| !text.contains(part)).expect("no panic while locked");
        assert!(!waited.timed_out(), "no {part:?} within {PATIENCE:?}:\n{text}");
        text.lines().find(|line| line.contains(part)).unwrap_or(part).to_owned()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let number = self.child.id().to_string();
        // The shell's own kill: there is one wherever there is a bed.
        let told = quietly("sh", &["-c", "kill -s \"$1\" \"$2\"", "sh", signal, &number]);
        assert!(told, "it ended before it was told to:\n{}", self.said());
    }

    /// Sends the signal and waits for the end.
    pub(crate) fn stop(&mut self, signal: &str) -> ExitStatus {
        self.signal(signal);
        self.ended()
    }

    /// Waits for the end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the child's status") {
                if let Some(reader) = self.reader.take() {
                    reader.join().expect("the reader of its standard error");
                }
                return status;
            }
            assert!(asked.elapsed() < PATIENCE, "it does not end:\n{}", self.said());
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
