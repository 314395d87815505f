#!/bin/sh
# The hub puts a row into the city database that no community sent.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
city_write "INSERT INTO demand(_node,id,title,status,n) VALUES('$b','x9','假','reported',1)"
audit_says "demand \[id='x9'\] the city has this row, no history does" "the row is named"
stock_says "$b/community: the rows of table demand in the city are not those that the community signed" "stock tools name community and table"
mended
finish
