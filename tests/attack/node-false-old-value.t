#!/bin/sh
# A node signs an update of a row that was never so: right arithmetic, wrong history.
. "$(dirname "$0")/../lib/attack.sh"

cp -a "$dir/$a/state" "$dir/thief"
"$forge" "$dir/thief" old-value >"$dir/forged" 2>&1
ok "it is signed and in sequence, so it is held" office_git $a -C "$dir/thief/repo.git" push -q "$url/$a/community.git" main:refs/heads/main
ok "but the merge names it as out of step" eventually "demand|old-value-differs" community "SELECT tbl, reason FROM _t_ledger WHERE node='$a'"
ok "and the row is as it was" eventually 路灯不亮 community "SELECT title FROM demand WHERE _node='$a' AND id='d1'"
shows_step() { hub status | grep -A2 -i "out of step" | grep -q $a; }
ok "the operator sees who is out of step" soon shows_step
sql $b "INSERT INTO demand VALUES('d7','别人照常','reported',7)"
ok "the other office goes on" agent $b sync
ok "and is merged" eventually 别人照常 community "SELECT title FROM demand WHERE _node='$b' AND id='d7'"
refuses 16 "old copy or a clone\|never made" "the office whose disk was copied is stopped, without loss" agent $a sync
ok "all that the city holds is still proven" hub audit
finish
