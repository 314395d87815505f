#!/bin/sh
# A list of revoked certificates in the bundle is another one, and the log, signed anew by the hub, names it; or the issuing certificate is another.
. "$(dirname "$0")/../lib/attack.sh"

gone() { quiet hub user add li --role auditor --out "$dir/li" && quiet hub user revoke li && quiet hub node revoke $b --app community --reason stolen && at_rest; }
ok "two lists of revoked certificates" gone
sql $a "INSERT INTO demand VALUES('d8','x','reported',8)"
ok "A goes on under them" agent $a sync
ok "and is in the city" eventually 1 community "SELECT count(*) FROM demand WHERE id='d8'"
ok "all is published" at_rest
hub_stop
take_bundle
ok "is proven" stock_proves
cp -a "$dir/b" "$dir/bundle" && cp -a "$dir/hub" "$dir/good"
old=$(awk '/^kind crl$/ { k = 1 } /^sha256 / && k { s = $2; k = 0 } END { print s }' "$dir/b/log/leaves")
openssl crl -in "$dir/b/log/named/$old" -noout -text >"$dir/entries"
# list KEY CERT NUMBER COUNT [others]: $dir/list is a list with that number, of the first COUNT certificates of the true one and, beyond them, of others; or of others alone
list() {
	rm -rf "$dir/ca" && mkdir "$dir/ca" && printf '%02X\n' "$3" >"$dir/ca/number" || return 1
	{ [ -n "${5:-}" ] || sed -n 's/^ *Serial Number: //p' "$dir/entries"; printf "%s\n" 7B 7C 7D; } | head -n "$4" | sed 's/.*/R\t300101000000Z\t260101000000Z\t&\tunknown\t\/CN=x/' >"$dir/ca/index"
	printf '[ca]\ndefault_ca=c\n[c]\ndatabase=%s/ca/index\ncrlnumber=%s/ca/number\ndefault_md=sha256\ndefault_crl_days=9\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\n' "$dir" "$dir" >"$dir/ca/conf"
	openssl ca -gencrl -config "$dir/ca/conf" -cert "$2" -keyfile "$1" -out "$dir/list" && cat "$dir/good/ca/issuing.crt" >>"$dir/list"
}
# in_bundle: the last list of the bundle is $dir/list; leaf, root and checkpoint follow
in_bundle() {
	rm -rf "$dir/b" && cp -a "$dir/bundle" "$dir/b" && new=$(sha256sum <"$dir/list" | cut -c 1-64) && cp "$dir/list" "$dir/b/log/named/$new" && sed -i "s/^sha256 $old\$/sha256 $new/" "$dir/b/log/leaves" &&
		python3 - "$dir/b" <<'PY' && openssl pkeyutl -sign -rawin -inkey "$dir/good/keys/log.key" -in "$dir/body" -out "$dir/sig" &&
import base64, hashlib, re, sys
h = lambda b: hashlib.sha256(b).digest()
leaves = [b for b in re.split(rb"(?m)^(?=format tributary-leaf-1$)", open(sys.argv[1] + "/log/leaves", "rb").read()) if b]
def root(x):
    if len(x) == 1:
        return h(b"\0" + x[0])
    k = 1 << ((len(x) - 1).bit_length() - 1)
    return h(b"\1" + root(x[:k]) + root(x[k:]))
lines = open(sys.argv[1] + "/checkpoint", "rb").read().split(b"\n")
assert int(lines[1]) == len(leaves)
open(sys.argv[1] + "/../body", "wb").write(lines[0] + b"\n" + lines[1] + b"\n" + base64.b64encode(root(leaves)) + b"\n")
PY
		{ cat "$dir/body"; echo; printf '— x %s\n' "$({ printf abcd; cat "$dir/sig"; } | base64 -w0)"; } >"$dir/b/checkpoint"
}
# in_hub: so does the hub's own log
in_hub() {
	rm -rf "$dir/hub" && cp -a "$dir/good" "$dir/hub" && new=$(sha256sum <"$dir/list" | cut -c 1-64) && cp "$dir/list" "$dir/hub/log/named/$new" &&
		hubsql "UPDATE leaf SET bytes = CAST(replace(CAST(bytes AS TEXT), '$old', '$new') AS BLOB) WHERE CAST(bytes AS TEXT) LIKE '%kind crl%'; UPDATE meta SET value = x'$new' WHERE key = 'crl-sha256'" &&
		python3 "$top/tests/tool/relog.py" "$dir/hub/hub.db"
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/own.key" -out "$dir/own.crt" -days 9 -subj "/CN=x" 2>/dev/null
ca=$dir/good/ca/issuing
ok "a list that another key signed" list "$dir/own.key" "$dir/own.crt" 2 2
ok "is in the bundle" in_bundle
doctored "the list of revoked certificates 2 is not signed by an authority of the city" "stock tools name it"
ok "a list with the number 7" list "$ca.key" "$ca.crt" 7 2
ok "is in the bundle" in_bundle
doctored "the list of revoked certificates 2 bears another number" "stock tools name it"
ok "a list of three other certificates" list "$ca.key" "$ca.crt" 2 3 others
ok "is in the bundle" in_bundle
doctored "the list of revoked certificates 2 leaves one out that the log says was revoked before" "stock tools name it"
ok "a list without its last certificate" list "$ca.key" "$ca.crt" 2 2
ok "is in the bundle" in_bundle
doctored "the list of revoked certificates 2 holds 2, the log says 3" "stock tools name it"
ok "is in the hub's log" in_hub
audit_says "list 2 of revoked certificates leaves one out that the log says was revoked before" "the audit names it"
ok "a list with one too many" list "$ca.key" "$ca.crt" 2 4
ok "is in the hub's log" in_hub
audit_says "list 2 of revoked certificates holds 4, the log says 3" "the audit names it"
rm -rf "$dir/b" && cp -a "$dir/bundle" "$dir/b" && cp "$dir/own.crt" "$dir/b/certs/issuing.crt"
doctored "certs/issuing.crt is not signed by the root" "another issuing certificate: stock tools name it"
finish
