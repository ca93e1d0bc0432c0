//! Reads records line by line: files, plain or compressed, and standard input.
//!
//! A line that is no record is counted and left out; a file that ends in the middle counts as far as it goes.

use crate::capture::Compression;
use crate::output::{Fact, NoFact};
use crate::page::text::{NAME_CHARS, SENTENCE_CHARS, shown, shown_path};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// Octets of a line; a longer one is passed over. The sensor's own have 6,000; whoever carries them may add to them.
pub(crate) const LINE_OCTETS: usize = 256 * 1024;
const BUFFER_OCTETS: usize = 256 * 1024;

/// What was given to read.
#[derive(Default)]
pub(super) struct Given {
    pub(super) files: Vec<FileTally>,
}

/// What became of the lines of one input.
#[derive(Default)]
pub(crate) struct FileTally {
    pub(super) name: String,
    /// Those that are not empty.
    pub(super) lines: u64,
    /// Findings, logins, sessions.
    pub(super) records: [u64; 3],
    pub(super) unreadable: u64,
    pub(super) foreign: u64,
    pub(super) long: u64,
    /// Why it was not read to its end; empty when it was.
    pub(crate) fault: String,
}

impl FileTally {
    /// One line for people when something was left out.
    pub(crate) fn complaint(&self) -> Option<String> {
        let left = self.unreadable + self.foreign + self.long;
        let mut parts = Vec::new();
        if left > 0 {
            parts.push(format!(
                "{left} of {} lines left out: {} damaged or no JSON, {} no records of barewire in ECS form, {} too long",
                self.lines, self.unreadable, self.foreign, self.long
            ));
        }
        if !self.fault.is_empty() {
            parts.push(format!("read in part only: {}", self.fault));
        }
        (!parts.is_empty()).then(|| format!("{}: {}", self.name, parts.join("; ")))
    }
}

/// Shows the records of a file, or of standard input for `-`.
///
/// # Errors
///
/// Nothing of it could be read.
pub(crate) fn read(path: &Path, mut take: impl FnMut(&Fact<'_>)) -> io::Result<FileTally> {
    let mut input = open(path)?;
    let name = if path == Path::new("-") {
        "standard input".to_owned()
    } else {
        shown_path(&path.to_string_lossy(), NAME_CHARS)
    };
    let mut tally = FileTally { name, ..FileTally::default() };
    let mut line = Vec::new();
    loop {
        match next_line(&mut input, &mut line) {
            Ok(Next::End) => return Ok(tally),
            Ok(Next::Line) => add(&line, &mut take, &mut tally),
            Ok(Next::Long) => {
                tally.lines += 1;
                tally.long += 1;
            }
            Err(error) if tally.lines == 0 => return Err(error),
            Err(error) => {
                tally.fault = shown(&error.to_string(), SENTENCE_CHARS);
                return Ok(tally);
            }
        }
    }
}

fn add(line: &[u8], take: &mut impl FnMut(&Fact<'_>), tally: &mut FileTally) {
    let line = line.trim_ascii();
    if line.is_empty() {
        return;
    }
    tally.lines += 1;
    match Fact::parse(line) {
        Ok(fact) => {
            tally.records[fact.kind as usize] += 1;
            take(&fact);
        }
        Err(NoFact::Unreadable) => tally.unreadable += 1,
        Err(NoFact::Foreign) => tally.foreign += 1,
    }
}

fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let raw: Box<dyn Read + Send> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let mut raw = BufReader::with_capacity(BUFFER_OCTETS, raw);
    let compression = Compression::detect(raw.fill_buf()?);
    Ok(match compression {
        None => Box::new(raw),
        Some(compression) => Box::new(BufReader::with_capacity(BUFFER_OCTETS, compression.open(Box::new(raw), false)?)),
    })
}

enum Next {
    Line,
    /// It has more than [`LINE_OCTETS`] and was passed over.
    Long,
    End,
}

/// The next line without its line feed.
fn next_line(input: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<Next> {
    line.clear();
    let mut is_long = false;
    let mut has_begun = false;
    loop {
        let buffer = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        if buffer.is_empty() {
            return Ok(match (has_begun, is_long) {
                (false, _) => Next::End,
                (true, false) => Next::Line,
                (true, true) => Next::Long,
            });
        }
        has_begun = true;
        let end = memchr::memchr(b'\n', buffer);
        let part = &buffer[..end.unwrap_or(buffer.len())];
        is_long |= line.len() + part.len() > LINE_OCTETS;
        if !is_long {
            line.extend_from_slice(part);
        }
        let taken = end.map_or(buffer.len(), |end| end + 1);
        input.consume(taken);
        if end.is_some() {
            return Ok(if is_long { Next::Long } else { Next::Line });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8], buffer: usize) -> Vec<Option<usize>> {
        let mut input = BufReader::with_capacity(buffer, text);
        let mut line = Vec::new();
        let mut all = Vec::new();
        loop {
            match next_line(&mut input, &mut line).expect("memory") {
                Next::End => return all,
                Next::Line => all.push(Some(line.len())),
                Next::Long => all.push(None),
            }
        }
    }

    #[test]
    fn lines_are_bounded_wherever_they_are_cut() {
        let long = vec![b'x'; LINE_OCTETS + 1];
        let text = [b"one\n\n".as_slice(), &long, b"\n", &long[1..], b"\nend"].concat();
        for buffer in [1, 2, 7, 4096, 1 << 20] {
            assert_eq!(lines(&text, buffer), [Some(3), Some(0), None, Some(LINE_OCTETS), Some(3)]);
        }
        assert_eq!(lines(&long, 64), [None]);
    }
}
