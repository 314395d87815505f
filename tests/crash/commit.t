#!/bin/sh
# kill -9 at every point of a commit: the next command finds the history before or after it, whole, and goes on.
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
case $build in /*) ;; *) build=$PWD/$build ;; esac
agent=$build/tributary-agent
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
unset TRIBUTARY_STATE TRIBUTARY_CLOCK_OFFSET TRIBUTARY_CRASH_AT
export LC_ALL=C
n=0
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
sql() { sqlite3 "$dir/office.db" "$1"; }
seq_now() { a log --limit 1 | sed 's/^[0-9a-f]* #\([0-9]*\).*/\1/'; }
killed_at() { # killed_at POINT COMMAND...: the command dies by SIGKILL there
	point=$1
	shift
	TRIBUTARY_CRASH_AT=$point "$agent" --state "$dir/st" "$@" >"$dir/said" 2>&1
	got=$?
	[ "$got" = 137 ] || { echo "exit $got instead of a kill at $point"; cat "$dir/said"; return 1; }
}
whole() { # the folder goes on: commit, proof, and the restored file is the office's
	a commit || return 1
	a check --read-data || return 1
	if [ -e "$dir/st/pending" ] || [ -e "$dir/st/pending.tmp" ]; then
		echo "something was left behind"
		return 1
	fi
	git -C "$dir/st/repo.git" fsck --strict || return 1
	rm -f "$dir/r.db"
	a restore --at HEAD --to "$dir/r.db" || return 1
	sqlite3 "$dir/office.db" .dump | sort >"$dir/x"
	sqlite3 "$dir/r.db" .dump | sort >"$dir/y"
	diff "$dir/x" "$dir/y"
}
fresh() {
	rm -rf "$dir/st" "$dir/office.db"
	sql "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t VALUES(1, '张三'), (2, '李四');"
}
# Every commit of this folder stands once in `own`, and nothing else does.
own_is_right() {
	git -C "$dir/st/repo.git" rev-list main | sort >"$dir/x"
	sort "$dir/st/own" >"$dir/y"
	diff "$dir/x" "$dir/y"
}

fresh
a init "$dir/office.db" --node 520303002001 >/dev/null 2>&1
want=$(seq_now)
night=0
for point in objects-written commit-judged group-judged pending-written pending-renamed ref-moved baseline-applied tip-saved; do
	night=$((night + 1))
	sql "INSERT INTO t VALUES(100 + $night, '$point'); UPDATE t SET name = name || '.' WHERE id = 1;"
	check "killed at $point" killed_at "$point" commit
	check "after $point the next commit is right" whole
	want=$((want + 1))
	check "after $point the change is in the history exactly once" test "$(seq_now)" = "$want"
	check "after $point own lists every commit once" own_is_right
done

for point in objects-written pending-written pending-renamed baseline-applied; do
	fresh
	check "the first commit killed at $point" killed_at "$point" init "$dir/office.db" --node 520303002001
	check "after it the folder goes on" whole
done

# A change of the schema is a group: the old schema's part, then the new one's.
fresh
a init "$dir/office.db" --node 520303002001 >/dev/null 2>&1
sql "ALTER TABLE t ADD COLUMN note TEXT DEFAULT '无'; CREATE TABLE gone(a PRIMARY KEY); INSERT INTO gone VALUES(1);"
a commit >/dev/null 2>&1
sql "DROP TABLE gone; UPDATE t SET note = '有' WHERE id = 1;"
check "a group killed between its parts" killed_at commit-judged:1 commit --accept-loss
check "after it none of the group is there, then all of it" whole
echo "1..$n"
