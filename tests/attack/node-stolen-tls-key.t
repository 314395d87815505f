#!/bin/sh
# A thief has B's TLS key and certificate, and no other key: he cannot write A's history, nor read it.
. "$(dirname "$0")/../lib/attack.sh"

before="$(tip $a) $(kept)"
refuses 128 "403" "B's certificate pushes nothing into A's history" office_git $b -C "$dir/$a/state/repo.git" push "$url/$a/community.git" main:refs/heads/main
refuses 128 "403" "and reads nothing of it" office_git $b clone -q "$url/$a/community.git" "$dir/stolen"
cp -a "$dir/$b/state" "$dir/thief"
openssl ecparam -name prime256v1 -genkey -noout -out "$dir/thief/keys/sign.key" 2>/dev/null
sqlite3 "$dir/$b/office.db" "INSERT INTO demand VALUES('t1','小偷','reported',1)"
refuses 12 "." "without the signing key the agent makes no commit" "$bin/tributary-agent" --state "$dir/thief" sync
rm -rf "$dir/thief"
cp -a "$dir/$b/state" "$dir/thief"
ok "signed with another key" "$forge" "$dir/thief" unknown-ca
refuses 1 certificate "it is refused" office_git $b -C "$dir/thief/repo.git" push "$url/$b/community.git" main:refs/heads/main
ok "nothing changed" same "$(tip $a) $(kept)" "$before"
unharmed
finish
