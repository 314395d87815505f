#!/bin/sh
# The hub's operator lets a night pass without a list, so that nobody hears who was silent.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
hubsql "INSERT INTO night VALUES(0, 0, 4000000000, 0, 0, 0, zeroblob(32))"
TRIBUTARY_CLOCK_OFFSET=172800
export TRIBUTARY_CLOCK_OFFSET
ok "the hub believes the list is made" hub_start
sql $a "INSERT INTO demand VALUES('n1','甲','reported',1)"
ok "A reports two days later" agent $a sync
hub_stop
audit_says "was left out: commits were held after it, and no list says who was silent" "the audit names the night"
# Or one list for all nights until the end of the century.
hubsql "DELETE FROM night"
to=2099-01-01T00:00:00Z
printf 'format tributary-leaf-1\nkind night\ntime %s\nfrom %s\nto %s\nexpected 2\nreported 2\nsilent 0\nsha256 %064d\n' "$(date -u -d '+3 days' +%FT%TZ)" \
	"$(hubsql "SELECT CAST(bytes AS TEXT) FROM leaf WHERE idx=0" | sed -n 's/^time //p')" $to 7 >"$dir/leaf"
hubsql "INSERT INTO leaf(idx, bytes) VALUES((SELECT max(idx) + 1 FROM leaf), CAST(readfile('$dir/leaf') AS BLOB))"
ok "a list until 2099" python3 "$top/tests/tool/relog.py" "$dir/hub/hub.db"
audit_says "the nightly list of 2099-01-01 08:00 was made before that night was over" "is named"
to=$(date -u -d '+2 days' +%F)T11:11:11Z
hubsql "UPDATE leaf SET bytes = CAST(replace(CAST(bytes AS TEXT), 'to 2099-01-01T00:00:00Z', 'to $to') AS BLOB)"
ok "a list until noon" python3 "$top/tests/tool/relog.py" "$dir/hub/hub.db"
audit_says "does not end when a night closes" "is named"
# Stock tools cannot see it: they prove the lists that the log names, and do not derive which ought to be there.
finish
