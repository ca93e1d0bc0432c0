#!/usr/bin/env bash
# Sourced by remedies.sh inside a server's root: how each server is set up, started and asked.
#
# A server is started with the settings of some topics, taken from the list of remedies as it is printed; what it needs
# besides is here. start_NAME TOPIC... writes the configuration and starts the server; protocols_NAME says what to ask.
# Everything here runs in namespaces of its own: the processes end with them.
#
# SOFTWARE, VERSION, topics and protocols are set by the script that sources this one.
# shellcheck disable=SC2034,SC2154
set -euo pipefail

HOST=mail.example.org
CERTIFICATE=/etc/ssl/certs/$HOST.pem
KEY=/etc/ssl/private/$HOST.key
BOTH=/etc/ssl/private/$HOST.both.pem

# --- what all need ---------------------------------------------------------------------------------------------------

# The client is another machine: some servers take their own address for safe.
network() {
  ip link set lo up
  unshare --net sleep infinity &
  peer=$!
  until [ "$(readlink /proc/$peer/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
  ip link add v0 type veth peer name v1 netns "$peer"
  ip addr add 10.77.0.1/24 dev v0
  ip link set v0 up
  client ip addr add 10.77.0.9/24 dev v1
  client ip link set v1 up
  client ip link set lo up
  printf '127.0.0.1 localhost\n10.77.0.1 %s mail\n10.77.0.9 client.example.net client\n' "$HOST" >/etc/hosts
  # Nobody answers questions about names here, and nobody shall wait for it.
  printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >/etc/resolv.conf
  hostname "$HOST"
}

client() {
  nsenter -t "$peer" -n "$@"
}

# An account, an authority and its certificate, as made up as everything here.
world() {
  id carol >/dev/null 2>&1 || useradd -m carol
  echo carol:Made-Up-7 | chpasswd
  mkdir -p /etc/ssl/certs /etc/ssl/private
  chmod 755 /etc/ssl/private
  cd /etc/ssl
  openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=lab 2>/dev/null
  openssl req -newkey rsa:2048 -nodes -keyout "$KEY" -out host.csr -subj /CN="$HOST" 2>/dev/null
  openssl x509 -req -in host.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -out "$CERTIFICATE" \
    -extfile <(echo "subjectAltName=DNS:$HOST") 2>/dev/null
  cat "$CERTIFICATE" "$KEY" >"$BOTH"
  chmod 600 "$KEY" "$BOTH"
  cd /
  # Whatever the distribution forbids by itself is allowed, so that it is the setting that forbids it.
  printf '%s\n' 'openssl_conf = c' '[c]' 'ssl_conf = s' '[s]' 'system_default = d' '[d]' 'MinProtocol = TLSv1' \
    'CipherString = DEFAULT@SECLEVEL=0' >/etc/ssl/weak.cnf
  python3 /lab/syslog.py &
}

# setting TOPIC PLACE: the exact lines of SOFTWARE's remedy below places that match, from the list as it is printed.
setting() {
  awk -F '\t' -v topic="$1" -v software="$SOFTWARE" '$1 == topic && $2 == software { print $3 }' /lab/remedies.tsv |
    sed 's/\\n/\n/g; s/\\\\/\\/g' |
    awk -v place="$2" '
      /:$/ { here = $0 ~ place; next }
      /^[A-Z].*\.$/ { next }
      here || place == "" { print }' |
    sed "s/HOST/$HOST/g"
}

# put FILE SEPARATOR: sets the KEY of each line of standard input, in its old place if it has one.
put() {
  local file=$1 separator=$2 line key
  while IFS= read -r line; do
    key=${line%%"$separator"*}
    if grep -q "^$key *$separator" "$file"; then
      awk -v key="$key" -v separator="$separator" -v line="$line" '
        index($0, key) == 1 && substr($0, length(key) + 1) ~ "^ *" separator { print line; next }
        { print }' "$file" >/tmp/put
      cat /tmp/put >"$file"
    else
      printf '%s\n' "$line" >>"$file"
    fi
  done
}

# last: of several settings of one key, separated from its value by a space, the last.
last() {
  awk '
    { if (!($1 in line)) order[++count] = $1; line[$1] = $0 }
    END { for (i = 1; i <= count; i++) print line[order[i]] }'
}

listening() {
  local port=$1
  for _ in $(seq 100); do
    if ss -Hltn "sport = :$port" | grep -q .; then return 0; fi
    sleep 0.1
  done
  echo "nothing listens on port $port" >&2
  return 1
}

mailbox() {
  touch /var/mail/carol
  chown carol:mail /var/mail/carol
  chmod 660 /var/mail/carol
}

sasldb() {
  echo Made-Up-7 | saslpasswd2 -p -c -u "$HOST" carol 2>/dev/null
}

# in_front ADDRESS PORT COMMAND...: what inetd does.
in_front() {
  python3 /lab/inetd.py "$@" &
  listening "$2"
}

has() {
  case " $topics " in *" $1 "*) return 0 ;; *) return 1 ;; esac
}

# --- the servers -----------------------------------------------------------------------------------------------------

protocols_dovecot='imap pop3'
start_dovecot() {
  local dialect=$VERSION
  if [ "$dialect" = 2.4 ]; then
    printf '%s\n' 'dovecot_config_version = 2.4.0' 'dovecot_storage_version = 2.4.0' 'mail_driver = maildir' \
      'mail_path = ~/Maildir' 'passdb passwd-file {' '  passwd_file_path = /etc/users' \
      '  default_password_scheme = plain' '}' 'userdb passwd {' '}' 'auth_allow_cleartext = yes' 'ssl = no'
  else
    printf '%s\n' 'mail_location = maildir:~/Maildir' 'passdb {' '  driver = passwd-file' \
      '  args = scheme=PLAIN /etc/users' '}' 'userdb {' '  driver = passwd' '}' 'disable_plaintext_auth = no' 'ssl = no'
  fi >/etc/lab.conf
  echo carol:Made-Up-7 >/etc/users
  {
    printf '%s\n' 'protocols = imap pop3' 'base_dir = /run/dovecot' 'log_path = /tmp/dovecot.log' \
      'service imap-login {' '  inet_listener imaps {' '    port = 0' '  }' '}' \
      'service pop3-login {' '  inet_listener pop3s {' '    port = 0' '  }' '}'
    for topic in $topics; do
      setting "$topic" "^(in|$dialect, in) dovecot.conf"
      # ssl = required, which comes with the certificate, refuses logins too; that is another remedy.
      [ "$topic" != offer-starttls ] || echo 'ssl = yes'
      [ "$topic" != certificate ] || echo 'ssl = yes'
    done
  } >>/etc/lab.conf
  mkdir -p /run/dovecot
  OPENSSL_CONF=/etc/ssl/weak.cnf dovecot -F -c /etc/lab.conf &
  listening 143
  if has implicit-tls; then listening 993; fi
}

protocols_courier='imap pop3'
start_courier() {
  maildirmake.courier /home/carol/Maildir 2>/dev/null || maildirmake /home/carol/Maildir
  chown -R carol:carol /home/carol
  cd /etc/courier
  printf 'IMAPDSTARTTLS=NO\nIMAP_TLS_REQUIRED=0\n' | put imapd-ssl =
  printf 'POP3_STARTTLS=NO\nPOP3_TLS_REQUIRED=0\n' | put pop3d-ssl =
  chown courier "$BOTH"
  for topic in $topics; do
    setting "$topic" '^(in|with GnuTLS .*, in) imapd-ssl' | put imapd-ssl =
    setting "$topic" '^(in|with GnuTLS .* and) pop3d-ssl' | put pop3d-ssl =
  done
  echo "OPENSSL_CONF=/etc/ssl/weak.cnf" | tee -a imapd pop3d imapd-ssl pop3d-ssl >/dev/null
  sed -i 's/^MAXPERIP=.*/MAXPERIP=50/' imapd pop3d
  mkdir -p /run/courier/authdaemon
  chown -R courier:courier /run/courier
  export OPENSSL_CONF=/etc/ssl/weak.cnf
  authdaemond start
  imapd start
  pop3d start
  if has implicit-tls; then
    imapd-ssl start
    pop3d-ssl start
    listening 993
  fi
  unset OPENSSL_CONF
  listening 143
}

protocols_cyrus='imap pop3'
start_cyrus() {
  sasldb
  echo Made-Up-7 | saslpasswd2 -p -c carol 2>/dev/null
  chown cyrus:sasl /etc/sasldb2
  chown cyrus "$KEY"
  printf 'allowplaintext: yes\nautocreate_post: 1\nsasl_pwcheck_method: auxprop\n' | put /etc/imapd.conf :
  sed -i '/^\s*http/d; /^\s*nntp/d' /etc/cyrus.conf
  for topic in $topics; do
    setting "$topic" '^in imapd.conf' | put /etc/imapd.conf :
    setting "$topic" '^in cyrus.conf' | while IFS= read -r line; do
      sed -i "/^SERVICES {/a\\	$line" /etc/cyrus.conf
    done
  done
  mkdir -p /run/cyrus/proc /run/cyrus/lock /run/cyrus/socket
  chown -R cyrus:mail /run/cyrus
  OPENSSL_CONF=/etc/ssl/weak.cnf /usr/sbin/cyrmaster -d
  listening 143
}

protocols_mailutils='imap pop3'
start_mailutils() {
  mailbox
  local daemon port
  for daemon in imap4d pop3d; do
    port=110
    [ $daemon = pop3d ] || port=143
    {
      printf 'mode daemon;\nacl { allow any; }\n'
      printf 'server 0.0.0.0:%s {\n' $port
      for topic in $topics; do setting "$topic" "^in the server block"; done | last
      printf '}\n'
      for topic in $topics; do
        setting "$topic" "^in the configuration of $daemon"
        # The block as it was printed, with the lines of other topics put in before it ends.
        setting "$topic" '^in the configuration of imap4d and pop3d' | grep -v '^}' | tee /tmp/block || true
        if [ -s /tmp/block ]; then
          for line in $topics; do setting "$line" '^in the tls block'; done | last
          printf '}\n'
        fi
      done
    } >/etc/$daemon.lab
    $daemon --no-config --config-file=/etc/$daemon.lab
    listening $port
  done
}

protocols_postfix='smtp'
start_postfix() {
  sasldb
  mkdir -p /etc/postfix/sasl /var/spool/postfix/etc
  printf 'pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n' >/etc/postfix/sasl/smtpd.conf
  cp /etc/sasldb2 /var/spool/postfix/etc/
  chown postfix /etc/sasldb2 /var/spool/postfix/etc/sasldb2
  [ -f /etc/postfix/main.cf ] || cp /usr/share/postfix/main.cf.debian /etc/postfix/main.cf
  postconf -e myhostname="$HOST" mydestination="$HOST" smtpd_sasl_auth_enable=yes smtpd_sasl_local_domain="$HOST" \
    inet_interfaces=all inet_protocols=ipv4 maillog_file=/var/log/postfix.log smtpd_tls_security_level=none \
    smtpd_tls_protocols='>=TLSv1' smtpd_tls_mandatory_protocols='>=TLSv1' \
    import_environment='OPENSSL_CONF=/etc/ssl/weak.cnf MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C'
  postconf -X smtpd_tls_cert_file smtpd_tls_key_file
  for topic in $topics; do setting "$topic" '^in main.cf' | put /etc/postfix/main.cf =; done
  {
    printf 'submission inet n - n - - smtpd\n'
    for topic in $topics; do setting "$topic" '^in master.cf, under submission' | sed 's/^/  /'; done
    for topic in $topics; do setting "$topic" '^in master.cf:'; done
  } >>/etc/postfix/master.cf
  postfix start >/dev/null 2>&1
  listening 587
}

protocols_exim='smtp'
start_exim() {
  chown Debian-exim "$KEY"
  {
    printf 'primary_hostname = %s\ndomainlist local_domains = @\nacl_smtp_rcpt = accept\nkeep_environment =\n' "$HOST"
    printf 'log_file_path = /var/log/exim4/%%slog\nexim_user = Debian-exim\nexim_group = Debian-exim\n'
    has implicit-tls || printf 'daemon_smtp_ports = 25 : 587\n'
    has offer-starttls || printf 'tls_advertise_hosts =\n'
    for topic in $topics; do setting "$topic" '^(in|with GnuTLS .*, in) the main section'; done | last
    printf 'begin acl\nbegin routers\nbegin transports\nbegin authenticators\nplain:\n  driver = plaintext\n'
    printf '  public_name = PLAIN\n'
    # shellcheck disable=SC2016
    printf '  server_condition = ${if and{{eq{$auth2}{carol}}{eq{$auth3}{Made-Up-7}}}}\n  server_set_id = $auth2\n'
  } >/etc/exim4/lab.conf
  # Where its parent is process 1, as here, it does not go into the background by itself.
  exim4 -C /etc/exim4/lab.conf -bdf -oP /run/exim.pid &
  listening 587
}

protocols_sendmail='smtp'
start_sendmail() {
  sasldb
  chown root:smmta /etc/sasldb2
  chmod 640 /etc/sasldb2
  mkdir -p /usr/lib/sasl2
  printf 'pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n' |
    tee /usr/lib/sasl2/Sendmail.conf /etc/mail/sasl/Sendmail.conf.2 >/dev/null
  {
    # shellcheck disable=SC2016
    printf '%s\n' 'include(`/usr/share/sendmail/cf/m4/cf.m4'"'"')dnl' 'OSTYPE(`debian'"'"')dnl' \
      'DOMAIN(`debian-mta'"'"')dnl' "define(\`confDOMAIN_NAME', \`$HOST')dnl" \
      'FEATURE(`no_default_msa'"'"')dnl' 'DAEMON_OPTIONS(`Family=inet, Name=MTA, Port=25, Addr=0.0.0.0'"'"')dnl' \
      'DAEMON_OPTIONS(`Family=inet, Name=MSA, Port=587, Addr=0.0.0.0'"'"')dnl' \
      'TRUST_AUTH_MECH(`PLAIN LOGIN'"'"')dnl' 'define(`confAUTH_MECHANISMS'"'"', `PLAIN LOGIN'"'"')dnl'
    for topic in $topics; do setting "$topic" '^in sendmail.mc'; done
    # shellcheck disable=SC2016
    printf '%s\n' 'MAILER(`local'"'"')dnl' 'MAILER(`smtp'"'"')dnl'
  } >/etc/mail/lab.mc
  m4 /etc/mail/lab.mc >/etc/mail/lab.cf
  mkdir -p /run/sendmail/mta /var/spool/mqueue /var/lib/sendmail/host_status
  OPENSSL_CONF=/etc/ssl/weak.cnf /usr/sbin/sendmail-mta -bd -C /etc/mail/lab.cf 2>/tmp/sendmail.err
  listening 587
}

protocols_opensmtpd='smtp'
start_opensmtpd() {
  {
    # Listeners name the certificate, which is another remedy.
    setting offer-starttls '^in smtpd.conf' | grep '^pki' || true
    if [ "${topics:-certificate}" = certificate ]; then
      echo "listen on $HOST port 587 $(if has certificate; then echo "tls pki $HOST auth-optional"; fi)"
    fi
    for topic in $topics; do setting "$topic" '^in smtpd.conf' | grep -v '^pki' || true; done
    printf 'action "local" mbox\nmatch from any for local action "local"\n'
  } >/etc/smtpd.lab
  OPENSSL_CONF=/etc/ssl/weak.cnf smtpd -f /etc/smtpd.lab
  if has implicit-tls; then listening 465; else listening 587; fi
}

protocols_nginx='imap pop3 smtp'
start_nginx() {
  python3 /lab/probe.py backend &
  listening 10025
  {
    printf 'load_module /usr/lib/nginx/modules/ngx_mail_module.so;\nevents {}\nhttp {\n'
    # shellcheck disable=SC2016
    printf '%s\n' 'map $http_auth_protocol $backend { imap 10143; pop3 10110; smtp 10025; }' \
      'server { listen 127.0.0.1:9000; location / { add_header Auth-Status OK; add_header Auth-Server 127.0.0.1;' \
      'add_header Auth-Port $backend; return 200; } }' '}' 'mail {' "server_name $HOST;" 'auth_http 127.0.0.1:9000/;'
    for topic in $topics; do setting "$topic" '^in the mail block' | grep -v '^server' || true; done | last
    for topic in $topics; do setting "$topic" '^in the mail block' | grep '^server' || true; done
    printf '%s\n' 'server { listen 143; protocol imap; }' 'server { listen 110; protocol pop3; }' \
      'server { listen 587; protocol smtp; smtp_auth plain login; }' '}'
  } >/etc/nginx/lab.conf
  OPENSSL_CONF=/etc/ssl/weak.cnf nginx -c /etc/nginx/lab.conf
  listening 143
}

protocols_perdition='imap pop3'
start_perdition() {
  python3 /lab/probe.py backend &
  listening 10025
  {
    printf 'outgoing_server 127.0.0.1\nmap_library ""\nusername nobody\n'
    for topic in $topics; do setting "$topic" '^in perdition.conf'; done | last
  } >/etc/perdition/lab.conf
  chown nobody "$KEY"
  export OPENSSL_CONF=/etc/ssl/weak.cnf
  perdition -f /etc/perdition/lab.conf -P POP3 -p 10110 --pid_file /run/perdition.pop3
  perdition -f /etc/perdition/lab.conf -P IMAP4 -p 10143 --pid_file /run/perdition.imap4
  unset OPENSSL_CONF
  listening 143
}

# A server without TLS, alone and behind stunnel.
protocols_stunnel='pop3'
start_stunnel() {
  mailbox
  if ! has offer-starttls && ! has implicit-tls && ! has refuse-clear; then
    in_front 10.77.0.1 110 popa3d
    return
  fi
  in_front 127.0.0.1 110 popa3d
  {
    printf 'foreground = no\npid = /run/stunnel.lab\noutput = /tmp/stunnel.log\n'
    if has tls-versions; then setting tls-versions '^in stunnel.conf'; else echo 'sslVersionMin = TLSv1'; fi
    if has implicit-tls; then
      setting implicit-tls '^in stunnel.conf'
    elif has refuse-clear; then
      setting refuse-clear '^in stunnel.conf'
    else
      setting offer-starttls '^in stunnel.conf'
    fi
  } >/etc/stunnel/lab.conf
  OPENSSL_CONF=/etc/ssl/weak.cnf stunnel /etc/stunnel/lab.conf
  listening "$(if has implicit-tls; then echo 995; else echo 110; fi)"
}

# --- questions -------------------------------------------------------------------------------------------------------

port_of() {
  case $1 in
    imap) echo 143 ;;
    pop3) echo 110 ;;
    smtp) echo 587 ;;
    imaps) echo 993 ;;
    pop3s) echo 995 ;;
    smtps) echo 465 ;;
  esac
}

ask() {
  local what=$1 protocol=$2 port
  port=$(port_of "$protocol")
  if [ "$what" = tls ]; then port=$(port_of "${protocol}s"); fi
  client timeout 30 python3 /lab/probe.py "$what" "$protocol" "$HOST" "$port"
}

# handshake PROTOCOL OPTION...: does TLS come about with these options?
handshake() {
  local protocol=$1
  shift
  client timeout 20 openssl s_client -starttls "$protocol" -connect "$HOST:$(port_of "$protocol")" "$@" -brief \
    </dev/null 2>&1 | grep -q 'CONNECTION ESTABLISHED'
}

# The remedy's own test, as it is printed.
own_test() {
  local topic=$1 command verdict wanted output
  command=$(awk -F '\t' -v topic="$topic" -v software="$SOFTWARE" '$1 == topic && $2 == software { print $4 }' \
    /lab/remedies.tsv)
  verdict=${command##*\\nmust }
  command=${command%%\\nmust *}
  command=$(printf '%s' "$command" | sed "s/\\\\\\\\/\\\\/g; s/HOST/$HOST/g")
  wanted=$(printf '%s' "$verdict" | sed 's/^[^"]*"//; s/"[^"]*$//')
  output=$(SSL_CERT_FILE=/etc/ssl/ca.pem client timeout 30 bash -c "$command" 2>&1 || true)
  case $verdict in
    'show '*) printf '%s' "$output" | grep -qF -- "$wanted" || fail "its test does not show \"$wanted\": $output" ;;
    'not show '*) ! printf '%s' "$output" | grep -qF -- "$wanted" || fail "its test shows \"$wanted\": $output" ;;
  esac
}

fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# before TOPIC: what must be so without the remedy; after TOPIC: with it.
before() {
  local protocol answer
  for protocol in $protocols; do
    case $1 in
      refuse-clear)
        answer=$(ask clear "$protocol") || fail "$protocol: the password is refused without the remedy too: $answer"
        ;;
      offer-starttls)
        ! answer=$(ask starttls "$protocol") || fail "$protocol: STARTTLS works without the remedy too"
        ;;
      implicit-tls)
        ! answer=$(ask tls "$protocol") || fail "$protocol: TLS works without the remedy too"
        ;;
    esac
  done
}

after() {
  local protocol answer
  for protocol in $protocols; do
    case $1 in
      refuse-clear)
        ! answer=$(ask clear "$protocol") || fail "$protocol: the password is taken in clear: $answer"
        answer=$(ask starttls "$protocol") || fail "$protocol: no login after STARTTLS: $answer"
        ;;
      offer-starttls | certificate)
        answer=$(ask starttls "$protocol") || fail "$protocol: no login after STARTTLS: $answer"
        ;;
      implicit-tls)
        answer=$(ask tls "$protocol") || fail "$protocol: no login under TLS: $answer"
        ;;
      tls-versions)
        ! handshake "$protocol" -tls1_1 -cipher DEFAULT@SECLEVEL=0 || fail "$protocol: TLS 1.1 comes about"
        ! handshake "$protocol" -tls1_2 -cipher AES128-SHA:AES256-SHA || fail "$protocol: static RSA comes about"
        handshake "$protocol" -tls1_2 || fail "$protocol: TLS 1.2 does not come about"
        ;;
    esac
  done
}

# Which topics a remedy stands on: most need TLS to be there.
ground() {
  case "$SOFTWARE $1" in
    # Its listeners are one line each, with all that there is to say about one.
    'OpenSMTPD '*) ;;
    # What is in front refuses and offers in one.
    'stunnel refuse-clear' | 'popa3d refuse-clear') ;;
    'Courier implicit-tls' | 'stunnel implicit-tls' | 'popa3d implicit-tls') ;;
    *' offer-starttls') ;;
    *) echo offer-starttls ;;
  esac
}
