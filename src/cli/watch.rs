//! `barewire watch`: a live interface.

use super::Failure;
use super::options::Common;
use crate::capture::live::LiveOptions;
use crate::engine::Ports;
use crate::run;
use clap::Args;
use std::time::Duration;

/// Listen on interfaces until SIGINT or SIGTERM.
///
/// Needs CAP_NET_RAW (or root) and the libpcap library. Nothing is ever sent.
#[derive(Args)]
pub(super) struct Watch {
    /// Interface to listen on; any for all. Several, as the two directions of a tap come, are one capture.
    #[arg(short, long, value_name = "IFACE,...", value_delimiter = ',', required = true)]
    #[arg(env = "BAREWIRE_INTERFACE", hide_env = true)]
    interface: Vec<String>,

    /// Capture filter in libpcap's language, in place of the mail ports, fragments and VLANs. An empty one lets all
    /// through.
    #[arg(long, value_name = "EXPR")]
    bpf: Option<String>,

    /// Kernel ring buffer in MiB: what a burst may take.
    #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=2047))]
    ring_size: u16,

    /// Capture threads for each interface, for links that one does not keep up with; the kernel gives each of them whole
    /// connections.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    fanout: u16,

    /// Seconds between two looks at the statistics on standard error: packets, drops, losses, how long after its packet
    /// a record was written. 0: only at the end.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, help_heading = "Output")]
    stats: u32,

    /// Do not ask the interface for frames to other stations.
    #[arg(long)]
    no_promiscuous: bool,

    #[command(flatten)]
    common: Common,
}

/// All of every frame.
const SNAPLEN: i32 = 262_144;

impl Watch {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let common = &self.common;
        let settings = common.settings()?;
        let options = |interface: &String| {
            // Cooked captures have no place for VLAN tags that a filter could name.
            let is_cooked = interface == "any";
            LiveOptions {
                interface: interface.clone(),
                snaplen: SNAPLEN,
                ring_octets: i32::from(self.ring_size) * 1024 * 1024,
                filter: self.bpf.clone().unwrap_or_else(|| default_filter(&settings.ports, is_cooked)),
                promiscuous: !self.no_promiscuous,
            }
        };
        run::watch(run::WatchJob {
            live: self.interface.iter().map(options).collect(),
            fanout: self.fanout.into(),
            statistics: Duration::from_secs(self.stats.into()),
            settings,
            kinds: common.kinds(),
            judging: common.judging(),
            workers: common.workers().max(1),
            output: common.output.clone(),
            is_quiet: common.quiet,
        })
    }
}

/// The mail ports, and fragments, which carry no ports; each also behind one and two VLAN tags, for every `vlan`
/// moves the offsets of all that stands after it.
fn default_filter(ports: &Ports, is_cooked: bool) -> String {
    let mut list: Vec<u16> = ports.all().collect();
    list.sort_unstable();
    list.dedup();
    let ports = list.iter().map(|port| format!("tcp port {port}")).collect::<Vec<_>>().join(" or ");
    let base = format!("{ports} or (ip and ip[6:2] & 0x1fff != 0) or (ip6 and ip6[6] = 44)");
    if is_cooked {
        return base;
    }
    format!("({base}) or (vlan and ({base})) or (vlan and ({base}))")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_names_every_mail_port_once_a_level() {
        let filter = default_filter(&Ports::default(), false);
        for port in [25, 110, 143, 465, 587, 993, 995, 2525] {
            assert_eq!(filter.matches(&format!("tcp port {port} ")).count(), 3, "{port} in {filter}");
        }
    }
}
