//! Keeps records until they are written, and counts for the summary.

use super::Kinds;
use super::sink::Sink;
use crate::finding::{Collected, Collector, Coverage, FindingId, Key, Login, Record, Session};
use crate::mail::{PROTOCOLS, Protocol, Reason};
use crate::ops::{FindingLine, SessionLine};
use crate::output::Event;
use crate::run::Failure;
use crate::wire::PacketRef;
use std::collections::{BTreeMap, BTreeSet};

/// Login and session records held to be put in order; beyond it what is held is written, so that memory stays
/// bounded on any archive.
const HELD: usize = 1_000_000;

/// Users and clients remembered for a line of the summary, which names a few.
const USERS: usize = 1000;

/// Numbers for the summary and the exit status.
#[derive(Default)]
pub(super) struct Tally {
    sessions: [[u64; 4]; PROTOCOLS.len()],
    logins: BTreeMap<&'static str, u64>,
    findings: BTreeMap<(std::cmp::Reverse<u8>, FindingId, String), Line>,
    pub(super) incomplete_sessions: u64,
    pub(super) worst_severity: u8,
}

#[derive(Default)]
struct Line {
    /// Addresses, where each finding has one client.
    client_addresses: BTreeSet<u128>,
    clients: u64,
    users: Vec<String>,
    count: u64,
}

/// How a connection was protected.
#[derive(Clone, Copy)]
enum Protection {
    Clear,
    Starttls,
    ImplicitTls,
    Unknown,
}

fn protection(session: &Session) -> Protection {
    match session.is_tls {
        Some(true) if session.is_implicit_tls => Protection::ImplicitTls,
        Some(true) => Protection::Starttls,
        Some(false) if !session.is_implicit_tls => Protection::Clear,
        _ => Protection::Unknown,
    }
}

impl Tally {
    fn session(&mut self, session: &Session) {
        self.sessions[session.flow.protocol as usize][protection(session) as usize] += 1;
        let is_lossy = matches!(session.coverage, Coverage::Partial(Reason::Gap | Reason::Evicted));
        self.incomplete_sessions += u64::from(is_lossy);
    }

    fn finding(&mut self, collected: &Collected) {
        let finding = &collected.finding;
        self.worst_severity = self.worst_severity.max(finding.severity);
        let server = finding.flow.map_or(String::new(), |flow| match flow.server.ip() {
            std::net::IpAddr::V4(ip) => format!("{ip}:{}", flow.server.port),
            std::net::IpAddr::V6(ip) => format!("[{ip}]:{}", flow.server.port),
        });
        let line = self.findings.entry((std::cmp::Reverse(finding.severity), finding.id, server)).or_default();
        line.count += collected.count;
        if let Some(flow) = finding.flow.filter(|_| line.client_addresses.len() < USERS) {
            line.client_addresses.insert(flow.client.address);
        }
        line.clients = collected.clients.max(line.clients).max(line.client_addresses.len() as u64);
        let is_about_user = finding.id.entry().key == Key::ServerClientUserMechanism;
        if let Some(user) = finding.user.as_ref().filter(|_| is_about_user && line.users.len() < USERS)
            && !line.users.iter().any(|known| known == user.as_str())
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
            server: server.clone(),
            clients: line.clients,
            users: line.users.clone(),
            count: line.count,
        });
        lines.collect()
    }
}

/// Records of a replay, put in the order of packet time before they are written.
pub(super) struct Book {
    kinds: Kinds,
    collector: Collector,
    logins: Vec<Login>,
    sessions: Vec<Session>,
    pub(super) tally: Tally,
}

impl Book {
    pub(super) fn new(kinds: Kinds, findings: usize, inputs: Vec<String>) -> Self {
        Self {
            kinds,
            collector: Collector::new(findings, inputs),
            logins: Vec::new(),
            sessions: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Takes records; writes only when too many are held.
    pub(super) fn add(&mut self, records: &mut Vec<Record>, sink: &mut Sink) -> Result<(), Failure> {
        for record in records.drain(..) {
            match record {
                Record::Finding(finding) => drop(self.collector.add(*finding)),
                Record::Login(login) => {
                    *self.tally.logins.entry(login.outcome.name()).or_default() += 1;
                    if self.kinds.logins {
                        self.logins.push(*login);
                    }
                }
                Record::Session(session) => {
                    self.tally.session(&session);
                    if self.kinds.sessions {
                        self.sessions.push(*session);
                    }
                }
            }
        }
        if self.collector.is_full() || self.logins.len() + self.sessions.len() >= HELD {
            self.write(sink)?;
        }
        Ok(())
    }

    /// Writes all that is held, in order.
    pub(super) fn write(&mut self, sink: &mut Sink) -> Result<(), Failure> {
        let findings = self.collector.drain();
        let mut events: Vec<(PacketRef, u8, u32, Event<'_>)> = Vec::new();
        for login in &self.logins {
            events.push((login.at, 0, login.ordinal, Event::Login(login)));
        }
        for (ordinal, finding) in (0..).zip(&findings) {
            self.tally.finding(finding);
            if self.kinds.findings {
                // Equal times are in the order of their identities already.
                events.push((finding.last, 1, ordinal, Event::Finding(finding)));
            }
        }
        for session in &self.sessions {
            events.push((session.end, 2, 0, Event::Session(session)));
        }
        events.sort_by_key(|(at, rank, ordinal, _)| (*at, *rank, *ordinal));
        for (.., event) in &events {
            sink.write(event)?;
        }
        self.logins.clear();
        self.sessions.clear();
        sink.flush()
    }
}

/// Records of a live capture: each new one is written at once, repeated findings again when counted up.
#[cfg(feature = "live")]
pub(super) struct LiveBook {
    kinds: Kinds,
    collector: Collector,
    pub(super) tally: Tally,
}

#[cfg(feature = "live")]
impl LiveBook {
    pub(super) fn new(kinds: Kinds, findings: usize, inputs: Vec<String>) -> Self {
        Self { kinds, collector: Collector::new(findings, inputs), tally: Tally::default() }
    }

    /// Takes records and writes what is new.
    pub(super) fn add(&mut self, records: Vec<Record>, sink: &mut Sink) -> Result<(), Failure> {
        for record in records {
            match record {
                Record::Finding(finding) => {
                    if self.collector.is_full() {
                        self.write_counts(sink)?;
                    }
                    if let Some(new) = self.collector.add(*finding).filter(|_| self.kinds.findings) {
                        sink.write(&Event::Finding(new))?;
                    }
                }
                Record::Login(login) => {
                    *self.tally.logins.entry(login.outcome.name()).or_default() += 1;
                    if self.kinds.logins {
                        sink.write(&Event::Login(&login))?;
                    }
                }
                Record::Session(session) => {
                    self.tally.session(&session);
                    if self.kinds.sessions {
                        sink.write(&Event::Session(&session))?;
                    }
                }
            }
        }
        sink.flush()
    }

    /// Writes every finding that occurred more than once with its count; the identity is the same as before.
    pub(super) fn write_counts(&mut self, sink: &mut Sink) -> Result<(), Failure> {
        for collected in self.collector.drain() {
            self.tally.finding(&collected);
            if self.kinds.findings && collected.count > 1 {
                sink.write(&Event::Finding(&collected))?;
            }
        }
        sink.flush()
    }
}

/// The index of a protocol in the tables here.
const _: () = assert!(Protocol::Nntp as usize + 1 == PROTOCOLS.len());
