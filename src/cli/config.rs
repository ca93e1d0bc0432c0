//! The configuration file: TOML whose keys are the long names of the options.
//!
//! A value of the file becomes the default of its option, so the parser's own order holds: what is built in, then the
//! file, the environment, what was typed. Whatever the parser would refuse on the command line is refused here by the
//! line it stands in.

use super::sinks::{self, SINKS, Sink, sinks_of};
use super::{Failure, refusal};
use crate::ops::wrapped;
use clap::builder::BoolishValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command, Id, parser::ValueSource};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Commands that are configured; each has a table of its own for what only it shall do.
pub(super) const COMMANDS: [&str; 2] = ["watch", "replay"];

/// Options that are only for the command line.
const ONLY_TYPED: [&str; 5] = ["color", "github-step-summary", "help", "version", "config"];

/// What a file says.
pub(super) struct Config {
    entries: Vec<Entry>,
    /// In the order of their names.
    pub(super) sinks: Vec<Sink>,
}

struct Entry {
    /// `None`: for all commands that have the option.
    command: Option<&'static str>,
    key: String,
    values: Vec<String>,
}

/// The file that the arguments or the environment name, if any.
pub(super) fn path(cli: &Command, arguments: &[OsString]) -> Option<PathBuf> {
    // What else is wrong with the arguments is told when they are parsed in earnest.
    let matches = cli.clone().ignore_errors(true).try_get_matches_from(arguments).ok()?;
    let (_, matches) = matches.subcommand()?;
    matches.try_get_one::<PathBuf>("config").ok().flatten().cloned()
}

impl Config {
    /// Reads a file and checks each value as if it was typed.
    ///
    /// # Errors
    ///
    /// One line that names the file, the line in it and the key.
    pub(super) fn read(path: &Path, cli: &Command) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        Self::parse(&text, path, cli)
    }

    /// The same of what stands in a file.
    pub(super) fn parse(text: &str, path: &Path, cli: &Command) -> Result<Self, Failure> {
        let failed = |what: &str| Failure::usage(format!("{}: {what}", path.display()));
        let line_of =
            |at: usize| text.as_bytes()[..at.min(text.len())].iter().filter(|octet| **octet == b'\n').count() + 1;
        let table = DeTable::parse(text).map_err(|error| {
            let what = error.message().lines().next().unwrap_or_default();
            // Nesting without an end is told without its place.
            error.span().map_or_else(|| failed(what), |span| failed(&format!("line {}: {what}", line_of(span.start))))
        })?;
        let (mut entries, mut sinks) = (Vec::new(), Vec::new());
        for (key, value) in table.get_ref() {
            let refuse = |at: usize, what: &str| failed(&format!("line {}: {what}", line_of(at)));
            let command = COMMANDS.into_iter().find(|command| *command == key.get_ref());
            if key.get_ref() == SINKS {
                sinks =
                    sinks_of(value.get_ref()).map_err(|(at, what)| refuse(at.unwrap_or(key.span().start), &what))?;
                continue;
            }
            match (command, value.get_ref()) {
                (Some(command), DeValue::Table(own)) => {
                    for (key, value) in own {
                        let entry = entry(cli, Some(command), key.get_ref(), value.get_ref());
                        entries.push(entry.map_err(|what| refuse(key.span().start, &what))?);
                    }
                }
                (Some(command), _) => {
                    return Err(refuse(key.span().start, &format!("write it as a table: [{command}]")));
                }
                (None, value) => {
                    let entry = entry(cli, None, key.get_ref(), value);
                    entries.push(entry.map_err(|what| refuse(key.span().start, &what))?);
                }
            }
        }
        // What is for one command comes after what is for all.
        entries.sort_by_key(|entry| entry.command.is_some());
        Ok(Self { entries, sinks })
    }

    /// The parser with the file's values as its defaults.
    pub(super) fn apply(&self, mut cli: Command) -> Command {
        for entry in &self.entries {
            for command in COMMANDS.into_iter().filter(|own| entry.command.is_none_or(|command| command == *own)) {
                if let Some(id) = option(&cli, command, &entry.key).map(|arg| arg.get_id().clone()) {
                    let set = |arg: Arg| arg.default_values(entry.values.clone()).required(false);
                    cli = cli.mut_subcommand(command, |own| own.mut_arg(id, set));
                }
            }
        }
        cli
    }

    /// Where the value of an option comes from, for people.
    pub(super) fn source(&self, matches: &ArgMatches, command: &str, arg: &Arg) -> String {
        match matches.value_source(arg.get_id().as_str()) {
            Some(ValueSource::EnvVariable) => {
                arg.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
            }
            Some(ValueSource::DefaultValue) if self.sets(command, arg) => "file".to_owned(),
            Some(ValueSource::CommandLine) => "command line".to_owned(),
            Some(_) => "default".to_owned(),
            None => "not set".to_owned(),
        }
    }

    fn sets(&self, command: &str, arg: &Arg) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.command.is_none_or(|own| own == command) && arg.get_long() == Some(entry.key.as_str()))
    }
}

/// Every option that a file may set can stand in the environment as well, as `BAREWIRE_` and its name.
pub(super) fn with_environment(mut cli: Command) -> Command {
    for command in COMMANDS {
        let keys: Vec<Id> = options(&cli, command).map(|arg| arg.get_id().clone()).collect();
        let set =
            |own: Command| own.mut_args(|arg| if keys.contains(arg.get_id()) { of_environment(arg) } else { arg });
        if cli.find_subcommand(command).is_some() {
            cli = cli.mut_subcommand(command, set);
        }
        // It says what a replay says; what decides what is found stands in its plan.
        if command == "replay" {
            cli = cli.mut_subcommand("archive", |archive| archive.mut_subcommand("finish", set));
        }
    }
    cli
}

fn of_environment(arg: Arg) -> Arg {
    if arg.get_env().is_some() {
        return arg;
    }
    let name = arg.get_long().unwrap_or_default().replace('-', "_").to_uppercase();
    let arg = if is_flag(&arg) { arg.value_parser(BoolishValueParser::new()) } else { arg };
    arg.env(format!("BAREWIRE_{name}")).hide_env(true)
}

/// The options of a command that a file may set.
pub(super) fn options<'a>(cli: &'a Command, command: &str) -> impl Iterator<Item = &'a Arg> {
    let own = cli.find_subcommand(command).into_iter().flat_map(Command::get_arguments);
    own.filter(|arg| arg.get_long().is_some_and(|name| !ONLY_TYPED.contains(&name)))
}

fn option<'a>(cli: &'a Command, command: &str, key: &str) -> Option<&'a Arg> {
    options(cli, command).find(|arg| arg.get_long() == Some(key))
}

/// What stands at a key, if the option takes it.
fn entry(cli: &Command, command: Option<&'static str>, key: &str, value: &DeValue<'_>) -> Result<Entry, String> {
    let places = COMMANDS.into_iter().filter(|own| command.is_none_or(|command| command == *own));
    let Some(arg) = places.clone().find_map(|command| option(cli, command, key)) else {
        return Err(unknown(cli, command, key, &places.flat_map(|own| options(cli, own)).collect::<Vec<_>>()));
    };
    Ok(Entry { command, key: key.to_owned(), values: values_of(arg, key, value)? })
}

/// A value as it would be typed, if the option takes it.
pub(super) fn values_of(arg: &Arg, key: &str, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let values = words(arg, value).map_err(|what| format!("{key}: {what}"))?;
    for value in &values {
        try_one(arg, value).map_err(|what| format!("{key}: {what}"))?;
    }
    Ok(values)
}

/// Names the nearest key, or the table where it belongs.
fn unknown(cli: &Command, command: Option<&str>, key: &str, known: &[&Arg]) -> String {
    let elsewhere = COMMANDS.into_iter().find(|own| option(cli, own, key).is_some());
    if let (Some(command), Some(elsewhere)) = (command, elsewhere) {
        return format!("{key} is no key of {command}; it belongs to [{elsewhere}]");
    }
    let tables = COMMANDS.into_iter().filter(|_| command.is_none());
    let sinks = command.is_none().then_some(SINKS);
    no_key(key, known.iter().filter_map(|arg| arg.get_long()).chain(tables).chain(sinks))
}

/// Names the nearest of those that there are.
pub(super) fn no_key<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near = known.filter(|known| likeness(key, known) > 0.7);
    match near.max_by(|one, other| likeness(key, one).total_cmp(&likeness(key, other))) {
        Some(nearest) => format!("there is no key '{key}'; did you mean '{nearest}'?"),
        None => format!("there is no key '{key}'; 'barewire --generate config' prints all of them"),
    }
}

/// No key is half as long.
const LONGEST_KEY: usize = 64;

/// 0 to 1. A key of 256 KiB would take seconds, and is like none.
fn likeness(one: &str, other: &str) -> f64 {
    if one.len() > LONGEST_KEY { 0.0 } else { strsim::jaro_winkler(one, other) }
}

/// A value as it would be typed, word by word.
fn words(arg: &Arg, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    match value {
        // An option that may stand alone: whether it does.
        DeValue::Boolean(stands)
            if arg.get_num_args().is_some_and(|count| count.min_values() == 0) && !is_flag(arg) =>
        {
            Ok(if *stands { vec![String::new()] } else { Vec::new() })
        }
        DeValue::Array(_) if !takes_several(arg) => Err("it takes one value, not a list".to_owned()),
        // An empty list would take the default away, or what must be there.
        DeValue::Array(items)
            if items.is_empty() && (arg.is_required_set() || !arg.get_default_values().is_empty()) =>
        {
            Err("at least one value must stand there".to_owned())
        }
        DeValue::Array(items) => items.iter().map(|item| word(item.get_ref())).collect(),
        // PROTO=LIST is what a table stands for.
        DeValue::Table(_) if !takes_several(arg) || arg.get_value_delimiter().is_some() => {
            Err("a table is no value of it".to_owned())
        }
        DeValue::Table(table) => table
            .iter()
            .map(|(name, list)| {
                let list = match list.get_ref() {
                    DeValue::Array(items) => {
                        items.iter().map(|item| word(item.get_ref())).collect::<Result<Vec<_>, _>>()?
                    }
                    one => vec![word(one)?],
                };
                Ok(format!("{}={}", name.get_ref(), list.join(",")))
            })
            .collect(),
        one => Ok(vec![word(one)?]),
    }
}

fn word(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Float(number) => Ok(number.to_string()),
        DeValue::Boolean(is) => Ok(is.to_string()),
        DeValue::Datetime(_) => Err("a date is no value of an option; put quotes around it if it is text".to_owned()),
        DeValue::Array(_) | DeValue::Table(_) => Err("lists within lists are no value of an option".to_owned()),
    }
}

fn takes_several(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

pub(super) fn is_flag(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

/// Has the parser judge one value by itself.
fn try_one(arg: &Arg, value: &str) -> Result<(), String> {
    if is_flag(arg) {
        return if matches!(value, "true" | "false") { Ok(()) } else { Err("it must be true or false".to_owned()) };
    }
    if matches!(arg.get_action(), ArgAction::Count) {
        return value.parse::<u8>().map(|_| ()).map_err(|_| "it must be a number up to 255".to_owned());
    }
    let name = arg.get_long().unwrap_or_default();
    let typed = format!("--{name}={value}");
    let alone = Command::new("").no_binary_name(true).arg(arg.clone().required(false));
    alone.try_get_matches_from([typed]).map(|_| ()).map_err(|error| {
        let (what, text) = (refusal(&error), error.to_string());
        let hint = text.lines().map(str::trim).find(|line| line.starts_with('['));
        hint.map_or(what.clone(), |hint| format!("{what} {hint}"))
    })
}

/// A file with every key, commented out, each with what it does and its default or an example.
pub(super) fn example(cli: &Command) -> String {
    let mut text = EXAMPLE_HEAD.to_owned();
    let is_common =
        |arg: &Arg| COMMANDS.into_iter().all(|own| arg.get_long().is_some_and(|key| option(cli, own, key).is_some()));
    for arg in options(cli, "replay").filter(|arg| is_common(arg)) {
        text += &example_of(arg);
    }
    for command in COMMANDS {
        let own: Vec<&Arg> = options(cli, command).filter(|arg| !is_common(arg)).collect();
        if !own.is_empty() {
            text += &format!("\n# {}\n[{command}]\n", "-".repeat(77));
        }
        own.into_iter().for_each(|arg| text += &example_of(arg));
    }
    text + &sinks::example()
}

const EXAMPLE_HEAD: &str = "\
# barewire's configuration, with every key: each is the name of an option. What stands in the tables [watch] and [replay]
# is for that command only; what stands before them is for both. The environment (BAREWIRE_MAX_MEMORY and so on) comes
# before this file, what is typed before both. 'barewire check-config FILE' says what will be in force.
";

/// Values for options that have no default.
const EXAMPLES: [(&str, &str); 23] = [
    ("baseline", "\"/etc/barewire/baseline.json\""),
    ("bpf", "\"tcp port 143 or tcp port 110\""),
    ("evidence", "\"/var/lib/barewire/evidence\""),
    ("interface", "[\"eth1\"]"),
    ("jobs", "2"),
    ("metrics-file", "\"/var/lib/prometheus/node-exporter/barewire.prom\""),
    ("metrics-listen", "9469"),
    ("output", "\"/var/log/barewire/findings.ndjson\""),
    ("ports", "{ imap = [143, 1143], pop3 = [110] }"),
    ("privileged-users", "[\"root\", \"postmaster\"]"),
    ("rotate-keep", "30"),
    ("rotate-size", "100"),
    ("sensor", "\"berlin-tap-2\""),
    ("spool", "\"/var/lib/barewire/spool\""),
    ("tls-ports", "{ imap = [993, 1993] }"),
    ("trusted-segments", "[\"10.8.0.0/16\", \"2001:db8::/32\"]"),
    ("ui", "9470"),
    ("ui-certificate", "\"/etc/barewire/ui.pem\""),
    ("ui-key", "\"/etc/barewire/ui.key\""),
    ("ui-name", "[\"sensor.example.org\"]"),
    ("ui-token", "\"/etc/barewire/ui.token\""),
    ("user", "\"barewire\""),
    ("weak-secrets", "true"),
];

fn example_of(arg: &Arg) -> String {
    let key = arg.get_long().unwrap_or_default();
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let quoted = |value: &str| if value.parse::<f64>().is_ok() { value.to_owned() } else { format!("\"{value}\"") };
    let choices: Vec<String> = arg.get_possible_values().iter().map(|choice| choice.get_name().to_owned()).collect();
    let default = arg.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
    let example = EXAMPLES.iter().find(|(known, _)| *known == key).map(|(_, value)| (*value).to_owned());
    let value = match (example, default) {
        (Some(example), _) => example,
        _ if is_flag(arg) => "false".to_owned(),
        _ if matches!(arg.get_action(), ArgAction::Count) => "0".to_owned(),
        (None, Some(default)) if arg.get_value_delimiter().is_some() => format!("[{}]", quoted(&default)),
        (None, Some(default)) => quoted(&default),
        (None, None) if !choices.is_empty() => quoted(&choices[choices.len() / 2]),
        (None, None) => quoted(&format!("/etc/barewire/{key}")),
    };
    let choices = if is_flag(arg) || choices.is_empty() { String::new() } else { format!(" ({})", choices.join(", ")) };
    let lines = wrapped(&format!("{}{choices}", help.replace('\n', " ")), 118);
    let help: String = lines.iter().map(|line| format!("# {line}\n")).collect();
    format!("\n{help}#{key} = {value}\n")
}
