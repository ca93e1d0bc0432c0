//! Servers say the same on each connection, so what they were found to be is remembered. Bounded: some say the time.

use super::{ServerSigns, Software, server};
use crate::mail::Protocol;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::hash::BuildHasher as _;

/// Servers that are remembered; then all are forgotten.
const SERVERS: usize = 1000;

/// Servers that were recognised, or were not.
#[derive(Default)]
pub struct Recogniser {
    seen: HashTable<Seen>,
    hasher: RandomState,
}

struct Seen {
    hash: u64,
    protocol: Protocol,
    /// Banner, capabilities, ID.
    texts: [Option<Box<str>>; 3],
    software: Option<&'static Software>,
}

impl Recogniser {
    /// What [`server`] says. Replies are not remembered.
    pub fn server(&mut self, signs: ServerSigns<'_>) -> Option<&'static Software> {
        if signs.reply.is_some() {
            return server(signs);
        }
        let texts = [signs.banner, signs.capabilities, signs.id];
        let hash = self.hasher.hash_one((signs.protocol, texts));
        if self.seen.len() >= SERVERS {
            self.seen.clear();
        }
        let is_same = |seen: &Seen| {
            seen.protocol == signs.protocol && seen.texts.iter().map(Option::as_deref).eq(texts.iter().copied())
        };
        match self.seen.entry(hash, is_same, |seen| seen.hash) {
            Entry::Occupied(seen) => seen.get().software,
            Entry::Vacant(place) => {
                let software = server(signs);
                let texts = texts.map(|text| text.map(Into::into));
                place.insert(Seen { hash, protocol: signs.protocol, texts, software });
                software
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(banner: &str) -> ServerSigns<'_> {
        ServerSigns { protocol: Protocol::Imap, banner: Some(banner), capabilities: None, id: None, reply: None }
    }

    #[test]
    fn each_server_is_what_it_is_at_first_sight() {
        let mut recogniser = Recogniser::default();
        for round in 0..3 * SERVERS {
            for banner in ["Dovecot ready.", "Cyrus IMAP ready", "ready"] {
                assert_eq!(recogniser.server(signs(banner)), server(signs(banner)));
            }
            let numbered = format!("Dovecot ready at {round}");
            assert_eq!(recogniser.server(signs(&numbered)), server(signs(&numbered)));
            assert!(recogniser.seen.len() <= SERVERS);
        }
    }
}
