//! Whether the sensor sees and tells: a silent sensor must not look like a quiet network.

use super::gauges::{CaptureGauge, Gauges, Taken};
use super::locked;
use crate::ops::{counted, grouped};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// From when on something is a trouble.
#[derive(Clone, Copy, Debug)]
pub struct Alarms {
    /// An interface without a packet; zero: never.
    pub silent_after: Duration,
    /// Per cent of an interface's packets that are dropped within a minute.
    pub drop_percent: f64,
}

/// Work that waits so long without any being done is stuck.
const STUCK: Duration = Duration::from_secs(10);

/// Over which drops are counted.
const MINUTE: Duration = Duration::from_secs(60);

/// What may go wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    Down(String),
    Silent(String),
    Dropping(String),
    WorkersStuck,
    OutputStuck,
}

impl Trouble {
    fn begins(&self, detail: &str) -> String {
        match self {
            Self::Down(interface) => format!("{interface} is down: nothing of it is seen"),
            Self::Silent(interface) => format!("{interface}: no packet {detail}"),
            Self::Dropping(interface) => format!("{interface}: {detail}; logins may be missed"),
            Self::WorkersStuck => format!("packets wait and none was judged for {detail}"),
            Self::OutputStuck => format!("records wait and none was written for {detail}"),
        }
    }

    fn ends(&self) -> String {
        match self {
            Self::Down(interface) => format!("{interface} is up again"),
            Self::Silent(interface) => format!("{interface}: packets come again"),
            Self::Dropping(interface) => format!("{interface}: no longer dropping"),
            Self::WorkersStuck => "packets are judged again".to_owned(),
            Self::OutputStuck => "records are written again".to_owned(),
        }
    }
}

/// A number that ought to grow.
struct Progress {
    value: u64,
    since: Instant,
}

impl Progress {
    fn new(now: Instant) -> Self {
        Self { value: 0, since: now }
    }

    /// How long it has stood at this value although it ought to grow.
    fn stands(&mut self, value: u64, ought_to_grow: bool, now: Instant) -> Duration {
        if value != self.value || !ought_to_grow {
            *self = Self { value, since: now };
        }
        now.saturating_duration_since(self.since)
    }
}

struct Interface {
    name: String,
    captured: Progress,
    /// What was taken and dropped when the minute began.
    minute: (Instant, u64, u64),
}

/// Nothing, or why the sensor does not do what it should, as `/-/healthy` tells it.
#[derive(Default)]
pub(super) struct Verdict(Mutex<Option<String>>);

impl Verdict {
    /// In one line, without anything of the traffic.
    pub(super) fn set(&self, reason: Option<String>) {
        *locked(&self.0) = reason.map(|reason| reason.replace(['\r', '\n'], " "));
    }

    /// Why it is not healthy.
    pub(super) fn reason(&self) -> Option<String> {
        locked(&self.0).clone()
    }
}

/// Looks at the gauges now and then, and says what changed.
pub(super) struct Health {
    alarms: Alarms,
    interfaces: Vec<Interface>,
    judged: Progress,
    written: Progress,
    present: BTreeMap<Trouble, String>,
}

/// What a look brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Looked {
    /// Troubles that began.
    pub(super) troubles: Vec<String>,
    /// Troubles that are over.
    pub(super) over: Vec<String>,
    /// Interfaces of which something was missed since the last look.
    pub(super) missed: Vec<String>,
}

impl Health {
    pub(super) fn new(alarms: Alarms, gauges: &Gauges, now: Instant) -> Self {
        let mut names: Vec<&String> = gauges.captures.iter().map(|capture| &capture.interface).collect();
        names.dedup();
        let interface =
            |name: &String| Interface { name: name.clone(), captured: Progress::new(now), minute: (now, 0, 0) };
        Self {
            alarms,
            interfaces: names.into_iter().map(interface).collect(),
            judged: Progress::new(now),
            written: Progress::new(now),
            present: BTreeMap::new(),
        }
    }

    /// What keeps the sensor from seeing or telling now, in one line.
    pub(super) fn troubles(&self) -> Option<String> {
        let troubles: Vec<String> = self.present.iter().map(|(trouble, detail)| trouble.begins(detail)).collect();
        (!troubles.is_empty()).then(|| troubles.join("; "))
    }

    /// Work waits and none is done: only a new start can help.
    pub(super) fn is_stuck(&self) -> bool {
        self.present.contains_key(&Trouble::WorkersStuck) || self.present.contains_key(&Trouble::OutputStuck)
    }

    pub(super) fn look(&mut self, gauges: &Gauges, now: Instant) -> Looked {
        let mut found = BTreeMap::new();
        let mut looked = Looked::default();
        for own in &mut self.interfaces {
            let captures: Vec<&CaptureGauge> =
                gauges.captures.iter().filter(|capture| capture.interface == own.name).collect();
            own.look(&captures, &self.alarms, &self.present, now, &mut found, &mut looked.missed);
        }
        let taken = Gauges::taken(&gauges.captures);
        let judged: u64 = gauges.workers.iter().map(|worker| locked(&worker.counters).frames).sum();
        let stands = self.judged.stands(judged, taken.captured > judged + taken.dropped, now);
        if stands > STUCK {
            found.insert(Trouble::WorkersStuck, counted(stands.as_secs(), "second"));
        }
        let (brought, written) = (gauges.brought.load(Ordering::Relaxed), gauges.written.load(Ordering::Relaxed));
        let stands = self.written.stands(written, brought > written, now);
        if stands > STUCK {
            found.insert(Trouble::OutputStuck, counted(stands.as_secs(), "second"));
        }
        looked.over.extend(self.present.keys().filter(|known| !found.contains_key(known)).map(Trouble::ends));
        let new = found.iter().filter(|(trouble, _)| !self.present.contains_key(trouble));
        looked.troubles.extend(new.map(|(trouble, detail)| trouble.begins(detail)));
        self.present = found;
        looked
    }
}

impl Interface {
    fn look(
        &mut self,
        captures: &[&CaptureGauge],
        alarms: &Alarms,
        present: &BTreeMap<Trouble, String>,
        now: Instant,
        found: &mut BTreeMap<Trouble, String>,
        missed: &mut Vec<String>,
    ) {
        let Taken { captured, dropped, dropped_by_kernel, .. } = Gauges::taken(captures.iter().copied());
        let dropped = dropped + dropped_by_kernel;
        let name = || self.name.clone();
        let down = Trouble::Down(name());
        if !captures.iter().all(|capture| capture.is_up.load(Ordering::Relaxed)) {
            if !present.contains_key(&down) {
                missed.push(name());
            }
            found.insert(down, String::new());
        }
        let stands = self.captured.stands(captured, true, now);
        if !alarms.silent_after.is_zero() && stands >= alarms.silent_after {
            found.insert(Trouble::Silent(name()), format!("for {}", counted(stands.as_secs(), "second")));
        }
        let (began, captured_then, dropped_then) = self.minute;
        let (captured_since, dropped_since) = (captured - captured_then, dropped - dropped_then);
        let share = dropped_since as f64 * 100.0 / (captured_since + dropped_since).max(1) as f64;
        let dropping = Trouble::Dropping(name());
        if dropped_since > 0 && share > alarms.drop_percent {
            let of = counted(captured_since + dropped_since, "packet");
            found.insert(dropping.clone(), format!("{} of {of} dropped ({share:.1}%)", grouped(dropped_since)));
            if !present.contains_key(&dropping) {
                missed.push(name());
            }
        }
        if now.saturating_duration_since(began) >= MINUTE {
            if found.contains_key(&dropping) && present.contains_key(&dropping) {
                missed.push(name());
            }
            self.minute = (now, captured, dropped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::gauges::Outlets;
    use super::*;
    use crate::capture::live::Stats;

    const ALARMS: Alarms = Alarms { silent_after: Duration::from_secs(30), drop_percent: 1.0 };

    fn stats(dropped: u64, is_up: bool) -> Stats {
        Stats { dropped, is_up, ..Stats::default() }
    }

    #[test]
    fn each_trouble_is_told_when_it_begins_and_when_it_ends() {
        let names = ["eth1".to_owned(), "eth1".to_owned(), "eth2".to_owned()];
        let gauges = Gauges::new(&names, 1, Outlets::default());
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut health = Health::new(ALARMS, &gauges, start);
        let frames = |count: u64| locked(&gauges.workers[0].counters).frames = count;
        let mut look = |seconds: u64| health.look(&gauges, at(seconds));

        gauges.captures[0].count(1000, 0, stats(0, true));
        gauges.captures[1].count(1000, 0, stats(0, true));
        gauges.captures[2].count(1, 0, stats(0, true));
        frames(2001);
        assert_eq!(look(1), Looked::default());

        gauges.captures[1].count(1001, 0, stats(0, false));
        frames(2002);
        let down = look(2);
        assert_eq!(down.troubles, ["eth1 is down: nothing of it is seen"]);
        assert_eq!(down.missed, ["eth1"]);
        gauges.captures[1].count(1002, 0, stats(15, true));
        frames(2003);
        assert_eq!(look(3).over, ["eth1 is up again"], "less than one in a hundred is dropped");
        gauges.captures[1].count(1003, 0, stats(25, true));
        frames(2004);
        let dropping = look(4);
        assert_eq!(dropping.troubles, ["eth1: 25 of 2,028 packets dropped (1.2%); logins may be missed"]);
        assert_eq!(dropping.missed, ["eth1"]);

        // eth2 has been silent since the first second, the others are not.
        gauges.captures[0].count(1100, 0, stats(0, true));
        assert_eq!(
            look(31).troubles,
            ["eth2: no packet for 30 seconds", "packets wait and none was judged for 27 seconds"]
        );
        gauges.captures[2].count(2, 0, stats(0, true));
        frames(3000);
        gauges.brought.store(1, Ordering::Relaxed);
        assert_eq!(look(32).over, ["eth2: packets come again", "packets are judged again"]);
        let silent = look(62).troubles;
        assert!(silent.contains(&"records wait and none was written for 31 seconds".to_owned()), "{silent:?}");
        gauges.written.store(1, Ordering::Relaxed);
        let later = look(65).over;
        assert!(later.contains(&"records are written again".to_owned()), "{later:?}");
        assert!(later.contains(&"eth1: no longer dropping".to_owned()), "a minute is over: {later:?}");
    }
}
