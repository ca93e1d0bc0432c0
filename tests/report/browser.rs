//! The page in a browser: `browser.mjs` does it, see there.

use super::{Truth, made, office, report, root, scratch};
use serde_json::json;
use std::path::PathBuf;
use std::process::Command;

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

#[test]
fn a_browser_shows_what_the_records_say_and_nothing_else_happens() {
    if let Some(missing) = missing() {
        let line = format!("SKIPPED: the page in a browser: {missing}");
        eprintln!("{line}");
        assert!(std::env::var_os("BAREWIRE_REQUIRE_BROWSER").is_none(), "BAREWIRE_REQUIRE_BROWSER is set, but: {line}");
        return;
    }
    let records = office();
    let truth = Truth::of(&records);
    let hostile: String = made::HOSTILE.into_iter().enumerate().map(|(at, name)| made::exposed(name, at)).collect();
    let mixed = [records.clone(), hostile.into_bytes()].concat();
    let pages = [("office", &records), ("hostile", &mixed)]
        .map(|(name, records)| scratch(&format!("report-{name}.html"), report("html", records).as_bytes()));
    let times = |name: &str| truth.findings[name].1.to_string();
    let wanted = json!([
        {
            "page": pages[0],
            "figures": {
                "credentials sent in clear": truth.disclosures.to_string(),
                "accounts exposed": truth.accounts.len().to_string(),
            },
            "cells": [
                ["Findings by kind", "cleartext-password", "Times", times("cleartext-password")],
                ["Findings by kind", "starttls-offered-unused", "Times", times("starttls-offered-unused")],
                ["Sessions by protocol", "IMAP", "In clear", truth.sessions["imap"][0].to_string()],
                ["Sessions by protocol", "POP3", "STARTTLS", truth.sessions["pop3"][1].to_string()],
            ],
            "texts": ["carol", "auth_allow_cleartext = no"],
        },
        {
            "page": pages[1],
            "figures": {},
            "cells": [],
            "texts": ["<script>document.title='taken'</script>", "alice\\u{202e}ecila\\u{2066}\\u{200b}"],
        },
    ]);
    let script = root().join("tests/report/browser.mjs");
    let output = Command::new("node")
        .arg(script)
        .arg(wanted.to_string())
        .env("BAREWIRE_CHROMIUM", chromium())
        .output()
        .expect("node runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    eprintln!("{told}");
}
