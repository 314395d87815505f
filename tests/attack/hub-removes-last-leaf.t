#!/bin/sh
# The hub cuts the last leaf off the log.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
hubsql "DELETE FROM leaf WHERE idx=(SELECT max(idx) FROM leaf)"
audit_says "its signed checkpoint names" "the checkpoint names more"
audit_says "leaves were taken away" "and so does the last audit"
stock_says "log/leaves has another number of leaves than the checkpoint" "stock tools count"
finish
