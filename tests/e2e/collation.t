#!/bin/sh
# Collations that only the application has: captured, restored, and said. What sqlite3 cannot open like this is written by a program that has them.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
if ! command -v python3 >/dev/null 2>&1; then
	echo "1..0 # SKIP python3 is not installed"
	exit 0
fi
program() { # program FILE SQL: runs it where `pinyin` is the reverse of the order of bytes, and prints the last answer
	python3 - "$1" "$2" <<-'PY'
		import sqlite3, sys
		db = sqlite3.connect(sys.argv[1])
		db.create_collation("pinyin", lambda a, b: (a < b) - (a > b))
		rows = []
		for sql in sys.argv[2].split(";"):
		    rows = db.execute(sql).fetchall()
		db.commit()
		print(rows)
	PY
}
f=$dir/$a/office.db
mkdir -p "$dir/$a"
make_it() {
	program "$f" "CREATE TABLE resident(name TEXT COLLATE pinyin PRIMARY KEY, age INT); CREATE TABLE visit(id INTEGER PRIMARY KEY, who TEXT COLLATE pinyin UNIQUE);
		CREATE INDEX by_who ON visit(who, id); CREATE TABLE k(name TEXT COLLATE pinyin PRIMARY KEY, v) WITHOUT ROWID;
		INSERT INTO resident VALUES('张', 1), ('李', 2), ('王', 3); INSERT INTO visit VALUES(1, '张'), (2, '李'); INSERT INTO k VALUES('x', 1)"
}
ok "a program with a collation of its own" make_it
named() { agent $a init "$f" --node $a >"$dir/said" && grep -q "^  k .*left out: its key needs a collation" "$dir/said"; }
ok "is captured; what cannot be is named" named
ok "it writes" program "$f" "UPDATE resident SET age = 9 WHERE name = '李'; INSERT INTO visit VALUES(3, '王'); DELETE FROM visit WHERE id = 1"
ok "a night, by pages" agent $a commit
ok "the history replays" agent $a check --read-data
restored() {
	agent $a restore --at HEAD --to "$dir/r.db" >"$dir/said" || return 1
	cat "$dir/said"
	grep -q "^indexes .*without pinyin, .*run REINDEX" "$dir/said" && ! grep -q "private" "$dir/said"
}
ok "a restore says what the program must do" restored
ok "which is needed" program "$dir/r.db" "REINDEX pinyin"
whole() { same "$(program "$dir/r.db" "$1")" "$(program "$f" "$1")"; }
ok "then its rows are there" whole "SELECT name, age FROM resident ORDER BY name"
ok "all of them" whole "SELECT id, who FROM visit ORDER BY who"
ok "and its indexes are sound" same "$(program "$dir/r.db" "PRAGMA integrity_check")" "[('ok',)]"

# A function of its own, in an index: captured, but no restore could make it.
careful() {
	python3 - "$dir/g.db" <<-'PY'
		import sqlite3, sys
		db = sqlite3.connect(sys.argv[1])
		db.create_function("own", 1, lambda x: x, deterministic=True)
		db.executescript("CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE INDEX i ON t(own(v))")
	PY
	"$bin/tributary-agent" --state "$dir/gstate" init "$dir/g.db" --node $a --dry-run | grep "careful: no restore could make .*no such function: own"
}
ok "init says so before anybody relies on it" careful
finish
