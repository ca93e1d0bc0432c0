//! Where records go: standard output or a file, one line each. A closed pipe ends the writing, not the run.

use super::Failure;
use crate::output::{Encoder, Event, Inputs};
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// An open output.
pub(super) struct Sink {
    out: Box<dyn Write + Send>,
    name: String,
    encoder: Encoder,
    line: Vec<u8>,
    /// Lines written so far.
    lines: u64,
    is_closed: bool,
}

impl Sink {
    /// Opens FILE, or standard output. `is_append`: what the file holds is kept.
    pub(super) fn open(path: Option<&Path>, inputs: Inputs, is_append: bool) -> Result<Self, Failure> {
        let (out, name): (Box<dyn Write + Send>, String) = match path {
            None => (Box::new(io::stdout()), "standard output".to_owned()),
            Some(path) => {
                let file =
                    OpenOptions::new().create(true).write(true).append(is_append).truncate(!is_append).open(path);
                let file = file.map_err(|error| Failure::output(format!("opening {}: {error}", path.display())))?;
                (Box::new(file), path.display().to_string())
            }
        };
        let out = Box::new(BufWriter::with_capacity(64 * 1024, out));
        Ok(Self { out, name, encoder: Encoder::new(inputs), line: Vec::new(), lines: 0, is_closed: false })
    }

    pub(super) fn write(&mut self, event: &Event<'_>) -> Result<(), Failure> {
        if self.is_closed {
            return Ok(());
        }
        self.line.clear();
        self.encoder.encode(event, &mut self.line);
        self.lines += 1;
        let written = self.out.write_all(&self.line);
        self.heed(written)
    }

    /// Lines written so far.
    #[cfg(feature = "live")]
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        let flushed = if self.is_closed { Ok(()) } else { self.out.flush() };
        self.heed(flushed)
    }

    fn heed(&mut self, result: io::Result<()>) -> Result<(), Failure> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(())
            }
            Err(error) => Err(Failure::output(format!("writing {}: {error}", self.name))),
            Ok(()) => Ok(()),
        }
    }
}
