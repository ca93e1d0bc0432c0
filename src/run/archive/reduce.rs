//! The step that judges a partition: what all maps have kept of it, through one engine in the order of the whole archive.

use super::{Planned, map_file, reduce_file, run_again};
use crate::archive::facts::RecordWriter;
use crate::archive::order::{Kind, Next, Order, Place, Source};
use crate::archive::partition;
use crate::archive::store::Upload;
use crate::engine::{Counters, Engine, Ports, Settings, Tombstones, of_datagram};
use crate::finding::Record;
use crate::ops::console;
use crate::ops::counted;
use crate::output::steps::{Holds, MapDone, Part, Read, ReduceDone, Step as _, Sums};
use crate::run::Failure;
use crate::stream::FlowKey;
use crate::wire::{Defragmenter, Frame, Refusal, Skip, Timestamp, open};
use std::collections::BTreeMap;
use std::io;

/// What `archive reduce` is asked to do.
pub struct ReduceJob {
    /// The plan.
    pub planned: Planned,
    /// Which partition.
    pub partition: u32,
    /// For the engine.
    pub settings: Settings,
    /// Rights are given up before the first octet is looked at.
    pub is_sandboxed: bool,
}

/// The name of the records of a partition.
pub(super) const RECORDS: &str = "records.zst";

/// Judges a partition. Gives the exit status.
///
/// # Errors
///
/// A map is missing or not what it should be, or something cannot be written.
pub fn reduce(job: ReduceJob) -> Result<u8, Failure> {
    let planned = &job.planned;
    let partitions = planned.manifest.partitions;
    if job.partition >= partitions {
        return Err(Failure::usage(format!("partition {}: the plan has 0 to {}", job.partition, partitions - 1)));
    }
    let folder = reduce_file(job.partition, "");
    let cannot = |error: io::Error| Failure::output(format!("{}: {error}", planned.store.name_of(&folder)));
    planned.store.prepare(&folder).map_err(cannot)?;
    super::confine(job.is_sandboxed, &[], &["map"], &planned.store, &folder)?;
    let maps: Vec<MapDone> = (0..planned.manifest.captures.len())
        .map(|index| planned.map_done(index))
        .collect::<Result<_, _>>()
        .map_err(|what| Failure::new(4, what))?;
    let mine = |part: &&Part| part.holds == Holds::Fragments || part.partition == job.partition;
    let files: Vec<(u32, &Part)> =
        maps.iter().flat_map(|map| map.parts.iter().filter(mine).map(|part| (map.index, part))).collect();
    let open = |name: &str| planned.store.read(name);
    let mut order = Order::new(files.iter().map(|(input, part)| source(*input, part)).collect(), open);
    let upload = planned.store.write(&reduce_file(job.partition, RECORDS)).map_err(cannot)?;
    let out = RecordWriter::new(upload).map_err(cannot)?;
    let mut judge = Judge::new(&job, out);
    let clock = maps.iter().map(|map| map.clock).max().unwrap_or_default();
    judge.run(&mut order, Timestamp(clock), planned)?;
    let read = read_as_written(&files, order.sources(), planned)?;
    let counters = judge.counters();
    let Judge { out, tombstones, .. } = judge;
    let missed = tombstones.missed().clone();
    let records = out.records;
    let (upload, sum) = out.finish().map_err(cannot)?;
    upload.commit().map_err(cannot)?;
    let (stored, checksum) = (sum.octets, sum.checksum());
    let counters = Sums::from(&counters);
    let partition = job.partition;
    let manifest = planned.digest.clone();
    let done = ReduceDone { manifest, partition, read, counters, missed, records, stored, checksum };
    planned.store.put(&reduce_file(partition, "reduce.json"), &done.written()).map_err(cannot)?;
    console::info(&format!("partition {partition}: {}", counted(records, "record")));
    Ok(0)
}

fn source(input: u32, part: &Part) -> Source {
    let kind = match part.holds {
        Holds::Packets => Kind::Packets,
        Holds::Handshakes => Kind::Handshakes,
        Holds::Fragments => Kind::Fragments,
        Holds::LeftOut => Kind::LeftOut,
    };
    let [clock, number] = part.first;
    Source::new(Place { clock: Timestamp(clock), input, number, kind }, map_file(input as usize, &part.name))
}

/// What was read of each file, if it is what the maps have written.
fn read_as_written(
    files: &[(u32, &Part)],
    sources: &[Source],
    planned: &Planned,
) -> Result<BTreeMap<String, Read>, Failure> {
    let mut all = BTreeMap::new();
    for ((_, part), Source { name, read: [entries, octets], sum, .. }) in files.iter().zip(sources) {
        let (entries, octets, checksum) = (*entries, *octets, sum.checksum());
        if (entries, octets, &checksum) != (part.entries, part.octets, &part.checksum) {
            let place = planned.store.name_of(name);
            return Err(Failure::new(4, format!("{place}: it is not what the map has written; run the map again")));
        }
        all.insert(name.clone(), Read { entries, octets, checksum });
    }
    Ok(all)
}

/// The engine of a partition, and what it is given.
struct Judge {
    engine: Engine,
    tombstones: Tombstones,
    fragments: Defragmenter,
    /// Of the datagrams, which one partition counts for all.
    datagrams: Option<Counters>,
    ports: Ports,
    /// This one, of so many, by this seed.
    mine: (u32, u32, u64),
    records: Vec<Record>,
    out: RecordWriter<Upload>,
}

impl Judge {
    fn new(job: &ReduceJob, out: RecordWriter<Upload>) -> Self {
        let manifest = &job.planned.manifest;
        Self {
            engine: Engine::new(job.settings.clone()),
            tombstones: Tombstones::new(&job.settings),
            fragments: Defragmenter::default(),
            datagrams: (job.partition == 0).then(Counters::default),
            ports: job.settings.ports.clone(),
            mine: (job.partition, manifest.partitions, manifest.seed),
            records: Vec::new(),
            out,
        }
    }

    fn run<F>(&mut self, order: &mut Order<F>, end: Timestamp, planned: &Planned) -> Result<(), Failure>
    where
        F: FnMut(&str) -> io::Result<Box<dyn io::Read + Send>>,
    {
        let fail = |(name, error): (String, io::Error)| {
            Failure::new(4, format!("{}: {}", planned.store.name_of(&name), run_again(&error, "the map")))
        };
        while let Some(next) = order.next_one().map_err(fail)? {
            let clock = match next {
                Next::Packet(kind, frame) => {
                    match kind {
                        Kind::Fragments => self.fragment(&frame),
                        Kind::Packets | Kind::Handshakes | Kind::LeftOut => self.push(&frame),
                    }
                    frame.clock
                }
                Next::LeftOut(input, left_out) => {
                    self.tombstones.add(input, &left_out, &mut self.engine);
                    continue;
                }
            };
            self.write(clock)?;
        }
        self.engine.advance(end);
        self.engine.finish(&mut self.records);
        self.fragments.finish();
        self.write(end)
    }

    fn push(&mut self, frame: &Frame<'_>) {
        self.tombstones.push(frame, &mut self.engine, &mut self.records);
    }

    /// As the engine does with a fragment; only those datagrams are judged that are of this partition.
    fn fragment(&mut self, frame: &Frame<'_>) {
        match open(frame) {
            Err(Refusal::Fragment(fragment)) => {
                for datagram in &self.fragments.push(&fragment, frame.clock) {
                    self.datagram(&of_datagram(frame, datagram));
                }
            }
            // A map keeps nothing else there.
            Ok(_) | Err(Refusal::Skip(_)) => {}
        }
    }

    fn datagram(&mut self, frame: &Frame<'_>) {
        if let Some(counters) = &mut self.datagrams {
            counters.note(frame);
        }
        match open(frame) {
            Ok(segment) => {
                let is_watched = self.ports.watches(&segment);
                if let Some(counters) = &mut self.datagrams {
                    counters.segments += 1;
                    counters.other_ports += u64::from(!is_watched);
                }
                let (key, _) = FlowKey::between(segment.source, segment.destination);
                let (this, partitions, seed) = self.mine;
                if is_watched && partition(&key, seed, partitions) == this {
                    self.push(frame);
                }
            }
            Err(Refusal::Skip(skip)) => {
                if let Some(counters) = &mut self.datagrams {
                    counters.skipped[skip as usize] += 1;
                }
            }
            Err(Refusal::Fragment(fragment)) => {
                if let Some(counters) = &mut self.datagrams {
                    counters.skipped[Skip::Fragment as usize] += 1;
                }
                for datagram in &self.fragments.push(&fragment, frame.clock) {
                    self.datagram(&of_datagram(frame, datagram));
                }
            }
        }
    }

    fn write(&mut self, clock: Timestamp) -> Result<(), Failure> {
        for record in self.records.drain(..) {
            self.out.push(&record, clock).map_err(|error| Failure::output(format!("records: {error}")))?;
        }
        Ok(())
    }

    /// What connections came to; frames are counted by the maps.
    fn counters(&self) -> Counters {
        let of_engine = self.engine.counters();
        let mut counters = self.datagrams.unwrap_or_default();
        if self.datagrams.is_some() {
            counters.fragments = *self.fragments.counts();
        }
        (counters.mail_flows, counters.evicted) = (of_engine.mail_flows, of_engine.evicted);
        (counters.embryos_dropped, counters.stream) = (of_engine.embryos_dropped, of_engine.stream);
        counters
    }
}
