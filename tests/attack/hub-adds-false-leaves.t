#!/bin/sh
# The hub writes leaves into its log that no honest one has: a second beginning, verdicts on nothing, lists of revoked certificates out of order. And rows that no leaf backs.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
cp -a "$dir/hub" "$dir/before"
again() { rm -rf "$dir/hub" && cp -a "$dir/before" "$dir/hub"; }
relog() { python3 "$top/tests/tool/relog.py" "$dir/hub/hub.db"; }
# added LEAF TEXT NAME: the leaf (LF as in printf) comes at the end, and all hashes fit
added() {
	again
	printf "$1" >"$dir/leaf"
	hubsql "INSERT INTO leaf(idx, bytes) VALUES((SELECT max(idx) + 1 FROM leaf), CAST(readfile('$dir/leaf') AS BLOB))"
	ok "$3: the hashes fit" relog
	audit_says "$2" "$3: the audit names it"
}
at=$(date -u -d '+1 minute' +%FT%TZ)
some=$(printf %064d 7)
head="format tributary-leaf-1\nkind"
sqlite3 -readonly -newline '' "$dir/hub/hub.db" "SELECT CAST(bytes AS TEXT) FROM leaf WHERE idx = 0" >"$dir/first"
added "$(sed "s/^time .*/time $at/; s/%/%%/g" "$dir/first" | sed 's/$/\\n/' | tr -d '\n')" "leaf [0-9]* opens the log a second time" "a second beginning"
added "$head merged\ntime $at\nnode $a\napp community\nseq 9\nmanifest $some\n" "#9 .*log leaf [0-9]* is a verdict on a commit that the log does not hold" "a verdict on nothing"
added "$head merged\ntime $at\nnode $a\napp community\nseq 2\nmanifest $some\n" "#2 .*log leaf [0-9]* is a verdict on another manifest than the one held" "a verdict on another text"
added "$head crl\ntime $at\nnumber 3\nsha256 $some\n" "log leaf [0-9]* names list 3 of revoked certificates after list 0" "a list too many"
again
hubsql "UPDATE leaf SET bytes = CAST(replace(CAST(bytes AS TEXT), 'root ' || substr(CAST(bytes AS TEXT), instr(CAST(bytes AS TEXT), char(10) || 'root ') + 6, 64), 'root $some') AS BLOB) WHERE idx = 0"
ok "the log is opened under another root: the hashes fit" relog
audit_says "the log was opened under another root certificate than ca/root.crt" "the audit names it"
again
hubsql "UPDATE cert SET not_after = not_after + 1 WHERE usage = 'sign' AND node = '$a'"
audit_says "#1 .*hub.db: serial number or end of the signing certificate are not what the certificate says" "a longer certificate: the audit names it"
finish
