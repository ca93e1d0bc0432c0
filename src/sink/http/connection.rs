//! The way of HTTP to a receiver: the same dialer, and so the same TLS, sandbox and patience as for all others, below a
//! client that knows no more than how to speak.

use crate::sink::net::SLICES;
use crate::sink::tls::{Dialer, Stream, is_of_tls};
use std::fmt;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::sync::Arc;
use ureq::Error;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};
use zeroize::Zeroize as _;

/// Octets that are sent and received at once.
const BUFFER_OCTETS: usize = 64 << 10;

/// Where an answer's status begins, after `HTTP/1.1 `.
const STATUS: usize = 9;

/// The receiver's addresses were looked up when the dialer was made.
#[derive(Debug)]
pub(super) struct KnownAlready;

impl Resolver for KnownAlready {
    fn resolve(&self, _: &Uri, _: &ureq::config::Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        Ok(self.empty())
    }
}

/// Opens connections.
pub(super) struct Dialing(pub(super) Arc<Dialer>);

impl fmt::Debug for Dialing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.address())
    }
}

impl Connector for Dialing {
    type Out = Connection;

    fn connect(&self, _: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Connection>, Error> {
        let stream = self.0.connect().map_err(|why| Error::Io(io::Error::other(why)))?;
        Ok(Some(Connection { stream, buffers: Room::default(), slice: self.0.patience() / SLICES, unsent: None }))
    }
}

/// A connection to a receiver.
pub(super) struct Connection {
    stream: Stream,
    buffers: Room,
    /// How long one call of the socket may take.
    slice: std::time::Duration,
    /// Why the rest of a request was not sent.
    unsent: Option<io::Error>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

impl Connection {
    /// Grants a call what is left of its time, in calls of the socket.
    fn allow(&mut self, timeout: NextTimeout) {
        let slices = timeout.after.as_micros() / self.slice.as_micros().max(1);
        self.stream.allow(u32::try_from(slices).unwrap_or(u32::MAX).clamp(1, 10 * SLICES));
    }
}

fn told(error: io::Error, timeout: NextTimeout) -> Error {
    if error.kind() == ErrorKind::TimedOut { Error::Timeout(timeout.reason) } else { Error::Io(error) }
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    /// A receiver that has seen enough answers and closes before it has all: too large, not allowed, an alert of TLS. What
    /// it says is worth more than that the rest could not be sent, so that is told only if it said nothing.
    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if self.unsent.is_some() {
            return Ok(());
        }
        self.allow(timeout);
        let octets = &self.buffers.output[..amount];
        match self.stream.write_all(octets).and_then(|()| self.stream.flush()) {
            Err(error) if error.kind() == ErrorKind::TimedOut => Err(told(error, timeout)),
            sent => {
                self.unsent = sent.err();
                Ok(())
            }
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.allow(timeout);
        let Self { stream, buffers, unsent, .. } = self;
        let into = buffers.input_append_buf();
        let octets = match unsent {
            None => stream.read(into).map_err(|error| told(error, timeout))?,
            Some(unsent) => match stream.read_only(into) {
                Ok(octets @ 1..) => octets,
                Err(error) if is_of_tls(&error) => return Err(Error::Io(error)),
                Ok(0) | Err(_) => return Err(once_more(unsent)),
            },
        };
        buffers.input_appended(octets);
        // A good answer to half a request is none.
        let is_good = buffers.input().starts_with(b"HTTP/") && buffers.input().get(STATUS) == Some(&b'2');
        match unsent {
            Some(unsent) if is_good => Err(once_more(unsent)),
            _ => Ok(octets > 0),
        }
    }

    fn is_open(&mut self) -> bool {
        self.unsent.is_none() && matches!(self.stream.poll(&mut [0; 64]), Ok(None))
    }

    fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }
}

fn once_more(error: &io::Error) -> Error {
    Error::Io(io::Error::new(error.kind(), error.to_string()))
}

/// Room for what is sent and what came. What is sent holds passwords and tokens, so it is wiped.
#[derive(Default)]
struct Room {
    output: Vec<u8>,
    input: Vec<u8>,
    /// Octets of the input that are done with, and the end of those that came.
    done: usize,
    filled: usize,
    /// Something was made of the input when it was last looked at.
    is_useful: bool,
}

impl Room {
    fn grown(buffer: &mut Vec<u8>) {
        if buffer.is_empty() {
            buffer.resize(BUFFER_OCTETS, 0);
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.output.zeroize();
    }
}

impl Buffers for Room {
    fn output(&mut self) -> &mut [u8] {
        Self::grown(&mut self.output);
        &mut self.output
    }

    fn input(&self) -> &[u8] {
        &self.input[self.done..self.filled]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        Self::grown(&mut self.input);
        self.input.copy_within(self.done..self.filled, 0);
        self.filled -= std::mem::take(&mut self.done);
        &mut self.input[self.filled..]
    }

    fn input_appended(&mut self, amount: usize) {
        self.filled += amount;
    }

    fn input_consume(&mut self, amount: usize) {
        self.is_useful = amount > 0;
        self.done += amount;
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        Self::grown(&mut self.output);
        self.input_append_buf();
        (&mut self.input[self.filled..], &mut self.output)
    }

    fn can_use_input(&self) -> bool {
        self.is_useful && self.done < self.filled
    }
}
