//! Packets of a capture that wait until it is known whether anybody wants them: what a connection sends before its first
//! octets, after the SYN. Most connections are no mail, and of those nothing but the SYN need be kept.

use crate::limits::{HELD_OF_FLOW, HELD_PACKET_OCTETS, HELD_PACKETS};
use crate::stream::FlowKey;
use crate::wire::{Frame, LinkType, PacketRef, Timestamp};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use std::collections::VecDeque;
use zeroize::Zeroizing;

/// A packet that was held back.
pub struct Held {
    /// Its connection.
    pub key: FlowKey,
    at: PacketRef,
    clock: Timestamp,
    link_type: LinkType,
    original_len: u32,
    octets: Zeroizing<Vec<u8>>,
}

impl Held {
    /// As it came.
    #[must_use]
    pub fn frame(&self) -> Frame<'_> {
        let Self { at, clock, link_type, original_len, ref octets, .. } = *self;
        Frame { at, clock, link_type, octets, original_len, datagram: None }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Waits,
    Kept,
    Dropped,
}

/// All of them, in the order in which they came.
#[derive(Default)]
pub(super) struct Waiting {
    queue: VecDeque<(Fate, Option<u64>, Held)>,
    /// How many left the queue: places in it are counted from the first packet of all.
    left: u64,
    open: HashMap<FlowKey, Open, RandomState>,
}

/// A connection of which packets wait. Each names the one before it.
struct Open {
    last: u64,
    packets: u32,
    /// When what came before them was seen.
    since: Timestamp,
}

impl Waiting {
    /// Holds a packet back, of a connection that was seen before at `since`. `false`: it is too large, or one too many.
    pub(super) fn hold(&mut self, key: &FlowKey, since: Timestamp, frame: &Frame<'_>) -> bool {
        let place = self.left + self.queue.len() as u64;
        let open = self.open.get(key);
        if frame.octets.len() > HELD_PACKET_OCTETS || open.is_some_and(|open| open.packets >= HELD_OF_FLOW) {
            return false;
        }
        let before = open.map(|open| open.last);
        let open = self.open.entry(*key).or_insert(Open { last: place, packets: 0, since });
        open.last = place;
        open.packets += 1;
        let held = Held {
            key: *key,
            at: frame.at,
            clock: frame.clock,
            link_type: frame.link_type,
            original_len: frame.original_len,
            octets: Zeroizing::new(frame.octets.to_vec()),
        };
        self.queue.push_back((Fate::Waits, before, held));
        true
    }

    /// Nobody wants them.
    pub(super) fn drop_of(&mut self, key: &FlowKey) {
        self.decide(key, Fate::Dropped);
    }

    /// They may be wanted.
    pub(super) fn keep_of(&mut self, key: &FlowKey) {
        self.decide(key, Fate::Kept);
    }

    /// When what came before those of a connection was seen.
    pub(super) fn since(&self, key: &FlowKey) -> Option<Timestamp> {
        self.open.get(key).map(|open| open.since)
    }

    fn decide(&mut self, key: &FlowKey, fate: Fate) {
        let Some(open) = self.open.remove(key) else { return };
        let mut next = Some(open.last);
        // What waits has not left, and so have none of those after it.
        while let Some(place) = next.and_then(|place| place.checked_sub(self.left))
            && let Some((of_this, before, _)) = self.queue.get_mut(place as usize)
        {
            *of_this = fate;
            next = *before;
        }
    }

    /// The first of which it is known that it may be wanted. One behind which too many wait is.
    pub(super) fn due(&mut self) -> Option<Held> {
        loop {
            let (fate, _, first) = self.queue.front()?;
            if *fate == Fate::Waits {
                if self.queue.len() <= HELD_PACKETS {
                    return None;
                }
                let key = first.key;
                self.keep_of(&key);
            }
            let (fate, _, held) = self.queue.pop_front()?;
            self.left += 1;
            if fate == Fate::Kept {
                return Some(held);
            }
        }
    }

    /// Nothing more comes: all that wait may be wanted.
    pub(super) fn keep_all(&mut self) {
        self.open.clear();
        for (fate, ..) in &mut self.queue {
            if *fate == Fate::Waits {
                *fate = Fate::Kept;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Endpoint;

    fn key(port: u16) -> FlowKey {
        let end = |address, port| Endpoint { address: Endpoint::v4(address), port };
        FlowKey::between(end(1, port), end(2, 443)).0
    }

    fn hold(waiting: &mut Waiting, port: u16, number: u64, len: usize) -> bool {
        let octets = vec![7; len];
        let at = PacketRef { number, ..PacketRef::default() };
        let clock = Timestamp(number);
        let frame =
            Frame { at, clock, link_type: LinkType::RAW, octets: &octets, original_len: len as u32, datagram: None };
        waiting.hold(&key(port), Timestamp(number / 2), &frame)
    }

    fn due(waiting: &mut Waiting) -> Vec<u64> {
        std::iter::from_fn(|| waiting.due()).map(|held| held.frame().at.number).collect()
    }

    #[test]
    fn packets_leave_in_their_order_once_all_before_them_are_decided() {
        let mut waiting = Waiting::default();
        for (port, number) in [(1, 10), (2, 11), (1, 12), (3, 13), (2, 14)] {
            assert!(hold(&mut waiting, port, number, 60));
        }
        assert_eq!((waiting.since(&key(1)), waiting.since(&key(4))), (Some(Timestamp(5)), None));
        waiting.keep_of(&key(2));
        assert_eq!(due(&mut waiting), [0; 0], "one before them waits");
        waiting.drop_of(&key(1));
        assert_eq!(due(&mut waiting), [11]);
        // Its ports are used again.
        assert!(hold(&mut waiting, 1, 15, 60));
        waiting.keep_all();
        assert_eq!(due(&mut waiting), [13, 14, 15]);
    }

    #[test]
    fn what_waits_has_bounds() {
        let mut waiting = Waiting::default();
        assert!(!hold(&mut waiting, 1, 1, HELD_PACKET_OCTETS + 1));
        assert!((0..HELD_OF_FLOW).all(|number| hold(&mut waiting, 1, number.into(), 60)));
        assert!(!hold(&mut waiting, 1, 50, 60));
        for number in 0..HELD_PACKETS as u64 {
            hold(&mut waiting, 1000 + (number / 4) as u16, 100 + number, 60);
        }
        // All of the connection of the oldest leave: it is decided.
        assert_eq!(due(&mut waiting), (0..u64::from(HELD_OF_FLOW)).collect::<Vec<_>>());
        assert_eq!(waiting.queue.len(), HELD_PACKETS);
        assert!(!waiting.open.contains_key(&key(1)));
    }
}
