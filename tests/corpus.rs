//! The corpus: every case's findings and logins, exact; every published login found, none invented.
//!
//! The folder is named by `BAREWIRE_CORPUS`; without it these tests skip, loudly.

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
        if !capture.starts_with(['p', 'i', 's', 't']) || NOT_YET.contains(&&capture[..3]) {
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
