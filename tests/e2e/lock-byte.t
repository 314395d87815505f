#!/bin/sh
# A database that grows over the page of the lock byte, at 1 GiB: captured by pages, restored exactly. What fills it is an index of values that no row
# has, so that its history is small; the tables are restored one by one, without it. In memory, where there is room for the file and its baseline.
tmp=/dev/shm
[ -w $tmp ] || tmp=${TMPDIR:-/tmp}
free=$(df -Pm "$tmp" 2>/dev/null | awk 'NR == 2 {print $4}')
memory=$(awk '$1 == "MemAvailable:" {print int($2 / 1024)}' /proc/meminfo)
if [ "${free:-0}" -lt 4096 ] || [ "${memory:-0}" -lt 6144 ]; then
	echo "1..0 # SKIP no room for two files of 1 GiB"
	exit 0
fi
TMPDIR=$tmp
export TMPDIR
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
db=$dir/$a/office.db
lock=$((1073741824 / 65536 + 1)) # no tree has this page
setup() {
	mkdir -p "$dir/$a" && sqlite3 "$db" "PRAGMA page_size=65536; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; CREATE TABLE bulk(id INTEGER PRIMARY KEY, b);
		CREATE INDEX wide ON bulk(zeroblob(63000000));
		CREATE TABLE paper(id INTEGER PRIMARY KEY, body TEXT); CREATE TABLE visit(k TEXT PRIMARY KEY, v) WITHOUT ROWID; CREATE TABLE bag(a, b);
		INSERT INTO paper VALUES(1, 'before'), (2, 'before'); INSERT INTO bag VALUES(1, 2.0), (1, 2.0), (NULL, x'00');
		WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 17) INSERT INTO bulk SELECT i, i FROM c" &&
		agent $a init "$db" --node $a --app desk --name x
}
pages() {
	p=$(sqlite3 "$db" "PRAGMA page_count")
	echo "$p pages, the lock byte is on $lock"
}
before() { pages && [ "$p" -gt 16000 ] && [ "$p" -lt $lock ]; }
behind() { pages && [ "$p" -gt $lock ]; }
night() { # night SQL: captured by pages alone
	sqlite3 "$db" "PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY; $1" && agent $a commit >"$dir/said" 2>&1 &&
		agent $a status --json >"$dir/status" && grep -q '"engine": "page"' "$dir/status" || { cat "$dir/said" "$dir/status"; return 1; }
}
says() { grep -q "$1" "$dir/said" || { cat "$dir/said"; return 1; }; }
rows() { sqlite3 "$1" ".mode quote" "SELECT * FROM $2 ORDER BY 1, 2" >"$3"; }
whole() {
	for table in paper visit bag; do
		agent $a restore --at HEAD --table $table --to "$dir/$table.db" && rows "$db" $table "$dir/x" && rows "$dir/$table.db" $table "$dir/y" &&
			[ "$(wc -l <"$dir/x")" -gt 40 ] && cmp "$dir/x" "$dir/y" || return 1
	done
}
ok "an office with a file of nearly 1 GiB" setup
ok "which ends before the lock byte" before
ok "a night goes on behind it" night "WITH RECURSIVE c(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM c WHERE i < 109) INSERT INTO paper SELECT i, hex(zeroblob(30000)) || i FROM c;
	INSERT INTO visit SELECT 'k' || id, body FROM paper WHERE id > 60; INSERT INTO bag SELECT id, NULL FROM paper; UPDATE paper SET body = 'after' WHERE id = 1"
ok "each row is found" says "251 added, 1 changed, 0 removed"
ok "on both sides of it" behind
ok "a night among the rows behind it" night "UPDATE paper SET body = body || '.' WHERE id % 20 = 5; UPDATE visit SET v = NULL WHERE k = 'k109'; DELETE FROM paper WHERE id = 107"
ok "each row is found" says "0 added, 6 changed, 1 removed"
ok "what is restored is exactly this" whole
finish
