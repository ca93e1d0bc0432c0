//! The page for people on a port of its own: that of a running sensor, and `barewire ui` over files of records.
//!
//! One thread has the records, makes the pages and answers. Whoever brings records waits for it where they are read from
//! files, and never where they come from a live capture: what the page does not keep up with it misses, and says so.

use super::confine::confine;
use super::follow::{Followers, States};
use super::listener::{Answer, Listener, Request, Site, reply};
use super::{Failure, locked, now, spawn};
use crate::ops::console::{self, Level};
use crate::ops::sandbox::Needs;
use crate::sink::tls::server_config;
use crate::ui::door::{Door, Refusal, Visit};
use crate::ui::{self, Board, Query, Source};
use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Where the page is and who may see it.
#[derive(Clone, Debug)]
pub struct UiOptions {
    /// Answers HTTP there; port 0: one that is free.
    pub listen: SocketAddr,
    /// What asked for it, for people: an option or an argument.
    pub option: &'static str,
    /// Who may see it.
    pub door: Door,
    /// PEM files of a certificate chain and its key, for TLS.
    pub tls: Option<[PathBuf; 2]>,
}

/// What `ui` is asked to do.
pub struct UiJob {
    /// Files of records, or `-` for standard input.
    pub files: Vec<PathBuf>,
    /// Where the page is.
    pub options: UiOptions,
    /// Gives up what it does not need.
    pub is_sandboxed: bool,
}

/// Served at a time: a reader that looks on keeps a connection.
const CONNECTIONS: usize = 64;
/// For a page to be taken.
const PATIENCE: Duration = Duration::from_secs(20);
/// Parts of files on their way to the page.
const PARTS: usize = 16;
/// So long records are taken in before visitors have their turn.
const TAKING: Duration = Duration::from_millis(50);
/// Between two looks at what came, when nobody asks.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// And while more and more comes.
const LOOK_SOON: Duration = Duration::from_millis(5);
/// Between two looks at how things stand, when nobody asks.
const SAMPLE_EVERY: Duration = Duration::from_secs(5);
/// Between two tellings of news to a reader, at least; and that as many times as long as making them took, or, where so
/// many look on that half of the time is not enough, as long as it takes until each of them had its turn.
const TELL_EVERY: Duration = Duration::from_secs(1);
const EASE: u32 = 10;
/// After so long without news a reader is told that we are here.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// An open port, before anybody is served.
pub(super) struct Page {
    listener: Listener,
    options: UiOptions,
}

impl Page {
    /// # Errors
    ///
    /// The port cannot be had, or certificate and key are none.
    pub(super) fn open(options: UiOptions) -> Result<Self, Failure> {
        let tls = options.tls.as_ref().map(|[certificate, key]| server_config(certificate, key)).transpose();
        let tls = tls.map_err(Failure::usage)?;
        let listener = Listener::bind(options.listen, options.option, CONNECTIONS, tls)?;
        Ok(Self { listener, options })
    }

    /// Where a browser on this machine finds it.
    pub(super) fn address(&self) -> String {
        let scheme = if self.options.tls.is_some() { "https" } else { "http" };
        let mut address = self.listener.address();
        // One of all addresses is none that a visit may name.
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        format!("{scheme}://{address}/")
    }

    /// For as long as the program runs. `source` says how things stand whenever it is asked.
    pub(super) fn serve(self, receive: Receiver<Vec<u8>>, source: impl FnMut() -> Source) -> ! {
        let mut desk = Desk {
            board: Board::default(),
            receive,
            source,
            door: self.options.door,
            looked: Instant::now(),
            free: Instant::now(),
            asked: 0,
            lookers: 0,
            is_awaited: false,
        };
        self.listener.serve(&mut desk)
    }
}

struct Desk<F> {
    board: Board,
    receive: Receiver<Vec<u8>>,
    source: F,
    door: Door,
    /// When it was looked how things stand.
    looked: Instant,
    /// Half of the time is for visitors and what comes, however many look on.
    free: Instant,
    /// Who looked on in this round and in the one before.
    asked: u32,
    lookers: u32,
    /// Somebody waits for that half to be over.
    is_awaited: bool,
}

/// A reader who looks on.
struct Onlooker {
    query: Query,
    /// What of the board it has seen.
    version: Option<u64>,
    /// Digests of the parts that it has, by their places.
    parts: Vec<u64>,
    next: Instant,
    told: Instant,
}

impl<F: FnMut() -> Source> Site for Desk<F> {
    type Stream = Onlooker;

    fn answer(&mut self, request: &Request<'_>) -> Answer<Onlooker> {
        let visit = Visit {
            local: request.local,
            host: request.field("host"),
            origin: request.field("origin"),
            fetch: ["sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest"].map(|name| request.field(name)),
            authorization: request.field("authorization"),
        };
        if let Err(refusal) = self.door.judge(&visit) {
            return Answer::Whole(refused(refusal));
        }
        match (request.path, request.method) {
            ("/", "GET") => {
                let page = ui::sheet(&self.board, &Query::parse(request.query), &(self.source)());
                Answer::Whole(reply("200 OK", "text/html; charset=utf-8", &fields(&ui::SCRIPT_POLICY), &page))
            }
            ("/events", "GET") => {
                let now = Instant::now();
                let onlooker = Onlooker {
                    query: Query::parse(request.query),
                    version: None,
                    parts: Vec::new(),
                    next: now,
                    told: now,
                };
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n\
                     Connection: close\r\n{}\r\nretry: 2000\n\n",
                    fields("default-src 'none'")
                );
                Answer::Stream(head.into_bytes(), onlooker)
            }
            // Browsers ask for it by themselves.
            ("/favicon.ico", "GET") => plain("204 No Content", ""),
            ("/" | "/events", _) => plain("405 Method Not Allowed\r\nAllow: GET", "only GET\n"),
            _ => plain("404 Not Found", "there is / only\n"),
        }
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn news(&mut self, onlooker: &mut Onlooker, now: Instant) -> Option<Vec<u8>> {
        self.asked += 1;
        if now < onlooker.next {
            return None;
        }
        if now < self.free {
            self.is_awaited = true;
            return None;
        }
        let source = (self.source)();
        let version = self.board.version();
        let parts = if onlooker.version == Some(version) {
            vec![ui::seeing(&self.board, &source)]
        } else {
            ui::parts(&self.board, &onlooker.query, &source)
        };
        onlooker.version = Some(version);
        onlooker.parts.resize(onlooker.parts.len().max(parts.len()), 0);
        let mut news = String::new();
        for (at, (id, part)) in parts.iter().enumerate() {
            let digest = digest(part);
            if onlooker.parts[at] != digest {
                onlooker.parts[at] = digest;
                event(&mut news, id, part);
            }
        }
        let took = now.elapsed();
        onlooker.next = now + TELL_EVERY.max(took * EASE.max(2 * self.lookers));
        self.free = now + took * 2;
        if news.is_empty() && now - onlooker.told >= ALIVE_EVERY {
            news.push_str(":\n\n");
        }
        if news.is_empty() {
            return None;
        }
        onlooker.told = now;
        Some(news.into_bytes())
    }

    fn turn(&mut self) -> Option<Duration> {
        let began = Instant::now();
        self.lookers = std::mem::take(&mut self.asked);
        self.board.set_clock(now().0);
        if began - self.looked >= SAMPLE_EVERY {
            self.looked = began;
            // Rates are of the time since the last look: whoever comes after hours is told of the last seconds.
            drop((self.source)());
        }
        let mut next = LOOK_EVERY;
        while let Ok(lines) = self.receive.try_recv() {
            next = LOOK_SOON;
            lines.split(|octet| *octet == b'\n').for_each(|line| self.board.take(line));
            if began.elapsed() >= TAKING {
                return Some(Duration::ZERO);
            }
        }
        let is_awaited = std::mem::take(&mut self.is_awaited);
        Some(if is_awaited { next.min(self.free.saturating_duration_since(Instant::now())) } else { next })
    }
}

/// An event of a stream (HTML, section 9.2): its text may have lines, and no carriage return.
fn event(news: &mut String, id: &str, text: &str) {
    news.push_str("event: ");
    news.push_str(id);
    for line in text.split(['\n', '\r']) {
        news.push_str("\ndata: ");
        news.push_str(line);
    }
    news.push_str("\n\n");
}

fn digest(part: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    part.hash(&mut hasher);
    hasher.finish()
}

/// Fields of every answer.
fn fields(policy: &str) -> String {
    format!(
        "Content-Security-Policy: {policy}\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n\
         Referrer-Policy: no-referrer\r\nCross-Origin-Opener-Policy: same-origin\r\n\
         Cross-Origin-Resource-Policy: same-origin\r\n"
    )
}

fn plain<S>(status: &str, body: &str) -> Answer<S> {
    Answer::Whole(reply(status, "text/plain; charset=utf-8", &fields("default-src 'none'"), body))
}

fn refused(refusal: Refusal) -> Vec<u8> {
    let (status, more, body) = match refusal {
        Refusal::Misdirected => (
            "421 Misdirected Request",
            "",
            "this is not the host that was asked for; a name that leads here is told by --name, or --ui-name of a watch\n",
        ),
        Refusal::CrossOrigin => ("403 Forbidden", "", "pages of others get nothing here\n"),
        Refusal::Unauthorized => (
            "401 Unauthorized",
            "WWW-Authenticate: Basic realm=\"barewire: any user, the token as password\", charset=\"UTF-8\"\r\n",
            "the token is missing or wrong\n",
        ),
    };
    let more = format!("{more}{}", fields("default-src 'none'"));
    reply(status, "text/plain; charset=utf-8", &more, body)
}

/// Shows the records of files until SIGINT or SIGTERM.
///
/// # Errors
///
/// One line: a file cannot be opened, or the port cannot be had.
pub fn ui(job: UiJob) -> Result<u8, Failure> {
    let followers = Followers::open(&job.files)?;
    let page = Page::open(job.options)?;
    let needs = Needs { opens_files_of_others: true, read: followers.folders(), accepts: true, ..Needs::default() };
    confine(job.is_sandboxed.then_some(&needs), Level::Debug)?;
    let mut signals =
        Signals::new([SIGINT, SIGTERM]).map_err(|error| Failure::usage(format!("listening for signals: {error}")))?;
    console::notice(&format!("page at {} - Ctrl-C ends it", page.address()));
    let states = followers.states();
    let (send, receive) = bounded(PARTS);
    spawn("files", move || followers.run(&send))?;
    spawn("ui", move || page.serve(receive, move || of_files(&states)))?;
    signals.forever().next();
    Ok(0)
}

fn of_files(states: &States) -> Source {
    let files = locked(states).clone();
    let name = match &files[..] {
        [only] => only.name.clone(),
        all => format!("{} files", all.len()),
    };
    Source { name, files, ..Source::default() }
}
