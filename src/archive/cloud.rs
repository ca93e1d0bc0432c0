//! Archives in object stores: S3 and what speaks like it, Google Cloud Storage, Azure. Who may, where and how is taken from
//! the environment, as the tools of those stores do (`AWS_*`, `GOOGLE_*`, `AZURE_*`); HTTP without TLS must be allowed there.
//!
//! One request after the other on the calling thread. What is written is one PUT, or parts that are joined when all are
//! there: whatever ends before leaves nothing that others see.

use futures_util::TryStreamExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt as _};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read};
use std::sync::{Arc, OnceLock};
use tokio::runtime::{Builder, Runtime};

/// Octets of one request: as few of these as there may be, and not more memory than that for each file.
const CHUNK: usize = 8 * 1024 * 1024;

/// A bucket, or what is below a prefix of it.
#[derive(Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    /// As it was named, and the prefix alone.
    uri: String,
    prefix: String,
}

fn runtime() -> io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    Ok(RUNTIME.get_or_init(|| runtime))
}

fn wait<T>(doing: impl Future<Output = object_store::Result<T>>) -> io::Result<T> {
    runtime()?.block_on(doing).map_err(failure)
}

/// In one line, and without what stands in a request behind `?`: a signature may be there.
fn failure(error: object_store::Error) -> io::Error {
    let kind = match &error {
        object_store::Error::NotFound { .. } => ErrorKind::NotFound,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            ErrorKind::PermissionDenied
        }
        _ => ErrorKind::Other,
    };
    if kind == ErrorKind::NotFound {
        return io::Error::new(kind, "there is no such object");
    }
    io::Error::new(kind, without_queries(&error.to_string()))
}

fn other_octets() -> io::Error {
    io::Error::other("the store gave other octets than were asked for")
}

fn without_queries(text: &str) -> String {
    let words = text.split_whitespace().map(|word| match word.split_once('?') {
        Some((before, _)) if before.contains("://") => before,
        _ => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

impl Bucket {
    /// The bucket and prefix of `s3://BUCKET/PREFIX`, `gs://` or `az://`.
    ///
    /// # Errors
    ///
    /// What the environment says of it is not enough; why.
    pub fn open(uri: &str) -> Result<Self, String> {
        // Once; whoever was first has said the same.
        drop(rustls::crypto::ring::default_provider().install_default());
        let (scheme, rest) = uri.split_once("://").unwrap_or(("", uri));
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(format!("{uri}: write it as {scheme}://BUCKET/NAME"));
        }
        let url = format!("{scheme}://{bucket}");
        let store: object_store::Result<Arc<dyn ObjectStore>> = match scheme {
            "s3" => AmazonS3Builder::from_env().with_url(url).build().map(|store| Arc::new(store) as _),
            "gs" => GoogleCloudStorageBuilder::from_env().with_url(url).build().map(|store| Arc::new(store) as _),
            _ => MicrosoftAzureBuilder::from_env().with_url(url).build().map(|store| Arc::new(store) as _),
        };
        let store = store.map_err(|error| format!("{uri}: {}", without_queries(&error.to_string())))?;
        let prefix = prefix.trim_matches('/').to_owned();
        Ok(Self { store, uri: uri.trim_end_matches('/').to_owned(), prefix })
    }

    /// The object of that name.
    pub(super) fn object(&self, name: &str) -> Object {
        let path = Path::from(self.below(name));
        Object { store: Arc::clone(&self.store), path }
    }

    /// The object whose name is the prefix.
    pub(super) fn into_object(self) -> Object {
        Object { path: Path::from(self.prefix), store: self.store }
    }

    /// A file as people find it.
    pub(super) fn name_of(&self, name: &str) -> String {
        format!("{}/{name}", self.uri)
    }

    /// See [`super::store::Store::sizes`].
    pub(super) fn sizes(&self, folder: &str) -> io::Result<BTreeMap<String, u64>> {
        let path = Path::from(self.below(folder));
        let all: Vec<_> = wait(self.store.list(Some(&path)).try_collect())?;
        let own = if self.prefix.is_empty() { 0 } else { self.prefix.len() + 1 };
        Ok(all.iter().filter_map(|found| Some((found.location.as_ref().get(own..)?.to_owned(), found.size))).collect())
    }

    fn below(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) }
    }
}

/// One object.
pub struct Object {
    store: Arc<dyn ObjectStore>,
    path: Path,
}

impl Object {
    /// Its name in the bucket.
    pub(super) fn name(&self) -> &str {
        self.path.as_ref()
    }

    /// How many octets it has.
    pub(super) fn octets(&self) -> io::Result<u64> {
        wait(self.store.head(&self.path)).map(|found| found.size)
    }

    /// So many of its octets, from the one at `from` on.
    pub(super) fn part(&self, from: u64, len: usize) -> io::Result<Vec<u8>> {
        let octets = wait(self.store.get_range(&self.path, from..from + len as u64))?;
        if octets.len() == len { Ok(octets.to_vec()) } else { Err(other_octets()) }
    }

    /// Begins to read it.
    pub(super) fn read(&self) -> io::Result<Receiving> {
        let found = wait(self.store.head(&self.path))?;
        let (store, path) = (Arc::clone(&self.store), self.path.clone());
        Ok(Receiving { store, path, e_tag: found.e_tag, octets: found.size, next: 0, chunk: Vec::new(), at: 0 })
    }

    /// Begins to write it.
    pub(super) fn send(self) -> Sending {
        Sending { object: self, buffer: Vec::new(), parts: None }
    }
}

/// An object that is read in chunks, all of them of one version.
pub(super) struct Receiving {
    store: Arc<dyn ObjectStore>,
    path: Path,
    e_tag: Option<String>,
    octets: u64,
    next: u64,
    chunk: Vec<u8>,
    at: usize,
}

impl Read for Receiving {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() && self.next < self.octets {
            let end = self.octets.min(self.next + CHUNK as u64);
            let range = Some(GetRange::Bounded(self.next..end));
            let options = GetOptions { range, if_match: self.e_tag.clone(), ..GetOptions::default() };
            let path = &self.path;
            let octets = wait(async { self.store.get_opts(path, options).await?.bytes().await })?;
            if octets.len() as u64 != end - self.next {
                return Err(other_octets());
            }
            self.chunk.clear();
            self.chunk.extend_from_slice(&octets);
            (self.next, self.at) = (end, 0);
        }
        let rest = &self.chunk[self.at..];
        let read = rest.len().min(out.len());
        out[..read].copy_from_slice(&rest[..read]);
        self.at += read;
        Ok(read)
    }
}

/// An object that is being written.
pub struct Sending {
    object: Object,
    buffer: Vec<u8>,
    /// Once it is too long for one request.
    parts: Option<Box<dyn MultipartUpload>>,
}

impl Sending {
    /// See [`super::store::Upload`].
    pub(super) fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let taken = octets.len().min(CHUNK - self.buffer.len());
        self.buffer.extend_from_slice(&octets[..taken]);
        if self.buffer.len() == CHUNK {
            self.send()?;
        }
        Ok(taken)
    }

    fn send(&mut self) -> io::Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let parts = match &mut self.parts {
            Some(parts) => parts,
            None => self.parts.insert(wait(self.object.store.put_multipart(&self.object.path))?),
        };
        wait(parts.put_part(buffer.into()))
    }

    pub(super) fn commit(mut self) -> io::Result<()> {
        if self.parts.is_none() {
            let buffer = std::mem::take(&mut self.buffer);
            return wait(self.object.store.put(&self.object.path, buffer.into())).map(drop);
        }
        if !self.buffer.is_empty() {
            self.send()?;
        }
        match self.parts.take() {
            Some(mut parts) => wait(parts.complete()).map(drop),
            None => Ok(()),
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(mut parts) = self.parts.take() {
            // What cannot be taken back now, the bucket's own rules for unfinished uploads remove.
            drop(wait(parts.abort()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_signs_a_request_is_not_told() {
        let told = without_queries("Error performing GET https://a.example/c/d?sig=secret in 3 ms");
        assert_eq!(told, "Error performing GET https://a.example/c/d in 3 ms");
    }
}
