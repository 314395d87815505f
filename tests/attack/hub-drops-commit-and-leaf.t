#!/bin/sh
# The hub takes the last commit of a history out of everything it has: ref, rows, leaves.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
git -C "$(repo $a)" update-ref refs/heads/main main~1
hubsql "DELETE FROM leaf WHERE idx >= (SELECT idx FROM held WHERE node='$a' AND seq=2); DELETE FROM held WHERE node='$a' AND seq=2; DELETE FROM due"
audit_says "leaves were taken away" "the audit that came before remembers them"
audit_says "its signed checkpoint names" "and so does the signed checkpoint"
audit_says "the community was told of" "and the communities were told"
stock_says "log/leaves has another number of leaves than the checkpoint" "stock tools count"
finish
