//! Reads files of records as they grow, and goes on where their path leads to a new one.

use super::{Failure, identity, locked};
use crate::capture::Compression;
use crate::ops::console;
use crate::report::LINE_OCTETS;
use crate::ui::FileState;
use crossbeam_channel::Sender;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Octets that are handed on together.
const CHUNK_OCTETS: usize = 64 * 1024;
/// Between two looks at whether files grew.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How far each file was read, for others to see.
pub(super) type States = Arc<Mutex<Vec<FileState>>>;

/// Files that are open.
pub(super) struct Followers {
    all: Vec<Follower>,
    states: States,
}

struct Follower {
    path: PathBuf,
    input: Box<dyn Read + Send>,
    /// Of a file that may grow: what tells it from others, and how much of it was read.
    growing: Option<((u64, u64), u64)>,
    /// It is no file, so that nobody knows how long reading takes: others are not to wait for it.
    is_stream: bool,
    /// The beginning of a line that is not whole yet.
    rest: Vec<u8>,
    /// That line is too long.
    is_long: bool,
    is_over: bool,
}

impl Followers {
    /// Opens all of them; `-` is standard input.
    ///
    /// # Errors
    ///
    /// One cannot be opened.
    pub(super) fn open(paths: &[PathBuf]) -> Result<Self, Failure> {
        let open = |path: &PathBuf| {
            if std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo()) {
                console::notice(&format!("{}: a pipe, which is open once somebody writes to it", path.display()));
            }
            Follower::open(path).map_err(|error| Failure::input(format!("{}: {error}", path.display())))
        };
        let all = paths.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let state = |follower: &Follower| FileState {
            name: follower.name(),
            state: "being read".to_owned(),
            ..FileState::default()
        };
        let states = all.iter().map(state).collect();
        Ok(Self { all, states: Arc::new(Mutex::new(states)) })
    }

    pub(super) fn states(&self) -> States {
        Arc::clone(&self.states)
    }

    /// Where files are opened anew.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        let growing = self.all.iter().filter(|follower| follower.growing.is_some());
        growing.map(|follower| crate::ops::folder_of(&follower.path).to_owned()).collect()
    }

    /// For as long as somebody takes what comes.
    pub(super) fn run(self, send: &Sender<Vec<u8>>) {
        let states = &self.states;
        let (streams, files): (Vec<_>, _) = self.all.into_iter().enumerate().partition(|(_, one)| one.is_stream);
        thread::scope(|scope| {
            for (at, stream) in streams {
                let thread = thread::Builder::new().name("stream".to_owned());
                if let Err(error) = thread.spawn_scoped(scope, move || follow(vec![(at, stream)], states, send)) {
                    let state = &mut locked(states)[at];
                    (state.state, state.is_faulty) = (format!("not read, for want of a thread: {error}"), true);
                }
            }
            follow(files, states, send);
        });
    }
}

/// Reads each of them to its end in turn, and again as they grow.
fn follow(mut all: Vec<(usize, Follower)>, states: &States, send: &Sender<Vec<u8>>) {
    loop {
        for (at, follower) in &mut all {
            while !follower.is_over {
                let mut state = locked(states)[*at].clone();
                let part = follower.part(&mut state);
                locked(states)[*at] = state;
                match part {
                    Some(lines) if lines.is_empty() => {}
                    Some(lines) => {
                        if send.send(lines).is_err() {
                            return;
                        }
                    }
                    None => break,
                }
            }
        }
        if all.iter().all(|(_, follower)| follower.is_over) {
            return;
        }
        thread::sleep(LOOK_EVERY);
    }
}

impl Follower {
    fn open(path: &Path) -> io::Result<Self> {
        let of = |input, growing, is_stream| Self {
            path: path.to_owned(),
            input,
            growing,
            is_stream,
            rest: Vec::new(),
            is_long: false,
            is_over: false,
        };
        if path == Path::new("-") {
            return Ok(of(Box::new(io::stdin()), None, true));
        }
        let file = File::open(path)?;
        let found = file.metadata()?;
        if found.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a folder; name its files"));
        }
        let is_stream = !found.is_file();
        let mut raw = BufReader::with_capacity(CHUNK_OCTETS, file);
        let compression = Compression::detect(io::BufRead::fill_buf(&mut raw)?);
        Ok(match compression {
            Some(compression) => of(Box::new(compression.open(Box::new(raw), false)?), None, is_stream),
            None => {
                let growing = (!is_stream).then(|| (identity(&found), 0));
                of(Box::new(raw), growing, is_stream)
            }
        })
    }

    fn name(&self) -> String {
        if self.path == Path::new("-") { "standard input".to_owned() } else { self.path.display().to_string() }
    }

    /// The next whole lines; `None` where there are no more for now.
    fn part(&mut self, state: &mut FileState) -> Option<Vec<u8>> {
        let mut octets = vec![0; CHUNK_OCTETS];
        let count = loop {
            match self.input.read(&mut octets) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    (self.is_over, state.is_faulty) = (true, true);
                    state.state = format!("read in part only: {error}");
                    return None;
                }
                Ok(count) => break count,
            }
        };
        octets.truncate(count);
        if count == 0 {
            return self.at_end(state);
        }
        if let Some((_, read)) = &mut self.growing {
            *read += count as u64;
        }
        Some(self.lines(octets, state))
    }

    /// Whole lines, those that were begun before included; what is left of the last waits.
    fn lines(&mut self, octets: Vec<u8>, state: &mut FileState) -> Vec<u8> {
        let Some(end) = memchr::memrchr(b'\n', &octets) else {
            self.keep(&octets);
            return Vec::new();
        };
        let mut whole = std::mem::take(&mut self.rest);
        let first = memchr::memchr(b'\n', &octets).map_or(octets.len(), |at| at + 1);
        if self.is_long || whole.len() + first > LINE_OCTETS {
            // The line that began before is passed over as a whole.
            (whole, self.is_long) = (octets[first..=end].to_vec(), false);
            state.long += 1;
            state.lines += 1;
        } else {
            whole.extend_from_slice(&octets[..=end]);
        }
        state.lines += memchr::memchr_iter(b'\n', &whole).count() as u64;
        self.keep(&octets[end + 1..]);
        whole
    }

    fn keep(&mut self, octets: &[u8]) {
        if self.is_long || self.rest.len() + octets.len() > LINE_OCTETS {
            (self.rest, self.is_long) = (Vec::new(), true);
        } else {
            self.rest.extend_from_slice(octets);
        }
    }

    /// A file that may grow is looked at again; the last line of another needs no end.
    fn at_end(&mut self, state: &mut FileState) -> Option<Vec<u8>> {
        let Some((known, read)) = self.growing else {
            self.is_over = true;
            state.state = "read to its end".to_owned();
            return self.last(state);
        };
        let Some(found) = std::fs::metadata(&self.path).ok().filter(std::fs::Metadata::is_file) else {
            (state.state, state.is_faulty) = ("put away or removed, and no other is there yet".to_owned(), true);
            return None;
        };
        (state.state, state.is_faulty) = ("followed as it grows".to_owned(), false);
        if identity(&found) == known && found.len() >= read {
            return None;
        }
        // Put away and begun anew, or cut: what was left of it is all that there is.
        let last = self.last(state);
        match Self::open(&self.path) {
            Ok(new) => {
                *self = new;
                last.or(Some(Vec::new()))
            }
            // It may be put away as well by now, or get its rights yet: it is tried again.
            Err(error) => {
                (state.state, state.is_faulty) = (format!("begun anew, and that cannot be read: {error}"), true);
                last
            }
        }
    }

    fn last(&mut self, state: &mut FileState) -> Option<Vec<u8>> {
        if std::mem::take(&mut self.is_long) {
            state.lines += 1;
            state.long += 1;
        }
        let last = std::mem::take(&mut self.rest);
        state.lines += u64::from(!last.is_empty());
        (!last.is_empty()).then_some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    struct Read {
        follower: Follower,
        state: FileState,
    }

    impl Read {
        fn all(&mut self) -> String {
            let mut text = Vec::new();
            while let Some(lines) = self.follower.part(&mut self.state) {
                text.extend(lines);
                if self.follower.is_over {
                    break;
                }
            }
            String::from_utf8(text).expect("text")
        }
    }

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("bw-follow-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).expect("a folder");
        folder
    }

    #[test]
    fn a_file_is_followed_as_it_grows_is_cut_and_begins_anew() {
        let folder = scratch("grows");
        let path = folder.join("records");
        let mut file = File::create(&path).expect("a file");
        write!(file, "one\ntw").expect("written");
        let mut read = Read { follower: Follower::open(&path).expect("open"), state: FileState::default() };
        assert_eq!((read.all().as_str(), read.state.lines), ("one\n", 1));
        write!(file, "o\nthree").expect("written");
        assert_eq!((read.all().as_str(), read.state.lines), ("two\n", 2));
        std::fs::rename(&path, folder.join("records.1")).expect("put away");
        assert_eq!(read.all(), "", "there is no other yet");
        assert!(read.state.is_faulty && read.state.state.contains("no other is there yet"), "{:?}", read.state);
        std::fs::write(&path, "four\n").expect("begun anew");
        assert_eq!((read.all().as_str(), read.state.lines), ("threefour\n", 4), "the last of the old one needs no end");
        std::fs::write(&path, "5\n").expect("cut");
        assert_eq!((read.all().as_str(), read.state.lines), ("5\n", 5));
        assert!(!read.follower.is_over && !read.state.is_faulty);
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn lines_without_end_are_passed_over_and_counted() {
        let folder = scratch("long");
        let path = folder.join("records");
        for length in [LINE_OCTETS, LINE_OCTETS + CHUNK_OCTETS, 3 * LINE_OCTETS] {
            let text = [b"a\n".as_slice(), &vec![b'x'; length], b"\nb\n"].concat();
            std::fs::write(&path, text).expect("written");
            let mut read = Read { follower: Follower::open(&path).expect("open"), state: FileState::default() };
            let got = read.all();
            assert_eq!(
                (got.replace('x', ""), read.state.lines, read.state.long),
                ("a\nb\n".to_owned(), 3, 1),
                "{length}"
            );
            assert!(read.follower.rest.is_empty());
        }
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
