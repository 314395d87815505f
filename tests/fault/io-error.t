#!/bin/sh
# A disk that fails at one call of a commit (strace injects EIO): exit 0 only with the commit made, else an error that says so; the next commit is right (I5).
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
st=$dir/$a/state
LC_ALL=C.UTF-8
export LC_ALL
inject() { # inject SYSCALL ERROR N COMMAND...: its N-th call fails
	what=$1:error=$2:when=$3
	shift 3
	# LeakSanitizer cannot run under ptrace.
	ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 strace -f -qq -o "$dir/trace" -e "trace=${what%%:*}" -e "inject=$what" "$@"
}
calls() { # calls SYSCALL: how many of them a commit makes
	sql $a "INSERT INTO demand VALUES('count-$1', '停水', 'reported', 0)"
	inject "$1" EIO 60000 "$bin/tributary-agent" --state "$st" commit >/dev/null 2>&1
	grep -c "$1(" "$dir/trace"
}
if ! command -v strace >/dev/null 2>&1 || ! inject fsync EIO 60000 true 2>/dev/null; then
	echo "1..0 # SKIP strace cannot trace here"
	exit 0
fi
whole() {
	agent $a check --read-data >"$dir/said" 2>&1 || { cat "$dir/said"; return 1; }
	rm -f "$dir/r.db"
	agent $a restore --at HEAD --to "$dir/r.db" >/dev/null || return 1
	sqlite3 "$dir/$a/office.db" "SELECT * FROM demand" | sort >"$dir/x"
	sqlite3 "$dir/r.db" "SELECT * FROM demand" | sort | diff "$dir/x" -
}
row=0
failed_runs=0
round() { # round SYSCALL ERROR N
	row=$((row + 1))
	sql $a "INSERT INTO demand VALUES('n$row', '停水', 'reported', $row)" || return 9
	before=$(agent $a log | wc -l)
	inject "$1" "$2" "$3" "$bin/tributary-agent" --state "$st" commit >"$dir/said" 2>&1
	got=$?
	cat "$dir/said"
	# Now and then a commit makes fewer calls than the one that was counted: then nothing failed, and it must have gone well.
	grep -q INJECTED "$dir/trace" || [ $got -eq 0 ] || return 1
	[ $got -lt 100 ] || return 1
	if [ $got -eq 0 ]; then
		same "$(agent $a log | wc -l)" $((before + 1)) || return 1
	else
		failed_runs=$((failed_runs + 1))
		grep -q "^error \[" "$dir/said" || return 1
	fi
	agent $a commit >"$dir/next" 2>&1 || { echo "then:"; cat "$dir/next"; return 1; }
	for left in "$st"/*.tmp "$st"/pending* "$st"/*rebuilt*; do
		[ ! -e "$left" ] || { echo "left behind: $left"; return 1; }
	done
	same "$(agent $a log | wc -l)" $((before + 1))
}
ok "an office" office $a desk 洗马社区
# Some calls of each sort, from the first to the last.
for sort in fsync:EIO:14 rename:EIO:6 pwrite64:EIO:8 ftruncate:EIO:3 write:ENOSPC:8; do
	call=${sort%%:*}
	error=${sort#*:}
	steps=${error#*:}
	error=${error%:*}
	total=$(calls "$call")
	agent $a commit >/dev/null 2>&1
	i=0
	last=0
	while [ $i -lt "$steps" ]; do
		i=$((i + 1))
		k=$((1 + (i - 1) * (total - 1) / (steps > 1 ? steps - 1 : 1)))
		[ $k -ne $last ] || continue
		last=$k
		ok "$error from $call, call $k of $total" round "$call" "$error" $k
	done
done
ok "after all of it the history gives the office's file" whole
told() { [ $failed_runs -ge $((row / 2)) ] || { echo "only $failed_runs of $row runs failed"; return 1; }; }
ok "most of these runs said that they failed" told
ok "stock git finds the repository whole" git -C "$st/repo.git" fsck --strict
finish
