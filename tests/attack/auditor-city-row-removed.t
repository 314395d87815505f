#!/bin/sh
# The city database of the bundle lacks a row.
. "$(dirname "$0")/../lib/attack.sh"

take_bundle
sqlite3 "$dir/b/city/community.db" "DELETE FROM demand WHERE _node='$a' AND id='d3'"
doctored "$a/community: table demand has another number of rows" "community and table are named"
finish
