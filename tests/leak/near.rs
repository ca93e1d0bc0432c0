//! What is said of a key and of secrets that were given wrongly: never a part of them.

use super::{nothing_of, sample, scratch};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// 64 digits, made up.
const DIGITS: &str = "9f3ad1c27be84650a1b2dd17e49c603fd8572be6104ac9935f7e28d0b61c4aa7";
/// 32 octets, made up.
const OCTETS: &str = "Kestrel/Harbor+Meadow=Lantern-71";

/// Octets of a key that nobody writes by chance.
const PART: usize = 8;

/// Every part of the keys.
fn parts() -> BTreeSet<Vec<u8>> {
    [DIGITS, OCTETS].iter().flat_map(|key| key.as_bytes().windows(PART).map(<[u8]>::to_vec)).collect()
}

/// All that the program says.
fn said(arguments: &[&str], environment: Option<&str>, input: &str) -> (Option<i32>, Vec<u8>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barewire"));
    command.args(arguments).env_clear().env("RUST_BACKTRACE", "full");
    if let Some(key) = environment {
        command.env("BAREWIRE_FINGERPRINT_KEY", key);
    }
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
    // It may have ended before it read anything.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("an end");
    (output.status.code(), [output.stdout, output.stderr].concat())
}

/// Right and wrong key files.
fn key_files(folder: &Path) -> Vec<PathBuf> {
    let files = [
        ("octets", OCTETS.to_owned(), 0o600),
        ("digits", format!("{DIGITS}\n"), 0o600),
        ("open", DIGITS.to_owned(), 0o644),
        ("short", OCTETS[..31].to_owned(), 0o600),
        ("long", format!("{DIGITS}0"), 0o600),
        ("twice", format!("{DIGITS}\n{DIGITS}\n"), 0o600),
        ("no-digit", DIGITS.replace('7', "x"), 0o600),
        ("with-a-name", format!("key = {DIGITS}\n"), 0o600),
        ("quoted", format!("fingerprint-key = \"{DIGITS}\"\n"), 0o600),
    ];
    let write = |(name, text, mode): (&str, String, u32)| {
        let path = folder.join(name);
        let _ = fs::remove_file(&path);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        path
    };
    files.map(write).into()
}

#[test]
fn nothing_of_a_key_is_told_whatever_is_wrong_with_its_file() {
    let folder = scratch("keys");
    let (sample, config) = (sample().display().to_string(), folder.join("config.toml").display().to_string());
    let mut statuses = BTreeSet::new();
    for file in key_files(&folder) {
        let file = file.display().to_string();
        fs::write(&config, format!("verbose = 3\nfingerprint-key = \"{file}\"\n")).expect("a configuration");
        let list = format!("--weak-secrets={file}");
        for arguments in [
            &["check-config", &config][..],
            &["check-config", &file],
            &["replay", "-c", &config, &sample],
            &["replay", "-c", &file, &sample],
            &["replay", "-vvvv", "--fingerprint-key", &file, &sample],
            &["replay", "-vvvv", &list, &sample],
            // In place of a capture.
            &["replay", "-vvvv", &file],
            &["fingerprint", "--key", &file],
        ] {
            let (status, said) = said(arguments, None, "a secret\n");
            nothing_of(&parts(), &said, &arguments.join(" "));
            statuses.insert(status);
        }
    }
    assert_eq!(statuses, [Some(0), Some(2), Some(3)].into(), "right and wrong ones were tried");
}

#[test]
fn a_key_in_place_of_its_files_name_is_not_told() {
    let folder = scratch("key-itself");
    let sample = sample().display().to_string();
    let config = folder.join("config.toml").display().to_string();
    let broken = &DIGITS[..61];
    for key in [DIGITS, broken, &OCTETS.replace('/', "-"), &format!("0x{DIGITS}")] {
        for line in [
            format!("fingerprint-key = \"{key}\""),
            format!("[watch]\nfingerprint-key = \"{key}\""),
            format!("fingerprint-key = [\"{key}\"]"),
            format!("fingerprint-key = {{ key = \"{key}\" }}"),
            format!("fingerprint-key = {key}"),
            format!("fingerprint-key = \"{key}"),
            format!("fingerprint_key = \"{key}\""),
            format!("fingerprint-key \"{key}\""),
        ] {
            fs::write(&config, &line).expect("a configuration");
            for arguments in [&["check-config", &config][..], &["replay", "-vvvv", "-c", &config, &sample]] {
                let (status, said) = said(arguments, None, "");
                let is_of_watch = line.starts_with("[watch]") && arguments[0] == "replay";
                assert!(status == Some(2) || is_of_watch || cfg!(not(feature = "live")), "{status:?}");
                nothing_of(&parts(), &said, &arguments.join(" "));
            }
        }
        let typed = [&["replay", "--fingerprint-key", key, &sample][..], &["fingerprint", "--key", key]];
        for (arguments, environment) in
            typed.iter().map(|typed| (*typed, None)).chain([(&["replay", &sample][..], Some(key))])
        {
            let (status, said) = said(arguments, environment, "a secret\n");
            assert_eq!(status, Some(2));
            nothing_of(&parts(), &said, arguments[0]);
        }
    }
}

#[test]
fn a_secret_that_is_typed_is_not_told_again() {
    let key = &key_files(&scratch("typed"))[0].display().to_string();
    for arguments in [
        &["fingerprint", "--key", key, "Kestrel-Harbor-9"][..],
        &["fingerprint", "Kestrel-Harbor-9", "--key", key],
        &["fingerprint", "--key", key, "--Kestrel-Harbor-9"],
        &["fingerprint", "--key", key, "--bearer=Kestrel-Harbor-9"],
        &["fingerprint", "--key", key, "--secret=Kestrel-Harbor-9"],
    ] {
        let (status, said) = said(arguments, None, "");
        assert_eq!(status, Some(2));
        nothing_of(&[b"Kestrel-Harbor-9".to_vec()].into(), &said, "fingerprint");
    }
}
