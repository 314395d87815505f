#!/bin/sh
# A hub comes back from an old copy: offices refuse it, an administrator opens a new epoch of the log, offices send again what it lost.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
b=520303001011
c=520303003021

held_by_hub() { sqlite3 -readonly "$dir/hub/hub.db" "SELECT count(*) FROM held WHERE node = '$1'"; }
note_says() { sed -n 1p "$1"; }
two() { # a night in which all three offices write
	for o in $a $b $c; do
		sql $o "INSERT INTO demand VALUES('$1-$o','夜','reported',1)" && agent $o sync || return 1
	done
}

ok "a city is made" city_init
ok "an administrator" hub user add li --role administrator --out "$dir/admin"
ok "an auditor" hub user add wang --role auditor --out "$dir/auditor"
ok "the hub listens" hub_start
offices() { for o in $a $b $c; do office $o community "社区$o" && enrol $o community "社区$o" && agent $o sync || return 1; done; }
ok "three offices" offices
ok "a first night" two n1
eventually 9 community "SELECT count(*) FROM demand" >/dev/null
hub_stop
cp -a "$dir/hub" "$dir/copy"
ok "the hub goes on" hub_start
ok "a second night" two n2
sql $a "INSERT INTO demand VALUES('n3','夜','reported',1)"
ok "A syncs once more" agent $a sync
ok "the hub's word to B, on a stick" hub bundle create "$dir/b.lost" --node $b --app community
receipts_before=$(ls "$dir/$a/state/receipts" | wc -l)
note_before=$(cat "$dir/$a/state/checkpoint")
head_before=$(git -C "$dir/$a/state/repo.git" rev-parse main)
hub_stop
rm -rf "$dir/hub" && mv "$dir/copy" "$dir/hub"

# The old copy
ok "the old copy is put back, whole in itself" hub audit
ok "it starts" hub_start
refuses 15 "old copy" "A refuses it and says so" agent $a sync
refuses 15 "tributary-hub recover" "and what the city must do" agent $a sync
refuses 15 "old copy" "B refuses it too" agent $b push
not_sent() { same "$(held_by_hub $a) $(held_by_hub $b)" "2 2"; }
ok "nothing was sent into the fork" not_sent
all_here() { agent $a check --read-data && same "$(ls "$dir/$a/state/receipts" | wc -l)" "$receipts_before"; }
ok "A has everything, and its receipts" all_here
refuses 15 "checkpoint names\|older copy" "A's checkpoint convicts the hub" hub checkpoint verify "$dir/$a/state/checkpoint"
refuses 11 "stop the hub" "recover wants the hub stopped" hub recover --admin-key "$dir/admin/sign.key"
hub_stop

# Only an administrator opens the new epoch
refuses 2 "admin-key" "without a key there is no recovering" hub recover
cp "$dir/auditor/tls.key" "$dir/wrong.key" && chmod 600 "$dir/wrong.key" && cp "$dir/auditor/tls.crt" "$dir/wrong.crt"
refuses 12 "" "an auditor may not" hub recover --admin-key "$dir/wrong.key"
cp "$dir/hub/keys/hub-sign.key" "$dir/hub2.key" && cat "$dir/hub/keys/hub-sign.crt" "$dir/hub/ca/issuing.crt" >"$dir/hub2.crt"
refuses 12 "administrator" "nor the hub itself" hub recover --admin-key "$dir/hub2.key"
unchanged() { same "$(note_says "$dir/hub/checkpoint" | sed 's,.*/,,')" 1 && hub audit; }
ok "and nothing has changed" unchanged
cut_off() { TRIBUTARY_CRASH_AT=epoch-opened hub recover --admin-key "$dir/admin/sign.key"; [ $? -eq 137 ]; }
ok "recovering is killed in the middle" cut_off
refuses 1 "" "serve will not sign then" timeout 60 "$bin/tributary-hub" --state "$dir/hub" serve --listen 127.0.0.1:0
mv "$dir/hub/log" "$dir/log" && : >"$dir/hub/log"
refuses 1 "run recover again" "it fails behind that" hub recover --admin-key "$dir/admin/sign.key"
rm "$dir/hub/log" && mv "$dir/log" "$dir/hub/log"
ok "and goes on when it is called again" hub recover --admin-key "$dir/admin/sign.key"
ok "the checkpoint is of the second epoch" same "$(note_says "$dir/hub/checkpoint" | sed 's,.*/,,')" 2
ok "so is the published one" same "$(note_says "$dir/hub/log/checkpoint" | sed 's,.*/,,')" 2
ok "the audit proves the new epoch" hub audit

# The offices come back
ok "the hub starts" hub_start
crash_a() { TRIBUTARY_CRASH_AT=epoch-kept agent $a sync; [ $? -eq 137 ]; }
ok "A is killed while it changes over" crash_a
says_epoch() { agent $a sync >"$dir/sync" && cat "$dir/sync" && grep -q '/2' "$dir/sync"; }
ok "A follows the administrator, and says so" says_epoch
ok "B hears of it by stick" hub bundle create "$dir/b.word" --node $b --app community
ok "and takes it" agent $b bundle apply "$dir/b.word"
refuses 15 "b.lost is older than what this office has.*nothing was changed" "a stick of before is called old" agent $b bundle apply "$dir/b.lost"
refuses 15 "b.word is for $b/community of .*, this office is $a/community" "another office's is called so" agent $a bundle apply "$dir/b.word"
lost_again() { agent $b bundle create "$dir/b.bundle" >"$dir/said" && cat "$dir/said" && grep -q ": 1 commits, up to #3," "$dir/said"; }
ok "B writes what the hub lost on a stick" lost_again
taken_again() { hub ingest "$dir/b.bundle" >"$dir/said" && cat "$dir/said" && grep -q "Taken: 1 new commits of $b/community, #3 to #3" "$dir/said"; }
ok "which the hub takes" taken_again
ok "A's history was sent as it was" git -C "$dir/hub/repos/$a/community.git" merge-base --is-ancestor "$head_before" main
ok "B and C come back" two n4
ok "everything is in the city again" eventually 16 community "SELECT count(*) FROM demand"
old_receipts() { [ "$(ls "$dir/$a/state/receipts.1" | wc -l)" -ge 2 ] && grep -q '/1$' "$dir/$a/state/receipts.1/4"; }
ok "A keeps the receipts of the first epoch" old_receipts
old_note() { same "$(cat "$dir/$a/state/checkpoint.1")" "$note_before"; }
ok "and its checkpoint" old_note
new_receipts() { grep -h '/[0-9]$' "$dir/$a/state/receipts/4" "$dir/$a/state/receipts/5" | sort -u | grep -q '/2$'; }
ok "and has receipts of the second" new_receipts
ok "A proves all of them" agent $a check --read-data
ok "so does B" agent $b check --read-data
ok "the audit proves everything" hub audit
ok "the hub proves A's old checkpoint wrong no more than it must" hub checkpoint verify
ok "a further night" two n5
ok "is proven as well" hub audit
hub_stop
ok "rebuilding" hub rebuild
ok "gives the same" hub audit

# A hub that opens an epoch without an administrator
cp -a "$dir/hub" "$dir/copy"
ok "the hub starts" hub_start
sql $a "INSERT INTO demand VALUES('n6','夜','reported',1)"
ok "A syncs" agent $a sync
hub_stop
rm -rf "$dir/hub" && mv "$dir/copy" "$dir/hub"
sed -i 's,^\(origin .*2F\)2$,\13,' "$dir/hub/hub.conf"
sqlite3 "$dir/hub/hub.db" "UPDATE meta SET value = CAST(replace(CAST(value AS TEXT), '/2', '/3') AS BLOB) WHERE key = 'origin'"
rm -f "$dir/hub/checkpoint" "$dir/hub/log/checkpoint"
ok "a hub that calls itself the third epoch" hub_start
sql $c "INSERT INTO demand VALUES('n6','夜','reported',1)"
refuses 15 "no administrator opened" "C does not follow it" agent $c sync
refuses 15 "old copy" "nor does A" agent $a sync
finish
