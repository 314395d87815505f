#!/bin/sh
# The hub takes in a commit that is not signed, and one whose signature was changed.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
accepts_good
ok "the hub takes in a commit with a changed signature" accepts "" signature-flip
found 3 "\[bad-signature\]; not provable from #3 on" "the audit names it"
convicted "$a/community #3: the signature does not fit the commit" "and so do stock tools"
ok "it takes in one without a signature" accepts "" unsigned
found 3 "it is not signed \[bad-signature\]" "the audit names it"
since_says "it is not signed \[bad-signature\]" "and so does one that goes on from the last"
convicted "$a/community #3: it is not signed" "and so do stock tools"
finish
