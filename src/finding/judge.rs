//! One connection's case: folds observations into facts, and facts into logins, findings and the session.
//!
//! Exposure and outcome are separate: an outcome never creates an exposure. Absence needs proof: no complete list
//! the client had seen, no `starttls-not-offered`. Weaker findings give way to stronger ones on the connection.

use super::catalogue::FindingId;
use super::record::{Coverage, Finding, Flow, Login, Offer, Record, Session, Starttls};
use crate::mail::{
    Attempt, Capabilities, Confidence, End, Observation, Outcome, Protocol, Reason, SecretClass, StarttlsReply, Text,
    TlsStep,
};
use crate::secret::{Fingerprint, FingerprintClass, FingerprintKey};
use crate::stream::Mark;
use crate::wire::{Endpoint, PacketRef};
use std::net::IpAddr;

/// What the judge is told when a connection ends.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// How.
    pub end: End,
    /// Its last captured packet.
    pub at: PacketRef,
    /// Captured packets.
    pub packets: u64,
    /// Payload octets from the client and from the server.
    pub octets: [u64; 2],
    /// Each side's packets are in the capture: client, server.
    pub captured: [bool; 2],
    /// The first octets were not captured.
    pub is_midstream: bool,
    /// Octets are missing: of the client, of the server.
    pub has_gap: [bool; 2],
    /// The FIN of either side was seen.
    pub has_fin: bool,
}

/// What the server's list said from some point of its stream on.
#[derive(Clone, Copy)]
struct Listed {
    /// Server stream offset after the list.
    end: u64,
    offer: Offer,
}

/// Lists that are remembered; a server that sends more is not worth more.
const LISTS: usize = 16;

/// What is known of one connection.
pub struct Case {
    flow: Flow,
    confidence: Confidence,
    is_implicit_tls: bool,
    lists: Vec<Listed>,
    /// STARTTLS was in a list at some time.
    ever_offered: bool,
    is_requested: bool,
    reply: Option<(StarttlsReply, Text)>,
    /// Server stream offset after that reply.
    reply_end: u64,
    client_hello: bool,
    established: bool,
    tls_failed: bool,
    tls_version: Option<u16>,
    server_name: Option<Text>,
    attempts: u32,
    messages: u32,
    goodbye: bool,
    banner: Option<Text>,
    client_name: Option<Text>,
    /// Sensitive actions in clear: where the first was.
    sensitive: Option<Mark>,
    /// One of them came after the client had seen the offer.
    sensitive_after_offer: bool,
    raised_not_offered: bool,
    raised_after_refusal: bool,
    /// A login whose reply was not to be had because a direction is missing.
    is_asymmetric: bool,
}

impl Case {
    /// A new case.
    #[must_use]
    pub fn new(flow: Flow, confidence: Confidence, is_implicit_tls: bool) -> Self {
        Self {
            flow,
            confidence,
            is_implicit_tls,
            lists: Vec::new(),
            ever_offered: false,
            is_requested: false,
            reply: None,
            reply_end: 0,
            client_hello: false,
            established: false,
            tls_failed: false,
            tls_version: None,
            server_name: None,
            attempts: 0,
            messages: 0,
            goodbye: false,
            banner: None,
            client_name: None,
            sensitive: None,
            sensitive_after_offer: false,
            raised_not_offered: false,
            raised_after_refusal: false,
            is_asymmetric: false,
        }
    }

    /// Takes one fact.
    pub fn observe(&mut self, mark: Mark, observation: Observation, key: &FingerprintKey, records: &mut Vec<Record>) {
        match observation {
            Observation::Greeting(text) => self.banner = Some(text),
            Observation::Client(name) => self.client_name = Some(name),
            Observation::Capabilities(Capabilities { has_starttls, end, .. }) => {
                self.list(end, if has_starttls { Offer::Offered } else { Offer::NotOffered });
            }
            Observation::NoCapabilities(reason) => self.list(0, Offer::Unknown(reason)),
            Observation::StarttlsRequested => self.is_requested = true,
            Observation::StarttlsReplied { reply, code, end } => {
                self.reply = Some((reply, code));
                self.reply_end = end;
            }
            Observation::Tls(step) => self.tls(step),
            Observation::ServerName(name) => self.server_name = Some(name),
            Observation::Login(attempt) => self.login(*attempt, key, records),
            Observation::Content => self.content(mark, records),
            Observation::Goodbye => self.goodbye = true,
            Observation::Desync => self.confidence = Confidence::Possible,
        }
    }

    fn list(&mut self, end: u64, offer: Offer) {
        self.ever_offered |= offer == Offer::Offered;
        if self.lists.len() == LISTS {
            self.lists.remove(0);
        }
        let end = end.max(self.lists.last().map_or(0, |last| last.end));
        self.lists.push(Listed { end, offer });
    }

    fn tls(&mut self, step: TlsStep) {
        match step {
            TlsStep::ClientHello => self.client_hello = true,
            TlsStep::ServerHello(version) => self.tls_version = Some(version),
            TlsStep::Established => self.established = true,
            TlsStep::Failed => self.tls_failed = true,
        }
    }

    /// The offer as the client knew it when it sent what stands at `mark`.
    fn offer_at(&self, mark: Mark) -> Offer {
        let seen = mark.seen.unwrap_or(u64::MAX);
        let known = self.lists.iter().rev().find(|list| list.end <= seen);
        known.map_or(Offer::Unknown(Reason::NotAsked), |list| list.offer)
    }

    /// The offer for the session as a whole.
    fn offer(&self) -> Offer {
        match self.lists.last() {
            _ if self.ever_offered => Offer::Offered,
            Some(list) => list.offer,
            None => Offer::Unknown(Reason::NotAsked),
        }
    }

    fn starttls(&self, offer: Offer) -> Starttls {
        Starttls {
            offer,
            is_requested: self.is_requested,
            reply: self.reply.as_ref().map(|(reply, _)| *reply),
            reply_code: self.reply.as_ref().map(|(_, code)| code.clone()),
        }
    }

    fn login(&mut self, attempt: Attempt, key: &FingerprintKey, records: &mut Vec<Record>) {
        self.attempts = self.attempts.saturating_add(1);
        self.is_asymmetric |= attempt.outcome == Outcome::Unknown(Reason::Asymmetric);
        let fingerprint = fingerprint(&attempt, key);
        let offer = self.offer_at(attempt.mark);
        let login = Login {
            flow: self.flow,
            ordinal: self.attempts,
            at: attempt.mark.at,
            mechanism: attempt.mechanism,
            variant: attempt.variant,
            class: attempt.class,
            user: attempt.user,
            authzid: attempt.authzid,
            fingerprint,
            outcome: attempt.outcome,
            is_inferred: attempt.is_inferred,
            code: attempt.code,
            confidence: attempt.confidence.min(self.confidence),
            starttls: self.starttls(offer),
        };
        if login.class == SecretClass::Password {
            records.push(self.login_finding(FindingId::CleartextPassword, &login));
        }
        let discloses = matches!(login.class, SecretClass::Password | SecretClass::Bearer);
        if discloses && login.outcome == Outcome::Accepted {
            records.push(self.login_finding(FindingId::ServerAcceptsCleartextAuth, &login));
        }
        if login.class != SecretClass::None {
            self.act_in_clear(attempt.mark, true, records);
        }
        records.push(Record::Login(Box::new(login)));
    }

    fn login_finding(&self, id: FindingId, login: &Login) -> Record {
        let severity = match id {
            FindingId::CleartextPassword => self.exposure_severity(id.entry().severity, login),
            _ => self.on_one_host(id.entry().severity),
        };
        Record::Finding(Box::new(Finding {
            id,
            severity,
            confidence: login.confidence,
            flow: Some(self.flow),
            at: login.at,
            user: login.user.clone(),
            mechanism: Some(login.mechanism.clone()),
            outcome: Some(login.outcome),
            fingerprint: login.fingerprint,
            starttls: Some(login.starttls.clone()),
            missing: None,
        }))
    }

    /// A secret that works and crossed the public Internet, or that acts for somebody else, weighs more.
    fn exposure_severity(&self, base: u8, login: &Login) -> u8 {
        let works = login.outcome.proves_valid();
        let is_public = is_public(self.flow.client) || is_public(self.flow.server);
        let raised = base + u8::from(works && is_public) + u8::from(login.authzid.is_some());
        self.on_one_host(raised.min(5))
    }

    /// What never left the host is no exposure on a network.
    fn on_one_host(&self, severity: u8) -> u8 {
        let (client, server) = (self.flow.client.ip(), self.flow.server.ip());
        if client.is_loopback() || server.is_loopback() || client == server { 1 } else { severity }
    }

    fn content(&mut self, mark: Mark, records: &mut Vec<Record>) {
        self.messages = self.messages.saturating_add(1);
        self.act_in_clear(mark, false, records);
    }

    /// A credential or message passed in clear at `mark`.
    fn act_in_clear(&mut self, mark: Mark, is_login: bool, records: &mut Vec<Record>) {
        self.sensitive.get_or_insert(mark);
        let offer = self.offer_at(mark);
        self.sensitive_after_offer |= offer == Offer::Offered;
        let had_seen = mark.seen.is_none_or(|seen| seen >= self.reply_end);
        let refused = had_seen && self.reply.as_ref().is_some_and(|(reply, _)| *reply != StarttlsReply::Accepted);
        if refused && !self.raised_after_refusal {
            self.raised_after_refusal = true;
            records.push(self.state_finding(FindingId::CleartextAfterStarttlsRefused, 4, mark.at, offer));
        }
        if offer == Offer::NotOffered && !self.raised_not_offered && !refused {
            self.raised_not_offered = true;
            let severity = self.missing_offer_severity(is_login);
            records.push(self.state_finding(FindingId::StarttlsNotOffered, severity, mark.at, offer));
        }
    }

    /// Between servers, and from a server to its own store, TLS is opportunistic or not expected at all.
    fn missing_offer_severity(&self, is_login: bool) -> u8 {
        match self.flow.protocol {
            Protocol::Lmtp => 1,
            _ if is_login || !self.may_be_transfer() => 3,
            _ => 2,
        }
    }

    /// Mail between servers, where TLS is opportunistic (RFC 3207): SMTP on port 25 without a login.
    fn may_be_transfer(&self) -> bool {
        self.flow.protocol == Protocol::Smtp && self.attempts == 0 && self.flow.server.port == 25
    }

    fn state_finding(&self, id: FindingId, severity: u8, at: PacketRef, offer: Offer) -> Record {
        Record::Finding(Box::new(Finding {
            id,
            severity: self.on_one_host(severity),
            confidence: self.confidence,
            flow: Some(self.flow),
            at,
            user: None,
            mechanism: None,
            outcome: None,
            fingerprint: None,
            starttls: Some(self.starttls(offer)),
            missing: None,
        }))
    }

    /// Ends the case: what needs the whole connection, and the session.
    pub fn conclude(mut self, ending: &Ending, records: &mut Vec<Record>) {
        self.conclude_offer(ending, records);
        let coverage = self.coverage(ending);
        if let Coverage::Partial(reason @ (Reason::Gap | Reason::Asymmetric | Reason::Evicted)) = coverage {
            records.push(self.gap_finding(reason, ending.at));
        }
        let starttls = self.starttls(self.offer());
        records.push(Record::Session(Box::new(Session {
            flow: self.flow,
            end: ending.at,
            packets: ending.packets,
            octets: ending.octets,
            starttls,
            is_tls: self.is_tls(),
            tls_version: self.tls_version,
            server_name: self.server_name,
            is_implicit_tls: self.is_implicit_tls,
            logins: self.attempts,
            messages: self.messages,
            coverage,
            confidence: self.confidence,
            banner: self.banner,
            client_name: self.client_name,
        })));
    }

    fn is_tls(&self) -> Option<bool> {
        match (self.established, self.client_hello) {
            (true, _) => Some(true),
            (false, true) if !self.tls_failed => None,
            (false, _) => Some(false),
        }
    }

    fn conclude_offer(&mut self, ending: &Ending, records: &mut Vec<Record>) {
        if self.is_implicit_tls || self.is_requested || self.client_hello {
            return;
        }
        // What was lost may have been the request.
        let [client_gap, _] = ending.has_gap;
        let ended = ending.has_fin || self.goodbye || ending.end == End::Closed || ending.end == End::Idle;
        let is_orderly = self.goodbye || ending.has_fin;
        if self.ever_offered
            && !client_gap
            && (self.sensitive_after_offer || self.sensitive.is_none() && is_orderly)
            && ended
        {
            let severity = if self.sensitive_after_offer { 3 } else { 1 };
            let at = self.sensitive.map_or(ending.at, |mark| mark.at);
            records.push(self.state_finding(FindingId::StarttlsOfferedUnused, severity, at, Offer::Offered));
        }
        let nothing_followed = self.offer() == Offer::NotOffered && self.sensitive.is_none() && is_orderly;
        if nothing_followed && !self.raised_not_offered {
            records.push(self.state_finding(FindingId::StarttlsNotOffered, 1, ending.at, Offer::NotOffered));
        }
    }

    fn coverage(&self, ending: &Ending) -> Coverage {
        if ending.captured.contains(&false) || self.is_asymmetric {
            Coverage::Partial(Reason::Asymmetric)
        } else if ending.has_gap.contains(&true) {
            Coverage::Partial(Reason::Gap)
        } else if ending.end == End::Evicted {
            Coverage::Partial(Reason::Evicted)
        } else if ending.is_midstream {
            Coverage::Partial(Reason::Midstream)
        } else if ending.end == End::CaptureEnded && !ending.has_fin {
            Coverage::Partial(Reason::CaptureEnded)
        } else {
            Coverage::Complete
        }
    }

    fn gap_finding(&self, missing: Reason, at: PacketRef) -> Record {
        Record::Finding(Box::new(Finding {
            id: FindingId::CoverageGap,
            severity: FindingId::CoverageGap.entry().severity,
            confidence: Confidence::Confirmed,
            flow: None,
            at,
            user: None,
            mechanism: None,
            outcome: None,
            fingerprint: None,
            starttls: None,
            missing: Some(missing),
        }))
    }
}

fn fingerprint(attempt: &Attempt, key: &FingerprintKey) -> Option<Fingerprint> {
    let class = match attempt.class {
        SecretClass::Password => FingerprintClass::Password,
        SecretClass::Bearer => FingerprintClass::Bearer,
        SecretClass::Crackable | SecretClass::None => return None,
    };
    attempt.secret.as_ref().map(|secret| key.fingerprint(class, secret))
}

/// Globally reachable by the IANA special-purpose registries (RFC 6890), as far as mail can meet them.
fn is_public(endpoint: Endpoint) -> bool {
    match endpoint.ip() {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            let is_benchmark = a == 198 && (b == 18 || b == 19);
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation()
                || address.is_multicast()
                || a == 0
                || a >= 240
                || is_shared
                || is_benchmark)
        }
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            // Global unicast is 2000::/3; 2001:db8::/32 is for documentation.
            first & 0xe000 == 0x2000 && !(first == 0x2001 && second == 0x0db8)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_public;
    use crate::wire::Endpoint;
    use std::net::IpAddr;

    #[test]
    fn public_addresses_are_the_globally_reachable_ones() {
        let check = |text: &str| {
            let address = match text.parse::<IpAddr>().expect("an address") {
                IpAddr::V4(v4) => Endpoint::v4(v4.into()),
                IpAddr::V6(v6) => v6.into(),
            };
            is_public(Endpoint { address, port: 25 })
        };
        for public in ["8.8.8.8", "100.128.0.1", "2a01:4f8::1"] {
            assert!(check(public), "{public}");
        }
        for other in ["10.1.2.3", "192.0.2.1", "100.64.0.1", "127.0.0.1", "fe80::1", "fd00::1", "2001:db8::1"] {
            assert!(!check(other), "{other}");
        }
    }
}
