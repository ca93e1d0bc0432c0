//! The flow table: a slab, a hash table of slab indices under a seeded hash, and one list by last touch for each
//! class of flows through the slab. Touch, insert, expiry and eviction cost the same however many flows there are.

use super::FlowKey;
use crate::wire::Timestamp;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::hash::BuildHasher;

/// Index of a flow in its table, valid until the flow is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u32);

const NONE: u32 = u32::MAX;

/// How long a flow may stay idle, and who leaves first when the table is full: the first class does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Class {
    /// Only a SYN so far.
    #[default]
    Embryo = 0,
    /// Over; stragglers may come.
    Closed = 1,
    /// Mail under TLS: nothing more to learn, only the session to be told.
    Settled = 2,
    /// No mail: kept so that it is not looked at again.
    Other = 3,
    /// May be mail, or is.
    Mail = 4,
    /// Mail with a login under way.
    Login = 5,
}

impl Class {
    /// In the order in which they are evicted.
    pub const ALL: [Self; 6] = [Self::Embryo, Self::Closed, Self::Settled, Self::Other, Self::Mail, Self::Login];
}

#[derive(Clone, Copy)]
struct List {
    oldest: u32,
    newest: u32,
}

struct Node<V> {
    key: FlowKey,
    value: V,
    last_seen: Timestamp,
    older: u32,
    newer: u32,
    class: Class,
}

/// Flows by key, bounded.
pub struct FlowTable<V> {
    nodes: Vec<Node<V>>,
    free: Vec<u32>,
    index: HashTable<u32>,
    // Attackers choose ports and addresses: a fixed hash would let them choose collisions too.
    hasher: RandomState,
    lists: [List; Class::ALL.len()],
    counts: [usize; Class::ALL.len()],
    limit: usize,
}

impl<V: Default> FlowTable<V> {
    /// A table of at most `limit` flows.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            nodes: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            hasher: RandomState::default(),
            lists: [List { oldest: NONE, newest: NONE }; Class::ALL.len()],
            counts: [0; Class::ALL.len()],
            limit: limit.clamp(1, NONE as usize - 1),
        }
    }

    /// Flows in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Places for flows that were made so far; they are used again, never given back.
    #[must_use]
    #[inline]
    pub fn places(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no flow.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Flows of one class.
    #[must_use]
    pub fn count(&self, class: Class) -> usize {
        self.counts[class as usize]
    }

    /// Whether the next new flow needs another one to leave.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.index.len() >= self.limit
    }

    /// Finds or makes the flow, and makes it the latest touched; also tells when it was touched before. The caller
    /// keeps the table below its limit.
    #[inline]
    pub fn touch(&mut self, key: &FlowKey, clock: Timestamp) -> (Slot, Timestamp) {
        let hash = self.hasher.hash_one(key);
        let Self { nodes, hasher, index, free, .. } = self;
        let entry = index.entry(
            hash,
            |&slot| nodes[slot as usize].key == *key,
            |&slot| hasher.hash_one(nodes[slot as usize].key),
        );
        let slot = match entry {
            Entry::Occupied(found) => {
                let slot = *found.get();
                let node = &mut nodes[slot as usize];
                let before = std::mem::replace(&mut node.last_seen, clock);
                if self.lists[node.class as usize].newest != slot {
                    self.unlink(slot);
                    self.link_newest(slot);
                }
                return (Slot(slot), before);
            }
            Entry::Vacant(vacant) => {
                let node = Node {
                    key: *key,
                    value: V::default(),
                    last_seen: clock,
                    older: NONE,
                    newer: NONE,
                    class: Class::Embryo,
                };
                let slot = match free.pop() {
                    Some(slot) => {
                        nodes[slot as usize] = node;
                        slot
                    }
                    None => {
                        nodes.push(node);
                        nodes.len() as u32 - 1
                    }
                };
                vacant.insert(slot);
                slot
            }
        };
        self.link_newest(slot);
        (Slot(slot), clock)
    }

    /// The flow's value.
    #[inline]
    pub fn value(&mut self, slot: Slot) -> &mut V {
        &mut self.nodes[slot.0 as usize].value
    }

    /// The flow's key.
    #[must_use]
    pub fn key(&self, slot: Slot) -> FlowKey {
        self.nodes[slot.0 as usize].key
    }

    /// When the flow was last touched.
    #[must_use]
    pub fn last_seen(&self, slot: Slot) -> Timestamp {
        self.nodes[slot.0 as usize].last_seen
    }

    /// The flow of `class` that was touched longest ago.
    #[must_use]
    #[inline]
    pub fn oldest(&self, class: Class) -> Option<Slot> {
        let oldest = self.lists[class as usize].oldest;
        (oldest != NONE).then_some(Slot(oldest))
    }

    /// The class of a flow.
    #[must_use]
    pub fn class(&self, slot: Slot) -> Class {
        self.nodes[slot.0 as usize].class
    }

    /// Moves a flow to another class, as its latest touched.
    pub fn set_class(&mut self, slot: Slot, class: Class) {
        if self.class(slot) != class {
            self.unlink(slot.0);
            self.nodes[slot.0 as usize].class = class;
            self.link_newest(slot.0);
        }
    }

    /// Takes a flow out.
    pub fn remove(&mut self, slot: Slot) -> V {
        let key = self.nodes[slot.0 as usize].key;
        let hash = self.hasher.hash_one(key);
        if let Ok(found) = self.index.find_entry(hash, |&other| other == slot.0) {
            found.remove();
        }
        self.unlink(slot.0);
        self.free.push(slot.0);
        std::mem::take(&mut self.nodes[slot.0 as usize].value)
    }

    fn unlink(&mut self, slot: u32) {
        let Node { older, newer, class, .. } = self.nodes[slot as usize];
        let list = &mut self.lists[class as usize];
        self.counts[class as usize] -= 1;
        match self.nodes.get_mut(older as usize) {
            Some(node) => node.newer = newer,
            None => list.oldest = newer,
        }
        match self.nodes.get_mut(newer as usize) {
            Some(node) => node.older = older,
            None => list.newest = older,
        }
    }

    fn link_newest(&mut self, slot: u32) {
        let node = &mut self.nodes[slot as usize];
        let list = &mut self.lists[node.class as usize];
        let older = list.newest;
        self.counts[node.class as usize] += 1;
        (node.older, node.newer) = (older, NONE);
        list.newest = slot;
        match self.nodes.get_mut(older as usize) {
            Some(node) => node.newer = slot,
            None => list.oldest = slot,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Side;
    use crate::wire::Endpoint;

    fn key(port: u16) -> FlowKey {
        let server = Endpoint { address: Endpoint::v4(0x0a00_0001), port: 25 };
        FlowKey::between(Endpoint { address: Endpoint::v4(0x0a00_0002), port }, server).0
    }

    #[test]
    fn both_directions_are_one_flow() {
        let (a, b) = (Endpoint { address: 5, port: 1 }, Endpoint { address: 5, port: 2 });
        let (there, side) = FlowKey::between(a, b);
        let (back, other) = FlowKey::between(b, a);
        assert_eq!(there, back);
        assert_eq!(side.other(), other);
        assert_eq!((there.endpoint(Side::A), there.endpoint(Side::B)), (a, b));
    }

    #[test]
    fn the_oldest_is_the_one_not_touched_longest() {
        let mut table = FlowTable::<u32>::new(8);
        for port in 1..=3 {
            let (slot, _) = table.touch(&key(port), Timestamp(u64::from(port)));
            *table.value(slot) = u32::from(port);
        }
        table.touch(&key(1), Timestamp(9));
        let mut order = Vec::new();
        table.set_class(Slot(1), Class::Mail);
        while let Some(slot) = Class::ALL.into_iter().find_map(|class| table.oldest(class)) {
            order.push(table.remove(slot));
        }
        assert_eq!(order, [3, 1, 2], "mail leaves last");
        assert!(table.is_empty());
        assert!(Class::ALL.iter().all(|&class| table.count(class) == 0));
        let (again, _) = table.touch(&key(2), Timestamp(10));
        assert_eq!(*table.value(again), 0, "a removed flow leaves nothing behind");
    }
}
