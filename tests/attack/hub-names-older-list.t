#!/bin/sh
# The operator of the hub lets commits name an older list of revoked certificates than the one in force, so that a revoked key seems good.
. "$(dirname "$0")/../lib/attack.sh"

gone() { quiet hub user add li --role auditor --out "$dir/li" && quiet hub user revoke li && quiet hub audit; }
ok "a first list" gone
third() { quiet hub node add 520302004004 --app community --name 兰家堡 --slip "$dir/slip-c" && quiet hub node revoke $b --app community --reason stolen && quiet hub audit; }
ok "B is revoked: a second one" third
hub_stop
hubsql "UPDATE meta SET value = x'31' WHERE key = 'crl-number'"
ok "the hub runs on with the first" hub_start
sql $a "INSERT INTO demand VALUES('d9','x','reported',9)"
ok "A syncs, and cannot know" agent $a sync
hub_stop
refuses 15 "names list 1 of revoked certificates, in force was 2" "the audit names the leaf" hub audit
stock_says "the log names list 1 of revoked certificates, in force was 2" "stock tools name it"
finish
