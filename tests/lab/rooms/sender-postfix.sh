# A second mail server on the client's side: Postfix hands everything on. smtpd on port 2501 goes on in clear, 2502
# uses STARTTLS where it is offered, 2503 insists on it.
# shellcheck shell=bash disable=SC2034,SC2154
in_ci=yes
like=postfix

start() {
  cat >/etc/postfix/main.cf <<CONF
compatibility_level = 3.6
myhostname = relay.elsewhere.example
mydestination =
inet_protocols = ipv4
inet_interfaces = all
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_host_lookup = native
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtp_tls_loglevel = 1
minimal_backoff_time = 1s
CONF
  cat >/etc/postfix/master.cf <<'CONF'
pickup    unix  n  -  n  1     1  pickup
cleanup   unix  n  -  n  -     0  cleanup
qmgr      unix  n  -  n  300   1  qmgr
tlsmgr    unix  -  -  n  1000? 1  tlsmgr
rewrite   unix  -  -  n  -     -  trivial-rewrite
bounce    unix  -  -  n  -     0  bounce
defer     unix  -  -  n  -     0  bounce
trace     unix  -  -  n  -     0  bounce
proxymap  unix  -  -  n  -     -  proxymap
clear     unix  -  -  n  -     -  smtp -o smtp_tls_security_level=none
may       unix  -  -  n  -     -  smtp -o smtp_tls_security_level=may
must      unix  -  -  n  -     -  smtp -o smtp_tls_security_level=encrypt
plain     unix  -  -  n  -     -  smtp
login     unix  -  -  n  -     -  smtp
cram      unix  -  -  n  -     -  smtp
digest    unix  -  -  n  -     -  smtp
smtp      unix  -  -  n  -     -  smtp
error     unix  -  -  n  -     -  error
retry     unix  -  -  n  -     -  error
showq     unix  n  -  n  -     -  showq
anvil     unix  -  -  n  -     1  anvil
scache    unix  -  -  n  -     1  scache
CONF
  # Four ways log in, as a small server does at the big one that takes its mail.
  local option
  for kind in plain:PLAIN login:LOGIN cram:CRAM-MD5 digest:DIGEST-MD5; do
    for option in smtp_sasl_auth_enable=yes "smtp_sasl_password_maps=static:alice:$(password_of alice)" \
      smtp_sasl_security_options=noanonymous "smtp_sasl_mechanism_filter=${kind#*:}" smtp_tls_security_level=none; do
      postconf -P "${kind%:*}/unix/$option"
    done
  done
  # Where a letter goes stands in its sender: clear.50@elsewhere.example is taken to 10.78.0.50 in clear.
  local kind host port
  for kind in clear may must plain login cram digest; do
    port=25
    case $kind in plain | login | cram | digest) port=587 ;; esac
    for host in 50 51 52 60 61 62 70 80 81; do
      printf '%s.%s@elsewhere.example %s:[10.78.0.%s]:%s\n' "$kind" "$host" "$kind" "$host" "$port"
    done
  done >/etc/postfix/ways
  printf 'sender_dependent_default_transport_maps = texthash:/etc/postfix/ways\n' >>/etc/postfix/main.cf
  postfix start
}
