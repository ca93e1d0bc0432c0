//! What the page says of records, and how it does in a browser.

use super::{Ui, browser, made, office, scratch};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Command;

/// What must be on the page, counted from the records by other means.
struct Truth {
    times: BTreeMap<String, u64>,
    credentials: u64,
    accounts: BTreeSet<String>,
    findings: u64,
}

/// Findings each of whose occurrences is a credential in clear.
const DISCLOSURES: [&str; 4] =
    ["cleartext-password", "cleartext-bearer-token", "crackable-auth-exchange", "cleartext-unknown-mechanism"];

impl Truth {
    fn of(records: &[u8], passes: impl Fn(&Value) -> bool) -> Self {
        let mut truth = Self { times: BTreeMap::new(), credentials: 0, accounts: BTreeSet::new(), findings: 0 };
        for line in records.split(|octet| *octet == b'\n').filter(|line| !line.is_empty()) {
            let value: Value = serde_json::from_slice(line).expect("JSON");
            if value["event"]["dataset"] != "barewire.finding" || !passes(&value) {
                continue;
            }
            let (action, count) = (value["event"]["action"].as_str().expect("a name"), &value["barewire"]["count"]);
            let count = count.as_u64().expect("a count");
            truth.findings += 1;
            *truth.times.entry(value["rule"]["name"].as_str().expect("a title").to_owned()).or_default() += count;
            if DISCLOSURES.contains(&action) {
                truth.credentials += count;
                truth.accounts.extend(value["user"]["name"].as_str().map(str::to_owned));
            }
        }
        truth
    }

    fn figures(&self) -> Value {
        json!({
            "credentials in clear": self.credentials.to_string(),
            "accounts exposed": self.accounts.len().to_string(),
        })
    }
}

fn figure(value: u64, label: &str) -> String {
    format!("<dt>{label}</dt><dd>{value}</dd>")
}

#[test]
fn the_page_says_what_the_records_say_and_filters_do_too() {
    let records = office();
    let all = Truth::of(&records, |_| true);
    let ui = Ui::over(&scratch("office.ndjson", &records), &[]);
    ui.page_with("/", &figure(17, "mail sessions"));
    let page = ui.page("/");
    assert!(page.contains(&figure(all.credentials, "credentials in clear")), "{page}");
    assert!(page.contains(&figure(all.accounts.len() as u64, "accounts exposed")), "{page}");
    assert!(page.contains(&format!("{} findings, the latest first", all.findings)));
    let user = all.accounts.iter().next().expect("an account").as_str();
    type Passes = Box<dyn Fn(&Value) -> bool>;
    let imap: Passes = Box::new(|one| one["network"]["protocol"] == "imap");
    let of_user: Passes = Box::new({
        let user = user.to_owned();
        move |one| one["user"]["name"] == user.as_str()
    });
    let high: Passes = Box::new(|one| one["barewire"]["severity"] == "high");
    for (query, passes) in [
        ("/?protocol=imap".to_owned(), imap),
        (format!("/?user={}", user.replace('@', "%40")), of_user),
        ("/?severity=high&since=all".to_owned(), high),
        ("/?server=nowhere".to_owned(), Box::new(|_: &Value| false) as Passes),
        ("/?protocol=gopher".to_owned(), Box::new(|_: &Value| false)),
    ] {
        let truth = Truth::of(&records, passes);
        let page = ui.page(&query);
        assert!(page.contains(&figure(truth.credentials, "credentials in clear")), "{query}: {}", truth.credentials);
        assert!(page.contains(&figure(truth.accounts.len() as u64, "accounts exposed")), "{query}");
        let caption = match truth.findings {
            0 => "No finding".to_owned(),
            1 => "1 finding, the latest first".to_owned(),
            more => format!("{more} findings, the latest first"),
        };
        assert!(page.contains(&caption), "{query}: {caption}");
    }
    ui.stop();
}

/// A pipe that has nothing to say keeps no file waiting.
#[test]
fn a_silent_pipe_keeps_no_file_waiting() {
    let records = scratch("beside-pipe.ndjson", &office());
    let pipe = records.with_file_name(format!("pipe-{}", std::process::id()));
    let _ = std::fs::remove_file(&pipe);
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let mut writer = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).expect("a pipe");
    writer.write_all(made::exposed("of-the-pipe", 1).as_bytes()).expect("written");
    let ui = Ui::start(&[pipe.to_str().expect("a name"), records.to_str().expect("a name"), "--listen", "0"]);
    ui.page_with("/", "of-the-pipe");
    let mut file = std::fs::OpenOptions::new().append(true).open(&records).expect("the records");
    file.write_all(made::exposed("of-the-file", 2).as_bytes()).expect("written");
    ui.page_with("/", "of-the-file");
    ui.stop();
    std::fs::remove_file(pipe).expect("removed");
}

/// No number is green or compared where nothing could be known.
#[test]
fn nothing_known_is_no_good_news() {
    let records = scratch("news.ndjson", &office());
    let ui = Ui::over(&records, &[]);
    let page = ui.page_with("/", &figure(17, "mail sessions"));
    assert!(page.contains("accepted in 9 of 11 findings"), "{page}");
    assert!(page.contains("<div class=\"good\"><dt>times TLS was meddled with"), "{page}");
    assert!(page.contains("nothing is at hand of the seven days before"));
    assert!(page.contains("too short a time") && !page.contains(">worse<") && !page.contains(">better<"));
    for query in
        ["/?server=nowhere", "/?user=nobody", "/?text=nobody", "/?protocol=nntp", "/?finding=starttls-stripped"]
    {
        let page = ui.page(query);
        assert!(page.contains("No finding") && !page.contains("<div class=\"good\">"), "{query}: {page}");
    }
    assert!(ui.page("/?user=carol").contains("Sessions are those of all accounts"));
    ui.stop();
    let ui = Ui::over(&scratch("empty.ndjson", b""), &[]);
    assert!(!ui.page_with("/", "followed as it grows").contains("<div class=\"good\">"));
    ui.stop();
    // Eight days apart: what is at hand of the week before is a part of it.
    let old = String::from_utf8(office())
        .expect("text")
        .replace("2026-11-24", "2026-11-16")
        .replace("\"id\":\"", "\"id\":\"0");
    let two = [old.as_bytes(), &office()].concat();
    let ui = Ui::over(&scratch("weeks.ndjson", &two), &[]);
    let page = ui.page_with("/", "41 findings in the seven days before, of which only a part is at hand");
    assert!(page.contains("<dt>new within seven days</dt><dd>41</dd>"), "{page}");
    let page = ui.page("/?since=1h");
    assert!(page.contains("41 findings in the seven days before"), "a span leaves out none of them: {page}");
    ui.stop();
}

/// What is looked for is found by the words that stand on the page, in logins as well.
#[test]
fn text_is_found_as_it_is_shown() {
    let unnamed = made::exposed("unnamed", 3).replace("\"name\":\"unnamed\"", "\"name\":\"\"");
    let unnamed = unnamed.lines().find(|line| line.contains("barewire.finding")).expect("a finding");
    let ui = Ui::over(&scratch("text.ndjson", &[unnamed.as_bytes(), b"\n", &office()].concat()), &[]);
    ui.page_with("/", &figure(17, "mail sessions"));
    for query in ["/?text=password+SENT", "/?text=cleartext-PASSWORD"] {
        assert!(ui.page(query).contains("12 findings, the latest first"), "{query}: {}", ui.page(query));
    }
    let page = ui.page("/?text=carol");
    let logins = page.split("The latest logins in clear").nth(1).expect("logins");
    assert!(logins.contains(">carol<") && !logins.contains(">bob<") && !logins.contains(">alice<"), "{logins}");
    assert!(!page.contains("></a>") && !ui.page("/").contains("></a>"), "a name that is empty is no link");
    // What a server refused is known.
    let page = ui.page("/");
    let chart = page
        .split("<figcaption>Logins in clear by what became of them")
        .nth(1)
        .and_then(|rest| rest.split("</svg>").next());
    assert!(
        chart.is_some_and(|chart| chart.contains(", not accepted: ") && !chart.contains(", not known: ")),
        "{page}"
    );
    ui.stop();
}

#[test]
fn what_is_no_record_is_told_and_compressed_files_are_read() {
    let mixed = [b"not JSON\n{\"event\":{\"dataset\":\"zeek.conn\"}}\n".as_slice(), &office()].concat();
    let plain = scratch("mixed.ndjson", &mixed);
    let packed = scratch("packed.ndjson.zst", &zstd::encode_all(&office()[..], 1).expect("packed"));
    let ui = Ui::start(&[plain.to_str().expect("a name"), packed.to_str().expect("a name"), "--listen", "0"]);
    let all = Truth::of(&office(), |_| true);
    ui.page_with("/", "read to its end");
    ui.page_with("/", "followed as it grows");
    let page = ui.page_with("/", "2 lines left out");
    assert!(page.contains("2 lines left out: 1 damaged or no JSON, 1 no records of barewire in ECS form."), "{page}");
    assert!(page.contains(&figure(all.credentials, "credentials in clear")), "what stands in both files counts once");
    assert!(page.contains("as seen by <strong>2 files</strong>") && page.contains("followed as it grows"));
    ui.stop();
}

/// So many findings in which hardly anything is the same.
fn many(count: usize) -> String {
    let mut text = String::new();
    for at in 0..count {
        let (a, b, c) = (at >> 16 & 255, at >> 8 & 255, at & 255);
        let time = format!("2026-11-{:02}T{:02}:{:02}:{:02}.000000Z", at % 28 + 1, at % 24, at / 7 % 60, at % 60);
        let (action, title, severity) = [
            ("cleartext-password", "Password sent in clear", "high"),
            ("starttls-not-offered", "STARTTLS not offered", "medium"),
            ("starttls-stripped", "Offer of STARTTLS removed or masked on the path", "critical"),
        ][at % 3];
        let _ = writeln!(
            text,
            r#"{{"@timestamp":"{time}","message":"{title} by user-{at}@example","event":{{"id":"{at:016X}","dataset":"barewire.finding","action":"{action}"}},"rule":{{"name":"{title}"}},"client":{{"ip":"10.{a}.{b}.{c}"}},"server":{{"ip":"172.16.{b}.{c}","port":143}},"network":{{"protocol":"imap"}},"user":{{"name":"user-{at}@example"}},"barewire":{{"severity":"{severity}","count":{},"first_seen":"{time}","last_seen":"{time}","login":{{"mechanism":"PLAIN","outcome":"accepted"}}}}}}"#,
            at % 5 + 1
        );
    }
    text
}

#[test]
fn more_findings_than_are_kept_make_room_for_the_latest() {
    let count = 120_000;
    let ui = Ui::over(&scratch("many.ndjson", many(count).as_bytes()), &[]);
    // A page of nothing is made soon.
    let page =
        ui.page_with("/?protocol=nntp", "20,000 findings, 0 logins and 0 sessions are older and no longer on it");
    assert!(page.contains("No finding"), "{page}");
    let page = ui.page("/");
    assert!(page.contains("100,000 findings, the latest first"), "{page:.400}");
    assert!(page.len() < 400_000, "{} octets", page.len());
    assert!(ui.page(&format!("/?user=user-{}%40example", count - 1)).contains("1 finding, the latest first"));
    assert!(ui.page("/?user=user-0%40example").contains("No finding"));
    ui.stop();
}

#[test]
fn a_browser_shows_it_live_and_nothing_else_happens() {
    if browser::skipped("the live page") {
        return;
    }
    let records = office();
    let truth = Truth::of(&records, |_| true);
    let imap = Truth::of(&records, |one| one["network"]["protocol"] == "imap");
    // A name that no narrow screen holds in one line, and that offers no place to break it.
    let office = scratch(&format!("browser_office_{}.ndjson", "of_the_sensor_".repeat(10)), &records);
    let hostile: String = made::HOSTILE.into_iter().enumerate().map(|(at, name)| made::exposed(name, at)).collect();
    let hostile = scratch("browser-hostile.ndjson", hostile.as_bytes());
    let large = scratch("browser-large.ndjson", many(100_000).as_bytes());
    let pages = [&office, &hostile, &large].map(|records| Ui::over(records, &[]));
    let url = |ui: &Ui| format!("http://{}/", ui.address);
    let title = "Password sent in clear";
    let wanted = json!([
        {
            "name": "office",
            "url": url(&pages[0]),
            "figures": truth.figures(),
            "cells": [["Credentials", title, "Times", truth.times[title].to_string()]],
            "texts": ["carol"],
            "filter": { "text": "IMAP", "within": "#exposed", "query": "protocol=imap", "figures": imap.figures() },
            "append": {
                "file": office,
                "lines": ([1, 2, 3, 4].map(|at| made::exposed(&format!("newcomer-{at}"), 1000 + at))),
                "names": ([1, 2, 3, 4].map(|at| format!("newcomer-{at}"))),
            },
        },
        {
            "name": "hostile",
            "url": url(&pages[1]),
            "figures": {},
            "cells": [],
            "texts": ["<script>document.title='taken'</script>", "alice\\u{202e}ecila\\u{2066}\\u{200b}"],
            "append": {
                "file": hostile,
                "lines": [made::exposed("<img src=x onerror=document.title='late'>", 2000)],
                "names": ["<img src=x onerror=document.title='late'>"],
            },
        },
        {
            "name": "large",
            "url": url(&pages[2]),
            "figures": { "accounts exposed": "33,334" },
            "cells": [],
            "texts": ["100,000 findings, the latest first"],
            "filter": {
                "text": "STARTTLS not offered",
                "within": "#exposed",
                "query": "finding=starttls-not-offered",
                "figures": { "credentials in clear": "0" },
            },
            "elements": 4000,
        },
    ]);
    browser::run(Command::new("node").arg("tests/page/browser.mjs").arg(wanted.to_string()));
    pages.into_iter().for_each(Ui::stop);
}
