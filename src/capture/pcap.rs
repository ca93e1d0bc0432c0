//! The classic capture file: a header of 24 octets, then records.
//!
//! Both byte orders, microseconds and nanoseconds, and the records with eight more octets that a Linux
//! patch of the nineties wrote. It leaves out the older variants of that patch, and the files before
//! version 2.3 that wrote the two lengths in the other order.

use super::source::Source;
use super::{MAX_RECORD, Record, Stop};

const FILE_HEADER: usize = 24;
const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// Alexey Kuznetzov's patch: interface, protocol and packet type follow the usual 16 octets.
const MODIFIED: u32 = 0xa1b2_cd34;

/// How the records of one file are read.
pub(super) struct Walk {
    big_endian: bool,
    link_type: u16,
    ns_per_fraction: u64,
    record_header: usize,
}

/// Is this the first word of such a file?
pub(super) fn detect(magic: [u8; 4]) -> bool {
    [MICROSECONDS, NANOSECONDS, MODIFIED].iter().any(|m| magic == m.to_be_bytes() || magic == m.to_le_bytes())
}

impl Walk {
    /// Reads the file header, whose magic [`detect`] has recognised.
    pub(super) fn open(source: &mut Source) -> Result<Self, Stop> {
        source.need(FILE_HEADER)?;
        let walk = Self::of(&source.peek());
        source.consume(FILE_HEADER);
        Ok(walk)
    }

    fn of(header: &[u8; FILE_HEADER]) -> Self {
        let magic = word(header, 0, true);
        let big_endian = [MICROSECONDS, NANOSECONDS, MODIFIED].contains(&magic);
        let magic = if big_endian { magic } else { magic.swap_bytes() };
        Self {
            big_endian,
            // The upper half tells the length of the frame check sequence, not the link type.
            link_type: (word(header, 20, big_endian) & 0xffff) as u16,
            ns_per_fraction: if magic == NANOSECONDS { 1 } else { 1000 },
            record_header: if magic == MODIFIED { 24 } else { 16 },
        }
    }

    /// Steps over the next record and says where its octets are.
    #[inline]
    pub(super) fn next(&self, source: &mut Source, record: &mut Record) -> Result<(), Stop> {
        source.begin(self.record_header)?;
        source.prefetch();
        let header: [u8; 16] = source.peek();
        let len = word(&header, 8, self.big_endian) as usize;
        if len > MAX_RECORD {
            return Err(Stop::lie(source.offset(), len as u64));
        }
        source.need(self.record_header + len)?;
        record.time = self.time(&header);
        record.start = source.pos() + self.record_header;
        record.len = len;
        record.original_len = word(&header, 12, self.big_endian);
        record.link_type = self.link_type;
        source.consume(self.record_header + len);
        Ok(())
    }

    /// No overflow: two 32-bit numbers, times a thousand million and a thousand at most. A fraction of
    /// more than a second is bogus and carries over.
    #[inline]
    fn time(&self, header: &[u8; 16]) -> u64 {
        let seconds = u64::from(word(header, 0, self.big_endian));
        let fraction = u64::from(word(header, 4, self.big_endian));
        seconds * 1_000_000_000 + fraction * self.ns_per_fraction
    }
}

/// A file of the last record alone, from the first and the last octets of a file, which are all of it if `is_whole`. See
/// [`super::last_time`].
pub(super) fn last_alone(head: &[u8], tail: &[u8], is_whole: bool) -> Option<Vec<u8>> {
    let file_header: &[u8; FILE_HEADER] = head.first_chunk()?;
    let Walk { big_endian, ns_per_fraction, record_header, .. } = Walk::of(file_header);
    // Where a record that begins there would end, if it can be one.
    let end = |at: usize| -> Option<usize> {
        let header: &[u8; 16] = tail.get(at..)?.first_chunk()?;
        let [fraction, len, original] = [4, 8, 12].map(|place| word(header, place, big_endian));
        // No packet is empty, and zeroes are no records.
        let is_one = u64::from(fraction) * ns_per_fraction < 1_000_000_000
            && (1..=MAX_RECORD).contains(&(len as usize))
            && len <= original;
        Some(at + record_header + len as usize).filter(|end| is_one && *end <= tail.len())
    };
    let starts = if is_whole { FILE_HEADER..FILE_HEADER + 1 } else { 0..tail.len() };
    // Where nothing leads to the end of the file: no place is looked at twice.
    let mut is_dead = vec![false; tail.len()];
    let last = starts.into_iter().find_map(|start| {
        let mut at = start;
        while !std::mem::replace(is_dead.get_mut(at)?, true) {
            match end(at) {
                Some(end) if end == tail.len() => return Some(at),
                Some(end) => at = end,
                None => return None,
            }
        }
        None
    })?;
    Some([&file_header[..], &tail[last..]].concat())
}

#[inline]
fn word<const N: usize>(octets: &[u8; N], at: usize, big_endian: bool) -> u32 {
    let word = u32::from_le_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]]);
    if big_endian { word.swap_bytes() } else { word }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test says where")]
mod tests {
    use crate::capture::testing::{Pcap, frames_of, problem_of};

    #[test]
    fn every_variant_gives_the_same_frames() {
        for big_endian in [false, true] {
            for magic in [super::MICROSECONDS, super::NANOSECONDS, super::MODIFIED] {
                let file = Pcap { big_endian, magic, ..Pcap::default() };
                let octets = file.write(&[(1, 2, b"one"), (3, 4, b"")]);
                let ns = if magic == super::NANOSECONDS { 1 } else { 1000 };
                let frames = frames_of(&octets);
                assert_eq!(frames.len(), 2, "{magic:x} {big_endian}");
                assert_eq!((frames[0].time, &frames[0].octets[..]), (1_000_000_000 + 2 * ns, &b"one"[..]));
                assert_eq!((frames[1].time, &frames[1].octets[..]), (3_000_000_000 + 4 * ns, &b""[..]));
                assert_eq!((frames[0].number, frames[1].number), (1, 2));
            }
        }
    }

    #[test]
    fn the_upper_half_of_the_network_field_is_no_link_type() {
        let file = Pcap { network: 0x5400_0001, ..Pcap::default() };
        assert_eq!(frames_of(&file.write(&[(1, 2, b"x")]))[0].link_type, 1);
    }

    #[test]
    fn bogus_fractions_and_the_last_second_do_not_overflow() {
        let octets = Pcap::default().write(&[(u32::MAX, u32::MAX, b"x")]);
        assert_eq!(frames_of(&octets)[0].time, u64::from(u32::MAX) * 1_000_001_000);
    }

    #[test]
    fn a_record_of_four_gib_is_a_lie_and_what_stands_before_is_kept() {
        let mut octets = Pcap::default().write(&[(1, 2, b"one"), (3, 4, b"two")]);
        octets[24 + 16 + 3 + 8..][..4].fill(0xff);
        assert_eq!(frames_of(&octets).len(), 1);
        let problem = problem_of(&octets).unwrap();
        assert_eq!(problem.offset, Some(43));
        assert_eq!(problem.what, "record claims 4294967295 octets; the rest of the file is unreadable");
    }

    #[test]
    fn the_largest_record_is_read() {
        let large = vec![7; crate::capture::MAX_RECORD];
        let octets = Pcap::default().write(&[(1, 2, &large), (1, 3, b"after")]);
        assert_eq!(frames_of(&octets).len(), 2);
        assert_eq!(problem_of(&octets), None);
    }
}
