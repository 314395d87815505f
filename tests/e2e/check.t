#!/bin/sh
# `tributary-agent check` looks at all that the next night stands on, not only at the history: keys, certificates, the kept checkpoint, the remembered state.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
state=$dir/$a/state

small() { city_init && hub_start && office $a community 洗马 && enrol $a community 洗马 && agent $a sync && hub_stop; }
# other FILE BYTE: another letter of base64 there.
other() {
	[ "$(dd if="$1" bs=1 skip="$2" count=1 2>/dev/null)" = A ] && c=B || c=A
	printf %s $c | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
# damaged FILE BYTE STATUS TEXT NAME: the check names it, and all is well when the byte is back.
damaged() {
	cp -p "$state/$1" "$dir/keep"
	other "$state/$1" "$2"
	refuses "$3" "$4" "$5" agent $a check
	cp -p "$dir/keep" "$state/$1"
}

ok "an office with one night" small
ok "all is well" agent $a check --read-data
# PKCS#8 of P-256: the private number is bytes 36 to 67, the line before it has 28.
damaged keys/sign.key 100 12 'keys/sign: the private key and its public half do not belong together' "a signing key that has rotted"
damaged keys/tls.key 100 12 'keys/tls: the private key and its public half do not belong together' "the connection's key"
damaged keys/sign.crt 640 12 'keys/sign' "the end of a certificate: the city's signature"
damaged keys/tls.crt 640 12 'keys/tls' "that of the connection"
damaged keys/issuing.crt 540 12 'keys/sign' "the issuing certificate"
damaged checkpoint 150 15 'checkpoint' "the kept checkpoint"
damaged tip 67 15 'the remembered state is not what the signed history comes to' "the remembered state, where no row is"
# In files whose every byte counts for something: what makes a folder begin anew, or be another machine.
flag() { cp -p "$state/tip" "$dir/keep" && printf '\000' | dd of="$state/tip" bs=1 seek=16 conv=notrunc 2>/dev/null; }
ok "the mark that there is a commit is gone" flag
refuses 15 'tip: no commit, and yet a number or a time of one' "that is no folder without a commit" agent $a check
refuses 15 'tip: no commit, and yet a number or a time of one' "and nothing begins anew" agent $a commit
cp -p "$dir/keep" "$state/tip"
machine() { cp -p "$state/node" "$dir/keep" && sed -i 's/^incarnation 1$/incarnation 3/' "$state/node"; }
ok "another number of the machine" machine
refuses 15 'says that this is machine 3 of the office, the last commit that the hub holds of it is of machine 1' "is named" agent $a check
cp -p "$dir/keep" "$state/node"
ok "all is well again" agent $a check --read-data

# What only the hub knows is compared when it is asked again.
ok "the hub is there again" hub_start
sed -i 's/^policy 1$/policy 3/' "$state/node"
sql $a "INSERT INTO demand VALUES('p1','x','reported',1)"
ok "another number of the city's policy: by which one a commit is judged, the log says" agent $a sync
ok "it is merged" eventually x community "SELECT title FROM demand WHERE id='p1'"
ok "and all is proven" hub audit
sed -i 's,^origin \(.*\)1$,origin \13,' "$state/node"
sql $a "INSERT INTO demand VALUES('p2','x','reported',1)"
refuses 14 'which is no earlier epoch of' "a later epoch of the log than the hub has is named" agent $a sync
cp -p "$dir/keep" "$state/node"
ok "with the true one all goes on" agent $a sync
ok "all is well again" agent $a check --read-data
finish
