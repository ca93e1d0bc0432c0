//! What sensors know together: one secret at servers that none of them sees all of, an offer of STARTTLS that is there for
//! one and not for another.
//!
//! Takes what the records of several sensors say, in any order and any number of times: the same is found. Bounded: what
//! is beyond a bound is not compared, and counted.

use super::uses::{Use, Uses};
use super::views::{self, Views};
use super::{HELD, host_word};
use crate::finding::catalogue::FindingId;
use crate::finding::policy::Policy;
use crate::finding::record::{Finding, Flow, Offer};
use crate::finding::uid::Uid;
use crate::mail::{Confidence, Protocol, Validity};
use crate::secret::Fingerprint;
use crate::wire::{Endpoint, PacketRef, Timestamp};
use foldhash::fast::{FixedState, RandomState};
use hashbrown::HashMap;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::hash::BuildHasher as _;

/// A login as a sensor's record tells it.
#[derive(Clone, Copy, Debug)]
pub struct SeenLogin<'a> {
    /// The packet that completed the secret.
    pub at: PacketRef,
    /// On which connection.
    pub flow: Flow,
    /// The account claimed.
    pub user: Option<&'a str>,
    /// Of a secret that counts: neither rejected nor injected, and the same in all copies.
    pub fingerprint: Fingerprint,
    /// What the outcome says of the secret.
    pub validity: Validity,
}

/// A connection as a sensor's record tells it.
#[derive(Clone, Copy, Debug)]
pub struct SeenSession<'a> {
    /// Which.
    pub flow: Flow,
    /// Its last packet.
    pub end: Timestamp,
    /// What all views of it have in common.
    pub conversation: Option<Uid>,
    /// Whether STARTTLS was offered.
    pub offer: Offer,
    /// Which sensor, by a number that does not depend on the order of the records.
    pub sensor: u64,
    /// The server's greeting.
    pub banner: Option<&'a str>,
}

/// What one sensor saw of one server.
#[derive(Default)]
struct Vantage {
    /// First and last time that it was there.
    offered: Option<[Timestamp; 2]>,
    /// What the server called itself then, if anything.
    host: Option<u64>,
    /// It called itself differently from time to time: there are several machines behind the address.
    is_several: bool,
    /// The first connection on which it was not there, and what the server called itself. Nearly all have none.
    missing: Option<Box<(Flow, Option<u64>)>>,
}

/// Times from first to last, of as many sensors as there are: joined, so that one look tells whether a time is in any.
#[derive(Default)]
struct Spans(Vec<[Timestamp; 2]>);

impl Spans {
    fn join(&mut self) {
        self.0.sort_unstable();
        self.0.dedup_by(|next, known| {
            let is_joined = next[0] <= known[1];
            if is_joined {
                known[1] = known[1].max(next[1]);
            }
            is_joined
        });
    }

    fn hold(&self, time: Timestamp) -> bool {
        let after = self.0.partition_point(|[first, _]| *first <= time);
        after.checked_sub(1).is_some_and(|at| time <= self.0[at][1])
    }
}

/// Compares what several sensors saw.
#[derive(Default)]
pub struct Fleet {
    uses: Uses,
    views: Views<Uid>,
    vantages: HashMap<(Endpoint, Protocol, u64), Vantage, RandomState>,
    /// Identities of what sensors told themselves, with the number of places of a secret.
    told: HashMap<Uid, usize, RandomState>,
    uncompared: u64,
}

impl Fleet {
    /// Logins and connections that were not compared with others, because too many are remembered already.
    #[must_use]
    pub fn uncompared(&self) -> u64 {
        self.uncompared
    }

    /// Takes a login into account.
    pub fn login(&mut self, login: &SeenLogin<'_>) {
        let SeenLogin { at, flow, user, fingerprint, validity } = *login;
        self.uncompared += u64::from(!self.uses.note(fingerprint, &Use { at, flow, user, validity }));
    }

    /// Takes a connection into account.
    pub fn session(&mut self, session: &SeenSession<'_>) {
        if matches!(session.offer, Offer::Unknown(_)) {
            return;
        }
        let conversation = session.conversation.unwrap_or_else(|| by_ends(&session.flow));
        self.uncompared += u64::from(!self.views.note(conversation, session.flow, session.offer));
        self.note_vantage(session);
    }

    fn note_vantage(&mut self, session: &SeenSession<'_>) {
        let flow = session.flow;
        let key = (flow.server, flow.protocol, session.sensor);
        if self.vantages.len() >= HELD && !self.vantages.contains_key(&key) {
            self.uncompared += 1;
            return;
        }
        let host = session.banner.and_then(host_word).map(|word| FixedState::default().hash_one(word));
        let vantage = self.vantages.entry(key).or_default();
        if session.offer == Offer::Offered {
            let (start, end) = (flow.start.time, session.end);
            let Some([first, last]) = vantage.offered else {
                (vantage.offered, vantage.host) = (Some([start, end]), host);
                return;
            };
            vantage.offered = Some([first.min(start), last.max(end)]);
            vantage.is_several |= vantage.host != host;
        } else if vantage.missing.as_ref().is_none_or(|known| (flow.start, flow) < (known.0.start, known.0)) {
            vantage.missing = Some(Box::new((flow, host)));
        }
    }

    /// A finding that a sensor told itself, of a secret with so many places.
    pub fn told(&mut self, uid: Uid, places: usize) {
        if self.told.len() < HELD || self.told.contains_key(&uid) {
            let known = self.told.entry(uid).or_default();
            *known = places.max(*known);
        } else {
            self.uncompared += 1;
        }
    }

    /// Whether a sensor told this finding already, with all that it says.
    #[must_use]
    pub fn has_told(&self, uid: Uid, finding: &Finding) -> bool {
        self.told.get(&uid).is_some_and(|places| *places >= finding.places().len())
    }

    /// What all of it shows. What sensors told is among it.
    pub fn conclude(&mut self, policy: &Policy) -> Vec<Finding> {
        let mut found = self.uses.judge();
        let stripped = self.views.judge();
        let told: BTreeSet<(Endpoint, Protocol)> =
            stripped.iter().map(|(_, flow)| (flow.server, flow.protocol)).collect();
        found.extend(stripped.into_iter().map(|(_, flow)| views::stripped(flow)));
        found.extend(self.judge_vantages(&told));
        for finding in &mut found {
            if let Some(flow) = &finding.flow {
                finding.severity = policy.weigh_place(finding.severity, flow);
            }
        }
        found
    }

    /// A server that offers STARTTLS to the clients of one sensor, before and after, and to none of another's: it may be
    /// taken out on the way to these. Whoever sees both at one sensor sees a server that has changed its mind.
    fn judge_vantages(&self, told: &BTreeSet<(Endpoint, Protocol)>) -> Vec<Finding> {
        let mut offered: HashMap<(Endpoint, Protocol, Option<u64>), Spans, RandomState> = HashMap::default();
        for (&(server, protocol, _), vantage) in &self.vantages {
            let is_sure = vantage.missing.is_none() && !vantage.is_several && !told.contains(&(server, protocol));
            if let Some(span) = vantage.offered.filter(|_| is_sure) {
                offered.entry((server, protocol, vantage.host)).or_default().0.push(span);
            }
        }
        offered.values_mut().for_each(Spans::join);
        let mut stripped: Vec<Flow> = Vec::new();
        for (&(server, protocol, _), vantage) in self.vantages.iter().filter(|(_, vantage)| vantage.offered.is_none()) {
            let Some((flow, host)) = vantage.missing.as_deref() else { continue };
            if offered.get(&(server, protocol, *host)).is_some_and(|spans| spans.hold(flow.start.time)) {
                stripped.push(*flow);
            }
        }
        stripped.sort_unstable_by_key(|flow| (flow.start, *flow));
        let finding = |flow: Flow| {
            let mut finding = Finding::new(FindingId::StarttlsStripped, Some(flow), flow.start, Confidence::Possible);
            finding.evidence_mut().kind = Some("two-sensors");
            finding
        };
        stripped.into_iter().map(finding).collect()
    }
}

/// Stands for the conversation of a connection whose beginning was not seen: what all views of it without an address
/// translation have in common.
fn by_ends(flow: &Flow) -> Uid {
    let mut hash = Sha256::new();
    for end in [flow.client, flow.server] {
        hash.update(end.address.to_be_bytes());
        hash.update(end.port.to_be_bytes());
    }
    Uid::from_digest(&hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Reason;
    use crate::secret::{FingerprintClass, FingerprintKey, Secret};
    use std::net::Ipv4Addr;

    const SECOND: u64 = 1_000_000_000;

    fn flow(client: u8, server: u8, seconds: u64) -> Flow {
        let end = |last: u8, port| Endpoint::from((Ipv4Addr::new(10, 0, 0, last), port));
        Flow {
            client: end(client, 40_000),
            server: end(server, 143),
            start: PacketRef { time: Timestamp(seconds * SECOND), ..PacketRef::default() },
            protocol: Protocol::Imap,
            vlan: None,
            tunnel: None,
            isns: None,
        }
    }

    fn session(sensor: u64, flow: Flow, offer: Offer) -> SeenSession<'static> {
        let end = Timestamp(flow.start.time.0 + SECOND);
        SeenSession { flow, end, conversation: None, offer, sensor, banner: Some("mail.office.example ready") }
    }

    fn found(sessions: &[SeenSession<'_>]) -> Vec<String> {
        let mut shown: Vec<Vec<String>> = Vec::new();
        // The order is that of the records, which must not matter.
        for backwards in [false, true] {
            let mut fleet = Fleet::default();
            let mut sessions = sessions.to_vec();
            if backwards {
                sessions.reverse();
            }
            sessions.iter().for_each(|session| fleet.session(session));
            let found = fleet.conclude(&Policy::default());
            let one = |finding: &Finding| {
                let evidence = finding.evidence.as_ref().and_then(|evidence| evidence.kind);
                let client = finding.flow.map(|flow| flow.client.ip());
                format!("{} {:?} {:?} {:?}", finding.id.name(), evidence, finding.confidence, client)
            };
            shown.push(found.iter().map(one).collect());
        }
        assert_eq!(shown[0], shown[1]);
        shown.remove(0)
    }

    #[test]
    fn one_connection_with_the_offer_here_and_without_it_there_is_stripped() {
        let (here, there) = (flow(1, 9, 100), flow(1, 9, 101));
        let confirmed = "starttls-stripped Some(\"two-views\") Confirmed Some(10.0.0.1)";
        assert_eq!(found(&[session(1, here, Offer::Offered), session(2, there, Offer::NotOffered)]), [confirmed]);
        let late = flow(1, 9, 400);
        assert!(found(&[session(1, here, Offer::Offered), session(2, late, Offer::NotOffered)]).is_empty());
        let unknown = Offer::Unknown(Reason::Gap);
        assert!(found(&[session(1, here, unknown), session(2, there, Offer::NotOffered)]).is_empty());
    }

    #[test]
    fn a_server_that_offers_to_the_clients_of_one_sensor_only_may_be_stripped() {
        let around = [session(1, flow(1, 9, 100), Offer::Offered), session(1, flow(2, 9, 300), Offer::Offered)];
        let missing = session(2, flow(3, 9, 200), Offer::NotOffered);
        let possible = "starttls-stripped Some(\"two-sensors\") Possible Some(10.0.0.3)";
        assert_eq!(found(&[around[0], missing, around[1]]), [possible]);
        for (why, sessions) in [
            ("not after", vec![around[0], missing]),
            ("one sensor", vec![around[0], around[1], session(1, flow(3, 9, 200), Offer::NotOffered)]),
            ("both there", vec![around[0], around[1], missing, session(2, flow(4, 9, 250), Offer::Offered)]),
            ("another server", vec![around[0], around[1], session(2, flow(3, 8, 200), Offer::NotOffered)]),
            ("another machine", vec![around[0], around[1], SeenSession { banner: Some("b.example"), ..missing }]),
        ] {
            assert!(found(&sessions).is_empty(), "{why}");
        }
    }

    #[test]
    fn spans_hold_what_any_of_them_does() {
        let span = |first, last| [Timestamp(first), Timestamp(last)];
        let all = [span(30, 40), span(1, 9), span(5, 6), span(9, 12), span(35, 36), span(50, 50)];
        let mut spans = Spans(all.to_vec());
        spans.join();
        assert_eq!(spans.0, [span(1, 12), span(30, 40), span(50, 50)]);
        for time in 0..60 {
            let is_in_any = all.iter().any(|[first, last]| (first.0..=last.0).contains(&time));
            assert_eq!(spans.hold(Timestamp(time)), is_in_any, "{time}");
        }
    }

    #[test]
    fn a_secret_at_two_servers_is_told_unless_a_sensor_told_as_much() {
        let key = FingerprintKey::new(b"thirty-two octets made for tests");
        let fingerprint = key.fingerprint(FingerprintClass::Password, &Secret::new(b"made-up"));
        let mut fleet = Fleet::default();
        for server in [9, 8, 7] {
            let flow = flow(1, server, 100);
            let (user, validity) = (Some("alice"), Validity::Valid);
            fleet.login(&SeenLogin { at: flow.start, flow, user, fingerprint, validity });
        }
        let found = fleet.conclude(&Policy::default());
        let [reuse] = &found[..] else { panic!("{found:?}") };
        assert_eq!((reuse.id, reuse.places().len()), (FindingId::CredentialReuse, 3));
        let uid = Uid::of(reuse, "");
        assert!(!fleet.has_told(uid, reuse));
        fleet.told(uid, 2);
        assert!(!fleet.has_told(uid, reuse), "it knew of two");
        fleet.told(uid, 3);
        assert!(fleet.has_told(uid, reuse));
    }
}
