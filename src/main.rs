//! The `barewire` program: parse what was typed, run it, leave with its exit status.

use std::process::ExitCode;

fn main() -> ExitCode {
    barewire::cli::main()
}
