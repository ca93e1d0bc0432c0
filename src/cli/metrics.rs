//! Where a live run's metrics are read over HTTP: the option and what it means.

use super::{Failure, listen};
use clap::Args;
use std::net::SocketAddr;

/// A port for metrics.
#[derive(Args)]
pub(super) struct MetricsListen {
    /// Answer GET /metrics in Prometheus' text format and GET /-/healthy there. A port alone is one of 127.0.0.1.
    #[arg(long, value_name = "ADDR:PORT", env = "BAREWIRE_METRICS_LISTEN", hide_env = true, help_heading = "Output")]
    metrics_listen: Option<String>,

    /// Let --metrics-listen take an address that others can reach; the page has no password and no TLS.
    #[arg(long, env = "BAREWIRE_METRICS_PUBLIC", hide_env = true, help_heading = "Output")]
    metrics_public: bool,
}

impl MetricsListen {
    /// The address, where one was given.
    pub(super) fn address(&self) -> Result<Option<SocketAddr>, Failure> {
        self.metrics_listen.as_deref().map(|text| parse(text, self.metrics_public)).transpose()
    }
}

fn parse(text: &str, is_public: bool) -> Result<SocketAddr, Failure> {
    let address = listen::address("--metrics-listen", text, 9469)?;
    if listen::is_of_this_machine(address) || is_public {
        return Ok(address);
    }
    Err(Failure::usage(format!(
        "--metrics-listen {address}: others can reach this address, and the page has no password; use 127.0.0.1:{}, or \
         add --metrics-public",
        address.port()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_for_this_machine_and_others_are_asked_for() {
        let text = |text, is_public| parse(text, is_public).map(|address| address.to_string()).map_err(|f| f.message);
        assert_eq!(text("9469", false).as_deref(), Ok("127.0.0.1:9469"));
        for here in ["127.0.0.1:9469", "127.1.2.3:1", "[::1]:9469", "[::ffff:127.0.0.1]:9469"] {
            assert_eq!(text(here, false).as_deref(), Ok(here));
        }
        for elsewhere in ["0.0.0.0:9469", "[::]:9469", "192.0.2.1:9469", "[2001:db8::1]:9469"] {
            let refusal = text(elsewhere, false).expect_err("refused");
            assert!(refusal.contains("--metrics-public") && refusal.lines().count() == 1, "{refusal}");
            assert_eq!(text(elsewhere, true).as_deref(), Ok(elsewhere));
        }
        for wrong in ["", "x", "70000", "127.0.0.1", "127.0.0.1:", "::1", "localhost:9469", "1\n2"] {
            let refusal = text(wrong, true).expect_err("refused");
            assert!(refusal.contains("such as 9469") && refusal.lines().count() == 1, "{refusal}");
        }
    }
}
