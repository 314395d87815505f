#!/bin/sh
# The hub says that a certificate was revoked before it was, so that honest nights look forged.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
hubsql "UPDATE cert SET revoked_at=1 WHERE node='$a'"
audit_says "revoked_at of a sign certificate is not what the log says" "it is named"
finish
