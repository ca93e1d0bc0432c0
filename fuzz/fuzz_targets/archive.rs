//! Any octets as a file between the steps of an archive: no panic, an end, what is read within its bounds and in its
//! order, and records that come out again as they went in.

#![no_main]

use barewire::archive::facts::{LeftOutReader, LeftOutWriter, RecordReader, RecordWriter};
use barewire::archive::parts::{PartReader, PartWriter};
use barewire::capture::MAX_RECORD;
use barewire::wire::Timestamp;
use libfuzzer_sys::fuzz_target;
use std::io::{Cursor, Read};

/// As the readers take them: the form inside is what is tried, not zstd.
fn compressed(octets: &[u8]) -> Box<dyn Read + Send> {
    Box::new(Cursor::new(zstd::encode_all(octets, -10).expect("octets in memory")))
}

fn packets(octets: &[u8]) {
    let Ok(mut part) = PartReader::new(compressed(octets), 0) else { return };
    let mut again = PartWriter::new(Vec::new(), "again").expect("memory");
    let mut seen: Vec<(u64, Timestamp, Vec<u8>)> = Vec::new();
    while let Ok(true) = part.step() {
        let frame = part.frame();
        assert!(frame.octets.len() <= MAX_RECORD);
        assert!(seen.last().is_none_or(|(number, clock, ..)| *number < frame.at.number && *clock <= frame.clock));
        // A writer is given no time ahead of the clock.
        assert!(frame.at.time <= frame.clock);
        again.push(&frame).expect("memory");
        seen.push((frame.at.number, frame.clock, frame.octets.to_vec()));
    }
    let again = again.finish().expect("memory").0;
    let mut part = PartReader::new(Box::new(Cursor::new(again)), 0).expect("a part");
    for (number, clock, octets) in seen {
        assert!(part.step().expect("what was written"));
        assert_eq!((part.frame().at.number, part.frame().clock, part.frame().octets), (number, clock, &octets[..]));
    }
    assert!(!part.step().expect("its end"));
}

fn left_out(octets: &[u8]) {
    let Ok(mut reader) = LeftOutReader::new(compressed(octets)) else { return };
    let mut again = LeftOutWriter::new(Vec::new()).expect("memory");
    let mut seen = Vec::new();
    while let Ok(Some(one)) = reader.next_one() {
        again.push(&one).expect("memory");
        seen.push(one);
    }
    let again = again.finish().expect("memory").0;
    let mut reader = LeftOutReader::new(Box::new(Cursor::new(again))).expect("its beginning");
    for one in seen {
        assert_eq!(reader.next_one().expect("what was written"), Some(one));
    }
}

fn records(octets: &[u8]) {
    let read = |input| -> Option<Vec<u8>> {
        let mut reader = RecordReader::new(input).ok()?;
        let mut again = RecordWriter::new(Vec::new()).expect("memory");
        while let Ok(Some((clock, record))) = reader.next_one() {
            again.push(&record, clock).expect("memory");
        }
        Some(again.finish().expect("memory").0)
    };
    let Some(once) = read(compressed(octets)) else { return };
    let twice = read(Box::new(Cursor::new(once.clone()))).expect("what was written");
    assert!(once == twice, "records come out as they went in");
}

fuzz_target!(|input: &[u8]| {
    let Some((kind, octets)) = input.split_first() else { return };
    match kind % 3 {
        0 => packets(octets),
        1 => left_out(octets),
        _ => records(octets),
    }
});
