//! Where receivers are and how long they may take: addresses that were looked up once, and sockets that nobody can hold
//! up by sending an octet now and then.

use socket2::{SockRef, TcpKeepalive};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

/// A name may stand for more than this, but each of them may take all of a caller's patience.
const ADDRESSES: usize = 8;
/// A receiver that lost its power is noticed after about so long without anything to send.
const IDLE: Duration = Duration::from_secs(60);

/// Host and port of a receiver, with the addresses that they stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
    found: Vec<SocketAddr>,
}

impl Address {
    /// Looks up `host:port`, or `host` with the default port; an IPv6 address with a port stands in brackets. To be done
    /// before the sandbox, which forbids it later.
    ///
    /// # Errors
    ///
    /// It is none, or nothing is known of it: one line that names it.
    pub fn resolve(text: &str, default_port: u16) -> Result<Self, String> {
        let no_address = || format!("{text}: not host:port; an IPv6 address with a port stands in brackets");
        let (host, port) = split(text).ok_or_else(no_address)?;
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(no_address)?,
            None => default_port,
        };
        let looked_up = (host, port).to_socket_addrs().map_err(|error| format!("{host}: {error}"))?;
        let mut found: Vec<SocketAddr> = Vec::new();
        for address in looked_up {
            if found.len() < ADDRESSES && !found.contains(&address) {
                found.push(address);
            }
        }
        match found.is_empty() {
            true => Err(format!("{host}: no address is known of it")),
            false => Ok(Self { host: host.to_owned(), port, found }),
        }
    }

    /// The host as it was given, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What they stand for; there is one at least.
    #[must_use]
    pub fn found(&self) -> &[SocketAddr] {
        &self.found
    }

    /// Connects to the first of the addresses that takes it, each of which may take so long.
    pub(super) fn connect(&self, patience: Duration) -> io::Result<Timed> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in &self.found {
            match TcpStream::connect_timeout(address, patience).and_then(|socket| Timed::new(socket, patience)) {
                Ok(socket) => return Ok(socket),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

fn split(text: &str) -> Option<(&str, Option<&str>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            match rest {
                "" => (host, None),
                _ => (host, Some(rest.strip_prefix(':')?)),
            }
        }
        None if text.parse::<IpAddr>().is_ok() => (text, None),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    (!host.is_empty()).then_some((host, port))
}

/// A socket on which a whole exchange has a limit, not each call only: else whoever sends one octet before each time-out
/// holds it for ever. There is no clock here, so time is counted in calls: none blocks for longer than one slice of the
/// patience, and each costs one.
pub struct Timed {
    socket: TcpStream,
    left: u32,
    is_waiting: bool,
}

/// Parts that the patience is cut into, so calls of an exchange at most: a handshake takes some ten.
pub(super) const SLICES: u32 = 100;

impl Timed {
    fn new(socket: TcpStream, patience: Duration) -> io::Result<Self> {
        let slice = (patience / SLICES).max(Duration::from_millis(1));
        socket.set_read_timeout(Some(slice))?;
        socket.set_write_timeout(Some(slice))?;
        socket.set_nodelay(true)?;
        // Sends go on into the buffer of a host that is gone, for a quarter of an hour if nobody tells TCP. Where that is
        // not to be had nothing else is lost.
        let options = SockRef::from(&socket);
        let _ = options.set_tcp_keepalive(&TcpKeepalive::new().with_time(IDLE));
        let _ = options.set_tcp_user_timeout(Some(patience));
        Ok(Self { socket, left: SLICES, is_waiting: true })
    }

    /// An exchange begins that may take so many slices of the patience; all are [`SLICES`].
    pub(super) fn allow(&mut self, slices: u32) {
        self.left = slices;
    }

    /// Tells the receiver that nothing more comes. It may still say something.
    pub(super) fn end_writing(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// Whether calls wait for what they want.
    pub(super) fn set_waiting(&mut self, is_waiting: bool) -> io::Result<()> {
        self.is_waiting = is_waiting;
        self.socket.set_nonblocking(!is_waiting)
    }

    /// Repeats a call until something comes of it or the patience is at its end. Calls that do not wait cost as much: who
    /// sends without an end is not listened to without one.
    fn patiently<T>(&mut self, mut call: impl FnMut(&mut TcpStream) -> io::Result<T>) -> io::Result<T> {
        use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
        loop {
            self.left = self.left.checked_sub(1).ok_or(TimedOut)?;
            match call(&mut self.socket) {
                // A time-out of the socket says WouldBlock on Linux; TimedOut is the end of the connection.
                Err(error) if self.is_waiting && matches!(error.kind(), Interrupted | WouldBlock) => {}
                done => return done,
            }
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.patiently(|socket| socket.read(buffer))
    }
}

impl Write for Timed {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.patiently(|socket| socket.write(octets))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Text of a receiver for people: one line of ASCII, not longer than a line should be.
pub(super) fn printable(text: &[u8]) -> String {
    const LONGEST: usize = 200;
    let shown = text.iter().take(LONGEST);
    shown.map(|octet| if matches!(octet, b' '..=b'~') { char::from(*octet) } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    #[test]
    fn hosts_and_ports_are_told_apart() {
        for (text, shown) in [
            ("127.0.0.1", "127.0.0.1:514"),
            ("127.0.0.1:6514", "127.0.0.1:6514"),
            ("::1", "[::1]:514"),
            ("[::1]", "[::1]:514"),
            ("[::1]:99", "[::1]:99"),
            ("localhost:1", "localhost:1"),
        ] {
            assert_eq!(Address::resolve(text, 514).map(|address| address.to_string()).as_deref(), Ok(shown));
        }
        for text in ["", ":514", "host:", "host:0", "host:65536", "[::1", "[::1]514", "[::1]:x", "a:b:1", "[]:1"] {
            let why = Address::resolve(text, 514).expect_err(text);
            assert!(why.starts_with(text) && !why.contains('\n'), "{why}");
        }
    }

    #[test]
    fn all_addresses_are_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let taken = listener.local_addr().expect("it");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it");
        let address = Address { host: "two".to_owned(), port: 1, found: vec![free, taken] };
        assert!(address.connect(Duration::from_secs(5)).is_ok());
        let address = Address { host: "one".to_owned(), port: 1, found: vec![free] };
        assert_eq!(
            address.connect(Duration::from_secs(5)).err().map(|e| e.kind()),
            Some(io::ErrorKind::ConnectionRefused)
        );
    }

    #[test]
    fn neither_silence_nor_single_octets_hold_an_exchange_up() {
        for says in [b"".as_slice(), b"x"] {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = Address::resolve(&listener.local_addr().expect("it").to_string(), 1).expect("an address");
            let server = thread::spawn(move || {
                let (mut socket, _) = listener.accept().expect("a client");
                while socket.write(says).is_ok() && socket.set_nodelay(true).is_ok() {
                    thread::sleep(Duration::from_millis(1));
                }
            });
            let mut socket = address.connect(Duration::from_millis(300)).expect("it listens");
            let mut buffer = [0; 1];
            let ended = loop {
                if let Err(error) = socket.read(&mut buffer) {
                    break error.kind();
                }
            };
            assert_eq!(ended, io::ErrorKind::TimedOut);
            drop(socket);
            if !says.is_empty() {
                server.join().expect("the server");
            }
        }
    }

    #[test]
    fn what_receivers_say_is_one_short_line() {
        assert_eq!(printable(b"500 \x1b[31m\nno\xff"), "500 ?[31m?no?");
        assert_eq!(printable(&[b'x'; 1000]).len(), 200);
    }
}
