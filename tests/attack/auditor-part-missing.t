#!/bin/sh
# Parts of the bundle are missing, damaged or too many: certificates, key, leaves, texts that the log names, pages and tables of the city database, what a witness cosigned.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
TRIBUTARY_CLOCK_OFFSET=172800
export TRIBUTARY_CLOCK_OFFSET
ok "two days later" hub_start
unset TRIBUTARY_CLOCK_OFFSET
night() { hubsql "SELECT count(*) FROM leaf WHERE CAST(bytes AS TEXT) LIKE '%kind night%'" | grep -qx '[1-9]'; }
ok "the hub has made a nightly list" soon night
sql $a "INSERT INTO demand VALUES('d8','x','reported',8)"
ok "A goes on" agent $a sync
ok "and is in the city" eventually 7 community "SELECT count(*) FROM demand"
ok "all is told" at_rest
hub_stop
keep_bundle
for f in certs/root.crt certs/issuing.crt checkpoint log.pem log/leaves; do
	undoctored
	ok "without $f" rm "$dir/b/$f"
	named "$f is not here"
done
ok "the hub says why" sh -c "echo 'log/leaves: eaten' >'$dir/b/absent'"
named "log/leaves is not here; the hub says: eaten"
undoctored
ok "the hub says that something is not here, and all else is" sh -c "echo 'city/x.db: eaten' >'$dir/b/absent'"
named "what the hub names in the file absent is not here"
undoctored
ok "a root certificate that is none" sed -i '2s/^..../####/' "$dir/b/certs/root.crt"
named "certs/root.crt is damaged"
text_of() { awk -v w="$1" '/^kind / { k = $2 } /^sha256 / && k == w { print $2; exit }' "$dir/b/log/leaves"; }
for kind in policy night; do
	undoctored
	hash=$(text_of $kind)
	ok "a $kind that the log names is another" sh -c "echo x >>'$dir/b/log/named/$hash'"
	named "log/named/$hash is missing or is not the text that the log names"
	ok "or is not there" rm "$dir/b/log/named/$hash"
	named "log/named/$hash is missing or is not the text that the log names"
done
undoctored
db=$dir/b/city/community.db
page=$(sqlite3 -readonly "$db" "PRAGMA page_size")
ok "a page of the city database is another" dd if=/dev/zero of="$db" bs="$page" seek=1 count=1 conv=notrunc
named "city/community.db is damaged"
undoctored
more() { sqlite3 "$db" "CREATE TABLE more(_node TEXT, id TEXT); INSERT INTO more VALUES('$b', 'x'); INSERT INTO _t_mirror VALUES('more', 'more', 'x', 'more'); INSERT INTO _t_column VALUES('more', 'id', 'id', 1, 0)"; }
ok "the city has a table more for B" more
named "$b/community: the city has rows of a table that the community has not"
undoctored
cosigned() {
	mkdir -p "$dir/b/witness" && echo "w+00000000+AAAA" >"$dir/b/witness/x.vkey" && { sed -n 1,2p "$dir/b/checkpoint"; printf %032d 7 | base64; } >"$dir/body" && openssl pkeyutl -sign -rawin -inkey "$dir/hub/keys/log.key" -in "$dir/body" -out "$dir/sig" &&
		{ cat "$dir/body"; echo; printf '— x %s\n' "$({ printf 'abcd'; cat "$dir/sig"; } | base64 -w0)"; } >"$dir/b/witness/x.note"
}
ok "a witness cosigned another log that the hub signed" cosigned
named "w cosigned another log than this one"
finish
