#!/bin/sh
# After a proven audit the hub changes a row that no new commit touches, then one that a new commit wrote: an audit that judges only what is new finds both.
. "$(dirname "$0")/../lib/attack.sh"

c=520303003001
other_key() { mkdir -p "$dir/$c" && sqlite3 "$dir/$c/office.db" "CREATE TABLE demand(code TEXT PRIMARY KEY, title TEXT); INSERT INTO demand VALUES('c1','三')" && agent $c init "$dir/$c/office.db" --node $c --app community --name 丙; }
ok "an office whose table has another key" quiet other_key
ok "enrols" quiet enrol $c community 丙
ok "and reports" quiet agent $c sync
ok "its row is in the city" eventually 三 community "SELECT title FROM _t_demand_k2"
ok "all is proven" proven_at_rest
ok "a third night" third_night
hub_stop
city_write "UPDATE demand SET title='改' WHERE _node='$b' AND id='d2'"
since_says "demand \[id='d2'\] column title is '改' in the city, and by the histories '屋顶漏水'" "the old row is named, with both values"
city_write "UPDATE demand SET title='屋顶漏水' WHERE _node='$b' AND id='d2'; UPDATE demand SET n=5 WHERE _node='$a' AND id='d4'"
since_says "demand \[id='d4'\] column n is 5 in the city, and by the histories 4" "the new one, too"
city_write "UPDATE demand SET n=4 WHERE _node='$a' AND id='d4'; DELETE FROM points WHERE _node='$b'"
since_says "points \[id=1\] the city lacks this row of the histories" "rows that were removed"
city_write "INSERT INTO points SELECT '$b', id, person, points, note FROM points WHERE _node='$a'"
city_write "INSERT INTO demand(_node, id, title) SELECT _node, code, title FROM _t_demand_k2; DELETE FROM _t_demand_k2"
since_says "demand \[id='c1'\] the city has this row, no history does" "a row that lies where rows of another key belong"
city_write "INSERT INTO _t_demand_k2(_node, code, title) SELECT _node, id, title FROM demand WHERE _node='$c'; DELETE FROM demand WHERE _node='$c'"
hubsql "UPDATE held SET captured_at=captured_at-86400 WHERE node='$a' AND seq=1"
since_says "#1 .*hub.db: time or counts of the held commit are not those of its manifest" "what hub.db repeats of an old commit"
hubsql "UPDATE held SET captured_at=captured_at+86400, inserted=inserted+1 WHERE node='$a' AND seq=1"
since_says "#1 .*hub.db: time or counts of the held commit are not those of its manifest" "its counts"
hubsql "UPDATE held SET inserted=inserted-1, braked=3 WHERE node='$a' AND seq=1"
since_says "#1 .*hub.db: time or counts of the held commit are not those of its manifest" "what its brake held back"
hubsql "UPDATE held SET braked=0 WHERE node='$a' AND seq=1; UPDATE cert SET not_after=not_after+86400 WHERE node='$b' AND usage='sign'"
since_says "hub.db: serial number or end of the signing certificate are not what the certificate says" "how long a certificate is good"
hubsql "UPDATE cert SET not_after=not_after-86400 WHERE node='$b' AND usage='sign'"
went_on() { hub audit --since last >"$dir/said" && grep -q "^Since the audit of " "$dir/said"; }
ok "put back, it goes on from the last audit" went_on
finish
