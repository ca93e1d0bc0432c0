//! Throughput of the parts of the core and of the whole, over the scenarios of `traffic`, in octets and in packets a
//! second.

#![allow(missing_docs, reason = "criterion_group! makes a public function without documentation")]

mod traffic;

use barewire::engine::Engine;
use barewire::finding::Record;
use barewire::output::{Encoder, Event, Inputs};
use barewire::pipeline::{Dispatcher, Feed, Overflow, channels};
use barewire::stream::{Connection, Counts, Env, FlowKey, FlowTable, Mark, Pool, Receiver, Side};
use barewire::testing::{Captured, Link, Random, collect, frames, run_frames, settings};
use barewire::wire::{Endpoint, PacketRef, SeqNumber, Timestamp, decode, open};
use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::thread;
use std::time::Duration;
use traffic::{PROTOCOLS, SCENARIOS, login, message, numbered, octets, scenario, session, shuffle, until};

/// Octets of a long message.
const MESSAGE: usize = 4 << 20;

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    // The least that criterion takes: all groups together should take a minute or two.
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    group
}

fn throughput(frames: &[Captured]) -> Throughput {
    Throughput::ElementsAndBytes { elements: frames.len() as u64, bytes: octets(frames) as u64 }
}

fn replay(frames: &[Captured], mut engine: Engine) -> Engine {
    let mut records = Vec::new();
    engine.push_all(numbered(frames), &mut records);
    engine.finish(&mut records);
    black_box(records.len());
    engine
}

/// The frames through an engine of their own; making it is not measured, nor is dropping it.
fn bench_replay(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, frames: &[Captured]) {
    let counters = *replay(frames, Engine::new(settings())).counters();
    assert!(counters.is_balanced(), "{name}: {counters:?}");
    group.throughput(throughput(frames));
    group.bench_function(name, |bencher| {
        let engine = || Engine::new(settings());
        bencher.iter_batched(engine, |engine| replay(frames, engine), BatchSize::PerIteration);
    });
}

fn engine(criterion: &mut Criterion) {
    let mut group = group(criterion, "engine");
    for name in SCENARIOS {
        let frames = scenario(name).expect("a scenario");
        bench_replay(&mut group, name, &frames);
    }
    group.finish();
}

fn detectors(criterion: &mut Criterion) {
    let mut group = group(criterion, "detectors");
    for name in PROTOCOLS {
        bench_replay(&mut group, name, &until(1 << 20, |_, _| login(name)));
    }
    group.finish();
}

fn skipping(criterion: &mut Criterion) {
    let mut group = group(criterion, "skipping");
    let text = message(MESSAGE, &mut Random::new(19));
    for name in PROTOCOLS {
        bench_replay(&mut group, name, &frames(&session(name, &text).play(), Link::Ethernet));
    }
    group.finish();
}

fn decoding(criterion: &mut Criterion) {
    let mut group = group(criterion, "decoding");
    for name in ["mix", "logins"] {
        let frames = scenario(name).expect("a scenario");
        group.throughput(throughput(&frames));
        group.bench_function(name, |bencher| {
            bencher.iter(|| numbered(black_box(&frames)).filter(|frame| open(frame).is_ok()).count());
        });
    }
    group.finish();
}

/// Flows that are there, each looked up and touched, in an order that no cache foresees.
fn table(criterion: &mut Criterion) {
    let mut group = group(criterion, "table");
    for flows in [1_000_u32, 100_000] {
        let server = Endpoint { address: Endpoint::v4(0xc633_6400), port: 443 };
        let client = |number: u32| Endpoint { address: Endpoint::v4(0x0a00_0000 + number), port: 40_001 };
        let mut keys: Vec<FlowKey> = (0..flows).map(|number| FlowKey::between(client(number), server).0).collect();
        let mut table = FlowTable::<[u64; 4]>::new(keys.len());
        for key in &keys {
            table.touch(key, None, Timestamp(0));
        }
        shuffle(&mut keys, &mut Random::new(23));
        let mut clock = 0;
        group.throughput(Throughput::Elements(keys.len() as u64));
        group.bench_function(format!("{flows} flows"), |bencher| {
            bencher.iter(|| {
                for key in &keys {
                    clock += 10_000;
                    let found = table.find(key);
                    let (slot, _) = table.touch(key, found, Timestamp(clock));
                    table.value(slot)[0] += 1;
                }
            });
        });
    }
    group.finish();
}

#[derive(Default)]
struct Counting(u64);

impl Receiver for Counting {
    fn data(&mut self, _: Side, _: u64, octets: &[u8], _: Mark) {
        self.0 += octets.len() as u64;
    }

    fn gap(&mut self, side: Side, offset: u64, len: u64, _: PacketRef) {
        panic!("{len} octets of {side:?} are missing at {offset}");
    }
}

/// One connection, of whose frames some per cent change places with the next one.
fn reassembly(criterion: &mut Criterion) {
    let mut group = group(criterion, "reassembly");
    let text = message(MESSAGE, &mut Random::new(29));
    let packets = session("pop3", &text).play();
    let said: usize = packets.iter().map(|packet| packet.payload.len()).sum();
    let begin = [packets[0].seq, packets[1].seq];
    for percent in [0, 1, 10] {
        let mut random = Random::new(31);
        // Without the two SYNs, which are not the connection's to take.
        let mut frames = frames(&packets[2..], Link::Ethernet);
        for at in 1..frames.len() {
            if random.chance(percent) {
                frames.swap(at - 1, at);
            }
        }
        let segments: Vec<_> = numbered(&frames)
            .map(|frame| {
                let segment = decode(&frame).expect("a segment");
                let side = if segment.source == packets[0].source { Side::A } else { Side::B };
                (side, segment, frame.at)
            })
            .collect();
        group.throughput(throughput(&frames));
        group.bench_function(format!("{percent} % out of order"), |bencher| {
            bencher.iter(|| {
                let (mut connection, mut receiver) = (Connection::default(), Counting::default());
                let mut env = Env { pool: &mut Pool::new(2), counts: &mut Counts::default() };
                for (side, seq) in [Side::A, Side::B].into_iter().zip(begin) {
                    connection.place(side, SeqNumber(seq).advance(1));
                    connection.mark_captured(side);
                }
                for (side, segment, at) in &segments {
                    connection.push(*side, segment, *at, at.time, &mut env, &mut receiver);
                }
                assert_eq!(receiver.0, said as u64, "all that was said is handed over");
            });
        });
    }
    group.finish();
}

/// The scenario `mix` as `replay` with one worker takes it: frames are copied into batches, another thread reads these.
fn pipeline(criterion: &mut Criterion) {
    let mut group = group(criterion, "pipeline");
    let frames = scenario("mix").expect("a scenario");
    group.throughput(throughput(&frames));
    group.bench_function("mix", |bencher| {
        let prepare = || (channels(1, 1, Overflow::Wait), Engine::new(settings()));
        let run = |((mut dispatchers, feeds), mut engine): ((Vec<Dispatcher>, Vec<Feed>), Engine)| {
            let mut dispatcher = dispatchers.remove(0);
            thread::scope(|scope| {
                scope.spawn(|| feeds[0].run(|| Timestamp(0), &mut engine, |_, records, _| records.clear()));
                for frame in numbered(&frames) {
                    dispatcher.push(&frame, None);
                }
                dispatcher.finish();
                drop(dispatcher);
            });
            engine
        };
        bencher.iter_batched(prepare, run, BatchSize::PerIteration);
    });
    group.finish();
}

fn writing(criterion: &mut Criterion) {
    let mut group = group(criterion, "writing");
    let (records, _) = run_frames(&scenario("logins").expect("a scenario"));
    let collected = collect(&records);
    let findings: Vec<_> = collected.iter().map(Event::Finding).collect();
    let logins: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            Record::Login(login) => Some(Event::Login(login)),
            _ => None,
        })
        .collect();
    for (name, events) in [("findings", findings), ("logins", logins)] {
        let mut encoder = Encoder::new(Inputs { names: vec!["input.pcap".to_owned()], is_live: false, sensor: None });
        let mut lines = Vec::new();
        let mut write = || {
            lines.clear();
            events.iter().for_each(|event| encoder.encode(event, &mut lines));
            lines.len()
        };
        group.throughput(Throughput::ElementsAndBytes { elements: events.len() as u64, bytes: write() as u64 });
        group.bench_function(name, |bencher| bencher.iter(&mut write));
    }
    group.finish();
}

criterion_group!(parts, decoding, table, reassembly, detectors, skipping, writing);
criterion_group!(whole, engine, pipeline);
criterion_main!(parts, whole);
