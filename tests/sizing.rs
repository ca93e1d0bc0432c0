//! The sheet for big spans stands in its page as the script prints it, and follows from the figures that were measured.
#![cfg(target_os = "linux")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What the script prints; nothing where there is no Python, which is said.
fn printed(script: &Path) -> Option<Output> {
    let Ok(output) = Command::new("python3").arg("-B").arg(script).output() else {
        assert!(
            std::env::var_os("BAREWIRE_REQUIRE_ALL").is_none(),
            "BAREWIRE_REQUIRE_ALL is set, but there is no python3"
        );
        // Not `eprintln!`: the harness would keep that to itself.
        writeln!(std::io::stderr(), "SKIPPED: python3 is not installed").expect("standard error");
        return None;
    };
    Some(output)
}

#[test]
fn the_page_has_the_sheet_that_the_script_prints() {
    let Some(output) = printed(&root("scripts/sizing")) else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let tables = String::from_utf8(output.stdout).expect("text");
    let tables = tables.trim();
    assert!(tables.lines().count() > 20, "{tables}");
    let page = std::fs::read_to_string(root("docs/sizing.md")).expect("the page");
    assert!(page.contains(tables), "put into docs/sizing.md what scripts/sizing prints:\n{tables}");
}

/// Of a row: link, octets of a frame, packets a second, then cores.
fn row<'a>(tables: &'a str, begins: &str) -> Vec<&'a str> {
    let line = tables.lines().find(|line| line.starts_with(begins)).unwrap_or_else(|| panic!("no {begins}: {tables}"));
    line.split('|').map(str::trim).collect()
}

#[test]
fn the_sheet_follows_from_the_figures() {
    let folder = std::env::temp_dir().join(format!("bw-sizing-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("scripts")).expect("a folder");
    let script = folder.join("scripts/sizing");
    std::fs::copy(root("scripts/sizing"), &script).expect("copied");
    // A million packets a second whatever they are, and a microsecond each in the kernel.
    let kind = r#"{"packets": 1, "octets": 500, "packets_per_cpu_second": 1000000}"#;
    let figures = format!(
        r#"{{"date": "-", "machine": "-", "replay": {{"other": {kind}, "mix": {kind}, "tunnel": {kind}, "mail": {kind}}},
            "shared": {kind}, "kernel": {{"octets": 500, "kernel_filtered": 500.0, "kernel_copied": 1000.0}}}}"#
    );
    std::fs::write(folder.join("scripts/sizing.json"), figures).expect("figures");
    let output = printed(&script);
    std::fs::remove_dir_all(&folder).expect("removed");
    let Some(output) = output else { return };
    let tables = String::from_utf8(output.stdout).expect("text");
    // 10 Gbit/s are 10e9 / 8 / 820 frames of 800 octets: 1.52 million; twice the cores, for half of each is planned for.
    let every = row(&tables, "| 10 | 800 | 1,524,390 | 10.0% |");
    assert_eq!(every[6], "4 + 4", "{every:?}");
    // 0.9 of them by half a microsecond and 0.1 by a whole one; 0.15 million judged.
    assert_eq!(every[5], "2 + 1", "{every:?}");
    // A tenth of a second of frames of 800 + 112 octets; 200,000 connections, a tenth of them mail.
    assert_eq!((every[8], every[9]), ("133 MiB", "44 MiB"), "{every:?}");
}
