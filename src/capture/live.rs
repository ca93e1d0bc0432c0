//! Frames from a network interface, through libpcap's ring.
//!
//! Whole ring blocks are handed over by `dispatch`, each frame borrowed from its slot. Immediate mode is
//! never used: it drops to an older ring, at sixteen times the cost and with most frames lost at 300,000 a
//! second. It leaves out sending, remote capture, and any clock of its own: time is the frame's.

use std::ops::ControlFlow;
use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pcap::{Active, BreakLoop, Capture, Linktype, Packet, Precision};

pub use error::LiveError;
use error::{explain, words};

use crate::wire::{Frame, LinkType, PacketRef, Timestamp};

mod error;

/// How long the kernel may hold back a block that is not full: the delay of a frame on a quiet link.
const BLOCK_TIMEOUT_MS: i32 = 50;

/// The most frames between two pauses. Without it, a link that fills blocks faster than they are emptied
/// would never let a pause come.
const BATCH_FRAMES: usize = 8192;

/// How much time of the capture passes between two readings of the counters. libpcap opens four files for
/// one, which a busy link would do thousands of times in a second.
const STATS_INTERVAL_NS: u64 = 100_000_000;

/// What to listen to.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// An interface by its name, or `any` for all of them.
    pub interface: String,
    /// The most octets of a frame to capture; 262,144 is all of every frame.
    pub snaplen: i32,
    /// Octets of the ring that the kernel fills: what a burst may take while this process is not running.
    pub ring_octets: i32,
    /// A libpcap filter expression; empty lets everything through.
    pub filter: String,
    /// Ask the interface for frames to other stations too. Without meaning for `any`.
    pub promiscuous: bool,
}

/// Counters since the capture began, in frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Passed the filter; on Linux this includes `dropped`. On a loopback the kernel counts each frame as it
    /// leaves and as it comes, of which one is handed over.
    pub received: u64,
    /// Found the ring full.
    pub dropped: u64,
    /// Lost by the interface or its driver. Only counted for promiscuous captures on Linux.
    pub if_dropped: u64,
    /// The interface is switched on.
    pub is_up: bool,
}

/// An open interface.
pub struct Live {
    capture: Capture<Active>,
    waker: Waker,
    /// Calls of the waker that dispatch has answered by failing.
    excused: u64,
    interface: String,
    link_type: LinkType,
    frames: Frames,
    counters: Counters,
}

/// Those that share the frames of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group(u16);

/// Makes [`Live::run`] come back to its `on_pause` soon, from any thread. Not for signal handlers.
#[derive(Clone)]
pub struct Waker {
    handle: Arc<BreakLoop>,
    /// How often it was called. libpcap reports being woken as an error without a certain text; each call
    /// excuses one.
    calls: Arc<AtomicU64>,
}

impl Waker {
    /// Takes effect at once, also on a link without frames; does nothing once the capture is gone.
    pub fn wake(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.handle.breakloop();
    }
}

impl Live {
    /// Opens the interface; frames will carry `input` in their place.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub fn open(options: &LiveOptions, input: u32) -> Result<Self, LiveError> {
        let explain = |e| explain(&options.interface, e);
        // `any` has no promiscuous mode, and asking for it is a warning that would count as a failure.
        let promiscuous = options.promiscuous && options.interface != "any";
        let mut capture = Capture::from_device(options.interface.as_str())
            .map_err(explain)?
            .snaplen(options.snaplen)
            .buffer_size(options.ring_octets)
            .promisc(promiscuous)
            .timeout(BLOCK_TIMEOUT_MS)
            .precision(Precision::Nano)
            .open()
            .map_err(explain)?;
        if !options.filter.is_empty() {
            set_filter(&mut capture, &options.filter)?;
        }
        let link_type = link_type(capture.get_datalink());
        let waker = Waker { handle: Arc::new(capture.breakloop_handle()), calls: Arc::default() };
        Ok(Self {
            capture,
            waker,
            excused: 0,
            interface: options.interface.clone(),
            link_type,
            frames: Frames { input, link_type, number: 0, clock: 0 },
            counters: Counters::default(),
        })
    }

    /// Shares the frames of the interface with others that are open on it: each gets about as many, whole connections at
    /// a time, and fragments of IPv4 come as the datagram that they make (`PACKET_FANOUT_HASH`, packet(7)). The first
    /// makes the group, with `None`, and gives it to the others.
    ///
    /// # Errors
    /// The kernel has no such groups, or none with fragments put together.
    #[cfg(target_os = "linux")]
    pub fn share(&self, group: Option<Group>) -> Result<Group, LiveError> {
        let failed = || LiveError::Fanout {
            interface: self.interface.clone(),
            message: std::io::Error::last_os_error().to_string(),
        };
        let kind = libc::PACKET_FANOUT_HASH | libc::PACKET_FANOUT_FLAG_DEFRAG;
        let (id, kind) = match group {
            Some(Group(id)) => (id, kind),
            None => (0, kind | libc::PACKET_FANOUT_FLAG_UNIQUEID),
        };
        let mut value: libc::c_uint = kind << 16 | libc::c_uint::from(id);
        let mut len = size_of_val(&value) as libc::socklen_t;
        let descriptor = self.descriptor();
        // SAFETY: the option takes and gives one `int`, which `value` is and `len` says; the descriptor is the capture's.
        let given = unsafe {
            let set = libc::setsockopt(
                descriptor,
                libc::SOL_PACKET,
                libc::PACKET_FANOUT,
                (&raw const value).cast(),
                size_of_val(&value) as libc::socklen_t,
            );
            set == 0
                && libc::getsockopt(
                    descriptor,
                    libc::SOL_PACKET,
                    libc::PACKET_FANOUT,
                    (&raw mut value).cast(),
                    &raw mut len,
                ) == 0
        };
        if given { Ok(Group(value as u16)) } else { Err(failed()) }
    }

    /// What the first octet of every frame is.
    #[must_use]
    pub fn link_type(&self) -> LinkType {
        self.link_type
    }

    /// Its socket, to be told from others; what is read from it is missing here.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.capture.as_raw_fd()
    }

    /// For another thread, to stop [`Self::run`].
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Whether the interface is switched on. `any` always is.
    #[must_use]
    pub fn is_up(&self) -> bool {
        if self.interface == "any" {
            return true;
        }
        // SAFETY: ifreq is plain data; all zeroes is one of its values.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        // The last stays zero, which ends the name.
        let name = self.interface.bytes().take(libc::IFNAMSIZ - 1);
        request.ifr_name.iter_mut().zip(name).for_each(|(place, octet)| *place = libc::c_char::from_ne_bytes([octet]));
        // SAFETY: the descriptor is the capture's; the kernel reads the name and writes the flags, both in `request`.
        let done = unsafe { libc::ioctl(self.descriptor(), libc::SIOCGIFFLAGS as _, &raw mut request) };
        // SAFETY: the call that succeeded wrote the flags.
        done == 0 && i32::from(unsafe { request.ifr_ifru.ifru_flags }) & libc::IFF_UP != 0
    }

    /// Hands over frames until `on_pause` breaks; what it may give otherwise is a filter to go on with, which
    /// leaves the one there is in place when libpcap does not understand it. `on_pause` is called after the ring was emptied, after
    /// 8,192 frames, and when woken; on a link without frames it is called only when woken. The octets of a
    /// frame lie in the ring and must be copied if they are to outlive the call.
    ///
    /// # Errors
    /// When the interface goes away. One that is merely switched off is waited for: the kernel goes on with the same
    /// socket when it is back.
    pub fn run(
        &mut self,
        mut on_frame: impl FnMut(Frame<'_>),
        mut on_pause: impl FnMut(Stats) -> ControlFlow<(), Option<String>>,
    ) -> Result<(), LiveError> {
        loop {
            let frames = &mut self.frames;
            let before = frames.number;
            let result = self.capture.dispatch(Some(BATCH_FRAMES), |packet| on_frame(frames.next(&packet)));
            if let Err(e) = result {
                // A call before the failure; several may have become one wake, which excuses that many
                // failures more: a true one comes back at once.
                if self.excused == self.waker.calls.load(Ordering::SeqCst) {
                    let why = explain(&self.interface, e);
                    if !matches!(why, LiveError::Down { .. }) {
                        return Err(why);
                    }
                } else {
                    self.excused += 1;
                }
            }
            let quiet = self.frames.number == before;
            let stats = self.counters.read(&mut self.capture, self.frames.clock, quiet);
            let stats = Stats { is_up: !quiet || self.is_up(), ..stats };
            match on_pause(stats) {
                ControlFlow::Break(()) => return Ok(()),
                ControlFlow::Continue(None) => {}
                // It was tried before it was given.
                ControlFlow::Continue(Some(filter)) => drop(set_filter(&mut self.capture, &filter)),
            }
        }
    }
}

/// Tries a filter for Ethernet.
///
/// # Errors
/// What libpcap does not understand.
pub fn try_filter(filter: &str) -> Result<(), LiveError> {
    let failed = |error| LiveError::Filter { filter: filter.to_owned(), message: words(error) };
    let dead = Capture::dead(Linktype::ETHERNET).map_err(failed)?;
    dead.compile(filter, true).map(|_| ()).map_err(failed)
}

fn set_filter(capture: &mut Capture<Active>, filter: &str) -> Result<(), LiveError> {
    let failed = |error| LiveError::Filter { filter: filter.to_owned(), message: words(error) };
    capture.filter(filter, true).map_err(failed)
}

/// Numbers frames and keeps their clock.
struct Frames {
    input: u32,
    link_type: LinkType,
    number: u64,
    clock: u64,
}

impl Frames {
    #[inline]
    fn next<'a>(&mut self, packet: &Packet<'a>) -> Frame<'a> {
        let time = time(packet.header.ts);
        self.number += 1;
        self.clock = self.clock.max(time);
        Frame {
            at: PacketRef { time: Timestamp(time), input: self.input, number: self.number },
            clock: Timestamp(self.clock),
            link_type: self.link_type,
            octets: packet.data,
            original_len: packet.header.len,
            datagram: None,
        }
    }
}

/// With nanosecond precision the field for microseconds holds nanoseconds. A clock before 1970 stands at 0.
#[inline]
fn time(stamp: libc::timeval) -> u64 {
    let seconds = u64::try_from(stamp.tv_sec).unwrap_or(0);
    let ns = u64::try_from(stamp.tv_usec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(ns)
}

/// What libpcap counts in 32 bits, counted on in 64.
#[derive(Default)]
struct Counters {
    stats: Stats,
    last: [u32; 3],
    /// The capture's time at the last reading, in nanoseconds.
    read_at: u64,
}

impl Counters {
    /// The counters as they are, or as they were if that was a moment ago and nothing is urgent.
    fn read(&mut self, capture: &mut Capture<Active>, clock: u64, urgent: bool) -> Stats {
        if urgent || clock.saturating_sub(self.read_at) >= STATS_INTERVAL_NS {
            self.read_at = clock;
            if let Ok(now) = capture.stats() {
                self.advance([now.received, now.dropped, now.if_dropped]);
            }
        }
        self.stats
    }

    fn advance(&mut self, now: [u32; 3]) {
        let Stats { received, dropped, if_dropped, .. } = &mut self.stats;
        for ((total, last), now) in [received, dropped, if_dropped].into_iter().zip(&mut self.last).zip(now) {
            let step = now.wrapping_sub(*last);
            // A step back is a driver that began anew, not four thousand million frames.
            *total += if step < 1 << 31 { u64::from(step) } else { 0 };
            *last = now;
        }
    }
}

/// libpcap's numbers differ from the file formats' for raw IP and the loopback of OpenBSD.
fn link_type(datalink: Linktype) -> LinkType {
    match datalink.0 {
        12 | 14 => LinkType(101),
        // An unknown number beyond 16 bits decodes as an unknown link type, not as another one.
        other => LinkType(u16::try_from(other).unwrap_or(u16::MAX)),
    }
}

#[cfg(test)]
mod tests;
