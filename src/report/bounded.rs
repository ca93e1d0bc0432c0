//! What adds up without end in memory that has one: the first of many by name, the others by number.
//!
//! Records may be made by whoever can reach the network, so none of these grows beyond its limit, whatever they hold.

use crate::page::text::{NAME_CHARS, shown};
use foldhash::quality::RandomState;
use hashbrown::{HashMap, HashSet};
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hash};

/// Values by key, for as many keys as there is room.
pub(super) struct Known<K, V> {
    places: HashMap<K, u32, RandomState>,
    values: Vec<(K, V)>,
    limit: usize,
    others: u64,
}

impl<K: Copy + Eq + Hash, V> Known<K, V> {
    pub(super) fn new(limit: usize) -> Self {
        Self { places: HashMap::default(), values: Vec::new(), limit, others: 0 }
    }

    /// The value of a key, made where it is new; `None`, and counted, where there is no room for it.
    pub(super) fn value(&mut self, key: K, new: impl FnOnce() -> V) -> Option<&mut V> {
        let place = match self.places.get(&key) {
            Some(place) => *place as usize,
            None if self.values.len() < self.limit => {
                self.places.insert(key, self.values.len() as u32);
                self.values.push((key, new()));
                self.values.len() - 1
            }
            None => {
                self.others += 1;
                return None;
            }
        };
        self.values.get_mut(place).map(|(_, value)| value)
    }

    /// Where a key stands, by which [`Self::at`] has its value sooner.
    pub(super) fn place(&self, key: K) -> Option<usize> {
        self.places.get(&key).map(|place| *place as usize)
    }

    pub(super) fn at(&mut self, place: usize) -> Option<&mut V> {
        self.values.get_mut(place).map(|(_, value)| value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.values.iter().map(|(key, value)| (key, value))
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The values, by their places.
    pub(super) fn get(&self, place: usize) -> Option<&V> {
        self.values.get(place).map(|(_, value)| value)
    }

    /// Times that there was no room for a key.
    pub(super) fn others(&self) -> u64 {
        self.others
    }
}

/// The least few of many: the same ones in whatever order they come.
#[derive(Clone, Debug)]
pub(super) struct Least<T, const N: usize>(Vec<T>);

impl<T, const N: usize> Default for Least<T, N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Ord, const N: usize> Least<T, N> {
    pub(super) fn add(&mut self, value: T) {
        let Err(place) = self.0.binary_search(&value) else { return };
        if place < N {
            self.0.truncate(N - 1);
            self.0.insert(place, value);
        }
    }

    pub(super) fn contains(&self, value: &T) -> bool {
        self.0.binary_search(value).is_ok()
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// How often each word stood somewhere.
#[derive(Default)]
pub(super) struct Words {
    counts: BTreeMap<String, u64>,
}

/// There are some twenty words of each kind; more are not ours.
const WORDS: usize = 40;
/// What stands for the others.
const OTHER: &str = "other";

impl Words {
    pub(super) fn add(&mut self, word: &str, count: u64) {
        let word = shown(word, NAME_CHARS);
        let is_known = self.counts.contains_key(&word) || self.counts.len() < WORDS;
        let word = if is_known { word.as_str() } else { OTHER };
        match self.counts.get_mut(word) {
            Some(known) => *known = known.saturating_add(count),
            None => drop(self.counts.insert(word.to_owned(), count)),
        }
    }

    /// The most frequent first.
    pub(super) fn sorted(&self) -> Vec<(&str, u64)> {
        let mut all: Vec<(&str, u64)> = self.counts.iter().map(|(word, count)| (word.as_str(), *count)).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        all
    }

    pub(super) fn total(&self) -> u64 {
        self.counts.values().fold(0, |all, count| all.saturating_add(*count))
    }

    pub(super) fn of(&self, word: &str) -> u64 {
        self.counts.get(word).copied().unwrap_or_default()
    }
}

/// Hashes of what was seen before. The seed is drawn anew in each run, so that nobody can choose what collides; among
/// two million hashes of 64 bits two are equal once in ten million runs.
pub(super) struct Seen {
    state: RandomState,
    pairs: HashSet<u64, RandomState>,
    limit: usize,
    is_full: bool,
}

impl Seen {
    pub(super) fn new(limit: usize) -> Self {
        Self { state: RandomState::default(), pairs: HashSet::default(), limit, is_full: false }
    }

    pub(super) fn hash(&self, value: impl Hash) -> u64 {
        self.state.hash_one(value)
    }

    /// Whether it is new; false as well when there is no room to know.
    pub(super) fn is_new(&mut self, value: impl Hash) -> bool {
        let hash = self.hash(value);
        if self.pairs.len() < self.limit {
            return self.pairs.insert(hash);
        }
        self.is_full |= !self.pairs.contains(&hash);
        false
    }

    /// Something came after there was no more room: what was counted by it is a least number.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_limit_keys_are_counted_and_not_kept() {
        let mut known = Known::new(2);
        for key in [1, 2, 3, 1, 4, 3] {
            if let Some(count) = known.value(key, || 0) {
                *count += 1;
            }
        }
        assert_eq!(known.iter().map(|(key, count)| (*key, *count)).collect::<Vec<_>>(), [(1, 2), (2, 1)]);
        assert_eq!((known.len(), known.others()), (2, 3));
    }

    #[test]
    fn the_least_are_the_same_in_any_order() {
        for order in [[5, 1, 4, 2, 3], [3, 2, 4, 1, 5], [1, 1, 5, 3, 2]] {
            let mut least = Least::<_, 3>::default();
            order.into_iter().for_each(|value| least.add(value));
            assert_eq!(least.iter().copied().collect::<Vec<_>>(), [1, 2, 3]);
        }
    }

    #[test]
    fn words_without_end_are_one() {
        let mut words = Words::default();
        (0..1000).for_each(|at| words.add(&at.to_string(), 1));
        assert!(words.sorted().len() <= WORDS + 1);
        assert_eq!((words.total(), words.of(OTHER)), (1000, 1000 - WORDS as u64));
    }

    #[test]
    fn what_is_full_says_so() {
        let mut seen = Seen::new(2);
        assert_eq!([1, 1, 2].map(|value| seen.is_new(value)), [true, false, true]);
        assert!(!seen.is_full());
        assert!(!seen.is_new(1) && !seen.is_full() && !seen.is_new(3) && seen.is_full());
    }
}
