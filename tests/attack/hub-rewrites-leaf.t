#!/bin/sh
# The hub changes what a leaf says.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
hubsql "UPDATE leaf SET bytes=CAST(replace(CAST(bytes AS TEXT),'seq 2','seq 3') AS BLOB) WHERE idx=(SELECT idx FROM held WHERE node='$a' AND seq=2)"
audit_says "are not those that the checkpoint signed" "the signed checkpoint says otherwise"
audit_says "are not those that the last audit has proven" "and so does the last audit"
audit_says "the community was told of another log" "and the communities"
audit_says "city commit #3: the first .* leaves of the log are not those that it signed" "and the city history"
stock_says "the leaves do not come to the root that the checkpoint signs" "stock tools come to another root"
finish
