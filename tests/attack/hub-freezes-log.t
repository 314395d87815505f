#!/bin/sh
# The hub takes everything and shows its log to nobody any more: no receipt, no newer checkpoint (freeze).
. "$(dirname "$0")/../lib/attack.sh"

later() { # later DAYS: all clocks go on
	TRIBUTARY_CLOCK_OFFSET=$(($1 * 86400))
	export TRIBUTARY_CLOCK_OFFSET
	hub_stop
	hub_start
}
state_is() { agent $a status --json >"$dir/status"; [ $? -eq "$1" ] && grep -q "\"state\": \"$2\"" "$dir/status" || { cat "$dir/status"; return 1; }; }
in_city() { at_rest && agent $a pull && state_is 0 in-city; } # the city's database follows within seconds, and a run does not wait for ever
ok "all is well before" in_city
mkdir -p "$(repo $a)/refs/heads/down.lock/x"
later 1
ok "the first night without a receipt" sql $a "INSERT INTO demand VALUES('f1','甲','reported',1)"
refuses 3 "given receipts only up to" "is incomplete, no more" agent $a sync
later 2
ok "the second" sql $a "INSERT INTO demand VALUES('f2','甲','reported',1)"
refuses 15 "shows nothing new since" "is an alarm" agent $a sync
ok "status says so, with its exit status" state_is 15 frozen
others() { agent $b sync && agent $b status; }
ok "B, who is shown the log, has no alarm" others
ok "nor has the hub, which publishes" hub status
rmdir "$(repo $a)/refs/heads/down.lock/x" "$(repo $a)/refs/heads/down.lock"
later 2
ok "the hub shows its log again" agent $a sync
ok "and the alarm is over" in_city
hub_stop
TRIBUTARY_CLOCK_OFFSET=$((5 * 86400))
refuses 15 "FROZEN" "a hub that is not at work is told so" hub status
refuses 13 "shows nothing new since" "and its offices say more than that the line is bad" agent $a push

# The limit itself, on both sides: 36 hours are not yet too long, a minute more is.
value() { sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p"; }
at_hours() { # at_hours WHEN SECONDS: clocks stand 36 hours and so many seconds after it
	TRIBUTARY_CLOCK_OFFSET=$(($(date -d "$1" +%s) + 36 * 3600 + $2 - $(date +%s)))
	export TRIBUTARY_CLOCK_OFFSET
}
shown=$(hub status --json | value checkpoint_at)
at_hours "$shown" -60
ok "36 hours less a minute: the hub says nothing" hub status
at_hours "$shown" 1
refuses 15 "FROZEN: the published log shows nothing new since" "36 hours and a second: it does" hub status
seen=$(agent $a status --json | value fresh_at)
at_hours "$seen" -60
says_nothing() { agent $a push >"$dir/push" 2>&1; [ $? = 13 ] && cat "$dir/push" && ! grep -q "shows nothing new since" "$dir/push"; }
ok "36 hours less a minute: to an office the line is bad, no more" says_nothing
sql $a "INSERT INTO demand VALUES('f3','甲','reported',1)"
ok "it commits" agent $a commit
ok "and has no alarm, but tells what failed" state_is 3 failed
refuses 13 "nothing is lost" "nor has a night" agent $a sync
at_hours "$seen" 1
refuses 13 "shows nothing new since" "36 hours and a second: it says more" agent $a push
refuses 15 "shows nothing new since" "and the night is an alarm, whoever cuts the line" agent $a sync
ok "and its status is an alarm" state_is 15 frozen

# A hub that runs, and cannot publish.
mkdir "$dir/hub/log/checkpoint.tmp"
TRIBUTARY_CLOCK_OFFSET=$((9 * 86400))
ok "a hub that cannot publish" hub_start
ok "says so in its own log" soon grep -q "FROZEN: the published log shows nothing new since" "$dir/serve.log"
hub_stop
rmdir "$dir/hub/log/checkpoint.tmp"
unset TRIBUTARY_CLOCK_OFFSET
ok "nothing was lost: all is proven" hub audit
finish
