//! Fragments of IP datagrams to whole datagrams (RFC 791 §3.2, RFC 8200 §4.5), bounded in memory and time.
//!
//! The buffer is etherparse's, the map is ours. Where fragments of IPv4 differ in what they overlap, the datagram is
//! handed on twice, with the first copy of every octet and with the last, since receivers take either; those of IPv6
//! are dropped (RFC 5722 §4). What the capture cut is not reassembled: nobody knows the rest.
//!
//! What fragments carry may be a password: every copy of it is wiped when it is let go.

use super::decode::Fragment;
use super::{Path, Timestamp};
use crate::limits::{DATAGRAM_PIECES, FRAGMENT_NS, FRAGMENT_OCTETS};
use etherparse::defrag::IpDefragBuf;
use etherparse::{IpFragOffset, IpNumber};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use zeroize::{Zeroize as _, Zeroizing};

/// What makes fragments parts of one datagram.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    source: u128,
    destination: u128,
    id: u32,
    protocol: u8,
    path: Path,
}

struct Partial {
    /// When its first fragment came: the order in which they are given up.
    number: u64,
    since: Timestamp,
    /// Of the fragment with offset 0, or of any until then.
    header: Vec<u8>,
    has_first: bool,
    first: Buffer,
    /// With the last copy of every octet, once copies differ.
    last: Option<Buffer>,
}

/// etherparse's buffer, which never moves and is wiped in the end: where it grows by itself it leaves copies.
struct Buffer {
    inner: IpDefragBuf,
    /// Octets for which there is room.
    room: usize,
}

impl Buffer {
    fn new(protocol: u8, room: usize) -> Self {
        Self { inner: IpDefragBuf::new(IpNumber(protocol), Vec::with_capacity(room), Vec::new()), room }
    }

    /// The same octets, with room for so many.
    fn copy(&self, room: usize) -> Self {
        let mut copy = Self::new(self.inner.ip_number().0, room);
        for section in self.inner.sections() {
            // They begin where a fragment did, so this is no other offset; the one at the end has no more after it.
            let Ok(offset) = IpFragOffset::try_new(section.start / 8) else { continue };
            let octets = &self.inner.data()[usize::from(section.start)..usize::from(section.end)];
            let is_added = copy.inner.add(offset, self.inner.end() != Some(section.end), octets).is_ok();
            debug_assert!(is_added, "it was added before");
        }
        copy
    }

    /// Whether the fragment could be added.
    fn add(&mut self, offset: IpFragOffset, has_more: bool, payload: &[u8]) -> bool {
        let end = usize::from(offset.byte_offset()) + payload.len();
        // An end before what is there already contradicts it. The buffer would take it, and cut off octets that its list of
        // sections goes on naming.
        if !has_more && self.inner.sections().iter().any(|section| usize::from(section.end) > end) {
            return false;
        }
        if end > self.room && end <= usize::from(u16::MAX) {
            // What is alone takes no more than it needs; what grows does so ever more seldom.
            *self = self.copy(end.max(2 * self.room));
        }
        self.inner.add(offset, has_more, payload).is_ok()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let empty = IpDefragBuf::new(self.inner.ip_number(), Vec::new(), Vec::new());
        let (mut octets, sections) = std::mem::replace(&mut self.inner, empty).take_bufs();
        // All else is zero still: a few octets far behind would have 64 KiB wiped for each of them.
        for section in sections {
            if let Some(came) = octets.get_mut(usize::from(section.start)..usize::from(section.end)) {
                came.zeroize();
            }
        }
    }
}

impl Partial {
    fn octets(&self) -> usize {
        let last = self.last.as_ref().map_or(0, |last| BLOCKS + last.inner.data().len());
        size_of::<Self>() + 2 * size_of::<Key>() + BLOCKS + self.header.len() + self.first.inner.data().len() + last
    }
}

/// What the allocator, both maps' free places and the list of pieces add.
const BLOCKS: usize = 256;

/// What became of fragments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fragments {
    /// Datagrams that were whole.
    pub whole: u64,
    /// Fragments that contradicted others, or no datagram can have.
    pub refused: u64,
    /// Datagrams of which something never came, or for which there was no room.
    pub given_up: u64,
}

impl Fragments {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.whole += other.whole;
        self.refused += other.refused;
        self.given_up += other.given_up;
    }
}

/// Datagrams that wait for more of their fragments.
#[derive(Default)]
pub struct Defragmenter {
    partial: HashMap<Key, Partial, RandomState>,
    /// By the number of their first fragment.
    order: BTreeMap<u64, Key>,
    next: u64,
    octets: usize,
    counts: Fragments,
}

/// A datagram made of fragments, from its IP header on.
pub struct Datagram {
    /// Its octets.
    pub octets: Zeroizing<Vec<u8>>,
    /// What its fragments were wrapped in.
    pub path: Path,
}

impl Defragmenter {
    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> &Fragments {
        &self.counts
    }

    /// The next fragment; gives the datagram that it makes whole, in one reading or two.
    pub fn push(&mut self, fragment: &Fragment<'_>, clock: Timestamp) -> Vec<Datagram> {
        self.expire(clock);
        let Fragment { path, source, destination, id, protocol, .. } = *fragment;
        let key = Key { source, destination, id, protocol, path };
        let Some(whole) = self.add(key, fragment, clock) else {
            self.counts.refused += 1;
            return Vec::new();
        };
        while self.octets > FRAGMENT_OCTETS {
            let Some((_, oldest)) = self.order.first_key_value() else { break };
            let oldest = *oldest;
            self.counts.given_up += 1;
            self.remove(&oldest);
        }
        if !whole {
            return Vec::new();
        }
        let Some(partial) = self.remove(&key) else { return Vec::new() };
        self.counts.whole += 1;
        let Partial { header, first, last, .. } = partial;
        let readings = [Some(first), last].into_iter().flatten();
        readings.map(|read| Datagram { octets: joined(&header, protocol, read.inner.data()), path }).collect()
    }

    /// No more will come: what waits is given up.
    pub fn finish(&mut self) {
        self.counts.given_up += self.partial.len() as u64;
        (self.partial, self.order, self.octets) = Default::default();
    }

    /// Whether the datagram is whole now. `None`: the fragment cannot be.
    fn add(&mut self, key: Key, fragment: &Fragment<'_>, clock: Timestamp) -> Option<bool> {
        let offset = IpFragOffset::try_new(fragment.offset).ok()?;
        // Nobody sends a fragment of nothing.
        if fragment.payload.is_empty() {
            return None;
        }
        let Self { partial, order, next, octets, counts } = self;
        let mut is_new = false;
        let entry = partial.entry(key).or_insert_with(|| {
            is_new = true;
            *next += 1;
            order.insert(*next, key);
            Partial {
                number: *next,
                since: clock,
                header: Vec::new(),
                has_first: false,
                first: Buffer::new(key.protocol, 0),
                last: None,
            }
        });
        let before = if is_new { 0 } else { entry.octets() };
        if entry.header.is_empty() || fragment.offset == 0 && !entry.has_first {
            (entry.header, entry.has_first) = (fragment.header.to_vec(), fragment.offset == 0);
        }
        let kept = overlaid(&entry.first.inner, usize::from(fragment.offset) * 8, fragment.payload);
        let is_conflict = kept.as_ref().is_some_and(|kept| kept[..] != *fragment.payload);
        if is_conflict && fragment.header.first().is_some_and(|octet| octet >> 4 == 6) {
            // Only its key is remembered by nobody: what comes later of it is a new datagram, and not whole.
            counts.given_up += 1;
            *octets -= before;
            let number = entry.number;
            partial.remove(&key);
            order.remove(&number);
            return None;
        }
        if is_conflict && entry.last.is_none() {
            entry.last = Some(entry.first.copy(entry.first.room));
        }
        let payload = kept.as_ref().map_or(fragment.payload, |kept| &kept[..]);
        let is_added = entry.first.add(offset, fragment.has_more, payload);
        if let Some(last) = &mut entry.last {
            // Refused by one, refused by both: their ends are the same.
            let _ = last.add(offset, fragment.has_more, fragment.payload);
        }
        *octets = *octets + entry.octets() - before;
        let first = &entry.first.inner;
        let is_scattered = first.sections().len() > DATAGRAM_PIECES;
        let is_whole = first.is_complete() && first.end() == Some(first.sections()[0].end);
        if is_scattered {
            counts.given_up += 1;
            self.remove(&key);
            return None;
        }
        is_added.then_some(is_whole)
    }

    fn remove(&mut self, key: &Key) -> Option<Partial> {
        let partial = self.partial.remove(key)?;
        self.order.remove(&partial.number);
        self.octets -= partial.octets();
        Some(partial)
    }

    fn expire(&mut self, clock: Timestamp) {
        while let Some((_, &oldest)) = self.order.first_key_value()
            && self.partial.get(&oldest).is_none_or(|partial| clock.since(partial.since) > FRAGMENT_NS)
        {
            self.counts.given_up += 1;
            self.remove(&oldest);
        }
    }
}

/// The payload with what is there already in place of its own; `None` when nothing is.
fn overlaid(known: &IpDefragBuf, begin: usize, payload: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let end = begin + payload.len();
    let mut copy = None;
    for section in known.sections() {
        let (from, to) = (begin.max(usize::from(section.start)), end.min(usize::from(section.end)));
        if from < to && to <= known.data().len() {
            let copy = copy.get_or_insert_with(|| Zeroizing::new(payload.to_vec()));
            copy[from - begin..to - begin].copy_from_slice(&known.data()[from..to]);
        }
    }
    copy
}

/// The datagram with the header of a fragment, made whole. The checksum of the header is looked at by nobody here.
fn joined(header: &[u8], protocol: u8, payload: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut octets = Zeroizing::new(Vec::with_capacity(header.len() + payload.len()));
    octets.extend_from_slice(header);
    octets.extend_from_slice(payload);
    let [total, after] = [octets.len(), payload.len()].map(|len| u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes());
    match header.first().map(|octet| octet >> 4) {
        Some(4) if octets.len() >= 20 => {
            octets[2..4].copy_from_slice(&total);
            octets[6..8].fill(0);
        }
        Some(6) if octets.len() >= 40 => {
            octets[4..6].copy_from_slice(&after);
            octets[6] = protocol;
        }
        _ => {}
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    fn fragment<'a>(header: &'a [u8], id: u32, offset: u16, has_more: bool, payload: &'a [u8]) -> Fragment<'a> {
        let path = Path::default();
        Fragment { header, source: 1, destination: 2, id, protocol: 6, offset, has_more, payload, path }
    }

    const V4: [u8; 20] = [0x45, 0, 0, 0, 0, 0, 0x20, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    const V6: [u8; 40] = [0x60; 40];

    /// Offset in units of 8 octets, whether more follow, payload.
    fn cut(payload: &[u8], random: &mut Random) -> Vec<(u16, bool, Vec<u8>)> {
        let mut parts = Vec::new();
        let mut at = 0;
        while at < payload.len() {
            let len = (8 * (1 + random.below(20))).min(payload.len() - at);
            parts.push(((at / 8) as u16, at + len < payload.len(), payload[at..at + len].to_vec()));
            at += len;
        }
        parts
    }

    #[test]
    fn an_end_before_what_came_is_refused_and_the_right_one_taken() {
        let octets: Vec<u8> = (0..64).collect();
        for far in [8, 8000] {
            let mut defragmenter = Defragmenter::default();
            let at = Timestamp(1);
            assert!(defragmenter.push(&fragment(&V4, 1, far, true, &octets[..8]), at).is_empty());
            assert!(defragmenter.push(&fragment(&V4, 1, 1, false, &octets[..5]), at).is_empty());
            // Copied to a larger buffer, and dropped.
            assert!(defragmenter.push(&fragment(&V4, 1, far + 4, true, &octets[..8]), at).is_empty());
            assert_eq!(defragmenter.counts.refused, 1);
        }
        let mut defragmenter = Defragmenter::default();
        let parts =
            [(1, true, &octets[8..40]), (0, false, &octets[..3]), (5, false, &octets[40..45]), (0, true, &octets[..8])];
        let whole =
            parts.map(|(offset, more, part)| defragmenter.push(&fragment(&V4, 2, offset, more, part), Timestamp(1)));
        assert_eq!(whole.iter().flatten().count(), 1, "the contradiction is in nobody's way");
    }

    #[test]
    fn whatever_the_order_a_datagram_comes_out_once_and_whole() {
        for seed in 0..300 {
            let mut random = Random::new(seed);
            let payload: Vec<u8> = (0..1 + random.below(3000)).map(|at| (at * 7) as u8).collect();
            let mut parts = cut(&payload, &mut random);
            for at in (1..parts.len()).rev() {
                parts.swap(at, random.below(at + 1));
            }
            let header: &[u8] = if seed % 2 == 0 { &V4 } else { &V6 };
            let mut defragmenter = Defragmenter::default();
            let mut whole = Vec::new();
            for (at, (offset, more, part)) in parts.iter().enumerate() {
                // Others in between, and copies of what came before.
                let (other, others) = ((at % 8) as u16, [9; 8]);
                whole.extend(defragmenter.push(&fragment(header, 77, other * 2, true, &others), Timestamp(1)));
                whole.extend(defragmenter.push(&fragment(header, 5, *offset, *more, part), Timestamp(1)));
                if at + 1 < parts.len() && random.chance(30) {
                    whole.extend(defragmenter.push(&fragment(header, 5, *offset, *more, part), Timestamp(1)));
                }
            }
            assert_eq!(whole.len(), 1, "seed {seed}");
            assert_eq!(whole[0].octets[header.len()..], payload);
            assert_eq!(defragmenter.counts().whole, 1);
        }
    }

    #[test]
    fn copies_that_differ_are_two_datagrams_in_ipv4_and_none_in_ipv6() {
        for (header, readings) in
            [(&V4[..], vec![b"aaaaaaaabbbbbbbbcc".to_vec(), b"aaaaaaaaBBBBBBBBcc".to_vec()]), (&V6, vec![])]
        {
            let mut defragmenter = Defragmenter::default();
            let mut whole = Vec::new();
            for (offset, more, part) in [(0, true, &b"aaaaaaaabbbbbbbb"[..]), (1, true, b"BBBBBBBB"), (2, false, b"cc")]
            {
                whole.extend(defragmenter.push(&fragment(header, 5, offset, more, part), Timestamp(1)));
            }
            let whole: Vec<Vec<u8>> = whole.iter().map(|whole| whole.octets[header.len()..].to_vec()).collect();
            assert_eq!(whole, readings);
        }
    }

    #[test]
    fn a_flood_of_fragments_stays_within_bounds_and_time() {
        let mut defragmenter = Defragmenter::default();
        for id in 0..200_000_u32 {
            defragmenter.push(&fragment(&V4, id, (id % 8000) as u16, true, &[0; 8]), Timestamp(1));
            assert!(defragmenter.octets <= FRAGMENT_OCTETS);
        }
        // One octet in two of one datagram.
        for at in 0..4000 {
            defragmenter.push(&fragment(&V4, 1 << 31, 2 * at, true, &[0; 8]), Timestamp(2));
        }
        let held = defragmenter.partial.len();
        assert!(held > 0 && defragmenter.order.len() == held);
        defragmenter.push(&fragment(&V4, 7, 0, true, &[0; 8]), Timestamp(3 + FRAGMENT_NS + 1));
        assert_eq!(defragmenter.partial.len(), 1, "they are too old");
        assert_eq!(defragmenter.octets, defragmenter.partial.values().map(Partial::octets).sum::<usize>());
    }
}
