#!/bin/sh
# The hub says that a certificate was revoked before it was, so that honest nights look forged.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
hubsql "UPDATE cert SET revoked_at=1 WHERE node='$a'"
audit_says "revoked_at of a sign certificate is not what the log says" "it is named"
# Stock tools cannot see it: a bundle goes by the leaves, not by what hub.db repeats of them; there A is not revoked.
finish
