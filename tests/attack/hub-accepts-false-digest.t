#!/bin/sh
# The hub takes in a commit whose manifest says a false state, signed by the office's own key: the office is in the plot, and the hub's own signature follows it.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
ok "the hub takes in a commit with a false overall digest" accepts "" field digest 0000000000000000000000000000000000000000000000000000000000000000
found 3 "the overall digest is not that of its tables \[false-digest\]" "the audit names it"
convicted "$a/community #3: the digest is not that of its tables" "and so do stock tools, by the manifest alone"
ok "it takes in one with a false count" accepts "" field "table demand 1 0 0" "4 $(printf %064d 0)"
found 3 "table demand: .* \[false-digest\]" "the audit names it"
convicted "$a/community #3: the digest is not that of its tables" "and so do stock tools"
finish
