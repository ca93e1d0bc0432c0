//! The other forms of records over all real output, judged by others: OCSF by its packaged schema, CEF by a parser that
//! knows nothing of barewire.

#[path = "../bed/records.rs"]
mod records;

use barewire::output::{Form, Written};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python that has the modules: `BAREWIRE_PYTHON`, that of `target/forms`, which `.ci/run` makes, or the machine's.
fn python(modules: &str) -> Option<PathBuf> {
    let named = std::env::var_os("BAREWIRE_PYTHON").map(PathBuf::from);
    let pythons = [named, Some(records::root("target/forms/bin/python3")), Some("python3".into())];
    let has = |python: &PathBuf| {
        let tried = Command::new(python).args(["-c", &format!("import {modules}")]).output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    let found = pythons.into_iter().flatten().find(has);
    if found.is_none() {
        let line = format!(
            "SKIPPED: no Python with {modules}: python3 -m venv target/forms, and pip install ocsf-json-schema jsonschema pycef there"
        );
        assert!(
            std::env::var_os("BAREWIRE_REQUIRE_RECEIVERS").is_none(),
            "BAREWIRE_REQUIRE_RECEIVERS is set, but: {line}"
        );
        // Not `eprintln!`: the harness would keep that to itself.
        writeln!(std::io::stderr(), "{line}").expect("standard error");
    }
    found
}

/// Has a script judge the records in a form, each beside the record itself.
fn judge(script: &str, modules: &str, form: Form) {
    let Some(python) = python(modules) else { return };
    let lines = records::all(&[Form::Ecs, form]);
    let folder = std::env::temp_dir().join(format!("bw-{script}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let files = [folder.join("ecs"), folder.join("other")];
    for (file, lines) in files.iter().zip(&lines) {
        std::fs::write(file, lines).expect("written");
    }
    let judged = Command::new(python).arg(records::root("tests/forms").join(script)).args(&files).output();
    let judged = judged.expect("it starts");
    std::fs::remove_dir_all(&folder).expect("removed");
    let told = String::from_utf8_lossy(&judged.stdout).into_owned() + &String::from_utf8_lossy(&judged.stderr);
    writeln!(std::io::stdout(), "{told}").expect("standard output");
    assert!(judged.status.success(), "{told}");
    let count = lines[0].lines().count();
    assert!(count > 500 && told.contains(&format!("{count} records")), "{count}: {told}");
}

#[test]
fn ocsf_is_what_its_schema_allows() {
    judge("ocsf.py", "ocsf_json_schema, jsonschema", Form::Ocsf);
}

#[test]
fn cef_is_what_another_parser_reads() {
    judge("cef.py", "pycef", Form::Cef);
}

/// `replay` of a bundled capture, in a format.
fn replayed(key: &Path, arguments: &[&str]) -> String {
    let capture = records::root("testdata/office.pcap");
    let mut replay = Command::new(env!("CARGO_BIN_EXE_barewire"));
    replay.args(["replay", "-q", "--records", "findings,logins,sessions", "--fingerprint-key"]).arg(key);
    let output = replay.arg(capture).args(arguments).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("ASCII")
}

#[test]
fn replay_writes_what_was_asked_for() {
    let key = std::env::temp_dir().join(format!("bw-forms-key-{}", std::process::id()));
    std::fs::write(&key, "07".repeat(32)).expect("written");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("set");
    let lines = replayed(&key, &[]);
    assert!(lines.lines().count() > 30);
    for (name, form) in [("ecs", Form::Ecs), ("ocsf", Form::Ocsf), ("cef", Form::Cef)] {
        let rendered = |line: &str| Written::parse(line.as_bytes()).expect("a record").render(form);
        let wanted: Vec<Vec<u8>> = lines.lines().map(rendered).collect();
        assert!(replayed(&key, &["--format", name]).lines().map(str::as_bytes).eq(wanted), "{name}");
    }
    std::fs::remove_file(&key).expect("removed");
}
