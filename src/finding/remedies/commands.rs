//! The commands that show whether a setting took, each with what it must or must not show.
//!
//! To be typed on another machine: several servers take a login from their own address for a safe one.

pub(super) const IMAP_REFUSES: &str = "(sleep 1; printf 'a CAPABILITY\\r\\nb LOGOUT\\r\\n'; sleep 2) | nc HOST 143\n\
     must show \"LOGINDISABLED\"";
pub(super) const POP3_REFUSES: &str = "(sleep 1; printf 'USER nobody\\r\\n'; sleep 1; printf 'PASS x\\r\\n'; sleep 1) | nc HOST 110\n\
     must not show \"+OK User\"";
pub(super) const SMTP_REFUSES: &str = "(sleep 1; printf 'EHLO test\\r\\n'; sleep 1; printf 'QUIT\\r\\n'; sleep 1) | nc HOST 587\n\
     must not show \"PLAIN\"";
pub(super) const NNTP_REFUSES: &str = "(sleep 1; printf 'CAPABILITIES\\r\\nQUIT\\r\\n'; sleep 1) | nc HOST 119\n\
     must not show \"AUTHINFO USER\"";

pub(super) const IMAP_OFFERS: &str = "openssl s_client -starttls imap -connect HOST:143 -brief </dev/null\n\
     must show \"CONNECTION ESTABLISHED\"";
pub(super) const POP3_OFFERS: &str = "openssl s_client -starttls pop3 -connect HOST:110 -brief </dev/null\n\
     must show \"CONNECTION ESTABLISHED\"";
pub(super) const SMTP_OFFERS: &str = "openssl s_client -starttls smtp -connect HOST:587 -brief </dev/null\n\
     must show \"CONNECTION ESTABLISHED\"";
pub(super) const NNTP_OFFERS: &str = "openssl s_client -starttls nntp -connect HOST:119 -brief </dev/null\n\
     must show \"CONNECTION ESTABLISHED\"";

pub(super) const IMAPS_TLS: &str = "openssl s_client -connect HOST:993 -brief </dev/null\n\
     must show \"CONNECTION ESTABLISHED\"";
pub(super) const POP3S_TLS: &str = "openssl s_client -connect HOST:995 -brief </dev/null\n\
     must show \"CONNECTION ESTABLISHED\"";
pub(super) const SMTPS_TLS: &str = "openssl s_client -connect HOST:465 -brief </dev/null\n\
     must show \"CONNECTION ESTABLISHED\"";
pub(super) const NNTPS_TLS: &str = "openssl s_client -connect HOST:563 -brief </dev/null\n\
     must show \"CONNECTION ESTABLISHED\"";

pub(super) const IMAP_NEW: &str = "openssl s_client -starttls imap -connect HOST:143 -tls1_1 -cipher DEFAULT@SECLEVEL=0 \
     -brief </dev/null\n\
     must not show \"CONNECTION ESTABLISHED\"";
pub(super) const POP3_NEW: &str = "openssl s_client -starttls pop3 -connect HOST:110 -tls1_1 -cipher DEFAULT@SECLEVEL=0 \
     -brief </dev/null\n\
     must not show \"CONNECTION ESTABLISHED\"";
pub(super) const SMTP_NEW: &str = "openssl s_client -starttls smtp -connect HOST:587 -tls1_1 -cipher DEFAULT@SECLEVEL=0 \
     -brief </dev/null\n\
     must not show \"CONNECTION ESTABLISHED\"";

pub(super) const IMAP_TRUE: &str = "openssl s_client -starttls imap -connect HOST:143 -verify_hostname HOST -brief </dev/null\n\
     must show \"Verification: OK\"";
pub(super) const POP3_TRUE: &str = "openssl s_client -starttls pop3 -connect HOST:110 -verify_hostname HOST -brief </dev/null\n\
     must show \"Verification: OK\"";
pub(super) const SMTP_TRUE: &str = "openssl s_client -starttls smtp -connect HOST:587 -verify_hostname HOST -brief </dev/null\n\
     must show \"Verification: OK\"";

pub(super) const PASSES_ON: &str = "posttls-finger -c -l may DOMAIN\n\
     must show \"TLS connection established\"";
