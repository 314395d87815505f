#!/bin/sh
# Somebody offers TLS 1.2.
. "$(dirname "$0")/../lib/attack.sh"

old() { openssl s_client -connect "127.0.0.1:$port" -tls1_2 -CAfile "$dir/$a/state/keys/root.crt" </dev/null; }
refuses 1 "alert\|wrong version\|no protocols" "it is refused" old
unharmed
finish
