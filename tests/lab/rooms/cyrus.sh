# Cyrus: POP3, IMAP, ManageSieve, LMTP and NNTP; passwords from sasldb.
#
#   10.78.0.30  offers STARTTLS, takes passwords without it
#   10.78.0.31  no TLS at all
#   10.78.0.32  offers STARTTLS, refuses passwords without it
# shellcheck shell=bash disable=SC2034,SC2154
in_ci=yes
packages='python3 cyrus-imapd cyrus-pop3d cyrus-nntpd cyrus-admin sasl2-bin libsasl2-modules'

start() {
  make_sasldb mail.lab.example
  chown cyrus:sasl /etc/sasldb2
  cat >/etc/imapd.conf <<CONF
configdirectory: /var/lib/cyrus
proc_path: /run/cyrus/proc
mboxname_lockpath: /run/cyrus/lock
defaultpartition: default
partition-default: /var/spool/cyrus/mail
partition-news: /var/spool/cyrus/news
newsspool: /var/spool/news
sievedir: /var/spool/sieve
servername: mail.lab.example
admins: cyrus
autocreate_quota: 100000
newsprefix: news
duplicatesuppression: no
failedloginpause: 0
popminpoll: 0
allowplaintext: yes
allowapop: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_mech_list: PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 NTLM
tls_server_cert: $tls/cert.pem
tls_server_key: $tls/key.pem
tls_versions: tls1_0 tls1_1 tls1_2 tls1_3
tls_ciphers: ALL:@SECLEVEL=0
lmtpsocket: /run/cyrus/socket/lmtp
idlesocket: /run/cyrus/socket/idle
notifysocket: /run/cyrus/socket/notify
syslog_prefix: cyrus
imapbare_tls_server_cert: disabled
popbare_tls_server_cert: disabled
imapstrict_allowplaintext: no
popstrict_allowplaintext: no
CONF
  cat >/etc/cyrus.conf <<'CONF'
START {
  recover     cmd="/usr/sbin/cyrus ctl_cyrusdb -r"
}
SERVICES {
  imap        cmd="imapd -U 1" listen="10.78.0.30:143" prefork=0
  imaps       cmd="imapd -s -U 1" listen="10.78.0.30:993" prefork=0
  pop3        cmd="pop3d -U 1" listen="10.78.0.30:110" prefork=0
  nntp        cmd="nntpd -U 1" listen="10.78.0.30:119" prefork=0
  sieve       cmd="timsieved" listen="10.78.0.30:4190" prefork=0
  lmtp        cmd="lmtpd -a" listen="10.78.0.30:24" prefork=0
  imapbare    cmd="imapd -U 1" listen="10.78.0.31:143" prefork=0
  popbare     cmd="pop3d -U 1" listen="10.78.0.31:110" prefork=0
  imapstrict  cmd="imapd -U 1" listen="10.78.0.32:143" prefork=0
  popstrict   cmd="pop3d -U 1" listen="10.78.0.32:110" prefork=0
  lmtpunix    cmd="lmtpd" listen="/run/cyrus/socket/lmtp" prefork=0
}
EVENTS {
}
CONF
  mkdir -p /run/cyrus/{proc,lock,socket}
  chown -R cyrus:mail /run/cyrus
  setsid /usr/lib/cyrus/bin/master -D </dev/null &
  ports=('10.78.0.30 110' '10.78.0.30 143' '10.78.0.32 143' '10.78.0.30 119' '10.78.0.30 4190')
}
