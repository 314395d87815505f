#!/bin/sh
# The digests in real commits, made from changesets alone, are those that the second implementation (tests/lib/digest.py) finds by reading
# the database file as it stands.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
py=${PYTHON:-python3}

ok "an office" office $a community 洗马社区
agrees() {
	repo=$dir/$a/state/repo.git
	salt=$(git -C "$repo" cat-file blob main:salt | od -An -v -tx1 | tr -d ' \n')
	git -C "$repo" cat-file blob main:manifest >"$dir/manifest"
	"$py" "$top/tests/lib/digest.py" database "$dir/$a/office.db" "$salt" community >"$dir/second" || return 1
	# table NAME INS UPD DEL ROWS HEX -> NAME ROWS HEX; the second sees no empty bags.
	awk '$1 == "table" && $6 > 0 {print $2, $6, $7} $1 == "digest" {print}' "$dir/manifest" >"$dir/first"
	grep -v ' 0 [0-9a-f]*$' "$dir/second" | diff "$dir/first" -
}
ok "the first commit's digests by the second implementation" agrees
sql $a "UPDATE demand SET status='closed', n=7.5 WHERE id='d1'; DELETE FROM demand WHERE id='d2'; INSERT INTO demand VALUES('d3','停水','reported',3);
	INSERT INTO journal VALUES('同一行'),('另一行'); DELETE FROM journal WHERE line IS NULL; UPDATE points SET note=x'', person=NULL WHERE id=1"
ok "a night of updates, deletes, inserts and bag rows" agent $a commit
ok "advanced from the changeset alone, they still agree" agrees
sql $a "ALTER TABLE demand ADD COLUMN due TEXT DEFAULT '2026-12-01'; ALTER TABLE points DROP COLUMN note; CREATE TABLE more(x, y, PRIMARY KEY(y, x)) WITHOUT ROWID; INSERT INTO more VALUES(1, 'a'), (2.0, x'ff')"
ok "a night with a changed schema" agent $a commit
ok "and again" agrees
sql $a "VACUUM; DROP TABLE more"
ok "a dropped table is a loss of two rows only" agent $a commit
ok "and again" agrees
stock() {
	repo=$dir/$a/state/repo.git
	git -C "$repo" cat-file blob main~1:manifest | sed -n 's/^blob changeset.gz //p' >"$dir/hash"
	git -C "$repo" cat-file blob main~1:changeset.gz | sha256sum | cut -d' ' -f1 | cmp - "$dir/hash" && git -C "$repo" cat-file blob main~1:changeset.gz | gzip -t
}
ok "stock git, gzip and sha256sum read a commit" stock
finish
