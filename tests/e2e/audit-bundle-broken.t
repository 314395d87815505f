#!/bin/sh
# The auditor's bundle of a new city, and of a hub that has lost things: the verdict comes first, the bundle has what there is and names the rest, and its README's commands find it.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
steps() { sed -n '/^```sh$/,/^```$/p' "$dir/b/README.md" | grep -v '^```' >"$dir/steps"; (cd "$dir/b" && env -i PATH=/usr/bin:/bin HOME="$dir" GIT_CONFIG_NOSYSTEM=1 sh "$dir/steps"); }
proven() { steps >"$dir/proof" 2>&1; rc=$?; cat "$dir/proof"; [ $rc -eq 0 ] && [ "$(tail -n 1 "$dir/proof")" = PROVEN ] && grep -q "4. Nothing is merged yet" "$dir/proof" && [ ! -e "$dir/b/absent" ]; }
ok "a new city" city_init
ok "that has never served: its bundle" hub audit --bundle "$dir/b"
ok "has no city history, and is proven" proven
rm -rf "$dir/b"
ok "the hub starts" hub_start
ok "an office" office $a community 一
ok "enrols, and has sent nothing" enrol $a community 一
ok "its bundle" hub audit --bundle "$dir/b"
ok "is proven" proven
rm -rf "$dir/b"
ok "a first night" agent $a sync
ok "is in the city" eventually 2 community "SELECT count(*) FROM demand"
ok "and the office told" at_rest
hub_stop

cp -a "$dir/hub" "$dir/good"
rm -rf "$dir/hub/repos/$a" "$dir/hub/city.git" "$dir/hub/city/community.db" "$dir/hub/checkpoint" "$dir/hub/log/checkpoint"
refuses 15 "^NOT proven: " "history, city history, city database and checkpoint are lost: the verdict" hub audit --bundle "$dir/b"
cp "$dir/out" "$dir/said"
for part in "histories/$a/community.bundle" city.bundle city/community.db checkpoint; do
	ok "  $part is named in the answer" grep -q "^Not in the bundle: $part: " "$dir/said"
	ok "  and in the bundle" grep -q "^$part: " "$dir/b/absent"
done
lines() { same "$(wc -l <"$dir/b/absent")" 4; }
ok "  and nothing else" lines
refuses 1 "NOT PROVEN: checkpoint is not here; the hub says: " "its README's commands say so" steps
rm -rf "$dir/b"
json() { python3 -c 'import json,sys; j=json.load(sys.stdin); assert j["verdict"]=="not-proven" and j["finding_count"]>0 and j["findings"] and j["exit_code"]==15 and j["bundle"], j; print(sorted(x["name"] for x in j["absent"] if x["why"]))'; }
hub --json audit --bundle "$dir/b" >"$dir/json" 2>&1
ok "JSON has the verdict" same "$(json <"$dir/json")" "['checkpoint', 'city.bundle', 'city/community.db', 'histories/$a/community.bundle']"
rm -rf "$dir/b" "$dir/hub" && cp -a "$dir/good" "$dir/hub"

printf x | dd of="$dir/hub/city/community.db" bs=1 seek=100 conv=notrunc 2>/dev/null
refuses 15 "^Not in the bundle: city/community.db: " "a city database that cannot be read is named" hub audit --bundle "$dir/b"
refuses 1 "NOT PROVEN: city/community.db is not here, though commits of 1 communities are merged into it; the hub says: " "and missed" steps
rm -rf "$dir/b" "$dir/hub" && cp -a "$dir/good" "$dir/hub"

rm "$dir/hub/repos/$a/community.git/refs/heads/main"
mkdir "$dir/shut" && : >"$dir/shut/file"
refuses 1 "^NOT proven: " "where the bundle cannot be written, the verdict is said all the same" hub audit --bundle "$dir/shut/file/b"
refuses 2 "exists; nothing was changed" "and a bundle is never written over another" hub audit --bundle "$dir/shut"
finish
