//! `barewire check-config`: what a configuration file comes to, before a service starts with it.

use super::config::{self, Config};
use super::options::Common;
use super::{Cli, Failure, refusal};
use crate::ops::{console, one_line};
use clap::{Args, CommandFactory as _, FromArgMatches as _};
use std::path::PathBuf;

/// Check a configuration file and print what will be in force.
///
/// Reads the file and the environment as 'watch' and 'replay' do, and what they name: keys, lists, folders. Status 0: both
/// would start with it, as far as that shows without starting.
#[derive(Args)]
pub(super) struct CheckConfig {
    /// The file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl CheckConfig {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let mut parser = config::with_environment(Cli::command());
        parser.build();
        let config = Config::read(&self.file, &parser)?;
        let mut text = String::new();
        for command in config::COMMANDS.into_iter().filter(|command| parser.find_subcommand(command).is_some()) {
            text += &in_force(&parser, &config, command)?;
        }
        for sink in config.sinks {
            text += &format!("\nsinks.{}:\n{}", sink.name, sink.in_force()?);
        }
        console::data(&format!("{} is valid.\n{text}", one_line(&self.file.display().to_string()))).map(|()| 0)
    }
}

/// The options of a command with their values and where these come from.
fn in_force(parser: &clap::Command, config: &Config, command: &str) -> Result<String, Failure> {
    // What has to be typed, such as the captures, is none of the file's.
    let optional = |own: clap::Command| own.mut_args(|arg| arg.required(false));
    let matches = config.apply(config::with_environment(Cli::command())).mut_subcommand(command, optional);
    let matches = matches.try_get_matches_from(["barewire", command]);
    // The file's values are tried one by one when it is read; this is the environment's.
    let refused = |error: clap::Error| Failure::usage(refusal(&error));
    let matches = matches.map_err(refused)?;
    let Some((_, own)) = matches.subcommand() else { return Ok(String::new()) };
    let common = Common::from_arg_matches(own).map_err(refused)?;
    common.check()?;
    let of_command = |failure: Failure| Failure::usage(format!("{command}: {}", failure.message));
    #[cfg(feature = "live")]
    if command == "watch" {
        common.telling.form().map_err(of_command)?;
    }
    if command == "replay" {
        common.telling.outputs().map_err(of_command)?;
    }
    let mut text = format!("\n{command}:\n");
    for arg in config::options(parser, command) {
        let values = own.try_get_raw(arg.get_id().as_str()).ok().flatten();
        let values = values.map(|values| values.map(|value| value.to_string_lossy()).collect::<Vec<_>>().join(","));
        let source = config.source(own, command, arg);
        let name = arg.get_long().unwrap_or_default();
        let value = match values.as_deref() {
            None => "-".to_owned(),
            // An option that stands alone.
            Some("") => "yes".to_owned(),
            Some(value) => one_line(value),
        };
        text += &format!("  {name:<20} {value:<30} {source}\n");
    }
    Ok(text)
}
