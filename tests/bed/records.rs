//! Records of real output: those of the bundled cases and captures, and of the corpus where that is there.
// Not every test needs all of it.
#![allow(dead_code, clippy::print_stderr, reason = "a corpus that is missing must be told")]

use barewire::finding::Record;
use barewire::output::{Encoder, Event, Form, Inputs};
use std::path::{Path, PathBuf};

pub(crate) fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The lines of a capture's records, each with its line feed, in the forms that are asked for.
pub(crate) fn of_capture(capture: &Path, forms: &[Form]) -> Vec<Vec<u8>> {
    let (records, _) = barewire::testing::replay(&[capture.to_path_buf()]);
    let inputs = Inputs { names: vec![capture.display().to_string()], is_live: false, sensor: None };
    let findings = barewire::testing::collect(&records);
    let mut lines = vec![Vec::new(); forms.len()];
    for (form, lines) in forms.iter().zip(&mut lines) {
        let mut encoder = Encoder::new(inputs.clone());
        let mut add = |event: &Event<'_>| {
            let start = lines.len();
            encoder.encode(event, lines);
            form.change(lines, start);
        };
        findings.iter().for_each(|finding| add(&Event::Finding(finding)));
        for record in &records {
            match record {
                Record::Login(login) => add(&Event::Login(login)),
                Record::Session(session) => add(&Event::Session(session)),
                Record::Finding(_) => {}
            }
        }
    }
    lines
}

fn captures(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            captures(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "pcap" || extension == "pcapng") {
            found.push(path);
        }
    }
}

/// All captures: the bundled ones, and those of the corpus where that is there.
pub(crate) fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    captures(&root("testdata"), &mut files);
    match std::env::var_os("BAREWIRE_CORPUS") {
        Some(corpus) => captures(&Path::new(&corpus).join("cases"), &mut files),
        None => {
            assert!(std::env::var_os("BAREWIRE_REQUIRE_ALL").is_none(), "BAREWIRE_CORPUS must name the corpus here");
            eprintln!("SKIPPED corpus: BAREWIRE_CORPUS does not name the folder");
        }
    }
    files.sort();
    assert!(files.len() > 10, "only {} captures", files.len());
    files
}

/// The records of all of it, in the forms that are asked for.
pub(crate) fn all(forms: &[Form]) -> Vec<String> {
    let files = files();
    let mut lines = vec![Vec::new(); forms.len()];
    for file in files {
        for (all, more) in lines.iter_mut().zip(of_capture(&file, forms)) {
            all.extend(more);
        }
    }
    // The cases that are written as dialogues: their records stand beside them, which `golden` checks.
    let cases = std::fs::read_dir(root("testdata/cases")).expect("the cases");
    for case in cases.flatten().filter(|case| case.path().join("dialogue.txt").is_file()) {
        let text = std::fs::read(case.path().join("expected.ndjson")).unwrap_or_default();
        for line in text.split(|octet| *octet == b'\n').filter(|line| !line.is_empty()) {
            let written = barewire::output::Written::parse(line).expect("a record");
            for (form, all) in forms.iter().zip(&mut lines) {
                all.extend(written.render(*form));
                all.push(b'\n');
            }
        }
    }
    lines.into_iter().map(|lines| String::from_utf8(lines).expect("ASCII")).collect()
}
