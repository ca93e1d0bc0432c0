//! Who is let in, over real sockets.

use super::{PROGRAM, Ui, office, root, scratch};
use base64::Engine as _;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

const GET: &str = "GET / HTTP/1.1\r\nHost: HOST\r\n";

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

#[test]
fn requests_of_other_pages_and_for_other_hosts_get_nothing() {
    let records = scratch("door.ndjson", &office());
    let ui = Ui::over(&records, &["--name", "sensor.example,Other.example"]);
    let port = ui.address.port();
    ui.page_with("/", "carol");
    for (request, wanted) in [
        (format!("{GET}\r\n"), "200"),
        (format!("GET / HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"), "200"),
        (format!("GET / HTTP/1.1\r\nhost: SENSOR.example:{port}\r\n\r\n"), "200"),
        ("GET / HTTP/1.0\r\nHost: other.example\r\n\r\n".to_owned(), "200"),
        (format!("{GET}Origin: http://HOST\r\nSec-Fetch-Site: same-origin\r\n\r\n"), "200"),
        (
            format!("{GET}Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\r\n"),
            "200",
        ),
        // A name of a stranger that leads here.
        (format!("GET / HTTP/1.1\r\nHost: attacker.example:{port}\r\n\r\n"), "421"),
        (format!("GET /events HTTP/1.1\r\nHost: attacker.example:{port}\r\n\r\n"), "421"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "421"),
        (format!("{GET}Host: localhost\r\n\r\n"), "421"),
        (format!("{GET}Origin: http://attacker.example\r\n\r\n"), "403"),
        (format!("{GET}Origin: null\r\n\r\n"), "403"),
        // Said twice is not left out, nor is what is no text.
        (format!("{GET}Origin: http://HOST\r\nOrigin: http://attacker.example\r\n\r\n"), "403"),
        (format!("{GET}Origin:\r\n\r\n"), "403"),
        (format!("{GET}Sec-Fetch-Site: cross-site\r\nSec-Fetch-Site: none\r\n\r\n"), "403"),
        ("GET / HTTP/1.1\r\nHost: user@localhost\r\n\r\n".to_owned(), "421"),
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1.\r\n\r\n".to_owned(), "421"),
        ("GET / HTTP/1.1\r\nHost: localhost%2eattacker.example\r\n\r\n".to_owned(), "421"),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n".to_owned(), "421"),
        (
            format!("{GET}Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: script\r\n\r\n"),
            "403",
        ),
        (
            format!("{GET}Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n\r\n"),
            "403",
        ),
        ("GET /events HTTP/1.1\r\nHost: HOST\r\nSec-Fetch-Site: cross-site\r\n\r\n".to_owned(), "403"),
        ("POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\n\r\nx".to_owned(), "405"),
        ("HEAD / HTTP/1.1\r\nHost: HOST\r\n\r\n".to_owned(), "405"),
        // As a proxy is asked; who is meant is judged all the same.
        ("GET http://HOST/ HTTP/1.1\r\nHost: HOST\r\n\r\n".to_owned(), "200"),
        ("GET http://HOST/ HTTP/1.1\r\nHost: attacker.example\r\n\r\n".to_owned(), "421"),
        ("GET http://HOST/nothing HTTP/1.1\r\nHost: HOST\r\n\r\n".to_owned(), "404"),
        ("GET /../etc/passwd HTTP/1.1\r\nHost: HOST\r\n\r\n".to_owned(), "404"),
        ("GET /favicon.ico HTTP/1.1\r\nHost: HOST\r\n\r\n".to_owned(), "204"),
        ("GET / HTTP/1.1\r\nHost HOST\r\n\r\n".to_owned(), "400"),
        (format!("{GET}{}\r\n", "x: y\r\n".repeat(100)), "431"),
        (format!("{GET}x: {}\r\n\r\n", "y".repeat(20_000)), "431"),
    ] {
        let answer = ui.ask(&request);
        assert_eq!(status(&answer), wanted, "{request:.300}: {answer:.400}");
        assert!(!request.starts_with("HEAD ") || answer.ends_with("\r\n\r\n"), "{answer}");
        let tells = answer.contains("carol");
        assert_eq!(tells, wanted == "200", "{request}");
    }
    let head = ui.ask(&format!("{GET}\r\n"));
    let head = head.split("\r\n\r\n").next().expect("a head").to_ascii_lowercase();
    for part in [
        "content-security-policy: default-src 'none'",
        "frame-ancestors 'none'",
        "x-frame-options: deny",
        "x-content-type-options: nosniff",
        "cross-origin-resource-policy: same-origin",
        "cross-origin-opener-policy: same-origin",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
    ] {
        assert!(head.contains(part), "{part}: {head}");
    }
    assert!(!head.contains("access-control") && !head.contains("unsafe"), "{head}");
    ui.stop();
}

#[test]
fn readers_who_read_nothing_keep_nobody_waiting() {
    let records = scratch("slow.ndjson", &office());
    let ui = Ui::over(&records, &[]);
    ui.page_with("/", "carol");
    let mut silent = Vec::new();
    for at in 0..200 {
        let mut socket = TcpStream::connect(ui.address).expect("a connection");
        if at % 2 == 0 {
            let request = format!("GET /events?page={at} HTTP/1.1\r\nHost: {}\r\n\r\n", ui.address);
            let _ = socket.write_all(request.as_bytes());
        }
        silent.push(socket);
    }
    assert!(ui.page("/").contains("carol"));
    drop(silent);
    ui.stop();
}

/// However many look on, each is told what comes, and what comes later as well.
#[test]
fn all_who_look_on_are_told() {
    let records = scratch("lookers.ndjson", &office());
    let ui = Ui::over(&records, &[]);
    ui.page_with("/", "carol");
    let lookers: Vec<TcpStream> = (0..24)
        .map(|_| {
            let mut socket = TcpStream::connect(ui.address).expect("a connection");
            socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
            write!(socket, "GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", ui.address).expect("sent");
            socket
        })
        .collect();
    for name in ["carol", "late-comer"] {
        for mut looker in &lookers {
            told(&mut looker, name);
        }
        let mut file = std::fs::OpenOptions::new().append(true).open(&records).expect("the records");
        file.write_all(super::made::exposed("late-comer", 7).as_bytes()).expect("written");
    }
    ui.stop();
}

struct Papers {
    certificate: PathBuf,
    key: PathBuf,
    roots: RootCertStore,
}

/// Of one test: others run at the same time.
fn papers(of: &str) -> Papers {
    let pair = KeyPair::generate().expect("a key");
    let parameters = CertificateParams::new(vec!["sensor.example".to_owned()]).expect("a name");
    let certificate = parameters.self_signed(&pair).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).expect("trusted");
    Papers {
        certificate: scratch(&format!("{of}-cert.pem"), certificate.pem().as_bytes()),
        key: scratch(&format!("{of}-key.pem"), pair.serialize_pem().as_bytes()),
        roots,
    }
}

const TOKEN: &str = "a made-up token of some length";

/// A page for others.
fn for_others(records: &Path, papers: &Papers) -> Ui {
    let token = scratch("token", format!("{TOKEN}\n").as_bytes());
    let path = |path: &Path| path.to_str().expect("a name").to_owned();
    let [records, token, certificate, key] = [records, &token, &papers.certificate, &papers.key].map(path);
    Ui::start(&[
        &records,
        "--listen",
        "0.0.0.0:0",
        "--token",
        &token,
        "--certificate",
        &certificate,
        "--key",
        &key,
        "--name",
        "sensor.example",
    ])
}

fn dialled(ui: &Ui, papers: &Papers) -> StreamOwned<ClientConnection, TcpStream> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(papers.roots.clone())
        .with_no_client_auth();
    let name = ServerName::try_from("sensor.example").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    let socket = TcpStream::connect(ui.address).expect("a connection");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    StreamOwned::new(connection, socket)
}

fn over_tls(ui: &Ui, papers: &Papers, authorization: &str) -> String {
    let mut stream = dialled(ui, papers);
    write!(stream, "GET / HTTP/1.1\r\nHost: sensor.example\r\n{authorization}\r\n").expect("sent");
    let mut answer = String::new();
    // It must end as TLS ends, or what came may be cut.
    stream.read_to_string(&mut answer).expect("all of the answer");
    answer
}

#[test]
fn others_come_over_tls_with_the_token() {
    let records = scratch("tls.ndjson", &office());
    let papers = papers("tls");
    let ui = for_others(&records, &papers);
    let basic = |password: &str| {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("anybody:{password}"));
        format!("Authorization: Basic {pair}\r\n")
    };
    for (authorization, wanted) in [
        (String::new(), "401"),
        (basic("another token of that length!"), "401"),
        (basic(TOKEN), "200"),
        (format!("Authorization: Bearer {TOKEN}\r\n"), "200"),
        (format!("Authorization: Bearer {}\r\n", &TOKEN[1..]), "401"),
    ] {
        let answer = over_tls(&ui, &papers, &authorization);
        assert_eq!(status(&answer), wanted, "{answer:.400}");
        assert_eq!(answer.contains("WWW-Authenticate: Basic realm="), wanted == "401");
    }
    let in_clear = ui.ask(&format!("{GET}{}\r\n", basic(TOKEN)));
    assert!(!in_clear.contains("carol") && !in_clear.starts_with("HTTP/1.1 200"), "{in_clear:.200}");
    assert!(!ui.watched.said().contains("made-up"), "the token is told to nobody");
    ui.stop();
}

/// What has come once `name` is in it.
fn told(stream: &mut impl Read, name: &str) -> String {
    let mut told = String::new();
    let mut octets = [0; 64 * 1024];
    while !told.contains(name) {
        let count = stream.read(&mut octets).unwrap_or_else(|error| panic!("{name} is not told: {error}"));
        assert!(count > 0, "it is sent away before {name}");
        told.push_str(&String::from_utf8_lossy(&octets[..count]));
    }
    told
}

#[test]
fn half_a_handshake_keeps_nobody_waiting_and_events_come_over_tls() {
    let records = scratch("half.ndjson", &office());
    let papers = papers("half");
    let ui = for_others(&records, &papers);
    let halves: Vec<TcpStream> = (0..100)
        .map(|at| {
            let mut socket = TcpStream::connect(ui.address).expect("a connection");
            // The beginning of a ClientHello, of which the rest never comes.
            socket.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..at % 12]).expect("sent");
            socket
        })
        .collect();
    let mut stream = dialled(&ui, &papers);
    write!(stream, "GET /events HTTP/1.1\r\nHost: sensor.example\r\nAuthorization: Bearer {TOKEN}\r\n\r\n")
        .expect("sent");
    let first = told(&mut stream, "carol");
    assert!(first.starts_with("HTTP/1.1 200 ") && first.contains("text/event-stream"), "{first:.400}");
    let mut file = std::fs::OpenOptions::new().append(true).open(&records).expect("the records");
    file.write_all(super::made::exposed("late-comer", 7).as_bytes()).expect("written");
    told(&mut stream, "late-comer");
    drop((halves, stream));
    ui.stop();
}

fn refused(arguments: &[&str]) -> String {
    let Output { status, stderr, .. } =
        Command::new(PROGRAM).arg("ui").args(arguments).current_dir(root()).output().expect("the program runs");
    let said = String::from_utf8(stderr).expect("text");
    assert_eq!((status.code(), said.lines().count()), (Some(2), 1), "{said}");
    said
}

#[test]
fn a_page_for_others_is_not_opened_without_token_and_tls() {
    let records = scratch("refused.ndjson", &office());
    let records = records.to_str().expect("a name");
    let short = scratch("short-token", b"tiny\n");
    let short = short.to_str().expect("a name");
    for (arguments, part) in [
        (&[records, "--listen", "0.0.0.0:9470"][..], "use 127.0.0.1:9470, or add --token, --certificate and --key"),
        (&[records, "--listen", "[::]:0"], "others can reach this address"),
        (&[records, "--listen", "nowhere"], "write it as PORT, ADDRESS:PORT or [ADDRESS]:PORT"),
        (&[records, "--listen", "0", "--token", short], "can be guessed"),
        (&[records, "--listen", "0", "--token", "/nonexistent"], "/nonexistent"),
        (&[records, "--listen", "0", "--certificate", "x"], "--certificate needs --key as well"),
        (&[records, "--listen", "0", "--certificate", records, "--key", short], "no certificate in it"),
    ] {
        let said = refused(arguments);
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    assert!(refused(&[records, "--listen", &address]).contains("name an address and port that are free here"));
}
