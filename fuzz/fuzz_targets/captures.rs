//! Any octets as a capture file: no panic, an end, frames within their bounds.

#![no_main]

use barewire::capture::{Access, FileSet, MAX_RECORD};
use barewire::engine::Engine;
use barewire::testing::settings;
use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;

/// One file of this process, written anew for each input: the reader takes paths only.
static PATH: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
    folder.join(format!("barewire-fuzz-{}", std::process::id()))
});

fuzz_target!(|octets: &[u8]| {
    // A new file each time: the one before may still be mapped.
    let _ = std::fs::remove_file(&*PATH);
    std::fs::write(&*PATH, octets).expect("a file for the input");
    let open = |access| FileSet::open(std::slice::from_ref(&*PATH), access);
    let mut engine = Engine::new(settings());
    let mut records = Vec::new();
    let mut files = open(Access::Map);
    while let Some(frame) = files.next_frame() {
        assert!(frame.octets.len() <= MAX_RECORD);
        engine.push(&frame, &mut records);
    }
    engine.finish(&mut records);
    assert!(engine.counters().is_balanced());
    let mut together = Engine::new(settings());
    let mut files = open(Access::Read);
    while let Some(frames) = files.next_frames() {
        together.push_all(frames.iter(), &mut records);
    }
    together.finish(&mut records);
    assert_eq!(together.counters(), engine.counters());
    let _ = std::fs::remove_file(&*PATH);
});
