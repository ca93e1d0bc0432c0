//! Writes a capture to try and to measure with: `cargo run --release --example traffic -- mix|mail|logins FILE.pcap SIZE`.
//!
//! The same octets on every machine, in little memory whatever the size. FILE.truth.tsv beside the capture names each
//! login that is in it; a user with DECOY in its name is in a message, or in a connection that is no mail, and no login.
//! Users, passwords and addresses are made up.

#[path = "../../benches/traffic/mod.rs"]
mod bench;
mod generate;
mod others;
mod sessions;
#[cfg(test)]
mod tests;

use generate::{Kind, write};
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: traffic mix|mail|logins FILE.pcap SIZE, where SIZE is like 1GB, 200MB or 500000";

#[allow(clippy::print_stderr, reason = "this is a program that speaks to people")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((kind, path, size)) = parsed(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match write_files(kind, &path, size) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("traffic: {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

fn parsed(arguments: &[String]) -> Option<(Kind, PathBuf, u64)> {
    let [kind, path, size] = arguments else { return None };
    Some((Kind::named(kind)?, PathBuf::from(path), octets(size)?))
}

/// `200MB` in octets; the units are decimal.
fn octets(size: &str) -> Option<u64> {
    let units = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000), ("", 1)];
    let (number, unit) = units.iter().find_map(|(name, unit)| Some((size.strip_suffix(name)?, unit)))?;
    number.parse::<u64>().ok()?.checked_mul(*unit)
}

fn write_files(kind: Kind, path: &Path, size: u64) -> io::Result<()> {
    let mut capture = BufWriter::with_capacity(1 << 18, File::create(path)?);
    let mut truth = BufWriter::new(File::create(path.with_extension("truth.tsv"))?);
    write(kind, size, &mut capture, &mut truth)?;
    capture.flush()?;
    truth.flush()
}
