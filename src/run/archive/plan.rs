//! The first step: which captures there are, and how they are to be judged.

use super::{MANIFEST, MOST_PARTITIONS};
use crate::archive::digest_of;
use crate::archive::store::{Input, Store};
use crate::capture::last_time;
use crate::ops::console;
use crate::ops::counted;
use crate::output::steps::{Capture, Manifest, STEPS_VERSION, Step as _};
use crate::run::Failure;

/// What `archive plan` is asked to do.
pub struct PlanJob {
    /// Captures, in their order.
    pub captures: Vec<String>,
    /// Where the files of the archive go.
    pub out: String,
    /// Into how many partitions packets go.
    pub partitions: u32,
    /// See [`Manifest::options`].
    pub options: Vec<String>,
    /// See [`Manifest::weak_secrets`].
    pub weak_secrets: Option<String>,
    /// See [`Manifest::fingerprint_key`].
    pub fingerprint_key: String,
    /// See [`Manifest::unknown_octets`].
    pub unknown_octets: Option<u32>,
    /// Rights are given up before the first octet is looked at.
    pub is_sandboxed: bool,
}

/// Writes the plan. Gives the exit status.
///
/// # Errors
///
/// A capture is not there, or the plan cannot be written.
pub fn plan(job: PlanJob) -> Result<u8, Failure> {
    let store = Store::open(&job.out).map_err(Failure::usage)?;
    if job.partitions == 0 || job.partitions > MOST_PARTITIONS {
        return Err(Failure::usage(format!("--partitions {}: there are 1 to {MOST_PARTITIONS}", job.partitions)));
    }
    let inputs: Vec<Input> =
        job.captures.iter().map(|uri| Input::of(uri)).collect::<Result<_, _>>().map_err(Failure::usage)?;
    let cannot = |error| Failure::output(format!("{}: {error}", store.name_of(MANIFEST)));
    store.prepare("").map_err(cannot)?;
    super::confine(job.is_sandboxed, &inputs, &[], &store, "")?;
    let captures: Vec<Capture> =
        job.captures.iter().zip(&inputs).map(|(uri, input)| capture(uri, input)).collect::<Result<_, _>>()?;
    let known = captures.iter().map(|capture| format!("{} {}\n", capture.octets, capture.name)).collect::<String>();
    let seed = u64::from_str_radix(&digest_of(known.as_bytes())[..16], 16).unwrap_or_default();
    let manifest = Manifest {
        version: STEPS_VERSION,
        barewire: env!("CARGO_PKG_VERSION").to_owned(),
        partitions: job.partitions,
        seed,
        options: job.options,
        weak_secrets: job.weak_secrets,
        fingerprint_key: job.fingerprint_key,
        unknown_octets: job.unknown_octets,
        captures,
    };
    store.put(MANIFEST, &manifest.written()).map_err(cannot)?;
    console::info(&format!(
        "{}: {} to map, {} to reduce",
        store.name_of(MANIFEST),
        counted(manifest.captures.len() as u64, "capture"),
        counted(manifest.partitions.into(), "partition")
    ));
    Ok(0)
}

/// What is seen of a capture without reading it.
fn capture(uri: &str, input: &Input) -> Result<Capture, Failure> {
    let fail = |error: std::io::Error| Failure::input(format!("{uri}: {error}"));
    if uri == "-" {
        return Err(fail(std::io::Error::other("each step reads the captures anew; name the files")));
    }
    let octets = input.octets().map_err(fail)?;
    let first = input.open().map_err(fail)?.next_frame().map(|frame| frame.at.time.0);
    let last = last_time(octets, |from, len| input.part(from, len)).map_err(fail)?.map(|time| time.0);
    // What was taken for a packet there may be none.
    let last = last.filter(|last| first.is_some_and(|first| first <= *last));
    Ok(Capture { name: uri.to_owned(), octets, first, last })
}
