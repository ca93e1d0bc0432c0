//! What a crash or a power cut leaves at the end of a file of lines.

use crate::output::LINE_OCTETS;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Cuts away what stands behind the last line feed. Gives the octets that were cut.
///
/// That is the beginning of a record, or zeroes where a power cut left a file longer than what was written of it.
/// Anything else is no file of records, and stays as it is.
///
/// # Errors
///
/// The file cannot be read or cut, or does not end with a record.
pub(crate) fn repair(file: &File, octets: u64) -> io::Result<u64> {
    let whole = after_last_line(file, octets)?;
    let mut torn = vec![0; (octets - whole).min(LINE_OCTETS as u64) as usize];
    file.read_exact_at(&mut torn, whole)?;
    let text = torn.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
    let rest_is_zero = octets - whole <= LINE_OCTETS as u64 || is_zero(file, whole + LINE_OCTETS as u64, octets)?;
    let torn = &torn[..text];
    let is_record = begins_record(torn) && torn.is_ascii() && rest_is_zero;
    if !is_record {
        return Err(io::Error::other(
            "what stands there does not end with a record; end it with a line feed or name another file",
        ));
    }
    if whole < octets {
        file.set_len(whole)?;
    }
    Ok(octets - whole)
}

/// Whether these may be the first octets of a record, in any form.
fn begins_record(torn: &[u8]) -> bool {
    const CEF: &[u8] = b"CEF:0|";
    let common = CEF.len().min(torn.len());
    matches!(torn.first(), None | Some(b'{' | 0)) || torn[..common] == CEF[..common]
}

/// Octets read at once when a file's end is looked at.
const LOOK_OCTETS: u64 = 64 * 1024;

/// Where the octet behind the last line feed stands; 0 where there is none.
fn after_last_line(file: &File, octets: u64) -> io::Result<u64> {
    let mut end = octets;
    let mut part = vec![0; LOOK_OCTETS as usize];
    while end > 0 {
        let begin = end.saturating_sub(LOOK_OCTETS);
        let part = &mut part[..(end - begin) as usize];
        file.read_exact_at(part, begin)?;
        if let Some(at) = memchr::memrchr(b'\n', part) {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

fn is_zero(file: &File, begin: u64, end: u64) -> io::Result<bool> {
    let mut at = begin;
    let mut part = vec![0; LOOK_OCTETS as usize];
    while at < end {
        let part = &mut part[..(end - at).min(LOOK_OCTETS) as usize];
        file.read_exact_at(part, at)?;
        if part.iter().any(|&octet| octet != 0) {
            return Ok(false);
        }
        at += part.len() as u64;
    }
    Ok(true)
}
