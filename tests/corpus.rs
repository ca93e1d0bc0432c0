//! The corpus: every case's findings and logins, exact; every published login found, none invented.
//!
//! The folder is named by `BAREWIRE_CORPUS`; without it these tests skip, loudly.

#![allow(clippy::print_stderr, reason = "a skipped test must be loud")]

use barewire::finding::Record;
use barewire::mail::Outcome;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("BAREWIRE_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        assert!(std::env::var_os("BAREWIRE_REQUIRE_ALL").is_none(), "BAREWIRE_CORPUS must name the corpus here");
        eprintln!("SKIPPED corpus: BAREWIRE_CORPUS does not name the folder");
    }
    folder
}

/// Findings and logins of a capture in the form of `expected.tsv`.
fn judged(capture: &Path) -> (BTreeSet<String>, Vec<String>) {
    let (records, _) = barewire::testing::replay(&[capture.to_path_buf()]);
    let mut findings = BTreeSet::new();
    let mut logins = Vec::new();
    for record in records {
        match record {
            Record::Finding(finding) => {
                findings.insert(finding.id.name().to_owned());
            }
            Record::Login(login) => {
                let outcome = match login.outcome {
                    Outcome::Unknown(reason) => format!("unknown({})", reason.name()),
                    known => known.name().to_owned(),
                };
                let validity = if login.outcome.proves_valid() { "valid" } else { "unknown" };
                let user = login.user.as_ref().map_or("?", |user| user.as_str());
                logins.push((login.at, format!("{user}:{outcome}:{validity}")));
            }
            Record::Session(_) => {}
        }
    }
    logins.sort();
    (findings, logins.into_iter().map(|(_, login)| login).collect())
}

/// Cases that need what is not built yet: tunnels, fragments, overlap ambiguity.
const NOT_YET: [&str; 8] = ["t04", "t05", "t06", "t07", "t08", "t09", "t15", "t16"];

#[test]
fn every_case_gives_its_findings_and_logins() {
    let Some(corpus) = corpus() else { return };
    let folder = corpus.join("cases");
    let table = std::fs::read_to_string(folder.join("expected.tsv")).expect("expected.tsv");
    let known: BTreeSet<&str> = barewire::finding::CATALOGUE.iter().map(|entry| entry.name).collect();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for row in table.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [capture, findings, logins] = columns[..] else { panic!("three columns: {row}") };
        let is_due = capture.starts_with(['p', 'i', 's', 't']) || ["x18", "x19", "x20"].contains(&&capture[..3]);
        if !is_due || NOT_YET.contains(&&capture[..3]) {
            continue;
        }
        let ids = findings.split(';').map(|id| id.split('{').next().unwrap_or(id));
        let expected: BTreeSet<String> = ids.filter(|id| known.contains(id)).map(str::to_owned).collect();
        let expected_logins: Vec<&str> = logins.split(',').filter(|login| *login != "-").collect();
        let (found, found_logins) = judged(&folder.join(capture));
        checked += 1;
        if found != expected || found_logins != expected_logins {
            wrong.push(format!("{capture}: {found:?} {found_logins:?}\n   expected {expected:?} {expected_logins:?}"));
        }
    }
    assert!(checked >= 50, "only {checked} rows were checked");
    assert!(wrong.is_empty(), "{} of {checked} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// One login of the published truth.
#[derive(Debug)]
struct Listed {
    user: String,
    outcome: String,
    /// The truth itself is not sure of it.
    is_loose: bool,
}

/// The password logins in clear that the truth lists for one capture.
fn known_logins(capture: &serde_json::Value) -> Vec<Listed> {
    let streams = capture["streams"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_unsure = capture["confidence"] == "low";
    let followed =
        |stream: &&serde_json::Value| ["pop3", "imap", "smtp"].iter().any(|protocol| stream["protocol"] == *protocol);
    let auths = streams.iter().filter(followed).flat_map(|stream| stream["auth"].as_array().into_iter().flatten());
    auths
        .filter(|auth| auth["secret_kind"] == "password" || auth["secret_kind"] == "malformed-plain")
        .map(|auth| Listed {
            user: auth["user"].as_str().unwrap_or("?").to_owned(),
            outcome: auth["outcome"].as_str().unwrap_or_default().to_owned(),
            is_loose: is_unsure || auth["ambiguous"] == true || auth["malformed"] == true,
        })
        .collect()
}

/// The truth's words for outcomes.
fn agrees(outcome: Outcome, known: &str) -> bool {
    match outcome {
        Outcome::Accepted => known == "accepted",
        Outcome::Rejected | Outcome::RejectedAfterAuth | Outcome::RefusedByPolicy => known == "rejected",
        Outcome::Cancelled => known == "aborted" || known == "rejected",
        Outcome::Unknown(_) => known == "unknown",
    }
}

#[test]
fn every_published_login_is_found_and_none_invented() {
    let Some(corpus) = corpus() else { return };
    let folder = corpus.join("public");
    let truth = std::fs::read_to_string(folder.join("truth.jsonl")).expect("truth.jsonl");
    let mut wrong = Vec::new();
    let (mut files, mut logins) = (0, 0);
    for line in truth.lines() {
        let capture: serde_json::Value = serde_json::from_str(line).expect("a line of truth");
        let name = capture["file"].as_str().expect("a file name");
        let (records, _) = barewire::testing::replay(&[folder.join(name)]);
        files += 1;
        if capture["kind"] == "negative" {
            // What is missing from a capture may be said of any; a finding about mail may not.
            let about_mail = records.iter().any(|record| match record {
                Record::Finding(finding) => finding.flow.is_some(),
                Record::Login(_) => true,
                Record::Session(_) => false,
            });
            if about_mail {
                wrong.push(format!("{name}: something was reported where there is no mail"));
            }
            continue;
        }
        let mut known = known_logins(&capture);
        for record in records {
            let Record::Login(login) = record else { continue };
            if login.class != barewire::mail::SecretClass::Password {
                continue;
            }
            let user = login.user.as_ref().map_or("?", |user| user.as_str());
            let fits = |known: &Listed| known.user == user && agrees(login.outcome, &known.outcome);
            // Users that are no text are escaped in other ways there.
            let loosely = |known: &Listed| known.is_loose && (known.user == user || known.user.contains('\\'));
            match known.iter().position(fits).or_else(|| known.iter().position(loosely)) {
                Some(at) => {
                    known.remove(at);
                    logins += 1;
                }
                None => wrong.push(format!("{name}: {user} {:?} is not in the truth", login.outcome)),
            }
        }
        for missing in known.iter().filter(|known| !known.is_loose) {
            wrong.push(format!("{name}: {missing:?} was not found"));
        }
    }
    assert!(wrong.is_empty(), "{} differences in {files} files:\n{}", wrong.len(), wrong.join("\n"));
    assert!(files >= 200 && logins >= 90, "only {logins} logins in {files} files were checked");
}
