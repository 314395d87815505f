#!/bin/sh
# A machine is replaced: the new one, with the office's database, follows the history of the one before.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
b=520303001011

ok "a city" city_init
ok "the hub listens" hub_start
ok "A captures" office $a community 洗马社区
ok "B captures" office $b community 南京路社区
ok "A enrols" enrol $a community 洗马社区
ok "B enrols" enrol $b community 南京路社区
ok "A syncs" agent $a sync
ok "B syncs" agent $b sync
sql $a "UPDATE demand SET title = 'old machine' WHERE id = 'd1'"
ok "A syncs again" agent $a sync

mkdir "$dir/new" && cp "$dir/$a/office.db" "$dir/new/office.db"
sql new "DELETE FROM demand WHERE id = 'd2'; INSERT INTO demand VALUES('n1','new machine','reported',9);"
ok "a new machine captures the office's database" agent new init "$dir/new/office.db" --node $a --app community --name 洗马社区
sql new "INSERT INTO demand VALUES('n2','before it enrols','reported',9);"
ok "twice" agent new commit
replace() { hub node replace $a --app community --url "$url" --slip "$dir/new/slip" --approve; }
ok "the city makes a slip for it" replace
ok "it enrols" agent new enrol --slip "$dir/new/slip"
refuses 3 "the first sync fetches it, try: tributary-agent sync" "receipts of the machine before are no fork: it is told to sync first" agent new pull
refuses 12 "replaced" "the machine before is stopped" agent $a sync
killed() { TRIBUTARY_CRASH_AT=$1 agent new sync; [ $? -eq 137 ]; }
ok "it is killed when its history has moved" killed history-moved
ok "and when one step was pushed" killed push-step
ok "it syncs" agent new sync
ok "its rows are in the city" eventually "d1 n1 n2" community "SELECT group_concat(id, ' ') FROM (SELECT id FROM demand WHERE _node = '$a' ORDER BY id)"
ok "those of the machine before are not lost" eventually "old machine" community "SELECT title FROM demand WHERE _node = '$a' AND id = 'd1'"
ok "B's are untouched" eventually 2 community "SELECT count(*) FROM demand WHERE _node = '$b'"
sql new "DELETE FROM demand WHERE id = 'n1'"
ok "the next night is as any other" agent new sync
ok "in the city too" eventually 2 community "SELECT count(*) FROM demand WHERE _node = '$a'"
ok "the new machine checks the whole history" agent new check --read-data
ok "the audit proves the city" hub audit

# A database that was not brought back from the lost disk is no reason to empty the city.
many() { sql $b "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < 300) INSERT INTO demand SELECT 'k' || i, 'x', 'reported', i FROM k; CREATE TABLE diary(line TEXT); INSERT INTO diary SELECT id FROM demand" && agent $b sync; }
ok "B has 302 rows, and a diary" many
mkdir "$dir/bare" && cp "$dir/$b/office.db" "$dir/bare/office.db" && sql bare "DELETE FROM demand WHERE id <> 'd1'"
bare() { agent bare init "$dir/bare/office.db" --node $b --app community --name 南京路社区 --private diary && hub node replace $b --app community --url "$url" --slip "$dir/bare/slip" --approve && agent bare enrol --slip "$dir/bare/slip"; }
ok "B's new machine has one of them, and keeps the diary to itself" bare
refuses 16 "Nothing was changed: demand would lose 301 rows; the city knows of it now" "it takes nothing from the city" agent bare sync
refuses 16 "^Forked" "the operator's first screen names it" hub status
in_city() { same "$(city community "SELECT count(*) FROM demand WHERE _node='$b'")" "$1"; }
ok "the city has all" in_city 302
told() { agent bare status | grep -q "last failure.*demand would lose 301 rows"; }
ok "the office sees why" told
refuses 16 "braked: table demand would lose 301 rows" "a reset says so, too" agent bare reset --dry-run
refuses 16 "301 rows differ between #2, the last commit of the machine before" "and names the rows" agent bare reset
refuses 16 "demand would lose 301 rows" "asked again it says the same" agent bare push
back() { hub restore --node $b --app community --at latest --to "$dir/back.db" && cp "$dir/back.db" "$dir/bare/office.db" && agent bare sync; }
ok "with the database that the city restores it goes on" back
well() { hub status >"$dir/said" && ! grep -qi forked "$dir/said"; }
ok "and is named no more" soon well
ok "the city has all" in_city 302
private() { city community "SELECT count(*) FROM diary WHERE _node='$b'" >"$dir/said" 2>&1; ! grep -qx '[1-9][0-9]*' "$dir/said"; }
ok "but the diary, which left it" soon private
bare2() { rm -rf "$dir/bare/state" && sql bare "DELETE FROM demand WHERE id <> 'd1'" && bare; }
ok "another one with one row" bare2
ok "a person decides" agent bare reset --accept-loss
ok "it syncs" agent bare sync
ok "they are gone from the city" eventually 1 community "SELECT count(*) FROM demand WHERE _node = '$b'"
ok "and in its history for ever" agent bare check --read-data
ok "the audit proves the city" hub audit
linear() { same "$(sqlite3 -readonly "$dir/hub/hub.db" "SELECT count(*) = max(seq) FROM held WHERE node = '$a'")" 1; }
ok "one chain, no number twice" linear
finish
