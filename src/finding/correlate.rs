//! What no single connection shows: one secret in several places, many refusals in a short time, an offer that is gone,
//! TLS that failed and then was done without.
//!
//! Takes the records of all workers and judges them in the order of their packets, so that the number of workers makes
//! no difference. Bounded: when too much is held it is judged early.

use super::catalogue::FindingId;
use super::policy::Policy;
use super::record::{Coverage, Finding, Flow, Login, Offer, Session};
use super::software::Software;
use crate::mail::{Confidence, Outcome, Protocol, StarttlsReply, Text, Validity};
use crate::secret::Fingerprint;
use crate::wire::{Endpoint, PacketRef};
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Rejections of one client by one server, or of one account, within [`FAILURE_WINDOW_NS`] that are told.
const FAILURES: usize = 10;
/// Nanoseconds.
const FAILURE_WINDOW_NS: u64 = 300 * 1_000_000_000;
/// After TLS failed, mail in clear within this time is taken as its consequence; nanoseconds.
const FALLBACK_WINDOW_NS: u64 = 300 * 1_000_000_000;
/// Two views of one connection begin within this time, for clocks of two sensors differ; nanoseconds.
const VIEW_WINDOW_NS: u64 = 60 * 1_000_000_000;
/// A view is remembered for so long, since a connection is told when it is over; nanoseconds.
const VIEW_HELD_NS: u64 = 3600 * 1_000_000_000;
/// Places remembered of one secret.
const PLACES: usize = 32;
/// Secrets remembered: each with a name as long as the client likes.
const SECRETS: usize = 250_000;
/// Servers, conversations and traces remembered, each.
const HELD: usize = 1_000_000;

/// Where a secret was used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    server: Endpoint,
    protocol: Protocol,
    user: Box<str>,
}

/// One secret's uses.
struct Uses {
    /// Sorted. Nearly always one.
    places: Vec<Place>,
    /// The use that stands for all: the last.
    last: (PacketRef, Flow),
    validity: Validity,
    /// Places when it was told last.
    told: usize,
}

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

/// What was seen of one connection, by whichever sensors: the earliest view with the offer and without.
#[derive(Default)]
struct Views {
    offered: Option<PacketRef>,
    missing: Option<Box<(PacketRef, Flow)>>,
}

/// Judges connections against each other.
#[derive(Default)]
pub struct Correlator {
    uses: HashMap<Fingerprint, Uses, RandomState>,
    failures: Vec<Failure>,
    traces: Vec<Trace>,
    offers: BTreeMap<(Endpoint, Protocol), Offers>,
    views: HashMap<(Protocol, [u32; 2]), Views, RandomState>,
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
            self.failures.push(Failure {
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
            self.note_use(fingerprint, login);
        }
    }

    fn note_use(&mut self, fingerprint: Fingerprint, login: &Login) {
        if self.uses.len() >= SECRETS && !self.uses.contains_key(&fingerprint) {
            self.uncompared += 1;
            return;
        }
        // Whose it is must be known: the same login may have been seen in another place whole.
        let Some(user) = &login.user else { return };
        let user = user.as_str().into();
        let place = Place { server: login.flow.server, protocol: login.flow.protocol, user };
        let uses = self.uses.entry(fingerprint).or_insert_with(|| Uses {
            places: Vec::with_capacity(1),
            last: (login.at, login.flow),
            validity: login.validity,
            told: 1,
        });
        // The least of them, so that the order in which they come does not matter.
        if let Err(at) = uses.places.binary_search(&place) {
            uses.places.insert(at, place);
            uses.places.truncate(PLACES);
        }
        uses.validity = uses.validity.max(login.validity);
        if login.at >= uses.last.0 {
            uses.last = (login.at, login.flow);
        }
    }

    /// Takes a connection into account.
    pub fn session(&mut self, session: &Session) {
        self.latest = self.latest.max(session.end);
        self.note_offer(session);
        self.note_view(session);
        let refused = session.starttls.reply.is_some_and(|reply| reply != StarttlsReply::Accepted);
        let cause = match () {
            () if session.exposed.is_some() => None,
            () if session.tls_failure.is_some() => session.tls_failure.clone(),
            () if refused => Some(Text::new(b"starttls-refused")),
            () if session.is_masked => Some(Text::new(b"starttls-stripped")),
            () => return,
        };
        let at = session.exposed.unwrap_or(session.end);
        let host = self.host(session);
        self.traces.push(Trace {
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

    /// The first word of the greeting: several servers behind one address name themselves differently.
    fn host(&self, session: &Session) -> Option<u64> {
        use std::hash::BuildHasher as _;
        let banner = session.banner.as_ref()?;
        let word = banner.as_str().split(' ').next().filter(|word| word.contains('.'))?;
        Some(self.hasher.hash_one(word))
    }

    fn note_offer(&mut self, session: &Session) {
        let key = (session.flow.server, session.flow.protocol);
        if session.is_masked {
            return;
        }
        if self.offers.len() >= HELD && !self.offers.contains_key(&key) {
            self.uncompared += 1;
            return;
        }
        let host = self.host(session);
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

    /// The same connection may have been seen in several places on its path.
    fn note_view(&mut self, session: &Session) {
        let Some(isns) = session.flow.isns else { return };
        let key = (session.flow.protocol, isns);
        if self.views.len() >= HELD && !self.views.contains_key(&key) {
            self.uncompared += 1;
            return;
        }
        let at = session.flow.start;
        match session.starttls.offer {
            Offer::Offered => {
                let offered = &mut self.views.entry(key).or_default().offered;
                *offered = Some(offered.map_or(at, |earlier| earlier.min(at)));
            }
            Offer::NotOffered => {
                let missing = &mut self.views.entry(key).or_default().missing;
                let seen = (at, session.flow);
                *missing = Some(missing.take().filter(|earlier| **earlier <= seen).unwrap_or_else(|| Box::new(seen)));
            }
            Offer::Unknown(_) => {}
        }
    }

    /// Judges what is held, and forgets what later records cannot make worse.
    pub fn conclude(&mut self, policy: &Policy) -> Vec<Finding> {
        let mut found = Vec::new();
        self.judge_uses(&mut found);
        self.judge_failures(&mut found);
        self.judge_traces(&mut found);
        self.judge_views(&mut found);
        self.judge_offers(&mut found);
        found.retain(|finding| self.is_new(finding));
        for finding in &mut found {
            if let Some(flow) = &finding.flow {
                finding.severity = policy.weigh_place(finding.severity, flow);
            }
        }
        found
    }

    /// One connection with the offer in one place and without it in another: something between has taken it out.
    fn judge_views(&mut self, found: &mut Vec<Finding>) {
        let near = |views: &Views| -> Option<(PacketRef, Flow)> {
            let (offered, missing) = (views.offered?, **views.missing.as_ref()?);
            let (a, b) = (offered.time, missing.0.time);
            (a.since(b).max(b.since(a)) <= VIEW_WINDOW_NS).then_some(missing)
        };
        let mut stripped: Vec<(PacketRef, Flow)> = self.views.values().filter_map(near).collect();
        stripped.sort_unstable();
        for (at, flow) in stripped {
            let mut finding = Finding::new(FindingId::StarttlsStripped, Some(flow), at, Confidence::Confirmed);
            finding.evidence_mut().kind = Some("two-views");
            found.push(finding);
        }
        let latest = self.latest.time;
        self.views.retain(|_, views| {
            let last = views.offered.into_iter().chain(views.missing.as_ref().map(|missing| missing.0)).max();
            last.is_some_and(|last| latest.since(last.time) <= VIEW_HELD_NS)
        });
    }

    fn is_new(&mut self, finding: &Finding) -> bool {
        let Some(flow) = finding.flow else { return true };
        if finding.id == FindingId::CredentialReuse || self.told.len() >= HELD {
            return true;
        }
        self.told.insert((finding.id, flow.client.address, flow.server.address, flow.server.port))
    }

    fn judge_uses(&mut self, found: &mut Vec<Finding>) {
        for (fingerprint, uses) in &mut self.uses {
            if uses.places.len() <= uses.told {
                continue;
            }
            uses.told = uses.places.len();
            let (at, flow) = uses.last;
            let mut finding = Finding::new(FindingId::CredentialReuse, Some(flow), at, Confidence::Confirmed);
            finding.fingerprint = Some(*fingerprint);
            finding.validity = uses.validity;
            let evidence = finding.evidence_mut();
            evidence.places = uses.places.iter().map(Place::text).collect();
            if is_suite(&uses.places) {
                evidence.kind = Some("expected-suite");
                finding.severity = 2;
            }
            found.push(finding);
        }
        found.sort_by_key(|finding| (finding.at, finding.fingerprint));
    }

    fn judge_failures(&mut self, found: &mut Vec<Finding>) {
        let mut failures = std::mem::take(&mut self.failures);
        failures.sort_by_key(|failure| failure.at);
        find_repeated(&failures, found);
        failures.retain(|failure| self.latest.time.since(failure.at.time) <= FAILURE_WINDOW_NS);
        self.uncompared += shed(&mut failures);
        self.failures = failures;
    }

    fn judge_traces(&mut self, found: &mut Vec<Finding>) {
        let mut traces = std::mem::take(&mut self.traces);
        traces.sort_by_key(|trace| (trace.at, trace.flow));
        find_fallbacks(&traces, found);
        traces.retain(|trace| self.latest.time.since(trace.at.time) <= FALLBACK_WINDOW_NS);
        self.uncompared += shed(&mut traces);
        self.traces = traces;
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

/// Lets the oldest go when half of what may be held stays, so that a flood within the window is not judged over and
/// over. Gives their number.
fn shed<T>(held: &mut Vec<T>) -> u64 {
    let extra = held.len().saturating_sub(HELD / 2);
    held.drain(..extra);
    extra as u64
}

/// Rejections of one client or account, [`FAILURES`] of them within the window. `failures` are in order of time.
fn find_repeated(failures: &[Failure], found: &mut Vec<Finding>) {
    let mut by_client: HashMap<(u128, Endpoint), VecDeque<usize>, RandomState> = HashMap::default();
    let mut by_user: HashMap<(&str, Endpoint), VecDeque<usize>, RandomState> = HashMap::default();
    for (at, failure) in failures.iter().enumerate() {
        let mut windows = vec![by_client.entry((failure.flow.client.address, failure.flow.server)).or_default()];
        if let Some(user) = &failure.user {
            windows.push(by_user.entry((user.as_str(), failure.flow.server)).or_default());
        }
        for window in windows {
            let is_old = |&old: &usize| failure.at.time.since(failures[old].at.time) > FAILURE_WINDOW_NS;
            while window.front().is_some_and(is_old) {
                window.pop_front();
            }
            window.push_back(at);
            if window.len() == FAILURES {
                found.push(repeated(window.iter().map(|&at| &failures[at])));
                window.clear();
            }
        }
    }
}

/// Mail in clear soon after TLS with the same server did not come about. `traces` are in order of time.
fn find_fallbacks(traces: &[Trace], found: &mut Vec<Finding>) {
    let mut failed: HashMap<u128, Vec<&Trace>, RandomState> = HashMap::default();
    for trace in traces {
        if trace.cause.is_some() {
            let before = failed.entry(trace.flow.client.address).or_default();
            before.retain(|earlier| trace.at.time.since(earlier.at.time) <= FALLBACK_WINDOW_NS);
            before.push(trace);
            continue;
        }
        let Some(before) = failed.get(&{ trace.flow.client.address }) else { continue };
        let is_recent = |earlier: &&&Trace| trace.at.time.since(earlier.at.time) <= FALLBACK_WINDOW_NS;
        if let Some(earlier) = before.iter().filter(is_recent).rev().find(|earlier| earlier.may_lead_to(trace)) {
            found.push(fallback(earlier, trace));
        }
    }
}

impl Place {
    fn text(&self) -> String {
        let address = std::net::SocketAddr::new(self.server.ip(), self.server.port);
        format!("{address} {} {}", self.protocol.name(), self.user)
    }

    /// What stands before `@`: the same person with and without the domain.
    fn person(&self) -> &str {
        self.user.split('@').next().unwrap_or(&self.user)
    }
}

/// One person's mail programs on one host: what one expects.
fn is_suite(places: &[Place]) -> bool {
    let Some(first) = places.first() else { return false };
    places.iter().all(|place| place.server.address == first.server.address && place.person() == first.person())
}

impl Trace {
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
fn repeated<'a>(failures: impl Iterator<Item = &'a Failure> + Clone) -> Finding {
    let secrets: BTreeSet<_> = failures.clone().filter_map(|failure| failure.fingerprint).collect();
    let users: BTreeSet<_> = failures.clone().filter_map(|failure| failure.user.as_ref()).collect();
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
        let refused = || Failure { at: start, flow, user: None, fingerprint: None };
        correlator.failures.resize_with(HELD, refused);
        assert!(correlator.is_full());
        correlator.conclude(&Policy::default());
        assert!(!correlator.is_full() && correlator.failures.len() == HELD / 2);
        assert_eq!(correlator.uncompared(), (HELD - HELD / 2) as u64);
    }
}
