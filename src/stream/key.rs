//! Who talks to whom: flow keys, sides and directions.

use crate::wire::Endpoint;
use std::hash::{Hash, Hasher};

/// The two ends of a flow in an order that does not depend on who spoke first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// Packed: each flow has one in the table, and the alignment of its words would cost 8 octets there.
#[repr(Rust, packed(4))]
pub struct FlowKey {
    words: [u64; 4],
    ports: u32,
}

/// Which end of a [`FlowKey`] something came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Side {
    /// The end that sorts first.
    A = 0,
    /// The other.
    B = 1,
}

impl Side {
    /// The opposite end.
    #[must_use]
    #[inline]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Index into a pair.
    #[must_use]
    #[inline]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// Number by number, for each packet is hashed, and what hashes octets of any length takes longer.
impl Hash for FlowKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        { self.words }.into_iter().for_each(|word| state.write_u64(word));
        state.write_u32(self.ports);
    }
}

impl FlowKey {
    /// The key of a flow and which side `source` is.
    #[must_use]
    #[inline]
    pub fn between(source: Endpoint, destination: Endpoint) -> (Self, Side) {
        let (a, b, side) = if (source.address, source.port) <= (destination.address, destination.port) {
            (source, destination, Side::A)
        } else {
            (destination, source, Side::B)
        };
        let split = |address: u128| ((address >> 64) as u64, address as u64);
        let (a_high, a_low) = split(a.address);
        let (b_high, b_low) = split(b.address);
        (Self { words: [a_high, a_low, b_high, b_low], ports: u32::from(a.port) << 16 | u32::from(b.port) }, side)
    }

    /// The endpoint on `side`.
    #[must_use]
    pub fn endpoint(&self, side: Side) -> Endpoint {
        let at = side.index() * 2;
        let port = if side == Side::A { self.ports >> 16 } else { self.ports & 0xffff };
        Endpoint { address: u128::from(self.words[at]) << 64 | u128::from(self.words[at + 1]), port: port as u16 }
    }
}

/// Which way octets go. Never a `bool`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Direction {
    /// From the client.
    ToServer = 0,
    /// From the server.
    ToClient = 1,
}

impl Direction {
    /// The opposite way.
    #[must_use]
    #[inline]
    pub fn other(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }

    /// Index into a pair.
    #[must_use]
    #[inline]
    pub fn index(self) -> usize {
        self as usize
    }
}
