#!/bin/sh
# The hub drops a table of the city database.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
city_write "DROP TABLE demand"
audit_says "demand the city database has no such table" "the table is named"
stock_says "the rows of table demand in the city are not those that the community signed" "stock tools name the table"
mended
finish
