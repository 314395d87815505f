#!/bin/sh
# `watch` beside programs that write, in both journal modes: every capture is a state between two transactions; kill -9 leaves a history that goes on; what
# it captured is one commit at the hub, unless the office wants it fine.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
st=$dir/$a/state
db=$dir/$a/office.db
log=$dir/lines
LC_ALL=C.UTF-8
export LC_ALL

# A program with an invariant: each transaction moves an amount, so the sum stays 0 and both sides have as many rows.
cat >"$dir/program.py" <<'E2'
import os, sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
db.execute("PRAGMA journal_mode=" + sys.argv[2])
db.execute("PRAGMA synchronous=NORMAL")
db.execute("CREATE TABLE IF NOT EXISTS ledger(id INTEGER PRIMARY KEY, side TEXT, amount INT)")
i = 0
while not os.path.exists(sys.argv[3]): # until it is told to end
    i += 1
    db.execute("BEGIN IMMEDIATE")
    for side, sign in (("in", 1), ("out", -1)):
        for k in range(5):
            db.execute("INSERT INTO ledger(side, amount) VALUES(?, ?)", (side, sign * i))
    if i % 3 == 0:
        db.execute("UPDATE ledger SET amount = amount * 2 WHERE id % 7 = 0 AND side = 'none'")
        db.execute("DELETE FROM ledger WHERE id IN (SELECT min(id) FROM ledger WHERE side = 'in' UNION SELECT min(id) FROM ledger WHERE side = 'out')")
    db.execute("COMMIT")
    time.sleep(0.02)
while not os.path.exists(sys.argv[3] + ".close"): # the database stays open
    time.sleep(0.02)
E2
program() { # program MODE: begins, in the background
	rm -f "$dir/enough" "$dir/enough.close"
	python3 "$dir/program.py" "$db" "$1" "$dir/enough" >"$dir/program.out" 2>&1 &
	program_pid=$!
}
program_end() {
	touch "$dir/enough" "$dir/enough.close"
	wait $program_pid || { cat "$dir/program.out"; return 1; }
}
watch_start() { # watch_start [SECONDS]
	"$bin/tributary-agent" --state "$st" --json -v watch --interval "${1:-1}" >>"$log" 2>"$dir/watch.err" &
	watch_pid=$!
}
watch_end() { # its exit status
	kill "-$1" $watch_pid 2>/dev/null
	wait $watch_pid
}
seq_now() { git -C "$st/repo.git" rev-list --count main; }
invariant() { # of every commit: the rows of both sides are as many
	for oid in $(git -C "$st/repo.git" rev-list main); do
		rm -f "$dir/at.db"
		agent $a restore --at "$oid" --to "$dir/at.db" >/dev/null || return 1
		has=$(sqlite3 "$dir/at.db" "SELECT count(*) FROM sqlite_schema WHERE name = 'ledger'")
		[ "$has" = 0 ] || same "$(sqlite3 "$dir/at.db" "SELECT sum(side = 'in') - sum(side = 'out') FROM ledger")" 0 || return 1
	done
}
whole() {
	agent $a commit && agent $a check --read-data && git -C "$st/repo.git" fsck --strict || return 1
	rm -f "$dir/r.db"
	agent $a restore --at HEAD --to "$dir/r.db" || return 1
	sqlite3 "$db" .dump | sort >"$dir/x"
	sqlite3 "$dir/r.db" .dump | sort >"$dir/y"
	cmp "$dir/x" "$dir/y"
}

ok "an office" office $a community 洗马社区
refuses 2 "config set watch on" "watch is off by default" agent $a watch
refuses 2 "takes on, off or seconds" "a setting must make sense" agent $a config set watch often
refuses 2 "1 to 86400" "so must an interval" agent $a watch --interval 0
setting() { agent $a config set watch 600 && same "$(agent $a config get watch)" 600 && agent $a config set watch off && same "$(agent $a config get watch)" off; }
ok "it can be set" setting

# WAL: the program keeps the database open all the time.
beside() { # beside MODE: a program and watch, which is killed twice
	watch_start
	program "$1"
	soon more_than $((before + 1)) || return 1
	sleep 0.3
	watch_end KILL
	watch_start
	soon more_than $((before + 2)) || return 1
	sleep 0.1
	watch_end 9
	watch_start
	soon more_than $((before + 3)) || return 1
	[ "$1" != wal ] || soon by_list || return 1
	touch "$dir/enough"
	seen=$(lines_now)
	soon looked_again || return 1
	program_end || return 1
	watch_end TERM
}
by_list() { grep -q '"snapshot":"wal-list"' "$log" || { cat "$log"; return 1; }; }
more_than() { [ "$(seq_now)" -gt "$1" ]; }
lines_now() { wc -l <"$log"; }
looked_again() { [ "$(lines_now)" -gt $((seen + 1)) ]; }
: >"$log"
before=$(seq_now)
ok "watch beside a program in WAL mode, killed twice, then told to end" beside wal
several() { [ "$(seq_now)" -ge $((before + 3)) ] || { seq_now; cat "$dir/watch.err"; return 1; }; }
ok "it made several commits" several
ok "and looked at listed pages alone" by_list
lines() { python3 -c 'import json, sys
events = [json.loads(line)["event"] for line in open(sys.argv[1])]
assert events[-1] == "stopped" and set(events) <= {"committed", "unchanged", "idle", "failed", "stopped"}, events' "$log"; }
ok "each line is one JSON document, the last one says the end" lines
ok "each of its commits is a state between two transactions" invariant
ok "the history is whole and goes on" whole

: >"$log"
before=$(seq_now)
ok "the same in rollback mode" beside delete
ok "it made several commits" several
no_list() { ! grep -q wal-list "$log"; }
ok "there is no list there" no_list
ok "each of its commits is a state between two transactions" invariant
ok "the history is whole and goes on" whole

# Nothing is held between two looks.
free_between() {
	: >"$log"
	watch_start 600
	soon test -s "$log" && soon flock -n "$st/lock" true # it says what it did before it lets go
	flock -n "$st/lock" true && sqlite3 "$db" "PRAGMA journal_mode=WAL; PRAGMA journal_mode=DELETE; BEGIN EXCLUSIVE; COMMIT" && agent $a commit || { watch_end TERM; return 1; }
	ls "/proc/$watch_pid/fd" -l | grep office.db && { watch_end TERM; return 1; }
	watch_end TERM
}
ok "between two looks nothing is open and nothing locked" free_between
idle() { grep -q '"event":"idle"' "$log"; }
quiet() {
	: >"$log"
	watch_start
	soon idle
	seen=$(lines_now)
	soon looked_again
	watch_end INT && idle && ! grep -q '"event":"committed"' "$log"
}
ok "nothing changed: nothing is read" quiet

# The hub.
ok "a city is made" city_init
ok "the hub listens" hub_start
ok "the office enrols with its slip" enrol $a community 洗马社区
ok "and syncs" agent $a sync
held() { git -C "$dir/hub/histories/$a/community.git" rev-list --count main 2>/dev/null || git -C "$(find "$dir/hub" -type d -path "*$a*" -name 'community.git')" rev-list --count main; }
few=$(seq_now)
at_hub() { same "$(held)" "$(seq_now)"; }
ok "the hub holds all of them, put together" at_hub

day() { # day N: captures one after the other
	i=0
	while [ $i -lt "$1" ]; do
		i=$((i + 1))
		sql $a "INSERT INTO ledger(side, amount) VALUES('in', $i), ('out', -$i); UPDATE demand SET n = n + 1; INSERT INTO journal VALUES('row $i'); DELETE FROM journal WHERE line = 'row $((i - 1))'" || return 1
		: >"$log"
		"$bin/tributary-agent" --state "$st" --json watch --interval 1 >"$log" 2>"$dir/watch.err" &
		watch_pid=$!
		soon grep -q committed "$log"
		watch_end TERM
		grep -q committed "$log" || { cat "$log" "$dir/watch.err"; return 1; }
	done
}
ok "five captures by watch" day 5
ok "are five commits here" same "$(seq_now)" $((few + 5))
state=$(git -C "$st/repo.git" cat-file blob main:manifest | grep '^digest ')
sync_says() { agent $a sync >"$dir/said" 2>&1 && grep -q "5 captures of .watch. became 1 commits" "$dir/said" || { cat "$dir/said"; return 1; }; }
ok "sync makes one of them" sync_says
ok "one commit was pushed" same "$(held)" $((few + 1))
ok "with the same state" same "$(git -C "$st/repo.git" cat-file blob main:manifest | grep '^digest ')" "$state"
ok "which is in the city" eventually 1 community "SELECT count(*) FROM _bag_journal WHERE _node='$a' AND line='row 5'"
ok "the history is whole and goes on" whole

few=$(seq_now)
for point in own-widened pending-renamed push-step; do # every point: tests/unit/test_squash.c
	ok "two more captures" day 2
	killed() { TRIBUTARY_CRASH_AT=$point agent $a push; }
	refuses 137 "" "push is killed at $point" killed
	ok "the next one goes through" agent $a push
	few=$((few + 1))
	ok "with one commit" same "$(held)" "$few"
	ok "the history is whole" agent $a check --read-data
done

ok "two captures" day 2
ok "are carried by hand" agent $a bundle create "$dir/by-hand"
ok "two more" day 2
ok "go by wire" agent $a push
few=$((few + 3))
ok "what was carried stays as it was, the others become one" same "$(held)" "$few"
stick() { hub_stop; hub ingest "$dir/by-hand"; got=$?; hub_start && return $got; }
ok "the city reads the stick, too" stick

ok "a table is private now" agent $a config set private points
private_day() { for i in 1 2; do sql $a "UPDATE points SET points = points + 1" && day 1 || return 1; done; }
ok "two captures with a private half" private_day
ok "and two without" day 2
few=$(($(seq_now) - 1))
ok "are pushed" agent $a push
ok "those with a private half stay, the others become one" same "$(held)" "$few"
both() {
	rm -f "$dir/r.db"
	agent $a check --read-data && agent $a restore --at HEAD~1 --to "$dir/r.db" && same "$(sqlite3 "$dir/r.db" "SELECT group_concat(points) FROM points")" "$(sql $a "SELECT group_concat(points) FROM points")"
}
ok "both halves still fit each other" both
ok "the history is whole and goes on" whole

ok "the office wants it fine" agent $a config set fine-history on
ok "three captures" day 3
ok "are pushed" agent $a sync
ok "as they are" same "$(held)" $((few + 3))
ok "the office wants it short again" agent $a config set fine-history off

# sync beside watch: each waits for the other, none fails.
together() {
	: >"$log"
	watch_start
	program wal
	for _ in 1 2 3; do
		sleep 0.7
		agent $a sync || { program_end; watch_end TERM; return 1; }
	done
	program_end || return 1
	watch_end TERM && ! grep '"event":"failed"' "$log"
}
ok "sync works beside watch" together
ok "the history is whole and goes on" whole
ok "and is at the hub" agent $a sync
ok "to the last commit" at_hub
finish
