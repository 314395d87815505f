#!/bin/sh
# What a loss of power may not undo is on the disk before what builds on it, and a commit's fsyncs come in groups (D4.7, D15.8). Judged by its system calls.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
LC_ALL=C.UTF-8
export LC_ALL
if ! command -v strace >/dev/null 2>&1 || ! strace -f -qq -y -o "$dir/trace" true 2>/dev/null; then
	echo "1..0 # SKIP strace cannot trace here"
	exit 0
fi
st=$dir/$a/state
traced() { # LeakSanitizer cannot run under ptrace
	sql $a "INSERT INTO demand VALUES('e$1', '停水', 'reported', 1)" || return 1
	ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 strace -f -qq -y -o "$dir/trace" -e trace=fsync,rename,unlink "$bin/tributary-agent" --state "$st" commit
}
# Lines "fsync PATH", "rename FROM TO", "unlink PATH" of what went well, paths relative to the state folder.
calls() {
	sed -n 's/^[0-9]* *//; / = 0$/!d; s/^fsync([0-9]*<\(.*\)>) .*/fsync \1/p; s/^rename("\(.*\)", "\(.*\)") .*/rename \1 \2/p; s/^unlink("\(.*\)") .*/unlink \1/p' "$dir/trace" |
		sed "s#$st/#./#g; s#$st\$#.#"
}
# Prints what is out of order: content has no name before its fsync; folders are synced after their names and before the next step.
order() {
	calls | awk '
		function folder(p) {sub("/[^/]*$", "", p); return p}
		function all_safe(what,  d) {for (d in open_dir) print what " before the fsync of " d}
		$1 == "fsync" {synced[$2] = 1; delete open_dir[$2]}
		$1 == "rename" && $3 ~ /last-capture$/ {next} # may be lost
		$1 == "rename" && !synced[$2] {print $3 " without fsync of its content"}
		$1 == "rename" && $3 == "./pending" {all_safe($3); seen++}
		$1 == "unlink" && $2 == "./pending" {
			all_safe("removed " $2)
			if (!synced["./baseline"] || !synced["./baseline.sums"]) print "pending removed before its pages were safe"
			seen++
		}
		$1 == "rename" {open_dir[folder($3)] = 1}
		END {if (seen != 2) print "pending was not made and removed"}'
}
in_order() {
	order >"$dir/order"
	cat "$dir/order"
	[ ! -s "$dir/order" ]
}
# Runs of fsyncs: between two of them something got its name or lost it.
groups() { calls | grep -v '^unlink .*\.lock$' | awk '{if ($1 == "fsync" && was != "fsync") n++; was = $1} END {print n + 0}'; }
few() { # objects; pending and the objects folders; its name; what is redone; the names of that
	calls
	[ "$(groups)" -le 5 ] && [ "$(calls | grep -c ^fsync)" -le 24 ]
}
ok "an office" office $a community x
ok "a commit" traced 1
ok "content before names, names before the next step" in_order
ok "at most five groups of fsyncs" few
unchanged() {
	ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 strace -f -qq -y -o "$dir/trace" -e trace=fsync,fdatasync "$bin/tributary-agent" --state "$st" commit --full-scan || return 1
	! grep -F 'sync(' "$dir/trace"
}
ok "a capture that finds nothing syncs nothing" unchanged
finish
