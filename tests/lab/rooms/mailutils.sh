# GNU Mailutils: POP3 and IMAP.
#
#   10.78.0.40  offers STARTTLS, takes passwords without it
#   10.78.0.41  no TLS at all
#   10.78.0.42  refuses a login before STARTTLS
# shellcheck shell=bash disable=SC2034,SC2154
packages='python3 mailutils-pop3d mailutils-imap4d mailutils'

start() {
  local user
  # Neither file can hold a password with a space.
  for user in alice bob dave; do
    printf '%s\t%s\n' "$user" "$(password_of "$user")"
  done >/etc/lab.passwd
  chmod 600 /etc/lab.passwd
  popauth --create --file=/etc/lab.passwd --output=/etc/lab.apop
  cat >/etc/mailutils.lab <<CONF
mailbox {
  mailbox-type mbox;
  mail-spool /var/mail;
}
auth {
  authentication generic:system:pam;
  authorization system;
}
gsasl {
  cram-passwd /etc/lab.passwd;
  hostname mail.lab.example;
}
logging {
  syslog yes;
  facility mail;
}
CONF
  { cat /etc/mailutils.lab
    cat <<CONF
apop-database-file /etc/lab.apop;
server 10.78.0.40:110 { tls-mode ondemand; tls { ssl-certificate-file $tls/cert.pem; ssl-key-file /etc/lab.key; } }
server 10.78.0.41:110 { tls-mode no; }
server 10.78.0.42:110 { tls-mode required; tls { ssl-certificate-file $tls/cert.pem; ssl-key-file /etc/lab.key; } }
CONF
  } >/etc/pop3d.lab
  { cat /etc/mailutils.lab
    cat <<CONF
server 10.78.0.40:143 { tls-mode ondemand; tls { ssl-certificate-file $tls/cert.pem; ssl-key-file /etc/lab.key; } }
server 10.78.0.41:143 { tls-mode no; }
server 10.78.0.42:143 { tls-mode required; tls { ssl-certificate-file $tls/cert.pem; ssl-key-file /etc/lab.key; } }
CONF
  } >/etc/imap4d.lab
  cp "$tls/key.pem" /etc/lab.key
  chmod 600 /etc/lab.key
  pop3d=$(command -v pop3d || echo /usr/sbin/pop3d) imap4d=$(command -v imap4d || echo /usr/sbin/imap4d)
  setsid "$pop3d" --no-site-config --config-file=/etc/pop3d.lab --daemon=20 --foreground </dev/null &
  setsid "$imap4d" --no-site-config --config-file=/etc/imap4d.lab --daemon=20 --foreground </dev/null &
  ports=('10.78.0.40 110' '10.78.0.40 143')
}
