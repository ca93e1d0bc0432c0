//! `GET /metrics` and `GET /-/healthy`.

use super::health::Verdict;
use super::listener::{Answer, Request, Site, reply};

/// Served at a time, with a page of some 60 KiB each at most.
pub(super) const CONNECTIONS: usize = 16;
const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is answered.
pub(super) struct Pages<'a> {
    pub(super) metrics: &'a dyn Fn() -> String,
    pub(super) health: &'a Verdict,
}

impl Site for Pages<'_> {
    type Stream = ();

    fn answer(&mut self, request: &Request<'_>) -> Answer<()> {
        let reply = |status, body: &str| Answer::Whole(reply(status, KIND, "", body));
        match (request.path, request.method) {
            ("/metrics", "GET") => reply("200 OK", &(self.metrics)()),
            ("/-/healthy", "GET") => match self.health.reason() {
                None => reply("200 OK", "healthy\n"),
                Some(reason) => reply("503 Service Unavailable", &format!("{reason}\n")),
            },
            ("/metrics" | "/-/healthy", _) => reply("405 Method Not Allowed\r\nAllow: GET", "only GET\n"),
            _ => reply("404 Not Found", "there are /metrics and /-/healthy\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::listener::Listener;
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};
    use std::sync::Arc;
    use std::thread;
    use std::time::{Duration, Instant};

    /// How long a request may take to come.
    const PATIENCE: Duration = Duration::from_secs(2);

    fn served() -> (SocketAddr, Arc<Verdict>) {
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), "--metrics-listen", CONNECTIONS, None)
            .expect("a port");
        let (address, health) = (listener.address(), Arc::new(Verdict::default()));
        let told = Arc::clone(&health);
        // Larger than what the system holds for a reader that does not read.
        let page = "x 1\n".repeat(4 * 1024 * 1024);
        thread::spawn(move || listener.serve(&mut Pages { metrics: &|| page.clone(), health: &told }));
        (address, health)
    }

    fn connect(address: SocketAddr) -> TcpStream {
        let socket = TcpStream::connect(address).expect("a connection");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        socket
    }

    /// The answer, or what came of it before the other end had enough.
    fn ask(address: SocketAddr, request: &[u8]) -> String {
        let mut socket = connect(address);
        let _ = socket.write_all(request);
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        String::from_utf8(answer).expect("text")
    }

    #[test]
    fn two_pages_are_answered_and_nothing_else() {
        let (address, health) = served();
        let page = ask(address, b"GET /metrics?a=b HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(page.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; "), "{:.200}", page);
        assert!(page.ends_with("x 1\n") && page.len() > 16 * 1024 * 1024, "whole");
        for (request, status) in [
            ("GET /-/healthy HTTP/1.0\n\n", "200 "),
            ("HEAD /metrics HTTP/1.1\r\n\r\n", "405 "),
            ("POST /-/healthy HTTP/1.1\r\nContent-Length: 1\r\n\r\n", "405 "),
            ("GET / HTTP/1.1\r\n\r\n", "404 "),
            ("GET /metrics/../etc/passwd HTTP/1.1\r\n\r\n", "404 "),
            ("GET /metrics\r\n\r\n", "400 "),
            ("GET /metrics SPDY/3\r\n\r\n", "400 "),
            ("x\r\n\r\n", "400 "),
        ] {
            let answer = ask(address, request.as_bytes());
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer:.200}");
        }
        health.set(Some("the records\ncannot be written".to_owned()));
        let answer = ask(address, b"GET /-/healthy HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("\r\n\r\nthe records cannot be written\n"));
    }

    /// Takes longer for an answer than a request may take to come.
    struct Slow;

    impl Site for Slow {
        type Stream = ();

        fn answer(&mut self, _: &Request<'_>) -> Answer<()> {
            thread::sleep(PATIENCE + Duration::from_millis(500));
            Answer::Whole(reply("200 OK", KIND, "", "at last"))
        }
    }

    #[test]
    fn who_comes_during_a_long_answer_has_time_as_well() {
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), "x", CONNECTIONS, None).expect("a port");
        let address = listener.address();
        thread::spawn(move || listener.serve(&mut Slow));
        let mut first = connect(address);
        first.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
        thread::sleep(PATIENCE / 4);
        let mut second = connect(address);
        for (socket, pause) in [(&mut first, 0), (&mut second, 300)] {
            thread::sleep(Duration::from_millis(pause));
            if pause > 0 {
                socket.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
            }
            let mut answer = String::new();
            socket.read_to_string(&mut answer).expect("an answer");
            assert!(answer.ends_with("at last"), "{answer}");
        }
    }

    #[test]
    fn strangers_do_not_keep_others_waiting() {
        let (address, _) = served();
        let began = Instant::now();
        // Nothing said, a line begun, an answer not taken, octets of no kind.
        let silent: Vec<TcpStream> = (0..100).map(|_| connect(address)).collect();
        let mut slow = connect(address);
        slow.write_all(b"GET /met").expect("sent");
        let mut greedy = connect(address);
        greedy.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").expect("sent");
        let _ = ask(address, &[0xff; 64 * 1024]);
        let _ = ask(address, &[b"GET /metrics HTTP/1.1\r\n".to_vec(), vec![b'a'; 64 * 1024]].concat());
        let answer = ask(address, b"GET /-/healthy HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(began.elapsed() < PATIENCE, "answered while the others are there: {:?}", began.elapsed());
        // An octet now and then does not count as speaking.
        let begun = Instant::now();
        while slow.write_all(b"r").is_ok() && begun.elapsed() < 3 * PATIENCE {
            thread::sleep(Duration::from_millis(50));
        }
        assert!(begun.elapsed() < 2 * PATIENCE, "still listened to after {:?}", begun.elapsed());
        let mut taken = Vec::new();
        let _ = greedy.read_to_end(&mut taken);
        assert!(taken.len() < 16 * 1024 * 1024, "what is not taken is not kept");
        drop(silent);
    }
}
