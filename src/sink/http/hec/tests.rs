//! What an event collector is sent.

use super::*;

const LINE: &str = r#"{"@timestamp":"2026-01-02T03:04:05.678901Z","event":{"id":"A","dataset":"barewire.login"}}"#;

fn options() -> Options {
    Options {
        server: Server::new("http://127.0.0.1:8088"),
        acknowledge: false,
        index: None,
        sourcetype: Pattern::parse("barewire:{kind}").expect("a name"),
        source: None,
        hostname: Some("sensor \"1\"".to_owned()),
    }
}

fn event(options: &Options, form: Form) -> serde_json::Value {
    let hec = Hec::new(options, form).expect("good options");
    let (written, line) = rendered(&Parcel { number: 0, line: LINE.as_bytes().into() }, form).expect("a record");
    serde_json::from_slice(&hec.event(&written, &line)).expect("JSON")
}

#[test]
fn an_event_has_its_time_its_place_and_the_record() {
    let record: serde_json::Value = serde_json::from_str(LINE).expect("JSON");
    let wanted = json!({
        "time": 1_767_323_045.678_901, "host": "sensor \"1\"", "sourcetype": "barewire:login", "event": record,
    });
    assert_eq!(event(&options(), Form::Ecs), wanted);
    let index = Pattern::parse("mail-{kind}-{month}");
    let all = event(&Options { index, source: Some("span".to_owned()), ..options() }, Form::Cef);
    assert_eq!((&all["index"], &all["source"]), (&json!("mail-login-2026.01"), &json!("span")));
    assert!(all["event"].as_str().is_some_and(|text| text.starts_with("CEF:0|")), "{all}");
    assert_eq!(event(&options(), Form::Ocsf)["event"]["class_uid"], 3002);
}

#[test]
fn a_channel_is_a_guid_of_its_own() {
    let one = channel();
    assert!(one != channel() && one.len() == 36, "{one}");
    let is_one = |(at, octet): (usize, u8)| match at {
        8 | 13 | 18 | 23 => octet == b'-',
        14 => octet == b'4',
        19 => octet == b'a',
        _ => octet.is_ascii_hexdigit(),
    };
    assert!(one.bytes().enumerate().all(is_one), "{one}");
}
