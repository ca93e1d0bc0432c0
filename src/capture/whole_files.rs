//! Whole files through [`FileSet`]: every way in, every cut, every order, and an independent reader as
//! oracle.

#![allow(clippy::unwrap_used, reason = "a failing test says where")]

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use pcap_parser::{PcapBlockOwned, PcapError, create_reader};
use proptest::collection::vec;
use proptest::prelude::*;

use super::testing::*;
use super::*;

fn gzip(octets: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

fn zstandard(octets: &[u8]) -> Vec<u8> {
    zstd::encode_all(octets, 1).unwrap()
}

/// Three frames, 24 + 3 * 16 + 6 octets.
fn small() -> Vec<u8> {
    Pcap::default().write(&[(1, 0, b"a"), (2, 0, b"bb"), (3, 0, b"ccc")])
}

fn small_ng() -> Vec<u8> {
    let mut file = Ng::new(false);
    file.interface(1, 0, &[(9, &[6])]).packet(0, 1, b"a").simple(2, b"bb").packet(0, 3, b"ccc");
    file.octets
}

/// Larger than every buffer on the way, with records of all sizes.
fn large() -> Vec<u8> {
    let octets: Vec<u8> = (0..200_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    let records: Vec<_> =
        (0..400usize).map(|i| (i as u32, 0, &octets[..i * i % 199_999 / if i % 7 == 0 { 1 } else { 50 }])).collect();
    Pcap::default().write(&records)
}

/// The same, however it is packed or handed over.
#[test]
fn compressed_input_gives_the_same_frames() {
    let plain = large();
    let want = read_octets(&plain);
    assert_eq!((want.0.len(), want.1.len()), (400, 0));
    let (one, two) = plain.split_at(plain.len() / 3);
    assert_eq!(read_octets(&gzip(&plain)), want);
    assert_eq!(read_octets(&[gzip(one), gzip(two)].concat()), want, "members");
    assert_eq!(read_octets(&zstandard(&plain)), want);
    assert_eq!(read_octets(&[zstandard(one), zstandard(two)].concat()), want, "frames");
    let skippable = [&[0x5f, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9], &zstandard(&plain)[..]].concat();
    assert_eq!(read_octets(&skippable), want, "a skippable frame first");
}

#[test]
fn a_named_pipe_is_read_to_its_end() {
    for octets in [large(), gzip(&large()), zstandard(&large())] {
        let fifo = Scratch::path();
        assert!(Command::new("mkfifo").arg(&fifo.0).status().unwrap().success());
        let path = fifo.0.clone();
        let writer = thread::spawn(move || {
            let mut pipe = File::options().write(true).open(path).unwrap();
            octets.chunks(1000).for_each(|chunk| pipe.write_all(chunk).unwrap());
        });
        let mut set = FileSet::open(std::slice::from_ref(&fifo.0), Access::Map);
        assert_eq!(drain(&mut set).len(), 400);
        assert!(set.problems().is_empty() && set.map(0).is_none());
        assert_eq!(set.position().1, None);
        writer.join().unwrap();
    }
}

/// A cut anywhere keeps the frames before it, and is told unless it falls between two records.
#[test]
fn every_cut_of_a_small_file() {
    let borders = [24, 41, 59, 78];
    let whole = small();
    for cut in 0..=whole.len() {
        let (frames, problems) = read_octets(&whole[..cut]);
        let records = borders[1..].iter().filter(|end| **end <= cut).count();
        assert_eq!(frames.len(), records, "cut at {cut}");
        assert_eq!(problems.len(), usize::from(!borders.contains(&cut)), "cut at {cut}: {problems:?}");
        for problem in problems {
            assert_eq!(problem.opened, cut >= 24, "{problem}");
            let border = borders.iter().rev().find(|b| **b <= cut).map_or(0, |b| *b as u64);
            assert_eq!(problem.offset, if cut == 0 { None } else { Some(border) });
        }
    }
}

#[test]
fn every_cut_of_a_small_pcapng_file() {
    let whole = small_ng();
    let blocks = [28, 60, 96, 116, 152];
    // The packets themselves end before their padding and the length at the end of the block.
    let packets = [60 + 29, 96 + 14, 116 + 31];
    assert_eq!(whole.len(), 152);
    for cut in 0..=whole.len() {
        let (frames, problems) = read_octets(&whole[..cut]);
        assert_eq!(frames.len(), packets.iter().filter(|end| **end <= cut).count(), "cut at {cut}");
        assert_eq!(problems.len(), usize::from(!blocks.contains(&cut)), "cut at {cut}: {problems:?}");
    }
}

/// The same cuts in a stream, and in the compressed octets themselves.
#[test]
fn every_cut_of_a_compressed_file() {
    for packed in [gzip(&small()), zstandard(&small())] {
        for cut in 0..packed.len() {
            let (frames, problems) = read_octets(&packed[..cut]);
            assert!(frames.len() <= 3);
            assert_eq!(problems.len(), 1, "cut at {cut}");
        }
        assert_eq!(read_octets(&packed).1, []);
    }
    for cut in [0, 3, 20, 30, 45, 77] {
        let (plain, packed) = (read_octets(&small()[..cut]), read_octets(&gzip(&small()[..cut])));
        assert_eq!(plain, packed, "cut at {cut}");
    }
}

#[test]
fn damaged_compression_keeps_what_came_before() {
    let mut packed = gzip(&large());
    let at = packed.len() * 3 / 4;
    packed[at..at + 40].fill(0x55);
    let (frames, problems) = read_octets(&packed);
    assert!(frames.len() > 100, "{}", frames.len());
    assert_eq!(problems.len(), 1);
    assert!(problems[0].opened && problems[0].offset.is_some());
}

#[test]
fn what_is_no_capture_is_said_so() {
    let cases: [(&[u8], &str); 6] = [
        (b"", "empty"),
        (b"\x7fELF....", "begins with 7f 45 4c 46"),
        (b"\xfd7zXZ\0....", "xz -dc"),
        (b"PK\x03\x04....", "zip archive"),
        (b"snooze..", "snoop file: it holds text"),
        (b"hunter2\n", "snoop file: it holds text"),
    ];
    for (octets, what) in cases {
        let problem = problem_of(octets).unwrap();
        assert!(problem.what.contains(what) && !problem.opened, "{problem}");
    }
    assert_eq!(problem_of(&small()[..24]), None, "no packets are no problem");
}

#[test]
fn unreadable_paths_do_not_hide_the_others() {
    let file = Scratch::file(&small());
    let paths = [PathBuf::from("/nonexistent/x"), std::env::temp_dir(), file.0.clone()];
    let (frames, problems) = read(&paths);
    assert_eq!(frames.len(), 3);
    assert!(frames.iter().all(|f| f.input == 2));
    let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(texts[0], "/nonexistent/x: No such file or directory");
    assert!(texts[1].ends_with("is a directory; name the capture files in it"));
    assert!(problems.iter().all(|p| !p.opened));
}

#[test]
fn files_are_merged_by_time_and_then_by_place() {
    let a = Scratch::file(&at_seconds(b"a", &[1, 4, 5, 5]));
    let b = Scratch::file(&gzip(&at_seconds(b"b", &[2, 4, 6])));
    let c = Scratch::file(&at_seconds(b"c", &[0, 9, 3, 9]));
    let (frames, problems) = read(&[a.0.clone(), b.0.clone(), c.0.clone()]);
    let order: Vec<u8> = frames.iter().map(|f| f.octets[0]).collect();
    assert_eq!(String::from_utf8(order).unwrap(), "cabab aabccc".replace(' ', ""));
    assert_eq!(frames.iter().map(|f| f.clock / 1_000_000_000).collect::<Vec<_>>(), [0, 1, 2, 4, 4, 5, 5, 6, 9, 9, 9]);
    let numbers: Vec<_> = frames.iter().filter(|f| f.input == 2).map(|f| f.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(problems, []);
}

/// Threads and buffers of compressed files are taken when their time comes and given back after it.
#[test]
fn many_rotated_compressed_files_are_read_one_after_the_other() {
    let files: Vec<_> =
        (0..300u32).map(|i| Scratch::file(&gzip(&at_seconds(b"x", &[2 * (299 - i), 2 * (299 - i) + 1])))).collect();
    let paths: Vec<_> = files.iter().map(|f| f.0.clone()).collect();
    let mut set = FileSet::open(&paths, Access::Map);
    let total = set.position().1.unwrap();
    let frames = drain(&mut set);
    assert_eq!(frames.len(), 600);
    assert!(frames.is_sorted_by_key(|f| f.time));
    assert!(frames.is_sorted_by_key(|f| std::cmp::Reverse(f.input)));
    assert_eq!(set.position(), (total, Some(total)));
    assert_eq!(set.problems(), []);
}

#[test]
fn a_mapped_file_hands_out_its_map_and_its_place() {
    let file = Scratch::file(&small());
    let mut set = FileSet::open(std::slice::from_ref(&file.0), Access::Map);
    let map = set.map(0).unwrap();
    let frame = set.next_frame().unwrap();
    let at = frame.octets.as_ptr().addr() - map.as_ptr().addr();
    assert_eq!((at, frame.octets), (40, &map[40..41]));
    assert_eq!(set.position(), (41, Some(78)));
    assert_eq!(set.names(), [file.0.to_string_lossy()]);
    drop(set);
    assert_eq!(&map[40..41], b"a", "the map outlives the set");
}

/// Pages are taken out behind the walk; whoever reads there still sees the file.
#[test]
fn a_map_larger_than_its_windows_reads_the_same() {
    let data = vec![0xab; 60_000];
    let records: Vec<_> = (0..1800u32).map(|i| (i, 0, &data[..])).collect();
    let file = Scratch::file(&Pcap::default().write(&records));
    let mut set = FileSet::open(std::slice::from_ref(&file.0), Access::Map);
    let mut count = 0;
    while let Some(frame) = set.next_frame() {
        assert!(frame.octets == data && frame.at.time.0 == count * 1_000_000_000);
        count += 1;
    }
    assert_eq!((count, set.problems().len()), (1800, 0));
    assert!(set.map(0).unwrap()[40..60_040] == data, "behind the walk");
}

fn records() -> impl Strategy<Value = Vec<(u32, u32, Vec<u8>)>> {
    vec((any::<u32>(), 0..1_000_000u32, vec(any::<u8>(), 0..300)), 0..30)
}

/// Seconds, fraction, original length and octets of each packet, as another author's reader sees them.
fn oracle(file: &[u8]) -> Vec<(u32, u32, u32, Vec<u8>)> {
    let mut reader = create_reader(1 << 20, file).unwrap();
    let mut packets = Vec::new();
    loop {
        match reader.next() {
            Ok((consumed, block)) => {
                match block {
                    PcapBlockOwned::Legacy(p) => {
                        packets.push((p.ts_sec, p.ts_usec, p.origlen, p.data.to_vec()));
                    }
                    PcapBlockOwned::NG(pcap_parser::Block::EnhancedPacket(p)) => {
                        let data = p.data[..p.caplen as usize].to_vec();
                        packets.push((p.ts_high, p.ts_low, p.origlen, data));
                    }
                    _ => {}
                }
                reader.consume(consumed);
            }
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(PcapError::Eof) => return packets,
            Err(_) => panic!("the oracle rejects the file"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn classic_files_as_the_oracle_reads_them(records in records(), big_endian: bool, ns: bool) {
        let magic = if ns { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let borrowed: Vec<_> = records.iter().map(|(s, f, d)| (*s, *f, &d[..])).collect();
        let file = Pcap { big_endian, magic, network: 1 }.write(&borrowed);
        let per_fraction = if ns { 1 } else { 1000 };
        let want: Vec<_> = oracle(&file).into_iter().map(|(s, f, original, octets)| {
            (u64::from(s) * 1_000_000_000 + u64::from(f) * per_fraction, original, octets)
        }).collect();
        let got: Vec<_> = frames_of(&file).into_iter().map(|f| (f.time, f.original_len, f.octets)).collect();
        prop_assert_eq!(got, want);
    }

    #[test]
    fn pcapng_files_as_the_oracle_reads_them(records in records(), big_endian: bool, other in vec(any::<u8>(), 1..99)) {
        let mut file = Ng::new(big_endian);
        file.interface(1, 0, &[(9, &[9])]).block(0x0bad, &other);
        for (i, (seconds, fraction, data)) in records.iter().enumerate() {
            file.packet(0, u64::from(*seconds) << 20 | u64::from(*fraction), data);
            if i % 3 == 0 { file.block(0x0bad, &other); }
            if i % 11 == 10 { file.section(!big_endian).interface(1, 0, &[(9, &[9])]); }
        }
        let want: Vec<_> = oracle(&file.octets).into_iter().map(|(high, low, original, octets)| {
            (u64::from(high) << 32 | u64::from(low), original, octets)
        }).collect();
        let got: Vec<_> = frames_of(&file.octets).into_iter().map(|f| (f.time, f.original_len, f.octets)).collect();
        prop_assert_eq!(got, want);
    }

    /// Whatever follows a good beginning: no panic, at most one problem, and the same from a pipe.
    #[test]
    fn hostile_octets_never_panic(start in 0..6usize, noise in vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], 0..600), at in any::<u16>()) {
        let good = match start {
            0 => Vec::new(),
            1 => small(),
            2 => small_ng(),
            3 => snoop::MAGIC.iter().copied().chain([0, 0, 0, 2, 0, 0, 0, 4]).collect(),
            4 => gzip(&small_ng()),
            _ => zstandard(&small()),
        };
        let mut file = good.clone();
        let at = usize::from(at) % (good.len() + 1);
        file.truncate(at.max(if start == 3 { 16 } else { 0 }));
        file.extend(&noise);
        file.extend(&good[at..]);
        let (frames, problems) = read_octets(&file);
        prop_assert!(problems.len() <= 1);
        prop_assert!(frames.len() <= file.len() * 40);
        let (again, _) = read_octets(&gzip(&file));
        if start < 4 && !matches!(file[..], [0x1f, 0x8b, ..] | [0x28, 0xb5, ..] | [0x50..=0x5f, 0x2a, ..]) {
            prop_assert_eq!(again, frames);
        }
    }
}
