# OpenSMTPD.
#
#   10.78.0.80  port 587: offers STARTTLS, takes passwords inside TLS only, as it always does
#   10.78.0.80  port 25: offers STARTTLS; 10.78.0.81 port 25: no TLS at all
# shellcheck shell=bash disable=SC2034,SC2154
packages='python3 opensmtpd'

start() {
  cp "$tls/key.pem" /etc/lab.key
  chmod 600 /etc/lab.key
  cat >/etc/smtpd.conf <<CONF
pki lab cert "$tls/cert.pem"
pki lab key "/etc/lab.key"
listen on 10.78.0.80 port 25 tls pki lab hostname mail.lab.example
listen on 10.78.0.80 port 587 tls pki lab auth hostname mail.lab.example
listen on 10.78.0.81 port 25 hostname mail.lab.example
action "hole" mda "/bin/cat >/dev/null"
match from any for domain "lab.example" action "hole"
match from auth for any action "hole"
CONF
  setsid smtpd -d -v -T smtp </dev/null >>"$log/smtpd" 2>&1 &
  ports=('10.78.0.80 25' '10.78.0.80 587')
}
