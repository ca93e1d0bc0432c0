//! How captures are spoiled: what bad disks, cut transfers and whoever writes packets with intent leave behind.

use super::forms::{Frame, Source, compressed};
use barewire::testing::Random;

/// Numbers on whose other side programs do something else.
const LENGTHS: [u32; 16] = [
    0,
    1,
    3,
    4,
    0x7f,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x3_ffff,
    0x4_0000,
    0x4_0001,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fff0,
    0xffff_ffff,
];

const OCTETS: [u8; 12] = [0, 1, 9, 10, 13, 27, 34, 0x7f, 0x80, 0xc3, 0xfe, 0xff];

/// Words of the protocols, and of those who write to terminals and logs.
const WORDS: [&[u8]; 24] = [
    b"\r\n",
    b"\n\r\n.\r\n",
    b"\r\n.\r\n",
    b"{4294967295}\r\n",
    b"{99999999999999999999+}\r\n",
    b"{0}\r\n",
    b"\"",
    b"\\",
    b"AUTH PLAIN ",
    b"AUTH LOGIN\r\n",
    b"AUTHENTICATE NTLM\r\n",
    b"STARTTLS\r\n",
    b"STLS\r\n",
    b"BDAT 4294967295 LAST\r\n",
    b"PASS ",
    b"a1 LOGIN ",
    b"====",
    b"AA==",
    b"\x1b[2J\x1b]0;x\x07",
    b"\xe2\x80\xae",
    b"\xc2\x9b31m",
    b"\x16\x03\x01\xff\xff\x01\xff\xff\xff",
    b"PROXY TCP6 ::1 ::1 0 65535\r\n",
    b"\0\0\0\0\0\0\0\0",
];

/// One capture file made of one or two sources, with faults in frames, in the file, and in its compression.
pub(crate) fn mutant(sources: &[Source], random: &mut Random) -> Vec<u8> {
    let source = &sources[random.below(sources.len())];
    let other = &sources[random.below(sources.len())];
    let mut frames = source.frames.clone();
    if random.chance(60) {
        spoil_frames(&mut frames, &other.frames, random);
    }
    // As it lies there now and then, for whoever wrote it knew forms that are not made here.
    let as_it_is = random.chance(25);
    let mut file =
        if as_it_is { None } else { source.rewritten(&frames, random) }.unwrap_or_else(|| source.octets.clone());
    if random.chance(60) {
        spoil(&mut file, &other.octets, random);
    }
    let mut file = compressed(file, random);
    if random.chance(20) {
        spoil(&mut file, &other.octets, random);
    }
    file
}

fn spoil_frames(frames: &mut Vec<Frame>, other: &[Frame], random: &mut Random) {
    for _ in 0..=random.below(4) {
        if frames.is_empty() {
            return;
        }
        let (at, to) = (random.below(frames.len()), random.below(frames.len()));
        match random.below(8) {
            0 => drop(frames.remove(at)),
            1 => frames.insert(to, frames[at].clone()),
            2 => frames.swap(at, to),
            3 if !other.is_empty() => frames.insert(at, other[random.below(other.len())].clone()),
            4 => {
                let len = random.below(frames[at].octets.len() + 1);
                frames[at].octets.truncate(len);
            }
            5 => {
                // The largest that is taken.
                let len = random.below(262_145);
                frames[at].octets.resize(len, 0x41);
            }
            _ => {
                let from = other.get(random.below(other.len())).map_or(&[][..], |frame| &frame.octets);
                spoil(&mut frames[at].octets, from, random);
            }
        }
    }
}

/// One to eight faults.
pub(crate) fn spoil(octets: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    // Headers are a small part of a file, and the part where faults matter most.
    let reach = if random.chance(30) { 96 } else { usize::MAX };
    for _ in 0..=random.below(8) {
        let len = octets.len().min(reach);
        if len == 0 {
            octets.extend_from_slice(&other[..random.below(other.len().min(64) + 1)]);
            continue;
        }
        let at = random.below(len);
        match random.below(12) {
            0 | 1 => octets[at] ^= 1 << random.below(8),
            2 => octets[at] = OCTETS[random.below(OCTETS.len())],
            3 => octets[at] = random.draw() as u8,
            4 | 5 => overwrite(octets, at, &number(random)),
            6 => {
                let word = WORDS[random.below(WORDS.len())];
                if random.chance(50) {
                    overwrite(octets, at, word);
                } else {
                    drop(octets.splice(at..at, word.iter().copied()));
                }
            }
            7 => drop(octets.drain(span(at, octets.len(), random))),
            8 => {
                let copy = octets[span(at, octets.len(), random)].to_vec();
                let to = random.below(octets.len() + 1);
                drop(octets.splice(to..to, copy));
            }
            9 => {
                let one = span(at, octets.len(), random);
                let to = random.below(octets.len());
                for (offset, place) in one.enumerate() {
                    let twin = (to + offset) % octets.len();
                    octets.swap(place, twin);
                }
            }
            10 if !other.is_empty() => {
                let from = random.below(other.len());
                let part = other[span(from, other.len(), random)].to_vec();
                drop(octets.splice(at..at, part));
            }
            _ if random.chance(30) => octets.truncate(random.below(octets.len())),
            _ => grow(octets, at, random),
        }
    }
}

/// Two or four octets, in either byte order.
fn number(random: &mut Random) -> Vec<u8> {
    let number = LENGTHS[random.below(LENGTHS.len())];
    match random.below(4) {
        0 => (number as u16).to_le_bytes().to_vec(),
        1 => (number as u16).to_be_bytes().to_vec(),
        2 => number.to_le_bytes().to_vec(),
        _ => number.to_be_bytes().to_vec(),
    }
}

/// What looks like a length gets larger or smaller by a little, or by a lot.
fn grow(octets: &mut [u8], at: usize, random: &mut Random) {
    let fields = octets.len().saturating_sub(3);
    let is_length = |place: &usize| {
        let word = [octets[*place], octets[*place + 1], octets[*place + 2], octets[*place + 3]];
        (1..0x1_0000).contains(&u32::from_le_bytes(word)) || (1..0x1_0000).contains(&u32::from_be_bytes(word))
    };
    let Some(place) = (at.min(fields)..fields).find(is_length) else { return };
    let which = place + random.below(4);
    octets[which] = match random.below(3) {
        0 => octets[which].wrapping_add(1),
        1 => octets[which].wrapping_sub(1),
        _ => 0xff,
    };
}

fn overwrite(octets: &mut [u8], at: usize, with: &[u8]) {
    for (octet, new) in octets[at..].iter_mut().zip(with) {
        *octet = *new;
    }
}

/// Mostly short ones.
fn span(at: usize, len: usize, random: &mut Random) -> std::ops::Range<usize> {
    let most = if random.chance(80) { 64 } else { 4096 };
    at..(at + 1 + random.below(most)).min(len)
}
