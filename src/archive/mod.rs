//! The files between the steps that replay an archive in pieces: what a map keeps of one capture, what a reduce has found
//! in one partition. Each step reads files and writes files; nothing else is shared.
//!
//! [`parts`] holds packets as pcapng, [`facts`] what was left out and the records of a partition, [`order`] makes the
//! packets of all captures one again in their order, [`store`] is where files are. What a step does with them is
//! [`crate::run`]'s affair, what stands in their JSON [`crate::output::steps`]'.

#[cfg(feature = "cloud")]
mod cloud;
pub mod facts;
pub mod frames;
pub mod order;
pub mod parts;
pub mod store;

use crate::stream::{FlowKey, Side};
use sha2::{Digest as _, Sha256};
use std::io;

/// Which partition a connection is in: by its inner addresses and ports, so that both directions, and what is sent with and
/// without a VLAN or a tunnel around it, are in one, and two hosts with most of the traffic between them are in all.
/// `seed` makes it hard to choose connections that all meet in one.
#[must_use]
pub fn partition(key: &FlowKey, seed: u64, partitions: u32) -> u32 {
    let ends = [Side::A, Side::B].map(|side| key.endpoint(side));
    let words = ends.into_iter().flat_map(|end| [(end.address >> 64) as u64, end.address as u64, end.port.into()]);
    (words.fold(seed, mixed) % u64::from(partitions.max(1))) as u32
}

/// One more word into a hash: the finaliser of splitmix64.
fn mixed(hash: u64, word: u64) -> u64 {
    let hash = (hash ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ hash >> 31
}

/// In hexadecimal digits.
fn digits(digest: &[u8]) -> String {
    digest.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// SHA-256 in hexadecimal digits, by which a plan is known again.
#[must_use]
pub fn digest_of(octets: &[u8]) -> String {
    digits(&Sha256::digest(octets))
}

/// A file that holds something else than was written there.
fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Endpoint;

    #[test]
    fn both_directions_are_in_one_partition_and_two_hosts_are_in_all() {
        let end = |address: u32, port| Endpoint { address: Endpoint::v4(address), port };
        let mut used = [0; 8];
        for port in 1000..5000 {
            let there = FlowKey::between(end(1, port), end(7, 143)).0;
            let back = FlowKey::between(end(7, 143), end(1, port)).0;
            assert_eq!(partition(&there, 3, 8), partition(&back, 3, 8));
            used[partition(&there, 3, 8) as usize] += 1;
        }
        assert!(used.iter().all(|connections| (400..600).contains(connections)), "{used:?}");
        let one = FlowKey::between(end(1, 1), end(2, 2)).0;
        assert!((0..64).any(|seed| partition(&one, seed, 8) != partition(&one, 0, 8)), "the seed matters");
    }
}
