#!/bin/sh
# -n/--dry-run changes nothing: no byte of either state folder, of the database, or of what stands beside them. And what it says is what then happens.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
LC_ALL=C.UTF-8
export LC_ALL

everything() { # names, modes, times and bytes of all that a command could touch; not what this script writes, who held a lock last, nor what a running hub publishes by the clock
	(cd "$dir" && find . \( -path ./hub/run -o -path ./hub/log -o -name 'serve.*' -o -name out -o -name before -o -name lock -o -name '*-shm' \) -prune -o \
		\( -type d -printf '%p %y %m\n' , -type f -printf '%p %y %m %T@ %s\n' -exec sha256sum {} \; \) | sort)
}
still() { # still COMMAND...: it exits 0 and changes nothing
	everything >"$dir/before"
	"$@" || return 1
	everything | diff "$dir/before" -
}

ok "a city" city_init
ok "the hub listens" hub_start
mkdir -p "$dir/first"
sqlite3 "$dir/first/office.db" "CREATE TABLE demand(id TEXT PRIMARY KEY, v); INSERT INTO demand VALUES('a', 1), ('b', 2)"
ok "init" still agent first init -n "$dir/first/office.db" --node $a --app community
ok "(an office)" office $a community 洗马社区
ok "(enrols)" enrol $a community 洗马社区
ok "(and syncs)" agent $a sync
eventually 2 community "SELECT count(*) FROM demand" >/dev/null
published
ok "commit, when nothing changed" still agent $a commit -n
ok "sync, when nothing changed" still agent $a sync -n
sql $a "UPDATE demand SET title = '换' WHERE id = 'd1'; INSERT INTO demand VALUES('d9','新','reported',9); DELETE FROM points WHERE id = 1; INSERT INTO journal VALUES('同一行'),('另一行')"
ok "commit" still agent $a commit -n
ok "sync" still agent $a sync -n
ok "commit, as one document" still agent $a commit -n --json
agent $a commit -n >"$dir/would" 2>&1
agent $a --json commit -n >"$dir/would.json" 2>&1
agent $a commit >"$dir/did" 2>&1
alike() { same "$(tail -n +2 "$dir/would")" "$(tail -n +2 "$dir/did")" && same "$(sed -n '1s/would make a commit: //p' "$dir/would")" "$(sed -n '1s/commit [0-9a-f]* #[0-9]*: //p' "$dir/did")"; }
ok "its counts for each table are those of the commit that follows" alike
tables() { python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
t = {x["table"]: (x["added"], x["changed"], x["removed"], x["rows"]) for x in d["tables"]}
print(d)
sys.exit(not (d["outcome"] == "changed" and t["demand"] == (1, 1, 0, 3) and t["points"] == (0, 0, 1, 1)))' "$dir/would.json"; }
ok "to a program too" tables
ok "push" still agent $a push -n
ok "pull" still agent $a pull -n
ok "restore" still agent $a restore -n --at HEAD --to "$dir/$a/then.db"
ok "the hub: node add" still hub node add 520303009009 --app community --name 新 --url "$url" --slip "$dir/new.slip" -n
ok "node revoke" still hub node revoke $a --app community --reason stolen -n
ok "node replace" still hub node replace $a --app community --url "$url" --slip "$dir/new.slip" -n
ok "user add" still hub user add audit1 --role auditor --out "$dir/auditor" -n
ok "bundle create" still hub bundle create "$dir/down.bundle" --node $a --app community -n
ok "the agent: bundle create" still agent $a bundle create "$dir/up.bundle" -n
ok "config set" still agent $a config set private demand.title -n
ok "cert renew" still agent $a cert renew -n
ok "cert rotate" still agent $a cert rotate -n
ok "check" still agent $a check -n
agent $a bundle create "$dir/up.bundle" >/dev/null 2>&1
hub bundle create "$dir/down.bundle" --node $a --app community >/dev/null 2>&1
ok "bundle apply" still agent $a bundle apply "$dir/down.bundle" -n
git -C "$dir/$a/state/repo.git" bundle create -q "$dir/repo.bundle" main
ok "ingest" still hub ingest "$dir/repo.bundle" -n
hub node add 520303009009 --app community --name 新 --url "$url" --slip "$dir/new.slip" >/dev/null 2>&1
office 520303009009 community 新 >/dev/null 2>&1
ok "enrol" still agent 520303009009 enrol --slip "$dir/new.slip" -n
agent 520303009009 enrol --slip "$dir/new.slip" >/dev/null 2>&1
ok "node approve" still hub node approve 520303009009 --app community -n
ok "node reject" still hub node reject 520303009009 --app community -n
ok "restore" still hub restore -n --node $a --app community --at latest --to "$dir/hub-then.db"
hub_stop
ok "rebuild" still hub rebuild -n

# A run by a timer is known from its calls alone.
no_timer() { agent $a status | grep -q '^next run .*no timer' && agent $a --json status | grep -q '"next_run": null'; }
ok "status says that no timer calls" no_timer
agent $a sync --if-due >/dev/null 2>&1
timer() { ! agent $a status | grep -q 'no timer' && agent $a --json status | grep -q '"next_run": "'; }
ok "once it was called, when the next run is" timer
finish
