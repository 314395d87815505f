#!/bin/sh
# The city database of the bundle lacks a row.
. "$(dirname "$0")/../lib/attack.sh"

take_bundle
sqlite3 "$dir/b/city/community.db" "DELETE FROM demand WHERE _node='$a' AND id='d3'"
doctored "$a/community: the rows of table demand in the city are not those that the community signed" "community and table are named"
finish
