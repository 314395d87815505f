#!/bin/sh
# Private values, searched for everywhere (D4.8, I7): on the wire inside of TLS, in everything the hub keeps and prints, in every file of the office that is not for them, in bundles,
# with all packing undone (tests/lib/seek.py). What is public carries the same word, so a search that sees nothing fails. Renames and copies by the application too.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
word=GEHEIM
py=$(command -v "${PYTHON:-python3}")
tap=

seek() { "$py" "$top/tests/lib/seek.py" $word "$@" | tr '\n' ' '; }
tap_start() { # between A and the hub
	rm -f "$dir/tap-port"
	cat "$dir/hub/keys/hub-tls.crt" "$dir/hub/ca/issuing.crt" "$dir/hub/ca/root.crt" >"$dir/chain.crt"
	"$py" "$top/tests/lib/tap.py" "$dir/tap-port" "$port" "$dir/chain.crt" "$dir/hub/keys/hub-tls.key" "$dir/hub/ca/root.crt" "$dir/$a/state/keys/tls.crt" \
		"$dir/$a/state/keys/tls.key" "$dir/wire" 2>"$dir/tap.log" &
	tap=$!
	tries=0
	while [ ! -s "$dir/tap-port" ]; do
		tries=$((tries + 1))
		[ $tries -lt 600 ] || return 1
		sleep 0.1
	done
	# shellcheck disable=SC2034 # enrol puts it on the slip
	url=https://127.0.0.1:$(cat "$dir/tap-port")
}
stop_all() {
	[ -n "$tap" ] && kill "$tap" 2>/dev/null
	cleanup
}
trap stop_all EXIT
said() { "$@" >>"$dir/said" 2>&1; }
# The databases of the hub as text too: a value may lie across pages.
hub_texts() {
	mkdir -p "$dir/dumps"
	for db in "$dir"/hub/*.db "$dir"/hub/city/*.db; do
		sqlite3 -readonly "$db" .dump >"$dir/dumps/$(basename "$db").sql" || return 1
	done
}
# Wire, hub, what both printed, and what may travel: only these are there.
outside() { # outside EXPECTED
	hub_texts || return 1
	same "$(seek "$dir"/wire.*)" "$1" && same "$(seek "$dir/hub" "$dir/dumps")" "$1" && same "$(seek "$dir/$a/state/repo.git")" "$1" &&
		same "$(seek "$dir/said" "$dir/out" "$dir"/serve.* "$dir/tap.log" "$dir/init.out")" ""
}
# Files of the office with a private value in them: these only, and for nobody else.
inside() {
	(cd "$dir/$a/state" && find . -type f ! -path './private.git/*' ! -path './repo.git/*') | while read -r f; do
		[ -z "$("$py" "$top/tests/lib/seek.py" $word "$dir/$a/state/$f" | grep -v open)" ] || echo "$f $(stat -c %a "$dir/$a/state/$f")"
	done
}
restored() {
	rm -f "$dir/r.db"
	said agent $a restore --at HEAD --to "$dir/r.db" && sqlite3 "$dir/$a/office.db" .dump | sort >"$dir/x" && sqlite3 "$dir/r.db" .dump | sort | cmp "$dir/x" -
}

# The search itself: every way to hide a word that it must see through.
seen() { same "$(seek "$dir/hidden")" "$1 "; }
hide() { # hide PYTHON-EXPRESSION of w
	"$py" -c "import sys, zlib, gzip, base64; w = b'$word-abc in a text'; sys.stdout.buffer.write($1)" >"$dir/hidden"
}
i=0
for how in 'w' 'b"xx" + zlib.compress(w * 9) + b"yy"' 'b"x" + zlib.compress(b"delta" + gzip.compress(w))' \
	'b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n" + w[:5] + b"\r\n%x\r\n" % len(w[5:]) + w[5:] + b"\r\n0\r\n\r\n"'; do
	hide "$how"
	i=$((i + 1))
	ok "the search sees it, packed in way $i" seen "$word-abc"
done
spelled() { seek "$dir/hidden" | grep -q spelled; }
for how in 'base64.b64encode(w)' 'base64.b64encode(b"1" + w)' 'base64.b64encode(b"12" + w)' 'w.hex().encode()' 'w.decode().encode("utf-16-le")'; do
	hide "$how"
	i=$((i + 1))
	ok "and in way $i: $how" spelled
done

ok "a city" city_init
ok "the hub listens" hub_start
mkdir -p "$dir/$a"
sqlite3 "$dir/$a/office.db" "
	CREATE TABLE resident(id TEXT PRIMARY KEY, name TEXT, phone TEXT, card TEXT UNIQUE);
	CREATE TABLE visit(id INTEGER PRIMARY KEY, day TEXT, what TEXT);
	CREATE TABLE diary(id INTEGER PRIMARY KEY, body TEXT);
	INSERT INTO resident VALUES('r1','$word-open','$word-p1','$word-i1'),('r2','李**','$word-p2','$word-i2');
	INSERT INTO visit VALUES(1,'2026-11-20','$word-v1');
	INSERT INTO diary VALUES(1,'$word-d1' || hex(zeroblob(9000)) || '$word-d2');"
ok "A captures" said agent $a -v init "$dir/$a/office.db" --node $a --app community --name 洗马社区 --private resident.phone --private resident.card --private visit.what --private diary
ok "somebody listens on the wire" tap_start
enrolled() { said enrol $a community 洗马社区; }
ok "A enrols" enrolled
ok "A syncs" said agent $a -v sync
ok "the city has it" eventually "$word-open" community "SELECT name FROM resident WHERE id = 'r1'"
ok "no private value is outside" outside "$word-open "

# Deltas: both halves of a long row change a little, by pages and by all rows.
sql $a "UPDATE diary SET body = body || '$word-d3'; UPDATE resident SET phone = '$word-p3', name = '$word-open2' WHERE id = 'r2'"
ok "a night" said agent $a sync
sql $a "UPDATE diary SET body = '$word-d4' || body; UPDATE resident SET card = '$word-i4', name = '$word-open3' WHERE id = 'r2'; DELETE FROM visit"
ok "a night by the full engine" said agent $a commit --engine full
ok "A syncs" said agent $a sync
open="$word-open $word-open2 $word-open3 "
ok "no private value is outside" outside "$open"
ok "in the office, only where they must be, and for nobody else" same "$(inside)" "./baseline 600"
modes() { same "$(find "$dir/$a/state" -maxdepth 1 -name private.git -perm /077)$(stat -c %a "$dir/$a/state")" 700; }
ok "nobody else may enter" modes

# The application renames what is private, and copies it.
sql $a "ALTER TABLE resident RENAME COLUMN phone TO telephone; UPDATE resident SET telephone = '$word-p5' WHERE id = 'r1';
	CREATE TABLE diary_old AS SELECT * FROM diary; ALTER TABLE visit RENAME TO visits; INSERT INTO visits VALUES(3,'2026-11-24','$word-v3');"
dry() { agent $a commit --dry-run >"$dir/dry" && cat "$dir/dry" && grep -q "private too: visits.what" "$dir/dry" && ! grep -q visits "$dir/$a/state/private.conf"; }
ok "a dry run says what will be private too, and changes nothing" dry
follows() { said agent $a -v sync && for t in resident.telephone diary_old visits.what; do grep -q "private too: $t," "$dir/said" || { echo "no $t"; return 1; }; done; }
ok "renames and copies stay private, and A is told" follows
ok "no private value is outside" outside "$open"
ok "A restores all" restored
sql $a "ALTER TABLE resident RENAME COLUMN telephone TO tel; UPDATE resident SET tel = '$word-p6' WHERE id = 'r1'; ALTER TABLE resident DROP COLUMN name; ALTER TABLE resident ADD COLUMN called TEXT;
	UPDATE resident SET called = '$word-c6'; ALTER TABLE diary_old RENAME TO older; INSERT INTO visits VALUES(4,'2026-11-24','$word-v4');"
killed() { TRIBUTARY_CRASH_AT=objects-written agent $a commit --engine full >>"$dir/said" 2>&1; [ $? -gt 127 ] || { tail -3 "$dir/said"; return 1; }; }
ok "again by the full engine, killed before the commit point" killed
ok "and once more" said agent $a commit --engine full
ok "A syncs" said agent $a sync
ok "what came with a rename is private until a person says otherwise" outside "$open"
ok "A restores all" restored
public() { said agent $a config set public resident.called && sql $a "UPDATE resident SET called = '$word-open4'" && said agent $a sync; }
ok "a person says otherwise" public
ok "then it is public" eventually "$word-open4" community "SELECT called FROM resident WHERE id = 'r1'"
open="$open$word-open4 "
ok "and nothing else" outside "$open"
ok "A restores all" restored

# What else leaves: bundles, what checks and audits print, also when something is damaged.
bundles() { said agent $a bundle create "$dir/up.bundle" --since "#1" && said hub bundle create "$dir/down.bundle" --node $a --app community; }
ok "bundles both ways" bundles
ok "nothing private is in them" same "$(seek "$dir/up.bundle" "$dir/down.bundle" | tr ' ' '\n' | grep -v open)" ""
ok "the city proves itself" said hub audit
sql $a "UPDATE resident SET tel = '$word-p7'"
f=$dir/$a/state/private-tip
cp "$f" "$dir/tip"
printf 'x' >>"$f"
broken() { ! said agent $a -v sync; }
ok "with a damaged private half nothing is sent" broken
cp "$dir/tip" "$f"
ok "mended, it goes on" said agent $a sync
said agent $a check --read-data
ok "nothing was said aloud" outside "$open"
finish
