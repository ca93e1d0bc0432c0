//! What steps tell each other beside packets: what was left out of a capture, and the records of a partition. Compressed
//! with zstd; numbers as in [`crate::finding::SERIAL_VERSION`]'s form.
//!
//! A file that is cut off, or holds what was never written, is an error and not less.

use super::damaged;
use super::frames::{FrameReader, FrameWriter, Sum};
use crate::engine::{Extent, LeftOut};
use crate::finding::{Record, SERIAL_VERSION, varint};
use crate::stream::{FlowKey, Side};
use crate::wire::{Endpoint, Timestamp};
use std::io::{self, Read, Write};

const LEFT_OUT: &[u8; 8] = b"BWleft\x02\n";
const RECORDS: &[u8; 8] = b"BWrec\x00\x01\n";

/// What each entry of what was left out begins with: the end, or how much that is.
const END: u8 = 0;
const EXTENTS: [(u8, Extent); 3] = [(1, Extent::Silent), (2, Extent::Rest), (3, Extent::Whole)];

/// Octets of one record: far more than the longest texts come to.
const MOST_RECORD: u64 = 1 << 20;

/// Of connections of which packets were left out.
pub struct LeftOutWriter<W: Write> {
    out: FrameWriter<W>,
    /// What was written last.
    before: [u64; 2],
    entry: Vec<u8>,
}

impl<W: Write> LeftOutWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn new(out: W) -> io::Result<Self> {
        let mut out = FrameWriter::new(out)?;
        out.write_all(LEFT_OUT)?;
        Ok(Self { out, before: [0; 2], entry: Vec::with_capacity(64) })
    }

    /// Adds one; they come in the order of their packets.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn push(&mut self, left_out: &LeftOut) -> io::Result<()> {
        let LeftOut { key, extent, after, since, until } = left_out;
        let [number, clock] = &mut self.before;
        let entry = &mut self.entry;
        entry.clear();
        entry.extend(EXTENTS.iter().find(|(_, known)| known == extent).map(|(tag, _)| *tag));
        varint::append(after.wrapping_sub(*number), entry);
        varint::append(since.0.wrapping_sub(*clock), entry);
        varint::append(until.since(*since), entry);
        for side in [Side::A, Side::B] {
            let end = key.endpoint(side);
            entry.extend_from_slice(&{ end.address }.to_le_bytes());
            entry.extend_from_slice(&{ end.port }.to_le_bytes());
        }
        (*number, *clock) = (*after, since.0);
        self.out.write_all(entry)
    }

    /// Ends it, and gives back what it was written to, and what came of it.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn finish(mut self) -> io::Result<(W, Sum)> {
        self.out.write_all(&[END])?;
        self.out.finish()
    }
}

/// What was left out of one capture, in the order of its packets.
pub struct LeftOutReader {
    input: Input,
    before: [u64; 2],
}

impl LeftOutReader {
    /// Reads what `input` holds.
    ///
    /// # Errors
    ///
    /// It does not begin as such files do.
    pub fn new(input: Box<dyn Read + Send>) -> io::Result<Self> {
        Ok(Self { input: Input::new(input, LEFT_OUT, "it does not tell what was left out")?, before: [0; 2] })
    }

    /// The next; `None` at the end.
    ///
    /// # Errors
    ///
    /// It cannot be read, or holds what such a file does not.
    pub fn next_one(&mut self) -> io::Result<Option<LeftOut>> {
        let [tag] = self.input.octets()?;
        if tag == END {
            return self.input.ended().map(|()| None);
        }
        let extent = EXTENTS.iter().find(|(known, _)| *known == tag).map(|(_, extent)| *extent);
        let extent = extent.ok_or_else(|| damaged("it holds something else"))?;
        let [number, clock] = &mut self.before;
        let overflow = || damaged("numbers that no capture has");
        *number = number.checked_add(self.input.number()?).ok_or_else(overflow)?;
        *clock = clock.checked_add(self.input.number()?).ok_or_else(overflow)?;
        let until = clock.checked_add(self.input.number()?).ok_or_else(overflow)?;
        let mut end = || -> io::Result<Endpoint> {
            let address = u128::from_le_bytes(self.input.octets()?);
            Ok(Endpoint { address, port: u16::from_le_bytes(self.input.octets()?) })
        };
        let key = FlowKey::between(end()?, end()?).0;
        Ok(Some(LeftOut { key, extent, after: *number, since: Timestamp(*clock), until: Timestamp(until) }))
    }

    /// What was read so far.
    #[must_use]
    pub fn sum(&self) -> Sum {
        self.input.0.sum()
    }
}

/// Records of a partition, in the order in which they came to light.
pub struct RecordWriter<W: Write> {
    out: FrameWriter<W>,
    clock: u64,
    /// Records so far.
    pub records: u64,
    entry: Vec<u8>,
    head: Vec<u8>,
}

impl<W: Write> RecordWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn new(out: W) -> io::Result<Self> {
        let mut out = FrameWriter::new(out)?;
        out.write_all(RECORDS)?;
        out.write_all(&SERIAL_VERSION.to_le_bytes())?;
        Ok(Self { out, clock: 0, records: 0, entry: Vec::new(), head: Vec::new() })
    }

    /// Adds a record that came to light when the capture had come to `clock`.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn push(&mut self, record: &Record, clock: Timestamp) -> io::Result<()> {
        self.entry.clear();
        varint::append(clock.0.saturating_sub(self.clock), &mut self.entry);
        self.clock = self.clock.max(clock.0);
        record.write(&mut self.entry);
        self.head.clear();
        varint::append(self.entry.len() as u64, &mut self.head);
        self.records += 1;
        self.out.write_all(&self.head)?;
        self.out.write_all(&self.entry)
    }

    /// Ends it, and gives back what it was written to, and what came of it.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn finish(mut self) -> io::Result<(W, Sum)> {
        self.out.write_all(&[0])?;
        self.out.finish()
    }
}

/// Reads the records of a partition.
pub struct RecordReader {
    input: Input,
    clock: u64,
    entry: Vec<u8>,
}

impl RecordReader {
    /// Reads what `input` holds.
    ///
    /// # Errors
    ///
    /// It does not begin as such files do, or another version of this program wrote it.
    pub fn new(input: Box<dyn Read + Send>) -> io::Result<Self> {
        let mut input = Input::new(input, RECORDS, "it holds no records")?;
        if u32::from_le_bytes(input.octets()?) != SERIAL_VERSION {
            return Err(damaged("another version of barewire has written it"));
        }
        Ok(Self { input, clock: 0, entry: Vec::new() })
    }

    /// The next, and how far the capture had come; `None` at the end.
    ///
    /// # Errors
    ///
    /// It cannot be read, or holds what such a file does not.
    pub fn next_one(&mut self) -> io::Result<Option<(Timestamp, Record)>> {
        let len = self.input.number()?;
        if len == 0 {
            return self.input.ended().map(|()| None);
        }
        if len > MOST_RECORD {
            return Err(damaged("a record of an impossible length"));
        }
        self.entry.resize(len as usize, 0);
        self.input.0.fill(&mut self.entry)?;
        let mut rest = &self.entry[..];
        let clock = number(|| rest.split_off_first().copied().ok_or_else(|| damaged("a record that is none")))?;
        self.clock = self.clock.checked_add(clock).ok_or_else(|| damaged("numbers that no capture has"))?;
        let record = Record::read(rest).ok_or_else(|| damaged("a record that is none"))?;
        Ok(Some((Timestamp(self.clock), record)))
    }

    /// What was read so far.
    #[must_use]
    pub fn sum(&self) -> Sum {
        self.input.0.sum()
    }
}

/// What is read octet by octet.
struct Input(FrameReader);

impl Input {
    fn new(input: Box<dyn Read + Send>, magic: &[u8; 8], otherwise: &str) -> io::Result<Self> {
        let mut input = Self(FrameReader::new(input)?);
        if input.octets()? == *magic { Ok(input) } else { Err(damaged(otherwise)) }
    }

    fn octets<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut octets = [0; N];
        self.0.fill(&mut octets)?;
        Ok(octets)
    }

    fn number(&mut self) -> io::Result<u64> {
        number(|| self.octets().map(|[octet]| octet))
    }

    /// Nothing stands behind the end.
    fn ended(&mut self) -> io::Result<()> {
        match self.0.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(damaged("something stands behind its end")),
        }
    }
}

fn number(octet: impl FnMut() -> io::Result<u8>) -> io::Result<u64> {
    varint::read(octet)?.ok_or_else(|| damaged("a number that has no end"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test says where")]
mod tests {
    use super::*;
    use crate::finding::Finding;
    use crate::mail::Reason;
    use crate::wire::PacketRef;
    use proptest::prelude::*;

    fn all_left_out(octets: Vec<u8>) -> io::Result<Vec<LeftOut>> {
        let mut reader = LeftOutReader::new(Box::new(io::Cursor::new(octets)))?;
        std::iter::from_fn(|| reader.next_one().transpose()).collect()
    }

    fn all_records(octets: Vec<u8>) -> io::Result<Vec<(Timestamp, Record)>> {
        let mut reader = RecordReader::new(Box::new(io::Cursor::new(octets)))?;
        std::iter::from_fn(|| reader.next_one().transpose()).collect()
    }

    fn left_out() -> Vec<LeftOut> {
        let end = |address, port| Endpoint { address, port };
        let one = |at: u64| LeftOut {
            key: FlowKey::between(end(u128::from(at), 9), end(u128::MAX, 80)).0,
            extent: EXTENTS[at as usize % 3].1,
            after: at * at,
            since: Timestamp(at << 40),
            until: Timestamp((at << 40) + at),
        };
        (0..30).map(one).collect()
    }

    fn records() -> Vec<(Timestamp, Record)> {
        let one = |at: u64| {
            let packet = PacketRef { time: Timestamp(at), input: 1, number: at };
            (Timestamp(at << 30), Record::Finding(Box::new(Finding::coverage_gap(packet, Reason::Gap))))
        };
        (0..30).map(one).collect()
    }

    fn written() -> [Vec<u8>; 2] {
        let mut first = LeftOutWriter::new(Vec::new()).unwrap();
        left_out().iter().for_each(|one| first.push(one).unwrap());
        let mut second = RecordWriter::new(Vec::new()).unwrap();
        records().iter().for_each(|(clock, record)| second.push(record, *clock).unwrap());
        [first.finish().unwrap().0, second.finish().unwrap().0]
    }

    #[test]
    fn what_was_written_is_read() {
        let [first, second] = written();
        assert_eq!(all_left_out(first).unwrap(), left_out());
        assert_eq!(all_records(second).unwrap(), records());
    }

    #[test]
    fn every_cut_is_told() {
        for (is_first, whole) in [true, false].into_iter().zip(written()) {
            let plain = zstd::decode_all(&whole[..]).unwrap();
            for cut in 0..plain.len() {
                let packed = zstd::encode_all(&plain[..cut], 1).unwrap();
                assert!(if is_first { all_left_out(packed).is_err() } else { all_records(packed).is_err() }, "{cut}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_octets_bring_it_down(octets: Vec<u8>, at: prop::sample::Index, octet: u8) {
            drop((all_left_out(octets.clone()), all_records(octets.clone())));
            for whole in written() {
                let mut plain = zstd::decode_all(&whole[..]).unwrap();
                let place = at.index(plain.len());
                plain[place] = octet;
                let packed = zstd::encode_all(&plain[..], 1).unwrap();
                drop((all_left_out(packed.clone()), all_records(packed)));
            }
        }
    }
}
