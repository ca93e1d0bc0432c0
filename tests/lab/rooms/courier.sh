# Courier: POP3 and IMAP, passwords from userdb.
#
#   10.78.0.20  offers STARTTLS, takes passwords without it
#   10.78.0.21  no TLS at all
#   10.78.0.22  offers STARTTLS and has no certificate
#   10.78.0.23  refuses a login before STARTTLS
# shellcheck shell=bash disable=SC1091,SC2034,SC2154
in_ci=yes
packages='python3 courier-imap courier-pop courier-authdaemon courier-authlib-userdb openssl'

start() {
  local user
  : >/etc/courier/userdb
  chmod 700 /etc/courier/userdb
  for user in $(users); do
    userdb "$user" set "uid=$(id -u "$user")" "gid=$(id -g "$user")" "home=/home/$user" "mail=/home/$user/Maildir"
    password_of "$user" | userdbpw -md5 | userdb "$user" set systempw
    password_of "$user" | userdbpw -hmac-md5 | userdb "$user" set hmac-md5pw
    password_of "$user" | userdbpw -hmac-sha1 | userdb "$user" set hmac-sha1pw
  done
  makeuserdb
  sed -i 's/^authmodulelist=.*/authmodulelist="authuserdb"/; s/^DEBUG_LOGIN=.*/DEBUG_LOGIN=1/' /etc/courier/authdaemonrc
  mkdir -p /run/courier/authdaemon
  chown -R courier: /run/courier
  authdaemond start
  makeimapaccess
  pop3 10.78.0.20 110
  pop3 10.78.0.21 110 POP3_STARTTLS=NO
  pop3 10.78.0.22 110 TLS_CERTFILE=/nonexistent
  pop3 10.78.0.23 110 POP3_TLS_REQUIRED=1
  imap 10.78.0.20 143
  imap 10.78.0.21 143 IMAP_STARTTLS=NO
  imap 10.78.0.22 143 TLS_CERTFILE=/nonexistent
  imap 10.78.0.23 143 IMAP_TLS_REQUIRED=1
  ports=('10.78.0.20 110' '10.78.0.20 143' '10.78.0.22 143' '10.78.0.23 143')
}

# listen ADDRESS PORT COMMAND...
listen() {
  local address=$1 port=$2
  shift 2
  couriertcpd -address="$address" -maxprocs=40 -maxperip=40 -nodnslookup -noidentlookup "$port" "$@" \
    </dev/null >>"$log/courier" 2>&1 &
}

# pop3 ADDRESS PORT SETTING...
pop3() (
  address=$1 port=$2
  shift 2
  set -a +u
  . /etc/courier/pop3d-ssl
  . /etc/courier/pop3d
  POP3AUTH='PLAIN LOGIN CRAM-MD5 CRAM-SHA1' POP3AUTH_TLS=$POP3AUTH TLS_CERTFILE=$tls/both.pem
  for setting in "$@"; do
    eval "$setting"
  done
  listen "$address" "$port" /usr/lib/courier/courier/courierpop3login /usr/lib/courier/courier/courierpop3d Maildir
)

# imap ADDRESS PORT SETTING...
imap() (
  address=$1 port=$2
  shift 2
  set -a +u
  . /etc/courier/imapd-ssl
  . /etc/courier/imapd
  IMAP_CAPABILITY="$IMAP_CAPABILITY AUTH=PLAIN AUTH=CRAM-MD5 AUTH=CRAM-SHA1"
  IMAP_CAPABILITY_TLS=$IMAP_CAPABILITY IMAP_STARTTLS=YES TLS_CERTFILE=$tls/both.pem
  for setting in "$@"; do
    eval "$setting"
  done
  listen "$address" "$port" /usr/lib/courier/courier/imaplogin /usr/bin/imapd Maildir
)
