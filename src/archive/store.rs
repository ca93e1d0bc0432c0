//! Where captures and the files of an archive are: folders, or buckets of object stores. A file is there as a whole or not
//! at all, whoever writes it, however often, and whenever that ends.

#[cfg(feature = "cloud")]
use super::cloud::{Bucket, Object, Sending};
use crate::capture::{Access, FileSet};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Files by their names, which may have folders in them.
pub enum Store {
    /// In a folder.
    Folder(PathBuf),
    /// In a bucket, below a prefix.
    #[cfg(feature = "cloud")]
    Bucket(Bucket),
}

/// A capture.
pub enum Input {
    /// A file.
    File(PathBuf),
    /// In a bucket.
    #[cfg(feature = "cloud")]
    Object(Object),
}

/// Where something is, as it was named: a path, `file://` and one, or a bucket.
enum Place {
    Path(PathBuf),
    #[cfg(feature = "cloud")]
    Cloud(Bucket),
}

fn place(uri: &str) -> Result<Place, String> {
    match uri.split_once("://") {
        Some(("file", path)) if path.starts_with('/') => Ok(Place::Path(PathBuf::from(path))),
        Some(("file", _)) => Err(format!("{uri}: write it as file:///FOLDER/FILE")),
        #[cfg(feature = "cloud")]
        Some(("s3" | "gs" | "az", _)) => Bucket::open(uri).map(Place::Cloud),
        #[cfg(not(feature = "cloud"))]
        Some((scheme @ ("s3" | "gs" | "az"), _)) => {
            Err(format!("{uri}: this barewire does not know {scheme}://; build it with the feature cloud"))
        }
        // Not a folder of that name, which nobody means.
        Some((scheme, _)) if scheme.bytes().all(|octet| octet.is_ascii_alphanumeric()) && !scheme.is_empty() => {
            Err(format!("{uri}: {scheme}:// is not known; name a path, or file://, s3://, gs:// or az://"))
        }
        _ => Ok(Place::Path(PathBuf::from(uri))),
    }
}

impl Input {
    /// The capture that was named so.
    ///
    /// # Errors
    ///
    /// It is of a kind that this program does not reach; why.
    pub fn of(uri: &str) -> Result<Self, String> {
        Ok(match place(uri)? {
            Place::Path(path) => Self::File(path),
            #[cfg(feature = "cloud")]
            Place::Cloud(bucket) => Self::Object(bucket.into_object()),
        })
    }

    /// The file on this machine, if it is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            #[cfg(feature = "cloud")]
            Self::Object(_) => None,
        }
    }

    /// Its octets. Asked before it is read: it can be opened.
    ///
    /// # Errors
    ///
    /// It is not there, is no file, or cannot be read.
    pub fn octets(&self) -> io::Result<u64> {
        match self {
            Self::File(path) => {
                let found = std::fs::metadata(path)?;
                if !found.is_file() {
                    return Err(io::Error::other("it is no file, and each step reads it anew; name the files"));
                }
                File::open(path)?;
                Ok(found.len())
            }
            #[cfg(feature = "cloud")]
            Self::Object(object) => object.octets(),
        }
    }

    /// So many of its octets, from the one at `from` on.
    ///
    /// # Errors
    ///
    /// They are not there, or cannot be read.
    pub fn part(&self, from: u64, len: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::File(path) => {
                let mut octets = vec![0; len];
                File::open(path)?.read_exact_at(&mut octets, from)?;
                Ok(octets)
            }
            #[cfg(feature = "cloud")]
            Self::Object(object) => object.part(from, len),
        }
    }

    /// Opens it; what cannot be read is told by its problems.
    ///
    /// # Errors
    ///
    /// An object could not be asked for.
    pub fn open(&self) -> io::Result<FileSet> {
        match self {
            Self::File(path) => Ok(FileSet::open(std::slice::from_ref(path), Access::Read)),
            #[cfg(feature = "cloud")]
            Self::Object(object) => object.read().map(|reader| FileSet::of_reader(object.name(), Box::new(reader))),
        }
    }
}

impl Store {
    /// The folder or bucket that was named so.
    ///
    /// # Errors
    ///
    /// As of [`Input::of`].
    pub fn open(uri: &str) -> Result<Self, String> {
        Ok(match place(uri)? {
            Place::Path(path) => Self::Folder(path),
            #[cfg(feature = "cloud")]
            Place::Cloud(bucket) => Self::Bucket(bucket),
        })
    }

    /// Where a file is, and the file's own name.
    ///
    /// # Errors
    ///
    /// As of [`Input::of`].
    pub fn of_file(uri: &str) -> Result<(Self, String), String> {
        let no_name = || format!("{uri}: name a file");
        match place(uri)? {
            Place::Path(path) => {
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).ok_or_else(no_name)?;
                Ok((Self::Folder(crate::ops::folder_of(&path).to_owned()), name))
            }
            #[cfg(feature = "cloud")]
            Place::Cloud(_) => {
                let (folder, name) = uri.rsplit_once('/').filter(|(_, name)| !name.is_empty()).ok_or_else(no_name)?;
                Ok((Self::open(folder)?, name.to_owned()))
            }
        }
    }

    /// A file as people find it.
    #[must_use]
    pub fn name_of(&self, name: &str) -> String {
        match self {
            Self::Folder(folder) => folder.join(name).display().to_string(),
            #[cfg(feature = "cloud")]
            Self::Bucket(bucket) => bucket.name_of(name),
        }
    }

    /// A folder of it on this machine, for a sandbox. `None`: it is elsewhere.
    #[must_use]
    pub fn folder(&self, name: &str) -> Option<PathBuf> {
        match self {
            Self::Folder(folder) => Some(folder.join(name)),
            #[cfg(feature = "cloud")]
            Self::Bucket(_) => None,
        }
    }

    /// Makes a folder in it, so that a sandbox can be told of it.
    ///
    /// # Errors
    ///
    /// It cannot be made.
    pub fn prepare(&self, name: &str) -> io::Result<()> {
        self.folder(name).map_or(Ok(()), std::fs::create_dir_all)
    }

    /// Opens a file.
    ///
    /// # Errors
    ///
    /// It is not there, or cannot be read.
    pub fn read(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Self::Folder(folder) => File::open(folder.join(name)).map(|file| Box::new(file) as Box<dyn Read + Send>),
            #[cfg(feature = "cloud")]
            Self::Bucket(bucket) => bucket.object(name).read().map(|reader| Box::new(reader) as Box<dyn Read + Send>),
        }
    }

    /// The octets of a file, which may be so many.
    ///
    /// # Errors
    ///
    /// It is not there, cannot be read or is larger.
    pub fn read_whole(&self, name: &str, most: u64) -> io::Result<Vec<u8>> {
        let mut octets = Vec::new();
        self.read(name)?.take(most + 1).read_to_end(&mut octets)?;
        if octets.len() as u64 > most {
            return Err(super::damaged("it is larger than such a file can be"));
        }
        Ok(octets)
    }

    /// The octets of every file below a folder, by its name.
    ///
    /// # Errors
    ///
    /// The folder cannot be read. One that is not there has no files.
    pub fn sizes(&self, folder: &str) -> io::Result<BTreeMap<String, u64>> {
        match self {
            Self::Folder(root) => sizes(root, folder),
            #[cfg(feature = "cloud")]
            Self::Bucket(bucket) => bucket.sizes(folder),
        }
    }

    /// Begins a file, which is there once it is [committed](Upload::commit).
    ///
    /// # Errors
    ///
    /// It cannot be made.
    pub fn write(&self, name: &str) -> io::Result<Upload> {
        match self {
            Self::Folder(folder) => Unfinished::begin(&folder.join(name)).map(Upload::File),
            #[cfg(feature = "cloud")]
            Self::Bucket(bucket) => Ok(Upload::Object(bucket.object(name).send())),
        }
    }

    /// Writes a whole file.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn put(&self, name: &str, octets: &[u8]) -> io::Result<()> {
        let mut upload = self.write(name)?;
        upload.write_all(octets)?;
        upload.commit()
    }
}

fn sizes(root: &Path, folder: &str) -> io::Result<BTreeMap<String, u64>> {
    let mut sizes = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(name) = folders.pop() {
        let entries = match std::fs::read_dir(root.join(&name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = format!("{name}/{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                folders.push(name);
            } else {
                // One that is just being put in its place may be gone.
                sizes.extend(entry.metadata().map(|found| (name, found.len())));
            }
        }
    }
    Ok(sizes)
}

/// A file that is being written. Dropped without a commit, it never was.
pub enum Upload {
    /// In a folder.
    File(Unfinished),
    /// In a bucket.
    #[cfg(feature = "cloud")]
    Object(Sending),
}

impl Upload {
    /// Puts the file in its place.
    ///
    /// # Errors
    ///
    /// It could not be written to its end, or not be put there.
    pub fn commit(self) -> io::Result<()> {
        match self {
            Self::File(file) => file.commit(),
            #[cfg(feature = "cloud")]
            Self::Object(object) => object.commit(),
        }
    }
}

impl Write for Upload {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.file.write(octets),
            #[cfg(feature = "cloud")]
            Self::Object(object) => object.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file beside the place that it will have.
pub struct Unfinished {
    file: File,
    unfinished: PathBuf,
    path: PathBuf,
}

impl Unfinished {
    /// Of this process and attempt, so that two that write the same file at once do not write into each other's. What lies
    /// there was left behind by one that ended, and is looked at by nobody.
    fn begin(path: &Path) -> io::Result<Self> {
        for attempt in 0..1000 {
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(format!(".{}-{attempt}.unfinished", std::process::id()));
            let unfinished = path.with_file_name(name);
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished);
            match file {
                Ok(file) => return Ok(Self { file, unfinished, path: path.to_owned() }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("too many unfinished files lie beside it; remove them"))
    }

    fn commit(self) -> io::Result<()> {
        // What is named after it must not outlive it.
        self.file.sync_data()?;
        std::fs::rename(&self.unfinished, &self.path)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Once it is in its place there is none.
        drop(std::fs::remove_file(&self.unfinished));
    }
}
