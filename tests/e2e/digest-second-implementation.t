#!/bin/sh
# The state digest by a second implementation (tests/lib/digest.py, from docs/FORMAT.md F7 alone): it agrees with the known
# answers that tests/unit/test_digest.c holds the first one to, and reads SQLite files to the same answers.
cd "$(dirname "$0")/../.." || exit 1
py=${PYTHON:-python3}
vectors=tests/data/digest-vectors.txt
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
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
answer() { # answer CASE WORD: the last answer of that word in a case
	awk -v c="$1" -v w="$2" '$1 == "case" { on = $2 == c } on && $1 == w { a = $2 } END { print a }' "$vectors"
}
salt() { awk -v c="$1" '$1 == "case" && $2 == c { print $3 }' "$vectors"; }
digest() { # digest FILE CASE APP: of an SQLite file, under the case's salt
	"$py" tests/lib/digest.py database "$1" "$(salt "$2")" "$3"
}
same() { # same FILE CASE APP TABLE: table and overall digest of the file are the case's
	digest "$1" "$2" "$3" >"$dir/got" || return 1
	printf '%s %s %s\ndigest %s\n' "$4" "$(answer "$2" rows)" "$(answer "$2" digest)" "$(answer "$2" overall)" >"$dir/want"
	diff "$dir/want" "$dir/got"
}
says() { # says TEXT COMMAND...: the command fails and says so
	text=$1
	shift
	if "$@" >"$dir/said" 2>&1; then return 1; fi
	grep -q "$text" "$dir/said"
}
differ() { ! cmp -s "$1" "$2"; }

check 'the known answers are right' "$py" tests/lib/digest.py vectors "$vectors"
sed 's/^rows 20$/rows 21/' "$vectors" >"$dir/wrong.txt"
check 'a wrong answer is noticed' says '1 wrong' "$py" tests/lib/digest.py vectors "$dir/wrong.txt"
grep '^#' "$vectors" >"$dir/none.txt"
check 'no answers at all is a failure' says '0 answers' "$py" tests/lib/digest.py vectors "$dir/none.txt"

composite="CREATE TABLE Resident(Name TEXT, STREET TEXT, no INTEGER, full TEXT GENERATED ALWAYS AS (street || no), note, PRIMARY KEY(no, street));
	INSERT INTO Resident VALUES('Wang', 'A', 1, NULL), ('Li', 'B', 1, 'moved'), (NULL, 'A', 2, x'0102');"
for encoding in UTF-8 UTF-16le UTF-16be; do
	sqlite3 "$dir/$encoding.db" "PRAGMA encoding='$encoding'; $composite"
	check "a keyed table of a $encoding file: names folded, key in key order, generated column left out" \
		same "$dir/$encoding.db" composite-key-in-key-order office resident
done
sqlite3 "$dir/rowid.db" "PRAGMA page_size=512; CREATE TABLE resident(Name TEXT, STREET TEXT, no INTEGER, note, PRIMARY KEY(no, street)) WITHOUT ROWID;
	INSERT INTO resident VALUES('x', 'C', 9, 9), (NULL, 'A', 2, x'0102'), ('Li', 'B', 1, 'moved'), ('Wang', 'A', 1, NULL);
	DELETE FROM resident WHERE no = 9; VACUUM;"
check 'storage and history do not count, only the rows' same "$dir/rowid.db" composite-key-in-key-order office resident

sqlite3 "$dir/bag.db" "CREATE TABLE log(a, b);
	INSERT INTO log VALUES(NULL, NULL), (1, 'x'), (NULL, NULL), (NULL, NULL);
	WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) INSERT INTO log SELECT 1.0, 'x' FROM n;"
check 'rows without identity form a bag' same "$dir/bag.db" bag office sqlite_bag_log
sqlite3 "$dir/nullkey.db" "CREATE TABLE log(a, b, PRIMARY KEY(a, b)); INSERT INTO log VALUES(NULL, NULL), (NULL, NULL), (2, 'y'), (2, NULL);"
digest "$dir/nullkey.db" bag office >"$dir/nullkey"
check 'rows with NULL in the key go into the bag, the others do not' \
	test "$(cut -d' ' -f1,2 "$dir/nullkey" | head -n 2 | tr '\n' ' ')" = 'log 1 sqlite_bag_log 3 '

sqlite3 "$dir/one.db" "CREATE TABLE v(id INTEGER PRIMARY KEY, a); INSERT INTO v VALUES(1, '1');"
sqlite3 "$dir/two.db" "CREATE TABLE v(id INTEGER PRIMARY KEY, a); INSERT INTO v VALUES(1, 1);"
digest "$dir/one.db" bag office >"$dir/one"
digest "$dir/two.db" bag office >"$dir/two"
digest "$dir/one.db" one-cell office >"$dir/salted"
check 'the storage class counts' differ "$dir/one" "$dir/two"
check 'the salt counts' differ "$dir/one" "$dir/salted"
echo "1..$n"
