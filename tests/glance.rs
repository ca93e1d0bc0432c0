//! What people see who watch on a terminal, as a terminal shows it: tmux draws, and is asked what is on the screen.
#![cfg(feature = "live")]

#[path = "bed/net.rs"]
mod net;

use net::{PATIENCE, QuietNet, Scratch, skipped};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// A terminal with a program in it.
struct Terminal {
    socket: String,
    /// Is there once the program has ended.
    over: PathBuf,
}

impl Terminal {
    fn new(scratch: &Scratch, (columns, rows): (u32, u32), command: &str) -> Self {
        let terminal = Self { socket: scratch.path("tmux").display().to_string(), over: scratch.path("over") };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &rows, command]);
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.args(["-S", &self.socket]).args(arguments).env("PATH", net::search_path()).env("TERM", "xterm");
        let output = command.output().expect("tmux");
        assert!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-S", "-200"])
    }

    /// The screen once all of this is on it.
    fn wait_for(&self, parts: &[&str]) -> String {
        let asked = Instant::now();
        loop {
            let screen = self.screen();
            if parts.iter().all(|part| screen.contains(part)) {
                return screen;
            }
            assert!(asked.elapsed() < PATIENCE, "no {parts:?} on:\n{screen}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Terminal {
    /// A watch takes the hangup of its terminal for a word to read its configuration anew, so it is interrupted first.
    fn drop(&mut self) {
        let tmux = |arguments: &[&str]| Command::new("tmux").args(["-S", &self.socket]).args(arguments).output();
        let _ = tmux(&["send-keys", "C-c"]);
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE && !self.over.exists() {
            thread::sleep(Duration::from_millis(50));
        }
        let _ = tmux(&["kill-server"]);
    }
}

fn sample() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/office.pcap"))
}

/// A watch in that network, which stays on the screen when it is over.
fn watch(net: &QuietNet, scratch: &Scratch, more: &str) -> String {
    let room = scratch.folder("room");
    let barewire = env!("CARGO_BIN_EXE_barewire");
    let network = net.name();
    format!(
        "ip netns exec {network} {barewire} watch -i quiet0 {more} -o {}/out.ndjson; touch {}; sleep 600",
        room.display(),
        scratch.path("over").display()
    )
}

#[test]
fn a_terminal_shows_how_things_stand_and_then_the_summary() {
    if skipped(&["ip", "tmux", "python3"]) {
        return;
    }
    let (scratch, net) = (Scratch::new("glance"), QuietNet::new("glance"));
    let terminal = Terminal::new(&scratch, (100, 60), &watch(&net, &scratch, ""));
    let before = terminal.wait_for(&["-- quiet0 since 0:0", "0 packets, 0 a second", "no findings yet"]);
    assert!(before.lines().any(|line| line.starts_with("barewire: listening on quiet0: ")), "{before}");
    net.send_at(sample(), 2000);
    let after = terminal.wait_for(&["428 packets", "13 logins in clear: 9 accepted", "10.77.0.", "mail session"]);
    let shown: Vec<&str> = after.lines().filter(|line| line.starts_with("-- quiet0 since ")).collect();
    assert_eq!(shown.len(), 1, "it is drawn over itself:\n{after}");
    let latest = after.lines().filter(|line| line.starts_with("  ") && line.matches(':').count() >= 2).count();
    assert_eq!(latest, 6, "the latest findings:\n{after}");
    terminal.tmux(&["send-keys", "C-c"]);
    let last = terminal.wait_for(&["13 logins crossed the wire in clear", "Mail sessions, by how they were protected"]);
    assert!(!last.contains("-- quiet0 since"), "it is gone in the end:\n{last}");
}

#[test]
fn plain_lines_are_had_for_the_asking_and_a_narrow_terminal_is_not_overrun() {
    if skipped(&["ip", "tmux", "python3"]) {
        return;
    }
    let (scratch, net) = (Scratch::new("plain"), QuietNet::new("plain"));
    let terminal = Terminal::new(&scratch, (100, 40), &watch(&net, &scratch, "--plain --stats 1"));
    let plain = terminal.wait_for(&["listening on", "packets captured"]);
    assert!(!plain.contains("-- quiet0 since"), "{plain}");
    drop(terminal);
    let narrow = Scratch::new("narrow");
    let terminal = Terminal::new(&narrow, (30, 40), &watch(&net, &narrow, ""));
    terminal.wait_for(&["-- quiet0 since 0:0"]);
    thread::sleep(Duration::from_secs(3));
    let screen = terminal.screen();
    assert_eq!(screen.matches("-- quiet0 since").count(), 1, "nothing wraps:\n{screen}");
}
