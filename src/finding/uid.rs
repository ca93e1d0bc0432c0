//! The identity of a finding: its name and key fields, nothing else. Replays, resends, other sensors and any number of
//! workers give the same.

use super::catalogue::Key;
use super::record::Finding;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// RFC 4648 §6.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// 80 bits of SHA-256, written as 16 characters of base32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid([u8; 10]);

impl Uid {
    /// The first 80 bits of a digest.
    #[must_use]
    pub fn from_digest(digest: &[u8; 32]) -> Self {
        let mut short = [0; 10];
        short.copy_from_slice(&digest[..10]);
        Self(short)
    }

    /// The one that is written so; `None` if these are no 16 characters of base32.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut uid = [0; 10];
        let letters: &[u8; 16] = text.as_bytes().try_into().ok()?;
        for (letters, group) in letters.chunks_exact(8).zip(uid.chunks_exact_mut(5)) {
            let bits = letters.iter().try_fold(0_u64, |bits, letter| {
                let value = ALPHABET.iter().position(|known| known == letter)?;
                Some(bits << 5 | value as u64)
            })?;
            group.copy_from_slice(&bits.to_be_bytes()[3..]);
        }
        Some(Self(uid))
    }

    /// Its octets.
    #[must_use]
    pub(super) fn octets(&self) -> [u8; 10] {
        self.0
    }

    /// The one that has these octets.
    #[must_use]
    pub(super) fn restored(octets: [u8; 10]) -> Self {
        Self(octets)
    }

    /// RFC 4648 §6 without padding; 10 octets are exactly 16 characters.
    #[must_use]
    pub fn letters(&self) -> [u8; 16] {
        let mut text = [0; 16];
        for (group, letters) in self.0.chunks_exact(5).zip(text.chunks_exact_mut(8)) {
            let bits = group.iter().fold(0_u64, |bits, &octet| bits << 8 | u64::from(octet));
            for (at, letter) in letters.iter_mut().rev().enumerate() {
                *letter = ALPHABET[(bits >> (at * 5) & 31) as usize];
            }
        }
        text
    }

    /// The identity of a finding; `input` names where its packets came from. Never of the client's port, a time or a
    /// packet number or a fingerprint.
    #[must_use]
    pub(super) fn of(finding: &Finding, input: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(finding.id.name());
        let key = finding.id.entry().key;
        if let Some(flow) = finding.flow.filter(|_| key.holds_server()) {
            hash.update(flow.server.address.to_be_bytes());
            hash.update(flow.server.port.to_be_bytes());
            hash.update(flow.protocol.name());
            if key.holds_client() {
                hash.update(flow.client.address.to_be_bytes());
            }
        }
        let user = key.holds_user().then_some(&finding.user);
        let mechanism = key.holds_mechanism().then_some(&finding.mechanism);
        for part in [user, mechanism].into_iter().flatten() {
            let part = part.as_ref().map_or(&[][..], |text| text.as_bytes());
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        match key {
            // Where a capture lies is not part of what it shows.
            Key::Input => hash.update(input.rsplit('/').next().unwrap_or(input)),
            // The fingerprint itself would differ from key to key.
            Key::Fingerprint => hash.update(finding.places().first().map_or("", String::as_str)),
            _ => {}
        }
        Self::from_digest(&hash.finalize().into())
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.letters()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::Uid;

    #[test]
    fn what_was_written_is_read_back() {
        for uid in [Uid(*b"foobafooba"), Uid([0; 10]), Uid([0xff; 10]), Uid([1, 2, 3, 4, 5, 250, 251, 252, 253, 254])] {
            assert_eq!(Uid::parse(&uid.to_string()), Some(uid));
        }
        for text in ["", "MZXW6YTBMZXW6YT", "MZXW6YTBMZXW6YTBA", "mzxw6ytbmzxw6ytb", "MZXW6YTBMZXW6YT1"] {
            assert_eq!(Uid::parse(text), None, "{text}");
        }
    }

    #[test]
    fn base32_is_that_of_the_rfc() {
        assert_eq!(Uid(*b"foobafooba").to_string(), "MZXW6YTBMZXW6YTB");
        assert_eq!(Uid([0xff; 10]).to_string(), "7777777777777777");
        assert_eq!(Uid([0, 0, 0, 0, 1, 0, 0, 0, 0, 0]).to_string(), "AAAAAAABAAAAAAAA");
    }
}
