//! How sessions were protected over time, in steps that grow with the time that records span.
//!
//! What is kept depends on the records alone, not on their order: steps grow only when there are too many of them.

use super::model::PROTECTIONS;
use crate::mail::PROTOCOLS;
use crate::page::words::STEPS;
use std::collections::BTreeMap;

/// Sessions of one step, by protocol (the last are those that are not known) and by how they were protected.
pub(super) type Step = [[u64; PROTECTIONS]; PROTOCOLS.len() + 1];

/// Steps that are kept: a day by minutes; 2 MiB.
const KEPT: usize = 1440;

/// Sessions by time.
#[derive(Default)]
pub(super) struct Timeline {
    steps: BTreeMap<u64, Box<Step>>,
    level: usize,
}

impl Timeline {
    /// One session, at `time` nanoseconds since 1970.
    pub(super) fn add(&mut self, time: u64, protocol: usize, protection: usize) {
        let at = time / 1_000_000_000 / STEPS[self.level];
        self.steps.entry(at).or_default()[protocol][protection] += 1;
        if self.steps.len() > KEPT {
            self.coarsen();
        }
    }

    fn coarsen(&mut self) {
        let Some(next) = STEPS.get(self.level + 1) else { return };
        let factor = next / STEPS[self.level];
        self.level += 1;
        for (at, step) in std::mem::take(&mut self.steps) {
            let sum = self.steps.entry(at / factor).or_default();
            for (sum, part) in sum.iter_mut().flatten().zip(step.iter().flatten()) {
                *sum += part;
            }
        }
    }

    /// At most `most` steps from first to last, empty ones as well: the seconds of one, and for each when it begins, in
    /// seconds since 1970.
    pub(super) fn steps(&self, most: usize) -> (u64, Vec<(u64, Step)>) {
        let mut all = Self { steps: self.steps.clone(), level: self.level };
        let span = |all: &Self| match (all.steps.first_key_value(), all.steps.last_key_value()) {
            (Some((first, _)), Some((last, _))) => last - first + 1,
            _ => 0,
        };
        while span(&all) > most as u64 && all.level + 1 < STEPS.len() {
            all.coarsen();
        }
        let seconds = STEPS[all.level];
        let first = all.steps.keys().next().copied().unwrap_or_default();
        let each = (first..first + span(&all).min(most as u64))
            .map(|at| (at * seconds, all.steps.get(&at).map(|step| **step).unwrap_or_default()));
        (seconds, each.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(times: impl Iterator<Item = u64>) -> Timeline {
        let mut timeline = Timeline::default();
        times.for_each(|time| timeline.add(time * 1_000_000_000, 1, 0));
        timeline
    }

    fn total(timeline: &Timeline, most: usize) -> u64 {
        timeline.steps(most).1.iter().map(|(_, step)| step[1][0]).sum()
    }

    #[test]
    fn every_session_is_in_a_step_whatever_their_span_and_order() {
        for seconds in [1, 59, 3600, 86_400, 3_600_000] {
            let times: Vec<u64> = (0..5000).map(|at| at * seconds).collect();
            let forward = filled(times.iter().copied());
            let backward = filled(times.iter().rev().copied());
            assert!(forward.steps.len() <= KEPT);
            assert_eq!(forward.steps(40), backward.steps(40));
            assert_eq!((total(&forward, 40), forward.steps(40).1.len() <= 40), (5000, true), "{seconds}");
        }
    }

    #[test]
    fn times_where_nothing_was_are_there() {
        let (seconds, steps) = filled([0, 3, 5].into_iter()).steps(40);
        assert_eq!((seconds, steps.len()), (1, 6));
        assert_eq!(Timeline::default().steps(40), (1, Vec::new()));
    }
}
