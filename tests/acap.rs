//! ACAP as RFC 2244 and RFC 2595 print it, and what its literals and texts must not be taken for, however the octets are
//! cut. Credentials are the RFCs' own examples or made up.

use barewire::finding::{Offer, Record, Session};
use barewire::mail::Outcome;
use barewire::testing::Speaker::{Client, Server};
use barewire::testing::{Link, Speaker, Transcript, judged, run, shake};

/// Plays the transcript in segments of 1 to 8 octets and whole turns: the same logins and session each time.
fn check(whole: &Transcript, expected: &[&str]) -> Session {
    let (logins, session) = judged(whole);
    assert_eq!(logins, expected);
    let facts = |session: &Session| (session.starttls.clone(), session.banner.clone(), session.is_tls);
    for octets in 1..=8 {
        let (logins, cut) = judged(&whole.clone().segment(octets));
        assert_eq!(logins, expected, "in segments of {octets}");
        assert_eq!(cut.as_ref().map(facts), session.as_ref().map(facts), "in segments of {octets}");
    }
    session.expect("a session")
}

#[test]
fn as_rfc_2244_prints_it() {
    let session = check(
        &Transcript::parse(
            674,
            "S: * ACAP (IMPLEMENTATION \"Blorfysoft v3.5\") (SASL \"CRAM-MD5\" \"KERBEROS_V4\")\nC: A001 AUTHENTICATE \"CRAM-MD5\"\nS: + \"<1896.697170952@postoffice.reston.mci.net>\"\nC: \"tim b913a602c7eda7a495b4e6e7334d3890\"\nS: A001 OK \"CRAM-MD5 authentication successful\"\nC: a002 NOOP\nS: a002 OK \"NOOP completed\"\nC: A023 LOGOUT\nS: * BYE \"ACAP Server logging out\"\nS: A023 OK \"LOGOUT completed\"",
        ),
        &["tim CRAM-MD5 accepted"],
    );
    assert_eq!(session.banner.expect("an implementation").as_str(), "Blorfysoft v3.5");
    assert_eq!(session.starttls.offer, Offer::NotOffered);
}

/// A dialogue of ACAP after its greeting, with octets that lines cannot hold.
fn acap(turns: &[(Speaker, &[u8])]) -> Transcript {
    let greeting = "S: * ACAP (IMPLEMENTATION \"Test\") (SASL \"PLAIN\" \"LOGIN\") (STARTTLS)";
    turns.iter().fold(Transcript::parse(674, greeting), |dialogue, (who, said)| dialogue.say(*who, said))
}

#[test]
fn strings_hold_the_octets_themselves() {
    let plain = b"\0ann\0made-up";
    let initial = [&b"A1 AUTHENTICATE \"PLAIN\" {12+}\r\n"[..], plain, b"\r\n"].concat();
    let literal = [&b"{12+}\r\n"[..], plain, b"\r\n"].concat();
    let after_go_ahead = [&plain[..], b"\r\n"].concat();
    let accepted: (_, &[u8]) = (Server, b"A1 OK \"in\"\r\n");
    let logout: [(_, &[u8]); 2] = [(Client, b"A9 LOGOUT\r\n"), (Server, b"* BYE \"bye\"\r\nA9 OK \"bye\"\r\n")];
    let dialogues: [&[(_, &[u8])]; 5] = [
        &[(Client, &initial), accepted],
        &[
            (Client, b"A1 AUTHENTICATE \"PLAIN\" {12}\r\n"),
            (Server, b"+ \"Ready for 12 octets\"\r\n"),
            (Client, &after_go_ahead),
            accepted,
        ],
        &[(Client, b"A1 authenticate \"plain\"\r\n"), (Server, b"+ \"\"\r\n"), (Client, &literal), accepted],
        &[
            (Client, b"A1 AUTHENTICATE \"PLAIN\"\r\n"),
            (Server, b"+ {0}\r\n\r\n"),
            (Client, b"{12}\r\n"),
            (Server, b"+ \"go on\"\r\n"),
            (Client, &after_go_ahead),
            accepted,
        ],
        // Announced, so sent in spite of the answer that came first.
        &[
            (Client, b"A1 AUTHENTICATE \"PLAIN\" {12+}\r\n"),
            (Server, b"A1 OK (SASL {9}\r\nA1 NO \"x\") \"in\"\r\n"),
            (Client, &after_go_ahead),
        ],
    ];
    for turns in dialogues {
        check(&acap(&[turns, &logout[..]].concat()), &["ann PLAIN accepted"]);
    }
    let login: [(_, &[u8]); 6] = [
        (Client, b"A1 AUTHENTICATE \"LOGIN\"\r\n"),
        (Server, b"+ {5}\r\nUser:\r\n"),
        (Client, b"\"ann\\\"a\\\"\"\r\n"),
        (Server, b"+ \"Password:\"\r\n"),
        (Client, b"\"made \\\\ up\"\r\n"),
        (Server, b"A1 NO \"no\"\r\n"),
    ];
    check(&acap(&login), &["ann\"a\" LOGIN rejected"]);
}

#[test]
fn codes_say_why_a_login_failed() {
    for (reply, outcome) in [
        (&b"NO \"no\""[..], "rejected"),
        (b"NO (AUTH-TOO-WEAK) \"use another\"", "refused-by-policy"),
        (b"NO (ENCRYPT-NEEDED) \"TLS first\"", "refused-by-policy"),
        (b"NO (TRANSITION-NEEDED) \"use PLAIN once\"", "rejected"),
        (b"NO (TRYLATER) \"later\"", "temporary"),
        (b"BAD \"what\"", "cancelled"),
    ] {
        let reply = [&b"A1 "[..], reply, b"\r\n"].concat();
        let turns: [(_, &[u8]); 4] = [
            (Client, b"A1 AUTHENTICATE \"PLAIN\" {12+}\r\n\0ann\0made-up\r\n"),
            (Server, &reply),
            (Client, b"A2 LOGOUT\r\n"),
            (Server, b"* BYE \"bye\"\r\nA2 OK \"bye\"\r\n"),
        ];
        check(&acap(&turns), &[&format!("ann PLAIN {outcome}")]);
    }
    let cancelled = "S: * ACAP (SASL \"PLAIN\")\nC: A1 AUTHENTICATE \"PLAIN\"\nS: + \"\"\nC: *\nS: A1 BAD \"cancelled\"\nC: A2 LOGOUT\nS: * BYE \"bye\"\nS: A2 OK \"bye\"";
    check(&Transcript::parse(674, cancelled), &[]);
}

#[test]
fn values_and_text_are_no_commands_and_no_replies() {
    let session = check(
        &Transcript::parse(
            674,
            "S: * ACAP (IMPLEMENTATION \"x) (STARTTLS) (\") (SASL {8}\nS: STARTTLS \"CRAM-MD5\") (CONTEXTLIMIT \"200\")\n\
         C: A1 NOOP A2 AUTHENTICATE \"PLAIN\" \"mallory\"\nS: * OK welcome {200}\nS: A1 BAD \"invalid arguments {7}\"\n\
         C: A3 STORE (\"/option/~/x\" \"a\" {37+}\nC: A4 AUTHENTICATE \"PLAIN\" \"evil evil\"\nC: )\nS: A3 OK \"stored\"\n\
         C: A5 STORE (\"/option/~/x\" \"a\" {20}\nS: A5 NO (QUOTA) \"too much\"\n\
         C: A6 SEARCH \"/option/~/\" ALL\nS: A6 ENTRY \"x\" {10}\nS: A6 NO \"oh\"\nS: A6 MODTIME \"19951206103412\"\nS: A6 OK \"done\"\n\
         S: * ALERT \"A7 AUTHENTICATE\"\nC: A8 LOGOUT\nS: * BYE \"bye\"\nS: A8 OK \"bye\"",
        ),
        &[],
    );
    assert_eq!(session.starttls.offer, Offer::NotOffered);
}

#[test]
fn starttls_as_rfc_2595_prints_it() {
    let client_hello = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00";
    let turns: [(_, &[u8]); 3] = [
        (Client, b"a002 STARTTLS\r\n"),
        (Server, b"a002 OK \"Begin TLS negotiation now\"\r\n"),
        (Client, client_hello),
    ];
    let session = check(&acap(&turns), &[]);
    assert!(session.starttls.is_requested && session.starttls.offer == Offer::Offered && session.is_tls.is_none());
    let turns: [(_, &[u8]); 4] = [
        (Client, b"a002 STARTTLS\r\n"),
        (Server, b"a002 NO (TRYLATER) \"not now\"\r\n"),
        (Client, b"a003 AUTHENTICATE \"PLAIN\" {12+}\r\n\0ann\0made-up\r\n"),
        (Server, b"a003 OK \"in\"\r\n"),
    ];
    let session = check(&acap(&turns), &["ann PLAIN accepted"]);
    assert_eq!(session.starttls.reply_code.expect("a code").as_str(), "NO");
}

#[test]
fn is_found_on_any_port_and_without_its_greeting() {
    let turns: [(_, &[u8]); 2] =
        [(Client, b"A1 AUTHENTICATE \"PLAIN\" {12+}\r\n\0ann\0made-up\r\n"), (Server, b"A1 OK \"in\"\r\n")];
    let rest = |port: u16| turns.iter().fold(Transcript::new(port), |dialogue, (who, said)| dialogue.say(*who, said));
    for port in [674, 4321] {
        for octets in 1..=8 {
            let (logins, _) = judged(&rest(port).midstream().segment(octets));
            assert_eq!(logins, ["ann PLAIN accepted"], "port {port}, segments of {octets}");
        }
    }
    for octets in 1..=8 {
        let (logins, _) = judged(&rest(674).only(Speaker::Client).segment(octets));
        assert_eq!(logins, ["ann PLAIN asymmetric"], "segments of {octets}");
    }
    let (_, session) = judged(&Transcript::parse(674, "S: * BYE \"not now\""));
    assert_eq!(session.expect("a session").flow.protocol.name(), "acap");
}

#[test]
fn replies_that_were_lost_are_not_made_up() {
    let text = "S: * ACAP (SASL \"CRAM-MD5\") (STARTTLS)\nC: A1 AUTHENTICATE \"CRAM-MD5\"\nS: + \"<1.2@test>\"\nC: \"tim b913a602c7eda7a495b4e6e7334d3890\"\nS: A1 OK \"in\"\nC: A2 SEARCH \"/x/\" ALL\nS: A2 OK \"done\"\nC: A3 LOGOUT\nS: * BYE \"bye\"\nS: A3 OK \"bye\"";
    let packets = Transcript::parse(674, text).play();
    let holds = |wanted: &str| {
        let index = packets.iter().position(|packet| packet.payload.starts_with(wanted.as_bytes())).expect("a packet");
        let (records, _) = run(&shake::without(&packets, index), Link::Ethernet);
        records.into_iter().find_map(|record| match record {
            Record::Login(login) => {
                Some((login.user.map(|user| user.as_str().to_owned()), login.outcome, login.is_inferred))
            }
            _ => None,
        })
    };
    assert_eq!(holds("A1 OK"), Some((Some("tim".to_owned()), Outcome::Accepted, true)));
    assert_eq!(holds("+ "), Some((Some("tim".to_owned()), Outcome::Accepted, false)));
    assert_eq!(holds("\"tim"), None);
    assert_eq!(holds("A1 AUTH"), Some((Some("tim".to_owned()), Outcome::Accepted, false)));
}
