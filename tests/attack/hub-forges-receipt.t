#!/bin/sh
# The hub signs a receipt for a commit that the office never made.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
hubsql "INSERT INTO leaf SELECT (SELECT max(idx) + 1 FROM leaf), CAST(replace(CAST(bytes AS TEXT),'seq 2','seq 3') AS BLOB) FROM leaf WHERE idx=(SELECT idx FROM held WHERE node='$a' AND seq=2);
	INSERT INTO due SELECT max(idx), '$a', 'community' FROM leaf"
ok "the hashes fit it" python3 "$top/tests/tool/relog.py" "$dir/hub/hub.db"
ok "the hub starts" hub_start
sql $a "INSERT INTO demand VALUES('d4','噪声','reported',4)"
refuses 15 "is for a commit that says #2 of itself" "A does not take it" agent $a sync
own() { agent $a check --read-data; }
ok "what A has stays proven" own
audit_says "the log holds 2 commits of this sequence number\|not provable from #3" "the audit names the night"
refuses 15 "^$a/community:" "under its community" hub audit
stock_says "$a/community: the log holds more commits than the bundle brings" "stock tools name the community"
finish
