#!/bin/sh
# A node with an empty disk comes back from the hub: the city restores its database, a new folder takes it under care and follows the history that the city holds.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001

for step in city_init hub_start; do ok "$step" $step; done
ok "an office" office $a community 洗马社区
ok "enrols" enrol $a community 洗马社区
ok "syncs" agent $a sync
sql $a "UPDATE demand SET title = '第二夜' WHERE id = 'd1'; INSERT INTO demand VALUES('d3','停水','reported',3)"
ok "a second night" agent $a sync
ok "in the city" eventually 第二夜 community "SELECT title FROM demand WHERE id = 'd1'"
sqlite3 "$dir/$a/office.db" .dump | sort >"$dir/before"
rm -rf "${dir:?}/$a"
ok "the office's disk is lost; the city restores its database" hub restore --node $a --app community --at latest --to "$dir/from-city.db"
same_rows() { sqlite3 "$dir/from-city.db" .dump | sort | diff - "$dir/before"; }
ok "every row, byte for byte" same_rows
mkdir "$dir/$a" && cp "$dir/from-city.db" "$dir/$a/office.db"
ok "a new folder takes it under care" agent $a init "$dir/$a/office.db" --node $a --app community --name 洗马社区
replace() { hub node replace $a --app community --url "$url" --slip "$dir/slip" --approve && agent $a enrol --slip "$dir/slip"; }
ok "with a replacement slip it follows the city's history" replace
ok "and syncs" agent $a sync
ok "the whole history is here again" agent $a check --read-data
old() { agent $a restore --at '#1' --to "$dir/first.db" && same "$(sqlite3 "$dir/first.db" "SELECT title FROM demand WHERE id = 'd1'")" 路灯不亮; }
ok "and restores the first night" old
sql $a "INSERT INTO demand VALUES('d4','噪声','reported',4)"
ok "the next night is as any other" agent $a sync
ok "in the city" eventually 噪声 community "SELECT title FROM demand WHERE id = 'd4'"
ok "nothing came twice" eventually 4 community "SELECT count(*) FROM demand WHERE _node = '$a'"
ok "the audit proves all" hub audit
finish
