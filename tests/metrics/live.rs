//! The metrics of `watch`, in a network namespace of the test's own.

use super::{
    ALL, BAREWIRE, expected, linted, names, nothing_captured_is_on, records, root, scratch, series, sum, told,
};
use crate::net::{PATIENCE, QuietNet, Watched, skipped};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

const STRANGERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bed/strangers.py");

/// `None`, loudly, where the machine can have no network of the test's own.
fn network(name: &str) -> Option<QuietNet> {
    (!skipped(&["ip", "python3"])).then(|| QuietNet::new(name))
}

/// Status and body of an answer.
fn get(net: &QuietNet, url: &str) -> (String, String) {
    const GET: &str = "import sys, urllib.request, urllib.error\n\
                       try: answer = urllib.request.urlopen(sys.argv[1], timeout=10)\n\
                       except urllib.error.HTTPError as error: answer = error\n\
                       print(answer.status, answer.headers['Content-Type'])\n\
                       sys.stdout.write(answer.read().decode())";
    let output = net.program("python3").args(["-c", GET, url]).output().expect("python3");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (status, body) = said.split_once('\n').unwrap_or_else(|| panic!("{output:?}"));
    (status.to_owned(), body.to_owned())
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
    let Some(net) = network("page") else { return };
    let folder = scratch("live");
    // Whom the sensor becomes.
    std::os::unix::fs::chown(&folder, Some(65_534), Some(65_534)).expect("its owner");
    let (out, file) = (folder.join("out.ndjson"), folder.join("page.prom"));
    let mut command = net.program(BAREWIRE);
    command.args(["watch", "-i", "quiet0", "--fanout", "2", "-j", "2", "--bpf", "", "--metrics-listen", "0"]);
    command.args(ALL).arg("-o").arg(&out).arg("--metrics-file").arg(&file);
    let mut sensor = Watched::start(&mut command);
    let line = sensor.wait_for_line("metrics at ");
    let url = line.rsplit(' ').next().expect("an address").to_owned();
    let base = url.strip_suffix("/metrics").expect("the page").to_owned();
    assert!(base.starts_with("http://127.0.0.1:"), "{line}");
    sensor.wait_for_line("listening on");

    let (status, first) = get(&net, &url);
    assert_eq!(status, "200 text/plain; version=0.0.4; charset=utf-8");
    assert!(told(&first).is_empty() && sum(&first, "barewire_capture_packets_total", &[]) == 0.0, "{first}");
    assert_eq!(first.matches("interface=\"quiet0\"").count(), 4, "threads of one interface are one");
    assert_eq!(
        get(&net, &format!("{base}/-/healthy")),
        ("200 text/plain; version=0.0.4; charset=utf-8".into(), "healthy\n".into())
    );
    assert!(get(&net, &format!("{base}/")).0.starts_with("404 "));
    wait_until("the first page in the file", || file.exists());
    assert_eq!(names(&fs::read_to_string(&file).expect("a page")), names(&first));

    // Strangers hold a hundred connections, send what is no request, and go on while mail passes.
    let port = base.rsplit(':').next().expect("a port");
    let mut strangers = net.program("python3");
    strangers.args([STRANGERS, port, "6"]);
    let mut strangers = Watched::start(&mut strangers);
    strangers.wait_for_line("at it");
    let sent = net.send_at(&root("testdata/office.pcap"), 2000) as f64;
    let mut page = String::new();
    wait_until("all frames on the page", || {
        page = get(&net, &url).1;
        sum(&page, "barewire_capture_packets_total", &[]) >= sent && sum(&page, "barewire_logins_total", &[]) >= 13.0
    });
    assert_eq!(sum(&page, "barewire_capture_packets_total", &[]), sent);
    assert_eq!(sum(&page, "barewire_capture_dropped_packets_total", &[]), 0.0);
    assert_eq!(names(&page), names(&first), "the series are the same before and after");
    let age = series(&page)["barewire_last_packet_timestamp_seconds"] - series(&page)["barewire_start_time_seconds"];
    assert!((0.0..600.0).contains(&age), "{age}");
    linted(&page);
    strangers.wait_for_line("done");
    drop(strangers);

    let status = sensor.stop("TERM");
    let said = sensor.said();
    assert_eq!(status.code(), Some(0), "{said}");
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
    let Some(net) = network("refused") else { return };
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
    let mut sensor = Watched::start(net.program(BAREWIRE).args(["watch", "-i", "quiet0", "--metrics-listen", "9469"]));
    sensor.wait_for_line("listening on");
    assert!(refused(&["--metrics-listen", "9469"]).contains("that are free here"));
    // Of all addresses, when asked for.
    let options = ["watch", "-i", "quiet0", "--metrics-listen", "0.0.0.0:9470", "--metrics-public"];
    let mut public = Watched::start(net.program(BAREWIRE).args(options));
    public.wait_for_line("metrics at http://0.0.0.0:9470/metrics");
    public.wait_for_line("listening on");
    assert!(get(&net, "http://127.0.0.1:9470/metrics").0.starts_with("200 "));
}
