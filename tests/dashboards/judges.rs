//! Packages of npm that judge documents: where they are, and how they are asked.
//!
//! `npm install --no-package-lock --ignore-scripts --prefix tests/dashboards` brings them.

use super::{left_out, root};
use serde_json::Value;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where they lie, or nothing where they are not installed, which is said loudly, or fails where that isn't allowed.
pub(crate) fn modules() -> Option<PathBuf> {
    let modules = root("tests/dashboards/node_modules");
    let has_node = Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success());
    if !has_node || !modules.join("typescript").is_dir() {
        let how = "npm install --no-package-lock --ignore-scripts --prefix tests/dashboards";
        left_out("BAREWIRE_REQUIRE_RECEIVERS", &format!("judges from npm are missing: {how}"));
        return None;
    }
    Some(modules)
}

/// What a script of `tests/dashboards` answers to a document.
pub(crate) fn ask(script: &str, document: &Value) -> Value {
    let mut command = Command::new("node");
    command.arg(root("tests/dashboards").join(script));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("node");
    let (mut to, text) = (child.stdin.take().expect("its input"), document.to_string());
    let writer = std::thread::spawn(move || drop(to.write_all(text.as_bytes())));
    let output = child.wait_with_output().expect("an end");
    writer.join().expect("written");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}
