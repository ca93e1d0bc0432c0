//! The gravest findings by themselves, with where they stand in the capture.

use crate::output::Fact;
use crate::page::text::{NAME_CHARS, SENTENCE_CHARS, shown, shown_path};
use hashbrown::HashMap;
use std::cmp::Reverse;
use std::net::IpAddr;

/// A finding, and where to look for it.
pub(super) struct Exhibit {
    id: String,
    pub(super) severity: u8,
    pub(super) name: String,
    pub(super) message: String,
    pub(super) count: u64,
    pub(super) last: u64,
    pub(super) source: String,
    /// From 1.
    pub(super) packet: Option<u64>,
    /// What Wireshark shows its connections by; empty where it is of none.
    pub(super) filter: String,
}

/// The gravest of them.
pub(super) struct Evidence {
    all: HashMap<u64, Exhibit, foldhash::quality::RandomState>,
    limit: usize,
}

impl Evidence {
    pub(super) fn new(limit: usize) -> Self {
        Self { all: HashMap::default(), limit }
    }

    /// A finding under the hash of its identity; one that was there with a lower count is replaced.
    pub(super) fn add(&mut self, fact: &Fact<'_>, key: u64) {
        self.all.insert(key, Exhibit::of(fact));
        // Half of it is forgotten at a time, so that the work for each stays the same.
        if self.all.len() > 2 * self.limit {
            let mut ranks: Vec<_> = self.all.iter().map(|(key, exhibit)| (exhibit.rank(), *key)).collect();
            ranks.sort();
            let forgotten: Vec<u64> = ranks.drain(self.limit..).map(|(_, key)| key).collect();
            forgotten.iter().for_each(|key| drop(self.all.remove(key)));
        }
    }

    /// The gravest first.
    pub(super) fn sorted(&self) -> Vec<&Exhibit> {
        let mut all: Vec<&Exhibit> = self.all.values().collect();
        all.sort_by_key(|exhibit| exhibit.rank());
        all.truncate(self.limit);
        all
    }
}

impl Exhibit {
    fn of(fact: &Fact<'_>) -> Self {
        Self {
            id: shown(&fact.id, NAME_CHARS),
            severity: fact.severity,
            name: shown(&fact.action, NAME_CHARS),
            message: shown(&fact.message, SENTENCE_CHARS),
            count: fact.count,
            last: fact.time,
            source: shown_path(&fact.input, NAME_CHARS),
            packet: fact.packet,
            filter: filter(fact),
        }
    }

    fn rank(&self) -> (Reverse<u8>, Reverse<u64>, Reverse<u64>, String) {
        (Reverse(self.severity), Reverse(self.count), Reverse(self.last), self.id.clone())
    }
}

/// A display filter for all connections between the ends that the record names.
fn filter(fact: &Fact<'_>) -> String {
    let address = |address: IpAddr| match address {
        IpAddr::V4(_) => format!("ip.addr == {address}"),
        IpAddr::V6(_) => format!("ipv6.addr == {address}"),
    };
    let mut parts: Vec<String> = Vec::new();
    parts.extend(fact.client.map(address));
    if let Some((ip, port)) = fact.server {
        parts.push(address(ip));
        parts.push(format!("tcp.port == {port}"));
    }
    parts.extend(fact.client_port.map(|port| format!("tcp.port == {port}")));
    parts.join(" && ")
}
