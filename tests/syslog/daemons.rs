//! rsyslog and syslog-ng on loopback, each with a configuration of its own in a scratch folder, and the certificates that
//! they and the sensor show each other.

use crate::net::{PATIENCE, Scratch, Watched, is_installed, search_path};
use barewire::sink::TlsOptions;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Where syslog-ng is unpacked, since its package excludes rsyslog's: `apt-get download syslog-ng-core libivykis0 libnet1
/// libdbi1 libwrap0 libpcre3`, and each `dpkg-deb -x FILE` there. Another place is named by `BAREWIRE_SYSLOG_NG`.
const SYSLOG_NG: &str = "/opt/syslog-ng";

/// Whether the test must be left out, which is said loudly, or fails where that isn't allowed.
pub(crate) fn skipped(kind: Kind) -> bool {
    let mut missing: Vec<&str> = Vec::new();
    if !is_installed("openssl") {
        missing.push("openssl");
    }
    match kind {
        Kind::Rsyslog => {
            let has = |module: &str| module_folders().iter().any(|folder| folder.join(module).exists());
            let parts = [("lmnsd_ossl.so", "rsyslog-openssl"), ("imrelp.so", "rsyslog-relp")];
            missing.extend((!is_installed("rsyslogd")).then_some("rsyslog"));
            missing.extend(parts.iter().filter(|(module, _)| !has(module)).map(|(_, package)| package));
        }
        Kind::OpenSsl => {}
        Kind::SyslogNg => missing.extend((!syslog_ng().join("usr/sbin/syslog-ng").exists()).then_some("syslog-ng")),
    }
    if missing.is_empty() {
        return false;
    }
    let line = format!("SKIPPED: not installed: {}", missing.join(", "));
    assert!(std::env::var_os("BAREWIRE_REQUIRE_RECEIVERS").is_none(), "BAREWIRE_REQUIRE_RECEIVERS is set, but: {line}");
    // Not `eprintln!`: the harness would keep that to itself.
    writeln!(std::io::stderr(), "{line}").expect("standard error");
    true
}

fn module_folders() -> Vec<PathBuf> {
    let multiarch = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path().join("rsyslog"));
    multiarch.chain([PathBuf::from("/usr/lib64/rsyslog"), PathBuf::from("/usr/lib/rsyslog")]).collect()
}

fn syslog_ng() -> PathBuf {
    std::env::var_os("BAREWIRE_SYSLOG_NG").map_or_else(|| PathBuf::from(SYSLOG_NG), PathBuf::from)
}

/// Certificates of an authority, of a server, of a sensor, and of a sensor that another authority vouches for.
pub(crate) struct Papers {
    scratch: Scratch,
}

impl Papers {
    pub(crate) fn new(name: &str) -> Papers {
        let papers = Papers { scratch: Scratch::new(name) };
        fs::write(papers.path("openssl.cnf"), "[req]\ndistinguished_name = dn\n[dn]\n").expect("a file");
        papers.authority("ca");
        papers.authority("other-ca");
        papers.leaf("ca", "server", "DNS:localhost,DNS:siem.example,IP:127.0.0.1");
        papers.leaf("ca", "sensor", "DNS:sensor.example");
        papers.leaf("ca", "neighbour", "DNS:neighbour.example");
        papers.leaf("other-ca", "stranger", "DNS:sensor.example");
        papers
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path(name)
    }

    fn authority(&self, name: &str) {
        self.openssl(name, &["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign"]);
    }

    fn leaf(&self, authority: &str, name: &str, names: &str) {
        let file = |kind: &str| self.path(&format!("{authority}.{kind}")).display().to_string();
        let names = format!("subjectAltName={names}");
        let (certificate, key) = (file("pem"), file("key"));
        self.openssl(
            name,
            &["-CA", &certificate, "-CAkey", &key, "-addext", "basicConstraints=CA:FALSE", "-addext", &names],
        );
    }

    fn openssl(&self, name: &str, more: &[&str]) {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]);
        command.arg("-config").arg(self.path("openssl.cnf")).args(["-subj", &format!("/CN={name}")]);
        command.arg("-keyout").arg(self.path(&format!("{name}.key")));
        command.arg("-out").arg(self.path(&format!("{name}.pem"))).args(more);
        let output = command.env("PATH", search_path()).output().expect("openssl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Of a sensor that shows the certificate of that name, if any.
    pub(crate) fn options(&self, shown: Option<&str>) -> TlsOptions {
        TlsOptions {
            ca: Some(self.path("ca.pem")),
            certificate: shown.map(|name| self.path(&format!("{name}.pem"))),
            key: shown.map(|name| self.path(&format!("{name}.key"))),
            name: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Rsyslog,
    SyslogNg,
    /// No daemon at all: [`openssl_server`].
    OpenSsl,
}

/// The ports of a daemon. Each writes what came through it into a file of its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) udp: u16,
    pub(crate) tcp: u16,
    pub(crate) tls: u16,
    pub(crate) relp: u16,
    pub(crate) relp_tls: u16,
}

/// A daemon that takes messages on loopback.
pub(crate) struct Daemon {
    kind: Kind,
    pub(crate) ports: Ports,
    scratch: Scratch,
    process: Watched,
}

/// A message as a daemon understood it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Read {
    pub(crate) priority: String,
    pub(crate) time: String,
    pub(crate) hostname: String,
    pub(crate) app_name: String,
    pub(crate) msgid: String,
    pub(crate) rule: String,
    pub(crate) proto: String,
    /// What its own JSON parser made of the message, as JSON.
    pub(crate) parsed: String,
    pub(crate) message: String,
}

impl Daemon {
    pub(crate) fn start(kind: Kind, name: &str, papers: &Papers) -> Daemon {
        let scratch = Scratch::new(name);
        let ports = Ports {
            udp: UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port(),
            tcp: free_port(),
            tls: free_port(),
            relp: free_port(),
            relp_tls: free_port(),
        };
        let config = match kind {
            Kind::Rsyslog => rsyslog(scratch.path("").as_path(), papers, ports),
            Kind::SyslogNg => syslog_ng_config(scratch.path("").as_path(), papers, ports),
            Kind::OpenSsl => panic!("no daemon"),
        };
        fs::write(scratch.path("conf"), config).expect("its configuration");
        let process = begin(kind, &scratch);
        let mut daemon = Daemon { kind, ports, scratch, process };
        daemon.wait_until_it_listens();
        daemon
    }

    /// It does nothing any more, but is there.
    pub(crate) fn hang(&self) {
        self.process.signal("STOP");
    }

    /// Ends it without a chance to write anything more.
    pub(crate) fn kill(&mut self) {
        self.process.stop("KILL");
    }

    /// The same once more, after a [`Self::kill`].
    pub(crate) fn restart(&mut self) {
        let _ = fs::remove_file(self.scratch.path("pid"));
        self.process = begin(self.kind, &self.scratch);
        self.wait_until_it_listens();
    }

    fn wait_until_it_listens(&mut self) {
        let mut ports = vec![self.ports.tcp, self.ports.tls];
        if self.kind == Kind::Rsyslog {
            ports.extend([self.ports.relp, self.ports.relp_tls]);
        }
        let asked = Instant::now();
        for port in ports {
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                assert!(asked.elapsed() < PATIENCE, "nobody listens on {port}:\n{}", self.process.said());
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    /// What it said so far on standard error.
    pub(crate) fn said(&self) -> String {
        self.process.said()
    }

    /// The file for messages that came in one way.
    pub(crate) fn file(&self, way: &str) -> PathBuf {
        self.scratch.path(way)
    }

    /// What came in one way, once it is so much at least, or after a while.
    pub(crate) fn read(&self, way: &str, count: usize) -> Vec<Read> {
        self.written(way, count).lines().map(Read::parse).collect()
    }

    /// The same as it was written.
    pub(crate) fn written(&self, way: &str, count: usize) -> String {
        let asked = Instant::now();
        loop {
            let text = fs::read_to_string(self.file(way)).unwrap_or_default();
            if text.lines().count() >= count && text.ends_with('\n') || asked.elapsed() > PATIENCE / 4 {
                return text;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Read {
    fn parse(line: &str) -> Read {
        let parts: Vec<&str> = line.split('\t').collect();
        let [priority, time, hostname, app_name, msgid, rule, proto, parsed, message] = parts[..] else {
            panic!("{line}")
        };
        let text = |part: &str| part.to_owned();
        Read {
            priority: text(priority),
            time: text(time),
            hostname: text(hostname),
            app_name: text(app_name),
            msgid: text(msgid),
            rule: text(rule),
            proto: text(proto),
            parsed: text(parsed),
            message: text(message),
        }
    }
}

/// A port that nobody has, and that was not given before: two servers on one would wait for each other.
fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        if GIVEN.lock().expect("no panic").insert(port) {
            return port;
        }
    }
}

fn begin(kind: Kind, scratch: &Scratch) -> Watched {
    let mut command = match kind {
        Kind::Rsyslog => {
            let mut command = Command::new("rsyslogd");
            command.arg("-n").arg("-f").arg(scratch.path("conf")).arg("-i").arg(scratch.path("pid"));
            command
        }
        Kind::OpenSsl => panic!("no daemon"),
        Kind::SyslogNg => {
            let root = syslog_ng();
            let mut libraries = vec![root.join("usr/lib/syslog-ng")];
            for folder in ["usr/lib", "lib"] {
                let multiarch = fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
                libraries.extend(multiarch.map(|entry| entry.path()).filter(|path| path.ends_with(multiarch_name())));
            }
            let libraries = std::env::join_paths(libraries).expect("folders without colons");
            let modules = root.join("usr/lib/syslog-ng/3.38");
            let mut command = Command::new(root.join("usr/sbin/syslog-ng"));
            command.env("LD_LIBRARY_PATH", libraries).args(["-F", "--no-caps", "--stderr"]);
            command.arg(format!("--module-path={}", modules.display()));
            for (option, file) in [("-f", "conf"), ("-p", "pid"), ("-R", "persist"), ("-c", "control")] {
                command.arg(option).arg(scratch.path(file));
            }
            command
        }
    };
    Watched::start(command.stdin(Stdio::null()))
}

/// A server of openssl's that wants a client's certificate, and its port.
pub(crate) fn openssl_server(papers: &Papers, arguments: &[&str]) -> (Watched, u16) {
    let port = free_port();
    let mut command = Command::new("openssl");
    command.args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-Verify", "1", "-verify_return_error", "-rev"]);
    for (option, file) in [("-cert", "server.pem"), ("-key", "server.key"), ("-CAfile", "ca.pem")] {
        command.arg(option).arg(papers.path(file));
    }
    let server = Watched::start(command.args(arguments));
    let asked = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(asked.elapsed() < PATIENCE, "nobody listens on {port}:\n{}", server.said());
        std::thread::sleep(Duration::from_millis(10));
    }
    (server, port)
}

fn multiarch_name() -> String {
    format!("{}-linux-gnu", std::env::consts::ARCH)
}

fn rsyslog(folder: &Path, papers: &Papers, ports: Ports) -> String {
    let folder = folder.display().to_string();
    let file = |name: &str| papers.path(name).display().to_string();
    let (ca, certificate, key) = (file("ca.pem"), file("server.pem"), file("server.key"));
    let Ports { udp, tcp, tls, relp, relp_tls } = ports;
    let rulesets: String = ["udp", "tcp", "tls", "relp", "relp-tls"]
        .iter()
        .map(|way| {
            format!(
                r#"ruleset(name="{way}") {{
  action(type="mmpstrucdata")
  action(type="mmjsonparse" cookie="" container="$!record")
  action(type="omfile" file="{folder}/{way}" template="all")
}}
"#
            )
        })
        .collect();
    // A message is in the file before RELP's answer, and not in a queue that dies with the process.
    format!(
        r#"global(workDirectory="{folder}" defaultNetstreamDriverCAFile="{ca}"
  defaultNetstreamDriverCertFile="{certificate}" defaultNetstreamDriverKeyFile="{key}")
main_queue(queue.type="Direct")
module(load="imudp")
module(load="imptcp")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="x509/name"
  permittedPeer=["sensor.example"])
module(load="imrelp")
module(load="mmjsonparse")
module(load="mmpstrucdata")
template(name="all" type="list") {{
  property(name="pri") constant(value="\t")
  property(name="timereported" dateFormat="rfc3339") constant(value="\t")
  property(name="hostname") constant(value="\t")
  property(name="app-name") constant(value="\t")
  property(name="msgid") constant(value="\t")
  property(name="$!rfc5424-sd!barewire@32473!rule") constant(value="\t")
  property(name="$!rfc5424-sd!barewire@32473!proto") constant(value="\t")
  property(name="$!record") constant(value="\t")
  property(name="msg") constant(value="\n")
}}
{rulesets}
input(type="imudp" address="127.0.0.1" port="{udp}" ruleset="udp")
input(type="imptcp" address="127.0.0.1" port="{tcp}" ruleset="tcp")
input(type="imtcp" address="127.0.0.1" port="{tls}" ruleset="tls")
input(type="imrelp" address="127.0.0.1" port="{relp}" ruleset="relp")
input(type="imrelp" address="127.0.0.1" port="{relp_tls}" ruleset="relp-tls" tls="on" tls.caCert="{ca}"
  tls.myCert="{certificate}" tls.myPrivKey="{key}" tls.authMode="name" tls.permittedPeer=["sensor.example"])
"#
    )
}

fn syslog_ng_config(folder: &Path, papers: &Papers, ports: Ports) -> String {
    let folder = folder.display().to_string();
    let file = |name: &str| papers.path(name).display().to_string();
    let (ca, certificate, key) = (file("ca.pem"), file("server.pem"), file("server.key"));
    let Ports { udp, tcp, tls, .. } = ports;
    let paths: String = ["udp", "tcp", "tls"]
        .iter()
        .map(|way| {
            format!(
                r#"log {{ source(s_{way}); parser {{ json-parser(prefix(".json.")); }};
  destination {{ file("{folder}/{way}" template(t_all) frac-digits(6) time-zone("+00:00")); }}; }};
"#
            )
        })
        .collect();
    // 4.0: with 3.38 numbers become text and lists too.
    format!(
        r#"@version: 4.0
options {{ keep-hostname(yes); chain-hostnames(no); stats-freq(0); flush-lines(1); }};
template t_all {{ template("${{PRI}}\t${{S_ISODATE}}\t${{HOST}}\t${{PROGRAM}}\t${{MSGID}}\t${{.SDATA.barewire@32473.rule}}\t${{.SDATA.barewire@32473.proto}}\t$(format-json --subkeys .json.)\t${{MSG}}\n"); }};
source s_udp {{ syslog(ip("127.0.0.1") port({udp}) transport("udp")); }};
source s_tcp {{ syslog(ip("127.0.0.1") port({tcp}) transport("tcp")); }};
source s_tls {{ syslog(ip("127.0.0.1") port({tls}) transport("tls") tls(ca-file("{ca}") cert-file("{certificate}")
  key-file("{key}") peer-verify(required-trusted))); }};
{paths}"#
    )
}
