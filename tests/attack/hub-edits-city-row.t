#!/bin/sh
# The hub changes one value of the city database.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
city_write "UPDATE demand SET title='改' WHERE _node='$b' AND id='d2'"
audit_says "demand \[id='d2'\] column title is '改' in the city, and by the histories '屋顶漏水'" "row, column and both values are named"
audit_says "^$b/community:" "under its community"
stock_says "$b/community: the rows of table demand in the city are not those that the community signed" "stock tools name community and table"
mended
finish
