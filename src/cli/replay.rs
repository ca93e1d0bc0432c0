//! `barewire replay`: saved captures as one capture.

use super::Failure;
use super::options::Common;
use crate::ops::console;
use crate::output::verdict::Document;
use crate::run;
use crate::sink::spool::WhenFull;
use clap::Args;
use std::path::PathBuf;

/// Judge saved captures.
///
/// Files may be pcap or pcapng, plain or compressed with gzip or zstd; `-` is standard input. Several files are read
/// as one capture in the order of their time stamps, so that connections go on from one file to the next.
#[derive(Args)]
pub(super) struct Replay {
    /// Capture files, or - for standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// File of the repository that results in SARIF are pinned to, line 1, for services that show no others. By default
    /// the captures.
    #[arg(long, value_name = "PATH", help_heading = "Output")]
    sarif_base: Option<String>,

    /// The page of a job, where GitHub Actions has one.
    #[arg(long, env = "GITHUB_STEP_SUMMARY", hide = true)]
    github_step_summary: Option<PathBuf>,

    /// Folder for a pcapng file of each finding about a connection, called by its event.id: only the packets of that
    /// connection, every secret and all that was not understood overwritten. It is made if it is not there; the captures are
    /// read a second time, so they must be files. The gravest 1,000 findings have one.
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    evidence: Option<PathBuf>,

    #[command(flatten)]
    common: Common,
}

impl Replay {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let common = &self.common;
        console::set_level(common.telling.level());
        let mut outputs = common.telling.outputs()?;
        let documents = &mut outputs.documents;
        documents.sarif_base = self.sarif_base;
        // Only where a job asks for annotations: others of its steps have a page as well.
        if documents.wanted.iter().any(|(document, _)| *document == Document::Github) {
            documents.github_summary = self.github_step_summary.filter(|path| !path.as_os_str().is_empty());
        }
        let kinds = outputs.kinds(common.telling.kinds())?;
        run::replay(run::ReplayJob {
            files: self.files,
            read: common.read_files(),
            settings: common.settings()?,
            kinds,
            judging: common.telling.judging(),
            workers: common.workers(),
            output: outputs.records,
            receivers: common.receivers(WhenFull::Block)?,
            sensor: common.telling.sensor.clone(),
            form: outputs.form,
            documents: outputs.documents,
            evidence: self.evidence,
            metrics_file: common.telling.metrics_file.clone(),
            is_sandboxed: !common.telling.no_sandbox,
        })
    }
}
