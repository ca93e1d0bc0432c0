#!/usr/bin/env bash
# Makes testdata/office.pcap, the capture that the README's first command replays: one run of the
# bed's traffic, recorded at the server. Needs what bed.sh needs, and tcpdump.
#
#   tests/bed/make-sample.sh [OUTPUT]
#
# Ports, tags and times differ from run to run; who logs in where, and how it ends, is expected.tsv.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
output=${1:-$here/../../testdata/office.pcap}
dir=$(mktemp -d /tmp/bw-sample.XXXXXX)
tcpdump_pid=

finish() {
  [ -z "$tcpdump_pid" ] || kill -INT "$tcpdump_pid" 2>/dev/null || true
  "$here/bed.sh" down "$dir"
  rm -rf "$dir"
}
trap finish EXIT

BED_OWNER=$$ "$here/bed.sh" up "$dir"
server_ns=$(sed -n 's/^SERVER_NS=//p' "$dir/bed.env")
server_if=$(sed -n 's/^SERVER_IF=//p' "$dir/bed.env")

# As root (-Z), since the folder is; at once (--immediate-mode), so that stopping loses nothing.
ip netns exec "$server_ns" tcpdump -i "$server_if" -Z root --immediate-mode -U -w "$dir/office.pcap" tcp \
  2>"$dir/log/tcpdump.log" &
tcpdump_pid=$!
for ((tries = 0; tries < 100; tries++)); do
  grep -q 'listening on' "$dir/log/tcpdump.log" && break
  sleep 0.1
done
"$here/bed.sh" traffic "$dir"
sleep 0.5
kill -INT "$tcpdump_pid"
wait "$tcpdump_pid" || true
tcpdump_pid=
grep -q '^0 packets dropped by kernel' "$dir/log/tcpdump.log"
install -m 644 "$dir/office.pcap" "$output"
printf '%s: %s octets\n' "$output" "$(stat -c %s "$output")"
