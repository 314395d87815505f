#!/bin/sh
# An office without a line (D8.3): history to the city and receipts back by stick, with the checks of a push; hostile sticks are refused and leave nothing.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
b=520303001011

for step in city_init hub_start; do ok "$step" $step; done
for o in $a $b; do
	ok "office $o" office $o community "社区 $o"
	ok "enrols" enrol $o community "社区 $o"
done
hub_stop
refuses 13 "." "there is no line" agent $a push
sql $a "INSERT INTO demand VALUES('d3','停水','reported',3)"
ok "A commits" agent $a commit
ok "its history on a stick" agent $a bundle create "$dir/a1.bundle"

# What a stick may leave in the hub: nothing but the log entries that say so.
left() { (cd "$dir/hub" && find quarantine repos damaged -type f 2>/dev/null; sqlite3 -readonly hub.db "SELECT * FROM held; SELECT node, app, hex(oid) FROM history") | sort; }
says() { text=$1; shift; "$@" >"$dir/said" 2>&1; rc=$?; cat "$dir/said"; [ $rc -eq 0 ] && grep -q -e "$text" "$dir/said"; }
# bad NAME STATUS TEXT FILE [OPTION...]: refused with that status and sentence, and nothing left.
bad() {
	what=$1 want=$2 say=$3 file=$4
	shift 4
	left >"$dir/left"
	refuses "$want" "$say" "$what" hub ingest "$file" "$@"
	left >"$dir/left2"
	ok "  and leaves nothing" cmp "$dir/left" "$dir/left2"
}

bad "A's stick is not B's" 15 "it belongs to the history $a/community" "$dir/a1.bundle" --node $b --app community
bad "a stick of nobody on the list" 12 "not enrolled" "$dir/a1.bundle" --node 520303009999 --app community
bad "a path for a name" 2 "no node id" "$dir/a1.bundle" --node ../../etc --app community
printf '# v2 git bundle\n%s refs/heads/../../x\n\nPACK' "$(git -C "$dir/$a/state/repo.git" rev-parse main)" >"$dir/path.bundle"
bad "a path for a ref" 15 "." "$dir/path.bundle"
cat "$dir/a1.bundle" "$dir/a1.bundle" >"$dir/twice.bundle"
bad "bytes after the end" 15 "." "$dir/twice.bundle"
ok "a dry run names what is new" says "2 commits of the bundle are new here" hub ingest "$dir/a1.bundle" --dry-run
ok "the stick is taken" says "Taken: 2 new commits of $a/community, #1 to #2" hub ingest "$dir/a1.bundle"
held() { same "$(sqlite3 -readonly "$dir/hub/hub.db" "SELECT group_concat(seq) FROM held WHERE node='$a'")" 1,2; }
ok "both commits are held" held
again() { says "Proven: all 2 commits" hub ingest "$dir/a1.bundle" && ! grep -q Taken "$dir/said"; }
ok "the same stick again brings nothing" again
ok "the receipts on a stick, before any merge" hub bundle create "$dir/r1.bundle" --node $a --app community
ok "A takes them" says "2 new receipts; held up to #2" agent $a bundle apply "$dir/r1.bundle"
ok "the hub merges at its start" hub_start
ok "it is in the city" eventually 停水 community "SELECT title FROM demand WHERE _node='$a' AND id='d3'"
merged() { same "$(sqlite3 -readonly "$dir/hub/hub.db" "SELECT count(*) FROM held WHERE node='$a' AND merged_at IS NOT NULL")" "$1"; }
ok "the log says so" soon merged 2
ok "with the hub running the same stick brings nothing either" again
hub_stop
ok "the word of it on a stick" hub bundle create "$dir/r2.bundle" --node $a --app community
ok "A takes it" says "in the city up to #2" agent $a bundle apply "$dir/r2.bundle"
ok "status says in the city" says "city's database" agent $a status

# The next nights: only what the city lacks; a whole bundle of stock git; several nights at once.
sql $a "UPDATE demand SET status='closed' WHERE id='d1'"
ok "A commits" agent $a commit
ok "what the city lacks" agent $a bundle create "$dir/a2.bundle"
thin() { [ "$(git -C "$dir/$a/state/repo.git" bundle verify "$dir/a2.bundle" 2>&1 | grep -c 'requires this ref')" = 1 ]; }
ok "it builds on the last receipt" thin
size=$(wc -c <"$dir/a2.bundle")
left >"$dir/left"
sticks() { # cut and flipped at many places: refused, or (a flip in a header's comment) the very same commits
	for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
		head -c $((size * i / 13)) "$dir/a2.bundle" >"$dir/cut.bundle"
		cp "$dir/a2.bundle" "$dir/flip.bundle"
		at=$((size * i / 13))
		byte=$(od -An -tu1 -j $at -N 1 "$dir/a2.bundle" | tr -d ' ')
		# shellcheck disable=SC2059 # the octal digits are the format
		printf "\\$(printf %03o $(((byte + 1) % 256)))" | dd of="$dir/flip.bundle" bs=1 seek=$at conv=notrunc 2>/dev/null
		for f in cut flip; do
			hub ingest "$dir/$f.bundle" >"$dir/said" 2>&1
			rc=$?
			case $rc in 1 | 14 | 15) ;; *) echo "$f at $i/13: exit $rc"; cat "$dir/said"; return 1 ;; esac
			[ -s "$dir/said" ] || return 1
			left | cmp -s "$dir/left" - || { echo "$f at $i/13 left something"; left | diff "$dir/left" -; return 1; }
		done
	done
}
ok "sticks cut or flipped at many places are refused and leave nothing" sticks
ok "the good one is taken" says "Taken: 1 new commits of $a/community, #3 to #3" hub ingest "$dir/a2.bundle"
for i in 4 5; do
	sql $a "UPDATE points SET points=$i WHERE id=1"
	ok "A commits #$i" agent $a commit
done
ok "stock git makes the stick" git -C "$dir/$a/state/repo.git" bundle create -q "$dir/a3.bundle" main
dies() { TRIBUTARY_CRASH_AT=ref-published says "Taken: 2 new commits of $a/community, #4 to #5" hub ingest "$dir/a3.bundle"; }
cp -a "$dir/hub" "$dir/before"
ok "taken is what was published, though the keeper dies behind it" dies
rm -rf "$dir/hub" && mv "$dir/before" "$dir/hub"
ok "which the city takes too" says "Taken: 2 new commits of $a/community, #4 to #5" hub ingest "$dir/a3.bundle"

# A bomb: a blob of 300 MB in a bundle of 300 kB, in a commit that looks like one of A's.
bomb() {
	git clone -q --bare "$dir/$a/state/repo.git" "$dir/bomb.git" && cd "$dir/bomb.git" || return 1
	blob=$(head -c 300000000 /dev/zero | git -c core.bigFileThreshold=1g hash-object -w --stdin)
	tree=$( (git ls-tree main | grep -v 'changeset.gz$'; printf '100644 blob %s\tchangeset.gz\n' "$blob") | git mktree)
	c=$(GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=$a/community@tributary GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=$a/community@tributary git commit-tree -p main -m bomb "$tree")
	git update-ref refs/heads/main "$c" && git bundle create -q "$dir/bomb.bundle" main
}
ok "a bomb" bomb
bad "a bomb is refused" 14 "larger than its kind may be" "$dir/bomb.bundle" --node $a --app community

# A rewritten night: other commits in the place of those that the city holds.
older() {
	git clone -q --bare "$dir/$a/state/repo.git" "$dir/fork.git" && git -C "$dir/fork.git" update-ref refs/heads/main main~2 &&
		git -C "$dir/fork.git" bundle create -q "$dir/old.bundle" main && says "Proven: all 5 commits" hub ingest "$dir/old.bundle" && ! grep -q Taken "$dir/said"
}
ok "an older copy brings nothing and takes nothing back" older
other() {
	c=$(git -C "$dir/fork.git" cat-file commit main | sed '1,/^$/d' | git -C "$dir/fork.git" commit-tree -p main -F - "$(git -C "$dir/fork.git" rev-parse 'main^{tree}')") && git -C "$dir/fork.git" update-ref refs/heads/main "$c" &&
		git -C "$dir/fork.git" bundle create -q "$dir/other.bundle" main
}
GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=$a/community@tributary GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=$a/community@tributary
export GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL
ok "another commit in the place of #4" other
bad "another commit in the place of a held one" 15 "none was taken: .*no ancestor of this push" "$dir/other.bundle" --node $a --app community

# An old copy of A's folder is put back, and goes on: signed by A, and not after what the city holds.
unset GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL
cp -a "$dir/$a/state" "$dir/older"
night() { sql $a "UPDATE points SET points = $1 WHERE id = 1" && agent $a commit && rm -f "$dir/night" && agent $a bundle create "$dir/night"; }
ok "A's next night" night 7
ok "is taken" says "Taken: 1 new" hub ingest "$dir/night"
ok "the word of it on a stick" hub bundle create "$dir/r4.bundle" --node $a --app community
rm -rf "$dir/$a/state" && mv "$dir/older" "$dir/$a/state"
ok "an older folder is put back, and commits" night 8
bad "its stick" 16 "none was taken: .*old copy, or a second machine.*node replace" "$dir/night"
refuses 16 "^Forked" "the operator's screen names it" hub status
refuses 16 "old copy or a clone" "the word of the city tells the office" agent $a bundle apply "$dir/r4.bundle"
refuses 13 "needs a line" "which cannot reset without a line" agent $a reset
ok "with one" hub_start
ok "it can" agent $a reset
ok "and goes on" agent $a sync
no_fork() { ! hub status | grep -q '^Forked'; }
ok "it is named no more" no_fork
hub_stop

# Another city's office of the same name: its certificate is not ours.
mv "$dir/hub" "$dir/here"
for step in city_init hub_start; do ok "another city: $step" $step; done
mv "$dir/$b" "$dir/b-here"
ok "the same office there" office $b community "社区 $b"
ok "enrols there" enrol $b community "社区 $b"
hub_stop
ok "its history on a stick" agent $b bundle create "$dir/foreign.bundle"
mv "$dir/hub" "$dir/there"
mv "$dir/here" "$dir/hub"
bad "another city's history" 12 "none was taken: .*issuing certificate" "$dir/foreign.bundle"
hub bundle create "$dir/r3.bundle" --node $a --app community >/dev/null 2>&1
refuses 15 "." "A's receipts are not B's of another city" agent $b bundle apply "$dir/r3.bundle"
ok "A is revoked" hub node revoke $a --app community --reason key-lost
sql $a "UPDATE points SET points=6 WHERE id=1"
ok "A commits" agent $a commit
ok "on a stick" agent $a bundle create "$dir/a4.bundle"
bad "a revoked office's stick" 12 "revoked" "$dir/a4.bundle"
ok "the audit proves all" hub audit
finish
