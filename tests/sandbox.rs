//! The sandbox from within: a process that has entered it tries what a taken-over one would try, and what the program
//! must still be able to do. And `replay` gives the same octets with and without it.
//!
//! The process within is this test again, started with a folder in its environment. Where the kernel has no Landlock
//! or the processor no list of system calls the tests say so on standard error and pass, unless
//! `BAREWIRE_REQUIRE_ALL` is set. `watch` within it is in `live.rs`.
#![cfg(target_os = "linux")]

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use barewire::ops::sandbox::{self, Needs, User};

const BAREWIRE: &str = env!("CARGO_BIN_EXE_barewire");
/// Names the folder of the process within, and the ports it may use, if any.
const INSIDE: &str = "BAREWIRE_TEST_INSIDE";
/// What opens and closes the report of the process within.
const BEGIN: &str = "\nREPORT\n";
const END: &str = "REPORTED\n";

/// Two folders, of which the process within may use one; both are open to everybody, so that only the sandbox decides.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let scratch = Self(std::env::temp_dir().join(format!("bw-sandbox-{name}-{}", std::process::id())));
        let _ = fs::remove_dir_all(&scratch.0);
        for folder in [scratch.0.clone(), scratch.within(), scratch.outside()] {
            fs::create_dir(&folder).expect("a scratch folder");
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("its mode");
        }
        for file in [scratch.given(), scratch.outside().join("theirs")] {
            fs::write(&file, "given").expect("a file");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).expect("its mode");
        }
        scratch
    }

    fn within(&self) -> PathBuf {
        self.0.join("within")
    }

    fn outside(&self) -> PathBuf {
        self.0.join("outside")
    }

    /// A file that may be read although its folder may not.
    fn given(&self) -> PathBuf {
        self.0.join("given")
    }

    /// The socket of a service manager.
    fn manager(&self) -> PathBuf {
        self.0.join("manager")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The process within only uses it.
        if std::env::var_os(INSIDE).is_none() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// A system call by its number.
fn call(number: libc::c_long, arguments: [usize; 5]) -> io::Result<libc::c_long> {
    let [a, b, c, d, e] = arguments;
    // SAFETY: every caller gives numbers, null, or places that outlive the call and are as large as it says.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, 0_usize) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Runs in this test's own process, started again: the report is what it prints.
#[test]
fn inside() {
    let Ok(folder) = std::env::var(INSIDE) else { return };
    let scratch = Scratch(folder.into());
    let port = |name: &str| std::env::var(name).ok().map(|port| port.parse::<u16>().expect("a port"));
    let (listened, connected, other) = (port("LISTENED"), port("CONNECTED"), port("OTHER").expect("a port"));
    let mut kept = File::create(scratch.within().join("kept")).expect("the output");
    if is_root() {
        chown(scratch.within().join("kept"), Some(65_534), Some(65_534)).expect("nobody's file");
    }
    let elsewhere = File::open(scratch.outside()).expect("the folder");
    let (deaf, mouth) = UnixDatagram::pair().expect("a pair");
    let mut needs = Needs {
        user: User::choose(None).expect("nobody, or none"),
        read: vec![scratch.given(), "/nonexistent/file".into()],
        listens: listened.into_iter().collect(),
        connects: connected.into_iter().collect(),
        notifies: listened.map(|_| scratch.manager()),
        receive_only: vec![deaf.as_raw_fd()],
        ..Needs::default()
    };
    needs.keep_writing(&scratch.within().join("kept"));
    let state = sandbox::enter(&needs).expect("the sandbox");

    let mut report = vec![format!("state {state}"), format!("missing {:?}", state.missing())];
    report.extend(state.hints().iter().map(|hint| format!("hint {hint}")));
    let mut note = |kind: &str, name: &str, result: io::Result<()>| {
        report.push(match result {
            Ok(()) => format!("{kind} {name}: done"),
            Err(error) => format!("{kind} {name}: refused: {error}"),
        });
    };
    for (name, result) in attempts(&scratch, &elsewhere, &deaf, other) {
        note("never", name, result);
    }
    if let Some(port) = connected {
        note("always", "connecting to the port", TcpStream::connect(("127.0.0.1", port)).map(drop));
    }
    if let Some(port) = listened {
        note("always", "listening on the port", TcpListener::bind(("127.0.0.1", port)).map(drop));
        let told = UnixDatagram::unbound().and_then(|socket| socket.send_to(b"READY=1", scratch.manager()));
        note("always", "telling the service manager", told.map(drop));
    }
    for (name, result) in work(&scratch, &mut kept, &deaf, &mouth) {
        note("always", name, result);
    }
    let text = format!("{BEGIN}{}\n{END}", report.join("\n"));
    io::stdout().write_all(text.as_bytes()).expect("standard output");
}

/// What a process that was taken over would try.
fn attempts(
    scratch: &Scratch,
    elsewhere: &File,
    deaf: &UnixDatagram,
    other: u16,
) -> Vec<(&'static str, io::Result<()>)> {
    let outside = scratch.outside();
    let socket = |family: libc::c_int, kind: libc::c_int, protocol: libc::c_int| {
        call(libc::SYS_socket, [family as usize, kind as usize, protocol as usize, 0, 0]).map(drop)
    };
    let plain = |number: libc::c_long, a: usize, b: usize, c: usize| call(number, [a, b, c, 0, 0]).map(drop);
    let map = |protection: libc::c_int| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        call(libc::SYS_mmap, [0, 4096, protection as usize, flags as usize, usize::MAX])
    };
    let page = map(libc::PROT_READ | libc::PROT_WRITE).expect("memory") as usize;
    let parent = std::os::unix::process::parent_id() as usize;
    let (octets, deaf_fd) = (b"octets".as_ptr() as usize, deaf.as_raw_fd() as usize);
    let on = 1_i32;
    let on_at = (&raw const on) as usize;
    let program = c"/bin/true".as_ptr() as usize;
    let no_words = [0_usize; 1];
    let none = no_words.as_ptr() as usize;
    vec![
        ("reading /etc/passwd", File::open("/etc/passwd").map(drop)),
        ("reading this program", File::open("/proc/self/exe").map(drop)),
        ("listing /", fs::read_dir("/").map(drop)),
        ("reading beside the output folder", File::open(outside.join("theirs")).map(drop)),
        ("writing beside the output folder", OpenOptions::new().append(true).open(outside.join("theirs")).map(drop)),
        ("cutting beside the output folder", File::create(outside.join("theirs")).map(drop)),
        ("a new file beside the output folder", File::create(outside.join("new")).map(drop)),
        ("a new file by way of an open folder", {
            let flags = libc::O_CREAT | libc::O_WRONLY;
            let name = c"new".as_ptr() as usize;
            call(libc::SYS_openat, [elsewhere.as_raw_fd() as usize, name, flags as usize, 0o600, 0]).map(drop)
        }),
        ("moving out of the output folder", fs::rename(scratch.within().join("kept"), outside.join("kept"))),
        ("removing beside the output folder", fs::remove_file(outside.join("theirs"))),
        ("writing the file that is given to read", OpenOptions::new().append(true).open(scratch.given()).map(drop)),
        ("a folder in the output folder", fs::create_dir(scratch.within().join("folder"))),
        ("a symbolic link", std::os::unix::fs::symlink("/etc/passwd", scratch.within().join("link"))),
        ("a hard link", fs::hard_link(scratch.given(), scratch.within().join("hard"))),
        ("another's mode", fs::set_permissions(scratch.given(), fs::Permissions::from_mode(0o600))),
        ("starting a program", Command::new("/bin/true").spawn().map(drop)),
        ("executing a program", plain(libc::SYS_execve, program, none, none)),
        ("executing by descriptor", call(libc::SYS_execveat, [0, program, none, none, 0]).map(drop)),
        ("a process", call(libc::SYS_clone, [libc::SIGCHLD as usize, 0, 0, 0, 0]).map(drop)),
        ("a namespace", plain(libc::SYS_unshare, libc::CLONE_NEWUSER as usize, 0, 0)),
        ("connecting to a listener", TcpStream::connect(("127.0.0.1", other)).map(drop)),
        ("listening on a port", TcpListener::bind(("127.0.0.1", 0)).map(drop)),
        ("a datagram", UdpSocket::bind(("127.0.0.1", 0)).map(drop)),
        ("a raw socket", socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP)),
        ("a raw socket of IPv6", socket(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_RAW)),
        ("a packet socket", socket(libc::AF_PACKET, libc::SOCK_RAW, 0x300)),
        ("a netlink socket", socket(libc::AF_NETLINK, libc::SOCK_RAW, 0)),
        ("multipath TCP", socket(libc::AF_INET, libc::SOCK_STREAM, 262)),
        ("a socket of the system", UnixStream::connect("/run/dbus/system_bus_socket").map(drop)),
        ("sending on what is received from", deaf.send(b"octets").map(drop)),
        ("writing to what is received from", plain(libc::SYS_write, deaf_fd, octets, 6)),
        ("copying what is received from", plain(libc::SYS_fcntl, deaf_fd, libc::F_DUPFD_CLOEXEC as usize, 3)),
        ("renumbering what is received from", plain(libc::SYS_dup3, deaf_fd, 200, 0)),
        ("an option of what is received from", {
            let (level, option) = (libc::SOL_SOCKET as usize, libc::SO_BROADCAST as usize);
            call(libc::SYS_setsockopt, [deaf_fd, level, option, on_at, 4]).map(drop)
        }),
        ("becoming root", plain(libc::SYS_setuid, 0, 0, 0)),
        ("becoming root's group", plain(libc::SYS_setgid, 0, 0, 0)),
        ("becoming root by all numbers", plain(libc::SYS_setresuid, 0, 0, 0)),
        ("being traced", plain(libc::SYS_ptrace, libc::PTRACE_TRACEME as usize, 0, 0)),
        ("tracing another", plain(libc::SYS_ptrace, libc::PTRACE_ATTACH as usize, parent, 0)),
        ("a signal to another", plain(libc::SYS_kill, parent, 0, 0)),
        ("another's signal to a thread", plain(libc::SYS_tgkill, parent, parent, 0)),
        ("core dumps", plain(libc::SYS_prctl, libc::PR_SET_DUMPABLE as usize, 1, 0)),
        ("memory to execute", map(libc::PROT_READ | libc::PROT_EXEC).map(drop)),
        ("making memory executable", plain(libc::SYS_mprotect, page, 4096, libc::PROT_EXEC as usize)),
        ("a file in memory", plain(libc::SYS_memfd_create, c"code".as_ptr() as usize, 0, 0)),
        ("io_uring", plain(libc::SYS_io_uring_setup, 8, none, 0)),
        ("typing into the terminal", plain(libc::SYS_ioctl, 0, libc::TIOCSTI as usize, octets)),
        ("a program for the kernel", plain(libc::SYS_bpf, 0, none, 8)),
        ("a larger limit", {
            let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            let at = (&raw const limit) as usize;
            call(libc::SYS_prlimit64, [0, libc::RLIMIT_CORE as usize, at, 0, 0]).map(drop)
        }),
    ]
}

/// What the program does all day.
fn work(
    scratch: &Scratch,
    kept: &mut File,
    deaf: &UnixDatagram,
    mouth: &UnixDatagram,
) -> Vec<(&'static str, io::Result<()>)> {
    let (now, before) = (scratch.within().join("kept"), scratch.within().join("kept.1"));
    let read = |path: &Path| {
        let mut text = String::new();
        File::open(path)?.read_to_string(&mut text).map(|_| text)
    };
    let same = |have: &str, wanted: &str| {
        if have == wanted { Ok(()) } else { Err(io::Error::other(format!("{have:?} is not {wanted:?}"))) }
    };
    vec![
        ("reading what is given", read(&scratch.given()).and_then(|text| same(&text, "given"))),
        ("appending", kept.write_all(b"one\n").and_then(|()| kept.sync_all())),
        ("renaming", fs::rename(&now, &before)),
        (
            "beginning anew",
            OpenOptions::new().create(true).append(true).open(&now).and_then(|mut f| f.write_all(b"two")),
        ),
        ("opening again", OpenOptions::new().append(true).open(&before).and_then(|mut f| f.write_all(b"more\n"))),
        ("reading it back", read(&before).and_then(|text| same(&text, "one\nmore\n"))),
        ("cutting", OpenOptions::new().write(true).truncate(true).open(&before).map(drop)),
        ("listing", fs::read_dir(scratch.within()).and_then(|found| same(&found.count().to_string(), "2"))),
        ("removing", fs::remove_file(&before)),
        ("receiving", mouth.send(b"words").and_then(|_| deaf.recv(&mut [0; 9])).map(drop)),
        ("threads with memory", {
            let worker =
                |at: usize| move || vec![at as u8; 32 << 20].iter().map(|&octet| usize::from(octet)).sum::<usize>();
            let named = |at| thread::Builder::new().name(format!("worker-{at}")).spawn(worker(at));
            let sums = (0..8)
                .map(named)
                .map(|worker| worker.and_then(|worker| worker.join().map_err(|_| io::Error::other("it fell"))));
            sums.sum::<io::Result<usize>>().and_then(|sum| same(&sum.to_string(), &(28_usize * (32 << 20)).to_string()))
        }),
        ("a thread within as well", {
            let within = thread::spawn(|| File::open("/etc/passwd").is_err()).join();
            same(&format!("{within:?}"), "Ok(true)")
        }),
        ("a panic that is caught", {
            let fault = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(1)));
            same(&fault.is_err().to_string(), "true")
        }),
        ("chance", same(&HashMap::from([(1, 2)]).len().to_string(), "1")),
        ("a pair to be woken by", UnixStream::pair().map(drop)),
        ("sleeping", {
            thread::sleep(Duration::from_millis(1));
            Ok(())
        }),
    ]
}

fn is_root() -> bool {
    call(libc::SYS_geteuid, [0; 5]).is_ok_and(|user| user == 0)
}

/// Starts the process within and gives its report.
fn enter(name: &str, environment: &[(&str, u16)]) -> Vec<String> {
    let scratch = Scratch::new(name);
    let manager = UnixDatagram::bind(scratch.manager()).expect("a socket");
    fs::set_permissions(scratch.manager(), fs::Permissions::from_mode(0o666)).expect("its mode");
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["inside", "--exact", "--nocapture", "--test-threads=1"]).env(INSIDE, &scratch.0).stdin(Stdio::null());
    command.envs(environment.iter().map(|(name, port)| (name, port.to_string())));
    let output = command.output().expect("it starts");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let report = text.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    let report = report.unwrap_or_else(|| panic!("no report: {}\n{text}", output.status)).0;
    if report.contains("service manager: done") {
        let mut words = [0; 16];
        assert_eq!(manager.recv(&mut words).expect("it was told"), 7);
    }
    report.lines().map(str::to_owned).collect()
}

/// Whether this machine cannot show it, which is said loudly, or fails where that isn't allowed.
fn skipped(report: &[String]) -> bool {
    if report.iter().any(|line| line == "missing None") {
        return false;
    }
    let missing = report.iter().find(|line| line.starts_with("missing ")).expect("it is told");
    let line = format!("SKIPPED sandbox: {missing}");
    assert!(std::env::var_os("BAREWIRE_REQUIRE_ALL").is_none(), "BAREWIRE_REQUIRE_ALL is set, but: {line}");
    // Not `eprintln!`: the harness would keep that to itself.
    writeln!(io::stderr(), "{line}").expect("standard error");
    true
}

/// Every attempt was refused and all work was done, as many of each as stand above.
fn judge(report: &[String], refused: usize, done: usize) {
    let of = |kind: &str, end: &str| -> Vec<&String> {
        report.iter().filter(|line| line.starts_with(kind) && line.contains(end)).collect()
    };
    assert_eq!(of("never", ": done"), Vec::<&String>::new());
    assert_eq!(of("always", ": refused"), Vec::<&String>::new());
    let counts = (of("never", ": refused").len(), of("always", ": done").len());
    assert_eq!(counts, (refused, done), "{report:#?}");
}

#[test]
fn what_a_taken_over_process_would_try_is_refused_and_the_work_goes_on() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("its number").port();
    let report = enter("plain", &[("OTHER", port)]);
    if skipped(&report) {
        return;
    }
    judge(&report, 49, 16);
    let user = if is_root() { "user nobody, " } else { "" };
    assert_eq!(report[0], format!("state {user}no capabilities, Landlock 6, seccomp"));
    assert!(!report.iter().any(|line| line.starts_with("hint")), "{report:#?}");
    // As on a kernel that never had it.
    let refused = |name: &str| report.iter().find(|line| line.contains(name)).expect("it was tried");
    assert!(refused("executing a program").contains("os error 38"), "{}", refused("executing a program"));
}

#[test]
fn only_the_ports_and_the_socket_that_were_named_are_reached() {
    let [allowed, other] = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("a port"));
    let port = |listener: &TcpListener| listener.local_addr().expect("its number").port();
    // Free again by the time that it is listened on.
    let free = port(&TcpListener::bind(("127.0.0.1", 0)).expect("a port"));
    let ports = [("LISTENED", free), ("CONNECTED", port(&allowed)), ("OTHER", port(&other))];
    let report = enter("ports", &ports);
    if skipped(&report) {
        return;
    }
    judge(&report, 49, 19);
    // Here the socket is there and Landlock refuses the port.
    let refused = report.iter().find(|line| line.contains("connecting to a listener")).expect("it was tried");
    assert!(refused.contains("os error 13"), "{refused}");
}

fn replay(arguments: &[&str], input: Option<&Path>) -> Output {
    let input = input.map_or_else(Stdio::null, |path| Stdio::from(File::open(path).expect("the capture")));
    Command::new(BAREWIRE).arg("replay").args(arguments).stdin(input).output().expect("barewire")
}

#[test]
fn a_replay_gives_the_same_octets_with_and_without() {
    let scratch = Scratch::new("replay");
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/office.pcap");
    let octets = fs::read(sample).expect("the sample");
    let key = scratch.0.join("key");
    fs::write(&key, [7; 32]).expect("a key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("its mode");
    let zst = scratch.0.join("office.zst");
    fs::write(&zst, zstd::encode_all(&octets[..], 3).expect("compressed")).expect("a file");
    let gz = scratch.0.join("office.gz");
    let mut packer = flate2::write::GzEncoder::new(File::create(&gz).expect("a file"), flate2::Compression::fast());
    packer.write_all(&octets).and_then(|()| packer.finish()).expect("compressed");
    let [key, zst, gz, out] = [key, zst, gz, scratch.within().join("out")].map(|path| path.display().to_string());

    for files in [vec![sample], vec![&gz], vec![&zst], vec![&zst, sample, &gz], vec!["-"]] {
        for workers in ["0", "3"] {
            let run = |more: &[&str]| {
                let all = ["-q", "--records", "findings,logins,sessions", "--fingerprint-key", &key, "-j", workers];
                let output =
                    replay(&[&all, more, &files[..]].concat(), files.contains(&"-").then_some(sample.as_ref()));
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert_eq!(output.status.code(), Some(0), "{files:?} {said}");
                (output.stdout, said)
            };
            let (within, _) = run(&[]);
            let (without, said) = run(&["--no-sandbox"]);
            assert!(within.len() > 10_000 && within == without, "{files:?} {workers}");
            assert_eq!(said.lines().count(), 1, "{said}");
            assert!(said.starts_with("barewire: warning: --no-sandbox: "), "{said}");
            // Made, then cut and written once more.
            for _ in 0..2 {
                assert!(run(&["-o", &out]).0.is_empty());
                assert!(fs::read(&out).expect("the output") == within, "{files:?} {workers}");
            }
            fs::remove_file(&out).expect("the output");
        }
    }
}

#[test]
fn what_cannot_be_read_is_told_as_before() {
    let scratch = Scratch::new("unreadable");
    let folder = scratch.outside().display().to_string();
    let missing = format!("{folder}/missing");
    let output = replay(&[&folder, &missing], None);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains(&format!("{folder}: is a directory; name the capture files in it")), "{said}");
    assert!(said.contains(&format!("{missing}: No such file or directory")), "{said}");
}
