//! JA4, FoxIO's fingerprint of a ClientHello: `t13d1516h2_8daaf6152771_e5627efa2ab1`. The same program gives the same
//! one whichever server it talks to, and it is compared between tools, so every detail is the published method's.
//!
//! Only JA4 itself, whose method is free (BSD 3-Clause); its kin for servers and certificates are not.

use super::SSL2;
use super::hello::{ALPN, Offer, SERVER_NAME};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// The fingerprint of a ClientHello over TCP. Octets that are no letter or digit never get into it.
pub(super) fn fingerprint(offer: &Offer<'_>) -> Box<str> {
    let mut suites: Vec<u16> = offer.suites().collect();
    let mut extensions: Vec<u16> = offer.extensions().collect();
    let has_name = extensions.contains(&SERVER_NAME);
    let mut ja4 = format!(
        "t{}{}{:02}{:02}",
        version(offer.version()),
        if has_name { 'd' } else { 'i' },
        suites.len().min(99),
        extensions.len().min(99)
    );
    ja4.extend(alpn(offer.alpn().unwrap_or_default()));
    suites.sort_unstable();
    // The name and ALPN depend on the server asked for; they are in the first part.
    extensions.retain(|kind| !matches!(*kind, SERVER_NAME | ALPN));
    extensions.sort_unstable();
    let mut contents = list(extensions.into_iter());
    let algorithms = list(offer.signature_algorithms());
    if !contents.is_empty() && !algorithms.is_empty() {
        contents = contents + "_" + &algorithms;
    }
    for part in [list(suites.into_iter()), contents] {
        ja4.push('_');
        ja4.push_str(&hash(&part));
    }
    ja4.into()
}

fn version(version: u16) -> &'static str {
    match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        SSL2 => "s2",
        _ => "00",
    }
}

/// First and last character of the first protocol; of its hexadecimal form where either is no letter or digit.
fn alpn(name: &[u8]) -> [char; 2] {
    let (Some(&first), Some(&last)) = (name.first(), name.last()) else { return ['0', '0'] };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [first.into(), last.into()];
    }
    [first >> 4, last & 0xf].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0'))
}

fn list(numbers: impl Iterator<Item = u16>) -> String {
    let mut list = String::new();
    for number in numbers {
        let comma = if list.is_empty() { "" } else { "," };
        let _ = write!(list, "{comma}{number:04x}");
    }
    list
}

/// Twelve digits of SHA-256; zeros for an empty list, so that one sees that it is empty.
fn hash(list: &str) -> String {
    if list.is_empty() {
        return "0".repeat(12);
    }
    let mut hash = String::with_capacity(12);
    for octet in &Sha256::digest(list)[..6] {
        let _ = write!(hash, "{octet:02x}");
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::super::hello::testing::{client_hello, uint16s, vector};
    use super::*;

    /// The lists of the example in FoxIO's description of the method, GREASE added.
    const SUITES: [u16; 16] = [
        0x3a3a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d,
        0x002f, 0x0035,
    ];
    const EXTENSIONS: [u16; 17] = [
        0x8a8a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b, 0xff01,
        0x000b, 0x000a, 0x0015,
    ];
    const ALGORITHMS: [u16; 9] = [0x0403, 0x0804, 0x0401, 0x0503, 0x2a2a, 0x0805, 0x0501, 0x0806, 0x0601];

    fn extension(kind: u16, alpn: &[u8]) -> (u16, Vec<u8>) {
        let content = match kind {
            0x000d => vector(2, &uint16s(&ALGORITHMS)),
            0x0010 => vector(2, &vector(1, alpn)),
            0x002b => vector(1, &uint16s(&[0x6a6a, 0x0304, 0x0303])),
            _ => Vec::new(),
        };
        (kind, content)
    }

    fn of(suites: &[u16], extensions: &[u16], alpn: &[u8]) -> String {
        let extensions: Vec<_> = extensions.iter().map(|kind| extension(*kind, alpn)).collect();
        let hello = client_hello(suites, &extensions);
        fingerprint(&Offer::read(&hello).expect("a hello")).into()
    }

    #[test]
    fn the_published_examples_come_out() {
        assert_eq!(of(&SUITES, &EXTENSIONS, b"h2"), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        // As published for later versions of the same browser.
        let later = |new: &[u16]| {
            let kept = EXTENSIONS.into_iter().filter(|kind| !matches!(kind, 0x0015 | 0x4469));
            kept.chain(new.iter().copied()).collect::<Vec<_>>()
        };
        assert_eq!(of(&SUITES, &later(&[0x4469, 0xfe0d]), b"h2"), "t13d1516h2_8daaf6152771_02713d6af862");
        assert_eq!(of(&SUITES, &later(&[0x44cd, 0xfe0d]), b"h2"), "t13d1516h2_8daaf6152771_d8a2da3f94cd");
    }

    #[test]
    fn without_signature_algorithms_the_list_ends_without_underscore() {
        let extensions: Vec<u16> = EXTENSIONS.into_iter().filter(|kind| *kind != 0x000d).collect();
        let listed = "0005,000a,000b,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01";
        assert!(of(&SUITES, &extensions, b"h2").ends_with(&hash(listed)));
        assert_eq!(hash("0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01"), "6d807ffa2a79");
    }

    #[test]
    fn what_is_empty_is_all_zeros() {
        assert_eq!(of(&[], &[], b""), "t12i000000_000000000000_000000000000");
        assert_eq!(of(&[], &[0x0000, 0x0010], b"imap"), "t12d0002ip_000000000000_000000000000");
    }

    #[test]
    fn counts_stop_at_99() {
        let many: Vec<u16> = (0x2000..0x2100).collect();
        assert!(of(&many, &many, b"").starts_with("t12i999900_"));
    }

    #[test]
    fn alpn_is_shown_by_two_characters() {
        let cases: [(&[u8], &str); 9] = [
            (b"", "00"),
            (b"h2", "h2"),
            (b"http/1.1", "h1"),
            (b"q", "qq"),
            (b"\xab", "ab"),
            (b"\xab\xcd", "ad"),
            (b"\x30\xab", "3b"),
            (b"\x30\x31\xab\xcd", "3d"),
            (b"\x30\xab\xcd\x31", "01"),
        ];
        for (name, expected) in cases {
            assert_eq!(alpn(name).iter().collect::<String>(), expected, "{name:?}");
        }
    }
}
