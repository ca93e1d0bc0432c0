//! snoop, the capture file of Solaris (RFC 1761), on Ethernet. It leaves out other data links.

use super::source::Source;
use super::{MAX_RECORD, Record, Stop};

/// RFC 1761, "File Format": eight octets in front of every file.
pub(super) const MAGIC: [u8; 8] = *b"snoop\0\0\0";

const RECORD_HEADER: usize = 24;
/// Padding aligns a record and no more; some writers leave room, none leaves this much.
const MAX_PADDING: u32 = 64 * 1024;
/// RFC 1761 counts data links in its own way: 0 is IEEE 802.3 and 4 Ethernet.
const ETHERNET: [u32; 2] = [0, 4];

/// The records, one after the other.
pub(super) struct Walk {
    /// Padding of the last record, still to be stepped over, and where that began.
    padding: u64,
    record: u64,
}

impl Walk {
    pub(super) fn open(source: &mut Source) -> Result<Self, Stop> {
        source.need(16)?;
        let header: [u8; 16] = source.peek();
        let (version, link) = (word(&header, 8), word(&header, 12));
        if version != 2 || !ETHERNET.contains(&link) {
            let what =
                format!("snoop file of version {version}, data link {link}: only version 2 on Ethernet (4) is read");
            return Err(Stop::fault(0, what));
        }
        source.consume(16);
        Ok(Self { padding: 0, record: 0 })
    }

    /// Steps over the next record and says where its octets are.
    pub(super) fn next(&mut self, source: &mut Source, record: &mut Record) -> Result<(), Stop> {
        source.skip(self.padding, self.record)?;
        self.padding = 0;
        source.begin(RECORD_HEADER)?;
        self.record = source.offset();
        let header: [u8; RECORD_HEADER] = source.peek();
        let (len, record_len) = (word(&header, 4), word(&header, 8));
        if len as usize > MAX_RECORD {
            return Err(Stop::lie(self.record, u64::from(len)));
        }
        let padding = record_len.checked_sub(RECORD_HEADER as u32 + len);
        let Some(padding) = padding.filter(|padding| *padding <= MAX_PADDING) else {
            return Err(Stop::lie(self.record, u64::from(record_len)));
        };
        source.need(RECORD_HEADER + len as usize)?;
        let start = source.pos() + RECORD_HEADER;
        source.consume(RECORD_HEADER + len as usize);
        self.padding = u64::from(padding);
        let time = u64::from(word(&header, 16)) * 1_000_000_000 + u64::from(word(&header, 20)) * 1000;
        *record = Record { time, start, len: len as usize, original_len: word(&header, 0), link_type: 1 };
        Ok(())
    }
}

fn word<const N: usize>(octets: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test says where")]
mod tests {
    use super::MAGIC;
    use crate::capture::testing::{frames_of, problem_of};

    fn file(link: u32, records: &[&[u32]], data: &[u8]) -> Vec<u8> {
        let mut octets = MAGIC.to_vec();
        octets.extend([2, link].iter().flat_map(|w| w.to_be_bytes()));
        for record in records {
            octets.extend(record.iter().flat_map(|w| w.to_be_bytes()));
            octets.extend(data);
        }
        octets
    }

    #[test]
    fn records_with_padding() {
        let octets = file(4, &[&[9, 3, 28, 0, 5, 6], &[3, 3, 28, 0, 7, 8]], b"abc\0");
        let frames = frames_of(&octets);
        assert_eq!(frames.len(), 2);
        assert_eq!((frames[0].time, frames[0].original_len), (5_000_006_000, 9));
        assert_eq!((&frames[1].octets[..], frames[1].link_type), (&b"abc"[..], 1));
        assert_eq!(problem_of(&octets), None);
    }

    #[test]
    fn lengths_that_lie_and_links_that_are_not_ethernet() {
        assert!(problem_of(&file(8, &[], b"")).unwrap().what.contains("data link 8"));
        for record in [[3, u32::MAX, 28, 0, 5, 6], [3, 3, 20, 0, 5, 6], [3, 3, u32::MAX, 0, 5, 6]] {
            let problem = problem_of(&file(4, &[&record], b"abc\0")).unwrap();
            assert!(problem.what.contains("claims"), "{problem}");
            assert_eq!(problem.offset, Some(16));
        }
    }
}
