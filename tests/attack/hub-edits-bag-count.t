#!/bin/sh
# The hub changes how often a row without a key occurs.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
city_write "UPDATE _bag_journal SET _count=7 WHERE _node='$a' AND _count=2"
audit_says "_count is 7 in the city, and by the histories 2" "the count is named"
stock_says "$a/community: the rows of table [a-z_]*journal in the city are not those that the community signed" "stock tools name community and table"
mended
finish
