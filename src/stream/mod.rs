//! Segments to the octets of each direction, in causal order. Core: no IO, no clock, no protocols.
//!
//! [`Connection`] puts the two directions of a flow in order and hands pieces to a [`Receiver`]: borrowed
//! straight from the frame when nothing is waiting, from a pooled buffer otherwise. Octets that the capture
//! never saw become a gap. Each piece carries how much of the other direction its sender had acknowledged:
//! that is what orders commands and replies, not the order of capture.

mod connection;
mod half;
mod handshake;
mod key;
mod reorder;
mod table;

pub use connection::{Connection, Counts, Env, Receiver};
pub use handshake::{Candidate, Handshake};
pub use key::{Direction, FlowKey, Side};
pub use reorder::Pool;
pub use table::{Class, FlowTable, Slot};

use crate::wire::PacketRef;

/// What travels with octets: where they were captured and what their sender had seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Mark {
    /// The packet that first brought them.
    pub at: PacketRef,
    /// Octets of the other direction that the sender had acknowledged then; `None` when not known.
    pub seen: Option<u64>,
    /// Offset in their own direction after the last of them; 0 until what reads them has found its bounds.
    pub end: u64,
}

impl Mark {
    /// Of octets of the server: with what the client knows once it has them in place of what the server had seen, so
    /// that it compares with marks of the client.
    #[must_use]
    pub fn as_known_to_client(self) -> Self {
        Self { seen: Some(self.end), ..self }
    }
}

/// Octets of which copies were captured that differ, with what tells one copy from the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// Whose they are.
    pub direction: Direction,
    /// Offset of the first.
    pub begin: u64,
    /// How many.
    pub octets: u64,
    /// Time to live, or hop limit, of the packets with the first copy and the later one.
    pub ttl: [Option<u8>; 2],
    /// Whether their TCP checksums are right.
    pub is_sound: [Option<bool>; 2],
    /// The later copy's time stamp (RFC 7323) is older than the first's.
    pub is_older: Option<bool>,
    /// The first copy was handed on before the later one came.
    pub is_late: bool,
    /// The copies were caught at two places: on other interfaces, in other VLANs, further on the path.
    pub is_elsewhere: bool,
    /// The octet is marked urgent, which receivers leave out or not (RFC 6093 §3).
    pub is_urgent: bool,
}
