#!/bin/sh
# The hub changes 5 into '5': equal for a query, not for a proof.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
city_write "UPDATE points SET points='5' WHERE _node='$a' AND id=1"
audit_says "points \[id=1\] column points is '5' in the city, and by the histories 5" "both values are named with their class"
stock_says "$a/community: the rows of table points in the city are not those that the community signed" "stock tools name community and table"
mended
finish
