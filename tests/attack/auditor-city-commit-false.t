#!/bin/sh
# The last commit of the city history in the bundle is made anew by the hub: it signs what does not follow from the rest, or somebody else signs it.
. "$(dirname "$0")/../lib/attack.sh"

at_rest
keep_bundle
key=$dir/hub/keys/hub-sign.key
zeros=$(printf %064d 0)
anew() { # anew TEXT NAME EDIT...
	text=$1
	what=$2
	shift 2
	falsified "$text" "$what" commit city "$key" "$@"
}
anew "the digest of the city database is not what the communities' commits come to" "it signs another digest" "manifest:^digest .*=digest $zeros"
anew "city commit [0-9a-f]* does not follow the one before" "it names another one before it" "manifest:^prev .*=prev $zeros"
anew "city commit [0-9a-f]*: the signed text names another manifest" "its text names another manifest" "text:^Tributary-Manifest-SHA256: .*=Tributary-Manifest-SHA256: $zeros"
anew "city commit [0-9a-f]*: signer.pem is not the file that the manifest names" "it names another file" "manifest:^blob signer.pem .*=blob signer.pem $zeros"
anew "city commit [0-9a-f]* names a log of 5 leaves that is not this one" "it names another log" "manifest:^log .*=log 5 $zeros"
anew "city commit [0-9a-f]* names a log of 5000 leaves that is not this one" "it names a log of the future" "manifest:^log .*=log 5000 $zeros"
anew "the log has verdicts on commits that the last city commit does not have: its last commits were left out" "it has taken in less" "manifest:^merged .*=merged 5"
anew "city commit [0-9a-f]*: the signature does not fit the commit" "it signs another text" sign-other=x
cat "$dir/$a/state/keys/sign.crt" "$dir/$a/state/keys/issuing.crt" >"$dir/signer.pem"
falsified "city commit [0-9a-f]*: the signer is not hub:hub" "a community signs it" commit city "$dir/$a/state/keys/sign.key" "file:signer.pem=$dir/signer.pem"
falsified "city commit [0-9a-f]*: it is not signed" "nobody signs it" commit city -

undoctored
ok "the city history is missing" rm "$dir/b/city.bundle"
named "city.bundle is not here"
ok "it is something else" sh -c "echo x >'$dir/b/city.bundle'"
named "city.bundle cannot be read"
undoctored
none() { git clone -q --mirror "$dir/b/city.bundle" "$dir/c.git" 2>/dev/null && git -C "$dir/c.git" update-ref refs/heads/other main && git -C "$dir/c.git" bundle create -q "$dir/b/city.bundle" other; }
ok "it is under another name" none
named "city.bundle holds no city commit"
finish
