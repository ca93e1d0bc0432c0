//! What this process allows to be taken from it: no core dumps, for buffers hold what clients sent; no message of a
//! panic, for it may quote them.

use super::console;

/// Forbids core dumps and other processes' eyes; tells of a panic by its place only. A file that may not grow is an
/// error, which is told, and not the signal that would end the program.
pub fn keep_to_itself() {
    forbid_core_dumps();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        console::error(&format!("fault in this program at {place}; please report it"));
    }));
}

/// Forbids core dumps and other processes' eyes.
pub(super) fn forbid_core_dumps() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: plain system calls on this process; a kernel that refuses leaves things as they were.
    unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        #[cfg(target_os = "linux")]
        libc::prctl(libc::PR_SET_DUMPABLE, 0);
    }
}
