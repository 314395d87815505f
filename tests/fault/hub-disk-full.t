#!/bin/sh
# A full disk under the hub: the office is told, keeps what it has, and when there is room everything arrives; the audit proves it (I1, I5).
. "$(dirname "$0")/../lib/harness.sh"
. "$(dirname "$0")/../lib/small-disk.sh"
a=520303002001
LC_ALL=C.UTF-8
export LC_ALL

ok "a small disk under the hub" small 24 "$dir/hub"
up() { city_init && hub_start && office $a desk 洗马社区 && enrol $a desk 洗马社区 && agent $a sync; }
ok "a hub, and an office syncs" up
row=0
refused=0
held() { hub status --json | grep -q "\"held\": $1"; }
in_city() { eventually "$row" desk "SELECT count(*) FROM points WHERE id > 100"; }
round() { # round KIB: the office's night while the hub has so much room
	row=$((row + 1))
	sql $a "INSERT INTO points VALUES(100 + $row, 'r$row', $row, randomblob(60000))" || return 9
	at_rest || return 8 # what the hub still had to write would take from the room
	fill "$dir/hub" "$1"
	agent $a sync >"$dir/said" 2>&1
	got=$?
	seq=$(agent $a log | wc -l)
	[ $got -ne 0 ] || held "$seq" || { echo "exit 0, but the hub does not hold #$seq"; return 1; }
	room "$dir/hub"
	cat "$dir/said"
	case $got in
	0) ;;
	18)
		refused=$((refused + 1))
		grep -q "the hub refused: no-space" "$dir/said" || return 1
		;;
	*) return 1 ;;
	esac
	agent $a sync && held "$seq" && in_city && hub audit && agent $a check --read-data
}
for k in 0 64 128; do
	ok "a push to a hub with $k KiB of room" round $k
done
told() { same $refused 3; }
ok "each was refused as no-space" told
for k in 150 300 900; do # enough for the push, not for the merge or what follows it
	ok "a push to a hub with $k KiB of room" round $k
done
floor() { same $refused 6 && grep -q "that must stay" "$dir/said"; }
ok "the last twentieth of a disk is for hub.db to say what is held" floor
for k in 1700 2200; do # and what the hub writes meanwhile
	ok "a push to a hub with $k KiB of room" round $k
done
taken() { same $refused 6; }
ok "with more than that it is taken" taken
ok "the hub ends when asked" hub_stop
fill "$dir/hub" 0
start_or_serve() { hub_start || ! kill -0 "$hub_pid" 2>/dev/null; }
ok "a hub on a full disk starts, or says why not" start_or_serve
hub_stop
room "$dir/hub"
ok "with room it starts" hub_start
row=$((row + 1))
sql $a "INSERT INTO points VALUES(100 + $row, 'r$row', $row, NULL)"
ok "the office syncs" agent $a sync
ok "its row is in the city" in_city
ok "and the audit proves all of it" hub audit
finish
