//! What was typed: commands, options, their meaning. One file per command.
//!
//! `main` here is the program: it parses, runs and turns the result into an exit status. Usage errors are status 2,
//! one line each.

mod archive;
mod baseline;
mod check;
mod config;
mod correlate;
mod explain;
mod fingerprint;
mod generate;
mod listen;
#[cfg(feature = "live")]
mod metrics;
mod options;
mod outputs;
mod replay;
mod report;
mod schema;
mod sinks;
mod ui;
#[cfg(feature = "live")]
mod watch;

use crate::ops::{console, process};
use crate::run::Failure;
use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use config::Config;
use std::ffi::OsString;
use std::process::ExitCode;

/// Audit cleartext mail credentials and STARTTLS, passively.
///
/// Reads saved captures or a span port, follows the mail protocols in both directions on any port, and reports every
/// password that crossed the wire unprotected and every missing, unused or refused STARTTLS. It never sends a packet
/// and never writes a secret.
#[derive(Parser)]
#[command(name = "barewire", version, propagate_version = true, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "Exit status:\n  \
    0  done, nothing at or above --fail-on\n  \
    1  findings at or above --fail-on\n  \
    2  wrong usage or configuration\n  \
    3  an input could not be read, or held no mail (see --allow-empty)\n  \
    4  the analysis is incomplete: gaps, cut files or drops above --max-loss\n  \
    5  the output could not be written")]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    /// Colours in what people read: on terminals where NO_COLOR is not set, always, or never.
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto", global = true, hide_possible_values = true)]
    color: Color,

    /// Write a shell completion script, the manual page or a configuration file with every key to standard output.
    #[arg(long, value_name = "bash|zsh|fish|man|config", exclusive = true)]
    generate: Option<generate::What>,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Subcommand)]
enum Command {
    /// Judge saved captures: findings on standard output, a summary on standard error.
    Replay(Box<replay::Replay>),
    /// Listen on an interface until interrupted.
    #[cfg(feature = "live")]
    Watch(Box<watch::Watch>),
    /// Make a page of what to change, in which order, from records.
    Report(report::ReportOf),
    /// Show records as a page in a browser, with filters.
    Ui(ui::Ui),
    /// Find what no single sensor can know, in the records of several.
    Correlate(correlate::CorrelateOf),
    /// Say what a finding means, what it needs as proof and how to mend it.
    Explain(explain::Explain),
    /// Print the fingerprint of a secret, to search the records for it.
    Fingerprint(fingerprint::FingerprintOf),
    /// Accept findings for a while, with a reason.
    Baseline(baseline::BaselineOf),
    /// Replay an archive in steps that any scheduler can run.
    Archive(archive::Archive),
    /// Print the JSON Schema of the records, or what is made from it.
    Schema(schema::SchemaOf),
    /// Check a configuration file and print what will be in force.
    CheckConfig(check::CheckConfig),
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    process::keep_to_itself();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let result = resolve(&arguments).and_then(|cli| {
        match cli.color {
            Color::Auto => {}
            Color::Always => console::set_coloured(true),
            Color::Never => console::set_coloured(false),
        }
        match (cli.generate, cli.command) {
            (Some(what), _) => generate::run(what),
            (None, Some(command)) => run(command),
            (None, None) => Err(Failure::usage("no command given; see 'barewire --help'")),
        }
    });
    match result {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            console::error(&failure.message);
            ExitCode::from(failure.status)
        }
    }
}

/// Parses the arguments, with the configuration file that they name; what the parser itself answers (help, version, wrong
/// usage) ends the program here.
fn resolve(arguments: &[OsString]) -> Result<Cli, Failure> {
    let matches = parse(arguments)?;
    let is_harmless = |error: &clap::Error| {
        matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::MissingRequiredArgument)
    };
    if matches.as_ref().is_err_and(|error| !is_harmless(error))
        && arguments.get(1).is_some_and(|command| command == "fingerprint")
    {
        // The parser would tell the word, and it may be the secret.
        let what = "fingerprint takes no more than --key and --bearer; it reads the secret from standard input, for others \
                    can see what is typed";
        return Err(Failure::usage(what));
    }
    let matches = matches.unwrap_or_else(|error| error.exit());
    Cli::from_arg_matches(&matches).map_err(|error| Failure::usage(refusal(&error)))
}

fn parse(arguments: &[OsString]) -> Result<Result<ArgMatches, clap::Error>, Failure> {
    let fresh = config::with_environment(Cli::command());
    let mut parser = fresh.clone();
    // So that options of the commands know their own names.
    parser.build();
    let config = config::path(&parser, arguments).map(|path| Config::read(&path, &parser)).transpose()?;
    let parser = match config {
        Some(config) => config.apply(fresh),
        None => fresh,
    };
    Ok(parser.try_get_matches_from(arguments))
}

/// What the parser says is wrong, in one line.
fn refusal(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    first.strip_prefix("error: ").unwrap_or(first).to_owned()
}

/// What is wrong with the text of a configuration file: one line, or nothing.
#[must_use]
pub fn fault_of_config(text: &str) -> Option<String> {
    let mut parser = Cli::command();
    parser.build();
    let config = Config::parse(text, std::path::Path::new("text"), &parser);
    // Applying it never fails; whether it can be is tried as well.
    config.map(|config| drop(config.apply(Cli::command()))).err().map(|failure| failure.message)
}

fn run(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Replay(replay) => replay.run(),
        #[cfg(feature = "live")]
        Command::Watch(watch) => watch.run(),
        Command::Report(report) => report.run(),
        Command::Ui(ui) => ui.run(),
        Command::Correlate(correlate) => correlate.run(),
        Command::Explain(explain) => explain.run(),
        Command::Fingerprint(fingerprint) => fingerprint.run(),
        Command::Baseline(baseline) => baseline.run(),
        Command::Archive(archive) => archive.run(),
        Command::CheckConfig(check) => check.run(),
        Command::Schema(schema) => schema.run(),
    }
}
