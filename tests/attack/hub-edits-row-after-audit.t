#!/bin/sh
# After a proven audit the hub changes a row that no new commit touches, then one that a new commit wrote: an audit that judges only what is new finds both.
. "$(dirname "$0")/../lib/attack.sh"

ok "a third night" third_night
hub_stop
city_write "UPDATE demand SET title='改' WHERE _node='$b' AND id='d2'"
since_says "demand \[id='d2'\] column title is '改' in the city, and by the histories '屋顶漏水'" "the old row is named, with both values"
city_write "UPDATE demand SET title='屋顶漏水' WHERE _node='$b' AND id='d2'; UPDATE demand SET n=5 WHERE _node='$a' AND id='d4'"
since_says "demand \[id='d4'\] column n is 5 in the city, and by the histories 4" "the new one, too"
city_write "UPDATE demand SET n=4 WHERE _node='$a' AND id='d4'; DELETE FROM points WHERE _node='$b'"
since_says "points \[id=1\] the city lacks this row of the histories" "rows that were removed"
city_write "INSERT INTO points SELECT '$b', id, person, points, note FROM points WHERE _node='$a'"
went_on() { hub audit --since last >"$dir/said" && grep -q "^Since the audit of " "$dir/said"; }
ok "put back, it goes on from the last audit" went_on
finish
