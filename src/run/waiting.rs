//! Records that a file would not take yet: kept in order up to a bound, those with least to tell given up first.

use std::collections::VecDeque;

/// What a record is worth when not all can be kept; the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// A connection: most of it is in the findings, where there was something to find.
    Session,
    /// A login attempt: its finding tells of it.
    Login,
    /// A finding: what the program is for.
    Finding,
}

impl Rank {
    /// As many as there are.
    pub(super) const COUNT: usize = Self::Finding as usize + 1;
}

/// Octets that may wait for a disk: some 6,000 records, minutes of most links, and little beside the connections.
pub(super) const WAITING_OCTETS: usize = 8 * 1024 * 1024;

/// A record on its way to a file.
#[derive(Debug)]
pub(super) struct Waiter {
    /// Its place among all that ever waited.
    place: u64,
    rank: Rank,
    /// Whole, line feed included.
    pub(super) line: Box<[u8]>,
}

impl Waiter {
    pub(super) fn rank(&self) -> Rank {
        self.rank
    }
}

/// Records that wait, oldest first.
#[derive(Debug)]
pub(super) struct Waiting {
    /// One queue a rank, so that giving up the oldest of a rank takes no search; each in the order of places.
    queues: [VecDeque<Waiter>; Rank::COUNT],
    /// Of the next to come.
    place: u64,
    /// Of all that wait, with what each takes beside its line; never above `bound` once [`Self::push`] is done.
    octets: usize,
    bound: usize,
    lost: [u64; Rank::COUNT],
}

/// Octets that a record takes while it waits.
fn cost(waiter: &Waiter) -> usize {
    waiter.line.len() + size_of::<Waiter>()
}

impl Waiting {
    /// Room for `bound` octets.
    pub(super) fn new(bound: usize) -> Self {
        Self { queues: Default::default(), place: 0, octets: 0, bound, lost: [0; Rank::COUNT] }
    }

    /// Takes a record in; beyond the bound the oldest of the lowest rank are given up, be it this one.
    pub(super) fn push(&mut self, rank: Rank, line: &[u8]) {
        let waiter = Waiter { place: self.place, rank, line: line.into() };
        self.place += 1;
        self.octets += cost(&waiter);
        self.queues[rank as usize].push_back(waiter);
        while self.octets > self.bound {
            let Some(lowest) = self.queues.iter_mut().find(|queue| !queue.is_empty()) else { return };
            let Some(given_up) = lowest.pop_front() else { return };
            self.octets -= cost(&given_up);
            self.lost[given_up.rank as usize] += 1;
        }
    }

    /// Takes the oldest out.
    pub(super) fn pop(&mut self) -> Option<Waiter> {
        let oldest = self.queues.iter_mut().filter(|queue| !queue.is_empty());
        let waiter = oldest.min_by_key(|queue| queue.front().map(|waiter| waiter.place))?.pop_front()?;
        self.octets -= cost(&waiter);
        Some(waiter)
    }

    /// Puts back what [`Self::pop`] gave: it is the oldest still.
    pub(super) fn put_back(&mut self, waiter: Waiter) {
        self.octets += cost(&waiter);
        self.queues[waiter.rank as usize].push_front(waiter);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }

    /// Records that wait.
    pub(super) fn len(&self) -> usize {
        self.queues.iter().map(VecDeque::len).sum()
    }

    /// Memory that they take.
    #[cfg(any(feature = "live", test))]
    pub(super) fn octets(&self) -> usize {
        self.octets
    }

    /// Records given up so far, by rank.
    pub(super) fn lost(&self) -> [u64; Rank::COUNT] {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(waiting: &mut Waiting) -> String {
        let lines = std::iter::from_fn(|| waiting.pop());
        lines.map(|waiter| String::from_utf8(waiter.line.into_vec()).expect("text")).collect()
    }

    #[test]
    fn records_come_out_in_the_order_in_which_they_came() {
        let mut waiting = Waiting::new(10_000);
        for (rank, line) in [(Rank::Login, "a"), (Rank::Finding, "b"), (Rank::Session, "c"), (Rank::Login, "d")] {
            waiting.push(rank, line.as_bytes());
        }
        let first = waiting.pop().expect("one waits");
        waiting.put_back(first);
        assert_eq!(waiting.len(), 4);
        assert_eq!(drained(&mut waiting), "abcd");
        assert!(waiting.is_empty());
        assert_eq!((waiting.octets(), waiting.lost()), (0, [0; 3]));
    }

    #[test]
    fn sessions_are_given_up_before_logins_and_findings_last_the_oldest_first() {
        let room_for = |records: usize| Waiting::new(records * (size_of::<Waiter>() + 1));
        let mut waiting = room_for(4);
        let all = [(Rank::Session, "s"), (Rank::Finding, "f"), (Rank::Login, "l"), (Rank::Session, "t")];
        all.iter().for_each(|(rank, line)| waiting.push(*rank, line.as_bytes()));
        waiting.push(Rank::Login, b"m");
        assert_eq!(waiting.lost(), [1, 0, 0]);
        waiting.push(Rank::Finding, b"g");
        assert_eq!(waiting.lost(), [2, 0, 0]);
        waiting.push(Rank::Session, b"u");
        assert_eq!(waiting.lost(), [3, 0, 0], "the new one itself");
        waiting.push(Rank::Finding, b"h");
        assert_eq!(waiting.lost(), [3, 1, 0]);
        waiting.push(Rank::Finding, b"i");
        waiting.push(Rank::Finding, b"j");
        assert_eq!(waiting.lost(), [3, 2, 1]);
        assert_eq!(drained(&mut waiting), "ghij");
    }
}
