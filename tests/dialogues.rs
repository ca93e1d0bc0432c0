//! Dialogues as the RFCs print them, and the traps: what each shows, however the octets are cut.
//!
//! `check` plays a transcript as a TCP connection in segments of 1 to 8 octets and whole lines; every cut must give
//! the same logins. Credentials are the RFCs' own examples or made up.

use barewire::finding::{Offer, Record, Session};
use barewire::mail::{Outcome, Reason};
use barewire::testing::{Link, Transcript, judged, run, shake};
use barewire::wire::Flags;

fn check(port: u16, text: &str, expected: &[&str]) -> Session {
    let whole = Transcript::parse(port, text);
    let (logins, session) = judged(&whole);
    assert_eq!(logins, expected, "{text}");
    for octets in 1..=8 {
        let (logins, cut) = judged(&whole.clone().segment(octets));
        assert_eq!(logins, expected, "in segments of {octets}: {text}");
        let facts =
            |session: &Session| (session.starttls.clone(), session.messages, session.flow.protocol, session.is_tls);
        assert_eq!(cut.as_ref().map(facts), session.as_ref().map(facts), "in segments of {octets}: {text}");
    }
    session.expect("a mail session")
}

#[test]
fn pop3_as_rfc_1939_prints_it() {
    check(
        110,
        "S: +OK POP3 server ready\nC: USER mrose\nS: +OK mrose is a real hoopy frood\nC: PASS secret\nS: +OK mrose's maildrop has 2 messages\nC: QUIT\nS: +OK dewey POP3 server signing off",
        &["mrose USER-PASS accepted"],
    );
    check(
        110,
        "S: +OK <1896.697170952@dbc.mtview.ca.us>\nC: APOP mrose c4c9334bac560ecc979e58001b3e22fb\nS: +OK maildrop has 1 message\nC: QUIT\nS: +OK",
        &["mrose APOP accepted"],
    );
}

#[test]
fn pop3_codes_say_whether_the_password_works() {
    for (reply, outcome) in [
        ("-ERR [IN-USE] Do you have another POP session running?", "rejected-after-auth"),
        ("-ERR [AUTH] wrong", "rejected"),
        ("-ERR [SYS/TEMP] later", "temporary"),
        ("-ERR [LOGIN-DELAY] slowly", "temporary"),
        ("-ERR no", "rejected"),
    ] {
        let text = format!("S: +OK hi\nC: USER ann\nS: +OK\nC: PASS made-up\nS: {reply}\nC: QUIT\nS: +OK bye");
        check(110, &text, &[&format!("ann USER-PASS {outcome}")]);
    }
}

#[test]
fn pop3_sasl_as_rfc_5034_prints_it() {
    check(
        110,
        "S: +OK pop.example.com\nC: AUTH PLAIN dGVzdAB0ZXN0AHRlc3Q=\nS: +OK Maildrop locked and ready\nC: QUIT\nS: +OK",
        &["test PLAIN accepted"],
    );
    check(
        110,
        "S: +OK hi\nC: AUTH LOGIN\nS: + VXNlcm5hbWU6\nC: YW5u\nS: + UGFzc3dvcmQ6\nC: bWFkZS11cA==\nS: -ERR no\nC: AUTH PLAIN\nS: +\nC: *\nS: -ERR cancelled\nC: QUIT\nS: +OK",
        &["ann LOGIN rejected"],
    );
    check(
        110,
        "S: +OK hi\nC: AUTH CRAM-MD5\nS: + PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\nC: dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\nS: +OK\nC: QUIT\nS: +OK",
        &["tim CRAM-MD5 accepted"],
    );
}

#[test]
fn pop3_bodies_and_lists_are_no_replies_and_no_commands() {
    let session = check(
        110,
        "S: +OK hi\nC: USER ann\nS: +OK\nC: PASS made-up\nS: +OK in\nC: LIST\nS: +OK\nS: 1 200\nS: .\nC: RETR 1\nS: +OK 60 octets\nS: USER mallory\nS: PASS x\nS: +OK\nS: -ERR\nS: ..\nS: .\nC: CAPA\nS: +OK\nS: STLS\nS: USER\nS: .\nC: QUIT\nS: +OK",
        &["ann USER-PASS accepted"],
    );
    // STLS is for before the login (RFC 2595 §4): what is listed after it is no offer.
    assert_eq!((session.messages, session.starttls.offer), (1, Offer::Unknown(Reason::NotAsked)));
}

#[test]
fn imap_login_in_every_form_of_string() {
    let dialogue = |login: &str| format!("S: * OK ready\n{login}\nS: a1 OK in\nC: a2 LOGOUT\nS: * BYE\nS: a2 OK");
    check(143, &dialogue("C: a1 LOGIN SMITH SESAME"), &["SMITH IMAP-LOGIN accepted"]);
    check(143, &dialogue("C: a1 LOGIN \"john \\\"j\\\" smith\" \"a\\\\b\""), &["john \"j\" smith IMAP-LOGIN accepted"]);
    check(
        143,
        &dialogue("C: a1 LOGIN {11}\nS: + Ready\nC: FRED FOOBAR {7}\nS: + Ready\nC: fat man"),
        &["FRED FOOBAR IMAP-LOGIN accepted"],
    );
    check(143, &dialogue("C: a1 LOGIN {11+}\nC: FRED FOOBAR {7+}\nC: fat man"), &["FRED FOOBAR IMAP-LOGIN accepted"]);
    check(143, &dialogue("C: a1 LOGIN ann {7+}\nC: made-up"), &["ann IMAP-LOGIN accepted"]);
}

#[test]
fn imap_logins_may_be_answered_in_another_order() {
    let text =
        "S: * OK hi\nC: x LOGIN ann made-up\nC: y LOGIN ben made-up\nS: y NO\nS: x OK\nC: z LOGOUT\nS: * BYE\nS: z OK";
    check(143, text, &["ben IMAP-LOGIN rejected", "ann IMAP-LOGIN accepted"]);
}

#[test]
fn imap_codes_say_whether_the_password_works() {
    for (reply, outcome) in [
        ("NO [AUTHENTICATIONFAILED] no", "rejected"),
        ("NO [AUTHORIZATIONFAILED] not you", "rejected-after-auth"),
        ("NO [PRIVACYREQUIRED] TLS first", "refused-by-policy"),
        ("NO [UNAVAILABLE] later", "temporary"),
        ("BAD what", "cancelled"),
    ] {
        let text = format!("S: * OK hi\nC: x LOGIN ann made-up\nS: x {reply}\nC: y LOGOUT\nS: * BYE\nS: y OK");
        check(143, &text, &[&format!("ann IMAP-LOGIN {outcome}")]);
    }
}

#[test]
fn imap_literals_and_free_text_do_not_deceive() {
    let text = "S: * OK welcome {200}\nC: a1 LOGIN ann \"made {5}\"\nS: a1 OK in\nC: a2 APPEND x {22}\nS: + go\n\
                C: a9 LOGIN mallory evil\nC:\nS: a2 OK\nC: a3 FETCH 1 BODY[]\nS: * 1 FETCH (BODY[] {15}\nS: a4 OK LOGIN x\nS: )\n\
                S: a3 OK\nC: a4 NOOP a5 LOGIN mallory evil\nS: a4 OK\nC: a6 LOGOUT\nS: * BYE\nS: a6 OK";
    let session = check(143, text, &["ann IMAP-LOGIN accepted"]);
    assert_eq!(session.messages, 2);
}

#[test]
fn a_refused_literal_ends_its_command() {
    check(
        143,
        "S: * OK hi\nC: a1 LOGIN {3}\nS: a1 NO too early\nC: a2 LOGIN bob made-up\nS: a2 OK\nC: a3 LOGOUT\nS: * BYE\nS: a3 OK",
        &["bob IMAP-LOGIN accepted"],
    );
}

#[test]
fn imap_authenticate_with_and_without_initial_response() {
    check(
        143,
        "S: * OK hi\nC: A01 AUTHENTICATE PLAIN\nS: +\nC: dGVzdAB0ZXN0AHRlc3Q=\nS: A01 OK Success\nC: A02 LOGOUT\nS: * BYE\nS: A02 OK",
        &["test PLAIN accepted"],
    );
    check(
        143,
        "S: * OK hi\nC: A01 AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=\nS: A01 NO\nC: A02 AUTHENTICATE LOGIN\nS: + VXNlcm5hbWU6\nC: *\nS: A02 BAD cancelled\nC: A03 LOGOUT\nS: * BYE\nS: A03 OK",
        &["test PLAIN rejected"],
    );
}

#[test]
fn smtp_auth_as_rfc_4954_prints_it() {
    let hello = "S: 220-smtp.example.com ESMTP Server\nS: 220 more\nC: EHLO client.example.com\nS: 250-smtp.example.com Hello\nS: 250 AUTH GSSAPI DIGEST-MD5 PLAIN\n";
    check(
        587,
        &format!(
            "{hello}C: AUTH PLAIN dGVzdAB0ZXN0ADEyMzQ=\nS: 235 2.7.0 Authentication successful\nC: QUIT\nS: 221 bye"
        ),
        &["test PLAIN accepted"],
    );
    check(
        587,
        &format!(
            "{hello}C: AUTH PLAIN\nS: 334 \nC: dGVzdAB0ZXN0ADEyMzQ=\nS: 535 5.7.8 no\nC: AUTH LOGIN YW5u\nS: 334 UGFzc3dvcmQ6\nC: QUIT\nS: 221 bye"
        ),
        &["test PLAIN rejected"],
    );
    for (code, outcome) in [
        ("454 4.7.0", "temporary"),
        ("534 5.7.9", "refused-by-policy"),
        ("538 5.7.11", "refused-by-policy"),
        ("501 5.5.2", "cancelled"),
    ] {
        check(
            587,
            &format!("{hello}C: AUTH PLAIN dGVzdAB0ZXN0ADEyMzQ=\nS: {code} text\nC: QUIT\nS: 221 bye"),
            &[&format!("test PLAIN {outcome}")],
        );
    }
}

#[test]
fn smtp_bodies_are_no_commands_whoever_ends_them() {
    let start = "S: 220 mx ESMTP\nC: EHLO me\nS: 250-mx\nS: 250 STARTTLS\nC: MAIL FROM:<a@b>\nS: 250 ok\nC: RCPT TO:<c@d>\nS: 250 ok\n";
    let session = check(
        25,
        &format!(
            "{start}C: DATA\nS: 354 go\nC: AUTH PLAIN AG1hbGxvcnkAZXZpbA==\nC: ..\nC: .\nS: 250 queued\nC: QUIT\nS: 221"
        ),
        &[],
    );
    assert_eq!((session.messages, session.starttls.offer), (1, Offer::Offered));
    check(
        25,
        &format!(
            "{start}C: BDAT 36\nC: AUTH PLAIN AG1hbGxvcnkAZXZpbA==\nC: 1\nC:\nS: 250 ok\nC: BDAT 0 LAST\nS: 250 ok\nC: QUIT\nS: 221"
        ),
        &[],
    );
    check(
        25,
        &format!("{start}C: DATA\nS: 554 no\nC: AUTH PLAIN AGFubgBtYWRlLXVw\nS: 235 in\nC: QUIT\nS: 221"),
        &["ann PLAIN accepted"],
    );
}

#[test]
fn the_first_line_of_an_ehlo_reply_is_no_capability_and_helo_has_none() {
    let session = check(25, "S: 220 mx ESMTP\nC: EHLO me\nS: 250-STARTTLS\nS: 250 SIZE\nC: QUIT\nS: 221", &[]);
    assert_eq!(session.starttls.offer, Offer::NotOffered);
    let session = check(25, "S: 220 mx ESMTP\nC: EHLO me\nS: 500 what\nC: HELO me\nS: 250 mx\nC: QUIT\nS: 221", &[]);
    assert!(matches!(session.starttls.offer, Offer::Unknown(_)));
}

#[test]
fn a_refused_starttls_is_told_with_its_code() {
    let session = check(
        587,
        "S: 220 mx ESMTP\nC: EHLO me\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 4.7.0 TLS not available\nC: AUTH PLAIN AGFubgBtYWRlLXVw\nS: 235 in\nC: QUIT\nS: 221",
        &["ann PLAIN accepted"],
    );
    assert!(session.starttls.is_requested);
    assert_eq!(session.starttls.reply_code.expect("a code").as_str(), "454");
}

#[test]
fn lmtp_answers_once_for_each_recipient() {
    check(
        24,
        "S: 220 store LMTP\nC: LHLO mx\nS: 250 store\nC: MAIL FROM:<a@b>\nS: 250\nC: RCPT TO:<c@d>\nS: 250\nC: RCPT TO:<e@f>\nS: 250\nC: DATA\nS: 354 go\nC: AUTH PLAIN AG1hbGxvcnkAZXZpbA==\nC: .\nS: 250 c\nS: 452 e\nC: QUIT\nS: 221",
        &[],
    );
}

#[test]
fn managesieve_as_rfc_5804_prints_it() {
    let hello = "S: \"IMPLEMENTATION\" \"Example1 ManageSieved v001\"\nS: \"SASL\" \"PLAIN SCRAM-SHA-1\"\nS: \"STARTTLS\"\nS: \"VERSION\" \"1.0\"\nS: OK\n";
    let session = check(
        4190,
        &format!(
            "{hello}C: Authenticate \"PLAIN\" \"QJIrweAPyo6Q1T9xu\"\nS: NO\nC: Authenticate \"PLAIN\" \"AGFubgBtYWRlLXVw\"\nS: OK\nC: Putscript \"x\" {{31+}}\nC: Authenticate \"PLAIN\" \"AGE=\"\nC:\nC:\nS: OK\nC: Logout\nS: OK"
        ),
        &["? PLAIN rejected", "ann PLAIN accepted"],
    );
    assert_eq!(session.starttls.offer, Offer::Offered);
    check(
        4190,
        &format!(
            "{hello}C: AUTHENTICATE \"PLAIN\" {{16+}}\nC: AGFubgBtYWRlLXVw\nS: NO (ENCRYPT-NEEDED) \"no\"\nC: LOGOUT\nS: OK"
        ),
        &["ann PLAIN refused-by-policy"],
    );
    check(
        4190,
        &format!(
            "{hello}C: AUTHENTICATE \"LOGIN\"\nS: \"VXNlcm5hbWU6\"\nC: \"YW5u\"\nS: {{12}}\nS: UGFzc3dvcmQ6\nC: {{12+}}\nC: bWFkZS11cA==\nS: OK\nC: LOGOUT\nS: OK"
        ),
        &["ann LOGIN accepted"],
    );
}

#[test]
fn nntp_as_rfc_4643_prints_it() {
    let session = check(
        119,
        "S: 200 news ready\nC: CAPABILITIES\nS: 101 list\nS: VERSION 2\nS: AUTHINFO USER SASL\nS: .\nC: AUTHINFO USER fred\nS: 381 Enter passphrase\nC: AUTHINFO PASS flintstone\nS: 281 Authentication accepted\nC: QUIT\nS: 205 bye",
        &["fred AUTHINFO accepted"],
    );
    assert_eq!(session.starttls.offer, Offer::NotOffered);
    check(
        119,
        "S: 201 news\nC: AUTHINFO USER fred\nS: 483 TLS first\nC: AUTHINFO PASS flintstone\nS: 482 out of sequence\nC: QUIT\nS: 205",
        &["fred AUTHINFO cancelled"],
    );
    check(
        119,
        "S: 200 news\nC: AUTHINFO SASL PLAIN AHRlc3QAMTIzNA==\nS: 281 ok\nC: POST\nS: 340 go\nC: Subject: x\nC:\nC: AUTHINFO PASS decoy\nC: .\nS: 240 ok\nC: QUIT\nS: 205",
        &["test PLAIN accepted"],
    );
}

#[test]
fn what_greets_or_logs_in_alike_is_not_taken_for_mail() {
    for (port, text) in [
        (21, "S: 220 ftp ready\nC: USER ann\nS: 331 password\nC: PASS made-up\nS: 230 in\nC: QUIT\nS: 221"),
        (6379, "C: AUTH made-up\nS: +OK\nC: PING\nS: +PONG"),
        (4222, "S: INFO {}\nC: CONNECT {\"user\":\"ann\",\"pass\":\"made-up\"}\nS: +OK\nC: PING\nS: PONG"),
        (80, "C: GET / HTTP/1.1\nC: Authorization: Basic YW5uOm1hZGUtdXA=\nC:\nS: HTTP/1.1 200 OK\nS:"),
        (110, "C: GET / HTTP/1.1\nC: USER ann\nC:\nS: HTTP/1.1 400 Bad Request\nS:"),
        (41001, "C: *2\nC: $4\nC: AUTH\nC: $7\nC: made-up\nS: +OK"),
        (6667, "C: PASS made-up\nC: NICK ann\nC: USER ann 0 * :Ann\nS: :irc.example 001 ann :hi"),
    ] {
        let (logins, session) = judged(&Transcript::parse(port, text));
        assert!(logins.is_empty() && session.is_none(), "{text}: {logins:?} {session:?}");
    }
}

#[test]
fn a_broken_client_hello_held_behind_starttls_ends() {
    let hello: &[u8] = b"\x16\x03\x01\x00\x05\x01aaaaGARBAGE AND MORE";
    for (port, opening) in [
        (110, "S: +OK hi\nC: STLS"),
        (143, "S: * OK hi\nC: a STARTTLS"),
        (587, "S: 220 mx ESMTP\nC: EHLO me\nS: 250 STARTTLS\nC: STARTTLS"),
    ] {
        let transcript = Transcript::parse(port, opening).say(barewire::testing::Speaker::Client, hello);
        assert_eq!(judged(&transcript).0, [""; 0]);
    }
}

#[test]
fn what_was_sent_before_a_refusal_was_not_sent_in_spite_of_it() {
    let text =
        "S: * OK hi\nC: a1 LOGIN ann made-up\nS: a1 OK in\nC: a2 STARTTLS\nS: a2 NO\nC: a3 LOGOUT\nS: * BYE\nS: a3 OK";
    let (records, _) = run(&Transcript::parse(143, text).play(), Link::Ethernet);
    let raised =
        |name: &str| records.iter().any(|record| matches!(record, Record::Finding(found) if found.id.name() == name));
    assert!(raised("cleartext-password") && !raised("cleartext-after-starttls-refused"));
}

#[test]
fn the_last_list_before_the_login_counts() {
    let text = "S: * OK [CAPABILITY IMAP4rev1 STARTTLS] hi\nC: a1 CAPABILITY\nS: * CAPABILITY IMAP4rev1\nS: a1 OK\n\
                C: a2 LOGIN ann made-up\nS: a2 OK in\nC: a3 LOGOUT\nS: * BYE\nS: a3 OK";
    let (records, _) = run(&Transcript::parse(143, text).play(), Link::Ethernet);
    let raised =
        |name: &str| records.iter().any(|record| matches!(record, Record::Finding(found) if found.id.name() == name));
    assert!(raised("starttls-not-offered") && !raised("starttls-offered-unused"));
}

/// RFC 3977 §3.1: one or more blanks or tabs between the words.
#[test]
fn words_of_nntp_may_stand_apart() {
    check(
        119,
        "S: 200 news\nC: AUTHINFO  USER  bob\nS: 381 go\nC: AUTHINFO\tPASS\tmade-up\nS: 281 in\nC: QUIT\nS: 205",
        &["bob AUTHINFO accepted"],
    );
}

#[test]
fn mistakes_put_no_password_into_a_name() {
    let hello = "S: 220 mx ESMTP\nC: EHLO me\nS: 250-mx\nS: 250 AUTH PLAIN LOGIN\n";
    // AUTH LOGIN =, then the user, then the password.
    check(
        587,
        &format!(
            "{hello}C: AUTH LOGIN =\nS: 334 VXNlcm5hbWU6\nC: YW5u\nS: 334 UGFzc3dvcmQ6\nC: UzNDUkVU\nS: 235 in\nC: QUIT\nS: 221"
        ),
        &["ann LOGIN accepted"],
    );
    // Prompts that name both: of a user (not your password), for user alice, your password please, and no name is told.
    for prompt in [
        "VXNlcm5hbWUgKG5vdCB5b3VyIHBhc3N3b3JkKTo=",
        "UGFzc3dvcmQgZm9yIHVzZXIgYWxpY2U6",
        "WW91ciBwYXNzd29yZCBwbGVhc2UsIHVzZXI=",
        "VXNlciBwYXNzd29yZA==",
    ] {
        check(
            587,
            &format!(
                "{hello}C: AUTH LOGIN\nS: 334 {prompt}\nC: UzNDUkVU\nS: 334 T25lIG1vcmU6\nC: MTIzNDU2\nS: 235 in\nC: QUIT\nS: 221"
            ),
            &["? LOGIN accepted"],
        );
    }
    check(587, &format!("{hello}C: AUTH S3CRETPW YW5u\nS: 504 no\nC: QUIT\nS: 221"), &["? OTHER refused-by-policy"]);
    check(
        110,
        "S: +OK hi\nC: USER alice S3CRET\nS: -ERR no\nC: PASS S3CRET\nS: -ERR no\nC: QUIT\nS: +OK",
        &["alice USER-PASS rejected"],
    );
    check(
        110,
        "S: +OK hi\nC: USER John Smith\nS: +OK\nC: PASS made-up\nS: +OK\nC: QUIT\nS: +OK",
        &["John USER-PASS accepted"],
    );
    // XOAUTH2 with blanks, or with what people write for ^A, between its fields.
    for response in ["dXNlcj1hbGljZSBhdXRoPUJlYXJlciBTM0NSRVQ=", "dXNlcj1hbGljZV5BYXV0aD1CZWFyZXIgUzNDUkVUXkFeQQ=="] {
        check(
            587,
            &format!("{hello}C: AUTH XOAUTH2 {response}\nS: 235 in\nC: QUIT\nS: 221"),
            &["alice XOAUTH2 accepted"],
        );
    }
    check(
        587,
        &format!(
            "{hello}C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: YWxpY2UgUzNDUkVU\nS: 334 UGFzc3dvcmQ6\nC: UzNDUkVU\nS: 235 in\nC: QUIT\nS: 221"
        ),
        &["alice LOGIN accepted"],
    );
    check(
        119,
        "S: 200 news\nC: AUTHINFO USER alice S3CRET\nS: 381 go\nC: AUTHINFO PASS S3CRET\nS: 281 in\nC: QUIT\nS: 205",
        &["alice AUTHINFO accepted"],
    );
    let session = check(25, "S: 220 mx ESMTP\nC: HELO AGFsaWNlAFMzQ1JFVFMzQ1JFVA==\nS: 250 mx\nC: QUIT\nS: 221", &[]);
    assert!(session.client_name.is_none());
}

#[test]
fn an_early_answer_does_not_make_commands_of_a_message() {
    use barewire::testing::Speaker::{Client, Server};
    let transcript = Transcript::parse(25, "S: 220 mx ESMTP\nC: EHLO me\nS: 250 mx\nC: DATA\nS: 354 go")
        .say(Client, b"Subject: x\r\n\r\n")
        .say(Client, b"AUTH PLAIN AG1hbGxvcnkAZXZpbA==\r\n.\r\n")
        .say(Server, b"250 queued\r\n")
        .say(Client, b"AUTH PLAIN AGFubgBtYWRlLXVw\r\n")
        .say(Server, b"235 in\r\n");
    assert_eq!(judged(&transcript).0, ["ann PLAIN accepted"]);
}

#[test]
fn the_client_of_imap_names_itself_by_id() {
    let session = check(
        143,
        "S: * OK hi\nC: a1 ID (\"version\" \"1\" \"name\" \"sodr\")\nS: * ID NIL\nS: a1 OK\nC: a2 LOGOUT\nS: * BYE\nS: a2 OK",
        &[],
    );
    assert_eq!(session.client_name.expect("a name").as_str(), "sodr 1");
}

#[test]
fn a_refusal_that_is_torn_does_not_become_the_next_logins_outcome() {
    let text = "S: \"SASL\" \"PLAIN\"\nS: OK ready\nC: AUTHENTICATE \"PLAIN\" \"AGFubgB3cm9uZw==\"\nS: NO \"no\"\nC: AUTHENTICATE \"PLAIN\"\nS: \"\"\nC: \"AGFubgBtYWRlLXVw\"\nS: OK \"in\"\nC: LOGOUT\nS: OK \"bye\"";
    for octets in [7, 8] {
        let packets = Transcript::parse(4190, text).segment(octets).play();
        let torn = packets.iter().position(|packet| packet.payload.starts_with(b"NO ")).expect("the refusal");
        let (records, _) = run(&shake::without(&packets, torn), Link::Ethernet);
        let outcomes: Vec<_> = records
            .iter()
            .filter_map(|record| match record {
                Record::Login(login) => Some(login.outcome),
                _ => None,
            })
            .collect();
        assert_eq!(outcomes, [Outcome::Unknown(Reason::Gap), Outcome::Accepted], "in segments of {octets}");
    }
}

/// A command that was captured before the greeting it answers, and before the SYN-ACK: later replies are not those of the
/// commands before theirs.
#[test]
fn a_greeting_captured_after_the_first_command_is_the_greeting() {
    let cases: [(u16, &str); 5] = [
        (110, "S: +OK ready\nC: USER ann\nS: +OK\nC: PASS made-up\nS: -ERR no\nC: QUIT\nS: +OK bye"),
        (
            110,
            "S: +OK ready\nC: CAPA\nS: -ERR what\nC: USER ann\nS: +OK\nC: PASS made-up\nS: -ERR no\nC: QUIT\nS: +OK bye",
        ),
        (
            110,
            "S: +OK ready\nC: CAPA\nS: +OK list\nS: USER\nS: .\nC: USER ann\nS: +OK\nC: PASS made-up\nS: -ERR no\nC: QUIT\nS: +OK bye",
        ),
        (
            4190,
            "S: OK \"ready\"\nC: AUTHENTICATE \"PLAIN\" \"AGFubgBtYWRlLXVw\"\nS: NO \"no\"\nC: LOGOUT\nS: OK \"bye\"",
        ),
        (
            119,
            "S: 200 ready\nC: AUTHINFO USER ann\nS: 381 more\nC: AUTHINFO PASS made-up\nS: 481 no\nC: QUIT\nS: 205 bye",
        ),
    ];
    for (port, text) in cases {
        let whole = Transcript::parse(port, text).play();
        for (has_answer, place) in [(true, 1), (false, 1), (false, 2), (false, 3)] {
            let mut packets = whole.clone();
            let command = packets.remove(5);
            packets.insert(place, command);
            // Without the SYN-ACK, or with it behind the command.
            if !has_answer {
                packets.retain(|packet| packet.flags & (Flags::SYN | Flags::ACK) != (Flags::SYN | Flags::ACK));
            }
            let (records, _) = run(&packets, Link::Ethernet);
            let outcomes: Vec<Outcome> = records
                .iter()
                .filter_map(|record| match record {
                    Record::Login(login) => Some(login.outcome),
                    _ => None,
                })
                .collect();
            assert_eq!(outcomes, [Outcome::Rejected], "{port}, command at {place}, SYN-ACK {has_answer}: {text}");
        }
    }
}
