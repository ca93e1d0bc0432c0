//! Makes the page of metrics from what the threads of a run noted, and keeps it in a file.

use super::scores::Scores;
use super::{Failure, identity};
use crate::engine::Counters;
use crate::ops::folder_of;
use crate::ops::metrics::{InterfaceCounts, SinkCounts, Snapshot, render};
use crate::wire::Timestamp;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The name under which saved captures stand where interfaces do: their own names are unbounded.
const FILES: &str = "files";

/// The page of a replay.
pub(super) fn page_of_replay(
    started: Timestamp,
    last_packet: Timestamp,
    captured: u64,
    counters: Counters,
    scores: &Scores,
    sinks: Vec<SinkCounts>,
) -> String {
    let interface = InterfaceCounts { name: FILES.to_owned(), captured, received: captured, ..Default::default() };
    render(&Snapshot {
        started,
        last_packet,
        interfaces: vec![interface],
        counters,
        records: scores.counts(),
        sinks,
        ..Snapshot::default()
    })
}

/// A file that always holds a whole page.
pub(super) struct PageFile {
    path: PathBuf,
    /// Beside it, so that it can be renamed; not `.prom`, which others would read.
    beside: PathBuf,
}

impl PageFile {
    /// Whether a page can be written there is tried at once: a replay may take hours before it does. `others`: files
    /// that must not be replaced.
    pub(super) fn open<'a>(path: &Path, others: impl IntoIterator<Item = &'a Path>) -> Result<Self, Failure> {
        let fail = |what: &str| Failure::usage(format!("--metrics-file {}: {what}", path.display()));
        // A link stays one: what it points to is replaced.
        let target = whole(path);
        let Some(name) = target.file_name() else { return Err(fail("is no name of a file; name one in a folder")) };
        if fs::metadata(&target).is_ok_and(|file| !file.is_file()) {
            return Err(fail("is there and no regular file; it would be replaced, so name another one"));
        }
        if others.into_iter().any(|other| is_same(&target, other)) {
            return Err(fail("is an input or the output, and would replace it; name another file"));
        }
        let mut beside = OsString::from(".");
        beside.push(name);
        beside.push(".tmp");
        let beside = target.with_file_name(beside);
        let file = Self { path: target, beside };
        let tried = file.create().and_then(|_| fs::remove_file(&file.beside));
        tried.map_err(|error| Failure::output(file.cannot(&error)))?;
        Ok(file)
    }

    /// Replaces the page.
    pub(super) fn write(&self, page: &str) -> Result<(), Failure> {
        let written = self.create().and_then(|mut file| file.write_all(page.as_bytes()));
        let moved = written.and_then(|()| fs::rename(&self.beside, &self.path));
        moved.map_err(|error| {
            // A part of a page is of no use, and a full disk wants its room back.
            let _ = fs::remove_file(&self.beside);
            Failure::output(self.cannot(&error))
        })
    }

    /// Always a new file: what stands there may be a link that somebody else put.
    fn create(&self) -> io::Result<fs::File> {
        match fs::remove_file(&self.beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        OpenOptions::new().write(true).create_new(true).open(&self.beside)
    }

    fn cannot(&self, error: &io::Error) -> String {
        let Self { path, beside } = self;
        format!(
            "writing --metrics-file {} by way of {}: {error}; the folder {} must be there and writable",
            path.display(),
            beside.display(),
            folder_of(path).display()
        )
    }
}

/// Without links, also where the file itself is still to be made.
fn whole(path: &Path) -> PathBuf {
    let made = || Some(fs::canonicalize(folder_of(path)).ok()?.join(path.file_name()?));
    fs::canonicalize(path).ok().or_else(made).unwrap_or_else(|| path.to_owned())
}

fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().as_ref().map(identity);
    whole(one) == whole(other) || identity(one).is_some_and(|identity_of_one| Some(identity_of_one) == identity(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("bw-metrics-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    #[test]
    fn a_page_replaces_the_last_one_and_leaves_nothing_beside_it() {
        let folder = folder("replace");
        let path = folder.join("page.prom");
        let file = PageFile::open(&path, []).expect("a place for pages");
        assert!(!path.exists(), "trying is not writing");
        // As somebody might have put it.
        std::os::unix::fs::symlink(folder.join("elsewhere"), &file.beside).expect("a link");
        for page in ["one\n", "two\n"] {
            file.write(page).expect("written");
            assert_eq!(fs::read_to_string(&path).expect("a page"), page);
        }
        let names: Vec<_> =
            fs::read_dir(&folder).expect("the folder").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(names, ["page.prom"]);
        let _ = fs::remove_dir_all(&folder);
    }

    #[test]
    fn what_would_be_lost_is_not_replaced() {
        let folder = folder("keep");
        let [input, link, output] = ["in.pcap", "link", "out.ndjson"].map(|name| folder.join(name));
        fs::write(&input, b"evidence").expect("a file");
        std::os::unix::fs::symlink(&input, &link).expect("a link");
        let refused = |path: &Path| PageFile::open(path, [&*input, &*output]).map(drop).expect_err("refused").message;
        assert!(refused(&input).contains("is an input or the output"));
        assert!(refused(&link).contains("is an input or the output"));
        assert!(refused(&folder.join(".").join("out.ndjson")).contains("is an input or the output"));
        assert!(refused(&folder).contains("no regular file"));
        assert!(refused(Path::new("/dev/null")).contains("no regular file"));
        assert!(refused(Path::new("/")).contains("no name of a file"));
        assert!(refused(&folder.join("no/such/page.prom")).contains("must be there and writable"));
        assert_eq!(fs::read(&input).expect("the input"), b"evidence");
        let _ = fs::remove_dir_all(&folder);
    }
}
