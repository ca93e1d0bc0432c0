//! `[sinks.NAME]` in the configuration: where records go besides the output, each table a receiver. Its keys are checked as
//! options are.

use super::config::{no_key, values_of};
use super::options::Format;
use super::{Failure, refusal};
use crate::ops::{folder_of, wrapped};
use crate::sink::http::bulk::{self, Bulk};
use crate::sink::http::hec::{self, Hec};
use crate::sink::http::webhook::{self, Webhook};
use crate::sink::http::{Login, Pattern, Server};
#[cfg(feature = "kafka")]
use crate::sink::kafka::{self, Kafka};
use crate::sink::local::{FileSink, Output};
use crate::sink::net::Address;
use crate::sink::relp::{self, Relp};
use crate::sink::rfc5424::{self, facility};
use crate::sink::spool::{self, WhenFull};
use crate::sink::syslog::{self, Syslog};
use crate::sink::{Fsync, Reach, Receiver, TlsOptions, Transport};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches as _, ValueEnum};
use std::path::{Path, PathBuf};
use toml::de::DeValue;

/// The table of them all.
pub(super) const SINKS: &str = "sinks";

/// A name is part of a folder's and of a thread's.
const NAME_OCTETS: usize = 24;

const MIB: u64 = 1024 * 1024;

/// Kinds of receivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A file that is appended to.
    File,
    /// Standard output.
    Stdout,
    /// A syslog server, RFC 5424.
    Syslog,
    /// A syslog server that confirms.
    Relp,
    /// Elasticsearch, by bulk requests.
    Elasticsearch,
    /// OpenSearch, by bulk requests.
    Opensearch,
    /// Splunk's HTTP event collector.
    SplunkHec,
    /// Whoever takes a POST.
    Webhook,
    /// Kafka.
    #[cfg(feature = "kafka")]
    Kafka,
}

/// When records in a spool outlast a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sync {
    Interval,
    Batch,
    Never,
}

/// How syslog is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Carried {
    Tcp,
    Tls,
    Udp,
}

/// How records stand in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Body {
    Ndjson,
    Array,
}

/// How a password is shown to Kafka.
#[cfg(feature = "kafka")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mechanism {
    /// RFC 7677, with the longer hash.
    #[value(name = "scram-sha-512")]
    ScramSha512,
    /// RFC 7677.
    #[value(name = "scram-sha-256")]
    ScramSha256,
    /// RFC 4616: over TLS only.
    Plain,
}

#[cfg(feature = "kafka")]
impl Mechanism {
    fn name(self) -> &'static str {
        match self {
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
        }
    }
}

fn parse_pattern(text: &str) -> Result<Pattern, String> {
    let what = "a name of a-z, 0-9, - _ . and :, with {kind} and {month} for what differs";
    Pattern::parse(text).ok_or_else(|| what.to_owned())
}

/// What is done when a spool is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Full {
    DropOldest,
    DropNewest,
    Block,
}

/// What can be said of a receiver.
#[derive(Args)]
struct Options {
    /// What kind of receiver it is.
    #[arg(long = "type", value_enum)]
    kind: Kind,

    /// The file. Programs that rotate may move it; it is opened anew.
    #[arg(long)]
    path: Option<PathBuf>,

    /// Form of the records.
    #[arg(long, value_enum, default_value = "ecs")]
    format: Format,

    /// Where it listens, HOST:PORT; HOST alone with the usual port. Names are looked up at the start.
    #[arg(long)]
    address: Option<String>,

    /// How syslog is carried: over TCP counted in octets, over TLS, as datagrams.
    #[arg(long, value_enum, default_value = "tcp")]
    protocol: Carried,

    /// Where it is: https:// with host, port and the path below which it answers. In clear, http://, only to this machine
    /// if a password or token is shown.
    #[arg(long)]
    url: Option<String>,

    /// Brokers to begin with, HOST:PORT each; others that they name must listen on one of these ports.
    #[cfg(feature = "kafka")]
    #[arg(long, value_delimiter = ',')]
    brokers: Vec<String>,

    /// Topic; {kind} in it stands for finding, login or session.
    #[cfg(feature = "kafka")]
    #[arg(long, default_value = "barewire")]
    topic: String,

    /// How the password is shown.
    #[cfg(feature = "kafka")]
    #[arg(long, value_enum, default_value = "scram-sha-512")]
    mechanism: Mechanism,

    /// Name to log in with.
    #[arg(long)]
    user: Option<String>,

    /// File with its password, which only its owner can read.
    #[arg(long)]
    password_file: Option<PathBuf>,

    /// File with an API key in the form in which it is sent, in base64, which only its owner can read.
    #[arg(long)]
    api_key_file: Option<PathBuf>,

    /// File with the token, which only its owner can read.
    #[arg(long)]
    token_file: Option<PathBuf>,

    /// File with more headers, NAME: VALUE a line, which only its owner can read.
    #[arg(long)]
    headers_file: Option<PathBuf>,

    /// Compress requests.
    #[arg(long, action = clap::ArgAction::SetTrue)]
    gzip: bool,

    /// Index or data stream; {kind} in it stands for finding, login or session, {month} for the record's, 2026.11. By default
    /// logs-barewire.{kind}-default in Elasticsearch, barewire-{kind} in OpenSearch, ocsf-barewire-{kind} for that format,
    /// the token's own in Splunk.
    #[arg(long, value_parser = parse_pattern)]
    index: Option<Pattern>,

    /// What records are to Splunk; {kind} as in index.
    #[arg(long, value_parser = parse_pattern, default_value = "barewire:{kind}")]
    sourcetype: Pattern,

    /// Where they come from, to Splunk. By default what its token says.
    #[arg(long)]
    source: Option<String>,

    /// Ask until it says that records are indexed; the token must allow it. Without it what an indexer had not written when
    /// it died is lost.
    #[arg(long, action = clap::ArgAction::SetTrue)]
    acknowledge: bool,

    /// How records stand in a request: a line each, or in a list.
    #[arg(long, value_enum, default_value = "ndjson")]
    body: Body,

    /// Speak TLS.
    #[arg(long, action = clap::ArgAction::SetTrue)]
    tls: bool,

    /// PEM file of the authorities that the receiver's certificate must come from. By default those of the system.
    #[arg(long)]
    ca: Option<PathBuf>,

    /// PEM file of the certificate, with its chain, that is shown to the receiver.
    #[arg(long)]
    certificate: Option<PathBuf>,

    /// PEM file of its private key, which only its owner can read.
    #[arg(long)]
    key: Option<PathBuf>,

    /// Name that the receiver's certificate must have, where it is not that of the address.
    #[arg(long)]
    server_name: Option<String>,

    /// Facility of the messages, by name or number.
    #[arg(long, default_value = "authpriv", value_parser = |text: &str| facility(text).ok_or("no facility of syslog"))]
    facility: u8,

    /// Name of this machine in the messages. By default its own.
    #[arg(long)]
    hostname: Option<String>,

    /// Enterprise number of the structured data. By default the one that is set aside for documentation.
    #[arg(long, default_value_t = 32473)]
    enterprise: u32,

    /// Messages on their way that are not answered yet; as many may come twice.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..=1000))]
    window: u64,

    /// MiB on disk that may wait for it.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    spool_size: u64,

    /// What is done beyond that: the oldest records are given up, or what comes, or whatever reads the packets waits. By
    /// default a watch gives up the oldest, connections and logins before findings, and a replay waits.
    #[arg(long, value_enum)]
    when_full: Option<Full>,

    /// When records in the spool outlast a power cut: twice a second, with each batch, or when the system does it by
    /// itself.
    #[arg(long, value_enum, default_value = "interval")]
    fsync: Sync,
}

type Keys = &'static [&'static str];

/// Of TLS.
const TLS: Keys = &["ca", "certificate", "key", "server-name"];
/// Of the headers of syslog's messages.
const MESSAGE: Keys = &["facility", "hostname", "enterprise"];
/// Of everything that is spoken to over HTTP.
const HTTP: Keys = &["headers-file", "gzip"];

/// Which keys which kind takes, beside those that all do; those it must have first.
const KEYS: &[(Kind, Keys, &[Keys])] = &[
    (Kind::File, &["path"], &[]),
    (Kind::Stdout, &[], &[]),
    (Kind::Syslog, &["address"], &[&["protocol"], TLS, MESSAGE]),
    (Kind::Relp, &["address"], &[&["tls"], TLS, MESSAGE, &["window"]]),
    (Kind::Elasticsearch, &["url"], &[&["index", "user", "password-file", "api-key-file"], HTTP, TLS]),
    (Kind::Opensearch, &["url"], &[&["index", "user", "password-file"], HTTP, TLS]),
    (
        Kind::SplunkHec,
        &["url", "token-file"],
        &[&["acknowledge", "index", "sourcetype", "source", "hostname"], HTTP, TLS],
    ),
    (Kind::Webhook, &["url"], &[&["body", "user", "password-file", "token-file"], HTTP, TLS]),
    #[cfg(feature = "kafka")]
    (Kind::Kafka, &["brokers"], &[&["topic", "tls", "ca", "certificate", "key", "user", "password-file", "mechanism"]]),
];

/// Keys of all kinds.
const COMMON: [&str; 5] = ["type", "format", "spool-size", "when-full", "fsync"];

/// One receiver as it is configured.
pub(super) struct Sink {
    pub(super) name: String,
    /// Keys and values as they stand in the file.
    #[cfg(feature = "live")]
    typed: Vec<String>,
    matches: ArgMatches,
    options: Options,
}

/// What a kind comes to.
struct Made {
    transport: Box<dyn Transport>,
    reach: Reach,
    caveat: Option<&'static str>,
}

fn parser() -> Command {
    let mut parser = Options::augment_args(Command::new("sink").no_binary_name(true));
    parser.build();
    parser
}

fn keys(parser: &Command) -> impl Iterator<Item = (&Arg, &str)> {
    parser.get_arguments().filter_map(|arg| Some((arg, arg.get_long()?))).filter(|(_, name)| *name != "help")
}

/// The receivers of a file; a fault with the place of the key, if it is one.
pub(super) fn sinks_of(value: &DeValue<'_>) -> Result<Vec<Sink>, (Option<usize>, String)> {
    let DeValue::Table(tables) = value else { return Err((None, "write each as a table: [sinks.NAME]".to_owned())) };
    let mut sinks = Vec::new();
    for (name, table) in tables {
        let at = Some(name.span().start);
        let name = name.get_ref();
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > NAME_OCTETS || !name.chars().all(is_plain) {
            let what = format!("a sink's name is of a-z, 0-9 and -, {NAME_OCTETS} at most");
            return Err((at, what));
        }
        let DeValue::Table(table) = table.get_ref() else {
            return Err((at, format!("write it as a table: [sinks.{name}]")));
        };
        let parser = parser();
        let mut typed = Vec::new();
        for (key, value) in table {
            let at = Some(key.span().start);
            let Some((arg, key)) = keys(&parser).find(|(_, known)| *known == key.get_ref()) else {
                return Err((at, no_key(key.get_ref(), keys(&parser).map(|(_, known)| known))));
            };
            let values = values_of(arg, key, value.get_ref()).map_err(|what| (at, what))?;
            if super::config::is_flag(arg) {
                typed.extend(values.contains(&"true".to_owned()).then(|| format!("--{key}")));
            } else {
                typed.extend(values.into_iter().map(|value| format!("--{key}={value}")));
            }
        }
        let matches = parser.try_get_matches_from(&typed).map_err(|error| (at, told(name, &error)))?;
        let options = Options::from_arg_matches(&matches).map_err(|error| (at, told(name, &error)))?;
        let sink = Sink {
            name: name.to_string(),
            #[cfg(feature = "live")]
            typed,
            matches,
            options,
        };
        sink.fits().map_err(|what| (at, what))?;
        sinks.push(sink);
    }
    Ok(sinks)
}

/// Values were tried one by one before, so what is wrong with all of them is that the one key is missing which every table
/// has.
fn told(name: &str, error: &clap::Error) -> String {
    match error.kind() {
        clap::error::ErrorKind::MissingRequiredArgument => format!("sinks.{name}: type is missing"),
        _ => refusal(error),
    }
}

impl Sink {
    /// Whether the kind takes all keys that are there, and has those that it must have.
    fn fits(&self) -> Result<(), String> {
        let Self { name, matches, options, .. } = self;
        let kind = kind_name(options.kind);
        let is_given = |arg: &Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
        let (_, needed, others) = self.own_keys();
        let parser = parser();
        let given: Vec<&str> = keys(&parser).filter(|(arg, _)| is_given(arg)).map(|(_, key)| key).collect();
        for key in &given {
            if !COMMON.iter().chain(needed).chain(others.iter().copied().flatten()).any(|own| own == key) {
                return Err(format!("sinks.{name}: {key} is no key of type {kind}"));
            }
        }
        match needed.iter().find(|key| !given.contains(key)) {
            Some(key) => Err(format!("sinks.{name}: type {kind} needs {key}")),
            None => Ok(()),
        }
    }

    /// The table as it stands in the file, in one form whatever the order of its keys.
    #[cfg(feature = "live")]
    pub(super) fn as_typed(&self) -> String {
        let mut typed = self.typed.clone();
        typed.sort_unstable();
        format!("[{}] {}", self.name, typed.join(" "))
    }

    fn own_keys(&self) -> (Kind, Keys, &'static [Keys]) {
        KEYS.iter().find(|(own, ..)| *own == self.options.kind).copied().unwrap_or(KEYS[0])
    }

    /// What stands behind it, connected to nothing yet. `spool`: the folder of all spools.
    pub(super) fn receiver(self, spool: &Path, when_full: WhenFull) -> Result<Receiver, Failure> {
        let Made { transport, reach, caveat } = self.made()?;
        let Self { name, options, .. } = self;
        let when_full = match options.when_full {
            None => when_full,
            Some(Full::DropOldest) => WhenFull::DropOldest,
            Some(Full::DropNewest) => WhenFull::DropNewest,
            Some(Full::Block) => WhenFull::Block,
        };
        Ok(Receiver {
            kind: kind_name(options.kind),
            transport,
            spool: spool::Options { folder: spool.join(&name), limit: options.spool_size * MIB, when_full },
            fsync: match options.fsync {
                Sync::Interval => Fsync::Interval,
                Sync::Batch => Fsync::Batch,
                Sync::Never => Fsync::Never,
            },
            caveat,
            reach,
            name,
        })
    }

    fn made(&self) -> Result<Made, Failure> {
        let Self { name, options, .. } = self;
        let form = options.format.form();
        let wrong = |what: String| Failure::usage(format!("sinks.{name}: {what}"));
        Ok(match options.kind {
            Kind::File => {
                let path = options.path.clone().unwrap_or_default();
                let reach = Reach { files: vec![path.clone()], ..Reach::default() };
                Made { transport: Box::new(FileSink::new(path, form)), reach, caveat: None }
            }
            Kind::Stdout => {
                let transport = Box::new(Output::new(std::io::stdout(), form));
                Made { transport, reach: Reach::default(), caveat: None }
            }
            Kind::Syslog => {
                let protocol = match options.protocol {
                    Carried::Tcp => syslog::Protocol::Tcp,
                    Carried::Tls => syslog::Protocol::Tls,
                    Carried::Udp => syslog::Protocol::Udp,
                };
                let address = options.address.clone().unwrap_or_default();
                let (tls, message) = (self.tls(), self.message());
                let settings = syslog::Options { protocol, tls, message, ..syslog::Options::new(address) };
                let transport = Syslog::new(&settings, form).map_err(wrong)?;
                let is_udp = protocol == syslog::Protocol::Udp;
                let tcp = if is_udp { Vec::new() } else { vec![transport.address().port()] };
                let reach = Reach { tcp, is_udp, ..Reach::default() };
                let caveat = "syslog confirms nothing: what is under way when the server dies is lost; relp confirms";
                Made { transport: Box::new(transport), reach, caveat: Some(caveat) }
            }
            Kind::Relp => {
                let address = options.address.clone().unwrap_or_default();
                let tls = options.tls.then(|| self.tls());
                let (message, window) = (self.message(), options.window as usize);
                let settings = relp::Options { tls, message, window, ..relp::Options::new(address) };
                let transport = Relp::new(&settings, form).map_err(wrong)?;
                let reach = to_port(transport.address());
                Made { transport: Box::new(transport), reach, caveat: None }
            }
            Kind::Elasticsearch | Kind::Opensearch => {
                let index = options.index.clone().or_else(|| self.usual_index());
                let index = index.ok_or_else(|| wrong("no index".to_owned()))?;
                let settings = bulk::Options { server: self.server().map_err(wrong)?, index };
                let transport = Bulk::new(&settings, form).map_err(wrong)?;
                let reach = to_port(transport.address());
                Made { transport: Box::new(transport), reach, caveat: None }
            }
            Kind::SplunkHec => {
                let settings = hec::Options {
                    server: self.server().map_err(wrong)?,
                    acknowledge: options.acknowledge,
                    index: options.index.clone(),
                    sourcetype: options.sourcetype.clone(),
                    source: options.source.clone(),
                    hostname: options.hostname.clone(),
                };
                let transport = Hec::new(&settings, form).map_err(wrong)?;
                let reach = to_port(transport.address());
                let caveat = "what it answers to is parsed, and not yet indexed: an indexer that dies loses it; \
                              'acknowledge = true' asks until it is";
                Made { transport: Box::new(transport), reach, caveat: (!options.acknowledge).then_some(caveat) }
            }
            Kind::Webhook => {
                let body = match options.body {
                    Body::Ndjson => webhook::Body::Lines,
                    Body::Array => webhook::Body::List,
                };
                let settings = webhook::Options { server: self.server().map_err(wrong)?, body };
                let transport = Webhook::new(&settings, form).map_err(wrong)?;
                let reach = to_port(transport.address());
                Made { transport: Box::new(transport), reach, caveat: None }
            }
            #[cfg(feature = "kafka")]
            Kind::Kafka => {
                let login = match (&options.user, &options.password_file) {
                    (None, None) => None,
                    (Some(user), Some(password)) => {
                        let mechanism = options.mechanism.name();
                        Some(kafka::Login { mechanism, user: user.clone(), password: password.clone() })
                    }
                    (Some(_), None) => return Err(wrong("user needs password-file".to_owned())),
                    (None, Some(_)) => return Err(wrong("password-file needs user".to_owned())),
                };
                let has_tls = options.tls;
                if !has_tls && [&options.ca, &options.certificate, &options.key].iter().any(|file| file.is_some()) {
                    return Err(wrong("ca, certificate and key are for 'tls = true'".to_owned()));
                }
                let tls = has_tls.then(|| self.tls());
                let settings = kafka::Options {
                    tls,
                    login,
                    ..kafka::Options::new(options.brokers.clone(), options.topic.clone())
                };
                let transport = Kafka::new(&settings, form).map_err(wrong)?;
                let reach = transport.reach();
                Made { transport: Box::new(transport), reach, caveat: None }
            }
        })
    }

    /// Where the templates that barewire prints have their fields.
    fn usual_index(&self) -> Option<Pattern> {
        Pattern::parse(match (self.options.format, self.options.kind) {
            // Data streams demand a field that OCSF has none of, and the templates are for those of ECS.
            (Format::Ocsf, _) => "ocsf-barewire-{kind}",
            (_, Kind::Opensearch) => "barewire-{kind}",
            _ => "logs-barewire.{kind}-default",
        })
    }

    fn server(&self) -> Result<Server, String> {
        let Options { user, password_file, api_key_file, token_file, headers_file, gzip, kind, .. } = &self.options;
        let word = if *kind == Kind::SplunkHec { "Splunk" } else { "Bearer" };
        let login = match (user, password_file, api_key_file, token_file) {
            (None, None, None, None) => Login::None,
            (Some(user), Some(file), None, None) => Login::Basic(user.clone(), file.clone()),
            (None, None, Some(file), None) => Login::Token("ApiKey", file.clone()),
            (None, None, None, Some(file)) => Login::Token(word, file.clone()),
            (Some(_), None, ..) => return Err("user needs password-file".to_owned()),
            (None, Some(_), ..) => return Err("password-file needs user".to_owned()),
            _ => return Err("more than one way to log in; leave one".to_owned()),
        };
        Ok(Server {
            tls: self.tls(),
            login,
            headers: headers_file.clone(),
            gzip: *gzip,
            ..Server::new(self.options.url.clone().unwrap_or_default())
        })
    }

    fn tls(&self) -> TlsOptions {
        let Options { ca, certificate, key, server_name, .. } = &self.options;
        TlsOptions { ca: ca.clone(), certificate: certificate.clone(), key: key.clone(), name: server_name.clone() }
    }

    fn message(&self) -> rfc5424::Options {
        let Options { facility, hostname, enterprise, .. } = &self.options;
        rfc5424::Options {
            facility: *facility,
            hostname: hostname.clone(),
            enterprise: *enterprise,
            ..rfc5424::Options::default()
        }
    }

    /// Its keys with their values, for people. Reads what they name.
    pub(super) fn in_force(&self) -> Result<String, Failure> {
        self.made()?;
        if let Some(path) = self.options.path.as_ref().filter(|path| !folder_of(path).is_dir()) {
            return Err(Failure::usage(format!(
                "sinks.{}: path {}: its folder does not exist; make it first",
                self.name,
                path.display()
            )));
        }
        let parser = parser();
        let mut text = String::new();
        let (_, needed, others) = self.own_keys();
        let is_own =
            |key: &str| COMMON.iter().chain(needed).chain(others.iter().copied().flatten()).any(|own| *own == key);
        for (arg, key) in keys(&parser).filter(|(_, key)| is_own(key)) {
            let values = self.matches.try_get_raw(arg.get_id().as_str()).ok().flatten();
            if let Some(values) = values {
                let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
                text += &format!("  {key:<20} {}\n", values.join(","));
            }
        }
        Ok(text)
    }
}

fn to_port(address: &Address) -> Reach {
    Reach { tcp: vec![address.port()], ..Reach::default() }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Stdout => "stdout",
        Kind::Syslog => "syslog",
        Kind::Relp => "relp",
        Kind::Elasticsearch => "elasticsearch",
        Kind::Opensearch => "opensearch",
        Kind::SplunkHec => "splunk-hec",
        Kind::Webhook => "webhook",
        #[cfg(feature = "kafka")]
        Kind::Kafka => "kafka",
    }
}

/// Values for the examples.
const EXAMPLES: &[(&str, &str)] = &[
    ("address", "\"127.0.0.1:6514\""),
    ("api-key-file", "\"/etc/barewire/siem.key\""),
    ("brokers", "[\"kafka1.example.org:9093\", \"kafka2.example.org:9093\"]"),
    ("ca", "\"/etc/barewire/ca.pem\""),
    ("certificate", "\"/etc/barewire/sensor.pem\""),
    ("headers-file", "\"/etc/barewire/siem.headers\""),
    ("hostname", "\"sensor1.example.org\""),
    ("index", "\"barewire-{kind}\""),
    ("key", "\"/etc/barewire/sensor.key\""),
    ("password-file", "\"/etc/barewire/siem.password\""),
    ("path", "\"/var/log/barewire/copy.ndjson\""),
    ("server-name", "\"siem.example.org\""),
    ("source", "\"barewire\""),
    ("token-file", "\"/etc/barewire/siem.token\""),
    ("url", "\"https://siem.example.org:9200\""),
    ("user", "\"barewire\""),
];

/// A table of each kind, commented out.
pub(super) fn example() -> String {
    let parser = parser();
    let mut text = format!("\n# {}\n", "-".repeat(77));
    let head = "Receivers of records besides the output, or in its place: without an output records go to these only. Each has \
                a name of its own, which messages and metrics show; each has a spool, so that one that is down holds up \
                nobody and loses nothing. docs/delivery.md says what each kind guarantees. These keys go into every table:";
    wrapped(head, 118).iter().for_each(|line| text += &format!("# {line}\n"));
    let mut told: Vec<&str> = Vec::new();
    for key in COMMON.iter().skip(1) {
        text += &key_text(&parser, key, &mut told);
    }
    for (kind, needed, others) in KEYS {
        let name = kind_name(*kind);
        text += &format!("\n#[sinks.my-{name}]\n#type = \"{name}\"\n");
        for key in needed.iter().chain(others.iter().copied().flatten()) {
            text += &key_text(&parser, key, &mut told);
        }
    }
    text
}

fn key_text<'a>(parser: &Command, key: &'a str, told: &mut Vec<&'a str>) -> String {
    let Some((arg, _)) = keys(parser).find(|(_, known)| *known == key) else { return String::new() };
    let mut text = String::new();
    if !told.contains(&key) {
        told.push(key);
        let choices: Vec<_> = arg.get_possible_values().iter().map(|choice| choice.get_name().to_owned()).collect();
        let is_list = !choices.is_empty() && !super::config::is_flag(arg);
        let choices = if is_list { format!(" ({})", choices.join(", ")) } else { String::new() };
        let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
        let lines = wrapped(&format!("{}{choices}", help.replace('\n', " ")), 118);
        lines.iter().for_each(|line| text += &format!("# {line}\n"));
    }
    let default = arg.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
    let quoted = |value: String| if value.parse::<f64>().is_ok() { value } else { format!("\"{value}\"") };
    let example = EXAMPLES.iter().find(|(known, _)| *known == key).map(|(_, value)| (*value).to_owned());
    let first = arg.get_possible_values().first().map(|choice| format!("\"{}\"", choice.get_name()));
    let flag = super::config::is_flag(arg).then(|| "true".to_owned());
    let value = example.or(flag).or(default.map(quoted)).or(first).unwrap_or_else(|| "\"\"".to_owned());
    text + &format!("#{key} = {value}\n")
}
