#!/bin/sh
# Sticks while the hub runs: its own worker and keeper take them as they take a push, beside the network; bad ones are refused and leave nothing; damage waits.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
b=520303001011

for step in city_init hub_start; do ok "$step" $step; done
for o in $a $b; do
	ok "office $o" office $o community "社区 $o"
	ok "enrols" enrol $o community "社区 $o"
done
ok "B syncs by line" agent $b sync
ok "and the hub has done all that follows from it" at_rest
sql $a "INSERT INTO demand VALUES('d3','停水','reported',3)"
ok "A, without one, commits" agent $a commit
ok "its history on a stick" agent $a bundle create "$dir/a1.bundle"
ok "the socket is the hub's user's alone" same "$(stat -c %a "$dir/hub/run/by-hand")" 600

says() { text=$1; shift; "$@" >"$dir/said" 2>&1; rc=$?; cat "$dir/said"; [ $rc -eq 0 ] && grep -q -e "$text" "$dir/said"; }
# What a stick may leave: nothing but the log entries that say so. The worker's folder goes right after its last word.
left() { (cd "$dir/hub" && find quarantine repos damaged -type f 2>/dev/null; sqlite3 -readonly hub.db "SELECT * FROM held; SELECT node, app, hex(oid) FROM history") | sort; }
as_before() { left | diff "$dir/left" -; }
same_left() { soon as_before; }
bad() {
	what=$1 want=$2 say=$3 file=$4
	shift 4
	left >"$dir/left"
	refuses "$want" "$say" "$what" hub ingest "$file" "$@"
	ok "  and leaves nothing" same_left
}
bad "A's stick is not B's" 15 "none was taken" "$dir/a1.bundle" --node $b --app community
bad "a stick of nobody on the list" 12 "not enrolled" "$dir/a1.bundle" --node 520303009999 --app community
size=$(wc -c <"$dir/a1.bundle")
for i in 2 5 8 11; do
	head -c $((size * i / 13)) "$dir/a1.bundle" >"$dir/cut.bundle"
	left >"$dir/left"
	ok "cut at $i/13 it is refused" sh -c "'$bin/tributary-hub' --state '$dir/hub' ingest '$dir/cut.bundle'; case \$? in 1 | 14 | 15) ;; *) exit 1 ;; esac"
	ok "  and leaves nothing" same_left
done
forged() { # a commit with A's name that nobody signed
	git clone -q --bare "$dir/$a/state/repo.git" "$dir/f.git" && cd "$dir/f.git" && git cat-file commit main | sed '1,/^$/d' >"$dir/message" &&
		c=$(GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=$a/community@tributary GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=$a/community@tributary git commit-tree -p main -F "$dir/message" 'main^{tree}') &&
		git update-ref refs/heads/main "$c" && git bundle create -q "$dir/forged.bundle" main
}
ok "an unsigned commit" forged
bad "an unsigned commit is refused" 15 "none was taken" "$dir/forged.bundle"
ok "a dry run names what is new" says "2 commits of the bundle are new here" hub ingest "$dir/a1.bundle" --dry-run
ok "the stick is taken" says "Taken: 2 new commits of $a/community, #1 to #2" hub ingest "$dir/a1.bundle"
ok "and merged at once" eventually 停水 community "SELECT title FROM demand WHERE _node='$a' AND id='d3'"
again() { says "Proven: all 2 commits" hub ingest "$dir/a1.bundle" && ! grep -q Taken "$dir/said"; }
ok "the same stick again brings nothing" again
ok "the receipts on a stick" hub bundle create "$dir/r1.bundle" --node $a --app community
ok "A takes them" says "held up to #2" agent $a bundle apply "$dir/r1.bundle"

# Beside the network, night after night.
beside() {
	for i in 1 2 3; do
		sql $a "UPDATE points SET points=$i WHERE id=1"
		sql $b "INSERT INTO demand VALUES('n$i','夜','reported',$i)"
		agent $a commit && agent $a bundle create "$dir/n$i.bundle" || return 1
		agent $b sync >"$dir/b.out" 2>&1 &
		pid=$!
		hub ingest "$dir/n$i.bundle" || return 1
		wait $pid || { cat "$dir/b.out"; return 1; }
		hub bundle create "$dir/rn$i.bundle" --node $a --app community && agent $a bundle apply "$dir/rn$i.bundle" || return 1
	done
}
ok "three nights by stick and by line at the same time" beside
ok "all of A's are there" eventually 3 community "SELECT points FROM points WHERE _node='$a' AND id=1"
ok "all of B's are there" eventually 5 community "SELECT count(*) FROM demand WHERE _node='$b'"
logged() { sqlite3 -readonly "$dir/hub/hub.db" "SELECT count(*) FROM leaf WHERE instr(CAST(bytes AS TEXT), 'what ingest') > 0" | grep -qx '[1-9][0-9]*'; }
ok "who brought them is in the log" logged
ok "the audit proves all" hub audit

# Damage is mended by a stopped hub alone.
rot() {
	pack=$(find "$dir/hub/repos/$a/community.git/objects/pack" -name '*.pack' | head -n 1)
	chmod u+w "$pack" && printf 'rotten bytes' | dd of="$pack" bs=1 seek=$(($(wc -c <"$pack") / 2)) conv=notrunc 2>/dev/null
}
ok "a pack rots" rot
ok "A's whole history on a stick" git -C "$dir/$a/state/repo.git" bundle create -q "$dir/all.bundle" main
refuses 11 "stop the hub first" "the running hub mends nothing" hub ingest "$dir/all.bundle"
ok "B goes on" agent $b sync
hub_stop
ok "the socket is gone" test ! -e "$dir/hub/run/by-hand"
ok "stopped, it is mended" says "Proven: all" hub ingest "$dir/all.bundle"
ok "the audit proves all again" hub audit
finish
