//! Real mail software against barewire: what the servers logged of logins and TLS must be what `replay` says of the
//! recordings.
//!
//! `tests/lab` is the laboratory; its head says what it needs. This runs the part that is meant for CI, with packages
//! that `tests/lab/lab.sh rooms ci` has fetched before. Where something is missing the test says so on standard error
//! and passes, unless `BAREWIRE_REQUIRE_ALL` is set.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const BAREWIRE: &str = env!("CARGO_BIN_EXE_barewire");
const LAB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab");

#[test]
fn real_servers_logged_what_barewire_reports() {
    if let Some(why) = missing() {
        let line = format!("SKIPPED lab: {why}");
        assert!(std::env::var_os("BAREWIRE_REQUIRE_ALL").is_none(), "BAREWIRE_REQUIRE_ALL is set, but: {line}");
        // Not `eprintln!`: the harness would keep that to itself.
        writeln!(std::io::stderr(), "{line}").expect("standard error");
        return;
    }
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("lab");
    if out.exists() {
        fs::remove_dir_all(&out).expect("the folder of the last run");
    }
    let run = lab(&["run", &out.to_string_lossy(), "ci"]);
    assert!(run.status.success(), "the laboratory failed:\n{}", said(&run));

    let check = Command::new("python3")
        .arg(Path::new(LAB).join("check.py"))
        .arg(&out)
        .env("BAREWIRE", BAREWIRE)
        .output()
        .expect("check.py");
    assert!(check.status.success(), "barewire and the servers differ:\n{}", said(&check));
}

fn lab(arguments: &[&str]) -> Output {
    let script = Path::new(LAB).join("lab.sh");
    Command::new(script).args(arguments).stdin(Stdio::null()).output().expect("lab.sh")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What the machine lacks, as the script itself finds it.
fn missing() -> Option<String> {
    if !is_root() {
        return Some("not run as root".to_owned());
    }
    let ready = lab(&["ready", "ci"]);
    (!ready.status.success()).then(|| said(&ready).trim().to_owned())
}

fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("Uid:")).and_then(|ids| ids.split_whitespace().nth(1)) == Some("0")
}
