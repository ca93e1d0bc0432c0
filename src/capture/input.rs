//! One input: what it is, how its octets are reached, and its records one after the other.
//!
//! Content decides, never the name. A regular file is mapped; a compressed one is decompressed on a thread
//! of its own; pipes, devices and standard input are read. It leaves out the order between inputs.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::Mmap;

use super::inflate::{Compression, Counted};
use super::source::Source;
use super::{Fault, Problem, Record, Stop, pcap, pcapng, snoop};

/// One file, pipe or standard input.
pub(super) struct Input {
    path: PathBuf,
    name: String,
    /// Octets of the file as it lies there; `None` for what has no end yet.
    size: Option<u64>,
    /// Octets read from it so far, counted where they are read; maps say it themselves.
    read: Arc<AtomicU64>,
    map: Option<Arc<Mmap>>,
    /// Its format was recognised.
    opened: bool,
    access: Access,
    state: State,
}

/// How a regular file is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// By a map: other threads can look at it by place.
    Map,
    /// By reading: for one thread the faster way, since what is looked at lies in the cache already.
    Read,
}

enum State {
    /// Compressed and not begun: it costs a name until its time comes.
    Asleep,
    Awake(Reader),
    Finished,
}

struct Reader {
    source: Source,
    format: Format,
}

enum Format {
    Pcap(pcap::Walk),
    Pcapng(pcapng::Walk),
    Snoop(snoop::Walk),
}

/// How the octets of an input are reached.
enum Kind {
    Mapped(Arc<Mmap>),
    Stream(Box<dyn Read + Send>),
    Compressed(Compression, Box<dyn Read + Send>),
}

/// What is wanted of an input that is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Only the first record, if the file can be opened again: no thread for that.
    Glance,
    Everything,
}

impl Input {
    /// Opens and recognises. One that can't be read at all is given back finished, with its problem.
    pub(super) fn open(path: &Path, wanted: Wanted, access: Access) -> (Self, Option<Problem>) {
        let mut input = Self {
            path: path.to_path_buf(),
            name: path.to_string_lossy().into_owned(),
            size: None,
            read: Arc::default(),
            map: None,
            opened: false,
            access,
            state: State::Finished,
        };
        let problem = input.start(wanted).err().and_then(|stop| input.finish(stop));
        (input, problem)
    }

    /// The same of what `reader` gives, which is called `name`.
    pub(super) fn of_reader(name: &str, reader: Box<dyn Read + Send>) -> (Self, Option<Problem>) {
        let mut input = Self {
            path: PathBuf::from(name),
            name: name.to_owned(),
            size: None,
            read: Arc::default(),
            map: None,
            opened: false,
            access: Access::Read,
            state: State::Finished,
        };
        let reader = Box::new(Counted { inner: reader, octets: Arc::clone(&input.read) });
        let kind = Self::stream(reader).map_err(|e| Stop::failure(reason(&e)));
        let begun = kind.and_then(|kind| input.begin(kind, Wanted::Everything));
        let problem = begun.err().and_then(|stop| input.finish(stop));
        (input, problem)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn map(&self) -> Option<&Arc<Mmap>> {
        self.map.as_ref()
    }

    /// Octets consumed, and of how many; a finished file counts as consumed to its end.
    pub(super) fn position(&self) -> (u64, Option<u64>) {
        let consumed = match &self.state {
            State::Finished => self.size.unwrap_or_else(|| self.read.load(Ordering::Relaxed)),
            State::Awake(reader) if self.map.is_some() => reader.source.offset(),
            State::Awake(_) => self.read.load(Ordering::Relaxed),
            State::Asleep => 0,
        };
        (consumed, self.size)
    }

    /// Lets go of buffers and descriptor until [`Self::wake`], if the file can be opened a second time.
    /// Only before anything was delivered.
    pub(super) fn sleep(&mut self) -> bool {
        let again = self.size.is_some() && self.map.is_none() && matches!(self.state, State::Awake(_));
        if again {
            self.state = State::Asleep;
            self.opened = false;
        }
        again
    }

    /// Opens again what was asleep.
    pub(super) fn wake(&mut self) -> Result<(), Stop> {
        self.read = Arc::default();
        self.start(Wanted::Everything)
    }

    /// Steps to the next record.
    #[inline]
    pub(super) fn next(&mut self, record: &mut Record) -> Result<(), Stop> {
        match &mut self.state {
            State::Awake(Reader { source, format: Format::Pcap(walk) }) => walk.next(source, record),
            State::Awake(Reader { source, format: Format::Pcapng(walk) }) => walk.next(source, record),
            State::Awake(Reader { source, format: Format::Snoop(walk) }) => walk.next(source, record),
            State::Asleep | State::Finished => Err(Stop::End),
        }
    }

    /// Keeps the records that were stepped to where they are: what would move them is [`Stop::Later`].
    pub(super) fn pin(&mut self, is_pinned: bool) {
        if let State::Awake(reader) = &mut self.state {
            reader.source.pin(is_pinned);
        }
    }

    /// The octets of a record that was stepped to since the window moved last.
    #[inline]
    pub(super) fn octets(&self, record: &Record) -> &[u8] {
        let State::Awake(reader) = &self.state else { return &[] };
        reader.source.window().get(record.start..record.start + record.len).unwrap_or(&[])
    }

    /// Lets go of everything but the map, which others may still read, and says what went wrong.
    pub(super) fn finish(&mut self, stop: Stop) -> Option<Problem> {
        if let State::Awake(reader) = std::mem::replace(&mut self.state, State::Finished) {
            reader.source.let_go();
        }
        match stop {
            Stop::End | Stop::Later => None,
            Stop::Fault(fault) => {
                let Fault { offset, what } = *fault;
                Some(Problem { path: self.name.clone(), offset, what, opened: self.opened })
            }
        }
    }

    fn start(&mut self, wanted: Wanted) -> Result<(), Stop> {
        let kind = self.reach().map_err(|e| Stop::failure(reason(&e)))?;
        self.begin(kind, wanted)
    }

    fn begin(&mut self, kind: Kind, wanted: Wanted) -> Result<(), Stop> {
        let mut source = match kind {
            Kind::Mapped(map) => {
                self.map = Some(Arc::clone(&map));
                Source::mapped(map)
            }
            Kind::Stream(reader) => Source::reading(reader, "reading"),
            Kind::Compressed(compression, reader) => {
                let thread = wanted == Wanted::Everything || self.size.is_none();
                let reader = compression.open(reader, thread).map_err(|e| Stop::failure(reason(&e)))?;
                Source::reading(reader, compression.doing())
            }
        };
        let format = Format::recognise(&mut source)?;
        self.opened = true;
        self.state = State::Awake(Reader { source, format });
        Ok(())
    }

    fn reach(&mut self) -> io::Result<Kind> {
        if self.path.as_os_str() == "-" {
            let stdin = io::stdin().as_fd().try_clone_to_owned()?;
            return Self::stream(self.counted(File::from(stdin)));
        }
        // Asked before it is opened: a sandbox may not let that happen.
        if std::fs::metadata(&self.path)?.is_dir() {
            return Err(io::Error::other("is a directory; name the capture files in it"));
        }
        let file = File::open(&self.path)?;
        let metadata = file.metadata()?;
        // What the kernel makes up as it is read claims to be a regular file of no octets.
        if metadata.is_file() && metadata.len() > 0 {
            self.size = Some(metadata.len());
            return self.regular(file);
        }
        Self::stream(self.counted(file))
    }

    fn regular(&self, file: File) -> io::Result<Kind> {
        let mut start = [0; 4];
        let have = file.read_at(&mut start, 0)?;
        if let Some(compression) = Compression::detect(&start[..have]) {
            return Ok(Kind::Compressed(compression, self.counted(file)));
        }
        if self.access == Access::Read {
            return Ok(Kind::Stream(self.counted(file)));
        }
        // SAFETY: the map is only read, as octets for which any value is good. That the file may shrink
        // meanwhile is told in the head of the source module.
        match unsafe { Mmap::map(&file) } {
            Ok(map) => Ok(Kind::Mapped(Arc::new(map))),
            Err(_) => Ok(Kind::Stream(self.counted(file))),
        }
    }

    /// What can't be read twice: the octets that told its kind are put in front again.
    fn stream(mut reader: Box<dyn Read + Send>) -> io::Result<Kind> {
        let mut start = Vec::new();
        reader.by_ref().take(4).read_to_end(&mut start)?;
        let compression = Compression::detect(&start);
        let whole = Box::new(Cursor::new(start).chain(reader));
        Ok(match compression {
            Some(compression) => Kind::Compressed(compression, whole),
            None => Kind::Stream(whole),
        })
    }

    fn counted(&self, file: File) -> Box<dyn Read + Send> {
        Box::new(Counted { inner: file, octets: Arc::clone(&self.read) })
    }
}

impl Format {
    fn recognise(source: &mut Source) -> Result<Self, Stop> {
        source.begin(4).map_err(|stop| match stop {
            Stop::End => Stop::failure("empty"),
            other => other,
        })?;
        let magic: [u8; 4] = source.peek();
        if pcap::detect(magic) {
            return pcap::Walk::open(source).map(Self::Pcap);
        }
        if magic == pcapng::SECTION_HEADER {
            return pcapng::Walk::open(source).map(Self::Pcapng);
        }
        if snoop::MAGIC.starts_with(&magic) && source.need(8).is_ok() && source.peek() == snoop::MAGIC {
            return snoop::Walk::open(source).map(Self::Snoop);
        }
        Err(Stop::failure(foreign(magic)))
    }
}

/// What people do hand to capture readers by mistake, and what to do about it.
fn foreign(magic: [u8; 4]) -> String {
    let hint = match &magic {
        [0xfd, b'7', b'z', b'X'] => "an xz file: read it with `xz -dc FILE | ... -`",
        [b'B', b'Z', b'h', _] => "a bzip2 file: read it with `bzip2 -dc FILE | ... -`",
        [0x04, 0x22, 0x4d, 0x18] => "an lz4 file: read it with `lz4 -dc FILE | ... -`",
        b"PK\x03\x04" => "a zip archive: unpack it first",
        b"GMBU" | b"RTSS" | b"TRSN" | b"XCP\0" => {
            "a capture of another tool: convert it with `editcap FILE OUT.pcapng`"
        }
        _ => "",
    };
    // A list of passwords, or a key in digits: not even its beginning is told.
    let is_text = magic.iter().all(|octet| octet.is_ascii_graphic() || octet.is_ascii_whitespace());
    if hint.is_empty() && is_text {
        "not a pcap, pcapng or snoop file: it holds text".to_owned()
    } else if hint.is_empty() {
        let [a, b, c, d] = magic;
        format!("not a pcap, pcapng or snoop file: it begins with {a:02x} {b:02x} {c:02x} {d:02x}")
    } else {
        hint.to_owned()
    }
}

/// The words of an error without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
