//! The other forms of records: of one line, ASCII, within bounds, and saying what the record says.

use super::{Encoder, Event, Inputs, LINE_OCTETS, Text, collected, evidence, flow_v6, lines, login};
use crate::finding::{FindingId, Login};
use crate::output::ocsf::TOLD_ELSEWHERE;
use crate::output::{Form, Written, cef};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A form of a record, which must be one line of ASCII within bounds.
fn rendered(line: &str, form: Form) -> String {
    let written = Written::parse(line.as_bytes()).expect("a record");
    let text = String::from_utf8(written.render(form)).expect("ASCII");
    assert!(text.bytes().all(|octet| matches!(octet, b' '..=b'~')), "{text}");
    assert!(text.len() < LINE_OCTETS, "{} octets: {text}", text.len());
    text
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).expect("JSON")
}

/// An event of CEF by the letter of its specification: seven fields, then keys.
fn cef(event: &str) -> (Vec<String>, BTreeMap<String, String>) {
    let mut header = vec![String::new()];
    let mut chars = event.chars();
    while header.len() < 8 {
        match chars.next().expect("seven fields") {
            '|' => header.push(String::new()),
            '\\' => header
                .last_mut()
                .expect("a field")
                .push(chars.next().filter(|c| "|\\".contains(*c)).expect("an escape")),
            plain => header.last_mut().expect("a field").push(plain),
        }
    }
    header.pop();
    // A key is what stands between the last space before an equals sign and that sign.
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut text = String::new();
    let mut plain_until = 0;
    while let Some(c) = chars.next() {
        match c {
            '=' => {
                let at = text.rfind(' ').map_or(0, |at| at + 1);
                assert!(at >= plain_until, "an escape in a key: {event}");
                let key = text.split_off(at);
                if let Some(last) = fields.last_mut() {
                    assert_eq!(text.pop(), Some(' '), "{event}");
                    last.1 = std::mem::take(&mut text);
                }
                assert!(text.is_empty() && key.bytes().all(|octet| octet.is_ascii_alphanumeric()), "{key}: {event}");
                fields.push((key, String::new()));
                plain_until = 0;
            }
            '\\' => {
                match chars.next().expect("an escape") {
                    c @ ('=' | '\\') => text.push(c),
                    'n' => text.push('\n'),
                    'r' => text.push('\r'),
                    c => panic!("\\{c} is no escape: {event}"),
                }
                plain_until = text.len();
            }
            plain => text.push(plain),
        }
    }
    fields.last_mut().expect("a key").1 = text;
    let count = fields.len();
    let fields: BTreeMap<String, String> = fields.into_iter().collect();
    assert_eq!(fields.len(), count, "a key twice: {event}");
    (header, fields)
}

/// What is not printable ASCII, as CEF and records show it.
fn shown(text: &str) -> String {
    let show = |c: char| if matches!(c, ' '..='~') { c.to_string() } else { format!("\\u{{{:x}}}", u32::from(c)) };
    text.chars().map(show).collect()
}

#[test]
fn ecs_is_the_line_itself() {
    for line in lines() {
        let written = Written::parse(line.as_bytes()).expect("a record");
        assert!(written.render(Form::Ecs) == line.trim_end_matches('\n').as_bytes());
    }
}

#[test]
fn what_is_encoded_is_what_is_rendered() {
    for form in [Form::Ocsf, Form::Cef] {
        let (mut ecs, mut other) = (Vec::new(), b"before".to_vec());
        Encoder::new(Inputs::default()).encode(&Event::Login(&login()), &mut ecs);
        Encoder::new(Inputs::default()).encode(&Event::Login(&login()), &mut other);
        form.change(&mut other, b"before".len());
        let wanted = Written::parse(&ecs).expect("a record").render(form);
        assert!(other == [b"before", &wanted[..], b"\n"].concat());
    }
}

/// All plain values but times, of which OCSF has milliseconds.
fn values(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.values().for_each(|field| values(field, found)),
        Value::Array(items) => items.iter().for_each(|item| values(item, found)),
        Value::String(text) => drop(found.insert(text.clone())),
        other => drop(found.insert(other.to_string())),
    }
}

#[test]
fn ocsf_loses_nothing() {
    // What the class says, what has other names there, and halves of pairs.
    let renamed = ["/event/kind", "/event/outcome", "/event/start", "/event/end", "/event/duration", "/network/type"];
    let renamed = renamed.iter().chain(&["/threat/framework", "/rule/ruleset", "/barewire/severity"]);
    let mut whole = 0;
    for line in lines() {
        let mut record = parsed(&line);
        let event = parsed(&rendered(&line, Form::Ocsf));
        if event["metadata"]["is_truncated"] == true {
            continue;
        }
        whole += 1;
        for place in TOLD_ELSEWHERE.iter().chain(renamed.clone()) {
            let (parent, name) = place.rsplit_once('/').expect("a place");
            record.pointer_mut(parent).and_then(Value::as_object_mut).map(|fields| fields.remove(name));
        }
        let (mut wanted, mut found) = (BTreeSet::new(), BTreeSet::new());
        values(&record, &mut wanted);
        values(&event, &mut found);
        let lost: Vec<_> = wanted.difference(&found).collect();
        assert!(lost.is_empty(), "{lost:?} of {line}{event}");
    }
    assert!(whole > 200, "{whole}");
}

#[test]
fn ocsf_names_class_severity_and_ends() {
    let finding = |count| {
        let mut one = collected(FindingId::CleartextPassword);
        one.count = count;
        one.finding.related = vec![one.uid];
        parsed(&rendered(&super::line(&Event::Finding(&one), &super::inputs()[0]), Form::Ocsf))
    };
    assert_eq!(finding(1)["type_uid"], 200_401);
    let told_again = finding(12);
    assert_eq!(told_again["type_uid"], 200_402);
    assert_eq!(told_again["severity_id"], 4);
    assert_eq!(told_again["evidences"][0]["user"]["name"], "alice");
    assert_eq!(told_again["evidences"][0]["src_endpoint"], json!({ "ip": "192.0.2.10" }));
    assert_eq!(told_again["finding_info"]["attacks"][0]["technique"]["uid"], "T1040");
    assert_eq!(told_again["finding_info"]["related_events"][0]["uid"], told_again["finding_info"]["uid"]);
    assert_eq!(told_again["time"], 1_700_003_601_130_u64);
    let login = parsed(&rendered(&super::line(&Event::Login(&login()), &super::inputs()[0]), Form::Ocsf));
    assert_eq!((&login["type_uid"], &login["is_cleartext"]), (&json!(300_201), &json!(true)));
    assert_eq!((&login["auth_protocol"], &login["status"]), (&json!("USER-PASS"), &json!("Success")));
    assert_eq!(login["metadata"]["correlation_uid"], "1:XMe51gaIcRrr7e5oNbv8quO+Yyc=");
}

#[test]
fn cef_says_what_the_record_says() {
    for line in lines() {
        let record = parsed(&line);
        let text = |place: &str| record.pointer(place).and_then(Value::as_str).unwrap_or_default();
        let (header, mut fields) = cef(&rendered(&line, Form::Cef));
        assert_eq!(header[..5], ["CEF:0", "barewire", "barewire", text("/observer/version"), text("/event/action")]);
        assert_eq!(fields["externalId"], text("/event/id"));
        assert_eq!(fields.get("outcome").map_or("", String::as_str), text("/event/outcome"));
        let (v4, v6) = if text("/network/type") == "ipv6" { ("", "c6a2") } else { ("src", "") };
        assert_eq!(fields.get(v4).or(fields.get(v6)).map_or("", String::as_str), text("/source/ip"));
        let name = shown(text("/user/name"));
        let suser = fields.get("suser").map_or("", String::as_str);
        let is_cut = fields.get("flexString2").is_some_and(|cut| cut == "true");
        assert!(suser == name || is_cut && name.starts_with(suser), "{line}");
        for (key, place, label) in cef::KEYS {
            let Some(label) = label else { continue };
            assert!(!place.is_empty());
            if let Some(found) = fields.remove(&format!("{key}Label")) {
                assert!(cef::KEYS.iter().any(|known| known.0 == key && known.2 == Some(&found)), "{label}");
            }
        }
        assert!(is_cut || fields["msg"] == shown(text("/message")), "{line}");
    }
}

#[test]
fn what_is_too_long_goes_in_a_fixed_order_in_each_form() {
    let long = Text::new("\u{1f511}".repeat(300).as_bytes());
    let mut one = collected(FindingId::TlsCertificateProblem);
    one.finding.evidence = Some(std::sync::Arc::new(evidence(&long)));
    let whole = super::line(&Event::Finding(&one), &super::inputs()[0]);
    let event = parsed(&rendered(&whole, Form::Ocsf));
    assert_eq!(event["metadata"]["is_truncated"], true);
    assert_eq!(event["finding_info"]["title"], "Certificate that a client should not take");
    let mut record = parsed(&whole);
    record["user"] = json!({ "name": "=".repeat(10_000), "domain": "\u{1f511}".repeat(10_000) });
    let (_, fields) = cef(&rendered(&record.to_string(), Form::Cef));
    assert_eq!((fields["flexString2"].as_str(), fields["suser"].len()), ("true", 64));
    assert!(!fields.contains_key("msg") && fields.contains_key("dst"));
    let event = parsed(&rendered(&record.to_string(), Form::Ocsf));
    assert_eq!(event["evidences"][0]["user"]["name"], "=".repeat(64));
    assert!(event.get("unmapped").is_none());
}

/// Names as nobody should have them.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        Just(&b"\\"[..]),
        Just(&b"|"[..]),
        Just(&b"="[..]),
        Just(&b"\n"[..]),
        Just(&b"\r\n"[..]),
        Just(&b"\0"[..]),
        Just(&b"\""[..]),
        Just(&b"::error file=x::"[..]),
        Just(&b" spt=1"[..]),
        Just(&b"CEF:0|a|b|"[..]),
        Just(&b"\xe2\x80\xae"[..]),
        Just(&b"\x1b[2J"[..]),
        Just(&b"\xf0\x9f\x94\x91"[..]),
        Just(&b"\xff"[..]),
        Just(&b" "[..]),
        Just(&b"a"[..]),
        Just(&b"\\u{a}"[..]),
        Just(&b"\",\"x\":{"[..]),
    ];
    (proptest::collection::vec(pieces, 0..40), 1..60_usize)
        .prop_map(|(pieces, times)| pieces.concat().repeat(if times > 50 { times * 10 } else { 1 }))
}

proptest! {
    #[test]
    fn hostile_names_are_harmless_in_each_form(name in hostile()) {
        let user = Some(Text::new(&name));
        let login = Login { flow: flow_v6(), domain: user.clone(), authzid: user.clone(), user, ..login() };
        let line = super::line(&Event::Login(&login), &super::inputs()[0]);
        let record = parsed(&line);
        let name = record["user"]["name"].as_str().unwrap_or_default();
        let event = parsed(&rendered(&line, Form::Ocsf));
        prop_assert_eq!(&event["user"]["name"], name);
        let (header, fields) = cef(&rendered(&line, Form::Cef));
        prop_assert_eq!(header.len(), 7);
        prop_assert_eq!(fields.get("spt").map(String::as_str), Some("50123"));
        prop_assert_eq!(fields.get("suser").map_or("", String::as_str), shown(name));
    }

    /// Also such as no encoder would write.
    #[test]
    fn raw_names_are_harmless_in_each_form(name in hostile()) {
        let name = String::from_utf8_lossy(&name).into_owned();
        let mut record = parsed(&super::line(&Event::Login(&login()), &super::inputs()[0]));
        record["user"]["name"] = name.clone().into();
        let line = record.to_string();
        let event = parsed(&rendered(&line, Form::Ocsf));
        let kept = event["user"]["name"].as_str().unwrap_or_default();
        prop_assert!(kept == name || name.starts_with(kept) && event["metadata"]["is_truncated"] == true);
        let (_, fields) = cef(&rendered(&line, Form::Cef));
        let kept = fields.get("suser").map_or("", String::as_str);
        prop_assert!(kept == shown(&name) || shown(&name).starts_with(kept) && fields["flexString2"] == "true");
    }

    /// What stands in a record in odd types is no reason to fall.
    #[test]
    fn odd_types_are_harmless(at in 0..cef::KEYS.len(), odd in 0..6_usize) {
        let odd = [json!(null), json!(-1), json!(1.5), json!([{"a": [null]}]), json!({"a": {}}), json!("x")][odd].clone();
        let mut record = parsed(&super::line(&Event::Finding(&collected(FindingId::CleartextPassword)), &super::inputs()[0]));
        if let Some(field) = record.pointer_mut(cef::KEYS[at].1).filter(|_| cef::KEYS[at].0 != "externalId") {
            *field = odd;
        }
        let line = record.to_string();
        parsed(&rendered(&line, Form::Ocsf));
        cef(&rendered(&line, Form::Cef));
    }
}
