//! TLS as a passive listener sees it: what both ends say in clear before everything is encrypted, and the point from
//! which it is.
//!
//! [`Watch`] follows both directions: [`records`] cut the octets, [`messages`] cut their content, [`hello`] and
//! [`certificate`] read what is worth reading, [`ja4`], [`alert`] and [`cipher`] give it names. Nothing here can fail:
//! what cannot be read is left out, and nobody is asked to believe in a certificate, only told what it says.

pub mod cipher;

mod alert;
mod certificate;
mod fields;
mod hello;
mod ja4;
mod messages;
mod records;
#[cfg(test)]
mod tests;
mod watch;

pub use certificate::CertificateFacts;
pub use hello::ClientHello;
pub(super) use watch::{Progress, Watch};

/// Content type of a record that begins a handshake.
pub(super) const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;

/// RFC 8446 §5.1 allows 2^14 octets, older versions 2048 more; the version's first octet is 3 for all of them.
const MAX_RECORD: usize = (1 << 14) + 2048;

/// As hellos name the versions that something hangs on.
const SSL2: u16 = 0x0002;
const TLS13: u16 = 0x0304;

/// What stands for the cipher suite with SSLv2, where a ServerHello chooses none: a number that is nobody's
/// (RFC 8446 §11 leaves it to private use).
pub const NO_SUITE: u16 = 0xffff;

/// What people call a version.
#[must_use]
pub fn version_name(version: u16) -> &'static str {
    match version {
        SSL2 => "SSL 2.0",
        0x0300 => "SSL 3.0",
        0x0301 => "TLS 1.0",
        0x0302 => "TLS 1.1",
        0x0303 => "TLS 1.2",
        TLS13 => "TLS 1.3",
        _ => "unknown",
    }
}

/// Whether octets at the beginning of a flight look like a TLS handshake or alert record, as far as they go.
#[must_use]
pub(super) fn looks_like_record(octets: &[u8]) -> bool {
    match octets {
        [HANDSHAKE | ALERT] => true,
        [HANDSHAKE | ALERT, 3, rest @ ..] => {
            rest.first().is_none_or(|&minor| minor <= 4)
                && (rest.len() < 3 || usize::from(u16::from_be_bytes([rest[1], rest[2]])) <= MAX_RECORD)
        }
        _ => false,
    }
}

/// Whether octets look like a whole record header of any kind.
#[must_use]
pub(super) fn looks_like_any_record(octets: &[u8]) -> bool {
    let &[20..=23, 3, 0..=4, high, low, ..] = octets else { return false };
    usize::from(u16::from_be_bytes([high, low])) <= MAX_RECORD
}

/// Whether octets begin a ClientHello, in TLS's form or SSLv2's, as far as they go.
#[must_use]
pub(super) fn looks_like_client_hello(octets: &[u8]) -> bool {
    looks_like_record(octets) && octets[0] == HANDSHAKE && octets.get(5).is_none_or(|&kind| kind == 1)
        || looks_like_sslv2_hello(octets)
}

/// RFC 5246 appendix E.2. Text can begin with such octets only where it is no UTF-8, so every field is looked at.
fn looks_like_sslv2_hello(octets: &[u8]) -> bool {
    // At most 1023 octets: over 300 suites, of which SSLv2 and TLS 1.2 together have about as many.
    if !octets.first().is_some_and(|first| (0x80..0x84).contains(first)) {
        return false;
    }
    let fits = |at: usize, plausible: &dyn Fn(u8) -> bool| octets.get(at).is_none_or(|&octet| plausible(octet));
    let uint16 = |at: usize| octets.get(at..at + 2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let is_hello = fits(2, &|kind| kind == 1) && fits(3, &|major| matches!(major, 0 | 3));
    let is_version = uint16(3).is_none_or(|version| matches!(version, SSL2 | 0x0300..=TLS13));
    let suites = uint16(5).is_none_or(|len| len > 0 && len % 3 == 0);
    let session = uint16(7).is_none_or(|len| matches!(len, 0 | 16));
    let challenge = uint16(9).is_none_or(|len| (16..=32).contains(&len));
    let lens: Option<u32> = [5, 7, 9].into_iter().map(|at| uint16(at).map(u32::from)).sum();
    let adds_up = lens.is_none_or(|lens| uint16(0).is_some_and(|len| u32::from(len & 0x7fff) == lens + 9));
    is_hello && is_version && suites && session && challenge && adds_up
}
