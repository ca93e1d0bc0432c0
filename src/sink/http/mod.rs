//! Records over HTTP: into search engines by their bulk requests, into Splunk's event collector, and to whoever takes a
//! POST. What is common to them is here: where they are, what is shown to them, and what a status means for the records.
//!
//! A request is made once, to the addresses that were looked up at the start. No redirection is followed, no proxy of the
//! environment is asked, no cookie is kept, and an answer is read up to a bound.

pub mod bulk;
mod connection;
mod credentials;
pub mod hec;
pub mod webhook;

pub use credentials::Login;

use super::net::{Address, printable};
use super::tls::{Dialer, Papers};
use super::{Bounds, Fate, PATIENCE, Parcel, Report, TlsOptions, Trouble};
use crate::output::{Form, Written};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, DATE, RETRY_AFTER};
use ureq::http::uri::{PathAndQuery, Scheme};
use ureq::http::{HeaderMap, Uri};

/// A store under load answers late, and what is sent again in the meantime loads it more.
const PATIENCE_FOR_ANSWERS: u32 = 6;
/// Octets of an answer's head.
const LONGEST_HEAD: usize = 16 << 10;
/// Octets of an answer that says no more than a few words.
const LONGEST_WORDS: u64 = 64 << 10;
/// How much is sent at once unless a receiver wants less: what proxies let through and stores like to take.
const MOST: Bounds = Bounds { records: 1000, octets: 2 << 20 };

/// A receiver that speaks HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `http://` or `https://`, host, port where it is not the scheme's, and the path below which requests go.
    pub url: String,
    /// For `https://`.
    pub tls: TlsOptions,
    /// What is shown to the receiver.
    pub login: Login,
    /// File with more headers, one a line, that only its owner can read.
    pub headers: Option<PathBuf>,
    /// Whether requests are compressed.
    pub gzip: bool,
    /// How long the receiver may take to accept a connection and to take what is sent; for its answer six times as long.
    pub patience: Duration,
}

impl Server {
    /// At a place, with nothing shown to it.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            tls: TlsOptions::default(),
            login: Login::None,
            headers: None,
            gzip: false,
            patience: PATIENCE,
        }
    }
}

/// A way to a receiver that speaks HTTP.
struct Client {
    agent: Agent,
    dialer: Arc<Dialer>,
    scheme: Scheme,
    /// Without a slash at its end.
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    gzip: bool,
}

/// What a receiver answered.
struct Answer {
    status: u16,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl Client {
    /// Looks the host up and reads the files that the options name; connects when it is first used.
    fn new(server: &Server) -> Result<Self, String> {
        // What stands before an @ is a password, so the address is not told.
        let uri: Uri = server.url.parse().map_err(|_| "url: not http:// or https:// with a host".to_owned())?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err("url: not http:// or https:// with a host".to_owned());
        };
        if authority.as_str().contains('@') {
            return Err(
                "url: a name and password in it would be shown to many; name a file with the password".to_owned()
            );
        }
        let default_port = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            other => return Err(format!("url: {other}:// is neither http:// nor https://")),
        };
        let is_tls = scheme == Scheme::HTTPS;
        if !is_tls && server.tls != TlsOptions::default() {
            return Err("url: options of TLS need https://".to_owned());
        }
        // A password without its @ would look like this.
        let has_port = authority.as_str().len() > authority.host().len();
        if has_port && authority.port_u16().is_none_or(|port| port == 0) {
            return Err("url: the port behind its host is none".to_owned());
        }
        let address = Address::resolve(authority.as_str(), default_port)?;
        let mut headers = HeaderMap::new();
        server.login.header()?.map(|value| headers.insert(AUTHORIZATION, value));
        if let Some(path) = &server.headers {
            credentials::headers(path, &mut headers)?;
        }
        let is_here = address.found().iter().all(|found| found.ip().is_loopback());
        if !headers.is_empty() && !is_tls && !is_here {
            return Err("url: a password or token would cross the network in clear; write https://".to_owned());
        }
        let dialer = Arc::new(Dialer::new(address, is_tls.then_some(&server.tls), server.patience)?);
        let path = parts.path_and_query.unwrap_or(PathAndQuery::from_static("/"));
        Ok(Self {
            agent: agent(&dialer, server.patience),
            dialer,
            scheme,
            path: path.path().trim_end_matches('/').to_owned(),
            query: path.query().map(str::to_owned),
            headers,
            gzip: server.gzip,
        })
    }

    /// One that sends to paths of its own below that of the address, which must have no query therefore.
    fn of_service(server: &Server) -> Result<Self, String> {
        let client = Self::new(server)?;
        match client.query {
            None => Ok(client),
            Some(_) => Err("url: no query may stand in it".to_owned()),
        }
    }

    fn address(&self) -> &Address {
        self.dialer.address()
    }

    fn papers(&self) -> Option<Arc<Papers>> {
        self.dialer.papers()
    }

    /// Posts a body to a path below the receiver's. Of an answer that was good there may be so many octets; `None`: it is
    /// for people, as all others are.
    fn post(&self, path: &str, kind: &'static str, body: &[u8], longest: Option<u64>) -> Result<Answer, Trouble> {
        self.asked(path, kind, body, longest).map_err(|why| self.trouble(&why))
    }

    fn asked(&self, path: &str, kind: &'static str, body: &[u8], longest: Option<u64>) -> Result<Answer, String> {
        let query = self.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        let path = format!("{}{path}{query}", self.path);
        let uri = Uri::builder().scheme(self.scheme.clone()).authority(self.address().to_string());
        let uri = uri.path_and_query(path).build().map_err(|error| error.to_string())?;
        let mut request = self.agent.post(uri).header(CONTENT_TYPE, kind);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let answer = if self.gzip {
            request.header(CONTENT_ENCODING, "gzip").send(&zipped(body)[..])
        } else {
            request.send(body)
        };
        let answer = answer.map_err(|error| self.words(error))?;
        let status = answer.status();
        let retry_after = retry_after(answer.headers());
        let longest = longest.filter(|_| status.is_success());
        let mut body = Vec::new();
        let read = answer.into_body().into_reader().take(longest.unwrap_or(LONGEST_WORDS) + 1).read_to_end(&mut body);
        match (longest, read) {
            (Some(longest), Ok(octets)) if octets as u64 > longest => return Err("its answer is too long".to_owned()),
            (Some(_), Err(error)) => return Err(self.words(error.into())),
            // What it makes of the records is known by the status.
            _ => {}
        }
        Ok(Answer { status: status.as_u16(), retry_after, body })
    }

    fn trouble(&self, why: &str) -> Trouble {
        Trouble::new(format!("{}: {why}", self.address()))
    }

    /// That a receiver answered with a status that is about no record.
    fn answered(&self, answer: &Answer) -> Trouble {
        let why = format!("it answers {}{}", words_of(answer), helps(answer.status));
        Trouble { retry_after: answer.retry_after, ..self.trouble(&why) }
    }

    fn words(&self, error: ureq::Error) -> String {
        match error {
            ureq::Error::Io(error) => match error.downcast::<ureq::Error>() {
                Ok(error) => self.words(error),
                Err(error) => self.dialer.words(&error),
            },
            ureq::Error::Timeout(_) => "nothing within the time it has".to_owned(),
            ureq::Error::Protocol(error) => format!("it does not speak HTTP as it should ({error})"),
            other => other.to_string(),
        }
    }
}

fn agent(dialer: &Arc<Dialer>, patience: Duration) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .user_agent(concat!("barewire/", env!("CARGO_PKG_VERSION")))
        .accept("application/json")
        .max_response_header_size(LONGEST_HEAD)
        .max_idle_connections(1)
        .timeout_connect(Some(patience))
        .timeout_send_request(Some(patience))
        .timeout_send_body(Some(patience))
        .timeout_recv_response(Some(patience * PATIENCE_FOR_ANSWERS))
        .timeout_recv_body(Some(patience))
        .build();
    Agent::with_parts(config, connection::Dialing(Arc::clone(dialer)), connection::KnownAlready)
}

fn zipped(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    // Into memory: nothing there can fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}

/// RFC 9110 §10.2.3: seconds, or a date, which is held against the answer's own, for there is no clock here and the
/// receiver's is the one it was read from.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let now = date(headers.get(DATE)?.to_str().ok()?)?;
    Some(date(text)?.duration_since(now).unwrap_or_default())
}

/// Status and the beginning of what was said with it.
fn words_of(answer: &Answer) -> String {
    let text = printable(answer.body.trim_ascii());
    match text.is_empty() {
        true => answer.status.to_string(),
        false => format!("{}: {text}", answer.status),
    }
}

fn helps(status: u16) -> &'static str {
    match status {
        300..=399 => "; name the address where it leads",
        401 | 403 => "; give it a login that may write",
        415 => "; it takes other content, such as without gzip",
        _ => "",
    }
}

/// What a status says of the records that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// They were taken.
    Taken,
    /// One is there already.
    Known,
    /// It was too much at once.
    TooLarge,
    /// One cannot be taken.
    Bad,
    /// It is about the receiver, the way to it or who sends: a wrong password makes no record a bad one, and what was
    /// thrown away for it could not be had back.
    Later,
}

fn verdict(status: u16) -> Verdict {
    match status {
        200..=299 => Verdict::Taken,
        409 => Verdict::Known,
        413 => Verdict::TooLarge,
        401..=408 | 411 | 415 | 421 | 423..=426 | 428 | 429 | 431 | 451 => Verdict::Later,
        400..=499 => Verdict::Bad,
        _ => Verdict::Later,
    }
}

/// What came of sending some records in one request.
enum Sent {
    /// What became of each, and why some wait.
    Fates(Vec<Fate>, Option<Trouble>),
    /// It was too much at once. A single record is refused for it.
    TooLarge(String),
    /// One of them cannot be taken, perhaps that one, and of the others nothing is known. A single record has that fate.
    Bad(Fate, Option<usize>),
    /// Nothing is known of any.
    Failed(Trouble),
}

/// Sends records in requests of at most so many, fewer where a receiver finds fault with them, so that a record is refused
/// by an answer to itself alone.
fn in_parts(parcels: &[Parcel], most: &mut usize, mut send: impl FnMut(&[Parcel]) -> Sent) -> Report {
    let mut fates = vec![Fate::Waits; parcels.len()];
    let (mut at, mut count) = (0, *most);
    // A place that it names is believed once, or it could have nearly all sent again for each record.
    let mut is_split = false;
    while at < parcels.len() {
        let now = count.min(parcels.len() - at).max(1);
        let trouble = match send(&parcels[at..at + now]) {
            Sent::Fates(found, trouble) => {
                fates[at..at + now].clone_from_slice(&found);
                at += now;
                count = count.saturating_mul(2).min(*most);
                is_split = false;
                trouble
            }
            Sent::TooLarge(why) if now == 1 => {
                fates[at] = Fate::Refused(why);
                at += 1;
                None
            }
            // From now on, so that not every batch begins with one too many.
            Sent::TooLarge(_) => {
                count = now / 2;
                *most = count;
                None
            }
            Sent::Bad(fate, _) if now == 1 => {
                fates[at] = fate;
                at += 1;
                count = 2.min(*most);
                None
            }
            Sent::Bad(_, place) => {
                let place = place.filter(|place| *place < now && !is_split);
                count = place.unwrap_or(now / 2).max(1);
                is_split = true;
                None
            }
            Sent::Failed(trouble) => Some(trouble),
        };
        if trouble.is_some() {
            return Report { fates, trouble };
        }
    }
    Report { fates, trouble: None }
}

/// A record and its line in a form.
fn rendered(parcel: &Parcel, form: Form) -> Result<(Written, Vec<u8>), String> {
    let written = Written::parse(&parcel.line).ok_or("no record")?;
    let line = written.render(form);
    // Line feeds are what separates records in most bodies.
    let is_line = line.iter().all(|octet| matches!(octet, b' '..=b'~'));
    if is_line { Ok((written, line)) } else { Err("not a line of printable ASCII".to_owned()) }
}

/// `finding`, `login` or `session`.
fn kind_of(written: &Written) -> &str {
    written.text("/event/dataset").rsplit('.').next().unwrap_or_default()
}

/// The month of a record, as `2026.11`: by it an index can be thrown away once all in it is old.
fn month_of(written: &Written) -> String {
    written.text("/@timestamp").chars().take(7).map(|letter| if letter == '-' { '.' } else { letter }).collect()
}

/// A name with `{kind}` and `{month}` in it for what differs from one record to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// The name of an index or the like; `None` if none can have it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.replace("{kind}", "kind").replace("{month}", "2026.11");
        let is_plain = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || b"-_.:".contains(&octet);
        let is_one = (1..=200).contains(&rest.len()) && rest.bytes().all(is_plain);
        (is_one && !rest.starts_with(['-', '_', '.'])).then(|| Self(text.to_owned()))
    }

    fn of(&self, written: &Written) -> String {
        self.0.replace("{kind}", kind_of(written)).replace("{month}", &month_of(written))
    }
}

/// A text as it stands in JSON.
fn quoted(text: &[u8]) -> String {
    serde_json::Value::from(String::from_utf8_lossy(text)).to_string()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
