#!/bin/sh
# Commits that an honest agent never makes, pushed by stock git with the office's own TLS certificate (I3, issue: "bad input, and what it gets").
# Each is refused with its stable code, nothing of it stays at the hub, and the office goes on afterwards.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
b=520303001011
forge=$bin/tests/tool/forge

setup() { city_init && hub_start && office $a community 洗马社区 && office $b community 南京路社区 && enrol $a community 洗马社区 && enrol $b community 南京路社区 && agent $a sync && agent $b sync; }
ok "a city with two offices" setup
honest=$(git -C "$dir/$a/state/repo.git" rev-parse main)
packs() { find "$dir/hub/repos/$a" "$dir/hub/quarantine" -type f | grep -v -e /down -e '/logs/' | sort | sha256sum; }
before=$(packs)
tip() { git -C "$dir/hub/repos/$a/community.git" rev-parse main; }

# forged CODE NAME KIND [ARG...]
forged() {
	code=$1
	what=$2
	shift 2
	rm -rf "$dir/thief"
	cp -a "$dir/$a/state" "$dir/thief"
	"$forge" "$dir/thief" "$@" >"$dir/forged" 2>&1 || { cat "$dir/forged"; }
	refuses 1 "$code" "$what: refused as $code" office_git $a -C "$dir/thief/repo.git" push "$url/$a/community.git" main:refs/heads/main
	ok "$what: nothing stays" same "$(tip) $(packs)" "$honest $before"
}

forged bad-signature "an unsigned commit" unsigned
forged bad-signature "a signature with one changed letter" signature-flip
forged certificate "a commit signed by another office" other-office "$dir/$b/state"
forged certificate "a commit signed under an unknown CA" unknown-ca
forged out-of-sequence "a second parent" second-parent
forged bad-tree "an extra file" extra-file
forged bad-tree "a missing file" missing-file
forged bad-tree "a changed file" changed-file
forged bad-format "a changeset cut short" changeset-cut
forged "bad-format\|false-digest" "a changeset with one flipped bit" changeset-flip
forged bad-format "a gzip bomb" bomb
forged false-digest "a false overall digest" field digest 0000000000000000000000000000000000000000000000000000000000000000
forged out-of-sequence "a gap in the sequence" field seq 99
forged out-of-sequence "a wrong previous manifest" field prev 1111111111111111111111111111111111111111111111111111111111111111
forged out-of-sequence "another city" field city Guiyang
forged out-of-sequence "another node" field node $b
forged out-of-sequence "another application" field app other
forged "out-of-sequence\|certificate\|fork\|verification" "a falling incarnation" field incarnation 0
forged "bad-format\|bad-tree" "a false changeset length" field changeset "1 1"
forged bad-format "an unknown kind" field kind nonsense
forged bad-format "an impossible time" field captured-at 2026-13-45T99:99:99Z
forged bad-format "a number with a leading zero" field policy 007
forged "bad-format\|out-of-sequence" "a part beyond its group" field part 3/2
forged "false-digest\|bad-format" "a false row count" field table "demand 1 0 0 77 0000000000000000000000000000000000000000000000000000000000000000"
forged bad-tree "a false blob hash" field blob "changeset.gz 0000000000000000000000000000000000000000000000000000000000000000"

# A change that fits its own arithmetic but not the city: held (it is signed and in sequence), never merged, named, and others go on.
cp -a "$dir/$a/state" "$dir/thief2"
"$forge" "$dir/thief2" old-value >"$dir/forged" 2>&1
ok "a false old value is signed and in sequence, so it is held" office_git $a -C "$dir/thief2/repo.git" push -q "$url/$a/community.git" main:refs/heads/main
ok "but the merge names it as out of step" eventually "demand|old-value-differs" community "SELECT tbl, reason FROM _t_ledger WHERE node='$a'"
ok "and the row is as it was" eventually 路灯不亮 community "SELECT title FROM demand WHERE _node='$a' AND id='d1'"
shows_step() { hub status | grep -A2 -i "out of step" | grep -q $a; }
ok "the operator sees who is out of step" shows_step
sql $b "INSERT INTO demand VALUES('d7','别人照常','reported',7)"
ok "the other office goes on" agent $b sync
ok "and is merged" eventually 别人照常 community "SELECT title FROM demand WHERE _node='$b' AND id='d7'"
refuses 16 "old copy or a clone\|never made" "the office whose disk was copied is stopped, without loss" agent $a sync
refused_leaves() { hub status --json | grep -q '"code": "bad-signature"'; }
ok "refusals are on record" refused_leaves
ok "all that the city holds is still proven" hub audit
finish
