//! Stores of other authors on loopback: which they are, how they are had, and how they are asked.
//!
//! Both are young stand-ins that Python packages bring: noida-db answers as Elasticsearch 8.15 does, osmem-server as OpenSearch
//! 3. They judge requests, identities, statuses and mappings of addresses and times. Security, life cycles and what data streams
//! are beyond an index they do not have, so nothing is proved of those.
//!
//! `python3 -m venv target/stores && target/stores/bin/pip install noida-db==0.2.3 osmem-server==0.1.6` installs them, which a
//! test does itself where `BAREWIRE_REQUIRE_RECEIVERS` is set.
// Not every test needs all of it.
#![allow(dead_code)]

use crate::net::{PATIENCE, Scratch, Watched};
use crate::records;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Once;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
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
pub(crate) struct Store {
    pub(crate) url: String,
    process: Watched,
    /// What it keeps lies there.
    _scratch: Scratch,
}

impl Store {
    pub(crate) fn start(engine: Engine, name: &str) -> Option<Store> {
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

    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&str>) -> Value {
        let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().proxy(None).build());
        let request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        let request = request.header("content-type", "application/json").body(body.unwrap_or_default().to_owned());
        let answer = agent.run(request.expect("a request"));
        let mut answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.process.said()));
        let text = answer.body_mut().with_config().limit(1 << 30).read_to_string().expect("an answer");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{method} {path}: {error}: {text}"))
    }

    /// Loads a template that barewire prints.
    pub(crate) fn template(&self, which: &str) {
        let printed = Command::new(env!("CARGO_BIN_EXE_barewire")).args(["schema", which]).output().expect("barewire");
        let template = String::from_utf8(printed.stdout).expect("ASCII");
        let said = self.ask("PUT", "/_index_template/barewire", Some(&template));
        assert_eq!(said["acknowledged"], true, "{said}");
    }

    /// What an index has by its identities, once it has so much or after a while: a store may answer before it has written.
    pub(crate) fn documents(&self, index: &str, count: usize) -> BTreeMap<String, Value> {
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
