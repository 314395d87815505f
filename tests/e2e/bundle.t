#!/bin/sh
# By hand (D8.3): receipts come by stick, stock git reads our bundles, a bad stick is refused and leaves nothing; the private half in an encrypted copy.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
b=520303001011
word=GEHEIM

for step in city_init hub_start; do ok "$step" $step; done
for o in $a $b; do
	ok "office $o" office $o community "社区 $o"
	ok "enrols" enrol $o community "社区 $o"
done
ok "A's history as a bundle" agent $a bundle create "$dir/a.bundle"
ok "stock git finds it whole" git bundle verify "$dir/a.bundle"
cloned() { git clone -q --bare "$dir/a.bundle" "$dir/clone.git" && same "$(git -C "$dir/clone.git" rev-parse main)" "$(git -C "$dir/$a/state/repo.git" rev-parse main)"; }
ok "and clones it" cloned
refuses 2 "exists" "an existing file is not overwritten" agent $a bundle create "$dir/a.bundle"
ok "A pushes" agent $a push
ok "the city's word as a bundle" hub bundle create "$dir/down.bundle" --node $a --app community
refuses 1 "nothing to tell" "there is none for B yet" hub bundle create "$dir/none.bundle" --node $b --app community
ok "stock git reads it" git bundle verify -q "$dir/down.bundle"

# A folder that has none of it yet: as after a push whose answer was lost.
ok "A waits" eventually 2 community "SELECT count(*) FROM demand WHERE _node='$a'"
rm -f "$dir/down.bundle"
ok "the city's word, with the merge" hub bundle create "$dir/down.bundle" --node $a --app community
hub_stop
apply_says() { text=$1; shift; agent "$@" >"$dir/said" 2>&1; rc=$?; cat "$dir/said"; [ $rc -eq 0 ] && grep -q "$text" "$dir/said"; }
ok "without a line, A takes it from the stick" apply_says "held up to #1, in the city up to #1" $a bundle apply "$dir/down.bundle"
in_city() { agent $a status | grep -q "city's database"; }
ok "and knows that all is in the city" in_city
ok "the same stick again brings nothing new" apply_says "^0 new receipts" $a bundle apply "$dir/down.bundle"
objects() { find "$dir/${1:-$a}/state/repo.git/objects" -type f | sort | sha256sum; }
before_b=$(objects $b)
refuses 15 "for $a/community\|another\|is for" "B does not take A's" agent $b bundle apply "$dir/down.bundle"
nothing_of_it() { same "$(objects $b)" "$before_b"; }
ok "and no object of it stays there" nothing_of_it
refuses 15 "brings no word of the city" "a history is no word of the city" agent $b bundle apply "$dir/a.bundle"
ok "and no object of that stays either" nothing_of_it
refuses 15 "brings no word of the city" "nor is its own" agent $a bundle apply "$dir/a.bundle"
before=$(objects)
size=$(wc -c <"$dir/down.bundle")
bad_sticks() {
	for i in 1 2 3 5 7 11 13 17 19 23; do
		head -c $((size * i / 29)) "$dir/down.bundle" >"$dir/cut.bundle"
		agent $a bundle apply "$dir/cut.bundle" >"$dir/said" 2>&1
		rc=$?
		case $rc in 1 | 14 | 15) ;; *) echo "cut at $i/29: exit $rc"; cat "$dir/said"; return 1 ;; esac
		cp "$dir/down.bundle" "$dir/flip.bundle"
		printf '\377' | dd of="$dir/flip.bundle" bs=1 seek=$((size * i / 29)) conv=notrunc 2>/dev/null
		cmp -s "$dir/down.bundle" "$dir/flip.bundle" && continue
		agent $a bundle apply "$dir/flip.bundle" >"$dir/said" 2>&1
		rc=$?
		case $rc in 1 | 14 | 15) ;; *) echo "flip at $i/29: exit $rc"; cat "$dir/said"; return 1 ;; esac
	done
	same "$(objects)" "$before"
}
ok "bad sticks are refused and leave nothing" bad_sticks
sql $a "UPDATE demand SET title = 'later' WHERE id = 'd1'"
ok "A commits without a line" agent $a commit
ok "only what the city lacks" agent $a bundle create "$dir/a2.bundle"
builds_on() { git -C "$dir/clone.git" bundle verify "$dir/a2.bundle" 2>&1 | grep -q "requires this ref" && git -C "$dir/clone.git" fetch -q "$dir/a2.bundle" main; }
ok "which stock git fetches onto the rest" builds_on
none() { agent $b bundle create "$dir/b.bundle" --dry-run && [ ! -e "$dir/b.bundle" ]; }
ok "a dry run writes nothing" none

refuses 2 "number of MiB" "no size of a file" agent $a bundle create "$dir/parts" --size 257
three() { for i in 1 2 3; do sql $a "INSERT INTO demand VALUES('big$i', hex(randomblob(400000)), 'reported', 9)" && agent $a commit || return 1; done; }
ok "three large nights" three
parts() { agent $a bundle create "$dir/parts" --size 1 && [ -s "$dir/parts" ] && [ -s "$dir/parts.2" ] && [ "$(find "$dir" -name 'parts*' -size +2048 | wc -l)" = 0 ]; }
ok "several files when one would be too large" parts
refuses 15 "bring the one that was made before" "out of order the city says which first" hub ingest "$dir/parts.2"
in_order() { hub ingest "$dir/parts" && hub ingest "$dir/parts.2"; }
ok "in order it takes them" in_order
all_held() { same "$(git -C "$dir/hub/repos/$a/community.git" rev-parse main)" "$(git -C "$dir/$a/state/repo.git" rev-parse main)"; }
ok "all of them" all_held
rm -f "$dir"/parts*
: >"$dir/parts.2"
refuses 2 "parts.2 exists" "no file is overwritten" agent $a bundle create "$dir/parts" --size 1
left_alone() { [ ! -e "$dir/parts" ] && [ -e "$dir/parts.2" ]; }
ok "and none is left" left_alone
refuses 2 "exclude each other" "whole is not since" agent $a bundle create "$dir/whole" --whole --since '#1'
says_after() { agent $a bundle create "$dir/none" --since HEAD >"$dir/said" && cat "$dir/said" && grep -q "no commit after HEAD" "$dir/said"; }
ok "nothing after a commit is no word of receipts" says_after

# The private half, encrypted.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/director.key" -out "$dir/director.crt" -days 99 -subj "/CN=director" 2>/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$dir/rsa.key" -out "$dir/rsa.crt" -days 99 -subj "/CN=rsa" 2>/dev/null
refuses 2 "nothing is private" "nothing private, nothing to copy" agent $a bundle create "$dir/p.cms" --private --to "$dir/director.crt"
ok "A makes a column private" agent $a config set private demand.title
sql $a "UPDATE demand SET title = '$word' WHERE id = 'd2'"
ok "and commits" agent $a commit
said_none() { agent $a status | grep -q "private copy *none"; }
ok "status says that there is no copy" said_none
refuses 2 "needs --to" "a copy needs a certificate" agent $a bundle create "$dir/p.cms" --private
ok "an encrypted copy" agent $a bundle create "$dir/p.cms" --private --to "$dir/director.crt"
ok "one to an RSA key" agent $a bundle create "$dir/r.cms" --private --to "$dir/rsa.crt"
closed() { ! grep -qa "$word" "$dir/p.cms" && ! grep -qa PACK "$dir/p.cms"; }
ok "nothing can be read in it" closed
fresh() { agent $a status | grep -q "private copy .*, 0 commits ago"; }
ok "status says how old it is" fresh
open_copy() { openssl cms -decrypt -binary -inform DER -in "$dir/$1.cms" -inkey "$dir/$2.key" -out "$dir/$1.bundle" && git bundle verify -q "$dir/$1.bundle"; }
ok "stock openssl opens it, stock git reads it" open_copy p director
ok "RSA too" open_copy r rsa
wrong_key() { ! openssl cms -decrypt -binary -inform DER -in "$dir/p.cms" -inkey "$dir/rsa.key" -out "$dir/x" 2>/dev/null || ! git bundle verify -q "$dir/x" 2>/dev/null; }
ok "another key does not" wrong_key
ok "A restores with its own half" agent $a restore --at HEAD --to "$dir/own.db"
mv "$dir/$a/state/private.git" "$dir/aside.git"
mv "$dir/$a/state/private-tip" "$dir/aside-tip"
ok "the private half is lost" agent $a restore --at HEAD --to "$dir/without.db"
absent() { same "$(sqlite3 "$dir/without.db" "SELECT count(title) FROM demand")" 0; }
ok "then its values are absent" absent
ok "with the decrypted copy they are back" agent $a restore --at HEAD --to "$dir/with.db" --private "$dir/p.bundle"
whole() { sqlite3 "$dir/own.db" .dump >"$dir/x" && sqlite3 "$dir/with.db" .dump | cmp "$dir/x" - && grep -q "$word" "$dir/x" && [ ! -e "$dir/with.db.private" ]; }
ok "every byte" whole
refuses 15 "no copy of a private half\|bundle" "another bundle is no private half" agent $a restore --at HEAD --to "$dir/wrong.db" --private "$dir/down.bundle"
nothing() { [ ! -e "$dir/wrong.db" ] && [ ! -e "$dir/wrong.db.private" ]; }
ok "and leaves nothing" nothing
finish
