//! Options that commands share, and the step from what was typed to what it means.

use super::Failure;
use super::config::Config;
use super::outputs::{self, Outputs, Wanted};
use super::sinks::Sink;
use crate::engine::{Ports, Settings};
use crate::finding::{Baseline, Policy, SEVERITIES, Segment, WeakSecrets};
use crate::limits::Limits;
use crate::mail::PROTOCOLS;
use crate::ops::console::{self, Level};
use crate::ops::{counted, folder_of};
use crate::output::{Form, SENSOR_OCTETS, is_sensor_name};
use crate::run::{self, Judging, Kinds};
use crate::secret::FingerprintKey;
use crate::sink::Receiver;
use crate::sink::spool::WhenFull;
use clap::{Args, CommandFactory as _, ValueEnum};
use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// A kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RecordKind {
    /// Distinct findings.
    Findings,
    /// Every login attempt in clear.
    Logins,
    /// Every mail connection.
    Sessions,
}

/// Forms of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Elastic Common Schema 8.17, as JSON.
    Ecs,
    /// Open Cybersecurity Schema Framework 1.8, as JSON.
    Ocsf,
    /// ArcSight's Common Event Format, version 0.
    Cef,
}

/// Severities, for `--fail-on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

/// What decides how traffic is judged and what is written.
#[derive(Args)]
pub(super) struct Common {
    /// Configuration in TOML; each key is the name of an option. What is typed and the environment come before it.
    #[arg(short, long, value_name = "FILE", env = "BAREWIRE_CONFIG", hide_env = true)]
    config: Option<PathBuf>,

    #[command(flatten)]
    pub(super) telling: Telling,

    /// Folder where records wait until the receivers, the tables of sinks, have confirmed them. By default the folder that
    /// a service manager gives.
    #[arg(long, value_name = "FOLDER", env = "BAREWIRE_SPOOL", hide_env = true, help_heading = "Output")]
    spool: Option<PathBuf>,

    #[command(flatten)]
    pub(super) reading: Reading,

    /// Worker threads; 0 does everything on one thread. By default 0 on up to two cores, else one less than the
    /// cores, at most 8.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=256))]
    #[arg(help_heading = "Judging")]
    jobs: Option<u16>,
}

/// What is written, and what the exit status depends on.
#[derive(Args)]
pub(super) struct Telling {
    /// Kinds of records to write.
    #[arg(long, value_name = "KINDS", value_enum, value_delimiter = ',', default_value = "findings")]
    #[arg(env = "BAREWIRE_RECORDS", hide_env = true, help_heading = "Output")]
    records: Vec<RecordKind>,

    /// Form of the records: ecs (Elastic Common Schema 8.17, JSON), ocsf (1.8, JSON) or cef (ArcSight, version 0). Of a
    /// replay also documents about all findings: sarif (2.1.0, for code scanning), junit (a test case for each server and
    /// finding) and github (annotations of a workflow, and its job's summary). Several at once when at most one of them
    /// names no file, such as github,sarif=FILE,junit=FILE.
    #[arg(long, value_name = "FORMAT[=FILE],...", value_parser = Wanted::parse, value_delimiter = ',')]
    #[arg(default_value = "ecs", env = "BAREWIRE_FORMAT", hide_env = true, help_heading = "Output")]
    format: Vec<Wanted>,

    /// Write to FILE instead of standard output.
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(super) output: Option<PathBuf>,

    /// What records call this sensor (observer.name), to tell those of several apart. By default a watch is called as its
    /// host, and a replay has no name.
    #[arg(long, value_name = "NAME", value_parser = parse_sensor, env = "BAREWIRE_SENSOR", hide_env = true)]
    #[arg(help_heading = "Output")]
    pub(super) sensor: Option<String>,

    /// Keep metrics in Prometheus' text format in FILE, which always holds a whole page: at the end of a replay, every
    /// 15 seconds and at the end of a watch.
    #[arg(long, value_name = "FILE", env = "BAREWIRE_METRICS_FILE", hide_env = true, help_heading = "Output")]
    pub(super) metrics_file: Option<PathBuf>,

    /// No more on standard error than errors and warnings: no summary, no progress, no statistics.
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,

    /// Every counter on standard error, and what is done to files and filters.
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = "Output")]
    verbose: u8,

    /// Exit with status 1 when a finding is at or above this severity.
    #[arg(long, value_name = "SEVERITY", value_enum, env = "BAREWIRE_FAIL_ON", hide_env = true)]
    #[arg(help_heading = "Judging")]
    fail_on: Option<Severity>,

    /// Findings that FILE accepts are told as such and do not count for --fail-on; see 'barewire baseline'.
    #[arg(long, value_name = "FILE", env = "BAREWIRE_BASELINE", hide_env = true, help_heading = "Judging")]
    pub(super) baseline: Option<PathBuf>,

    /// No mail at all is no error (otherwise status 3).
    #[arg(long, help_heading = "Judging")]
    allow_empty: bool,

    /// Per cent of mail connections with gaps, or of frames dropped, that is still a complete analysis.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, help_heading = "Judging")]
    max_loss: f64,

    /// Keep all rights that the program was started with. By default it gives up, before it looks at the first packet,
    /// all that it does not need: users, files, connections, system calls.
    #[arg(long, env = "BAREWIRE_NO_SANDBOX", hide_env = true, help_heading = "Privileges")]
    #[arg(value_parser = clap::builder::BoolishValueParser::new())]
    pub(super) no_sandbox: bool,
}

/// What decides what is found.
#[derive(Args)]
pub(super) struct Reading {
    /// Key of the fingerprints: 32 octets or 64 hexadecimal digits in a file that only its owner can read.
    /// Without it a random key is used for this run and forgotten.
    #[arg(long, value_name = "FILE", env = "BAREWIRE_FINGERPRINT_KEY", hide_env = true, help_heading = "Output")]
    pub(super) fingerprint_key: Option<PathBuf>,

    /// Connections within one host weigh as if they crossed a network: for test runs on one machine. By default what is
    /// found in them is info.
    #[arg(long, env = "BAREWIRE_JUDGE_LOOPBACK", hide_env = true, help_heading = "Judging")]
    #[arg(value_parser = clap::builder::BoolishValueParser::new())]
    judge_loopback: bool,

    /// Ports where a protocol is expected in clear, such as imap=143,1143; the content decides all the same.
    #[arg(long, value_name = "PROTO=LIST", value_parser = parse_ports, help_heading = "Judging")]
    ports: Vec<PortList>,

    /// Ports where TLS must come first, such as imap=993,1993, in place of the usual ones.
    #[arg(long, value_name = "PROTO=LIST", value_parser = parse_ports, help_heading = "Judging")]
    tls_ports: Vec<PortList>,

    /// Look at no other ports than those where mail is expected, by these options or by custom. By default mail is
    /// recognised on any port.
    #[arg(long, env = "BAREWIRE_MAIL_PORTS_ONLY", hide_env = true, help_heading = "Judging")]
    mail_ports_only: bool,

    /// Networks whose path is protected otherwise, such as a VPN; between two ends in them findings weigh less.
    #[arg(long, value_name = "CIDR,...", value_delimiter = ',', value_parser = parse_segment)]
    #[arg(env = "BAREWIRE_TRUSTED_SEGMENTS", hide_env = true, help_heading = "Judging")]
    trusted_segments: Vec<Segment>,

    /// Accounts that open more than a mailbox, such as root,admin; their exposure weighs more.
    #[arg(long, value_name = "USER,...", value_delimiter = ',')]
    #[arg(env = "BAREWIRE_PRIVILEGED_USERS", hide_env = true, help_heading = "Judging")]
    privileged_users: Vec<String>,

    /// Report passwords that are empty or the user's own name, and those whose SHA-256 (64 hexadecimal digits a line)
    /// stands in FILE. Compared in memory only; what is written is that a password is weak, never the password.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    #[arg(value_parser = clap::value_parser!(OsString), help_heading = "Judging")]
    weak_secrets: Option<OsString>,

    /// Memory that connections may take, in MiB; at the bound those with least to tell are given up, and counted.
    #[arg(long, value_name = "MIB", default_value_t = 512, value_parser = clap::value_parser!(u32).range(16..))]
    #[arg(env = "BAREWIRE_MAX_MEMORY", hide_env = true, help_heading = "Judging")]
    max_memory: u32,
}

/// Octets.
const MIB: usize = 1024 * 1024;

#[derive(Clone, Debug)]
struct PortList {
    protocol: crate::mail::Protocol,
    ports: Vec<u16>,
}

fn parse_ports(text: &str) -> Result<PortList, String> {
    let names = || PROTOCOLS.iter().map(|info| info.name).collect::<Vec<_>>().join(", ");
    let (name, list) =
        text.split_once('=').ok_or_else(|| "write it as PROTO=PORT,PORT, such as imap=143,1143".to_owned())?;
    let info = PROTOCOLS.iter().find(|info| info.name == name);
    let info = info.ok_or_else(|| format!("no protocol '{name}'; there are {}", names()))?;
    let port =
        |port: &str| port.parse().ok().filter(|&port: &u16| port > 0).ok_or_else(|| format!("'{port}' is no port"));
    let ports = list.split(',').map(port).collect::<Result<_, _>>()?;
    Ok(PortList { protocol: info.protocol, ports })
}

/// The name of a sensor.
pub(super) fn parse_sensor(text: &str) -> Result<String, String> {
    let what = || format!("a name has 1 to {SENSOR_OCTETS} printable ASCII characters without blanks");
    is_sensor_name(text).then(|| text.to_owned()).ok_or_else(what)
}

pub(super) fn parse_segment(text: &str) -> Result<Segment, String> {
    Segment::parse(text).ok_or_else(|| "write it as ADDRESS/BITS, such as 10.0.0.0/8 or 2001:db8::/32".to_owned())
}

/// Reads a list of weak passwords.
pub(super) fn read_list(path: &Path) -> Result<WeakSecrets, Failure> {
    Ok(WeakSecrets { digests: read_digests(path)? })
}

/// Reads a list of SHA-256 digests, one a line; what follows a digest on its line is not looked at.
fn read_digests(path: &Path) -> Result<Vec<[u8; 32]>, Failure> {
    let fail = |what: String| Failure::usage(format!("list of weak passwords {}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    let digest = |line: &str| -> Option<[u8; 32]> {
        let digits = line.get(..64)?;
        let mut digest = [0; 32];
        for (octet, at) in digest.iter_mut().zip((0..64).step_by(2)) {
            *octet = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
        }
        Some(digest)
    };
    let mut digests = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = || fail(format!("line {}: 64 hexadecimal digits of SHA-256 must stand there", at + 1));
        digests.push(digest(line.trim()).ok_or_else(wrong)?);
    }
    digests.sort_unstable();
    Ok(digests)
}

/// Reads what is accepted, and says what is not any more.
pub(super) fn read_baseline(path: &Path) -> Result<Baseline, Failure> {
    let (all, now) = (super::baseline::read(path)?, run::now());
    let expired = all.values().filter(|accepted| !accepted.acceptance.holds(now)).count();
    if expired > 0 {
        console::warning(&format!(
            "baseline {}: {} expired and {} told as before; 'barewire baseline check' names them",
            path.display(),
            counted(expired as u64, "finding"),
            if expired == 1 { "is" } else { "are" }
        ));
    }
    Ok(Baseline::new(all.into_iter().map(|(uid, accepted)| (uid, accepted.acceptance)), now))
}

impl Common {
    /// What the operator says of networks and accounts.
    pub(super) fn policy(&self) -> Result<Arc<Policy>, Failure> {
        Ok(Arc::new(Policy { baseline: self.telling.accepted()?, ..self.reading.policy()? }))
    }

    /// Files that are read beside captures.
    pub(super) fn read_files(&self) -> Vec<PathBuf> {
        let Reading { fingerprint_key, .. } = &self.reading;
        let list = self.reading.list().map(Path::to_owned);
        [&self.config, fingerprint_key, &self.telling.baseline].into_iter().flatten().cloned().chain(list).collect()
    }

    /// Files, and folders of files, that are read again when the configuration is. A folder, so that an editor's new file
    /// in the place of the old is found.
    #[cfg(feature = "live")]
    pub(super) fn reads(&self) -> Vec<PathBuf> {
        self.config
            .as_deref()
            .into_iter()
            .chain(self.reading.list())
            .chain(self.telling.baseline.as_deref())
            .map(|path| folder_of(path).to_owned())
            .collect()
    }

    /// Whether fingerprints are made under a key that is kept.
    #[cfg(feature = "live")]
    pub(super) fn has_key(&self) -> bool {
        self.reading.fingerprint_key.is_some()
    }

    /// What the engine is told.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        let key = match &self.reading.fingerprint_key {
            Some(path) => read_key(path)?,
            None => random_key()?,
        };
        Ok(Settings { limits: self.reading.limits(), ports: self.reading.ports(), key, policy: self.policy()? })
    }

    /// The tables of receivers in the configuration.
    pub(super) fn sinks(&self) -> Result<Vec<Sink>, Failure> {
        let Some(path) = &self.config else { return Ok(Vec::new()) };
        let mut parser = super::Cli::command();
        parser.build();
        Ok(Config::read(path, &parser)?.sinks)
    }

    /// The receivers that the configuration names, connected to nothing yet.
    pub(super) fn receivers(&self, when_full: WhenFull) -> Result<Vec<Receiver>, Failure> {
        let sinks = self.sinks()?;
        let mut spool = None;
        if !sinks.is_empty() {
            let state = std::env::var_os("STATE_DIRECTORY").filter(|folder| !folder.is_empty());
            spool = self.spool.clone().or_else(|| state.map(|folder| Path::new(&folder).join("spool")));
        }
        let make = |sink: Sink| {
            let spool = spool.clone().ok_or_else(|| {
                Failure::usage(format!("sinks.{}: name the folder where records wait with 'spool'", sink.name))
            })?;
            sink.receiver(&spool, when_full)
        };
        sinks.into_iter().map(make).collect()
    }

    /// Reads whatever the options name, and opens nothing for writing.
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.settings()?;
        let Some(output) = &self.telling.output else { return Ok(()) };
        let failed = |what: &str| Failure::usage(format!("output {}: {what}", output.display()));
        if output.is_dir() {
            return Err(failed("that is a folder; name a file in it"));
        }
        if folder_of(output).is_dir() { Ok(()) } else { Err(failed("its folder does not exist; make it first")) }
    }

    /// Worker threads.
    pub(super) fn workers(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        match self.jobs {
            Some(jobs) => usize::from(jobs),
            None if cores <= 2 => 0,
            None => (cores - 1).min(8),
        }
    }
}

impl Telling {
    /// The least that is told on standard error.
    pub(super) fn level(&self) -> Level {
        match (self.quiet, self.verbose) {
            (true, _) => Level::Notice,
            (false, 0) => Level::Info,
            (false, _) => Level::Debug,
        }
    }

    /// Findings that may stand.
    pub(super) fn accepted(&self) -> Result<Baseline, Failure> {
        Ok(self.baseline.as_deref().map(read_baseline).transpose()?.unwrap_or_default())
    }

    /// What the exit status depends on.
    pub(super) fn judging(&self) -> Judging {
        Judging {
            fail_on: self.fail_on.map(|severity| severity as u8 + 1),
            allow_empty: self.allow_empty,
            max_loss_percent: self.max_loss,
        }
    }

    /// What a replay writes where.
    pub(super) fn outputs(&self) -> Result<Outputs, Failure> {
        let mut outputs = outputs::resolve(&self.format, self.output.as_deref())?;
        outputs.documents.has_baseline = self.baseline.is_some();
        Ok(outputs)
    }

    /// How a watch writes records.
    #[cfg(feature = "live")]
    pub(super) fn form(&self) -> Result<Form, Failure> {
        outputs::records_only(&self.format)
    }

    pub(super) fn kinds(&self) -> Kinds {
        let has = |kind| self.records.contains(&kind);
        Kinds {
            findings: has(RecordKind::Findings),
            logins: has(RecordKind::Logins),
            sessions: has(RecordKind::Sessions),
        }
    }
}

impl Reading {
    /// What the operator says of networks and accounts, but for what may stand.
    pub(super) fn policy(&self) -> Result<Policy, Failure> {
        let weak_secrets = match &self.weak_secrets {
            None => None,
            Some(path) if path.is_empty() => Some(WeakSecrets::default()),
            Some(path) => Some(read_list(Path::new(path))?),
        };
        Ok(Policy {
            trusted_segments: self.trusted_segments.clone(),
            privileged_users: self.privileged_users.iter().cloned().collect(),
            weak_secrets,
            judges_one_host: self.judge_loopback,
            baseline: Baseline::default(),
        })
    }

    /// The list of weak passwords.
    pub(super) fn list(&self) -> Option<&Path> {
        self.weak_secrets.as_ref().filter(|path| !path.is_empty()).map(Path::new)
    }

    /// Which ports suggest which protocol.
    pub(super) fn ports(&self) -> Ports {
        let mut ports = Ports::default();
        for list in &self.ports {
            ports.set(list.protocol, &list.ports);
        }
        for list in &self.tls_ports {
            ports.set_implicit_tls(list.protocol, &list.ports);
        }
        if self.mail_ports_only {
            ports.set_only();
        }
        ports
    }

    /// The bounds of connections.
    pub(super) fn limits(&self) -> Limits {
        Limits::of_memory(self.max_memory as usize * MIB)
    }

    /// What decides what is found, as it is typed, but for files.
    pub(super) fn typed(&self) -> Vec<String> {
        let lists = [("ports", &self.ports), ("tls-ports", &self.tls_ports)];
        let ports = lists.into_iter().flat_map(|(option, lists)| {
            lists.iter().map(move |PortList { protocol, ports }| {
                let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
                format!("--{option}={}={}", protocol.name(), ports.join(","))
            })
        });
        let flags = [("mail-ports-only", self.mail_ports_only), ("judge-loopback", self.judge_loopback)];
        let flags = flags.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| format!("--{flag}"));
        let segments = self.trusted_segments.iter().map(|segment| format!("--trusted-segments={segment}"));
        let users = self.privileged_users.iter().map(|user| format!("--privileged-users={user}"));
        let weak = self.weak_secrets.iter().map(|_| "--weak-secrets".to_owned());
        let memory = std::iter::once(format!("--max-memory={}", self.max_memory));
        ports.chain(flags).chain(segments).chain(users).chain(weak).chain(memory).collect()
    }
}

impl Format {
    pub(super) fn form(self) -> Form {
        match self {
            Self::Ecs => Form::Ecs,
            Self::Ocsf => Form::Ocsf,
            Self::Cef => Form::Cef,
        }
    }
}

/// Reads a key file; one that others can read is no key.
pub(super) fn read_key(path: &Path) -> Result<FingerprintKey, Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    if is_key_itself(path) {
        let what = "fingerprint key: that is no file, and long enough to be a key; write the key to a file that only its \
                    owner can read, and name that";
        return Err(Failure::usage(what));
    }
    let fail = |what: String| Failure::usage(format!("fingerprint key {}: {what}", path.display()));
    let mut file = File::open(path).map_err(|error| fail(error.to_string()))?;
    let mode = file.metadata().map_err(|error| fail(error.to_string()))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(fail(format!("others can read it; run 'chmod 600 {}'", path.display())));
    }
    let mut content = Zeroizing::new([0; 256]);
    let mut len = 0;
    while len < content.len() {
        match file.read(&mut content[len..]).map_err(|error| fail(error.to_string()))? {
            0 => break,
            more => len += more,
        }
    }
    FingerprintKey::parse(&content[..len])
        .ok_or_else(|| fail("it must hold 32 octets or 64 hexadecimal digits".to_owned()))
}

/// Whether the key, or something like one, was given in place of its file's name. It must not be told.
fn is_key_itself(path: &Path) -> bool {
    let octets = path.as_os_str().as_encoded_bytes();
    octets.len() >= FingerprintKey::LEN && !octets.contains(&b'/') && !path.exists()
}

/// A key for this run only.
fn random_key() -> Result<FingerprintKey, Failure> {
    let mut key = Zeroizing::new([0; FingerprintKey::LEN]);
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut key[..]));
    read.map_err(|error| Failure::usage(format!("no random key for fingerprints: /dev/urandom: {error}")))?;
    Ok(FingerprintKey::new(&key))
}

/// The names of severities stand in one list.
const _: () = assert!(SEVERITIES.len() == Severity::Critical as usize + 1);
