//! `barewire archive`: the replay of very many captures in steps that any scheduler can run.

use super::options::{Reading, Telling, read_key};
use super::{Failure, refusal};
use crate::archive::digest_of;
use crate::engine::{Ports, Settings};
use crate::finding::Policy;
use crate::limits::Limits;
use crate::ops::console::{self, Level};
use crate::output::steps::STEP_OCTETS;
use crate::run::{self, Planned};
use crate::secret::FingerprintKey;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Replay an archive in steps: plan, a map for each capture, a reduce for each partition, finish.
///
/// The steps share nothing but files, so that xargs, Dask, Spark, Slurm or Kubernetes may run them, each as often as they
/// like. What finish writes is what a replay of all captures writes. The files between the steps hold packets, with all that
/// is in them: keep them as you keep the captures.
#[derive(Args)]
pub(super) struct Archive {
    #[command(subcommand)]
    step: Step,
}

#[derive(Subcommand)]
enum Step {
    /// Write OUT/manifest.json: the captures in their order, and how they are judged.
    ///
    /// Each capture is opened, and its beginning and its end are read, less than 1 MiB of it; of an object 9.
    Plan(Box<Plan>),
    /// Keep of one capture what must be looked at, by partitions, in OUT/map/INDEX.
    Map(Map),
    /// Judge one partition of all maps, in OUT/reduce/PARTITION.
    Reduce(Reduce),
    /// Hold all steps against each other and write the records.
    Finish(Box<Finish>),
}

#[derive(Args)]
struct Plan {
    /// Captures, in the order in which a replay would be given them; records name them so. The maps must find them by the
    /// same names.
    #[arg(required_unless_present = "list", value_name = "URI")]
    captures: Vec<String>,

    /// Read the captures' names from a file, one a line, where they are too many to be typed; - for standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "captures")]
    list: Option<PathBuf>,

    /// Folder of the archive's files.
    #[arg(long, value_name = "URI")]
    out: String,

    /// Into how many partitions the connections go: as many reduces can run at once.
    #[arg(short, long, value_name = "N", default_value_t = 16)]
    partitions: u32,

    /// How much is kept of each connection that a capture shows without its beginning, on other ports than those of mail: an
    /// earlier capture may have shown that it is mail. Of text, 1024 times as much.
    #[arg(long, value_name = "KIB", default_value_t = 1, value_parser = clap::value_parser!(u32).range(..=262_144))]
    unknown: u32,

    /// Leave nothing out on the ports that are looked at: all of their packets are written once more and read again. Then
    /// finish never finds that a map has left out too much.
    #[arg(long, conflicts_with = "unknown")]
    keep_all: bool,

    #[command(flatten)]
    process: Process,

    #[command(flatten)]
    reading: Reading,
}

/// Keep of one capture what must be looked at, by partitions, in OUT/map/INDEX.
#[derive(Args)]
struct Map {
    #[command(flatten)]
    which: Which,

    /// The capture: its index in the manifest, from 0 on, or its name.
    #[arg(long, value_name = "INDEX|NAME")]
    file: Option<String>,

    #[command(flatten)]
    process: Process,
}

/// Judge one partition of all maps, in OUT/reduce/PARTITION.
#[derive(Args)]
struct Reduce {
    /// The partition, from 0 on.
    partition: u32,

    #[command(flatten)]
    which: Which,

    /// Key of the fingerprints, the one of the plan.
    #[arg(long, value_name = "FILE", env = "BAREWIRE_FINGERPRINT_KEY", hide_env = true)]
    fingerprint_key: PathBuf,

    /// The list of weak passwords of the plan, if it has one.
    #[arg(long, value_name = "FILE")]
    weak_secrets: Option<PathBuf>,

    #[command(flatten)]
    process: Process,
}

/// Hold all steps against each other and write the records.
///
/// What is missing or unequal is named, a line each, and nothing is written; the status is 4.
#[derive(Args)]
struct Finish {
    #[command(flatten)]
    which: Which,

    /// File of the repository that results in SARIF are pinned to, line 1, for services that show no others. By default
    /// the captures.
    #[arg(long, value_name = "PATH", help_heading = "Output")]
    sarif_base: Option<String>,

    #[command(flatten)]
    telling: Telling,
}

/// Which archive.
#[derive(Args)]
struct Which {
    /// The manifest that the plan has written.
    #[arg(long, value_name = "URI")]
    manifest: String,

    /// Folder of the archive's files; by default that of the manifest.
    #[arg(long, value_name = "URI")]
    out: Option<String>,
}

/// How the process behaves.
#[derive(Args)]
struct Process {
    /// No more on standard error than errors and warnings.
    #[arg(short, long)]
    quiet: bool,

    /// Keep all rights that the program was started with. By default it gives up, before it looks at the first packet,
    /// all that it does not need: users, files, connections, system calls.
    #[arg(long, env = "BAREWIRE_NO_SANDBOX", hide_env = true)]
    #[arg(value_parser = clap::builder::BoolishValueParser::new())]
    no_sandbox: bool,
}

impl Archive {
    pub(super) fn run(self) -> Result<u8, Failure> {
        match self.step {
            Step::Plan(plan) => plan.run(),
            Step::Map(map) => map.run(),
            Step::Reduce(reduce) => reduce.run(),
            Step::Finish(finish) => finish.run(),
        }
    }
}

impl Plan {
    fn run(self) -> Result<u8, Failure> {
        self.process.begin();
        let Some(key) = &self.reading.fingerprint_key else {
            return Err(Failure::usage(
                "--fingerprint-key: name one, for all steps must make the same fingerprints; 'head -c 32 /dev/urandom' makes a key",
            ));
        };
        let policy = self.reading.policy()?;
        run::plan(run::PlanJob {
            captures: self.list.as_deref().map_or(Ok(self.captures), listed)?,
            out: self.out,
            partitions: self.partitions,
            options: self.reading.typed(),
            weak_secrets: self.reading.list().and_then(|_| list_id(&policy)),
            fingerprint_key: read_key(key)?.id(),
            unknown_octets: (!self.keep_all).then_some(self.unknown * 1024),
            is_sandboxed: !self.process.no_sandbox,
        })
    }
}

/// The names in a list of captures.
fn listed(list: &Path) -> Result<Vec<String>, Failure> {
    let fail = |what: &str| Failure::usage(format!("--list {}: {what}", list.display()));
    let input: Box<dyn Read> = if list.as_os_str() == "-" {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(list).map_err(|error| fail(&error.to_string()))?)
    };
    let mut text = String::new();
    // A plan of more names than that could not be read either.
    let octets = input.take(STEP_OCTETS).read_to_string(&mut text).map_err(|error| fail(&error.to_string()))?;
    let names: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    match octets as u64 {
        STEP_OCTETS => Err(fail(&format!("more than {} MiB of names; make several archives", STEP_OCTETS >> 20))),
        _ if names.is_empty() => Err(fail("it names no capture; one name a line")),
        _ => Ok(names),
    }
}

impl Map {
    fn run(self) -> Result<u8, Failure> {
        self.process.begin();
        let planned = self.which.planned()?;
        let (ports, limits, policy) = of_plan(&planned, &self.which.manifest)?;
        // A map makes no record, so this is the key of nothing.
        let key = FingerprintKey::new(&[0; FingerprintKey::LEN]);
        let settings = Settings { limits, ports, key, policy: Arc::new(policy) };
        let is_sandboxed = !self.process.no_sandbox;
        run::map(run::MapJob { planned, capture: self.file, settings, is_sandboxed })
    }
}

impl Reduce {
    fn run(self) -> Result<u8, Failure> {
        self.process.begin();
        let planned = self.which.planned()?;
        let (ports, limits, mut policy) = of_plan(&planned, &self.which.manifest)?;
        let key = read_key(&self.fingerprint_key)?;
        let wanted = &planned.manifest.fingerprint_key;
        if key.id() != *wanted {
            let file = self.fingerprint_key.display();
            return Err(Failure::usage(format!(
                "fingerprint key {file}: it is {}, and the plan's is {wanted}",
                key.id()
            )));
        }
        if let Some(list) = &self.weak_secrets {
            policy.weak_secrets = Some(super::options::read_list(list)?);
        }
        if list_id(&policy).filter(|_| self.weak_secrets.is_some()) != planned.manifest.weak_secrets {
            return Err(Failure::usage("--weak-secrets: name the list that the plan was made with, and no other"));
        }
        let settings = Settings { limits, ports, key, policy: Arc::new(policy) };
        let is_sandboxed = !self.process.no_sandbox;
        run::reduce(run::ReduceJob { planned, partition: self.partition, settings, is_sandboxed })
    }
}

impl Finish {
    fn run(self) -> Result<u8, Failure> {
        console::set_level(self.telling.level());
        let planned = self.which.planned()?;
        let (ports, limits, policy) = of_plan(&planned, &self.which.manifest)?;
        let policy = Arc::new(Policy { baseline: self.telling.accepted()?, ..policy });
        let key = FingerprintKey::new(&[0; FingerprintKey::LEN]);
        let mut outputs = self.telling.outputs()?;
        outputs.documents.sarif_base = self.sarif_base;
        let kinds = outputs.kinds(self.telling.kinds())?;
        run::finish(run::FinishJob {
            planned,
            telling: run::ReplayJob {
                files: Vec::new(),
                read: self.telling.baseline.iter().cloned().collect(),
                settings: Settings { limits, ports, key, policy },
                kinds,
                judging: self.telling.judging(),
                workers: 0,
                output: outputs.records,
                receivers: Vec::new(),
                form: outputs.form,
                documents: outputs.documents,
                evidence: None,
                sensor: self.telling.sensor.clone(),
                metrics_file: self.telling.metrics_file.clone(),
                is_sandboxed: !self.telling.no_sandbox,
            },
        })
    }
}

impl Which {
    fn planned(&self) -> Result<Planned, Failure> {
        Planned::read(&self.manifest, self.out.as_deref())
    }
}

impl Process {
    fn begin(&self) {
        console::set_level(if self.quiet { Level::Notice } else { Level::Info });
    }
}

/// A list of weak passwords is known by the digest of its digests.
fn list_id(policy: &Policy) -> Option<String> {
    policy.weak_secrets.as_ref().map(|list| digest_of(list.digests.as_flattened()))
}

/// The options of a plan, without a command.
#[derive(Parser)]
struct Planning {
    #[command(flatten)]
    reading: Reading,
}

/// What a plan says of ports, bounds and judging. The environment of a step says nothing.
fn of_plan(planned: &Planned, manifest: &str) -> Result<(Ports, Limits, Policy), Failure> {
    let parser = Planning::command().mut_args(|arg| arg.env(None::<&str>));
    let typed = std::iter::once("barewire".to_owned()).chain(planned.manifest.options.iter().cloned());
    let wrong = |error: clap::Error| Failure::input(format!("{manifest}: its options: {}", refusal(&error)));
    let matches = parser.try_get_matches_from(typed).map_err(wrong)?;
    let reading = Planning::from_arg_matches(&matches).map_err(wrong)?.reading;
    // Files are named to the step that reads them, never by a plan.
    if reading.fingerprint_key.is_some() || reading.list().is_some() {
        return Err(Failure::input(format!("{manifest}: its options name files")));
    }
    Ok((reading.ports(), reading.limits(), reading.policy()?))
}
