//! Configuration files: whatever they hold, one line says what is wrong with them, or nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some(fault) = barewire::cli::fault_of_config(text) {
        assert!(fault.starts_with("text: ") && fault.lines().count() == 1, "{fault:?}");
    }
});
