//! Alerts all the way: a sensor, Prometheus with the shipped rules, Alertmanager, and a receiver that is told of each alert when it
//! fires and when it is over. All of it in a network namespace of the test's own.

use super::prometheus::Prometheus;
use super::{root, text, word};
use crate::net::{QuietNet, Scratch, Watched, skipped};
use serde_json::Value;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// How long an alert may take to arrive. Nothing depends on it but how long a failure takes.
const PATIENCE: Duration = Duration::from_secs(180);

/// A receiver at 8089 that says whatever it is sent, a line each.
const HOOK: &str = "import http.server, json, sys\n\
                    class Hook(http.server.BaseHTTPRequestHandler):\n\
                    \x20   def do_POST(self):\n\
                    \x20       told = json.loads(self.rfile.read(int(self.headers['Content-Length'])))\n\
                    \x20       print('told ' + json.dumps(told), file=sys.stderr, flush=True)\n\
                    \x20       self.send_response(200)\n\
                    \x20       self.end_headers()\n\
                    \x20   def log_message(self, *arguments):\n\
                    \x20       pass\n\
                    server = http.server.HTTPServer(('127.0.0.1', 8089), Hook)\n\
                    print('listens', file=sys.stderr, flush=True)\n\
                    server.serve_forever()";

const ALERTMANAGER: &str = "\
route: { receiver: hook, group_by: [alertname], group_wait: 1s, group_interval: 1s, repeat_interval: 1h }
receivers:
  - name: hook
    webhook_configs: [{ url: 'http://127.0.0.1:8089/' }]
";

/// What is shortened of the rules, so that what takes minutes takes seconds: of which alert, what, and by what.
const SHORTENED: [(&str, &str, &str); 2] =
    [("BarewireCleartextCredential", "[10m]", "[20s]"), ("BarewireSensorDown", "for: 2m", "for: 2s")];

fn rules() -> String {
    let mut rules = text("prometheus/barewire.rules.yml");
    for (alert, from, to) in SHORTENED {
        let start = rules.find(&format!("- alert: {alert}\n")).expect(alert);
        let end = start + rules[start..].find("annotations:").expect("annotations");
        assert_eq!(rules[start..end].matches(from).count(), 1, "{alert}: {from}");
        let shortened = rules[start..end].replace(from, to);
        rules.replace_range(start..end, &shortened);
    }
    rules
}

/// Alerts of this name that the receiver was told of in this state, from the first to the last.
fn told(hook: &Watched, alert: &str, state: &str) -> Vec<Value> {
    let said = hook.said();
    let told = said.lines().filter_map(|line| line.strip_prefix("told "));
    let told = told.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let alerts = told.flat_map(|told| told["alerts"].as_array().expect("alerts").clone());
    alerts.filter(|told| told["labels"]["alertname"] == alert && told["status"] == state).collect()
}

/// Waits until the receiver was told of so many more than it knew.
fn wait_for(hook: &Watched, alert: &str, state: &str, known: usize) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let told = told(hook, alert, state);
        if told.len() > known {
            return told;
        }
        assert!(began.elapsed() < PATIENCE, "{alert} is not told as {state}:\n{}", hook.said());
        thread::sleep(Duration::from_millis(300));
    }
}

#[test]
fn an_alert_arrives_when_it_fires_and_when_it_is_over() {
    if skipped(&["ip", "python3", "prometheus", "prometheus-alertmanager"]) {
        return;
    }
    let (scratch, net) = (Scratch::new("alerts"), QuietNet::new("alert"));
    let (own, settings) = (scratch.path("rules.yml"), scratch.path("alertmanager.yml"));
    fs::write(&own, rules()).expect("the rules");
    fs::write(&settings, ALERTMANAGER).expect("the configuration");
    let mut hook = Watched::start(net.program("python3").args(["-c", HOOK]));
    hook.wait_for_line("listens");
    let mut manager = net.program("prometheus-alertmanager");
    manager.arg(format!("--config.file={}", settings.display()));
    manager.arg(format!("--storage.path={}", scratch.path("alerts").display()));
    manager.args(["--web.listen-address=127.0.0.1:9093", "--cluster.listen-address="]);
    let mut manager = Watched::start(&mut manager);
    manager.wait_for_line("Listening on");
    let sensor = || {
        let mut command = net.program(env!("CARGO_BIN_EXE_barewire"));
        command
            .args(["watch", "-i", "quiet0", "-j", "1", "--metrics-listen", "9469", "-o"])
            .arg(scratch.path("records"));
        let mut sensor = Watched::start(&mut command);
        sensor.wait_for_line("listening on");
        sensor
    };
    let mut watching = sensor();
    let alerting = "alerting: { alertmanagers: [{ static_configs: [{ targets: ['127.0.0.1:9093'] }] }] }\n";
    let prometheus = Prometheus::start(&net, &scratch, &own, alerting);
    prometheus.wait_for("sum(count_over_time(barewire_build_info[1m]))", 3.0);

    // Passwords in clear: it fires as long as they are within the range, and is over when they are not.
    const CLEAR: &str = "BarewireCleartextCredential";
    net.send_at(&root("testdata/office.pcap"), 2000);
    let firing = wait_for(&hook, CLEAR, "firing", 0);
    let labels = &firing[0]["labels"];
    assert_eq!(labels["severity"], "warning", "{labels}");
    assert_eq!((word(&labels["job"]), word(&labels["instance"])), ("barewire", "127.0.0.1:9469"));
    assert_eq!(labels["rule"], "cleartext-password", "{labels}");
    let protocol = word(&labels["protocol"]);
    assert!(["imap", "managesieve", "pop3", "smtp"].contains(&protocol), "{labels}");
    let annotations = &firing[0]["annotations"];
    let summary = word(&annotations["summary"]);
    assert!(summary.starts_with(&format!("{protocol}: ")) && summary.ends_with("in clear were accepted"), "{summary}");
    assert!(word(&annotations["description"]).contains("(cleartext-password)"), "{annotations}");
    let over = wait_for(&hook, CLEAR, "resolved", 0);
    assert_eq!(over[0]["labels"]["rule"], "cleartext-password");

    // A sensor that is gone, and comes back.
    const DOWN: &str = "BarewireSensorDown";
    let known = told(&hook, DOWN, "firing").len();
    watching.stop("TERM");
    let firing = wait_for(&hook, DOWN, "firing", known);
    assert_eq!(firing[known]["labels"]["severity"], "critical");
    assert_eq!(firing[known]["annotations"]["summary"], "127.0.0.1:9469 does not answer");
    let known = told(&hook, DOWN, "resolved").len();
    let _watching = sensor();
    wait_for(&hook, DOWN, "resolved", known);
}
