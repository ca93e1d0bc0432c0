//! The step that reads a capture: what a reduce must see of it is kept, by partitions.

use super::{Planned, map_file};
use crate::archive::facts::LeftOutWriter;
use crate::archive::partition;
use crate::archive::parts::PartWriter;
use crate::archive::store::{Input, Upload};
use crate::engine::{LeftOut, Settings, Sieve, Sifted};
use crate::ops::console;
use crate::ops::counted;
use crate::output::steps::{Holds, MapDone, Part, Step as _, Sums, Trouble};
use crate::run::Failure;
use crate::stream::FlowKey;
use crate::wire::Frame;
use std::collections::BTreeMap;
use std::io;

/// What `archive map` is asked to do.
pub struct MapJob {
    /// The plan.
    pub planned: Planned,
    /// The capture: its index or its name. `None`: the only one.
    pub capture: Option<String>,
    /// For the sieve; no fingerprint is made.
    pub settings: Settings,
    /// Rights are given up before the first octet is looked at.
    pub is_sandboxed: bool,
}

/// Sifts a capture. Gives the exit status.
///
/// # Errors
///
/// The capture is not what was planned, or something cannot be written.
pub fn map(job: MapJob) -> Result<u8, Failure> {
    let planned = &job.planned;
    let index = chosen(planned, job.capture.as_deref())?;
    let capture = &planned.manifest.captures[index];
    let input = Input::of(&capture.name).map_err(Failure::usage)?;
    let folder = map_file(index, "");
    let cannot = |error: io::Error| Failure::output(format!("{}: {error}", planned.store.name_of(&folder)));
    planned.store.prepare(&folder).map_err(cannot)?;
    super::confine(job.is_sandboxed, std::slice::from_ref(&input), &[], &planned.store, &folder)?;
    let fail = |what: String| Failure::input(format!("{}: {what}", capture.name));
    // What is not there now may be there at the next attempt; what it holds stays the same.
    let octets = input.octets().map_err(|error| fail(error.to_string()))?;
    if octets != capture.octets {
        return Err(fail(format!("it has {octets} octets and had {} when it was planned", capture.octets)));
    }
    let mut files = input.open().map_err(|error| fail(error.to_string()))?;
    let mut keep = Keep { planned, index, parts: BTreeMap::new(), unknown: [0; 2] };
    let mut sieve = Sieve::new(job.settings, planned.manifest.unknown_octets);
    while let Some(frames) = files.next_frames() {
        sieve.push_all(frames.iter(), |sifted, frame| keep.push(sifted, frame)).map_err(cannot)?;
        keep.push_due(&mut sieve).map_err(cannot)?;
    }
    sieve.end();
    keep.push_due(&mut sieve).map_err(cannot)?;
    let counters = Sums::from(sieve.counters());
    let Keep { unknown: [unknown_packets, unknown_octets], .. } = keep;
    let parts = keep.finish(&sieve.finish()).map_err(cannot)?;
    let problem = files.problems().first().map(|problem| {
        // By the name of the plan, whatever the path is.
        let told = problem.to_string();
        let what = told.strip_prefix(&format!("{}: ", problem.path)).unwrap_or(&told).to_owned();
        Trouble { what, opened: problem.opened }
    });
    let done = MapDone {
        manifest: planned.digest.clone(),
        index: index as u32,
        name: capture.name.clone(),
        clock: files.clock().0,
        counters,
        problem,
        parts,
        unknown_packets,
        unknown_octets,
    };
    planned.store.put(&map_file(index, "map.json"), &done.written()).map_err(cannot)?;
    tell(&done);
    Ok(0)
}

fn tell(done: &MapDone) {
    if let Some(problem) = &done.problem {
        console::warning(&format!("{}: {}", done.name, problem.what));
    }
    let kept: u64 = done.parts.iter().filter(|part| part.holds != Holds::LeftOut).map(|part| part.entries).sum();
    let all = done.counters.counters().map_or(0, |counters| counters.frames);
    console::info(&format!("{}: {} kept of {}", done.name, counted(kept, "packet"), counted(all, "packet")));
}

/// Which capture is meant.
fn chosen(planned: &Planned, wanted: Option<&str>) -> Result<usize, Failure> {
    let captures = &planned.manifest.captures;
    let Some(wanted) = wanted else {
        return match captures.len() {
            1 => Ok(0),
            all => {
                Err(Failure::usage(format!("--file: the plan has {all} captures; name one, or its index from 0 on")))
            }
        };
    };
    let by_index = wanted.parse().ok().filter(|index: &usize| *index < captures.len());
    let mut by_name = captures.iter().enumerate().filter(|(_, capture)| capture.name == wanted).map(|(index, _)| index);
    match (by_index, by_name.next(), by_name.next()) {
        (Some(index), ..) | (None, Some(index), None) => Ok(index),
        (None, Some(_), Some(_)) => {
            Err(Failure::usage(format!("--file {wanted}: the plan has it several times; name its index")))
        }
        (None, None, _) => Err(Failure::usage(format!("--file {wanted}: no such capture in {}", planned.uri))),
    }
}

/// The parts of one capture.
struct Keep<'a> {
    planned: &'a Planned,
    index: usize,
    parts: BTreeMap<(Holds, u32), Kept>,
    /// Packets and octets that are kept for an earlier capture's sake.
    unknown: [u64; 2],
}

/// One part.
struct Kept {
    writer: PartWriter<Upload>,
    name: String,
    first: [u64; 2],
    entries: u64,
    octets: u64,
}

impl Keep<'_> {
    fn push(&mut self, sifted: Sifted, frame: &Frame<'_>) -> io::Result<()> {
        let place = match sifted {
            Sifted::Nothing | Sifted::LeftOut | Sifted::Held => return Ok(()),
            Sifted::Fragment => (Holds::Fragments, 0),
            Sifted::Wanted(key) | Sifted::Unknown(key) => (Holds::Packets, self.partition(&key)),
        };
        if let Sifted::Unknown(_) = sifted {
            self.unknown[0] += 1;
            self.unknown[1] += frame.octets.len() as u64;
        }
        self.write(place, frame)
    }

    fn push_due(&mut self, sieve: &mut Sieve) -> io::Result<()> {
        while let Some(held) = sieve.due() {
            self.write((Holds::Handshakes, self.partition(&held.key)), &held.frame())?;
        }
        Ok(())
    }

    fn partition(&self, key: &FlowKey) -> u32 {
        partition(key, self.planned.manifest.seed, self.planned.manifest.partitions)
    }

    fn write(&mut self, place: (Holds, u32), frame: &Frame<'_>) -> io::Result<()> {
        if !self.parts.contains_key(&place) {
            let part = self.begin(place, frame)?;
            self.parts.insert(place, part);
        }
        let Some(part) = self.parts.get_mut(&place) else { return Ok(()) };
        part.entries += 1;
        part.octets += frame.octets.len() as u64;
        part.writer.push(frame)
    }

    fn begin(&self, (holds, partition): (Holds, u32), frame: &Frame<'_>) -> io::Result<Kept> {
        let name = file_name(holds, partition);
        let writer = PartWriter::new(self.upload(&name)?, &self.planned.manifest.captures[self.index].name)?;
        Ok(Kept { writer, name, first: [frame.clock.0, frame.at.number], entries: 0, octets: 0 })
    }

    fn upload(&self, name: &str) -> io::Result<Upload> {
        self.planned.store.write(&map_file(self.index, name))
    }

    /// Puts all files in their places.
    fn finish(mut self, left_out: &[LeftOut]) -> io::Result<Vec<Part>> {
        let mut parts = Vec::new();
        for ((holds, partition), kept) in std::mem::take(&mut self.parts) {
            let Kept { writer, name, first, entries, octets } = kept;
            let (upload, sum) = writer.finish()?;
            upload.commit()?;
            let (stored, checksum) = (sum.octets, sum.checksum());
            parts.push(Part { name, holds, partition, entries, octets, first, stored, checksum });
        }
        let mut by_partition: BTreeMap<u32, Vec<&LeftOut>> = BTreeMap::new();
        for one in left_out {
            by_partition.entry(self.partition(&one.key)).or_default().push(one);
        }
        for (partition, all) in by_partition {
            let name = file_name(Holds::LeftOut, partition);
            let mut writer = LeftOutWriter::new(self.upload(&name)?)?;
            all.iter().try_for_each(|one| writer.push(one))?;
            let (upload, sum) = writer.finish()?;
            upload.commit()?;
            let first = [all[0].since.0, all[0].after];
            let (stored, checksum) = (sum.octets, sum.checksum());
            let (holds, entries, octets) = (Holds::LeftOut, all.len() as u64, 0);
            parts.push(Part { name, holds, partition, entries, octets, first, stored, checksum });
        }
        Ok(parts)
    }
}

pub(super) fn file_name(holds: Holds, partition: u32) -> String {
    match holds {
        Holds::Packets => format!("part-{partition}.pcapng.zst"),
        Holds::Handshakes => format!("handshakes-{partition}.pcapng.zst"),
        Holds::Fragments => "fragments.pcapng.zst".to_owned(),
        Holds::LeftOut => format!("left-out-{partition}.zst"),
    }
}
