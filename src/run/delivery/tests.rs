//! Delivery against receivers that fail in every way they can.

use super::*;
use crate::sink::spool::{Options, WhenFull, Worth};
use crate::sink::{Bounds, Fsync, Reach, Report, Trouble};
use crate::testing::Random;
use std::collections::BTreeMap;

/// Takes what it takes, and remembers.
struct Scripted {
    random: Random,
    /// Each record's number with how often it was taken.
    taken: Arc<Mutex<BTreeMap<u64, u32>>>,
}

impl Transport for Scripted {
    fn bounds(&self) -> Bounds {
        Bounds { records: 30, octets: 4000 }
    }

    fn deliver(&mut self, parcels: &[Parcel]) -> Report {
        let mut fates = Vec::new();
        let trouble =
            (self.random.below(4) == 0).then(|| Trouble { why: "down".to_owned(), retry_after: Some(Duration::ZERO) });
        for parcel in parcels {
            let is_bad = parcel.number % 50 == 7;
            fates.push(match self.random.below(6) {
                0 if trouble.is_some() => Fate::Waits,
                _ if is_bad => Fate::Refused("no \"such\" field\n".to_owned()),
                _ => {
                    *locked(&self.taken).entry(parcel.number).or_default() += 1;
                    // Its answer may be lost: it is sent again, and then known.
                    match self.random.below(8) {
                        0 if trouble.is_some() => Fate::Waits,
                        1 => Fate::Duplicate,
                        _ => Fate::Delivered,
                    }
                }
            });
        }
        if self.random.below(20) == 0 {
            fates.truncate(fates.len() / 2);
        }
        Report { fates, trouble }
    }
}

#[test]
fn every_record_is_delivered_or_refused_whatever_happens_and_once_the_spool_is_empty_it_ends() {
    for seed in 0..10 {
        let folder = std::env::temp_dir().join(format!("bw-delivery-{seed}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let options = Options { folder: folder.clone(), limit: 1 << 20, when_full: WhenFull::DropNewest };
        let spool = Spool::open(options.clone()).expect("a spool");
        let taken = Arc::new(Mutex::new(BTreeMap::new()));
        let receiver = Receiver {
            name: "test".to_owned(),
            kind: "webhook",
            transport: Box::new(Scripted { random: Random::new(seed), taken: Arc::clone(&taken) }),
            spool: options,
            fsync: Fsync::Never,
            caveat: None,
            reach: Reach::default(),
        };
        let score = Arc::new(Score::new(&receiver));
        let delivery = Delivery::new(receiver, spool.clone(), Arc::clone(&score));
        for number in 0..200 {
            let line = format!("{{\"@timestamp\":\"2026-11-29T00:00:00.000000Z\",\"event\":{{\"id\":\"{number}\"}}}}");
            spool.put(Worth::Most, line.as_bytes()).expect("room");
        }
        spool.close();
        delivery.run();
        assert!(spool.is_empty());
        let taken = locked(&taken).clone();
        let wanted: Vec<u64> = (0..200).filter(|number| number % 50 != 7).collect();
        assert_eq!(taken.keys().copied().collect::<Vec<_>>(), wanted, "seed {seed}");
        let counts = score.counts();
        assert_eq!((counts.written + counts.duplicates, counts.refused, counts.failed), (196, 4, 0));
        let letters = std::fs::read_to_string(folder.join(DEAD_LETTERS)).expect("the dead letters");
        assert_eq!(letters.lines().count(), 4);
        let second = letters.lines().nth(1).expect("it");
        assert!(second.starts_with("{\"refused\":\"no such field\",\"sink\":\"test\",\"at\":\"20"), "{second}");
        assert!(second.ends_with(",\"event\":{\"id\":\"57\"}}}"), "{second}");
        let _ = std::fs::remove_dir_all(&folder);
    }
}

#[test]
fn waits_grow_are_never_alike_and_end_when_a_receiver_says_so() {
    let mut wait = Wait::default();
    let bounds: Vec<f64> = (0..10).map(|_| wait.next(None, u64::MAX).as_secs_f64().round()).collect();
    assert_eq!(bounds, [1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0], "half a second is rounded");
    assert_eq!(wait.next(None, 0), Duration::ZERO);
    assert_ne!(random(), random());
    let asked = |seconds: u64| Wait::default().next(Some(Duration::from_secs(seconds)), 0).as_secs();
    assert_eq!((asked(7), asked(1_000_000)), (7, 600));
}
