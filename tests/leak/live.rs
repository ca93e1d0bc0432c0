//! A watch: its records, what it says and what its metrics say while the sample passes by, and what is left in its memory.

use super::image::{Place, found};
use super::net::{PATIENCE, QuietNet, Scratch, Watched, skipped};
use super::{nothing_of, sample, secrets_of_the_sample};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// All that is answered to a request as it stands.
fn answer(net: &QuietNet, port: &str, request: &str) -> Vec<u8> {
    const ASK: &str = "import socket, sys\n\
                       end = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 10)\n\
                       end.sendall(sys.argv[2].encode())\n\
                       end.shutdown(socket.SHUT_WR)\n\
                       while True:\n\
                       \x20   part = end.recv(65536)\n\
                       \x20   if not part: break\n\
                       \x20   sys.stdout.buffer.write(part)";
    net.program("python3").args(["-c", ASK, port, request]).output().expect("python3").stdout
}

/// What all files of a folder and of those in it hold.
fn files(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a file").path();
        all.extend(if path.is_dir() { files(&path) } else { fs::read(&path).expect("a file") });
    }
    all
}

#[test]
fn nothing_that_a_watch_writes_or_keeps_has_a_secret() {
    if skipped(&["ip", "python3"]) {
        return;
    }
    let (net, folder) = (QuietNet::new("leak"), Scratch::new("leak"));
    let room = folder.folder("room");
    let (out, page, spool) = (room.join("out.ndjson"), room.join("page.prom"), room.join("spool"));
    // Nobody listens there: what is for it stays in its spool.
    let config = folder.path("barewire.toml");
    let sink = "[sinks.dead]\ntype = \"relp\"\naddress = \"127.0.0.1:1\"\n";
    fs::write(&config, format!("spool = \"{}\"\n{sink}", spool.display())).expect("a configuration");
    let mut command: Command = net.program(env!("CARGO_BIN_EXE_barewire"));
    command.args(["watch", "-i", "quiet0", "-vvvv", "-j", "2", "--bpf", "", "--stats", "1", "--metrics-listen", "0"]);
    command
        .args(["--records", "findings,logins,sessions", "--weak-secrets", "--fingerprint-key"])
        .arg(folder.key_file());
    command
        .arg("--config")
        .arg(&config)
        .arg("-o")
        .arg(&out)
        .arg("--metrics-file")
        .arg(&page)
        .env("RUST_BACKTRACE", "full");
    let mut sensor = Watched::start(&mut command);
    let url = sensor.wait_for_line("metrics at ");
    let port = url.trim_end_matches("/metrics").rsplit(':').next().expect("a port").to_owned();
    sensor.wait_for_line("listening on");
    net.send_at(&sample(), 2000);
    let began = Instant::now();
    let logins = || fs::read_to_string(&out).unwrap_or_default().matches("\"barewire.login\"").count();
    while logins() < 13 {
        assert!(began.elapsed() < PATIENCE, "{} logins", logins());
        thread::sleep(Duration::from_millis(100));
    }
    let mut written = Vec::new();
    for request in
        ["GET /metrics HTTP/1.1\r\n\r\n", "GET /-/healthy HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "\r\n\r\n"]
    {
        written.extend(answer(&net, &port, request));
    }
    assert!(super::contains(&written, b"barewire_logins_total"), "the page was read");
    // The frames of the sample, as they were sent.
    let secrets = secrets_of_the_sample();
    let of_memory: Vec<&[u8]> = secrets.iter().map(Vec::as_slice).collect();
    let left = found(sensor.id(), &fs::read(sample()).expect("the sample"), &of_memory);
    let apart: Vec<&String> = left.iter().filter(|(place, _)| *place == Place::Apart).map(|(_, what)| what).collect();
    assert!(apart.is_empty(), "{apart:#?}");
    assert!(left.iter().any(|(place, _)| *place == Place::Frame), "the search finds what is there");
    sensor.signal("HUP");
    sensor.wait_for_line("the configuration was read anew");
    assert!(sensor.stop("TERM").code().is_some());
    written.extend(sensor.said().into_bytes());
    written.extend([&out, &page].map(|path| fs::read(path).expect("what was written")).concat());
    let spooled = files(&spool);
    assert!(super::contains(&spooled, b"\"barewire.login\""), "the spool was read");
    written.extend(spooled);
    nothing_of(&secrets, &written, "a watch");
    nothing_of(&[b"thirty-two octets made for tests".to_vec()].into(), &written, "a watch");
}
