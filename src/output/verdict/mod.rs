//! What a run came to, as documents for those who judge builds: SARIF, JUnit, and the annotations of GitHub. They are made
//! from records, so they can say no more than records do, and no secret.

mod github;
mod junit;
mod sarif;
#[cfg(test)]
mod tests;

use super::Written;
use crate::finding::{FindingId, SEVERITIES, Session, severity_of};
use crate::mail::Protocol;
use crate::wire::Endpoint;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;

/// A document that is made when all findings are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Document {
    /// Static Analysis Results Interchange Format 2.1.0 (OASIS), for code scanning.
    Sarif,
    /// JUnit's XML, a case for each finding that a server could have.
    Junit,
    /// Workflow commands of GitHub Actions.
    Github,
}

/// Findings kept for documents: as many results as GitHub takes of one run.
const FINDINGS: usize = 25_000;
/// Octets of their records.
const FINDING_OCTETS: usize = 128 << 20;
/// Servers that are told one by one.
const SERVERS: usize = 1000;
/// From this severity on a finding is a failure where nobody says which are: low.
const FAILS: u8 = 2;

/// What was seen of a mail server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    sessions: u64,
    clear_starts: u64,
    tls: u64,
    logins: u64,
}

/// What is known of a run before it begins.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Captures, as they were named, with their octets where they are files.
    pub inputs: Vec<(String, Option<u64>)>,
    /// Severity, 1 to 5, from which a finding is a failure.
    pub fail_on: Option<u8>,
    /// There are findings that are accepted.
    pub has_baseline: bool,
    /// A file of the repository that results are pinned to, for services that show nothing else.
    pub sarif_base: Option<String>,
}

/// What documents are made from, collected while a run goes on.
#[derive(Default)]
pub struct Verdict {
    /// By severity, each with its place among all.
    findings: [Vec<(u64, Box<[u8]>)>; SEVERITIES.len()],
    came: u64,
    octets: usize,
    /// There was no room for so many.
    more_findings: u64,
    servers: BTreeMap<(Protocol, Endpoint), Seen>,
    more_servers: bool,
    about: About,
    /// The exit status, and why it is not 0.
    status: (u8, String),
    /// What was wrong with the captures, a line each.
    problems: Vec<String>,
}

impl Verdict {
    /// Of a run that begins.
    #[must_use]
    pub fn new(about: About) -> Self {
        Self { about, ..Self::default() }
    }

    /// The run is over: its exit status with the reason, and what was wrong with the captures, a line each.
    pub fn conclude(&mut self, status: (u8, String), problems: Vec<String>) {
        (self.status, self.problems) = (status, problems);
    }

    /// Notes a connection: where it led to and what could be seen there.
    pub fn session(&mut self, session: &Session) {
        let key = (session.flow.protocol, session.flow.server);
        if self.servers.len() >= SERVERS && !self.servers.contains_key(&key) {
            self.more_servers = true;
            return;
        }
        let seen = self.servers.entry(key).or_default();
        seen.sessions += 1;
        seen.clear_starts += u64::from(!session.is_implicit_tls);
        seen.tls += u64::from(session.is_tls != Some(false));
        seen.logins += u64::from(session.logins);
    }

    /// Notes a finding of that severity, by its record in the form ecs. Where there is no room for all, the least grave of
    /// them give way, the latest first.
    pub fn finding(&mut self, severity: u8, line: &[u8]) {
        let bucket = usize::from(severity.clamp(1, 5)) - 1;
        let is_full = |verdict: &Self| verdict.kept() >= FINDINGS || verdict.octets + line.len() > FINDING_OCTETS;
        while is_full(self) {
            let Some((_, gone)) = self.findings[..bucket].iter_mut().find_map(Vec::pop) else {
                self.more_findings += 1;
                return;
            };
            self.more_findings += 1;
            self.octets -= gone.len();
        }
        self.octets += line.len();
        self.came += 1;
        self.findings[bucket].push((self.came, line.into()));
    }

    fn kept(&self) -> usize {
        self.findings.iter().map(Vec::len).sum()
    }

    /// Writes a document.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(&self, document: Document, out: &mut dyn Write) -> io::Result<()> {
        match document {
            Document::Sarif => sarif::write(self, out),
            Document::Junit => junit::write(self, out),
            Document::Github => github::write(self, out),
        }
    }

    /// The page of a job, in Markdown.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_summary(&self, out: &mut dyn Write) -> io::Result<()> {
        github::write_summary(self, out)
    }

    /// In the order in which they came.
    fn findings(&self) -> impl Iterator<Item = Told> {
        let mut all: Vec<&(u64, Box<[u8]>)> = self.findings.iter().flatten().collect();
        all.sort_unstable_by_key(|(came, _)| *came);
        all.into_iter().filter_map(|(_, line)| Told::new(line))
    }

    /// Whether the analysis could be done, and was complete.
    fn is_whole(&self) -> bool {
        self.status.0 < 3
    }

    fn fails_from(&self) -> u8 {
        self.about.fail_on.unwrap_or(FAILS)
    }

    /// What keeps the result from being the whole truth.
    fn gaps(&self) -> Vec<String> {
        let mut gaps = self.problems.clone();
        gaps.extend((!self.is_whole()).then(|| self.status.1.clone()));
        if self.more_findings > 0 {
            gaps.push(format!("{} more findings are not listed here; the records have them", self.more_findings));
        }
        gaps
    }
}

/// A finding read back from its record.
struct Told {
    written: Written,
    rule: FindingId,
    /// 1 to 5.
    severity: u8,
}

impl Told {
    fn new(line: &[u8]) -> Option<Self> {
        let written = Written::shown(line)?;
        let rule = FindingId::parse(written.action())?;
        let severity = severity_of(written.text("/barewire/severity"))?;
        Some(Self { written, rule, severity })
    }

    fn text(&self, place: &str) -> &str {
        self.written.text(place)
    }

    fn message(&self) -> &str {
        self.text("/message")
    }

    fn remediation(&self) -> &str {
        match self.text("/barewire/remediation") {
            "" => self.rule.entry().remediation,
            text => text,
        }
    }

    /// Why it may stand, if it may.
    fn accepted(&self) -> Option<String> {
        let (reason, owner) = (self.text("/barewire/accepted/reason"), self.text("/barewire/accepted/owner"));
        let until = self.text("/barewire/accepted/expires").get(..10).map(|day| format!(" until {day}"));
        (!owner.is_empty()).then(|| format!("accepted{}: {reason} ({owner})", until.unwrap_or_default()))
    }

    /// `imap://10.0.0.1:143`; empty for a finding about the capture.
    fn place(&self) -> String {
        match self.written.server() {
            server if server.is_empty() => server,
            server => format!("{}://{server}", self.text("/network/protocol")),
        }
    }

    /// The capture, unless it is standard input.
    fn capture(&self) -> Option<&str> {
        Some(self.text("/log/file/path")).filter(|path| !path.is_empty() && *path != "-")
    }
}

/// A server as findings name it.
fn place((protocol, server): &(Protocol, Endpoint)) -> String {
    format!("{}://{}", protocol.name(), SocketAddr::new(server.ip(), server.port))
}
