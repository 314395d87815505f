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
ok "what stands in the database is committed first, then the reset" reset_says "exactly this database" $a reset
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

# Out of step: a commit that does not fit the city is held and not merged, and all after it wait. (A thief's here: an honest agent makes none.)
cp -a "$dir/$b/state" "$dir/thief"
"$bin/tests/tool/forge" "$dir/thief" old-value >"$dir/forged" 2>&1
ok "B's history goes out of step" office_git $b -C "$dir/thief/repo.git" push -q "$url/$b/community.git" main:refs/heads/main
named() { hub status | grep -A2 -i "out of step" | grep -q $b; }
ok "which the operator sees" eventually "demand" community "SELECT tbl FROM _t_ledger WHERE node='$b'"
ok "by name" named
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
