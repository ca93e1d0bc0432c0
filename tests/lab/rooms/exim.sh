# Exim.
#
#   10.78.0.60  ports 25, 587, 465: offers STARTTLS, takes passwords without it
#   10.78.0.61  no TLS at all
#   10.78.0.62  offers STARTTLS and has no certificate
#   10.78.0.63  takes passwords inside TLS only
# shellcheck shell=bash disable=SC2034,SC2154
in_ci=yes
packages='python3 exim4-daemon-heavy'

start() {
  local user
  for user in $(users); do
    printf '%s: %s\n' "$user" "$(password_of "$user")"
  done >/etc/exim4/lab.passwd
  cp "$tls/key.pem" /etc/exim4/lab.key
  chown root:Debian-exim /etc/exim4/lab.*
  chmod 640 /etc/exim4/lab.*
  cat >/etc/exim4/exim4.conf <<CONF
primary_hostname = mail.lab.example
domainlist local_domains = lab.example : mail.lab.example
daemon_smtp_ports = 25 : 587 : 465
tls_on_connect_ports = 465
local_interfaces = 10.78.0.60 : 10.78.0.61 : 10.78.0.62 : 10.78.0.63
disable_ipv6
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts = \${if eq{\$received_ip_address}{10.78.0.61}{}{*}}
tls_certificate = \${if eq{\$received_ip_address}{10.78.0.62}{/nonexistent}{$tls/cert.pem}}
tls_privatekey = \${if eq{\$received_ip_address}{10.78.0.62}{/nonexistent}{/etc/exim4/lab.key}}
tls_require_ciphers = NORMAL:+VERS-TLS1.0:+VERS-TLS1.1:%COMPAT
auth_advertise_hosts = \${if and{{eq{\$received_ip_address}{10.78.0.63}}{eq{\$tls_in_cipher}{}}}{}{*}}
log_selector = +smtp_connection +smtp_no_mail +smtp_protocol_error +smtp_syntax_error +tls_cipher +incoming_interface +smtp_mailauth
log_file_path = syslog
syslog_timestamp = false
syslog_duplication = false
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
begin acl
acl_rcpt:
  accept authenticated = *
  accept domains = +local_domains
  deny message = relay not permitted
acl_data:
  accept
begin routers
local:
  driver = accept
  domains = +local_domains
  transport = home
hand_over:
  driver = manualroute
  domains = ! +local_domains
  route_list = * 127.0.0.1
  self = send
  transport = hole
begin transports
home:
  driver = appendfile
  file = /dev/null
  user = mail
hole:
  driver = appendfile
  file = /dev/null
  user = mail
begin retry
* * F,1h,1h
begin rewrite
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_set_id = \$auth2
  server_condition = \${if eq{\$auth3}{\${lookup{\$auth2}lsearch{/etc/exim4/lab.passwd}{\$value}{*:*}}}}
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_set_id = \$auth1
  server_condition = \${if eq{\$auth2}{\${lookup{\$auth1}lsearch{/etc/exim4/lab.passwd}{\$value}{*:*}}}}
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_set_id = \$auth1
  server_secret = \${lookup{\$auth1}lsearch{/etc/exim4/lab.passwd}{\$value}fail}
ntlm:
  driver = spa
  public_name = NTLM
  server_set_id = \$auth1
  server_password = \${lookup{\$auth1}lsearch{/etc/exim4/lab.passwd}{\$value}fail}
CONF
  exim4 -bV >"$log/version"
  setsid exim4 -bdf -q 30m </dev/null &
  ports=('10.78.0.60 25' '10.78.0.60 587')
}
