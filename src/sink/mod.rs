//! Receivers of records over the network or elsewhere: what each takes and how it confirms. Each stands behind a spool
//! on disk, so that one that is slow or dead holds up nothing but its own spool.
//!
//! The contract: a record is acknowledged to the capture side once it is in the spool, and leaves the spool once the
//! receiver has confirmed it, or refused it for good. So every receiver that confirms gets each record at least once, and
//! `event.id` tells which it had before. Threads, waiting and retrying are the business of [`crate::run`].

pub mod http;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod local;
pub mod net;
mod private;
pub mod relp;
pub mod rfc5424;
pub mod spool;
pub mod syslog;
pub mod tls;
pub(crate) mod torn;

pub use private::secret;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The name of this machine; empty where it cannot be had. To be read before the sandbox, as all files.
pub(crate) fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// A record on its way to a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// Its place among all that were ever put into the spool.
    pub number: u64,
    /// A whole line of JSON without its line feed, as [`crate::output::Encoder`] makes it.
    pub line: Box<[u8]>,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The receiver has confirmed it, as far as it confirms anything.
    Delivered,
    /// The receiver had it before.
    Duplicate,
    /// The receiver will never take it, and says why: it goes to the dead letters, and does not hold up others.
    Refused(String),
    /// Not known; it has to be sent again.
    Waits,
}

/// What kept records from being delivered; they are tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// One line for people, without anything of the records.
    pub why: String,
    /// The receiver said how long not to come back.
    pub retry_after: Option<Duration>,
}

impl Trouble {
    /// Without a word of the receiver on when to come back.
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), retry_after: None }
    }
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Of each record, in order.
    pub fates: Vec<Fate>,
    /// Why some wait, where they do.
    pub trouble: Option<Trouble>,
}

impl Report {
    /// All `count` records have this fate.
    #[must_use]
    pub fn all(count: usize, fate: Fate) -> Self {
        Self { fates: vec![fate; count], trouble: None }
    }

    /// Nothing of a batch was delivered, as far as is known.
    #[must_use]
    pub fn failed(count: usize, trouble: Trouble) -> Self {
        Self { fates: vec![Fate::Waits; count], trouble: Some(trouble) }
    }
}

/// How much is sent at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Records.
    pub records: usize,
    /// Octets of their lines.
    pub octets: usize,
}

/// A way to a receiver. It connects by itself when it is first used and after every trouble, and gives up on whatever takes
/// longer than [`PATIENCE`]: a receiver that hangs is one that is down.
pub trait Transport: Send {
    /// Opens what cannot be opened later, for rights are given up before the first record is delivered.
    ///
    /// # Errors
    ///
    /// It cannot be opened: one line for people.
    fn prepare(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// What it shows and trusts over TLS, where that can be read anew while it runs.
    fn papers(&self) -> Option<Arc<tls::Papers>> {
        None
    }

    /// How much it takes at once.
    fn bounds(&self) -> Bounds;

    /// Sends records and waits for what the receiver confirms. Gives as many fates as there are records.
    fn deliver(&mut self, parcels: &[Parcel]) -> Report;
}

/// What stands at the end of a spool.
pub struct Receiver {
    /// What the configuration calls it.
    pub name: String,
    /// What kind it is, as in the configuration.
    pub kind: &'static str,
    /// The way to it.
    pub transport: Box<dyn Transport>,
    /// Where records wait for it.
    pub spool: spool::Options,
    /// When what is in the spool outlasts a power cut as well.
    pub fsync: Fsync,
    /// Records may be lost although each was sent, for it confirms nothing: as much of a line as says so.
    pub caveat: Option<&'static str>,
    /// What the sandbox must leave it.
    pub reach: Reach,
}

/// What a transport needs of the system once it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// TCP ports, on any host.
    pub tcp: Vec<u16>,
    /// It sends datagrams.
    pub is_udp: bool,
    /// It looks up names of hosts while it runs.
    pub looks_up_names: bool,
    /// Folders of files that it reads.
    pub read: Vec<PathBuf>,
    /// Files that it writes, which may be moved aside and begun anew.
    pub files: Vec<PathBuf>,
}

/// When records in a spool are made to outlast a power cut. Without it they outlast the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Twice a second.
    Interval,
    /// With each batch of records that the capture brings.
    Batch,
    /// When the system does it by itself.
    Never,
}

/// How a connection is protected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// PEM file of the authorities that the receiver's certificate must come from; without it those of the system.
    pub ca: Option<PathBuf>,
    /// PEM file of the certificate chain that is shown to the receiver.
    pub certificate: Option<PathBuf>,
    /// PEM file of its private key.
    pub key: Option<PathBuf>,
    /// The name that the receiver's certificate must have, where it is not that of the address.
    pub name: Option<String>,
}

/// How long a receiver may take to accept a connection, to take what is sent or to answer.
pub const PATIENCE: Duration = Duration::from_secs(10);
