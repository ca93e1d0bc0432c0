//! Packets of one capture for one partition: pcapng in zstd, each with its number in the capture (`epb_packetid`). Any
//! reader of pcapng can show them.
//!
//! A packet of no octets and without a number is no packet: it tells that the clock of the capture had come so far, where
//! none of those around it does. What is read is taken for what was written here and nothing else; the form allows more.

use super::damaged;
use super::frames::{FrameReader, FrameWriter, Sum};
use crate::capture::MAX_RECORD;
use crate::wire::{Frame, LinkType, PacketRef, Timestamp};
use std::io::{self, BufRead as _, Read, Write};
use zeroize::Zeroizing;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const EPB_PACKETID: u16 = 5;
/// The head of that option, which has eight octets.
const NUMBERED: [u8; 4] = [EPB_PACKETID as u8, 0, 8, 0];
/// Ten to the minus ninth: as finely as captures are read.
const NANOSECONDS: u8 = 9;

/// Link types of one capture: each interface of it may have its own.
const LINK_TYPES: usize = 4096;
/// Octets of a packet's block before its octets, after the kind and the length.
const HEADER: usize = 20;
/// And behind them: the number, the end of the options, the length again.
const TRAILER: usize = 20;

/// Writes packets.
pub struct PartWriter<W: Write> {
    out: FrameWriter<W>,
    /// By the number of their interface.
    link_types: Vec<LinkType>,
    name: String,
    /// What a reader takes for the clock.
    clock: u64,
    block: Zeroizing<Vec<u8>>,
}

impl<W: Write> PartWriter<W> {
    /// Begins a part of the capture of that name.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn new(out: W, name: &str) -> io::Result<Self> {
        let mut part = Self {
            out: FrameWriter::new(out)?,
            link_types: Vec::new(),
            name: name.chars().take(1000).collect(),
            clock: 0,
            block: Zeroizing::new(Vec::with_capacity(2048)),
        };
        part.write_block(SECTION, |block| {
            block.extend_from_slice(&0x1a2b_3c4d_u32.to_le_bytes());
            block.extend_from_slice(&[1, 0, 0, 0]);
            // The section's length is not given.
            block.extend_from_slice(&[0xff; 8]);
            option(SHB_USERAPPL, concat!("barewire ", env!("CARGO_PKG_VERSION")).as_bytes(), block);
            option(0, &[], block);
        })?;
        Ok(part)
    }

    /// Adds a packet.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn push(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        let interface = self.interface(frame.link_type)?;
        if frame.clock.0 > self.clock.max(frame.at.time.0) {
            self.packet(interface, frame.clock, &[], 0, 0)?;
        }
        self.clock = self.clock.max(frame.clock.0);
        self.packet(interface, frame.at.time, frame.octets, frame.original_len, frame.at.number)
    }

    /// Ends it, and gives back what it was written to, and what came of it.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn finish(self) -> io::Result<(W, Sum)> {
        self.out.finish()
    }

    fn interface(&mut self, link_type: LinkType) -> io::Result<u32> {
        if let Some(at) = self.link_types.iter().position(|known| *known == link_type) {
            return Ok(at as u32);
        }
        if self.link_types.len() == LINK_TYPES {
            return Err(io::Error::other("more link types than a part may have"));
        }
        self.link_types.push(link_type);
        let name = std::mem::take(&mut self.name);
        self.write_block(INTERFACE, |block| {
            block.extend_from_slice(&link_type.0.to_le_bytes());
            // Reserved, and no bound of a packet's length.
            block.extend_from_slice(&[0; 6]);
            option(IF_NAME, name.as_bytes(), block);
            option(IF_TSRESOL, &[NANOSECONDS], block);
            option(0, &[], block);
        })?;
        self.name = name;
        Ok(self.link_types.len() as u32 - 1)
    }

    fn packet(&mut self, at: u32, time: Timestamp, octets: &[u8], original: u32, number: u64) -> io::Result<()> {
        let len = u32::try_from(octets.len()).unwrap_or(u32::MAX);
        self.write_block(PACKET, |block| {
            for word in [at, (time.0 >> 32) as u32, time.0 as u32, len, original] {
                block.extend_from_slice(&word.to_le_bytes());
            }
            padded(octets, block);
            option(EPB_PACKETID, &number.to_le_bytes(), block);
            option(0, &[], block);
        })
    }

    fn write_block(&mut self, kind: u32, body: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let block = &mut self.block;
        block.clear();
        block.extend_from_slice(&kind.to_le_bytes());
        block.extend_from_slice(&[0; 4]);
        body(block);
        let len = u32::try_from(block.len() + 4).unwrap_or(u32::MAX).to_le_bytes();
        block[4..8].copy_from_slice(&len);
        block.extend_from_slice(&len);
        self.out.write_all(block)
    }
}

fn option(code: u16, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    padded(value, out);
}

/// To a multiple of four octets.
fn padded(octets: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(octets);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// Reads packets.
pub struct PartReader {
    input: FrameReader,
    link_types: Vec<LinkType>,
    clock: u64,
    /// Index of the capture.
    index: u32,
    number: u64,
    /// The last packet.
    at: PacketRef,
    link_type: LinkType,
    original_len: u32,
    len: usize,
    /// Octets of the last block, behind its kind and length.
    rest: usize,
    /// They lie in one frame, else here.
    is_in_frame: bool,
    block: Zeroizing<Vec<u8>>,
}

/// A section's header and an interface's description: names have an end.
const MOST_DESCRIBED: usize = 8 * 1024;

impl PartReader {
    /// Reads what `input` holds, which is compressed, of the capture with that index.
    ///
    /// # Errors
    ///
    /// It does not begin as parts do.
    pub fn new(input: Box<dyn Read + Send>, index: u32) -> io::Result<Self> {
        let mut part = Self {
            input: FrameReader::new(input)?,
            link_types: Vec::new(),
            clock: 0,
            index,
            number: 0,
            at: PacketRef::default(),
            link_type: LinkType::RAW,
            original_len: 0,
            len: 0,
            rest: 0,
            is_in_frame: false,
            block: Zeroizing::new(Vec::new()),
        };
        let kind = part.next_block()?.ok_or_else(|| damaged("it is empty"))?;
        if kind != SECTION || part.body().get(..4) != Some(&0x1a2b_3c4d_u32.to_le_bytes()[..]) {
            return Err(damaged("it is no part of a capture"));
        }
        Ok(part)
    }

    /// Steps to the next packet; `false` at the end.
    ///
    /// # Errors
    ///
    /// It cannot be read, or holds what no part does.
    pub fn step(&mut self) -> io::Result<bool> {
        while let Some(kind) = self.next_block()? {
            match kind {
                INTERFACE => {
                    let link_type = self.body().first_chunk().map(|octets| LinkType(u16::from_le_bytes(*octets)));
                    if self.link_types.len() == LINK_TYPES {
                        return Err(damaged("more link types than a part may have"));
                    }
                    self.link_types.extend(link_type);
                }
                PACKET => {
                    if self.packet()? {
                        return Ok(true);
                    }
                }
                _ => return Err(damaged("a block that no part has")),
            }
        }
        Ok(false)
    }

    /// The packet that was stepped to.
    #[must_use]
    pub fn frame(&self) -> Frame<'_> {
        Frame {
            at: self.at,
            clock: Timestamp(self.clock),
            link_type: self.link_type,
            octets: self.body().get(HEADER..HEADER + self.len).unwrap_or_default(),
            original_len: self.original_len,
            datagram: None,
        }
    }

    /// What was read so far.
    #[must_use]
    pub fn sum(&self) -> Sum {
        self.input.sum()
    }

    /// Steps to the next block, and tells its kind. `None` at the end.
    fn next_block(&mut self) -> io::Result<Option<u32>> {
        if self.input.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut header = [0; 8];
        self.input.fill(&mut header)?;
        let (kind, len) = (word(&header, 0), word(&header, 4) as usize);
        let most = if kind == PACKET { 8 + HEADER + MAX_RECORD + 3 + TRAILER } else { MOST_DESCRIBED };
        if len < 12 || len > most || !len.is_multiple_of(4) {
            return Err(damaged("a block of an impossible length"));
        }
        self.rest = len - 8;
        self.is_in_frame = self.input.fill_buf()?.len() >= self.rest;
        if self.is_in_frame {
            self.input.consume(self.rest);
        } else {
            if self.block.len() < self.rest {
                self.block = Zeroizing::new(vec![0; self.rest.next_power_of_two()]);
            }
            self.input.fill(&mut self.block[..self.rest])?;
        }
        let octets = self.octets();
        if word(octets, octets.len() - 4) as usize == len {
            Ok(Some(kind))
        } else {
            Err(damaged("a block whose lengths differ"))
        }
    }

    fn octets(&self) -> &[u8] {
        if self.is_in_frame { self.input.behind(self.rest) } else { &self.block[..self.rest] }
    }

    /// The block without its kind and lengths.
    fn body(&self) -> &[u8] {
        self.octets().split_last_chunk::<4>().map_or(&[], |(body, _)| body)
    }

    /// Whether it is one, and not only the time.
    fn packet(&mut self) -> io::Result<bool> {
        let body = self.body();
        if body.len() < HEADER {
            return Err(damaged("a packet without a header"));
        }
        let words: [u32; 5] = std::array::from_fn(|at| word(body, at * 4));
        let [interface, high, low, captured, original_len] = words;
        let captured = captured as usize;
        let options = HEADER + captured.next_multiple_of(4);
        let options = (options + TRAILER - 4 == body.len()).then(|| &body[options..]);
        let number = options.and_then(|options| options.strip_prefix(&NUMBERED)).and_then(<[u8]>::first_chunk);
        let number = u64::from_le_bytes(*number.ok_or_else(|| damaged("a packet without its number"))?);
        let link_type = self.link_types.get(interface as usize).copied();
        let link_type = link_type.ok_or_else(|| damaged("a packet of an interface that is not described"))?;
        let time = u64::from(high) << 32 | u64::from(low);
        self.clock = self.clock.max(time);
        if number == 0 && captured == 0 {
            return Ok(false);
        }
        // In their order, or the merge would not be one.
        if number <= self.number {
            return Err(damaged("packets that are not in their order"));
        }
        (self.number, self.len, self.link_type, self.original_len) = (number, captured, link_type, original_len);
        self.at = PacketRef { time: Timestamp(time), input: self.index, number };
        Ok(true)
    }
}

fn word(octets: &[u8], at: usize) -> u32 {
    octets.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |word| u32::from_le_bytes(*word))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test says where")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Packet = (u64, u64, u16, Vec<u8>);

    fn written(packets: &[Packet]) -> Vec<u8> {
        let mut part = PartWriter::new(Vec::new(), "made-up.pcap").unwrap();
        let mut clock = 0;
        for (at, (time, dropped, link_type, octets)) in packets.iter().enumerate() {
            // Another packet, which was not kept, had a later time.
            clock = clock.max(*time).max(*dropped);
            let at = PacketRef { time: Timestamp(*time), input: 7, number: 10 + 3 * at as u64 };
            let original_len = octets.len() as u32 + 9;
            let link_type = LinkType(*link_type);
            part.push(&Frame { at, clock: Timestamp(clock), link_type, octets, original_len, datagram: None }).unwrap();
        }
        part.finish().unwrap().0
    }

    type Got = (PacketRef, u64, u16, Vec<u8>);

    fn read(octets: Vec<u8>) -> io::Result<Vec<Got>> {
        let mut part = PartReader::new(Box::new(io::Cursor::new(octets)), 7)?;
        let mut all = Vec::new();
        while part.step()? {
            let frame = part.frame();
            all.push((frame.at, frame.clock.0, frame.link_type.0, frame.octets.to_vec()));
        }
        Ok(all)
    }

    fn packets() -> impl Strategy<Value = Vec<Packet>> {
        let octets = proptest::collection::vec(any::<u8>(), 0..50);
        proptest::collection::vec((0..1000_u64, 0..1000_u64, 0..4_u16, octets), 0..20)
    }

    proptest! {
        #[test]
        fn packets_come_out_as_they_went_in(packets in packets()) {
            let got = read(written(&packets)).unwrap();
            let mut clock = 0;
            for ((at, (time, dropped, link_type, octets)), got) in packets.iter().enumerate().zip(&got) {
                clock = clock.max(*time).max(*dropped);
                let at = PacketRef { time: Timestamp(*time), input: 7, number: 10 + 3 * at as u64 };
                prop_assert_eq!(got, &(at, clock, *link_type, octets.clone()));
            }
            prop_assert_eq!(packets.len(), got.len());
        }

        /// Whatever stands there is read or refused, within bounds.
        #[test]
        fn no_octets_bring_it_down(packets in packets(), at: prop::sample::Index, octet: u8, cut: prop::sample::Index) {
            let plain = zstd::decode_all(&written(&packets)[..]).unwrap();
            let mut changed = plain.clone();
            let place = at.index(changed.len());
            changed[place] = octet;
            changed.truncate(cut.index(2 * plain.len()).max(1));
            drop(read(zstd::encode_all(&changed[..], 1).unwrap()));
            drop(read(changed));
        }
    }

    #[test]
    fn a_part_that_is_cut_is_told() {
        let packets = vec![(5, 0, 1, vec![1; 40]), (6, 0, 1, vec![2; 40])];
        let plain = zstd::decode_all(&written(&packets)[..]).unwrap();
        let whole = (1..=plain.len()).filter(|cut| read(zstd::encode_all(&plain[..*cut], 1).unwrap()).is_ok()).count();
        // After the section, the interface, and each packet.
        assert_eq!(whole, 4);
    }

    #[test]
    fn the_captures_own_reader_reads_it() {
        let path = std::env::temp_dir().join(format!("barewire-part-{}", std::process::id()));
        std::fs::write(&path, written(&[(5, 0, 1, vec![1; 60]), (6, 9, 101, vec![2; 61])])).unwrap();
        let mut set = crate::capture::FileSet::open(std::slice::from_ref(&path), crate::capture::Access::Read);
        let mut seen = Vec::new();
        while let Some(frame) = set.next_frame() {
            seen.push((frame.at.time.0, frame.link_type.0, frame.octets.len()));
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(seen, [(5, 1, 60), (9, 101, 0), (6, 101, 61)]);
        assert_eq!(set.problems(), []);
    }
}
