# Postfix, passwords through Cyrus SASL.
#
#   10.78.0.50  ports 25, 587, 465: offers STARTTLS, takes passwords without it
#   10.78.0.51  ports 25, 587: no TLS at all
#   10.78.0.52  ports 25, 587: offers STARTTLS and has no certificate
#   10.78.0.53  port 587: takes passwords inside TLS only
#   10.78.0.54  port 25: postscreen in front, which greets twice and slowly; port 587: behind a proxy that tells the
#               client's address first (PROXY protocol)
# shellcheck shell=bash disable=SC2034,SC2154
in_ci=yes
packages='python3 postfix sasl2-bin libsasl2-modules'

start() {
  make_sasldb mail.lab.example
  chown root:postfix /etc/sasldb2
  chmod 640 /etc/sasldb2
  mkdir -p /etc/postfix/sasl
  cat >/etc/postfix/sasl/smtpd.conf <<'CONF'
pwcheck_method: auxprop
auxprop_plugin: sasldb
mech_list: PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 NTLM
CONF
  cat >/etc/postfix/main.cf <<CONF
compatibility_level = 3.6
myhostname = mail.lab.example
mydestination = lab.example, mail.lab.example
mynetworks = 127.0.0.0/8
inet_protocols = ipv4
inet_interfaces = all
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
alias_maps =
alias_database =
home_mailbox = Maildir/
smtpd_tls_security_level = may
smtpd_tls_cert_file = $tls/cert.pem
smtpd_tls_key_file = $tls/key.pem
smtpd_tls_mandatory_protocols = >=TLSv1
smtpd_tls_protocols = >=TLSv1
smtpd_tls_ciphers = low
tls_low_cipherlist = ALL:@SECLEVEL=0
smtpd_tls_loglevel = 1
smtpd_tls_auth_only = no
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
cyrus_sasl_config_path = /etc/postfix/sasl
smtpd_sasl_local_domain = mail.lab.example
smtpd_sasl_security_options = noanonymous
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 4
postscreen_greet_wait = 1s
postscreen_greet_banner = \$myhostname ESMTP one moment
postscreen_greet_action = ignore
postscreen_access_list =
CONF
  cat >/etc/postfix/master.cf <<'CONF'
10.78.0.50:25   inet n - n - - smtpd
10.78.0.50:587  inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes
10.78.0.50:465  inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_tls_wrappermode=yes
10.78.0.51:25   inet n - n - - smtpd -o smtpd_tls_security_level=none
10.78.0.51:587  inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_tls_security_level=none
10.78.0.52:25   inet n - n - - smtpd -o smtpd_tls_cert_file=/nonexistent -o smtpd_tls_key_file=/nonexistent
10.78.0.52:587  inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_tls_cert_file=/nonexistent -o smtpd_tls_key_file=/nonexistent
10.78.0.53:587  inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_tls_auth_only=yes
10.78.0.54:25   inet n - n - 1 postscreen
10.78.0.54:587  inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_upstream_proxy_protocol=haproxy
smtpd     pass  -  -  n  -     -  smtpd
dnsblog   unix  -  -  n  -     0  dnsblog
tlsproxy  unix  -  -  n  -     0  tlsproxy
pickup    unix  n  -  n  60    1  pickup
cleanup   unix  n  -  n  -     0  cleanup
qmgr      unix  n  -  n  300   1  qmgr
tlsmgr    unix  -  -  n  1000? 1  tlsmgr
rewrite   unix  -  -  n  -     -  trivial-rewrite
bounce    unix  -  -  n  -     0  bounce
defer     unix  -  -  n  -     0  bounce
trace     unix  -  -  n  -     0  bounce
verify    unix  -  -  n  -     1  verify
flush     unix  n  -  n  1000? 0  flush
proxymap  unix  -  -  n  -     -  proxymap
smtp      unix  -  -  n  -     -  smtp
relay     unix  -  -  n  -     -  smtp
showq     unix  n  -  n  -     -  showq
error     unix  -  -  n  -     -  error
retry     unix  -  -  n  -     -  error
discard   unix  -  -  n  -     -  discard
local     unix  -  n  n  -     -  local
anvil     unix  -  -  n  -     1  anvil
scache    unix  -  -  n  -     1  scache
CONF
  postfix start
  ports=('10.78.0.50 25' '10.78.0.50 587' '10.78.0.53 587')
}
