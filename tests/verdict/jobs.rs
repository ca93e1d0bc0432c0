//! The jobs that users copy, run as they stand there, against a real server in a network of the test's own.

use super::net::{QuietNet, Scratch, skipped};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

/// The commands of each step, in order, by its name; a script of GitLab's is one step.
fn steps(job: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/ci").join(job)).expect(job);
    let mut steps: Vec<(String, String)> = Vec::new();
    let mut inside: Option<(usize, usize)> = None;
    for line in text.lines() {
        let depth = line.len() - line.trim_start().len();
        let line = line.trim_start();
        if inside.is_some_and(|(outer, _)| !line.is_empty() && depth <= outer) {
            inside = None;
        }
        match (inside, line) {
            (Some((outer, base)), _) => {
                let (_, commands) = steps.last_mut().expect("a step");
                let indent = " ".repeat(depth.saturating_sub(base));
                // An item of GitLab's is a line, or a block of them.
                let line = line.strip_prefix("- ").filter(|_| depth == outer + 2).unwrap_or(line);
                if line != "|" {
                    commands.push_str(&format!("{indent}{line}\n"));
                }
            }
            (None, "run: |") => inside = Some((depth, depth + 2)),
            (None, "script:") => {
                steps.push(("Script".to_owned(), String::new()));
                inside = Some((depth, depth + 4));
            }
            (None, _) => {
                if let Some(name) = line.strip_prefix("- name: ") {
                    steps.push((name.to_owned(), String::new()));
                }
            }
        }
    }
    steps.retain(|(_, commands)| !commands.is_empty());
    steps
}

/// A machine with the job's folder on it, and a network of its own.
struct Runner {
    net: QuietNet,
    folder: Scratch,
}

impl Runner {
    fn new(name: &str) -> Self {
        let runner = Self { net: QuietNet::new(name), folder: Scratch::new(name) };
        let tools = runner.folder.folder("tools");
        // Root already.
        let sudo = tools.join("sudo");
        fs::write(&sudo, "#!/bin/sh\nexec \"$@\"\n").expect("sudo");
        fs::set_permissions(&sudo, PermissionsExt::from_mode(0o755)).expect("its mode");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_barewire"), tools.join("barewire")).expect("the program");
        runner.folder.folder("work");
        runner
    }

    fn step(&self, commands: &str) -> Output {
        let tools = self.folder.path("tools");
        let path = format!("{}:{}", tools.display(), super::net::search_path());
        let script = self.folder.path("step.sh");
        // As a runner does it; of other processes with these names it must not know.
        let commands = commands.replace("pkill -INT -x", "bed-stop").replace("pgrep -x", "bed-runs");
        fs::write(&script, commands).expect("a script");
        let mut bash = self.net.program("bash");
        bash.args(["-eo", "pipefail"]).arg(&script).current_dir(self.folder.path("work")).env("PATH", path);
        bash.env("GITHUB_STEP_SUMMARY", self.folder.path("summary.md"));
        // Into files: the server keeps what it was given open after its step is over.
        let streams = ["out", "err"].map(|name| self.folder.path(name));
        let [out, err] = streams.each_ref().map(|path| fs::File::create(path).expect("a file"));
        let status = bash.stdout(out).stderr(err).status().expect("bash");
        let [stdout, stderr] = streams.map(|path| fs::read(path).expect("what it said"));
        Output { status, stdout, stderr }
    }

    /// Programs that end, and look for, only what runs in this network.
    fn add_process_tools(&self) {
        let find = "for p in /proc/[0-9]*; do [ \"$(cat $p/comm 2>/dev/null)\" = \"$1\" ] && \
                    [ \"$(readlink $p/ns/net)\" = \"$(readlink /proc/self/ns/net)\" ] && echo \"${p#/proc/}\"; done";
        for (name, body) in [
            ("bed-stop", format!("#!/bin/sh\nfor id in $({find}); do kill -INT \"$id\"; done\n")),
            ("bed-runs", format!("#!/bin/sh\n[ -n \"$({find})\" ]\n")),
        ] {
            let tool = self.folder.path("tools").join(name);
            fs::write(&tool, body).expect("a tool");
            fs::set_permissions(&tool, PermissionsExt::from_mode(0o755)).expect("its mode");
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // The server goes on as on a runner that is thrown away.
        let stop = "[ ! -e mail/run/master.pid ] || kill \"$(cat mail/run/master.pid)\"";
        let _ = self.step(stop);
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_job_for_github_is_red_and_says_why() {
    if skipped(&["ip", "bash", "tcpdump", "dovecot", "curl"]) {
        return;
    }
    let runner = Runner::new("github");
    runner.add_process_tools();
    let steps = steps("github.yml");
    let names: Vec<&str> = steps.iter().map(|(name, _)| name.as_str()).collect();
    let wanted = ["Install", "Start the mail server", "Record", "Run the tests", "Stop recording", "Judge"];
    assert_eq!(names, wanted);
    for (name, commands) in &steps[1..5] {
        let output = runner.step(commands);
        assert!(output.status.success(), "{name}: {}", said(&output));
    }
    let judged = runner.step(&steps[5].1);
    assert_eq!(judged.status.code(), Some(1), "{}", said(&judged));
    let annotations = String::from_utf8_lossy(&judged.stdout);
    assert!(annotations.contains("::error file=mail.pcap,title=cleartext-password ("), "{annotations}");
    assert!(!said(&judged).contains("made-up"), "no secret");
    let page = fs::read_to_string(runner.folder.path("summary.md")).expect("the page");
    assert!(page.contains("the check failed") && page.contains("imap 127.0.0.1:1143"), "{page}");
    for file in ["barewire.sarif", "barewire.xml"] {
        assert!(runner.folder.path("work").join(file).exists(), "{file}");
    }
    // What is accepted does not stop a build.
    let accepted = runner.step(
        "barewire replay -q --judge-loopback -o all.ndjson mail.pcap\n\
         barewire baseline write all.ndjson --reason 'it is an example' --owner 'the tests'",
    );
    assert!(accepted.status.success(), "{}", said(&accepted));
    let judged = runner.step(&steps[5].1);
    assert_eq!(judged.status.code(), Some(0), "{}", said(&judged));
}

#[test]
fn the_job_for_gitlab_is_red_and_leaves_its_report() {
    if skipped(&["ip", "bash", "tcpdump", "dovecot", "curl"]) {
        return;
    }
    let runner = Runner::new("gitlab");
    runner.add_process_tools();
    let [(_, script)] = &steps("gitlab.yml")[..] else { panic!("one script") };
    let judged = runner.step(script);
    assert_eq!(judged.status.code(), Some(1), "{}", said(&judged));
    let report = fs::read_to_string(runner.folder.path("work").join("barewire.xml")).expect("the report");
    assert!(report.contains("<failure message=\"Password of alice sent in clear"), "{report}");
}
