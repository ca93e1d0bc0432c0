//! Servers: by name in greeting, IMAP ID or IMPLEMENTATION, and by what only one of them answers.
//!
//! Signs marked "seen" were taken from that software as it ran; the others come from its documentation or from
//! published lists of greetings.

use self::ServerSign::{Greets, GreetsAndLists, GreetsLike, Lists, Named, Replies};
use super::{Known, Software, holds, holds_words, known, starts_with_words};
use crate::mail::Protocol;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use std::sync::LazyLock;

/// What a server told of itself on one connection.
#[derive(Clone, Copy, Debug)]
pub struct ServerSigns<'a> {
    /// What it speaks.
    pub protocol: Protocol,
    /// The text of its greeting, without its code or word.
    pub banner: Option<&'a str>,
    /// The words of its last complete list of capabilities, with one space between them.
    pub capabilities: Option<&'a str>,
    /// Name and version from its IMAP ID, or the IMPLEMENTATION of POP3, ManageSieve or NNTP.
    pub id: Option<&'a str>,
    /// The text of its answer to a login.
    pub reply: Option<&'a str>,
}

/// What tells a server.
pub enum ServerSign {
    /// Words that stand next to each other in greeting or ID, outside the names of hosts.
    Named(&'static [&'static str]),
    /// The whole greeting, but for a list of capabilities and a challenge.
    Greets(Protocol, &'static str),
    /// A word of the greeting that looks like this, such as a version.
    GreetsLike(&'static [Protocol], fn(&str) -> bool),
    /// Capabilities that stand next to each other.
    Lists(&'static str),
    /// The whole greeting and how the list begins.
    GreetsAndLists(Protocol, &'static str, &'static str),
    /// What its answers to logins hold, in lower case.
    Replies(&'static str),
}

/// All servers that are known. Where several names fit, the first does: a front stands before what it fronts.
pub static SERVERS: [Known<ServerSign>; 46] = [
    // Seen, 5.68: it adds itself to the greeting of the server behind.
    known("stunnel", &[Named(&["stunnel"])]),
    // Seen, 2.2, misspelt greeting and all.
    known("Perdition", &[Named(&["perdition"]), Named(&["perditon"]), Replies("you are so in")]),
    // Seen, 1.22: the greeting alone is anybody's.
    known(
        "nginx",
        &[
            Named(&["nginx"]),
            GreetsAndLists(Protocol::Imap, "IMAP4 ready", "IMAP4 IMAP4rev1 UIDPLUS"),
            GreetsAndLists(Protocol::Pop3, "POP3 ready", "TOP USER UIDL"),
            GreetsAndLists(Protocol::Pop3, "POP3 ready", "TOP UIDL STLS"),
        ],
    ),
    // Seen, 2.3.19 and 2.4.1; the order of the list is Dovecot's own, also under another greeting.
    known(
        "Dovecot",
        &[
            Named(&["dovecot"]),
            Lists("LOGIN-REFERRALS ID ENABLE IDLE"),
            Replies("authentication disallowed on non-secure (ssl/tls) connections"),
        ],
    ),
    known("Postfix", &[Named(&["postfix"])]),
    known("Exim", &[Named(&["exim"])]),
    known("Sendmail", &[Named(&["sendmail"])]),
    known("OpenSMTPD", &[Named(&["opensmtpd"])]),
    // Seen, 5.0.13.
    known(
        "Courier",
        &[
            Named(&["courier-imap"]),
            Named(&["courier"]),
            Greets(Protocol::Pop3, "Hello there."),
            Replies("login ok."),
            Lists("XVERP=Courier"),
        ],
    ),
    // Seen, 3.6.1; both replies also under another greeting.
    known("Cyrus", &[Named(&["cyrus"]), Replies("sessionid=<"), Replies("only available under a layer")]),
    // Before GNU Mailutils, whose ancestor it is.
    known("GNU pop3d", &[Named(&["gnu", "pop3"])]),
    // Seen, 3.15: it forgets the space in EXPIRE NEVER, and XTLSREQUIRED is its own word.
    known(
        "GNU Mailutils",
        &[Named(&["mailutils"]), Lists("EXPIRENEVER"), Lists("XTLSREQUIRED"), Replies("opened mailbox for ")],
    ),
    known(
        "UW IMAP",
        &[
            Named(&["uw-imap"]),
            GreetsLike(&[Protocol::Pop3, Protocol::Imap], is_toolkit_version),
            Lists("I18NLEVEL=1 LITERAL+ SASL-IR LOGIN-REFERRALS"),
            Lists("X-NETSCAPE LOGIN-REFERRALS"),
        ],
    ),
    known("Qpopper", &[Named(&["qpopper"]), Named(&["qpop"]), Named(&["popper"])]),
    // Seen, 1.0.3: it says nothing but the indicator.
    known("popa3d", &[Greets(Protocol::Pop3, "")]),
    known("Microsoft Exchange", &[Named(&["microsoft", "exchange"])]),
    known("Microsoft ESMTP", &[Named(&["microsoft", "esmtp"])]),
    known("IceWarp", &[Named(&["icewarp"]), Named(&["merak"])]),
    known(
        "iPlanet Messaging Server",
        &[
            Named(&["messaging", "multiplexor"]),
            Named(&["iplanet"]),
            Named(&["system", "messaging", "server"]),
            Named(&["netscape", "messaging"]),
            Named(&["communications", "messaging"]),
        ],
    ),
    known("Google", &[Named(&["gimap"]), Named(&["gpop"]), Named(&["gsmtp"])]),
    known("hMailServer", &[Named(&["hmailserver"])]),
    known("Zimbra", &[Named(&["zimbra"])]),
    known("MDaemon", &[Named(&["mdaemon"])]),
    known("MailEnable", &[Named(&["mailenable"])]),
    known("Kerio Connect", &[Named(&["kerio"])]),
    known("CommuniGate Pro", &[Named(&["communigate"])]),
    known("HCL Domino", &[Named(&["domino"]), Named(&["lotus", "notes"])]),
    known("GroupWise", &[Named(&["groupwise"])]),
    known("Axigen", &[Named(&["axigen"])]),
    known("Stalwart", &[Named(&["stalwart"])]),
    known("Haraka", &[Named(&["haraka"])]),
    known("Apache James", &[Named(&["james"])]),
    known("Mercury", &[Named(&["mercury"])]),
    known("Coremail", &[Named(&["coremail"])]),
    known("GreenMail", &[Named(&["greenmail"])]),
    known("Binc IMAP", &[Named(&["binc", "imap"])]),
    known("Citadel", &[Named(&["citadel"])]),
    known("DBMail", &[Named(&["dbmail"])]),
    known("IMail", &[Named(&["imail"])]),
    known("Mirapoint", &[Named(&["mirapoint"])]),
    known("SurgeMail", &[Named(&["surgemail"])]),
    known("Solid POP3", &[Named(&["solid", "pop3"])]),
    known("Teapop", &[Named(&["teapop"])]),
    known("XMail", &[Named(&["xmail"])]),
    known("Leafnode", &[Named(&["leafnode"])]),
    known("INN", &[Named(&["internetnews"])]),
];

/// The words of a name, and the place of what is named so in the list.
type Place = (usize, &'static [&'static str]);

/// Names by their first words, in the list's order.
static NAMES: LazyLock<HashMap<&str, Vec<Place>, RandomState>> = LazyLock::new(|| {
    let mut names: HashMap<_, Vec<_>, _> = HashMap::default();
    for (row, known) in SERVERS.iter().enumerate() {
        for sign in known.signs {
            if let Named(name) = sign {
                names.entry(name[0]).or_default().push((row, *name));
            }
        }
    }
    names
});

/// Octets of the longest first word.
const LONGEST: usize = 24;

/// The software of a server, by what it calls itself before what it does.
#[must_use]
pub fn server(signs: ServerSigns<'_>) -> Option<&'static Software> {
    // Nearly every text holds none of the first words of names.
    let row = |text: &str| {
        let mut words = products(signs.protocol, text);
        let mut first = None;
        while let Some(word) = words.next() {
            let begins = |name: &[&str]| {
                let mut rest = words.clone();
                name[1..].iter().all(|wanted| rest.next().is_some_and(|word| word.eq_ignore_ascii_case(wanted)))
            };
            let found = named(word).iter().find(|(_, name)| begins(name)).map(|(row, _)| *row);
            first = first.into_iter().chain(found).min();
        }
        first
    };
    let by_name = [signs.id, signs.banner].into_iter().flatten().filter_map(row).min().map(|row| &SERVERS[row]);
    let known = by_name.or_else(|| SERVERS.iter().find(|known| known.signs.iter().any(|sign| shows(sign, signs))));
    known.map(|known| &known.software)
}

/// The names that begin with a word, in capitals or not.
fn named(word: &str) -> &'static [Place] {
    let mut lower = [0; LONGEST];
    let Some(lower) = lower.get_mut(..word.len()) else { return &[] };
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    let names = std::str::from_utf8(lower).ok().and_then(|word| NAMES.get(word));
    names.map_or(&[], Vec::as_slice)
}

/// Whether it behaves as the sign says.
fn shows(sign: &ServerSign, signs: ServerSigns<'_>) -> bool {
    let greets = |text: &str| signs.banner.is_some_and(|banner| greeting(banner) == text);
    match sign {
        Named(_) => false,
        Greets(protocol, text) => signs.protocol == *protocol && greets(text),
        GreetsLike(protocols, fits) => {
            let has = |banner: &str| banner.split_ascii_whitespace().any(fits);
            protocols.contains(&signs.protocol) && signs.banner.is_some_and(has)
        }
        Lists(words) => signs.capabilities.is_some_and(|list| holds_words(list, words)),
        GreetsAndLists(protocol, text, list) => {
            let begins = signs.capabilities.is_some_and(|capabilities| starts_with_words(capabilities, list));
            signs.protocol == *protocol && greets(text) && begins
        }
        Replies(text) => signs.reply.is_some_and(|reply| holds(reply, text)),
    }
}

/// A greeting without its `[CAPABILITY ...]` and its challenge for APOP.
fn greeting(banner: &str) -> &str {
    let text = match banner.strip_prefix('[').and_then(|list| list.split_once(']')) {
        Some((_, text)) => text,
        None => banner,
    };
    text.split(" <").next().unwrap_or_default().trim()
}

/// `2007e.404`, `v2003.83rh`: how the toolkit of the University of Washington numbers itself.
fn is_toolkit_version(word: &str) -> bool {
    let is_number = |text: &str| {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
        !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit())
    };
    let word = word.strip_prefix('v').unwrap_or(word);
    word.split_once('.').is_some_and(|(year, build)| {
        year.starts_with("200") && (4..=5).contains(&year.len()) && is_number(year) && is_number(build)
    })
}

/// The words of a text that may name a product.
fn products(protocol: Protocol, text: &str) -> impl Iterator<Item = &str> + Clone {
    // RFC 5321 section 4.2: the first word is the host's name, and hosts are named after what they run.
    let skipped = usize::from(matches!(protocol, Protocol::Smtp | Protocol::Lmtp));
    text.split_ascii_whitespace().skip(skipped).filter_map(product)
}

/// The name in a word such as `(Dovecot)` or `Mercury/32`; none in a host's or domain's name.
fn product(word: &str) -> Option<&str> {
    let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let is_domain = word.split_once('.').is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_alphabetic()));
    (!is_domain && !word.contains('@')).then(|| word.split('/').next().unwrap_or_default())
}
