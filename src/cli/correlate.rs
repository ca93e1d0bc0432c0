//! `barewire correlate`: what several sensors know together.

use super::Failure;
use super::options::{Format, Severity, parse_segment, read_baseline};
use crate::finding::{Policy, Segment};
use crate::ops::console::{self, Level};
use crate::run::{self, CorrelateJob};
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;

/// Find what no single sensor can know, in the records of several.
///
/// One secret used at servers that different sensors see, and an offer of STARTTLS that one sensor sees and another does
/// not. Records are what watch and replay write, of all kinds (--records findings,logins,sessions) and under one
/// --fingerprint-key; files may be plain or compressed with gzip or zstd, and `-` is standard input. Their order does not
/// matter, a record that came several times counts once, and what a sensor told already is not told again.
#[derive(Args)]
pub(super) struct CorrelateOf {
    /// Files of records, or - for standard input.
    #[arg(required = true, value_name = "RECORDS")]
    files: Vec<PathBuf>,

    /// Form of the findings.
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "ecs")]
    format: Format,

    /// Write to FILE instead of standard output. A file that is there is replaced.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Exit with status 1 when a finding is at or above this severity.
    #[arg(long, value_name = "SEVERITY", value_enum)]
    fail_on: Option<Severity>,

    /// Findings that FILE accepts are told as such and do not count for --fail-on; see 'barewire baseline'.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,

    /// Networks whose path is protected otherwise, as the sensors have it.
    #[arg(long, value_name = "CIDR,...", value_delimiter = ',', value_parser = parse_segment)]
    trusted_segments: Vec<Segment>,

    /// Connections within one host weigh as if they crossed a network, as the sensors have it.
    #[arg(long)]
    judge_loopback: bool,

    /// No more on standard error than errors and warnings.
    #[arg(short, long)]
    quiet: bool,

    /// Keep all rights that the program was started with.
    #[arg(long)]
    no_sandbox: bool,
}

impl CorrelateOf {
    pub(super) fn run(self) -> Result<u8, Failure> {
        if self.quiet {
            console::set_level(Level::Notice);
        }
        let policy = Policy {
            trusted_segments: self.trusted_segments,
            judges_one_host: self.judge_loopback,
            baseline: self.baseline.as_deref().map(read_baseline).transpose()?.unwrap_or_default(),
            ..Policy::default()
        };
        run::correlate(&CorrelateJob {
            files: self.files,
            read: self.baseline.into_iter().collect(),
            output: self.output,
            form: self.format.form(),
            policy: Arc::new(policy),
            fail_on: self.fail_on.map(|severity| severity as u8 + 1),
            is_sandboxed: !self.no_sandbox,
        })
    }
}
