//! Verdicts for builds: documents that others' programs read as they are meant, and jobs that are red when they should be.
//!
//! `tests/verdict/install` fetches what documents are judged with. What is missing is skipped and said, unless
//! `BAREWIRE_REQUIRE_VERDICT` is set.

#[path = "../bed/net.rs"]
mod net;

mod jobs;

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/office.pcap");

/// A folder of a test's own.
struct Desk(PathBuf);

impl Desk {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("verdict").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        fs::copy(SAMPLE, folder.join("office.pcap")).expect("the sample");
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_barewire"));
        command.args(arguments).current_dir(&self.0);
        for name in ["BAREWIRE_FAIL_ON", "BAREWIRE_BASELINE", "BAREWIRE_FORMAT", "GITHUB_STEP_SUMMARY"] {
            command.env_remove(name);
        }
        command.output().expect("the program runs")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect(name)
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).expect("JSON")
    }

    fn records(&self, name: &str) -> Vec<Value> {
        self.read(name).lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A program that `install` fetched; `None` is told.
fn fetched(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/verdict").join(path);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("BAREWIRE_REQUIRE_VERDICT").is_none(), "{} is missing", path.display());
    // Not `eprintln!`: the harness would keep that to itself.
    writeln!(std::io::stderr(), "SKIPPED: {} is missing; run tests/verdict/install", path.display()).expect("said");
    None
}

#[test]
fn documents_say_what_records_say() {
    let desk = Desk::new("same");
    let all = desk.run(&["replay", "--fail-on", "high", "--format", "ecs=e,sarif=s,junit=j,github=g", "office.pcap"]);
    assert_eq!(all.status.code(), Some(1), "{}", told(&all));
    assert!(all.stdout.is_empty(), "each has its file");
    let records = desk.records("e");
    let sarif = desk.json("s");
    let run = &sarif["runs"][0];
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), records.len());
    for (record, result) in records.iter().zip(results) {
        assert_eq!(result["partialFingerprints"]["barewire/v1"], record["event"]["id"]);
        assert_eq!(result["ruleId"], record["rule"]["id"]);
        let index = result["ruleIndex"].as_u64().expect("an index") as usize;
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
        assert_eq!(result["properties"]["packet"], record["barewire"]["packet"]);
        assert_eq!(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "office.pcap");
    }
    assert_eq!(run["invocations"][0]["exitCode"], 1);
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
    let failed = |record: &&Value| record["event"]["severity"].as_u64() >= Some(73);
    let cases: std::collections::BTreeSet<String> = records
        .iter()
        .filter(failed)
        .map(|record| format!("{} {}:{}", record["rule"]["id"], record["server"]["ip"], record["server"]["port"]))
        // Those about several servers are one case.
        .map(|case| if case.starts_with("\"credential-reuse") { "reuse".to_owned() } else { case })
        .collect();
    assert_eq!(desk.read("j").matches("<failure ").count(), cases.len());
    assert_eq!(desk.read("g").lines().filter(|line| line.starts_with("::")).count(), 10 + 10 + 3);
}

#[test]
fn what_is_not_whole_is_told_as_such() {
    let desk = Desk::new("cut");
    let capture = fs::read(desk.path("office.pcap")).expect("the sample");
    fs::write(desk.path("cut.pcap"), &capture[..capture.len() - 7]).expect("cut");
    let output = desk.run(&["replay", "--format", "github,sarif=s,junit=j", "cut.pcap"]);
    assert_eq!(output.status.code(), Some(4), "{}", told(&output));
    let invocation = &desk.json("s")["runs"][0]["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    let notes = invocation["toolExecutionNotifications"].as_array().expect("notes");
    assert!(notes.iter().any(|note| note["message"]["text"].as_str().is_some_and(|text| text.contains("cut.pcap"))));
    let junit = desk.read("j");
    assert!(
        junit.contains("errors=\"1\"") && junit.contains("<error message=\"the analysis is incomplete\">"),
        "{junit}"
    );
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("::error title=barewire%3A analysis incomplete::"));
    // No mail at all is not green either.
    fs::write(desk.path("empty.pcap"), &capture[..24]).expect("empty");
    let output = desk.run(&["replay", "--format", "junit=j", "empty.pcap"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(desk.read("j").contains("no mail connection was seen"));
}

#[test]
fn what_is_accepted_is_suppressed_and_skipped() {
    let desk = Desk::new("accepted");
    desk.run(&["replay", "-q", "-o", "all", "office.pcap"]);
    let accept = ["baseline", "write", "all", "--reason", "moving", "--owner", "ops", "--only", "cleartext-password"];
    assert_eq!(desk.run(&accept).status.code(), Some(0));
    let baseline = ["--baseline", ".barewire-baseline.json", "office.pcap"];
    desk.run(&[&["replay", "--fail-on", "low", "--format", "sarif=s,junit=j"], &baseline[..]].concat());
    let sarif = desk.json("s");
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    let (mut accepted, mut new) = (0, 0);
    for result in results {
        if result["ruleId"] == "cleartext-password" {
            accepted += 1;
            assert_eq!(result["baselineState"], "unchanged");
            assert_eq!(result["suppressions"][0]["status"], "accepted");
            let why = result["suppressions"][0]["justification"].as_str().expect("why");
            assert!(why.starts_with("accepted until 20") && why.ends_with(": moving (ops)"), "{why}");
        } else {
            new += 1;
            assert_eq!((&result["baselineState"], &result["suppressions"]), (&"new".into(), &Value::Null));
        }
    }
    assert!(accepted > 5 && new > 20);
    let junit = desk.read("j");
    assert!(junit.contains("name=\"cleartext-password\">\n      <skipped message=\"accepted until 20"), "{junit}");
    assert!(!junit.contains("name=\"cleartext-password\">\n      <failure"));
}

#[test]
fn the_schema_and_microsoft_s_validator_take_it() {
    let desk = Desk::new("sarif");
    desk.run(&["replay", "-q", "-o", "all", "office.pcap"]);
    desk.run(&["baseline", "write", "all", "--reason", "x", "--owner", "y", "--only", "cleartext-password"]);
    let capture = fs::read(desk.path("office.pcap")).expect("the sample");
    fs::write(desk.path("a cut [one].pcap"), &capture[..capture.len() - 7]).expect("cut");
    let b = ".barewire-baseline.json";
    let runs: [&[&str]; 4] = [
        &["--format", "sarif=0.sarif", "office.pcap"],
        &[
            "--format",
            "sarif=1.sarif",
            "--fail-on",
            "low",
            "--baseline",
            b,
            "--sarif-base",
            "tests/mail.py",
            "office.pcap",
        ],
        &["--format", "sarif=2.sarif", "a cut [one].pcap"],
        &["--format", "sarif=3.sarif", "--allow-empty", "-"],
    ];
    for arguments in runs {
        desk.run(&[&["replay", "-q"], arguments].concat());
    }
    let schema = fetched("node_modules/@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json");
    let multitool = fetched("node_modules/@microsoft/sarif-multitool-linux/Sarif.Multitool");
    let files = ["0.sarif", "1.sarif", "2.sarif"];
    if let Some(schema) = schema {
        // Of languages, which nothing here names; a bracket without its other half is read by JavaScript only.
        let schema = fs::read_to_string(schema).expect("it").replace("[a-zA-Z]{2}]?$", "[a-zA-Z]{2}$");
        let schema: Value = serde_json::from_str(&schema).expect("JSON");
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        for file in files {
            let errors: Vec<String> = validator.iter_errors(&desk.json(file)).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{file}: {errors:#?}");
        }
        let mut wrong = desk.json("0.sarif");
        wrong["runs"][0]["tool"]["driver"].as_object_mut().expect("a driver").remove("name");
        assert!(!validator.is_valid(&wrong), "the schema finds what is wrong");
    }
    if let Some(multitool) = multitool {
        // It says 0 whatever it finds.
        let mut wrong = desk.json("0.sarif");
        wrong["runs"][0]["results"][0]["surprise"] = 1.into();
        fs::write(desk.path("wrong.sarif"), wrong.to_string()).expect("written");
        let validated = |file: &str| {
            let mut command = Command::new(&multitool);
            command.args(["validate", "--rule-kind", "Sarif;Ghas", file]).current_dir(&desk.0);
            let output = command.output().expect("the validator runs");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(text.contains("Done. 1 files scanned."), "{text}\n{}", told(&output));
            let mut found: BTreeMap<String, usize> = BTreeMap::new();
            for line in text.lines() {
                let rule = ["error ", "warning "].iter().find_map(|level| {
                    let (_, rest) = line.split_once(&format!(": {level}"))?;
                    Some(format!("{level}{}", rest.split([':', ' ']).next().unwrap_or_default()))
                });
                if let Some(rule) = rule {
                    *found.entry(rule).or_default() += 1;
                }
            }
            found
        };
        assert!(validated("wrong.sarif").keys().any(|rule| rule.starts_with("error ")), "it finds what is wrong");
        for file in files {
            // There is no page about the program yet that it could name.
            let found: Vec<_> = validated(file).into_iter().filter(|(rule, _)| rule != "warning SARIF2005").collect();
            assert_eq!(found, [], "{file}");
        }
    }
}

#[test]
fn another_s_parser_reads_the_same_from_junit() {
    let desk = Desk::new("junit");
    desk.run(&["replay", "--fail-on", "high", "--format", "junit=j.xml", "office.pcap"]);
    let Some(python) = fetched("python/bin/python") else { return };
    const READ: &str = "import json, sys\n\
                        from junitparser import JUnitXml, Failure, Skipped, Error\n\
                        xml = JUnitXml.fromfile(sys.argv[1])\n\
                        cases = [case for suite in xml for case in suite]\n\
                        kind = lambda case, kind: any(isinstance(result, kind) for result in case.result)\n\
                        print(json.dumps({'said': [xml.tests, xml.failures, xml.errors, xml.skipped],\n\
                        \x20 'read': [len(cases)] + [sum(kind(case, k) for case in cases) for k in (Failure, Error, Skipped)],\n\
                        \x20 'suites': [[s.tests, len(list(s)), s.failures, sum(kind(c, Failure) for c in s)] for s in xml]}))";
    let output = Command::new(python).args(["-c", READ]).arg(desk.path("j.xml")).output().expect("python");
    let read: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", told(&output)));
    assert_eq!(read["said"], read["read"]);
    assert!(read["read"][1].as_u64() > Some(10) && read["read"][3].as_u64() > Some(20), "{read}");
    for suite in read["suites"].as_array().expect("suites") {
        assert_eq!((&suite[0], &suite[2]), (&suite[1], &suite[3]));
    }
}

#[test]
fn the_page_of_a_job_is_appended_to() {
    let desk = Desk::new("page");
    fs::write(desk.path("page.md"), "before\n").expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_barewire"));
    command.args(["replay", "-q", "--format", "github", "office.pcap"]).current_dir(&desk.0);
    let output = command.env("GITHUB_STEP_SUMMARY", "page.md").output().expect("the program runs");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let page = desk.read("page.md");
    assert!(page.starts_with("before\n## Mail credentials on the wire: the check passed\n"), "{page}");
    assert!(page.contains("| high | cleartext-password | imap 10.77.0.1:143 | 3 | Password of alice sent in clear"));
    let refused = desk.run(&["replay", "--format", "sarif=office.pcap", "office.pcap"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(told(&refused).contains("office.pcap is an input"), "{}", told(&refused));
}

/// What somebody types who has read nothing but the README: as it stands there, but that the program is built already and
/// nobody looks at the page.
#[test]
fn five_commands_lead_to_a_page_and_a_red_check() {
    let desk = Desk::new("newcomer");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).expect("the README");
    let (_, section) = readme.split_once("## Five commands").expect("the section");
    let commands: Vec<&str> = section.split("```").nth(1).expect("a block").trim().lines().collect();
    let [build, replay, report, look, check] = commands[..] else { panic!("five: {commands:?}") };
    assert_eq!((build, look), ("cargo build --release", "xdg-open report.html"));
    std::os::unix::fs::symlink(root.join("testdata"), desk.path("testdata")).expect("a link");
    let typed = |line: &str| {
        let line = line.replace("target/release/barewire", env!("CARGO_BIN_EXE_barewire"));
        Command::new("sh").args(["-c", &line]).current_dir(&desk.0).output().expect("a shell")
    };
    for line in [replay, report] {
        let output = typed(line);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", told(&output));
    }
    let page = desk.read("report.html");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("10.77.0.1:143"), "a page about these servers");
    let red = typed(check);
    assert_eq!(red.status.code(), Some(1), "{}", told(&red));
    assert!(
        String::from_utf8_lossy(&red.stdout).contains("::error file=testdata/office.pcap,title=cleartext-password")
    );
}

#[test]
fn no_output_takes_the_place_of_what_is_read_or_of_another() {
    let desk = Desk::new("places");
    fs::write(desk.path("barewire.toml"), "records = ['findings']\n").expect("written");
    desk.run(&["replay", "-q", "-o", "all", "office.pcap"]);
    desk.run(&["baseline", "write", "all", "--reason", "x", "--owner", "y", "-f", "b.json"]);
    std::os::unix::fs::symlink("b.json", desk.path("link")).expect("a link");
    let before = desk.read("b.json");
    for (arguments, told_of) in [
        (&["--baseline", "b.json", "-o", "b.json"][..], "b.json is an input"),
        (&["--baseline", "b.json", "--format", "sarif=link"], "b.json is an input"),
        (&["-c", "barewire.toml", "-o", "barewire.toml"], "barewire.toml is an input"),
        (&["--format", "sarif=a,junit=./a"], "two outputs go to ./a"),
        (&["--format", "sarif=nowhere/a"], "nowhere/a: its folder does not exist"),
    ] {
        let output = desk.run(&[&["replay", "-q"], arguments, &["office.pcap"]].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", told(&output));
        assert!(told(&output).contains(told_of), "{arguments:?}: {}", told(&output));
    }
    assert_eq!(desk.read("b.json"), before);
    // One that cannot be written keeps no other from being so.
    let full = desk.run(&["replay", "-q", "--format", "sarif=/dev/full,junit=j", "office.pcap"]);
    assert_eq!(full.status.code(), Some(5), "{}", told(&full));
    assert!(told(&full).contains("/dev/full") && desk.read("j").contains("</testsuites>"));
    // Nobody takes the documents of an earlier run for those of one that could read nothing.
    let none = desk.run(&["replay", "-q", "--format", "sarif=s,junit=j", "nowhere.pcap"]);
    assert_eq!(none.status.code(), Some(3));
    assert!(desk.read("j").contains("no input could be read") && desk.read("j").contains("errors=\"1\""));
    assert_eq!(desk.json("s")["runs"][0]["invocations"][0]["executionSuccessful"], false);
}
