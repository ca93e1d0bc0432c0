//! Addresses that are listened on, as they are typed.

use super::Failure;
use std::net::{Ipv4Addr, SocketAddr};

/// The address that `option` gives; a port alone is one of 127.0.0.1.
pub(super) fn address(option: &str, text: &str, example: u16) -> Result<SocketAddr, Failure> {
    let port = text.parse().map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    port.or_else(|_| text.parse()).map_err(|_| {
        let text = text.escape_default();
        Failure::usage(format!(
            "{option} '{text}': write it as PORT, ADDRESS:PORT or [ADDRESS]:PORT, such as {example} or [::1]:{example}"
        ))
    })
}

/// Whether nobody but this machine can reach it.
pub(super) fn is_of_this_machine(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}
