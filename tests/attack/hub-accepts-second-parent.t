#!/bin/sh
# The hub takes in a commit with two parents. Its own program makes no bundle of that; the operator makes one with stock git.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
take_bundle
mv "$dir/b" "$dir/good"
ok "the hub takes it in" accepts "" second-parent
found 3 "a second parent; a history is linear \[out-of-sequence\]" "the audit names it"
refuses 15 "a second parent" "and the program gives no bundle away" hub audit --bundle "$dir/b"
mv "$dir/good" "$dir/b"
ok "but stock tools do" gives_all
doctored "$a/community #3: its parent is not the commit before alone" "and stock tools name it"
finish
