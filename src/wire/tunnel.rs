//! What a segment was wrapped in.

/// How packets are carried in others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TunnelKind {
    /// MPLS labels (RFC 3032), also with an Ethernet pseudowire (RFC 4448) under them.
    Mpls,
    /// PPPoE session (RFC 2516).
    Pppoe,
    /// GRE (RFC 2784, RFC 2890), also with Ethernet in it, and PPTP's version of it (RFC 2637).
    Gre,
    /// A switch's mirror port over GRE, types I, II and III.
    Erspan,
    /// VXLAN (RFC 7348).
    Vxlan,
    /// Geneve (RFC 8926).
    Geneve,
    /// IPv4 in IPv4 (RFC 2003), IPv4 or IPv6 in IPv6 (RFC 2473).
    IpInIp,
    /// IPv6 in IPv4 (RFC 4213).
    SixInFour,
    /// GTP-U, the user plane of mobile networks (3GPP TS 29.281).
    GtpU,
    /// Teredo (RFC 4380).
    Teredo,
}

impl TunnelKind {
    /// All kinds with the words for records, in the order of their numbers.
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::Mpls, "mpls"),
        (Self::Pppoe, "pppoe"),
        (Self::Gre, "gre"),
        (Self::Erspan, "erspan"),
        (Self::Vxlan, "vxlan"),
        (Self::Geneve, "geneve"),
        (Self::IpInIp, "ip-in-ip"),
        (Self::SixInFour, "6in4"),
        (Self::GtpU, "gtp-u"),
        (Self::Teredo, "teredo"),
    ];

    /// The word for records.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// The outermost tunnel of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tunnel {
    /// Which kind.
    pub kind: TunnelKind,
    /// Addresses of the outer packet as in [`Endpoint::address`](super::Endpoint), the lower first: a mirror port sends
    /// both directions of a connection the same way. MPLS and PPPoE have none.
    pub ends: Option<[u128; 2]>,
}

#[cfg(test)]
mod tests {
    use super::TunnelKind;

    #[test]
    fn kinds_stand_in_the_order_of_their_numbers() {
        assert!(TunnelKind::ALL.iter().enumerate().all(|(at, (kind, _))| *kind as usize == at));
    }
}
