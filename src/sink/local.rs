//! Receivers on this machine: a file, and standard output. Behind a spool like any other, so that neither a full disk nor
//! a reader that stands still holds up the capture.

use super::torn::repair;
use super::{Bounds, Fate, Parcel, Report, Transport, Trouble};
use crate::output::Form;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

const BOUNDS: Bounds = Bounds { records: 500, octets: 1 << 20 };

/// A file that is appended to, each batch synced to the disk before it counts as delivered. Whoever rotates it moves it; it
/// is opened anew before the next batch.
pub struct FileSink {
    path: PathBuf,
    form: Form,
    open: Option<File>,
}

impl FileSink {
    /// A file, which is made if it is not there.
    #[must_use]
    pub fn new(path: PathBuf, form: Form) -> Self {
        Self { path, form, open: None }
    }

    /// The file that the path leads to now.
    fn file(&mut self) -> io::Result<&mut File> {
        let identity = |found: fs::Metadata| (found.dev(), found.ino());
        let there = fs::metadata(&self.path).ok().map(identity);
        let is_same = self.open.as_ref().and_then(|file| file.metadata().ok()).map(identity) == there;
        if self.open.is_none() || !is_same {
            self.open = None;
            let file = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(&self.path)?;
            if !file.metadata()?.is_file() {
                return Err(io::Error::other("it is no regular file"));
            }
            // What is cut away is in the spool still.
            repair(&file, file.metadata()?.len())?;
            self.open = Some(file);
        }
        self.open.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let file = self.file()?;
        let before = file.metadata()?.len();
        let written = file.write_all(lines).and_then(|()| file.sync_data());
        if written.is_err() {
            // What was written of it comes again, whole; where it cannot be cut away the next line would be torn.
            file.set_len(before)?;
        }
        written
    }
}

impl Transport for FileSink {
    fn prepare(&mut self) -> Result<(), String> {
        let opened = self.file().map(drop);
        opened.map_err(|error| format!("opening {}: {error}", self.path.display()))
    }

    fn bounds(&self) -> Bounds {
        BOUNDS
    }

    fn deliver(&mut self, parcels: &[Parcel]) -> Report {
        let (lines, fates) = lines(parcels, self.form);
        match self.append(&lines) {
            Ok(()) => Report { fates, trouble: None },
            Err(error) => {
                Report::failed(parcels.len(), Trouble::new(format!("writing {}: {error}", self.path.display())))
            }
        }
    }
}

/// Standard output, or whatever takes octets in order and never gives them back.
pub struct Output<W> {
    out: W,
    form: Form,
    /// The reader has gone: what comes is thrown away, as into a closed pipe.
    is_closed: bool,
}

impl<W: Write + Send> Output<W> {
    /// Writes there.
    pub fn new(out: W, form: Form) -> Self {
        Self { out, form, is_closed: false }
    }
}

impl<W: Write + Send> Transport for Output<W> {
    fn bounds(&self) -> Bounds {
        BOUNDS
    }

    fn deliver(&mut self, parcels: &[Parcel]) -> Report {
        let (lines, fates) = lines(parcels, self.form);
        if self.is_closed {
            return Report { fates, trouble: None };
        }
        match self.out.write_all(&lines).and_then(|()| self.out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Report::failed(parcels.len(), Trouble::new(format!("writing standard output: {error}")))
            }
            written => {
                self.is_closed = written.is_err();
                Report { fates, trouble: None }
            }
        }
    }
}

/// The records in a form, a line each, and what becomes of them if all is written.
fn lines(parcels: &[Parcel], form: Form) -> (Vec<u8>, Vec<Fate>) {
    let mut lines = Vec::new();
    let fates = parcels.iter().map(|parcel| match form.render(&parcel.line) {
        Some(line) => {
            lines.extend_from_slice(&line);
            lines.push(b'\n');
            Fate::Delivered
        }
        None => Fate::Refused("it is no record".to_owned()),
    });
    let fates = fates.collect();
    (lines, fates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(number: u64, line: &str) -> Parcel {
        Parcel { number, line: line.as_bytes().into() }
    }

    fn record(number: u64) -> Parcel {
        parcel(number, &format!("{{\"event\":{{\"id\":\"{number}\"}}}}"))
    }

    #[test]
    fn a_file_that_was_moved_is_opened_anew_and_what_is_no_record_is_refused() {
        let folder = std::env::temp_dir().join(format!("bw-local-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("records.ndjson");
        let mut sink = FileSink::new(path.clone(), Form::Ecs);
        sink.prepare().expect("a file");
        assert_eq!(sink.deliver(&[record(1), record(2)]), Report::all(2, Fate::Delivered));
        fs::rename(&path, folder.join("old")).expect("moved");
        let report = sink.deliver(&[record(3), parcel(4, "no record")]);
        assert_eq!(report.fates, [Fate::Delivered, Fate::Refused("it is no record".to_owned())]);
        assert_eq!(fs::read_to_string(folder.join("old")).expect("it").lines().count(), 2);
        assert_eq!(fs::read_to_string(&path).expect("it"), "{\"event\":{\"id\":\"3\"}}\n");
        assert!(FileSink::new(folder.clone(), Form::Ecs).prepare().is_err());
        for (torn, whole) in
            [("{\"a\":1}\n{\"b", "{\"a\":1}\n"), ("{\"a", ""), ("", ""), ("CEF:0|a\nCE", "CEF:0|a\n"), ("CEF:0|b", "")]
        {
            fs::write(&path, torn).expect("torn");
            FileSink::new(path.clone(), Form::Ecs).prepare().expect("mended");
            assert_eq!(fs::read_to_string(&path).expect("it"), whole);
        }
        for other in ["a letter to a friend", "CEF: what it is"] {
            fs::write(&path, other).expect("another file");
            assert!(FileSink::new(path.clone(), Form::Ecs).prepare().is_err());
        }
        let _ = fs::remove_dir_all(&folder);
    }

    #[test]
    fn a_closed_pipe_is_no_trouble_and_a_full_disk_is() {
        struct Fails(io::ErrorKind);
        impl Write for Fails {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut closed = Output::new(Fails(io::ErrorKind::BrokenPipe), Form::Ecs);
        assert_eq!(closed.deliver(&[record(1)]), Report::all(1, Fate::Delivered));
        let report = Output::new(Fails(io::ErrorKind::StorageFull), Form::Ecs).deliver(&[record(1)]);
        assert_eq!(report.fates, [Fate::Waits]);
        assert!(report.trouble.expect("one").why.starts_with("writing standard output: "));
    }
}
