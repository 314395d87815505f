#!/bin/sh
# The hub lists a signing certificate that was never logged.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
hubsql "INSERT INTO cert(sha256,node,app,usage,incarnation,not_after) VALUES(randomblob(32),'$a','community','sign',1,4000000000)"
audit_says "lists a signing certificate that no leaf of the log names" "it is named"
# Stock tools cannot see it: a bundle goes by the leaves, not by what hub.db repeats of them.
finish
