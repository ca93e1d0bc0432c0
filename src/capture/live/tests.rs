//! Live capture on a loopback of its own: what comes, how it is stopped, and what is said when it fails.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that fails or is left out says so")]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use super::*;

fn options(interface: &str, filter: &str) -> LiveOptions {
    LiveOptions {
        interface: interface.into(),
        snaplen: 262_144,
        ring_octets: 4 << 20,
        filter: filter.into(),
        promiscuous: true,
    }
}

/// Runs `test` on a thread with a network of its own, in which there is a loopback only and that is
/// down. Says loudly when this machine doesn't allow it.
fn in_own_network(name: &str, test: fn()) {
    let run = thread::spawn(move || {
        // SAFETY: only this thread leaves its network namespace.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            return Some("no privilege for a network namespace".to_owned());
        }
        if let Err(LiveError::Missing(what)) = Live::open(&options("lo", ""), 0) {
            return Some(what);
        }
        test();
        None
    });
    if let Some(why) = run.join().unwrap() {
        eprintln!("SKIPPED: {name}: {why}");
    }
}

fn switch_on_loopback() {
    // SAFETY: a request of zeros is a valid one without a name.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // SAFETY: three octets go into an array of sixteen.
    unsafe { request.ifr_name.as_mut_ptr().copy_from_nonoverlapping(c"lo".as_ptr(), 3) };
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
    // SAFETY: the descriptor is open and the request outlives the call.
    let result = unsafe { libc::ioctl(fd, libc::SIOCSIFFLAGS, &raw const request) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

/// A greeting over TCP, a datagram, and a datagram that the filter keeps out.
fn talk() {
    let listener = TcpListener::bind("127.0.0.1:2525").unwrap();
    let mut client = TcpStream::connect("127.0.0.1:2525").unwrap();
    listener.accept().unwrap().0.write_all(b"220 hello\r\n").unwrap();
    client.read_to_end(&mut Vec::new()).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"kept out", "127.0.0.1:9").unwrap();
    socket.send_to(b"let in", "127.0.0.1:2525").unwrap();
}

/// Listens until `last` was seen, or ten seconds.
fn listen(live: &mut Live, last: &[u8]) -> (Vec<(u64, u64, Vec<u8>)>, Stats) {
    let mut frames = Vec::new();
    let (mut stats, mut pauses) = (Stats::default(), 0);
    let (waker, done) = (live.waker(), std::cell::Cell::new(false));
    thread::spawn(move || {
        for _ in 0..100 {
            thread::sleep(Duration::from_millis(100));
            waker.wake();
        }
    });
    live.run(
        |frame| {
            assert!(frame.clock >= frame.at.time && frame.original_len as usize == frame.octets.len());
            done.set(done.get() || frame.octets.ends_with(last));
            frames.push((frame.at.number, frame.at.time.0, frame.octets.to_vec()));
        },
        |now| {
            (stats, pauses) = (now, pauses + 1);
            if done.get() || pauses > 99 { ControlFlow::Break(()) } else { ControlFlow::Continue(None) }
        },
    )
    .unwrap();
    (frames, stats)
}

#[test]
fn frames_of_the_loopback_come_filtered_numbered_and_counted() {
    in_own_network("live capture", || {
        switch_on_loopback();
        let mut live = Live::open(&options("lo", "port 2525"), 3).unwrap();
        assert_eq!(live.link_type(), LinkType(1));
        talk();
        let (frames, stats) = listen(&mut live, b"let in");
        assert!(frames.iter().any(|f| f.2.ends_with(b"220 hello\r\n")));
        assert!(!frames.iter().any(|f| f.2.ends_with(b"kept out")));
        assert!(frames.iter().zip(1..).all(|(frame, number)| frame.0 == number));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert!(frames.iter().all(|f| (now.as_nanos() as u64).abs_diff(f.1) < 60_000_000_000));
        assert!(frames.iter().any(|f| f.1 % 1000 != 0), "nanoseconds");
        let received = 2 * frames.len() as u64;
        assert_eq!(stats, Stats { received, is_up: true, ..Stats::default() }, "the kernel sees each leave and come");
    });
}

#[test]
fn any_is_cooked() {
    in_own_network("live capture on any", || {
        switch_on_loopback();
        let mut live = Live::open(&options("any", ""), 0).unwrap();
        assert!([113, 276].contains(&live.link_type().0), "{:?}", live.link_type());
        talk();
        assert!(!listen(&mut live, b"let in").0.is_empty());
    });
}

#[test]
fn a_quiet_link_is_left_at_once_when_woken() {
    in_own_network("waking a live capture", || {
        switch_on_loopback();
        let mut live = Live::open(&options("lo", ""), 0).unwrap();
        let waker = live.waker();
        let other = thread::spawn(move || {
            thread::sleep(Duration::from_millis(200));
            waker.wake();
            waker
        });
        let begin = Instant::now();
        live.run(|_| panic!("nobody talks here"), |_| ControlFlow::Break(())).unwrap();
        assert!(begin.elapsed() >= Duration::from_millis(100) && begin.elapsed() < Duration::from_secs(5));
        drop(live);
        other.join().unwrap().wake();
    });
}

#[test]
fn a_panic_of_the_receiver_comes_through() {
    in_own_network("panic while capturing", || {
        switch_on_loopback();
        let mut live = Live::open(&options("lo", ""), 0).unwrap();
        talk();
        let run = std::panic::AssertUnwindSafe(|| live.run(|_| panic!("expected"), |_| ControlFlow::Continue(None)));
        assert!(std::panic::catch_unwind(run).is_err());
    });
}

#[test]
fn every_failure_names_its_remedy() {
    in_own_network("failures of live captures", || {
        let failure = |interface, filter| Live::open(&options(interface, filter), 0).err().unwrap().to_string();
        assert_eq!(failure("lo", ""), "lo is down; switch it on: ip link set lo up");
        assert_eq!(failure("nope0", ""), "no interface nope0; there are: any, lo");
        switch_on_loopback();
        let filter = failure("lo", "prot 25");
        assert!(filter.starts_with("filter 'prot 25': ") && !filter.contains('\n'), "{filter}");
        // SAFETY: the bare system call changes the user of this thread alone.
        unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) };
        let permission = failure("lo", "");
        assert!(permission.contains("CAP_NET_RAW") && permission.contains("setcap"), "{permission}");
    });
}

#[test]
fn counters_go_on_beyond_32_bits_and_never_jump() {
    let mut counters = Counters::default();
    for now in [[1 << 30, 0, 9], [(3 << 30) - 1, 1, 2], [4, 1, 3]] {
        counters.advance(now);
    }
    assert_eq!(counters.stats, Stats { received: (1 << 32) + 4, dropped: 1, if_dropped: 10, is_up: false });
}
