#!/bin/sh
# A node makes a night that the city holds once more, with other rows, and pushes it by force.
. "$(dirname "$0")/../lib/attack.sh"

fork() { "$bin/tributary-agent" --state "$dir/$a/night1" "$@"; }
before="$(tip $a) $(kept)"
sql $a "UPDATE demand SET title='从来没有' WHERE id='d2'"
ok "the second night is made again" fork commit
refuses 1 "fork\|out-of-sequence" "stock git pushes it by force: refused" office_git $a -C "$dir/$a/night1/repo.git" push --force "$url/$a/community.git" main:refs/heads/main
ok "nothing of it stays" same "$(tip $a) $(kept)" "$before"
refuses 16 "old copy or a clone\|never made" "the agent of that folder stops by itself" fork sync
unharmed
finish
