//! The replay of an archive in steps that share nothing but files: a plan of its captures, a map for each capture, a reduce
//! for each partition of the connections, and what is said in the end.
//!
//! Each step may be run again, at any time and by several at once: what it reads decides what it writes, and the file that
//! says it is done is written last.

mod finish;
mod map;
mod plan;
mod reduce;

pub use finish::{FinishJob, finish};
pub use map::{MapJob, map};
pub use plan::{PlanJob, plan};
pub use reduce::{ReduceJob, reduce};

use super::Failure;
use crate::archive::digest_of;
use crate::archive::store::{Input, Store};
use crate::ops::console::{self, Level};
use crate::ops::sandbox::Needs;
use crate::output::steps::{Capture, Manifest, MapDone, ReduceDone, STEP_OCTETS, STEPS_VERSION, Step, Sums};
use std::io;
use std::path::PathBuf;

/// The name of the plan in the folder of an archive.
const MANIFEST: &str = "manifest.json";

/// A map holds a file open for each.
const MOST_PARTITIONS: u32 = 512;

/// The folder of a map, or a file in it.
fn map_file(index: usize, name: &str) -> String {
    format!("map/{index}/{name}")
}

/// The folder of a reduce, or a file in it.
fn reduce_file(partition: u32, name: &str) -> String {
    format!("reduce/{partition}/{name}")
}

/// A plan that was read, and where its files are.
pub struct Planned {
    /// What is to be done.
    pub manifest: Manifest,
    /// SHA-256 of the plan.
    digest: String,
    store: Store,
    /// As it was named.
    uri: String,
    /// Its file, if it is on this machine.
    path: Option<PathBuf>,
}

impl Planned {
    /// Reads a plan. `out`: where the files of the archive are, if not beside it.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is not of this version.
    pub fn read(uri: &str, out: Option<&str>) -> Result<Self, Failure> {
        let fail = |what: String| Failure::input(format!("{uri}: {what}"));
        let (beside, name) = Store::of_file(uri).map_err(Failure::usage)?;
        let octets = beside.read_whole(&name, STEP_OCTETS).map_err(|error| fail(error.to_string()))?;
        let manifest = Manifest::read(&octets).map_err(|what| fail(format!("it is no plan: {what}")))?;
        let Manifest { version, barewire, partitions, .. } = &manifest;
        if *version != STEPS_VERSION || barewire != env!("CARGO_PKG_VERSION") {
            return Err(fail(format!(
                "barewire {barewire} has made this plan, and this is {}; use one version for all steps",
                env!("CARGO_PKG_VERSION")
            )));
        }
        if *partitions == 0 || *partitions > MOST_PARTITIONS || u32::try_from(manifest.captures.len()).is_err() {
            return Err(fail(format!("it is no plan: partitions are 1 to {MOST_PARTITIONS}")));
        }
        let path = beside.folder(&name);
        let store = out.map_or(Ok(beside), Store::open).map_err(Failure::usage)?;
        Ok(Self { digest: digest_of(&octets), manifest, store, uri: uri.to_owned(), path })
    }

    /// What a map has done; why not, if it has not.
    fn map_done(&self, index: usize) -> Result<MapDone, String> {
        let name = map_file(index, "map.json");
        let Capture { name: capture, .. } = &self.manifest.captures[index];
        let done: MapDone = self.step(&name, &format!("the map of {capture} is missing"))?;
        if done.index as usize != index || done.name != *capture {
            return Err(format!("{}: it is the map of another capture, {}", self.store.name_of(&name), done.name));
        }
        // No name leads elsewhere.
        if let Some(odd) = done.parts.iter().find(|part| part.name != map::file_name(part.holds, part.partition)) {
            return Err(format!("{}: no map writes a file {}", self.store.name_of(&name), odd.name));
        }
        self.check(&name, &done.manifest, &done.counters)?;
        Ok(done)
    }

    /// What a reduce has done; why not, if it has not.
    fn reduce_done(&self, partition: u32) -> Result<ReduceDone, String> {
        let name = reduce_file(partition, "reduce.json");
        let done: ReduceDone = self.step(&name, &format!("reduce {partition} is missing"))?;
        if done.partition != partition {
            return Err(format!("{}: it is of partition {}", self.store.name_of(&name), done.partition));
        }
        self.check(&name, &done.manifest, &done.counters)?;
        Ok(done)
    }

    /// Reads what a step has written last.
    fn step<T: Step>(&self, name: &str, missing: &str) -> Result<T, String> {
        let place = self.store.name_of(name);
        let octets = self.store.read_whole(name, STEP_OCTETS).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => format!("{place}: {missing}"),
            _ => format!("{place}: {error}"),
        })?;
        T::read(&octets).map_err(|what| format!("{place}: {what}"))
    }

    /// Whether a step was of this plan, and has counted what steps count.
    fn check(&self, name: &str, manifest: &str, counters: &Sums) -> Result<(), String> {
        let place = self.store.name_of(name);
        if manifest != self.digest {
            return Err(format!("{place}: it was made by another plan than {}", self.uri));
        }
        counters.counters().map(drop).ok_or_else(|| format!("{place}: counters that no step has"))
    }
}

/// What is wrong with a file of a step, and that the step is run again where that helps.
fn run_again(error: &io::Error, step: &str) -> String {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::NotFound => format!("{error}; run {step} again"),
        _ => error.to_string(),
    }
}

/// Leaves a step the captures and folders that it reads, and the folder that it writes to.
fn confine(is_sandboxed: bool, captures: &[Input], read: &[&str], store: &Store, written: &str) -> Result<(), Failure> {
    // Of a folder given by mistake nothing is read.
    let paths = captures.iter().filter_map(Input::path).filter(|path| !path.is_dir()).map(ToOwned::to_owned);
    let needs = Needs {
        opens_files_of_others: true,
        read: paths.chain(read.iter().filter_map(|name| store.folder(name))).collect(),
        folders: store.folder(written).into_iter().collect(),
        ..Needs::default()
    };
    let is_remote = store.folder("").is_none() || captures.iter().any(|capture| capture.path().is_none());
    confine_to(is_sandboxed, &needs, is_remote)
}

/// An object store is reached by names, certificates and connections that nobody knows before: then all rights are kept.
fn confine_to(is_sandboxed: bool, needs: &Needs, is_remote: bool) -> Result<(), Failure> {
    if is_sandboxed && is_remote {
        console::log(Level::Notice, "no sandbox: an object store is read or written; confine the process from outside");
        return Ok(());
    }
    super::confine::confine(is_sandboxed.then_some(needs), Level::Debug)
}
