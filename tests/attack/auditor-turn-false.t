#!/bin/sh
# In a city where a signing key was rotated and a machine replaced: the bundle's commits are signed in turn, and stock tools prove it; a commit out of turn is named.
. "$(dirname "$0")/../lib/attack.sh"

cp -a "$dir/$b/state" "$dir/first"
ok "B changes its signing key" agent $b cert rotate
sql $b "INSERT INTO demand VALUES('k1','新钥','reported',1)"
ok "and signs a night with the new one" agent $b sync
cp -a "$dir/$b/state" "$dir/second"
machine() { hub node replace $b --app community --name "社区 $b" --url "$url" --slip "$dir/slip2" --approve && mv "$dir/$b/state" "$dir/$b/aside" && agent $b init "$dir/$b/office.db" --node $b --app community --name "社区 $b" && agent $b enrol --slip "$dir/slip2"; }
ok "B's machine is replaced" machine
sql $b "INSERT INTO demand VALUES('k2','新机','reported',2)"
ok "the new one signs a night" agent $b sync
# A certificate of the new machine that nobody handed over to: the log has it enrolled, as a rotation would.
own() {
	openssl ecparam -name prime256v1 -genkey -noout -out "$dir/own.key" && openssl req -new -key "$dir/own.key" -subj "/CN=$b" | openssl x509 -req -CA "$dir/$b/state/keys/issuing.crt" -CAkey "$dir/hub/ca/issuing.key" -days 9 -out "$dir/own.crt" -extfile "$dir/ext" &&
		cat "$dir/own.crt" "$dir/$b/state/keys/issuing.crt" >"$dir/own.pem"
}
printf 'keyUsage=critical,digitalSignature\nextendedKeyUsage=emailProtection\nsubjectAltName=URI:urn:tributary:node:%s\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\nbasicConstraints=critical,CA:FALSE\n' "$b/community" >"$dir/ext"
ok "a further key, which the city certified" own
sql $b "INSERT INTO demand VALUES('k3','又','reported',3)"
ok "and another" agent $b sync
ok "all is told" at_rest
keep_bundle
it=$b/community
seq=$(hubsql "SELECT max(seq) FROM held WHERE node='$b'")
tip="kind=held,node=$b,seq=$seq"
der() { openssl x509 -in "$1" -outform DER | sha256sum | cut -c 1-64; }
of_two() { same "$(hubsql "SELECT count(DISTINCT signer) || ' ' || count(DISTINCT incarnation) FROM held WHERE node='$b'")" "3 2"; }
ok "three keys of two machines signed B's history" of_two

# signed_by TEXT NAME KEYS: the last commit is signed with the key of that folder, in the name of the first machine, and so says the log
signed_by() {
	cat "$3/sign.crt" "$3/issuing.crt" >"$dir/signer.pem"
	falsified "$1" "$2" leaf "$tip" incarnation 1 "then" commit "$it" "$3/sign.key" "file:signer.pem=$dir/signer.pem" "manifest:^incarnation 2=incarnation 1"
}
old="$it #$seq is of another machine than the log says, or of one that was replaced"
signed_by "$old" "the last commit is of the machine that was replaced, by its last key" "$dir/second/keys"
signed_by "$old" "and by the one before that" "$dir/first/keys"
enrolled="kind=enrolled,node=$b"
falsified "$it #$seq: signed by another key than the commit before, which did not hand over to it" "signs the last commit, and no commit handed over to it" \
	copy "$enrolled" "$tip" "then" leaf "$enrolled" sign-cert "$(der "$dir/own.crt")" "then" commit "$it" "$dir/own.key" "file:signer.pem=$dir/own.pem"
falsified "$it #$seq is of another machine than the log says, or of one that was replaced" "the log calls the last commit one of a third machine" \
	copy "$enrolled" "$tip" "then" leaf "$enrolled" incarnation 3 "then" leaf "$tip" incarnation 3
finish
