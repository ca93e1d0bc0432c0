//! `barewire --generate`: completion scripts, the manual page, a configuration file.

use super::{Cli, Failure, config};
use crate::ops::console;
use clap::{CommandFactory as _, ValueEnum};
use clap_complete::Shell;

/// What to generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum What {
    Bash,
    Zsh,
    Fish,
    Man,
    /// A configuration file with every key, explained.
    Config,
}

pub(super) fn run(what: What) -> Result<u8, Failure> {
    let mut command = Cli::command();
    let mut text = Vec::new();
    let shell = match what {
        What::Bash => Shell::Bash,
        What::Zsh => Shell::Zsh,
        What::Fish => Shell::Fish,
        What::Config => {
            command.build();
            return console::data(&config::example(&command)).map(|()| 0);
        }
        What::Man => {
            let page = clap_mangen::Man::new(command).render(&mut text);
            page.map_err(|error| Failure::output(format!("writing the manual page: {error}")))?;
            return console::data(&String::from_utf8_lossy(&text)).map(|()| 0);
        }
    };
    clap_complete::generate(shell, &mut command, "barewire", &mut text);
    console::data(&String::from_utf8_lossy(&text)).map(|()| 0)
}
