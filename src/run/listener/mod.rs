//! Answers HTTP on a thread of its own that no other one waits for: metrics, and the page for people.
//!
//! Whoever can reach the port is a stranger. A request is bounded in octets and in time as a whole, so that one that comes
//! an octet at a time ends like any other; nothing here blocks on one connection; when there are too many the one that
//! was here longest makes room. It leaves out what HTTP has besides: a connection is one request, without a body.

mod connection;

use super::Failure;
use connection::Connection;
use rustls::ServerConfig;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Where the system gives no connection, as when there are too many files: it is asked again after so long.
const PAUSE: Duration = Duration::from_millis(100);
/// Fields of a request; browsers send some twenty.
const FIELDS: usize = 64;

/// A request whose line and fields have come.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// Before the `?`.
    pub(super) path: &'a str,
    /// After it.
    pub(super) query: &'a str,
    /// Where the connection ends here.
    pub(super) local: IpAddr,
    fields: &'a [httparse::Header<'a>],
}

impl<'a> Request<'a> {
    /// The value of a field; `None` where it is not there, and empty where it is no text or comes twice: whoever judges by
    /// it must not take it for one that was left out.
    pub(super) fn field(&self, name: &str) -> Option<&'a str> {
        let mut found = self.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        let first = found.next()?;
        let value = if found.next().is_some() { "" } else { std::str::from_utf8(first.value).unwrap_or_default() };
        Some(value.trim())
    }
}

/// What a request gets.
pub(super) enum Answer<S> {
    /// All of it.
    Whole(Vec<u8>),
    /// Its beginning; what follows comes as there is news.
    Stream(Vec<u8>, S),
}

/// What is answered.
pub(super) trait Site {
    /// What is known of a reader to whom news is sent as it comes.
    type Stream;

    /// To a request.
    fn answer(&mut self, request: &Request<'_>) -> Answer<Self::Stream>;

    /// How long an answer may take to be taken as a whole.
    fn patience(&self) -> Duration {
        connection::PATIENCE
    }

    /// What a reader is to be sent now that it has taken all before.
    fn news(&mut self, _stream: &mut Self::Stream, _now: Instant) -> Option<Vec<u8>> {
        None
    }

    /// Does what is due besides; how long until it is asked again, though nobody asks anything.
    fn turn(&mut self) -> Option<Duration> {
        None
    }
}

/// An open port.
pub(super) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    /// Served at a time.
    connections: usize,
}

impl Listener {
    /// `option` is what asked for it, for people.
    pub(super) fn bind(
        address: SocketAddr,
        option: &str,
        connections: usize,
        tls: Option<Arc<ServerConfig>>,
    ) -> Result<Self, Failure> {
        let open = || {
            let socket = TcpListener::bind(address)?;
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            Ok(Self { socket, address, tls, connections })
        };
        open().map_err(|error: io::Error| {
            Failure::usage(format!("{option} {address}: {error}; name an address and port that are free here"))
        })
    }

    /// With the port that the system chose where 0 was asked for.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// For as long as the program runs.
    pub(super) fn serve<S: Site>(&self, site: &mut S) -> ! {
        let mut open: Vec<Connection<S::Stream>> = Vec::new();
        loop {
            let next = site.turn();
            self.wait(&open, next);
            open.retain_mut(|connection| connection.go_on(site, Instant::now()));
            // As many as there is room for, then those that are open have their turn again.
            for _ in 0..self.connections {
                match self.socket.accept() {
                    Ok((socket, _)) => {
                        // An answer before it may have taken long: that is not to the charge of who came meanwhile.
                        if let Some(new) = Connection::new(socket, self.tls.as_ref(), site, Instant::now()) {
                            if open.len() >= self.connections {
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
    fn wait<S>(&self, open: &[Connection<S>], turn: Option<Duration>) {
        let watched = |fd, events| libc::pollfd { fd, events, revents: 0 };
        let mut all = vec![watched(self.socket.as_raw_fd(), libc::POLLIN)];
        all.extend(open.iter().map(|connection| watched(connection.descriptor(), connection.awaits())));
        let now = Instant::now();
        let deadlines = open.iter().filter_map(Connection::deadline);
        let next = deadlines.map(|deadline| deadline.saturating_duration_since(now)).chain(turn).min();
        // A millisecond more: one that is just not over would be asked for again and again.
        let milliseconds = next.map_or(-1, |next| if next.is_zero() { 0 } else { next.as_millis() as libc::c_int + 1 });
        // SAFETY: the array lives during the call, and its length is its own.
        let ready = unsafe { libc::poll(all.as_mut_ptr(), all.len() as libc::nfds_t, milliseconds) };
        if ready < 0 && io::Error::last_os_error().kind() != ErrorKind::Interrupted {
            thread::sleep(PAUSE);
        }
    }
}

/// An answer with its fields; `more` are lines of fields, each with its end.
pub(super) fn reply(status: &str, kind: &str, more: &str, body: &str) -> Vec<u8> {
    let len = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\nCache-Control: no-store\r\n\
         Connection: close\r\n{more}\r\n{body}"
    )
    .into_bytes()
}

/// The answer to a request, once it is whole or can be nothing.
fn answer_to<S: Site>(octets: &[u8], local: IpAddr, site: &mut S) -> Option<Answer<S::Stream>> {
    let refuse = |status, body| Some(Answer::Whole(reply(status, "text/plain; charset=utf-8", "", body)));
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(octets) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => {
            let is_too_large = octets.len() >= connection::REQUEST_OCTETS;
            return is_too_large
                .then(|| refuse("431 Request Header Fields Too Large", "the request is too large\n"))
                .flatten();
        }
        Err(httparse::Error::TooManyHeaders) => {
            return refuse("431 Request Header Fields Too Large", "the request has too many fields\n");
        }
        Err(_) => return refuse("400 Bad Request", "no request of HTTP/1\n"),
    }
    let (method, target) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
    // As proxies are asked (RFC 9112 §3.2.2); which host is meant the field says as well.
    let target = match target.split_once("://") {
        Some(("http" | "https", rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut answer = site.answer(&Request { method, path, query, local, fields: parsed.headers });
    if let Answer::Whole(whole) = &mut answer
        && method == "HEAD"
    {
        // RFC 9110 §9.3.2: never more than the fields.
        whole.truncate(memchr::memmem::find(whole, b"\r\n\r\n").map_or(whole.len(), |end| end + 4));
    }
    Some(answer)
}
