//! Servers with TLS of their own.

use super::Topic::{Certificate, DiscardBeforeTls, ImplicitTls, OfferStarttls, RefuseClear, TlsVersions, Transfer};
use super::commands::{
    IMAP_NEW, IMAP_OFFERS, IMAP_REFUSES, IMAP_TRUE, IMAPS_TLS, PASSES_ON, SMTP_NEW, SMTP_OFFERS, SMTP_REFUSES,
    SMTP_TRUE, SMTPS_TLS,
};
use super::{ANY_SERVER, Row, row};

/// Servers that can do what is asked of them.
pub(super) static SERVERS: [Row; 73] = [
    row(
        RefuseClear,
        ANY_SERVER,
        "Refuse authentication until TLS is established (RFC 8314 section 4.1).",
        IMAP_REFUSES,
    ),
    row(
        OfferStarttls,
        ANY_SERVER,
        "Give it a certificate and enable STARTTLS (STLS for POP3), or close the port in favour of 993, 995 or 465.",
        IMAP_OFFERS,
    ),
    row(ImplicitTls, ANY_SERVER, "Serve TLS from the first octet on 993 (IMAP), 995 (POP3) and 465 (SMTP).", IMAPS_TLS),
    row(
        TlsVersions,
        ANY_SERVER,
        "Allow TLS 1.2 and 1.3 only, with ECDHE and AES-GCM or ChaCha20-Poly1305 (RFC 9325).",
        IMAP_NEW,
    ),
    row(
        Certificate,
        ANY_SERVER,
        "Install a certificate that holds every name that clients connect to, with its intermediates, and renew it \
         by a program.",
        IMAP_TRUE,
    ),
    row(
        DiscardBeforeTls,
        ANY_SERVER,
        "Update to a version that discards what it received before TLS; prefer 993, 995 and 465, where there is no \
         such moment.",
        r#"(sleep 1; printf 'EHLO test\r\n'; sleep 1; printf 'STARTTLS\r\nNOOP\r\n'; sleep 2) | nc HOST 587
must show one answer to STARTTLS and none to NOOP"#,
    ),
    row(
        Transfer,
        ANY_SERVER,
        "Use STARTTLS wherever the receiver offers it; require it by DANE (RFC 7672) or MTA-STS (RFC 8461). Refuse \
         REQUIRETLS where it cannot be kept (RFC 8689).",
        PASSES_ON,
    ),
    // Dovecot takes its own addresses and login_trusted_networks for safe.
    row(
        RefuseClear,
        "Dovecot",
        "2.4, in dovecot.conf:\nauth_allow_cleartext = no\nssl = required\n\
         2.3, in dovecot.conf:\ndisable_plaintext_auth = yes\nssl = required",
        IMAP_REFUSES,
    ),
    row(
        OfferStarttls,
        "Dovecot",
        "2.4, in dovecot.conf:\nssl = required\nssl_server_cert_file = /etc/ssl/certs/HOST.pem\n\
         ssl_server_key_file = /etc/ssl/private/HOST.key\n\
         2.3, in dovecot.conf:\nssl = required\nssl_cert = </etc/ssl/certs/HOST.pem\n\
         ssl_key = </etc/ssl/private/HOST.key",
        IMAP_OFFERS,
    ),
    row(
        ImplicitTls,
        "Dovecot",
        "in dovecot.conf:\nservice imap-login {\n  inet_listener imaps {\n    port = 993\n    ssl = yes\n  }\n}\n\
         service pop3-login {\n  inet_listener pop3s {\n    port = 995\n    ssl = yes\n  }\n}",
        IMAPS_TLS,
    ),
    row(
        TlsVersions,
        "Dovecot",
        "in dovecot.conf:\nssl_min_protocol = TLSv1.2\nssl_cipher_list = ECDHE+AESGCM:ECDHE+CHACHA20",
        IMAP_NEW,
    ),
    row(
        Certificate,
        "Dovecot",
        "2.4, in dovecot.conf:\nssl_server_cert_file = /etc/ssl/certs/HOST.pem\n\
         ssl_server_key_file = /etc/ssl/private/HOST.key\n\
         2.3, in dovecot.conf:\nssl_cert = </etc/ssl/certs/HOST.pem\nssl_key = </etc/ssl/private/HOST.key",
        IMAP_TRUE,
    ),
    row(
        DiscardBeforeTls,
        "Dovecot",
        "Update to 2.3.14.1 or later (CVE-2021-33515).",
        r#"dovecot --version
must show 2.3.14.1 or later"#,
    ),
    // Courier built with GnuTLS looks at TLS_PRIORITY alone. With OpenSSL the file sets
    // TLS_STARTTLS_PROTOCOL from TLS_PROTOCOL before that is set, so both must be.
    row(
        RefuseClear,
        "Courier",
        "in imapd-ssl:\nIMAP_TLS_REQUIRED=1\nin pop3d-ssl:\nPOP3_TLS_REQUIRED=1\n\
         in esmtpd:\nESMTPAUTH=\"\"\nESMTPAUTH_TLS=\"PLAIN LOGIN\"",
        IMAP_REFUSES,
    ),
    row(
        OfferStarttls,
        "Courier",
        "in imapd-ssl:\nIMAPDSTARTTLS=YES\nTLS_CERTFILE=/etc/ssl/private/HOST.both.pem\n\
         in pop3d-ssl:\nPOP3_STARTTLS=YES\nTLS_CERTFILE=/etc/ssl/private/HOST.both.pem\n\
         HOST.both.pem holds certificate and key.",
        IMAP_OFFERS,
    ),
    row(
        ImplicitTls,
        "Courier",
        "in imapd-ssl:\nIMAPDSSLSTART=YES\nSSLPORT=993\nTLS_CERTFILE=/etc/ssl/private/HOST.both.pem\n\
         in pop3d-ssl:\nPOP3DSSLSTART=YES\nSSLPORT=995\nTLS_CERTFILE=/etc/ssl/private/HOST.both.pem",
        IMAPS_TLS,
    ),
    row(
        TlsVersions,
        "Courier",
        "with GnuTLS (Debian), in imapd-ssl and pop3d-ssl:\n\
         TLS_PRIORITY=\"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-CIPHER-ALL:+AES-256-GCM:+AES-128-GCM\"\n\
         with OpenSSL, in imapd-ssl and pop3d-ssl:\n\
         TLS_PROTOCOL=\"TLSv1.2\"\nTLS_STARTTLS_PROTOCOL=\"TLSv1.2\"\n\
         TLS_CIPHER_LIST=\"ECDHE+AESGCM:ECDHE+CHACHA20\"",
        IMAP_NEW,
    ),
    row(
        Certificate,
        "Courier",
        "in imapd-ssl:\nTLS_CERTFILE=/etc/ssl/private/HOST.both.pem\n\
         in pop3d-ssl:\nTLS_CERTFILE=/etc/ssl/private/HOST.both.pem\nHOST.both.pem holds certificate and key.",
        IMAP_TRUE,
    ),
    row(RefuseClear, "Cyrus", "in imapd.conf:\nallowplaintext: no", IMAP_REFUSES),
    row(
        OfferStarttls,
        "Cyrus",
        "in imapd.conf:\ntls_server_cert: /etc/ssl/certs/HOST.pem\ntls_server_key: /etc/ssl/private/HOST.key",
        IMAP_OFFERS,
    ),
    row(
        ImplicitTls,
        "Cyrus",
        "in cyrus.conf, under SERVICES:\nimaps cmd=\"imapd -s -U 30\" listen=\"imaps\" prefork=0\n\
         pop3s cmd=\"pop3d -s -U 30\" listen=\"pop3s\" prefork=0",
        IMAPS_TLS,
    ),
    row(
        TlsVersions,
        "Cyrus",
        "in imapd.conf:\ntls_versions: tls1_2 tls1_3\ntls_ciphers: ECDHE+AESGCM:ECDHE+CHACHA20",
        IMAP_NEW,
    ),
    row(
        Certificate,
        "Cyrus",
        "in imapd.conf:\ntls_server_cert: /etc/ssl/certs/HOST.pem\ntls_server_key: /etc/ssl/private/HOST.key",
        IMAP_TRUE,
    ),
    // GNU Mailutils insists that nobody but its owner can read the key.
    row(
        RefuseClear,
        "GNU Mailutils",
        "in the server block of imap4d and pop3d:\ntls-mode required;\n\
         in the configuration of imap4d, so that clients are told before:\nlogin-disabled yes;",
        IMAP_REFUSES,
    ),
    row(
        OfferStarttls,
        "GNU Mailutils",
        "in the server block of imap4d and pop3d:\ntls-mode ondemand;\n\
         in the configuration of imap4d and pop3d:\ntls {\n  ssl-certificate-file /etc/ssl/certs/HOST.pem;\n\
         \x20 ssl-key-file /etc/ssl/private/HOST.key;\n}",
        IMAP_OFFERS,
    ),
    row(
        ImplicitTls,
        "GNU Mailutils",
        "in the configuration of imap4d:\nserver 0.0.0.0:993 { tls-mode connection; }\n\
         in the configuration of pop3d:\nserver 0.0.0.0:995 { tls-mode connection; }",
        IMAPS_TLS,
    ),
    row(
        TlsVersions,
        "GNU Mailutils",
        "in the tls block of imap4d and pop3d:\n\
         ssl-priorities \"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-CIPHER-ALL:+AES-256-GCM:+AES-128-GCM\";",
        IMAP_NEW,
    ),
    row(
        Certificate,
        "GNU Mailutils",
        "in the tls block of imap4d and pop3d:\nssl-certificate-file /etc/ssl/certs/HOST.pem;\n\
         ssl-key-file /etc/ssl/private/HOST.key;",
        IMAP_TRUE,
    ),
    // Postfix before 3.6 has the versions written the versions as "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1".
    row(
        RefuseClear,
        "Postfix",
        "in main.cf:\nsmtpd_tls_auth_only = yes\n\
         in master.cf, under submission:\n-o smtpd_tls_security_level=encrypt",
        SMTP_REFUSES,
    ),
    row(
        OfferStarttls,
        "Postfix",
        "in main.cf:\nsmtpd_tls_chain_files = /etc/ssl/private/HOST.key, /etc/ssl/certs/HOST.pem\n\
         smtpd_tls_security_level = may",
        SMTP_OFFERS,
    ),
    row(
        ImplicitTls,
        "Postfix",
        "in master.cf:\nsubmissions inet n - y - - smtpd\n  -o syslog_name=postfix/submissions\n\
         \x20 -o smtpd_tls_wrappermode=yes\n  -o smtpd_sasl_auth_enable=yes",
        SMTPS_TLS,
    ),
    row(
        TlsVersions,
        "Postfix",
        "in main.cf:\nsmtpd_tls_protocols = >=TLSv1.2\nsmtpd_tls_mandatory_protocols = >=TLSv1.2\n\
         smtpd_tls_exclude_ciphers = aNULL, kRSA, 3DES, RC4",
        SMTP_NEW,
    ),
    row(
        Certificate,
        "Postfix",
        "in main.cf:\nsmtpd_tls_chain_files = /etc/ssl/private/HOST.key, /etc/ssl/certs/HOST.pem",
        SMTP_TRUE,
    ),
    row(
        DiscardBeforeTls,
        "Postfix",
        "Update to 2.8 or later; 2.4.16, 2.5.12, 2.6.9 and 2.7.3 have the correction too (CVE-2011-0411).",
        "postconf mail_version\nmust show 2.8 or later",
    ),
    row(
        Transfer,
        "Postfix",
        "in main.cf:\nsmtp_tls_security_level = dane\nsmtp_dns_support_level = dnssec\nsmtp_tls_loglevel = 1\n\
         From 3.11 see REQUIRETLS_README; before it Postfix does not offer REQUIRETLS, and rightly.",
        PASSES_ON,
    ),
    row(
        RefuseClear,
        "Exim",
        "in the main section:\nauth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}",
        SMTP_REFUSES,
    ),
    row(
        OfferStarttls,
        "Exim",
        "in the main section:\ntls_advertise_hosts = *\ntls_certificate = /etc/ssl/certs/HOST.pem\n\
         tls_privatekey = /etc/ssl/private/HOST.key",
        SMTP_OFFERS,
    ),
    row(
        ImplicitTls,
        "Exim",
        "in the main section:\ndaemon_smtp_ports = 25 : 465 : 587\ntls_on_connect_ports = 465",
        SMTPS_TLS,
    ),
    row(
        TlsVersions,
        "Exim",
        "with GnuTLS (Debian), in the main section:\n\
         tls_require_ciphers = NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-CIPHER-ALL:+AES-256-GCM:+AES-128-GCM\n\
         with OpenSSL, in the main section:\nopenssl_options = +no_sslv2 +no_sslv3 +no_tlsv1 +no_tlsv1_1\n\
         tls_require_ciphers = ECDHE+AESGCM:ECDHE+CHACHA20",
        SMTP_NEW,
    ),
    row(
        Certificate,
        "Exim",
        "in the main section:\ntls_certificate = /etc/ssl/certs/HOST.pem\ntls_privatekey = /etc/ssl/private/HOST.key",
        SMTP_TRUE,
    ),
    row(
        Transfer,
        "Exim",
        "in the smtp transport:\nhosts_try_dane = *\ndnssec_request_domains = *\n\
         hosts_require_tls = the receivers that must have it",
        PASSES_ON,
    ),
    // Sendmail without both CACERT lines does not offer STARTTLS at all, and says so at log level 14 only.
    row(RefuseClear, "Sendmail", "in sendmail.mc:\ndefine(`confAUTH_OPTIONS', `A p')dnl", SMTP_REFUSES),
    row(
        OfferStarttls,
        "Sendmail",
        "in sendmail.mc:\ndefine(`confCACERT_PATH', `/etc/ssl/certs')dnl\n\
         define(`confCACERT', `/etc/ssl/certs/ca-certificates.crt')dnl\n\
         define(`confSERVER_CERT', `/etc/ssl/certs/HOST.pem')dnl\n\
         define(`confSERVER_KEY', `/etc/ssl/private/HOST.key')dnl",
        SMTP_OFFERS,
    ),
    row(
        ImplicitTls,
        "Sendmail",
        "in sendmail.mc:\nDAEMON_OPTIONS(`Family=inet, Name=TLSMSA, Port=465, Addr=0.0.0.0, M=s')dnl",
        SMTPS_TLS,
    ),
    row(
        TlsVersions,
        "Sendmail",
        "in sendmail.mc:\ndefine(`confSERVER_SSL_OPTIONS', `+SSL_OP_NO_SSLv3 +SSL_OP_NO_TLSv1 +SSL_OP_NO_TLSv1_1')dnl\n\
         define(`confCIPHER_LIST', `ECDHE+AESGCM:ECDHE+CHACHA20')dnl",
        SMTP_NEW,
    ),
    row(
        Certificate,
        "Sendmail",
        "in sendmail.mc:\ndefine(`confSERVER_CERT', `/etc/ssl/certs/HOST.pem')dnl\n\
         define(`confSERVER_KEY', `/etc/ssl/private/HOST.key')dnl",
        SMTP_TRUE,
    ),
    // OpenSMTPD 6.8 as Debian 12 has it cannot do TLS at all with OpenSSL 3; 7.6 can.
    row(
        RefuseClear,
        "OpenSMTPD",
        "in smtpd.conf (it does not take auth without tls):\n\
         listen on HOST port 587 tls-require pki HOST auth",
        SMTP_REFUSES,
    ),
    row(
        OfferStarttls,
        "OpenSMTPD",
        "in smtpd.conf:\npki HOST cert \"/etc/ssl/certs/HOST.pem\"\npki HOST key \"/etc/ssl/private/HOST.key\"\n\
         listen on HOST port 25 tls pki HOST\nlisten on HOST port 587 tls-require pki HOST auth",
        SMTP_OFFERS,
    ),
    row(ImplicitTls, "OpenSMTPD", "in smtpd.conf:\nlisten on HOST port 465 smtps pki HOST auth", SMTPS_TLS),
    row(
        TlsVersions,
        "OpenSMTPD",
        "in smtpd.conf:\nlisten on HOST port 587 tls-require pki HOST auth protocols \"tlsv1.2,tlsv1.3\" \
         ciphers \"secure\"",
        SMTP_NEW,
    ),
    row(
        Certificate,
        "OpenSMTPD",
        "in smtpd.conf:\npki HOST cert \"/etc/ssl/certs/HOST.pem\"\npki HOST key \"/etc/ssl/private/HOST.key\"",
        SMTP_TRUE,
    ),
    row(RefuseClear, "nginx", "in the mail block:\nstarttls only;", IMAP_REFUSES),
    row(
        OfferStarttls,
        "nginx",
        "in the mail block:\nssl_certificate /etc/ssl/certs/HOST.pem;\n\
         ssl_certificate_key /etc/ssl/private/HOST.key;\nstarttls on;",
        IMAP_OFFERS,
    ),
    row(
        ImplicitTls,
        "nginx",
        "in the mail block:\nserver { listen 993 ssl; protocol imap; }\nserver { listen 995 ssl; protocol pop3; }\n\
         server { listen 465 ssl; protocol smtp; }",
        IMAPS_TLS,
    ),
    row(
        TlsVersions,
        "nginx",
        "in the mail block:\nssl_protocols TLSv1.2 TLSv1.3;\nssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20;",
        IMAP_NEW,
    ),
    row(
        Certificate,
        "nginx",
        "in the mail block:\nssl_certificate /etc/ssl/certs/HOST.pem;\nssl_certificate_key /etc/ssl/private/HOST.key;",
        IMAP_TRUE,
    ),
    row(RefuseClear, "Perdition", "in perdition.conf:\nssl_mode tls_listen_force", IMAP_REFUSES),
    row(
        OfferStarttls,
        "Perdition",
        "in perdition.conf:\nssl_mode tls_listen\nssl_cert_file /etc/ssl/certs/HOST.pem\n\
         ssl_key_file /etc/ssl/private/HOST.key",
        IMAP_OFFERS,
    ),
    row(
        TlsVersions,
        "Perdition",
        "in perdition.conf:\nssl_listen_min_proto_version tlsv1.2\nssl_listen_ciphers ECDHE+AESGCM:ECDHE+CHACHA20",
        IMAP_NEW,
    ),
    row(
        Certificate,
        "Perdition",
        "in perdition.conf:\nssl_cert_file /etc/ssl/certs/HOST.pem\nssl_key_file /etc/ssl/private/HOST.key",
        IMAP_TRUE,
    ),
    row(
        RefuseClear,
        "Microsoft Exchange",
        "in the Exchange shell:\nSet-ImapSettings -LoginType SecureLogin\nSet-PopSettings -LoginType SecureLogin\n\
         Set-ReceiveConnector \"HOST\\Client Frontend HOST\" -AuthMechanism Tls,BasicAuth,BasicAuthRequireTLS\n\
         Restart the IMAP4 and POP3 services and their back ends.",
        IMAP_REFUSES,
    ),
    row(
        OfferStarttls,
        "Microsoft Exchange",
        "in the Exchange shell:\nEnable-ExchangeCertificate -Thumbprint THUMBPRINT -Services IMAP,POP,SMTP\n\
         Restart the IMAP4 and POP3 services and their back ends.",
        IMAP_OFFERS,
    ),
    row(
        Transfer,
        "Microsoft Exchange",
        "in the Exchange shell:\nSet-SendConnector CONNECTOR -RequireTLS $true\n\
         Set-ReceiveConnector CONNECTOR -AuthMechanism Tls",
        PASSES_ON,
    ),
    row(
        RefuseClear,
        "Microsoft ESMTP",
        "in the Exchange shell:\nSet-ReceiveConnector CONNECTOR -AuthMechanism Tls,BasicAuth,BasicAuthRequireTLS\n\
         In the SMTP service of IIS, Access, Authentication: basic authentication requires TLS encryption.",
        SMTP_REFUSES,
    ),
    row(
        OfferStarttls,
        "Microsoft ESMTP",
        "in the Exchange shell:\nEnable-ExchangeCertificate -Thumbprint THUMBPRINT -Services SMTP\n\
         In the SMTP service of IIS, Access, Secure communication: choose the certificate.",
        SMTP_OFFERS,
    ),
    row(
        RefuseClear,
        "iPlanet Messaging Server",
        "on the store:\nconfigutil -o service.imap.plaintextmincipher -v 1\n\
         configutil -o service.pop.plaintextmincipher -v 1\n\
         in ImapProxyAService.cfg and PopProxyAService.cfg of the multiplexor:\ndefault:RestrictPlainPasswords yes",
        IMAP_REFUSES,
    ),
    row(
        OfferStarttls,
        "iPlanet Messaging Server",
        "in ImapProxyAService.cfg of the multiplexor:\ndefault:SSLEnable yes\ndefault:SSLPorts 993\n\
         in PopProxyAService.cfg, where STLS is not to be had:\ndefault:SSLEnable yes\ndefault:SSLPorts 995",
        IMAP_OFFERS,
    ),
    row(
        RefuseClear,
        "Zimbra",
        "as zimbra:\nzmprov mcf zimbraImapCleartextLoginEnabled FALSE zimbraPop3CleartextLoginEnabled FALSE\n\
         zmprov mcf zimbraReverseProxyImapStartTlsMode only zimbraReverseProxyPop3StartTlsMode only\n\
         zmprov mcf zimbraMtaTlsAuthOnly TRUE",
        IMAP_REFUSES,
    ),
    row(
        OfferStarttls,
        "Zimbra",
        "as zimbra:\nzmcertmgr deploycrt comm HOST.crt chain.crt\nzmprov mcf zimbraMtaTlsSecurityLevel may",
        IMAP_OFFERS,
    ),
    row(
        RefuseClear,
        "Stalwart",
        "in the settings:\nimap.auth.allow-plain-text = false\n\
         For SMTP leave PLAIN and LOGIN out of the mechanisms without TLS.",
        IMAP_REFUSES,
    ),
    row(
        OfferStarttls,
        "Stalwart",
        "Give it a certificate, or have it get one by ACME; its listeners then offer STARTTLS.",
        IMAP_OFFERS,
    ),
    row(
        RefuseClear,
        "Apache James",
        "in imapserver.xml (before 3.7):\n<plainAuthDisallowed>true</plainAuthDisallowed>\n\
         in smtpserver.xml and imapserver.xml, under <auth>:\n<requireSSL>true</requireSSL>",
        IMAP_REFUSES,
    ),
    row(
        OfferStarttls,
        "Apache James",
        "in imapserver.xml, pop3server.xml and smtpserver.xml:\n<tls socketTLS=\"false\" startTLS=\"true\">",
        IMAP_OFFERS,
    ),
];
