#!/bin/sh
# The hub serves files of a log that are not the log it keeps: a changed leaf, a changed hash, an old checkpoint of another key.
. "$(dirname "$0")/../lib/attack.sh"

entries() { ls "$dir"/hub/log/tile/entries/000.p/*; }
hashes() { ls "$dir"/hub/log/tile/0/000.p/*; }
rebuilt() { quiet hub rebuild && hub audit; }
hub_stop
ok "an auditor" hub user add wang --role auditor --out "$dir/auditor"
ok "the log is published" rebuilt
cp "$(entries)" "$dir/entries"
sed -i 's/incarnation 1/incarnation 7/' "$(entries)"
audit_says "1 files of the published log are not what the log holds, the first is log/tile/entries/000.p/" "the audit names the bundle of leaves"
# Stock tools need no bundle here: whoever fetches the files proves them, as below.
ok "the hub serves it" hub_start
# What an auditor sees without us: leaves hashed up by hand do not come to the signed root.
root_differs() {
	curl -sS --cacert "$dir/auditor/root.crt" --cert "$dir/auditor/tls.crt" --key "$dir/auditor/tls.key" "$url/checkpoint" -o "$dir/note" "$url/tile/entries/000.p/$(ls "$dir/hub/log/tile/entries/000.p")" -o "$dir/bundle" || return 1
	python3 - "$dir/bundle" "$dir/note" <<'END'
import base64, hashlib, sys
b, note = open(sys.argv[1], "rb").read(), open(sys.argv[2]).read().split("\n")
leaves = []
while b:
    n = b[0] << 8 | b[1]
    leaves.append(hashlib.sha256(b"\0" + b[2:2 + n]).digest())
    b = b[2 + n:]
def root(l):
    if len(l) == 1: return l[0]
    k = 1
    while k * 2 < len(l): k *= 2
    return hashlib.sha256(b"\1" + root(l[:k]) + root(l[k:])).digest()
sys.exit(len(leaves) != int(note[1]) or base64.b64encode(root(leaves)).decode() == note[2])
END
}
ok "and the auditor's own hands see that it is not the signed log" root_differs
hub_stop
ok "rebuild mends it" rebuilt
# whatever stands there, another byte
hashes | while read -r f; do
	python3 -c 'import sys
b = bytearray(open(sys.argv[1], "rb").read())
b[40] ^= 1
open(sys.argv[1], "wb").write(b)' "$f"
done
audit_says "the first is log/tile/0/000.p/" "the audit names a changed hash"
hashes | while read -r f; do rm "$f"; done
audit_says "the first is log/tile/0/000.p/" "and one that is gone"
ok "rebuild mends it again" rebuilt
sed -i '2s/.*/3/' "$dir/hub/log/checkpoint"
audit_says "the published checkpoint: " "a changed checkpoint is named"
ok "rebuild signs it anew" rebuilt
rm "$dir/hub/log/checkpoint"
ok "without its checkpoint the log that is there is still this one" audit_twice
sed -i 's/incarnation 1/incarnation 7/' "$(entries)"
audit_says "1 files of the published log are not what the log holds" "a changed file is named without it, too"
ok "rebuild mends that" rebuilt

# Another log under the same key, which goes on otherwise.
ok "a second hub with the same keys" cp -a "$dir/hub" "$dir/fork"
fork() { "$bin/tributary-hub" --state "$dir/fork" "$@"; }
grown() { quiet fork node add 520303009009 --app community --name 别处 --url "$url" --slip "$dir/fork.slip" && quiet fork rebuild; }
ok "writes a leaf of its own" grown
rm -rf "$dir/hub/log" && cp -a "$dir/fork/log" "$dir/hub/log"
audit_says "the published checkpoint of [0-9]* leaves is of another log than hub.db, which has $(leaves)" "its longer log, shown as this one's, is named"
since_says "the published checkpoint of [0-9]* leaves is of another log than hub.db" "an audit that goes on says so"
finish
