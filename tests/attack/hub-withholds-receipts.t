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
ok "the hub starts" hub_start
ok "the office goes on" agent $a sync
ok "and all is proven" hub audit
finish
