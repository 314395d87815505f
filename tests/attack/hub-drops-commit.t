#!/bin/sh
# The hub takes the last commit of a history back: its ref points to the night before.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
git -C "$(repo $a)" update-ref refs/heads/main main~1
audit_says "refs/heads/main: it points to another commit than the published one" "history and ref are named"
audit_says "^$a/community:" "under its community"
# Stock tools have nothing to see: a bundle is made by what the log holds, and the commit is still there.
ok "the hub starts" hub_start
at_its_place() { same "$(tip $a)" "$(head_of $a)"; }
ok "and the ref stands where the log says" soon at_its_place # a hub listens before it has mended all
unharmed
finish
