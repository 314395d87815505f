#!/bin/sh
# The hub tells an office, in log and receipts, another verdict than its commit has: merged, or not, or for another reason, of another row, twice, too early.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
ok "the hub says merged of what does not fit" accepts "" old-value
audit_says "#3 .*the log says merged, the derivation says old-value-differs" "the audit names it"
convicted "$a/community: the rows of table demand in the city are not those that the community signed" "and so do stock tools"
ok "it says out of step of what fits, and leaves its rows out" accepts "verdict=out-of-step" honest
audit_says "#3 .*the log says row-missing, the derivation says merged" "the audit names it"
ok "the hub gives a bundle away" gives_bundle
refuses 0 "^4. NOTE: the city has taken in 2 of 3 commits of $a/community" "stock tools say that the city lacks it" stock_steps
ok "it says the truth of what does not fit" accepts "verdict=out-of-step" old-value
ok "which is proven" audit_twice
ok "it says another reason" accepts "verdict=out-of-step says=row-there" old-value
audit_says "#3 .*the log says row-there, the derivation says old-value-differs" "the audit names it"
ok "it blames another table" accepts "verdict=out-of-step table=points" old-value
audit_says "#3 .*log leaf [0-9]* blames another row (table points) than the derivation comes to" "the audit names it"
ok "it says merged, and then that it was not" accepts "twice=1" honest
audit_says "#3 .*log leaf [0-9]* is a second verdict on it, after leaf [0-9]*" "the audit names it"
ok "it says merged before the commit is held" accepts "early=1" honest
audit_says "#3 .*log leaf [0-9]* is a verdict on a commit that was held after it" "the audit names it"
ok "it never says what becomes of a commit that does not fit" accepts "verdict=none" old-value
audit_says "#3 .*_t_result .*neither the log tells this verdict nor does the city database wait to tell it" "the audit names it"
ok "it is about to say another thing" accepts "" honest
city_write "INSERT INTO _t_result VALUES(3, '$a', 1, zeroblob(32), 'demand', x'00', 'row-there')"
audit_says "_t_result .*the city database waits to tell this verdict, the derivation does not come to it" "the audit names it"
finish
