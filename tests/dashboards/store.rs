//! The panels' questions to a store that holds real records: each is answered with what is counted here from the records.

use super::{grafana, panels, records, word};
use crate::stores::{Engine, Store};
use barewire::output::{Form, Written};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What a row of an answer says: the number, and the latest time where that is asked for.
type Rows = BTreeMap<Vec<String>, (u64, Option<String>)>;

/// A value as it stands in a bucket's key.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A field's values: none, one or those of a list.
pub(super) fn values(record: &Value, field: &str) -> Vec<String> {
    match field.split('.').try_fold(record, |value, name| value.get(name)) {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().map(plain).collect(),
        Some(value) => vec![plain(value)],
    }
}

/// Whether a record has what the query asks for: `field:"value"` or `field:("one" OR "other")`, joined by AND.
fn matches(record: &Value, query: &str) -> bool {
    query.split(" AND ").all(|condition| {
        let (field, wanted) = condition.split_once(':').expect("a field");
        let wanted: Vec<&str> =
            wanted.trim_matches(['(', ')']).split(" OR ").map(|value| value.trim_matches('"')).collect();
        values(record, field).iter().any(|value| wanted.contains(&value.as_str()))
    })
}

/// A time's day, in which the test counts instead of the interval that a screen's width gives.
fn day(time: &str) -> String {
    time.chars().take(10).collect()
}

fn counted(records: &[Value], target: &Value) -> Rows {
    let query = word(&target["query"]);
    let buckets = target["bucketAggs"].as_array().expect("buckets");
    let metrics = target["metrics"].as_array().expect("metrics");
    let is_latest_asked = metrics.iter().any(|metric| metric["type"] == "max");
    let distinct = metrics[0].get("field").map(word);
    let mut rows: BTreeMap<Vec<String>, (u64, BTreeSet<String>, String)> = BTreeMap::new();
    for record in records.iter().filter(|record| matches(record, query)) {
        let mut keys = vec![Vec::new()];
        for bucket in buckets {
            let of_field = values(record, word(&bucket["field"])).into_iter();
            let of_field: Vec<String> =
                if bucket["type"] == "terms" { of_field.collect() } else { of_field.map(|time| day(&time)).collect() };
            let longer = |key: &Vec<String>| {
                of_field.iter().map(|value| [&key[..], std::slice::from_ref(value)].concat()).collect::<Vec<_>>()
            };
            keys = keys.iter().flat_map(longer).collect();
        }
        for key in keys {
            let row = rows.entry(key).or_default();
            row.0 += 1;
            row.1.extend(distinct.iter().flat_map(|field| values(record, field)));
            row.2 = values(record, "@timestamp").into_iter().chain([row.2.clone()]).max().expect("one at least");
        }
    }
    let row = |(count, different, latest): (u64, BTreeSet<String>, String)| {
        let number = if distinct.is_some() { different.len() as u64 } else { count };
        // Stores tell times in milliseconds.
        (number, is_latest_asked.then(|| latest.chars().take(23).collect()))
    };
    rows.into_iter().map(|(key, values)| (key, row(values))).collect()
}

/// The request that Grafana makes of a target: buckets within buckets, and the metrics in the innermost. `interval`: of times.
pub(super) fn request(target: &Value, interval: &str) -> Value {
    let metrics = target["metrics"].as_array().expect("metrics").iter();
    let metrics = metrics
        .filter(|metric| metric["type"] != "count")
        .map(|metric| (plain(&metric["id"]), json!({ word(&metric["type"]): { "field": metric["field"] } })));
    let mut aggregations: Map<String, Value> = metrics.collect();
    for bucket in target["bucketAggs"].as_array().expect("buckets").iter().rev() {
        let field = &bucket["field"];
        let own = if bucket["type"] == "terms" {
            // Room for all, for the rows are compared whole.
            json!({ "terms": { "field": field, "size": 1000, "order": { "_count": "desc" } } })
        } else {
            json!({ "date_histogram": { "field": field, "fixed_interval": interval, "min_doc_count": 1 } })
        };
        let mut own = own;
        if !aggregations.is_empty() {
            own["aggs"] = Value::Object(aggregations);
        }
        aggregations = Map::from_iter([("buckets".to_owned(), own)]);
    }
    let query = json!({ "query_string": { "query": target["query"], "analyze_wildcard": true } });
    json!({ "size": 0, "query": query, "aggs": aggregations })
}

/// The rows of an answer.
fn told(level: &Value, target: &Value, depth: usize, key: &[String], rows: &mut Rows) {
    let buckets = target["bucketAggs"].as_array().expect("buckets");
    if depth < buckets.len() {
        for bucket in level["buckets"]["buckets"].as_array().unwrap_or_else(|| panic!("no buckets: {level}")) {
            let own = match bucket.get("key_as_string") {
                Some(time) if buckets[depth]["type"] == "date_histogram" => day(word(time)),
                // A boolean's key is 0 or 1.
                Some(value) => plain(value),
                None => plain(&bucket["key"]),
            };
            told(bucket, target, depth + 1, &[key, &[own]].concat(), rows);
        }
        return;
    }
    let metrics = target["metrics"].as_array().expect("metrics");
    let number = if metrics[0]["type"] == "count" { &level["doc_count"] } else { &level["1"]["value"] };
    let latest = metrics.iter().any(|metric| metric["type"] == "max").then(|| {
        let time = word(&level["2"]["value_as_string"]);
        time.chars().take(23).collect()
    });
    let number = number.as_f64().unwrap_or_else(|| panic!("no number: {level}"));
    assert_eq!(number.fract(), 0.0);
    rows.insert(key.to_vec(), (number as u64, latest));
}

/// Records of all kinds, each identity once.
fn fixture() -> BTreeMap<String, Value> {
    let text = records::all(&[Form::Ecs]).remove(0);
    let mut documents = BTreeMap::new();
    for line in text.lines() {
        let written = Written::parse(line.as_bytes()).expect("a record");
        documents.entry(written.document_id()).or_insert_with(|| serde_json::from_str(line).expect("JSON"));
    }
    documents
}

pub(super) fn load(store: &Store, documents: &BTreeMap<String, Value>) {
    let mut body = String::new();
    for (id, document) in documents {
        let kind = word(&document["event"]["dataset"]).trim_start_matches("barewire.");
        body += &format!("{}\n{document}\n", json!({ "create": { "_index": format!("barewire-{kind}"), "_id": id } }));
    }
    let said = store.ask("POST", "/_bulk?refresh=true", Some(&body));
    assert_eq!(said["errors"], false, "{said}");
}

#[test]
fn every_question_to_the_store_has_the_number_of_its_records() {
    let Some(store) = Store::start(Engine::Osmem, "dashboards") else { return };
    store.template("template-opensearch");
    let documents = fixture();
    load(&store, &documents);
    let records: Vec<Value> = documents.into_values().collect();
    let dashboard = grafana("investigate");
    let (mut asked, mut empty) = (0, Vec::new());
    for panel in panels(&dashboard) {
        let (title, target) = (word(&panel["title"]), &panel["targets"][0]);
        if target["metrics"][0]["type"] == "raw_data" {
            let query = json!({ "query_string": { "query": target["query"] } });
            let said = store.ask(
                "POST",
                "/barewire-*/_search",
                Some(&json!({ "size": 0, "track_total_hits": true, "query": query }).to_string()),
            );
            let wanted = records.iter().filter(|record| matches(record, word(&target["query"]))).count();
            assert!(wanted > 0, "{title}");
            assert_eq!(said["hits"]["total"]["value"], wanted, "{title}: {said}");
        } else {
            let wanted = counted(&records, target);
            let said = store.ask("POST", "/barewire-*/_search", Some(&request(target, "1d").to_string()));
            let mut rows = Rows::new();
            told(&said["aggregations"], target, 0, &[], &mut rows);
            assert_eq!(rows, wanted, "{title}");
            if wanted.is_empty() {
                empty.push(title);
            }
        }
        asked += 1;
    }
    assert!(asked > 15 && empty.is_empty(), "{asked} questions, no record for {empty:?}");
}
