#!/bin/sh
# The root certificate of the bundle is another one.
. "$(dirname "$0")/../lib/attack.sh"

take_bundle
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/k" -out "$dir/b/certs/root.crt" -days 9 -subj "/CN=root" 2>/dev/null
doctored "the log is of another city's root" "the log does not know it"
finish
