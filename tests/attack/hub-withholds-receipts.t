#!/bin/sh
# The hub takes back what it told a community.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
git -C "$(repo $a)" update-ref refs/heads/down refs/heads/down~1
audit_says "refs/heads/down: it points to another commit than the published one" "history and ref are named"
# A bundle has what hub.db says was told; so he takes it back there, too.
oid=$(hubsql "SELECT hex(down_oid) FROM history WHERE node='$a'")
hubsql "UPDATE history SET down_oid=x'$(git -C "$(repo $a)" rev-parse refs/heads/down~1)' WHERE node='$a'"
stock_says "$a/community was given no receipt for its commit #2, which is merged: what it was told was taken back" "stock tools count receipts"
hubsql "UPDATE history SET down_oid=x'$oid' WHERE node='$a'"
# History and hub.db agree on the word before: only what the log has to say about the community tells.
cp -a "$dir/hub" "$dir/whole"
g=$(repo $a)
p=$(git -C "$g" rev-parse refs/heads/down)
ms=$(git -C "$g" cat-file blob "$p:manifest" | sha256sum | cut -c 1-64)
sz=$(git -C "$g" cat-file blob "$p:receipts" | awk '/^checkpoint/ { n = NR } n && NR == n + 2 { print; exit }')
hubsql "UPDATE history SET down_oid=x'$p', down_seq=down_seq-1, down_manifest=x'$ms', down_size=$sz WHERE node='$a'"
audit_says "1 leaves of the log about it, the first is leaf [0-9]*, were neither told to the community nor wait to be" "the last word, taken back everywhere, is named"
# He makes as if it were still to be said.
hubsql "INSERT INTO due SELECT max(idx), '$a', 'community' FROM leaf WHERE CAST(bytes AS TEXT) LIKE '%kind merged%node $a%'"
ok "which an audit that knows nothing of before cannot tell" hub audit -n
since_says "what the community had been told by the last audit was taken back: the down chain does not go on from there" "one that goes on from the last can"
git -C "$g" update-ref -d refs/heads/down
hubsql "DELETE FROM due; UPDATE history SET down_oid=NULL, down_seq=0, down_manifest=NULL, down_size=0 WHERE node='$a'"
since_says "4 leaves of the log about it, the first is leaf [0-9]*, were neither told to the community nor wait to be" "all of it taken back"
rm -rf "$dir/hub" && mv "$dir/whole" "$dir/hub"
ok "the hub starts" hub_start
ok "the office goes on" agent $a sync
ok "and all is proven" hub audit
finish
