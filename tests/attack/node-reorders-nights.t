#!/bin/sh
# A node puts two commits in the other order.
. "$(dirname "$0")/../lib/attack.sh"

sql $a "INSERT INTO demand VALUES('d4','噪声','reported',4)"
ok "a third night waits" agent $a commit
sql $a "INSERT INTO demand VALUES('d5','停电','reported',5)"
ok "and a fourth" agent $a commit
git clone -q --bare "$dir/$a/state/repo.git" "$dir/turned.git" 2>/dev/null
g() { git -C "$dir/turned.git" "$@"; }
third=$(g rev-parse main~1)
fourth=$(g rev-parse main)
turn() { # turn COMMIT PARENT: the same commit, signature and all, on another parent
	g cat-file commit "$1" | sed "s/^parent .*/parent $2/" | g hash-object -t commit -w --stdin
}
first=$(turn "$fourth" "$(g rev-parse main~2)")
g update-ref refs/heads/main "$(turn "$third" "$first")"
before="$(tip $a) $(kept)"
refuses 1 "out-of-sequence\|bad-signature" "the turned history is refused" office_git $a -C "$dir/turned.git" push "$url/$a/community.git" main:refs/heads/main
ok "nothing changed" same "$(tip $a) $(kept)" "$before"
unharmed
finish
