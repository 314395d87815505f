#!/bin/sh
# kill -9 at a system call of a capture, one after the other: nothing is half done, the next capture is right, the history whole (I1, I2).
#
# `make check` takes some of the calls; `make attack` all of them (ATTACK_STRIDE=1), `ATTACK_STRIDE=N make attack` every N-th. Of a night in two parts,
# whose every try takes seconds, every eighth of those is taken.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
st=$dir/$a/state
db=$dir/$a/office.db
stride=${ATTACK_STRIDE:-173}
LC_ALL=C.UTF-8
export LC_ALL
traced() { # traced STRACE-OPTION...: one commit
	# LeakSanitizer cannot run under ptrace.
	ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 strace -f -qq -o "$dir/trace" "$@" "$bin/tributary-agent" --state "$st" commit
}
if ! command -v strace >/dev/null 2>&1 || ! strace -f -qq -o "$dir/trace" -e inject=close:error=EIO:when=60000 true 2>/dev/null; then
	echo "1..0 # SKIP strace cannot trace here"
	exit 0
fi
content() { # of the file and of what belongs to it; -shm carries the marks of readers
	for f in "$db" "$db-wal" "$db-journal"; do
		[ ! -e "$f" ] || sha256sum <"$f"
	done
}
hold_open() { # a program that has the database open, until release; it has read when this returns: the first to open a -wal locks others out
	rm -f "$dir/holds"
	mkfifo "$dir/fifo"
	sqlite3 -bail "$db" <"$dir/fifo" >/dev/null &
	exec 3>"$dir/fifo"
	printf '%s\n' "SELECT count(*) FROM points;" ".shell touch $dir/holds" >&3
	soon test -e "$dir/holds"
}
release() {
	exec 3>&-
	wait
	rm -f "$dir/fifo"
}
count() { # how many commits the city's half and the private one have
	git -C "$st/repo.git" rev-list --count main
	[ ! -e "$st/private.git" ] || git -C "$st/private.git" rev-list --count main
}
by_mode() { # what is another way in this mode, before and in the night
	case $1 in
	private-before) agent $a config set private points.note && agent $a config set private journal && agent $a commit ;;
	private-night) sqlite3 "$db" "INSERT INTO journal VALUES('GEHEIM'), (randomblob(300)); UPDATE points SET note = 'GEHEIM' || id WHERE id % 50 = 2" ;;
	parts-night) sqlite3 "$db" "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i < 12) INSERT INTO points SELECT 20000 + i, 'x', i, randomblob(920000) FROM c" ;;
	esac
}
begin() { # begin MODE: an office after its first commit, and then a night: all kinds of change, a page that overflows, a table that is new
	rm -rf "${dir:?}/$a" "$dir/before"
	office $a community x || return 1
	case $1 in wal*) journal=wal ;; *) journal=delete ;; esac
	sqlite3 "$db" "PRAGMA journal_mode=$journal; WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i < 300)
		INSERT INTO points SELECT 100 + i, '王**', i, randomblob(40) FROM c" && agent $a commit && by_mode "$1-before" || return 1
	[ "$1" != wal-open ] || hold_open || return 1
	sqlite3 "$db" "DELETE FROM points WHERE id % 9 = 0; UPDATE points SET points = points + 1 WHERE id % 50 = 1;
		INSERT INTO demand VALUES('d9', '停水', 'reported', 9); INSERT INTO points VALUES(9999, 'x', 1, randomblob(9000)); CREATE TABLE late(id INTEGER PRIMARY KEY, x);
		INSERT INTO late VALUES(1, 'late')" && by_mode "$1-night" || return 1
	cp -a "$st" "$dir/before"
	night=$(count)
	sqlite3 "$db" .dump >"$dir/wanted"
	bytes=$(content)
}
list_calls() { # list_calls MODE: every call of a commit that goes well, as "NAME HOW-MANYTH"
	traced || return 1
	agent $a check || return 1
	whole=$(count)
	echo "$night, then $whole"
	case $1 in
	private) [ "$(echo "$night" | wc -l)" = 2 ] && [ "$(echo "$whole" | tail -n 1)" -gt "$(echo "$night" | tail -n 1)" ] || return 1 ;;
	parts) [ "$whole" -ge $((night + 2)) ] && git -C "$st/repo.git" cat-file blob main:manifest | grep -q '^part [2-9]' || return 1 ;;
	esac
	sed -n 's/^[0-9]* *\([a-z_0-9]*\)(.*/\1/p' "$dir/trace" | grep -vE '^(execve|exit|exit_group)$' | awk '{print $1, ++n[$1]}' >"$dir/calls"
	[ "$(wc -l <"$dir/calls")" -gt 100 ] && [ "$(echo "$whole" | head -n 1)" -gt "$(echo "$night" | head -n 1)" ]
}
right() { # the next commit: everything, and nothing twice
	agent $a commit >"$dir/said" 2>&1 || { cat "$dir/said"; return 1; }
	if [ -e "$st/pending" ] || [ -e "$st/pending.tmp" ]; then
		echo "something was left behind"
		return 1
	fi
	same "$(count)" "$whole" && same "$(content)" "$bytes" || return 1
	rm -f "$dir/r.db"
	agent $a check --read-data >"$dir/said" 2>&1 && git -C "$st/repo.git" fsck --strict >>"$dir/said" 2>&1 &&
		{ [ ! -e "$st/private.git" ] || git -C "$st/private.git" fsck --strict >>"$dir/said" 2>&1; } &&
		agent $a restore --at HEAD --to "$dir/r.db" >>"$dir/said" 2>&1 || { cat "$dir/said"; return 1; }
	sqlite3 "$dir/r.db" .dump | sort >"$dir/got"
	sort "$dir/wanted" | diff - "$dir/got"
}
killed_at() { # killed_at CALL N
	at_call=$2
	while :; do
		rm -rf "$st"
		cp -a "$dir/before" "$st"
		traced -e "trace=$1" -e "inject=$1:signal=KILL:when=$at_call" >"$dir/said" 2>&1
		case $? in
		137) hit=$((hit + 1)) && break ;;
		0) ;; # threads wait for each other more often or less from run to run: this call was not made so often
		*) cat "$dir/said"; return 1 ;;
		esac
		[ "$at_call" -gt 1 ] || break
		at_call=$((at_call - 1 - at_call / 8))
	done
	right || { echo "killed at call $at_call of $1"; return 1; }
}
killed_everywhere() {
	hit=0
	tried=0
	at=0
	while read -r call number <&4; do
		at=$((at + 1))
		[ $((at % stride)) = 0 ] || continue
		tried=$((tried + 1))
		killed_at "$call" "$number" || return 1
	done 4<"$dir/calls"
	echo "killed at $hit of $tried calls, of $at that a commit makes" | tee "$dir/hits"
	[ $((hit * 10)) -ge $((tried * 9)) ]
}
each=$stride
for mode in delete wal wal-open private parts; do
	[ $mode != parts ] || stride=$((each * 8))
	ok "$mode: an office before its night" begin $mode
	ok "$mode: the calls of a commit are listed" list_calls $mode
	ok "$mode: killed at call after call (every ${stride}th): the next commit is right, the history whole" killed_everywhere
	[ ! -e "$dir/hits" ] || sed 's/^/# /' "$dir/hits"
	[ $mode != wal-open ] || release
done
finish
