#!/bin/sh
# Ninety days and more: the connection's certificate is renewed inside the nightly run, and once expired it is still good for that. And clocks of offices that are wrong.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
day=86400

ok "a city" city_init
ok "the hub listens" hub_start
ok "A captures" office $a community 洗马社区
ok "A enrols" enrol $a community 洗马社区
ok "A syncs" agent $a sync

# The office's clock alone, not the hub's: what is typed is captured all the same, and who looks is told.
off() { by=$(($1 * day)); shift; TRIBUTARY_CLOCK_OFFSET=$by "$@"; }
typed() { sql $a "INSERT INTO demand VALUES('$1','x','reported',1)"; }
state_of() { # state_of STATUS STATE [AGENT-OPTION...]: what `status` says
	agent $a status --json >"$dir/status"
	[ $? -eq "$1" ] && grep -q "\"state\": \"$2\"" "$dir/status" || { cat "$dir/status"; return 1; }
}
typed c1
refuses 19 "the city received it at" "a clock that is fifty days ahead: all is sent, and it is told" off 50 agent $a sync --if-due
ok "the city has it" eventually 1 community "SELECT count(*) FROM demand WHERE id = 'c1'"
ok "status tells it" state_of 19 clock
typed c2
refuses 0 "it was wrong then, or is wrong now" "once it is right the timer runs, for a run that is still to come was none" agent $a sync --if-due
ok "the city has that too" eventually 1 community "SELECT count(*) FROM demand WHERE id = 'c2'"
ok "and the clock is forgotten" at_rest
ok "(the receipts come)" agent $a pull
ok "status is calm" state_of 0 in-city
refuses 0 "tonight's run has been" "the night has been" agent $a sync --if-due
typed c3
refuses 19 "certificate is not yet valid.*look at the clock" "a clock nine years behind: nothing can be sent, and that is why" off -3285 agent $a sync --if-due
captured() { agent $a log | grep "waiting" | grep "1 added"; }
ok "what was typed is captured" captured
typed c4
ok "by hand too" off -3284 agent $a commit
ok "status tells it" off -3284 state_of 19 clock
refuses 3 "WRONG .*the clock is plausible: this computer's clock says" "and doctor" off -3284 agent $a doctor
ok "a history that a clock behind has made is proven by it" off -3284 agent $a check --read-data
refuses 19 "the city has made a certificate that is good from" "a clock a year ahead: a certificate that was just made has not ended" off 365 agent $a sync
refuses 3 "WRONG .*the clock is plausible: .*the city has made a certificate" "and doctor says why" off 365 agent $a doctor
typed c5
refuses 12 "signing certificate ended at .*look at the clock first" "twelve years ahead nothing can be signed" off 4380 agent $a commit
refuses 3 "WRONG .*the clock is plausible: it says" "and doctor says why" off 4380 agent $a doctor
ok "the clock is right" agent $a sync
ok "all that was typed is in the city" eventually 3 community "SELECT count(*) FROM demand WHERE id IN ('c3', 'c4', 'c5')"
ok "the hub has nothing left to do" at_rest

until_when() { openssl x509 -in "$dir/$a/state/keys/tls.crt" -noout -enddate; }
at_day() {
	hub_stop
	TRIBUTARY_CLOCK_OFFSET=$(($1 * day))
	export TRIBUTARY_CLOCK_OFFSET
	hub_start
}
first=$(until_when)
ok "a month later" at_day 30
ok "A syncs" agent $a sync
unchanged() { same "$(until_when)" "$first"; }
ok "with the certificate it has" unchanged

ok "seventy days later" at_day 70
ok "A syncs" agent $a sync
second=$(until_when)
renewed() { [ "$first" != "$second" ]; }
ok "the certificate was renewed" renewed
ok "A syncs with it" agent $a sync
tls_certs() { same "$(sqlite3 -readonly "$dir/hub/hub.db" "SELECT count(*) FROM cert WHERE node = '$a' AND usage = 'tls'")" "$1"; }
has=$(sqlite3 -readonly "$dir/hub/hub.db" "SELECT count(*) FROM cert WHERE node = '$a' AND usage = 'tls'")
ok "the city has several of its certificates" [ "$has" -ge 2 ]
again_and_again() { agent $a cert renew && agent $a cert renew && same "$(until_when)" "$second" && tls_certs "$has"; }
ok "asked again the same day it gets the same one" again_and_again
ok "five days later" at_day 75
ok "too, as a clock that is wrong every night does it" again_and_again
ok "A goes on with it" agent $a sync
ok "ten days later" at_day 80
new_one() { agent $a cert renew && second=$(until_when) && tls_certs $((has + 1)); }
ok "it gets a new one" new_one

# A renewal that fails every night until the certificate ends: not in silence.
ok "two months later" at_day 145
ok "the hub cannot issue any more" sqlite3 "$dir/hub/enrol.db" "ALTER TABLE renewal RENAME TO gone"
refuses 0 "warning: the connection's certificate ends at .*could not be renewed (" "A syncs, and is warned" agent $a sync
refuses 0 "^warning .*could not be renewed" "so is who looks" agent $a status
refuses 3 "WRONG .*no certificate is about to end: the connection's certificate" "and doctor" agent $a doctor
ok "then it can" sqlite3 "$dir/hub/enrol.db" "ALTER TABLE gone RENAME TO renewal"
ok "a night later" at_day 146
not_warned() { agent $a sync >"$dir/said" 2>&1 && agent $a status >>"$dir/said" && ! grep warning "$dir/said"; }
ok "no more warning" not_warned
TRIBUTARY_CLOCK_OFFSET=$((146 * day))
second=$(until_when)
refuses 0 "^warning .*the signing certificate ends at .*cert rotate" "two months before its ten years are over the signing key is due" env TRIBUTARY_CLOCK_OFFSET=$((3600 * day)) "$bin/tributary-agent" --state "$dir/$a/state" status

ok "after a summer without a run the certificate has expired" at_day 250
sql $a "INSERT INTO demand VALUES('d5','x','reported',5);"
# With it one may renew, and nothing else.
ok "A captures" agent $a commit
hub_stop
refuses 3 "the connection certificate is valid: it has expired.*tributary-agent sync" "doctor says what renews it" agent $a doctor
ok "the hub runs" hub_start
expired="--cacert $dir/$a/state/keys/root.crt --cert $dir/$a/state/keys/tls.crt --key $dir/$a/state/keys/tls.key"
asks() { curl -sS $expired --max-time 60 -o "$dir/answer" -w '%{http_code}\n' "$@" && grep "has expired; renew it: tributary-agent sync" "$dir/answer"; }
tip_of() { git -C "$dir/hub/repos/$a/community.git" rev-parse main; }
tip=$(tip_of)
refuses 128 "has expired; renew it.*\|error: 403" "stock git pushes nothing" office_git $a -C "$dir/$a/state/repo.git" push "$url/$a/community.git" main:refs/heads/main
ok "it stays as it was" same "$(tip_of)" "$tip"
refuses 128 "error: 403" "stock git gets no history" office_git $a clone -q "$url/$a/community.git" "$dir/gone"
refuses 0 "^403" "no checkpoint" asks "$url/checkpoint"
refuses 0 "^403" "no tile of the log" asks "$url/tile/0/000.p/3"
refuses 0 "^403" "and a raw push is not read" asks -H 'Content-Type: application/x-git-receive-pack-request' --data-binary 0000 "$url/$a/community.git/git-receive-pack"
ok "A syncs all the same" agent $a sync
third=$(until_when)
again() { [ "$second" != "$third" ]; }
ok "with a new certificate" again
ok "what was typed is in the city" eventually 1 community "SELECT count(*) FROM demand WHERE id = 'd5'"
ok "the audit proves the city" hub audit

other_key() { # a certificate request by another key is worth nothing, even with A's certificate
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/k" -subj /CN=x -out "$dir/csr" 2>/dev/null
	{ printf 'format tributary-renew-1\nnode %s\napp community\ntls-csr %s\n' $a "$(wc -c <"$dir/csr" | tr -d ' ')" && cat "$dir/csr"; } >"$dir/body"
	curl -sS --cacert "$dir/$a/state/keys/root.crt" --cert "$1" --key "$2" --data-binary "@$dir/body" "$url/renew"
}
refused_key() { other_key "$dir/$a/state/keys/tls.crt" "$dir/$a/state/keys/tls.key" | grep -q "not by the key"; }
command -v curl >/dev/null && ok "another key gets no certificate" refused_key

revoke() { mv "$dir/hub/ca/issuing.key" "$dir/key" && hub node revoke $a --app community --reason stolen; rc=$?; mv "$dir/key" "$dir/hub/ca/issuing.key"; return $rc; }
refuses 1 "REVOKED, .* no new list" "A is revoked, though no list of it can be made" revoke
refuses 12 "revoked" "it is refused at once" agent $a sync
ok "an auditor comes" hub user add li --role auditor --out "$dir/li"
ok "and goes" hub user revoke li
entries() { same "$(openssl crl -in "$dir/hub/ca/crl.pem" -noout -text | grep -c 'Serial Number:')" 3; }
ok "the next list holds both, without the certificates that expired long ago" entries
ok "the audit proves it" hub audit
ok "and its certificate expires" at_day 400
refuses 12 "revoked" "a revoked office renews nothing" agent $a sync
finish
