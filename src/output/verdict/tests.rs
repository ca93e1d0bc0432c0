//! Whatever a name from the wire holds, a document says what it would say of another.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A record as an encoder would write it, but with a message that no encoder would let pass.
fn record(message: &str, severity: &str) -> Vec<u8> {
    let record = json!({
        "message": message,
        "event": { "id": "MZXW6YTBMZXW6YTB", "action": "cleartext-password", "dataset": "barewire.finding" },
        "server": { "ip": "10.0.0.1", "port": 143 },
        "client": { "ip": "10.0.0.2" },
        "user": { "name": message },
        "network": { "protocol": "imap" },
        "log": { "file": { "path": message } },
        "barewire": { "severity": severity, "packet": 7, "count": 1, "remediation": message },
    });
    record.to_string().into_bytes()
}

fn document(document: Document, about: About, records: &[Vec<u8>]) -> String {
    let mut verdict = Verdict::new(about);
    records.iter().for_each(|record| verdict.finding(4, record));
    verdict.conclude((1, "findings at or above --fail-on".to_owned()), Vec::new());
    let mut out = Vec::new();
    verdict.write(document, &mut out).expect("written");
    String::from_utf8(out).expect("UTF-8")
}

const HOSTILE: [&str; 10] = [
    "a ##[add-mask]critical",
    "x\n::error title=a::b",
    "x\r\n::stop-commands::y",
    "%0A::set-output name=a::b",
    "a::b,c=d:e",
    "</failure><script>alert(1)</script>",
    "]]>&amp;<!-- \u{1b}[2J",
    "{0} [click](http://x) \\",
    "| a | **b** <img src=x> @team #1 https://x www.y.z",
    "\u{202e}\u{0}\u{ffff}",
];

#[test]
fn names_from_the_wire_are_no_commands() {
    for name in HOSTILE {
        let text = document(Document::Github, About::default(), &[record(name, "high")]);
        let lines: Vec<&str> = text.split(['\n', '\r']).filter(|line| !line.is_empty()).collect();
        assert_eq!(lines.len(), 2, "{name}: {text}");
        assert!(
            lines[0].starts_with("::error file=") && lines[1].starts_with("barewire: 1 findings"),
            "{name}: {text}"
        );
        let (properties, _) = lines[0][2..].split_once("::").expect("a command");
        assert_eq!(properties.split(',').count(), 2, "{name}: {properties}");
    }
}

#[test]
fn ten_of_each_level_are_shown_and_the_others_counted() {
    let records: Vec<_> = ["high", "medium", "low"].iter().flat_map(|word| vec![record("x", word); 12]).collect();
    let text = document(Document::Github, About::default(), &records);
    for level in LEVELS {
        assert_eq!(text.lines().filter(|line| line.starts_with(&format!("::{level} "))).count(), 10, "{level}");
    }
    assert!(text.ends_with("barewire: 36 findings, 6 of them not shown as annotations\n"), "{text}");
    let strict = About { fail_on: Some(2), ..About::default() };
    let text = document(Document::Github, strict, &records);
    assert_eq!(text.lines().filter(|line| line.starts_with("::error ")).count(), 10, "what fails is an error");
    assert_eq!(text.lines().filter(|line| line.starts_with("::w") || line.starts_with("::n")).count(), 0);
}

const LEVELS: [&str; 3] = ["error", "warning", "notice"];

#[test]
fn messages_hold_no_links_and_no_arguments() {
    let text = document(Document::Sarif, About::default(), &[record("{0} [click](http://x) \\", "high")]);
    let sarif: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(sarif["runs"][0]["results"][0]["message"]["text"], r"{{0}} \[click\](http://x) \\");
}

#[test]
fn what_there_is_no_room_for_is_counted() {
    let mut verdict = Verdict::new(About::default());
    let line = record("x", "high");
    (0..FINDINGS + 3).for_each(|_| verdict.finding(4, &line));
    verdict.conclude((1, String::new()), Vec::new());
    assert_eq!(verdict.gaps(), ["3 more findings are not listed here; the records have them"]);
    let mut verdict = Verdict::new(About::default());
    verdict.finding(4, &vec![b' '; FINDING_OCTETS + 1]);
    assert_eq!((verdict.kept(), verdict.more_findings), (0, 1));
}

#[test]
fn the_gravest_are_listed_where_there_is_no_room_for_all() {
    let mut verdict = Verdict::new(About { fail_on: Some(5), ..About::default() });
    (0..FINDINGS).for_each(|_| verdict.finding(2, &record("x", "low")));
    verdict.finding(5, &record("the one", "critical"));
    verdict.finding(1, &record("x", "info"));
    verdict.conclude((1, String::new()), Vec::new());
    assert_eq!((verdict.kept(), verdict.more_findings), (FINDINGS, 2));
    for document in [Document::Sarif, Document::Junit, Document::Github] {
        let mut out = Vec::new();
        verdict.write(document, &mut out).expect("written");
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(text.contains("the one"), "{document:?}");
        let claims = "name=\"coverage-gap\"/>";
        assert!(!text.contains(claims), "nobody says that nothing was found: {document:?}");
    }
}

#[test]
fn what_xml_cannot_hold_and_what_is_a_command_is_escaped() {
    let name = "a\u{fffe}b\u{ffff}c\u{fdd0}d\u{1ffff}e\u{0}f\u{202e}g##[error]h";
    for document in [Document::Sarif, Document::Junit, Document::Github] {
        let text = self::document(document, About::default(), &[record(name, "high")]);
        let is_plain = |c: char| (' '..='~').contains(&c) || c == '\n';
        assert!(text.chars().all(is_plain), "{document:?}: {text}");
        assert!(!text.contains("##["), "{document:?}: {text}");
    }
}

#[test]
fn the_page_has_neither_markup_nor_links_from_the_wire() {
    for name in HOSTILE {
        let mut verdict = Verdict::new(About::default());
        verdict.finding(4, &record(name, "high"));
        verdict.conclude((1, String::new()), Vec::new());
        let mut page = Vec::new();
        verdict.write_summary(&mut page).expect("written");
        let page = String::from_utf8(page).expect("UTF-8");
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| high")).collect();
        assert_eq!(rows.len(), 1, "{name}: {page}");
        let bare = rows[0].replace("\\|", "");
        assert_eq!(bare.matches('|').count(), 6, "{name}: {bare}");
        for markup in ["<", ">", "@", "://", "www.", "**", "[click]("] {
            assert!(!bare.contains(markup), "{name}: {markup} in {bare}");
        }
    }
}

proptest! {
    #[test]
    fn any_name_leaves_documents_whole(name in any::<String>()) {
        let records = [record(&name, "high")];
        let sarif: Value = serde_json::from_str(&document(Document::Sarif, About::default(), &records)).expect("JSON");
        prop_assert_eq!(sarif["runs"][0]["results"].as_array().map(Vec::len), Some(1));
        let github = document(Document::Github, About::default(), &records);
        prop_assert_eq!(github.split(['\n', '\r']).filter(|line| line.starts_with("::")).count(), 1);
        let junit = document(Document::Junit, About::default(), &records);
        let mut reader = quick_xml::Reader::from_str(&junit);
        let mut failures = 0;
        loop {
            match reader.read_event().expect("XML") {
                quick_xml::events::Event::Eof => break,
                quick_xml::events::Event::Start(start) if start.name().as_ref() == "failure" => failures += 1,
                _ => {}
            }
        }
        prop_assert_eq!(failures, 1);
    }
}
