#!/bin/sh
# The hub takes a revocation back, so that a thief can go on.
. "$(dirname "$0")/../lib/attack.sh"

ok "A is revoked" hub node revoke $a --app community --reason stolen
ok "all is proven" hub audit
hub_stop
hubsql "UPDATE cert SET revoked_at=NULL WHERE node='$a'"
audit_says "revoked_at of a sign certificate is not what the log says" "it is named"
# Stock tools cannot see it: a bundle goes by the leaves, not by what hub.db repeats of them; there A is revoked.
revoked=$(hubsql "SELECT CAST(bytes AS TEXT) FROM leaf" | grep -A1 '^kind revoked$' | sed -n 's/^time //p' | tail -n 1)
hubsql "UPDATE cert SET revoked_at=strftime('%s','$revoked') WHERE node='$a'"
ok "put back: proven" audit_twice
# A TLS certificate that was renewed is a row of hub.db alone, until a leaf revokes it.
hubsql "INSERT INTO cert(sha256, node, app, usage, incarnation, not_after) VALUES(x'$(printf %064d 7)', '$b', 'community', 'tls', 1, 4000000000)"
ok "B, which renewed its TLS certificate, is revoked" hub node revoke $b --app community --reason stolen
ok "all is proven" audit_twice
hubsql "UPDATE cert SET revoked_at=NULL WHERE sha256=x'$(printf %064d 7)'"
audit_says "revoked_at of a tls certificate is not what the log says" "the renewed one let in again is named"
since_says "revoked_at of a tls certificate is not what the log says" "by an audit that goes on, too"
hubsql "DELETE FROM cert WHERE sha256=x'$(printf %064d 7)'"
audit_says "hub.db lacks a certificate that the log says was revoked" "and that it is gone from the list"
finish
