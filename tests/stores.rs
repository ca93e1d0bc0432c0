//! Bulk requests against stores of other authors: what was sent is there, once, as it was; what is sent again is a duplicate.
//!
//! What the stores can judge and what they cannot: `bed/stores.rs`.

#[path = "bed/net.rs"]
mod net;
#[path = "bed/records.rs"]
mod records;
#[path = "bed/stores.rs"]
mod stores;

use barewire::output::{Form, Written};
use barewire::sink::http::bulk::{self, Bulk};
use barewire::sink::http::{Pattern, Server};
use barewire::sink::{Fate, Parcel, Transport};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Instant;
use stores::{Engine, Store};

/// How often each fate befell records that were sent.
#[derive(Debug, Default, PartialEq, Eq)]
struct Fates {
    delivered: usize,
    duplicates: usize,
    refused: Vec<String>,
}

/// Sends lines in batches of what the transport takes.
fn send(bulk: &mut Bulk, lines: &[&str]) -> Fates {
    let mut fates = Fates::default();
    let numbered = lines.iter().zip(0..);
    let parcels: Vec<Parcel> = numbered.map(|(line, number)| Parcel { number, line: line.as_bytes().into() }).collect();
    for batch in parcels.chunks(bulk.bounds().records) {
        let report = bulk.deliver(batch);
        assert_eq!(report.trouble, None);
        for fate in report.fates {
            match fate {
                Fate::Delivered => fates.delivered += 1,
                Fate::Duplicate => fates.duplicates += 1,
                Fate::Refused(why) => fates.refused.push(why),
                Fate::Waits => panic!("without trouble none waits"),
            }
        }
    }
    fates
}

/// Where a kind of record goes, and what must be there of some lines.
fn wanted(lines: &[&str], index: &str, form: Form) -> BTreeMap<String, BTreeMap<String, Value>> {
    let mut wanted: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for line in lines {
        let written = Written::parse(line.as_bytes()).expect("a record");
        let kind = written.text("/event/dataset").trim_start_matches("barewire.");
        let source = serde_json::from_slice(&written.render(form)).expect("JSON");
        let month = written.text("/@timestamp")[..7].replace('-', ".");
        let index = index.replace("{kind}", kind).replace("{month}", &month);
        // Of two records with one identity the first stays.
        wanted.entry(index).or_default().entry(written.document_id()).or_insert(source);
    }
    wanted
}

fn round_trip(engine: Engine, template: &str, index: &str, form: Form) {
    let Some(store) = Store::start(engine, &format!("{engine:?}-{form:?}")) else { return };
    store.template(template);
    let all = records::all(&[Form::Ecs]);
    let lines: Vec<&str> = all[0].lines().collect();
    let wanted = wanted(&lines, index, form);
    let count: usize = wanted.values().map(BTreeMap::len).sum();
    assert!(lines.len() > 500 && count > 400, "{} {count}", lines.len());
    let server = Server { gzip: engine == Engine::Osmem, ..Server::new(&store.url) };
    let options = bulk::Options { server, index: Pattern::parse(index).expect("a name") };
    let mut bulk = Bulk::new(&options, form).expect("good options");
    let began = Instant::now();
    let fates = send(&mut bulk, &lines);
    let took = began.elapsed();
    assert_eq!(fates, Fates { delivered: count, duplicates: lines.len() - count, refused: Vec::new() });
    for (index, wanted) in &wanted {
        let found = store.documents(index, wanted.len());
        assert!(found.keys().eq(wanted.keys()), "{index}: {} of {}", found.len(), wanted.len());
        for (id, source) in wanted {
            assert_eq!(&found[id], source, "{index} {id}");
        }
    }
    let again = send(&mut bulk, &lines);
    assert_eq!(again, Fates { delivered: 0, duplicates: lines.len(), refused: Vec::new() });
    let figures =
        format!("{engine:?} {form:?}: {} sent, {count} stored and equal, {took:?}; again: all known", lines.len());
    writeln!(std::io::stderr(), "{figures}").expect("standard error");
}

#[test]
fn one_like_elasticsearch_has_each_record_once_as_it_was() {
    round_trip(Engine::Noida, "template", "logs-barewire.{kind}-default", Form::Ecs);
}

#[test]
fn one_like_opensearch_has_each_record_once_as_it_was() {
    round_trip(Engine::Osmem, "template-opensearch", "barewire-{kind}", Form::Ecs);
}

#[test]
fn an_index_of_a_month_has_the_records_of_that_month() {
    round_trip(Engine::Osmem, "template-opensearch", "barewire-{kind}-{month}", Form::Ecs);
}

#[test]
fn records_of_another_schema_are_there_once_too() {
    round_trip(Engine::Osmem, "template-opensearch", "ocsf-barewire-{kind}", Form::Ocsf);
}

/// The template makes addresses addresses: what is none is refused, alone and with the store's reason.
#[test]
fn what_the_mapping_does_not_take_is_refused_alone() {
    for (engine, template, index) in [
        (Engine::Noida, "template", "logs-barewire.{kind}-default"),
        (Engine::Osmem, "template-opensearch", "barewire-{kind}"),
    ] {
        let Some(store) = Store::start(engine, &format!("refuse-{engine:?}")) else { continue };
        store.template(template);
        let line = |id: &str, ip: &str| {
            format!(
                r#"{{"@timestamp":"2026-01-02T03:04:05.678901Z","event":{{"id":"{id}","dataset":"barewire.login"}},"source":{{"ip":"{ip}"}}}}"#
            )
        };
        let lines = [line("A", "192.0.2.1"), line("B", "nowhere"), line("C", "2001:db8::1")];
        let options = bulk::Options { server: Server::new(&store.url), index: Pattern::parse(index).expect("a name") };
        let mut bulk = Bulk::new(&options, Form::Ecs).expect("good options");
        let fates = send(&mut bulk, &lines.each_ref().map(String::as_str));
        assert_eq!((fates.delivered, fates.refused.len()), (2, 1), "{engine:?}: {fates:?}");
        assert!(fates.refused[0].starts_with("400 ") && fates.refused[0].len() > 10, "{engine:?}: {fates:?}");
        let found = store.documents(&index.replace("{kind}", "login"), 2);
        assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), ["A", "C"], "{engine:?}");
    }
}
