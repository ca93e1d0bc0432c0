//! What keeps an interface from being listened to, each with its remedy.

use std::ffi::CStr;
use std::fmt;

/// Why an interface could not be opened, or stopped giving frames. Each text is one line with its remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveError {
    /// The shared library is not on this machine; the text says which package has it.
    Missing(String),
    /// The system lets only the privileged listen.
    Permission {
        /// The interface asked for.
        interface: String,
    },
    /// There is no interface of that name.
    NoSuchInterface {
        /// The interface asked for.
        interface: String,
        /// Those there are.
        available: Vec<String>,
    },
    /// The interface is switched off.
    Down {
        /// The interface asked for.
        interface: String,
    },
    /// libpcap does not understand the filter, or not for this link type.
    Filter {
        /// The filter as given.
        filter: String,
        /// What libpcap says.
        message: String,
    },
    /// The kernel does not share an interface's frames among several.
    Fanout {
        /// The interface asked for.
        interface: String,
        /// What the system says.
        message: String,
    },
    /// Anything else, in libpcap's words.
    Other {
        /// The interface asked for.
        interface: String,
        /// What libpcap says.
        message: String,
    },
}

impl fmt::Display for LiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(what) => f.write_str(what),
            Self::Permission { interface } => write!(
                f,
                "no permission to listen on {interface}: CAP_NET_RAW is needed; run as root, or once: \
                 sudo setcap cap_net_raw,cap_net_admin=eip $(command -v barewire)"
            ),
            Self::NoSuchInterface { interface, available } => {
                write!(f, "no interface {interface}; there are: {}", available.join(", "))
            }
            Self::Down { interface } => write!(f, "{interface} is down; switch it on: ip link set {interface} up"),
            Self::Filter { filter, message } => write!(f, "filter '{filter}': {message}"),
            Self::Fanout { interface, message } => {
                write!(f, "sharing the frames of {interface} among threads: {message}; leave out --fanout")
            }
            Self::Other { interface, message } => write!(f, "listening on {interface}: {message}"),
        }
    }
}

impl std::error::Error for LiveError {}

/// libpcap tells the cases apart by number, of which only the text arrives here; so the machine is asked.
pub(super) fn explain(interface: &str, error: pcap::Error) -> LiveError {
    let message = words(error);
    let interface = interface.to_owned();
    let has = |part: &str| message.to_lowercase().contains(part);
    if has("libpcap is not installed") {
        return LiveError::Missing(message);
    }
    if has("not permitted") || has("permission") || has("cap_net_raw") {
        return LiveError::Permission { interface };
    }
    let available = interfaces();
    if has("no such device") && !available.contains(&interface) {
        return LiveError::NoSuchInterface { interface, available };
    }
    if has("not up") || has("is down") || has("went down") {
        return LiveError::Down { interface };
    }
    LiveError::Other { interface, message }
}

/// libpcap's own words in one line.
pub(super) fn words(error: pcap::Error) -> String {
    let text = match error {
        pcap::Error::PcapError(text) => text,
        other => other.to_string(),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The interfaces of this network namespace, and `any`.
fn interfaces() -> Vec<String> {
    let mut names = vec!["any".to_owned()];
    // SAFETY: takes no arguments; the list is ours until it is given back below.
    let list = unsafe { libc::if_nameindex() };
    if list.is_null() {
        return names;
    }
    let mut entry = list;
    // SAFETY: the list ends with an entry whose name is null, and `entry` never passes that one; every
    // name before it is a C string that lives as long as the list.
    while let Some(name) = unsafe { (*entry).if_name.as_ref().map(|name| CStr::from_ptr(name)) } {
        names.push(name.to_string_lossy().into_owned());
        // SAFETY: this entry was not the last.
        entry = unsafe { entry.add(1) };
    }
    // SAFETY: `list` came from if_nameindex and is given back once; the names were copied.
    unsafe { libc::if_freenameindex(list) };
    names
}
