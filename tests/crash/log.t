#!/bin/sh
# The published log under kill -9: between tiles and checkpoint, after the checkpoint, and in the middle of being made again.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001

killed() { # killed POINT COMMAND...
	point=$1
	shift
	TRIBUTARY_CRASH_AT=$point "$@" >"$dir/killed" 2>&1
	[ $? -eq 137 ] || { cat "$dir/killed"; return 1; }
}
ok "a city is made" city_init
ok "the hub listens" hub_start
ok "an office" office $a community 洗马社区
ok "enrols" enrol $a community 洗马社区
ok "and syncs" agent $a sync
hub_stop
for point in tiles-written log-published; do
	ok "making the published log again is killed at $point" killed $point hub rebuild
	whole() { hub audit && ls "$dir"/hub/log; }
	ok "what is there is right" whole
	ok "and the next run ends it" hub rebuild
	ok "all is proven" hub audit
done
# The keeper itself: it is started again, and each life goes on where the last one ended.
TRIBUTARY_CRASH_AT=tiles-written
export TRIBUTARY_CRASH_AT
hub user add wang --role auditor --out "$dir/auditor" >/dev/null
"$bin/tributary-hub" --state "$dir/hub" serve --listen 127.0.0.1:0 >/dev/null 2>"$dir/serve.log"
ok "a keeper that dies at every publication brings the hub down" same $? 1
unset TRIBUTARY_CRASH_AT
behind() { [ "$(sed -n 2p "$dir/hub/log/checkpoint")" -lt "$(sqlite3 -readonly "$dir/hub/hub.db" "SELECT count(*) FROM leaf")" ]; }
ok "the published checkpoint is behind" behind
ok "and what it covers is right" hub audit
ok "the hub starts" hub_start
even() { same "$(sed -n 2p "$dir/hub/log/checkpoint")" "$(sqlite3 -readonly "$dir/hub/hub.db" "SELECT count(*) FROM leaf")"; }
caught_up() {
	soon even
}
ok "and catches up" caught_up
hub_stop
ok "all is proven at the end" hub audit
finish
