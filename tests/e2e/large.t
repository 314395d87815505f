#!/bin/sh
# A night larger than one part (D5.1): a group of commits, each with its receipt, that state, merge and restore know only as a whole.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
st=$dir/$a/state
LC_ALL=C.UTF-8
export LC_ALL
fill() { # fill FROM TO: rows of 1 KB that do not compress well
	sql $a "WITH RECURSIVE c(i) AS (SELECT $1 UNION ALL SELECT i + 1 FROM c WHERE i < $2) INSERT INTO paper SELECT i, hex(randomblob(500)) FROM c"
}
ok "a city" city_init
ok "the hub listens" hub_start
setup() { office $a desk 洗马社区 && sql $a "CREATE TABLE paper(id INTEGER PRIMARY KEY, body TEXT)" && agent $a commit && enrol $a desk 洗马社区 && agent $a sync; }
ok "an office in it, two commits" setup

fill 1 18000
parts() {
	agent $a commit >"$dir/said" 2>&1 || { cat "$dir/said"; return 1; }
	m=$(sed -n 's/^commit .* #3 to #\([0-9]*\) (\([0-9]*\) parts): 18000 added, 0 changed, 0 removed$/\2/p' "$dir/said")
	[ "${m:-0}" -ge 3 ] || { cat "$dir/said"; return 1; }
}
ok "a large night is a group of parts" parts
last=$((2 + m))
sizes() { # each about 4 MiB at most, all but the last near to it
	k=3
	while [ $k -le $last ]; do
		size=$(git -C "$st/repo.git" cat-file -s "main~$((last - k)):changeset.gz") || return 1
		echo "#$k: $size"
		[ "$size" -le 5500000 ] && { [ $k -eq $last ] || [ "$size" -ge 3000000 ]; } || return 1
		k=$((k + 1))
	done
}
ok "each part has about 4 MiB compressed" sizes
part_lines() { agent $a log | grep -c "(part [0-9]*/$m)" | { read -r c; same "$c" "$m"; }; }
ok "log names the parts" part_lines

killed() { TRIBUTARY_CRASH_AT=push-step agent $a sync >"$dir/said" 2>&1; same $? 137; }
ok "the office is killed after the first step of the push" killed
held() { sqlite3 -readonly "$dir/hub/hub.db" "SELECT count(*) FROM held WHERE node = '$a'"; }
open_group() { h=$(held); echo "held $h of $last"; [ "$h" -gt 2 ] && [ "$h" -lt $last ]; }
ok "the hub holds some of its parts" open_group
b=520303001011
later() { office $b desk 南京路社区 && enrol $b desk 南京路社区 && agent $b sync && eventually 2 desk "SELECT count(*) FROM demand WHERE _node = '$b'"; }
ok "what another office sends after that is merged" later
not_merged() { same "$(city desk "SELECT count(*) FROM paper" 2>/dev/null || echo 0)" 0 && same "$(city desk "SELECT count(*) FROM demand WHERE _node = '$a'")" 2; }
ok "none of it is in the city" not_merged
ok "the audit proves a city with an open group" hub audit
shows() { agent $a pull && agent $a status >"$dir/said" && cat "$dir/said" && grep -q "^held .*[0-9]/$m of a large night" "$dir/said" && grep -q "wait for the next run" "$dir/said"; }
ok "status says how far it is" shows
whole_in_city() { eventually 18000 desk "SELECT count(*) FROM paper"; }
ok "a new sync completes the group" agent $a sync
ok "and it is merged whole" whole_in_city
all_held() { same "$(held)" $last; }
ok "each part is held once" all_held
ok "the audit proves it" hub audit
ok "the office proves it" agent $a check --read-data

sql $a "UPDATE demand SET n = 7"
ok "a small night after it" agent $a sync
cp "$dir/$a/office.db" "$dir/now.db"
rows_at() { # rows_at WHEN COUNT SEQ
	rm -f "$dir/r.db"
	agent $a restore --at "$1" --to "$dir/r.db" >"$dir/said" 2>&1 || { cat "$dir/said"; return 1; }
	cat "$dir/said"
	grep -q "#$3 " "$dir/said" && same "$(sqlite3 "$dir/r.db" 'SELECT count(*) FROM paper')" "$2"
}
echoes() { # echoes WHEN SEQ
	agent $a restore --at "$1" --to "$dir/r.db" --force --dry-run >"$dir/said" 2>&1
	cat "$dir/said"
	grep -q "#$2 " "$dir/said"
}
ok "HEAD is the small night" echoes HEAD $((last + 1))
ok "HEAD~1 is the whole group" rows_at HEAD~1 18000 $last
ok "HEAD~2 is the night before the group" rows_at HEAD~2 0 2
ok "its first part means its last, and the echo says so" rows_at '#3' 18000 $last
ok "so does a hash inside it" echoes "$(git -C "$st/repo.git" rev-parse main~2 | cut -c1-12)" $last
ok "#2 is before it" echoes '#2' 2
show_all() { agent $a show '#4' >"$dir/said" 2>&1 && grep -q "parts *$m" "$dir/said" && grep -q "18000 added" "$dir/said" || { cat "$dir/said"; return 1; }; }
ok "show counts the group" show_all

# A group that was begun and never ended: killed between its parts at home.
fill 30001 40000
at_home() { TRIBUTARY_CRASH_AT=commit-judged:2 agent $a commit >"$dir/said" 2>&1; same $? 137; }
ok "killed while the second part is made" at_home
nothing_yet() { agent $a log --limit 1 | grep -q "#$((last + 1)) "; }
ok "none of it is in the history" nothing_yet
ok "the next sync makes it whole" agent $a sync
more() { eventually 28000 desk "SELECT count(*) FROM paper"; }
ok "and it reaches the city" more
ok "the audit proves all of it" hub audit
ok "stock git finds the history whole" git -C "$st/repo.git" fsck --strict
finish
