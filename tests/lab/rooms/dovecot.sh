# Dovecot: POP3, IMAP, ManageSieve, submission and LMTP.
#
#   10.78.0.10  offers STARTTLS, takes passwords without it
#   10.78.0.11  no TLS at all
#   10.78.0.12  offers STARTTLS, refuses passwords without it
#   10.78.0.10  ports 1143 and 1110: the same behind a proxy that tells the client's address first (PROXY protocol)
#   10.78.0.13  IMAP for one user without a login, as a gateway that has checked it already
# shellcheck shell=bash disable=SC2034,SC2154
in_ci=yes
packages='python3 dovecot-imapd dovecot-pop3d dovecot-managesieved dovecot-lmtpd dovecot-submissiond dovecot-sieve'

start() {
  local user
  for user in $(users); do
    printf '%s:{PLAIN.b64}%s\n' "$user" "$(printf %s "$(password_of "$user")" | base64)"
  done >/etc/dovecot/lab.passwd
  mkdir -p /etc/dovecot/oauth2/default/HS256
  printf %s lab-bearer-key | base64 >/etc/dovecot/oauth2/default/HS256/default
  cat >/etc/dovecot/oauth2.conf <<'CONF'
introspection_mode = local
local_validation_key_dict = fs:posix:prefix=/etc/dovecot/oauth2/
username_attribute = sub
CONF
  cat >/etc/dovecot/dovecot.conf <<CONF
protocols = imap pop3 sieve lmtp submission
listen = 10.78.0.10, 10.78.0.11, 10.78.0.12
log_path = $log/dovecot.log
auth_debug = yes
auth_verbose = yes
ssl = yes
ssl_cert = <$tls/cert.pem
ssl_key = <$tls/key.pem
ssl_min_protocol = TLSv1
ssl_cipher_list = ALL:@SECLEVEL=0
disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5 digest-md5 scram-sha-1 scram-sha-256 apop xoauth2 oauthbearer anonymous external
auth_anonymous_username = dave
auth_realms = lab.example
auth_username_format = %Ln
login_log_format_elements = user=<%u> method=%m rip=%r lip=%l mpid=%e %c session=<%{session}> %k
# The pauses after a wrong password protect a real server; here they only cost time.
auth_failure_delay = 0
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
mail_location = maildir:~/Maildir
mail_plugins = zlib
passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = /etc/dovecot/oauth2.conf
}
passdb {
  driver = passwd-file
  args = /etc/dovecot/lab.passwd
}
userdb {
  driver = passwd
}
protocol imap {
  mail_plugins = zlib imap_zlib
}
submission_relay_host = 127.0.0.1
submission_relay_port = 2500
haproxy_trusted_networks = 10.78.0.0/24
service imap-login {
  inet_listener imap_haproxy {
    port = 1143
    haproxy = yes
  }
}
service pop3-login {
  inet_listener pop3_haproxy {
    port = 1110
    haproxy = yes
  }
}
service lmtp {
  inet_listener lmtp {
    port = 24
  }
}
local 10.78.0.11 {
  ssl = no
}
local 10.78.0.12 {
  disable_plaintext_auth = yes
}
CONF
  python3 /lab/src/sink.py 127.0.0.1 2500 &
  python3 /lab/src/inetd.py 10.78.0.13 143 alice /usr/lib/dovecot/imap &
  setsid dovecot -F </dev/null &
  ports=('10.78.0.10 110' '10.78.0.10 143' '10.78.0.10 4190' '10.78.0.10 587' '10.78.0.10 24' '10.78.0.10 993')
}
