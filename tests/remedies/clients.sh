#!/usr/bin/env bash
# Sourced by remedies.sh inside the clients' root: how each client is set up and started.
#
# try_client clear: as people set it up who think of nothing, at a server without TLS; that must see its password.
# try_client set: with the remedy's lines, as they are printed, at the same; that must not see it.
# try_client works: the same lines at a server with TLS, which must see it inside, and not outside.
# shellcheck disable=SC2154
set -euo pipefail

# The servers write down every line they are sent.
victim() {
  : >/tmp/seen
  : >/tmp/seen.clear
  if [ "$how" = works ]; then
    cp /etc/ssl/ca.pem /etc/ssl/certs/lab.pem
    cat /etc/ssl/ca.pem >>/etc/ssl/certs/ca-certificates.crt
    openssl rehash /etc/ssl/certs 2>/dev/null || true
    python3 /lab/probe.py safe /tmp/seen "$CERTIFICATE" "$KEY" &
    listening 465
  else
    python3 /lab/probe.py victim /tmp/seen &
  fi
  listening 587
}

# The password in the forms it travels in: as it is, after PLAIN's two zeros, after LOGIN's prompt.
discloses() {
  grep -qe Made-Up-7 -e AGNhcm9sAE1hZGUtVXAtNw== -e Y2Fyb2wAY2Fyb2wATWFkZS1VcC03 -e TWFkZS1VcC03 "$1"
}

as_client() {
  client timeout 25 "$@" </dev/null >/tmp/client.log 2>&1 || true
}

try_client() {
  how=$1
  victim
  cd "$(mktemp -d)"
  export HOME=$PWD
  umask 077
  run_"$(printf '%s' "$SOFTWARE" | tr '[:upper:]' '[:lower:]')"
  sleep 1
  case $how in
    clear) discloses /tmp/seen || fail "the server saw no password: $(cat /tmp/client.log /tmp/seen)" ;;
    set) ! discloses /tmp/seen || fail "the server saw the password: $(cat /tmp/seen)" ;;
    works)
      discloses /tmp/seen || fail "no login under TLS: $(cat /tmp/client.log /tmp/seen.clear)"
      ! discloses /tmp/seen.clear || fail "the password was sent before TLS: $(cat /tmp/seen.clear)"
      ;;
  esac
}

is_set() {
  [ "$how" != clear ]
}

run_fetchmail() {
  local protocol place
  # With sslproto '' it does as versions before 6.4 did: it takes what it is offered.
  for place in 'for each poll' 'with STARTTLS'; do
    for protocol in pop3 imap; do
      printf "poll %s protocol %s user carol password Made-Up-7 mda /bin/true %s\n" "$HOST" $protocol \
        "$(if is_set; then setting require-tls "$place"; else echo "sslproto ''"; fi)" >rc
      as_client fetchmail -f rc --nodetach --nosyslog
    done
  done
}

run_getmail() {
  local protocol
  mkdir -p .getmail md/cur md/new md/tmp
  for protocol in IMAP POP3; do
    {
      printf '[retriever]\nserver = %s\nusername = carol\npassword = Made-Up-7\n' "$HOST"
      if is_set; then
        setting require-tls "$(if [ $protocol = IMAP ]; then echo '^in getmailrc'; else echo '^for POP3'; fi)"
      else
        printf 'type = Simple%sRetriever\n' $protocol
      fi
      printf '[destination]\ntype = Maildir\npath = %s/md/\n' "$PWD"
    } >.getmail/rc
    as_client getmail --rcfile rc
  done
}

run_curl() {
  local line
  if is_set; then
    setting require-tls '' | while read -r line; do
      # shellcheck disable=SC2086
      as_client $line -s --connect-timeout 5 -u carol:Made-Up-7
    done
  else
    as_client curl -s -u carol:Made-Up-7 "imap://$HOST/"
  fi
}

run_python() {
  # A sentence, not lines to be copied; what it says is what is typed here.
  if is_set; then
    cat >mail.py <<'PYTHON'
import imaplib, poplib, smtplib, ssl
context = ssl.create_default_context()
for login in (
    lambda: imaplib.IMAP4_SSL("mail.example.org", ssl_context=context, timeout=5).login("carol", "Made-Up-7"),
    lambda: (m := imaplib.IMAP4("mail.example.org"), m.starttls(context), m.login("carol", "Made-Up-7")),
    lambda: (m := poplib.POP3("mail.example.org"), m.stls(context), m.user("carol"), m.pass_("Made-Up-7")),
    lambda: (m := smtplib.SMTP("mail.example.org", 587), m.starttls(context=context), m.login("carol", "Made-Up-7")),
):
    try:
        login()
    except Exception as error:
        print(repr(error))
PYTHON
  else
    echo 'import imaplib; imaplib.IMAP4("mail.example.org").login("carol", "Made-Up-7")' >mail.py
  fi
  as_client /usr/bin/python3 mail.py
}

run_mutt() {
  {
    printf 'set folder=. spoolfile=imap://carol@%s/ imap_pass=Made-Up-7 ssl_starttls=no ssl_force_tls=no\n' "$HOST"
    printf 'set ssl_ca_certificates_file=/etc/ssl/certs/ca-certificates.crt\n'
    printf 'push q\n'
    if is_set; then setting require-tls '^in muttrc'; fi
  } >rc
  TERM=xterm as_client script -qfc "mutt -n -F rc" /dev/null
}

run_msmtp() {
  {
    printf 'account a\nhost %s\nport 587\nfrom carol@example.org\nauth plain\nuser carol\npassword Made-Up-7\n' "$HOST"
    if is_set; then setting require-tls '^in .msmtprc'; else echo 'tls off'; fi
  } >rc
  printf 'Subject: test\n\ntest\n' >message
  client timeout 25 msmtp -C rc -a a dave@example.org <message >/tmp/client.log 2>&1 || true
}

run_mpop() {
  {
    printf 'account a\nhost %s\nauth user\nuser carol\npassword Made-Up-7\ndelivery mbox %s/box\n' "$HOST" "$PWD"
    if is_set; then setting require-tls '^in .mpoprc'; else echo 'tls off'; fi
  } >rc
  as_client mpop -C rc a
}

run_swaks() {
  # shellcheck disable=SC2046
  as_client $(if is_set; then setting require-tls ''; else echo swaks; fi) --server "$HOST:587" \
    --from carol@example.org --to dave@example.org -au carol -ap Made-Up-7
}

run_mbsync() {
  {
    printf 'IMAPAccount a\nHost %s\nUser carol\nPass Made-Up-7\nAuthMechs LOGIN\n' "$HOST"
    if is_set; then setting require-tls '^1.4'; else echo 'SSLType None'; fi
    printf '\nIMAPStore far\nAccount a\n\nMaildirStore near\nPath ./m/\nInbox ./m/INBOX\n'
    printf '\nChannel c\nFar :far:\nNear :near:\n'
  } >rc
  mkdir m
  as_client mbsync -c rc -a
}

run_offlineimap() {
  {
    printf '[general]\naccounts = a\n[Account a]\nlocalrepository = l\nremoterepository = r\n'
    printf '[Repository l]\ntype = Maildir\nlocalfolders = %s/m\n' "$PWD"
    printf '[Repository r]\ntype = IMAP\nremotehost = %s\nremoteuser = carol\nremotepass = Made-Up-7\n' "$HOST"
    if is_set; then setting require-tls '^in .offlineimaprc'; else printf 'ssl = no\nstarttls = no\n'; fi
  } >rc
  as_client offlineimap -c rc -o -u quiet
}
