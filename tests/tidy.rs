//! The house's own rules: what must be absent, and where.

use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A source without its unit tests and comments, which may use what the code may not.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a source file");
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

const CORE: [&str; 7] = ["wire", "stream", "mail", "finding", "engine.rs", "limits.rs", "secret.rs"];

fn core() -> Vec<PathBuf> {
    let src = root().join("src");
    let parts = CORE.iter().map(|part| src.join(part));
    parts.flat_map(|part| if part.is_dir() { sources(&part) } else { vec![part] }).collect()
}

fn forbid(files: &[PathBuf], words: &[&str]) {
    let mut found = Vec::new();
    for file in files {
        let code = code(file);
        for word in words.iter().filter(|word| code.contains(**word)) {
            found.push(format!("{}: {word}", file.display()));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_core_looks_inward() {
    let files = core();
    assert!(files.len() > 20, "the core moved");
    forbid(
        &files,
        &["std::io", "std::fs", "std::thread", "TcpStream", "Instant", "SystemTime", "serde", "tracing", "println!"],
    );
    forbid(&files, &["crate::capture", "crate::pipeline", "crate::output", "crate::ops", "crate::cli", "crate::run"]);
}

#[test]
fn rooms_look_downward_only() {
    let src = root().join("src");
    forbid(&sources(&src.join("wire")), &["crate::stream", "crate::mail", "crate::finding", "crate::engine"]);
    forbid(&sources(&src.join("stream")), &["crate::mail", "crate::finding", "crate::engine"]);
    forbid(&sources(&src.join("mail")), &["crate::finding", "crate::engine", "crate::wire"]);
    forbid(&sources(&src.join("finding")), &["crate::engine"]);
}

/// A module of tests in a file of its own.
fn is_test(path: &Path) -> bool {
    ["tests.rs", "whole_files.rs", "testing.rs"].iter().any(|name| path.ends_with(name))
}

#[test]
fn only_run_starts_threads_and_reads_clocks() {
    let src = root().join("src");
    let elsewhere: Vec<PathBuf> =
        sources(&src).into_iter().filter(|path| !path.starts_with(src.join("run")) && !is_test(path)).collect();
    forbid(&elsewhere, &["Instant::now", "SystemTime::now"]);
    // A decompressor is a thread of its own, started where its file is opened.
    let inflate = src.join("capture").join("inflate.rs");
    let others: Vec<PathBuf> = elsewhere.into_iter().filter(|path| *path != inflate).collect();
    forbid(&others, &["thread::spawn", "thread::Builder", "spawn_scoped"]);
}

#[test]
fn only_output_and_receivers_over_http_know_json() {
    let src = root().join("src");
    // Receivers over HTTP say in JSON what they made of records.
    let rooms = [src.join("output"), src.join("sink/http")];
    let is_of = |path: &PathBuf| rooms.iter().any(|room| path.starts_with(room));
    forbid(&sources(&src).into_iter().filter(|path| !is_of(path)).collect::<Vec<_>>(), &["serde"]);
}

#[test]
fn every_source_says_first_what_it_is_for() {
    let mut silent = Vec::new();
    let mut long = Vec::new();
    for folder in ["src", "tests", "benches", "examples"] {
        for file in sources(&root().join(folder)) {
            let text = std::fs::read_to_string(&file).expect("a source file");
            if !text.starts_with("//!") {
                silent.push(file.clone());
            }
            if text.lines().count() > 900 {
                long.push(file);
            }
        }
    }
    assert!(silent.is_empty(), "{silent:#?}");
    assert!(long.is_empty(), "two ideas in one file: {long:#?}");
}

#[test]
fn a_secret_can_be_neither_shown_nor_copied() {
    let code = code(&root().join("src").join("secret.rs"));
    let declared = code.find("pub struct Secret(").expect("the type");
    let before = code[..declared].rsplit("\n\n").next().unwrap_or_default();
    assert!(!before.contains("derive"), "Secret derives nothing");
    for of_trait in
        ["Debug for Secret", "Display for Secret", "Clone for Secret", "Serialize for Secret", "AsRef<[u8]> for Secret"]
    {
        assert!(!code.contains(of_trait), "{of_trait}");
    }
}
