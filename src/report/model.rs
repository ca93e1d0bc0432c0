//! What records add up to. Knows no JSON, no page and no clock.
//!
//! A record counts once, by `event.id`: of a finding that is told again with a higher count the difference is added.
//! What is kept of a record does not depend on the order of the input, as long as nothing is beyond its bound.

use super::bounded::{Known, Least, Seen, Words};
use super::evidence::Evidence;
use super::timeline::Timeline;
use crate::finding::FindingId;
use crate::mail::{PROTOCOLS, Protocol};
use crate::output::{Fact, FactKind, Protection};
use crate::page::text::{NAME_CHARS, SENTENCE_CHARS, shown, shown_path};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Records of which it is known whether they came before; 17 octets each.
const IDS: usize = 1_800_000;
/// Pairs of account, client and server, of which it is known whether they came before; 9 octets each.
const PAIRS: usize = 1_800_000;
/// Servers by address, port and protocol; half a kibibyte each, two with all findings there are.
const SERVICES: usize = 10_000;
/// Accounts by name; less than half a kibibyte each.
const ACCOUNTS: usize = 100_000;
/// Clients by address; less than half a kibibyte each.
const CLIENTS: usize = 100_000;
/// Secrets by fingerprint, nearly all of which are used in one place: less than half a kibibyte each.
const SECRETS: usize = 50_000;
/// Places of all secrets together; half a kibibyte each.
const ALL_PLACES: usize = 200_000;
/// Certificates; half a kibibyte each.
const CERTIFICATES: usize = 10_000;
/// Capture files and interfaces; a kibibyte each.
const SOURCES: usize = 10_000;
/// Kinds of findings: those of the catalogue, and of sensors that are newer.
const KINDS: usize = 100;
/// Places of a secret, as many as a finding names.
pub(super) const PLACES: usize = 32;

/// Ways in which a session is protected: in clear, STARTTLS, TLS from the start, not known.
pub(super) const PROTECTIONS: usize = 4;
/// Their numbers.
pub(super) const CLEAR: usize = Protection::Clear as usize;
pub(super) const STARTTLS: usize = Protection::Starttls as usize;
pub(super) const IMPLICIT: usize = Protection::ImplicitTls as usize;

/// A server: address, port and protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Service {
    pub(super) address: SocketAddr,
    pub(super) protocol: Option<Protocol>,
}

/// The newest of what something showed itself to be.
#[derive(Default)]
pub(super) struct Newest {
    time: u64,
    pub(super) text: String,
}

impl Newest {
    fn see(&mut self, text: &str, time: u64) {
        // Of two at the same time the lesser, whichever came first.
        if !text.is_empty() && (self.text.is_empty() || (time, self.text.as_str()) > (self.time, text)) {
            *self = Self { time, text: shown(text, NAME_CHARS) };
        }
    }
}

/// A kind of finding, with what its records say of it.
pub(super) struct Kind {
    /// `None`: of a sensor that is newer than this program.
    pub(super) id: Option<FindingId>,
    pub(super) name: String,
    pub(super) title: String,
    pub(super) remediation: String,
    pub(super) severity: u8,
    /// Distinct findings, and how often they occurred.
    pub(super) distinct: u64,
    pub(super) count: u64,
}

/// One kind of finding about one server.
pub(super) struct Charge {
    /// Place in the list of kinds.
    pub(super) kind: usize,
    pub(super) severity: u8,
    pub(super) distinct: u64,
    pub(super) count: u64,
}

/// What is known of a server.
#[derive(Default)]
pub(super) struct ServiceTally {
    pub(super) software: Newest,
    pub(super) charges: Vec<Charge>,
    /// Credentials in clear by findings, and by records of logins.
    pub(super) disclosed: [u64; 2],
    pub(super) accounts: u64,
    pub(super) clients: u64,
    pub(super) sessions: [u64; PROTECTIONS],
    pub(super) last: u64,
}

impl ServiceTally {
    /// Both count the same, and either may not have been given.
    pub(super) fn disclosures(&self) -> u64 {
        self.disclosed[0].max(self.disclosed[1])
    }

    pub(super) fn severity(&self) -> u8 {
        self.charges.iter().map(|charge| charge.severity).max().unwrap_or_default()
    }
}

/// What is known of an account whose secret passed in clear.
#[derive(Default)]
pub(super) struct AccountTally {
    pub(super) name: String,
    pub(super) disclosed: [u64; 2],
    /// The server took it at least once.
    pub(super) is_accepted: bool,
    pub(super) servers: Least<Service, 3>,
    pub(super) server_count: u64,
    pub(super) clients: Least<IpAddr, 3>,
    pub(super) client_count: u64,
    pub(super) last: u64,
}

impl AccountTally {
    pub(super) fn disclosures(&self) -> u64 {
        self.disclosed[0].max(self.disclosed[1])
    }
}

/// What is known of an address that spoke to servers in clear.
#[derive(Default)]
pub(super) struct ClientTally {
    pub(super) software: Newest,
    pub(super) disclosed: [u64; 2],
    pub(super) accounts: Least<String, 3>,
    pub(super) account_count: u64,
    pub(super) servers: Least<Service, 3>,
    pub(super) server_count: u64,
    pub(super) clear_sessions: u64,
    pub(super) last: u64,
}

impl ClientTally {
    pub(super) fn disclosures(&self) -> u64 {
        self.disclosed[0].max(self.disclosed[1])
    }
}

/// Where one secret was used.
#[derive(Default)]
pub(super) struct SecretTally {
    /// The fingerprint; empty where the finding has none.
    pub(super) fingerprint: String,
    pub(super) places: Least<String, PLACES>,
}

/// How many places are kept.
#[derive(Default)]
pub(super) struct Places {
    kept: usize,
    /// Times that there was no room for another.
    pub(super) others: u64,
}

impl Places {
    fn add(&mut self, secret: &mut SecretTally, place: String) {
        if secret.places.contains(&place) {
            return;
        }
        if self.kept < ALL_PLACES {
            self.kept += 1;
            secret.places.add(place);
        } else {
            self.others += 1;
        }
    }
}

/// A certificate and who showed it.
pub(super) struct CertificateTally {
    pub(super) sha256: String,
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) not_after: Option<u64>,
    pub(super) servers: Least<Service, 3>,
    pub(super) server_count: u64,
}

/// What is missing of an input.
#[derive(Default)]
pub(super) struct GapTally {
    pub(super) reason: String,
    pub(super) source: String,
    pub(super) count: u64,
    pub(super) last: u64,
}

/// A capture file or an interface.
#[derive(Default)]
pub(super) struct SourceTally {
    pub(super) name: String,
    pub(super) records: u64,
    pub(super) first: u64,
    pub(super) last: u64,
}

/// How far STARTTLS came on a session: offer, whether it was asked for, answer, whether TLS came about; the numbers of
/// the states that the chapter of it has words for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Path(pub(super) [u8; 4]);

/// Everything that is told.
pub(super) struct Model {
    ids: HashMap<u64, u64, foldhash::quality::RandomState>,
    pairs: Seen,
    /// Distinct records by kind: findings, logins, sessions.
    pub(super) records: [u64; 3],
    /// Records that were there before under the same identity.
    pub(super) repeated: u64,
    /// Records of which it could not be kept whether they came before.
    pub(super) unchecked: u64,
    /// Records that left something out to stay within their size.
    pub(super) truncated: u64,
    /// Findings that somebody lets stand for a while.
    pub(super) accepted: u64,
    /// Times of packets, in nanoseconds since 1970; `None` without records.
    pub(super) span: Option<[u64; 2]>,
    pub(super) sources: Known<u64, SourceTally>,
    /// Distinct findings by severity 1 to 5; 0 are those without.
    pub(super) severities: [u64; 6],
    pub(super) confidences: Words,
    pub(super) kinds: Known<u64, Kind>,
    /// Credentials in clear, by findings and by records of logins.
    pub(super) disclosed: [u64; 2],
    pub(super) services: Known<Service, ServiceTally>,
    pub(super) accounts: Known<u64, AccountTally>,
    pub(super) clients: Known<IpAddr, ClientTally>,
    pub(super) secrets: Known<u64, SecretTally>,
    /// Of all secrets together.
    pub(super) places: Places,
    /// Findings that one secret was used in several places.
    pub(super) reuses: Known<u64, SecretTally>,
    pub(super) outcomes: Words,
    pub(super) unknown_outcomes: Words,
    pub(super) unknown_offers: Words,
    pub(super) coverage: Words,
    pub(super) gaps: Known<u64, GapTally>,
    pub(super) protocols: [[u64; PROTECTIONS]; PROTOCOLS.len() + 1],
    pub(super) timeline: Timeline,
    pub(super) paths: BTreeMap<Path, u64>,
    pub(super) tls_versions: Words,
    pub(super) certificates: Known<u64, CertificateTally>,
    pub(super) messages_in_clear: u64,
    pub(super) evidence: Evidence,
}

impl Model {
    /// With the `evidence` gravest findings by themselves.
    pub(super) fn new(evidence: usize) -> Self {
        Self {
            ids: HashMap::default(),
            pairs: Seen::new(PAIRS),
            records: [0; 3],
            repeated: 0,
            unchecked: 0,
            truncated: 0,
            accepted: 0,
            span: None,
            sources: Known::new(SOURCES),
            severities: [0; 6],
            confidences: Words::default(),
            kinds: Known::new(KINDS),
            disclosed: [0; 2],
            services: Known::new(SERVICES),
            accounts: Known::new(ACCOUNTS),
            clients: Known::new(CLIENTS),
            secrets: Known::new(SECRETS),
            places: Places::default(),
            reuses: Known::new(SECRETS),
            outcomes: Words::default(),
            unknown_outcomes: Words::default(),
            unknown_offers: Words::default(),
            coverage: Words::default(),
            gaps: Known::new(SOURCES),
            protocols: [[0; PROTECTIONS]; PROTOCOLS.len() + 1],
            timeline: Timeline::default(),
            paths: BTreeMap::new(),
            tls_versions: Words::default(),
            certificates: Known::new(CERTIFICATES),
            messages_in_clear: 0,
            evidence: Evidence::new(evidence),
        }
    }

    /// Adds a record.
    pub(super) fn add(&mut self, fact: &Fact<'_>) {
        let Some(news) = self.news(fact) else {
            self.repeated += 1;
            return;
        };
        self.repeated += u64::from(!news.is_new);
        if news.is_new {
            self.records[fact.kind as usize] += 1;
            self.truncated += u64::from(fact.is_truncated);
            self.accepted += u64::from(fact.is_accepted);
            self.source(fact);
        }
        self.span = Some(
            self.span.map_or([fact.first, fact.time], |[first, last]| [first.min(fact.first), last.max(fact.time)]),
        );
        self.certificate(fact);
        match fact.kind {
            FactKind::Finding => self.finding(fact, &news),
            FactKind::Login => self.login(fact),
            FactKind::Session => self.session(fact),
        }
    }

    /// What a record says that was not known; `None`: nothing.
    fn news(&mut self, fact: &Fact<'_>) -> Option<News> {
        let key = self.pairs.hash((fact.kind as u8, &*fact.id));
        let now = (fact.count.min(u64::MAX >> 8), fact.severity);
        let packed = now.0 << 8 | u64::from(now.1);
        let is_full = self.ids.len() >= IDS;
        match self.ids.entry(key) {
            Entry::Occupied(mut known) => {
                let before = (*known.get() >> 8, (*known.get() & 0xff) as u8);
                if now.0 <= before.0 {
                    return None;
                }
                known.insert(packed);
                Some(News { is_new: false, count: now.0 - before.0, severity_before: before.1 })
            }
            Entry::Vacant(_) if is_full => {
                self.unchecked += 1;
                Some(News { is_new: true, count: now.0, severity_before: 0 })
            }
            Entry::Vacant(place) => {
                place.insert(packed);
                Some(News { is_new: true, count: now.0, severity_before: 0 })
            }
        }
    }

    fn source(&mut self, fact: &Fact<'_>) {
        let key = self.pairs.hash(&*fact.input);
        let new =
            || SourceTally { name: shown_path(&fact.input, NAME_CHARS), first: u64::MAX, ..SourceTally::default() };
        if let Some(source) = self.sources.value(key, new) {
            source.records += 1;
            source.first = source.first.min(fact.first);
            source.last = source.last.max(fact.time);
        }
    }

    fn finding(&mut self, fact: &Fact<'_>, news: &News) {
        let distinct = u64::from(news.is_new);
        if news.is_new {
            self.confidences.add(&fact.confidence, 1);
        } else {
            self.severities[usize::from(news.severity_before.min(5))] -= 1;
        }
        self.severities[usize::from(fact.severity.min(5))] += 1;
        let id = FindingId::parse(&fact.action);
        let kind = self.kind(fact, id);
        if let Some(kind) = kind.and_then(|at| self.kinds.at(at)) {
            kind.severity = kind.severity.max(fact.severity);
            kind.distinct += distinct;
            kind.count = kind.count.saturating_add(news.count);
        }
        self.evidence.add(fact, self.pairs.hash(&*fact.id));
        match id {
            Some(FindingId::CoverageGap) => self.gap(fact, news.count),
            Some(FindingId::CredentialReuse) => {
                let key = self.pairs.hash(&*fact.id);
                if let Some(reuse) = self.reuses.value(key, SecretTally::default) {
                    fact.places.iter().for_each(|place| self.places.add(reuse, shown(place, 2 * NAME_CHARS)));
                }
                return;
            }
            _ => {}
        }
        let Some(service) = service(fact) else { return };
        if let (Some(tally), Some(kind)) = (self.service(service, fact), kind) {
            let charge = match tally.charges.iter_mut().position(|charge| charge.kind == kind) {
                Some(at) => &mut tally.charges[at],
                None => {
                    tally.charges.push(Charge { kind, severity: 0, distinct: 0, count: 0 });
                    let last = tally.charges.len() - 1;
                    &mut tally.charges[last]
                }
            };
            charge.severity = charge.severity.max(fact.severity);
            charge.distinct += distinct;
            charge.count = charge.count.saturating_add(news.count);
        }
        if id.is_some_and(FindingId::is_disclosure) {
            self.disclose(fact, service, 0, news.count);
        }
    }

    /// The place of a kind of finding in the list of them.
    fn kind(&mut self, fact: &Fact<'_>, id: Option<FindingId>) -> Option<usize> {
        let key = self.pairs.hash(&*fact.action);
        self.kinds.value(key, || Kind {
            id,
            name: shown(&fact.action, NAME_CHARS),
            title: id.map_or_else(|| shown(&fact.title, NAME_CHARS), |id| id.entry().title.to_owned()),
            remediation: shown(&fact.remediation, SENTENCE_CHARS),
            severity: 0,
            distinct: 0,
            count: 0,
        })?;
        self.kinds.place(key)
    }

    fn gap(&mut self, fact: &Fact<'_>, count: u64) {
        let key = self.pairs.hash((&*fact.coverage, &*fact.input));
        let new = || GapTally {
            reason: shown(&fact.coverage, NAME_CHARS),
            source: shown_path(&fact.input, NAME_CHARS),
            ..GapTally::default()
        };
        if let Some(gap) = self.gaps.value(key, new) {
            gap.count = gap.count.saturating_add(count);
            gap.last = gap.last.max(fact.time);
        }
    }

    fn login(&mut self, fact: &Fact<'_>) {
        self.outcomes.add(&fact.outcome, 1);
        if !fact.outcome_reason.is_empty() {
            self.unknown_outcomes.add(&fact.outcome_reason, 1);
        }
        let Some(service) = service(fact) else { return };
        self.service(service, fact);
        if fact.secret_class != "none" {
            self.disclose(fact, service, 1, 1);
        }
    }

    /// A credential in clear, told by a finding (0) or by the record of a login (1).
    fn disclose(&mut self, fact: &Fact<'_>, service: Service, by: usize, count: u64) {
        let sum = |tally: &mut [u64; 2]| tally[by] = tally[by].saturating_add(count);
        sum(&mut self.disclosed);
        let name = fact.user.as_deref().map(|name| (self.pairs.hash(name), shown(name, NAME_CHARS)));
        let new_account = name.as_ref().is_some_and(|(key, _)| self.pairs.is_new((0, key, service)));
        let new_client = fact.client.is_some_and(|client| self.pairs.is_new((1, client, service)));
        if let Some(tally) = self.services.value(service, ServiceTally::default) {
            sum(&mut tally.disclosed);
            tally.accounts += u64::from(new_account);
            tally.clients += u64::from(new_client);
        }
        let pair = |pairs: &mut Seen| match (&name, fact.client) {
            (Some((key, _)), Some(client)) => pairs.is_new((2, key, client)),
            _ => false,
        };
        let new_pair = pair(&mut self.pairs);
        if let Some((key, name)) = &name
            && let Some(tally) =
                self.accounts.value(*key, || AccountTally { name: name.clone(), ..AccountTally::default() })
        {
            sum(&mut tally.disclosed);
            tally.is_accepted |= fact.outcome == "accepted";
            tally.servers.add(service);
            tally.server_count += u64::from(new_account);
            fact.client.into_iter().for_each(|client| tally.clients.add(client));
            tally.client_count += u64::from(new_pair);
            tally.last = tally.last.max(fact.time);
        }
        if let Some(tally) = fact.client.and_then(|client| self.clients.value(client, ClientTally::default)) {
            sum(&mut tally.disclosed);
            tally.software.see(&fact.client_software, fact.time);
            tally.account_count += u64::from(new_pair);
            tally.servers.add(service);
            tally.server_count += u64::from(new_client);
            tally.last = tally.last.max(fact.time);
            name.iter().for_each(|(_, name)| tally.accounts.add(name.clone()));
        }
        if !fact.fingerprint.is_empty() {
            self.secret(fact, service);
        }
    }

    fn secret(&mut self, fact: &Fact<'_>, service: Service) {
        let key = self.pairs.hash(&*fact.fingerprint);
        let new = || SecretTally { fingerprint: shown(&fact.fingerprint, NAME_CHARS), ..SecretTally::default() };
        if let Some(secret) = self.secrets.value(key, new) {
            let protocol = service.protocol.map_or("", Protocol::name);
            let user = fact.user.as_deref().unwrap_or_default();
            // As findings write it.
            let place = shown(&format!("{} {protocol} {user}", service.address), 2 * NAME_CHARS);
            self.places.add(secret, place);
        }
    }

    fn session(&mut self, fact: &Fact<'_>) {
        let protection = fact.protection() as usize;
        let protocol = fact.protocol.map_or(PROTOCOLS.len(), |protocol| protocol as usize);
        self.protocols[protocol][protection] += 1;
        self.timeline.add(fact.time, protocol, protection);
        self.coverage.add(&fact.coverage, 1);
        self.messages_in_clear = self.messages_in_clear.saturating_add(fact.messages_in_clear);
        if !fact.is_implicit_tls {
            *self.paths.entry(path(fact)).or_default() += 1;
            if fact.offer == "unknown" {
                self.unknown_offers.add(&fact.offer_reason, 1);
            }
        }
        let [of, version] = &fact.tls_version;
        if !version.is_empty() {
            self.tls_versions.add(&format!("{} {version}", of.to_uppercase()), 1);
        }
        let Some(service) = service(fact) else { return };
        if let Some(tally) = self.service(service, fact) {
            tally.sessions[protection] += 1;
        }
        if protection == CLEAR
            && let Some(client) = fact.client
        {
            let is_new = self.pairs.is_new((1, client, service));
            if let Some(tally) = self.services.value(service, ServiceTally::default) {
                tally.clients += u64::from(is_new);
            }
            if let Some(tally) = self.clients.value(client, ClientTally::default) {
                tally.clear_sessions += 1;
                tally.software.see(&fact.client_software, fact.time);
                tally.servers.add(service);
                tally.server_count += u64::from(is_new);
                tally.last = tally.last.max(fact.time);
            }
        }
    }

    fn service(&mut self, service: Service, fact: &Fact<'_>) -> Option<&mut ServiceTally> {
        let tally = self.services.value(service, ServiceTally::default)?;
        tally.software.see(&fact.server_software, fact.time);
        tally.last = tally.last.max(fact.time);
        Some(tally)
    }

    fn certificate(&mut self, fact: &Fact<'_>) {
        let (Some(shown_one), Some(service)) = (&fact.certificate, service(fact)) else { return };
        let key = self.pairs.hash(&*shown_one.sha256);
        let is_new = self.pairs.is_new((3, key, service));
        let new = || CertificateTally {
            sha256: shown(&shown_one.sha256, NAME_CHARS),
            subject: shown(&shown_one.subject, NAME_CHARS),
            issuer: shown(&shown_one.issuer, NAME_CHARS),
            not_after: shown_one.not_after,
            servers: Least::default(),
            server_count: 0,
        };
        if let Some(tally) = self.certificates.value(key, new) {
            tally.servers.add(service);
            tally.server_count += u64::from(is_new);
        }
    }

    /// Credentials in clear: findings and logins count the same, and either may not have been given.
    pub(super) fn disclosures(&self) -> u64 {
        self.disclosed[0].max(self.disclosed[1])
    }

    /// What there is against a server, the gravest first.
    pub(super) fn charges<'a>(&'a self, tally: &'a ServiceTally) -> Vec<(&'a Charge, &'a Kind)> {
        let known = tally.charges.iter().filter_map(|charge| Some((charge, self.kinds.get(charge.kind)?)));
        let mut charges: Vec<_> = known.collect();
        charges.sort_by_key(|(charge, kind)| (Reverse(charge.severity), Reverse(charge.count), &kind.name));
        charges
    }

    /// Accounts, those first whose secret worked and passed most often.
    pub(super) fn sorted_accounts(&self) -> Vec<&AccountTally> {
        let mut accounts: Vec<&AccountTally> = self.accounts.iter().map(|(_, account)| account).collect();
        let key = |account: &AccountTally| {
            (Reverse(account.is_accepted), Reverse(account.disclosures()), Reverse(account.server_count))
        };
        accounts.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name)));
        accounts
    }

    /// Sessions by how they were protected.
    pub(super) fn sessions(&self) -> [u64; PROTECTIONS] {
        let mut all = [0; PROTECTIONS];
        for (sum, count) in self.protocols.iter().flat_map(|of| of.iter().enumerate()) {
            all[sum] += count;
        }
        all
    }

    /// Numbers of distinct accounts, clients and servers are least numbers.
    pub(super) fn is_least(&self) -> bool {
        self.pairs.is_full()
    }
}

/// What a record adds to what was known.
struct News {
    is_new: bool,
    count: u64,
    severity_before: u8,
}

fn service(fact: &Fact<'_>) -> Option<Service> {
    let (ip, port) = fact.server?;
    Some(Service { address: SocketAddr::new(ip, port), protocol: fact.protocol })
}

fn path(fact: &Fact<'_>) -> Path {
    let offer = match &*fact.offer {
        "offered" => 0,
        "not-offered" => 1,
        _ => 2,
    };
    let reply = match &*fact.reply {
        _ if !fact.is_requested => 3,
        "accepted" => 0,
        "refused" => 1,
        _ => 2,
    };
    let tls = match fact.is_tls {
        Some(true) => 0,
        Some(false) => 1,
        None => 2,
    };
    Path([offer, u8::from(!fact.is_requested), reply, tls])
}
