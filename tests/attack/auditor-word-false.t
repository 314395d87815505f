#!/bin/sh
# The hub's last word to a community in the bundle is made anew: receipts, proofs and checkpoint in it are not those of the log, or it is not the hub's.
. "$(dirname "$0")/../lib/attack.sh"

at_rest
keep_bundle
key=$dir/hub/keys/hub-sign.key
it=$b/community
zeros=$(printf %064d 0)
anew() { # anew TEXT NAME EDIT...
	text=$1
	what=$2
	shift 2
	falsified "$text" "$what" commit "$it:down" "$key" "$@"
}
anew "$it: the proof of leaf [0-9]* does not lead to the checkpoint beside it" "a proof has another hash" "blob:receipts:^[0-9a-f]{64}$=$zeros"
anew "$it was told something else of leaf [0-9]* than the log says" "a receipt has another number" 'blob:receipts:^seq 2$=seq 3'
anew "$it was told a checkpoint that is not signed by log.pem" "the checkpoint is another" 'blob:receipts:^(checkpoint .*\n.*\n)\d\d=\g<1>11'
again() { # again NAME SIZE: the checkpoint that B was told, of this name and size, signed with the log's key
	g=$dir/d.git
	rm -rf "$g"
	git clone -q --mirror "$dir/b/histories/$it.bundle" "$g" 2>/dev/null && git -C "$g" cat-file blob down:receipts >"$dir/receipts" || return 1
	sed -n '/^checkpoint [0-9]*$/,$p' "$dir/receipts" | sed 1d >"$dir/note"
	{ echo "${1:-$(sed -n 1p "$dir/note")}"; echo "${2:-$(sed -n 2p "$dir/note")}"; sed -n 3p "$dir/note"; } >"$dir/body"
	openssl pkeyutl -sign -rawin -inkey "$dir/hub/keys/log.key" -in "$dir/body" -out "$dir/sig" || return 1
	{ cat "$dir/body"; echo; printf '— %s %s\n' "$(head -n 1 "$dir/body")" "$({ printf 'abcd'; cat "$dir/sig"; } | base64 -w0)"; } >"$dir/note"
	{ sed '/^checkpoint [0-9]*$/,$d' "$dir/receipts"; echo "checkpoint $(wc -c <"$dir/note")"; cat "$dir/note"; } >"$dir/told"
}
size=$(sed -n 2p "$dir/b/checkpoint")
undoctored
ok "a checkpoint of the future" again "" $((size + 1))
anew "$it was told a log of $((size + 1)) leaves that is not this one" "is what B was told" "file:receipts=$dir/told"
undoctored
ok "one of another epoch" again "$(sed -n 1p "$dir/b/checkpoint" | sed 's,/1$,/2,')" ""
anew "$it was told a log of [0-9]* leaves that is not this one" "is what B was told" "file:receipts=$dir/told"
undoctored
ok "one of another size" again "" 7
anew "$it was told a log of 7 leaves that is not this one" "is what B was told" "file:receipts=$dir/told"
word="$it: word of the hub [0-9a-f]*"
anew "$word does not follow the one before" "another one before it" "manifest:^prev .*=prev $zeros"
anew "$word: the signed text names another manifest" "its text names another manifest" "text:^Tributary-Manifest-SHA256: .*=Tributary-Manifest-SHA256: $zeros"
anew "$word: receipts is not the file that the manifest names" "its receipts are others" "stale:receipts:^seq 2$=seq 3"
cat "$dir/$b/state/keys/sign.crt" "$dir/$b/state/keys/issuing.crt" >"$dir/signer.pem"
falsified "$word: the signer is not hub:hub" "B itself signs it" commit "$it:down" "$dir/$b/state/keys/sign.key" "file:signer.pem=$dir/signer.pem"
finish
