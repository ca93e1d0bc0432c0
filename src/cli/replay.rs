//! `barewire replay`: saved captures as one capture.

use super::Failure;
use super::options::Common;
use crate::ops::console;
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

    #[command(flatten)]
    common: Common,
}

impl Replay {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let common = &self.common;
        console::set_level(common.level());
        run::replay(run::ReplayJob {
            files: self.files,
            settings: common.settings()?,
            kinds: common.kinds(),
            judging: common.judging(),
            workers: common.workers(),
            output: common.output.clone(),
            receivers: common.receivers(WhenFull::Block)?,
            form: common.form(),
            metrics_file: common.metrics_file.clone(),
            is_sandboxed: !common.no_sandbox,
        })
    }
}
