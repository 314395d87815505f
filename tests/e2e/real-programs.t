#!/bin/sh
# shellcheck disable=SC2154 # dir, bin and top come from the harness
# Databases that real programs write: each is taken under care, goes through several states by the program's own commands, is captured at each, and
# every state comes back: equal to a copy of its moment by storage class and bytes (tests/tool/exactdump.c). What cannot be captured is named.
. tests/lib/harness.sh
export HOME="$dir/home" USER=clerk LC_ALL=C.UTF-8 EDITOR=true
mkdir "$HOME"
dump=$bin/tests/tool/exactdump

# care NAME FILE: the database comes under care; its first state is kept.
care() {
	mkdir -p "$dir/$1"
	echo "$2" >"$dir/$1/file"
	: >"$dir/$1/moments"
	agent "$1" init "$2" --node 520303002001 --app "$1" && keep "$1"
}
# keep NAME: a copy of the moment, and the commit that must give it back.
keep() {
	k=$(($(wc -l <"$dir/$1/moments") + 1))
	sqlite3 -readonly "$(cat "$dir/$1/file")" ".backup '$dir/$1/copy.$k'" && git -C "$dir/$1/state/repo.git" rev-parse main >>"$dir/$1/moments"
}
# night NAME COMMAND...: the program runs again, its work is captured and kept. A state that did not change the file is no state.
night() {
	who=$1
	shift
	before=$(sha256sum <"$(cat "$dir/$who/file")")
	"$@" || return 1
	[ "$before" != "$(sha256sum <"$(cat "$dir/$who/file")")" ] || { echo "the program changed nothing"; return 1; }
	agent "$who" commit --accept-loss -m "$*" && keep "$who"
}
# back NAME: every moment of NAME is restored and compared.
back() {
	k=0
	[ "$(wc -l <"$dir/$1/moments")" -ge 4 ] || { echo "too few states"; return 1; }
	[ "$(sort -u "$dir/$1/moments" | wc -l)" -ge 3 ] || { echo "too few commits"; return 1; }
	while read -r at; do
		k=$((k + 1))
		rm -f "$dir/back.db"
		agent "$1" restore --at "$at" --to "$dir/back.db" || return 1
		"$dump" "$dir/$1/copy.$k" >"$dir/was.txt" && "$dump" "$dir/back.db" >"$dir/is.txt" || return 1
		[ "$(grep -c '^row ' "$dir/was.txt")" -gt 0 ] || { echo "state $k has no row"; return 1; }
		cmp "$dir/was.txt" "$dir/is.txt" || { echo "state $k"; diff "$dir/was.txt" "$dir/is.txt" | cut -c1-200 | head -n 20; return 1; }
	done <"$dir/$1/moments"
	agent "$1" check --read-data || return 1
	echo "$k states of $1, $(sort -u "$dir/$1/moments" | wc -l) commits"
}
# named NAME: what the copies have and a restore cannot give is named by status; nothing else is.
named() {
	"$dump" --absent "$(cat "$dir/$1/file")" | cut -d' ' -f2 >"$dir/absent"
	agent "$1" status --json | python3 -c 'import json, sys
for i in json.load(sys.stdin)["left_out"]: print(i["name"])' | sort >"$dir/named"
	diff "$dir/absent" "$dir/named"
}
untouched() { # untouched NAME: capturing leaves the file and its folder as they are
	f=$(cat "$dir/$1/file")
	was=$(cd "$(dirname "$f")" && find . -type f -exec sha256sum {} +)
	agent "$1" commit --accept-loss && same "$(cd "$(dirname "$f")" && find . -type f -exec sha256sum {} +)" "$was"
}
# program NAME COMMAND: 0 when it is here; else says so, as one skipped test.
ran=1 # the sqlite3 shell
program() {
	command -v "$2" >/dev/null && ran=$((ran + 1)) && return 0
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2 is not installed"
	return 1
}

# ---- NSS: tables of a hundred nameless columns, blobs, an index for many of them ----
nss() { (cd "$dir/nssdb" && certutil "$@"); }
nss_new() { head -c 2000 /dev/urandom >"$dir/noise" && nss -S -d sql:. -n "$1" -s "CN=$1" -x -t "$2" -v 12 -z "$dir/noise" -f "$dir/pass"; }
nss_three() { nss_new 洗马 CT,, && nss_new 'second one' ,, && nss_new third ,,; }
nss_changed() { nss -D -d sql:. -n 'second one' && nss -M -d sql:. -n third -t TC,C,T -f "$dir/pass"; }
nss_password() { nss -W -d sql:. -f "$dir/pass" -@ "$dir/pass2" && cp "$dir/pass2" "$dir/pass" && nss -F -d sql:. -n third -f "$dir/pass"; }
if program NSS certutil; then
	mkdir "$dir/nssdb"
	echo one >"$dir/pass" && echo 'an other' >"$dir/pass2"
	ok "NSS makes its databases" nss -N -d sql:. -f "$dir/pass"
	ok "a first certificate" nss_new first u,u,u
	ok "certificates and keys come under care" eval 'care cert "$dir/nssdb/cert9.db" && care key "$dir/nssdb/key4.db"'
	ok "three more are captured in both" eval 'night cert nss_three && agent key commit && keep key'
	ok "one is removed, trust is changed" night cert nss_changed
	ok "the password is changed, a key and its certificate go" eval 'night key nss_password && agent cert commit && keep cert'
	ok "and another one comes" eval 'night key nss_new later ,, && agent cert commit --accept-loss && keep cert'
	ok "every state of the certificates comes back" back cert
	ok "every state of the keys comes back" back key
	ok "NSS leaves out nothing" eval 'named cert && named key'
fi

# ---- Fossil: 30 tables, views, triggers in a transaction, compressed blobs, a rebuild that drops and fills tables, full-text search ----
fsl() { (cd "$dir/fsl" && fossil "$@" </dev/null); }
fsl_commit() { fsl commit -m "$1" --no-warnings --user-override clerk --allow-empty; }
fsl_first() { echo 一 >"$dir/fsl/a.txt" && seq 1 3000 >"$dir/fsl/b.txt" && fsl add a.txt b.txt && fsl_commit "first files"; }
fsl_second() { seq 1 2 4000 >>"$dir/fsl/b.txt" && head -c 60000 /dev/urandom >"$dir/fsl/c.bin" && fsl add c.bin && fsl_commit "a delta and 60 kB"; }
fsl_talk() {
	fsl ticket add title '路灯不亮' status Open type Incident && echo '# 家' | (cd "$dir/fsl" && fossil wiki create Home) &&
		fsl branch new side trunk && fsl tag add night trunk
}
fsl_search() { fsl fts-config index on && fsl fts-config enable cdtw; }
fsl_rebuild() { fsl rm a.txt && fsl_commit "one goes" && fsl rebuild --force --vacuum --pagesize 8192; }
if program Fossil fossil; then
	mkdir "$dir/fsl"
	ok "Fossil makes a repository and a checkout" eval 'fossil init --admin-user clerk "$dir/repo.fossil" && fsl open "$dir/repo.fossil"'
	ok "both come under care" eval 'care fossil "$dir/repo.fossil" && care checkout "$(ls -d "$dir"/fsl/.fslckout "$dir"/fsl/_FOSSIL_ 2>/dev/null | head -n 1)"'
	ok "files are committed" eval 'night fossil fsl_first && agent checkout commit && keep checkout'
	ok "changed and added to" eval 'night fossil fsl_second && agent checkout commit && keep checkout'
	ok "tickets, wiki, branch, tag" night fossil fsl_talk
	ok "full-text search is switched on" night fossil fsl_search
	ok "its index is named as left out" named fossil
	ok "a rebuild, a vacuum, another page size" eval 'night fossil fsl_rebuild && agent checkout commit --accept-loss && keep checkout'
	ok "every state of the repository comes back" back fossil
	ok "every state of the checkout comes back" back checkout
	ok "a capture leaves the folder as it is" untouched checkout
fi

# ---- Subversion: keys of several columns, partial indexes, triggers that count, a work queue that fills and empties ----
office_svn() { (cd "$dir/wc" && svn --non-interactive -q "$@"); }
svn_first() {
	mkdir -p "$dir/wc/目录/deep" && echo x >"$dir/wc/目录/deep/file" && seq 1 500 >"$dir/wc/numbers" && office_svn add --force . && office_svn commit -m first
}
svn_props() {
	office_svn propset svn:eol-style native numbers && office_svn propset community:note '居民 "quoted"' . && office_svn changelist tonight numbers &&
		echo y >>"$dir/wc/numbers"
}
svn_moves() {
	office_svn commit --changelist tonight -m props && office_svn update && office_svn move numbers figures && office_svn copy 目录 twin &&
		office_svn commit -m moved
}
svn_conflict() {
	svn -q checkout "file://$dir/svnrepo" "$dir/wc2" && echo theirs >"$dir/wc2/figures" && svn -q commit -m theirs "$dir/wc2" &&
		echo mine >"$dir/wc/figures" && office_svn update --accept postpone
}
svn_end() { office_svn resolve --accept mine-full figures && office_svn rm twin && office_svn commit -m end && office_svn cleanup --vacuum-pristines; }
if program Subversion svn; then
	ok "Subversion makes a repository and a working copy" eval 'svnadmin create "$dir/svnrepo" && svn -q checkout "file://$dir/svnrepo" "$dir/wc"'
	ok "the working copy comes under care" care svn "$dir/wc/.svn/wc.db"
	ok "files are committed" night svn svn_first
	ok "so does the repository's cache" care rep-cache "$dir/svnrepo/db/rep-cache.db"
	ok "properties and a changelist" night svn svn_props
	ok "moves and copies" eval 'night svn svn_moves && agent rep-cache commit && keep rep-cache'
	ok "a conflict" eval 'night svn svn_conflict && agent rep-cache commit && keep rep-cache'
	ok "and its end" eval 'night svn svn_end && agent rep-cache commit && keep rep-cache'
	ok "every state of the working copy comes back" back svn
	ok "every state of the cache comes back" back rep-cache
	ok "Subversion leaves out nothing" named svn
	ok "a capture leaves the folder as it is" untouched svn
fi

# ---- Bogofilter: keys and values are blobs, thousands of words change their counts at once ----
mail() { # mail WORDS-FROM WORDS-TO: a message of so many words
	printf 'From: a@example.org\nSubject: 通知 %s\nDate: Mon, 1 Jan 2026 00:00:00 +0800\n\n' "$1"
	seq "$1" "$2" | sed 's/^/word/'
}
learn() { bogofilter -d "$dir/bogo" "$@"; }
bogo_spam() { mail 1 3000 | learn -s; }
bogo_ham() { mail 2000 2600 | learn -n; }
bogo_undo() { mail 1 3000 | learn -S && mail 1 40 | learn -s; }
bogo_prune() { bogoutil -d "$dir/bogo/wordlist.db" >"$dir/bogo.txt" && bogoutil -c 1 -m "$dir/bogo/wordlist.db"; }
if program Bogofilter bogofilter; then
	mkdir "$dir/bogo"
	ok "Bogofilter learns a message" eval 'mail 1 300 | learn -n'
	ok "its word list comes under care" care words "$dir/bogo/wordlist.db"
	ok "spam" night words bogo_spam
	ok "ham" night words bogo_ham
	ok "it unlearns" night words bogo_undo
	ok "rare words are pruned" night words bogo_prune
	ok "every state of the word list comes back" back words
	ok "a capture leaves the folder as it is" untouched words
fi

# ---- Newsboat: one wide table of texts, indexes with collations, VACUUM and deletes at the program's own time ----
feed() { # feed FROM TO: an RSS file with so many items
	echo '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel><title>社区</title><link>http://127.0.0.1/</link><description>d</description>'
	for i in $(seq "$1" "$2"); do
		echo "<item><title>第 $i 条 &amp; &lt;b&gt;</title><link>http://127.0.0.1/$i</link><guid>g$i</guid><description>$(seq -s ' ' "$i" 200)</description></item>"
	done
	echo '</channel></rss>'
}
news() { (cd "$dir/news" && newsboat -u "$dir/news/urls" -C "$dir/news/config" -c "$dir/news/cache.db" -x "$@" </dev/null); }
news_more() { feed 1 60 >"$dir/news/rss.xml" && news reload; }
news_changed() { feed 40 90 | sed 's/第/今日第/' >"$dir/news/rss.xml" && news reload; }
news_second() { feed 500 520 >"$dir/news/other.xml" && echo "file://$dir/news/other.xml" >>"$dir/news/urls" && news reload; }
news_gone() { sed -i 1d "$dir/news/urls" && printf 'cleanup-on-quit yes\n' >"$dir/news/config" && news reload; }
if program Newsboat newsboat; then
	mkdir "$dir/news"
	: >"$dir/news/config"
	echo "file://$dir/news/rss.xml" >"$dir/news/urls"
	feed 1 20 >"$dir/news/rss.xml"
	ok "Newsboat reads a feed" news reload
	ok "its cache comes under care" care news "$dir/news/cache.db"
	ok "more items" night news news_more
	ok "items with other titles" night news news_changed
	ok "a second feed" night news news_second
	ok "the first one is given up" night news news_gone
	ok "every state of the cache comes back" back news
fi

# ---- the sqlite3 shell's archives: files as blobs, big ones through long overflow chains; one in WAL mode with the -wal left behind ----
sqlar() { (cd "$dir/files" && sqlite3 "$dir/files.sqlar" "$@"); }
ar_more() { head -c 300000 /dev/urandom >"$dir/files/big" && sqlar -Au one big; }
ar_edge() { : >"$dir/files/empty" && printf 'x\0y' >"$dir/files/nul" && printf '\n' >>"$dir/files/big" && sqlar -Au empty nul big; }
ar_wal() {
	sqlar 'PRAGMA journal_mode=WAL' '.filectrl persist_wal 1' "DELETE FROM sqlar WHERE name = 'big'" && sqlar '.filectrl persist_wal 1' \
		"UPDATE sqlar SET mtime = mtime + 1" && [ -e "$dir/files.sqlar-wal" ]
}
ar_vacuum() { seq 1 90000 >"$dir/files/text" && sqlar 'PRAGMA journal_mode=DELETE' 'PRAGMA page_size=1024' 'VACUUM' && sqlar -Au text; }
mkdir "$dir/files"
echo 一 >"$dir/files/one"
ok "sqlite3 packs an archive" sqlar -Ac one
ok "it comes under care" care ar "$dir/files.sqlar"
ok "a big file" night ar ar_more
ok "an empty one, one with NUL" night ar ar_edge
ok "WAL mode, the big one goes" night ar ar_wal
ok "back, small pages, a vacuum" night ar ar_vacuum
ok "every state of the archive comes back" back ar

# ---- data sets of others, edited by SQL: outside of this repository, so only where they are ----
data=${SHARED_DATA:-$top/../shared/data}
edited() { # edited NAME SQL...: copies data/NAME, then each SQL is one night
	set_=$1
	shift
	cp "$data/$set_/$set_.sqlite" "$dir/$set_.db" && chmod u+w "$dir/$set_.db" && care "$set_" "$dir/$set_.db" || return 1
	for edits; do
		night "$set_" sqlite3 "$dir/$set_.db" "$edits" || return 1
	done
	back "$set_" && named "$set_"
}
given() {
	[ ! -r "$data/$1/$1.sqlite" ] || return 0
	n=$((n + 1))
	echo "ok $n - $1 # SKIP ../shared/data/$1 is not here"
	return 1
}
if given chinook; then
	ok "Chinook through five nights" edited chinook "UPDATE Track SET UnitPrice = UnitPrice * 2 WHERE TrackId % 7 = 0" \
		"DELETE FROM PlaylistTrack WHERE PlaylistId = 5; INSERT INTO PlaylistTrack SELECT 2, TrackId FROM Track WHERE TrackId < 50" \
		"ALTER TABLE Customer ADD COLUMN note TEXT DEFAULT '无'; UPDATE Customer SET note = x'00ff' WHERE CustomerId = 3; ALTER TABLE Album RENAME COLUMN Title TO Name" \
		"PRAGMA page_size = 8192; VACUUM; UPDATE Employee SET ReportsTo = NULL" "DROP TABLE InvoiceLine; CREATE TABLE tally(a, b); INSERT INTO tally VALUES(1, 1), (1, 1)"
fi
if given northwind; then
	ok "Northwind through four nights" edited northwind "UPDATE \"Order Details\" SET Discount = 0.05 WHERE Quantity > 50" \
		"DELETE FROM Orders WHERE OrderID > 11000; INSERT INTO Categories(CategoryName, Picture) VALUES('新', zeroblob(30000))" \
		"UPDATE Categories SET Picture = substr(Picture, 1, 100) || x'00' WHERE CategoryID = 1; DELETE FROM Customers WHERE CustomerID = 'ALFKI'" \
		"PRAGMA auto_vacuum = FULL; VACUUM; ALTER TABLE Shippers DROP COLUMN Phone"
fi
enough() { [ $ran -ge 5 ] || { echo "only $ran ran; make deps installs them"; return 1; }; }
ok "five programs or more ran" enough
finish
