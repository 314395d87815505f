#!/bin/sh
# After a proven audit the hub rewrites leaves that it had judged, with hashes to match, and signs them.
. "$(dirname "$0")/../lib/attack.sh"

ok "a third night" third_night
hub_stop
hubsql "UPDATE leaf SET bytes=CAST(replace(CAST(bytes AS TEXT),'seq 1','seq 9') AS BLOB) WHERE idx=(SELECT idx FROM held WHERE node='$a' AND seq=1)"
since_says "are not those that the last audit has proven" "the leaf before the last audit is missed"
since_says "are not those that the checkpoint signed" "the signed checkpoint says so, too"
stock_says "the leaves do not come to the root that the checkpoint signs" "and stock tools do"
# He cuts the log back to before that audit instead, and puts the old hub.db in place.
cp "$dir/hub-night1/hub.db" "$dir/hub/hub.db"
rm -f "$dir/hub/hub.db-wal" "$dir/hub/hub.db-shm"
since_says "the last audit has proven [0-9]* leaves, the log has [0-9]*: leaves were taken away" "leaves that are gone are missed"
finish
