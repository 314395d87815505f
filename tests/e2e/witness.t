#!/bin/sh
# An outside witness by C2SP's protocol: another organisation's machine cosigns the city's log as long as it only grows. Both sides are real.
. "$(dirname "$0")/../lib/attack.sh"

wait_for() { # wait_for SECONDS COMMAND...
	t=$1
	shift
	while ! "$@"; do
		t=$((t - 1))
		[ "$t" -gt 0 ] || return 1
		sleep 1
	done
}
ok "a witness is made" sh -c '"$0" witness init "$1" province.example/w >"$2"' "$bin/tributary-hub" "$dir/province" "$dir/province.key"
province=$(cat "$dir/province.key")
ok "its own name and key come back" same "$(hub witness show "$dir/province" | head -n 1)" "$province"
refuses 2 "holds a witness already" "and are not made over" hub witness init "$dir/province" other
ok "it listens" province_start
refuses 2 "plain HTTP to another machine" "plain HTTP to another machine is not taken" hub witness add http://witness.example/w "$province"
refuses 2 "verifier key" "nor half a key" hub witness add "$province_url" "${province%??}"
refuses 1 "no outside witness is asked" "there is nobody to ask" hub witness ask
ok "the hub is told" hub witness add "$province_url" "$province"
refuses 3 "does not know this log: give its operator the line of: tributary-hub witness log-key" "the witness does not know the log" hub witness ask
ok "its operator lets it" hub witness trust "$dir/province" "$(hub witness log-key)"
ok "(the log has come to rest)" at_rest
ok "and it cosigns" hub witness ask
by() { # by FILE: it bears the witness's cosignature
	grep -q '^— province.example/w ' "$1"
}
ok "the published checkpoint bears it" wait_for 90 by "$dir/hub/log/checkpoint"
served() { as $a "$url/checkpoint" >/dev/null && by "$dir/answer"; }
ok "for everybody who fetches it" served
ok "an office that pins it" agent $a config set witness "$province"
ok "has it among its settings" same "$(agent $a config get witness)" "$province"
sql $a "INSERT INTO demand VALUES('d4','噪声','reported',4)"
ok "gets it with its receipts" agent $a sync
in_status() { agent $a status | grep -q "province.example/w cosigned"; }
ok "and says so" in_status
ok "all is proven, with the witness" hub audit --witness "$province"
refuses 15 "the witness elsewhere.example has not cosigned this log" "but not by another" hub audit --witness "$(hub witness init "$dir/elsewhere" elsewhere.example 2>/dev/null)"

# It goes away: nobody waits.
province_stop
sql $a "INSERT INTO demand VALUES('d5','甲','reported',5)"
ok "receipts come without it" agent $a sync
at_rest
refuses 3 "does not answer" "the hub says what fails" hub witness ask
named() { hub status | grep -A 2 "^Witness province.example/w" | grep -q "failing since"; }
ok "status names it" named
json() { hub status --json | python3 -c 'import json,sys; w = json.load(sys.stdin)["witnesses"][0]; sys.exit(not (w["failing_since"] and "does not answer" in w["reason"] and not w["stale"]))'; }
ok "for scripts too" json

# Killed in the middle of its work, it keeps its word.
TRIBUTARY_CRASH_AT=witness-kept
export TRIBUTARY_CRASH_AT
ok "it comes back, and dies between keeping and answering" province_start
unset TRIBUTARY_CRASH_AT
refuses 3 "closed the connection\|reset by peer" "no answer comes" hub witness ask
kill -9 "$province_pid"
wait "$province_pid" 2>/dev/null
ok "it starts again" province_start
ok "and cosigns the same log from the size it kept" hub witness ask
ok "nothing was contradicted" sh -c '"$0" witness show "$1"' "$bin/tributary-hub" "$dir/province"
hub_stop
ok "a hub that starts" hub_start
# A hub that starts asks after a second, and then two minutes later: what it has published by now and not shown yet is for the next one.
taken=0
more() {
	taken=$((taken + 1))
	sql $a "INSERT INTO demand VALUES('d6-$taken','甲','reported',6)" && agent $a sync && at_rest || return 1
	before=$(cat "$dir"/hub/witness/*/cosigned)
	[ "$(echo "$before" | sed -n 2p)" -lt "$(sed -n 2p "$dir/hub/log/checkpoint")" ]
}
ok "and takes nights, until one is published that the witness has not seen" soon more
again() { [ "$(cat "$dir"/hub/witness/*/cosigned)" != "$before" ]; }
hub_stop
ok "asks by itself" hub_start
ok "within seconds of its start" wait_for 60 again

# HTTPS by the rules of the web, under an authority that the operator names.
province_stop
cert() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/$1.key" -out "$dir/$1.crt" -days 2 -subj "/CN=$1" -addext "subjectAltName=$2" 2>/dev/null; }
ok "the witness gets a certificate" cert web IP:127.0.0.1
ok "and one for another name" cert other DNS:other.example
ok "it serves HTTPS" province_start --cert "$dir/web.crt" --key "$dir/web.key"
ok "the hub is told its address and authority" hub witness add "$province_url" "$province" --ca "$dir/web.crt"
ok "and asks over HTTPS" hub witness ask
ok "without the authority" hub witness add "$province_url" "$province"
refuses 3 "certificate verify failed" "it is not believed" hub witness ask
province_stop
ok "under another name" province_start --cert "$dir/other.crt" --key "$dir/other.key"
ok "of an authority that is trusted" hub witness add "$province_url" "$province" --ca "$dir/other.crt"
refuses 3 "certificate verify failed" "neither" hub witness ask
refuses 1 "No such file\|cannot" "an authority that is not there is no setting" hub witness add "$province_url" "$province" --ca "$dir/nowhere.crt"
province_stop
ok "plain again" province_start
ok "the hub is told" hub witness add "$province_url" "$province"

# A hub that came back from an old copy.
hub_stop
cp -a "$dir/hub" "$dir/now"
rm -rf "$dir/hub"
cp -a "$dir/hub-night1" "$dir/hub"
cp -a "$dir/now/witness" "$dir/hub/witness"
ok "a hub from an old copy" hub_start
published
refuses 3 "this hub is an older copy; try: tributary-hub recover" "is told by its witness" hub witness ask
hub_stop
rm -rf "$dir/hub"
mv "$dir/now" "$dir/hub"
ok "the right one is back" hub_start
ok "and goes on" hub witness ask
ok "it can be without a witness" hub witness remove province.example/w
refuses 1 "no witness" "once" hub witness remove province.example/w
bare() { ! by "$dir/hub/log/checkpoint"; }
ok "the published checkpoint is its own again" wait_for 90 bare
ok "an office that pins none any more" agent $a config set witness off
ok "goes on" agent $a sync
ok "and all is proven" hub audit
finish
