//! What must not be taken for a login: other protocols that greet, log in or talk alike, and login-looking text where mail
//! carries text. Each on its own port and on ports of mail, whole and in segments of 1 to 8 octets, with and without its
//! beginning, both directions and one. Names and passwords are made up.

use barewire::finding::{Category, Record};
use barewire::mail::{Confidence, PROTOCOLS};
use barewire::testing::{Link, Speaker, Transcript, judged, run};

/// Not mail, each with its own port.
const OTHERS: [(u16, &str); 20] = [
    // FTP.
    (
        21,
        "S: 220 ftp ready\nC: USER ann\nS: 331 password\nC: PASS made-up\nS: 230 in\nC: SYST\nS: 215 UNIX\nC: PWD\nS: 257 \"/\"\nC: QUIT\nS: 221 bye",
    ),
    (
        21,
        "S: 220-Welcome to SMTP Archives\nS:  mail us\nS: 220 ready\nC: FEAT\nS: 211-Features:\nS:  UTF8\nS: 211 End\nC: USER ann\nS: 331 password\nC: PASS made-up\nS: 530 no\nC: QUIT\nS: 221",
    ),
    (
        2121,
        "S: 220 ftp ready\nC: AUTH TLS\nS: 530 no TLS here\nC: USER ann\nS: 331\nC: PASS made-up\nS: 230\nC: TYPE I\nS: 200\nC: PASV\nS: 227 (1,2,3,4,5,6)\nC: RETR 1\nS: 150\nS: 226",
    ),
    (41_021, "C: USER ann\nS: 331 password\nC: PASS made-up\nS: 230 in\nC: CWD mail\nS: 250 ok\nC: QUIT\nS: 221 bye"),
    (21, "C: USER ann\nC: PASS made-up\nC: PWD\nC: QUIT\nS: 331 password\nS: 230 in\nS: 257 \"/\"\nS: 221 bye"),
    // poppassd.
    (
        106,
        "S: 200 poppassd\nC: user ann\nS: 200 password please\nC: pass made-up\nS: 200 and the new one\nC: newpass made-up-2\nS: 200 changed\nC: quit\nS: 200 bye",
    ),
    (106, "C: user ann\nC: pass made-up\nC: newpass made-up-2\nC: quit\nS: 200\nS: 200\nS: 200\nS: 200"),
    // Redis.
    (6379, "C: AUTH made-up\nS: +OK\nC: PING\nS: +PONG\nC: GET a\nS: $8\nS: USER ann"),
    (6379, "C: *3\nC: $4\nC: AUTH\nC: $3\nC: ann\nC: $7\nC: made-up\nS: +OK\nC: *1\nC: $4\nC: PING\nS: +PONG"),
    (6379, "C: *2\nC: $3\nC: GET\nC: $1\nC: a\nS: $23\nS: USER ann\nS: PASS made-up\nS: +OK"),
    // NATS.
    (
        4222,
        "S: INFO {\"auth_required\":true}\nC: CONNECT {\"user\":\"ann\",\"pass\":\"made-up\"}\nS: +OK\nC: PUB mail 23\nC: USER ann\nC: PASS made-up\nS: +OK\nC: SUB a 1\nS: +OK\nS: MSG a 1 8\nS: USER ann",
    ),
    // IRC.
    (
        6667,
        "C: PASS made-up\nC: NICK ann\nC: USER ann 0 * :Ann\nS: :irc.example 001 ann :hi\nC: PRIVMSG bob :AUTH PLAIN AGFubgBtYWRlLXVw",
    ),
    (
        6667,
        "S: :irc.example NOTICE * :*** hello\nC: CAP LS 302\nC: PASS made-up\nC: USER ann 0 * :Ann\nC: NICK ann\nS: :irc.example CAP * LS :sasl\nC: AUTHENTICATE PLAIN\nS: AUTHENTICATE +\nC: AUTHENTICATE AGFubgBtYWRlLXVw\nS: :irc.example 903 ann :in",
    ),
    // HTTP.
    (
        80,
        "C: POST /login HTTP/1.1\nC: Authorization: Basic YW5uOm1hZGUtdXA=\nC:\nC: USER ann\nC: PASS made-up\nC: a1 LOGIN ann made-up\nC: EHLO me\nC: AUTH PLAIN AGFubgBtYWRlLXVw\nC: AUTHINFO USER ann\nC: AUTHINFO PASS made-up\nS: HTTP/1.1 200 OK\nS:\nS: +OK\nS: +OK\nS: a1 OK\nS: 250 me\nS: 235 in\nS: 381\nS: 281",
    ),
    (
        8080,
        "C: GET /help HTTP/1.1\nC:\nS: HTTP/1.1 200 OK\nS:\nS: * OK hi\nS: USER ann\nS: PASS made-up\nS: a1 LOGIN ann made-up\nS: a1 OK in",
    ),
    // SSH.
    (22, "S: SSH-2.0-OpenSSH_9.2\nC: SSH-2.0-OpenSSH_9.2\nC: USER ann\nC: PASS made-up\nS: +OK\nS: +OK"),
    // memcached.
    (
        11_211,
        "C: set mail 0 900 23\nC: USER ann\nC: PASS made-up\nS: STORED\nC: get mail\nS: VALUE mail 0 23\nS: USER ann\nS: PASS made-up\nS: END",
    ),
    (11_211, "C: get mail\nS: VALUE mail 0 23\nS: USER ann\nS: PASS made-up\nS: END\nC: quit"),
    // rsync.
    (873, "S: @RSYNCD: 31.0\nC: @RSYNCD: 31.0\nC: home\nS: @RSYNCD: AUTHREQD abc\nC: ann n0tAPassw0rd\nS: @RSYNCD: OK"),
    // TLS that is none of mail's.
    (8443, "C: \u{16}\u{3}\u{1}\u{0}USER ann\nC: PASS made-up\nS: +OK\nS: +OK"),
];

/// Login-looking text inside mail. None of these servers is asked what it offers.
const MAIL: [(u16, &str); 27] = [
    // SMTP and LMTP bodies.
    (
        25,
        "S: 220 mx ESMTP AUTH PLAIN AGFubgBtYWRlLXVw\nC: HELO me\nS: 250 AUTH PLAIN AGFubgBtYWRlLXVw\nC: MAIL FROM:<a@b>\nS: 250 ok\nC: RCPT TO:<c@d>\nS: 250 ok\nC: DATA\nS: 354 go\nC: AUTH PLAIN AGFubgBtYWRlLXVw\nC: AUTH LOGIN\nC: YW5u\nC: bWFkZS11cA==\nC: ..\nC: .\nS: 250 queued\nC: QUIT\nS: 221",
    ),
    (
        587,
        "S: 220 mx ESMTP\nC: HELO me\nS: 250 mx\nC: MAIL FROM:<a@b>\nS: 250\nC: RCPT TO:<c@d>\nS: 250\nC: BDAT 63\nC: AUTH LOGIN\nC: YW5u\nC: bWFkZS11cA==\nC: AUTH PLAIN AGFubgBtYWRlLXVw\nC:\nS: 250 ok\nC: BDAT 31 LAST\nC: AUTH PLAIN AGFubgBtYWRlLXVw\nC:\nS: 250 ok\nC: QUIT\nS: 221",
    ),
    (
        25,
        "S: 220 mx ESMTP\nC: HELO me\nS: 250 mx\nC: NOOP AUTH PLAIN AGFubgBtYWRlLXVw\nS: 250 235 in\nC: VRFY AUTH LOGIN\nS: 252 334 VXNlcm5hbWU6\nC: HELP AUTH\nS: 214-AUTH PLAIN AGFubgBtYWRlLXVw\nS: 214 235\nC: QUIT\nS: 221 AUTH PLAIN AGFubgBtYWRlLXVw",
    ),
    (
        24,
        "S: 220 store\nC: LHLO me\nS: 500 no\nC: MAIL FROM:<a@b>\nS: 250\nC: RCPT TO:<c@d>\nS: 250\nC: RCPT TO:<e@f>\nS: 250\nC: DATA\nS: 354\nC: AUTH PLAIN AGFubgBtYWRlLXVw\nC: .\nS: 250\nS: 250\nC: QUIT\nS: 221",
    ),
    // IMAP literals, bodies, arguments and text.
    (
        143,
        "S: * OK a1 LOGIN ann made-up\nC: a1 APPEND x {23}\nS: + a1 LOGIN ann made-up\nC: a2 LOGIN ann made-up\nC:\nS: a1 OK a2 LOGIN ann made-up\nC: a3 APPEND x {23+}\nC: a4 LOGIN ann made-up\nC:\nS: a3 OK\nC: a5 LOGOUT\nS: * BYE a6 LOGIN ann made-up\nS: a5 OK",
    ),
    (
        143,
        "S: * OK hi\nC: a1 FETCH 1 BODY[]\nS: * 1 FETCH (BODY[] {48}\nS: a2 LOGIN ann made-up\nS: a2 OK in\nS: * OK hello\nS: )\nS: a1 OK\nC: a3 LOGOUT\nS: * BYE\nS: a3 OK",
    ),
    (
        143,
        "S: * PREAUTH hi {40}\nC: a1 ID (\"name\" \"a2 LOGIN ann made-up\" \"x\" {21+}\nC: a3 LOGIN ann made-up)\nS: * ID (\"a\" \"a2 LOGIN ann made-up\")\nS: a1 OK\nC: a4 NOOP a5 LOGIN ann made-up\nS: a4 BAD a5 LOGIN ann made-up\nC: a6 LOGOUT\nS: * BYE\nS: a6 OK",
    ),
    (
        143,
        "S: * OK hi\nC: a1 SEARCH BODY {22}\nS: + go\nC: a2 LOGIN ann made-up\nC:\nS: * SEARCH\nS: a1 OK\nC: a3 SEARCH SUBJECT \"a4 LOGIN ann made-up\"\nS: a3 OK\nC: a5 IDLE\nS: + a6 LOGIN ann made-up\nC: DONE\nS: a5 OK\nC: a7 LOGOUT\nS: * BYE\nS: a7 OK",
    ),
    // POP3 bodies and text.
    (
        110,
        "S: +OK USER ann PASS made-up\nC: CAPA\nS: -ERR PASS made-up\nC: RETR 1\nS: +OK\nS: USER ann\nS: PASS made-up\nS: +OK\nS: AUTH PLAIN AGFubgBtYWRlLXVw\nS: ..\nS: .\nC: TOP 1 5\nS: +OK\nS: USER ann\nS: PASS made-up\nS: .\nC: NOOP PASS made-up\nS: +OK PASS made-up\nC: QUIT\nS: +OK",
    ),
    // NNTP articles and text.
    (
        119,
        "S: 200 AUTHINFO PASS made-up\nC: GROUP misc.test\nS: 211 1 1 1 misc.test\nC: ARTICLE 1\nS: 220 1 <a@b>\nS: AUTHINFO USER ann\nS: AUTHINFO PASS made-up\nS: 281 in\nS: .\nC: MODE READER\nS: 200 AUTHINFO PASS made-up\nC: POST\nS: 340 go\nC: Subject: x\nC:\nC: AUTHINFO USER ann\nC: AUTHINFO PASS made-up\nC: .\nS: 240 ok\nC: QUIT\nS: 205",
    ),
    (
        119,
        "S: 200 news\nC: GROUP misc.test\nS: 211 1 1 1 misc.test\nC: IHAVE <a@b>\nS: 335 go\nC: Subject: x\nC:\nC: AUTHINFO SASL PLAIN AGFubgBtYWRlLXVw\nC: ..\nC: .\nS: 235 ok\nC: QUIT\nS: 205",
    ),
    // Sieve scripts and text.
    (
        4190,
        "S: \"IMPLEMENTATION\" \"AUTHENTICATE\"\nS: NO \"AUTHENTICATE\"\nC: PUTSCRIPT \"AUTHENTICATE\" {41+}\nC: AUTHENTICATE \"PLAIN\" \"AGFubgBtYWRlLXVw\"\nC:\nS: OK \"AUTHENTICATE\"\nC: NOOP \"AUTHENTICATE PLAIN\"\nS: OK (TAG \"AUTHENTICATE PLAIN\")\nC: GETSCRIPT \"a\"\nS: {41}\nS: AUTHENTICATE \"PLAIN\" \"AGFubgBtYWRlLXVw\"\nS:\nS: OK\nC: LOGOUT\nS: OK",
    ),
    // ACAP values and text.
    (
        674,
        "C: A1 STORE (\"/x/~/y\" \"a\" {37+}\nC: A2 AUTHENTICATE \"PLAIN\" \"evil evil\"\nC: )\nS: A1 OK \"A3 AUTHENTICATE\"\nC: A4 SEARCH \"/x/~/\" ALL\nS: A4 ENTRY \"y\" {37}\nS: A5 AUTHENTICATE \"PLAIN\" \"evil evil\"\nS: )\nS: A4 OK \"done\"\nC: A6 NOOP A7 AUTHENTICATE \"PLAIN\" \"evil\"\nS: A6 BAD \"what\"\nC: A8 LOGOUT\nS: * BYE \"bye\"\nS: A8 OK \"bye\"",
    ),
    (674, "S: * BYE \"A1 AUTHENTICATE\""),
    // Ordinary mail of each protocol on ports of others.
    (110, "S: 220 mx ESMTP\nC: HELO me\nS: 250 mx\nC: QUIT\nS: 221"),
    (143, "S: +OK hi\nC: CAPA\nS: -ERR\nC: QUIT\nS: +OK"),
    (25, "S: * OK hi\nC: a LOGOUT\nS: * BYE\nS: a OK"),
    // Text where a client gave up.
    (110, "S: +OK hi\nC: AUTH PLAIN\nS: + \nC: *\nS: -ERR\nC: QUIT\nS: +OK"),
    (143, "S: * OK hi\nC: a AUTHENTICATE PLAIN\nS: +\nC: *\nS: a BAD\nC: b LOGOUT\nS: * BYE\nS: b OK"),
    (587, "S: 220 mx ESMTP\nC: HELO me\nS: 250 mx\nC: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: *\nS: 501\nC: QUIT\nS: 221"),
    // Names alone are no login.
    (110, "S: +OK hi\nC: USER ann\nS: -ERR never heard of\nC: QUIT\nS: +OK"),
    (119, "S: 200 news\nC: AUTHINFO USER ann\nS: 483 TLS first\nC: QUIT\nS: 205"),
    // Commands in wrong places.
    (143, "S: * OK hi\nC: LOGIN ann made-up\nS: LOGIN BAD\nC: b LOGOUT\nS: * BYE\nS: b OK"),
    (25, "S: 220 mx ESMTP\nC: HELO me\nS: 250 mx\nC: USER ann\nS: 500\nC: PASS made-up\nS: 500\nC: QUIT\nS: 221"),
    (110, "S: +OK hi\nC: CAPA\nS: -ERR\nC: a LOGIN ann made-up\nS: -ERR\nC: QUIT\nS: +OK"),
    (119, "S: 200 news\nC: GROUP a\nS: 411\nC: AUTH PLAIN AGFubgBtYWRlLXVw\nS: 500\nC: QUIT\nS: 205"),
    (4190, "S: \"IMPLEMENTATION\" \"x\"\nS: NO\nC: AUTHENTICATE PLAIN\nS: NO\nC: LOGOUT\nS: OK"),
];

/// A transcript in every way it may be captured, and the way in words.
fn ways(port: u16, text: &str) -> Vec<(String, Transcript)> {
    let mut ways = Vec::new();
    for part in [None, Some(Speaker::Client), Some(Speaker::Server)] {
        for (is_midstream, octets) in [false, true].into_iter().flat_map(|is| CUTS.map(|octets| (is, octets))) {
            let mut transcript = Transcript::parse(port, text).segment(octets);
            if let Some(part) = part {
                transcript = transcript.only(part);
            }
            if is_midstream {
                transcript = transcript.midstream();
            }
            let how = format!("port {port}, of {part:?}, midstream {is_midstream}, segments of {octets}:\n{text}");
            ways.push((how, transcript));
        }
    }
    ways
}

const CUTS: [usize; 9] = [1460, 1, 2, 3, 4, 5, 6, 7, 8];

/// Logins and findings but for what is told of the capture itself; sessions.
fn said(transcript: &Transcript) -> (Vec<String>, usize) {
    let (records, _) = run(&transcript.play(), Link::Ethernet);
    let sessions = records.iter().filter(|record| matches!(record, Record::Session(_))).count();
    let told = |record: &Record| match record {
        Record::Login(login) => Some(format!("login by {}", login.mechanism.as_str())),
        // What a server offers in clear, and how the connection was protected, may be told of any.
        Record::Finding(finding) => {
            let is_about_login = finding.id.entry().category == Category::Exposure && finding.outcome.is_some();
            is_about_login.then(|| finding.id.name().to_owned())
        }
        Record::Session(_) => None,
    };
    (records.iter().filter_map(told).collect(), sessions)
}

fn mail_ports() -> impl Iterator<Item = u16> {
    PROTOCOLS.iter().flat_map(|info| info.ports.iter().chain(info.implicit_tls_ports)).copied()
}

#[test]
fn another_protocol_is_never_taken_for_mail() {
    let mut wrong = Vec::new();
    for (own, text) in OTHERS {
        for port in mail_ports().chain([own, 4242]) {
            for (how, transcript) in ways(port, text) {
                let (told, sessions) = said(&transcript);
                // A server heard alone that greets as mail does is mail by its port.
                if !told.is_empty() || sessions > 0 && !how.contains("Server") {
                    wrong.push(format!("{told:?}, {sessions} sessions, {how}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn text_in_mail_is_never_taken_for_a_login() {
    let mut wrong = Vec::new();
    for (own, text) in MAIL {
        for port in [own, 4242] {
            for (how, transcript) in ways(port, text) {
                let (told, _) = said(&transcript);
                if !told.is_empty() {
                    wrong.push(format!("{told:?}, {how}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Mail in which others seem to show themselves, and the login in it.
const MAIL_ALL_THE_SAME: [(u16, &str, &str); 7] = [
    (143, "S: * OK hi\nC: 1 LOGIN ann HTTP/1.1\nS: 1 OK in\nC: 2 LOGOUT\nS: * BYE\nS: 2 OK", "IMAP-LOGIN"),
    (143, "C: GET LOGIN ann HTTP/1.1\nS: GET OK in\nC: 2 LOGOUT\nS: * BYE\nS: 2 OK", "IMAP-LOGIN"),
    (
        587,
        "S: 220-ftp.example\nS: 220 ESMTP\nC: EHLO me\nS: 250 me\nC: AUTH PLAIN AGFubgBtYWRlLXVw\nS: 235 in\nC: QUIT\nS: 221",
        "PLAIN",
    ),
    (
        25,
        "C: MAIL FROM:<a@b>\nS: 250\nC: DATA\nS: 354\nC: NICK ann\nC: USER ann\nC: GET / HTTP/1.1\nC: SSH-2.0\nC: .\nS: 250\nC: AUTH PLAIN AGFubgBtYWRlLXVw\nS: 235\nC: QUIT\nS: 221",
        "PLAIN",
    ),
    (110, "S: +OK 220 331\nC: USER NICK\nS: +OK\nC: PASS ann 0 * :x\nS: +OK\nC: QUIT\nS: +OK", "USER-PASS"),
    (4242, "C: RETR 1\nS: +OK\nS: PWD\nS: .\nC: AUTH PLAIN AGFubgBtYWRlLXVw\nS: +OK\nC: QUIT\nS: +OK", "PLAIN"),
    (110, "C: USER ann\nS: +OK\nC: PASS made-up\nS: +OK\nC: STAT\nS: +OK 1 2\nC: QUIT\nS: +OK", "USER-PASS"),
];

#[test]
fn mail_stays_mail_whatever_it_says() {
    for (port, text, mechanism) in MAIL_ALL_THE_SAME {
        for (how, transcript) in ways(port, text).into_iter().filter(|(how, _)| how.contains("of None, midstream true"))
        {
            let (told, _) = said(&transcript);
            assert!(told.contains(&format!("login by {mechanism}")), "{told:?} {how}");
        }
    }
}

/// Without the server's words USER and PASS are POP3 by their port, unless what follows is FTP.
#[test]
fn what_follows_a_login_tells_pop3_from_ftp() {
    for (rest, is_pop3) in [("STAT", true), ("QUIT", true), ("LIST", true), ("SYST", false), ("TYPE I", false)] {
        let heard = ways(110, &format!("C: USER ann\nC: PASS made-up\nC: {rest}"));
        for (how, transcript) in heard.into_iter().filter(|(how, _)| !how.contains("Server")) {
            assert_eq!(!said(&transcript).0.is_empty(), is_pop3, "{how}");
        }
    }
}

#[test]
fn a_greeting_that_nothing_bears_out_is_doubted() {
    let chat =
        "S: * OK chat\nC: hello there\nS: who is it\nC: me again\nS: what now\nC: nothing\nS: go away\nC: bye bye";
    for (text, confidence) in [
        (chat.to_owned(), Confidence::Possible),
        (format!("{chat}\nC: a NOOP"), Confidence::Possible),
        (chat.replace("hello there", "a NOOP"), Confidence::Confirmed),
    ] {
        for octets in CUTS {
            let (_, session) = judged(&Transcript::parse(143, &text).segment(octets));
            assert_eq!(session.map(|session| session.confidence), Some(confidence), "segments of {octets}:\n{text}");
        }
    }
}
