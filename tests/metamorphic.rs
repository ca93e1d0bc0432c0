//! What must not matter does not: every mail case of the corpus cut anew, out of order, repeated, over IPv6, with VLAN
//! tags gives the same logins and findings. With one packet lost, the exposure stays unless the secret was in that
//! packet, and nothing is said to be absent that was not absent before.
//!
//! The corpus is the folder that `BAREWIRE_CORPUS` names; without it these tests skip, loudly.

#![allow(clippy::print_stderr, reason = "a skipped test must be loud")]

use barewire::capture::{Access, FileSet};
use barewire::finding::{Category, Finding, FindingId, Record};
use barewire::testing::wrap::{WRAPPINGS, fragments};
use barewire::testing::{Captured, Link, Packet, Random, collect, run, run_frames, shake};
use barewire::wire::{LinkType, decode};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("BAREWIRE_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        assert!(std::env::var_os("BAREWIRE_REQUIRE_ALL").is_none(), "BAREWIRE_CORPUS must name the corpus here");
        eprintln!("SKIPPED metamorphic: BAREWIRE_CORPUS does not name the folder");
    }
    folder
}

/// One capture of the corpus.
struct Case {
    name: String,
    packets: Vec<Packet>,
}

/// The cases of the protocols, `p`, `i` and `s`, and of what happens to STARTTLS, `x`.
fn cases() -> Option<Vec<Case>> {
    let folder = corpus()?.join("cases");
    let table = std::fs::read_to_string(folder.join("expected.tsv")).expect("expected.tsv");
    let names = table.lines().skip(1).filter_map(|row| row.split('\t').next());
    let mail = names.filter(|name| name.starts_with(['p', 'i', 's', 'x']));
    let read = |name: &str| Case { name: name.to_owned(), packets: packets(&folder.join(name)) };
    let cases: Vec<Case> = mail.map(read).collect();
    assert!(cases.len() >= 50, "only {} cases", cases.len());
    Some(cases)
}

fn packets(capture: &Path) -> Vec<Packet> {
    let mut files = FileSet::open(&[capture.to_path_buf()], Access::Map);
    let mut packets = Vec::new();
    while let Some(frame) = files.next_frame() {
        if let Ok(segment) = decode(&frame) {
            packets.push(Packet::from_segment(&segment, frame.at.time));
        }
    }
    packets
}

/// Logins in their order, as mechanism, user, outcome and fingerprint, and the names of all findings.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    logins: Vec<String>,
    findings: BTreeSet<String>,
    /// Users and fingerprints of passwords that were seen.
    exposed: BTreeSet<String>,
}

/// A finding with what tells one kind of it from another.
fn words(finding: &Finding) -> String {
    let evidence = finding.evidence.as_deref();
    let kind = evidence.and_then(|evidence| evidence.kind).unwrap_or_default();
    let timing = evidence.and_then(|evidence| evidence.timing).map_or("", |timing| timing.name());
    format!("{} {} {} {kind} {timing}", finding.id.name(), finding.severity, finding.confidence.name())
}

fn said(packets: &[Packet], link: Link) -> Said {
    said_of(&run(packets, link).0)
}

fn said_of(records: &[Record]) -> Said {
    let mut logins = Vec::new();
    let mut said = Said { logins: Vec::new(), findings: BTreeSet::new(), exposed: BTreeSet::new() };
    for record in records {
        match record {
            Record::Login(login) => {
                let user = login.user.as_ref().map_or("?", |user| user.as_str());
                let print = login.fingerprint.map_or_else(|| "-".to_owned(), |print| print.to_string());
                let whole = format!("{} {user} {} {print}", login.mechanism.as_str(), login.outcome.name());
                logins.push((login.flow.start, login.ordinal, whole));
                said.exposed.insert(format!("{user} {print}"));
            }
            Record::Finding(_) | Record::Session(_) => {}
        }
    }
    said.findings = collect(records).iter().map(|collected| words(&collected.finding)).collect();
    logins.sort();
    said.logins = logins.into_iter().map(|(.., login)| login).collect();
    said
}

/// The same connection between IPv6 addresses that are as public or private as the IPv4 ones were.
fn over_v6(packets: &[Packet]) -> Vec<Packet> {
    let address = |v4: u128| 0xfd00_u128 << 112 | v4 & 0xffff_ffff;
    let mut moved = packets.to_vec();
    for packet in &mut moved {
        packet.source.address = address(packet.source.address);
        packet.destination.address = address(packet.destination.address);
    }
    moved
}

/// The same connection with other initial sequence numbers, close before the wrap.
fn wrapped(packets: &[Packet]) -> Vec<Packet> {
    let shift = u32::MAX - 9;
    let Some(first) = packets.first() else { return Vec::new() };
    let (from, isn) = (first.source, first.seq);
    let mut moved = packets.to_vec();
    for packet in &mut moved {
        if packet.source == from {
            packet.seq = packet.seq.wrapping_sub(isn).wrapping_add(shift);
        } else {
            packet.ack = packet.ack.wrapping_sub(isn).wrapping_add(shift);
        }
    }
    moved
}

#[test]
fn order_cut_copies_addresses_and_tags_do_not_matter() {
    let Some(cases) = cases() else { return };
    let mut wrong = Vec::new();
    for case in &cases {
        let before = said(&case.packets, Link::Ethernet);
        let mut check = |how: &str, after: Said| {
            if after != before {
                wrong.push(format!("{} {how}:\n  {after:?}\n  before {before:?}", case.name));
            }
        };
        check("with a tag", said(&case.packets, Link::Vlan(7)));
        check("with two tags", said(&case.packets, Link::QinQ(7, 9)));
        check("cooked", said(&case.packets, Link::Sll2));
        check("over IPv6", said(&over_v6(&case.packets), Link::Raw));
        check("with wrapping numbers", said(&wrapped(&case.packets), Link::Null));
        for seed in 0..10 {
            let mut random = Random::new(seed);
            let cut = shake::resegment(&case.packets, 1 + random.below(40), &mut random);
            check(&format!("cut anew, seed {seed}"), said(&cut, Link::Ethernet));
            let moved = keeping_the_handshake(&cut, 5, &mut random);
            check(&format!("cut anew and out of order, seed {seed}"), said(&moved, Link::Ethernet));
            let repeated = shake::duplicate(&moved, 25, &mut random);
            check(&format!("also repeated, seed {seed}"), said(&repeated, Link::Ethernet));
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn neither_tunnels_nor_fragments_matter() {
    let Some(cases) = cases() else { return };
    let mut wrong = Vec::new();
    let mut random = Random::new(4);
    for case in &cases {
        let before = said(&case.packets, Link::Ethernet);
        let in_v6 = over_v6(&case.packets);
        let before_v6 = said(&in_v6, Link::Raw);
        let mut check = |how: &str, frames: &[Captured], before: &Said| {
            let (records, counters) = run_frames(frames);
            if said_of(&records) != *before {
                wrong.push(format!("{} {how}:\n  {:?}\n  before {before:?}", case.name, said_of(&records)));
            }
            assert_eq!(counters.fragments.refused + counters.fragments.given_up, 0, "{} {how}", case.name);
        };
        for wrapping in &WRAPPINGS {
            for (packets, before) in [(&case.packets, &before), (&in_v6, &before_v6)] {
                if wrapping.is_v6 && std::ptr::eq(packets, &case.packets) {
                    continue;
                }
                let size = 8 * (1 + random.below(40));
                let mut frames: [Vec<Captured>; 3] = Default::default();
                for (id, packet) in packets.iter().enumerate() {
                    let ip = packet.octets(Link::Raw);
                    let captured = |octets| Captured { time: packet.time, link_type: wrapping.link_type, octets };
                    frames[0].push(captured(wrapping.wrap(&ip)));
                    // Fragments in the tunnel, last first, and the tunnel's packets in fragments.
                    frames[1]
                        .extend(fragments(&ip, size, id as u16).iter().rev().map(|part| captured(wrapping.wrap(part))));
                    if wrapping.kind.is_some() && wrapping.link_type == LinkType::RAW {
                        frames[2].extend(fragments(&wrapping.wrap(&ip), size, id as u16).into_iter().map(captured));
                    }
                }
                check(wrapping.name, &frames[0], before);
                check(&format!("{}, fragments of {size} in it", wrapping.name), &frames[1], before);
                if !frames[2].is_empty() {
                    check(&format!("{}, itself in fragments of {size}", wrapping.name), &frames[2], before);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// A handshake is two round trips: no span port mixes it up.
fn keeping_the_handshake(packets: &[Packet], places: usize, random: &mut Random) -> Vec<Packet> {
    let (handshake, rest) = packets.split_at(3.min(packets.len()));
    [handshake.to_vec(), shake::reorder(rest, places, random)].concat()
}

/// A line that holds no secret and no name: a command without argument, one that names a mechanism alone, or one that
/// announces a literal.
fn is_bare(line: &str) -> bool {
    const VERBS: [&str; 9] = ["capa", "stls", "starttls", "stat", "quit", "data", "noop", "capability", "logout"];
    const AUTH: [&str; 3] = ["auth", "authenticate", "sasl"];
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_one_of = |word: &str, list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(word));
    match words[..] {
        [.., verb, mechanism] if is_one_of(verb, &AUTH) => is_mechanism(mechanism.trim_matches('"')),
        [.., "LOGIN" | "login", last] => last.starts_with('{'),
        [verb] | [_, verb] => is_one_of(verb, &VERBS),
        _ => false,
    }
}

/// A mechanism whose messages show which it is.
fn is_mechanism(name: &str) -> bool {
    ["PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER", "CRAM-MD5", "DIGEST-MD5", "NTLM"]
        .contains(&name.to_uppercase().as_str())
}

/// Findings about how the connection was protected: what was lost must never bring one about.
fn is_about_transport(words: &str) -> bool {
    let id = FindingId::parse(words.split(' ').next().unwrap_or_default()).expect("a finding");
    id.entry().category == Category::Transport
}

#[test]
fn one_lost_packet_hides_no_secret_but_its_own_and_makes_nothing_up() {
    let Some(cases) = cases() else { return };
    let mut wrong = Vec::new();
    for case in &cases {
        let before = said(&case.packets, Link::Ethernet);
        for index in 0..case.packets.len() {
            let lost = &case.packets[index];
            if lost.payload.is_empty() {
                continue;
            }
            let after = said(&shake::without(&case.packets, index), Link::Ethernet);
            let text = String::from_utf8_lossy(&lost.payload).into_owned();
            let is_of_client = lost.destination.port < lost.source.port;
            let may_hide = is_of_client && !is_bare(&text);
            if !may_hide && after.exposed != before.exposed {
                wrong.push(format!("{} without {text:?}: {:?}, before {:?}", case.name, after.exposed, before.exposed));
            }
            if after.exposed.iter().any(|exposed| !before.exposed.contains(exposed) && !exposed.starts_with('?')) {
                wrong.push(format!("{} without {text:?}: made up {:?}", case.name, after.exposed));
            }
            let ids = |said: &Said| -> BTreeSet<String> {
                let transport = said.findings.iter().filter(|words| is_about_transport(words));
                transport.map(|words| words.split(' ').next().unwrap_or_default().to_owned()).collect()
            };
            // What is seen of a refusal is less when nothing that followed it is.
            let weaker =
                |id: &str| id == "starttls-refused" && ids(&before).contains("cleartext-after-starttls-refused");
            for new in ids(&after).difference(&ids(&before)).filter(|id| !weaker(id)) {
                wrong.push(format!("{} without {text:?}: {new}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
