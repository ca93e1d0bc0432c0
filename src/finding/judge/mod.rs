//! One connection's case: folds observations into facts, and facts into logins, findings and the session.
//!
//! Exposure and outcome are separate: an outcome never creates an exposure. Absence needs proof: no complete list
//! the client had seen, no `starttls-not-offered`. Weaker findings give way to stronger ones on the connection.
//!
//! `logins` judges what was disclosed, `transport` how the connection was protected, `severity` how grave it is here.

mod logins;
mod offers;
mod rare;
mod severity;
mod transport;

use super::catalogue::FindingId;
use super::policy::Policy;
use super::record::{Coverage, Finding, Flow, Offer, Record, Session, Starttls, TlsFacts};
use super::software::{self, ClientSigns, Recogniser, ServerSigns, Software};
use super::uid::Uid;
use crate::mail::{
    Confidence, ContentStep, End, Injection, Instruction, Observation, Outcome, Protocol, Reason, StarttlsReply, Text,
    TlsFailure, Username,
};
use crate::secret::FingerprintKey;
use crate::stream::{Direction, Mark, Overlap};
use crate::wire::PacketRef;
use offers::Offers;
use rare::{Empty, Rare};

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

/// What a case is judged by, and where its records go.
pub struct Court<'a> {
    /// The connection, as it was when its case was opened.
    pub flow: Flow,
    /// Key of all fingerprints.
    pub key: &'a FingerprintKey,
    /// The operator's settings.
    pub policy: &'a Policy,
    /// Servers that were recognised before.
    pub recogniser: &'a mut Recogniser,
    /// Takes what is found.
    pub records: &'a mut Vec<Record>,
}

/// Names without a secret that are remembered until it is clear that none followed.
const USERNAMES: usize = 8;
/// Injections that are told of one connection.
const INJECTIONS: usize = 4;
/// Exposures that findings about the connection refer to.
const RELATED: usize = 8;
/// Characters of the client's first commands, as a sign of its software.
const STYLE_CHARS: usize = 64;

/// Who the two ends are, by their own words and ways.
#[derive(Default)]
struct Ends {
    banner: Option<Text>,
    /// By its first words: the client's name for itself in SMTP, the tag of its first command in IMAP.
    client: Option<Text>,
    /// First commands as typed.
    style: Option<Text>,
    said: Rare<Said>,
}

impl Ends {
    /// The client's name for itself.
    fn name(&self, protocol: Protocol) -> Option<&Text> {
        self.client.as_ref().filter(|_| names_itself(protocol))
    }

    /// The tag of its first command.
    fn tag(&self, protocol: Protocol) -> Option<&Text> {
        self.client.as_ref().filter(|_| !names_itself(protocol))
    }
}

/// Whether clients of a protocol say who they are; in others that have a word of theirs at all it is a tag.
fn names_itself(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Smtp | Protocol::Lmtp)
}

/// What few say of themselves and others.
#[derive(Default)]
struct Said {
    client_id: Option<Text>,
    /// Whom a proxy speaks for.
    proxied_client: Option<Text>,
    server_id: Option<Text>,
}

impl Empty for Said {
    const EMPTY: &'static Self = &Self { client_id: None, proxied_client: None, server_id: None };
}

/// The software of both ends.
#[derive(Clone, Copy, Default)]
struct Known {
    server: Option<&'static Software>,
    client: Option<&'static Software>,
}

/// STARTTLS and what came of it.
#[derive(Default)]
struct Upgrade {
    is_requested: bool,
    reply: Option<(StarttlsReply, Text)>,
    /// Server stream offset after that reply.
    reply_end: u64,
    /// The client went on in clear after an acceptance.
    went_on: Option<Mark>,
    injections: Vec<(Mark, Injection)>,
    /// A command stood blanked out and was refused.
    masked_command: bool,
}

impl Empty for Upgrade {
    const EMPTY: &'static Self = &Self {
        is_requested: false,
        reply: None,
        reply_end: 0,
        went_on: None,
        injections: Vec::new(),
        masked_command: false,
    };
}

/// TLS as far as it is visible.
#[derive(Default)]
struct Tls {
    begun: Option<Mark>,
    established: bool,
    failed: Option<(Direction, TlsFailure)>,
    server_reacted: bool,
    facts: TlsFacts,
}

impl Empty for Tls {
    const EMPTY: &'static Self = &Self {
        begun: None,
        established: false,
        failed: None,
        server_reacted: false,
        facts: TlsFacts { version: None, cipher: None, hello: None, certificate: None },
    };
}

/// What passed in clear.
#[derive(Default)]
struct Clear {
    attempts: u32,
    messages: u32,
    /// Credentials or content: where the first was.
    first: Option<PacketRef>,
    /// One of them came after the client had seen the offer.
    after_offer: bool,
    has_credential: bool,
    usernames: Rare<Vec<Username>>,
    /// A login was accepted, or none was needed.
    is_logged_in: bool,
    /// A login was accepted.
    was_let_in: bool,
    /// What came of a login is not known.
    may_be_in: bool,
    /// A mechanism that spares the password was refused.
    challenge_refused: bool,
}

impl Empty for Vec<Username> {
    const EMPTY: &'static Self = &Self::new();
}

/// Identities of exposures on a connection, mostly one.
#[derive(Default)]
struct Exposures {
    first: Option<Uid>,
    others: Rare<Vec<Uid>>,
}

impl Empty for Vec<Uid> {
    const EMPTY: &'static Self = &Self::new();
}

impl Exposures {
    fn add(&mut self, uid: Uid) {
        let Some(first) = self.first else {
            self.first = Some(uid);
            return;
        };
        if first != uid && !self.others.contains(&uid) && self.others.len() + 1 < RELATED {
            self.others.push(uid);
        }
    }

    fn all(&self) -> Vec<Uid> {
        self.first.iter().chain(&*self.others).copied().collect()
    }
}

/// Copies of octets that differ, and what they are.
#[derive(Default)]
struct Ambiguity {
    /// The first of each direction, with the octets of all.
    overlaps: [Option<(PacketRef, Overlap)>; 2],
    /// What depends on them.
    holds: Option<&'static str>,
}

impl Ambiguity {
    fn note(&mut self, mark: Mark, overlap: Overlap) {
        match &mut self.overlaps[overlap.direction.index()] {
            Some((_, known)) => known.octets = known.octets.saturating_add(overlap.octets),
            none => *none = Some((mark.at, overlap)),
        }
    }
}

/// What is known of one connection.
pub struct Case {
    protocol: Protocol,
    /// The ends have changed roles.
    is_turned: bool,
    confidence: Confidence,
    is_implicit_tls: bool,
    /// On this port TLS should come first.
    is_implicit_port: bool,
    ends: Ends,
    /// What the ends show of their software,
    known: Known,
    /// unless there are new signs: of the client, of the server.
    has_new_signs: [bool; 2],
    offers: Offers,
    upgrade: Rare<Upgrade>,
    tls: Rare<Tls>,
    /// Findings about it were told.
    is_tls_settled: bool,
    clear: Clear,
    goodbye: bool,
    /// It may be another protocol: what is not confirmed is not told any more.
    is_doubted: bool,
    is_compressed: bool,
    /// A login whose reply was not to be had because a direction is missing.
    is_asymmetric: bool,
    /// Octets were lost so far, or the beginning was not captured.
    is_lossy: bool,
    ambiguity: Option<Box<Ambiguity>>,
    /// Findings that were told, by id.
    raised: u64,
    exposures: Exposures,
}

impl Case {
    /// A new case. `is_implicit_port`: TLS should come first here.
    #[must_use]
    pub fn new(protocol: Protocol, confidence: Confidence, is_implicit_tls: bool, is_implicit_port: bool) -> Self {
        Self {
            protocol,
            is_turned: false,
            confidence,
            is_implicit_tls,
            is_implicit_port,
            ends: Ends::default(),
            known: Known::default(),
            has_new_signs: [true; 2],
            offers: Offers::default(),
            upgrade: Rare::default(),
            tls: Rare::default(),
            is_tls_settled: false,
            clear: Clear::default(),
            goodbye: false,
            is_doubted: false,
            is_compressed: false,
            is_asymmetric: false,
            is_lossy: false,
            ambiguity: None,
            raised: 0,
            exposures: Exposures::default(),
        }
    }

    /// Octets of memory it takes.
    #[must_use]
    pub fn octets(&self) -> usize {
        let Ends { banner, client, style, said } = &self.ends;
        let Said { client_id, proxied_client, server_id } = &**said;
        let texts = [banner, client, style, client_id, proxied_client, server_id];
        size_of::<Self>()
            + said.octets()
            + texts.into_iter().flatten().map(Text::octets).sum::<usize>()
            + self.clear.usernames.octets()
            + self.clear.usernames.capacity() * size_of::<Username>()
            + self.exposures.others.octets()
            + self.exposures.others.capacity() * size_of::<Uid>()
            + self.offers.octets()
            + self.upgrade.octets()
            + self.tls.octets()
            + self.tls.facts.octets()
            + self.ambiguity.as_ref().map_or(0, |_| size_of::<Ambiguity>())
    }

    /// Who plays which part now.
    fn acting(&self, court: &Court<'_>) -> Flow {
        if self.is_turned { court.flow.turned() } else { court.flow }
    }

    /// What is spoken.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Takes one fact.
    pub fn observe(&mut self, mark: Mark, observation: Observation, court: &mut Court<'_>) {
        if let Some(direction) = sign_from(&observation) {
            self.has_new_signs[direction.index()] = true;
        }
        match observation {
            Observation::Proxied { client, .. } => self.ends.said.proxied_client = Some(client),
            Observation::Greeting(text) => self.ends.banner = Some(text),
            Observation::Client(word) | Observation::Tag(word) => self.ends.client = Some(word),
            Observation::Id(Direction::ToServer, name) => self.ends.said.client_id = Some(name),
            Observation::Id(Direction::ToClient, name) => self.ends.said.server_id = Some(name),
            Observation::Command { verb, is_lower } => self.style(verb, is_lower),
            // After the login STARTTLS is no longer offered by anybody (RFC 3501 §6.2.1).
            Observation::Capabilities(list) if !self.clear.was_let_in => {
                self.offers.add(list, self.is_lossy || self.clear.may_be_in);
            }
            Observation::Capabilities(_) => {}
            Observation::NoCapabilities(reason) => {
                if reason == Reason::Ambiguous {
                    self.ambiguity.get_or_insert_default().holds.get_or_insert("capability");
                    // It may be the list that was taken for certain until now.
                    self.offers = Offers::default();
                }
                self.offers.add_unknown(reason);
            }
            Observation::Ambiguous(overlap) => self.ambiguity.get_or_insert_default().note(mark, overlap),
            Observation::Rewritten => self.rewritten(mark, court),
            Observation::StarttlsRequested => self.upgrade.is_requested = true,
            Observation::StarttlsReplied { reply, code, end } => {
                self.upgrade.reply = Some((reply, code));
                self.upgrade.reply_end = end;
            }
            Observation::MaskedCommand => self.upgrade.masked_command = true,
            Observation::PlainAfterAccept => drop(self.upgrade.went_on.get_or_insert(mark)),
            Observation::Injected(injection) => {
                if self.upgrade.injections.len() < INJECTIONS {
                    self.upgrade.injections.push((mark, injection));
                }
            }
            Observation::Tls(step) => self.tls_step(mark, step),
            Observation::TlsSettled => self.settle_tls(court),
            Observation::Username(username) => {
                if self.clear.usernames.len() < USERNAMES {
                    self.clear.usernames.push(*username);
                }
            }
            Observation::MechanismRefused => self.clear.challenge_refused = true,
            Observation::Login(attempt) => self.login(*attempt, court),
            Observation::Content(step) => self.content(mark, step, court),
            Observation::Preauth => self.preauth(mark, court),
            Observation::DowngradedToHelo => self.downgraded_to_helo(mark, court),
            Observation::RequireTls => self.tell(FindingId::RequiretlsViolated, mark, court),
            Observation::Instruction(instruction) => self.instruction(mark, instruction, court),
            Observation::RolesSwapped => self.is_turned = !self.is_turned,
            Observation::Compressed => self.is_compressed = true,
            Observation::Goodbye => self.goodbye = true,
            Observation::Lost => self.is_lossy = true,
            Observation::Desync => {
                self.tell(FindingId::ProtocolDesync, mark, court);
                (self.confidence, self.is_doubted) = (Confidence::Possible, true);
            }
        }
    }

    fn style(&mut self, verb: &str, is_lower: bool) {
        let before = self.ends.style.as_ref().map_or(&[][..], Text::as_bytes);
        if before.len() + verb.len() < STYLE_CHARS {
            let mut style = Vec::with_capacity(STYLE_CHARS);
            style.extend_from_slice(before);
            style.extend_from_slice(if before.is_empty() { b"" } else { b" " });
            style.extend(verb.bytes().map(|c| if is_lower { c.to_ascii_lowercase() } else { c }));
            self.ends.style = Some(Text::new(&style));
        }
    }

    fn starttls(&self, offer: Offer) -> Starttls {
        Starttls {
            offer,
            is_requested: self.upgrade.is_requested,
            reply: self.upgrade.reply.as_ref().map(|(reply, _)| *reply),
            reply_code: self.upgrade.reply.as_ref().map(|(_, code)| code.clone()),
        }
    }

    /// A finding about this connection as it stands; which one that is it is told when it is raised.
    fn finding(&self, id: FindingId, at: PacketRef, offer: Offer) -> Finding {
        Finding { starttls: Some(self.starttls(offer)), ..Finding::new(id, None, at, self.confidence) }
    }

    fn has_raised(&self, id: FindingId) -> bool {
        self.raised & 1 << id as u8 != 0
    }

    /// Tells a finding once, with nothing particular.
    fn tell(&mut self, id: FindingId, mark: Mark, court: &mut Court<'_>) {
        if !self.has_raised(id) {
            let finding = self.finding(id, mark.at, self.offers.at(mark));
            self.raise(finding, court);
        }
    }

    /// Hands a finding out: its severity as it is here, who the ends are, what else the connection disclosed.
    fn raise(&mut self, mut finding: Finding, court: &mut Court<'_>) {
        if self.is_doubted && finding.confidence != Confidence::Confirmed {
            return;
        }
        self.raised |= 1 << finding.id as u8;
        finding.flow = Some(self.acting(court));
        finding.severity = self.weigh(&finding, court.policy);
        Known { server: finding.server_software, client: finding.client_software } = self.software(court.recogniser);
        if severity::is_exposure(finding.id) {
            let uid = Uid::of(&finding, "");
            finding.uid = Some(uid);
            self.exposures.add(uid);
        } else {
            finding.related = self.exposures.all();
        }
        court.records.push(Record::Finding(Box::new(finding)));
    }

    /// The software of both ends, as far as it shows itself by now.
    fn software(&mut self, recogniser: &mut Recogniser) -> Known {
        let Self { ends, protocol, has_new_signs, known, .. } = self;
        let protocol = *protocol;
        let [of_client, of_server] = std::mem::take(has_new_signs);
        if of_server {
            known.server = recogniser.server(ServerSigns {
                protocol,
                banner: ends.banner.as_ref().map(Text::as_str),
                capabilities: self.offers.list().map(|list| list.words.as_str()),
                id: ends.said.server_id.as_ref().map(Text::as_str),
                reply: None,
            });
        }
        if of_client {
            known.client = software::client(ClientSigns {
                protocol,
                name: ends.name(protocol).map(Text::as_str),
                id: ends.said.client_id.as_ref().map(Text::as_str),
                tag: ends.tag(protocol).map(Text::as_str),
                verbs: ends.style.as_ref().map_or("", Text::as_str),
            });
        }
        *known
    }

    /// One finding for each direction: the first of its overlaps, and how many octets they have.
    fn conclude_ambiguity(&mut self, court: &mut Court<'_>) {
        let Ambiguity { overlaps, holds } = *self.ambiguity.take().unwrap_or_default();
        for (at, overlap) in overlaps.into_iter().flatten() {
            let mut finding = self.finding(FindingId::StreamAmbiguousOverlap, at, self.offers.overall());
            let evidence = finding.evidence_mut();
            (evidence.octets, evidence.overlap) = (Some(overlap.octets), Some(overlap));
            evidence.kind = holds.or(Some("octets"));
            self.raise(finding, court);
        }
    }

    /// What one place on the path has and another has not somebody between them has taken out.
    fn rewritten(&mut self, mark: Mark, court: &mut Court<'_>) {
        if self.has_raised(FindingId::StarttlsStripped) {
            return;
        }
        let mut finding = self.finding(FindingId::StarttlsStripped, mark.at, Offer::Unknown(Reason::Ambiguous));
        finding.evidence_mut().kind = Some("two-views");
        self.raise(finding, court);
    }

    fn preauth(&mut self, mark: Mark, court: &mut Court<'_>) {
        self.clear.is_logged_in = true;
        if !court.policy.spares(&court.flow) {
            self.tell(FindingId::ImapPreauthCleartext, mark, court);
        }
    }

    fn downgraded_to_helo(&mut self, mark: Mark, court: &mut Court<'_>) {
        let mut finding = self.finding(FindingId::EsmtpDowngradeToHelo, mark.at, self.offers.at(mark));
        // The server knew better before: more than an old appliance.
        finding.severity += u8::from(self.offers.ever);
        self.raise(finding, court);
    }

    /// An alert is the server's to show to users it knows; a referral leads away at any time.
    fn instruction(&mut self, mark: Mark, instruction: Instruction, court: &mut Court<'_>) {
        let is_alert = instruction == Instruction::Alert;
        if self.tls.established || is_alert && (self.clear.is_logged_in || self.is_lossy) {
            return;
        }
        let mut finding = self.finding(FindingId::ServerInstructionInClear, mark.at, self.offers.at(mark));
        finding.severity = if is_alert { 2 } else { 3 };
        finding.evidence_mut().kind = Some(instruction.name());
        self.raise(finding, court);
    }

    fn content(&mut self, mark: Mark, step: ContentStep, court: &mut Court<'_>) {
        if step == ContentStep::Passed {
            self.clear.messages = self.clear.messages.saturating_add(1);
        }
        if self.may_be_transfer(court) {
            if step == ContentStep::Accepted && !self.has_raised(FindingId::MtaCleartextTransfer) {
                let mut finding = self.finding(FindingId::MtaCleartextTransfer, mark.at, self.offers.at(mark));
                finding.severity += u8::from(self.offers.ever);
                self.raise(finding, court);
            }
        } else if step == ContentStep::Passed {
            self.tell(FindingId::CleartextMessageContent, mark, court);
        }
        if step == ContentStep::Passed {
            self.act_in_clear(mark, None, court);
        }
    }

    /// Ends the case: what needs the whole connection, and the session.
    pub fn conclude(mut self, ending: &Ending, court: &mut Court<'_>) {
        self.conclude_logins(court);
        self.conclude_transport(ending, court);
        self.conclude_ambiguity(court);
        let coverage = self.coverage(ending);
        if let Coverage::Partial(reason @ (Reason::Gap | Reason::Asymmetric | Reason::Evicted)) = coverage {
            court.records.push(Record::Finding(Box::new(Finding::coverage_gap(ending.at, reason))));
        }
        let known = self.software(court.recogniser);
        let said = std::mem::take(&mut self.ends.said).into_value();
        let session = Session {
            flow: court.flow,
            end: ending.at,
            packets: ending.packets,
            octets: ending.octets,
            starttls: self.starttls(self.offers.overall()),
            is_tls: self.is_tls(),
            tls_failure: self.tls_failure(ending),
            tls: std::mem::take(&mut self.tls).into_value().facts,
            is_implicit_tls: self.is_implicit_tls,
            is_masked: self.is_masked(),
            exposed: self.clear.first,
            logins: self.clear.attempts,
            messages: self.clear.messages,
            coverage,
            confidence: self.confidence,
            server_software: known.server,
            client_software: known.client,
            proxied_client: said.proxied_client,
            banner: self.ends.banner.take(),
            client_name: self.ends.name(self.protocol).cloned().or(said.client_id),
        };
        court.records.push(Record::Session(Box::new(session)));
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
        } else if self.is_compressed {
            Coverage::Partial(Reason::Compressed)
        } else if ending.end == End::CaptureEnded && !ending.has_fin {
            Coverage::Partial(Reason::CaptureEnded)
        } else {
            Coverage::Complete
        }
    }
}

/// The numbers of all findings fit the set of those that were told.
const _: () = assert!(super::catalogue::CATALOGUE.len() <= 64);

/// The direction whose sender may show something of its software by this.
fn sign_from(observation: &Observation) -> Option<Direction> {
    match observation {
        Observation::Greeting(_) | Observation::Capabilities(_) => Some(Direction::ToClient),
        Observation::Client(_) | Observation::Tag(_) | Observation::Command { .. } => Some(Direction::ToServer),
        Observation::Id(direction, _) => Some(*direction),
        _ => None,
    }
}

/// Whether a login's outcome was told by the server itself: what it was asked in clear it answered in clear.
fn was_answered(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Unknown(_))
}
