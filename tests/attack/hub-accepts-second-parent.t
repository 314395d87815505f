#!/bin/sh
# The hub takes in a commit with two parents. Its own program packs no such history for an auditor; the operator packs it with stock git.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
ok "the hub takes it in" accepts "" second-parent
found 3 "a second parent; a history is linear \[out-of-sequence\]" "the audit names it"
convicted "$a/community: .* whose history is not here.*a second parent" "without the history stock tools say why it is not there"
ok "the operator packs it himself" gives_all
refuses 1 "^NOT PROVEN: $a/community #3: its parent is not the commit before alone" "and stock tools name it" stock_steps
finish
