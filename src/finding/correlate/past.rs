//! What happened, in no order, until it is judged.

use super::HELD;
use crate::finding::packed::{Arena, Packer, Place, Softwares, Unpacker};
use crate::wire::{PacketRef, Timestamp};
use std::cmp::Ordering;
use std::marker::PhantomData;

/// What can be packed.
pub(super) trait Fact {
    /// Its packet.
    fn at(&self) -> PacketRef;
    /// Everything but its packet.
    fn pack(&self, write: &mut Packer, softwares: &mut Softwares);
    /// It again.
    fn unpack(at: PacketRef, read: Unpacker<'_>, softwares: &Softwares) -> Self;
    /// The order of facts of one packet; those without one stay as they came.
    fn order(a: &Self, b: &Self) -> Ordering;
}

/// Facts of one kind.
pub(super) struct Past<T> {
    all: Vec<(PacketRef, Place)>,
    arena: Arena,
    packer: Packer,
    softwares: Softwares,
    kind: PhantomData<T>,
}

impl<T> Default for Past<T> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            arena: Arena::default(),
            packer: Packer::default(),
            softwares: Softwares::default(),
            kind: PhantomData,
        }
    }
}

impl<T: Fact> Past<T> {
    pub(super) fn push(&mut self, fact: &T) {
        fact.pack(self.packer.begin(), &mut self.softwares);
        self.all.push((fact.at(), self.arena.put(self.packer.written())));
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn time(&self, at: usize) -> Timestamp {
        self.all[at].0.time
    }

    pub(super) fn get(&self, at: usize) -> T {
        let (packet, place) = self.all[at];
        T::unpack(packet, self.arena.get(place), &self.softwares)
    }

    /// Facts as they are packed, each with its packet.
    pub(super) fn packed(&self) -> impl Iterator<Item = (PacketRef, Unpacker<'_>)> {
        self.all.iter().map(|(packet, place)| (*packet, self.arena.get(*place)))
    }

    /// Puts them in the order of their packets.
    pub(super) fn sort(&mut self) {
        let Self { all, arena, softwares, .. } = self;
        let fact = |(packet, place): &(PacketRef, Place)| T::unpack(*packet, arena.get(*place), softwares);
        all.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| T::order(&fact(a), &fact(b))));
    }

    /// Forgets what is older than `window` nanoseconds, and the oldest when half of what may be held stays, so that a
    /// flood within the window is not judged over and over. Gives the number of these.
    pub(super) fn forget(&mut self, latest: Timestamp, window: u64) -> u64 {
        let arena = &mut self.arena;
        let mut is_recent = |packet: PacketRef, place: Place| {
            let is_recent = latest.since(packet.time) <= window;
            if !is_recent {
                arena.waste(place);
            }
            is_recent
        };
        self.all.retain(|(packet, place)| is_recent(*packet, *place));
        let extra = self.all.len().saturating_sub(HELD / 2);
        if extra > 0 {
            self.sort();
        }
        self.all.drain(..extra).for_each(|(_, place)| self.arena.waste(place));
        self.arena.tidy(self.all.iter_mut().map(|(_, place)| place));
        extra as u64
    }
}
