#!/bin/sh
# kill -9 between any two steps of publication, merge and receipt (I1, I4): afterwards nothing is lost, nothing is twice, and the audit proves it.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001

setup() { city_init && hub_start && office $a community 洗马社区 && enrol $a community 洗马社区 && agent $a sync; }
ok "a city with one office" setup
hub_stop
row=0

none_waits() { same "$(hub status --json | grep -o '"waiting": [0-9]*')" '"waiting": 0'; } # the verdict is logged after the merge
# One round: the hub dies at POINT while an office syncs; it is started again; the office syncs again.
round() {
	point=$1
	row=$((row + 1))
	sql $a "INSERT INTO demand VALUES('k$row','第$row次断电','reported',$row)" || return 1
	TRIBUTARY_CRASH_AT=$point
	export TRIBUTARY_CRASH_AT
	hub_start || { unset TRIBUTARY_CRASH_AT; return 1; }
	unset TRIBUTARY_CRASH_AT
	agent $a sync >"$dir/first" 2>&1
	# The process that died, or a sibling that ended because of it, is seen in the hub's log; without it this round would test nothing.
	tries=0
	until grep -q -e "signal 9" -e "starting again" "$dir/serve.log"; do
		tries=$((tries + 1))
		[ $tries -lt 600 ] || { echo "nothing was killed at $point"; cat "$dir/first" "$dir/serve.log"; return 1; }
		sleep 0.1
	done
	hub_kill
	: >"$dir/serve.log"
	hub_start && agent $a sync && eventually "$row" community "SELECT count(*) FROM demand WHERE id LIKE 'k%'" &&
		soon none_waits || { cat "$dir/first"; return 1; }
	hub_stop
}
for point in pack-moved before-publish published ref-published down-written down-recorded merge-before-commit merge-committed merge-reported; do
	ok "killed at $point" round $point
done

ok "the hub starts again" hub_start
ok "the audit proves the city after all of it" hub audit
once() { same "$(hub status --json | grep -o '"held": [0-9]*')" "\"held\": $(agent $a log --json | grep -c '"seq"')"; }
ok "each commit is held exactly once" once
hub_stop

# The office dies at its own steps.
agent_round() {
	point=$1
	row=$((row + 1))
	sql $a "INSERT INTO demand VALUES('k$row','第$row次断电','reported',$row)" || return 1
	TRIBUTARY_CRASH_AT=$point agent $a sync >"$dir/first" 2>&1
	[ $? -eq 137 ] || { echo "not killed at $point"; cat "$dir/first"; return 1; }
	agent $a sync && eventually "$row" community "SELECT count(*) FROM demand WHERE id LIKE 'k%'" && agent $a check --read-data
}
ok "the hub serves on" hub_start
for point in push-step receipts-kept; do
	ok "the office killed at $point" agent_round $point
done
ok "and all is proven" hub audit
ok "stock git finds the history whole" git -C "$dir/$a/state/repo.git" fsck --strict --full
finish
