//! From what was said to what it means: findings, logins, sessions.
//!
//! [`CATALOGUE`] is the one list of findings, [`Case`] judges one connection, [`Collector`] counts equal findings
//! together.

mod baseline;
mod catalogue;
mod collector;
mod correlate;
mod held;
mod judge;
mod packed;
mod policy;
mod record;
pub mod remedies;
mod serial;
pub mod software;
mod uid;
pub mod varint;

pub use baseline::{Acceptance, Baseline};
pub use catalogue::{
    ATTACK_VERSION, CATALOGUE, Category, Entry, FindingId, Key, Needs, SEVERITIES, Technique, severity_name,
    severity_of,
};
pub use collector::{Collected, Collector, Drained};
pub use correlate::{Correlator, Fleet, SeenLogin, SeenSession};
pub use judge::{Case, Court, Ending};
pub use policy::{Policy, Segment, WeakSecrets};
pub use record::{Coverage, Evidence, Finding, Flow, Login, Offer, Record, Session, Starttls, TlsFacts};
pub use serial::SERIAL_VERSION;
pub use uid::Uid;
