//! What people watch and read: a progress bar while the program works, a summary when it is done; and the page of metrics
//! that machines read. Text only; no JSON, no clock, no decision about the exit status. And what the process gives up
//! before it works: [`sandbox`].

pub mod console;
mod findings;
#[cfg(feature = "live")]
pub mod glance;
pub mod metrics;
#[cfg(target_os = "linux")]
pub mod notify;
mod page;
pub mod process;
mod progress;
pub mod sandbox;
mod summary;
mod words;

pub use findings::NAMED_USERS;
use std::path::Path;

pub use progress::Progress;
pub use summary::{FindingLine, SessionLine, Summary};
pub(crate) use words::{counted, grouped, octets, one_line, wrapped};

/// Where a file stands or will stand.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
