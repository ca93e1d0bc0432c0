//! Records as events of the Open Cybersecurity Schema Framework 1.8: findings as Detection Finding (2004), logins as
//! Authentication (3002), connections as Network Activity (4001).
//!
//! What has a place of its own there is taken out of the record, and what is left stands in `unmapped` as it is, so that
//! nothing is lost that does not stand elsewhere in the event. Decided here, since the framework leaves it open:
//!
//! * A finding that occurred once is created; one with a higher count updates what has the same `finding_info.uid`.
//! * `is_cleartext` says that the secret itself passed in clear: a challenge and its response are none.
//! * A login without a user's name has an empty one, for the class demands a user.
//! * A connection that ended is a report of its traffic, not a close: the capture may have ended first.
//! * `metadata.correlation_uid` is the Community ID, in all classes that know it.

use super::time::millis;
use super::{LINE_OCTETS, Written, json};
use serde_json::{Map, Value, json};

/// The version of the framework.
const VERSION: &str = "1.8.0";

/// Characters that remain of a text when nothing else helps, as in records.
const SHORT_CHARS: usize = 64;

/// What stands elsewhere in the event, or is what its class says.
pub(super) const TOLD_ELSEWHERE: [&str; 13] = [
    "/client",
    "/server",
    "/related",
    "/ecs",
    "/observer/type",
    "/event/module",
    "/event/provider",
    "/event/category",
    "/event/type",
    "/event/code",
    "/event/severity",
    "/barewire/first_seen",
    "/barewire/last_seen",
];

/// What is given up, in this order, until the event fits, as in records.
const STEPS: [&str; 11] = [
    "/unmapped/barewire/server/banner",
    "/unmapped/barewire/evidence/capabilities",
    "/unmapped/tls/server",
    "/unmapped/barewire/evidence",
    "/finding_info/desc",
    "/remediation",
    "/unmapped/barewire/client",
    "/evidences/0/tls/sni",
    "/tls/sni",
    "/unmapped/barewire/login/authzid",
    "/unmapped",
];

/// The event of a record, in JSON.
pub(super) fn render(written: &Written) -> Vec<u8> {
    let mut event = event(written);
    let mut line = json::of_value(&event);
    for step in STEPS {
        if line.len() < LINE_OCTETS {
            return line;
        }
        if take(&mut event, step).is_some() {
            event["metadata"]["is_truncated"] = true.into();
            line = json::of_value(&event);
        }
    }
    if line.len() >= LINE_OCTETS {
        event["metadata"]["is_truncated"] = true.into();
        shorten(&mut event);
        line = json::of_value(&event);
    }
    line
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.chars().take(SHORT_CHARS).collect(),
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        _ => {}
    }
}

fn take(value: &mut Value, place: &str) -> Option<Value> {
    let (parent, name) = place.rsplit_once('/')?;
    value.pointer_mut(parent)?.as_object_mut()?.remove(name)
}

/// What is not yet taken of a record.
struct Rest(Value);

impl Rest {
    fn take(&mut self, place: &str) -> Option<Value> {
        take(&mut self.0, place)
    }

    fn text(&self, place: &str) -> &str {
        self.0.pointer(place).and_then(Value::as_str).unwrap_or_default()
    }

    /// Times are milliseconds there.
    fn time(&mut self, place: &str) -> Option<Value> {
        self.take(place).and_then(|text| millis(text.as_str()?)).map(Value::from)
    }

    /// The texts of a list.
    fn list(&mut self, place: &str) -> Vec<Value> {
        match self.take(place) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        }
    }

    /// What nobody took.
    fn unmapped(mut self) -> Option<Value> {
        prune(&mut self.0);
        Some(self.0).filter(|rest| !is_empty(rest))
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty)
}

fn prune(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.values_mut().for_each(prune);
        fields.retain(|_, field| !is_empty(field));
    }
}

/// An object of those fields that there are; `None` if there are none.
fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Option<Value> {
    let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Some(Value::Object(fields.collect())).filter(|object| !is_empty(object))
}

fn list(items: Vec<Value>) -> Option<Value> {
    Some(Value::Array(items)).filter(|list| *list != json!([]))
}

fn event(written: &Written) -> Value {
    let mut rest = Rest(written.record().clone());
    for place in TOLD_ELSEWHERE {
        rest.take(place);
    }
    let metadata = metadata(written, &mut rest);
    let time = rest.take("/@timestamp").and_then(|text| millis(text.as_str()?)).unwrap_or_default();
    let message = rest.take("/message");
    let mut event = match rest.take("/event/dataset").as_ref().and_then(Value::as_str) {
        Some("barewire.finding") => finding(&mut rest),
        Some("barewire.login") => login(&mut rest),
        _ => session(&mut rest),
    };
    let kind = event["class_uid"].as_u64().unwrap_or_default();
    let activity = event["activity_id"].as_u64().unwrap_or_default();
    event["category_uid"] = (kind / 1000).into();
    event["type_uid"] = (kind * 100 + activity).into();
    event["metadata"] = metadata;
    event["time"] = time.into();
    rest.take("/event/id");
    let rest = [("message", message), ("unmapped", rest.unmapped())];
    for (name, value) in rest.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        event[name] = value;
    }
    event
}

fn metadata(written: &Written, rest: &mut Rest) -> Value {
    let product = object([
        ("name", rest.take("/observer/product")),
        ("vendor_name", rest.take("/observer/vendor")),
        ("version", rest.take("/observer/version")),
    ]);
    let source = rest.take("/log/file/path").or_else(|| rest.take("/observer/ingress/interface/name"));
    let fields = object([
        ("version", Some(VERSION.into())),
        ("product", product.or_else(|| Some(json!({ "name": "barewire" })))),
        ("uid", Some(written.document_id().into())),
        ("original_event_uid", rest.0.pointer("/event/id").cloned()),
        ("correlation_uid", rest.0.pointer("/network/community_id").cloned()),
        ("event_code", rest.take("/event/action")),
        ("log_name", rest.0.pointer("/event/dataset").cloned()),
        ("log_source", source),
        ("log_provider", rest.take("/observer/name")),
        ("original_time", rest.0.pointer("/@timestamp").cloned()),
        ("is_truncated", rest.take("/barewire/truncated")),
    ]);
    fields.unwrap_or_default()
}

/// Detection Finding.
fn finding(rest: &mut Rest) -> Value {
    let count = rest.take("/barewire/count");
    let activity = if count.as_ref().and_then(Value::as_u64).unwrap_or(1) > 1 { 2 } else { 1 };
    let severity = rest.take("/barewire/severity");
    let confidence = rest.text("/barewire/confidence").to_owned();
    let (severity_id, severity) = severity_of(severity.as_ref().and_then(Value::as_str).unwrap_or_default());
    let (confidence_id, confidence) = match confidence.as_str() {
        "possible" => (1, "Low"),
        "probable" => (2, "Medium"),
        "confirmed" => (3, "High"),
        _ => (0, "Unknown"),
    };
    let accepted = rest.take("/barewire/accepted");
    let said = |name: &str| accepted.as_ref().and_then(|accepted| accepted[name].as_str()).unwrap_or_default();
    let why = accepted.as_ref().map(|_| format!("{} ({})", said("reason"), said("owner")));
    let is_alert = rest.take("/event/kind").is_some_and(|kind| kind == "alert");
    let (start, end) = (rest.time("/event/start"), rest.time("/event/end"));
    let reference = rest.take("/rule/reference").map(|reference| json!([reference]));
    let remediation = rest.take("/barewire/remediation");
    let remediation = remediation.and_then(|what| object([("desc", Some(what)), ("references", reference)]));
    let fields = object([
        ("class_uid", Some(2004.into())),
        ("activity_id", Some(activity.into())),
        ("severity_id", Some(severity_id.into())),
        ("severity", Some(severity.into())),
        ("confidence_id", Some(confidence_id.into())),
        ("confidence", Some(confidence.into())),
        ("count", count),
        ("is_alert", Some(is_alert.into())),
        ("risk_score", rest.take("/event/risk_score")),
        ("status_id", why.as_ref().map(|_| 3.into())),
        ("status", why.as_ref().map(|_| "Suppressed".into())),
        ("status_detail", why.map(Value::from)),
        ("finding_info", finding_info(rest, start.clone(), end.clone())),
        ("start_time", start),
        ("end_time", end),
        ("evidences", evidence(rest).map(|evidence| json!([evidence]))),
        ("remediation", remediation),
    ]);
    fields.unwrap_or_default()
}

fn severity_of(word: &str) -> (u8, &'static str) {
    match word {
        "info" => (1, "Informational"),
        "low" => (2, "Low"),
        "medium" => (3, "Medium"),
        "high" => (4, "High"),
        "critical" => (5, "Critical"),
        _ => (0, "Unknown"),
    }
}

fn finding_info(rest: &mut Rest, first: Option<Value>, last: Option<Value>) -> Option<Value> {
    let title = rest.take("/rule/name");
    let category = rest.take("/rule/category");
    let analytic = object([
        ("type_id", Some(1.into())),
        ("type", Some("Rule".into())),
        ("uid", rest.take("/rule/id")),
        ("name", title.clone()),
        ("category", category.clone()),
        ("version", rest.take("/rule/version")),
    ]);
    rest.take("/rule/ruleset");
    let related = rest.list("/barewire/related").into_iter().map(|uid| json!({ "uid": uid }));
    object([
        ("uid", rest.take("/event/id")),
        ("title", title),
        ("desc", rest.take("/event/reason")),
        ("types", category.map(|category| json!([category]))),
        ("analytic", analytic),
        ("attacks", attacks(rest)),
        ("first_seen_time", first),
        ("last_seen_time", last),
        ("related_events", list(related.collect())),
    ])
}

/// Techniques with the tactic that they serve, where it is one; several tactics stand for themselves, since records do not
/// say which technique serves which.
fn attacks(rest: &mut Rest) -> Option<Value> {
    rest.take("/threat/framework");
    let mut pairs = |what: &str| -> Vec<(Value, Option<Value>)> {
        let mut names = rest.list(&format!("/threat/{what}/name")).into_iter();
        rest.list(&format!("/threat/{what}/id")).into_iter().map(|id| (id, names.next())).collect()
    };
    let named = |(id, name): (Value, Option<Value>)| object([("uid", Some(id)), ("name", name)]);
    let mut tactics: Vec<Option<Value>> = pairs("tactic").into_iter().map(named).collect();
    let only = if tactics.len() == 1 { tactics.pop().flatten() } else { None };
    let technique = |(id, name): (Value, Option<Value>)| {
        let parent = id.as_str().and_then(|id| id.split_once('.')).map(|(parent, _)| json!({ "uid": parent }));
        let (technique, sub) = match parent {
            Some(parent) => (Some(parent), named((id, name))),
            None => (named((id, name)), None),
        };
        object([("technique", technique), ("sub_technique", sub), ("tactic", only.clone())])
    };
    let techniques = pairs("technique").into_iter().filter_map(technique);
    let techniques: Vec<Value> = techniques.collect();
    let alone = tactics.into_iter().filter_map(|tactic| object([("tactic", tactic)]));
    list(techniques.into_iter().chain(alone).collect())
}

/// Who spoke with whom, and whose account it is about.
fn evidence(rest: &mut Rest) -> Option<Value> {
    object([
        ("src_endpoint", source(rest)),
        ("dst_endpoint", destination(rest)),
        ("connection_info", connection(rest)),
        ("user", user(rest)),
        ("tls", tls(rest)),
        ("ja4_fingerprint_list", ja4(rest)),
    ])
}

fn source(rest: &mut Rest) -> Option<Value> {
    object([("ip", rest.take("/source/ip")), ("port", rest.take("/source/port"))])
}

fn destination(rest: &mut Rest) -> Option<Value> {
    let service = rest.0.pointer("/network/protocol").cloned();
    object([("ip", rest.take("/destination/ip")), ("port", rest.take("/destination/port")), ("svc_name", service)])
}

fn connection(rest: &mut Rest) -> Option<Value> {
    let transport = rest.take("/network/transport")?;
    let version = rest.take("/network/type").map(|kind| if kind == "ipv6" { 6 } else { 4 }.into());
    rest.take("/network/protocol");
    object([
        ("community_uid", rest.take("/network/community_id")),
        // Where the path leads is not known to a sensor.
        ("direction_id", Some(0.into())),
        ("protocol_name", Some(transport)),
        ("protocol_num", Some(6.into())),
        ("protocol_ver_id", version),
    ])
}

fn user(rest: &mut Rest) -> Option<Value> {
    object([("name", rest.take("/user/name")), ("domain", rest.take("/user/domain"))])
}

/// The class demands the version.
fn tls(rest: &mut Rest) -> Option<Value> {
    let version = rest.take("/tls/version")?;
    let server_name = rest.take("/tls/client/server_name");
    object([("version", Some(version)), ("cipher", rest.take("/tls/cipher")), ("sni", server_name)])
}

fn ja4(rest: &mut Rest) -> Option<Value> {
    let value = rest.take("/barewire/client/ja4")?;
    Some(json!([{ "type_id": 1, "type": "JA4", "value": value }]))
}

/// Authentication.
fn login(rest: &mut Rest) -> Value {
    rest.take("/event/kind");
    let mechanism = rest.text("/barewire/login/mechanism").to_owned();
    let (protocol_id, protocol) = match mechanism.as_str() {
        "NTLM" => (1, "NTLM"),
        "GSSAPI" => (2, "Kerberos"),
        "DIGEST-MD5" => (3, "Digest"),
        "XOAUTH2" | "OAUTHBEARER" => (6, "OAUTH 2.0"),
        "" => (0, "Unknown"),
        other => (99, other),
    };
    let (status_id, status) = match rest.take("/event/outcome").as_ref().and_then(Value::as_str) {
        Some("success") => (1, "Success"),
        Some("failure") => (2, "Failure"),
        _ => (0, "Unknown"),
    };
    let is_cleartext = matches!(rest.text("/barewire/login/secret_class"), "password" | "bearer");
    let (logon_id, logon) = if is_cleartext { (8, "Network Cleartext") } else { (3, "Network") };
    let (server, protocol_of_mail) = (destination(rest), rest.take("/network/protocol"));
    rest.take("/network/community_id");
    let fields = object([
        ("class_uid", Some(3002.into())),
        ("activity_id", Some(1.into())),
        ("severity_id", Some(1.into())),
        ("severity", Some("Informational".into())),
        ("auth_protocol_id", Some(protocol_id.into())),
        ("auth_protocol", Some(protocol.into())),
        ("is_cleartext", Some(is_cleartext.into())),
        ("is_remote", Some(true.into())),
        ("logon_type_id", Some(logon_id.into())),
        ("logon_type", Some(logon.into())),
        ("status_id", Some(status_id.into())),
        ("status", Some(status.into())),
        ("status_code", rest.take("/barewire/login/server_code")),
        ("status_detail", rest.take("/barewire/login/outcome")),
        ("src_endpoint", source(rest)),
        ("dst_endpoint", server),
        ("service", protocol_of_mail.map(|name| json!({ "name": name }))),
        ("user", account(rest)),
    ]);
    fields.unwrap_or_default()
}

fn account(rest: &mut Rest) -> Option<Value> {
    let mut user = user(rest).unwrap_or_else(|| json!({}));
    if user.get("name").is_none() {
        user["name"] = "".into();
        user["type_id"] = 0.into();
    }
    Some(user)
}

/// Network Activity.
fn session(rest: &mut Rest) -> Value {
    rest.take("/event/kind");
    let nanoseconds = rest.take("/event/duration").and_then(|duration| duration.as_u64());
    let application = rest.0.pointer("/network/protocol").cloned();
    let traffic = object([
        ("bytes", rest.take("/network/bytes")),
        ("bytes_out", rest.take("/source/bytes")),
        ("bytes_in", rest.take("/destination/bytes")),
        ("packets", rest.take("/network/packets")),
    ]);
    let fields = object([
        ("class_uid", Some(4001.into())),
        ("activity_id", Some(6.into())),
        ("severity_id", Some(1.into())),
        ("severity", Some("Informational".into())),
        ("start_time", rest.time("/event/start")),
        ("end_time", rest.time("/event/end")),
        ("duration", nanoseconds.map(|duration| (duration / 1_000_000).into())),
        ("app_protocol_name", application),
        ("src_endpoint", source(rest)),
        ("dst_endpoint", destination(rest)),
        ("connection_info", connection(rest)),
        ("traffic", traffic),
        ("tls", tls(rest)),
        ("ja4_fingerprint_list", ja4(rest)),
    ]);
    fields.unwrap_or_default()
}
