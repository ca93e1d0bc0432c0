# Sendmail, passwords through Cyrus SASL.
#
#   10.78.0.70  ports 25, 587: offers STARTTLS, takes passwords without it
#   10.78.0.71  no TLS at all
# shellcheck shell=bash disable=SC2034,SC2154
packages='python3 sendmail-bin sendmail-cf sensible-mda sasl2-bin libsasl2-modules m4'

start() {
  make_sasldb mail.lab.example
  chmod 600 /etc/sasldb2
  chown root: /etc/sasldb2
  cat >/etc/mail/sasl/Sendmail.conf.2 <<'CONF'
pwcheck_method: auxprop
auxprop_plugin: sasldb
mech_list: PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 NTLM
CONF
  cp "$tls/key.pem" /etc/mail/lab.key
  cp "$tls/cert.pem" /etc/mail/lab.cert
  cp "$tls/ca.pem" /etc/mail/lab.ca
  chmod 600 /etc/mail/lab.key
  cat >/etc/mail/lab.mc <<'CONF'
divert(-1)
divert(0)dnl
include(`/usr/share/sendmail/cf/m4/cf.m4')dnl
OSTYPE(`debian')dnl
DOMAIN(`debian-mta')dnl
undefine(`confHOST_STATUS_DIRECTORY')dnl
define(`confDOMAIN_NAME', `mail.lab.example')dnl
define(`confAUTH_MECHANISMS', `PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 NTLM')dnl
TRUST_AUTH_MECH(`PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 NTLM')dnl
define(`confAUTH_OPTIONS', `A')dnl
define(`confAUTH_REALM', `mail.lab.example')dnl
define(`confLOG_LEVEL', `14')dnl
define(`confSERVER_CERT', `/etc/mail/lab.cert')dnl
define(`confSERVER_KEY', `/etc/mail/lab.key')dnl
define(`confCACERT', `/etc/mail/lab.ca')dnl
define(`confCACERT_PATH', `/etc/ssl/certs')dnl
define(`confCIPHER_LIST', `ALL:@SECLEVEL=0')dnl
define(`confTO_IDENT', `0')dnl
define(`confDELIVERY_MODE', `background')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`accept_unqualified_senders')dnl
define(`confSERVICE_SWITCH_FILE', `/etc/mail/service.lab')dnl
DAEMON_OPTIONS(`Family=inet, Name=MTA, Port=25, Addr=10.78.0.70')dnl
DAEMON_OPTIONS(`Family=inet, Name=MSA, Port=587, Addr=10.78.0.70')dnl
DAEMON_OPTIONS(`Family=inet, Name=BARE, Port=587, Addr=10.78.0.71, M=S')dnl
LOCAL_DOMAIN(`lab.example')dnl
MAILER(`local')dnl
MAILER(`smtp')dnl
CONF
  printf 'hosts files\naliases files\n' >/etc/mail/service.lab
  (cd /etc/mail && m4 lab.mc >sendmail.cf)
  mkdir -p /run/sendmail/mta /var/lib/sendmail
  : >/var/lib/sendmail/sendmail.st
  setsid /usr/libexec/sendmail/sendmail -bD -L sm-lab </dev/null &
  ports=('10.78.0.70 25' '10.78.0.70 587')
}
