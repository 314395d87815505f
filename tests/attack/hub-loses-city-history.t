#!/bin/sh
# The hub deletes the city history.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
rm -rf "$dir/hub/city.git"
audit_says "city.git is missing, though the log has verdicts" "it is named"
stock_says "city.bundle is not here; the hub says: there is no repository" "stock tools name it"
finish
