#!/bin/sh
# Lists of revoked certificates (D7.4): one with each revocation, by number, for good; each commit names the one in force when it was held; what was signed
# before stays good; stock openssl reads the lists; over a new issuing certificate and a new root.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
b=520303001011
LC_ALL=C.UTF-8
export LC_ALL

hubsql() { sqlite3 -readonly "$dir/hub/hub.db" "$1"; }
crls() { same "$(hubsql "SELECT count(*) FROM leaf WHERE CAST(bytes AS TEXT) LIKE '%kind crl%'")" "$1"; }
names() { same "$(hubsql "SELECT CAST(bytes AS TEXT) FROM leaf WHERE CAST(bytes AS TEXT) LIKE '%kind held%'" | sed -n 's/^crl //p' | sort -n | uniq -c | awk '{ printf "%s:%s ", $2, $1 }')" "$1"; }
list() { openssl crl -in "$dir/hub/ca/crl.pem" -noout -text; }
cut_out() { # certificates of the hub's list and root, each in its file
	awk -v d="$dir" '/BEGIN CERTIFICATE/ { n++ } n { print > (d "/ca-" n ".pem") }' "$dir/hub/ca/crl.pem" && cp "$dir/hub/ca/root.crt" "$dir/roots.pem"
}
verdict() { # verdict CERT: what stock openssl says with the newest list
	cut_out && openssl verify -crl_check -extended_crl -CAfile "$dir/roots.pem" -no-CApath -no-CAstore -untrusted "$2" -CRLfile "$dir/hub/ca/crl.pem" "$1" 2>&1
}
revoked() { verdict "$1" "$2" | grep -q "certificate revoked"; }
good() { verdict "$1" "$2" | grep -q ": OK"; }
second() { awk '/BEGIN/ { n++ } n == 2' "$1" >"$2"; }

ok "a city" city_init
ok "the hub listens" hub_start
for o in $a $b; do
	ok "$o captures" office $o community "社区 $o"
	ok "$o enrols" enrol $o community "社区 $o"
	ok "$o syncs" agent $o sync
done
ok "no list yet" crls 0
ok "an auditor" hub user add li --role auditor --out "$dir/li"
ok "is let go" hub user revoke li
ok "the first list" crls 1
li() { openssl x509 -in "$dir/li/tls.crt" -out "$dir/li.pem" && second "$dir/li/tls.crt" "$dir/issuing1.pem" && revoked "$dir/li.pem" "$dir/issuing1.pem"; }
ok "stock openssl sees it" li
a_good() { good "$dir/$a/state/keys/sign.crt" "$dir/issuing1.pem"; }
ok "and that A is not on it" a_good
sql $a "INSERT INTO demand VALUES('d7','x','reported',7);"
ok "A syncs" agent $a sync
ok "its commit names the list in force" names "0:2 1:1 "
revoke() { hub node revoke $1 --app community --reason stolen; }
ok "A is revoked" revoke $a
ok "the second list" crls 2
a_revoked() { revoked "$dir/$a/state/keys/sign.crt" "$dir/issuing1.pem"; }
ok "stock openssl sees it" a_revoked
sql $a "INSERT INTO demand VALUES('d8','x','reported',8);"
refuses 12 "revoked" "A sends nothing more" agent $a sync
sql $b "INSERT INTO demand VALUES('d7','x','reported',7);"
ok "B goes on" agent $b sync
ok "under the second list" names "0:2 1:1 2:1 "
ok "what A sent before stays good: the audit proves the city" hub audit
number() { list | grep -A1 "CRL Number" | grep -qw "$1"; }
ok "the list has its number" number 2

hub_stop
ok "a new issuing certificate" hub ca renew-issuing
ok "a new root" hub ca renew-root --new-root-key "$dir/root2.key"
ok "the hub listens" hub_start
ok "B renews" agent $b cert renew
ok "B changes its signing key" agent $b cert rotate
ok "the third list, by the newest authority" revoke $b
a_listed() { list | grep -iq "$(openssl x509 -in "$dir/$a/state/keys/sign.crt" -noout -serial | sed 's/serial=//')" && list | grep -q "DirName:.*issuing CA$"; }
ok "has A as well, with the name of the oldest authority" a_listed
b_new() { second "$dir/$b/state/keys/sign.crt" "$dir/issuing3.pem" && openssl x509 -in "$dir/$b/state/keys/sign.crt" -out "$dir/b.pem" && revoked "$dir/b.pem" "$dir/issuing3.pem"; }
ok "and B, of the newest" b_new
kept() { same "$(ls "$dir/hub/log/named" | wc -l | tr -d ' ')" "$(hubsql "SELECT CAST(bytes AS TEXT) FROM leaf" | sed -n 's/^sha256 //p' | sort -u | wc -l | tr -d ' ')"; }
ok "all lists are kept beside the log" kept
ok "the audit proves the city" hub audit
hub_stop
ok "rebuild gives the same city" hub rebuild

# The hub's operator forgets one, changes one, or puts an older one in its place.
named() { hubsql "SELECT CAST(bytes AS TEXT) FROM leaf WHERE CAST(bytes AS TEXT) LIKE '%kind crl%'" | sed -n 's/^sha256 //p' | sed -n "$1p"; }
second_list=$dir/hub/log/named/$(named 2)
cp "$second_list" "$dir/keep"
lose() { rm "$second_list"; }
ok "a list is lost" lose
refuses 15 "list 2 of revoked certificates" "the audit names it" hub audit
older() { cp "$dir/hub/log/named/$(named 1)" "$second_list"; }
ok "an older one in its place" older
refuses 15 "list 2 of revoked certificates" "the audit names it" hub audit
back() { cp "$dir/keep" "$second_list" && hub audit; }
ok "the right one again" back
finish
