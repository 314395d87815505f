#!/bin/sh
# shellcheck disable=SC2154 # dir and bin come from the harness
# Nights on which the schema changes, alone and together with rows (D4.6): what each commit counts, and every state back under its own schema, in the
# office and from the city, equal by storage class and bytes (tests/tool/exactdump.c).
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
dump=$bin/tests/tool/exactdump
states=0
: >"$dir/moments"
LC_ALL=C.UTF-8
export LC_ALL

keep() { # a copy of this moment, and the commit that must give it back
	states=$((states + 1))
	sqlite3 -readonly "$dir/$a/office.db" ".backup '$dir/copy.$states'" && git -C "$dir/$a/state/repo.git" rev-parse main >>"$dir/moments"
}
night() { # night WANTED SQL: its commit says WANTED (more than one: with | between), as does show
	sql $a "$2" || return 1
	agent $a commit -n --accept-loss >"$dir/would" 2>&1 || { cat "$dir/would"; return 1; }
	agent $a commit --accept-loss >"$dir/did" 2>&1 || { cat "$dir/did"; return 1; }
	agent $a show HEAD >"$dir/show" || return 1
	keep || return 1
	cat "$dir/did"
	tr -s ' ' <"$dir/did" >"$dir/did1"
	echo "$1" | tr -s ' ' | tr '|' '\n' | while IFS= read -r text; do
		grep -qF -- "$text" "$dir/did1" || { echo "not said: $text"; return 1; }
	done || return 1
	same "$(tables show)" "$(tables did)" && same "$(tables would)" "$(tables did)"
}
tables() { grep '^  ' "$dir/$1" | tr -s ' ' | sort; }
equal() { # equal STATE FILE
	"$dump" "$dir/copy.$1" >"$dir/was.txt" && "$dump" "$2" >"$dir/is.txt" && [ "$(grep -c '^row ' "$dir/was.txt")" -gt 0 ] || return 1
	cmp "$dir/was.txt" "$dir/is.txt" || { echo "state $1"; diff "$dir/was.txt" "$dir/is.txt" | cut -c1-200 | head -n 20; return 1; }
}
back() {
	k=0
	while read -r at; do
		k=$((k + 1))
		rm -f "$dir/back.db"
		agent $a restore --at "$at" --to "$dir/back.db" && equal $k "$dir/back.db" || return 1
	done <"$dir/moments"
	same $k $states && same "$(sort -u "$dir/moments" | wc -l)" $states && agent $a check --read-data
}
from_city() {
	k=0
	while read -r at; do
		k=$((k + 1))
		rm -f "$dir/back.db"
		hub restore --node $a --app community --at "$at" --to "$dir/back.db" && equal $k "$dir/back.db" || return 1
	done <"$dir/moments"
	same $k $states
}

ok "a city" city_init
ok "the hub listens" hub_start
made() {
	mkdir -p "$dir/$a"
	sqlite3 "$dir/$a/office.db" "
		CREATE TABLE house(id INTEGER PRIMARY KEY AUTOINCREMENT, street TEXT NOT NULL, n, floors TEXT DEFAULT '1', photo BLOB);
		CREATE TABLE visit(who TEXT, day TEXT, what, PRIMARY KEY(who, day)) WITHOUT ROWID;
		CREATE TABLE loose(k TEXT PRIMARY KEY, v);
		CREATE TABLE memo(line, at);
		CREATE TABLE old(id INTEGER PRIMARY KEY, v);
		CREATE INDEX by_street ON house(street);
		WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 400)
			INSERT INTO house(street, n, floors, photo) SELECT '街' || (i % 7), i, i % 9, CASE WHEN i % 10 = 0 THEN randomblob(i * 20) END FROM c;
		WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 100) INSERT INTO visit SELECT 'w' || (i % 9), i, 1.5 * i FROM c;
		INSERT INTO loose VALUES('a', 1), ('b', 2.0), (NULL, 3), (NULL, 3);
		INSERT INTO memo VALUES('x', 1), ('x', 1), (NULL, x'00ff');
		INSERT INTO old VALUES(1, 'one'), (2, 'two');"
	agent $a init "$dir/$a/office.db" --node $a --app community --name 洗马社区
}
ok "an office" made
ok "enrols" enrol $a community 洗马社区
ok "its first state" keep

# SQLite's own recipe for what ALTER TABLE cannot do, https://sqlite.org/lang_altertable.html
ok "a table rebuilt as it was: no row changed" night "0 added, 0 changed, 0 removed" "
	PRAGMA foreign_keys = OFF; BEGIN;
	CREATE TABLE new_house(id INTEGER PRIMARY KEY AUTOINCREMENT, street TEXT NOT NULL, n, floors TEXT DEFAULT '1', photo BLOB);
	INSERT INTO new_house SELECT * FROM house ORDER BY id DESC; DROP TABLE house; ALTER TABLE new_house RENAME TO house;
	CREATE INDEX by_street ON house(street); COMMIT"
# floors become numbers in all rows that had a text; photo goes, which 40 rows had (their floors change too); one row is edited beside.
ok "rebuilt with other types and without a column, rows edited: each counts once" night \
	"0 added, 399 changed, 2 removed|  house  0 added, 398 changed, 2 removed; 398 rows|  visit  0 added, 1 changed, 0 removed; 100 rows" "
	BEGIN; CREATE TABLE new_house(id INTEGER PRIMARY KEY AUTOINCREMENT, street TEXT NOT NULL, n, floors INTEGER);
	INSERT INTO new_house SELECT id, street, n, floors FROM house; DROP TABLE house; ALTER TABLE new_house RENAME TO house; CREATE INDEX by_street ON house(street);
	UPDATE house SET street = '新街' WHERE id = 20; DELETE FROM house WHERE id IN (10, 11); UPDATE visit SET what = NULL WHERE who = 'w3' AND day = '3'; COMMIT"
ok "ADD COLUMN, set in some rows" night "  house  1 added, 100 changed, 0 removed; 399 rows" "
	ALTER TABLE house ADD COLUMN grade REAL; UPDATE house SET grade = id WHERE id > 300; INSERT INTO house(street, n, floors, grade) VALUES('末', 1, 2, -0.0)"
ok "ADD COLUMN with a default: all rows have it" night "  visit  0 added, 100 changed, 0 removed; 100 rows" "
	ALTER TABLE visit ADD COLUMN state TEXT NOT NULL DEFAULT '无'; UPDATE visit SET what = x'00' WHERE day = '5'"
ok "RENAME COLUMN, rows edited" night "changed" "ALTER TABLE house RENAME COLUMN n TO number; UPDATE house SET number = -number WHERE id < 20"
ok "RENAME COLUMN of a key" night "rows" "ALTER TABLE visit RENAME COLUMN who TO visitor; INSERT INTO visit VALUES('w10', 'x', 1, '新')"
ok "DROP COLUMN: rows that had a value, and one that was edited beside, count once" night "  house  0 added, 102 changed, 0 removed; 399 rows" "
	ALTER TABLE house DROP COLUMN grade; UPDATE house SET floors = 99 WHERE id IN (1, 301)"
ok "RENAME TABLE, rows edited" night "  former  2 added, 0 changed, 0 removed; 2 rows|  old     0 added, 0 changed, 2 removed; 0 rows" \
	"ALTER TABLE old RENAME TO former; UPDATE former SET v = 'uno' WHERE id = 1"
ok "DROP TABLE, a new one, rows edited" night "  former  0 added, 0 changed, 2 removed; 0 rows|  fresh   3 added, 0 changed, 0 removed; 3 rows" "
	DROP TABLE former; CREATE TABLE fresh(id TEXT PRIMARY KEY, v ANY) STRICT, WITHOUT ROWID; INSERT INTO fresh VALUES('a', 1), ('b', 1.0), ('c', x'31');
	UPDATE loose SET v = 'later' WHERE k = 'a'; DELETE FROM memo WHERE line IS NULL"
ok "VACUUM alone, small pages: no row changed" night "0 added, 0 changed, 0 removed" "PRAGMA page_size = 1024; VACUUM"
ok "VACUUM and one row" night "  fresh  0 added, 1 changed, 0 removed; 3 rows" "DELETE FROM house WHERE id % 2;
	UPDATE fresh SET v = 'z' WHERE id = 'b'; PRAGMA auto_vacuum = FULL; VACUUM"
ok "a table goes and comes under another key" night "removed" "
	BEGIN; CREATE TABLE t AS SELECT * FROM loose; DROP TABLE loose; CREATE TABLE loose(k TEXT, v, n INTEGER PRIMARY KEY); INSERT INTO loose(k, v) SELECT * FROM t; DROP TABLE t; COMMIT"
ok "rows without a key get another column" night "  memo  2 added, 0 changed, 1 removed; 3 rows" "ALTER TABLE memo ADD COLUMN by TEXT; INSERT INTO memo VALUES('y', 2, 'wang')"
ok "all of it in one night" night "changed" "
	ALTER TABLE visit RENAME TO call; ALTER TABLE call RENAME COLUMN day TO date; ALTER TABLE call DROP COLUMN state; ALTER TABLE call ADD COLUMN note DEFAULT 7;
	UPDATE call SET note = note + 1 WHERE visitor = 'w1'; DELETE FROM call WHERE visitor = 'w2';
	BEGIN; CREATE TABLE new_house(id INTEGER PRIMARY KEY AUTOINCREMENT, number TEXT, street TEXT COLLATE NOCASE, extra DEFAULT 'e', floors REAL);
	INSERT INTO new_house(id, number, street, floors) SELECT id, number, street, floors FROM house WHERE id <> 2; DROP TABLE house; ALTER TABLE new_house RENAME TO house;
	CREATE UNIQUE INDEX by_number ON house(number, id); CREATE VIEW tall AS SELECT * FROM house WHERE floors > 5;
	CREATE TRIGGER no_more BEFORE DELETE ON house WHEN old.id = 4 BEGIN SELECT raise(ABORT, 'kept'); END; COMMIT;
	INSERT INTO house(number, street, floors) VALUES(1, 'A', 1); DROP TABLE fresh; CREATE TABLE fresh(id INTEGER PRIMARY KEY, v); INSERT INTO fresh VALUES(1, 'a');
	CREATE TABLE more(a, b, PRIMARY KEY(b, a)); INSERT INTO more VALUES(1, 2), (NULL, 2); PRAGMA user_version = 12; PRAGMA page_size = 4096; VACUUM"
ok "and a plain night after it" night "  call   0 added, 1 changed, 0 removed" "UPDATE call SET note = 'plain' WHERE visitor = 'w4' AND date = '4'; DELETE FROM more WHERE a IS NULL"
ok "every state comes back under its own schema" back
ok "the nights go to the city" agent $a push
ok "the city has the last one" soon sh -c "[ \"\$(sqlite3 -readonly '$dir/hub/city/community.db' \"SELECT note FROM call WHERE visitor = 'w4' AND date = '4'\")\" = plain ]"
rows() { # rows FILE WHERE TABLE:ITS-NAME-THERE...: by their columns, as storage class and bytes
	f=$1
	where=$2
	shift 2
	for t; do
		columns=$(sqlite3 -readonly "$dir/$a/office.db" "SELECT group_concat(printf('quote(\"%w\")', name), ', ') FROM pragma_table_info('${t%:*}')")
		sqlite3 -readonly "$f" "SELECT '${t%:*}', $columns FROM \"${t#*:}\" $where" || return 1
	done >"$dir/some"
	sort -u "$dir/some" # a bag's equal rows are one row with a count in the city
}
in_city() { # tables whose key or whose bag changed have another mirror by now
	rows "$dir/$a/office.db" "" house call memo loose fresh more >"$dir/x" &&
		rows "$dir/hub/city/community.db" "WHERE _node = '$a'" house call memo:_t__bag_memo_k2 loose:_t_loose_k2 fresh more >"$dir/y" &&
		[ "$(wc -l <"$dir/x")" -gt 250 ] && diff "$dir/x" "$dir/y"
}
ok "its database has the office's rows" in_city
ok "and every state comes back from the city" from_city
hub_stop
finish
