//! One connection with the offer of STARTTLS in one place and without it in another.

use super::HELD;
use crate::finding::catalogue::FindingId;
use crate::finding::packed::{Arena, Packer, Place};
use crate::finding::record::{Finding, Flow, Offer};
use crate::mail::{Confidence, Protocol};
use crate::wire::{PacketRef, Timestamp};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::{BuildHasher as _, Hash};

/// Two views of one connection begin within this time, for clocks of two sensors differ; nanoseconds.
const VIEW_WINDOW_NS: u64 = 60 * 1_000_000_000;
/// A view is remembered for so long, since a connection is told when it is over; nanoseconds.
const VIEW_HELD_NS: u64 = 3600 * 1_000_000_000;

/// A connection that was seen in at least one place.
struct Seen<K> {
    key: K,
    protocol: Protocol,
    /// With the offer as well as without.
    is_both: bool,
    packed: Place,
}

/// What was seen of it, by whichever sensors: the earliest view with the offer and without.
#[derive(Default)]
struct View {
    offered: Option<PacketRef>,
    missing: Option<Flow>,
}

/// What was seen of connections, by what all views of one have in common.
pub(super) struct Views<K> {
    all: Vec<Seen<K>>,
    index: HashTable<u32>,
    arena: Arena,
    packer: Packer,
    hasher: RandomState,
}

impl<K> Default for Views<K> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            index: HashTable::new(),
            arena: Arena::default(),
            packer: Packer::default(),
            hasher: RandomState::default(),
        }
    }
}

impl<K: Copy + Eq + Hash> Views<K> {
    /// Takes a connection into account, which may have been seen in several places on its path; `false`: too many are
    /// remembered already.
    #[must_use]
    pub(super) fn note(&mut self, key: K, flow: Flow, offer: Offer) -> bool {
        let protocol = flow.protocol;
        let Self { all, index, arena, packer, hasher } = self;
        let hash = hasher.hash_one((protocol, key));
        let is_it = |&at: &u32| (all[at as usize].protocol, all[at as usize].key) == (protocol, key);
        let known = index.find(hash, is_it);
        if known.is_none() && all.len() >= HELD {
            return false;
        }
        let (offered, missing) = match offer {
            Offer::Offered => (Some(flow.start), None),
            Offer::NotOffered => (None, Some(flow)),
            Offer::Unknown(_) => return true,
        };
        let view = View { offered, missing };
        let Some(known) = known else {
            let packed = arena.put(view.pack(packer));
            index.insert_unique(hash, all.len() as u32, |&at| all[at as usize].hash(hasher));
            all.push(Seen { key, protocol, is_both: false, packed });
            return true;
        };
        let seen = &mut all[*known as usize];
        let view = View::unpack(arena, seen.packed).and(view);
        seen.is_both = view.offered.is_some() && view.missing.is_some();
        seen.packed = arena.replace(seen.packed, view.pack(packer));
        arena.tidy(all.iter_mut().map(|seen| &mut seen.packed));
        true
    }

    /// What was offered in one place and not in another, by where it was not: something between has taken it out.
    pub(super) fn judge(&self) -> Vec<(K, Flow)> {
        let near = |seen: &Seen<K>| -> Option<(K, Flow)> {
            let View { offered, missing } = View::unpack(&self.arena, seen.packed);
            let (offered, missing) = (offered?, missing?);
            let (a, b) = (offered.time, missing.start.time);
            (a.since(b).max(b.since(a)) <= VIEW_WINDOW_NS).then_some((seen.key, missing))
        };
        let mut stripped: Vec<(K, Flow)> = self.all.iter().filter(|seen| seen.is_both).filter_map(near).collect();
        stripped.sort_unstable_by_key(|(_, flow)| (flow.start, *flow));
        stripped
    }

    /// Forgets what is long over.
    pub(super) fn forget(&mut self, latest: Timestamp) {
        let Self { all, index, arena, hasher, .. } = self;
        let before = all.len();
        all.retain(|seen| {
            let View { offered, missing } = View::unpack(arena, seen.packed);
            let last = offered.into_iter().chain(missing.map(|flow| flow.start)).max();
            let is_held = last.is_some_and(|last| latest.since(last.time) <= VIEW_HELD_NS);
            if !is_held {
                arena.waste(seen.packed);
            }
            is_held
        });
        if all.len() < before {
            index.clear();
            for (at, seen) in (0..).zip(all.iter()) {
                index.insert_unique(seen.hash(hasher), at, |&at: &u32| all[at as usize].hash(hasher));
            }
            arena.tidy(all.iter_mut().map(|seen| &mut seen.packed));
        }
    }
}

/// The finding about a connection where it was not offered.
pub(super) fn stripped(flow: Flow) -> Finding {
    let mut finding = Finding::new(FindingId::StarttlsStripped, Some(flow), flow.start, Confidence::Confirmed);
    finding.evidence_mut().kind = Some("two-views");
    finding
}

impl<K: Hash> Seen<K> {
    fn hash(&self, hasher: &RandomState) -> u64 {
        hasher.hash_one((self.protocol, &self.key))
    }
}

impl View {
    /// The earlier of both.
    fn and(self, other: Self) -> Self {
        let offered = self.offered.into_iter().chain(other.offered).min();
        let missing = self.missing.into_iter().chain(other.missing).min_by_key(|flow| (flow.start, *flow));
        Self { offered, missing }
    }

    fn pack<'a>(&self, packer: &'a mut Packer) -> &'a [u8] {
        let write = packer.begin();
        write.octets(&[u8::from(self.offered.is_some()), u8::from(self.missing.is_some())]);
        self.offered.iter().for_each(|at| write.packet(*at, PacketRef::default()));
        self.missing.iter().for_each(|flow| write.flow(flow, PacketRef::default()));
        packer.written()
    }

    fn unpack(arena: &Arena, packed: Place) -> Self {
        let mut read = arena.get(packed);
        let [offered, missing] = read.octets().map(|has: u8| has == 1);
        Self {
            offered: offered.then(|| read.packet(PacketRef::default())),
            missing: missing.then(|| read.flow(PacketRef::default())),
        }
    }
}
