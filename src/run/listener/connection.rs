//! One connection: a request, and its answer or a stream of news.

use super::{Answer, Site, answer_to};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpStream};
use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Octets of a request's line and fields. A scraper sends some 300, a browser some thousand.
pub(super) const REQUEST_OCTETS: usize = 16 * 1024;
/// For the request to come.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// What octets go over.
enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Wire {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        }
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(octets),
            // It takes octets in as long as it has room for what they become.
            Self::Tls(stream) => match stream.write(octets) {
                Ok(0) if !octets.is_empty() => Err(ErrorKind::WouldBlock.into()),
                written => written,
            },
        }
    }

    /// What it holds back goes out. Whether all of it did.
    fn flush(&mut self) -> io::Result<bool> {
        let Self::Tls(stream) = self else { return Ok(true) };
        while stream.conn.wants_write() {
            match stream.conn.write_tls(&mut stream.sock) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn wants_write(&self) -> bool {
        matches!(self, Self::Tls(stream) if stream.conn.wants_write())
    }

    /// Says that nothing more comes.
    fn close(&mut self) -> io::Result<()> {
        if let Self::Tls(stream) = self {
            stream.conn.send_close_notify();
            self.flush()?;
        }
        self.socket().shutdown(Shutdown::Write)
    }
}

pub(super) struct Connection<S> {
    wire: Wire,
    local: IpAddr,
    deadline: Instant,
    request: Vec<u8>,
    is_answered: bool,
    /// What is to be sent, and how much of it was.
    reply: Vec<u8>,
    sent: usize,
    /// More follows as there is news.
    stream: Option<S>,
}

impl<S> Connection<S> {
    /// `None` when it is over already: most requests are there at once.
    pub(super) fn new(
        socket: TcpStream,
        tls: Option<&Arc<ServerConfig>>,
        site: &mut impl Site<Stream = S>,
        now: Instant,
    ) -> Option<Self> {
        socket.set_nonblocking(true).ok()?;
        let local = socket.local_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip());
        let wire = match tls {
            None => Wire::Plain(socket),
            Some(config) => {
                Wire::Tls(Box::new(StreamOwned::new(ServerConnection::new(Arc::clone(config)).ok()?, socket)))
            }
        };
        let mut new = Self {
            wire,
            local,
            deadline: now + PATIENCE,
            request: Vec::new(),
            is_answered: false,
            reply: Vec::new(),
            sent: 0,
            stream: None,
        };
        new.go_on(site, now).then_some(new)
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.wire.socket().as_raw_fd()
    }

    /// What its socket is watched for. That a reader of news is gone shows in reading.
    pub(super) fn awaits(&self) -> libc::c_short {
        let has_more = self.is_answered && self.sent < self.reply.len() || self.wire.wants_write();
        if has_more && self.is_answered {
            libc::POLLOUT
        } else if has_more {
            libc::POLLIN | libc::POLLOUT
        } else {
            libc::POLLIN
        }
    }

    /// When it has waited long enough; one that has taken all news may wait for more.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (!self.is_idle()).then_some(self.deadline)
    }

    fn is_idle(&self) -> bool {
        self.stream.is_some() && self.sent == self.reply.len()
    }

    /// Reads or writes what can be without waiting. Whether more is to come.
    pub(super) fn go_on(&mut self, site: &mut impl Site<Stream = S>, now: Instant) -> bool {
        let is_over = self.step(site, now).unwrap_or(true);
        !is_over && (self.is_idle() || now < self.deadline)
    }

    fn step(&mut self, site: &mut impl Site<Stream = S>, now: Instant) -> io::Result<bool> {
        if !self.is_answered {
            self.listen(site)?;
            self.wire.flush()?;
            if !self.is_answered {
                return Ok(false);
            }
        }
        if self.is_idle() {
            self.heed()?;
            if let Some(news) = self.stream.as_mut().and_then(|stream| site.news(stream, now)) {
                (self.reply, self.sent, self.deadline) = (news, 0, Instant::now() + site.patience());
            }
        }
        let is_sent = self.send()?;
        if !is_sent || self.stream.is_some() {
            return Ok(false);
        }
        self.wire.close().map(|()| true)
    }

    fn listen(&mut self, site: &mut impl Site<Stream = S>) -> io::Result<()> {
        let mut octets = [0; 4096];
        loop {
            match self.wire.read(&mut octets) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.request.extend_from_slice(&octets[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if let Some(answer) = answer_to(&self.request, self.local, site) {
                let (reply, stream) = match answer {
                    Answer::Whole(reply) => (reply, None),
                    Answer::Stream(reply, stream) => (reply, Some(stream)),
                };
                (self.reply, self.stream, self.is_answered, self.deadline) =
                    (reply, stream, true, Instant::now() + site.patience());
                self.request = Vec::new();
                return Ok(());
            }
        }
    }

    /// Notices that a reader of news is gone. What it says besides is passed over, a bounded part at a time.
    fn heed(&mut self) -> io::Result<()> {
        match self.wire.read(&mut [0; 1024]) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether all that is to be sent was.
    fn send(&mut self) -> io::Result<bool> {
        while self.sent < self.reply.len() {
            match self.wire.write(&self.reply[self.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.wire.flush()?;
                    return Ok(false);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.wire.flush()
    }
}
