#!/bin/sh
# The hub runs twice and shows each office another log (split view).
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
cp -a "$dir/hub" "$dir/hub2"
ok "one hub" hub_start
sql $a "INSERT INTO demand VALUES('s1','甲','reported',1)"
ok "A syncs with it" agent $a sync
hub_stop
mv "$dir/hub" "$dir/hub1" && mv "$dir/hub2" "$dir/hub"
ok "the other hub, with the same keys" hub_start
sql $b "INSERT INTO demand VALUES('s2','乙','reported',1)"
ok "B syncs with that" agent $b sync
ok "each proves all by itself" hub audit
sql $b "INSERT INTO demand VALUES('s3','丙','reported',1)"
ok "and again" agent $b sync
refuses 15 "verify\|checkpoint\|log" "the checkpoint that A kept does not fit the log that B was shown" hub checkpoint verify "$dir/$a/state/checkpoint"
sql $a "INSERT INTO demand VALUES('s4','丁','reported',1)"
refuses 15 "does not continue what this office holds\|another log" "A refuses the other log" agent $a sync
refuses 15 "the log was rewritten, or two are shown" "an audit since the checkpoint that A kept names it" hub audit --since "$dir/$a/state/checkpoint"
stock_says "the first [0-9]* leaves are not those of the checkpoint that was kept: the log was rewritten, or two are shown" "and so do stock tools with it" "$dir/$a/state/checkpoint"
finish
