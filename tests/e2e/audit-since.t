#!/bin/sh
# An audit that goes on from the last one judges only what is new, and comes to the same verdict as a full one.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
b=520303001011
c=520303003003

field() { python3 -c 'import json, sys; v = json.load(sys.stdin)
for k in sys.argv[1].split("."): v = v[k]
print(str(v).lower() if isinstance(v, bool) else v)' "$1"; }
# counts FULL JUDGED KEPT ARGS...: an audit with these options is proven, and says so many
counts() {
	want="proven $1 $2 $3"
	shift 3
	hub audit --json "$@" >"$dir/json" || return 1
	same "$(field verdict <"$dir/json") $(field full <"$dir/json") $(field commits_judged <"$dir/json") $(field commits_kept <"$dir/json")" "$want" || { grep fell_back "$dir/json"; return 1; }
}
held() { sqlite3 -readonly "$dir/hub/hub.db" "SELECT count(*) FROM held"; }
night() { # night N: of all offices
	for o in $a $b $c; do
		sql $o "UPDATE demand SET status='n$1' WHERE id='d1'; INSERT INTO points VALUES(NULL,'夜',$1,x'00'); INSERT INTO journal VALUES('night $1'); DELETE FROM journal WHERE line='同一行' AND $1 = 3" &&
			agent $o sync || return 1
	done
	eventually "3" community "SELECT count(*) FROM demand WHERE id='d1' AND status='n$1'" && at_rest # two audits of one state have as many leaves
}

ok "a city" city_init
ok "the hub listens" hub_start
for o in $a $b $c; do
	ok "an office" office $o community "社区 $o"
	ok "joins" enrol $o community "社区 $o"
	ok "and reports" agent $o sync
done
ok "a second night" night 1
ok "without an audit before, all is judged" counts true 6 0 --since last
ok "the JSON says why" grep -q '"fell_back": "no audit of this hub was proven yet"' "$dir/json"
ok "nothing new: nothing judged" counts false 0 6 --since last
ok "a third night" night 2
ok "a dry run judges it, and keeps nothing" counts false 3 6 --since last --dry-run
ok "an auditor takes the record and the file home" cp "$dir"/hub/audited* "$dir/"
ok "the next audit judges the new commits alone" counts false 3 6 --since last
cp "$dir/json" "$dir/json1"
ok "a full one comes to the same" counts true 9 0
same_verdict() { for f in verdict finding_count leaves commits communities rows; do same "$(field $f <"$dir/json")" "$(field $f <"$dir/json1")" || return 1; done; }
ok "leaf by leaf and row by row" same_verdict
ok "--full judges all, also with --since" counts true 9 0 --since last --full
ok "a fourth night" night 3
ok "the auditor goes on from his own copy" counts false 6 6 --since "$dir/audited"
ok "it names the audit that it went on from" same "$(field since.size <"$dir/json")" "$(sed -n 's/^size //p' "$dir/audited")"
ok "the hub stops" hub_stop

# What an idle hub does by itself, and more: all objects of the histories into other files.
fold() { for r in "$dir"/hub/repos/*/community.git "$dir/hub/city.git"; do git -C "$r" repack -adq && git -C "$r" prune-packed -q || return 1; done; }
ok "the histories' files are put together" fold
ok "which are read again, not judged" counts false 0 12 --since last
ok "the city is built again" hub rebuild
ok "which changes nothing" counts false 0 12 --since last
ok "the hub starts" hub_start
replace() { hub node replace $a --app community --name "社区 $a" --url "$url" --slip "$dir/slip2" --approve && mv "$dir/$a/state" "$dir/$a/aside" &&
	agent $a init "$dir/$a/office.db" --node $a --app community --name "社区 $a" && agent $a enrol --slip "$dir/slip2"; }
ok "an office gets a new machine" replace
ok "a fifth night" night 4
# It begins anew with all rows: what stood before cannot be taken back from what stands now.
ok "the next audit judges all by itself" counts true "$(held)" 0 --since last
ok "and says why" grep -q '"fell_back": ".*begins anew with all rows"' "$dir/json"
before=$(held)
ok "a sixth night" night 5
ok "of which it judges the new commits alone" counts false "$(($(held) - before))" "$before" --since last
before=$(held)
ok "an office is new" office 520303009009 community 新
ok "joins" enrol 520303009009 community 新
ok "and reports" agent 520303009009 sync
ok "it is in the city" eventually 8 community "SELECT count(*) FROM demand"
ok "(the log has come to rest)" at_rest
ok "the next audit goes on over that" counts false "$(($(held) - before))" "$before" --since last
ok "a full one comes to the same" counts true "$(held)" 0
rm -f "$dir"/hub/audited.*.db
ok "without the kept file all is judged" counts true "$(held)" 0 --since last
ok "and says so" grep -q '"fell_back": ".* is not there"' "$dir/json"
refuses 1 "No such file\|not-found\|nonexistent" "a record that is not there" hub audit --since /nonexistent
printf 'format tributary-audited-2\nsize 5\n' >"$dir/bad"
refuses 15 "$dir/bad" "or none" hub audit --since "$dir/bad"
finish
