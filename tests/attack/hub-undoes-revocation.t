#!/bin/sh
# The hub takes a revocation back, so that a thief can go on.
. "$(dirname "$0")/../lib/attack.sh"

ok "A is revoked" hub node revoke $a --app community --reason stolen
ok "all is proven" hub audit
hub_stop
hubsql "UPDATE cert SET revoked_at=NULL WHERE node='$a'"
audit_says "revoked_at of a sign certificate is not what the log says" "it is named"
# Stock tools cannot see it: a bundle goes by the leaves, not by what hub.db repeats of them; there A is revoked.
finish
