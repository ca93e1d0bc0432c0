//! What `contrib/` and `sigma/` ship, held against real records and the receivers' own programs as far as those can be had:
//! each test is a part of `contrib/check`. What is missing on this machine is said loudly; `contrib/check --install` brings it.

use std::io::Write as _;
use std::process::Command;

const CHECK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/check");

/// As automake has it for tests that could not be made.
const NOT_MADE: i32 = 77;

fn check(part: &str) {
    let mut command = Command::new("python3");
    command.args(["-B", CHECK, part]).env("BAREWIRE", env!("CARGO_BIN_EXE_barewire"));
    let Ok(output) = command.output() else { return skipped("python3 is not installed") };
    let said = String::from_utf8_lossy(&output.stdout);
    match output.status.code() {
        Some(0) => {}
        Some(NOT_MADE) => skipped(said.trim()),
        _ => panic!("{said}{}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// Not `eprintln!`: the harness would keep that to itself.
fn skipped(why: &str) {
    let line = format!("SKIPPED: {}", why.replace("SKIPPED: ", ""));
    assert!(std::env::var_os("BAREWIRE_REQUIRE_RECEIVERS").is_none(), "BAREWIRE_REQUIRE_RECEIVERS is set, but: {line}");
    writeln!(std::io::stderr(), "{line}").expect("standard error");
}

macro_rules! parts {
    ($($test:ident: $part:literal,)*) => {
        $(#[test]
        fn $test() {
            check($part);
        })*

        #[test]
        fn every_part_is_a_test() {
            let listed = include_str!("../contrib/checks/parts.py");
            let listed = listed.lines().filter_map(|line| line.trim_start().strip_prefix("Part(\""));
            let listed: Vec<_> = listed.filter_map(|line| line.split('"').next()).collect();
            assert_eq!(listed, [$($part),*]);
        }
    };
}

parts! {
    every_field_is_in_the_schema: "fields",
    rsyslog_takes_the_files: "rsyslog-syntax",
    rsyslog_stores_what_was_sent: "rsyslog-tcp",
    rsyslog_keeps_records_while_the_store_is_away: "rsyslog-away",
    rsyslog_stores_what_was_sent_over_tls: "rsyslog-tls",
    rsyslog_confirms_and_stores_what_was_sent_by_relp: "rsyslog-relp",
    rsyslog_follows_the_file_through_its_rotations: "rsyslog-file",
    syslog_ng_stores_what_was_sent: "syslog-ng",
    vector_keeps_the_record: "vector",
    logstash_reads_the_pipeline: "logstash",
    filebeat_names_records_as_the_sensor_does: "filebeat",
    fluent_bit_names_records_as_the_sensor_does: "fluent-bit",
    wazuh_finds_its_fields_in_records: "wazuh",
    splunk_inspects_the_add_on: "splunk",
    sentinel_has_the_columns_of_records: "sentinel",
    sigma_has_no_issue_with_the_rules: "sigma-check",
    sigma_converts_the_rules: "sigma-convert",
    queries_are_parsed_by_their_vendors: "queries",
    rules_hit_what_the_records_hold: "sigma-run",
    the_correlation_has_something_to_count: "sigma-correlation",
}
