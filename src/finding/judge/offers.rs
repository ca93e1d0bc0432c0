//! What the server offered, and when: a list counts for what a client sent having seen it.

use crate::finding::record::Offer;
use crate::mail::{Capabilities, LoginOffer, Reason};
use crate::stream::Mark;

/// Lists that are remembered; a server that sends more is not worth more.
const LISTS: usize = 16;

/// What the server's list said from some point of its stream on.
struct Listed {
    /// Server stream offset after the list.
    end: u64,
    offer: Offer,
    list: Option<Box<Capabilities>>,
}

/// All lists of a connection.
#[derive(Default)]
pub(super) struct Offers {
    lists: Vec<Listed>,
    /// STARTTLS was in a list at some time.
    pub(super) ever: bool,
    /// A list held a filler where STARTTLS should be.
    pub(super) is_masked: bool,
    /// A list let passwords be sent in clear.
    pub(super) advertises_password: bool,
}

impl Offers {
    /// Octets of memory besides its own.
    pub(super) fn octets(&self) -> usize {
        let list =
            |listed: &Listed| listed.list.as_ref().map_or(0, |list| size_of::<Capabilities>() + list.words.octets());
        self.lists.capacity() * size_of::<Listed>() + self.lists.iter().map(list).sum::<usize>()
    }

    /// `is_doubted`: a login may have come before it, and after one STARTTLS is not offered any more. A list before
    /// then says more.
    pub(super) fn add(&mut self, list: Box<Capabilities>, is_doubted: bool) {
        let offer = match list.has_starttls {
            true => Offer::Offered,
            false if is_doubted && !self.lists.is_empty() => return,
            false if is_doubted => Offer::Unknown(Reason::Gap),
            false => Offer::NotOffered,
        };
        self.ever |= list.has_starttls;
        self.is_masked |= list.has_filler;
        self.advertises_password |= list.logins.password || list.logins.command;
        self.push(Listed { end: list.end, offer, list: Some(list) });
    }

    /// There is no list to be had.
    pub(super) fn add_unknown(&mut self, reason: Reason) {
        self.push(Listed { end: 0, offer: Offer::Unknown(reason), list: None });
    }

    fn push(&mut self, mut listed: Listed) {
        if self.lists.len() == LISTS {
            self.lists.remove(0);
        }
        listed.end = listed.end.max(self.lists.last().map_or(0, |last| last.end));
        if self.lists.is_empty() {
            // Mostly there is one.
            self.lists.reserve_exact(1);
        }
        self.lists.push(listed);
    }

    /// The offer as the client knew it when it sent what stands at `mark`.
    pub(super) fn at(&self, mark: Mark) -> Offer {
        self.known_at(mark).map_or(Offer::Unknown(Reason::NotAsked), |list| list.offer)
    }

    /// The ways to log in that the client knew of then.
    pub(super) fn logins_at(&self, mark: Mark) -> Option<LoginOffer> {
        self.known_at(mark)?.list.as_ref().map(|list| list.logins)
    }

    fn known_at(&self, mark: Mark) -> Option<&Listed> {
        let seen = mark.seen.unwrap_or(u64::MAX);
        self.lists.iter().rev().find(|list| list.end <= seen)
    }

    /// The offer for the session as a whole.
    pub(super) fn overall(&self) -> Offer {
        match self.lists.last() {
            _ if self.ever => Offer::Offered,
            Some(list) => list.offer,
            None => Offer::Unknown(Reason::NotAsked),
        }
    }

    /// The last whole list.
    pub(super) fn list(&self) -> Option<&Capabilities> {
        self.lists.iter().rev().find_map(|listed| listed.list.as_deref())
    }
}
