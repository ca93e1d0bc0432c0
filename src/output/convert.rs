//! From records to lines: which fact goes into which field.
//!
//! A finding that many connections share names only what its key fixes: no client where it is about a server, and
//! never a client's port. What differs from one occurrence to the next is that of the first.

use super::community_id::community_id;
use super::event::{
    Accepted, Barewire, ClientEnd, Distinct, Event, Evidence as EvidenceFields, Few, Ip, Letters, Line,
    Login as LoginFields, Lossy, Network, Overlap as OverlapFields, Proxied, Related, Sha256Hash, Side, Software,
    Starttls as StarttlsFields, StarttlsHead, Tls, TlsClient, TlsServer, Tunnel as TunnelFields, User, Vlan, WireText,
    Words,
};
use super::fixed::{self, LOGIN, Places, Remembered, SESSION, StarttlsHeads};
use super::identity::{event_id, view};
use super::time::rfc3339;
use super::{Inputs, sentence};
use crate::finding::{
    Category, Collected, Evidence, Finding, Flow, Key, Login, Session, Starttls, TlsFacts, Uid, severity_name,
};
use crate::mail::{
    CapabilitySource, CertificateFacts, Outcome, Protocol, Reason, StarttlsReply, Strength, Text, Timing, Validity,
    cipher,
};
use crate::stream::{Direction, Overlap};
use crate::wire::{Endpoint, PacketRef, Timestamp};
use sha2::{Digest as _, Sha256};

/// Marks a user's name that no longer holds all that was on the wire.
pub(super) const LOSSY: Lossy = Lossy { lossy: true };
/// `event.severity` of severities 1 to 5.
const SEVERITY_SCALE: [u8; 5] = [10, 21, 47, 73, 99];
/// A code or mechanism from the wire longer than this is none.
const TOKEN_OCTETS: usize = 64;

/// The line of a finding.
pub(super) fn finding<'a>(collected: &'a Collected, inputs: &Inputs, fixed: &'a mut Remembered) -> Line<'a> {
    let finding = &collected.finding;
    let key = finding.id.entry().key;
    let parts = fixed::parts(finding.id);
    let user = finding.user.as_ref().filter(|_| key.holds_user());
    let scale = SEVERITY_SCALE[usize::from(finding.severity.clamp(1, 5)) - 1];
    let mut line = base(sentence::finding(collected, inputs), collected.last, inputs, &mut fixed.places);
    let last = line.timestamp;
    let first = if collected.first.time == collected.last.time { last } else { rfc3339(collected.first.time) };
    line.event = Event {
        head: parts.head(finding.severity >= 2 && collected.accepted.is_none(), finding.outcome),
        id: Letters(collected.uid.letters()),
        severity: Some(scale),
        risk_score: Some(scale),
        start: Some(first),
        end: Some(last),
        duration: None,
        reason: Some(parts.reason()),
    };
    (line.rule, line.threat) = (Some(parts.rule()), parts.threat());
    if let Some(flow) = &finding.flow {
        connect(&mut line, flow, key.holds_client(), user);
        line.tls = finding_tls(finding);
    }
    let own = &mut line.barewire;
    own.confidence = finding.confidence.name();
    own.severity = Some(severity_name(finding.severity));
    own.count = Some(collected.count);
    own.first_seen = Some(first);
    own.last_seen = Some(last);
    own.distinct = finding.flow.map(|_| Distinct { clients: collected.clients, users: collected.users });
    own.login = finding.outcome.map(|outcome| finding_login(collected, outcome));
    own.starttls = finding.starttls.as_ref().map(|known| starttls(known, &mut fixed.starttls));
    own.coverage = finding.missing.map(Reason::name);
    own.evidence = finding.evidence.as_deref().map(evidence).filter(|fields| *fields != EvidenceFields::default());
    own.conversation = finding.flow.as_ref().filter(|_| key.holds_client()).and_then(conversation);
    own.related = finding.related.iter().map(|uid| Letters(uid.letters())).collect();
    own.server = finding.server_software.map(|software| Software { software: Some(software.name), banner: None });
    let hello = finding.evidence.as_ref().and_then(|evidence| evidence.tls.hello.as_deref());
    let ja4 = hello.and_then(|hello| hello.ja4.as_deref());
    own.client = client_end(None, finding.client_software, ja4).filter(|_| key.holds_client());
    own.accepted = collected.accepted.as_deref().map(|acceptance| Accepted {
        reason: acceptance.reason.as_str().into(),
        owner: acceptance.owner.as_str().into(),
        expires: acceptance.expires.map(rfc3339),
    });
    own.remediation = Some(fixed.remediations.of(finding));
    own.standards = parts.standards();
    line
}

/// The line of a login attempt.
pub(super) fn login<'a>(login: &'a Login, inputs: &Inputs, fixed: &'a mut Remembered) -> Line<'a> {
    let mut line = base(sentence::login(login), login.at, inputs, &mut fixed.places);
    line.event.head = fixed::login_head(login.outcome);
    line.event.id = follow(&mut line, LOGIN, &login.flow, login.ordinal, login.user.as_ref());
    if let Some(domain) = &login.domain {
        line.user.get_or_insert(User { name: None, domain: None }).domain = Some(text(domain));
    }
    if let (Some(related), Some(authzid)) = (&mut line.related, &login.authzid) {
        related.user = Few([related.user.0[0], Some(authzid.as_str())]);
    }
    line.tls = Some(Tls { established: Some(false), ..Tls::default() });
    line.barewire.confidence = login.confidence.name();
    line.barewire.starttls = Some(starttls(&login.starttls, &mut fixed.starttls));
    line.barewire.login = Some(LoginFields {
        mechanism: Some(mechanism(&login.mechanism)),
        variant: Some(login.variant.name()),
        secret_class: Some(login.class.name()),
        outcome_inferred: Some(login.is_inferred),
        // Nothing is no secret: it is not the same in two places.
        fingerprint: login.fingerprint.filter(|_| !login.is_empty).map(|known| Letters(known.letters())),
        server_code: login.code.as_ref().and_then(token),
        authzid: login.authzid.as_ref().map(text),
        ordinal: Some(login.ordinal),
        context: login.is_injected.then_some("pre-tls-injected"),
        ambiguous: login.is_ambiguous.then_some(true),
        other_fingerprint: login.other_fingerprint.map(|fingerprint| Letters(fingerprint.letters())),
        ..outcome_fields(login.outcome, login.validity, login.strength)
    });
    line.barewire.conversation = conversation(&login.flow);
    line
}

/// The line of a connection.
pub(super) fn session<'a>(session: &'a Session, inputs: &Inputs, fixed: &'a mut Remembered) -> Line<'a> {
    let mut line = base(sentence::session(session), session.end, inputs, &mut fixed.places);
    line.event.head = fixed::session_head();
    line.event.id = follow(&mut line, SESSION, &session.flow, view(session), None);
    line.event.start = Some(rfc3339(session.flow.start.time));
    line.event.end = Some(rfc3339(session.end.time));
    line.event.duration = Some(session.end.time.since(session.flow.start.time));
    count(&mut line, session);
    line.tls = tls(&session.tls, session.is_tls);
    let banner = session.banner.as_ref().map(Text::as_str);
    let own = &mut line.barewire;
    own.confidence = session.confidence.name();
    own.starttls = Some(starttls(&session.starttls, &mut fixed.starttls));
    own.implicit_tls = Some(session.is_implicit_tls);
    own.messages_in_clear = Some(session.messages);
    own.login = Some(LoginFields { attempts: Some(session.logins), ..LoginFields::default() });
    own.coverage = Some(session.coverage.name());
    own.server = (banner.is_some() || session.server_software.is_some()).then(|| Software {
        software: session.server_software.map(|software| software.name),
        banner: banner.map(|banner| without_challenge(session.flow.protocol, banner)),
    });
    let ja4 = session.tls.hello.as_ref().and_then(|hello| hello.ja4.as_deref());
    own.client = client_end(session.client_name.as_ref(), session.client_software, ja4);
    own.tls_failure = session.tls_failure.as_ref().map(text);
    own.conversation = conversation(&session.flow);
    own.proxied = session.proxied_client.as_ref().map(|client| Proxied { client: client.as_str() });
    line
}

/// What every line holds.
fn base<'a>(message: String, at: PacketRef, inputs: &Inputs, places: &'a mut Places) -> Line<'a> {
    let [place, short_place] = places.of(at.input, inputs);
    Line {
        short_place,
        timestamp: rfc3339(at.time),
        ecs: fixed::ECS,
        message,
        event: Event::default(),
        rule: None,
        threat: None,
        source: None,
        destination: None,
        client: None,
        server: None,
        network: None,
        user: None,
        related: None,
        tls: None,
        observer: place.observer(),
        log: place.log(),
        barewire: Barewire { schema: 1, packet: at.number, ..Barewire::default() },
    }
}

/// Server, protocol, user, and the client's address where it belongs.
fn connect<'a>(line: &mut Line<'a>, flow: &Flow, with_client: bool, user: Option<&'a Text>) {
    let server = Side::new(Ip::new(flow.server.ip()), Some(flow.server.port));
    let client = with_client.then(|| Side::new(Ip::new(flow.client.ip()), None));
    (line.destination, line.server) = (Some(server), Some(server));
    (line.source, line.client) = (client, client);
    line.network = Some(Network {
        head: fixed::network_head(flow.protocol, server.ip.is_v4),
        community_id: None,
        bytes: None,
        packets: None,
        vlan: None,
    });
    let ip = Few([client.map(|client| client.ip).filter(|ip| *ip != server.ip), Some(server.ip)]);
    let name = user.map(Text::as_str);
    line.user = name.map(|name| User { name: Some(name.into()), domain: None });
    line.related = Some(Related { ip, user: Few([name, None]) });
    line.barewire.user = user.filter(|user| user.is_lossy()).map(|_| LOSSY);
}

/// What names one connection, and the identity of its record with that number.
fn follow<'a>(line: &mut Line<'a>, dataset: &str, flow: &Flow, ordinal: u32, user: Option<&'a Text>) -> Letters<16> {
    connect(line, flow, true, user);
    for side in [&mut line.source, &mut line.client].into_iter().flatten() {
        *side = Side::new(side.ip, Some(flow.client.port));
    }
    let community_id = community_id(flow.client, flow.server);
    let id = event_id(dataset, &community_id.0, flow, ordinal);
    if let Some(network) = &mut line.network {
        network.community_id = Some(community_id);
        network.vlan = flow.vlan.map(|id| Vlan { id: id.to_string() });
    }
    line.barewire.tunnel = flow.tunnel.map(|tunnel| TunnelFields {
        kind: tunnel.kind.name(),
        ends: tunnel.ends().into_iter().flatten().map(|address| Ip::new(Endpoint { address, port: 0 }.ip())).collect(),
    });
    Letters(id.letters())
}

fn count(line: &mut Line<'_>, session: &Session) {
    let sides = [&mut line.source, &mut line.destination];
    for (side, octets) in sides.into_iter().zip(session.octets) {
        if let Some(side) = side {
            side.bytes = Some(octets);
        }
    }
    if let Some(network) = &mut line.network {
        network.bytes = Some(session.octets.iter().sum());
        network.packets = Some(session.packets);
    }
}

fn finding_login(collected: &Collected, outcome: Outcome) -> LoginFields<'_> {
    let finding = &collected.finding;
    let strength = finding.evidence.as_ref().map(|evidence| evidence.strength).unwrap_or_default();
    let mut fields = outcome_fields(outcome, finding.validity, strength);
    fields.context = finding.evidence.as_ref().and_then(|evidence| evidence.context);
    let key = finding.id.entry().key;
    fields.mechanism = finding.mechanism.as_ref().filter(|_| key.holds_mechanism()).map(mechanism);
    let is_one_secret = matches!(key, Key::ServerClientUserMechanism | Key::Fingerprint);
    fields.fingerprint =
        finding.fingerprint.filter(|_| is_one_secret).map(|fingerprint| Letters(fingerprint.letters()));
    fields
}

fn outcome_fields<'a>(outcome: Outcome, validity: Validity, strength: Strength) -> LoginFields<'a> {
    LoginFields {
        outcome: Some(outcome.name()),
        outcome_reason: match outcome {
            Outcome::Unknown(reason) => Some(reason.name()),
            _ => None,
        },
        secret_validity: Some(validity.name()),
        hash: strength.hash,
        iterations: strength.iterations,
        ntlm_version: strength.ntlm,
        ..LoginFields::default()
    }
}

pub(super) fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted => "success",
        // The server said no, whatever its reason.
        Outcome::Rejected | Outcome::RejectedAfterAuth | Outcome::RefusedByPolicy => "failure",
        Outcome::Cancelled | Outcome::Unknown(_) => "unknown",
    }
}

pub(super) fn categories(category: Category) -> Words {
    match category {
        Category::Exposure => &["network", "authentication"],
        Category::Transport => &["network", "configuration"],
        Category::Quality => &["network"],
    }
}

pub(super) fn types(category: Category, outcome: Option<Outcome>) -> Words {
    match category {
        Category::Exposure => match outcome.map(outcome_word) {
            Some("success") => &["info", "start"],
            Some("failure") => &["info", "denied"],
            _ => &["info"],
        },
        Category::Transport => &["info", "protocol"],
        Category::Quality => &["info"],
    }
}

fn starttls<'a>(starttls: &'a Starttls, heads: &'a mut StarttlsHeads) -> StarttlsFields<'a> {
    StarttlsFields { head: heads.of(starttls), reply_code: starttls.reply_code.as_ref().and_then(token) }
}

/// What came of STARTTLS, but for the server's code.
pub(super) fn starttls_head(starttls: &Starttls) -> StarttlsHead {
    let (reply, reply_class) = match starttls.reply {
        None => ("none", None),
        Some(StarttlsReply::Accepted) => ("accepted", None),
        Some(StarttlsReply::Refused) => ("refused", Some("permanent")),
        Some(StarttlsReply::RefusedTemporarily) => ("refused", Some("temporary")),
        Some(StarttlsReply::Odd) => ("refused", Some("odd")),
    };
    StarttlsHead {
        offer: starttls.offer.name(),
        offer_reason: starttls.offer.reason().map(Reason::name),
        requested: starttls.is_requested,
        reply,
        reply_class,
    }
}

fn tls(facts: &TlsFacts, established: Option<bool>) -> Option<Tls<'_>> {
    let (version, version_protocol) = match facts.version {
        None => (None, None),
        Some(0x0002) => (Some("2.0".to_owned()), Some("ssl")),
        Some(0x0300) => (Some("3.0".to_owned()), Some("ssl")),
        Some(known @ 0x0301..=0x0304) => (Some(format!("1.{}", known - 0x0301)), Some("tls")),
        Some(other) => (Some(format!("0x{other:04x}")), None),
    };
    let cipher = facts.cipher.map(|suite| cipher::name(suite).map_or_else(|| format!("0x{suite:04x}"), str::to_owned));
    let name = facts.hello.as_ref().and_then(|hello| hello.server_name.as_ref());
    let client = name.map(|name| TlsClient { server_name: text(name) });
    let server = facts.certificate.as_deref().map(tls_server);
    let is_empty = established.is_none() && version.is_none() && client.is_none();
    (!is_empty).then_some(Tls { established, version, version_protocol, cipher, client, server })
}

/// A certificate may say any number for its dates.
fn tls_server(certificate: &CertificateFacts) -> TlsServer<'_> {
    let date = |seconds: i64| rfc3339(Timestamp(u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000_000)));
    TlsServer {
        subject: text(&certificate.subject),
        issuer: text(&certificate.issuer),
        not_before: date(certificate.not_before),
        not_after: date(certificate.not_after),
        hash: Sha256Hash { sha256: certificate.sha256.iter().map(|octet| format!("{octet:02x}")).collect() },
    }
}

/// Findings are about octets in clear, but for those about TLS itself.
fn finding_tls(finding: &Finding) -> Option<Tls<'_>> {
    let facts =
        finding.evidence.as_deref().map(|evidence| &evidence.tls).filter(|facts| **facts != TlsFacts::default());
    match facts {
        Some(facts) => {
            let failed = finding.evidence.as_ref().is_some_and(|evidence| evidence.cause.is_some());
            tls(facts, failed.then_some(false))
        }
        None => Some(Tls { established: Some(false), ..Tls::default() }),
    }
}

fn evidence(evidence: &Evidence) -> EvidenceFields<'_> {
    let names = evidence.tls.certificate.as_ref().map_or(&[][..], |certificate| &certificate.names);
    EvidenceFields {
        kind: evidence.kind,
        also: &evidence.also,
        timing: evidence.timing.map(Timing::name),
        octets: evidence.octets,
        server_reacted: evidence.server_reacted,
        cause: evidence.cause.as_ref().map(text),
        offer_source: evidence.offer_source.map(CapabilitySource::name),
        capabilities: evidence.capabilities.as_ref().map(text),
        path: evidence.path.as_deref(),
        places: &evidence.places,
        distinct_secrets: evidence.attempts.map(|[secrets, _]| secrets),
        distinct_users: evidence.attempts.map(|[_, users]| users),
        seconds_between: evidence.seconds,
        overlap: evidence.overlap.map(overlap),
        certificate_names: names.iter().map(text).collect(),
    }
}

fn overlap(overlap: Overlap) -> OverlapFields {
    OverlapFields {
        direction: match overlap.direction {
            Direction::ToServer => "to-server",
            Direction::ToClient => "to-client",
        },
        order: if overlap.is_late { "after-delivery" } else { "before-delivery" },
        first_ttl: overlap.ttl[0],
        later_ttl: overlap.ttl[1],
        first_checksum_right: overlap.is_sound[0],
        later_checksum_right: overlap.is_sound[1],
        later_timestamp_older: overlap.is_older,
        caught_elsewhere: overlap.is_elsewhere,
        urgent: overlap.is_urgent,
    }
}

/// The same for what sensors on both sides of an address translation see of one connection.
fn conversation(flow: &Flow) -> Option<Letters<16>> {
    let [client, server] = flow.isns?;
    let mut hash = Sha256::new();
    hash.update(flow.protocol.name());
    hash.update(client.to_be_bytes());
    hash.update(server.to_be_bytes());
    hash.update(flow.server.port.to_be_bytes());
    Some(Letters(Uid::from_digest(&hash.finalize().into()).letters()))
}

fn client_end<'a>(
    name: Option<&'a Text>,
    software: Option<&'static crate::finding::software::Software>,
    ja4: Option<&'a str>,
) -> Option<ClientEnd<'a>> {
    let is_known = name.is_some() || software.is_some() || ja4.is_some();
    is_known.then(|| ClientEnd { name: name.map(text), software: software.map(|software| software.name), ja4 })
}

fn text(text: &Text) -> WireText<'_> {
    text.as_str().into()
}

/// The mechanism's name, or a stand-in for what cannot be one.
pub(super) fn mechanism(text: &Text) -> &str {
    token(text).unwrap_or("OTHER")
}

/// Codes and mechanisms are words. What is none was cut out of a line in the wrong place and might hold anything.
fn token(text: &Text) -> Option<&str> {
    let token = text.as_str();
    let is_word = (1..=TOKEN_OCTETS).contains(&token.len()) && token.bytes().all(|octet| octet.is_ascii_graphic());
    is_word.then_some(token)
}

/// A POP3 greeting ends in the challenge for APOP (RFC 1939 section 7), half of what guessing a password takes.
fn without_challenge(protocol: Protocol, banner: &str) -> WireText<'_> {
    match (protocol, banner.find('<')) {
        (Protocol::Pop3, Some(start)) => {
            let end = banner[start..].rfind('>').map_or(banner.len(), |end| start + end + 1);
            format!("{}<challenge>{}", &banner[..start], &banner[end..]).into()
        }
        _ => banner.into(),
    }
}
