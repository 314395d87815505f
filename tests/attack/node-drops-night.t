#!/bin/sh
# A node takes its last night back: it pushes the history without it.
. "$(dirname "$0")/../lib/attack.sh"

before="$(tip $a) $(kept)"
git clone -q --bare "$dir/$a/state/repo.git" "$dir/short.git" 2>/dev/null
git -C "$dir/short.git" update-ref refs/heads/main "$(head_of $a)~1"
refuses 1 "rejected\|refused\|fork\|out-of-sequence" "the shorter history is refused" office_git $a -C "$dir/short.git" push --force "$url/$a/community.git" main:refs/heads/main
ok "nothing changed" same "$(tip $a) $(kept)" "$before"
unharmed
finish
