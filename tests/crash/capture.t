#!/bin/sh
# kill -9 at a random moment of a capture, beside a program that writes: the next capture is right, and the history whole.
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
case $build in /*) ;; *) build=$PWD/$build ;; esac
agent=$build/tributary-agent
dir=$(mktemp -d) || exit 1
writer=
trap 'if [ -n "$writer" ]; then kill "$writer"; fi 2>/dev/null; rm -rf "$dir"' EXIT
unset TRIBUTARY_STATE TRIBUTARY_CLOCK_OFFSET TRIBUTARY_CRASH_AT
export LC_ALL=C
n=0
rounds=$((${PROPERTY_ROUNDS:-0} / 400))
[ "$rounds" -ge 12 ] || rounds=12
check() { # check NAME COMMAND...: one TAP line by the command's status
	n=$((n + 1))
	name=$1
	shift
	if "$@" >"$dir/out" 2>&1; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		sed 's/^/# /' "$dir/out"
	fi
}
a() { "$agent" --state "$dir/st" "$@"; }
sqlite3() { command sqlite3 -cmd '.timeout 30000' "$@"; } # whoever is first to open a -wal, or last to close it, locks others out
sql() { sqlite3 "$dir/office.db" "$1"; }
write_on() { # a program that moves money, with unfinished transactions now and then
	i=0
	while [ ! -e "$dir/stop" ]; do
		i=$((i + 1))
		command sqlite3 -cmd '.timeout 5000' "$dir/office.db" "BEGIN IMMEDIATE; UPDATE t SET n = n - 1, note = hex(randomblob(300)) WHERE id = 1 + abs(random()) % 2000;
			UPDATE t SET n = n + (SELECT -sum(n) FROM t) WHERE id = 1 + $i % 2000; $([ $((i % 5)) = 0 ] && echo ROLLBACK || echo COMMIT)"
	done
}
total() { [ "$(sqlite3 "$1" 'PRAGMA integrity_check; SELECT sum(n), count(*) FROM t')" = "$(printf 'ok\n0|2000')" ]; }
delay() { # delay N: 1 to N milliseconds, at random
	awk -v n="$1" -v r="$(od -An -N4 -tu4 /dev/urandom)" 'BEGIN {printf "%.3f", (1 + r % n) / 1000}'
}
killed_captures() { # every capture is killed, or just ends before that; on a fast machine that may be all of them for a while
	k=0
	hit=0
	most=60
	while [ $k -lt "$rounds" ] || { [ $hit -eq 0 ] && [ $k -lt $((rounds * 20)) ]; }; do
		k=$((k + 1))
		after=$(delay $most)
		"$agent" --state "$dir/st" commit >"$dir/said" 2>&1 &
		pid=$!
		sleep "$after"
		kill -9 $pid 2>/dev/null
		wait $pid 2>/dev/null
		case $? in
		137) hit=$((hit + 1)) most=$((most + most / 4 + 1)) ;; # later next time
		0) most=$((most / 2 + 1)) ;;                         # it had ended: by this machine's speed that was too late
		*) cat "$dir/said"; return 1 ;;
		esac
	done
	echo "$hit of $k captures killed"
	[ $hit -gt 0 ]
}
next_is_right() { # beside the writer first, then of the file at rest, byte for byte
	a commit || return 1
	if [ -e "$dir/st/pending" ] || [ -e "$dir/st/pending.tmp" ]; then
		echo "something was left behind"
		return 1
	fi
	total "$dir/st/baseline" || { echo "the baseline is no state that ever was"; return 1; }
	a check --read-data || return 1
	git -C "$dir/st/repo.git" fsck --strict || return 1
	rm -f "$dir/r.db"
	a restore --at HEAD --to "$dir/r.db" && total "$dir/r.db"
}
holds() { # it has read
	tries=0
	while [ ! -e "$dir/holds" ]; do
		tries=$((tries + 1))
		[ $tries -lt 600 ] || return 1
		sleep 0.1
	done
}
at_rest() {
	a commit || return 1
	rm -f "$dir/r.db"
	a restore --at HEAD --to "$dir/r.db" || return 1
	sqlite3 "$dir/office.db" 'SELECT * FROM t ORDER BY id' >"$dir/x"
	sqlite3 "$dir/r.db" 'SELECT * FROM t ORDER BY id' >"$dir/y"
	cmp "$dir/x" "$dir/y" && a check --read-data
}

for mode in wal delete; do
	rm -rf "$dir/st" "$dir"/office.db*
	rm -f "$dir/stop"
	sql "PRAGMA journal_mode=$mode; CREATE TABLE t(id INTEGER PRIMARY KEY, n INT, note TEXT);
		WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i < 2000) INSERT INTO t SELECT i, 0, hex(randomblob(300)) FROM c" >/dev/null
	check "$mode: the first commit" a init "$dir/office.db" --node 520303002001
	exec 3>"$dir/hold"
	if [ $mode = wal ]; then # somebody keeps the database open, so that -wal and -shm stay
		mkfifo "$dir/fifo" 2>/dev/null
		command sqlite3 -cmd '.timeout 30000' "$dir/office.db" <"$dir/fifo" >/dev/null &
		exec 3>"$dir/fifo"
		printf '%s\n' "SELECT count(*) FROM t;" ".shell touch $dir/holds" >&3
		check "$mode: a program has it open" holds
	fi
	write_on >"$dir/writer" 2>&1 3>&- &
	writer=$!
	check "$mode: captures are killed" killed_captures
	check "$mode: the next one beside the program is right" next_is_right
	touch "$dir/stop"
	wait $writer
	writer=
	check "$mode: the program met no error" test ! -s "$dir/writer"
	check "$mode: the one of the file at rest is, too" at_rest
	exec 3>&-
done
echo "1..$n"
