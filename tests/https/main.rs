//! Receivers over HTTP, as the contract says and as it must not be: each status, answers that are cut, silence, TLS.

mod stub;

use barewire::output::Form;
use barewire::sink::http::bulk::{self, Bulk};
use barewire::sink::http::hec::{self, Hec};
use barewire::sink::http::webhook::{self, Webhook};
use barewire::sink::http::{Login, Pattern, Server};
use barewire::sink::{Fate, Parcel, Report, TlsOptions, Transport};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use stub::{Papers, Reply, Request, Stub, answer};

fn line(id: &str) -> String {
    format!(r#"{{"@timestamp":"2026-01-02T03:04:05.678901Z","event":{{"id":"{id}","dataset":"barewire.finding"}}}}"#)
}

fn parcels(count: u64) -> Vec<Parcel> {
    let parcel = |number: u64| Parcel { number, line: line(&format!("N{number}")).into_bytes().into() };
    (0..count).map(parcel).collect()
}

fn server(stub: &Stub) -> Server {
    Server::new(format!("http://127.0.0.1:{}/below/", stub.port))
}

fn name(text: &str) -> Pattern {
    Pattern::parse(text).expect("a name")
}

fn bulk(server: Server) -> Bulk {
    Bulk::new(&bulk::Options { server, index: name("logs-barewire.{kind}-default") }, Form::Ecs).expect("good options")
}

fn webhook(server: Server) -> Webhook {
    let options = webhook::Options { server, body: webhook::Body::Lines };
    Webhook::new(&options, Form::Ecs).expect("good options")
}

fn hec(server: Server, acknowledge: bool) -> Hec {
    let sourcetype = name("barewire:{kind}");
    let options = hec::Options { server, acknowledge, index: None, sourcetype, source: None, hostname: None };
    Hec::new(&options, Form::Ecs).expect("good options")
}

/// Why nothing of a batch was delivered.
fn why(report: Report) -> String {
    assert!(report.fates.iter().all(|fate| *fate == Fate::Waits), "{report:?}");
    let why = report.trouble.expect("trouble").why;
    assert!(why.starts_with("127.0.0.1:") && why.len() < 400 && !why.contains('\n'), "{why}");
    why
}

fn refused(why: &str) -> Fate {
    Fate::Refused(why.to_owned())
}

/// What a store says of documents, whose statuses it decides by their identities.
fn items(request: &Request, status: impl Fn(&str) -> u16) -> String {
    let lines = request.lines();
    let items = lines.chunks(2).map(|pair| {
        let action: Value = serde_json::from_str(pair[0]).expect("an action");
        let id = action["create"]["_id"].as_str().expect("an identity");
        let status = status(id);
        let error = (status > 299).then(|| json!({ "type": "t", "reason": "r" }));
        let mut item = json!({ "_id": id, "status": status });
        if let Some(error) = error {
            item["error"] = error;
        }
        json!({ "create": item })
    });
    json!({ "took": 1, "errors": true, "items": items.collect::<Vec<_>>() }).to_string()
}

// --- bulk requests --------------------------------------------------------------------------------

#[test]
fn each_document_has_its_own_fate_and_only_those_that_wait_are_sent_again() {
    let is_busy = Mutex::new(true);
    let stub = Stub::new(move |request| {
        let was_busy = std::mem::replace(&mut *is_busy.lock().expect("a lock"), false);
        let status = |id: &str| match id {
            "N1" => 409,
            "N2" => 400,
            "N3" | "N4" if was_busy => 429,
            _ => 201,
        };
        Reply::Says(answer(200, &["Retry-After: 7"], &items(request, status)))
    });
    let mut bulk = bulk(server(&stub));
    let mut parcels = parcels(6);
    let report = bulk.deliver(&parcels);
    let fates = [Fate::Delivered, Fate::Duplicate, refused("400 t r"), Fate::Waits, Fate::Waits, Fate::Delivered];
    assert_eq!(report.fates, fates);
    let trouble = report.trouble.expect("trouble");
    assert_eq!(trouble.why, format!("127.0.0.1:{}: it takes documents later: 429 t r", stub.port));
    assert_eq!(trouble.retry_after, Some(Duration::from_secs(7)));
    let mut fates = report.fates.into_iter();
    parcels.retain(|_| fates.next() == Some(Fate::Waits));
    assert_eq!(bulk.deliver(&parcels), Report::all(2, Fate::Delivered));
    let requests = stub.requests();
    assert_eq!((requests.len(), stub.connections()), (2, 1), "one connection for both");
    assert!(requests[0].path.starts_with("/below/_bulk?"), "{}", requests[0].path);
    assert_eq!(requests[0].header("content-type"), "application/x-ndjson");
    assert_eq!(requests[1].lines().len(), 4);
    let action = json!({ "create": { "_index": "logs-barewire.finding-default", "_id": "N3" } });
    assert_eq!(serde_json::from_str::<Value>(requests[1].lines()[0]).expect("JSON"), action);
    assert_eq!(requests[1].lines()[1], line("N3"));
}

#[test]
fn what_is_no_record_is_refused_and_takes_no_other_along() {
    let stub = Stub::new(|request| Reply::Says(answer(200, &[], &items(request, |_| 201))));
    let mut parcels = parcels(3);
    parcels[1].line = b"{}".as_slice().into();
    let fates = [Fate::Delivered, refused("no record"), Fate::Delivered];
    assert_eq!(bulk(server(&stub)).deliver(&parcels), Report { fates: fates.to_vec(), trouble: None });
    parcels[1].line = "{\"event\":{\"id\":\"a\"},\n\"x\":1}".as_bytes().into();
    assert_eq!(bulk(server(&stub)).deliver(&parcels).fates[1], refused("not a line of printable ASCII"));
    parcels[1].line = b"{\"event\":{\"id\":\"a\"}}".as_slice().into();
    assert_eq!(bulk(server(&stub)).deliver(&parcels).fates[1], refused("of no kind"));
}

#[test]
fn a_batch_that_is_too_large_is_halved() {
    let stub = Stub::new(|request| match request.lines().len() > 2 * 30 {
        true => Reply::Says(answer(413, &[], "too large")),
        false => Reply::Says(answer(200, &[], &items(request, |_| 201))),
    });
    let mut bulk = bulk(server(&stub));
    assert_eq!(bulk.deliver(&parcels(100)), Report::all(100, Fate::Delivered));
    let sizes: Vec<usize> = stub.requests().iter().map(|request| request.lines().len() / 2).collect();
    assert_eq!(sizes, [100, 50, 25, 25, 25, 25]);
    assert_eq!(bulk.deliver(&parcels(30)), Report::all(30, Fate::Delivered));
    assert_eq!(stub.requests().len(), 8, "it is remembered");
}

/// One that does not fit into all buffers between.
fn huge() -> Vec<Parcel> {
    let line = format!(r#"{{"event":{{"id":"A","dataset":"barewire.finding"}},"x":"{}"}}"#, "y".repeat(16 << 20));
    vec![Parcel { number: 0, line: line.into_bytes().into() }]
}

/// What the server says is read although it did not read all that was sent.
#[test]
fn an_answer_that_comes_before_the_end_of_the_request_is_read() {
    let papers = Papers::new("early");
    for is_tls in [false, true] {
        let (port, served) = stub::once(is_tls.then(|| papers.server()), |client| {
            client.read_exact(&mut [0; 1000]).expect("the beginning");
            client.write_all(answer(413, &[], "").as_bytes()).and_then(|()| client.flush()).expect("the client reads");
            // Closed with octets unread: the client is told by a reset.
        });
        let server = match is_tls {
            false => Server::new(format!("http://127.0.0.1:{port}")),
            true => Server { tls: right(&papers), ..Server::new(format!("https://127.0.0.1:{port}")) },
        };
        assert_eq!(bulk(server).deliver(&huge()), Report::all(1, refused("413")));
        served.join().expect("the server");
    }
}

/// Whoever says that all is well before all was sent is not believed.
#[test]
fn a_good_answer_to_half_a_request_is_none() {
    let papers = Papers::new("half");
    for is_tls in [false, true] {
        let (port, served) = stub::once(is_tls.then(|| papers.server()), |client| {
            client.read_exact(&mut [0; 1000]).expect("the beginning");
            client.write_all(answer(200, &[], "").as_bytes()).and_then(|()| client.flush()).expect("the client reads");
        });
        let server = match is_tls {
            false => Server::new(format!("http://127.0.0.1:{port}")),
            true => Server { tls: right(&papers), ..Server::new(format!("https://127.0.0.1:{port}")) },
        };
        why(webhook(server).deliver(&huge()));
        served.join().expect("the server");
    }
}

#[test]
fn a_status_that_is_about_no_record_loses_none() {
    for (status, headers, body, words, after) in [
        (429, &["Retry-After: 120"][..], "slow\ndown", "it answers 429: slow?down", Some(120)),
        (
            503,
            &["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: Sun, 06 Nov 1994 08:50:37 GMT"],
            "",
            "503",
            Some(60),
        ),
        (500, &[], "", "it answers 500", None),
        (400, &[], "no", "it answers 400: no", None),
        (401, &["WWW-Authenticate: Basic"], "", "it answers 401; give it a login that may write", None),
        (403, &[], "", "give it a login", None),
        (404, &[], "", "it answers 404", None),
        (302, &["Location: http://127.0.0.1:1/"], "", "it answers 302; name the address where it leads", None),
        (307, &["Location: /elsewhere"], "", "it answers 307", None),
    ] {
        let text = answer(status, headers, body);
        let stub = Stub::new(move |_| Reply::Says(text.clone()));
        let report = bulk(server(&stub)).deliver(&parcels(3));
        assert_eq!(report.trouble.as_ref().and_then(|trouble| trouble.retry_after), after.map(Duration::from_secs));
        assert!(why(report).contains(words), "{status}");
        assert_eq!(stub.requests().len(), 1, "nothing is followed or tried again at once");
    }
}

#[test]
fn an_answer_that_is_none_loses_no_record() {
    let good = answer(200, &[], r#"{"items":[{"create":{"status":201}}]}"#);
    let endless = format!("HTTP/1.1 200 OK\r\nContent-Length: 900000000\r\n\r\n{}", "[".repeat(300_000));
    let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n", "x".repeat(100_000));
    for (octets, words) in [
        (answer(200, &[], "<html>sign in</html>"), "not that to a bulk request"),
        (answer(200, &[], r#"{"items":[]}"#), "about 0 documents of 1"),
        (answer(204, &[], ""), "not that to a bulk request"),
        (answer(200, &[], &"[".repeat(10_000)), "not that to a bulk request"),
        (endless, "too long"),
        (head, "header"),
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), "does not speak HTTP"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_owned(), "does not speak HTTP"),
        (good[..good.len() - 1].to_owned(), ""),
        (good[..20].to_owned(), ""),
        (String::new(), "closed"),
    ] {
        let stub = Stub::new(move |_| Reply::Ends(octets.clone()));
        let said = why(bulk(server(&stub)).deliver(&parcels(1)));
        assert!(said.contains(words), "{words}: {said}");
    }
    let stub = Stub::new(move |_| Reply::Says(good.clone()));
    assert_eq!(bulk(server(&stub)).deliver(&parcels(1)), Report::all(1, Fate::Delivered));
}

#[test]
fn whoever_says_nothing_or_little_is_left_after_a_while() {
    let patience = Duration::from_millis(50);
    let stub = Stub::new(|_| Reply::Silence);
    let said = why(bulk(Server { patience, ..server(&stub) }).deliver(&parcels(1)));
    assert!(said.contains("nothing within"), "{said}");
    // One that reads nothing of a request that does not fit between.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its port").port();
    let said = why(bulk(Server { patience, ..Server::new(format!("http://127.0.0.1:{port}")) }).deliver(&huge()));
    assert!(said.contains("nothing within"), "{said}");
    drop(listener);
    let said = why(bulk(Server::new(format!("http://127.0.0.1:{port}"))).deliver(&parcels(1)));
    assert!(said.contains("refused"), "{said}");
}

/// An octet now and then does not hold it up.
#[test]
fn whoever_trickles_is_left_after_a_while() {
    let (port, served) = stub::once(None, |client| {
        let _ = client.read(&mut [0; 1000]);
        let _ = client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        while client.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    let patience = Duration::from_millis(50);
    let said = why(bulk(Server { patience, ..Server::new(format!("http://127.0.0.1:{port}")) }).deliver(&parcels(1)));
    assert!(said.contains("nothing within"), "{said}");
    served.join().expect("the server");
}

#[test]
fn a_connection_that_was_closed_between_batches_is_opened_anew_without_trouble() {
    let stub = Stub::new(|request| Reply::Ends(answer(200, &[], &items(request, |_| 201))));
    let mut bulk = bulk(server(&stub));
    for _ in 0..3 {
        assert_eq!(bulk.deliver(&parcels(2)), Report::all(2, Fate::Delivered));
        // Until the end of the connection is here.
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(stub.connections(), 3);
}

#[test]
fn requests_are_compressed_where_that_is_asked_for() {
    let stub = Stub::new(|request| Reply::Says(answer(200, &[], &items(request, |_| 201))));
    let mut bulk = bulk(Server { gzip: true, ..server(&stub) });
    assert_eq!(bulk.deliver(&parcels(500)), Report::all(500, Fate::Delivered));
    let request = &stub.requests()[0];
    assert_eq!((request.header("content-encoding"), request.lines().len()), ("gzip", 1000));
    assert!(request.header("content-length").parse::<usize>().expect("a length") < request.body.len() / 5);
}

// --- what is shown --------------------------------------------------------------------------------

#[test]
fn logins_and_headers_are_shown() {
    let papers = Papers::new("shown");
    let stub = Stub::new(|request| Reply::Says(answer(200, &[], &items(request, |_| 201))));
    let logins = [
        (Login::Basic("bob".to_owned(), papers.write("password", "made-up\n")), "Basic Ym9iOm1hZGUtdXA="),
        (Login::Token("ApiKey", papers.write("key", "bWFkZS11cA==\n")), "ApiKey bWFkZS11cA=="),
        (Login::None, ""),
    ];
    for (login, shown) in logins {
        let headers = Some(papers.write("headers", "X-Team: soc\n"));
        let report = bulk(Server { login, headers, ..server(&stub) }).deliver(&parcels(1));
        assert_eq!(report, Report::all(1, Fate::Delivered));
        let request = stub.requests().pop().expect("a request");
        assert_eq!((request.header("authorization"), request.header("x-team")), (shown, "soc"));
        assert!(request.header("user-agent").starts_with("barewire/"));
    }
}

fn tls(papers: &Papers, shown: Option<&str>, name: Option<&str>) -> TlsOptions {
    TlsOptions {
        ca: Some(papers.path("ca.pem")),
        certificate: shown.map(|shown| papers.path(&format!("{shown}.pem"))),
        key: shown.map(|shown| papers.path(&format!("{shown}.key"))),
        name: name.map(str::to_owned),
    }
}

/// Of a sensor that is let in.
fn right(papers: &Papers) -> TlsOptions {
    tls(papers, Some("sensor"), Some("siem.example"))
}

#[test]
fn certificates_are_checked_by_both() {
    let papers = Papers::new("tls");
    let stub = Stub::over_tls(&papers, |request| Reply::Says(answer(200, &[], &items(request, |_| 201))));
    let url = format!("https://127.0.0.1:{}", stub.port);
    let bulk = |tls: TlsOptions| bulk(Server { tls, ..Server::new(&url) });
    let mut good = bulk(right(&papers));
    for _ in 0..2 {
        assert_eq!(good.deliver(&parcels(700)), Report::all(700, Fate::Delivered));
    }
    assert_eq!(stub.requests().iter().map(|request| request.connection).collect::<Vec<_>>(), [0, 0]);
    for (tls, words) in [
        (tls(&papers, Some("sensor"), None), "its certificate is not for 127.0.0.1"),
        (tls(&papers, Some("sensor"), Some("other.example")), "not for other.example"),
        (tls(&papers, None, Some("siem.example")), "it refused this client (CertificateRequired)"),
        (tls(&papers, Some("stranger"), Some("siem.example")), "it refused this client"),
        (TlsOptions { ca: Some(papers.path("other-ca.pem")), ..right(&papers) }, "from no authority trusted here"),
    ] {
        let said = why(bulk(tls).deliver(&parcels(700)));
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(stub.requests().len(), 2, "nothing but that came");
}

#[test]
fn certificates_are_read_anew_and_stay_where_they_cannot_be() {
    let papers = Papers::new("renewed");
    let stub = Stub::over_tls(&papers, |request| Reply::Says(answer(200, &[], &items(request, |_| 201))));
    let read = |name: &str| std::fs::read_to_string(papers.path(name)).expect(name);
    let right_ones = ["sensor.pem", "sensor.key"].map(read);
    for (name, other) in [("sensor.pem", "stranger.pem"), ("sensor.key", "stranger.key")] {
        papers.write(name, &read(other));
    }
    let url = format!("https://127.0.0.1:{}", stub.port);
    let mut bulk = bulk(Server { tls: right(&papers), ..Server::new(&url) });
    assert!(why(bulk.deliver(&parcels(1))).contains("it refused this client"));
    let shown = bulk.papers().expect("over TLS");
    papers.write("sensor.pem", &right_ones[0]);
    let half = shown.renew().expect_err("another's key");
    assert!(half.contains("sensor.pem: not the certificate of key"), "{half}");
    assert!(why(bulk.deliver(&parcels(1))).contains("it refused this client"), "it is as it was");
    papers.write("sensor.key", &right_ones[1]);
    shown.renew().expect("both are there");
    assert_eq!(bulk.deliver(&parcels(1)), Report::all(1, Fate::Delivered));
    papers.write("ca.pem", "nothing");
    assert!(shown.renew().is_err());
    assert_eq!(bulk.deliver(&parcels(1)), Report::all(1, Fate::Delivered));
}

// --- webhooks -------------------------------------------------------------------------------------

#[test]
fn a_webhook_gets_lines_or_a_list_in_any_form() {
    let stub = Stub::new(|_| Reply::Says(answer(202, &[], "thanks")));
    let parcels = parcels(3);
    let post = |body: webhook::Body, form: Form| {
        let server = Server::new(format!("http://127.0.0.1:{}/hook?team=soc", stub.port));
        let report = Webhook::new(&webhook::Options { server, body }, form).expect("good options").deliver(&parcels);
        assert_eq!(report, Report::all(3, Fate::Delivered));
        let request = stub.requests().pop().expect("a request");
        assert_eq!(request.path, "/hook?team=soc");
        (request.header("content-type").to_owned(), request.body)
    };
    let lines: String = (0..3).map(|number| line(&format!("N{number}")) + "\n").collect();
    assert_eq!(post(webhook::Body::Lines, Form::Ecs), ("application/x-ndjson".to_owned(), lines));
    let (kind, list) = post(webhook::Body::List, Form::Ocsf);
    let list: Vec<Value> = serde_json::from_str(&list).expect("a list");
    assert_eq!((kind.as_str(), list.len(), &list[2]["metadata"]["uid"]), ("application/json", 3, &json!("N2")));
    let (kind, lines) = post(webhook::Body::Lines, Form::Cef);
    assert!(kind == "text/plain" && lines.lines().count() == 3 && lines.starts_with("CEF:0|"), "{kind} {lines}");
    let (_, list) = post(webhook::Body::List, Form::Cef);
    let list: Vec<String> = serde_json::from_str(&list).expect("a list of texts");
    assert!(list.iter().all(|text| text.starts_with("CEF:0|")), "{list:?}");
}

#[test]
fn a_webhook_that_finds_fault_with_a_batch_is_asked_about_each() {
    let stub = Stub::new(|request| {
        let has = |id: &str| request.body.contains(&format!("\"{id}\""));
        let alone = request.lines().len() == 1;
        Reply::Says(match () {
            () if has("N7") => answer(400, &[], "no"),
            () if has("N20") => answer(if alone { 409 } else { 422 }, &[], "there already"),
            () => answer(200, &[], ""),
        })
    });
    let report = webhook(server(&stub)).deliver(&parcels(40));
    for (at, fate) in report.fates.iter().enumerate() {
        let wanted = match at {
            7 => refused("400: no"),
            20 => Fate::Duplicate,
            _ => Fate::Delivered,
        };
        assert_eq!(*fate, wanted, "{at}");
    }
    assert_eq!(report.trouble, None);
    for (status, words) in [(408, "408"), (425, "425"), (429, "429"), (401, "401"), (502, "502"), (301, "301")] {
        let stub = Stub::new(move |_| Reply::Says(answer(status, &[], "")));
        assert!(why(webhook(server(&stub)).deliver(&parcels(2))).contains(words));
    }
}

/// What it made of the records is known by its status, whatever becomes of the rest of its answer.
#[test]
fn a_webhook_may_say_much_or_be_cut() {
    for octets in [
        answer(200, &[], &"x".repeat(300_000)),
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_owned(),
        "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
    ] {
        let stub = Stub::new(move |_| Reply::Ends(octets.clone()));
        let mut webhook = webhook(server(&stub));
        assert_eq!(webhook.deliver(&parcels(2)), Report::all(2, Fate::Delivered));
        assert_eq!(webhook.deliver(&parcels(2)), Report::all(2, Fate::Delivered));
    }
}

// --- Splunk's event collector ---------------------------------------------------------------------

fn events(request: &Request) -> Vec<Value> {
    serde_json::Deserializer::from_str(&request.body).into_iter().map(|event| event.expect("an event")).collect()
}

#[test]
fn an_event_collector_refuses_one_event_alone() {
    let papers = Papers::new("hec");
    let stub = Stub::new(|request| {
        let place = events(request).iter().position(|event| event["event"]["event"]["id"] == "N5");
        Reply::Says(match place {
            None => answer(200, &[], r#"{"text":"Success","code":0}"#),
            Some(place) => {
                let said = json!({ "text": "Invalid data format", "code": 6, "invalid-event-number": place });
                answer(400, &[], &said.to_string())
            }
        })
    });
    let login = Login::Token("Splunk", papers.write("token", "made-up"));
    let report = hec(Server { login, ..server(&stub) }, false).deliver(&parcels(20));
    assert_eq!(report.trouble, None);
    for (at, fate) in report.fates.iter().enumerate() {
        let is_refused = matches!(fate, Fate::Refused(why) if why.contains("Invalid data format"));
        assert!(if at == 5 { is_refused } else { *fate == Fate::Delivered }, "{at} {fate:?}");
    }
    let request = &stub.requests()[0];
    assert_eq!(
        (request.path.as_str(), request.header("authorization")),
        ("/below/services/collector/event", "Splunk made-up")
    );
    assert_eq!(request.header("x-splunk-request-channel"), "");
    assert_eq!(events(request).len(), 20);
}

#[test]
fn what_an_event_collector_says_of_itself_loses_no_record() {
    for (status, body) in [
        (403, r#"{"text":"Invalid token","code":4}"#),
        (401, r#"{"text":"Token is required","code":2}"#),
        (400, r#"{"text":"Incorrect index","code":7,"invalid-event-number":0}"#),
        (400, r#"{"text":"Data channel is missing","code":10}"#),
        (400, "<html>"),
        (400, ""),
        (503, r#"{"text":"Server is busy","code":9}"#),
        (500, r#"{"text":"Internal server error","code":8}"#),
        // Whoever answers 200 without a word is no collector.
        (200, ""),
        (200, "<html>sign in</html>"),
        (200, r#"{"text":"what","code":8}"#),
        (200, r#"{"code":"0"}"#),
        (200, r#"{"code":-1}"#),
    ] {
        let stub = Stub::new(move |_| Reply::Says(answer(status, &[], body)));
        assert!(why(hec(server(&stub), false).deliver(&parcels(2))).contains(&status.to_string()), "{status} {body}");
    }
}

/// A collector that acknowledges: each request after it was asked some times for it.
fn acknowledging(asked_before: usize) -> Stub {
    let taken = AtomicUsize::new(0);
    let asked: Mutex<BTreeMap<u64, usize>> = Mutex::default();
    Stub::new(move |request| {
        if request.path.contains("/collector/event") {
            let number = taken.fetch_add(1, Ordering::Relaxed);
            return Reply::Says(answer(200, &[], &format!(r#"{{"text":"Success","code":0,"ackId":{number}}}"#)));
        }
        let question: Value = serde_json::from_str(&request.body).expect("JSON");
        let mut asked = asked.lock().expect("a lock");
        let mut acks = serde_json::Map::new();
        for number in question["acks"].as_array().expect("numbers") {
            let number = number.as_u64().expect("a number");
            let is_taken = number < taken.load(Ordering::Relaxed) as u64;
            let times = asked.entry(number).or_default();
            *times += usize::from(is_taken);
            acks.insert(number.to_string(), json!(is_taken && *times > asked_before));
        }
        Reply::Says(answer(200, &[], &json!({ "acks": acks }).to_string()))
    })
}

#[test]
fn with_acknowledgement_records_are_sent_once_and_wait_until_they_are_indexed() {
    for asked_before in [0, 3] {
        let stub = acknowledging(asked_before);
        let mut hec = hec(server(&stub), true);
        let parcels = parcels(50);
        for _ in 0..asked_before {
            assert_eq!(hec.deliver(&parcels), Report::all(50, Fate::Waits));
        }
        assert_eq!(hec.deliver(&parcels), Report::all(50, Fate::Delivered));
        let requests = stub.requests();
        let sent: Vec<_> = requests.iter().filter(|request| request.path.contains("/event")).collect();
        assert_eq!((sent.len(), events(sent[0]).len()), (1, 50));
        let channel = sent[0].header("x-splunk-request-channel");
        assert_eq!(channel.len(), 36);
        for asked in requests.iter().filter(|request| request.path.contains("/ack")) {
            assert!(asked.path.ends_with(&format!("?channel={channel}")), "{}", asked.path);
        }
    }
}

#[test]
fn what_is_never_acknowledged_is_sent_again() {
    let stub = acknowledging(usize::MAX);
    let mut hec = hec(server(&stub), true);
    let mut troubles = 0;
    for _ in 0..40 {
        let report = hec.deliver(&parcels(2));
        assert_eq!(report.fates, [Fate::Waits, Fate::Waits]);
        troubles += report.trouble.map_or(0, |trouble| usize::from(trouble.why.contains("sent again")));
    }
    let sent = stub.requests().iter().filter(|request| request.path.contains("/event")).count();
    assert_eq!((sent, troubles), (3, 2));
}

/// One that was started anew knows nothing of what it took: it is not asked for long.
#[test]
fn after_trouble_what_was_taken_is_soon_sent_again() {
    let stub = acknowledging(usize::MAX);
    let is_down = std::sync::Arc::new(std::sync::atomic::AtomicBool::default());
    let (port, down) = (stub.port, std::sync::Arc::clone(&is_down));
    // Between the two, so that it can be down.
    let front = Stub::new(move |request| match down.load(Ordering::Relaxed) {
        true => Reply::Ends(String::new()),
        false => {
            let url = format!("http://127.0.0.1:{port}{}", request.path);
            let mut said = ureq::post(url).send(&request.body).expect("an answer");
            Reply::Says(answer(200, &[], &said.body_mut().read_to_string().expect("a text")))
        }
    });
    let sent = || stub.requests().iter().filter(|request| request.path.contains("/event")).count();
    let mut hec = hec(server(&front), true);
    assert_eq!(hec.deliver(&parcels(2)), Report::all(2, Fate::Waits));
    is_down.store(true, Ordering::Relaxed);
    assert!(why(hec.deliver(&parcels(2))).contains("closed"));
    is_down.store(false, Ordering::Relaxed);
    for questions in 1..=4 {
        assert_eq!(sent(), 1, "{questions}");
        hec.deliver(&parcels(2));
    }
    assert_eq!(sent(), 2);
}

#[test]
fn a_token_that_acknowledges_nothing_is_told_before_anything_is_sent() {
    let stub = Stub::new(|request| {
        assert!(request.path.contains("/ack"), "{}", request.path);
        Reply::Says(answer(400, &[], r#"{"text":"ACK is disabled","code":14}"#))
    });
    let said = why(hec(server(&stub), true).deliver(&parcels(2)));
    assert!(said.contains("ACK is disabled") && said.contains("have the token acknowledge"), "{said}");
    assert_eq!(stub.requests().len(), 1);
}

// --- through the program --------------------------------------------------------------------------

/// What the configuration names gets every record within the sandbox, and no secret of it is told.
#[test]
fn each_receiver_gets_every_record_and_nobody_the_passwords() {
    use std::process::Command;
    let papers = Papers::new("program");
    let store = Stub::new(|request| Reply::Says(answer(200, &[], &items(request, |_| 201))));
    let collector = acknowledging(0);
    let hook = Stub::over_tls(&papers, |request| {
        let is_bad = request.body.contains("\"barewire.session\"");
        Reply::Says(answer(if is_bad { 400 } else { 200 }, &[], "no sessions"))
    });
    let [password, token, headers] = ["S3cret-password", "S3cret-token", "X-Key: S3cret-header"]
        .map(|secret| papers.write(&secret.to_lowercase().replace(": ", "-"), secret).display().to_string());
    let key = papers.write("fingerprints", "thirty-two octets made for tests").display().to_string();
    let config = papers.write(
        "barewire.toml",
        &format!(
            "spool = '{spool}'\nfingerprint-key = '{key}'\nrecords = ['findings', 'logins', 'sessions']\n\
             [sinks.search]\ntype = 'elasticsearch'\nurl = 'http://localhost:{}'\nuser = 'bob'\npassword-file = '{password}'\n\
             [sinks.splunk]\ntype = 'splunk-hec'\nurl = 'http://127.0.0.1:{}'\ntoken-file = '{token}'\nacknowledge = true\n\
             [sinks.hook]\ntype = 'webhook'\nurl = 'https://127.0.0.1:{}/hook'\nheaders-file = '{headers}'\ngzip = true\n\
             ca = '{ca}'\ncertificate = '{certificate}'\nkey = '{own}'\nserver-name = 'siem.example'\n",
            store.port,
            collector.port,
            hook.port,
            spool = papers.path("spool").display(),
            ca = papers.path("ca.pem").display(),
            certificate = papers.path("sensor.pem").display(),
            own = papers.path("sensor.key").display(),
        ),
    );
    let barewire = |status: i32, arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_barewire")).args(arguments).output().expect("barewire");
        let told = [&output.stdout[..], b"\n", &output.stderr].concat();
        let told = String::from_utf8(told).expect("ASCII");
        assert!(!told.contains("S3cret") && !told.contains("Ym9iOlMz"), "{told}");
        assert_eq!(output.status.code(), Some(status), "{told}");
        told
    };
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/office.pcap");
    let kinds = "--records=findings,logins,sessions";
    let direct = barewire(0, &["replay", "-q", kinds, "--fingerprint-key", &key, sample]);
    let direct: Vec<Value> = direct.lines().flat_map(serde_json::from_str).collect();
    assert!(direct.len() > 30, "{}", direct.len());
    let config = config.display().to_string();
    assert!(barewire(0, &["check-config", &config]).contains(&password));
    let told = barewire(5, &["replay", "-q", "-c", &config, sample]);
    assert!(told.contains("sink hook: records are refused (400: no sessions)"), "{told}");
    assert!(told.contains("sink hook: 17 records refused for good"), "{told}");

    let stored = store.requests().into_iter().flat_map(|request| {
        assert_eq!(request.header("authorization"), "Basic Ym9iOlMzY3JldC1wYXNzd29yZA==");
        let lines: Vec<Value> = request.lines().iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        lines.into_iter().skip(1).step_by(2).collect::<Vec<_>>()
    });
    assert_eq!(stored.collect::<Vec<_>>(), direct);
    let asked = collector.requests();
    let collected = asked.iter().filter(|request| request.path.contains("/event")).flat_map(|request| {
        assert_eq!(request.header("authorization"), "Splunk S3cret-token");
        events(request).into_iter().map(|event| event["event"].clone()).collect::<Vec<_>>()
    });
    assert_eq!(collected.collect::<Vec<_>>(), direct);
    let hooked: Vec<Value> = hook
        .requests()
        .iter()
        .filter(|request| !request.body.contains("\"barewire.session\""))
        .flat_map(|request| {
            assert_eq!(request.header("x-key"), "S3cret-header");
            request.lines().into_iter().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<Value>>()
        })
        .collect();
    let is_session = |record: &&Value| record["event"]["dataset"] == "barewire.session";
    assert!(hooked.iter().eq(direct.iter().filter(|record| !is_session(record))));
    let dead = std::fs::read_to_string(papers.path("spool/hook/dead-letter.ndjson")).expect("dead letters");
    assert_eq!(dead.lines().count(), direct.iter().filter(is_session).count());
    assert!(dead.lines().all(|line| line.contains("no sessions")), "{dead}");
}
