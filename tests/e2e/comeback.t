#!/bin/sh
# A hub with an empty disk comes back from its last backup and its offices' histories, and proves by their receipts that nothing is missing, or names what is.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
b=520303001011
c=520303003021
d=520303004017

night() { # night NAME OFFICE...: these offices write and sync
	name=$1
	shift
	for o; do sql $o "INSERT INTO demand VALUES('$name-$o','夜','reported',1)" && agent $o sync || return 1; done
}
in_city() { eventually "$1" community "SELECT count(*) FROM demand WHERE _node <> '$d'"; }
says() { text=$1; shift; "$@" >"$dir/said" 2>&1; rc=$?; cat "$dir/said"; [ $rc -eq 0 ] && grep -q -e "$text" "$dir/said"; }
field() { hub recover --check --json | python3 -c 'import json,sys; d=json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"; }
leaves() { sqlite3 -readonly "$dir/hub/hub.db" "SELECT count(*) FROM leaf"; }
lose() { rm -rf "${dir:?}/hub" && cp -a "$dir/backup" "$dir/hub"; } # the disk is empty; the last backup is put on it
back() { hub recover --admin-key "$dir/admin/sign.key" && hub rebuild; }

ok "a city is made" city_init
ok "an administrator" hub user add li --role administrator --out "$dir/admin"
ok "the hub listens" hub_start
offices() { for o in $a $b $c; do office $o community "社区$o" && enrol $o community "社区$o" && agent $o sync || return 1; done; }
ok "three offices" offices
ok "a night" night n1 $a $b $c
in_city 9 >/dev/null
joins() { office $d community "社区$d" && enrol $d community "社区$d"; }
ok "another office has enrolled and not sent anything yet" joins
refuses 2 "never cut off" "there is nothing to compare yet" hub recover --check
hub_stop
cp -a "$dir/hub" "$dir/backup"
copy=$(leaves)
ok "the hub goes on" hub_start
ok "a second night" night n2 $a $b $c
ok "a third" night n3 $a $b $c
ok "and A once more" night n4 $a
in_city 16 >/dev/null
hub_stop
old=$(leaves)
lose
ok "the disk is lost; the last backup and a new epoch" back
ok "the hub starts" hub_start

# One after the other
refuses 3 "WAITING" "nothing is known yet" hub recover --check
waiting() { same "$(field 'd["verdict"], d["waiting"], d["commits"]')" "('open', 3, 0)"; }
ok "all three are waited for" waiting
ok "A syncs" agent $a sync
ok "B syncs" agent $b sync
refuses 3 "$c .*WAITING" "C is named as the one that is missing" hub recover --check
two() { same "$(field '[(h["node"], h["state"], h["commits"]) for h in d["histories"]]')" "[('$b', 'complete', 2), ('$a', 'complete', 3), ('$c', 'waiting', 0), ('$d', 'unknown', 0)]"; }
ok "A and B are complete" two
ok "status names C, too" says "$c .*has not reported since" hub status
seen() { same "$(field 'd["epochs"][0]["epoch"], d["epochs"][0]["from"], d["epochs"][0]["upto"]')" "(1, $copy, $old)"; }
ok "how much was lost is known" seen
open_leaves() { [ "$(field 'sum(l - f + 1 for f, l in d["epochs"][0]["unproven"]) == d["epochs"][0]["upto"] - d["epochs"][0]["from"] - d["epochs"][0]["proven"]')" = True ] && [ "$(field 'len(d["epochs"][0]["unproven"]) > 0')" = True ]; }
ok "and which leaves are proven by nobody" open_leaves
before=$(field 'd["epochs"][0]["proven"]')
ok "C syncs" agent $c sync
ok "now it is complete" says "^Complete: every office has reported, and all 7 commits" hub recover --check
more() { [ "$(field 'd["epochs"][0]["proven"]')" -gt "$before" ]; }
ok "with more leaves proven" more
ok "status says so in a line" says "all that the offices' receipts prove is here again" hub status
ok "the city has everything again" in_city 16
ok "the audit proves it" hub audit
kept=$(find "$dir/hub/old-receipts" -type f | sort | xargs sha256sum)
ok "another sync" agent $a sync
once() { same "$(find "$dir/hub/old-receipts" -type f | sort | xargs sha256sum)" "$kept"; }
ok "brings nothing twice" once

ok "the office that had sent nothing begins under the new epoch" agent $d sync
ok "that changes nothing" says "^Complete" hub recover --check
cp "$dir/$d/office.db" "$dir/d.db"
rm -rf "${dir:?}/$d"
newpc() { mkdir "$dir/$d" && cp "$dir/d.db" "$dir/$d/office.db" && agent $d init "$dir/$d/office.db" --node $d --app community && hub node replace $d --app community --url "$url" --slip "$dir/slip" --approve && agent $d enrol --slip "$dir/slip" && agent $d sync; }
ok "a new computer follows a history of the new epoch" newpc
cp "$dir/$b/office.db" "$dir/b.db"
mv "$dir/$b" "$dir/$b-lost"
newb() { mkdir "$dir/$b" && cp "$dir/b.db" "$dir/$b/office.db" && agent $b init "$dir/$b/office.db" --node $b --app community && hub node replace $b --app community --url "$url" --slip "$dir/slip" --approve && agent $b enrol --slip "$dir/slip" && agent $b sync; }
ok "and one that goes through both" newb
ok "it proves all of it" agent $b check --read-data

# By hand
hub_stop
rm -rf "$dir/hub/old-receipts/2/$b"
refuses 3 "$b .*WAITING" "an office whose receipts are lost is waited for again" hub recover --check
ok "they come by hand" says "are good and kept" hub recover --receipts "$dir/$b-lost/state/old-receipts"
ok "and complete it" says "^Complete" hub recover --check
ok "twice is no harm" hub recover --receipts "$dir/$b-lost/state/old-receipts"
ok "still complete" says "^Complete" hub recover --check

# Forged
forge() { # forge NAME PYTHON: a changed copy of A's
	python3 - "$dir/$a/state/old-receipts" "$dir/$1" "$2" <<-'PY'
		import re, sys
		b = open(sys.argv[1], 'rb').read()
		n = eval(sys.argv[3], {'b': b, 're': re})
		assert n != b
		open(sys.argv[2], 'wb').write(n)
	PY
}
ok "a receipt is changed" forge f1 "b.replace(b'\\nseq 3\\n', b'\\nseq 9\\n', 1)"
refuses 15 "nothing was kept" "it is refused by hand" hub recover --receipts "$dir/f1"
ok "a checkpoint is changed" forge f2 "re.sub(rb'/1\\n(\\d+)\\n', lambda m: b'/1\\n%d\\n' % (int(m[1]) + 1), b, 1)"
refuses 15 "signature\|checkpoint" "it is refused" hub recover --receipts "$dir/f2"
ok "the epoch is changed" forge f3 "b.replace(b'/1\\n', b'/2\\n')"
refuses 15 "no earlier epoch" "it is refused" hub recover --receipts "$dir/f3"
ok "it is cut" forge f4 "b[:-40]"
refuses 15 "nothing was kept" "it is refused" hub recover --receipts "$dir/f4"
nothing() { same "$(find "$dir/hub/old-receipts/2/$a" -type f | wc -l)" 1; }
ok "nothing of it is kept" nothing
cp "$dir/f1" "$dir/hub/old-receipts/2/$a/community/$(sha256sum "$dir/f1" | cut -c1-64)"
refuses 15 "proves nothing" "one that lies there all the same is named" hub recover --check
rm "$dir/hub/old-receipts/2/$a/community/$(sha256sum "$dir/f1" | cut -c1-64)"

# The histories of an office are cut, too
rm -rf "$dir/backup" && cp -a "$dir/hub" "$dir/backup"
ok "the hub goes on" hub_start
cp -a "$dir/$a/state" "$dir/$a/before"
cp "$dir/$a/office.db" "$dir/$a/before.db"
cp -a "$dir/$d" "$dir/$d-before"
ok "two more nights" night n5 $a $b $c
ok "and one" night n6 $a $b $c
cp "$dir/$a/state/receipts/7" "$dir/receipt-of-7"
cp -a "$dir/$a/state" "$dir/$a/late"
hub_stop
lose
ok "again the disk is lost" back
ok "the hub is in its third epoch" hub_start
rm -rf "${dir:?}/$a/state" && cp -a "$dir/$a/before" "$dir/$a/state" && cp "$dir/$a/before.db" "$dir/$a/office.db"
ok "A's computer came back from an old copy as well" agent $a sync
others() { agent $b sync && agent $c sync && agent $d sync; }
ok "the others come back" others
refuses 0 "^Complete" "by what the offices still know, it is complete" hub recover --check
unproven() { [ "$(field '[e["epoch"] for e in d["epochs"] if e["unproven"]]')" = "[2]" ]; }
ok "yet leaves are proven by nobody" unproven
ok "a receipt of A's is found on a stick" says "are good and kept" hub recover --receipts "$dir/receipt-of-7"
refuses 15 "$a/community #7 .*is missing" "it names the missing night" hub recover --check
refuses 15 "$a/community #7 .*is missing" "status does as well" hub status
agent $a sync >/dev/null 2>&1
git -C "$dir/$a/late/repo.git" bundle create -q "$dir/late.bundle" main
hub_stop
ok "a copy of its history is found, too" says "Taken" hub ingest "$dir/late.bundle"
ok "and completes it" says "^Complete" hub recover --check

# The same backup once more, and this time it is served before anybody recovers it
lose
ok "the backup is served" hub_start
rm -rf "${dir:?}/$d" && mv "$dir/$d-before" "$dir/$d"
ok "an office that knows no more pushes into it" night n7 $d
refuses 15 "recover --epoch 4" "one that saw the third epoch names the number that is free" agent $b sync
hub_stop
refuses 2 "known already" "not one that is used" hub recover --admin-key "$dir/admin/sign.key" --epoch 2
ok "the fourth is opened" hub recover --admin-key "$dir/admin/sign.key" --epoch 4
ok "and derived" hub rebuild
ok "the hub starts" hub_start
rm -rf "${dir:?}/$a/state" && cp -a "$dir/$a/late" "$dir/$a/state"
everybody() { agent $a sync && agent $b sync && agent $c sync && agent $d sync; }
ok "everybody follows" everybody
ok "nothing is missing" says "^Complete" hub recover --check
forked() { same "$(field '[f["epoch"] for f in d["forks"]], d["verdict"], d["missing"]')" "([2, 3], 'complete', 0)"; }
ok "that two versions of the lost epochs were shown is told" forked
ok "status is well again" says "all that the offices' receipts prove is here again" hub status
ok "the audit proves it" hub audit

# hub.db alone comes back from an older copy: city history and histories are newer than it
at_rest
hub_stop
ok "a copy of hub.db" sqlite3 "$dir/hub/hub.db" ".backup '$dir/hub.db'"
ok "the hub goes on" hub_start
ok "a night" night n8 $b $c
at_rest
hub_stop
rm -f "$dir"/hub/hub.db* && cp "$dir/hub.db" "$dir/hub/hub.db" && chmod 600 "$dir/hub/hub.db"
newest=$(git -C "$dir/hub/city.git" rev-parse main)
ok "the city history is set back" says "was newer than hub.db" hub recover --admin-key "$dir/admin/sign.key"
aside() { same "$(git -C "$dir/hub/city.git" rev-parse refs/tributary/before-5)" "$newest" && git -C "$dir/hub/city.git" merge-base --is-ancestor main "$newest"; }
ok "and nothing of it is lost" aside
ok "the city is derived again" hub rebuild
ok "the hub starts" hub_start
ok "the offices follow" everybody
at_rest
ok "nothing is missing" says "^Complete" hub recover --check
ok "the audit proves it" hub audit
finish
