//! What is made from the schema of the records, and what the records of all real output owe to others: Elastic Common
//! Schema, search engines, syslog relays.

#[path = "../bed/records.rs"]
mod records;

use barewire::output::derived::{self, Engine, Field};
use barewire::output::{Form, LINE_OCTETS, SCHEMA};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::process::Command;

fn printed(what: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_barewire")).args(["schema", what]).output().expect("it starts");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("text")
}

/// A file that is printed, too; `UPDATE=1` writes it anew.
fn check(file: &str, what: &str) {
    let (path, printed) = (records::root(file), printed(what));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &printed).expect("written");
    }
    assert!(std::fs::read_to_string(&path).unwrap_or_default() == printed, "UPDATE=1 writes {file} anew");
}

#[test]
fn what_is_derived_is_as_the_schema_now_says() {
    check("docs/fields.md", "fields");
    check("schema/elasticsearch-template.json", "template");
    check("schema/opensearch-template.json", "template-opensearch");
    check("schema/elasticsearch-lifecycle.json", "lifecycle");
    check("schema/opensearch-lifecycle.json", "lifecycle-opensearch");
    assert_eq!(printed("json-schema"), SCHEMA);
}

/// Each leaf of a record by its dotted name.
fn leaves<'a>(value: &'a Value, name: &str, found: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(fields) => {
            for (own, field) in fields {
                leaves(field, &if name.is_empty() { own.clone() } else { format!("{name}.{own}") }, found);
            }
        }
        leaf => found.push((name.to_owned(), leaf)),
    }
}

/// Looks at each leaf of each record of all real output; gives what is told to be wrong, each once.
fn over_all_records(look: &mut dyn FnMut(&str, &Value) -> Result<(), String>) -> BTreeSet<String> {
    let lines = records::all(&[Form::Ecs]).remove(0);
    assert!(lines.lines().count() > 500);
    let mut wrong = BTreeSet::new();
    for line in lines.lines() {
        let record: Value = serde_json::from_str(line).expect("JSON");
        let mut found = Vec::new();
        leaves(&record, "", &mut found);
        for (name, value) in found {
            wrong.extend(look(&name, value).err().map(|why| format!("{name}: {why}")));
        }
    }
    wrong
}

/// Whether an index takes a value as of this type, as itself and not by turning it into another.
fn is_of(kind: &str, value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    match kind {
        "keyword" | "match_only_text" | "text" => value.is_string(),
        "constant_keyword" => value.is_string(),
        "ip" => text.parse::<IpAddr>().is_ok(),
        "date" => text.len() == 27 && text.ends_with('Z') && text.as_bytes()[10] == b'T',
        "long" => value.is_u64(),
        "float" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => false,
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

/// The fields of a template with their types.
fn mapped(mappings: &Value, name: &str, found: &mut BTreeMap<String, String>) {
    for (own, field) in mappings["properties"].as_object().into_iter().flatten() {
        let name = if name.is_empty() { own.clone() } else { format!("{name}.{own}") };
        match field["type"].as_str() {
            Some(kind) => drop(found.insert(name, kind.to_owned())),
            None => mapped(field, &name, found),
        }
    }
}

#[test]
fn every_field_of_real_output_is_in_each_template() {
    for engine in [Engine::Elasticsearch, Engine::OpenSearch] {
        let template: Value = serde_json::from_str(&derived::template(engine)).expect("JSON");
        let mut fields = BTreeMap::new();
        mapped(&template["template"]["mappings"], "", &mut fields);
        let wrong = over_all_records(&mut |name, value| {
            let kind = fields.get(name).ok_or("not in the template")?;
            let bad = items(value).iter().find(|item| !is_of(kind, item));
            bad.map_or(Ok(()), |bad| Err(format!("{bad} is no {kind}")))
        });
        assert!(wrong.is_empty(), "{engine:?}: {wrong:#?}");
        let own = fields.keys().filter(|name| !name.starts_with("data_stream."));
        assert!(own.eq(derived::fields().keys()), "{engine:?}");
    }
}

/// A policy that nothing names throws nothing away, and one that is named and not there is an error in the engine.
#[test]
fn the_policies_of_life_cycles_are_named_where_they_are_loaded() {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let page = std::fs::read_to_string(records::root("docs/delivery.md")).expect("the page");
    let template = parsed(&derived::template(Engine::Elasticsearch));
    assert_eq!(template["template"]["settings"]["index"]["lifecycle"]["name"], derived::POLICY);
    // Its own life cycle would be another one.
    assert!(template["template"].get("lifecycle").is_none() && template.get("data_stream").is_some());
    for path in ["_ilm/policy", "_plugins/_ism/policies"] {
        assert!(page.contains(&format!("/{path}/{}'", derived::POLICY)), "docs/delivery.md does not load {path}");
    }
    let phases = &parsed(&derived::lifecycle(Engine::Elasticsearch))["policy"]["phases"];
    assert!(phases["delete"]["min_age"].is_string() && phases["hot"]["actions"]["rollover"].is_object(), "{phases}");

    let policy = parsed(&derived::lifecycle(Engine::OpenSearch));
    let policy = &policy["policy"];
    let states: Vec<&Value> = policy["states"].as_array().expect("states").iter().map(|state| &state["name"]).collect();
    let mut named = vec![&policy["default_state"]];
    for state in policy["states"].as_array().expect("states") {
        named.extend(state["transitions"].as_array().expect("transitions").iter().map(|next| &next["state_name"]));
    }
    assert!(named.iter().all(|name| states.contains(name)) && named.len() == states.len(), "{named:?}");
    // Indices of months are matched, and no index of all times.
    let patterns = policy["ism_template"][0]["index_patterns"].as_array().expect("patterns").iter();
    let patterns: Vec<&str> = patterns.map(|pattern| pattern.as_str().expect("text").trim_end_matches('*')).collect();
    let is_matched = |index: &str| patterns.iter().any(|pattern| index.starts_with(pattern));
    for kind in ["finding", "login", "session"] {
        assert!(is_matched(&format!("barewire-{kind}-2026.11")) && !is_matched(&format!("barewire-{kind}")), "{kind}");
    }
}

#[test]
fn a_field_that_the_schema_gains_is_in_all_that_is_derived() {
    let page = derived::page();
    let mut schema_names = BTreeSet::new();
    let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    for kind in ["finding", "login", "session"] {
        named(&schema["$defs"][kind], &schema, "", &mut schema_names);
    }
    let fields: BTreeSet<String> = derived::fields().into_keys().collect();
    assert_eq!(fields, schema_names);
    for name in schema_names {
        assert!(page.contains(&format!("\n| `{name}` | ")), "{name}");
    }
}

/// Names of a schema's leaves, found by other means than `derived` has.
fn named(part: &Value, schema: &Value, name: &str, found: &mut BTreeSet<String>) {
    let part = part["$ref"].as_str().map_or(part, |place| schema.pointer(&place[1..]).expect("a definition"));
    match part["properties"].as_object() {
        Some(fields) => fields.iter().for_each(|(own, field)| named(field, schema, &format!("{name}.{own}"), found)),
        None => drop(found.insert(name.trim_start_matches('.').to_owned())),
    }
}

/// A field of ECS.
struct Known {
    kind: String,
    is_list: bool,
    allowed: Vec<String>,
}

/// The fields of ECS that records use.
fn ecs() -> BTreeMap<String, Known> {
    let table = include_str!("ecs-8.17-fields.tsv");
    let row = |row: &str| {
        let columns: Vec<&str> = row.split('\t').collect();
        let [name, kind, list, allowed] = columns[..] else { panic!("four columns: {row}") };
        let allowed = allowed.split(',').filter(|value| !value.is_empty()).map(str::to_owned).collect();
        (name.to_owned(), Known { kind: kind.to_owned(), is_list: list == "array", allowed })
    };
    table.lines().skip(2).map(row).collect()
}

#[test]
fn every_record_is_ecs() {
    let known = ecs();
    let mut used = BTreeSet::new();
    let wrong = over_all_records(&mut |name, value| {
        if name.starts_with("barewire.") {
            return Ok(());
        }
        used.insert(name.to_owned());
        let field = known.get(name).ok_or("no field of ECS")?;
        if field.is_list != value.is_array() {
            return Err(format!("{value} and a list are not the same"));
        }
        for item in items(value) {
            if !is_of(&field.kind, item) {
                return Err(format!("{item} is no {}", field.kind));
            }
            if !field.allowed.is_empty() && !field.allowed.iter().any(|allowed| item == allowed) {
                return Err(format!("{item} is not allowed"));
            }
        }
        Ok(())
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(used.len() > 55, "only {} fields of ECS were seen", used.len());
}

#[test]
fn the_schema_and_with_it_the_templates_have_the_types_of_ecs() {
    let known = ecs();
    let fields = derived::fields();
    let own = |(name, field): (&String, &Field)| {
        let is_ecs = |known: &Known| known.kind == field.kind && known.is_list == field.is_list;
        let is_right = name.starts_with("barewire.") || known.get(name).is_some_and(is_ecs);
        let is_allowed =
            |value: &String| known.get(name).is_none_or(|k| k.allowed.is_empty() || k.allowed.contains(value));
        (!is_right || !field.values.iter().all(is_allowed)).then(|| name.clone())
    };
    let wrong: Vec<String> = fields.iter().filter_map(own).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// The types that ECS expects of an event's categories.
#[test]
fn every_event_has_types_that_its_categories_expect() {
    let expected = |category: &str| match category {
        "authentication" => &["start", "end", "info"][..],
        "configuration" => &["access", "change", "creation", "deletion", "info"],
        "network" => &["access", "allowed", "connection", "denied", "end", "info", "protocol", "start"],
        _ => &[],
    };
    for line in records::all(&[Form::Ecs]).remove(0).lines() {
        let record: Value = serde_json::from_str(line).expect("JSON");
        let categories = items(&record["event"]["category"]).iter().filter_map(Value::as_str);
        let wanted: Vec<&str> = categories.flat_map(expected).copied().collect();
        for kind in items(&record["event"]["type"]) {
            assert!(kind.as_str().is_some_and(|kind| wanted.contains(&kind)), "{line}");
        }
    }
}

#[test]
fn every_form_of_real_output_keeps_the_rules_of_form() {
    for lines in records::all(&[Form::Ecs, Form::Ocsf, Form::Cef]) {
        assert!(!lines.is_empty() && lines.ends_with('\n'));
        for line in lines.lines() {
            // Which leaves neither a byte order mark, nor NUL, nor anything a terminal would act on.
            assert!(line.bytes().all(|octet| matches!(octet, b' '..=b'~')), "{line}");
            assert!(line.len() < LINE_OCTETS, "{line}");
        }
    }
}

#[test]
fn real_records_have_no_nulls_and_no_lists_of_objects() {
    let wrong = over_all_records(&mut |_, value| match value {
        Value::Null => Err("null".to_owned()),
        Value::Array(items) if items.is_empty() || !items.iter().all(Value::is_string) => Err("a list".to_owned()),
        _ => Ok(()),
    });
    assert!(wrong.is_empty(), "{wrong:?}");
}
