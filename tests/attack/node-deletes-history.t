#!/bin/sh
# A node deletes its branch at the hub.
. "$(dirname "$0")/../lib/attack.sh"

before="$(tip $a) $(kept)"
refuses 1 "refused\|rejected\|delet" "git push --delete is refused" office_git $a -C "$dir/$a/state/repo.git" push "$url/$a/community.git" --delete main
ok "nothing changed" same "$(tip $a) $(kept)" "$before"
unharmed
finish
