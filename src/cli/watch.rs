//! `barewire watch`: a live interface.

use super::metrics::MetricsListen;
use super::options::{Common, parse_sensor};
use super::ui::UiListen;
use super::{Cli, Failure, config, refusal};
use crate::capture::live::LiveOptions;
use crate::engine::Ports;
use crate::ops::{console, one_line};
use crate::run::{self, Rotation};
use crate::sink::host_name;
use crate::sink::spool::WhenFull;
use clap::{Arg, ArgMatches, Args, CommandFactory as _, FromArgMatches as _};
use std::collections::BTreeMap;
use std::ffi::OsString;
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

    /// Plain lines on a terminal as well, in place of how things stand.
    #[arg(long, help_heading = "Output")]
    plain: bool,

    /// Seconds after which a finding that occurred again is told again, with its count. 0: only at the end.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, help_heading = "Output")]
    roll_up: u32,

    /// Seconds without a packet after which an interface is told to be silent. 0: never.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, help_heading = "Output")]
    silent_after: u32,

    /// Per cent of an interface's packets that may be dropped within a minute before it is told.
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, help_heading = "Output")]
    drop_alarm: f64,

    /// Put the output file away before it grows beyond so many MiB, and begin a new one. The old one's name is then
    /// FILE.20261129T014500.123456Z, the time in UTC.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    #[arg(help_heading = "Output")]
    rotate_size: Option<u32>,

    /// Put the output file away when a day begins, in UTC as the times of records are.
    #[arg(long, help_heading = "Output")]
    rotate_daily: bool,

    /// Compress files that were put away with zstd, in the background.
    #[arg(long, help_heading = "Output")]
    rotate_compress: bool,

    /// Keep the latest N files that were put away and remove older ones; without it all are kept.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    #[arg(help_heading = "Output")]
    rotate_keep: Option<u32>,

    /// Do not ask the interface for frames to other stations.
    #[arg(long)]
    no_promiscuous: bool,

    /// Whom root becomes once interfaces and outputs are open, by name or number. By default nobody.
    #[arg(long, value_name = "NAME|UID", help_heading = "Privileges")]
    #[arg(env = "BAREWIRE_USER", hide_env = true)]
    user: Option<String>,

    #[command(flatten)]
    metrics: MetricsListen,

    #[command(flatten)]
    ui: UiListen,

    #[command(flatten)]
    common: Common,
}

/// All of every frame.
const SNAPLEN: i32 = 262_144;

impl Watch {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let common = &self.common;
        console::set_level(common.telling.level());
        let rotation = self.rotation()?;
        if self.user.is_some() && common.telling.no_sandbox {
            return Err(Failure::usage("--no-sandbox keeps the user; leave out --user"));
        }
        let settings = common.settings()?;
        let options = |interface: &String| LiveOptions {
            interface: interface.clone(),
            snaplen: SNAPLEN,
            ring_octets: i32::from(self.ring_size) * 1024 * 1024,
            filter: self.filter(interface, &settings.ports),
            promiscuous: !self.no_promiscuous,
        };
        let arguments: Vec<OsString> = std::env::args_os().collect();
        let before = values(&arguments)?;
        run::watch(run::WatchJob {
            live: self.interface.iter().map(options).collect(),
            fanout: self.fanout.into(),
            metrics: run::MetricsOptions { listen: self.metrics.address()?, file: common.telling.metrics_file.clone() },
            ui: self.ui.options()?,
            statistics: Duration::from_secs(self.stats.into()),
            roll_up: Duration::from_secs(self.roll_up.into()),
            alarms: run::Alarms {
                silent_after: Duration::from_secs(self.silent_after.into()),
                drop_percent: self.drop_alarm,
            },
            watches: match self.bpf.as_deref() {
                None => "mail ports and fragments".to_owned(),
                Some("") => "every packet".to_owned(),
                Some(filter) => format!("what passes '{}'", one_line(filter)),
            },
            has_key: common.has_key(),
            reads: common.reads(),
            reload: Box::new(move || reload(&arguments, &before)),
            settings,
            kinds: common.telling.kinds(),
            judging: common.telling.judging(),
            workers: common.workers().max(1),
            output: common.telling.output.clone(),
            receivers: common.receivers(WhenFull::DropOldest)?,
            sensor: common.telling.sensor.clone().or_else(own_name),
            form: common.telling.form()?,
            rotation,
            is_sandboxed: !common.telling.no_sandbox,
            is_glanced_at: !self.plain
                && console::is_terminal()
                && (common.telling.output.is_some() || !console::output_is_terminal()),
            user: self.user.clone(),
        })
    }

    fn filter(&self, interface: &str, ports: &Ports) -> String {
        // Cooked captures have no place for VLAN tags that a filter could name.
        self.bpf.clone().unwrap_or_else(|| default_filter(ports, interface == "any"))
    }

    fn rotation(&self) -> Result<Rotation, Failure> {
        let rotation = Rotation {
            size: self.rotate_size.map(|mib| u64::from(mib) * 1024 * 1024),
            is_daily: self.rotate_daily,
            is_compressed: self.rotate_compress,
            keep: self.rotate_keep.map(|files| files as usize),
        };
        if self.common.telling.output.is_none() && rotation != Rotation::default() {
            return Err(Failure::usage("an output that is put away is a file: name one with --output"));
        }
        let is_moot = !rotation.is_wanted() && (rotation.is_compressed || rotation.keep.is_some());
        if is_moot {
            let option = if rotation.is_compressed { "--rotate-compress" } else { "--rotate-keep" };
            return Err(Failure::usage(format!("{option} needs --rotate-size or --rotate-daily as well")));
        }
        Ok(rotation)
    }
}

/// The name of the host, as far as it is one for records.
fn own_name() -> Option<String> {
    parse_sensor(&host_name()).ok()
}

/// Options that are heeded while the program runs.
const RELOADED: [&str; 12] = [
    "baseline",
    "bpf",
    "judge-loopback",
    "mail-ports-only",
    "ports",
    "privileged-users",
    "quiet",
    "stats",
    "tls-ports",
    "trusted-segments",
    "verbose",
    "weak-secrets",
];

/// Every option with its values as they were typed, or stand in the environment or the file.
type Values = BTreeMap<String, Vec<OsString>>;

fn matched(arguments: &[OsString]) -> Result<ArgMatches, Failure> {
    let matches = super::parse(arguments)?.map_err(|error| Failure::usage(refusal(&error)))?;
    let own = matches.subcommand_matches("watch").cloned();
    own.ok_or_else(|| Failure::usage("the arguments are no longer those of watch"))
}

fn values(arguments: &[OsString]) -> Result<Values, Failure> {
    let matches = matched(arguments)?;
    let parser = Cli::command();
    let of = |arg: &Arg| {
        let values = matches.try_get_raw(arg.get_id().as_str()).ok().flatten();
        let values = values.map(|values| values.map(ToOwned::to_owned).collect()).unwrap_or_default();
        (arg.get_long().unwrap_or_default().to_owned(), values)
    };
    let mut values: Values = config::options(&parser, "watch").map(of).collect();
    let watch = Watch::from_arg_matches(&matches).map_err(|error| Failure::usage(refusal(&error)))?;
    let sinks = watch.common.sinks()?.iter().map(|sink| sink.as_typed().into()).collect();
    values.insert("sinks".to_owned(), sinks);
    Ok(values)
}

/// Reads the configuration anew, and all that it names.
fn reload(arguments: &[OsString], before: &Values) -> Result<run::Reloaded, Failure> {
    let watch = Watch::from_arg_matches(&matched(arguments)?).map_err(|error| Failure::usage(refusal(&error)))?;
    let ports = watch.common.reading.ports();
    let now = values(arguments)?;
    let changed = now.iter().filter(|(name, values)| before.get(*name) != Some(values));
    let unheeded = changed.map(|(name, _)| name.clone()).filter(|name| !RELOADED.contains(&name.as_str())).collect();
    let filters = watch.interface.iter().map(|interface| (interface.clone(), watch.filter(interface, &ports)));
    Ok(run::Reloaded {
        filters: filters.collect(),
        statistics: Duration::from_secs(watch.stats.into()),
        policy: watch.common.policy()?,
        level: watch.common.telling.level(),
        ports,
        unheeded,
    })
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
