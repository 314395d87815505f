#!/bin/sh
# The disk of an office is copied: two machines go on as one office.
. "$(dirname "$0")/../lib/attack.sh"

cp -a "$dir/$a/state" "$dir/clone"
cp "$dir/$a/office.db" "$dir/clone.db"
sed -i "s/%2Foffice.db/%2Fclone.db/;s/%2F$a%2Fclone.db/%2Fclone.db/" "$dir/clone/node"
clone() { "$bin/tributary-agent" --state "$dir/clone" "$@"; }
sqlite3 "$dir/clone.db" "INSERT INTO demand VALUES('c1','克隆','reported',1)"
ok "the copy reports first" clone sync
sql $a "INSERT INTO demand VALUES('o1','原件','reported',1)"
refuses 16 "old copy or a clone\|never made" "the other is stopped, and told why" agent $a sync
own() { same "$(sql $a "SELECT title FROM demand WHERE id='o1'")" 原件 && agent $a restore --at HEAD --to "$dir/r.db" && same "$(sqlite3 "$dir/r.db" "SELECT title FROM demand WHERE id='o1'")" 原件; }
ok "nothing of it is lost: it stays committed here" own
ok "the other office goes on" agent $b sync
ok "all is proven" hub audit
finish
