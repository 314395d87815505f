#!/bin/sh
# A signing certificate is no TLS certificate.
. "$(dirname "$0")/../lib/attack.sh"

k=$dir/$a/state/keys
sign() { git -c http.sslCert="$k/sign.crt" -c http.sslKey="$k/sign.key" -c http.sslCAInfo="$k/root.crt" "$@"; }
ok "A has a signing certificate" test -s "$k/sign.crt"
refuses 128 "$shut_out" "it opens nothing" sign clone -q "$url/$a/community.git" "$dir/stolen"
unharmed
finish
