#!/bin/sh
# The hub puts a checkpoint under another key out.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
openssl genpkey -algorithm ed25519 -out "$dir/k" 2>/dev/null
head -n 3 "$dir/hub/checkpoint" >"$dir/body"
openssl pkeyutl -sign -rawin -inkey "$dir/k" -in "$dir/body" -out "$dir/sig"
name=$(head -n 1 "$dir/hub/checkpoint")
id=$(sed -n 's/^— [^ ]* //p' "$dir/hub/checkpoint" | base64 -d | head -c 4 | od -An -tx1 | tr -d ' \n')
{ cat "$dir/body"; echo; printf '— %s %s\n' "$name" "$({ printf '%s' "$id" | sed 's/../\\x&/g' | xargs -0 printf '%b'; cat "$dir/sig"; } | base64 -w0)"; } >"$dir/cp"
cp "$dir/cp" "$dir/hub/checkpoint"
audit_says "the signed checkpoint: .*signature" "the audit does not take it"
stock_says "the checkpoint is not signed by log.pem" "nor do stock tools"
refuses 15 "signature" "nor does checkpoint verify" hub checkpoint verify "$dir/cp"
finish
