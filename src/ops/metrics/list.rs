//! The one list of metrics: name, type, unit, labels, what each says and where its values are.

use super::{
    FindingSeries, InterfaceCounts, Kind, Metric, NONE, OUTCOMES, Samples, Snapshot, SpoolCounts, TRANSPORTS, hyphened,
    seconds,
};
use crate::finding::FindingId;
use crate::mail::{PROTOCOLS, Reason};
use crate::wire::{Skip, Timestamp};

/// The one list, in the order of the page.
pub static METRICS: [Metric; 24] = [
    Metric {
        name: "barewire_build_info",
        kind: Kind::Gauge,
        help: "Always 1; the label says which barewire this is.",
        unit: "",
        labels: &["version"],
        samples: |_, out| out.put(&[env!("CARGO_PKG_VERSION")], 1),
    },
    Metric {
        name: "barewire_start_time_seconds",
        kind: Kind::Gauge,
        help: "When the program began, in seconds since 1970.",
        unit: "seconds",
        labels: &[],
        samples: |snapshot, out| out.put(&[], time(snapshot.started)),
    },
    Metric {
        name: "barewire_findings_total",
        kind: Kind::Counter,
        help: "Occurrences of findings.",
        unit: "occurrences",
        labels: &["rule", "protocol", "outcome"],
        samples: findings,
    },
    Metric {
        name: "barewire_sessions_total",
        kind: Kind::Counter,
        help: "Mail connections that ended, by how they were protected.",
        unit: "connections",
        labels: &["protocol", "transport"],
        samples: |snapshot, out| {
            for (info, counts) in PROTOCOLS.iter().zip(&snapshot.records.sessions) {
                TRANSPORTS.iter().zip(counts).for_each(|(transport, count)| out.put(&[info.name, transport], count));
            }
        },
    },
    Metric {
        name: "barewire_logins_total",
        kind: Kind::Counter,
        help: "Login attempts in clear, by what the server made of them.",
        unit: "attempts",
        labels: &["protocol", "outcome"],
        samples: |snapshot, out| {
            for (info, counts) in PROTOCOLS.iter().zip(&snapshot.records.logins) {
                OUTCOMES.iter().zip(counts).for_each(|(outcome, count)| out.put(&[info.name, outcome.name()], count));
            }
        },
    },
    Metric {
        name: "barewire_unjudged_sessions_total",
        kind: Kind::Counter,
        help: "Mail connections of which something could not be judged, by why; they are in barewire_sessions_total as well.",
        unit: "connections",
        labels: &["reason"],
        samples: |snapshot, out| {
            let counts = Reason::ALL.iter().zip(snapshot.records.unjudged);
            counts.for_each(|(reason, count)| out.put(&[reason.name()], count));
        },
    },
    Metric {
        name: "barewire_parser_errors_total",
        kind: Kind::Counter,
        help: "Dialogues that could not be followed (protocol-desync).",
        unit: "connections",
        labels: &["protocol"],
        samples: parser_errors,
    },
    Metric {
        name: "barewire_capture_packets_total",
        kind: Kind::Counter,
        help: "Packets that the capture handed over.",
        unit: "packets",
        labels: &["interface"],
        samples: |snapshot, out| interfaces(snapshot, out, |counts| counts.captured),
    },
    Metric {
        name: "barewire_capture_received_packets_total",
        kind: Kind::Counter,
        help: "Packets that passed the kernel's filter, those that it dropped then included.",
        unit: "packets",
        labels: &["interface"],
        samples: |snapshot, out| interfaces(snapshot, out, |counts| counts.received),
    },
    Metric {
        name: "barewire_capture_dropped_packets_total",
        kind: Kind::Counter,
        help: "Packets dropped because the kernel's ring was full, or a worker did not keep up.",
        unit: "packets",
        labels: &["interface", "reason"],
        samples: |snapshot, out| {
            for InterfaceCounts { name, dropped_by_kernel, dropped, .. } in &snapshot.interfaces {
                out.put(&[name, "kernel"], dropped_by_kernel);
                out.put(&[name, "application"], dropped);
            }
        },
    },
    Metric {
        name: "barewire_capture_lost_ratio",
        kind: Kind::Gauge,
        help: "Share of the octets of mail connections since the start that are missing although their receivers have them.",
        unit: "ratio",
        labels: &[],
        samples: |snapshot, out| out.put(&[], snapshot.counters.loss_percent() / 100.0),
    },
    Metric {
        name: "barewire_last_packet_timestamp_seconds",
        kind: Kind::Gauge,
        help: "Latest time stamp of a packet, in seconds since 1970; 0 before the first.",
        unit: "seconds",
        labels: &[],
        samples: |snapshot, out| out.put(&[], time(snapshot.last_packet)),
    },
    Metric {
        name: "barewire_skipped_packets_total",
        kind: Kind::Counter,
        help: "Packets that were not looked into, by why.",
        unit: "packets",
        labels: &["reason"],
        samples: |snapshot, out| {
            let counts = Skip::ALL.iter().map(|(skip, name)| (name, snapshot.counters.skipped[*skip as usize]));
            counts.for_each(|(name, count)| out.put(&[&hyphened(name)], count));
        },
    },
    Metric {
        name: "barewire_stream_gaps_total",
        kind: Kind::Counter,
        help: "Holes in mail connections.",
        unit: "holes",
        labels: &["kind"],
        samples: |snapshot, out| {
            out.put(&["proved"], snapshot.counters.stream.gaps_proved);
            out.put(&["presumed"], snapshot.counters.stream.gaps_presumed);
        },
    },
    Metric {
        name: "barewire_stream_gap_bytes_total",
        kind: Kind::Counter,
        help: "Octets missing in these holes.",
        unit: "bytes",
        labels: &[],
        samples: |snapshot, out| out.put(&[], snapshot.counters.stream.gap_octets),
    },
    Metric {
        name: "barewire_flows_evicted_total",
        kind: Kind::Counter,
        help: "Connections given up for want of memory.",
        unit: "connections",
        labels: &[],
        samples: |snapshot, out| out.put(&[], snapshot.counters.evicted),
    },
    Metric {
        name: "barewire_sink_events_total",
        kind: Kind::Counter,
        help: "Records handed to an output, by what became of them.",
        unit: "records",
        labels: &["sink", "result"],
        samples: |snapshot, out| {
            for sink in &snapshot.sinks {
                let counts = [sink.written, sink.duplicates, sink.refused, sink.discarded, sink.failed];
                let results = ["written", "duplicate", "refused", "discarded", "failed"];
                results.iter().zip(counts).for_each(|(result, count)| out.put(&[&sink.name, result], count));
            }
        },
    },
    Metric {
        name: "barewire_sink_spool_bytes",
        kind: Kind::Gauge,
        help: "Octets on disk that wait for a sink.",
        unit: "bytes",
        labels: &["sink"],
        samples: |snapshot, out| spools(snapshot, out, |spool| spool.octets.to_string()),
    },
    Metric {
        name: "barewire_sink_spool_limit_bytes",
        kind: Kind::Gauge,
        help: "Octets on disk that may wait for a sink.",
        unit: "bytes",
        labels: &["sink"],
        samples: |snapshot, out| spools(snapshot, out, |spool| spool.limit.to_string()),
    },
    Metric {
        name: "barewire_sink_spool_events",
        kind: Kind::Gauge,
        help: "Records that wait for a sink.",
        unit: "records",
        labels: &["sink"],
        samples: |snapshot, out| spools(snapshot, out, |spool| spool.records.to_string()),
    },
    Metric {
        name: "barewire_sink_oldest_unacked_timestamp_seconds",
        kind: Kind::Gauge,
        help: "Time of the packet of the oldest record that waits for a sink, in seconds since 1970; now where none does.",
        unit: "seconds",
        labels: &["sink"],
        samples: |snapshot, out| spools(snapshot, out, |spool| time(spool.oldest)),
    },
    Metric {
        name: "barewire_sink_retries_total",
        kind: Kind::Counter,
        help: "Attempts to deliver that failed and are made again.",
        unit: "attempts",
        labels: &["sink"],
        samples: |snapshot, out| spools(snapshot, out, |spool| spool.troubles.to_string()),
    },
    Metric {
        name: "barewire_sink_delivery_seconds",
        kind: Kind::Histogram,
        help: "How long a sink took to confirm records, each counted by itself.",
        unit: "seconds",
        labels: &["sink"],
        samples: |snapshot, out| {
            let spools = snapshot.sinks.iter().filter_map(|sink| Some((&sink.name, sink.spool.as_ref()?)));
            spools.for_each(|(name, spool)| out.histogram(&[name], &spool.delay));
        },
    },
    Metric {
        name: "barewire_record_delay_seconds",
        kind: Kind::Histogram,
        help: "How long after its packet a record of a live capture was written, an hour at most.",
        unit: "seconds",
        labels: &[],
        samples: |snapshot, out| out.histogram(&[], &snapshot.delay),
    },
];

fn time(at: Timestamp) -> String {
    seconds(at.0, 1_000_000_000)
}

fn interfaces(snapshot: &Snapshot, out: &mut Samples<'_>, count: fn(&InterfaceCounts) -> u64) {
    snapshot.interfaces.iter().for_each(|interface| out.put(&[&interface.name], count(interface)));
}

/// Of each sink that has one.
fn spools(snapshot: &Snapshot, out: &mut Samples<'_>, value: fn(&SpoolCounts) -> String) {
    for sink in &snapshot.sinks {
        sink.spool.iter().for_each(|spool| out.put(&[&sink.name], value(spool)));
    }
}

/// One that was thought not to occur and did is told all the same.
fn findings(snapshot: &Snapshot, out: &mut Samples<'_>) {
    for series in FindingSeries::all() {
        let count = snapshot.records.findings(series);
        if count > 0 || series.can_occur() {
            let protocol = series.protocol.map_or(NONE, |protocol| protocol.name());
            let outcome = series.outcome.map_or(NONE, |outcome| outcome.name());
            out.put(&[series.rule.name(), protocol, outcome], count);
        }
    }
}

fn parser_errors(snapshot: &Snapshot, out: &mut Samples<'_>) {
    for info in &PROTOCOLS {
        let of_protocol =
            |outcome| FindingSeries { rule: FindingId::ProtocolDesync, protocol: Some(info.protocol), outcome };
        out.put(&[info.name], snapshot.records.findings(of_protocol(None)));
    }
}
