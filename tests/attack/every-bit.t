#!/bin/sh
# Every single-bit flip and every cut of a small hub (repository, city history, log, city database, certificates, list of revoked certificates, nightly list) and of its
# office's state folder: detected, or harmless; no crash, none over 5 s. tests/tool/rot.c does it, tests/lib/says.h holds the rule of what is harmless.
# ATTACK_STRIDE: every how many-th bit (1: all, about an hour; default: a sample). ATTACK_JOBS: processes. ATTACK_PART: hub or office alone.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
stride=${ATTACK_STRIDE:-2003}
jobs=${ATTACK_JOBS:-2}
part=${ATTACK_PART:-hub office}

# Two commits, a list of revoked certificates, a nightly list.
small_city() {
	city_init && hub_start && mkdir "$dir/$a" && sqlite3 "$dir/$a/office.db" "PRAGMA page_size=512; CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES(1,'一'),(2,'二')" &&
		agent $a init "$dir/$a/office.db" --node $a --app c && enrol $a c 洗马社区 && sql $a "UPDATE t SET v='三' WHERE id=2" && agent $a sync &&
		eventually 三 c "SELECT v FROM t WHERE id=2" && hub_stop && hub user add li --role auditor --out "$dir/li" && hub user revoke li || return 1
	TRIBUTARY_CLOCK_OFFSET=86400
	export TRIBUTARY_CLOCK_OFFSET
	hub_start || return 1
	soon listed || return 1
	hub_stop
}
listed() { [ "$(sqlite3 -readonly "$dir/hub/hub.db" "SELECT count(*) FROM night")" -gt 0 ]; }
# Small pages: less of a file is empty.
small_pages() {
	for db in "$dir/hub/hub.db" "$dir/hub/enrol.db" "$dir/hub/city/c.db" "$dir/$a/state/digests.db"; do
		sqlite3 "$db" "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode=DELETE; PRAGMA page_size=512; VACUUM;" &&
			case $db in */hub/*) sqlite3 "$db" "PRAGMA journal_mode=WAL; PRAGMA wal_checkpoint(TRUNCATE)" ;; esac || return 1
	done
	hub audit && agent $a check --read-data && rm -f "$dir/hub"/*-wal "$dir/hub"/*-shm "$dir/hub/city"/*-wal "$dir/hub/city"/*-shm
}
{ small_city && small_pages; } >"$dir/made" 2>&1 || { sed 's/^/# /' "$dir/made"; echo "Bail out! no city"; exit 1; }

# rot VERB FOLDER: one copy a process, in memory where there is room.
rot() {
	room=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d -p "$dir") || return 1
	copies=
	j=0
	while [ $j -lt "$jobs" ]; do
		cp -a "$2" "$room/$j" || return 1
		copies="$copies $room/$j"
		j=$((j + 1))
	done
	# shellcheck disable=SC2086 # folders of ours, without blanks
	"$bin/tests/tool/rot" "$1" "$stride" "${ATTACK_START:-7}" $copies
	rc=$?
	rm -rf "$room"
	return $rc
}
for p in $part; do
	case $p in
	hub) rot audit "$dir/hub" ;;
	office) rot check "$dir/$a/state" ;;
	esac || echo "Bail out! $p: the test itself failed"
done | sed -u -n -e 's/^1\.\.\([0-9]*\)$/PLAN \1/' -e p | awk '
	/^PLAN / { plan += $2; base = plan; next }
	/^(not )?ok [0-9]+ / { i = $1 == "ok" ? 2 : 3; $i = base + $i }
	{ print }
	END { print "1.." plan + 0 }'
