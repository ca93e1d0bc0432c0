# A router that hides a client's network behind its own address.
# shellcheck shell=bash disable=SC2034
packages='python3 nftables'

start() {
  nft -f - <<'RULES'
table ip lab {
  chain out {
    type nat hook postrouting priority srcnat;
    oifname "wan0" masquerade
  }
}
RULES
  printf 1 >/proc/sys/net/ipv4/ip_forward
}
