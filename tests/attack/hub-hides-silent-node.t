#!/bin/sh
# The hub's operator takes an office out of the list of a night in which it was silent.
. "$(dirname "$0")/../lib/attack.sh"

nights() { # nights N TEXT: so many lists, the newest says TEXT
	tries=0
	until [ "$(hub log --nights --json | grep -c '"expected"')" -eq "$1" ]; do
		tries=$((tries + 1))
		[ $tries -lt 600 ] || { hub log --nights; return 1; }
		sleep 0.1
	done
	hub log --nights --limit 1 >"$dir/night" && grep -q -e "$2" "$dir/night" || { cat "$dir/night"; return 1; }
}
later() { # later DAYS: the hub's clock goes on
	TRIBUTARY_CLOCK_OFFSET=$(($1 * 86400))
	export TRIBUTARY_CLOCK_OFFSET
}

hub_stop
later 1
ok "the next morning" hub_start
ok "the list says that both reported" nights 1 "2 expected, 2 reported, 0 silent"
sql $a "INSERT INTO demand VALUES('n1','甲','reported',1)"
ok "A reports, B is silent" agent $a sync
hub_stop
later 2
cp -a "$dir/hub" "$dir/honest"
ok "an honest hub" hub_start
ok "names B" nights 2 "silent: $b/community"
status_names() { hub status >"$dir/status" && grep -q "2 expected, 1 reported, 1 silent" "$dir/status"; }
ok "status shows the night" status_names
ok "and all is proven" hub audit
hub_stop
rm -rf "$dir/hub" && mv "$dir/honest" "$dir/hub"
hubsql "UPDATE node SET status = 'closed' WHERE node = '$b'"
ok "one that hides B" hub_start
ok "makes a list without B" nights 2 "1 expected, 1 reported, 0 silent"
hub_stop
audit_says "^$b/community:" "the audit names B"
audit_says "leaves it out; it was silent" "and what was done"
# Or an office of whom the log says that it was cloned.
printf 'format tributary-leaf-1\nkind refused\ntime %s\nnode %s\napp community\ncode fork\nobject %064d\n' "$(date -u -d '+3 days' +%FT%TZ)" $b 7 >"$dir/leaf"
hubsql "INSERT INTO leaf(idx, bytes) VALUES((SELECT max(idx) + 1 FROM leaf), CAST(readfile('$dir/leaf') AS BLOB))"
ok "a fork is in the log" python3 "$top/tests/tool/relog.py" "$dir/hub/hub.db"
audit_says "hub.db: the office is not listed as forked, the log says that it is" "the audit names the office that status does not show"
hubsql "INSERT INTO refusal VALUES('$a', 'community', 'fork', x'00', 'x', 1, 1)"
audit_says "hub.db: the office is listed as forked, the log does not say so" "and one that it shows for nothing"
# Stock tools cannot see it: they prove that the list is the one that the log names; the audit makes it again.
finish
