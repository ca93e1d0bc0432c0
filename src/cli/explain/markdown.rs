//! The catalogue as one page of Markdown: `docs/findings.md` is this, to the octet.

use super::setting::{Line, Shared, lines, shared};
use super::text::{heading, severity, techniques};
use crate::finding::remedies::{Topic, all_remedies, client_topic, server_topic};
use crate::finding::{ATTACK_VERSION, CATALOGUE, Category, Entry, severity_name};
use std::fmt::Write as _;

const INTRODUCTION: &str = "\
# Findings

What barewire reports, what each finding means and needs as proof, and how to mend it. `barewire explain NAME` says the
same about one. This page is printed by `barewire explain --markdown`.

A finding says what was seen, never who did it: whether an offer of STARTTLS was taken out by an attacker, a firewall's
inspection or the server's own settings, no capture can tell. Absence needs proof; what is not known is said to be not
known, with its reason.

Severities are info, low, medium, high and critical. Each finding has one of its own, and what was seen around it makes
it graver or milder. Critical is never a finding's own: it needs proof that a secret works, and a public path, a
privileged account or an interference with TLS.
";

const SETTINGS: &str = "
## Settings

In settings and tests, `HOST` is the server's name. A test is a command, and below it what its output must, or must
not, show; several settings are tested in one way. Ask from another machine than the server: several servers take their
own addresses for safe.

Where versions are named, the setting was tried with them as they ran; the others are told after their makers'
documentation.
";

/// The topics in the order of the page.
const TOPICS: [Topic; 9] = [
    Topic::RefuseClear,
    Topic::OfferStarttls,
    Topic::ImplicitTls,
    Topic::TlsVersions,
    Topic::Certificate,
    Topic::DiscardBeforeTls,
    Topic::Inspection,
    Topic::Transfer,
    Topic::RequireTls,
];

/// The whole page.
pub(super) fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for category in [Category::Exposure, Category::Transport, Category::Quality] {
        overview(&mut page, category);
        for entry in CATALOGUE.iter().filter(|entry| entry.category == category) {
            finding(&mut page, entry);
        }
    }
    page.push_str(SETTINGS);
    for topic in TOPICS {
        settings(&mut page, topic);
    }
    page
}

fn overview(page: &mut String, category: Category) {
    let _ = write!(page, "\n## {}\n\n| finding | severity | what was seen |\n| --- | --- | --- |\n", heading(category));
    for entry in CATALOGUE.iter().filter(|entry| entry.category == category) {
        let Entry { name, title, .. } = entry;
        let _ = writeln!(page, "| [`{name}`](#{name}) | {} | {title} |", severity_name(entry.severity));
    }
}

fn finding(page: &mut String, entry: &Entry) {
    let _ = write!(page, "\n### {}\n\n{}. {}\n", entry.name, entry.title, entry.description);
    for (label, body) in [
        ("Proof", entry.proof.to_owned()),
        ("What to do", entry.remediation.to_owned()),
        ("Severity", severity(entry)),
        ("Settings", links(entry)),
        ("References", references(entry)),
    ] {
        if !body.is_empty() {
            let _ = write!(page, "\n**{label}.** {body}\n");
        }
    }
}

fn links(entry: &Entry) -> String {
    let link = |topic: Topic| format!("[{}](#{})", title(topic), anchor(topic));
    let topics = server_topic(entry.id).into_iter().chain(client_topic(entry.id));
    let links: Vec<String> = topics.map(link).collect();
    if links.is_empty() { String::new() } else { format!("{}.", links.join(", ")) }
}

fn references(entry: &Entry) -> String {
    let mut all: Vec<String> = entry.rfcs.iter().map(|rfc| format!("[{rfc}]({})", address(rfc))).collect();
    all.extend(entry.cwes.iter().chain(entry.cves).chain(entry.papers).map(|text| (*text).to_owned()));
    if !entry.techniques.is_empty() {
        all.push(format!("MITRE ATT&CK {ATTACK_VERSION} {}", techniques(entry)));
    }
    if all.is_empty() { String::new() } else { format!("{}.", all.join("; ")) }
}

/// `RFC 8314 section 4.1` as the address of its text.
fn address(rfc: &str) -> String {
    let (number, section) = rfc.split_once(" section ").unwrap_or((rfc, ""));
    let anchor = if section.is_empty() { String::new() } else { format!("#section-{section}") };
    format!("https://www.rfc-editor.org/rfc/rfc{}{anchor}", number.trim_start_matches("RFC "))
}

fn settings(page: &mut String, topic: Topic) {
    let _ = write!(page, "\n### {}\n", title(topic));
    let all = shared(topic, all_remedies().filter(|(of, _)| *of == topic).map(|(_, remedy)| remedy));
    for (at, Shared { names, remedy }) in all.iter().enumerate() {
        let _ = write!(page, "\n**{names}**\n");
        setting(page, remedy.setting);
        // One test for all above it that are tested in the same way.
        if all.get(at + 1).is_none_or(|next| next.remedy.test != remedy.test) {
            page.push_str("\nTest:\n");
            close(page, &mut format!("{}\n", remedy.test));
        }
    }
}

/// Sentences as text, what is to be typed in blocks.
fn setting(page: &mut String, setting: &str) {
    let mut block = String::new();
    for line in lines(setting) {
        match line {
            Line::Place(line) | Line::Prose(line) => {
                close(page, &mut block);
                let _ = write!(page, "\n{line}\n");
            }
            Line::Exact(line) => {
                let _ = writeln!(block, "{line}");
            }
        }
    }
    close(page, &mut block);
}

fn close(page: &mut String, block: &mut String) {
    if !block.is_empty() {
        let _ = write!(page, "\n```\n{block}```\n");
        block.clear();
    }
}

fn title(topic: Topic) -> &'static str {
    match topic {
        Topic::RefuseClear => "Server: refuse passwords without TLS",
        Topic::OfferStarttls => "Server: offer STARTTLS",
        Topic::ImplicitTls => "Server: TLS from the first octet",
        Topic::TlsVersions => "Server: TLS 1.2 and 1.3 only",
        Topic::Certificate => "Server: certificate",
        Topic::DiscardBeforeTls => "Server: discard what came before TLS",
        Topic::Inspection => "Network: no inspection of mail",
        Topic::Transfer => "Server to server: TLS",
        Topic::RequireTls => "Client: require TLS",
    }
}

/// The heading as readers of Markdown turn it into an anchor.
fn anchor(topic: Topic) -> String {
    let kept = title(topic).chars().filter(|c| c.is_ascii_alphanumeric() || *c == ' ' || *c == '-');
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}
