//! Findings that somebody accepts for a while: written from records, heeded by the exit status, told with their reason, and
//! back again once they have expired.

use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of a test's own, with the records of the bundled capture.
struct Desk(PathBuf);

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/office.pcap");

impl Desk {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("baseline").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        let desk = Self(folder);
        fs::write(desk.0.join("key"), [7; 32]).expect("a key");
        fs::set_permissions(desk.0.join("key"), PermissionsExt::from_mode(0o600)).expect("its mode");
        assert_eq!(desk.run(&["replay", "-q", "-o", "all.ndjson", SAMPLE]).status.code(), Some(0));
        desk
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_barewire"));
        command
            .args(arguments)
            .current_dir(&self.0)
            .env("BAREWIRE_FINGERPRINT_KEY", "key")
            .env_remove("BAREWIRE_FAIL_ON")
            .env_remove("BAREWIRE_BASELINE");
        command.output().expect("the program runs")
    }

    fn write(&self, more: &[&str]) -> Output {
        let options = ["baseline", "write", "all.ndjson", "--reason", "an old printer", "--owner", "ops"];
        self.run(&[&options, more].concat())
    }

    fn judge(&self) -> Output {
        self.run(&["replay", "--fail-on", "low", "--baseline", FILE, SAMPLE])
    }

    fn baseline(&self) -> String {
        fs::read_to_string(self.0.join(FILE)).expect("a baseline")
    }

    fn edit(&self, from: &str, to: &str) {
        let text = self.baseline();
        assert!(text.contains(from), "{text}");
        fs::write(self.0.join(FILE), text.replace(from, to)).expect("written");
    }
}

const FILE: &str = ".barewire-baseline.json";

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn records(output: &Output) -> Vec<Value> {
    output
        .stdout
        .split(|o| *o == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).expect("JSON"))
        .collect()
}

#[test]
fn what_is_accepted_is_told_with_its_reason_and_counts_no_more() {
    let desk = Desk::new("accepted");
    assert_eq!(
        desk.write(&["--expires", "2999-01-01", "--only", "cleartext-password"]).status.code(),
        Some(2),
        "no year"
    );
    assert_eq!(desk.write(&["--expires", "2400-01-01", "--only", "cleartext-password"]).status.code(), Some(0));
    let some = desk.judge();
    assert_eq!(some.status.code(), Some(1), "{}", told(&some));
    let before = records(&desk.run(&["replay", "-q", SAMPLE]));
    let mut after = records(&some);
    assert_eq!(before.len(), after.len());
    let mut accepted = 0;
    for (before, after) in before.iter().zip(&mut after) {
        if after["rule"]["id"] == "cleartext-password" {
            accepted += 1;
            let said = after["barewire"].as_object_mut().expect("an object").remove("accepted").expect("accepted");
            assert_eq!(said["reason"], "an old printer");
            assert_eq!((&said["owner"], &said["expires"]), (&"ops".into(), &"2400-01-01T00:00:00.000000Z".into()));
            assert_eq!(after["event"]["kind"], "event", "nobody is alerted");
            after["event"]["kind"] = "alert".into();
        }
        assert_eq!(before, after);
    }
    assert!(accepted > 5);
    assert!(told(&some).contains(&format!("{accepted} findings stand in the baseline")), "{}", told(&some));
    assert_eq!(desk.write(&[]).status.code(), Some(0));
    let all = desk.judge();
    assert_eq!(all.status.code(), Some(0), "{}", told(&all));
    assert!(told(&all).contains("Nothing new was found in 17 mail sessions."), "{}", told(&all));
    assert!(desk.baseline().contains("2400-01-01"), "what was accepted before stays as it is");
    fs::write(desk.0.join("accepted.ndjson"), &all.stdout).expect("written");
    let page = desk.run(&["report", "--format", "md", "accepted.ndjson"]);
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(page.contains("41 of them stand in the baseline"), "{page}");
    let ocsf = desk.run(&["replay", "-q", "--format", "ocsf", "--baseline", FILE, SAMPLE]);
    for event in records(&ocsf) {
        assert_eq!((&event["status_id"], &event["is_alert"]), (&3.into(), &false.into()));
        assert_eq!(event["status_detail"], "an old printer (ops)");
    }
}

#[test]
fn no_account_and_no_address_of_one_s_own_choosing_stands_in_it() {
    let desk = Desk::new("private");
    desk.write(&[]);
    let text = desk.baseline();
    for user in ["alice", "bob", "carol", "scanner"] {
        assert!(!text.contains(user), "{user}");
    }
    let again = desk.baseline();
    assert_eq!(desk.write(&[]).status.code(), Some(0));
    assert_eq!(again, desk.baseline(), "the same again changes nothing");
}

#[test]
fn what_has_expired_counts_again_and_can_be_taken_out() {
    let desk = Desk::new("expired");
    desk.write(&["--expires", "never"]);
    assert_eq!(desk.judge().status.code(), Some(0));
    assert_eq!(desk.run(&["baseline", "check"]).status.code(), Some(0));
    let one = desk.baseline().lines().find(|line| line.contains("\"id\"")).expect("an entry").to_owned();
    let id = one.split('"').nth(3).expect("an identity").to_owned();
    let entry = desk.baseline();
    let entry = &entry[..entry.find('}').expect("its end")];
    let expired = entry.replace("never", "2026-01-31");
    desk.edit(entry, &expired);
    let judged = desk.judge();
    assert_eq!(judged.status.code(), Some(1), "{}", told(&judged));
    assert!(told(&judged).contains("1 finding expired and is told as before"), "{}", told(&judged));
    let checked = desk.run(&["baseline", "check"]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&checked.stdout).starts_with(&format!("{id}  expired on 2026-01-31: ")));
    assert_eq!(desk.run(&["baseline", "prune"]).status.code(), Some(0));
    assert!(!desk.baseline().contains(&id));
    assert_eq!(desk.run(&["baseline", "check"]).status.code(), Some(0));
    // Records without a finding are no reason to take everything out.
    desk.run(&["replay", "-q", "--records", "sessions", "-o", "sessions.ndjson", SAMPLE]);
    for step in ["check", "prune"] {
        let output = desk.run(&["baseline", step, "sessions.ndjson"]);
        assert_eq!(output.status.code(), Some(3), "{}", told(&output));
        assert!(told(&output).contains("the records hold no finding"), "{}", told(&output));
    }
    // What is not found any more.
    let all = fs::read_to_string(desk.0.join("all.ndjson")).expect("records");
    let one = all.lines().find(|line| line.contains(&id)).expect("the one that has expired");
    fs::write(desk.0.join("none.ndjson"), one).expect("written");
    let checked = desk.run(&["baseline", "check", "none.ndjson"]);
    assert_eq!(checked.status.code(), Some(0), "to mend something is no failure");
    assert!(String::from_utf8_lossy(&checked.stdout).lines().all(|line| line.contains("not found any more")));
    assert_eq!(desk.run(&["baseline", "prune", "none.ndjson"]).status.code(), Some(0));
    assert!(!desk.baseline().contains("rule"));
}

#[test]
fn a_link_goes_on_leading_to_its_file_and_nothing_that_was_planted_is_followed() {
    let desk = Desk::new("links");
    fs::write(desk.0.join("real.json"), "{\"barewire_baseline\":1,\"accepted\":[]}").expect("written");
    fs::set_permissions(desk.0.join("real.json"), PermissionsExt::from_mode(0o664)).expect("its mode");
    std::os::unix::fs::symlink("real.json", desk.0.join(FILE)).expect("a link");
    assert_eq!(desk.write(&[]).status.code(), Some(0));
    assert!(fs::symlink_metadata(desk.0.join(FILE)).expect("it").is_symlink());
    assert!(fs::read_to_string(desk.0.join("real.json")).expect("it").contains("an old printer"));
    assert_eq!(fs::metadata(desk.0.join("real.json")).expect("it").permissions().mode() & 0o777, 0o664);
}

#[test]
fn what_is_graver_than_what_was_accepted_counts() {
    let desk = Desk::new("graver");
    let mild = ["replay", "-q", "--trusted-segments", "10.77.0.0/16", "-o", "all.ndjson", SAMPLE];
    assert_eq!(desk.run(&mild).status.code(), Some(0));
    assert_eq!(desk.write(&[]).status.code(), Some(0));
    let trusted = ["replay", "--fail-on", "info", "--trusted-segments", "10.77.0.0/16", "--baseline", FILE, SAMPLE];
    assert_eq!(desk.run(&trusted).status.code(), Some(0));
    assert_eq!(desk.judge().status.code(), Some(1), "without the excuse it is another matter");
}

#[test]
fn what_is_wrong_is_one_line_that_names_the_file() {
    let desk = Desk::new("wrong");
    let missing = desk.judge();
    assert_eq!(missing.status.code(), Some(2));
    assert!(told(&missing).contains(FILE) && told(&missing).contains("barewire baseline write"), "{}", told(&missing));
    fs::write(desk.0.join("not.ndjson"), "not a record\n").expect("written");
    for (arguments, status, what) in [
        (&["not.ndjson", "--reason", "x", "--owner", "y"][..], 3, "not.ndjson: line 1 is no record"),
        (&["nowhere", "--reason", "x", "--owner", "y"], 3, "nowhere"),
        (&["all.ndjson", "--reason", " ", "--owner", "y"], 2, "says nothing"),
        (&["all.ndjson", "--reason", "\u{1b}[2J", "--owner", "y"], 2, "cannot be shown"),
        (&["all.ndjson", "--reason", "x", "--owner", "y", "--expires", "2020-01-01"], 2, "has begun"),
        (&["all.ndjson", "--reason", "x", "--owner", "y", "--expires", "soon"], 2, "YYYY-MM-DD"),
        (&["all.ndjson", "--reason", "x", "--owner", "y", "--only", "nothing"], 2, "no finding is called nothing"),
        (&["all.ndjson", "--reason", "x", "--owner", "y", "-f", "no/folder/x"], 5, "no/folder/x"),
    ] {
        let output = desk.run(&[&["baseline", "write"], arguments].concat());
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", told(&output));
        assert!(told(&output).contains(what), "{arguments:?}: {}", told(&output));
        assert!(!desk.0.join(FILE).exists());
    }
}
