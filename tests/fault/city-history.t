#!/bin/sh
# A damaged city history: offices push and get receipts, the hub tries again ever more seldom, and `status` says so until it is mended.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001

ok "a city" city_init
ok "the hub listens" hub_start
ok "office A" office $a community 洗马社区
ok "enrols" enrol $a community 洗马社区
ok "and syncs" agent $a sync
ok "into the city" eventually 2 community "SELECT count(*) FROM demand"
calm() { hub --json status | python3 -c 'import json, sys; sys.exit(json.load(sys.stdin)["merge_trouble"] is not None)'; }
ok "there is no trouble" calm

hub_stop
cp -a "$dir/hub/city.git" "$dir/kept.git"
ruin() {
	tip=$(git -C "$dir/hub/city.git" rev-parse main) || return 1
	f=$dir/hub/city.git/objects/$(echo "$tip" | cut -c1-2)/$(echo "$tip" | cut -c3-)
	chmod u+w "$f" && printf 'no object' >"$f"
}
ok "the city's last commit is damaged" ruin
: >"$dir/serve.log"
ok "the hub starts all the same" hub_start
pushes() {
	for i in 3 4 5 6 7 8; do
		sql $a "INSERT INTO demand VALUES('d$i','停水','reported',$i);" && agent $a sync || return 1
	done
}
begin=$(date +%s)
ok "the office pushes six times" pushes
receipts() { agent $a --json status | python3 -c 'import json, sys; s = json.load(sys.stdin); print(s); sys.exit(s["held"] != s["captured"])'; }
ok "and has its receipts" receipts
told() { hub status | grep -q "Nothing is merged since" && hub status | grep -q "city.git; try\|city.git); try: tributary-hub audit"; }
ok "status says that nothing is merged, and the next command" soon told
machine() { hub --json status | python3 -c 'import json, sys; t = json.load(sys.stdin)["merge_trouble"]; sys.exit("city.git" not in t["message"])'; }
ok "also to a program" soon machine
seldom() { [ "$(grep -c 'nothing is merged' "$dir/serve.log")" -le $((2 + ($(date +%s) - begin) / 10)) ]; } # a slow machine may come to the next try
ok "it does not try at each push" seldom
alive() { ! grep -q 'starting again' "$dir/serve.log"; }
ok "and no process ends for it" alive

rm -rf "$dir/hub/city.git"
mv "$dir/kept.git" "$dir/hub/city.git"
later() {
	# shellcheck disable=SC2034 # soon
	SOON=1500 # the tries are 10, 20, 40, 80 s apart: how far it is depends on how long the six pushes took
	soon calm
	got=$?
	unset SOON
	return $got
}
ok "brought back, it is taken up by itself" later
ok "with all rows" eventually 8 community "SELECT count(*) FROM demand"
ok "and all is proven" hub audit
finish
