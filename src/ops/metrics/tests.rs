//! The page as a whole: names, bounds, the same series whatever happened.

use super::*;
use std::collections::{BTreeMap, BTreeSet};

fn interface(name: &str, captured: u64) -> InterfaceCounts {
    InterfaceCounts { name: name.to_owned(), captured, ..InterfaceCounts::default() }
}

fn quiet() -> Snapshot {
    let interfaces = vec![interface("eth1", 0), interface("eth2", 0)];
    let file = SinkCounts { name: "file".to_owned(), ..SinkCounts::default() };
    let spool = Some(SpoolCounts::default());
    let sinks = vec![file, SinkCounts { name: "elastic".to_owned(), spool, ..SinkCounts::default() }];
    Snapshot { interfaces, sinks, ..Snapshot::default() }
}

/// Everything that can occur has occurred, each of it another number of times.
fn busy() -> Snapshot {
    let mut snapshot = quiet();
    let mut next = 1_u64..;
    let mut count = || next.next().expect("without end");
    for series in FindingSeries::all().filter(|series| series.can_occur()) {
        snapshot.records.findings[series.index()] = count();
    }
    let RecordCounts { sessions, logins, unjudged, .. } = &mut snapshot.records;
    sessions.iter_mut().flatten().chain(logins.iter_mut().flatten()).chain(unjudged).for_each(|of| *of = count());
    snapshot.counters.skipped.iter_mut().for_each(|of| *of = count());
    (snapshot.counters.stream.octets, snapshot.counters.stream.octets_lost) = (1000, 25);
    snapshot.delay.note(3, 2500);
    snapshot.delay.note(1, 2501);
    snapshot.delay.note(2, u64::MAX);
    snapshot.last_packet = Timestamp(1_700_000_000_000_000_001);
    snapshot
}

fn series(page: &str) -> BTreeMap<String, String> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let pairs: Vec<_> = lines.map(|line| line.rsplit_once(' ').expect("a value")).collect();
    let all: BTreeMap<_, _> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(all.len(), pairs.len(), "a series stands twice");
    all
}

#[test]
fn names_say_type_and_unit() {
    for metric in &METRICS {
        let Metric { name, kind, help, unit, labels, .. } = metric;
        assert!(name.starts_with("barewire_") && name.bytes().all(|c| matches!(c, b'a'..=b'z' | b'_')), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        for base in ["seconds", "bytes", "ratio"] {
            let stem = name.strip_suffix("_total").unwrap_or(name);
            assert_eq!(*unit == base, stem.ends_with(&format!("_{base}")), "{name}: {unit}");
        }
        assert!(help.ends_with('.') && !help.contains(['\\', '\n', '|']), "{name}: {help}");
        assert!(labels.iter().all(|label| !["user", "address", "server", "client", "le"].contains(label)), "{name}");
    }
    let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), METRICS.len());
}

#[test]
fn every_metric_is_there_and_the_series_are_the_same_before_and_after() {
    let (before, after) = (render(&quiet()), render(&busy()));
    let [names_before, names_after] = [&before, &after].map(|page| series(page).into_keys().collect::<Vec<_>>());
    assert_eq!(names_before, names_after);
    for metric in &METRICS {
        let has = |name: &String| name.split('{').next().is_some_and(|stem| stem.starts_with(metric.name));
        assert!(names_before.iter().any(has), "{}", metric.name);
        assert_eq!(before.matches(&format!("# TYPE {} {}\n", metric.name, metric.kind.name())).count(), 1);
    }
    assert!(after.len() < 100 * 1024 && before.len() > 30 * 1024, "{} octets", after.len());
    // What is always there is a build, a place for the clock and the bounds of buckets.
    let counted = series(&before).into_iter().filter(|(_, value)| value != "0");
    assert_eq!(counted.map(|(name, _)| name).collect::<Vec<_>>().len(), 1, "only the build");
}

#[test]
fn each_count_stands_once() {
    let snapshot = busy();
    let page = series(&render(&snapshot));
    let numbers: BTreeSet<&String> = page
        .iter()
        .filter(|(name, value)| {
            ["findings", "sessions", "logins", "unjudged", "skipped"]
                .iter()
                .any(|stem| name.starts_with(&format!("barewire_{stem}_")))
                && *value != "0"
        })
        .map(|(_, value)| value)
        .collect();
    let can_occur = FindingSeries::all().filter(|series| series.can_occur()).count();
    let others = PROTOCOLS.len() * (TRANSPORTS.len() + OUTCOMES.len()) + Reason::ALL.len() + Skip::ALL.len();
    assert_eq!(numbers.len(), can_occur + others);
    let desync = &page["barewire_parser_errors_total{protocol=\"imap\"}"];
    assert_eq!(*desync, page["barewire_findings_total{rule=\"protocol-desync\",protocol=\"imap\",outcome=\"none\"}"]);
    assert_eq!(page["barewire_capture_lost_ratio"], "0.025");
    assert_eq!(page["barewire_last_packet_timestamp_seconds"], "1700000000.000000001");
}

#[test]
fn an_occurrence_that_was_thought_impossible_is_told_all_the_same() {
    let mut snapshot = quiet();
    let odd = FindingSeries { rule: FindingId::CoverageGap, protocol: Some(Protocol::Imap), outcome: None };
    assert!(!odd.can_occur());
    snapshot.records.findings[odd.index()] = 7;
    let line = "barewire_findings_total{rule=\"coverage-gap\",protocol=\"imap\",outcome=\"none\"} 7\n";
    assert!(render(&snapshot).contains(line));
    assert!(!render(&quiet()).contains("coverage-gap\",protocol=\"imap\""));
}

#[test]
fn every_place_is_another_and_within_the_bound() {
    let places: BTreeSet<usize> = FindingSeries::all().map(FindingSeries::index).collect();
    assert_eq!((places.len(), places.last()), (FindingSeries::ALL, Some(&(FindingSeries::ALL - 1))));
    for (at, outcome) in OUTCOMES.into_iter().enumerate() {
        assert_eq!(outcome_index(outcome), at);
    }
    for (at, reason) in Reason::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, at);
    }
}

#[test]
fn buckets_are_cumulative_and_hold_their_bounds() {
    let page = series(&render(&busy()));
    let bucket = |le: &str| page[&format!("barewire_record_delay_seconds_bucket{{le=\"{le}\"}}")].as_str();
    // 2.5 ms is within its bound, a microsecond more is not.
    assert_eq!(["0.001", "0.0025", "0.005", "60", "+Inf"].map(bucket), ["0", "3", "4", "4", "6"]);
    assert_eq!(page["barewire_record_delay_seconds_count"], "6");
    assert!(DELAY_BOUNDS_US.is_sorted());
    let mut delay = Delay::default();
    delay.note(2, 1_500_000);
    assert_eq!(seconds(delay.sum_us, 1_000_000), "3");
}

#[test]
fn names_of_interfaces_are_escaped() {
    let snapshot = Snapshot { interfaces: vec![interface("a\"b\\c\nd", 5)], ..Snapshot::default() };
    assert!(render(&snapshot).contains("barewire_capture_packets_total{interface=\"a\\\"b\\\\c\\nd\"} 5\n"));
}

#[test]
fn the_page_for_people_has_every_metric_and_label() {
    let page = markdown();
    for Metric { name, labels, .. } in &METRICS {
        assert!(page.contains(&format!("| `{name}` | ")), "{name}");
        for label in *labels {
            let is_told = page.contains(&format!("| {label} | ")) || page.contains(&format!("| {label} of "));
            assert!(is_told, "{label}");
        }
    }
}
