#!/bin/sh
# The hub takes its last city commit back.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
git -C "$dir/hub/city.git" update-ref refs/heads/main main~1
audit_says "the city history ends at leaf .*, the log has verdicts up to leaf" "it is named"
stock_says "the log has verdicts on commits that the last city commit does not have: its last commits were left out" "stock tools miss them"
finish
