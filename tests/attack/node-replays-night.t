#!/bin/sh
# A node sends a held commit again: same bytes, nothing new.
. "$(dirname "$0")/../lib/attack.sh"

before="$(tip $a) $(leaves)"
g() { office_git $a -C "$dir/$a/state/repo.git" push "$url/$a/community.git" "$@"; }
ok "the same tip again" g main:refs/heads/main
head=$(head_of $a)
zero=0000000000000000000000000000000000000000
# The very request of the second night: old tip, new tip, pack.
{
	line="$head~"
	old=$(git -C "$dir/$a/state/repo.git" rev-parse "$head^")
	line="$old $head refs/heads/main"
	printf '%04x%s\0%s0000' $((${#line} + 4 + 15)) "$line" " report-status "
	printf '%s\n^%s\n' "$head" "$old" | git -C "$dir/$a/state/repo.git" pack-objects --stdout --revs -q
} >"$dir/body"
again() { as $a -H 'Content-Type: application/x-git-receive-pack-request' --data-binary "@$dir/body" "$url/$a/community.git/git-receive-pack"; tr -d '\000' <"$dir/answer"; }
ok "the same request again" again
ok "no leaf came of it" same "$(tip $a) $(leaves)" "$before"
once() { same "$(sqlite3 -readonly "$dir/hub/hub.db" "SELECT count(*) FROM held WHERE node='$a' AND seq=2")" 1; }
ok "the night is held once" once
unharmed
: "$zero"
finish
