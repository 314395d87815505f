#!/bin/sh
# An old copy of an office's folder goes on from where the hub stands (`reset`, D5.6), and is killed at every step of that: before the commit point all is as it
# was and a second `reset` does it, after it the next `sync` goes on; no row of the database is lost, in the city or at home, and none is there twice (I1).
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
st=$dir/$a/state
LC_ALL=C.UTF-8
export LC_ALL

quiet() { "$@" >"$dir/quiet" 2>&1 || { cat "$dir/quiet"; return 1; }; }
ok "a city" city_init
ok "the hub listens" hub_start
ok "an office" office $a community 洗马社区
ok "enrols" enrol $a community 洗马社区
ok "and syncs" agent $a sync

main() { git -C "$st/repo.git" rev-parse main; }
# The office has a night, and its folder and database come back from before it; then people go on and the folder commits that.
comes_back() { # comes_back N
	rm -rf "$dir/before"
	cp -a "$st" "$dir/before" && cp "$dir/$a/office.db" "$dir/before.db" || return 1
	sql $a "INSERT INTO demand VALUES('lost$1', '副本没有的', 'reported', $1); UPDATE points SET points = points + 1 WHERE id = 1; INSERT INTO journal VALUES('夜 $1')"
	quiet agent $a sync || return 1
	there=$(main)
	rm -rf "$st" && cp -a "$dir/before" "$st" && cp "$dir/before.db" "$dir/$a/office.db" || return 1
	sql $a "INSERT INTO demand VALUES('own$1', '备份之后', 'reported', $1); UPDATE points SET note = 'n$1' WHERE id = 2; INSERT INTO journal VALUES('同一行'), ('后 $1')"
	quiet stopped && here=$(main)
}
stopped() { agent $a sync; same $? 16; }
killed() { # killed POINT
	TRIBUTARY_CRASH_AT=$1 agent $a reset >"$dir/said" 2>&1
	got=$?
	[ $got = 137 ] && git -C "$st/repo.git" rev-parse -q --verify refs/tributary/other && return
	echo "exit $got instead of a kill"
	cat "$dir/said"
	return 1
}
again() { # nothing has moved: the folder is stopped as before, and may be told to go on as before
	same "$(main)" "$here" && quiet stopped && same "$(main)" "$here" && agent $a reset && agent $a sync
}
city_rows() { city community "SELECT id, title, status, n FROM demand WHERE _node='$a' ORDER BY id; SELECT id, person, points, hex(note) FROM points WHERE _node='$a' ORDER BY id; SELECT line, _count FROM _bag_journal WHERE _node='$a' ORDER BY line"; }
rows() { sqlite3 "$1" "SELECT id, title, status, n FROM demand ORDER BY id; SELECT id, person, points, hex(note) FROM points ORDER BY id; SELECT line, count(*) FROM journal GROUP BY line ORDER BY line"; }
equal() { same "$(city_rows)" "$(rows "$dir/$a/office.db")"; }
g() { git -C "$st/repo.git" "$@"; }
whole() { # whole N: of the history, at home
	if [ -e "$st/pending" ] || [ -e "$st/pending.tmp" ]; then
		echo "something was left behind"
		return 1
	fi
	quiet agent $a check --read-data && quiet g fsck --strict || return 1
	rm -f "$dir/r.db"
	quiet agent $a restore --at HEAD --to "$dir/r.db" && same "$(rows "$dir/r.db")" "$(rows "$dir/$a/office.db")" || return 1
	# One reset, directly after where the hub stood; what was committed apart is kept, once.
	same "$(g rev-list --reverse "$there..main" | while read -r oid; do g cat-file blob "$oid:manifest" | sed -n 's/^kind //p'; done | tr '\n' ' ')" "reset " &&
		same "$(g rev-parse main^)" "$there" && same "$(g for-each-ref --points-at "$here" 'refs/tributary/aside-*' | wc -l)" 1 &&
		same "$(g for-each-ref 'refs/tributary/aside-*' | wc -l)" "$1" || return 1
	g rev-list main | sort >"$dir/x"
	same "$(sort "$st/own" | comm -12 - "$dir/x")" "" # all have receipts
}
# The copy's database lacks that night, which a reset says to the city; the night itself stays in the history.
lost() { rm -f "$dir/n.db" && quiet agent $a restore --at "$there" --to "$dir/n.db" && same "$(sqlite3 "$dir/n.db" "SELECT title FROM demand WHERE id = 'lost$1'")" 副本没有的; }
next_night() {
	sql $a "INSERT INTO demand VALUES('next$1', '次日', 'reported', $1)"
	quiet agent $a sync && soon equal && quiet agent $a check --read-data
}
named() { # the rows in which the city's state and the database differ, those of a table without a key, too
	agent $a reset --dry-run >"$dir/said" 2>&1
	same "$(sed -n 's/^ *\([-+~] [a-z]* [^ ]*\).*/\1/p' "$dir/said" | sort)" "$(printf '%s\n' "+ demand id='own1'" "+ journal line='后" "- demand id='lost1'" "- journal line='夜" \
		"~ journal line='同一行'" "~ points id=1" "~ points id=2" | sort)" || { cat "$dir/said"; return 1; }
}
i=0
moved=
for point in objects-written set-aside offered-moved own-widened pending-written pending-renamed ref-moved tip-saved history-moved; do
	i=$((i + 1))
	ok "$point: a folder that is an old copy is stopped" comes_back $i
	[ $i != 1 ] || ok "what a reset would change in the city is named" named
	ok "$point: killed on its way to the hub's history" killed $point
	[ $point != pending-renamed ] || moved=yes
	if [ -z "$moved" ]; then
		ok "$point: it is where it was, and a second reset goes on" again
	else
		ok "$point: the next sync goes on" agent $a sync
	fi
	ok "$point: the city has this database's rows, each once" soon equal
	ok "$point: one reset, one copy of what was apart, all proven and restored" whole $i
	ok "$point: the night that the copy lacked is restored from the history" lost $i
	ok "$point: the next night is as any other" next_night $i
done
ok "the audit proves the city" hub audit
finish
