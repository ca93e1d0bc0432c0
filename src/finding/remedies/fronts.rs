//! stunnel, servers that need it or are set in a console, and devices that meddle with mail on its way.

use super::Topic::{Certificate, ImplicitTls, Inspection, OfferStarttls, RefuseClear, TlsVersions};
use super::commands::{
    IMAP_OFFERS, IMAP_REFUSES, NNTP_OFFERS, NNTP_REFUSES, NNTPS_TLS, POP3_NEW, POP3_OFFERS, POP3_REFUSES, POP3_TRUE,
    POP3S_TLS, SMTP_OFFERS, SMTP_REFUSES,
};
use super::{ANY_SERVER, Row, row};

// With `protocol` stunnel offers STARTTLS itself and cuts off
// whoever goes on without.
const STARTTLS_IN_FRONT: &str = "Let the server listen on 127.0.0.1 alone, and stunnel in front of it.\n\
     in stunnel.conf:\ncert = /etc/ssl/certs/HOST.pem\nkey = /etc/ssl/private/HOST.key\n\
     [pop3]\naccept = HOST:110\nconnect = 127.0.0.1:110\nprotocol = pop3";
const TLS_IN_FRONT: &str = "Let the server listen on 127.0.0.1 alone, and stunnel in front of it.\n\
     in stunnel.conf:\ncert = /etc/ssl/certs/HOST.pem\nkey = /etc/ssl/private/HOST.key\n\
     [pop3s]\naccept = 995\nconnect = 127.0.0.1:110\n[imaps]\naccept = 993\nconnect = 127.0.0.1:143";
/// For servers that never had TLS, or have none worth having.
const NO_TLS: &str = "It has no TLS and is not maintained: replace it. Until then, let it listen on 127.0.0.1 alone, \
     and stunnel in front of it.\n\
     in stunnel.conf:\ncert = /etc/ssl/certs/HOST.pem\nkey = /etc/ssl/private/HOST.key\n\
     [pop3]\naccept = HOST:110\nconnect = 127.0.0.1:110\nprotocol = pop3";
/// For servers whose own setting is not known here.
const ASK_ITS_MAKER: &str = "Its own setting is not known here: look for TLS and plaintext logins in its manual. Where \
     there is none, let it listen on 127.0.0.1 alone, and stunnel in front of it.\n\
     in stunnel.conf:\ncert = /etc/ssl/certs/HOST.pem\nkey = /etc/ssl/private/HOST.key\n\
     [pop3]\naccept = HOST:110\nconnect = 127.0.0.1:110\nprotocol = pop3";

const NEWS_IN_FRONT: &str = "It has no TLS: let it listen on 127.0.0.1 alone, and stunnel in front of it.\n\
     in stunnel.conf:\ncert = /etc/ssl/certs/HOST.pem\nkey = /etc/ssl/private/HOST.key\n\
     [nntps]\naccept = 563\nconnect = 127.0.0.1:119";

/// stunnel and what stands behind it, and what is set by hand in a console.
pub(super) static FRONTED: [Row; 64] = [
    row(RefuseClear, "stunnel", STARTTLS_IN_FRONT, POP3_REFUSES),
    row(OfferStarttls, "stunnel", STARTTLS_IN_FRONT, POP3_OFFERS),
    row(ImplicitTls, "stunnel", TLS_IN_FRONT, POP3S_TLS),
    row(
        TlsVersions,
        "stunnel",
        "in stunnel.conf:\nsslVersionMin = TLSv1.2\nciphers = ECDHE+AESGCM:ECDHE+CHACHA20",
        POP3_NEW,
    ),
    row(
        Certificate,
        "stunnel",
        "in stunnel.conf:\ncert = /etc/ssl/certs/HOST.pem\nkey = /etc/ssl/private/HOST.key",
        POP3_TRUE,
    ),
    row(RefuseClear, "popa3d", NO_TLS, POP3_REFUSES),
    row(OfferStarttls, "popa3d", NO_TLS, POP3_OFFERS),
    row(ImplicitTls, "popa3d", TLS_IN_FRONT, POP3S_TLS),
    row(
        RefuseClear,
        "GNU pop3d",
        "Replace it with pop3d of GNU Mailutils, its successor, and set there:\n\
         in the server block of pop3d:\ntls-mode required;",
        POP3_REFUSES,
    ),
    row(
        OfferStarttls,
        "GNU pop3d",
        "Replace it with pop3d of GNU Mailutils, its successor, and set there:\n\
         in the server block of pop3d:\ntls-mode ondemand;\n\
         in the configuration of pop3d:\ntls {\n  ssl-certificate-file /etc/ssl/certs/HOST.pem;\n\
         \x20 ssl-key-file /etc/ssl/private/HOST.key;\n}",
        POP3_OFFERS,
    ),
    // From the administrator's guide of 4.0.
    row(
        RefuseClear,
        "Qpopper",
        "4.0 and later, built with OpenSSL, in qpopper.config:\nset clear-text-password = tls\n\
         Older ones have no TLS: replace them, or put stunnel in front.",
        POP3_REFUSES,
    ),
    row(
        OfferStarttls,
        "Qpopper",
        "4.0 and later, built with OpenSSL, in qpopper.config:\nset tls-support = stls\n\
         set tls-server-cert-file = /etc/ssl/private/HOST.both.pem\n\
         Older ones have no TLS: replace them, or put stunnel in front.",
        POP3_OFFERS,
    ),
    row(
        RefuseClear,
        "UW IMAP",
        "Build it with SSLTYPE=nopwd, which refuses passwords without TLS. The last release is of 2011: replace it.",
        IMAP_REFUSES,
    ),
    row(
        OfferStarttls,
        "UW IMAP",
        "Put certificate and key in one file, imapd.pem and ipop3d.pem in the directory of certificates it was built \
         with, such as /etc/ssl/certs. The last release is of 2011: replace it.",
        IMAP_OFFERS,
    ),
    row(RefuseClear, "Solid POP3", NO_TLS, POP3_REFUSES),
    row(OfferStarttls, "Solid POP3", NO_TLS, POP3_OFFERS),
    row(RefuseClear, "Teapop", NO_TLS, POP3_REFUSES),
    row(OfferStarttls, "Teapop", NO_TLS, POP3_OFFERS),
    row(RefuseClear, "IceWarp", "in the console, Mail, Security, Protocol policy:\nAUTHPlainDisable=1", IMAP_REFUSES),
    row(OfferStarttls, "IceWarp", "In the console, System, Certificates: install a certificate for HOST.", IMAP_OFFERS),
    row(
        RefuseClear,
        "hMailServer",
        "In the administrator, Settings, Advanced, TCP/IP ports: set the connection security of 25, 110 and 143 to \
         STARTTLS (Required).",
        IMAP_REFUSES,
    ),
    row(
        OfferStarttls,
        "hMailServer",
        "In the administrator, Settings, Advanced: add the certificate under SSL certificates, then choose it with \
         STARTTLS under TCP/IP ports.",
        IMAP_OFFERS,
    ),
    row(
        RefuseClear,
        "MDaemon",
        "In Setup, Server settings, Servers: do not allow plain text passwords. In Security, SSL & TLS: the SMTP \
         server requires STARTTLS on the MSA port.",
        IMAP_REFUSES,
    ),
    row(
        OfferStarttls,
        "MDaemon",
        "In Security, SSL & TLS, MDaemon: enable SSL, STARTTLS and STLS, and choose the certificate.",
        IMAP_OFFERS,
    ),
    row(
        RefuseClear,
        "MailEnable",
        "In the administration, at the IMAP and POP services: enable SSL for the default port too, or close it, and \
         leave 993 and 995.",
        IMAP_REFUSES,
    ),
    row(
        OfferStarttls,
        "MailEnable",
        "In the administration, Localhost, Properties, SSL: choose the certificate; then enable SSL at each service.",
        IMAP_OFFERS,
    ),
    row(
        RefuseClear,
        "Kerio Connect",
        "In the administration, Security, Security policy: require encrypted connection.",
        IMAP_REFUSES,
    ),
    row(
        OfferStarttls,
        "Kerio Connect",
        "In the administration, SSL certificates: install and activate a certificate for HOST.",
        IMAP_OFFERS,
    ),
    row(
        RefuseClear,
        "CommuniGate Pro",
        "In the account defaults of each domain: enable Secure Method Required.",
        IMAP_REFUSES,
    ),
    row(
        OfferStarttls,
        "CommuniGate Pro",
        "In the domain's Security, Certificates page: enable PKI services and install the certificate.",
        IMAP_OFFERS,
    ),
    row(
        RefuseClear,
        "HCL Domino",
        "In the server document, Ports, Internet ports, Mail: for the TCP/IP ports of IMAP, POP and SMTP inbound set \
         Name & password to No, or their status to Redirect to TLS.",
        IMAP_REFUSES,
    ),
    row(
        OfferStarttls,
        "HCL Domino",
        "In the configuration document, Router/SMTP, Advanced, inbound commands: SSL negotiated over TCP/IP port \
         enabled. In the server document, Ports: enable the TLS ports.",
        SMTP_OFFERS,
    ),
    row(
        RefuseClear,
        "GroupWise",
        "At the internet agent and the post office agents, Agent settings: set SSL of IMAP, POP and SMTP to Required.",
        IMAP_REFUSES,
    ),
    row(
        OfferStarttls,
        "GroupWise",
        "At each agent, SSL settings: name certificate and key, then set SSL of IMAP, POP and SMTP to Enabled.",
        IMAP_OFFERS,
    ),
    row(
        RefuseClear,
        "Axigen",
        "In the administration, Services, IMAP, POP3 and SMTP receiving: leave plain and login out of the list for \
         unsecure connections.",
        IMAP_REFUSES,
    ),
    row(
        OfferStarttls,
        "Axigen",
        "In the administration, Services, IMAP, POP3 and SMTP receiving: Allow StartTLS; at the listener, SSL \
         settings: the certificate.",
        IMAP_OFFERS,
    ),
    row(
        RefuseClear,
        "Haraka",
        "in config/plugins, before the auth plugins:\ntls\n\
         Its auth plugins offer logins under TLS only, but for clients on private addresses.",
        SMTP_REFUSES,
    ),
    row(
        OfferStarttls,
        "Haraka",
        "in config/plugins:\ntls\nPut key and certificate in config/tls_key.pem and config/tls_cert.pem.",
        SMTP_OFFERS,
    ),
    row(
        RefuseClear,
        "Mercury",
        "In MercuryP and MercuryI, SSL: disable plaintext logins for connections without SSL.",
        IMAP_REFUSES,
    ),
    row(
        OfferStarttls,
        "Mercury",
        "In MercuryP, MercuryI and MercuryS, SSL: enable SSL and name the certificate.",
        IMAP_OFFERS,
    ),
    row(
        RefuseClear,
        "GreenMail",
        "It is a server for tests: use no accounts there that mean anything elsewhere.",
        IMAP_REFUSES,
    ),
    row(OfferStarttls, "GreenMail", "It is a server for tests: use its ports for TLS.", IMAP_OFFERS),
    row(
        RefuseClear,
        "Google",
        "Google's servers refuse logins without TLS. Find out which machine answers under that name.",
        SMTP_REFUSES,
    ),
    row(
        OfferStarttls,
        "Google",
        "Google's servers offer STARTTLS. Find out which device on the way takes the offer out.",
        SMTP_OFFERS,
    ),
    row(RefuseClear, "Coremail", ASK_ITS_MAKER, POP3_REFUSES),
    row(OfferStarttls, "Coremail", ASK_ITS_MAKER, POP3_OFFERS),
    row(RefuseClear, "Binc IMAP", ASK_ITS_MAKER, IMAP_REFUSES),
    row(OfferStarttls, "Binc IMAP", ASK_ITS_MAKER, IMAP_OFFERS),
    row(RefuseClear, "Citadel", ASK_ITS_MAKER, IMAP_REFUSES),
    row(OfferStarttls, "Citadel", ASK_ITS_MAKER, IMAP_OFFERS),
    row(RefuseClear, "DBMail", ASK_ITS_MAKER, IMAP_REFUSES),
    row(OfferStarttls, "DBMail", ASK_ITS_MAKER, IMAP_OFFERS),
    row(RefuseClear, "IMail", ASK_ITS_MAKER, IMAP_REFUSES),
    row(OfferStarttls, "IMail", ASK_ITS_MAKER, IMAP_OFFERS),
    row(RefuseClear, "Mirapoint", ASK_ITS_MAKER, IMAP_REFUSES),
    row(OfferStarttls, "Mirapoint", ASK_ITS_MAKER, IMAP_OFFERS),
    row(RefuseClear, "SurgeMail", ASK_ITS_MAKER, IMAP_REFUSES),
    row(OfferStarttls, "SurgeMail", ASK_ITS_MAKER, IMAP_OFFERS),
    row(RefuseClear, "XMail", ASK_ITS_MAKER, POP3_REFUSES),
    row(OfferStarttls, "XMail", ASK_ITS_MAKER, POP3_OFFERS),
    row(RefuseClear, "INN", "in readers.conf, in the access groups that log in:\nrequire_ssl: true", NNTP_REFUSES),
    row(
        OfferStarttls,
        "INN",
        "in inn.conf:\ntlscertfile: /etc/ssl/certs/HOST.pem\ntlskeyfile: /etc/ssl/private/HOST.key",
        NNTP_OFFERS,
    ),
    row(RefuseClear, "Leafnode", NEWS_IN_FRONT, NNTPS_TLS),
    row(OfferStarttls, "Leafnode", NEWS_IN_FRONT, NNTPS_TLS),
];

/// What stands between server and client.
pub(super) static DEVICES: [Row; 3] = [
    row(
        Inspection,
        ANY_SERVER,
        "Turn off the inspection of SMTP, IMAP and POP3 on firewalls, proxies and virus scanners between the two, or \
         have them end and begin TLS themselves.",
        "(sleep 1; printf 'EHLO test\\r\\n'; sleep 1; printf 'QUIT\\r\\n'; sleep 1) | nc HOST 25\n\
         must show \"STARTTLS\" from both sides of the device",
    ),
    row(
        Inspection,
        "Cisco ASA",
        "policy-map global_policy\n class inspection_default\n  no inspect esmtp\n\
         or let TLS through:\npolicy-map type inspect esmtp MAP\n parameters\n  allow-tls",
        "(sleep 1; printf 'EHLO test\\r\\n'; sleep 1; printf 'QUIT\\r\\n'; sleep 1) | nc HOST 25\n\
         must show \"STARTTLS\" and no row of X or *",
    ),
    row(
        Inspection,
        "Cisco PIX",
        "no fixup protocol smtp 25",
        "(sleep 1; printf 'EHLO test\\r\\n'; sleep 1; printf 'QUIT\\r\\n'; sleep 1) | nc HOST 25\n\
         must show \"250\" for EHLO and no row of X or *",
    ),
];
