#!/bin/sh
# Tables at SQLite's limit of columns: what the city's table cannot hold is left out and named, everything else goes the whole way.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001

wide() { # wide N: c1, c2, ... cN
	seq -s , -f 'c%.0f' "$1"
}
make_tables() {
	mkdir -p "$dir/$a" && sqlite3 "$dir/$a/office.db" "
		CREATE TABLE keyed(k INTEGER PRIMARY KEY, $(wide 1998));
		CREATE TABLE keyed_over(k INTEGER PRIMARY KEY, $(wide 1999));
		CREATE TABLE loose($(wide 1997));
		CREATE TABLE loose_over($(wide 1998));
		CREATE TABLE full($(wide 2000));
		CREATE TABLE textkey(k TEXT PRIMARY KEY, $(wide 1997));
		CREATE TABLE twice(a, b, v, PRIMARY KEY(a, a, b));
		INSERT INTO keyed(k, c1, c1998) VALUES(1, 'eins', 'letzte');
		INSERT INTO loose(c1, c1997) VALUES('a', 'z'), ('a', 'z');
		INSERT INTO full(c2000) VALUES('x');
		INSERT INTO twice VALUES(1, 2, 'v');"
}
ok "a database at the limits" make_tables
ok "a city" city_init
ok "the hub listens" hub_start
ok "init does not stumble over it" agent $a init "$dir/$a/office.db" --node $a --app wide --name 洗马社区
left() {
	agent $a --json status | python3 -c '
import json, sys
names = sorted(x["name"] + " " + x["reason"] for x in json.load(sys.stdin)["left_out"])
want = [n + " too-many-columns" for n in ("full", "keyed_over", "loose_over", "textkey")]
print(names)
sys.exit(names != want)'
}
ok "what does not fit is left out, with the reason" left
ok "the office enrols" enrol $a wide 洗马社区
ok "and syncs" agent $a sync
change() {
	sql $a "UPDATE keyed SET c2 = 'zwei', c1998 = NULL; INSERT INTO keyed(k) VALUES(2); DELETE FROM loose WHERE rowid = 1; UPDATE twice SET v = 'w'" && agent $a sync
}
ok "a night with changes" change
ok "the widest rows are in the city" eventually zwei wide "SELECT c2 FROM keyed WHERE k = 1"
ok "those without identity too" eventually 1 wide "SELECT _count FROM _bag_loose"
ok "and a key that names a column twice" eventually w wide "SELECT v FROM twice WHERE a = 1 AND b = 2"
ok "the office proves its history" agent $a check --read-data
ok "a restore is the database of that night" agent $a restore --at HEAD~1 --to "$dir/then.db"
was() { same "$(sqlite3 "$dir/then.db" "SELECT c1998 FROM keyed; SELECT count(*) FROM loose; SELECT v FROM twice")" "$(printf 'letzte\n2\nv')"; }
ok "with its rows" was
ok "and the city is proven" hub audit
grown() { sql $a "ALTER TABLE keyed ADD COLUMN one_more; UPDATE keyed SET c1 = 'x'" && agent $a commit && agent $a --json status | grep -q '"keyed"'; }
ok "a table that outgrows the limit is left out from then on, and named" grown
ok "which the city takes" agent $a sync
ok "and proves" hub audit
finish
