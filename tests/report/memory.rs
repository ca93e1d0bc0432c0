//! What a million records take, of which no two are alike.

use super::made::write_many;
use std::io::{BufWriter, Read as _, Write as _};
use std::process::{Command, Stdio};

/// MiB at most for a million records; see `src/report`.
const MOST_MIB: u64 = 256;
/// What does not grow with records: program, buffers and the page.
const FIXED_MIB: u64 = 64;

/// The most memory that a process has held, in MiB.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

#[test]
fn a_million_records_that_all_differ_fit_into_memory() {
    let count = std::env::var("BAREWIRE_REPORT_RECORDS").map_or(20_000, |count| count.parse().expect("a number"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_barewire"))
        .args(["report", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut to = BufWriter::new(child.stdin.take().expect("standard input"));
    write_many(count, &mut to).and_then(|()| to.flush()).expect("taken");
    drop(to);
    let mut page = vec![0];
    let mut from = child.stdout.take().expect("standard output");
    // The page is longer than a pipe: when it begins the process is still there, with all that it needs.
    from.read_exact(&mut page).expect("a page");
    let peak = peak(child.id());
    from.read_to_end(&mut page).expect("the rest");
    assert!(child.wait().expect("an end").success());
    let page = String::from_utf8(page).expect("UTF-8");
    eprintln!("{count} records: {peak} MiB at most, a page of {} KiB", page.len() / 1024);
    assert!(peak <= FIXED_MIB + (MOST_MIB - FIXED_MIB) * count / 1_000_000, "{peak} MiB");
    assert!(page.len() < 4 << 20, "{} octets", page.len());
    assert!(page.contains("There were more") || count <= 20_000, "what has no room is told");
    let all = [count.div_ceil(3), (count + 1) / 3, count / 3];
    let grouped = |number: u64| {
        let digits = number.to_string();
        let mut text = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        text
    };
    for number in all {
        assert!(page.contains(&format!(">{}<", grouped(number))), "{number} records of a kind");
    }
}
