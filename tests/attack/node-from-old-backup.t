#!/bin/sh
# An office's folder comes back from an old backup.
. "$(dirname "$0")/../lib/attack.sh"

rm -rf "$dir/$a/state"
cp -a "$dir/$a/night1" "$dir/$a/state"
sql $a "INSERT INTO demand VALUES('d8','备份之后','reported',8)"
before="$(tip $a) $(kept)"
refuses 16 "old copy or a clone\|never made" "it is stopped and named" agent $a sync
named() { hub status | grep -A1 "^Forked" | grep -q "$a.*forked"; }
ok "the city knows of it and names it" named
ok "the city's history stays" same "$(tip $a) $(kept)" "$before"
own() { same "$(sql $a "SELECT title FROM demand WHERE id='d8'")" 备份之后; }
ok "the office's rows stay" own
replace() { hub node replace $a --app community --name "社区 $a" --url "$url" --slip "$dir/slip2" --approve; }
ok "the city gives it a new slip" replace
refuses 2 "move this one away" "which is not for the old folder" agent $a enrol --slip "$dir/slip2"
anew() { mv "$dir/$a/state" "$dir/$a/aside" && agent $a init "$dir/$a/office.db" --node $a --app community --name "社区 $a"; }
ok "but for a new one beside the same database" anew
ok "it follows the history that the city holds" agent $a enrol --slip "$dir/slip2"
ok "and reports" agent $a sync
well() { hub status >"$dir/said" && ! grep -qi forked "$dir/said"; }
ok "and is named no more" well
ok "with what was typed since" eventually 备份之后 community "SELECT title FROM demand WHERE _node='$a' AND id='d8'"
incarnation() { git -C "$(repo $a)" cat-file blob main:manifest | grep -q '^incarnation 2$'; }
ok "as a new incarnation, signed and visible" incarnation
ok "all is proven" hub audit

# The other way, when nobody else works as this office: its folder goes on from where the hub stands, by a reset.
back_from_night1() { rm -rf "$dir/$b/state" && cp -a "$dir/$b/night1" "$dir/$b/state" && cp "$dir/$b/night1.db" "$dir/$b/office.db"; }
ok "folder and database of another office are put back" back_from_night1
sql $b "INSERT INTO demand VALUES('d9','备份之后','reported',9)"
refuses 16 "If only this machine works as this office: tributary-agent reset. .*node replace" "it is stopped, and told both ways" agent $b sync
refuses 16 "^Forked" "the city names it" hub status
agent $b reset --dry-run >"$dir/said" 2>&1
rows_named() { cat "$dir/said"; grep -q "^ *+ demand id='d9' " "$dir/said" && grep -q "^ *- demand id='d3'" "$dir/said" && grep -q "^ *~ demand id='d1' " "$dir/said" && grep -q "^3 rows differ between #2, where the hub stands by another folder" "$dir/said"; }
ok "what a reset would change in the city is named, row by row" rows_named
refuses 16 "old copy or a clone" "a dry run changed nothing" agent $b push
agent $b reset --json >"$dir/said"
json() { python3 -c 'import json, sys; v = json.load(open(sys.argv[1])); print(eval(sys.argv[2], {"v": v}))' "$dir/said" "$1"; }
ok "in JSON, too" same "$(json 'sorted((r["op"], (r.get("old") or r["new"])["id"]) for r in v["rows"]), v["forked"], v["differs"], v["compared_with"], v["rows_left_out"], v["seq"]')" "([('delete', 'd3'), ('insert', 'd9'), ('update', 'd1')], True, 3, 2, 0, 3)"
ok "it goes on" agent $b sync
rows_of_b() { same "$(city community "SELECT id, title, status, n FROM demand WHERE _node='$b' ORDER BY id")" "$(sql $b "SELECT id, title, status, n FROM demand ORDER BY id")"; }
ok "the city has this office's rows" soon rows_of_b
ok "and names nobody" well
aside() { same "$(git -C "$dir/$b/state/repo.git" for-each-ref --format='%(refname)' 'refs/tributary/aside-*' | wc -l)" 1 && git -C "$dir/$b/state/repo.git" cat-file blob "$(git -C "$dir/$b/state/repo.git" for-each-ref --format='%(refname)' 'refs/tributary/aside-*'):changeset.gz" | gzip -dc | grep -qa 备份之后; }
ok "what the folder had committed is kept beside" aside
ok "the office proves its history" agent $b check --read-data
sql $b "INSERT INTO demand VALUES('d10','次日','reported',10)"
ok "the next night is as any other" agent $b sync
ok "in the city, too" soon rows_of_b
restores() { agent $b restore --at '#2' --to "$dir/night2.db" && same "$(sqlite3 "$dir/night2.db" "SELECT title FROM demand WHERE id='d3'")" 停水; }
ok "the office restores the night that its copy never had" restores
ok "all is proven" hub audit

# An old copy that lacks much of what the city has: the brake.
many() { cp -a "$dir/$b/state" "$dir/$b/before" && cp "$dir/$b/office.db" "$dir/$b/before.db" && sql $b "WITH RECURSIVE c(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM c WHERE i < 400) INSERT INTO points SELECT i, '居民' || i, i, NULL FROM c" && agent $b sync; }
ok "300 rows more" many
back() { rm -rf "$dir/$b/state" && cp -a "$dir/$b/before" "$dir/$b/state" && cp "$dir/$b/before.db" "$dir/$b/office.db"; }
ok "the copy of before is put back" back
refuses 16 "braked: table points would lose 301 rows" "a reset that would take them from the city is held back" agent $b reset
ok "the city has them" same "$(city community "SELECT count(*) FROM points WHERE _node='$b'")" 303
ok "a person decides" agent $b reset --accept-loss
ok "and they go" agent $b sync
ok "from the city" eventually 2 community "SELECT count(*) FROM points WHERE _node='$b'"
ok "all is proven" hub audit

# A private half has numbers of its own: then only a replacement helps.
private() { agent $a config set private demand.title && agent $a sync && rm -rf "$dir/$a/before" && cp -a "$dir/$a/state" "$dir/$a/before" && sql $a "INSERT INTO demand VALUES('d11','之后','reported',11)" && agent $a sync && rm -rf "$dir/$a/state" && cp -a "$dir/$a/before" "$dir/$a/state"; }
ok "an office with a private half is put back" private
refuses 16 "private half.*node replace" "its reset is refused" agent $a reset
finish
