# nginx as a mail proxy in front of a server that takes every password for which auth.py says so.
#
#   10.78.0.90  POP3, IMAP, SMTP (587): offers STARTTLS, takes passwords without it
#   10.78.0.91  refuses a login before STARTTLS
# shellcheck shell=bash disable=SC2034,SC2154
packages='python3 nginx libnginx-mod-mail'

start() {
  cp "$tls/key.pem" /etc/lab.key
  cat >/etc/nginx/nginx.conf <<CONF
user www-data;
pid /run/nginx.pid;
error_log $log/nginx info;
include /etc/nginx/modules-enabled/*.conf;
events {
}
mail {
  server_name mail.lab.example;
  auth_http 127.0.0.1:8008/auth;
  ssl_certificate $tls/cert.pem;
  ssl_certificate_key /etc/lab.key;
  ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
  ssl_ciphers ALL:@SECLEVEL=0;
  imap_auth login plain cram-md5;
  pop3_auth plain apop cram-md5;
  smtp_auth login plain cram-md5;
  server { listen 10.78.0.90:143; protocol imap; starttls on; }
  server { listen 10.78.0.90:110; protocol pop3; starttls on; }
  server { listen 10.78.0.90:587; protocol smtp; starttls on; xclient off; }
  server { listen 10.78.0.91:143; protocol imap; starttls only; }
  server { listen 10.78.0.91:110; protocol pop3; starttls only; }
}
CONF
  python3 /lab/src/behind.py >>"$log/behind" 2>&1 &
  setsid nginx -g 'daemon off;' </dev/null &
  ports=('10.78.0.90 143' '10.78.0.90 110' '10.78.0.90 587')
}
