#!/bin/sh
# Somebody opens connections and says nothing.
. "$(dirname "$0")/../lib/attack.sh"

drip() { i=0; while [ $i -lt 20 ]; do (sleep 20 | openssl s_client -connect "127.0.0.1:$port" -quiet) & i=$((i + 1)); done; }
(drip >/dev/null 2>&1) 2>/dev/null
sleep 1
open_now() { test "$(ls "$dir/hub/quarantine" | wc -l)" -ge 5; }
ok "connections stand open" open_now
sql $a "INSERT INTO demand VALUES('d4','噪声','reported',4)"
ok "A syncs all the same" agent $a sync
pkill -f "s_client -connect 127.0.0.1:$port" 2>/dev/null
unharmed
finish
