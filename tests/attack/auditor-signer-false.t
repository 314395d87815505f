#!/bin/sh
# A community's last commit in the bundle is signed by somebody else, and the log, signed anew by the hub, calls that signer the community's.
. "$(dirname "$0")/../lib/attack.sh"

at_rest
keep_bundle
it=$b/community
tip="kind=held,node=$b,seq=2"
keys=$dir/$b/state/keys
der() { openssl x509 -in "$1" -outform DER | sha256sum | cut -c 1-64; }
no_file=$(printf '' | sha256sum | cut -c 1-64)
# signed_by TEXT NAME CERT KEY EDIT...: the tip is signed so, and the log has a machine of this office with that certificate
signed_by() {
	text=$1 what=$2 cert=$3 key=$4
	shift 4
	cat "$cert" "$keys/issuing.crt" >"$dir/signer.pem"
	falsified "$text" "$what" add "kind=enrolled,node=$b" "then" leaf "kind=enrolled,node=$b" sign-cert "$(der "$cert")" "then" commit "$it" "$key" "file:signer.pem=$dir/signer.pem" "$@"
}
a_keys=$dir/$a/state/keys
signed_by "$it #2: the signer is not node:$it" "by A, in B's name" "$a_keys/sign.crt" "$a_keys/sign.key"
falsified "$it #2: the signer is not node:$it" "by B, in A's name" commit "$it" "$keys/sign.key" "text:^author (.*) <$b=author \\1 <$a"
falsified "$it #2: it is not signed" "by nobody" commit "$it" -
falsified "$it #2: the signature does not fit the commit" "another text by B" commit "$it" "$keys/sign.key" sign-other=other
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/own.key" -out "$dir/own.crt" -days 9 -subj "/CN=$b" -addext "subjectAltName=URI:urn:tributary:node:$it" 2>/dev/null
signed_by "$it #2: the certificate does not stand under the root: .*" "by a certificate that signs itself" "$dir/own.crt" "$dir/own.key"
signed_by "$it #2: the certificate does not stand under the root: .*purpose" "by B's TLS key" "$keys/tls.crt" "$keys/tls.key"
lax() { # issued by the city, but not in the form that RFC 5280 wants
	openssl req -new -key "$dir/own.key" -subj "/CN=$b" 2>/dev/null | openssl x509 -req -CA "$keys/issuing.crt" -CAkey "$dir/hub/ca/issuing.key" -days 9 -out "$dir/lax.crt" -extfile "$dir/ext" 2>/dev/null
}
printf 'keyUsage=critical,digitalSignature\nextendedKeyUsage=emailProtection\nsubjectAltName=URI:urn:tributary:node:%s\nsubjectKeyIdentifier=none\nauthorityKeyIdentifier=none\n' "$it" >"$dir/ext"
ok "the city issues a certificate without key identifiers" lax
signed_by "$it #2: the certificate does not stand under the root: .*" "by such a one" "$dir/lax.crt" "$dir/own.key"
falsified "$it #2: the certificate does not stand under the root: certificate has expired" "received when B's certificate had expired" leaf "$tip" time 2090-01-01T00:00:00Z
falsified "$it #2: its tree has no certificate" "by the city's own authority, without a certificate" add "kind=enrolled,node=$b" "then" leaf "kind=enrolled,node=$b" sign-cert "$no_file" "then" \
	commit "$it" "$dir/hub/ca/issuing.key" file:signer.pem= "then" leaf "$tip" signer "$no_file"
finish
