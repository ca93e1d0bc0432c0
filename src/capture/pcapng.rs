//! pcapng: sections of blocks, packets that name their interface, a link type and clock for each of those.
//!
//! Sections in both byte orders, interface descriptions, enhanced, simple and obsolete packet blocks.
//! It leaves out every other block (name resolution, statistics, decryption secrets, comments), which is
//! stepped over unread, and the trailing length of a block, which is there for reading backwards.
//! Clauses are those of draft-ietf-opsawg-pcapng.

use super::source::Source;
use super::{MAX_RECORD, Record, Stop};

/// A section header's type reads the same in both byte orders.
pub(super) const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const INTERFACE_DESCRIPTION: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Type, length, and the length again at the end.
const BLOCK_OVERHEAD: u64 = 12;
/// What stands before the octets of an enhanced or obsolete packet block.
const PACKET_HEADER: usize = 28;
const SIMPLE_PACKET_HEADER: usize = 12;

/// No honest block is larger: the largest are decryption secrets of some megabytes.
const MAX_BLOCK: u64 = 16 * 1024 * 1024;
/// Options of an interface beyond this are not looked at: what is wanted from them fits in 20 octets.
const MAX_INTERFACE_BLOCK: u64 = 64 * 1024;
/// Attack: a file of nothing but interface descriptions would fill the memory. Real captures have tens.
const MAX_INTERFACES: usize = 65_536;

/// The sections, one after the other.
pub(super) struct Walk {
    big_endian: bool,
    interfaces: Vec<Interface>,
    /// Octets of the last packet's block that are still to be stepped over, and where it began.
    rest: u64,
    block: u64,
    /// Simple packets carry no time; they happened after what stands before them.
    last_time: u64,
}

struct Interface {
    link_type: u16,
    /// Octets; 0 is no limit.
    snaplen: u32,
    clock: Clock,
}

/// How an interface counts time (if_tsresol, if_tsoffset).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clock {
    unit: Unit,
    offset_s: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// Nanoseconds in one unit.
    Nanoseconds(u64),
    /// Units in one nanosecond.
    Finer(u64),
    /// 2 to the power of minus this, in seconds.
    PowerOfTwo(u32),
}

impl Clock {
    /// Section 4.2: without if_tsresol, microseconds.
    const DEFAULT: Self = Self { unit: Unit::Nanoseconds(1000), offset_s: 0 };

    /// Nanoseconds since 1970; clocks before and after what fits stand at its ends.
    #[inline]
    fn time(self, units: u64) -> u64 {
        let ns = match self.unit {
            Unit::Nanoseconds(ns) => units.saturating_mul(ns),
            Unit::Finer(units_per_ns) => units / units_per_ns,
            // 64 and 30 bits: no overflow in 128.
            Unit::PowerOfTwo(power) => {
                let ns = (u128::from(units) * 1_000_000_000).checked_shr(power).unwrap_or(0);
                u64::try_from(ns).unwrap_or(u64::MAX)
            }
        };
        if self.offset_s == 0 { ns } else { self.moved(ns) }
    }

    #[cold]
    fn moved(self, ns: u64) -> u64 {
        let moved = i128::from(ns) + i128::from(self.offset_s) * 1_000_000_000;
        u64::try_from(moved.max(0)).unwrap_or(u64::MAX)
    }
}

impl Unit {
    /// Section 4.2, if_tsresol: the highest bit chooses between powers of 2 and of 10.
    fn from_tsresol(octet: u8) -> Self {
        let power = u32::from(octet & 0x7f);
        if octet & 0x80 != 0 {
            Self::PowerOfTwo(power)
        } else if power <= 9 {
            Self::Nanoseconds(10u64.pow(9 - power))
        } else {
            // Beyond 64 bits every time is less than a nanosecond.
            10u64.checked_pow(power - 9).map_or(Self::PowerOfTwo(127), Self::Finer)
        }
    }
}

impl Walk {
    /// Reads the first section header, whose type was recognised.
    pub(super) fn open(source: &mut Source) -> Result<Self, Stop> {
        let mut walk = Self { big_endian: false, interfaces: Vec::new(), rest: 0, block: 0, last_time: 0 };
        walk.section(source)?;
        Ok(walk)
    }

    /// Steps to the next packet and says where its octets are.
    pub(super) fn next(&mut self, source: &mut Source, record: &mut Record) -> Result<(), Stop> {
        loop {
            source.skip(self.rest, self.block)?;
            self.rest = 0;
            source.begin(8)?;
            source.prefetch();
            self.block = source.offset();
            let start: [u8; 8] = source.peek();
            if start.starts_with(&SECTION_HEADER) {
                self.section(source)?;
                continue;
            }
            let kind = self.word(&start, 0);
            self.rest = self.checked_length(self.word(&start, 4), minimum(kind))?;
            let is_packet = match kind {
                ENHANCED_PACKET | PACKET => self.packet(source, kind, record).map(|()| true),
                SIMPLE_PACKET => self.simple_packet(source, record).map(|()| true),
                INTERFACE_DESCRIPTION => self.interface(source).map(|()| false),
                _ => Ok(false),
            };
            match is_packet {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(stop) => {
                    // If it is to come later, the block is begun anew then.
                    self.rest = 0;
                    return Err(stop);
                }
            }
        }
    }

    /// The octets of a block, if it can be believed.
    #[inline]
    fn checked_length(&self, length: u32, minimum: u64) -> Result<u64, Stop> {
        let length = u64::from(length);
        if length < minimum || !length.is_multiple_of(4) {
            return Err(self.fault(format!("block with an impossible length of {length} octets")));
        }
        if length > MAX_BLOCK { Err(Stop::lie(self.block, length)) } else { Ok(length) }
    }

    #[cold]
    fn fault(&self, what: impl Into<String>) -> Stop {
        Stop::fault(self.block, what)
    }

    /// Section 4.1: a new section forgets the interfaces and may turn the byte order round.
    fn section(&mut self, source: &mut Source) -> Result<(), Stop> {
        source.need(16)?;
        let header: [u8; 16] = source.peek();
        self.big_endian = true;
        if self.word(&header, 8) != BYTE_ORDER_MAGIC {
            self.big_endian = false;
            if self.word(&header, 8) != BYTE_ORDER_MAGIC {
                return Err(self.fault("section without a byte order"));
            }
        }
        let major = self.half(&header, 12);
        if major != 1 {
            return Err(self.fault(format!("section of version {major}, which is not known")));
        }
        self.rest = self.checked_length(self.word(&header, 4), 28)?;
        self.interfaces.clear();
        Ok(())
    }

    fn interface(&mut self, source: &mut Source) -> Result<(), Stop> {
        if self.interfaces.len() == MAX_INTERFACES {
            return Err(self.fault(format!("more than {MAX_INTERFACES} interfaces in one section")));
        }
        // At most MAX_INTERFACE_BLOCK, so it fits.
        let length = self.rest.min(MAX_INTERFACE_BLOCK) as usize;
        source.need(length)?;
        let block = source.unread().get(..length).unwrap_or(&[]);
        let header: [u8; 16] = source.peek();
        let options = block.get(16..length - 4).unwrap_or(&[]);
        let (link_type, snaplen) = (self.half(&header, 8), self.word(&header, 12));
        let clock = clock(options, self.big_endian);
        self.interfaces.push(Interface { link_type, snaplen, clock });
        Ok(())
    }

    /// Sections 4.3 and A: the obsolete block has a 16-bit interface and a drop count in the same place.
    fn packet(&mut self, source: &mut Source, kind: u32, record: &mut Record) -> Result<(), Stop> {
        source.need(PACKET_HEADER)?;
        let header: [u8; PACKET_HEADER] = source.peek();
        let index = if kind == PACKET { u32::from(self.half(&header, 8)) } else { self.word(&header, 8) };
        let Some(interface) = self.interfaces.get(index as usize) else {
            return Err(self.fault(format!("packet of interface {index}, which is not described")));
        };
        let units = u64::from(self.word(&header, 12)) << 32 | u64::from(self.word(&header, 16));
        self.last_time = interface.clock.time(units);
        record.link_type = interface.link_type;
        record.original_len = self.word(&header, 24);
        let len = self.word(&header, 20);
        if len as usize > MAX_RECORD || PACKET_HEADER as u64 + u64::from(len) + 4 > self.rest {
            return Err(Stop::lie(self.block, u64::from(len)));
        }
        self.record(source, PACKET_HEADER, len as usize, record)
    }

    /// Section 4.4: no time, no captured length, and always the first interface, whose snap length cuts.
    fn simple_packet(&mut self, source: &mut Source, record: &mut Record) -> Result<(), Stop> {
        source.need(SIMPLE_PACKET_HEADER)?;
        let header: [u8; SIMPLE_PACKET_HEADER] = source.peek();
        let Some(interface) = self.interfaces.first() else {
            return Err(self.fault("packet of interface 0, which is not described"));
        };
        record.link_type = interface.link_type;
        let snaplen = if interface.snaplen == 0 { u32::MAX } else { interface.snaplen };
        record.original_len = self.word(&header, 8);
        let room = self.rest - BLOCK_OVERHEAD - 4;
        let len = u64::from(record.original_len.min(snaplen)).min(room);
        if len > MAX_RECORD as u64 {
            return Err(Stop::lie(self.block, len));
        }
        self.record(source, SIMPLE_PACKET_HEADER, len as usize, record)
    }

    /// The octets of a packet behind `header` octets of its block. Padding and options stay to be stepped
    /// over, so that a file cut off there still gives the packet.
    fn record(&mut self, source: &mut Source, header: usize, len: usize, record: &mut Record) -> Result<(), Stop> {
        source.need(header + len)?;
        record.time = self.last_time;
        record.start = source.pos() + header;
        record.len = len;
        source.consume(header + len);
        self.rest -= (header + len) as u64;
        Ok(())
    }

    #[inline]
    fn word<const N: usize>(&self, octets: &[u8; N], at: usize) -> u32 {
        let word = [octets[at], octets[at + 1], octets[at + 2], octets[at + 3]];
        if self.big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
    }

    #[inline]
    fn half<const N: usize>(&self, octets: &[u8; N], at: usize) -> u16 {
        half([octets[at], octets[at + 1]], self.big_endian)
    }
}

/// A file of the last packet alone, from the first and the last octets of a file, which are all of it if `is_whole`: with the
/// interfaces that come before the first packet. See [`super::last_time`].
pub(super) fn last_alone(head: &[u8], tail: &[u8], is_whole: bool) -> Option<Vec<u8>> {
    let is_big = head.get(8..12)? == BYTE_ORDER_MAGIC.to_be_bytes();
    let word = |octets: &[u8], at: usize| {
        let word = *octets.get(at..)?.first_chunk()?;
        Some(if is_big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
    };
    let is_packet = |kind: u32| [ENHANCED_PACKET, PACKET, SIMPLE_PACKET].contains(&kind);
    let mut at = 0;
    while word(head, at).is_some_and(|kind| !is_packet(kind)) {
        let len = word(head, at + 4)? as usize;
        at = at.checked_add(len).filter(|_| len >= BLOCK_OVERHEAD as usize)?;
    }
    // The block before a place, if it can be one.
    let before = |end: usize| {
        let len = word(tail, end.checked_sub(4)?)? as usize;
        let start = end.checked_sub(len).filter(|_| len >= BLOCK_OVERHEAD as usize)?;
        (word(tail, start + 4)? as usize == len).then_some(start)
    };
    let mut last = None;
    let mut end = tail.len();
    while let Some(start) = before(end) {
        match word(tail, start)? {
            ENHANCED_PACKET | PACKET => last = last.or(Some(start..end)),
            // It has no time.
            SIMPLE_PACKET if last.is_none() => return None,
            // Of another section: the interfaces at the head are not its own.
            kind if kind.to_be_bytes() == SECTION_HEADER && !(is_whole && start == 0) => return None,
            _ => {}
        }
        end = start;
    }
    Some([head.get(..at)?, tail.get(last?)?].concat())
}

fn half(octets: [u8; 2], big_endian: bool) -> u16 {
    if big_endian { u16::from_be_bytes(octets) } else { u16::from_le_bytes(octets) }
}

/// The octets of a block of this type without options and packet.
#[inline]
fn minimum(kind: u32) -> u64 {
    match kind {
        ENHANCED_PACKET | PACKET => 32,
        INTERFACE_DESCRIPTION => 20,
        SIMPLE_PACKET => 16,
        _ => BLOCK_OVERHEAD,
    }
}

/// Looks for if_tsresol (9) and if_tsoffset (14). Options that do not fit in their block end the list:
/// the packets are still worth more than nothing.
fn clock(mut options: &[u8], big_endian: bool) -> Clock {
    let mut clock = Clock::DEFAULT;
    while let [c0, c1, l0, l1, tail @ ..] = options {
        let (code, len) = (half([*c0, *c1], big_endian), usize::from(half([*l0, *l1], big_endian)));
        let Some(value) = tail.get(..len) else { break };
        match (code, value) {
            (0, _) => break, // opt_endofopt
            (9, [resolution]) => clock.unit = Unit::from_tsresol(*resolution),
            (14, &[a, b, c, d, e, f, g, h]) => {
                let octets = [a, b, c, d, e, f, g, h];
                clock.offset_s = if big_endian { i64::from_be_bytes(octets) } else { i64::from_le_bytes(octets) };
            }
            _ => {}
        }
        options = tail.get(len.next_multiple_of(4)..).unwrap_or(&[]);
    }
    clock
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test says where")]
mod tests {
    use super::*;
    use crate::capture::testing::{Ng, frames_of, problem_of};

    #[test]
    fn each_packet_has_the_link_type_of_its_interface() {
        for big_endian in [false, true] {
            let mut file = Ng::new(big_endian);
            file.interface(1, 0, &[]).interface(101, 0, &[]).interface(276, 0, &[]);
            file.packet(1, 5, b"ip").packet(0, 6, b"ether").obsolete(2, 7, b"cooked");
            let frames = frames_of(&file.octets);
            let got: Vec<_> = frames.iter().map(|f| (f.link_type, f.time, &f.octets[..])).collect();
            let want = [(101, 5000, &b"ip"[..]), (1, 6000, &b"ether"[..]), (276, 7000, &b"cooked"[..])];
            assert_eq!(got, want);
            assert_eq!(problem_of(&file.octets), None);
        }
    }

    #[test]
    fn a_new_section_forgets_interfaces_and_may_turn_round() {
        let mut file = Ng::new(false);
        file.interface(101, 0, &[]).packet(0, 1, b"first");
        file.section(true).interface(1, 0, &[]).packet(0, 2, b"second");
        file.section(false).packet(0, 3, b"no interface");
        let frames = frames_of(&file.octets);
        assert_eq!(frames.iter().map(|f| f.link_type).collect::<Vec<_>>(), [101, 1]);
        assert!(problem_of(&file.octets).unwrap().what.contains("interface 0"));
    }

    #[test]
    fn unknown_blocks_are_stepped_over() {
        let mut file = Ng::new(false);
        file.interface(1, 0, &[]).block(5, &[0; 400]).packet(0, 1, b"a").block(0x0bad, &[1; 300_000]);
        file.packet(0, 2, b"b").block(4, &[0; 8]);
        assert_eq!(frames_of(&file.octets).len(), 2);
        assert_eq!(problem_of(&file.octets), None);
    }

    #[test]
    fn a_simple_packet_is_as_long_as_the_snap_length_allows() {
        let mut file = Ng::new(false);
        file.interface(1, 4, &[]).packet(0, 9, b"x").simple(100, b"abcd").simple(3, b"efg");
        let frames = frames_of(&file.octets);
        assert_eq!((&frames[1].octets[..], frames[1].original_len), (&b"abcd"[..], 100));
        assert_eq!((&frames[2].octets[..], frames[2].original_len), (&b"efg"[..], 3));
        assert_eq!(frames[2].time, 9000, "as the packet before");
    }

    #[test]
    fn resolutions_and_offsets() {
        let at = |tsresol, offset_s, units| Clock { unit: Unit::from_tsresol(tsresol), offset_s }.time(units);
        assert_eq!(Clock::DEFAULT.time(1), 1000);
        assert_eq!(at(0, 0, 7), 7_000_000_000);
        assert_eq!(at(3, 0, 7), 7_000_000);
        assert_eq!(at(9, 0, 7), 7);
        assert_eq!(at(12, 0, 7999), 7);
        assert_eq!(at(127, 0, u64::MAX), 0);
        assert_eq!(at(0x80, 0, 2), 2_000_000_000);
        assert_eq!(at(0x80 | 10, 0, 512), 500_000_000);
        assert_eq!(at(0x80 | 127, 0, u64::MAX), 0);
        assert_eq!(at(0, 0, u64::MAX), u64::MAX);
        assert_eq!(at(9, 3, 7), 3_000_000_007);
        assert_eq!(at(9, -3, 7), 0);
        assert_eq!(at(9, i64::MAX, u64::MAX), u64::MAX);
        assert_eq!(at(9, i64::MIN, 0), 0);
    }

    #[test]
    fn the_options_of_an_interface_set_its_clock() {
        for big_endian in [false, true] {
            let mut file = Ng::new(big_endian);
            file.interface(1, 0, &[(2, b"eth0"), (9, &[9]), (14, &file.long(-1))]).packet(0, 1_000_000_005, b"x");
            assert_eq!(frames_of(&file.octets)[0].time, 5);
        }
    }

    #[test]
    fn options_that_leave_their_block_are_not_believed() {
        let mut file = Ng::new(false);
        let mut body = vec![1, 0, 0, 0, 0, 0, 0, 0];
        body.extend([9, 0, 255, 255, 9, 0, 0, 0]);
        file.block(1, &body).packet(0, 1, b"x");
        assert_eq!(frames_of(&file.octets)[0].time, 1000);
        assert_eq!(problem_of(&file.octets), None);
    }

    #[test]
    fn lying_lengths_stop_the_file() {
        let lies: [(u32, &[u8], &str); 5] = [
            (6, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0, 99, 0, 0, 0], "claims 99 octets"),
            (6, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 9, 0, 0, 0], "claims 4294967295"),
            (2, &[7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "interface 7"),
            (6, &[0; 4], "impossible length of 16"),
            (1, &[0; 4], "impossible length of 16"),
        ];
        for (kind, body, what) in lies {
            let mut file = Ng::new(false);
            file.interface(1, 0, &[]).packet(0, 1, b"before");
            let offset = file.octets.len() as u64;
            file.block(kind, body).packet(0, 2, b"after");
            assert_eq!(frames_of(&file.octets).len(), 1, "{what}");
            let problem = problem_of(&file.octets).unwrap();
            assert!(problem.what.contains(what), "{problem}");
            assert_eq!(problem.offset, Some(offset));
        }
    }

    #[test]
    fn a_block_of_four_gib_is_a_lie() {
        let mut file = Ng::new(false);
        file.interface(1, 0, &[]);
        file.octets.extend([5, 0, 0, 0, 0xfc, 0xff, 0xff, 0xff]);
        assert!(problem_of(&file.octets).unwrap().what.contains("claims 4294967292 octets"));
    }

    #[test]
    fn a_million_interfaces_do_not_fill_the_memory() {
        let mut file = Ng::new(false);
        for _ in 0..=MAX_INTERFACES {
            file.interface(1, 0, &[]);
        }
        assert!(problem_of(&file.octets).unwrap().what.contains("more than 65536 interfaces"));
    }
}
