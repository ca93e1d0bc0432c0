//! Answers `GET /metrics` and `GET /-/healthy`, on a thread of its own that no other one waits for.
//!
//! Whoever can reach the port is a stranger. A request is bounded in octets and in time as a whole, so that one that comes
//! an octet at a time ends like any other; nothing here blocks on one connection; when there are too many the one that
//! was here longest makes room. It leaves out what HTTP has besides: a connection is one request.

use super::Failure;
use super::health::Verdict;
use memchr::memmem;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::thread;
use std::time::{Duration, Instant};

/// Octets of a request's line and fields. A scraper sends some 300.
const REQUEST_OCTETS: usize = 8 * 1024;
/// For the request to come, and again for the answer to be taken.
const PATIENCE: Duration = Duration::from_secs(2);
/// Served at a time, with a page of some 60 KiB each at most.
const CONNECTIONS: usize = 16;
/// Where the system gives no connection, as when there are too many files: it is asked again after so long.
const PAUSE: Duration = Duration::from_millis(100);

/// An open port.
pub(super) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// What is answered.
pub(super) struct Pages<'a> {
    pub(super) metrics: &'a dyn Fn() -> String,
    pub(super) health: &'a Verdict,
}

impl Listener {
    pub(super) fn bind(address: SocketAddr) -> Result<Self, Failure> {
        let open = || {
            let socket = TcpListener::bind(address)?;
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            Ok(Self { socket, address })
        };
        open().map_err(|error: io::Error| {
            Failure::usage(format!("--metrics-listen {address}: {error}; name an address and port that are free here"))
        })
    }

    /// With the port that the system chose where 0 was asked for.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// For as long as the program runs.
    pub(super) fn serve(&self, pages: &Pages<'_>) -> ! {
        let mut open: Vec<Connection> = Vec::new();
        loop {
            self.wait(&open);
            let now = Instant::now();
            open.retain_mut(|connection| connection.go_on(pages, now));
            // As many as there is room for, then those that are open have their turn again.
            for _ in 0..CONNECTIONS {
                match self.socket.accept() {
                    Ok((socket, _)) => {
                        if let Some(new) = Connection::new(socket, pages, now) {
                            if open.len() >= CONNECTIONS {
                                open.remove(0);
                            }
                            open.push(new);
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // Gone before it was taken.
                    Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                    Err(_) => {
                        thread::sleep(PAUSE);
                        break;
                    }
                }
            }
        }
    }

    /// Until one of them can go on or has waited long enough. Nothing depends on which: all are asked.
    fn wait(&self, open: &[Connection]) {
        let watched = |fd, events| libc::pollfd { fd, events, revents: 0 };
        let mut all = vec![watched(self.socket.as_raw_fd(), libc::POLLIN)];
        all.extend(open.iter().map(|connection| {
            let events = if connection.reply.is_empty() { libc::POLLIN } else { libc::POLLOUT };
            watched(connection.socket.as_raw_fd(), events)
        }));
        let now = Instant::now();
        let next = open.iter().map(|connection| connection.deadline.saturating_duration_since(now)).min();
        // A millisecond more: one that is just not over would be asked for again and again.
        let milliseconds = next.map_or(-1, |next| next.as_millis() as libc::c_int + 1);
        // SAFETY: the array lives during the call, and its length is its own.
        let ready = unsafe { libc::poll(all.as_mut_ptr(), all.len() as libc::nfds_t, milliseconds) };
        if ready < 0 && io::Error::last_os_error().kind() != ErrorKind::Interrupted {
            thread::sleep(PAUSE);
        }
    }
}

struct Connection {
    socket: TcpStream,
    deadline: Instant,
    request: Vec<u8>,
    /// What is left to be sent of it; empty until the request is whole.
    reply: Vec<u8>,
    sent: usize,
}

impl Connection {
    /// `None` when it is over already: most requests are there at once.
    fn new(socket: TcpStream, pages: &Pages<'_>, now: Instant) -> Option<Self> {
        socket.set_nonblocking(true).ok()?;
        let deadline = now + PATIENCE;
        let mut new = Self { socket, deadline, request: Vec::new(), reply: Vec::new(), sent: 0 };
        new.go_on(pages, now).then_some(new)
    }

    /// Reads or writes what can be without waiting. Whether more is to come.
    fn go_on(&mut self, pages: &Pages<'_>, now: Instant) -> bool {
        let result = if self.reply.is_empty() { self.listen(pages, now) } else { Ok(()) };
        match result.and_then(|()| if self.reply.is_empty() { Ok(false) } else { self.answer() }) {
            Ok(is_over) => !is_over && now < self.deadline,
            Err(_) => false,
        }
    }

    fn listen(&mut self, pages: &Pages<'_>, now: Instant) -> io::Result<()> {
        let mut octets = [0; 1024];
        loop {
            match self.socket.read(&mut octets) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.request.extend_from_slice(&octets[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if let Some(reply) = reply_to(&self.request, pages) {
                (self.reply, self.deadline) = (reply, now + PATIENCE);
                return Ok(());
            }
        }
    }

    /// Whether all was sent.
    fn answer(&mut self) -> io::Result<bool> {
        while self.sent < self.reply.len() {
            match self.socket.write(&self.reply[self.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.socket.shutdown(Shutdown::Write).map(|()| true)
    }
}

/// The answer to a request, once it is whole or can be nothing.
fn reply_to(request: &[u8], pages: &Pages<'_>) -> Option<Vec<u8>> {
    let is_whole = memmem::find(request, b"\r\n\r\n").or_else(|| memmem::find(request, b"\n\n")).is_some();
    if !is_whole {
        let too_large = || reply("431 Request Header Fields Too Large", "the request is too large\n");
        return (request.len() >= REQUEST_OCTETS).then(too_large);
    }
    let line = request.split(|&octet| octet == b'\n').next().unwrap_or_default();
    let words: Vec<&str> = std::str::from_utf8(line).unwrap_or_default().trim_end().split(' ').collect();
    let [method, target, version] = words[..] else { return Some(reply("400 Bad Request", "no request\n")) };
    if !version.starts_with("HTTP/1.") {
        return Some(reply("400 Bad Request", "no request of HTTP/1\n"));
    }
    let path = target.split('?').next().unwrap_or_default();
    Some(match (path, method) {
        ("/metrics", "GET") => reply("200 OK", &(pages.metrics)()),
        ("/-/healthy", "GET") => match pages.health.reason() {
            None => reply("200 OK", "healthy\n"),
            Some(reason) => reply("503 Service Unavailable", &format!("{reason}\n")),
        },
        ("/metrics" | "/-/healthy", _) => reply("405 Method Not Allowed\r\nAllow: GET", "only GET\n"),
        _ => reply("404 Not Found", "there are /metrics and /-/healthy\n"),
    })
}

fn reply(status: &str, body: &str) -> Vec<u8> {
    let len = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {len}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn served() -> (SocketAddr, Arc<Verdict>) {
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let (address, health) = (listener.address(), Arc::new(Verdict::default()));
        let told = Arc::clone(&health);
        // Larger than what the system holds for a reader that does not read.
        let page = "x 1\n".repeat(4 * 1024 * 1024);
        thread::spawn(move || listener.serve(&Pages { metrics: &|| page.clone(), health: &told }));
        (address, health)
    }

    fn connect(address: SocketAddr) -> TcpStream {
        let socket = TcpStream::connect(address).expect("a connection");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        socket
    }

    /// The answer, or what came of it before the other end had enough.
    fn ask(address: SocketAddr, request: &[u8]) -> String {
        let mut socket = connect(address);
        let _ = socket.write_all(request);
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        String::from_utf8(answer).expect("text")
    }

    #[test]
    fn two_pages_are_answered_and_nothing_else() {
        let (address, health) = served();
        let page = ask(address, b"GET /metrics?a=b HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(page.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; "), "{:.200}", page);
        assert!(page.ends_with("x 1\n") && page.len() > 16 * 1024 * 1024, "whole");
        for (request, status) in [
            ("GET /-/healthy HTTP/1.0\n\n", "200 "),
            ("HEAD /metrics HTTP/1.1\r\n\r\n", "405 "),
            ("POST /-/healthy HTTP/1.1\r\nContent-Length: 1\r\n\r\n", "405 "),
            ("GET / HTTP/1.1\r\n\r\n", "404 "),
            ("GET /metrics/../etc/passwd HTTP/1.1\r\n\r\n", "404 "),
            ("GET /metrics\r\n\r\n", "400 "),
            ("GET /metrics SPDY/3\r\n\r\n", "400 "),
            ("\r\n\r\n", "400 "),
        ] {
            let answer = ask(address, request.as_bytes());
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer:.200}");
        }
        health.set(Some("the records\ncannot be written".to_owned()));
        let answer = ask(address, b"GET /-/healthy HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("\r\n\r\nthe records cannot be written\n"));
    }

    #[test]
    fn strangers_do_not_keep_others_waiting() {
        let (address, _) = served();
        let began = Instant::now();
        // Nothing said, a line begun, an answer not taken, octets of no kind.
        let silent: Vec<TcpStream> = (0..100).map(|_| connect(address)).collect();
        let mut slow = connect(address);
        slow.write_all(b"GET /met").expect("sent");
        let mut greedy = connect(address);
        greedy.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").expect("sent");
        let _ = ask(address, &[0xff; 64 * 1024]);
        let _ = ask(address, &[b"GET /metrics HTTP/1.1\r\n".to_vec(), vec![b'a'; 64 * 1024]].concat());
        let answer = ask(address, b"GET /-/healthy HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(began.elapsed() < PATIENCE, "answered while the others are there: {:?}", began.elapsed());
        // An octet now and then does not count as speaking.
        let begun = Instant::now();
        while slow.write_all(b"r").is_ok() && begun.elapsed() < 3 * PATIENCE {
            thread::sleep(Duration::from_millis(50));
        }
        assert!(begun.elapsed() < 2 * PATIENCE, "still listened to after {:?}", begun.elapsed());
        let mut taken = Vec::new();
        let _ = greedy.read_to_end(&mut taken);
        assert!(taken.len() < 16 * 1024 * 1024, "what is not taken is not kept");
        drop(silent);
    }
}
