//! Reassembly against another's: every connection of the corpus's public captures that both hold whole gives the same
//! octets of each direction as tshark's `follow`. What either misses octets of is left out and counted.
//!
//! Without tshark, or without the folder that `BAREWIRE_CORPUS` names, the test skips, loudly.

#![allow(clippy::print_stderr, reason = "a skipped test must be loud, and what was compared is told")]

use barewire::capture::{Access, FileSet};
use barewire::stream::{FlowKey, Side};
use barewire::testing::Reassembly;
use barewire::wire::{Endpoint, Flags, SeqNumber, decode};
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Connections of one capture that are compared: some captures hold thousands alike.
const CONNECTIONS: usize = 64;

/// Why connections were not compared, and how many were.
#[derive(Debug, Default)]
struct Tally {
    compared: usize,
    octets: usize,
    /// Octets are missing, or are in a frame that was cut.
    with_gap: usize,
    /// The same ports were used more than once.
    reused: usize,
    /// Copies of a place differ: tshark takes one, and which is its own affair.
    ambiguous: usize,
    /// In tunnels or fragments that only one of the two opens.
    of_one_alone: usize,
    wrong: Vec<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.compared += other.compared;
        self.octets += other.octets;
        self.with_gap += other.with_gap;
        self.reused += other.reused;
        self.ambiguous += other.ambiguous;
        self.of_one_alone += other.of_one_alone;
        self.wrong.extend(other.wrong);
    }
}

/// One connection as this crate puts it together.
#[derive(Default)]
struct Ours {
    reassembly: Reassembly,
    syns: [Vec<SeqNumber>; 2],
    is_cut: bool,
}

impl Ours {
    fn is_reused(&self) -> bool {
        self.syns.iter().any(|syns| syns.len() > 1)
    }
}

fn ours(capture: &Path) -> HashMap<FlowKey, Ours> {
    let mut connections: HashMap<FlowKey, Ours> = HashMap::new();
    let mut files = FileSet::open(&[capture.to_path_buf()], Access::Map);
    while let Some(frame) = files.next_frame() {
        let Ok(segment) = decode(&frame) else { continue };
        let (key, side) = FlowKey::between(segment.source, segment.destination);
        let connection = connections.entry(key).or_default();
        let syns = &mut connection.syns[side.index()];
        if segment.flags.has(Flags::SYN) && !syns.contains(&segment.seq) {
            syns.push(segment.seq);
        }
        connection.is_cut |= segment.payload.len() < segment.payload_len as usize;
        connection.reassembly.push(side, &segment, frame.clock);
    }
    connections
}

/// One connection as tshark puts it together: the octets of the end that it names first, and of the other.
struct Theirs {
    ends: [Endpoint; 2],
    octets: [Vec<u8>; 2],
}

fn theirs(capture: &Path, count: usize) -> Vec<Theirs> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(capture).args(["-q", "-o", "tcp.reassemble_out_of_order:TRUE"]);
    for stream in 0..count {
        command.args(["-z", &format!("follow,tcp,raw,{stream}")]);
    }
    let output = command.output().expect("tshark runs");
    let text = String::from_utf8(output.stdout).expect("hexadecimal digits");
    text.split("Follow: tcp,raw").skip(1).filter_map(followed).collect()
}

/// What stands between two rulers. A line begins with a tab when it is the second end's.
fn followed(text: &str) -> Option<Theirs> {
    let end = |name: &str| endpoint(text.lines().find_map(|line| line.strip_prefix(name))?);
    let ends = [end("Node 0: ")?, end("Node 1: ")?];
    let mut octets = [Vec::new(), Vec::new()];
    let body = text.lines().skip_while(|line| !line.starts_with("Node 1")).skip(1);
    for line in body.take_while(|line| !line.starts_with('=')) {
        let digits = line.trim_start_matches('\t');
        octets[usize::from(line.len() > digits.len())].extend(hex(digits));
    }
    Some(Theirs { ends, octets })
}

fn endpoint(text: &str) -> Option<Endpoint> {
    let (address, port) = text.trim().rsplit_once(':')?;
    let address = match address.trim_matches(['[', ']']).parse().ok()? {
        IpAddr::V4(v4) => Endpoint::v4(v4.into()),
        IpAddr::V6(v6) => v6.into(),
    };
    Some(Endpoint { address, port: port.parse().ok()? })
}

fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.chars().map(|digit| digit.to_digit(16).expect("a digit") as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// What tshark writes in the place of octets that it misses.
fn has_gap(octets: &[u8]) -> bool {
    const MARK: &[u8] = b" bytes missing in capture file]";
    octets.windows(MARK.len()).any(|part| part == MARK)
}

fn compare(capture: &Path) -> Tally {
    let mut tally = Tally::default();
    let mut ours = ours(capture);
    if ours.is_empty() {
        return tally;
    }
    // Ports that were used again make a few more.
    let theirs = theirs(capture, CONNECTIONS.min(ours.len() + 8));
    let mut times = HashMap::new();
    for their in &theirs {
        *times.entry(FlowKey::between(their.ends[0], their.ends[1]).0).or_insert(0) += 1;
    }
    for their in &theirs {
        let (key, side) = FlowKey::between(their.ends[0], their.ends[1]);
        let Some(our) = ours.remove(&key) else {
            tally.of_one_alone += usize::from(times[&key] == 1);
            continue;
        };
        if times[&key] > 1 || our.is_reused() {
            tally.reused += 1;
            continue;
        }
        let is_cut = our.is_cut;
        let (octets, counts) = our.reassembly.finish();
        let [first, second] = [side, side.other()].map(|side| octets[side.index()].iter().copied().collect());
        let (Some(first), Some(second)): (Option<Vec<u8>>, Option<Vec<u8>>) = (first, second) else {
            tally.with_gap += 1;
            continue;
        };
        if is_cut || their.octets.iter().any(|octets| has_gap(octets)) {
            tally.with_gap += 1;
        } else if counts.conflicts > 0 {
            tally.ambiguous += 1;
        } else {
            tally.compared += 1;
            tally.octets += first.len() + second.len();
            for (name, our, their) in [("first", first, &their.octets[0]), ("second", second, &their.octets[1])] {
                if our != *their {
                    tally.wrong.push(difference(capture, key, name, &our, their));
                }
            }
        }
    }
    tally
}

fn difference(capture: &Path, key: FlowKey, name: &str, our: &[u8], their: &[u8]) -> String {
    let at = our.iter().zip(their).position(|(our, their)| our != their).unwrap_or(our.len().min(their.len()));
    let around =
        |octets: &[u8]| String::from_utf8_lossy(&octets[at.saturating_sub(20)..octets.len().min(at + 30)]).into_owned();
    let ports = [Side::A, Side::B].map(|side| key.endpoint(side).port);
    let lens = (our.len(), their.len());
    format!(
        "{} {ports:?}, {name} end, octet {at} of {lens:?}: {:?}, tshark {:?}",
        capture.display(),
        around(our),
        around(their)
    )
}

fn captures(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(captures(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found.retain(|path| path.extension().is_some_and(|kind| kind == "pcap" || kind == "pcapng" || kind == "cap"));
    found
}

/// The folder, when all is there.
fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("BAREWIRE_CORPUS").map(|folder| PathBuf::from(folder).join("public"));
    let has_tshark = Command::new("tshark").arg("--version").output().is_ok_and(|output| output.status.success());
    let missing = match &folder {
        None => "BAREWIRE_CORPUS does not name the corpus",
        Some(_) if !has_tshark => "tshark does not run",
        Some(_) => return folder,
    };
    assert!(std::env::var_os("BAREWIRE_REQUIRE_ALL").is_none(), "BAREWIRE_REQUIRE_ALL is set, but: {missing}");
    eprintln!("SKIPPED differential: {missing}");
    None
}

#[test]
fn whole_connections_are_put_together_as_tshark_does() {
    let Some(folder) = corpus() else { return };
    let captures = captures(&folder);
    assert!(captures.len() > 150, "only {} captures", captures.len());
    let mut tally = Tally::default();
    // One half each: most of the time is that of tshark's start.
    std::thread::scope(|scope| {
        let of_half = |half: usize| captures.iter().skip(half).step_by(2).map(|capture| compare(capture));
        let halves = [0, 1].map(|half| scope.spawn(move || of_half(half).collect::<Vec<Tally>>()));
        for half in halves {
            half.join().expect("no panic").into_iter().for_each(|other| tally.add(other));
        }
    });
    let Tally { compared, octets, with_gap, reused, ambiguous, of_one_alone, wrong } = tally;
    eprintln!(
        "{compared} connections of {} captures compared, {octets} octets; left out: {with_gap} with gaps, \
         {reused} on ports used again, {ambiguous} ambiguous, {of_one_alone} of tshark alone",
        captures.len()
    );
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 500, "only {compared} connections");
}
