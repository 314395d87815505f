#!/bin/sh
# The hub stops asking its witness and shows what was cosigned long ago: for ever good, never newer.
. "$(dirname "$0")/../lib/attack.sh"

later() { # later HOURS: all clocks go on
	TRIBUTARY_CLOCK_OFFSET=$(($1 * 3600))
	export TRIBUTARY_CLOCK_OFFSET
	hub_stop
	hub_start
}
state_is() { agent $a status --json >"$dir/status"; [ $? -eq "$1" ] && grep -q "\"state\": \"$2\"" "$dir/status" || { cat "$dir/status"; return 1; }; }
in_city() { at_rest && agent $a pull && state_is 0 in-city; } # the city's database follows within seconds, and a run does not wait for ever
night() { sql $a "INSERT INTO demand VALUES('$1','甲','reported',1)"; }
ok "a province witnesses the log" province_init
at_rest
ok "and cosigns it" hub witness ask
pin() { agent $a config set witness "$province"; }
ok "A pins the province" pin
night n1
ok "its next night" agent $a sync
ok "all is well" in_city
province_stop
ok "24 hours later, without a new cosignature" later 24
night n2
ok "that of yesterday is good enough" agent $a sync
ok "36 hours after the last one" later 37
night n3
refuses 15 "province.example/w has cosigned nothing of the city's log since" "A raises the alarm" agent $a sync
ok "status says so, with its exit status" state_is 15 unwitnessed
ok "its night was sent all the same" eventually 1 community "SELECT count(*) FROM demand WHERE id='n3'"
refuses 15 "UNWITNESSED" "the hub's own status says so too" hub status
refuses 15 "has cosigned nothing since" "and an auditor who brings the province's key" hub audit --witness "$province"
others() { agent $b sync && agent $b status; }
ok "B, which pins nobody, has no alarm" others
at_rest
ok "the province is there again" province_start
ok "and is asked" hub witness ask
night n4
ok "the alarm is over" agent $a sync
ok "for status" in_city
ok "for the auditor" hub audit --witness "$province"
# A witness that is asked again and again about the same old size: its word is fresh, but not of what A was shown.
at_rest
ok "the province cosigns all there is" hub witness ask
province_stop
hub_stop
cp -a "$dir/hub/log" "$dir/log-then"
frozen_word() { # the witness hears of the old log alone
	hub_stop
	rm -rf "$dir/hub/log" && cp -a "$dir/log-then" "$dir/hub/log" && province_start && hub witness ask && province_stop
}
ok "a day later" later 61
night n5
ok "A's next night" agent $a sync
ok "the witness is asked about the log of before" frozen_word
ok "a day later" later 85
night n6
ok "36 hours are not over" agent $a sync
ok "and once more" frozen_word
ok "14 hours later" later 99
night n7
refuses 15 "the witness province.example/w has not seen to this day" "a fresh word about an old log is no better" agent $a sync

# A cosignature of a time still to come would be fresh until that day.
TRIBUTARY_CLOCK_OFFSET=$((99 * 3600 + 1800))
ok "the province's clock is half an hour ahead" province_start
TRIBUTARY_CLOCK_OFFSET=$((99 * 3600))
refuses 3 "a time still to come" "what it cosigns is not taken" hub witness ask
TRIBUTARY_CLOCK_OFFSET=$((99 * 3600 + 1800))
ok "a hub whose clock is wrong as well takes it" hub witness ask
TRIBUTARY_CLOCK_OFFSET=$((99 * 3600))
refuses 15 "UNWITNESSED.*still to come" "when its clock is right, it counts for nothing" hub status
refuses 15 "a time still to come" "nor for the auditor" hub audit --witness "$province"
unset TRIBUTARY_CLOCK_OFFSET
finish
