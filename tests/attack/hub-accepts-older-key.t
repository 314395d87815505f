#!/bin/sh
# The hub takes in a commit signed by a key of the same office whose turn it is not: given up, never handed over to, or in the name of a machine that nobody enrolled.
. "$(dirname "$0")/../lib/attack.sh"

certified() { # a new key with its certificate, and no commit that hands over to it
	TRIBUTARY_CRASH_AT=next-certificate agent $a cert rotate
	[ -s "$dir/$a/state/keys/sign.next.crt" ]
}
key_of() { cp "$1/keys/$2.key" "$dir/$a/state/keys/sign.key" && cp "$1/keys/$2.crt" "$dir/$a/state/keys/sign.crt"; } # what a thief signs with

cp -a "$dir/$a/state" "$dir/first"
ok "the city certifies a new signing key of A" certified
hub_stop
cp -a "$dir/$a/state" "$dir/honest"
key_of "$dir/honest" sign.next
ok "the hub takes in a commit signed by it" accepts "" honest
found 3 "signed with another key than #2, without a rotate commit or a new incarnation between \[certificate\]" "the audit names it"
convicted "$a/community #3: signed by another key than the commit before, which did not hand over to it" "and so do stock tools"
ok "it takes in one in the name of a second machine" accepts "" field incarnation 2
found 3 "the signing certificate is of incarnation 1 of this office, the commit of 2 \[certificate\]" "the audit names it"
convicted "$a/community #3: the signer's certificate was unknown" "and so do stock tools"

rm -rf "$dir/hub" "$dir/$a/state" && mv "$dir/before" "$dir/hub" && mv "$dir/honest" "$dir/$a/state"
ok "the hub is honest again" hub_start
ok "A changes its signing key" agent $a cert rotate
sql $a "INSERT INTO demand VALUES('k1','新钥','reported',1)"
ok "and signs a night with the new one" agent $a sync
eventually 7 community "SELECT count(*) FROM demand" && at_rest && hub_stop
ok "which is proven" audit_twice
ok "by stock tools, too" gives_bundle
ok "as they say" stock_steps
key_of "$dir/first" sign
ok "the hub takes in a commit signed by the key that A gave up" accepts "" honest
found 6 "signed with another key than #5, without a rotate commit or a new incarnation between \[certificate\]" "the audit names it"
convicted "$a/community #6: signed by another key than the commit before, which did not hand over to it" "and so do stock tools"
finish
