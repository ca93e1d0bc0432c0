//! Lets a live run's metrics be read: on a port, in a file, or both.

use super::Failure;
use super::gauges::Gauges;
use super::listener::Listener;
use super::metrics::PageFile;
use super::pages::{CONNECTIONS, Pages};
use super::{locked, spawn};
use crate::ops::console;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Where metrics can be read.
#[derive(Clone, Debug, Default)]
pub struct MetricsOptions {
    /// Answers HTTP there; port 0: one that is free.
    pub listen: Option<SocketAddr>,
    /// Holds the latest page.
    pub file: Option<PathBuf>,
}

/// Between two pages in the file.
const FILE_EVERY: Duration = Duration::from_secs(15);

/// Places that are open, and threads that fill them once they are started.
pub(super) struct Reporter {
    listener: Option<Listener>,
    /// Taken out for the last page, after which no other may come.
    file: Arc<Mutex<Option<PageFile>>>,
    gauges: Option<Arc<Gauges>>,
}

impl Reporter {
    /// `output`: the records' file, which no page may replace.
    pub(super) fn open(options: &MetricsOptions, output: Option<&Path>) -> Result<Self, Failure> {
        let file = options.file.as_deref().map(|path| PageFile::open(path, output)).transpose()?;
        let listener =
            options.listen.map(|address| Listener::bind(address, "--metrics-listen", CONNECTIONS, None)).transpose()?;
        Ok(Self { listener, file: Arc::new(Mutex::new(file)), gauges: None })
    }

    /// Nobody waits for the threads: they end with the program.
    pub(super) fn start(&mut self, gauges: &Arc<Gauges>) -> Result<(), Failure> {
        self.gauges = Some(Arc::clone(gauges));
        if let Some(listener) = self.listener.take() {
            console::info(&format!("metrics at http://{}/metrics", listener.address()));
            let gauges = Arc::clone(gauges);
            spawn("metrics", move || {
                listener.serve(&mut Pages { metrics: &|| gauges.page(), health: &gauges.health });
            })?;
        }
        if locked(&self.file).is_some() {
            let (file, gauges) = (Arc::clone(&self.file), Arc::clone(gauges));
            spawn("metrics-file", move || write_on(&file, &gauges))?;
        }
        Ok(())
    }

    /// The last page of the file.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        let file = locked(&self.file).take();
        match file.zip(self.gauges.as_ref()) {
            Some((file, gauges)) => file.write(&gauges.page()),
            None => Ok(()),
        }
    }
}

/// A run that fails says in its last page how far it came.
impl Drop for Reporter {
    fn drop(&mut self) {
        if let Err(failure) = self.finish() {
            console::error(&failure.message);
        }
    }
}

/// A disk that is full now may have room later. It is told once, not every quarter of a minute.
fn write_on(file: &Mutex<Option<PageFile>>, gauges: &Gauges) {
    let mut was_failing = false;
    loop {
        // Not held while this sleeps: the last page is not to wait.
        let written = locked(file).as_ref().map(|file| file.write(&gauges.page()));
        let Some(written) = written else { return };
        let failure = written.err();
        match &failure {
            Some(failure) if !was_failing => console::warning(&failure.message),
            None if was_failing => console::notice("the metrics file is written again"),
            _ => {}
        }
        was_failing = failure.is_some();
        thread::sleep(FILE_EVERY);
    }
}
