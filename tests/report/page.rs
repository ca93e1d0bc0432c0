//! What strangers wrote stands on pages as text, and a page fetches nothing.

use super::{made, office, report};
use base64::Engine as _;
use sha2::{Digest as _, Sha256};

fn hostile() -> Vec<u8> {
    let long = "x".repeat(10_000);
    let names = made::HOSTILE.into_iter().chain([long.as_str()]);
    names.enumerate().map(|(at, name)| made::exposed(name, at)).collect::<String>().into_bytes()
}

/// Characters that move others about, or that nobody sees.
fn has_odd(page: &str) -> bool {
    page.chars().any(|c| matches!(c, '\u{200b}' | '\u{202e}' | '\u{2066}' | '\u{0}' | '\u{1b}'))
}

#[test]
fn names_do_nothing_in_html() {
    let page = report("html", &hostile());
    assert_eq!(page.matches("<script").count(), 1, "the page's own");
    assert_eq!(page.matches("<style").count(), 1, "the page's own");
    assert!(!page.contains("<img") && !has_odd(&page));
    assert!(page.contains("&lt;script&gt;document.title") && page.contains("alice\\u{202e}ecila"));
    assert!(!page.contains(&"x".repeat(400)), "bounded");
}

#[test]
fn names_do_nothing_in_markdown() {
    let page = report("md", &hostile());
    assert!(!has_odd(&page) && !page.contains(&"x".repeat(400)));
    for part in ["<script", "<img", "<style", "](javascript", "http://"] {
        // What stands between backticks is code.
        let text: String = page.split('`').step_by(2).collect();
        assert!(!text.replace("\\<", "").replace("\\]", "").contains(part), "{part}");
    }
}

/// Fields of a table in CSV, read as RFC 4180 says.
fn fields(page: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let mut is_quoted = false;
    let mut chars = page.chars().peekable();
    while let Some(c) = chars.next() {
        let row = rows.last_mut().expect("a row");
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                chars.next();
                row.last_mut().expect("a field").push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => row.push(String::new()),
            '\n' if !is_quoted => rows.push(vec![String::new()]),
            '\r' if !is_quoted => {}
            c => row.last_mut().expect("a field").push(c),
        }
    }
    rows.pop();
    rows
}

#[test]
fn names_do_nothing_in_a_spreadsheet() {
    let page = report("csv", &hostile());
    let rows = fields(&page);
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "no row ends early");
    let formula = |field: &&String| field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    assert_eq!(rows.iter().flatten().find(formula), None);
    assert!(rows.iter().flatten().any(|field| field.starts_with("'=HYPERLINK")));
    assert!(!has_odd(&page) && rows.iter().flatten().all(|field| field.chars().count() < 2000));
}

#[test]
fn secrets_without_end_are_bounded_and_told() {
    let line = |at: usize| {
        let places: Vec<String> = (0..32).map(|place| format!("10.0.0.{place}:143 imap user-{at}")).collect();
        let record = serde_json::json!({
            "@timestamp": "2026-11-24T23:02:05.168939Z",
            "event": { "id": format!("R{at}"), "dataset": "barewire.finding", "action": "credential-reuse" },
            "barewire": { "severity": "high", "count": 1, "evidence": { "places": places } },
        });
        format!("{record}\n")
    };
    let few: String = (0..200).map(line).collect();
    assert!(!report("md", few.as_bytes()).contains("more secrets than are kept"));
    let many: String = (0..6300).map(line).collect();
    let page = report("md", many.as_bytes());
    assert!(page.contains("There were more secrets than are kept by name: 1,600 records of them"), "{page}");
}

/// What stands between the first `start` and the `end` after it.
fn between<'a>(page: &'a str, start: &str, end: &str) -> &'a str {
    let rest = &page[page.find(start).unwrap_or_else(|| panic!("{start}")) + start.len()..];
    &rest[..rest.find(end).unwrap_or_else(|| panic!("{end}"))]
}

#[test]
fn a_page_fetches_nothing_and_runs_only_its_own() {
    let page = report("html", &office());
    let policy = between(&page, "http-equiv=\"Content-Security-Policy\" content=\"", "\"");
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    assert!(!policy.contains("unsafe"));
    for (kind, start, end) in [("style-src", "<style>", "</style>"), ("script-src", "<script>", "</script>")] {
        let digest = Sha256::digest(between(&page, start, end));
        let hash = base64::engine::general_purpose::STANDARD.encode(digest);
        assert!(policy.contains(&format!("{kind} 'sha256-{hash}'")), "{kind} {hash}: {policy}");
    }
    for part in [" src=", " style=", " onclick=", "href=\"http", "<link", "<iframe", "<form", "<base"] {
        assert!(!page.contains(part), "{part}");
    }
}

#[test]
fn a_page_has_its_parts_in_order() {
    let page = report("html", &office());
    let places: Vec<usize> = [
        "<h1>",
        "id=\"coverage\"",
        "id=\"numbers\"",
        "id=\"servers\"",
        "id=\"accounts\"",
        "id=\"clients\"",
        "id=\"remedies\"",
        "id=\"protection\"",
        "id=\"starttls\"",
        "id=\"reuse\"",
        "id=\"tls\"",
        "id=\"evidence\"",
    ]
    .iter()
    .map(|part| page.find(part).unwrap_or_else(|| panic!("{part}")))
    .collect();
    assert!(places.is_sorted(), "coverage first: {places:?}");
    let ids: Vec<&str> = page.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default()).collect();
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "{ids:?}");
    for target in page.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap_or_default()) {
        assert!(ids.contains(&target), "a link to {target}, which is nowhere");
    }
}
