//! What flows cost: a million of no interest, mail after its login, a flood of SYNs, a million with an open hole each,
//! and mail that has its octets held. In every phase one real login begins before and ends after; it must be found, and
//! the process stays within the memory that connections are allowed.
//!
//! Each phase runs in a process of its own, so that one does not reuse what another freed. By default a fiftieth of
//! the full numbers; all of them, with what each phase took:
//!
//! ```text
//! BAREWIRE_MEMORY_PERCENT=100 cargo test --release --test memory -- --nocapture
//! ```

#![allow(clippy::print_stderr, reason = "what was measured is told")]

use barewire::engine::Engine;
use barewire::finding::Record;
use barewire::limits::Limits;
use barewire::mail::Outcome;
use barewire::testing::{Captured, Link, PUSH, Packet, Speaker, Transcript, settings};
use barewire::wire::{Endpoint, Flags, Timestamp};
use std::process::Command;

const PHASE: &str = "BAREWIRE_MEMORY_PHASE";

/// Flows, and octets that each may take at most, the peak's included.
struct Phase {
    name: &'static str,
    flows: u64,
    most: u64,
    run: fn(&mut Sensor, u64),
}

const PHASES: [Phase; 5] = [
    Phase { name: "no interest", flows: 1_000_000, most: 90, run: no_interest },
    Phase { name: "mail after its login", flows: 200_000, most: 1536, run: mail },
    // Nearly nothing: a tenth of the table may hold flows of which only a SYN was seen.
    Phase { name: "bare SYNs", flows: 10_000_000, most: 5, run: syns },
    Phase { name: "an open hole", flows: 1_000_000, most: 256, run: holes },
    // More than fit.
    Phase { name: "a line without an end", flows: 50_000, most: 100_000, run: endless },
];

/// What does not grow with flows: tables at their smallest, what the allocator keeps.
const FIXED: u64 = 2 << 20;

fn percent() -> u64 {
    std::env::var("BAREWIRE_MEMORY_PERCENT").map_or(2, |percent| percent.parse().expect("a number"))
}

/// Octets that connections may take.
fn allowed() -> u64 {
    Limits::default().octets as u64 * percent() / 100
}

/// An engine with what it found; frames are made one at a time, so that they cost nothing.
struct Sensor {
    engine: Engine,
    records: Vec<Record>,
    number: u64,
    logins: u64,
    accepted: Vec<String>,
}

impl Sensor {
    fn new() -> Self {
        let mut settings = settings();
        settings.limits = Limits::of_memory(allowed() as usize);
        Self { engine: Engine::new(settings), records: Vec::new(), number: 0, logins: 0, accepted: Vec::new() }
    }

    /// A microsecond after the last.
    fn push(&mut self, packet: &Packet) {
        self.number += 1;
        let time = Timestamp(1_700_000_000_000_000_000 + self.number * 1000);
        let captured = Captured { time, link_type: Link::Raw.link_type(), octets: packet.octets(Link::Raw) };
        self.engine.push(&captured.frame(self.number, time), &mut self.records);
        self.note();
    }

    fn note(&mut self) {
        for record in self.records.drain(..) {
            let Record::Login(login) = record else { continue };
            self.logins += 1;
            if login.outcome == Outcome::Accepted {
                let name = login.user.as_ref().map_or("", |user| user.as_str());
                if name == "alice" {
                    self.accepted.push(name.to_owned());
                }
            }
        }
    }

    fn finish(&mut self) {
        self.engine.finish(&mut self.records);
        self.note();
    }
}

/// Ends that no other flow has.
fn ends(number: u64, port: u16) -> (Endpoint, Endpoint) {
    let client = Endpoint { address: Endpoint::v4(0x0a00_0000 + number as u32), port: 1024 + (number % 60_000) as u16 };
    (client, Endpoint { address: Endpoint::v4(0xc633_6400 + number as u32 % 250), port })
}

fn between(packets: &[Packet], number: u64) -> impl Iterator<Item = Packet> + '_ {
    let server = packets[0].destination;
    let (client, other) = ends(number, server.port);
    packets.iter().map(move |packet| {
        let mut packet = packet.clone();
        let is_of_server = packet.source == server;
        (packet.source, packet.destination) = if is_of_server { (other, client) } else { (client, other) };
        packet
    })
}

fn no_interest(sensor: &mut Sensor, flows: u64) {
    let hello = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03made-up";
    let packets = Transcript::new(443).unfinished().say(Speaker::Client, hello).play();
    for number in 0..flows {
        between(&packets, number).for_each(|packet| sensor.push(&packet));
    }
}

fn mail(sensor: &mut Sensor, flows: u64) {
    let text = "S: +OK ready\nC: USER bob\nS: +OK\nC: PASS made-up\nS: +OK in\nC: STAT\nS: +OK 0 0";
    let packets = Transcript::parse(110, text).unfinished().play();
    for number in 0..flows {
        between(&packets, number).for_each(|packet| sensor.push(&packet));
    }
    assert_eq!(sensor.logins, flows, "every login is told");
}

fn syns(sensor: &mut Sensor, flows: u64) {
    let syn = Transcript::new(110).play().remove(0);
    for number in 0..flows {
        between(std::slice::from_ref(&syn), number).for_each(|packet| sensor.push(&packet));
    }
}

/// The greeting, and a command whose beginning is missing.
fn holes(sensor: &mut Sensor, flows: u64) {
    let mut packets = Transcript::parse(110, "S: +OK ready\nC: CAPA").unfinished().play();
    packets.pop();
    let last = packets.last_mut().expect("the command");
    last.seq = last.seq.wrapping_add(100);
    assert_eq!(last.flags, Flags::ACK | PUSH);
    for number in 0..flows {
        between(&packets, number).for_each(|packet| sensor.push(&packet));
    }
}

/// A line of nearly 64 KiB, which IMAP allows, and no end of it.
fn endless(sensor: &mut Sensor, flows: u64) {
    let line = [&b"a1 "[..], &[b'x'; 60_000]].concat();
    let packets = Transcript::parse(143, "S: * OK ready").unfinished().say(Speaker::Client, &line).segment(1400).play();
    for number in 0..flows {
        between(&packets, number).for_each(|packet| sensor.push(&packet));
    }
}

/// A line of the kernel's account of this process, in octets.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
    1024 * line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().expect("kilobytes")
}

/// The phase that the environment names; without, nothing.
#[test]
fn one_phase() {
    let Ok(name) = std::env::var(PHASE) else { return };
    let phase = PHASES.iter().find(|phase| phase.name == name).expect("a phase");
    let flows = phase.flows * percent() / 100;
    let text = "S: +OK ready\nC: USER alice\nS: +OK\nC: PASS made-up-too\nS: +OK in";
    let login = Transcript::parse(110, text).play();
    let mut sensor = Sensor::new();
    login[..7].iter().for_each(|packet| sensor.push(packet));
    let before = status("VmRSS:");
    (phase.run)(&mut sensor, flows);
    let (resident, peak) = (status("VmRSS:"), status("VmHWM:"));
    login[7..].iter().for_each(|packet| sensor.push(packet));
    sensor.finish();
    let grown = peak.saturating_sub(before);
    let each = grown / flows;
    let mib = |octets: u64| octets / (1 << 20);
    eprintln!(
        "{name}: {flows} flows, {} MiB resident, {} MiB at peak, {each} octets a flow, {} MiB allowed\n  {:?}",
        mib(resident),
        mib(peak),
        mib(allowed()),
        sensor.engine.counters()
    );
    assert_eq!(sensor.accepted, ["alice"], "the login around it all");
    let most = (FIXED + flows * phase.most).min(allowed());
    assert!(grown <= most, "grown by {} octets, {most} at most", grown);
}

#[test]
fn memory_stays_within_its_bounds_in_every_phase() {
    let mut failed = Vec::new();
    for phase in &PHASES {
        let output = Command::new(std::env::current_exe().expect("this program"))
            .args(["one_phase", "--exact", "--nocapture"])
            .env(PHASE, phase.name)
            .output()
            .expect("it runs again");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        eprint!("{told}");
        if !output.status.success() {
            failed.push(format!("{}: {told}", phase.name));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
