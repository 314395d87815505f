#!/bin/sh
# The hub deletes the city history.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
rm -rf "$dir/hub/city.git"
audit_says "city.git is missing, though the log has verdicts" "it is named"
finish
