//! What the page of a live capture is told: its records, and how things stand.

use super::gauges::{Gauges, Taken};
use super::now;
use crate::ui::{Interface, Sensor, Source};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Records on their way to the page.
const WAITING: usize = 16 * 1024;
/// Rates are of so long at least.
const RATE_OVER: Duration = Duration::from_secs(1);

/// Records on their way to the page.
#[derive(Clone)]
pub(super) struct Feed {
    send: Sender<Vec<u8>>,
    missed: Arc<AtomicU64>,
}

impl Feed {
    /// With what the page takes them from.
    pub(super) fn new() -> (Self, Receiver<Vec<u8>>) {
        let (send, receive) = bounded(WAITING);
        (Self { send, missed: Arc::default() }, receive)
    }

    /// Hands on a line, or counts it where there is no room.
    pub(super) fn put(&self, line: &[u8]) {
        if let Err(TrySendError::Full(_)) = self.send.try_send(line.to_vec()) {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Looks at the gauges whenever somebody asks.
pub(super) struct Look {
    gauges: Arc<Gauges>,
    feed: Feed,
    began: Instant,
    /// When the rate was taken, packets then, and the rate.
    rate: (Instant, u64, u64),
}

impl Look {
    pub(super) fn new(gauges: Arc<Gauges>, feed: Feed, began: Instant) -> Self {
        Self { gauges, feed, began, rate: (began, 0, 0) }
    }

    pub(super) fn source(&mut self) -> Source {
        let gauges = &self.gauges;
        let interfaces = gauges.interfaces().into_iter().map(|counts| {
            let mut of = gauges.captures.iter().filter(|capture| capture.interface == counts.name);
            Interface {
                is_up: of.all(|capture| capture.is_up.load(Ordering::Relaxed)),
                captured: counts.captured,
                dropped: counts.dropped + counts.dropped_by_kernel,
                name: counts.name,
            }
        });
        let interfaces: Vec<Interface> = interfaces.collect();
        let Taken { captured, .. } = Gauges::taken(&gauges.captures);
        let since = self.rate.0.elapsed();
        if since >= RATE_OVER {
            let rate = (captured - self.rate.1) as f64 / since.as_secs_f64();
            self.rate = (Instant::now(), captured, rate as u64);
        }
        let stream = gauges.counters().stream;
        let names: Vec<&str> = interfaces.iter().map(|interface| interface.name.as_str()).collect();
        Source {
            name: names.join(", "),
            now: Some(now()),
            missed: self.feed.missed.load(Ordering::Relaxed),
            files: Vec::new(),
            sensor: Some(Sensor {
                rate: self.rate.2,
                last_packet: gauges.last_packet(),
                seconds: self.began.elapsed().as_secs(),
                octets: [stream.octets, stream.gap_octets],
                trouble: gauges.health.reason(),
                sinks: gauges.outlets.counts(),
                interfaces,
            }),
        }
    }
}
