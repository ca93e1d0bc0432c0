//! Counts equal findings together: the same finding on the same server (client, user, mechanism) is one, however
//! often it happens and on whichever worker.

use super::catalogue::{FindingId, Key};
use super::record::Finding;
use super::uid::Uid;
use crate::mail::{Outcome, Protocol, Text};
use crate::wire::{Endpoint, PacketRef};
use foldhash::fast::RandomState;
use hashbrown::hash_table::Entry as TableEntry;
use hashbrown::{HashSet, HashTable};
use std::hash::BuildHasher as _;

/// Distinct clients and users counted for one finding; beyond it the count is a lower bound.
const DISTINCT: usize = 10_000;

/// A finding with all its occurrences.
#[derive(Clone, Debug)]
pub struct Collected {
    /// The occurrence that says most, with the gravest severity and highest confidence of all.
    pub finding: Finding,
    /// Stable identity, from the finding's name and key fields only.
    pub uid: Uid,
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
    /// It says more than it did when it was added first.
    pub is_revised: bool,
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
    /// In the order in which they came.
    entries: Vec<Entry>,
    index: HashTable<u32>,
    limit: usize,
    /// Names of the inputs, by their index.
    inputs: Vec<String>,
    hasher: RandomState,
}

impl Collector {
    /// A collector of at most `limit` distinct findings; `inputs` names the inputs.
    #[must_use]
    pub fn new(limit: usize, inputs: Vec<String>) -> Self {
        let hasher = RandomState::default();
        Self { entries: Vec::new(), index: HashTable::new(), limit: limit.min(u32::MAX as usize), inputs, hasher }
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
        let uid = finding.uid.unwrap_or_else(|| {
            Uid::of(&finding, self.inputs.get(finding.at.input as usize).map_or("", String::as_str))
        });
        let Self { entries, index, hasher, .. } = self;
        let uid_at = |&at: &u32| entries[at as usize].collected.uid;
        match index.entry(hasher.hash_one(uid), |at| uid_at(at) == uid, |at| hasher.hash_one(uid_at(at))) {
            TableEntry::Occupied(known) => {
                entries[*known.get() as usize].add(finding, hasher);
                None
            }
            TableEntry::Vacant(free) => {
                free.insert(entries.len() as u32);
                entries.push(Entry::new(uid, finding, hasher));
                entries.last().map(|entry| &entry.collected)
            }
        }
    }

    /// Takes all findings, by the time of their last occurrence.
    pub fn drain(&mut self) -> Vec<Collected> {
        self.index.clear();
        // In the place of the entries.
        let mut all: Vec<Collected> =
            std::mem::take(&mut self.entries).into_iter().map(|entry| entry.collected).collect();
        give_way(&mut all);
        all.sort_unstable_by_key(|collected| (collected.last, collected.uid));
        all
    }
}

/// Who a finding about a name or an offer is about: server, and client and user where they matter.
type About = (Endpoint, Protocol, Option<(u128, Text)>);

/// Weaker findings leave where a stronger one says the same: an advertised login once one was accepted, a name once a
/// secret of its owner was seen.
fn give_way(all: &mut Vec<Collected>) {
    let about = |finding: &Finding, with_user: bool| -> Option<About> {
        let flow = finding.flow?;
        let user = with_user.then(|| finding.user.clone()).flatten().map(|user| (flow.client.address, user));
        Some((flow.server, flow.protocol, user))
    };
    let mut stronger: HashSet<About, RandomState> = HashSet::default();
    for Collected { finding, .. } in all.iter() {
        match finding.id {
            FindingId::ServerAcceptsCleartextAuth => stronger.extend(about(finding, false)),
            FindingId::CleartextPassword | FindingId::CleartextBearerToken | FindingId::CrackableAuthExchange => {
                stronger.extend(about(finding, true).filter(|(.., user)| user.is_some()));
            }
            _ => {}
        }
    }
    // Two views of one connection are one connection: what one lacks and the other leaves unused is the stripping itself.
    let view = |finding: &Finding| finding.flow.and_then(|flow| Some((flow.protocol, flow.isns?)));
    let is_stripped = |collected: &&Collected| collected.finding.id == FindingId::StarttlsStripped;
    let stripped: HashSet<_, RandomState> =
        all.iter().filter(is_stripped).filter_map(|collected| view(&collected.finding)).collect();
    all.retain(|Collected { finding, count, .. }| match finding.id {
        FindingId::StarttlsNotOffered | FindingId::StarttlsOfferedUnused if *count == 1 => {
            view(finding).is_none_or(|view| !stripped.contains(&view))
        }
        FindingId::PlaintextAuthAdvertised => about(finding, false).is_none_or(|about| !stronger.contains(&about)),
        FindingId::CleartextUsername => about(finding, true).is_none_or(|about| !stronger.contains(&about)),
        _ => true,
    });
}

impl Entry {
    fn new(uid: Uid, finding: Finding, hasher: &RandomState) -> Self {
        let at = finding.at;
        let is_open = !finding.id.entry().key.fixes_client_and_user();
        let mut distinct: Option<Box<Distinct>> = is_open.then(Box::default);
        let (clients, users) = match &mut distinct {
            Some(distinct) => distinct.add(&finding, hasher),
            None => (u64::from(finding.flow.is_some()), u64::from(finding.user.is_some())),
        };
        Self {
            collected: Collected { uid, count: 1, first: at, last: at, clients, users, is_revised: false, finding },
            distinct,
        }
    }

    fn add(&mut self, finding: Finding, hasher: &RandomState) {
        let collected = &mut self.collected;
        if finding.id.entry().key == Key::Fingerprint {
            // A secret's places are told anew when there are more: how often is chance, and it is one finding still.
            if finding.places().len() > collected.finding.places().len() {
                collected.last = collected.last.max(finding.at);
                (collected.finding, collected.is_revised) = (finding, true);
            }
            return;
        }
        if let Some(distinct) = &mut self.distinct {
            (collected.clients, collected.users) = distinct.add(&finding, hasher);
        }
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
}

impl Distinct {
    /// Counts client and user; says how many there are now.
    fn add(&mut self, finding: &Finding, hasher: &RandomState) -> (u64, u64) {
        if let Some(flow) = finding.flow.filter(|_| self.clients.len() < DISTINCT) {
            self.clients.insert(flow.client.address);
        }
        if let Some(user) = finding.user.as_ref().filter(|_| self.users.len() < DISTINCT) {
            self.users.insert(hasher.hash_one(user));
        }
        (self.clients.len() as u64, self.users.len() as u64)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Confidence;

    #[test]
    fn a_secret_with_more_places_is_the_same_finding_with_all_of_them() {
        let told = |number: u64, places: &[&str]| {
            let at = PacketRef { number, ..PacketRef::default() };
            let mut finding = Finding::new(FindingId::CredentialReuse, None, at, Confidence::Confirmed);
            finding.evidence_mut().places = places.iter().map(|&place| place.to_owned()).collect();
            finding
        };
        let mut collector = Collector::new(10, Vec::new());
        assert!(collector.add(told(1, &["a", "b"])).is_some());
        assert!(collector.add(told(2, &["a", "b", "c"])).is_none());
        assert!(collector.add(told(3, &["a", "b"])).is_none());
        let [collected] = &collector.drain()[..] else { panic!("one finding") };
        assert_eq!((collected.count, collected.last.number, collected.is_revised), (1, 2, true));
        assert_eq!(collected.finding.places().len(), 3);
    }
}
