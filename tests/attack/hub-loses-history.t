#!/bin/sh
# The hub deletes the repository of a community.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
rm -rf "$(repo $a)"
audit_says "#1 there is no repository" "it is named"
refuses 15 "^$a/community:" "under its community" hub audit
stock_says "$a/community: the log holds commits of a community whose history is not here; the hub says: there is no repository" "stock tools name it"
ok "stock git makes a bundle at the office" git -C "$dir/$a/state/repo.git" bundle create -q "$dir/a.bundle" main down
ok "ingest brings the history back" hub ingest "$dir/a.bundle"
ok "the office has a history at the hub again" same "$(tip $a)" "$(head_of $a)"
ok "the hub starts" hub_start
told_again() { git -C "$(repo $a)" rev-parse -q --verify refs/heads/down; }
ok "and sets the down chain's ref again" soon told_again # a hub listens before it has mended all
ok "down chain and receipts too: all is proven" hub audit
finish
