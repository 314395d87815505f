#!/bin/sh
# The checkpoint of the bundle is signed by another key, which is put beside it.
. "$(dirname "$0")/../lib/attack.sh"

take_bundle
openssl genpkey -algorithm ed25519 -out "$dir/k" 2>/dev/null
sed '/^$/q' "$dir/b/checkpoint" | sed '$d' >"$dir/body"
openssl pkeyutl -sign -rawin -inkey "$dir/k" -in "$dir/body" -out "$dir/sig"
doctored_note() { { cat "$dir/body"; echo; printf '— %s %s\n' "$(head -n 1 "$dir/body")" "$({ printf 'abcd'; cat "$dir/sig"; } | base64 -w0)"; } >"$dir/b/checkpoint"; }
ok "signed by another key" doctored_note
doctored "the checkpoint is not signed by log.pem" "it is noticed"
openssl pkey -in "$dir/k" -pubout -out "$dir/b/log.pem" 2>/dev/null
doctored "log.pem is not the key that the first leaf names" "and so is the key beside it"
finish
