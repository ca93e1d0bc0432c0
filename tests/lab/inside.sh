#!/usr/bin/env bash
# The first process of a room, inside its overlay: accounts, the system log, the room's software. Says
# "room: ready" when all its ports answer, and stays until it is killed.
set -euo pipefail

room=$1
log=/lab/log
# shellcheck disable=SC2034 # the rooms use it
tls=/lab/tls
export HOME=/root LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
unset OUT
ports=()

# What every room knows: see users.tsv.
users() { cut -f 1 /lab/src/users.tsv; }
password_of() { awk -F '\t' -v user="$1" '$1 == user { print $2 }' /lab/src/users.tsv; }

make_accounts() {
  local user
  for user in $(users); do
    useradd --create-home --shell /bin/false "$user"
    printf '%s:%s\n' "$user" "$(password_of "$user")" | chpasswd -c SHA512
    mkdir -p "/home/$user/Maildir/"{cur,new,tmp}
    sed "s/@USER@/$user/" /lab/src/decoy.eml >"/home/$user/Maildir/cur/1000000000.seed.lab:2,"
    { printf 'From lab@lab.example Tue Nov  3 09:00:00 2026\n'; cat "/home/$user/Maildir/cur/1000000000.seed.lab:2,"; printf '\n'; } >"/var/mail/$user"
    chown -R "$user:" "/home/$user"
    chown "$user:mail" "/var/mail/$user"
    chmod 660 "/var/mail/$user"
  done
}

# Passwords in a form that every SASL mechanism can use.
make_sasldb() {
  local user realm
  for user in $(users); do
    for realm in "$@"; do
      password_of "$user" | saslpasswd2 -p -c -u "$realm" "$user"
    done
  done
}

# wait_for ADDRESS PORT: until somebody listens there.
wait_for() {
  local tries
  for ((tries = 0; tries < 250; tries++)); do
    if (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; then
      return 0
    fi
    sleep 0.1
  done
  printf 'room: nobody listens on %s port %s\n' "$1" "$2"
  return 1
}

printf '127.0.0.1 localhost\n' >/etc/hosts
awk -F '\t' '!/^#/ { print $1, $2 }' /lab/src/hosts.tsv >>/etc/hosts
: >/etc/resolv.conf
# Names come from /etc/hosts alone: there is no name server, and asking would only wait for one.
sed -i 's/^hosts:.*/hosts: files/' /etc/nsswitch.conf
python3 /lab/src/syslog.py /dev/log "$log/syslog" &
make_accounts
# shellcheck source=/dev/null
. "/lab/src/rooms/$room.sh"
start
for port in "${ports[@]}"; do
  # shellcheck disable=SC2086 # an address and a port
  wait_for $port
done
printf 'room: ready\n'
while :; do
  sleep 3600 &
  wait $! || true
done
