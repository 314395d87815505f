#!/bin/sh
# A revoked office: what was held before stays proven, what comes after is refused.
. "$(dirname "$0")/../lib/attack.sh"

sql $a "INSERT INTO demand VALUES('d8','早','reported',8)"
ok "A captures and signs a night, and does not send it yet" agent $a commit
ok "and puts it on a stick" agent $a bundle create "$dir/before.bundle"
before="$(tip $a) $(kept)"
ok "A is revoked" hub node revoke $a --app community --reason disk-stolen
sql $a "INSERT INTO demand VALUES('d9','太迟','reported',9)"
refuses 12 "revoked" "its agent is told" agent $a sync
refuses 3 "The last run, at .*, failed: .*revoked" "and whoever looks afterwards" agent $a status
refuses 128 "403" "stock git gets no history" office_git $a clone -q "$url/$a/community.git" "$dir/gone"
refuses 128 "403" "and pushes none" office_git $a -C "$dir/$a/state/repo.git" push "$url/$a/community.git" main:refs/heads/main
# What was signed while the key was good and comes too late is refused as well: nobody can tell when a thief signed.
ok "a night after it" agent $a commit
ok "on a stick too" agent $a bundle create "$dir/after.bundle"
for stick in before after; do
	refuses 12 "none was taken: .*revoked" "the stick of $stick is refused by the running hub" hub ingest "$dir/$stick.bundle"
done
hub_stop
for stick in before after; do
	refuses 12 "none was taken: .*revoked" "the stick of $stick is refused by the stopped one" hub ingest "$dir/$stick.bundle"
done
ok "the hub runs again" hub_start
ok "nothing of all that stays" same "$(tip $a) $(kept)" "$before"
stays() { same "$(city community "SELECT count(*) FROM demand WHERE _node='$a'")" 3; }
ok "what was held stays in the city" stays
ok "and is proven, although its signer is revoked now" hub audit
verify() { git -c gpg.format=x509 -c gpg.x509.program="$top/certs/tributary-verify" -c tributary.ca="$dir/$a/state/keys/root.crt" -C "$(repo $a)" verify-commit main; }
ok "stock git still verifies it" verify
ok "the other office goes on" agent $b sync
finish
