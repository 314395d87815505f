#!/bin/sh
# The community model loads, is complete, names a policy for every table, and answers the twenty questions.
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
model=schema/community
db=$dir/office.db

n=0
check() { # check NAME COMMAND...: one TAP line by the command's status
	n=$((n + 1))
	name=$1
	shift
	if "$@" >"$dir/out" 2>&1; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		sed 's/^/# /' "$dir/out"
	fi
}
is() { # is WANT SQL
	got=$(sqlite3 -bail "$db" "$2") || return 1
	echo "got $got"
	[ "$got" = "$1" ]
}
lacks() { # lacks SQL: no row
	is "" "$1"
}

echo 1..18
load() {
	{
		printf '.bail on\nPRAGMA foreign_keys = ON;\nBEGIN;\n'
		cat $model/0001_community.sql $model/0002_reference.sql $model/0003_divisions.sql
		echo 'COMMIT;'
	} | sqlite3 -bail "$db"
}
check "the three files load in one transaction with foreign keys on" load
check "64 tables" is 64 "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"
check "every table is STRICT" lacks "SELECT name FROM pragma_table_list WHERE schema = 'main' AND name <> 'sqlite_schema' AND NOT strict"
check "every table has a key and no column of it may be NULL" lacks "SELECT t.name FROM sqlite_schema t WHERE type = 'table'
	AND (NOT EXISTS (SELECT 1 FROM pragma_table_info(t.name) WHERE pk) OR EXISTS (SELECT 1 FROM pragma_table_info(t.name) WHERE pk AND NOT \"notnull\" AND type <> 'INTEGER'))"
check "integer keys only in private tables" is "access_event payment" "SELECT group_concat(name, ' ') FROM (SELECT t.name FROM sqlite_schema t, pragma_table_info(t.name) c
	WHERE t.type = 'table' AND c.pk = 1 AND c.type = 'INTEGER' ORDER BY 1)"
check "no generated column and no trigger" lacks "SELECT t.name FROM sqlite_schema t, pragma_table_xinfo(t.name) c WHERE t.type = 'table' AND c.hidden
	UNION ALL SELECT name FROM sqlite_schema WHERE type = 'trigger'"
check "no broken foreign key" lacks "SELECT * FROM pragma_foreign_key_check"
check "every foreign key names a key" sqlite3 -bail "$db" "PRAGMA foreign_keys = ON; DELETE FROM demand_transition; DELETE FROM attachment"
check "2,363 divisions, 2,093 communities and villages" is "2363|2093" "SELECT count(*), sum(level = 5) FROM division"
check "every division but the province has a parent that its code extends" is 1 "SELECT count(*) FROM division c LEFT JOIN division p
	ON p.code = c.parent WHERE p.code IS NULL OR p.level <> c.level - 1 OR substr(c.code, 1, length(p.code)) <> p.code"
check "the division SQL is what make-sql makes" sh -c "schema/divisions/make-sql | cmp - $model/0003_divisions.sql"
check "the communities of the demonstration have their codes" is "兰家堡社区,洗马社区,南京路社区" \
	"SELECT group_concat(short_name) FROM (SELECT short_name FROM division WHERE code IN ('520303002001', '520303001011', '520302004004') ORDER BY code <> '520302004004', code DESC)"
check "every state of a demand can be reached and every step starts in one" lacks "SELECT from_status FROM demand_transition
	WHERE from_status <> '' AND from_status NOT IN (SELECT to_status FROM demand_transition)"
check "demand limits are 2, 24, 168 and 360 hours" is "2 24 168 360" "SELECT group_concat(close_hours, ' ') FROM (SELECT DISTINCT close_hours FROM demand_category ORDER BY 1)"

comments() { # before each CREATE TABLE: a Chinese line, an English line, class and policy
	LC_ALL=C awk '/^CREATE TABLE/ { if (c !~ /^-- class [ROSLP]; policy = / || b !~ /^-- [A-Z]/ || a !~ /^-- [^ -~]/ && a !~ /^-- [0-9]/) { print "not commented: " $0; bad = 1 } n++ }
		{ a = b; b = c; c = $0 } END { if (n != 64) { print n " tables"; bad = 1 } exit bad }' $model/0001_community.sql
}
check "every table is commented in Chinese and English with class and policy" comments
policies() { # policy.conf is valid git-config, has every table with the class and policy of the comment, and names only columns that exist
	for t in $(sqlite3 "$db" "SELECT name FROM sqlite_schema WHERE type = 'table'"); do
		class=$(git config -f $model/policy.conf "table.$t.class")
		policy=$(git config -f $model/policy.conf "table.$t.policy") || { echo "no policy for $t"; return 1; }
		grep -B1 "^CREATE TABLE $t(" $model/0001_community.sql | grep -q "^-- class $class; policy = $policy\(;\|\$\)" || { echo "$t: comment and policy.conf differ"; return 1; }
	done
	git config -f $model/policy.conf --get-regexp '^table\..*\.(private|hub|latest|derived|owner|epoch|filter)$' >"$dir/columns" || return 1
	while read -r key column; do
		t=${key#table.}
		t=${t%.*}
		[ "$(sqlite3 "$db" "SELECT count(*) FROM pragma_table_info('$t') WHERE name = '$column'")" = 1 ] || { echo "$key: no column $column"; return 1; }
	done <"$dir/columns"
	[ "$(grep -c '^\[table' $model/policy.conf)" = 64 ]
}
check "policy.conf has every table as its comment says and only real columns" policies

questions() { # each statement of questions.sql prepares and runs, on an empty office and parameters of the right form
	{
		printf '.bail on\n.parameter init\n'
		printf ".parameter set :a \"'2024-01-01 00:00:00'\"\n.parameter set :b \"'2026-01-01 00:00:00'\"\n"
		printf ".parameter set :now \"'2025-06-01 12:00:00'\"\n.parameter set :asof \"'2025-05-01 00:00:00'\"\n.parameter set :p \"'2025Q1'\"\n"
		cat $model/questions.sql
	} | sqlite3 -bail "$db" || return 1
	[ "$(grep -c '^-- [CA][0-9]' $model/questions.sql)" = 20 ] && [ "$(grep -c ';$' $model/questions.sql)" = 20 ]
}
check "the twenty questions run" questions
figures() { # C2, C1 and A2 give the right numbers for rows that we know
	sqlite3 -bail "$db" "PRAGMA foreign_keys = ON;
		INSERT INTO community(code) VALUES ('520303002001');
		INSERT INTO team(id, community, name, kind, founded_on) VALUES ('t1', '520303002001', '红色跑团', 'run', '2024-01-01'), ('t2', '520303002001', '红城先锋', 'vanguard', '2024-01-01');
		INSERT INTO demand(id, community, category, source, title, reported_at, valid, solved) VALUES ('d1', '520303002001', 'utility-water', 'phone', '停水', '2024-05-01 00:00:00', 1, 1),
			('d2', '520303002001', 'hard-roof', 'grid', '房顶漏水', '2024-05-02 00:00:00', 1, 0), ('d3', '520303002001', 'plain-noise', 'grid', '噪声', '2024-05-02 00:00:00', 0, NULL);
		INSERT INTO points_entry(id, person, rule, rule_version, points, community, at, source, source_id) VALUES
			('p1', 'v1', 'checkin', 1, 2, '520303002001', '2024-05-01 00:00:00', 'scan', '1'), ('p2', 'v1', 'redeem', 1, -5, '520303002001', '2024-05-02 00:00:00', 'shop', '1');" || return 1
	{
		printf ".parameter init\n.parameter set :a \"'2024-01-01'\"\n.parameter set :b \"'2025-01-01'\"\n"
		sed -n '/^-- C1 /,/;$/p; /^-- C2 /,/;$/p; /^-- A2 /,/;$/p' $model/questions.sql
	} | sqlite3 "$db" | tr '\n' ' ' >"$dir/got"
	cat "$dir/got"
	[ "$(cat "$dir/got")" = "2|1 2|1|50.0 v1|-3|2|1 " ]
}
check "C1, C2 and A2 count what is there" figures
