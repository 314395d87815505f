#!/bin/sh
# Somebody without a certificate tries every route.
. "$(dirname "$0")/../lib/attack.sh"

nobody() { # nobody CODE CURL-ARGS...
	want=$1
	shift
	same "$(curl -sS --cacert "$dir/$a/state/keys/root.crt" -o "$dir/answer" -w '%{http_code}' "$@")" "$want"
}
before="$(tip $a) $(kept) $(leaves)"
for path in "$a/community.git/info/refs?service=git-upload-pack" "$a/community.git/info/refs?service=git-receive-pack" checkpoint; do
	ok "GET /$path is refused" nobody 403 "$url/$path"
done
ok "a push is refused" nobody 403 -H 'Content-Type: application/x-git-receive-pack-request' --data-binary 0000 "$url/$a/community.git/git-receive-pack"
ok "a fetch is refused" nobody 403 -H 'Content-Type: application/x-git-upload-pack-request' --data-binary 0000 "$url/$a/community.git/git-upload-pack"
ok "a renewal is refused" nobody 403 --data-binary x "$url/renew"
refuses 128 403 "stock git clones nothing" git -c http.sslCAInfo="$dir/$a/state/keys/root.crt" clone -q "$url/$a/community.git" "$dir/stolen"
ok "nothing changed" same "$(tip $a) $(kept) $(leaves)" "$before"
unharmed
finish
