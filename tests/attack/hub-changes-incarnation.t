#!/bin/sh
# The hub says that an office was replaced.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
hubsql "UPDATE node SET incarnation=9 WHERE node='$a'"
audit_says "hub.db says incarnation 9, the log 1" "it is named"
# Stock tools cannot see it: a bundle goes by the leaves, not by what hub.db repeats of them.
finish
