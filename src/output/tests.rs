//! Lines held against the schema and the rules of form, over records of every kind and the worst that the wire can say.

mod forms;

use super::{Encoder, Event, Inputs, LINE_OCTETS, SCHEMA};
use crate::finding::software::Software;
use crate::finding::{
    Acceptance, CATALOGUE, Collected, Coverage, Evidence, Finding, FindingId, Flow, Login, Offer, Session, Starttls,
    TlsFacts, Uid,
};
use crate::mail::{
    CapabilitySource, CertificateFacts, ClientHello, Confidence, Outcome, Protocol, Reason, SecretClass, StarttlsReply,
    Strength, Text, Timing, Validity, Variant,
};
use crate::secret::{Fingerprint, FingerprintClass, FingerprintKey, Secret};
use crate::stream::{Direction, Overlap};
use crate::wire::{Endpoint, PacketRef, Timestamp, Tunnel, TunnelKind};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

static DOVECOT: Software = Software { name: "Dovecot" };
static CURL: Software = Software { name: "curl" };

pub(super) fn endpoint(address: &str, port: u16) -> Endpoint {
    let address = match address.parse::<IpAddr>().expect("an address") {
        IpAddr::V4(v4) => Endpoint::v4(v4.into()),
        IpAddr::V6(v6) => v6.into(),
    };
    Endpoint { address, port }
}

fn packet(second: u64, number: u64) -> PacketRef {
    PacketRef { time: Timestamp((1_700_000_000 + second) * 1_000_000_000 + 130_000_999), input: 0, number }
}

fn flow() -> Flow {
    Flow {
        client: endpoint("192.0.2.10", 49152),
        server: endpoint("198.51.100.25", 110),
        start: packet(0, 1),
        protocol: Protocol::Pop3,
        vlan: None,
        tunnel: Some(Tunnel::new(TunnelKind::Vxlan, Some([1 << 32, 2 << 32]))),
        isns: Some([1001, 5001]),
    }
}

fn flow_v6() -> Flow {
    let (client, server) = (endpoint("2001:db8::10", 50123), endpoint("2001:db8::25", 143));
    Flow { client, server, protocol: Protocol::Imap, vlan: Some(4094), ..flow() }
}

fn text(text: &str) -> Text {
    Text::new(text.as_bytes())
}

fn starttls() -> Starttls {
    Starttls { offer: Offer::Unknown(Reason::NotAsked), is_requested: false, reply: None, reply_code: None }
}

fn refused() -> Starttls {
    let reply_code = Some(text("454"));
    Starttls { offer: Offer::Offered, is_requested: true, reply: Some(StarttlsReply::RefusedTemporarily), reply_code }
}

fn fingerprint() -> Fingerprint {
    FingerprintKey::new(&[7; 32]).fingerprint(FingerprintClass::Password, &Secret::new(b"Kestrel-Harbor-9"))
}

fn login() -> Login {
    Login {
        flow: flow(),
        ordinal: 1,
        at: packet(1, 8),
        mechanism: text("USER-PASS"),
        variant: Variant::Command,
        class: SecretClass::Password,
        user: Some(text("alice")),
        domain: Some(text("EXAMPLE")),
        authzid: None,
        fingerprint: Some(fingerprint()),
        outcome: Outcome::Accepted,
        validity: Validity::Valid,
        is_ambiguous: true,
        other_fingerprint: Some(fingerprint()),
        is_empty: false,
        strength: Strength::default(),
        is_injected: false,
        is_inferred: false,
        code: None,
        confidence: Confidence::Confirmed,
        starttls: starttls(),
    }
}

fn session() -> Session {
    Session {
        flow: flow(),
        end: packet(9, 21),
        packets: 21,
        octets: [57, 1874],
        starttls: starttls(),
        is_tls: Some(false),
        tls: TlsFacts::default(),
        is_implicit_tls: false,
        tls_failure: None,
        is_masked: false,
        exposed: None,
        logins: 1,
        messages: 2,
        coverage: Coverage::Complete,
        confidence: Confidence::Confirmed,
        banner: Some(text("Dovecot ready. <1896.697170952@pop.example.org>")),
        client_name: None,
        proxied_client: None,
        server_software: Some(&DOVECOT),
        client_software: None,
    }
}

/// All that can be said of TLS, with `name` for every text.
fn tls_facts(version: u16, name: &Text) -> TlsFacts {
    TlsFacts {
        version: Some(version),
        cipher: Some(version),
        hello: Some(Box::new(ClientHello {
            server_name: Some(name.clone()),
            version,
            ja4: Some("t13d1516h2_8daaf6152771_b186095e22b6".into()),
            is_sslv2: false,
        })),
        certificate: Some(Box::new(CertificateFacts {
            sha256: [0xab; 32],
            subject: name.clone(),
            issuer: name.clone(),
            not_before: -1,
            not_after: i64::MAX,
            is_self_signed: true,
            names: vec![name.clone(); 16],
            has_more_names: false,
            key: "rsa",
            key_bits: 2048,
            signature: "sha256WithRSA",
            chain_len: 1,
        })),
    }
}

/// Everything that can be evidence.
fn evidence(name: &Text) -> Evidence {
    Evidence {
        kind: Some("self-signed"),
        also: vec!["not-yet-valid", "short-key"],
        timing: Some(Timing::BeforeReply),
        octets: Some(72),
        server_reacted: Some(true),
        cause: Some(text("client-alert unknown_ca")),
        context: Some("pre-tls-injected"),
        offer_source: Some(CapabilitySource::Ehlo),
        capabilities: Some(name.clone()),
        path: Some("offered>requested>refused>login".to_owned()),
        strength: Strength { hash: Some("SHA-256"), iterations: Some(4096), ntlm: Some(2) },
        tls: tls_facts(0x0301, name),
        places: vec!["198.51.100.25:110 pop3 alice".to_owned(); 2],
        attempts: Some([3, 1]),
        overlap: Some(Overlap {
            direction: Direction::ToServer,
            begin: 10,
            octets: 72,
            ttl: [Some(64), Some(57)],
            is_sound: [Some(true), Some(false)],
            is_older: Some(true),
            is_late: true,
            is_elsewhere: true,
            is_urgent: false,
        }),
        seconds: Some(12),
    }
}

fn collected(id: FindingId) -> Collected {
    let login = login();
    let has_login = matches!(id, FindingId::CleartextPassword | FindingId::ServerAcceptsCleartextAuth);
    let has_flow = id != FindingId::CoverageGap;
    let finding = Finding {
        id,
        severity: id.entry().severity,
        confidence: Confidence::Confirmed,
        flow: has_flow.then_some(login.flow),
        at: login.at,
        user: login.user.filter(|_| has_login),
        mechanism: has_login.then_some(login.mechanism),
        outcome: has_login.then_some(login.outcome),
        fingerprint: login.fingerprint.filter(|_| has_login),
        starttls: has_flow.then_some(login.starttls),
        missing: (!has_flow).then_some(Reason::Gap),
        authzid: None,
        validity: Validity::Valid,
        evidence: None,
        uid: None,
        related: Vec::new(),
        server_software: has_flow.then_some(&DOVECOT),
        client_software: None,
    };
    let (first, last) = (packet(1, 8), packet(3601, 9000));
    Collected {
        finding,
        uid: Uid::from_digest(b"foobafoobafoobafoobafoobafoobafo"),
        count: 12,
        first,
        last,
        clients: 3,
        users: 2,
        is_revised: false,
        told: 0,
        accepted: None,
    }
}

/// A text as long as a text can be, every character of it twelve octets of JSON.
fn longest() -> Text {
    text(&"\u{1f511}".repeat(300))
}

fn hostile_users() -> Vec<Text> {
    let mut users: Vec<Text> =
        ["", "\"}],\u{0}\r\n{\"event\":1}", "\u{202e}\u{1b}[2J\u{7f}", "=cmd|' /C calc'!A0", "a\\\\b"].map(text).into();
    users.extend([Text::new(b"m\xfcller\xff\xfe"), Text::new(&[0xff; 400]), Text::new(&[0; 400]), longest()]);
    users.push(text(&"\u{e007f}".repeat(300)));
    users
}

fn logins() -> Vec<Login> {
    let mut all: Vec<Login> = hostile_users()
        .into_iter()
        .map(|user| Login {
            flow: flow_v6(),
            user: Some(user.clone()),
            authzid: Some(user.clone()),
            code: Some(user.clone()),
            mechanism: user,
            ..login()
        })
        .collect();
    let known = [
        Outcome::Accepted,
        Outcome::Rejected,
        Outcome::RejectedAfterAuth,
        Outcome::RefusedByPolicy,
        Outcome::Cancelled,
    ];
    for outcome in known.into_iter().chain(Reason::ALL.map(Outcome::Unknown)) {
        all.push(Login {
            outcome,
            user: None,
            fingerprint: None,
            is_inferred: true,
            code: Some(text("535")),
            ..login()
        });
    }
    for class in [SecretClass::Bearer, SecretClass::Crackable, SecretClass::None] {
        let strength = Strength { hash: Some("SHA-256"), iterations: Some(4096), ntlm: Some(2) };
        all.push(Login { class, mechanism: text("SCRAM-SHA-256"), strength, is_injected: true, ..login() });
    }
    for variant in
        [Variant::Quoted, Variant::Literal, Variant::LiteralPlus, Variant::InitialResponse, Variant::Continuation]
    {
        all.push(Login { variant, confidence: Confidence::Possible, ..login() });
    }
    for reply in
        [StarttlsReply::Accepted, StarttlsReply::Refused, StarttlsReply::RefusedTemporarily, StarttlsReply::Odd]
    {
        let starttls = Starttls {
            offer: Offer::NotOffered,
            is_requested: true,
            reply: Some(reply),
            reply_code: Some(text("-ERR")),
        };
        all.push(Login { starttls, confidence: Confidence::Probable, ..login() });
    }
    all
}

fn sessions() -> Vec<Session> {
    let mut all = vec![session()];
    for coverage in Reason::ALL.map(Coverage::Partial) {
        all.push(Session { coverage, is_tls: None, banner: None, logins: 0, messages: 0, ..session() });
    }
    for version in [0x0002, 0x0300, 0x0301, 0x0303, 0x0304, 0x7f1c] {
        all.push(Session {
            tls: tls_facts(version, &text("imap.example.org")),
            is_tls: Some(true),
            is_implicit_tls: version == 0x0304,
            tls_failure: Some(text("client-alert unknown_ca")),
            client_software: Some(&CURL),
            ..session()
        });
    }
    let client_name = Some(text("laptop.example.org"));
    let proxied_client = Some(text("192.0.2.1:5000"));
    all.push(Session { client_name, proxied_client, starttls: refused(), ..session() });
    let worst = Some(longest());
    all.push(Session {
        flow: flow_v6(),
        banner: worst.clone(),
        client_name: worst.clone(),
        tls: tls_facts(0x0303, &longest()),
        ..session()
    });
    all
}

fn findings() -> Vec<Collected> {
    let mut all: Vec<Collected> = CATALOGUE.iter().map(|entry| collected(entry.id)).collect();
    let mut after = collected(FindingId::CleartextAfterStarttlsRefused);
    let acceptance = |text: String| {
        Arc::new(Acceptance {
            owner: text.clone(),
            reason: text,
            expires: Some(Timestamp(1_900_000_000_000_000_000)),
            severity: None,
        })
    };
    after.accepted = Some(acceptance("\u{1f511}".repeat(300)));
    after.finding.starttls = Some(refused());
    all.push(after);
    for name in hostile_users() {
        for id in [FindingId::TlsCertificateProblem, FindingId::CleartextPassword] {
            let mut one = collected(id);
            one.finding.evidence = Some(Arc::new(evidence(&name)));
            one.finding.related = vec![one.uid];
            one.finding.client_software = Some(&CURL);
            all.push(one);
        }
    }
    for (user, severity) in hostile_users().into_iter().zip((1..=5).cycle()) {
        let mut one = collected(FindingId::CleartextPassword);
        one.finding.flow = Some(flow_v6());
        one.finding.mechanism = Some(user.clone());
        one.finding.user = Some(user);
        one.finding.severity = severity;
        one.finding.outcome = Some(Outcome::Unknown(Reason::Gap));
        all.push(one);
    }
    all
}

fn inputs() -> [Inputs; 3] {
    let file = Inputs { names: vec!["captures/day1.pcap".to_owned()], is_live: false, sensor: None };
    let odd_file = Inputs { names: vec!["\u{7f}\u{1b}[m\u{1f511}/".repeat(200)], is_live: false, sensor: None };
    [file, odd_file, Inputs { names: vec!["eth1".to_owned()], is_live: true, sensor: Some("tap-1".to_owned()) }]
}

fn line(event: &Event<'_>, inputs: &Inputs) -> String {
    let mut line = Vec::new();
    Encoder::new(inputs.clone()).encode(event, &mut line);
    String::from_utf8(line).expect("ASCII")
}

/// Every sample with every kind of input.
fn lines() -> Vec<String> {
    let (findings, logins, sessions) = (findings(), logins(), sessions());
    let events: Vec<Event<'_>> = findings
        .iter()
        .map(Event::Finding)
        .chain(logins.iter().map(Event::Login))
        .chain(sessions.iter().map(Event::Session))
        .collect();
    inputs().iter().flat_map(|inputs| events.iter().map(|event| line(event, inputs))).collect()
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).expect("JSON")
}

fn parsed(event: &Event<'_>) -> Value {
    json(&line(event, &inputs()[0]))
}

#[test]
fn every_line_obeys_the_schema() {
    let schema = json(SCHEMA);
    jsonschema::meta::validate(&schema).expect("a schema of 2020-12");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for line in lines() {
        let value = json(&line);
        let kind = value["event"]["dataset"].as_str().and_then(|name| name.strip_prefix("barewire.")).expect("a kind");
        if validator.is_valid(&value) {
            continue;
        }
        // The errors of one branch say more than "none of three".
        let mut alone = schema.clone();
        alone["oneOf"] = serde_json::json!([{ "$ref": format!("#/$defs/{kind}") }]);
        let alone = jsonschema::validator_for(&alone).expect("a schema");
        let errors: Vec<String> = alone.iter_errors(&value).map(|error| format!("{error:?}")).collect();
        panic!("{line}\n{errors:#?}");
    }
}

#[test]
fn every_line_obeys_the_rules_of_form() {
    for line in lines() {
        let (body, end) = line.split_at(line.len() - 1);
        assert_eq!(end, "\n");
        assert!(body.bytes().all(|octet| matches!(octet, b' '..=b'~')), "{line}");
        assert!(line.len() <= LINE_OCTETS, "{} octets: {line}", line.len());
        check_values(&json(body), &line);
    }
}

/// No null, no empty list, no list of anything but plain values.
fn check_values(value: &Value, line: &str) {
    match value {
        Value::Null => panic!("null in {line}"),
        Value::Object(fields) => fields.values().for_each(|field| check_values(field, line)),
        Value::Array(items) => assert!(!items.is_empty() && items.iter().all(Value::is_string), "{line}"),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The dotted names of a line's leaves.
fn leaves(value: &Value, at: &str, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                leaves(field, &format!("{at}.{name}"), names);
            }
        }
        _ => drop(names.insert(at.trim_start_matches('.').to_owned())),
    }
}

/// The dotted names of a schema's leaves, and that each says what it means.
fn described(schema: &Value, root: &Value, at: &str, names: &mut BTreeSet<String>) {
    let schema = match schema["$ref"].as_str() {
        Some(name) => root.pointer(&name[1..]).expect("a definition"),
        None => schema,
    };
    assert!(schema["description"].is_string(), "no description: {at}");
    match schema["properties"].as_object() {
        Some(properties) => {
            assert_eq!(schema["additionalProperties"], false, "{at}");
            properties.iter().for_each(|(name, field)| described(field, root, &format!("{at}.{name}"), names));
        }
        None => drop(names.insert(at.trim_start_matches('.').to_owned())),
    }
}

#[test]
fn the_schema_and_the_lines_know_the_same_fields() {
    let schema = json(SCHEMA);
    let values: Vec<Value> = lines().iter().map(|line| json(line)).collect();
    for kind in ["finding", "login", "session"] {
        let (mut wanted, mut seen) = (BTreeSet::new(), BTreeSet::new());
        described(&schema["$defs"][kind], &schema, "", &mut wanted);
        let dataset = format!("barewire.{kind}");
        let of_kind = values.iter().filter(|value| value["event"]["dataset"] == dataset.as_str());
        of_kind.for_each(|value| leaves(value, "", &mut seen));
        assert_eq!(seen, wanted, "{kind}");
    }
}

#[test]
fn a_field_has_one_type_in_all_kinds_of_records() {
    let mut types = std::collections::BTreeMap::new();
    for line in lines() {
        for_each_leaf(&json(&line), "", &mut |name, value| {
            let kind = std::mem::discriminant(value);
            assert_eq!(*types.entry(name.to_owned()).or_insert(kind), kind, "{name}");
        });
    }
}

fn for_each_leaf(value: &Value, at: &str, look: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| for_each_leaf(field, &format!("{at}.{name}"), look));
        }
        _ => look(at, value),
    }
}

#[test]
fn a_login_is_told_in_full() {
    let value = parsed(&Event::Login(&login()));
    assert_eq!(value["@timestamp"], "2023-11-14T22:13:21.130000Z");
    assert_eq!(
        value["message"],
        "Password of alice sent in clear by 192.0.2.10 to POP3 server 198.51.100.25:110; the server accepted it"
    );
    assert_eq!(value["network"]["community_id"], "1:XMe51gaIcRrr7e5oNbv8quO+Yyc=");
    assert_eq!(value["event"]["outcome"], "success");
    assert_eq!(value["source"]["port"], 49152);
    assert_eq!(value["barewire"]["login"]["secret_validity"], "valid");
    assert_eq!(value["barewire"]["packet"], 8);
    assert_eq!(value["log"]["file"]["path"], "captures/day1.pcap");
}

#[test]
fn a_finding_names_only_what_its_key_fixes() {
    let by_user = parsed(&Event::Finding(&collected(FindingId::CleartextPassword)));
    assert_eq!(by_user["client"]["ip"], "192.0.2.10");
    assert_eq!(by_user["user"]["name"], "alice");
    assert!(by_user["client"].get("port").is_none());
    assert_eq!(by_user["event"]["severity"], 73);
    let by_server = parsed(&Event::Finding(&collected(FindingId::ServerAcceptsCleartextAuth)));
    assert!(by_server.get("source").is_none() && by_server.get("user").is_none());
    assert!(by_server["barewire"]["login"].get("fingerprint").is_none());
    assert_eq!(by_server["barewire"]["login"]["outcome"], "accepted");
    assert_eq!(by_server["related"]["ip"], serde_json::json!(["198.51.100.25"]));
}

#[test]
fn identities_are_of_the_content_only() {
    let id = |login: &Login, inputs: &Inputs| json(&line(&Event::Login(login), inputs))["event"]["id"].clone();
    let [file, _, live] = inputs();
    assert_eq!(id(&login(), &file), id(&login(), &live));
    assert_ne!(id(&login(), &file), id(&Login { ordinal: 2, ..login() }, &file));
    assert_ne!(parsed(&Event::Session(&session()))["event"]["id"], id(&login(), &file));
}

#[test]
fn what_is_too_long_goes_in_a_fixed_order() {
    let banner_only = Session { banner: Some(longest()), client_name: Some(longest()), ..session() };
    let value = parsed(&Event::Session(&banner_only));
    assert_eq!(value["barewire"]["truncated"], true);
    assert!(value["barewire"]["server"].get("banner").is_none());
    assert!(value["barewire"]["client"]["name"].is_string());
    let mut encoder = Encoder::new(Inputs::default());
    encoder.encode(&Event::Session(&banner_only), &mut Vec::new());
    encoder.encode(&Event::Session(&session()), &mut Vec::new());
    assert_eq!(encoder.cut(), 1);
}

#[test]
fn a_challenge_is_no_banner() {
    let value = parsed(&Event::Session(&session()));
    assert_eq!(value["barewire"]["server"]["banner"], "Dovecot ready. <challenge>");
    assert_eq!(value["barewire"]["server"]["software"], "Dovecot");
    let cut = Session { banner: Some(text("ready <1896.6971")), ..session() };
    assert_eq!(parsed(&Event::Session(&cut))["barewire"]["server"]["banner"], "ready <challenge>");
}

#[test]
fn no_line_holds_the_secret_or_a_code_that_is_none() {
    for class in [SecretClass::Password, SecretClass::Bearer, SecretClass::Crackable, SecretClass::None] {
        let (code, mechanism) = (Some(text("Kestrel-Harbor-9 is wrong")), text("PLAIN Kestrel-Harbor-9"));
        let line = line(&Event::Login(&Login { class, code, mechanism, ..login() }), &inputs()[0]);
        assert!(!line.contains("Kestrel") && line.contains(r#""mechanism":"OTHER""#), "{line}");
    }
}
