//! seccomp: which system calls can still be made, and with what. One list, of what this program and its libraries were
//! seen to do, and of what turning an output over takes.
//!
//! All others fail with ENOSYS, as on a kernel that never had them. Killing the process would be stricter, but a new
//! release of the C library that tries a newer call first would then end the sensor, and so would EPERM where it goes
//! on to an older call only after ENOSYS. Those that matter (executing, tracing, changing users, raw sockets) fail for
//! good either way.

use super::{Needs, State};

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn confine(_: &Needs, state: &mut State) {
    state.missing.push(format!("no seccomp: the system calls of {} are not known here", std::env::consts::ARCH));
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) fn confine(needs: &Needs, state: &mut State) {
    let applied = list::program(needs)
        .map_err(|error| error.to_string())
        .and_then(|program| seccompiler::apply_filter_all_threads(&program).map_err(|error| error.to_string()));
    match applied {
        Ok(()) => state.in_force.push("seccomp".to_owned()),
        Err(error) => state.missing.push(format!("no seccomp, system calls stay within reach ({error})")),
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod list {
    use super::Needs;
    use libc::{c_int, c_long};
    use seccompiler::{BackendError, BpfProgram, SeccompAction, SeccompFilter, SeccompRule};
    use seccompiler::{SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition};
    use std::collections::BTreeMap;

    /// Harmless with any arguments, or held by Landlock and by what is open.
    const ALWAYS: &[c_long] = &[
        // What is open.
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_pread64,
        libc::SYS_lseek,
        libc::SYS_close,
        libc::SYS_fstat,
        libc::SYS_newfstatat,
        libc::SYS_statx,
        libc::SYS_ppoll,
        libc::SYS_recvfrom,
        libc::SYS_getsockopt,
        // Files: Landlock says which.
        libc::SYS_openat,
        libc::SYS_faccessat,
        libc::SYS_faccessat2,
        libc::SYS_getdents64,
        libc::SYS_readlinkat,
        libc::SYS_ftruncate,
        libc::SYS_flock,
        libc::SYS_fchmod,
        libc::SYS_fchown,
        libc::SYS_fsync,
        libc::SYS_fdatasync,
        libc::SYS_renameat,
        libc::SYS_renameat2,
        libc::SYS_unlinkat,
        // Memory that is not executed.
        libc::SYS_brk,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        // Threads and time.
        libc::SYS_futex,
        libc::SYS_set_robust_list,
        libc::SYS_rseq,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_sigaltstack,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_restart_syscall,
        libc::SYS_nanosleep,
        libc::SYS_clock_nanosleep,
        libc::SYS_clock_gettime,
        libc::SYS_clock_getres,
        libc::SYS_gettimeofday,
        libc::SYS_getrandom,
        libc::SYS_exit,
        libc::SYS_exit_group,
        // Who this is: what cannot fail must not.
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_getuid,
        libc::SYS_geteuid,
        libc::SYS_getgid,
        libc::SYS_getegid,
    ];

    /// Older names of calls above, which newer processors never had.
    #[cfg(target_arch = "x86_64")]
    const OLDER: &[c_long] = &[
        libc::SYS_open,
        libc::SYS_access,
        libc::SYS_poll,
        libc::SYS_readlink,
        libc::SYS_rename,
        libc::SYS_unlink,
        libc::SYS_time,
    ];
    #[cfg(not(target_arch = "x86_64"))]
    const OLDER: &[c_long] = &[];

    /// Of a TCP socket that listened before: others are taken from it, and answered.
    const ACCEPTED: &[c_long] = &[libc::SYS_accept4, libc::SYS_shutdown, libc::SYS_getsockname, libc::SYS_getpeername];

    /// TCP, where a port is listened on or connected to: Landlock says which.
    const TCP: &[c_long] = &[libc::SYS_bind, libc::SYS_listen, libc::SYS_connect];

    /// What the C library asks servers of names with, and a library that does so its servers, besides sending.
    const NAMES: &[c_long] = &[libc::SYS_uname, libc::SYS_recvmsg, libc::SYS_pipe2];

    /// `TCGETS2` of asm-generic/ioctls.h, which newer C libraries ask whether a descriptor is a terminal with.
    const TCGETS2: u64 = 0x802c_542a;

    /// The last four bits of a socket's kind are the kind; above them stand flags.
    const SOCKET_KIND: u64 = 0xf;

    type Rules = BTreeMap<c_long, Vec<SeccompRule>>;
    type Made<T> = Result<T, BackendError>;

    pub(super) fn program(needs: &Needs) -> Made<BpfProgram> {
        let mut rules: Rules = ALWAYS.iter().chain(OLDER).map(|&call| (call, Vec::new())).collect();
        threads(&mut rules)?;
        memory(&mut rules)?;
        descriptors(&mut rules)?;
        writing(&mut rules, needs)?;
        sockets(&mut rules, needs)?;
        let arch = std::env::consts::ARCH.try_into()?;
        let unknown = SeccompAction::Errno(libc::ENOSYS as u32);
        SeccompFilter::new(rules, unknown, SeccompAction::Allow, arch)?.try_into()
    }

    /// Allows a call when all of the conditions hold, besides what allows it already.
    fn when(rules: &mut Rules, call: c_long, conditions: Vec<SeccompCondition>) -> Made<()> {
        rules.entry(call).or_default().push(SeccompRule::new(conditions)?);
        Ok(())
    }

    /// The lower 32 bits of an argument, which is what the kernel takes of an `int`.
    fn int(argument: u8, op: Op, value: u64) -> Made<SeccompCondition> {
        SeccompCondition::new(argument, Len::Dword, op, value)
    }

    fn word(argument: u8, op: Op, value: u64) -> Made<SeccompCondition> {
        SeccompCondition::new(argument, Len::Qword, op, value)
    }

    /// Threads, but no processes and no namespaces. clone3(2) has its flags in memory, where they cannot be looked at:
    /// without it the C library uses clone(2).
    fn threads(rules: &mut Rules) -> Made<()> {
        let thread = (libc::CLONE_VM | libc::CLONE_THREAD) as u64;
        let namespaces = libc::CLONE_NEWNS
            | libc::CLONE_NEWCGROUP
            | libc::CLONE_NEWUTS
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUSER
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWNET;
        when(rules, libc::SYS_clone, vec![int(0, Op::MaskedEq(thread | namespaces as u64), thread)?])?;
        when(rules, libc::SYS_prctl, vec![int(0, Op::Eq, libc::PR_SET_NAME as u64)?])?;
        // Its own limits, to be read: how large the stack is.
        when(rules, libc::SYS_prlimit64, vec![int(0, Op::Eq, 0)?, word(2, Op::Eq, 0)?])?;
        // A thread may stand back behind others, and only itself.
        when(rules, libc::SYS_setpriority, vec![int(0, Op::Eq, libc::PRIO_PROCESS as u64)?, int(1, Op::Eq, 0)?])?;
        // abort(3) signals this process.
        when(rules, libc::SYS_tgkill, vec![int(0, Op::Eq, std::process::id().into())?])
    }

    /// Memory, but none that could be executed: what is brought in cannot be run.
    fn memory(rules: &mut Rules) -> Made<()> {
        for call in [libc::SYS_mmap, libc::SYS_mprotect] {
            when(rules, call, vec![int(2, Op::MaskedEq(libc::PROT_EXEC as u64), 0)?])?;
        }
        Ok(())
    }

    /// Is this a terminal, how wide is it; and is the interface gone or only down, which libpcap asks when it falls silent.
    ///
    /// Attack: other controls of a terminal type into the shell behind it, and other copies of a descriptor would get
    /// around [`writing`].
    fn descriptors(rules: &mut Rules) -> Made<()> {
        #[allow(clippy::unnecessary_cast, reason = "other C libraries have them as another type")]
        let controls = [libc::TCGETS as u64, libc::TIOCGWINSZ as u64, TCGETS2, libc::SIOCGIFFLAGS as u64];
        for control in controls {
            when(rules, libc::SYS_ioctl, vec![int(1, Op::Eq, control)?])?;
        }
        for command in [libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_SETFL] {
            when(rules, libc::SYS_fcntl, vec![int(1, Op::Eq, command as u64)?])?;
        }
        let (input, copy) = (libc::STDIN_FILENO as u64, libc::F_DUPFD_CLOEXEC as u64);
        when(rules, libc::SYS_fcntl, vec![int(0, Op::Eq, input)?, int(1, Op::Eq, copy)?])
    }

    /// Writing, to whatever is not only to be received from, and sending to whom a socket is connected.
    fn writing(rules: &mut Rules, needs: &Needs) -> Made<()> {
        let elsewhere = || -> Made<Vec<SeccompCondition>> {
            needs.receive_only.iter().map(|&socket| int(0, Op::Ne, socket as u64)).collect()
        };
        // A message may name whom it is for: to those who may send datagrams to anybody that gives nothing more.
        let messages = [libc::SYS_sendmsg, libc::SYS_sendmmsg].into_iter().filter(|_| needs.looks_up_names);
        for call in [libc::SYS_write, libc::SYS_writev].into_iter().chain(messages) {
            let conditions = elsewhere()?;
            // A rule without conditions is written as none.
            if conditions.is_empty() {
                rules.insert(call, Vec::new());
            } else {
                when(rules, call, conditions)?;
            }
        }
        let mut conditions = elsewhere()?;
        if needs.notifies.is_none() {
            conditions.push(word(4, Op::Eq, 0)?);
        }
        if conditions.is_empty() {
            rules.insert(libc::SYS_sendto, Vec::new());
            return Ok(());
        }
        when(rules, libc::SYS_sendto, conditions)
    }

    /// A pair within the process, by which a signal wakes a thread; others only where they are needed.
    fn sockets(rules: &mut Rules, needs: &Needs) -> Made<()> {
        let socket = |family: c_int, kind: c_int| -> Made<Vec<SeccompCondition>> {
            Ok(vec![int(0, Op::Eq, family as u64)?, int(1, Op::MaskedEq(SOCKET_KIND), kind as u64)?])
        };
        when(rules, libc::SYS_socketpair, vec![int(0, Op::Eq, libc::AF_UNIX as u64)?])?;
        if needs.notifies.is_some() {
            when(rules, libc::SYS_socket, socket(libc::AF_UNIX, libc::SOCK_DGRAM)?)?;
            rules.insert(libc::SYS_connect, Vec::new());
        }
        // Which frames a capture takes may be said anew.
        for option in [libc::SO_ATTACH_FILTER, libc::SO_DETACH_FILTER] {
            let conditions = vec![int(1, Op::Eq, libc::SOL_SOCKET as u64)?, int(2, Op::Eq, option as u64)?];
            when(rules, libc::SYS_setsockopt, conditions)?;
        }
        if needs.accepts {
            rules.extend(ACCEPTED.iter().map(|&call| (call, Vec::new())));
            #[allow(clippy::unnecessary_cast, reason = "other C libraries have it as another type")]
            when(rules, libc::SYS_ioctl, vec![int(1, Op::Eq, libc::FIONBIO as u64)?])?;
        }
        if needs.listens.is_empty() && needs.connects.is_empty() && !needs.sends_datagrams && !needs.looks_up_names {
            return Ok(());
        }
        #[allow(clippy::unnecessary_cast, reason = "other C libraries have it as another type")]
        when(rules, libc::SYS_ioctl, vec![int(1, Op::Eq, libc::FIONBIO as u64)?])?;
        for family in
            [libc::AF_INET, libc::AF_INET6].into_iter().filter(|_| needs.sends_datagrams || needs.looks_up_names)
        {
            when(rules, libc::SYS_socket, socket(family, libc::SOCK_DGRAM)?)?;
        }
        for family in [libc::AF_INET, libc::AF_INET6] {
            let mut stream = socket(family, libc::SOCK_STREAM)?;
            // Other protocols of this kind, such as MPTCP, are not held by Landlock.
            stream.push(int(2, Op::MaskedEq(!(libc::IPPROTO_TCP as u64) & 0xffff_ffff), 0)?);
            when(rules, libc::SYS_socket, stream)?;
        }
        rules.extend(TCP.iter().chain(ACCEPTED).map(|&call| (call, Vec::new())));
        if needs.looks_up_names {
            rules.extend(NAMES.iter().map(|&call| (call, Vec::new())));
        }
        let options =
            needs.receive_only.iter().map(|&socket| int(0, Op::Ne, socket as u64)).collect::<Made<Vec<_>>>()?;
        match options.is_empty() {
            true => drop(rules.insert(libc::SYS_setsockopt, Vec::new())),
            false => when(rules, libc::SYS_setsockopt, options)?,
        }
        Ok(())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_filter_is_made_for_whatever_is_needed() {
            let plain = program(&Needs::default()).expect("a filter").len();
            let needs = Needs {
                listens: vec![9100],
                connects: vec![443],
                notifies: Some("/run/notify".into()),
                receive_only: (3..203).collect(),
                ..Needs::default()
            };
            let full = program(&needs).expect("a filter").len();
            // The kernel takes 4,096 instructions.
            assert!(plain < full && full < 4096, "{plain} {full}");
        }
    }
}
