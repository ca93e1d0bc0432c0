//! Clients: the setting that makes each give up rather than go on in clear.
//!
//! What was tried was tried against a server without TLS: with the setting, no password is sent.

use super::Topic::RequireTls;
use super::{ANY_CLIENT, Row, row};

/// For programs with windows: what to look at afterwards.
const WATCH: &str = "Send and fetch mail once more, with the sensor listening.\n\
     must not show a login of this client";
const AGAINST_CLEAR: &str = "Point it at a server without TLS, such as: nc -l 143\nmust not show the user's name";

/// All clients with a setting to tell.
pub(super) static CLIENTS: [Row; 25] = [
    row(
        RequireTls,
        ANY_CLIENT,
        "Choose SSL/TLS on 993, 995 and 465, or STARTTLS where it is required; never \"if available\".",
        WATCH,
    ),
    // Without sslproto it takes STARTTLS where it is offered, and goes on where it is not.
    row(
        RequireTls,
        "fetchmail",
        "in .fetchmailrc, for each poll:\nssl sslproto \"TLS1.2+\" sslcertck\nwith STARTTLS instead:\n\
         sslproto \"TLS1.2+\" sslcertck",
        AGAINST_CLEAR,
    ),
    row(
        RequireTls,
        "getmail",
        "in getmailrc, under [retriever]:\ntype = SimpleIMAPSSLRetriever\nfor POP3:\ntype = SimplePOP3SSLRetriever",
        AGAINST_CLEAR,
    ),
    row(
        RequireTls,
        "curl",
        "curl --ssl-reqd imap://HOST/\nor, with TLS from the first octet:\ncurl imaps://HOST/",
        AGAINST_CLEAR,
    ),
    row(
        RequireTls,
        "Python",
        "Use imaplib.IMAP4_SSL, poplib.POP3_SSL and smtplib.SMTP_SSL, or call starttls (stls) before login; pass \
         ssl.create_default_context(), without which no certificate is checked, and do not catch what is raised.",
        AGAINST_CLEAR,
    ),
    row(RequireTls, "Mutt", "in muttrc:\nset ssl_force_tls = yes\nset ssl_starttls = yes", AGAINST_CLEAR),
    row(RequireTls, "msmtp", "in .msmtprc:\ntls on\ntls_starttls on\nport 587", AGAINST_CLEAR),
    row(RequireTls, "mpop", "in .mpoprc:\ntls on\ntls_starttls on\nport 110", AGAINST_CLEAR),
    row(RequireTls, "swaks", "swaks --tls", AGAINST_CLEAR),
    row(
        RequireTls,
        "mbsync",
        "1.4, in .mbsyncrc:\nSSLType STARTTLS\nsince 1.5, in .mbsyncrc:\nTLSType STARTTLS",
        AGAINST_CLEAR,
    ),
    row(
        RequireTls,
        "OfflineIMAP",
        "in .offlineimaprc, in the remote repository:\nssl = yes\nsslcacertfile = OS-DEFAULT",
        AGAINST_CLEAR,
    ),
    row(
        RequireTls,
        "Alpine",
        "in .pinerc:\ninbox-path={HOST/tls/user=USER}INBOX\nsmtp-server=HOST:587/tls",
        AGAINST_CLEAR,
    ),
    row(
        RequireTls,
        "c-client",
        "In the mailbox's name: {HOST:143/imap/tls} or {HOST:993/imap/ssl}, never /notls or /novalidate-cert.",
        AGAINST_CLEAR,
    ),
    row(
        RequireTls,
        "s-nail",
        "Set mta to smtps://HOST:465, or to submission://HOST with smtp-use-starttls; read by imaps:// and pop3s://.",
        AGAINST_CLEAR,
    ),
    row(
        RequireTls,
        "Thunderbird",
        "In the account's Server settings, Connection security: SSL/TLS or STARTTLS; the same for outgoing mail.",
        WATCH,
    ),
    row(
        RequireTls,
        "Outlook",
        "In the account settings, More settings, Advanced: SSL/TLS as the type of encryption, incoming and outgoing; \
         never Auto.",
        WATCH,
    ),
    row(
        RequireTls,
        "Outlook Express",
        "In the account's Advanced page: This server requires a secure connection, for both servers. It knows no TLS \
         1.2: replace it.",
        WATCH,
    ),
    row(
        RequireTls,
        "Netscape Messenger",
        "In the server's properties: use a secure connection (SSL). It knows no TLS 1.2: replace it.",
        WATCH,
    ),
    row(
        RequireTls,
        "Eudora",
        "In Tools, Options, Checking mail and Sending mail: Secure sockets Required, alternate port or STARTTLS. Old \
         versions know no TLS 1.2: replace them.",
        WATCH,
    ),
    row(
        RequireTls,
        "Apple Mail",
        "In the account's server settings: use TLS/SSL, do not manage connection settings automatically, do not allow \
         insecure authentication.",
        WATCH,
    ),
    row(
        RequireTls,
        "K-9 Mail",
        "In the account's settings for incoming and outgoing mail, Security: SSL/TLS or STARTTLS.",
        WATCH,
    ),
    row(
        RequireTls,
        "Evolution",
        "In the account's Receiving and Sending pages, Encryption method: TLS on a dedicated port.",
        WATCH,
    ),
    row(
        RequireTls,
        "Roundcube",
        "in config.inc.php:\n$config['imap_host'] = 'ssl://HOST:993';\n$config['smtp_host'] = 'ssl://HOST:465';",
        WATCH,
    ),
    row(
        RequireTls,
        "MailKit",
        "Pass SecureSocketOptions.SslOnConnect to Connect, or StartTls; never Auto, None or StartTlsWhenAvailable.",
        WATCH,
    ),
    row(
        RequireTls,
        "Ruby",
        "Use Net::IMAP.new(host, ssl: true) and Net::SMTP.new(host, 465).enable_tls; or starttls before login.",
        WATCH,
    ),
];
