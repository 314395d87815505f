#!/bin/sh
# Ninety days and more: the connection's certificate is renewed inside the nightly run, and once expired it is still good for that.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
day=86400

ok "a city" city_init
ok "the hub listens" hub_start
ok "A captures" office $a community 洗马社区
ok "A enrols" enrol $a community 洗马社区
ok "A syncs" agent $a sync

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

ok "after a summer without a run the certificate has expired" at_day 250
sql $a "INSERT INTO demand VALUES('d5','x','reported',5);"
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

revoke() { hub node revoke $a --app community --reason stolen; }
ok "A is revoked" revoke
ok "and its certificate expires" at_day 400
refuses 12 "revoked" "a revoked office renews nothing" agent $a sync
finish
