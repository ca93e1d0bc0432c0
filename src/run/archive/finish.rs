//! The last step: all that was kept has been judged, and the records of all partitions are told as a replay of the whole
//! archive tells them.

use super::reduce::RECORDS;
use super::{Planned, map_file, reduce_file, run_again};
use crate::archive::facts::RecordReader;
use crate::engine::Counters;
use crate::finding::Record;
use crate::ops::console;
use crate::ops::counted;
use crate::output::steps::{Holds, MapDone, Part, ReduceDone};
use crate::run::post::Posts;
use crate::run::replay::{ReplayJob, needs, nothing_read};
use crate::run::telling::{Read, Telling};
use crate::run::{Failure, now, refuse_overwriting};
use crate::wire::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::path::PathBuf;
use std::time::Instant;

/// What `archive finish` is asked to do.
pub struct FinishJob {
    /// The plan.
    pub planned: Planned,
    /// What is written, as of a replay of no captures.
    pub telling: ReplayJob,
}

/// Records that are handed on together.
const TOGETHER: usize = 256;

/// Writes the records of an archive. Gives the exit status.
///
/// # Errors
///
/// A step is missing or its files are not what they should be; the output cannot be written.
pub fn finish(job: FinishJob) -> Result<u8, Failure> {
    let since = (Instant::now(), now());
    let FinishJob { planned, telling: job } = &job;
    let sizes = sizes(planned)?;
    // The archive itself is read.
    let files: Vec<PathBuf> = sizes.keys().filter_map(|name| planned.store.folder(name)).collect();
    let read = job.read.iter().chain(&planned.path).chain(&files);
    refuse_overwriting(read, job.output.iter().chain(job.documents.files()))?;
    job.documents.check()?;
    let posts = Posts::open(Vec::new())?;
    let mut needs = needs(job, &posts);
    needs.read.extend(["map", "reduce"].iter().filter_map(|name| planned.store.folder(name)));
    super::confine_to(job.is_sandboxed, &needs, planned.store.folder("").is_none())?;
    let steps = Steps::read(planned, &sizes);
    let (maps, reduces) = match steps {
        Ok(steps) => (steps.maps, steps.reduces),
        Err(wrong) => {
            wrong.iter().for_each(|line| console::error(line));
            let what = counted(wrong.len() as u64, "part");
            return Err(Failure::new(4, format!("{what} of the archive missing or unequal; no records were written")));
        }
    };
    let names: Vec<String> = planned.manifest.captures.iter().map(|capture| capture.name.clone()).collect();
    let read = sum(&maps, &reduces);
    if read.unreadable.len() == names.len() {
        return Err(nothing_read(job, &names, read.unreadable));
    }
    let mut telling = Telling::open(job, posts, names, since)?;
    merge(planned, &reduces, &mut telling)?;
    telling.conclude(job, read)
}

/// What all steps have done.
struct Steps {
    maps: Vec<MapDone>,
    reduces: Vec<ReduceDone>,
}

impl Steps {
    /// Reads what the steps have written and holds one against the other; all that is wrong, one line each.
    fn read(planned: &Planned, sizes: &BTreeMap<String, u64>) -> Result<Self, Vec<String>> {
        let (mut maps, mut reduces, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..planned.manifest.captures.len() {
            planned.map_done(index).map_or_else(|what| wrong.push(what), |map| maps.push(map));
        }
        for partition in 0..planned.manifest.partitions {
            planned.reduce_done(partition).map_or_else(|what| wrong.push(what), |reduce| reduces.push(reduce));
        }
        for reduce in &reduces {
            wrong.extend(unequal(planned, &maps, reduce));
        }
        wrong.extend(lost(planned, sizes, &maps, &reduces));
        if wrong.is_empty() {
            wrong.extend(reduces.iter().filter_map(|reduce| damaged(planned, reduce)));
        }
        if wrong.is_empty() { Ok(Self { maps, reduces }) } else { Err(wrong) }
    }
}

/// What a reduce has read that no map has kept so, and the other way round.
fn unequal(planned: &Planned, maps: &[MapDone], reduce: &ReduceDone) -> Vec<String> {
    let mine = |part: &&Part| part.holds == Holds::Fragments || part.partition == reduce.partition;
    let mut left = reduce.read.clone();
    let mut wrong = Vec::new();
    for (map, part) in maps.iter().flat_map(|map| map.parts.iter().filter(mine).map(move |part| (map, part))) {
        let name = map_file(map.index as usize, &part.name);
        let read = left.remove(&name);
        let is_equal = read.as_ref().is_some_and(|read| {
            (read.entries, read.octets, &read.checksum) == (part.entries, part.octets, &part.checksum)
        });
        if !is_equal {
            let read = read.map_or(0, |read| read.entries);
            let (kept, place) = (part.entries, planned.store.name_of(&name));
            wrong.push(format!(
                "{place}: {kept} kept and {read} read, or other ones; run reduce {} again",
                reduce.partition
            ));
        }
    }
    // What a map has that is missing is told already.
    let known = |name: &String| maps.iter().any(|map| name.starts_with(&map_file(map.index as usize, "")));
    wrong.extend(left.keys().filter(|name| known(name)).map(|name| {
        format!("{}: no map has kept it; run reduce {} again", planned.store.name_of(name), reduce.partition)
    }));
    wrong
}

/// The octets of every file that the steps have written. Asked before the sandbox, which lets files be read and no folders.
fn sizes(planned: &Planned) -> Result<BTreeMap<String, u64>, Failure> {
    let mut all = BTreeMap::new();
    for folder in ["map", "reduce"] {
        let found = planned.store.sizes(folder);
        let fail = |error| Failure::input(format!("{}: {error}", planned.store.name_of(folder)));
        all.append(&mut found.map_err(fail)?);
    }
    Ok(all)
}

/// Files that are not what was written, as far as their sizes tell: none was wrong when it was read, but of an archive that
/// is not whole nothing is said.
fn lost(planned: &Planned, sizes: &BTreeMap<String, u64>, maps: &[MapDone], reduces: &[ReduceDone]) -> Vec<String> {
    let parts = maps
        .iter()
        .flat_map(|map| map.parts.iter().map(|part| (map_file(map.index as usize, &part.name), part.stored, "map")));
    let records = reduces.iter().map(|reduce| (reduce_file(reduce.partition, RECORDS), reduce.stored, "reduce"));
    let is_wrong = |(name, stored, step): (String, u64, &str)| {
        let place = planned.store.name_of(&name);
        match sizes.get(&name) {
            Some(found) if *found == stored => None,
            Some(found) => Some(format!("{place}: it has {found} octets and had {stored}; run the {step} again")),
            None => Some(format!("{place}: it is missing; run the {step} again")),
        }
    };
    parts.chain(records).filter_map(is_wrong).collect()
}

/// Why the records are not those that the reduce has written, if they are not. What was told cannot be taken back, so they are
/// read once before.
fn damaged(planned: &Planned, reduce: &ReduceDone) -> Option<String> {
    let name = reduce_file(reduce.partition, RECORDS);
    let read = || -> io::Result<bool> {
        let mut reader = RecordReader::new(planned.store.read(&name)?)?;
        let mut records = 0;
        while reader.next_one()?.is_some() {
            records += 1;
        }
        Ok((records, reader.sum().checksum()) == (reduce.records, reduce.checksum.clone()))
    };
    let other = || io::Error::new(io::ErrorKind::InvalidData, "it is not what the reduce has written");
    let error = read().and_then(|is_it| if is_it { Ok(()) } else { Err(other()) }).err()?;
    Some(format!("{}: {}", planned.store.name_of(&name), run_again(&error, &format!("reduce {}", reduce.partition))))
}

/// The records of all partitions in the order in which they came to light.
fn merge(planned: &Planned, reduces: &[ReduceDone], telling: &mut Telling) -> Result<(), Failure> {
    let mut readers = Vec::new();
    let mut heap = BinaryHeap::new();
    let mut next = Vec::new();
    for (at, reduce) in reduces.iter().enumerate() {
        let name = reduce_file(reduce.partition, RECORDS);
        let fail = |error| Failure::new(4, format!("{}: {error}", planned.store.name_of(&name)));
        let mut reader = planned.store.read(&name).and_then(RecordReader::new).map_err(fail)?;
        let first = reader.next_one().map_err(fail)?;
        heap.extend(first.as_ref().map(|(clock, _)| Reverse((*clock, at))));
        next.push(first.map(|(_, record)| record));
        readers.push((reader, name));
    }
    let mut records: Vec<Record> = Vec::new();
    while let Some(Reverse((_, at))) = heap.pop() {
        let (reader, name) = &mut readers[at];
        records.extend(next[at].take());
        let fail = |error| Failure::new(4, format!("{}: {error}", planned.store.name_of(name)));
        if let Some((clock, record)) = reader.next_one().map_err(fail)? {
            next[at] = Some(record);
            heap.push(Reverse((clock, at)));
        }
        if records.len() >= TOGETHER {
            telling.add(&mut records)?;
        }
    }
    telling.add(&mut records)
}

/// What was read in all, as a replay counts it.
fn sum(maps: &[MapDone], reduces: &[ReduceDone]) -> Read {
    let mut counters = Counters::default();
    let sums = maps.iter().map(|map| &map.counters).chain(reduces.iter().map(|reduce| &reduce.counters));
    sums.filter_map(|sums| sums.counters()).for_each(|more| counters.add(&more));
    let problems = |opened: bool| {
        let told = maps.iter().filter_map(move |map| map.problem.as_ref().map(|problem| (map, problem)));
        let told = told.filter(move |(_, problem)| problem.opened == opened);
        told.map(|(map, problem)| format!("{}: {}", map.name, problem.what)).collect()
    };
    let mut missed: BTreeMap<u32, u64> = BTreeMap::new();
    for (index, count) in reduces.iter().flat_map(|reduce| &reduce.missed) {
        *missed.entry(*index).or_default() += count;
    }
    let missed = missed.iter().filter_map(|(index, count)| {
        let map = maps.get(*index as usize)?;
        Some(format!(
            "{}: {} that may be mail, of which not all packets were kept; plan with --keep-all",
            map.name,
            counted(*count, "connection")
        ))
    });
    Read {
        captured: counters.frames,
        counters,
        damaged: problems(true),
        unreadable: problems(false),
        missed: missed.collect(),
        clock: Timestamp(maps.iter().map(|map| map.clock).max().unwrap_or_default()),
    }
}
