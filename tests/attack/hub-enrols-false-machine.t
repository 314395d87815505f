#!/bin/sh
# The city's own operator makes a machine of his own into office A.
. "$(dirname "$0")/../lib/attack.sh"

slip() { hub node replace $a --app community --name "社区 $a" --url "$url" --slip "$dir/slip" --approve; }
ok "a slip for a replacement that nobody asked for" slip
mkdir "$dir/false" && sqlite3 "$dir/false/office.db" "CREATE TABLE demand(id TEXT PRIMARY KEY, title TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'reported', n INTEGER); INSERT INTO demand VALUES('f1','假','reported',1)"
ok "a false machine" agent false init "$dir/false/office.db" --node $a --app community
ok "enrols" agent false enrol --slip "$dir/slip"
refuses 12 "replaced" "the office is told at its next run" agent $a sync
logged() { sqlite3 -readonly "$dir/hub/hub.db" "SELECT CAST(bytes AS TEXT) FROM leaf" | grep -A9 '^kind enrolled' | grep -q '^incarnation 2'; }
ok "the log has it for good: incarnation 2" logged
ok "what the office signed is its own for ever" agent $a check
shown() { hub node show $a --app community | grep -q "incarnation 2"; }
ok "and anybody who looks sees two machines" shown
finish
