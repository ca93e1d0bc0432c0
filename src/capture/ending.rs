//! How far a capture goes, without reading it: its last packet is looked for from the end.

use super::{FileSet, MAX_RECORD, pcap, pcapng};
use crate::wire::Timestamp;
use std::io::{self, Cursor};

/// Octets at the beginning of a file in which what all packets need is looked for: byte order, interfaces.
const HEAD: usize = 64 * 1024;
/// And at its end: wherever the last packets begin, one of them begins here.
const TAIL: usize = 2 * MAX_RECORD + HEAD;

/// The time of the last packet of a capture of so many octets, of which `read` gives those from an offset on, so many.
///
/// `None`: it is not found so, as in what is compressed or cut off, in snoop, and where the last packet has no time. Classic
/// captures have nothing that leads backwards, so in a long one records are looked for that follow each other up to the
/// end, and of pcapng it is believed that all is one section if its end is. Packets could be made to hold what looks
/// like records: good for people to know, not to decide by.
///
/// # Errors
///
/// Those of `read`.
pub fn last_time(
    octets: u64,
    mut read: impl FnMut(u64, usize) -> io::Result<Vec<u8>>,
) -> io::Result<Option<Timestamp>> {
    // An object store is not asked for nothing.
    if octets == 0 {
        return Ok(None);
    }
    let head = read(0, octets.min(HEAD as u64) as usize)?;
    let Some(magic) = head.first_chunk::<4>().copied() else { return Ok(None) };
    if !pcap::detect(magic) && magic != pcapng::SECTION_HEADER {
        return Ok(None);
    }
    let start = octets.saturating_sub(TAIL as u64);
    let tail = read(start, (octets - start) as usize)?;
    let lone = if magic == pcapng::SECTION_HEADER {
        pcapng::last_alone(&head, &tail, start == 0)
    } else {
        pcap::last_alone(&head, &tail, start == 0)
    };
    let time = |file| FileSet::of_reader("", Box::new(Cursor::new(file))).next_frame().map(|frame| frame.at.time);
    Ok(lone.and_then(time))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test says where")]
mod tests {
    use super::*;
    use crate::capture::testing::{Ng, Pcap, frames_of};
    use proptest::prelude::*;

    fn last(file: &[u8]) -> Option<u64> {
        let part = |from: u64, len: usize| Ok(file[from as usize..from as usize + len].to_vec());
        last_time(file.len() as u64, part).unwrap().map(|time| time.0)
    }

    fn records(count: u32, octets: &[u8]) -> Vec<(u32, u32, &[u8])> {
        (0..count).map(|at| (1000 + at, at % 1_000_000, octets)).collect()
    }

    #[test]
    fn the_last_packet_of_short_and_long_captures_is_found() {
        for count in [1, 2, 3000] {
            for (big_endian, magic) in [(false, 0xa1b2_c3d4), (true, 0xa1b2_3c4d), (false, 0xa1b2_cd34)] {
                let file = Pcap { big_endian, magic, ..Pcap::default() }.write(&records(count, &[0x55; 1000]));
                let want = frames_of(&file).last().map(|frame| frame.time);
                assert!(want.is_some());
                assert_eq!(last(&file), want, "{count} {magic:x}");
                assert_eq!(last(&file[..file.len() - 1]), None, "it is cut off");
            }
        }
        let zeroes = Pcap::default().write(&records(3000, &[0; 1000]));
        assert_eq!(last(&zeroes[..zeroes.len() - 500]), None, "it is cut off");
        assert_eq!(last(&[&zeroes[..], &[0; 64]].concat()), None, "nobody has written its end");
    }

    #[test]
    fn a_long_capture_full_of_zeroes_and_of_captures_is_not_mistaken() {
        let inner = Pcap::default().write(&records(20, b"inner"));
        for octets in [&[0; 1400][..], &inner[24..], &inner] {
            let file = Pcap::default().write(&records(2000, octets));
            assert_eq!(last(&file), frames_of(&file).last().map(|frame| frame.time));
        }
    }

    #[test]
    fn blocks_of_pcapng_lead_backwards() {
        for big_endian in [false, true] {
            for count in [1, 800] {
                let mut file = Ng::new(big_endian);
                file.interface(1, 0, &[]);
                for at in 0..count {
                    file.packet(0, 5_000_000 + at, &[7; 1000]);
                }
                let want = frames_of(&file.octets).last().map(|frame| frame.time);
                assert!(want.is_some());
                assert_eq!(last(&file.octets), want);
                // Statistics of an interface come last with many writers.
                file.block(5, &[0; 12]);
                assert_eq!(last(&file.octets), want);
                let mut two = Ng::new(big_endian);
                two.interface(1, 0, &[(9, &[9])]).packet(0, 5, &[7; 1000]);
                two.octets.extend(&file.octets);
                if count == 1 {
                    assert_eq!(last(&two.octets), None, "its clock may be another");
                }
                assert_eq!(last(&file.octets[..file.octets.len() - 4]), None, "it is cut off");
            }
        }
    }

    #[test]
    fn what_is_compressed_or_no_capture_has_none() {
        let file = Pcap::default().write(&records(3, b"x"));
        assert_eq!(last(&zstd::encode_all(&file[..], 1).unwrap()), None);
        assert_eq!(last(b""), None);
        assert_eq!(last(b"abc"), None);
        assert_eq!(last(&Pcap::default().write(&[])), None);
    }

    proptest! {
        #[test]
        fn no_octets_bring_it_down(
            kind in 0..2_usize,
            octets in prop::collection::vec(any::<u8>(), 0..300),
            at: prop::sample::Index,
            octet: u8,
        ) {
            let mut file = if kind == 0 { Pcap::default().write(&records(5, b"made up")) } else {
                let mut file = Ng::new(false);
                file.interface(1, 0, &[]);
                file.packet(0, 5, b"made up");
                file.octets.clone()
            };
            let place = at.index(file.len());
            file[place] = octet;
            last(&file);
            file.splice(place.max(4).., octets);
            last(&file);
        }
    }
}
