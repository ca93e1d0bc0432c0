# Perdition, a proxy in front of the Dovecot of 10.78.0.10.
#
#   10.78.0.100  POP3 and IMAP: offers STARTTLS, takes passwords without it
# shellcheck shell=bash disable=SC2034,SC2154
packages='python3 perdition'

start() {
  cp "$tls/key.pem" /etc/lab.key
  : >/etc/perdition/lab.conf
  local protocol port
  for protocol in POP3:110 IMAP4:143; do
    port=${protocol#*:}
    setsid perdition --protocol "${protocol%:*}" --config_file /etc/perdition/lab.conf --bind_address 10.78.0.100 \
      --listen_port "$port" --outgoing_port "$port" --outgoing_server 10.78.0.10 --no_daemon --pid_file '' --no_lookup --connection_logging \
      --log_facility mail --ssl_mode tls_listen --ssl_cert_file "$tls/cert.pem" --ssl_key_file /etc/lab.key \
      --username nobody --group nogroup </dev/null >>"$log/perdition" 2>&1 &
  done
  ports=('10.78.0.100 110' '10.78.0.100 143')
}
