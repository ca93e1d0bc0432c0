//! Dashboards by Grafana's own components in Chromium: the overview from a Prometheus that reads a real sensor, those of records
//! from a store that holds real ones. Too heavy for every run:
//!
//! ```text
//! npm install --no-package-lock --ignore-scripts --prefix tests/dashboards/rendered
//! BAREWIRE_REQUIRE_ALL=1 BAREWIRE_RENDERED=FOLDER cargo test --test dashboards -- --nocapture rendered
//! ```
//!
//! The pictures lie in the folder then.

use super::prometheus::{Bed, Prometheus};
use super::store::{load, plain, request, values};
use super::{grafana, left_out, panels, root, word};
use crate::net::{missing, skipped};
use crate::records;
use crate::stores::{Engine, Store};
use barewire::output::{Form, Written};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What is asked for: the folder of the pictures.
fn folder() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("BAREWIRE_RENDERED").map(PathBuf::from) else {
        // Nothing requires it: it is asked for by name.
        left_out("BAREWIRE_RENDERED", "not rendered: BAREWIRE_RENDERED names no folder for the pictures");
        return None;
    };
    let how = "npm install --no-package-lock --ignore-scripts --prefix tests/dashboards/rendered";
    assert!(root("tests/dashboards/rendered/node_modules").is_dir(), "Grafana's components are missing: {how}");
    std::fs::create_dir_all(&folder).expect("the folder of the pictures");
    Some(std::path::absolute(folder).expect("its path"))
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    u64::try_from(now.as_millis()).expect("a time before the end of time")
}

/// Shows a dashboard, and holds what is seen against what must be there. `empty`: panels that have nothing to show.
fn render(command: &mut Command, name: &str, picture: &Path, empty: &[&str], more: Value) -> Value {
    let mut wanted = json!({ "dashboard": root(&format!("dashboards/grafana/{name}.json")), "picture": picture });
    wanted.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let output = command.arg(wanted.to_string()).output().expect("node");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    assert_eq!(shown["faults"], json!([]), "{said}");
    let dashboard = grafana(name);
    for panel in panels(&dashboard) {
        let title = word(&panel["title"]);
        let text = word(&shown["panels"][title]);
        assert!(!text.contains("[TITLE CUT]") && !text.is_empty(), "{title}: {text}");
        assert_eq!(text.contains("No data"), empty.contains(&title), "{title}: {text}");
    }
    shown["panels"].clone()
}

#[test]
fn rendered_overview() {
    let Some(folder) = folder() else { return };
    if skipped(&["ip", "python3", "prometheus", "node"]) {
        panic!("{:?}", missing(&["ip", "python3", "prometheus", "node"]));
    }
    let Bed { ref scratch, ref net, .. } = Bed::new("render");
    let prometheus = Prometheus::start(net, scratch, &root("dashboards/prometheus/barewire.rules.yml"), "");
    prometheus.wait_for("sum(count_over_time(barewire_build_info[1m]))", 3.0);
    let from = now();
    for round in 0..12 {
        net.send_at(&root("testdata/office.pcap"), 200 + 100 * (round % 4));
        thread::sleep(Duration::from_secs(3));
    }
    prometheus.wait_for("sum(barewire_sink_delivery_seconds_count)", 1.0);
    let mut node = net.program("node");
    node.arg(root("tests/dashboards/rendered/render.mjs"));
    let more = json!({ "from": from, "to": now(), "prometheus": "http://127.0.0.1:9090" });
    let shown = render(&mut node, "overview", &folder.join("overview.png"), &[], more);
    assert_eq!(shown["Sensors"], "1");
    assert_eq!(shown["Packets dropped"], "0%");
    assert_eq!(shown["Records lost or refused, 24 h"], "0");
    let shown = serde_json::to_string_pretty(&shown).expect("JSON");
    std::fs::write(folder.join("overview.txt"), shown).expect("what is shown");
}

/// When the records of the picture are, in hours since 2026-11-23 at 0: what passed within seconds is spread over a week.
fn spread(records: &mut [Value]) {
    for (number, record) in records.iter_mut().enumerate() {
        let hour = number * 7 * 24 / 71 % (7 * 24);
        let time = json!(format!("2026-11-{}T{:02}:30:00.000000Z", 23 + hour / 24, hour % 24));
        if record["barewire"].get("first_seen").is_some() {
            record["barewire"]["first_seen"] = time.clone();
        }
        record["@timestamp"] = time;
    }
}

/// Midnight before 2026-11-23 and after 2026-11-29, in milliseconds.
const WEEK: [u64; 2] = [1_795_392_000_000, 1_795_996_800_000];

/// A row of an answer: the keys of its buckets, and its numbers.
type Row = (Vec<String>, Vec<Value>);

fn rows(level: &Value, target: &Value, key: &[String], found: &mut Vec<Row>) {
    let buckets = target["bucketAggs"].as_array().expect("buckets");
    if key.len() == buckets.len() {
        let metrics = target["metrics"].as_array().expect("metrics").iter();
        let number = |metric: &Value| {
            if metric["type"] == "count" {
                level["doc_count"].clone()
            } else {
                level[plain(&metric["id"])]["value"].clone()
            }
        };
        return found.push((key.to_vec(), metrics.map(number).collect()));
    }
    for bucket in level["buckets"]["buckets"].as_array().unwrap_or_else(|| panic!("no buckets: {level}")) {
        let is_term = buckets[key.len()]["type"] == "terms";
        let own = bucket.get("key_as_string").filter(|_| is_term).unwrap_or(&bucket["key"]);
        rows(bucket, target, &[key, &[plain(own)]].concat(), found);
    }
}

fn field(name: &str, kind: &str, values: Vec<Value>) -> Value {
    json!({ "name": name, "type": kind, "values": values, "config": {} })
}

/// Series by the values of all buckets but the time.
fn series(found: &[Row]) -> Vec<Value> {
    let mut lines: BTreeMap<&[String], Vec<(f64, &Value)>> = BTreeMap::new();
    for (key, numbers) in found {
        let (time, by) = key.split_last().expect("a time");
        lines.entry(by).or_default().push((time.parse().expect("a time"), &numbers[0]));
    }
    let frame = |(by, points): (&[String], Vec<(f64, &Value)>)| {
        let (times, numbers) = points.into_iter().map(|(time, number)| (json!(time), number.clone())).unzip();
        let mut value = field("Value", "number", numbers);
        value["config"]["displayNameFromDS"] = json!(by.join(" "));
        json!({ "fields": [field("Time", "time", times), value] })
    };
    lines.into_iter().map(frame).collect()
}

/// What Grafana's data source for Elasticsearch makes of an answer.
fn of_elasticsearch(answer: &Value, target: &Value) -> Vec<Value> {
    let buckets = target["bucketAggs"].as_array().expect("buckets");
    if buckets.is_empty() {
        let hits = answer["hits"]["hits"].as_array().expect("hits");
        let all: Vec<&Value> = hits.iter().map(|hit| &hit["_source"]).collect();
        let mut names: Vec<String> = super::fields().into_keys().collect();
        names.sort_unstable();
        let column = |name: &String| {
            let of_all =
                all.iter().map(|record| values(record, name).first().map_or(Value::Null, |value| json!(value)));
            let kind = if name == "@timestamp" { "time" } else { "string" };
            field(name, kind, of_all.collect())
        };
        return vec![json!({ "fields": names.iter().map(column).collect::<Vec<_>>() })];
    }
    let mut found = Vec::new();
    rows(&answer["aggregations"], target, &[], &mut found);
    if buckets.last().is_some_and(|bucket| bucket["type"] == "date_histogram") {
        return series(&found);
    }
    found.sort_by(|one, other| other.1[0].as_f64().partial_cmp(&one.1[0].as_f64()).expect("numbers"));
    let names = buckets.iter().enumerate().map(|(number, bucket)| {
        field(word(&bucket["field"]), "string", found.iter().map(|row| json!(row.0[number])).collect())
    });
    let metrics = target["metrics"].as_array().expect("metrics").iter().enumerate().map(|(number, metric)| {
        let name = match word(&metric["type"]) {
            "cardinality" => "Unique Count",
            "max" => "Max",
            _ => "Count",
        };
        field(name, "number", found.iter().map(|row| row.1[number].clone()).collect())
    });
    vec![json!({ "fields": names.chain(metrics).collect::<Vec<_>>() })]
}

/// What Grafana's data source for Loki makes of the same numbers: a series for each row, its keys as labels.
fn of_loki(answer: &Value, target: &Value) -> Vec<Value> {
    let buckets = target["bucketAggs"].as_array().expect("buckets");
    let mut found = Vec::new();
    if !buckets.is_empty() {
        rows(&answer["aggregations"], target, &[], &mut found);
    }
    if buckets.last().is_some_and(|bucket| bucket["type"] == "date_histogram") {
        return series(&found);
    }
    let frame = |(key, numbers): &Row| {
        let labels = buckets.iter().zip(key).filter(|(bucket, _)| bucket["field"] != "event.module" || key.len() > 1);
        let labels: Map<String, Value> =
            labels.map(|(bucket, key)| (word(&bucket["field"]).replace(['.', '@'], "_"), json!(key))).collect();
        let mut value = field("Value", "number", vec![numbers[0].clone()]);
        value["labels"] = Value::Object(labels);
        json!({ "fields": [field("Time", "time", vec![json!(WEEK[1])]), value] })
    };
    found.iter().map(frame).collect()
}

#[test]
fn rendered_records() {
    let Some(folder) = folder() else { return };
    let store = Store::start(Engine::Osmem, "rendered").expect("a store");
    store.template("template-opensearch");
    let text = records::of_capture(&root("testdata/office.pcap"), &[Form::Ecs]).remove(0);
    let mut all: Vec<Value> =
        text.split(|octet| *octet == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    spread(&mut all);
    let documents = all.into_iter().map(|record| {
        let written = Written::parse(record.to_string().as_bytes()).expect("a record");
        (written.document_id(), record)
    });
    load(&store, &documents.collect());
    let dashboard = grafana("investigate");
    let (mut elasticsearch, mut loki) = (Map::new(), Map::new());
    let other = grafana("investigate-loki");
    for panel in panels(&dashboard) {
        let target = &panel["targets"][0];
        let asked = if target["bucketAggs"].as_array().expect("buckets").is_empty() {
            let query = json!({ "query_string": { "query": target["query"] } });
            json!({ "size": 200, "query": query, "sort": [{ "@timestamp": "desc" }] })
        } else {
            request(target, "6h")
        };
        let answer = store.ask("POST", "/barewire-*/_search", Some(&asked.to_string()));
        elasticsearch.insert(panel["id"].to_string(), json!(of_elasticsearch(&answer, target)));
        if let Some(same) = panels(&other).into_iter().find(|other| other["title"] == panel["title"]) {
            loki.insert(same["id"].to_string(), json!(of_loki(&answer, target)));
        }
    }
    for (name, frames) in [("investigate", elasticsearch), ("investigate-loki", loki)] {
        let mut node = Command::new("node");
        node.arg(root("tests/dashboards/rendered/render.mjs"));
        let more = json!({ "from": WEEK[0], "to": WEEK[1], "frames": frames });
        // The capture is whole.
        let empty = ["What was not seen or is not sure"];
        let shown = render(&mut node, name, &folder.join(format!("{name}.png")), &empty, more);
        assert_eq!(shown["Accounts exposed"], "4");
        let accounts = word(&shown["Accounts"]);
        assert!(["bob", "alice", "carol", "findings"].iter().all(|part| accounts.contains(part)), "{accounts}");
        let shown = serde_json::to_string_pretty(&shown).expect("JSON");
        std::fs::write(folder.join(format!("{name}.txt")), shown).expect("what is shown");
    }
}
