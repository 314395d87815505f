#!/bin/sh
# The city database of the bundle has all rows that the communities signed, and more: a false table under a community's name, false names of columns, tables, views and files beside them.
. "$(dirname "$0")/../lib/attack.sh"

# Names of all kinds come first: the city's own, a bag, one table with two keys, which the city joins in a view.
odd() {
	sql $a "CREATE TABLE Pairs(k, V, \"__Node\", PRIMARY KEY(k)); CREATE TABLE _t_x(_count, _Hash, x); CREATE TABLE _node(node PRIMARY KEY, _node); INSERT INTO pairs VALUES(1, 2, 3); INSERT INTO _t_x VALUES(1, 2, 3), (1, 2, 3); INSERT INTO _node VALUES(4, 5)"
	sql $b "CREATE TABLE pairs(k, v, w, PRIMARY KEY(w)); INSERT INTO pairs VALUES(6, 7, 8)"
	quiet agent $a sync && quiet agent $b sync && eventually 2 community "SELECT count(*) FROM _t_v_pairs" && at_rest
}
ok "communities have names of all kinds" odd
keep_bundle
strange='city/community.db has what does not follow from the communities'"'"' tables'
b() { sqlite3 "$dir/b/city/community.db" "$1"; }
# case_of TEXT NAME COMMAND...
case_of() {
	text=$1
	what=$2
	shift 2
	tried "$what" || return 0
	undoctored
	ok "$what" "$@"
	doctored "$text" "  and stock tools say so"
}
case_of "$strange: table demand" "demand is false, and the catalogue names a true copy" b "CREATE TABLE t2(_node, id, title, status, n, PRIMARY KEY(_node, id)) WITHOUT ROWID; INSERT INTO t2 SELECT _node, id, title, status, n FROM demand;
	UPDATE _t_mirror SET mirror = 't2' WHERE name = 'demand'; UPDATE _t_column SET mirror = 't2' WHERE mirror = 'demand'; UPDATE demand SET title = 'false'"
case_of "$strange: column" "two columns change their names" b "UPDATE _t_column SET city_col = 'zz' WHERE mirror = 'demand' AND col = 'title'; UPDATE _t_column SET city_col = 'title' WHERE mirror = 'demand' AND col = 'status';
	UPDATE _t_column SET city_col = 'status' WHERE city_col = 'zz'; UPDATE demand SET title = status, status = title"
case_of "$strange: column verdict of demand" "a column more" b "ALTER TABLE demand ADD COLUMN verdict; UPDATE demand SET verdict = 'false'"
case_of "$strange: table resident" "a table more" b "CREATE TABLE resident(id, name); INSERT INTO resident VALUES(1, 'false')"
case_of "city/community.db holds rows of '$a x'" "a row of a community that is none" b "INSERT INTO demand(_node, id, title, status) VALUES('$a x', 'f', 'false', 'x')"
case_of "$strange: view demand_all" "a view more" b "CREATE VIEW demand_all AS SELECT 'false' AS title"
case_of "$strange: view _t_v_pairs" "the view over two keys shows something else" b "DROP VIEW _t_v_pairs; CREATE VIEW _t_v_pairs AS SELECT 'false' AS k"
case_of "city/community.db holds rows of X'" "a row whose community is a blob" b "INSERT INTO demand(_node, id, title, status) VALUES(CAST('$a' AS BLOB), 'f', 'false', 'x')"
case_of "city/evil.db is not the city database of an application" "another database" cp "$dir/whole-bundle/city/community.db" "$dir/b/city/evil.db"
case_of "city/community.db-wal is not the city database of an application" "a file beside the database would change it" cp "$dir/whole-bundle/log.pem" "$dir/b/city/community.db-wal"
case_of "$strange: table t2 for demand" "a table under another name" b "ALTER TABLE demand RENAME TO t2; UPDATE _t_mirror SET mirror = 't2' WHERE name = 'demand'; UPDATE _t_column SET mirror = 't2' WHERE mirror = 'demand'"
finish
