#!/bin/sh
# A certificate of one's own making with an office's name in it.
. "$(dirname "$0")/../lib/attack.sh"

san=$(openssl x509 -in "$dir/$a/state/keys/tls.crt" -noout -ext subjectAltName | tail -n 1 | tr -d ' ')
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/self.key" -out "$dir/self.crt" -days 9 -subj "/CN=$a" -addext "subjectAltName=$san" -addext extendedKeyUsage=clientAuth 2>/dev/null
ok "it says what A's certificate says" sh -c 'openssl x509 -in "$1" -noout -ext subjectAltName | grep -q "$2"' - "$dir/self.crt" "$san"
self() { git -c http.sslCert="$dir/self.crt" -c http.sslKey="$dir/self.key" -c http.sslCAInfo="$dir/$a/state/keys/root.crt" "$@"; }
before="$(tip $a) $(kept) $(leaves)"
refuses 128 "$shut_out" "it reads nothing" self clone -q "$url/$a/community.git" "$dir/stolen"
refuses 128 "$shut_out" "and writes nothing" self -C "$dir/$a/state/repo.git" push "$url/$a/community.git" main:refs/heads/main
ok "nothing changed" same "$(tip $a) $(kept) $(leaves)" "$before"
unharmed
finish
