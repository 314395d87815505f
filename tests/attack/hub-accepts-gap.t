#!/bin/sh
# The hub takes in a commit that leaves a number out, whatever the log says of it.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
ok "the hub takes in #4 after #2" accepts "" field seq 4
found 4 "it has number 4, expected is 3 \[out-of-sequence\]" "the audit names it"
convicted "$a/community: commit $bad is not what the log holds as #3" "and so do stock tools"
ok "it takes in #4 after #2, and calls it #3" accepts "seq=3" field seq 4
found 3 "it has number 4, expected is 3 \[out-of-sequence\]" "the audit names it"
convicted "$a/community #3 does not follow the commit before" "and so do stock tools"
ok "it takes in a right #3, and calls it #4" accepts "seq=4" honest
found 4 "the sequence number is not the one that log leaf [0-9]* holds" "the audit names it"
convicted "$a/community: commit $bad is not what the log holds as #3" "and so do stock tools"
finish
