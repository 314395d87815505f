#!/bin/sh
# Difficult sources: each ends with its exit status and a clear sentence, nothing is left behind, the application's files stay byte for byte
# (D4.1), and the next run works.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
st=$dir/$a/state
db=$dir/$a/office.db
holder=
LC_ALL=C.UTF-8
export LC_ALL
trap '[ -z "$holder" ] || kill -KILL "$holder" 2>/dev/null; cleanup' EXIT

# The state folder as one text; what a run notes about itself does not count.
state_is() { (cd "$st" && find . -type f ! -name last-capture ! -name last-failure ! -name lock -exec sha256sum {} + | sort -k 2); }
# The database and what stands beside it; of -shm only that it is there (its read marks are the readers').
beside() { (cd "$dir/$a" && for f in office.db*; do case $f in *-shm) echo "$f" ;; *) sha256sum "$f" ;; esac; done); }
fresh() {
	rm -rf "${dir:?}/$a"
	office $a desk 洗马社区 &&
		sql $a "CREATE TABLE big(id INTEGER PRIMARY KEY, v BLOB); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 2000) INSERT INTO big SELECT i, randomblob(300) FROM c" &&
		agent $a commit
}
commit_says() { # commit_says STATUS TEXT: and nothing moves
	state_is >"$dir/state.before"
	beside >"$dir/beside.before"
	agent $a commit >"$dir/said" 2>&1
	got=$?
	cat "$dir/said"
	same "$got" "$1" && grep -q -e "$2" "$dir/said" && state_is | diff "$dir/state.before" - && beside | diff "$dir/beside.before" - && not_left
}
not_left() { # no temporary file in the state folder
	for left in "$st"/*.tmp "$st"/pending* "$st"/*-journal; do
		[ ! -e "$left" ] || { echo "left behind: $left"; return 1; }
	done
}
goes_on() { # the next run works: exactly one new row
	sql $a "INSERT INTO demand VALUES('$1', '停水', 'reported', 1)" && agent $a commit >"$dir/said" 2>&1 && grep -q ": 1 added, 0 changed, 0 removed" "$dir/said" &&
		agent $a check --read-data || { cat "$dir/said"; return 1; }
}
# A program that holds the database: hold SQL; it is ready when the SQL has run.
hold() {
	rm -f "$dir/fifo" "$dir/held"
	mkfifo "$dir/fifo"
	command sqlite3 "$db" <"$dir/fifo" >"$dir/held" 2>&1 &
	holder=$!
	exec 8>"$dir/fifo"
	printf '%s\nSELECT %s;\n' "$1" "'ready'" >&8
	tries=0
	until grep -q ready "$dir/held"; do
		tries=$((tries + 1))
		[ $tries -lt 600 ] || { cat "$dir/held"; return 1; }
		sleep 0.05
	done
}
murder() {
	kill -KILL "$holder"
	wait "$holder" 2>/dev/null
	holder=
	exec 8>&-
}

# ---- no database ----
printf 'this is a letter, not a database; it is long enough to have a header of one hundred bytes, and a little more than that\n' >"$dir/letter"
no_init() { mkdir -p "$dir/$a"; agent $a init "$dir/$1" --node $a; }
refuses 17 "not a SQLite database" "init refuses a letter" no_init letter
nothing_made() { [ ! -e "$st" ]; }
ok "and makes no state folder" nothing_made
ok "an office" fresh
cp "$db" "$dir/kept.db"
cp "$dir/letter" "$db"
ok "the database became a letter: 17" commit_says 17 "not a SQLite database"
head -c 65536 /dev/urandom >"$db"
ok "or noise: 17" commit_says 17 "not a SQLite database"
size=$(stat -c %s "$dir/kept.db")
head -c $((size / 2 / 4096 * 4096)) "$dir/kept.db" >"$db"
ok "cut between pages: 17" commit_says 17 "damaged or cut short (database disk image is malformed); nothing was changed"
head -c $((size - 1000)) "$dir/kept.db" >"$db"
ok "cut inside a page: 17" commit_says 17 "cut short\|damaged"
head -c 60 "$dir/kept.db" >"$db"
ok "cut in its header: 17" commit_says 17 "shorter than\|cut short\|damaged\|not a SQLite"
: >"$db"
ok "empty is a database without tables: the brake" commit_says 16 "braked: table big would lose 2000 rows"
rm "$db"
ok "removed: 1, and it says so" commit_says 1 "is not there: .*nothing was changed; put it back"
told() { agent $a --lang "$1" status | grep "$2"; }
ok "status names the try that failed" told en "^last failure .*\\[not-found\\] database .* is not there"
chinese() { agent $a --lang zh_CN commit 2>&1 | grep "找不到数据库 .*没有改动任何东西；请放回原处后再试"; }
failed_state() { agent $a status --json >"$dir/said"; same $? 3 && grep '"state": "failed"' "$dir/said"; }
ok "and is not content" failed_state
ok "a clerk reads it in Chinese" chinese
code() { agent $a --json commit 2>&1 | grep -q '"not-found"'; }
ok "its code is not-found" code
mkdir "$db"
dir_says() { agent $a commit >"$dir/said" 2>&1; got=$?; cat "$dir/said"; same $got 17 && rmdir "$db"; }
ok "a folder in its place: 17" dir_says
cp "$dir/kept.db" "$db"
ok "when it is back, the next run works" goes_on back
no_more() { ! told en "^last failure"; }
ok "and the failure is no longer shown" no_more
# Damage inside: a page that is no page of a table.
cp "$db" "$dir/kept.db"
printf 'XXXXXXXXXXXXXXXX' | dd of="$db" bs=1 seek=$((20 * 4096)) conv=notrunc 2>/dev/null
damaged() { agent $a commit >"$dir/said" 2>&1; got=$?; cat "$dir/said"; [ $got -ne 0 ] && [ $got -lt 100 ] && not_left && grep -q "damaged\|malformed" "$dir/said"; }
ok "a damaged page is an error, never a commit" damaged
cp "$dir/kept.db" "$db"
ok "and the next run works" goes_on mended

# Another file under the same name: by a link that the application turns.
linked() {
	rm -rf "${dir:?}/$a" && mkdir -p "$dir/$a" && cp "$dir/kept.db" "$dir/$a/v1.db" && ln -s v1.db "$db" && (cd "$dir/$a" && "$bin/tributary-agent" --state "$st" init office.db --node $a) &&
		cp "$dir/$a/v1.db" "$dir/$a/v2.db" && sqlite3 "$dir/$a/v2.db" "INSERT INTO demand VALUES('v2', '停水', 'reported', 1)" && ln -sf v2.db "$db"
}
ok "an office's database is a symbolic link, and points to a new file" linked
follows() { agent $a commit >"$dir/said" 2>&1; cat "$dir/said"; grep -q ": 1 added, 0 changed, 0 removed" "$dir/said"; }
ok "the new file is what is captured" follows
ok "and goes on being" goes_on link
ok "an office with a plain file again" fresh

# ---- held by others ----
ok "a program takes the database for itself" hold "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;"
ok "EXCLUSIVE: 11" commit_says 11 "a program holds it locked"
murder
ok "when it is gone, the next run works" goes_on unlocked
ok "a program writes much in one transaction" hold "PRAGMA cache_size = 5; BEGIN; UPDATE big SET v = randomblob(310);"
murder
journal() { [ "$(stat -c %s "$db-journal")" -gt 4096 ]; }
ok "it is killed in the middle: its journal is hot" journal
ok "a hot journal: 11, and it stays for the program" commit_says 11 "open and close the program once"
refuses 11 "open and close the program once" "sync says the same" agent $a sync
sqlite3 "$db" "SELECT count(*) FROM big" >/dev/null
ok "the program was opened and closed: the next run works" goes_on rolled-back

# ---- WAL ----
ok "an office in WAL mode" fresh
sql $a "PRAGMA journal_mode = WAL" >/dev/null
ok "closed properly there is only the file, and reading it adds none" commit_says 0 "nothing changed"
ok "a program writes into the WAL" hold "INSERT INTO demand VALUES('w1', '路灯', 'reported', 1);"
murder
left_wal() { [ -s "$db-wal" ] && [ -e "$db-shm" ]; }
ok "it is killed and leaves its -wal" left_wal
wal_is_read() {
	beside >"$dir/beside.before"
	agent $a commit >"$dir/said" 2>&1 && grep -q ": 1 added, 0 changed, 0 removed" "$dir/said" && beside | diff "$dir/beside.before" - || { cat "$dir/said"; return 1; }
}
ok "what is in it is captured, and it stays as it was" wal_is_read
rm "$db-shm"
ok "a -wal without -shm: 11 rather than make one" commit_says 11 "open and close the program once"
ok "after the program ran, the next run works" goes_on wal

# ---- who may not write there ----
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null 2>&1; then
	as() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
else
	as() { "$@"; }
fi
their() { as "$bin/tributary-agent" --state "$dir/theirs/state" "$@"; }
if as test -x "$bin/tributary-agent"; then
	chmod 755 "$dir"
	read_only() { # read_only MODE: a database in a folder that the agent's user may read only
		chmod -R u+w "$dir/ro" 2>/dev/null
		rm -rf "$dir/ro" "$dir/theirs"
		mkdir "$dir/ro" "$dir/theirs" && chmod 777 "$dir/theirs" && sqlite3 "$dir/ro/office.db" "PRAGMA journal_mode = $1; CREATE TABLE t(a PRIMARY KEY); INSERT INTO t VALUES(1)" &&
			chmod 444 "$dir/ro/office.db" && chmod 555 "$dir/ro" && their init "$dir/ro/office.db" --node $a && their commit | grep -q "nothing changed" &&
			same "$(ls "$dir/ro")" office.db
	}
	ok "a database in a read-only folder is captured" read_only DELETE
	ok "in WAL mode too" read_only WAL
	wal_of_another() {
		chmod 755 "$dir/ro" && chmod 644 "$dir/ro/office.db" && db=$dir/ro/office.db && hold "INSERT INTO t VALUES(2);" && murder && chmod 644 "$dir/ro/office.db-shm" "$dir/ro/office.db-wal" || return 9
		if [ "$(id -u)" != 0 ]; then chmod 444 "$dir"/ro/*; fi
		chmod 555 "$dir/ro"
		(cd "$dir/ro" && sha256sum ./*) >"$dir/before"
		their commit >"$dir/said" 2>&1 && grep -q ": 1 added, 0 changed, 0 removed" "$dir/said" && (cd "$dir/ro" && sha256sum ./*) | diff "$dir/before" - || { cat "$dir/said"; return 1; }
	}
	ok "a -wal whose -shm belongs to another is read, and not one byte of it changes" wal_of_another
	db=$dir/$a/office.db
	chmod -R u+w "$dir/ro"
else
	n=$((n + 1))
	echo "ok $n - a database in a read-only folder # SKIP the programs cannot be run by another user here"
fi

# ---- UTF-16 ----
for enc in UTF-16le UTF-16be; do
	wide() {
		rm -rf "${dir:?}/$a" && mkdir -p "$dir/$a" &&
			sqlite3 "$db" "PRAGMA encoding = '$enc'; CREATE TABLE t(k TEXT PRIMARY KEY, v TEXT); INSERT INTO t VALUES('洗马社区', '😀 é'), ('', NULL); CREATE TABLE l(a); INSERT INTO l VALUES('洗'), ('洗');" &&
			agent $a init "$db" --node $a && sql $a "UPDATE t SET v = v || '改'; INSERT INTO l VALUES('洗')" && agent $a commit >"$dir/said" || return 1
		grep -q ": 0 added, 2 changed, 0 removed" "$dir/said" || { cat "$dir/said"; return 1; }
		rm -f "$dir/r.db"
		agent $a restore --at HEAD --to "$dir/r.db" && same "$(sqlite3 "$dir/r.db" 'PRAGMA encoding')" $enc && sqlite3 "$db" .dump | sort >"$dir/x" && sqlite3 "$dir/r.db" .dump | sort | diff "$dir/x" -
	}
	ok "a file in $enc comes back whole" wide
done

# ---- while a program writes ----
accounts() { # accounts MODE
	rm -rf "${dir:?}/$a"
	mkdir -p "$dir/$a"
	sqlite3 "$db" "PRAGMA journal_mode = $1; CREATE TABLE account(id INTEGER PRIMARY KEY, saldo INTEGER NOT NULL); CREATE TABLE transfer(id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, n INTEGER);
		WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < 199) INSERT INTO account SELECT i, 0 FROM c" >/dev/null
	agent $a init "$db" --node $a >/dev/null 2>&1
}
transfers() { # transfers REST: without an end: one transfer a transaction, some milliseconds of reading between two, REST after each 40 ("": never)
	echo ".timeout 20000"
	awk -v rest="$1" 'BEGIN { srand(7); for (;;) { a = int(rand() * 200); b = int(rand() * 200); n = int(rand() * 1000);
		printf "BEGIN; UPDATE account SET saldo = saldo - %d WHERE id = %d; INSERT INTO transfer(a, b, n) VALUES(%d, %d, %d); UPDATE account SET saldo = saldo + %d WHERE id = %d; COMMIT; WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 40000) SELECT max(i) FROM c WHERE i < 0;\n", n, a, a, b, n, n, b
		if (rest && ++k % 40 == 0) print ".shell sleep " rest } }'
}
hammered() {
	accounts "$1" || return 1
	rm -f "$dir/fifo"
	mkfifo "$dir/fifo"
	command sqlite3 "$db" <"$dir/fifo" >"$dir/writer" 2>&1 &
	holder=$!
	transfers "$2" >"$dir/fifo" 2>/dev/null &
	source=$!
	made=0
	i=0
	while [ $i -lt 12 ]; do
		i=$((i + 1))
		[ -z "$2" ] || sleep 0.2 # past the rest of the run before
		agent $a commit >"$dir/said" 2>&1 || { cat "$dir/said"; break; }
		grep -q "^commit" "$dir/said" && made=$((made + 1))
	done
	kill -KILL $holder
	wait $holder 2>/dev/null
	holder=
	kill $source 2>/dev/null
	wait $source 2>/dev/null
	[ $i -eq 12 ] && ! grep -q . "$dir/writer" || { echo "run $i; the program met:"; cat "$dir/writer"; return 1; }
	[ $made -ge 4 ] || { echo "only $made of 12 runs saw a change: nothing was hammered"; return 1; }
	echo "$made commits"
}
consistent() { # every captured state: no transfer by half
	last=$(agent $a log --limit 1 | sed 's/^[0-9a-f]* #\([0-9]*\).*/\1/')
	k=0
	while [ $k -lt "$last" ]; do
		k=$((k + 1))
		rm -f "$dir/r.db"
		agent $a restore -q --at "#$k" --to "$dir/r.db" >/dev/null || return 1
		same "$(sqlite3 "$dir/r.db" "SELECT count(*), sum(saldo), (SELECT count(*) FROM account x WHERE saldo <> (SELECT total(n) FROM transfer WHERE b = x.id) - (SELECT total(n) FROM transfer WHERE a = x.id)) FROM account")" "200|0|0" ||
			return 1
	done
}
for mode in DELETE WAL; do
	rest=
	[ $mode = WAL ] || rest=0.15 # in rollback mode a capture waits for one (tests/e2e/busy-program.t has a program without)
	ok "12 captures beside a program that goes on writing ($mode): neither fails" hammered $mode "$rest"
	ok "each of them is one moment ($mode)" consistent
done
finish
