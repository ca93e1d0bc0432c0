//! Where mail is expected.

use crate::mail::{Hint, PROTOCOLS, Protocol};
use crate::wire::Segment;

/// Which ports suggest which protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    hints: Vec<(u16, Hint)>,
    is_all: bool,
}

impl Default for Ports {
    fn default() -> Self {
        let mut ports = Self { hints: Vec::new(), is_all: false };
        for info in &PROTOCOLS {
            ports.set(info.protocol, info.ports);
            for &port in info.implicit_tls_ports {
                ports.hints.push((port, Hint { protocol: info.protocol, is_implicit_tls: true }));
            }
        }
        ports
    }
}

impl Ports {
    /// Sets the ports where a protocol speaks clear text, in place of the usual ones.
    pub fn set(&mut self, protocol: Protocol, list: &[u16]) {
        self.replace(Hint { protocol, is_implicit_tls: false }, list);
    }

    /// Sets the ports where TLS must come first, in place of the usual ones.
    pub fn set_implicit_tls(&mut self, protocol: Protocol, list: &[u16]) {
        self.replace(Hint { protocol, is_implicit_tls: true }, list);
    }

    fn replace(&mut self, hint: Hint, list: &[u16]) {
        self.hints.retain(|(port, known)| *known != hint && !list.contains(port));
        self.hints.extend(list.iter().map(|&port| (port, hint)));
    }

    /// Leaves out what is on no other port, whatever it says.
    pub fn set_only(&mut self) {
        self.is_all = true;
    }

    /// What a server's port suggests.
    #[must_use]
    pub fn hint(&self, port: u16) -> Option<Hint> {
        self.hints.iter().find(|(known, _)| *known == port).map(|(_, hint)| *hint)
    }

    /// Whether a segment is looked at.
    #[must_use]
    pub fn watches(&self, segment: &Segment<'_>) -> bool {
        !self.is_all || [segment.source.port, segment.destination.port].iter().any(|port| self.hint(*port).is_some())
    }

    /// All ports, for a capture filter.
    pub fn all(&self) -> impl Iterator<Item = u16> + '_ {
        self.hints.iter().map(|(port, _)| *port)
    }
}

/// The ports that are looked at, where not all are: one bit each, since every packet is asked for.
pub(super) struct Watched(Box<[u64; 1024]>);

impl Watched {
    /// `None`: all ports are looked at.
    pub(super) fn of(ports: &Ports) -> Option<Self> {
        ports.is_all.then(|| Self::hinted(ports))
    }

    /// Those where mail is expected.
    pub(super) fn hinted(ports: &Ports) -> Self {
        let mut bits = Box::new([0; 1024]);
        for port in ports.all() {
            bits[usize::from(port >> 6)] |= 1_u64 << (port & 63);
        }
        Self(bits)
    }

    // Not where every packet comes by.
    #[inline(never)]
    pub(super) fn has(&self, segment: &Segment<'_>) -> bool {
        let ports = [segment.source.port, segment.destination.port];
        ports.iter().any(|port| self.0[usize::from(port >> 6)] >> (port & 63) & 1 == 1)
    }
}
