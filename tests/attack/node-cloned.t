#!/bin/sh
# The disk of an office is copied: two machines go on as one office.
. "$(dirname "$0")/../lib/attack.sh"

cp -a "$dir/$a/state" "$dir/clone"
cp "$dir/$a/office.db" "$dir/clone.db"
sed -i "s/%2Foffice.db/%2Fclone.db/;s/%2F$a%2Fclone.db/%2Fclone.db/" "$dir/clone/node"
clone() { "$bin/tributary-agent" --state "$dir/clone" "$@"; }
well() { hub status >"$dir/said" && ! grep -qi forked "$dir/said"; }
ok "before it all is well" well
sqlite3 "$dir/clone.db" "INSERT INTO demand VALUES('c1','克隆','reported',1)"
ok "the copy reports first" clone sync
ok "its row is in the city" eventually 克隆 community "SELECT title FROM demand WHERE _node='$a' AND id='c1'"
sql $a "INSERT INTO demand VALUES('o1','原件','reported',1)"
refuses 16 "old copy or a clone.*the city knows of it now" "the other is stopped, and told why" agent $a sync
own() { same "$(sql $a "SELECT title FROM demand WHERE id='o1'")" 原件 && agent $a restore --at HEAD --to "$dir/r.db" && same "$(sqlite3 "$dir/r.db" "SELECT title FROM demand WHERE id='o1'")" 原件; }
ok "nothing of it is lost: it stays committed here" own

# The one that reports looks well: the hub knows nevertheless.
refuses 16 "^Forked" "the operator's first screen names it" hub status
cp "$dir/out" "$dir/screen"
first() { grep -A1 "^Forked" "$dir/screen" | grep -q "$a.*forked" && ! grep -q "$a.*up to date" "$dir/screen" && grep -q "$b.*up to date" "$dir/screen" && grep -q " 1 forked" "$dir/screen"; }
ok "and not as up to date" first
refuses 16 "\"forked\": *\[ *{.*\"node\": *\"$a\"" "for monitoring, too" sh -c "'$bin/tributary-hub' --state '$dir/hub' --json status | tr -d '\n'; '$bin/tributary-hub' --state '$dir/hub' status >/dev/null"
leaf() { same "$(hubsql "SELECT count(*) FROM leaf WHERE instr(bytes, CAST('fork' AS BLOB)) AND instr(bytes, CAST('$a' AS BLOB))")" 1; }
ok "the log has it" leaf
refuses 16 "old copy or a clone" "asked again it says the same" agent $a push
ok "which is no second leaf" leaf
ok "the copy goes on" clone sync
refuses 16 "^Forked" "which clears nothing" hub status
ok "the other office goes on" agent $b sync
ok "all is proven" hub audit

# Nobody raises an alarm for another, nor for nothing.
git -C "$dir/$a/state/repo.git" cat-file commit main >"$dir/raw"
git -C "$dir/$b/state/repo.git" cat-file commit main >"$dir/raw-b"
refuses 0 "^403" "nobody speaks for another" as $a -X POST --data-binary @"$dir/raw" "$url/$b/community.git/forked"
refuses 0 "^422" "a commit that the hub stands at is no fork" as $b -X POST --data-binary @"$dir/raw-b" "$url/$b/community.git/forked"
refuses 0 "^422" "no commit at all is none" as $b -X POST --data-binary "forked" "$url/$b/community.git/forked"
head -c 70000 /dev/zero >"$dir/big"
refuses 0 "^413" "a large one is not read" as $b -X POST --data-binary @"$dir/big" "$url/$b/community.git/forked"
alone() { same "$(hubsql "SELECT group_concat(node) FROM refusal WHERE code='fork'")" $a; }
ok "only the one is named" alone

# The city gives the office a new slip: one machine goes on, with the rows of its own.
ok "a new slip" hub node replace $a --app community --name "社区 $a" --url "$url" --slip "$dir/slip2" --approve
refuses 16 "^Forked" "named until the new machine is there" hub status
anew() { mv "$dir/$a/state" "$dir/$a/aside" && agent $a init "$dir/$a/office.db" --node $a --app community --name "社区 $a" && agent $a enrol --slip "$dir/slip2"; }
ok "the original begins anew with it" anew
ok "then it is named no more" well
ok "it reports" agent $a sync
ok "its row is in the city" eventually 原件 community "SELECT title FROM demand WHERE _node='$a' AND id='o1'"
ok "what only the copy had is not" eventually "" community "SELECT title FROM demand WHERE _node='$a' AND id='c1'"
kept() { hub restore --node $a --app community --at '#3' --to "$dir/c.db" && same "$(sqlite3 "$dir/c.db" "SELECT title FROM demand WHERE id='c1'")" 克隆; }
ok "but stays in the history" kept
sqlite3 "$dir/clone.db" "INSERT INTO demand VALUES('c2','还在','reported',1)"
refuses 12 "replaced by a newer one" "the copy is stopped" clone sync
its() { same "$(sqlite3 "$dir/clone.db" "SELECT title FROM demand WHERE id='c2'")" 还在 && clone restore --at HEAD --to "$dir/r2.db" && same "$(sqlite3 "$dir/r2.db" "SELECT title FROM demand WHERE id='c2'")" 还在; }
ok "and keeps what it has" its
ok "all is well" well
ok "all is proven" hub audit
finish
