//! Keeps records until they are written, and counts for the summary.

use super::Kinds;
use super::evidence::Wanted;
use super::scores::Scores;
use super::sink::Sink;
use crate::engine::Settings;
use crate::finding::{Collected, Collector, Correlator, Coverage, FindingId, Login, Policy, Record, Session};
use crate::mail::{PROTOCOLS, Protocol, Reason};
use crate::ops::{FindingLine, NAMED_USERS, SessionLine};
use crate::output::{Event, Protection};
use crate::run::Failure;
use crate::wire::{Endpoint, PacketRef};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::collections::BTreeMap;
use std::hash::BuildHasher as _;
use std::net::SocketAddr;
use std::sync::Arc;

/// Login and session records held to be put in order; beyond it what is held is written, so that memory stays
/// bounded on any archive.
const HELD: usize = 1_000_000;

/// Users and clients counted for a line of the summary.
const USERS: usize = 1000;

/// Numbers for the summary and the exit status.
#[derive(Default)]
pub(super) struct Tally {
    sessions: [[u64; 4]; PROTOCOLS.len()],
    logins: BTreeMap<&'static str, u64>,
    findings: BTreeMap<(std::cmp::Reverse<u8>, FindingId, Subject), Line>,
    pub(super) incomplete_sessions: u64,
    /// Of those that were not accepted.
    pub(super) worst_severity: u8,
    /// Distinct findings that were.
    pub(super) accepted: u64,
    /// Distinct findings that weigh nothing because nothing of them was on a network.
    pub(super) on_one_host: u64,
    /// Not judged against others.
    pub(super) uncompared: u64,
    hasher: RandomState,
    /// The same for those who look while the run goes on.
    pub(super) scores: Arc<Scores>,
}

/// What findings of one line are about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Capture,
    Server(Endpoint),
    Places(usize),
}

#[derive(Default)]
struct Line {
    /// Hashes of addresses, where each finding has one client.
    client_addresses: Hashes,
    clients: u64,
    /// The first of them, in the order in which they came.
    users: Vec<String>,
    /// Hashes of all: names may be long, and most are only counted.
    known_users: Hashes,
    count: u64,
}

/// Distinct things by their hashes.
#[derive(Default)]
struct Hashes(HashTable<u64>);

impl Hashes {
    /// Whether it is new.
    fn insert(&mut self, hash: u64) -> bool {
        let is_new = self.0.find(hash, |known| *known == hash).is_none();
        if is_new {
            self.0.insert_unique(hash, hash, |known| *known);
        }
        is_new
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

fn protection(session: &Session) -> Protection {
    Protection::of(session.is_tls, session.is_implicit_tls)
}

impl Tally {
    pub(super) fn session(&mut self, session: &Session) {
        self.sessions[session.flow.protocol as usize][protection(session) as usize] += 1;
        let is_lossy = matches!(session.coverage, Coverage::Partial(Reason::Gap | Reason::Evicted));
        self.incomplete_sessions += u64::from(is_lossy);
        self.scores.session(session, protection(session) as usize);
    }

    pub(super) fn login(&mut self, login: &Login) {
        *self.logins.entry(login.outcome.name()).or_default() += 1;
        self.scores.login(login);
    }

    pub(super) fn finding(&mut self, collected: &Collected) {
        let finding = &collected.finding;
        if collected.accepted.is_some() {
            self.accepted += 1;
            return;
        }
        let is_spared = finding.severity == 1 && finding.id.entry().severity > 1;
        self.on_one_host += u64::from(is_spared && finding.flow.is_some_and(|flow| flow.is_on_one_host()));
        self.worst_severity = self.worst_severity.max(finding.severity);
        let places = finding.places().len();
        let server = match finding.flow {
            Some(flow) if places == 0 => Subject::Server(flow.server),
            Some(_) => Subject::Places(places),
            None => Subject::Capture,
        };
        let line = self.findings.entry((std::cmp::Reverse(finding.severity), finding.id, server)).or_default();
        line.count += collected.count;
        if let Some(flow) = finding.flow.filter(|_| line.client_addresses.len() < USERS) {
            line.client_addresses.insert(self.hasher.hash_one(flow.client.address));
        }
        line.clients = collected.clients.max(line.clients).max(line.client_addresses.len() as u64);
        let is_about_user = finding.id.entry().key.holds_user();
        if let Some(user) = finding.user.as_ref().filter(|_| is_about_user && line.known_users.len() < USERS)
            && line.known_users.insert(self.hasher.hash_one(user))
            && line.users.len() < NAMED_USERS
        {
            line.users.push(user.as_str().to_owned());
        }
    }

    /// Mail connections.
    pub(super) fn sessions(&self) -> u64 {
        self.sessions.iter().flatten().sum()
    }

    pub(super) fn session_lines(&self) -> Vec<SessionLine> {
        let rows = PROTOCOLS.iter().zip(&self.sessions).filter(|(_, counts)| counts.iter().any(|count| *count > 0));
        rows.map(|(info, &[clear, starttls, implicit_tls, unknown])| SessionLine {
            protocol: info.title,
            clear,
            starttls,
            implicit_tls,
            unknown,
        })
        .collect()
    }

    pub(super) fn login_lines(&self) -> Vec<(&'static str, u64)> {
        self.logins.iter().map(|(name, count)| (*name, *count)).collect()
    }

    pub(super) fn finding_lines(&self) -> Vec<FindingLine> {
        let lines = self.findings.iter().map(|((severity, id, server), line)| FindingLine {
            severity: severity.0,
            id: id.name(),
            title: id.entry().title,
            server: match server {
                Subject::Capture => String::new(),
                Subject::Server(server) => SocketAddr::new(server.ip(), server.port).to_string(),
                Subject::Places(places) => format!("{places} places"),
            },
            is_service: matches!(server, Subject::Server(_)),
            clients: line.clients,
            users: line.users.clone(),
            more_users: (line.known_users.len() - line.users.len()) as u64,
            count: line.count,
        });
        lines.collect()
    }
}

/// Records of a replay, put in the order of packet time before they are written.
pub(super) struct Book {
    kinds: Kinds,
    policy: Arc<Policy>,
    collector: Collector,
    correlator: Correlator,
    logins: Vec<Login>,
    sessions: Vec<Session>,
    pub(super) tally: Tally,
    /// Files of evidence are to be written.
    pub(super) evidence: Option<Wanted>,
}

impl Book {
    pub(super) fn new(kinds: Kinds, settings: &Settings, inputs: Vec<String>) -> Self {
        Self {
            kinds,
            policy: Arc::clone(&settings.policy),
            collector: Collector::new(settings.limits.findings, inputs),
            correlator: Correlator::default(),
            logins: Vec::new(),
            sessions: Vec::new(),
            tally: Tally::default(),
            evidence: None,
        }
    }

    /// Takes records; writes only when too many are held.
    pub(super) fn add(&mut self, records: &mut Vec<Record>, sink: &mut Sink) -> Result<(), Failure> {
        for record in records.drain(..) {
            match record {
                Record::Finding(finding) => {
                    self.tally.scores.came(&finding);
                    self.collector.add(*finding);
                }
                Record::Login(login) => {
                    self.tally.login(&login);
                    self.correlator.login(&login);
                    if self.kinds.logins {
                        self.logins.push(*login);
                    }
                }
                Record::Session(session) => {
                    self.tally.session(&session);
                    if let Some(verdict) = &mut sink.verdict {
                        verdict.session(&session);
                    }
                    self.correlator.session(&session);
                    if let Some(evidence) = &mut self.evidence {
                        evidence.session(&session);
                    }
                    if self.kinds.sessions {
                        self.sessions.push(*session);
                    }
                }
            }
        }
        if self.collector.is_full() || self.correlator.is_full() || self.logins.len() + self.sessions.len() >= HELD {
            self.write(sink)?;
        }
        Ok(())
    }

    /// Writes all that is held, in order.
    fn write(&mut self, sink: &mut Sink) -> Result<(), Failure> {
        self.conclude();
        self.write_out(sink)
    }

    /// Writes all that is held: nothing more will come.
    pub(super) fn finish(&mut self, sink: &mut Sink) -> Result<(), Failure> {
        self.conclude();
        // What it remembered is of no use any more, and writing takes memory as well.
        self.correlator = Correlator::default();
        self.write_out(sink)
    }

    fn conclude(&mut self) {
        for finding in self.correlator.conclude(&self.policy) {
            self.tally.scores.came(&finding);
            self.collector.add(finding);
        }
        self.tally.uncompared = self.correlator.uncompared();
    }

    /// One record after the other by the time of its packet; of equal ones logins first and sessions last.
    fn write_out(&mut self, sink: &mut Sink) -> Result<(), Failure> {
        let logins = in_order(&self.logins, |login| (login.at, login.ordinal));
        let sessions = in_order(&self.sessions, |session| (session.end, 0));
        let (mut logins, mut sessions) = (logins.into_iter().peekable(), sessions.into_iter().peekable());
        for mut finding in self.collector.drain() {
            finding.accept(&self.policy.baseline);
            self.tally.finding(&finding);
            self.tally.scores.stayed(&finding);
            if let Some(evidence) = &mut self.evidence {
                evidence.finding(&finding);
            }
            if self.kinds.findings {
                write_until(Some((finding.last, 1)), &mut logins, &mut sessions, sink)?;
                sink.write(&Event::Finding(&finding))?;
            }
        }
        write_until(None, &mut logins, &mut sessions, sink)?;
        self.logins.clear();
        self.sessions.clear();
        sink.flush()
    }
}

/// Records by a key, those of equal keys as they came.
fn in_order<T>(records: &[T], key: impl Fn(&T) -> (PacketRef, u32)) -> Vec<(PacketRef, &T)> {
    let mut order: Vec<_> = records.iter().map(|record| (key(record), record)).collect();
    order.sort_by_key(|(key, _)| *key);
    order.into_iter().map(|((at, _), record)| (at, record)).collect()
}

/// Records that are to be written, with their packets.
type Waiting<'a, T> = std::iter::Peekable<std::vec::IntoIter<(PacketRef, &'a T)>>;

/// Writes logins and sessions that come before what has this packet and rank; all of them without one.
fn write_until(
    end: Option<(PacketRef, u8)>,
    logins: &mut Waiting<'_, Login>,
    sessions: &mut Waiting<'_, Session>,
    sink: &mut Sink,
) -> Result<(), Failure> {
    let is_due = |next: Option<(PacketRef, u8)>| next.is_some_and(|next| end.is_none_or(|end| next < end));
    loop {
        let login = logins.peek().map(|(at, _)| (*at, 0));
        let session = sessions.peek().map(|(at, _)| (*at, 2));
        let login_is_first = login.is_some_and(|login| session.is_none_or(|session| login < session));
        if login_is_first && is_due(login) {
            logins.next().map_or(Ok(()), |(_, login)| sink.write(&Event::Login(login)))?;
        } else if !login_is_first && is_due(session) {
            sessions.next().map_or(Ok(()), |(_, session)| sink.write(&Event::Session(session)))?;
        } else {
            return Ok(());
        }
    }
}

/// The index of a protocol in the tables here.
const _: () = assert!(Protocol::Acap as usize + 1 == PROTOCOLS.len());
