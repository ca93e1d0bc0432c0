//! The program as it is typed, without what its caller's environment would make of it.

use std::process::{Command, Output, Stdio};

pub(crate) fn barewire(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_barewire"))
        .args(arguments)
        .env_remove("BAREWIRE_FAIL_ON")
        .stdin(Stdio::null())
        .output()
        .expect("the program runs")
}
