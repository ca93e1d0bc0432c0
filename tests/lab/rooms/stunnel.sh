# stunnel on 10.78.0.120 port 995 in front of a POP3 server on the loopback, as old servers are fitted with TLS.
# shellcheck shell=bash disable=SC2034,SC2154
packages='python3 stunnel4 dovecot-pop3d'

start() {
  local user
  for user in $(users); do
    printf '%s:{PLAIN.b64}%s\n' "$user" "$(printf %s "$(password_of "$user")" | base64)"
  done >/etc/dovecot/lab.passwd
  cat >/etc/dovecot/dovecot.conf <<CONF
protocols = pop3
listen = 127.0.0.120
log_path = $log/dovecot.log
auth_debug = yes
auth_verbose = yes
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
mail_location = maildir:~/Maildir
passdb {
  driver = passwd-file
  args = /etc/dovecot/lab.passwd
}
userdb {
  driver = passwd
}
CONF
  cat >/etc/stunnel/lab.conf <<CONF
foreground = yes
syslog = no
debug = info
output = $log/stunnel
[pop3s]
accept = 10.78.0.120:995
connect = 127.0.0.120:110
local = 127.0.0.120
cert = $tls/cert.pem
key = $tls/key.pem
CONF
  setsid dovecot -F </dev/null &
  setsid stunnel4 /etc/stunnel/lab.conf </dev/null &
  ports=('10.78.0.120 995')
}
