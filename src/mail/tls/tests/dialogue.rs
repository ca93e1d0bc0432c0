//! TLS in a mail dialogue: what a server's answer in clear leads to.

use super::{alert, hello, recorded, told};
use crate::mail::{Detector, End, Interest, Observation, Out, Probe, Protocol, Start};
use crate::stream::Direction::{self, ToClient, ToServer};
use crate::stream::Mark;

/// An SMTP dialogue. Each end has seen all that the other sent before.
struct Talk {
    detector: Box<dyn Detector>,
    ends: [u64; 2],
    interest: Interest,
    out: Out,
}

impl Talk {
    /// Up to the server's consent to STARTTLS.
    fn starttls() -> Self {
        let mut out = Out::default();
        let start = Start { is_midstream: false, server_captured: true };
        let released = Probe::default().release(Protocol::Smtp, start, false, &mut out);
        let talk = Self { detector: released.detector, ends: [0, 0], interest: Interest::Open, out };
        talk.say(ToClient, b"220 mx ESMTP\r\n")
            .say(ToServer, b"EHLO me\r\n")
            .say(ToClient, b"250-mx\r\n250 STARTTLS\r\n")
            .say(ToServer, b"STARTTLS\r\n")
            .say(ToClient, b"220 go\r\n")
    }

    fn say(self, direction: Direction, octets: &[u8]) -> Self {
        let seen = self.ends[direction.other().index()];
        self.say_having_seen(direction, octets, seen)
    }

    fn say_having_seen(mut self, direction: Direction, octets: &[u8], seen: u64) -> Self {
        for piece in octets.chunks(3) {
            if self.interest == Interest::Closed {
                break;
            }
            let end = &mut self.ends[direction.index()];
            let mark = Mark { seen: Some(seen), ..Mark::default() };
            self.interest = self.detector.on_data(direction, *end, piece, mark, &mut self.out);
            *end += piece.len() as u64;
        }
        self
    }

    /// What was seen of TLS, and the users who logged in in clear.
    fn end(mut self) -> (String, Vec<String>) {
        if self.interest == Interest::Open {
            self.detector.on_end(End::Closed, &mut self.out);
        }
        let (mut steps, mut users) = (Vec::new(), Vec::new());
        for (_, observation) in self.out.drain() {
            match observation {
                Observation::Tls(step) => steps.push(step),
                Observation::Login(attempt) => {
                    users.push(attempt.user.as_ref().map_or("?", |user| user.as_str()).to_owned());
                }
                _ => {}
            }
        }
        (told(&steps), users)
    }
}

fn nobody(steps: &str) -> (String, Vec<String>) {
    (steps.to_owned(), Vec::new())
}

const REFUSED: &str = "begins hello server:non-tls-response";

#[test]
fn a_reply_in_clear_to_a_client_hello_is_a_failure() {
    let talk = Talk::starttls().say(ToServer, &hello()).say(ToClient, b"454 TLS not available\r\n");
    assert_eq!(talk.end(), nobody(REFUSED));
    let talk = Talk::starttls().say(ToServer, &hello()).say(ToClient, b"500-what\r\n500 what\r\n");
    assert_eq!(talk.end(), nobody(REFUSED));
}

#[test]
fn what_the_client_sends_in_clear_after_it_is_read() {
    let talk = Talk::starttls()
        .say(ToServer, &hello())
        .say(ToClient, b"500 what\r\n")
        .say(ToServer, &alert(2, 70))
        .say(ToServer, b"AUTH PLAIN AGFubgBtYWRlLXVw\r\n")
        .say(ToClient, b"235 in\r\n");
    assert_eq!(talk.end(), (format!("{REFUSED} client:protocol_version"), vec!["ann".to_owned()]));
}

#[test]
fn a_reply_that_was_on_its_way_before_the_hello_is_no_answer_to_it() {
    let talk = Talk::starttls();
    let seen = talk.ends[ToServer.index()];
    let talk = talk.say(ToServer, &hello()).say_having_seen(ToClient, b"250 late\r\n", seen);
    assert_eq!(talk.end(), nobody("begins hello"));
}

#[test]
fn tls_that_comes_about_after_all_is_followed() {
    for name in ["tls12-rsa", "tls13"] {
        let mut flights = recorded(name).into_iter();
        let (_, hello) = flights.next().expect("a hello");
        let talk = Talk::starttls().say(ToServer, &hello).say(ToClient, b"250 injected\r\n");
        let talk = flights.fold(talk, |talk, (direction, octets)| talk.say(direction, &octets));
        let (steps, _) = talk.end();
        assert!(steps.starts_with(REFUSED) && steps.ends_with("established"), "{name}: {steps}");
    }
}

#[test]
fn a_server_that_speaks_first_after_starttls_is_told() {
    let flights = recorded("tls12-server-first");
    let talk = flights.iter().fold(Talk::starttls(), |talk, (direction, octets)| talk.say(*direction, octets));
    assert_eq!(talk.interest, Interest::Closed);
    assert_eq!(talk.end(), nobody("begins hello 0303:c02f certificate established server-first"));
}

#[test]
fn a_hello_of_sslv2s_form_begins_tls_in_a_dialogue() {
    let flights = recorded("sslv2-hello");
    let talk = flights.iter().fold(Talk::starttls(), |talk, (direction, octets)| talk.say(*direction, octets));
    assert_eq!(talk.end(), nobody("begins hello 0303:009c certificate"));
}
