//! What follows from the schema of the records: which fields there are, index templates of search engines, a page for
//! people. Nothing here names a field but where an engine wants it otherwise than the schema's types say.

use super::{SCHEMA, cef};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A field of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its type in an index, by the names of ECS: `date`, `ip`, `keyword`, `long`, `float`, `boolean`, `match_only_text`.
    pub kind: &'static str,
    /// It holds several values.
    pub is_list: bool,
    /// The kinds of records that have it, each with what it means there.
    pub meanings: Vec<(&'static str, String)>,
    /// All values it can have, where these are few.
    pub values: Vec<String>,
}

const KINDS: [&str; 3] = ["finding", "login", "session"];

/// All fields of records by their dotted names.
#[must_use]
pub fn fields() -> BTreeMap<String, Field> {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap_or_default();
    let mut fields = BTreeMap::new();
    for kind in KINDS {
        walk(&schema["$defs"][kind], &schema, "", kind, &mut fields);
    }
    fields
}

fn walk(part: &Value, schema: &Value, name: &str, record: &'static str, fields: &mut BTreeMap<String, Field>) {
    let place = part["$ref"].as_str().and_then(|place| place.strip_prefix('#'));
    let part = place.and_then(|place| schema.pointer(place)).unwrap_or(part);
    if let Some(properties) = part["properties"].as_object() {
        for (own, part) in properties {
            let name = if name.is_empty() { own.clone() } else { format!("{name}.{own}") };
            walk(part, schema, &name, record, fields);
        }
        return;
    }
    let is_list = part["type"] == "array";
    let item = if is_list { &part["items"] } else { part };
    let none = || Field { kind: kind(name, item), is_list, meanings: Vec::new(), values: Vec::new() };
    let field = fields.entry(name.to_owned()).or_insert_with(none);
    field.meanings.push((record, part["description"].as_str().unwrap_or_default().to_owned()));
    for value in item["enum"].as_array().into_iter().flatten().chain(item.get("const")) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if !field.values.contains(&value) {
            field.values.push(value);
        }
    }
}

/// The index type of a field.
fn kind(name: &str, part: &Value) -> &'static str {
    let example = part.get("const").or_else(|| part["enum"].get(0));
    match part["type"].as_str() {
        // The one field for people; ECS has it so, too.
        _ if name == "message" => "match_only_text",
        Some("integer") => "long",
        Some("number") => "float",
        Some("boolean") => "boolean",
        Some(_) if part["format"] == "date-time" => "date",
        Some(_) if part["anyOf"][0]["format"] == "ipv4" => "ip",
        Some(_) => "keyword",
        None => match example {
            Some(Value::Bool(_)) => "boolean",
            Some(Value::Number(_)) => "long",
            _ => "keyword",
        },
    }
}

/// Who takes records into an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Elasticsearch 8, into the data streams `logs-barewire.*-*`.
    Elasticsearch,
    /// OpenSearch 2, into indices `barewire-*`.
    OpenSearch,
}

/// Characters of a keyword that are indexed: Lucene refuses terms above 32,766 octets, and ECS has this bound.
const IGNORE_ABOVE: u32 = 1024;

/// What the engine knows its policy by: the template of Elasticsearch names it.
pub const POLICY: &str = "barewire";

/// How long an index is kept: a year and a month, so that a month can be compared with the same one of last year.
const KEPT: &str = "400d";

/// A policy of life cycles as the engine takes it: Elasticsearch at `_ilm/policy/barewire`, OpenSearch at
/// `_plugins/_ism/policies/barewire`.
///
/// OpenSearch can roll over only what is written through an alias, so indices of months are thrown away there instead: an
/// index without a month in its name, which holds new records too, must not be matched.
#[must_use]
pub fn lifecycle(engine: Engine) -> String {
    let policy = match engine {
        Engine::Elasticsearch => json!({
            "policy": {
                "_meta": { "description": "Records of barewire", "managed_by": "barewire schema" },
                "phases": {
                    "hot": { "min_age": "0ms", "actions": { "rollover": { "max_age": "30d", "max_primary_shard_size": "50gb" } } },
                    "delete": { "min_age": KEPT, "actions": { "delete": {} } },
                },
            },
        }),
        Engine::OpenSearch => json!({
            "policy": {
                "description": "Records of barewire, by months",
                "default_state": "kept",
                "states": [
                    { "name": "kept", "actions": [], "transitions": [
                        { "state_name": "old", "conditions": { "min_index_age": KEPT } },
                    ] },
                    { "name": "old", "actions": [{ "delete": {} }], "transitions": [] },
                ],
                "ism_template": [{ "index_patterns": KINDS.map(|kind| format!("barewire-{kind}-*")), "priority": 100 }],
            },
        }),
    };
    format!("{policy:#}\n")
}

/// An index template as the engine takes it at `_index_template/barewire`.
///
/// A field that is not known, of a sensor newer than the template, is kept with its record and not indexed: refusing
/// the record would lose it.
#[must_use]
pub fn template(engine: Engine) -> String {
    let mut properties = Map::new();
    for (name, field) in fields() {
        let mut level = &mut properties;
        let mut parts = name.split('.').peekable();
        while let Some(part) = parts.next() {
            let entry = level.entry(part).or_insert_with(|| json!({}));
            if parts.peek().is_none() {
                *entry = mapping(&field, engine);
                break;
            }
            let Some(object) = entry.as_object_mut() else { break };
            let Some(next) = object.entry("properties").or_insert_with(|| json!({})).as_object_mut() else { break };
            level = next;
        }
    }
    let mut mappings = json!({ "dynamic": false, "date_detection": false, "properties": properties });
    let meta = json!({ "description": "Records of barewire, schema 1", "managed_by": "barewire schema" });
    let template = match engine {
        Engine::Elasticsearch => {
            for (name, value) in [("type", json!("logs")), ("dataset", Value::Null), ("namespace", Value::Null)] {
                let mut mapping = json!({ "type": "constant_keyword" });
                if !value.is_null() {
                    mapping["value"] = value;
                }
                mappings["properties"]["data_stream"]["properties"][name] = mapping;
            }
            json!({
                "index_patterns": ["logs-barewire.*-*"],
                // Above the built-in template of logs-*-*, which has 100.
                "priority": 200,
                "data_stream": {},
                "template": {
                    "settings": { "index": { "codec": "best_compression", "lifecycle": { "name": POLICY } } },
                    "mappings": mappings,
                },
                "_meta": meta,
            })
        }
        Engine::OpenSearch => json!({
            "index_patterns": ["barewire-*"],
            "priority": 200,
            "template": {
                "settings": { "index": { "codec": "best_compression", "number_of_shards": 1 } },
                "mappings": mappings,
            },
            "_meta": meta,
        }),
    };
    format!("{template:#}\n")
}

fn mapping(field: &Field, engine: Engine) -> Value {
    match (field.kind, engine) {
        ("keyword", _) => json!({ "type": "keyword", "ignore_above": IGNORE_ABOVE }),
        // Known to OpenSearch since 2.12 only.
        ("match_only_text", Engine::OpenSearch) => json!({ "type": "text" }),
        (kind, _) => json!({ "type": kind }),
    }
}

/// What is said of OCSF on the page of fields.
const OCSF: &str = "
## In OCSF

`--format ocsf`: version 1.8. What has no place there stands in `unmapped` by the names above; what is too long goes in the
same order as in records, which `metadata.is_truncated` says.

| record | class | |
| --- | --- | --- |
| `barewire.finding` | Detection Finding, 2004 | 200401 where it occurred once, 200402 with a higher count; `finding_info.uid` is `event.id`, `metadata.uid` is of this count |
| `barewire.login` | Authentication, 3002 | 300201; `is_cleartext` where the secret itself passed in clear, which a challenge and its response are not; a user who is not known has an empty name |
| `barewire.session` | Network Activity, 4001 | 400106, a report of traffic |

`metadata.correlation_uid` is the Community ID; times are milliseconds, and `metadata.original_time` is exact.
";

/// The page of fields, in Markdown: `docs/fields.md` is this, to the octet.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# Fields of records\n\n\
         Made from [schema/barewire.v1.json](../schema/barewire.v1.json) by `barewire schema fields`. Names and types are \
         those of ECS 8.17; all that ECS has no field for stands under `barewire`. F, L and S say whether findings, logins \
         and sessions have the field; `[]` marks lists. Fields may be added; none ever changes its type or meaning.\n\n\
         | field | type | in | meaning |\n| --- | --- | --- | --- |\n",
    );
    for (name, field) in fields() {
        let list = if field.is_list { "[]" } else { "" };
        let letters: String =
            KINDS.iter().zip(["F", "L", "S"]).filter(|(kind, _)| field.is_in(kind)).map(|(_, letter)| letter).collect();
        // Nothing fails that is written to a text.
        let _ = writeln!(page, "| `{name}` | {}{list} | {letters} | {} |", field.kind, field.told());
    }
    page.push_str(
        "\n## In CEF\n\n`--format cef`: the weightiest key first; where an event is too long the last are left out first, which \
         `truncated` says. Whatever is not printable ASCII stands as `\\u{..}`.\n\n\
         | key | field | label |\n| --- | --- | --- |\n",
    );
    for (key, place, label) in cef::KEYS {
        let name = place[1..].replace('/', ".");
        let label = label.map(|label| format!("`{label}`")).unwrap_or_default();
        let _ = writeln!(page, "| `{key}` | `{name}` | {label} |");
    }
    page.push_str(OCSF);
    page
}

impl Field {
    fn is_in(&self, kind: &str) -> bool {
        self.meanings.iter().any(|(record, _)| *record == kind)
    }

    /// What it means, once if that is the same in all records, and its values.
    fn told(&self) -> String {
        let mut meanings: Vec<(Vec<&str>, &str)> = Vec::new();
        for (record, meaning) in &self.meanings {
            match meanings.iter_mut().find(|(_, known)| known == meaning) {
                Some((records, _)) => records.push(record),
                None => meanings.push((vec![record], meaning)),
            }
        }
        let mut told = match &meanings[..] {
            [(_, meaning)] => (*meaning).to_owned(),
            several => {
                let one = |(records, meaning): &(Vec<&str>, &str)| format!("{}: {meaning}", records.join(", "));
                several.iter().map(one).collect::<Vec<_>>().join(" ")
            }
        };
        if !self.values.is_empty() {
            let values: Vec<String> = self.values.iter().map(|value| format!("`{value}`")).collect();
            let _ = write!(told, " One of: {}.", values.join(", "));
        }
        told.replace('|', "\\|")
    }
}
