//! No secret leaves the program: every octet it writes over the corpus, the page of metrics too, is searched for each known
//! secret, plain, in base64 at its three alignments, in hexadecimal and in URL form. So is what it says of keys and
//! configurations, of a panic with a secret in hand, and what is left in its memory.
//!
//! The folder is named by `BAREWIRE_CORPUS`; without it this skips, loudly. The bundled sample is always searched.

#![allow(clippy::print_stderr, reason = "a skipped test must be loud")]

mod faults;
mod forms;
#[cfg(target_os = "linux")]
mod image;
#[cfg(all(feature = "live", target_os = "linux"))]
mod live;
mod near;
#[cfg(all(feature = "live", target_os = "linux"))]
#[path = "../bed/net.rs"]
mod net;
#[cfg(target_os = "linux")]
mod remains;

use base64::Engine as _;
use forms::{SHORTEST, contains, forms};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs the program over the captures, at every verbosity, and gives back all it wrote.
fn everything_written(captures: &[PathBuf], scratch: &Path) -> Vec<u8> {
    let mut written = Vec::new();
    for options in [&["-q"][..], &[], &["-v"], &["-vvvv"], &["-j", "2"]] {
        let (file, page) = (scratch.join("records.ndjson"), scratch.join("page.prom"));
        for to_file in [false, true] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_barewire"));
            command.arg("replay").args(["--records", "findings,logins,sessions"]).args(options).args(captures);
            command.arg("--metrics-file").arg(&page);
            if to_file {
                command.arg("-o").arg(&file);
            }
            let output = command.output().expect("the program runs");
            written.extend([output.stdout, output.stderr, std::fs::read(&page).expect("the page of metrics")].concat());
            if to_file {
                written.extend(std::fs::read(&file).expect("records"));
            }
        }
    }
    written.extend(documents(captures, scratch));
    written
}

/// What is made of records for builds and for people.
fn documents(captures: &[PathBuf], scratch: &Path) -> Vec<u8> {
    let mut written = Vec::new();
    let mut run = |arguments: &[&str], inputs: &[PathBuf]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_barewire"));
        command.args(arguments).args(inputs).current_dir(scratch).env("GITHUB_STEP_SUMMARY", "summary.md");
        let output = command.output().expect("the program runs");
        written.extend([output.stdout, output.stderr].concat());
    };
    let all = "github,sarif=sarif,junit=junit,ecs=all.ndjson";
    run(&["replay", "--records", "findings,logins,sessions", "--format", all], captures);
    let records = [scratch.join("all.ndjson")];
    for form in ["html", "md", "csv"] {
        run(&["report", "--format", form], &records);
    }
    run(&["baseline", "write", "--reason", "x", "--owner", "y"], &records);
    run(&["replay", "--format", "ocsf", "--baseline", ".barewire-baseline.json"], captures);
    for file in ["sarif", "junit", "summary.md", ".barewire-baseline.json"] {
        written.extend(std::fs::read(scratch.join(file)).expect(file));
        std::fs::remove_file(scratch.join(file)).expect("removed");
    }
    written
}

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a scratch folder");
    folder
}

fn search(captures: &[PathBuf], secrets: &BTreeSet<Vec<u8>>, name: &str) {
    let written = everything_written(captures, &scratch(name));
    assert!(written.len() > 1000, "something was written");
    // A user may be named like somebody's password; the capture's user names are written on purpose.
    nothing_of(secrets, &written, name);
}

#[test]
fn the_forms_find_a_secret_inside_base64() {
    for prefix in ["", "a", "ab", "abc"] {
        let text = base64::engine::general_purpose::STANDARD.encode(format!("{prefix}S3cr3t-pw1{prefix}"));
        let found = forms(b"S3cr3t-pw1").iter().any(|form| contains(text.as_bytes(), form));
        assert!(found, "at the alignment of {prefix:?}");
    }
}

#[test]
fn no_secret_of_the_cases_is_written() {
    let Some(corpus) = corpus() else { return };
    let table = std::fs::read_to_string(corpus.join("cases/cases.tsv")).expect("cases.tsv");
    let mut secrets = BTreeSet::new();
    for row in table.lines() {
        let column = row.split('\t').nth(2).unwrap_or_default();
        secrets.extend(
            column.split('|').filter(|secret| secret.len() >= SHORTEST).map(|secret| secret.as_bytes().to_vec()),
        );
    }
    assert!(secrets.len() >= 4, "the secrets of the cases");
    let mut captures: Vec<PathBuf> =
        std::fs::read_dir(corpus.join("cases")).expect("cases").flatten().map(|entry| entry.path()).collect();
    captures.retain(|path| path.extension().is_some_and(|extension| extension != "tsv"));
    captures.sort();
    search(&captures, &secrets, "cases");
}

#[test]
fn no_published_secret_is_written() {
    let Some(corpus) = corpus() else { return };
    let folder = corpus.join("public");
    let table = std::fs::read_to_string(folder.join("secrets.tsv")).expect("secrets.tsv");
    let mut by_file: std::collections::BTreeMap<&str, BTreeSet<Vec<u8>>> = std::collections::BTreeMap::new();
    for row in table.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [file, _, _, _, user, _, _, secret, wire, ..] = columns[..] else { continue };
        for form in [secret, wire] {
            // Some accounts have their own name as password; the name is written on purpose.
            // One password is a word of the records' own field names.
            if form.len() >= SHORTEST && !user.contains(form) && !barewire::output::SCHEMA.contains(form) {
                by_file.entry(file).or_default().insert(form.as_bytes().to_vec());
            }
        }
    }
    assert!(by_file.len() >= 10, "the published secrets");
    for (file, secrets) in by_file {
        search(&[folder.join(file)], &secrets, file);
    }
}

fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("BAREWIRE_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        assert!(std::env::var_os("BAREWIRE_REQUIRE_ALL").is_none(), "BAREWIRE_CORPUS must name the corpus here");
        eprintln!("SKIPPED leak: BAREWIRE_CORPUS does not name the folder");
    }
    folder
}

/// The made-up passwords of the bundled sample.
fn secrets_of_the_sample() -> BTreeSet<Vec<u8>> {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bed/users.tsv");
    let table = std::fs::read_to_string(table).expect("users.tsv");
    let rows = table.lines().filter(|row| !row.starts_with('#'));
    let secrets: BTreeSet<Vec<u8>> =
        rows.filter_map(|row| row.split('\t').nth(1)).map(|secret| secret.as_bytes().to_vec()).collect();
    assert!(secrets.len() >= 3, "the passwords of the sample's users");
    secrets
}

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/office.pcap")
}

/// Fails if one of them stands in the text in any form; never says which.
fn nothing_of(secrets: &BTreeSet<Vec<u8>>, text: &[u8], of: &str) {
    for form in secrets.iter().flat_map(|secret| forms(secret)) {
        assert!(!contains(text, &form), "a secret was written by {of}");
    }
}

#[test]
fn no_secret_of_the_sample_is_written() {
    search(&[sample()], &secrets_of_the_sample(), "sample");
}
