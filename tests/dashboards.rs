//! What `dashboards/` ships: it is what its generator writes, names nothing that there is not, and each question it asks is
//! answered: by Prometheus that reads a real sensor, and by a store that holds real records. What has no server here is judged by
//! its makers' own types, grammars and validators.
//!
//! Where python3, promtool, Prometheus, Alertmanager, root, a store or packages of npm are missing the tests say so on standard
//! error and pass, unless `BAREWIRE_REQUIRE_ALL` or `BAREWIRE_REQUIRE_RECEIVERS` is set. No Grafana, Kibana, OpenSearch Dashboards
//! or Splunk is run.

#[path = "bed/net.rs"]
mod net;
#[path = "bed/records.rs"]
mod records;
#[path = "bed/stores.rs"]
mod stores;

#[cfg(all(feature = "live", target_os = "linux"))]
#[path = "dashboards/alertmanager.rs"]
mod alertmanager;
#[path = "dashboards/judges.rs"]
mod judges;
#[cfg(all(feature = "live", target_os = "linux"))]
#[path = "dashboards/prometheus.rs"]
mod prometheus;
#[cfg(all(feature = "live", target_os = "linux"))]
#[path = "dashboards/rendered.rs"]
mod rendered;
#[path = "dashboards/splunk.rs"]
mod splunk;
#[path = "dashboards/store.rs"]
mod store;
#[path = "dashboards/types.rs"]
mod types;

use barewire::ops::metrics::{Kind, METRICS};
use records::root;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

const GRAFANA: [&str; 3] = ["overview", "investigate", "investigate-loki"];
const SAVED: [&str; 2] = ["kibana", "opensearch"];

fn text(path: &str) -> String {
    fs::read_to_string(root("dashboards").join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn grafana(name: &str) -> Value {
    serde_json::from_str(&text(&format!("grafana/{name}.json"))).expect("JSON")
}

/// The panels that ask something.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let panels = dashboard["panels"].as_array().expect("panels");
    panels.iter().filter(|panel| panel["type"] != "row").collect()
}

fn saved(product: &str) -> Vec<Value> {
    let lines = text(&format!("{product}/barewire.ndjson"));
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// JSON that stands as text in JSON.
fn inner(value: &Value) -> Value {
    serde_json::from_str(value.as_str().expect("text")).expect("JSON")
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// All values of a key, however deep.
fn all<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if name == key {
                    found.push(member);
                }
                all(member, key, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| all(item, key, found)),
        _ => {}
    }
}

/// Says loudly that something was left out, or fails where that isn't allowed.
fn left_out(variable: &str, why: &str) {
    let line = format!("SKIPPED dashboards: {why}");
    assert!(std::env::var_os(variable).is_none(), "{variable} is set, but: {line}");
    // Not `eprintln!`: the harness would keep that to itself.
    writeln!(std::io::stderr(), "{line}").expect("standard error");
}

#[test]
fn the_files_are_what_the_generator_writes() {
    let mut command = Command::new("python3");
    command.arg("-B").arg(root("dashboards/generate")).arg("--check").stdin(Stdio::null());
    let Ok(output) = command.output() else { return left_out("BAREWIRE_REQUIRE_ALL", "python3 is not installed") };
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn every_panel_says_what_it_shows_and_from_where_on_it_matters() {
    for name in GRAFANA {
        let dashboard = grafana(name);
        let panels = panels(&dashboard);
        assert!(panels.len() > 15, "{name}");
        for panel in panels {
            let title = word(&panel["title"]);
            assert!(word(&panel["description"]).ends_with('.') && !title.is_empty(), "{name}: {title}");
            let steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"].as_array().expect("steps");
            assert!(steps[0]["value"].is_null(), "{name}: {title}: the first step is from the least value on");
            let limits: Vec<f64> = steps[1..].iter().map(|step| step["value"].as_f64().expect("a number")).collect();
            assert!(limits.is_sorted(), "{name}: {title}: {limits:?}");
        }
    }
    for product in SAVED {
        for object in saved(product).iter().filter(|object| object["type"] != "index-pattern") {
            assert!(word(&object["attributes"]["description"]).ends_with('.'), "{product}: {}", object["id"]);
        }
    }
}

#[test]
fn no_panel_lies_on_another() {
    let places = |name: &str, width: u64, places: Vec<&Value>| {
        let number = |place: &Value, key: &str| place[key].as_u64().expect("a number");
        let mut taken = BTreeSet::new();
        for place in places {
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| number(place, key));
            assert!(w > 0 && h > 0 && x + w <= width, "{name}: {place}");
            let cells = (x..x + w).flat_map(|column| (y..y + h).map(move |line| (column, line)));
            cells.for_each(|cell| assert!(taken.insert(cell), "{name}: {place}"));
        }
    };
    for name in GRAFANA {
        let dashboard = grafana(name);
        places(
            name,
            24,
            dashboard["panels"].as_array().expect("panels").iter().map(|panel| &panel["gridPos"]).collect(),
        );
    }
    for product in SAVED {
        let objects = saved(product);
        let dashboard = objects.last().expect("a dashboard");
        let panels = inner(&dashboard["attributes"]["panelsJSON"]);
        let panels = panels.as_array().expect("panels").iter();
        places(product, 48, panels.map(|panel| &panel["gridData"]).collect());
    }
}

#[test]
fn every_identifier_leads_somewhere() {
    let dashboards = GRAFANA.map(grafana);
    let uids: BTreeSet<&str> = dashboards.iter().map(|dashboard| word(&dashboard["uid"])).collect();
    assert_eq!(uids.len(), GRAFANA.len(), "uids differ");
    for (name, dashboard) in GRAFANA.iter().zip(&dashboards) {
        assert!(dashboard["id"].is_null(), "{name}: an id is given at the import");
        let numbers: BTreeSet<u64> =
            dashboard["panels"].as_array().expect("panels").iter().filter_map(|panel| panel["id"].as_u64()).collect();
        assert_eq!(
            numbers.len(),
            dashboard["panels"].as_array().expect("panels").len(),
            "{name}: ids of panels differ"
        );
        let variables = dashboard["templating"]["list"].as_array().expect("variables");
        let variables: BTreeSet<&str> = variables.iter().map(|variable| word(&variable["name"])).collect();
        let mut sources = Vec::new();
        all(dashboard, "datasource", &mut sources);
        assert!(sources.len() > 30, "{name}");
        sources.iter().for_each(|source| assert_eq!(source["uid"], "${datasource}", "{name}"));
        let mut links = Vec::new();
        all(dashboard, "url", &mut links);
        assert!(!links.is_empty(), "{name}");
        for link in links.into_iter().map(word) {
            let uid = link.strip_prefix("/d/").and_then(|rest| rest.split('?').next());
            assert!(uid.is_some_and(|uid| uids.contains(uid)), "{name}: {link}");
        }
        for used in dashboard.to_string().split('$').skip(1) {
            let used = used.trim_start_matches('{');
            let end = used.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(used.len());
            assert!(used.starts_with("__") || variables.contains(&used[..end]), "{name}: ${}", &used[..end]);
        }
    }
    for product in SAVED {
        let objects = saved(product);
        let there: BTreeSet<(&str, &str)> =
            objects.iter().map(|object| (word(&object["type"]), word(&object["id"]))).collect();
        assert_eq!(there.len(), objects.len(), "{product}: identities differ");
        for object in &objects {
            let references = object["references"].as_array().expect("references");
            let names: Vec<&str> = references.iter().map(|reference| word(&reference["name"])).collect();
            for reference in references {
                assert!(there.contains(&(word(&reference["type"]), word(&reference["id"]))), "{product}: {reference}");
            }
            let attributes = &object["attributes"];
            if let Some(source) = attributes.pointer("/kibanaSavedObjectMeta/searchSourceJSON") {
                let source = inner(source);
                source.get("indexRefName").map(word).iter().for_each(|name| assert!(names.contains(name), "{product}"));
            }
            if let Some(panels) = attributes.get("panelsJSON") {
                let panels = inner(panels);
                assert_eq!(panels.as_array().expect("panels").len(), references.len(), "{product}");
                for panel in panels.as_array().expect("panels") {
                    let (name, index) = (word(&panel["panelRefName"]), word(&panel["panelIndex"]));
                    let found = names.iter().filter(|known| **known == name || **known == format!("{index}:{name}"));
                    assert_eq!(found.count(), 1, "{product}: {name}");
                }
            }
        }
    }
}

/// The page of no mail at all: every series that can occur.
fn empty_page() -> String {
    let folder = net::Scratch::new("dashboards-empty");
    let header = [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    let (capture, page) = (folder.path("empty.pcap"), folder.path("page.prom"));
    fs::write(&capture, header).expect("a capture");
    let mut command = Command::new(env!("CARGO_BIN_EXE_barewire"));
    command.args(["replay", "-q", "--allow-empty", "--metrics-file"]).arg(&page).arg(&capture).stdin(Stdio::null());
    assert!(command.output().expect("barewire").status.success());
    fs::read_to_string(page).expect("a page")
}

/// Values of the labels of a page's metrics.
fn label_values(page: &str) -> BTreeMap<(&str, &str), BTreeSet<&str>> {
    let mut values: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let Some((metric, labels)) = line.split_once('{') else { continue };
        let labels = labels.rsplit_once('}').expect("an end").0;
        for pair in labels.split("\",") {
            let (label, value) = pair.split_once("=\"").expect("a label");
            values.entry((metric, label)).or_default().insert(value.trim_end_matches('"'));
        }
    }
    values
}

/// A metric and the labels that it is narrowed to, each with its values.
type Selector<'a> = (&'a str, Vec<(&'a str, Vec<&'a str>)>);

/// All of a text. What is counted or recorded by a rule has a colon before or behind it and is none.
fn selectors(text: &str) -> Vec<Selector<'_>> {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
    let mut found = Vec::new();
    for (start, _) in text.match_indices("barewire_") {
        if text[..start].ends_with(is_name) {
            continue;
        }
        let end = text[start..].find(|letter| !is_name(letter)).map_or(text.len(), |length| start + length);
        let labels = text[end..].strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or_default();
        let labels = labels.split(',').filter_map(|pair| pair.split_once('=')).map(|(label, values)| {
            let values = values.trim_start_matches('~').trim_matches(['"', '\\']);
            (label.trim_end_matches('!'), values.split('|').collect())
        });
        found.push((&text[start..end], labels.collect()));
    }
    found
}

#[test]
fn every_metric_and_every_value_of_a_label_is_one_of_the_page() {
    let page = empty_page();
    let values = label_values(&page);
    let overview = grafana("overview");
    let mut expressions = Vec::new();
    all(&overview, "expr", &mut expressions);
    all(&overview, "query", &mut expressions);
    let expressions: Vec<&str> = expressions.into_iter().filter_map(Value::as_str).collect();
    let shipped = [text("prometheus/barewire.rules.yml"), text("prometheus/barewire.test.yml"), expressions.join("\n")];
    let mut used = BTreeSet::new();
    for (metric, labels) in shipped.iter().flat_map(|text| selectors(text)) {
        let is_of = |known: &&barewire::ops::metrics::Metric| {
            metric == known.name
                || known.kind == Kind::Histogram
                    && ["_bucket", "_sum", "_count"].iter().any(|end| metric.strip_suffix(end) == Some(known.name))
        };
        let known = METRICS.iter().find(is_of).unwrap_or_else(|| panic!("there is no {metric}"));
        used.insert(known.name);
        for (label, wanted) in labels {
            // Those that Prometheus adds, and the bounds of a histogram.
            if ["job", "instance"].contains(&label) || label == "le" && known.kind == Kind::Histogram {
                continue;
            }
            assert!(known.labels.contains(&label), "{metric} has no {label}");
            if !["interface", "version", "sink"].contains(&label) {
                let there = &values[&(known.name, label)];
                wanted.iter().for_each(|value| assert!(there.contains(value), "{metric}: no {label} is {value}"));
            }
        }
    }
    assert!(used.len() > 18, "{used:?}");
}

#[test]
fn every_rule_is_recorded_or_fires_in_a_test_of_its_own() {
    let (rules, tests) = (text("prometheus/barewire.rules.yml"), text("prometheus/barewire.test.yml"));
    let named = |key: &str| -> BTreeSet<String> {
        rules.lines().filter_map(|line| line.trim().strip_prefix(key)).map(|name| name.trim().to_owned()).collect()
    };
    let (alerts, recorded) = (named("- alert:"), named("- record:"));
    assert!(alerts.len() > 20 && recorded.len() > 2);
    alerts
        .iter()
        .for_each(|alert| assert!(tests.contains(&format!("{{alertname=\"{alert}\"")), "{alert} is not tried"));
    recorded.iter().for_each(|name| assert!(tests.contains(name.as_str()), "{name} is not tried"));
    // What a panel tells of an alert, there is.
    for name in GRAFANA.map(|name| format!("grafana/{name}.json")) {
        let text = text(&name);
        for told in text.split("Barewire").skip(1) {
            let end = told.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(told.len());
            assert!(alerts.contains(&format!("Barewire{}", &told[..end])), "{name}: Barewire{}", &told[..end]);
        }
    }
}

/// The fields of the schema that a store can search, and what they are there. The templates are made from the schema.
fn fields() -> BTreeMap<String, String> {
    fn walk(properties: &Value, prefix: &str, found: &mut BTreeMap<String, String>) {
        for (name, field) in properties.as_object().expect("properties") {
            match field.get("properties") {
                Some(inner) => walk(inner, &format!("{prefix}{name}."), found),
                None => drop(found.insert(format!("{prefix}{name}"), word(&field["type"]).to_owned())),
            }
        }
    }
    let template = fs::read_to_string(root("schema/elasticsearch-template.json")).expect("the template");
    let template: Value = serde_json::from_str(&template).expect("JSON");
    let mut found = BTreeMap::new();
    walk(&template["template"]["mappings"]["properties"], "", &mut found);
    found
}

/// Fields that a query in Lucene's or Kibana's language names.
fn queried(query: &str) -> Vec<&str> {
    let conditions = query.split(" AND ").flat_map(|part| part.split(" and ")).filter(|part| !part.is_empty());
    conditions.map(|condition| condition.split_once(':').expect("a field").0).collect()
}

#[test]
fn every_field_is_one_of_the_schema() {
    let fields = fields();
    let schema = fs::read_to_string(root("schema/barewire.v1.json")).expect("the schema");
    let known = |place: &str, name: &str| {
        let kind = fields.get(name).unwrap_or_else(|| panic!("{place}: there is no field {name}"));
        let last = name.rsplit('.').next().expect("a name");
        assert!(schema.contains(&format!("\"{last}\":")), "{place}: {name}");
        kind.as_str()
    };
    // Text is searched by its words and makes no buckets.
    let counted = |place: &str, name: &str| assert_ne!(known(place, name), "match_only_text", "{place}: {name}");

    let dashboard = grafana("investigate");
    for panel in panels(&dashboard) {
        let (title, target) = (word(&panel["title"]), &panel["targets"][0]);
        let mut named = Vec::new();
        all(target, "field", &mut named);
        all(target, "timeField", &mut named);
        named.into_iter().for_each(|name| counted(title, word(name)));
        let queried = queried(word(&target["query"]));
        assert!(!queried.is_empty(), "{title}");
        queried.into_iter().for_each(|name| _ = known(title, name));
        let mut shown = Vec::new();
        all(panel, "names", &mut shown);
        shown.iter().flat_map(|names| names.as_array().expect("names")).for_each(|name| _ = known(title, word(name)));
    }
    for product in SAVED {
        for object in saved(product) {
            let attributes = &object["attributes"];
            let place = format!("{product}: {}", object["id"]);
            if let Some(state) = attributes.get("visState") {
                let (state, mut named) = (inner(state), Vec::new());
                all(&state, "field", &mut named);
                named.into_iter().for_each(|name| counted(&place, word(name)));
            }
            let columns = attributes.get("columns").and_then(Value::as_array);
            columns.into_iter().flatten().for_each(|name| _ = known(&place, word(name)));
            if let Some(source) = attributes.pointer("/kibanaSavedObjectMeta/searchSourceJSON") {
                let source = inner(source);
                queried(word(&source["query"]["query"])).into_iter().for_each(|name| _ = known(&place, name));
            }
        }
    }

    // Loki's names of them.
    let labels: BTreeSet<String> = fields.keys().map(|name| name.replace(['.', '@'], "_")).collect();
    let loki = grafana("investigate-loki");
    for panel in panels(&loki) {
        let query = word(&panel["targets"][0]["expr"]);
        let filters = query.split(" | ").skip(2).filter_map(|stage| stage.split(['=', '!']).next());
        let groups =
            query.split(" by (").skip(1).flat_map(|rest| rest.split(')').next().unwrap_or_default().split(", "));
        let named: Vec<&str> = filters.chain(groups).map(str::trim).collect();
        assert!(!named.is_empty(), "{query}");
        named.into_iter().for_each(|name| assert!(labels.contains(name), "{name}: {query}"));
    }
}

/// The page of panels says by which tests its questions are proved.
#[test]
fn each_proof_on_the_page_of_panels_is_a_test() {
    let page = text("panels.md");
    let mut proofs = BTreeSet::new();
    for quoted in page.split('`').skip(1).step_by(2) {
        let name = quoted.rsplit("::").next().unwrap_or_default();
        let is_test = name.contains('_') && name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
        if is_test {
            proofs.insert(quoted);
        }
    }
    assert!(proofs.len() > 10, "{proofs:?}");
    for proof in proofs {
        let (file, name) =
            proof.rsplit_once("::").map_or(("tests/dashboards.rs".to_owned(), proof), |(module, name)| {
                (format!("tests/dashboards/{module}.rs"), name)
            });
        let source = fs::read_to_string(root(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(source.contains(&format!("#[test]\nfn {name}()")), "{proof} is no test");
    }
    let all = GRAFANA.map(grafana);
    for title in all.iter().flat_map(panels).map(|panel| word(&panel["title"])) {
        assert!(page.contains(&format!("\n| {title} | `")), "{title}");
    }
}

#[test]
fn the_readme_names_each_file_and_shows_small_pictures() {
    let readme = text("README.md");
    let named: BTreeSet<&str> = readme
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#']).next())
        .filter(|path| !path.is_empty())
        .collect();
    for path in &named {
        let size = fs::metadata(root("dashboards").join(path)).unwrap_or_else(|error| panic!("{path}: {error}")).len();
        assert!(!path.ends_with(".png") || size <= 200_000, "{path}: {size} octets");
    }
    for folder in ["grafana", "kibana", "opensearch", "prometheus", "screenshots", "splunk"] {
        for entry in fs::read_dir(root("dashboards").join(folder)).expect(folder).flatten() {
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            assert!(named.contains(path.as_str()) || path.ends_with(".test.yml"), "README.md does not name {path}");
        }
    }
}

/// One list makes all of them, so the same title asks for the same records everywhere.
#[test]
fn the_same_panel_asks_the_same_of_every_store() {
    let dashboard = grafana("investigate");
    let asked: BTreeMap<&str, &str> =
        panels(&dashboard).iter().map(|panel| (word(&panel["title"]), word(&panel["targets"][0]["query"]))).collect();
    for product in SAVED {
        let mut seen = 0;
        for object in
            saved(product).iter().filter(|object| ["visualization", "search"].contains(&word(&object["type"])))
        {
            let title = word(&object["attributes"]["title"]).strip_prefix("barewire: ").expect("its name");
            let source = inner(&object["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"]);
            let query = word(&source["query"]["query"]).replace(" and ", " AND ").replace(" or ", " OR ");
            assert_eq!(query, asked[title], "{product}: {title}");
            seen += 1;
        }
        assert_eq!(seen, asked.len(), "{product}");
    }
}
