#!/bin/sh
# The hub takes a row out of the city database.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
city_write "DELETE FROM demand WHERE _node='$a' AND id='d3'"
audit_says "demand \[id='d3'\] the city lacks this row of the histories" "the row is named"
stock_says "$a/community: the rows of table demand in the city are not those that the community signed" "stock tools name community and table"
mended
finish
