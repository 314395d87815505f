#!/bin/sh
# What is wrong at the hub is named, and mended with what stock git brings from the office.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
b=520303001011

for step in city_init hub_start; do ok "$step" $step; done
for o in $a $b; do
	ok "office $o captures" office $o community "社区 $o"
	ok "enrols" enrol $o community "社区 $o"
	ok "syncs" agent $o sync
done
cp -a "$dir/hub/city.git" "$dir/older.git"
sql $a "UPDATE demand SET status='closed' WHERE id='d1'; INSERT INTO demand VALUES('d3','停水','reported',3);"
ok "A syncs a second night" agent $a sync
ok "it is in the city" eventually closed community "SELECT status FROM demand WHERE _node='$a' AND id='d1'"
ok "the audit proves all while the hub runs" hub audit
ok "and remembers it" test -s "$dir/hub/audited"
ok "an audit since then too" hub audit --since last
ok "and since the checkpoint that A kept" hub audit --since "$dir/$a/state/checkpoint"
proven_json() { hub audit --json | grep -q '"verdict": "proven"'; }
ok "and as JSON" proven_json

says() { text=$1; shift; "$@" >"$dir/said" 2>&1; rc=$?; cat "$dir/said"; [ $rc -eq 0 ] && grep -q -e "$text" "$dir/said"; }
ok "log lists the commits" says "in the city" hub log --node $a --app community
ok "show counts one" says "demand .*1 added, 1 changed, 0 removed" hub show latest --node $a --app community
ok "a dry run of restore says rows then and now" says "demand .* 2 rows then, 3 now" hub restore --node $a --app community --at '#1' --to "$dir/old.db" --dry-run
ok "and writes nothing" test ! -e "$dir/old.db"
ok "restore brings the first night back" says "proven on the file" hub restore --node $a --app community --at '#1' --to "$dir/old.db"
first_night() { same "$(sqlite3 "$dir/old.db" "SELECT status FROM demand WHERE id='d1'; SELECT count(*) FROM demand")" "reported
2"; }
ok "with its rows" first_night
ok "who looked is written down" grep -q "node $a app community at .* digest [0-9a-f]" "$dir/hub/restores.log"
refuses 2 "exists; nothing was changed" "an existing file is not overwritten" hub restore --node $a --app community --at latest --to "$dir/old.db"
refuses 11 "stop the hub first" "rebuild waits for the hub to stop" hub rebuild
ok "the hub stops" hub_stop

sqlite3 "$dir/hub/city/community.db" "UPDATE demand SET title='改' WHERE _node='$b' AND id='d2'"
refuses 15 "demand \[id='d2'\] column title is '改' in the city, and by the histories '屋顶漏水'" "a row edited by hand is named with both values" hub audit
refuses 15 "^$b/community:" "under its community" hub audit
ok "rebuild mends it" hub rebuild
ok "and the audit proves all again" hub audit

# The city database rots, and the city history is one of before: each is named, and mended where it can be.
rotten_city() { dd if=/dev/urandom of="$dir/hub/city/community.db" bs=4096 seek=2 count=3 conv=notrunc; }
ok "the city database rots" rotten_city
refuses 15 "cannot be compared to its end; try: tributary-hub rebuild" "the audit says what to do" hub audit
mv "$dir/hub/city.git" "$dir/city.git" && mv "$dir/older.git" "$dir/hub/city.git"
refuses 15 "its last commits are missing" "rebuild names an older city history" hub rebuild
ok "and makes the database all the same" same "$(city community "SELECT title FROM demand WHERE _node='$b' AND id='d2'")" 屋顶漏水
rm -rf "$dir/hub/city.git" && mv "$dir/city.git" "$dir/hub/city.git"
ok "with its own city history all is proven" hub audit
mv "$dir/hub/hub.db" "$dir/hub.db"
refuses 1 "hub.db is missing; .*backup" "a lost hub.db is named by status" hub status
refuses 1 "hub.db is missing; .*backup" "by rebuild" hub rebuild
refuses 1 "hub.db is missing; .*backup" "and by what writes" hub node add 520303009999 --app community --name x --url https://localhost --slip "$dir/no.slip"
ok "none is made in its place" test ! -e "$dir/hub/hub.db"
mv "$dir/hub.db" "$dir/hub/hub.db"

# The disk rots: a byte of A's history, inside of the pack that its first push became.
pack=$(find "$dir/hub/repos/$a/community.git/objects/pack" -name '*.pack' | head -n 1)
rot() {
	chmod u+w "$pack" && size=$(wc -c <"$pack") &&
		printf 'rotten bytes' | dd of="$pack" bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
}
ok "a pack rots" rot
refuses 15 "not provable from #" "the audit names node and commit" hub audit
ok "stock git makes a bundle at the office" git -C "$dir/$a/state/repo.git" bundle create -q "$dir/a.bundle" main
refuses 15 "would be replaced" "a dry run of ingest says what it would do" hub ingest "$dir/a.bundle" --dry-run
ok "ingest takes what is missing from it" says "Proven: all" hub ingest "$dir/a.bundle"
ok "the damaged pack is kept aside" test -n "$(find "$dir/hub/damaged" -name '*.pack')"
ok "the audit proves all again, without a rebuild" hub audit
ok "git fsck agrees" git -C "$dir/hub/repos/$a/community.git" fsck --full --strict
ok "B's bundle is made" git -C "$dir/$b/state/repo.git" bundle create -q "$dir/b.bundle" main
refuses 2 "nothing was changed" "and not taken for A's" hub ingest "$dir/b.bundle" --node $a --app community
refuses 15 "." "garbage is no bundle" hub ingest "$dir/old.db"

ok "the hub runs again" hub_start
sql $a "INSERT INTO demand VALUES('d4','噪声','reported',4);"
ok "A goes on" agent $a sync
ok "and is merged" eventually 噪声 community "SELECT title FROM demand WHERE _node='$a' AND id='d4'"
ok "all is proven" hub audit

# The hub says something to A that A does not fetch, and then loses the whole history: nobody can bring that back.
hub_stop
new_night() { sql $a "INSERT INTO demand VALUES('$1','夜','reported',5)" && agent $a commit && agent $a bundle create "$dir/$1.bundle" && says "Taken: 1 new" hub ingest "$dir/$1.bundle"; }
ok "a night by stick" new_night d5
ok "A's whole history" agent $a bundle create "$dir/whole.bundle" --whole
with_down() { git bundle list-heads "$dir/whole.bundle" >"$dir/said" && grep -q refs/heads/down "$dir/said"; }
ok "with what the hub said of it" with_down
rm -rf "$dir/hub/repos/$a"
refuses 15 "lost here" "status names it" hub status
ok "the city database rots as well" rotten_city
refuses 15 "Rows of a history that is damaged are missing" "it is made again without A's rows" hub rebuild
others() { same "$(city community "SELECT count(*) FROM demand WHERE _node='$b'")" 2; }
ok "B's are there" others
refuses 15 "LOST: what the hub told $a/community.*--whole" "a bundle of the commits alone does not mend that" hub ingest "$dir/d5.bundle" --node $a --app community
ok "git makes one of the commits alone" git -C "$dir/$a/state/repo.git" bundle create -q "$dir/main.bundle" main
refuses 15 "LOST: what the hub told $a/community.*--whole" "nor a whole one" hub ingest "$dir/main.bundle"
refuses 15 "down" "and the audit says so" hub audit
refuses 15 "lost here" "and status" hub status
told_again() { says "after its message #[0-9]*, the last that the office has, is told again" hub ingest "$dir/whole.bundle" && ! grep -q "left out" "$dir/said"; }
ok "the whole history does" told_again
ok "and rebuild brings A's rows back" hub rebuild
ok "all is proven" hub audit
ok "the hub runs" hub_start
hears() { hub bundle create "$dir/r.bundle" --node $a --app community && agent $a bundle apply "$dir/r.bundle" >"$dir/said" 2>&1; rc=$?; rm -f "$dir/r.bundle"; cat "$dir/said"; [ $rc -eq 0 ] && grep -q "in the city up to #$1" "$dir/said"; }
ok "A hears again what it had not heard" soon hears 4
ok "and sends" agent $a sync

# Mended once more from the bundle of before: what A has heard meanwhile the hub tells it anew, in other commits.
hub_stop
rm -rf "$dir/hub/repos/$a"
ok "an older bundle" told_again
ok "the hub runs" hub_start
refuses 15 "." "A does not follow" agent $a sync
hub_stop
rm -f "$dir/whole.bundle"
ok "A's whole history of now" agent $a bundle create "$dir/whole.bundle" --whole
ok "mends that too" told_again
ok "the hub runs" hub_start
sql $a "INSERT INTO demand VALUES('d6','夜','reported',6)"
ok "A goes on" agent $a sync
ok "and is merged" eventually 夜 community "SELECT title FROM demand WHERE _node='$a' AND id='d6'"
ok "all is proven" at_rest
ok "by a full audit" hub audit

# The office loses its receipts: the chain that brought them is there still.
receipts() { find "$dir/$a/state/receipts" -type f -name '[0-9]*' -exec sha256sum {} + | sort -k 2; }
ok "A takes the last ones" agent $a sync
receipts >"$dir/receipts"
rm -rf "$dir/$a/state/receipts"
ok "A loses its receipts, and syncs" agent $a sync
each() { [ -s "$dir/receipts" ] && receipts | cmp - "$dir/receipts"; }
ok "each is there again" each
finish
