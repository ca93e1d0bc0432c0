//! Bulk requests against stores of other authors: what was sent is there, once, as it was; what is sent again is a duplicate.
//!
//! Both are young stand-ins that Python packages bring: noida-db answers as Elasticsearch 8.15 does, osmem-server as OpenSearch
//! 3. They judge requests, identities, statuses and mappings of addresses and times. Security, life cycles and what data streams
//! are beyond an index they do not have, so nothing is proved of those.
//!
//! `python3 -m venv target/stores && target/stores/bin/pip install noida-db==0.2.3 osmem-server==0.1.6` installs them, which the
//! test does itself where `BAREWIRE_REQUIRE_RECEIVERS` is set.

#[path = "bed/net.rs"]
mod net;
#[path = "bed/records.rs"]
mod records;

use barewire::output::{Form, Written};
use barewire::sink::http::bulk::{self, Bulk};
use barewire::sink::http::{Pattern, Server};
use barewire::sink::{Fate, Parcel, Transport};
use net::{PATIENCE, Scratch, Watched};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Once;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    Noida,
    Osmem,
}

impl Engine {
    /// Where its package is, in which the program that is started lies.
    fn package(self) -> &'static str {
        match self {
            Engine::Noida => "noida-db==0.2.3",
            Engine::Osmem => "osmem-server==0.1.6",
        }
    }

    fn program(self) -> Option<PathBuf> {
        let place = match self {
            Engine::Noida => "site-packages/noida_db/noida-db",
            Engine::Osmem => "site-packages/osmem_server/bin/osmem-server",
        };
        let pythons = std::fs::read_dir(records::root("target/stores/lib")).into_iter().flatten().flatten();
        pythons.map(|python| python.path().join(place)).find(|program| program.is_file())
    }
}

/// The program, or nothing where it is not installed, which is said loudly, or fails where that isn't allowed.
fn installed(engine: Engine) -> Option<PathBuf> {
    static INSTALLING: Once = Once::new();
    let is_required = std::env::var_os("BAREWIRE_REQUIRE_RECEIVERS").is_some();
    let folder = records::root("target/stores");
    INSTALLING.call_once(|| {
        let is_there = [Engine::Noida, Engine::Osmem].iter().all(|engine| engine.program().is_some());
        if is_required && !is_there {
            let made = Command::new("python3").args(["-m", "venv"]).arg(&folder).status();
            assert!(made.is_ok_and(|made| made.success()), "python3 -m venv {}", folder.display());
            let packages = [Engine::Noida, Engine::Osmem].map(Engine::package);
            let pip = Command::new(folder.join("bin/pip")).args(["install", "-q"]).args(packages).status();
            assert!(pip.is_ok_and(|pip| pip.success()), "pip install {packages:?}");
        }
    });
    let program = engine.program();
    if program.is_none() {
        let line = format!("SKIPPED: python3 -m venv target/stores, and pip install {} there", engine.package());
        assert!(!is_required, "BAREWIRE_REQUIRE_RECEIVERS is set, but: {line}");
        // Not `eprintln!`: the harness would keep that to itself.
        writeln!(std::io::stderr(), "{line}").expect("standard error");
    }
    program
}

/// A store on loopback.
struct Store {
    url: String,
    process: Watched,
    /// What it keeps lies there.
    _scratch: Scratch,
}

impl Store {
    fn start(engine: Engine, name: &str) -> Option<Store> {
        let program = installed(engine)?;
        let scratch = Scratch::new(&format!("store-{name}"));
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let mut command = Command::new(program);
        match engine {
            Engine::Noida => {
                command.args(["start", "--host", "127.0.0.1", "--only", "elasticsearch", "--elasticsearch-port"]);
                command.arg(port.to_string()).arg("--data-dir").arg(scratch.path("data"));
            }
            Engine::Osmem => {
                command.args(["-addr", &format!("127.0.0.1:{port}"), "-no-stdin-watch"]);
                command.args(["-parent-pid", &std::process::id().to_string()]);
            }
        }
        let process = Watched::start(&mut command);
        let asked = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(asked.elapsed() < PATIENCE, "{engine:?} does not listen:\n{}", process.said());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Store { url: format!("http://127.0.0.1:{port}"), process, _scratch: scratch })
    }

    fn ask(&self, method: &str, path: &str, body: Option<&str>) -> Value {
        let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().proxy(None).build());
        let request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        let request = request.header("content-type", "application/json").body(body.unwrap_or_default().to_owned());
        let answer = agent.run(request.expect("a request"));
        let mut answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.process.said()));
        let text = answer.body_mut().with_config().limit(1 << 30).read_to_string().expect("an answer");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{method} {path}: {error}: {text}"))
    }

    /// Loads a template that barewire prints.
    fn template(&self, which: &str) {
        let printed = Command::new(env!("CARGO_BIN_EXE_barewire")).args(["schema", which]).output().expect("barewire");
        let template = String::from_utf8(printed.stdout).expect("ASCII");
        let said = self.ask("PUT", "/_index_template/barewire", Some(&template));
        assert_eq!(said["acknowledged"], true, "{said}");
    }

    /// What an index has by its identities, once it has so much or after a while: a store may answer before it has written.
    fn documents(&self, index: &str, count: usize) -> BTreeMap<String, Value> {
        let asked = Instant::now();
        loop {
            self.ask("POST", &format!("/{index}/_refresh"), None);
            let query = json!({ "size": 10_000, "query": { "match_all": {} } }).to_string();
            let found = self.ask("POST", &format!("/{index}/_search"), Some(&query));
            let hits = found["hits"]["hits"].as_array().cloned().unwrap_or_default();
            if hits.len() >= count || asked.elapsed() > PATIENCE {
                let pair = |hit: Value| (hit["_id"].as_str().expect("an identity").to_owned(), hit["_source"].clone());
                return hits.into_iter().map(pair).collect();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

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
        // Of two records with one identity the first stays.
        wanted.entry(index.replace("{kind}", kind)).or_default().entry(written.document_id()).or_insert(source);
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
