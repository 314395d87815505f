#!/bin/sh
# The hub takes the leaf of one commit out of the middle of the log.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
hubsql "DELETE FROM leaf WHERE idx=(SELECT idx FROM held WHERE node='$a' AND seq=2)"
audit_says "leaf" "the audit says so"
refuses 15 "." "with its status" hub audit
stock_says "log/leaves has another number of leaves than the checkpoint" "stock tools count"
finish
