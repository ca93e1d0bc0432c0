//! The metrics of `watch`, in a network namespace of the test's own.

use super::{
    ALL, BAREWIRE, expected, linted, names, nothing_captured_is_on, records, root, scratch, series, sum, told,
};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const SEND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bed/send.py");
const STRANGERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bed/strangers.py");
const PATIENCE: Duration = Duration::from_secs(20);

fn path() -> String {
    format!("{}:/usr/local/sbin:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

fn quietly(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", path()).stdin(Stdio::null()).output().is_ok_and(|out| out.status.success())
}

/// A namespace with an interface on which nothing is said but what the test says.
struct Net(String);

impl Net {
    /// `None`, loudly, where the machine has none.
    fn new(name: &str) -> Option<Net> {
        let net = Net(format!("bw-metrics-{name}-{}", std::process::id()));
        let missing = if !quietly("ip", &["netns", "add", &net.0]) {
            "network namespaces need root and iproute2"
        } else if !quietly("python3", &["-c", "pass"]) {
            "python3 is not installed"
        } else if !quietly(BAREWIRE, &["watch", "-i", "lo", "--help"]) {
            "watch is not built in"
        } else {
            for arguments in [
                &["link", "set", "lo", "up"][..],
                &["link", "add", "quiet0", "type", "veth", "peer", "name", "quiet1"],
                // No link-local address, so nothing asks for neighbours.
                &["link", "set", "quiet0", "addrgenmode", "none"],
                &["link", "set", "quiet1", "addrgenmode", "none"],
                &["link", "set", "quiet1", "up"],
                &["link", "set", "quiet0", "up"],
            ] {
                assert!(quietly("ip", &[&["-n", &net.0], arguments].concat()), "ip {arguments:?}");
            }
            return Some(net);
        };
        let line = format!("SKIPPED metrics: {missing}");
        assert!(std::env::var_os("BAREWIRE_REQUIRE_ALL").is_none(), "BAREWIRE_REQUIRE_ALL is set, but: {line}");
        writeln!(std::io::stderr(), "{line}").expect("standard error");
        None
    }

    fn program(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        // `ip` becomes the program, so a signal to the child reaches it.
        command.args(["netns", "exec", &self.0, program]).env("PATH", path()).stdin(Stdio::null());
        command
    }

    /// Sends a capture's frames from the far end; how many they are.
    fn send(&self, capture: &Path) -> f64 {
        let output = self.program("python3").args([SEND, "quiet1"]).arg(capture).arg("2000").output();
        let output = output.expect("python3");
        let said = String::from_utf8_lossy(&output.stdout);
        said.trim().parse().unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Status and body of an answer.
    fn get(&self, url: &str) -> (String, String) {
        const GET: &str = "import sys, urllib.request, urllib.error\n\
                           try: answer = urllib.request.urlopen(sys.argv[1], timeout=10)\n\
                           except urllib.error.HTTPError as error: answer = error\n\
                           print(answer.status, answer.headers['Content-Type'])\n\
                           sys.stdout.write(answer.read().decode())";
        let output = self.program("python3").args(["-c", GET, url]).output().expect("python3");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let (status, body) = said.split_once('\n').unwrap_or_else(|| panic!("{output:?}"));
        (status.to_owned(), body.to_owned())
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        quietly("ip", &["netns", "delete", &self.0]);
    }
}

/// A program that never outlives the test.
struct Running {
    child: Child,
    err: BufReader<std::process::ChildStderr>,
}

impl Running {
    fn start(command: &mut Command) -> Running {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let err = BufReader::new(child.stderr.take().expect("piped"));
        Running { child, err }
    }

    /// The next line of standard error with this in it.
    fn line_with(&mut self, part: &str) -> String {
        let mut all = String::new();
        loop {
            let begin = all.len();
            assert!(self.err.read_line(&mut all).expect("text") > 0, "no {part:?} in:\n{all}");
            if all[begin..].contains(part) {
                return all[begin..].trim_end().to_owned();
            }
        }
    }

    /// Ends it; its status and what else it said.
    fn stop(mut self) -> (Option<i32>, String) {
        let number = self.child.id().to_string();
        assert!(quietly("sh", &["-c", "kill -s TERM \"$1\"", "sh", &number]), "it ended before it was told to");
        let mut said = String::new();
        self.err.read_to_string(&mut said).expect("text");
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("a status") {
                return (status.code(), said);
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end:\n{said}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Until it is true, or for as long as anybody would wait.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_live_page_is_whole_from_the_first_scrape_and_strangers_do_not_matter() {
    let Some(net) = Net::new("page") else { return };
    let folder = scratch("live");
    // Whom the sensor becomes.
    std::os::unix::fs::chown(&folder, Some(65_534), Some(65_534)).expect("its owner");
    let (out, file) = (folder.join("out.ndjson"), folder.join("page.prom"));
    let mut command = net.program(BAREWIRE);
    command.args(["watch", "-i", "quiet0", "--fanout", "2", "-j", "2", "--bpf", "", "--metrics-listen", "0"]);
    command.args(ALL).arg("-o").arg(&out).arg("--metrics-file").arg(&file);
    let mut sensor = Running::start(&mut command);
    let line = sensor.line_with("metrics at ");
    let url = line.rsplit(' ').next().expect("an address").to_owned();
    let base = url.strip_suffix("/metrics").expect("the page").to_owned();
    assert!(base.starts_with("http://127.0.0.1:"), "{line}");
    sensor.line_with("listening on");

    let (status, first) = net.get(&url);
    assert_eq!(status, "200 text/plain; version=0.0.4; charset=utf-8");
    assert!(told(&first).is_empty() && sum(&first, "barewire_capture_packets_total", &[]) == 0.0, "{first}");
    assert_eq!(first.matches("interface=\"quiet0\"").count(), 4, "threads of one interface are one");
    assert_eq!(
        net.get(&format!("{base}/-/healthy")),
        ("200 text/plain; version=0.0.4; charset=utf-8".into(), "healthy\n".into())
    );
    assert!(net.get(&format!("{base}/")).0.starts_with("404 "));
    wait_until("the first page in the file", || file.exists());
    assert_eq!(names(&fs::read_to_string(&file).expect("a page")), names(&first));

    // Strangers hold a hundred connections, send what is no request, and go on while mail passes.
    let port = base.rsplit(':').next().expect("a port");
    let mut strangers = net.program("python3");
    strangers.args([STRANGERS, port, "6"]);
    let mut strangers = Running::start(&mut strangers);
    strangers.line_with("at it");
    let sent = net.send(&root("testdata/office.pcap"));
    let mut page = String::new();
    wait_until("all frames on the page", || {
        page = net.get(&url).1;
        sum(&page, "barewire_capture_packets_total", &[]) >= sent && sum(&page, "barewire_logins_total", &[]) >= 13.0
    });
    assert_eq!(sum(&page, "barewire_capture_packets_total", &[]), sent);
    assert_eq!(sum(&page, "barewire_capture_dropped_packets_total", &[]), 0.0);
    assert_eq!(names(&page), names(&first), "the series are the same before and after");
    let age = series(&page)["barewire_last_packet_timestamp_seconds"] - series(&page)["barewire_start_time_seconds"];
    assert!((0.0..600.0).contains(&age), "{age}");
    linted(&page);
    strangers.line_with("done");
    drop(strangers);

    let (status, said) = sensor.stop();
    assert_eq!(status, Some(0), "{said}");
    let last = fs::read_to_string(&file).expect("the last page");
    let records = records(&fs::read(&out).expect("records"));
    assert_eq!(told(&last), expected(&records));
    assert_eq!(names(&last), names(&first));
    assert_eq!(sum(&last, "barewire_sink_events_total", &["result=\"written\""]), records.len() as f64);
    assert!(said.contains(&format!("{sent} packets captured")), "{said}");
    let logins = sum(&last, "barewire_logins_total", &[]);
    assert!(said.contains(&format!("\n{logins} logins crossed the wire in clear")), "{said}");
    let delayed = sum(&last, "barewire_record_delay_seconds_count", &[]);
    assert!(said.contains(&format!("barewire: {delayed} records written after their packets")), "{delayed}\n{said}");
    assert_eq!(sum(&last, "barewire_record_delay_seconds_bucket", &["le=\"+Inf\""]), delayed);
    nothing_captured_is_on(&last, &records);
    linted(&last);
}

#[test]
fn a_port_that_is_taken_or_public_is_told_in_one_line() {
    let Some(net) = Net::new("refused") else { return };
    let refused = |options: &[&str]| {
        let output = net.program(BAREWIRE).args(["watch", "-i", "quiet0"]).args(options).output().expect("barewire");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{options:?}: {said}");
        said
    };
    for public in ["0.0.0.0:9469", "[::]:9469", "192.0.2.1:9469"] {
        assert!(refused(&["--metrics-listen", public]).contains("or add --metrics-public"));
    }
    assert!(refused(&["--metrics-listen", "here"]).contains("such as 9469"));
    let mut sensor = Running::start(net.program(BAREWIRE).args(["watch", "-i", "quiet0", "--metrics-listen", "9469"]));
    sensor.line_with("listening on");
    assert!(refused(&["--metrics-listen", "9469"]).contains("that are free here"));
    // Of all addresses, when asked for.
    let options = ["watch", "-i", "quiet0", "--metrics-listen", "0.0.0.0:9470", "--metrics-public"];
    let mut public = Running::start(net.program(BAREWIRE).args(options));
    public.line_with("metrics at http://0.0.0.0:9470/metrics");
    public.line_with("listening on");
    assert!(net.get("http://127.0.0.1:9470/metrics").0.starts_with("200 "));
}
