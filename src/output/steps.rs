//! What the steps of an archive write down as JSON: the plan, and what each step has done. People and schedulers may read
//! it; what decides are the numbers, which the last step adds up.
//!
//! What is read is taken as it is written here: a field more, less or of another type is an error.

use crate::engine::Counters;
use crate::wire::{LinkType, Skip};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The form of these files.
pub const STEPS_VERSION: u32 = 1;

/// Octets of such a file: a plan of some 100,000 captures.
pub const STEP_OCTETS: u64 = 64 << 20;

/// What is to be done: `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`STEPS_VERSION`].
    pub version: u32,
    /// The program that made it; other versions may judge otherwise.
    pub barewire: String,
    /// Into how many partitions packets go.
    pub partitions: u32,
    /// Makes the partition of a connection hard to guess.
    pub seed: u64,
    /// What decides what is found, as it is typed.
    pub options: Vec<String>,
    /// SHA-256 of the list of weak passwords, if there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub weak_secrets: Option<String>,
    /// The key of the fingerprints, by its four digits.
    pub fingerprint_key: String,
    /// Of a connection without a beginning, octets that are kept of each capture. None: nothing is left out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unknown_octets: Option<u32>,
    /// The captures, in their order.
    pub captures: Vec<Capture>,
}

/// One capture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    /// As it was given, and as records name it.
    pub name: String,
    /// As it lies there.
    pub octets: u64,
    /// The time of its first packet, nanoseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first: Option<u64>,
    /// That of its last, where it is found without reading all: not in what is compressed or cut off. For people: what a
    /// packet holds can be taken for one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last: Option<u64>,
}

/// What a map has kept of its capture: `map.json`, written last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapDone {
    /// SHA-256 of the plan.
    pub manifest: String,
    /// Index of the capture, and its name.
    pub index: u32,
    /// See `index`.
    pub name: String,
    /// The latest time in it, nanoseconds since 1970.
    pub clock: u64,
    /// Packets of the capture, and what they were.
    pub counters: Sums,
    /// Why it could not be read, or not to its end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub problem: Option<Trouble>,
    /// Files of packets: of each partition, and of fragments.
    pub parts: Vec<Part>,
    /// Of the packets in all parts, those that are kept only because an earlier capture may say more.
    pub unknown_packets: u64,
    /// Their octets.
    pub unknown_octets: u64,
}

/// Why a capture could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trouble {
    /// In one line.
    pub what: String,
    /// What stood before was read.
    pub opened: bool,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holds {
    /// Packets of one partition.
    Packets,
    /// Packets of one partition that were held back for a while: of handshakes.
    Handshakes,
    /// Fragments, which all partitions read.
    Fragments,
    /// What was left out of one partition.
    LeftOut,
}

/// A file that a map has written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its name, in the folder of the map.
    pub name: String,
    /// What it holds.
    pub holds: Holds,
    /// Of which partition; of fragments 0.
    pub partition: u32,
    /// Packets, or connections of which something was left out.
    pub entries: u64,
    /// Octets of packets.
    pub octets: u64,
    /// Clock and number of the first.
    pub first: [u64; 2],
    /// Octets of the file, and the checksums in it as one.
    pub stored: u64,
    /// See `stored`.
    pub checksum: String,
}

/// What a reduce has found in its partition: `reduce.json`, written last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReduceDone {
    /// SHA-256 of the plan.
    pub manifest: String,
    /// Which.
    pub partition: u32,
    /// What it has read, by its name in the archive.
    pub read: BTreeMap<String, Read>,
    /// What was counted of connections, and of datagrams made of fragments.
    pub counters: Sums,
    /// Connections that would have been looked at, had packets of them not been left out, by the index of the capture.
    pub missed: BTreeMap<u32, u64>,
    /// Records in the file beside it.
    pub records: u64,
    /// Octets of that file, and the checksums in it as one.
    pub stored: u64,
    /// See `stored`.
    pub checksum: String,
}

/// What was read of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// Packets, or connections of which something was left out.
    pub entries: u64,
    /// Octets of packets.
    pub octets: u64,
    /// The checksums in it as one.
    pub checksum: String,
}

/// Counters by name; those that are 0 are not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sums {
    /// By name.
    counts: BTreeMap<String, u64>,
    /// Frames of link types that are not read, by their numbers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    unread: BTreeMap<u16, u64>,
}

/// What stands in a file of the steps.
pub trait Step: Serialize + DeserializeOwned {
    /// The file as it is written.
    ///
    /// # Panics
    ///
    /// Never: numbers, words and lists of them can be written.
    #[must_use]
    fn written(&self) -> Vec<u8> {
        let mut octets = serde_json::to_vec_pretty(self).expect("plain data");
        octets.push(b'\n');
        octets
    }

    /// What a file says.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and in which line.
    fn read(octets: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(octets).map_err(|error| error.to_string())
    }
}

impl Step for Manifest {}
impl Step for MapDone {}
impl Step for ReduceDone {}

/// All counters with their names.
fn named(counters: &mut Counters) -> Vec<(String, &mut u64)> {
    let Counters {
        frames,
        octets,
        segments,
        skipped,
        unread: _,
        datagrams,
        fragments,
        cut,
        other_ports,
        mail_flows,
        evicted,
        embryos_dropped,
        stream,
    } = counters;
    let skips = Skip::ALL.iter().zip(skipped).map(|((_, name), count)| (format!("skipped: {name}"), count));
    let one = |name: &str, count| (name.to_owned(), count);
    let plain = [
        one("frames", frames),
        one("octets", octets),
        one("segments", segments),
        one("datagrams", datagrams),
        one("datagrams whole", &mut fragments.whole),
        one("fragments refused", &mut fragments.refused),
        one("datagrams given up", &mut fragments.given_up),
        one("frames cut", cut),
        one("on other ports", other_ports),
        one("mail connections", mail_flows),
        one("connections evicted", evicted),
        one("SYN forgotten", embryos_dropped),
        one("repeated", &mut stream.repeated),
        one("reordered", &mut stream.reordered),
        one("conflicts", &mut stream.conflicts),
        one("gaps proved", &mut stream.gaps_proved),
        one("gaps presumed", &mut stream.gaps_presumed),
        one("octets in gaps", &mut stream.gap_octets),
        one("octets lost", &mut stream.octets_lost),
        one("octets followed", &mut stream.octets),
        one("RST ignored", &mut stream.rst_ignored),
        one("SYN ignored", &mut stream.syn_ignored),
        one("wild", &mut stream.wild),
        one("no room to reorder", &mut stream.reorder_full),
        one("wrong checksum", &mut stream.unsound),
    ];
    plain.into_iter().chain(skips).collect()
}

impl From<&Counters> for Sums {
    fn from(counters: &Counters) -> Self {
        let mut copy = *counters;
        let mut unread: BTreeMap<u16, u64> =
            counters.unread.iter().map(|(link_type, frames)| (link_type.0, frames)).collect();
        let counts = named(&mut copy).into_iter().filter(|(_, count)| **count > 0);
        let mut counts: BTreeMap<String, u64> = counts.map(|(name, count)| (name, *count)).collect();
        if counters.unread.others > 0 {
            counts.insert(OTHER_LINK_TYPES.to_owned(), counters.unread.others);
        }
        unread.retain(|_, frames| *frames > 0);
        Self { counts, unread }
    }
}

const OTHER_LINK_TYPES: &str = "of yet other link types";

impl Sums {
    /// The counters themselves. `None`: there are some that no step counts, or more than a number holds.
    #[must_use]
    pub fn counters(&self) -> Option<Counters> {
        let mut counters = Counters::default();
        let mut names = named(&mut counters);
        let mut others = 0;
        for (name, count) in &self.counts {
            // What is added up must fit.
            let count = Some(*count).filter(|count| *count < 1 << 56)?;
            match names.iter_mut().find(|(known, _)| known == name) {
                Some((_, place)) => **place = count,
                None if name == OTHER_LINK_TYPES => others = count,
                None => return None,
            }
        }
        for (link_type, frames) in &self.unread {
            counters.unread.note(LinkType(*link_type), Some(*frames).filter(|frames| *frames < 1 << 56)?);
        }
        counters.unread.others += others;
        Some(counters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_come_back_as_they_were() {
        let mut counters = Counters::default();
        for (at, (_, count)) in named(&mut counters).into_iter().enumerate() {
            *count = at as u64;
        }
        counters.unread.note(LinkType(7), 3);
        counters.unread.others = 2;
        let done = ReduceDone {
            manifest: String::new(),
            partition: 0,
            read: BTreeMap::new(),
            counters: Sums::from(&counters),
            missed: BTreeMap::new(),
            records: 0,
            stored: 0,
            checksum: String::new(),
        };
        let read = ReduceDone::read(&done.written()).expect("what was written");
        assert_eq!(read, done);
        assert_eq!(read.counters.counters(), Some(counters));
    }

    #[test]
    fn what_no_step_writes_is_refused() {
        let read = |text: &str| serde_json::from_str::<Sums>(text).ok();
        for odd in ["{\"counts\":{\"made up\":1}}", "{\"counts\":{\"frames\":18446744073709551615}}"] {
            assert_eq!(read(odd).and_then(|sums| sums.counters()), None, "{odd}");
        }
        assert_eq!(read("{\"counts\":{},\"more\":1}"), None);
    }
}
