//! Records to syslog servers: over TCP counted in octets (RFC 6587 §3.4.1), over TLS (RFC 5425), as datagrams (RFC 5426).
//!
//! Syslog confirms nothing. Delivered means here that the system took it for a connection on which the receiver was not
//! known to be gone: what it had not read when it died is lost without an error, thousands of records under load. Over
//! UDP there is not even that. Who must not lose records takes RELP.

use super::net::{Address, SLICES};
use super::rfc5424::{self, Messages};
use super::tls::{Dialer, Papers, Stream};
use super::{Bounds, Fate, PATIENCE, Parcel, Report, TlsOptions, Transport, Trouble};
use crate::output::Form;
use std::io::{self, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// How messages are carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Each in a datagram.
    Udp,
    /// In a stream in clear.
    #[default]
    Tcp,
    /// In a stream over TLS.
    Tls,
}

impl Protocol {
    /// The port where the address names none. TCP has none of its own; most servers take UDP's.
    #[must_use]
    pub fn default_port(self) -> u16 {
        if self == Self::Tls { 6514 } else { 514 }
    }
}

/// A syslog server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `host:port`, or `host` with the protocol's port.
    pub address: String,
    /// How messages are carried.
    pub protocol: Protocol,
    /// For [`Protocol::Tls`].
    pub tls: TlsOptions,
    /// What stands in their headers.
    pub message: rfc5424::Options,
    /// How long the receiver may take for anything.
    pub patience: Duration,
}

impl Options {
    /// For a server, over TCP.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            protocol: Protocol::default(),
            tls: TlsOptions::default(),
            message: rfc5424::Options::default(),
            patience: PATIENCE,
        }
    }
}

/// A way to a syslog server.
pub struct Syslog {
    messages: Messages,
    way: Way,
}

enum Way {
    Datagrams(Datagrams),
    Stream { dialer: Dialer, stream: Option<Stream> },
}

impl Syslog {
    /// Looks the address up and reads the files that the options name; connects when it is first used.
    ///
    /// # Errors
    ///
    /// One of them is not good: one line that names it.
    pub fn new(options: &Options, form: Form) -> Result<Self, String> {
        let Options { protocol, patience, .. } = *options;
        let messages = Messages::new(&options.message, form)?;
        let address = Address::resolve(&options.address, protocol.default_port())?;
        let tls = (protocol == Protocol::Tls).then_some(&options.tls);
        let way = match protocol {
            Protocol::Udp => Way::Datagrams(Datagrams { address, turn: 0, socket: None, patience }),
            Protocol::Tcp | Protocol::Tls => Way::Stream { dialer: Dialer::new(address, tls, patience)?, stream: None },
        };
        Ok(Self { messages, way })
    }

    /// Where it leads.
    #[must_use]
    pub fn address(&self) -> &Address {
        match &self.way {
            Way::Datagrams(datagrams) => &datagrams.address,
            Way::Stream { dialer, .. } => dialer.address(),
        }
    }
}

impl Drop for Syslog {
    fn drop(&mut self) {
        if let Way::Stream { stream, .. } = &mut self.way
            && let Some(open) = stream.take()
        {
            open.finish();
        }
    }
}

impl Transport for Syslog {
    fn papers(&self) -> Option<Arc<Papers>> {
        match &self.way {
            Way::Datagrams(_) => None,
            Way::Stream { dialer, .. } => dialer.papers(),
        }
    }

    fn bounds(&self) -> Bounds {
        match self.way {
            // A receiver's socket holds some hundred datagrams; what comes while it is full is gone.
            Way::Datagrams(_) => Bounds { records: 16, octets: 64 << 10 },
            Way::Stream { .. } => Bounds { records: 256, octets: 256 << 10 },
        }
    }

    fn deliver(&mut self, parcels: &[Parcel]) -> Report {
        let mut fates = vec![Fate::Waits; parcels.len()];
        let mut messages = Vec::with_capacity(parcels.len());
        for (at, parcel) in parcels.iter().enumerate() {
            let mut message = Vec::with_capacity(parcel.line.len() + 512);
            match self.messages.append(&parcel.line, &mut message) {
                Ok(()) => messages.push((at, message)),
                Err(why) => fates[at] = Fate::Refused(why),
            }
        }
        let sent = match &mut self.way {
            Way::Datagrams(datagrams) => datagrams.send(&messages, &mut fates),
            Way::Stream { dialer, stream } => send(dialer, stream, &messages, &mut fates),
        };
        let trouble = sent.err().map(|why| Trouble::new(format!("{}: {why}", self.address())));
        Report { fates, trouble }
    }
}

/// Sends a batch whole. After an error nobody knows how much of it was read: all of it waits.
fn send(
    dialer: &Dialer,
    stream: &mut Option<Stream>,
    messages: &[(usize, Vec<u8>)],
    fates: &mut [Fate],
) -> Result<(), String> {
    let mut frames = Vec::with_capacity(messages.iter().map(|(_, message)| message.len() + 8).sum());
    for (_, message) in messages {
        let _ = write!(frames, "{} ", message.len());
        frames.extend_from_slice(message);
    }
    // Taken out: what is not whole at the end is dropped.
    let mut open = match stream.take() {
        // A connection that ended since the last batch may have taken that along. It cannot be had back, but it is told,
        // and whoever refuses this client gets one batch at most for each connection.
        Some(mut open) => {
            open.poll_closed().map_err(|error| dialer.words(&error))?;
            open
        }
        None => {
            let mut open = dialer.connect()?;
            open.settle().map_err(|error| dialer.words(&error))?;
            open
        }
    };
    open.allow(SLICES);
    let written = open.send(&frames).and_then(|()| open.poll_closed());
    written.map_err(|error| dialer.words(&error))?;
    for (at, _) in messages {
        fates[*at] = Fate::Delivered;
    }
    *stream = Some(open);
    Ok(())
}

struct Datagrams {
    address: Address,
    /// Which of the addresses is used: the next one after each trouble.
    turn: usize,
    socket: Option<UdpSocket>,
    patience: Duration,
}

impl Datagrams {
    fn send(&mut self, messages: &[(usize, Vec<u8>)], fates: &mut [Fate]) -> Result<(), String> {
        let mut refused = Vec::new();
        let sent = self.connected().and_then(|socket| {
            for (at, message) in messages {
                match socket.send(message) {
                    Ok(_) => {}
                    Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => refused.push((*at, message.len())),
                    Err(error) => return Err(error),
                }
            }
            // "Port unreachable" comes after a datagram, if at all.
            socket.take_error()?.map_or(Ok(()), Err)
        });
        for (at, octets) in refused {
            fates[at] = Fate::Refused(format!("{octets} octets do not fit into a datagram"));
        }
        if let Err(error) = sent {
            self.socket = None;
            self.turn = self.turn.wrapping_add(1);
            return Err(error.to_string());
        }
        for (at, _) in messages {
            if fates[*at] == Fate::Waits {
                fates[*at] = Fate::Delivered;
            }
        }
        Ok(())
    }

    fn connected(&mut self) -> io::Result<&UdpSocket> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                let found = self.address.found();
                let to = found[self.turn % found.len()];
                let any = match to {
                    SocketAddr::V4(_) => "0.0.0.0:0",
                    SocketAddr::V6(_) => "[::]:0",
                };
                let socket = UdpSocket::bind(any)?;
                socket.connect(to)?;
                socket.set_write_timeout(Some(self.patience))?;
                socket
            }
        };
        Ok(self.socket.insert(socket))
    }
}

#[cfg(test)]
#[path = "syslog/tests.rs"]
mod tests;
