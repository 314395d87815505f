#!/bin/sh
# An office with private values whose disk is lost: the city gives back what it has, the encrypted copy the rest, by the manual's own lines; and the new computer goes on
# without a private value leaving it.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
word=GEHEIM

plant() {
	mkdir -p "$dir/$a"
	sqlite3 "$dir/$a/office.db" "
		CREATE TABLE resident(id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, phone TEXT NOT NULL DEFAULT '-', weight REAL, card BLOB);
		CREATE TABLE diary(id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT);
		CREATE TABLE notes(line, at INTEGER);
		CREATE TABLE demand(id TEXT PRIMARY KEY, title TEXT NOT NULL, n);
		INSERT INTO resident VALUES('r1','张**','$word-p1',61.0,x'00ff'),('r2','李**','$word-p2',NULL,CAST('$word-b2' AS BLOB));
		INSERT INTO diary(body) VALUES('$word-d1' || hex(zeroblob(20000))), (NULL);
		INSERT INTO notes VALUES('$word-n1', 1), ('$word-n1', 1), (7, 2), (7.0, 2), (x'37', NULL);
		INSERT INTO demand VALUES('d1','路灯不亮',1), ('d2','屋顶漏水',2.5);"
}
init_a() { agent $a init "$dir/$a/office.db" --node $a --app community --name 洗马社区 --private resident.phone --private resident.card --private diary --private notes; }
keep() { cp "$dir/$a/office.db" "$dir/night$1.db"; }
exact() { "$bin/tests/tool/exactdump" "$1" >"$2"; }
alike() { exact "$1" "$dir/x" && exact "$2" "$dir/y" && [ -s "$dir/x" ] && diff "$dir/x" "$dir/y"; }

ok "a city" city_init
ok "the hub listens" hub_start
plant
ok "an office with private columns and tables" init_a
ok "enrols" enrol $a community 洗马社区
ok "and syncs" agent $a sync
keep 1
sql $a "UPDATE resident SET phone = '$word-p3' WHERE id = 'r1'; INSERT INTO diary(body) VALUES('$word-d2'); UPDATE demand SET n = 9 WHERE id = 'd1'"
ok "a night with both halves" agent $a sync
keep 2
sql $a "UPDATE diary SET body = '$word-d3' || hex(randomblob(30000)) WHERE id = 1; DELETE FROM notes WHERE at = 1"
ok "a night of private values alone" agent $a sync
keep 3
sql $a "INSERT INTO resident VALUES('r3','王**','$word-p4',70.25,zeroblob(5000)); DELETE FROM resident WHERE id = 'r2'; INSERT INTO notes VALUES(NULL, NULL); INSERT INTO demand VALUES('d3','停水',x'00')"
ok "and one more with both" agent $a sync
keep 4
ok "all of it is in the city" eventually 3 community "SELECT count(*) FROM demand"

# Who may open the copy: any certificate.
certificate() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=keeper -keyout "$dir/keeper.key" -out "$dir/keeper.crt"; }
ok "a keeper has a certificate" certificate
ok "the encrypted copy" agent $a bundle create "$dir/private.enc" --private --to "$dir/keeper.crt"
sealed() { [ -s "$dir/private.enc" ] && ! grep -a "$word" "$dir/private.enc"; }
ok "shows nothing" sealed
rm -rf "${dir:?}/$a"

# docs/OPERATIONS.md, "An office's disk is lost" and "A copy of the private half".
ok "the disk is lost; the city restores what it has" hub restore --node $a --app community --at latest --to "$dir/from-city.db"
mkdir "$dir/$a" && cp "$dir/from-city.db" "$dir/$a/office.db"
ok "a new folder takes it under care" agent $a init "$dir/$a/office.db" --node $a --app community --name 洗马社区
ok "a replacement slip" hub node replace $a --app community --url "$url" --slip "$dir/slip" --approve
ok "the new folder follows the city's history" agent $a enrol --slip "$dir/slip"
ok "and syncs" agent $a sync
ok "the copy is opened with stock openssl" openssl cms -decrypt -binary -inform DER -in "$dir/private.enc" -inkey "$dir/keeper.key" -out "$dir/private.bundle"
refuses 2 "whose last commit is #3" "at this machine's own commits the copy says nothing" agent $a restore --at latest --to "$dir/new.db" --private "$dir/private.bundle"
joined() { rm -f "$dir/new.db" && agent $a restore --at "$1" --to "$dir/new.db" --private "$dir/private.bundle" && alike "$dir/night$2.db" "$dir/new.db"; }
ok "both halves are joined: every value of the last night is what it was" joined '#3' 4
ok "and of the second" joined '#2' 3
ok "and of the first" joined '#1' 1
ok "the program has its database again" cp "$dir/new.db" "$dir/$a/office.db"
ok "A syncs" agent $a sync
refuses_sync() { agent $b sync; [ $? -eq 16 ]; }
# Every object that it has for the city, and all that the city has.
outside() {
	python3 "$top/tests/lib/objects.py" "$dir/$a/state/repo.git" "$dir/hub/repos/$a/community.git" "$dir/hub/city.git" || return 1
	cat "$dir"/hub/*.db "$dir"/hub/city/*.db
}
no_secret() { outside >"$dir/outside" && ! grep -a "$word" "$dir/outside"; }
public_is() { grep -aq 停水 "$dir/outside"; }
ok "no private value has left it" no_secret
ok "where public ones are seen" public_is
whole() { rm -f "$dir/r.db" && agent $a check --read-data && agent $a restore --at HEAD --to "$dir/r.db" && alike "$dir/$a/office.db" "$dir/r.db"; }
ok "it restores all by itself" whole
sql $a "UPDATE resident SET phone = '$word-p9', name = '孙**' WHERE id = 'r3'; INSERT INTO diary(body) VALUES('$word-d9'); INSERT INTO demand VALUES('d9','噪声',1)"
ok "the next night is as any other" agent $a sync
ok "its public half is in the city" eventually 噪声 community "SELECT title FROM demand WHERE id = 'd9'"
ok "no private value has left it" no_secret
ok "it restores all by itself" whole
ok "the copy of now" agent $a bundle create "$dir/private2.enc" --private --to "$dir/keeper.crt"
ok "is opened" openssl cms -decrypt -binary -inform DER -in "$dir/private2.enc" -inkey "$dir/keeper.key" -out "$dir/private2.bundle"
mv "$dir/$a/state/private.git" "$dir/lost.git" && mv "$dir/$a/state/private-tip" "$dir/lost-tip"
ok "and is joined where its own half is gone" agent $a restore --at HEAD --to "$dir/new2.db" --private "$dir/private2.bundle"
ok "every value of now" alike "$dir/$a/office.db" "$dir/new2.db"
mv "$dir/lost.git" "$dir/$a/state/private.git" && mv "$dir/lost-tip" "$dir/$a/state/private-tip"
# A folder that is an old copy knows nothing of what became private later: it must not follow that history and show it.
b=520303001011
ok "an office without a private list" office $b community 南京路社区
ok "enrols" enrol $b community 南京路社区
ok "syncs" agent $b sync
cp -a "$dir/$b/state" "$dir/old"
ok "a column becomes private" agent $b config set private demand.title
sql $b "UPDATE demand SET title = '$word-t1' WHERE id = 'd1'"
ok "and it syncs" agent $b sync
rm -rf "$dir/$b/state" && cp -a "$dir/old" "$dir/$b/state"
ok "its folder is an old copy" refuses_sync
refuses 16 "has a private half" "which does not go on by a reset" agent $b reset
ok "no private value has left it" no_secret
# An application with functions of its own (here the sqlite3 shell's sha3): nobody else can make its tables, and the new computer has a copy of its file.
c=520303001012
own() { mkdir -p "$dir/$c" && sqlite3 "$dir/$c/office.db" "CREATE TABLE card(id INTEGER PRIMARY KEY, open TEXT, secret TEXT CHECK(length(sha3(secret)) > 0)); INSERT INTO card VALUES(1, 'offen', '$word-s1')" &&
	agent $c init "$dir/$c/office.db" --node $c --app cards --name 遵义路社区 --private card.secret && enrol $c cards 遵义路社区 && agent $c sync; }
ok "an office whose tables only its own program can make" own
mv "$dir/$c/state" "$dir/lost"
ok "a new computer with a copy of its file" agent $c init "$dir/$c/office.db" --node $c --app cards --name 遵义路社区
ok "a replacement slip" hub node replace $c --app cards --url "$url" --slip "$dir/slip3" --approve
ok "it enrols" agent $c enrol --slip "$dir/slip3"
ok "and syncs" agent $c sync
ok "its public half is in the city" eventually offen cards "SELECT open FROM card"
all_sent() { # what the hub has, and what the office's history leads to (objects of the folder's own first commit are in it still, and lead nowhere)
	git -C "$dir/hub/repos/$c/cards.git" cat-file --batch-all-objects --batch-check='%(objectname)' >"$dir/names" && git -C "$dir/$c/state/repo.git" rev-list --objects main | cut -d' ' -f1 >>"$dir/names" || return 1
	while read -r o; do
		git -C "$dir/$c/state/repo.git" cat-file -p "$o" 2>/dev/null | gzip -dcf
		git -C "$dir/hub/repos/$c/cards.git" cat-file -p "$o" 2>/dev/null | gzip -dcf
	done <"$dir/names"
	cat "$dir/hub/city/cards.db"
}
kept_secret() { all_sent >"$dir/outside" && grep -aq offen "$dir/outside" && ! grep -a "$word" "$dir/outside"; }
ok "what was private stays so" kept_secret
ok "the audit proves the city" hub audit
finish
