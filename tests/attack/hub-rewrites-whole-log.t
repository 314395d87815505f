#!/bin/sh
# The hub changes a leaf, makes all hashes anew, forgets its checkpoint and its last audit, and signs the new log with its own key.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
hubsql "UPDATE leaf SET bytes=CAST(replace(CAST(bytes AS TEXT),'incarnation 1','incarnation 7') AS BLOB) WHERE idx=(SELECT idx FROM held WHERE node='$a' AND seq=1)"
ok "all hashes fit the changed leaf" python3 "$top/tests/tool/relog.py" "$dir/hub/hub.db"
rm -rf "$dir/hub/audited" "$dir/hub/checkpoint" "$dir/hub/log/checkpoint" "$dir/hub/log/tile"
ok "the hub starts, and signs it" hub_start
audit_says "the community was told of another log" "what the communities were told convicts it"
audit_says "city commit #[0-9]*: the first .* leaves of the log are not those that it signed" "and so does its own city history"
sql $a "INSERT INTO demand VALUES('d4','噪声','reported',4)"
refuses 15 "log\|consisten\|verif" "A does not take the new log" agent $a sync
refuses 15 "not those that the checkpoint signed" "and the checkpoint that A kept convicts it" hub checkpoint verify "$dir/$a/state/checkpoint"
kept() { agent $a check; }
ok "A's receipts still prove its nights" kept
refuses 15 "the log was rewritten, or two are shown" "an audit since the checkpoint that A kept names it" hub audit --since "$dir/$a/state/checkpoint"
stock_says ".* leaves are not those of the checkpoint that was kept: the log was rewritten, or two are shown" "and stock tools do with it" "$dir/$a/state/checkpoint"
stock_says "names a checkpoint of [0-9]* leaves, which is of another log" "without it what the communities signed convicts the hub"
finish
