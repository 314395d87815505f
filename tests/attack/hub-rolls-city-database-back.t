#!/bin/sh
# The hub puts an old copy of the city database back.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
rm -f "$dir/hub/city/community.db-wal" "$dir/hub/city/community.db-shm"
cp "$dir/hub-night1/city/community.db" "$dir/hub/city/community.db"
audit_says "stands before the last signed city commit, which has taken in 2 groups more" "how far it is behind is named"
stock_says "the rows of table demand in the city are not those that the community signed" "stock tools name the table"
mended
finish
