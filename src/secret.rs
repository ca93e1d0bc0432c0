//! The one type that holds a secret, and the keyed fingerprint that is all that leaves it.
//!
//! [`Secret`] has no `Debug`, `Display`, `Clone` or serialiser and is wiped when dropped; its octets
//! can be read in this file only. What leaves is [`Fingerprint`], an HMAC under a key that is random
//! for the run unless the operator gave one.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, Zeroizing};

/// A password or bearer token as it stood on the wire, wiped on drop.
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Copies the secret once, into a buffer of exactly its size (a buffer that grows would leave copies).
    #[must_use]
    pub fn new(octets: &[u8]) -> Self {
        Self(octets.into())
    }
}

impl Secret {
    /// Octets of memory it takes; for accounts only.
    pub(crate) fn octets(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing to it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Why anybody could guess it: it is empty, the user's own name, or its SHA-256 stands in the sorted list. Compared
    /// in memory only.
    #[must_use]
    pub fn weakness(&self, user: &str, digests: &[[u8; 32]]) -> Option<&'static str> {
        let local = user.split('@').next().unwrap_or(user);
        let is_name = |name: &str| !name.is_empty() && self.0.eq_ignore_ascii_case(name.as_bytes());
        match () {
            () if self.0.is_empty() => Some("empty"),
            () if is_name(user) || is_name(local) => Some("equals-user"),
            () if digests.binary_search(&Sha256::digest(&self.0).into()).is_ok() => Some("listed"),
            () => None,
        }
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What a fingerprint was made of; a password never equals a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FingerprintClass {
    /// A password, octets exactly as sent.
    Password,
    /// A bearer token.
    Bearer,
}

impl FingerprintClass {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Password => b"password",
            Self::Bearer => b"bearer",
        }
    }
}

/// `fp1:<keyid>:<32 hex>`: equal secrets under one key have equal fingerprints; the secret cannot be read back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Fingerprint {
    key_id: [u8; 2],
    digest: [u8; 16],
}

impl Fingerprint {
    /// Octets of one.
    pub(crate) const LEN: usize = 18;

    /// Which key, and the digest.
    #[must_use]
    pub(crate) fn octets(&self) -> [u8; Self::LEN] {
        let mut octets = [0; Self::LEN];
        octets[..2].copy_from_slice(&self.key_id);
        octets[2..].copy_from_slice(&self.digest);
        octets
    }

    /// The one that has these octets.
    #[must_use]
    pub(crate) fn restored(octets: &[u8; Self::LEN]) -> Self {
        let (mut key_id, mut digest) = ([0; 2], [0; 16]);
        key_id.copy_from_slice(&octets[..2]);
        digest.copy_from_slice(&octets[2..]);
        Self { key_id, digest }
    }

    /// The one that is written so; `None` of any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let letters: &[u8; 41] = text.as_bytes().try_into().ok()?;
        let mut octets = [0; Self::LEN];
        let digit = |at: usize| match letters[at] {
            digit @ b'0'..=b'9' => Some(digit - b'0'),
            digit @ b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        for (octet, at) in octets.iter_mut().zip(Self::places()) {
            *octet = digit(at)? << 4 | digit(at + 1)?;
        }
        Some(Self::restored(&octets)).filter(|known| known.letters() == *letters)
    }

    /// Where its octets stand in its text.
    fn places() -> impl Iterator<Item = usize> {
        (4..8).step_by(2).chain((9..41).step_by(2))
    }

    /// The four digits of the key that it was made under.
    #[must_use]
    pub fn key_id(&self) -> u16 {
        u16::from_be_bytes(self.key_id)
    }

    /// `fp1:`, which key, and the digest, in hexadecimal digits.
    #[must_use]
    pub fn letters(&self) -> [u8; 41] {
        let mut text = *b"fp1:0000:00000000000000000000000000000000";
        for (at, octet) in Self::places().zip(self.key_id.iter().chain(&self.digest)) {
            text[at] = b"0123456789abcdef"[usize::from(octet >> 4)];
            text[at + 1] = b"0123456789abcdef"[usize::from(octet & 15)];
        }
        text
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(std::str::from_utf8(&self.letters()).unwrap_or_default())
    }
}

/// The key of all fingerprints of a run, with the key schedule done once.
#[derive(Clone)]
pub struct FingerprintKey {
    mac: Hmac<Sha256>,
    key_id: [u8; 2],
}

impl FingerprintKey {
    /// Octets of a key.
    pub const LEN: usize = 32;

    /// Takes the key; the caller's copy is the caller's to wipe.
    #[must_use]
    pub fn new(key: &[u8; Self::LEN]) -> Self {
        let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        let id = mac.clone().chain_update(b"id").finalize().into_bytes();
        Self { mac, key_id: [id[0], id[1]] }
    }

    /// Reads a key file's content: 32 raw octets, or 64 hexadecimal digits with optional white space around.
    #[must_use]
    pub fn parse(content: &[u8]) -> Option<Self> {
        if let Ok(raw) = <&[u8; Self::LEN]>::try_from(content) {
            return Some(Self::new(raw));
        }
        let digits = content.trim_ascii();
        if digits.len() != 2 * Self::LEN {
            return None;
        }
        let mut key = Zeroizing::new([0; Self::LEN]);
        for (octet, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            *octet = u8::try_from(high << 4 | low).ok()?;
        }
        Some(Self::new(&key))
    }

    /// The four digits by which its fingerprints name it.
    #[must_use]
    pub fn id(&self) -> String {
        self.key_id.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    /// First 16 octets of HMAC-SHA-256(K, `"barewire/fp/1" 0x00 class 0x00 secret`).
    #[must_use]
    pub fn fingerprint(&self, class: FingerprintClass, secret: &Secret) -> Fingerprint {
        #[cfg(debug_assertions)]
        panic_where_asked(secret);
        let full = self
            .mac
            .clone()
            .chain_update(b"barewire/fp/1\0")
            .chain_update(class.label())
            .chain_update(b"\0")
            .chain_update(&secret.0)
            .finalize()
            .into_bytes();
        let mut digest = [0; 16];
        digest.copy_from_slice(&full[..16]);
        Fingerprint { key_id: self.key_id, digest }
    }
}

/// For the test of leaks, and in no release: the worst panic that there can be, one whose own message has the secret. The
/// program tells the place of a panic and never its message.
#[cfg(debug_assertions)]
fn panic_where_asked(secret: &Secret) {
    let is_asked = std::env::var_os("BAREWIRE_PANIC_WITH_SECRET").is_some();
    assert!(!is_asked, "the secret is {}", String::from_utf8_lossy(&secret.0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_and_hexadecimal_forms_of_one_key_agree() {
        let hex = [b"0b".repeat(32), b"\n".to_vec()].concat();
        let by_hex = FingerprintKey::parse(&hex).expect("64 digits");
        let by_raw = FingerprintKey::parse(&[0x0b; 32]).expect("32 octets");
        let print = |key: &FingerprintKey| {
            key.fingerprint(FingerprintClass::Password, &Secret::new(b"not-a-real-one")).to_string()
        };
        assert_eq!(print(&by_hex), print(&by_raw));
        assert!(print(&by_raw).starts_with("fp1:"));
        assert_eq!(print(&by_raw).len(), "fp1:0000:".len() + 32);
    }

    #[test]
    fn a_password_and_a_token_of_the_same_octets_differ() {
        let key = FingerprintKey::new(&[7; 32]);
        let secret = Secret::new(b"same");
        let password = key.fingerprint(FingerprintClass::Password, &secret);
        assert_ne!(password, key.fingerprint(FingerprintClass::Bearer, &secret));
    }

    #[test]
    fn a_fingerprint_is_read_back_and_nothing_else_is() {
        let known = FingerprintKey::new(&[7; 32]).fingerprint(FingerprintClass::Password, &Secret::new(b"x"));
        let text = known.to_string();
        assert_eq!(Fingerprint::parse(&text), Some(known));
        for wrong in ["", &text[1..], &text.to_uppercase(), &text.replace("fp1", "fp2"), &text.replace(':', "0")] {
            assert_eq!(Fingerprint::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn other_lengths_are_no_key() {
        assert!(FingerprintKey::parse(b"").is_none());
        assert!(FingerprintKey::parse(&[b'0'; 63]).is_none());
        assert!(FingerprintKey::parse(&[b'g'; 64]).is_none());
    }
}
