# INN: NNTP for readers.
#
#   10.78.0.110  nnrpd, offers STARTTLS, takes passwords without it
# shellcheck shell=bash disable=SC2034,SC2154
packages='python3 inn2 sasl2-bin libsasl2-modules'

start() {
  local user
  for user in $(users); do
    printf '%s:%s\n' "$user" "$(perl -e 'print crypt($ARGV[0], q($6$lab$))' "$(password_of "$user")")"
  done >/etc/news/lab.passwd
  cp "$tls/key.pem" /etc/news/lab.key
  chown news:news /etc/news/lab.*
  chmod 600 /etc/news/lab.*
  make_sasldb mail.lab.example
  chown news: /etc/sasldb2
  cat >/etc/news/readers.conf <<'CONF'
auth "lab" {
  auth: "ckpasswd -f /etc/news/lab.passwd"
  default: "nobody"
}
access "known" {
  users: "*"
  newsgroups: "*"
}
CONF
  sed -i '/^\(fromhost\|pathhost\|domain\|tls.*\|nnrpdauthsender\):/d' /etc/news/inn.conf
  cat >>/etc/news/inn.conf <<CONF
pathhost: mail.lab.example
domain: lab.example
tlscertfile: $tls/cert.pem
tlskeyfile: /etc/news/lab.key
tlscafile: $tls/ca.pem
tlsciphers: "ALL:@SECLEVEL=0"
CONF
  mkdir -p /run/news /var/log/news
  chown news:news /run/news
  setsid setpriv --reuid=news --regid=news --init-groups /usr/lib/news/bin/innd -f -P 1119 -4 127.0.0.1 </dev/null >>"$log/inn" 2>&1 &
  wait_for 127.0.0.1 1119
  setsid /usr/lib/news/bin/nnrpd -D -f -b 10.78.0.110 -p 119 </dev/null >>"$log/inn" 2>&1 &
  ports=('10.78.0.110 119')
}
