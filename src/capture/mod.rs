//! Where frames come from: capture files, pipes, and network interfaces.
//!
//! [`FileSet`] reads any number of files as one capture in the order of their time stamps: classic pcap,
//! pcapng and snoop, plain, gzip or zstd, told apart by content and never by name. [`live`] listens on an
//! interface through libpcap.
//!
//! It leaves out what frames mean ([`crate::wire`]), writing files, and ERF. Nothing here prints, and
//! nothing in a file makes it fail as a whole: what could not be read is a [`Problem`], and everything
//! that stood before it has been delivered.

use std::fmt;

mod ending;
mod inflate;
mod input;
#[cfg(feature = "live")]
pub mod live;
mod merge;
mod pcap;
mod pcapng;
mod snoop;
mod source;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod whole_files;

pub use ending::last_time;
pub(crate) use inflate::Compression;
pub use input::Access;
pub use merge::{FileSet, Frames};

/// The most octets a record may hold. It is the largest snap length that capture tools use for networks;
/// a record that claims more is a lie or belongs to a bus that carries no mail, and believing it would let
/// a file of 40 octets ask for 4 GiB.
pub const MAX_RECORD: usize = 262_144;

/// Why an input could not be read, or not to its end. At most one for each input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path as given; `-` is standard input.
    pub path: String,
    /// Where in the input, in octets from its start; after decompression if it was compressed.
    pub offset: Option<u64>,
    /// What is wrong there, in one line.
    pub what: String,
    /// `false`: nothing could be read at all. `true`: what stood before the offset was delivered.
    pub opened: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path == "-" {
            f.write_str("standard input")?;
        } else {
            write_one_line(f, &self.path)?;
        }
        if let Some(offset) = self.offset {
            write!(f, ": at octet {offset}")?;
        }
        f.write_str(": ")?;
        write_one_line(f, &self.what)
    }
}

/// Attack: a file name may hold line ends and terminal escapes, which would forge lines of a log.
fn write_one_line(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for c in text.chars() {
        if c.is_control() { write!(f, "{}", c.escape_default())? } else { fmt::Write::write_char(f, c)? }
    }
    Ok(())
}

/// Where one record lies in the window of its [`source::Source`], until that is asked for more.
///
/// The walks fill one in place instead of returning it: moved through the stack in other pieces than it
/// was written in, it stalls the walk for longer than all the rest takes.
#[derive(Clone, Copy, Debug, Default)]
struct Record {
    /// Nanoseconds since 1970.
    time: u64,
    /// First octet of the frame, counted in the window.
    start: usize,
    /// Octets captured.
    len: usize,
    /// Octets on the wire.
    original_len: u32,
    /// A `LINKTYPE_` value.
    link_type: u16,
}

/// Why there is no next record.
#[derive(Debug)]
enum Stop {
    /// The input ended on the border of a record.
    End,
    /// The rest of the input can't be read.
    Fault(Box<Fault>),
    /// The next record is not wholly at hand, and what is may not move now. Nothing was stepped over.
    Later,
}

#[derive(Debug)]
struct Fault {
    /// Octets from the start of the input.
    offset: Option<u64>,
    /// One line for people.
    what: String,
}

impl Stop {
    /// At a place in the input.
    #[cold]
    fn fault(offset: u64, what: impl Into<String>) -> Self {
        Self::Fault(Box::new(Fault { offset: Some(offset), what: what.into() }))
    }

    /// With the input as a whole.
    #[cold]
    fn failure(what: impl Into<String>) -> Self {
        Self::Fault(Box::new(Fault { offset: None, what: what.into() }))
    }

    /// A length that no honest writer gives.
    #[cold]
    fn lie(offset: u64, claimed_octets: u64) -> Self {
        Self::fault(offset, format!("record claims {claimed_octets} octets; the rest of the file is unreadable"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_whatever_the_file_is_called() {
        let mut problem =
            Problem { path: "a\nb\u{1b}[2J".into(), offset: Some(24), what: "empty".into(), opened: true };
        assert_eq!(problem.to_string(), "a\\nb\\u{1b}[2J: at octet 24: empty");
        problem.path = "-".into();
        problem.offset = None;
        assert_eq!(problem.to_string(), "standard input: empty");
    }
}
