//! From root to a user who owns nothing. It leaves out groups: who is to write into a folder must own it or be let in
//! by its mode.

use super::State;
use std::ffi::{CStr, CString};
use std::fs::OpenOptions;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;

/// Whom root becomes when nobody was named.
const NOBODY: &str = "nobody";
/// Nobody's number, as the kernel has it for whomever it has no number for.
const NOBODY_ID: u32 = 65_534;

/// Room for one entry of the user database, in octets; the longest seen are a tenth of it.
const ENTRY_OCTETS: usize = 16 * 1024;

/// A user that the program can become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    name: String,
    uid: libc::uid_t,
    gid: libc::gid_t,
    /// Named by whoever started the program, who relies on it.
    is_wanted: bool,
}

impl User {
    /// The user that `wanted` names, by name or number; without one nobody if root started the program, else `None`:
    /// only root can change.
    ///
    /// # Errors
    ///
    /// There is no such user, or the program was not started by root: one line with the remedy.
    pub fn choose(wanted: Option<&str>) -> Result<Option<Self>, String> {
        // SAFETY: takes nothing, cannot fail.
        let own = unsafe { libc::geteuid() };
        let Some(wanted) = wanted else {
            let nobody = || Self { name: NOBODY.to_owned(), uid: NOBODY_ID, gid: NOBODY_ID, is_wanted: false };
            return Ok((own == 0).then(|| Self::named(NOBODY, false).unwrap_or_else(nobody)));
        };
        let user = match wanted.parse() {
            Ok(uid) => Self::numbered(uid),
            Err(_) => Self::named(wanted, true),
        };
        let user = user.ok_or_else(|| {
            format!("--user {}: there is no such user; name another, or give a number", wanted.escape_debug())
        })?;
        match own {
            0 => Ok(Some(user)),
            own if own == user.uid => Ok(None),
            own => Err(format!(
                "--user {}: only root can change to another user, and user {own} started this; start it as root, or as \
                 {} without --user",
                user.name, user.name
            )),
        }
    }

    fn named(name: &str, is_wanted: bool) -> Option<Self> {
        let name = CString::new(name).ok()?;
        let entry = entry(|passwd, buffer, found| {
            // SAFETY: the name ends in a zero; the others are what `entry` says.
            unsafe { libc::getpwnam_r(name.as_ptr(), passwd, buffer.as_mut_ptr(), buffer.len(), found) }
        });
        entry.map(|(name, uid, gid)| Self { name, uid, gid, is_wanted }).filter(Self::is_one)
    }

    /// A number need not be in the user database; its group then has the same.
    fn numbered(uid: libc::uid_t) -> Option<Self> {
        let entry = entry(|passwd, buffer, found| {
            // SAFETY: these are what `entry` says.
            unsafe { libc::getpwuid_r(uid, passwd, buffer.as_mut_ptr(), buffer.len(), found) }
        });
        let (name, uid, gid) = entry.unwrap_or_else(|| (uid.to_string(), uid, uid));
        Some(Self { name, uid, gid, is_wanted: true }).filter(Self::is_one)
    }

    /// Attack: to setresuid(2) and setresgid(2) the highest number means "leave it as it is".
    fn is_one(&self) -> bool {
        self.uid != libc::uid_t::MAX && self.gid != libc::gid_t::MAX
    }

    /// Becomes this user, in all threads, without other groups and without a way back.
    ///
    /// # Errors
    ///
    /// The kernel refuses a user that was named. That nobody was refused is noted as missing.
    pub(super) fn become_them(&self, state: &mut State) -> Result<(), String> {
        match self.change() {
            Ok(()) => {
                state.in_force.push(format!("user {}", self.name));
                Ok(())
            }
            Err(error) if self.is_wanted => Err(format!(
                "changing to user {}: {error}; start it with CAP_SETUID and CAP_SETGID, or as that user without --user",
                self.name
            )),
            Err(error) => {
                state.missing.push(format!("root could not change to user {} ({error})", self.name));
                Ok(())
            }
        }
    }

    fn change(&self) -> io::Result<()> {
        let done = |result: libc::c_int| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
        // SAFETY: no groups are given, so none are read.
        done(unsafe { libc::setgroups(0, std::ptr::null()) })?;
        // SAFETY: takes numbers only.
        done(unsafe { libc::setresgid(self.gid, self.gid, self.gid) })?;
        // SAFETY: takes numbers only.
        done(unsafe { libc::setresuid(self.uid, self.uid, self.uid) })
    }

    /// Gives this user an `output` that root has just begun in the user's own `folder`.
    ///
    /// Attack: whoever may write to the folder could put a link in the output's place, for root to give away what it
    /// points to. So it must be a file, empty, root's, without another name and not reached by a link; that much the
    /// owner of the folder could have made there as well.
    pub(super) fn give(&self, output: &Path, folder: &Path) {
        let is_theirs = || std::fs::metadata(folder).is_ok_and(|folder| folder.uid() == self.uid);
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let Ok(file) = OpenOptions::new().append(true).custom_flags(flags).open(output) else { return };
        let is_new =
            file.metadata().is_ok_and(|file| file.is_file() && file.len() == 0 && file.uid() == 0 && file.nlink() == 1);
        if is_new && is_theirs() {
            // If it stays root's, `hint` says so.
            let _ = fchown(&file, Some(self.uid), Some(self.gid));
        }
    }

    /// Gives this user a folder that root has made for it, with the files that root has begun in it.
    ///
    /// Attack: as with [`Self::give`]. A folder of root's that others may write to stays root's.
    pub(super) fn give_whole(&self, folder: &Path) {
        let flags = libc::O_NOFOLLOW | libc::O_DIRECTORY;
        let Ok(open) = OpenOptions::new().read(true).custom_flags(flags).open(folder) else { return };
        let Ok(found) = open.metadata() else { return };
        let is_ours = found.uid() == 0 && found.mode() & 0o022 == 0;
        if !is_ours && found.uid() != self.uid {
            return;
        }
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
            let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(entry.path()) else { continue };
            if file.metadata().is_ok_and(|file| file.is_file() && file.uid() == 0 && file.nlink() == 1) {
                let _ = fchown(&file, Some(self.uid), Some(self.gid));
            }
        }
        if is_ours {
            let _ = fchown(&open, Some(self.uid), Some(self.gid));
        }
    }

    /// How to let this user, who is them by now, move `output` in `folder` aside and begin it anew; `None` if that is
    /// possible.
    pub(super) fn hint(&self, output: &Path, folder: &Path) -> Option<String> {
        // SAFETY: takes nothing, cannot fail.
        if unsafe { libc::geteuid() } != self.uid {
            return None;
        }
        let closed: Vec<String> = [(folder, libc::W_OK | libc::X_OK), (output, libc::W_OK)]
            .into_iter()
            .filter(|(path, mode)| !is_open(path, *mode))
            .map(|(path, _)| path.display().to_string().escape_debug().to_string())
            .collect();
        let name = &self.name;
        (!closed.is_empty()).then(|| {
            format!(
                "user {name} may not write to {}: records are written, but a file there cannot be rotated or opened again; \
                 if it is to be, give it a folder of its own and: chown {name} {}",
                closed.join(" and "),
                closed.join(" ")
            )
        })
    }
}

fn is_open(path: &Path, mode: libc::c_int) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: the path ends in a zero and outlives the call.
    unsafe { libc::access(path.as_ptr(), mode) == 0 }
}

/// Asks the user database. `ask` gets the place of the entry, a buffer for what it points to, and where to say that
/// there is one, as getpwnam_r(3) wants them; it gives 0 if it could be asked.
fn entry(
    ask: impl FnOnce(*mut libc::passwd, &mut [libc::c_char], *mut *mut libc::passwd) -> libc::c_int,
) -> Option<(String, libc::uid_t, libc::gid_t)> {
    let mut passwd = MaybeUninit::<libc::passwd>::uninit();
    let mut buffer = vec![0; ENTRY_OCTETS];
    let mut found = std::ptr::null_mut();
    if ask(passwd.as_mut_ptr(), &mut buffer, &raw mut found) != 0 || found.is_null() {
        return None;
    }
    // SAFETY: it was found, so it is filled in, and its name points into the buffer, which is still there.
    let (name, uid, gid) = unsafe {
        let passwd = passwd.assume_init_ref();
        (CStr::from_ptr(passwd.pw_name).to_string_lossy().into_owned(), passwd.pw_uid, passwd.pw_gid)
    };
    Some((name, uid, gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_and_number() {
        let root = User::named("root", true).expect("every system has it");
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(User::numbered(0).expect("the same"), root);
        let unknown = User::numbered(4_000_000_123).expect("a number need not have a name");
        assert_eq!((unknown.name.as_str(), unknown.gid), ("4000000123", 4_000_000_123));
    }

    #[test]
    fn what_is_no_user_is_refused_with_its_name() {
        assert_eq!(User::numbered(u32::MAX), None, "it would change nothing");
        for name in ["no such user", "", "a\0b", "-1", "99999999999"] {
            let error = User::choose(Some(name)).expect_err(name);
            assert!(error.starts_with("--user ") && error.contains("no such user"), "{error}");
        }
    }
}
