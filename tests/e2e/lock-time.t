#!/bin/sh
# While a capture holds SQLite's shared lock on the application's file it never waits: no pause, no file made or removed, no fsync (D4.1).
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
db=$dir/$a/office.db
LC_ALL=C.UTF-8
export LC_ALL
if ! command -v strace >/dev/null 2>&1 || ! strace -f -qq -o "$dir/trace" -e inject=pread64:delay_exit=1:when=1..2 true 2>/dev/null; then
	echo "1..0 # SKIP strace cannot trace here"
	exit 0
fi
begin() { # large enough that it is read in several pieces
	office $a community x || return 1
	sqlite3 "$db" "PRAGMA journal_mode=delete; WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i < 20000)
		INSERT INTO points SELECT 100 + i, '王**', i, randomblob(300) FROM c" && agent $a commit
}
write_on() {
	while [ ! -e "$dir/stop" ]; do
		echo "BEGIN IMMEDIATE; UPDATE points SET points = points + 1 WHERE id = 101; COMMIT;"
		sleep 0.07
	done | sqlite3 -cmd '.timeout 10000' -cmd 'PRAGMA synchronous=OFF' "$db"
}
commit_traced() { # commit_traced STRACE-OPTION...; LeakSanitizer cannot run under ptrace
	ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 strace -f -qq -o "$dir/trace" "$@" "$bin/tributary-agent" --state "$dir/$a/state" commit
}
# How many reads the first thread makes up to the first piece of the scan, in a commit that nobody disturbs.
first_piece() {
	sqlite3 "$db" "UPDATE points SET points = points + 1 WHERE id = 102" && commit_traced || return 1
	piece=$(awk 'NR == 1 {first = $1}
		$1 == first && / pread64\(/ {n++}
		$1 == first && /pread64/ && /, 1048576, 0\) += 1048576$/ {print n; exit}' "$dir/trace")
	[ "${piece:-0}" -gt 0 ]
}
# Beside the program: the first pieces of the first scan take 0.3 s each, so that the program's next transaction overtakes it, however fast the machine is.
one_commit() {
	rm -f "$dir/stop"
	write_on >"$dir/wrote" 2>&1 &
	written || return 1
	commit_traced -e "inject=pread64:delay_exit=300000:when=$piece..$((piece + 3))"
	got=$?
	touch "$dir/stop"
	wait
	return $got
}
written() { # the program is at work
	before=$(points)
	soon moved
}
moved() { [ "$(points)" != "$before" ]; }
points() { sqlite3 -readonly -cmd '.timeout 10000' "$db" "SELECT points FROM points WHERE id = 101"; }
overtaken() { [ "$(waits | sed -n 's/^locks //p')" -ge 4 ]; } # it began again at least once
traced() {
	rounds=0
	until one_commit && overtaken; do
		rounds=$((rounds + 1))
		[ $rounds -lt 6 ] || { echo "never overtaken, or failed"; return 1; }
	done
}
# Calls that may wait, made while a descriptor of the file has the shared lock (bytes from 1073741826 on).
waits() {
	awk -v db="$db" '
		{sub(/^[0-9]+ +/, "")}
		/^openat\(/ && index($0, "\"" db "\"") {fd = $NF; next}
		fd == "" {next}
		index($0, "fcntl(" fd ", F_SETLK, {l_type=F_RDLCK") == 1 && /l_start=1073741826/ && / = 0$/ {held = 1; locks++}
		index($0, "fcntl(" fd ", F_SETLK, {l_type=F_UNLCK") == 1 && /l_start=0/ {held = 0}
		index($0, "close(" fd ")") == 1 {held = 0; fd = ""}
		held && /^(clock_)?nanosleep|^openat.*O_CREAT|^unlink|^rename|^f(data)?sync|^mkdir/ {print}
		END {print "locks " locks + 0}' "$dir/trace"
}
never() {
	waits >"$dir/waits"
	cat "$dir/waits"
	[ "$(wc -l <"$dir/waits")" = 1 ]
}
ok "an office in rollback mode" begin
ok "an undisturbed commit" first_piece
ok "a capture beside a program that writes all the time" traced
ok "the program met no error" test ! -s "$dir/wrote"
ok "nothing that may wait is done under the lock" never
ok "and the history is whole" agent $a check --read-data
finish
