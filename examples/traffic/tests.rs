//! What barewire makes of each kind of traffic is what the truth says, no more and no less.

use super::generate::{Kind, write};
use super::octets;
use barewire::finding::Record;
use barewire::testing::replay;

const SIZE: u64 = 2_000_000;

fn made(kind: Kind) -> (Vec<u8>, String) {
    let (mut capture, mut truth) = (Vec::new(), Vec::new());
    write(kind, SIZE, &mut capture, &mut truth).expect("memory can be written to");
    (capture, String::from_utf8(truth).expect("text"))
}

/// The logins that barewire finds, in the columns of the truth.
fn found(name: &str, capture: &[u8]) -> Vec<String> {
    let path = std::env::temp_dir().join(format!("barewire-traffic-{}-{name}.pcap", std::process::id()));
    std::fs::write(&path, capture).expect("a scratch file");
    let (records, _) = replay(std::slice::from_ref(&path));
    std::fs::remove_file(&path).expect("the scratch file");
    let row = |record| match record {
        Record::Login(login) => {
            let (user, server, protocol) =
                (login.user.as_ref()?.as_str(), login.flow.server, login.flow.protocol.name());
            let (mechanism, outcome) = (login.mechanism.as_str(), login.outcome.name());
            Some(format!("{user}\t{protocol}\t{mechanism}\t{}\t{}\t{outcome}", server.ip(), { server.port }))
        }
        Record::Finding(_) | Record::Session(_) => None,
    };
    records.into_iter().filter_map(row).collect()
}

#[test]
fn barewire_finds_each_login_and_no_decoy() {
    for (name, kind) in Kind::ALL {
        let (capture, truth) = made(kind);
        let mut found = found(name, &capture);
        let mut expected: Vec<String> = truth.lines().skip(1).map(str::to_owned).collect();
        found.sort();
        expected.sort();
        let missed: Vec<_> = expected.iter().filter(|row| !found.contains(row)).collect();
        let false_ones: Vec<_> = found.iter().filter(|row| !expected.contains(row)).collect();
        assert!(missed.is_empty() && false_ones.is_empty(), "{name}: missed {missed:#?}, false {false_ones:#?}");
        assert_eq!(found.len(), expected.len(), "{name}: each once");
        assert!(!found.is_empty(), "{name}: nothing to be found");
        assert!(capture.windows(5).any(|octets| octets == b"DECOY"), "{name}: nothing to be misled by");
    }
}

#[test]
fn the_same_octets_come_each_time_and_no_fewer_than_asked_for() {
    for (name, kind) in Kind::ALL {
        let [(capture, truth), again] = [made(kind), made(kind)];
        assert!(capture.len() as u64 >= SIZE, "{name}: {}", capture.len());
        assert!((capture, truth) == again, "{name}");
    }
}

#[test]
fn sizes_are_read_as_people_write_them() {
    let sizes = ["1GB", "200MB", "3kB", "500000", "", "MB", "1.5GB", "99999999999GB"].map(octets);
    let known = [1_000_000_000, 200_000_000, 3000, 500_000].map(Some);
    assert_eq!(sizes, [&known[..], &[None; 4]].concat()[..]);
}
