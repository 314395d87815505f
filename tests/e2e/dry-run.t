#!/bin/sh
# -n/--dry-run changes nothing: no byte of either state folder, of the database, or of what stands beside them. And what it says is what then happens.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
LC_ALL=C.UTF-8
export LC_ALL

everything() { # names, modes, times and bytes of all that a command could touch; not what this script writes, who held a lock last, nor what a running hub publishes by the clock
	(cd "$dir" && find . \( -path ./hub/run -o -path ./hub/log -o -name 'serve.*' -o -name out -o -name before -o -name lock -o -name '*-shm' \) -prune -o \
		\( -type d -printf '%p %y %m\n' , -type f -printf '%p %y %m %T@ %s\n' -exec sha256sum {} + \) | sort)
}
still() { # still COMMAND...: it exits 0 and changes nothing
	everything >"$dir/before"
	"$@" || return 1
	everything | diff "$dir/before" -
}

ok "a city" city_init
ok "the hub listens" hub_start
mkdir -p "$dir/first"
sqlite3 "$dir/first/office.db" "CREATE TABLE demand(id TEXT PRIMARY KEY, v); INSERT INTO demand VALUES('a', 1), ('b', 2)"
ok "init" still agent first init -n "$dir/first/office.db" --node $a --app community
ok "(an office)" office $a community 洗马社区
ok "(enrols)" enrol $a community 洗马社区
ok "(and syncs)" agent $a sync
ok "(the hub has nothing left to do)" at_rest
ok "commit, when nothing changed" still agent $a commit -n
ok "sync, when nothing changed" still agent $a sync -n
nothing_waits() { agent $a push -n | grep "no commit waits to be sent: the hub holds them up to #1" && agent $a push -n --json | grep -q '"would_send": 0'; }
ok "push, when nothing waits" nothing_waits
sql $a "UPDATE demand SET title = '换' WHERE id = 'd1'; INSERT INTO demand VALUES('d9','新','reported',9); DELETE FROM points WHERE id = 1; INSERT INTO journal VALUES('同一行'),('另一行')"
ok "commit" still agent $a commit -n
ok "sync" still agent $a sync -n
ok "commit, as one document" still agent $a commit -n --json
agent $a commit -n >"$dir/would" 2>&1
agent $a --json commit -n >"$dir/would.json" 2>&1
agent $a commit >"$dir/did" 2>&1
alike() { same "$(tail -n +2 "$dir/would")" "$(tail -n +2 "$dir/did")" && same "$(sed -n '1s/would make a commit: //p' "$dir/would")" "$(sed -n '1s/commit [0-9a-f]* #[0-9]*: //p' "$dir/did")"; }
ok "its counts for each table are those of the commit that follows" alike
tables() { python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
t = {x["table"]: (x["added"], x["changed"], x["removed"], x["rows"]) for x in d["tables"]}
print(d)
sys.exit(not (d["outcome"] == "changed" and t["demand"] == (1, 1, 0, 3) and t["points"] == (0, 0, 1, 1)))' "$dir/would.json"; }
ok "to a program too" tables
ok "push" still agent $a push -n
would() { agent $a "$@" -n | grep -a "would send the commits after #1 up to #2" && agent $a "$@" -n --json | grep -q '"would_send": 1'; }
ok "what waits is what push would send" would push
ok "and sync, when nothing else changed" would sync
ok "pull" still agent $a pull -n
ok "restore" still agent $a restore -n --at HEAD --to "$dir/$a/then.db"
ok "the hub: node add" still hub node add 520303009009 --app community --name 新 --url "$url" --slip "$dir/new.slip" -n
ok "node revoke" still hub node revoke $a --app community --reason stolen -n
ok "node replace" still hub node replace $a --app community --url "$url" --slip "$dir/new.slip" -n
ok "user add" still hub user add audit1 --role auditor --out "$dir/auditor" -n
ok "bundle create" still hub bundle create "$dir/down.bundle" --node $a --app community -n
ok "the agent: bundle create" still agent $a bundle create "$dir/up.bundle" -n
ok "config set" still agent $a config set private demand.title -n
ok "cert renew" still agent $a cert renew -n
ok "cert rotate" still agent $a cert rotate -n
ok "check" still agent $a check -n
agent $a bundle create "$dir/up.bundle" >/dev/null 2>&1
hub bundle create "$dir/down.bundle" --node $a --app community >/dev/null 2>&1
ok "bundle apply" still agent $a bundle apply "$dir/down.bundle" -n
git -C "$dir/$a/state/repo.git" bundle create -q "$dir/repo.bundle" main
ok "ingest" still hub ingest "$dir/repo.bundle" -n
# What the hub does after each of these is over before the next is watched.
hub node add 520303009009 --app community --name 新 --url "$url" --slip "$dir/new.slip" >/dev/null 2>&1
office 520303009009 community 新 >/dev/null 2>&1
at_rest
ok "enrol" still agent 520303009009 enrol --slip "$dir/new.slip" -n
agent 520303009009 enrol --slip "$dir/new.slip" >/dev/null 2>&1
at_rest
ok "node approve" still hub node approve 520303009009 --app community -n
ok "node reject" still hub node reject 520303009009 --app community -n
ok "restore" still hub restore -n --node $a --app community --at latest --to "$dir/hub-then.db"
hub_stop
ok "rebuild" still hub rebuild -n

# A run by a timer is known from its calls alone.
no_timer() { agent $a status | grep -q '^next run .*no timer' && agent $a --json status | grep -q '"next_run": null'; }
ok "status says that no timer calls" no_timer
agent $a sync --if-due >/dev/null 2>&1
timer() { ! agent $a status | grep -q 'no timer' && agent $a --json status | grep -q '"next_run": "'; }
ok "once it was called, when the next run is" timer

# The verdict of a dry run is what init and its first commit then do: each kind of table, and rows that take another way than their table.
mkdir -p "$dir/kinds"
kinds=$dir/kinds/office.db
make_kinds() {
	sqlite3 -bail "$kinds" "CREATE TABLE number(id INTEGER PRIMARY KEY, v);
CREATE TABLE word(code TEXT PRIMARY KEY, v);
CREATE TABLE pair(a, v, b, PRIMARY KEY(b, a));
CREATE TABLE bare(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE loose(a, b);
CREATE TABLE reckoned(id INTEGER PRIMARY KEY, a, twice AS (a * 2), more AS (a + 1) STORED);
CREATE TABLE falling(id INTEGER PRIMARY KEY DESC, v);
CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT, v);
CREATE TABLE secret(id INTEGER PRIMARY KEY, name, phone);
CREATE TABLE diary(day TEXT PRIMARY KEY, v);
CREATE VIRTUAL TABLE search USING fts5(body);
CREATE INDEX by_v ON word(v);
INSERT INTO number VALUES(1, 'a'), (7, zeroblob(67108864));
INSERT INTO word VALUES('a', 1), (NULL, 1), (NULL, 1), (NULL, 2);
INSERT INTO pair VALUES(1, 0, 1), (NULL, 0, 1), (2, 0, NULL);
INSERT INTO bare VALUES('a', 1), ('long', replace(hex(zeroblob(11500000)), '0', '汉'));
INSERT INTO loose VALUES(NULL, NULL), (NULL, NULL), (zeroblob(34000000), zeroblob(34000000));
INSERT INTO reckoned(id, a) VALUES(1, 2);
INSERT INTO falling VALUES(NULL, 1);
INSERT INTO counted(id, v) VALUES(41, 'x');
INSERT INTO secret VALUES(1, 'n', 'p');
INSERT INTO diary VALUES('d', 'v');
INSERT INTO search VALUES('b');
ANALYZE" && printf 'CREATE TABLE "no\377text"(id INTEGER PRIMARY KEY); INSERT INTO "no\377text" VALUES(1);' | sqlite3 -bail "$kinds"
}
ok "(a database with every kind of table)" make_kinds
private="--private secret.phone --private diary"
# shellcheck disable=SC2086 # several words
would() { agent kinds init -n "$kinds" --node $a --app community $private "$@"; }
ok "init of every kind of table" still would
would --json >"$dir/verdict.json"
would >"$dir/verdict.txt"
line() { # line TABLE TEXT: what is said of a table
	grep -a "^  $1  *" "$dir/verdict.txt"
	same "$(grep -a "^  $1  *" "$dir/verdict.txt" | sed "s/^  $1  *//")" "$2"
}
ok "an integer key" line number "captured: rows by the integer key id"
ok "a key of one column" line word "captured: rows by PRIMARY KEY (code)"
ok "of two, in the key's order" line pair "captured: rows by PRIMARY KEY (b, a)"
ok "WITHOUT ROWID" line bare "captured: rows by PRIMARY KEY (k), WITHOUT ROWID"
ok "no key" line loose "captured as a bag: rows without a key, so a changed row is one removed and one added"
ok "generated columns" line reckoned "captured: rows by the integer key id; 2 generated columns are computed, not captured"
ok "a descending key is no rowid" line falling "captured: rows by PRIMARY KEY (id)"
ok "a private column" line secret "captured, kept in this office only: phone; rows by the integer key id"
ok "a private table" line diary "private: kept in this office only; rows by PRIMARY KEY (day)"
ok "a virtual table" line search "left out: a virtual table: what it copies from tables is captured there, its own content is not"
ok "its shadow tables" line search_content "left out: belongs to a virtual table"
ok "sqlite_stat1" line sqlite_stat1 "left out: what ANALYZE counted, and would count again"
ok "sqlite_sequence" line sqlite_sequence "captured: the highest number of each AUTOINCREMENT table goes into the manifest"
ok "rows too large are named" same "$(grep -a 'are left out' "$dir/verdict.txt" | sort)" "    1 rows are left out: larger than 64 MiB: id = 7
    1 rows are left out: larger than 64 MiB: k = 'long'
    1 rows are left out: larger than 64 MiB: rowid = 3"
ok "rows with NULL in the key are counted" same "$(grep -a 'NULL in the key' "$dir/verdict.txt" | sort | cut -d: -f1)" "    1 rows have NULL in the key
    2 rows have NULL in the key
    3 rows have NULL in the key"
# shellcheck disable=SC2086
ok "init" agent kinds init "$kinds" --node $a --app community $private
as_it_came() {
	for half in repo private; do
		git -C "$dir/kinds/state/$half.git" show main:manifest >"$dir/$half.manifest" || return 1
	done
	python3 - "$dir" <<'END'
import json, sys, urllib.parse
d = sys.argv[1]
verdict = json.load(open(d + "/verdict.json"))["tables_verdict"]
tables, bags, left, sequences = {}, {}, {}, {}
for half in "repo", "private":
    for l in open(d + "/%s.manifest" % half, "rb").read().decode().splitlines():
        w = l.split(" ")
        name = lambda s: urllib.parse.unquote_to_bytes(s).decode(errors="replace")
        if w[0] == "table" and name(w[1]).startswith("sqlite_bag_"):
            bags[name(w[1])[11:]] = int(w[5])
        elif w[0] == "table":
            tables.setdefault(name(w[1]), []).append(half)
        elif w[0] == "left-out":
            left.setdefault(name(w[1]), []).append((w[2], int(w[3])))
        elif w[0] == "sequence":
            sequences[name(w[1])] = int(w[2])
print(tables, bags, left, sequences)
said = {v["table"].lower(): v for v in verdict}
assert len(said) == len(verdict)
keys = {"number": ("integer-key", ["id"]), "word": ("primary-key", ["code"]), "pair": ("primary-key", ["b", "a"]), "bare": ("without-rowid", ["k"]), "loose": ("no-key", []),
        "reckoned": ("integer-key", ["id"]), "falling": ("primary-key", ["id"]), "counted": ("integer-key", ["id"]), "secret": ("integer-key", ["id"]), "diary": ("primary-key", ["day"]),
        "no\ufffdtext": ("integer-key", ["id"])}
rows = {}
for name, v in said.items():
    print(v)
    if v["verdict"] == "left-out":
        assert left.pop(name) == [(v["by"], 0)] and name not in tables and name not in bags and v["reason"], name
        continue
    if v["by"] == "sequence":
        assert name == "sqlite_sequence" and sequences == {"counted": 41}, sequences
        continue
    assert (v["by"], v["key"]) == keys.pop(name), v
    assert v["private_columns"] == {"secret": ["phone"], "diary": ["day", "v"]}.get(name, []), v
    assert v["generated_columns"] == (2 if name == "reckoned" else 0)
    halves = {"captured": ["repo", "private"] if name == "secret" else ["repo"], "private": ["private"], "bag": ["repo"]}[v["verdict"]]
    assert tables.pop(name, []) == halves, (name, halves)
    assert bags.pop(name, 0) == (2 if name == "loose" else v["null_key_rows"]), name
    rows[name] = v["null_key_rows"]
    assert [(x["reason"], x["rows"]) for x in v["left_out_rows"]] == left.pop(name, []), name
    assert all(len(x["named"]) == x["rows"] for x in v["left_out_rows"]), name
assert not tables and not bags and not left and not keys, (tables, bags, left, keys)
assert {k: n for k, n in rows.items() if n} == {"word": 3, "pair": 2, "falling": 1}, rows
assert {"search", "search_content", "sqlite_stat1"} <= set(said), said
END
}
ok "each verdict is what the first commit does" as_it_came
commits_told() { # by what init itself says of rows
	agent kinds status --json | python3 -c '
import json, sys
v = {(x["table"], y["reason"], y["rows"]) for x in json.load(open(sys.argv[1]))["tables_verdict"] for y in x.get("left_out_rows", [])}
s = {(x["name"], x["reason"], x["count"]) for x in json.load(sys.stdin)["left_out"] if x["count"]}
print(v, s)
sys.exit(not v or v != s)' "$dir/verdict.json"
}
ok "and what status says afterwards" commits_told
stat_named() { agent kinds status --json | grep -A1 '"sqlite_stat1"' | grep statistics; }
ok "status names what SQLite keeps for itself" stat_named

# The office's model, made and taken under care: nothing of it is there yet, and all of it is said.
mkdir -p "$dir/new"
new() { agent new init "$dir/new/office.db" --node $a --app community --schema community --private resident.id_number "$@"; }
ok "init of a database that is to be made" still new -n
new -n --json >"$dir/would.json"
new -n >"$dir/would"
ok "it says that it would make it" grep -q "would make the database $dir/new/office.db" "$dir/would"
makes() { new --json >"$dir/did.json"; }
ok "(init makes it)" makes
made() {
	python3 - "$dir" "$(sqlite3 "$dir/new/office.db" "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\\'")" \
		"$(stat -c %s "$dir/new/office.db")" <<'END'
import json, sys
d = sys.argv[1]
would, did = (json.load(open(d + "/" + n)) for n in ("would.json", "did.json"))
w = would["tables_verdict"]
assert would["makes_database"] is True and would["database_bytes"] == int(sys.argv[3]), would
assert len([v for v in w if not v["table"].startswith("sqlite_")]) == int(sys.argv[2]) > 50, len(w)
for v in w:
    assert v.pop("null_key_rows", 0) == 0 and v.pop("left_out_rows", []) == [], v
assert w == did["tables_verdict"]
assert all(v["verdict"] == "captured" and v["by"] for v in w), w
assert would["restorable"] is True and would["enough"] is True and 0 < would["history_bytes"] < would["database_bytes"], would
END
}
ok "the verdicts, sizes and names are those of the database that init makes" made
finish
