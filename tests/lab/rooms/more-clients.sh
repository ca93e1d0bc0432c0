# More mail programs. Nothing runs here by itself.
# shellcheck shell=bash disable=SC2034,SC2154
packages='python3 s-nail getmail6 sieve-connect libauthen-sasl-perl suck offlineimap3 neomutt mailutils libsasl2-modules ca-certificates'

start() {
  cat "$tls/ca.pem" >>/etc/ssl/certs/ca-certificates.crt
}
