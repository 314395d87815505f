#!/bin/sh
# What became private before the city had it: unsent commits are made anew without it (D4.8), and the hub takes no commit that brings what its policy calls
# private.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
b=520303001011
c=520302001001
word=GEHEIM

objects() { # objects REPO: git objects inflated, changesets too
	git -C "$1" cat-file --batch-all-objects --batch-check='%(objectname) %(objecttype)' | while read -r oid type; do
		git -C "$1" cat-file "$type" "$oid" >"$dir/object"
		cat "$dir/object"
		gzip -dc <"$dir/object" 2>/dev/null
		echo
	done
}
outside() {
	{
		grep -rhaoE "$word-[a-z0-9]+" "$dir/hub" "$dir"/serve.* 2>/dev/null
		for repo in "$dir"/hub/repos/*/*.git; do
			[ -d "$repo" ] && objects "$repo" | grep -aoE "$word-[a-z0-9]+"
		done
		for db in "$dir"/hub/city/*.db "$dir"/hub/*.db; do
			[ -e "$db" ] && sqlite3 -readonly "$db" .dump | grep -aoE "$word-[a-z0-9]+"
		done
	} | sort -u | tr '\n' ' '
}
dump() { sqlite3 "$1" .dump | sort; }
whole() { # whole ID WHEN KEPT
	rm -f "$dir/r.db"
	agent "$1" check --read-data && agent "$1" restore --at "$2" --to "$dir/r.db" && dump "$3" >"$dir/x" && dump "$dir/r.db" | diff "$dir/x" -
}

ok "a city" city_init
ok "the hub listens" hub_start
ok "A's office" office $a community 洗马社区
ok "A enrols" enrol $a community 洗马社区
ok "A syncs" agent $a sync
cp "$dir/$a/office.db" "$dir/first.db"
night() { sql $a "UPDATE demand SET title = '$word-$1' WHERE id = 'd1'; UPDATE points SET points = points + 1" && agent $a commit; }
night_of() { sql $a "UPDATE points SET note = CAST('$word-n1' AS BLOB) WHERE id = 2" && agent $a commit; }
ok "the line is down: a night is kept here" night t1
ok "another" night t2
ok "A makes the column private before the line is back" agent $a config set private demand.title
sql $a "UPDATE demand SET title = '$word-t3' WHERE id = 'd2'; INSERT INTO points VALUES(3,'赵**',1,NULL)"
ok "A syncs" agent $a sync
ok "no value of those nights is outside" same "$(outside)" ""
ok "the rest is in the city" eventually 3 community "SELECT count(*) FROM points WHERE _node = '$a'"
ok "A restores all" whole $a HEAD "$dir/$a/office.db"
ok "and what the city held before" whole $a "#1" "$dir/first.db"
sql $a "UPDATE demand SET title = '$word-t4' WHERE id = 'd2'; UPDATE points SET points = 9 WHERE id = 3"
ok "the next night" agent $a sync
ok "is in the city" eventually 9 community "SELECT points FROM points WHERE _node = '$a' AND id = 3"
ok "A restores it" whole $a HEAD "$dir/$a/office.db"
ok "still nothing is outside" same "$(outside)" ""
ok "the hub's audit is content" hub audit

# Set before the night's capture, and pushed without one.
ok "a night is kept here" night_of points
ok "A makes that private, and pushes before it captures again" agent $a config set private points.note
ok "push" agent $a push
ok "no value is outside" same "$(outside)" ""
ok "A restores all" whole $a HEAD "$dir/$a/office.db"
sql $a "UPDATE points SET note = CAST('$word-n2' AS BLOB)"
ok "the next night" agent $a sync
ok "A restores all again" whole $a HEAD "$dir/$a/office.db"

# By hand: a bundle takes none of it along either.
sql $a "INSERT INTO journal VALUES('$word-j1')"
ok "a night" agent $a commit
ok "a table becomes private" agent $a config set private journal
ok "a bundle" agent $a bundle create "$dir/a.bundle"
in_bundle() {
	rm -rf "$dir/b.git"
	git clone -q --bare "$dir/hub/repos/$a/community.git" "$dir/b.git" && git -C "$dir/b.git" fetch -q "$dir/a.bundle" refs/heads/main:refs/heads/carried && objects "$dir/b.git" | grep -aoE "$word-[a-z0-9]+"
	true
}
ok "holds none of its values" same "$(in_bundle)" ""
ok "A goes on by line" agent $a sync
ok "no value is outside" same "$(outside)" ""
ok "A restores all" whole $a HEAD "$dir/$a/office.db"

# Nothing was sent yet.
ok "C's office" office $c community 碧云社区
sql $c "UPDATE demand SET title = '$word-c1'"
ok "a night before it is enrolled" agent $c commit
ok "C enrols" enrol $c community 碧云社区
sql $c "UPDATE demand SET title = '$word-c2', n = 7"
ok "and one after" agent $c commit
ok "C makes the column private" agent $c config set private demand.title
ok "and captures again" agent $c commit
ok "C syncs" agent $c sync
ok "no value is outside" same "$(outside)" ""
ok "the rest is in the city" eventually 14 community "SELECT sum(n) FROM demand WHERE _node = '$c'"
ok "C restores all" whole $c HEAD "$dir/$c/office.db"

# The city's policy, which an office may not know.
ok "B's office" office $b community 坪桥社区
ok "B enrols" enrol $b community 坪桥社区
ok "B syncs" agent $b sync
hub_stop
printf '[table "demand"]\n\tprivate = title\n' >>"$dir/hub/policy.conf"
ok "the hub starts with a policy" hub_start
sql $b "UPDATE points SET points = 1"
refuses 14 "commit #2 shows demand.title, which is private by the city's policy.*config set private demand.title" "B's commit shows it: refused" agent $b sync
held() { same "$(git -C "$dir/hub/repos/$b/community.git" rev-list --count main)" 1; }
ok "and not held" held
listed() { sqlite3 -readonly "$dir/hub/hub.db" "SELECT msg FROM refusal WHERE node = '$b' AND code = 'refused'" | grep "demand.title"; }
ok "the log of refusals says so" listed
ok "B does what it was told" agent $b config set private demand.title
ok "B syncs" agent $b sync
ok "its rows are in the city, without titles" eventually "2|0" community "SELECT count(*), count(title) FROM demand WHERE _node = '$b'"
ok "B restores all" whole $b HEAD "$dir/$b/office.db"
hub_stop
printf '[table\n' >>"$dir/hub/policy.conf"
starts() { hub_start >/dev/null 2>&1 && return 0; tail -3 "$dir/serve.log"; return 1; }
refuses 1 "policy file .*policy.conf" "with a policy that cannot be read the hub does not start, and says why" starts
finish
