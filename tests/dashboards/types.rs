//! Grafana's dashboards against Grafana's own types, by the compiler of TypeScript, and Loki's queries by its grammar.

use super::{GRAFANA, grafana, judges, panels, root, text, word};
use crate::net::Scratch;
use serde_json::json;
use std::fs;
use std::process::Command;

/// What is no dashboard any more: of which, what is replaced, and by what.
const SPOILED: [(&str, &str, &str); 16] = [
    ("overview", r#""schemaVersion": 39"#, r#""schemaVersion": "39""#),
    ("overview", r#""tags""#, r#""tgs""#),
    ("overview", r#""hide": 0"#, r#""hide": 9"#),
    ("overview", r#""refresh": 2"#, r#""refresh": 7"#),
    ("overview", r#""gridPos""#, r#""gridpos""#),
    ("overview", r#""type": "stat""#, r#""type": "statt""#),
    ("overview", r#""colorMode": "value""#, r#""colorMode": "valeu""#),
    ("overview", r#""orientation""#, r#""orient""#),
    ("overview", r#""calcs""#, r#""calc""#),
    ("overview", r#""unit": "s""#, r#""unit": 5"#),
    ("overview", r#""thresholds""#, r#""treshold""#),
    ("overview", r#""mode": "absolute""#, r#""mode": "abs""#),
    ("overview", r#""drawStyle": "line""#, r#""drawStyle": "lines""#),
    ("overview", r#""fillOpacity""#, r#""fillopacity""#),
    ("investigate", r#""showHeader""#, r#""showHeadr""#),
    ("investigate-loki", r#""sortOrder": "Descending""#, r#""sortOrder": "Down""#),
];

#[test]
fn grafanas_own_types_have_each_part_of_its_dashboards() {
    let Some(modules) = judges::modules() else { return };
    let scratch = Scratch::new("dashboards-types");
    std::os::unix::fs::symlink(&modules, scratch.path("node_modules")).expect("a link");
    fs::copy(root("tests/dashboards/written.ts"), scratch.path("written.ts")).expect("the types");
    let good = GRAFANA.map(|name| (name.to_owned(), text(&format!("grafana/{name}.json"))));
    let spoiled = SPOILED.iter().enumerate().map(|(number, (name, from, to))| {
        let whole = text(&format!("grafana/{name}.json"));
        let text = whole.replacen(from, to, 1);
        assert_ne!(text, whole, "{name} has no {from}");
        (format!("spoiled-{number}"), text)
    });
    let mut compiler = Command::new("node");
    compiler.arg(modules.join("typescript/bin/tsc")).current_dir(scratch.path("."));
    compiler.args(["--noEmit", "--strict", "--skipLibCheck", "--allowImportingTsExtensions", "--pretty", "false"]);
    compiler.args(["--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext"]);
    for (name, text) in good.iter().cloned().chain(spoiled) {
        let source =
            format!("import type {{ File }} from \"./written.ts\";\nexport default {} satisfies File;\n", text.trim());
        fs::write(scratch.path(&format!("{name}.ts")), source).expect("a source");
        compiler.arg(format!("{name}.ts"));
    }
    let output = compiler.output().expect("node");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let faults = |name: &str| said.lines().filter(|line| line.starts_with(&format!("{name}.ts("))).count();
    for (name, _) in &good {
        assert_eq!(faults(name), 0, "{said}");
    }
    for (number, (name, from, to)) in SPOILED.iter().enumerate() {
        assert!(faults(&format!("spoiled-{number}")) > 0, "{name}: {to} for {from} is not noticed: {said}");
    }
    // Nothing else was wrong, such as a type that is not found.
    assert!(!said.contains("written.ts(") && !said.starts_with("error"), "{said}");
}

/// No LogQL.
const BROKEN: [&str; 5] = [
    "",
    r#"{job="barewire"} | json | source.ip="192.0.2.1""#,
    r#"sum by (user_name (count_over_time({job="barewire"} | json [5m])))"#,
    r#"{job="barewire"} | jsonn | user_name="alice""#,
    r#"topk(50, count_over_time({job="barewire"} | json))"#,
];

#[test]
fn grafanas_grammar_understands_each_question_to_loki() {
    if judges::modules().is_none() {
        return;
    }
    let dashboard = grafana("investigate-loki");
    let asked = panels(&dashboard).into_iter().map(|panel| {
        let query = word(&panel["targets"][0]["expr"]).replace("$__range", "7d").replace("$__auto", "5m");
        assert!(!query.contains('$'), "{query}");
        query
    });
    let asked: Vec<String> = asked.collect();
    assert!(asked.len() > 15);
    let queries: Vec<&str> = asked.iter().map(String::as_str).chain(BROKEN).collect();
    let faults = judges::ask("logql.mjs", &json!(queries));
    for (number, query) in queries.iter().enumerate() {
        let is_broken = number >= asked.len();
        assert_eq!(faults[number].is_null(), !is_broken, "{query}: {faults}");
    }
    assert_eq!(faults.as_array().map(Vec::len), Some(queries.len()));
}
