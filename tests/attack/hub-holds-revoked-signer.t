#!/bin/sh
# The operator lets a revoked machine go on: he takes its revocation out of hub.db while it sends, and puts it back afterwards.
. "$(dirname "$0")/../lib/attack.sh"

ok "A is revoked" hub node revoke $a --app community --reason stolen
ok "all is proven" hub audit
at=$(hubsql "SELECT max(revoked_at) FROM cert WHERE node='$a'")
hub_stop
hubsql "UPDATE cert SET revoked_at=NULL WHERE node='$a'"
ok "the hub runs on without it" hub_start
sql $a "INSERT INTO demand VALUES('r1','后','reported',3)"
ok "the thief sends a night" agent $a sync
hub_stop
hubsql "UPDATE cert SET revoked_at=$at WHERE node='$a'"
audit_says "#3 .* log leaf [0-9]* holds a commit whose signing certificate leaf [0-9]* had revoked before; such commits: 1" "the commit and both leaves are named"
ok "and the list of revoked certificates" grep -q "#3 .* was revoked by list 1, which was in force when the commit was held" "$dir/four"
ok "it is not counted as proven" grep -q "(4 commits of 2 communities are)" "$dir/four"
since_says "had revoked before" "an audit since the last one names it too"
# hub.db forgets which serial number the certificate has: the leaves alone say enough.
hubsql "UPDATE cert SET serial=NULL WHERE node='$a'"
audit_says "had revoked before; such commits: 1" "without its serial number too"
refuses 15 "." "an auditor's bundle of it" hub audit --bundle "$dir/b"
doctored "$a/community #3: the signer's certificate was revoked when the hub received the commit" "stock tools see it too"
finish
