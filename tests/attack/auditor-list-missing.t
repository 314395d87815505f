#!/bin/sh
# A list of revoked certificates is left out of the log, or comes twice; the log is signed anew by the hub.
. "$(dirname "$0")/../lib/attack.sh"

gone() { quiet hub user add li --role auditor --out "$dir/li" && quiet hub user revoke li && quiet hub node revoke $b --app community --reason stolen; }
ok "two lists of revoked certificates" gone
sql $a "INSERT INTO demand VALUES('d8','x','reported',8)"
ok "A goes on under them" agent $a sync
ok "and is in the city" eventually 7 community "SELECT count(*) FROM demand"
ok "all is told" at_rest
keep_bundle
at() { awk -v w="$1" '/^format tributary-leaf-1$/ { i++ } /^kind / && $2 == w { n = i - 1 } END { print n }' "$dir/b/log/leaves"; }
undoctored
person=$(at person-revoked) machine=$(at revoked)
# The second list with the number of the first, as the city's authority would sign it.
renumbered() {
	mkdir "$dir/ca" && echo 01 >"$dir/ca/number" && openssl crl -in "$dir/b/log/named/$(awk '/^kind crl$/ { k = 1 } /^sha256 / && k { s = $2; k = 0 } END { print s }' "$dir/b/log/leaves")" -noout -text |
		sed -n 's/^ *Serial Number: //p' | sed 's/.*/R\t300101000000Z\t260101000000Z\t&\tunknown\t\/CN=x/' >"$dir/ca/index" || return 1
	printf '[ca]\ndefault_ca=c\n[c]\ndatabase=%s/ca/index\ncrlnumber=%s/ca/number\ndefault_md=sha256\ndefault_crl_days=9\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\n' "$dir" "$dir" >"$dir/ca/conf"
	openssl ca -gencrl -config "$dir/ca/conf" -cert "$dir/hub/ca/issuing.crt" -keyfile "$dir/hub/ca/issuing.key" -out "$dir/list" && cat "$dir/hub/ca/issuing.crt" >>"$dir/list"
}
ok "a list of all with the number 1" renumbered
falsified "leaf $machine revokes a certificate without a new list" "without the last list" drop "kind=crl,number=2"
# The list after it still holds all: only that there was none in between can be seen.
falsified "leaf $person revokes a certificate without a new list" "without the first list, and the second is called the first" drop "kind=crl,number=1" "then" leaf "kind=crl,number=2" number 1 "then" name "kind=crl,number=1" "$dir/list"
falsified "list 2 of revoked certificates comes after list 2" "the last list comes twice" add "kind=crl,number=2"
finish
