//! The page of a running sensor, or of records in files: is the sensor seeing, what is exposed now, who and where, is it
//! getting better.
//!
//! Made from recent records ([`Board`]) for what an address asks ([`Query`]), whole for a reader without script or in
//! parts for one who looks on. It opens no socket, reads no clock and starts nothing; who may see it is decided by
//! [`door`], and what carries it stands in `run`.

mod board;
pub mod door;
mod heat;
mod query;
mod sheet;
mod trend;
mod view;
mod words;

pub use board::{Board, FINDINGS};
pub use query::Query;
pub use sheet::{SCRIPT_POLICY, parts, seeing, sheet};

use crate::ops::metrics::SinkCounts;
use crate::wire::Timestamp;

/// Where records come from, as it stands now.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Interfaces or files, for people.
    pub name: String,
    /// The clock of a running sensor; `None`: the newest record tells the time.
    pub now: Option<Timestamp>,
    /// Records that the page missed, for they came faster than it took them.
    pub missed: u64,
    /// What a running sensor does.
    pub sensor: Option<Sensor>,
    /// Files that are read.
    pub files: Vec<FileState>,
}

/// What a running sensor does.
#[derive(Clone, Debug, Default)]
pub struct Sensor {
    /// What it listens on.
    pub interfaces: Vec<Interface>,
    /// Packets a second of late.
    pub rate: u64,
    /// Of the last packet; 0 before the first.
    pub last_packet: Timestamp,
    /// Seconds since it was started.
    pub seconds: u64,
    /// Octets of mail connections, and those of them that were not captured.
    pub octets: [u64; 2],
    /// What is wrong.
    pub trouble: Option<String>,
    /// Where records go.
    pub sinks: Vec<SinkCounts>,
}

/// What came over an interface.
#[derive(Clone, Debug, Default)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// It is there and up.
    pub is_up: bool,
    /// Packets that were captured.
    pub captured: u64,
    /// Packets that were dropped by the kernel or here.
    pub dropped: u64,
}

/// How far a file was read.
#[derive(Clone, Debug, Default)]
pub struct FileState {
    /// Its name.
    pub name: String,
    /// Lines that were read.
    pub lines: u64,
    /// Lines that were too long and passed over.
    pub long: u64,
    /// What it is waiting for, or why it was not read to its end.
    pub state: String,
    /// It could not be read to its end.
    pub is_faulty: bool,
}
