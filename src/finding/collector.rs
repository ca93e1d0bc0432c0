//! Counts equal findings together: the same finding on the same server (client, user, mechanism) is one, however
//! often it happens and on whichever worker.

use super::baseline::{Acceptance, Baseline};
use super::catalogue::{FindingId, Key};
use super::held::{Held, Store};
use super::record::{Finding, Flow};
use super::uid::Uid;
use crate::mail::{Outcome, Protocol, Text};
use crate::wire::{Endpoint, PacketRef, Timestamp};
use foldhash::fast::RandomState;
use hashbrown::hash_table::Entry;
use hashbrown::{HashMap, HashSet, HashTable};
use std::sync::Arc;

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
    /// It says more than it did when it was told last.
    pub is_revised: bool,
    /// Of `count`, what roll-ups have told; 0 before the first.
    pub told: u64,
    /// Somebody knows of it and lets it stand; to be filled in by [`Collected::accept`].
    pub accepted: Option<Arc<Acceptance>>,
}

impl Collected {
    /// Notes whether it may stand.
    pub fn accept(&mut self, baseline: &Baseline) {
        self.accepted = baseline.acceptance(self.uid, self.last.time, self.finding.severity);
    }
}

/// All findings of a run, bounded.
pub struct Collector {
    /// In the order in which they came.
    all: Vec<Held>,
    index: HashTable<u32>,
    store: Store,
    limit: usize,
    /// Identities of findings about a server, which come with each of its connections.
    of_servers: HashMap<(FindingId, Endpoint, Protocol), Uid, RandomState>,
    /// Names of the inputs, by their index.
    inputs: Vec<String>,
}

/// Identities that are remembered; then all are forgotten.
const REMEMBERED: usize = 1000;

/// Findings on their way out, by the time of their last occurrence.
pub struct Drained {
    all: Vec<Held>,
    /// By time, each with its place among all.
    order: std::vec::IntoIter<(Timestamp, u32)>,
    store: Store,
}

impl Iterator for Drained {
    type Item = Collected;

    fn next(&mut self) -> Option<Collected> {
        self.order.next().map(|(_, at)| self.all[at as usize].unpack(&self.store))
    }
}

impl Collector {
    /// A collector of at most `limit` distinct findings; `inputs` names the inputs.
    #[must_use]
    pub fn new(limit: usize, inputs: Vec<String>) -> Self {
        let limit = limit.min(u32::MAX as usize);
        Self {
            all: Vec::new(),
            index: HashTable::new(),
            store: Store::default(),
            limit,
            of_servers: HashMap::default(),
            inputs,
        }
    }

    /// Distinct findings held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether another distinct finding would be one too many: write out and clear first.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.all.len() >= self.limit
    }

    /// Counts one occurrence; gives it back when it is the first of its kind.
    pub fn add(&mut self, finding: Finding) -> Option<Collected> {
        let uid = self.uid(&finding);
        let Self { all, index, store, .. } = self;
        let uid_at = |&at: &u32| all[at as usize].uid;
        match index.entry(store.hash(uid), |at| uid_at(at) == uid, |at| store.hash(uid_at(at))) {
            Entry::Occupied(known) => {
                count(&mut all[*known.get() as usize], &finding, store);
                store.tidy(all);
                None
            }
            Entry::Vacant(free) => {
                free.insert(all.len() as u32);
                all.push(Held::new(uid, &finding, store));
                let (clients, users) = (u64::from(finding.flow.is_some()), u64::from(finding.user.is_some()));
                let at = finding.at;
                let (count, is_revised, told) = (1, false, 0);
                Some(Collected {
                    uid,
                    count,
                    first: at,
                    last: at,
                    clients,
                    users,
                    is_revised,
                    told,
                    finding,
                    accepted: None,
                })
            }
        }
    }

    fn uid(&mut self, finding: &Finding) -> Uid {
        let inputs = &self.inputs;
        let anew = || Uid::of(finding, inputs.get(finding.at.input as usize).map_or("", String::as_str));
        match finding.flow {
            _ if finding.uid.is_some() => finding.uid.unwrap_or_else(anew),
            Some(flow) if finding.id.entry().key == Key::Server => {
                if self.of_servers.len() >= REMEMBERED {
                    self.of_servers.clear();
                }
                *self.of_servers.entry((finding.id, flow.server, flow.protocol)).or_insert_with(anew)
            }
            _ => anew(),
        }
    }

    /// Shows all findings, by the time of their last occurrence, and goes on counting them. Those for which `tell` says
    /// that they are told now are so until they occur again.
    ///
    /// # Errors
    ///
    /// What `tell` gives; those that were told before it are told.
    pub fn roll_up<E>(&mut self, mut tell: impl FnMut(Collected) -> Result<bool, E>) -> Result<(), E> {
        let gives_way = give_way(&self.all, &self.store);
        let mut order: Vec<(PacketRef, u32)> = (0..).zip(&self.all).map(|(at, held)| (held.last(), at)).collect();
        order.sort_unstable();
        for (_, at) in order.into_iter().filter(|(_, at)| !gives_way[*at as usize]) {
            let held = &mut self.all[at as usize];
            if tell(held.unpack(&self.store))? {
                held.note_told(&self.store);
            }
        }
        Ok(())
    }

    /// Forgets findings that occurred last before that time, once `seen` has seen them.
    pub fn forget(&mut self, before: Timestamp, mut seen: impl FnMut(Collected)) {
        let Self { all, store, .. } = self;
        let held_before = all.len();
        all.retain(|held| {
            let is_kept = held.last().time >= before;
            if !is_kept {
                seen(held.unpack(store));
                store.forget(held);
            }
            is_kept
        });
        if all.len() < held_before {
            self.index = HashTable::with_capacity(all.len());
            for (at, held) in (0..).zip(all.iter()) {
                let again = |at: &u32| store.hash(all[*at as usize].uid);
                self.index.insert_unique(store.hash(held.uid), at, again);
            }
            store.tidy(all);
            all.shrink_to(all.len() * 2);
        }
    }

    /// Takes all findings, by the time of their last occurrence.
    pub fn drain(&mut self) -> Drained {
        self.index = HashTable::new();
        let (mut all, store) = (std::mem::take(&mut self.all), std::mem::take(&mut self.store));
        let mut gives_way = give_way(&all, &store).into_iter();
        all.retain(|_| !gives_way.next().unwrap_or_default());
        // Times are at hand and nearly always tell; the rest of the order is looked up for equal ones only.
        let mut order: Vec<(Timestamp, u32)> = (0..).zip(&all).map(|(at, held)| (held.last().time, at)).collect();
        order.sort_unstable();
        for equal in order.chunk_by_mut(|a, b| a.0 == b.0).filter(|equal| equal.len() > 1) {
            equal.sort_unstable_by_key(|(_, at)| (all[*at as usize].last(), all[*at as usize].uid));
        }
        Drained { all, order: order.into_iter(), store }
    }
}

/// Counts another occurrence of a finding.
fn count(held: &mut Held, finding: &Finding, store: &mut Store) {
    if finding.id.entry().key == Key::Fingerprint {
        // A secret's places are told anew when there are more: how often is chance, and it is one finding still.
        if finding.places().len() > held.places() {
            let more = held.more_mut(store);
            (more.last, more.is_revised) = (more.last.max(finding.at), true);
            held.stand_for(finding, store);
        }
        return;
    }
    held.more_mut(store).add(finding, store);
    let severity = held.severity.max(finding.severity);
    let confidence = held.confidence.max(finding.confidence);
    // Workers report in any order; which occurrence stands for all must not depend on it.
    if rank(finding.outcome, finding.at) < rank(held.outcome, held.at()) {
        held.stand_for(finding, store);
    }
    (held.severity, held.confidence) = (severity, confidence);
}

/// Who a finding about a name or an offer is about: server, and client and user where they matter.
type About = (Endpoint, Protocol, Option<(u128, Text)>);

/// Which findings say no more than a stronger one: an advertised login once one was accepted, a name once a secret of its
/// owner was seen.
fn give_way(all: &[Held], store: &Store) -> Vec<bool> {
    use FindingId::{
        CleartextBearerToken, CleartextPassword, CleartextUsername, CrackableAuthExchange, PlaintextAuthAdvertised,
        ServerAcceptsCleartextAuth, StarttlsNotOffered, StarttlsOfferedUnused, StarttlsStripped,
    };
    let about = |held: &Held| -> Option<About> {
        let (flow, user) = held.about(store);
        let (flow, is_of_server) = (flow?, matches!(held.id, ServerAcceptsCleartextAuth | PlaintextAuthAdvertised));
        let user = user.filter(|_| !is_of_server).map(|user| (flow.client.address, user));
        Some((flow.server, flow.protocol, user))
    };
    // What may have to leave first, for it is little: only what it is about need be remembered.
    let is_weak = |held: &Held| matches!(held.id, PlaintextAuthAdvertised | CleartextUsername);
    let weak: HashSet<About, RandomState> = all.iter().filter(|held| is_weak(held)).filter_map(about).collect();
    let has_names = weak.iter().any(|(.., user)| user.is_some());
    let mut stronger: HashSet<About, RandomState> = HashSet::default();
    for held in all.iter().filter(|_| !weak.is_empty()) {
        match held.id {
            ServerAcceptsCleartextAuth => stronger.extend(about(held).filter(|about| weak.contains(about))),
            CleartextPassword | CleartextBearerToken | CrackableAuthExchange if has_names => {
                let named = about(held).filter(|(.., user)| user.is_some());
                stronger.extend(named.filter(|about| weak.contains(about)));
            }
            _ => {}
        }
    }
    // Two views of one connection are one connection: what one lacks and the other leaves unused is the stripping itself.
    let view = |held: &Held| held.about(store).0.and_then(|Flow { protocol, isns, .. }| Some((protocol, isns?)));
    let is_stripped = |held: &&Held| held.id == StarttlsStripped;
    let stripped: HashSet<_, RandomState> = all.iter().filter(is_stripped).filter_map(view).collect();
    let gives_way = |held: &Held| match held.id {
        StarttlsNotOffered | StarttlsOfferedUnused if held.count() == 1 && !stripped.is_empty() => {
            view(held).is_some_and(|view| stripped.contains(&view))
        }
        PlaintextAuthAdvertised | CleartextUsername => about(held).is_some_and(|about| stronger.contains(&about)),
        _ => false,
    };
    all.iter().map(gives_way).collect()
}

/// The occurrence that says most comes first: a success more than any number of failures, then the earliest.
fn rank(outcome: Option<Outcome>, at: PacketRef) -> (u8, PacketRef) {
    let outcome = match outcome {
        Some(Outcome::Accepted) => 0,
        Some(Outcome::RejectedAfterAuth) => 1,
        Some(Outcome::Rejected) => 2,
        Some(Outcome::RefusedByPolicy) => 3,
        Some(Outcome::Cancelled) => 4,
        Some(Outcome::Unknown(_)) | None => 5,
    };
    (outcome, at)
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
        let [collected] = &collector.drain().collect::<Vec<_>>()[..] else { panic!("one finding") };
        assert_eq!((collected.count, collected.last.number, collected.is_revised), (1, 2, true));
        assert_eq!(collected.finding.places().len(), 3);
    }

    #[test]
    fn a_roll_up_tells_what_is_new_and_what_is_old_is_forgotten() {
        let told = |seconds: u64, name: &str| {
            let at = PacketRef { time: Timestamp(seconds * 1_000_000_000), ..PacketRef::default() };
            let mut finding = Finding::new(FindingId::CredentialReuse, None, at, Confidence::Confirmed);
            (finding.id, finding.uid) = (FindingId::CoverageGap, Some(Uid::restored([name.len() as u8; 10])));
            finding
        };
        let mut collector = Collector::new(10, Vec::new());
        let rolled_up = |collector: &mut Collector| {
            let mut counts = Vec::new();
            let done: Result<(), ()> = collector.roll_up(|collected| {
                let is_new = collected.count > collected.told.max(1);
                counts.extend(is_new.then_some((collected.count, collected.told)));
                Ok(is_new)
            });
            done.map(|()| counts).expect("no error")
        };
        for (seconds, name) in [(1, "a"), (1, "bb"), (2, "bb")] {
            collector.add(told(seconds, name));
        }
        assert_eq!(rolled_up(&mut collector), [(2, 0)]);
        assert_eq!(rolled_up(&mut collector), []);
        assert!(collector.add(told(9, "bb")).is_none(), "it goes on being counted");
        assert_eq!(rolled_up(&mut collector), [(3, 2)]);
        let mut forgotten = Vec::new();
        collector.forget(Timestamp(5_000_000_000), |gone| forgotten.push(gone.count));
        assert_eq!((forgotten, collector.len()), (vec![1], 1));
        assert!(collector.add(told(10, "bb")).is_none(), "it is found all the same");
        assert!(collector.add(told(10, "a")).is_some(), "it is new again");
        assert_eq!(collector.drain().map(|collected| collected.count).collect::<Vec<_>>(), [1, 4]);
    }
}
