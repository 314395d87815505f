#!/bin/sh
# A node offers another office's history as its own.
. "$(dirname "$0")/../lib/attack.sh"

before="$(tip $a) $(kept)"
refuses 1 "out-of-sequence\|certificate\|fork" "B's history into A's: refused" office_git $a -C "$dir/$b/state/repo.git" push --force "$url/$a/community.git" main:refs/heads/main
ok "nothing changed" same "$(tip $a) $(kept)" "$before"
unharmed
finish
