//! Many sensors, one bus, one store: three of them with overlapping taps in network namespaces, real connections, a broker and
//! a store of other authors, and every question of `contrib/fleet` answered as the truth has it.
//!
//! `fleet/run.py` is the whole of it; its head says how. One command runs it, as root:
//!
//! ```text
//! tests/fleet/install && cargo test --features kafka --test fleet -- --nocapture
//! ```
#![cfg(target_os = "linux")]

#[cfg(feature = "kafka")]
#[path = "bed/net.rs"]
mod net;
#[path = "bed/records.rs"]
mod records;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Once;

const BAREWIRE: &str = env!("CARGO_BIN_EXE_barewire");

/// The environment that `fleet/install` makes, or nothing where it is not there, which is said loudly, or fails where that
/// isn't allowed.
fn python() -> Option<PathBuf> {
    static INSTALLING: Once = Once::new();
    let is_required = std::env::var_os("BAREWIRE_REQUIRE_RECEIVERS").is_some();
    let python = records::root("target/fleet/bin/python");
    INSTALLING.call_once(|| {
        if is_required {
            let made = Command::new(records::root("tests/fleet/install")).status();
            assert!(made.is_ok_and(|made| made.success()), "tests/fleet/install");
        }
    });
    if python.is_file() {
        return Some(python);
    }
    assert!(!is_required, "BAREWIRE_REQUIRE_RECEIVERS is set, but there is no {}", python.display());
    skip("tests/fleet/install was not run");
    None
}

fn skip(why: &str) {
    // Not `eprintln!`: the harness would keep that to itself.
    writeln!(std::io::stderr(), "SKIPPED fleet: {why}").expect("standard error");
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
#[cfg(feature = "kafka")]
fn three_sensors_tell_together_what_the_clients_did() {
    let Some(python) = python() else { return };
    if net::skipped(&["ip", "prometheus"]) {
        return;
    }
    let scratch = net::Scratch::new("fleet");
    let mut command = Command::new(python);
    command.arg(records::root("tests/fleet/run.py")).arg(BAREWIRE).arg(scratch.path("."));
    let output = command.env("PATH", net::search_path()).stdin(std::process::Stdio::null()).output().expect("python");
    assert!(output.status.success(), "{}", said(&output));
    println!("{}", said(&output));
}

#[test]
fn the_questions_answer_as_correlate_does() {
    let Some(python) = python() else { return };
    let output = Command::new(python).arg(records::root("tests/fleet/questions.py")).arg(BAREWIRE).output();
    let output = output.expect("python");
    assert!(output.status.success(), "{}", said(&output));
    println!("{}", said(&output));
}
