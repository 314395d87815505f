#!/bin/sh
# A node writes refs that are the hub's, and invents others.
. "$(dirname "$0")/../lib/attack.sh"

before="$(tip $a) $(kept) $(git -C "$(repo $a)" for-each-ref)"
for ref in refs/heads/down refs/heads/broadcast refs/heads/other refs/tags/v1 refs/tributary/before; do
	refuses 1 "refused\|rejected\|not allowed" "$ref is refused" office_git $a -C "$dir/$a/state/repo.git" push --force "$url/$a/community.git" "main~1:$ref"
done
ok "nothing changed" same "$(tip $a) $(kept) $(git -C "$(repo $a)" for-each-ref)" "$before"
unharmed
finish
