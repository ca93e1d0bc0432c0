//! Captured frames to TCP segments: link layers, IP, TCP headers. Core: no IO, no clock.
//!
//! [`decode()`] reads the headers of one [`Frame`] and borrows its payload. What is no TCP segment becomes
//! a [`Skip`] with its reason, so that every captured frame is accounted for. Tunnels are opened on the way;
//! a [`Defragmenter`] makes IP fragments whole.

mod decode;
mod defrag;
mod endpoint;
mod link;
mod segment;
mod seq;
mod tunnel;

use std::cmp::Ordering;

pub use decode::{Fragment, Refusal, Skip, decode, glance, open};
pub use defrag::{Datagram, Defragmenter, Fragments};
pub use endpoint::Endpoint;
pub use link::{LinkType, Unread};
pub use segment::{Flags, Segment};
pub use seq::SeqNumber;
pub use tunnel::{Path, Tunnel, TunnelKind};

/// Nanoseconds since 1970-01-01T00:00:00Z as the capture stamped the packet; never the time of this run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Nanoseconds from `earlier` to `self`; zero when the clock of the capture ran backwards.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Where a packet stands: which input, and its number there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketRef {
    /// When the capture stamped it.
    pub time: Timestamp,
    /// Index of the input (file or interface) in the order given.
    pub input: u32,
    /// 1-based number of the packet in its input.
    pub number: u64,
}

impl PacketRef {
    /// Which came first: of one input that which stands before the other, whatever its clock says.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        if self.input == other.input { self.number.cmp(&other.number) } else { self.cmp(other) }
    }
}

/// One captured frame, borrowed from the map or ring that holds it.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    /// Where and when.
    pub at: PacketRef,
    /// The latest time stamp read so far over all inputs, this frame's included: the only clock of the
    /// core. It depends on the order of the input alone, so timeouts do not depend on worker count.
    pub clock: Timestamp,
    /// What the first octet is.
    pub link_type: LinkType,
    /// The octets that were captured.
    pub octets: &'a [u8],
    /// Octets on the wire; larger than `octets` when the capture cut the frame (snap length).
    pub original_len: u32,
    /// It was not captured so but made of fragments: what these were wrapped in. The octets begin with the IP header.
    pub datagram: Option<&'a Path>,
}
