//! Records as lines of JSON for people's log systems: the only place that knows JSON but for what
//! receivers over HTTP answer.
//!
//! One record is one line of Elastic Common Schema 8.17, everything of our own under `barewire`. ASCII only, at most
//! [`LINE_OCTETS`], no nulls, no arrays of objects. What a line may hold is written down in [`SCHEMA`]; what search engines
//! and people are told of it is [`derived`] from that. Other [`Form`]s are made from the line, so they can say no more than
//! it does. Where the lines go (files, sockets) is not decided here.

pub mod baseline;
mod cef;
mod community_id;
mod convert;
pub mod derived;
mod event;
mod facts;
mod fit;
mod fixed;
mod identity;
mod json;
mod ocsf;
mod schema;
mod sentence;
pub mod steps;
#[cfg(test)]
mod tests;
mod time;
pub mod verdict;
mod written;

pub use facts::{CertificateFact, Fact, FactKind, NoFact, Protection};
pub use schema::SCHEMA;
pub use written::{Form, Written};

use crate::finding::{Collected, Login, Session};

/// Octets of a line with its line feed: rsyslog cuts at 8 KiB by default, and puts a header before it.
pub const LINE_OCTETS: usize = 6000;

/// Octets of a sensor's name: those of a host's in Linux.
pub const SENSOR_OCTETS: usize = 64;

/// Whether a sensor can be called so: it fits into every receiver's fields.
#[must_use]
pub fn is_sensor_name(text: &str) -> bool {
    (1..=SENSOR_OCTETS).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_graphic())
}

/// Where packets came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Names of files or interfaces as they were given, by [`crate::wire::PacketRef::input`].
    pub names: Vec<String>,
    /// They are interfaces.
    pub is_live: bool,
    /// What the sensor is called, see [`is_sensor_name`].
    pub sensor: Option<String>,
}

/// A record to be written.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A distinct finding with its count.
    Finding(&'a Collected),
    /// A login attempt.
    Login(&'a Login),
    /// A mail connection.
    Session(&'a Session),
}

/// RFC 3339, UTC, microseconds, as times stand in records.
pub(crate) fn time_text(time: crate::wire::Timestamp) -> String {
    String::from_utf8_lossy(&time::rfc3339(time).0).into_owned()
}

/// Writes records as lines of JSON.
pub struct Encoder {
    inputs: Inputs,
    fixed: fixed::Remembered,
    cut: u64,
}

impl Encoder {
    /// An encoder for records about `inputs`.
    #[must_use]
    pub fn new(inputs: Inputs) -> Self {
        Self { inputs, fixed: fixed::Remembered::default(), cut: 0 }
    }

    /// Appends one line, line feed included. Equal records give equal octets.
    pub fn encode(&mut self, event: &Event<'_>, line: &mut Vec<u8>) {
        let Self { inputs, fixed, .. } = self;
        let mut record = match event {
            Event::Finding(finding) => convert::finding(finding, inputs, fixed),
            Event::Login(login) => convert::login(login, inputs, fixed),
            Event::Session(session) => convert::session(session, inputs, fixed),
        };
        self.cut += u64::from(fit::write(&mut record, line));
    }

    /// Lines so far that had to leave something out to stay within [`LINE_OCTETS`].
    #[must_use]
    pub fn cut(&self) -> u64 {
        self.cut
    }
}
