//! Every bound of the core on one page, each with its reason. Reaching one is counted, never an error.

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

/// Bounds that follow from the memory an operator allows; [`Limits::default`] is what the documentation promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets that all flows of one engine may take, reorder buffers and what the allocator adds included. Not in it: what
    /// does not grow with flows, fragments ([`FRAGMENT_OCTETS`]) and findings that wait to be counted.
    pub octets: usize,
    /// Flows in the table of one engine. One of no interest takes 82 octets, mail after its login less than 1.5 KiB.
    pub flows: usize,
    /// Reorder buffers open at once in one engine: half of the memory at most.
    pub reorder_buffers: usize,
    /// Distinct findings held to be counted before they are written out.
    pub findings: usize,
}

impl Limits {
    /// What `octets` allow.
    #[must_use]
    pub fn of_memory(octets: usize) -> Self {
        Self {
            octets,
            flows: (octets / 512).clamp(1, 1_000_000),
            reorder_buffers: (octets / 2 / REORDER_OCTETS).clamp(1, 1024),
            findings: 1_000_000,
        }
    }

    /// What each of several engines may take.
    #[must_use]
    pub fn shared_by(self, engines: usize) -> Self {
        Self::of_memory(self.octets / engines.max(1))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::of_memory(512 * 1024 * 1024)
    }
}

/// What a block takes at most beyond the octets that were asked for: the allocator of the C library writes its size before
/// it, deals in steps of sixteen octets and in 32 at least.
pub const BLOCK_OCTETS: usize = 32;
/// For each so many octets in use one lies free between them: buffers that grow leave gaps which nothing fits. Lines
/// without an end in 64 KiB each, the worst case measured, leave one in ten.
pub const IN_USE_FOR_ONE_FREE: usize = 7;

/// Octets one direction may hold out of order: twice the usual 64 KiB window and room for a few lost segments.
pub const REORDER_OCTETS: usize = 256 * 1024;
/// Pieces one direction may hold out of order; smoltcp's Assembler is built with the same number.
pub const REORDER_PIECES: usize = 256;
/// Octets waiting above a hole after which the hole is presumed lost: a sender with a 64 KiB window can
/// have no more in flight.
pub const PRESUMED_LOST_OCTETS: usize = 64 * 1024;
/// Segments of the connection after which a hole that nobody acknowledged is presumed lost.
pub const PRESUMED_LOST_SEGMENTS: u32 = 64;
/// The same in packet time, nanoseconds.
pub const PRESUMED_LOST_NS: u64 = 10 * SECOND;
/// Segments after which a hole that the receiver acknowledged is taken as lost by the capture. Span ports
/// hand packets over out of order by a few places, so not at once.
pub const PROVED_LOST_SEGMENTS: u32 = 16;
/// The same in packet time, nanoseconds.
pub const PROVED_LOST_NS: u64 = 2 * SECOND;
/// A sequence or acknowledgement number further off than this belongs to another connection or to an attacker.
pub const WILD_OFFSET: i64 = 16 * 1024 * 1024;
/// Segments that continue each other beyond the window before the stream follows them: one forged segment
/// must not move it.
pub const RESYNC_SEGMENTS: u32 = 16;

/// A flow of which only a SYN was seen.
pub const EMBRYO_NS: u64 = 15 * SECOND;
/// One flow in so many may be such a one.
pub const EMBRYO_SHARE: usize = 10;
/// A mail flow in clear: IMAP clients re-issue IDLE within 29 minutes (RFC 2177).
pub const IDLE_MAIL_NS: u64 = 30 * 60 * SECOND;
/// A flow that is encrypted or no mail: kept as a tombstone only.
pub const IDLE_OTHER_NS: u64 = 2 * 60 * SECOND;
/// After both FINs and all before them, for the last acknowledgement and what is sent again of it. What comes later begins
/// a flow in its middle.
pub const CLOSED_NS: u64 = SECOND;
/// After an exact RST, which the ends may not have obeyed.
pub const LINGER_NS: u64 = 5 * SECOND;
/// Client octets wait this long for the reply that decides how to read them.
pub const REPLY_WAIT_NS: u64 = 30 * SECOND;

/// Octets per direction within which the protocol must show itself.
pub const PROBE_OCTETS: usize = 2048;
/// Octets of a PROXY preamble: addresses take 216 at most, and what senders add to them (names, certificates' names)
/// stays far below this. A longer one is not waited for.
pub const PROXY_OCTETS: usize = 4 * 1024;
/// Lines in which a wrong identification shows, or never will.
pub const GUARD_LINES: u32 = 64;
/// What is kept of each of them: a tag, a verb and a space.
pub const GUARD_LINE_OCTETS: usize = 64;
/// Octets of a greeting that may be captured after the client's answer to it, where the SYN-ACK was not captured: with the
/// banners and capability lists of the field as long as a line.
pub const GREETING_OCTETS: i32 = 8 * 1024;
/// A command or reply line. RFC 5321 §4.5.3.1.4 allows 512; banners and capability lists in the field are longer.
pub const LINE_OCTETS: usize = 8 * 1024;
/// A line of a SASL exchange: RFC 4954 §4 asks for 12288.
pub const SASL_LINE_OCTETS: usize = 16 * 1024;
/// An IMAP or ACAP line without its literals.
pub const IMAP_LINE_OCTETS: usize = 64 * 1024;
/// A literal that is an argument of LOGIN, a SASL response or challenge; a longer one is counted, not kept.
pub const LITERAL_OCTETS: usize = 4 * 1024;
/// A chunk of a message by BDAT; a longer one is a lie that would have the rest of the connection skipped.
pub const CHUNK_OCTETS: u64 = 1 << 40;
/// Client octets held until the deciding reply is known.
pub const HELD_OCTETS: usize = 64 * 1024;
/// Commands without reply. A client that pipelines more is not reading replies.
pub const PENDING_COMMANDS: usize = 1024;
/// Octets of a TLS hello that are read.
pub const HELLO_OCTETS: usize = 16 * 1024;
/// Octets of a Certificate message that are read: a chain of a few certificates is 4 to 8 KiB, one with hundreds of
/// names or post-quantum signatures several times that.
pub const CERTIFICATE_OCTETS: usize = 64 * 1024;
/// Names of a certificate that are told. Mail servers have a few; those of large hosters have hundreds.
pub const CERTIFICATE_NAMES: usize = 16;
/// Octets of both directions after a TLS handshake within which the first application data must come: a session
/// that exchanges more without any is renegotiating and shows nothing else.
pub const TLS_TAIL_OCTETS: u64 = 64 * 1024;
/// Characters of any text from the wire in a record.
pub const TEXT_CHARS: usize = 256;
/// Octets of each direction that are kept once handed on, to be compared with later copies: a sender repeats what was not
/// acknowledged, and what is said until a login is shorter. Twice as many for a moment.
pub const TAIL_OCTETS: usize = 8 * 1024;
/// Pieces in which they came.
pub const TAIL_PIECES: usize = 128;
/// Copies that differ, of one connection, that are read each by itself; what comes after them is counted only.
pub const CONFLICTS: usize = 16;
/// Octets of such copies that wait for their turn.
pub const CONFLICT_OCTETS: usize = 16 * 1024;
/// Octets that may be read again because of copies that differ, of any connection,
pub const REREAD_OCTETS: u64 = 512 * 1024;
/// and besides so many times what was said on it.
pub const REREAD_TIMES: u64 = 16;
/// Connections of one engine that are followed in two readings at a time: each costs a second detector.
pub const DOUBTS: usize = 4096;
/// Octets of IP fragments that wait for others.
pub const FRAGMENT_OCTETS: usize = 16 * 1024 * 1024;
/// How long they wait, nanoseconds: hosts keep them 15 to 60 seconds (RFC 1122 §3.3.2, RFC 8200 §4.5).
pub const FRAGMENT_NS: u64 = 30 * SECOND;
/// Separate pieces of one datagram: a datagram in fragments of 576 octets has a hundred in all.
pub const DATAGRAM_PIECES: usize = 64;
/// Headers that wrap a packet, one in the other: real networks have four at most.
pub const LAYERS: usize = 8;
/// Octets of connections without a beginning, on other ports than those of mail, that are kept of one file of an archive:
/// what an earlier file has shown of them is not known there.
pub const UNKNOWN_OCTETS: u64 = 1 << 30;
/// Connections of one file of an archive of which packets are left out, 64 octets of memory each; beyond that all is kept.
pub const LEFT_OUT_NOTES: usize = 4 << 20;
/// Packets of connections on other ports that have not said anything yet, of one file of an archive, that wait for what
/// they will say. Beyond that the oldest are kept.
pub const HELD_PACKETS: usize = 64 * 1024;
/// Of one connection: a handshake has two beside the SYN.
pub const HELD_OF_FLOW: u32 = 8;
/// Octets of such a packet: hardly any has a payload, but it may be in a tunnel.
pub const HELD_PACKET_OCTETS: usize = 256;
