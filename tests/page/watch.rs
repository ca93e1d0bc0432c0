//! The page of a running watch, over real packets in a network of the test's own.

use super::net::{QuietNet, Scratch, Watched, skipped};
use super::{PROGRAM, root};
use std::process::Command;

fn page(net: &QuietNet, address: &str) -> String {
    let output = net.program("curl").args(["--silent", "--max-time", "20", address]).output().expect("curl");
    String::from_utf8(output.stdout).expect("text")
}

fn page_with(net: &QuietNet, address: &str, text: &str) -> String {
    for _ in 0..400 {
        let page = page(net, address);
        if page.contains(text) {
            return page;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{text} is never on the page: {}", page(net, address));
}

#[test]
fn a_watch_shows_what_it_sees_within_its_sandbox() {
    if skipped(&["ip", "curl", "python3"]) {
        return;
    }
    let scratch = Scratch::new("page-watch");
    let net = QuietNet::new("page-watch");
    let records = scratch.folder("out").join("records.ndjson");
    let mut command: Command = net.program(PROGRAM);
    command.args(["watch", "--interface", "quiet1", "--ui", "0", "--output"]).arg(&records);
    let mut watched = Watched::start(&mut command);
    let line = watched.wait_for_line("page at ");
    let address = line.split("page at ").nth(1).expect("an address").trim().to_owned();
    watched.wait_for_line("listening on");
    let before = page(&net, &address);
    assert!(before.contains("<dt>last packet</dt><dd>never</dd>"), "{before}");
    assert!(before.contains("<dt>credentials in clear</dt><dd>0</dd>"), "{before}");
    let sent = net.send(&root().join("testdata/office.pcap"));
    let page = page_with(&net, &address, "carol");
    let page = if page.contains(" ago</dd>") { page } else { page_with(&net, &address, " ago</dd>") };
    assert!(sent > 0 && page.contains("the line is alive") && page.contains("<th scope=\"row\">file</th>"), "{page}");
    // Sessions and logins are on it though only findings are written, and though nothing more comes.
    page_with(&net, &address, "seen to their end");
    assert!(page.contains("The latest logins in clear"), "{page}");
    let refused = net
        .program("curl")
        .args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "-H", "Host: attacker.example"])
        .arg(&address)
        .output()
        .expect("curl");
    assert_eq!(String::from_utf8_lossy(&refused.stdout), "421");
    assert!(watched.stop("INT").success(), "{}", watched.said());
    let written = std::fs::read_to_string(&records).expect("records");
    assert!(written.lines().all(|line| line.contains("barewire.finding")), "only findings were asked for");
}
