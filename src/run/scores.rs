//! Records counted where other threads can read them while the run goes on: one writer, relaxed atomics.

use crate::finding::{Collected, Coverage, Finding, Login, Session};
use crate::mail::{PROTOCOLS, Reason};
use crate::ops::metrics::{
    FindingSeries, OUTCOMES, RecordCounts, SinkCounts, TRANSPORTS, drained, is_counted_late, outcome_index,
};
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(feature = "live")]
use {super::locked, crate::ops::glance, std::collections::VecDeque, std::sync::Mutex};

type Count = AtomicU64;

/// What [`RecordCounts`] shows.
pub(super) struct Scores {
    findings: Vec<Count>,
    sessions: [[Count; TRANSPORTS.len()]; PROTOCOLS.len()],
    logins: [[Count; OUTCOMES.len()]; PROTOCOLS.len()],
    unjudged: [Count; Reason::ALL.len()],
    /// The latest findings, a line each.
    #[cfg(feature = "live")]
    latest: Mutex<VecDeque<String>>,
}

impl Default for Scores {
    fn default() -> Self {
        Self {
            findings: (0..FindingSeries::ALL).map(|_| Count::default()).collect(),
            sessions: Default::default(),
            logins: Default::default(),
            unjudged: Default::default(),
            #[cfg(feature = "live")]
            latest: Mutex::default(),
        }
    }
}

fn add(count: &Count, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

fn read(count: &Count) -> u64 {
    count.load(Ordering::Relaxed)
}

impl Scores {
    /// `transport`: its place in [`TRANSPORTS`].
    pub(super) fn session(&self, session: &Session, transport: usize) {
        add(&self.sessions[session.flow.protocol as usize][transport], 1);
        if let Coverage::Partial(reason) = session.coverage {
            add(&self.unjudged[reason as usize], 1);
        }
    }

    pub(super) fn login(&self, login: &Login) {
        add(&self.logins[login.flow.protocol as usize][outcome_index(login.outcome)], 1);
    }

    /// An occurrence that nothing takes back.
    #[cfg(feature = "live")]
    pub(super) fn finding(&self, series: FindingSeries) {
        add(&self.findings[series.index()], 1);
    }

    /// A new finding, for those who look on.
    #[cfg(feature = "live")]
    pub(super) fn latest(&self, collected: &Collected) {
        let mut latest = locked(&self.latest);
        if latest.len() == glance::LATEST {
            latest.pop_front();
        }
        latest.push_back(glance::finding(collected));
    }

    /// The latest findings, the last of them last.
    #[cfg(feature = "live")]
    pub(super) fn latest_lines(&self) -> Vec<String> {
        locked(&self.latest).iter().cloned().collect()
    }

    /// An occurrence in a replay, which may be left out in the end.
    pub(super) fn came(&self, finding: &Finding) {
        if !is_counted_late(finding.id) {
            add(&self.findings[FindingSeries::of(finding).index()], 1);
        }
    }

    /// What is left of a replay's in the end.
    pub(super) fn stayed(&self, collected: &Collected) {
        if is_counted_late(collected.finding.id) {
            self.all_of(collected);
        }
    }

    /// All occurrences of one that was not counted as it came.
    pub(super) fn all_of(&self, collected: &Collected) {
        let (series, count) = drained(collected);
        add(&self.findings[series.index()], count);
    }

    pub(super) fn counts(&self) -> RecordCounts {
        RecordCounts {
            findings: self.findings.iter().map(read).collect(),
            sessions: self.sessions.each_ref().map(|row| row.each_ref().map(read)),
            logins: self.logins.each_ref().map(|row| row.each_ref().map(read)),
            unjudged: self.unjudged.each_ref().map(read),
        }
    }
}

/// What became of the records handed to an output.
#[derive(Default)]
pub(super) struct SinkScore {
    name: &'static str,
    written: Count,
    discarded: Count,
    failed: Count,
}

impl SinkScore {
    /// `name`: what kind of output it is.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    /// So many left this program.
    pub(super) fn written(&self, records: u64) {
        add(&self.written, records);
    }

    /// So many came to no effect because the reader had gone.
    pub(super) fn discarded(&self, records: u64) {
        add(&self.discarded, records);
    }

    /// Of so many it is not sure that they were written whole.
    pub(super) fn failed(&self, records: u64) {
        add(&self.failed, records);
    }

    pub(super) fn counts(&self) -> SinkCounts {
        SinkCounts {
            name: self.name.to_owned(),
            written: read(&self.written),
            discarded: read(&self.discarded),
            failed: read(&self.failed),
            ..SinkCounts::default()
        }
    }
}
