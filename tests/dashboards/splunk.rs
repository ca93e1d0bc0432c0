//! Splunk's view: by Splunk's own schema and validator, and its searches as far as they can be judged without Splunk: each
//! command is one of those that are understood here, and each field is there at the stage that reads it.

use super::{all, fields, grafana, judges, panels, text, word};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What stands in the view as JSON.
fn definition() -> Value {
    let view = text("splunk/barewire_records.xml");
    let inner = view.split_once("<![CDATA[").and_then(|(_, rest)| rest.split_once("]]>")).expect("a definition").0;
    serde_json::from_str(inner).expect("JSON")
}

/// Visualisations that ask something.
fn shown(definition: &Value) -> Vec<&Value> {
    let shown = definition["visualizations"].as_object().expect("visualisations").values();
    shown.filter(|panel| panel["type"] != "splunk.markdown").collect()
}

fn query<'a>(definition: &'a Value, panel: &Value) -> &'a str {
    word(&definition["dataSources"][word(&panel["dataSources"]["primary"])]["options"]["query"])
}

/// Where a definition is spoiled and by what; nothing: it is taken out.
const SPOILED: [(&str, Option<&str>); 9] = [
    ("/visualizations/viz_accounts/options/majorcolor", Some("#fff")),
    ("/visualizations/viz_severities/options/stackMode", Some("stackd")),
    ("/visualizations/viz_accounts/type", Some("splunk.single")),
    ("/visualizations/viz_accounts/titel", Some("Accounts")),
    ("/layout/structure/3/item", Some("nowhere")),
    ("/layout/type", None),
    ("/layout/globalInputs", None),
    ("/dataSources/ds_accounts/type", Some("ds.find")),
    ("/inputs/input_time/options/token", Some("index")),
];

#[test]
fn splunks_own_validator_takes_its_view() {
    if judges::modules().is_none() {
        return;
    }
    let good = definition();
    let spoiled = SPOILED.iter().map(|(place, value)| {
        let mut definition = good.clone();
        let (parent, name) = place.rsplit_once('/').expect("a place");
        let parent = definition.pointer_mut(parent).and_then(Value::as_object_mut).expect(place);
        match value {
            Some(value) => parent.insert(name.to_owned(), json!(value)),
            None => parent.remove(name),
        };
        definition
    });
    let asked: Vec<Value> = [good.clone()].into_iter().chain(spoiled).collect();
    let faults = judges::ask("splunk.cjs", &json!(asked));
    assert_eq!(faults[0], json!([]));
    for (number, (place, value)) in SPOILED.iter().enumerate() {
        let faults = faults[number + 1].as_array().expect("faults");
        assert!(!faults.is_empty(), "{place} may be {value:?}");
    }
}

/// A search cut at this character, but not within quotes.
fn cut(text: &str, at: char) -> Vec<String> {
    let (mut parts, mut quote) = (vec![String::new()], None);
    for letter in text.chars() {
        match quote {
            Some(open) if open == letter => quote = None,
            None if letter == '"' || letter == '\'' => quote = Some(letter),
            None if letter == at => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().expect("one at least").push(letter);
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

fn is_name(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '.')
}

/// Fields that conditions side by side name: `field=value` and `field IN ("value", ...)`.
fn conditions(text: &str) -> Result<Vec<String>, String> {
    let (mut rest, mut named) = (text.trim(), Vec::new());
    while !rest.is_empty() {
        let end = rest.find(['=', ' ']).ok_or_else(|| format!("no condition: {rest}"))?;
        let (name, value) = rest.split_at(end);
        if !is_name(name) {
            return Err(format!("no field: {name}"));
        }
        named.push(name.to_owned());
        let length = if let Some(list) = value.strip_prefix(" IN (") {
            let end = list.find(')').ok_or("an open list")?;
            let is_text = |item: &str| item.len() > 2 && item.starts_with('"') && item.ends_with('"');
            if !list[..end].split(", ").all(is_text) {
                return Err(format!("no list: {list}"));
            }
            " IN (".len() + end + 1
        } else if let Some(quoted) = value.strip_prefix("=\"") {
            2 + quoted.find('"').ok_or("open quotes")? + 1
        } else if let Some(token) = value.strip_prefix("=$row.") {
            // The filter puts quotes around what a row holds.
            let end = token.find(".value|s$").ok_or_else(|| format!("unquoted: {token}"))?;
            "=$row.".len() + end + ".value|s$".len()
        } else {
            return Err(format!("no value: {value}"));
        };
        rest = value[length..].trim_start();
    }
    Ok(named)
}

/// The name of an aggregate's result; its field must be there.
fn aggregate(text: &str, there: &BTreeSet<String>) -> Result<String, String> {
    let (call, name) = text.split_once(" AS ").unwrap_or((text, text));
    let field = match call.split_once('(') {
        None if call == "count" => None,
        Some((function, field)) if ["dc", "max", "avg"].contains(&function) => field.strip_suffix(')'),
        _ => return Err(format!("no aggregate: {call}")),
    };
    match field {
        Some(field) if !there.contains(field) => Err(format!("{field} is not there")),
        None if call != "count" => Err(format!("no aggregate: {call}")),
        _ => Ok(name.to_owned()),
    }
}

/// What a search ends with: the columns of its table, or none where it makes a chart.
fn columns(search: &str, known: &BTreeSet<String>) -> Result<BTreeSet<String>, String> {
    let stages = cut(search, '|');
    let mut there = known.clone();
    let asked = conditions(&stages[0])?;
    let is_there = |there: &BTreeSet<String>, name: &str| {
        if there.contains(name) { Ok(()) } else { Err(format!("{name} is not there")) }
    };
    asked.iter().try_for_each(|name| is_there(&there, name))?;
    for stage in &stages[1..] {
        let (command, rest) = stage.split_once(' ').ok_or_else(|| format!("no command: {stage}"))?;
        match command {
            "stats" => {
                let (made, by) = rest.split_once(" BY ").unwrap_or((rest, ""));
                let by: Vec<&str> = by.split(", ").filter(|name| !name.is_empty()).collect();
                by.iter().try_for_each(|name| is_there(&there, name))?;
                let made = made.split(", ").map(|call| aggregate(call, &there)).collect::<Result<Vec<_>, _>>()?;
                there = by.into_iter().map(str::to_owned).chain(made).collect();
            }
            "sort" => {
                let (count, by) = rest.split_once(" -").ok_or("sort takes a number and a field")?;
                count.parse::<u32>().map_err(|_| format!("no number: {count}"))?;
                is_there(&there, by)?;
            }
            "eval" => {
                let (name, value) = rest.split_once('=').ok_or("eval takes a name and a value")?;
                if value.matches('(').count() != value.matches(')').count() || !value.ends_with(')') {
                    return Err(format!("parentheses: {value}"));
                }
                let (function, arguments) = value.split_once('(').ok_or("a call")?;
                if !["strftime", "strptime", "if"].contains(&function) {
                    return Err(format!("no function: {function}"));
                }
                let first = cut(arguments, ',').swap_remove(0);
                let read = first.split("==").next().unwrap_or_default().trim_matches('\'');
                is_there(&there, read)?;
                there.insert(name.to_owned());
            }
            "rename" => {
                for pair in rest.split(", ") {
                    let (old, new) = pair.split_once(" AS ").ok_or_else(|| format!("no pair: {pair}"))?;
                    if !there.remove(old) || !there.insert(new.to_owned()) {
                        return Err(format!("{pair} cannot be"));
                    }
                }
            }
            "head" => _ = rest.parse::<u32>().map_err(|_| format!("no number: {rest}"))?,
            "table" => {
                let names: Vec<&str> = rest.split(", ").collect();
                names.iter().try_for_each(|name| is_there(&there, name))?;
                there = names.into_iter().map(str::to_owned).collect();
            }
            "timechart" => {
                let (made, by) = rest.split_once(" BY ").ok_or("timechart without BY")?;
                let (limit, call) = made.split_once(' ').ok_or("timechart without a limit")?;
                limit.strip_prefix("limit=").and_then(|limit| limit.parse::<u32>().ok()).ok_or("no limit")?;
                aggregate(call, &there)?;
                is_there(&there, by)?;
                there.clear();
            }
            _ => return Err(format!("no command: {command}")),
        }
    }
    Ok(there)
}

/// Fields of records, and those that Splunk has of each event.
fn known() -> BTreeSet<String> {
    let own = ["index", "sourcetype", "host", "_time"].map(str::to_owned);
    fields().into_keys().filter(|name| !name.starts_with("data_stream")).chain(own).collect()
}

#[test]
fn each_search_reads_only_fields_that_are_there() {
    let (definition, known) = (definition(), known());
    let mut seen = 0;
    for panel in shown(&definition) {
        let (title, search) = (word(&panel["title"]), query(&definition, panel));
        let columns = columns(search, &known).unwrap_or_else(|why| panic!("{title}: {why}: {search}"));
        // A drilldown asks for the records behind it, by columns that the row has.
        let behind = &panel["eventHandlers"][0];
        assert_eq!(behind["type"], "drilldown.linkToSearch", "{title}");
        let behind = word(&behind["options"]["query"]);
        assert!(behind.starts_with(&cut(search, '|')[0]), "{title}: {behind}");
        let named = conditions(behind).unwrap_or_else(|why| panic!("{title}: {why}"));
        named.iter().for_each(|name| assert!(known.contains(name), "{title}: {name}"));
        let rows = behind.split("$row.").skip(1).map(|rest| rest.split(".value").next().unwrap_or_default());
        let rows: Vec<&str> = rows.collect();
        rows.iter().for_each(|column| assert!(columns.contains(*column), "{title}: no column {column}: {search}"));
        assert_eq!(rows.is_empty(), panel["type"] != "splunk.table", "{title}");
        seen += 1;
    }
    assert!(seen > 20, "{seen}");
    // What is wrong is noticed.
    for broken in [
        r#"index="x" sourcetype="barewire:finding" | stats dc(event.idd) AS n"#,
        r#"index="x" event.actoin="y" | stats count AS n"#,
        r#"index="x" | stats count AS n BY user.name | sort 50 -m"#,
        r#"index="x" | stats count AS n | eval n=strftime(last_seen, "%F")"#,
        r#"index="x" | stat count"#,
        r#"index="x" user.name=alice"#,
        r#"index="x" user.name=$row.account.value$"#,
        r#"index="x" | timechart limit=50 count BY severity"#,
        r#"index="x" | table user.name | rename server.ip AS server"#,
    ] {
        assert!(columns(broken, &known).is_err(), "{broken}");
    }
}

#[test]
fn the_view_asks_for_the_records_that_other_dashboards_ask_for() {
    let (definition, dashboard) = (definition(), grafana("investigate"));
    let asked =
        panels(&dashboard).into_iter().map(|panel| (word(&panel["title"]), word(&panel["targets"][0]["query"])));
    let mut asked: BTreeMap<&str, &str> = asked.collect();
    let mut own = Vec::new();
    for panel in shown(&definition) {
        let title = word(&panel["title"]);
        let Some(query) = asked.remove(title) else {
            own.push(title);
            continue;
        };
        let mut wanted = query.replace(':', "=").replace(" AND ", " ").replace(" OR ", ", ");
        wanted = wanted.replace("event.dataset=\"barewire.", "sourcetype=\"barewire:");
        wanted = wanted.replace("event.module=\"barewire\"", "sourcetype=\"barewire:*\"").replace("=(", " IN (");
        assert_eq!(cut(self::query(&definition, panel), '|')[0], format!("index=\"$index$\" {wanted}"), "{title}");
    }
    assert!(asked.is_empty(), "{asked:?}");
    assert_eq!(own, ["Mail connections without TLS, percent"]);
}

#[test]
fn whatever_the_view_names_is_in_it() {
    let definition = definition();
    let sources = definition["dataSources"].as_object().expect("sources");
    let used: BTreeSet<&str> = shown(&definition).iter().map(|panel| word(&panel["dataSources"]["primary"])).collect();
    assert!(used.into_iter().eq(sources.keys().map(String::as_str)), "each source is used and is there");
    let mut tokens = Vec::new();
    all(&definition["inputs"], "token", &mut tokens);
    let tokens: BTreeSet<&str> = tokens.into_iter().map(word).collect();
    let mut texts = Vec::new();
    ["query", "earliest", "latest"].iter().for_each(|key| all(&definition, key, &mut texts));
    assert!(texts.len() > 60);
    for text in texts.into_iter().map(word) {
        let parts: Vec<&str> = text.split('$').collect();
        assert_eq!(parts.len() % 2, 1, "{text}");
        for token in parts.iter().skip(1).step_by(2) {
            let head = token.split('.').next().unwrap_or_default();
            assert!(head == "row" || tokens.contains(head), "{text}: {token}");
        }
    }
    let mut taken = BTreeSet::new();
    for item in definition["layout"]["structure"].as_array().expect("a structure") {
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| item["position"][key].as_u64().expect("a number"));
        let layout = &definition["layout"]["options"];
        assert!(w > 0 && h > 0 && x + w <= layout["width"].as_u64().expect("its width"), "{item}");
        assert!(y + h <= layout["height"].as_u64().expect("its height"), "{item}");
        for (column, line) in (x..x + w).step_by(20).flat_map(|x| (y..y + h).step_by(20).map(move |y| (x / 20, y / 20)))
        {
            assert!(taken.insert((column, line)), "{item}");
        }
    }
}
