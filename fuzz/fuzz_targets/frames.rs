//! Any frames of any link type through the engine: no panic, every frame accounted for.

#![no_main]

use arbitrary::Arbitrary;
use barewire::testing::{Captured, run_frames};
use barewire::wire::{LinkType, Timestamp};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    link: u8,
    frames: Vec<(u16, Vec<u8>)>,
}

const LINKS: [u16; 10] = [1, 0, 9, 12, 101, 108, 113, 228, 229, 276];

fuzz_target!(|input: Input| {
    let link_type = LinkType(LINKS[usize::from(input.link) % LINKS.len()]);
    let mut time = 0;
    let capture = |(later_ms, octets): (u16, Vec<u8>)| {
        time += u64::from(later_ms) * 1_000_000;
        Captured { time: Timestamp(time), link_type, octets }
    };
    let frames: Vec<Captured> = input.frames.into_iter().map(capture).collect();
    // Asserts that the counters balance.
    let (_, counters) = run_frames(&frames);
    assert_eq!(counters.frames, frames.len() as u64);
});
