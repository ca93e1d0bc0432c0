//! What no single connection shows: one secret in several places, many refusals in a short time, an offer that is gone,
//! TLS that failed and then was done without.
//!
//! Takes the records of all workers and judges them in the order of their packets, so that the number of workers makes
//! no difference. Bounded: when too much is held it is judged early.

mod fleet;
mod past;
mod uses;
mod views;

use super::catalogue::FindingId;
use super::packed::{Packer, Softwares, Unpacker};
use super::policy::Policy;
use super::record::{Coverage, Finding, Flow, Login, Offer, Session};
use super::software::Software;
use crate::mail::{Confidence, Outcome, Protocol, StarttlsReply, Text};
use crate::secret::Fingerprint;
use crate::wire::{Endpoint, PacketRef};
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use past::{Fact, Past};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use uses::{Use, Uses};
use views::Views;

pub use fleet::{Fleet, SeenLogin, SeenSession};

/// Rejections of one client by one server, or of one account, within [`FAILURE_WINDOW_NS`] that are told.
const FAILURES: usize = 10;
/// Nanoseconds.
const FAILURE_WINDOW_NS: u64 = 300 * 1_000_000_000;
/// After TLS failed, mail in clear within this time is taken as its consequence; nanoseconds.
const FALLBACK_WINDOW_NS: u64 = 300 * 1_000_000_000;
/// Servers, conversations and traces remembered, each.
const HELD: usize = 1_000_000;

/// A rejected login.
struct Failure {
    at: PacketRef,
    flow: Flow,
    user: Option<Text>,
    fingerprint: Option<Fingerprint>,
}

/// A connection whose TLS did not come about, or on which something passed in clear.
struct Trace {
    at: PacketRef,
    flow: Flow,
    /// The server's own name in its greeting.
    host: Option<u64>,
    client_name: Option<Text>,
    /// Something was not captured: its name maybe.
    is_partial: bool,
    server_software: Option<&'static Software>,
    client_software: Option<&'static Software>,
    /// Why TLS did not come about; `None` when something passed in clear.
    cause: Option<Text>,
}

/// What a server offered over time.
#[derive(Default)]
struct Offers {
    first_offered: Option<(PacketRef, Option<u64>)>,
    last_missing: Option<(PacketRef, Flow, Option<u64>)>,
}

/// Judges connections against each other.
#[derive(Default)]
pub struct Correlator {
    uses: Uses,
    failures: Past<Failure>,
    traces: Past<Trace>,
    offers: BTreeMap<(Endpoint, Protocol), Offers>,
    views: Views<[u32; 2]>,
    /// Time of the latest packet that a record was about.
    latest: PacketRef,
    told: HashSet<(FindingId, u128, u128, u16), RandomState>,
    uncompared: u64,
    hasher: RandomState,
}

impl Correlator {
    /// Whether so much is held that it is to be judged now.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.failures.len() >= HELD || self.traces.len() >= HELD
    }

    /// Logins and connections that were not compared with others, because too many are remembered already.
    #[must_use]
    pub fn uncompared(&self) -> u64 {
        self.uncompared
    }

    /// Takes a login into account.
    pub fn login(&mut self, login: &Login) {
        self.latest = self.latest.max(login.at);
        if login.is_injected {
            return;
        }
        if login.outcome == Outcome::Rejected {
            self.failures.push(&Failure {
                at: login.at,
                flow: login.flow,
                user: login.user.clone(),
                fingerprint: login.fingerprint,
            });
        }
        // A rejected secret may be anybody's guess, and nothing is no secret.
        if let Some(fingerprint) =
            login.fingerprint.filter(|_| !login.is_empty && login.outcome != Outcome::Rejected && !login.is_ambiguous)
        {
            self.uncompared += u64::from(!self.uses.note(fingerprint, &Use::from(login)));
        }
    }

    /// Takes a connection into account.
    pub fn session(&mut self, session: &Session) {
        self.latest = self.latest.max(session.end);
        let host = self.host(session);
        self.note_offer(session, host);
        if let Some(isns) = session.flow.isns {
            self.uncompared += u64::from(!self.views.note(isns, session.flow, session.starttls.offer));
        }
        let refused = session.starttls.reply.is_some_and(|reply| reply != StarttlsReply::Accepted);
        let cause = match () {
            () if session.exposed.is_some() => None,
            () if session.tls_failure.is_some() => session.tls_failure.clone(),
            () if refused => Some(Text::new(b"starttls-refused")),
            () if session.is_masked => Some(Text::new(b"starttls-stripped")),
            () => return,
        };
        let at = session.exposed.unwrap_or(session.end);
        self.traces.push(&Trace {
            at,
            flow: session.flow,
            host,
            client_name: session.client_name.clone(),
            is_partial: session.coverage != Coverage::Complete,
            server_software: session.server_software,
            client_software: session.client_software,
            cause,
        });
    }

    /// By what the server calls itself.
    fn host(&self, session: &Session) -> Option<u64> {
        use std::hash::BuildHasher as _;
        session.banner.as_ref().and_then(|banner| host_word(banner.as_str())).map(|word| self.hasher.hash_one(word))
    }

    fn note_offer(&mut self, session: &Session, host: Option<u64>) {
        let key = (session.flow.server, session.flow.protocol);
        if session.is_masked {
            return;
        }
        if self.offers.len() >= HELD && !self.offers.contains_key(&key) {
            self.uncompared += 1;
            return;
        }
        let at = session.flow.start;
        match session.starttls.offer {
            Offer::Offered => {
                let offers = self.offers.entry(key).or_default();
                if offers.first_offered.is_none_or(|(first, _)| at < first) {
                    offers.first_offered = Some((at, host));
                }
            }
            Offer::NotOffered => {
                let offers = self.offers.entry(key).or_default();
                if offers.last_missing.is_none_or(|(last, ..)| at > last) {
                    offers.last_missing = Some((at, session.flow, host));
                }
            }
            Offer::Unknown(_) => {}
        }
    }

    /// Judges what is held, and forgets what later records cannot make worse.
    pub fn conclude(&mut self, policy: &Policy) -> Vec<Finding> {
        let latest = self.latest.time;
        let mut found = self.uses.judge();
        find_repeated(&mut self.failures, &mut found);
        self.uncompared += self.failures.forget(latest, FAILURE_WINDOW_NS);
        find_fallbacks(&mut self.traces, &mut found);
        self.uncompared += self.traces.forget(latest, FALLBACK_WINDOW_NS);
        found.extend(self.views.judge().into_iter().map(|(_, flow)| views::stripped(flow)));
        self.views.forget(latest);
        self.judge_offers(&mut found);
        found.retain(|finding| self.is_new(finding));
        for finding in &mut found {
            if let Some(flow) = &finding.flow {
                finding.severity = policy.weigh_place(finding.severity, flow);
            }
        }
        found
    }

    fn is_new(&mut self, finding: &Finding) -> bool {
        let Some(flow) = finding.flow else { return true };
        if finding.id == FindingId::CredentialReuse || self.told.len() >= HELD {
            return true;
        }
        self.told.insert((finding.id, flow.client.address, flow.server.address, flow.server.port))
    }

    fn judge_offers(&mut self, found: &mut Vec<Finding>) {
        for offers in self.offers.values() {
            let (Some((offered, host)), Some((missing, flow, other))) = (offers.first_offered, offers.last_missing)
            else {
                continue;
            };
            let is_stripped = |finding: &Finding| {
                let same_server = finding.flow.is_some_and(|stripped| stripped.server == flow.server);
                finding.id == FindingId::StarttlsStripped && same_server
            };
            // Several machines behind one address are not one that has changed its mind; nor is one that was overruled.
            if missing > offered && host == other && !found.iter().any(is_stripped) {
                let mut finding =
                    Finding::new(FindingId::StarttlsOfferRegressed, Some(flow), missing, Confidence::Possible);
                finding.evidence_mut().seconds = Some(missing.time.since(offered.time) / 1_000_000_000);
                found.push(finding);
            }
        }
    }
}

/// The first word of a greeting, if it is a name: several servers behind one address name themselves differently.
fn host_word(banner: &str) -> Option<&str> {
    banner.split(' ').next().filter(|word| word.contains('.'))
}

/// Rejections of one client or account, [`FAILURES`] of them within the window.
fn find_repeated(failures: &mut Past<Failure>, found: &mut Vec<Finding>) {
    let mut by_client: HashMap<(u128, Endpoint), VecDeque<usize>, RandomState> = HashMap::default();
    let mut by_user: HashMap<(Text, Endpoint), VecDeque<usize>, RandomState> = HashMap::default();
    failures.sort();
    for at in 0..failures.len() {
        let failure = failures.get(at);
        let mut windows = vec![by_client.entry((failure.flow.client.address, failure.flow.server)).or_default()];
        if let Some(user) = failure.user {
            windows.push(by_user.entry((user, failure.flow.server)).or_default());
        }
        for window in windows {
            let is_old = |&old: &usize| failure.at.time.since(failures.time(old)) > FAILURE_WINDOW_NS;
            while window.front().is_some_and(is_old) {
                window.pop_front();
            }
            window.push_back(at);
            if window.len() == FAILURES {
                let window: Vec<Failure> = window.drain(..).map(|at| failures.get(at)).collect();
                found.push(repeated(&window));
            }
        }
    }
}

/// Mail in clear soon after TLS with the same server did not come about.
fn find_fallbacks(traces: &mut Past<Trace>, found: &mut Vec<Finding>) {
    // Only what clients did with whom it failed matters, and these are few.
    let failed = traces.packed().map(|(at, mut read)| Trace::begin(at, &mut read));
    let failed: HashSet<u128, RandomState> =
        failed.filter(|(marks, _)| marks.has_failed).map(|(_, flow)| flow.client.address).collect();
    if failed.is_empty() {
        return;
    }
    traces.sort();
    let mut failed: HashMap<u128, Vec<Trace>, RandomState> =
        failed.into_iter().map(|client| (client, Vec::new())).collect();
    for (number, (at, mut read)) in traces.packed().enumerate() {
        let Some(before) = failed.get_mut(&{ Trace::begin(at, &mut read).1.client.address }) else { continue };
        let trace = traces.get(number);
        let is_recent = |earlier: &Trace| trace.at.time.since(earlier.at.time) <= FALLBACK_WINDOW_NS;
        if trace.cause.is_some() {
            before.retain(is_recent);
            before.push(trace);
            continue;
        }
        let mut before = before.iter().rev().filter(|earlier| is_recent(earlier));
        if let Some(earlier) = before.find(|earlier| earlier.may_lead_to(&trace)) {
            found.push(fallback(earlier, &trace));
        }
    }
}

impl Fact for Failure {
    fn at(&self) -> PacketRef {
        self.at
    }

    fn pack(&self, write: &mut Packer, _: &mut Softwares) {
        write.flow(&self.flow, self.at);
        write.text(self.user.as_ref());
        write.number(self.fingerprint.is_some().into());
        self.fingerprint.iter().for_each(|fingerprint| write.octets(&fingerprint.octets()));
    }

    fn unpack(at: PacketRef, mut read: Unpacker<'_>, _: &Softwares) -> Self {
        let (flow, user) = (read.flow(at), read.text());
        let fingerprint = (read.number() == 1).then(|| Fingerprint::restored(&read.octets()));
        Self { at, flow, user, fingerprint }
    }

    fn order(_: &Self, _: &Self) -> Ordering {
        Ordering::Equal
    }
}

/// What stands at the beginning of a packed trace.
struct Marks {
    has_failed: bool,
    is_partial: bool,
    has_host: bool,
}

impl Fact for Trace {
    fn at(&self) -> PacketRef {
        self.at
    }

    fn pack(&self, write: &mut Packer, softwares: &mut Softwares) {
        write.octets(&[self.cause.is_some(), self.is_partial, self.host.is_some()].map(u8::from));
        write.flow(&self.flow, self.at);
        self.host.iter().for_each(|host| write.octets(&host.to_be_bytes()));
        write.text(self.client_name.as_ref());
        write.number(softwares.number(self.server_software));
        write.number(softwares.number(self.client_software));
        write.text(self.cause.as_ref());
    }

    fn unpack(at: PacketRef, mut read: Unpacker<'_>, softwares: &Softwares) -> Self {
        let (Marks { is_partial, has_host, .. }, flow) = Self::begin(at, &mut read);
        Self {
            at,
            flow,
            is_partial,
            host: has_host.then(|| u64::from_be_bytes(read.octets())),
            client_name: read.text(),
            server_software: softwares.of(read.number()),
            client_software: softwares.of(read.number()),
            cause: read.text(),
        }
    }

    fn order(a: &Self, b: &Self) -> Ordering {
        a.flow.cmp(&b.flow)
    }
}

impl Trace {
    fn begin(at: PacketRef, read: &mut Unpacker<'_>) -> (Marks, Flow) {
        let [has_failed, is_partial, has_host] = read.octets().map(|mark: u8| mark == 1);
        (Marks { has_failed, is_partial, has_host }, read.flow(at))
    }

    /// Whether the same service was spoken to, by what may be the same client: there may be several behind an address.
    fn may_lead_to(&self, later: &Self) -> bool {
        let is_other_client = match (&self.client_name, &later.client_name) {
            (Some(name), Some(later)) => name != later,
            (Some(_), None) => later.is_partial,
            (None, Some(_)) => self.is_partial,
            (None, None) => false,
        };
        let is_same_server =
            self.flow.server.address == later.flow.server.address || self.host.is_some() && self.host == later.host;
        is_same_server && self.flow.protocol == later.flow.protocol && !is_other_client
    }
}

fn fallback(earlier: &Trace, trace: &Trace) -> Finding {
    // Behind one address there may be several clients.
    let is_same_client = trace.client_name.is_some() && trace.client_name == earlier.client_name;
    let confidence = if is_same_client { Confidence::Confirmed } else { Confidence::Probable };
    let mut finding = Finding::new(FindingId::TlsFallbackToCleartext, Some(trace.flow), trace.at, confidence);
    (finding.server_software, finding.client_software) = (trace.server_software, trace.client_software);
    let evidence = finding.evidence_mut();
    evidence.kind = Some("later-connection");
    evidence.cause.clone_from(&earlier.cause);
    evidence.seconds = Some(trace.at.time.since(earlier.at.time) / 1_000_000_000);
    finding
}

/// Many refusals: of one secret again and again (a forgotten program), or of many (somebody guesses).
fn repeated(failures: &[Failure]) -> Finding {
    let secrets: BTreeSet<_> = failures.iter().filter_map(|failure| failure.fingerprint).collect();
    let users: BTreeSet<_> = failures.iter().filter_map(|failure| failure.user.as_ref()).collect();
    let kind = if secrets.len() == 1 && users.len() == 1 { "stale-credential" } else { "guessing" };
    let attempts = [secrets.len() as u32, users.len() as u32];
    let last = failures.last().expect("a window holds its last failure");
    let mut finding = Finding::new(FindingId::RepeatedAuthFailure, Some(last.flow), last.at, Confidence::Confirmed);
    let evidence = finding.evidence_mut();
    (evidence.kind, evidence.attempts) = (Some(kind), Some(attempts));
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_full_is_not_full_once_judged() {
        let (end, start) = (Endpoint { address: 1, port: 110 }, PacketRef::default());
        let flow =
            Flow { client: end, server: end, start, protocol: Protocol::Pop3, vlan: None, tunnel: None, isns: None };
        let mut correlator = Correlator::default();
        (0..HELD).for_each(|_| correlator.failures.push(&Failure { at: start, flow, user: None, fingerprint: None }));
        assert!(correlator.is_full());
        correlator.conclude(&Policy::default());
        assert!(!correlator.is_full() && correlator.failures.len() == HELD / 2);
        assert_eq!(correlator.uncompared(), (HELD - HELD / 2) as u64);
    }
}
