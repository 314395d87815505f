#!/bin/sh
# A commit is signed in a form that openssl takes and gpgsm does not: the hub took it in without a look, and the bundle is right in all else.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
reformed() { # the right commit of A, its signature once more, naming the certificate by its key identifier
	cp -a "$dir/$a/state" "$dir/thief" && good=$("$forge" "$dir/thief" honest) && g=$dir/thief/repo.git || return 1
	git -C "$g" cat-file commit "$good" | sed '/^gpgsig /,/^ -----END/d' >"$dir/text"
	openssl cms -sign -binary -outform PEM -md sha256 -nocerts -keyid -signer "$dir/thief/keys/sign.crt" -inkey "$dir/thief/keys/sign.key" -in "$dir/text" | sed 's/^-----\(BEGIN\|END\) CMS-----$/-----\1 SIGNED MESSAGE-----/; 1s/^/gpgsig /; 1!s/^/ /' >"$dir/sig" || return 1
	{ sed '/^$/q' "$dir/text" | sed '$d'; cat "$dir/sig"; sed '1,/^$/d; ' "$dir/text" | sed '1i\\'; } >"$dir/raw"
	bad=$(git -C "$g" hash-object -t commit -w --stdin <"$dir/raw") && git -C "$g" update-ref refs/heads/main "$bad" && takes "$g" "$bad" ""
}
ok "the hub takes it in" reformed
found 3 "\[bad-signature\]" "the audit names it: there is one form of a signature"
convicted "$a/community: gpgsm does not take its last commit: .*" "stock tools, by the other software alone"
cp "$dir/out" "$dir/said"
ok "which is the eighth step" grep -q "^6\. city/community.db: every row" "$dir/said"
finish
