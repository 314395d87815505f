#!/bin/sh
# A program in rollback mode without a busy timeout, that writes without any pause: a capture waits for one and meets no transaction of it (D15.1).
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
db=$dir/$a/office.db
LC_ALL=C.UTF-8
export LC_ALL
begin() { # large enough that reading takes some milliseconds
	office $a community x || return 1
	sqlite3 "$db" "PRAGMA journal_mode=delete; WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i < 20000)
		INSERT INTO points SELECT 100 + i, '王**', i, randomblob(300) FROM c" && agent $a commit || return 1
	i=0
	while [ $i -lt 200 ]; do
		i=$((i + 1))
		echo "BEGIN IMMEDIATE; UPDATE points SET points = points + 1 WHERE id = 101; COMMIT;"
	done >"$dir/sql"
	# The program itself tells how far it is: another one that reads would be the one that makes it wait.
	printf '.once %s\nSELECT points FROM points WHERE id = 101;\n' "$dir/far" >>"$dir/sql"
}
write_on() { # until $dir/stop
	while [ ! -e "$dir/stop" ]; do
		cat "$dir/sql"
	done | command sqlite3 -cmd 'PRAGMA synchronous=OFF' "$db"
}
begun() { [ -s "$dir/far" ]; }
beside() {
	rm -f "$dir/stop" "$dir/far"
	write_on >"$dir/wrote" 2>&1 &
	soon begun || { touch "$dir/stop"; wait; return 1; }
	(sleep 2; touch "$dir/stop") &
	before=$(cat "$dir/far")
	agent $a --json commit >"$dir/said" 2>&1
	got=$?
	wait
	after=$(sqlite3 "$db" "SELECT points FROM points WHERE id = 101")
	cat "$dir/said"
	return $got
}
wrote_much() { [ $((after - before)) -gt 100 ] || { echo "from $before to $after"; return 1; }; }
untouched() { cat "$dir/wrote"; [ ! -s "$dir/wrote" ]; }
without_lock() { grep '"snapshot"' "$dir/said" && grep -q '"snapshot": *"optimistic"' "$dir/said"; }
last_state() { rm -f "$dir/r.db"; agent $a restore --at HEAD --to "$dir/r.db" && same "$(sqlite3 "$dir/r.db" "SELECT points FROM points WHERE id = 101")" "$after"; }
ok "an office in rollback mode" begin
# A processor that is full may stop the capture within the microseconds of a lock, or the program for so long that it seems to rest: then once more.
clean() {
	beside_tries=0
	until beside && untouched >/dev/null && wrote_much && without_lock && last_state; do
		beside_tries=$((beside_tries + 1))
		[ $beside_tries -lt 10 ] || { untouched | head -n 3; return 1; }
	done
}
ok "a capture beside a program that does not rest for two seconds: it meets no error" clean
ok "the program wrote all the time" wrote_much
ok "the capture took no lock to read" without_lock
ok "and has what the program wrote last" last_state
finish
