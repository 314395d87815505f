#!/bin/sh
# The bundle is of a log that was rewritten and signed anew by the hub itself.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
hubsql "UPDATE leaf SET bytes=CAST(replace(CAST(bytes AS TEXT),'incarnation 1','incarnation 7') AS BLOB) WHERE idx=(SELECT idx FROM held WHERE node='$a' AND seq=1)"
ok "the hashes fit the changed leaf" python3 "$top/tests/tool/relog.py" "$dir/hub/hub.db"
rm -rf "$dir/hub/audited" "$dir/hub/checkpoint" "$dir/hub/log/checkpoint" "$dir/hub/log/tile"
ok "the hub starts, and signs it" hub_start
sql $b "INSERT INTO demand VALUES('n1','夜','reported',1)"
agent $b sync >"$dir/said" 2>&1 # B refuses the log; the hub has signed it all the same
bundle() { # the checkpoint file follows a moment later
	i=0
	until hub audit --bundle "$dir/b" >"$dir/said" 2>&1 || [ -d "$dir/b" ]; do
		i=$((i + 1))
		[ $i -lt 120 ] || { cat "$dir/said"; return 1; }
		sleep 0.5
	done
}
ok "a bundle of it" bundle
cp "$dir/$a/state/checkpoint" "$dir/b/older-checkpoint"
doctored "the log was rewritten, or two are shown" "the checkpoint that A kept convicts it"
finish
