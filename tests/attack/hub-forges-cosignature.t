#!/bin/sh
# The hub shows an office a cosignature that its witness never made: an old one with a newer time.
. "$(dirname "$0")/../lib/attack.sh"

ok "a province witnesses the log" province_init
ok "and cosigns it" hub witness ask
pin() { agent $a config set witness "$province"; }
ok "A pins the province" pin
sql $a "INSERT INTO demand VALUES('d4','噪声','reported',4)"
ok "its next night" agent $a sync
shown() { agent $a status --json >"$dir/status"; grep -q '"name": "province.example/w"' "$dir/status" && grep -q '"cosigned_at": "2' "$dir/status"; }
ok "shows it what the province cosigned" shown
sql $a "INSERT INTO demand VALUES('d5','甲','reported',5)"
ok "the night after" agent $a commit
ok "is sent by stock git, so that A has not heard the hub's word yet" office_git $a -C "$dir/$a/state/repo.git" push "$url/$a/community.git" main:refs/heads/main
ok "it is in the city" eventually 1 community "SELECT count(*) FROM demand WHERE id='d5'"
at_rest
hub_stop
ok "the hub makes its word anew, with a later time" "$bin/tests/tool/forgedown" "$dir/hub" $a community false
ok "the hub starts" hub_start
refuses 15 "cosignature of the witness province.example/w that is false" "A refuses it" agent $a pull
refuses 15 "cosignature of the witness province.example/w that is false" "and again" agent $a sync
kept() { agent $a check; }
ok "what A holds is proven as before" kept
ok "A without the witness would take it" agent $a config set witness off
ok "B, which pins nobody, goes on" agent $b sync
finish
