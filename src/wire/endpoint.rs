//! Addresses and ports of TCP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address and a port. IPv4 addresses are kept as IPv4-mapped IPv6 (RFC 4291 §2.5.5.2): one width, one compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
// Packed: two of them are in every flow's state and every record, and a u128's alignment would cost 8 octets each.
#[repr(Rust, packed(8))]
pub struct Endpoint {
    /// IPv6 address, or IPv4-mapped.
    pub address: u128,
    /// TCP port.
    pub port: u16,
}

impl Endpoint {
    const V4_MAPPED: u128 = 0xffff << 32;

    /// The mapped form of an IPv4 address.
    #[must_use]
    #[inline]
    pub fn v4(address: u32) -> u128 {
        Self::V4_MAPPED | u128::from(address)
    }

    /// The address as people write it.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        match Ipv6Addr::from(self.address).to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from(self.address)),
        }
    }
}

impl From<(IpAddr, u16)> for Endpoint {
    fn from((address, port): (IpAddr, u16)) -> Self {
        let address = match address {
            IpAddr::V4(address) => Self::v4(address.into()),
            IpAddr::V6(address) => address.into(),
        };
        Self { address, port }
    }
}

impl From<(Ipv4Addr, u16)> for Endpoint {
    fn from((address, port): (Ipv4Addr, u16)) -> Self {
        Self { address: Self::v4(address.into()), port }
    }
}
