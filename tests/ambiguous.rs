//! Copies of the same octets that differ: whatever is in either crossed the wire, and what depends on the choice is
//! said to be unknown.

use barewire::finding::{Finding, FindingId, Record};
use barewire::testing::{Link, Packet, Transcript, collect, frames, run, run_frames};

const SECRETS: [&[u8]; 3] = [b"PASS Kestrel-Harbor-9\r\n", b"PASS Kestrel-Harbor-8\r\n", b"PASS Kestrel-Harbor-7\r\n"];

/// Logins as `user outcome validity`, in order, and how many distinct secrets.
fn logins(records: &[Record]) -> (Vec<String>, usize) {
    let mut prints = Vec::new();
    let mut logins = Vec::new();
    for record in records {
        if let Record::Login(login) = record {
            let user = login.user.as_ref().map_or("?", |user| user.as_str());
            logins.push((login.at, format!("{user} {} {}", login.outcome.name(), login.validity.name())));
            prints.extend(login.fingerprint.into_iter().chain(login.other_fingerprint));
        }
    }
    logins.sort();
    prints.sort();
    prints.dedup();
    (logins.into_iter().map(|(_, login)| login).collect(), prints.len())
}

fn finding(records: &[Record], id: FindingId) -> Option<Finding> {
    collect(records).into_iter().map(|collected| collected.finding).find(|finding| finding.id == id)
}

fn has(records: &[Record], id: FindingId) -> bool {
    finding(records, id).is_some()
}

fn pop3() -> Vec<Packet> {
    Transcript::parse(
        110,
        "S: +OK ready\nC: USER ann\nS: +OK\nC: PASS Kestrel-Harbor-9\nS: +OK in\nC: STAT\nS: +OK 0 0\nC: QUIT\nS: +OK bye",
    )
    .play()
}

/// Where the packet with this text is.
fn place(packets: &[Packet], text: &[u8]) -> usize {
    let holds = |packet: &Packet| packet.payload.windows(text.len()).any(|window| window == text);
    packets.iter().position(holds).expect("a packet with the text")
}

/// The packets with another copy of the one that holds `text`, `after` places behind it.
fn with_copy(packets: &[Packet], text: &[u8], other: &[u8], after: usize) -> Vec<Packet> {
    let mut packets = packets.to_vec();
    let at = place(&packets, text);
    let mut copy = packets[at].clone();
    copy.payload = other.to_vec();
    copy.time = packets[at + after - 1].time;
    packets.insert(at + after, copy);
    packets
}

#[test]
fn both_passwords_are_exposed_whichever_came_first() {
    for [first, later] in [[0, 1], [1, 0]] {
        let mut packets = pop3();
        let at = place(&packets, b"PASS");
        packets[at].payload = SECRETS[first].to_vec();
        let (records, counters) = run(&with_copy(&packets, b"PASS", SECRETS[later], 1), Link::Ethernet);
        assert_eq!(logins(&records), (vec!["ann accepted ambiguous".to_owned()], 2));
        let finding = finding(&records, FindingId::StreamAmbiguousOverlap).expect("the overlap");
        let evidence = finding.evidence.expect("evidence");
        assert_eq!((evidence.kind, evidence.octets), (Some("credential"), Some(1)));
        assert_eq!(counters.stream.conflicts, 1);
        assert!(has(&records, FindingId::ServerAcceptsCleartextAuth));
    }
}

#[test]
fn of_three_passwords_all_are_exposed() {
    let packets = with_copy(&pop3(), b"PASS", SECRETS[1], 1);
    let (records, _) = run(&with_copy(&packets, b"PASS", SECRETS[2], 2), Link::Ethernet);
    let (told, secrets) = logins(&records);
    assert_eq!((told, secrets), (vec!["ann accepted ambiguous".to_owned(), "ann unknown unknown".to_owned()], 3));
    let octets = finding(&records, FindingId::StreamAmbiguousOverlap).and_then(|finding| finding.evidence?.octets);
    assert_eq!(octets, Some(2));
}

#[test]
fn a_copy_that_waits_for_its_turn_is_read_too() {
    let mut packets = pop3();
    let user = place(&packets, b"USER");
    let late = packets.remove(user);
    let at = place(&packets, b"PASS");
    // The password and its other copy come before the user, without which nothing is in order.
    let copy = Packet { payload: SECRETS[1].to_vec(), ..packets[at].clone() };
    packets.insert(at + 1, copy);
    packets.insert(at + 2, late);
    let (records, _) = run(&packets, Link::Ethernet);
    assert_eq!(logins(&records).1, 2, "{:?}", logins(&records));
}

#[test]
fn a_copy_after_the_reply_is_an_exposure_of_its_own() {
    let (records, _) = run(&with_copy(&pop3(), b"PASS", SECRETS[1], 4), Link::Ethernet);
    let (told, secrets) = logins(&records);
    assert_eq!((told, secrets), (vec!["ann accepted valid".to_owned(), "ann unknown unknown".to_owned()], 2));
}

#[test]
fn who_logged_in_is_not_known_when_the_names_differ() {
    let (records, _) = run(&with_copy(&pop3(), b"USER", b"USER eve\r\n", 1), Link::Ethernet);
    assert_eq!(logins(&records).0, ["ann unknown unknown", "eve unknown unknown"]);
    assert!(!has(&records, FindingId::ServerAcceptsCleartextAuth));
}

#[test]
fn a_login_that_is_none_in_the_other_copy_is_told_with_its_outcome_unknown() {
    for later in [&b"NOOP zzzzzzzzzzzzzzzz\r\n"[..], b"USER ann zzzzzzzzzzzz\r\n"] {
        let (records, _) = run(&with_copy(&pop3(), b"PASS", later, 1), Link::Ethernet);
        let (told, secrets) = logins(&records);
        assert_eq!((told, secrets), (vec!["ann unknown unknown".to_owned()], 1));
    }
}

fn smtp(reply: &str) -> Vec<Packet> {
    let text = format!(
        "S: 220 mx ESMTP\nC: EHLO me\nS: 250-mx\nS: {reply}\nC: AUTH PLAIN AGFubgBLZXN0cmVsLUhhcmJvci05\nS: 235 in\nC: QUIT\nS: 221"
    );
    Transcript::parse(587, &text).play()
}

#[test]
fn an_offer_in_one_copy_only_is_no_offer_and_no_absence() {
    for (first, later) in [("250 STARTTLS", "250 XXXXXXXA"), ("250 XXXXXXXX", "250 STARTTLS")] {
        let packets = with_copy(&smtp(first), first.as_bytes(), format!("{later}\r\n").as_bytes(), 1);
        let (records, _) = run(&packets, Link::Ethernet);
        assert_eq!(logins(&records).0, ["ann accepted valid"]);
        for id in [FindingId::StarttlsNotOffered, FindingId::StarttlsOfferedUnused, FindingId::StarttlsStripped] {
            assert!(!has(&records, id), "{first}: {id:?}");
        }
        let kind = finding(&records, FindingId::StreamAmbiguousOverlap).and_then(|finding| finding.evidence?.kind);
        assert_eq!(kind, Some("capability"));
    }
}

#[test]
fn two_places_on_the_path_that_differ_in_the_offer_prove_it_stripped() {
    // Each packet is caught before the device, with a tag, and behind it.
    let before = frames(&smtp("250 STARTTLS"), Link::Vlan(7));
    let behind = frames(&smtp("250 XXXXXXXA"), Link::Ethernet);
    let both: Vec<_> = before.into_iter().zip(behind).flat_map(|(before, behind)| [before, behind]).collect();
    let (records, _) = run_frames(&both);
    assert_eq!(logins(&records).0, ["ann accepted valid"]);
    let stripped = finding(&records, FindingId::StarttlsStripped).expect("stripped");
    assert_eq!(stripped.evidence.expect("evidence").kind, Some("two-views"));
}

#[test]
fn a_dialogue_that_is_mail_in_one_copy_only_is_followed() {
    let mut packets = smtp("250 SIZE");
    let at = place(&packets, b"220 mx ESMTP");
    let mut forged = packets[at].clone();
    forged.payload = b"HTTP/1.1 200 O".to_vec();
    packets.insert(at, forged);
    let (records, _) = run(&packets, Link::Ethernet);
    assert_eq!(logins(&records).0.len(), 1, "an HTTP answer is forged before the greeting");
}

#[test]
fn a_login_where_the_other_copy_begins_tls_is_seen() {
    let text =
        "S: +OK ready\nC: STLS\nS: +OK go\nC: USER ann\nS: +OK\nC: PASS Kestrel-Harbor-9\nS: +OK in\nC: QUIT\nS: +OK";
    let mut packets = Transcript::parse(110, text).play();
    let at = place(&packets, b"USER ann");
    let mut forged = packets[at].clone();
    forged.payload = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03".to_vec();
    packets.insert(at, forged);
    let (records, _) = run(&packets, Link::Ethernet);
    assert!(logins(&records).0.iter().any(|login| login.starts_with("ann ")), "{:?}", logins(&records));
}

#[test]
fn a_login_that_the_other_copy_hides_in_a_message_is_seen() {
    let login = "AUTH PLAIN AGFubgBLZXN0cmVsLUhhcmJvci05\r\n";
    let text = format!(
        "S: 220 mx ESMTP\nC: EHLO me\nS: 250 mx\nC: MAIL FROM:<a@b.example>\nS: 250\nC: RCPT TO:<c@d.example>\nS: 250\nC: DATA\nS: 354\nC: text\nC: {}\nS: 235 in\nC: more\nC: .\nS: 250\nC: QUIT\nS: 221",
        "x".repeat(login.len() + 1)
    );
    let packets = Transcript::parse(25, &text).play();
    let (records, _) = run(&with_copy(&packets, b"xxxx", format!(".\r\n{login}").as_bytes(), 1), Link::Ethernet);
    assert_eq!(logins(&records).0.len(), 1, "{:?}", logins(&records));
}

#[test]
fn what_comes_long_after_the_copies_is_certain_again() {
    let text = "S: * OK ready\nC: a NOOP\nS: a OK\nC: b CAPABILITY\nS: * CAPABILITY IMAP4rev1\nS: b OK\nC: c CAPABILITY\nS: * CAPABILITY IMAP4rev1\nS: c OK\nC: d CAPABILITY\nS: * CAPABILITY IMAP4rev1\nS: d OK\nC: e CAPABILITY\nS: * CAPABILITY IMAP4rev1\nS: e OK\nC: f LOGIN ann Kestrel-Harbor-9\nS: f OK in\nC: g LOGOUT\nS: * BYE\nS: g OK";
    let packets = Transcript::parse(143, text).play();
    let (records, _) = run(&with_copy(&packets, b"a NOOP", b"a NOPE\r\n", 1), Link::Ethernet);
    assert_eq!(logins(&records).0, ["ann accepted valid"]);
    assert!(has(&records, FindingId::StreamAmbiguousOverlap));
}

#[test]
fn the_same_twice_and_the_octet_of_a_keep_alive_are_no_conflict() {
    let mut packets = pop3();
    let mut probe = packets[place(&packets, b"PASS")].clone();
    (probe.seq, probe.payload) = (probe.seq.wrapping_add(SECRETS[0].len() as u32 - 1), vec![0]);
    packets.insert(place(&packets, b"STAT"), probe);
    let twice: Vec<Packet> = packets.iter().flat_map(|packet| [packet.clone(), packet.clone()]).collect();
    let (records, counters) = run(&twice, Link::Ethernet);
    assert_eq!(logins(&records).0, ["ann accepted valid"]);
    assert_eq!(counters.stream.conflicts, 0);
    assert!(!has(&records, FindingId::StreamAmbiguousOverlap));
}

#[test]
fn an_urgent_octet_is_read_with_and_without_it() {
    let mut packets = pop3();
    let at = place(&packets, b"PASS");
    packets[at].payload = b"PASS Kestrel-XHarbor-9\r\n".to_vec();
    // What follows stands one octet further on.
    let from = packets[at].source;
    for packet in &mut packets[at + 1..] {
        let number = if packet.source == from { &mut packet.seq } else { &mut packet.ack };
        *number += 1;
    }
    let mut frames = frames(&packets, Link::Ethernet);
    let tcp = &mut frames[at].octets[34..];
    tcp[13] |= 0x20;
    tcp[18..20].copy_from_slice(&14_u16.to_be_bytes());
    let (records, _) = run_frames(&frames);
    assert_eq!(logins(&records), (vec!["ann accepted ambiguous".to_owned()], 2));
    let without = run(&pop3(), Link::Ethernet).0;
    let secret = |records: &[Record]| {
        records.iter().find_map(|record| match record {
            Record::Login(login) => Some([login.fingerprint, login.other_fingerprint]),
            _ => None,
        })
    };
    let [Some(password), _] = secret(&without).expect("a login") else { panic!("no fingerprint") };
    assert!(secret(&records).expect("a login").contains(&Some(password)), "the password without the urgent octet");
}

#[test]
fn data_in_the_syn_are_read_whether_they_are_taken_or_sent_again() {
    for is_taken in [true, false] {
        let mut packets = Transcript::parse(
            110,
            "C: CAPA\nS: +OK hello\nS: +OK\nS: USER\nS: .\nC: USER ann\nS: +OK\nC: PASS Kestrel-Harbor-9\nS: +OK in\nC: QUIT\nS: +OK bye",
        )
        .play();
        let first = place(&packets, b"CAPA");
        packets[0].payload = packets[first].payload.clone();
        if is_taken {
            packets[1].ack += 6;
            packets.remove(first);
        }
        let (records, counters) = run(&packets, Link::Ethernet);
        assert_eq!(logins(&records).0, ["ann accepted valid"], "taken: {is_taken}");
        assert_eq!((counters.stream.conflicts, counters.stream.gap_octets), (0, 0), "taken: {is_taken}");
    }
}

#[test]
fn a_handshake_in_four_parts_has_the_client_that_was_first() {
    let mut packets = pop3();
    // SYN; SYN; SYN-ACK of the client; ACK of the server.
    packets[1].flags = 0x02;
    let (mut answer, mut last) = (packets[0].clone(), packets[2].clone());
    (answer.flags, answer.ack) = (0x12, packets[1].seq + 1);
    std::mem::swap(&mut last.source, &mut last.destination);
    std::mem::swap(&mut last.seq, &mut last.ack);
    packets.splice(2..3, [answer, last]);
    packets.iter_mut().for_each(|packet| {
        for end in [&mut packet.source, &mut packet.destination] {
            end.port = if end.port == 110 { 11_000 } else { end.port };
        }
    });
    let (records, _) = run(&packets, Link::Ethernet);
    assert_eq!(logins(&records).0, ["ann accepted valid"]);
    let Some(Record::Session(session)) = records.iter().find(|record| matches!(record, Record::Session(_))) else {
        panic!("no session")
    };
    assert_eq!(session.flow.server.port, 11_000);
}
