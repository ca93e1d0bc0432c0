//! Servers with TLS of their own.

use super::Topic::{Certificate, DiscardBeforeTls, ImplicitTls, OfferStarttls, RefuseClear, TlsVersions, Transfer};
use super::{ANY_SERVER, Row, row};

// Ask from another machine: several servers take a login from their own address for a safe one.
const REFUSES_IMAP: &str = r#"(sleep 1; printf 'a CAPABILITY\r\nb LOGOUT\r\n'; sleep 2) | nc HOST 143
must show "LOGINDISABLED""#;
const REFUSES_SMTP: &str = r#"(sleep 1; printf 'EHLO test\r\n'; sleep 1; printf 'QUIT\r\n'; sleep 1) | nc HOST 587
must not show "PLAIN""#;
const OFFERS_IMAP: &str = r#"openssl s_client -starttls imap -connect HOST:143 -brief </dev/null
must show "CONNECTION ESTABLISHED""#;
const OFFERS_SMTP: &str = r#"openssl s_client -starttls smtp -connect HOST:587 -brief </dev/null
must show "CONNECTION ESTABLISHED""#;
const IMPLICIT_IMAP: &str = r#"openssl s_client -connect HOST:993 -brief </dev/null
must show "CONNECTION ESTABLISHED""#;
const IMPLICIT_SMTP: &str = r#"openssl s_client -connect HOST:465 -brief </dev/null
must show "CONNECTION ESTABLISHED""#;
const NEW_IMAP: &str = r#"openssl s_client -starttls imap -connect HOST:143 -tls1_1 -cipher DEFAULT@SECLEVEL=0 -brief </dev/null
must not show "CONNECTION ESTABLISHED""#;
const NEW_SMTP: &str = r#"openssl s_client -starttls smtp -connect HOST:587 -tls1_1 -cipher DEFAULT@SECLEVEL=0 -brief </dev/null
must not show "CONNECTION ESTABLISHED""#;
const TRUE_IMAP: &str = r#"openssl s_client -starttls imap -connect HOST:143 -verify_hostname HOST -brief </dev/null
must show "Verification: OK""#;
const TRUE_SMTP: &str = r#"openssl s_client -starttls smtp -connect HOST:587 -verify_hostname HOST -brief </dev/null
must show "Verification: OK""#;
const PASSES_ON: &str = r#"posttls-finger -c -l may DOMAIN
must show "TLS connection established""#;

/// Servers that can do what is asked of them.
pub(super) static SERVERS: [Row; 73] = [
    row(
        RefuseClear,
        ANY_SERVER,
        "Refuse authentication until TLS is established (RFC 8314 section 4.1).",
        REFUSES_IMAP,
    ),
    row(
        OfferStarttls,
        ANY_SERVER,
        "Give it a certificate and enable STARTTLS (STLS for POP3), or close the port in favour of 993, 995 or 465.",
        OFFERS_IMAP,
    ),
    row(
        ImplicitTls,
        ANY_SERVER,
        "Serve TLS from the first octet on 993 (IMAP), 995 (POP3) and 465 (SMTP).",
        IMPLICIT_IMAP,
    ),
    row(
        TlsVersions,
        ANY_SERVER,
        "Allow TLS 1.2 and 1.3 only, with ECDHE and AES-GCM or ChaCha20-Poly1305 (RFC 9325).",
        NEW_IMAP,
    ),
    row(
        Certificate,
        ANY_SERVER,
        "Install a certificate that holds every name that clients connect to, with its intermediates, and renew it \
         by a program.",
        TRUE_IMAP,
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
    // Dovecot: checked with 2.3.19.1 and 2.4.1. It takes its own addresses and login_trusted_networks for safe.
    row(
        RefuseClear,
        "Dovecot",
        "2.4, in dovecot.conf:\nauth_allow_cleartext = no\nssl = required\n\
         2.3, in dovecot.conf:\ndisable_plaintext_auth = yes\nssl = required",
        REFUSES_IMAP,
    ),
    row(
        OfferStarttls,
        "Dovecot",
        "2.4, in dovecot.conf:\nssl = required\nssl_server_cert_file = /etc/ssl/certs/HOST.pem\n\
         ssl_server_key_file = /etc/ssl/private/HOST.key\n\
         2.3, in dovecot.conf:\nssl = required\nssl_cert = </etc/ssl/certs/HOST.pem\n\
         ssl_key = </etc/ssl/private/HOST.key",
        OFFERS_IMAP,
    ),
    row(
        ImplicitTls,
        "Dovecot",
        "in dovecot.conf:\nservice imap-login {\n  inet_listener imaps {\n    port = 993\n    ssl = yes\n  }\n}\n\
         service pop3-login {\n  inet_listener pop3s {\n    port = 995\n    ssl = yes\n  }\n}",
        IMPLICIT_IMAP,
    ),
    row(
        TlsVersions,
        "Dovecot",
        "in dovecot.conf:\nssl_min_protocol = TLSv1.2\nssl_cipher_list = ECDHE+AESGCM:ECDHE+CHACHA20",
        NEW_IMAP,
    ),
    row(
        Certificate,
        "Dovecot",
        "2.4, in dovecot.conf:\nssl_server_cert_file = /etc/ssl/certs/HOST.pem\n\
         ssl_server_key_file = /etc/ssl/private/HOST.key\n\
         2.3, in dovecot.conf:\nssl_cert = </etc/ssl/certs/HOST.pem\nssl_key = </etc/ssl/private/HOST.key",
        TRUE_IMAP,
    ),
    row(
        DiscardBeforeTls,
        "Dovecot",
        "Update to 2.3.14.1 or later (CVE-2021-33515).",
        r#"dovecot --version
must show 2.3.14.1 or later"#,
    ),
    // Courier: checked with 5.0.13, built with GnuTLS, which looks at TLS_PRIORITY alone. With OpenSSL the file sets
    // TLS_STARTTLS_PROTOCOL from TLS_PROTOCOL before that is set, so both must be.
    row(
        RefuseClear,
        "Courier",
        "in imapd-ssl:\nIMAP_TLS_REQUIRED=1\nin pop3d-ssl:\nPOP3_TLS_REQUIRED=1\n\
         in esmtpd:\nESMTPAUTH=\"\"\nESMTPAUTH_TLS=\"PLAIN LOGIN\"",
        REFUSES_IMAP,
    ),
    row(
        OfferStarttls,
        "Courier",
        "in imapd-ssl:\nIMAPDSTARTTLS=YES\nTLS_CERTFILE=/etc/ssl/private/HOST.both.pem\n\
         in pop3d-ssl:\nPOP3_STARTTLS=YES\nTLS_CERTFILE=/etc/ssl/private/HOST.both.pem",
        OFFERS_IMAP,
    ),
    row(
        ImplicitTls,
        "Courier",
        "in imapd-ssl:\nIMAPDSSLSTART=YES\nSSLPORT=993\nTLS_CERTFILE=/etc/ssl/private/HOST.both.pem\n\
         in pop3d-ssl:\nPOP3DSSLSTART=YES\nSSLPORT=995\nTLS_CERTFILE=/etc/ssl/private/HOST.both.pem",
        IMPLICIT_IMAP,
    ),
    row(
        TlsVersions,
        "Courier",
        "with GnuTLS (Debian), in imapd-ssl and pop3d-ssl:\n\
         TLS_PRIORITY=\"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-CIPHER-ALL:+AES-256-GCM:+AES-128-GCM\"\n\
         with OpenSSL, in imapd-ssl and pop3d-ssl:\n\
         TLS_PROTOCOL=\"TLSv1.2\"\nTLS_STARTTLS_PROTOCOL=\"TLSv1.2\"\n\
         TLS_CIPHER_LIST=\"ECDHE+AESGCM:ECDHE+CHACHA20\"",
        NEW_IMAP,
    ),
    row(
        Certificate,
        "Courier",
        "in imapd-ssl:\nTLS_CERTFILE=/etc/ssl/private/HOST.both.pem\n\
         in pop3d-ssl:\nTLS_CERTFILE=/etc/ssl/private/HOST.both.pem",
        TRUE_IMAP,
    ),
    // Cyrus: checked with 3.6.1.
    row(RefuseClear, "Cyrus", "in imapd.conf:\nallowplaintext: no", REFUSES_IMAP),
    row(
        OfferStarttls,
        "Cyrus",
        "in imapd.conf:\ntls_server_cert: /etc/ssl/certs/HOST.pem\ntls_server_key: /etc/ssl/private/HOST.key",
        OFFERS_IMAP,
    ),
    row(
        ImplicitTls,
        "Cyrus",
        "in cyrus.conf, under SERVICES:\nimaps cmd=\"imapd -s -U 30\" listen=\"imaps\" prefork=0\n\
         pop3s cmd=\"pop3d -s -U 30\" listen=\"pop3s\" prefork=0",
        IMPLICIT_IMAP,
    ),
    row(
        TlsVersions,
        "Cyrus",
        "in imapd.conf:\ntls_versions: tls1_2 tls1_3\ntls_ciphers: ECDHE+AESGCM:ECDHE+CHACHA20",
        NEW_IMAP,
    ),
    row(
        Certificate,
        "Cyrus",
        "in imapd.conf:\ntls_server_cert: /etc/ssl/certs/HOST.pem\ntls_server_key: /etc/ssl/private/HOST.key",
        TRUE_IMAP,
    ),
    // GNU Mailutils: checked with 3.15. It insists that nobody but its owner can read the key.
    row(
        RefuseClear,
        "GNU Mailutils",
        "in the server block of imap4d and pop3d:\ntls-mode required;\n\
         in the configuration of imap4d, so that clients are told before:\nlogin-disabled yes;",
        REFUSES_IMAP,
    ),
    row(
        OfferStarttls,
        "GNU Mailutils",
        "in the server block of imap4d and pop3d:\ntls-mode ondemand;\n\
         in the configuration of imap4d and pop3d:\ntls {\n  ssl-certificate-file /etc/ssl/certs/HOST.pem;\n\
         \x20 ssl-key-file /etc/ssl/private/HOST.key;\n}",
        OFFERS_IMAP,
    ),
    row(
        ImplicitTls,
        "GNU Mailutils",
        "in the configuration of imap4d:\nserver 0.0.0.0:993 { tls-mode connection; }\n\
         in the configuration of pop3d:\nserver 0.0.0.0:995 { tls-mode connection; }",
        IMPLICIT_IMAP,
    ),
    row(
        TlsVersions,
        "GNU Mailutils",
        "in the tls block of imap4d and pop3d:\n\
         ssl-priorities \"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-CIPHER-ALL:+AES-256-GCM:+AES-128-GCM\";",
        NEW_IMAP,
    ),
    row(
        Certificate,
        "GNU Mailutils",
        "in the tls block of imap4d and pop3d:\nssl-certificate-file /etc/ssl/certs/HOST.pem;\n\
         ssl-key-file /etc/ssl/private/HOST.key;",
        TRUE_IMAP,
    ),
    // Postfix: checked with 3.7.11. Before 3.6 write the versions as "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1".
    row(
        RefuseClear,
        "Postfix",
        "in main.cf:\nsmtpd_tls_auth_only = yes\n\
         in master.cf, under submission:\n-o smtpd_tls_security_level=encrypt",
        REFUSES_SMTP,
    ),
    row(
        OfferStarttls,
        "Postfix",
        "in main.cf:\nsmtpd_tls_chain_files = /etc/ssl/private/HOST.key, /etc/ssl/certs/HOST.pem\n\
         smtpd_tls_security_level = may",
        OFFERS_SMTP,
    ),
    row(
        ImplicitTls,
        "Postfix",
        "in master.cf:\nsubmissions inet n - y - - smtpd\n  -o syslog_name=postfix/submissions\n\
         \x20 -o smtpd_tls_wrappermode=yes\n  -o smtpd_sasl_auth_enable=yes",
        IMPLICIT_SMTP,
    ),
    row(
        TlsVersions,
        "Postfix",
        "in main.cf:\nsmtpd_tls_protocols = >=TLSv1.2\nsmtpd_tls_mandatory_protocols = >=TLSv1.2\n\
         smtpd_tls_exclude_ciphers = aNULL, kRSA, 3DES, RC4",
        NEW_SMTP,
    ),
    row(
        Certificate,
        "Postfix",
        "in main.cf:\nsmtpd_tls_chain_files = /etc/ssl/private/HOST.key, /etc/ssl/certs/HOST.pem",
        TRUE_SMTP,
    ),
    row(
        DiscardBeforeTls,
        "Postfix",
        "Update to 2.8 or later; 2.4.16, 2.5.12, 2.6.9 and 2.7.3 have the correction too (CVE-2011-0411).",
        "postconf mail_version\nmust show 2.8 or later",
    ),
    // REQUIRETLS is in Postfix since 3.11; not checked.
    row(
        Transfer,
        "Postfix",
        "in main.cf:\nsmtp_tls_security_level = dane\nsmtp_dns_support_level = dnssec\nsmtp_tls_loglevel = 1\n\
         From 3.11 see REQUIRETLS_README; before it Postfix does not offer REQUIRETLS, and rightly.",
        PASSES_ON,
    ),
    // Exim: checked with 4.96, built with GnuTLS.
    row(
        RefuseClear,
        "Exim",
        "in the main section:\nauth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}",
        REFUSES_SMTP,
    ),
    row(
        OfferStarttls,
        "Exim",
        "in the main section:\ntls_advertise_hosts = *\ntls_certificate = /etc/ssl/certs/HOST.pem\n\
         tls_privatekey = /etc/ssl/private/HOST.key",
        OFFERS_SMTP,
    ),
    row(
        ImplicitTls,
        "Exim",
        "in the main section:\ndaemon_smtp_ports = 25 : 465 : 587\ntls_on_connect_ports = 465",
        IMPLICIT_SMTP,
    ),
    row(
        TlsVersions,
        "Exim",
        "with GnuTLS (Debian), in the main section:\n\
         tls_require_ciphers = NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-CIPHER-ALL:+AES-256-GCM:+AES-128-GCM\n\
         with OpenSSL, in the main section:\nopenssl_options = +no_sslv2 +no_sslv3 +no_tlsv1 +no_tlsv1_1\n\
         tls_require_ciphers = ECDHE+AESGCM:ECDHE+CHACHA20",
        NEW_SMTP,
    ),
    row(
        Certificate,
        "Exim",
        "in the main section:\ntls_certificate = /etc/ssl/certs/HOST.pem\ntls_privatekey = /etc/ssl/private/HOST.key",
        TRUE_SMTP,
    ),
    row(
        Transfer,
        "Exim",
        "in the smtp transport:\nhosts_try_dane = *\ndnssec_request_domains = *\n\
         hosts_require_tls = the receivers that must have it",
        PASSES_ON,
    ),
    // Sendmail: checked with 8.17.1. Without both CACERT lines it does not offer STARTTLS at all, silently.
    row(RefuseClear, "Sendmail", "in sendmail.mc:\ndefine(`confAUTH_OPTIONS', `A p')dnl", REFUSES_SMTP),
    row(
        OfferStarttls,
        "Sendmail",
        "in sendmail.mc:\ndefine(`confCACERT_PATH', `/etc/ssl/certs')dnl\n\
         define(`confCACERT', `/etc/ssl/certs/ca-certificates.crt')dnl\n\
         define(`confSERVER_CERT', `/etc/ssl/certs/HOST.pem')dnl\n\
         define(`confSERVER_KEY', `/etc/ssl/private/HOST.key')dnl",
        OFFERS_SMTP,
    ),
    row(
        ImplicitTls,
        "Sendmail",
        "in sendmail.mc:\nDAEMON_OPTIONS(`Family=inet, Name=TLSMSA, Port=465, Addr=0.0.0.0, M=s')dnl",
        IMPLICIT_SMTP,
    ),
    row(
        TlsVersions,
        "Sendmail",
        "in sendmail.mc:\ndefine(`confSERVER_SSL_OPTIONS', `+SSL_OP_NO_SSLv3 +SSL_OP_NO_TLSv1 +SSL_OP_NO_TLSv1_1')dnl\n\
         define(`confCIPHER_LIST', `ECDHE+AESGCM:ECDHE+CHACHA20')dnl",
        NEW_SMTP,
    ),
    row(
        Certificate,
        "Sendmail",
        "in sendmail.mc:\ndefine(`confSERVER_CERT', `/etc/ssl/certs/HOST.pem')dnl\n\
         define(`confSERVER_KEY', `/etc/ssl/private/HOST.key')dnl",
        TRUE_SMTP,
    ),
    // OpenSMTPD: checked with 7.6; the TLS of Debian 12's 6.8 does not come about at all with OpenSSL 3.
    row(
        RefuseClear,
        "OpenSMTPD",
        "in smtpd.conf (it does not take auth without tls):\n\
         listen on HOST port 587 tls-require pki HOST auth",
        REFUSES_SMTP,
    ),
    row(
        OfferStarttls,
        "OpenSMTPD",
        "in smtpd.conf:\npki HOST cert \"/etc/ssl/certs/HOST.pem\"\npki HOST key \"/etc/ssl/private/HOST.key\"\n\
         listen on HOST port 25 tls pki HOST\nlisten on HOST port 587 tls-require pki HOST auth",
        OFFERS_SMTP,
    ),
    row(ImplicitTls, "OpenSMTPD", "in smtpd.conf:\nlisten on HOST port 465 smtps pki HOST auth", IMPLICIT_SMTP),
    row(
        TlsVersions,
        "OpenSMTPD",
        "in smtpd.conf:\nlisten on HOST port 587 tls-require pki HOST auth protocols \"tlsv1.2,tlsv1.3\" \
         ciphers \"secure\"",
        NEW_SMTP,
    ),
    row(
        Certificate,
        "OpenSMTPD",
        "in smtpd.conf:\npki HOST cert \"/etc/ssl/certs/HOST.pem\"\npki HOST key \"/etc/ssl/private/HOST.key\"",
        TRUE_SMTP,
    ),
    // nginx: checked with 1.22.1.
    row(RefuseClear, "nginx", "in the mail block:\nstarttls only;", REFUSES_IMAP),
    row(
        OfferStarttls,
        "nginx",
        "in the mail block:\nssl_certificate /etc/ssl/certs/HOST.pem;\n\
         ssl_certificate_key /etc/ssl/private/HOST.key;\nstarttls on;",
        OFFERS_IMAP,
    ),
    row(
        ImplicitTls,
        "nginx",
        "in the mail block:\nserver { listen 993 ssl; protocol imap; }\nserver { listen 995 ssl; protocol pop3; }\n\
         server { listen 465 ssl; protocol smtp; }",
        IMPLICIT_IMAP,
    ),
    row(
        TlsVersions,
        "nginx",
        "in the mail block:\nssl_protocols TLSv1.2 TLSv1.3;\nssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20;",
        NEW_IMAP,
    ),
    row(
        Certificate,
        "nginx",
        "in the mail block:\nssl_certificate /etc/ssl/certs/HOST.pem;\nssl_certificate_key /etc/ssl/private/HOST.key;",
        TRUE_IMAP,
    ),
    // Perdition: checked with 2.2.
    row(RefuseClear, "Perdition", "in perdition.conf:\nssl_mode tls_listen_force", REFUSES_IMAP),
    row(
        OfferStarttls,
        "Perdition",
        "in perdition.conf:\nssl_mode tls_listen\nssl_cert_file /etc/ssl/certs/HOST.pem\n\
         ssl_key_file /etc/ssl/private/HOST.key",
        OFFERS_IMAP,
    ),
    row(
        TlsVersions,
        "Perdition",
        "in perdition.conf:\nssl_listen_min_proto_version tlsv1.2\nssl_listen_ciphers ECDHE+AESGCM:ECDHE+CHACHA20",
        NEW_IMAP,
    ),
    row(
        Certificate,
        "Perdition",
        "in perdition.conf:\nssl_cert_file /etc/ssl/certs/HOST.pem\nssl_key_file /etc/ssl/private/HOST.key",
        TRUE_IMAP,
    ),
    // Microsoft: not checked.
    row(
        RefuseClear,
        "Microsoft Exchange",
        "in the Exchange shell:\nSet-ImapSettings -LoginType SecureLogin\nSet-PopSettings -LoginType SecureLogin\n\
         Set-ReceiveConnector \"HOST\\Client Frontend HOST\" -AuthMechanism Tls,BasicAuth,BasicAuthRequireTLS\n\
         Restart the IMAP4 and POP3 services and their back ends.",
        REFUSES_IMAP,
    ),
    row(
        OfferStarttls,
        "Microsoft Exchange",
        "in the Exchange shell:\nEnable-ExchangeCertificate -Thumbprint THUMBPRINT -Services IMAP,POP,SMTP\n\
         Restart the IMAP4 and POP3 services and their back ends.",
        OFFERS_IMAP,
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
        REFUSES_SMTP,
    ),
    row(
        OfferStarttls,
        "Microsoft ESMTP",
        "in the Exchange shell:\nEnable-ExchangeCertificate -Thumbprint THUMBPRINT -Services SMTP\n\
         In the SMTP service of IIS, Access, Secure communication: choose the certificate.",
        OFFERS_SMTP,
    ),
    // Sun and Oracle: not checked.
    row(
        RefuseClear,
        "iPlanet Messaging Server",
        "on the store:\nconfigutil -o service.imap.plaintextmincipher -v 1\n\
         configutil -o service.pop.plaintextmincipher -v 1\n\
         in ImapProxyAService.cfg and PopProxyAService.cfg of the multiplexor:\ndefault:RestrictPlainPasswords yes",
        REFUSES_IMAP,
    ),
    row(
        OfferStarttls,
        "iPlanet Messaging Server",
        "in ImapProxyAService.cfg of the multiplexor:\ndefault:SSLEnable yes\ndefault:SSLPorts 993\n\
         in PopProxyAService.cfg, where STLS is not to be had:\ndefault:SSLEnable yes\ndefault:SSLPorts 995",
        OFFERS_IMAP,
    ),
    // Zimbra: not checked.
    row(
        RefuseClear,
        "Zimbra",
        "as zimbra:\nzmprov mcf zimbraImapCleartextLoginEnabled FALSE zimbraPop3CleartextLoginEnabled FALSE\n\
         zmprov mcf zimbraReverseProxyImapStartTlsMode only zimbraReverseProxyPop3StartTlsMode only\n\
         zmprov mcf zimbraMtaTlsAuthOnly TRUE",
        REFUSES_IMAP,
    ),
    row(
        OfferStarttls,
        "Zimbra",
        "as zimbra:\nzmcertmgr deploycrt comm HOST.crt chain.crt\nzmprov mcf zimbraMtaTlsSecurityLevel may",
        OFFERS_IMAP,
    ),
    // Stalwart and Apache James: not checked.
    row(
        RefuseClear,
        "Stalwart",
        "imap.auth.allow-plain-text = false\nFor SMTP leave PLAIN and LOGIN out of the mechanisms without TLS.",
        REFUSES_IMAP,
    ),
    row(
        OfferStarttls,
        "Stalwart",
        "Give it a certificate, or have it get one by ACME; its listeners then offer STARTTLS.",
        OFFERS_IMAP,
    ),
    row(
        RefuseClear,
        "Apache James",
        "in imapserver.xml (before 3.7):\n<plainAuthDisallowed>true</plainAuthDisallowed>\n\
         in smtpserver.xml and imapserver.xml, under <auth>:\n<requireSSL>true</requireSSL>",
        REFUSES_IMAP,
    ),
    row(
        OfferStarttls,
        "Apache James",
        "in imapserver.xml, pop3server.xml and smtpserver.xml:\n<tls socketTLS=\"false\" startTLS=\"true\">",
        OFFERS_IMAP,
    ),
];
