#!/bin/sh
# The hub comes back from an old copy, all of it, and knows nothing of the second night.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
rm -rf "$dir/hub" && cp -a "$dir/hub-night1" "$dir/hub"
ok "by itself it proves all: an old copy is whole" hub audit
ok "it starts" hub_start
sql $a "INSERT INTO demand VALUES('d4','噪声','reported',4)"
refuses 15 "does not continue what this office holds\|old copy" "but the office has a receipt for more, and says so" agent $a sync
kept_here() { agent $a check --read-data; }
ok "the office keeps its whole history, and its receipts" kept_here
refuses 15 "not those that the checkpoint signed\|older copy" "the checkpoint that A kept convicts the hub" hub checkpoint verify "$dir/$a/state/checkpoint"
stock_says "this log is older than the checkpoint that was kept" "and with it stock tools do" "$dir/$a/state/checkpoint"
finish
