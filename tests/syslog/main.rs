//! Records to real syslog servers: what rsyslog and syslog-ng write is what was sent, whoever is refused delivers nothing,
//! and a server that is killed loses what it has not confirmed and nothing else.

#[path = "../bed/net.rs"]
mod net;

mod daemons;

use barewire::output::{Encoder, Event, Form, Inputs};
use barewire::sink::relp::{self, Relp};
use barewire::sink::syslog::{self, Protocol, Syslog};
use barewire::sink::{Fate, Parcel, TlsOptions, Transport, rfc5424};
use barewire::testing::{Link, Speaker, Transcript, collect, replay, run};
use base64::Engine as _;
use daemons::{Daemon, Kind, Papers, Ports, skipped};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const HOSTNAME: &str = "tap-1.office.example";

// --- what is sent ---------------------------------------------------------------------------------

/// Names that people type to see what happens.
const HOSTILE: [&[u8]; 9] = [
    b"a]b\"c\\d",
    b"\"}],\x01\r\n<0>1 - - - - - - {\"event\":1}",
    b"\x1b[2J\x7f",
    "\u{feff}m\u{fc}ller \u{2603} \u{1f980}".as_bytes(),
    b"m\xfcller\xff\xfe",
    b"=cmd|' /C calc'!A0",
    b"%s%n ${jndi:ldap://x} $(id) `id` %msg% ${MSG}",
    b"tab\tand\nline",
    &[b'\\'; 300],
];

/// Findings, logins and sessions of the bundled capture and of people with hostile names.
fn lines() -> Vec<String> {
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/office.pcap");
    let mut all = vec![replay(&[capture]).0];
    for name in HOSTILE {
        let proof = [b"\0", name, b"\0Kestrel-Harbor-9"].concat();
        let proof = base64::engine::general_purpose::STANDARD.encode(proof);
        let transcript = Transcript::parse(143, "S: * OK ready\nC: a AUTHENTICATE PLAIN\nS: + ")
            .say(Speaker::Client, format!("{proof}\r\n").as_bytes())
            .say(Speaker::Server, b"a OK in\r\n");
        all.push(run(&transcript.play(), Link::Ethernet).0);
    }
    let mut encoder =
        Encoder::new(Inputs { names: vec!["a \"capture\".pcap".to_owned()], is_live: false, sensor: None });
    let mut lines = Vec::new();
    for records in &all {
        let findings = collect(records);
        let others = records.iter().filter_map(|record| match record {
            barewire::finding::Record::Login(login) => Some(Event::Login(login)),
            barewire::finding::Record::Session(session) => Some(Event::Session(session)),
            barewire::finding::Record::Finding(_) => None,
        });
        for event in findings.iter().map(Event::Finding).chain(others) {
            let mut line = Vec::new();
            encoder.encode(&event, &mut line);
            assert_eq!(line.pop(), Some(b'\n'));
            lines.push(String::from_utf8(line).expect("ASCII"));
        }
    }
    assert!(lines.len() > 50, "{}", lines.len());
    lines
}

/// So many findings that differ in `event.id`.
fn many(count: usize) -> Vec<String> {
    let mut record: Value = serde_json::from_str(&lines()[0]).expect("a record");
    let numbered = (0..count).map(|number| {
        record["event"]["id"] = format!("N{number}").into();
        record.to_string()
    });
    numbered.collect()
}

fn parcels(lines: &[String]) -> Vec<Parcel> {
    let numbered = lines.iter().zip(0..);
    numbered.map(|(line, number)| Parcel { number, line: line.as_bytes().into() }).collect()
}

// --- how it is sent -------------------------------------------------------------------------------

/// The ways to a daemon, by the names of the files that it writes.
const WAYS: [&str; 5] = ["udp", "tcp", "tls", "relp", "relp-tls"];

fn ways(kind: Kind) -> &'static [&'static str] {
    if kind == Kind::Rsyslog { &WAYS } else { &WAYS[..3] }
}

fn transport(way: &str, ports: Ports, tls: TlsOptions) -> Box<dyn Transport> {
    let message = rfc5424::Options { hostname: Some(HOSTNAME.to_owned()), ..rfc5424::Options::default() };
    let syslog = |protocol, port: u16| -> Box<dyn Transport> {
        let address = format!("localhost:{port}");
        let (tls, message) = (tls.clone(), message.clone());
        let options = syslog::Options { protocol, tls, message, ..syslog::Options::new(address) };
        Box::new(Syslog::new(&options, Form::Ecs).expect("good options"))
    };
    let relp = |tls, port: u16| -> Box<dyn Transport> {
        let options =
            relp::Options { tls, message: message.clone(), ..relp::Options::new(format!("localhost:{port}")) };
        Box::new(Relp::new(&options, Form::Ecs).expect("good options"))
    };
    match way {
        // Of the addresses of localhost it is this one that the daemon has, and nobody tells a datagram so.
        "udp" => {
            let address = format!("127.0.0.1:{}", ports.udp);
            let options = syslog::Options { protocol: Protocol::Udp, message, ..syslog::Options::new(address) };
            Box::new(Syslog::new(&options, Form::Ecs).expect("good options"))
        }
        "tcp" => syslog(Protocol::Tcp, ports.tcp),
        "tls" => syslog(Protocol::Tls, ports.tls),
        "relp" => relp(None, ports.relp),
        _ => relp(Some(tls), ports.relp_tls),
    }
}

/// Sends until nothing waits any more, and says what the troubles were.
fn deliver(transport: &mut dyn Transport, mut waiting: Vec<Parcel>) -> Vec<String> {
    let mut troubles = Vec::new();
    while !waiting.is_empty() {
        let batch = waiting.len().min(transport.bounds().records);
        let report = transport.deliver(&waiting[..batch]);
        assert_eq!(report.fates.len(), batch);
        let mut fates = report.fates.into_iter();
        waiting.retain(|_| match fates.next() {
            None | Some(Fate::Waits) => true,
            Some(Fate::Delivered) => false,
            Some(other) => panic!("{other:?}"),
        });
        if let Some(trouble) = report.trouble {
            troubles.push(trouble.why);
            assert!(troubles.len() < 600, "{troubles:#?}");
            thread::sleep(Duration::from_millis(50));
        }
        // What a datagram's receiver has no room for is lost.
        thread::sleep(Duration::from_millis(if batch <= 16 { 10 } else { 0 }));
    }
    troubles
}

// --- both read what was sent ----------------------------------------------------------------------

#[test]
fn rsyslog_reads_what_was_sent() {
    reads_what_was_sent(Kind::Rsyslog);
}

#[test]
fn syslog_ng_reads_what_was_sent() {
    reads_what_was_sent(Kind::SyslogNg);
}

fn reads_what_was_sent(kind: Kind) {
    if skipped(kind) {
        return;
    }
    let papers = Papers::new(&format!("papers-read-{kind:?}"));
    let daemon = Daemon::start(kind, &format!("read-{kind:?}"), &papers);
    let lines = lines();
    for way in ways(kind) {
        let mut transport = transport(way, daemon.ports, papers.options(Some("sensor")));
        let troubles = deliver(&mut *transport, parcels(&lines));
        assert!(troubles.is_empty(), "{way}: {troubles:#?}\n{}", daemon.said());
        drop(transport);
        let read = daemon.read(way, lines.len());
        assert_eq!(read.len(), lines.len(), "{kind:?} {way}: {}", daemon.said());
        for (read, line) in read.iter().zip(&lines) {
            assert_eq!(&read.message, line, "{kind:?} {way}");
            let record: Value = serde_json::from_str(line).expect("a record");
            let text = |place: &str| record.pointer(place).and_then(Value::as_str).unwrap_or_default();
            let severity = match record.pointer("/event/severity").and_then(Value::as_u64) {
                Some(99) => 2,
                Some(73) => 3,
                Some(47) => 4,
                Some(21) => 5,
                _ => 6,
            };
            assert_eq!(read.priority, (80 + severity).to_string(), "{line}");
            assert_eq!(read.time.replace("+00:00", "Z"), text("/@timestamp"));
            let header = [&read.hostname, &read.app_name, &read.msgid, &read.rule, &read.proto];
            let expected = [HOSTNAME, "barewire", text("/event/action"), text("/rule/id"), text("/network/protocol")];
            assert_eq!(header, expected, "{kind:?} {way}");
            let parsed: Value = serde_json::from_str(&read.parsed).unwrap_or_else(|error| panic!("{error}: {read:?}"));
            assert_eq!(parsed, record, "{kind:?} {way}");
        }
    }
}

// --- who is refused delivers nothing --------------------------------------------------------------

#[test]
fn rsyslog_refuses_and_it_shows() {
    refuses(Kind::Rsyslog);
}

#[test]
fn syslog_ng_refuses_and_it_shows() {
    refuses(Kind::SyslogNg);
}

fn refuses(kind: Kind) {
    if skipped(kind) {
        return;
    }
    let papers = Papers::new(&format!("papers-refuse-{kind:?}"));
    let daemon = Daemon::start(kind, &format!("refuse-{kind:?}"), &papers);
    let right = papers.options(Some("sensor"));
    let mut tried = vec![
        (papers.options(None), "refuse"),
        (papers.options(Some("stranger")), "refuse"),
        (TlsOptions { name: Some("other.example".to_owned()), ..right.clone() }, "not for other.example"),
        (TlsOptions { ca: Some(papers.path("other-ca.pem")), ..right.clone() }, "no authority trusted here"),
    ];
    let batch = parcels(&lines()[..3]);
    for way in ways(kind).iter().filter(|way| way.ends_with("tls")) {
        if *way == "relp-tls" {
            // From the right authority, but not one of those who may send. (imtcp of 8.2302 lets it in all the same.)
            tried.push((papers.options(Some("neighbour")), "refuse"));
        }
        for (options, why) in &tried {
            let mut transport = transport(way, daemon.ports, options.clone());
            for _ in 0..3 {
                let report = transport.deliver(&batch);
                assert!(report.fates.iter().all(|fate| *fate == Fate::Waits), "{way} {options:?}: {report:?}");
                let trouble = report.trouble.expect("trouble").why;
                assert!(trouble.contains(why) && !trouble.contains('\n'), "{way}: {trouble}");
            }
        }
        // Another name that the server has is as good, and TLS works at all.
        let named = TlsOptions { name: Some("siem.example".to_owned()), ..right.clone() };
        let mut transport = transport(way, daemon.ports, named);
        assert_eq!(deliver(&mut *transport, batch.clone()), [""; 0], "{way}");
        assert_eq!(daemon.read(way, 3).len(), 3, "{kind:?} {way}: nothing but that came");
    }
}

/// In TLS 1.2 a certificate is refused within the handshake, in 1.3 after it, and tickets that would show that it was not
/// may never come.
#[test]
fn certificates_are_refused_in_any_version() {
    if skipped(Kind::OpenSsl) {
        return;
    }
    let papers = Papers::new("papers-versions");
    let batch = parcels(&lines()[..3]);
    for arguments in [&["-tls1_2"][..], &["-tls1_3"], &["-tls1_3", "-num_tickets", "0"]] {
        let (server, port) = daemons::openssl_server(&papers, arguments);
        let ports = Ports { udp: 0, tcp: 0, tls: port, relp: 0, relp_tls: 0 };
        for shown in [None, Some("stranger")] {
            let report = transport("tls", ports, papers.options(shown)).deliver(&batch);
            assert_eq!(report.fates, [Fate::Waits, Fate::Waits, Fate::Waits], "{arguments:?} {shown:?}");
            let trouble = report.trouble.expect("trouble").why;
            assert!(trouble.contains("it refused this client"), "{arguments:?} {shown:?}: {trouble}");
        }
        let report = transport("tls", ports, papers.options(Some("sensor"))).deliver(&batch);
        assert_eq!(report.fates, [Fate::Delivered, Fate::Delivered, Fate::Delivered], "{report:?} {}", server.said());
    }
    let (_server, port) = daemons::openssl_server(&papers, &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
    let ports = Ports { udp: 0, tcp: 0, tls: port, relp: 0, relp_tls: 0 };
    let report = transport("tls", ports, papers.options(Some("sensor"))).deliver(&batch);
    assert_eq!(report.fates, [Fate::Waits, Fate::Waits, Fate::Waits], "TLS 1.1 is too old");
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    if skipped(Kind::Rsyslog) {
        return;
    }
    use std::os::unix::fs::PermissionsExt as _;
    let papers = Papers::new("papers-key");
    let key = papers.path("sensor.key");
    let options = |tls| syslog::Options { protocol: Protocol::Tls, tls, ..syslog::Options::new("127.0.0.1:1") };
    let why = |tls| Syslog::new(&options(tls), Form::Ecs).err().unwrap_or_default();
    assert_eq!(why(papers.options(Some("sensor"))), "");
    let mixed = TlsOptions { certificate: Some(papers.path("stranger.pem")), ..papers.options(Some("sensor")) };
    assert!(why(mixed).contains("not the certificate of key"));
    let swapped = TlsOptions { key: Some(papers.path("ca.key")), ..papers.options(Some("sensor")) };
    assert!(why(swapped).contains("not the certificate of key"));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).expect("its mode");
    let refused = why(papers.options(Some("sensor")));
    assert_eq!(refused, format!("{0}: others can read the key; run 'chmod 600 {0}'", key.display()));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("its mode");
    fs::write(&key, "-----BEGIN PRIVATE KEY-----\nsecret!\n-----END PRIVATE KEY-----\n").expect("a file");
    let damaged = why(papers.options(Some("sensor")));
    assert!(damaged.contains("no private key in it") && !damaged.contains("secret"), "{damaged}");
}

// --- a server that is killed ----------------------------------------------------------------------

#[test]
fn relp_loses_nothing_when_the_server_is_killed() {
    if skipped(Kind::Rsyslog) {
        return;
    }
    for way in ["relp", "relp-tls"] {
        let seen = killed_while_receiving(way, 6_000);
        say(&format!("{way}: {} of {} lost, {} twice", seen.lost, seen.sent, seen.twice));
        assert_eq!(seen.lost, 0, "{way}");
    }
}

/// Nothing can be asked of it: what is lost is told, and that it is not all.
#[test]
fn plain_tcp_loses_what_the_server_had_not_read() {
    if skipped(Kind::Rsyslog) {
        return;
    }
    let seen = killed_while_receiving("tcp", 6_000);
    say(&format!("tcp: {} of {} lost, {} twice", seen.lost, seen.sent, seen.twice));
    assert!(seen.lost < seen.sent);
}

struct Seen {
    sent: usize,
    lost: usize,
    twice: usize,
}

fn killed_while_receiving(way: &'static str, count: usize) -> Seen {
    let papers = Papers::new(&format!("papers-kill-{way}"));
    let mut daemon = Daemon::start(Kind::Rsyslog, &format!("kill-{way}"), &papers);
    let lines = many(count);
    let file = daemon.file(way);
    let mut transport = transport(way, daemon.ports, papers.options(Some("sensor")));
    let (done, is_done) = mpsc::channel();
    let sent = parcels(&lines);
    let sender = thread::spawn(move || {
        let troubles = deliver(&mut *transport, sent);
        done.send(()).expect("the test waits");
        troubles
    });
    let some = (lines[0].len() * count / 20) as u64;
    while fs::metadata(&file).map_or(0, |file| file.len()) < some {
        assert!(is_done.try_recv().is_err(), "{way}: all was sent before the server could be killed");
        thread::sleep(Duration::from_millis(1));
    }
    // It hangs before it dies, so that there is something on its way for certain.
    daemon.hang();
    thread::sleep(Duration::from_millis(300));
    daemon.kill();
    daemon.restart();
    let troubles = sender.join().expect("the sender");
    assert!(!troubles.is_empty(), "{way}: the server was not killed while receiving");
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    ids(&daemon.written(way, count)).for_each(|id| *times.entry(id).or_default() += 1);
    let lost = (0..count).filter(|number| !times.contains_key(&format!("N{number}"))).count();
    Seen { sent: count, lost, twice: times.values().map(|times| times - 1).sum() }
}

/// The `event.id` of each message. That in which the server was killed is torn, and the next goes on in its line.
fn ids(written: &str) -> impl Iterator<Item = String> {
    written.lines().filter_map(|line| {
        let record: Value = serde_json::from_str(line.rsplit('\t').next()?).ok()?;
        Some(record.pointer("/event/id")?.as_str()?.to_owned())
    })
}

/// Figures are for whoever reads the log: the harness would keep `eprintln!` to itself.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error");
}
