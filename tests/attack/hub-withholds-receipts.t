#!/bin/sh
# The hub takes back what it told a community.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
git -C "$(repo $a)" update-ref refs/heads/down refs/heads/down~1
audit_says "refs/heads/down: it points to another commit than the published one" "history and ref are named"
ok "the hub starts" hub_start
ok "the office goes on" agent $a sync
ok "and all is proven" hub audit
finish
