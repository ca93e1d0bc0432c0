//! Mail sessions: each protocol with the ways to log in that clients use, accepted or not, with a message or without.

use crate::bench;
use crate::others::tls;
use barewire::testing::{Random, Speaker, Transcript};
use barewire::wire::Endpoint;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// What is said, to a server on a port.
pub(crate) struct Dialogue {
    pub(crate) port: u16,
    pub(crate) transcript: Transcript,
}

/// A login that is in the capture.
pub(crate) struct Login {
    user: String,
    protocol: &'static str,
    mechanism: &'static str,
    pub(crate) server: Endpoint,
    is_accepted: bool,
}

impl Login {
    pub(crate) const COLUMNS: &str = "user\tprotocol\tmechanism\tserver\tport\toutcome";
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, protocol, mechanism, server, is_accepted } = self;
        let outcome = if *is_accepted { "accepted" } else { "rejected" };
        let (address, port) = (server.ip(), server.port);
        write!(f, "{user}\t{protocol}\t{mechanism}\t{address}\t{port}\t{outcome}")
    }
}

/// A protocol as its servers speak it.
struct Service {
    protocol: &'static str,
    port: u16,
    hello: &'static str,
    accepted: &'static str,
    rejected: &'static str,
    bye: &'static str,
}

const POP3: Service = Service {
    protocol: "pop3",
    port: 110,
    hello: "S: +OK ready <1896.697170952@mx.example>\nC: CAPA\nS: +OK\nS: TOP\nS: UIDL\nS: USER\n\
            S: SASL PLAIN LOGIN CRAM-MD5\nS: .",
    accepted: "S: +OK in",
    rejected: "S: -ERR [AUTH] no",
    bye: "C: QUIT\nS: +OK bye",
};

const IMAP: Service = Service {
    protocol: "imap",
    port: 143,
    hello: "S: * OK ready\nC: a1 CAPABILITY\n\
            S: * CAPABILITY IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5\nS: a1 OK done",
    accepted: "S: a2 OK in",
    rejected: "S: a2 NO [AUTHENTICATIONFAILED] no",
    bye: "C: a9 LOGOUT\nS: * BYE\nS: a9 OK done",
};

const SMTP: Service = Service {
    protocol: "smtp",
    port: 587,
    hello: "S: 220 mx.example ESMTP\nC: EHLO me.example\nS: 250-mx.example\nS: 250-SIZE\nS: 250 AUTH PLAIN LOGIN CRAM-MD5",
    accepted: "S: 235 2.7.0 in",
    rejected: "S: 535 5.7.8 no",
    bye: "C: QUIT\nS: 221 bye",
};

const SIEVE: Service = Service {
    protocol: "managesieve",
    port: 4190,
    hello: "S: \"IMPLEMENTATION\" \"sieve\"\nS: \"SASL\" \"PLAIN\"\nS: \"SIEVE\" \"fileinto\"\nS: \"VERSION\" \"1.0\"\n\
            S: OK \"ready\"",
    accepted: "S: OK \"in\"",
    rejected: "S: NO \"no\"",
    bye: "C: LOGOUT\nS: OK \"bye\"",
};

const NNTP: Service = Service {
    protocol: "nntp",
    port: 119,
    hello: "S: 200 news.example ready\nC: MODE READER\nS: 200 posting allowed",
    accepted: "S: 281 in",
    rejected: "S: 481 no",
    bye: "C: QUIT\nS: 205 bye",
};

/// Each way to log in: the protocol, what the mechanism is called in records, and the lines.
const WAYS: [(&Service, &str, &str); 21] = [
    (&POP3, "USER-PASS", "C: USER <user>\nS: +OK\nC: PASS <password>"),
    (&POP3, "USER-PASS", "C: user <user>\nS: +OK <user> is welcome\nC: pass <password> and a word"),
    (&POP3, "APOP", "C: APOP <user> <digest>"),
    (&POP3, "PLAIN", "C: AUTH PLAIN\nS: + \nC: <plain>"),
    (&POP3, "LOGIN", "C: AUTH LOGIN\nS: + VXNlcm5hbWU6\nC: <user.64>\nS: + UGFzc3dvcmQ6\nC: <password.64>"),
    (&POP3, "CRAM-MD5", "C: AUTH CRAM-MD5\nS: + PDE4OTYuNjk3QG14LmV4YW1wbGU+\nC: <response>"),
    (&IMAP, "IMAP-LOGIN", "C: a2 LOGIN <user> <password>"),
    (&IMAP, "IMAP-LOGIN", "C: a2 login \"<user>\" \"<password> \\\"and\\\" a word\""),
    (
        &IMAP,
        "IMAP-LOGIN",
        "C: a2 LOGIN {<user.len>}\nS: + go on\nC: <user> {<password.len>}\nS: + go on\nC: <password>",
    ),
    (&IMAP, "IMAP-LOGIN", "C: a2 LOGIN {<user.len>+}\nC: <user> {<password.len>+}\nC: <password>"),
    (&IMAP, "PLAIN", "C: a2 AUTHENTICATE PLAIN <plain>"),
    (&IMAP, "PLAIN", "C: a2 AUTHENTICATE PLAIN\nS: + \nC: <plain>"),
    (&IMAP, "LOGIN", "C: a2 AUTHENTICATE LOGIN\nS: + VXNlcm5hbWU6\nC: <user.64>\nS: + UGFzc3dvcmQ6\nC: <password.64>"),
    (&IMAP, "CRAM-MD5", "C: a2 AUTHENTICATE CRAM-MD5\nS: + PDE4OTYuNjk3QG14LmV4YW1wbGU+\nC: <response>"),
    (&SMTP, "PLAIN", "C: AUTH PLAIN <plain>"),
    (&SMTP, "PLAIN", "C: AUTH PLAIN\nS: 334 \nC: <plain>"),
    (&SMTP, "LOGIN", "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: <user.64>\nS: 334 UGFzc3dvcmQ6\nC: <password.64>"),
    (&SMTP, "LOGIN", "C: AUTH LOGIN <user.64>\nS: 334 UGFzc3dvcmQ6\nC: <password.64>"),
    (&SMTP, "CRAM-MD5", "C: AUTH CRAM-MD5\nS: 334 PDE4OTYuNjk3QG14LmV4YW1wbGU+\nC: <response>"),
    (&SIEVE, "PLAIN", "C: AUTHENTICATE \"PLAIN\" \"<plain>\""),
    (&NNTP, "AUTHINFO", "C: AUTHINFO USER <user>\nS: 381 go on\nC: AUTHINFO PASS <password>"),
];

/// The session of that number. Every way to log in has its turn.
pub(crate) fn session(number: u32, has_message: bool, random: &mut Random) -> (Dialogue, Login) {
    let (service, mechanism, lines) = WAYS[number as usize % WAYS.len()];
    let login = Login {
        user: user(number),
        protocol: service.protocol,
        mechanism,
        server: Endpoint { address: 0, port: 0 },
        is_accepted: random.chance(80),
    };
    let answer = if login.is_accepted { service.accepted } else { service.rejected };
    let mut transcript = said(Transcript::new(service.port), service.hello);
    transcript = said(transcript, &filled(lines, &login.user, random));
    transcript = said(transcript, answer);
    if has_message && login.is_accepted {
        transcript = with_message(service.protocol, transcript, &message(number, random));
    }
    (Dialogue { port: service.port, transcript: said(transcript, service.bye) }, login)
}

/// A session of mail servers, which holds no login in clear: it goes on under TLS.
pub(crate) fn starttls(random: &mut Random) -> Dialogue {
    let lines = "S: 220 mx.example ESMTP\nC: EHLO me.example\nS: 250-mx.example\nS: 250-SIZE\nS: 250 STARTTLS\n\
                 C: STARTTLS\nS: 220 go on";
    Dialogue { port: 25, transcript: tls(said(Transcript::new(25), lines), random) }
}

/// A name that no other session has, and that is part of no other one's.
fn user(number: u32) -> String {
    const NAMES: [&str; 8] = ["ann", "bela", "chloe", "dario", "eun", "femi", "grete", "hugo"];
    let domain = if number.is_multiple_of(5) { "@example.org" } else { "" };
    format!("{}.{number:07}{domain}", NAMES[number as usize % NAMES.len()])
}

/// The lines with the words of the login in their places.
fn filled(lines: &str, user: &str, random: &mut Random) -> String {
    let password = format!("made-up-{:08x}", random.draw() as u32);
    let digest = format!("{:016x}{:016x}", random.draw(), random.draw());
    lines
        .replace("<user>", user)
        .replace("<user.len>", &user.len().to_string())
        .replace("<user.64>", &STANDARD.encode(user))
        .replace("<password>", &password)
        .replace("<password.len>", &password.len().to_string())
        .replace("<password.64>", &STANDARD.encode(&password))
        .replace("<plain>", &STANDARD.encode(format!("\0{user}\0{password}")))
        .replace("<response>", &STANDARD.encode(format!("{user} {digest}")))
        .replace("<digest>", &digest)
}

/// Adds `C: ` and `S: ` lines. What one end says in a row goes out at once.
pub(crate) fn said(mut transcript: Transcript, lines: &str) -> Transcript {
    let mut last = None;
    for line in lines.lines() {
        let speaker = if line.starts_with("C:") { Speaker::Client } else { Speaker::Server };
        let octets = format!("{}\r\n", &line[3..]);
        transcript = match last {
            Some(same) if same == speaker => transcript.say_more(octets.as_bytes()),
            _ => transcript.say(speaker, octets.as_bytes()),
        };
        last = Some(speaker);
    }
    transcript
}

/// The name of nobody: whoever reports it took something for a login that is none.
pub(crate) fn decoy(number: u32) -> String {
    format!("DECOY.{number:07}")
}

/// A message, most of them short; one in eight shows how to log in, which is no login.
pub(crate) fn message(number: u32, random: &mut Random) -> Vec<u8> {
    let most = 2000 + random.below(198_000);
    let size = 1000 + random.below(most);
    if !random.chance(12) {
        return bench::message(size, random);
    }
    let shown = [
        "USER <user>\r\nPASS <password>\r\n",
        "a1 LOGIN <user> <password>\r\na1 OK in\r\n",
        "a2 OK done\r\na1 LOGIN {<user.len>+}\r\n<user> <password>\r\n",
        "AUTH PLAIN <plain>\r\n235 in\r\n",
        "AUTH LOGIN\r\n<user.64>\r\n<password.64>\r\n",
        "..\r\nQUIT\r\nAUTHINFO USER <user>\r\nAUTHINFO PASS <password>\r\n",
    ];
    let shown = filled(shown[random.below(shown.len())], &decoy(number), random);
    [bench::message(size / 2, random), shown.into_bytes(), bench::message(size / 2, random)].concat()
}

/// A message is sent, or fetched, and stored.
fn with_message(protocol: &str, transcript: Transcript, text: &[u8]) -> Transcript {
    let len = text.len();
    let (before, speaker, after) = match protocol {
        "pop3" => (
            format!("C: STAT\nS: +OK 1 {len}\nC: RETR 1\nS: +OK follows"),
            Speaker::Server,
            "S: .\nC: DELE 1\nS: +OK gone",
        ),
        "imap" => (
            format!(
                "C: a3 SELECT INBOX\nS: * 1 EXISTS\nS: a3 OK [READ-WRITE] done\n\
                 C: a4 UID FETCH 7 (UID BODY.PEEK[])\nS: * 1 FETCH (UID 7 BODY[] {{{len}}}"
            ),
            Speaker::Server,
            "S: )\nS: a4 OK done",
        ),
        "smtp" => (
            "C: MAIL FROM:<a@example.com>\nS: 250 ok\nC: RCPT TO:<b@example.org>\nS: 250 ok\nC: DATA\nS: 354 go on"
                .into(),
            Speaker::Client,
            "C: .\nS: 250 queued",
        ),
        "managesieve" => (format!("C: PUTSCRIPT \"a\" {{{len}+}}"), Speaker::Client, "C: \nS: OK \"kept\""),
        _ => (
            "C: GROUP misc.test\nS: 211 1 1 1 misc.test\nC: ARTICLE 1\nS: 220 1 <a@example.com>".into(),
            Speaker::Server,
            "S: .",
        ),
    };
    said(said(transcript, &before).say(speaker, text), after)
}
