#!/usr/bin/env bash
# Tries the settings that `barewire explain` tells on the servers and clients themselves.
#
#   remedies.sh [SOFTWARE...]     all, or those named, as the list names them
#
# The settings come from the list as the program prints it, and are put into the configuration as they stand. For each
# one a server is started twice: without it, where what it mends must be wrong, and with it, where that must be gone
# and the login under TLS must work; then the remedy's own test is run. Clients are set against a server without TLS,
# where without the setting the password must be seen and with it it must not, and against one with TLS, where it must
# be seen inside TLS only.
#
# One line for each remedy: checked, FAILED with the reason below it, or not available where the software cannot be
# had here or is set in a window. Status 1 when one failed.
#
# Needs root, a kernel with overlayfs, and on Debian 12: apt, dpkg, util-linux, iproute2, python3, openssl; a mirror of
# Debian's packages; Rust, unless BAREWIRE names the program. It takes about seven minutes on two cores, a good part of
# it for fetching and installing some 300 MB, and a gigabyte of memory.
#
# Nothing of the machine is changed: every server is installed over a copy of it that is thrown away, in a folder in
# memory that only this script sees, and started in namespaces of its own. Only processes that it started are ended,
# with their namespaces. Debian 13 is fetched for the servers that Debian 12 has in an older kind or broken.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/lab/devices.sh
. "$here/../lab/devices.sh"

if [ -z "${LAB_REMEDIES:-}" ]; then
  [ "$(id -u)" = 0 ] || { echo "remedies.sh: needs root" >&2; exit 2; }
  LAB_REMEDIES=$(mktemp)
  export LAB_REMEDIES
  if [ -n "${BAREWIRE:-}" ]; then
    "$BAREWIRE" explain --remedies >"$LAB_REMEDIES"
  else
    (cd "$here" && cargo run --quiet -- explain --remedies) >"$LAB_REMEDIES"
  fi
  exec unshare --mount --propagation private bash "${BASH_SOURCE[0]}" "$@"
fi

work=$(mktemp -d)
# shellcheck disable=SC2317
leave() {
  umount -R "$work" 2>/dev/null || true
  rmdir "$work" 2>/dev/null || true
  rm -f "$LAB_REMEDIES"
}
trap leave EXIT
trap 'exit 143' TERM INT
mount -t tmpfs -o mode=755 lab "$work"
share=$work/share
mkdir "$share" "$work/roots"
cp "$here"/*.py "$here"/servers.sh "$here"/clients.sh "$share"
cp "$LAB_REMEDIES" "$share/remedies.tsv"
declare -A done_rows
failed=0
wanted=("$@")

is_wanted() {
  [ ${#wanted[@]} = 0 ] && return 0
  local name
  for name in "${wanted[@]}"; do [ "$name" != "$1" ] || return 0; done
  return 1
}

has_row() {
  grep -qP "^$1\t\Q$2\E\t" "$share/remedies.tsv"
}

# --- roots -----------------------------------------------------------------------------------------------------------

# stack LOWER NAME: an overlay of that name over LOWER, at $work/NAME/root.
stack() {
  mkdir -p "$work/$2/upper" "$work/$2/work" "$work/$2/root"
  mount -t overlay overlay -o "lowerdir=$1,upperdir=$work/$2/upper,workdir=$work/$2/work" "$work/$2/root"
}

# install NAME BASE PACKAGE...: what is left of the installation is the layer $work/roots/NAME.
install() {
  local name=$1 base=$2 root=$work/install/root
  shift 2
  stack "$base" install
  make_devices "$root/dev"
  mount -t proc proc "$root/proc"
  # Debian starts what it installs unless it is told not to.
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  local status=0
  DEBIAN_FRONTEND=noninteractive chroot "$root" sh -c \
    'apt-get -qq update && apt-get -qq install -y --no-install-recommends "$@"' sh "$@" >"$work/install.log" 2>&1 ||
    status=$?
  umount -R "$root"
  rm -rf "$work/install/upper/var/cache/apt" "$work/install/upper/var/lib/apt"
  mv "$work/install/upper" "$work/roots/$name"
  rm -rf "$work/install"
  return "$status"
}

# Where this machine has its packages from.
mirror() {
  # shellcheck disable=SC2016 # apt-get puts it in
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | sed -n 1p
}

# Debian 13 as a base of its own; nothing of it touches the machine.
trixie() {
  [ ! -d "$work/trixie" ] || return 0
  mkdir "$work/debootstrap"
  chmod 1777 "$work/debootstrap"
  (cd "$work/debootstrap" && apt-get -qq download debootstrap && dpkg-deb -x debootstrap_*.deb .) >/dev/null 2>&1
  DEBOOTSTRAP_DIR=$work/debootstrap/usr/share/debootstrap "$work/debootstrap/usr/sbin/debootstrap" --variant=minbase \
    --include=python3-minimal,openssl,iproute2,netcat-openbsd,util-linux,procps,ca-certificates \
    trixie "$work/trixie" "$(mirror)" >"$work/debootstrap.log" 2>&1 || {
    rm -rf "$work/trixie"
    return 1
  }
  cp /etc/resolv.conf "$work/trixie/etc/resolv.conf"
}

# within NAME BASE SCRIPT: runs the script in a fresh copy of an installed root, in namespaces of its own.
within() {
  local name=$1 base=$2 script=$3 root=$work/run/root status=0
  stack "$work/roots/$name:$base" run
  make_devices "$root/dev"
  mkdir -p "$root/lab"
  mount --bind "$share" "$root/lab"
  # shellcheck disable=SC2016
  timeout 180 unshare --net --uts --ipc --pid --fork --kill-child --mount bash -c '
    mount -t proc proc "$1/proc"
    exec chroot "$1" bash -c "$2"' bash "$root" "$script" >"$work/run.log" 2>&1 </dev/null || status=$?
  umount -R "$root"
  rm -rf "$work/run"
  return "$status"
}

say() {
  printf '%-13s  %-26s  %s\n' "$1" "$2" "$3"
}

# --- servers ---------------------------------------------------------------------------------------------------------

# server FUNCTION SOFTWARE VERSION BASE PACKAGE...: checks all its remedies that can be checked.
server() {
  local function=$1 software=$2 version=$3 base=$4 topic installed
  shift 4
  is_wanted "$software" || return 0
  if [ "$base" != / ] && ! trixie || ! install "$function$version" "$base" netcat-openbsd "$@"; then
    say 'not available' "$software $version" "could not be installed"
    return 0
  fi
  installed=$(chroot_version "$function$version" "$base" "$1")
  for topic in refuse-clear offer-starttls implicit-tls tls-versions certificate; do
    has_row "$topic" "$software" || continue
    one "$function" "$software" "$version" "$base" "$topic" "$installed"
  done
  rm -rf "$work/roots/$function$version"
}

chroot_version() {
  local root=$work/version/root
  stack "$work/roots/$1:$2" version
  # Without Debian's epoch and revision.
  # shellcheck disable=SC2016
  chroot "$root" dpkg-query -W -f '${Version}' "$3" | sed 's/^[0-9]*://; s/[-+].*//'
  umount -R "$root"
  rm -rf "$work/version"
}

one() {
  local function=$1 software=$2 version=$3 base=$4 topic=$5 installed=$6
  local common="set -e; SOFTWARE='$software' VERSION='$version'; . /lab/servers.sh; world; network
    protocols=\$protocols_$function; ground=\$(ground $topic)"
  done_rows["$topic $software"]=1
  # OpenSMTPD refuses to start with what another server would have to be told to refuse.
  if [ "$software $topic" != 'OpenSMTPD refuse-clear' ] &&
    ! within "$function$version" "$base" "$common; topics=\$ground; start_$function; before $topic"; then
    complain "$software $installed" "$topic" 'before it was set'
  elif ! within "$function$version" "$base" \
    "$common; topics=\"\${ground:+\$ground }$topic\"; start_$function; after $topic; own_test $topic"; then
    complain "$software $installed" "$topic" 'after it was set'
  else
    say checked "$software $installed" "$topic"
  fi
}

complain() {
  failed=1
  say FAILED "$1" "$2, $3:"
  sed 's/^/    /' "$work/run.log" | tail -12
}

# --- clients ---------------------------------------------------------------------------------------------------------

clients() {
  local software name version
  local any=
  for software in fetchmail getmail curl Python Mutt msmtp mpop swaks mbsync OfflineIMAP; do
    ! is_wanted "$software" || any=1
  done
  [ -n "$any" ] || return 0
  if ! install clients / fetchmail getmail6 curl mutt msmtp mpop swaks libnet-ssleay-perl isync offlineimap3; then
    say 'not available' clients 'could not be installed'
    return 0
  fi
  for software in 'fetchmail fetchmail' 'getmail getmail6' 'curl curl' 'Python python3' 'Mutt mutt' 'msmtp msmtp' \
    'mpop mpop' 'swaks swaks' 'mbsync isync' 'OfflineIMAP offlineimap3'; do
    name=${software% *}
    is_wanted "$name" || continue
    version=$(chroot_version clients / "${software#* }")
    done_rows["require-tls $name"]=1
    if ! client "$name" clear; then
      complain "$name $version" require-tls 'before it was set'
    elif ! client "$name" set; then
      complain "$name $version" require-tls 'after it was set'
    elif ! client "$name" works; then
      complain "$name $version" require-tls 'at a server with TLS'
    else
      say checked "$name $version" require-tls
    fi
  done
}

client() {
  within clients / "SOFTWARE=$1; . /lab/servers.sh; . /lab/clients.sh; world; network; try_client $2"
}

# What the list holds and nobody tried.
rest() {
  local topic software
  while IFS=$'\t' read -r topic software _; do
    is_wanted "$software" || continue
    [ -n "${done_rows["$topic $software"]:-}" ] || say 'not available' "$software" "$topic"
  done <"$share/remedies.tsv"
}

server dovecot Dovecot 2.3 / dovecot-core dovecot-imapd dovecot-pop3d
server dovecot Dovecot 2.4 "$work/trixie" dovecot-core dovecot-imapd dovecot-pop3d
server courier Courier '' / courier-imap courier-pop
server cyrus Cyrus '' / cyrus-imapd cyrus-pop3d cyrus-admin sasl2-bin libsasl2-modules
server mailutils 'GNU Mailutils' '' / mailutils-imap4d mailutils-pop3d
server postfix Postfix '' / postfix sasl2-bin libsasl2-modules
server exim Exim '' / exim4-daemon-heavy
server sendmail Sendmail '' / sendmail-bin sasl2-bin libsasl2-modules
server opensmtpd OpenSMTPD '' "$work/trixie" opensmtpd
server nginx nginx '' / nginx-core libnginx-mod-mail
server perdition Perdition '' / perdition
server stunnel stunnel '' / stunnel4 popa3d
server stunnel popa3d '' / popa3d stunnel4
clients
rest
exit "$failed"
