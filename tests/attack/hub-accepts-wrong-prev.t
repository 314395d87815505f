#!/bin/sh
# The hub takes in a commit whose manifest does not name the one before by its hash.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
ok "the hub takes it in" accepts "" field prev "$(printf %064d 1)"
found 3 "its manifest does not name the previous manifest's hash \[out-of-sequence\]" "the audit names it"
convicted "$a/community #3 does not follow the commit before" "and so do stock tools"
finish
