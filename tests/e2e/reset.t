#!/bin/sh
# `reset`: a history that is out of step in the city says the whole database once more; the rows that differ are named (D6.3).
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
b=520303001011

for step in city_init hub_start; do ok "$step" $step; done
for o in $a $b; do
	ok "office $o" office $o community "社区 $o"
	ok "enrols" enrol $o community "社区 $o"
	ok "syncs" agent $o sync
done
reset_says() { text=$1; shift; agent "$@" >"$dir/said" 2>&1; rc=$?; cat "$dir/said"; [ $rc -eq 0 ] && grep -q "$text" "$dir/said"; }
seq_of() { git -C "$dir/$a/state/repo.git" cat-file blob main:manifest | sed -n 's/^seq //p'; }
ok "a dry run says what it would do" reset_says "would make a reset" $a reset --dry-run
ok "and makes nothing" same "$(seq_of)" 1
sql $a "UPDATE demand SET title = '改' WHERE id = 'd1'; DELETE FROM journal WHERE line IS NULL"
edits() { reset_says "^[1-9] rows differ between #1, the last commit that the city has, and the database" "$@" && grep -q "^ *~ demand id='d1' .*改" "$dir/said" && grep -q "^ *- journal" "$dir/said"; }
ok "a dry run names the rows that were edited" edits $a reset --dry-run
ok "what stands in the database is committed first, then the reset, which names them" edits $a reset
kind() { git -C "$dir/$a/state/repo.git" cat-file blob main:manifest | grep -q '^kind reset$' && same "$(seq_of)" 3; }
ok "as commits #2 and #3" kind
ok "the office checks it" agent $a check --read-data
ok "pushes it" agent $a push
ok "the city merges it" eventually 改 community "SELECT title FROM demand WHERE _node='$a' AND id='d1'"
ok "rows, bags and counts" eventually "2 2 2" community "SELECT (SELECT count(*) FROM demand WHERE _node='$a') || ' ' || (SELECT count(*) FROM points WHERE _node='$a') || ' ' || (SELECT sum(_count) FROM _bag_journal WHERE _node='$a')"
ok "the audit proves all" hub audit
restores() { agent $a restore --at '#1' --to "$dir/first.db" && same "$(sqlite3 "$dir/first.db" "SELECT title FROM demand WHERE id='d1'")" 路灯不亮 && agent $a restore --at HEAD --to "$dir/last.db" && same "$(sqlite3 "$dir/last.db" "SELECT title FROM demand WHERE id='d1'")" 改; }
ok "both sides of it are restored" restores
sql $a "INSERT INTO demand VALUES('d9','以后','reported',9)"
ok "the next night is as any other" agent $a sync
ok "in the city too" eventually 以后 community "SELECT title FROM demand WHERE _node='$a' AND id='d9'"

# Out of step: a commit that does not fit the city is held and not merged, and all after it wait. (Made with the office's own keys in its own folder: an honest agent makes none.)
json() { python3 -c 'import json, sys; v = json.load(open(sys.argv[1])); print(eval(sys.argv[2], {"v": v}))' "$dir/said" "$1"; }
astray() { "$bin/tests/tool/forge" "$dir/$a/state" old-value own >"$dir/forged" 2>&1 || { cat "$dir/forged"; return 1; }; agent $a push >"$dir/said" 2>&1 || true; }
ok "A's history goes out of step" astray
ok "which the city says" eventually "demand|old-value-differs" community "SELECT tbl, reason FROM _t_ledger WHERE node='$a'"
stopped() { hub status >"$dir/said" && grep -A2 "^Out of step" "$dir/said" | grep -q "$1"; }
ok "and the operator's screen" soon stopped $a
of_one() { hub node show $a --app community | grep "^held up to #[0-9]*, in the city up to #[0-9]*$1"; }
ok "and what is said of this office" of_one "; out of step: old-value-differs\$"
sql $a "INSERT INTO demand VALUES('d7','之后','reported',7); DELETE FROM demand WHERE id='d9'; UPDATE points SET points = 6 WHERE id = 1"
told_so() { agent $a sync >"$dir/said" 2>&1; grep -q "the city stopped taking it in" "$dir/said"; }
ok "the office is told" soon told_so
waits() { same "$(city community "SELECT count(*) FROM demand WHERE _node='$a' AND id='d7'")" 0; }
ok "what it sends is held and waits" waits
city_of_a() { city community "SELECT id, title, status, n FROM demand WHERE _node='$a' ORDER BY id; SELECT id, person, points, hex(note) FROM points WHERE _node='$a' ORDER BY id; SELECT line, _count FROM _bag_journal WHERE _node='$a' ORDER BY line"; }
office_a() { sql $a "SELECT id, title, status, n FROM demand ORDER BY id; SELECT id, person, points, hex(note) FROM points ORDER BY id; SELECT line, count(*) FROM journal GROUP BY line ORDER BY line"; }
differ() { [ "$(city_of_a)" != "$(office_a)" ]; }
ok "the city shows other rows than the office" differ
agent $a reset --dry-run >"$dir/said" 2>&1
rows_named() { cat "$dir/said"; grep -q "^ *+ demand id='d7' .*之后" "$dir/said" && grep -q "^ *- demand id='d9'" "$dir/said" && grep -q "^ *~ points id=1 " "$dir/said"; }
ok "each row is named: added, removed, changed" rows_named
ok "with what it was compared" grep -q "^3 rows differ between #4, the last commit that the city took in, and the database" "$dir/said"
agent $a reset --json >"$dir/said"
ok "in JSON, too" same "$(json 'sorted((r["op"], r["table"], (r.get("old") or r["new"])["id"]) for r in v["rows"])')" "[('delete', 'demand', 'd9'), ('insert', 'demand', 'd7'), ('update', 'points', 1)]"
ok "all of them, against what the city has" same "$(json 'v["differs"], v["rows_left_out"], v["compared_with"], v["hub_asked"], v["out_of_step"], v["forked"]')" "(3, 0, 4, True, True, False)"
ok "the office pushes its reset" agent $a push
equal() { same "$(city_of_a)" "$(office_a)"; }
ok "and the city has the office's rows again, each of them" soon equal
cured() { hub status >"$dir/said" && ! grep -q "^Out of step" "$dir/said" && grep -q "not in the city yet: 0" "$dir/said" && grep -q "$a.*up to date" "$dir/said"; }
ok "the operator's screen names nobody" soon cured
ok "nor does what is said of this office" of_one "\$"
fine() { agent $a sync >"$dir/said" 2>&1 && agent $a status >"$dir/status" 2>&1 && ! grep -q "out-of-step" "$dir/status"; }
ok "nor does the office" soon fine
ok "the office checks its history" agent $a check --read-data
both_restore() { hub restore --node $a --app community --at HEAD --to "$dir/h.db" && agent $a restore --at HEAD --to "$dir/o.db" && same "$(sqlite3 "$dir/h.db" "SELECT title FROM demand WHERE id='d7'") $(sqlite3 "$dir/o.db" "SELECT title FROM demand WHERE id='d7'")" "之后 之后" && agent $a restore --at '#4' --to "$dir/o4.db"; }
ok "the city and the office restore what is after it, and before" both_restore
refuses 15 "old-value-differs" "not what did not fit" agent $a restore --at '#6' --to "$dir/o6.db"
ok "the audit proves all" hub audit

# More rows differ than are listed: the rest is counted. The hub is down: what the office holds of it says how far the city came.
ok "A goes out of step again" astray
ok "which is in the city" eventually 2 community "SELECT count(*) FROM _t_ledger WHERE node='$a' AND reason='old-value-differs'"
sql $a "WITH RECURSIVE c(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM c WHERE i < 1069) INSERT INTO points SELECT i, '居民' || i, i, NULL FROM c"
ok "the office is told" soon told_so
hub_stop
agent $a reset --json --dry-run >"$dir/said" 2>"$dir/err"
ok "JSON lists 50 rows of 70 and says so" same "$(json 'len(v["rows"]), v["rows_left_out"], v["differs"], v["hub_asked"], v["out_of_step"]')" "(50, 20, 70, False, True)"
ok "people are told that nobody was asked" grep -q "the hub was not asked" "$dir/err"
ok "and how many more there are" reset_says "and 20 more rows" $a reset
ok "the hub is back" hub_start
ok "the reset reaches it" agent $a push
ok "the city equals the office again" soon equal
ok "the audit proves all" hub audit

# A baseline that was damaged while nothing was written: the file's mark would spare the reading, and all its rows go into the reset.
damage() { python3 -c 'import sys; p = sys.argv[1]; d = bytearray(open(p, "rb").read()); i = d.find("路灯不亮".encode()); assert i > 0; d[i:i + 3] = "墙".encode(); open(p, "wb").write(d)' "$dir/$b/state/baseline"; }
ok "B's baseline is damaged" damage
ok "it is made again before a reset" reset_says "exactly this database" $b reset
right() { agent $b restore --at HEAD --to "$dir/right.db" && same "$(sqlite3 "$dir/right.db" "SELECT title FROM demand WHERE id='d1'")" 路灯不亮; }
ok "which says what stands in the database" right
ok "and is sent" agent $b sync

# Out of step by a thief: the office's machine is replaced.
cp -a "$dir/$b/state" "$dir/thief"
"$bin/tests/tool/forge" "$dir/thief" old-value >"$dir/forged" 2>&1
ok "B's history goes out of step" office_git $b -C "$dir/thief/repo.git" push -q "$url/$b/community.git" main:refs/heads/main
named() { hub status | grep -A2 -i "out of step" | grep -q $b; }
ok "which the operator sees" eventually "demand" community "SELECT tbl FROM _t_ledger WHERE node='$b'"
ok "by name" soon named
replace() { hub node replace $b --app community --name "社区 $b" --url "$url" --slip "$dir/slip2" --approve && mv "$dir/$b/state" "$dir/$b/aside" && agent $b init "$dir/$b/office.db" --node $b --app community --name "社区 $b" && agent $b enrol --slip "$dir/slip2"; }
ok "a replaced machine begins with a reset" replace
agent $b sync >"$dir/said" 2>&1 # its receipts may come before the city has merged the reset
ok "the city takes it" eventually 2 community "SELECT count(*) FROM demand WHERE _node='$b'"
sql $b "INSERT INTO demand VALUES('d5','接上','reported',5)"
ok "goes on" agent $b sync
ok "and is in the city again" eventually 接上 community "SELECT title FROM demand WHERE _node='$b' AND id='d5'"
ok "the audit proves all" hub audit

# The brake holds here too, and a private half stays what it is.
many() { sql $a "WITH RECURSIVE c(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM c WHERE i < 400) INSERT INTO points SELECT i, '居民' || i, i, NULL FROM c" && agent $a commit; }
ok "300 rows more" many
sql $a "DELETE FROM points WHERE id >= 100"
refuses 16 "reset --accept-loss" "a mass loss is held back" agent $a reset
sql $a "UPDATE demand SET title = 'GEHEIM' WHERE id = 'd2'"
private() { agent $a config set private demand.title && agent $a commit --accept-loss && agent $a reset; }
ok "a private column, then a reset" private
clean() { ! git -C "$dir/$a/state/repo.git" cat-file blob main:changeset.gz | gzip -dc | grep -qa GEHEIM; }
ok "what is private is not in it" clean
whole() { agent $a restore --at HEAD --to "$dir/whole.db" && same "$(sqlite3 "$dir/whole.db" "SELECT title FROM demand WHERE id='d2'")" GEHEIM; }
ok "and the office restores it" whole
finish
