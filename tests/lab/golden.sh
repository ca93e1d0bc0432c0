#!/usr/bin/env bash
# Takes the golden cases from a run of the laboratory: golden.tsv says which scenario each case of testdata/cases/
# is. The stories in their README.md stay; versions and times there are of the run that was taken.
#
#   tests/lab/golden.sh OUT [CASE...]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:?golden.sh OUT [CASE...]}
shift
readonly most=20000

# take FILE TARGET
take() {
  local size
  size=$(stat -c %s "$1")
  if [ "$size" -gt "$most" ]; then
    printf 'golden: %s has %s octets, at most %s are wanted\n' "$1" "$size" "$most" >&2
    return 1
  fi
  install -D -m 644 "$1" "$2"
}

while IFS=$'\t' read -r name scenario; do
  [[ $name != \#* ]] || continue
  [ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
  folder=$here/../../testdata/cases/$name
  if [ -f "$out/$scenario.pcap" ]; then
    take "$out/$scenario.pcap" "$folder/input.pcap"
  else
    take "$out/$scenario-inside.pcap" "$folder/inside.pcap"
    take "$out/$scenario-outside.pcap" "$folder/outside.pcap"
  fi
  [ -f "$folder/README.md" ] || printf 'golden: %s has no README.md\n' "$name" >&2
done <"$here/golden.tsv"
