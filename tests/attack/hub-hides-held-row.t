#!/bin/sh
# The hub drops the row of a held commit, so that its lists do not show it.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
hubsql "DELETE FROM held WHERE node='$a' AND seq=2"
audit_says "#2 hub.db does not list a commit that log leaf" "it is named"
stock_says "$a/community: the log holds more commits than the bundle brings: some were left out" "stock tools name the community"
mended
finish
