//! What is the same in every line about a finding, written once.

use super::convert::{categories, outcome_word, starttls_head, types};
use super::event::{
    Fixed, Head, Ingress, Log, Name, Names, NetworkHead, Observer, Path, Rule, Standards, Threat, WireText,
};
use super::{Inputs, fit, json};
use crate::finding::{CATALOGUE, Category, Entry, Finding, FindingId, Offer, Starttls, remedies};
use crate::mail::{Outcome, PROTOCOLS, Protocol, StarttlsReply};
use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::sync::LazyLock;

/// Remedies that are remembered: there are more combinations of software than any place has.
const REMEMBERED: usize = 1000;

/// The version of ECS.
pub(super) const ECS: Fixed<'static> = Fixed(br#"{"version":"8.17.0"}"#);

/// What is the same in every line about a finding.
pub(super) struct Parts {
    rule: Vec<u8>,
    threat: Option<Vec<u8>>,
    reason: Vec<u8>,
    remediation: Vec<u8>,
    standards: Vec<u8>,
    /// By whether it is an alert, and by the outcome.
    heads: [[Vec<u8>; OUTCOMES]; 2],
}

/// Outcomes as far as events tell them apart: none, and each of [`WORDS`].
const OUTCOMES: usize = 1 + WORDS.len();
const WORDS: [Outcome; 3] = [Outcome::Accepted, Outcome::Rejected, Outcome::Cancelled];

/// By finding.
static PARTS: LazyLock<Vec<Parts>> = LazyLock::new(|| CATALOGUE.iter().map(Parts::new).collect());

/// Of logins, by the outcome.
static LOGIN_HEADS: LazyLock<[Vec<u8>; OUTCOMES]> = LazyLock::new(|| {
    heads(|outcome| Head {
        kind: "event",
        category: categories(Category::Exposure),
        types: types(Category::Exposure, outcome),
        action: "login",
        code: None,
        outcome: outcome.map(outcome_word),
        dataset: LOGIN,
        module: "barewire",
        provider: "barewire",
    })
});

/// Of connections.
static SESSION_HEAD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    json::members(&Head {
        kind: "event",
        category: &["network"],
        types: &["connection", "info", "protocol"],
        action: "session",
        code: None,
        outcome: None,
        dataset: SESSION,
        module: "barewire",
        provider: "barewire",
    })
});

/// Of networks, by the protocol and by whether addresses are of IPv4.
static NETWORK_HEADS: LazyLock<Vec<[Vec<u8>; 2]>> = LazyLock::new(|| {
    let head =
        |protocol: Protocol, kind| json::members(&NetworkHead { transport: "tcp", protocol: protocol.name(), kind });
    PROTOCOLS.iter().map(|info| ["ipv6", "ipv4"].map(|kind| head(info.protocol, kind))).collect()
});

pub(super) fn network_head(protocol: Protocol, is_v4: bool) -> Fixed<'static> {
    Fixed(&NETWORK_HEADS[protocol as usize][usize::from(is_v4)])
}

const FINDING: &str = "barewire.finding";
pub(super) const LOGIN: &str = "barewire.login";
pub(super) const SESSION: &str = "barewire.session";

fn heads(head: impl Fn(Option<Outcome>) -> Head) -> [Vec<u8>; OUTCOMES] {
    std::array::from_fn(|at| json::members(&head(at.checked_sub(1).map(|at| WORDS[at]))))
}

fn number(outcome: Option<Outcome>) -> usize {
    let is_same = |word: &Outcome| outcome.is_some_and(|outcome| outcome_word(*word) == outcome_word(outcome));
    WORDS.iter().position(is_same).map_or(0, |at| 1 + at)
}

/// What is the same in every line about a finding.
pub(super) fn parts(id: FindingId) -> &'static Parts {
    &PARTS[id as usize]
}

pub(super) fn login_head(outcome: Outcome) -> Fixed<'static> {
    Fixed(&LOGIN_HEADS[number(Some(outcome))])
}

pub(super) fn session_head() -> Fixed<'static> {
    Fixed(&SESSION_HEAD)
}

impl Parts {
    fn new(entry: &'static Entry) -> Self {
        let head = |kind| {
            move |outcome: Option<Outcome>| Head {
                kind,
                category: categories(entry.category),
                types: types(entry.category, outcome),
                action: entry.name,
                code: Some(entry.name),
                outcome: Some(outcome.map_or("unknown", outcome_word)),
                dataset: FINDING,
                module: "barewire",
                provider: "barewire",
            }
        };
        Self {
            rule: json::of(&rule(entry)),
            threat: threat(entry).as_ref().map(json::of),
            reason: json::of(entry.description),
            remediation: json::of(entry.remediation),
            standards: json::members(&Standards { cwe: entry.cwes, rfc: entry.rfcs }),
            heads: [heads(head("event")), heads(head("alert"))],
        }
    }

    pub(super) fn head(&self, is_alert: bool, outcome: Option<Outcome>) -> Fixed<'_> {
        Fixed(&self.heads[usize::from(is_alert)][number(outcome)])
    }

    pub(super) fn rule(&self) -> Fixed<'_> {
        Fixed(&self.rule)
    }

    pub(super) fn threat(&self) -> Option<Fixed<'_>> {
        self.threat.as_deref().map(Fixed)
    }

    pub(super) fn reason(&self) -> Fixed<'_> {
        Fixed(&self.reason)
    }

    pub(super) fn standards(&self) -> Option<Fixed<'_>> {
        Some(Fixed(&self.standards)).filter(|standards| !standards.0.is_empty())
    }
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
pub(super) fn reference(rfc: &str) -> String {
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

/// What was written before and may be the same in other lines.
#[derive(Default)]
pub(super) struct Remembered {
    pub(super) remediations: Remediations,
    pub(super) places: Places,
    pub(super) starttls: StarttlsHeads,
}

/// What came of STARTTLS: of a hundred that are possible few come in one run.
#[derive(Default)]
pub(super) struct StarttlsHeads {
    known: Vec<(Upgrade, Vec<u8>)>,
}

/// The offer, whether it was asked for, and the answer.
type Upgrade = (Offer, bool, Option<StarttlsReply>);

impl StarttlsHeads {
    pub(super) fn of(&mut self, starttls: &Starttls) -> Fixed<'_> {
        let key = (starttls.offer, starttls.is_requested, starttls.reply);
        let at = self.known.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            self.known.push((key, json::members(&starttls_head(starttls))));
            self.known.len() - 1
        });
        Fixed(&self.known[at].1)
    }
}

/// What to do, by finding and by the software of server and client.
#[derive(Default)]
pub(super) struct Remediations {
    known: HashMap<(FindingId, [Option<&'static str>; 2]), Vec<u8>>,
}

impl Remediations {
    /// What to do, and how in the software that the two ends show themselves to be.
    pub(super) fn of(&mut self, finding: &Finding) -> Fixed<'_> {
        let server = finding.server_software.map(|software| software.name);
        let client = finding.client_software.filter(|_| finding.id.entry().key.holds_client());
        let client = client.map(|software| software.name);
        if server.is_none() && client.is_none() {
            return Fixed(&parts(finding.id).remediation);
        }
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        Fixed(match self.known.entry((finding.id, [server, client])) {
            MapEntry::Occupied(known) => known.into_mut(),
            MapEntry::Vacant(place) => place.insert(json::of(&remediation(finding))),
        })
    }
}

/// Where records come from.
pub(super) struct Place {
    observer: Vec<u8>,
    log: Option<Vec<u8>>,
}

impl Place {
    fn new(name: Option<WireText<'_>>, inputs: &Inputs) -> Self {
        let (file, interface) = if inputs.is_live { (None, name) } else { (name, None) };
        let observer = Observer {
            kind: "sensor",
            vendor: "barewire",
            product: "barewire",
            version: env!("CARGO_PKG_VERSION"),
            name: inputs.sensor.as_deref(),
            ingress: interface.map(|name| Ingress { interface: Name { name } }),
        };
        let log = file.map(|path| json::of(&Log { file: Path { path } }));
        Self { observer: json::of(&observer), log }
    }

    pub(super) fn observer(&self) -> Fixed<'_> {
        Fixed(&self.observer)
    }

    pub(super) fn log(&self) -> Option<Fixed<'_>> {
        self.log.as_deref().map(Fixed)
    }
}

/// Places by their inputs: as they are, and as short as they are where a line has no room.
#[derive(Default)]
pub(super) struct Places {
    known: HashMap<u32, [Place; 2]>,
}

impl Places {
    pub(super) fn of(&mut self, input: u32, inputs: &Inputs) -> &[Place; 2] {
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.entry(input).or_insert_with(|| {
            let name = inputs.names.get(input as usize).map(|name| WireText::from(name.as_str()));
            let short = name.clone().map(|name| fit::shortened(name, inputs.is_live));
            [Place::new(name, inputs), Place::new(short, inputs)]
        })
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
