#!/bin/sh
# A community's last commit in the bundle is made anew with its own key, and leaf and log with the hub's: what it says of itself contradicts the rest.
. "$(dirname "$0")/../lib/attack.sh"

first=$(sqlite3 -readonly "$dir/hub/hub.db" "SELECT lower(hex(signer)) FROM held WHERE node='$b' AND seq=1")
ok "B changes its signing key" agent $b cert rotate
sql $b "INSERT INTO demand VALUES('k1','新钥','reported',1)"
ok "and signs a night with the new one" agent $b sync
ok "all is told" at_rest
keep_bundle
keys=$dir/$b/state/keys
tip="kind=held,node=$b,seq=5"
it=$b/community
anew() { # anew TEXT NAME EDIT...
	text=$1
	what=$2
	shift 2
	falsified "$text" "$what" commit $it "$keys/sign.key" "$@"
}

falsified "$it #5: the log names another signer" "the log names a signer that is B's, too" leaf "$tip" signer "$first"
zeros=$(printf %064d 0)
falsified "$it #5: the signed text, the log and the manifest disagree" "the log names another manifest" leaf "$tip" manifest "$zeros"
anew "$it #5: the signed text, the log and the manifest disagree" "the signed text does" "text:^Tributary-Manifest-SHA256: .*=Tributary-Manifest-SHA256: $zeros"
anew "$it #5: the changeset has another length" "the manifest says another length" 'manifest:^changeset \d+=changeset 99999'
anew "$it #5 does not follow the commit before" "another number" 'manifest:^seq 5=seq 6'
anew "$it #5 does not follow the commit before" "another commit before it" "manifest:^prev .*=prev $zeros"
anew "$it #5 was made for another history" "another office" "manifest:^node .*=node $a"
anew "$it #5 was made for another history" "another application" 'manifest:^app .*=app clinic'
anew "$it #5 was made for another history" "another city" 'manifest:^city .*=city other'
anew "$it #5 is of another machine than the log says, or of one that was replaced" "another machine" 'manifest:^incarnation 1=incarnation 2'
anew "$it #5 names a checkpoint of 5000 leaves, which was not there yet when the commit was held" "a log of the future" "manifest:^checkpoint .*=checkpoint 5000 $zeros"
anew "$it #5 names a checkpoint of 2 leaves, which is of another log" "another log" "manifest:^checkpoint .*=checkpoint 2 $zeros"
older=$(git -C "$(repo $b)" cat-file blob main~4:manifest | sed -n 's/^checkpoint //p')
anew "$it #5 names a checkpoint of ${older% *} leaves, older than the one that the commit before names" "a state of the log before that of the commit before" "manifest:^checkpoint .*=checkpoint $older"
anew "$it #5: its files are not those that the manifest names" "a file is gone" file:salt=
anew "$it #5: schema.sql is not the file that the manifest names" "a file is another" 'stale:schema.sql:demand=demandx'
anew "$it #5: the digest is not that of its tables" "another digest" "manifest:^digest .*=digest $zeros"
anew "$it #5: its parent is not the commit before alone" "it has a second parent" "text:^(parent .*)$=\\1\\n\\1"
anew "$it: git fsck finds damage" "git's own form is broken" "text:^author (.*) <=author \\1<"
finish
