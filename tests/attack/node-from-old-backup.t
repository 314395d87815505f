#!/bin/sh
# An office's folder comes back from an old backup.
. "$(dirname "$0")/../lib/attack.sh"

rm -rf "$dir/$a/state"
cp -a "$dir/$a/night1" "$dir/$a/state"
sql $a "INSERT INTO demand VALUES('d8','备份之后','reported',8)"
before="$(tip $a) $(kept)"
refuses 16 "old copy or a clone\|never made" "it is stopped and named" agent $a sync
named() { hub status | grep -A1 "^Forked" | grep -q "$a.*forked"; }
ok "the city knows of it and names it" named
ok "the city's history stays" same "$(tip $a) $(kept)" "$before"
own() { same "$(sql $a "SELECT title FROM demand WHERE id='d8'")" 备份之后; }
ok "the office's rows stay" own
replace() { hub node replace $a --app community --name "社区 $a" --url "$url" --slip "$dir/slip2" --approve; }
ok "the city gives it a new slip" replace
refuses 2 "move this one away" "which is not for the old folder" agent $a enrol --slip "$dir/slip2"
anew() { mv "$dir/$a/state" "$dir/$a/aside" && agent $a init "$dir/$a/office.db" --node $a --app community --name "社区 $a"; }
ok "but for a new one beside the same database" anew
ok "it follows the history that the city holds" agent $a enrol --slip "$dir/slip2"
ok "and reports" agent $a sync
well() { hub status >"$dir/said" && ! grep -qi forked "$dir/said"; }
ok "and is named no more" well
ok "with what was typed since" eventually 备份之后 community "SELECT title FROM demand WHERE _node='$a' AND id='d8'"
incarnation() { git -C "$(repo $a)" cat-file blob main:manifest | grep -q '^incarnation 2$'; }
ok "as a new incarnation, signed and visible" incarnation
ok "all is proven" hub audit
finish
