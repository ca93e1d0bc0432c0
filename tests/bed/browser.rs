//! Scripts that open pages in Chromium: whether the machine has all that they take, and how they are run.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What is missing to run a browser, if anything.
fn missing() -> Option<String> {
    if !Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Some("node is not installed".to_owned());
    }
    if !chromium().exists() {
        return Some(format!("there is no {}; BAREWIRE_CHROMIUM names another", chromium().display()));
    }
    let modules = root().join("tests/report/node_modules");
    let lacking = ["playwright-core", "axe-core"].into_iter().find(|name| !modules.join(name).exists());
    lacking.map(|name| format!("{name} is missing: npm install --no-package-lock --prefix tests/report"))
}

fn chromium() -> PathBuf {
    std::env::var_os("BAREWIRE_CHROMIUM").map_or_else(|| "/usr/bin/chromium".into(), PathBuf::from)
}

/// Whether `what` must be left out, which is said loudly, or fails where that isn't allowed.
pub(crate) fn skipped(what: &str) -> bool {
    let Some(missing) = missing() else { return false };
    let line = format!("SKIPPED: {what} in a browser: {missing}");
    eprintln!("{line}");
    assert!(std::env::var_os("BAREWIRE_REQUIRE_BROWSER").is_none(), "BAREWIRE_REQUIRE_BROWSER is set, but: {line}");
    true
}

/// Runs a script, which must find nothing wrong; what it says is told.
pub(crate) fn run(command: &mut Command) {
    let output = command.env("BAREWIRE_CHROMIUM", chromium()).current_dir(root()).output().expect("node");
    let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complaint}");
    eprintln!("{said}");
}
