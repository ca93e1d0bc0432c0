//! Counts equal findings together: the same finding on the same server (client, user, mechanism) is one, however
//! often it happens and on whichever worker.

use super::catalogue::Key;
use super::record::Finding;
use crate::mail::Outcome;
use crate::wire::PacketRef;
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use sha2::{Digest as _, Sha256};
use std::hash::BuildHasher as _;

/// Distinct clients and users counted for one finding; beyond it the count is a lower bound.
const DISTINCT: usize = 10_000;

/// A finding with all its occurrences.
#[derive(Clone, Debug)]
pub struct Collected {
    /// The occurrence that says most, with the gravest severity and highest confidence of all.
    pub finding: Finding,
    /// Stable identity: 16 characters of base32, from the finding's name and key fields only.
    pub uid: String,
    /// Occurrences.
    pub count: u64,
    /// First packet that shows it.
    pub first: PacketRef,
    /// Last packet that shows it.
    pub last: PacketRef,
    /// Distinct client addresses.
    pub clients: u64,
    /// Distinct users.
    pub users: u64,
}

struct Entry {
    collected: Collected,
    /// Only where the key does not fix client and user already.
    distinct: Option<Box<Distinct>>,
}

#[derive(Default)]
struct Distinct {
    clients: HashSet<u128, RandomState>,
    users: HashSet<u64, RandomState>,
}

/// All findings of a run, bounded.
pub struct Collector {
    entries: HashMap<[u8; 10], Entry, RandomState>,
    limit: usize,
    /// Names of the inputs, by their index.
    inputs: Vec<String>,
    hasher: RandomState,
}

impl Collector {
    /// A collector of at most `limit` distinct findings; `inputs` names the inputs.
    #[must_use]
    pub fn new(limit: usize, inputs: Vec<String>) -> Self {
        Self { entries: HashMap::default(), limit, inputs, hasher: RandomState::default() }
    }

    /// Distinct findings held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether another distinct finding would be one too many: write out and clear first.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.entries.len() >= self.limit
    }

    /// Counts one occurrence; gives the entry back when it is the first of its kind.
    pub fn add(&mut self, finding: Finding) -> Option<&Collected> {
        let digest = self.digest(&finding);
        let hasher = &self.hasher;
        let mut is_new = false;
        let entry = self.entries.entry(digest).or_insert_with(|| {
            is_new = true;
            let at = finding.at;
            let collected = Collected {
                uid: base32(&digest),
                count: 0,
                first: at,
                last: at,
                clients: u64::from(finding.flow.is_some()),
                users: u64::from(finding.user.is_some()),
                finding: finding.clone(),
            };
            let is_open = matches!(finding.id.entry().key, Key::Server | Key::ServerClient);
            Entry { collected, distinct: is_open.then(Box::default) }
        });
        entry.add(finding, hasher);
        is_new.then_some(&entry.collected)
    }

    /// Takes all findings, by the time of their last occurrence.
    pub fn drain(&mut self) -> Vec<Collected> {
        let mut all: Vec<Collected> = self.entries.drain().map(|(_, entry)| entry.collected).collect();
        all.sort_unstable_by(|a, b| (a.last, &a.uid).cmp(&(b.last, &b.uid)));
        all
    }

    /// SHA-256 over the finding's name and key fields, 80 bits of it: what the identity is made of. Never the
    /// client's port, a time, a packet number or a fingerprint.
    fn digest(&self, finding: &Finding) -> [u8; 10] {
        let mut hash = Sha256::new();
        hash.update(finding.id.name());
        let key = finding.id.entry().key;
        if let (Some(flow), false) = (finding.flow, key == Key::Input) {
            hash.update(flow.server.address.to_be_bytes());
            hash.update(flow.server.port.to_be_bytes());
            hash.update(flow.protocol.name());
            if key != Key::Server {
                hash.update(flow.client.address.to_be_bytes());
            }
        }
        if key == Key::ServerClientUserMechanism {
            for part in [&finding.user, &finding.mechanism] {
                let part = part.as_ref().map_or("", |text| text.as_str());
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
        if key == Key::Input {
            let name = self.inputs.get(finding.at.input as usize).map_or("", |name| base_name(name));
            hash.update(name);
        }
        let digest = hash.finalize();
        let mut short = [0; 10];
        short.copy_from_slice(&digest[..10]);
        short
    }
}

impl Entry {
    fn add(&mut self, finding: Finding, hasher: &RandomState) {
        self.count_distinct(&finding, hasher);
        let collected = &mut self.collected;
        collected.count += 1;
        collected.last = collected.last.max(finding.at);
        let severity = collected.finding.severity.max(finding.severity);
        let confidence = collected.finding.confidence.max(finding.confidence);
        collected.first = collected.first.min(finding.at);
        // Workers report in any order; which occurrence stands for all must not depend on it.
        if rank(&finding) < rank(&collected.finding) {
            collected.finding = finding;
        }
        (collected.finding.severity, collected.finding.confidence) = (severity, confidence);
    }

    fn count_distinct(&mut self, finding: &Finding, hasher: &RandomState) {
        let Some(distinct) = &mut self.distinct else { return };
        if let Some(flow) = finding.flow.filter(|_| distinct.clients.len() < DISTINCT) {
            distinct.clients.insert(flow.client.address);
        }
        if let Some(user) = finding.user.as_ref().filter(|_| distinct.users.len() < DISTINCT) {
            distinct.users.insert(hasher.hash_one(user));
        }
        self.collected.clients = distinct.clients.len() as u64;
        self.collected.users = distinct.users.len() as u64;
    }
}

/// The occurrence that says most comes first: a success more than any number of failures, then the earliest.
fn rank(finding: &Finding) -> (u8, PacketRef) {
    let outcome = match finding.outcome {
        Some(Outcome::Accepted) => 0,
        Some(Outcome::RejectedAfterAuth) => 1,
        Some(Outcome::Rejected) => 2,
        Some(Outcome::RefusedByPolicy) => 3,
        Some(Outcome::Cancelled) => 4,
        Some(Outcome::Unknown(_)) | None => 5,
    };
    (outcome, finding.at)
}

/// The last part of a path: where a capture lies is not part of what it shows.
fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// RFC 4648 §6 without padding; 10 octets are exactly 16 characters.
fn base32(octets: &[u8; 10]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::with_capacity(16);
    for group in octets.chunks_exact(5) {
        let bits = group.iter().fold(0_u64, |bits, &octet| bits << 8 | u64::from(octet));
        for at in (0..8).rev() {
            text.push(char::from(ALPHABET[(bits >> (at * 5) & 31) as usize]));
        }
    }
    text
}
