//! The rules by promtool's own tests, and every expression of panels and rules asked of a real Prometheus that reads a real
//! sensor, both in a network namespace of the test's own.

use super::{GRAFANA, grafana, left_out, panels, root, text, word};
use crate::net::{PATIENCE, QuietNet, Scratch, Watched, is_installed, search_path, skipped};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Answers of Prometheus' interface, each to a path of the list that is given.
const ASK: &str = "import json, sys, urllib.request\n\
                   opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))\n\
                   ask = lambda path: json.load(opener.open('http://127.0.0.1:9090' + path, timeout=20))\n\
                   json.dump([ask(path) for path in json.loads(sys.argv[1])], sys.stdout)";

/// A receiver that takes all, at 8088; says so once it listens.
const TAKE: &str = "import http.server, sys\n\
                    class Hook(http.server.BaseHTTPRequestHandler):\n\
                    \x20   protocol_version = 'HTTP/1.1'\n\
                    \x20   def do_POST(self):\n\
                    \x20       self.rfile.read(int(self.headers['Content-Length']))\n\
                    \x20       self.send_response(200)\n\
                    \x20       self.send_header('Content-Length', '0')\n\
                    \x20       self.end_headers()\n\
                    server = http.server.HTTPServer(('127.0.0.1', 8088), Hook)\n\
                    print('listens', file=sys.stderr, flush=True)\n\
                    server.serve_forever()";

#[test]
fn each_alert_fires_and_resolves() {
    if !is_installed("promtool") {
        return left_out("BAREWIRE_REQUIRE_ALL", "promtool is not installed (Debian: prometheus)");
    }
    let folder = root("dashboards/prometheus");
    for arguments in [["check", "rules", "barewire.rules.yml"], ["test", "rules", "barewire.test.yml"]] {
        let mut command = Command::new("promtool");
        command.args(arguments).current_dir(&folder).env("PATH", search_path()).stdin(Stdio::null());
        let output = command.output().expect("promtool");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{said}");
    }
}

/// A sensor with a receiver of its records, in a network of its own.
pub(super) struct Bed {
    _sensor: Watched,
    _hook: Watched,
    pub(super) net: QuietNet,
    pub(super) scratch: Scratch,
}

impl Bed {
    pub(super) fn new(name: &str) -> Bed {
        let (scratch, net) = (Scratch::new(name), QuietNet::new(name));
        let config = scratch.path("barewire.toml");
        let settings = format!(
            "spool = '{}'\n[watch]\ninterface = 'quiet0'\nmetrics-listen = '9469'\n[sinks.hook]\ntype = 'webhook'\nurl = 'http://127.0.0.1:8088/'\n",
            scratch.folder("spool").display()
        );
        fs::write(&config, settings).expect("the configuration");
        let mut hook = Watched::start(net.program("python3").args(["-c", TAKE]));
        hook.wait_for_line("listens");
        let mut sensor =
            Watched::start(net.program(env!("CARGO_BIN_EXE_barewire")).args(["watch", "-j", "1", "-c"]).arg(&config));
        sensor.wait_for_line("listening on");
        Bed { _sensor: sensor, _hook: hook, net, scratch }
    }
}

/// A Prometheus that reads the sensor at port 9469 every second.
pub(super) struct Prometheus<'a> {
    net: &'a QuietNet,
    process: Watched,
}

impl<'a> Prometheus<'a> {
    /// `more`: further settings.
    pub(super) fn start(net: &'a QuietNet, scratch: &Scratch, rules: &Path, more: &str) -> Prometheus<'a> {
        let config = scratch.path("prometheus.yml");
        let settings = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: ['{}']\n\
             scrape_configs:\n  - job_name: barewire\n    static_configs: [{{ targets: ['127.0.0.1:9469'] }}]\n{more}",
            rules.display()
        );
        fs::write(&config, settings).expect("the configuration");
        let mut command = net.program("prometheus");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", scratch.path("series").display()));
        command.arg("--web.listen-address=127.0.0.1:9090");
        let mut process = Watched::start(&mut command);
        process.wait_for_line("Server is ready to receive web requests");
        Prometheus { net, process }
    }

    fn ask(&self, paths: &[String]) -> Vec<Value> {
        let output =
            self.net.program("python3").args(["-c", ASK, &json!(paths).to_string()]).output().expect("python3");
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}{}", String::from_utf8_lossy(&output.stderr), self.process.said()))
    }

    /// Values of the series of each answer.
    fn values(&self, expressions: &[String]) -> Vec<Vec<f64>> {
        let path = |expression: &String| format!("/api/v1/query?query={}", escaped(expression));
        let answers = self.ask(&expressions.iter().map(path).collect::<Vec<_>>());
        let values = |answer: &Value| {
            let series = answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{answer}")).iter();
            series.map(|series| word(&series["value"][1]).parse().expect("a number")).collect()
        };
        answers.iter().map(values).collect()
    }

    /// Until an expression has at least this value.
    pub(super) fn wait_for(&self, expression: &str, least: f64) {
        let began = Instant::now();
        while !self.values(&[expression.to_owned()])[0].first().is_some_and(|value| *value >= least) {
            let values = || self.values(&[expression.to_owned()]);
            assert!(began.elapsed() < PATIENCE, "{expression} is not {least} within {PATIENCE:?} but {:?}", values());
            thread::sleep(Duration::from_millis(300));
        }
    }
}

/// As it stands in an address.
fn escaped(text: &str) -> String {
    let escape =
        |octet: u8| if octet.is_ascii_alphanumeric() { char::from(octet).to_string() } else { format!("%{octet:02X}") };
    text.bytes().map(escape).collect()
}

/// Titles of the overview's panels and what they ask, with the variables as Grafana would have them.
fn questions() -> (Vec<String>, Vec<String>) {
    let overview = grafana(GRAFANA[0]);
    let ask = |panel: &&Value| {
        let expression =
            word(&panel["targets"][0]["expr"]).replace("$instance", ".*").replace("$__rate_interval", "5m");
        assert!(!expression.contains('$'), "{expression}");
        (word(&panel["title"]).to_owned(), expression)
    };
    panels(&overview).iter().map(ask).unzip()
}

/// What these panels show before anything happened.
const EMPTY_BEFORE: [&str; 7] = [
    // A share of nothing is none.
    "Packets dropped",
    "Connections not judged",
    "Mail connections without TLS",
    // Only what there is.
    "Logins in clear, 24 h",
    "Findings by rule",
    // No record, no time that it took.
    "From packet to record",
    "From record to confirmation",
];

#[test]
fn every_question_to_prometheus_is_answered() {
    if skipped(&["ip", "python3", "prometheus"]) {
        return;
    }
    let Bed { ref scratch, ref net, .. } = Bed::new("dash");
    let prometheus = Prometheus::start(net, scratch, &root("dashboards/prometheus/barewire.rules.yml"), "");
    // A rate takes two pages.
    prometheus.wait_for("sum(count_over_time(barewire_build_info[1m]))", 3.0);
    let (titles, expressions) = questions();
    let is_empty = |values: &[f64]| values.iter().all(|value| value.is_nan());
    let before = prometheus.values(&expressions);
    let empty = titles.iter().zip(&before).filter(|(_, values)| is_empty(values)).map(|(title, _)| title.as_str());
    let mut empty: Vec<&str> = empty.collect();
    let mut wanted = EMPTY_BEFORE.to_vec();
    empty.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(empty, wanted);

    net.send_at(&root("testdata/office.pcap"), 2000);
    prometheus.wait_for("sum(barewire_logins_total)", 13.0);
    // Connections that were closed end with what comes a second later.
    prometheus.wait_for("time() - barewire_last_packet_timestamp_seconds", 2.0);
    net.send_at(&root("testdata/office.pcap"), 2000);
    prometheus.wait_for("sum(barewire_sessions_total)", 10.0);
    prometheus.wait_for("sum(barewire_sink_delivery_seconds_count)", 1.0);
    prometheus.wait_for("sum(increase(barewire_record_delay_seconds_count[5m]))", 1.0);
    prometheus.wait_for("ALERTS{alertname=\"BarewireCleartextCredential\",alertstate=\"firing\"}", 1.0);
    let after = prometheus.values(&expressions);
    let mut answers = BTreeMap::new();
    for ((title, expression), values) in titles.iter().zip(&expressions).zip(after) {
        assert!(
            !values.is_empty() && values.iter().all(|value| value.is_finite()),
            "{title}: {expression}: {values:?}"
        );
        answers.insert(title.as_str(), values);
    }
    // What the capture holds: nine passwords accepted, and most connections in clear.
    assert!(answers["Passwords and tokens accepted, 24 h"][0] >= 9.0, "{answers:?}");
    assert_eq!(answers["STARTTLS interfered with, 24 h"], [0.0]);
    assert_eq!(answers["Records lost or refused, 24 h"], [0.0]);
    assert!(answers["Mail connections without TLS"].iter().all(|share| (0.5..=1.0).contains(share)), "{answers:?}");

    // Every rule has been evaluated, and what fires is what the capture shows.
    let rules = prometheus.ask(&["/api/v1/rules".to_owned()]).remove(0);
    let groups = rules["data"]["groups"].as_array().expect("groups").iter();
    let rules: Vec<&Value> = groups.flat_map(|group| group["rules"].as_array().expect("rules")).collect();
    let listed = text("prometheus/barewire.rules.yml");
    assert_eq!(rules.len(), listed.matches("- alert:").count() + listed.matches("- record:").count());
    rules.iter().for_each(|rule| assert_eq!(rule["health"], "ok", "{rule}"));
    let firing: Vec<&str> =
        rules.iter().filter(|rule| rule["state"] == "firing").map(|rule| word(&rule["name"])).collect();
    assert_eq!(firing, ["BarewireCleartextCredential"]);
}
