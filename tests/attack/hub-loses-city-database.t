#!/bin/sh
# The hub deletes the city database.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
rm "$dir/hub/city/community.db"
audit_says "the city database is missing, though a signed city commit has taken in 4 groups" "it is named"
stock_says "city/community.db is not here, though commits of 2 communities are merged into it; the hub says: there is no " "stock tools name the file"
mended
finish
