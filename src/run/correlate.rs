//! Runs `correlate`: records of several sensors in, findings that none of them could tell out. One thread, no clock.

use super::confine::confine;
use super::report::{needs_of, nothing};
use super::{Failure, refuse_overwriting, write_out};
use crate::finding::{Collected, Collector, Fleet, Flow, Offer, Policy, SeenLogin, SeenSession, Uid};
use crate::mail::{Outcome, Reason, Text};
use crate::ops::console::{self, Level};
use crate::ops::{counted, grouped};
use crate::output::{Encoder, Event, Fact, FactKind, Form, Inputs, is_sensor_name};
use crate::report;
use crate::secret::Fingerprint;
use crate::wire::{PacketRef, Timestamp};
use foldhash::fast::{FixedState, RandomState};
use hashbrown::{HashMap, HashSet};
use std::collections::BTreeMap;
use std::hash::BuildHasher as _;
use std::path::PathBuf;
use std::sync::Arc;

/// What to do.
pub struct CorrelateJob {
    /// Files of records, or `-` for standard input.
    pub files: Vec<PathBuf>,
    /// Files that the options name and that are read, beside the records.
    pub read: Vec<PathBuf>,
    /// Where findings go; `None`: standard output.
    pub output: Option<PathBuf>,
    /// How they are written.
    pub form: Form,
    /// How grave a finding is, and which may stand.
    pub policy: Arc<Policy>,
    /// Severity, 1 to 5, from which findings make status 1.
    pub fail_on: Option<u8>,
    /// Gives up what it does not need.
    pub is_sandboxed: bool,
}

/// Identities that are remembered, to count what came more than once: some 20 octets each. What is beyond is compared all
/// the same.
const IDENTITIES: usize = 4_000_000;
/// Files and interfaces of sensors that are remembered by their names, 1 KiB each at most. A finding of another one says
/// nothing of it.
const ORIGINS: usize = 65_536;
/// Characters of such a name.
const NAME_CHARS: usize = 256;
/// Encoders that are kept at once, each for the findings of one origin.
const ENCODERS: usize = 256;
/// Keys of fingerprints that are named.
const NAMED_KEYS: usize = 4;

/// Compares the records and writes what they show together. Gives the exit status.
///
/// # Errors
///
/// One line: an input cannot be read or none has a record, or the output cannot be written.
pub fn correlate(job: &CorrelateJob) -> Result<u8, Failure> {
    refuse_overwriting(job.files.iter().chain(&job.read), &job.output)?;
    confine(job.is_sandboxed.then(|| needs_of(&job.files, job.output.as_ref())).as_ref(), Level::Debug)?;
    let mut desk = Desk::default();
    let mut is_whole = true;
    for path in &job.files {
        let file = desk.numbers.hash_one(path);
        let read = report::read(path, |fact| desk.add(fact, file));
        let tally = read.map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
        is_whole &= tally.fault.is_empty();
        if let Some(complaint) = tally.complaint() {
            console::warning(&complaint);
        }
    }
    if desk.records == [0; 3] {
        return Err(nothing(&job.files));
    }
    desk.warn();
    let told = desk.tell(job)?;
    console::info(&desk.summary(&told));
    is_whole &= desk.fleet.uncompared() == 0;
    Ok(match (is_whole, job.fail_on) {
        (false, _) => 4,
        (true, Some(bound)) if told.worst >= bound => 1,
        (true, _) => 0,
    })
}

/// Where a packet was captured.
struct Origin {
    sensor: Option<String>,
    name: String,
    is_live: bool,
}

/// What was told.
#[derive(Default)]
struct Told {
    findings: u64,
    /// Severity of the gravest that is not accepted.
    worst: u8,
}

/// Records on their way into the comparison.
#[derive(Default)]
struct Desk {
    fleet: Fleet,
    /// Findings, logins, sessions.
    records: [u64; 3],
    repeated: u64,
    seen: HashSet<Uid, RandomState>,
    sensors: HashSet<u64, RandomState>,
    /// Logins by the key of their fingerprints.
    keys: BTreeMap<u16, u64>,
    origins: HashMap<u32, Origin, RandomState>,
    /// Numbers that are the same in every run, and whatever the order of the records.
    numbers: FixedState,
}

impl Desk {
    fn add(&mut self, fact: &Fact<'_>, file: u64) {
        self.records[fact.kind as usize] += 1;
        let uid = Uid::parse(&fact.id);
        if let Some(uid) = uid {
            if self.seen.len() < IDENTITIES {
                self.repeated += u64::from(!self.seen.insert(uid));
            } else {
                self.repeated += u64::from(self.seen.contains(&uid));
            }
        }
        let sensor = if fact.sensor.is_empty() { file } else { self.numbers.hash_one(&fact.sensor) };
        if self.sensors.len() < ORIGINS {
            self.sensors.insert(sensor);
        }
        match fact.kind {
            FactKind::Finding => uid.into_iter().for_each(|uid| self.fleet.told(uid, fact.places.len())),
            FactKind::Login => self.login(fact),
            FactKind::Session => self.session(fact, sensor),
        }
    }

    fn login(&mut self, fact: &Fact<'_>) {
        let Some(fingerprint) = Fingerprint::parse(&fact.fingerprint) else { return };
        *self.keys.entry(fingerprint.key_id()).or_default() += 1;
        // A rejected secret may be anybody's guess.
        if fact.is_doubtful || fact.outcome == Outcome::Rejected.name() {
            return;
        }
        let at = self.packet(fact, fact.time);
        let Some(flow) = flow(fact, at) else { return };
        let user = fact.user.as_ref().map(|user| Text::new(user.as_bytes()));
        let (user, validity) = (user.as_ref().map(Text::as_str), fact.validity);
        self.fleet.login(&SeenLogin { at, flow, user, fingerprint, validity });
    }

    fn session(&mut self, fact: &Fact<'_>, sensor: u64) {
        let offer = match &*fact.offer {
            offer if offer == Offer::Offered.name() => Offer::Offered,
            offer if offer == Offer::NotOffered.name() => Offer::NotOffered,
            _ => Offer::Unknown(Reason::NotAsked),
        };
        // Its number is that of its last packet, which is as good a sign of where to look.
        let start = self.packet(fact, fact.start.unwrap_or(fact.time));
        let Some(flow) = flow(fact, start) else { return };
        self.fleet.session(&SeenSession {
            flow,
            end: Timestamp(fact.time),
            conversation: fact.conversation,
            offer,
            sensor,
            banner: Some(&*fact.banner).filter(|banner| !banner.is_empty()),
        });
    }

    /// The packet of a record; its input is the number of its origin.
    fn packet(&mut self, fact: &Fact<'_>, time: u64) -> PacketRef {
        let input = self.numbers.hash_one((&fact.sensor, &fact.input, fact.is_live)) as u32;
        if self.origins.len() < ORIGINS {
            self.origins.entry(input).or_insert_with(|| Origin {
                sensor: Some(fact.sensor.as_ref()).filter(|name| is_sensor_name(name)).map(str::to_owned),
                name: Text::new(fact.input.as_bytes()).as_str().chars().take(NAME_CHARS).collect(),
                is_live: fact.is_live,
            });
        }
        PacketRef { time: Timestamp(time), input, number: fact.packet.unwrap_or_default() }
    }

    /// What would make it find nothing although there is something.
    fn warn(&self) {
        let [findings, logins, sessions] = self.records;
        let again = "write them with --records findings,logins,sessions";
        if logins == 0 {
            console::warning(&format!("no logins among the records: secrets cannot be compared; {again}"));
        } else if self.keys.is_empty() {
            console::warning("no login has the fingerprint of a secret: secrets cannot be compared");
        }
        if sessions == 0 {
            console::warning(&format!("no sessions among the records: offers of STARTTLS cannot be compared; {again}"));
        }
        if findings == 0 {
            console::warning(&format!("no findings among the records: what a sensor told is told again; {again}"));
        }
        if self.keys.len() > 1 {
            let mut keys: Vec<(&u16, &u64)> = self.keys.iter().collect();
            keys.sort_by_key(|(key, logins)| (std::cmp::Reverse(**logins), **key));
            let name = |(key, logins): &(&u16, &u64)| format!("{key:04x}: {}", counted(**logins, "login"));
            let mut named: Vec<String> = keys.iter().take(NAMED_KEYS).map(name).collect();
            if keys.len() > NAMED_KEYS {
                let rest = keys[NAMED_KEYS..].iter().map(|(_, logins)| **logins).sum();
                named.push(format!("{} more keys: {}", keys.len() - NAMED_KEYS, counted(rest, "login")));
            }
            console::warning(&format!(
                "fingerprints under {} keys ({}): secrets under different keys are never compared; give all sensors one \
                 --fingerprint-key",
                keys.len(),
                named.join(", ")
            ));
        }
        if self.fleet.uncompared() > 0 {
            console::warning(&format!(
                "{} records were not compared with others: there were too many to remember; give those of a shorter time",
                grouped(self.fleet.uncompared())
            ));
        }
    }

    /// Writes the findings that no sensor told.
    fn tell(&mut self, job: &CorrelateJob) -> Result<Told, Failure> {
        let mut collector = Collector::new(usize::MAX, Vec::new());
        for finding in self.fleet.conclude(&job.policy) {
            collector.add(finding);
        }
        let mut told = Told::default();
        let findings = collector.drain();
        write_out(job.output.as_deref(), |out| {
            let mut encoders = HashMap::default();
            let mut line = Vec::new();
            for mut finding in findings.filter(|one| !self.fleet.has_told(one.uid, &one.finding)) {
                finding.accept(&job.policy.baseline);
                told.findings += 1;
                if finding.accepted.is_none() {
                    told.worst = told.worst.max(finding.finding.severity);
                }
                line.clear();
                self.encode(finding, &mut encoders, &mut line);
                job.form.change(&mut line, 0);
                out.write_all(&line)?;
            }
            Ok(())
        })?;
        Ok(told)
    }

    /// As the sensor would have written it that captured the packet which stands for it.
    fn encode(&self, mut finding: Collected, encoders: &mut HashMap<u32, Encoder, RandomState>, line: &mut Vec<u8>) {
        let number = finding.last.input;
        if encoders.len() >= ENCODERS {
            encoders.clear();
        }
        let encoder = encoders.entry(number).or_insert_with(|| {
            Encoder::new(self.origins.get(&number).map_or_else(Inputs::default, |origin| Inputs {
                names: Some(origin.name.clone()).filter(|name| !name.is_empty()).into_iter().collect(),
                is_live: origin.is_live,
                sensor: origin.sensor.clone(),
            }))
        });
        (finding.first.input, finding.last.input, finding.finding.at.input) = (0, 0, 0);
        encoder.encode(&Event::Finding(&finding), line);
    }

    fn summary(&self, told: &Told) -> String {
        let total: u64 = self.records.iter().sum();
        format!(
            "{} of {}, {} of them seen before; {} that no sensor told",
            counted(total, "record"),
            counted(self.sensors.len() as u64, "sensor"),
            grouped(self.repeated),
            counted(told.findings, "finding")
        )
    }
}

/// The connection of a login or session; `None`: the record does not say enough.
fn flow(fact: &Fact<'_>, start: PacketRef) -> Option<Flow> {
    Some(Flow {
        client: (fact.client?, fact.client_port?).into(),
        server: fact.server?.into(),
        start,
        protocol: fact.protocol?,
        vlan: None,
        tunnel: None,
        isns: None,
    })
}
