//! What a service manager is told: ready, reading the configuration anew, alive, stopping (sd_notify(3), its protocol
//! alone: a datagram of `KEY=value` lines to the socket that the environment names).

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::time::Duration;

/// The line to the service manager, if one started this program.
#[derive(Default)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    /// How often it wants to hear that this program is alive.
    watchdog: Option<Duration>,
}

impl Notifier {
    /// From `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`. To be made before the sandbox: the socket is connected
    /// here. A manager that cannot be reached is none.
    #[must_use]
    pub fn from_environment() -> Self {
        let socket = Self::address().and_then(|address| {
            let socket = UnixDatagram::unbound().ok()?;
            // A manager that stands still must not hold up the watch.
            socket.set_nonblocking(true).ok()?;
            socket.connect_addr(&address).ok()?;
            Some(socket)
        });
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let is_meant = number("WATCHDOG_PID").is_none_or(|process| process == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| is_meant && *usec > 0).map(Duration::from_micros);
        Self { socket, watchdog }
    }

    /// Where the environment says that the manager listens; a name that begins with `@` is an abstract one.
    fn address() -> Option<SocketAddr> {
        let name = std::env::var_os("NOTIFY_SOCKET")?;
        match name.to_str()?.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name).ok(),
            None => SocketAddr::from_pathname(PathBuf::from(name)).ok(),
        }
    }

    /// Half of the time after which the manager would take this program for dead.
    #[must_use]
    pub fn interval(&self) -> Option<Duration> {
        self.watchdog.filter(|_| self.socket.is_some()).map(|interval| interval / 2)
    }

    /// Everything is open and running. `status`: one line for people.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}", status.replace('\n', " ")));
    }

    /// The configuration is being read anew; [`Self::ready`] follows. systemd wants to know since when.
    pub fn reloading(&self) {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: writes the one timespec it is given; this clock is always there.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// This program is alive and does its work.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// What people shall see of it now.
    pub fn status(&self, status: &str) {
        self.send(&format!("STATUS={}", status.replace('\n', " ")));
    }

    /// It was told to end.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    fn send(&self, lines: &str) {
        if let Some(socket) = &self.socket {
            // Nothing depends on its being heard.
            let _ = socket.send(lines.as_bytes());
        }
    }
}
