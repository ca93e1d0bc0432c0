//! Answers to bulk requests, as they should be and as nobody should send them.

use super::*;

fn answer(body: &str) -> Answer {
    Answer { status: 200, retry_after: None, body: body.as_bytes().to_vec() }
}

/// What becomes of documents `a`, `b` and so on.
fn judged(count: usize, body: &str) -> (Result<Option<String>, String>, Vec<Fate>) {
    let sent: Vec<(usize, String)> = (0..count).map(|at| (at, char::from(b'a' + at as u8).to_string())).collect();
    let mut fates = vec![Fate::Waits; count];
    (judge(&answer(body), &sent, &mut fates), fates)
}

#[test]
fn each_item_has_its_own_status() {
    let body = r#"{"took":3,"errors":true,"items":[
        {"create":{"_index":"i","_id":"a","_version":1,"status":201,"_shards":{"total":2}}},
        {"create":{"_id":"b","status":409,"error":{"type":"version_conflict_engine_exception","reason":"[b]: version conflict","index_uuid":"u"}}},
        {"create":{"_id":"c","status":400,"error":{"type":"document_parsing_exception","reason":"[1:9] no\nip","caused_by":{"type":"x","reason":"y"}}}},
        {"create":{"_id":"d","status":429,"error":{"type":"es_rejected_execution_exception","reason":"rejected"}}},
        {"create":{"_id":"e","status":200}},
        {"create":{"_id":"f","status":403,"error":{"type":"cluster_block_exception","reason":"disk usage exceeded"}}}]}"#;
    let (waits, fates) = judged(6, body);
    let refused = Fate::Refused("400 document_parsing_exception [1:9] no?ip".to_owned());
    assert_eq!(fates, [Fate::Delivered, Fate::Duplicate, refused, Fate::Waits, Fate::Delivered, Fate::Waits]);
    let why = "it takes documents later: 429 es_rejected_execution_exception rejected";
    assert_eq!(waits, Ok(Some(why.to_owned())));
}

#[test]
fn of_an_answer_that_is_none_nothing_is_believed() {
    let one = r#"{"create":{"_id":"a","status":201}}"#;
    let good = format!(r#"{{"errors":false,"items":[{one}]}}"#);
    assert_eq!(judged(1, &good), (Ok(None), vec![Fate::Delivered]));
    for cut in 0..good.len() {
        assert_eq!(judged(1, &good[..cut]).1, [Fate::Waits], "{}", &good[..cut]);
    }
    let deep = format!(r#"{{"items":{}"#, "[".repeat(100_000));
    let deeper = format!(r#"{{"x":{},"items":[{one}]}}"#, "[".repeat(100_000));
    let many = format!(r#"{{"items":[{one}{}]}}"#, format!(",{one}").repeat(2000));
    let other = r#"{"items":[{"create":{"_id":"z","status":201}}]}"#;
    for hostile in [
        "",
        "null",
        "[]",
        "{}",
        "<html>sign in</html>",
        r#"{"items":[]}"#,
        r#"{"items":{}}"#,
        r#"{"items":[{}]}"#,
        r#"{"items":[{"index":{"status":201}}]}"#,
        r#"{"items":[{"create":{"status":"201"}}]}"#,
        r#"{"items":[{"create":{"status":70000}}]}"#,
        r#"{"items":[{"create":{"status":-1}}]}"#,
        r#"{"items":[{"create":{"status":201}},{"create":{"status":201}}]}"#,
        r#"{"error":{"type":"x"},"status":400}"#,
        &format!("{good}{good}"),
        &format!("{good}x"),
        &deep,
        &deeper,
        &many,
        other,
    ] {
        let (said, fates) = judged(1, hostile);
        assert_eq!(fates, [Fate::Waits], "{hostile}");
        let why = said.expect_err("no answer");
        assert!(why.len() < 300 && !why.contains('\n'), "{why}");
    }
    // One item too few or too many is no answer about any.
    assert_eq!(judged(2, &good).1, [Fate::Waits, Fate::Waits]);
    // Without the identity, which an engine may leave out, the place counts.
    assert_eq!(judged(1, r#"{"items":[{"create":{"status":201}}]}"#).1, [Fate::Delivered]);
}

#[test]
fn a_form_that_is_no_json_is_refused() {
    let server = Server::new("http://127.0.0.1:9200");
    let options = Options { server, index: Pattern::parse("barewire").expect("a name") };
    assert!(Bulk::new(&options, Form::Cef).is_err_and(|why| why.contains("take ecs or ocsf")));
    assert!(Bulk::new(&options, Form::Ocsf).is_ok());
}
