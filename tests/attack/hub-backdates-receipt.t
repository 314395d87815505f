#!/bin/sh
# The hub changes when it received a commit.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
hubsql "UPDATE held SET held_at=held_at-86400 WHERE node='$a' AND seq=2"
audit_says "held_at of the held commit is not what log leaf" "commit and leaf are named"
# Stock tools cannot see it: a bundle goes by the leaves, not by what hub.db repeats of them; there the hour is the true one.
mended
finish
