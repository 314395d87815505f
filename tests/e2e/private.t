#!/bin/sh
# Private values never leave (D4.8, I7): secrets planted in private columns and tables are looked for in everything that the office sends and the
# city keeps; the office restores every byte of them, the city lists what is absent.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
b=520303001011
# Every planted value holds this word; whatever was private when it was written must never be seen outside.
word=GEHEIM

plant() { # plant ID: a database with values of all sorts
	mkdir -p "$dir/$1"
	sqlite3 "$dir/$1/office.db" "
		CREATE TABLE resident(id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL CHECK(length(name) > 0), phone TEXT NOT NULL ON CONFLICT ABORT DEFAULT '-',
			id_number TEXT UNIQUE, age INTEGER, initials TEXT GENERATED ALWAYS AS (substr(phone, 1, 1)) VIRTUAL NOT NULL);
		CREATE TABLE diary(id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT, picture BLOB);
		CREATE TABLE notes(line TEXT, at INTEGER);
		CREATE TABLE visit(resident TEXT, day TEXT, what TEXT, PRIMARY KEY(resident, day)) WITHOUT ROWID;
		CREATE TABLE loose(k TEXT PRIMARY KEY, open TEXT, hidden TEXT);
		CREATE TABLE demand(id TEXT PRIMARY KEY, title TEXT NOT NULL, n INTEGER);
		CREATE INDEX resident_phone ON resident(phone);
		INSERT INTO resident VALUES('r1','张**','$word-p1','$word-i1',40),('r2','李**','$word-p2','$word-i2',NULL),('r3','王**','$word-p3',NULL,7);
		INSERT INTO diary(body, picture) VALUES('$word-d1' || hex(zeroblob(20000)) || '$word-d2', CAST('$word-b1' AS BLOB)), (NULL, x'00ff');
		INSERT INTO notes VALUES('$word-n1', 1), ('$word-n1', 1), (NULL, 2);
		INSERT INTO visit VALUES('r1','2026-11-20','$word-v1'), ('r2','2026-11-21',NULL);
		INSERT INTO loose VALUES('k1','open','$word-l1'), (NULL,'open','$word-l2'), (NULL,'open','$word-l2');
		INSERT INTO demand VALUES('d1','路灯不亮',1), ('d2','屋顶漏水',2);"
}
private() { echo --private resident.phone --private resident.id_number --private diary --private notes --private visit.what --private loose.hidden; }

# Everything in a folder: files as they are, git objects inflated, changesets too.
objects() { python3 "$top/tests/lib/objects.py" "$1"; }
seen_in_repo() { objects "$1" | grep -aoE "$word-[a-z0-9]+" | sort -u | tr '\n' ' '; }
seen_in_hub() {
	{
		grep -rhaoE "$word-[a-z0-9]+" "$dir/hub" "$dir"/serve.* 2>/dev/null
		for repo in "$dir"/hub/repos/*/*.git "$dir"/hub/city.git; do
			[ -d "$repo" ] && objects "$repo" | grep -aoE "$word-[a-z0-9]+"
		done
		for db in "$dir"/hub/city/*.db "$dir"/hub/*.db; do
			sqlite3 -readonly "$db" .dump | grep -aoE "$word-[a-z0-9]+"
		done
	} | sort -u | tr '\n' ' '
}
none_outside() { same "$(seen_in_repo "$dir/$1/state/repo.git")" "" && same "$(seen_in_hub)" ""; }
logs_clean() { ! grep -a "$word" "$dir/said" "$dir/out"; }
found_inside() { seen_in_repo "$dir/$1/state/private.git" | grep -q "$word-$2"; }

dump() { sqlite3 "$1" .dump | sort; }
whole() { # whole ID [WHEN KEPT]: proven, and the restored file is the office's
	rm -f "$dir/r.db"
	agent "$1" check --read-data && agent "$1" restore --at "${2:-HEAD}" --to "$dir/r.db" || return 1
	dump "${3:-$dir/$1/office.db}" >"$dir/x"
	dump "$dir/r.db" >"$dir/y"
	[ -s "$dir/x" ] && diff "$dir/x" "$dir/y"
}

ok "a city" city_init
ok "the hub listens" hub_start
plant $a
init_a() {
	# shellcheck disable=SC2046
	agent $a init "$dir/$a/office.db" --node $a --app community --name 洗马社区 $(private)
}
refuses 2 "part of the key" "a column of the key cannot be private by itself" agent $a init "$dir/$a/office.db" --node $a --private resident.id
refuses 2 "no PRIMARY KEY" "nor a column of a table without a key" agent $a init "$dir/$a/office.db" --node $a --private notes.line
refuses 2 "no column" "nor one that is not there" agent $a init "$dir/$a/office.db" --node $a --private resident.wrong
ok "A captures with a private list" init_a
ok "nothing of it is in what it will send" same "$(seen_in_repo "$dir/$a/state/repo.git")" ""
ok "all of it is kept" found_inside $a d2
ok "A restores every byte" whole $a
ok "A enrols" enrol $a community 洗马社区
ok "A syncs" agent $a sync
ok "no secret is outside" none_outside $a

cp "$dir/$a/office.db" "$dir/first.db"
evening=$(date -u +%Y-%m-%dT%H:%M:%SZ)
sleep 1.1 # the next capture is of a later second
sql $a "UPDATE resident SET phone = '$word-p4' WHERE id = 'r1'; UPDATE diary SET body = '$word-d3' || hex(randomblob(30000)) WHERE id = 1;"
before=$(git -C "$dir/$a/state/repo.git" rev-parse main)
cp "$dir/$a/office.db" "$dir/second.db"
ok "only private values change" agent $a commit
ok "and the city's history does not move" same "$(git -C "$dir/$a/state/repo.git" rev-parse main)" "$before"
ok "A restores them" whole $a
ok "a moment between two nights that go with one public commit has the values of then" whole $a "$evening" "$dir/first.db"
sql $a "UPDATE resident SET phone = '$word-p5', age = 41 WHERE id = 'r2'; DELETE FROM resident WHERE id = 'r3';
	INSERT INTO resident VALUES('r4','赵**','$word-p6','$word-i6',9); INSERT INTO diary(body, picture) VALUES('$word-d4', CAST('$word-b4' AS BLOB));
	DELETE FROM loose WHERE hidden = '$word-l2' AND rowid = (SELECT max(rowid) FROM loose); UPDATE demand SET n = 3; DELETE FROM notes WHERE at = 2;
	UPDATE visit SET what = '$word-v2' WHERE resident = 'r2';"
cp "$dir/$a/office.db" "$dir/third.db"
ok "both halves change" agent $a sync
ok "A restores both" whole $a
ok "the public half is in the city" eventually "41" community "SELECT age FROM resident WHERE id = 'r2' AND _node = '$a'"
no_column() { ! city community "SELECT phone FROM resident" 2>/dev/null && ! city community "SELECT * FROM diary" 2>/dev/null; }
ok "the city has no such columns and tables" no_column
ok "no secret is outside" none_outside $a

sql $a "UPDATE resident SET phone = '$word-p7', age = 42 WHERE id = 'r2'; INSERT INTO diary(body) VALUES('$word-d7')"
ok "the full engine divides a night in the same way" agent $a commit --engine full
ok "A restores it" whole $a
sql $a "UPDATE resident SET phone = '$word-p5', age = 41 WHERE id = 'r2'; DELETE FROM diary WHERE body = '$word-d7'"
ok "and back" agent $a sync
by_pages() { agent $a status --json | grep -q '"engine": "page"'; }
ok "by pages, without the full engine" by_pages
ok "A restores both" whole $a
ok "no secret is outside" none_outside $a

# What is private changes.
ok "A makes a column private later" agent $a config set private resident.age
ok "A syncs" agent $a sync
sql $a "ALTER TABLE demand ADD COLUMN contact TEXT; UPDATE demand SET contact = '$word-c1'; UPDATE resident SET age = 77 WHERE id = 'r1';"
ok "A makes a new column private before the night" agent $a config set private demand.contact
ok "A syncs" agent $a sync
ok "A restores all" whole $a
ok "the city's values of it are empty now" eventually "" community "SELECT group_concat(age) FROM resident WHERE _node = '$a'"
ok "A makes a whole table private" agent $a config set private visit
ok "A syncs" agent $a sync
ok "its rows are gone in the city" eventually 0 community "SELECT count(*) FROM visit WHERE _node = '$a'"
ok "A restores all" whole $a
ok "no secret is outside" none_outside $a
public() { agent $a config set public visit && agent $a config set public visit.what && agent $a config set public resident.age; }
ok "A makes a table and a column public again" public
sql $a "UPDATE visit SET what = 'public-now'; INSERT INTO visit VALUES('r4','2026-11-25','public-too');"
ok "A syncs" agent $a sync
ok "they are in the city" eventually 3 community "SELECT count(*) FROM visit WHERE _node = '$a' AND what LIKE 'public%'"
ok "and the age" eventually 77 community "SELECT age FROM resident WHERE id = 'r1' AND _node = '$a'"
ok "A restores all" whole $a
ok "every earlier moment too" whole $a "#2" "$dir/third.db"

# The city restores what it has, and says what it has not.
city_restores() { hub restore --node $a --app community --at latest --to "$dir/city.db"; }
ok "the city restores A's history" city_restores
absent() { grep -q "resident.phone private" "$dir/out2" && grep -q "diary private" "$dir/out2"; }
rm -f "$dir/city.db"
ok "again" eval 'city_restores >"$dir/out2" 2>&1'
ok "and lists what is absent" absent
relaxed() { same "$(sqlite3 "$dir/city.db" "SELECT group_concat(id || name || ifnull(phone, '?')) FROM resident")" "r1张**?,r2李**?,r4赵**?"; }
ok "absent columns are NULL in it" relaxed
ok "the audit proves the city" hub audit
ok "no secret is outside" none_outside $a

# Another office captures before the city's policy says what is private.
plant $b
cat >>"$dir/hub/policy.conf" <<END
[table "resident"]
	private = phone
	private = id_number
[table "diary"]
	private = *
[table "notes"]
	policy = private
[table "visit"]
	private = what
[table "loose"]
	private = hidden
END
ok "B captures, with no list" agent $b init "$dir/$b/office.db" --node $b --app community --name 南京路社区
sql $b "UPDATE resident SET phone = '$word-q1' WHERE id = 'r1'"
ok "and again" agent $b commit
killed() { TRIBUTARY_CRASH_AT=$1 enrol $b community 南京路社区 || [ -s "$dir/$b/slip" ]; }
ok "B enrols, and is killed before its commits are taken apart" killed own-widened
ok "B syncs" agent $b sync
ok "no secret of B is in what it sent" same "$(seen_in_hub)" ""
ok "B restores every byte" whole $b
ok "its public half is in the city" eventually 3 community "SELECT count(*) FROM resident WHERE _node = '$b'"
sql $b "UPDATE resident SET phone = '$word-q2', name = '孙**' WHERE id = 'r2'"
ok "the next night is as any other" agent $b sync
ok "B restores it" whole $b
ok "no secret is outside" same "$(seen_in_hub)" ""
ok "no secret was ever printed" logs_clean
ok "the audit proves the city" hub audit
finish
