//! What a run lets a monitoring system read, in Prometheus' text format. Text and names only: no socket, file or clock.
//!
//! [`METRICS`] is the one list; the page, `docs/metrics.md` and the tests are made from it. Every series that can occur
//! is on every page, with 0 as long as nothing happened: a rate can be taken from the first event on, and an alert on a
//! series that is not there is a fault, not silence. Values of labels come from closed lists and from the interfaces of
//! the command line. What was captured is never one: no user, address or server.

mod list;

pub use list::METRICS;

use crate::engine::Counters;
use crate::finding::{CATALOGUE, Collected, Finding, FindingId, Key};
use crate::mail::{Outcome, PROTOCOLS, Protocol, Reason};
use crate::wire::{Skip, Timestamp};
use std::fmt::Write as _;

/// A metric: a name, and a series for each combination of its labels' values that can occur.
pub struct Metric {
    /// With the prefix `barewire_` and its unit; counters end in `_total`.
    pub name: &'static str,
    /// What may become of its values.
    pub kind: Kind,
    /// What it counts, in a sentence.
    pub help: &'static str,
    /// What one is: a base unit of Prometheus where there is one.
    pub unit: &'static str,
    /// Names of its labels, in the order in which they stand on the page.
    pub labels: &'static [&'static str],
    samples: fn(&Snapshot, &mut Samples<'_>),
}

/// The types of Prometheus that occur here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the program runs.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets, their sum and their count.
    Histogram,
}

impl Kind {
    /// The word on the page.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// How a connection was protected, as `transport` says it.
pub const TRANSPORTS: [&str; 4] = ["clear", "starttls", "implicit_tls", "unknown"];

/// What `outcome` can be, next to `none`.
pub const OUTCOMES: [Outcome; 6] = [
    Outcome::Accepted,
    Outcome::Rejected,
    Outcome::RejectedAfterAuth,
    Outcome::RefusedByPolicy,
    Outcome::Cancelled,
    Outcome::Unknown(Reason::NoReply),
];

/// Upper bounds of the buckets of `barewire_record_delay_seconds`, in microseconds: from the kernel's hand-over of a block
/// (50 ms at most) a decade down and up to what no healthy sensor takes.
pub const DELAY_BOUNDS_US: [u64; 15] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000, 60_000_000,
];

/// The word where a finding has no outcome or no protocol.
const NONE: &str = "none";

/// Where an outcome stands in [`OUTCOMES`].
#[must_use]
pub fn outcome_index(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Accepted => 0,
        Outcome::Rejected => 1,
        Outcome::RejectedAfterAuth => 2,
        Outcome::RefusedByPolicy => 3,
        Outcome::Cancelled => 4,
        Outcome::Unknown(_) => 5,
    }
}

/// A series of `barewire_findings_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FindingSeries {
    /// Which finding.
    pub rule: FindingId,
    /// Of the connection; findings about the capture have none.
    pub protocol: Option<Protocol>,
    /// Of the login, where it is about one.
    pub outcome: Option<Outcome>,
}

impl FindingSeries {
    /// Protocols, and none.
    const PROTOCOLS: usize = PROTOCOLS.len() + 1;
    /// Outcomes, and none.
    const OUTCOMES: usize = OUTCOMES.len() + 1;
    /// How many there are by their labels, more than can occur.
    pub const ALL: usize = CATALOGUE.len() * Self::PROTOCOLS * Self::OUTCOMES;

    /// The series that an occurrence belongs to.
    #[must_use]
    pub fn of(finding: &Finding) -> Self {
        Self { rule: finding.id, protocol: finding.flow.map(|flow| flow.protocol), outcome: finding.outcome }
    }

    /// Its place, below [`FindingSeries::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        let protocol = self.protocol.map_or(PROTOCOLS.len(), |protocol| protocol as usize);
        let outcome = self.outcome.map_or(OUTCOMES.len(), outcome_index);
        (self.rule as usize * Self::PROTOCOLS + protocol) * Self::OUTCOMES + outcome
    }

    fn all() -> impl Iterator<Item = Self> {
        let protocols = || PROTOCOLS.iter().map(|info| Some(info.protocol)).chain([None]);
        let outcomes = || OUTCOMES.into_iter().map(Some).chain([None]);
        CATALOGUE.iter().flat_map(move |entry| {
            protocols()
                .flat_map(move |protocol| outcomes().map(move |outcome| Self { rule: entry.id, protocol, outcome }))
        })
    }

    /// Whether it can occur: a finding about a login has an outcome and no other has; only one about the capture has no
    /// protocol. Which protocols a rule knows is the judge's affair: each rule has a series for each of them.
    #[must_use]
    pub fn can_occur(self) -> bool {
        use FindingId::{
            AnonymousLogin, AuthMechanismDowngrade, CleartextBearerToken, CleartextPassword, CleartextUnknownMechanism,
            CleartextUsername, CrackableAuthExchange, LoginDespiteLogindisabled, ServerAcceptsCleartextAuth,
            WeakSecret,
        };
        let has_outcome = match self.rule {
            CleartextPassword
            | CleartextBearerToken
            | CrackableAuthExchange
            | CleartextUnknownMechanism
            | AnonymousLogin
            | LoginDespiteLogindisabled
            | AuthMechanismDowngrade
            | WeakSecret => self.outcome.is_some(),
            // A name may be sent with a login and without one.
            CleartextUsername => true,
            ServerAcceptsCleartextAuth => self.outcome == Some(Outcome::Accepted),
            _ => self.outcome.is_none(),
        };
        has_outcome && self.protocol.is_none() == (self.rule.entry().key == Key::Input)
    }
}

/// Whether a later finding may take an occurrence back, or it counts only once: then it is counted when the findings of a
/// replay are drained, as often as the record says.
#[must_use]
pub fn is_counted_late(id: FindingId) -> bool {
    use FindingId::{CleartextUsername, PlaintextAuthAdvertised, StarttlsNotOffered, StarttlsOfferedUnused};
    let gives_way =
        matches!(id, PlaintextAuthAdvertised | CleartextUsername | StarttlsNotOffered | StarttlsOfferedUnused);
    gives_way || id.entry().key == Key::Fingerprint
}

/// The series of a finding that is told, and its occurrences since it was told last.
#[must_use]
pub fn drained(collected: &Collected) -> (FindingSeries, u64) {
    (FindingSeries::of(&collected.finding), collected.count - collected.told)
}

/// Frames of one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceCounts {
    /// As it was named on the command line; `files` for saved captures.
    pub name: String,
    /// Handed over to this program.
    pub captured: u64,
    /// That passed the kernel's filter, those that it dropped included.
    pub received: u64,
    /// Dropped by kernel, driver or interface.
    pub dropped_by_kernel: u64,
    /// Dropped here because a worker did not keep up.
    pub dropped: u64,
}

/// Records by what they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordCounts {
    /// Occurrences, by [`FindingSeries::index`].
    pub findings: Vec<u64>,
    /// By protocol and [`TRANSPORTS`].
    pub sessions: [[u64; TRANSPORTS.len()]; PROTOCOLS.len()],
    /// By protocol and [`OUTCOMES`].
    pub logins: [[u64; OUTCOMES.len()]; PROTOCOLS.len()],
    /// By [`Reason::ALL`].
    pub unjudged: [u64; Reason::ALL.len()],
}

impl Default for RecordCounts {
    fn default() -> Self {
        Self {
            findings: vec![0; FindingSeries::ALL],
            sessions: Default::default(),
            logins: Default::default(),
            unjudged: Default::default(),
        }
    }
}

impl RecordCounts {
    fn findings(&self, series: FindingSeries) -> u64 {
        self.findings.get(series.index()).copied().unwrap_or(0)
    }
}

/// Records handed to one output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkCounts {
    /// `stdout`, `file`, or what the configuration calls a sink.
    pub name: String,
    /// Handed on to the system, or confirmed by the receiver.
    pub written: u64,
    /// The receiver had them before.
    pub duplicates: u64,
    /// The receiver will never take them.
    pub refused: u64,
    /// Not written because the reader had gone.
    pub discarded: u64,
    /// Lost: of which not all may be written because writing failed, or given up for want of room.
    pub failed: u64,
    /// Of what waits for it.
    pub spool: Option<SpoolCounts>,
}

/// Records that wait for one receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpoolCounts {
    /// On disk.
    pub octets: u64,
    /// On disk at most.
    pub limit: u64,
    /// Records, those included that the disk does not take now.
    pub records: u64,
    /// Time of the packet of the oldest; now, where none waits.
    pub oldest: Timestamp,
    /// Attempts that failed and are made again.
    pub troubles: u64,
    /// How long receivers took to confirm what was sent at once.
    pub delay: Delay,
}

/// How long after their packets records were written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delay {
    /// Records up to each of [`DELAY_BOUNDS_US`] that are above the one before it; the last: above all.
    pub buckets: [u64; DELAY_BOUNDS_US.len() + 1],
    /// Of all, in microseconds.
    pub sum_us: u64,
}

impl Delay {
    /// So many records took `us` microseconds each.
    pub fn note(&mut self, records: u64, us: u64) {
        self.buckets[DELAY_BOUNDS_US.partition_point(|bound| *bound < us)] += records;
        self.sum_us = self.sum_us.saturating_add(us.saturating_mul(records));
    }
}

/// All that the page is made from, as it stood at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When the program began.
    pub started: Timestamp,
    /// Latest time stamp of a packet; 0 before the first.
    pub last_packet: Timestamp,
    /// Each with another name.
    pub interfaces: Vec<InterfaceCounts>,
    /// Of all engines.
    pub counters: Counters,
    /// What was found.
    pub records: RecordCounts,
    /// Each with another name.
    pub sinks: Vec<SinkCounts>,
    /// Of live captures.
    pub delay: Delay,
}

/// The page in Prometheus' text format 0.0.4.
#[must_use]
pub fn render(snapshot: &Snapshot) -> String {
    let mut page = String::with_capacity(96 * 1024);
    for metric in &METRICS {
        let Metric { name, kind, help, labels, samples, .. } = metric;
        let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {}", kind.name());
        samples(snapshot, &mut Samples { name, labels, page: &mut page });
    }
    page
}

/// Lines of one metric.
struct Samples<'a> {
    name: &'static str,
    labels: &'static [&'static str],
    page: &'a mut String,
}

impl Samples<'_> {
    /// One series; as many values as there are labels.
    fn put(&mut self, values: &[&str], value: impl std::fmt::Display) {
        self.page.push_str(self.name);
        for (at, (label, of_label)) in self.labels.iter().zip(values).enumerate() {
            let _ = write!(self.page, "{}{label}=\"", if at == 0 { '{' } else { ',' });
            escape(of_label, self.page);
            self.page.push('"');
        }
        let end = if self.labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.page, "{end} {value}");
    }

    /// One histogram; as many values as there are labels.
    fn histogram(&mut self, values: &[&str], delay: &Delay) {
        let mut of_series = String::new();
        for (label, of_label) in self.labels.iter().zip(values) {
            let _ = write!(of_series, "{label}=\"");
            escape(of_label, &mut of_series);
            of_series.push_str("\",");
        }
        let name = self.name;
        let mut records = 0;
        for (bound, of_bucket) in DELAY_BOUNDS_US.iter().zip(delay.buckets) {
            records += of_bucket;
            let _ = writeln!(self.page, "{name}_bucket{{{of_series}le=\"{}\"}} {records}", seconds(*bound, 1_000_000));
        }
        records += delay.buckets[DELAY_BOUNDS_US.len()];
        let sum = seconds(delay.sum_us, 1_000_000);
        let _ = writeln!(self.page, "{name}_bucket{{{of_series}le=\"+Inf\"}} {records}");
        let of_series = of_series.trim_end_matches(',');
        let labels = if of_series.is_empty() { String::new() } else { format!("{{{of_series}}}") };
        let _ = writeln!(self.page, "{name}_sum{labels} {sum}\n{name}_count{labels} {records}");
    }
}

/// A label's value: what the format gives a meaning to, escaped.
fn escape(value: &str, page: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => page.push_str("\\\\"),
            '"' => page.push_str("\\\""),
            '\n' => page.push_str("\\n"),
            other => page.push(other),
        }
    }
}

/// Seconds from parts of a second, to the last of them: a float would have rounded the time of day.
fn seconds(parts: u64, per_second: u64) -> String {
    let digits = per_second.ilog10() as usize;
    let text = format!("{}.{:0digits$}", parts / per_second, parts % per_second);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Names of records and counters as values of labels: `IP fragment` is `ip-fragment`.
fn hyphened(name: &str) -> String {
    name.to_ascii_lowercase().replace(' ', "-")
}

/// `docs/metrics.md`: the list for people.
#[must_use]
pub fn markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("| metric | type | unit | labels | what it says |\n| --- | --- | --- | --- | --- |\n");
    for Metric { name, kind, help, unit, labels, .. } in &METRICS {
        let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        let _ = writeln!(page, "| `{name}` | {} | {unit} | {labels} | {help} |", kind.name());
    }
    page.push_str("\n## Labels\n\n| label | values |\n| --- | --- |\n");
    let listed =
        |names: &mut dyn Iterator<Item = String>| names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let protocols = listed(&mut PROTOCOLS.iter().map(|info| info.name.to_owned()));
    let outcomes = listed(&mut OUTCOMES.iter().map(|outcome| outcome.name().to_owned()));
    for (label, values) in [
        ("rule", "the names in [findings.md](findings.md)".to_owned()),
        ("protocol", format!("{protocols}; `{NONE}` for what is about the capture")),
        ("outcome", format!("{outcomes}; `{NONE}` for findings that are about no login")),
        ("transport", listed(&mut TRANSPORTS.iter().map(|name| (*name).to_owned()))),
        ("interface", "as named with `-i`; `files` for saved captures".to_owned()),
        (
            "kind",
            "`proved`: the receiver acknowledged the octets; `presumed`: no more than that they are missing".to_owned(),
        ),
        ("reason of dropped packets", "`kernel` (with driver and interface), `application`".to_owned()),
        ("reason of skipped packets", listed(&mut Skip::ALL.iter().map(|(_, name)| hyphened(name)))),
        ("reason of unjudged sessions", listed(&mut Reason::ALL.iter().map(|reason| reason.name().to_owned()))),
        ("sink", "`stdout`, `file`, or the name of a table in `[sinks]`".to_owned()),
        (
            "result",
            "`written`: with the system or confirmed by the receiver; `duplicate`: the receiver had it before; `refused`: \
             it never takes it; `discarded`: the reader had gone; `failed`: lost"
                .to_owned(),
        ),
        ("version", "of barewire".to_owned()),
    ] {
        let _ = writeln!(page, "| {label} | {values} |");
    }
    page.push_str(EXAMPLES);
    page
}

const INTRODUCTION: &str = "\
# Metrics

What barewire lets a monitoring system read, in Prometheus' text format 0.0.4. This page is made from the list that the
metrics themselves are made from.

```
barewire watch -i eth1 --metrics-listen 9469           # http://127.0.0.1:9469/metrics and /-/healthy
barewire watch -i eth1 --metrics-file /var/lib/prometheus/node-exporter/barewire.prom
barewire replay --metrics-file day1.prom day1.pcap
```

The listener is off until it is asked for. A port alone is one of 127.0.0.1; any address that is not a loopback is refused
without `--metrics-public`, for the page has no password and no TLS. `/-/healthy` answers 200, or 503 and one line that
says why. The file is written beside its place and renamed, so that no reader finds half a page: at the end of a replay;
at the start of a watch, every 15 seconds and at its end. A replay that fails leaves the file as it was.

Every series that can occur is there from the first page on, with 0. No user, address or server is a label, and nothing
else from the traffic: what is on the page is bounded by the lists below and the interfaces of the command line, to
some 60 KiB. A finding about a login has a series for each outcome, any other one for each protocol. Counters begin at 0
when the program begins.

`barewire_findings_total` counts occurrences, as `barewire.count` of the records and the summary do, each with its own
outcome. A replay leaves out what a stronger finding says already, such as a user's name where the password was sent as
well; a watch has written such a record by then, and counted it.

## The list

";

const EXAMPLES: &str = "
## Questions to ask

```
# Passwords that crossed the wire in clear and work, each day
increase(barewire_findings_total{rule=\"cleartext-password\",outcome=\"accepted\"}[1d])

# Mail sessions without TLS, of all
sum(rate(barewire_sessions_total{transport=\"clear\"}[1h])) / sum(rate(barewire_sessions_total[1h]))

# A sensor that does not see what it should: drops here, losses before the interface, silence
rate(barewire_capture_dropped_packets_total[5m]) > 0
barewire_capture_lost_ratio > 0.001
time() - barewire_last_packet_timestamp_seconds > 600
```
";

#[cfg(test)]
mod tests;
