//! What two ends may say to each other, as a proper connection through the engine: no panic, every frame accounted
//! for; the same dialogue cut octet by octet, or with a packet lost, neither.

#![no_main]

use arbitrary::Arbitrary;
use barewire::testing::{Link, Random, Speaker, Transcript, run, shake};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    port: u8,
    isn: [u32; 2],
    segment: u8,
    is_midstream: bool,
    only: Option<bool>,
    turns: Vec<(bool, Vec<u8>)>,
    /// What the network does, none when 0.
    shaking: u16,
}

const PORTS: [u16; 11] = [110, 143, 25, 587, 4242, 993, 995, 465, 24, 119, 4190];

fuzz_target!(|input: Input| {
    let speaker = |is_client: bool| if is_client { Speaker::Client } else { Speaker::Server };
    let port = PORTS[usize::from(input.port) % PORTS.len()];
    let silent = Transcript::new(port).isn(input.isn[0], input.isn[1]).segment(usize::from(input.segment) * 6);
    let mut transcript =
        input.turns.iter().fold(silent, |transcript, (is_client, said)| transcript.say(speaker(*is_client), said));
    if input.is_midstream {
        transcript = transcript.midstream();
    }
    if let Some(is_client) = input.only {
        transcript = transcript.only(speaker(is_client));
    }
    let mut packets = transcript.play();
    if input.shaking > 0 {
        let mut random = Random::new(u64::from(input.shaking));
        packets = shake::duplicate(&shake::reorder(&packets, 5, &mut random), 10, &mut random);
        if packets.len() > 4 && random.chance(50) {
            packets.remove(random.below(packets.len()));
        }
    }
    let (_, counters) = run(&packets, Link::Raw);
    assert_eq!(counters.segments, packets.len() as u64);
});
