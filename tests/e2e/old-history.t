#!/bin/sh
# A night, and a question about the newest commits, read what is new: with the oldest commit gone from both repositories all of that goes on, and only who reads the
# whole history says that it is not whole. So none of it costs the length of the history.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
here=$dir/$a/state/repo.git
there=$dir/hub/repos/$a/community.git

night() { sql $a "INSERT INTO demand VALUES('n$1','夜','reported',$1)" && agent $a sync; }
# So many that libgit2 does not come to the oldest: it offers the hub the 20 newest commits at a time, of both chains, and reads some five before the newest common one.
many() {
	city_init && hub_start && office $a community 洗马 && enrol $a community 洗马 && agent $a sync || return 1
	for night in $(seq 25); do night "$night" || return 1; done
	at_rest
}
first() { git -C "$1" rev-list "$2" | tail -n 1; } # first REPO REF
# lose REPO REF: the first commit of that chain is nowhere any more; all other objects stay, loose.
lose() {
	oid=$(first "$1" "$2")
	mkdir "$dir/packs"
	find "$1/objects/pack" -type f -exec mv {} "$dir/packs" \;
	for p in "$dir/packs"/*.pack; do
		[ ! -e "$p" ] || git -C "$1" unpack-objects -q <"$p" || return 1
	done
	rm -rf "$dir/packs"
	rm "$1/objects/$(echo "$oid" | cut -c1-2)/$(echo "$oid" | cut -c3-)" && ! git -C "$1" cat-file -e "$oid" 2>/dev/null
}
# listed WANTED: the numbers of the two newest commits, each with what the city has of it.
listed() { same "$(agent $a log --limit 2 | sed -n 's/^[^ ]* #\([0-9]*\) .* \(held\|waiting\) .*/\1 \2/p' | tr '\n' ' ')" "$1"; }
carried() { agent $a bundle create "$dir/b" >"$dir/carried" && grep ': 1 commits, ' "$dir/carried"; }

ok "an office with 26 commits at the city" many
ok "the hub is down" hub_stop
lost=$(first "$here" main)
ok "the office loses its first commit" lose "$here" main
echo spoilt >"$dir/$a/state/receipts/1"
ok "the hub loses the first commit of the office" lose "$there" main
ok "and the first of its own words to it" lose "$there" down
ok "the hub is up again" hub_start
ok "a night goes on" night 26
ok "it is in the city" eventually 夜 community "SELECT title FROM demand WHERE id='n26'"
ok "and one more" night 27
ok "that there is nothing to send is known, too" agent $a push
ok "the newest commits are listed, with their receipts" listed "28 held 27 held "
ok "the newest is shown" agent $a show HEAD
ok "one by its number" agent $a show '#25'
ok "one by its time" agent $a show "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
ok "the application writes once more" sql $a "INSERT INTO demand VALUES('n28','夜','reported',28)"
ok "and it is captured" agent $a commit
ok "of which the city does not know yet" listed "29 waiting 28 held "
ok "that is what is to be carried by hand, and no more" carried
cp "$dir/$a/state/receipts/2" "$dir/$a/state/receipts/1"
refuses 15 "the history is not whole; put repo.git back from a copy of this folder: commit $lost" "who reads all of it says that it is not whole" agent $a check

# The city's first screen, on the nights of three thousand days: with a page from the middle of the table of commits gone, and one of its index.
many_nights() {
	sqlite3 "$dir/hub/hub.db" "INSERT INTO node(node, app, name, incarnation, status, added_at, reported_at) VALUES('520303002009', 'community', '南关', 1, 'enrolled', 1700000000, strftime('%s'));
		INSERT INTO history(node, app, oid, seq, tip) VALUES('520303002009', 'community', randomblob(20), 3000, x'00');
		WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < 3000)
		INSERT INTO held(idx, node, app, seq, part, parts, incarnation, oid, manifest, signer, captured_at, held_at, inserted, updated, deleted, braked, merged_at)
		SELECT 100000 + k, '520303002009', 'community', k, 1, 1, 1, randomblob(20), randomblob(32), x'00', k, k, 1, 0, 0, 0, k FROM n;
		PRAGMA wal_checkpoint(TRUNCATE)"
}
spoil() { # spoil TABLE-OR-INDEX: a page in its middle
	page=$(sqlite3 "$dir/hub/hub.db" "SELECT pageno FROM dbstat WHERE name = '$1' AND pagetype = 'leaf' ORDER BY path LIMIT 1 OFFSET 20")
	size=$(sqlite3 "$dir/hub/hub.db" "PRAGMA page_size")
	[ -n "$page" ] && dd if=/dev/zero of="$dir/hub/hub.db" bs="$size" seek=$((page - 1)) count=1 conv=notrunc 2>/dev/null
}
who_reads_all() { ! sqlite3 "$dir/hub/hub.db" "SELECT count(*), max(held_at + braked) FROM held NOT INDEXED"; }
screen() { hub status >"$dir/screen"; [ $? -eq 15 ] || { cat "$dir/screen"; return 1; }; grep 'Held: 3028 commits; not in the city yet: 0' "$dir/screen"; }
ok "all of it is merged" at_rest
ok "the hub is down" hub_stop
ok "and has an office with three thousand nights" many_nights
ok "the table of commits is damaged" spoil held
ok "and its index" spoil sqlite_autoindex_held_1
ok "who reads all of it fails" who_reads_all
ok "the first screen does not (that office has no repository, which it says)" screen
ok "nor what is said of one office" hub node show 520303002009 --app community
finish
