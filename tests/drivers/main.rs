//! An archive in steps that existing schedulers run, by what `contrib` ships for them: xargs, Dask, Spark, Slurm,
//! and Kubernetes with a stand-in for kubectl.
//! The records are those of a replay, also when a worker is killed; what is missing is named, and the status says so.
//!
//! `contrib/archive/check --install` brings Dask and Spark, Debian's packages Slurm. What is not there is said loudly, and
//! fails where `BAREWIRE_REQUIRE_DRIVERS` names it, as in `dask,slurm`.

#[allow(dead_code, reason = "of the shapes of an archive one is enough here")]
#[path = "../archive/traffic.rs"]
mod traffic;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use traffic::{Shape, archive, laid_out};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const RECORDS: &str = "findings,logins,sessions";
const PARTITIONS: &str = "4";

/// Packets are missing in the captures, which is told by the status that tells of missing steps as well.
const LOSSES: &str = r#"[ "$2" != finish ] || set -- "$@" --max-loss=100"#;

fn at_home(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Whether that can be run here; if not, that is said.
fn has(driver: &str, is_there: bool) -> bool {
    if is_there {
        return true;
    }
    let line = format!("SKIPPED: {driver} is not installed; contrib/archive/README.md says how");
    let required = std::env::var("BAREWIRE_REQUIRE_DRIVERS").unwrap_or_default();
    assert!(!required.split(',').any(|name| name == driver), "BAREWIRE_REQUIRE_DRIVERS names it, but: {line}");
    // Not `eprintln!`: the harness would keep that to itself.
    writeln!(std::io::stderr(), "{line}").expect("standard error");
    false
}

/// Connections and captures of an archive. `BAREWIRE_ARCHIVE_FLOWS` makes it a large one.
fn size() -> [usize; 2] {
    match std::env::var("BAREWIRE_ARCHIVE_FLOWS") {
        Ok(flows) => [flows.parse().expect("a number"), 64],
        Err(_) => [300, 8],
    }
}

/// Captures, a key, what a replay says of them, and a program that runs barewire, and more if a test wants it.
struct Bed {
    folder: PathBuf,
    captures: Vec<String>,
    want: Output,
}

impl Bed {
    fn of(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("drivers-{name}"));
        let [flows, files] = size();
        let captures = laid_out(&folder, &archive(12, flows, files, Shape::Rotated));
        fs::write(folder.join("key"), KEY).expect("a key");
        fs::set_permissions(folder.join("key"), fs::Permissions::from_mode(0o600)).expect("a mode");
        let replay = ["replay", "-q", "-j", "0", "--max-loss", "100", "--records", RECORDS, "--fingerprint-key", "key"];
        let want = Command::new(env!("CARGO_BIN_EXE_barewire"))
            .args(replay)
            .args(&captures)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .output()
            .expect("the program runs");
        assert_eq!(want.status.code(), Some(0), "{}", told(&want));
        assert!(want.stdout.len() > 1000, "the replay found next to nothing: {}", told(&want));
        let bed = Self { folder, captures, want };
        bed.program("");
        bed
    }

    /// Makes the program that the steps are: `first` is done before barewire runs, with the arguments of the step in `$@`.
    fn program(&self, first: &str) {
        let path = self.folder.join("barewire");
        let script =
            format!("#!/bin/sh\n{LOSSES}\nbed='{}'\n{first}\nexec '{}' \"$@\"\n", self.folder.display(), barewire());
        fs::write(&path, script).expect("a program");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// A driver that is a program of Python. Captures are listed or typed: one driver each.
    fn python(&self, driver: &str) -> Command {
        let mut command = Command::new(python(driver));
        fs::write(self.folder.join("list"), self.captures.join("\n")).expect("a list");
        let listed = ["--list".to_owned(), "list".to_owned()];
        command
            .arg(at_home(&format!("contrib/{driver}/barewire_{driver}.py")))
            .args(["--barewire", &self.path("barewire"), "--out", "out", "--partitions", PARTITIONS, "--workers", "2"])
            .args(if driver == "dask" { &listed[..] } else { &self.captures })
            .args(["--", "--fingerprint-key", "key", "--records", RECORDS, "-q"])
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }

    fn check(&self, got: &Output) {
        assert_eq!(got.status.code(), self.want.status.code(), "{}", told(got));
        assert!(got.stdout == self.want.stdout, "the records differ: {}", told(got));
    }

    /// Status 4, no records, and lines that say these words.
    fn refused(got: &Output, words: &[&str]) {
        assert_eq!(got.status.code(), Some(4), "{}", told(got));
        for word in words {
            let lines = told(got).lines().filter(|line| line.contains(word)).count();
            assert_eq!(lines, 1, "{word}: {}", told(got));
        }
        assert!(got.stdout.is_empty(), "{}", told(got));
    }
}

fn barewire() -> &'static str {
    env!("CARGO_BIN_EXE_barewire")
}

fn python(driver: &str) -> PathBuf {
    at_home(&format!("target/drivers/{driver}/bin/python"))
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn output(command: &mut Command) -> Output {
    command.output().expect("it runs")
}

/// The lines that the page gives for xargs, as they stand there.
fn xargs(bed: &Bed) -> Output {
    let page = fs::read_to_string(at_home("contrib/archive/README.md")).expect("the page");
    let lines = page.split("```sh\n").find(|lines| lines.contains("xargs -P")).expect("lines for xargs");
    let lines = lines.split("```").next().unwrap_or_default();
    let set = format!("barewire() {{ ./barewire \"$@\"; }}\nout=out key=key partitions={PARTITIONS}\n");
    let path = std::env::var("PATH").unwrap_or_default();
    output(
        Command::new("bash")
            .args(["-c", &format!("{set}{lines}"), "bash"])
            .args(&bed.captures)
            .current_dir(&bed.folder)
            .env("PATH", format!("{}:{path}", bed.folder.display()))
            .stdin(Stdio::null()),
    )
}

/// One map and one reduce are stopped once they have begun to write, and tell who runs them.
const STOPPED: &str = r#"
echo "$*" >> "$bed/runs"
begun() { ls "$bed/out/$1"/*/*."$2"-0.unfinished >/dev/null 2>&1; }
case "$2 $3" in
  "map -q" | "reduce -q")
    if mkdir "$bed/first-$2" 2>/dev/null; then
      for try in $(seq 200); do
        BAREWIRE "$@" &
        child=$!
        while kill -0 "$child" 2>/dev/null && ! begun "$2" "$child"; do :; done
        if kill -STOP "$child" 2>/dev/null && begun "$2" "$child"; then
          echo "$PPID $$ $child" > "$bed/pids.new"
          mv "$bed/pids.new" "$bed/pids-$2"
          wait "$child"
        fi
        kill -CONT "$child" 2>/dev/null
        wait "$child"
      done
    fi ;;
esac
"#;

/// Waits for the step to be stopped, and kills it with its worker.
fn kill_worker(bed: &Bed, step: &str, driver: &mut Child) {
    let pids = bed.folder.join(format!("pids-{step}"));
    while !pids.exists() {
        assert!(driver.try_wait().expect("it was started").is_none(), "it ended before a {step} was stopped");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pids = fs::read_to_string(pids).expect("numbers of processes");
    let killed = Command::new("kill").arg("-9").args(pids.split_whitespace()).status();
    assert!(killed.is_ok_and(|killed| killed.success()), "{pids}");
}

fn survives(bed: &Bed, mut driver: Command) {
    bed.program(&STOPPED.replace("BAREWIRE", barewire()));
    let mut running = driver.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    kill_worker(bed, "map", &mut running);
    kill_worker(bed, "reduce", &mut running);
    bed.check(&running.wait_with_output().expect("it was started"));
    let runs = fs::read_to_string(bed.folder.join("runs")).expect("what was run");
    for (step, planned) in [("archive map ", size()[1]), ("archive reduce ", 4)] {
        let run = runs.lines().filter(|line| line.starts_with(step) && !line.ends_with("--help")).count();
        assert!(run > planned, "{step}: {run} times");
    }
}

/// A part goes between reduce and finish.
const LOSING: &str = r#"[ "$2" != finish ] || rm -f "$bed/out/map/1/part-0.pcapng.zst""#;
/// A capture cannot be read, whenever it is tried.
const FAILING: &str =
    r#"case "$*" in *"archive map "*"--file 2") echo 'error: made up' >&2; echo >> "$bed/tries"; exit 3 ;; esac"#;

fn tells_what_is_missing(bed: &Bed, driver: &dyn Fn() -> Command) {
    bed.program(LOSING);
    Bed::refused(&output(&mut driver()), &["map/1/part-0.pcapng.zst: it is missing"]);
    fs::remove_dir_all(bed.folder.join("out")).expect("the archive's files");
    bed.program(FAILING);
    let failed = output(driver().args(["--color", "never"]));
    let named = format!("map 2 of {} failed: status 3: error: made up", bed.captures[2]);
    Bed::refused(&failed, &[&named, "map/2/map.json: the map of", "reduce 3 is missing"]);
    let tries = fs::read_to_string(bed.folder.join("tries")).expect("its tries").lines().count();
    assert_eq!(tries, 4, "once, and three times again");
}

#[test]
fn xargs_runs_the_lines_of_the_page() {
    let bed = Bed::of("xargs");
    bed.check(&xargs(&bed));
    bed.program(LOSING);
    Bed::refused(&xargs(&bed), &["map/1/part-0.pcapng.zst: it is missing"]);
}

#[test]
fn dask_runs_the_steps() {
    if !has("dask", python("dask").is_file()) {
        return;
    }
    let bed = Bed::of("dask");
    bed.check(&output(&mut bed.python("dask")));
    // Of an earlier run everything is there, and finish is content: this one has failed none the less.
    bed.program(FAILING);
    let stale = output(&mut bed.python("dask"));
    assert_eq!((stale.status.code(), stale.stdout.len()), (Some(4), bed.want.stdout.len()), "{}", told(&stale));
    fs::remove_file(bed.folder.join("tries")).expect("its tries");
    tells_what_is_missing(&bed, &|| bed.python("dask"));
}

#[test]
fn dask_survives_its_workers() {
    if has("dask", python("dask").is_file()) {
        let bed = Bed::of("dask-killed");
        survives(&bed, bed.python("dask"));
    }
}

/// In one test: each start of it takes a while and half a gigabyte.
#[test]
fn spark_runs_the_steps_and_survives_its_workers() {
    if !has("spark", python("spark").is_file()) {
        return;
    }
    let bed = Bed::of("spark");
    survives(&bed, bed.python("spark"));
    tells_what_is_missing(&bed, &|| bed.python("spark"));
}

/// A step that fails at its first attempt, and is ended from outside.
const FALLING: &str = r#"case "$2" in map | reduce) mkdir "$bed/fell-$2" 2>/dev/null && kill -9 $$ ;; esac"#;

#[test]
fn slurm_runs_the_steps() {
    let is_there = ["slurmctld", "slurmd", "sbatch", "munged"]
        .iter()
        .all(|name| ["/usr/sbin", "/usr/bin"].iter().any(|folder| Path::new(folder).join(name).is_file()));
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !has("slurm", is_there && is_root) {
        return;
    }
    let bed = Bed::of("slurm");
    let run = || {
        let mut command = Command::new(at_home("tests/drivers/slurm"));
        command
            .arg(bed.folder.join("cluster"))
            .arg(at_home("contrib/archive/slurm/archive"))
            .args(["--out", "out", "--partitions", PARTITIONS, "--key", "key"])
            .args(&bed.captures)
            .args(["--", "--records", RECORDS, "-q"])
            .env("BAREWIRE", bed.path("barewire"))
            .env("LOGS", &bed.folder)
            .current_dir(&bed.folder)
            .stdin(Stdio::null());
        output(&mut command)
    };
    bed.program(FALLING);
    bed.check(&run());
    assert!(bed.folder.join("fell-map").exists() && bed.folder.join("fell-reduce").exists(), "nothing fell");
    fs::remove_dir_all(bed.folder.join("out")).expect("the archive's files");
    fs::remove_dir_all(bed.folder.join("cluster")).expect("what the cluster has left");
    bed.program(FAILING);
    Bed::refused(&run(), &["not every step was done", "map/2/map.json: the map of", "reduce 3 is missing"]);
    let tries = fs::read_to_string(bed.folder.join("tries")).expect("its tries").lines().count();
    assert_eq!(tries, 4, "once, and three times again");
}

/// The words of the Jobs and what follows what; not the cluster.
#[test]
fn jobs_of_kubernetes_are_the_steps() {
    if !has("dask", python("dask").is_file()) {
        return;
    }
    let bed = Bed::of("kubernetes");
    for folder in ["archive", "secret", "bin"] {
        fs::create_dir(bed.folder.join(folder)).expect("a folder");
    }
    fs::remove_file(bed.folder.join("key")).and_then(|()| fs::create_dir(bed.folder.join("key"))).expect("a folder");
    symlink(&bed.folder, bed.folder.join("captures")).expect("a name");
    symlink(bed.folder.join("barewire"), bed.folder.join("bin/barewire")).expect("a name");
    let key = bed.folder.join("secret/fingerprint-key");
    fs::write(&key, KEY).expect("a key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o440)).expect("a mode");
    let stand_in = bed.folder.join("bin/kubectl");
    let kubectl = at_home("tests/drivers/kubectl");
    let script = format!("#!/bin/sh\nexec '{}' '{}' \"$@\"\n", python("dask").display(), kubectl.display());
    fs::write(&stand_in, script).expect("a program");
    fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755)).expect("a mode");
    let path = std::env::var("PATH").unwrap_or_default();
    let run = || {
        drop(fs::remove_file(bed.folder.join("archive/findings.ndjson")));
        let mut command = Command::new(at_home("contrib/archive/kubernetes/run"));
        command.env("PATH", format!("{}:{path}", bed.folder.join("bin").display())).env("CLUSTER", &bed.folder);
        output(command.env("POLL", "0.1").stdin(Stdio::null()))
    };
    let whole = run();
    assert_eq!(whole.status.code(), bed.want.status.code(), "{}", told(&whole));
    // The captures have other names there.
    let there = format!("{}/captures/", bed.folder.display());
    let got = fs::read_to_string(bed.folder.join("archive/findings.ndjson")).expect("records");
    let got = got.replace(&there, &format!("{}/", bed.folder.display()));
    let want = String::from_utf8_lossy(&bed.want.stdout);
    let lines = |text: &str| -> Vec<String> {
        // What is said of a capture itself has an identity that its name is in.
        text.lines().filter(|line| !line.contains("\"code\":\"coverage-gap\"")).map(str::to_owned).collect()
    };
    assert!(lines(&want).len() > 100 && lines(&got) == lines(&want), "the records differ");
    fs::remove_dir_all(bed.folder.join("archive"))
        .and_then(|()| fs::create_dir(bed.folder.join("archive")))
        .expect("a folder");
    bed.program(FAILING);
    let failed = run();
    assert_eq!(failed.status.code(), Some(4), "{}", told(&failed));
    let said = String::from_utf8_lossy(&failed.stdout);
    assert!(said.contains("map/2/map.json: the map of") && said.contains("reduce 3 is missing"), "{said}");
    assert!(!bed.folder.join("archive/findings.ndjson").exists(), "{said}");
    let tries = fs::read_to_string(bed.folder.join("tries")).expect("its tries").lines().count();
    assert_eq!(tries, 4, "once, and three times again");
}

#[test]
fn jobs_of_kubernetes_have_the_form_of_its_schemas() {
    if !has("dask", python("dask").is_file()) {
        return;
    }
    let got = output(&mut Command::new(at_home("contrib/archive/check")));
    assert_eq!(got.status.code(), Some(0), "{}{}", String::from_utf8_lossy(&got.stdout), told(&got));
}

#[test]
fn what_cannot_be_meant_is_told_before_anything_is_run() {
    let bed = Bed::of("usage");
    let driver = at_home("contrib/dask/barewire_dask.py");
    let program = bed.path("barewire");
    for (options, words) in [
        (["--barewire", "no-such-program", "--", "-q"], "no-such-program: No such file or directory; name the program"),
        (["--barewire", &program, "--", "--recrods=findings"], "--recrods: neither plan nor finish takes it"),
        (["--barewire", &program, "--", "--records=nothing"], "invalid value 'nothing' for '--records"),
        (["--barewire", &program, "--", "--manifest=other"], "--manifest: neither plan nor finish takes it"),
        (["--barewire", &program, "--", "more.pcap"], "more.pcap: captures stand before --"),
        (["--partitions", "0", "--", "-q"], "argument --partitions"),
    ] {
        let mut command = Command::new("python3");
        command.arg(&driver).args(["--out", "out"]).arg(&bed.captures[0]).args(options).current_dir(&bed.folder);
        let got = output(&mut command);
        assert_eq!(got.status.code(), Some(2), "{options:?}: {}", told(&got));
        assert!(told(&got).contains(words), "{options:?}: {}", told(&got));
        assert!(!bed.folder.join("out").exists(), "{options:?}");
    }
}
