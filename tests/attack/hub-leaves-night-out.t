#!/bin/sh
# The hub's operator lets a night pass without a list, so that nobody hears who was silent.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
hubsql "INSERT INTO night VALUES(0, 0, 4000000000, 0, 0, 0, zeroblob(32))"
TRIBUTARY_CLOCK_OFFSET=172800
export TRIBUTARY_CLOCK_OFFSET
ok "the hub believes the list is made" hub_start
sql $a "INSERT INTO demand VALUES('n1','甲','reported',1)"
ok "A reports two days later" agent $a sync
hub_stop
audit_says "was left out: commits were held after it, and no list says who was silent" "the audit names the night"
# Stock tools cannot see it: they prove the lists that the log names, and do not derive which ought to be there.
finish
