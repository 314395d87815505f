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
linear() { same "$(sqlite3 -readonly "$dir/hub/hub.db" "SELECT count(*) = max(seq) FROM held WHERE node = '$a'")" 1; }
ok "one chain, no number twice" linear
finish
