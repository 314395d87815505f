#!/bin/sh
# A good TLS certificate, and commits signed by a key that is the office's no more: rotated away, of a machine that was replaced, or revoked.
. "$(dirname "$0")/../lib/attack.sh"

# tries NAME THIEF STATUS TEXT: his history is pushed with A's present TLS certificate, and brought on a stick.
tries() {
	before="$(tip $a) $(kept)"
	refuses 1 "$4" "$1: refused" office_git $a -C "$2/repo.git" push "$url/$a/community.git" main:refs/heads/main
	git -C "$2/repo.git" bundle create -q "$dir/stick" main
	refuses "$3" "$4" "$1: refused on a stick" hub ingest "$dir/stick"
	ok "$1: nothing stays" same "$(tip $a) $(kept)" "$before"
}
# signs STATE KEYS ARG...: a copy of the folder STATE with the signing key of the folder KEYS makes a night
signs() {
	rm -rf "$dir/thief"
	cp -a "$1" "$dir/thief" && cp "$2/keys/sign.key" "$2/keys/sign.crt" "$dir/thief/keys/" || return 1
	shift 2
	"$forge" "$dir/thief" "$@"
}
# The office's database under a new machine, enrolled in place of the one before.
replace() {
	rm -rf "$dir/new" && mkdir "$dir/new" && quiet agent new init "$dir/$a/office.db" --node $a --app community --name "社区 $a" &&
		quiet hub node replace $a --app community --url "$url" --slip "$dir/new/slip" --approve && quiet agent new enrol --slip "$dir/new/slip" &&
		rm -rf "$dir/$a/state" && mv "$dir/new/state" "$dir/$a/state"
}

cp -a "$dir/$a/state" "$dir/first"
ok "A changes its signing key" agent $a cert rotate
# At once, before A's next night.
ok "a thief of the first key signs after that" signs "$dir/$a/state" "$dir/first" honest
tries "a key that was rotated away" "$dir/thief" 12 "certificate"
ok "the refusal is on record" on_record certificate
# He goes by the manual, with a copy of the whole folder: the way of an office whose backup was put back.
by_hand() { rm -rf "$dir/thief" && cp -a "$dir/first" "$dir/thief" && "$bin/tributary-agent" --state "$dir/thief" "$@"; }
before="$(tip $a) $(kept)"
refuses 16 "signing key was changed .* after this copy.*node replace" "nor does a reset help him" by_hand reset
ok "nothing stays" same "$(tip $a) $(kept)" "$before"
sql $a "INSERT INTO demand VALUES('k1','新钥','reported',1)"
ok "A signs a night with the new key" agent $a sync

# The machine makes a night, and is replaced before the night is sent.
cp -a "$dir/$a/state" "$dir/sent"
sql $a "INSERT INTO demand VALUES('o1','旧机','reported',1)"
ok "a night of the old machine" agent $a commit
cp -a "$dir/$a/state" "$dir/old"
ok "A's machine is replaced" replace
tries "a night of the replaced machine" "$dir/old" 15 "incarnation 1, enrolled is 2"
ok "its thief signs as the new machine" signs "$dir/sent" "$dir/sent" field incarnation 2
tries "the old machine's key in the new one's name" "$dir/thief" 12 "certificate"

# Revoked are all certificates of an office; then it enrols anew.
ok "A is revoked" hub node revoke $a --app community --reason stolen
ok "and gets new certificates" replace
ok "the thief signs as this machine" signs "$dir/sent" "$dir/sent" field incarnation 3
tries "a revoked key" "$dir/thief" 12 "the signing certificate was revoked"
sql $a "INSERT INTO demand VALUES('n1','新机','reported',1)"
unharmed
finish
