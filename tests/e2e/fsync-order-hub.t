#!/bin/sh
# shellcheck disable=SC2034 # hub_pid and province_pid are for the harness, which ends both
# At the hub nothing is acknowledged before it is on the disk (docs/ARCHITECTURE.md, Order of durability). A kill does not show a missing fsync; system calls do.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
LC_ALL=C.UTF-8
export LC_ALL
if ! command -v strace >/dev/null 2>&1 || ! strace -D -f -qq -y -o "$dir/trace" true 2>/dev/null; then
	echo "1..0 # SKIP strace cannot trace here"
	exit 0
fi
traced() { # traced COMMAND...: all its processes; LeakSanitizer cannot run under ptrace
	ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 exec strace -D -f -qq -y -s 64 -o "$dir/trace" -e trace=fsync,fdatasync,rename,renameat,renameat2,link,write,pwrite64,sendto,sendmsg "$@"
}
hub_traced() {
	rm -f "$dir/hub/run/listen"
	(traced "$bin/tributary-hub" --state "$dir/hub" serve --listen "127.0.0.1:$port") >"$dir/serve.out" 2>>"$dir/serve.log" &
	hub_pid=$!
	soon test -s "$dir/hub/run/listen"
}
province_traced() {
	(traced "$bin/tributary-hub" witness serve "$dir/province" --listen "127.0.0.1:$province_port") >"$dir/province.out" 2>>"$dir/province.log" &
	province_pid=$!
	soon grep -q listening "$dir/province.out"
}
# Lines "PID sync PATH" (when it is done), "PID name FROM TO" and "PID link FROM TO", "PID wrote PATH", "PID told TYPE" (an answer of the keeper),
# "PID answer WORDS" (HTTP), paths relative to the folder. What begins a call counts for names and words, what ends it for syncs.
calls() {
	tr -d '\000' <"$dir/trace" | sed "s#$1/##g; s#$1>#.>#" | awk '
		function path(s) {sub(/^[^<]*</, "", s); sub(/>.*$/, "", s); return s}
		{pid = $1; line = $0; sub(/^[0-9]+ +/, "", line)}
		line ~ /^f(data)?sync\(/ && line ~ /= 0$/ {print pid, "sync", path(line); next}
		line ~ /^f(data)?sync\(.*unfinished/ {waits[pid] = path(line); next}
		line ~ /^<\.\.\. f(data)?sync resumed>.*= 0$/ {print pid, "sync", waits[pid]; next}
		line ~ /^(rename|link)/ && line !~ /= -1/ {split(line, q, "\""); print pid, (line ~ /^link/ ? "link" : "name"), q[2], q[4]; next}
		line ~ /^(sendto|write)\([0-9]+<(socket|TCP|UNIX)[^>]*>, "BIRT\\6/ {print pid, "told 6"; next}
		line ~ /^(sendto|write|sendmsg)\([0-9]+<(socket|TCP)/ {if (match(line, /HTTP\/1\.1 [0-9]+/)) print pid, "answer", substr(line, RSTART + 9, RLENGTH - 9); next}
		line ~ /^p?write(64)?\(/ {print pid, "wrote", path(line)}'
}
# Prints what is out of order. Content has no name before its fsync; a folder is synced after its names and before the next step; and the steps of a push come in order.
push_order() {
	calls "$dir/hub" | tee "$dir/calls" | awk '
		function folder(p) {return sub("/[^/]*$", "", p) ? p : "."}
		function all_safe(what,  d) {for (d in open_dir) print what " before the fsync of " d; if (dirty["hub.db-wal"]) print what " before the fsync of hub.db-wal"}
		$2 == "wrote" {dirty[$3] = 1; synced[$3] = 0}
		$2 == "sync" {if ($3 == "hub.db-wal" && dirty[$3] && packed && !committed) {committed = 1; for (d in open_dir) print "hub.db before the fsync of " d}
			synced[$3] = 1; dirty[$3] = 0; delete open_dir[$3]}
		$2 == "link" {synced[$4] = synced[$3]}
		$2 != "name" && $2 != "told" {next}
		$2 == "name" && $4 ~ /^(run|audited)/ {next}
		$2 == "name" && !synced[$3] {print $4 " without fsync of its content"}
		$4 ~ /^repos\/.*\/objects\/pack\/.*\.(pack|idx)$/ {packed++}
		$4 ~ /refs\/heads\/main$/ && $4 ~ /^repos/ {if (!committed) print "the ref before hub.db"; all_safe("the ref"); ref++}
		$4 == "checkpoint" {if (!ref) print "the checkpoint before the ref"; all_safe("the checkpoint"); checkpoint++}
		$4 ~ /refs\/heads\/down$/ {if (!checkpoint) print "the down commit before the checkpoint"; all_safe("the down commit"); down++}
		$2 == "told" {if (ref && !told) {if (!down) print "the answer before the receipt"; all_safe("the answer"); told++} next}
		$4 ~ /^log\/tile\// {tiles++}
		$4 == "log/checkpoint" {all_safe("the published checkpoint"); published++}
		{open_dir[folder($4)] = 1}
		END {if (packed != 2 || ref != 1 || !checkpoint || !down || !told || tiles < 2 || !published) print "not seen: " packed, ref, checkpoint, down, told, tiles, published}'
}
witness_order() {
	calls "$dir/province" | tee "$dir/calls" | awk '
		function folder(p) {return sub("/[^/]*$", "", p) ? p : "."}
		$2 == "wrote" {synced[$3] = 0}
		$2 == "sync" {synced[$3] = 1; delete open_dir[$3]}
		$2 == "name" {if (!synced[$3]) print $4 " without fsync of its content"; open_dir[folder($4)] = 1; kept++}
		$2 == "answer" && $3 == 200 {if (!kept) print "an answer, and nothing was kept"; for (d in open_dir) print "the answer before the fsync of " d; answers++}
		END {if (!kept || !answers) print "not seen: " kept + 0, answers + 0}'
}
in_order() {
	"$1" >"$dir/order"
	cat "$dir/order"
	[ ! -s "$dir/order" ] || { head -n 200 "$dir/calls"; return 1; }
}
made() { city_init && hub_start && office $a community x && enrol $a community x && agent $a sync && hub_stop; }
ok "a city with an office" made
ok "its hub is traced" hub_traced
ok "and at rest" at_rest
push() { : >"$dir/trace"; sql $a "INSERT INTO demand VALUES('e1', '停水', 'reported', 1)" && agent $a sync && at_rest; }
ok "a push" push
ok "pack, hub.db, ref, checkpoint, receipt, answer; tiles before the checkpoint that covers them" soon in_order push_order
hub_stop
ok "a witness" province_init
province_stop
ok "is traced" province_traced
asked() { : >"$dir/trace"; sql $a "INSERT INTO demand VALUES('e2', '停水', 'reported', 1)" && hub_start && agent $a sync && hub witness ask; }
ok "and asked" asked
ok "what it cosigned is kept before it answers" soon in_order witness_order
finish
