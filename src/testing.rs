//! Helpers for this crate's own tests and benches; not part of its interface.

use crate::capture::FileSet;
use crate::engine::{Counters, Engine, Ports, Settings};
use crate::finding::Record;
use crate::limits::Limits;
use crate::secret::FingerprintKey;
use std::path::PathBuf;

/// Settings with a fixed fingerprint key.
#[must_use]
pub fn settings() -> Settings {
    Settings { limits: Limits::default(), ports: Ports::default(), key: FingerprintKey::new(&[7; 32]) }
}

/// All records of the files, read as one capture, and what was counted.
#[must_use]
pub fn replay(paths: &[PathBuf]) -> (Vec<Record>, Counters) {
    let mut files = FileSet::open(paths);
    let mut engine = Engine::new(settings());
    let mut records = Vec::new();
    while let Some(frame) = files.next_frame() {
        engine.push(&frame, &mut records);
    }
    engine.finish(&mut records);
    assert!(engine.counters().is_balanced(), "every frame is a segment or skipped for a reason");
    (records, *engine.counters())
}
