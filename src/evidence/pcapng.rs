//! The blocks of pcapng that evidence takes: one section, one interface, packets with their comments
//! (draft-ietf-opsawg-pcapng). All numbers are little-endian.

use crate::wire::{LinkType, Timestamp};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;

const OPT_COMMENT: u16 = 1;
const SHB_USERAPPL: u16 = 4;
const IF_TSRESOL: u16 = 9;

/// Nanoseconds: ten to the minus ninth.
const NANOSECONDS: u8 = 9;

/// Octets of a comment: a line for people.
const COMMENT_OCTETS: usize = 2048;

/// Begins a file: what it is, and which program made it.
pub(super) fn begin(comment: &str, application: &str, out: &mut Vec<u8>) {
    block(SECTION, out, |out| {
        out.extend_from_slice(&0x1a2b_3c4d_u32.to_le_bytes());
        out.extend_from_slice(&[1, 0, 0, 0]);
        // The section's length is not given.
        out.extend_from_slice(&[0xff; 8]);
        option(OPT_COMMENT, comment.as_bytes(), out);
        option(SHB_USERAPPL, application.as_bytes(), out);
        option(0, &[], out);
    });
    block(INTERFACE, out, |out| {
        out.extend_from_slice(&LinkType::RAW.0.to_le_bytes());
        // Reserved, and no bound of a packet's length.
        out.extend_from_slice(&[0; 6]);
        option(OPT_COMMENT, comment.as_bytes(), out);
        option(IF_TSRESOL, &[NANOSECONDS], out);
        option(0, &[], out);
    });
}

/// Adds a packet, whole.
pub(super) fn packet(time: Timestamp, octets: &[u8], comment: &str, out: &mut Vec<u8>) {
    let len = u32::try_from(octets.len()).unwrap_or(u32::MAX);
    block(PACKET, out, |out| {
        for word in [0, (time.0 >> 32) as u32, time.0 as u32, len, len] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        padded(octets, out);
        option(OPT_COMMENT, comment.as_bytes(), out);
        option(0, &[], out);
    });
}

fn block(kind: u32, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    body(out);
    let len = u32::try_from(out.len() + 4 - begin).unwrap_or(u32::MAX).to_le_bytes();
    out[begin + 4..begin + 8].copy_from_slice(&len);
    out.extend_from_slice(&len);
}

fn option(code: u16, value: &[u8], out: &mut Vec<u8>) {
    let mut len = value.len().min(COMMENT_OCTETS);
    // Not in the middle of a character.
    while len < value.len() && len > 0 && value[len] & 0xc0 == 0x80 {
        len -= 1;
    }
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&(len as u16).to_le_bytes());
    padded(&value[..len], out);
}

/// To a multiple of four octets.
fn padded(octets: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(octets);
    out.resize(out.len().next_multiple_of(4), 0);
}
