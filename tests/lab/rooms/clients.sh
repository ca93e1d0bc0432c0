# The mail programs of the clients. Nothing runs here by itself.
# shellcheck shell=bash disable=SC2034,SC2154
in_ci=yes
packages='python3 curl fetchmail msmtp mpop swaks libnet-ssleay-perl libdigest-hmac-perl libauthen-sasl-perl libauthen-ntlm-perl mutt isync openssl ca-certificates libsasl2-modules'

start() {
  cat "$tls/ca.pem" >>/etc/ssl/certs/ca-certificates.crt
}
