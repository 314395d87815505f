#!/bin/sh
# The agent alone in its office: init, commit, brake, log, show, check, restore, without hub and network.
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
case $build in /*) ;; *) build=$PWD/$build ;; esac
agent=$build/tributary-agent
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
unset TRIBUTARY_STATE TRIBUTARY_CLOCK_OFFSET TRIBUTARY_CRASH_AT
export LC_ALL=C
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
a() { "$agent" --state "$dir/st" "$@"; }
status() { # status WANTED COMMAND...: the exit status is WANTED
	want=$1
	shift
	"$@"
	got=$?
	[ "$got" = "$want" ] || { echo "exit $got instead of $want"; return 1; }
}
says() { # says TEXT COMMAND...: succeeds and prints TEXT
	text=$1
	shift
	"$@" >"$dir/said" 2>&1 || { cat "$dir/said"; return 1; }
	grep -qF -- "$text" "$dir/said" || { cat "$dir/said"; return 1; }
}
refuses() { # refuses STATUS TEXT COMMAND...
	want=$1
	text=$2
	shift 2
	"$@" >"$dir/said" 2>&1
	got=$?
	if [ "$got" != "$want" ] || ! grep -qF -- "$text" "$dir/said"; then
		echo "exit $got"
		cat "$dir/said"
		return 1
	fi
}
sql() { sqlite3 "$dir/office.db" "$1"; }
dump() { sqlite3 "$1" .dump | sed -e '/search/d' -e '/writable_schema/d' | sort; } # a bag has no order; the FTS table is left out
json() { a "$@" --json >"$dir/json" && python3 -m json.tool "$dir/json"; }
unzipped() { git -C "$dir/st/repo.git" cat-file blob "$1:changeset.gz" | gzip -dc >"$dir/cs"; }
printed() { a changeset "$1" >"$dir/cs2" && cmp "$dir/cs" "$dir/cs2"; }
same() { # same KEPT RESTORED: equal by content and schema
	dump "$1" >"$dir/x" && dump "$2" >"$dir/y" && [ -s "$dir/x" ] && diff "$dir/x" "$dir/y"
}
restores() { # restores WHEN KEPT: what was at that moment is in a new file
	rm -f "$dir/r.db"
	a restore --at "$1" --to "$dir/r.db" && same "$2" "$dir/r.db"
}

sql "CREATE TABLE resident(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, note);
CREATE TABLE demand(code TEXT PRIMARY KEY, title TEXT, n REAL) WITHOUT ROWID;
CREATE TABLE memo(a, b);
CREATE INDEX by_title ON demand(title);
CREATE VIEW titles AS SELECT title FROM demand;
CREATE VIRTUAL TABLE search USING fts5(body);
CREATE TRIGGER find AFTER INSERT ON memo BEGIN INSERT INTO Search VALUES(new.a); END;
CREATE VIEW research AS SELECT title FROM demand;
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 300) INSERT INTO resident(name, note) SELECT '居民' || i, x'00ff' FROM c;
INSERT INTO demand VALUES('D1', '路灯不亮', 1.5), ('D2', '下水道堵塞', -0.0);
INSERT INTO memo VALUES('x', 1), ('x', 1), (NULL, 2);"
cp "$dir/office.db" "$dir/one.db"
before=$(sha256sum <"$dir/office.db")

check "without a folder, commands say to init" refuses 10 "init" a status
check "a node is asked for" refuses 2 "--node" a init "$dir/office.db"
check "a missing database is named" refuses 1 "nothing was changed" a init "$dir/none.db" --node 520303002001
check "--dry-run says what init would do" says "captured as a bag" a init "$dir/office.db" --node 520303002001 --dry-run
measured() {
	json init "$dir/office.db" --node 520303002001 --dry-run && python3 - "$dir/json" "$(sql "SELECT page_size * page_count FROM pragma_page_size, pragma_page_count")" <<'END'
import json, sys
m = json.load(open(sys.argv[1]))
assert m["database_bytes"] == m["baseline_bytes"] == m["pending_bytes"] == m["pages"] * m["page_size"] == int(sys.argv[2]), m
assert 0 < m["history_bytes"] < m["database_bytes"] and 0 < m["sampled_bytes"] <= m["database_bytes"], m
assert m["sample_us"] > 0 and m["seconds"] == 1 + int(m["database_bytes"] / m["sampled_bytes"] * 3 * m["sample_us"] / 1e6) and m["enough"] is True and m["free_bytes"] > 0, m
v = {t["table"]: (t["verdict"], t["reason"]) for t in m["tables_verdict"]}
assert v["resident"] == ("captured", "rows by the integer key id") and v["memo"][0] == "bag" and v["search"][0] == "left-out" and v["memo"][1] and v["search"][1], v
END
}
check "--dry-run measures disk and time on the database itself" measured
check "and does nothing" test ! -e "$dir/st"
check "init tells what is left out" says "left out" a init "$dir/office.db" --node 520303002001 --name 洗马社区
check "the application's file was not touched" test "$before" = "$(sha256sum <"$dir/office.db")"
check "the folder is private" test "$(stat -c %a "$dir/st")" = 700
check "a second init refuses" refuses 2 "not empty" a init "$dir/office.db" --node 520303002001
check "nothing changed is no commit" says "nothing changed" a commit
skipped() { json commit "$@" && grep -q '"snapshot": "skipped"' "$dir/json"; }
scanned() { json commit "$@" && grep -q '"snapshot": "optimistic"' "$dir/json"; }
touched() { touch "$dir/office.db" && scanned; }
check "a file known by its mark is not read" skipped
check "--full-scan reads it" scanned --full-scan
check "a new time of the file means a look" touched
check "after which it is known again" skipped
check "status says how the file was read" says "nothing was written since, so nothing was read" a status
check "and exits 0 with the same tip" says "#1 " a log --limit 1

sql "UPDATE resident SET note = '搬走了' WHERE id = 1; INSERT INTO demand VALUES('D3', '垃圾清运', 3); DELETE FROM demand WHERE code = 'D1'; INSERT INTO memo VALUES('x', 1);"
cp "$dir/office.db" "$dir/two.db"
check "until now comparing pages was enough" says "never needed" a status
check "a change is a commit with counts" says "1 added, 2 changed, 1 removed" a commit -m "夜间值班"
told() { # every figure of the last run, after a known edit: 4 rows, and by what `commit` says itself
	sql "UPDATE resident SET note = 'a' WHERE id = 7; DELETE FROM demand WHERE code = 'D2'; INSERT INTO demand VALUES('D4', '新', 4), ('D5', '新', 5)"
	a commit --json >"$dir/made" && a status --json >"$dir/json" && a status >"$dir/said" || return 1
	python3 - "$dir" "$(sql "PRAGMA page_count")" <<'END'
import json, re, sys
d, pages = sys.argv[1], int(sys.argv[2])
made, l = json.load(open(d + "/made")), json.load(open(d + "/json"))["last_capture"]
print(made, l)
assert set(l) == {"at", "engine", "full_tables", "snapshot", "outcome", "pages_read", "pages_changed", "rows", "ms"}, l
assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", l["at"]), l
assert (l["engine"], l["full_tables"], l["snapshot"], l["outcome"], l["rows"]) == ("page", 0, "optimistic", "committed", 4), l
# a leaf of each table and one of the index: of page 1 only the change counters differ, which are no content
assert l["pages_read"] == pages and l["pages_changed"] == 3 < pages, (l, pages)
assert 0 <= l["ms"] < 20000 and all(made[k] == l[k] for k in ("engine", "full_tables", "snapshot", "outcome", "pages_read", "pages_changed", "ms")), (made, l)
line = [x for x in open(d + "/said") if x.startswith("last run")]
print(line)
wanted = "page engine, read without a lock: %d pages read, %d changed, 4 rows found, %d ms\n" % (pages, l["pages_changed"], l["ms"])
assert len(line) == 1 and re.match(r"last run +\d{4}-\d\d-\d\d \d\d:\d\d, ", line[0]) and line[0].endswith(wanted), line
END
}
check "status tells every figure of the last run" told
sql "ALTER TABLE demand ADD COLUMN grade INTEGER DEFAULT 2; DROP TABLE memo; CREATE TABLE visit(id TEXT PRIMARY KEY, at TEXT); INSERT INTO visit VALUES('v1', '2026-11-25');"
cp "$dir/office.db" "$dir/three.db"
check "a change of the schema is committed, by rows where it must be" says "1 tables compared row by row: their definition changed" a commit --accept-loss
check "status counts how often that was so" says " runs, last " a status
check "and says so to programs" says '"reason": "schema",' a status --json
check "log names the tables, for people" says "洗马社区 " a log
check "show lists rows" says "title='垃圾清运'" a show '#2' --rows 10
check "show in JSON parses" json show HEAD --rows 5
check "status in JSON parses" json status
check "status ends with one sentence" says "is kept in this office" a status

check "the first night comes back" restores '#1' "$dir/one.db"
check "a trigger that needs what no history holds is named" says "trigger find on memo: search" a restore --at "#1" --to "$dir/r.db" -f
check "and not what only sounds like it" eval '! grep -q "view research" "$dir/said"'
check "the second night comes back" restores '#2' "$dir/two.db"
check "the last night comes back" restores HEAD "$dir/three.db"
check "restore never overwrites" refuses 2 "nothing was changed" a restore --at '#1' --to "$dir/r.db"
check "and the file is as it was" same "$dir/three.db" "$dir/r.db"
check "unless it is told to" a restore --at '#1' --to "$dir/r.db" --force
check "then it is the other night" same "$dir/one.db" "$dir/r.db"
check "the application's own file is never a target" refuses 2 "own database" a restore --at '#1' --to "$dir/office.db" --force
key=$(sha256sum <"$dir/st/keys/sign.key")
check "nor one of our own files" refuses 2 "only this program's own files" a restore --at '#1' --to "$dir/st/keys/sign.key" --force
ln -s "$dir/st" "$dir/other-name"
check "by whatever name" refuses 2 "only this program's own files" a restore --at '#1' --to "$dir/other-name/new.db"
check "the key is as it was" test "$(sha256sum <"$dir/st/keys/sign.key")" = "$key"
echo "a letter" >"$dir/letter"
check "nor anything that is no database" refuses 2 "is no database" a restore --at '#1' --to "$dir/letter" --force
check "the letter is as it was" test "$(cat "$dir/letter")" = "a letter"
check "a folder that is not there is named at once" refuses 1 "nothing was changed" a -n restore --at '#1' --to "$dir/nowhere/x.db"
check "a table that was not there too" refuses 1 "no table nosuch" a -n restore --at '#1' --to "$dir/x.db" --table nosuch
check "a moment that never was is refused" status 1 a restore --at '#99' --to "$dir/none"
check "one table alone" says "table" a restore --at HEAD --to "$dir/visit.db" --table visit
check "holds its rows" test "$(sqlite3 "$dir/visit.db" 'SELECT id FROM visit')" = v1

check "check proves the chain" says "one unbroken, signed chain" a check
check "check --read-data proves the baseline" says "row for row" a check --read-data
check "git sees a clean repository" git -C "$dir/st/repo.git" fsck --strict
check "git reads the log" says "Tributary-Manifest-SHA256" git -C "$dir/st/repo.git" log
check "gzip reads the changeset" unzipped main~3
check "and it is what changeset prints" printed '#2'

sql "DELETE FROM resident WHERE id > 50"
check "a mass loss is braked" refuses 16 "--accept-loss" a commit
check "status says so" says "Held back" a status
check "and looks again each time" refuses 16 "--accept-loss" a commit
check "the history stands where it was" says "#5 " a log --limit 1
check "sync without a city still keeps the day's report" status 12 a sync
check "a person may accept the loss" says "250 removed" a commit --accept-loss
check "status is calm again" says "is kept in this office" a status

at=$(grep -abo '居民7' "$dir/st/baseline" | head -1 | cut -d: -f1)
printf x | dd of="$dir/st/baseline" bs=1 seek="$at" conv=notrunc 2>/dev/null
check "a damaged baseline is found" status 15 a check --read-data
oid=$(git -C "$dir/st/repo.git" rev-parse main:manifest)
blob=$dir/st/repo.git/objects/$(echo "$oid" | cut -c1-2)/$(echo "$oid" | cut -c3-)
chmod u+w "$blob"
# shellcheck disable=SC2059 # the octal digits are the format
printf "\\$(printf %03o $((($(od -An -tu1 -j 10 -N 1 "$blob") + 1) % 256)))" | dd of="$blob" bs=1 seek=10 conv=notrunc 2>/dev/null # another byte, whatever stood there
check "a damaged object is found" status 15 a check

# Lists that are longer than a screen: what is not named is counted.
long=$(printf '%0100d' 0 | tr 0 x)
many() { # many COUNT SQL: each @ in it is a number
	i=0
	while [ $i -lt "$1" ]; do printf '%s\n' "$2" | sed "s/@/$i/g"; i=$((i + 1)); done | sqlite3 "$dir/many.db"
}
m() { "$agent" --state "$dir/many" "$@"; }
shown() { # shown LABEL KEY COUNT WORD: names on the screen and those it counts are together as many as there are
	m status >"$dir/s" && m --json status >"$dir/j" || return 1
	line=$(grep "^$1" "$dir/s")
	named=$(printf '%s\n' "$line" | grep -o "$4" | wc -l)
	more=$(printf '%s\n' "$line" | sed -n 's/.*, and \([0-9]*\) more$/\1/p')
	echo "$named named, ${more:-none} counted of $3"
	[ "$named" -gt 0 ] && [ $((named + more)) -eq "$3" ] && python3 -c 'import json, sys; sys.exit(json.load(open(sys.argv[1]))[sys.argv[2]] != int(sys.argv[3]))' "$dir/j" braked_tables "$2"
}
tables() { many 40 "CREATE VIRTUAL TABLE ${long}_@ USING fts5(x); CREATE TABLE household_@(id INTEGER PRIMARY KEY); WITH n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < 101) INSERT INTO household_@ SELECT k FROM n;"; }
check "an office of many tables" tables
check "is taken under care" m init "$dir/many.db" --node 520303002001 --app community --name 洗马社区
check "status counts the tables left out that it does not name" shown "left out" 0 240 "${long}_"
check "forty are emptied" many 40 "DELETE FROM household_@;"
check "the brake holds" status 16 m commit
check "status counts those, too" shown braked 40 40 "would lose"
echo "1..$n"
