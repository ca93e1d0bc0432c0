//! Signs as real servers and clients gave them.

use super::*;
use crate::mail::Protocol::{self, Imap, Lmtp, ManageSieve, Nntp, Pop3, Smtp};

fn signs(protocol: Protocol) -> ServerSigns<'static> {
    ServerSigns { protocol, banner: None, capabilities: None, id: None, reply: None }
}

fn name(software: Option<&'static Software>) -> Option<&'static str> {
    software.map(|software| software.name)
}

#[test]
fn greetings_from_the_field() {
    for (protocol, banner, wanted) in [
        (Imap, "[CAPABILITY IMAP4rev1 LITERAL+ STARTTLS AUTH=PLAIN] Dovecot (Debian) ready.", "Dovecot"),
        (Pop3, "Dovecot ready. <4.1.6@pop.example.org>", "Dovecot"),
        (Lmtp, "mail.example.org Dovecot (Debian) ready.", "Dovecot"),
        (Imap, "[CAPABILITY IMAP4rev1] Courier-IMAP ready. Copyright 1998-2019 Double Precision, Inc.", "Courier"),
        (Pop3, "Hello there.", "Courier"),
        (Pop3, "Hello there. <12842.1098712345@mail.example.org>", "Courier"),
        (Imap, "[CAPABILITY IMAP4rev1 LITERAL+] mail.example.org Cyrus IMAP 3.6.1 server ready", "Cyrus"),
        (Pop3, "ladymacbeth.local Cyrus POP3 v2.3.16 server ready <1512565572.1245@ladymacbeth.local>", "Cyrus"),
        (Nntp, "mail.example.org Cyrus NNTP 3.6.1 server ready, posting allowed", "Cyrus"),
        (Imap, "IMAP4rev1 GNU mailutils 0.6.1", "GNU Mailutils"),
        (Pop3, "POP3 Welcome to GNU POP3 Server Version 0.9.8 <1.2@pop.example.org>", "GNU pop3d"),
        (Pop3, "POP3 mail.example.org v2006k.101 server ready", "UW IMAP"),
        (Pop3, "POP3 [10.77.0.1] v2003.83rh server ready", "UW IMAP"),
        (Imap, "[CAPABILITY IMAP4REV1 LITERAL+] mail.example.org IMAP4rev1 2007e.404 at Tue, 1 May 2012", "UW IMAP"),
        (Pop3, "Qpopper (version 4.0.5) at basalt starting.  <1.2@basalt.example.org>", "Qpopper"),
        (Pop3, "QPOP (version 2.53) at mail.example.org starting.  <1.2@mail.example.org>", "Qpopper"),
        (Pop3, "", "popa3d"),
        (Smtp, "mx.example.org ESMTP Postfix (Ubuntu)", "Postfix"),
        (Smtp, "mx.example.org ESMTP Exim 4.96 Tue, 14 Nov 2023 22:13:20 +0000", "Exim"),
        (Smtp, "mx.example.org ESMTP Sendmail 8.17.1.9/8.17.1.9/Debian-2; Tue, 14 Nov 2023", "Sendmail"),
        (Smtp, "mx.example.org ESMTP OpenSMTPD", "OpenSMTPD"),
        (Imap, "The Microsoft Exchange IMAP4 service is ready.", "Microsoft Exchange"),
        (Smtp, "mx Microsoft ESMTP MAIL Service ready at Tue", "Microsoft ESMTP"),
        (Imap, "IceWarp 12.0.2.1 x64 IMAP4rev1 Tue, 14 Nov 2023 22:13:20 +0000", "IceWarp"),
        (
            Pop3,
            "Messaging Multiplexor (iPlanet Messaging Server 5.2 HotFix 1.16 (built May 14 2003))",
            "iPlanet Messaging Server",
        ),
        (
            Imap,
            "[CAPABILITY IMAP4 IMAP4rev1] Messaging Multiplexor (Sun Java(tm) System Messaging Server 6.2-3)",
            "iPlanet Messaging Server",
        ),
        (Pop3, "mail.example.org POP3 service (iPlanet Messaging Server 5.2 HotFix 1.15)", "iPlanet Messaging Server"),
        (Pop3, "POP3 perditon ready on mail.example.org 0002ce70", "Perdition"),
        (Imap, "[CAPABILITY IMAP4 IMAP4REV1] perdition ready on mail.example.org 0002cf0d", "Perdition"),
        (Smtp, "mx.example.org Mercury/32 v4.80 ESMTP server ready.", "Mercury"),
        (Pop3, "Gpop ready for requests", "Google"),
        (Imap, "Domino IMAP4 Server Release 9.0.1FP10 ready Tue, 14 Nov 2023", "HCL Domino"),
        (Nntp, "Leafnode NNTP Daemon, version 1.11.7.rc1 running at news.example.org", "Leafnode"),
    ] {
        assert_eq!(name(server(ServerSigns { banner: Some(banner), ..signs(protocol) })), Some(wanted), "{banner}");
    }
}

#[test]
fn a_front_is_named_before_what_it_fronts() {
    for (protocol, banner) in [
        (Pop3, "+ stunnel"),
        (Pop3, "Dovecot ready. + stunnel"),
        (Imap, "Dovecot ready. (stunnel)"),
        (Smtp, "mx.example.org stunnel for ESMTP Postfix"),
    ] {
        assert_eq!(name(server(ServerSigns { banner: Some(banner), ..signs(protocol) })), Some("stunnel"), "{banner}");
    }
}

#[test]
fn what_only_one_server_answers() {
    for (protocol, capabilities, reply, wanted) in [
        (Imap, "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ AUTH=PLAIN", "Logged in", "Dovecot"),
        (Imap, "IMAP4rev1 LOGIN-REFERRALS ID ENABLE IDLE SASL-IR LITERAL+ STARTTLS", "", "Dovecot"),
        (
            Pop3,
            "CAPA UIDL STLS",
            "[AUTH] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.",
            "Dovecot",
        ),
        (Imap, "IMAP4rev1", "User logged in SESSIONID=<cyrus-1795621498-87-1-10844831819243930966>", "Cyrus"),
        (Imap, "IMAP4rev1", "Login only available under a layer", "Cyrus"),
        (Imap, "IMAP4rev1", "LOGIN Ok.", "Courier"),
        (Pop3, "TOP UIDL RESP-CODES PIPELINING AUTH-RESP-CODE EXPIRENEVER USER", "", "GNU Mailutils"),
        (
            Imap,
            "IMAP4rev1 NAMESPACE ID IDLE LITERAL+ UNSELECT LOGINDISABLED XTLSREQUIRED STARTTLS",
            "",
            "GNU Mailutils",
        ),
        (Pop3, "TOP", "opened mailbox for carol", "GNU Mailutils"),
        (Imap, "IMAP4REV1 I18NLEVEL=1 LITERAL+ SASL-IR LOGIN-REFERRALS STARTTLS AUTH=PLAIN", "", "UW IMAP"),
        (Pop3, "UIDL USER", "You are so in", "Perdition"),
    ] {
        let signs = ServerSigns { capabilities: Some(capabilities), reply: Some(reply), ..signs(protocol) };
        assert_eq!(name(server(signs)), Some(wanted), "{capabilities}; {reply}");
    }
    let of_imap = |list| ServerSigns { banner: Some("IMAP4 ready"), capabilities: Some(list), ..signs(Imap) };
    assert_eq!(name(server(of_imap("IMAP4 IMAP4rev1 UIDPLUS STARTTLS LOGINDISABLED"))), Some("nginx"));
    assert_eq!(name(server(of_imap("IMAP4rev1 IDLE"))), None, "the greeting alone is anybody's");
}

#[test]
fn an_id_names_the_software_whatever_the_greeting() {
    for (protocol, id, wanted) in [
        (Imap, "Dovecot", "Dovecot"),
        (Pop3, "Courier Mail Server", "Courier"),
        (ManageSieve, "Cyrus timsieved 3.6.1-Debian-3.6.1-4+deb12u5", "Cyrus"),
        (ManageSieve, "Dovecot (Debian) Pigeonhole", "Dovecot"),
        (ManageSieve, "perdition", "Perdition"),
    ] {
        let signs = ServerSigns { banner: Some("ready"), id: Some(id), ..signs(protocol) };
        assert_eq!(name(server(signs)), Some(wanted), "{id}");
    }
}

#[test]
fn a_host_named_after_a_product_is_not_the_product() {
    for (protocol, banner, wanted) in [
        (Smtp, "postfix ESMTP Exim 4.96", Some("Exim")),
        (Smtp, "exim.example.org ESMTP", None),
        (Imap, "imap at dovecot.example.org ready", None),
        (Pop3, "ready <1.2@postfix>", None),
        (Pop3, "POP3 server ready", None),
        (Imap, "IMAP4rev1 Service Ready", None),
        (Imap, "", None),
        (Smtp, "", None),
    ] {
        assert_eq!(name(server(ServerSigns { banner: Some(banner), ..signs(protocol) })), wanted, "{banner}");
    }
    assert_eq!(name(server(signs(Imap))), None);
}

fn of_client(protocol: Protocol, tag: Option<&'static str>, verbs: &'static str) -> Option<&'static str> {
    name(client(ClientSigns { protocol, name: None, id: None, tag, verbs }))
}

#[test]
fn clients_by_what_they_call_themselves() {
    for (id, wanted) in [
        ("Thunderbird 128.3.1", "Thunderbird"),
        ("Mac OS X Mail 16.0 (3696.80.82.1.1)", "Apple Mail"),
        ("iPhone Mail 15A372", "Apple Mail"),
        ("alpine 2.26", "Alpine"),
        ("OfflineIMAP 8.0.0", "OfflineIMAP"),
        ("Roundcube 1.6.5", "Roundcube"),
        ("Microsoft Outlook 16.0", "Outlook"),
    ] {
        let signs =
            ClientSigns { protocol: Imap, name: None, id: Some(id), tag: Some("NBHI1"), verbs: "CAPABILITY ID" };
        assert_eq!(name(client(signs)), Some(wanted), "{id}");
    }
    let named = ClientSigns { protocol: Smtp, name: Some("smtpclient.apple"), id: None, tag: None, verbs: "EHLO AUTH" };
    assert_eq!(name(client(named)), Some("Apple Mail"));
}

#[test]
fn clients_by_their_habits() {
    for (protocol, tag, verbs, wanted) in [
        (Imap, Some("A001"), "CAPABILITY AUTHENTICATE LIST LOGOUT", "curl"),
        (Imap, Some("F001"), "CAPABILITY LOGIN", "curl"),
        (Imap, Some("A0001"), "CAPABILITY LOGIN SELECT EXPUNGE SEARCH", "fetchmail"),
        (Pop3, None, "CAPA USER PASS STAT LAST LIST", "fetchmail"),
        (Imap, Some("DPIE0"), "CAPABILITY LOGIN SELECT", "Python"),
        (Smtp, None, "ehlo AUTH mail rcpt data", "Python"),
        (Imap, Some("a0000"), "CAPABILITY AUTHENTICATE CAPABILITY ENABLE", "Mutt"),
        (Imap, Some("00000000"), "CAPABILITY AUTHENTICATE", "c-client"),
        (Imap, Some("A00000"), "CAPABILITY AUTHENTICATE NAMESPACE", "Evolution"),
        (Imap, Some("A00000000"), "CAPABILITY AUTHENTICATE", "MailKit"),
        (Imap, Some("RUBY0001"), "LOGIN", "Ruby"),
        (Imap, Some("99"), "capability login", "Thunderbird"),
        (Pop3, None, "AUTH CAPA AUTH STAT", "Thunderbird"),
        (Imap, Some("1.3"), "ID AUTHENTICATE", "Apple Mail"),
    ] {
        assert_eq!(of_client(protocol, tag, verbs), Some(wanted), "{tag:?} {verbs}");
    }
}

#[test]
fn what_many_clients_do_names_none() {
    for (protocol, tag, verbs) in [
        (Imap, Some("A001"), "LOGIN SELECT"),
        (Imap, Some("a001"), "LOGIN"),
        (Imap, Some("A0001"), "CAPABILITY LOGIN SELECT FETCH"),
        (Imap, Some("1"), "CAPABILITY LOGIN"),
        (Imap, Some("A0"), "CAPABILITY LOGIN"),
        (Imap, Some("a"), "login"),
        (Imap, Some("DPIE07"), "CAPABILITY"),
        (Imap, Some("\u{e9}\u{e9}0"), "CAPABILITY"),
        (Pop3, None, "CAPA AUTH STAT"),
        (Pop3, None, "USER PASS STAT LIST"),
        (Smtp, None, "EHLO AUTH MAIL RCPT DATA"),
        (Smtp, None, "ehlo auth"),
        (Smtp, None, ""),
    ] {
        assert_eq!(of_client(protocol, tag, verbs), None, "{tag:?} {verbs}");
    }
}

#[test]
fn no_product_stands_twice() {
    let mut names: Vec<&str> = SERVERS.iter().map(|known| known.software.name).collect();
    names.extend(CLIENTS.iter().map(|known| known.software.name));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
