#!/bin/sh
# A thief of A's TLS key or a careless office signs with a new key that the city has certified, but to which the present key never handed over (D5.4).
. "$(dirname "$0")/../lib/attack.sh"

certified() { # a new key with its certificate, and no commit that hands over to it
	TRIBUTARY_CRASH_AT=next-certificate agent $a cert rotate
	[ -s "$dir/$a/state/keys/sign.next.crt" ]
}
ok "the city certifies a new signing key of A" certified
steal() {
	cp -a "$dir/$a/state" "$dir/thief" && mv "$dir/thief/keys/sign.next.key" "$dir/thief/keys/sign.key" && mv "$dir/thief/keys/sign.next.crt" "$dir/thief/keys/sign.crt"
}
ok "a thief takes the folder, and the new key for the present one" steal
before="$(tip $a) $(kept)"
ok "he signs a night with it" "$forge" "$dir/thief" honest
refuses 1 "certificate" "refused: without a rotate commit it is not its turn" office_git $a -C "$dir/thief/repo.git" push "$url/$a/community.git" main:refs/heads/main
ok "nothing stays" same "$(tip $a) $(kept)" "$before"
ok "the refusal is on record" on_record certificate
ok "A itself goes on with the change" agent $a cert rotate
unharmed
finish
