#!/bin/sh
# An old copy of the database put back is held back until a person agrees, and the message names the commit it was (D4.9).
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
st=$dir/$a/state
LC_ALL=C.UTF-8
export LC_ALL

rows() { # rows FROM TO: residents
	sql $a "WITH RECURSIVE c(i) AS (SELECT $1 UNION ALL SELECT i + 1 FROM c WHERE i < $2) INSERT INTO resident SELECT i, '居民' || i, 'in' FROM c"
}
setup() { office $a desk 洗马社区 && sql $a "CREATE TABLE resident(id INTEGER PRIMARY KEY, name TEXT, state TEXT)" && rows 1 1000 && agent $a commit; }
ok "an office" setup
cp "$dir/$a/office.db" "$dir/copy.db" # as of #2
nights() {
	for i in 1 2 3; do
		sql $a "UPDATE resident SET state = 'out$i' WHERE id % 3 = $((i - 1)); UPDATE demand SET n = $i" && agent $a commit >/dev/null || return 1
	done
}
ok "three nights change every resident, and add none" nights
tip=$(cat "$st/repo.git/refs/heads/main")

cp "$dir/copy.db" "$dir/$a/office.db"
refuses 16 "restored from #2" "the copy of #2 is put back: held back, and #2 is named" agent $a commit
stands() { same "$(cat "$st/repo.git/refs/heads/main")" "$tip" && cmp "$dir/copy.db" "$dir/$a/office.db" && [ ! -e "$st/pending.tmp" ]; }
ok "neither history nor database moved" stands
says() { agent $a status | grep -q "$1"; }
ok "status says that it is held back" says "Held back"
json() { agent $a --json commit >"$dir/json"; [ $? -eq 16 ] && grep -q '"restored_from": 2' "$dir/json"; }
ok "and so does JSON" json
report() { agent $a sync >"$dir/said" 2>&1; [ $? -eq 12 ]; git -C "$st/repo.git" cat-file blob main:manifest | grep -q "^braked resident 1000$" || { cat "$dir/said"; return 1; }; }
ok "the day's report carries the count" report
rm "$st/digests.db"
refuses 16 "restored from #2" "the cache is lost: found again from the manifests" agent $a commit
printf 'garbage garbage garbage' >"$st/digests.db"
refuses 16 "restored from #2" "the cache is damaged: made again" agent $a commit
lie() { sqlite3 "$st/digests.db" "UPDATE state SET seq = 3, oid = (SELECT oid FROM upto)"; }
ok "somebody writes into the cache" lie
refuses 16 "restored from #2" "the cache lies: the manifest decides" agent $a commit
ok "a person may agree" agent $a commit --accept-loss
restored() { agent $a restore --at HEAD --to "$dir/r.db" && sqlite3 "$dir/copy.db" "SELECT * FROM resident" >"$dir/x" && sqlite3 "$dir/r.db" "SELECT * FROM resident" | cmp "$dir/x" -; }
ok "then the history has it" restored

sql $a "UPDATE resident SET state = 'y' WHERE id <= 100"
ok "100 rows change" agent $a commit
sql $a "UPDATE resident SET state = 'in' WHERE id <= 100"
ok "100 rows that go back are not many" agent $a commit
sql $a "UPDATE resident SET state = 'y' WHERE id <= 101"
ok "101 rows change" agent $a commit
sql $a "UPDATE resident SET state = 'in' WHERE id <= 101"
refuses 16 "restored from #" "101 rows that go back are" agent $a commit
ok "agreed" agent $a commit --accept-loss
rows 1001 1500
ok "new rows are no return" agent $a commit
sql $a "UPDATE resident SET state = 'z' || id"
ok "nor is a state that never was" agent $a commit
sql $a "DELETE FROM journal; WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 200) INSERT INTO journal SELECT i FROM c"
ok "a bag is filled" agent $a commit
sql $a "UPDATE journal SET line = line || '.'"
ok "and changes" agent $a commit --accept-loss
sql $a "UPDATE journal SET line = rtrim(line, '.')"
refuses 16 "journal" "a bag that goes back is held back too" agent $a commit
finish
