//! Findings as they are held until they are written: packed, for there may be a million of them.

use super::catalogue::FindingId;
use super::collector::Collected;
use super::packed::{Arena, Packer, Place, Softwares, Unpacker};
use super::record::{Evidence, Finding, Flow, Offer, Starttls, TlsFacts};
use super::uid::Uid;
use crate::mail::{Confidence, Outcome, Reason, StarttlsReply, Text, Validity};
use crate::secret::Fingerprint;
use crate::wire::PacketRef;
use foldhash::fast::RandomState;
use hashbrown::hash_table::Entry;
use hashbrown::{HashSet, HashTable};
use std::hash::BuildHasher as _;
use std::sync::Arc;

/// Distinct clients and users counted for one finding; beyond it the count is a lower bound.
const DISTINCT: usize = 10_000;

/// Pieces of evidence remembered, to be had once where many findings have the same; then all are forgotten.
const SHARED: usize = 1000;

/// One distinct finding. What all have is at hand, what most have is packed, what few have is elsewhere.
pub(super) struct Held {
    /// The packet of the occurrence that stands for all.
    at: PacketRef,
    packed: Place,
    evidence: Option<Arc<Evidence>>,
    /// Once there is more to tell than one occurrence.
    pub(super) more: Option<Box<More>>,
    pub(super) uid: Uid,
    pub(super) id: FindingId,
    pub(super) severity: u8,
    pub(super) confidence: Confidence,
    pub(super) outcome: Option<Outcome>,
    validity: Validity,
    missing: Option<Reason>,
    starttls: Option<(Offer, bool, Option<StarttlsReply>)>,
    /// Whether the first occurrence had a client and a user.
    has: [bool; 2],
}

/// A million of them fit where a tenth did.
const _: () = assert!(size_of::<Held>() <= 80);

/// What several occurrences come to.
pub(super) struct More {
    pub(super) count: u64,
    pub(super) first: PacketRef,
    pub(super) last: PacketRef,
    pub(super) is_revised: bool,
    /// Of the count, what a roll-up has told.
    pub(super) told: u64,
    /// Clients and users, as many as there are.
    pub(super) counted: [u64; 2],
    /// Only where the key does not fix client and user already.
    pub(super) distinct: Option<Distinct>,
}

/// Clients and users of a finding.
#[derive(Default)]
pub(super) struct Distinct {
    clients: HashSet<u128, RandomState>,
    users: HashSet<u64, RandomState>,
}

/// Where the packed parts of findings lie.
#[derive(Default)]
pub(super) struct Store {
    arena: Arena,
    packer: Packer,
    softwares: Softwares,
    /// With its hash.
    evidence: HashTable<(u64, Arc<Evidence>)>,
    hasher: RandomState,
}

impl Held {
    pub(super) fn new(uid: Uid, finding: &Finding, store: &mut Store) -> Self {
        Self {
            at: finding.at,
            packed: store.pack(finding),
            evidence: store.share(finding.evidence.as_ref()),
            more: None,
            uid,
            id: finding.id,
            severity: finding.severity,
            confidence: finding.confidence,
            outcome: finding.outcome,
            validity: finding.validity,
            missing: finding.missing,
            starttls: starttls(finding),
            has: [finding.flow.is_some(), finding.user.is_some()],
        }
    }

    /// Another occurrence stands for all now.
    pub(super) fn stand_for(&mut self, finding: &Finding, store: &mut Store) {
        self.packed = store.repack(self.packed, finding);
        self.at = finding.at;
        self.evidence = store.share(finding.evidence.as_ref());
        (self.severity, self.confidence) = (finding.severity, finding.confidence);
        (self.outcome, self.validity) = (finding.outcome, finding.validity);
        (self.missing, self.starttls) = (finding.missing, starttls(finding));
    }

    /// What is told when there is more than one occurrence: so far only of the first.
    pub(super) fn more_mut(&mut self, store: &Store) -> &mut More {
        if self.more.is_none() {
            let distinct = (!self.id.entry().key.fixes_client_and_user()).then(|| {
                let (flow, user) = self.about(store);
                let mut distinct = Distinct::default();
                distinct.add(flow.as_ref(), user.as_ref(), &store.hasher);
                distinct
            });
            let (at, counted) = (self.at, self.has.map(u64::from));
            let (count, is_revised, told) = (1, false, 0);
            self.more = Some(Box::new(More { count, first: at, last: at, is_revised, told, counted, distinct }));
        }
        self.more.as_mut().expect("it was put there")
    }

    pub(super) fn at(&self) -> PacketRef {
        self.at
    }

    pub(super) fn count(&self) -> u64 {
        self.more.as_ref().map_or(1, |more| more.count)
    }

    /// A roll-up has told all that there is.
    pub(super) fn note_told(&mut self, store: &Store) {
        let more = self.more_mut(store);
        (more.told, more.is_revised) = (more.count, false);
    }

    pub(super) fn last(&self) -> PacketRef {
        self.more.as_ref().map_or(self.at, |more| more.last)
    }

    pub(super) fn places(&self) -> usize {
        self.evidence.as_ref().map_or(0, |evidence| evidence.places.len())
    }

    /// The connection and the user that it is about.
    pub(super) fn about(&self, store: &Store) -> (Option<Flow>, Option<Text>) {
        let mut read = store.arena.get(self.packed);
        (self.flow(&mut read), read.text())
    }

    fn flow(&self, read: &mut Unpacker<'_>) -> Option<Flow> {
        let [has_flow] = read.octets();
        (has_flow == 1).then(|| read.flow(self.at))
    }

    /// All that is known of it, as it is written.
    pub(super) fn unpack(&self, store: &Store) -> Collected {
        let mut read = store.arena.get(self.packed);
        let finding = Finding {
            id: self.id,
            severity: self.severity,
            confidence: self.confidence,
            flow: self.flow(&mut read),
            at: self.at,
            user: read.text(),
            authzid: read.text(),
            mechanism: read.text(),
            outcome: self.outcome,
            validity: self.validity,
            fingerprint: (read.number() == 1).then(|| Fingerprint::restored(&read.octets())),
            starttls: {
                let reply_code = read.text();
                self.starttls.map(|(offer, is_requested, reply)| Starttls { offer, is_requested, reply, reply_code })
            },
            missing: self.missing,
            server_software: store.softwares.of(read.number()),
            client_software: store.softwares.of(read.number()),
            related: (0..read.number()).map(|_| Uid::restored(read.octets())).collect(),
            evidence: self.evidence.clone(),
            uid: None,
        };
        let once = |has: bool| u64::from(has);
        let (count, first, last, is_revised, told, [clients, users]) = match &self.more {
            None => (1, self.at, self.at, false, 0, self.has.map(once)),
            Some(more) => (more.count, more.first, more.last, more.is_revised, more.told, more.counted),
        };
        Collected { finding, uid: self.uid, count, first, last, clients, users, is_revised, told, accepted: None }
    }
}

fn starttls(finding: &Finding) -> Option<(Offer, bool, Option<StarttlsReply>)> {
    finding.starttls.as_ref().map(|starttls| (starttls.offer, starttls.is_requested, starttls.reply))
}

impl Store {
    pub(super) fn hash(&self, uid: Uid) -> u64 {
        self.hasher.hash_one(uid)
    }

    /// Gives the room of what stood there before back, when it is most of all.
    pub(super) fn tidy(&mut self, all: &mut [Held]) {
        self.arena.tidy(all.iter_mut().map(|held| &mut held.packed));
    }

    /// One is no longer held.
    pub(super) fn forget(&mut self, held: &Held) {
        self.arena.waste(held.packed);
    }

    fn pack(&mut self, finding: &Finding) -> Place {
        self.write(finding);
        self.arena.put(self.packer.written())
    }

    fn repack(&mut self, place: Place, finding: &Finding) -> Place {
        self.write(finding);
        self.arena.replace(place, self.packer.written())
    }

    fn write(&mut self, finding: &Finding) {
        let softwares = [finding.server_software, finding.client_software].map(|known| self.softwares.number(known));
        let write = self.packer.begin();
        write.octets(&[u8::from(finding.flow.is_some())]);
        finding.flow.iter().for_each(|flow| write.flow(flow, finding.at));
        let code = finding.starttls.as_ref().and_then(|starttls| starttls.reply_code.as_ref());
        write.text(finding.user.as_ref());
        write.text(finding.authzid.as_ref());
        write.text(finding.mechanism.as_ref());
        write.number(finding.fingerprint.is_some().into());
        finding.fingerprint.iter().for_each(|fingerprint| write.octets(&fingerprint.octets()));
        write.text(code);
        softwares.into_iter().for_each(|software| write.number(software));
        write.number(finding.related.len() as u64);
        finding.related.iter().for_each(|uid| write.octets(&uid.octets()));
    }

    /// The same evidence, which another finding may have as well. Of what is told of TLS and of copies that differ there
    /// is hardly ever the same twice.
    fn share(&mut self, evidence: Option<&Arc<Evidence>>) -> Option<Arc<Evidence>> {
        let own = evidence?;
        let Evidence {
            kind, octets, cause, context, capabilities, path, attempts, seconds, places, overlap, tls, ..
        } = &**own;
        if !places.is_empty() || overlap.is_some() || *tls != TlsFacts::default() {
            return Some(Arc::clone(own));
        }
        if self.evidence.len() >= SHARED {
            self.evidence.clear();
        }
        let hash = self.hasher.hash_one((kind, octets, cause, context, capabilities, path, attempts, seconds));
        // What is not hashed has few values.
        match self.evidence.entry(hash, |(_, known)| known == own, |(hash, _)| *hash) {
            Entry::Occupied(known) => Some(Arc::clone(&known.get().1)),
            Entry::Vacant(place) => {
                place.insert((hash, Arc::clone(own)));
                Some(Arc::clone(own))
            }
        }
    }
}

impl More {
    /// Counts another occurrence.
    pub(super) fn add(&mut self, finding: &Finding, store: &Store) {
        self.count += 1;
        self.first = self.first.min(finding.at);
        self.last = self.last.max(finding.at);
        if let Some(distinct) = &mut self.distinct {
            self.counted = distinct.add(finding.flow.as_ref(), finding.user.as_ref(), &store.hasher);
        }
    }
}

impl Distinct {
    /// Counts client and user; says how many there are now.
    fn add(&mut self, flow: Option<&Flow>, user: Option<&Text>, hasher: &RandomState) -> [u64; 2] {
        if let Some(flow) = flow.filter(|_| self.clients.len() < DISTINCT) {
            self.clients.insert(flow.client.address);
        }
        if let Some(user) = user.filter(|_| self.users.len() < DISTINCT) {
            self.users.insert(hasher.hash_one(user));
        }
        [self.clients.len() as u64, self.users.len() as u64]
    }
}
