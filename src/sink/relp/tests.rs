//! Against servers that answer in pieces, in disorder, with garbage or not at all.

use super::*;
use crate::testing::Random;
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

/// An answer to `open` as librelp gives it, without its number.
const OPENED: &str = "rsp 93 200 OK\nrelp_version=0\nrelp_software=librelp,1.11.0,http://librelp.adiscon.com\n\
                      commands=syslog\n";

fn parcels(count: u64) -> Vec<Parcel> {
    let line = |number| format!("{{\"event\":{{\"id\":\"{number}\"}}}}").into_bytes().into();
    (0..count).map(|number| Parcel { number, line: line(number) }).collect()
}

/// Reads frames of a client.
struct Frames {
    socket: TcpStream,
    received: Vec<u8>,
}

impl Frames {
    /// Number, command and data of the next; `None` at the end.
    fn next(&mut self) -> Option<(u32, String, String)> {
        loop {
            if let Some(frame) = parse(&self.received).expect("a client speaks RELP") {
                let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).expect("ASCII");
                let found = (frame.number, text(&frame.command), text(&self.received[frame.data]));
                self.received.drain(..frame.octets);
                return Some(found);
            }
            let mut more = [0; 4096];
            let octets = self.socket.read(&mut more).ok().filter(|octets| *octets > 0)?;
            self.received.extend_from_slice(&more[..octets]);
        }
    }

    fn say(&mut self, octets: &[u8]) {
        self.socket.write_all(octets).expect("the client reads");
    }
}

/// What a client says after its patience was at its end.
const NOTHING: &str = "nothing within 500ms";

/// How long a client waits that is to say so in the end: little, where it comes to that.
fn patience(why: &str) -> Duration {
    if why == NOTHING { Duration::from_millis(500) } else { PATIENCE }
}

/// A server for one client, and the client.
fn served<T: Send + 'static>(
    patience: Duration,
    script: impl FnOnce(Frames) -> T + Send + 'static,
) -> (Relp, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let options = Options { patience, ..Options::new(listener.local_addr().expect("its port").to_string()) };
    let server = thread::spawn(move || {
        let (socket, _) = listener.accept().expect("a client");
        socket.set_nodelay(true).expect("an option");
        script(Frames { socket, received: Vec::new() })
    });
    (Relp::new(&options, Form::Ecs).expect("good options"), server)
}

/// A session of three messages, answered with `answers`, where `#0` to `#2` stand for their numbers, in pieces of some
/// octets; then the server hangs up or keeps quiet.
fn check(first: u32, piece: usize, answers: &'static str, hangs_up: bool, fates: &[Fate], why: &str) {
    let (mut relp, server) = served(patience(why), move |mut client| {
        let (number, command, data) = client.next().expect("open");
        assert_eq!((number, command.as_str()), (first, "open"));
        assert!(data.starts_with("relp_version=0\n") && data.ends_with("\ncommands=syslog"), "{data}");
        client.say(format!("{number} {OPENED}").as_bytes());
        let mut answers = answers.to_owned();
        let mut expected = number;
        for place in 0..3 {
            let (number, command, message) = client.next().expect("a message");
            expected = if expected == LAST { 1 } else { expected + 1 };
            assert_eq!((number, command.as_str()), (expected, "syslog"));
            assert!(message.ends_with(&format!("] {{\"event\":{{\"id\":\"{place}\"}}}}")), "{message}");
            answers = answers.replace(&format!("#{place}"), &number.to_string());
        }
        for piece in answers.as_bytes().chunks(piece) {
            client.say(piece);
        }
        while !hangs_up && let Some((number, ..)) = client.next() {
            client.say(format!("{number} rsp 0\n").as_bytes());
        }
    });
    relp.first = first;
    let report = relp.deliver(&parcels(3));
    drop(relp);
    server.join().expect("the server");
    assert_eq!(report.fates, fates, "{answers}");
    match report.trouble {
        None => assert_eq!(why, "", "{answers}"),
        Some(trouble) => assert!(!why.is_empty() && trouble.why.contains(why), "{answers}: {}", trouble.why),
    }
}

#[test]
fn answers_say_what_became_of_each() {
    let refused = Fate::Refused("500 no such thing".to_owned());
    let answers = "#0 rsp 6 200 OK\n#1 rsp 17 500 no such thing\n#2 rsp 3 200\n";
    for first in [1, LAST - 3, LAST - 2, LAST - 1, LAST] {
        for piece in [1, 7, 1000] {
            check(first, piece, answers, false, &[Fate::Delivered, refused.clone(), Fate::Delivered], "");
        }
    }
}

#[test]
fn answers_may_come_in_any_order() {
    let answers = "#2 rsp 6 200 OK\n#0 rsp 6 200 OK\n#1 rsp 6 200 OK\n";
    check(1, 1000, answers, false, &[Fate::Delivered, Fate::Delivered, Fate::Delivered], "");
    check(LAST - 1, 1000, answers, false, &[Fate::Delivered, Fate::Delivered, Fate::Delivered], "");
}

#[test]
fn what_was_not_answered_waits() {
    use Fate::{Delivered, Waits};
    check(1, 1000, "#1 rsp 6 200 OK\n", true, &[Waits, Delivered, Waits], "closed");
    check(1, 1000, "#0 rsp 6 200 OK\n", false, &[Delivered, Waits, Waits], NOTHING);
    check(1, 1000, "#0 rsp 6 200 OK\n0 serverclose 0\n", false, &[Delivered, Waits, Waits], "closed the session");
    check(1, 1000, "", false, &[Waits, Waits, Waits], NOTHING);
}

#[test]
fn garbage_ends_the_connection() {
    use Fate::{Delivered, Waits};
    for answers in [
        "HTTP/1.1 400 Bad Request\r\n",
        "\n",
        " rsp 0\n",
        "0000000000 rsp 0\n",
        "+2 rsp 0\n",
        "2 rsp x\n",
        "2 rsp 9999999999\n",
        "2 rsp 4097 ",
        "2 rsp 6 200 OKx",
        "2 rsp 6\n",
        "2 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        check(1, 1000, answers, false, &[Waits, Waits, Waits], "it");
    }
    // Answers to what was not asked.
    for answers in ["0 rsp 6 200 OK\n", "1 rsp 6 200 OK\n", "5 rsp 6 200 OK\n", "#0 syslog 0\n", "#0 open 1 x\n"] {
        check(1, 1000, answers, false, &[Waits, Waits, Waits], "it");
    }
    check(1, 1000, "#0 rsp 6 200 OK\n#0 rsp 6 200 OK\n", false, &[Delivered, Waits, Waits], "not open");
    check(LAST - 3, 1000, "0 rsp 6 200 OK\n", false, &[Waits, Waits, Waits], "not open");
    // An answer that is no code is none that confirms.
    let refused = |text: &str| Fate::Refused(text.to_owned());
    let answers = "#0 rsp 0\n#1 rsp 0 \n#2 rsp 8 \x1b[2J 200\n";
    check(1, 1000, answers, false, &[refused(""), refused(""), refused("?[2J 200")], "");
}

#[test]
fn a_frame_is_one_once_it_is_whole() {
    for frame in ["7 rsp 6 200 OK\n", "999999999 rsp 0\n", "0 serverclose 0 \n", "1 rsp 3 \n\n\n\n"] {
        for cut in 0..frame.len() {
            assert!(matches!(parse(&frame.as_bytes()[..cut]), Ok(None)), "{frame:?} at {cut}");
        }
        let more = format!("{frame}8 rsp 0\n");
        assert!(matches!(parse(more.as_bytes()), Ok(Some(found)) if found.octets == frame.len()), "{frame:?}");
    }
}

#[test]
fn no_octets_upset_the_parser() {
    let mut random = Random::new(7);
    let alphabet = b"0123456789 \n rsp\0\xff";
    for _ in 0..100_000 {
        let octets: Vec<u8> = (0..random.below(40)).map(|_| alphabet[random.below(alphabet.len())]).collect();
        if let Ok(Some(frame)) = parse(&octets) {
            assert!(frame.data.end <= frame.octets && frame.octets <= octets.len() && frame.number <= LAST);
        }
    }
}

#[test]
fn a_session_that_is_not_opened_is_trouble() {
    for (answer, why) in [
        ("1 rsp 7 500 no!\n", "does not open a session: 500 no!"),
        ("2 rsp 6 200 OK\n", "does not open"),
        ("1 rsp 6 200 OK\n", "does not take syslog"),
        ("1 rsp 32 200 OK\ncommands=syslogs,starttls\n", "does not take syslog"),
        ("", NOTHING),
    ] {
        let (mut relp, server) = served(patience(why), move |mut client| {
            client.next().expect("open");
            client.say(answer.as_bytes());
            while client.next().is_some() {}
        });
        let report = relp.deliver(&parcels(2));
        drop(relp);
        server.join().expect("the server");
        assert_eq!(report.fates, [Fate::Waits, Fate::Waits]);
        let trouble = report.trouble.expect("trouble");
        assert!(trouble.why.contains(why), "{}", trouble.why);
    }
}

#[test]
fn a_session_is_used_again_and_closed_in_order() {
    let (mut relp, server) = served(PATIENCE, |mut client| {
        let mut said = Vec::new();
        while let Some((number, command, _)) = client.next() {
            let answer = if command == "open" { OPENED.to_owned() } else { "rsp 6 200 OK\n".to_owned() };
            client.say(format!("{number} {answer}").as_bytes());
            said.push(format!("{number} {command}"));
        }
        said
    });
    let mut batch = parcels(2);
    batch[1].line = b"no record"[..].into();
    assert_eq!(
        relp.deliver(&batch),
        Report { fates: vec![Fate::Delivered, Fate::Refused("no record".to_owned())], trouble: None }
    );
    assert_eq!(relp.deliver(&parcels(2)), Report::all(2, Fate::Delivered));
    assert_eq!(relp.deliver(&[]), Report::all(0, Fate::Delivered));
    drop(relp);
    assert_eq!(server.join().expect("the server"), ["1 open", "2 syslog", "3 syslog", "4 syslog", "5 close"]);
}

#[test]
fn more_than_a_window_goes_in_several() {
    let (mut relp, server) = served(PATIENCE, |mut client| {
        let mut longest = 0;
        let mut open = Vec::new();
        while let Some((number, command, _)) = client.next() {
            match command.as_str() {
                "open" => client.say(format!("{number} {OPENED}").as_bytes()),
                _ => open.push(number),
            }
            longest = longest.max(open.len());
            if open.len() == 4 || number >= 10 {
                open.drain(..).rev().for_each(|number| client.say(format!("{number} rsp 3 200\n").as_bytes()));
            }
        }
        longest
    });
    relp.window = 4;
    assert_eq!(relp.bounds().records, 4);
    assert_eq!(relp.deliver(&parcels(10)), Report::all(10, Fate::Delivered));
    drop(relp);
    assert_eq!(server.join().expect("the server"), 4);
}

#[test]
fn after_a_close_between_batches_the_next_connects_anew() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let options = Options::new(listener.local_addr().expect("its port").to_string());
    let server = thread::spawn(move || {
        for _ in 0..2 {
            let (socket, _) = listener.accept().expect("a client");
            let mut client = Frames { socket, received: Vec::new() };
            for answer in [OPENED, "rsp 6 200 OK\n"] {
                let (number, ..) = client.next().expect("a frame");
                client.say(format!("{number} {answer}").as_bytes());
            }
            client.say(b"0 serverclose 0\n");
        }
    });
    let mut relp = Relp::new(&options, Form::Ecs).expect("good options");
    assert_eq!(relp.deliver(&parcels(1)), Report::all(1, Fate::Delivered));
    // What the server said last has come once its end has.
    if let Some(session) = &mut relp.session {
        session.stream.allow(SLICES);
        while session.stream.read(&mut [0; 1]).is_ok_and(|octets| octets > 0) {}
    }
    assert_eq!(relp.deliver(&parcels(1)), Report::all(1, Fate::Delivered));
    server.join().expect("the server");
}
