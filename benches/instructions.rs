//! What `scripts/instructions` counts the instructions of: one scenario through an engine, or its records as JSON.
//!
//! Only what runs inside of a function whose name says `measured` is counted. Nothing that such a function calls may be
//! named so too, a closure in it included: it would end the counting.

#![allow(clippy::print_stdout, reason = "this is a program that prints")]

mod traffic;

use barewire::engine::Engine;
use barewire::finding::{Collected, Record};
use barewire::output::{Encoder, Event, Inputs};
use barewire::testing::{Captured, collect, run_frames, settings};
use traffic::{numbered, scenario};

const COUNTED: [&str; 6] = ["other", "mix", "mail", "logins", "syns", "records"];

/// Prints how many packets, or records, were worked on; without the name of a scenario, the names.
fn main() {
    let name = std::env::args().skip(1).find(|argument| COUNTED.contains(&argument.as_str()));
    match name.as_deref() {
        None => println!("{}", COUNTED.join("\n")),
        Some("records") => println!("{}", write()),
        Some(name) => println!("{}", replay(name)),
    }
}

fn replay(name: &str) -> usize {
    let frames = scenario(name).expect("a scenario");
    let mut engine = Engine::new(settings());
    let mut records = Vec::new();
    measured_replay(&frames, &mut engine, &mut records);
    assert!(engine.counters().is_balanced(), "{name}: {:?}", engine.counters());
    frames.len()
}

#[inline(never)]
fn measured_replay(frames: &[Captured], engine: &mut Engine, records: &mut Vec<Record>) {
    engine.push_all(numbered(frames), records);
    engine.finish(records);
}

fn write() -> usize {
    let (records, _) = run_frames(&scenario("logins").expect("a scenario"));
    let findings = collect(&records);
    let mut encoder = Encoder::new(Inputs { names: vec!["input.pcap".to_owned()], is_live: false, sensor: None });
    measured_write(&findings, &records, &mut encoder, &mut Vec::new());
    findings.len() + records.iter().filter(|record| !matches!(record, Record::Finding(_))).count()
}

#[inline(never)]
fn measured_write(findings: &[Collected], records: &[Record], encoder: &mut Encoder, lines: &mut Vec<u8>) {
    for finding in findings {
        encoder.encode(&Event::Finding(finding), lines);
        lines.clear();
    }
    for record in records {
        match record {
            Record::Login(login) => encoder.encode(&Event::Login(login), lines),
            Record::Session(session) => encoder.encode(&Event::Session(session), lines),
            // Written when it is counted, above.
            Record::Finding(_) => {}
        }
        lines.clear();
    }
}
