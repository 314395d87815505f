#!/bin/sh
# The hub forgets a certificate that it issued.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
hubsql "DELETE FROM cert WHERE node='$a'"
audit_says "hub.db lacks a certificate that the log says was issued" "it is named"
# Stock tools cannot see it: a bundle goes by the leaves, not by what hub.db repeats of them.
finish
