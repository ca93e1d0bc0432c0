//! Community ID version 1: one name for a connection that Zeek, Suricata and packet brokers compute alike. TCP only.

use super::event::Letters;
use crate::wire::Endpoint;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use std::net::IpAddr;

/// Sites that split their networks may choose another; the default of all tools is 0.
const SEED: u16 = 0;
const TCP: u8 = 6;

/// The same for both directions of a connection.
pub(super) fn community_id(a: Endpoint, b: Endpoint) -> Letters<30> {
    // Mapped addresses order as their IPv4 addresses do, so comparing endpoints is comparing as the standard says.
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let mut hash = Sha1::new();
    hash.update(SEED.to_be_bytes());
    for endpoint in [low, high] {
        match endpoint.ip() {
            IpAddr::V4(address) => hash.update(address.octets()),
            IpAddr::V6(address) => hash.update(address.octets()),
        }
    }
    hash.update([TCP, 0]);
    hash.update(low.port.to_be_bytes());
    hash.update(high.port.to_be_bytes());
    let mut text = [b' '; 30];
    text[..2].copy_from_slice(b"1:");
    STANDARD.encode_slice(hash.finalize(), &mut text[2..]).expect("20 octets are 28 letters");
    Letters(text)
}

#[cfg(test)]
mod tests {
    use super::community_id;
    use crate::output::tests::endpoint;

    /// Wanted values by the reference implementation, `communityid` 1.5.0 for Python.
    #[test]
    fn agrees_with_the_reference_in_both_directions() {
        let check = |a: (&str, u16), b: (&str, u16), wanted: &str| {
            let (a, b) = (endpoint(a.0, a.1), endpoint(b.0, b.1));
            assert_eq!(community_id(a, b).0, wanted.as_bytes());
            assert_eq!(community_id(b, a).0, wanted.as_bytes());
        };
        check(("10.20.0.10", 40000), ("192.0.2.25", 143), "1:XlwD2vfWQ6d6KnBNSUA5DV8ULek=");
        check(("192.0.2.10", 49152), ("198.51.100.25", 110), "1:XMe51gaIcRrr7e5oNbv8quO+Yyc=");
        check(("2001:db8::10", 50123), ("2001:db8::25", 993), "1:v/Hd4xSH037dmrma9+vBgQavu7c=");
        check(("::1", 110), ("2001:db8::1", 110), "1:/nTd8cKbVbvTUhIK0iV5wvS1zec=");
        check(("192.0.2.25", 50000), ("192.0.2.25", 25), "1:TXV03Uete04bBXxJe/Crh50PhT4=");
    }
}
