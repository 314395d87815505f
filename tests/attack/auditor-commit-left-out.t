#!/bin/sh
# The bundle lacks the last commit of a community.
. "$(dirname "$0")/../lib/attack.sh"

take_bundle
ok "the last commit is taken out" rebundle $a main~1
doctored "$a/community: the log holds more commits than the bundle brings" "the community is named"
finish
