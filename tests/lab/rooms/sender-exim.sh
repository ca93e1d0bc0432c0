# A second mail server on the client's side: Exim hands everything on, with BDAT where CHUNKING is offered and with
# its EHLO before the greeting where it has learnt that this works. The way stands in the sender: clear.50@... is taken
# to 10.78.0.50 in clear, plain.50@... to its port 587 with a login.
# shellcheck shell=bash disable=SC2034,SC2154
like=exim

start() {
  cat >/etc/exim4/exim4.conf <<CONF
primary_hostname = relay.elsewhere.example
local_interfaces = 127.0.0.1
disable_ipv6
host_lookup =
log_file_path = syslog
syslog_timestamp = false
syslog_duplication = false
trusted_users = root
no_message_logs
keep_environment =
begin acl
begin routers
CONF
  local way host
  for way in clear may plain login cram; do
    cat >>/etc/exim4/exim4.conf <<CONF
$way:
  driver = manualroute
  senders = ^$way\\\\.
  route_data = \${lookup{\$sender_address_local_part}lsearch{/etc/exim4/ways}}
  transport = $way
CONF
    for host in 50 60 70; do
      printf '%s.%s: 10.78.0.%s byname\n' "$way" "$host" "$host" >>/etc/exim4/ways
    done
  done
  cat >>/etc/exim4/exim4.conf <<CONF
begin transports
clear:
  driver = smtp
  hosts_avoid_tls = *
  hosts_pipe_connect = *
may:
  driver = smtp
CONF
  local mechanism
  for mechanism in plain login cram; do
    cat >>/etc/exim4/exim4.conf <<CONF
$mechanism:
  driver = smtp
  port = 587
  hosts_avoid_tls = *
  hosts_require_auth = *
CONF
  done
  cat >>/etc/exim4/exim4.conf <<CONF
begin retry
* * F,1h,1h
begin rewrite
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  client_condition = \${if match{\$sender_address_local_part}{^plain}}
  client_send = ^alice^$(password_of alice)
login:
  driver = plaintext
  public_name = LOGIN
  client_condition = \${if match{\$sender_address_local_part}{^login}}
  client_send = : alice : $(password_of alice)
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  client_condition = \${if match{\$sender_address_local_part}{^cram}}
  client_name = alice
  client_secret = $(password_of alice)
CONF
}
