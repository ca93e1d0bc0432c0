//! Which server software a greeting names. A greeting may lie or be changed by its operator: it is a hint for people.

use crate::mail::Protocol;

/// Words that stand next to each other in the greeting, and the software they mean. The first that fits wins.
const KNOWN: [(&[&str], &str); 34] = [
    (&["dovecot"], "Dovecot"),
    (&["postfix"], "Postfix"),
    (&["exim"], "Exim"),
    (&["sendmail"], "Sendmail"),
    (&["opensmtpd"], "OpenSMTPD"),
    (&["courier-imap"], "Courier"),
    (&["courier"], "Courier"),
    (&["cyrus"], "Cyrus"),
    (&["microsoft", "exchange"], "Microsoft Exchange"),
    (&["microsoft", "esmtp"], "Microsoft ESMTP"),
    (&["gimap"], "Google"),
    (&["gpop"], "Google"),
    (&["gsmtp"], "Google"),
    (&["hmailserver"], "hMailServer"),
    (&["zimbra"], "Zimbra"),
    (&["mdaemon"], "MDaemon"),
    (&["mailenable"], "MailEnable"),
    (&["kerio"], "Kerio Connect"),
    (&["communigate"], "CommuniGate Pro"),
    (&["domino"], "HCL Domino"),
    (&["groupwise"], "GroupWise"),
    (&["icewarp"], "IceWarp"),
    (&["axigen"], "Axigen"),
    (&["stalwart"], "Stalwart"),
    (&["haraka"], "Haraka"),
    (&["james"], "Apache James"),
    (&["mercury"], "Mercury"),
    (&["coremail"], "Coremail"),
    (&["qpopper"], "Qpopper"),
    (&["popper"], "Qpopper"),
    (&["uw-imap"], "UW IMAP"),
    (&["perdition"], "Perdition"),
    (&["nginx"], "nginx"),
    (&["greenmail"], "GreenMail"),
];

/// The software that a greeting names.
pub(super) fn software(protocol: Protocol, banner: &str) -> Option<&'static str> {
    // RFC 5321 section 4.2: the first word is the host's name, and hosts are named after what they run.
    let skipped = usize::from(protocol == Protocol::Smtp);
    let words: Vec<String> = banner.split_ascii_whitespace().skip(skipped).filter_map(product).collect();
    KNOWN.iter().find(|(name, _)| words.windows(name.len()).any(|seen| seen == *name)).map(|(_, software)| *software)
}

/// The name in a word such as `(Dovecot)` or `Mercury/32`; none in a host's or domain's name.
fn product(word: &str) -> Option<String> {
    let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let is_domain = word.split_once('.').is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_alphabetic()));
    let name = word.split('/').next().unwrap_or_default();
    (!is_domain && !word.contains('@')).then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(protocol: Protocol, banner: &str, wanted: Option<&str>) {
        assert_eq!(software(protocol, banner), wanted, "{banner}");
    }

    #[test]
    fn greetings_from_the_field() {
        check(
            Protocol::Imap,
            "[CAPABILITY IMAP4rev1 LITERAL+ STARTTLS AUTH=PLAIN] Dovecot (Debian) ready.",
            Some("Dovecot"),
        );
        check(Protocol::Pop3, "Dovecot ready. <4.1.6@pop.example.org>", Some("Dovecot"));
        check(Protocol::Imap, "[CAPABILITY IMAP4rev1] Courier-IMAP ready. Copyright 1998-2021", Some("Courier"));
        check(Protocol::Imap, "mail Cyrus IMAP 3.6.1 server ready", Some("Cyrus"));
        check(Protocol::Imap, "The Microsoft Exchange IMAP4 service is ready.", Some("Microsoft Exchange"));
        check(Protocol::Smtp, "mx.example.org ESMTP Postfix (Ubuntu)", Some("Postfix"));
        check(Protocol::Smtp, "mx.example.org ESMTP Exim 4.96 Tue, 14 Nov 2023", Some("Exim"));
        check(Protocol::Smtp, "mx.example.org ESMTP Sendmail 8.17.1/8.17.1; Tue", Some("Sendmail"));
        check(Protocol::Smtp, "mx Microsoft ESMTP MAIL Service ready at Tue", Some("Microsoft ESMTP"));
        check(Protocol::Smtp, "mx.example.org Mercury/32 v4.80 ESMTP server ready.", Some("Mercury"));
        check(Protocol::Pop3, "Gpop ready for requests", Some("Google"));
    }

    #[test]
    fn a_host_named_after_a_product_is_not_the_product() {
        check(Protocol::Smtp, "postfix ESMTP Exim 4.96", Some("Exim"));
        check(Protocol::Smtp, "exim.example.org ESMTP", None);
        check(Protocol::Imap, "imap at dovecot.example.org ready", None);
        check(Protocol::Pop3, "ready <1.2@postfix>", None);
        check(Protocol::Pop3, "", None);
        check(Protocol::Smtp, "", None);
    }
}
