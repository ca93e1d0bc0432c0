//! Records of a live capture: each new one is written at once, repeated findings again when counted up.

use super::book::Tally;
use super::sink::Sink;
use super::{Failure, Kinds};
use crate::engine::Settings;
use crate::finding::{Collected, Collector, Correlator, Finding, FindingId, Key, Policy, Record};
use crate::ops::metrics::FindingSeries;
use crate::output::Event;
use crate::wire::Timestamp;
use std::sync::Arc;

/// Records of a live capture: each new one is written at once, repeated findings again when counted up.
pub(super) struct LiveBook {
    kinds: Kinds,
    policy: Arc<Policy>,
    collector: Collector,
    correlator: Correlator,
    /// Time of the packet up to which connections were judged against each other.
    correlated: Timestamp,
    /// Of the latest packet that brought something to light.
    latest: Timestamp,
    pub(super) tally: Tally,
}

/// Connections are judged against each other so often, in nanoseconds of packet time.
const CORRELATE_EVERY_NS: u64 = 10 * 1_000_000_000;

/// A finding that has not occurred for so long is new when it does again, in nanoseconds of packet time: a day.
const FORGET_AFTER_NS: u64 = 24 * 3600 * 1_000_000_000;

impl LiveBook {
    pub(super) fn new(kinds: Kinds, settings: &Settings, inputs: Vec<String>) -> Self {
        Self {
            kinds,
            policy: Arc::clone(&settings.policy),
            collector: Collector::new(settings.limits.findings, inputs),
            correlator: Correlator::default(),
            correlated: Timestamp(0),
            latest: Timestamp(0),
            tally: Tally::default(),
        }
    }

    /// What the operator says of networks and accounts, from now on.
    pub(super) fn set_policy(&mut self, policy: Arc<Policy>) {
        self.policy = policy;
    }

    /// Takes records and writes what is new.
    pub(super) fn add(&mut self, records: Vec<Record>, sink: &mut Sink) -> Result<(), Failure> {
        for record in records {
            self.latest = self.latest.max(record.at().time);
            match record {
                Record::Finding(finding) => self.add_finding(*finding, sink)?,
                Record::Login(login) => {
                    self.tally.login(&login);
                    self.correlator.login(&login);
                    put(&Event::Login(&login), self.kinds.logins, sink)?;
                }
                Record::Session(session) => {
                    self.tally.session(&session);
                    self.correlator.session(&session);
                    put(&Event::Session(&session), self.kinds.sessions, sink)?;
                }
            }
        }
        if self.latest.since(self.correlated) >= CORRELATE_EVERY_NS || self.correlator.is_full() {
            self.correlated = self.latest;
            self.correlate(sink)?;
        }
        sink.flush()
    }

    fn add_finding(&mut self, finding: Finding, sink: &mut Sink) -> Result<(), Failure> {
        if self.collector.is_full() {
            self.write_counts(sink)?;
        }
        let waits = waits_for_the_end(&finding);
        let (series, is_once) = (FindingSeries::of(&finding), finding.id.entry().key == Key::Fingerprint);
        let new = self.collector.add(finding);
        if let Some(new) = new.as_ref().filter(|_| !waits) {
            self.tally.scores.latest(new);
        }
        if !waits && (new.is_some() || !is_once) {
            self.tally.scores.finding(series);
        }
        match new.filter(|_| !waits) {
            Some(mut new) => {
                new.accept(&self.policy.baseline);
                put(&Event::Finding(&new), self.kinds.findings, sink)
            }
            None => Ok(()),
        }
    }

    fn correlate(&mut self, sink: &mut Sink) -> Result<(), Failure> {
        for finding in self.correlator.conclude(&self.policy) {
            self.add_finding(finding, sink)?;
        }
        self.tally.uncompared = self.correlator.uncompared();
        Ok(())
    }

    /// Writes every finding that occurred again since it was told last, with its count, and what came to say more; the
    /// identity is the same as before. Forgets those that have not occurred for a day.
    pub(super) fn roll_up(&mut self, sink: &mut Sink) -> Result<(), Failure> {
        let Self { kinds, collector, tally, latest, policy, .. } = self;
        let accepted = |mut collected: Collected| {
            collected.accept(&policy.baseline);
            collected
        };
        collector.roll_up(|collected| write_again(&accepted(collected), *kinds, tally, sink))?;
        let before = Timestamp(latest.0.saturating_sub(FORGET_AFTER_NS));
        collector.forget(before, |gone| tally.finding(&accepted(gone)));
        sink.flush()
    }

    /// The capture is over: judges what is left and writes the counts.
    pub(super) fn finish(&mut self, sink: &mut Sink) -> Result<(), Failure> {
        self.correlate(sink)?;
        self.write_counts(sink)
    }

    /// A last roll-up, after which nothing is known any more.
    fn write_counts(&mut self, sink: &mut Sink) -> Result<(), Failure> {
        for mut collected in self.collector.drain() {
            collected.accept(&self.policy.baseline);
            self.tally.finding(&collected);
            write_again(&collected, self.kinds, &self.tally, sink)?;
        }
        sink.flush()
    }
}

/// Writes a record if such are wanted; the page has it in either case.
fn put(event: &Event<'_>, is_wanted: bool, sink: &mut Sink) -> Result<(), Failure> {
    if is_wanted {
        return sink.write(event);
    }
    sink.show(event);
    Ok(())
}

/// Writes a finding if there is more to tell than there was. Whether there was.
fn write_again(collected: &Collected, kinds: Kinds, tally: &Tally, sink: &mut Sink) -> Result<bool, Failure> {
    let waits = waits_for_the_end(&collected.finding);
    // The first occurrence was told as it came.
    let told = collected.told.max(u64::from(!waits));
    if collected.count <= told && !collected.is_revised {
        return Ok(false);
    }
    if waits {
        tally.scores.all_of(collected);
    }
    put(&Event::Finding(collected), kinds.findings, sink)?;
    Ok(true)
}

/// What a server merely advertises is nothing to add once it has accepted a login, and that may come at any time: it is
/// told with the counts, when it still stands alone.
fn waits_for_the_end(finding: &Finding) -> bool {
    finding.id == FindingId::PlaintextAuthAdvertised
}
