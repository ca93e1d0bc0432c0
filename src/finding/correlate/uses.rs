//! One secret in several places.

use crate::finding::catalogue::FindingId;
use crate::finding::packed::{self, Arena, Packer};
use crate::finding::record::{Finding, Flow, Login};
use crate::mail::{Confidence, Protocol, Text, Validity};
use crate::secret::Fingerprint;
use crate::wire::{Endpoint, PacketRef};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher as _;

/// Places remembered of one secret.
const PLACES: usize = 32;
/// Secrets remembered: each with a name as long as the client likes.
const SECRETS: usize = 250_000;

/// Where a secret was used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    server: Endpoint,
    protocol: Protocol,
    user: Box<str>,
}

/// One secret.
struct Secret {
    fingerprint: Fingerprint,
    validity: Validity,
    /// Places, and how many they were when it was told last.
    places: u8,
    told: u8,
    packed: packed::Place,
}

/// A use of a secret.
pub(super) struct Use<'a> {
    /// The packet that completed it.
    pub(super) at: PacketRef,
    pub(super) flow: Flow,
    /// Whose it is; a use of nobody's is not counted.
    pub(super) user: Option<&'a str>,
    pub(super) validity: Validity,
}

impl<'a> From<&'a Login> for Use<'a> {
    fn from(login: &'a Login) -> Self {
        Self { at: login.at, flow: login.flow, user: login.user.as_ref().map(Text::as_str), validity: login.validity }
    }
}

/// Its uses.
struct Used {
    /// The use that stands for all: the last.
    last: (PacketRef, Flow),
    /// Sorted. Nearly always one.
    places: Vec<Place>,
}

/// Where secrets were used.
#[derive(Default)]
pub(super) struct Uses {
    all: Vec<Secret>,
    index: HashTable<u32>,
    arena: Arena,
    packer: Packer,
    hasher: RandomState,
}

impl Uses {
    /// Takes a use into account; `false`: too many secrets are remembered already.
    #[must_use]
    pub(super) fn note(&mut self, fingerprint: Fingerprint, used: &Use<'_>) -> bool {
        let Self { all, index, arena, packer, hasher } = self;
        let hash = hasher.hash_one(fingerprint);
        let known = index.find(hash, |&at| all[at as usize].fingerprint == fingerprint);
        if known.is_none() && all.len() >= SECRETS {
            return false;
        }
        // Whose it is must be known: the same login may have been seen in another place whole.
        let Some(user) = used.user else { return true };
        let (use_here, validity) = ((used.at, used.flow), used.validity);
        let (server, protocol) = (used.flow.server, used.flow.protocol);
        let Some(known) = known else {
            let here = std::iter::once((server, protocol, user));
            let packed = arena.put(pack(use_here, 1, here, packer));
            let rehash = |&at: &u32| hasher.hash_one(all[at as usize].fingerprint);
            index.insert_unique(hash, all.len() as u32, rehash);
            all.push(Secret { fingerprint, validity, places: 1, told: 1, packed });
            return true;
        };
        let place = Place { server, protocol, user: user.into() };
        let secret = &mut all[*known as usize];
        let mut used = Used::unpack(arena, secret.packed);
        // The least of them, so that the order in which they come does not matter.
        if let Err(at) = used.places.binary_search(&place) {
            used.places.insert(at, place);
            used.places.truncate(PLACES);
        }
        secret.validity = secret.validity.max(validity);
        secret.places = used.places.len() as u8;
        if use_here >= used.last {
            used.last = use_here;
        }
        secret.packed = arena.replace(secret.packed, used.pack(packer));
        arena.tidy(all.iter_mut().map(|secret| &mut secret.packed));
        true
    }

    /// Secrets with more places than when they were told last.
    pub(super) fn judge(&mut self) -> Vec<Finding> {
        let mut found = Vec::new();
        for secret in self.all.iter_mut().filter(|secret| secret.places > secret.told) {
            secret.told = secret.places;
            let Used { last: (at, flow), places } = Used::unpack(&self.arena, secret.packed);
            let mut finding = Finding::new(FindingId::CredentialReuse, Some(flow), at, Confidence::Confirmed);
            finding.fingerprint = Some(secret.fingerprint);
            finding.validity = secret.validity;
            let is_suite = is_suite(&places);
            let evidence = finding.evidence_mut();
            evidence.places = places.iter().map(Place::text).collect();
            if is_suite {
                evidence.kind = Some("expected-suite");
                finding.severity = 2;
            }
            found.push(finding);
        }
        found.sort_by_key(|finding| (finding.at, finding.fingerprint));
        found
    }
}

impl Used {
    fn pack<'a>(&self, packer: &'a mut Packer) -> &'a [u8] {
        let places = self.places.iter().map(|place| (place.server, place.protocol, &*place.user));
        pack(self.last, self.places.len(), places, packer)
    }

    fn unpack(arena: &Arena, packed: packed::Place) -> Self {
        let mut read = arena.get(packed);
        let at = read.packet(PacketRef::default());
        let flow = read.flow(at);
        let places = (0..read.number()).map(|_| {
            let is_there = read.number() == 1;
            let (server, protocol) =
                if is_there { (flow.server, flow.protocol) } else { (read.endpoint(), read.protocol()) };
            Place { server, protocol, user: read.word().into() }
        });
        Self { places: places.collect(), last: (at, flow) }
    }
}

/// The last use, and so many places.
fn pack<'a, 'u>(
    (at, flow): (PacketRef, Flow),
    count: usize,
    places: impl Iterator<Item = (Endpoint, Protocol, &'u str)>,
    packer: &'a mut Packer,
) -> &'a [u8] {
    let write = packer.begin();
    write.packet(at, PacketRef::default());
    write.flow(&flow, at);
    write.number(count as u64);
    for (server, protocol, user) in places {
        let is_there = (server, protocol) == (flow.server, flow.protocol);
        write.number(is_there.into());
        if !is_there {
            write.endpoint(server);
            write.protocol(protocol);
        }
        write.word(user);
    }
    packer.written()
}

impl Place {
    fn text(&self) -> String {
        let address = std::net::SocketAddr::new(self.server.ip(), self.server.port);
        format!("{address} {} {}", self.protocol.name(), self.user)
    }

    /// What stands before `@`: the same person with and without the domain.
    fn person(&self) -> &str {
        self.user.split('@').next().unwrap_or(&self.user)
    }
}

/// One person's mail programs on one host: what one expects.
fn is_suite(places: &[Place]) -> bool {
    let Some(first) = places.first() else { return false };
    places.iter().all(|place| place.server.address == first.server.address && place.person() == first.person())
}
