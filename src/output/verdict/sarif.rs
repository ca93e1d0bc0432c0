//! SARIF 2.1.0 (OASIS, with errata 01): the catalogue as rules, each finding as a result that keeps its identity from run to
//! run, what was accepted as suppressed, what could not be analysed as notifications.

use super::{Told, Verdict};
use crate::finding::{CATALOGUE, Category, Entry, severity_name};
use serde_json::{Value, json};
use std::io::{self, Write};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

pub(super) fn write(verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
    // By hand as far as the results, which are written one by one.
    writeln!(out, "{{\"$schema\":{},\"version\":\"2.1.0\",\"runs\":[{{", json!(SCHEMA))?;
    writeln!(out, "\"tool\":{{\"driver\":{}}},", driver())?;
    writeln!(out, "\"invocations\":[{}],", invocation(verdict))?;
    writeln!(out, "\"artifacts\":{},", Value::Array(artifacts(verdict)))?;
    writeln!(out, "\"results\":[")?;
    let mut comma = "";
    for told in verdict.findings() {
        writeln!(out, "{comma}{}", result(&told, verdict))?;
        comma = ",";
    }
    writeln!(out, "]}}]}}")
}

fn driver() -> Value {
    json!({
        "name": "barewire",
        "semanticVersion": env!("CARGO_PKG_VERSION"),
        "rules": CATALOGUE.iter().map(rule).collect::<Vec<_>>(),
    })
}

fn rule(entry: &Entry) -> Value {
    let mut tags = vec!["security".to_owned(), entry.category.name().to_owned()];
    tags.extend(entry.cwes.iter().map(|cwe| format!("external/cwe/{}", cwe.to_lowercase())));
    let references = entry.rfcs.join(", ");
    let proof = format!("What must have been seen: {}", entry.proof);
    let paragraphs = [entry.description, entry.remediation, &proof, &references];
    let markdown = format!(
        "{}\n\n**What to do:** {}\n\n**Proof it needs:** {}\n\n{references}\n",
        entry.description, entry.remediation, entry.proof
    );
    let mut rule = json!({
        "id": entry.name,
        "name": pascal(entry.name),
        "shortDescription": { "text": format!("{}.", entry.title) },
        "fullDescription": { "text": entry.description },
        "help": { "text": paragraphs.join("\n\n"), "markdown": markdown },
        "defaultConfiguration": { "level": level(entry.severity) },
        "properties": {
            "tags": tags,
            "precision": if entry.category == Category::Quality { "medium" } else { "very-high" },
            "security-severity": security_severity(entry.severity),
        },
    });
    if let Some(rfc) = entry.rfcs.first() {
        rule["helpUri"] = super::super::fixed::reference(rfc).into();
    }
    rule
}

/// Names of rules are identifiers there.
fn pascal(name: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('-').map(word).collect()
}

fn level(severity: u8) -> &'static str {
    match severity {
        4.. => "error",
        3 => "warning",
        _ => "note",
    }
}

/// A number that services sort by: from 9.0 on critical, from 7.0 high, from 4.0 medium, above 0 low.
fn security_severity(severity: u8) -> &'static str {
    ["0.0", "2.5", "5.5", "8.0", "9.5"][usize::from(severity.clamp(1, 5)) - 1]
}

fn invocation(verdict: &Verdict) -> Value {
    let notification = |text: String| json!({ "descriptor": { "id": "incomplete" }, "level": "warning", "message": { "text": message(&text) } });
    let mut invocation = json!({
        "executionSuccessful": verdict.is_whole(),
        "exitCode": verdict.status.0,
        "toolExecutionNotifications": verdict.gaps().into_iter().map(notification).collect::<Vec<_>>(),
    });
    if verdict.status.0 > 0 {
        invocation["exitCodeDescription"] = verdict.status.1.as_str().into();
    }
    invocation
}

fn artifacts(verdict: &Verdict) -> Vec<Value> {
    let artifact = |(name, octets): &(String, Option<u64>)| {
        let mut artifact = json!({ "location": { "uri": uri(name) }, "roles": ["analysisTarget"] });
        if let Some(octets) = octets {
            artifact["length"] = (*octets).into();
        }
        artifact
    };
    verdict.about.inputs.iter().filter(|(name, _)| name != "-").map(artifact).collect()
}

fn result(told: &Told, verdict: &Verdict) -> Value {
    let number = |place| told.written.number(place);
    let mut properties = json!({
        "severity": severity_name(told.severity),
        "confidence": told.text("/barewire/confidence"),
        "count": number("/barewire/count"),
        "packet": number("/barewire/packet"),
        "firstSeen": told.text("/barewire/first_seen"),
        "lastSeen": told.text("/barewire/last_seen"),
        "remediation": told.remediation(),
    });
    for (name, place) in [("client", "/client/ip"), ("user", "/user/name"), ("mechanism", "/barewire/login/mechanism")]
    {
        if !told.text(place).is_empty() {
            properties[name] = told.text(place).into();
        }
    }
    let mut result = json!({
        "ruleId": told.rule.name(),
        "ruleIndex": told.rule as u8,
        "kind": "fail",
        "level": level(told.severity),
        "message": { "text": message(told.message()) },
        "locations": [location(told, verdict)],
        "partialFingerprints": { "barewire/v1": told.text("/event/id") },
        "properties": properties,
    });
    if let (Some(_), Some(capture)) = (&verdict.about.sarif_base, capture(told, verdict)) {
        result["relatedLocations"] = json!([{ "physicalLocation": capture }]);
    }
    let accepted = told.accepted();
    if verdict.about.has_baseline {
        result["baselineState"] = if accepted.is_some() { "unchanged" } else { "new" }.into();
    }
    if let Some(why) = accepted {
        result["suppressions"] = json!([{ "kind": "external", "status": "accepted", "justification": why }]);
    }
    result
}

/// The capture holds octets and no lines: where one must be named, it is that of a file of the repository.
fn location(told: &Told, verdict: &Verdict) -> Value {
    let mut location = json!({});
    if let Some(base) = &verdict.about.sarif_base {
        location["physicalLocation"] =
            json!({ "artifactLocation": { "uri": uri(base) }, "region": { "startLine": 1, "endLine": 1 } });
    } else if let Some(capture) = capture(told, verdict) {
        location["physicalLocation"] = capture;
    }
    let place = told.place();
    if !place.is_empty() {
        location["logicalLocations"] = json!([{ "fullyQualifiedName": place, "kind": "resource" }]);
    }
    location
}

/// The whole capture; which packet it is stands among the properties.
fn capture(told: &Told, verdict: &Verdict) -> Option<Value> {
    let name = told.capture()?;
    let mut capture = json!({ "artifactLocation": { "uri": uri(name) } });
    let mut files = verdict.about.inputs.iter().filter(|(name, _)| name != "-").enumerate();
    if let Some((at, (_, octets))) = files.find(|(_, (known, _))| known == name) {
        capture["artifactLocation"]["index"] = at.into();
        if let Some(octets) = octets {
            capture["region"] = json!({ "byteOffset": 0, "byteLength": octets });
        }
    }
    Some(capture)
}

/// A path as a reference of RFC 3986; one that is not relative names its machine's file.
fn uri(path: &str) -> String {
    let mut uri = if path.starts_with('/') { "file://".to_owned() } else { String::new() };
    for octet in path.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(octet.into()),
            _ => uri.push_str(&format!("%{octet:02X}")),
        }
    }
    uri
}

/// A text that stands for itself: in messages braces are places of arguments (3.11.5) and brackets are links (3.11.6), and
/// names from the wire must be neither.
fn message(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '[' | ']' => plain.extend(['\\', c]),
            '{' | '}' => plain.extend([c, c]),
            c => plain.push(c),
        }
    }
    plain
}
