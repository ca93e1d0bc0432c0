//! From what was said to what it means: findings, logins, sessions.
//!
//! [`CATALOGUE`] is the one list of findings, [`Case`] judges one connection, [`Collector`] counts equal findings
//! together.

mod catalogue;
mod collector;
mod judge;
mod record;

pub use catalogue::{CATALOGUE, Category, Entry, FindingId, Key, Remedy, SEVERITIES, Technique, severity_name};
pub use collector::{Collected, Collector};
pub use judge::{Case, Ending};
pub use record::{Coverage, Finding, Flow, Login, Offer, Record, Session, Starttls};
