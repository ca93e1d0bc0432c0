#!/usr/bin/env bash
# A mail office in two network namespaces: real servers on one side, real clients on the other.
#
#   bed.sh up DIR [SUFFIX]   make the namespaces, start Dovecot and Postfix, wait until they answer
#   bed.sh traffic DIR       run the fixed script of logins; what must be seen is in expected.tsv
#   bed.sh down DIR          stop the servers, delete the namespaces (DIR with its logs stays)
#
# Each may be repeated. Needs root, and on Debian: iproute2 dovecot-imapd dovecot-pop3d
# dovecot-managesieved postfix curl openssl python3. ethtool is used where there is one.
#
# Everything the servers write is in DIR: the host's own mail configuration is neither read nor
# changed, and no packet leaves the two namespaces. DIR must be absolute and short (a socket's path
# has at most 107 octets), and below folders that any user may enter, since the servers drop root.
# DIR/bed.env says how the namespaces and the interfaces are called; DIR/log has every log.
#
# BED_OWNER=PID ties the bed to a process: when that one is gone, the bed goes down by itself. A test
# that is killed can't clean up behind it.
#
#   address      what                          STARTTLS   passwords in clear
#   10.77.0.1    mail.office.example           offered    accepted
#   10.77.0.11   the old server                no         accepted
#   10.77.0.12   the server set up as it       offered    refused
#                should be
#   10.77.0.2    alice's laptop
#   10.77.0.3    bob's phone, dave's laptop
#   10.77.0.4    carol's desktop
#   10.77.0.5    the scanner on the second floor
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
readonly mail=10.77.0.1 old=10.77.0.11 strict=10.77.0.12
readonly alice=10.77.0.2 bob=10.77.0.3 carol=10.77.0.4 scanner=10.77.0.5
# Debian keeps the servers where only root's PATH looks.
export PATH="$PATH:/usr/sbin:/sbin"
export LC_ALL=C

die() {
  printf 'bed: %s\n' "$*" >&2
  exit 1
}

usage() { die "usage: bed.sh up DIR [SUFFIX] | traffic DIR | down DIR"; }

password_of() { awk -F '\t' -v user="$1" '$1 == user { print $2 }' "$here/users.tsv"; }

# --- up ---------------------------------------------------------------------------------------

up() {
  local suffix=${1:-$$} tool
  [ "$(id -u)" = 0 ] || die "needs root"
  for tool in ip dovecot postfix curl openssl python3; do
    command -v "$tool" >/dev/null || die "needs $tool"
  done
  [ "${#dir}" -le 60 ] || die "DIR is too long for the path of a socket: $dir"
  [[ $suffix =~ ^[A-Za-z0-9]{1,12}$ ]] || die "SUFFIX must be up to 12 letters and digits"
  if is_up; then
    return 0
  fi
  down
  # A bed that comes up half is worse than none.
  trap down EXIT

  mkdir -p "$dir/log" "$dir/pid"
  chmod 711 "$dir"
  cat >"$dir/bed.env" <<ENV
SERVER_NS=bw-mail-$suffix
CLIENT_NS=bw-office-$suffix
SERVER_IF=mail0
CLIENT_IF=office0
ENV
  load_env
  watch_owner
  make_network
  make_certificate
  make_mailboxes
  start_dovecot
  start_postfix
  wait_for_servers
  trap - EXIT
}

load_env() {
  local name value
  SERVER_NS='' CLIENT_NS='' SERVER_IF='' CLIENT_IF=''
  [ -f "$dir/bed.env" ] || return 1
  # Read, not sourced: the folder may have come from anywhere.
  while IFS='=' read -r name value; do
    [[ $value =~ ^[A-Za-z0-9-]+$ ]] || die "$dir/bed.env is damaged"
    case $name in
      SERVER_NS) SERVER_NS=$value ;;
      CLIENT_NS) CLIENT_NS=$value ;;
      SERVER_IF) SERVER_IF=$value ;;
      CLIENT_IF) CLIENT_IF=$value ;;
    esac
  done <"$dir/bed.env"
}

watch_owner() {
  [ -n "${BED_OWNER:-}" ] || return 0
  # shellcheck disable=SC2016 # the inner bash expands these
  setsid bash -c '
    while kill -0 "$1" 2>/dev/null; do sleep 1; done
    rm -f "$3/pid/owner"
    exec bash "$2" down "$3"' bed-owner "$BED_OWNER" "$here/bed.sh" "$dir" </dev/null >/dev/null 2>&1 &
  echo $! >"$dir/pid/owner"
}

has_namespace() { [ -e "/var/run/netns/$1" ]; }

is_up() {
  load_env || return 1
  has_namespace "$SERVER_NS" && has_namespace "$CLIENT_NS" && servers_answer
}

in_server() { ip netns exec "$SERVER_NS" "$@"; }
in_client() { ip netns exec "$CLIENT_NS" "$@"; }

make_network() {
  local address ns
  ip netns add "$SERVER_NS"
  ip netns add "$CLIENT_NS"
  for ns in "$SERVER_NS" "$CLIENT_NS"; do
    # Neighbour discovery would be noise in the captures. Some sandboxes have /proc/sys read-only.
    ip netns exec "$ns" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6' 2>/dev/null || true
    ip -n "$ns" link set lo up
  done
  # Both ends are born inside: the names can't meet others and the host never sees them.
  ip link add "$SERVER_IF" netns "$SERVER_NS" address 02:00:00:00:00:01 \
    type veth peer name "$CLIENT_IF" netns "$CLIENT_NS" address 02:00:00:00:00:02
  for address in "$mail" "$old" "$strict"; do
    ip -n "$SERVER_NS" address add "$address/24" dev "$SERVER_IF"
  done
  for address in "$alice" "$bob" "$carol" "$scanner"; do
    ip -n "$CLIENT_NS" address add "$address/24" dev "$CLIENT_IF"
  done
  # Frames as they would be on a cable: whole checksums, no segments above the MTU.
  if command -v ethtool >/dev/null; then
    in_server ethtool -K "$SERVER_IF" tx off tso off gso off gro off >/dev/null 2>&1 || true
    in_client ethtool -K "$CLIENT_IF" tx off tso off gso off gro off >/dev/null 2>&1 || true
  fi
  ip -n "$SERVER_NS" link set "$SERVER_IF" up
  ip -n "$CLIENT_NS" link set "$CLIENT_IF" up
}

make_certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
    -subj /CN=mail.office.example -addext subjectAltName=DNS:mail.office.example \
    -keyout "$dir/key.pem" -out "$dir/cert.pem" 2>"$dir/log/openssl.log"
  chmod 600 "$dir/key.pem"
}

# Each mailbox begins with one message whose body looks like logins. A sensor that reads bodies as
# commands finds the user "decoy".
make_mailboxes() {
  local user
  rm -rf "$dir/mail"
  : >"$dir/passwd"
  while IFS=$'\t' read -r user _; do
    mkdir -p "$dir/mail/$user/Maildir/"{cur,new,tmp}
    sed "s/@USER@/$user/" "$here/decoy.eml" >"$dir/mail/$user/Maildir/cur/1000000000.seed.bed:2,"
    printf '%s:{PLAIN.b64}%s\n' "$user" "$(printf %s "$(password_of "$user")" | base64)" >>"$dir/passwd"
  done <"$here/users.tsv"
  chown -R mail:mail "$dir/mail"
  chown root:dovecot "$dir/passwd"
  chmod 640 "$dir/passwd"
}

start_dovecot() {
  # A socket that a former run left makes Dovecot try it for five seconds.
  rm -rf "$dir/dovecot"
  mkdir -p "$dir/dovecot" "$dir/state"
  cat >"$dir/dovecot.conf" <<CONF
protocols = imap pop3 sieve
base_dir = $dir/dovecot
state_dir = $dir/state
log_path = $dir/log/dovecot.log
ssl = yes
ssl_cert = <$dir/cert.pem
ssl_key = <$dir/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login
# The pauses after a wrong password protect a real server; here they only cost time.
auth_failure_delay = 0
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:~/Maildir
passdb {
  driver = passwd-file
  args = $dir/passwd
}
userdb {
  driver = static
  args = uid=mail gid=mail home=$dir/mail/%u
}
service auth {
  unix_listener $dir/sasl {
    mode = 0660
    user = postfix
  }
}
service imap-login {
  inet_listener imap {
    port = 143
  }
  inet_listener imaps {
    port = 993
    ssl = yes
  }
}
service pop3-login {
  inet_listener pop3 {
    port = 110
  }
  inet_listener pop3s {
    port = 0
  }
}
service managesieve-login {
  inet_listener sieve {
    port = 4190
  }
}
local $old {
  ssl = no
}
local $strict {
  disable_plaintext_auth = yes
}
CONF
  ip netns exec "$SERVER_NS" setsid dovecot -F -c "$dir/dovecot.conf" \
    </dev/null >"$dir/log/dovecot.out" 2>&1 &
  echo $! >"$dir/pid/dovecot"
}

start_postfix() {
  local tool=$dir/postfix
  mkdir -p "$tool" "$dir/spool" "$dir/postfix-data"
  chown postfix "$dir/postfix-data"
  cat >"$tool/main.cf" <<CONF
compatibility_level = 3.6
queue_directory = $dir/spool
data_directory = $dir/postfix-data
maillog_file = $dir/log/postfix.log
maillog_file_prefixes = $dir/log
myhostname = mail.office.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = $mail
inet_protocols = ipv4
# There is no name server here, and asking would only wait for one.
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = office.example
virtual_mailbox_base = $dir/mail
virtual_mailbox_maps = texthash:$tool/mailboxes
virtual_minimum_uid = 1
virtual_uid_maps = static:$(id -u mail)
virtual_gid_maps = static:$(id -g mail)
smtpd_tls_security_level = may
smtpd_tls_cert_file = $dir/cert.pem
smtpd_tls_key_file = $dir/key.pem
smtpd_tls_auth_only = no
smtpd_sasl_type = dovecot
smtpd_sasl_path = $dir/sasl
smtpd_sasl_security_options = noanonymous
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
CONF
  cat >"$tool/master.cf" <<CONF
smtp      inet  n  -  n  -     -  smtpd
587       inet  n  -  n  -     -  smtpd -o smtpd_sasl_auth_enable=yes
pickup    unix  n  -  n  60    1  pickup
cleanup   unix  n  -  n  -     0  cleanup
qmgr      unix  n  -  n  300   1  qmgr
tlsmgr    unix  -  -  n  1000? 1  tlsmgr
rewrite   unix  -  -  n  -     -  trivial-rewrite
bounce    unix  -  -  n  -     0  bounce
defer     unix  -  -  n  -     0  bounce
trace     unix  -  -  n  -     0  bounce
verify    unix  -  -  n  -     1  verify
flush     unix  n  -  n  1000? 0  flush
proxymap  unix  -  -  n  -     -  proxymap
proxywrite unix -  -  n  -     1  proxymap
smtp      unix  -  -  n  -     -  smtp
showq     unix  n  -  n  -     -  showq
error     unix  -  -  n  -     -  error
retry     unix  -  -  n  -     -  error
discard   unix  -  -  n  -     -  discard
virtual   unix  -  n  n  -     -  virtual
anvil     unix  -  -  n  -     1  anvil
scache    unix  -  -  n  -     1  scache
postlog   unix-dgram n - n -   1  postlogd
CONF
  while IFS=$'\t' read -r user _; do
    printf '%s@office.example %s/Maildir/\n' "$user" "$user"
  done <"$here/users.tsv" >"$tool/mailboxes"
  in_server postfix -c "$tool" start </dev/null >"$dir/log/postfix.out" 2>&1
  tr -d ' ' <"$dir/spool/pid/master.pid" >"$dir/pid/postfix"
}

servers_answer() {
  # Bash opens the ports itself: one process for all of them, and nothing to install.
  # shellcheck disable=SC2016 # the inner bash expands these
  in_client timeout 5 bash -c '
    for port in 143 110 4190 587 25; do
      exec 3<>"/dev/tcp/$1/$port" || exit 1
      read -r -t 3 _ <&3 || exit 1
      exec 3>&-
    done' bed-probe "$mail" 2>/dev/null
}

wait_for_servers() {
  local tries
  for ((tries = 0; tries < 60; tries++)); do
    if servers_answer; then
      return 0
    fi
    sleep 0.25
  done
  tail -n 20 "$dir"/log/* >&2 || true
  printf 'bed: the servers do not answer\n' >&2
  return 1
}

# --- down -------------------------------------------------------------------------------------

down() {
  local ns name pid
  load_env || return 0
  for name in owner postfix dovecot; do
    [ -s "$dir/pid/$name" ] || continue
    pid=$(cat "$dir/pid/$name")
    rm -f "$dir/pid/$name"
    # A recorded number may belong to somebody else by now.
    if grep -qz "$dir" "/proc/$pid/cmdline" 2>/dev/null || is_inside "$pid"; then
      kill -TERM "$pid" 2>/dev/null || true
    fi
  done
  for ns in "$SERVER_NS" "$CLIENT_NS"; do
    has_namespace "$ns" || continue
    empty_namespace "$ns"
    ip netns delete "$ns"
  done
  rm -f "$dir/bed.env"
}

is_inside() { [[ " $(ip netns pids "$SERVER_NS" 2>/dev/null | tr '\n' ' ')" == *" $1 "* ]]; }

# The namespaces are ours alone, so is every process in them.
empty_namespace() {
  local tries signal pid
  for ((tries = 0; tries < 40; tries++)); do
    [ -n "$(ip netns pids "$1")" ] || return 0
    if [ "$tries" -ge 10 ]; then
      signal=TERM
      [ "$tries" -lt 25 ] || signal=KILL
      for pid in $(ip netns pids "$1"); do
        kill "-$signal" "$pid" 2>/dev/null || true
      done
    fi
    sleep 0.1
  done
}

# --- traffic ----------------------------------------------------------------------------------

# step WANTED-STATUS WHAT COMMAND...: the script is only worth something if each login ended as told.
step() {
  local wanted=$1 what=$2 status=0
  shift 2
  printf '%s\n' "--- $what" >>"$dir/log/traffic.log"
  in_client "$@" </dev/null >>"$dir/log/traffic.log" 2>&1 || status=$?
  if [ "$status" != "$wanted" ]; then
    tail -n 5 "$dir/log/traffic.log" >&2
    die "$what: status $status instead of $wanted"
  fi
}

# curl_step WANTED-STATUS WHAT FROM USER ARGUMENT...: curl from one address, with that user's password.
curl_step() {
  local wanted=$1 what=$2 from=$3 user=$4
  shift 4
  # The certificate is self-signed and no one is there to be protected.
  step "$wanted" "$what" curl -sS --insecure --crlf --max-time 10 --interface "$from" \
    --user "$user:$(password_of "$user")" "$@"
}

python_step() {
  local wanted=$1 what=$2
  shift 2
  step "$wanted" "$what" python3 "$here/clients.py" "$@"
}

traffic() {
  load_env || die "no bed in $dir"
  local letter=$dir/letter.eml wrong=28
  sed 's/@USER@/bob/' "$here/decoy.eml" >"$letter"
  : >"$dir/log/traffic.log"

  # dave is the good example: always inside TLS, in each of the ways there are.
  curl_step 0 "dave reads over IMAP with STARTTLS" "$bob" dave --ssl-reqd "imap://$mail/INBOX;UID=1"
  curl_step 0 "dave fetches over POP3 with STLS" "$bob" dave --ssl-reqd --tls-max 1.2 "pop3://$mail/1"
  curl_step 0 "dave submits with STARTTLS" "$bob" dave --ssl-reqd --mail-from dave@office.example \
    --mail-rcpt bob@office.example --upload-file "$letter" "smtp://$mail:587/laptop-dave.office.example"
  curl_step 0 "dave reads over IMAP in TLS from the first octet" "$bob" dave "imaps://$mail/INBOX;UID=1"

  python_step 0 "alice logs in with IMAP LOGIN and reads" \
    imap-read "$alice" "$mail" alice "$(password_of alice)"
  python_step 0 "bob mistypes, then logs in with IMAP LOGIN" \
    imap-typo "$bob" "$mail" bob "$(password_of bob)"
  curl_step 0 "carol logs in with IMAP AUTHENTICATE PLAIN" "$carol" carol \
    --login-options AUTH=PLAIN "imap://$mail/INBOX;UID=1"
  python_step 0 "bob fetches over POP3 with USER and PASS" \
    pop3-fetch "$bob" "$mail" bob "$(password_of bob)"
  curl_step 0 "carol fetches over POP3 with AUTH PLAIN" "$carol" carol \
    --login-options AUTH=PLAIN "pop3://$mail/1"
  python_step "$wrong" "carol's second mail program knows an old password" \
    pop3-fetch "$carol" "$mail" carol last-years-password
  curl_step 0 "alice submits with AUTH PLAIN" "$alice" alice --sasl-ir --login-options AUTH=PLAIN \
    --mail-from alice@office.example --mail-rcpt bob@office.example --upload-file "$letter" \
    "smtp://$mail:587/laptop-alice.office.example"
  curl_step 67 "the scanner has the wrong password" "$scanner" "scanner" --user scanner:factory-default \
    --login-options AUTH=LOGIN --mail-from scanner@office.example --mail-rcpt carol@office.example \
    --upload-file "$letter" "smtp://$mail:587/scanner.office.example"
  curl_step 0 "the scanner submits with AUTH LOGIN" "$scanner" scanner --login-options AUTH=LOGIN \
    --mail-from scanner@office.example --mail-rcpt carol@office.example --upload-file "$letter" \
    "smtp://$mail:587/scanner.office.example"
  python_step 0 "carol changes her filter over ManageSieve" \
    sieve-login "$carol" "$mail" carol "$(password_of carol)"
  python_step 0 "carol reads on the old server" \
    imap-read "$carol" "$old" carol "$(password_of carol)"
  python_step "$wrong" "bob's phone sends his password where that is forbidden" \
    imap-read "$bob" "$strict" bob "$(password_of bob)"
  python_step 0 "another mail server delivers in clear" smtp-relay "$scanner" "$mail" "$letter"
  settle
}

# Until each connection has been closed by both ends, so that a capture may stop at once.
settle() {
  local tries
  for ((tries = 0; tries < 40; tries++)); do
    [ -n "$(in_client ss -Htn state connected exclude time-wait 2>/dev/null)" ] || return 0
    sleep 0.05
  done
}

[ $# -ge 2 ] || usage
command=$1
dir=${2%/}
shift 2
[[ $dir =~ ^/[A-Za-z0-9._/-]+$ ]] || die "DIR must be absolute and of letters, digits and . _ - /"
case $command in
  up) up "$@" ;;
  traffic) traffic ;;
  down) down ;;
  *) usage ;;
esac
