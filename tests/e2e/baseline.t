#!/bin/sh
# A lost or damaged baseline is made again from the history, proven by digest, and the next commit holds exactly what changed (D4.7).
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
st=$dir/$a/state
LC_ALL=C.UTF-8
export LC_ALL

setup() {
	office $a desk 洗马社区 &&
		sql $a "CREATE VIRTUAL TABLE search USING fts5(body); INSERT INTO search VALUES('路灯');
			CREATE TABLE serial(id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT); CREATE INDEX serial_v ON serial(v); CREATE VIEW v AS SELECT 1;
			CREATE TABLE pair(a TEXT, b INT, c, PRIMARY KEY(a, b)) WITHOUT ROWID; INSERT INTO pair VALUES('x', 1, NULL), ('x', 2, x'00');
			CREATE TABLE loose(a TEXT PRIMARY KEY, b); INSERT INTO loose VALUES(NULL, 1), (NULL, 1), ('k', 2);
			WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 2000) INSERT INTO serial(v) SELECT '居民' || i FROM c;
			DELETE FROM serial WHERE id BETWEEN 500 AND 900; PRAGMA user_version = 7;" &&
		agent $a commit --accept-loss
}
ok "an office with every sort of table" setup
row=0

# damaged NAME: after the damage done before, one edit is committed, as that edit and nothing more; the history still gives the office's file.
edit_and_commit() {
	row=$((row + 1))
	sql $a "INSERT INTO demand VALUES('n$row', '停水', 'reported', $row)" || return 1
	agent $a commit >"$dir/said" 2>&1 || { cat "$dir/said"; return 1; }
	grep -q ": 1 added, 0 changed, 0 removed" "$dir/said" || { cat "$dir/said"; return 1; }
	grep -q "made again from the history" "$dir/said" || { echo "it was not said"; cat "$dir/said"; return 1; }
	same "$(grep -c "proven by digest" "$dir/said")" 1 && whole
}
whole() {
	rm -f "$dir/r.db"
	agent $a check --read-data >"$dir/said" 2>&1 || { cat "$dir/said"; return 1; }
	agent $a restore --at HEAD --to "$dir/r.db" || return 1
	for t in demand points journal serial pair loose; do
		sqlite3 "$dir/$a/office.db" "SELECT * FROM $t" | sort >"$dir/x"
		sqlite3 "$dir/r.db" "SELECT * FROM $t" | sort | diff "$dir/x" - || return 1
	done
	for left in "$st"/*rebuilt* "$st"/*.tmp "$st"/pending*; do
		[ ! -e "$left" ] || { echo "left behind: $left"; return 1; }
	done
}
flip() { # flip FILE OFFSET: another byte there
	printf '\377' | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
place_of() { grep -abo "$1" "$st/baseline" | head -n 1 | cut -d: -f1; }
finds() { refuses 15 "$1" "$2" agent $a check --read-data; }

rm "$st/baseline"
finds "was missing" "check finds that it is missing, and says what mends it"
ok "a missing baseline: exactly the edit is committed" edit_and_commit
truncate -s 5000 "$st/baseline"
finds "tributary-agent commit --full-scan" "check finds that it is cut inside a page"
ok "a baseline cut inside a page: exactly the edit" edit_and_commit
truncate -s 8192 "$st/baseline"
finds "tributary-agent commit" "check finds that it is cut between pages"
ok "a baseline cut between pages: exactly the edit" edit_and_commit
: >"$st/baseline"
ok "an empty baseline: exactly the edit" edit_and_commit
flip "$st/baseline" "$(place_of 居民77)"
finds "a page that the last commit did not write" "check finds one byte changed in a table"
# Rows of other pages: the damaged page differs from the live file, so it is looked at although the edit is elsewhere.
ok "a byte changed in a leaf of a table: exactly the edit" edit_and_commit
flip "$st/baseline" 17
ok "a byte changed in the header: exactly the edit" edit_and_commit
flip "$st/baseline" 110
ok "a byte changed in the first page: exactly the edit" edit_and_commit
cp "$st/baseline" "$dir/old" && cp "$st/baseline.sums" "$dir/old.sums"
sql $a "UPDATE pair SET c = 5 WHERE b = 1"
ok "a commit between" agent $a commit
cp "$dir/old" "$st/baseline" && cp "$dir/old.sums" "$st/baseline.sums"
finds "belonged to another commit" "check finds that it is an old copy"
ok "an old copy of it: exactly the edit" edit_and_commit
rm "$st/baseline.sums"
ok "sums that are lost: exactly the edit" edit_and_commit

# So much moves that the baseline is proven beside the comparison, which reads the wrong page meanwhile.
sql $a "CREATE TABLE wide(id INTEGER PRIMARY KEY, v); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3000) INSERT INTO wide SELECT i, randomblob(1000) FROM c"
ok "three megabytes more" agent $a commit
sql $a "PRAGMA page_size = 8192; VACUUM"
flip "$st/baseline" "$(place_of 居民77)"
ok "a byte changed in a night that moved every page: exactly the edit" edit_and_commit

rm "$st/baseline"
nothing() { agent $a commit >"$dir/said" 2>&1 && grep -q "nothing changed" "$dir/said" && whole; }
ok "a baseline made again when nothing changed makes no commit" nothing
flip "$st/baseline" "$(place_of 居民88)"
mends() { agent $a commit --full-scan >"$dir/said" 2>&1 && grep -q "proven by digest" "$dir/said" && grep -q "nothing changed" "$dir/said" && whole || { cat "$dir/said"; return 1; }; }
ok "a full scan mends a damaged one though nothing changed" mends
sql $a "UPDATE pair SET c = 6 WHERE b = 2; DELETE FROM loose WHERE b = 2; INSERT INTO journal VALUES('同一行')"
three() { agent $a commit >"$dir/said" 2>&1 && grep -q ": 0 added, 2 changed, 1 removed" "$dir/said" && whole || { cat "$dir/said"; return 1; }; }
ok "and the commit after it holds what changed" three

# Killed while it is made again.
killed() {
	rm "$st/baseline"
	row=$((row + 1))
	sql $a "INSERT INTO demand VALUES('n$row', '停水', 'reported', $row)"
	TRIBUTARY_CRASH_AT=$1 agent $a commit >"$dir/said" 2>&1
	same $? 137
}
for point in baseline-replayed baseline-summed; do
	ok "killed at $point" killed $point
	row=$((row - 1))
	sql $a "DELETE FROM demand WHERE id = 'n$((row + 1))'"
	ok "the next commit begins again: exactly the edit" edit_and_commit
done

# A check while commits are made is right, or says that it was overtaken; it never calls a sound baseline damaged.
beside() {
	(for i in 1 2 3 4 5 6 7 8; do sql $a "INSERT INTO demand VALUES('b$i', '停水', 'reported', $i)" && agent $a commit; done) >"$dir/commits" 2>&1 &
	commits=$!
	bad=0
	for i in 1 2 3 4 5 6 7 8; do
		agent $a check --read-data >"$dir/said" 2>&1
		got=$?
		[ $got -eq 0 ] || [ $got -eq 11 ] || { cat "$dir/said"; bad=1; }
	done
	wait $commits && same "$(grep -c "1 added" "$dir/commits")" 16 && [ $bad -eq 0 ]
}
ok "a check beside commits" beside

cut_off() {
	sql $a "INSERT INTO demand VALUES('cut', '停水', 'reported', 0)"
	TRIBUTARY_CRASH_AT=ref-moved agent $a commit >"$dir/said" 2>&1
	same $? 137
}
ok "a commit is cut off after its commit point" cut_off
refuses 3 "finish it first: tributary-agent commit" "a check says so, and suspects nobody" agent $a check
refuses 3 "finish it first: tributary-agent commit" "nor with --read-data" agent $a check --read-data
ok "the next commit finishes it" agent $a commit
ok "and all is proven" whole

# When the history itself is damaged, nothing is made up.
rm "$st/baseline"
mv "$st/repo.git/objects" "$dir/objects" && mkdir "$st/repo.git/objects" && cp -r "$dir/objects/." "$st/repo.git/objects/"
git -C "$st/repo.git" rev-list --objects main | grep changeset.gz | tail -n 1 | cut -d' ' -f1 >"$dir/blob"
b=$(cat "$dir/blob")
rm -f "$st/repo.git/objects/$(printf %s "$b" | cut -c1-2)/$(printf %s "$b" | cut -c3-)"
no_commit() {
	sql $a "INSERT INTO demand VALUES('last', '停水', 'reported', 0)"
	tip=$(cat "$st/repo.git/refs/heads/main")
	agent $a commit
	got=$?
	same "$(cat "$st/repo.git/refs/heads/main")" "$tip" && [ $got -ne 0 ] && [ $got -lt 100 ] && [ ! -e "$st/baseline" ]
}
ok "without a whole history there is no commit and no baseline" no_commit
finish
