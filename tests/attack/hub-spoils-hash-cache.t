#!/bin/sh
# The hub changes cached hashes of the log.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
hubsql "UPDATE subtree SET hash=randomblob(32)"
audit_says "cached hashes are not those of the leaves" "they are named"
# Stock tools cannot see it: a bundle goes by the leaves, not by what hub.db repeats of them.
mended
finish
