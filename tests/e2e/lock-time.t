#!/bin/sh
# While a capture holds SQLite's shared lock on the application's file it never waits: no pause, no file made or removed, no fsync (D4.1).
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
db=$dir/$a/office.db
LC_ALL=C.UTF-8
export LC_ALL
if ! command -v strace >/dev/null 2>&1 || ! strace -f -qq -o "$dir/trace" true 2>/dev/null; then
	echo "1..0 # SKIP strace cannot trace here"
	exit 0
fi
begin() { # large enough that a program's next transaction overtakes the reading
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
one_commit() { # beside the program; LeakSanitizer cannot run under ptrace
	rm -f "$dir/stop"
	write_on >"$dir/wrote" 2>&1 &
	sleep 0.1
	ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 strace -f -qq -o "$dir/trace" "$bin/tributary-agent" --state "$dir/$a/state" commit
	got=$?
	touch "$dir/stop"
	wait
	return $got
}
overtaken() { [ "$(waits | sed -n 's/^locks //p')" -ge 4 ]; } # it began again at least once
traced() {
	tries=0
	until one_commit && overtaken; do
		tries=$((tries + 1))
		[ $tries -lt 6 ] || { echo "never overtaken, or failed"; return 1; }
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
ok "a capture beside a program that writes all the time" traced
ok "the program met no error" test ! -s "$dir/wrote"
ok "nothing that may wait is done under the lock" never
ok "and the history is whole" agent $a check --read-data
finish
