#!/bin/sh
# The hub books a row of one community under another.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
city_write "UPDATE points SET _node='520303009999' WHERE _node='$b' AND id=1"
audit_says "points \[id=1\] the city lacks this row" "the owner's loss is named"
audit_says "^520303009999/community:" "and the one who never sent it"
stock_says "city/community.db holds rows of '520303009999', of which nothing is merged" "stock tools name who never sent it"
mended
finish
