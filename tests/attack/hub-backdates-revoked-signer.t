#!/bin/sh
# The same, and the hub's clock is set back meanwhile: by its leaf's time the commit was held an hour before its signer was revoked.
. "$(dirname "$0")/../lib/attack.sh"

ok "A is revoked" hub node revoke $a --app community --reason stolen
ok "all is proven" hub audit
at=$(hubsql "SELECT max(revoked_at) FROM cert WHERE node='$a'")
ago=$(date -u -d "@$((at - 3600))" +%Y-%m-%dT%H:%M:%SZ)
night() { # night SQL: A writes and sends; it may say that its clock is not the hub's (19)
	sql $a "$1"
	agent $a sync
	rc=$?
	[ $rc -eq 0 ] || [ $rc -eq 19 ]
}
early() { # early SEQ: the commit's leaf says that it was held before the revocation
	[ "$(hubsql "SELECT held_at FROM held WHERE node='$a' AND seq=$1")" -lt "$at" ]
}
late() { ! early "$1"; }
go_back() { # an hour, and A is revoked no more
	hub_stop
	hubsql "UPDATE cert SET revoked_at=NULL WHERE node='$a'"
	TRIBUTARY_CLOCK_OFFSET=-3600
	export TRIBUTARY_CLOCK_OFFSET
	hub_start
	unset TRIBUTARY_CLOCK_OFFSET
}
come_back() {
	hub_stop
	hubsql "UPDATE cert SET revoked_at=$at WHERE node='$a'"
}
ok "the hub's clock is set back" go_back
ok "the thief sends a night" night "INSERT INTO demand VALUES('r1','后','reported',3)"
ok "our hub's leaves do not follow the clock" late 3
come_back
audit_says "#3 .* log leaf [0-9]* holds a commit whose signing certificate leaf [0-9]* had revoked before; such commits: 1" "the audit goes by the leaves"

# A hub whose leaves do follow it: what ours takes for the log's last leaf is made as old.
last=$(($(leaves) - 1))
leaf=$(hubsql "SELECT hex(bytes) FROM leaf WHERE idx=$last")
time=$(hubsql "SELECT CAST(bytes AS TEXT) FROM leaf WHERE idx=$last" | sed -n 's/^time //p')
hubsql "UPDATE leaf SET bytes=CAST(replace(CAST(bytes AS TEXT),'time $time','time $ago') AS BLOB) WHERE idx=$last"
ok "once more, by another hub" go_back
ok "the thief sends another night" night "INSERT INTO demand VALUES('r2','后','reported',4)"
ok "this one was held before the revocation, says its leaf" early 4
come_back
hubsql "UPDATE leaf SET bytes=x'$leaf' WHERE idx=$last"
rm -r "$dir/hub/log/tile" "$dir/hub/log/checkpoint"
published_anew() { hub_start && published && hub_stop; }
ok "the log is published anew" published_anew
audit_says "the times of the log fall: leaf $last says $time, leaf $((last + 1)) after it" "the fall is named, with both leaves"
ok "and both commits" grep -q "had revoked before; such commits: 2" "$dir/four"
ok "nothing else is wrong" same "$(grep -c '^  #' "$dir/four")" 2
since_says "had revoked before; such commits: 2" "an audit since the last one names it too"
refuses 15 "." "an auditor's bundle of it" hub audit --bundle "$dir/b"
doctored "$a/community #3: the signer's certificate was revoked when the hub received the commit" "stock tools see it too"
finish
