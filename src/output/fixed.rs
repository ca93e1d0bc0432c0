//! What is the same in every line about a finding, written once.

use super::event::{Fixed, Names, Rule, Threat, WireText};
use super::json;
use crate::finding::{CATALOGUE, Entry, Finding, FindingId, remedies};
use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::sync::LazyLock;

/// Remedies that are remembered: there are more combinations of software than any place has.
const REMEMBERED: usize = 1000;

type Parts = (Vec<u8>, Option<Vec<u8>>);

/// `rule` and `threat`, by finding.
static PARTS: LazyLock<Vec<Parts>> = LazyLock::new(|| {
    let parts = CATALOGUE.iter().map(|entry| {
        let (mut rule_json, mut threat_json) = (Vec::new(), Vec::new());
        json::append(&rule(entry), &mut rule_json);
        let threat = threat(entry);
        threat.iter().for_each(|threat| json::append(threat, &mut threat_json));
        (rule_json, threat.map(|_| threat_json))
    });
    parts.collect()
});

/// `rule` and `threat` of a finding.
pub(super) fn parts(id: FindingId) -> (Fixed, Option<Fixed>) {
    let (rule, threat) = &PARTS[id as usize];
    (Fixed(rule), threat.as_deref().map(Fixed))
}

fn rule(entry: &'static Entry) -> Rule {
    Rule {
        id: entry.name,
        name: entry.title,
        category: entry.category.name(),
        reference: entry.rfcs.first().map(|rfc| reference(rfc)),
        ruleset: "barewire",
        version: "1",
    }
}

/// `RFC 8314 section 4.1` as the address of its text.
fn reference(rfc: &str) -> String {
    let (number, section) = rfc.split_once(" section ").unwrap_or((rfc, ""));
    let number = number.trim_start_matches("RFC ");
    let anchor = if section.is_empty() { String::new() } else { format!("#section-{section}") };
    format!("https://www.rfc-editor.org/rfc/rfc{number}{anchor}")
}

fn threat(entry: &'static Entry) -> Option<Threat> {
    let mut threat = Threat { framework: "MITRE ATT&CK", technique: Names::default(), tactic: Names::default() };
    for technique in entry.techniques {
        threat.technique.add(technique.id, technique.name);
        threat.tactic.add(technique.tactic_id, technique.tactic);
    }
    (!entry.techniques.is_empty()).then_some(threat)
}

impl Names {
    /// Two lists side by side; two techniques may serve one tactic.
    fn add(&mut self, id: &'static str, name: &'static str) {
        if !self.id.contains(&id) {
            self.id.push(id);
            self.name.push(name);
        }
    }
}

/// What to do, by finding and by the software of server and client.
#[derive(Default)]
pub(super) struct Remediations {
    known: HashMap<(FindingId, [Option<&'static str>; 2]), String>,
}

impl Remediations {
    /// What to do, and how in the software that the two ends show themselves to be.
    pub(super) fn of(&mut self, finding: &Finding) -> WireText<'_> {
        let server = finding.server_software.map(|software| software.name);
        let client = finding.client_software.filter(|_| finding.id.entry().key.holds_client());
        let client = client.map(|software| software.name);
        if server.is_none() && client.is_none() {
            return finding.id.entry().remediation.into();
        }
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        let text = match self.known.entry((finding.id, [server, client])) {
            MapEntry::Occupied(known) => known.into_mut(),
            MapEntry::Vacant(place) => place.insert(remediation(finding)),
        };
        text.as_str().into()
    }
}

fn remediation(finding: &Finding) -> String {
    let server = finding.server_software.and_then(|software| {
        remedies::server_remedy(finding.id, Some(software)).filter(|remedy| remedy.software == software.name)
    });
    let client = finding.client_software.filter(|_| finding.id.entry().key.holds_client()).and_then(|software| {
        remedies::client_remedy(finding.id, Some(software)).filter(|remedy| remedy.software == software.name)
    });
    // A line that ends in a colon says where the lines below it belong.
    let one_line = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("; ").replace(":; ", ": ");
    let mut text = finding.id.entry().remediation.to_owned();
    for remedy in [server, client].into_iter().flatten() {
        let (setting, test) = (one_line(remedy.setting), remedy.test.lines().next().unwrap_or_default());
        text += &format!(" {}: {setting} (to test: {test})", remedy.software);
    }
    text
}
