//! What the operator says of the network and its accounts; it changes how grave a finding is and
//! what follows from it, never whether it is one.

use super::baseline::Baseline;
use super::record::Flow;
use crate::wire::Endpoint;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The operator's settings for judging.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Networks whose path is protected otherwise: a VPN, a wire of one's own.
    pub trusted_segments: Vec<Segment>,
    /// Accounts that open more than a mailbox.
    pub privileged_users: BTreeSet<String>,
    /// Whether passwords are compared with what everybody tries first; `None`: no.
    pub weak_secrets: Option<WeakSecrets>,
    /// Connections on one host are judged like those between two: a test run stands for a network.
    pub judges_one_host: bool,
    /// Findings that are told, and no more than that.
    pub baseline: Baseline,
}

/// What makes a password weak besides being empty or the user's own name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WeakSecrets {
    /// SHA-256 of passwords, sorted.
    pub digests: Vec<[u8; 32]>,
}

/// Addresses with a common beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// An address in it, IPv4 mapped into IPv6.
    address: u128,
    /// Bits that must agree, of 128.
    bits: u32,
    /// A network of IPv6 holds no IPv4 address, though one mapped into IPv6 may lie in its range.
    is_v4: bool,
}

impl Segment {
    /// Reads `10.0.0.0/8`, `2001:db8::/32` or a single address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let (address, width, is_v4) = match address.parse().ok()? {
            IpAddr::V4(address) => (Endpoint::v4(address.into()), 32, true),
            IpAddr::V6(address) => (address.into(), 128, false),
        };
        let bits = bits.unwrap_or(width);
        (bits <= width).then_some(Self { address, bits: bits + 128 - width, is_v4 })
    }

    fn holds(self, endpoint: Endpoint) -> bool {
        let different = self.address ^ endpoint.address;
        endpoint.ip().is_ipv4() == self.is_v4 && different.leading_zeros() >= self.bits
    }
}

/// As [`Segment::parse`] reads it.
impl std::fmt::Display for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.is_v4 {
            true => write!(f, "{}/{}", std::net::Ipv4Addr::from(self.address as u32), self.bits - 96),
            false => write!(f, "{}/{}", std::net::Ipv6Addr::from(self.address), self.bits),
        }
    }
}

impl Policy {
    /// Whether both ends lie in trusted segments.
    #[must_use]
    pub(super) fn trusts(&self, ends: [Endpoint; 2]) -> bool {
        ends.into_iter().all(|end| self.trusted_segments.iter().any(|segment| segment.holds(end)))
    }

    /// Whether nothing of it was on a network, and that counts.
    #[must_use]
    pub(super) fn spares(&self, flow: &Flow) -> bool {
        !self.judges_one_host && flow.is_on_one_host()
    }

    /// The severity of a finding between these ends: what never left the host is no exposure on a network, and a path
    /// that is protected otherwise is worth a step.
    #[must_use]
    pub(super) fn weigh_place(&self, severity: u8, flow: &Flow) -> u8 {
        if self.spares(flow) {
            return 1;
        }
        severity.saturating_sub(u8::from(self.trusts([flow.client, flow.server]))).max(1)
    }

    /// Whether the account is privileged, by its whole name or what stands before `@`.
    #[must_use]
    pub(super) fn is_privileged(&self, user: &str) -> bool {
        let local = user.split('@').next().unwrap_or(user);
        self.privileged_users.contains(user) || self.privileged_users.contains(local)
    }
}

/// Whether both ends are one host.
/// Globally reachable by the IANA special-purpose registries (RFC 6890), as far as mail can meet them.
pub(super) fn is_public(endpoint: Endpoint) -> bool {
    match endpoint.ip() {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            let is_benchmark = a == 198 && (b == 18 || b == 19);
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation()
                || address.is_multicast()
                || a == 0
                || a >= 240
                || is_shared
                || is_benchmark)
        }
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            // Global unicast is 2000::/3; 2001:db8::/32 is for documentation.
            first & 0xe000 == 0x2000 && !(first == 0x2001 && second == 0x0db8)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        (text.parse::<IpAddr>().expect("an address"), 25).into()
    }

    #[test]
    fn public_addresses_are_the_globally_reachable_ones() {
        for public in ["8.8.8.8", "100.128.0.1", "2a01:4f8::1"] {
            assert!(is_public(endpoint(public)), "{public}");
        }
        for other in ["10.1.2.3", "192.0.2.1", "100.64.0.1", "127.0.0.1", "fe80::1", "fd00::1", "2001:db8::1"] {
            assert!(!is_public(endpoint(other)), "{other}");
        }
    }

    #[test]
    fn segments_hold_their_addresses() {
        let policy = |list: &[&str]| Policy {
            trusted_segments: list.iter().map(|text| Segment::parse(text).expect("a segment")).collect(),
            ..Policy::default()
        };
        let ends = [endpoint("10.1.2.3"), endpoint("10.200.0.1")];
        assert!(policy(&["10.0.0.0/8"]).trusts(ends));
        assert!(!policy(&["10.1.0.0/16"]).trusts(ends));
        assert!(policy(&["10.1.0.0/16", "10.200.0.1"]).trusts(ends));
        assert!(policy(&["0.0.0.0/0"]).trusts(ends));
        assert!(policy(&["2001:db8::/32"]).trusts([endpoint("2001:db8::1"); 2]));
        assert!(!policy(&["::/64"]).trusts(ends));
        for text in ["10.0.0.0/8", "0.0.0.0/0", "10.200.0.1/32", "2001:db8::/32", "::ffff:10.0.0.1/128"] {
            assert_eq!(Segment::parse(text).expect("a segment").to_string(), text);
        }
        for wrong in ["10.0.0.0/33", "10.0.0/8", "", "x", "10.0.0.0/-1"] {
            assert_eq!(Segment::parse(wrong), None, "{wrong}");
        }
    }
}
