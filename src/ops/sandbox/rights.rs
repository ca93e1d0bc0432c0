//! No new privileges by executing anything, and no capabilities: of root's rights or a file's capabilities nothing
//! stays after what needed them is open.

use super::State;
use std::io;

/// Ignores the owner and mode of files, for reading, writing and looking into folders.
const CAP_DAC_OVERRIDE: u32 = 1;
/// The same for reading alone.
const CAP_DAC_READ_SEARCH: u32 = 2;

/// `_LINUX_CAPABILITY_VERSION_3` of linux/capability.h: two words a set.
const VERSION: u32 = 0x2008_0522;

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct Header {
    version: u32,
    /// 0 is this thread.
    pid: libc::c_int,
}

/// `struct __user_cap_data_struct`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Nothing that this process might execute gives it rights that it does not have.
pub(super) fn forbid_new_privileges(state: &mut State) {
    // SAFETY: takes numbers only.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        state.missing.push(format!("no-new-privileges is not set ({})", io::Error::last_os_error()));
    }
}

/// Drops every capability, but for those that open files of others where that is wanted.
pub(super) fn drop_capabilities(opens_files_of_others: bool, state: &mut State) {
    let wanted = if opens_files_of_others { 1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH } else { 0 };
    match reduce(wanted) {
        Ok(0) => state.in_force.push("no capabilities".to_owned()),
        Ok(_) => state.in_force.push("no capabilities but for opening files".to_owned()),
        Err(error) => state.missing.push(format!("capabilities are kept ({error})")),
    }
}

/// Keeps what is both wanted and there, which it gives.
fn reduce(wanted: u32) -> io::Result<u32> {
    let mut header = Header { version: VERSION, pid: 0 };
    let mut sets = [Sets::default(); 2];
    // SAFETY: the header names version 3, whose two words `sets` has room for; both outlive the call.
    if unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let kept = sets[0].permitted & wanted;
    let reduced = [Sets { effective: kept, permitted: kept, inheritable: 0 }, Sets::default()];
    // SAFETY: as above; the sets are only read.
    if unsafe { libc::syscall(libc::SYS_capset, &raw const header, reduced.as_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(kept)
}
