#!/usr/bin/env bash
# A laboratory of real mail software: servers and clients from Debian packages talk in network
# namespaces of their own, every scenario is recorded, what the servers logged becomes the truth, and
# check.py compares what barewire says with it. Debian 12, as root.
#
#   tests/lab/lab.sh all [OUT]             everything: build the rooms, run the scenarios, check
#   tests/lab/lab.sh ci [OUT]              the same for the part that CI runs
#   tests/lab/lab.sh rooms all|ci|ROOM...  only build the rooms: needs a package mirror
#   tests/lab/lab.sh run OUT all|ci|NAME*  only run scenarios, by set or name; needs the rooms
#   tests/lab/lab.sh ready all|ci          whether all that running needs is there
#
# A room is one piece of software with its packages, in an overlay over the machine's own root: packages
# that exclude each other are each installed for real, and nothing is installed on the machine. Rooms are
# kept in BAREWIRE_LAB_ROOMS (target/lab). OUT (lab-out) receives SCENARIO.pcap, truth.tsv, sessions.tsv
# and log/. rooms/*.sh say what is in a room, scenarios.py what happens.
#
#   10.78.0.2        the client                    10.78.0.10 ... 10.78.0.129  the servers, see rooms/
#   192.168.78.2     a client behind NAT           10.78.0.3                   its router, outside
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
readonly here top
# shellcheck source=tests/lab/devices.sh
. "$here/devices.sh"
rooms=${BAREWIRE_LAB_ROOMS:-$top/target/lab}
export PATH="$PATH:/usr/sbin:/sbin" LC_ALL=C DEBIAN_FRONTEND=noninteractive

die() {
  printf 'lab: %s\n' "$*" >&2
  exit 1
}

# The rooms of a set; other words are rooms themselves.
rooms_of() {
  local word file
  for word in "$@"; do
    case $word in
      all) for file in "$here"/rooms/*.sh; do basename "$file" .sh; done ;;
      ci) grep -lx 'in_ci=yes' "$here"/rooms/*.sh | xargs -n 1 basename -s .sh ;;
      *) [ -f "$here/rooms/$word.sh" ] || die "no room $word"
         printf '%s\n' "$word" ;;
    esac
  done
}

# setting_of ROOM NAME
setting_of() {
  # shellcheck source=/dev/null disable=SC2034 # read by name
  (packages='' like=$1 && . "$here/rooms/$1.sh" && printf '%s\n' "${!2}")
}

# The room whose packages this one uses.
base_of() { setting_of "$1" like; }

is_built() {
  local base
  base=$(base_of "$1")
  [ "$(cat "$rooms/$base/built" 2>/dev/null)" = "$(setting_of "$base" packages)" ]
}

# --- building -----------------------------------------------------------------------------------

build_rooms() {
  local room tries
  mkdir -p "$rooms/archives/partial"
  for room in "$@"; do
    ! is_built "$room" || continue
    room=$(base_of "$room")
    printf 'lab: building %s\n' "$room"
    # Packages that are being installed on the machine itself may be seen half done.
    for tries in 1 2 3; do
      ! build_room "$room" || continue 2
      sleep $((tries * 5))
    done
    tail -n 15 "$rooms/$room/log" >&2
    die "could not build $room"
  done
}

build_room() {
  rm -rf "${rooms:?}/$1"
  mkdir -p "$rooms/$1"/{upper,work,root}
  # One at a time: they share a folder of packages.
  flock "$rooms/archives/lab.lock" \
    unshare --mount --uts --propagation private bash "$here/lab.sh" _install "$1" \
    </dev/null >"$rooms/$1/log" 2>&1 || return 1
  rm -rf "${rooms:?}/$1"/{work,root}
  setting_of "$1" packages >"$rooms/$1/built"
}

# In a mount namespace of its own.
install_in_overlay() {
  local room=$rooms/$1 root=$rooms/$1/root
  mount -t overlay overlay -o "lowerdir=/,upperdir=$room/upper,workdir=$room/work" "$root"
  make_devices "$root/dev"
  mount -t proc proc "$root/proc"
  mount -t tmpfs tmpfs "$root/run"
  mkdir -p "$root/var/cache/apt/archives"
  mount --bind "$rooms/archives" "$root/var/cache/apt/archives"
  # Some packages ask for the machine's whole name when they are set up.
  hostname mail.lab.example
  printf '127.0.0.1 localhost\n127.0.1.1 mail.lab.example mail\n' >"$root/etc/hosts"
  # Servers start by themselves on Debian unless they are told not to.
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  # shellcheck disable=SC2046 # the packages are words
  chroot "$root" apt-get -q install -y --no-install-recommends \
    -o 'Dpkg::Options::=--path-exclude=/usr/share/man/*' -o 'Dpkg::Options::=--path-exclude=/usr/share/doc/*' \
    -o Dpkg::Options::=--force-unsafe-io -o APT::Keep-Downloaded-Packages=true $(setting_of "$1" packages)
}

# --- running ------------------------------------------------------------------------------------

make_network() {
  local address
  ip netns add "$SERVER_NS"
  ip netns add "$CLIENT_NS"
  ip netns add "$ROUTER_NS"
  ip netns add "$INSIDE_NS"
  for ns in "${namespaces[@]}"; do
    ip netns exec "$ns" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6' 2>/dev/null || true
    ip -n "$ns" link set lo up
  done
  # The servers' namespace is the switch: its bridge sees every frame.
  ip -n "$SERVER_NS" link add lan0 address 02:00:00:00:78:01 type bridge
  ip -n "$SERVER_NS" link set lan0 up
  plug "$CLIENT_NS" client0 02:00:00:00:78:02 10.78.0.2/24
  plug "$ROUTER_NS" wan0 02:00:00:00:78:03 10.78.0.3/24
  for address in $(seq 10 129); do
    printf 'address add 10.78.0.%s/24 dev lan0\n' "$address"
  done | ip -n "$SERVER_NS" -batch -
  ip link add inside0 netns "$ROUTER_NS" address 02:00:00:00:78:04 \
    type veth peer name phone0 netns "$INSIDE_NS" address 02:00:00:00:78:05
  whole_frames "$ROUTER_NS" inside0
  whole_frames "$INSIDE_NS" phone0
  ip -n "$ROUTER_NS" address add 192.168.78.1/24 dev inside0
  ip -n "$INSIDE_NS" address add 192.168.78.2/24 dev phone0
  ip -n "$ROUTER_NS" link set inside0 up
  ip -n "$INSIDE_NS" link set phone0 up
  ip -n "$INSIDE_NS" route add default via 192.168.78.1
}

# plug NAMESPACE INTERFACE MAC ADDRESS: a cable from there to the servers' switch.
plug() {
  ip link add "$2" netns "$1" address "$3" type veth peer name "to-$2" netns "$SERVER_NS"
  whole_frames "$1" "$2"
  whole_frames "$SERVER_NS" "to-$2"
  ip -n "$SERVER_NS" link set "to-$2" master lan0 up
  ip -n "$1" address add "$4" dev "$2"
  ip -n "$1" link set "$2" up
}

# Frames as they would be on a cable: whole checksums, no segments above the MTU.
whole_frames() {
  ip netns exec "$1" ethtool -K "$2" tx off tso off gso off gro off >/dev/null 2>&1 || true
}

make_certificates() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj '/CN=Laboratory CA' \
    -keyout "$state/tls/ca.key" -out "$state/tls/ca.pem"
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=mail.lab.example \
    -keyout "$state/tls/key.pem" -out "$state/tls/request.pem"
  openssl x509 -req -in "$state/tls/request.pem" -CA "$state/tls/ca.pem" -CAkey "$state/tls/ca.key" \
    -CAcreateserial -days 20 -out "$state/tls/cert.pem" \
    -extfile <(printf 'subjectAltName=DNS:mail.lab.example,DNS:*.lab.example\n')
  cat "$state/tls/key.pem" "$state/tls/cert.pem" >"$state/tls/both.pem"
  # The passwords of this key and of these accounts protect nothing.
  chmod 644 "$state"/tls/*.pem
}

# start_room ROOM: its processes end with this script, however that ends.
start_room() {
  local room=$1 ns
  case $room in
    clients | more-clients | sender-*) ns=$CLIENT_NS ;;
    router) ns=$ROUTER_NS ;;
    *) ns=$SERVER_NS ;;
  esac
  mkdir -p "$state/$room"/{work,root} "$OUT/log/$room"
  : >"$OUT/log/$room/room"
  setpriv --pdeathsig KILL ip netns exec "$ns" \
    unshare --mount --uts --propagation private --pid --fork --kill-child bash "$here/lab.sh" _live "$room" "$state" "$OUT" \
    </dev/null >"$OUT/log/$room/room" 2>&1 &
  pid_of[$room]=$!
}

# In namespaces of its own, as their first process.
live_in_overlay() {
  local room=$1 state=$2 out=$3 root=$2/$1/root
  hostname mail.lab.example
  # A copy, since Linux allows no layer that lies within another.
  cp -a --preserve=all "$rooms/$(base_of "$room")/upper" "$state/$room/upper"
  mount -t overlay overlay -o "lowerdir=/,upperdir=$state/$room/upper,workdir=$state/$room/work" "$root"
  mount -t proc proc "$root/proc"
  mount -t tmpfs tmpfs "$root/run"
  mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
  make_devices "$root/dev"
  mkdir -p "$root/run/lock" "$root/lab"/{src,log,tls}
  mount --bind "$here" "$root/lab/src"
  mount --bind "$out/log/$room" "$root/lab/log"
  mount --bind "$state/tls" "$root/lab/tls"
  chmod 755 "$root/lab"
  exec chroot "$root" bash /lab/src/inside.sh "$room"
}

wait_for_rooms() {
  local room tries
  for room in "$@"; do
    for ((tries = 0; tries < 300; tries++)); do
      if grep -qx 'room: ready' "$OUT/log/$room/room"; then
        continue 2
      fi
      kill -0 "${pid_of[$room]}" 2>/dev/null || break
      sleep 0.1
    done
    tail -n 20 "$OUT/log/$room"/* >&2
    ls -l /dev/null >&2
    die "$room does not come up"
  done
}

finish() {
  local status=$? room ns pid
  trap - EXIT INT TERM
  for room in "${!pid_of[@]}"; do
    kill -KILL "${pid_of[$room]}" 2>/dev/null || true
    wait "${pid_of[$room]}" 2>/dev/null || true
  done
  for ns in "${namespaces[@]}"; do
    [ -e "/var/run/netns/$ns" ] || continue
    for pid in $(ip netns pids "$ns"); do
      kill -KILL "$pid" 2>/dev/null || true
    done
    ip netns delete "$ns" || true
  done
  if [ -n "$state" ]; then
    rm -rf "$state"
  fi
  exit "$status"
}

# What a run that was killed left behind: its number is in the names.
sweep() {
  local ns owner pid folder
  for folder in /tmp/bw-lab.*.*; do
    owner=${folder#/tmp/bw-lab.}
    owner=${owner%%.*}
    [ ! -d "$folder" ] || kill -0 "$owner" 2>/dev/null || rm -rf "$folder"
  done
  for ns in $(ip netns list 2>/dev/null | sed -n 's/^\(bwlab-[0-9]*-[a-z]*\).*/\1/p'); do
    owner=${ns#bwlab-}
    owner=${owner%-*}
    ! kill -0 "$owner" 2>/dev/null || continue
    for pid in $(ip netns pids "$ns"); do
      kill -KILL "$pid" 2>/dev/null || true
    done
    ip netns delete "$ns" || true
  done
}

# Also whether namespaces and overlays are allowed here.
be_ready() {
  local tool
  [ "$(id -u)" = 0 ] || die "needs root"
  for tool in ip tcpdump openssl python3 unshare nsenter setpriv ss; do
    command -v "$tool" >/dev/null || die "$tool is not installed"
  done
  unshare --net true 2>/dev/null || die "network namespaces are not allowed here"
  local probe allowed=yes
  probe=$(mktemp -d /tmp/bw-lab.XXXXXX)
  mkdir "$probe"/{upper,work,root}
  unshare --mount --pid --fork mount -t overlay overlay \
    -o "lowerdir=/,upperdir=$probe/upper,workdir=$probe/work" "$probe/root" 2>/dev/null || allowed=no
  rm -rf "$probe"
  [ "$allowed" = yes ] || die "overlays are not allowed here"
}

run_scenarios() {
  local room needed
  be_ready
  mkdir -p "$1"
  OUT=$(cd "$1" && pwd)
  shift
  needed=$(python3 "$here/run.py" rooms "$@")
  for room in $needed; do
    is_built "$room" || die "the room $room is not built: tests/lab/lab.sh rooms $room"
  done
  SERVER_NS=bwlab-$$-server CLIENT_NS=bwlab-$$-client ROUTER_NS=bwlab-$$-router INSIDE_NS=bwlab-$$-inside
  namespaces=("$SERVER_NS" "$CLIENT_NS" "$ROUTER_NS" "$INSIDE_NS")
  declare -gA pid_of=()
  state=
  sweep
  trap finish EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  state=$(mktemp -d "/tmp/bw-lab.$$.XXXXXX")
  chmod 711 "$state"
  mkdir -p "$state/tls"
  make_network
  make_certificates 2>"$state/openssl.log" || die "$(cat "$state/openssl.log")"
  for room in $needed; do
    start_room "$room"
  done
  # shellcheck disable=SC2086 # words
  wait_for_rooms $needed
  for room in $needed; do
    printf '%s\t%s\n' "$room" "$(cat "/proc/${pid_of[$room]}/task/${pid_of[$room]}/children")"
  done >"$state/rooms.tsv"
  export OUT SERVER_NS CLIENT_NS ROUTER_NS INSIDE_NS LAB_STATE=$state
  python3 "$here/run.py" run "$@"
}

case ${1:-} in
  all | ci)
    out=${2:-$top/lab-out}
    # shellcheck disable=SC2046 # words
    build_rooms $(rooms_of "$1")
    status=0
    bash "$here/lab.sh" run "$out" "$1" || status=1
    python3 "$here/check.py" "$out" || status=1
    exit "$status"
    ;;
  rooms)
    shift
    # shellcheck disable=SC2046 # words
    build_rooms $(rooms_of "${@:-all}")
    ;;
  run)
    [ $# -ge 3 ] || die "run OUT all|ci|NAME..."
    shift
    run_scenarios "$@"
    ;;
  ready)
    be_ready
    for room in $(rooms_of "${2:-all}"); do
      is_built "$room" || die "$room is not built: tests/lab/lab.sh rooms ${2:-all}"
    done
    ;;
  _install) install_in_overlay "$2" ;;
  _live) live_in_overlay "$2" "$3" "$4" ;;
  *) sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
