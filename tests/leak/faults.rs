//! Nothing of a secret leaves by a fault of the program: neither by the words of a panic nor by a core dump.

#[cfg(any(debug_assertions, target_os = "linux"))]
use super::scratch;
use super::{nothing_of, sample, secrets_of_the_sample};
use std::fs;
use std::process::Command;

/// Every worker panics at its first secret, with the secret in the message.
#[cfg(debug_assertions)]
#[test]
fn a_panic_with_a_secret_in_hand_tells_its_place_only() {
    let folder = scratch("panic");
    for jobs in ["0", "1", "2"] {
        for to_file in [false, true] {
            let (records, page) = (folder.join("records.ndjson"), folder.join("page.prom"));
            let _ = fs::remove_file(&page);
            let mut command = Command::new(env!("CARGO_BIN_EXE_barewire"));
            command.args(["replay", "-vvvv", "-j", jobs, "--records", "findings,logins,sessions"]).arg(sample());
            command.arg("--metrics-file").arg(&page);
            if to_file {
                command.arg("-o").arg(&records);
            }
            command.env("RUST_BACKTRACE", "full").env("BAREWIRE_PANIC_WITH_SECRET", "1");
            let output = command.output().expect("the program runs");
            let files = [&records, &page].map(|path| fs::read(path).unwrap_or_default()).concat();
            nothing_of(&secrets_of_the_sample(), &[&output.stdout, &output.stderr, &files[..]].concat(), "a panic");
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{told}");
            assert!(told.contains("fault in this program at src/secret.rs:") && told.contains("the thread "), "{told}");
        }
    }
}

/// What makes it panic is only in builds for tests.
#[cfg(not(debug_assertions))]
#[test]
fn a_release_has_no_way_to_make_it_panic() {
    let program = fs::read(env!("CARGO_BIN_EXE_barewire")).expect("the program");
    let has = |word: &str| super::contains(&program, word.as_bytes());
    assert!(has("BAREWIRE_FINGERPRINT_KEY") && !has("BAREWIRE_PANIC"));
    let output = Command::new(env!("CARGO_BIN_EXE_barewire"))
        .args(["replay", "-q"])
        .arg(sample())
        .env("BAREWIRE_PANIC_WITH_SECRET", "1")
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(0));
    nothing_of(&secrets_of_the_sample(), &[output.stdout, output.stderr].concat(), "a release");
}

/// Whatever the shell that started it allows.
#[cfg(target_os = "linux")]
#[test]
fn a_crash_leaves_no_core() {
    use super::image::Held;
    use std::io::Write as _;
    use std::os::unix::process::ExitStatusExt as _;
    let folder = scratch("crash");
    let shell = |words: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -c unlimited && {words}"), "sh"]).current_dir(&folder);
        command
    };
    let control = shell("kill -ABRT $$").stderr(std::process::Stdio::null()).status().expect("a shell");
    if !control.core_dumped() {
        let line = "SKIPPED leak: no program leaves a core here";
        assert!(std::env::var_os("BAREWIRE_REQUIRE_ALL").is_none(), "BAREWIRE_REQUIRE_ALL is set, but: {line}");
        writeln!(std::io::stderr(), "{line}").expect("standard error");
        return;
    }
    let cores = || fs::read_dir(&folder).expect("the folder").count();
    let before = cores();
    for options in [&[][..], &["--no-sandbox"]] {
        let mut command = shell("exec \"$@\"");
        command.arg(env!("CARGO_BIN_EXE_barewire")).args(["replay", "-q", "-"]).args(options);
        let mut held = Held::before_its_end(&mut command, &fs::read(sample()).expect("the sample"));
        let status = held.end_by(libc::SIGABRT);
        assert_eq!(
            (status.signal(), status.core_dumped(), cores()),
            (Some(libc::SIGABRT), false, before),
            "{options:?}"
        );
    }
    let _ = fs::remove_dir_all(&folder);
}
