//! What this process gives up before it looks at the first octet that a stranger wrote: the rights of root, files and
//! ports that it has no use for, and system calls that it never makes.
//!
//! [`enter`] is called once, after everything that takes rights was opened and before any thread is started: Landlock
//! holds for the thread that asks for it and for those that it starts. What a kernel cannot do is left out and told by
//! [`State::missing`], never an error: a sensor that runs with less is better than none. It leaves out memory limits
//! and namespaces, which whoever starts the program can set, and prints nothing.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod paths;
#[cfg(target_os = "linux")]
mod rights;
#[cfg(target_os = "linux")]
mod user;

use super::folder_of;
use std::fmt;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

/// Users are changed on Linux only.
#[cfg(not(target_os = "linux"))]
mod user {
    /// Nobody: there is no way to change.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum User {}

    impl User {
        /// Refuses a name.
        ///
        /// # Errors
        ///
        /// A user was named.
        pub fn choose(wanted: Option<&str>) -> Result<Option<Self>, String> {
            wanted.map_or(Ok(None), |name| Err(format!("--user {name}: users are changed on Linux only; leave it out")))
        }
    }
}

pub use user::User;

/// What must stay possible. All else is given up.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Whom to become; `None`: whoever started the program.
    pub user: Option<User>,
    /// Root still opens the files of others. Without it no capability is kept.
    pub opens_files_of_others: bool,
    /// Folders in which files are created, appended to, cut, renamed, read and removed.
    pub folders: Vec<PathBuf>,
    /// Files that are open and written to, and that may be moved aside and begun anew.
    pub outputs: Vec<PathBuf>,
    /// Files that are cut and written, and are there already.
    pub written: Vec<PathBuf>,
    /// Files that are read, and folders of which all files are. What is not there gives nothing.
    pub read: Vec<PathBuf>,
    /// A TCP socket listens already, and takes connections.
    pub accepts: bool,
    /// Local TCP ports that are listened on.
    pub listens: Vec<u16>,
    /// TCP ports, on any host, that are connected to. Names of hosts must have been resolved.
    pub connects: Vec<u16>,
    /// Datagrams are sent over IP, to anybody: Landlock does not hold them.
    pub sends_datagrams: bool,
    /// Names of hosts are looked up, see [`Needs::look_up_names`].
    pub looks_up_names: bool,
    /// Folders of this program's own, with all that is in them, which the user must own.
    pub owned: Vec<PathBuf>,
    /// The datagram socket of a service manager, `@` first where it is an abstract one.
    pub notifies: Option<PathBuf>,
    /// Sockets that are open and shall only be received from: a packet socket could send as well.
    pub receive_only: Vec<RawFd>,
}

/// Where the system says how names are looked up.
const NAMES: [&str; 6] = [
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/run/systemd/resolve/stub-resolv.conf",
];

impl Needs {
    /// Names of hosts are looked up: the files that say how are read, and servers of names asked by datagrams.
    pub fn look_up_names(&mut self) {
        self.looks_up_names = true;
        self.read.extend(NAMES.map(PathBuf::from));
    }

    /// An output that stays open, and beside which others are begun: its folder. `path` is that of a file.
    pub fn keep_writing(&mut self, path: &Path) {
        // A pipe or a device is not rotated, and its folder is none of ours.
        if std::fs::metadata(path).map_or(true, |file| file.is_file()) {
            self.folders.push(folder_of(path).to_owned());
            self.outputs.push(path.to_path_buf());
        }
    }

    /// An output that is yet to be opened: the file alone if it is there, else the folder it will be made in.
    pub fn write_once(&mut self, path: &Path) {
        if path.exists() {
            self.written.push(path.to_path_buf())
        } else {
            self.folders.push(folder_of(path).to_owned())
        }
    }
}

/// What is in force after [`enter`], in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    in_force: Vec<String>,
    missing: Vec<String>,
    hints: Vec<String>,
}

impl State {
    /// What could not be had, in one line; `None` when all of it holds.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        (!self.missing.is_empty()).then(|| self.missing.join("; "))
    }

    /// What will fail later for want of rights, and how to prevent it; one line each.
    #[must_use]
    pub fn hints(&self) -> &[String] {
        &self.hints
    }
}

/// Such as `user nobody, no capabilities, Landlock 6, seccomp`.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.in_force.is_empty() { f.write_str("nothing") } else { f.write_str(&self.in_force.join(", ")) }
    }
}

/// Gives up all but `needs`, for this thread and those that it starts. There is no way back.
///
/// # Errors
///
/// The user that was asked for by name could not be become: one line that says why.
#[cfg(target_os = "linux")]
pub fn enter(needs: &Needs) -> Result<State, String> {
    let mut state = State::default();
    rights::forbid_new_privileges(&mut state);
    if let Some(user) = &needs.user {
        needs.outputs.iter().for_each(|output| user.give(output, folder_of(output)));
        needs.owned.iter().for_each(|folder| user.give_whole(folder));
        user.become_them(&mut state)?;
        state.hints.extend(needs.outputs.iter().filter_map(|output| user.hint(output, folder_of(output))));
    }
    rights::drop_capabilities(needs.opens_files_of_others, &mut state);
    // A change of user sets back what was forbidden when the program began.
    super::process::forbid_core_dumps();
    paths::confine(needs, &mut state);
    calls::confine(needs, &mut state);
    Ok(state)
}

/// Gives up nothing: other systems have other means.
///
/// # Errors
///
/// None.
#[cfg(not(target_os = "linux"))]
pub fn enter(_: &Needs) -> Result<State, String> {
    let missing = vec!["there is none on this system, only on Linux".to_owned()];
    Ok(State { missing, ..State::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_one_line() {
        let state = State { in_force: vec!["user nobody".into(), "seccomp".into()], ..State::default() };
        assert_eq!((state.to_string().as_str(), state.missing()), ("user nobody, seccomp", None));
        let state = State { missing: vec!["no Landlock".into(), "no seccomp".into()], ..State::default() };
        assert_eq!(
            (state.to_string().as_str(), state.missing()),
            ("nothing", Some("no Landlock; no seccomp".to_owned()))
        );
    }

    #[test]
    fn an_output_needs_its_folder_or_itself() {
        let mut needs = Needs::default();
        needs.keep_writing(Path::new("findings.ndjson"));
        needs.keep_writing(Path::new("/nowhere/findings.ndjson"));
        needs.keep_writing(Path::new("/dev/null"));
        assert_eq!(needs.folders, [Path::new("."), Path::new("/nowhere")]);
        needs.write_once(Path::new("/dev/null"));
        assert_eq!(needs.written, [Path::new("/dev/null")]);
    }
}
