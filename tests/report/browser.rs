//! The page in a browser: `browser.mjs` does it, see there.

use super::{Truth, bed as browser, made, office, report, scratch};
use serde_json::json;
use std::process::Command;

#[test]
fn a_browser_shows_what_the_records_say_and_nothing_else_happens() {
    if browser::skipped("the page") {
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
    browser::run(Command::new("node").arg("tests/report/browser.mjs").arg(wanted.to_string()));
}
