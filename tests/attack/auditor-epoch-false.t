#!/bin/sh
# The hub came back from an old copy and an administrator opened a new epoch of its log: stock tools prove the bundle. Then the epoch's leaf, the log's name, or what a community was told under it, is false.
. "$(dirname "$0")/../lib/attack.sh"

ok "an administrator" hub user add li --role administrator --out "$dir/admin"
# The lost log is long: what offices saw of it is more than the new one has when it holds their commits again.
for i in 1 2; do
	sql $a "INSERT INTO demand VALUES('l$i','丢','reported',1)"
	ok "night $i of the log that is lost" agent $a sync
done
ok "all is told" at_rest
hub_stop
rm -rf "$dir/hub" && cp -a "$dir/hub-night1" "$dir/hub"
ok "the hub comes back from an old copy" hub recover --admin-key "$dir/admin/sign.key" --epoch 4
ok "and starts" hub_start
for o in $a $b; do
	sql $o "INSERT INTO demand VALUES('e2','新','reported',5)"
	ok "$o comes back" agent $o sync
done
for i in 3 4; do
	sql $b "INSERT INTO demand VALUES('e$i','新','reported',5)"
	ok "B has a further night under the new epoch" agent $b sync
done
ok "everything is in the city again" eventually 12 community "SELECT count(*) FROM demand"
ok "all is told" at_rest
future() { # a commit that was sent again names more leaves of the lost log than the new one had
	for c in $(git -C "$(repo $a)" rev-list main); do
		seen=$(git -C "$(repo $a)" cat-file blob $c:manifest | sed -n 's/^checkpoint \([0-9]*\) .*/\1/p')
		[ "$seen" -le "$(hubsql "SELECT idx FROM held WHERE hex(oid)=upper('$c')")" ] || return 0
	done
	return 1
}
ok "a commit names more of the lost log than was there when it was held again" future
keep_bundle
e=$(hubsql "SELECT max(idx) FROM leaf WHERE CAST(bytes AS TEXT) LIKE '%kind epoch%'")
zeros=$(printf %064d 0)
epoch="kind=epoch"
falsified "leaf $e opens an epoch behind another log than this one" "the epoch names another place" leaf "$epoch" size 5
falsified "leaf $e opens an epoch behind another log than this one" "the epoch names another log before it" leaf "$epoch" root "$zeros"
falsified "leaf $e opens an epoch that does not follow the one before under the same key" "the epoch has another key" leaf "$epoch" log-key "$zeros"
o=$(sed -n 's/^origin //p' "$dir/hub/hub.conf")
falsified "leaf $e opens an epoch that no administrator signed: the signature does not fit" "the epoch has another time than was signed" leaf "$epoch" time "$(date -u -d '+1 hour' +%FT%TZ)"
base64_of() { openssl x509 -in "$1" -outform DER | base64 -w0; }
falsified "leaf $e opens an epoch without a certificate" "the epoch has no certificate" leaf "$epoch" admin-cert AAAA
# by another role: everything is right, but who signs
signed_epoch() {
	undoctored
	doctor leaf "$epoch" admin-cert "$(base64_of "$1.crt")" "then" leaf "$epoch" signature AAAA || return 1
	python3 - "$dir/b/log/leaves" >"$dir/text" <<'PY'
import sys
all = open(sys.argv[1], "rb").read().split(b"format tributary-leaf-1\n")
leaf = next(x for x in all if x.startswith(b"kind epoch\n"))
sys.stdout.buffer.write(b"format tributary-leaf-1\n" + leaf[:leaf.index(b"signature ")])
PY
	sig=$(openssl cms -sign -binary -outform DER -md sha256 -nocerts -signer "$1.crt" -inkey "$1.key" -in "$dir/text" | base64 -w0) && doctor leaf "$epoch" signature "$sig"
}
ok "the hub itself signs the epoch" signed_epoch "$dir/hub/keys/hub-sign"
named "leaf $e opens an epoch that no administrator signed"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/own.key" -out "$dir/own.crt" -days 9 -subj "/CN=li" -addext "subjectAltName=URI:urn:tributary:administrator:li" 2>/dev/null
ok "somebody signs it whom the city does not know" signed_epoch "$dir/own"
named "leaf $e opens an epoch that no administrator signed: the certificate does not stand under the root: .*"

name() { # name NUMBER: the checkpoint bears the name of another epoch, and is signed so
	sed '/^$/q' "$dir/b/checkpoint" | sed -e '$d' -e "1s,/4\$,/$1," >"$dir/body"
	openssl pkeyutl -sign -rawin -inkey "$dir/hub/keys/log.key" -in "$dir/body" -out "$dir/sig" && { cat "$dir/body"; echo; printf '— %s %s\n' "$(head -n 1 "$dir/body")" "$({ printf 'abcd'; cat "$dir/sig"; } | base64 -w0)"; } >"$dir/b/checkpoint"
}
for i in 1 3; do
	undoctored
	ok "the checkpoint calls itself one of epoch $i" name $i
	named "the checkpoint bears another name than the log"
done
undoctored
first() { doctor leaf "$epoch" origin "${o%4}1" && name 1; }
ok "the epoch's leaf calls it the first, too" first
named "leaf $e opens an epoch that does not follow the one before under the same key"

it=$b/community
falsified "$it was told something else of leaf [0-9]* than the log says" "B was told something else under the new epoch" commit "$it:down" "$dir/hub/keys/hub-sign.key" 'blob:receipts:^manifest [0-9a-f]*$=manifest '"$zeros"
falsified "$it: the proof of leaf [0-9]* does not lead to the checkpoint beside it" "a proof under the new epoch is false" commit "$it:down" "$dir/hub/keys/hub-sign.key" "blob:receipts:^[0-9a-f]{64}$=$zeros"
falsified "$it #[0-9]* names a checkpoint of $((e + 1)) leaves, which is of another log" "B's last commit names another log after the new epoch" commit "$it" "$dir/$b/state/keys/sign.key" "manifest:^checkpoint .*=checkpoint $((e + 1)) $zeros"
finish
