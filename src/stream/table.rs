//! The flow table: a slab, a hash table of slab indices under a seeded hash, and one list by last touch for each
//! class of flows through the slab. Touch, insert, expiry and eviction cost the same however many flows there are.

use super::FlowKey;
use crate::wire::Timestamp;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
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
    /// Over, both ends say; stragglers may come.
    Closed = 1,
    /// Over, if the ends obeyed a RST.
    Reset = 2,
    /// Mail under TLS: nothing more to learn, only the session to be told.
    Settled = 3,
    /// No mail: kept so that it is not looked at again.
    Other = 4,
    /// May be mail, or is.
    Mail = 5,
    /// Mail with a login under way.
    Login = 6,
}

impl Class {
    /// In the order in which they are evicted.
    pub const ALL: [Self; 7] =
        [Self::Embryo, Self::Closed, Self::Reset, Self::Settled, Self::Other, Self::Mail, Self::Login];
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
    /// No flow: waits to be used again.
    is_free: bool,
    /// When it was put at the end of its list, in [`tick`]s.
    listed: u16,
}

/// A flow moves to the end of its list at most once in so many nanoseconds of packet time, as a power of two: a
/// quarter of a second. That puts the lists in order but for this much, and spares most packets two cold neighbours.
const TICK: u32 = 28;

/// What moment of its list a time is.
fn tick(clock: Timestamp) -> u16 {
    (clock.0 >> TICK) as u16
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

    /// The flow, if there is one. Looked up for several packets at once, their waits for memory are one.
    #[inline]
    #[must_use]
    pub fn find(&self, key: &FlowKey) -> Option<Slot> {
        self.find_hashed(self.hasher.hash_one(key), key)
    }

    /// The same. `found`: where it may be.
    #[inline]
    #[must_use]
    pub fn find_from(&self, key: &FlowKey, found: Option<Slot>) -> Option<Slot> {
        found.filter(|slot| self.is_there(*slot, key)).or_else(|| self.find(key))
    }

    #[inline]
    fn is_there(&self, slot: Slot, key: &FlowKey) -> bool {
        let node = &self.nodes[slot.0 as usize];
        !node.is_free && node.key == *key
    }

    #[inline]
    fn find_hashed(&self, hash: u64, key: &FlowKey) -> Option<Slot> {
        self.index.find(hash, |&slot| self.nodes[slot as usize].key == *key).map(|&slot| Slot(slot))
    }

    /// Finds or makes the flow, and makes it the latest touched; also tells when it was touched before. The caller
    /// keeps the table below its limit. `found`: where it may be.
    #[inline]
    pub fn touch(&mut self, key: &FlowKey, found: Option<Slot>, clock: Timestamp) -> (Slot, Timestamp) {
        let slot = match found.filter(|slot| self.is_there(*slot, key)) {
            Some(slot) => slot,
            None => {
                let hash = self.hasher.hash_one(key);
                match self.find_hashed(hash, key) {
                    Some(slot) => slot,
                    None => return (self.insert(hash, key, clock), clock),
                }
            }
        };
        let node = &mut self.nodes[slot.0 as usize];
        let before = std::mem::replace(&mut node.last_seen, clock);
        if node.listed != tick(clock) {
            self.unlink(slot.0);
            self.link_newest(slot.0);
        }
        (slot, before)
    }

    fn insert(&mut self, hash: u64, key: &FlowKey, clock: Timestamp) -> Slot {
        let node = Node {
            key: *key,
            value: V::default(),
            last_seen: clock,
            older: NONE,
            newer: NONE,
            class: Class::Embryo,
            is_free: false,
            listed: 0,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.nodes[slot as usize] = node;
                slot
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() as u32 - 1
            }
        };
        let Self { nodes, hasher, index, .. } = self;
        index.insert_unique(hash, slot, |&slot| hasher.hash_one(nodes[slot as usize].key));
        self.link_newest(slot);
        Slot(slot)
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
        let node = &mut self.nodes[slot.0 as usize];
        node.is_free = true;
        std::mem::take(&mut node.value)
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
        (node.older, node.newer, node.listed) = (older, NONE, tick(node.last_seen));
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
        let touch = |table: &mut FlowTable<u32>, port: u16, seconds: u64| {
            let key = key(port);
            let found = table.find(&key);
            table.touch(&key, found, Timestamp(seconds * 1_000_000_000)).0
        };
        for port in 1..=3 {
            let slot = touch(&mut table, port, port.into());
            *table.value(slot) = u32::from(port);
        }
        touch(&mut table, 1, 9);
        let mut order = Vec::new();
        table.set_class(Slot(1), Class::Mail);
        while let Some(slot) = Class::ALL.into_iter().find_map(|class| table.oldest(class)) {
            order.push(table.remove(slot));
        }
        assert_eq!(order, [3, 1, 2], "mail leaves last");
        assert!(table.is_empty());
        assert!(Class::ALL.iter().all(|&class| table.count(class) == 0));
        let again = touch(&mut table, 2, 10);
        assert_eq!(*table.value(again), 0, "a removed flow leaves nothing behind");
    }
}
